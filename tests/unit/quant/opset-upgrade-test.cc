// SPDX-License-Identifier: MIT
// Raising the opset keeps the function: each rewrite run before and after.
#include "net.h"

extern "C" {
#include "quant/opset-upgrade.h"
}

using namespace quant;

namespace
{

std::vector<float>
outputs_of (HtGraph *graph, const Dims &dims)
{
  g_autoptr (GError) error = nullptr;
  std::vector<float> values;
  gsize n = 1;
  for (gint64 dim : dims)
    n *= dim;
  for (gsize i = 0; i < n; i++)
    values.push_back ((float) ((i * 29 + 7) % 61) / 20.0f - 1.5f);
  g_autoptr (HtTensor) tensor = tensor_of (values, dims);
  g_autoptr (HtExecutor) executor = ht_executor_new (graph, &error);
  EXPECT_NO_GERROR (error);
  return executor ? run (executor, "x", tensor) : std::vector<float>{};
}

void
expect_kept (const Net &net, const Dims &dims, gint64 target)
{
  SCOPED_TRACE (testing::Message () << "to opset " << target);
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) copy = ht_graph_copy (net.graph ());
  ASSERT_TRUE (ht_graph_infer_shapes (copy, &error));
  std::vector<float> before = outputs_of (copy, dims);
  ASSERT_TRUE (ht_graph_upgrade_opset (copy, target, &error)) << error->message;
  ASSERT_TRUE (ht_graph_sort (copy, &error) && ht_graph_verify (copy, &error)) << error->message;
  EXPECT_EQ (ht_graph_get_opset (copy, ""), target);
  std::vector<float> after = outputs_of (copy, dims);
  EXPECT_FALSE (before.empty ());
  EXPECT_EQ (before, after);
}

}

TEST (OpsetUpgrade, SoftmaxOverSeveralDimensions)
{
  for (gint64 axis : { 0, 1, 2 })
    {
      Net net (9);
      net.input ("x", { 2, 3, 4 });
      HtNode *node = net.node ("Softmax", { "x" }, { "y" });
      net.set (node, "axis", axis);
      net.output ("y");
      expect_kept (net, { 2, 3, 4 }, 13);
      g_autoptr (HtGraph) copy = ht_graph_copy (net.graph ());
      ASSERT_TRUE (ht_graph_infer_shapes (copy, nullptr));
      ASSERT_TRUE (ht_graph_upgrade_opset (copy, 13, nullptr));
      EXPECT_EQ (ht_graph_get_n_nodes (copy), axis == 2 ? 1u : 4u);
    }
  Net plain (11);
  plain.input ("x", { 2, 3, 4 });
  plain.node ("LogSoftmax", { "x" }, { "y" });
  plain.output ("y");
  expect_kept (plain, { 2, 3, 4 }, 13);
}

TEST (OpsetUpgrade, HardmaxOverSeveralDimensions)
{
  for (gint64 axis : { 1, 2 })
    {
      Net net (11);
      net.input ("x", { 2, 3, 4 });
      net.set (net.node ("Hardmax", { "x" }, { "y" }), "axis", axis);
      net.output ("y");
      expect_kept (net, { 2, 3, 4 }, 13);
    }
}

TEST (OpsetUpgrade, GridSampleRenamesItsModes)
{
  for (const char *mode : { "", "bilinear", "bicubic", "nearest" })
    {
      Net net (16);
      net.input ("x", { 1, 2, 5, 4 }).weight ("grid", { 1, 3, 3, 2 });
      HtNode *node = net.node ("GridSample", { "x", "grid" }, { "y" });
      if (mode[0])
        ht_graph_set_string (net.graph (), node, "mode", mode);
      net.output ("y");
      expect_kept (net, { 1, 2, 5, 4 }, 21);
    }
}

TEST (OpsetUpgrade, ClipAndPadTakeTheirNumbersAsInputs)
{
  Net net (8);
  net.input ("x", { 2, 3 });
  HtNode *clip = net.node ("Clip", { "x" }, { "clipped" });
  ht_graph_set_float (net.graph (), clip, "max", 0.5);
  HtNode *pad = net.node ("Pad", { "clipped" }, { "y" });
  net.set (pad, "pads", std::vector<gint64>{ 0, 1, 1, 0 });
  ht_graph_set_float (net.graph (), pad, "value", -3);
  net.output ("y");
  for (gint64 target : { 10, 11, 13, 18, 21 })
    expect_kept (net, { 2, 3 }, target);
}

