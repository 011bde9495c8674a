// SPDX-License-Identifier: MIT
// Functions that are written out as small nodes: one step does them, with the result of the nodes.
#include "small-graph.h"

#include <gtest/gtest.h>

#include <cmath>

extern "C"
{
#include "exec/executor-private.h"
}

namespace
{

using small::Builder;
using small::floats;
using small::Table;
using small::values;

std::vector<float>
noise (gsize n, guint seed, float size = 1.0f)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (seed);
  std::vector<float> x (n);
  for (float &v : x)
    v = size * (float)g_rand_double_range (random, -1.0, 1.0);
  return x;
}

HtEncoding *
grid (double scale)
{
  gint64 offset = -128;
  return ht_encoding_new (8, FALSE, FALSE, -1, &scale, &offset, 1, nullptr);
}

// Runs the graph as one operator a step, and fused; both must agree. Returns the kinds of the fused plan's steps.
std::vector<std::string>
run_both (HtGraph *graph, const Table &in, const std::vector<const char *> &encoded = {},
          const char *const *wanted = nullptr)
{
  std::vector<std::string> kinds;
  std::vector<float> results[2];
  GError *error = nullptr;

  for (int fused = 0; fused < 2; fused++)
    {
      g_autoptr (HtExecutor) executor = ht_executor_new (graph, &error);
      EXPECT_EQ (error, nullptr);
      ht_executor_set_mode (executor, fused ? HT_EXEC_FUSED : HT_EXEC_PLAIN);
      for (const char *name : encoded)
        {
          g_autoptr (HtEncoding) encoding = grid (1.0 / 64);
          ht_executor_set_encoding (executor, name, encoding);
        }
      Table out (ht_executor_run (executor, in, wanted, nullptr, &error));
      if (error)
        {
          ADD_FAILURE () << error->message;
          return kinds;
        }
      results[fused] = values (out[wanted ? wanted[0] : "y"]);
      HtExecPlan *plan = static_cast<HtExecPlan *> (g_ptr_array_index (executor->plans, 0));
      for (guint i = 0; fused && i < plan->steps->len; i++)
        kinds.push_back (ht_exec_plan_step (plan, i)->kind->name);
    }
  EXPECT_EQ (results[0].size (), results[1].size ());
  // A value at the edge of two codes may fall to either side.
  float limit = encoded.empty () ? 2e-6f : 1.01f / 64;
  guint n_far = 0;
  for (size_t i = 0; i < results[0].size (); i++)
    {
      if (std::isnan (results[0][i]) && std::isnan (results[1][i]))
        continue; // a grid made the exponent no integer
      EXPECT_NEAR (results[0][i], results[1][i], limit * (1.0f + std::fabs (results[0][i]))) << i;
      n_far += std::fabs (results[0][i] - results[1][i]) > 1e-5f;
    }
  EXPECT_LE (n_far, results[0].size () / 50);
  return kinds;
}

gsize
count (const std::vector<std::string> &kinds, const char *kind)
{
  return (gsize)std::count (kinds.begin (), kinds.end (), kind);
}

// x W, then GELU by erf or by tanh.
struct Gelu
{
  explicit Gelu (bool with_tanh)
  {
    builder.input ("x", { 5, 12 }).constant ("w", floats ({ 12, 20 }, noise (240, 1)));
    builder.constant ("half", floats ({}, { 0.5f })).constant ("one", floats ({ 1 }, { 1.0f }));
    builder.node ("MatMul", { "x", "w" }, { "u" });
    if (with_tanh)
      {
        builder.constant ("c", floats ({}, { 0.044715f })).constant ("r", floats ({}, { 0.7978845608f }));
        builder.node ("Mul", { "u", "u" }, { "uu" });
        builder.node ("Mul", { "uu", "u" }, { "uuu" });
        builder.node ("Mul", { "c", "uuu" }, { "cubic" });
        builder.node ("Add", { "u", "cubic" }, { "sum" });
        builder.node ("Mul", { "sum", "r" }, { "inner" });
        builder.node ("Tanh", { "inner" }, { "t" });
      }
    else
      {
        builder.constant ("root", floats ({}, { std::sqrt (2.0f) }));
        builder.node ("Div", { "u", "root" }, { "inner" });
        builder.node ("Erf", { "inner" }, { "t" });
      }
    builder.node ("Add", { "t", "one" }, { "open" });
    builder.node ("Mul", { "u", "open" }, { "product" });
    builder.node ("Mul", { "product", "half" }, { "y" });
    builder.output ("y");
    in.add ("x", floats ({ 5, 12 }, noise (60, 2)));
  }
  Builder builder;
  Table in;
};

