/* SPDX-License-Identifier: MIT */
/* Which operators changed in which version, from ONNX's change log. */
#include "quant/opset-upgrade.h"

#include <halftone/error.h>

#include <string.h>

/* Operators whose nodes mean the same in all versions from 7 to 21, as far as their old form can say. */
static const char *const unchanged[] = {
  "Abs", "Acos", "Acosh", "Add", "And", "ArgMax", "ArgMin", "Asin", "Asinh", "Atan", "Atanh", "AveragePool",
  "Bernoulli", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "BlackmanWindow", "Cast",
  "CastLike", "Ceil", "Celu", "CenterCropPad", "Col2Im", "Compress", "Concat", "ConcatFromSequence", "Constant",
  "ConstantOfShape", "Conv", "ConvInteger", "ConvTranspose", "Cos", "Cosh", "CumSum", "DepthToSpace",
  "DequantizeLinear", "Det", "Div", "DynamicQuantizeLinear", "Einsum", "Elu", "Equal", "Erf", "Exp", "Expand",
  "EyeLike", "Flatten", "Floor", "GRU", "Gather", "GatherElements", "GatherND", "Gelu", "Gemm", "GlobalAveragePool",
  "GlobalLpPool", "GlobalMaxPool", "Greater", "GreaterOrEqual", "HammingWindow", "HannWindow", "HardSigmoid",
  "HardSwish", "Identity", "If", "InstanceNormalization", "IsInf", "IsNaN", "LRN", "LSTM", "LayerNormalization",
  "LeakyRelu", "Less", "LessOrEqual", "Log", "Loop", "LpNormalization", "LpPool", "MatMul", "MatMulInteger", "Max",
  "MaxPool", "MaxRoiPool", "MaxUnpool", "Mean", "MeanVarianceNormalization", "Min", "Mish", "Mod", "Mul",
  "Multinomial", "Neg", "NonMaxSuppression", "NonZero", "Not", "OneHot", "Optional", "OptionalGetElement",
  "OptionalHasElement", "Or", "PRelu", "Pow", "QLinearConv", "QLinearMatMul", "QuantizeLinear", "RNN", "RandomNormal",
  "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Range", "Reciprocal", "Relu", "Reshape",
  "ReverseSequence", "Round", "ScatterElements", "ScatterND", "Selu", "SequenceAt", "SequenceConstruct",
  "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength", "Shape", "Shrink", "Sigmoid", "Sign", "Sin",
  "Sinh", "Size", "Softplus", "Softsign", "SpaceToDepth", "SplitToSequence", "Sqrt", "Sub", "Sum", "Tan", "Tanh",
  "ThresholdedRelu", "Tile", "Transpose", "Trilu", "Unique", "Where", "Xor", NULL
};

typedef struct
{
  const char *op_type;
  gint64 since;           /* nodes of earlier versions need the rewrite when the target is this version or a later one */
  HtOpsetRewrite rewrite; /* NULL: cannot be rewritten */
} Change;

static const Change changes[] = {
  { "BatchNormalization", 9, ht_rewrite_batch_norm },
  { "BatchNormalization", 14, ht_rewrite_batch_norm_outputs },
  { "Clip", 11, ht_rewrite_clip },
  { "Dropout", 10, ht_rewrite_dropout_mask },
  { "Dropout", 12, ht_rewrite_dropout },
  { "GridSample", 20, ht_rewrite_grid_sample },
  { "Hardmax", 13, ht_rewrite_softmax },
  { "LogSoftmax", 13, ht_rewrite_softmax },
  { "Pad", 11, ht_rewrite_pad },
  { "ReduceL1", 18, ht_rewrite_axes },
  { "ReduceL2", 18, ht_rewrite_axes },
  { "ReduceLogSum", 18, ht_rewrite_axes },
  { "ReduceLogSumExp", 18, ht_rewrite_axes },
  { "ReduceMax", 18, ht_rewrite_axes },
  { "ReduceMean", 18, ht_rewrite_axes },
  { "ReduceMin", 18, ht_rewrite_axes },
  { "ReduceProd", 18, ht_rewrite_axes },
  { "ReduceSum", 13, ht_rewrite_axes },
  { "ReduceSumSquare", 18, ht_rewrite_axes },
  { "Resize", 11, ht_rewrite_resize },
  { "Resize", 13, ht_rewrite_resize_mode },
  { "RoiAlign", 16, ht_rewrite_roi_align },
  { "Scan", 9, NULL },
  { "Scatter", 11, ht_rewrite_scatter },
  { "Slice", 10, ht_rewrite_slice },
  { "Softmax", 13, ht_rewrite_softmax },
  { "Split", 13, ht_rewrite_split },
  { "Split", 18, ht_rewrite_split_count },
  { "Squeeze", 13, ht_rewrite_axes },
  { "TopK", 10, ht_rewrite_top_k },
  { "Unsqueeze", 13, ht_rewrite_axes },
  { "Upsample", 10, ht_rewrite_upsample },
};

