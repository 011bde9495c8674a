/* SPDX-License-Identifier: MIT */
#include "kernels/blocked-reorder.h"
#include "kernels/epilogue.h"

static void
from_plain (gsize channels, gsize positions, gsize begin, gsize end, const float *x, float *y, const HtEpilogue *e)
{
  for (gsize block = begin; block < end; block++)
    {
      gsize first = block * HT_ISA_BLOCK, n = MIN (channels - first, (gsize)HT_ISA_BLOCK);
      const float *from = x + first * positions;
      float *to = y + first * positions;
      for (gsize p = 0; p < positions; p++)
        {
          HtBlock v = { 0.0f };
          if (n == HT_ISA_BLOCK)
            for (gsize c = 0; c < HT_ISA_BLOCK; c++)
              v[c] = from[c * positions + p];
          else
            for (gsize c = 0; c < n; c++)
              v[c] = from[c * positions + p];
          if (e && e->grid)
            v = ht_block_quantize (v, e->grid);
          *(HtBlock *)(gpointer)(to + p * HT_ISA_BLOCK) = v;
        }
    }
}

static void
to_plain (gsize channels, gsize positions, gsize begin, gsize end, const float *x, float *y, const HtEpilogue *e)
{
  for (gsize block = begin; block < end; block++)
    {
      gsize first = block * HT_ISA_BLOCK, n = MIN (channels - first, (gsize)HT_ISA_BLOCK);
      const float *from = x + first * positions;
      float *to = y + first * positions;
      for (gsize p = 0; p < positions; p++)
        {
          HtBlock v = *(const HtBlock *)(gconstpointer)(from + p * HT_ISA_BLOCK);
          if (e && e->grid)
            v = ht_block_quantize (v, e->grid);
          for (gsize c = 0; c < n; c++)
            to[c * positions + p] = v[c];
        }
    }
}

const HtBlockedReorderKernels HT_ISA_NAME (ht_blocked_reorder_kernels) = { from_plain, to_plain };
