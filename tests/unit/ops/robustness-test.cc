// SPDX-License-Identifier: MIT
// Nodes that break every rule: wrong numbers of inputs, types, ranks, attributes of other types, absurd numbers. Whatever
// is thrown at a rule or an operator ends in a result or a GError, never in a crash (run under sanitizers too).
#include "support.h"

#include <random>
#include <string>
#include <vector>

namespace
{

const char *const op_types[]
    = { "Add",  "Sub", "Mul", "Div", "Mod", "Pow", "Sum", "Mean", "Min", "Max", "Equal", "Less", "Greater",
        "And", "Or", "Xor", "Not", "Where", "IsNaN", "IsInf", "Abs", "Neg", "Sign", "Exp", "Log", "Sqrt", "Erf", "Round",
        "Relu", "Clip", "LeakyRelu", "PRelu", "Sigmoid", "Tanh", "Elu", "Selu", "HardSigmoid", "Gelu", "Shrink", "Cast",
        "CastLike", "Constant", "ConstantOfShape", "Range", "Shape", "Size", "Reshape", "Flatten", "Squeeze", "Unsqueeze",
        "Identity", "Dropout", "Transpose", "DepthToSpace", "SpaceToDepth", "Concat", "Split", "Slice", "Gather",
        "GatherElements", "GatherND", "Expand", "Tile", "Pad", "ReduceSum", "ReduceMean", "ReduceMax", "ReduceLogSumExp",
        "ArgMax", "TopK", "Resize", "Upsample", "QuantizeLinear", "DequantizeLinear", "CumSum", "Trilu", "OneHot",
        "NonZero", "If", "Conv", "ConvTranspose", "Gemm", "MatMul", "MaxPool", "AveragePool", "GlobalAveragePool",
        "BatchNormalization", "LayerNormalization", "InstanceNormalization", "LSTM", "Softmax", "LogSoftmax",
        "LRN", "ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul", "DynamicQuantizeLinear",
        "Scatter", "ScatterElements", "ScatterND", "BitShift", "BitwiseAnd", "BitwiseNot", "Compress", "Unique", "Hardmax",
        "ReverseSequence", "EyeLike", "HannWindow", "Det", "GridSample", "LpPool", "GlobalLpPool", "LpNormalization",
        "RMSNormalization", "MeanVarianceNormalization", "Einsum" };

const char *const attribute_names[]
    = { "axis", "axes", "perm", "to", "value", "value_ints", "shape", "starts", "ends", "pads", "mode", "keepdims", "split",
        "num_outputs", "blocksize", "block_size", "k", "largest", "scales", "alpha", "beta", "min", "max", "start", "end",
        "noop_with_empty_axes", "batch_dims", "fmod", "approximate", "coordinate_transformation_mode", "nearest_mode",
        "output_dtype", "allowzero", "exclusive", "upper", "antialias", "keep_aspect_ratio_policy", "kernel_shape",
        "strides", "dilations", "group", "auto_pad", "ceil_mode", "hidden_size", "direction", "epsilon", "transA",
        "transB", "then_branch", "else_branch", "output_padding", "output_shape", "count_include_pad", "axis", "size",
        "bias", "p", "reduction", "sorted", "dtype", "time_axis", "batch_axis", "align_corners",
        "equation" };

const HtDataType types[] = { HT_DATA_TYPE_FLOAT, HT_DATA_TYPE_FLOAT, HT_DATA_TYPE_FLOAT, HT_DATA_TYPE_INT64,
                             HT_DATA_TYPE_INT64, HT_DATA_TYPE_INT32, HT_DATA_TYPE_BOOL, HT_DATA_TYPE_FLOAT16,
                             HT_DATA_TYPE_DOUBLE, HT_DATA_TYPE_UINT8, HT_DATA_TYPE_INT8, HT_DATA_TYPE_INT4,
                             HT_DATA_TYPE_FLOAT8E4M3FN, HT_DATA_TYPE_UINT64, HT_DATA_TYPE_BFLOAT16 };

class Garbage
{
public:
  explicit Garbage (guint seed) : random (seed) {}

