// SPDX-License-Identifier: MIT
// The verbs that take a model: eval, infer, export, validate.
#include "command.h"

#include <cmath>

using command::demo;
using command::number;
using command::run;

namespace
{

const std::vector<std::string> preprocess = { "--layout", "NHWC", "--scale", "0.00784313725490196", "--mean", "[1.0]" };

std::vector<std::string>
with_preprocess (std::vector<std::string> arguments)
{
  arguments.insert (arguments.end (), preprocess.begin (), preprocess.end ());
  return arguments;
}

// The first samples of the demo's evaluation set as the network reads them, in a file.
gsize
write_inputs (const std::string &path, guint n_samples)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtDataset) dataset = ht_dataset_new ();
  g_autoptr (HtPreprocess) steps = ht_preprocess_new ();
  for (gsize i = 0; i < preprocess.size (); i += 2)
    EXPECT_TRUE (
        ht_object_set_param_string (G_OBJECT (steps), preprocess[i].c_str () + 2, preprocess[i + 1].c_str (), &error));
  ht_dataset_set_preprocess (dataset, steps);
  g_autoptr (HtGraph) graph = ht_graph_load (demo ("model.onnx").c_str (), &error);
  EXPECT_TRUE (ht_dataset_add_file (dataset, nullptr, demo ("evaluation.npy").c_str (), &error));
  EXPECT_TRUE (ht_dataset_bind (dataset, graph, &error)) << error->message;
  g_autoptr (GHashTable) batch = ht_dataset_get_batch (dataset, 0, n_samples, &error);
  auto *tensor = (HtTensor *)g_hash_table_lookup (batch, ht_graph_get_inputs (graph)[0]);
  EXPECT_TRUE (ht_tensor_save_npy (tensor, path.c_str (), &error));
  return ht_tensor_get_n_elements (tensor);
}

std::string
output_name ()
{
  g_autoptr (HtGraph) graph = ht_graph_load (demo ("model.onnx").c_str (), nullptr);
  return ht_graph_get_outputs (graph)[0];
}

HtTensor *
load (const std::string &path)
{
  g_autoptr (GError) error = nullptr;
  HtTensor *tensor = ht_tensor_load_npy (path.c_str (), &error);
  EXPECT_EQ (error, nullptr) << error->message;
  return tensor;
}

}

TEST (Eval, AgreesWithTheRun)
{
  support::TemporaryFolder folder;
  ASSERT_EQ (run ({ "run", demo ("demo.yaml"), "-o", folder / "out" }).code, 0);
  g_autoptr (JsonNode) report = command::parse (command::read_all (folder / "out/report.json"));
  auto result = run (with_preprocess (
      { "eval", demo ("model.onnx"), "-d", demo ("evaluation.npy"), "-l", demo ("labels.npy"), "--json" }));
  ASSERT_EQ (result.code, 0) << result.err;
  g_autoptr (JsonNode) metrics = command::parse (result.out);
  EXPECT_EQ (number (metrics, { "top1" }), number (report, { "results", "metrics", "float", "top1" }));
  EXPECT_EQ (number (metrics, { "top1-low" }), number (report, { "results", "metrics", "float", "top1-low" }));
  // The exported network with the exported encodings is what the run measured last.
  auto simulated = run (with_preprocess ({ "eval", folder / "out/demo.onnx", "-e", folder / "out/demo.encodings", "-d",
                                           demo ("evaluation.npy"), "-l", demo ("labels.npy"), "--json" }));
  ASSERT_EQ (simulated.code, 0) << simulated.err;
  g_autoptr (JsonNode) after = command::parse (simulated.out);
  EXPECT_EQ (number (after, { "top1" }), number (report, { "results", "metrics", "result", "top1" }));
  EXPECT_NEAR (number (after, { "sqnr" }), number (report, { "results", "metrics", "result", "sqnr" }), 0.1);
}

