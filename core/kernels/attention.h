/* SPDX-License-Identifier: MIT */
/* softmax (scale * Q K') V of many small row-major matrices at once; the probabilities never reach memory. */
#pragma once

#include <glib.h>

typedef struct
{
  gsize n_batch;
  gsize m, n, d, e;    /* Q is m x d, K is n x d, V is n x e, the result m x e; all at least 1 */
  gboolean transposed; /* K is given as d x n */
  float scale;
  /* In floats: from a matrix to the next, and from a row to the next */
  gsize q_stride, k_stride, v_stride, y_stride;
  gsize ldq, ldk, ldv, ldy;
} HtAttention;

/* Bytes of scratch memory of one worker. */
gsize ht_attention_slice (const HtAttention *attention);
void ht_kernel_attention (const HtAttention *attention, const float *q, const float *k, const float *v, float *y,
                          gpointer scratch, guint n_slices);