  gint64 below (gint64 n) { return (gint64) (random () % (guint64) n); }

  gint64 number ()
  {
    static const gint64 absurd[] = { G_MAXINT64, G_MININT64, G_MAXINT32, G_MININT32, 1ll << 40, -(1ll << 40), 1ll << 62 };
    switch (below (8))
      {
      case 0:
        return absurd[below (G_N_ELEMENTS (absurd))];
      case 1:
        return below (200) - 100;
      default:
        return below (7) - 2;
      }
  }

  HtTensor *tensor ()
  {
    gint64 dims[5];
    guint n_dims = (guint) below (6);
    for (guint i = 0; i < n_dims; i++)
      dims[i] = below (8) == 0 ? 0 : 1 + below (4);
    HtDataType type = types[below (G_N_ELEMENTS (types))];
    g_autoptr (HtTensor) wide = ht_tensor_new (HT_DATA_TYPE_INT64, dims, n_dims, nullptr);
    gint64 *data = static_cast<gint64 *> (ht_tensor_get_writable_data (wide));
    for (gsize i = 0; i < ht_tensor_get_n_elements (wide); i++)
      data[i] = number ();
    return ht_tensor_cast (wide, type, nullptr);
  }

  void attribute (HtGraph *graph, HtNode *node)
  {
    static const char *const words[] = { "constant", "reflect", "edge", "wrap", "nearest", "linear", "cubic", "tanh", "",
                                         "align_corners", "tf_crop_and_resize", "SAME_UPPER", "VALID", "bidirectional",
                                         "reverse", "not_larger", "CRD", "LEFT", "add", "max",
                                         "reflection", "bilinear", "ij,jk->ik", "...i->i", "ii", "ab,b,c->ca" };
    const char *name = attribute_names[below (G_N_ELEMENTS (attribute_names))];
    switch (below (7))
      {
      case 0:
        ht_graph_set_float (graph, node, name, below (2) ? (double) number () : 0.5);
        break;
      case 1:
        ht_graph_set_string (graph, node, name, words[below (G_N_ELEMENTS (words))]);
        break;
      case 2:
      case 3:
        {
          std::vector<gint64> values (below (6));
          for (gint64 &value : values)
            value = number ();
          ht_graph_set_ints (graph, node, name, values.data (), values.size ());
          break;
        }
      case 4:
        {
          std::vector<float> values (below (5));
          for (float &value : values)
            value = (float) number () * 0.5f;
          ht_graph_set_floats (graph, node, name, values.data (), values.size ());
          break;
        }
      case 5:
        {
          g_autoptr (HtTensor) value = tensor ();
          if (value)
            ht_graph_set_tensor (graph, node, name, value);
          break;
        }
      default:
        ht_graph_set_int (graph, node, name, number ());
        break;
      }
  }

