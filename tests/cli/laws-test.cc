// SPDX-License-Identifier: MIT
// The laws of combination that rounding and bias correction touch, each both ways: refused before any work by check,
// plan and run alike, or carried out.
#include "command.h"

using command::demo;
using command::run;

namespace
{

const std::string folding = "batchnorm-folding", equalization = "cross-layer-equalization",
                  rounding = "{adaround: {samples: 32}}", correction = "{bias-correction: {samples: 32}}",
                  ranges = "{seqmse: {samples: 32}}";

// One step a line, from line 8 on.
std::string
write_recipe (const support::TemporaryFolder &folder, const std::string &model, const std::vector<std::string> &steps)
{
  std::string path = folder / "laws.yaml";
  std::string text = "recipe: \"1.0\"\nname: laws\nmodel: " + model
                     + "\ndata:\n  calibration: {path: " + (folder / "x.npy")
                     + "}\nquantization: {weights: {bits: 4}, activations: {bits: 8}}\npipeline:\n";
  for (const std::string &step : steps)
    text += "  - " + step + "\n";
  command::write_all (path, text + "output: {formats: [onnx]}\n");
  return path;
}

struct Laws : ::testing::Test
{
  support::TemporaryFolder folder;
  std::string folded;

  void SetUp () override
  {
    g_autoptr (GError) error = nullptr;
    g_autoptr (HtTensor) raw = ht_tensor_load_npy (demo ("calibration.npy").c_str (), &error);
    ASSERT_NO_GERROR (error);
    // 32 samples as the network reads them.
    const gint64 *dims = ht_tensor_get_dims (raw, nullptr);
    const gint64 shape[] = { 32, dims[3], dims[1], dims[2] };
    g_autoptr (HtTensor) x = ht_tensor_new (HT_DATA_TYPE_FLOAT, shape, 4, &error);
    auto *values = (float *)ht_tensor_get_writable_data (x);
    const gint64 plane = dims[1] * dims[2], n_channels = dims[3];
    for (gint64 n = 0; n < 32; n++)
      for (gint64 c = 0; c < n_channels; c++)
        for (gint64 i = 0; i < plane; i++)
          values[(n * n_channels + c) * plane + i]
              = (float)ht_tensor_get_double (raw, (gsize)((n * plane + i) * n_channels + c)) / 127.5f - 1.0f;
    ASSERT_TRUE (ht_tensor_save_npy (x, (folder / "x.npy").c_str (), &error)) << error->message;
  }
  // A network without batch norms.
  std::string fold ()
  {
    auto made = run ({ "run", write_recipe (folder, demo ("model.onnx"), { folding }), "-o", folder / "folded" });
    EXPECT_EQ (made.code, 0) << made.err;
    return folder / "folded/laws.onnx";
  }
  void expect_allowed (const std::string &model, const std::vector<std::string> &steps)
  {
    std::string recipe = write_recipe (folder, model, steps), out = folder / "out";
    SCOPED_TRACE (command::read_all (recipe));
    for (const char *verb : { "check", "plan" })
      {
        auto result = run ({ verb, recipe });
        EXPECT_EQ (result.code, 0) << verb << result.err;
        EXPECT_HAS_NOT (result.err, "error");
      }
    auto done = run ({ "run", recipe, "-o", out });
    EXPECT_EQ (done.code, 0) << done.err;
    g_autoptr (JsonNode) report = command::parse (command::read_all (out + "/report.json"));
    EXPECT_EQ (json_array_get_length (json_node_get_array (command::find (report, { "results", "steps" }))),
               steps.size ());
  }
  // `says`: all of it, in one message.
  void expect_refused (const std::vector<std::string> &steps, const std::vector<std::string> &says)
  {
    std::string recipe = write_recipe (folder, demo ("model.onnx"), steps);
    SCOPED_TRACE (command::read_all (recipe));
    for (const char *verb : { "check", "plan", "run" })
      {
        std::vector<std::string> arguments = { verb, recipe };
        if (arguments[0] == "run")
          arguments.insert (arguments.end (), { "-o", folder / "refused" });
        auto result = run (arguments);
        EXPECT_EQ (result.code, 3) << verb;
        for (const std::string &text : says)
          EXPECT_HAS (result.err, text);
      }
    EXPECT_FALSE (g_file_test ((folder / "refused").c_str (), G_FILE_TEST_EXISTS));
  }
};

}

