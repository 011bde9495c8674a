// SPDX-License-Identifier: MIT
// Normalizations and softmax against their formulas in double precision.
#include "one-node.h"

#include <cmath>

using support::Array;
using support::OneNode;

namespace
{

Array
positive (Array array)
{
  for (float &value : array.values)
    value = std::fabs (value) + 0.1f;
  return array;
}

TEST (BatchNormalization, IsAffine)
{
  std::mt19937 engine (1);
  for (std::vector<gint64> dims : { std::vector<gint64>{ 3, 5 }, { 2, 5, 7 }, { 2, 5, 4, 9 }, { 1, 5, 2, 3, 4 } })
    {
      Array x = support::random_array (dims, engine), scale = support::random_array ({ 5 }, engine);
      Array bias = support::random_array ({ 5 }, engine), mean = support::random_array ({ 5 }, engine);
      Array variance = positive (support::random_array ({ 5 }, engine));
      GError *error = nullptr;
      auto found = OneNode ("BatchNormalization", 9)
                       .input (x)
                       .input (scale)
                       .input (bias)
                       .input (mean)
                       .input (variance)
                       .real ("epsilon", 1e-3)
                       .run (&error);
      ASSERT_NO_GERROR (error);
      std::vector<double> expected;
      size_t inner = x.size () / static_cast<size_t> (dims[0] * 5);
      for (size_t i = 0; i < x.size (); i++)
        {
          size_t c = i / inner % 5;
          expected.push_back ((static_cast<double> (x.values[i]) - mean.values[c])
                                  / std::sqrt (variance.values[c] + 1e-3) * scale.values[c]
                              + bias.values[c]);
        }
      support::expect_close (found[0], dims, expected, {}, 1e-5, "batch norm");
    }
}

TEST (BatchNormalization, TrainsOnTheBatch)
{
  std::mt19937 engine (2);
  Array x = support::random_array ({ 4, 3, 5 }, engine), scale = support::random_array ({ 3 }, engine);
  Array bias = support::random_array ({ 3 }, engine), mean = support::random_array ({ 3 }, engine);
  Array variance = positive (support::random_array ({ 3 }, engine));
  GError *error = nullptr;
  auto found = OneNode ("BatchNormalization", 15, 3)
                   .input (x)
                   .input (scale)
                   .input (bias)
                   .input (mean)
                   .input (variance)
                   .number ("training_mode", 1)
                   .real ("momentum", 0.75)
                   .run (&error);
  ASSERT_NO_GERROR (error);
  std::vector<double> y (x.size ()), means, variances;
  for (size_t c = 0; c < 3; c++)
    {
      double sum = 0.0, squares = 0.0;
      for (size_t i = 0; i < 20; i++)
        sum += x.values[(i / 5 * 3 + c) * 5 + i % 5] / 20.0;
      for (size_t i = 0; i < 20; i++)
        squares += std::pow (x.values[(i / 5 * 3 + c) * 5 + i % 5] - sum, 2) / 20.0;
      for (size_t i = 0; i < 20; i++)
        {
          size_t at = (i / 5 * 3 + c) * 5 + i % 5;
          y[at] = (x.values[at] - sum) / std::sqrt (squares + 1e-5) * scale.values[c] + bias.values[c];
        }
      means.push_back (0.75 * mean.values[c] + 0.25 * sum);
      variances.push_back (0.75 * variance.values[c] + 0.25 * squares);
    }
  support::expect_close (found[0], { 4, 3, 5 }, y, {}, 1e-5, "y");
  support::expect_close (found[1], { 3 }, means, {}, 1e-6, "running mean");
  support::expect_close (found[2], { 3 }, variances, {}, 1e-6, "running variance");
}

TEST (BatchNormalization, ShapesThatDoNotFitAreRefused)
{
  Array x{ { 1, 1 }, { 1 } }, one{ { 1 }, { 1 } };
  GError *error = nullptr;
  OneNode ("BatchNormalization", 15)
      .input (x)
      .input (Array{ { 2 }, { 1, 1 } })
      .input (one)
      .input (one)
      .input (one)
      .run (&error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "expected one dimension");
}

TEST (LayerNormalization, MeansAndDeviationsToo)
{
  std::mt19937 engine (2);
  for (size_t n : { 1, 7, 16, 64, 1000 })
    {
      gint64 width = static_cast<gint64> (n);
      Array x = support::random_array ({ 6, width }, engine), scale = support::random_array ({ width }, engine);
      Array bias = support::random_array ({ width }, engine);
      for (float &value : x.values)
        value = value * 0.01f + 100.0f; // a mean much larger than the deviation
      GError *error = nullptr;
      auto found = OneNode ("LayerNormalization", 17, 3)
                       .input (x)
                       .input (scale)
                       .input (bias)
                       .real ("epsilon", 1e-4)
                       .run (&error);
      ASSERT_NO_GERROR (error);
      for (size_t row = 0; row < 6; row++)
        {
          double mean = 0, variance = 0;
          for (size_t i = 0; i < n; i++)
            mean += x.values[row * n + i] / static_cast<double> (n);
          for (size_t i = 0; i < n; i++)
            variance += std::pow (x.values[row * n + i] - mean, 2) / static_cast<double> (n);
          double inverse = 1 / std::sqrt (variance + 1e-4);
          EXPECT_NEAR (found[1].values[row], mean, 1e-4);
          EXPECT_NEAR (found[2].values[row], inverse, 0.01 * inverse);
          for (size_t i = 0; i < n; i++)
            ASSERT_NEAR (found[0].values[row * n + i],
                         (x.values[row * n + i] - mean) * inverse * scale.values[i] + bias.values[i], 5e-3);
        }
    }
}

void
check_softmax (std::vector<gint64> dims, gint64 axis, gint64 opset, size_t outer, size_t n, size_t inner,
               bool logarithm)
{
  std::mt19937 engine (4);
  Array x = support::random_array (dims, engine);
  for (float &value : x.values)
    value *= 8;
  GError *error = nullptr;
  auto found = OneNode (logarithm ? "LogSoftmax" : "Softmax", opset).input (x).number ("axis", axis).run (&error);
  ASSERT_NO_GERROR (error);
  std::vector<double> expected (x.size ());
  for (size_t c = 0; c < outer * inner; c++)
    {
      size_t start = c / inner * n * inner + c % inner;
      double sum = 0, top = -1e30;
      for (size_t i = 0; i < n; i++)
        top = std::max<double> (top, x.values[start + i * inner]);
      for (size_t i = 0; i < n; i++)
        sum += std::exp (x.values[start + i * inner] - top);
      for (size_t i = 0; i < n; i++)
        {
          double e = x.values[start + i * inner] - top;
          expected[start + i * inner] = logarithm ? e - std::log (sum) : std::exp (e) / sum;
        }
    }
  support::expect_close (found[0], dims, expected, {}, logarithm ? 1e-5 : 1e-6, "softmax");
}

TEST (Softmax, AxisAndOpset)
{
  for (bool logarithm : { false, true })
    {
      check_softmax ({ 3, 4, 5 }, -1, 13, 12, 5, 1, logarithm);
      check_softmax ({ 3, 4, 5 }, 1, 13, 3, 4, 5, logarithm);
      check_softmax ({ 3, 4, 5 }, 1, 11, 3, 20, 1, logarithm);
      check_softmax ({ 3, 4, 5 }, 0, 11, 1, 60, 1, logarithm);
      check_softmax ({ 2, 100, 130 }, 1, 13, 2, 100, 130, logarithm);
      check_softmax ({ 50, 99 }, 1, 13, 50, 99, 1, logarithm);
    }
}

TEST (Softmax, ExtremesStayFinite)
{
  Array x{ { 1, 4 }, { 1e30f, -1e30f, 1e30f, -INFINITY } };
  GError *error = nullptr;
  auto found = OneNode ("Softmax", 13).input (x).run (&error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (found[0].values, (std::vector<float>{ 0.5f, 0, 0.5f, 0 }));
}

}
