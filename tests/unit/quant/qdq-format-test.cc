// SPDX-License-Identifier: MIT
// Q/DQ files of every number format and granularity: our own executor computes with them what the simulation computes,
// and the types and opsets are those that ONNX has.
#include "net.h"

extern "C" {
#include "onnx/writer.h"
}

#include <cmath>

using namespace quant;

namespace
{

using Settings = std::vector<std::pair<const char *, const char *> >;

void
apply (HtQuantizerSettings *settings, const Settings &values)
{
  g_autoptr (GError) error = nullptr;
  for (auto [key, value] : values)
    ASSERT_TRUE (ht_object_set_param_string (G_OBJECT (settings), key, value, &error)) << key << ": " << error->message;
}

HtQuantizationConfig *
configure (const Settings &weights, const Settings &activations)
{
  HtQuantizationConfig *config = ht_quantization_config_new ();
  apply (ht_quantization_config_get_weights (config), weights);
  apply (ht_quantization_config_get_activations (config), activations);
  return config;
}

// Every kind of layer, each with several blocks of five input channels, the last one shorter.
void
build (Net &net)
{
  net.input ("x", { 2, 8, 4, 4 }).weight ("w", { 7, 8, 3, 3 }).weight ("b", { 7 }).weight ("t", { 7, 6, 2, 2 });
  net.weight ("v", { 9, 54 }).weight ("c", { 9 }).weight ("m", { 9, 11 });
  net.node ("Conv", { "x", "w", "b" }, { "conv" });
  net.node ("Relu", { "conv" }, { "relu" });
  net.node ("ConvTranspose", { "relu", "t" }, { "up" });
  net.node ("Flatten", { "up" }, { "flat" });
  net.set (net.node ("Gemm", { "flat", "v", "c" }, { "gemm" }), "transB", 1);
  net.node ("MatMul", { "gemm", "m" }, { "y" });
  net.output ("y");
}

HtTensor *
example (int seed)
{
  std::vector<float> values;
  for (int i = 0; i < 2 * 8 * 4 * 4; i++)
    values.push_back (std::sin ((float)(i * (seed + 3))) * 2);
  return tensor_of (values, { 2, 8, 4, 4 });
}

// Encodings of weights from their values, of activations from what they are in floating point.
void
calibrate (HtSimulation *simulation)
{
  g_autoptr (GError) error = nullptr;
  ASSERT_TRUE (ht_simulation_calibrate_weights (simulation, &error)) << error->message;
  for (const std::string &tensor : quantized (simulation))
    {
      HtQuantizer *quantizer = ht_simulation_get_quantizer (simulation, tensor.c_str ());
      if (ht_quantizer_is_weight (quantizer))
        continue;
      HtQuantizerSettings *settings = ht_quantizer_get_settings (quantizer);
      HtNumberFormat format = ht_quantizer_settings_get_format (settings);
      const double minimum = -2.2, maximum = tensor == "x" ? 1.9 : 30;
      const double scale = maximum / (format == HT_NUMBER_FORMAT_FLOAT8E4M3FN ? 448 : 57344);
      g_autoptr (HtEncoding) encoding
          = format == HT_NUMBER_FORMAT_INT ? ht_encoding_new_from_ranges (
                ht_quantizer_settings_get_bits (settings), ht_quantizer_settings_get_symmetric (settings),
                ht_quantizer_settings_get_strict (settings), FALSE, -1, &minimum, &maximum, 1, &error)
                                           : ht_encoding_new_float (format, -1, 1, -1, 0, &scale, 1, &error);
      ASSERT_NO_GERROR (error);
      ASSERT_TRUE (ht_simulation_set_encoding (simulation, tensor.c_str (), encoding, &error)) << error->message;
    }
}

HtNode *
producer (HtGraph *graph, const char *tensor, const char *op_type)
{
  HtNode *node = ht_graph_get_producer (graph, tensor);
  EXPECT_TRUE (node && ht_node_is_op (node, op_type)) << tensor;
  return node;
}

guint
count (HtGraph *graph, const char *op_type)
{
  guint n = 0;
  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    n += ht_node_is_op (ht_graph_get_node (graph, i), op_type);
  return n;
}

struct Case
{
  Settings weights, activations;
  gint64 opset;
  HtDataType weight_type;
};

const Case cases[] = {
  { { { "granularity", "tensor" } }, {}, 11, HT_DATA_TYPE_INT8 },
  { { { "bits", "8" } }, {}, 13, HT_DATA_TYPE_INT8 },
  { { { "bits", "4" } }, {}, 21, HT_DATA_TYPE_INT4 },
  { { { "bits", "3" } }, {}, 21, HT_DATA_TYPE_INT4 },
  { { { "bits", "2" } }, {}, 21, HT_DATA_TYPE_INT4 },
  { { { "bits", "4" }, { "symmetric", "false" }, { "granularity", "tensor" } }, {}, 21, HT_DATA_TYPE_UINT4 },
  { { { "bits", "4" }, { "strict", "true" } }, {}, 21, HT_DATA_TYPE_INT4 },
  { { { "bits", "6" } }, { { "bits", "6" } }, 13, HT_DATA_TYPE_INT8 },
  { { { "bits", "16" } }, { { "bits", "16" } }, 21, HT_DATA_TYPE_INT16 },
  { { { "bits", "11" } }, { { "bits", "12" }, { "symmetric", "true" } }, 21, HT_DATA_TYPE_INT16 },
  { { { "bits", "20" } }, {}, 13, HT_DATA_TYPE_INT32 },
  { { { "bits", "31" }, { "symmetric", "false" } }, {}, 13, HT_DATA_TYPE_INT32 },
  { {}, { { "symmetric", "true" }, { "strict", "true" } }, 13, HT_DATA_TYPE_INT8 },
  { {}, { { "bits", "4" } }, 13, HT_DATA_TYPE_INT8 },
  { {}, { { "bits", "3" }, { "symmetric", "true" } }, 13, HT_DATA_TYPE_INT8 },
  { { { "bits", "4" }, { "granularity", "block" }, { "block-size", "5" } }, {}, 21, HT_DATA_TYPE_INT4 },
  { { { "symmetric", "false" }, { "granularity", "block" }, { "block-size", "4" } }, {}, 21, HT_DATA_TYPE_UINT8 },
  { { { "bits", "4" }, { "granularity", "lpbq" }, { "block-size", "5" } }, {}, 21, HT_DATA_TYPE_INT4 },
  { { { "granularity", "lpbq" }, { "block-size", "2" }, { "scale-bits", "8" } }, {}, 21, HT_DATA_TYPE_INT8 },
  { { { "format", "float16" } }, { { "format", "float16" } }, 11, HT_DATA_TYPE_FLOAT16 },
  { { { "format", "bfloat16" } }, { { "format", "bfloat16" } }, 13, HT_DATA_TYPE_BFLOAT16 },
  { { { "format", "float8e4m3fn" } }, { { "format", "float8e4m3fn" } }, 19, HT_DATA_TYPE_FLOAT8E4M3FN },
  { { { "format", "float8e5m2" }, { "granularity", "block" }, { "block-size", "3" } },
    { { "format", "float8e5m2" } },
    21,
    HT_DATA_TYPE_FLOAT8E5M2 },
  { { { "format", "float16" } }, {}, 11, HT_DATA_TYPE_FLOAT16 },
};

std::string
describe (const Case &one)
{
  std::string text;
  for (const Settings *settings : { &one.weights, &one.activations })
    {
      text += settings == &one.weights ? "weights" : "; activations";
      for (auto [key, value] : *settings)
        text += std::string (" ") + key + " " + value;
    }
  return text;
}

}

