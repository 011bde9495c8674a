// SPDX-License-Identifier: MIT
// Settings, rules, and what conditions read of them.
#include "support.h"

namespace
{

JsonNode *
json (const char *text)
{
  return json_from_string (text, nullptr);
}

bool
set (HtQuantizerSettings *settings, const char *name, const char *value, GError **error)
{
  g_autoptr (JsonNode) node = json (value);
  return ht_object_set_param (G_OBJECT (settings), name, node, error);
}

std::string
lookup (HtQuantizationConfig *config, const char *path)
{
  g_autofree char *value = ht_quantization_config_lookup (config, path);
  return value ? value : "(none)";
}

// Nodes conv1 (Conv), fc (Gemm) in a graph that only carries names.
HtGraph *
two_nodes ()
{
  HtGraph *graph = ht_graph_new ("two");
  const char *const a[] = { "x", "w", nullptr }, *const b[] = { "y", nullptr };
  const char *const c[] = { "y", "v", nullptr }, *const d[] = { "z", nullptr };
  ht_graph_add_node (graph, "Conv", "", "features.0.conv", a, b);
  ht_graph_add_node (graph, "Gemm", "", "fc", c, d);
  return graph;
}

}

TEST (QuantizerSettings, HaveDefaultsOfTheirKind)
{
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  EXPECT_EQ (lookup (config, "target"), "default");
  EXPECT_EQ (lookup (config, "weights.bits"), "8");
  EXPECT_EQ (lookup (config, "weights.symmetric"), "true");
  EXPECT_EQ (lookup (config, "weights.strict"), "false");
  EXPECT_EQ (lookup (config, "weights.granularity"), "channel");
  EXPECT_EQ (lookup (config, "weights.calibrator"), "min-max");
  EXPECT_EQ (lookup (config, "activations.symmetric"), "false");
  EXPECT_EQ (lookup (config, "activations.granularity"), "tensor");
  EXPECT_EQ (lookup (config, "weights"), "(none)");
  EXPECT_EQ (lookup (config, "weights.color"), "(none)");
  EXPECT_EQ (lookup (config, "biases.bits"), "(none)");
}

TEST (QuantizerSettings, AreCheckedAsParameters)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  HtQuantizerSettings *weights = ht_quantization_config_get_weights (config);
  HtQuantizerSettings *activations = ht_quantization_config_get_activations (config);
  EXPECT_TRUE (set (weights, "bits", "4", &error));
  EXPECT_TRUE (set (weights, "granularity", "\"tensor\"", &error));
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (lookup (config, "weights.bits"), "4");
  EXPECT_EQ (lookup (config, "weights.granularity"), "tensor");
  for (const char *wrong : { "1", "32", "8.5", "-8", "\"8\"", "4294967304" })
    {
      EXPECT_FALSE (set (weights, "bits", wrong, &error)) << wrong;
      g_clear_error (&error);
    }
  EXPECT_EQ (lookup (config, "weights.bits"), "4");
  EXPECT_FALSE (set (activations, "granularity", "\"channel\"", &error));
  ASSERT_NE (error, nullptr);
  EXPECT_NE (std::string (error->message).find ("tensor"), std::string::npos) << error->message;
  g_clear_error (&error);
}

TEST (QuantizerSettings, RefuseWhatCannotBeCarriedOut)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  HtQuantizerSettings *activations = ht_quantization_config_get_activations (config);
  EXPECT_TRUE (ht_quantization_config_verify (config, &error));
  ASSERT_TRUE (set (activations, "strict", "true", nullptr));
  EXPECT_FALSE (ht_quantization_config_verify (config, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_CONFLICT, "symmetric");
  ASSERT_TRUE (set (activations, "symmetric", "true", nullptr));
  EXPECT_TRUE (ht_quantization_config_verify (config, &error));
  EXPECT_FALSE (set (activations, "calibrator", "\"minmax\"", &error));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE, "did you mean 'min-max'?");
  EXPECT_FALSE (ht_quantization_config_set_target (config, "htp_v73", &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_FOUND, "there is no 'htp_v73'; expected the path of a file or one of: aimet-default");
}

TEST (QuantizationConfig, LaterRulesOverrideKeyByKey)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  g_autoptr (HtGraph) graph = two_nodes ();
  HtNode *conv = ht_graph_get_node (graph, 0), *gemm = ht_graph_get_node (graph, 1);
  guint all = ht_quantization_config_add_rule (config, nullptr, nullptr, FALSE);
  guint convs = ht_quantization_config_add_rule (config, "Conv", nullptr, FALSE);
  guint first = ht_quantization_config_add_rule (config, nullptr, "features.?.*", FALSE);
  g_autoptr (JsonNode) four = json ("4"), two = json ("2"), tensor = json ("\"tensor\""), too_wide = json ("32");
  ASSERT_TRUE (ht_quantization_config_set_rule_value (config, all, TRUE, "bits", four, &error));
  ASSERT_TRUE (ht_quantization_config_set_rule_value (config, convs, TRUE, "granularity", tensor, &error));
  ASSERT_TRUE (ht_quantization_config_set_rule_value (config, first, TRUE, "bits", two, &error));
  EXPECT_FALSE (ht_quantization_config_set_rule_value (config, first, FALSE, "bits", too_wide, &error));
  g_clear_error (&error);
  EXPECT_FALSE (ht_quantization_config_set_rule_value (config, first, FALSE, "bitz", four, &error));
  g_clear_error (&error);

  g_autoptr (HtQuantizerSettings) of_conv = ht_quantization_config_resolve (config, &conv, 1, TRUE, &error);
  g_autoptr (HtQuantizerSettings) of_gemm = ht_quantization_config_resolve (config, &gemm, 1, TRUE, &error);
  g_autoptr (HtQuantizerSettings) output = ht_quantization_config_resolve (config, &conv, 1, FALSE, &error);
  g_autoptr (HtQuantizerSettings) input = ht_quantization_config_resolve (config, nullptr, 0, TRUE, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (ht_quantizer_settings_get_bits (of_conv), 2u);
  EXPECT_EQ (ht_quantizer_settings_get_granularity (of_conv), HT_GRANULARITY_TENSOR);
  EXPECT_EQ (ht_quantizer_settings_get_bits (of_gemm), 4u);
  EXPECT_EQ (ht_quantizer_settings_get_granularity (of_gemm), HT_GRANULARITY_CHANNEL);
  EXPECT_EQ (ht_quantizer_settings_get_bits (output), 8u);
  EXPECT_EQ (ht_quantizer_settings_get_bits (input), 8u);
}

TEST (QuantizationConfig, RulesMatchWholeNamesAndExactTypes)
{
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  g_autoptr (HtGraph) graph = two_nodes ();
  HtNode *conv = ht_graph_get_node (graph, 0), *gemm = ht_graph_get_node (graph, 1);
  ht_quantization_config_add_rule (config, "conv", nullptr, TRUE);
  ht_quantization_config_add_rule (config, nullptr, "features", TRUE);
  ht_quantization_config_add_rule (config, "Gemm", "features.*", TRUE);
  EXPECT_FALSE (ht_quantization_config_is_skipped (config, conv));
  EXPECT_FALSE (ht_quantization_config_is_skipped (config, gemm));
  ht_quantization_config_add_rule (config, "Gemm", "f?", TRUE);
  EXPECT_FALSE (ht_quantization_config_is_skipped (config, conv));
  EXPECT_TRUE (ht_quantization_config_is_skipped (config, gemm));
}