TEST (Eval, SwitchesTheSimulationByPart)
{
  support::TemporaryFolder folder;
  std::string out = folder / "out";
  ASSERT_EQ (run ({ "run", demo ("demo.yaml"), "-o", out }).code, 0);
  auto eval = [&] (const std::vector<std::string> &more) {
    std::vector<std::string> arguments
        = with_preprocess ({ "eval", out + "/demo.onnx", "-e", out + "/demo.encodings", "-d", demo ("evaluation.npy"),
                             "--json" });
    arguments.insert (arguments.end (), more.begin (), more.end ());
    return run (arguments);
  };
  auto sqnr = [&] (const std::vector<std::string> &more) {
    auto result = eval (more);
    EXPECT_EQ (result.code, 0) << result.err;
    g_autoptr (JsonNode) metrics = command::parse (result.out);
    return number (metrics, { "sqnr" });
  };
  g_autoptr (HtGraph) graph = ht_graph_load ((out + "/demo.onnx").c_str (), nullptr);
  g_autoptr (GPtrArray) layers = ht_graph_list_layers (graph);
  std::string first = ht_layer_get_output ((HtLayer *)g_ptr_array_index (layers, 0));
  double all = sqnr ({});
  EXPECT_GT (sqnr ({ "--parts", "weights" }), all);
  EXPECT_GT (sqnr ({ "--parts", "activations" }), all);
  double one = sqnr ({ "--parts", "layer:" + first });
  EXPECT_GT (one, all);
  EXPECT_TRUE (std::isfinite (one));
  EXPECT_NE (sqnr ({ "--parts", "all-but:" + first }), all);
  auto unknown = eval ({ "--parts", "wieghts" });
  EXPECT_EQ (unknown.code, 3);
  EXPECT_HAS (unknown.err, "did you mean 'weights'");
  auto nobody = eval ({ "--parts", "layer:nobody" });
  EXPECT_EQ (nobody.code, 3);
  EXPECT_HAS (nobody.err, "'nobody'");
  auto without = run (with_preprocess ({ "eval", out + "/demo.onnx", "-d", demo ("evaluation.npy"), "-l",
                                         demo ("labels.npy"), "--parts", "weights" }));
  EXPECT_EQ (without.code, 2);
  EXPECT_HAS (without.err, "--encodings");
}

TEST (Eval, SaysWhatIsWrongWithTheData)
{
  support::TemporaryFolder folder;
  auto layout = run ({ "eval", demo ("model.onnx"), "-d", demo ("evaluation.npy"), "-l", demo ("labels.npy") });
  EXPECT_EQ (layout.code, 3);
  EXPECT_HAS (layout.err, "NHWC");
  auto labels = run (
      with_preprocess ({ "eval", demo ("model.onnx"), "-d", demo ("calibration.npy"), "-l", demo ("labels.npy") }));
  EXPECT_EQ (labels.code, 3);
  EXPECT_HAS (labels.err, "samples");
  auto floats = run (
      with_preprocess ({ "eval", demo ("model.onnx"), "-d", demo ("evaluation.npy"), "-l", demo ("evaluation.npy") }));
  EXPECT_EQ (floats.code, 3);
  EXPECT_HAS (floats.err, "class");
  auto nothing = run (with_preprocess ({ "eval", demo ("model.onnx"), "-d", demo ("evaluation.npy") }));
  EXPECT_EQ (nothing.code, 2);
  EXPECT_HAS (nothing.err, "--labels");
  EXPECT_EQ (
      run ({ "eval", demo ("model.onnx"), "-d", demo ("evaluation.npy"), "-l", demo ("labels.npy"), "--batch", "-3" })
          .code,
      2);
}

