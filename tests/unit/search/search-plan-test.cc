// SPDX-License-Identifier: MIT
// What a search would do: counts, laws, the prefix tree against the keys of the steps, dead branches, speed.
#include "support.h"

extern "C"
{
#include "pass/step-key.h"
}

#include "../pass/test-pass.h"

#include <set>
#include <string>

namespace
{

using test_pass::Spec;

class SearchPlanTest : public ::testing::Test
{
protected:
  void SetUp () override
  {
    registry = ht_pass_registry_new ();
    add ("fold", 0, {});
    add ("shape", HT_PASS_READS_WEIGHT_SETTINGS, {});
    add ("settle", HT_PASS_READS_WEIGHT_SETTINGS | HT_PASS_READS_ACTIVATION_SETTINGS,
         { { HT_RULE_CONFLICTS, "folded", "settling and folding do not mix", nullptr, nullptr } });
  }
  void TearDown () override { g_clear_object (&registry); }
  void add (const char *id, guint reads, std::vector<test_pass::Rule> rules)
  {
    Spec spec;
    spec.id = id;
    spec.reads = reads;
    spec.rules = rules;
    if (g_str_equal (id, "fold"))
      spec.rules.push_back ({ HT_RULE_PROVIDES, "folded", "it folds", nullptr, nullptr });
    g_autoptr (GError) error = nullptr;
    EXPECT_TRUE (ht_pass_registry_add_type (registry, test_pass::make_type (spec), &error));
    EXPECT_NO_GERROR (error);
  }
  HtRecipeSpace *parse (const std::string &text)
  {
    g_autoptr (GError) error = nullptr;
    HtRecipeSpace *space
        = ht_recipe_space_parse (("recipe: \"1.0\"\n" + text).c_str (), -1, "t.yaml", registry, nullptr, &error);
    EXPECT_NO_GERROR (error);
    return space;
  }
  HtPassRegistry *registry = nullptr;
};

const char *const lattice = "quantization:\n"
                            "  weights: {bits: {$choice: [4, 8]}}\n"
                            "  activations: {bits: {$choice: [6, 8, 16]}, calibrator: {$choice: [min-max, mse]}}\n"
                            "pipeline:\n"
                            "  - {use: fold, optional: true}\n"
                            "  - {id: round, one-of: [shape, settle, none]}\n";

}

TEST_F (SearchPlanTest, CountsStepsAsTheirKeysDo)
{
  g_autoptr (HtRecipeSpace) space = parse (lattice);
  g_autoptr (HtSearchPlan) plan = ht_search_plan_new (space);
  EXPECT_TRUE (ht_search_plan_is_complete (plan));
  EXPECT_EQ (ht_search_plan_get_n_looked_at (plan), 72u);
  EXPECT_EQ (ht_search_plan_get_n_legal (plan), 60u);
  ASSERT_EQ (ht_search_plan_get_n_laws (plan), 1u);
  guint64 n_excluded = 0;
  EXPECT_NE (std::string (ht_search_plan_get_law (plan, 0, &n_excluded)).find ("do not mix"), std::string::npos);
  EXPECT_EQ (n_excluded, 12u);
  // fold once; shape for each width of weights, with and without fold; settle for all settings, without fold.
  EXPECT_EQ (ht_search_plan_get_n_steps (plan), 1u + 2 * 2 + 12);
  EXPECT_EQ (ht_search_plan_get_n_steps_apart (plan), 24u + 2 * 12 + 12);
  EXPECT_EQ (ht_search_plan_get_n_evaluations (plan), 60u);

  std::set<std::string> keys, leaves;
  const HtStepInputs inputs = { 3, "c", 8 };
  for (guint64 i = 0; i < 72; i++)
    {
      g_autoptr (HtCombination) combination = ht_recipe_space_get_nth (space, i);
      if (!ht_recipe_space_is_legal (space, combination, nullptr))
        continue;
      g_autoptr (HtPlan) steps = ht_recipe_space_create_plan (space, combination);
      std::string at = "root";
      for (guint k = 0; k < ht_plan_get_n_steps (steps); k++)
        {
          g_autofree char *key = ht_step_key (at.c_str (), steps, k, &inputs);
          keys.insert (at = key);
        }
      g_autofree char *leaf
          = ht_leaf_key (at.c_str (), ht_recipe_space_get_quantization (space, combination), &inputs, "e");
      leaves.insert (leaf);
    }
  EXPECT_EQ (ht_search_plan_get_n_steps (plan), keys.size ());
  EXPECT_EQ (ht_search_plan_get_n_evaluations (plan), leaves.size ());
  g_auto (GStrv) tree = ht_search_plan_list_tree (plan, 1000);
  EXPECT_EQ (g_strv_length (tree), keys.size ());
  EXPECT_TRUE (g_strv_contains (tree, "  round (shape), quantization.weights.bits: 4  [6]")) << tree[0] << "\n"
                                                                                             << tree[1];
}

