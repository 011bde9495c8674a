/* SPDX-License-Identifier: MIT */
/* Which tensors of a network get a quantizer: network inputs, outputs of nodes and constants, as the target has it,
 * with these exceptions: what stays inside a group, what only moves values of one grid, what is not float32, and what
 * only shape arithmetic asks for. */
#include "quant/placement-private.h"

#include "graph/graph-private.h"
#include "graph/operator.h"
#include "quant/quantizer.h"

#include <string.h>

void
ht_placing_say (HtPlacing *self, const char *tensor, const char *format, ...)
{
  va_list args;

  if (g_hash_table_contains (self->result->reasons, tensor))
    return;
  va_start (args, format);
  g_hash_table_insert (self->result->reasons, g_strdup (tensor), g_strdup_vprintf (format, args));
  va_end (args);
}

void
ht_placing_list_tensor (HtPlacing *self, const char *tensor, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  if (!g_hash_table_add (self->listed, g_strdup (tensor)))
    return;
  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_ptr_array_add (self->result->skipped, g_strdup_printf ("tensor '%s': %s", tensor, text));
  ht_placing_say (self, tensor, "%s", text);
}

void
ht_placing_list_node (HtPlacing *self, HtNode *node, const char *format, ...)
{
  g_autofree char *text = NULL, *where = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  where = ht_node_label (node);
  g_ptr_array_add (self->result->skipped, g_strdup_printf ("%s: %s", where, text));
}

static void
draft_free (gpointer data)
{
  HtDraft *self = data;

  g_free (self->tensor);
  g_ptr_array_unref (self->nodes);
  g_ptr_array_unref (self->exceptions);
  g_free (self->reason);
  g_free (self);
}

HtDraft *
ht_placing_add (HtPlacing *self, const char *tensor, const char *op_type, HtNode *const *nodes, gsize n_nodes,
                const char *reason)
{
  HtDraft *draft = g_new0 (HtDraft, 1);

  draft->tensor = g_strdup (tensor);
  draft->axis = -1;
  draft->op_type = op_type;
  draft->nodes = g_ptr_array_new ();
  for (gsize i = 0; i < n_nodes; i++)
    g_ptr_array_add (draft->nodes, nodes[i]);
  draft->exceptions = g_ptr_array_new_with_free_func (ht_setting_exception_free);
  draft->reason = g_strdup (reason);
  draft->shared = draft;
  g_ptr_array_add (self->drafts, draft);
  g_hash_table_insert (self->by_tensor, draft->tensor, draft);
  g_hash_table_insert (self->result->grids, g_strdup (tensor), g_strdup (tensor));
  return draft;
}

HtDraft *
ht_placing_find (HtPlacing *self, const char *tensor)
{
  return g_hash_table_lookup (self->by_tensor, tensor);
}

HtDraft *
ht_placing_find_grid (HtPlacing *self, const char *tensor)
{
  const char *grid = g_hash_table_lookup (self->result->grids, tensor);

  return grid ? ht_placing_find (self, grid) : NULL;
}

const char *
ht_placing_get_op_type (HtPlacing *self, HtNode *node)
{
  const char *op_type = g_hash_table_lookup (self->op_types, node);

  return op_type ? op_type : ht_node_get_op_type (node);
}

gboolean
ht_placing_keeps_grid (HtPlacing *self, HtNode *node)
{
  char **list = self->target->switches.grid_preserving;

  if (!list)
    return ht_node_keeps_grid (self->graph, node);
  if (ht_node_is_op (node, "Cast"))
    return ht_graph_get_data_type (self->graph, ht_node_get_input (node, 0)) == HT_DATA_TYPE_FLOAT;
  return g_strv_contains ((const char *const *)list, ht_node_get_op_type (node));
}

gboolean
ht_placing_makes_constant (HtPlacing *self, HtNode *node)
{
  return ht_node_get_n_outputs (node) > 0 && ht_graph_is_constant (self->graph, ht_node_get_output (node, 0));
}

/* A grid that nobody reads serves nothing: rules leave every reader of the tensor in floating point. */
static gboolean
readers_are_skipped (HtPlacing *self, const char *tensor)
{
  g_autoptr (GPtrArray) consumers = ht_graph_list_consumers (self->graph, tensor);

  for (guint i = 0; i < consumers->len; i++)
    if (!ht_quantization_config_is_skipped (self->config, g_ptr_array_index (consumers, i)))
      return FALSE;
  return consumers->len > 0;
}

