/* SPDX-License-Identifier: MIT */
#include "kernels/blocked-affine-backward.h"

#include "kernels/epilogue.h"

#define N    HT_ISA_BLOCK
#define SUMS 4

HT_ALWAYS_INLINE HtBlock
load (const float *x)
{
  return *(const HtBlock *)(gconstpointer)x;
}

HT_ALWAYS_INLINE void
step (gsize p, const float *x, HtBlock factor, const float *dy, float *dx, HtBlock *sum, HtBlock *product)
{
  HtBlock v = load (dy + p * N);

  *sum += v;
  if (x)
    *product += v * load (x + p * N);
  if (dx)
    *(HtBlock *)(gpointer)(dx + p * N) = v * factor;
}

HT_ALWAYS_INLINE void
run_body (gsize n, const float *x, const float *scale, const float *dy, float *dx, float *sum, float *product)
{
  HtBlock factor = scale ? load (scale) : ht_block_set (1.0f), sums[SUMS] = { { 0.0f } }, products[SUMS] = { { 0.0f } };
  gsize p = 0;

  for (; p + SUMS <= n; p += SUMS)
#pragma GCC unroll 4
    for (gsize i = 0; i < SUMS; i++)
      step (p + i, x, factor, dy, dx, &sums[i], &products[i]);
  for (; p < n; p++)
    step (p, x, factor, dy, dx, &sums[0], &products[0]);
  *(HtBlock *)(gpointer)sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  *(HtBlock *)(gpointer)product = (products[0] + products[1]) + (products[2] + products[3]);
}

static void
run (gsize n, const float *x, const float *scale, const float *dy, float *dx, float *sum, float *product)
{
  if (x && dx)
    run_body (n, x, scale, dy, dx, sum, product);
  else if (x)
    run_body (n, x, scale, dy, NULL, sum, product);
  else if (dx)
    run_body (n, NULL, scale, dy, dx, sum, product);
  else
    run_body (n, NULL, scale, dy, NULL, sum, product);
}

const HtBlockedAffineBackwardKernels HT_ISA_NAME (ht_blocked_affine_backward_kernels) = { run };
