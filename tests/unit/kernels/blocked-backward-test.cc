// SPDX-License-Identifier: MIT
// Backward kernels other than those of convolutions, against sums in double.
#include "blocked-support.h"
#include "pool-geometry.h"

extern "C"
{
#include "kernels/blocked-backward.h"
#include "kernels/fake-quantize.h"
}

#include <cmath>
#include <functional>

namespace
{

TEST (BlockedPoolBackward, RandomGeometries)
{
  std::mt19937 engine (8);
  for (int round = 0; round < 120; round++)
    {
      HtPoolGeometry pool = random_pool (engine);
      const HtConvGeometry &g = pool.geometry;
      gsize in = ht_conv_volume (g.in), out = ht_conv_volume (g.out), planes = g.batch * g.in_channels;
      std::vector<float> x = random_floats (planes * in, (unsigned)round), dy = random_floats (planes * out, 1);
      // Equal values: the first of them counts.
      for (float &value : x)
        value = std::round (value * 2) / 2;
      std::vector<double> of_max (planes * in, 0.0), of_average (planes * in, 0.0);
      for (gsize plane = 0; plane < planes; plane++)
        {
          std::vector<double> best (out, -INFINITY), count (out, 0.0);
          std::vector<gint64> where (out, -1);
          walk_windows (pool, [&] (gsize o, gint64 at) {
            if (at >= 0 && (where[o] < 0 || x[plane * in + (gsize)at] > best[o]))
              {
                best[o] = x[plane * in + (gsize)at];
                where[o] = at;
              }
            count[o] += at >= 0 || pool.count_padding ? 1.0 : 0.0;
          });
          for (gsize o = 0; o < out; o++)
            if (where[o] >= 0)
              of_max[plane * in + (gsize)where[o]] += dy[plane * out + o];
          walk_windows (pool, [&] (gsize o, gint64 at) {
            if (at >= 0)
              of_average[plane * in + (gsize)at] += dy[plane * out + o] / count[o];
          });
        }
      Aligned blocked_x = to_blocked (g.batch, g.in_channels, in, x);
      Aligned blocked_dy = to_blocked (g.batch, g.in_channels, out, dy), dx (blocked_x.n);
      ht_blocked_max_pool_backward (&pool, blocked_x.data (), blocked_dy.data (), dx.data ());
      expect_near (to_plain (g.batch, g.in_channels, in, dx), of_max);
      ht_blocked_average_pool_backward (&pool, blocked_dy.data (), dx.data ());
      expect_near (to_plain (g.batch, g.in_channels, in, dx), of_average);
    }
}

TEST (BlockedPoolBackward, WholePlanes)
{
  const gsize batch = 2, channels = 21, positions = 50;
  std::vector<float> x = random_floats (batch * channels * positions, 1), dy = random_floats (batch * channels, 2);
  x[3] = x[17] = NAN;
  std::vector<double> of_max (x.size (), 0.0), of_average;
  for (gsize plane = 0; plane < batch * channels; plane++)
    {
      gsize where = 0;
      for (gsize p = 0; p < positions; p++)
        {
          if (x[plane * positions + p] > x[plane * positions + where])
            where = p;
          of_average.push_back (dy[plane] / (double)positions);
        }
      of_max[plane * positions + (plane == 0 ? 3 : where)] = dy[plane];
    }
  Aligned blocked_x = to_blocked (batch, channels, positions, x), dx (blocked_x.n);
  ht_blocked_global_max_pool_backward (batch, channels, positions, blocked_x.data (), dy.data (), dx.data ());
  expect_near (to_plain (batch, channels, positions, dx), of_max);
  ht_blocked_global_average_pool_backward (batch, channels, positions, dy.data (), dx.data ());
  expect_near (to_plain (batch, channels, positions, dx), of_average);
}

struct Norm
{
  Norm (gsize n_images, gsize n_channels, gsize n_positions)
      : batch (n_images), channels (n_channels), positions (n_positions),
        x (random_floats (batch * channels * positions, 1)), r (random_floats (x.size (), 2)),
        dy (random_floats (x.size (), 3)), scale (random_floats (channels, 4)), shift (random_floats (channels, 5)),
        mean (channels), variance (channels)
  {
    // Far from zero, where squares lose digits
    for (gsize i = 0; i < x.size (); i++)
      x[i] += 100.0f * (float)(i / positions % channels % 2);
    gsize n = batch * positions;
    for (gsize c = 0; c < channels; c++)
      {
        each (c, [&] (gsize i) { mean[c] += x[i] / (double)n; });
        each (c, [&] (gsize i) { variance[c] += (x[i] - mean[c]) * (x[i] - mean[c]) / (double)n; });
      }
  }
  void each (gsize c, const std::function<void (gsize)> &visit) const
  {
    for (gsize b = 0; b < batch; b++)
      for (gsize p = 0; p < positions; p++)
        visit ((b * channels + c) * positions + p);
  }
  double normal (gsize i) const
  {
    gsize c = i / positions % channels;
    return (x[i] - mean[c]) / std::sqrt (variance[c] + epsilon);
  }
  gsize batch, channels, positions;
  std::vector<float> x, r, dy, scale, shift;
  std::vector<double> mean, variance;
  const double epsilon = 1e-3;
};

void
check_norm (gsize batch, gsize channels, gsize positions)
{
  Norm norm (batch, channels, positions);
  Aligned x = to_blocked (batch, channels, positions, norm.x), r = to_blocked (batch, channels, positions, norm.r);
  Aligned dy = to_blocked (batch, channels, positions, norm.dy), y (x.n), dx (x.n), dr (x.n);
  Aligned workspace (ht_blocked_batch_norm_workspace (batch, channels, positions) / sizeof (float) + 1);
  Aligned back (ht_blocked_batch_norm_backward_workspace (batch, channels, positions) / sizeof (float) + 1);
  std::vector<float> mean (channels), variance (channels), dscale (channels), dshift (channels);
  std::vector<double> plain_y, fused_y, expected_scale (channels), expected_shift (channels), expected (x.n);

  for (gsize i = 0; i < norm.x.size (); i++)
    {
      gsize c = i / positions % channels;
      plain_y.push_back (norm.normal (i) * norm.scale[c] + norm.shift[c]);
      fused_y.push_back (std::max (0.0, plain_y.back () + norm.r[i]));
    }
  ht_blocked_batch_norm (batch, channels, positions, x.data (), norm.scale.data (), norm.shift.data (),
                         (float)norm.epsilon, nullptr, mean.data (), variance.data (), y.data (), workspace.data ());
  expect_near (mean, norm.mean);
  expect_near (variance, norm.variance, 3e-5);
  expect_near (to_plain (batch, channels, positions, y), plain_y, 3e-5);

  // dy of the normalization itself, then of the sum and the ReLU behind it
  for (bool fused : { false, true })
    {
      if (fused)
        {
          HtEpilogue e = {};
          e.residual = r.data ();
          e.activation = HT_ACTIVATION_CLAMP;
          e.high = INFINITY;
          ht_blocked_batch_norm (batch, channels, positions, x.data (), norm.scale.data (), norm.shift.data (),
                                 (float)norm.epsilon, &e, mean.data (), variance.data (), y.data (), workspace.data ());
          expect_near (to_plain (batch, channels, positions, y), fused_y, 3e-5);
        }
      std::vector<float> found_y = to_plain (batch, channels, positions, y);
      std::vector<double> g (norm.x.size ()), expected_dx (norm.x.size ());
      for (gsize i = 0; i < g.size (); i++)
        g[i] = !fused || found_y[i] > 0.0f ? norm.dy[i] : 0.0;
      for (gsize c = 0; c < channels; c++)
        {
          double n = (double)(batch * positions);
          expected_scale[c] = expected_shift[c] = 0.0;
          norm.each (c, [&] (gsize i) {
            expected_shift[c] += g[i];
            expected_scale[c] += g[i] * norm.normal (i);
          });
          norm.each (c, [&] (gsize i) {
            expected_dx[i] = norm.scale[c] / std::sqrt (norm.variance[c] + norm.epsilon)
                             * (g[i] - expected_shift[c] / n - norm.normal (i) * expected_scale[c] / n);
          });
        }
      ht_blocked_batch_norm_backward (batch, channels, positions, x.data (), norm.scale.data (), (float)norm.epsilon,
                                      mean.data (), variance.data (), fused ? y.data () : nullptr, 0.0f, INFINITY,
                                      dy.data (), dx.data (), dscale.data (), dshift.data (),
                                      fused ? dr.data () : nullptr, back.data ());
      expect_near (to_plain (batch, channels, positions, dx), expected_dx, 1e-4);
      expect_near (dscale, expected_scale, 1e-4);
      expect_near (dshift, expected_shift, 1e-4);
      if (fused)
        expect_near (to_plain (batch, channels, positions, dr), g);
    }
}

TEST (BlockedBatchNorm, ForwardAndBackward)
{
  check_norm (1, 3, 7);
  check_norm (4, 16, 49);
  check_norm (3, 37, 1);
  check_norm (2, 20, 1600);
}

TEST (BlockedBatchNorm, ThreadCountDoesNotShow)
{
  const gsize batch = 5, channels = 40, positions = 1200;
  Norm norm (batch, channels, positions);
  Aligned x = to_blocked (batch, channels, positions, norm.x), dy = to_blocked (batch, channels, positions, norm.dy);
  Aligned workspace (ht_blocked_batch_norm_backward_workspace (batch, channels, positions) / sizeof (float));
  std::vector<float> mean (channels), variance (channels), dscale (channels), dshift (channels);
  expect_same_at_any_thread_count (x.n, [&] (float *y) {
    ht_blocked_batch_norm (batch, channels, positions, x.data (), norm.scale.data (), norm.shift.data (), 1e-3f,
                           nullptr, mean.data (), variance.data (), y, workspace.data ());
  });
  expect_same_at_any_thread_count (x.n, [&] (float *dx) {
    ht_blocked_batch_norm_backward (batch, channels, positions, x.data (), norm.scale.data (), 1e-3f, mean.data (),
                                    variance.data (), nullptr, 0, 0, dy.data (), dx, dscale.data (), dshift.data (),
                                    nullptr, workspace.data ());
  });
}

TEST (BlockedAffineBackward, Sums)
{
  for (gsize channels : { 3, 16, 50 })
    for (gsize positions : { 1, 49, 1700 })
      {
        const gsize batch = 3, n = batch * channels * positions;
        std::vector<float> x = random_floats (n, 1), dy = random_floats (n, 2), scale = random_floats (channels, 3);
        std::vector<double> expected_dx, expected_scale (channels), expected_shift (channels);
        for (gsize i = 0; i < n; i++)
          {
            gsize c = i / positions % channels;
            expected_dx.push_back ((double)dy[i] * scale[c]);
            expected_scale[c] += (double)dy[i] * x[i];
            expected_shift[c] += dy[i];
          }
        Aligned blocked_x = to_blocked (batch, channels, positions, x);
        Aligned blocked_dy = to_blocked (batch, channels, positions, dy), dx (blocked_x.n);
        Aligned workspace (ht_blocked_affine_backward_workspace (batch, channels, positions) / sizeof (float));
        std::vector<float> dscale (channels), dshift (channels), sums (channels);
        ht_blocked_affine_backward (batch, channels, positions, blocked_x.data (), scale.data (), blocked_dy.data (),
                                    dx.data (), dscale.data (), dshift.data (), workspace.data ());
        expect_near (to_plain (batch, channels, positions, dx), expected_dx);
        expect_near (dscale, expected_scale);
        expect_near (dshift, expected_shift);
        ht_blocked_channel_sums (batch, channels, positions, blocked_dy.data (), sums.data (), workspace.data ());
        expect_near (sums, expected_shift);
      }
}

TEST (ActivationBackward, FiniteDifferences)
{
  const double k = std::sqrt (2.0 / M_PI);
  auto sigmoid = [] (double x) { return 1.0 / (1.0 + std::exp (-x)); };
  auto hard = [] (double x) { return std::min (std::max (x / 6.0 + 0.5, 0.0), 1.0); };
  struct
  {
    HtActivation activation;
    std::function<double (double)> f;
    gboolean from_output;
  } cases[] = {
    { HT_ACTIVATION_NONE, [] (double x) { return x; }, FALSE },
    { HT_ACTIVATION_CLAMP, [] (double x) { return std::min (std::max (x, 0.5), 2.5); }, TRUE },
    { HT_ACTIVATION_LEAKY, [] (double x) { return x > 0 ? x : x / 6.0; }, TRUE },
    { HT_ACTIVATION_SIGMOID, sigmoid, TRUE },
    { HT_ACTIVATION_TANH, [] (double x) { return std::tanh (x); }, TRUE },
    { HT_ACTIVATION_HARD_SIGMOID, hard, TRUE },
    { HT_ACTIVATION_HARD_SWISH, [hard] (double x) { return x * hard (x); }, FALSE },
    { HT_ACTIVATION_SWISH, [sigmoid] (double x) { return x * sigmoid (x); }, FALSE },
    { HT_ACTIVATION_GELU, [] (double x) { return x / 2 * (1 + std::erf (x / std::sqrt (2.0))); }, FALSE },
    { HT_ACTIVATION_GELU_TANH, [k] (double x) { return x / 2 * (1 + std::tanh (k * (x + 0.044715 * x * x * x))); },
      FALSE },
  };
  for (const auto &c : cases)
    {
      SCOPED_TRACE (c.activation);
      HtEpilogue e = {};
      e.activation = c.activation;
      e.slope = 1.0f / 6.0f;
      e.low = 0.5f;
      e.high = 2.5f;
      std::vector<float> source, dy;
      std::vector<double> expected;
      // None of the corners is met.
      for (double x = -7.013; x < 7.0; x += 0.0371)
        {
          const double h = 1e-6;
          source.push_back ((float)(c.from_output ? c.f (x) : x));
          dy.push_back ((float)(1.0 + x / 10));
          expected.push_back (dy.back () * (c.f (x + h) - c.f (x - h)) / (2 * h));
        }
      std::vector<float> dx (source.size ());
      ht_kernel_activation_backward (source.size (), &e, source.data (), dy.data (), dx.data ());
      expect_near (dx, expected, 3e-5);
    }
}

TEST (ActivationBackward, FarOutNothingIsLeft)
{
  const float source[] = { -1e4f, -50.0f, 50.0f, 1e4f }, dy[] = { 1, 1, 1, 1 };
  for (HtActivation activation : { HT_ACTIVATION_SWISH, HT_ACTIVATION_GELU, HT_ACTIVATION_GELU_TANH })
    {
      HtEpilogue e = {};
      e.activation = activation;
      float dx[4];
      ht_kernel_activation_backward (4, &e, source, dy, dx);
      for (int i = 0; i < 4; i++)
        EXPECT_NEAR (dx[i], i < 2 ? 0.0f : 1.0f, 1e-6f) << activation << " " << source[i];
    }
}

TEST (ActivationBackward, AccumulateAndClampAnyLength)
{
  for (gsize n : { 0, 1, 15, 16, 33, 100000 })
    {
      std::vector<float> x = random_floats (n + 1, 1), y = random_floats (n + 1, 2), sum = y, dx (n + 1, 42.0f);
      ht_kernel_accumulate (n, x.data (), sum.data ());
      ht_kernel_clamp_backward (n, -0.5f, 1.0f, x.data (), y.data (), dx.data ());
      for (gsize i = 0; i < n; i++)
        {
          ASSERT_EQ (sum[i], x[i] + y[i]);
          ASSERT_EQ (dx[i], x[i] > -0.5f && x[i] < 1.0f ? y[i] : 0.0f);
        }
      EXPECT_EQ (sum[n], y[n]);
      EXPECT_EQ (dx[n], 42.0f);
    }
}

TEST (BlockedElementwiseBackward, Multiply)
{
  for (gsize positions : { 1, 60, 1500 })
    {
      const gsize batch = 2, channels = 21, n = batch * channels * positions;
      std::vector<float> a = random_floats (n, 1), b = random_floats (n, 2), dy = random_floats (n, 3);
      std::vector<float> f = random_floats (batch * channels, 4);
      std::vector<double> of_a, of_b, scaled, of_f (batch * channels, 0.0);
      for (gsize i = 0; i < n; i++)
        {
          of_a.push_back ((double)dy[i] * b[i]);
          of_b.push_back ((double)dy[i] * a[i]);
          scaled.push_back ((double)dy[i] * f[i / positions]);
          of_f[i / positions] += (double)dy[i] * a[i];
        }
      Aligned blocked_a = to_blocked (batch, channels, positions, a), da (blocked_a.n), db (blocked_a.n);
      Aligned blocked_b = to_blocked (batch, channels, positions, b), blocked_f = to_blocked (batch, channels, 1, f);
      Aligned blocked_dy = to_blocked (batch, channels, positions, dy), df (blocked_f.n);
      ht_blocked_multiply_backward (batch, channels, positions, blocked_a.data (), blocked_b.data (), FALSE,
                                    blocked_dy.data (), da.data (), db.data ());
      expect_near (to_plain (batch, channels, positions, da), of_a);
      expect_near (to_plain (batch, channels, positions, db), of_b);
      ht_blocked_multiply_backward (batch, channels, positions, blocked_a.data (), blocked_f.data (), TRUE,
                                    blocked_dy.data (), da.data (), df.data ());
      expect_near (to_plain (batch, channels, positions, da), scaled);
      expect_near (to_plain (batch, channels, 1, df), of_f);
    }
}

TEST (BlockedElementwiseBackward, TakesChannelsFromAnywhere)
{
  std::mt19937 engine (9);
  for (int round = 0; round < 60; round++)
    {
      gsize batch = 1 + engine () % 3, positions = 1 + engine () % 30, channels = 1 + engine () % 40;
      gsize first = engine () % 40, total = first + channels + engine () % 20;
      std::vector<float> dy = random_floats (batch * total * positions, (unsigned)round), expected;
      for (gsize b = 0; b < batch; b++)
        for (gsize i = 0; i < channels * positions; i++)
          expected.push_back (dy[(b * total + first) * positions + i]);
      Aligned blocked = to_blocked (batch, total, positions, dy);
      Aligned dx (ht_blocked_floats (batch, channels, positions, ht_isa_get_block ()));
      ht_blocked_take_channels (batch, channels, positions, blocked.data (), first, total, dx.data ());
      ASSERT_EQ (to_plain (batch, channels, positions, dx), expected) << round;
    }
}

// What the forward kernel does to each element of x is known by sending indices through it.
TEST (BlockedElementwiseBackward, SliceAndUpsampleAreTransposed)
{
  std::mt19937 engine (10);
  for (int round = 0; round < 40; round++)
    {
      auto pick = [&engine] (gsize low, gsize high) { return low + engine () % (high - low + 1); };
      HtBlockedSlice slice = {};
      slice.batch = pick (1, 2);
      slice.channels = pick (1, 40);
      slice.first = pick (0, 20);
      slice.y_channels = slice.first + slice.channels + pick (0, 20);
      for (int axis = 0; axis < 3; axis++)
        {
          slice.in[axis] = axis == 0 ? pick (1, 2) : pick (1, 10);
          slice.step[axis] = pick (1, 3);
          slice.start[axis] = pick (0, slice.in[axis] - 1);
          slice.out[axis] = pick (1, (slice.in[axis] - slice.start[axis] - 1) / slice.step[axis] + 1);
        }
      gsize in = ht_conv_volume (slice.in), out = ht_conv_volume (slice.out), n = slice.batch * slice.channels * in;
      std::vector<float> indices (n), dy = random_floats (slice.batch * slice.y_channels * out, (unsigned)round);
      for (gsize i = 0; i < n; i++)
        indices[i] = (float)(i + 1);
      Aligned x = to_blocked (slice.batch, slice.channels, in, indices), dx (x.n);
      Aligned y (ht_blocked_floats (slice.batch, slice.y_channels, out, ht_isa_get_block ()));
      Aligned blocked_dy = to_blocked (slice.batch, slice.y_channels, out, dy);
      ht_blocked_slice (&slice, x.data (), y.data ());
      std::vector<float> moved = to_plain (slice.batch, slice.y_channels, out, y);
      std::vector<double> expected (n, 0.0);
      for (gsize i = 0; i < moved.size (); i++)
        if (moved[i] > 0.0f)
          expected[(gsize)moved[i] - 1] += dy[i];
      ht_blocked_slice_backward (&slice, blocked_dy.data (), dx.data ());
      expect_near (to_plain (slice.batch, slice.channels, in, dx), expected);
    }
  const gsize batch = 2, channels = 20, in[2] = { 3, 5 }, factor[2] = { 2, 3 }, out = 90;
  std::vector<float> dy = random_floats (batch * channels * out, 1);
  std::vector<double> expected (batch * channels * 15, 0.0);
  for (gsize i = 0; i < dy.size (); i++)
    expected[i / out * 15 + i % out / 15 / 2 * 5 + i % 15 / 3] += dy[i];
  Aligned blocked = to_blocked (batch, channels, out, dy);
  Aligned dx (ht_blocked_floats (batch, channels, 15, ht_isa_get_block ()));
  ht_blocked_upsample_nearest_backward (batch, channels, in, factor, blocked.data (), dx.data ());
  expect_near (to_plain (batch, channels, 15, dx), expected);
}

struct StraightThrough
{
  StraightThrough (gsize n, gsize channels, gsize inner, const float *scales, const float *offsets, float n_steps)
      : x (random_floats (n, 1)), dy (random_floats (n, 2)), dscales (channels, 0.0), doffsets (channels, 0.0)
  {
    for (gsize i = 0; i < n; i++)
      {
        gsize c = i / inner % channels;
        double t = (double)(x[i] / scales[c]), code = std::nearbyint (t), low = offsets[c], high = low + n_steps;
        gboolean inside = code >= low && code <= high;
        dx.push_back (inside ? dy[i] : 0.0f);
        dscales[c] += dy[i] * (inside ? code - t : code < low ? low : high);
        doffsets[c] += inside ? 0.0 : (double)dy[i] * scales[c];
      }
  }
  std::vector<float> x, dy, dx;
  std::vector<double> dscales, doffsets;
};

TEST (FakeQuantizeBackward, OneGridForEachChannel)
{
  const float scales[] = { 0.1f, 0.02f, 0.3f }, offsets[] = { -8, 0, -15 };
  for (gsize channels : { 1, 3 })
    for (gsize inner : { 1, 5, 20000 })
      {
        const gsize outer = 70, n = outer * channels * inner;
        StraightThrough c (n, channels, inner, scales, offsets, 15);
        std::vector<float> dx (n), dscales (channels), doffsets (channels);
        Aligned workspace (ht_kernel_fake_quantize_backward_workspace (outer, channels, inner) / sizeof (float));
        ht_kernel_fake_quantize_backward (outer, channels, inner, scales, offsets, 15, c.x.data (), c.dy.data (),
                                          dx.data (), dscales.data (), doffsets.data (), workspace.data ());
        EXPECT_EQ (dx, c.dx);
        expect_near (dscales, c.dscales);
        expect_near (doffsets, c.doffsets);
        ht_kernel_fake_quantize_backward (outer, channels, inner, scales, offsets, 15, c.x.data (), c.dy.data (),
                                          nullptr, dscales.data (), nullptr, workspace.data ());
        expect_near (dscales, c.dscales);
      }
}

TEST (FakeQuantizeBackward, Blocked)
{
  for (gsize channels : { 1, 16, 37 })
    {
      const gsize batch = 3, positions = 700, n = batch * channels * positions;
      HtGrid grid = { 0.02f, -60, 100, 0 };
      StraightThrough c (n, 1, n, &grid.scale, &grid.offset, grid.n_steps);
      Aligned x = to_blocked (batch, channels, positions, c.x), dy = to_blocked (batch, channels, positions, c.dy);
      Aligned dx (x.n);
      Aligned workspace (ht_blocked_fake_quantize_backward_workspace (batch, channels, positions) / sizeof (float));
      std::vector<float> dscale (1), doffset (1);
      ht_blocked_fake_quantize_backward (batch, channels, positions, &grid, x.data (), dy.data (), dx.data (),
                                         dscale.data (), doffset.data (), workspace.data ());
      EXPECT_EQ (to_plain (batch, channels, positions, dx), c.dx);
      expect_near (dscale, c.dscales);
      expect_near (doffset, c.doffsets);
    }
}

TEST (FakeQuantizeBackward, ThreadCountDoesNotShow)
{
  const float scale = 0.01f, offset = -100;
  const gsize n = 300000;
  std::vector<float> x = random_floats (n, 1), dy = random_floats (n, 2);
  Aligned workspace (ht_kernel_fake_quantize_backward_workspace (1, 1, n) / sizeof (float));
  expect_same_at_any_thread_count (n + 2, [&] (float *results) {
    ht_kernel_fake_quantize_backward (1, 1, n, &scale, &offset, 255, x.data (), dy.data (), results + 2, results,
                                      results + 1, workspace.data ());
  });
}

} // namespace
