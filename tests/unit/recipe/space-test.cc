// SPDX-License-Identifier: MIT
// Spaces: axes, their order, counting, enumeration, laws, what combinations share.
#include <cmath>
#include <map>
#include <set>
#include <string>

#include "support.h"
#include "test-passes.h"

namespace
{

class SpaceTest : public ::testing::Test
{
protected:
  void SetUp () override { registry = test_registry_new (); }
  void TearDown () override { g_clear_object (&registry); }
  HtRecipeSpace *parse (const std::string &text)
  {
    g_autoptr (GError) error = nullptr;
    HtRecipeSpace *space
        = ht_recipe_space_parse (("recipe: \"1.0\"\n" + text).c_str (), -1, "t.yaml", registry, nullptr, &error);
    EXPECT_NO_GERROR (error) << text;
    return space;
  }
  static std::vector<std::string> axes (HtRecipeSpace *space)
  {
    std::vector<std::string> names;
    for (guint i = 0; i < ht_recipe_space_get_n_axes (space); i++)
      names.push_back (ht_recipe_space_get_axis_name (space, i));
    return names;
  }
  static std::string describe (HtRecipeSpace *space, HtCombination *combination)
  {
    g_autofree char *text = ht_recipe_space_describe (space, combination);
    return text;
  }
  HtPassRegistry *registry = nullptr;
};

using Names = std::vector<std::string>;

const char *const nested = "quantization:\n"
                           "  activations: {bits: {$choice: [8, 16]}}\n"
                           "pipeline:\n"
                           "  - tidy: {rounds: {$int: [1, 5], step: 2}}\n"
                           "  - {id: shine, one-of: [none, {polish: {level: {$choice: [2, 5, 7]}}}, tidy]}\n"
                           "  - {use: polish, optional: true}\n";

}

TEST_F (SpaceTest, ARecipeWithoutChoicesIsOneCombination)
{
  g_autoptr (HtRecipeSpace) space = parse ("pipeline: [tidy, polish]\n");
  ASSERT_NE (space, nullptr);
  EXPECT_EQ (ht_recipe_space_get_n_axes (space), 0u);
  EXPECT_EQ (ht_recipe_space_get_n_combinations (space), 1u);
  g_autoptr (HtCombination) only = ht_recipe_space_get_nth (space, 0);
  EXPECT_TRUE (ht_recipe_space_is_legal (space, only, nullptr));
  g_autoptr (HtRecipe) recipe = ht_recipe_space_instantiate (space, only, nullptr);
  ASSERT_NE (recipe, nullptr);
  EXPECT_EQ (ht_plan_get_n_steps (ht_recipe_get_plan (recipe)), 2u);
}

TEST_F (SpaceTest, AxesAreNamedAndOrderedByTheStepThatLooksAtThem)
{
  g_autoptr (HtRecipeSpace) space = parse (nested);
  ASSERT_NE (space, nullptr);
  EXPECT_EQ (axes (space), (Names{ "tidy.rounds", "shine", "shine.level", "polish", "quantization.activations.bits" }));
  guint value = 0;
  EXPECT_EQ (ht_recipe_space_get_axis_parent (space, 2, &value), 1);
  EXPECT_EQ (value, 1u);
  EXPECT_EQ (ht_recipe_space_get_axis_parent (space, 3, nullptr), -1);
  EXPECT_EQ (ht_recipe_space_get_axis_none (space, 1), 0);
  EXPECT_EQ (ht_recipe_space_get_axis_none (space, 3), 1);
  EXPECT_EQ (ht_recipe_space_get_axis_none (space, 0), -1);
  EXPECT_EQ (ht_recipe_space_get_axis_n_values (space, 0), 3u);
  g_autofree char *last = ht_recipe_space_format_axis_value (space, 0, 2);
  EXPECT_STREQ (last, "5");
  EXPECT_EQ (ht_recipe_space_find_axis (space, "shine.level"), 2u);
  EXPECT_EQ (ht_recipe_space_find_axis (space, "shine.nothing"), G_MAXUINT);
}

