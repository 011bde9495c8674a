/* SPDX-License-Identifier: MIT */
#include "quant/supergroup.h"

#include "quant/gelu.h"

#include <string.h>

typedef enum
{
  STAGE_HEAD,
  STAGE_BIAS,
  STAGE_NORM,
  STAGE_CLAMP,
} Stage;

static gboolean
is_any_op (HtNode *node, const char *const *op_types)
{
  for (; *op_types; op_types++)
    if (ht_node_is_op (node, *op_types))
      return TRUE;
  return FALSE;
}

static gboolean
is_layer (HtNode *node)
{
  static const char *const op_types[] = { "Conv", "ConvTranspose", "Gemm", "MatMul", NULL };

  return is_any_op (node, op_types);
}

/* All inputs but the one that is the chain's are absent or constant. */
static gboolean
others_are_constant (HtGraph *graph, HtNode *node, const char *data)
{
  guint n_data = 0;

  for (guint i = 0; i < ht_node_get_n_inputs (node); i++)
    {
      const char *input = ht_node_get_input (node, i);

      if (data && strcmp (input, data) == 0)
        n_data++;
      else if (input[0] != '\0' && !ht_graph_is_constant (graph, input))
        {
          if (data)
            return FALSE;
          n_data++;
        }
    }
  return n_data == 1;
}

static gboolean
is_clamp (HtGraph *graph, HtNode *node, const char *data)
{
  static const char *const plain[] = { "Relu", "LeakyRelu", NULL };
  static const char *const first[] = { "Clip", "PRelu", NULL };
  static const char *const any[] = { "Min", "Max", NULL };

  if (is_any_op (node, plain))
    return TRUE;
  if (is_any_op (node, first))
    return ht_node_get_n_inputs (node) > 0 && !ht_graph_is_constant (graph, ht_node_get_input (node, 0))
           && others_are_constant (graph, node, data);
  return is_any_op (node, any) && others_are_constant (graph, node, data);
}

/* A constant with one value a channel (or one in all) added to the output of a layer. */
static gboolean
is_bias_add (HtGraph *graph, HtNode *node, const char *data, HtNode *layer)
{
  g_autoptr (HtTensor) bias = NULL;
  HtShape *shape = NULL;
  const gint64 *dims;
  guint n_dims, rank, channel_axis;

  if (!ht_node_is_op (node, "Add") || ht_node_get_n_inputs (node) != 2 || !others_are_constant (graph, node, data))
    return FALSE;
  bias = ht_graph_get_constant (graph,
                                ht_node_get_input (node, strcmp (ht_node_get_input (node, 0), data) == 0 ? 1 : 0));
  shape = ht_graph_get_shape (graph, data);
  if (!bias || !shape)
    return FALSE;
  dims = ht_tensor_get_dims (bias, &n_dims);
  rank = ht_shape_get_n_dims (shape);
  if (rank == 0 || n_dims > rank)
    return FALSE;
  channel_axis = ht_node_is_op (layer, "Gemm") || ht_node_is_op (layer, "MatMul") ? rank - 1 : 1;
  for (guint i = 0; i < n_dims; i++)
    if (dims[i] != 1 && rank - n_dims + i != channel_axis)
      return FALSE;
  return TRUE;
}

static HtNode *
get_only_consumer (HtGraph *graph, const char *tensor)
{
  g_autoptr (GPtrArray) consumers = NULL;

  if (ht_graph_is_output (graph, tensor) || ht_graph_count_uses (graph, tensor) != 1)
    return NULL;
  consumers = ht_graph_list_consumers (graph, tensor);
  return consumers->len == 1 ? g_ptr_array_index (consumers, 0) : NULL;
}

/* The next node of a chain, if it is of this type and reads the tensor at this input (-1: any, the others constant). */
static HtNode *
follow (HtGraph *graph, GPtrArray *nodes, HtNode *from, const char *op_type, gint index)
{
  const char *tensor = ht_node_get_output (from, 0);
  HtNode *next = get_only_consumer (graph, tensor);

  if (!next || !ht_node_is_op (next, op_type))
    return NULL;
  if (index < 0
          ? !others_are_constant (graph, next, tensor)
          : (guint)index >= ht_node_get_n_inputs (next) || strcmp (ht_node_get_input (next, (guint)index), tensor) != 0)
    return NULL;
  g_ptr_array_add (nodes, next);
  return next;
}

