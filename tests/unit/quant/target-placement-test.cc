// SPDX-License-Identifier: MIT
// What targets make of networks. The aimet targets: expectations from running aimet-onnx 2.42 on such networks, and its
// encodings that are recorded in the assets.
#include "net.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>

using namespace quant;

namespace
{

HtSimulation *
simulate_for (const Net &net, const char *target, HtQuantizationConfig *given = nullptr)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtQuantizationConfig) own = ht_quantization_config_new ();
  HtQuantizationConfig *config = given ? given : own;
  EXPECT_TRUE (ht_quantization_config_set_target (config, target, &error)) << (error ? error->message : "");
  return simulate (net, config);
}

// JSON with single quotes.
std::string
quoted (std::string text)
{
  std::replace (text.begin (), text.end (), '\'', '"');
  return text;
}

HtSimulation *
simulate_with (const Net &net, const std::string &op_type, const std::string &ops = "{'is_output_quantized': 'True'}")
{
  support::TemporaryFolder folder;
  std::ofstream (folder / "t.json") << quoted (
      "{'defaults': {'ops': " + ops
      + ", 'params': {'is_quantized': 'True', 'is_symmetric': 'True'}}, 'params': {'bias': {'is_quantized': 'False'}}, "
        "'op_type': "
      + op_type
      + ", 'supergroups': [{'op_list': ['Conv', 'Relu']}, {'op_list': ['Conv', 'BatchNormalization', 'Relu']}], "
        "'model_input': {'is_input_quantized': 'True'}, 'model_output': {}}");
  return simulate_for (net, (folder / "t.json").c_str ());
}

HtQuantizerSettings *
settings (HtSimulation *simulation, const char *tensor)
{
  HtQuantizer *quantizer = ht_simulation_get_quantizer (simulation, tensor);
  EXPECT_NE (quantizer, nullptr) << tensor;
  return quantizer ? ht_quantizer_get_settings (quantizer) : nullptr;
}

std::string
tie (HtSimulation *simulation, const char *tensor)
{
  HtQuantizer *quantizer = ht_simulation_get_quantizer (simulation, tensor);
  EXPECT_NE (quantizer, nullptr) << tensor;
  const char *other = quantizer ? ht_quantizer_get_tie (quantizer) : nullptr;
  return other ? other : "";
}

std::string
explain (HtSimulation *simulation, const char *tensor)
{
  g_autoptr (GError) error = nullptr;
  g_auto (GStrv) lines = ht_simulation_explain_tensor (simulation, tensor, &error);
  EXPECT_NO_GERROR (error);
  g_autofree char *text = lines ? g_strjoinv ("\n", lines) : nullptr;
  return text ? text : "";
}

bool
contains (const std::string &text, const std::string &part)
{
  return text.find (part) != std::string::npos;
}

void
calibrate (HtSimulation *simulation, const char *input, const std::vector<float> &values, const Dims &dims)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtDataset) dataset = ht_dataset_new ();
  g_autoptr (HtTensor) samples = tensor_of (values, dims);
  ASSERT_TRUE (ht_dataset_add_array (dataset, input, samples, &error));
  ASSERT_TRUE (ht_simulation_calibrate (simulation, dataset, 1, nullptr, nullptr, nullptr, &error)) << error->message;
}

double
scale (HtSimulation *simulation, const char *tensor)
{
  HtEncoding *encoding = ht_simulation_get_encoding (simulation, tensor);
  EXPECT_NE (encoding, nullptr) << tensor;
  return encoding ? ht_encoding_get_scales (encoding, nullptr)[0] : 0;
}

// Convolution, depthwise convolution with Relu, and a side branch.
void
make_depthwise (Net &net)
{
  net.input ("x", { 1, 4, 8, 8 }).weight ("w1", { 4, 4, 1, 1 }).weight ("w2", { 4, 1, 3, 3 });
  net.node ("Conv", { "x", "w1" }, { "conv" });
  net.node ("Relu", { "conv" }, { "relu" });
  HtNode *depthwise = net.node ("Conv", { "relu", "w2" }, { "depthwise" });
  net.set (depthwise, "group", 4);
  net.node ("Relu", { "depthwise" }, { "y" });
  net.output ("y");
}
}

