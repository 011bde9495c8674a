// SPDX-License-Identifier: MIT
// What a folder tells afterwards: locks make the same result again, combinations explain themselves, searches have a
// page.
#include "command.h"

using command::demo;
using command::run;

namespace
{

// Two steps and a setting to choose: 2 x 2 x 2 combinations, of which the laws leave 6.
std::string
make_recipe (const std::string &objective, const std::string &report)
{
  return "recipe: \"1.0\"\nname: demo\nmodel: " + demo ("model.onnx")
         + "\ndata:\n  preprocess: {layout: NHWC, scale: 0.00784313725490196, mean: [1.0]}\n  calibration: {path: "
         + demo ("calibration.npy") + ", samples: 128, batch: 32}\n  evaluation: {path: " + demo ("evaluation.npy")
         + ", labels: " + demo ("labels.npy")
         + "}\nquantization:\n  weights: {bits: {$choice: [4, 8]}, symmetric: true, granularity: tensor}\n  "
           "activations: {bits: 8}\n"
           "pipeline:\n  - {use: batchnorm-folding, optional: true}\n  - {use: cross-layer-equalization, optional: "
           "true}\n"
           "objective: "
         + objective
         + "\nsearch: {strategy: exhaustive, stop: budget}\noutput: {formats: [onnx, encodings-1.0.0], report: "
         + report + "}\n";
}

void
search (const support::TemporaryFolder &folder, const std::string &objective, const std::string &report = "[json]")
{
  command::write_all (folder / "s.yaml", make_recipe (objective, report));
  auto result = run ({ "search", folder / "s.yaml", "-o", folder / "out" });
  ASSERT_TRUE (result.code == 0 || result.code == 4) << result.err;
}

const char *const result_files[] = { "demo.onnx", "demo.encodings" };

void
expect_same_files (const std::string &a, const std::string &b)
{
  for (const char *name : result_files)
    EXPECT_EQ (command::read_all (a + "/" + name), command::read_all (b + "/" + name)) << name;
}

}

TEST (Lock, MakesTheResultOfARunAgain)
{
  support::TemporaryFolder folder;
  auto result = run ({ "run", demo ("demo.yaml"), "-o", folder / "a", "-t", "1" });
  ASSERT_EQ (result.code, 0) << result.err;
  result = run ({ "run", folder / "a/lock.json", "-o", folder / "b", "-t", "2" });
  ASSERT_EQ (result.code, 0) << result.err;
  EXPECT_HAS (result.err, "byte for byte");
  EXPECT_EQ (result.err.find ("locked '"), std::string::npos) << result.err;
  expect_same_files (folder / "a", folder / "b");
  EXPECT_EQ (command::read_all (folder / "a/lock.json"), command::read_all (folder / "b/lock.json"));
}

TEST (Lock, MakesTheBestOfASearchAgainThatHeldSamplesOut)
{
  support::TemporaryFolder folder;
  search (folder, "{maximize: sqnr, on: held-out}");
  auto result = run ({ "run", folder / "out/lock.json", "-o", folder / "again" });
  ASSERT_EQ (result.code, 0) << result.err;
  EXPECT_HAS (result.err, "byte for byte");
  expect_same_files (folder / "out/best", folder / "again");
  // Held-out samples matter: with all of them calibration gives other grids.
  std::string lock = command::read_all (folder / "out/lock.json");
  std::size_t at = lock.find ("\"holds-out\" : true");
  ASSERT_NE (at, std::string::npos);
  command::write_all (folder / "other.json",
                      lock.replace (at, strlen ("\"holds-out\" : true"), "\"holds-out\" : false"));
  result = run ({ "run", folder / "other.json", "-o", folder / "other" });
  EXPECT_EQ (result.code, 1);
  EXPECT_HAS (result.err, "calibration sha256: locked '");
  EXPECT_HAS (result.err, "result 'demo.encodings'");
  EXPECT_HAS (result.err, "is not the locked one");
}

TEST (Lock, SaysWhatDiffers)
{
  support::TemporaryFolder folder;
  auto result = run ({ "run", demo ("demo.yaml"), "-o", folder / "a" });
  ASSERT_EQ (result.code, 0) << result.err;
  std::string lock = command::read_all (folder / "a/lock.json");
  // Another processor is named, though the bytes are the same.
  std::size_t at = lock.find ("\"cpu\" : \"");
  ASSERT_NE (at, std::string::npos);
  std::string other = lock;
  other.insert (at + strlen ("\"cpu\" : \""), "Other ");
  command::write_all (folder / "cpu.json", other);
  result = run ({ "run", folder / "cpu.json", "-o", folder / "b" });
  EXPECT_EQ (result.code, 0);
  EXPECT_HAS (result.err, "environment cpu: locked 'Other ");
  // A setting of the recipe that was touched gives another result.
  at = lock.find ("\"bits\" : 8");
  ASSERT_NE (at, std::string::npos);
  other = lock;
  command::write_all (folder / "bits.json", other.replace (at, strlen ("\"bits\" : 8"), "\"bits\" : 5"));
  result = run ({ "run", folder / "bits.json", "-o", folder / "c" });
  EXPECT_EQ (result.code, 1);
  EXPECT_HAS (result.err, "result 'demo.encodings'");
  for (const char *damaged :
       { "{\"lock\": \"1.0\"}", "{\"lock\": \"1.0\", \"recipe\": 3}",
         "{\"lock\": \"1.0\", \"recipe\": {}, \"model\": {}, \"environment\": {}, \"result\": {}}" })
    {
      command::write_all (folder / "damaged.json", damaged);
      result = run ({ "run", folder / "damaged.json", "-o", folder / "d" });
      EXPECT_EQ (result.code, 3) << damaged;
      EXPECT_HAS (result.err, "damaged");
    }
  result = run ({ "run", folder / "a/lock.json", "--raw" });
  EXPECT_EQ (result.code, 2);
}

