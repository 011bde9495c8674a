// SPDX-License-Identifier: MIT
// Input that is damaged, absurd or hostile: each verb says what is wrong and where, leaves with 3 and writes nothing.
#include "command.h"
#include "wire.h"

#include <unistd.h>

using command::demo;
using command::run;
using wire::node;

namespace
{

const std::string weight (64, '\0');

// Every verb that takes a model refuses this one with a message that has `part` in it.
void
expect_refused (const support::TemporaryFolder &folder, const std::string &model, const std::string &part)
{
  std::string out = folder / "out";
  const std::vector<std::vector<std::string> > calls = {
    { "inspect", model },
    { "validate", model, "--fix", out },
    { "infer", model, "-i", "x=" + (folder / "x.npy"), "-o", out },
    { "export", model, "-f", "onnx", "-o", out },
    { "eval", model, "-d", folder / "x.npy", "-l", demo ("labels.npy") },
    { "run", demo ("demo.yaml"), "-m", model, "-o", out },
  };
  for (const auto &call : calls)
    {
      SCOPED_TRACE (call[0] + " " + model);
      auto result = run (call);
      EXPECT_EQ (result.code, 3) << result.err;
      EXPECT_HAS (result.err, part);
      EXPECT_HAS (result.err, "halftone: error: ");
      EXPECT_EQ (result.out, "");
      EXPECT_FALSE (g_file_test (out.c_str (), G_FILE_TEST_EXISTS));
    }
}

void
write_samples (const support::TemporaryFolder &folder)
{
  command::write_all (folder / "x.npy", wire::npy ("<f4", false, "2, 4", std::string (32, '\0')));
}

std::string
write_model (const support::TemporaryFolder &folder, const std::string &name, const std::string &body,
             gint64 opset = 13)
{
  command::write_all (folder / name, wire::model (body, opset));
  return folder / name;
}

}

TEST (BadModel, IsRefusedByEveryVerb)
{
  support::TemporaryFolder folder;
  write_samples (folder);
  const std::string product = node ("MatMul", { "x", "w" }, "y");
  // The ground to stand on: a sound file made the same way.
  std::string sound = write_model (folder, "sound.onnx", product + wire::tensor ({ 4, 4 }, 1, weight));
  auto fine = run ({ "infer", sound, "-i", folder / "x.npy", "-o", folder / "fine" });
  ASSERT_EQ (fine.code, 0) << fine.err;

  command::write_all (folder / "short.data", "123");
  command::write_all (folder / "text.onnx", "this is no model\n");
  command::write_all (folder / "empty.onnx", "");
  g_mkdir ((folder / "folder.onnx").c_str (), 0755);
  ASSERT_EQ (symlink ("/etc/passwd", (folder / "link.data").c_str ()), 0);
  expect_refused (folder, folder / "text.onnx", "no ONNX file");
  expect_refused (folder, folder / "empty.onnx", "empty");
  expect_refused (folder, folder / "folder.onnx", "it is a folder");
  expect_refused (folder, "/dev/zero", "it is a device");
  auto body = [&] (const std::string &name, const std::string &bytes, const std::string &part) {
    expect_refused (folder, write_model (folder, name, bytes), part);
  };
  body ("cycle.onnx", node ("Add", { "x", "b" }, "a") + node ("Relu", { "a" }, "b") + node ("Relu", { "b" }, "y"),
        "cycle");
  body ("undefined.onnx", node ("Relu", { "nowhere" }, "y"), "'nowhere'");
  body ("up.onnx", product + wire::external ("../up.data"), "not inside the model's folder");
  body ("root.onnx", product + wire::external ("/etc/passwd"), "not inside the model's folder");
  body ("link.onnx", product + wire::external ("link.data"), "not inside the model's folder");
  body ("gone.onnx", product + wire::external ("gone.data"), "gone.data");
  body ("short.onnx", product + wire::external ("short.data"), "has 3");
  body ("type.onnx", product + wire::tensor ({ 4, 4 }, 99, weight), "element type 99");
  body ("few.onnx", product + wire::tensor ({ 4, 4 }, 1, "1234"), "'w'");
  body ("negative.onnx", product + wire::tensor ({ -4, 4 }, 1, weight), "negative");
  body ("vast.onnx", product + wire::tensor ({ 1ll << 31, 1ll << 31 }, 1, "1234"), "larger than any memory");
  expect_refused (folder, write_model (folder, "opset.onnx", node ("Relu", { "x" }, "y"), 99), "opset 99");
}

