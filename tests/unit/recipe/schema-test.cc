// SPDX-License-Identifier: MIT
// The schema has the keys that the readers know; tidying keeps what a text says, and its comments.
#include <set>
#include <string>

#include "support.h"
#include "test-passes.h"

namespace
{

class SchemaTest : public ::testing::Test
{
protected:
  void SetUp () override { registry = test_registry_new (); }
  void TearDown () override { g_clear_object (&registry); }
  // What the reader of a section lists when it meets an unknown key.
  std::set<std::string> known (const std::string &text)
  {
    g_autoptr (GPtrArray) diagnostics = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_diagnostic_unref);
    g_autoptr (HtRecipeSpace) space
        = ht_recipe_space_parse (("recipe: \"1.0\"\n" + text).c_str (), -1, "t.yaml", registry, diagnostics, nullptr);
    std::set<std::string> words;
    for (guint i = 0; i < diagnostics->len; i++)
      {
        std::string message = ht_diagnostic_get_message ((HtDiagnostic *)diagnostics->pdata[i]);
        size_t at = message.find ("(known: ");
        if (message.find ("unknown") == std::string::npos || message.find ("'zzz'") == std::string::npos
            || at == std::string::npos)
          continue;
        std::string list = message.substr (at + 8, message.rfind (')') - at - 8);
        g_auto (GStrv) parts = g_strsplit (list.c_str (), ", ", -1);
        for (gsize k = 0; parts[k]; k++)
          words.insert (parts[k]);
      }
    return words;
  }
  static std::set<std::string> properties (JsonNode *schema, const char *path)
  {
    g_auto (GStrv) parts = g_strsplit (path, "/", -1);
    JsonObject *object = json_node_get_object (schema);
    std::set<std::string> names;
    for (gsize i = 0; parts[i] && *parts[i] && object; i++)
      object = g_ascii_isdigit (*parts[i])
                   ? nullptr
                   : (json_object_has_member (object, parts[i]) ? json_object_get_object_member (object, parts[i])
                                                                : nullptr);
    EXPECT_NE (object, nullptr) << path;
    if (!object)
      return names;
    g_autoptr (GList) members = json_object_get_members (json_object_get_object_member (object, "properties"));
    for (GList *item = members; item; item = item->next)
      names.insert ((const char *)item->data);
    return names;
  }
  HtPassRegistry *registry = nullptr;
};

std::string
tidy (const std::string &text, GError **error = nullptr)
{
  g_autofree char *result = ht_recipe_format (text.c_str (), "t.yaml", nullptr, error);
  return result ? result : "(refused)";
}

}

TEST_F (SchemaTest, HasTheKeysThatTheReadersKnow)
{
  const struct
  {
    const char *path, *text;
  } sections[] = {
    { "", "zzz: 1\n" },
    { "properties/data", "data: {zzz: 1}\n" },
    { "properties/data/properties/preprocess", "data: {preprocess: {zzz: 1}}\n" },
    { "properties/data/properties/calibration", "data: {calibration: {zzz: 1}}\n" },
    { "properties/data/properties/evaluation", "data: {evaluation: {zzz: 1}}\n" },
    { "properties/data/properties/training", "data: {training: {zzz: 1}}\n" },
    { "properties/quantization", "quantization: {zzz: 1}\n" },
    { "$defs/weights", "quantization: {weights: {zzz: 1}}\n" },
    { "$defs/activations", "quantization: {activations: {zzz: 1}}\n" },
    { "properties/quantization/properties/encodings", "quantization: {encodings: {zzz: 1}}\n" },
    { "properties/quantization/properties/rules/items", "quantization: {rules: [{zzz: 1}]}\n" },
    { "properties/quantization/properties/rules/items/properties/match",
      "quantization: {rules: [{match: {zzz: 1}}]}\n" },
    { "properties/output", "output: {zzz: 1}\n" },
    { "properties/output/properties/qdq", "output: {qdq: {zzz: 1}}\n" },
    { "properties/objective", "objective: {zzz: 1}\n" },
    { "properties/search", "search: {zzz: 1}\n" },
    { "properties/search/properties/budget", "search: {budget: {zzz: 1}}\n" },
    { "properties/forbid/items", "forbid: [{zzz: 1}]\n" },
    { "$defs/technique-tidy", "pipeline: [{tidy: {zzz: 1}}]\n" },
    { "$defs/technique-polish", "pipeline: [{polish: {zzz: 1}}]\n" },
  };
  g_autoptr (JsonNode) schema = ht_recipe_schema (registry);
  for (auto &section : sections)
    {
      std::set<std::string> words = known (section.text);
      words.erase ("augment"); // not carried out yet
      EXPECT_FALSE (words.empty ()) << section.text;
      EXPECT_EQ (properties (schema, section.path), words) << section.path;
    }
}

