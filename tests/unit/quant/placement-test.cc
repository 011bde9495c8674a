// SPDX-License-Identifier: MIT
// Where the default target puts quantizers: expectations written down from its rules.
#include "net.h"

#include <cmath>

using namespace quant;

namespace
{

const HtQuantizer *
find (HtSimulation *simulation, const char *tensor)
{
  return ht_simulation_get_quantizer (simulation, tensor);
}

gint
axis_of (HtSimulation *simulation, const char *tensor)
{
  HtQuantizer *quantizer = ht_simulation_get_quantizer (simulation, tensor);
  EXPECT_NE (quantizer, nullptr) << tensor;
  return quantizer ? ht_quantizer_get_axis (quantizer) : -2;
}

void
add_batch_norm (Net &net, const std::string &input, const std::string &output, gint64 channels)
{
  net.weight (output + ".gamma", { channels }).weight (output + ".beta", { channels });
  net.weight (output + ".mean", { channels }).values_of (output + ".var", { channels }, std::vector<float> (channels, 1));
  net.node ("BatchNormalization", { input, output + ".gamma", output + ".beta", output + ".mean", output + ".var" },
            { output });
}

}

TEST (Placement, OneQuantizerEndsAConvolutionWithAllThatClampsIt)
{
  Net net;
  net.input ("x", { 1, 3, 8, 8 }).weight ("w", { 4, 3, 3, 3 }).weight ("b", { 4 });
  net.node ("Conv", { "x", "w", "b" }, { "conv" });
  add_batch_norm (net, "conv", "norm", 4);
  net.node ("Relu", { "norm" }, { "relu" });
  net.values_of ("low", {}, { 0 }).values_of ("six", {}, { 6 });
  net.node ("Clip", { "relu", "low", "six" }, { "clip" });
  net.values_of ("caps", { 1, 4, 1, 1 }, { 1, 2, 3, 4 });
  net.node ("Min", { "caps", "clip" }, { "min" });
  net.node ("Sigmoid", { "min" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) simulation = simulate (net);
  EXPECT_EQ (quantized (simulation), (Names{ "x", "w", "min", "y" }));
  EXPECT_EQ (axis_of (simulation, "w"), 0);
  EXPECT_EQ (axis_of (simulation, "min"), -1);
  EXPECT_TRUE (ht_quantizer_is_weight (ht_simulation_get_quantizer (simulation, "w")));
  EXPECT_FALSE (ht_quantizer_is_weight (ht_simulation_get_quantizer (simulation, "min")));
  std::string reason = ht_quantizer_get_reason (ht_simulation_get_quantizer (simulation, "min"));
  EXPECT_NE (reason.find ("'conv' (Conv)"), std::string::npos) << reason;
  EXPECT_NE (reason.find ("'min' (Min)"), std::string::npos) << reason;
  EXPECT_NE (skipped (simulation).find ("norm.gamma"), std::string::npos);
}

TEST (Placement, AChainEndsWhereItsInsideIsUsedElsewhere)
{
  Net net;
  net.input ("x", { 1, 3, 8, 8 }).weight ("w", { 3, 3, 1, 1 });
  net.node ("Conv", { "x", "w" }, { "conv" });
  net.node ("Relu", { "conv" }, { "relu" });
  net.node ("Add", { "conv", "relu" }, { "sum" });
  net.node ("LeakyRelu", { "sum" }, { "leaky" });
  net.node ("Relu", { "leaky" }, { "y" });
  net.output ("leaky").output ("y");
  g_autoptr (HtSimulation) simulation = simulate (net);
  EXPECT_EQ (quantized (simulation), (Names{ "x", "w", "conv", "relu", "leaky", "y" }));
}

TEST (Placement, ABiasThatIsAddedBelongsToItsLayer)
{
  Net net;
  net.input ("x", { 2, 5, 8 }).weight ("w", { 8, 4 }).weight ("b", { 4 }).weight ("table", { 5, 4 });
  net.node ("MatMul", { "x", "w" }, { "product" });
  net.node ("Add", { "b", "product" }, { "biased" });
  net.node ("Add", { "biased", "table" }, { "placed" });
  net.node ("Relu", { "placed" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) simulation = simulate (net);
  // The table is no bias: it is data of an Add of its own.
  EXPECT_EQ (quantized (simulation), (Names{ "x", "w", "biased", "table", "y" }));
  EXPECT_EQ (axis_of (simulation, "w"), 1);
  EXPECT_EQ (axis_of (simulation, "table"), -1);
  EXPECT_FALSE (ht_quantizer_is_weight (ht_simulation_get_quantizer (simulation, "table")));
}

TEST (Placement, ALayerNormalizationWrittenOutIsOne)
{
  for (bool by_product : { false, true })
    {
      Net net;
      net.input ("x", { 2, 5, 8 }).values_of ("two", {}, { 2 }).values_of ("eps", {}, { 1e-5f });
      net.weight ("gain", { 8 }).weight ("bias", { 8 }).values_of ("half", {}, { 0.5f });
      net.set (net.node ("ReduceMean", { "x" }, { "mean" }), "axes", std::vector<gint64>{ -1 });
      net.node ("Sub", { "x", "mean" }, { "d" });
      if (by_product)
        net.node ("Mul", { "d", "d" }, { "square" });
      else
        net.node ("Pow", { "d", "two" }, { "square" });
      net.set (net.node ("ReduceMean", { "square" }, { "var" }), "axes", std::vector<gint64>{ -1 });
      net.node ("Add", { "var", "eps" }, { "safe" });
      net.node ("Sqrt", { "safe" }, { "std" });
      net.node ("Div", { "d", "std" }, { "normal" });
      net.node ("Mul", { "normal", "gain" }, { "scaled" });
      net.node ("Add", { "scaled", "bias" }, { "norm" });
      net.node ("Mul", { "norm", "half" }, { "y" });
      net.output ("y");
      g_autoptr (HtSimulation) simulation = simulate (net);
      EXPECT_EQ (quantized (simulation), (Names{ "x", "norm", "half", "y" }));
      // Somebody else looks inside: no longer one.
      net.output ("d");
      g_autoptr (HtSimulation) open = simulate (net);
      EXPECT_NE (ht_simulation_get_quantizer (open, "var"), nullptr);
      EXPECT_NE (ht_simulation_get_quantizer (open, "d"), nullptr);
    }
}

namespace
{

// The ways in which a GELU is written; each begins at 'x' and ends in 'g'.
using Spelling = void (*) (Net &net);

void
tanh_of_products (Net &net)
{
  net.values_of ("half", {}, { 0.5f }).values_of ("a", {}, { 0.044715f }).values_of ("b", {}, { 0.7978845834732056f });
  net.values_of ("one", {}, { 1 });
  net.node ("Mul", { "x", "half" }, { "halved" });
  net.node ("Mul", { "x", "a" }, { "ax" });
  net.node ("Mul", { "ax", "x" }, { "axx" });
  net.node ("Mul", { "axx", "x" }, { "axxx" });
  net.node ("Add", { "x", "axxx" }, { "sum" });
  net.node ("Mul", { "sum", "b" }, { "scaled" });
  net.node ("Tanh", { "scaled" }, { "core" });
  net.node ("Add", { "core", "one" }, { "plus" });
  net.node ("Mul", { "halved", "plus" }, { "g" });
}

void
tanh_of_a_power (Net &net)
{
  net.values_of ("half", { 1 }, { 0.5f }).values_of ("a", {}, { 0.044715f }).values_of ("b", {}, { 0.7978845834732056f });
  net.values_of ("one", {}, { 1 }).values_of ("three", {}, { 3 });
  net.node ("Pow", { "x", "three" }, { "cube" });
  net.node ("Mul", { "a", "cube" }, { "small" });
  net.node ("Add", { "small", "x" }, { "sum" });
  net.node ("Mul", { "b", "sum" }, { "scaled" });
  net.node ("Tanh", { "scaled" }, { "core" });
  net.node ("Add", { "one", "core" }, { "plus" });
  net.node ("Mul", { "plus", "half" }, { "mean" });
  net.node ("Mul", { "x", "mean" }, { "g" });
}

void
erf_half_last (Net &net)
{
  net.values_of ("root", {}, { 1.4142135f }).values_of ("one", {}, { 1 }).values_of ("half", {}, { 0.5f });
  net.node ("Div", { "x", "root" }, { "scaled" });
  net.node ("Erf", { "scaled" }, { "core" });
  net.node ("Add", { "core", "one" }, { "plus" });
  net.node ("Mul", { "x", "plus" }, { "double" });
  net.node ("Mul", { "double", "half" }, { "g" });
}

void
erf_half_first (Net &net)
{
  net.values_of ("root", {}, { 0.70710677f }).values_of ("one", {}, { 1 }).values_of ("half", {}, { 2 });
  net.node ("Mul", { "root", "x" }, { "scaled" });
  net.node ("Erf", { "scaled" }, { "core" });
  net.node ("Add", { "one", "core" }, { "plus" });
  net.node ("Div", { "x", "half" }, { "halved" });
  net.node ("Mul", { "plus", "halved" }, { "g" });
}

void
add_gelu (Net &net, Spelling spelling)
{
  net.input ("in", { 2, 8 }).weight ("w", { 8, 8 }).weight ("b1", { 8 });
  net.node ("MatMul", { "in", "w" }, { "product" });
  net.node ("Add", { "product", "b1" }, { "x" });
  spelling (net);
  net.node ("Sigmoid", { "g" }, { "y" });
  net.output ("y");
}

}

TEST (Placement, AGeluWrittenOutIsOne)
{
  for (Spelling spelling : { tanh_of_products, tanh_of_a_power, erf_half_last, erf_half_first })
    {
      Net net;
      add_gelu (net, spelling);
      g_autoptr (HtSimulation) simulation = simulate (net);
      EXPECT_EQ (quantized (simulation), (Names{ "in", "w", "x", "g", "y" }));
      std::string reason = ht_quantizer_get_reason (ht_simulation_get_quantizer (simulation, "g"));
      EXPECT_NE (reason.find ("'core'"), std::string::npos) << reason;
    }
}

TEST (Placement, AGeluThatOthersLookIntoIsNotOne)
{
  for (const char *inside : { "plus", "core", "scaled" })
    {
      Net net;
      add_gelu (net, erf_half_last);
      net.output (inside);
      g_autoptr (HtSimulation) simulation = simulate (net);
      for (const char *name : { "scaled", "core", "plus", "double", "g" })
        EXPECT_NE (find (simulation, name), nullptr) << name;
    }
  Net net;
  add_gelu (net, erf_half_first);
  net.node ("Sigmoid", { "core" }, { "other" });
  net.output ("other");
  g_autoptr (HtSimulation) simulation = simulate (net);
  for (const char *name : { "scaled", "core", "plus", "halved", "g", "other" })
    EXPECT_NE (find (simulation, name), nullptr) << name;
}

TEST (Placement, WhatOnlyResemblesAGeluIsNotOne)
{
  // Other constants; a constant for each channel; the square instead of the cube.
  auto with = [] (Spelling spelling, const char *constant, const Dims &dims, const std::vector<float> &values) {
    Net net;
    add_gelu (net, spelling);
    net.values_of (constant, dims, values);
    g_autoptr (HtSimulation) simulation = simulate (net);
    EXPECT_NE (find (simulation, "core"), nullptr) << constant;
    EXPECT_NE (find (simulation, "plus"), nullptr) << constant;
  };
  with (erf_half_last, "root", {}, { 1 });
  with (erf_half_last, "one", {}, { 0 });
  with (erf_half_last, "half", {}, { 1 });
  with (erf_half_first, "one", { 8 }, std::vector<float> (8, 1));
  with (tanh_of_a_power, "three", {}, { 2 });
  with (tanh_of_products, "a", {}, { 0 });
  with (tanh_of_products, "b", {}, { std::nanf ("") });
}

TEST (Placement, WhatOnlyMovesValuesKeepsTheirGrid)
{
  Net net;
  net.input ("x", { 1, 4, 8, 8 });
  HtNode *pool = net.node ("MaxPool", { "x" }, { "pool" });
  net.set (pool, "kernel_shape", std::vector<gint64>{ 2, 2 });
  net.set (pool, "strides", std::vector<gint64>{ 2, 2 });
  net.ints ("pads", { 0, 0, 1, 1, 0, 0, 1, 1 }).values_of ("one", {}, { 1 });
  net.node ("Pad", { "pool", "pads" }, { "zeros" });
  net.node ("Pad", { "pool", "pads", "one" }, { "ones" });
  net.node ("Transpose", { "zeros" }, { "turned" });
  net.values_of ("scales", { 4 }, { 1, 1, 2, 2 });
  HtNode *nearest = net.node ("Resize", { "zeros", "", "scales" }, { "nearest" });
  ht_graph_set_string (net.graph (), nearest, "mode", "nearest");
  HtNode *linear = net.node ("Resize", { "zeros", "", "scales" }, { "linear" });
  ht_graph_set_string (net.graph (), linear, "mode", "linear");
  HtNode *same = net.node ("Concat", { "nearest", "nearest" }, { "same" });
  net.set (same, "axis", 1);
  HtNode *mixed = net.node ("Concat", { "nearest", "linear" }, { "mixed" });
  net.set (mixed, "axis", 1);
  net.output ("ones").output ("turned").output ("same").output ("mixed");
  g_autoptr (HtSimulation) simulation = simulate (net);
  EXPECT_EQ (quantized (simulation), (Names{ "x", "ones", "linear", "mixed" }));
}

TEST (Placement, FindsTheAxisOfTheOutputChannels)
{
  Net net;
  net.input ("x", { 1, 4, 8, 8 }).weight ("t", { 4, 6, 2, 2 }).weight ("g", { 6, 2, 2, 2 });
  net.node ("ConvTranspose", { "x", "t" }, { "up" });
  HtNode *grouped = net.node ("ConvTranspose", { "up", "g" }, { "up2" });
  net.set (grouped, "group", 2);
  net.node ("GlobalAveragePool", { "up2" }, { "mean" });
  net.node ("Flatten", { "mean" }, { "flat" });
  net.weight ("a", { 4, 5 }).weight ("b", { 3, 5 }).weight ("c", { 3 });
  net.node ("Gemm", { "flat", "a" }, { "first" });
  HtNode *second = net.node ("Gemm", { "first", "b", "c" }, { "y" });
  net.set (second, "transB", 1);
  net.output ("y");
  g_autoptr (HtSimulation) simulation = simulate (net);
  EXPECT_EQ (axis_of (simulation, "t"), 1);
  EXPECT_EQ (axis_of (simulation, "g"), -1);
  EXPECT_EQ (axis_of (simulation, "a"), 1);
  EXPECT_EQ (axis_of (simulation, "b"), 0);
  EXPECT_EQ (find (simulation, "c"), nullptr);
  EXPECT_EQ (find (simulation, "flat"), nullptr);
}

TEST (Placement, SeesAWeightThroughATranspose)
{
  Net net;
  net.input ("x", { 2, 8 }).weight ("w", { 4, 8 });
  HtNode *turn = net.node ("Transpose", { "w" }, { "wt" });
  net.set (turn, "perm", std::vector<gint64>{ 1, 0 });
  net.node ("MatMul", { "x", "wt" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) simulation = simulate (net);
  EXPECT_EQ (quantized (simulation), (Names{ "x", "wt", "y" }));
  EXPECT_EQ (axis_of (simulation, "wt"), 1);
}

TEST (Placement, LeavesParametersLimitsAndExponentsAlone)
{
  Net net;
  net.input ("x", { 1, 4 }).weight ("slope", { 4 }).values_of ("two", {}, { 2 }).values_of ("half", {}, { 0.5f });
  net.node ("PRelu", { "x", "slope" }, { "p" });
  net.node ("Pow", { "p", "two" }, { "square" });
  net.node ("Mul", { "square", "half" }, { "scaled" });
  net.node ("Max", { "scaled", "half" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) simulation = simulate (net);
  // 'half' is data of Mul and a limit of Max: it has one value, so it stays.
  EXPECT_EQ (quantized (simulation), (Names{ "x", "p", "square", "scaled", "y" }));
  for (const char *name : { "slope", "two", "half" })
    EXPECT_NE (skipped (simulation).find (std::string ("'") + name + "'"), std::string::npos) << skipped (simulation);
}

TEST (Placement, LeavesShapesAndIntegersAlone)
{
  Net net;
  net.input ("x", { 2, 4 }).input ("n", { 2 }, HT_DATA_TYPE_INT64).input ("like", { 4, 2 });
  net.node ("Shape", { "like" }, { "shape" });
  net.node ("Reshape", { "x", "shape" }, { "turned" });
  net.node ("Cast", { "n" }, { "float" });
  net.set (ht_graph_find_node (net.graph (), "float"), "to", HT_DATA_TYPE_FLOAT);
  net.node ("Mul", { "turned", "float" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) simulation = simulate (net);
  EXPECT_EQ (quantized (simulation), (Names{ "x", "float", "y" }));
}

TEST (Placement, RulesSkipAndOverride)
{
  Net net;
  net.input ("x", { 1, 8 }).weight ("a", { 8, 8 }).weight ("b", { 8, 8 }).weight ("k", { 1, 8 });
  net.node ("MatMul", { "x", "a" }, { "first" });
  net.node ("Relu", { "first" }, { "relu" });
  net.node ("MatMul", { "relu", "b" }, { "second" });
  net.node ("Mul", { "second", "k" }, { "y" });
  net.output ("y");
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  ht_quantization_config_add_rule (config, "Relu", nullptr, TRUE);
  ht_quantization_config_add_rule (config, nullptr, "y", TRUE);
  guint rule = ht_quantization_config_add_rule (config, "MatMul", "sec*", FALSE);
  g_autoptr (JsonNode) four = json_from_string ("4", nullptr), sixteen = json_from_string ("16", nullptr);
  ASSERT_TRUE (ht_quantization_config_set_rule_value (config, rule, TRUE, "bits", four, nullptr));
  ASSERT_TRUE (ht_quantization_config_set_rule_value (config, rule, FALSE, "bits", sixteen, nullptr));
  g_autoptr (HtSimulation) simulation = simulate (net, config);
  // The chain of 'first' and 'relu' has one output, and a rule keeps it; the weight belongs to 'first' alone.
  EXPECT_EQ (quantized (simulation), (Names{ "x", "a", "b", "second" }));
  EXPECT_EQ (ht_quantizer_settings_get_bits (ht_quantizer_get_settings (ht_simulation_get_quantizer (simulation, "a"))), 8u);
  EXPECT_EQ (ht_quantizer_settings_get_bits (ht_quantizer_get_settings (ht_simulation_get_quantizer (simulation, "b"))), 4u);
  EXPECT_EQ (ht_quantizer_settings_get_bits (ht_quantizer_get_settings (ht_simulation_get_quantizer (simulation, "second"))),
             16u);
  EXPECT_NE (skipped (simulation).find ("node 'y' (Mul): a rule"), std::string::npos) << skipped (simulation);
  EXPECT_NE (skipped (simulation).find ("node 'relu' (Relu): a rule"), std::string::npos) << skipped (simulation);
}

TEST (Placement, LeavesAnInputAloneThatOnlySkippedNodesRead)
{
  Net net;
  net.input ("x", { 1, 8 }).weight ("a", { 8, 8 });
  net.node ("MatMul", { "x", "a" }, { "y" });
  net.output ("y");
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  ht_quantization_config_add_rule (config, nullptr, "*", TRUE);
  g_autoptr (HtSimulation) simulation = simulate (net, config);
  EXPECT_EQ (quantized (simulation), Names{});
  EXPECT_NE (skipped (simulation).find ("tensor 'x'"), std::string::npos) << skipped (simulation);
}

TEST (Placement, ListsWhatItDoesNotKnow)
{
  Net net;
  net.input ("x", { 1, 8 });
  net.node ("Relu", { "x" }, { "relu" });
  net.node ("Frobnicate", { "relu" }, { "odd" }, "com.example");
  net.node ("Relu", { "odd" }, { "y" });
  net.output ("y", HT_DATA_TYPE_UNDEFINED);
  g_autoptr (HtSimulation) simulation = simulate (net);
  EXPECT_EQ (quantized (simulation), (Names{ "x", "relu" }));
  EXPECT_NE (skipped (simulation).find ("node 'odd' (Frobnicate): an operator"), std::string::npos) << skipped (simulation);
  EXPECT_NE (skipped (simulation).find ("node 'y' (Relu): the element type"), std::string::npos) << skipped (simulation);
}

TEST (Placement, SharesOneQuantizerWhereAWeightIsShared)
{
  Net net;
  net.input ("x", { 4, 4 }).weight ("w", { 4, 4 });
  net.node ("MatMul", { "x", "w" }, { "a" });
  HtNode *turned = net.node ("Gemm", { "a", "w" }, { "y" });
  net.set (turned, "transB", 1);
  net.output ("y");
  g_autoptr (HtSimulation) simulation = simulate (net);
  EXPECT_EQ (quantized (simulation), (Names{ "x", "w", "a", "y" }));
  EXPECT_NE (skipped (simulation).find ("node 'y' (Gemm): the constant 'w' is shared"), std::string::npos)
      << skipped (simulation);
}
