/* SPDX-License-Identifier: MIT */
/* Normalizations of float arrays. x and y may be the same. */
#pragma once

#include <glib.h>

/* y = x * factor[c] + term[c]; x is [outer, channels, inner]. */
void ht_kernel_affine_channels (const float *x, float *y, gsize outer, gsize channels, gsize inner, const float *factor,
                                const float *term);

/* Rows of n elements: y = (x - mean) / sqrt (variance + epsilon), times a factor, plus a term. The factor of element i
 * of row r is factor[r % factor_rows * factor_count + i / (n / factor_count)]: one for each element when factor_count
 * is n, one for the row when it is 1. `term` likewise or NULL; `means` and `inverses` (1 / sqrt) may be NULL. */
typedef struct
{
  gsize n_rows, n;
  gsize factor_rows, factor_count;
  const float *factor, *term;
  float epsilon;
  float *means, *inverses;
} HtRowNorm;

void ht_kernel_row_norm (const HtRowNorm *norm, const float *x, float *y);
