/* SPDX-License-Identifier: MIT */
/* The calibrator tf-enhanced: AIMET's search for the grid of the least weighted sum of rounding and clipping errors. */
#include "quant/calibrator-histogram.h"

#include "kernels/vectorize.h"

#include <math.h>

#define GAMMA       3.0 /* weight of what is clipped */
#define N_SCALES    17
#define N_OFFSETS   21
#define N_SYMMETRIC 101
#define STRETCH     128 /* bins between two looks at the cost; a multiple of the lanes */

typedef struct
{
  HtHistogramCalibrator parent_instance;
} HtTfEnhancedCalibrator;

typedef HtHistogramCalibratorClass HtTfEnhancedCalibratorClass;

G_DEFINE_TYPE (HtTfEnhancedCalibrator, ht_tf_enhanced_calibrator, HT_TYPE_HISTOGRAM_CALIBRATOR)

typedef struct
{
  const HtHistogramBins *bins;
  double n_codes; /* 2^bits - 1, of strict grids too */
  double n_steps;
  double low, high; /* the observed range on its own grid */
  double best_cost, best_scale, best_offset;
  double (*sums)[3]; /* of share, share * middle, share * middle^2 of the used bins before each; NULL: not wanted */
} Search;

/* The sum over bins of share * (middle - target)^2. */
HT_VECTORIZE static double
clipping_cost (const double *middles, const double *shares, gint begin, gint end, double target)
{
  double sum = 0;

  for (gint i = begin; i < end; i++)
    sum += shares[i] * (middles[i] - target) * (middles[i] - target);
  return sum;
}

#define LANES 4

HT_VECTORIZE static void
add_rounding_costs (const double *middles, const double *shares, gint begin, gint end, double scale, double offset,
                    double *lanes)
{
  gint i = begin;

  for (; i + LANES <= end; i += LANES)
    for (gint lane = 0; lane < LANES; lane++)
      {
        double code = floor (middles[i + lane] / scale - offset + 0.5);
        double error = middles[i + lane] - scale * (code + offset);
        lanes[lane] += shares[i + lane] * error * error;
      }
  for (; i < end; i++)
    {
      double error = middles[i] - scale * (floor (middles[i] / scale - offset + 0.5) + offset);
      lanes[0] += shares[i] * error * error;
    }
}

static gint
bin_of (const HtHistogramBins *bins, double value)
{
  return (gint)CLAMP (floor ((value - bins->low) / bins->width), 0, bins->n_bins - 1);
}

/* The first used bin that is not left of `bin`. */
static gint
position_of (const HtHistogramBins *bins, gint bin)
{
  gint begin = 0, end = bins->n_used;

  while (begin < end)
    {
      gint middle = (begin + end) / 2;
      if (bins->used[middle] < bin)
        begin = middle + 1;
      else
        end = middle;
    }
  return begin;
}

static double
clipped_by_sums (const double *sums, double target)
{
  return sums[2] - 2 * target * sums[1] + target * target * sums[0];
}

/* A sum that is quickly found and, but for what was rounded off, that of clipping_cost(). */
static gboolean
clips_too_much (const Search *self, gint first, gint last, double low, double high)
{
  const double *all, *before;
  double left, right, slack;

  if (!self->sums)
    return FALSE;
  all = self->sums[self->bins->n_used];
  before = self->sums[last];
  left = clipped_by_sums (self->sums[first], low);
  right = clipped_by_sums ((double[]){ all[0] - before[0], all[1] - before[1], all[2] - before[2] }, high);
  slack = 1e-12 * (all[2] + (low * low + high * high) * all[0]);
  return GAMMA * (left + right - slack) > self->best_cost;
}

/* FALSE: what it clips alone costs more than the best grid does. No sum here ever gets smaller, so that one above the
 * best is given up half-way. */
static gboolean
try_grid (Search *self, double scale, double offset)
{
  const HtHistogramBins *bins = self->bins;
  gint low = bin_of (bins, scale * offset), high = bin_of (bins, scale * (offset + self->n_codes));
  gint first = position_of (bins, low), last = position_of (bins, high);
  double low_middle = bins->low + (low + 0.5) * bins->width, high_middle = bins->low + (high + 0.5) * bins->width;
  double lanes[LANES] = { 0 }, clipped, cost;

  if (clips_too_much (self, first, last, low_middle, high_middle))
    return FALSE;
  clipped = clipping_cost (bins->middles, bins->shares, 0, first, low_middle)
            + clipping_cost (bins->middles, bins->shares, last, bins->n_used, high_middle);
  cost = GAMMA * clipped;
  if (!(cost <= self->best_cost))
    return FALSE;
  for (gint begin = first; begin < last; begin += STRETCH)
    {
      add_rounding_costs (bins->middles, bins->shares, begin, MIN (begin + STRETCH, last), scale, offset, lanes);
      cost = GAMMA * clipped + ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]));
      if (!(cost <= self->best_cost))
        return TRUE;
    }
  self->best_cost = cost;
  self->best_scale = scale;
  self->best_offset = offset;
  return TRUE;
}

