/* SPDX-License-Identifier: MIT */
/* Weighted layers: recognition and the view of a weight as output channels by input channels. */
#include <halftone/layer.h>

#include "graph/layer-private.h"

#include <math.h>
#include <string.h>

/**
 * HtLayer:
 *
 * A weighted layer (Conv, ConvTranspose, Gemm, or MatMul with a constant operand) seen as output and input channels,
 * whatever its groups, transposes or axis order. It holds its graph; it is valid while the node stays in the graph.
 */
G_DEFINE_BOXED_TYPE (HtLayer, ht_layer, ht_layer_ref, ht_layer_unref)

static HtTensor *
constant_weight (HtGraph *graph, const char *name)
{
  g_autoptr (HtTensor) weight = *name ? ht_graph_get_constant (graph, name) : NULL;
  if (weight == NULL || !ht_data_type_is_float (ht_tensor_get_data_type (weight))
      || ht_tensor_get_n_elements (weight) == 0)
    return NULL;
  return g_steal_pointer (&weight);
}

static gboolean
describe_conv (HtLayer *self, HtTensor *weight, gboolean transposed)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (weight, &n_dims);
  gint64 groups = ht_node_get_int (self->node, "group", 1);
  if (n_dims < 3 || groups < 1 || dims[0] % groups != 0)
    return FALSE;
  self->kind = transposed ? HT_LAYER_CONV_TRANSPOSE : HT_LAYER_CONV;
  self->n_groups = (guint) groups;
  self->n_positions = ht_tensor_get_n_elements (weight) / (gsize) (dims[0] * dims[1]);
  if (transposed)
    {
      self->inputs_per_group = (guint) (dims[0] / groups);
      self->outputs_per_group = (guint) dims[1];
    }
  else
    {
      self->inputs_per_group = (guint) dims[1];
      self->outputs_per_group = (guint) (dims[0] / groups);
    }
  return TRUE;
}

static gboolean
describe_product (HtLayer *self, HtTensor *weight, gboolean transposed)
{
  if (ht_tensor_get_n_dims (weight) != 2)
    return FALSE;
  self->n_groups = 1;
  self->n_positions = 1;
  self->weight_transposed = transposed;
  self->outputs_per_group = (guint) ht_tensor_get_dim (weight, transposed ? 0 : 1);
  self->inputs_per_group = (guint) ht_tensor_get_dim (weight, transposed ? 1 : 0);
  return TRUE;
}

/* The Add that gives a MatMul its bias: its only consumer, with a constant that varies along the last axis only. */
static void
find_bias_add (HtLayer *self)
{
  const char *output = ht_node_get_output (self->node, 0);
  if (ht_graph_count_uses (self->graph, output) != 1 || ht_graph_is_output (self->graph, output))
    return;
  g_autoptr (GPtrArray) consumers = ht_graph_list_consumers (self->graph, output);
  HtNode *add = consumers->len == 1 ? g_ptr_array_index (consumers, 0) : NULL;
  if (add == NULL || !ht_node_is_op (add, "Add") || ht_node_get_n_inputs (add) != 2)
    return;
  guint index = g_str_equal (ht_node_get_input (add, 0), output) ? 1 : 0;
  g_autoptr (HtTensor) bias = constant_weight (self->graph, ht_node_get_input (add, index));
  gint64 n = (gint64) self->outputs_per_group;
  if (bias == NULL || ht_tensor_get_n_dims (bias) != 1 || ht_tensor_get_dim (bias, 0) != n)
    return;
  self->bias_node = ht_node_ref (add);
  self->bias_index = index;
}

/**
 * ht_layer_new:
 * @graph: a graph
 * @node: one of its nodes
 *
 * Looks at @node as a weighted layer.
 *
 * Returns: (transfer full) (nullable): the layer, or %NULL where @node is none: another operator, a weight that is not
 *   constant, a batched MatMul weight, a transposed Gemm input
 */