TEST (BadModel, TruncatedOrFlippedNeverCrashes)
{
  support::TemporaryFolder folder;
  std::string good = command::read_all (demo ("model.onnx")), path = folder / "m.onnx", fixed = folder / "fixed.onnx";
  g_autoptr (GRand) random = g_rand_new_with_seed (7);
  for (int i = 0; i < 40; i++)
    {
      std::string bad = good;
      if (i % 4 == 0)
        bad.resize (good.size () * (gsize)i / 40);
      else // mostly in the structure, which comes before the weights
        for (int k = g_rand_int_range (random, 1, 6); k > 0; k--)
          bad[(gsize)g_rand_int_range (random, 0, i % 2 ? 5000 : (gint32)bad.size ())]
              ^= (char)(1 << g_rand_int_range (random, 0, 8));
      command::write_all (path, bad);
      auto result = run ({ "validate", path, "--fix", fixed });
      EXPECT_TRUE (result.code == 0 || result.code == 3) << i << ": " << result.code << " " << result.err;
      EXPECT_HAS_NOT (result.err, "CRITICAL");
      EXPECT_TRUE (i % 4 != 0 || result.code == 3) << "a truncated file was taken: " << bad.size ();
      if (result.code == 3 && result.out.empty ())
        {
          EXPECT_HAS (result.err, "halftone: error: ");
          EXPECT_FALSE (g_file_test (fixed.c_str (), G_FILE_TEST_EXISTS)) << i;
        }
      g_unlink (fixed.c_str ());
    }
  EXPECT_EQ (command::list (folder.path ()), std::vector<std::string>{ "m.onnx" });
}

TEST (BadModel, WithStrangeNamesWritesNowhereElse)
{
  support::TemporaryFolder folder;
  write_samples (folder);
  const std::string long_name (300, 't');
  std::string model = write_model (folder, "m.onnx",
                                   node ("Relu", { "x" }, "../a") + node ("Neg", { "../a" }, "_./a")
                                       + node ("Neg", { "_./a" }, long_name) + node ("Neg", { long_name }, "y"));
  auto result = run ({ "infer", model, "-i", folder / "x.npy", "-o", folder / "out", "--tap", "." });
  ASSERT_EQ (result.code, 0) << result.err;
  EXPECT_EQ (command::list (folder / "out"),
             (std::vector<std::string>{ "2-_._a.npy", "_._a.npy", std::string (200, 't') + ".npy", "x.npy", "y.npy" }));
  EXPECT_EQ (command::list (folder.path ()), (std::vector<std::string>{ "m.onnx", "out", "x.npy" }));
}

TEST (BadModel, WithWeightsThatAreNotNumbersIsFoundOut)
{
  support::TemporaryFolder folder;
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = ht_graph_load (demo ("model.onnx").c_str (), &error);
  ASSERT_NO_GERROR (error);
  for (const char *name : { "stem.weight", "stem.norm.var" })
    {
      g_autoptr (HtGraph) copy = ht_graph_copy (graph);
      g_autoptr (HtTensor) bad = ht_tensor_copy (ht_graph_get_initializer (copy, name), &error);
      ASSERT_NO_GERROR (error);
      ((float *)ht_tensor_get_writable_data (bad))[2] = NAN;
      ht_graph_set_initializer (copy, name, bad);
      ASSERT_TRUE (ht_graph_save (copy, (folder / "nan.onnx").c_str (), &error));
      auto validated = run ({ "validate", folder / "nan.onnx" });
      EXPECT_EQ (validated.code, 3);
      EXPECT_HAS (validated.out, std::string ("'") + name + "'");
      auto measured = run ({ "eval", folder / "nan.onnx", "-d", demo ("evaluation.npy"), "-l", demo ("labels.npy"),
                             "--layout", "NHWC" });
      EXPECT_EQ (measured.code, 3) << measured.err;
      EXPECT_HAS (measured.err, std::string ("'") + name + "'");
      auto quantized = run ({ "run", demo ("demo.yaml"), "-m", folder / "nan.onnx", "-o", folder / "out" });
      EXPECT_EQ (quantized.code, 3);
      EXPECT_HAS (quantized.err, "not a number");
      EXPECT_FALSE (g_file_test ((folder / "out").c_str (), G_FILE_TEST_EXISTS));
    }
}

