/* SPDX-License-Identifier: MIT */
#include "kernels/blocked-elementwise-backward.h"

#include "kernels/epilogue.h"

#define N    HT_ISA_BLOCK
#define SUMS 4

HT_ALWAYS_INLINE HtBlock
load (const float *x)
{
  return *(const HtBlock *)(gconstpointer)x;
}

HT_ALWAYS_INLINE void
store (float *y, HtBlock v)
{
  *(HtBlock *)(gpointer)y = v;
}

static void
dot (gsize n, const float *a, const float *b, float *sum)
{
  HtBlock sums[SUMS] = { { 0.0f } };
  gsize p = 0;

  for (; p + SUMS <= n; p += SUMS)
#pragma GCC unroll 4
    for (gsize i = 0; i < SUMS; i++)
      sums[i] += load (a + (p + i) * N) * load (b + (p + i) * N);
  for (; p < n; p++)
    sums[0] += load (a + p * N) * load (b + p * N);
  store (sum, (sums[0] + sums[1]) + (sums[2] + sums[3]));
}

static void
sum_windows (gsize n, gsize rows, gsize row, gsize factor, const float *dy, float *dx)
{
  for (gsize p = 0; p < n; p++)
    {
      HtBlock sum = { 0.0f };
      for (gsize i = 0; i < rows; i++)
        for (gsize j = 0; j < factor; j++)
          sum += load (dy + i * row + (p * factor + j) * N);
      store (dx + p * N, sum);
    }
}

/* Clamping to one step beyond the grid before rounding keeps the numbers small enough for it. */
static void
fake_quantize (gsize n, const HtGrid *grid, const float *x, const float *dy, float *dx, float *dscale, float *doffset)
{
  const HtBlock magic = ht_block_set (12582912.0f); /* 1.5 * 2^23 */
  HtBlock low = ht_block_set (grid->offset), high = ht_block_set (grid->offset + grid->n_steps);
  HtBlock scales = { 0.0f }, offsets = { 0.0f };

  for (gsize p = 0; p < n; p++)
    {
      HtBlock g = load (dy + p * N), t = load (x + p * N) / ht_block_set (grid->scale);
      HtBlock code = ht_block_select (t > low - 1.0f, t, low - 1.0f);
      code = ht_block_select (code < high + 1.0f, code, high + 1.0f);
      code = (code + magic) - magic;
      HtBlockMask inside = (code >= low) & (code <= high);
      HtBlock end = ht_block_select (code < low, low, high);
      scales += g * ht_block_select (inside, code - t, end);
      offsets += (HtBlock)(~inside & (HtBlockMask)(g * grid->scale));
      if (dx)
        store (dx + p * N, (HtBlock)(inside & (HtBlockMask)g));
    }
  store (dscale, scales);
  store (doffset, offsets);
}

const HtBlockedElementwiseBackwardKernels HT_ISA_NAME (ht_blocked_elementwise_backward_kernels)
    = { dot, sum_windows, fake_quantize };
