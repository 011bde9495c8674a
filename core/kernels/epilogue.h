/* SPDX-License-Identifier: MIT */
/* What blocked.h calls an epilogue, applied to one block in a register. For the files NAME.isa.c only. */
#pragma once

#include "kernels/blocked.h"
#include "kernels/isa.h"

#include <math.h>

HT_ALWAYS_INLINE HtBlock
ht_block_set (float value)
{
  return value - (HtBlock){ 0.0f };
}

/* mask ? a : b */
HT_ALWAYS_INLINE HtBlock
ht_block_select (HtBlockMask mask, HtBlock a, HtBlock b)
{
  return (HtBlock)((mask & (HtBlockMask)a) | (~mask & (HtBlockMask)b));
}

/* x < low ? low : x, NaN stays. A comparison and a blend; without vectors as wide as a block the compiler would go
 * through single floats, but finds the maximum instruction in a loop. */
HT_ALWAYS_INLINE HtBlock
ht_block_max (HtBlock x, HtBlock low)
{
#if defined(__AVX__)
  return ht_block_select (x < low, low, x);
#else
  HtBlock y;
  for (int lane = 0; lane < HT_ISA_BLOCK; lane++)
    y[lane] = x[lane] < low[lane] ? low[lane] : x[lane];
  return y;
#endif
}

/* x > high ? high : x, likewise */
HT_ALWAYS_INLINE HtBlock
ht_block_min (HtBlock x, HtBlock high)
{
#if defined(__AVX__)
  return ht_block_select (x > high, high, x);
#else
  HtBlock y;
  for (int lane = 0; lane < HT_ISA_BLOCK; lane++)
    y[lane] = x[lane] > high[lane] ? high[lane] : x[lane];
  return y;
#endif
}

/* Keeps a product from being contracted with an addition that follows: its rounding is part of the result. */
HT_ALWAYS_INLINE HtBlock
ht_block_round_product (HtBlock product)
{
#if defined(__FMA__)
  __asm__("" : "+v"(product));
#endif
  return product;
}

/* Clamping before rounding to even gives the codes that fake-quantize.c gets by clamping after, as long as the ends of
 * the grid are exact: up to 22 bits. NaN goes to the lowest value, and zero is never negative. */
HT_ALWAYS_INLINE HtBlock
ht_block_quantize (HtBlock x, const HtGrid *grid)
{
  const HtBlock magic = ht_block_set (12582912.0f); /* 1.5 * 2^23 */
  HtBlock low = ht_block_set (grid->offset), high = ht_block_set (grid->offset + grid->n_steps);
  HtBlock t = x;

  if (grid->scale != 1.0f) /* codes: divisions are dear */
    t = x / ht_block_set (grid->scale);

  t = ht_block_max (low, t); /* low < NaN is false: NaN goes to low */
  t = ht_block_min (t, high);
  t = (t + magic) - magic;
  return ht_block_round_product (t * ht_block_set (grid->unit != 0.0f ? grid->unit : grid->scale));
}

