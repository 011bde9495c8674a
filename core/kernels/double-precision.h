/* SPDX-License-Identifier: MIT */
/* Operations of double arrays whose float forms have kernels of their own: plain loops, right rather than quick. Shapes
 * and meanings are those of the float forms. */
#pragma once

#include "kernels/pool.h"

void ht_kernel_conv_double (const HtConvGeometry *geometry, const double *x, const double *w, const double *bias,
                            double *y);
void ht_kernel_conv_transpose_double (const HtConvGeometry *geometry, const double *x, const double *w,
                                      const double *bias, double *y);
void ht_kernel_average_pool_double (const HtPoolGeometry *pool, const double *x, double *y);
void ht_kernel_row_means_double (const double *x, gsize n_rows, gsize n, double *means);
void ht_kernel_row_maxima_double (const double *x, gsize n_rows, gsize n, double *maxima);
void ht_kernel_affine_channels_double (const double *x, double *y, gsize outer, gsize channels, gsize inner,
                                       const double *factor, const double *term);

/* As HtRowNorm. */
typedef struct
{
  gsize n_rows, n;
  gsize factor_rows, factor_count;
  const double *factor, *term;
  double epsilon;
  double *means, *inverses;
} HtRowNormDouble;

void ht_kernel_row_norm_double (const HtRowNormDouble *norm, const double *x, double *y);

/* C = op(A) * op(B) + C with the strides of op(A) and op(B) between rows and between columns; the rows of C are
 * `c_row` apart. */
void ht_kernel_add_product_double (gsize m, gsize n, gsize k, const double *a, gsize a_row, gsize a_column,
                                   const double *b, gsize b_row, gsize b_column, double *c, gsize c_row);
