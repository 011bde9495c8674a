/* SPDX-License-Identifier: MIT */
/* What is remembered of the values of a tensor to tell, once its grid is known, what the grid does to them. */
#pragma once

#include "quant/calibrator-histogram.h"

#include <halftone/encoding.h>

typedef struct
{
  gboolean is_bad; /* a value was not finite, so that nothing can be told */
  guint64 n_values, n_zeros;
  double sum_of_squares;
  HtHistogram *own; /* NULL: the calibrator's serves */
} HtValueStatistics;

/* The share of values beyond the grid, and signal to noise in dB: infinite where nothing is lost. */
typedef struct
{
  double clip_ratio, sqnr;
} HtGridLoss;

void ht_value_statistics_clear (HtValueStatistics *self);
/* `calibrator` may be NULL. It has observed the values, or will, so that its histogram need not be made again. */
void ht_value_statistics_add (HtValueStatistics *self, HtCalibrator *calibrator, const float *values, gsize n_values,
                              const HtKernelRange *range);
/* FALSE where there are no values, or some were not finite. The values of a bin count as spread evenly, but for zeros.
 */
gboolean ht_value_statistics_measure (const HtValueStatistics *self, HtCalibrator *calibrator, HtEncoding *encoding,
                                      HtGridLoss *loss);
/* The same of values that are at hand, exactly. The encoding fits the tensor. */
gboolean ht_grid_loss_of_tensor (HtTensor *tensor, HtEncoding *encoding, HtGridLoss *loss);
