// SPDX-License-Identifier: MIT
// The main job from end to end, on the demo network: nearest rounding fails, the pipeline repairs it.
#include "command.h"

#include <csignal>
#include <map>

using command::demo;
using command::number;
using command::run;

namespace
{

const std::string per_tensor
    = "quantization: {weights: {bits: 8, symmetric: true, granularity: tensor}, activations: {bits: 8}}\n";

std::map<std::string, double>
activation_scales (const std::string &path)
{
  std::map<std::string, double> scales;
  g_autoptr (JsonNode) node = command::parse (command::read_all (path));
  JsonNode *found = command::find (node, { "activation_encodings" });
  JsonArray *list = found ? json_node_get_array (found) : nullptr;
  for (guint i = 0; list && i < json_array_get_length (list); i++)
    {
      JsonObject *entry = json_array_get_object_element (list, i);
      scales[json_object_get_string_member (entry, "name")]
          = json_array_get_double_element (json_object_get_array_member (entry, "scale"), 0);
    }
  return scales;
}

// The demo recipe with other data, in a folder of its own.
void
write_recipe (const std::string &path, const std::string &calibration, const std::string &more = "")
{
  command::write_all (path, "recipe: \"1.0\"\nname: demo\nmodel: " + demo ("model.onnx")
                                + "\n"
                                  "data:\n"
                                  "  preprocess: {layout: NHWC, scale: 0.00784313725490196, mean: [1.0]}\n"
                                + (calibration.empty () ? "" : "  calibration: {path: " + calibration + "}\n")
                                + "  evaluation: {path: " + demo ("evaluation.npy") + ", labels: " + demo ("labels.npy")
                                + "}\n" + more + "output: {formats: [onnx, onnx-qdq, encodings-1.0.0]}\n");
}

}

TEST (Run, RepairsWhatNearestRoundingBreaks)
{
  support::TemporaryFolder folder;
  auto result = run ({ "run", demo ("demo.yaml"), "-o", folder / "out" });
  ASSERT_EQ (result.code, 0) << result.err;
  EXPECT_HAS (result.out, "naive");
  EXPECT_EQ (command::list (folder / "out"),
             (std::vector<std::string>{ "demo-qdq.onnx", "demo.encodings", "demo.onnx", "lock.json", "report.json" }));
  g_autoptr (JsonNode) report = command::parse (command::read_all (folder / "out/report.json"));
  double before = number (report, { "results", "metrics", "float", "top1" });
  double naive = number (report, { "results", "metrics", "naive", "top1" });
  double after = number (report, { "results", "metrics", "result", "top1" });
  EXPECT_GE (before, 0.9);
  EXPECT_LE (naive, before - 0.3);
  EXPECT_GE (after, before - 0.01);
  // Folding and equalization keep the function.
  EXPECT_GE (number (report, { "results", "metrics", "float-after-pipeline", "sqnr" }), 80);
  EXPECT_EQ (json_array_get_length (json_node_get_array (command::find (report, { "results", "steps" }))), 3u);
  for (const char *name : { "environment", "recipe", "model", "data", "timings" })
    EXPECT_NE (command::find (report, { name }), nullptr);
  JsonArray *quantizers = json_node_get_array (command::find (report, { "results", "quantizers" }));
  for (guint i = 0; i < json_array_get_length (quantizers); i++)
    {
      JsonObject *quantizer = json_array_get_object_element (quantizers, i);
      EXPECT_EQ (json_object_get_double_member (quantizer, "clip-ratio"), 0);
      EXPECT_GT (json_object_get_double_member (quantizer, "sqnr"), 30);
      EXPECT_LT (json_object_get_double_member (quantizer, "sqnr"), 60);
    }
  EXPECT_HAS (result.out, "noisiest of 22 quantized tensors");
  // The hash of the inputs is in the report, and 8-bit weights make the exported file smaller.
  EXPECT_EQ (strlen (json_node_get_string (command::find (report, { "data", "calibration", "sha256" }))), 64u);
  EXPECT_LT (command::read_all (folder / "out/demo-qdq.onnx").size (),
             command::read_all (folder / "out/demo.onnx").size ());
}

