// SPDX-License-Identifier: MIT
// What the command answers to a new user: help, mistakes, exit codes, the list of plugins, recipes that are checked.
#include "command.h"

using command::run;

namespace
{

const char *const verbs[]
    = { "run", "check", "plan", "inspect", "eval", "infer", "export", "validate", "plugins", "explain", "recipe" };

}

TEST (Usage, HelpsWithEveryVerb)
{
  auto all = run ({ "--help" });
  EXPECT_EQ (all.code, 0);
  for (const char *verb : verbs)
    {
      EXPECT_HAS (all.out, std::string ("\n  ") + verb + " ");
      auto one = run ({ verb, "--help" });
      EXPECT_EQ (one.code, 0) << verb;
      EXPECT_HAS (one.out, std::string ("halftone ") + verb);
      EXPECT_EQ (one.err, "") << verb;
      auto other = run ({ "help", verb });
      EXPECT_EQ (other.out, one.out);
    }
}

TEST (Usage, RefusesWhatItDoesNotKnow)
{
  EXPECT_EQ (run ({}).code, 2);
  auto verb = run ({ "exprot", "m.onnx" });
  EXPECT_EQ (verb.code, 2);
  EXPECT_HAS (verb.err, "did you mean 'export'?");
  EXPECT_EQ (verb.out, "");
  auto option = run ({ "run", "--outptu", "x", "r.yaml" });
  EXPECT_EQ (option.code, 2);
  EXPECT_HAS (option.err, "did you mean '--output'?");
  for (const char *name : verbs)
    {
      auto missing = run ({ name });
      EXPECT_EQ (missing.code, 2) << name;
      EXPECT_HAS (missing.err, "is missing");
      EXPECT_HAS (missing.err, "--help");
      EXPECT_EQ (run ({ name, "a", "b" }).code, 2) << name;
      EXPECT_EQ (run ({ name, "--no-such-option" }).code, 2) << name;
    }
  EXPECT_EQ (run ({ "help", "nothing" }).code, 2);
  auto format = run ({ "export", "m.onnx", "--format", "qdq", "-o", "x" });
  EXPECT_EQ (format.code, 2);
  auto layout = run ({ "eval", "m.onnx", "-d", "x.npy", "--layout", "nhwc" });
  EXPECT_EQ (layout.code, 2);
  EXPECT_HAS (layout.err, "did you mean 'NHWC'?");
  EXPECT_HAS (run ({ "--versio" }).err, "did you mean '--version'?");
  for (const char *threads : { "-1", "99999", "two" })
    for (const char *name : { "run", "eval", "infer" })
      {
        auto result = run ({ name, "f", "--threads", threads });
        EXPECT_EQ (result.code, 2) << name;
        EXPECT_HAS (result.err, threads);
      }
}

TEST (Usage, NamesTheFileThatIsMissing)
{
  const std::vector<std::vector<std::string> > calls = {
    { "run", "/nowhere/f" },
    { "check", "/nowhere/f" },
    { "plan", "/nowhere/f" },
    { "explain", "/nowhere/f", "--tensor", "x" },
    { "inspect", "/nowhere/f.onnx" },
    { "validate", "/nowhere/f" },
    { "eval", command::demo ("model.onnx"), "-d", "/nowhere/f", "-l", "l.npy" },
    { "eval", command::demo ("model.onnx"), "-d", command::demo ("evaluation.npy"), "-l", "/nowhere/f" },
    { "eval", "/nowhere/f", "-d", command::demo ("evaluation.npy"), "-l", command::demo ("labels.npy") },
    { "infer", "/nowhere/f", "-i", "x=" + command::demo ("evaluation.npy") },
    { "export", "/nowhere/f", "-f", "onnx", "-o", "x" },
    { "export", command::demo ("model.onnx"), "-e", "/nowhere/f", "-f", "onnx-qdq", "-o", "x" },
    { "run", command::demo ("demo.yaml"), "--model", "/nowhere/f" },
  };
  for (const auto &call : calls)
    {
      auto result = run (call);
      EXPECT_EQ (result.code, 3) << call[0];
      EXPECT_HAS (result.err, "/nowhere/f");
    }
}

TEST (Usage, SaysItsVersion)
{
  auto result = run ({ "--version" });
  EXPECT_EQ (result.code, 0);
  EXPECT_HAS (result.out, std::string ("halftone ") + ht_get_version ());
  EXPECT_HAS (result.out, "OpenBLAS");
}

