/* SPDX-License-Identifier: MIT */
#pragma once

#include "kernels/blocked.h"
#include "kernels/isa.h"

/* Of one block; each of the pointers is where the block's values begin. */
typedef struct
{
  const float *x, *dy;
  const float *y; /* dy counts where low < y < high; NULL: everywhere */
  float low, high;
} HtNormInput;

typedef struct
{
  /* Of `n` positions, n > 0: their mean, and the sum of the squares of the distances from it. */
  void (*statistics) (gsize n, const float *x, float *mean, float *squares);
  /* The sums of dy and of dy * (x - mean). */
  void (*sums) (gsize n, const HtNormInput *in, const float *mean, float *sum, float *product);
  /* dx = a * dy + b * x + c; d_residual (nullable) is what counts of dy. */
  void (*apply) (gsize n, const HtNormInput *in, const float *a, const float *b, const float *c, float *dx,
                 float *d_residual);
} HtBlockedBatchNormKernels;

HT_ISA_DECLARE (HtBlockedBatchNormKernels, ht_blocked_batch_norm_kernels);
