// SPDX-License-Identifier: MIT
// Rounding to narrow floating-point formats against tables of all their values, and where float32 itself ends.
#include "support.h"

extern "C"
{
#include "kernels/grid-blocks.h"
#include "kernels/round-float.h"
}

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace
{

struct Format
{
  HtKernelFloat format;
  const char *name;
  int exponent_bits, mantissa_bits, bias;
  double largest;
  bool saturates;
};

const Format formats[] = {
  { HT_KERNEL_FLOAT16, "float16", 5, 10, 15, 65504, false },
  { HT_KERNEL_BFLOAT16, "bfloat16", 8, 7, 127, 0x1.fep127, false },
  { HT_KERNEL_FLOAT8E4M3FN, "float8e4m3fn", 4, 3, 7, 448, true },
  { HT_KERNEL_FLOAT8E5M2, "float8e5m2", 5, 2, 15, 57344, true },
};

// All values from zero to the largest, by the definition; the code of a value is its place.
std::vector<double>
list_values (const Format &format)
{
  std::vector<double> values;
  for (int code = 0;; code++)
    {
      int exponent = code >> format.mantissa_bits, mantissa = code & ((1 << format.mantissa_bits) - 1);
      double fraction = std::ldexp ((double)mantissa, -format.mantissa_bits);
      double value = exponent == 0 ? std::ldexp (fraction, 1 - format.bias)
                                   : std::ldexp (1 + fraction, exponent - format.bias);
      if (value > format.largest)
        return values;
      values.push_back (value);
    }
}

// The nearest value, the one of an even code at a tie. Beyond the end by half a step or more: the end, or infinity.
double
nearest (const Format &format, const std::vector<double> &values, double magnitude)
{
  size_t last = values.size () - 1;
  double beyond = values[last] + (values[last] - values[last - 1]) / 2;
  if (magnitude >= beyond)
    return format.saturates ? values[last] : std::numeric_limits<double>::infinity ();
  size_t high = (size_t)(std::lower_bound (values.begin (), values.end (), magnitude) - values.begin ());
  if (high > last)
    return values[last];
  if (values[high] == magnitude || high == 0)
    return values[high];
  double below = magnitude - values[high - 1], above = values[high] - magnitude;
  if (below != above)
    return below < above ? values[high - 1] : values[high];
  return high % 2 == 0 ? values[high] : values[high - 1];
}

void
check (const Format &format, const std::vector<double> &values, const std::vector<float> &x)
{
  std::vector<float> y (x.size ());
  ht_kernel_round_float (format.format, x.data (), y.data (), x.size (), 1.0f);
  for (size_t i = 0; i < x.size (); i++)
    {
      double expected = std::copysign (nearest (format, values, std::fabs ((double)x[i])), (double)x[i]);
      ASSERT_EQ ((double)y[i], expected) << format.name << " of " << x[i];
      ASSERT_EQ (std::signbit (y[i]), std::signbit (x[i])) << format.name << " of " << x[i];
    }
}

}

TEST (RoundFloat, MeetsEveryValueAndEveryTie)
{
  for (const Format &format : formats)
    {
      std::vector<double> values = list_values (format);
      std::vector<float> x;
      for (size_t i = 0; i < values.size (); i++)
        {
          float end = std::numeric_limits<float>::infinity ();
          double next = i + 1 < values.size () ? values[i + 1] : 2 * values[i] - values[i - 1];
          for (float at : { (float)values[i], (float)((values[i] + next) / 2) })
            for (float near : { at, std::nextafterf (at, 0), std::nextafterf (at, end) })
              if (std::isfinite (near))
                x.insert (x.end (), { near, -near });
        }
      EXPECT_EQ (ht_kernel_float_get_largest (format.format), (float)values.back ());
      check (format, values, x);
    }
}

TEST (RoundFloat, AgreesOverTheWholeRangeOfFloats)
{
  std::mt19937 engine (5);
  std::vector<float> x;
  for (guint32 upper = 0; upper < 0x7f80; upper++)
    for (guint32 lower : { 0u, 0x8000u, (guint32)engine () & 0xffff })
      {
        guint32 bits = upper << 16 | lower;
        float value;
        memcpy (&value, &bits, sizeof value);
        x.insert (x.end (), { value, -value });
      }
  for (const Format &format : formats)
    check (format, list_values (format), x);
}

TEST (RoundFloat, KeepsNotANumberAndTreatsInfinities)
{
  const float infinity = std::numeric_limits<float>::infinity ();
  for (const Format &format : formats)
    {
      const float x[] = { NAN, infinity, -infinity };
      float y[3];
      ht_kernel_round_float (format.format, x, y, 3, 1.0f);
      EXPECT_TRUE (std::isnan (y[0])) << format.name;
      EXPECT_EQ (y[1], format.saturates ? (float)format.largest : infinity) << format.name;
      EXPECT_EQ (y[2], format.saturates ? -(float)format.largest : -infinity) << format.name;
    }
}

TEST (RoundFloat, DividesByTheScaleFirst)
{
  const float x[] = { 1.0f, -0.37f, 100.0f, 1e-9f }, scale = 0.0123f;
  float y[4], quotients[4];
  for (int i = 0; i < 4; i++)
    quotients[i] = x[i] / scale;
  ht_kernel_round_float (HT_KERNEL_FLOAT8E4M3FN, x, y, 4, scale);
  ht_kernel_round_float (HT_KERNEL_FLOAT8E4M3FN, quotients, quotients, 4, 1.0f);
  for (int i = 0; i < 4; i++)
    EXPECT_EQ (y[i], quotients[i] * scale) << x[i];
  EXPECT_EQ (y[2], 448 * scale);
}

TEST (GridBlocks, WalksOverEveryElementOnce)
{
  for (bool channel_first : { true, false })
    for (gsize size : { 1u, 2u, 3u, 5u, 9u })
      {
        HtKernelBlocks blocks = { 2, 4, 3, 5, 2, channel_first, size };
        gsize length = channel_first ? 5 : 4, n_blocks = (length + size - 1) / size;
        std::vector<gssize> found (2 * 4 * 3 * 5 * 2, -1);
        EXPECT_EQ (ht_kernel_blocks_count (&blocks), (channel_first ? 4 : 5) * n_blocks);
        ht_kernel_blocks_foreach (
            &blocks,
            [] (gsize start, gsize n, gsize grid, gpointer user_data) {
              auto &seen = *(std::vector<gssize> *)user_data;
              for (gsize i = start; i < start + n; i++)
                {
                  ASSERT_LT (i, seen.size ());
                  ASSERT_EQ (seen[i], -1);
                  seen[i] = (gssize)grid;
                }
            },
            &found);
        for (gsize i = 0; i < found.size (); i++)
          {
            gsize second = i / 2 % 5, first = i / 30 % 4;
            gsize channel = channel_first ? first : second, place = channel_first ? second : first;
            ASSERT_EQ (found[i], (gssize)(channel * n_blocks + place / size)) << i;
          }
      }
}