TEST (Plugins, AreListedAtOnce)
{
  auto text = run ({ "plugins", "list" });
  EXPECT_EQ (text.code, 0);
  EXPECT_HAS (text.out, "cross-layer-equalization");
  auto json = run ({ "plugins", "list", "--json" });
  EXPECT_EQ (json.code, 0);
  g_autoptr (JsonNode) node = command::parse (json.out);
  ASSERT_TRUE (node && JSON_NODE_HOLDS_ARRAY (node));
  guint registered = 0;
  for (guint i = 0; i < json_array_get_length (json_node_get_array (node)); i++)
    {
      JsonObject *plugin = json_array_get_object_element (json_node_get_array (node), i);
      registered += g_str_equal (json_object_get_string_member (plugin, "state"), "registered");
    }
  EXPECT_GE (registered, 3u);
#ifndef __SANITIZE_ADDRESS__
  gint64 best = G_MAXINT64;
  for (int i = 0; i < 10; i++)
    {
      gint64 since = g_get_monotonic_time ();
      run ({ "plugins", "list" });
      best = MIN (best, g_get_monotonic_time () - since);
    }
  EXPECT_LT (best, 50000) << "microseconds";
#endif
}

TEST (Check, PrintsEveryProblemWithItsPlace)
{
  support::TemporaryFolder folder;
  auto good = run ({ "check", command::demo ("demo.yaml") });
  EXPECT_EQ (good.code, 0);
  command::write_all (folder / "bad.yaml", "recipe: \"1.0\"\n"
                                           "nmae: x\n"
                                           "pipeline:\n"
                                           "  - batchnorm-foldin\n"
                                           "quantization: {weights: {bits: 99}}\n");
  auto bad = run ({ "check", folder / "bad.yaml" });
  EXPECT_EQ (bad.code, 3);
  EXPECT_HAS (bad.err, "bad.yaml:2:1:");
  EXPECT_HAS (bad.err, "name");
  EXPECT_HAS (bad.err, "bad.yaml:4:5:");
  EXPECT_HAS (bad.err, "batchnorm-folding");
  EXPECT_HAS (bad.err, "bad.yaml:5:");
  auto json = run ({ "check", "--json", folder / "bad.yaml" });
  EXPECT_EQ (json.code, 3);
  g_autoptr (JsonNode) node = command::parse (json.out);
  ASSERT_TRUE (node && JSON_NODE_HOLDS_ARRAY (node));
  EXPECT_GE (json_array_get_length (json_node_get_array (node)), 3u);
  auto other = run ({ "run", folder / "bad.yaml", "-o", folder / "out" });
  EXPECT_EQ (other.code, 3);
  EXPECT_FALSE (g_file_test ((folder / "out").c_str (), G_FILE_TEST_EXISTS));
}

TEST (Plan, ExplainsTheOrder)
{
  auto result = run ({ "plan", command::demo ("demo.yaml"), "--model", command::demo ("model.onnx") });
  EXPECT_EQ (result.code, 0);
  EXPECT_HAS (result.out, "1. batchnorm-folding");
  EXPECT_HAS (result.out, "3. high-bias-folding");
  support::TemporaryFolder folder;
  command::write_all (folder / "order.yaml", "recipe: \"1.0\"\npipeline: [high-bias-folding]\n");
  auto wrong = run ({ "plan", folder / "order.yaml" });
  EXPECT_EQ (wrong.code, 3);
  EXPECT_HAS (wrong.out + wrong.err, "equalized");
}

