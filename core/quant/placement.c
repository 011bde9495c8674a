/* SPDX-License-Identifier: MIT */
/* The `default` target. Network inputs and the outputs of nodes are quantized, with these exceptions: what stays inside
 * a supergroup, what only moves values of one grid, what is not float32, and what only shape arithmetic asks for. */
#include "quant/placement.h"

#include "graph/graph-private.h"
#include "graph/operator.h"
#include "quant/operand.h"
#include "quant/quantizer.h"
#include "quant/supergroup.h"

#include <string.h>

typedef struct
{
  HtGraph *graph;
  HtQuantizationConfig *config;
  HtPlacement *result;
  GHashTable *groups;    /* HtNode -> GPtrArray of HtNode: the chain that the node is in */
  GHashTable *functions; /* those of the chains that are a written-out function */
  GHashTable *interior;  /* names of tensors inside a chain */
  GHashTable *placed;    /* tensor -> HtQuantizer */
  GHashTable *shielded;  /* names of constants that some node needs in floating point */
  GHashTable *listed;    /* names of constants that were listed already */
} Context;

static void list_tensor (Context *context, const char *tensor, const char *format, ...) G_GNUC_PRINTF (3, 4);
static void list_node (Context *context, HtNode *node, const char *format, ...) G_GNUC_PRINTF (3, 4);

static void
list_tensor (Context *context, const char *tensor, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  if (!g_hash_table_add (context->listed, g_strdup (tensor)))
    return;
  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_ptr_array_add (context->result->skipped, g_strdup_printf ("tensor '%s': %s", tensor, text));
}

static void
list_node (Context *context, HtNode *node, const char *format, ...)
{
  g_autofree char *text = NULL, *where = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  where = ht_node_label (node);
  g_ptr_array_add (context->result->skipped, g_strdup_printf ("%s: %s", where, text));
}

static gboolean
place (Context *context, const char *tensor, HtOperandKind kind, gboolean is_constant, gint axis, HtNode *const *nodes,
       gsize n_nodes, const char *reason, GError **error)
{
  g_autoptr (HtQuantizerSettings) settings = NULL;
  gboolean is_weight = kind == HT_OPERAND_WEIGHT;
  HtQuantizer *quantizer;

  settings = ht_quantization_config_resolve (context->config, nodes, n_nodes, is_weight, error);
  if (!settings)
    return FALSE;
  quantizer = ht_quantizer_new (tensor, is_weight, is_constant, axis, settings, reason);
  g_ptr_array_add (context->result->quantizers, quantizer);
  g_hash_table_insert (context->placed, g_strdup (tensor), quantizer);
  g_hash_table_insert (context->result->grids, g_strdup (tensor), g_strdup (tensor));
  return TRUE;
}

/* Makes a group of those of the nodes, up to the first one that is in a group already. */
static void
add_group (Context *context, GPtrArray *chain)
{
  for (guint k = 0; k < chain->len; k++)
    if (g_hash_table_contains (context->groups, g_ptr_array_index (chain, k)))
      {
        g_ptr_array_set_size (chain, (gint)k);
        break;
      }
  for (guint k = 0; k < chain->len; k++)
    {
      HtNode *member = g_ptr_array_index (chain, k);

      g_hash_table_insert (context->groups, member, g_ptr_array_ref (chain));
      if (k + 1 < chain->len)
        g_hash_table_add (context->interior, g_strdup (ht_node_get_output (member, 0)));
    }
}

static gboolean
is_free (Context *context, GPtrArray *chain)
{
  for (guint k = 0; k < chain->len; k++)
    if (g_hash_table_contains (context->groups, g_ptr_array_index (chain, k)))
      return FALSE;
  return TRUE;
}

/* Written-out functions first: the other groups would take their nodes one by one. */
static void
find_groups (Context *context)
{
  for (guint i = 0; i < ht_graph_get_n_nodes (context->graph); i++)
    {
      g_autoptr (GPtrArray) chain
          = ht_supergroup_collect_function (context->graph, ht_graph_get_node (context->graph, i));

      if (!chain || !is_free (context, chain))
        continue;
      add_group (context, chain);
      g_hash_table_add (context->functions, chain);
    }
  for (guint i = 0; i < ht_graph_get_n_nodes (context->graph); i++)
    {
      HtNode *node = ht_graph_get_node (context->graph, i);
      g_autoptr (GPtrArray) chain = NULL;

      if (g_hash_table_contains (context->groups, node))
        continue;
      chain = ht_supergroup_collect (context->graph, node);
      add_group (context, chain);
    }
}

