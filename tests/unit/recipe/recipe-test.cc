// SPDX-License-Identifier: MIT
// Whole recipes. tests/recipes/bad holds one mistake (or family of mistakes) a file, beside it the exact diagnostics.
#include <set>
#include <string>
#include <vector>

#include "support.h"
#include "test-passes.h"

namespace
{

class RecipeTest : public ::testing::Test
{
protected:
  void SetUp () override
  {
    const char *source = g_getenv ("HALFTONE_SOURCE");
    folder = std::string (source ? source : ".") + "/tests/recipes";
    before = g_get_current_dir ();
    ASSERT_EQ (g_chdir (folder.c_str ()), 0) << folder << " (set HALFTONE_SOURCE)";
    registry = test_registry_new ();
  }
  void TearDown () override
  {
    ASSERT_EQ (g_chdir (before), 0);
    g_free (before);
    g_clear_object (&registry);
  }
  static std::vector<std::string> list (const char *name)
  {
    std::set<std::string> files;
    GDir *dir = g_dir_open (name, 0, nullptr);
    while (const char *file = dir ? g_dir_read_name (dir) : nullptr)
      if (g_str_has_suffix (file, ".yaml") || g_str_has_suffix (file, ".json"))
        files.insert (std::string (name) + "/" + file);
    if (dir)
      g_dir_close (dir);
    return { files.begin (), files.end () };
  }
  static std::string format (GPtrArray *diagnostics)
  {
    std::string all;
    for (guint i = 0; i < diagnostics->len; i++)
      {
        g_autofree char *one = ht_diagnostic_format ((HtDiagnostic *) diagnostics->pdata[i]);
        all += std::string (one) + "\n";
      }
    return all;
  }
  // Recipes for a search are called space-*.
  static bool is_space (const std::string &path)
  {
    return path.find ("/space-") != std::string::npos;
  }
  HtRecipeSpace *load_space (const std::string &path, std::string *problems, GError **error)
  {
    g_autoptr (GPtrArray) diagnostics = g_ptr_array_new_with_free_func ((GDestroyNotify) ht_diagnostic_unref);
    HtRecipeSpace *space = ht_recipe_space_load (path.c_str (), registry, diagnostics, error);
    if (problems)
      *problems = format (diagnostics);
    return space;
  }
  HtRecipe *load (const std::string &path, std::string *problems = nullptr, GError **error = nullptr)
  {
    g_autoptr (GPtrArray) diagnostics = g_ptr_array_new_with_free_func ((GDestroyNotify) ht_diagnostic_unref);
    HtRecipe *recipe = ht_recipe_load (path.c_str (), registry, diagnostics, error);
    if (problems)
      *problems = format (diagnostics);
    return recipe;
  }
  HtRecipe *parse (const std::string &text, std::string *problems = nullptr, GError **error = nullptr)
  {
    g_autoptr (GPtrArray) diagnostics = g_ptr_array_new_with_free_func ((GDestroyNotify) ht_diagnostic_unref);
    HtRecipe *recipe = ht_recipe_parse (text.data (), (gssize) text.size (), "t.yaml", registry, diagnostics, error);
    if (problems)
      *problems = format (diagnostics);
    return recipe;
  }
  static std::string to_json (HtRecipe *recipe)
  {
    g_autoptr (JsonNode) node = ht_recipe_to_json (recipe);
    g_autofree char *text = json_to_string (node, TRUE);
    return text;
  }

  std::string folder;
  char *before = nullptr;
  HtPassRegistry *registry = nullptr;
};

}

