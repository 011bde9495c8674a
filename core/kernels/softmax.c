/* SPDX-License-Identifier: MIT */
#include "kernels/softmax.h"

#include "base/thread-pool.h"
#include "kernels/exp.h"
#include "kernels/reduce.h"
#include "kernels/vectorize.h"

#include <math.h>

/* Columns that are handled side by side when the axis is not the innermost one. */
#define BLOCK ((gsize)64)

typedef struct
{
  const float *x;
  float *y;
  gsize n, inner;
  gboolean logarithm;
} Work;

/* The largest element, by lanes; NaN shows in the exponentials anyway. */
HT_VECTORIZE static float
largest (const float *x, gsize n)
{
  float lanes[HT_REDUCE_LANES];
  gsize i = 0;

  for (int lane = 0; lane < HT_REDUCE_LANES; lane++)
    lanes[lane] = -INFINITY;
  for (; i + HT_REDUCE_LANES <= n; i += HT_REDUCE_LANES)
    for (int lane = 0; lane < HT_REDUCE_LANES; lane++)
      lanes[lane] = x[i + lane] > lanes[lane] ? x[i + lane] : lanes[lane];
  for (; i < n; i++)
    lanes[0] = x[i] > lanes[0] ? x[i] : lanes[0];
  for (int lane = 1; lane < HT_REDUCE_LANES; lane++)
    lanes[0] = lanes[lane] > lanes[0] ? lanes[lane] : lanes[0];
  return lanes[0];
}

HT_VECTORIZE static void
softmax_row (const float *x, float *y, gsize n, float top)
{
  float sum;

  for (gsize i = 0; i < n; i++)
    y[i] = ht_exp (x[i] - top);
  HT_REDUCE_SUM (sum, n, y[i_]);
  float inverse = 1.0f / sum;
  for (gsize i = 0; i < n; i++)
    y[i] *= inverse;
}

HT_VECTORIZE static float
sum_exponentials (const float *x, gsize n, float top)
{
  float sum;
  HT_REDUCE_SUM (sum, n, ht_exp (x[i_] - top));
  return sum;
}

static void
run_rows (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;

  for (gsize row = begin; row < end; row++)
    {
      const float *x = work->x + row * work->n;
      float *y = work->y + row * work->n;
      float top = largest (x, work->n);
      if (work->logarithm)
        {
          float shift = logf (sum_exponentials (x, work->n, top));
          for (gsize i = 0; i < work->n; i++)
            y[i] = x[i] - top - shift;
        }
      else
        {
          softmax_row (x, y, work->n, top);
        }
    }
}

HT_VECTORIZE static void
column_block (const float *x, float *y, gsize n, gsize inner, gsize width, gboolean logarithm)
{
  float top[BLOCK], sum[BLOCK];

  for (gsize c = 0; c < width; c++)
    {
      top[c] = -INFINITY;
      sum[c] = 0.0f;
    }
  for (gsize i = 0; i < n; i++)
    for (gsize c = 0; c < width; c++)
      top[c] = x[i * inner + c] > top[c] ? x[i * inner + c] : top[c];
  if (logarithm)
    {
      for (gsize i = 0; i < n; i++)
        for (gsize c = 0; c < width; c++)
          sum[c] += ht_exp (x[i * inner + c] - top[c]);
      for (gsize c = 0; c < width; c++)
        sum[c] = logf (sum[c]);
      for (gsize i = 0; i < n; i++)
        for (gsize c = 0; c < width; c++)
          y[i * inner + c] = x[i * inner + c] - top[c] - sum[c];
      return;
    }
  for (gsize i = 0; i < n; i++)
    for (gsize c = 0; c < width; c++)
      {
        float e = ht_exp (x[i * inner + c] - top[c]);
        y[i * inner + c] = e;
        sum[c] += e;
      }
  for (gsize c = 0; c < width; c++)
    sum[c] = 1.0f / sum[c];
  for (gsize i = 0; i < n; i++)
    for (gsize c = 0; c < width; c++)
      y[i * inner + c] *= sum[c];
}

static void
run_columns (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  gsize n_blocks = (work->inner + BLOCK - 1) / BLOCK;

  for (gsize item = begin; item < end; item++)
    {
      gsize column = item % n_blocks * BLOCK, start = item / n_blocks * work->n * work->inner + column;
      column_block (work->x + start, work->y + start, work->n, work->inner, MIN (BLOCK, work->inner - column),
                    work->logarithm);
    }
}

void
ht_kernel_softmax (const float *x, float *y, gsize outer, gsize n, gsize inner, gboolean logarithm)
{
  Work work = { x, y, n, inner, logarithm };

  if (outer == 0 || n == 0 || inner == 0)
    return;
  if (inner == 1)
    ht_parallel_for (outer, MAX (1, HT_KERNEL_GRAIN / 4 / n), run_rows, &work);
  else
    ht_parallel_for (outer * ((inner + BLOCK - 1) / BLOCK), MAX (1, HT_KERNEL_GRAIN / 4 / (n * BLOCK)), run_columns,
                     &work);
}