TEST_F (SearchPlanTest, ValuesWithoutALegalCombinationAreDead)
{
  g_autoptr (HtRecipeSpace) space = parse ("pipeline:\n  - fold\n  - {id: round, one-of: [settle, shape, none]}\n");
  g_autoptr (HtSearchPlan) plan = ht_search_plan_new (space);
  g_auto (GStrv) dead = ht_search_plan_list_dead (plan);
  ASSERT_EQ (g_strv_length (dead), 1u);
  EXPECT_STREQ (dead[0], "round: settle");
  g_autoptr (JsonNode) json = ht_search_plan_to_json (plan);
  JsonObject *object = json_node_get_object (json);
  EXPECT_EQ (json_object_get_int_member (object, "legal"), 2);
  EXPECT_EQ (json_object_get_int_member (object, "executions"), 2);
}

TEST_F (SearchPlanTest, ContinuousSpacesAreSampled)
{
  g_autoptr (HtRecipeSpace) space = parse (
      "quantization: {activations: {calibrator: {percentile: {value: {$float: [99.0, 100.0]}}}}}\npipeline: [fold]\n");
  g_autoptr (HtSearchPlan) plan = ht_search_plan_new (space);
  EXPECT_FALSE (ht_search_plan_is_complete (plan));
  EXPECT_EQ (ht_search_plan_get_n_legal (plan), ht_search_plan_get_n_looked_at (plan));
  EXPECT_EQ (ht_search_plan_get_n_steps (plan), 1u);
}

// The bound is of processor time, and generous: it is to catch work that grows with the square of the space.
TEST_F (SearchPlanTest, TenThousandCombinationsTakeASecondAtMost)
{
  g_autoptr (HtRecipeSpace) space = parse (
      "quantization:\n"
      "  weights: {bits: {$choice: [2, 3, 4, 5, 8]}, granularity: {$choice: [tensor, channel]}}\n"
      "  activations: {bits: {$int: [4, 16]}, calibrator: {$choice: [min-max, mse, tf-enhanced, percentile]}}\n"
      "pipeline:\n"
      "  - {use: fold, optional: true}\n"
      "  - {id: a, one-of: [shape, settle, none]}\n"
      "  - {id: b, one-of: [shape, settle, none]}\n");
  ASSERT_NE (space, nullptr);
  EXPECT_EQ (ht_recipe_space_get_n_combinations (space), 9360u);
  clock_t start = clock ();
  g_autoptr (HtSearchPlan) plan = ht_search_plan_new (space);
  double seconds = (double)(clock () - start) / CLOCKS_PER_SEC;
  EXPECT_EQ (ht_search_plan_get_n_looked_at (plan), 9360u);
  EXPECT_LT (seconds, g_getenv ("ASAN_OPTIONS") ? 20 : 1);
  RecordProperty ("seconds", std::to_string (seconds));
}
