// SPDX-License-Identifier: MIT
// A run that was killed or interrupted and is started again: the same bytes, without the work that was done.
#include "command.h"

#include <csignal>
#include <random>

using command::demo;
using command::run;

namespace
{

// The steps that keep a checkpoint for each layer; the relaxation takes long enough to be killed at any layer.
const char *const pipelines[] = {
  "pipeline: [batchnorm-folding, {adaround: {solver: relaxation, iterations: 60, samples: 96}}]\n",
  "pipeline: [batchnorm-folding, {adaround: {scale: joint, bias: joint, samples: 96}}]\n",
  "pipeline: [batchnorm-folding, {bias-correction: {samples: 96}}]\n",
  "pipeline: [batchnorm-folding, {seqmse: {samples: 96}}, {adaround: {samples: 96}}]\n",
};

void
write_recipe (const std::string &path, const std::string &pipeline)
{
  command::write_all (path, "recipe: \"1.0\"\nname: demo\nmodel: " + demo ("model.onnx")
                                + "\ndata:\n  preprocess: {layout: NHWC, scale: 0.00784313725490196, mean: [1.0]}\n"
                                  "  calibration: {path: "
                                + demo ("calibration.npy") + ", samples: 128}\n"
                                + "quantization: {weights: {bits: 4}, activations: {bits: 8}}\n" + pipeline
                                + "output: {formats: [onnx, encodings-1.0.0]}\n");
}

// The files of finished layers.
std::vector<std::string>
list_kept (const std::string &out)
{
  std::vector<std::string> files;
  const std::string root = out + "/.halftone/checkpoints";
  for (const std::string &key : command::list (root))
    for (const std::string &file : command::list (root + "/" + key))
      files.push_back (root + "/" + key + "/" + file);
  return files;
}

std::string
results_of (const std::string &out)
{
  g_autoptr (JsonNode) report = command::parse (command::read_all (out + "/report.json"));
  g_autofree char *text = json_to_string (command::find (report, { "results" }), FALSE);
  return text;
}

// Ends a run when at least `n` layers are kept; FALSE when it was done before.
bool
end_after (const std::string &recipe, const std::string &out, std::size_t n, int which, int *code = nullptr)
{
  g_autoptr (GSubprocess) process
      = command::start ({ "run", recipe, "-o", out, "--threads", "1" },
                        (GSubprocessFlags)(G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE));
  while (g_subprocess_get_identifier (process) != nullptr && list_kept (out).size () < n)
    {
      if (g_file_test ((out + "/report.json").c_str (), G_FILE_TEST_EXISTS))
        break;
      g_usleep (500);
      g_main_context_iteration (nullptr, FALSE);
    }
  g_subprocess_send_signal (process, which);
  EXPECT_TRUE (g_subprocess_wait (process, nullptr, nullptr));
  if (code != nullptr)
    *code = g_subprocess_get_if_exited (process) ? g_subprocess_get_exit_status (process) : -1;
  return !g_file_test ((out + "/report.json").c_str (), G_FILE_TEST_EXISTS);
}

} // namespace

TEST (Resume, GivesTheSameBytesWhereverTheRunWasKilled)
{
  std::mt19937 random (std::random_device{}());
  for (const char *pipeline : pipelines)
    {
      SCOPED_TRACE (pipeline);
      support::TemporaryFolder folder;
      const std::string recipe = folder / "r.yaml", whole = folder / "whole", parts = folder / "parts";
      write_recipe (recipe, pipeline);
      auto once = run ({ "run", recipe, "-o", whole });
      ASSERT_EQ (once.code, 0) << once.err;
      EXPECT_FALSE (g_file_test ((whole + "/.halftone").c_str (), G_FILE_TEST_EXISTS));
      std::size_t kept = 0;
      int n_killed = 0;
      for (int i = 0; i < 3; i++)
        {
          std::size_t n = kept + 1 + random () % 3;
          g_usleep (random () % 2000);
          if (!end_after (recipe, parts, n, SIGKILL))
            break;
          n_killed++;
          kept = list_kept (parts).size ();
          EXPECT_EQ (command::list (parts), std::vector<std::string>{ ".halftone" });
        }
      EXPECT_GE (n_killed, 1);
      auto again = run ({ "run", recipe, "-o", parts });
      ASSERT_EQ (again.code, 0) << again.err;
      EXPECT_EQ (command::list (parts), command::list (whole));
      EXPECT_EQ (results_of (parts), results_of (whole));
      for (const char *file : { "demo.onnx", "demo.encodings" })
        EXPECT_EQ (command::read_all (parts + "/" + file), command::read_all (whole + "/" + file)) << file;
    }
}

