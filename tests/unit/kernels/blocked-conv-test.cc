// SPDX-License-Identifier: MIT
// Convolutions and products of the blocked layout against sums in double precision.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

extern "C"
{
#include "base/thread-pool.h"
#include "kernels/blocked.h"
#include "kernels/fake-quantize.h"
#include "kernels/isa.h"
}

namespace
{

std::mt19937 random_bits (7);

gsize
pick (gsize low, gsize high)
{
  return low + random_bits () % (high - low + 1);
}

float
value ()
{
  return (float)((int)(random_bits () % 2001) - 1000) * 0.001f;
}

std::vector<float>
values (gsize n)
{
  std::vector<float> v (n);
  for (float &x : v)
    x = value ();
  return v;
}

/* Floats at a 64-byte border, NaN unless set, with a guard behind them. */
struct Aligned
{
  explicit Aligned (gsize n_floats) : n (n_floats)
  {
    gsize bytes = ((n + 16) * sizeof (float) + 63) / 64 * 64;
    data = (float *)aligned_alloc (64, bytes);
    for (gsize i = 0; i < n; i++)
      data[i] = NAN;
    for (gsize i = n; i < bytes / sizeof (float); i++)
      data[i] = 12345.0f;
  }
  ~Aligned ()
  {
    EXPECT_EQ (data[n], 12345.0f) << "written beyond the end";
    free (data);
  }
  Aligned (const Aligned &) = delete;
  gsize n;
  float *data;
};

struct Finish
{
  bool scale = false, shift = false, residual = false, in_place = false;
  HtActivation activation = HT_ACTIVATION_NONE;
  float low = -0.4f, high = 0.9f, slope = 0.2f;
  const HtGrid *grid = nullptr, *inner = nullptr;
};

double
activate (double x, const Finish &f)
{
  switch (f.activation)
    {
    case HT_ACTIVATION_NONE:
      return x;
    case HT_ACTIVATION_CLAMP:
      return std::min (std::max (x, (double)f.low), (double)f.high);
    case HT_ACTIVATION_LEAKY:
      return x < 0 ? f.slope * x : x;
    case HT_ACTIVATION_SIGMOID:
      return 1 / (1 + exp (-x));
    case HT_ACTIVATION_TANH:
      return tanh (x);
    case HT_ACTIVATION_HARD_SIGMOID:
      return std::max (0.0, std::min (1.0, (double)f.slope * x + f.low));
    case HT_ACTIVATION_HARD_SWISH:
      return x * std::max (0.0, std::min (1.0, (double)f.slope * x + f.low));
    case HT_ACTIVATION_SWISH:
      return x / (1 + exp (-x));
    case HT_ACTIVATION_GELU:
      return x / 2 * (1 + erf (x / sqrt (2.0)));
    case HT_ACTIVATION_GELU_TANH:
      return x / 2 * (1 + tanh (0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    }
  return NAN;
}

std::vector<double>
convolve (const HtConvGeometry &g, const std::vector<float> &x, const std::vector<float> &w,
          std::vector<double> &magnitude)
{
  gsize in_group = g.in_channels / g.groups, out_group = g.out_channels / g.groups;
  gsize in = ht_conv_volume (g.in), out = ht_conv_volume (g.out), n_taps = ht_conv_volume (g.kernel);
  std::vector<double> y (g.batch * g.out_channels * out);
  magnitude.assign (y.size (), 0);
  for (gsize n = 0; n < g.batch; n++)
    for (gsize o = 0; o < g.out_channels; o++)
      for (gsize p = 0; p < out; p++)
        {
          gsize at[3] = { p / g.out[2] / g.out[1], p / g.out[2] % g.out[1], p % g.out[2] };
          double sum = 0, size = 0;
          for (gsize t = 0; t < n_taps; t++)
            {
              gsize tap[3] = { t / g.kernel[2] / g.kernel[1], t / g.kernel[2] % g.kernel[1], t % g.kernel[2] };
              gint64 from[3];
              bool inside = true;
              for (int a = 0; a < 3; a++)
                {
                  from[a] = (gint64)(at[a] * g.stride[a] + tap[a] * g.dilation[a]) - g.pad[a];
                  inside = inside && from[a] >= 0 && from[a] < (gint64)g.in[a];
                }
              if (!inside)
                continue;
              gsize position = ((gsize)from[0] * g.in[1] + (gsize)from[1]) * g.in[2] + (gsize)from[2];
              for (gsize c = 0; c < in_group; c++)
                {
                  double product = (double)x[(n * g.in_channels + o / out_group * in_group + c) * in + position]
                                   * w[(o * in_group + c) * n_taps + t];
                  sum += product;
                  size += fabs (product);
                }
            }
          y[(n * g.out_channels + o) * out + p] = sum;
          magnitude[(n * g.out_channels + o) * out + p] = size;
        }
  return y;
}

std::vector<float>
run (const HtConvGeometry &g, bool plain, const float *x, const std::vector<float> &w, const HtEpilogue *e,
     const float *residual, guint n_slices)
{
  gsize block = ht_isa_get_block (), positions = ht_conv_volume (g.out);
  gsize n = ht_blocked_floats (g.batch, g.out_channels, positions, block);
  Aligned packed (ht_blocked_conv_packed_floats (&g, plain)), y (n);
  ht_blocked_conv_pack (&g, plain, w.data (), packed.data);
  gsize slice = ht_blocked_conv_slice (&g, plain);
  EXPECT_EQ (slice % 64, 0u);
  Aligned scratch (slice / sizeof (float) * n_slices);
  HtEpilogue copy = e ? *e : HtEpilogue{};
  if (residual)
    {
      memcpy (y.data, residual, n * sizeof (float));
      copy.residual = y.data;
    }
  ht_blocked_conv (&g, plain, x, packed.data, e ? &copy : nullptr, y.data, scratch.data, n_slices);
  std::vector<float> result (g.batch * g.out_channels * positions);
  ht_blocked_to_plain (g.batch, g.out_channels, positions, y.data, result.data (), nullptr);
  return result;
}

std::string
describe (const HtConvGeometry &g, bool plain)
{
  std::string text = plain ? "plain" : "blocked";
  auto list = [&] (const char *name, auto values) {
    text += std::string (" ") + name;
    for (int a = 0; a < 3; a++)
      text += " " + std::to_string (values[a]);
  };
  text += " batch " + std::to_string (g.batch) + " groups " + std::to_string (g.groups) + " channels "
          + std::to_string (g.in_channels) + " " + std::to_string (g.out_channels);
  list ("in", g.in);
  list ("out", g.out);
  list ("kernel", g.kernel);
  list ("stride", g.stride);
  list ("dilation", g.dilation);
  list ("pad", g.pad);
  return text;
}

void
check (const HtConvGeometry &g, bool plain, const Finish &f)
{
  SCOPED_TRACE (describe (g, plain));
  ASSERT_TRUE (ht_blocked_conv_supports (&g, plain));
  gsize block = ht_isa_get_block (), in = ht_conv_volume (g.in), positions = ht_conv_volume (g.out);
  gsize padded = (g.out_channels + block - 1) / block * block;
  std::vector<float> x = values (g.batch * g.in_channels * in);
  std::vector<float> w = values (g.out_channels * (g.in_channels / g.groups) * ht_conv_volume (g.kernel));
  std::vector<float> scale = values (padded), shift = values (padded);
  std::vector<float> residual = values (g.batch * g.out_channels * positions);
  Aligned blocked (ht_blocked_floats (g.batch, g.in_channels, in, block));
  Aligned blocked_residual (ht_blocked_floats (g.batch, g.out_channels, positions, block));
  ht_blocked_from_plain (g.batch, g.in_channels, in, x.data (), blocked.data, nullptr);
  ht_blocked_from_plain (g.batch, g.out_channels, positions, residual.data (), blocked_residual.data, nullptr);

  HtEpilogue e = {};
  e.scale = f.scale ? scale.data () : nullptr;
  e.shift = f.shift ? shift.data () : nullptr;
  e.residual = f.residual ? blocked_residual.data : nullptr;
  e.inner_grid = f.inner;
  e.activation = f.activation;
  e.low = f.low;
  e.high = f.high;
  e.slope = f.slope;
  const float *from = plain ? x.data () : blocked.data;
  const float *in_place = f.residual && f.in_place ? blocked_residual.data : nullptr;

  ht_thread_pool_set_size (2);
  std::vector<float> y = run (g, plain, from, w, &e, in_place, 2);
  std::vector<double> magnitude, expected = convolve (g, x, w, magnitude);
  for (gsize i = 0; i < y.size (); i++)
    {
      gsize channel = i / positions % g.out_channels;
      double sum = expected[i] * (f.scale ? scale[channel] : 1) + (f.shift ? shift[channel] : 0);
      double allowed = 2e-6 * (magnitude[i] + 1);
      if (f.inner)
        {
          float rounded = (float)sum;
          ht_kernel_fake_quantize (&rounded, &rounded, 1, f.inner->scale, f.inner->offset, f.inner->n_steps);
          sum = rounded;
          /* A sum at the border of two codes may go either way; no activation is steeper than this. */
          allowed += 1.2 * f.inner->scale;
        }
      sum = activate (sum + (f.residual ? residual[i] : 0), f);
      ASSERT_NEAR (y[i], sum, allowed) << "element " << i;
    }

  ht_thread_pool_set_size (1);
  EXPECT_EQ (y, run (g, plain, from, w, &e, in_place, 1)) << "depends on the number of threads";
  ht_thread_pool_set_size (0);

  if (f.grid)
    {
      e.grid = f.grid;
      std::vector<float> quantized = y;
      ht_kernel_fake_quantize (y.data (), quantized.data (), y.size (), f.grid->scale, f.grid->offset, f.grid->n_steps);
      std::vector<float> found = run (g, plain, from, w, &e, in_place, 2);
      for (gsize i = 0; i < found.size (); i++)
        ASSERT_EQ (quantized[i], found[i])
            << "other bits than the kernel's, element " << i << " of " << y[i] << ", activation " << f.activation << " "
            << f.scale << f.shift << f.residual << (f.inner != nullptr);
    }
}

/* What an integer processor computes: exact sums of codes, one float factor for each channel, rounding to even. */
void
check_integers (const HtConvGeometry &g, bool plain, bool inner)
{
  SCOPED_TRACE (describe (g, plain));
  gsize block = ht_isa_get_block (), in = ht_conv_volume (g.in), positions = ht_conv_volume (g.out);
  gsize padded = (g.out_channels + block - 1) / block * block;
  std::vector<float> x (g.batch * g.in_channels * in), factor (padded), bias (padded);
  std::vector<float> w (g.out_channels * (g.in_channels / g.groups) * ht_conv_volume (g.kernel));
  std::vector<float> residual (g.batch * g.out_channels * positions);
  for (float &v : x)
    v = (float)pick (0, 255) - 100.0f;
  for (float &v : w)
    v = (float)pick (0, 254) - 127.0f;
  for (float &v : residual)
    v = (float)pick (0, 255) - 60.0f;
  for (gsize c = 0; c < padded; c++)
    {
      factor[c] = 0.0001f + 0.00003f * (float)pick (0, 50);
      bias[c] = (float)pick (0, 20000) - 10000.0f;
    }
  Aligned blocked (ht_blocked_floats (g.batch, g.in_channels, in, block));
  Aligned blocked_residual (ht_blocked_floats (g.batch, g.out_channels, positions, block));
  ht_blocked_from_plain (g.batch, g.in_channels, in, x.data (), blocked.data, nullptr);
  ht_blocked_from_plain (g.batch, g.out_channels, positions, residual.data (), blocked_residual.data, nullptr);

  const float step = 0.037f, residual_step = 0.051f;
  HtGrid codes = { 1.0f, -90.0f, 255.0f, step }, sums = { 0.07f, -120.0f, 255.0f, 1.0f };
  HtEpilogue e = {};
  e.scale = factor.data ();
  e.shift = bias.data ();
  e.shift_first = TRUE;
  if (inner)
    {
      e.inner_grid = &codes;
      e.residual = blocked_residual.data;
      e.residual_unit = residual_step;
      e.grid = &sums;
    }
  else
    {
      e.grid = &codes;
    }
  std::vector<float> y = run (g, plain, plain ? x.data () : blocked.data, w, &e, nullptr, 2);
  std::vector<double> magnitude, expected = convolve (g, x, w, magnitude);
  for (gsize i = 0; i < y.size (); i++)
    {
      gsize channel = i / positions % g.out_channels;
      ASSERT_LT (magnitude[i], 16777216.0);
      volatile float sum = (float)(expected[i] + (double)bias[channel]);
      volatile float scaled = sum * factor[channel];
      volatile float code = std::min (std::max (std::nearbyint ((float)scaled), -90.0f), 165.0f);
      volatile float value = code * step;
      if (inner)
        {
          volatile float addend = residual[i] * residual_step;
          volatile float total = value + addend;
          value = std::min (std::max (std::nearbyint ((float)total / 0.07f), -120.0f), 135.0f);
        }
      ASSERT_EQ (y[i], (float)value) << "element " << i;
    }
}

const HtGrid grids[]
    = { { 0.05f, -128.0f, 255.0f, 0.0f }, { 0.1f, 0.0f, 15.0f, 0.0f }, { 0.0003f, -20000.0f, 65535.0f, 0.0f } };

Finish
random_finish ()
{
  Finish f;
  f.scale = pick (0, 1);
  f.shift = pick (0, 1);
  f.residual = pick (0, 2) == 0;
  f.in_place = pick (0, 1);
  f.activation = (HtActivation)(pick (0, 2) ? pick (0, 1) : pick (0, HT_ACTIVATION_GELU_TANH));
  f.grid = pick (0, 2) ? nullptr : &grids[pick (0, 2)];
  f.inner = pick (0, 5) ? nullptr : &grids[pick (0, 2)];
  return f;
}

HtConvGeometry
random_geometry (int n_axes, gsize batch, gsize groups, gsize in_channels, gsize out_channels, gsize max_in)
{
  HtConvGeometry g = {};
  g.batch = batch;
  g.groups = groups;
  g.in_channels = in_channels;
  g.out_channels = out_channels;
  for (int a = 0; a < 3; a++)
    {
      g.in[a] = g.out[a] = g.kernel[a] = g.stride[a] = g.dilation[a] = 1;
      if (a < 3 - n_axes)
        continue;
      gint64 extent;
      do
        {
          g.in[a] = pick (1, max_in);
          g.kernel[a] = pick (1, pick (0, 3) ? 3 : 7);
          g.stride[a] = pick (0, 1) ? 1 : pick (1, 4);
          g.dilation[a] = pick (0, 2) ? 1 : pick (1, 3);
          g.pad[a] = (gint64)pick (0, 5) - 2;
          gint64 end = (gint64)pick (0, 5) - 2;
          extent = (gint64)g.in[a] + g.pad[a] + end - (gint64)((g.kernel[a] - 1) * g.dilation[a] + 1);
        }
      while (extent < 0);
      g.out[a] = (gsize)extent / g.stride[a] + 1;
    }
  return g;
}

HtConvGeometry
square (gsize batch, gsize groups, gsize in_channels, gsize out_channels, gsize in, gsize kernel, gsize stride,
        gint64 pad)
{
  HtConvGeometry g = {};
  g.batch = batch;
  g.groups = groups;
  g.in_channels = in_channels;
  g.out_channels = out_channels;
  for (int a = 0; a < 3; a++)
    {
      g.in[a] = a ? in : 1;
      g.kernel[a] = a ? kernel : 1;
      g.stride[a] = a ? stride : 1;
      g.dilation[a] = 1;
      g.pad[a] = a ? pad : 0;
      g.out[a] = a ? (gsize)((gint64)(in - kernel) + 2 * pad) / stride + 1 : 1;
    }
  return g;
}

TEST (BlockedConv, RandomGeometries)
{
  for (int i = 0; i < 250 && !HasFatalFailure (); i++)
    check (random_geometry ((int)pick (1, 3), pick (1, 3), 1, pick (1, 40), pick (1, 70), pick (0, 3) ? 9 : 20), false,
           random_finish ());
}

TEST (BlockedConv, LongRows)
{
  for (int i = 0; i < 12 && !HasFatalFailure (); i++)
    check (random_geometry (1, 1, 1, pick (1, i % 2 ? 8 : 20), pick (1, 40), 3000), i % 2, random_finish ());
}

TEST (BlockedConv, PlainInput)
{
  for (int i = 0; i < 120 && !HasFatalFailure (); i++)
    check (random_geometry ((int)pick (1, 3), pick (1, 3), 1, pick (1, ht_isa_get_block ()), pick (1, 70), 16), true,
           random_finish ());
}

TEST (BlockedConv, Groups)
{
  gsize block = ht_isa_get_block ();
  for (int i = 0; i < 40 && !HasFatalFailure (); i++)
    {
      gsize groups = pick (2, 4);
      check (random_geometry ((int)pick (1, 3), pick (1, 2), groups, groups * block * pick (1, 2),
                              groups * block * pick (1, 3), 9),
             false, random_finish ());
    }
}

TEST (BlockedConv, Depthwise)
{
  for (int i = 0; i < 150 && !HasFatalFailure (); i++)
    {
      gsize channels = pick (2, 40);
      check (random_geometry ((int)pick (1, 3), pick (1, 3), channels, channels, channels, pick (0, 2) ? 9 : 40), false,
             random_finish ());
    }
}

TEST (BlockedConv, DepthwisePlanes)
{
  /* Around the numbers of columns, and of rows, that are run at once. */
  for (gsize stride : { 1, 2 })
    for (gsize size : { 1, 2, 3, 4, 5, 7, 8, 63, 64, 65, 66, 129, 140 })
      for (gint64 pad = 0; pad <= 2 && !HasFatalFailure (); pad++)
        if ((gint64)size + 2 * pad >= 3)
          check (square (1, 20, 20, 20, size, 3, stride, pad), false, random_finish ());
}

TEST (BlockedConv, Pointwise)
{
  for (int i = 0; i < 60 && !HasFatalFailure (); i++)
    {
      gsize in = i % 5 ? pick (1, 20) : 1;
      check (square (pick (1, 4), 1, pick (1, 90), pick (1, 150), in, 1, 1, 0), false, random_finish ());
    }
}

TEST (BlockedConv, ManyChannels)
{
  /* Enough to be summed in chunks. */
  check (square (1, 1, 400, 70, 7, 3, 1, 1), false, random_finish ());
  check (square (2, 1, 300, 40, 14, 3, 1, 1), false, random_finish ());
  check (square (1, 1, 2100, 33, 15, 1, 1, 0), false, random_finish ());
  check (square (5, 1, 260, 70, 4, 3, 2, 1), false, random_finish ());
}

TEST (BlockedConv, EveryActivation)
{
  for (int a = 0; a <= HT_ACTIVATION_GELU_TANH; a++)
    {
      Finish f;
      f.activation = (HtActivation)a;
      f.grid = &grids[0];
      f.residual = f.shift = true;
      check (square (1, 1, 20, 40, 9, 3, 1, 1), false, f);
      check (square (1, 20, 20, 20, 9, 3, 1, 1), false, f);
    }
}

TEST (BlockedConv, IntegersAreExact)
{
  gsize block = ht_isa_get_block ();
  for (bool inner : { false, true })
    {
      check_integers (square (2, 1, 20, 40, 9, 3, 1, 1), false, inner);
      check_integers (square (1, 1, 3, 33, 11, 3, 2, 1), true, inner);
      check_integers (square (2, 1, 64, 48, 7, 1, 1, 0), false, inner);
      check_integers (square (1, 2 * block + 3, 2 * block + 3, 2 * block + 3, 10, 3, 1, 1), false, inner);
      for (int i = 0; i < 20 && !HasFatalFailure (); i++)
        check_integers (random_geometry ((int)pick (1, 3), pick (1, 3), 1, pick (1, 30), pick (1, 50), 9), false,
                        inner);
    }
}

TEST (BlockedConv, NanStaysUnlessQuantized)
{
  gsize block = ht_isa_get_block ();
  HtConvGeometry g = square (1, 1, block, block, 4, 1, 1, 0);
  Aligned x (16 * block);
  for (gsize i = 0; i < x.n; i++)
    x.data[i] = i / block == 3 ? NAN : 1.0f;
  HtEpilogue e = {};
  e.activation = HT_ACTIVATION_CLAMP;
  e.low = 0;
  e.high = 6;
  std::vector<float> y = run (g, false, x.data, values (block * block), &e, nullptr, 1);
  for (gsize i = 0; i < y.size (); i++)
    EXPECT_EQ (std::isnan (y[i]), i % 16 == 3) << i;
  /* A grid sends it to its lowest value, below what the clamp lets through. */
  HtGrid grid = { 0.5f, -8.0f, 15.0f, 0.0f };
  e.grid = &grid;
  y = run (g, false, x.data, values (block * block), &e, nullptr, 1);
  for (gsize i = 0; i < y.size (); i++)
    EXPECT_EQ (y[i] == -4.0f, i % 16 == 3) << i << " " << y[i];
}

TEST (BlockedConv, EmptyBatch)
{
  HtConvGeometry g = square (0, 1, 20, 40, 9, 3, 1, 1);
  check (g, false, Finish{});
}

TEST (BlockedConv, SaysWhatItSupports)
{
  gsize block = ht_isa_get_block ();
  HtConvGeometry narrow_groups = square (1, 4, 8, 16, 9, 3, 1, 1), wide = square (1, 1, block + 1, 16, 9, 3, 1, 1);
  EXPECT_FALSE (ht_blocked_conv_supports (&narrow_groups, FALSE));
  EXPECT_FALSE (ht_blocked_conv_supports (&wide, TRUE));
  EXPECT_TRUE (ht_blocked_conv_supports (&wide, FALSE));
}

void
check_gemm (gsize m, gsize n, gsize k, bool transpose_b, const Finish &f)
{
  SCOPED_TRACE (std::to_string (m) + " x " + std::to_string (n) + " x " + std::to_string (k));
  gsize block = ht_isa_get_block (), padded = (n + block - 1) / block * block;
  gsize lda = k + pick (0, 3), ldc = n + pick (0, 5), ldb = (transpose_b ? k : n) + pick (0, 3);
  std::vector<float> a = values (m * lda), b = values ((transpose_b ? n : k) * ldb), residual = values (m * ldc);
  std::vector<float> scale = values (padded), shift = values (padded);
  a.resize (m ? (m - 1) * lda + k : 0);
  Aligned packed (ht_packed_gemm_floats (k, n));
  ht_packed_gemm_pack (transpose_b, k, n, b.data (), ldb, packed.data);
  HtEpilogue e = {};
  e.scale = f.scale ? scale.data () : nullptr;
  e.shift = f.shift ? shift.data () : nullptr;
  e.inner_grid = f.inner;
  e.activation = f.activation;
  e.low = f.low;
  e.high = f.high;
  e.slope = f.slope;
  auto product = [&] (guint n_threads) {
    /* Between rows, and behind the last, nothing may be written. */
    std::vector<float> c (m * ldc, 77.0f);
    residual.resize (m ? (m - 1) * ldc + n : 0);
    e.residual = f.residual ? residual.data () : nullptr;
    if (f.residual && f.in_place)
      {
        for (gsize i = 0; i < m; i++)
          memcpy (&c[i * ldc], &residual[i * ldc], n * sizeof (float));
        e.residual = c.data ();
      }
    ht_thread_pool_set_size (n_threads);
    ht_packed_gemm (m, n, k, a.data (), lda, packed.data, &e, c.data (), ldc);
    ht_thread_pool_set_size (0);
    return c;
  };
  std::vector<float> c = product (2);
  for (gsize i = 0; i < m; i++)
    for (gsize j = 0; j < ldc; j++)
      {
        if (j >= n)
          {
            ASSERT_EQ (c[i * ldc + j], 77.0f);
            continue;
          }
        double sum = 0, size = 0;
        for (gsize p = 0; p < k; p++)
          {
            double term = (double)a[i * lda + p] * (transpose_b ? b[j * ldb + p] : b[p * ldb + j]);
            sum += term;
            size += fabs (term);
          }
        sum = sum * (f.scale ? scale[j] : 1) + (f.shift ? shift[j] : 0);
        double allowed = 2e-6 * (size + 1);
        if (f.inner)
          {
            float rounded = (float)sum;
            ht_kernel_fake_quantize (&rounded, &rounded, 1, f.inner->scale, f.inner->offset, f.inner->n_steps);
            sum = rounded;
            allowed += 1.2 * f.inner->scale;
          }
        ASSERT_NEAR (c[i * ldc + j], activate (sum + (f.residual ? residual[i * ldc + j] : 0), f), allowed)
            << i << " " << j;
      }
  EXPECT_EQ (c, product (1)) << "depends on the number of threads";
  if (f.grid && m > 0)
    {
      std::vector<float> quantized = c;
      for (gsize i = 0; i < m; i++)
        ht_kernel_fake_quantize (&c[i * ldc], &quantized[i * ldc], n, f.grid->scale, f.grid->offset, f.grid->n_steps);
      e.grid = f.grid;
      EXPECT_EQ (quantized, product (2));
    }
}

TEST (PackedGemm, RandomShapes)
{
  for (int i = 0; i < 200 && !HasFatalFailure (); i++)
    check_gemm (pick (1, i % 2 ? 8 : 70), pick (1, 100), pick (1, 90), pick (0, 1), random_finish ());
}

TEST (PackedGemm, LargeAndEmptyShapes)
{
  check_gemm (1, 33, 5000, true, random_finish ());
  check_gemm (3, 500, 3000, false, random_finish ());
  check_gemm (300, 70, 2500, false, random_finish ());
  check_gemm (0, 70, 25, false, Finish{});
  check_gemm (5, 7, 0, false, Finish{});
}

} // namespace
