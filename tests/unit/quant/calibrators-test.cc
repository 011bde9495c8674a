// SPDX-License-Identifier: MIT
// The calibrators that look at distributions, against searches written out from the published equations.
#include "support.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace
{

struct Range
{
  double minimum = NAN, maximum = NAN;
};

HtQuantizerSettings *
make_settings (guint bits, bool symmetric, bool strict = false)
{
  HtQuantizerSettings *settings = ht_quantizer_settings_new_activations ();
  g_autofree char *text = g_strdup_printf ("%u", bits);
  EXPECT_TRUE (ht_object_set_param_string (G_OBJECT (settings), "bits", text, nullptr));
  EXPECT_TRUE (ht_object_set_param_string (G_OBJECT (settings), "symmetric", symmetric ? "true" : "false", nullptr));
  EXPECT_TRUE (ht_object_set_param_string (G_OBJECT (settings), "strict", strict ? "true" : "false", nullptr));
  return settings;
}

Range
calibrate (const char *id, const std::vector<std::vector<float> > &batches, HtQuantizerSettings *settings,
           bool aimet = false, const char *value = nullptr)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtCalibrator) calibrator = ht_calibrator_new (id, &error);
  Range range;
  EXPECT_NE (calibrator, nullptr);
  if (aimet)
    {
      EXPECT_TRUE (ht_object_set_param_string (G_OBJECT (calibrator), "histogram", "aimet", &error));
    }
  if (value)
    {
      EXPECT_TRUE (ht_object_set_param_string (G_OBJECT (calibrator), "value", value, &error));
    }
  g_autoptr (HtCalibrator) copy = ht_calibrator_copy (calibrator);
  for (const auto &batch : batches)
    EXPECT_TRUE (ht_calibrator_observe (copy, batch.data (), batch.size (), &error));
  EXPECT_TRUE (ht_calibrator_finish (copy, settings, &range.minimum, &range.maximum, &error))
      << (error ? error->message : "");
  return range;
}

std::vector<float>
draw (guint seed, size_t n, float spread, bool positive = false)
{
  std::mt19937 random (seed);
  std::vector<float> values (n);
  for (float &value : values)
    {
      // A sum of uniform numbers, with a long tail: the same on every machine.
      float sum = 0;
      for (int i = 0; i < 6; i++)
        sum += (float)random () / 4294967296.0f - 0.5f;
      value = spread * sum * std::fabs (sum) * std::fabs (sum);
      if (positive)
        value = std::max (value, 0.0f);
    }
  return values;
}

