/* SPDX-License-Identifier: MIT */
#include "kernels/normalize.h"

#include "base/thread-pool.h"
#include "kernels/reduce.h"
#include "kernels/vectorize.h"

#include <math.h>

typedef struct
{
  const float *x;
  float *y;
  gsize channels, inner;
  const float *factor, *term;
} Affine;

HT_VECTORIZE static void
affine_row (const float *x, float *y, gsize n, float factor, float term)
{
  for (gsize i = 0; i < n; i++)
    y[i] = x[i] * factor + term;
}

HT_VECTORIZE static void
affine_elements (const float *x, float *y, gsize n, const float *factor, const float *term)
{
  for (gsize i = 0; i < n; i++)
    y[i] = x[i] * factor[i] + term[i];
}

static void
run_affine_rows (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Affine *work = user_data;
  for (gsize row = begin; row < end; row++)
    affine_row (work->x + row * work->inner, work->y + row * work->inner, work->inner,
                work->factor[row % work->channels], work->term[row % work->channels]);
}

static void
run_affine_elements (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Affine *work = user_data;
  for (gsize row = begin; row < end; row++)
    affine_elements (work->x + row * work->channels, work->y + row * work->channels, work->channels, work->factor,
                     work->term);
}

static gsize
grain_for (gsize row_length)
{
  return MAX (1, HT_KERNEL_GRAIN / MAX (row_length, 1));
}

void
ht_kernel_affine_channels (const float *x, float *y, gsize outer, gsize channels, gsize inner, const float *factor,
                           const float *term)
{
  Affine work = { x, y, channels, inner, factor, term };
  if (inner == 1)
    ht_parallel_for (outer, grain_for (channels), run_affine_elements, &work);
  else
    ht_parallel_for (outer * channels, grain_for (inner), run_affine_rows, &work);
}

typedef struct
{
  const HtRowNorm *norm;
  const float *x;
  float *y;
} RowWork;

/* Two passes: the mean first, then the squares of what differs from it, so that nothing cancels. */
HT_VECTORIZE static void
statistics (const float *x, gsize n, float *mean, float *variance)
{
  float sum, squares;
  HT_REDUCE_SUM (sum, n, x[i_]);
  float m = sum / (float)n;
  HT_REDUCE_SUM (squares, n, (x[i_] - m) * (x[i_] - m));
  *mean = m;
  *variance = squares / (float)n;
}

HT_VECTORIZE static void
scale_row (const float *x, float *y, gsize n, float mean, float inverse, const float *factor, const float *term)
{
  if (term)
    for (gsize i = 0; i < n; i++)
      y[i] = (x[i] - mean) * inverse * factor[i] + term[i];
  else
    for (gsize i = 0; i < n; i++)
      y[i] = (x[i] - mean) * inverse * factor[i];
}

HT_VECTORIZE static void
scale_part (const float *x, float *y, gsize n, float mean, float inverse, float factor, float term)
{
  for (gsize i = 0; i < n; i++)
    y[i] = (x[i] - mean) * inverse * factor + term;
}

static void
run_norm_rows (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const RowWork *work = user_data;
  const HtRowNorm *norm = work->norm;
  gsize count = norm->factor_count, part = norm->n / count;

  for (gsize row = begin; row < end; row++)
    {
      const float *x = work->x + row * norm->n;
      float *y = work->y + row * norm->n;
      const float *factor = norm->factor + row % norm->factor_rows * count;
      const float *term = norm->term ? norm->term + row % norm->factor_rows * count : NULL;
      float mean, variance;
      statistics (x, norm->n, &mean, &variance);
      float inverse = 1.0f / sqrtf (variance + norm->epsilon);
      if (norm->means)
        norm->means[row] = mean;
      if (norm->inverses)
        norm->inverses[row] = inverse;
      if (part == 1)
        scale_row (x, y, norm->n, mean, inverse, factor, term);
      else
        for (gsize i = 0; i < count; i++)
          scale_part (x + i * part, y + i * part, part, mean, inverse, factor[i], term ? term[i] : 0.0f);
    }
}

void
ht_kernel_row_norm (const HtRowNorm *norm, const float *x, float *y)
{
  RowWork work = { norm, x, y };
  if (norm->n > 0)
    ht_parallel_for (norm->n_rows, grain_for (norm->n), run_norm_rows, &work);
}
