/* SPDX-License-Identifier: MIT */
/* Whether a model is fit for quantization: what cannot run, what stays in floating point, what preparation would mend.
 */
#include <halftone/validation.h>

#include "graph/operator.h"

#include <halftone/layer.h>
#include <halftone/simulation.h>

struct _HtFinding
{
  gint ref_count;
  HtSeverity severity;
  const char *kind;   /* static */
  const char *remedy; /* static */
  char *message;
};

/**
 * HtFinding:
 *
 * One thing about a model that matters for quantization: an error where the model cannot be run, a warning where it can
 * be repaired or loses something, a note where a part stays in floating point.
 */
G_DEFINE_BOXED_TYPE (HtFinding, ht_finding, ht_finding_ref, ht_finding_unref)

/**
 * ht_finding_ref: (skip)
 * @self: a finding
 *
 * Returns: (transfer full): @self
 */
HtFinding *
ht_finding_ref (HtFinding *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_atomic_int_inc (&self->ref_count);
  return self;
}

/**
 * ht_finding_unref: (skip)
 * @self: (transfer full): a finding
 */
void
ht_finding_unref (HtFinding *self)
{
  g_return_if_fail (self != NULL);
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  g_free (self->message);
  g_free (self);
}

/**
 * ht_finding_get_severity:
 * @self: a finding
 *
 * Returns: how serious it is
 */
HtSeverity
ht_finding_get_severity (HtFinding *self)
{
  g_return_val_if_fail (self != NULL, HT_SEVERITY_ERROR);
  return self->severity;
}

/**
 * ht_finding_get_kind:
 * @self: a finding
 *
 * Returns: (transfer none): one of unsupported-operator, not-finite, no-layers, missing-shape, shared-weight,
 * unquantized, preparation
 */
const char *
ht_finding_get_kind (HtFinding *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  return self->kind;
}

/**
 * ht_finding_get_message:
 * @self: a finding
 *
 * Returns: (transfer none): what was found, and where
 */
const char *
ht_finding_get_message (HtFinding *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  return self->message;
}

/**
 * ht_finding_get_remedy:
 * @self: a finding
 *
 * Returns: (transfer none): what to do
 */
const char *
ht_finding_get_remedy (HtFinding *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  return self->remedy;
}

static void
add (GPtrArray *findings, HtSeverity severity, const char *kind, const char *remedy, char *message)
{
  HtFinding *finding = g_new0 (HtFinding, 1);
  finding->ref_count = 1;
  finding->severity = severity;
  finding->kind = kind;
  finding->remedy = remedy;
  finding->message = message;
  g_ptr_array_add (findings, finding);
}

static void
find_unsupported (HtGraph *graph, GPtrArray *findings)
{
  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    {
      HtNode *node = ht_graph_get_node (graph, i);
      const char *domain = ht_node_get_domain (node);
      gint64 opset = ht_graph_get_opset (graph, domain);
      g_auto (GStrv) attributes = ht_node_list_attributes (node);
      for (char **name = attributes; *name != NULL; name++)
        if (ht_node_get_attribute_type (node, *name) == HT_ATTRIBUTE_GRAPH)
          find_unsupported (ht_node_get_subgraph (node, *name), findings);
      if (ht_operator_find (domain, ht_node_get_op_type (node), opset) != NULL)
        continue;
      g_autofree char *where = ht_node_describe (node);
      add (findings, HT_SEVERITY_ERROR, "unsupported-operator",
           "export the model without this operator; it is carried along, but the network cannot be run here",
           g_strdup_printf ("%s: operator '%s%s%s' of opset %" G_GINT64_FORMAT " is not supported", where, domain,
                            *domain ? "." : "", ht_node_get_op_type (node), opset));
    }
}

static void
find_missing_shapes (HtGraph *graph, GPtrArray *findings)
{
  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    {
      HtNode *node = ht_graph_get_node (graph, i);
      for (guint k = 0; k < ht_node_get_n_outputs (node); k++)
        {
          const char *tensor = ht_node_get_output (node, k);
          if (*tensor == '\0' || ht_graph_get_shape (graph, tensor) != NULL || ht_graph_is_constant (graph, tensor))
            continue;
          g_autofree char *where = ht_node_describe (node);
          add (findings, HT_SEVERITY_WARNING, "missing-shape",
               "give the network inputs fixed dimensions where they have none, or export the model with shapes",
               g_strdup_printf ("%s: the rank of its output '%s' is only known by running", where, tensor));
        }
    }
}

