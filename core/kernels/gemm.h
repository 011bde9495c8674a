/* SPDX-License-Identifier: MIT */
/* Matrix products in row-major order. OpenBLAS computes fixed tiles in one thread each; the tiles are ours. */
#pragma once

#include <glib.h>

/* C = alpha * op(A) * op(B) + beta * C, where op(A) is m x k and op(B) k x n. With beta 0, C is not read. */
typedef struct
{
  gboolean transpose_a, transpose_b;
  gsize m, n, k;
  gsize lda, ldb, ldc; /* elements from one row, as stored, to the next */
  float alpha, beta;
} HtGemmShape;

/* Dimensions and strides must fit OpenBLAS's 32-bit integers. */
gboolean ht_kernel_gemm_fits (const HtGemmShape *shape);
/* In the calling thread. */
void ht_kernel_gemm (const HtGemmShape *shape, const float *a, const float *b, float *c);
void ht_kernel_gemm_double (const HtGemmShape *shape, const double *a, const double *b, double *c);
/* `n_batch` products over the pool. Product i reads a + a_offsets[i] and b + b_offsets[i] and writes c + i * c_stride;
 * NULL offsets are 0. */
void ht_kernel_gemm_batch (const HtGemmShape *shape, gsize n_batch, const float *a, const gsize *a_offsets,
                           const float *b, const gsize *b_offsets, float *c, gsize c_stride);
