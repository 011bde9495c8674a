/* SPDX-License-Identifier: MIT */
/* Which constants get a quantizer: weights, other parameters that the target quantizes, operands that are data. */
#include "quant/placement-private.h"

#include <string.h>

/* What the format of target files calls an input that is a parameter. */
static const struct
{
  const char *op_type;
  guint index;
  const char *kind;
} kinds[] = {
  { "Conv", 1, "weight" },
  { "Conv", 2, "bias" },
  { "ConvTranspose", 1, "weight" },
  { "ConvTranspose", 2, "bias" },
  { "Gemm", 0, "weight" },
  { "Gemm", 1, "weight" },
  { "Gemm", 2, "bias" },
  { "MatMul", 0, "weight" },
  { "MatMul", 1, "weight" },
  { "LSTM", 1, "weight" },
  { "LSTM", 2, "weight_r" },
  { "LSTM", 3, "bias" },
  { "GRU", 1, "weight" },
  { "GRU", 2, "weight_r" },
  { "GRU", 3, "bias" },
  { "RNN", 1, "weight" },
  { "RNN", 2, "weight_r" },
  { "RNN", 3, "bias" },
  { "BatchNormalization", 1, "weight" },
  { "BatchNormalization", 2, "bias" },
  { "BatchNormalization", 3, "running_mean" },
  { "BatchNormalization", 4, "running_var" },
  { "InstanceNormalization", 1, "weight" },
  { "InstanceNormalization", 2, "bias" },
  { "LayerNormalization", 1, "weight" },
  { "LayerNormalization", 2, "bias" },
  { "GroupNormalization", 1, "weight" },
  { "GroupNormalization", 2, "bias" },
  { "RMSNormalization", 1, "weight" },
};

/* Constants that a group adds or multiplies inside are its bias and its parameters, not data. */
HtOperandKind
ht_placing_classify (HtPlacing *self, HtNode *node, guint index, gint *axis)
{
  HtOperandKind kind = ht_operand_classify (self->graph, node, index, axis);
  GPtrArray *chain = g_hash_table_lookup (self->groups, node);

  /* The reference knows the second factor alone as a parameter. */
  if (kind == HT_OPERAND_WEIGHT && index == 0 && self->target->switches.constants == HT_TARGET_CONSTANTS_ALL)
    kind = HT_OPERAND_ACTIVATION;
  if (kind != HT_OPERAND_ACTIVATION || !chain || !ht_graph_is_constant (self->graph, ht_node_get_input (node, index)))
    return kind;
  if (g_hash_table_contains (self->functions, chain))
    return HT_OPERAND_PARAMETER;
  return g_ptr_array_index (chain, 0) == node ? kind : HT_OPERAND_BIAS;
}

