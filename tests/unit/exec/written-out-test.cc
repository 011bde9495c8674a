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

}