// AIMET's histogram and search, bin by bin, as its documentation and the library say.
Range
search_naively (const std::vector<std::vector<float> > &batches, int bits, bool symmetric, bool strict)
{
  const int n_bins = 1536;
  std::vector<double> pdf (n_bins, 0);
  double width = 0, low = 0;
  int k = 0;
  for (const auto &batch : batches)
    {
      double least = *std::min_element (batch.begin (), batch.end ());
      double most = *std::max_element (batch.begin (), batch.end ());
      if (k == 0)
        {
          if (least == 0 && most == 0)
            continue;
          if (least == most)
            most = least + 0.01;
          // The ends as aimet-onnx 2.42 has them (its getStatsHistogram()): rounded to float32.
          float center = ((float)least + (float)most) / 2;
          double first = center - 3 * (center - (float)least), last = center + 3 * ((float)most - center);
          width = (last - first) / n_bins;
          low = std::floor (first / width) * width;
          width = (low + width) - low;
        }
      std::vector<double> counts (n_bins, 0);
      for (float value : batch)
        {
          double bin = std::floor (value / width) - std::round (low / width);
          if (bin >= 0 && bin < n_bins)
            counts[(size_t)bin]++;
        }
      for (int i = 0; i < n_bins; i++)
        pdf[i] = (pdf[i] * k + counts[i] / batch.size ()) / (k + 1);
      k++;
    }
  int first = 0, last = n_bins - 1;
  while (pdf[first] <= 0)
    first++;
  while (pdf[last] <= 0)
    last--;
  double minimum = std::min (low + first * width, 0.0), maximum = std::max (low + last * width, 0.0);
  maximum = std::max (maximum, minimum + 0.01);
  double codes = std::pow (2, bits) - 1, n = codes - (symmetric && strict ? 1 : 0);
  std::vector<std::pair<double, double> > candidates;
  if (symmetric)
    {
      float f = 0;
      for (int i = 0; i < 101; i++)
        {
          f += 0.01f;
          candidates.push_back ({ std::max (-minimum, maximum) / (n / 2) * f, std::floor (-n / 2) });
        }
    }
  else
    {
      double d0 = (maximum - minimum) / n, o0 = std::round (minimum / d0);
      double from = d0 * o0, to = d0 * (o0 + n);
      for (int f = 1; f <= 17; f++)
        for (int i = 0; i <= 20; i++)
          {
            double d = d0 * f / 16, o = std::trunc (-n + n / 20 * i);
            double tmin = d * o, tmax = d * (o + n);
            if (tmin < from && tmax > to)
              continue;
            tmin = std::max (tmin, from);
            tmax = std::min (tmax, to);
            if (tmin >= tmax)
              continue;
            d = (tmax - tmin) / n;
            candidates.push_back ({ d, std::round (tmin / d) });
          }
      candidates.push_back ({ d0, o0 });
    }
  double best = INFINITY;
  Range range;
  for (auto [d, o] : candidates)
    {
      auto place = [&] (double x) { return (int)std::clamp (std::floor ((x - low) / width), 0.0, n_bins - 1.0); };
      int a = place (d * o), b = place (d * (o + codes));
      auto middle = [&] (int i) { return low + (i + 0.5) * width; };
      double cost = 0;
      for (int i = 0; i < n_bins; i++)
        {
          double error = i < a    ? middle (i) - middle (a)
                         : i >= b ? middle (i) - middle (b)
                                  : middle (i) - d * (std::round (middle (i) / d - o) + o);
          cost += pdf[i] * error * error * (i < a || i >= b ? 3 : 1);
        }
      if (cost < best)
        {
          best = cost;
          range = { d * o, d * (o + n) };
        }
    }
  return range;
}

double
squared_error (const std::vector<float> &values, double low, double high, double n)
{
  double d = (high - low) / n, o = std::round (low / d), sum = 0;
  for (float value : values)
    {
      double code = std::clamp (std::round (value / d - o), 0.0, n);
      sum += (value - d * (code + o)) * (value - d * (code + o));
    }
  return sum / values.size ();
}

}

TEST (Calibrators, TfEnhancedWithAimetsHistogramIsTheSearchWrittenOut)
{
  std::vector<std::vector<std::vector<float> > > sets = {
    { draw (1, 5000, 3), draw (2, 5000, 3.5f), draw (3, 700, 2) },
    { draw (4, 5000, 3, true), draw (5, 3000, 9, true) },
    { std::vector<float> (50, 0.0f), draw (6, 900, 0.001f) },
    { { 5, 5, 5, 5 } },
    { { 0.25f } },
  };
  for (const auto &batches : sets)
    for (int bits : { 4, 8 })
      for (int mode = 0; mode < 3; mode++)
        {
          g_autoptr (HtQuantizerSettings) settings = make_settings ((guint)bits, mode > 0, mode > 1);
          Range expected = search_naively (batches, bits, mode > 0, mode > 1);
          Range found = calibrate ("tf-enhanced", batches, settings, true);
          EXPECT_NEAR (found.minimum, expected.minimum, 1e-9 * std::fabs (expected.maximum)) << bits << " " << mode;
          EXPECT_NEAR (found.maximum, expected.maximum, 1e-9 * std::fabs (expected.maximum)) << bits << " " << mode;
        }
}

