/* SPDX-License-Identifier: MIT */
#include "kernels/blocked-elementwise.h"
#include "kernels/epilogue.h"

#define N HT_ISA_BLOCK

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

/* Positions that are rounded at a time. */
#define ROUND_RUN 32

/* Calls BODY with a copy of the epilogue `e` that the compiler knows more of, for the usual ones. */
#define SPECIALIZE(e, BODY)                                                                                            \
  do                                                                                                                   \
    {                                                                                                                  \
      HtEpilogue known = e ? *e : (HtEpilogue){ .activation = HT_ACTIVATION_NONE };                                    \
      if (ht_epilogue_is_simple (&known) && known.activation == HT_ACTIVATION_NONE)                                    \
        {                                                                                                              \
          known = (HtEpilogue){ .activation = HT_ACTIVATION_NONE };                                                    \
          BODY;                                                                                                        \
        }                                                                                                              \
      else if (ht_epilogue_is_simple (&known))                                                                         \
        {                                                                                                              \
          known = (HtEpilogue){ .activation = HT_ACTIVATION_CLAMP, .low = known.low, .high = known.high };             \
          BODY;                                                                                                        \
        }                                                                                                              \
      else                                                                                                             \
        {                                                                                                              \
          BODY;                                                                                                        \
        }                                                                                                              \
    }                                                                                                                  \
  while (0)

HT_ALWAYS_INLINE HtBlock
finish (HtBlock v, const HtBlock *scale, const HtBlock *shift, const float *residual, const HtEpilogue *e)
{
  v = ht_block_scale (v, (const float *)scale, (const float *)shift);
  return ht_block_finish (v, NULL, NULL, residual, e);
}

HT_ALWAYS_INLINE void
affine_body (gsize n, const float *x, const float *scale, const float *shift, const float *residual,
             const HtEpilogue *e, float *y)
{
  HtBlock s = scale ? load (scale) : ht_block_set (1.0f), t = shift ? load (shift) : ht_block_set (0.0f);

  if (residual)
    for (gsize p = 0; p < n; p++)
      store (y + p * N, finish (load (x + p * N), &s, &t, residual + p * N, e));
  else
    for (gsize p = 0; p < n; p++)
      store (y + p * N, finish (load (x + p * N), &s, &t, NULL, e));
}

/* The sums of some positions at a time, then what a loop over floats does best. */
#define ROUND_LATER(e, BODY)                                                                                           \
  do                                                                                                                   \
    {                                                                                                                  \
      HtRounding rounding = ht_rounding_new (e);                                                                       \
      HtEpilogue known = { .residual_unit = e->residual_unit };                                                        \
      for (gsize p = 0; p < n; p += ROUND_RUN)                                                                         \
        {                                                                                                              \
          gsize n_run = MIN (n - p, ROUND_RUN);                                                                        \
          BODY;                                                                                                        \
          ht_round_all (y + p * N, y + p * N, n_run * N, &rounding);                                                   \
        }                                                                                                              \
    }                                                                                                                  \
  while (0)

static gboolean
can_round_later (const HtEpilogue *e)
{
  return e && ht_epilogue_can_round (e) && e->inner_grid == NULL && !e->shift_first;
}

static void
affine (gsize n, const float *x, const float *scale, const float *shift, const float *residual, const HtEpilogue *e,
        float *y)
{
  if (can_round_later (e) && scale == NULL && shift == NULL && residual == NULL)
    {
      HtRounding rounding = ht_rounding_new (e);
      ht_round_all (x, y, n * N, &rounding);
    }
  else if (can_round_later (e))
    ROUND_LATER (e,
                 affine_body (n_run, x + p * N, scale, shift, residual ? residual + p * N : NULL, &known, y + p * N));
  else
    SPECIALIZE (e, affine_body (n, x, scale, shift, residual, &known, y));
}

HT_ALWAYS_INLINE void
multiply_body (gsize n, const float *a, const float *b, gboolean b_per_channel, const float *scale, const float *shift,
               const float *residual, const HtEpilogue *e, float *y)
{
  HtBlock s = scale ? load (scale) : ht_block_set (1.0f), t = shift ? load (shift) : ht_block_set (0.0f);
  HtBlock factor = load (b);

  for (gsize p = 0; p < n; p++)
    {
      if (!b_per_channel)
        factor = load (b + p * N);
      /* Rounded by itself: not to be contracted with a shift or a residual. */
      HtBlock v = ht_block_round_product (load (a + p * N) * factor);
      store (y + p * N, finish (v, scale ? &s : NULL, shift ? &t : NULL, residual ? residual + p * N : NULL, e));
    }
}

