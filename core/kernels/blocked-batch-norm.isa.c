/* SPDX-License-Identifier: MIT */
#include "kernels/blocked-batch-norm.h"
#include "kernels/epilogue.h"

#define N HT_ISA_BLOCK
/* Sums side by side, to hide the latency of an addition; their order is part of the result. */
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

/* Distances are taken from the first value, which is nearer to the mean than zero may be. */
static void
statistics (gsize n, const float *x, float *mean, float *squares)
{
  HtBlock origin = load (x), sums[SUMS] = { { 0.0f } }, products[SUMS] = { { 0.0f } };
  gsize p = 0;

  for (; p + SUMS <= n; p += SUMS)
#pragma GCC unroll 4
    for (gsize i = 0; i < SUMS; i++)
      {
        HtBlock v = load (x + (p + i) * N) - origin;
        sums[i] += v;
        products[i] += v * v;
      }
  for (; p < n; p++)
    {
      HtBlock v = load (x + p * N) - origin;
      sums[0] += v;
      products[0] += v * v;
    }
  HtBlock sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  HtBlock product = (products[0] + products[1]) + (products[2] + products[3]);
  HtBlock distance = sum / (float)n;
  store (mean, origin + distance);
  HtBlock rest = product - sum * distance;
  store (squares, ht_block_select (rest < 0.0f, (HtBlock){ 0.0f }, rest));
}

HT_ALWAYS_INLINE HtBlock
counted (const HtNormInput *in, gsize p, gboolean masked)
{
  HtBlock dy = load (in->dy + p * N);

  if (masked)
    {
      HtBlock y = load (in->y + p * N);
      dy = (HtBlock)((HtBlockMask)dy & (y > in->low) & (y < in->high));
    }
  return dy;
}

HT_ALWAYS_INLINE void
sums_body (gsize n, const HtNormInput *in, const float *mean, float *sum, float *product, gboolean masked)
{
  HtBlock center = load (mean), sums[SUMS] = { { 0.0f } }, products[SUMS] = { { 0.0f } };
  gsize p = 0;

  for (; p + SUMS <= n; p += SUMS)
#pragma GCC unroll 4
    for (gsize i = 0; i < SUMS; i++)
      {
        HtBlock dy = counted (in, p + i, masked);
        sums[i] += dy;
        products[i] += dy * (load (in->x + (p + i) * N) - center);
      }
  for (; p < n; p++)
    {
      HtBlock dy = counted (in, p, masked);
      sums[0] += dy;
      products[0] += dy * (load (in->x + p * N) - center);
    }
  store (sum, (sums[0] + sums[1]) + (sums[2] + sums[3]));
  store (product, (products[0] + products[1]) + (products[2] + products[3]));
}

static void
sums (gsize n, const HtNormInput *in, const float *mean, float *sum, float *product)
{
  if (in->y)
    sums_body (n, in, mean, sum, product, TRUE);
  else
    sums_body (n, in, mean, sum, product, FALSE);
}

HT_ALWAYS_INLINE void
apply_body (gsize n, const HtNormInput *in, const float *a, const float *b, const float *c, float *dx,
            float *d_residual, gboolean masked)
{
  HtBlock factor = load (a), slope = load (b), shift = load (c);

  for (gsize p = 0; p < n; p++)
    {
      HtBlock dy = counted (in, p, masked);
      HtBlock v = dy * factor + (load (in->x + p * N) * slope + shift);
      if (d_residual)
        store (d_residual + p * N, dy);
      store (dx + p * N, v);
    }
}

static void
apply (gsize n, const HtNormInput *in, const float *a, const float *b, const float *c, float *dx, float *d_residual)
{
  if (in->y)
    apply_body (n, in, a, b, c, dx, d_residual, TRUE);
  else
    apply_body (n, in, a, b, c, dx, d_residual, FALSE);
}

const HtBlockedBatchNormKernels HT_ISA_NAME (ht_blocked_batch_norm_kernels) = { statistics, sums, apply };