TEST (QdqFormats, ComputeWhatTheSimulationComputes)
{
  g_autoptr (GError) error = nullptr;
  for (const Case &one : cases)
    for (HtQdqWeights how : { HT_QDQ_WEIGHTS_INTEGER, HT_QDQ_WEIGHTS_FLOAT })
      {
        SCOPED_TRACE (describe (one) + (how == HT_QDQ_WEIGHTS_FLOAT ? ", as floats" : ", as integers"));
        g_autoptr (HtQuantizationConfig) config = configure (one.weights, one.activations);
        Net net (11);
        build (net);
        g_autoptr (HtSimulation) simulation = simulate (net, config);
        calibrate (simulation);
        g_autoptr (HtGraph) graph = ht_simulation_to_qdq_full (simulation, how, &error);
        ASSERT_NO_GERROR (error);
        EXPECT_EQ (ht_graph_get_opset (graph, ""), one.opset);
        g_autoptr (HtExecutor) simulated = ht_simulation_create_executor (simulation, &error);
        g_autoptr (HtExecutor) exported = ht_executor_new (graph, &error);
        ASSERT_NO_GERROR (error);
        HtEncoding *grid = ht_simulation_get_encoding (simulation, "y");
        // One step: sums in another order may meet a half. Numbers of floating point have theirs at the upper end.
        double step = ht_encoding_is_integer (grid) ? ht_encoding_get_scales (grid, nullptr)[0] : 4;
        gsize n_equal = 0, n = 0;
        for (int seed = 0; seed < 4; seed++)
          {
            g_autoptr (HtTensor) x = example (seed);
            std::vector<float> expected = run (simulated, "x", x), found = run (exported, "x", x);
            ASSERT_EQ (found.size (), 22u);
            ASSERT_EQ (expected.size (), 22u);
            for (gsize i = 0; i < found.size (); i++, n++)
              {
                EXPECT_NEAR (found[i], expected[i], step * 1.01);
                n_equal += found[i] == expected[i];
              }
          }
        EXPECT_GE (n_equal * 100, n * 95);
      }
}

