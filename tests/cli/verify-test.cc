// SPDX-License-Identifier: MIT
// verify: the file of a run against its simulation, by our own operators and, where it is found, by onnxruntime.
#include "command.h"

#include <functional>

using command::demo;
using command::number;
using command::run;

namespace
{

class Verify : public testing::TestWithParam<const char *>
{
protected:
  Verify () : before_ (g_getenv ("HALFTONE_ONNXRUNTIME") ? g_getenv ("HALFTONE_ONNXRUNTIME") : "") {}
  ~Verify () override
  {
    if (before_.empty ())
      g_unsetenv ("HALFTONE_ONNXRUNTIME");
    else
      g_setenv ("HALFTONE_ONNXRUNTIME", before_.c_str (), TRUE);
  }
  void SetUp () override
  {
    ASSERT_EQ (run ({ "run", demo ("demo.yaml"), "-o", out () }).code, 0);
    if (std::string (GetParam ()) == "own" || !before_.empty ())
      return;
    std::string found = find_wheel ();
    if (found.empty ())
      GTEST_SKIP () << "onnxruntime is not installed: HALFTONE_ONNXRUNTIME names no library, and Python has no package";
    g_setenv ("HALFTONE_ONNXRUNTIME", found.c_str (), TRUE);
  }
  std::string out () { return folder_ / "out"; }
  command::Result verify (std::vector<std::string> more = {})
  {
    std::vector<std::string> arguments = { "verify", out (), "--runtime", GetParam () };
    arguments.insert (arguments.end (), more.begin (), more.end ());
    return run (arguments);
  }
  // Changes the exported file.
  void corrupt (const std::function<void (HtGraph *)> &change)
  {
    g_autoptr (GError) error = nullptr;
    std::string path = out () + "/demo-qdq.onnx";
    g_autoptr (HtGraph) graph = ht_graph_load (path.c_str (), &error);
    ASSERT_NE (graph, nullptr) << error->message;
    change (graph);
    ASSERT_TRUE (ht_graph_save (graph, path.c_str (), &error)) << error->message;
  }
  static void scale_initializer (HtGraph *graph, const char *name, float factor)
  {
    g_autoptr (HtTensor) changed = ht_tensor_copy (ht_graph_get_initializer (graph, name), nullptr);
    for (gsize i = 0; i < ht_tensor_get_n_elements (changed); i++)
      ((float *)ht_tensor_get_writable_data (changed))[i] *= factor;
    ht_graph_set_initializer (graph, name, changed);
  }
  // The scale that the DequantizeLinear of a tensor reads.
  static std::string scale_of (HtGraph *graph, const char *tensor)
  {
    return ht_node_get_input (ht_graph_get_producer (graph, tensor), 1);
  }

private:
  static std::string find_wheel ()
  {
    const char *argv[] = { "python3", "-c",
                           "import importlib.util as u, os; s = u.find_spec('onnxruntime'); "
                           "print(os.path.join(os.path.dirname(s.origin), 'capi') if s else '')",
                           nullptr };
    g_autofree char *text = nullptr;
    if (!g_spawn_sync (nullptr, (char **)argv, nullptr, (GSpawnFlags)(G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL),
                       nullptr, nullptr, &text, nullptr, nullptr, nullptr))
      return "";
    return g_strstrip (text);
  }

  std::string before_;
  support::TemporaryFolder folder_;
};

}

