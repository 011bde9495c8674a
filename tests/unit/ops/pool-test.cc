// SPDX-License-Identifier: MIT
// Pools against the definition, in double precision and one window at a time.
#include "one-node.h"

#include <cmath>
#include <limits>

using support::Array;
using support::OneNode;

namespace
{

gint64
draw (std::mt19937 &engine, gint64 low, gint64 high)
{
  return std::uniform_int_distribution<gint64> (low, high) (engine);
}

struct Axis
{
  gint64 in, kernel, stride, dilation, begin, end, out;
};

// The output size as the specification words it, ceil_mode included: no window may start beyond the input and the
// padding in front of it.
gint64
out_size (const Axis &a, bool ceil_mode)
{
  double room = static_cast<double> (a.in + a.begin + a.end - (a.kernel - 1) * a.dilation - 1) / a.stride;
  gint64 out = static_cast<gint64> (ceil_mode ? std::ceil (room) : std::floor (room)) + 1;
  if (ceil_mode && (out - 1) * a.stride >= a.in + a.begin)
    out--;
  return out;
}

void
check_pool (std::mt19937 &engine, size_t n_axes, bool maximum, bool ceil_mode, bool count_padding)
{
  std::vector<Axis> axes (n_axes);
  std::vector<gint64> dims = { draw (engine, 1, 3), draw (engine, 1, 4) }, kernel, strides, dilations, begins, ends;
  gint64 n_in = 1, n_out = 1;
  for (Axis &a : axes)
    {
      a.kernel = draw (engine, 1, 4);
      a.stride = draw (engine, 1, 3);
      a.dilation = draw (engine, 1, 2);
      a.begin = draw (engine, 0, a.kernel - 1);
      a.end = draw (engine, 0, a.kernel - 1);
      a.in = std::max<gint64> (1, (a.kernel - 1) * a.dilation + 1 - a.begin - a.end) + draw (engine, 0, 9);
      a.out = out_size (a, ceil_mode);
      dims.push_back (a.in);
      kernel.push_back (a.kernel);
      strides.push_back (a.stride);
      dilations.push_back (a.dilation);
      begins.push_back (a.begin);
      ends.push_back (a.end);
      n_in *= a.in;
      n_out *= a.out;
    }
  Array x = support::random_array (dims, engine);
  std::vector<gint64> out_dims = { dims[0], dims[1] };
  for (const Axis &a : axes)
    out_dims.push_back (a.out);
  std::vector<double> expected;
  std::vector<gint64> where;
  for (gint64 plane = 0; plane < dims[0] * dims[1]; plane++)
    for (gint64 p = 0; p < n_out; p++)
      {
        double best = -std::numeric_limits<double>::infinity (), sum = 0;
        gint64 count = 0, best_at = 0, n_kernel = 1;
        for (const Axis &a : axes)
          n_kernel *= a.kernel;
        for (gint64 k = 0; k < n_kernel; k++)
          {
            gint64 flat = 0, weight = 1, rest_p = p, rest_k = k;
            bool inside = true, in_padding = true;
            for (size_t i = n_axes; i-- > 0;)
              {
                const Axis &a = axes[i];
                gint64 position = rest_p % a.out * a.stride + rest_k % a.kernel * a.dilation - a.begin;
                rest_p /= a.out;
                rest_k /= a.kernel;
                inside = inside && position >= 0 && position < a.in;
                in_padding = in_padding && position >= -a.begin && position < a.in + a.end;
                flat += position * weight;
                weight *= a.in;
              }
            count += count_padding ? in_padding : inside;
            if (!inside)
              continue;
            double value = x.values[plane * n_in + flat];
            sum += value;
            if (value > best)
              {
                best = value;
                best_at = plane * n_in + flat;
              }
          }
        expected.push_back (maximum ? best : count ? sum / static_cast<double> (count) : 0);
        where.push_back (best_at);
      }
  std::vector<gint64> pads = begins;
  pads.insert (pads.end (), ends.begin (), ends.end ());
  OneNode node (maximum ? "MaxPool" : "AveragePool", 19);
  node.input (x)
      .ints ("kernel_shape", kernel)
      .ints ("strides", strides)
      .ints ("dilations", dilations)
      .ints ("pads", pads);
  node.number ("ceil_mode", ceil_mode);
  if (!maximum)
    node.number ("count_include_pad", count_padding);
  GError *error = nullptr;
  auto found = node.run (&error);
  ASSERT_NO_GERROR (error);
  support::expect_close (found[0], out_dims, expected, {}, maximum ? 0 : 2e-6, "pool");
  if (!maximum)
    return;
  OneNode with_indices ("MaxPool", 19, 2);
  with_indices.input (x).ints ("kernel_shape", kernel).ints ("strides", strides).ints ("dilations", dilations);
  with_indices.ints ("pads", pads).number ("ceil_mode", ceil_mode);
  auto both = with_indices.run_tensors (&error);
  ASSERT_NO_GERROR (error);
  ASSERT_EQ (both.size (), 2u);
  for (size_t i = 0; i < where.size (); i++)
    if (std::isfinite (expected[i]))
      {
        ASSERT_EQ (ht_tensor_get_int64 (both[1], i), where[i]);
        ASSERT_EQ (ht_tensor_get_double (both[0], i), expected[i]);
      }
  ht_tensor_unref (both[0]);
  ht_tensor_unref (both[1]);
}

TEST (MaxPool, MatchesTheDefinition)
{
  std::mt19937 engine (1);
  for (int i = 0; i < 150; i++)
    check_pool (engine, 1 + i % 3, true, i % 2, false);
}

TEST (AveragePool, MatchesTheDefinition)
{
  std::mt19937 engine (2);
  for (int i = 0; i < 150; i++)
    check_pool (engine, 1 + i % 3, false, i % 2, i % 4 < 2);
}

TEST (MaxPool, NotANumberShows)
{
  Array x{ { 1, 1, 4 }, { 1, NAN, 3, 2 } };
  GError *error = nullptr;
  auto found = OneNode ("MaxPool", 12).input (x).ints ("kernel_shape", { 2 }).run (&error);
  ASSERT_NO_GERROR (error);
  EXPECT_TRUE (std::isnan (found[0].values[0]));
  EXPECT_TRUE (std::isnan (found[0].values[1]));
  EXPECT_EQ (found[0].values[2], 3);
}

TEST (MaxPool, KernelIsRequired)
{
  GError *error = nullptr;
  OneNode ("MaxPool", 12).input (Array{ { 1, 1, 4 }, { 1, 2, 3, 4 } }).run (&error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "kernel_shape");
}

TEST (GlobalPool, MeansAndMaxima)
{
  std::mt19937 engine (3);
  Array x = support::random_array ({ 3, 5, 7, 9 }, engine);
  GError *error = nullptr;
  auto means = OneNode ("GlobalAveragePool", 1).input (x).run (&error);
  ASSERT_NO_GERROR (error);
  auto maxima = OneNode ("GlobalMaxPool", 1).input (x).run (&error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (means[0].dims, (std::vector<gint64>{ 3, 5, 1, 1 }));
  for (size_t plane = 0; plane < 15; plane++)
    {
      double sum = 0;
      float best = -1e30f;
      for (size_t i = 0; i < 63; i++)
        {
          sum += x.values[plane * 63 + i];
          best = std::max (best, x.values[plane * 63 + i]);
        }
      EXPECT_NEAR (means[0].values[plane], sum / 63, 1e-6);
      EXPECT_EQ (maxima[0].values[plane], best);
    }
}

}