TEST (QdqFormats, WeightsHaveTheTypeAndTheValuesOfTheirGrid)
{
  g_autoptr (GError) error = nullptr;
  for (const Case &one : cases)
    {
      SCOPED_TRACE (describe (one));
      g_autoptr (HtQuantizationConfig) config = configure (one.weights, one.activations);
      Net net (11);
      build (net);
      g_autoptr (HtSimulation) simulation = simulate (net, config);
      calibrate (simulation);
      g_autoptr (HtGraph) graph = ht_simulation_to_qdq (simulation, &error);
      ASSERT_NO_GERROR (error);
      bool casts = one.weight_type == HT_DATA_TYPE_FLOAT16 || one.weight_type == HT_DATA_TYPE_BFLOAT16;
      for (const char *name : { "w", "t", "v", "m" })
        {
          HtNode *node = producer (graph, name, casts ? "Cast" : "DequantizeLinear");
          HtTensor *codes = ht_graph_get_initializer (graph, ht_node_get_input (node, 0));
          ASSERT_NE (codes, nullptr);
          EXPECT_EQ (ht_tensor_get_data_type (codes), one.weight_type);
          g_autoptr (HtTensor) value = ht_graph_get_constant (net.graph (), name);
          g_autoptr (HtTensor) expected
              = ht_encoding_fake_quantize (ht_simulation_get_encoding (simulation, name), value, &error);
          // By the rules of the operator: constants are computed as it would compute them.
          g_autoptr (HtTensor) found = ht_graph_get_constant (graph, name);
          ASSERT_NO_GERROR (error);
          if (found)
            {
              EXPECT_TRUE (ht_tensor_equal (found, expected)) << name;
            }
        }
    }
}