// Each step does what the demo needs it for: without it, or with its plugin emptied, the result is another.
TEST (Run, NeedsEachOfItsSteps)
{
  support::TemporaryFolder folder;
  auto top1_with = [&] (const std::string &name, const std::string &steps) {
    write_recipe (folder / name + ".yaml", demo ("calibration.npy"), per_tensor + "pipeline: [" + steps + "]\n");
    auto result = run ({ "run", folder / name + ".yaml", "-o", folder / name });
    EXPECT_EQ (result.code, 0) << result.err;
    g_autoptr (JsonNode) report = command::parse (command::read_all (folder / name + "/report.json"));
    return number (report, { "results", "metrics", "result", "top1" });
  };
  const std::string both = "batchnorm-folding, cross-layer-equalization";
  double nothing = top1_with ("nothing", ""), folded = top1_with ("folded", "batchnorm-folding");
  double equalized = top1_with ("equalized", both);
  EXPECT_LE (nothing, 0.7);
  EXPECT_LE (folded, 0.7);
  EXPECT_GE (equalized, 0.97);
  // Folding leaves no batch norm.
  auto count_norms = [&] (const std::string &name) {
    return run ({ "inspect", folder / name + "/demo.onnx", "--json" }).out.find ("BatchNormalization");
  };
  EXPECT_NE (count_norms ("nothing"), std::string::npos);
  EXPECT_EQ (count_norms ("folded"), std::string::npos);
  // High-bias folding makes the ranges of the layers it takes from smaller.
  EXPECT_GE (top1_with ("absorbed", both + ", {high-bias-folding: {deviations: 1}}"), 0.97);
  std::map<std::string, double> before = activation_scales (folder / "equalized/demo.encodings");
  std::map<std::string, double> after = activation_scales (folder / "absorbed/demo.encodings");
  for (const char *tensor : { "stem.relu_output", "block0.pointwise.relu_output" })
    {
      ASSERT_TRUE (before.count (tensor) && after.count (tensor)) << tensor;
      EXPECT_LE (after[tensor], 0.9 * before[tensor]) << tensor;
    }
}

TEST (Run, WritesEncodingsThatTheOtherVerbsTake)
{
  support::TemporaryFolder folder;
  // Neither bits nor granularity are those a verb without a recipe would choose.
  const std::string settings[] = {
    "quantization: {weights: {bits: 4, symmetric: false, granularity: tensor}, activations: {bits: 16, symmetric: "
    "true}, "
    "rules: [{match: {op: Gemm}, weights: {bits: 8}}, {match: {name: 'block1.*'}, skip: true}]}\n",
    "quantization: {weights: {bits: 3, granularity: channel}, activations: {bits: 8}}\n",
  };
  for (const std::string &setting : settings)
    {
      SCOPED_TRACE (setting);
      std::string out = folder / "out", model = out + "/demo.onnx", encodings = out + "/demo.encodings";
      write_recipe (folder / "r.yaml", demo ("calibration.npy"), setting + "pipeline: [batchnorm-folding]\n");
      auto made = run ({ "run", folder / "r.yaml", "-o", out });
      ASSERT_EQ (made.code, 0) << made.err;
      g_autoptr (JsonNode) report = command::parse (command::read_all (out + "/report.json"));
      auto measured = run ({ "eval", model, "-e", encodings, "-d", demo ("evaluation.npy"), "-l", demo ("labels.npy"),
                             "--layout", "NHWC", "--scale", "0.00784313725490196", "--mean", "[1.0]", "--json" });
      ASSERT_EQ (measured.code, 0) << measured.err;
      g_autoptr (JsonNode) metrics = command::parse (measured.out);
      for (const char *metric : { "top1", "top5", "agreement" })
        EXPECT_EQ (number (metrics, { metric }), number (report, { "results", "metrics", "result", metric })) << metric;
      ASSERT_EQ (run ({ "export", model, "-e", encodings, "-f", "onnx-qdq", "-o", folder / "q.onnx" }).code, 0);
      EXPECT_EQ (command::read_all (folder / "q.onnx"), command::read_all (out + "/demo-qdq.onnx"));
    }
}

