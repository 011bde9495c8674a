/* SPDX-License-Identifier: MIT */
#include "kernels/blocked-depthwise-rows.h"

#define UNROLL _Pragma ("GCC unroll 32")

/* Columns that are summed at once: enough to hide the latency of additions. */
#define COLUMNS 8
/* Floats between what is summed and what is asked from memory. */
#define AHEAD      4096
#define MAX_KERNEL 5 /* of those that have functions of their own */

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

/* From sums in memory, which begin with the shift where there is no scale, to y. */
static void __attribute__ ((noinline)) finish (const HtDepthwiseBlock *b, float *sums, gsize y, gsize columns)
{
  static const HtEpilogue none;

  if (b->e && ht_epilogue_is_of_codes (b->e))
    ht_block_finish_codes (sums, HT_ISA_BLOCK, columns, b->scale, b->shift, b->e->grid, b->y + y, HT_ISA_BLOCK);
  else
    ht_block_finish_all (sums, HT_ISA_BLOCK, columns, b->scale, b->scale ? b->shift : NULL,
                         b->residual ? b->residual + y : NULL, b->e ? b->e : &none, b->y + y, HT_ISA_BLOCK);
}

HT_ALWAYS_INLINE HtBlock
get_start (const HtDepthwiseBlock *b)
{
  return ht_block_scale ((HtBlock){ 0.0f }, NULL, b->scale ? NULL : b->shift);
}

HT_ALWAYS_INLINE void
store (const HtDepthwiseBlock *b, HtBlock *sums, gsize y, const int columns)
{
  HtBlock memory[COLUMNS];
  HtFinish how = ht_epilogue_get_finish (b->e);
  float *to = b->y + y;

  if (how == HT_FINISH_STORE)
    {
      UNROLL for (int c = 0; c < columns; c++) * (HtBlock *)(gpointer)(to + c * HT_ISA_BLOCK) = sums[c];
      return;
    }
  if (how == HT_FINISH_RELU)
    {
      UNROLL for (int c = 0; c < columns; c++) * (HtBlock *)(gpointer)(to + c * HT_ISA_BLOCK) = ht_block_relu (sums[c]);
      return;
    }
  UNROLL for (int c = 0; c < columns; c++) memory[c] = sums[c];
  finish (b, (float *)memory, y, (gsize)columns);
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
             gsize end, gsize y, const gssize x_step, const int columns)
{
  HtBlock sums[COLUMNS], start = get_start (b);

  UNROLL for (int c = 0; c < columns; c++) sums[c] = start;
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
  store (b, sums, y, columns);
}

/* One output row by columns alone: any kernel, stride and dilation. Outputs [low, high) have all taps of the last axis
 * within the image. */
static void
run_row (const HtConvGeometry *g, const HtDepthwiseBlock *b, const Taps *taps, const float *x, gsize y, gsize low,
         gsize high)
{
  gssize pad = (gssize)g->pad[2] * HT_ISA_BLOCK, step = (gssize)g->stride[2] * HT_ISA_BLOCK;

  for (gsize column = 0; column < g->out[2];)
    {
      const float *from = x + (gssize)column * step - pad;
      gsize to = y + column * HT_ISA_BLOCK;
      if (column >= low && column + COLUMNS <= high)
        {
          run_columns (g, b, taps, from, 0, g->kernel[2], to, step, COLUMNS);
          column += COLUMNS;
        }
      else
        {
          Reach reach = get_reach (g, 2, column);
          run_columns (g, b, taps, from, reach.begin, reach.end, to, step, 1);
          column++;
        }
    }
}

/* Outputs side by side of a narrow kernel without dilation: what they read of a row is loaded once. x is the row's
 * column 0, first the column that the first tap meets. */
HT_ALWAYS_INLINE void
run_window (const HtConvGeometry *g, const HtDepthwiseBlock *b, const Taps *taps, const float *x, gint64 first, gsize y,
            const int columns, const int kernel, const int stride)
{
  static const HtBlock zero;
  const int span = (columns - 1) * stride + kernel;
  gint64 width = (gint64)g->in[2];
  gboolean inside = first >= 0 && first + span <= width;
  HtBlock sums[COLUMNS], start = get_start (b);

  if (stride == 2)
    {
      /* What rows some way ahead will need: it comes from memory, and the processor does not see the pattern in time.
       */
      const float *ahead = x + (gssize)taps->row.end * taps->x_row + first * HT_ISA_BLOCK + AHEAD;
      for (int row = 0; row < stride; row++, ahead += taps->x_row)
        UNROLL for (int i = 0; i < columns * stride; i++) __builtin_prefetch (ahead + i * HT_ISA_BLOCK, 0, 2);
    }
  UNROLL for (int c = 0; c < columns; c++) sums[c] = start;
  for (gsize plane = taps->plane.begin; plane < taps->plane.end; plane++)
    for (gsize row = taps->row.begin; row < taps->row.end; row++)
      {
        const float *from = x + (gssize)plane * taps->x_plane + (gssize)row * taps->x_row + first * HT_ISA_BLOCK;
        const float *w = b->w + (plane * g->kernel[1] + row) * (gsize)kernel * HT_ISA_BLOCK;
        HtBlock window[(COLUMNS - 1) * 2 + MAX_KERNEL];
        if (inside)
          UNROLL for (int i = 0; i < span; i++) window[i] = *(const HtBlock *)(gconstpointer)(from + i * HT_ISA_BLOCK);
        else
          UNROLL for (int i = 0; i < span; i++)
          {
            gboolean is_in = first + i >= 0 && first + i < width;
            window[i] = *(is_in ? (const HtBlock *)(gconstpointer)(from + i * HT_ISA_BLOCK) : &zero);
          }
        UNROLL for (int tap = 0; tap < kernel; tap++)
        {
          HtBlock weight = *(const HtBlock *)(gconstpointer)(w + tap * HT_ISA_BLOCK);
          UNROLL for (int c = 0; c < columns; c++) sums[c] += weight * window[c * stride + tap];
        }
      }
  store (b, sums, y, columns);
}