TEST (QdqFormats, AGridOfFewerCodesThanItsTypeIsClippedBefore)
{
  g_autoptr (GError) error = nullptr;
  for (gint64 opset : { 8, 11 })
    for (const Settings &activations : { Settings{ { "bits", "6" } }, Settings{ { "bits", "8" } },
                                         Settings{ { "symmetric", "true" }, { "strict", "true" } } })
      {
        g_autoptr (HtQuantizationConfig) config = configure ({ { "granularity", "tensor" } }, activations);
        Net net (opset);
        net.input ("x", { 1, 6 }).weight ("m", { 6, 5 });
        net.node ("MatMul", { "x", "m" }, { "y" });
        net.output ("y");
        g_autoptr (HtSimulation) simulation = simulate (net, config);
        calibrate (simulation);
        g_autoptr (HtGraph) graph = ht_simulation_to_qdq (simulation, &error);
        ASSERT_NO_GERROR (error);
        bool exact = g_str_equal (activations[0].second, "8");
        EXPECT_EQ (count (graph, "Clip"), exact ? 0u : 2u);
        EXPECT_EQ (ht_graph_get_opset (graph, ""), MAX (opset, 10));
        g_autoptr (HtExecutor) simulated = ht_simulation_create_executor (simulation, &error);
        g_autoptr (HtExecutor) exported = ht_executor_new (graph, &error);
        ASSERT_NO_GERROR (error);
        // Far beyond both ends.
        g_autoptr (HtTensor) x = tensor_of ({ -100, 100, 0.3f, -0.7f, 1.89f, 1e6f }, { 1, 6 });
        EXPECT_EQ (run (exported, "x", x), run (simulated, "x", x));
      }
}

TEST (QdqFormats, RefusesActivationsOfMoreThanSixteenBits)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtQuantizationConfig) config = configure ({}, { { "bits", "17" } });
  Net net;
  build (net);
  g_autoptr (HtSimulation) simulation = simulate (net, config);
  calibrate (simulation);
  EXPECT_EQ (ht_simulation_to_qdq (simulation, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "16 bits");
}

TEST (QdqFormats, AScaleOfABlockIsANumberOfItsOwn)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtQuantizationConfig) config
      = configure ({ { "bits", "4" }, { "granularity", "lpbq" }, { "block-size", "5" } }, {});
  Net net;
  build (net);
  g_autoptr (HtSimulation) simulation = simulate (net, config);
  calibrate (simulation);
  g_autoptr (HtGraph) graph = ht_simulation_to_qdq (simulation, &error);
  ASSERT_NO_GERROR (error);
  HtNode *weight = producer (graph, "w", "DequantizeLinear");
  EXPECT_EQ (ht_node_get_int (weight, "axis", -9), 1);
  EXPECT_EQ (ht_node_get_int (weight, "block_size", 0), 5);
  HtNode *scale = producer (graph, ht_node_get_input (weight, 1), "DequantizeLinear");
  HtTensor *integers = ht_graph_get_initializer (graph, ht_node_get_input (scale, 0));
  HtTensor *channels = ht_graph_get_initializer (graph, ht_node_get_input (scale, 1));
  ASSERT_TRUE (integers && channels);
  EXPECT_EQ (ht_tensor_get_data_type (integers), HT_DATA_TYPE_UINT8);
  const gint64 expected[] = { 7, 2, 3, 3 };
  for (guint i = 0; i < 4; i++)
    EXPECT_EQ (ht_tensor_get_dim (integers, i), expected[i]);
  EXPECT_EQ (ht_tensor_get_n_elements (channels), 7u);
  // A bias is added in steps of the input's scale times that of the channel.
  HtNode *conv = producer (graph, "conv", "Conv");
  HtNode *bias = producer (graph, ht_node_get_input (conv, 2), "DequantizeLinear");
  HtTensor *steps = ht_graph_get_initializer (graph, ht_node_get_input (bias, 1));
  float x = (float)ht_encoding_get_scales (ht_simulation_get_encoding (simulation, "x"), nullptr)[0];
  for (gsize i = 0; i < 7; i++)
    EXPECT_EQ ((float)ht_tensor_get_double (steps, i), x * (float)ht_tensor_get_double (channels, i));
}