TEST_F (RecipeTest, BadRecipesAreRefusedWithExactDiagnostics)
{
  std::vector<std::string> files = list ("bad");
  EXPECT_GE (files.size (), 40u);
  for (const std::string &file : files)
    {
      g_autoptr (GError) error = nullptr;
      g_autofree char *expected = nullptr;
      std::string found;
      g_autoptr (HtRecipe) recipe = is_space (file) ? nullptr : load (file, &found, &error);
      g_autoptr (HtRecipeSpace) space = is_space (file) ? load_space (file, &found, &error) : nullptr;

      EXPECT_EQ (recipe, nullptr) << file;
      EXPECT_EQ (space, nullptr) << file;
      ASSERT_NE (error, nullptr) << file;
      EXPECT_EQ (error->domain, HT_RECIPE_ERROR) << file << ": " << error->message;
      g_file_get_contents ((file + ".expected").c_str (), &expected, nullptr, nullptr);
      EXPECT_EQ (found, expected ? expected : "(no .expected)") << file;
      // Without choices, a space has the problems of the recipe.
      if (is_space (file) || file == "bad/search.yaml")
        continue;
      g_autoptr (GError) again = nullptr;
      g_autoptr (HtRecipeSpace) none = load_space (file, &found, &again);
      EXPECT_EQ (none, nullptr) << file;
      EXPECT_EQ (found, expected ? expected : "(no .expected)") << file;
      EXPECT_STREQ (again ? again->message : "", error->message);
    }
}

TEST_F (RecipeTest, GoodRecipesAreReadAndTheirJsonIsTheSameRecipe)
{
  std::vector<std::string> files = list ("good");
  EXPECT_GE (files.size (), 5u);
  for (const std::string &file : files)
    {
      if (is_space (file))
        continue;
      g_autoptr (GError) error = nullptr;
      std::string problems;
      g_autoptr (HtRecipe) recipe = load (file, &problems, &error);

      EXPECT_NO_GERROR (error) << file;
      EXPECT_EQ (problems, "") << file;
      ASSERT_NE (recipe, nullptr) << file;
      std::string once = to_json (recipe);
      g_autoptr (HtRecipe) again
          = ht_recipe_parse (once.data (), (gssize) once.size (), file.c_str (), registry, nullptr, &error);
      EXPECT_NO_GERROR (error) << file << "\n" << once;
      ASSERT_NE (again, nullptr) << file;
      EXPECT_EQ (to_json (again), once) << file;
    }
}

TEST_F (RecipeTest, EveryCombinationIsARecipeWhoseJsonIsTheSameRecipe)
{
  guint n_spaces = 0;
  for (const std::string &file : list ("good"))
    {
      if (!is_space (file))
        continue;
      g_autoptr (GError) error = nullptr;
      std::string problems;
      g_autoptr (HtRecipeSpace) space = load_space (file, &problems, &error);
      ASSERT_NO_GERROR (error) << file;
      EXPECT_EQ (problems, "") << file;
      n_spaces++;
      guint64 n = ht_recipe_space_get_n_combinations (space);
      g_autoptr (GRand) random = g_rand_new_with_seed (1);
      for (guint64 i = 0; i < MIN (n, 100u); i++)
        {
          g_autoptr (HtCombination) combination
              = n == G_MAXUINT64 ? ht_recipe_space_random (space, random) : ht_recipe_space_get_nth (space, i);
          g_autofree char *law = nullptr, *words = ht_recipe_space_describe (space, combination);
          gboolean legal = ht_recipe_space_is_legal (space, combination, &law);
          g_autoptr (HtRecipe) recipe = ht_recipe_space_instantiate (space, combination, &error);
          ASSERT_EQ (recipe != nullptr, legal) << file << ": " << words << ": " << (law ? law : "legal");
          if (!legal)
            {
              EXPECT_NE (std::string (error->message).find (law), std::string::npos);
              g_clear_error (&error);
              continue;
            }
          std::string once = to_json (recipe);
          g_autoptr (HtRecipe) again
              = ht_recipe_parse (once.data (), (gssize) once.size (), file.c_str (), registry, nullptr, &error);
          ASSERT_NO_GERROR (error) << file << ": " << words << "\n" << once;
          EXPECT_EQ (to_json (again), once) << file << ": " << words;
          // The plan that legality is asked of has the steps of the recipe, in its order, with its parameters.
          g_autoptr (HtPlan) plan = ht_recipe_space_create_plan (space, combination);
          HtPlan *own = ht_recipe_get_plan (again);
          ASSERT_EQ (ht_plan_get_n_steps (plan), ht_plan_get_n_steps (own)) << words;
          for (guint k = 0; k < ht_plan_get_n_steps (plan); k++)
            {
              EXPECT_STREQ (ht_plan_get_step_id (plan, k), ht_plan_get_step_id (own, k));
              g_autoptr (JsonNode) a = ht_object_params_to_json (G_OBJECT (ht_plan_get_step_pass (plan, k)));
              g_autoptr (JsonNode) b = ht_object_params_to_json (G_OBJECT (ht_plan_get_step_pass (own, k)));
              EXPECT_TRUE (json_node_equal (a, b)) << words;
            }
        }
    }
  EXPECT_GE (n_spaces, 3u);
}