TEST_P (Verify, SaysThatAnExportedFileAgrees)
{
  auto result = verify ();
  ASSERT_EQ (result.code, 0) << result.out << result.err;
  EXPECT_HAS (result.out, "the file does what the simulation does");
  EXPECT_HAS (result.out, "block3.pointwise.relu_output");
  auto json = verify ({ "--json", "--samples", "20", "--batch", "7" });
  ASSERT_EQ (json.code, 0) << json.err;
  g_autoptr (JsonNode) node = command::parse (json.out);
  EXPECT_EQ (number (node, { "samples" }), 20);
  EXPECT_EQ (number (node, { "outputs", "same-choice" }), 1);
  EXPECT_TRUE (json_node_get_boolean (command::find (node, { "agrees" })));
  EXPECT_FALSE (json_object_has_member (json_node_get_object (node), "first-difference"));
  JsonArray *tensors = json_node_get_array (command::find (node, { "tensors" }));
  guint n_constants = 0;
  for (guint i = 0; i < json_array_get_length (tensors); i++)
    {
      JsonObject *tensor = json_array_get_object_element (tensors, i);
      n_constants += json_object_get_boolean_member (tensor, "constant");
      EXPECT_LE (json_object_get_double_member (tensor, "max-steps"), 1.001)
          << json_object_get_string_member (tensor, "tensor");
    }
  EXPECT_GE (n_constants, 20u);
  const bool own = std::string (GetParam ()) == "own";
  EXPECT_EQ (json_object_has_member (json_node_get_object (node), "optimized-outputs"), !own);
  EXPECT_HAS (json.out, own ? "the operators of Halftone" : "onnxruntime 1.");
}

TEST_P (Verify, NamesTheTensorWhoseScaleWasChanged)
{
  const char *tensor = "block1.pointwise.relu_output";
  corrupt ([&] (HtGraph *graph) { scale_initializer (graph, scale_of (graph, tensor).c_str (), 1.03f); });
  auto result = verify ();
  EXPECT_EQ (result.code, 1) << result.out << result.err;
  EXPECT_HAS (result.out, std::string ("first difference: tensor '") + tensor + "' of node 'block1.pointwise.relu'");
  EXPECT_HAS (result.out, "its scale is");
  // Only that one, though the layers behind it see other values.
  g_autoptr (JsonNode) node = command::parse (verify ({ "--json" }).out);
  JsonArray *tensors = json_node_get_array (command::find (node, { "tensors" }));
  for (guint i = 0; i < json_array_get_length (tensors); i++)
    {
      JsonObject *row = json_array_get_object_element (tensors, i);
      EXPECT_EQ (json_object_get_boolean_member (row, "agrees"),
                 std::string (json_object_get_string_member (row, "tensor")) != tensor);
    }
}

TEST_P (Verify, NamesTheLayerWhoseWeightWasChanged)
{
  std::string weight;
  corrupt ([&] (HtGraph *graph) {
    HtNode *node = ht_graph_find_node (graph, "block2.pointwise");
    ASSERT_NE (node, nullptr);
    weight = ht_node_get_input (node, 1);
    scale_initializer (graph, scale_of (graph, weight.c_str ()).c_str (), 1.002f);
  });
  auto result = verify ();
  EXPECT_EQ (result.code, 1) << result.out << result.err;
  EXPECT_HAS (result.out, "first difference: tensor '" + weight + "' of node 'block2.pointwise'");
}

TEST_P (Verify, NamesATensorThatHasNoGridInTheFile)
{
  corrupt ([&] (HtGraph *graph) {
    // Who read the input's grid reads the input.
    g_autoptr (GPtrArray) readers = ht_graph_list_consumers (graph, ht_graph_get_inputs (graph)[0]);
    auto *quantize = (HtNode *)g_ptr_array_index (readers, 0);
    g_autoptr (GPtrArray) next = ht_graph_list_consumers (graph, ht_node_get_output (quantize, 0));
    auto *dequantize = (HtNode *)g_ptr_array_index (next, 0);
    ht_graph_replace_uses (graph, ht_node_get_output (dequantize, 0), ht_graph_get_inputs (graph)[0]);
    ht_graph_remove_dead_nodes (graph);
  });
  auto result = verify ();
  EXPECT_EQ (result.code, 1) << result.out << result.err;
  EXPECT_HAS (result.out, "first difference: tensor 'image' of network input: the file has no values on its grid");
}

TEST_P (Verify, TakesOtherSamples)
{
  auto result = verify ({ "--data", demo ("calibration.npy"), "--layout", "NHWC", "--scale", "0.00784313725490196",
                          "--mean", "[1.0]", "-n", "5" });
  EXPECT_EQ (result.code, 0) << result.err;
  EXPECT_HAS (result.out, "5 samples");
}

