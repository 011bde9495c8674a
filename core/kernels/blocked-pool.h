/* SPDX-License-Identifier: MIT */
#pragma once

#include "kernels/blocked.h"
#include "kernels/isa.h"

/* One row of outputs of one plane. */
typedef struct
{
  const HtPoolGeometry *pool;
  const float *x;                        /* the plane */
  gsize out[2];                          /* the row: its first two coordinates */
  const float *scale, *shift, *residual; /* where this row's begin; NULL: none */
  const HtEpilogue *e;
  float *y;
} HtPoolRow;

typedef struct
{
  void (*max) (const HtPoolRow *row);
  void (*average) (const HtPoolRow *row);
  /* One plane to one block. */
  void (*global_average) (gsize positions, const float *x, float *y);
  void (*global_max) (gsize positions, const float *x, float *y);
  /* A row of y, [channels], from whole blocks. */
  void (*finish_channels) (gsize channels, const float *x, const HtEpilogue *e, const float *residual, float *y);
} HtBlockedPoolKernels;

HT_ISA_DECLARE (HtBlockedPoolKernels, ht_blocked_pool_kernels);
