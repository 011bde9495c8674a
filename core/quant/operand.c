/* SPDX-License-Identifier: MIT */
#include "quant/operand.h"

#include "graph/operator.h"

#include <string.h>

typedef struct
{
  const char *op_type;
  guint first, last; /* input positions */
  HtOperandKind kind;
} Position;

#define LAST G_MAXUINT

/* Positions that are never data, whether constant or not. */
static const Position fixed_positions[] = {
  { "BatchNormalization", 1, LAST, HT_OPERAND_PARAMETER },
  { "InstanceNormalization", 1, LAST, HT_OPERAND_PARAMETER },
  { "LayerNormalization", 1, LAST, HT_OPERAND_PARAMETER },
  { "GroupNormalization", 1, LAST, HT_OPERAND_PARAMETER },
  { "RMSNormalization", 1, LAST, HT_OPERAND_PARAMETER },
  { "Clip", 1, LAST, HT_OPERAND_PARAMETER },
  { "Resize", 1, LAST, HT_OPERAND_ARGUMENT },
  { "Upsample", 1, LAST, HT_OPERAND_ARGUMENT },
  { "Pad", 1, LAST, HT_OPERAND_ARGUMENT },
  { "Dropout", 1, LAST, HT_OPERAND_ARGUMENT },
  { "Range", 0, LAST, HT_OPERAND_ARGUMENT },
  { "Shape", 0, LAST, HT_OPERAND_ARGUMENT },
  { "Size", 0, LAST, HT_OPERAND_ARGUMENT },
  { "OneHot", 1, LAST, HT_OPERAND_ARGUMENT },
  { "If", 0, LAST, HT_OPERAND_ARGUMENT },
};

/* Positions that are something else when a constant stands there. */
static const Position constant_positions[] = {
  { "Conv", 1, 1, HT_OPERAND_WEIGHT },
  { "Conv", 2, 2, HT_OPERAND_BIAS },
  { "ConvTranspose", 1, 1, HT_OPERAND_WEIGHT },
  { "ConvTranspose", 2, 2, HT_OPERAND_BIAS },
  { "Gemm", 0, 1, HT_OPERAND_WEIGHT },
  { "Gemm", 2, 2, HT_OPERAND_BIAS },
  { "MatMul", 0, 1, HT_OPERAND_WEIGHT },
  { "LSTM", 1, 2, HT_OPERAND_WEIGHT },
  { "LSTM", 3, 3, HT_OPERAND_BIAS },
  { "LSTM", 4, LAST, HT_OPERAND_PARAMETER },
  { "GRU", 1, 2, HT_OPERAND_WEIGHT },
  { "GRU", 3, 3, HT_OPERAND_BIAS },
  { "GRU", 4, LAST, HT_OPERAND_PARAMETER },
  { "RNN", 1, 2, HT_OPERAND_WEIGHT },
  { "RNN", 3, 3, HT_OPERAND_BIAS },
  { "RNN", 4, LAST, HT_OPERAND_PARAMETER },
  { "PRelu", 1, 1, HT_OPERAND_PARAMETER },
  { "Pow", 1, 1, HT_OPERAND_PARAMETER }, /* an exponent off by one step makes NaN of negative bases */
  { "Min", 0, LAST, HT_OPERAND_PARAMETER },
  { "Max", 0, LAST, HT_OPERAND_PARAMETER },
};

static const Position *
find_position (const Position *positions, gsize n_positions, HtNode *node, guint index)
{
  for (gsize i = 0; i < n_positions; i++)
    if (ht_node_is_op (node, positions[i].op_type) && index >= positions[i].first && index <= positions[i].last)
      return &positions[i];
  return NULL;
}

static gint
weight_axis (HtGraph *graph, HtNode *node, guint index)
{
  g_autoptr (HtTensor) value = NULL;
  gint rank;

  if (ht_node_is_op (node, "Conv"))
    return 0;
  if (ht_node_is_op (node, "ConvTranspose"))
    return ht_node_get_int (node, "group", 1) == 1 ? 1 : -1;
  if (ht_node_is_op (node, "Gemm"))
    {
      if (index == 0)
        return ht_node_get_int (node, "transA", 0) ? 1 : 0;
      return ht_node_get_int (node, "transB", 0) ? 0 : 1;
    }
  if (!ht_node_is_op (node, "MatMul"))
    return -1;
  value = ht_graph_get_constant (graph, ht_node_get_input (node, index));
  rank = value ? (gint) ht_tensor_get_n_dims (value) : 0;
  if (rank < 2)
    return -1;
  return index == 0 ? rank - 2 : rank - 1;
}

