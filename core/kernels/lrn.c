/* SPDX-License-Identifier: MIT */
#include "kernels/lrn.h"

#include "base/thread-pool.h"
#include "kernels/vectorize.h"

#include <math.h>

/* One item of work: so many columns of so many channels of one image, which stay in the nearest cache. */
#define COLUMNS  ((gsize)256)
#define CHANNELS ((gsize)16)

typedef struct
{
  const HtLrn *lrn;
  const float *x;
  float *y;
  gsize column_blocks, channel_blocks;
} Work;

/* The exponents that networks use need roots only, which vectorize. */
static inline void
scale (float *restrict y, const float *restrict x, const float *restrict base, gsize n, float beta)
{
  if (beta == 0.75f)
    for (gsize i = 0; i < n; i++)
      {
        float root = sqrtf (base[i]);
        y[i] = x[i] / (root * sqrtf (root));
      }
  else if (beta == 0.5f)
    for (gsize i = 0; i < n; i++)
      y[i] = x[i] / sqrtf (base[i]);
  else if (beta == 1.0f)
    for (gsize i = 0; i < n; i++)
      y[i] = x[i] / base[i];
  else
    for (gsize i = 0; i < n; i++)
      y[i] = x[i] * powf (base[i], -beta);
}

HT_VECTORIZE static void
run_block (const HtLrn *lrn, const float *x, float *y, gsize first, gsize last, gsize n)
{
  float base[COLUMNS];

  for (gsize c = first; c < last; c++)
    {
      gsize from = c > lrn->before ? c - lrn->before : 0, to = MIN (lrn->channels - 1, c + lrn->after);
      for (gsize i = 0; i < n; i++)
        base[i] = 0.0f;
      for (gsize k = from; k <= to; k++)
        {
          const float *row = x + k * lrn->inner;
          for (gsize i = 0; i < n; i++)
            base[i] += row[i] * row[i];
        }
      for (gsize i = 0; i < n; i++)
        base[i] = lrn->bias + lrn->alpha * base[i];
      scale (y + c * lrn->inner, x + c * lrn->inner, base, n, lrn->beta);
    }
}

static void
run_items (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  const HtLrn *lrn = work->lrn;

  for (gsize item = begin; item < end; item++)
    {
      gsize column = item % work->column_blocks * COLUMNS;
      gsize channel = item / work->column_blocks % work->channel_blocks * CHANNELS;
      gsize image = item / work->column_blocks / work->channel_blocks;
      gsize at = image * lrn->channels * lrn->inner + column;
      run_block (lrn, work->x + at, work->y + at, channel, MIN (channel + CHANNELS, lrn->channels),
                 MIN (COLUMNS, lrn->inner - column));
    }
}

void
ht_kernel_lrn (const HtLrn *lrn, const float *x, float *y)
{
  Work work = { lrn, x, y, (lrn->inner + COLUMNS - 1) / COLUMNS, (lrn->channels + CHANNELS - 1) / CHANNELS };
  gsize item = MIN (lrn->inner, COLUMNS) * MIN (lrn->channels, CHANNELS);

  ht_parallel_for (lrn->outer * work.column_blocks * work.channel_blocks, MAX (1, HT_KERNEL_GRAIN / MAX (item, 1)),
                   run_items, &work);
}