HtLayer *
ht_layer_new (HtGraph *graph, HtNode *node)
{
  g_return_val_if_fail (HT_IS_GRAPH (graph) && node != NULL, NULL);
  if (ht_node_get_n_inputs (node) < 2 || ht_node_get_n_outputs (node) < 1)
    return NULL;
  g_autoptr (HtTensor) weight = NULL;
  g_autoptr (HtLayer) self = g_new0 (HtLayer, 1);
  self->ref_count = 1;
  self->graph = g_object_ref (graph);
  self->node = ht_node_ref (node);
  gboolean is_conv = ht_node_is_op (node, "Conv"), is_transpose = ht_node_is_op (node, "ConvTranspose");
  gboolean is_gemm = ht_node_is_op (node, "Gemm"), is_matmul = ht_node_is_op (node, "MatMul");
  if (!is_conv && !is_transpose && !is_gemm && !is_matmul)
    return NULL;
  weight = constant_weight (graph, ht_node_get_input (node, 1));
  if (weight == NULL || ht_graph_is_constant (graph, ht_node_get_input (node, 0)))
    return NULL;
  if (is_conv || is_transpose)
    return describe_conv (self, weight, is_transpose) ? g_steal_pointer (&self) : NULL;
  if (is_gemm)
    {
      self->kind = HT_LAYER_GEMM;
      self->alpha = ht_node_get_float (node, "alpha", 1);
      if (ht_node_get_int (node, "transA", 0) != 0
          || !describe_product (self, weight, ht_node_get_int (node, "transB", 0) != 0))
        return NULL;
      return g_steal_pointer (&self);
    }
  self->kind = HT_LAYER_MATMUL;
  if (!describe_product (self, weight, FALSE))
    return NULL;
  find_bias_add (self);
  return g_steal_pointer (&self);
}

/**
 * ht_layer_ref: (skip)
 * @self: a layer
 *
 * Returns: (transfer full): @self
 */
HtLayer *
ht_layer_ref (HtLayer *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_atomic_int_inc (&self->ref_count);
  return self;
}

/**
 * ht_layer_unref: (skip)
 * @self: (transfer full): a layer
 */
void
ht_layer_unref (HtLayer *self)
{
  g_return_if_fail (self != NULL);
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  g_clear_pointer (&self->bias_node, ht_node_unref);
  ht_node_unref (self->node);
  g_object_unref (self->graph);
  g_free (self);
}

/**
 * ht_graph_list_layers:
 * @graph: a graph
 *
 * The weighted layers of @graph in execution order; subgraphs are not entered.
 *
 * Returns: (transfer container) (element-type HtLayer): the layers
 */
GPtrArray *
ht_graph_list_layers (HtGraph *graph)
{
  g_return_val_if_fail (HT_IS_GRAPH (graph), NULL);
  GPtrArray *layers = g_ptr_array_new_with_free_func ((GDestroyNotify) ht_layer_unref);
  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    {
      HtLayer *layer = ht_layer_new (graph, ht_graph_get_node (graph, i));
      if (layer != NULL)
        g_ptr_array_add (layers, layer);
    }
  return layers;
}

/**
 * ht_graph_find_layer:
 * @graph: a graph
 * @output: the name of a tensor
 *
 * Looks for the layer that makes a tensor, the bias of a MatMul included.
 *
 * Returns: (transfer full) (nullable): the layer with that output, or %NULL where no layer makes it
 */
HtLayer *
ht_graph_find_layer (HtGraph *graph, const char *output)
{
  g_return_val_if_fail (HT_IS_GRAPH (graph) && output != NULL, NULL);
  HtNode *producer = ht_graph_get_producer (graph, output);
  if (producer == NULL)
    return NULL;
  g_autoptr (HtLayer) layer = ht_layer_new (graph, producer);
  for (guint i = 0; layer == NULL && ht_node_is_op (producer, "Add") && i < ht_node_get_n_inputs (producer); i++)
    {
      HtNode *product = ht_graph_get_producer (graph, ht_node_get_input (producer, i));
      if (product != NULL && ht_node_is_op (product, "MatMul"))
        layer = ht_layer_new (graph, product);
    }
  return layer != NULL && g_str_equal (ht_layer_get_output (layer), output) ? g_steal_pointer (&layer) : NULL;
}

/**
 * ht_layer_get_graph:
 * @self: a layer
 *
 * Returns: (transfer none): the graph it is part of
 */
HtGraph *
ht_layer_get_graph (HtLayer *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  return self->graph;
}

/**
 * ht_layer_get_node:
 * @self: a layer
 *
 * Returns: (transfer none): the node that multiplies
 */
HtNode *
ht_layer_get_node (HtLayer *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  return self->node;
}

/**
 * ht_layer_get_kind:
 * @self: a layer
 *
 * Returns: its kind
 */
HtLayerKind
ht_layer_get_kind (HtLayer *self)
{
  g_return_val_if_fail (self != NULL, HT_LAYER_CONV);
  return self->kind;
}

/**
 * ht_layer_get_input:
 * @self: a layer
 *
 * Returns: (transfer none): the name of the activation it reads
 */
const char *
ht_layer_get_input (HtLayer *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  return ht_node_get_input (self->node, 0);
}

/**
 * ht_layer_get_output:
 * @self: a layer
 *
 * The tensor it makes: for a MatMul with a bias, what the Add that adds the bias makes.
 *
 * Returns: (transfer none): the name of the tensor
 */
const char *
ht_layer_get_output (HtLayer *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  return ht_node_get_output (self->bias_node != NULL ? self->bias_node : self->node, 0);
}

