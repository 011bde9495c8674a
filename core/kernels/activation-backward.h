/* SPDX-License-Identifier: MIT */
#pragma once

#include "kernels/blocked.h"
#include "kernels/isa.h"

typedef struct
{
  void (*accumulate) (gsize n, const float *x, float *y);
  void (*clamp) (gsize n, float low, float high, const float *source, const float *dy, float *dx);
  void (*activation) (gsize n, const HtEpilogue *e, const float *source, const float *dy, float *dx);
} HtActivationBackwardKernels;

HT_ISA_DECLARE (HtActivationBackwardKernels, ht_activation_backward_kernels);
