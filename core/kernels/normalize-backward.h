/* SPDX-License-Identifier: MIT */
/* Gradients of normalizations, in float and in double. Sums are kept in double and have a fixed order. */
#pragma once

#include <glib.h>

/* x is [outer, channels, inner]. dy_sum[c] is the sum of dy, product_sum[c] that of dy * (x - mean[c]). */
void ht_kernel_channel_sums_float (const float *x, const float *dy, gsize outer, gsize channels, gsize inner,
                                   const double *mean, double *dy_sum, double *product_sum);
void ht_kernel_channel_sums_double (const double *x, const double *dy, gsize outer, gsize channels, gsize inner,
                                    const double *mean, double *dy_sum, double *product_sum);
/* dx = a[c] * dy + b[c] * (x - mean[c]) + d[c] */
void ht_kernel_channel_gradient_float (const float *x, const float *dy, float *dx, gsize outer, gsize channels,
                                       gsize inner, const double *mean, const double *a, const double *b,
                                       const double *d);
void ht_kernel_channel_gradient_double (const double *x, const double *dy, double *dx, gsize outer, gsize channels,
                                        gsize inner, const double *mean, const double *a, const double *b,
                                        const double *d);

/* Rows as in HtRowNorm. What is NULL is not wanted. */
typedef struct
{
  gsize n_rows, n;
  gsize factor_rows, factor_count;
  double epsilon;
  gconstpointer x, dy, factor;
  gpointer dx, d_factor, d_term;
  gpointer workspace;
} HtRowNormBackward;

gsize ht_kernel_row_norm_backward_workspace (gsize n_rows, gsize n, gsize factor_count);
void ht_kernel_row_norm_backward_float (const HtRowNormBackward *norm);
void ht_kernel_row_norm_backward_double (const HtRowNormBackward *norm);
