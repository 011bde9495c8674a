// SPDX-License-Identifier: MIT
// Tensors in both layouts, for the tests of kernels of the blocked one.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

extern "C"
{
#include "base/thread-pool.h"
#include "kernels/blocked.h"
#include "kernels/isa.h"
}

struct Aligned
{
  explicit Aligned (gsize n_floats)
      : n (n_floats), memory ((float *)aligned_alloc (64, (n_floats * sizeof (float) + 127) / 64 * 64), free)
  {
    // What a kernel forgets to write is seen.
    std::fill (data (), data () + n, std::numeric_limits<float>::quiet_NaN ());
  }
  float *data () const { return memory.get (); }
  gsize n;
  std::unique_ptr<float, void (*) (void *)> memory;
};

inline gsize
blocks_of (gsize channels)
{
  return (channels + ht_isa_get_block () - 1) / ht_isa_get_block ();
}

inline gsize
blocked_index (gsize channels, gsize positions, gsize b, gsize c, gsize p)
{
  gsize block = ht_isa_get_block ();
  return ((b * blocks_of (channels) + c / block) * positions + p) * block + c % block;
}

// Lanes past the last channel hold junk, as they may.
inline Aligned
to_blocked (gsize batch, gsize channels, gsize positions, const std::vector<float> &x)
{
  Aligned y (ht_blocked_floats (batch, channels, positions, ht_isa_get_block ()));
  std::fill (y.data (), y.data () + y.n, 1234.5f);
  for (gsize b = 0; b < batch; b++)
    for (gsize c = 0; c < channels; c++)
      for (gsize p = 0; p < positions; p++)
        y.data ()[blocked_index (channels, positions, b, c, p)] = x[(b * channels + c) * positions + p];
  return y;
}

inline std::vector<float>
to_plain (gsize batch, gsize channels, gsize positions, const Aligned &y)
{
  std::vector<float> x (batch * channels * positions);
  for (gsize i = 0; i < y.n; i++)
    EXPECT_TRUE (std::isfinite (y.data ()[i])) << i;
  for (gsize b = 0; b < batch; b++)
    for (gsize c = 0; c < channels; c++)
      for (gsize p = 0; p < positions; p++)
        x[(b * channels + c) * positions + p] = y.data ()[blocked_index (channels, positions, b, c, p)];
  return x;
}

inline std::vector<float>
random_floats (gsize n, unsigned seed)
{
  std::mt19937 engine (seed);
  std::normal_distribution<float> normal (0, 1);
  std::vector<float> values (n);
  for (float &value : values)
    value = normal (engine);
  return values;
}

// For each channel, filled up to whole blocks.
inline Aligned
per_channel (gsize channels, unsigned seed)
{
  Aligned y (blocks_of (channels) * ht_isa_get_block ());
  std::vector<float> values = random_floats (y.n, seed);
  std::copy (values.begin (), values.end (), y.data ());
  return y;
}

// The bytes that `run` leaves in an array of `n` floats are those of one thread.
template <typename Run>
void
expect_same_at_any_thread_count (gsize n, Run run)
{
  std::vector<Aligned> results;
  for (guint threads : { 1u, 2u, 3u })
    {
      ht_thread_pool_set_size (threads);
      results.emplace_back (n);
      memset (results.back ().data (), 0, n * sizeof (float));
      run (results.back ().data ());
    }
  ht_thread_pool_set_size (0);
  EXPECT_EQ (memcmp (results[0].data (), results[1].data (), n * sizeof (float)), 0);
  EXPECT_EQ (memcmp (results[0].data (), results[2].data (), n * sizeof (float)), 0);
}

inline void
expect_near (const std::vector<float> &found, const std::vector<double> &expected, double tolerance = 1e-5)
{
  ASSERT_EQ (found.size (), expected.size ());
  double largest = 1.0;
  for (double value : expected)
    largest = std::max (largest, std::fabs (value));
  for (gsize i = 0; i < found.size (); i++)
    ASSERT_NEAR (found[i], expected[i], tolerance * largest) << i;
}
