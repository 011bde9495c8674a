/* SPDX-License-Identifier: MIT */
#include "kernels/pool.h"

#include "base/thread-pool.h"
#include "kernels/pool-window.h"
#include "kernels/reduce.h"
#include "kernels/vectorize.h"

#include <math.h>
#include <stdint.h>

typedef struct
{
  const HtPoolGeometry *pool;
  gconstpointer x;
  gpointer y;
  gint64 *indices;
} Work;

/* A window of one output element. */
typedef struct
{
  gint64 start[HT_CONV_AXES];
  gsize first[HT_CONV_AXES], last[HT_CONV_AXES];
} Window;

static inline void
window_at (const HtConvGeometry *g, const gsize out[HT_CONV_AXES], Window *window)
{
  for (int axis = 0; axis < HT_CONV_AXES; axis++)
    {
      window->start[axis] = ht_pool_start (g, axis, out[axis]);
      ht_pool_clip (window->start[axis], g->kernel[axis], g->dilation[axis], (gint64)g->in[axis], &window->first[axis],
                    &window->last[axis]);
    }
}

/* Row-major position in the input of a kernel position. */
static inline gsize
position_of (const HtConvGeometry *g, const Window *window, const gsize k[HT_CONV_AXES])
{
  gsize position = 0;
  for (int axis = 0; axis < HT_CONV_AXES; axis++)
    position = position * g->in[axis] + (gsize)(window->start[axis] + (gint64)(k[axis] * g->dilation[axis]));
  return position;
}

static inline gint64
column_major (const HtConvGeometry *g, gsize position)
{
  gsize w = position % g->in[2], h = position / g->in[2] % g->in[1], d = position / g->in[2] / g->in[1];
  return (gint64)((w * g->in[1] + h) * g->in[0] + d);
}

#define FOR_WINDOW(window, k)                                                                                          \
  for (k[0] = (window).first[0]; k[0] < (window).last[0]; k[0]++)                                                      \
    for (k[1] = (window).first[1]; k[1] < (window).last[1]; k[1]++)                                                    \
      for (k[2] = (window).first[2]; k[2] < (window).last[2]; k[2]++)

#define FOR_OUTPUT(g, out)                                                                                             \
  for (out[0] = 0; out[0] < (g)->out[0]; out[0]++)                                                                     \
    for (out[1] = 0; out[1] < (g)->out[1]; out[1]++)                                                                   \
      for (out[2] = 0; out[2] < (g)->out[2]; out[2]++)

