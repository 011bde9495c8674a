// SPDX-License-Identifier: MIT
// AutoQuant from outside: the result is that of the combinations one by one, whatever the number of jobs and however
// often it was killed; each piece of work is done once.
#include "command.h"

#include <csignal>
#include <glib/gstdio.h>
#include <random>
#include <set>

using command::demo;
using command::number;
using command::run;

namespace
{

const char *const lattice
    = "pipeline:\n"
      "  - {use: batchnorm-folding}\n"
      "  - {use: cross-layer-equalization, optional: true}\n"
      "  - {id: round, one-of: [none, {use: adaround, with: {samples: 64}}, {use: bias-correction, "
      "with: {samples: 64}}]}\n";

std::string
make_recipe (const std::string &pipeline, const std::string &more = "",
             const std::string &activations = "{bits: 8, calibrator: {$choice: [min-max, tf-enhanced]}}")
{
  return "recipe: \"1.0\"\nname: demo\nmodel: " + demo ("model.onnx")
         + "\ndata:\n  preprocess: {layout: NHWC, scale: 0.00784313725490196, mean: [1.0]}\n  calibration: {path: "
         + demo ("calibration.npy") + ", samples: 64}\n  evaluation: {path: " + demo ("evaluation.npy") + ", labels: "
         + demo ("labels.npy") + ", samples: 256}\nquantization:\n  weights: {bits: 4}\n  activations: " + activations
         + "\n" + pipeline + (more.empty () ? "objective: {maximize: top1}\n" : more)
         + "output: {formats: [onnx, onnx-qdq, encodings-1.0.0]}\n";
}

JsonNode *
load (const std::string &path)
{
  return command::parse (command::read_all (path));
}

std::string
text_of (const std::string &folder)
{
  g_autoptr (JsonNode) report = load (folder + "/report.json");
  JsonNode *found = report ? command::find (report, { "search" }) : nullptr;
  g_autofree char *text = found ? json_to_string (found, FALSE) : g_strdup ("");
  return text;
}

JsonArray *
candidates_of (JsonNode *report)
{
  return json_node_get_array (command::find (report, { "search", "candidates" }));
}

// All files of the best candidate but its report, which holds timings.
std::string
best_bytes (const std::string &folder)
{
  std::string all;
  for (const std::string &name : command::list (folder + "/best"))
    if (name != "report.json")
      all += name + command::read_all (folder + "/best/" + name);
  return all;
}

}

TEST (Search, FindsWhatTheCombinationsGiveOneByOne)
{
  support::TemporaryFolder folder;
  command::write_all (folder / "r.yaml", make_recipe (lattice));
  auto result = run ({ "search", folder / "r.yaml", "-o", folder / "out" });
  ASSERT_EQ (result.code, 0) << result.err;
  g_autoptr (JsonNode) report = load (folder / "out/report.json");
  ASSERT_NE (report, nullptr);
  ASSERT_EQ (json_array_get_length (candidates_of (report)), 12u);

  // 1 folding, 2 ways of equalization, 2 roundings of each; adaround reads the activation settings, bias correction
  // does not read the calibrator of activations... each step once: no key is there twice.
  std::set<std::string> keys;
  JsonArray *tree = json_node_get_array (command::find (report, { "search", "tree" }));
  for (guint i = 0; i < json_array_get_length (tree); i++)
    EXPECT_TRUE (keys.insert (json_object_get_string_member (json_array_get_object_element (tree, i), "key")).second);
  EXPECT_EQ (number (report, { "timings", "computed" }), json_array_get_length (tree) - 1.0);

  // The best again, alone.
  auto best = (guint)number (report, { "search", "best" });
  JsonObject *winner = json_array_get_object_element (candidates_of (report), best - 1);
  EXPECT_EQ (json_object_get_int_member (winner, "number"), best);
  const std::string description = json_object_get_string_member (winner, "description");
  const std::string calibrator = description.find ("tf-enhanced") != std::string::npos ? "tf-enhanced" : "min-max";
  std::string steps = "pipeline: [batchnorm-folding";
  if (description.find ("cross-layer-equalization") != std::string::npos)
    steps += ", cross-layer-equalization";
  if (description.find ("adaround") != std::string::npos)
    steps += ", {id: round, use: adaround, with: {samples: 64}}";
  if (description.find ("bias-correction") != std::string::npos)
    steps += ", {id: round, use: bias-correction, with: {samples: 64}}";
  std::string alone = make_recipe (steps + "]\n", "", "{bits: 8, calibrator: " + calibrator + "}");
  alone.erase (alone.find ("objective"), alone.find ("output:") - alone.find ("objective"));
  command::write_all (folder / "alone.yaml", alone);
  auto single = run ({ "run", folder / "alone.yaml", "-o", folder / "alone" });
  ASSERT_EQ (single.code, 0) << single.err;
  for (const char *name : { "demo.onnx", "demo-qdq.onnx", "demo.encodings" })
    EXPECT_EQ (command::read_all (folder / "out/best/" + name), command::read_all (folder / "alone/" + name))
        << name << " of " << description;
  g_autoptr (JsonNode) other = load (folder / "alone/report.json");
  EXPECT_EQ (json_object_get_double_member (json_object_get_object_member (winner, "metrics"), "top1"),
             number (other, { "results", "metrics", "result", "top1" }));
}