TEST (Memory, IsForetoldAndKept)
{
  support::TemporaryFolder folder;
  auto told = run ({ "inspect", demo ("model.onnx"), "--batch", "64" });
  EXPECT_EQ (told.code, 0) << told.err;
  EXPECT_HAS (told.out, "memory of a run at batch 64");
  EXPECT_HAS (told.out, "peak");
  write_inputs (folder / "x.npy", 50);
  g_autoptr (HtGraph) graph = ht_graph_load (demo ("model.onnx").c_str (), nullptr);
  std::string input = std::string (ht_graph_get_inputs (graph)[0]) + "=" + (folder / "x.npy");
  auto infer = [&] (const char *memory) {
    return run ({ "infer", demo ("model.onnx"), "-i", input, "-o", folder / "out", "--memory", memory });
  };
  EXPECT_EQ (infer ("1GiB").code, 0);
  EXPECT_EQ (infer ("3MiB").code, 0);
  auto little = infer ("100kB");
  EXPECT_EQ (little.code, 3);
  EXPECT_HAS (little.err, "a batch of 1 needs");
  EXPECT_EQ (infer ("much").code, 2);
  auto eval = run (with_preprocess (
      { "eval", demo ("model.onnx"), "-d", demo ("evaluation.npy"), "-l", demo ("labels.npy"), "--memory", "100kB" }));
  EXPECT_EQ (eval.code, 3);
  EXPECT_HAS (eval.err, "memory budget");
}

TEST (Infer, WritesOutputsAndTaps)
{
  support::TemporaryFolder folder;
  write_inputs (folder / "x.npy", 50);
  g_autoptr (HtGraph) graph = ht_graph_load (demo ("model.onnx").c_str (), nullptr);
  std::string input = std::string (ht_graph_get_inputs (graph)[0]) + "=" + (folder / "x.npy");
  auto whole = run ({ "infer", demo ("model.onnx"), "-i", input, "-o", folder / "whole", "--tap", ".*" });
  ASSERT_EQ (whole.code, 0) << whole.err;
  std::string file = "/" + output_name () + ".npy";
  g_autoptr (HtTensor) scores = load (folder / "whole" + file);
  g_autoptr (HtTensor) labels = load (demo ("labels.npy"));
  ASSERT_TRUE (scores && labels);
  ASSERT_EQ (ht_tensor_get_dim (scores, 0), 50);
  gsize n_classes = (gsize)ht_tensor_get_dim (scores, 1);
  int right = 0;
  for (gsize i = 0; i < 50; i++)
    {
      gsize best = 0;
      for (gsize c = 1; c < n_classes; c++)
        if (ht_tensor_get_double (scores, i * n_classes + c) > ht_tensor_get_double (scores, i * n_classes + best))
          best = c;
      right += (gint64)best == ht_tensor_get_int64 (labels, i);
    }
  EXPECT_GE (right, 48);
  // One file for each tensor, none of them in a folder of its own.
  EXPECT_GE (command::list (folder / "whole").size (), (gsize)ht_graph_get_n_nodes (graph));
  // In batches, the same up to rounding; the same bytes at any number of threads.
  ASSERT_EQ (run ({ "infer", demo ("model.onnx"), "-i", input, "-o", folder / "seven", "--batch", "7" }).code, 0);
  g_autoptr (HtTensor) batches = load (folder / "seven" + file);
  ASSERT_EQ (ht_tensor_get_n_elements (batches), ht_tensor_get_n_elements (scores));
  for (gsize i = 0; i < ht_tensor_get_n_elements (scores); i++)
    EXPECT_NEAR (ht_tensor_get_double (batches, i), ht_tensor_get_double (scores, i), 1e-3);
  for (const char *threads : { "1", "3" })
    ASSERT_EQ (run ({ "infer", demo ("model.onnx"), "-i", input, "-o", folder / threads, "-t", threads }).code, 0);
  EXPECT_EQ (command::read_all (folder / "1" + file), command::read_all (folder / "3" + file));
  // A tapped tensor takes the steps around it apart: up to rounding again.
  g_autoptr (HtTensor) untapped = load (folder / "1" + file);
  for (gsize i = 0; i < ht_tensor_get_n_elements (scores); i++)
    EXPECT_NEAR (ht_tensor_get_double (untapped, i), ht_tensor_get_double (scores, i), 1e-4);
}