TEST_F (RecipeTest, ReadsEveryKey)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtRecipe) recipe = load ("good/full.yaml", nullptr, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_STREQ (ht_recipe_get_name (recipe), "full");
  EXPECT_STREQ (ht_recipe_get_path (recipe), "good/full.yaml");
  EXPECT_STREQ (ht_recipe_get_model_path (recipe), "good/../../../recipes/demo/model.onnx");
  EXPECT_EQ (ht_recipe_get_seed (recipe), 9223372036854775807u);
  EXPECT_STREQ (ht_recipe_get_output_folder (recipe), "good/results");
  EXPECT_STREQ (ht_recipe_get_output_formats (recipe)[0], "encodings-1.0.0");
  EXPECT_STREQ (ht_recipe_get_output_formats (recipe)[1], "onnx");
  EXPECT_EQ (ht_recipe_get_output_formats (recipe)[2], nullptr);
  EXPECT_STREQ (ht_recipe_get_report_formats (recipe)[0], "json");
  EXPECT_EQ (ht_recipe_get_batch (recipe, HT_DATA_CALIBRATION), 32u);
  EXPECT_EQ (ht_recipe_get_batch (recipe, HT_DATA_EVALUATION), 64u);
  EXPECT_TRUE (ht_recipe_has_data (recipe, HT_DATA_TRAINING));

  HtQuantizationConfig *config = ht_recipe_get_quantization (recipe);
  EXPECT_EQ (ht_quantizer_settings_get_bits (ht_quantization_config_get_weights (config)), 4u);
  EXPECT_TRUE (ht_quantizer_settings_get_strict (ht_quantization_config_get_weights (config)));
  EXPECT_EQ (ht_quantization_config_get_n_rules (config), 3u);

  HtPlan *plan = ht_recipe_get_plan (recipe);
  ASSERT_EQ (ht_plan_get_n_steps (plan), 5u);
  EXPECT_STREQ (ht_plan_get_step_id (plan, 0), "tidy");
  EXPECT_STREQ (ht_plan_get_step_id (plan, 1), "tidy-2");
  EXPECT_STREQ (ht_plan_get_step_id (plan, 2), "shine");
  EXPECT_STREQ (ht_plan_get_step_id (plan, 3), "tidy-3");
  EXPECT_STREQ (ht_plan_get_step_id (plan, 4), "tidy-4");
  g_autoptr (JsonNode) rounds = ht_object_get_param (G_OBJECT (ht_plan_get_step_pass (plan, 1)), "rounds", nullptr);
  EXPECT_EQ (json_node_get_int (rounds), 7);
  g_autoptr (JsonNode) untouched = ht_object_get_param (G_OBJECT (ht_plan_get_step_pass (plan, 0)), "rounds", nullptr);
  EXPECT_EQ (json_node_get_int (untouched), 2);
}