TEST (Search, GivesTheSameWithAnyNumberOfJobsAndThreads)
{
  support::TemporaryFolder folder;
  command::write_all (folder / "r.yaml", make_recipe (lattice));
  ASSERT_EQ (run ({ "search", folder / "r.yaml", "-o", folder / "one", "--jobs", "1", "--threads", "2" }).code, 0);
  ASSERT_EQ (run ({ "search", folder / "r.yaml", "-o", folder / "two", "--jobs", "2", "--threads", "1" }).code, 0);
  EXPECT_EQ (text_of (folder / "one"), text_of (folder / "two"));
  EXPECT_EQ (best_bytes (folder / "one"), best_bytes (folder / "two"));
}

TEST (Search, EndsWithTheSameHoweverOftenItWasKilled)
{
  support::TemporaryFolder folder;
  command::write_all (folder / "r.yaml", make_recipe (lattice));
  ASSERT_EQ (run ({ "search", folder / "r.yaml", "-o", folder / "whole" }).code, 0);
  std::mt19937 random (std::random_device{}());
  const char *many = g_getenv ("HALFTONE_TEST_KILLS");
  guint n_kills = 0, wanted = many ? (guint)g_ascii_strtoull (many, nullptr, 10) : 5;
  for (guint trial = 0; n_kills < wanted && trial < 10 * wanted; trial++)
    {
      const std::string out = folder / ("killed" + std::to_string (trial));
      for (guint attempt = 0; attempt < 3; attempt++)
        {
          std::vector<std::string> arguments = { "search", folder / "r.yaml", "-o", out };
          g_autoptr (GSubprocess) process = command::start (
              arguments, (GSubprocessFlags)(G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE));
          g_usleep (20000 + random () % 600000);
          g_subprocess_send_signal (process, SIGKILL);
          ASSERT_TRUE (g_subprocess_wait (process, nullptr, nullptr));
          n_kills += g_subprocess_get_if_signaled (process);
          // At any moment the best so far is whole.
          if (g_file_test ((out + "/best").c_str (), G_FILE_TEST_EXISTS))
            {
              g_autoptr (GError) error = nullptr;
              g_autoptr (HtRunOutput) output = ht_run_output_open ((out + "/best").c_str (), &error);
              EXPECT_NE (output, nullptr) << error->message;
            }
        }
      auto result = g_file_test ((out + "/search.json").c_str (), G_FILE_TEST_EXISTS)
                        ? run ({ "resume", out })
                        : run ({ "search", folder / "r.yaml", "-o", out });
      ASSERT_EQ (result.code, 0) << result.err;
      EXPECT_EQ (text_of (out), text_of (folder / "whole"));
      EXPECT_EQ (best_bytes (out), best_bytes (folder / "whole"));
      EXPECT_EQ (command::list (out + "/candidates").size (), 1u);
    }
}

