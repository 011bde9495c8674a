// SPDX-License-Identifier: MIT
// Layers on integers give what integer arithmetic gives, to the bit: codes times codes plus an int32 bias, one float
// factor for each channel, rounded to even.
#include "integer-layer.h"

using small::Builder;
using small::clamp_code;
using small::Codes;
using small::floats;
using small::Grid;
using small::Layer;
using small::set;
using small::set_layer;
using small::Table;
using small::to_codes;
using small::to_values;
using small::values;

namespace
{

const Grid x_grid = { 0.031f, -100 }, a_grid = { 0.073f, 0 }, b_grid = { 0.097f, -128 }, sum_grid = { 0.11f, 0 },
           c_grid = { 0.061f, -131 }, d_grid = { 0.083f, -120 };

// x -> A -> Relu -> B -> Add x -> Relu -> C (depthwise), and D reads x.
struct Network
{
  Layer a{ 20, 24, 1, 1 }, b{ 24, 20, 1, 2 }, c{ 20, 20, 20, 3 }, d{ 20, 17, 1, 4 };
  Builder builder;
  HtExecutor *executor = nullptr;

  void layer (const Layer &layer, const char *input, const char *weight, const char *bias, const char *output,
              float input_scale)
  {
    gint64 n_in = (gint64)(layer.in / layer.groups), n_out = (gint64)layer.out;
    builder.constant (weight, floats ({ n_out, n_in, 3, 3 }, layer.weight_values ()));
    builder.constant (bias, floats ({ n_out }, layer.bias_values (input_scale)));
    HtNode *node = builder.node ("Conv", { input, weight, bias }, { output });
    const gint64 pads[] = { 1, 1, 1, 1 };
    ht_graph_set_ints (builder.graph (), node, "pads", pads, 4);
    ht_graph_set_int (builder.graph (), node, "group", (gint64)layer.groups);
  }