TEST (Calibrators, TheDoublingHistogramDependsOnTheValuesAlone)
{
  std::vector<float> all = draw (7, 40000, 0.01f), reversed;
  all[39000] = 50;
  all[12] = -7;
  reversed.assign (all.rbegin (), all.rend ());
  for (const char *id : { "tf-enhanced", "percentile", "mse", "entropy" })
    for (bool symmetric : { false, true })
      {
        g_autoptr (HtQuantizerSettings) settings = make_settings (8, symmetric);
        Range whole = calibrate (id, { all }, settings), backwards = calibrate (id, { reversed }, settings);
        std::vector<std::vector<float> > parts;
        for (size_t at = 0; at < all.size (); at += 1237)
          parts.emplace_back (all.begin () + (long)at, all.begin () + (long)std::min (all.size (), at + 1237));
        Range streamed = calibrate (id, parts, settings);
        EXPECT_EQ (whole.minimum, streamed.minimum) << id;
        EXPECT_EQ (whole.maximum, streamed.maximum) << id;
        EXPECT_EQ (whole.minimum, backwards.minimum) << id;
        EXPECT_EQ (whole.maximum, backwards.maximum) << id;
      }
}

// Divided by wide bins, the smallest numbers are none any more; they still lie left of zero.
TEST (Calibrators, TheDoublingHistogramKeepsTheSignOfTheSmallestValues)
{
  const float tiny = -1e-44f, large = 1e6f;
  g_autoptr (HtQuantizerSettings) settings = make_settings (8, false);
  std::vector<float> few (30, tiny), many (4000, tiny);
  for (const auto &values : { few, many })
    {
      Range before = calibrate ("percentile", { values, { large } }, settings, false, "60");
      Range behind = calibrate ("percentile", { { large }, values }, settings, false, "60");
      EXPECT_EQ (before.minimum, behind.minimum);
      EXPECT_EQ (before.maximum, behind.maximum);
    }
}

TEST (Calibrators, PercentileLeavesTheShareOutAtEitherEnd)
{
  std::vector<float> values = draw (8, 20000, 4), sorted = values;
  std::sort (sorted.begin (), sorted.end ());
  g_autoptr (HtQuantizerSettings) settings = make_settings (8, false);
  double bin = 2.0 * (sorted.back () - sorted.front ()) / 1024;
  for (const char *percent : { "99.9925", "99.0025", "90.0025", "50.0025" })
    {
      double share = 1 - std::atof (percent) / 100;
      Range found = calibrate ("percentile", { values }, settings, false, percent);
      EXPECT_NEAR (found.minimum, sorted[(size_t)std::ceil (share * 20000) - 1], bin) << percent;
      EXPECT_NEAR (found.maximum, sorted[(size_t)std::ceil ((1 - share) * 20000) - 1], bin) << percent;
    }
  Range whole = calibrate ("percentile", { values }, settings, false, "100");
  EXPECT_EQ (whole.minimum, (double)sorted.front ());
  EXPECT_EQ (whole.maximum, (double)sorted.back ());
}

// 199 of 200 values are 99.5 %, 98 of 100 are 98 %, 95 of 100 are 95 %: AIMET's float32 lies above the first two and
// below the third. The ends of the ranges are those of aimet-onnx 2.42 for these values.
TEST (Calibrators, PercentileDecidesTiesAsAimet)
{
  struct
  {
    const char *percent;
    int n;
    double span;
  } const cases[] = { { "99.5", 200, 1 }, { "98", 100, 0.978515625 }, { "95", 100, 0.8984375 } };
  for (const auto &c : cases)
    {
      g_autoptr (HtQuantizerSettings) settings = make_settings (8, false);
      std::vector<float> values;
      for (int i = 0; i < c.n; i++)
        values.push_back ((float)(i * i) / (float)((c.n - 1) * (c.n - 1)) - 0.25f);
      Range found = calibrate ("percentile", { values }, settings, true, c.percent);
      EXPECT_NEAR (found.maximum - found.minimum, c.span, 1e-6) << c.percent;
    }
}

