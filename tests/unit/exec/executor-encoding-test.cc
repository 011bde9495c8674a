// SPDX-License-Identifier: MIT
// Quantizers are applied where tensors are made or read, and nowhere else.
#include "small-graph.h"

#include <cmath>

using small::Builder;
using small::floats;
using small::Table;
using small::values;

namespace
{

// 8 bits from -128 * scale.
HtEncoding *
grid (double scale)
{
  const gint64 offset = -128;
  return ht_encoding_new (8, FALSE, FALSE, -1, &scale, &offset, 1, nullptr);
}

float
on_grid (float x, float scale)
{
  float q = std::nearbyint (x / scale) + 128;
  return (std::min (std::max (q, 0.0f), 255.0f) - 128) * scale;
}

std::vector<float>
on_grid (std::vector<float> x, float scale)
{
  for (float &value : x)
    value = on_grid (value, scale);
  return x;
}

void
set (HtExecutor *executor, const char *name, double scale)
{
  g_autoptr (HtEncoding) encoding = grid (scale);
  ht_executor_set_encoding (executor, name, encoding);
}

const std::vector<float> input = { -1.234f, 2.345f, 0.111f, 50.0f };

TEST (ExecutorEncoding, InputsConstantsAndActivations)
{
  Builder b;
  b.input ("x", { 4 }).constant ("w", floats ({ 4 }, { 0.123f, 1.03f, -2.22f, 3.0f }));
  b.node ("Mul", { "x", "w" }, { "m" });
  b.node ("Relu", { "m" }, { "y" });
  b.output ("y");
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), nullptr);
  GError *error = nullptr;
  Table in;
  in.add ("x", floats ({ 4 }, input));
  const char *wanted[] = { "x", "w", "m", "y", nullptr };
  for (double scale : { 0.1, 0.25 })
    {
      set (executor, "x", scale);
      set (executor, "w", 0.05);
      set (executor, "m", 0.5);
      Table out (ht_executor_run (executor, in, wanted, nullptr, &error));
      ASSERT_NO_GERROR (error);
      float s = static_cast<float> (scale);
      std::vector<float> x = on_grid (input, s), w = on_grid ({ 0.123f, 1.03f, -2.22f, 3.0f }, 0.05f), m, y;
      for (size_t i = 0; i < 4; i++)
        {
          m.push_back (on_grid (x[i] * w[i], 0.5f));
          y.push_back (std::max (m[i], 0.0f));
        }
      EXPECT_EQ (values (out["x"]), x);
      EXPECT_EQ (values (out["w"]), w);
      EXPECT_EQ (values (out["m"]), m);
      EXPECT_EQ (values (out["y"]), y);
      EXPECT_EQ (values (in["x"]), input);
    }
  ht_executor_clear_encodings (executor);
  Table plain (ht_executor_run (executor, in, nullptr, nullptr, &error));
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (values (plain["y"])[1], 2.345f * 1.03f);
}

// An encoded view and an encoded in-place result must not reach what they share memory with.
TEST (ExecutorEncoding, StaysWithItsTensor)
{
  const gint64 dims[] = { 2, 2 };
  Builder b;
  b.input ("x", { 4 }).constant ("dims", ht_tensor_new_int64s (dims, 2)).constant ("zero", floats ({}, { 0 }));
  b.node ("Add", { "x", "zero" }, { "a" });
  b.node ("Reshape", { "a", "dims" }, { "v" });
  b.node ("Neg", { "v" }, { "nv" });
  b.node ("Neg", { "a" }, { "na" });
  b.output ("nv").output ("na");
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), nullptr);
  set (executor, "v", 0.5);
  GError *error = nullptr;
  Table in;
  in.add ("x", floats ({ 4 }, input));
  Table out (ht_executor_run (executor, in, nullptr, nullptr, &error));
  ASSERT_NO_GERROR (error);
  std::vector<float> na, nv;
  for (float x : input)
    {
      na.push_back (-x);
      nv.push_back (-on_grid (x, 0.5f));
    }
  EXPECT_EQ (values (out["na"]), na);
  EXPECT_EQ (values (out["nv"]), nv);
}

