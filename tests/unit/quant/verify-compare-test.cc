// SPDX-License-Identifier: MIT
// Distances in steps of a grid.
#include "net.h"

#include <cmath>
#include <limits>

extern "C"
{
#include "quant/verify-compare.h"
}

namespace
{

const float infinity = std::numeric_limits<float>::infinity (), nan_value = std::numeric_limits<float>::quiet_NaN ();

HtDeviation
measure (const std::vector<float> &expected, const std::vector<float> &found, HtEncoding *encoding = nullptr)
{
  g_autoptr (GError) error = nullptr;
  HtDeviation deviation = {};
  g_autoptr (HtTensor) a = quant::tensor_of (expected, { (gint64)expected.size () });
  g_autoptr (HtTensor) b = quant::tensor_of (found, { (gint64)found.size () });
  EXPECT_TRUE (ht_deviation_add (&deviation, "t", a, b, encoding, &error)) << error->message;
  return deviation;
}

TEST (VerifyCompare, CountsStepsOfTheGrid)
{
  const double scale = 0.5;
  const gint64 offset = -8;
  g_autoptr (HtEncoding) encoding = ht_encoding_new (4, FALSE, FALSE, -1, &scale, &offset, 1, nullptr);
  HtDeviation deviation = measure ({ 1, 2, -1, 0 }, { 1, 2.5, -2, 0 }, encoding);
  EXPECT_DOUBLE_EQ (ht_deviation_get_maximum (&deviation), 2);
  EXPECT_DOUBLE_EQ (ht_deviation_get_mean (&deviation), 0.75);
}

// Without a grid: 255 steps over the range.
TEST (VerifyCompare, MeasuresTheRangeOfFiniteValues)
{
  for (float mask : { 1.0f, infinity, -infinity, nan_value })
    {
      HtDeviation deviation = measure ({ 0, 2.55f, mask }, { 0.1f, 2.55f, mask });
      EXPECT_NEAR (ht_deviation_get_maximum (&deviation), 10, 1e-5) << mask;
      deviation = measure ({ 0, 2.55f, mask }, { 0, 2.55f, 1.5f });
      EXPECT_EQ (std::isinf (ht_deviation_get_maximum (&deviation)), !std::isfinite (mask)) << mask;
    }
}

}