  Network ()
  {
    builder.input ("x", { 1, 20, 6, 6 });
    layer (a, "x", "wa", "ba", "a", x_grid.scale);
    builder.node ("Relu", { "a" }, { "ra" });
    layer (b, "ra", "wb", "bb", "b", a_grid.scale);
    builder.node ("Add", { "b", "x" }, { "sum" });
    builder.node ("Relu", { "sum" }, { "rs" });
    layer (c, "rs", "wc", "bc", "c", sum_grid.scale);
    layer (d, "x", "wd", "bd", "d", x_grid.scale);
    for (const char *output : { "rs", "c", "d" })
      builder.output (output);
    executor = ht_executor_new (builder.graph (), nullptr);
    set (executor, "x", 8, FALSE, { x_grid.scale }, x_grid.offset);
    set (executor, "ra", 8, FALSE, { a_grid.scale }, a_grid.offset);
    set (executor, "b", 8, FALSE, { b_grid.scale }, b_grid.offset);
    set (executor, "rs", 8, FALSE, { sum_grid.scale }, sum_grid.offset);
    set (executor, "c", 8, FALSE, { c_grid.scale }, c_grid.offset);
    set (executor, "d", 8, FALSE, { d_grid.scale }, d_grid.offset);
    set_layer (executor, a, x_grid.scale, "wa", "ba");
    set_layer (executor, b, a_grid.scale, "wb", "bb");
    set_layer (executor, c, sum_grid.scale, "wc", "bc");
    set_layer (executor, d, x_grid.scale, "wd", "bd");
  }
  ~Network () { g_object_unref (executor); }
};

std::vector<float>
input ()
{
  std::vector<float> x;
  for (int i = 0; i < 20 * 36; i++)
    x.push_back (3.5f * std::sin (0.7f * (float)i) + 0.5f);
  return x;
}

TEST (Codes, LayersAreIntegerArithmetic)
{
  Network net;
  GError *error = nullptr;
  Table in;
  in.add ("x", floats ({ 1, 20, 6, 6 }, input ()));
  Codes x = to_codes (input (), x_grid);
  Codes a = net.a.run (x, x_grid.scale, a_grid, 0), b = net.b.run (a, a_grid.scale, b_grid, -128), sum;
  for (gsize i = 0; i < b.size (); i++)
    {
      volatile float left = (float)b[i] * b_grid.scale, right = (float)x[i] * x_grid.scale;
      volatile float total = left + right;
      sum.push_back ((gint64)clamp_code (std::max ((float)total, 0.0f) / sum_grid.scale, sum_grid));
    }
  // Twice: a second preparation begins anew.
  for (int round = 0; round < 2; round++)
    {
      Table out (ht_executor_run (net.executor, in, nullptr, nullptr, &error));
      ASSERT_NO_GERROR (error);
      EXPECT_EQ (values (out["rs"]), to_values (sum, sum_grid.scale));
      EXPECT_EQ (values (out["c"]), to_values (net.c.run (sum, sum_grid.scale, c_grid, -131), c_grid.scale));
      EXPECT_EQ (values (out["d"]), to_values (net.d.run (x, x_grid.scale, d_grid, -120), d_grid.scale));
      set (net.executor, "x", 8, FALSE, { x_grid.scale }, x_grid.offset);
    }
}

// A factor of 1 / 64: every sixty-fourth sum lies in the middle between two codes. Sums of values miss the middle by
// their roundings and fall to either side; sums of codes do not.
TEST (Codes, SumsInTheMiddleGoToTheEvenCode)
{
  Layer layer (20, 17, 1, 5);
  for (gint64 &code : layer.weight)
    code %= 4;
  std::fill (layer.weight_scale.begin (), layer.weight_scale.end (), 0.0031f);
  const Grid grid = { x_grid.scale * 0.0031f * 64, -128 };
  Builder b;
  b.input ("x", { 1, 20, 6, 6 });
  b.constant ("w", floats ({ 17, 20, 3, 3 }, layer.weight_values ()));
  b.constant ("b", floats ({ 17 }, layer.bias_values (x_grid.scale)));
  HtNode *node = b.node ("Conv", { "x", "w", "b" }, { "y" });
  const gint64 pads[] = { 1, 1, 1, 1 };
  ht_graph_set_ints (b.graph (), node, "pads", pads, 4);
  b.output ("y");
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), nullptr);
  set (executor, "x", 8, FALSE, { x_grid.scale }, x_grid.offset);
  set (executor, "y", 8, FALSE, { grid.scale }, grid.offset);
  set_layer (executor, layer, x_grid.scale, "w", "b");
  GError *error = nullptr;
  Table in;
  in.add ("x", floats ({ 1, 20, 6, 6 }, input ()));
  Table out (ht_executor_run (executor, in, nullptr, nullptr, &error));
  ASSERT_NO_GERROR (error);
  Codes expected = layer.run (to_codes (input (), x_grid), x_grid.scale, grid, -128);
  EXPECT_EQ (values (out["y"]), to_values (expected, grid.scale));
  EXPECT_GT (std::count_if (expected.begin (), expected.end (), [] (gint64 c) { return c > -128 && c < 127; }), 400);
}

TEST (Codes, AThreadMoreOrLessChangesNothing)
{
  Network net;
  Table in;
  in.add ("x", floats ({ 1, 20, 6, 6 }, input ()));
  std::vector<float> first;
  for (guint n_threads : { 1u, 2u, 3u })
    {
      ht_set_n_threads (n_threads);
      Table out (ht_executor_run (net.executor, in, nullptr, nullptr, nullptr));
      if (first.empty ())
        first = values (out["c"]);
      EXPECT_EQ (values (out["c"]), first);
    }
  ht_set_n_threads (0);
}

// Without a grid behind the sum there is no factor to round with: such layers run on values.
TEST (Codes, ALayerWithoutAGridRunsOnValues)
{
  Network net;
  GError *error = nullptr;
  Table in;
  in.add ("x", floats ({ 1, 20, 6, 6 }, input ()));
  ht_executor_set_encoding (net.executor, "d", nullptr);
  Table out (ht_executor_run (net.executor, in, nullptr, nullptr, &error));
  ASSERT_NO_GERROR (error);
  Codes x = to_codes (input (), x_grid);
  std::vector<float> found = values (out["d"]);
  Codes rounded = net.d.run (x, x_grid.scale, d_grid, -120);
  bool between = false;
  for (gsize i = 0; i < found.size (); i++)
    if (rounded[i] > -120 && rounded[i] < 135)
      {
        EXPECT_NEAR (found[i], (float)rounded[i] * d_grid.scale, 0.501f * d_grid.scale);
        between = between || std::fabs (found[i] - (float)rounded[i] * d_grid.scale) > 0.1f * d_grid.scale;
      }
  EXPECT_TRUE (between);
}

}