TEST (WrittenOut, GeluIsPartOfTheProductBeforeIt)
{
  for (bool with_tanh : { false, true })
    {
      Gelu gelu (with_tanh);
      EXPECT_EQ (run_both (gelu.builder.graph (), gelu.in), std::vector<std::string>{ "gemm" });
      // Grids before and behind are honoured by the same step, one inside is not.
      EXPECT_EQ (run_both (gelu.builder.graph (), gelu.in, { "u", "y", "w" }).size (), 1u);
      for (const char *inside : { "t", "open", "inner", "one" })
        EXPECT_GT (run_both (gelu.builder.graph (), gelu.in, { inside }).size (), 1u) << inside;
    }
}

TEST (WrittenOut, GeluWithAnotherConstantIsNone)
{
  Gelu gelu (true);
  gelu.builder.constant ("c", floats ({}, { 0.0449f })); // less than 1e-3 away from GELU, and not the same
  EXPECT_GT (run_both (gelu.builder.graph (), gelu.in).size (), 1u);
}

TEST (WrittenOut, WhatIsWantedInsideIsComputed)
{
  Gelu gelu (false);
  const char *const wanted[] = { "open", "y", nullptr };
  EXPECT_GT (run_both (gelu.builder.graph (), gelu.in, {}, wanted).size (), 1u);
}

struct Norm
{
  Norm (gint64 opset, bool with_pow, bool with_gain, std::vector<gint64> axes, std::vector<gint64> gain_dims = { 24 })
      : builder (opset)
  {
    gsize n_gain = 1;
    for (gint64 dim : gain_dims)
      n_gain *= (gsize)dim;
    builder.input ("x", { 3, 24, 24 }).constant ("two", floats ({}, { 2.0f })).constant ("e", floats ({}, { 1e-5f }));
    builder.constant ("g", floats (gain_dims, noise (n_gain, 3))).constant ("b", floats ({ 24 }, noise (24, 4)));
    mean ("x", "m", axes);
    builder.node ("Sub", { "x", "m" }, { "d" });
    if (with_pow)
      builder.node ("Pow", { "d", "two" }, { "dd" });
    else
      builder.node ("Mul", { "d", "d" }, { "dd" });
    mean ("dd", "v", axes);
    builder.node ("Add", { "v", "e" }, { "ve" });
    builder.node ("Sqrt", { "ve" }, { "s" });
    builder.node ("Div", { "d", "s" }, { with_gain ? "n" : "y" });
    if (with_gain)
      {
        builder.node ("Mul", { "n", "g" }, { "ng" });
        builder.node ("Add", { "ng", "b" }, { "y" });
      }
    builder.output ("y");
    in.add ("x", floats ({ 3, 24, 24 }, noise (3 * 24 * 24, 5, 3.0f)));
  }
  void mean (const char *x, const char *y, std::vector<gint64> axes)
  {
    if (ht_graph_get_opset (builder.graph (), "") < 18)
      {
        HtNode *node = builder.node ("ReduceMean", { x }, { y });
        ht_graph_set_ints (builder.graph (), node, "axes", axes.data (), axes.size ());
        return;
      }
    gint64 n = (gint64)axes.size ();
    HtTensor *tensor = ht_tensor_new (HT_DATA_TYPE_INT64, &n, 1, nullptr);
    memcpy (ht_tensor_get_writable_data (tensor), axes.data (), axes.size () * sizeof (gint64));
    builder.constant ("axes", tensor);
    builder.node ("ReduceMean", { x, "axes" }, { y });
  }
  Builder builder;
  Table in;
};

TEST (WrittenOut, LayerNormIsOneStep)
{
  for (gint64 opset : { 13, 18 })
    for (bool with_pow : { false, true })
      for (bool with_gain : { false, true })
        for (gint64 axis : { -1, 2 })
          {
            Norm norm (opset, with_pow, with_gain, { axis });
            EXPECT_EQ (run_both (norm.builder.graph (), norm.in), std::vector<std::string>{ "layer norm" });
          }
}

TEST (WrittenOut, LayerNormKeepsGridsAroundIt)
{
  Norm norm (13, true, true, { -1 });
  EXPECT_EQ (run_both (norm.builder.graph (), norm.in, { "x", "g", "b", "y" }),
             std::vector<std::string>{ "layer norm" });
  for (const char *inside : { "m", "d", "dd", "v", "s", "n", "ng", "e", "two" })
    EXPECT_EQ (count (run_both (norm.builder.graph (), norm.in, { inside }), "layer norm"), 0u) << inside;
}

