/* SPDX-License-Identifier: MIT */
/* The inner part of attention.c. */
#pragma once

#include "kernels/attention.h"
#include "kernels/isa.h"

/* Rows whose probabilities are kept at a time. */
#define HT_ATTENTION_ROWS ((gsize)18)

typedef struct
{
  /* n x d, rows ldx apart, to [d][n filled up with zeros to whole blocks]; of n columns of a row-major matrix that is
   * d x n already likewise. */
  void (*pack) (gboolean transposed, gsize n, gsize d, const float *x, gsize ldx, float *packed);
  /* Of m rows, at most HT_ATTENTION_ROWS. k is [d][n], v [n][e], both filled up to whole blocks; `probabilities` holds
   * m rows of n, `sums` m rows of e, filled up as well. */
  void (*rows) (const HtAttention *attention, gsize m, const float *q, const float *k, const float *v,
                float *probabilities, float *sums, float *y);
} HtAttentionRowsKernels;

HT_ISA_DECLARE (HtAttentionRowsKernels, ht_attention_rows_kernels);
