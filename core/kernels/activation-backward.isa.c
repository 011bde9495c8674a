/* SPDX-License-Identifier: MIT */
/* Arrays of any length and alignment: the end goes through one more block. */
#include "kernels/activation-backward.h"
#include "kernels/epilogue.h"

#include <string.h>

#define N HT_ISA_BLOCK

HT_ALWAYS_INLINE HtBlock
load (const float *x)
{
  return *(const HtBlockUnaligned *)(gconstpointer)x;
}

HT_ALWAYS_INLINE void
store (float *y, HtBlock v)
{
  *(HtBlockUnaligned *)(gpointer)y = v;
}

HT_ALWAYS_INLINE HtBlock
where (HtBlockMask mask, HtBlock v)
{
  return (HtBlock)(mask & (HtBlockMask)v);
}

/* y = EXPRESSION in a and b, the blocks of two arrays. */
#define MAP(n, first, second, y, EXPRESSION)                                                                           \
  do                                                                                                                   \
    {                                                                                                                  \
      gsize i_ = 0;                                                                                                    \
      for (; i_ + N <= n; i_ += N)                                                                                     \
        {                                                                                                              \
          HtBlock a = load (first + i_), b = load (second + i_);                                                       \
          store (y + i_, EXPRESSION);                                                                                  \
        }                                                                                                              \
      if (i_ < n)                                                                                                      \
        {                                                                                                              \
          float rest_[3][N] = { { 0.0f } };                                                                            \
          memcpy (rest_[0], first + i_, (n - i_) * sizeof (float));                                                    \
          memcpy (rest_[1], second + i_, (n - i_) * sizeof (float));                                                   \
          HtBlock a = load (rest_[0]), b = load (rest_[1]);                                                            \
          store (rest_[2], EXPRESSION);                                                                                \
          memcpy (y + i_, rest_[2], (n - i_) * sizeof (float));                                                        \
        }                                                                                                              \
    }                                                                                                                  \
  while (0)

static void
accumulate (gsize n, const float *x, float *y)
{
  MAP (n, x, y, y, a + b);
}

static void
clamp (gsize n, float low, float high, const float *source, const float *dy, float *dx)
{
  MAP (n, source, dy, dx, where ((a > low) & (a < high), b));
}

HT_ALWAYS_INLINE HtBlock
hard_swish (HtBlock x, HtBlock dy, const HtEpilogue *e)
{
  HtBlock t = x * e->slope + e->low;
  return dy * (where ((t > 0.0f) & (t < 1.0f), t + x * e->slope) + where (t >= 1.0f, ht_block_set (1.0f)));
}

HT_ALWAYS_INLINE HtBlock
swish (HtBlock x, HtBlock dy)
{
  HtBlock s = ht_block_sigmoid (x);
  return dy * (s + x * s * (1.0f - s));
}

HT_ALWAYS_INLINE HtBlock
gelu (HtBlock x, HtBlock dy)
{
  HtBlock below = 0.5f * (1.0f + ht_block_erf (x * 0.70710678118654752440f));
  HtBlock density = ht_block_exp (-0.5f * x * x) * 0.39894228040143267794f;
  /* The exponential never gets to zero, which a large x would show. */
  return dy * (below + where ((x > -13.0f) & (x < 13.0f), x * density));
}

HT_ALWAYS_INLINE HtBlock
gelu_tanh (HtBlock x, HtBlock dy)
{
  const float k = 0.79788456080286535588f, cubic = 0.044715f;
  HtBlock t = ht_block_tanh (k * (x + cubic * x * x * x));
  HtBlock rest = where ((x > -13.0f) & (x < 13.0f), x * (1.0f - t * t) * (k * (1.0f + 3.0f * cubic * x * x)));
  return dy * (0.5f * (1.0f + t) + 0.5f * rest);
}

static void
activation (gsize n, const HtEpilogue *e, const float *source, const float *dy, float *dx)
{
  switch (e->activation)
    {
    case HT_ACTIVATION_NONE:
      if (dx != dy)
        memmove (dx, dy, n * sizeof (float));
      break;
    case HT_ACTIVATION_CLAMP:
      clamp (n, e->low, e->high, source, dy, dx);
      break;
    case HT_ACTIVATION_LEAKY:
      MAP (n, source, dy, dx, ht_block_select (a > 0.0f, b, b * e->slope));
      break;
    case HT_ACTIVATION_SIGMOID:
      MAP (n, source, dy, dx, b * (a * (1.0f - a)));
      break;
    case HT_ACTIVATION_TANH:
      MAP (n, source, dy, dx, b * (1.0f - a * a));
      break;
    case HT_ACTIVATION_HARD_SIGMOID:
      MAP (n, source, dy, dx, where ((a > 0.0f) & (a < 1.0f), b * e->slope));
      break;
    case HT_ACTIVATION_HARD_SWISH:
      MAP (n, source, dy, dx, hard_swish (a, b, e));
      break;
    case HT_ACTIVATION_SWISH:
      MAP (n, source, dy, dx, swish (a, b));
      break;
    case HT_ACTIVATION_GELU:
      MAP (n, source, dy, dx, gelu (a, b));
      break;
    case HT_ACTIVATION_GELU_TANH:
      MAP (n, source, dy, dx, gelu_tanh (a, b));
      break;
    }
}

const HtActivationBackwardKernels HT_ISA_NAME (ht_activation_backward_kernels) = { accumulate, clamp, activation };