#define WINDOW(columns, kernel, stride)                                                                                \
  static void run_##columns##_##kernel##_##stride (const HtConvGeometry *g, const HtDepthwiseBlock *b,                 \
                                                   const Taps *taps, const float *x, gint64 first, gsize y)            \
  {                                                                                                                    \
    run_window (g, b, taps, x, first, y, columns, kernel, stride);                                                     \
  }
#define EACH(DO, kernel, stride)                                                                                       \
  DO (1, kernel, stride)                                                                                               \
  DO (2, kernel, stride)                                                                                               \
  DO (3, kernel, stride)                                                                                               \
  DO (4, kernel, stride) DO (5, kernel, stride) DO (6, kernel, stride) DO (7, kernel, stride) DO (8, kernel, stride)
EACH (WINDOW, 3, 1)
EACH (WINDOW, 3, 2)
EACH (WINDOW, 5, 1)
EACH (WINDOW, 5, 2)

typedef void (*WindowFunc) (const HtConvGeometry *g, const HtDepthwiseBlock *b, const Taps *taps, const float *x,
                            gint64 first, gsize y);
#define ENTRY(columns, kernel, stride) run_##columns##_##kernel##_##stride,
static const WindowFunc windows[2][2][COLUMNS]
    = { { { EACH (ENTRY, 3, 1) }, { EACH (ENTRY, 3, 2) } }, { { EACH (ENTRY, 5, 1) }, { EACH (ENTRY, 5, 2) } } };

/* Is it what blocked-depthwise-rows.h does? */
static gboolean
suits_rows (const HtConvGeometry *g)
{
  return g->in[0] == 1 && g->out[0] == 1 && g->kernel[0] == 1 && g->pad[0] == 0 && g->kernel[1] == 3
         && g->kernel[2] == 3 && g->dilation[1] == 1 && g->dilation[2] == 1 && g->stride[1] == g->stride[2]
         && g->stride[1] <= 2 && g->pad[2] + (gint64)g->stride[2] <= 3;
}

static void
run_plane_1 (const HtConvGeometry *g, const HtDepthwiseBlock *b, gsize begin, gsize end)
{
  ht_depthwise_run_plane (g, b, begin, end, get_start (b), 1, finish);
}

static void
run_plane_2 (const HtConvGeometry *g, const HtDepthwiseBlock *b, gsize begin, gsize end)
{
  ht_depthwise_run_plane (g, b, begin, end, get_start (b), 2, finish);
}

static void
run (const HtConvGeometry *g, const HtDepthwiseBlock *b, gsize begin, gsize end)
{
  Taps taps = { .x_row = (gssize)(g->dilation[1] * g->in[2]) * HT_ISA_BLOCK };
  gsize low = 0, high = g->out[2], n_pieces = (g->out[2] + COLUMNS - 1) / COLUMNS;
  const WindowFunc *run_piece = NULL;

  if (suits_rows (g))
    {
      (g->stride[1] == 1 ? run_plane_1 : run_plane_2) (g, b, begin, end);
      return;
    }
  taps.x_plane = (gssize)(g->dilation[0] * g->in[1] * g->in[2]) * HT_ISA_BLOCK;
  taps.x_column = (gssize)g->dilation[2] * HT_ISA_BLOCK;
  if ((g->kernel[2] == 3 || g->kernel[2] == 5) && g->stride[2] <= 2 && g->dilation[2] == 1)
    run_piece = windows[g->kernel[2] == 5][g->stride[2] - 1];
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
      gsize y = row * g->out[2] * HT_ISA_BLOCK;
      if (run_piece == NULL)
        run_row (g, b, &taps, x, y, low, high);
      else
        for (gsize piece = 0; piece < n_pieces; piece++)
          {
            gsize column = piece * g->out[2] / n_pieces, n = (piece + 1) * g->out[2] / n_pieces - column;
            run_piece[n - 1](g, b, &taps, x, (gint64)(column * g->stride[2]) - g->pad[2], y + column * HT_ISA_BLOCK);
          }
    }
}

const HtBlockedDepthwiseKernels HT_ISA_NAME (ht_blocked_depthwise_kernels) = { run };