  // A chain of nodes over constants, inputs and each other's outputs.
  HtGraph *graph ()
  {
    static const gint64 opsets[] = { 7, 9, 10, 11, 13, 18, 21, 23 };
    HtGraph *graph = ht_graph_new ("garbage");
    ht_graph_set_opset (graph, "", opsets[below (G_N_ELEMENTS (opsets))]);
    std::vector<std::string> names = { "" };
    for (int i = 0; i < 4; i++)
      {
        std::string name = "c" + std::to_string (i);
        g_autoptr (HtTensor) value = tensor ();
        if (value == nullptr)
          continue;
        ht_graph_set_initializer (graph, name.c_str (), value);
        names.push_back (name);
      }
    const gint64 dims[] = { below (16) == 0 ? G_MAXINT64 : -1, 3, 4, 4 };
    const char *symbols[] = { "N", nullptr, nullptr, nullptr };
    g_autoptr (HtShape) shape = ht_shape_new (dims, symbols, 4);
    ht_graph_add_input (graph, "x", HT_DATA_TYPE_FLOAT, shape);
    names.push_back ("x");
    for (gint64 i = 0, n_nodes = 1 + below (3); i < n_nodes; i++)
      {
        std::vector<const char *> inputs, outputs;
        std::vector<std::string> made;
        for (gint64 k = below (8) == 0 ? below (6) : 1 + below (3); k > 0; k--)
          inputs.push_back (names[below (8) == 0 ? 0 : below ((gint64) names.size ())].c_str ());
        for (gint64 k = 0, n = 1 + (below (4) == 0); k < n; k++)
          made.push_back ("t" + std::to_string (i) + "_" + std::to_string (k));
        for (const std::string &name : made)
          outputs.push_back (name.c_str ());
        inputs.push_back (nullptr);
        outputs.push_back (nullptr);
        HtNode *node = ht_graph_add_node (graph, op_types[below (G_N_ELEMENTS (op_types))], "", "", inputs.data (),
                                          outputs.data ());
        for (gint64 k = below (3); k > 0; k--)
          attribute (graph, node);
        if (below (4) == 0)
          ht_graph_set_int (graph, node, "axis", below (5) - 2);
        names.insert (names.end (), made.begin (), made.end ());
      }
    ht_graph_add_output (graph, names.back ().c_str (), HT_DATA_TYPE_UNDEFINED, nullptr);
    return graph;
  }

private:
  std::mt19937_64 random;
};

TEST (Robustness, GarbageGraphsEndInAnError)
{
  guint n_inferred = 0, n_constant = 0, n_run = 0;
  const char *rounds = g_getenv ("HALFTONE_GARBAGE_ROUNDS");
  const guint n = rounds ? (guint) atoi (rounds) : 20000;
  for (guint seed = 0; seed < n; seed++)
    {
      SCOPED_TRACE (seed);
      Garbage garbage (seed);
      g_autoptr (HtGraph) graph = garbage.graph ();
      const char *output = ht_graph_get_outputs (graph)[0];
      g_autoptr (HtTensor) constant = ht_graph_get_constant (graph, output);
      n_constant += constant != nullptr;
      g_autoptr (GError) error = nullptr;
      g_autoptr (HtGraph) copy = ht_graph_copy (graph);
      gboolean inferred = ht_graph_infer_shapes (copy, &error);
      EXPECT_EQ (inferred, error == nullptr);
      n_inferred += inferred;
      g_clear_error (&error);
      g_auto (GStrv) lines = ht_graph_prepare (graph, &error);
      EXPECT_EQ (lines != nullptr, error == nullptr);
      g_clear_error (&error);

      g_autoptr (HtExecutor) executor = ht_executor_new (copy, &error);
      g_clear_error (&error);
      if (executor == nullptr)
        continue;
      g_autoptr (GHashTable) inputs
          = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) ht_tensor_unref);
      const gint64 dims[] = { 2, 3, 4, 4 };
      HtTensor *x = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims, 4, nullptr);
      for (int i = 0; i < 96; i++)
        static_cast<float *> (ht_tensor_get_writable_data (x))[i] = (float) i - 40.0f;
      g_hash_table_insert (inputs, g_strdup ("x"), x);
      g_autoptr (GHashTable) outputs = ht_executor_run (executor, inputs, nullptr, nullptr, &error);
      EXPECT_EQ (outputs != nullptr, error == nullptr);
      n_run += outputs != nullptr;

    }
  // The garbage is not all garbage, or nothing would be tried.
  EXPECT_GT (n_inferred, n / 100);
  EXPECT_GT (n_constant, n / 100);
  EXPECT_GT (n_run, n / 100);
  RecordProperty ("inferred", (int) n_inferred);
  RecordProperty ("constant", (int) n_constant);
  RecordProperty ("run", (int) n_run);
}

} // namespace