TEST (TargetPlacement, AimetQuantizesDepthwiseConvolutionsTwiceAndTiesTheRelu)
{
  Net net;
  make_depthwise (net);
  g_autoptr (HtSimulation) ours = simulate_for (net, "default");
  EXPECT_EQ (quantized (ours), (Names{ "x", "w1", "relu", "w2", "y" }));
  g_autoptr (HtSimulation) aimet = simulate_for (net, "aimet-default");
  EXPECT_EQ (quantized (aimet), (Names{ "x", "w1", "relu", "w2", "depthwise", "y" }));
  EXPECT_EQ (tie (aimet, "y"), "depthwise");
  EXPECT_EQ (tie (aimet, "depthwise"), "");
  std::vector<float> values;
  for (int i = 0; i < 256; i++)
    values.push_back (std::sin ((float)i));
  calibrate (aimet, "x", values, { 1, 4, 8, 8 });
  EXPECT_EQ (scale (aimet, "y"), scale (aimet, "depthwise"));
  // With a fixed minimum of Relu and no other reader, both get the range from zero on.
  g_autoptr (HtSimulation) htp = simulate_for (net, "aimet-htp");
  calibrate (htp, "x", values, { 1, 4, 8, 8 });
  EXPECT_EQ (tie (htp, "y"), "depthwise");
  EXPECT_EQ (ht_encoding_get_minimum (ht_simulation_get_encoding (htp, "depthwise"), 0), 0);
  EXPECT_LT (scale (htp, "y"), scale (aimet, "y"));
}

TEST (TargetPlacement, ARangeIsNotForcedUponOtherReaders)
{
  Net net;
  net.input ("x", { 1, 4, 8, 8 }).weight ("w", { 4, 4, 1, 1 });
  net.node ("Conv", { "x", "w" }, { "conv" });
  net.node ("Relu", { "conv" }, { "relu" });
  net.node ("Mul", { "conv", "relu" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) aimet = simulate_for (net, "aimet-default");
  EXPECT_EQ (tie (aimet, "relu"), "conv");
  g_autoptr (HtSimulation) htp = simulate_for (net, "aimet-htp");
  EXPECT_EQ (tie (htp, "relu"), "");
}

TEST (TargetPlacement, ANetworkOutputIsNoOtherReader)
{
  for (int outputs = 0; outputs < 4; outputs++)
    {
      Net net;
      net.input ("x", { 1, 4, 8, 8 }).weight ("w", { 4, 4, 1, 1 });
      net.node ("Conv", { "x", "w" }, { "conv" });
      net.node ("Flatten", { "conv" }, { "flat" });
      net.node ("Relu", { "flat" }, { "relu" });
      net.node ("Exp", { "relu" }, { "y" });
      net.output ("y");
      if (outputs & 1)
        net.output ("conv");
      if (outputs & 2)
        net.output ("flat");
      g_autoptr (HtSimulation) htp = simulate_for (net, "aimet-htp");
      EXPECT_EQ (tie (htp, "relu"), "conv") << outputs;
    }
}

TEST (TargetPlacement, WhoReadsAnotherPartOfASplitIsAnotherReader)
{
  Net net;
  net.input ("x", { 1, 4, 8, 8 }).weight ("w1", { 4, 4, 1, 1 }).weight ("w2", { 4, 4, 1, 1 });
  net.node ("Conv", { "x", "w1" }, { "conv" });
  net.node ("Conv", { "x", "w2" }, { "other" });
  net.set (net.node ("Split", { "conv" }, { "a", "b" }), "axis", 1);
  net.node ("Exp", { "a" }, { "y1" });
  net.set (net.node ("Concat", { "b", "other" }, { "y2" }), "axis", 1);
  net.output ("y1").output ("y2");
  g_autoptr (HtSimulation) aimet = simulate_for (net, "aimet-default");
  EXPECT_EQ (tie (aimet, "conv"), "");
  EXPECT_EQ (tie (aimet, "other"), "y2");
}

TEST (TargetPlacement, InputsOfConcatTakeItsQuantizerUnlessTheirRangeIsFixed)
{
  Net net;
  net.input ("x", { 1, 4, 8, 8 }).weight ("w1", { 4, 4, 1, 1 }).weight ("w2", { 4, 4, 1, 1 });
  net.node ("Conv", { "x", "w1" }, { "a" });
  net.node ("Conv", { "x", "w2" }, { "c" });
  net.node ("Sigmoid", { "c" }, { "b" });
  net.values_of ("k", { 1, 1, 8, 8 }, std::vector<float> (64, 50));
  net.set (net.node ("Concat", { "a", "b", "k" }, { "y" }), "axis", 1);
  net.output ("y");
  g_autoptr (HtSimulation) aimet = simulate_for (net, "aimet-default");
  EXPECT_EQ (tie (aimet, "a"), "y");
  EXPECT_EQ (tie (aimet, "b"), "y");
  EXPECT_EQ (tie (aimet, "k"), "y");
  std::vector<float> values (256, 1);
  calibrate (aimet, "x", values, { 1, 4, 8, 8 });
  EXPECT_EQ (scale (aimet, "a"), scale (aimet, "y"));
  EXPECT_EQ (scale (aimet, "k"), scale (aimet, "y"));
  EXPECT_GT (scale (aimet, "y") * 255, 50);
  g_autoptr (HtSimulation) htp = simulate_for (net, "aimet-htp");
  EXPECT_EQ (tie (htp, "a"), "y");
  EXPECT_EQ (tie (htp, "b"), "");
  g_autoptr (HtSimulation) ours = simulate_for (net, "default");
  EXPECT_EQ (tie (ours, "a"), "");
}

TEST (TargetPlacement, AnEncodingThatIsGivenHoldsForAllThatShareIt)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  make_depthwise (net);
  g_autoptr (HtSimulation) aimet = simulate_for (net, "aimet-default");
  const double minimum = -4, maximum = 4;
  g_autoptr (HtEncoding) given
      = ht_encoding_new_from_ranges (8, FALSE, FALSE, FALSE, -1, &minimum, &maximum, 1, &error);
  ASSERT_TRUE (ht_simulation_set_encoding (aimet, "depthwise", given, &error));
  calibrate (aimet, "x", std::vector<float> (256, 1), { 1, 4, 8, 8 });
  EXPECT_TRUE (ht_encoding_equal (ht_simulation_get_encoding (aimet, "y"), given));
}