TEST_F (Laws, RoundingAndBiasCorrectionExcludeEachOther)
{
  const std::vector<std::string> says = { "'adaround'",       "'bias-correction'",           "laws.yaml:8:",
                                          "stands in line 9", "both correct the same error", "AIMET documentation" };
  expect_refused ({ rounding, correction }, says);
  expect_refused ({ correction, rounding }, says);
  expect_allowed (demo ("model.onnx"), { folding, rounding });
  expect_allowed (demo ("model.onnx"), { folding, correction });
}

TEST_F (Laws, OneStepRounds)
{
  expect_refused ({ rounding, "{id: again, use: adaround}" },
                  { "both provide 'weights-rounded'", "'adaround'", "'again'", "laws.yaml:9:", "stands in line 8" });
  expect_allowed (demo ("model.onnx"), { rounding });
}

TEST_F (Laws, WhatIsRoundedStaysWhereItIs)
{
  expect_refused ({ folding, rounding, equalization }, { "laws.yaml:10:", "'cross-layer-equalization'", "'adaround'",
                                                         "rescales-channels", "stands in line 9" });
  expect_refused ({ rounding, folding },
                  { "laws.yaml:9:", "'batchnorm-folding'", "it would undo the rounding; move it before that step",
                    "stands in line 8" });
  expect_refused ({ rounding, ranges }, { "laws.yaml:9:", "'seqmse'", "'adaround'",
                                          "codes were chosen for the grid that this step would move" });
  expect_allowed (demo ("model.onnx"), { folding, equalization, rounding });
  expect_allowed (demo ("model.onnx"), { folding, ranges, rounding });
}

TEST_F (Laws, WhatIsCorrectedStaysWhereItIs)
{
  expect_refused (
      { correction, folding },
      { "laws.yaml:9:", "'batchnorm-folding' changes-weights after step 'bias-correction'", "stands in line 8" });
  expect_refused ({ correction, ranges },
                  { "laws.yaml:9:", "'seqmse' changes-weight-grid after step 'bias-correction'", "stands in line 8" });
  expect_refused ({ folding, correction, equalization },
                  { "laws.yaml:10:", "'cross-layer-equalization' changes-weights after step 'bias-correction'" });
  expect_allowed (demo ("model.onnx"), { folding, ranges, correction });
  expect_allowed (demo ("model.onnx"), { folding, equalization, correction });
}

TEST_F (Laws, RangesAreFoundOnce)
{
  expect_refused ({ ranges, folding },
                  { "laws.yaml:9:", "'batchnorm-folding'", "the weight encodings are fixed", "stands in line 8" });
  expect_refused ({ folding, ranges, equalization },
                  { "laws.yaml:10:", "'cross-layer-equalization'", "stands in line 9" });
}

// Alone it is legal where no live batch norm is left, which only the model can tell.
TEST_F (Laws, EqualizationNeedsNetworksWithoutBatchNorms)
{
  const std::string without = fold ();
  expect_allowed (without, { equalization });
  expect_allowed (without, { equalization, rounding });
  expect_allowed (without, { rounding });
  for (const std::vector<std::string> &steps : { std::vector<std::string>{ equalization }, { equalization, rounding } })
    {
      auto live = run ({ "run", write_recipe (folder, demo ("model.onnx"), steps), "-o", folder / "live" });
      EXPECT_EQ (live.code, 3);
      EXPECT_HAS (live.err, "'cross-layer-equalization' requires that the model has no live batch norms");
      EXPECT_HAS (live.err, "fold batch norms first");
      EXPECT_FALSE (g_file_test ((folder / "live").c_str (), G_FILE_TEST_EXISTS));
    }
}
