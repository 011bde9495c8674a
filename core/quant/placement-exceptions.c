/* SPDX-License-Identifier: MIT */
/* What holds for single tensors beside the words of a target file: parameters of normalizations, products of two
 * activations. */
#include "quant/placement-private.h"

#include <string.h>

static void
add_exception (HtDraft *self, const char *key, JsonNode *value, const char *origin)
{
  HtSettingException *exception = g_new0 (HtSettingException, 1);

  exception->key = g_strdup (key);
  exception->value = value;
  exception->origin = g_strdup (origin);
  g_ptr_array_add (self->exceptions, exception);
}

void
ht_draft_add_flag (HtDraft *self, const char *key, gboolean value, const char *origin)
{
  add_exception (self, key, json_node_init_boolean (json_node_alloc (), value), origin);
}

void
ht_draft_add_bits (HtDraft *self, guint bits, const char *origin)
{
  add_exception (self, "bits", json_node_init_int (json_node_alloc (), bits), origin);
}

static const char **
list_readers (HtPlacing *self, HtDraft *draft)
{
  g_autoptr (GPtrArray) consumers = ht_graph_list_consumers (self->graph, draft->tensor);
  const char **types = g_new0 (const char *, consumers->len + 1);

  for (guint i = 0; i < consumers->len; i++)
    types[i] = ht_node_get_op_type (g_ptr_array_index (consumers, i));
  return types;
}

HtQuantizerSettings *
ht_placing_resolve (HtPlacing *self, HtDraft *draft, GHashTable *origins, GError **error)
{
  g_autofree const char **readers = draft->is_weight ? NULL : list_readers (self, draft);
  HtTargetUse use = { draft->is_weight, draft->kind, draft->op_type, readers };

  return ht_quantization_config_resolve_use (self->config, &use, draft->exceptions, draft->least_bits,
                                             (HtNode *const *)draft->nodes->pdata, draft->nodes->len, origins, error);
}

static gboolean
get_settings (HtPlacing *self, HtDraft *draft, guint *bits, gboolean *symmetric, GError **error)
{
  g_autoptr (HtQuantizerSettings) settings = ht_placing_resolve (self, draft, NULL, error);

  if (!settings)
    return FALSE;
  *bits = ht_quantizer_settings_get_bits (settings);
  *symmetric = ht_quantizer_settings_get_symmetric (settings);
  return TRUE;
}

/* Kernels before version 73 know weights of 8 bits only. */
static gboolean
is_old (HtPlacing *self)
{
  return self->target->hw_version > 0 && self->target->hw_version < 73;
}

static gboolean
adjust_norm_parameter (HtPlacing *self, HtDraft *draft, HtDraft *output, GError **error)
{
  static const char *const as_output[] = { "GroupNormalization", "InstanceNormalization", "RMSNormalization", NULL };
  static const char *const as_bits[] = { "LayerNormalization", "BatchNormalization", NULL };
  guint bits;
  gboolean symmetric = FALSE;

  if (g_strv_contains (as_output, draft->op_type))
    {
      const char *origin = "norm-parameters-as-reference: as the output of the normalization";

      if (output && !get_settings (self, output, &bits, &symmetric, error))
        return FALSE;
      if (output)
        ht_draft_add_bits (draft, bits, origin);
      ht_draft_add_flag (draft, "symmetric", symmetric, origin);
    }
  else if (g_strv_contains (as_bits, draft->op_type))
    {
      if (!get_settings (self, draft, &bits, &symmetric, error))
        return FALSE;
      if (is_old (self))
        ht_draft_add_bits (draft, 8, "norm-parameters-as-reference: 8 bits before V73");
      ht_draft_add_flag (draft, "symmetric", bits >= 16 && !is_old (self),
                         "norm-parameters-as-reference: symmetric from 16 bits on");
    }
  return TRUE;
}

