/* SPDX-License-Identifier: MIT */
/* Depthwise convolution in the blocked layout: vectors over channels. */
#pragma once

#include "kernels/blocked.h"
#include "kernels/isa.h"

/* Output rows [begin, end) of all planes of one image and block of channels, which begin at x and y. scale, shift and
 * residual as in an HtTile. */
typedef struct
{
  const float *x, *w; /* w: [taps][block] */
  float *y;
  const float *scale, *shift, *residual;
  const HtEpilogue *e; /* nullable */
} HtDepthwiseBlock;

typedef struct
{
  void (*run) (const HtConvGeometry *g, const HtDepthwiseBlock *b, gsize begin, gsize end);
} HtBlockedDepthwiseKernels;

HT_ISA_DECLARE (HtBlockedDepthwiseKernels, ht_blocked_depthwise_kernels);

gsize ht_blocked_depthwise_packed_floats (const HtConvGeometry *geometry);
void ht_blocked_depthwise_pack (const HtConvGeometry *geometry, const HtWeightOrder *order, float *packed);
void ht_blocked_depthwise (const HtConvGeometry *geometry, const float *x, const float *packed, const HtEpilogue *e,
                           float *y);