TEST (TargetPlacement, ConstantsThatAreNoDataAreActivationsToAimet)
{
  Net net;
  net.input ("x", { 1, 4, 8, 8 }).weight ("w", { 4, 4, 1, 1 });
  net.node ("Conv", { "x", "w" }, { "conv" });
  net.values_of ("low", {}, { 0 }).values_of ("high", {}, { 6 }).values_of ("slope", { 4, 1, 1 }, { 1, 2, 3, 4 });
  net.node ("Clip", { "conv", "low", "high" }, { "clip" });
  net.node ("PRelu", { "clip", "slope" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) ours = simulate_for (net, "default");
  EXPECT_EQ (quantized (ours), (Names{ "x", "w", "y" }));
  g_autoptr (HtSimulation) aimet = simulate_for (net, "aimet-default");
  EXPECT_EQ (quantized (aimet), (Names{ "x", "w", "low", "high", "clip", "slope", "y" }));
  EXPECT_FALSE (ht_quantizer_is_weight (ht_simulation_get_quantizer (aimet, "slope")));
}

TEST (TargetPlacement, ParametersOfNormalizationsHaveEightBitsAtLeast)
{
  g_autoptr (GError) error = nullptr;
  Net net (17);
  net.input ("x", { 1, 8 }).weight ("g", { 8 }).weight ("b", { 8 });
  net.node ("LayerNormalization", { "x", "g", "b" }, { "y" });
  net.output ("y");
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  g_autoptr (JsonNode) four = json_from_string ("4", nullptr), sixteen = json_from_string ("16", nullptr);
  ASSERT_TRUE (ht_object_set_param (G_OBJECT (ht_quantization_config_get_weights (config)), "bits", four, &error));
  g_autoptr (HtSimulation) aimet = simulate_for (net, "aimet-default", config);
  EXPECT_EQ (quantized (aimet), (Names{ "x", "g", "y" }));
  EXPECT_EQ (ht_quantizer_settings_get_bits (settings (aimet, "g")), 8u);
  EXPECT_FALSE (ht_quantizer_settings_get_symmetric (settings (aimet, "g")));
  EXPECT_TRUE (contains (explain (aimet, "g"), "8 bits at least"));
  // A rule speaks of this very node.
  guint rule = ht_quantization_config_add_rule (config, "LayerNormalization", nullptr, FALSE);
  ASSERT_TRUE (ht_quantization_config_set_rule_value (config, rule, TRUE, "bits", four, &error));
  g_autoptr (HtSimulation) ruled = simulate_for (net, "aimet-default", config);
  EXPECT_EQ (ht_quantizer_settings_get_bits (settings (ruled, "g")), 4u);
  ASSERT_TRUE (ht_object_set_param (G_OBJECT (ht_quantization_config_get_weights (config)), "bits", sixteen, &error));
  ASSERT_TRUE (ht_quantization_config_set_rule_value (config, rule, TRUE, "bits", sixteen, &error));
  g_autoptr (HtSimulation) wide = simulate_for (net, "aimet-default", config);
  EXPECT_TRUE (ht_quantizer_settings_get_symmetric (settings (wide, "g")));
}

TEST (TargetPlacement, SecondFactorsHaveTheSymmetryOfWeights)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  net.input ("x", { 1, 4, 8 }).input ("z", { 1, 8, 4 });
  net.node ("Relu", { "x" }, { "a" });
  net.set (net.node ("Transpose", { "z" }, { "t" }), "perm", std::vector<gint64>{ 0, 1, 2 });
  net.node ("MatMul", { "a", "t" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) aimet = simulate_for (net, "aimet-default");
  EXPECT_TRUE (ht_quantizer_settings_get_symmetric (settings (aimet, "z")));
  EXPECT_FALSE (ht_quantizer_settings_get_symmetric (settings (aimet, "x")));
  g_autoptr (HtSimulation) ours = simulate_for (net, "default");
  EXPECT_FALSE (ht_quantizer_settings_get_symmetric (settings (ours, "z")));
}

TEST (TargetPlacement, TensorRtQuantizesWhatIsReadAndAllSymmetrically)
{
  Net net;
  make_depthwise (net);
  g_autoptr (HtSimulation) simulation = simulate_for (net, "tensorrt");
  EXPECT_EQ (quantized (simulation), (Names{ "x", "w1", "relu", "w2" }));
  EXPECT_TRUE (ht_quantizer_settings_get_symmetric (settings (simulation, "relu")));
  EXPECT_TRUE (ht_quantizer_settings_get_strict (settings (simulation, "w1")));
  EXPECT_TRUE (contains (explain (simulation, "y"), "no operator wants it quantized")) << explain (simulation, "y");
}

TEST (TargetPlacement, InputsOfAllOperatorsAreQuantizedButForThoseThatSayOtherwise)
{
  Net net;
  net.input ("x", { 1, 4 });
  net.node ("Exp", { "x" }, { "a" });
  net.node ("Sqrt", { "a" }, { "b" });
  net.node ("Exp", { "b" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) all = simulate_with (net, "{}", "{'is_input_quantized': 'True'}");
  EXPECT_EQ (quantized (all), (Names{ "x", "a", "b" }));
  g_autoptr (HtSimulation) others
      = simulate_with (net, "{'Sqrt': {'is_input_quantized': 'False'}}", "{'is_input_quantized': 'True'}");
  EXPECT_EQ (quantized (others), (Names{ "x", "b" }));
}

TEST (TargetPlacement, OnnxruntimeLeavesOperatorsWithoutIntegerKernelsInFloatingPoint)
{
  Net net;
  net.input ("x", { 1, 4, 8, 8 }).weight ("w", { 4, 4, 1, 1 });
  net.node ("Conv", { "x", "w" }, { "conv" });
  net.node ("Exp", { "conv" }, { "exp" });
  net.node ("Sqrt", { "exp" }, { "root" });
  net.node ("Add", { "root", "conv" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) simulation = simulate_for (net, "onnxruntime-cpu");
  EXPECT_EQ (quantized (simulation), (Names{ "x", "w", "conv", "root", "y" }));
  g_autoptr (HtSimulation) reduced = simulate_for (net, "onnxruntime-cpu-reduced");
  EXPECT_EQ (ht_quantizer_settings_get_bits (settings (reduced, "w")), 7u);
}

TEST (TargetPlacement, MicrocontrollersHaveBuiltInGrids)
{
  Net net;
  net.input ("x", { 1, 4, 2, 2 }).weight ("w", { 4, 4, 1, 1 });
  net.node ("Conv", { "x", "w" }, { "conv" });
  net.node ("Sigmoid", { "conv" }, { "s" });
  net.node ("Tanh", { "s" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) simulation = simulate_for (net, "microcontroller");
  calibrate (simulation, "x", std::vector<float> (16, 0.25f), { 1, 4, 2, 2 });
  EXPECT_EQ (ht_quantizer_get_axis (ht_simulation_get_quantizer (simulation, "w")), -1);
  EXPECT_NEAR (scale (simulation, "s"), 1.0 / 256, 1e-9);
  EXPECT_NEAR (scale (simulation, "y"), 1.0 / 128, 1e-9);
  EXPECT_EQ (ht_encoding_get_zero_point (ht_simulation_get_encoding (simulation, "y"), 0), 128);
}

TEST (TargetPlacement, GroupsOfTheFileGoLongestFirst)
{
  Net net;
  net.input ("x", { 1, 4, 8, 8 }).weight ("w", { 4, 4, 1, 1 });
  net.node ("Conv", { "x", "w" }, { "conv" });
  for (const char *name : { "g", "b", "m" })
    net.weight (name, { 4 });
  net.values_of ("v", { 4 }, { 1, 1, 1, 1 });
  net.node ("BatchNormalization", { "conv", "g", "b", "m", "v" }, { "norm" });
  net.node ("Relu", { "norm" }, { "relu" });
  net.node ("Relu", { "relu" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) simulation
      = simulate_with (net, "{'BatchNormalization': {'params': {'weight': {'is_quantized': 'False'}, 'running_mean': "
                            "{'is_quantized': 'False'}, 'running_var': {'is_quantized': 'False'}}}}");
  EXPECT_EQ (quantized (simulation), (Names{ "x", "w", "relu", "y" }));
  EXPECT_TRUE (contains (explain (simulation, "norm"), "inside of what is quantized as one"));
}

TEST (TargetPlacement, TheLastWordIsTheRulesThenTheRecipesThenTheTargets)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  make_depthwise (net);
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  g_autoptr (JsonNode) four = json_from_string ("4", nullptr), six = json_from_string ("6", nullptr);
  const char *const pattern[] = { "Conv", "Relu", nullptr };
  ASSERT_TRUE (ht_object_set_param (G_OBJECT (ht_quantization_config_get_weights (config)), "bits", six, &error));
  guint first = ht_quantization_config_add_rule (config, nullptr, nullptr, FALSE);
  ht_quantization_config_set_rule_position (config, first, HT_RULE_POSITION_FIRST);
  ht_quantization_config_set_rule_place (config, first, "r.yaml:9:7");
  ASSERT_TRUE (ht_quantization_config_set_rule_value (config, first, TRUE, "bits", four, &error));
  guint chain = ht_quantization_config_add_rule (config, nullptr, nullptr, FALSE);
  ht_quantization_config_set_rule_pattern (config, chain, pattern);
  ASSERT_TRUE (ht_quantization_config_set_rule_value (config, chain, FALSE, "bits", four, &error));
  g_autoptr (HtSimulation) simulation = simulate_for (net, "aimet-default", config);
  EXPECT_EQ (ht_quantizer_settings_get_bits (settings (simulation, "w1")), 4u);
  EXPECT_EQ (ht_quantizer_settings_get_bits (settings (simulation, "w2")), 6u);
  EXPECT_EQ (ht_quantizer_settings_get_bits (settings (simulation, "x")), 8u);
  EXPECT_EQ (ht_quantizer_settings_get_bits (settings (simulation, "relu")), 4u);
  std::string text = explain (simulation, "w1");
  EXPECT_TRUE (contains (text, "bits: 4, by rule 1 (r.yaml:9:7)")) << text;
  EXPECT_TRUE (contains (text, "granularity: channel, by target 'aimet-default': op_type.Conv.per_channel_quantization "
                               "(aimet-default.json:"))
      << text;
  EXPECT_TRUE (contains (text, "symmetric: true, by target 'aimet-default': defaults.params.is_symmetric")) << text;
  EXPECT_TRUE (contains (explain (simulation, "w2"), "bits: 6, by quantization.weights.bits"));
  EXPECT_EQ (ht_simulation_explain_tensor (simulation, "w3", &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_FOUND, "did you mean 'w");
}

TEST (TargetPlacement, ExplanationsNameThePlaceOrSayThatNothingIsWritten)
{
  Net net;
  net.input ("x", { 1, 4, 8, 8 }).weight ("w", { 4, 4, 1, 1 });
  for (const char *name : { "bias", "g", "b", "m" })
    net.weight (name, { 4 });
  net.values_of ("v", { 4 }, { 1, 1, 1, 1 });
  net.node ("Conv", { "x", "w", "bias" }, { "conv" });
  net.node ("BatchNormalization", { "conv", "g", "b", "m", "v" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) aimet = simulate_for (net, "aimet-default");
  std::string text = explain (aimet, "m"), start = "has no quantizer: target 'aimet-default': ";
  std::string path
      = start + "op_type.BatchNormalization.params.running_mean.is_quantized is False (aimet-default.json:";
  EXPECT_EQ (text.rfind (path, 0), 0u) << text;
  text = explain (aimet, "bias");
  EXPECT_EQ (text.rfind (start + "params.bias.is_quantized is False (aimet-default.json:", 0), 0u) << text;
  text = explain (aimet, "conv");
  EXPECT_TRUE (contains (text, "symmetric: false, by target 'aimet-default': defaults.ops.is_symmetric is not written "
                               "(aimet-default.json)\n"))
      << text;
}

TEST (TargetPlacement, TheLastLayerIsTheLastWeightedOne)
{
  Net net;
  make_depthwise (net);
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  guint last = ht_quantization_config_add_rule (config, "Conv", nullptr, TRUE);
  ht_quantization_config_set_rule_position (config, last, HT_RULE_POSITION_LAST);
  g_autoptr (HtSimulation) simulation = simulate (net, config);
  EXPECT_EQ (quantized (simulation), (Names{ "x", "w1", "relu" }));
  EXPECT_TRUE (contains (explain (simulation, "w2"), "rule 1 leaves its reader 'depthwise' in floating point"));
}

// assets/aimet: 512 images, min-max, per channel, calibrated by aimet-onnx 2.42.
TEST (TargetPlacement, AimetsRecordedEncodingsAreFound)
{
  REQUIRE_ASSET (model, "aimet/resnet20_cifar10_folded.onnx");
  REQUIRE_ASSET (images, "data/cifar10_calib_x.npy");
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = ht_graph_load (model.c_str (), &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (HtPreprocess) preprocess = ht_preprocess_new ();
  for (auto [key, value] : std::map<const char *, const char *>{ { "layout", "NHWC" },
                                                                 { "scale", "0.00392156862745098" },
                                                                 { "mean", "[0.485, 0.456, 0.406]" },
                                                                 { "std", "[0.229, 0.224, 0.225]" } })
    ASSERT_TRUE (ht_object_set_param_string (G_OBJECT (preprocess), key, value, &error)) << error->message;
  for (int bits : { 8, 4 })
    {
      g_autoptr (HtDataset) dataset = ht_dataset_new ();
      ASSERT_TRUE (ht_dataset_add_file (dataset, nullptr, images.c_str (), &error));
      ht_dataset_set_preprocess (dataset, preprocess);
      ht_dataset_set_limit (dataset, 512);
      g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
      ASSERT_TRUE (ht_quantization_config_set_target (config, "aimet-default", &error));
      g_autoptr (JsonNode) width = json_from_string (std::to_string (bits).c_str (), nullptr);
      ASSERT_TRUE (ht_object_set_param (G_OBJECT (ht_quantization_config_get_weights (config)), "bits", width, &error));
      g_autoptr (HtSimulation) ours = ht_simulation_new (graph, config, &error);
      ASSERT_NO_GERROR (error);
      ASSERT_TRUE (ht_simulation_calibrate (ours, dataset, 32, nullptr, nullptr, nullptr, &error));
      g_autoptr (HtSimulation) aimets = ht_simulation_new (graph, config, &error);
      std::string file = "aimet/resnet20_cifar10_w" + std::to_string (bits) + "a8_pc.encodings";
      // Not partial: the same tensors, no more and no less.
      ASSERT_TRUE (ht_simulation_load_encodings (aimets, support::asset (file).c_str (), FALSE, &error))
          << error->message;
      for (const std::string &tensor : quantized (ours))
        {
          HtEncoding *a = ht_simulation_get_encoding (ours, tensor.c_str ());
          HtEncoding *b = ht_simulation_get_encoding (aimets, tensor.c_str ());
          ASSERT_NE (a, nullptr) << tensor;
          ASSERT_NE (b, nullptr) << tensor;
          bool is_weight = ht_quantizer_is_weight (ht_simulation_get_quantizer (ours, tensor.c_str ()));
          gsize n, m;
          const double *x = ht_encoding_get_scales (a, &n), *y = ht_encoding_get_scales (b, &m);
          ASSERT_EQ (n, m) << tensor;
          EXPECT_EQ (ht_encoding_get_bits (a), ht_encoding_get_bits (b)) << tensor;
          EXPECT_EQ (ht_encoding_is_symmetric (a), ht_encoding_is_symmetric (b)) << tensor;
          for (gsize i = 0; i < n; i++)
            {
              EXPECT_NEAR (x[i], y[i], y[i] * (is_weight ? 1e-6 : 1e-5)) << tensor;
              EXPECT_EQ (ht_encoding_get_offsets (a, nullptr)[i], ht_encoding_get_offsets (b, nullptr)[i]) << tensor;
            }
        }
    }
}