TEST (Calibrators, MseIsAsGoodAsAnyRatioOnTheValuesThemselves)
{
  for (bool positive : { false, true })
    for (guint bits : { 4u, 8u })
      {
        std::vector<float> values = draw (9 + bits, 20000, 4, positive);
        g_autoptr (HtQuantizerSettings) settings = make_settings (bits, false);
        Range found = calibrate ("mse", { values }, settings);
        double n = std::pow (2, bits) - 1, best = INFINITY;
        double low = std::min (0.0f, *std::min_element (values.begin (), values.end ()));
        double high = *std::max_element (values.begin (), values.end ());
        for (int i = 1; i <= 100; i++)
          best = std::min (best, squared_error (values, low * i / 100, high * i / 100, n));
        EXPECT_LE (squared_error (values, found.minimum, found.maximum, n), best * 1.02);
        EXPECT_LT (found.maximum, high);
      }
}

TEST (Calibrators, EntropyHasTheLeastDivergenceOfAllLimits)
{
  // Bins of a power of two are known beforehand here: the largest magnitude is just below 2048 bins.
  std::vector<float> values = draw (10, 30000, 1.5f, true);
  values[0] = 1.99f;
  for (float &value : values)
    value = std::min (value, 1.99f);
  const int n_bins = (int)std::floor (1.99 * 1024) + 1, n_levels = 256;
  std::vector<double> counts ((size_t)n_bins, 0);
  for (float value : values)
    counts[(size_t)std::floor (value * 1024)]++;
  double best = INFINITY, limit = 0;
  for (int n = n_levels; n <= n_bins; n++)
    {
      std::vector<double> p (counts.begin (), counts.begin () + n), q ((size_t)n, 0);
      double inside = 0, divergence = 0;
      for (int i = n; i < n_bins; i++)
        p[(size_t)n - 1] += counts[(size_t)i];
      for (int level = 0; level < n_levels; level++)
        {
          int begin = level * n / n_levels, end = (level + 1) * n / n_levels;
          double sum = 0, used = 0;
          for (int i = begin; i < end; i++)
            {
              sum += counts[(size_t)i];
              used += counts[(size_t)i] > 0;
            }
          for (int i = begin; i < end; i++)
            q[(size_t)i] = counts[(size_t)i] > 0 ? sum / used : 0;
          inside += sum;
        }
      for (int i = 0; i < n; i++)
        if (p[(size_t)i] > 0)
          divergence += p[(size_t)i] / 30000 * std::log (p[(size_t)i] / 30000 / (q[(size_t)i] / inside));
      if (divergence <= best)
        {
          best = divergence;
          limit = n / 1024.0;
        }
    }
  g_autoptr (HtQuantizerSettings) settings = make_settings (8, false);
  Range found = calibrate ("entropy", { values }, settings);
  EXPECT_EQ (found.minimum, 0);
  EXPECT_NEAR (found.maximum, std::min (limit, 1.99), 1.01 / 1024);
}

TEST (Calibrators, DegenerateValuesHaveARange)
{
  for (const char *id : { "tf-enhanced", "percentile", "mse", "entropy" })
    for (bool aimet : { false, true })
      for (bool symmetric : { false, true })
        {
          g_autoptr (HtQuantizerSettings) settings = make_settings (8, symmetric);
          Range zero = calibrate (id, { { 0, 0, 0 }, { 0 } }, settings, aimet);
          EXPECT_EQ (zero.minimum, -1) << id;
          EXPECT_EQ (zero.maximum, 1) << id;
          for (float value : { 1.0f, -3.0f, 1e-30f, 1e30f, 3e38f, -1e-44f })
            {
              Range range = calibrate (id, { std::vector<float> (9, value) }, settings, aimet);
              EXPECT_TRUE (std::isfinite (range.minimum) && std::isfinite (range.maximum)) << id << " " << value;
              EXPECT_LE (range.minimum, range.maximum) << id << " " << value;
            }
        }
}