TEST (Infer, SaysWhatIsWrongWithItsArguments)
{
  support::TemporaryFolder folder;
  std::string out = folder / "out";
  write_inputs (folder / "x.npy", 2);
  g_autoptr (HtGraph) graph = ht_graph_load (demo ("model.onnx").c_str (), nullptr);
  std::string name = ht_graph_get_inputs (graph)[0], file = folder / "x.npy";
  auto missing = run ({ "infer", demo ("model.onnx"), "-o", out });
  EXPECT_EQ (missing.code, 3);
  EXPECT_HAS (missing.err, "'" + name + "'");
  auto unknown = run ({ "infer", demo ("model.onnx"), "-i", "nothing=" + file, "-o", out });
  EXPECT_EQ (unknown.code, 3);
  EXPECT_HAS (unknown.err, "'nothing'");
  auto shape = run ({ "infer", demo ("model.onnx"), "-i", name + "=" + demo ("labels.npy"), "-o", out });
  EXPECT_EQ (shape.code, 3);
  auto regex = run ({ "infer", demo ("model.onnx"), "-i", name + "=" + file, "--tap", "(", "-o", out });
  EXPECT_EQ (regex.code, 3);
  EXPECT_HAS (regex.err, "--tap");
  auto none = run ({ "infer", demo ("model.onnx"), "-i", name + "=" + file, "--tap", "^zzz$", "-o", out });
  EXPECT_EQ (none.code, 3);
  auto twice = run ({ "infer", demo ("model.onnx"), "-i", file, "-i", name + "=" + file, "-o", out });
  EXPECT_EQ (twice.code, 3);
  EXPECT_HAS (twice.err, "once");
  auto blocked = run ({ "infer", demo ("model.onnx"), "-i", file, "-o", file });
  EXPECT_EQ (blocked.code, 1);
  EXPECT_HAS (blocked.err, "--output");
  EXPECT_EQ (command::list (out), std::vector<std::string>{});
}

TEST (Infer, GivesAFixedBatchItsOwnSize)
{
  support::TemporaryFolder folder;
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = ht_graph_new ("fixed");
  const gint64 dims[] = { 2, 1 }, given[] = { 6, 1 };
  g_autoptr (HtShape) shape = ht_shape_new (dims, nullptr, 2);
  const char *in[] = { "x", nullptr }, *out[] = { "a/b:y", nullptr };
  ht_graph_set_opset (graph, "", 13);
  ht_graph_add_input (graph, "x", HT_DATA_TYPE_FLOAT, shape);
  ht_graph_add_node (graph, "Neg", "", "neg", in, out);
  ht_graph_add_output (graph, "a/b:y", HT_DATA_TYPE_FLOAT, shape);
  ASSERT_TRUE (ht_graph_save (graph, (folder / "m.onnx").c_str (), &error)) << error->message;
  const float values[] = { 1, 2, 3, 4, 5, 6 };
  g_autoptr (HtTensor) flat = ht_tensor_new_floats (values, 6);
  g_autoptr (HtTensor) array = ht_tensor_reshape (flat, given, 2, &error);
  ASSERT_TRUE (ht_tensor_save_npy (array, (folder / "x.npy").c_str (), &error));
  for (const char *batch : { "0", "1", "4" })
    {
      std::string to = folder / batch;
      auto result = run ({ "infer", folder / "m.onnx", "-i", folder / "x.npy", "-o", to, "-b", batch });
      ASSERT_EQ (result.code, 0) << result.err;
      EXPECT_EQ (command::list (to), std::vector<std::string>{ "a_b_y.npy" });
      g_autoptr (HtTensor) negated = load (to + "/a_b_y.npy");
      ASSERT_EQ (ht_tensor_get_n_elements (negated), 6u);
      for (int i = 0; i < 6; i++)
        EXPECT_EQ (ht_tensor_get_double (negated, i), -values[i]);
    }
}