TEST (QdqFormats, ABiasOfSeveralLayersIsRoundedInTheStepsOfEach)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  net.input ("x", { 1, 3, 4, 4 })
      .weight ("w", { 3, 3, 1, 1 })
      .values_of ("k", { 3, 3, 1, 1 }, { 9, 1, 2, 3, 4, 5, 6, 7, 8 });
  net.values_of ("b", { 3 }, { 0.37f, -1.21f, 0.05f });
  net.node ("Conv", { "x", "w", "b" }, { "first" });
  net.node ("Conv", { "first", "k", "b" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) simulation = simulate (net);
  calibrate (simulation);
  g_autoptr (HtGraph) graph = ht_simulation_to_qdq (simulation, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (count (graph, "DequantizeLinear"), 3u + 2 + 2);
  EXPECT_EQ (ht_graph_get_initializer (graph, "b"), nullptr);
  g_autoptr (HtExecutor) simulated = ht_simulation_create_executor (simulation, &error);
  g_autoptr (HtExecutor) exported = ht_executor_new (graph, &error);
  ASSERT_NO_GERROR (error);
  std::vector<float> values;
  for (int i = 0; i < 48; i++)
    values.push_back (std::cos ((float)i));
  g_autoptr (HtTensor) x = tensor_of (values, { 1, 3, 4, 4 });
  EXPECT_EQ (run (exported, "x", x), run (simulated, "x", x));
}

TEST (QdqFormats, BlocksThatHoldAChannelAreNone)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtQuantizationConfig) config = configure ({ { "granularity", "block" }, { "block-size", "9" } }, {});
  Net net;
  build (net);
  g_autoptr (HtSimulation) simulation = simulate (net, config);
  calibrate (simulation);
  EXPECT_EQ (ht_encoding_get_block_axis (ht_simulation_get_encoding (simulation, "w")), -1);
  EXPECT_EQ (ht_encoding_get_axis (ht_simulation_get_encoding (simulation, "w")), 0);
  EXPECT_EQ (ht_encoding_get_block_axis (ht_simulation_get_encoding (simulation, "v")), 1);
  EXPECT_NE (skipped (simulation).find ("weight 'w'"), std::string::npos);
  EXPECT_EQ (skipped (simulation).find ("weight 'v'"), std::string::npos);
}

// Above 2 GiB weights lie in a second file; here from the first byte on.
TEST (QdqFormats, PackedWeightsMayLieInASecondFile)
{
  g_autoptr (GError) error = nullptr;
  support::TemporaryFolder folder;
  g_autoptr (HtQuantizationConfig) config = configure ({ { "bits", "4" }, { "granularity", "tensor" } }, {});
  Net net;
  // An odd number of elements: the last byte holds one.
  net.input ("x", { 1, 101 }).weight ("m", { 101, 111 });
  net.node ("MatMul", { "x", "m" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) simulation = simulate (net, config);
  calibrate (simulation);
  g_autoptr (HtGraph) graph = ht_simulation_to_qdq (simulation, &error);
  ASSERT_NO_GERROR (error);
  std::string path = folder / "q.onnx", data = path + ".data";
  ASSERT_TRUE (ht_onnx_save (graph, path.c_str (), 1, &error)) << error->message;
  g_autofree char *bytes = nullptr;
  gsize size = 0;
  ASSERT_TRUE (g_file_get_contents (data.c_str (), &bytes, &size, nullptr));
  EXPECT_GE (size, (101u * 111 + 1) / 2);
  EXPECT_LT (size, 2u * 101 * 111);
  g_autoptr (HtGraph) loaded = ht_graph_load (path.c_str (), &error);
  ASSERT_NO_GERROR (error);
  HtNode *node = producer (loaded, "m", "DequantizeLinear");
  HtTensor *codes = ht_graph_get_initializer (loaded, ht_node_get_input (node, 0));
  ASSERT_NE (codes, nullptr);
  EXPECT_EQ (ht_tensor_get_data_type (codes), HT_DATA_TYPE_INT4);
  EXPECT_TRUE (ht_tensor_equal (
      codes, ht_graph_get_initializer (graph, ht_node_get_input (producer (graph, "m", "DequantizeLinear"), 0))));
  g_autoptr (HtExecutor) before = ht_executor_new (graph, &error), after = ht_executor_new (loaded, &error);
  ASSERT_NO_GERROR (error);
  std::vector<float> values (101);
  for (int i = 0; i < 101; i++)
    values[(size_t)i] = std::sin ((float)i);
  g_autoptr (HtTensor) x = tensor_of (values, { 1, 101 });
  EXPECT_EQ (run (after, "x", x), run (before, "x", x));
}
