// SPDX-License-Identifier: MIT
// Runs that start from an encodings file, and what the verbs do with one.
#include "command.h"

using command::demo;
using command::run;

namespace
{

// The demo with other settings; without calibration data where that is not asked for.
std::string
recipe (const std::string &quantization, const std::string &pipeline, bool calibrated)
{
  return "recipe: \"1.0\"\nname: demo\nmodel: " + demo ("model.onnx")
         + "\ndata:\n  preprocess: {layout: NHWC, scale: 0.00784313725490196, mean: [1.0]}\n"
         + (calibrated ? "  calibration: {path: " + demo ("calibration.npy") + "}\n" : "")
         + "  evaluation: {path: " + demo ("evaluation.npy") + ", labels: " + demo ("labels.npy") + "}\n"
         + "quantization: {" + quantization + "}\npipeline: [" + pipeline + "]\noutput: {formats: [encodings-1.0.0]}\n";
}

// The file of a run without techniques.
std::string
make_encodings (const support::TemporaryFolder &folder)
{
  command::write_all (folder / "first.yaml", recipe ("", "", true));
  auto result = run ({ "run", folder / "first.yaml", "-o", folder / "first" });
  EXPECT_EQ (result.code, 0) << result.err;
  return folder / "first/demo.encodings";
}

// The same without one of its sections.
std::string
drop_section (const std::string &path, const std::string &section, const std::string &result)
{
  g_autoptr (JsonNode) node = command::parse (command::read_all (path));
  json_object_set_array_member (json_node_get_object (node), section.c_str (), json_array_new ());
  g_autofree char *text = json_to_string (node, FALSE);
  command::write_all (result, text);
  return result;
}

}

TEST (Encodings, ARunStartsFromThem)
{
  support::TemporaryFolder folder;
  std::string given = make_encodings (folder);
  for (const char *freeze : { "all", "parameters", "none" })
    {
      command::write_all (folder / "second.yaml",
                          recipe ("encodings: {path: " + given + ", freeze: " + freeze + "}", "", false));
      auto result = run ({ "run", folder / "second.yaml", "-o", folder / freeze });
      ASSERT_EQ (result.code, 0) << result.err;
      // Nothing was computed anew: there was no data for it.
      EXPECT_EQ (command::read_all (folder / freeze + "/demo.encodings"), command::read_all (given));
    }
}

TEST (Encodings, DifferencesAreListed)
{
  support::TemporaryFolder folder;
  std::string given = drop_section (make_encodings (folder), "param_encodings", folder / "activations.encodings");
  command::write_all (folder / "strict.yaml", recipe ("encodings: {path: " + given + "}", "", true));
  auto result = run ({ "run", folder / "strict.yaml", "-o", folder / "out" });
  EXPECT_EQ (result.code, 3);
  EXPECT_HAS (result.err, "the file has no encoding for tensor");
  EXPECT_FALSE (g_file_test ((folder / "out").c_str (), G_FILE_TEST_EXISTS));
  command::write_all (folder / "bits.yaml",
                      recipe ("activations: {bits: 16}, encodings: {path: " + given + "}", "", true));
  result = run ({ "run", folder / "bits.yaml", "-o", folder / "out" });
  EXPECT_EQ (result.code, 3);
  EXPECT_HAS (result.err, "has 8 bits, asymmetric, one grid in all here; the settings say 16 bits");
  // What is missing is calibrated.
  command::write_all (folder / "partial.yaml",
                      recipe ("encodings: {path: " + given + ", freeze: all, partial: true}", "", true));
  result = run ({ "run", folder / "partial.yaml", "-o", folder / "out" });
  EXPECT_EQ (result.code, 0) << result.err;
}

TEST (Encodings, NoStepMovesWhatIsGiven)
{
  support::TemporaryFolder folder;
  std::string given = make_encodings (folder);
  command::write_all (folder / "weights.yaml", recipe ("encodings: {path: " + given + "}", "batchnorm-folding", true));
  auto result = run ({ "run", folder / "weights.yaml", "-o", folder / "out" });
  EXPECT_EQ (result.code, 3);
  EXPECT_HAS (result.err, "the weight encodings are fixed");
  std::string activations = drop_section (given, "param_encodings", folder / "activations.encodings");
  command::write_all (folder / "activations.yaml",
                      recipe ("encodings: {path: " + activations + ", freeze: all, partial: true}",
                              "batchnorm-folding, cross-layer-equalization", true));
  result = run ({ "run", folder / "activations.yaml", "-o", folder / "out" });
  EXPECT_EQ (result.code, 3);
  EXPECT_HAS (result.err, "cross-layer-equalization");
  EXPECT_HAS (result.err, "it rescaled channels and carries no encodings along");
}