TEST_F (RecipeTest, Defaults)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtRecipe) recipe = load ("good/minimal.yaml", nullptr, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_STREQ (ht_recipe_get_name (recipe), "minimal");
  EXPECT_EQ (ht_recipe_get_model_path (recipe), nullptr);
  EXPECT_EQ (ht_recipe_get_seed (recipe), 0u);
  EXPECT_EQ (ht_recipe_get_batch (recipe, HT_DATA_CALIBRATION), 32u);
  EXPECT_FALSE (ht_recipe_has_data (recipe, HT_DATA_CALIBRATION));
  EXPECT_FALSE (ht_recipe_has_data (recipe, HT_DATA_TRAINING));
  EXPECT_EQ (ht_recipe_open_data (recipe, HT_DATA_EVALUATION, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_FOUND, "has no evaluation data: give it under data.evaluation");
  EXPECT_STREQ (ht_recipe_get_output_folder (recipe), "good/out");
  EXPECT_EQ (g_strv_length ((char **) ht_recipe_get_output_formats (recipe)), 3u);
  EXPECT_EQ (ht_plan_get_n_steps (ht_recipe_get_plan (recipe)), 0u);
}

TEST_F (RecipeTest, MissingFilesAreWarnings)
{
  g_autoptr (GError) error = nullptr;
  std::string problems;
  g_autoptr (HtRecipe) recipe
      = parse ("recipe: \"1.0\"\nmodel: none.onnx\ndata: {calibration: {path: none.npy}}\n", &problems, &error);
  ASSERT_NO_GERROR (error);
  ASSERT_NE (recipe, nullptr);
  EXPECT_EQ (problems,
             "t.yaml:2:8: warning: there is no file 'none.onnx' (paths are relative to the recipe)\n"
             "   2 | model: none.onnx\n     |        ^~~~~~~~~\n"
             "t.yaml:3:28: warning: there is no file 'none.npy' (paths are relative to the recipe)\n"
             "   3 | data: {calibration: {path: none.npy}}\n     |                            ^~~~~~~~\n");
  EXPECT_EQ (ht_recipe_open_data (recipe, HT_DATA_CALIBRATION, &error), nullptr);
  ASSERT_NE (error, nullptr);
  EXPECT_NE (std::string (error->message).find ("none.npy"), std::string::npos) << error->message;
}

TEST_F (RecipeTest, WithoutRegistryThePipelineIsKeptUnresolved)
{
  g_autoptr (GError) error = nullptr;
  const std::string text = "recipe: \"1.0\"\npipeline: [never-heard-of, {other: {a: [1, {b: 2}]}}]\n";
  g_autoptr (HtRecipe) recipe = ht_recipe_parse (text.c_str (), -1, nullptr, nullptr, nullptr, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (ht_plan_get_n_steps (ht_recipe_get_plan (recipe)), 0u);
  EXPECT_NE (to_json (recipe).find ("never-heard-of"), std::string::npos);
}

TEST_F (RecipeTest, TheFirstProblemIsTheError)
{
  g_autoptr (GError) error = nullptr;
  EXPECT_EQ (parse ("recipe: \"1.0\"\nseed: x\nzzz: 1\n", nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_WRONG_TYPE,
                 "t.yaml:2:7: 'seed' is the text 'x', must be an integer (and 1 more)");
  EXPECT_EQ (parse ("recipe: \"1.0\"\npipeline: [nothing-like-it]\n", nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_PASS, "nothing-like-it");
  EXPECT_EQ (parse ("recipe: \"1.1\"\n", nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_VERSION, "1.1");
  EXPECT_EQ (parse ("recipe: \"1.0\"\ndata: {training: {path: t.npy, augment: []}}\n", nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_NOT_SUPPORTED, "'augment' is not yet supported here");
  EXPECT_EQ (load ("none.yaml", nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_FOUND, "none.yaml");
}

TEST_F (RecipeTest, EveryPrefixOfARecipeIsReadOrRefused)
{
  g_autofree char *text = nullptr;
  gsize length = 0;
  ASSERT_TRUE (g_file_get_contents ("good/full.yaml", &text, &length, nullptr));
  for (gsize n = 0; n < length; n++)
    {
      g_autoptr (GError) error = nullptr;
      g_autoptr (HtRecipe) recipe = ht_recipe_parse (text, (gssize) n, "good/full.yaml", registry, nullptr, &error);
      EXPECT_EQ (recipe == nullptr, error != nullptr) << n;
    }
}
