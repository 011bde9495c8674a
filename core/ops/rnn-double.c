/* SPDX-License-Identifier: MIT */
#include "kernels/double-precision.h"
#include "ops/rnn.h"

#define REAL    double
#define RNN_RUN ht_rnn_run_double
#define ADD_PRODUCT(m, n, k, a, lda, b, ldb, c, ldc)                                                                   \
  ht_kernel_add_product_double (m, n, k, a, lda, 1, b, 1, ldb, c, ldc)
#include "ops/rnn-steps.h"