// Version 2.0.0 has no entries for float16, in a whole file and in a part of one.
TEST (Encodings, OnlyWhatAFileSaysIsGiven)
{
  support::TemporaryFolder folder;
  std::string text = recipe ("weights: {format: float16}", "", true);
  text.replace (text.find ("encodings-1.0.0"), strlen ("encodings-1.0.0"), "encodings-2.0.0");
  command::write_all (folder / "first.yaml", text);
  ASSERT_EQ (run ({ "run", folder / "first.yaml", "-o", folder / "first" }).code, 0);
  std::string given = "weights: {format: float16}, encodings: {path: " + (folder / "first/demo.encodings");
  command::write_all (folder / "whole.yaml", recipe (given + "}", "batchnorm-folding", true));
  auto whole = run ({ "run", folder / "whole.yaml", "-o", folder / "whole" });
  EXPECT_EQ (whole.code, 3);
  EXPECT_HAS (whole.err, "the weight encodings are fixed");
  command::write_all (folder / "part.yaml", recipe (given + ", partial: true}", "batchnorm-folding", true));
  auto part = run ({ "run", folder / "part.yaml", "-o", folder / "part" });
  EXPECT_EQ (part.code, 0) << part.err;
}

TEST (Encodings, RecipesAreChecked)
{
  support::TemporaryFolder folder;
  const std::pair<const char *, const char *> cases[] = {
    { "encodings: {freeze: all}", "'encodings' has no 'path'" },
    { "encodings: x.encodings", "a mapping" },
    { "encodings: {path: x.encodings, freeze: al}", "did you mean 'all'" },
    { "encodings: {path: x.encodings, partial: 1}", "true or false" },
    { "encodings: {path: x.encodings, frieze: all}", "did you mean 'freeze'" },
  };
  for (const auto &one : cases)
    {
      command::write_all (folder / "bad.yaml", recipe (one.first, "", true));
      auto result = run ({ "check", folder / "bad.yaml" });
      EXPECT_EQ (result.code, 3) << one.first;
      EXPECT_HAS (result.err, one.second);
    }
}

TEST (Encodings, EveryVersionIsExportedAndRead)
{
  support::TemporaryFolder folder;
  std::string given = make_encodings (folder);
  for (const char *version : { "0.6.1", "1.0.0", "2.0.0" })
    {
      std::string file = folder / (std::string (version) + ".encodings");
      auto written = run (
          { "export", demo ("model.onnx"), "-e", given, "-f", std::string ("encodings-") + version, "-o", file });
      ASSERT_EQ (written.code, 0) << written.err;
      auto back = run ({ "export", demo ("model.onnx"), "-e", file, "-f", "encodings-1.0.0", "-o", folder / "back" });
      ASSERT_EQ (back.code, 0) << back.err;
      EXPECT_EQ (command::read_all (folder / "back"), command::read_all (given)) << version;
    }
}

TEST (Encodings, ArithmeticIsChosen)
{
  support::TemporaryFolder folder;
  std::string given = make_encodings (folder);
  std::vector<std::string> results;
  for (const char *whose : { "device", "aimet" })
    {
      auto result = run ({ "eval", demo ("model.onnx"), "-e", given, "-d", demo ("evaluation.npy"), "--layout", "NHWC",
                           "--scale", "0.00784313725490196", "--mean", "[1.0]", "--arithmetic", whose, "--json" });
      ASSERT_EQ (result.code, 0) << result.err;
      results.push_back (result.out);
    }
  EXPECT_NE (results[0], results[1]);
  auto bad = run ({ "infer", demo ("model.onnx"), "-e", given, "--arithmetic", "abacus" });
  EXPECT_EQ (bad.code, 2);
  EXPECT_HAS (bad.err, "must be device or aimet");
}
