/* SPDX-License-Identifier: MIT */
/* The distribution of a stream of values in memory of fixed size. */
#pragma once

#include "kernels/histogram.h"

#include <glib-object.h>

#define HT_HISTOGRAM_ALIGNED_BINS 1536

typedef enum
{
  /* Bins of a power of two, from zero on; where values exceed them, neighbours are merged. The result depends on the
   * values alone, neither on their order nor on the batches they came in, unless they are sampled. */
  HT_HISTOGRAM_DOUBLING,
  /* AIMET's: 1536 bins of 1/512 of the range of the first batch that is not all zero, which span three times that
   * range; what lies beyond is dropped; each batch weighs the same. */
  HT_HISTOGRAM_AIMET,
} HtHistogramKind;

typedef struct
{
  HtHistogramKind kind;
  gboolean is_sampled;     /* doubling: of large batches a quarter of the values is looked at, but for the range */
  gboolean seen;           /* any value; AIMET's: any batch that is not all zero */
  double minimum, maximum; /* of all values */
  double width;
  union
  {
    guint64 counts[HT_KERNEL_HISTOGRAM_BINS]; /* bin k at k modulo their number */
    double shares[HT_HISTOGRAM_ALIGNED_BINS];
  };
  gint exponent;     /* doubling: width = 2^exponent */
  guint64 n_values;  /* doubling */
  double low;        /* AIMET's: the left edge of the first bin */
  guint64 n_batches; /* AIMET's */
} HtHistogram;

/* Keeps whether it is sampled. */
void ht_histogram_clear (HtHistogram *self, HtHistogramKind kind);
void ht_histogram_add (HtHistogram *self, const float *values, gsize n_values, double minimum, double maximum);

/* The bins that hold something, from left to right. */
typedef struct
{
  double low, width; /* of bin 0 */
  gint n_bins;
  gint n_used;
  gint used[HT_KERNEL_HISTOGRAM_BINS];      /* their numbers */
  double middles[HT_KERNEL_HISTOGRAM_BINS]; /* of the used ones */
  double shares[HT_KERNEL_HISTOGRAM_BINS];  /* of all values; what was dropped is missing in their sum */
} HtHistogramBins;

void ht_histogram_list (const HtHistogram *self, HtHistogramBins *bins);
