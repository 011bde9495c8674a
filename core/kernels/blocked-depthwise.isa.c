/* SPDX-License-Identifier: MIT */
#include "kernels/blocked-depthwise.h"

#include "kernels/epilogue.h"

#include <math.h>

#define UNROLL _Pragma ("GCC unroll 16")

/* Columns that are summed at once: enough to hide the latency of additions. */
#define COLUMNS 8

/* Which taps of an axis meet the image for one output. */
typedef struct
{
  gsize begin, end;
  gint64 first; /* input of tap 0, may lie outside */
} Reach;

static Reach
get_reach (const HtConvGeometry *g, int axis, gsize out)
{
  gint64 first = (gint64)(out * g->stride[axis]) - g->pad[axis], size = (gint64)g->in[axis];
  gint64 dilation = (gint64)g->dilation[axis], kernel = (gint64)g->kernel[axis];
  gint64 begin = first < 0 ? (-first + dilation - 1) / dilation : 0;
  gint64 end = first < size ? (size - first + dilation - 1) / dilation : 0;

  begin = MIN (begin, kernel);
  return (Reach){ (gsize)begin, (gsize)CLAMP (end, begin, kernel), first };
}

/* From sums to memory, at y. `clamped`: the epilogue has no grid and no activation but clamping. */
HT_ALWAYS_INLINE void
store (const HtDepthwiseBlock *b, const HtBlock *sums, gsize y, const int columns, const gboolean clamped)
{
  HtBlock scale = ht_block_set (1.0f), shift = ht_block_set (0.0f);

  if (b->scale)
    scale = *(const HtBlockUnaligned *)(gconstpointer)b->scale;
  if (b->shift)
    shift = *(const HtBlockUnaligned *)(gconstpointer)b->shift;
  if (clamped)
    {
      gboolean limit = b->e && b->e->activation == HT_ACTIVATION_CLAMP;
      HtBlock low = ht_block_set (limit ? b->e->low : -INFINITY), high = ht_block_set (limit ? b->e->high : INFINITY);
      UNROLL for (int c = 0; c < columns; c++)
      {
        HtBlock sum = ht_block_round_product (sums[c] * scale) + shift;
        if (b->residual)
          sum += *(const HtBlock *)(gconstpointer)(b->residual + y + c * HT_ISA_BLOCK);
        *(HtBlock *)(gpointer)(b->y + y + c * HT_ISA_BLOCK) = ht_block_min (ht_block_max (sum, low), high);
      }
      return;
    }
  for (int c = 0; c < columns; c++)
    {
      const float *residual = b->residual ? b->residual + y + c * HT_ISA_BLOCK : NULL;
      *(HtBlock *)(gpointer)(b->y + y + c * HT_ISA_BLOCK)
          = ht_block_finish (sums[c], b->scale, b->shift, residual, b->e);
    }
}

/* The taps of one output row that lie in the image; x is column 0 of the row that its tap 0 meets, or would. */
typedef struct
{
  Reach plane, row;
  gssize x_plane, x_row, x_column; /* from one tap to the next */
} Taps;

/* Some outputs side by side, x_step apart in the input, over taps [begin, end) of the last axis. */
HT_ALWAYS_INLINE void
run_columns (const HtConvGeometry *g, const HtDepthwiseBlock *b, const Taps *taps, const float *x, gsize begin,
             gsize end, gsize y, const gssize x_step, const int columns, const gboolean clamped)
{
  HtBlock sums[COLUMNS];

  UNROLL for (int c = 0; c < columns; c++) sums[c] = (HtBlock){ 0.0f };
  for (gsize plane = taps->plane.begin; plane < taps->plane.end; plane++)
    for (gsize row = taps->row.begin; row < taps->row.end; row++)
      {
        const float *from = x + (gssize)plane * taps->x_plane + (gssize)row * taps->x_row;
        const float *w = b->w + (plane * g->kernel[1] + row) * g->kernel[2] * HT_ISA_BLOCK;
        for (gsize tap = begin; tap < end; tap++)
          {
            HtBlock weight = *(const HtBlock *)(gconstpointer)(w + tap * HT_ISA_BLOCK);
            const float *p = from + (gssize)tap * taps->x_column;
            UNROLL for (int c = 0; c < columns; c++) sums[c]
                += weight * *(const HtBlock *)(gconstpointer)(p + c * x_step);
          }
      }
  store (b, sums, y, columns, clamped);
}