TEST (Plan, CountsWhatASearchWouldDo)
{
  support::TemporaryFolder folder;
  command::write_all (folder / "s.yaml", "recipe: \"1.0\"\n"
                                         "quantization:\n"
                                         "  weights: {bits: 4}\n"
                                         "  activations: {bits: {$choice: [6, 8, 16]}, calibrator: {$choice: [min-max, "
                                         "tf-enhanced, percentile, mse]}}\n"
                                         "pipeline:\n"
                                         "  - batchnorm-folding\n"
                                         "  - {id: equalize, use: cross-layer-equalization, optional: true}\n"
                                         "  - {id: round, use: adaround, with: {input: weights-only}}\n");
  auto result = run ({ "plan", folder / "s.yaml", "--model", command::demo ("model.onnx") });
  EXPECT_EQ (result.code, 0) << result.err;
  EXPECT_HAS (result.out, "combinations: 24\nlegal: 24\n");
  // Rounding does not look at activation settings: it runs twice, not 24 times.
  EXPECT_HAS (result.out, "executions: 4 steps, in place of 60 one by one; 24 calibrations and evaluations");
  EXPECT_HAS (result.out, "memory of states: ");
  auto json = run ({ "plan", "--json", folder / "s.yaml" });
  g_autoptr (JsonNode) node = command::parse (json.out);
  ASSERT_TRUE (node && JSON_NODE_HOLDS_OBJECT (node));
  EXPECT_EQ (json_object_get_int_member (json_node_get_object (node), "executions"), 4);
  auto checked = run ({ "check", folder / "s.yaml" });
  EXPECT_EQ (checked.code, 0);
  EXPECT_HAS (checked.out, "a search over 24 combinations");
  auto single = run ({ "run", folder / "s.yaml" });
  EXPECT_EQ (single.code, 3);
  EXPECT_HAS (single.err, "halftone search");

  command::write_all (folder / "dead.yaml",
                      "recipe: \"1.0\"\npipeline:\n  - {id: a, one-of: [high-bias-folding, none]}\n");
  auto dead = run ({ "plan", folder / "dead.yaml" });
  EXPECT_EQ (dead.code, 0);
  EXPECT_HAS (dead.err, "no legal combination has a: high-bias-folding");
  command::write_all (
      folder / "empty.yaml",
      "recipe: \"1.0\"\nquantization: {weights: {bits: {$choice: [4, 8]}}}\npipeline: [high-bias-folding]\n");
  for (const char *verb : { "plan", "check" })
    {
      auto empty = run ({ verb, folder / "empty.yaml" });
      EXPECT_EQ (empty.code, 3);
      EXPECT_HAS (empty.out + empty.err, "empty.yaml:3:12: error: none of the 2 combinations is legal, 2 by: step");
    }
}

TEST (Recipe, TheCommittedSchemaIsThatOfTheBuiltInPlugins)
{
  auto result = run ({ "recipe", "schema" });
  EXPECT_EQ (result.code, 0) << result.err;
  EXPECT_EQ (result.out, command::read_all (std::string (g_getenv ("HALFTONE_SOURCE")) + "/recipes/recipe.schema.json"))
      << "write it anew: halftone recipe schema -o recipes/recipe.schema.json";
}

TEST (Recipe, TidiesAFileInPlace)
{
  support::TemporaryFolder folder;
  command::write_all (folder / "r.yaml", "recipe: \"1.0\" # version\n\n\npipeline:\n- batchnorm-folding\n");
  auto untidy = run ({ "recipe", "fmt", "--check", folder / "r.yaml" });
  EXPECT_EQ (untidy.code, 1);
  EXPECT_HAS (untidy.err, "not tidy");
  EXPECT_EQ (run ({ "recipe", "fmt", folder / "r.yaml" }).code, 0);
  EXPECT_EQ (command::read_all (folder / "r.yaml"), "recipe: \"1.0\" # version\n\npipeline:\n  - batchnorm-folding\n");
  EXPECT_EQ (run ({ "recipe", "fmt", "--check", folder / "r.yaml" }).code, 0);
  command::write_all (folder / "b.yaml", "recipe: [\n");
  EXPECT_EQ (run ({ "recipe", "fmt", folder / "b.yaml" }).code, 3);
  EXPECT_EQ (run ({ "recipe", "fmt", folder / "none.yaml" }).code, 3);
  EXPECT_EQ (run ({ "recipe" }).code, 2);
  EXPECT_EQ (run ({ "recipe", "grow" }).code, 2);
}

