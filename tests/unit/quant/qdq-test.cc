// SPDX-License-Identifier: MIT
// The exported Q/DQ network: its structure, and that its integers stand for the values of the simulation.
#include "net.h"

#include <cmath>

using namespace quant;

namespace
{

void
build (Net &net)
{
  net.input ("x", { 1, 2, 4, 4 }).weight ("w", { 3, 2, 3, 3 }).values_of ("b", { 3 }, { 0.5f, -0.25f, 0.125f });
  net.node ("Conv", { "x", "w", "b" }, { "conv" });
  net.node ("Relu", { "conv" }, { "relu" });
  net.node ("Flatten", { "relu" }, { "flat" });
  net.weight ("v", { 5, 12 }).weight ("c", { 5 });
  HtNode *gemm = net.node ("Gemm", { "flat", "v", "c" }, { "y" });
  net.set (gemm, "transB", 1);
  net.output ("y");
}

void
fill (HtSimulation *simulation, guint bits = 8)
{
  g_autoptr (GError) error = nullptr;
  ASSERT_TRUE (ht_simulation_calibrate_weights (simulation, &error)) << error->message;
  const double minimum = -1.5, maximum = 2.5;
  g_autoptr (HtEncoding) encoding
      = ht_encoding_new_from_ranges (bits, FALSE, FALSE, FALSE, -1, &minimum, &maximum, 1, &error);
  for (const std::string &tensor : quantized (simulation))
    if (!ht_quantizer_is_weight (ht_simulation_get_quantizer (simulation, tensor.c_str ())))
      {
        ASSERT_TRUE (ht_simulation_set_encoding (simulation, tensor.c_str (), encoding, &error)) << error->message;
      }
}

HtNode *
producer (HtGraph *graph, const char *tensor, const char *op_type)
{
  HtNode *node = ht_graph_get_producer (graph, tensor);
  EXPECT_NE (node, nullptr) << tensor;
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

}

TEST (Qdq, KeepsTheInterfaceAndStoresIntegers)
{
  g_autoptr (GError) error = nullptr;
  Net net (9);
  build (net);
  g_autoptr (HtSimulation) simulation = simulate (net);
  fill (simulation);
  g_autoptr (HtGraph) graph = ht_simulation_to_qdq (simulation, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_STREQ (ht_graph_get_inputs (graph)[0], "x");
  EXPECT_EQ (ht_graph_get_inputs (graph)[1], nullptr);
  EXPECT_STREQ (ht_graph_get_outputs (graph)[0], "y");
  EXPECT_EQ (ht_graph_get_opset (graph, ""), 13);
  EXPECT_TRUE (ht_graph_verify (graph, &error));
  // Three grids and one that an operator keeps, which is written down again behind it; two weights, two biases.
  EXPECT_EQ (count (graph, "QuantizeLinear"), 3u + 1);
  EXPECT_EQ (count (graph, "DequantizeLinear"), 3u + 1 + 2 + 2);
  // No float weight is left.
  g_auto (GStrv) initializers = ht_graph_list_initializers (graph);
  for (guint i = 0; initializers[i]; i++)
    {
      HtTensor *tensor = ht_graph_get_initializer (graph, initializers[i]);
      EXPECT_TRUE (ht_tensor_get_data_type (tensor) != HT_DATA_TYPE_FLOAT || ht_tensor_get_n_elements (tensor) <= 5)
          << initializers[i];
    }
}

TEST (Qdq, WeightsDequantizeToTheValuesOfTheSimulation)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  build (net);
  g_autoptr (HtSimulation) simulation = simulate (net);
  fill (simulation);
  g_autoptr (HtGraph) graph = ht_simulation_to_qdq (simulation, &error);
  ASSERT_NO_GERROR (error);
  HtNode *node = producer (graph, "w", "DequantizeLinear");
  EXPECT_EQ (ht_node_get_int (node, "axis", -9), 0);
  HtTensor *integers = ht_graph_get_initializer (graph, ht_node_get_input (node, 0));
  HtTensor *scales = ht_graph_get_initializer (graph, ht_node_get_input (node, 1));
  HtTensor *zeros = ht_graph_get_initializer (graph, ht_node_get_input (node, 2));
  ASSERT_TRUE (integers && scales && zeros);
  EXPECT_EQ (ht_tensor_get_data_type (integers), HT_DATA_TYPE_INT8);
  EXPECT_EQ (ht_tensor_get_data_type (zeros), HT_DATA_TYPE_INT8);
  g_autoptr (HtTensor) value = ht_graph_get_constant (net.graph (), "w");
  g_autoptr (HtTensor) rounded
      = ht_encoding_fake_quantize (ht_simulation_get_encoding (simulation, "w"), value, &error);
  for (gsize i = 0; i < ht_tensor_get_n_elements (integers); i++)
    {
      gsize channel = i / 18;
      EXPECT_EQ (ht_tensor_get_int64 (zeros, channel), 0);
      EXPECT_EQ ((float) ht_tensor_get_int64 (integers, i) * (float) ht_tensor_get_double (scales, channel),
                 (float) ht_tensor_get_double (rounded, i));
    }
}

TEST (Qdq, BiasesAreInStepsOfTheAccumulator)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  build (net);
  g_autoptr (HtSimulation) simulation = simulate (net);
  fill (simulation);
  g_autoptr (HtGraph) graph = ht_simulation_to_qdq (simulation, &error);
  ASSERT_NO_GERROR (error);
  // The input of the Gemm comes through a Flatten: its step is that of 'relu'.
  for (const char *name : { "conv", "y" })
    {
      g_autoptr (GPtrArray) ignored = nullptr;
      HtNode *layer = nullptr;
      for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
        if (g_str_equal (ht_node_get_name (ht_graph_get_node (graph, i)), name))
          layer = ht_graph_get_node (graph, i);
      ASSERT_NE (layer, nullptr);
      HtNode *node = producer (graph, ht_node_get_input (layer, 2), "DequantizeLinear");
      HtTensor *integers = ht_graph_get_initializer (graph, ht_node_get_input (node, 0));
      HtTensor *scales = ht_graph_get_initializer (graph, ht_node_get_input (node, 1));
      EXPECT_EQ (ht_tensor_get_data_type (integers), HT_DATA_TYPE_INT32);
      bool first = g_str_equal (name, "conv");
      float s_in = (float) ht_encoding_get_scales (ht_simulation_get_encoding (simulation, first ? "x" : "relu"), nullptr)[0];
      const double *s_w = ht_encoding_get_scales (ht_simulation_get_encoding (simulation, first ? "w" : "v"), nullptr);
      g_autoptr (HtTensor) bias = ht_graph_get_constant (net.graph (), first ? "b" : "c");
      for (gsize i = 0; i < ht_tensor_get_n_elements (bias); i++)
        {
          float scale = (float) ht_tensor_get_double (scales, i);
          EXPECT_EQ (scale, s_in * (float) s_w[i]);
          EXPECT_NEAR ((double) ht_tensor_get_int64 (integers, i) * scale, ht_tensor_get_double (bias, i), scale * 0.51);
        }
    }
}