/* The exponential of exp.h; the argument is taken as at most 88 in size. */
HT_ALWAYS_INLINE HtBlock
ht_block_exp (HtBlock x)
{
  const HtBlock shift = ht_block_set (12582912.0f);
  x = ht_block_max (ht_block_min (x, ht_block_set (88.0f)), ht_block_set (-87.0f));
  HtBlock n = (x * 1.44269504088896340736f + shift) - shift;
  HtBlock r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  HtBlock p = ht_block_set (1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  HtBlockMask power = (__builtin_convertvector(n, HtBlockMask) + 127) << 23;
  return p * (HtBlock)power;
}

HT_ALWAYS_INLINE HtBlock
ht_block_sigmoid (HtBlock x)
{
  return 1.0f / (1.0f + ht_block_exp (-x));
}

HT_ALWAYS_INLINE HtBlock
ht_block_tanh (HtBlock x)
{
  /* 1 - 2 / (e^2x + 1) loses digits near zero, where the odd polynomial is exact to the last but one. */
  HtBlock square = x * x;
  HtBlock p = ht_block_set (-5.70498872745e-3f);
  p = p * square + 2.06390887954e-2f;
  p = p * square - 5.37397155531e-2f;
  p = p * square + 1.33314422036e-1f;
  p = p * square - 3.33332819422e-1f;
  p = p * square * x + x;
  HtBlock wide = 1.0f - 2.0f / (ht_block_exp (x + x) + 1.0f);
  return ht_block_select (square < 0.390625f, p, wide);
}

/* Abramowitz and Stegun 7.1.26 is too coarse; this is the usual pair: a series near zero, and for larger arguments
 * 1 - exp (polynomial). Both are within 2 units in the last place of erf. */
HT_ALWAYS_INLINE HtBlock
ht_block_erf (HtBlock x)
{
  HtBlock t = ht_block_select (x < 0.0f, -x, x), square = x * x;
  HtBlock q = ht_block_set (-5.96761703e-4f);
  q = q * square + 4.99119423e-3f;
  q = q * square - 2.67681349e-2f;
  q = q * square + 1.12819925e-1f;
  q = q * square - 3.76125336e-1f;
  q = q * square + 1.28379166e-1f;
  q = q * x + x;
  HtBlock p = ht_block_set (-1.72853470e-5f), u = ht_block_set (3.83197126e-4f);
  p = p * t + u;
  p = p * square + (t * -3.88396438e-3f + 2.42546219e-2f);
  p = p * t - 1.06777877e-1f;
  p = p * t - 6.34846687e-1f;
  p = p * t - 1.28717512e-1f;
  p = p * t - t;
  HtBlock wide = 1.0f - ht_block_exp (p);
  HtBlockMask sign = (HtBlockMask)x & (gint32)0x80000000;
  wide = (HtBlock)((HtBlockMask)wide | sign);
  return ht_block_select (t > 0.921875f, wide, q);
}

HT_ALWAYS_INLINE HtBlock
ht_block_activate (HtBlock x, const HtEpilogue *e)
{
  switch (e->activation)
    {
    case HT_ACTIVATION_NONE:
      return x;
    case HT_ACTIVATION_CLAMP:
      return ht_block_min (ht_block_max (x, ht_block_set (e->low)), ht_block_set (e->high));
    case HT_ACTIVATION_LEAKY:
      return ht_block_select (x < 0.0f, x * e->slope, x);
    case HT_ACTIVATION_SIGMOID:
      return ht_block_sigmoid (x);
    case HT_ACTIVATION_TANH:
      return ht_block_tanh (x);
    case HT_ACTIVATION_HARD_SIGMOID:
    case HT_ACTIVATION_HARD_SWISH:
      {
        HtBlock t = x * e->slope + e->low;
        t = ht_block_min (ht_block_max (t, ht_block_set (0.0f)), ht_block_set (1.0f));
        if (e->activation == HT_ACTIVATION_HARD_SWISH)
          t = x * t;
        return t;
      }
    case HT_ACTIVATION_SWISH:
      return x * ht_block_sigmoid (x);
    case HT_ACTIVATION_GELU:
      return 0.5f * x * (1.0f + ht_block_erf (x * 0.70710678118654752440f));
    case HT_ACTIVATION_GELU_TANH:
      return 0.5f * x * (1.0f + ht_block_tanh (0.79788456080286535588f * (x + 0.044715f * x * x * x)));
    }
  return x;
}

/* scale * sum + shift, in two roundings wherever the compiler puts it; NULL as in ht_block_finish(). */
HT_ALWAYS_INLINE HtBlock
ht_block_scale (HtBlock sum, const float *scale, const float *shift)
{
  if (scale)
    sum = ht_block_round_product (sum * *(const HtBlockUnaligned *)scale);
  if (shift)
    sum = sum + *(const HtBlockUnaligned *)shift;
  return sum;
}

/* Is it no more than scale, shift, residual and a clamp, in the plain order? */
HT_ALWAYS_INLINE gboolean
ht_epilogue_is_simple (const HtEpilogue *e)
{
  return e == NULL
         || (e->grid == NULL && e->inner_grid == NULL && !e->shift_first && e->residual_unit == 0.0f
             && e->activation <= HT_ACTIVATION_CLAMP);
}

/* What comes before the activation. `scale`, `shift`, `residual`: where this block's begin (NULL where the epilogue has
 * none); memory need not be aligned. */
HT_ALWAYS_INLINE HtBlock
ht_block_begin_finish (HtBlock sum, const float *scale, const float *shift, const float *residual, const HtEpilogue *e)
{
  if (e->shift_first)
    {
      if (shift)
        sum = sum + *(const HtBlockUnaligned *)shift;
      sum = ht_block_scale (sum, scale, NULL);
    }
  else
    {
      sum = ht_block_scale (sum, scale, shift);
    }
  if (e->inner_grid)
    sum = ht_block_quantize (sum, e->inner_grid);
  if (residual)
    {
      HtBlock addend = *(const HtBlockUnaligned *)residual;
      if (e->residual_unit != 0.0f)
        addend = ht_block_round_product (addend * e->residual_unit);
      sum = sum + addend;
    }
  return sum;
}

HT_ALWAYS_INLINE HtBlock
ht_block_finish (HtBlock sum, const float *scale, const float *shift, const float *residual, const HtEpilogue *e)
{
  sum = ht_block_activate (ht_block_begin_finish (sum, scale, shift, residual, e), e);
  return e->grid ? ht_block_quantize (sum, e->grid) : sum;
}

/* A clamp (of an activation, or from -inf to inf) and a grid for a loop over many floats: what they ask for, worked out
 * once. */
typedef struct
{
  float low, high, first, last, scale, inverse, unit;
} HtRounding;

/* Is there a way without division, exact with fused multiply-adds where nothing under- or overflows, for the grid that
 * ends the epilogue after no more than a clamp? */
HT_ALWAYS_INLINE gboolean
ht_epilogue_can_round (const HtEpilogue *e)
{
#if defined(__FMA__)
  return e->grid && e->activation <= HT_ACTIVATION_CLAMP && e->grid->scale > 0x1p-100f && e->grid->scale < 0x1p100f;
#else
  return FALSE;
#endif
}

HT_ALWAYS_INLINE HtRounding
ht_rounding_new (const HtEpilogue *e)
{
  const HtGrid *grid = e->grid;
  gboolean clamp = e->activation == HT_ACTIVATION_CLAMP;

  return (HtRounding){ clamp ? e->low : -INFINITY,
                       clamp ? e->high : INFINITY,
                       grid->offset * grid->scale,
                       (grid->offset + grid->n_steps) * grid->scale,
                       grid->scale,
                       1.0f / grid->scale,
                       grid->unit != 0.0f ? grid->unit : grid->scale };
}

/* The clamp and ht_block_quantize() from x to y, which may be the same. It is a loop over floats because that is where
 * the compiler finds the instructions for maximum and minimum. The ends of the grid, as values, divide to themselves,
 * so their clamp may come first. The inverse is rounded to nearest: then the product with it is within two units in the
 * last place of the quotient, one correction by the remainder within one, and the second one gives the quotient rounded
 * to nearest (Markstein 1990, theorem 7). */
HT_ALWAYS_INLINE void
ht_round_all (const float *x, float *y, gsize n, const HtRounding *rounding)
{
  const HtRounding r = *rounding;
  const float magic = 12582912.0f;
  /* NaN goes to the first value of the grid, so the clamps are one only where that is the lower end of both. */
  gboolean one_clamp = r.low <= r.first;
  float first = r.first, last = r.last;

  if (one_clamp)
    last = MAX (MIN (last, r.high), first);
  else
    {
      _Pragma ("GCC ivdep") for (gsize i = 0; i < n; i++)
      {
        float value = x[i];
        value = value < r.low ? r.low : value;
        y[i] = value > r.high ? r.high : value;
      }
      x = y;
    }
  _Pragma ("GCC ivdep") for (gsize i = 0; i < n; i++)
  {
    float value = x[i];
    value = first < value ? value : first;
    value = value > last ? last : value;
    float q = value * r.inverse;
    q = __builtin_fmaf (__builtin_fmaf (-q, r.scale, value), r.inverse, q);
    q = __builtin_fmaf (__builtin_fmaf (-q, r.scale, value), r.inverse, q);
    y[i] = ((q + magic) - magic) * r.unit;
  }
}

/* ht_block_finish() for n blocks of sums, `step` floats apart, which it spoils; y's are `y_step` apart. Clamps and
 * grids go in loops over floats because that is where the compiler finds the instructions for maximum and minimum. */
HT_ALWAYS_INLINE void
ht_block_finish_all (float *restrict sums, gsize step, gsize n, const float *scale, const float *shift,
                     const float *residual, const HtEpilogue *e, float *restrict y, gsize y_step)
{
  gboolean clamp = e->activation == HT_ACTIVATION_CLAMP;
  float low = clamp ? e->low : -INFINITY, high = clamp ? e->high : INFINITY;

  if (scale || shift || residual || e->inner_grid)
    for (gsize i = 0; i < n; i++)
      {
        HtBlock *sum = (HtBlock *)(gpointer)(sums + i * step);
        *sum = ht_block_begin_finish (*sum, scale, shift, residual ? residual + i * y_step : NULL, e);
      }
  if (e->activation > HT_ACTIVATION_CLAMP)
    for (gsize i = 0; i < n; i++)
      {
        HtBlock *sum = (HtBlock *)(gpointer)(sums + i * step);
        *sum = ht_block_activate (*sum, e);
      }
  if (!e->grid)
    {
      for (gsize i = 0; i < n; i++, sums += step, y += y_step)
        for (int lane = 0; lane < HT_ISA_BLOCK; lane++)
          {
            float value = sums[lane];
            value = value < low ? low : value;
            y[lane] = value > high ? high : value;
          }
      return;
    }
  /* As ht_block_quantize() does it, or ht_round_all(). */
  const float magic = 12582912.0f, divisor = e->grid->scale;
  HtRounding r = ht_rounding_new (e);
  if (divisor != 1.0f && ht_epilogue_can_round (e))
    {
      for (gsize i = 0; i < n; i++, sums += step, y += y_step)
        for (int lane = 0; lane < HT_ISA_BLOCK; lane++)
          {
            float value = sums[lane];
            value = value < low ? low : value;
            value = value > high ? high : value;
            value = r.first < value ? value : r.first;
            value = value > r.last ? r.last : value;
            float q = value * r.inverse;
            q = __builtin_fmaf (__builtin_fmaf (-q, r.scale, value), r.inverse, q);
            q = __builtin_fmaf (__builtin_fmaf (-q, r.scale, value), r.inverse, q);
            y[lane] = ((q + magic) - magic) * r.unit;
          }
      return;
    }
  float first = e->grid->offset, last = e->grid->offset + e->grid->n_steps;
  if (clamp || divisor != 1.0f) /* neither for codes: divisions are dear */
    for (gsize i = 0; i < n; i++)
      for (int lane = 0; lane < HT_ISA_BLOCK; lane++)
        {
          float value = sums[i * step + lane];
          value = value < low ? low : value;
          value = value > high ? high : value;
          sums[i * step + lane] = value / divisor;
        }
  for (gsize i = 0; i < n; i++, sums += step, y += y_step)
    for (int lane = 0; lane < HT_ISA_BLOCK; lane++)
      {
        float value = sums[lane];
        value = first < value ? value : first;
        value = value > last ? last : value;
        y[lane] = ((value + magic) - magic) * r.unit;
      }
}

/* ht_block_finish_all() for sums of codes that become codes, or their values: scale[c] * (sum + shift[c]) and a grid of
 * steps of 1. */
HT_ALWAYS_INLINE void
ht_block_finish_codes (const float *restrict sums, gsize step, gsize n, const float *scale, const float *shift,
                       const HtGrid *grid, float *restrict y, gsize y_step)
{
  static const float zero[HT_ISA_BLOCK];
  const float magic = 12582912.0f, first = grid->offset, last = grid->offset + grid->n_steps;
  const float unit = grid->unit != 0.0f ? grid->unit : 1.0f;

  shift = shift ? shift : zero;
  for (gsize i = 0; i < n; i++, sums += step, y += y_step)
    for (int lane = 0; lane < HT_ISA_BLOCK; lane++)
      {
        float value = (sums[lane] + shift[lane]) * scale[lane];
        value = first < value ? value : first;
        value = value > last ? last : value;
        y[lane] = ((value + magic) - magic) * unit;
      }
}

/* Is it what ht_block_finish_codes() does? */
HT_ALWAYS_INLINE gboolean
ht_epilogue_is_of_codes (const HtEpilogue *e)
{
  return e->shift_first && e->scale && e->grid && e->grid->scale == 1.0f && !e->inner_grid && !e->residual
         && e->activation == HT_ACTIVATION_NONE;
}

/* What remains of the quickest epilogues when sums begin with the shift; they go from registers to memory. */
typedef enum
{
  HT_FINISH_STORE,
  HT_FINISH_RELU,
  HT_FINISH_OTHER,
} HtFinish;

HT_ALWAYS_INLINE HtFinish
ht_epilogue_get_finish (const HtEpilogue *e)
{
  if (!e)
    return HT_FINISH_STORE;
  if (e->scale || e->residual || !ht_epilogue_is_simple (e))
    return HT_FINISH_OTHER;
  if (e->activation == HT_ACTIVATION_NONE)
    return HT_FINISH_STORE;
  return e->low == 0.0f && e->high > G_MAXFLOAT ? HT_FINISH_RELU : HT_FINISH_OTHER;
}

/* x < 0 ? 0 : x, NaN stays */
HT_ALWAYS_INLINE HtBlock
ht_block_relu (HtBlock x)
{
  return (HtBlock)((HtBlockMask)x & ~(x < 0.0f));
}