static void
multiply (gsize n, const float *a, const float *b, gboolean b_per_channel, const float *scale, const float *shift,
          const float *residual, const HtEpilogue *e, float *y)
{
  if (n == 0)
    return;
  if (can_round_later (e))
    ROUND_LATER (e, multiply_body (n_run, a + p * N, b_per_channel ? b : b + p * N, b_per_channel, scale, shift,
                                   residual ? residual + p * N : NULL, &known, y + p * N));
  else if (scale == NULL && shift == NULL && residual == NULL)
    {
      if (b_per_channel)
        SPECIALIZE (e, multiply_body (n, a, b, TRUE, NULL, NULL, NULL, &known, y));
      else
        SPECIALIZE (e, multiply_body (n, a, b, FALSE, NULL, NULL, NULL, &known, y));
    }
  else
    SPECIALIZE (e, multiply_body (n, a, b, b_per_channel, scale, shift, residual, &known, y));
}

/* Two loads that begin off the edge of a position bring the lanes to their places; what they bring beside those is not
 * taken. */
HT_ALWAYS_INLINE HtBlock
join (const HtLaneSource *source, gsize offset, HtBlockMask from_low, const float *x_begin, const float *x_end)
{
  const float *low = source->low ? source->low + offset : NULL, *high = source->high ? source->high + offset : NULL;
  gsize shift = source->shift;

  if (shift == 0)
    return high ? load (high) : (HtBlock){ 0.0f };
  if ((low == NULL || x_end - low >= 2 * N) && (high == NULL || high - x_begin >= N))
    {
      HtBlock a = low ? (HtBlock) * (const HtBlockUnaligned *)(gconstpointer)(low + N - shift) : (HtBlock){ 0.0f };
      HtBlock b = high ? (HtBlock) * (const HtBlockUnaligned *)(gconstpointer)(high - shift) : (HtBlock){ 0.0f };
      return ht_block_select (from_low, a, b);
    }
  float lanes[N] __attribute__ ((aligned (64)));
  for (gsize lane = 0; lane < N; lane++)
    lanes[lane] = lane < shift ? (low ? low[N - shift + lane] : 0.0f) : (high ? high[lane - shift] : 0.0f);
  return load (lanes);
}

static void
gather_lanes (gsize n, const HtLaneSource *source, gsize x_step, const float *x_begin, const float *x_end, gsize y_step,
              float *y)
{
  HtBlockMask from_low = { 0 }, inside = { 0 }, keep = { 0 };

  for (gsize lane = 0; lane < N; lane++)
    {
      from_low[lane] = lane < source->shift ? -1 : 0;
      inside[lane] = lane >= source->first_lane && lane < source->end_lane ? -1 : 0;
      keep[lane] = lane < source->keep_end ? -1 : 0;
    }
  if (source->shift == 0 && source->first_lane == 0 && source->end_lane == N && source->high)
    {
      for (gsize p = 0; p < n; p++)
        store (y + p * y_step * N, load (source->high + p * x_step * N));
      return;
    }
  for (gsize p = 0; p < n; p++)
    {
      HtBlock old = source->keep_end > 0 ? ht_block_select (keep, load (y + p * y_step * N), (HtBlock){ 0.0f })
                                         : (HtBlock){ 0.0f };
      HtBlock v = join (source, p * x_step * N, from_low, x_begin, x_end);
      store (y + p * y_step * N, ht_block_select (inside, v, old));
    }
}

static void
repeat (gsize n, gsize factor, const float *x, float *y)
{
  for (gsize p = 0; p < n; p++)
    {
      HtBlock v = load (x + p * N);
      for (gsize i = 0; i < factor; i++, y += N)
        store (y, v);
    }
}

const HtBlockedElementwiseKernels HT_ISA_NAME (ht_blocked_elementwise_kernels)
    = { affine, multiply, gather_lanes, repeat };