TEST (BadArray, IsRefused)
{
  support::TemporaryFolder folder;
  std::string model
      = write_model (folder, "m.onnx", node ("MatMul", { "x", "w" }, "y") + wire::tensor ({ 4, 4 }, 1, weight));
  const std::string data (32, '\0');
  const struct
  {
    std::string bytes, part;
  } arrays[] = {
    { "1, 2, 3\n", ".npy" },
    { "", ".npy" },
    { wire::npy ("<f4", false, "2, 4", data).substr (0, 150), "truncated" },
    { wire::npy ("<f4", true, "2, 4", data), "Fortran" },
    { wire::npy (">f4", false, "2, 4", data), "big-endian" },
    { wire::npy ("|O", false, "2, 4", data), "|O" },
    { wire::npy ("<f4", false, "4611686018427387904, 4", data), "damaged" },
    { wire::npy ("<f4", false, "-2, 4", data), "" },
    { wire::npy ("<f4", false, "4, 2", data), "expected shape" },
    { wire::npy ("<f4", false, "8,", data), "expected shape" },
    { wire::npy ("<i4", false, "2, 4", data), "expected element type float" },
  };
  for (const auto &array : arrays)
    {
      SCOPED_TRACE (array.part);
      command::write_all (folder / "x.npy", array.bytes);
      auto result = run ({ "infer", model, "-i", folder / "x.npy", "-o", folder / "out" });
      EXPECT_EQ (result.code, 3) << result.err;
      EXPECT_HAS (result.err, array.part);
      EXPECT_FALSE (g_file_test ((folder / "out").c_str (), G_FILE_TEST_EXISTS));
    }
  command::write_all (folder / "x.npy", wire::npy ("<f4", false, "0, 4", ""));
  auto empty = run ({ "eval", model, "-d", folder / "x.npy", "-l", demo ("labels.npy") });
  EXPECT_EQ (empty.code, 3);
  EXPECT_HAS (empty.err, "the data set is empty");
}

TEST (BadEncodings, AreRefused)
{
  support::TemporaryFolder folder;
  std::string head = "{\"version\": \"1.0.0\", \"param_encodings\": [], \"activation_encodings\": [{\"name\": ";
  auto entry = [&] (const std::string &name, const std::string &scale) {
    return head + name
           + ", \"bw\": 8, \"dtype\": \"INT\", \"enc_type\": \"PER_TENSOR\", \"is_sym\": false, \"offset\": [-7], "
           + "\"scale\": " + scale + "}]}";
  };
  const struct
  {
    std::string text, part;
  } files[] = {
    { "", "empty" },
    { "hello", "must be a mapping" },
    { std::string (100000, '['), "nested" },
    { entry ("\"nothing\"", "[0.1]"), "no tensor 'nothing'" },
    { entry ("\"image\"", "[-0.1]"), "-0.1" },
    { entry ("\"image\"", "[0]"), "item 1 of 'scale' is 0" },
    { entry ("\"image\"", "[1, 2]"), "'scale' has 2" },
    { entry ("\"image\"", "[1e999]"), "1e999" },
    { entry ("7", "[0.1]"), "'name'" },
  };
  for (const auto &file : files)
    {
      SCOPED_TRACE (file.part);
      command::write_all (folder / "e", file.text);
      auto result = run ({ "export", demo ("model.onnx"), "-e", folder / "e", "-f", "onnx-qdq", "-o", folder / "q" });
      EXPECT_EQ (result.code, 3);
      EXPECT_HAS (result.err, file.part);
      EXPECT_EQ (command::list (folder.path ()), std::vector<std::string>{ "e" });
    }
  command::write_all (folder / "e", entry ("\"image\"", "[0.1]"));
  auto good = run ({ "export", demo ("model.onnx"), "-e", folder / "e", "-f", "onnx-qdq", "-o", folder / "q" });
  EXPECT_EQ (good.code, 0) << good.err;
}

