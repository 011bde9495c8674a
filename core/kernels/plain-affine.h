/* SPDX-License-Identifier: MIT */
#pragma once

#include "kernels/blocked.h"
#include "kernels/isa.h"

/* Rows [begin, end) of [batch * channels][positions]. */
typedef struct
{
  void (*rows) (gsize channels, gsize positions, gsize begin, gsize end, const float *x, const HtEpilogue *e, float *y);
} HtPlainAffineKernels;

HT_ISA_DECLARE (HtPlainAffineKernels, ht_plain_affine_kernels);
