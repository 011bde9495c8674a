// SPDX-License-Identifier: MIT
#include "support.h"

extern "C"
{
#include "base/thread-pool.h"
#include "kernels/min-max.h"
}

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace
{

const float infinity = std::numeric_limits<float>::infinity ();

TEST (MinMax, FindsTheEndsWhereverTheyAre)
{
  std::mt19937 engine (1);
  for (size_t n : { 1, 3, 16, 17, 1000, 32768, 99999 })
    {
      std::vector<float> x (n, 1.0f);
      size_t low = engine () % n, high = engine () % n;
      x[low] = -5;
      if (high != low)
        x[high] = 9;
      HtKernelRange range = ht_kernel_min_max (x.data (), n);
      EXPECT_EQ (range.minimum, -5) << n;
      EXPECT_EQ (range.maximum, *std::max_element (x.begin (), x.end ())) << n;
      EXPECT_EQ (range.n_not_finite, 0u);
    }
}

TEST (MinMax, LeavesOutAndCountsWhatIsNotFinite)
{
  std::vector<float> x (100000, 0.5f);
  x[3] = NAN;
  x[40000] = infinity;
  x[99999] = -infinity;
  x[77] = -2;
  HtKernelRange range = ht_kernel_min_max (x.data (), x.size ());
  EXPECT_EQ (range.minimum, -2);
  EXPECT_EQ (range.maximum, 0.5f);
  EXPECT_EQ (range.n_not_finite, 3u);
}

TEST (MinMax, NothingFiniteIsAnEmptyRange)
{
  const float x[] = { NAN, NAN };
  for (size_t n : { 0, 2 })
    {
      HtKernelRange range = ht_kernel_min_max (x, n);
      EXPECT_EQ (range.minimum, infinity);
      EXPECT_EQ (range.maximum, -infinity);
      EXPECT_EQ (range.n_not_finite, n);
    }
}

TEST (MinMax, ZeroHasNoSign)
{
  std::vector<float> x (70000, -0.0f);
  x[60000] = 0.0f;
  HtKernelRange range = ht_kernel_min_max (x.data (), x.size ());
  EXPECT_FALSE (std::signbit (range.minimum));
  EXPECT_FALSE (std::signbit (range.maximum));
}

TEST (MinMax, AddsUpSquaresAndCountsZeros)
{
  std::mt19937 engine (1);
  std::normal_distribution<float> normal;
  for (size_t n : { 1, 15, 16, 1025, 32768, 99999 })
    {
      std::vector<float> x (n);
      double squares = 0;
      size_t zeros = 0;
      for (size_t i = 0; i < n; i++)
        {
          x[i] = i % 3 == 1 ? (i % 2 ? 0.0f : -0.0f) : 1000 * normal (engine);
          squares += (double)x[i] * x[i];
          zeros += x[i] == 0;
        }
      std::vector<double> sums;
      for (guint threads : { 1, 3 })
        {
          ht_thread_pool_set_size (threads);
          HtKernelRange range = ht_kernel_min_max (x.data (), n);
          EXPECT_NEAR (range.sum_of_squares / (squares > 0 ? squares : 1), squares > 0 ? 1 : 0, 1e-5) << n;
          EXPECT_EQ (range.n_zeros, zeros) << n;
          sums.push_back (range.sum_of_squares);
        }
      EXPECT_EQ (sums[0], sums[1]);
    }
  ht_thread_pool_set_size (0);
}

TEST (MinMax, ChannelsAreSeparate)
{
  const size_t outer = 4, channels = 5, inner = 1003;
  std::vector<float> x (outer * channels * inner);
  for (size_t i = 0; i < x.size (); i++)
    x[i] = static_cast<float> (i / inner % channels) + 0.25f * static_cast<float> (i % 3);
  x[3 * inner * channels + 2 * inner + 17] = NAN;
  HtKernelRange ranges[5];
  ht_thread_pool_set_size (3);
  ht_kernel_min_max_channels (x.data (), outer, channels, inner, ranges);
  ht_thread_pool_set_size (0);
  for (size_t c = 0; c < channels; c++)
    {
      EXPECT_EQ (ranges[c].minimum, static_cast<float> (c));
      EXPECT_EQ (ranges[c].maximum, static_cast<float> (c) + 0.5f);
      EXPECT_EQ (ranges[c].n_not_finite, c == 2 ? 1u : 0u);
    }
}

}