TEST (Resume, DoesNotDoTheWorkAgain)
{
  support::TemporaryFolder folder;
  const std::string recipe = folder / "r.yaml", out = folder / "out";
  write_recipe (recipe, pipelines[0]);
  ASSERT_TRUE (end_after (recipe, out, 3, SIGKILL));
  const std::string first = list_kept (out)[0];
  // The seconds of a layer are those of the run that did it: what the first run said shows in the report of the second.
  auto again = run ({ "run", recipe, "-o", out });
  ASSERT_EQ (again.code, 0) << again.err;
  g_autoptr (JsonNode) report = command::parse (command::read_all (out + "/report.json"));
  JsonObject *seconds = json_node_get_object (command::find (report, { "timings", "steps" }));
  JsonArray *rows = json_node_get_array (command::find (report, { "timings", "tables", "adaround", "layers" }));
  double sum = 0;
  for (guint i = 0; i < json_array_get_length (rows); i++)
    sum += json_object_get_double_member (json_array_get_object_element (rows, i), "seconds");
  EXPECT_GT (sum, json_object_get_double_member (seconds, "adaround"));
  EXPECT_FALSE (g_file_test (first.c_str (), G_FILE_TEST_EXISTS));
}

TEST (Resume, InterruptionKeepsWhatIsFinishedAndSaysSo)
{
  support::TemporaryFolder folder;
  const std::string recipe = folder / "r.yaml", out = folder / "out";
  write_recipe (recipe, pipelines[0]);
  int code = 0;
  ASSERT_TRUE (end_after (recipe, out, 2, SIGINT, &code));
  EXPECT_EQ (code, 130);
  EXPECT_GE (list_kept (out).size (), 2u);
  // Another recipe finds nothing there, and its success clears up.
  write_recipe (recipe, pipelines[1]);
  auto other = run ({ "run", recipe, "-o", out });
  ASSERT_EQ (other.code, 0) << other.err;
  auto alone = run ({ "run", recipe, "-o", folder / "alone" });
  ASSERT_EQ (alone.code, 0) << alone.err;
  EXPECT_EQ (results_of (out), results_of (folder / "alone"));
  EXPECT_EQ (command::list (out), command::list (folder / "alone"));
}

TEST (Resume, ADamagedCheckpointIsComputedAgain)
{
  support::TemporaryFolder folder;
  const std::string recipe = folder / "r.yaml", out = folder / "out";
  write_recipe (recipe, pipelines[0]);
  ASSERT_TRUE (end_after (recipe, out, 2, SIGKILL));
  for (const std::string &file : list_kept (out))
    {
      std::string content = command::read_all (file);
      content[content.size () / 2] ^= 1;
      command::write_all (file, content);
    }
  auto again = run ({ "run", recipe, "-o", out });
  ASSERT_EQ (again.code, 0) << again.err;
  EXPECT_HAS (results_of (out), "is damaged");
  auto alone = run ({ "run", recipe, "-o", folder / "alone" });
  ASSERT_EQ (alone.code, 0) << alone.err;
  EXPECT_EQ (command::read_all (out + "/demo.onnx"), command::read_all (folder / "alone" + "/demo.onnx"));
}

TEST (Resume, FreshTakesUpNothing)
{
  support::TemporaryFolder folder;
  const std::string recipe = folder / "r.yaml", out = folder / "out";
  write_recipe (recipe, pipelines[0]);
  ASSERT_TRUE (end_after (recipe, out, 2, SIGKILL));
  for (const std::string &file : list_kept (out))
    command::write_all (file, "no checkpoint");
  auto fresh = run ({ "run", recipe, "-o", out, "--fresh" });
  ASSERT_EQ (fresh.code, 0) << fresh.err;
  EXPECT_HAS_NOT (results_of (out), "is damaged");
}

// The budget decides where activations lie, and the batch; what comes out of one batch does not depend on it.
TEST (Resume, ASmallBudgetKeepsActivationsInFiles)
{
  support::TemporaryFolder folder;
  const std::string recipe = folder / "r.yaml", out = folder / "out";
  write_recipe (recipe, pipelines[1]);
  auto small = run ({ "run", recipe, "-o", out, "--memory", "4MiB" });
  ASSERT_EQ (small.code, 0) << small.err;
  g_autoptr (JsonNode) report = command::parse (command::read_all (out + "/report.json"));
  JsonArray *rows = json_node_get_array (command::find (report, { "timings", "tables", "adaround", "layers" }));
  double most = 0, in_files = 0;
  for (guint i = 0; i < json_array_get_length (rows); i++)
    {
      JsonObject *row = json_array_get_object_element (rows, i);
      most = std::max (most, json_object_get_double_member (row, "activation-bytes"));
      in_files = std::max (in_files, json_object_get_double_member (row, "activation-file-bytes"));
    }
  EXPECT_LE (most, 2 << 20);
  EXPECT_GT (in_files, 0);
  EXPECT_EQ (command::list (out), (std::vector<std::string>{ "demo.encodings", "demo.onnx", "lock.json", "report.json" }));
}