// A constant that another one is computed from: the quantized one counts, though folding knows the answer without.
TEST (ExecutorEncoding, ReachesWhatFoldsToAConstant)
{
  Builder b;
  b.input ("x", { 4 }).constant ("w", floats ({ 4 }, { 0.123f, 1.03f, -2.22f, 3.0f }));
  b.node ("Neg", { "w" }, { "nw" });
  b.node ("Add", { "x", "nw" }, { "y" });
  b.output ("y");
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), nullptr);
  set (executor, "w", 0.5);
  GError *error = nullptr;
  Table in;
  in.add ("x", floats ({ 4 }, { 0, 0, 0, 0 }));
  Table out (ht_executor_run (executor, in, nullptr, nullptr, &error));
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (values (out["y"]), (std::vector<float>{ 0, -1, 2, -3 }));
}

TEST (ExecutorEncoding, ChannelsAlongAnAxis)
{
  Builder b;
  b.input ("x", { 2, 2 });
  b.node ("Identity", { "x" }, { "y" });
  b.output ("y");
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), nullptr);
  const double scales[] = { 1, 0.5 };
  const gint64 offsets[] = { -128, -128 };
  for (gint axis : { 0, 1 })
    {
      GError *error = nullptr;
      g_autoptr (HtEncoding) encoding = ht_encoding_new (8, FALSE, FALSE, axis, scales, offsets, 2, &error);
      ASSERT_NO_GERROR (error);
      ht_executor_set_encoding (executor, "y", encoding);
      Table in;
      in.add ("x", floats ({ 2, 2 }, { 0.6f, 0.6f, 0.6f, 0.6f }));
      Table out (ht_executor_run (executor, in, nullptr, nullptr, &error));
      ASSERT_NO_GERROR (error);
      EXPECT_EQ (values (out["y"]),
                 axis == 0 ? (std::vector<float>{ 1, 1, 0.5f, 0.5f }) : (std::vector<float>{ 1, 0.5f, 1, 0.5f }));
    }
}

TEST (ExecutorEncoding, WhatDoesNotFitIsAnError)
{
  const gint64 numbers[] = { 1, 2 };
  Builder b;
  b.input ("x", { 3, 2 }).input ("i", { 2 }, HT_DATA_TYPE_INT64);
  b.node ("Relu", { "x" }, { "y" });
  b.node ("Identity", { "i" }, { "j" });
  b.output ("y").output ("j");
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), nullptr);
  const double scales[] = { 1, 0.5 };
  const gint64 offsets[] = { -128, -128 };
  GError *error = nullptr;
  g_autoptr (HtEncoding) encoding = ht_encoding_new (8, FALSE, FALSE, 0, scales, offsets, 2, &error);
  ASSERT_NO_GERROR (error);
  Table in;
  in.add ("x", floats ({ 3, 2 }, { 1, 2, 3, 4, 5, 6 })).add ("i", ht_tensor_new_int64s (numbers, 2));
  ht_executor_set_encoding (executor, "y", encoding);
  EXPECT_EQ (ht_executor_run (executor, in, nullptr, nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_SHAPE, "'y'");
  ht_executor_set_encoding (executor, "y", nullptr);
  for (const char *name : { "i", "j" })
    {
      set (executor, name, 1);
      EXPECT_EQ (ht_executor_run (executor, in, nullptr, nullptr, &error), nullptr);
      EXPECT_GERROR (error, HT_ERROR, HT_ERROR_DATA_TYPE, std::string ("'") + name + "'");
      ht_executor_set_encoding (executor, name, nullptr);
    }
  Table out (ht_executor_run (executor, in, nullptr, nullptr, &error));
  ASSERT_NO_GERROR (error);
}

}
