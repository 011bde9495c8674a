// SPDX-License-Identifier: MIT
// Layers on integers, computed in integers: what tests of the plan's steps on codes compare with. The arithmetic is
// that of ONNX QLinearConv as onnxruntime runs it.
#pragma once

#include "small-graph.h"

#include <algorithm>
#include <cmath>

namespace small
{

struct Grid
{
  float scale;
  gint64 offset; // 8 bits
};

using Codes = std::vector<gint64>;

inline float
clamp_code (float code, const Grid &grid)
{
  return std::min (std::max (std::nearbyint (code), (float)grid.offset), (float)(grid.offset + 255));
}

inline std::vector<float>
to_values (const Codes &codes, float scale)
{
  std::vector<float> result;
  for (gint64 code : codes)
    result.push_back ((float)code * scale);
  return result;
}

inline Codes
to_codes (const std::vector<float> &x, const Grid &grid)
{
  Codes result;
  for (float value : x)
    result.push_back ((gint64)clamp_code (value / grid.scale, grid));
  return result;
}

// 3 x 3 with a border of 1 over [channels][6][6]; w is [out][channels / groups][3][3].
struct Layer
{
  gsize in, out, groups;
  Codes weight, bias;
  std::vector<float> weight_scale;

  Layer (gsize n_in, gsize n_out, gsize n_groups, unsigned seed) : in (n_in), out (n_out), groups (n_groups)
  {
    for (gsize i = 0; i < out * (in / groups) * 9; i++)
      weight.push_back ((gint64)((i * 7919 + seed * 104729) % 255) - 127);
    for (gsize o = 0; o < out; o++)
      {
        bias.push_back ((gint64)((o * 1237 + seed) % 4001) - 2000);
        weight_scale.push_back (0.002f + 0.0003f * (float)((o * 5 + seed) % 11));
      }
  }

  std::vector<float> weight_values () const
  {
    std::vector<float> result;
    for (gsize i = 0; i < weight.size (); i++)
      result.push_back ((float)weight[i] * weight_scale[i / (weight.size () / out)]);
    return result;
  }

  std::vector<float> bias_values (float input_scale) const
  {
    std::vector<float> result;
    for (gsize o = 0; o < out; o++)
      result.push_back ((float)bias[o] * (input_scale * weight_scale[o]));
    return result;
  }

  Codes run (const Codes &x, float input_scale, const Grid &grid, gint64 low) const
  {
    Codes y;
    for (gsize o = 0; o < out; o++)
      for (int r = 0; r < 6; r++)
        for (int c = 0; c < 6; c++)
          {
            gint64 sum = bias[o];
            for (gsize i = 0; i < in / groups; i++)
              for (int k = 0; k < 9; k++)
                {
                  int row = r + k / 3 - 1, column = c + k % 3 - 1;
                  if (row >= 0 && row < 6 && column >= 0 && column < 6)
                    sum += weight[(o * (in / groups) + i) * 9 + (gsize)k]
                           * x[((o / (out / groups) * (in / groups) + i) * 6 + (gsize)row) * 6 + (gsize)column];
                }
            volatile float factor = input_scale * weight_scale[o];
            factor = factor / grid.scale;
            volatile float scaled = (float)sum * factor;
            y.push_back (std::max ((gint64)clamp_code (scaled, grid), low));
          }
    return y;
  }
};

inline void
set (HtExecutor *executor, const char *name, guint bits, gboolean symmetric, const std::vector<double> &scales,
     gint64 offset)
{
  std::vector<gint64> offsets (scales.size (), offset);
  GError *error = nullptr;
  g_autoptr (HtEncoding) encoding = ht_encoding_new (bits, symmetric, FALSE, scales.size () > 1 ? 0 : -1,
                                                     scales.data (), offsets.data (), scales.size (), &error);
  ASSERT_NO_GERROR (error);
  ht_executor_set_encoding (executor, name, encoding);
}

inline void
set_layer (HtExecutor *executor, const Layer &layer, float input_scale, const char *weight, const char *bias)
{
  std::vector<double> steps;
  for (float scale : layer.weight_scale)
    steps.push_back (input_scale * scale);
  set (executor, weight, 8, TRUE, { layer.weight_scale.begin (), layer.weight_scale.end () }, -128);
  set (executor, bias, 32, TRUE, steps, -G_GINT64_CONSTANT (2147483648));
}

}