TEST (Search, HasAPageAndTellsWhatChoicesDoTogether)
{
  support::TemporaryFolder folder;
  search (folder, "{maximize: top1}", "[html, json]");
  std::string page = command::read_all (folder / "out/report.html");
  for (const char *part :
       { "id=\"tree\"", "id=\"chart\"", "id=\"candidates\"", "The best combination", "class=\"before\"" })
    EXPECT_HAS (page, part);
  g_autoptr (JsonNode) report = command::parse (command::read_all (folder / "out/report.json"));
  JsonArray *candidates = json_node_get_array (command::find (report, { "search", "candidates" }));
  EXPECT_EQ (json_array_get_length (candidates), 6u);
  auto top1 = [&] (const char *fold, const char *equalize, int bits) {
    for (guint i = 0; i < json_array_get_length (candidates); i++)
      {
        JsonObject *candidate = json_array_get_object_element (candidates, i);
        JsonObject *choice = json_object_get_object_member (candidate, "combination");
        if (json_object_get_string_member (choice, "batchnorm-folding") == std::string (fold)
            && json_object_get_string_member (choice, "cross-layer-equalization") == std::string (equalize)
            && json_object_get_int_member (choice, "quantization.weights.bits") == bits)
          return json_object_get_double_member (json_object_get_object_member (candidate, "metrics"), "top1");
      }
    ADD_FAILURE () << "no such combination";
    return 0.0;
  };
  // Equalization with the bits, by hand: there is one case, with folding.
  const char *fold = "batchnorm-folding", *equalize = "cross-layer-equalization", *none = "none";
  double expected = top1 (fold, equalize, 8) - top1 (fold, none, 8) - top1 (fold, equalize, 4) + top1 (fold, none, 4);
  JsonArray *interactions = json_node_get_array (command::find (report, { "search", "interactions" }));
  bool is_found = false;
  for (guint i = 0; i < json_array_get_length (interactions); i++)
    {
      JsonObject *entry = json_array_get_object_element (interactions, i);
      JsonArray *axes = json_object_get_array_member (entry, "axes");
      if (json_array_get_string_element (axes, 0) != std::string (equalize)
          && json_array_get_string_element (axes, 1) != std::string (equalize))
        continue;
      EXPECT_EQ (json_object_get_int_member (entry, "quadruples"), 1);
      EXPECT_NEAR (json_object_get_double_member (entry, "interaction"), expected, 1e-12);
      is_found = true;
    }
  EXPECT_TRUE (is_found);
  // Equalization alone is illegal, so there are no Shapley values, and the report says why.
  JsonNode *reason = command::find (report, { "search", "shapley", "none-because" });
  ASSERT_NE (reason, nullptr);
  EXPECT_HAS (std::string (json_node_get_string (reason)), "not every set of the optional steps is legal");
}

TEST (Explain, TellsWhatCameOfACombination)
{
  support::TemporaryFolder folder;
  search (folder, "{maximize: top1, subject-to: [\"top1 >= baseline - 1pp\"]}");
  g_autoptr (JsonNode) report = command::parse (command::read_all (folder / "out/report.json"));
  int best = (int)command::number (report, { "search", "best" });
  for (int number = 1; number <= 6; number++)
    {
      auto result = run ({ "explain", folder / "out", "--combination", std::to_string (number) });
      ASSERT_EQ (result.code, 0) << result.err;
      EXPECT_HAS (result.out, "Legal: ");
      EXPECT_HAS (result.out, "calibrate");
      EXPECT_HAS (result.out, "Against its neighbours");
      EXPECT_HAS (result.out, number == best ? "It is the best" : "To the best (number " + std::to_string (best));
    }
  auto result = run ({ "explain", folder / "out", "--combination", "7" });
  EXPECT_EQ (result.code, 2);
  EXPECT_HAS (result.err, "one of the 6");
  result = run ({ "explain", folder / "nothing", "--combination", "1" });
  EXPECT_EQ (result.code, 3);
  result = run ({ "explain", folder / "out" });
  EXPECT_EQ (result.code, 2);
}
