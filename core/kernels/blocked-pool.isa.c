/* SPDX-License-Identifier: MIT */
#include "kernels/blocked-pool.h"
#include "kernels/epilogue.h"
#include "kernels/pool-window.h"

#include <math.h>

#define N HT_ISA_BLOCK

HT_ALWAYS_INLINE HtBlock
load (const float *x)
{
  return *(const HtBlock *)(gconstpointer)x;
}

/* NaN wins and stays. */
HT_ALWAYS_INLINE HtBlock
maximum (HtBlock best, HtBlock x)
{
  return ht_block_select ((x > best) | (x != x), x, best);
}

/* The part of a row's windows that the first two axes leave. */
typedef struct
{
  gsize first[2], last[2];
  gint64 start[2];
} Span;

static Span
span_of (const HtPoolRow *row)
{
  const HtConvGeometry *g = &row->pool->geometry;
  Span span;

  for (int axis = 0; axis < 2; axis++)
    {
      span.start[axis] = ht_pool_start (g, axis, row->out[axis]);
      ht_pool_clip (span.start[axis], g->kernel[axis], g->dilation[axis], (gint64)g->in[axis], &span.first[axis],
                    &span.last[axis]);
    }
  return span;
}

HT_ALWAYS_INLINE HtBlock
combine (const HtPoolRow *row, const Span *span, gint64 start, gsize first, gsize last, HtBlock v, gboolean is_max)
{
  const HtConvGeometry *g = &row->pool->geometry;
  gsize step = g->dilation[2] * N;

  for (gsize d = span->first[0]; d < span->last[0]; d++)
    for (gsize h = span->first[1]; h < span->last[1]; h++)
      {
        gint64 line = (span->start[0] + (gint64)(d * g->dilation[0])) * (gint64)g->in[1] + span->start[1]
                      + (gint64)(h * g->dilation[1]);
        const float *x = row->x + (line * (gint64)g->in[2] + start + (gint64)(first * g->dilation[2])) * N;
        for (gsize w = first; w < last; w++, x += step)
          if (is_max)
            v = maximum (v, load (x));
          else
            v += load (x);
      }
  return v;
}

HT_ALWAYS_INLINE void
finish (const HtPoolRow *row, gsize w, HtBlock v)
{
  if (row->e)
    v = ht_block_finish (v, row->scale, row->shift, row->residual ? row->residual + w * N : NULL, row->e);
  *(HtBlock *)(gpointer)(row->y + w * N) = v;
}

HT_ALWAYS_INLINE void
pool_row (const HtPoolRow *row, gboolean is_max)
{
  const HtConvGeometry *g = &row->pool->geometry;
  Span span = span_of (row);
  gsize outer = is_max ? 0 : ht_pool_count (row->pool, 0, row->out[0]) * ht_pool_count (row->pool, 1, row->out[1]);

  for (gsize w = 0; w < g->out[2]; w++)
    {
      gint64 start = ht_pool_start (g, 2, w);
      gsize first, last;
      ht_pool_clip (start, g->kernel[2], g->dilation[2], (gint64)g->in[2], &first, &last);
      HtBlock v = ht_block_set (is_max ? -INFINITY : 0.0f);
      v = combine (row, &span, start, first, last, v, is_max);
      if (!is_max)
        {
          gsize count = outer * ht_pool_count (row->pool, 2, w);
          if (count > 0)
            v /= (float)count;
          else
            v = ht_block_set (0.0f);
        }
      finish (row, w, v);
    }
}

static void
max_pool (const HtPoolRow *row)
{
  pool_row (row, TRUE);
}

static void
average_pool (const HtPoolRow *row)
{
  pool_row (row, FALSE);
}

/* Four sums side by side hide the latency of one; their order is part of the result. */
static void
global_average (gsize positions, const float *x, float *y)
{
  HtBlock sums[4] = { { 0.0f }, { 0.0f }, { 0.0f }, { 0.0f } };
  gsize p = 0;

  for (; p + 4 <= positions; p += 4)
    for (gsize i = 0; i < 4; i++)
      sums[i] += load (x + (p + i) * N);
  for (; p < positions; p++)
    sums[p % 4] += load (x + p * N);
  *(HtBlock *)(gpointer)y = ((sums[0] + sums[2]) + (sums[1] + sums[3])) / (float)positions;
}

static void
global_max (gsize positions, const float *x, float *y)
{
  HtBlock best[4];
  gsize p = 0;

  for (gsize i = 0; i < 4; i++)
    best[i] = ht_block_set (-INFINITY);
  for (; p + 4 <= positions; p += 4)
    for (gsize i = 0; i < 4; i++)
      best[i] = maximum (best[i], load (x + (p + i) * N));
  for (; p < positions; p++)
    best[0] = maximum (best[0], load (x + p * N));
  *(HtBlock *)(gpointer)y = maximum (maximum (best[0], best[2]), maximum (best[1], best[3]));
}

static void
finish_channels (gsize channels, const float *x, const HtEpilogue *e, const float *residual, float *y)
{
  for (gsize c = 0; c < channels; c += N)
    {
      gsize n = MIN (channels - c, (gsize)N);
      float lanes[N] __attribute__ ((aligned (64))) = { 0.0f };
      for (gsize lane = 0; residual && lane < n; lane++)
        lanes[lane] = residual[c + lane];
      HtBlock v = load (x + c);
      if (e)
        v = ht_block_finish (v, e->scale ? e->scale + c : NULL, e->shift ? e->shift + c : NULL, residual ? lanes : NULL,
                             e);
      *(HtBlock *)(gpointer)lanes = v;
      for (gsize lane = 0; lane < n; lane++)
        y[c + lane] = lanes[lane];
    }
}

const HtBlockedPoolKernels HT_ISA_NAME (ht_blocked_pool_kernels)
    = { max_pool, average_pool, global_average, global_max, finish_channels };
