/* SPDX-License-Identifier: MIT */
#pragma once

#include "kernels/blocked.h"
#include "kernels/isa.h"

/* Each fills one plane of dx. */
typedef struct
{
  void (*max) (const HtPoolGeometry *pool, const float *x, const float *dy, float *dx);
  void (*average) (const HtPoolGeometry *pool, const float *dy, float *dx);
  /* dy is one block. */
  void (*global_average) (gsize positions, const float *dy, float *dx);
  void (*global_max) (gsize positions, const float *x, const float *dy, float *dx);
} HtBlockedPoolBackwardKernels;

HT_ISA_DECLARE (HtBlockedPoolBackwardKernels, ht_blocked_pool_backward_kernels);