TEST (BadLabels, AreRefused)
{
  support::TemporaryFolder folder;
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtTensor) labels = ht_tensor_load_npy (demo ("labels.npy").c_str (), &error);
  g_autoptr (HtTensor) wrong = ht_tensor_cast (labels, HT_DATA_TYPE_INT32, &error);
  ASSERT_NO_GERROR (error);
  for (gint32 label : { 8, -1 })
    {
      ((gint32 *)ht_tensor_get_writable_data (wrong))[3] = label;
      ASSERT_TRUE (ht_tensor_save_npy (wrong, (folder / "l.npy").c_str (), &error));
      auto result = run (
          { "eval", demo ("model.onnx"), "-d", demo ("evaluation.npy"), "-l", folder / "l.npy", "--layout", "NHWC" });
      EXPECT_EQ (result.code, 3);
      EXPECT_HAS (result.err, "label " + std::to_string (label) + " of sample 3");
    }
}

TEST (BadRecipe, IsRefusedWithAPlaceByEveryVerb)
{
  std::string folder = std::string (g_getenv ("HALFTONE_SOURCE")) + "/tests/recipes/bad";
  support::TemporaryFolder out;
  guint n = 0;
  for (const std::string &name : command::list (folder))
    {
      if (g_str_has_suffix (name.c_str (), ".expected"))
        continue;
      n++;
      for (const char *verb : { "check", "plan", "run" })
        {
          SCOPED_TRACE (std::string (verb) + " " + name);
          std::vector<std::string> call = { verb, folder + "/" + name };
          if (g_str_equal (verb, "run"))
            call.insert (call.end (), { "-o", out / "out" });
          auto result = run (call);
          EXPECT_EQ (result.code, 3);
          EXPECT_HAS (result.err, folder + "/" + name + ":");
          EXPECT_HAS (result.err, ": error: ");
          // Each problem once: not again as the error that ended the verb.
          EXPECT_HAS_NOT (result.err, "halftone: error:");
        }
    }
  EXPECT_GE (n, 30u);
  EXPECT_FALSE (g_file_test ((out / "out").c_str (), G_FILE_TEST_EXISTS));
  auto good = run ({ "check", folder + "/../good/minimal.yaml" });
  EXPECT_EQ (good.code, 0) << good.err;
}

TEST (BadPlugin, IsAtFault)
{
  g_setenv ("HALFTONE_PLUGIN_PATH", BROKEN_PLUGINS, TRUE);
  auto fault = run ({ "inspect", "condition" });
  auto list = run ({ "plugins", "list", "--json" });
  auto bare = run ({ "inspect", "sound" });
  support::TemporaryFolder folder;
  ASSERT_TRUE (g_file_set_contents ((folder / "r.yaml").c_str (), "recipe: \"1.0\"\nname: r\npipeline: [condition]\n", -1,
                                    nullptr));
  auto recipe = run ({ "check", folder / "r.yaml" });
  g_setenv ("HALFTONE_PLUGIN_PATH", "", TRUE);
  EXPECT_EQ (fault.code, 5);
  EXPECT_HAS (fault.err, "halftone-bad-condition.so");
  EXPECT_EQ (recipe.code, 5) << recipe.err;
  EXPECT_HAS (recipe.err, "halftone-bad-condition.so");
  EXPECT_EQ (list.code, 0);
  g_autoptr (JsonNode) node = command::parse (list.out);
  guint failed = 0;
  for (guint i = 0; node && i < json_array_get_length (json_node_get_array (node)); i++)
    {
      JsonObject *plugin = json_array_get_object_element (json_node_get_array (node), i);
      if (!g_str_equal (json_object_get_string_member (plugin, "state"), "failed"))
        continue;
      failed++;
      EXPECT_STRNE (json_object_get_string_member (plugin, "error"), "");
    }
  EXPECT_GE (failed, 8u);
  EXPECT_EQ (bare.code, 0);
  EXPECT_HAS_NOT (bare.out, "(null)");
}

TEST (UnsupportedOperators, AreNamedBeforeTheNetworkRuns)
{
  support::TemporaryFolder folder;
  std::string model = write_model (folder, "strange.onnx", node ("Frobnicate", { "x" }, "t") + node ("Mish", { "t" }, "y"), 17);
  for (auto call : { std::vector<std::string>{ "inspect", model }, { "inspect", model, "--json" }, { "validate", model } })
    {
      SCOPED_TRACE (call[0]);
      auto result = run (call);
      EXPECT_EQ (result.code, call[0] == "validate" ? 3 : 0) << result.err;
      for (const char *part : { "operator 'Frobnicate' of opset 17 is not supported",
                                "operator 'Mish' of opset 17 is not supported" })
        EXPECT_HAS (result.out, part);
    }
}