/* "weight", "bias", …; NULL: no parameter, but a limit, a slope, an exponent, a shape or data. */
static const char *
find_kind (HtPlacing *self, HtNode *node, guint index)
{
  HtOperandKind operand = ht_placing_classify (self, node, index, NULL);
  GPtrArray *chain = g_hash_table_lookup (self->groups, node);

  if (chain && g_hash_table_contains (self->functions, chain))
    return g_hash_table_lookup (self->roles, ht_node_get_input (node, index));
  if (operand == HT_OPERAND_ACTIVATION)
    return NULL;
  for (gsize i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (kinds[i].index == index && ht_node_is_op (node, kinds[i].op_type))
      return kinds[i].kind;
  return operand == HT_OPERAND_BIAS ? "bias" : NULL;
}

static gboolean
is_normalization (const char *op_type)
{
  return g_str_has_suffix (op_type, "Normalization");
}

/* A constant has one value for all its uses: where one of them needs it in floating point, it stays so. */
void
ht_placing_find_shielded (HtPlacing *self)
{
  for (guint i = 0; i < ht_graph_get_n_nodes (self->graph); i++)
    {
      HtNode *node = ht_graph_get_node (self->graph, i);

      for (guint k = 0; !ht_placing_makes_constant (self, node) && k < ht_node_get_n_inputs (node); k++)
        {
          const char *input = ht_node_get_input (node, k);
          HtOperandKind kind;

          if (input[0] == '\0' || !ht_graph_is_constant (self->graph, input))
            continue;
          kind = ht_placing_classify (self, node, k, NULL);
          if (kind == HT_OPERAND_BIAS || kind == HT_OPERAND_PARAMETER || kind == HT_OPERAND_ARGUMENT)
            g_hash_table_add (self->shielded, g_strdup (input));
        }
    }
}

/* Which quantizer a constant that several nodes share gets; the later ones only add what contradicts it. */
static void
check_shared (HtPlacing *self, HtNode *node, HtDraft *draft, gboolean is_weight, gint axis)
{
  g_autoptr (HtQuantizerSettings) settings = NULL;

  if (draft->is_weight == is_weight && (!is_weight || draft->axis == axis))
    return;
  if (draft->is_weight == is_weight)
    {
      settings = ht_placing_resolve (self, draft, NULL, NULL);
      if (settings && ht_quantizer_settings_get_granularity (settings) != HT_GRANULARITY_CHANNEL)
        return;
    }
  ht_placing_list_node (self, node,
                        "the constant '%s' is shared with another node that asks for another grid; it has that of %s",
                        draft->tensor, draft->reason);
}

/* The reference takes an initializer that old files list among the inputs of the network for one of them. */
static gboolean
is_listed_input (HtPlacing *self, const char *tensor)
{
  HtValue *value = g_hash_table_lookup (self->graph->values, tensor);

  return self->target->switches.constants == HT_TARGET_CONSTANTS_ALL && self->target->model_input.value == TRUE && value
         && value->listed_input;
}

static void
place_parameter (HtPlacing *self, HtNode *node, const char *tensor, const char *kind, gint axis)
{
  const char *op_type = ht_placing_get_op_type (self, node);
  g_autofree char *origin = NULL, *where = ht_node_label (node), *reason = NULL;
  g_autoptr (HtTensor) value = NULL;
  HtDraft *draft;

  if (!ht_target_quantizes_param (self->target, op_type, kind, &origin) && !is_listed_input (self, tensor))
    {
      ht_placing_say (self, tensor, "%s", origin);
      return;
    }
  value = ht_graph_get_constant (self->graph, tensor);
  if (value && ht_tensor_get_n_elements (value) == 0)
    return;
  if (axis < 0 && value && ht_tensor_get_n_dims (value) == 1)
    axis = 0;
  else if (axis < 0 && value && ht_tensor_get_n_dims (value) == 2 && ht_node_is_op (node, "Gemm"))
    axis = ht_node_get_int (node, "transB", 0) ? 0 : 1; /* of a bias with two dimensions, as the reference has it */
  reason = g_strdup_printf ("%s of %s", g_str_has_prefix (kind, "weight") ? "weight" : kind, where);
  draft = ht_placing_add (self, tensor, op_type, &node, 1, reason);
  draft->is_weight = draft->is_constant = TRUE;
  draft->axis = axis;
  draft->kind = kind;
  if (is_normalization (op_type))
    draft->least_bits = self->target->switches.least_norm_bits;
}

/* A constant where data could stand too. */
static void
place_operand (HtPlacing *self, HtNode *node, const char *tensor, gboolean shield)
{
  GPtrArray *chain = g_hash_table_lookup (self->groups, node);
  g_autofree char *where = ht_node_label (node), *reason = NULL;
  g_autoptr (HtTensor) value = NULL;
  HtDraft *draft;

  if (self->target->model_input.value != TRUE
      && !ht_target_quantizes_inputs (self->target, ht_placing_get_op_type (self, node)))
    {
      ht_placing_say (self, tensor, "target '%s' does not quantize constants that a %s reads",
                      ht_target_get_name (self->target), ht_node_get_op_type (node));
      return;
    }
  if (shield && g_hash_table_contains (self->shielded, tensor))
    {
      ht_placing_list_tensor (
          self, tensor, "left in floating point: %s uses it as data, another node as a bias or a parameter", where);
      return;
    }
  value = ht_graph_get_constant (self->graph, tensor);
  if (value && ht_tensor_get_n_elements (value) == 0)
    return;
  if (value && !ht_tensor_is_finite (value))
    {
      ht_placing_list_tensor (self, tensor, "left in floating point: a constant of %s with infinite values", where);
      return;
    }
  reason = g_strdup_printf ("constant operand of %s", where);
  draft = ht_placing_add (self, tensor, NULL, (HtNode *const *)chain->pdata, chain->len, reason);
  draft->is_constant = TRUE;
}

static void
place_constant (HtPlacing *self, HtNode *node, guint index, gboolean with_output)
{
  const char *tensor = ht_node_get_input (node, index);
  gint axis;
  HtOperandKind operand = ht_placing_classify (self, node, index, &axis);
  const char *kind = find_kind (self, node, index);
  GPtrArray *chain = g_hash_table_lookup (self->groups, node);
  gboolean all = self->target->switches.constants == HT_TARGET_CONSTANTS_ALL;
  gboolean is_operand = operand == HT_OPERAND_ACTIVATION;
  HtDraft *present;

  if (ht_graph_get_data_type (self->graph, tensor) != HT_DATA_TYPE_FLOAT)
    {
      if (operand == HT_OPERAND_WEIGHT)
        ht_placing_list_node (self, node, "its weight '%s' is not float32", tensor);
      return;
    }
  /* Limits and slopes count as data to some targets, what is inside of a function to none. */
  if (!kind && all && !g_hash_table_contains (self->functions, chain)
      && (operand == HT_OPERAND_PARAMETER || (operand == HT_OPERAND_ARGUMENT && !ht_node_is_op (node, "Resize"))))
    is_operand = TRUE;
  if ((operand == HT_OPERAND_ARGUMENT && !is_operand) || (is_operand && !with_output) || (!is_operand && !kind))
    return;
  present = ht_placing_find (self, tensor);
  if (present && (is_operand || operand == HT_OPERAND_WEIGHT))
    check_shared (self, node, present, !is_operand, axis);
  else if (!present && is_operand)
    place_operand (self, node, tensor, operand == HT_OPERAND_ACTIVATION);
  else if (!present)
    place_parameter (self, node, tensor, kind, axis);
}

/* The parameters of a node that this target has no quantizers for, on one line. */
static void
list_parameters (HtPlacing *self, HtNode *node)
{
  g_autoptr (GString) names = g_string_new (NULL);
  GPtrArray *chain = g_hash_table_lookup (self->groups, node);
  gboolean all
      = self->target->switches.constants == HT_TARGET_CONSTANTS_ALL && !g_hash_table_contains (self->functions, chain);

  for (guint i = 0; i < ht_node_get_n_inputs (node); i++)
    {
      const char *input = ht_node_get_input (node, i);
      const char *kind;
      g_autofree char *origin = NULL;

      if (input[0] == '\0' || ht_placing_classify (self, node, i, NULL) != HT_OPERAND_PARAMETER
          || !ht_graph_is_constant (self->graph, input)
          || ht_graph_get_data_type (self->graph, input) != HT_DATA_TYPE_FLOAT)
        continue;
      kind = find_kind (self, node, i);
      if (kind ? ht_target_quantizes_param (self->target, ht_placing_get_op_type (self, node), kind, &origin) : all)
        continue;
      g_string_append_printf (names, "%s'%s'", names->len > 0 ? ", " : "", input);
      if (!origin)
        origin
            = g_strdup_printf ("a parameter that target '%s' has no quantizer for", ht_target_get_name (self->target));
      ht_placing_say (self, input, "%s", origin);
    }
  if (names->len > 0)
    ht_placing_list_node (
        self, node, "its parameters %s stay in floating point: this target has no quantizers for them", names->str);
}

void
ht_placing_place_constants (HtPlacing *self, HtNode *node)
{
  gboolean with_output = ht_placing_find_skipped (self, g_hash_table_lookup (self->groups, node)) == NULL;
  g_autofree char *rule = ht_quantization_config_find_skip (self->config, node);

  list_parameters (self, node);
  for (guint i = 0; i < ht_node_get_n_inputs (node); i++)
    {
      const char *input = ht_node_get_input (node, i);

      if (input[0] == '\0' || !ht_graph_is_constant (self->graph, input))
        continue;
      if (rule)
        ht_placing_say (self, input, "%s leaves its reader '%s' in floating point", rule, ht_node_get_name (node));
      else
        place_constant (self, node, i, with_output);
    }
}