TEST (WrittenOut, OtherMeansAreNoLayerNorm)
{
  Norm columns (13, true, true, { 1 }), both (13, true, true, { 1, 2 }), rows (13, true, true, { -1 }, { 24, 1 });
  for (Norm *norm : { &columns, &both, &rows })
    EXPECT_EQ (count (run_both (norm->builder.graph (), norm->in), "layer norm"), 0u);
}

// softmax (Q K' / 3) V with V made last, as exporters order it.
struct Attention
{
  Attention (gsize batch, gsize heads, gsize m, gsize n, gsize d, gsize e, bool transpose, const char *scale)
  {
    gint64 b = (gint64)batch, h = (gint64)heads, rows = (gint64)n, width = (gint64)d;
    builder.input ("q", { b, h, (gint64)m, width }).input ("v", { b, h, rows, (gint64)e });
    builder.input ("k",
                   transpose ? std::vector<gint64>{ b, h, rows, width } : std::vector<gint64>{ b, h, width, rows });
    builder.constant ("c", floats ({}, { 3.0f }));
    if (transpose)
      {
        const gint64 perm[] = { 0, 1, 3, 2 };
        HtNode *node = builder.node ("Transpose", { "k" }, { "kt" });
        ht_graph_set_ints (builder.graph (), node, "perm", perm, 4);
      }
    builder.node ("MatMul", { "q", transpose ? "kt" : "k" }, { "s" });
    if (scale)
      builder.node (scale, { "s", "c" }, { "sc" });
    HtNode *softmax = builder.node ("Softmax", { scale ? "sc" : "s" }, { "p" });
    ht_graph_set_int (builder.graph (), softmax, "axis", 3);
    builder.node ("Neg", { "v" }, { "w" });
    builder.node ("MatMul", { "p", "w" }, { "y" });
    builder.output ("y");
    in.add ("q", floats ({ b, h, (gint64)m, width }, noise (batch * heads * m * d, 6, 0.7f)));
    in.add ("k",
            floats (transpose ? std::vector<gint64>{ b, h, rows, width } : std::vector<gint64>{ b, h, width, rows },
                    noise (batch * heads * n * d, 7, 0.7f)));
    in.add ("v", floats ({ b, h, rows, (gint64)e }, noise (batch * heads * n * e, 8)));
  }
  Builder builder;
  Table in;
};

TEST (WrittenOut, AttentionIsOneStep)
{
  const gsize sizes[][6] = { { 1, 1, 1, 1, 1, 1 },     { 2, 3, 5, 7, 9, 11 },    { 1, 2, 99, 99, 16, 16 },
                             { 3, 4, 13, 33, 64, 20 }, { 1, 1, 200, 17, 8, 48 }, { 2, 1, 6, 130, 3, 65 } };
  for (const gsize *size : sizes)
    for (bool transpose : { false, true })
      for (const char *scale : { (const char *)nullptr, "Mul", "Div" })
        {
          Attention attention (size[0], size[1], size[2], size[3], size[4], size[5], transpose, scale);
          EXPECT_EQ (run_both (attention.builder.graph (), attention.in),
                     (std::vector<std::string>{ "operator", "attention" }));
        }
}

TEST (WrittenOut, AttentionKeepsGridsAroundIt)
{
  Attention attention (2, 2, 9, 10, 8, 8, true, "Mul");
  EXPECT_EQ (count (run_both (attention.builder.graph (), attention.in, { "q", "k", "v", "y" }), "attention"), 1u);
  for (const char *inside : { "s", "sc", "p", "c" })
    EXPECT_EQ (count (run_both (attention.builder.graph (), attention.in, { inside }), "attention"), 0u) << inside;
  // The scores are made of what a grid leaves of K', whatever fuses behind it.
  EXPECT_EQ (count (run_both (attention.builder.graph (), attention.in, { "kt" }), "attention"), 1u);
}

TEST (WrittenOut, AttentionSaturatesAsSoftmaxDoes)
{
  Attention attention (1, 1, 4, 20, 2, 3, true, nullptr);
  std::vector<float> q = noise (8, 9, 300.0f);
  q[0] = NAN;
  attention.in.add ("q", floats ({ 1, 1, 4, 2 }, q));
  EXPECT_EQ (count (run_both (attention.builder.graph (), attention.in), "attention"), 1u);
}

