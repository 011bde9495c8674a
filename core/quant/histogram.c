/* SPDX-License-Identifier: MIT */
#include "quant/histogram.h"

#include <math.h>
#include <string.h>

#define N_BINS         HT_KERNEL_HISTOGRAM_BINS
#define SAMPLED_FROM   65536
#define LEAST_EXPONENT (-120) /* its inverse is a normal float */

void
ht_histogram_clear (HtHistogram *self, HtHistogramKind kind)
{
  gboolean is_sampled = self->is_sampled;

  memset (self, 0, sizeof *self);
  self->is_sampled = is_sampled;
  self->kind = kind;
  self->exponent = LEAST_EXPONENT;
}

static gint64
bin_of (double value, gint exponent)
{
  return (gint64)floor (ldexp (value, -exponent));
}

/* The least width with which all bins from the minimum to the maximum exist, zero's included. */
static gint
find_exponent (double minimum, double maximum, gint exponent)
{
  double low = MIN (minimum, 0), high = MAX (maximum, 0);

  if (high > low)
    exponent = MAX (exponent, ilogb (high - low) - ilogb (2 * N_BINS));
  while (ldexp (high - low, -exponent) >= 2.0 * N_BINS)
    exponent++;
  while (bin_of (high, exponent) - bin_of (low, exponent) >= N_BINS)
    exponent++;
  return exponent;
}

/* floor (x / 2^(e + s)) = floor (floor (x / 2^e) / 2^s): merged bins are those that would have been counted. */
static void
merge_bins (HtHistogram *self, gint exponent)
{
  guint64 old[N_BINS];
  gint shift = MIN (exponent - self->exponent, 62);
  gint64 low = bin_of (MIN (self->minimum, 0), self->exponent);

  memcpy (old, self->counts, sizeof old);
  memset (self->counts, 0, sizeof self->counts);
  for (gint64 bin = low; bin < low + N_BINS; bin++)
    {
      gint64 merged = bin >> shift;
      self->counts[merged & (N_BINS - 1)] += old[bin & (N_BINS - 1)];
    }
}

static void
add_doubling (HtHistogram *self, const float *values, gsize n_values, double minimum, double maximum)
{
  double low = self->seen ? MIN (self->minimum, minimum) : minimum;
  double high = self->seen ? MAX (self->maximum, maximum) : maximum;
  gint exponent = find_exponent (low, high, self->exponent);

  if (exponent > self->exponent && self->seen)
    merge_bins (self, exponent);
  self->exponent = exponent;
  self->width = ldexp (1, exponent);
  self->minimum = low;
  self->maximum = high;
  self->seen = TRUE;
  self->n_values += n_values;
  if (self->is_sampled && n_values >= SAMPLED_FROM)
    ht_kernel_histogram_sampled (values, n_values, (float)self->width, self->counts);
  else
    ht_kernel_histogram (values, n_values, (float)self->width, self->counts);
}

/* As AIMET rounds: the ends in float32, the rest in double. One bin more or less hangs on it. */
static void
lay_out_aligned (HtHistogram *self, double minimum, double maximum)
{
  float low, high, center;
  double first, last;

  if (minimum == maximum)
    maximum = minimum + 0.01;
  /* AIMET divides by zero here: 0.01 more is the same number. */
  if (minimum == maximum)
    maximum = minimum + fabs (minimum) / 1024;
  low = (float)minimum;
  high = (float)maximum;
  center = (low + high) / 2;
  first = (double)(center - 3 * (center - low));
  last = (double)(center + 3 * (high - center));
  if (!(first < last) || !isfinite (first) || !isfinite (last))
    {
      first = minimum - (maximum - minimum);
      last = maximum + (maximum - minimum);
    }
  self->width = (last - first) / HT_HISTOGRAM_ALIGNED_BINS;
  self->low = floor (first / self->width) * self->width;
  self->width = (self->low + self->width) - self->low;
}

static void
add_aligned (HtHistogram *self, const float *values, gsize n_values, double minimum, double maximum)
{
  g_autofree guint64 *counts = NULL;
  double first;

  if (!self->seen && minimum == 0 && maximum == 0)
    return;
  if (!self->seen)
    lay_out_aligned (self, minimum, maximum);
  self->minimum = self->seen ? MIN (self->minimum, minimum) : minimum;
  self->maximum = self->seen ? MAX (self->maximum, maximum) : maximum;
  self->seen = TRUE;
  counts = g_new0 (guint64, HT_HISTOGRAM_ALIGNED_BINS);
  first = round (self->low / self->width);
  for (gsize i = 0; i < n_values; i++)
    {
      double bin = floor ((double)values[i] / self->width) - first;
      if (bin >= 0 && bin < HT_HISTOGRAM_ALIGNED_BINS)
        counts[(gsize)bin]++;
    }
  for (gsize bin = 0; bin < HT_HISTOGRAM_ALIGNED_BINS; bin++)
    self->shares[bin] = (self->shares[bin] * (double)self->n_batches + (double)counts[bin] / (double)n_values)
                        / (double)(self->n_batches + 1);
  self->n_batches++;
}

void
ht_histogram_add (HtHistogram *self, const float *values, gsize n_values, double minimum, double maximum)
{
  if (self->kind == HT_HISTOGRAM_AIMET)
    add_aligned (self, values, n_values, minimum, maximum);
  else
    add_doubling (self, values, n_values, minimum, maximum);
}

void
ht_histogram_list (const HtHistogram *self, HtHistogramBins *bins)
{
  gboolean aligned = self->kind == HT_HISTOGRAM_AIMET;
  gint64 first = aligned ? 0 : bin_of (MIN (self->minimum, 0), self->exponent);
  gint64 last = aligned ? HT_HISTOGRAM_ALIGNED_BINS - 1 : bin_of (MAX (self->maximum, 0), self->exponent);

  bins->width = self->width;
  bins->low = aligned ? self->low : (double)first * self->width;
  bins->n_bins = (gint)(last - first) + 1;
  bins->n_used = 0;
  /* Without a branch, which would often be taken for the other one. */
  for (gint i = 0; i < bins->n_bins; i++)
    {
      bins->used[bins->n_used] = i;
      bins->n_used += aligned ? self->shares[i] > 0 : self->counts[(first + i) & (N_BINS - 1)] > 0;
    }
  for (gint k = 0; k < bins->n_used; k++)
    {
      gint i = bins->used[k];
      bins->middles[k] = bins->low + (i + 0.5) * bins->width;
      bins->shares[k]
          = aligned ? self->shares[i] : (double)self->counts[(first + i) & (N_BINS - 1)] / (double)self->n_values;
    }
}
