// SPDX-License-Identifier: MIT
// Folding keeps the function on every legal pattern of the reference, and leaves alone what would change it.
#include "network.h"

using namespace network;

namespace
{

struct Pattern
{
  const char *name;
  std::function<void (Builder &)> build;
  guint n_left;      // batch norms that stay
  gint64 opset = 13;
};

void
conv (Builder &b, const Dims &input, const Dims &weight, gint64 group, bool bias, const char *op = "Conv")
{
  std::string x = b.input (input);
  b.weights ("w", weight);
  gint64 outputs = std::string (op) == "Conv" ? weight[0] : weight[1] * group;
  std::vector<std::string> inputs = { x, "w" };
  if (bias)
    inputs.push_back (b.weights ("b", { outputs }));
  b.node (op, "c", inputs, { { "group", { group } } });
  b.output (b.node ("Relu", "y", { b.batchnorm ("n", "c", outputs) }));
}

void
gemm (Builder &b, bool transposed, bool bias, float alpha, float beta)
{
  std::string x = b.input ({ 3, 5 });
  b.weights ("w", transposed ? Dims{ 4, 5 } : Dims{ 5, 4 });
  std::vector<std::string> inputs = { x, "w" };
  if (bias)
    inputs.push_back (b.weights ("b", { 4 }));
  b.node ("Gemm", "c", inputs, { { "transB", { transposed } } });
  ht_graph_set_float (b.graph (), b.last (), "alpha", alpha);
  ht_graph_set_float (b.graph (), b.last (), "beta", beta);
  b.output (b.batchnorm ("n", "c", 4));
}

void
forward (Builder &b, const std::map<std::string, std::vector<gint64>> &attributes, const char *auto_pad)
{
  std::string x = b.input ({ 2, 3, 6, 6 });
  b.weights ("w", { 4, 3, 3, 3 });
  b.node ("Conv", "y", { b.batchnorm ("n", b.node ("Relu", "r", { x }), 3), "w" }, attributes);
  if (auto_pad != nullptr)
    ht_graph_set_string (b.graph (), b.last (), "auto_pad", auto_pad);
  b.output ("y");
}

const std::vector<Pattern> patterns = {
  { "Conv1d", [] (Builder &b) { conv (b, { 2, 3, 9 }, { 4, 3, 3 }, 1, true); }, 0 },
  { "Conv2d", [] (Builder &b) { conv (b, { 2, 3, 6, 6 }, { 4, 3, 3, 3 }, 1, true); }, 0 },
  { "Conv2dWithoutBias", [] (Builder &b) { conv (b, { 2, 3, 6, 6 }, { 4, 3, 3, 3 }, 1, false); }, 0 },
  { "Conv3d", [] (Builder &b) { conv (b, { 1, 2, 4, 5, 4 }, { 3, 2, 2, 2, 2 }, 1, true); }, 0 },
  { "Depthwise", [] (Builder &b) { conv (b, { 2, 4, 6, 6 }, { 4, 1, 3, 3 }, 4, false); }, 0 },
  { "Grouped", [] (Builder &b) { conv (b, { 2, 4, 6, 6 }, { 6, 2, 3, 3 }, 2, true); }, 0 },
  { "ConvTranspose", [] (Builder &b) { conv (b, { 2, 3, 4, 4 }, { 3, 5, 3, 3 }, 1, true, "ConvTranspose"); }, 0 },
  { "ConvTranspose1d", [] (Builder &b) { conv (b, { 2, 3, 4 }, { 3, 5, 3 }, 1, false, "ConvTranspose"); }, 0 },
  { "ConvTransposeGrouped", [] (Builder &b) { conv (b, { 2, 4, 4, 4 }, { 4, 3, 3, 3 }, 2, true, "ConvTranspose"); }, 0 },
  { "ConvTransposeDepthwise", [] (Builder &b) { conv (b, { 2, 4, 4, 4 }, { 4, 1, 3, 3 }, 4, true, "ConvTranspose"); }, 0 },
  { "Gemm", [] (Builder &b) { gemm (b, false, true, 1, 1); }, 0 },
  { "GemmTransposed", [] (Builder &b) { gemm (b, true, true, 1, 1); }, 0 },
  { "GemmAlphaBeta", [] (Builder &b) { gemm (b, true, true, 0.5f, 3); }, 0 },
  { "GemmBetaZero", [] (Builder &b) { gemm (b, false, true, 2, 0); }, 0 },
  { "GemmWithoutBias", [] (Builder &b) { gemm (b, false, false, 2, 1); }, 0 },
  { "MatMul",
    [] (Builder &b) {
      std::string x = b.input ({ 3, 5 });
      b.output (b.batchnorm ("n", b.node ("MatMul", "c", { x, b.weights ("w", { 5, 4 }) }), 4));
    },
    0 },
  { "MatMulAndBias",
    [] (Builder &b) {
      std::string x = b.input ({ 3, 5 });
      b.node ("MatMul", "m", { x, b.weights ("w", { 5, 4 }) });
      b.output (b.batchnorm ("n", b.node ("Add", "c", { "m", b.weights ("b", { 4 }) }), 4));
    },
    0 },
  // The batch norm works on axis 1, the product's channels are on axis 2.
  { "MatMulRank3",
    [] (Builder &b) {
      std::string x = b.input ({ 2, 4, 5 });
      b.output (b.batchnorm ("n", b.node ("MatMul", "c", { x, b.weights ("w", { 5, 4 }) }), 4));
    },
    1 },
  { "SharedWeight",
    [] (Builder &b) {
      std::string x = b.input ({ 2, 3, 6, 6 });
      b.weights ("w", { 3, 3, 3, 3 });
      b.batchnorm ("n1", b.node ("Conv", "c1", { x, "w" }), 3);
      b.output (b.batchnorm ("n2", b.node ("Conv", "c2", { "n1", "w" }), 3));
    },
    0 },
  { "SharedParameters",
    [] (Builder &b) {
      std::string x = b.input ({ 2, 3, 6, 6 });
      b.batchnorm ("n1", b.node ("Conv", "c1", { x, b.weights ("w1", { 3, 3, 3, 3 }) }), 3);
      b.node ("Conv", "c2", { "n1", b.weights ("w2", { 3, 3, 3, 3 }) });
      b.output (b.node ("BatchNormalization", "n2", { "c2", "n1.scale", "n1.shift", "n1.mean", "n1.var" }));
    },
    0 },
  { "ForwardWithoutPadding", [] (Builder &b) { forward (b, {}, nullptr); }, 0 },
  { "ForwardPadded", [] (Builder &b) { forward (b, { { "pads", { 1, 1, 1, 1 } } }, nullptr); }, 1 },
  { "ForwardAutoPad", [] (Builder &b) { forward (b, {}, "SAME_UPPER"); }, 1 },
  { "ForwardAutoPadValid", [] (Builder &b) { forward (b, {}, "VALID"); }, 0 },
  { "ForwardGemm",
    [] (Builder &b) {
      std::string x = b.input ({ 3, 5 });
      b.batchnorm ("n", b.node ("Relu", "r", { x }), 5);
      b.output (b.node ("Gemm", "y", { "n", b.weights ("w", { 5, 4 }), b.weights ("b", { 4 }) }));
    },
    0 },
  { "ForwardFlattenGemm",
    [] (Builder &b) {
      std::string x = b.input ({ 2, 3, 4, 5 });
      b.batchnorm ("n", b.node ("Relu", "r", { x }), 3);
      b.node ("Flatten", "f", { "n" }, { { "axis", { 1 } } });
      b.output (b.node ("Gemm", "y", { "f", b.weights ("w", { 60, 4 }) }));
    },
    0 },
  { "ForwardFlattenOfAnotherAxis",
    [] (Builder &b) {
      std::string x = b.input ({ 2, 3, 4, 5 });
      b.batchnorm ("n", b.node ("Relu", "r", { x }), 3);
      b.node ("Flatten", "f", { "n" }, { { "axis", { 2 } } });
      b.output (b.node ("Gemm", "y", { "f", b.weights ("w", { 20, 4 }) }));
    },
    1 },
  { "ForwardReshapeMatMul",
    [] (Builder &b) {
      std::string x = b.input ({ 2, 3, 4, 5 });
      b.batchnorm ("n", b.node ("Relu", "r", { x }), 3);
      b.node ("Reshape", "f", { "n", b.ints ("shape", { 0, -1 }) });
      b.output (b.node ("MatMul", "y", { "f", b.weights ("w", { 60, 4 }) }));
    },
    0 },
  { "ForwardConvTranspose",
    [] (Builder &b) {
      std::string x = b.input ({ 2, 3, 4, 4 });
      b.batchnorm ("n", b.node ("Relu", "r", { x }), 3);
      b.output (b.node ("ConvTranspose", "y", { "n", b.weights ("w", { 3, 2, 3, 3 }) }));
    },
    1 },
  { "SecondReaderOfTheConvolution",
    [] (Builder &b) {
      std::string x = b.input ({ 2, 3, 6, 6 });
      b.node ("Conv", "c", { x, b.weights ("w", { 3, 3, 3, 3 }) });
      b.output (b.node ("Add", "y", { b.batchnorm ("n", "c", 3), "c" }));
    },
    1 },
  { "ConvolutionIsAnOutput",
    [] (Builder &b) {
      std::string x = b.input ({ 2, 3, 6, 6 });
      b.output (b.node ("Conv", "c", { x, b.weights ("w", { 3, 3, 3, 3 }) }));
      b.output (b.batchnorm ("n", "c", 3));
    },
    1 },
  { "Alone",
    [] (Builder &b) {
      std::string x = b.input ({ 2, 3, 6, 6 });
      b.output (b.node ("Relu", "y", { b.batchnorm ("n", x, 3) }));
    },
    1 },
  { "BeforeAndBehindOneConvolution",
    [] (Builder &b) {
      std::string x = b.input ({ 2, 3, 6, 6 });
      b.batchnorm ("n1", b.node ("Relu", "r", { x }), 3);
      b.output (b.batchnorm ("n2", b.node ("Conv", "c", { "n1", b.weights ("w", { 4, 3, 3, 3 }) }), 4));
    },
    0 },
  { "Opset9", [] (Builder &b) { conv (b, { 2, 3, 6, 6 }, { 4, 3, 3, 3 }, 1, true); }, 0, 9 },
};

class FoldPattern : public ::testing::TestWithParam<Pattern>
{
};

TEST_P (FoldPattern, KeepsTheFunction)
{
  g_autoptr (GError) error = nullptr;
  Builder builder (GetParam ().opset);
  GetParam ().build (builder);
  Graph graph = builder.finish ();
  State state = run (graph.get (), { { "batchnorm-folding", {} } }, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (count (graph_of (state), "BatchNormalization"), GetParam ().n_left);
  EXPECT_LT (distance (graph.get (), graph_of (state)), 1e-5);
}

INSTANTIATE_TEST_SUITE_P (Patterns, FoldPattern, ::testing::ValuesIn (patterns),
                          [] (const auto &info) { return std::string (info.param.name); });

TEST (BatchnormFolding, KeepsTheStatistics)
{
  g_autoptr (GError) error = nullptr;
  Builder builder;
  conv (builder, { 2, 3, 6, 6 }, { 4, 3, 3, 3 }, 1, true);
  Graph graph = builder.finish ();
  State state = run (graph.get (), { { "batchnorm-folding", {} } }, &error);
  ASSERT_NO_GERROR (error);
  GObject *artifact = ht_model_state_get_artifact (state.get (), HT_ARTIFACT_BATCHNORM_STATISTICS);
  ASSERT_TRUE (HT_IS_BATCHNORM_STATISTICS (artifact));
  gsize n = 0;
  const double *means = ht_batchnorm_statistics_get_means (HT_BATCHNORM_STATISTICS (artifact), "c", &n);
  const double *deviations = ht_batchnorm_statistics_get_deviations (HT_BATCHNORM_STATISTICS (artifact), "c", &n);
  ASSERT_EQ (n, 4u);
  std::vector<float> shift = constant_values (graph.get (), "n.shift"), scale = constant_values (graph.get (), "n.scale");
  for (gsize i = 0; i < n; i++)
    {
      EXPECT_FLOAT_EQ ((float) means[i], shift[i]);
      EXPECT_FLOAT_EQ ((float) deviations[i], std::fabs (scale[i]));
    }
}

// aimet.md 3.1 by hand: k = gamma / sqrt (var + eps) = 2 / 2, b' = beta - (mu - b) k.
TEST (BatchnormFolding, FollowsTheEquation)
{
  g_autoptr (GError) error = nullptr;
  Builder b;
  b.input ({ 1, 1, 1, 1 });
  b.constant ("w", { 1, 1, 1, 1 }, { 3 });
  b.constant ("bias", { 1 }, { 0.5f });
  b.node ("Conv", "c", { "x", "w", "bias" });
  b.constant ("gamma", { 1 }, { 2 });
  b.constant ("beta", { 1 }, { 0.25f });
  b.constant ("mu", { 1 }, { 1.5f });
  b.constant ("var", { 1 }, { 3 });
  b.node ("BatchNormalization", "y", { "c", "gamma", "beta", "mu", "var" });
  ht_graph_set_float (b.graph (), b.last (), "epsilon", 1);
  b.output ("y");
  Graph graph = b.finish ();
  State state = run (graph.get (), { { "batchnorm-folding", {} } }, &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (GPtrArray) layers = ht_graph_list_layers (graph_of (state));
  ASSERT_EQ (layers->len, 1u);
  auto *layer = (HtLayer *) g_ptr_array_index (layers, 0);
  EXPECT_EQ (constant_values (graph_of (state), ht_layer_get_weight (layer)), std::vector<float> ({ 3 }));
  EXPECT_EQ (constant_values (graph_of (state), ht_layer_get_bias (layer)), std::vector<float> ({ -0.75f }));
  EXPECT_STREQ (ht_graph_get_outputs (graph_of (state))[0], "y");
}

TEST (BatchnormFolding, LeavesItsInputUnchanged)
{
  g_autoptr (GError) error = nullptr;
  Builder builder;
  conv (builder, { 2, 3, 6, 6 }, { 4, 3, 3, 3 }, 1, true);
  Graph graph = builder.finish ();
  g_autofree char *before = ht_graph_hash (graph.get ());
  State state = run (graph.get (), { { "batchnorm-folding", {} } }, &error);
  ASSERT_NO_GERROR (error);
  g_autofree char *after = ht_graph_hash (graph.get ());
  EXPECT_STREQ (before, after);
  g_autofree char *folded = ht_graph_hash (graph_of (state));
  EXPECT_STRNE (before, folded);
}

}
