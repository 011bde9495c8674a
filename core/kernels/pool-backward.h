/* SPDX-License-Identifier: MIT */
/* Gradients of pooling, in the plain layout. The whole gradient of a maximum goes to the first element of the window
 * that has it; NaN is the greatest. */
#pragma once

#include "kernels/pool.h"

void ht_kernel_max_pool_backward_float (const HtPoolGeometry *pool, const float *x, const float *dy, float *dx);
void ht_kernel_max_pool_backward_double (const HtPoolGeometry *pool, const double *x, const double *dy, double *dx);
void ht_kernel_average_pool_backward_float (const HtPoolGeometry *pool, const float *dy, float *dx);
void ht_kernel_average_pool_backward_double (const HtPoolGeometry *pool, const double *dy, double *dx);
/* Rows of `n` elements, one dy each. */
void ht_kernel_row_means_backward_float (const float *dy, gsize n_rows, gsize n, float *dx);
void ht_kernel_row_means_backward_double (const double *dy, gsize n_rows, gsize n, double *dx);
void ht_kernel_row_maxima_backward_float (const float *x, const float *dy, gsize n_rows, gsize n, float *dx);
void ht_kernel_row_maxima_backward_double (const double *x, const double *dy, gsize n_rows, gsize n, double *dx);
