/* SPDX-License-Identifier: MIT */
#include "kernels/gemm.h"
#include "kernels/map.h"
#include "ops/rnn.h"

static void
add_product (gsize m, gsize n, gsize k, const float *a, gsize lda, const float *b, gsize ldb, float *c, gsize ldc)
{
  HtGemmShape shape = {
    .transpose_b = TRUE, .m = m, .n = n, .k = k, .lda = lda, .ldb = ldb, .ldc = ldc, .alpha = 1.0f, .beta = 1.0f
  };
  ht_kernel_gemm_batch (&shape, 1, a, NULL, b, NULL, c, 0);
}

#define REAL           float
#define RNN_RUN        ht_rnn_run_float
#define ADD_PRODUCT    add_product
#define SIGMOIDS(n, x) HT_MAP (sigmoid) (n, x, x)
#define TANHS(n, x)    HT_MAP (tanh) (n, x, x)
#include "ops/rnn-steps.h"
