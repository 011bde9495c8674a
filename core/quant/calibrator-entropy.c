/* SPDX-License-Identifier: MIT */
/* The calibrator entropy: the limit on magnitudes that loses the least information, as TensorRT publishes it. */
#include "quant/calibrator-histogram.h"

#include <math.h>

typedef struct
{
  HtHistogramCalibrator parent_instance;
} HtEntropyCalibrator;

typedef HtHistogramCalibratorClass HtEntropyCalibratorClass;

G_DEFINE_TYPE (HtEntropyCalibrator, ht_entropy_calibrator, HT_TYPE_HISTOGRAM_CALIBRATOR)

/* Sums over the bins of magnitude below an index: shares, used bins, share * log (share). */
typedef struct
{
  gint n;
  double shares[HT_KERNEL_HISTOGRAM_BINS + 1];
  gint used[HT_KERNEL_HISTOGRAM_BINS + 1];
  double entropies[HT_KERNEL_HISTOGRAM_BINS + 1];
} Sums;

/* Bins left of zero are folded onto those right of it. */
static void
fold (const HtHistogramBins *bins, Sums *sums)
{
  g_autofree double *folded = g_new0 (double, HT_KERNEL_HISTOGRAM_BINS);
  gint zero = (gint)round (-bins->low / bins->width);

  sums->n = 1;
  for (gint i = 0; i < bins->n_used; i++)
    {
      gint at = bins->used[i] >= zero ? bins->used[i] - zero : zero - 1 - bins->used[i];

      folded[MIN (at, HT_KERNEL_HISTOGRAM_BINS - 1)] += bins->shares[i];
      sums->n = MAX (sums->n, MIN (at, HT_KERNEL_HISTOGRAM_BINS - 1) + 1);
    }
  sums->shares[0] = sums->entropies[0] = 0;
  sums->used[0] = 0;
  for (gint i = 0; i < sums->n; i++)
    {
      sums->shares[i + 1] = sums->shares[i] + folded[i];
      sums->used[i + 1] = sums->used[i] + (folded[i] > 0);
      sums->entropies[i + 1] = sums->entropies[i] + (folded[i] > 0 ? folded[i] * log (folded[i]) : 0);
    }
}

/* The divergence of the first `n` bins, merged into `n_levels`, from the same bins with all that lies beyond counted in
 * the last. Infinite where that last bin alone would be empty otherwise. */
static double
divergence (const Sums *sums, gint n, gint n_levels)
{
  double total = sums->shares[sums->n], inside = sums->shares[n], beyond = total - inside;
  double last = inside - sums->shares[n - 1];
  double sum = sums->entropies[n - 1];

  if (sums->used[n] == sums->used[n - 1])
    {
      if (n < sums->n && sums->used[n] < sums->used[sums->n])
        return INFINITY;
    }
  else
    sum += (last + beyond) * log (last + beyond);
  for (gint level = 0; level < n_levels; level++)
    {
      gint begin = (gint)((gint64)level * n / n_levels), end = (gint)((gint64)(level + 1) * n / n_levels);
      double share = sums->shares[end] - sums->shares[begin];
      gint used = sums->used[end] - sums->used[begin];

      if (used > 0)
        sum -= (share + (level == n_levels - 1 ? beyond : 0)) * log (share / inside / used);
    }
  return sum / total - log (total);
}

static void
find_range (HtCalibrator *calibrator, const HtHistogramBins *bins, HtQuantizerSettings *settings, double *minimum,
            double *maximum)
{
  g_autofree Sums *sums = g_new (Sums, 1);
  double low = MIN (*minimum, 0), high = MAX (*maximum, 0), best = INFINITY, limit;
  gint64 n_levels = ht_quantizer_settings_get_n_steps (settings) + 1;
  gboolean one_sided
      = (low >= 0 || high <= 0)
        && (!ht_quantizer_settings_get_symmetric (settings) || ht_quantizer_settings_get_unsigned_symmetric (settings));

  if (!one_sided)
    n_levels = MAX (n_levels / 2, 1);
  fold (bins, sums);
  limit = sums->n * bins->width;
  for (gint n = (gint)MIN (n_levels, sums->n); n <= sums->n && n_levels < sums->n; n++)
    {
      double found = divergence (sums, n, (gint)n_levels);

      if (found <= best)
        {
          best = found;
          limit = n * bins->width;
        }
    }
  *minimum = MAX (low, -limit);
  *maximum = MIN (high, limit);
}

static void
ht_entropy_calibrator_class_init (HtEntropyCalibratorClass *klass)
{
  klass->find_range = find_range;
  ht_calibrator_class_set_info (&klass->parent_class, "entropy",
                                "The limit on magnitudes that loses the least information",
                                "Least Kullback-Leibler divergence between the clipped distribution of magnitudes and "
                                "the same in as many levels as "
                                "the grid has on one side of zero.");
  ht_calibrator_class_add_reference (
      &klass->parent_class,
      "Migacz, 8-bit Inference with TensorRT, GTC 2017, "
      "https://on-demand.gputechconf.com/gtc/2017/presentation/s7310-8-bit-inference-with-tensorrt.pdf");
}

static void
ht_entropy_calibrator_init (HtEntropyCalibrator *self)
{
}
