/* SPDX-License-Identifier: MIT */
#pragma once

#include "kernels/blocked.h"
#include "kernels/isa.h"

/* `n` elements of each of `n_rows` channels from `channel` on; rows lie so many floats apart. The residual (NULL: none)
 * lies as y does. */
typedef struct
{
  void (*rows) (gsize channel, gsize n_rows, gsize n, const float *x, gsize x_step, const HtEpilogue *e,
                const float *residual, float *y, gsize y_step);
} HtPlainAffineKernels;

HT_ISA_DECLARE (HtPlainAffineKernels, ht_plain_affine_kernels);