/* Somebody wants the tensor quantized, so somebody wants that quantized which its values come from. */
static void
request (HtPlacing *self, const char *tensor)
{
  HtNode *producer;

  if (ht_graph_get_data_type (self->graph, tensor) != HT_DATA_TYPE_FLOAT || ht_graph_is_constant (self->graph, tensor)
      || !g_hash_table_add (self->requested, g_strdup (tensor)))
    return;
  producer = ht_graph_get_producer (self->graph, tensor);
  for (guint i = 0; producer && ht_placing_keeps_grid (self, producer) && i < ht_node_get_n_inputs (producer); i++)
    if (ht_node_get_input (producer, i)[0] && ht_placing_classify (self, producer, i, NULL) == HT_OPERAND_ACTIVATION)
      request (self, ht_node_get_input (producer, i));
}

static void
find_requested (HtPlacing *self)
{
  for (guint i = 0; i < ht_graph_get_n_nodes (self->graph); i++)
    {
      HtNode *node = ht_graph_get_node (self->graph, i);

      if (!ht_target_quantizes_inputs (self->target, ht_placing_get_op_type (self, node))
          || ht_quantization_config_is_skipped (self->config, node))
        continue;
      for (guint k = 0; k < ht_node_get_n_inputs (node); k++)
        if (ht_node_get_input (node, k)[0] && ht_placing_classify (self, node, k, NULL) == HT_OPERAND_ACTIVATION)
          request (self, ht_node_get_input (node, k));
    }
}

static void
place_inputs (HtPlacing *self)
{
  const char *const *inputs = ht_graph_get_inputs (self->graph);

  for (guint i = 0; inputs[i]; i++)
    {
      HtDataType type = ht_graph_get_data_type (self->graph, inputs[i]);

      if (ht_graph_is_constant (self->graph, inputs[i]))
        continue;
      if (type != HT_DATA_TYPE_FLOAT)
        {
          if (ht_data_type_is_float (type))
            ht_placing_list_tensor (self, inputs[i], "left in floating point: a network input of type %s, not float32",
                                    ht_data_type_get_name (type));
          continue;
        }
      if (ht_graph_count_uses (self->graph, inputs[i]) == 0 || ht_tensor_is_shape_only (self->graph, inputs[i]))
        ht_placing_say (self, inputs[i], "nothing reads its values");
      else if (self->target->model_input.value != TRUE && !g_hash_table_contains (self->requested, inputs[i]))
        ht_placing_say (self, inputs[i],
                        "target '%s' does not quantize network inputs that no quantized operator reads",
                        ht_target_get_name (self->target));
      else if (readers_are_skipped (self, inputs[i]))
        ht_placing_list_tensor (self, inputs[i], "left in floating point: rules leave all that reads it so");
      else
        ht_placing_add (self, inputs[i], NULL, NULL, 0, "network input");
    }
}

/* The grid that all data inputs of a node share: NULL when they have none; `mixed` when they differ. */
static const char *
find_shared_grid (HtPlacing *self, HtNode *node, gboolean *mixed)
{
  const char *shared = NULL;
  gboolean first = TRUE;

  *mixed = FALSE;
  for (guint i = 0; i < ht_node_get_n_inputs (node); i++)
    {
      const char *input = ht_node_get_input (node, i);
      const char *grid;

      if (i > 0 && self->target->switches.grid_preserving)
        break;
      if (input[0] == '\0' || ht_graph_get_data_type (self->graph, input) != HT_DATA_TYPE_FLOAT
          || ht_placing_classify (self, node, i, NULL) != HT_OPERAND_ACTIVATION)
        continue;
      grid = g_hash_table_lookup (self->result->grids, input);
      if (!first && g_strcmp0 (grid, shared) != 0)
        *mixed = TRUE;
      shared = grid;
      first = FALSE;
    }
  return *mixed ? NULL : shared;
}

static char *
describe_chain (GPtrArray *chain)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < chain->len; i++)
    {
      g_autofree char *where = ht_node_label (g_ptr_array_index (chain, i));

      g_string_append_printf (text, "%s%s", i == 0 ? "output of " : i == 1 ? " with " : " and ", where);
    }
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* Whether the target quantizes what the node makes; if not, says so. */
static gboolean
is_output_quantized (HtPlacing *self, HtNode *node, const char *tensor)
{
  const char *op_type = ht_placing_get_op_type (self, node);
  HtTargetOp *op = ht_target_find_op (self->target, op_type);
  HtTargetWord *word = &self->target->ops.output_quantized;
  g_autofree char *origin = NULL;

  if (g_hash_table_contains (self->requested, tensor)
      || (self->target->model_output.value == TRUE && ht_graph_is_output (self->graph, tensor)))
    return TRUE;
  if (op && op->output_quantized.value >= 0)
    word = &op->output_quantized;
  if (word->value == TRUE)
    return TRUE;
  if (word->value < 0)
    origin = g_strdup_printf ("target '%s' does not quantize what a %s makes, and no operator wants it quantized",
                              ht_target_get_name (self->target), op_type);
  else
    origin = ht_target_describe_word (self->target, word->line, word->column, "%s%s.is_output_quantized is False",
                                      word == &self->target->ops.output_quantized ? "defaults.ops" : "op_type.",
                                      word == &self->target->ops.output_quantized ? "" : op_type);
  ht_placing_say (self, tensor, "%s", origin);
  return FALSE;
}