/* Constants that a group adds or multiplies inside are its bias and its parameters, not data. */
static HtOperandKind
classify (Context *context, HtNode *node, guint index, gint *axis)
{
  HtOperandKind kind = ht_operand_classify (context->graph, node, index, axis);
  GPtrArray *chain = g_hash_table_lookup (context->groups, node);

  if (kind != HT_OPERAND_ACTIVATION || !chain
      || !ht_graph_is_constant (context->graph, ht_node_get_input (node, index)))
    return kind;
  if (g_hash_table_contains (context->functions, chain))
    return HT_OPERAND_PARAMETER;
  return g_ptr_array_index (chain, 0) == node ? kind : HT_OPERAND_BIAS;
}

/* A node that only makes a constant (a Transpose of a weight) is no place for quantizers: its result's uses are. */
static gboolean
makes_constant (Context *context, HtNode *node)
{
  return ht_node_get_n_outputs (node) > 0 && ht_graph_is_constant (context->graph, ht_node_get_output (node, 0));
}

/* A constant has one value for all its uses: where one of them needs it in floating point, it stays so. */
static void
find_shielded (Context *context)
{
  for (guint i = 0; i < ht_graph_get_n_nodes (context->graph); i++)
    {
      HtNode *node = ht_graph_get_node (context->graph, i);

      for (guint k = 0; !makes_constant (context, node) && k < ht_node_get_n_inputs (node); k++)
        {
          const char *input = ht_node_get_input (node, k);
          HtOperandKind kind;

          if (input[0] == '\0' || !ht_graph_is_constant (context->graph, input))
            continue;
          kind = classify (context, node, k, NULL);
          if (kind == HT_OPERAND_BIAS || kind == HT_OPERAND_PARAMETER || kind == HT_OPERAND_ARGUMENT)
            g_hash_table_add (context->shielded, g_strdup (input));
        }
    }
}

/* Which quantizer a weight that several nodes share gets; the later ones only add what contradicts it. */
static void
check_shared (Context *context, HtNode *node, HtQuantizer *quantizer, gboolean is_weight, gint axis)
{
  if (ht_quantizer_is_weight (quantizer) == is_weight
      && (ht_quantizer_get_axis (quantizer) < 0 || ht_quantizer_get_channel_axis (quantizer) == axis))
    return;
  list_node (context, node,
             "the constant '%s' is shared with another node that asks for another grid; it has that of %s",
             ht_quantizer_get_tensor (quantizer), ht_quantizer_get_reason (quantizer));
}

static gboolean
place_constant (Context *context, HtNode *node, guint index, gboolean with_output, GError **error)
{
  const char *tensor = ht_node_get_input (node, index);
  g_autofree char *where = ht_node_label (node);
  g_autofree char *reason = NULL;
  HtQuantizer *present = g_hash_table_lookup (context->placed, tensor);
  GPtrArray *chain = g_hash_table_lookup (context->groups, node);
  gint axis;
  HtOperandKind kind = classify (context, node, index, &axis);
  g_autoptr (HtTensor) value = NULL;

  if (ht_graph_get_data_type (context->graph, tensor) != HT_DATA_TYPE_FLOAT)
    {
      if (kind == HT_OPERAND_WEIGHT)
        list_node (context, node, "its weight '%s' is not float32", tensor);
      return TRUE;
    }
  if (kind != HT_OPERAND_WEIGHT && (kind != HT_OPERAND_ACTIVATION || !with_output))
    return TRUE;
  if (present)
    {
      check_shared (context, node, present, kind == HT_OPERAND_WEIGHT, axis);
      return TRUE;
    }
  if (kind == HT_OPERAND_ACTIVATION && g_hash_table_contains (context->shielded, tensor))
    {
      list_tensor (context, tensor, "left in floating point: %s uses it as data, another node as a bias or a parameter",
                   where);
      return TRUE;
    }
  value = ht_graph_get_constant (context->graph, tensor);
  if (value && ht_tensor_get_n_elements (value) == 0)
    return TRUE;
  if (kind == HT_OPERAND_ACTIVATION && value && !ht_tensor_is_finite (value))
    {
      list_tensor (context, tensor, "left in floating point: a constant of %s with infinite values", where);
      return TRUE;
    }
  reason = g_strdup_printf ("%s of %s", kind == HT_OPERAND_WEIGHT ? "weight" : "constant operand", where);
  if (kind == HT_OPERAND_WEIGHT)
    return place (context, tensor, kind, TRUE, axis, &node, 1, reason, error);
  return place (context, tensor, kind, TRUE, -1, (HtNode *const *)chain->pdata, chain->len, reason, error);
}

