/* SPDX-License-Identifier: MIT */
/* Costly functions of one element over float arrays, a register at a time; within 3 units in the last place of the
 * exact value (GELU: of its factors). NaN stays NaN. */
#pragma once

#include "kernels/isa.h"

typedef struct
{
  void (*exp) (gsize n, const float *x, float *y);
  void (*erf) (gsize n, const float *x, float *y);
  void (*tanh) (gsize n, const float *x, float *y);
  void (*sigmoid) (gsize n, const float *x, float *y);
  void (*gelu) (gsize n, const float *x, float *y);
  void (*gelu_tanh) (gsize n, const float *x, float *y);
  void (*swish) (gsize n, const float *x, float *y, float alpha); /* x * sigmoid (alpha * x) */
} HtMapKernels;

HT_ISA_DECLARE (HtMapKernels, ht_map_kernels);

/* x and y may be the same. All run in the calling thread. */
#define HT_MAP(function) (HT_ISA_PICK (ht_map_kernels)->function)