static void
place_output (HtPlacing *self, HtNode *node, const char *tensor, GPtrArray *chain)
{
  HtDataType type = ht_graph_get_data_type (self->graph, tensor);
  g_autofree char *reason = NULL;
  const char *op_type = ht_placing_get_op_type (self, node);
  HtTargetOp *op = ht_target_find_op (self->target, op_type);
  HtDraft *draft;

  if (type == HT_DATA_TYPE_UNDEFINED)
    {
      ht_placing_list_node (self, node, "the element type of its output '%s' is not known", tensor);
      return;
    }
  if (type != HT_DATA_TYPE_FLOAT)
    {
      if (ht_data_type_is_float (type))
        ht_placing_list_node (self, node, "its output '%s' is %s, not float32", tensor, ht_data_type_get_name (type));
      ht_placing_say (self, tensor, "it is %s, not float32", ht_data_type_get_name (type));
      return;
    }
  if (!ht_graph_is_output (self->graph, tensor)
      && (ht_graph_count_uses (self->graph, tensor) == 0 || ht_tensor_is_shape_only (self->graph, tensor)))
    {
      ht_placing_say (self, tensor, "nothing reads its values");
      return;
    }
  if (!is_output_quantized (self, node, tensor))
    return;
  reason = describe_chain (chain);
  draft = ht_placing_add (self, tensor, op_type, (HtNode *const *)chain->pdata, chain->len, reason);
  if (!op)
    return;
  draft->range = op->range;
  if (op->range.has_max && op->range.min == -op->range.max)
    ht_draft_add_flag (draft, "symmetric", TRUE, "encoding_constraints: as much below zero as above");
}

static void
list_subgraphs (HtPlacing *self, HtNode *node)
{
  g_auto (GStrv) attributes = ht_node_list_attributes (node);

  for (guint i = 0; attributes[i]; i++)
    {
      HtAttributeType type = ht_node_get_attribute_type (node, attributes[i]);

      if (type == HT_ATTRIBUTE_GRAPH || type == HT_ATTRIBUTE_GRAPHS)
        ht_placing_list_node (self, node, "its subgraph '%s' is left in floating point", attributes[i]);
    }
}

HtNode *
ht_placing_find_skipped (HtPlacing *self, GPtrArray *chain)
{
  for (guint i = 0; i < chain->len; i++)
    if (ht_quantization_config_is_skipped (self->config, g_ptr_array_index (chain, i)))
      return g_ptr_array_index (chain, i);
  return NULL;
}

/* Where the list of operators that keep a grid is the target's, it may still name one of them on its own. */
static gboolean
wants_own_grid (HtPlacing *self, HtNode *node)
{
  HtTargetOp *op = ht_target_find_op (self->target, ht_node_get_op_type (node));

  return self->target->switches.grid_preserving && op && op->output_quantized.value == TRUE;
}

static void
say_skipped (HtPlacing *self, const char *tensor, HtNode *member)
{
  g_autofree char *rule = ht_quantization_config_find_skip (self->config, member);
  g_autofree char *where = ht_node_label (member);

  ht_placing_say (self, tensor, "%s leaves %s in floating point", rule, where);
}

static void
place_node_outputs (HtPlacing *self, HtNode *node, GPtrArray *chain)
{
  HtNode *left_out = ht_placing_find_skipped (self, chain);

  for (guint i = 0; i < ht_node_get_n_outputs (node); i++)
    {
      const char *output = ht_node_get_output (node, i);
      const char *grid = NULL;
      gboolean mixed = TRUE;

      if (output[0] == '\0' || g_hash_table_contains (self->interior, output)
          || ht_graph_is_constant (self->graph, output))
        continue;
      if (ht_placing_keeps_grid (self, node) && !wants_own_grid (self, node))
        grid = find_shared_grid (self, node, &mixed);
      if (grid && strcmp (grid, output) != 0)
        {
          ht_placing_say (self, output, "%s only moves values, and they keep the grid of '%s'",
                          ht_node_get_op_type (node), grid);
          g_hash_table_insert (self->result->grids, g_strdup (output), g_strdup (grid));
        }
      else if (!mixed)
        ht_placing_say (self, output, "%s only moves values, and those it reads have no grid",
                        ht_node_get_op_type (node));
      else if (left_out)
        say_skipped (self, output, left_out);
      else
        place_output (self, node, output, chain);
    }
}