TEST (Infer, RunsANetworkWithStateAndAScalarInput)
{
  REQUIRE_ASSET (model, "models/silero_vad_16k_op15.onnx");
  support::TemporaryFolder folder;
  g_autoptr (GError) error = nullptr;
  const gint64 wave_dims[] = { 1, 576 }, state_dims[] = { 2, 1, 128 };
  const gint64 rate = 16000;
  g_autoptr (GBytes) rate_bytes = g_bytes_new (&rate, sizeof rate);
  g_autoptr (HtTensor) wave = ht_tensor_new (HT_DATA_TYPE_FLOAT, wave_dims, 2, &error);
  g_autoptr (HtTensor) state = ht_tensor_new (HT_DATA_TYPE_FLOAT, state_dims, 3, &error);
  g_autoptr (HtTensor) sr = ht_tensor_new_from_bytes (HT_DATA_TYPE_INT64, nullptr, 0, rate_bytes, &error);
  ASSERT_NO_GERROR (error);
  for (int i = 0; i < 576; i++)
    ((float *)ht_tensor_get_writable_data (wave))[i] = (float)(((i * 37) % 101 - 50) / 500.0);
  memset (ht_tensor_get_writable_data (state), 0, ht_tensor_get_size (state));
  ASSERT_TRUE (ht_tensor_save_npy (wave, (folder / "wave.npy").c_str (), &error));
  ASSERT_TRUE (ht_tensor_save_npy (state, (folder / "state.npy").c_str (), &error));
  ASSERT_TRUE (ht_tensor_save_npy (sr, (folder / "sr.npy").c_str (), &error));
  std::vector<std::string> call = { "infer", model,
                                    "-i",    "input=" + (folder / "wave.npy"),
                                    "-i",    "state=" + (folder / "state.npy"),
                                    "-i",    "sr=" + (folder / "sr.npy"),
                                    "-o",    folder / "out" };
  auto result = run (call);
  ASSERT_EQ (result.code, 0) << result.err;
  g_autoptr (HtTensor) output = load (folder / "out/output.npy");
  g_autoptr (HtTensor) next = load (folder / "out/stateN.npy");
  ASSERT_TRUE (output && next);
  // onnxruntime 1.31.1 on the same arrays.
  EXPECT_NEAR (ht_tensor_get_double (output, 0), 0.04437611, 1e-5);
  const double expected[] = { -0.1720133, 0.42576867, 0.0557351 };
  for (gsize i = 0; i < 3; i++)
    EXPECT_NEAR (ht_tensor_get_double (next, i), expected[i], 1e-5);
  // Its state has no batch in front: what cannot be split is said, not split wrongly.
  call.insert (call.end (), { "--batch", "1" });
  auto split = run (call);
  EXPECT_EQ (split.code, 3);
  EXPECT_HAS (split.err, "without --batch");
}

TEST (Export, WritesWhatTheRunWrites)
{
  support::TemporaryFolder folder;
  std::string out = folder / "out", model = out + "/demo.onnx", encodings = out + "/demo.encodings";
  ASSERT_EQ (run ({ "run", demo ("demo.yaml"), "-o", out }).code, 0);
  ASSERT_EQ (run ({ "export", model, "-e", encodings, "-f", "onnx-qdq", "-o", folder / "q.onnx" }).code, 0);
  EXPECT_EQ (command::read_all (folder / "q.onnx"), command::read_all (out + "/demo-qdq.onnx"));
  ASSERT_EQ (run ({ "export", model, "-e", encodings, "-f", "encodings-1.0.0", "-o", folder / "e" }).code, 0);
  // The grids; what the file says of the settings beside them comes from a recipe, which there is none of here.
  g_autoptr (JsonNode) again = command::parse (command::read_all (folder / "e"));
  g_autoptr (JsonNode) first = command::parse (command::read_all (encodings));
  for (const char *list : { "activation_encodings", "param_encodings" })
    EXPECT_TRUE (json_node_equal (command::find (again, { list }), command::find (first, { list }))) << list;
  ASSERT_EQ (run ({ "export", model, "-f", "onnx", "-o", folder / "m.onnx" }).code, 0);
  EXPECT_EQ (command::read_all (folder / "m.onnx"), command::read_all (model));
  auto missing = run ({ "export", model, "-f", "onnx-qdq", "-o", folder / "x" });
  EXPECT_EQ (missing.code, 2);
  EXPECT_HAS (missing.err, "--encodings");
  // Encodings of another network.
  auto foreign
      = run ({ "export", demo ("model.onnx"), "-e", demo ("demo.yaml"), "-f", "onnx-qdq", "-o", folder / "x" });
  EXPECT_EQ (foreign.code, 3);
  EXPECT_FALSE (g_file_test ((folder / "x").c_str (), G_FILE_TEST_EXISTS));
}

