/* SPDX-License-Identifier: MIT */
/* The data gradient of a depthwise convolution with strides. */
#pragma once

#include "kernels/blocked.h"
#include "kernels/isa.h"

/* Kernel positions of the last axis, and of the first two together, that the kernels take. */
#define HT_DEPTHWISE_BACKWARD_TAPS 16

typedef struct
{
  /* Row (d, h) of one plane of dx, from the plane dy; w: [taps][block]. */
  void (*row) (const HtConvGeometry *g, gsize d, gsize h, const float *dy, const float *w, float *dx);
} HtBlockedDepthwiseBackwardKernels;

HT_ISA_DECLARE (HtBlockedDepthwiseBackwardKernels, ht_blocked_depthwise_backward_kernels);

/* `packed` are the weights as the forward pass has them. */
gboolean ht_blocked_depthwise_backward_supports (const HtConvGeometry *geometry);
void ht_blocked_depthwise_backward (const HtConvGeometry *geometry, const float *dy, const float *packed, float *dx);