TEST (Qdq, ALongBiasStaysInFloatingPoint)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  net.input ("x", { 1, 1, 2, 2 }).values_of ("w", { 1, 1, 1, 1 }, { 1e-6f }).values_of ("b", { 1 }, { 1e6f });
  net.node ("Conv", { "x", "w", "b" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) simulation = simulate (net);
  fill (simulation);
  g_autoptr (HtGraph) graph = ht_simulation_to_qdq (simulation, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_NE (ht_graph_get_initializer (graph, "b"), nullptr);
}

TEST (Qdq, ASharedWeightIsStoredOnce)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  net.input ("x", { 4, 4 }).weight ("w", { 4, 4 });
  net.node ("MatMul", { "x", "w" }, { "a" });
  net.node ("MatMul", { "a", "w" }, { "y" });
  net.output ("a").output ("y");
  g_autoptr (HtSimulation) simulation = simulate (net);
  fill (simulation);
  g_autoptr (HtGraph) graph = ht_simulation_to_qdq (simulation, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (count (graph, "DequantizeLinear"), 4u);
  EXPECT_TRUE (ht_graph_is_output (graph, "a"));
  producer (graph, "a", "DequantizeLinear");
}

TEST (Qdq, ChoosesTheOpsetThatItNeeds)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  ASSERT_TRUE (ht_object_set_param_string (G_OBJECT (ht_quantization_config_get_weights (config)), "granularity", "tensor",
                                           &error));
  for (gint64 opset : { 8, 12, 17 })
    {
      Net net (opset);
      build (net);
      g_autoptr (HtSimulation) simulation = simulate (net, config);
      fill (simulation);
      g_autoptr (HtGraph) graph = ht_simulation_to_qdq (simulation, &error);
      ASSERT_NO_GERROR (error);
      EXPECT_EQ (ht_graph_get_opset (graph, ""), MAX (opset, 10));
      g_autoptr (HtSimulation) wide = simulate (net, config);
      fill (wide, 16);
      g_autoptr (HtGraph) raised = ht_simulation_to_qdq (wide, &error);
      ASSERT_NO_GERROR (error);
      EXPECT_EQ (ht_graph_get_opset (raised, ""), 21);
    }
}

