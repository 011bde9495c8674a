// SPDX-License-Identifier: MIT
#include "support.h"

extern "C"
{
#include "base/thread-pool.h"
#include "kernels/histogram.h"
}

#include <cmath>
#include <numeric>
#include <random>
#include <vector>

namespace
{

using Counts = std::vector<guint64>;

std::vector<float>
normal_values (gsize n)
{
  std::mt19937 engine (1);
  std::normal_distribution<float> normal;
  std::vector<float> x (n);
  for (float &value : x)
    value = normal (engine);
  return x;
}

}

TEST (Histogram, CountsEachValueInItsBin)
{
  for (gsize n : { 1, 100, 4096, 4097, 200000 })
    {
      std::vector<float> x = normal_values (n);
      Counts counts (HT_KERNEL_HISTOGRAM_BINS), expected (HT_KERNEL_HISTOGRAM_BINS);
      for (float value : x)
        expected[(gint64)std::floor (value * 64.0) & (HT_KERNEL_HISTOGRAM_BINS - 1)]++;
      ht_kernel_histogram (x.data (), n, 1.0f / 64, counts.data ());
      EXPECT_EQ (counts, expected) << n;
    }
}

TEST (Histogram, OfASampleAddsUpToAllValues)
{
  for (gsize n : { 5, 1023, 1024, 65536, 300007 })
    {
      std::vector<float> x = normal_values (n);
      Counts first;
      for (guint threads : { 1, 2, 3 })
        {
          Counts counts (HT_KERNEL_HISTOGRAM_BINS);
          ht_thread_pool_set_size (threads);
          ht_kernel_histogram_sampled (x.data (), n, 1.0f / 64, counts.data ());
          EXPECT_EQ (std::accumulate (counts.begin (), counts.end (), (guint64)0), n);
          if (first.empty ())
            first = counts;
          EXPECT_EQ (counts, first) << n;
        }
    }
  ht_thread_pool_set_size (0);
}

// Stretches of every phase: a value that comes back each 1024 elements is neither always seen nor never.
TEST (Histogram, OfASampleSeesEveryPhase)
{
  const gsize n = 1024 * 400;
  std::vector<float> x (n);
  for (gsize i = 0; i < n; i++)
    x[i] = (float)(i % 1024 / 256);
  Counts counts (HT_KERNEL_HISTOGRAM_BINS);
  ht_kernel_histogram_sampled (x.data (), n, 1.0f, counts.data ());
  for (gsize phase = 0; phase < 4; phase++)
    EXPECT_NEAR ((double)counts[phase] / (double)n, 0.25, 0.01) << phase;
}
