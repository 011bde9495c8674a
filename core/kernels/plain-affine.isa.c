/* SPDX-License-Identifier: MIT */
#include "kernels/plain-affine.h"

#include "kernels/epilogue.h"

#include <string.h>

#define N ((gsize)HT_ISA_BLOCK)

HT_ALWAYS_INLINE HtBlock
finish (HtBlock v, HtBlock scale, HtBlock shift, const float *residual, const HtEpilogue *e)
{
  v = ht_block_round_product (v * scale) + shift;
  return ht_block_finish (v, NULL, NULL, residual, e);
}

static void
row (gsize n, float factor, float term, const float *x, const float *residual, const HtEpilogue *e, float *y)
{
  HtBlock scale = ht_block_set (factor), shift = ht_block_set (term);
  gsize i = 0;

  for (; i + N <= n; i += N)
    *(HtBlockUnaligned *)(gpointer)(y + i)
        = finish (*(const HtBlockUnaligned *)(gconstpointer)(x + i), scale, shift, residual ? residual + i : NULL, e);
  if (i < n)
    {
      float lanes[N] __attribute__ ((aligned (64))) = { 0.0f }, addend[N] __attribute__ ((aligned (64))) = { 0.0f };
      memcpy (lanes, x + i, (n - i) * sizeof (float));
      if (residual)
        memcpy (addend, residual + i, (n - i) * sizeof (float));
      *(HtBlock *)(gpointer)lanes
          = finish (*(const HtBlock *)(gconstpointer)lanes, scale, shift, residual ? addend : NULL, e);
      memcpy (y + i, lanes, (n - i) * sizeof (float));
    }
}

static void
rows (gsize channels, gsize positions, gsize begin, gsize end, const float *x, const HtEpilogue *e, float *y)
{
  for (gsize r = begin; r < end; r++)
    row (positions, e->scale ? e->scale[r % channels] : 1.0f, e->shift ? e->shift[r % channels] : 0.0f,
         x + r * positions, e->residual ? e->residual + r * positions : NULL, e, y + r * positions);
}

const HtPlainAffineKernels HT_ISA_NAME (ht_plain_affine_kernels) = { rows };
