/* SPDX-License-Identifier: MIT */
#include "quant/supergroup.h"

#include "graph/written-out.h"

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
      HtNode *next = ht_graph_get_only_reader (graph, tensor);

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