/**
 * ht_layer_get_weight:
 * @self: a layer
 *
 * Returns: (transfer none): the name of its weight
 */
const char *
ht_layer_get_weight (HtLayer *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  return ht_node_get_input (self->node, 1);
}

/**
 * ht_layer_get_bias:
 * @self: a layer
 *
 * Returns: (transfer none) (nullable): the name of its bias, or %NULL without one
 */
const char *
ht_layer_get_bias (HtLayer *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  if (self->kind == HT_LAYER_MATMUL)
    return self->bias_node != NULL ? ht_node_get_input (self->bias_node, self->bias_index) : NULL;
  if (ht_node_get_n_inputs (self->node) < 3 || *ht_node_get_input (self->node, 2) == '\0')
    return NULL;
  return ht_node_get_input (self->node, 2);
}

/**
 * ht_layer_get_n_output_channels:
 * @self: a layer
 *
 * Returns: the number of output channels, all groups together
 */
guint
ht_layer_get_n_output_channels (HtLayer *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->outputs_per_group * self->n_groups;
}

/**
 * ht_layer_get_n_input_channels:
 * @self: a layer
 *
 * Returns: the number of input channels, all groups together
 */
guint
ht_layer_get_n_input_channels (HtLayer *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->inputs_per_group * self->n_groups;
}

/**
 * ht_layer_get_n_groups:
 * @self: a layer
 *
 * Returns: the number of groups, 1 for a full layer
 */
guint
ht_layer_get_n_groups (HtLayer *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->n_groups;
}

/**
 * ht_layer_is_depthwise:
 * @self: a layer
 *
 * Returns: whether each output channel reads one input channel of its own
 */
gboolean
ht_layer_is_depthwise (HtLayer *self)
{
  g_return_val_if_fail (self != NULL, FALSE);
  return self->n_groups > 1 && self->inputs_per_group == 1 && self->outputs_per_group == 1;
}

/**
 * ht_layer_has_padding:
 * @self: a layer
 *
 * Whether the layer may see zeros around its input. An absent `pads` is no padding; `auto_pad` other than NOTSET and
 * VALID counts as padding.
 *
 * Returns: whether it pads
 */
gboolean
ht_layer_has_padding (HtLayer *self)
{
  g_return_val_if_fail (self != NULL, FALSE);
  if (self->kind != HT_LAYER_CONV && self->kind != HT_LAYER_CONV_TRANSPOSE)
    return FALSE;
  const char *auto_pad = ht_node_get_string (self->node, "auto_pad", "NOTSET");
  if (!g_str_equal (auto_pad, "NOTSET"))
    return !g_str_equal (auto_pad, "VALID");
  gsize n = 0;
  const gint64 *pads = ht_node_get_ints (self->node, "pads", &n);
  for (gsize i = 0; i < n; i++)
    if (pads[i] != 0)
      return TRUE;
  return FALSE;
}

/**
 * ht_layer_is_weight_shared:
 * @self: a layer
 *
 * Returns: whether another node, or another input of this one, reads the same weight
 */
gboolean
ht_layer_is_weight_shared (HtLayer *self)
{
  g_return_val_if_fail (self != NULL, FALSE);
  return ht_graph_count_uses (self->graph, ht_layer_get_weight (self)) > 1;
}

/**
 * ht_layer_get_channel_axis:
 * @self: a layer
 *
 * Returns: the axis of the weight tensor that runs over the output channels (of one group, for ConvTranspose)
 */
gint
ht_layer_get_channel_axis (HtLayer *self)
{
  g_return_val_if_fail (self != NULL, 0);
  switch (self->kind)
    {
    case HT_LAYER_CONV:
      return 0;
    case HT_LAYER_CONV_TRANSPOSE:
      return 1;
    case HT_LAYER_GEMM:
    case HT_LAYER_MATMUL:
      return self->weight_transposed ? 0 : 1;
    }
  g_return_val_if_reached (0);
}

/* Where weight [output, input of the group, position] stands in the tensor. */
gsize
ht_layer_weight_index (const HtLayer *self, guint output, guint input, gsize position)
{
  guint group = output / self->outputs_per_group;
  switch (self->kind)
    {
    case HT_LAYER_CONV:
      return ((gsize) output * self->inputs_per_group + input) * self->n_positions + position;
    case HT_LAYER_CONV_TRANSPOSE:
      return (((gsize) group * self->inputs_per_group + input) * self->outputs_per_group
              + output % self->outputs_per_group)
                 * self->n_positions
             + position;
    case HT_LAYER_GEMM:
    case HT_LAYER_MATMUL:
      return self->weight_transposed ? (gsize) output * self->inputs_per_group + input
                                     : (gsize) input * self->outputs_per_group + output;
    }
  g_return_val_if_reached (0);
}