TEST (Run, FindsWhatCannotBeWrittenBeforeTheWork)
{
  support::TemporaryFolder folder;
  write_recipe (folder / "r.yaml", demo ("calibration.npy"),
                "quantization: {activations: {bits: 20}}\npipeline: [batchnorm-folding]\n");
  auto bits = run ({ "run", folder / "r.yaml", "-o", folder / "out" });
  EXPECT_EQ (bits.code, 3);
  EXPECT_HAS (bits.err, "'onnx-qdq'");
  EXPECT_HAS (bits.err, "at most 16 bits");
  EXPECT_FALSE (g_file_test ((folder / "out").c_str (), G_FILE_TEST_EXISTS));
  for (const std::string &out : { folder / "r.yaml", folder / "r.yaml" + "/a/b", std::string ("/proc/none") })
    {
      auto blocked = run ({ "run", demo ("demo.yaml"), "-o", out });
      EXPECT_EQ (blocked.code, 1);
      EXPECT_HAS (blocked.err, out);
      EXPECT_HAS (blocked.err, "--output");
    }
}

TEST (Run, PrintsPlainLinesWhereThereIsNoTerminal)
{
  support::TemporaryFolder folder;
  auto result = run ({ "run", demo ("demo.yaml"), "-o", folder / "out" });
  EXPECT_HAS (result.err, " % ");
  EXPECT_HAS_NOT (result.err + result.out, "\r");
  EXPECT_HAS_NOT (result.err + result.out, "\033");
}

TEST (Run, GivesTheSameBytesAtAnyNumberOfThreads)
{
  support::TemporaryFolder folder;
  ASSERT_EQ (run ({ "run", demo ("demo.yaml"), "-o", folder / "a", "-t", "1" }).code, 0);
  ASSERT_EQ (run ({ "run", demo ("demo.yaml"), "-o", folder / "b", "-t", "3" }).code, 0);
  for (const char *name : { "demo-qdq.onnx", "demo.encodings", "demo.onnx" })
    EXPECT_EQ (command::read_all (folder / "a/" + name), command::read_all (folder / "b/" + name)) << name;
  g_autoptr (JsonNode) a = command::parse (command::read_all (folder / "a/report.json"));
  g_autoptr (JsonNode) b = command::parse (command::read_all (folder / "b/report.json"));
  g_autofree char *first = json_to_string (command::find (a, { "results" }), FALSE);
  g_autofree char *second = json_to_string (command::find (b, { "results" }), FALSE);
  EXPECT_STREQ (first, second);
}

TEST (Run, PrintsItsReportForMachines)
{
  support::TemporaryFolder folder;
  auto result = run ({ "run", demo ("demo.yaml"), "-o", folder / "out", "--json" });
  ASSERT_EQ (result.code, 0) << result.err;
  g_autoptr (JsonNode) printed = command::parse (result.out);
  g_autoptr (JsonNode) written = command::parse (command::read_all (folder / "out/report.json"));
  EXPECT_TRUE (json_node_equal (printed, written));
}