static void
place_node (HtPlacing *self, HtNode *node)
{
  GPtrArray *chain = g_hash_table_lookup (self->groups, node);
  const char *domain = ht_node_get_domain (node);
  HtNode *left_out = ht_placing_find_skipped (self, chain);
  g_autofree char *label = left_out ? ht_node_label (left_out) : NULL;

  list_subgraphs (self, node);
  if (ht_placing_makes_constant (self, node))
    return;
  if (!ht_operator_find (domain, ht_node_get_op_type (node), ht_graph_get_opset (self->graph, domain)))
    {
      ht_placing_list_node (self, node, "an operator that Halftone does not know");
      return;
    }
  if (ht_quantization_config_is_skipped (self->config, node))
    ht_placing_list_node (self, node, "a rule leaves it in floating point");
  else if (left_out && node == g_ptr_array_index (chain, chain->len - 1))
    ht_placing_list_node (
        self, node, "its output stays in floating point, as a rule has it for %s, which it is quantized with", label);
  ht_placing_place_constants (self, node);
  place_node_outputs (self, node, chain);
}

/* From drafts to quantizers. */
static gboolean
finish (HtPlacing *self, GError **error)
{
  for (guint i = 0; i < self->drafts->len; i++)
    {
      HtDraft *draft = g_ptr_array_index (self->drafts, i);
      g_autoptr (GHashTable) origins = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
      g_autoptr (HtQuantizerSettings) settings = ht_placing_resolve (self, draft->shared, origins, error);
      HtQuantizer *quantizer;

      if (!settings)
        return FALSE;
      quantizer = ht_quantizer_new (draft->tensor, draft->is_weight, draft->is_constant, draft->axis, settings,
                                    draft->reason);
      ht_quantizer_set_origins (quantizer, origins);
      ht_quantizer_set_shared (quantizer, draft->shared->tensor);
      if (draft->shared->range.has_min)
        ht_quantizer_set_range (quantizer, draft->shared->range.min,
                                draft->shared->range.has_max ? draft->shared->range.max : G_MAXDOUBLE);
      g_ptr_array_add (self->result->quantizers, quantizer);
    }
  return TRUE;
}

static GHashTable *
new_name_table (GDestroyNotify free_value)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, g_free, free_value);
}

static void
placing_init (HtPlacing *self, HtGraph *graph, HtQuantizationConfig *config, HtPlacement *result)
{
  self->graph = graph;
  self->config = config;
  self->target = ht_quantization_config_get_target_object (config);
  self->result = result;
  self->drafts = g_ptr_array_new_with_free_func (draft_free);
  self->by_tensor = g_hash_table_new (g_str_hash, g_str_equal);
  self->groups = result->groups;
  self->functions = g_hash_table_new (NULL, NULL);
  self->op_types = g_hash_table_new (NULL, NULL);
  self->roles = new_name_table (NULL);
  self->interior = new_name_table (NULL);
  self->requested = new_name_table (NULL);
  self->shielded = new_name_table (NULL);
  self->listed = new_name_table (NULL);
}

static void
placing_clear (HtPlacing *self)
{
  g_hash_table_unref (self->by_tensor);
  g_ptr_array_unref (self->drafts);
  g_hash_table_unref (self->functions);
  g_hash_table_unref (self->op_types);
  g_hash_table_unref (self->roles);
  g_hash_table_unref (self->interior);
  g_hash_table_unref (self->requested);
  g_hash_table_unref (self->shielded);
  g_hash_table_unref (self->listed);
}

HtPlacement *
ht_placement_new (HtGraph *graph, HtQuantizationConfig *config, GError **error)
{
  g_autoptr (HtPlacement) self = g_new0 (HtPlacement, 1);
  HtPlacing placing = { 0 };
  gboolean ok;

  self->quantizers = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_quantizer_unref);
  self->grids = new_name_table (g_free);
  self->skipped = g_ptr_array_new_with_free_func (g_free);
  self->groups = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify)g_ptr_array_unref);
  self->reasons = new_name_table (g_free);
  placing_init (&placing, graph, config, self);
  ht_placing_find_groups (&placing);
  ht_placing_find_shielded (&placing);
  find_requested (&placing);
  place_inputs (&placing);
  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    place_node (&placing, ht_graph_get_node (graph, i));
  ok = ht_placing_add_exceptions (&placing, error) && ht_placing_tie (&placing, error) && finish (&placing, error);
  placing_clear (&placing);
  return ok ? g_steal_pointer (&self) : NULL;
}

void
ht_placement_free (HtPlacement *self)
{
  g_ptr_array_unref (self->quantizers);
  g_hash_table_unref (self->grids);
  g_ptr_array_unref (self->skipped);
  g_hash_table_unref (self->groups);
  g_hash_table_unref (self->reasons);
  g_free (self);
}