/* The parameters of a node that this target has no quantizers for, on one line. */
static void
list_parameters (Context *context, HtNode *node)
{
  g_autoptr (GString) names = g_string_new (NULL);

  for (guint i = 0; i < ht_node_get_n_inputs (node); i++)
    {
      const char *input = ht_node_get_input (node, i);

      if (input[0] != '\0' && classify (context, node, i, NULL) == HT_OPERAND_PARAMETER
          && ht_graph_is_constant (context->graph, input)
          && ht_graph_get_data_type (context->graph, input) == HT_DATA_TYPE_FLOAT)
        g_string_append_printf (names, "%s'%s'", names->len > 0 ? ", " : "", input);
    }
  if (names->len > 0)
    list_node (context, node, "its parameters %s stay in floating point: this target has no quantizers for them",
               names->str);
}

/* A grid that nobody reads serves nothing: rules leave every reader of the tensor in floating point. */
static gboolean
readers_are_skipped (Context *context, const char *tensor)
{
  g_autoptr (GPtrArray) consumers = ht_graph_list_consumers (context->graph, tensor);

  for (guint i = 0; i < consumers->len; i++)
    if (!ht_quantization_config_is_skipped (context->config, g_ptr_array_index (consumers, i)))
      return FALSE;
  return consumers->len > 0;
}

static gboolean
place_inputs (Context *context, GError **error)
{
  const char *const *inputs = ht_graph_get_inputs (context->graph);

  for (guint i = 0; inputs[i]; i++)
    {
      HtDataType type = ht_graph_get_data_type (context->graph, inputs[i]);

      if (ht_graph_is_constant (context->graph, inputs[i]))
        continue;
      if (type != HT_DATA_TYPE_FLOAT)
        {
          if (ht_data_type_is_float (type))
            list_tensor (context, inputs[i], "left in floating point: a network input of type %s, not float32",
                         ht_data_type_get_name (type));
          continue;
        }
      if (ht_graph_count_uses (context->graph, inputs[i]) == 0 || ht_tensor_is_shape_only (context->graph, inputs[i]))
        continue;
      if (readers_are_skipped (context, inputs[i]))
        {
          list_tensor (context, inputs[i], "left in floating point: rules leave all that reads it so");
          continue;
        }
      if (!place (context, inputs[i], HT_OPERAND_ACTIVATION, FALSE, -1, NULL, 0, "network input", error))
        return FALSE;
    }
  return TRUE;
}

