/* SPDX-License-Identifier: MIT */
/* The values of a constant, grid by grid. */
#pragma once

#include "quant/encoding-private.h"

#include <halftone/quantization.h>

typedef struct
{
  HtTensor *tensor;
  gsize n_grids;
  gsize *starts;       /* of each grid, and the end of the last */
  const float *values; /* grid after grid */
  float *rearranged;   /* where they do not lie so in the tensor */
} HtGridValues;

/* `tensor` is float32 and is kept alive. FALSE: it has not the shape that the form counts on. */
gboolean ht_grid_values_init (HtGridValues *self, HtTensor *tensor, const HtGridForm *form);
void ht_grid_values_clear (HtGridValues *self);
/* The range of each grid, found by copies of the calibrator. Grids are calibrated in parallel; which error comes first
 * does not depend on that. */
gboolean ht_grid_values_calibrate (const HtGridValues *self, HtCalibrator *calibrator, HtQuantizerSettings *settings,
                                   double *minima, double *maxima, GError **error);
