/* SPDX-License-Identifier: MIT */
/* The p-norm of each window; padding counts nothing. Sums are kept in double. */
#pragma once

#include "kernels/pool.h"

void ht_kernel_lp_pool_float (const HtPoolGeometry *pool, double p, const float *x, float *y);
void ht_kernel_lp_pool_double (const HtPoolGeometry *pool, double p, const double *x, double *y);

/* |x|^p, and the p-th root of a sum of them. */
double ht_lp_power (double x, double p);
double ht_lp_root (double sum, double p);
