/* SPDX-License-Identifier: MIT */
#pragma once

#include "kernels/isa.h"

#include <glib.h>

typedef struct
{
  /* Of `n` positions of one block: the sums of dy and of dy * x (x nullable: 0), and dx = scale * dy (nullable). */
  void (*run) (gsize n, const float *x, const float *scale, const float *dy, float *dx, float *sum, float *product);
} HtBlockedAffineBackwardKernels;

HT_ISA_DECLARE (HtBlockedAffineBackwardKernels, ht_blocked_affine_backward_kernels);