static gboolean
refuse (const HtOpsetStep *step, GError **error)
{
  g_autofree char *where = ht_node_describe (step->node);

  g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
               "raising the opset from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT
               ": found %s; this version cannot rewrite its operator: export the model with opset %" G_GINT64_FORMAT
               " or later",
               step->source, step->target, where, step->target);
  return FALSE;
}

static gboolean
upgrade_node (const HtOpsetStep *step, GError **error)
{
  gboolean known = g_strv_contains (unchanged, ht_node_get_op_type (step->node));
  /* A rewrite may make another operator of the node: the rest of its story is in that rewrite. */
  g_autofree char *op_type = g_strdup (ht_node_get_op_type (step->node));

  for (guint i = 0; i < G_N_ELEMENTS (changes); i++)
    {
      if (strcmp (op_type, changes[i].op_type) != 0)
        continue;
      known = TRUE;
      if (step->source >= changes[i].since || step->target < changes[i].since)
        continue;
      if (!changes[i].rewrite)
        return refuse (step, error);
      if (!changes[i].rewrite (step, error))
        return FALSE;
    }
  return known || refuse (step, error);
}

static gboolean upgrade_graph (HtGraph *graph, gint64 source, gint64 target, GError **error);

static gboolean
upgrade_subgraphs (const HtOpsetStep *step, GError **error)
{
  g_auto (GStrv) attributes = ht_node_list_attributes (step->node);

  for (guint i = 0; attributes[i]; i++)
    {
      g_autoptr (HtGraph) copy = NULL;

      if (ht_node_get_attribute_type (step->node, attributes[i]) == HT_ATTRIBUTE_GRAPHS)
        return refuse (step, error);
      if (ht_node_get_attribute_type (step->node, attributes[i]) != HT_ATTRIBUTE_GRAPH)
        continue;
      copy = ht_graph_copy (ht_node_get_subgraph (step->node, attributes[i]));
      if (!upgrade_graph (copy, step->source, step->target, error) || !ht_graph_sort (copy, error))
        return FALSE;
      ht_graph_set_subgraph (step->graph, step->node, attributes[i], copy);
    }
  return TRUE;
}

static gboolean
upgrade_graph (HtGraph *graph, gint64 source, gint64 target, GError **error)
{
  /* Rewrites append nodes of the target version, which are not looked at. */
  guint n_nodes = ht_graph_get_n_nodes (graph);
  g_autoptr (GPtrArray) nodes = g_ptr_array_new_full (n_nodes, (GDestroyNotify) ht_node_unref);

  for (guint i = 0; i < n_nodes; i++)
    g_ptr_array_add (nodes, ht_node_ref (ht_graph_get_node (graph, i)));
  for (guint i = 0; i < n_nodes; i++)
    {
      HtOpsetStep step = { graph, g_ptr_array_index (nodes, i), source, target };

      if (!upgrade_subgraphs (&step, error))
        return FALSE;
      if (strcmp (ht_node_get_domain (step.node), "") == 0 && !upgrade_node (&step, error))
        return FALSE;
    }
  return TRUE;
}

gboolean
ht_graph_upgrade_opset (HtGraph *graph, gint64 target, GError **error)
{
  gint64 source = ht_graph_get_opset (graph, "");

  if (source >= target)
    return TRUE;
  if (source < 7 || target > HT_OPSET_UPGRADE_MAX)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
                   "raising the opset from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT
                   ": expected a model of opset 7 or later, and a target of at most %d",
                   source, target, HT_OPSET_UPGRADE_MAX);
      return FALSE;
    }
  if (!upgrade_graph (graph, source, target, error))
    return FALSE;
  ht_graph_set_opset (graph, "", target);
  return TRUE;
}
