/* SPDX-License-Identifier: MIT */
#pragma once

#include "kernels/blocked.h"
#include "kernels/isa.h"

typedef struct
{
  /* Of `n` positions of one block: the sum of a * b. */
  void (*dot) (gsize n, const float *a, const float *b, float *sum);
  /* A row of `n` positions, each the sum of `rows` rows, `row` floats apart, of `factor` positions. */
  void (*sum_windows) (gsize n, gsize rows, gsize row, gsize factor, const float *dy, float *dx);
  /* dx, and for each lane what the scale and the offset get. */
  void (*fake_quantize) (gsize n, const HtGrid *grid, const float *x, const float *dy, float *dx, float *dscale,
                         float *doffset);
} HtBlockedElementwiseBackwardKernels;

HT_ISA_DECLARE (HtBlockedElementwiseBackwardKernels, ht_blocked_elementwise_backward_kernels);