/* A grid that reaches beyond the observed range is cut to it; FALSE where nothing is left, or both ends lie beyond. */
static gboolean
cut_grid (const Search *self, double *scale, double *offset)
{
  double low = *scale * *offset, high = *scale * (*offset + self->n_steps);

  if (low < self->low && high > self->high)
    return FALSE;
  low = MAX (low, self->low);
  high = MIN (high, self->high);
  if (!(low < high))
    return FALSE;
  *scale = (high - low) / self->n_steps;
  *offset = round (low / *scale);
  return TRUE;
}

static gpointer
sum_up (const HtHistogramBins *bins)
{
  double (*sums)[3] = g_malloc0 (((gsize)bins->n_used + 1) * sizeof *sums);

  for (gint i = 0; i < bins->n_used; i++)
    {
      double share = bins->shares[i], middle = bins->middles[i];
      sums[i + 1][0] = sums[i][0] + share;
      sums[i + 1][1] = sums[i][1] + share * middle;
      sums[i + 1][2] = sums[i][2] + share * middle * middle;
    }
  return sums;
}

/* Of grids that cost the same the first one counts, as in AIMET. They are tried from the last one on, since the best is
 * mostly among the largest and those that clip much are then given up soon. */
static void
search_asymmetric (Search *self, double minimum, double maximum)
{
  double n = self->n_steps, whole = (maximum - minimum) / n, whole_offset = round (minimum / whole);
  g_autofree gpointer sums = self->sums = sum_up (self->bins);

  self->low = whole * whole_offset;
  self->high = whole * (whole_offset + n);
  try_grid (self, whole, whole_offset);
  for (gint f = N_SCALES; f >= 1; f--)
    for (gint i = N_OFFSETS - 1; i >= 0; i--)
      {
        double scale = whole * f / 16, offset = trunc (-n + n / (N_OFFSETS - 1) * i);

        if (cut_grid (self, &scale, &offset))
          try_grid (self, scale, offset);
      }
}

static void
search_symmetric (Search *self, double minimum, double maximum, gboolean is_unsigned)
{
  double n = self->n_steps;
  double whole = is_unsigned ? maximum / n : MAX (-minimum, maximum) / (n / 2);
  double offset = is_unsigned ? 0 : floor (-n / 2);
  double factors[N_SYMMETRIC];
  float factor = 0;

  for (gint i = 0; i < N_SYMMETRIC; i++)
    {
      factor += 0.01f;
      factors[i] = (double)factor;
    }
  /* A smaller grid clips no less. */
  for (gint i = N_SYMMETRIC - 1; i >= 0 && try_grid (self, whole * factors[i], offset); i--)
    ;
}

static void
find_range (HtCalibrator *calibrator, const HtHistogramBins *bins, HtQuantizerSettings *settings, double *minimum,
            double *maximum)
{
  double low = MIN (*minimum, 0), high = MAX (MAX (*maximum, 0), low + 0.01);
  Search search = { .bins = bins,
                    .n_codes = ldexp (1, (gint)ht_quantizer_settings_get_bits (settings)) - 1,
                    .n_steps = (double)ht_quantizer_settings_get_n_steps (settings),
                    .best_cost = INFINITY };

  /* Where values are smaller than AIMET's 0.01, a range of 0.01 would leave them few codes. */
  if (((HtHistogramCalibrator *)calibrator)->kind == HT_HISTOGRAM_DOUBLING)
    high = MAX (*maximum, 0);
  if (ht_quantizer_settings_get_symmetric (settings))
    search_symmetric (&search, low, high, low >= 0 && ht_quantizer_settings_get_unsigned_symmetric (settings));
  else
    search_asymmetric (&search, low, high);
  *minimum = search.best_scale * search.best_offset;
  *maximum = search.best_scale * (search.best_offset + search.n_steps);
}

static void
ht_tf_enhanced_calibrator_class_init (HtTfEnhancedCalibratorClass *klass)
{
  klass->find_range = find_range;
  ht_calibrator_class_set_info (
      &klass->parent_class, "tf-enhanced", "The grid of least error, clipping counted three times",
      "Tries scales and offsets (asymmetric grids) or scales (symmetric ones) on a histogram.");
  ht_calibrator_class_add_reference (&klass->parent_class,
                                     "AIMET, quantization scheme tf_enhanced, https://github.com/quic/aimet");
}

static void
ht_tf_enhanced_calibrator_init (HtTfEnhancedCalibrator *self)
{
}