TEST (WrittenOut, WantedProbabilitiesAreComputed)
{
  Attention attention (2, 2, 9, 10, 8, 8, true, "Mul");
  const char *const wanted[] = { "p", "y", nullptr };
  EXPECT_EQ (count (run_both (attention.builder.graph (), attention.in, {}, wanted), "attention"), 0u);
}

TEST (WrittenOut, AttentionHasTheSameBytesAtAnyNumberOfThreads)
{
  Attention attention (1, 2, 150, 40, 24, 24, true, "Mul");
  std::vector<float> results[3];
  GError *error = nullptr;
  for (guint threads = 1; threads <= 3; threads++)
    {
      ht_set_n_threads (threads);
      g_autoptr (HtExecutor) executor = ht_executor_new (attention.builder.graph (), &error);
      Table out (ht_executor_run (executor, attention.in, nullptr, nullptr, &error));
      ASSERT_EQ (error, nullptr);
      results[threads - 1] = values (out["y"]);
    }
  ht_set_n_threads (0);
  EXPECT_EQ (results[0], results[1]);
  EXPECT_EQ (results[0], results[2]);
}

// Pad, then Conv: `pads` are those of the Pad, `value` what it adds.
struct PaddedConv
{
  PaddedConv (std::vector<gint64> pads, float value, gint64 channels, gint64 groups, gint64 stride)
  {
    gint64 n = (gint64)pads.size (), width = channels / groups;
    gsize n_weights = (gsize)(32 * width * 9);
    builder.input ("x", { 2, channels, 9, 11 })
        .constant ("w", floats ({ 32, width, 3, 3 }, noise (n_weights, 11, 0.2f)));
    HtTensor *tensor = ht_tensor_new (HT_DATA_TYPE_INT64, &n, 1, nullptr);
    memcpy (ht_tensor_get_writable_data (tensor), pads.data (), pads.size () * sizeof (gint64));
    builder.constant ("pads", tensor).constant ("value", floats ({}, { value }));
    builder.node ("Pad", { "x", "pads", "value" }, { "padded" });
    HtNode *conv = builder.node ("Conv", { "padded", "w" }, { "y" });
    const gint64 strides[] = { stride, stride }, own[] = { 1, 0, 0, 1 };
    ht_graph_set_ints (builder.graph (), conv, "strides", strides, 2);
    ht_graph_set_ints (builder.graph (), conv, "pads", own, 4);
    ht_graph_set_int (builder.graph (), conv, "group", groups);
    builder.output ("y");
    in.add ("x", floats ({ 2, channels, 9, 11 }, noise ((gsize)(2 * channels * 99), 12)));
  }
  Builder builder;
  Table in;
};

TEST (WrittenOut, PadIsPartOfTheConvolutionBehindIt)
{
  for (gint64 stride : { 1, 2 })
    for (gint64 channels : { 3, 32 })
      for (gint64 groups : { (gint64)1, channels == 32 ? (gint64)32 : (gint64)1 })
        {
          PaddedConv conv ({ 0, 0, 1, 0, 0, 0, 2, 3 }, 0.0f, channels, groups, stride);
          EXPECT_EQ (count (run_both (conv.builder.graph (), conv.in), "operator"), 0u);
        }
}

TEST (WrittenOut, OtherPadsRunByThemselves)
{
  const std::vector<gint64> spatial = { 0, 0, 1, 0, 0, 0, 2, 3 };
  PaddedConv ones (spatial, 1.0f, 32, 1, 1), cropped ({ 0, 0, -1, 0, 0, 0, 0, 0 }, 0.0f, 32, 1, 1),
      fine (spatial, 0.0f, 32, 1, 1);
  EXPECT_EQ (count (run_both (ones.builder.graph (), ones.in), "operator"), 1u);
  EXPECT_EQ (count (run_both (cropped.builder.graph (), cropped.in), "operator"), 1u);
  EXPECT_EQ (count (run_both (fine.builder.graph (), fine.in, { "padded" }), "operator"), 1u);
  const char *const wanted[] = { "padded", "y", nullptr };
  EXPECT_EQ (count (run_both (fine.builder.graph (), fine.in, {}, wanted), "operator"), 1u);
  // A weight that is not constant keeps the convolution from being lowered, and the Pad has to run after all.
  PaddedConv given (spatial, 0.0f, 32, 1, 1);
  given.in.add ("w", floats ({ 32, 32, 3, 3 }, noise (32 * 32 * 9, 13, 0.2f)));
  EXPECT_EQ (count (run_both (given.builder.graph (), given.in), "operator"), 2u);
}

}
