// SPDX-License-Identifier: MIT
// High-bias folding: the equation by hand, the function on inputs that keep the promise, and what is left alone.
#include "network.h"

using namespace network;

namespace
{

const Steps pipeline = { { "batchnorm-folding", {} }, { "cross-layer-equalization", {} }, { "high-bias-folding", {} } };

// One channel, weights 1, so that equalization changes nothing: beta 5, gamma 1 gives c = max (0, 5 - 3) = 2.
Graph
one_channel (gint64 padding = 0, float high = 0)
{
  Builder b;
  b.input ({ 1, 1, 4, 4 });
  b.constant ("w1", { 1, 1, 1, 1 }, { 1 });
  b.constant ("gamma", { 1 }, { 1 });
  b.constant ("beta", { 1 }, { 5 });
  b.constant ("mu", { 1 }, { 0 });
  b.constant ("var", { 1 }, { 1 });
  b.node ("Conv", "c1", { "x", "w1" });
  b.node ("BatchNormalization", "n", { "c1", "gamma", "beta", "mu", "var" });
  ht_graph_set_float (b.graph (), b.last (), "epsilon", 0);
  std::string y = b.node ("Relu", "r", { "n" });
  if (high > 0)
    {
      b.constant ("low", {}, { 0 });
      b.constant ("high", {}, { high });
      y = b.node ("Clip", "clip", { y, "low", "high" });
    }
  b.constant ("w2", { 1, 1, 1, 1 }, { 1 });
  b.constant ("b2", { 1 }, { 0.5f });
  b.node ("Conv", "c2", { y, "w2", "b2" }, { { "pads", { padding, padding, padding, padding } } });
  b.output ("c2");
  return b.finish ();
}

std::vector<float>
bias_of (HtGraph *graph, const char *tensor)
{
  g_autoptr (HtLayer) layer = ht_graph_find_layer (graph, tensor);
  return constant_values (graph, ht_layer_get_bias (layer));
}

TEST (HighBiasFolding, FollowsTheEquation)
{
  g_autoptr (GError) error = nullptr;
  Graph graph = one_channel ();
  State state = run (graph.get (), pipeline, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_FLOAT_EQ (bias_of (graph_of (state), "c1")[0], 3);
  EXPECT_FLOAT_EQ (bias_of (graph_of (state), "c2")[0], 2.5f);
  // x in [-1, 1] keeps the pre-activation in [4, 6], above what was moved: exact
  EXPECT_LT (distance (graph.get (), graph_of (state)), 1e-6);
  auto *artifact = HT_BATCHNORM_STATISTICS (
      ht_model_state_get_artifact (state.get (), HT_ARTIFACT_BATCHNORM_STATISTICS));
  gsize n = 0;
  EXPECT_DOUBLE_EQ (ht_batchnorm_statistics_get_means (artifact, "c1", &n)[0], 3);
}

TEST (HighBiasFolding, MovesLessWithMoreDeviations)
{
  g_autoptr (GError) error = nullptr;
  Graph graph = one_channel ();
  Steps steps = pipeline;
  steps[2].second["deviations"] = "4.5";
  State state = run (graph.get (), steps, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_FLOAT_EQ (bias_of (graph_of (state), "c1")[0], 4.5f);
}

TEST (HighBiasFolding, LowersTheLimitOfAClamp)
{
  g_autoptr (GError) error = nullptr;
  Graph graph = one_channel (0, 5.5f); // cuts off part of [4, 6]
  State state = run (graph.get (), pipeline, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_FLOAT_EQ (bias_of (graph_of (state), "c2")[0], 2.5f);
  EXPECT_LT (distance (graph.get (), graph_of (state)), 1e-6);
}

TEST (HighBiasFolding, LeavesAClampBelowTheShiftAlone)
{
  g_autoptr (GError) error = nullptr;
  Graph graph = one_channel (0, 1.5f);
  State state = run (graph.get (), pipeline, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_FLOAT_EQ (bias_of (graph_of (state), "c2")[0], 0.5f);
}

TEST (HighBiasFolding, SkipsPaddingWhenAsked)
{
  g_autoptr (GError) error = nullptr;
  Graph graph = one_channel (1);
  State absorbed = run (graph.get (), pipeline, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_FLOAT_EQ (bias_of (graph_of (absorbed), "c2")[0], 2.5f);
  Steps steps = pipeline;
  steps[2].second["padded"] = "skip";
  State skipped = run (graph.get (), steps, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_FLOAT_EQ (bias_of (graph_of (skipped), "c2")[0], 0.5f);
  EXPECT_LT (distance (graph.get (), graph_of (skipped)), 1e-6);
}

TEST (HighBiasFolding, IsRefusedWithoutEqualization)
{
  g_autoptr (GError) error = nullptr;
  Graph graph = one_channel ();
  EXPECT_EQ (run (graph.get (), { { "batchnorm-folding", {} }, { "high-bias-folding", {} } }, &error), nullptr);
  ASSERT_NE (error, nullptr);
  EXPECT_NE (std::string (error->message).find ("equalized"), std::string::npos) << error->message;
}

}