TEST (Explain, SaysWhoDecides)
{
  support::TemporaryFolder folder;
  std::string recipe = "recipe: \"1.0\"\nmodel: " + command::demo ("model.onnx")
                       + "\nquantization:\n  target: aimet-default\n  weights: {bits: 4}\n";
  command::write_all (folder / "r.yaml", recipe);
  g_autoptr (HtGraph) graph = ht_graph_load (command::demo ("model.onnx").c_str (), nullptr);
  std::string input = ht_graph_get_inputs (graph)[0], weight = ht_node_get_input (ht_graph_get_node (graph, 0), 1);
  auto good = run ({ "explain", folder / "r.yaml", "--tensor", input, "--tensor", weight });
  EXPECT_EQ (good.code, 0) << good.err;
  EXPECT_HAS (good.out, "'" + input + "' quantized: network input\n");
  EXPECT_HAS (good.out, "'" + weight + "' quantized: weight of ");
  EXPECT_HAS (good.out, "\n  bits: 4, by quantization.weights.bits (");
  EXPECT_HAS (good.out, "r.yaml:5:13)\n");
  EXPECT_HAS (good.out, "op_type.Conv.per_channel_quantization (aimet-default.json:");
  auto unknown = run ({ "explain", folder / "r.yaml", "--tensor", weight + "s" });
  EXPECT_EQ (unknown.code, 3);
  EXPECT_HAS (unknown.err, "did you mean '" + weight + "'?");
  EXPECT_EQ (run ({ "explain", folder / "r.yaml" }).code, 2);
  // A target of one's own, found beside the recipe.
  command::write_all (folder / "mine.json", "{\"defaults\": {\"ops\": {\"is_output_quantised\": \"True\"}}}");
  recipe.replace (recipe.find ("aimet-default"), strlen ("aimet-default"), "mine.json");
  command::write_all (folder / "r.yaml", recipe);
  auto bad = run ({ "explain", folder / "r.yaml", "--tensor", weight });
  EXPECT_EQ (bad.code, 3);
  EXPECT_EQ (bad.out, "");
  EXPECT_HAS (bad.err, "mine.json:1:23: error: unknown key in 'ops': 'is_output_quantised'; did you mean "
                       "'is_output_quantized'?");
  EXPECT_HAS (bad.err, "lacks the key 'supergroups'");
}

TEST (Inspect, DescribesATechnique)
{
  auto text = run ({ "inspect", "cross-layer-equalization" });
  EXPECT_EQ (text.code, 0);
  for (const char *part : { "relu6", "exact", "sweeps", "equalized", "batchnorm-live" })
    EXPECT_HAS (text.out, part);
  auto json = run ({ "inspect", "cross-layer-equalization", "--json" });
  g_autoptr (JsonNode) node = command::parse (json.out);
  EXPECT_STREQ (json_node_get_string (command::find (node, { "id" })), "cross-layer-equalization");
  EXPECT_GE (json_array_get_length (json_node_get_array (command::find (node, { "parameters" }))), 2u);
  auto unknown = run ({ "inspect", "cross-layer-equalisation" });
  EXPECT_EQ (unknown.code, 3);
  EXPECT_HAS (unknown.err, "cross-layer-equalization");
}

TEST (Inspect, DescribesAModel)
{
  auto text = run ({ "inspect", command::demo ("model.onnx") });
  EXPECT_EQ (text.code, 0);
  for (const char *part : { "input", "output", "opset", "parameters", "Conv", "BatchNormalization" })
    EXPECT_HAS (text.out, part);
  auto json = run ({ "inspect", command::demo ("model.onnx"), "--json" });
  g_autoptr (JsonNode) node = command::parse (json.out);
  EXPECT_GT (command::number (node, { "parameters" }), 1000);
}

TEST (Usage, InspectsCalibrators)
{
  auto text = run ({ "inspect", "percentile" });
  ASSERT_EQ (text.code, 0) << text.err;
  EXPECT_HAS (text.out, "percentile, a calibrator: The range without the same share");
  EXPECT_HAS (text.out, "How many percent lie below the upper end");
  EXPECT_HAS (text.out, "50 … 100");
  EXPECT_HAS (text.out, "default 99.99");
  EXPECT_HAS (text.out, "doubling");
  auto json = run ({ "inspect", "tf-enhanced", "--json" });
  ASSERT_EQ (json.code, 0) << json.err;
  g_autoptr (JsonNode) node = command::parse (json.out);
  JsonObject *object = json_node_get_object (node);
  EXPECT_STREQ (json_object_get_string_member (object, "kind"), "calibrator");
  JsonArray *parameters = json_object_get_array_member (object, "parameters");
  ASSERT_EQ (json_array_get_length (parameters), 1u);
  EXPECT_STREQ (json_object_get_string_member (json_array_get_object_element (parameters, 0), "name"), "histogram");
  EXPECT_HAS (run ({ "plugins", "list" }).out, "calibrators: entropy, min-max, mse, percentile, tf-enhanced");
  auto wrong = run ({ "inspect", "percentil" });
  EXPECT_NE (wrong.code, 0);
  EXPECT_HAS (wrong.err, "percentil");
}