static gboolean
adjust_norms (HtPlacing *self, GError **error)
{
  for (guint i = 0; i < self->drafts->len; i++)
    {
      HtDraft *draft = g_ptr_array_index (self->drafts, i);
      HtNode *node = draft->nodes->len > 0 ? g_ptr_array_index (draft->nodes, 0) : NULL;
      HtDraft *output = NULL;

      if (!draft->is_weight || draft->least_bits == 0 || !node)
        continue;
      if (ht_node_get_n_outputs (node) > 0)
        output = ht_placing_find (self, ht_node_get_output (node, 0));
      if (!adjust_norm_parameter (self, draft, output, error))
        return FALSE;
    }
  return TRUE;
}

/* An activation where a layer has its weight gets the symmetry that the weight would have. */
static void
adjust_dynamic_weight (HtPlacing *self, HtNode *node)
{
  const char *op_type = ht_placing_get_op_type (self, node);
  HtTargetOp *op = ht_target_find_op (self->target, op_type);
  HtTargetParam *param = op ? g_hash_table_lookup (op->params, "weight") : NULL;
  HtTargetWord *word = &self->target->params.symmetric;
  HtDraft *draft = ht_placing_find_grid (self, ht_node_get_input (node, 1));

  if (!draft)
    return;
  if (param && param->symmetric.value >= 0)
    word = &param->symmetric;
  ht_draft_add_flag (draft, "symmetric", word->value == TRUE, "dynamic-operands-as-parameters: as a weight");
}

static gboolean
adjust_dynamic_product (HtPlacing *self, HtNode *node, GError **error)
{
  HtDraft *first = ht_placing_find_grid (self, ht_node_get_input (node, 0));
  HtDraft *second = ht_placing_find_grid (self, ht_node_get_input (node, 1));
  guint bits;
  gboolean symmetric;

  if (!first || !second || self->target->hw_version == 0)
    return TRUE;
  if (is_old (self))
    {
      ht_draft_add_flag (second, "symmetric", TRUE,
                         "hw_version: the second factor of a product is symmetric before V73");
      ht_draft_add_bits (second, 8, "hw_version: the second factor of a product has 8 bits before V73");
      return TRUE;
    }
  if (!get_settings (self, second, &bits, &symmetric, error))
    return FALSE;
  if (bits == 16)
    {
      ht_draft_add_flag (second, "symmetric", TRUE, "hw_version: a second factor of 16 bits is symmetric");
      ht_draft_add_bits (first, 16, "hw_version: a second factor of 16 bits needs a first one of 16 bits");
    }
  return TRUE;
}

static gboolean
is_dynamic (HtPlacing *self, HtNode *node, const char *const *op_types)
{
  return g_strv_contains (op_types, ht_node_get_op_type (node)) && ht_node_get_n_inputs (node) > 1
         && !ht_graph_is_constant (self->graph, ht_node_get_input (node, 1));
}

gboolean
ht_placing_add_exceptions (HtPlacing *self, GError **error)
{
  static const char *const layers[] = { "Conv", "ConvTranspose", "Gemm", "MatMul", NULL };
  static const char *const products[] = { "MatMul", NULL };
  HtTargetSwitches *switches = &self->target->switches;

  for (guint i = 0; switches->dynamic_operands_as_parameters && i < ht_graph_get_n_nodes (self->graph); i++)
    if (is_dynamic (self, ht_graph_get_node (self->graph, i), layers))
      adjust_dynamic_weight (self, ht_graph_get_node (self->graph, i));
  if (switches->norm_parameters_as_reference && !adjust_norms (self, error))
    return FALSE;
  for (guint i = 0; i < ht_graph_get_n_nodes (self->graph); i++)
    if (is_dynamic (self, ht_graph_get_node (self->graph, i), products)
        && !adjust_dynamic_product (self, ht_graph_get_node (self->graph, i), error))
      return FALSE;
  return TRUE;
}