/* The grid that all data inputs of a node share: NULL when they have none; `mixed` when they differ. */
static const char *
find_shared_grid (Context *context, HtNode *node, gboolean *mixed)
{
  const char *shared = NULL;
  gboolean first = TRUE;

  *mixed = FALSE;
  for (guint i = 0; i < ht_node_get_n_inputs (node); i++)
    {
      const char *input = ht_node_get_input (node, i);
      const char *grid;

      if (input[0] == '\0' || ht_graph_get_data_type (context->graph, input) != HT_DATA_TYPE_FLOAT
          || classify (context, node, i, NULL) != HT_OPERAND_ACTIVATION)
        continue;
      grid = g_hash_table_lookup (context->result->grids, input);
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

static gboolean
place_output (Context *context, HtNode *node, const char *tensor, GPtrArray *chain, GError **error)
{
  HtDataType type = ht_graph_get_data_type (context->graph, tensor);
  g_autofree char *reason = NULL;

  if (type == HT_DATA_TYPE_UNDEFINED)
    {
      list_node (context, node, "the element type of its output '%s' is not known", tensor);
      return TRUE;
    }
  if (type != HT_DATA_TYPE_FLOAT)
    {
      if (ht_data_type_is_float (type))
        list_node (context, node, "its output '%s' is %s, not float32", tensor, ht_data_type_get_name (type));
      return TRUE;
    }
  if (!ht_graph_is_output (context->graph, tensor)
      && (ht_graph_count_uses (context->graph, tensor) == 0 || ht_tensor_is_shape_only (context->graph, tensor)))
    return TRUE;
  reason = describe_chain (chain);
  return place (context, tensor, HT_OPERAND_ACTIVATION, FALSE, -1, (HtNode *const *)chain->pdata, chain->len, reason,
                error);
}

static void
list_subgraphs (Context *context, HtNode *node)
{
  g_auto (GStrv) attributes = ht_node_list_attributes (node);

  for (guint i = 0; attributes[i]; i++)
    {
      HtAttributeType type = ht_node_get_attribute_type (node, attributes[i]);

      if (type == HT_ATTRIBUTE_GRAPH || type == HT_ATTRIBUTE_GRAPHS)
        list_node (context, node, "its subgraph '%s' is left in floating point", attributes[i]);
    }
}

/* The node of a chain that a rule leaves in floating point, or NULL. */
static HtNode *
find_skipped_member (Context *context, GPtrArray *chain)
{
  for (guint i = 0; i < chain->len; i++)
    if (ht_quantization_config_is_skipped (context->config, g_ptr_array_index (chain, i)))
      return g_ptr_array_index (chain, i);
  return NULL;
}

static gboolean
place_node_outputs (Context *context, HtNode *node, GPtrArray *chain, GError **error)
{
  for (guint i = 0; i < ht_node_get_n_outputs (node); i++)
    {
      const char *output = ht_node_get_output (node, i);
      const char *grid = NULL;
      gboolean mixed = TRUE;

      if (output[0] == '\0' || g_hash_table_contains (context->interior, output)
          || ht_graph_is_constant (context->graph, output))
        continue;
      if (ht_node_keeps_grid (context->graph, node))
        grid = find_shared_grid (context, node, &mixed);
      if (grid)
        g_hash_table_insert (context->result->grids, g_strdup (output), g_strdup (grid));
      else if (mixed && !find_skipped_member (context, chain) && !place_output (context, node, output, chain, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
place_node (Context *context, HtNode *node, GError **error)
{
  GPtrArray *chain = g_hash_table_lookup (context->groups, node);
  const char *domain = ht_node_get_domain (node);
  HtNode *left_out = find_skipped_member (context, chain);
  g_autofree char *label = left_out ? ht_node_label (left_out) : NULL;

  list_subgraphs (context, node);
  if (makes_constant (context, node))
    return TRUE;
  if (!ht_operator_find (domain, ht_node_get_op_type (node), ht_graph_get_opset (context->graph, domain)))
    {
      list_node (context, node, "an operator that Halftone does not know");
      return TRUE;
    }
  if (ht_quantization_config_is_skipped (context->config, node))
    list_node (context, node, "a rule leaves it in floating point");
  else if (left_out && node == g_ptr_array_index (chain, chain->len - 1))
    list_node (context, node, "its output stays in floating point, as a rule has it for %s, which it is quantized with",
               label);
  list_parameters (context, node);
  for (guint i = 0; i < ht_node_get_n_inputs (node); i++)
    {
      const char *input = ht_node_get_input (node, i);

      if (input[0] == '\0' || !ht_graph_is_constant (context->graph, input)
          || ht_quantization_config_is_skipped (context->config, node))
        continue;
      if (!place_constant (context, node, i, left_out == NULL, error))
        return FALSE;
    }
  return place_node_outputs (context, node, chain, error);
}

static void
context_clear (Context *context)
{
  g_hash_table_unref (context->functions);
  g_hash_table_unref (context->groups);
  g_hash_table_unref (context->interior);
  g_hash_table_unref (context->placed);
  g_hash_table_unref (context->shielded);
  g_hash_table_unref (context->listed);
}

HtPlacement *
ht_placement_new (HtGraph *graph, HtQuantizationConfig *config, GError **error)
{
  g_autoptr (HtPlacement) self = g_new0 (HtPlacement, 1);
  Context context = { .graph = graph, .config = config, .result = self };
  gboolean ok;

  self->quantizers = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_quantizer_unref);
  self->grids = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->skipped = g_ptr_array_new_with_free_func (g_free);
  context.groups = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify)g_ptr_array_unref);
  context.functions = g_hash_table_new (NULL, NULL);
  context.interior = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  context.placed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  context.shielded = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  context.listed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  find_groups (&context);
  find_shielded (&context);
  ok = place_inputs (&context, error);
  for (guint i = 0; ok && i < ht_graph_get_n_nodes (graph); i++)
    ok = place_node (&context, ht_graph_get_node (graph, i), error);
  context_clear (&context);
  return ok ? g_steal_pointer (&self) : NULL;
}

void
ht_placement_free (HtPlacement *self)
{
  g_ptr_array_unref (self->quantizers);
  g_hash_table_unref (self->grids);
  g_ptr_array_unref (self->skipped);
  g_free (self);
}
