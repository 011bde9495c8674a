/* SPDX-License-Identifier: MIT */
#include "kernels/plain-affine.h"

#include "kernels/epilogue.h"

#include <string.h>

#define N ((gsize)HT_ISA_BLOCK)

HT_ALWAYS_INLINE HtBlock
finish (HtBlock v, HtBlock scale, HtBlock shift, const float *residual, const HtEpilogue *e)
{
  if (e->shift_first)
    v = ht_block_round_product ((v + shift) * scale);
  else
    v = ht_block_round_product (v * scale) + shift;
  return ht_block_finish (v, NULL, NULL, residual, e);
}

HT_ALWAYS_INLINE void
row_body (gsize n, float factor, float term, const float *x, const float *residual, const HtEpilogue *e, float *y)
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
row (gsize n, float factor, float term, const float *x, const float *residual, const HtEpilogue *e, float *y)
{
  HtEpilogue known = { .activation = HT_ACTIVATION_CLAMP, .low = -INFINITY, .high = INFINITY };

  if (e->activation == HT_ACTIVATION_CLAMP)
    {
      known.low = e->low;
      known.high = e->high;
    }
  if (ht_epilogue_is_simple (e))
    {
      row_body (n, factor, term, x, residual, &known, y);
    }
  else if (ht_epilogue_can_round (e))
    {
      HtRounding rounding = ht_rounding_new (e);
      known = *e;
      known.activation = HT_ACTIVATION_NONE;
      known.grid = NULL;
      row_body (n, factor, term, x, residual, &known, y);
      ht_round_all (y, y, n, &rounding);
    }
  else
    {
      row_body (n, factor, term, x, residual, e, y);
    }
}

static void
rows (gsize channel, gsize n_rows, gsize n, const float *x, gsize x_step, const HtEpilogue *e, const float *residual,
      float *y, gsize y_step)
{
  for (gsize r = 0; r < n_rows; r++, channel++, x += x_step, y += y_step)
    {
      row (n, e->scale ? e->scale[channel] : 1.0f, e->shift ? e->shift[channel] : 0.0f, x,
           residual ? residual + r * y_step : NULL, e, y);
      for (const HtEpilogue *next = e->next; next; next = next->next)
        row (n, next->scale ? next->scale[channel] : 1.0f, next->shift ? next->shift[channel] : 0.0f, y, NULL, next, y);
    }
}

const HtPlainAffineKernels HT_ISA_NAME (ht_plain_affine_kernels) = { rows };