/* The comparison lets NaN win: it is true for a NaN on the left, and nothing beats one that is there. */
#define DEFINE_MAX_POOL(name, type, lowest, linkage)                                                                   \
  static void run_max_##name (gsize begin, gsize end, guint worker, gpointer user_data)                                \
  {                                                                                                                    \
    const Work *work = user_data;                                                                                      \
    const HtConvGeometry *g = &work->pool->geometry;                                                                   \
    gsize in = ht_conv_volume (g->in), volume = ht_conv_volume (g->out);                                               \
    for (gsize plane = begin; plane < end; plane++)                                                                    \
      {                                                                                                                \
        const type *x = (const type *)work->x + plane * in;                                                            \
        type *y = (type *)work->y + plane * volume;                                                                    \
        gint64 *indices = work->indices ? work->indices + plane * volume : NULL;                                       \
        gsize out[HT_CONV_AXES], k[HT_CONV_AXES];                                                                      \
        FOR_OUTPUT (g, out)                                                                                            \
        {                                                                                                              \
          Window window;                                                                                               \
          type best = lowest;                                                                                          \
          gsize where = 0;                                                                                             \
          gboolean any = FALSE;                                                                                        \
          window_at (g, out, &window);                                                                                 \
          FOR_WINDOW (window, k)                                                                                       \
          {                                                                                                            \
            gsize position = position_of (g, &window, k);                                                              \
            type value = x[position];                                                                                  \
            if (!any || (!(value <= best) && best == best))                                                            \
              {                                                                                                        \
                best = value;                                                                                          \
                where = position;                                                                                      \
                any = TRUE;                                                                                            \
              }                                                                                                        \
          }                                                                                                            \
          *y++ = best;                                                                                                 \
          if (indices)                                                                                                 \
            *indices++ = (gint64)(plane * in) + (work->pool->column_major ? column_major (g, where) : (gint64)where);  \
        }                                                                                                              \
      }                                                                                                                \
  }                                                                                                                    \
  linkage void ht_kernel_max_pool_##name (const HtPoolGeometry *pool, const type *x, type *y, gint64 *indices)         \
  {                                                                                                                    \
    Work work = { pool, x, y, indices };                                                                               \
    run_planes (&work, run_max_##name);                                                                                \
  }

static void
run_planes (Work *work, HtParallelFunc func)
{
  const HtConvGeometry *g = &work->pool->geometry;
  gsize cost = ht_conv_volume (g->out) * ht_conv_volume (g->kernel) * 4;
  ht_parallel_for (g->batch * g->in_channels, CLAMP (HT_KERNEL_GRAIN / MAX (cost, 1), 1, 4096), func, work);
}

DEFINE_MAX_POOL (double, double, -INFINITY, )
DEFINE_MAX_POOL (int8, gint8, INT8_MIN, )
DEFINE_MAX_POOL (uint8, guint8, 0, )
DEFINE_MAX_POOL (general_float, float, -INFINITY, static)

/* Without indices, rows are combined: the inner loop runs along the output row. */
HT_VECTORIZE static void
max_rows (const float *x, gsize stride, float *y, gsize n)
{
  if (stride == 1)
    for (gsize i = 0; i < n; i++)
      y[i] = x[i] > y[i] || x[i] != x[i] ? x[i] : y[i];
  else if (stride == 2)
    for (gsize i = 0; i < n; i++)
      y[i] = x[2 * i] > y[i] || x[2 * i] != x[2 * i] ? x[2 * i] : y[i];
  else
    for (gsize i = 0; i < n; i++)
      y[i] = x[i * stride] > y[i] || x[i * stride] != x[i * stride] ? x[i * stride] : y[i];
}

HT_VECTORIZE static void
add_rows (const float *x, gsize stride, float *y, gsize n)
{
  if (stride == 1)
    for (gsize i = 0; i < n; i++)
      y[i] += x[i];
  else
    for (gsize i = 0; i < n; i++)
      y[i] += x[i * stride];
}

typedef void (*RowFunc) (const float *x, gsize stride, float *y, gsize n);

/* Combines all input rows and shifts that reach the output row (d, h). */
static void
combine_row (const HtConvGeometry *g, const float *x, gsize d, gsize h, float *y, RowFunc func)
{
  const gsize out[HT_CONV_AXES] = { d, h, 0 };
  Window window;

  window_at (g, out, &window);
  for (gsize kd = window.first[0]; kd < window.last[0]; kd++)
    for (gsize kh = window.first[1]; kh < window.last[1]; kh++)
      {
        const float *row = x
                           + ((gsize)(window.start[0] + (gint64)(kd * g->dilation[0])) * g->in[1]
                              + (gsize)(window.start[1] + (gint64)(kh * g->dilation[1])))
                                 * g->in[2];
        for (gsize kw = 0; kw < g->kernel[2]; kw++)
          {
            gint64 start = (gint64)(kw * g->dilation[2]) - g->pad[2];
            gsize first, last;
            ht_pool_clip (start, g->out[2], g->stride[2], (gint64)g->in[2], &first, &last);
            if (first < last)
              func (row + (start + (gint64)(first * g->stride[2])), g->stride[2], y + first, last - first);
          }
      }
}

static void
run_max_rows (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  const HtConvGeometry *g = &work->pool->geometry;

  for (gsize plane = begin; plane < end; plane++)
    {
      const float *x = (const float *)work->x + plane * ht_conv_volume (g->in);
      float *y = (float *)work->y + plane * ht_conv_volume (g->out);
      for (gsize d = 0; d < g->out[0]; d++)
        for (gsize h = 0; h < g->out[1]; h++, y += g->out[2])
          {
            for (gsize i = 0; i < g->out[2]; i++)
              y[i] = -INFINITY;
            combine_row (g, x, d, h, y, max_rows);
          }
    }
}

void
ht_kernel_max_pool_float (const HtPoolGeometry *pool, const float *x, float *y, gint64 *indices)
{
  Work work = { pool, x, y, indices };
  if (indices)
    ht_kernel_max_pool_general_float (pool, x, y, indices);
  else
    run_planes (&work, run_max_rows);
}

static void
run_average_rows (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  const HtConvGeometry *g = &work->pool->geometry;

  for (gsize plane = begin; plane < end; plane++)
    {
      const float *x = (const float *)work->x + plane * ht_conv_volume (g->in);
      float *y = (float *)work->y + plane * ht_conv_volume (g->out);
      for (gsize d = 0; d < g->out[0]; d++)
        for (gsize h = 0; h < g->out[1]; h++, y += g->out[2])
          {
            gsize outer = ht_pool_count (work->pool, 0, d) * ht_pool_count (work->pool, 1, h);
            for (gsize i = 0; i < g->out[2]; i++)
              y[i] = 0.0f;
            combine_row (g, x, d, h, y, add_rows);
            for (gsize i = 0; i < g->out[2]; i++)
              {
                gsize count = outer * ht_pool_count (work->pool, 2, i);
                y[i] = count > 0 ? y[i] / (float)count : 0.0f;
              }
          }
    }
}

void
ht_kernel_average_pool (const HtPoolGeometry *pool, const float *x, float *y)
{
  Work work = { pool, x, y, NULL };
  run_planes (&work, run_average_rows);
}

typedef struct
{
  const float *x;
  gsize n;
  float *results;
} Rows;

HT_VECTORIZE static float
sum_of (const float *x, gsize n)
{
  float sum;
  HT_REDUCE_SUM (sum, n, x[i_]);
  return sum;
}

static void
run_means (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Rows *rows = user_data;
  for (gsize row = begin; row < end; row++)
    rows->results[row] = sum_of (rows->x + row * rows->n, rows->n) / (float)rows->n;
}

static void
run_maxima (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Rows *rows = user_data;
  for (gsize row = begin; row < end; row++)
    {
      const float *x = rows->x + row * rows->n;
      float best = -INFINITY;
      for (gsize i = 0; i < rows->n; i++)
        best = x[i] > best || x[i] != x[i] ? x[i] : best;
      rows->results[row] = best;
    }
}

void
ht_kernel_row_means (const float *x, gsize n_rows, gsize n, float *means)
{
  Rows rows = { x, n, means };
  ht_parallel_for (n_rows, MAX (1, HT_KERNEL_GRAIN / MAX (n, 1)), run_means, &rows);
}

void
ht_kernel_row_maxima (const float *x, gsize n_rows, gsize n, float *maxima)
{
  Rows rows = { x, n, maxima };
  ht_parallel_for (n_rows, MAX (1, HT_KERNEL_GRAIN / MAX (n, 1)), run_maxima, &rows);
}