static void
find_shared_weights (HtGraph *graph, GPtrArray *findings)
{
  g_autoptr (GPtrArray) layers = ht_graph_list_layers (graph);
  for (guint i = 0; i < layers->len; i++)
    {
      HtLayer *layer = g_ptr_array_index (layers, i);
      if (!ht_layer_is_weight_shared (layer))
        continue;
      g_autofree char *where = ht_node_describe (ht_layer_get_node (layer));
      add (findings, HT_SEVERITY_WARNING, "shared-weight",
           "techniques leave shared weights alone; --fix gives each layer its own",
           g_strdup_printf ("%s: its weight '%s' is read by other layers too", where, ht_layer_get_weight (layer)));
    }
}

static void
check_finite (HtGraph *graph, HtNode *node, const char *tensor, GPtrArray *findings)
{
  g_autoptr (HtTensor) value = tensor != NULL && *tensor != '\0' ? ht_graph_get_constant (graph, tensor) : NULL;
  if (value == NULL || !ht_data_type_is_float (ht_tensor_get_data_type (value)) || ht_tensor_is_finite (value))
    return;
  g_autofree char *where = ht_node_describe (node);
  add (findings, HT_SEVERITY_ERROR, "not-finite", "train or export the model again; what it computes has no meaning",
       g_strdup_printf ("%s: its parameter '%s' has values that are infinite or not a number", where, tensor));
}

/* Infinite constants elsewhere, as in attention masks, have their use. */
static void
find_not_finite (HtGraph *graph, GPtrArray *findings)
{
  g_autoptr (GPtrArray) layers = ht_graph_list_layers (graph);
  for (guint i = 0; i < layers->len; i++)
    {
      HtLayer *layer = g_ptr_array_index (layers, i);
      check_finite (graph, ht_layer_get_node (layer), ht_layer_get_weight (layer), findings);
      check_finite (graph, ht_layer_get_node (layer), ht_layer_get_bias (layer), findings);
    }
  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    {
      HtNode *node = ht_graph_get_node (graph, i);
      for (guint k = 1;
           g_str_equal (ht_node_get_op_type (node), "BatchNormalization") && k < ht_node_get_n_inputs (node); k++)
        check_finite (graph, node, ht_node_get_input (node, k), findings);
    }
  if (layers->len == 0)
    add (findings, HT_SEVERITY_WARNING, "no-layers", "check that this is the network you mean",
         g_strdup ("no weighted layers were found: quantization has next to nothing to do"));
}

static gboolean
find_unquantized (HtGraph *graph, GPtrArray *findings, GError **error)
{
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  g_autoptr (HtSimulation) simulation = ht_simulation_new (graph, config, error);
  if (simulation == NULL)
    return FALSE;
  g_auto (GStrv) skipped = ht_simulation_list_skipped (simulation);
  for (char **line = skipped; *line != NULL; line++)
    add (findings, HT_SEVERITY_NOTE, "unquantized", "it stays in floating point; nothing needs to be done",
         g_strdup (*line));
  return TRUE;
}

/**
 * ht_graph_validate:
 * @graph: a graph
 * @error: return location for an error
 *
 * Looks at a model as quantization will: operators that cannot be run, parameters that are not finite, ranks that are
 * not known, shared weights, what ht_graph_prepare() would mend, and what the default target leaves in floating point.
 * The graph is not changed.
 *
 * Returns: (transfer container) (element-type HtFinding): what was found, errors first; %NULL with @error set where
 * types and shapes contradict each other
 */
GPtrArray *
ht_graph_validate (HtGraph *graph, GError **error)
{
  g_return_val_if_fail (HT_IS_GRAPH (graph), NULL);
  g_autoptr (GPtrArray) findings = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_finding_unref);
  g_autoptr (HtGraph) prepared = ht_graph_copy (graph);
  find_unsupported (graph, findings);
  g_auto (GStrv) lines = ht_graph_prepare (prepared, error);
  if (lines == NULL)
    return NULL;
  find_not_finite (prepared, findings);
  find_missing_shapes (prepared, findings);
  find_shared_weights (graph, findings);
  for (char **line = lines; *line != NULL; line++)
    add (findings, HT_SEVERITY_WARNING, "preparation", "--fix does this; 'halftone run' does it by itself",
         g_strdup (*line));
  if (!find_unquantized (prepared, findings, error))
    return NULL;
  return g_steal_pointer (&findings);
}