TEST_F (SpaceTest, EveryCombinationIsThereOnceInDepthFirstOrder)
{
  g_autoptr (HtRecipeSpace) space = parse (nested);
  ASSERT_NE (space, nullptr);
  guint64 n = ht_recipe_space_get_n_combinations (space);
  EXPECT_EQ (n, 3u * (1 + 3 + 1) * 2 * 2);
  std::set<std::string> seen;
  std::string before;
  guint changes[5] = { 0 };
  g_autoptr (HtCombination) last = nullptr;
  for (guint64 i = 0; i < n; i++)
    {
      g_autoptr (HtCombination) combination = ht_recipe_space_get_nth (space, i);
      EXPECT_TRUE (seen.insert (describe (space, combination)).second) << describe (space, combination);
      EXPECT_EQ (ht_combination_is_active (combination, 2), ht_combination_get_index (combination, 1) == 1);
      for (guint axis = 0; last && axis < 5; axis++)
        changes[axis] += ht_combination_get_index (last, axis) != ht_combination_get_index (combination, axis);
      g_clear_pointer (&last, ht_combination_unref);
      last = ht_combination_ref (combination);
      // There and back again.
      g_autoptr (GError) error = nullptr;
      g_autoptr (JsonNode) json = ht_recipe_space_combination_to_json (space, combination);
      g_autoptr (HtCombination) again = ht_recipe_space_combination_from_json (space, json, &error);
      ASSERT_NO_GERROR (error);
      EXPECT_TRUE (ht_combination_equal (combination, again));
      EXPECT_EQ (ht_combination_hash (combination), ht_combination_hash (again));
    }
  EXPECT_EQ (seen.size (), n);
  EXPECT_EQ (changes[0], 2u);    // slowest
  EXPECT_EQ (changes[4], n - 1); // fastest
}

TEST_F (SpaceTest, StepsKeepTheirIdsWhateverElseIsChosen)
{
  g_autoptr (HtRecipeSpace) space = parse ("pipeline:\n"
                                           "  - {use: tidy, optional: true}\n"
                                           "  - one-of: [tidy, none]\n"
                                           "  - tidy: {rounds: 3}\n");
  ASSERT_NE (space, nullptr);
  EXPECT_EQ (axes (space), (Names{ "tidy", "tidy-2" }));
  std::map<std::string, HtPass *> passes;
  for (guint64 i = 0; i < ht_recipe_space_get_n_combinations (space); i++)
    {
      g_autoptr (HtCombination) combination = ht_recipe_space_get_nth (space, i);
      g_autoptr (HtPlan) plan = ht_recipe_space_create_plan (space, combination);
      guint n = ht_plan_get_n_steps (plan);
      EXPECT_STREQ (ht_plan_get_step_id (plan, n - 1), "tidy-3");
      for (guint k = 0; k < n; k++)
        {
          HtPass *pass = ht_plan_get_step_pass (plan, k);
          EXPECT_EQ (passes.emplace (ht_plan_get_step_id (plan, k), pass).first->second, pass);
        }
    }
  EXPECT_EQ (passes.size (), 3u);
}

TEST_F (SpaceTest, LawsAndForbidExcludeAndAreNamed)
{
  g_autoptr (HtRecipeSpace) space = parse ("quantization: {weights: {bits: {$choice: [4, 8]}, symmetric: {$choice: "
                                           "[true, false]}, strict: true}}\n"
                                           "pipeline:\n"
                                           "  - {use: tidy, optional: true}\n"
                                           "  - {id: second, one-of: [polish, stain, none]}\n"
                                           "forbid: [{when: 'on(tidy) && weights.bits = 4', why: it fails}]\n");
  ASSERT_NE (space, nullptr);
  std::map<std::string, guint> laws;
  guint n_legal = 0;
  for (guint64 i = 0; i < ht_recipe_space_get_n_combinations (space); i++)
    {
      g_autoptr (HtCombination) combination = ht_recipe_space_get_nth (space, i);
      char *law = nullptr;
      if (ht_recipe_space_is_legal (space, combination, &law))
        n_legal++;
      else
        laws[law]++;
      g_free (law);
    }
  // Of 24: 12 are strict without symmetry. Of the other 12: with tidy, stain excludes itself (2), 4 bits are forbidden
  // for polish and none (2); without it, polish lacks what it needs (2).
  EXPECT_EQ (n_legal, 6u);
  ASSERT_EQ (laws.size (), 4u);
  std::multiset<guint> counts;
  for (auto &law : laws)
    counts.insert (law.second);
  EXPECT_EQ (counts, (std::multiset<guint>{ 2, 2, 2, 12 }));
  EXPECT_EQ (laws.count ("the recipe forbids on(tidy) && weights.bits = 4: it fails (t.yaml:6:17)"), 1u);
}