// A step of 16 bits is near what float32 can tell apart.
TEST_P (Verify, AllowsOneStepOfSixteenBits)
{
  const std::string text
      = std::string ("{recipe: \"1.0\", name: demo, model: ") + demo ("model.onnx")
        + ", data: {preprocess: {layout: NHWC, scale: 0.00784313725490196, mean: [1.0]}, calibration: "
          "{path: "
        + demo ("calibration.npy")
        + ", samples: 32}}, quantization: {activations: {bits: 16}}, pipeline: [batchnorm-folding]}";
  support::TemporaryFolder work;
  command::write_all (work / "wide.yaml", text);
  auto made = run ({ "run", work / "wide.yaml", "-o", out () });
  ASSERT_EQ (made.code, 0) << made.err;
  auto result = verify ({ "-n", "16" });
  EXPECT_EQ (result.code, 0) << result.out << result.err;
}

// A sequence among the outputs is compared too, by our own operators; onnxruntime's are tensors only.
TEST_P (Verify, ComparesSequences)
{
  g_autoptr (GError) error = nullptr;
  support::TemporaryFolder work;
  g_autoptr (HtGraph) graph = ht_graph_load (demo ("model.onnx").c_str (), &error);
  ASSERT_NE (graph, nullptr) << error->message;
  std::string output = ht_graph_get_outputs (graph)[0];
  const char *inputs[] = { output.c_str (), nullptr }, *outputs[] = { "list", nullptr };
  ht_graph_add_node (graph, "SequenceConstruct", nullptr, "list", inputs, outputs);
  ht_graph_add_output (graph, "list", HT_DATA_TYPE_SEQUENCE, nullptr);
  ASSERT_TRUE (ht_graph_save (graph, (work / "model.onnx").c_str (), &error)) << error->message;
  command::write_all (work / "list.yaml",
                      "{recipe: \"1.0\", name: demo, model: model.onnx, data: {preprocess: {layout: NHWC, scale: "
                      "0.00784313725490196, mean: [1.0]}, calibration: {path: "
                          + demo ("calibration.npy") + ", samples: 32}}, pipeline: [batchnorm-folding]}");
  auto made = run ({ "run", work / "list.yaml", "-o", out () });
  ASSERT_EQ (made.code, 0) << made.err;
  auto same = verify ({ "-n", "4" });
  if (std::string (GetParam ()) == "onnxruntime")
    {
      EXPECT_EQ (same.code, 3);
      EXPECT_HAS (same.err, "reading 'list' from onnxruntime: it is no tensor");
      return;
    }
  EXPECT_EQ (same.code, 0) << same.out << same.err;
  EXPECT_HAS (same.out, "at most 0 off");
  corrupt ([&] (HtGraph *file) {
    const char *twice[] = { output.c_str (), output.c_str (), nullptr }, *names[] = { "list", nullptr };
    ht_graph_remove_node (file, ht_graph_get_producer (file, "list"));
    ht_graph_add_node (file, "SequenceConstruct", nullptr, "list", twice, names);
  });
  auto other = verify ({ "-n", "4" });
  EXPECT_EQ (other.code, 1);
  EXPECT_HAS (other.out, "at most inf off");
}

INSTANTIATE_TEST_SUITE_P (Runtimes, Verify, testing::Values ("own", "onnxruntime"),
                          [] (const auto &info) { return std::string (info.param); });

