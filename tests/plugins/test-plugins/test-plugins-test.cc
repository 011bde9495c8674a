// SPDX-License-Identifier: MIT
// A third party's plugin, from the search path to the result, through the installed interface alone.
#include "support.h"

namespace
{

class TestPluginsTest : public ::testing::Test
{
protected:
  void SetUp () override
  {
    registry = ht_pass_registry_new ();
    ht_pass_registry_add_search_path (registry, TEST_PLUGINS);
    ht_pass_registry_load (registry);
    config = ht_quantization_config_new ();
    plan = ht_plan_new (config);
  }
  void TearDown () override
  {
    g_object_unref (plan);
    g_object_unref (config);
    g_object_unref (registry);
    g_clear_error (&error);
  }
  HtPass *add (const char *id)
  {
    g_autoptr (HtPass) pass = ht_pass_registry_create (registry, "rounding-choice", &error);
    EXPECT_NO_GERROR (error);
    ht_plan_add_step (plan, id, pass);
    return pass;
  }
  bool set (gpointer object, const char *name, const char *text)
  {
    return ht_object_set_param_string (G_OBJECT (object), name, text, &error);
  }
  HtPassRegistry *registry = nullptr;
  HtQuantizationConfig *config = nullptr;
  HtPlan *plan = nullptr;
  GError *error = nullptr;
};

TEST_F (TestPluginsTest, WhatItProvidesDependsOnItsParameter)
{
  HtPass *first = add ("first");
  HtPass *second = add ("second");
  EXPECT_TRUE (ht_plan_check (plan, &error));
  EXPECT_EQ (ht_plan_get_fact (plan, 1, HT_FACT_WEIGHTS_ROUNDED), HT_FACT_FALSE);
  ASSERT_TRUE (set (first, "mode", "learned"));
  EXPECT_TRUE (ht_plan_check (plan, &error));
  EXPECT_EQ (ht_plan_get_fact (plan, 0, HT_FACT_WEIGHTS_ROUNDED), HT_FACT_TRUE);
  ASSERT_TRUE (set (second, "mode", "learned"));
  EXPECT_FALSE (ht_plan_check (plan, &error)) << "two that round";
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_CONFLICT,
                 "step 'first' (rounding-choice) and step 'second' (rounding-choice) both provide 'weights-rounded'");
  EXPECT_FALSE (set (first, "mode", "lerned"));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE, "did you mean 'learned'?");
}

TEST_F (TestPluginsTest, WhatItProvidesDependsOnTheSettings)
{
  add ("only");
  EXPECT_TRUE (ht_plan_check (plan, &error));
  EXPECT_EQ (ht_plan_get_fact (plan, 0, HT_FACT_WEIGHT_ENCODINGS_FIXED), HT_FACT_FALSE);
  ASSERT_TRUE (set (ht_quantization_config_get_weights (config), "bits", "4"));
  EXPECT_TRUE (ht_plan_check (plan, &error));
  EXPECT_EQ (ht_plan_get_fact (plan, 0, HT_FACT_WEIGHT_ENCODINGS_FIXED), HT_FACT_TRUE);
}

