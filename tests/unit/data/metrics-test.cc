// SPDX-License-Identifier: MIT
// Paired intervals against numbers worked out by hand and against repeated samples.
#include "support.h"

extern "C"
{
#include "data/choices.h"
#include "data/metrics.h"
}

#include <cmath>
#include <random>
#include <vector>

namespace
{

HtMetrics *
from_top1 (const std::vector<int> &right)
{
  HtMetrics *metrics = ht_metrics_new ((guint)right.size (), 0);
  for (guint i = 0; i < right.size (); i++)
    ht_metrics_get_row (metrics, i)[HT_COLUMN_TOP1] = right[i];
  ht_metrics_finish (metrics);
  return metrics;
}

HtMetrics *
from_agreement (const std::vector<double> &agreed, double n_choices)
{
  HtMetrics *metrics = ht_metrics_new ((guint)agreed.size (), 0);
  for (guint i = 0; i < agreed.size (); i++)
    {
      double *row = ht_metrics_get_row (metrics, i);
      row[HT_COLUMN_AGREED] = agreed[i] * n_choices;
      row[HT_COLUMN_CHOICES] = n_choices;
      row[HT_COLUMN_KL] = 0;
    }
  ht_metrics_finish (metrics);
  return metrics;
}

}

TEST (Metrics, PairedSharesHaveTheIntervalOfAgrestiAndMin)
{
  // 20 samples: 3 won, 1 lost. (3.5 - 1.5) / 22 -+ 1.96 sqrt (5 - 4 / 22) / 22
  std::vector<int> before (20, 1), after (20, 1);
  before[0] = before[1] = before[2] = 0;
  after[7] = 0;
  g_autoptr (HtMetrics) a = from_top1 (before), b = from_top1 (after);
  double difference, low, high;
  ASSERT_TRUE (ht_metrics_compare (a, b, "top1", 0.95, &difference, &low, &high));
  EXPECT_NEAR (difference, 0.1, 1e-12);
  EXPECT_NEAR ((low + high) / 2, 2. / 22, 1e-12);
  EXPECT_NEAR ((high - low) / 2, 1.959963984540054 * std::sqrt (5 - 4. / 22) / 22, 1e-12);
  ASSERT_TRUE (ht_metrics_compare (b, a, "top1", 0.95, &difference, &low, &high));
  EXPECT_NEAR (difference, -0.1, 1e-12);
}

TEST (Metrics, MeansHaveStudentsInterval)
{
  // numpy: mean of the differences 0.1, standard error 0.1274755, t(4) = 2.776445
  g_autoptr (HtMetrics) a = from_agreement ({ 0.5, 1, 0.25, 0.75, 1 }, 4),
                        b = from_agreement ({ 1, 1, 0.5, 0.5, 1 }, 4);
  double difference, low, high;
  ASSERT_TRUE (ht_metrics_compare (a, b, "agreement", 0.95, &difference, &low, &high));
  EXPECT_NEAR (difference, 0.1, 1e-12);
  EXPECT_NEAR (high - difference, 2.776445105 * 0.12747548783981963, 1e-8);
  EXPECT_NEAR (difference - low, high - difference, 1e-12);
}

TEST (Metrics, TheSameIsNoDifference)
{
  g_autoptr (HtMetrics) a = from_agreement ({ 0.5, 1, 0.25 }, 4);
  double difference, low, high;
  ASSERT_TRUE (ht_metrics_compare (a, a, "agreement", 0.95, &difference, &low, &high));
  EXPECT_EQ (difference, 0);
  EXPECT_EQ (low, 0);
  EXPECT_EQ (high, 0);
  g_autoptr (HtMetrics) shorter = from_agreement ({ 0.5, 1 }, 4);
  EXPECT_FALSE (ht_metrics_compare (a, shorter, "agreement", 0.95, &difference, &low, &high));
  EXPECT_FALSE (ht_metrics_compare (a, a, "top1", 0.95, &difference, &low, &high));
  EXPECT_FALSE (ht_metrics_compare (a, a, "max-difference", 0.95, &difference, &low, &high));
}