TEST (Validate, TellsFitModelsFromOthers)
{
  support::TemporaryFolder folder;
  g_autoptr (GError) error = nullptr;
  auto fit = run ({ "validate", demo ("model.onnx") });
  EXPECT_EQ (fit.code, 0);
  EXPECT_HAS (fit.out, "fit for quantization");
  g_autoptr (HtGraph) graph = ht_graph_new ("odd");
  const gint64 dims[] = { 1, 4 };
  g_autoptr (HtShape) shape = ht_shape_new (dims, nullptr, 2);
  const char *in[] = { "x", nullptr }, *middle[] = { "m", nullptr }, *out[] = { "y", nullptr };
  ht_graph_set_opset (graph, "", 13);
  ht_graph_set_opset (graph, "org.example", 1);
  ht_graph_add_input (graph, "x", HT_DATA_TYPE_FLOAT, shape);
  ht_graph_add_node (graph, "Relu", "", "relu", in, middle);
  ht_graph_add_node (graph, "Frobnicate", "org.example", "odd", middle, out);
  ht_graph_add_output (graph, "y", HT_DATA_TYPE_FLOAT, shape);
  ASSERT_TRUE (ht_graph_save (graph, (folder / "odd.onnx").c_str (), &error)) << error->message;
  auto odd = run ({ "validate", folder / "odd.onnx" });
  EXPECT_EQ (odd.code, 3);
  EXPECT_HAS (odd.out, "Frobnicate");
  auto json = run ({ "validate", "--json", folder / "odd.onnx" });
  EXPECT_EQ (json.code, 3);
  g_autoptr (JsonNode) node = command::parse (json.out);
  EXPECT_FALSE (json_node_get_boolean (command::find (node, { "fit" })));
}

TEST (Validate, RepairsWithoutChangingTheFunction)
{
  REQUIRE_ASSET (model, "models/resnet20_cifar10_raw.onnx");
  REQUIRE_ASSET (images, "data/cifar10_test_x.npy");
  REQUIRE_ASSET (classes, "data/cifar10_test_y.npy");
  support::TemporaryFolder folder;
  ASSERT_EQ (run ({ "validate", model, "--fix", folder / "fixed.onnx" }).code, 0);
  std::vector<std::string> tail = { "-d",
                                    images,
                                    "-l",
                                    classes,
                                    "-n",
                                    "100",
                                    "--json",
                                    "--layout",
                                    "NHWC",
                                    "--scale",
                                    "0.00392156862745098",
                                    "--mean",
                                    "[0.485,0.456,0.406]",
                                    "--std",
                                    "[0.229,0.224,0.225]" };
  std::vector<std::string> before = { "eval", model }, after = { "eval", folder / "fixed.onnx" };
  before.insert (before.end (), tail.begin (), tail.end ());
  after.insert (after.end (), tail.begin (), tail.end ());
  auto first = run (before), second = run (after);
  ASSERT_EQ (first.code, 0) << first.err;
  EXPECT_EQ (first.out, second.out);
  // Nothing is left to mend.
  auto again = run ({ "validate", folder / "fixed.onnx" });
  EXPECT_HAS_NOT (again.out, "folded");
}