TEST (Search, KeepsTheBestWhenInterrupted)
{
  support::TemporaryFolder folder;
  command::write_all (folder / "r.yaml", make_recipe (lattice));
  g_autoptr (GSubprocess) process
      = command::start ({ "search", folder / "r.yaml", "-o", folder / "out" },
                        (GSubprocessFlags)(G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE));
  for (guint i = 0; i < 120000 && !g_file_test ((folder / "out/best").c_str (), G_FILE_TEST_EXISTS); i++)
    g_usleep (1000);
  gint64 since = g_get_monotonic_time ();
  g_subprocess_send_signal (process, SIGINT);
  ASSERT_TRUE (g_subprocess_wait (process, nullptr, nullptr));
  EXPECT_LT ((double)(g_get_monotonic_time () - since) / G_USEC_PER_SEC,
             10); // two seconds on a machine with nothing else to do
  ASSERT_TRUE (g_subprocess_get_if_exited (process));
  EXPECT_EQ (g_subprocess_get_exit_status (process), 130);
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtRunOutput) output = ht_run_output_open ((folder / "out/best").c_str (), &error);
  EXPECT_NE (output, nullptr) << error->message;
  EXPECT_EQ (run ({ "resume", folder / "out" }).code, 0);
}

TEST (Search, RaceEndsWithTheWinnerOrATie)
{
  support::TemporaryFolder folder;
  command::write_all (folder / "all.yaml",
                      make_recipe (lattice, "objective: {maximize: sqnr}\nsearch: {strategy: exhaustive}\n"));
  command::write_all (folder / "race.yaml",
                      make_recipe (lattice, "objective: {maximize: sqnr}\nsearch: {strategy: race}\n"));
  ASSERT_EQ (run ({ "search", folder / "all.yaml", "-o", folder / "all" }).code, 0);
  ASSERT_EQ (run ({ "search", folder / "race.yaml", "-o", folder / "race" }).code, 0);
  g_autoptr (JsonNode) all = load (folder / "all/report.json"), race = load (folder / "race/report.json");
  std::set<gint64> ties;
  JsonArray *list = json_node_get_array (command::find (all, { "search", "ties" }));
  for (guint i = 0; i < json_array_get_length (list); i++)
    ties.insert (json_array_get_int_element (list, i));
  EXPECT_EQ (ties.count ((gint64)number (race, { "search", "best" })), 1u);
  EXPECT_LE (number (race, { "search", "samples-scored" }), 0.5 * number (all, { "search", "samples-scored" }));
  // What is on disk was scored on all samples, though it led after the first part.
  g_autoptr (JsonNode) kept = load (folder / "race/best/report.json");
  EXPECT_EQ (number (kept, { "results", "metrics", "result", "samples" }), 256);
}

TEST (Search, OtherStrategiesComeToAResult)
{
  support::TemporaryFolder folder;
  for (const char *strategy : { "greedy", "sequential" })
    {
      command::write_all (
          folder / "r.yaml",
          make_recipe (lattice, std::string ("objective: {maximize: sqnr}\nsearch: {strategy: ") + strategy + "}\n"));
      const std::string out = folder / strategy;
      auto result = run ({ "search", folder / "r.yaml", "-o", out });
      ASSERT_EQ (result.code, 0) << strategy << result.err;
      g_autoptr (JsonNode) report = load (out + "/report.json");
      EXPECT_LE (json_array_get_length (candidates_of (report)), 12u);
      EXPECT_GE (json_array_get_length (candidates_of (report)), 4u);
    }
  command::write_all (folder / "tpe.yaml",
                      make_recipe ("pipeline: [batchnorm-folding]\n",
                                   "objective: {maximize: sqnr}\nsearch: {budget: {trials: 14}}\n",
                                   "{bits: {$int: [3, 10]}, calibrator: {percentile: {value: {$float: [90, 100]}}}}"));
  auto result = run ({ "search", folder / "tpe.yaml", "-o", folder / "tpe" });
  ASSERT_EQ (result.code, 0) << result.err;
  g_autoptr (JsonNode) report = load (folder / "tpe/report.json");
  EXPECT_EQ (json_array_get_length (candidates_of (report)), 14u);
  EXPECT_STREQ (json_node_get_string (command::find (report, { "search", "strategy" })), "tpe");
}