// The interval of a ratio of sums, in decibels, covers the difference of the populations about as often as it says.
TEST (Metrics, IntervalsOfSqnrCoverTheTruth)
{
  std::mt19937 random (3);
  std::normal_distribution<double> normal;
  guint covered = 0, n_trials = 400, n = 200;
  for (guint trial = 0; trial < n_trials; trial++)
    {
      g_autoptr (HtMetrics) a = ht_metrics_new (n, 1), b = ht_metrics_new (n, 1);
      for (guint i = 0; i < n; i++)
        {
          double signal = std::exp (0.5 * normal (random)), shared = std::exp (0.5 * normal (random));
          for (HtMetrics *metrics : { a, b })
            {
              double *sums = ht_metrics_get_row (metrics, i) + HT_COLUMN_OUTPUTS;
              sums[HT_OUTPUT_SIGNAL] = sums[HT_OUTPUT_DOT] = sums[HT_OUTPUT_OWN] = signal;
              sums[HT_OUTPUT_NOISE] = 0.01 * shared * std::exp (0.3 * normal (random)) * (metrics == a ? 2 : 1);
              sums[HT_OUTPUT_DIFFERENCE] = 0;
            }
        }
      ht_metrics_finish (a);
      ht_metrics_finish (b);
      double difference, low, high;
      ASSERT_TRUE (ht_metrics_compare (a, b, "sqnr", 0.95, &difference, &low, &high));
      covered += low <= 10 * std::log10 (2.) && 10 * std::log10 (2.) <= high;
    }
  EXPECT_GE (covered, n_trials * 0.92);
  EXPECT_LE (covered, n_trials * 0.98);
}

TEST (Metrics, PartsJoinAndRecordsComeBack)
{
  g_autoptr (HtMetrics) whole = from_top1 ({ 1, 0, 1, 1, 0 }), first = from_top1 ({ 1, 0 }),
                        rest = from_top1 ({ 1, 1, 0 });
  HtMetrics *parts[] = { first, rest };
  g_autoptr (HtMetrics) joined = ht_metrics_join (parts, 2);
  g_autoptr (GVariant) record = g_variant_ref_sink (ht_metrics_to_variant (joined));
  g_autoptr (HtMetrics) read = ht_metrics_new_from_variant (record);
  ASSERT_NE (read, nullptr);
  g_auto (GStrv) names = ht_metrics_list (whole);
  EXPECT_EQ (ht_metrics_get_n_samples (read), 5u);
  for (char **name = names; *name; name++)
    EXPECT_EQ (ht_metrics_get (read, *name), ht_metrics_get (whole, *name)) << *name;
  g_autoptr (GVariant) other
      = g_variant_ref_sink (g_variant_new ("(uu@ad)", 2u, 0u, g_variant_new_array (G_VARIANT_TYPE_DOUBLE, nullptr, 0)));
  EXPECT_EQ (ht_metrics_new_from_variant (other), nullptr);
}

TEST (Metrics, DivergenceIsThatOfTheDistributions)
{
  const float given[] = { 0.5f, 0.25f, 0.25f }, other[] = { 0.25f, 0.5f, 0.25f };
  EXPECT_NEAR (ht_divergence (given, other, 3), 0.25 * std::log (2.), 1e-7);
  // Logits of the same distributions, moved by a constant
  const float a[] = { 100 + std::log (0.5f), 100 + std::log (0.25f), 100 + std::log (0.25f) };
  const float b[] = { -7 + std::log (0.25f), -7 + std::log (0.5f), -7 + std::log (0.25f) };
  EXPECT_NEAR (ht_divergence (a, b, 3), 0.25 * std::log (2.), 1e-5);
  EXPECT_EQ (ht_divergence (a, a, 3), 0);
  const float broken[] = { 0, std::nanf (""), 1 };
  EXPECT_EQ (ht_divergence (a, broken, 3), INFINITY);
}