HtOperandKind
ht_operand_classify (HtGraph *graph, HtNode *node, guint index, gint *axis)
{
  const Position *position = find_position (fixed_positions, G_N_ELEMENTS (fixed_positions), node, index);
  HtOperandKind kind;

  if (axis)
    *axis = -1;
  if (position)
    return position->kind;
  if (!ht_graph_is_constant (graph, ht_node_get_input (node, index)))
    return HT_OPERAND_ACTIVATION;
  position = find_position (constant_positions, G_N_ELEMENTS (constant_positions), node, index);
  kind = position ? position->kind : HT_OPERAND_ACTIVATION;
  if (kind == HT_OPERAND_WEIGHT && axis)
    *axis = weight_axis (graph, node, index);
  return kind;
}

/* The axis that the products of a weight are summed over. */
static gint
input_axis (HtGraph *graph, HtNode *node, guint index)
{
  gint axis = weight_axis (graph, node, index);

  if (ht_node_is_op (node, "Conv") || ht_node_is_op (node, "Gemm"))
    return axis < 0 ? -1 : 1 - axis;
  if (ht_node_is_op (node, "ConvTranspose"))
    return axis < 0 ? -1 : 0;
  if (!ht_node_is_op (node, "MatMul") || axis < 0)
    return -1;
  return index == 0 ? axis + 1 : axis - 1;
}

gint
ht_operand_find_block_axis (HtGraph *graph, const char *tensor)
{
  g_autoptr (GPtrArray) consumers = ht_graph_list_consumers (graph, tensor);

  for (guint i = 0; i < consumers->len; i++)
    {
      HtNode *node = g_ptr_array_index (consumers, i);

      for (guint k = 0; k < ht_node_get_n_inputs (node); k++)
        if (strcmp (ht_node_get_input (node, k), tensor) == 0
            && ht_operand_classify (graph, node, k, NULL) == HT_OPERAND_WEIGHT)
          return input_axis (graph, node, k);
    }
  return -1;
}

gboolean
ht_tensor_is_shape_only (HtGraph *graph, const char *tensor)
{
  g_autoptr (GPtrArray) consumers = NULL;
  guint n_uses = 0;

  if (ht_graph_is_output (graph, tensor))
    return FALSE;
  consumers = ht_graph_list_consumers (graph, tensor);
  for (guint i = 0; i < consumers->len; i++)
    {
      HtNode *node = g_ptr_array_index (consumers, i);

      for (guint k = 0; k < ht_node_get_n_inputs (node); k++)
        if (strcmp (ht_node_get_input (node, k), tensor) == 0)
          {
            if (ht_operand_classify (graph, node, k, NULL) != HT_OPERAND_ARGUMENT)
              return FALSE;
            n_uses++;
          }
    }
  /* Uses beyond those of the nodes are in the bodies of subgraphs, and taken for data. */
  return ht_graph_count_uses (graph, tensor) <= n_uses;
}

static gboolean
pads_with_zero (HtGraph *graph, HtNode *node)
{
  g_autoptr (HtTensor) value = NULL;

  if (strcmp (ht_node_get_string (node, "mode", "constant"), "constant") != 0)
    return TRUE;
  if (ht_graph_get_opset (graph, "") < 11)
    return ht_node_get_float (node, "value", 0) == 0;
  if (ht_node_get_n_inputs (node) < 3 || ht_node_get_input (node, 2)[0] == '\0')
    return TRUE;
  value = ht_graph_get_constant (graph, ht_node_get_input (node, 2));
  return value && ht_tensor_get_n_elements (value) == 1 && ht_tensor_get_double (value, 0) == 0;
}

gboolean
ht_node_keeps_grid (HtGraph *graph, HtNode *node)
{
  const char *domain = ht_node_get_domain (node);
  const HtOperator *operator = ht_operator_find (domain, ht_node_get_op_type (node), ht_graph_get_opset (graph, domain));

  if (!operator)
    return FALSE;
  if (ht_node_is_op (node, "Concat"))
    return TRUE;
  if (ht_node_is_op (node, "Resize") || ht_node_is_op (node, "Upsample"))
    return strcmp (ht_node_get_string (node, "mode", "nearest"), "nearest") == 0;
  if (ht_node_is_op (node, "Pad"))
    return pads_with_zero (graph, node);
  if (ht_node_is_op (node, "Cast"))
    return ht_graph_get_data_type (graph, ht_node_get_input (node, 0)) == HT_DATA_TYPE_FLOAT;
  return (operator->flags & HT_OP_KEEPS_GRID) != 0;
}