TEST_F (TestPluginsTest, ItsArtifactTravelsWithTheState)
{
  add ("first");
  add ("second");
  g_autoptr (HtGraph) graph = ht_graph_new ("empty");
  g_autoptr (HtModelState) state = ht_model_state_new (graph);
  ht_model_state_seal (state);
  g_autoptr (HtPassManager) manager = ht_pass_manager_new (plan);
  g_autoptr (HtModelState) result = ht_pass_manager_run (manager, state, nullptr, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_NE (ht_model_state_get_artifact (result, "tally-marks"), nullptr);
  EXPECT_EQ (ht_model_state_get_artifact (state, "tally-marks"), nullptr);
  g_autofree char *before = ht_model_state_hash (state);
  g_autofree char *after = ht_model_state_hash (result);
  EXPECT_STRNE (before, after);
  g_autoptr (JsonNode) report = ht_pass_manager_get_step_report (manager, 1);
  g_autofree char *text = json_to_string (report, FALSE);
  EXPECT_STREQ (text,
                "{\"id\":\"second\",\"pass\":\"rounding-choice\",\"version\":\"0.1\",\"parameters\":{\"mode\":"
                "\"nearest\"},\"notes\":[],\"skipped\":[],\"tables\":{\"tally\":[{\"subject\":\"marks\",\"count\":2.0}"
                "]}}");
  g_autoptr (HtModelState) again = ht_pass_manager_run (manager, state, nullptr, &error);
  g_autofree char *again_hash = ht_model_state_hash (again);
  EXPECT_STREQ (after, again_hash);
}

TEST_F (TestPluginsTest, ItsCalibratorIsOneOfAll)
{
  g_auto (GStrv) names = ht_calibrator_list ();
  EXPECT_TRUE (g_strv_contains (names, "mean-magnitude"));
  EXPECT_TRUE (g_strv_contains (names, "min-max"));
  HtQuantizerSettings *weights = ht_quantization_config_get_weights (config);
  g_autoptr (JsonNode) value = json_from_string ("{\"mean-magnitude\": {\"factor\": 3}}", nullptr);
  ASSERT_TRUE (ht_object_set_param (G_OBJECT (weights), "calibrator", value, &error));
  g_autoptr (HtCalibrator) copy = ht_calibrator_copy (ht_quantizer_settings_get_calibrator (weights));
  EXPECT_STREQ (ht_calibrator_get_id (copy), "mean-magnitude");
  for (float scale : { 1.0f, 0.25f })
    {
      const float values[] = { -1 * scale, 2 * scale, -3 * scale, 0 };
      double minimum, maximum;
      ht_calibrator_reset (copy);
      ASSERT_TRUE (ht_calibrator_observe (copy, values, 1, &error));
      ASSERT_TRUE (ht_calibrator_observe (copy, values + 1, 3, &error));
      ASSERT_TRUE (ht_calibrator_finish (copy, weights, &minimum, &maximum, &error));
      EXPECT_EQ (minimum, -4.5 * scale);
      EXPECT_EQ (maximum, 4.5 * scale);
    }
  EXPECT_FALSE (set (weights, "calibrator", "mean-magnitud"));
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE, "did you mean 'mean-magnitude'?");
}

TEST_F (TestPluginsTest, ACalibratorThatBreaksTheProtocolIsNamed)
{
  g_autoptr (HtQuantizerSettings) settings = ht_quantizer_settings_new_activations ();
  const char *const ways[][2]
      = { { "mute", "calibrator 'mean-magnitude' failed without saying why" },
          { "turned", "gave the range from 4 to -4; expected finite ends, the lower one first" },
          { "infinite", "gave the range from -4 to inf; expected finite ends" } };
  for (const auto &way : ways)
    {
      g_autoptr (HtCalibrator) calibrator = ht_calibrator_new ("mean-magnitude", &error);
      ASSERT_NO_GERROR (error);
      ASSERT_TRUE (set (calibrator, "fail", way[0]));
      const float value = 1;
      double minimum, maximum;
      ASSERT_TRUE (ht_calibrator_observe (calibrator, &value, 1, &error));
      EXPECT_FALSE (ht_calibrator_finish (calibrator, settings, &minimum, &maximum, &error));
      EXPECT_GERROR (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS, way[1]);
    }
}

TEST_F (TestPluginsTest, AnotherRegistryKeepsTheCalibrator)
{
  g_autoptr (HtPassRegistry) second = ht_pass_registry_new ();
  ht_pass_registry_add_search_path (second, TEST_PLUGINS);
  GType before = ht_calibrator_find ("mean-magnitude", &error);
  ht_pass_registry_load (second);
  EXPECT_NE (before, G_TYPE_INVALID);
  EXPECT_EQ (ht_calibrator_find ("mean-magnitude", &error), before);
  EXPECT_TRUE (ht_calibrator_register (before, &error)) << "twice is once";
  EXPECT_NO_GERROR (error);
}

}
