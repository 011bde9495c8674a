/* SPDX-License-Identifier: MIT */
/* 3x3 planes without dilation, some output rows at once: of a column of inputs each row is loaded once for all outputs
 * that it meets, and the three columns that outputs need stay in registers. Part of blocked-depthwise.isa.c. */
#pragma once

#include "kernels/blocked-depthwise.h"

#include "kernels/epilogue.h"

#define HT_DEPTHWISE_ROWS    2  /* output rows at once: twelve inputs, nine weights and two sums fit 32 registers */
#define HT_DEPTHWISE_COLUMNS 64 /* output columns from one loading of the registers */
#define HT_DEPTHWISE_INPUTS  (2 * HT_DEPTHWISE_ROWS + 1)

/* Outputs side by side in some rows, as far as their inputs are concerned. */
typedef struct
{
  const float *x[HT_DEPTHWISE_INPUTS]; /* row by row, at the column that tap 0 of the first output meets, or would */
  gint64 low, high;                    /* columns from there that lie in the image */
  float *y;
  gsize x_row, y_row; /* from one row to the next, in floats */
  int n;              /* columns */
  HtBlock start;
  gboolean relu;
} HtDepthwiseRows;

typedef HtBlock HtDepthwiseInputs[HT_DEPTHWISE_INPUTS][3];

/* Where there are registers for them the weights stay there: the compiler would read them for every product, and one
 * vector a cycle is all that the cache gives. */
HT_ALWAYS_INLINE void
ht_depthwise_load_weights (const float *w, HtBlock weights[9])
{
  _Pragma ("GCC unroll 9") for (int tap = 0; tap < 9; tap++)
  {
    weights[tap] = *(const HtBlock *)(gconstpointer)(w + tap * HT_ISA_BLOCK);
#if defined(__AVX512F__)
    __asm__("" : "+v"(weights[tap]));
#endif
  }
}

HT_ALWAYS_INLINE void
ht_depthwise_load (const HtDepthwiseRows *r, HtDepthwiseInputs in, int column, const int slot, gboolean check,
                   const int n_inputs)
{
  static const HtBlock zero;
  gssize at = (gssize)column * HT_ISA_BLOCK;

  if (check && (column < r->low || column >= r->high))
    _Pragma ("GCC unroll 8") for (int i = 0; i < n_inputs; i++) in[i][slot] = zero;
  else
    _Pragma ("GCC unroll 8") for (int i = 0; i < n_inputs; i++) in[i][slot]
        = *(const HtBlock *)(gconstpointer)(r->x[i] + at);
}

/* What the next rows will need: the processor does not see the pattern of several rows in time. The inputs need not
 * displace those of these rows from the first-level cache, the outputs are about to be written. */
HT_ALWAYS_INLINE void
ht_depthwise_prefetch (const HtDepthwiseRows *r, int column, const int rows, const int stride)
{
  const int n_inputs = (rows - 1) * stride + 3, fresh = rows * stride;

  for (int i = n_inputs - fresh; i < n_inputs; i++)
    for (int k = 0; k < stride; k++)
      __builtin_prefetch (r->x[i] + (gsize)fresh * r->x_row + (gsize)(column * stride + k) * HT_ISA_BLOCK, 0, 2);
  for (int row = 0; row < rows; row++)
    __builtin_prefetch (r->y + (gsize)(rows + row) * r->y_row + (gsize)column * HT_ISA_BLOCK, 1, 3);
}

/* Output `column`, which is `phase` modulo 3, as are the places of its inputs. */
HT_ALWAYS_INLINE void
ht_depthwise_add (const HtDepthwiseRows *r, const HtBlock weights[9], HtDepthwiseInputs in, int column, const int phase,
                  gboolean check, const int rows, const int stride)
{
  HtBlock sums[HT_DEPTHWISE_ROWS];
  const int n_inputs = (rows - 1) * stride + 3;

  if (!check)
    ht_depthwise_prefetch (r, column, rows, stride);
  for (int tap = 3 - stride; tap < 3; tap++)
    ht_depthwise_load (r, in, column * stride + tap, (phase * stride + tap) % 3, check, n_inputs);
  for (int row = 0; row < rows; row++)
    sums[row] = r->start;
  _Pragma ("GCC unroll 9") for (int tap = 0; tap < 9; tap++)
  {
    _Pragma ("GCC unroll 4") for (int row = 0; row < rows; row++) sums[row]
        += weights[tap] * in[row * stride + tap / 3][(phase * stride + tap % 3) % 3];
  }
  _Pragma ("GCC unroll 4") for (int row = 0; row < rows; row++)
  {
    HtBlock sum = r->relu ? ht_block_relu (sums[row]) : sums[row];
    *(HtBlock *)(gpointer)(r->y + (gsize)row * r->y_row + (gsize)column * HT_ISA_BLOCK) = sum;
  }
}

