/* SPDX-License-Identifier: MIT */
/* Ranges of float arrays, and what else one pass over them tells. */
#pragma once

#include <glib.h>

typedef struct
{
  float minimum;      /* +inf when there is no finite element */
  float maximum;      /* -inf likewise */
  gsize n_not_finite; /* NaN and infinities, which the range leaves out */
  gsize n_zeros;
  double
      sum_of_squares; /* of use where all are finite; its partition is fixed: the same bits at any number of threads */
} HtKernelRange;

HtKernelRange ht_kernel_min_max (const float *x, gsize n);
/* x is [outer, channels, inner]; one range for each channel. */
void ht_kernel_min_max_channels (const float *x, gsize outer, gsize channels, gsize inner, HtKernelRange *ranges);