TEST (OpsetUpgrade, SliceSplitAndAxesBecomeInputs)
{
  Net net (9);
  net.input ("x", { 4, 6 });
  HtNode *slice = net.node ("Slice", { "x" }, { "part" });
  net.set (slice, "starts", std::vector<gint64>{ 1 });
  net.set (slice, "ends", std::vector<gint64>{ 4 });
  net.set (slice, "axes", std::vector<gint64>{ 0 });
  HtNode *split = net.node ("Split", { "part" }, { "left", "right" });
  net.set (split, "axis", 1);
  net.set (split, "split", std::vector<gint64>{ 2, 4 });
  HtNode *halves = net.node ("Split", { "right" }, { "a", "b" });
  net.set (halves, "axis", 1);
  HtNode *wide = net.node ("Unsqueeze", { "a" }, { "wide" });
  net.set (wide, "axes", std::vector<gint64>{ 0 });
  HtNode *narrow = net.node ("Squeeze", { "wide" }, { "narrow" });
  net.set (narrow, "axes", std::vector<gint64>{ 0 });
  HtNode *sum = net.node ("ReduceSum", { "b" }, { "sum" });
  net.set (sum, "axes", std::vector<gint64>{ 1 });
  HtNode *mean = net.node ("ReduceMean", { "left" }, { "mean" });
  net.set (mean, "axes", std::vector<gint64>{ 0, 1 });
  net.set (mean, "keepdims", 0);
  net.output ("narrow").output ("sum").output ("mean").output ("left");
  for (gint64 target : { 10, 12, 13, 17, 18, 21 })
    expect_kept (net, { 4, 6 }, target);
}

TEST (OpsetUpgrade, UpsampleBecomesResize)
{
  for (const char *mode : { "nearest", "linear" })
    {
      Net net (9);
      net.input ("x", { 1, 2, 3, 4 }).values_of ("scales", { 4 }, { 1, 1, 2, 3 });
      HtNode *node = net.node ("Upsample", { "x", "scales" }, { "y" });
      ht_graph_set_string (net.graph (), node, "mode", mode);
      net.output ("y");
      for (gint64 target : { 11, 13 })
        expect_kept (net, { 1, 2, 3, 4 }, target);
    }
}

TEST (OpsetUpgrade, DropoutAndBatchNorm)
{
  Net net (8);
  net.input ("x", { 2, 3 });
  HtNode *dropout = net.node ("Dropout", { "x" }, { "same" });
  ht_graph_set_float (net.graph (), dropout, "ratio", 0.3);
  net.weight ("g", { 3 }).weight ("b", { 3 }).weight ("m", { 3 }).values_of ("v", { 3 }, { 1, 2, 3 });
  HtNode *norm = net.node ("BatchNormalization", { "same", "g", "b", "m", "v" }, { "y" });
  net.set (norm, "spatial", 1);
  net.output ("y");
  for (gint64 target : { 10, 13, 15 })
    expect_kept (net, { 2, 3 }, target);
}

TEST (OpsetUpgrade, RefusesWhatItCannotRewrite)
{
  g_autoptr (GError) error = nullptr;
  Net unknown (9);
  unknown.input ("x", { 2 });
  unknown.node ("DFT", { "x" }, { "y" });
  unknown.output ("y");
  EXPECT_FALSE (ht_graph_upgrade_opset (unknown.graph (), 13, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "DFT");
  EXPECT_EQ (ht_graph_get_opset (unknown.graph (), ""), 9);
  EXPECT_TRUE (ht_graph_upgrade_opset (unknown.graph (), 9, &error));

  Net old (6);
  old.input ("x", { 2 });
  old.node ("Relu", { "x" }, { "y" });
  old.output ("y");
  EXPECT_FALSE (ht_graph_upgrade_opset (old.graph (), 13, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "opset 7");

  Net other (9);
  other.input ("x", { 2 });
  other.node ("Anything", { "x" }, { "y" }, "com.example");
  other.output ("y");
  EXPECT_TRUE (ht_graph_upgrade_opset (other.graph (), 13, &error));
}

TEST (OpsetUpgrade, RefusesAModeThatLaterVersionsHaveNot)
{
  g_autoptr (GError) error = nullptr;
  Net net (11);
  net.input ("x", { 1, 1, 4, 4 }).values_of ("roi", { 0 }, {}).values_of ("scales", { 4 }, { 1, 1, 2, 2 });
  HtNode *node = net.node ("Resize", { "x", "roi", "scales" }, { "y" });
  ht_graph_set_string (net.graph (), node, "coordinate_transformation_mode", "tf_half_pixel_for_nn");
  net.output ("y");
  EXPECT_TRUE (ht_graph_upgrade_opset (net.graph (), 12, &error));
  EXPECT_FALSE (ht_graph_upgrade_opset (net.graph (), 13, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "tf_half_pixel_for_nn");
}
