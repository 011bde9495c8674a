// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

extern "C"
{
#include "kernels/map.h"
}

namespace
{

using Map = void (*) (gsize n, const float *x, float *y);

double
exact_sigmoid (double x)
{
  return 1.0 / (1.0 + std::exp (-x));
}

double
exact_gelu (double x)
{
  return 0.5 * x * std::erfc (-x / std::sqrt (2.0));
}

double
exact_gelu_tanh (double x)
{
  return x * exact_sigmoid (2.0 * std::sqrt (2.0 / M_PI) * (x + 0.044715 * x * x * x));
}

// In units in the last place of the exact value, or of `floor` where that is smaller.
void
check (Map map, double (*exact) (double), double limit, float floor, float from = -95.0f, float to = 95.0f)
{
  std::vector<float> x, y;
  for (int i = 0; i <= 20011; i++)
    x.push_back (from + (to - from) * (float)i / 20011.0f);
  for (float small = 1e-8f; small < 2.0f; small *= 1.01f)
    x.insert (x.end (), { small, -small });
  y.resize (x.size ());
  map (x.size (), x.data (), y.data ());
  for (gsize i = 0; i < x.size (); i++)
    {
      double expected = exact (x[i]), size = std::max (std::fabs (expected), (double)floor);
      double unit = std::ldexp (1.0, std::max (std::ilogb (size), -126) - 23);
      ASSERT_LE (std::fabs (y[i] - expected) / unit, limit) << "at " << x[i] << ": " << y[i] << ", not " << expected;
    }
}

TEST (Map, IsWithinAFewUnitsOfTheExactValue)
{
  check (HT_MAP (exp), std::exp, 2.5, 0.0f, -103.0f, 88.0f);
  check (HT_MAP (erf), std::erf, 3.0, 0.0f);
  check (HT_MAP (tanh), std::tanh, 3.0, 0.0f);
  check (HT_MAP (sigmoid), exact_sigmoid, 3.0, 1e-30f);
  // 1 + erf and 1 + tanh cancel on the negative side, for everybody who computes in single precision.
  check (HT_MAP (gelu), exact_gelu, 4.0, 1.0f, -20.0f, 20.0f);
  check (HT_MAP (gelu_tanh), exact_gelu_tanh, 4.0, 1.0f, -20.0f, 20.0f);
}

TEST (Map, SwishHasASlopeInside)
{
  float x[3] = { -2.0f, 0.5f, 7.0f }, y[3];
  HT_MAP (swish) (3, x, y, 1.5f);
  for (int i = 0; i < 3; i++)
    EXPECT_NEAR (y[i], x[i] * exact_sigmoid (1.5 * x[i]), 1e-6);
}

// An element's result must not depend on its place, or the cut into threads would show.
TEST (Map, TheTailGivesTheBitsOfTheBody)
{
  std::vector<float> x (64, -0.7f), y (64);
  for (Map map : { HT_MAP (exp), HT_MAP (erf), HT_MAP (tanh), HT_MAP (sigmoid), HT_MAP (gelu), HT_MAP (gelu_tanh) })
    for (gsize n = 1; n <= 40; n++)
      {
        y.assign (64, 99.0f);
        map (n, x.data (), y.data ());
        for (gsize i = 1; i < n; i++)
          EXPECT_EQ (y[i], y[0]);
        EXPECT_EQ (y[n], 99.0f);
      }
}

TEST (Map, KeepsNanAndSettlesAtTheEnds)
{
  const float inf = std::numeric_limits<float>::infinity ();
  float x[3] = { NAN, inf, -inf }, y[3];
  for (Map map : { HT_MAP (exp), HT_MAP (erf), HT_MAP (tanh), HT_MAP (sigmoid), HT_MAP (gelu), HT_MAP (gelu_tanh) })
    {
      map (3, x, y);
      EXPECT_TRUE (std::isnan (y[0]));
    }
  HT_MAP (tanh) (3, x, y);
  EXPECT_EQ (y[1], 1.0f);
  EXPECT_EQ (y[2], -1.0f);
  HT_MAP (erf) (3, x, y);
  EXPECT_EQ (y[1], 1.0f);
  EXPECT_EQ (y[2], -1.0f);
  HT_MAP (exp) (3, x, y);
  EXPECT_EQ (y[1], inf);
  EXPECT_EQ (y[2], 0.0f);
}

}