TEST (Qdq, ComputesWhatTheSimulationComputes)
{
  g_autoptr (GError) error = nullptr;
  for (guint bits : { 8u, 16u })
    for (gint64 opset : { 8, 13 })
      {
        SCOPED_TRACE (testing::Message () << bits << " bits, opset " << opset);
        Net net (opset);
        net.input ("x", { 1, 2, 4, 4 }).weight ("w", { 3, 2, 3, 3 }).weight ("k", { 3, 1, 1 }).weight ("t", { 3, 2, 2, 2 });
        net.node ("Conv", { "x", "w" }, { "conv" });
        net.node ("Relu", { "conv" }, { "relu" });
        net.node ("Mul", { "relu", "k" }, { "scaled" });
        net.node ("ConvTranspose", { "scaled", "t" }, { "up" });
        net.set (net.node ("Softmax", { "up" }, { "soft" }), "axis", 1);
        net.set (net.node ("Flatten", { "soft" }, { "flat" }), "axis", 1);
        net.weight ("v", { 5, 18 });
        net.set (net.node ("Transpose", { "v" }, { "vt" }), "perm", std::vector<gint64>{ 1, 0 });
        net.node ("MatMul", { "flat", "vt" }, { "y" });
        net.output ("scaled").output ("y");
        g_autoptr (HtSimulation) simulation = simulate (net);
        fill (simulation, bits);
        g_autoptr (HtGraph) graph = ht_simulation_to_qdq (simulation, &error);
        ASSERT_NO_GERROR (error);
        g_autoptr (HtExecutor) simulated = ht_simulation_create_executor (simulation, &error);
        g_autoptr (HtExecutor) exported = ht_executor_new (graph, &error);
        ASSERT_NO_GERROR (error);
        std::vector<float> values;
        for (int i = 0; i < 32; i++)
          values.push_back (std::sin ((float) i) * 2);
        g_autoptr (HtTensor) x = tensor_of (values, { 1, 2, 4, 4 });
        std::vector<float> expected = run (simulated, "x", x);
        EXPECT_EQ (expected.size (), 12u + 5);
        EXPECT_EQ (run (exported, "x", x), expected);
      }
}

TEST (Qdq, RoundsBiasesAsTheSimulationDoes)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  build (net);
  g_autoptr (HtSimulation) simulation = simulate (net);
  fill (simulation);
  g_autoptr (HtGraph) graph = ht_simulation_to_qdq (simulation, &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (HtExecutor) simulated = ht_simulation_create_executor (simulation, &error);
  g_autoptr (HtExecutor) exported = ht_executor_new (graph, &error);
  ASSERT_NO_GERROR (error);
  std::vector<float> values;
  for (int i = 0; i < 32; i++)
    values.push_back (std::cos ((float) i));
  g_autoptr (HtTensor) x = tensor_of (values, { 1, 2, 4, 4 });
  std::vector<float> expected = run (simulated, "x", x), found = run (exported, "x", x);
  EXPECT_EQ (found, expected);
}

TEST (Qdq, TheInsideOfAGeluIsExportedInFloatingPoint)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  net.input ("x", { 2, 16 })
      .values_of ("root", {}, { 1.4142135f })
      .values_of ("one", {}, { 1 })
      .values_of ("half", {}, { 0.5f });
  net.node ("Div", { "x", "root" }, { "scaled" });
  net.node ("Erf", { "scaled" }, { "core" });
  net.node ("Add", { "core", "one" }, { "plus" });
  net.node ("Mul", { "x", "plus" }, { "double" });
  net.node ("Mul", { "double", "half" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) simulation = simulate (net);
  fill (simulation);
  g_autoptr (HtGraph) graph = ht_simulation_to_qdq (simulation, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (count (graph, "QuantizeLinear"), 2u);
  EXPECT_EQ (count (graph, "DequantizeLinear"), 2u);
  g_autoptr (HtExecutor) simulated = ht_simulation_create_executor (simulation, &error);
  g_autoptr (HtExecutor) exported = ht_executor_new (graph, &error);
  ASSERT_NO_GERROR (error);
  std::vector<float> values;
  for (int i = 0; i < 32; i++)
    values.push_back (std::sin ((float)i) * 1.4f);
  g_autoptr (HtTensor) x = tensor_of (values, { 2, 16 });
  std::vector<float> found = run (exported, "x", x);
  EXPECT_EQ (found, run (simulated, "x", x));
  // The grid of both is [-1.5, 2.5] in 255 steps: the definition, with a step for the input and a half for the output.
  ASSERT_EQ (found.size (), values.size ());
  for (size_t i = 0; i < found.size (); i++)
    EXPECT_NEAR (found[i], values[i] * 0.5 * std::erfc (-values[i] / std::sqrt (2.0)), 4.0 / 255 * 1.1);
}
