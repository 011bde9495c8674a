// SPDX-License-Identifier: MIT
#include "blocked-support.h"
#include "pool-geometry.h"

#include <cmath>

namespace
{

double
clamp (double x)
{
  return std::min (std::max (x, -0.4), 0.4);
}

TEST (BlockedPool, MaximaAndAveragesOfRandomGeometries)
{
  std::mt19937 engine (7);
  for (int round = 0; round < 120; round++)
    {
      HtPoolGeometry pool = random_pool (engine);
      const HtConvGeometry &g = pool.geometry;
      gsize in = ht_conv_volume (g.in), out = ht_conv_volume (g.out), planes = g.batch * g.in_channels;
      std::vector<float> x = random_floats (planes * in, (unsigned)round);
      std::vector<double> maxima (planes * out), averages (planes * out);
      std::vector<bool> empty (out, true);
      for (gsize plane = 0; plane < planes; plane++)
        {
          std::vector<double> best (out, -INFINITY), sum (out, 0.0), count (out, 0.0);
          walk_windows (pool, [&] (gsize o, gint64 at) {
            if (at >= 0)
              {
                double value = x[plane * in + (gsize)at];
                best[o] = std::max (best[o], value);
                sum[o] += value;
                empty[o] = false;
              }
            count[o] += at >= 0 || pool.count_padding ? 1.0 : 0.0;
          });
          for (gsize o = 0; o < out; o++)
            {
              maxima[plane * out + o] = clamp (best[o]);
              averages[plane * out + o] = clamp (sum[o] / std::max (count[o], 1.0));
            }
        }
      HtEpilogue e = {};
      e.activation = HT_ACTIVATION_CLAMP;
      e.low = -0.4f;
      e.high = 0.4f;
      Aligned blocked = to_blocked (g.batch, g.in_channels, in, x);
      Aligned y (ht_blocked_floats (g.batch, g.in_channels, out, ht_isa_get_block ()));
      ht_blocked_max_pool (&pool, blocked.data (), &e, y.data ());
      expect_near (to_plain (g.batch, g.in_channels, out, y), maxima);
      ht_blocked_average_pool (&pool, blocked.data (), &e, y.data ());
      expect_near (to_plain (g.batch, g.in_channels, out, y), averages);
    }
}

TEST (BlockedPool, NotANumberWins)
{
  HtPoolGeometry pool = {};
  HtConvGeometry &g = pool.geometry;
  g = { 1, 1, 1, 1, { 1, 1, 4 }, { 1, 1, 3 }, { 1, 1, 2 }, { 1, 1, 1 }, { 1, 1, 1 }, { 0, 0, 0 } };
  Aligned x = to_blocked (1, 1, 4, { NAN, 1.0f, 3.0f, NAN });
  Aligned y (3 * ht_isa_get_block ());
  ht_blocked_max_pool (&pool, x.data (), nullptr, y.data ());
  EXPECT_TRUE (std::isnan (y.data ()[0]));
  EXPECT_EQ (y.data ()[ht_isa_get_block ()], 3.0f);
  EXPECT_TRUE (std::isnan (y.data ()[2 * ht_isa_get_block ()]));
}

TEST (BlockedPool, WholePlanes)
{
  for (gsize channels : { 1, 16, 21, 40 })
    for (gsize positions : { 1, 3, 49, 1000 })
      {
        const gsize batch = 3;
        std::vector<float> x = random_floats (batch * channels * positions, 3);
        std::vector<double> means, maxima;
        for (gsize plane = 0; plane < batch * channels; plane++)
          {
            double sum = 0.0, best = -INFINITY;
            for (gsize p = 0; p < positions; p++)
              {
                sum += x[plane * positions + p];
                best = std::max (best, (double)x[plane * positions + p]);
              }
            means.push_back (sum / (double)positions);
            maxima.push_back (best);
          }
        Aligned blocked = to_blocked (batch, channels, positions, x);
        std::vector<float> y (batch * channels);
        ht_blocked_global_average_pool (batch, channels, positions, blocked.data (), nullptr, y.data ());
        expect_near (y, means);
        ht_blocked_global_max_pool (batch, channels, positions, blocked.data (), nullptr, y.data ());
        expect_near (y, maxima);
      }
}

TEST (BlockedPool, ThreadCountDoesNotShow)
{
  HtPoolGeometry pool = {};
  pool.geometry = { 2, 1, 50, 50, { 1, 57, 57 }, { 1, 28, 28 }, { 1, 3, 3 }, { 1, 2, 2 }, { 1, 1, 1 }, { 0, 0, 0 } };
  Aligned x = to_blocked (2, 50, 57 * 57, random_floats (2 * 50 * 57 * 57, 1));
  gsize n = ht_blocked_floats (2, 50, 28 * 28, ht_isa_get_block ());
  expect_same_at_any_thread_count (n, [&] (float *y) { ht_blocked_average_pool (&pool, x.data (), nullptr, y); });
  expect_same_at_any_thread_count (n, [&] (float *y) { ht_blocked_max_pool (&pool, x.data (), nullptr, y); });
  expect_same_at_any_thread_count (
      100, [&] (float *y) { ht_blocked_global_average_pool (2, 50, 57 * 57, x.data (), nullptr, y); });
}

} // namespace