TEST (VerifyArguments, SaysWhatIsWrong)
{
  support::TemporaryFolder folder;
  std::string out = folder / "out";
  auto nothing = run ({ "verify", folder / "none" });
  EXPECT_EQ (nothing.code, 3);
  EXPECT_HAS (nothing.err, "report.json");
  ASSERT_EQ (run ({ "run", demo ("demo.yaml"), "-o", out }).code, 0);
  auto runtime = run ({ "verify", out, "--runtime", "onxruntime" });
  EXPECT_EQ (runtime.code, 3);
  EXPECT_HAS (runtime.err, "did you mean 'onnxruntime'");
  auto data = run ({ "verify", out, "--runtime", "own", "--data", demo ("labels.npy") });
  EXPECT_EQ (data.code, 3);
  std::string report = command::read_all (out + "/report.json");
  for (const char *broken : { "", "[]", "{\"recipe\": 1}", "{\"recipe\": {\"recipe\": \"1.0\", \"bits\": 3}}", "{" })
    {
      command::write_all (out + "/report.json", broken);
      auto damaged = run ({ "verify", out, "--runtime", "own" });
      EXPECT_EQ (damaged.code, 3) << broken << damaged.err;
      EXPECT_HAS (damaged.err, "report.json");
    }
  command::write_all (out + "/report.json", report);
  for (const char *file : { "demo-qdq.onnx", "demo.encodings", "demo.onnx" })
    {
      std::string path = out + "/" + file, content = command::read_all (path);
      ASSERT_EQ (g_unlink (path.c_str ()), 0);
      auto missing = run ({ "verify", out, "--runtime", "own" });
      EXPECT_EQ (missing.code, 3);
      EXPECT_HAS (missing.err, file);
      EXPECT_HAS (missing.err, "output.formats");
      command::write_all (path, content.substr (0, content.size () / 2));
      EXPECT_EQ (run ({ "verify", out, "--runtime", "own" }).code, 3) << file;
      command::write_all (path, content);
    }
}

// Which versions of the encodings a run wrote changes the names of its files, and nothing that verify finds.
TEST (VerifyArguments, ReadsEncodingsOfAnyVersion)
{
  support::TemporaryFolder folder;
  const std::string text
      = std::string ("{recipe: \"1.0\", name: demo, model: ") + demo ("model.onnx")
        + ", data: {preprocess: {layout: NHWC, scale: 0.00784313725490196, mean: [1.0]}, calibration: {path: "
        + demo ("calibration.npy") + ", samples: 32}}, output: {formats: [onnx, onnx-qdq, ";
  for (const char *versions : { "encodings-0.6.1", "encodings-2.0.0", "encodings-2.0.0, encodings-1.0.0",
                                "encodings-0.6.1, encodings-2.0.0" })
    {
      command::write_all (folder / "versions.yaml", text + versions + "]}}");
      ASSERT_EQ (run ({ "run", folder / "versions.yaml", "-o", folder / "out" }).code, 0) << versions;
      auto result = run ({ "verify", folder / "out", "--runtime", "own" });
      EXPECT_EQ (result.code, 0) << versions << result.err;
      EXPECT_HAS (result.out, "at most 0 off");
    }
}

// Whatever the variable names, it is an error that says so.
TEST (VerifyArguments, SurvivesLibrariesThatAreNone)
{
  support::TemporaryFolder folder;
  std::string out = folder / "out";
  const char *before = g_getenv ("HALFTONE_ONNXRUNTIME");
  std::string kept = before ? before : "";
  ASSERT_EQ (run ({ "run", demo ("demo.yaml"), "-o", out }).code, 0);
  ASSERT_EQ (g_mkdir (out.append ("/empty").c_str (), 0755), 0);
  out.resize (out.size () - 6);
  command::write_all (folder / "libonnxruntime.so", "no library");
  for (const std::string &place :
       { std::string ("/nonexistent"), out + "/demo.onnx", out + "/empty", folder / "libonnxruntime.so",
         std::string (g_getenv ("HALFTONE_ANY_LIBRARY") ? g_getenv ("HALFTONE_ANY_LIBRARY") : "/proc/self/exe") })
    {
      g_setenv ("HALFTONE_ONNXRUNTIME", place.c_str (), TRUE);
      auto result = run ({ "verify", out });
      EXPECT_EQ (result.code, 3) << place << result.err;
      EXPECT_HAS (result.err, "HALFTONE_ONNXRUNTIME");
    }
  g_setenv ("HALFTONE_ONNXRUNTIME", "", TRUE);
  auto own = run ({ "verify", out });
  EXPECT_EQ (own.code, 0) << own.err;
  EXPECT_HAS (own.out, "onnxruntime was not found");
  EXPECT_HAS (own.out, "the operators of Halftone");
  if (kept.empty ())
    g_unsetenv ("HALFTONE_ONNXRUNTIME");
  else
    g_setenv ("HALFTONE_ONNXRUNTIME", kept.c_str (), TRUE);
}