TEST (Run, LeavesNothingWhenTheDataIsBad)
{
  support::TemporaryFolder folder;
  g_autoptr (GError) error = nullptr;
  // The second sample of the calibration set is not a number.
  g_autoptr (HtTensor) raw = ht_tensor_load_npy (demo ("calibration.npy").c_str (), &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (HtTensor) floats = ht_tensor_cast (raw, HT_DATA_TYPE_FLOAT, &error);
  ASSERT_NO_GERROR (error);
  gsize sample = ht_tensor_get_n_elements (floats) / (gsize)ht_tensor_get_dim (floats, 0);
  ((float *)ht_tensor_get_writable_data (floats))[sample + 1] = NAN;
  ASSERT_TRUE (ht_tensor_save_npy (floats, (folder / "nan.npy").c_str (), &error));
  write_recipe (folder / "nan.yaml", "nan.npy");
  auto nan = run ({ "run", folder / "nan.yaml", "-o", folder / "out" });
  EXPECT_EQ (nan.code, 3);
  EXPECT_HAS (nan.err, "nan.npy");
  EXPECT_HAS (nan.err, "sample 1");
  // No calibration data.
  write_recipe (folder / "none.yaml", "");
  auto none = run ({ "run", folder / "none.yaml", "-o", folder / "out" });
  EXPECT_EQ (none.code, 3);
  EXPECT_HAS (none.err, "calibration");
  // A truncated array and a truncated model.
  std::string array = command::read_all (demo ("calibration.npy"));
  command::write_all (folder / "short.npy", array.substr (0, array.size () - 1));
  write_recipe (folder / "short.yaml", "short.npy");
  auto cut = run ({ "run", folder / "short.yaml", "-o", folder / "out" });
  EXPECT_EQ (cut.code, 3);
  EXPECT_HAS (cut.err, "truncated");
  std::string model = command::read_all (demo ("model.onnx"));
  command::write_all (folder / "short.onnx", model.substr (0, model.size () / 2));
  auto half = run ({ "run", demo ("demo.yaml"), "-m", folder / "short.onnx", "-o", folder / "out" });
  EXPECT_EQ (half.code, 3);
  EXPECT_HAS (half.err, "short.onnx");
  EXPECT_EQ (command::list (folder / "out"), std::vector<std::string>{});
}

TEST (Run, WritesAllFilesOrNone)
{
  support::TemporaryFolder folder;
  std::string out = folder / "out";
  ASSERT_EQ (g_mkdir_with_parents ((out + "/demo.onnx").c_str (), 0755), 0);
  auto result = run ({ "run", demo ("demo.yaml"), "-o", out });
  EXPECT_EQ (result.code, 3);
  EXPECT_HAS (result.err, "demo.onnx");
  EXPECT_EQ (command::list (out), std::vector<std::string>{ "demo.onnx" });
  command::write_all (folder / "file", "x");
  auto blocked = run ({ "run", demo ("demo.yaml"), "-o", folder / "file" });
  EXPECT_EQ (blocked.code, 1);
  EXPECT_HAS (blocked.err, "file");
}

TEST (Run, StopsWhenInterrupted)
{
  support::TemporaryFolder folder;
  // Threads of a library, which know nothing of the command, must not be the ones that end it.
  g_setenv ("OPENBLAS_NUM_THREADS", "4", TRUE);
  g_autoptr (GSubprocess) process
      = command::start ({ "run", demo ("demo.yaml"), "-o", folder / "out" },
                        (GSubprocessFlags)(G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_PIPE));
  g_setenv ("OPENBLAS_NUM_THREADS", "1", TRUE);
  // The first line of progress says that the work has begun.
  char first;
  ASSERT_EQ (g_input_stream_read (g_subprocess_get_stderr_pipe (process), &first, 1, nullptr, nullptr), 1);
  g_subprocess_send_signal (process, SIGINT);
  ASSERT_TRUE (g_subprocess_wait (process, nullptr, nullptr));
  ASSERT_TRUE (g_subprocess_get_if_exited (process));
  EXPECT_EQ (g_subprocess_get_exit_status (process), 130);
  EXPECT_EQ (command::list (folder / "out"), std::vector<std::string>{});
}

// The same data by the command line as by the recipe: the same bytes. Other data: other numbers.
TEST (Run, TakesDataFromTheCommandLine)
{
  support::TemporaryFolder folder;
  write_recipe (folder / "r.yaml", "missing.npy");
  auto without = run ({ "run", folder / "r.yaml", "-o", folder / "none" });
  EXPECT_EQ (without.code, 3) << without.err;
  auto given = run ({ "run", folder / "r.yaml", "-o", folder / "a", "--calibration", demo ("calibration.npy") });
  ASSERT_EQ (given.code, 0) << given.err;
  write_recipe (folder / "s.yaml", demo ("calibration.npy"));
  auto named = run ({ "run", folder / "s.yaml", "-o", folder / "b" });
  ASSERT_EQ (named.code, 0) << named.err;
  EXPECT_EQ (command::read_all (folder / "a/demo-qdq.onnx"), command::read_all (folder / "b/demo-qdq.onnx"));

  auto measured = run ({ "run", folder / "s.yaml", "-o", folder / "c", "--evaluation", demo ("calibration.npy") });
  ASSERT_EQ (measured.code, 0) << measured.err;
  g_autoptr (JsonNode) report = command::parse (command::read_all (folder / "c/report.json"));
  JsonNode *result = command::find (report, { "results", "metrics", "result" });
  ASSERT_NE (result, nullptr);
  EXPECT_FALSE (json_object_has_member (json_node_get_object (result), "top1")); /* the recipe's labels went */
  auto labels = run ({ "run", folder / "s.yaml", "-o", folder / "d", "--labels", demo ("labels.npy") });
  EXPECT_EQ (labels.code, 2);
  EXPECT_HAS (labels.err, "--evaluation");
  auto raw = run ({ "run", folder / "s.yaml", "-o", folder / "e", "--raw" });
  EXPECT_EQ (raw.code, 3) << raw.err; /* bytes in NHWC are not what the network reads */
}

// A calibrator that the library has never heard of, on the input: its values are known without the network.
TEST (Run, TakesACalibratorOfAPlugin)
{
  support::TemporaryFolder folder;
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtTensor) raw = ht_tensor_load_npy (demo ("calibration.npy").c_str (), &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (HtTensor) pixels = ht_tensor_cast (raw, HT_DATA_TYPE_FLOAT, &error);
  ASSERT_NO_GERROR (error);
  auto *values = (const float *)ht_tensor_get_data (pixels);
  gsize n = ht_tensor_get_n_elements (pixels);
  double sum = 0;
  for (gsize i = 0; i < n; i++)
    sum += std::fabs (values[i] / 127.5 - 1);
  auto write_with = [&] (const std::string &calibrator) {
    write_recipe (folder / "r.yaml", demo ("calibration.npy"),
                  "quantization: {activations: {symmetric: true, calibrator: " + calibrator + "}}\n");
  };
  auto missing = (write_with ("mean-magnitude"), run ({ "check", folder / "r.yaml" }));
  EXPECT_EQ (missing.code, 3);
  EXPECT_HAS (missing.err, "must be one of entropy, min-max, mse, percentile, tf-enhanced");
  g_setenv ("HALFTONE_PLUGIN_PATH", TEST_PLUGINS, TRUE);
  auto table = run ({ "plugins", "list" });
  auto list = run ({ "plugins", "list", "--json" });
  write_with ("{mean-magnitude: {factor: 2}}");
  auto result = run ({ "run", folder / "r.yaml", "-o", folder / "out" });
  write_with ("{mean-magnitude: {fail: turned}}");
  auto failed = run ({ "run", folder / "r.yaml", "-o", folder / "failed" });
  // Floating-point formats take min-max, so that it is not asked.
  write_recipe (folder / "r.yaml", demo ("calibration.npy"),
                "quantization: {activations: {format: float16, calibrator: {mean-magnitude: {fail: turned}}}}\n");
  auto floats = run ({ "run", folder / "r.yaml", "-o", folder / "floats" });
  g_setenv ("HALFTONE_PLUGIN_PATH", "", TRUE);
  EXPECT_EQ (floats.code, 0) << floats.err;
  EXPECT_HAS (table.out, "mean-magnitude");
  EXPECT_HAS (list.out, "\"calibrators\" : [\n      \"mean-magnitude\"\n    ]");
  ASSERT_EQ (result.code, 0) << result.err;
  auto scales = activation_scales (folder / "out/demo.encodings");
  ASSERT_EQ (scales.count ("image"), 1u);
  EXPECT_NEAR (scales["image"], 2 * sum / (double)n / 127, 1e-6 * scales["image"]);
  EXPECT_EQ (failed.code, 5);
  EXPECT_HAS (failed.err, "calibrating tensor '");
  EXPECT_HAS (failed.err, "calibrator 'mean-magnitude' gave the range from ");
}
