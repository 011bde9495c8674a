// SPDX-License-Identifier: MIT
#include "support.h"

extern "C"
{
#include "base/thread-pool.h"
#include "kernels/fake-quantize.h"
}

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace
{

// The definition, one element at a time, with the C library's own rounding.
float
reference_code (float x, float scale, float offset, float n_steps)
{
  float q = std::nearbyint (x / scale) - offset;
  if (std::isnan (q) || q < 0)
    return 0;
  return q > n_steps ? n_steps : q;
}

std::vector<float>
random_values (size_t n, unsigned seed)
{
  std::mt19937 engine (seed);
  std::normal_distribution<float> normal (0, 3);
  std::vector<float> values (n);
  for (float &value : values)
    value = normal (engine);
  return values;
}

TEST (FakeQuantize, HalvesRoundToEven)
{
  const float x[] = { 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 3.4999f, 3.5001f };
  const float expected[] = { 0, 2, 2, 0, -2, -2, 3, 4 };
  float y[8];
  ht_kernel_fake_quantize (x, y, 8, 1, -128, 255);
  for (int i = 0; i < 8; i++)
    EXPECT_EQ (y[i], expected[i]) << x[i];
}

TEST (FakeQuantize, ClampsInfinitiesAndNotANumber)
{
  const float infinity = std::numeric_limits<float>::infinity ();
  const float x[] = { infinity, -infinity, NAN, 1e30f, -1e30f, -0.0f };
  const float expected[] = { 12.7f, -12.8f, -12.8f, 12.7f, -12.8f, 0.0f };
  float y[6];
  ht_kernel_fake_quantize (x, y, 6, 0.1f, -128, 255);
  for (int i = 0; i < 6; i++)
    EXPECT_FLOAT_EQ (y[i], expected[i]) << x[i];
  EXPECT_FALSE (std::signbit (y[5]));
}

TEST (FakeQuantize, AnyLengthMatchesTheDefinition)
{
  for (size_t n : { 0, 1, 7, 16, 63, 1000, 100001 })
    {
      std::vector<float> x = random_values (n, 7), y (n + 1, 42.0f);
      ht_kernel_fake_quantize (x.data (), y.data (), n, 0.037f, -100, 200);
      for (size_t i = 0; i < n; i++)
        ASSERT_EQ (y[i], (reference_code (x[i], 0.037f, -100, 200) + -100) * 0.037f) << i;
      EXPECT_EQ (y[n], 42.0f);
    }
}

TEST (FakeQuantize, ChannelsHaveGridsOfTheirOwn)
{
  const float scales[] = { 0.1f, 0.02f, 1.0f }, offsets[] = { -8, 0, -15 };
  for (size_t inner : { 1, 5, 4096 })
    {
      size_t outer = 13, n = outer * 3 * inner;
      std::vector<float> x = random_values (n, 3), y (n);
      ht_kernel_fake_quantize_channels (x.data (), y.data (), outer, 3, inner, scales, offsets, 15);
      for (size_t i = 0; i < n; i++)
        {
          size_t c = i / inner % 3;
          ASSERT_EQ (y[i], (reference_code (x[i], scales[c], offsets[c], 15) + offsets[c]) * scales[c]) << i;
        }
    }
}

TEST (FakeQuantize, CodesMatchAndFakeQuantizationIsTheirMeaning)
{
  std::vector<float> x = random_values (5000, 11), y (5000);
  std::vector<guint8> bytes (5000);
  std::vector<gint32> codes (5000), signed_codes (5000);
  ht_kernel_fake_quantize (x.data (), y.data (), x.size (), 0.05f, -127, 255);
  ht_kernel_quantize_uint8 (x.data (), bytes.data (), x.size (), 0.05f, -127, 255);
  ht_kernel_quantize_int32 (x.data (), codes.data (), x.size (), 0.05f, -127, 255, 0);
  const float scales[] = { 0.05f }, offsets[] = { -127 };
  ht_kernel_quantize_channels_int32 (x.data (), signed_codes.data (), 10, 1, 500, scales, offsets, 255, -128);
  for (size_t i = 0; i < x.size (); i++)
    {
      ASSERT_EQ (bytes[i], codes[i]);
      ASSERT_EQ (signed_codes[i], codes[i] - 128);
      ASSERT_EQ (y[i], (static_cast<float> (codes[i]) - 127) * 0.05f);
    }
}

TEST (FakeQuantize, InPlaceAndThreadCountDoNotShow)
{
  std::vector<float> x = random_values (300000, 5), one (x.size ()), many (x.size ());
  ht_thread_pool_set_size (1);
  ht_kernel_fake_quantize (x.data (), one.data (), x.size (), 0.01f, -200, 255);
  ht_thread_pool_set_size (3);
  ht_kernel_fake_quantize (x.data (), many.data (), x.size (), 0.01f, -200, 255);
  EXPECT_EQ (one, many);
  ht_kernel_fake_quantize (x.data (), x.data (), x.size (), 0.01f, -200, 255);
  EXPECT_EQ (one, x);
  ht_thread_pool_set_size (0);
}

}