/* The node that squares a tensor, as Pow (d, 2) or Mul (d, d), when all other uses are one Div. */
static HtNode *
find_square (HtGraph *graph, const char *tensor)
{
  g_autoptr (GPtrArray) consumers = ht_graph_list_consumers (graph, tensor);
  HtNode *square = NULL;
  guint n_uses = 1;

  if (consumers->len != 2 || ht_graph_is_output (graph, tensor))
    return NULL;
  for (guint i = 0; i < 2; i++)
    {
      HtNode *node = g_ptr_array_index (consumers, i);
      gboolean first = strcmp (ht_node_get_input (node, 0), tensor) == 0;

      if (ht_node_is_op (node, "Mul") && first && strcmp (ht_node_get_input (node, 1), tensor) == 0)
        {
          square = node;
          n_uses += 2;
        }
      else if (ht_node_is_op (node, "Pow") && first)
        {
          g_autoptr (HtTensor) exponent = ht_graph_get_constant (graph, ht_node_get_input (node, 1));

          if (exponent && ht_tensor_get_n_elements (exponent) == 1 && ht_tensor_get_double (exponent, 0) == 2)
            square = node;
          n_uses++;
        }
    }
  return ht_graph_count_uses (graph, tensor) == n_uses ? square : NULL;
}

/* A layer normalization written out: d = x - mean (x); d / sqrt (mean (d^2) + epsilon), then gain and bias. */
static GPtrArray *
collect_layer_norm (HtGraph *graph, HtNode *head)
{
  g_autoptr (GPtrArray) nodes = g_ptr_array_new ();
  HtNode *difference, *square, *node;

  g_ptr_array_add (nodes, head);
  difference = follow (graph, nodes, head, "Sub", 1);
  if (!difference || strcmp (ht_node_get_input (difference, 0), ht_node_get_input (head, 0)) != 0)
    return NULL;
  square = find_square (graph, ht_node_get_output (difference, 0));
  if (!square)
    return NULL;
  g_ptr_array_add (nodes, square);
  if (!(node = follow (graph, nodes, square, "ReduceMean", 0)) || !(node = follow (graph, nodes, node, "Add", -1))
      || !(node = follow (graph, nodes, node, "Sqrt", 0)) || !(node = follow (graph, nodes, node, "Div", 1))
      || strcmp (ht_node_get_input (node, 0), ht_node_get_output (difference, 0)) != 0)
    return NULL;
  node = follow (graph, nodes, node, "Mul", -1);
  if (node)
    follow (graph, nodes, node, "Add", -1);
  return g_steal_pointer (&nodes);
}

GPtrArray *
ht_supergroup_collect_function (HtGraph *graph, HtNode *anchor)
{
  return ht_node_is_op (anchor, "ReduceMean") ? collect_layer_norm (graph, anchor) : ht_gelu_collect (graph, anchor);
}

GPtrArray *
ht_supergroup_collect (HtGraph *graph, HtNode *head)
{
  GPtrArray *nodes = g_ptr_array_new ();
  gboolean with_layer = is_layer (head);
  Stage stage = STAGE_HEAD;

  g_ptr_array_add (nodes, head);
  if (is_clamp (graph, head, NULL))
    stage = STAGE_CLAMP;
  else if (!with_layer && !ht_node_is_op (head, "Add"))
    return nodes;
  for (;;)
    {
      HtNode *last = g_ptr_array_index (nodes, nodes->len - 1);
      const char *tensor = ht_node_get_n_outputs (last) > 0 ? ht_node_get_output (last, 0) : "";
      HtNode *next = tensor[0] != '\0' ? get_only_consumer (graph, tensor) : NULL;

      if (!next)
        return nodes;
      if (stage < STAGE_BIAS && with_layer && is_bias_add (graph, next, tensor, head))
        stage = STAGE_BIAS;
      else if (stage < STAGE_NORM && ht_node_is_op (next, "BatchNormalization")
               && strcmp (ht_node_get_input (next, 0), tensor) == 0)
        stage = STAGE_NORM;
      else if (is_clamp (graph, next, tensor))
        stage = STAGE_CLAMP;
      else
        return nodes;
      g_ptr_array_add (nodes, next);
    }
}
