/* SPDX-License-Identifier: MIT */
#include "quant/value-statistics.h"

#include "quant/encoding-private.h"
#include "quant/number-format.h"

#include <math.h>

#define POINTS 8 /* at which the error of a bin is taken */

/* NULL: the calibrator has none that tells where all values lie. */
static const HtHistogram *
find_histogram (const HtValueStatistics *self, HtCalibrator *calibrator)
{
  if (self->own)
    return self->own;
  if (!calibrator || !G_TYPE_CHECK_INSTANCE_TYPE (calibrator, HT_TYPE_HISTOGRAM_CALIBRATOR))
    return NULL;
  HtHistogramCalibrator *with_histogram = (HtHistogramCalibrator *)calibrator;
  return with_histogram->kind == HT_HISTOGRAM_DOUBLING ? with_histogram->histogram : NULL;
}

void
ht_value_statistics_clear (HtValueStatistics *self)
{
  g_clear_pointer (&self->own, g_free);
}

void
ht_value_statistics_add (HtValueStatistics *self, HtCalibrator *calibrator, const float *values, gsize n_values,
                         const HtKernelRange *range)
{
  self->is_bad |= range->n_not_finite > 0;
  if (n_values == 0 || self->is_bad)
    return;
  if (!find_histogram (self, calibrator))
    {
      self->own = g_new0 (HtHistogram, 1);
      self->own->is_sampled = TRUE;
      ht_histogram_clear (self->own, HT_HISTOGRAM_DOUBLING);
    }
  if (self->own)
    ht_histogram_add (self->own, values, n_values, (double)range->minimum, (double)range->maximum);
  self->n_values += n_values;
  self->n_zeros += range->n_zeros;
  self->sum_of_squares += range->sum_of_squares;
}

/* The values of a grid that are rounded, not clipped: within half a step of its ends. */
static void
find_ends (HtEncoding *encoding, gsize grid, double *low, double *high)
{
  double scale = ht_encoding_get_scales (encoding, NULL)[grid];

  if (ht_encoding_is_integer (encoding))
    {
      double offset = (double)ht_encoding_get_offsets (encoding, NULL)[grid];
      *low = scale * (offset - 0.5);
      *high = scale * (offset + (double)ht_encoding_get_n_steps (encoding) + 0.5);
      return;
    }
  *high = ht_number_format_get_largest (ht_encoding_get_format (encoding)) * scale;
  *low = -*high;
}

static void
set_loss (HtGridLoss *loss, double clipped, double n_values, double signal, double noise)
{
  loss->clip_ratio = clipped / n_values;
  loss->sqnr = noise > 0 ? 10 * log10 (signal / noise) : INFINITY;
}

/* Points of a bin, at steps of the golden ratio, so that they cannot fall into step with a grid. */
static void
place_points (const HtHistogram *histogram, const HtHistogramBins *bins, gint used, float *points)
{
  double low = MAX (bins->low + bins->used[used] * bins->width, histogram->minimum);
  double high = MIN (bins->low + (bins->used[used] + 1) * bins->width, histogram->maximum);

  for (gint i = 0; i < POINTS; i++)
    {
      double turn = (used * POINTS + i + 0.5) * 0.6180339887498949;
      points[i] = (float)(low + (high - low) * (turn - floor (turn)));
    }
}

gboolean
ht_value_statistics_measure (const HtValueStatistics *self, HtCalibrator *calibrator, HtEncoding *encoding,
                             HtGridLoss *loss)
{
  const HtHistogram *histogram = find_histogram (self, calibrator);
  g_autofree HtHistogramBins *bins = NULL;
  g_autofree float *points = NULL, *rounded = NULL;
  double low, high, noise = 0, clipped = 0;
  gint64 n_points;

  if (self->is_bad || self->n_values == 0 || !histogram)
    return FALSE;
  bins = g_new (HtHistogramBins, 1);
  ht_histogram_list (histogram, bins);
  n_points = (gint64)bins->n_used * POINTS;
  points = g_new (float, n_points);
  rounded = g_new (float, n_points);
  for (gint used = 0; used < bins->n_used; used++)
    place_points (histogram, bins, used, points + used * POINTS);
  ht_encoding_apply (encoding, points, rounded, &n_points, 1);
  find_ends (encoding, 0, &low, &high);
  for (gint used = 0; used < bins->n_used; used++)
    {
      gboolean has_zeros = bins->low + bins->used[used] * bins->width == 0;
      double n = MAX (0, round (bins->shares[used] * (double)self->n_values) - (has_zeros ? (double)self->n_zeros : 0));

      for (gint i = used * POINTS; i < (used + 1) * POINTS; i++)
        {
          double x = (double)points[i], error = x - (double)rounded[i];
          noise += n / POINTS * error * error;
          clipped += x < low || x > high ? n / POINTS : 0;
        }
    }
  set_loss (loss, clipped, (double)self->n_values, self->sum_of_squares, noise);
  return TRUE;
}

typedef struct
{
  HtEncoding *encoding;
  const float *x, *y;
  double signal, noise;
  gsize n_clipped;
} Exact;

static void
measure_run (gsize start, gsize n, gsize grid, gpointer user_data)
{
  Exact *exact = user_data;
  double low, high;

  find_ends (exact->encoding, grid, &low, &high);
  for (gsize i = start; i < start + n; i++)
    {
      double x = (double)exact->x[i], error = x - (double)exact->y[i];
      exact->signal += x * x;
      exact->noise += error * error;
      exact->n_clipped += x < low || x > high;
    }
}

gboolean
ht_grid_loss_of_tensor (HtTensor *tensor, HtEncoding *encoding, HtGridLoss *loss)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);
  gsize n_values = ht_tensor_get_n_elements (tensor);
  g_autoptr (HtTensor) rounded = NULL;
  HtKernelBlocks blocks;
  Exact exact = { 0 };

  if (n_values == 0 || !ht_grid_form_cut (&encoding->form, dims, n_dims, &blocks))
    return FALSE;
  rounded = ht_encoding_fake_quantize (encoding, tensor, NULL);
  if (!rounded)
    return FALSE;
  exact = (Exact){ encoding, ht_tensor_get_data (tensor), ht_tensor_get_data (rounded), 0, 0, 0 };
  ht_kernel_blocks_foreach (&blocks, measure_run, &exact);
  set_loss (loss, (double)exact.n_clipped, (double)n_values, exact.signal, exact.noise);
  return TRUE;
}