TEST_F (SpaceTest, ContinuousAxesHoldAnyNumberOfTheirRange)
{
  g_autoptr (HtRecipeSpace) space
      = parse ("pipeline: [{tidy: {strength: {$float: [0.001, 1], log: true}, rounds: {$int: "
               "[1, 9], step: 4}}}]\n");
  ASSERT_NE (space, nullptr);
  EXPECT_EQ (ht_recipe_space_get_n_combinations (space), G_MAXUINT64);
  guint axis = ht_recipe_space_find_axis (space, "tidy.strength"),
        rounds = ht_recipe_space_find_axis (space, "tidy.rounds");
  double low, high, step;
  gboolean log;
  ASSERT_TRUE (ht_recipe_space_get_axis_range (space, axis, &low, &high, &log, &step));
  EXPECT_EQ (low, 0.001);
  EXPECT_EQ (high, 1);
  EXPECT_TRUE (log);
  EXPECT_EQ (step, 0);
  g_autoptr (GRand) random = g_rand_new_with_seed (5);
  guint n_low = 0;
  for (guint i = 0; i < 1000; i++)
    {
      g_autoptr (HtCombination) drawn = ht_recipe_space_random (space, random);
      double number = ht_combination_get_number (drawn, axis);
      EXPECT_GE (number, 0.001);
      EXPECT_LE (number, 1);
      n_low += number < std::sqrt (0.001);
    }
  EXPECT_NEAR (n_low, 500, 60); // by the logarithm
  g_autoptr (HtCombination) first = ht_recipe_space_get_nth (space, 0);
  g_autoptr (HtCombination) varied = ht_recipe_space_vary_number (space, first, axis, 1.0 / 3);
  g_autoptr (HtCombination) again = ht_recipe_space_vary_number (space, varied, rounds, 6.4);
  EXPECT_EQ (ht_combination_get_number (again, rounds), 5);
  EXPECT_EQ (ht_combination_get_index (again, rounds), 1u);
  EXPECT_FALSE (ht_combination_equal (varied, again));
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtRecipe) recipe = ht_recipe_space_instantiate (space, again, &error);
  ASSERT_NO_GERROR (error);
  double strength = 0;
  g_object_get (ht_plan_get_step_pass (ht_recipe_get_plan (recipe), 0), "strength", &strength, nullptr);
  EXPECT_EQ (strength, 1.0 / 3);
}

TEST_F (SpaceTest, ACombinationOfAnotherSpaceIsRefused)
{
  g_autoptr (HtRecipeSpace) space = parse (nested);
  for (const char *text : { "{}", "[]", "{\"shine\": \"gloss\"}", "{\"tidy.rounds\": 2}",
                            "{\"tidy.rounds\": 3, \"shine\": \"none\", \"polish\": \"polish\"}" })
    {
      g_autoptr (GError) error = nullptr;
      g_autoptr (JsonNode) node = json_from_string (text, nullptr);
      EXPECT_EQ (ht_recipe_space_combination_from_json (space, node, &error), nullptr) << text;
      EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_DATA, "reading a combination");
    }
}

