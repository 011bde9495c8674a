/* SPDX-License-Identifier: MIT */
#include "pass/effects-check.h"

#include <halftone/error.h>

static gboolean
nodes_equal (HtNode *a, HtNode *b)
{
  return g_str_equal (ht_node_get_op_type (a), ht_node_get_op_type (b))
         && g_str_equal (ht_node_get_domain (a), ht_node_get_domain (b))
         && g_strv_equal (ht_node_get_inputs (a), ht_node_get_inputs (b))
         && g_strv_equal (ht_node_get_outputs (a), ht_node_get_outputs (b));
}

/* A node that makes a constant of constants is a value and no place that data goes through: writing that value makes an
 * initializer of it, and the node goes. check_constants() looks at such values. */
static gboolean
makes_constant (HtGraph *graph, HtNode *node)
{
  return ht_node_get_n_outputs (node) > 0 && ht_graph_is_constant (graph, ht_node_get_output (node, 0));
}

static GPtrArray *
list_data_nodes (HtGraph *graph)
{
  GPtrArray *nodes = g_ptr_array_new ();

  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    if (!makes_constant (graph, ht_graph_get_node (graph, i)))
      g_ptr_array_add (nodes, ht_graph_get_node (graph, i));
  return nodes;
}

static gboolean
check_topology (HtGraph *before, HtGraph *after, GError **error)
{
  g_autoptr (GPtrArray) old = list_data_nodes (before);
  g_autoptr (GPtrArray) new = list_data_nodes (after);

  if (old->len != new->len)
    {
      g_set_error (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS,
                   "it made %u nodes of %u without declaring the effect changes-topology", new->len, old->len);
      return FALSE;
    }
  for (guint i = 0; i < old->len; i++)
    if (!nodes_equal (g_ptr_array_index (old, i), g_ptr_array_index (new, i)))
      {
        g_autofree char *node = ht_node_describe (g_ptr_array_index (old, i));
        g_set_error (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS,
                     "it changed %s or its connections without declaring the effect changes-topology", node);
        return FALSE;
      }
  return TRUE;
}

/* The name of a constant, an initializer or one that a node makes, whose value is not what it was; NULL: none. */
static const char *
find_changed_constant (HtGraph *before, HtGraph *after)
{
  g_auto (GStrv) names = ht_graph_list_initializers (before);

  for (gsize i = 0; names[i] != NULL; i++)
    {
      HtTensor *old = ht_graph_get_initializer (before, names[i]);
      HtTensor *new = ht_graph_get_initializer (after, names[i]);
      if (new != NULL && old != new && !ht_tensor_equal (old, new))
        return g_intern_string (names[i]);
    }
  for (guint i = 0; i < ht_graph_get_n_nodes (before); i++)
    {
      HtNode *node = ht_graph_get_node (before, i);
      for (guint k = 0; makes_constant (before, node) && k < ht_node_get_n_outputs (node); k++)
        {
          const char *output = ht_node_get_output (node, k);
          g_autoptr (HtTensor) old = ht_graph_get_constant (before, output);
          g_autoptr (HtTensor) new = ht_graph_get_constant (after, output);
          if (old != NULL && new != NULL && !ht_tensor_equal (old, new))
            return output;
        }
    }
  return NULL;
}

static gboolean
check_constants (HtGraph *before, HtGraph *after, GError **error)
{
  const char *name = find_changed_constant (before, after);

  if (name != NULL)
    g_set_error (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS,
                 "it changed '%s' without declaring any of the effects changes-weights, changes-biases, "
                 "rescales-channels, changes-topology",
                 name);
  return name == NULL;
}

gboolean
ht_check_effects (HtPlanStep *step, HtGraph *before, HtGraph *after, GError **error)
{
  gboolean topology = ht_plan_step_may (step, HT_RULE_EFFECT, "changes-topology");
  gboolean constants = topology || ht_plan_step_may (step, HT_RULE_EFFECT, "changes-weights")
                       || ht_plan_step_may (step, HT_RULE_EFFECT, "changes-biases")
                       || ht_plan_step_may (step, HT_RULE_EFFECT, "rescales-channels");

  return (topology || check_topology (before, after, error)) && (constants || check_constants (before, after, error));
}

static gboolean
is_in_graph (HtGraph *graph, const char *tensor)
{
  return ht_graph_get_producer (graph, tensor) != NULL || ht_graph_get_initializer (graph, tensor) != NULL
         || g_strv_contains (ht_graph_get_inputs (graph), tensor);
}

gboolean
ht_check_encodings (HtPlanStep *step, HtModelState *before, HtModelState *after, GError **error)
{
  g_auto (GStrv) tensors = ht_model_state_list_encodings (before);
  HtGraph *old = ht_model_state_get_graph (before), *new = ht_model_state_get_graph (after);
  gboolean rescaled = ht_plan_step_may (step, HT_RULE_EFFECT, "rescales-channels")
                      && !ht_plan_step_may (step, HT_RULE_CARRIES_ENCODINGS, NULL)
                      && find_changed_constant (old, new) != NULL;

  for (gsize i = 0; tensors[i] != NULL; i++)
    {
      HtEncodingStatus status;
      ht_model_state_get_encoding (before, tensors[i], &status);
      if (status == HT_ENCODING_OPEN)
        continue;
      if (status == HT_ENCODING_PINNED && is_in_graph (old, tensors[i]) && !is_in_graph (new, tensors[i]))
        {
          g_set_error (error, HT_ERROR, HT_ERROR_CONFLICT,
                       "it removed the tensor '%s', whose encoding the user pinned; leave the step or the encoding out",
                       tensors[i]);
          return FALSE;
        }
      if (rescaled && !ht_graph_is_constant (old, tensors[i])
          && !g_strv_contains (ht_graph_get_inputs (old), tensors[i]))
        {
          g_set_error (
              error, HT_ERROR, HT_ERROR_CONFLICT,
              "it rescaled channels and carries no encodings along, so the given encoding of '%s' may no longer "
              "fit; leave the step or the encodings of activations out",
              tensors[i]);
          return FALSE;
        }
    }
  return TRUE;
}
