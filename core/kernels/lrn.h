/* SPDX-License-Identifier: MIT */
/* Local response normalization across channels of [outer][channels][inner]. */
#pragma once

#include <glib.h>

typedef struct
{
  gsize outer, channels, inner;
  gsize before, after;     /* neighbours whose squares count */
  float alpha, beta, bias; /* alpha is divided by the size of the window already */
} HtLrn;

/* y = x * (bias + alpha * sum of x^2 over the window)^-beta; y is not x. */
void ht_kernel_lrn (const HtLrn *lrn, const float *x, float *y);