TEST (Search, ReportsAMissedTarget)
{
  support::TemporaryFolder folder;
  command::write_all (folder / "r.yaml",
                      make_recipe ("pipeline: [batchnorm-folding]\n",
                                   "objective: {maximize: top1, subject-to: [\"top1 >= baseline - 0pp\"]}\n",
                                   "{bits: {$choice: [2, 3]}}"));
  auto result = run ({ "search", folder / "r.yaml", "-o", folder / "out" });
  EXPECT_EQ (result.code, 4) << result.err;
  EXPECT_TRUE (g_file_test ((folder / "out/best/demo.onnx").c_str (), G_FILE_TEST_EXISTS));
  // A search that found no data has not begun: its recipe may be mended.
  std::string broken = make_recipe (lattice);
  broken.replace (broken.find ("calibration.npy"), 15, "missing_data.npy");
  command::write_all (folder / "broken.yaml", broken);
  EXPECT_NE (run ({ "search", folder / "broken.yaml", "-o", folder / "mended" }).code, 0);
  command::write_all (folder / "broken.yaml", make_recipe ("pipeline: [batchnorm-folding]\n"));
  auto mended = run ({ "search", folder / "broken.yaml", "-o", folder / "mended" });
  EXPECT_EQ (mended.code, 0) << mended.err;
  // Another recipe in the same folder is refused.
  command::write_all (folder / "r.yaml", make_recipe (lattice));
  auto other = run ({ "search", folder / "r.yaml", "-o", folder / "out" });
  EXPECT_NE (other.code, 0);
  EXPECT_HAS (other.err, "another search");
}

TEST (Search, LetsAProgramJudge)
{
  support::TemporaryFolder folder;
  std::string recipe
      = make_recipe ("pipeline: [batchnorm-folding]\n",
                     "objective: {minimize: external, subject-to: [\"external <= baseline - 1000\"]}\n", "{bits: 8}");
  std::size_t from = recipe.find ("evaluation: {"), to = recipe.find ("}\n", from);
  recipe.replace (from, to - from, "evaluation: {command: [./judge, \"{model}\"], timeout: 20s");
  recipe.replace (recipe.find ("weights: {bits: 4}"), 18, "weights: {bits: {$choice: [8, 4]}}");
  command::write_all (folder / "r.yaml", recipe);
  command::write_all (folder / "judge", "#!/bin/sh\necho asked >> asked\nwc -c < \"$1\"\n");
  ASSERT_EQ (g_chmod ((folder / "judge").c_str (), 0755), 0);
  auto result = run ({ "search", folder / "r.yaml", "-o", folder / "out" });
  ASSERT_EQ (result.code, 0) << result.err;
  g_autoptr (JsonNode) report = load (folder / "out/report.json");
  // The numbers are the sizes of the exported files and of the network; four bits take fewer bytes.
  EXPECT_EQ (number (report, { "search", "best" }), 2);
  JsonObject *best = json_array_get_object_element (candidates_of (report), 1);
  EXPECT_EQ (json_object_get_double_member (json_object_get_object_member (best, "metrics"), "external"),
             (double)command::read_all (folder / "out/best/demo-qdq.onnx").size ());
  EXPECT_GT (number (report, { "search", "baseline", "external" }), 1000);
  EXPECT_EQ (command::read_all (folder / "asked").size (), 3 * strlen ("asked\n")); // once for each network
  ASSERT_EQ (run ({ "resume", folder / "out" }).code, 0);
  EXPECT_EQ (command::read_all (folder / "asked").size (), 3 * strlen ("asked\n"));
  // A program that prints nothing fails the search with the reason.
  command::write_all (folder / "judge", "#!/bin/sh\nexit 0\n");
  auto silent = run ({ "search", folder / "r.yaml", "-o", folder / "silent" });
  EXPECT_NE (silent.code, 0);
  EXPECT_HAS (silent.err, "evaluating the floating-point network");
}
