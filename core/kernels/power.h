/* SPDX-License-Identifier: MIT */
/* Sums of squares of float arrays. */
#pragma once

#include <glib.h>

typedef struct
{
  double sum_of_squares;
  gsize n_zeros;
} HtKernelPower;

/* The partition of the sum is fixed: the same bits at any number of threads. */
HtKernelPower ht_kernel_power (const float *x, gsize n);
