/* SPDX-License-Identifier: MIT */
/* Ranges of float arrays. */
#pragma once

#include <glib.h>

typedef struct
{
  float minimum;      /* +inf when there is no finite element */
  float maximum;      /* -inf likewise */
  gsize n_not_finite; /* NaN and infinities, which the range leaves out */
} HtKernelRange;

HtKernelRange ht_kernel_min_max (const float *x, gsize n);
/* x is [outer, channels, inner]; one range for each channel. */
void ht_kernel_min_max_channels (const float *x, gsize outer, gsize channels, gsize inner, HtKernelRange *ranges);