TEST_F (SchemaTest, ParametersHaveTypeRangeDefaultAndHelp)
{
  g_autoptr (JsonNode) schema = ht_recipe_schema (registry);
  g_autofree char *text = json_to_string (schema, FALSE);
  // It is JSON, and says of a parameter what its GParamSpec says.
  g_autoptr (JsonNode) again = json_from_string (text, nullptr);
  ASSERT_NE (again, nullptr);
  JsonObject *tidy = json_object_get_object_member (
      json_object_get_object_member (json_node_get_object (again), "$defs"), "technique-tidy");
  JsonObject *rounds = json_object_get_object_member (json_object_get_object_member (tidy, "properties"), "rounds");
  EXPECT_STREQ (json_object_get_string_member (rounds, "description"), "How often to tidy");
  EXPECT_EQ (json_object_get_int_member (rounds, "default"), 2);
  JsonObject *plain = json_array_get_object_element (json_object_get_array_member (rounds, "anyOf"), 0);
  EXPECT_STREQ (json_object_get_string_member (plain, "type"), "integer");
  EXPECT_EQ (json_object_get_int_member (plain, "minimum"), 1);
  EXPECT_EQ (json_object_get_int_member (plain, "maximum"), 1000);
}

TEST_F (SchemaTest, TidyingKeepsCommentsAndMeaning)
{
  const char *messy
      = "\n# head\r\nrecipe:   \"1.0\"   # version  \n\n\n\ndata:\n    # of the file\n    calibration:   {path: "
        "c.npy,\n"
        "                    batch: 3}  # flow\n    evaluation:\n          path: e.npy\npipeline:\n"
        "- tidy   # first\n# second\n-   polish:\n        level: 2\n- id: round\n  use: tidy\n  with:\n"
        "     rounds: 1\nquantization:\n  rules:\n        -  match: {name: 'it''s [ {'}\n           skip: true\n"
        "  # end\n\n";
  const char *clean
      = "# head\nrecipe:   \"1.0\"   # version\n\ndata:\n  # of the file\n  calibration:   {path: c.npy,\n"
        "                  batch: 3}  # flow\n  evaluation:\n    path: e.npy\npipeline:\n"
        "  - tidy   # first\n  # second\n  - polish:\n      level: 2\n  - id: round\n    use: tidy\n    with:\n"
        "      rounds: 1\nquantization:\n  rules:\n    - match: {name: 'it''s [ {'}\n      skip: true\n# end\n";
  EXPECT_EQ (tidy (messy), clean);
  EXPECT_EQ (tidy (clean), clean);
  EXPECT_EQ (tidy ("{\"recipe\":\"1.0\",\n\"pipeline\":[\"tidy\"]}"),
             "{\n  \"recipe\" : \"1.0\",\n  \"pipeline\" : [\n    \"tidy\"\n  ]\n}\n");
}

TEST_F (SchemaTest, EveryRecipeOfTheTestsIsTidiedToTheSameRecipe)
{
  std::string folder = std::string (g_getenv ("HALFTONE_SOURCE")) + "/tests/recipes/";
  guint n = 0;
  for (const char *name : { "good", "bad" })
    {
      GDir *dir = g_dir_open ((folder + name).c_str (), 0, nullptr);
      ASSERT_NE (dir, nullptr);
      while (const char *file = g_dir_read_name (dir))
        {
          g_autofree char *text = nullptr;
          g_autoptr (GError) error = nullptr;
          if (g_str_has_suffix (file, ".expected")
              || !g_file_get_contents ((folder + name + "/" + file).c_str (), &text, nullptr, nullptr)
              || !g_utf8_validate (text, -1, nullptr))
            continue;
          g_autofree char *once = ht_recipe_format (text, file, nullptr, &error);
          EXPECT_TRUE (once != nullptr || g_str_equal (name, "bad")) << file << ": " << error->message;
          // Refused for what the text is, never because tidying would change it.
          if (error)
            {
              EXPECT_EQ (std::string (error->message).find ("would not say the same"), std::string::npos)
                  << error->message;
            }
          if (!once)
            continue;
          g_autofree char *twice = ht_recipe_format (once, file, nullptr, nullptr);
          EXPECT_STREQ (twice, once) << file;
          n++;
        }
      g_dir_close (dir);
    }
  EXPECT_GE (n, 20u);
}