HT_ALWAYS_INLINE void
ht_depthwise_run_rows (const HtDepthwiseRows *r, const HtBlock weights[9], const int n_rows, const int stride)
{
  const int n_inputs = (n_rows - 1) * stride + 3;
  HtDepthwiseInputs in;
  /* Outputs whose last tap lies in the image */
  int inside = r->high >= 3 ? (int)MIN ((r->high - 3) / stride + 1, r->n) : 0, column = 0;

  _Pragma ("GCC unroll 2") for (int i = 0; i < 3 - stride; i++) ht_depthwise_load (r, in, i, i, TRUE, n_inputs);
  for (; column + 3 <= inside; column += 3)
    {
      ht_depthwise_add (r, weights, in, column, 0, FALSE, n_rows, stride);
      ht_depthwise_add (r, weights, in, column + 1, 1, FALSE, n_rows, stride);
      ht_depthwise_add (r, weights, in, column + 2, 2, FALSE, n_rows, stride);
    }
  for (; column < r->n; column += 3)
    {
      ht_depthwise_add (r, weights, in, column, 0, TRUE, n_rows, stride);
      if (column + 1 < r->n)
        ht_depthwise_add (r, weights, in, column + 1, 1, TRUE, n_rows, stride);
      if (column + 2 < r->n)
        ht_depthwise_add (r, weights, in, column + 2, 2, TRUE, n_rows, stride);
    }
}

/* Output rows [begin, end). Rows outside the image are read as zeros. */
HT_ALWAYS_INLINE void
ht_depthwise_run_plane (const HtConvGeometry *g, const HtDepthwiseBlock *b, gsize begin, gsize end, HtBlock start,
                        const int stride,
                        void (*finish) (const HtDepthwiseBlock *b, float *sums, gsize y, gsize columns))
{
  static const HtBlock zeros[HT_DEPTHWISE_COLUMNS * 2 + 1];
  float sums[HT_DEPTHWISE_ROWS][HT_DEPTHWISE_COLUMNS * HT_ISA_BLOCK] __attribute__ ((aligned (HT_ISA_BLOCK * 4)));
  HtFinish how = ht_epilogue_get_finish (b->e);
  gint64 width = (gint64)g->in[2];
  gsize y_row = g->out[2] * HT_ISA_BLOCK;
  HtBlock weights[9];

  ht_depthwise_load_weights (b->w, weights);
  for (gsize row = begin, n_rows; row < end; row += n_rows)
    {
      n_rows = row + HT_DEPTHWISE_ROWS <= end ? HT_DEPTHWISE_ROWS : 1;
      for (gsize column = 0; column < g->out[2]; column += HT_DEPTHWISE_COLUMNS)
        {
          gint64 first = (gint64)column * stride - g->pad[2];
          gsize y = (row * g->out[2] + column) * HT_ISA_BLOCK;
          HtDepthwiseRows r = { .x_row = g->in[2] * HT_ISA_BLOCK,
                                .low = -first,
                                .high = width - first,
                                .start = start,
                                .relu = how == HT_FINISH_RELU };

          _Pragma ("GCC unroll 8") for (int i = 0; i < HT_DEPTHWISE_INPUTS; i++)
          {
            gint64 from = (gint64)row * stride - g->pad[1] + i;
            gboolean is_in = from >= 0 && from < (gint64)g->in[1];
            r.x[i] = is_in ? b->x + (from * width + first) * HT_ISA_BLOCK : (const float *)zeros;
          }
          r.n = (int)MIN (g->out[2] - column, HT_DEPTHWISE_COLUMNS);
          r.y = how == HT_FINISH_OTHER ? sums[0] : b->y + y;
          r.y_row = how == HT_FINISH_OTHER ? HT_DEPTHWISE_COLUMNS * HT_ISA_BLOCK : y_row;
          if (n_rows == 1)
            ht_depthwise_run_rows (&r, weights, 1, stride);
          else
            ht_depthwise_run_rows (&r, weights, HT_DEPTHWISE_ROWS, stride);
          for (gsize i = 0; i < n_rows && how == HT_FINISH_OTHER; i++)
            finish (b, sums[i], y + i * y_row, (gsize)r.n);
        }
    }
}
