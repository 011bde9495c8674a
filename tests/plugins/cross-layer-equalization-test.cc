// SPDX-License-Identifier: MIT
// Equalization keeps the function, brings the ranges of a set together, and leaves alone what it must.
#include "network.h"

using namespace network;

namespace
{

// Output channel ranges of the layer that makes `tensor`, or input channel ranges of it.
std::vector<double>
ranges (HtGraph *graph, const char *tensor, bool inputs)
{
  g_autoptr (HtLayer) layer = ht_graph_find_layer (graph, tensor);
  EXPECT_NE (layer, nullptr) << tensor;
  gsize n = 0;
  g_autofree double *values = inputs ? ht_layer_get_input_ranges (layer, &n, nullptr)
                                     : ht_layer_get_output_ranges (layer, &n, nullptr);
  return std::vector<double> (values, values + n);
}

void
expect_equal_ranges (HtGraph *graph, const char *first, const char *second)
{
  std::vector<double> a = ranges (graph, first, false), b = ranges (graph, second, true);
  ASSERT_EQ (a.size (), b.size ());
  for (size_t i = 0; i < a.size (); i++)
    EXPECT_NEAR (a[i] / b[i], 1, 1e-5) << first << " and " << second << ", channel " << i;
}

void
chain (Builder &b, const std::function<std::string (const std::string &)> &between, bool depthwise = false)
{
  std::string x = b.input ({ 2, 3, 8, 8 });
  b.node ("Conv", "c1", { x, b.weights ("w1", { 4, 3, 3, 3 }), b.weights ("b1", { 4 }) });
  std::string y = between ("c1");
  if (depthwise)
    y = b.node ("Relu", "dr",
                { b.node ("Conv", "dw", { y, b.weights ("wd", { 4, 1, 3, 3 }), b.weights ("bd", { 4 }) },
                          { { "group", { 4 } } }) });
  b.node ("Conv", "c2", { y, b.weights ("w2", { 5, 4, 2, 2 }), b.weights ("b2", { 5 }) });
  b.output (b.node ("Relu", "y", { "c2" }));
}

struct Between
{
  const char *name;
  std::function<std::string (Builder &, const std::string &)> make;
  gint64 opset = 13;
};

const std::vector<Between> homogeneous = {
  { "Nothing", [] (Builder &, const std::string &x) { return x; } },
  { "Relu", [] (Builder &b, const std::string &x) { return b.node ("Relu", "a", { x }); } },
  { "LeakyRelu", [] (Builder &b, const std::string &x) { return b.node ("LeakyRelu", "a", { x }); } },
  { "PRelu", [] (Builder &b, const std::string &x) { return b.node ("PRelu", "a", { x, b.weights ("s", { 4, 1, 1 }) }); } },
  { "Pad",
    [] (Builder &b, const std::string &x) {
      return b.node ("Pad", "p", { b.node ("Relu", "a", { x }), b.ints ("pads", { 0, 0, 1, 0, 0, 0, 0, 2 }) });
    } },
  { "MaxPool",
    [] (Builder &b, const std::string &x) {
      return b.node ("MaxPool", "p", { b.node ("Relu", "a", { x }) }, { { "kernel_shape", { 2, 2 } } });
    } },
  { "ReluAndClip",
    [] (Builder &b, const std::string &x) {
      b.constant ("low", {}, { 0 });
      b.constant ("high", {}, { 0.6f });
      return b.node ("Clip", "a", { b.node ("Relu", "r", { x }), "low", "high" });
    } },
  { "Clip",
    [] (Builder &b, const std::string &x) {
      b.constant ("low", {}, { 0 });
      b.constant ("high", {}, { 0.6f });
      return b.node ("Clip", "a", { x, "low", "high" });
    } },
  { "ClipBelowZero",
    [] (Builder &b, const std::string &x) {
      b.constant ("low", {}, { -0.3f });
      b.constant ("high", {}, { 0.6f });
      return b.node ("Clip", "a", { x, "low", "high" });
    } },
  { "ClipWithAttributes",
    [] (Builder &b, const std::string &x) {
      std::string y = b.node ("Clip", "a", { x });
      ht_graph_set_float (b.graph (), b.last (), "min", 0);
      ht_graph_set_float (b.graph (), b.last (), "max", 0.6);
      return y;
    },
    9 },
  { "MinAndMax",
    [] (Builder &b, const std::string &x) {
      b.node ("Max", "m", { x, b.weights ("low", { 1, 4, 1, 1 }, -0.5f, -0.1f) });
      return b.node ("Min", "a", { b.weights ("high", { 1 }, 0.3f, 0.4f), "m" });
    } },
};

class Equalize : public ::testing::TestWithParam<std::tuple<Between, bool>>
{
};

TEST_P (Equalize, KeepsTheFunctionAndBalancesTheRanges)
{
  g_autoptr (GError) error = nullptr;
  const auto &[between, depthwise] = GetParam ();
  Builder builder (between.opset);
  chain (builder, [&, make = between.make] (const std::string &x) { return make (builder, x); }, depthwise);
  Graph graph = builder.finish ();
  State state = run (graph.get (), { { "cross-layer-equalization", {} } }, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_LT (distance (graph.get (), graph_of (state), 2, -2, 2), 1e-5);
  expect_equal_ranges (graph_of (state), "c1", depthwise ? "dw" : "c2");
  if (depthwise)
    expect_equal_ranges (graph_of (state), "c1", "c2");
}

INSTANTIATE_TEST_SUITE_P (Activations, Equalize,
                          ::testing::Combine (::testing::ValuesIn (homogeneous), ::testing::Bool ()),
                          [] (const auto &info) {
                            return std::string (std::get<0> (info.param).name)
                                   + (std::get<1> (info.param) ? "AroundDepthwise" : "");
                          });

// The worked example of the reference (aimet.md 4.3).
TEST (CrossLayerEqualization, ReproducesTheReferenceExample)
{
  g_autoptr (GError) error = nullptr;
  Builder b;
  b.input ({ 1, 2, 1, 1 });
  b.constant ("w1", { 2, 2, 1, 1 }, { 1, -2, 0.5f, 0.1f });
  b.constant ("w2", { 2, 2, 1, 1 }, { 3, -1, 0.2f, 4 });
  b.node ("Conv", "c1", { "x", "w1" });
  b.output (b.node ("Conv", "c2", { b.node ("Relu", "r", { "c1" }), "w2" }));
  Graph graph = b.finish ();
  State state = run (graph.get (), { { "cross-layer-equalization", {} } }, &error);
  ASSERT_NO_GERROR (error);
  std::vector<float> w1 = constant_values (graph_of (state), "w1");
  EXPECT_NEAR (1 / w1[0], 0.81649658, 1e-6);
  EXPECT_NEAR (0.5 / w1[2], 0.35355339, 1e-6);
  std::vector<double> first = ranges (graph_of (state), "c1", false), second = ranges (graph_of (state), "c2", true);
  EXPECT_NEAR (first[0], 2.4494897, 1e-6);
  EXPECT_NEAR (first[1], 1.4142136, 1e-6);
  EXPECT_NEAR (second[0], 2.4494897, 1e-6);
  EXPECT_NEAR (second[1], 1.4142136, 1e-6);
}

TEST (CrossLayerEqualization, KeepsConvTranspose)
{
  for (gint64 group : { 1, 4 })
    {
      g_autoptr (GError) error = nullptr;
      Builder b;
      b.input ({ 2, 3, 5, 5 });
      b.node ("Conv", "c1", { "x", b.weights ("w1", { 4, 3, 3, 3 }), b.weights ("b1", { 4 }) });
      b.node ("ConvTranspose", "t", { b.node ("Relu", "r1", { "c1" }), b.weights ("wt", { 4, group == 1 ? 6 : 1, 3, 3 }) },
              { { "group", { group } } });
      b.output (b.node ("Conv", "c2", { b.node ("Relu", "r2", { "t" }), b.weights ("w2", { 5, group == 1 ? 6 : 4, 2, 2 }) }));
      Graph graph = b.finish ();
      State state = run (graph.get (), { { "cross-layer-equalization", {} } }, &error);
      ASSERT_NO_GERROR (error);
      EXPECT_LT (distance (graph.get (), graph_of (state)), 1e-5);
      expect_equal_ranges (graph_of (state), "t", "c2"); // the last set: the one before was undone in part by it
      g_autofree char *before = ht_graph_hash (graph.get ());
      g_autofree char *after = ht_graph_hash (graph_of (state));
      EXPECT_STRNE (before, after);
    }
}

TEST (CrossLayerEqualization, LeavesDeadChannelsAlone)
{
  g_autoptr (GError) error = nullptr;
  Builder b;
  b.input ({ 1, 1, 3, 3 });
  b.constant ("w1", { 3, 1, 1, 1 }, { 4, 1e-9f, 1 });
  b.constant ("w2", { 1, 3, 1, 1 }, { 1, 1, 4 });
  b.node ("Conv", "c1", { "x", "w1" });
  b.output (b.node ("Conv", "c2", { b.node ("Relu", "r", { "c1" }), "w2" }));
  Graph graph = b.finish ();
  State state = run (graph.get (), { { "cross-layer-equalization", {} } }, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (constant_values (graph_of (state), "w1"), std::vector<float> ({ 2, 1e-9f, 2 }));
  EXPECT_EQ (constant_values (graph_of (state), "w2"), std::vector<float> ({ 2, 1, 2 }));
}

TEST (CrossLayerEqualization, StopsAtASecondReader)
{
  g_autoptr (GError) error = nullptr;
  Builder b;
  b.input ({ 2, 3, 8, 8 });
  b.node ("Conv", "c1", { "x", b.weights ("w1", { 3, 3, 1, 1 }) });
  b.node ("Relu", "r", { "c1" });
  b.output (b.node ("Add", "y", { b.node ("Conv", "c2", { "r", b.weights ("w2", { 3, 3, 1, 1 }) }), "r" }));
  Graph graph = b.finish ();
  State state = run (graph.get (), { { "cross-layer-equalization", {} } }, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (constant_values (graph_of (state), "w1"), constant_values (graph.get (), "w1"));
}

Graph
relu6_chain ()
{
  Builder builder;
  chain (builder, [&] (const std::string &x) {
    builder.constant ("low", {}, { 0 });
    builder.constant ("high", {}, { 0.6f });
    return builder.node ("Clip", "a", { x, "low", "high" });
  });
  return builder.finish ();
}

TEST (CrossLayerEqualization, ReplacesReLU6WhenAsked)
{
  g_autoptr (GError) error = nullptr;
  Graph graph = relu6_chain ();
  State state = run (graph.get (), { { "cross-layer-equalization", { { "relu6", "replace" } } } }, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (count (graph_of (state), "Clip") + count (graph_of (state), "Min"), 0u);
  EXPECT_GT (distance (graph.get (), graph_of (state), 2, -2, 2), 1e-3);
  // The difference is the clamp's alone: with Relu in its place the given network does the same.
  Builder builder;
  chain (builder, [&] (const std::string &x) { return builder.node ("Relu", "a", { x }); });
  Graph relu = builder.finish ();
  EXPECT_LT (distance (relu.get (), graph_of (state), 2, -2, 2), 1e-5);
}

TEST (CrossLayerEqualization, SkipsReLU6WhenAsked)
{
  g_autoptr (GError) error = nullptr;
  Graph graph = relu6_chain ();
  JsonNode *report = nullptr;
  State state = run (graph.get (), { { "cross-layer-equalization", { { "relu6", "skip" } } } }, &error, &report);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (constant_values (graph_of (state), "w1"), constant_values (graph.get (), "w1"));
  g_autofree char *text = json_to_string (report, FALSE);
  EXPECT_NE (std::string (text).find ("relu6 is 'skip'"), std::string::npos) << text;
  json_node_unref (report);
}

TEST (CrossLayerEqualization, CarriesTheStatisticsAlong)
{
  g_autoptr (GError) error = nullptr;
  Builder b;
  b.input ({ 2, 3, 8, 8 });
  b.batchnorm ("n", b.node ("Conv", "c1", { "x", b.weights ("w1", { 4, 3, 3, 3 }) }), 4);
  b.output (b.node ("Conv", "c2", { b.node ("Relu", "r", { "n" }), b.weights ("w2", { 5, 4, 1, 1 }) }));
  Graph graph = b.finish ();
  State folded = run (graph.get (), { { "batchnorm-folding", {} } }, &error);
  ASSERT_NO_GERROR (error);
  State state = run (graph.get (), { { "batchnorm-folding", {} }, { "cross-layer-equalization", {} } }, &error);
  ASSERT_NO_GERROR (error);
  auto *artifact = HT_BATCHNORM_STATISTICS (
      ht_model_state_get_artifact (state.get (), HT_ARTIFACT_BATCHNORM_STATISTICS));
  std::vector<double> before = ranges (graph_of (folded), "c1", false), after = ranges (graph_of (state), "c1", false);
  std::vector<float> scale = constant_values (graph.get (), "n.scale"), shift = constant_values (graph.get (), "n.shift");
  gsize n = 0;
  const double *means = ht_batchnorm_statistics_get_means (artifact, "c1", &n);
  const double *deviations = ht_batchnorm_statistics_get_deviations (artifact, "c1", &n);
  for (gsize i = 0; i < n; i++)
    {
      EXPECT_NEAR (means[i], shift[i] * after[i] / before[i], 1e-5);
      EXPECT_NEAR (deviations[i], std::fabs (scale[i]) * after[i] / before[i], 1e-5);
    }
}

TEST (CrossLayerEqualization, IsRefusedOnLiveBatchNorms)
{
  g_autoptr (GError) error = nullptr;
  Builder b;
  b.input ({ 2, 3, 8, 8 });
  b.output (b.batchnorm ("n", b.node ("Conv", "c1", { "x", b.weights ("w1", { 4, 3, 3, 3 }) }), 4));
  Graph graph = b.finish ();
  EXPECT_EQ (run (graph.get (), { { "cross-layer-equalization", {} } }, &error), nullptr);
  ASSERT_NE (error, nullptr);
  EXPECT_EQ (error->domain, HT_RECIPE_ERROR);
}

}