TEST_F (SpaceTest, ObjectiveAndSettingsAreRead)
{
  g_autoptr (HtRecipeSpace) space = parse (
      "pipeline: [{use: tidy, optional: true}]\n"
      "objective: {maximize: top1, subject-to: [top1 >= baseline - 0.5pp, top1 >= baseline - 1%, top1 >= 70%, "
      "size <= 4MiB, size <= baseline - 75%, sqnr >= 20dB, time <= 2min, top1 <= baseline], then-minimize: [steps, "
      "size], on: held-out}\n"
      "search: {strategy: tpe, budget: {time: 2h, trials: 64, memory: 8GiB}, stop: target, seed: 7, jobs: 3, "
      "prune: true, restarts: 5}\n");
  ASSERT_NE (space, nullptr);
  HtObjective *objective = ht_recipe_space_get_objective (space);
  EXPECT_EQ (ht_objective_get_metric (objective), HT_METRIC_TOP1);
  EXPECT_TRUE (ht_objective_is_maximized (objective));
  EXPECT_EQ (ht_objective_get_data (objective), HT_OBJECTIVE_DATA_HELD_OUT);
  const double bounds[] = { 0.795, 0.792, 0.7, 4 * 1048576, 0.2, 20, 120, 0.8 };
  ASSERT_EQ (ht_objective_get_n_constraints (objective), G_N_ELEMENTS (bounds));
  for (gsize i = 0; i < G_N_ELEMENTS (bounds); i++)
    EXPECT_NEAR (ht_objective_get_bound (objective, i, 0.8), bounds[i], 1e-12) << i;
  EXPECT_TRUE (ht_objective_is_met (objective, 0, 0.8, 0.8));
  EXPECT_FALSE (ht_objective_is_met (objective, 0, 0.79, 0.8));
  EXPECT_FALSE (ht_objective_is_met (objective, 0, NAN, 0.8));
  EXPECT_TRUE (ht_objective_is_met (objective, 6, 119, 0));
  gint metric, cost;
  gboolean relative;
  EXPECT_STREQ (ht_objective_get_constraint (objective, 4, &metric, &cost, nullptr, &relative),
                "size <= baseline - 75%");
  EXPECT_EQ (metric, -1);
  EXPECT_EQ (cost, HT_COST_SIZE);
  EXPECT_TRUE (relative);
  ASSERT_EQ (ht_objective_get_n_costs (objective), 2u);
  EXPECT_EQ (ht_objective_get_cost (objective, 0), HT_COST_STEPS);
  HtSearchSettings *settings = ht_recipe_space_get_settings (space);
  EXPECT_EQ (ht_search_settings_get_strategy (settings), HT_SEARCH_STRATEGY_TPE);
  EXPECT_EQ (ht_search_settings_get_stop (settings), HT_SEARCH_STOP_TARGET);
  EXPECT_EQ (ht_search_settings_get_seed (settings), 7u);
  EXPECT_EQ (ht_search_settings_get_jobs (settings), 3u);
  EXPECT_EQ (ht_search_settings_get_restarts (settings), 5u);
  EXPECT_TRUE (ht_search_settings_get_prune (settings));
  EXPECT_EQ (ht_search_settings_get_time (settings), 7200);
  EXPECT_EQ (ht_search_settings_get_trials (settings), 64u);
  EXPECT_EQ (ht_search_settings_get_memory (settings), 8ull << 30);
}

TEST_F (SpaceTest, WithoutAnObjectiveTheDataTellsTheMetric)
{
  g_autoptr (HtRecipeSpace) bare = parse ("pipeline: [tidy]\n");
  g_autoptr (HtRecipeSpace) program = parse ("data: {evaluation: {command: [judge, '{model}']}}\n");
  EXPECT_EQ (ht_objective_get_metric (ht_recipe_space_get_objective (bare)), HT_METRIC_SQNR);
  EXPECT_EQ (ht_objective_get_metric (ht_recipe_space_get_objective (program)), HT_METRIC_EXTERNAL);
  double timeout = 0;
  const char *const *command = ht_recipe_get_evaluation_command (ht_recipe_space_get_recipe (program), &timeout);
  ASSERT_NE (command, nullptr);
  EXPECT_STREQ (command[1], "{model}");
  EXPECT_EQ (timeout, 60);
}