/* One output row. Outputs [low, high) have all taps of the last axis within the image. */
HT_ALWAYS_INLINE void
run_row (const HtConvGeometry *g, const HtDepthwiseBlock *b, const Taps *taps, const float *x, gsize y, gsize low,
         gsize high, const gssize x_step, const gboolean clamped)
{
  gssize pad = (gssize)g->pad[2] * HT_ISA_BLOCK;

  for (gsize column = 0; column < g->out[2];)
    {
      const float *from = x + (gssize)column * x_step - pad;
      gsize to = y + column * HT_ISA_BLOCK;
      if (column < low || column >= high)
        {
          Reach reach = get_reach (g, 2, column);
          run_columns (g, b, taps, from, reach.begin, reach.end, to, x_step, 1, clamped);
          column++;
        }
      else if (column + 8 <= high)
        {
          run_columns (g, b, taps, from, 0, g->kernel[2], to, x_step, 8, clamped);
          column += 8;
        }
      else if (column + 4 <= high)
        {
          run_columns (g, b, taps, from, 0, g->kernel[2], to, x_step, 4, clamped);
          column += 4;
        }
      else
        {
          run_columns (g, b, taps, from, 0, g->kernel[2], to, x_step, 1, clamped);
          column++;
        }
    }
}

HT_ALWAYS_INLINE void
run_rows (const HtConvGeometry *g, const HtDepthwiseBlock *b, gsize begin, gsize end, const gssize x_step,
          const gboolean clamped)
{
  Taps taps = { .x_row = (gssize)(g->dilation[1] * g->in[2]) * HT_ISA_BLOCK };
  gsize low = 0, high = g->out[2];

  taps.x_plane = (gssize)(g->dilation[0] * g->in[1] * g->in[2]) * HT_ISA_BLOCK;
  taps.x_column = (gssize)g->dilation[2] * HT_ISA_BLOCK;
  while (low < high && get_reach (g, 2, low).begin > 0)
    low++;
  while (high > low && get_reach (g, 2, high - 1).end < g->kernel[2])
    high--;
  for (gsize row = begin; row < end; row++)
    {
      taps.plane = get_reach (g, 0, row / g->out[1]);
      taps.row = get_reach (g, 1, row % g->out[1]);
      gint64 first = taps.plane.first * (gint64)g->in[1] + taps.row.first;
      const float *x = b->x + first * (gint64)g->in[2] * HT_ISA_BLOCK;
      run_row (g, b, &taps, x, row * g->out[2] * HT_ISA_BLOCK, low, high, x_step, clamped);
    }
}

static void __attribute__ ((noinline))
run_any (const HtConvGeometry *g, const HtDepthwiseBlock *b, gsize begin, gsize end)
{
  run_rows (g, b, begin, end, (gssize)g->stride[2] * HT_ISA_BLOCK, FALSE);
}

static void
run (const HtConvGeometry *g, const HtDepthwiseBlock *b, gsize begin, gsize end)
{
  gboolean clamped = ht_epilogue_is_simple (b->e);

  if (!clamped)
    run_any (g, b, begin, end);
  else if (g->stride[2] == 1)
    run_rows (g, b, begin, end, HT_ISA_BLOCK, TRUE);
  else if (g->stride[2] == 2)
    run_rows (g, b, begin, end, 2 * HT_ISA_BLOCK, TRUE);
  else
    run_rows (g, b, begin, end, (gssize)g->stride[2] * HT_ISA_BLOCK, TRUE);
}

const HtBlockedDepthwiseKernels HT_ISA_NAME (ht_blocked_depthwise_kernels) = { run };
