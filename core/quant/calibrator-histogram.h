/* SPDX-License-Identifier: MIT */
/* What the calibrators that look at the distribution of values share: a histogram, and the parameter that chooses it.
 */
#pragma once

#include "quant/calibrator-private.h"
#include "quant/histogram.h"

#include <halftone/quantization.h>

#define HT_TYPE_HISTOGRAM_CALIBRATOR (ht_histogram_calibrator_get_type ())
GType ht_histogram_calibrator_get_type (void);

/* The range of a grid of `n_steps` steps. `bins` is not empty. The ends hold the observed range, of which zero
 * need not be part, nor need the ends differ; they receive the range of the grid. */
typedef void (*HtHistogramRangeFunc) (HtCalibrator *self, const HtHistogramBins *bins, HtQuantizerSettings *settings,
                                      double *minimum, double *maximum);

typedef struct
{
  HtCalibratorClass parent_class;
  HtHistogramRangeFunc find_range;
  gboolean needs_all; /* the range hangs on a few values, of which a sample knows too little */
} HtHistogramCalibratorClass;

typedef struct
{
  HtCalibrator parent_instance;
  HtHistogramKind kind;
  HtHistogram *histogram;
} HtHistogramCalibrator;

/* From now on a quarter of the values of large batches is looked at, unless the calibrator needs all of them. */
void ht_histogram_calibrator_sample (HtCalibrator *self);

/* Behind the property `histogram`. */
enum
{
  HT_HISTOGRAM_CALIBRATOR_PROP_HISTOGRAM = 1,
  HT_HISTOGRAM_CALIBRATOR_N_PROPS
};
