/* SPDX-License-Identifier: MIT */
#include "kernels/double-precision.h"

#include "base/thread-pool.h"
#include "kernels/vectorize.h"

#include <math.h>

static gsize
grain_for (gsize cost)
{
  return MAX (1, HT_KERNEL_GRAIN / MAX (cost, 1));
}

/* Convolution */

typedef struct
{
  const HtConvGeometry *geometry;
  const double *x, *w, *bias;
  double *y;
} Conv;

/* Where a kernel position puts input position 0, and which positions i of `n` it puts in [0, size):
 * offset + i * stride. */
typedef struct
{
  gint64 offset, stride;
  gint64 first, last;
} Reach;

static Reach
reach_of (const HtConvGeometry *g, int axis, gsize k, gsize n, gsize size)
{
  Reach reach = { (gint64)(k * g->dilation[axis]) - g->pad[axis], (gint64)g->stride[axis], 0, 0 };

  reach.first = reach.offset >= 0 ? 0 : (-reach.offset + reach.stride - 1) / reach.stride;
  reach.last = reach.offset >= (gint64)size ? 0 : ((gint64)size - reach.offset + reach.stride - 1) / reach.stride;
  reach.first = MIN (reach.first, (gint64)n);
  reach.last = CLAMP (reach.last, reach.first, (gint64)n);
  return reach;
}

/* Small planes and sparse positions are joined by a factor: for each pair (s, l) of a position of the small side and
 * the one of the large side it meets. `forward` adds large to small, else small to large. */
static void
join_planes (const HtConvGeometry *g, const gsize small_size[HT_CONV_AXES], const gsize large_size[HT_CONV_AXES],
             const gsize k[HT_CONV_AXES], double factor, const double *from, double *to, gboolean forward)
{
  Reach reach[HT_CONV_AXES];

  for (int axis = 0; axis < HT_CONV_AXES; axis++)
    reach[axis] = reach_of (g, axis, k[axis], small_size[axis], large_size[axis]);
  for (gint64 d = reach[0].first; d < reach[0].last; d++)
    for (gint64 h = reach[1].first; h < reach[1].last; h++)
      {
        gsize small = ((gsize)d * small_size[1] + (gsize)h) * small_size[2];
        gsize large = (gsize)(reach[0].offset + d * reach[0].stride) * large_size[1]
                      + (gsize)(reach[1].offset + h * reach[1].stride);
        large *= large_size[2];
        for (gint64 i = reach[2].first; i < reach[2].last; i++)
          {
            gsize s = small + (gsize)i, l = large + (gsize)(reach[2].offset + i * reach[2].stride);
            if (forward)
              to[s] += factor * from[l];
            else
              to[l] += factor * from[s];
          }
      }
}

#define FOR_KERNEL(g, k)                                                                                               \
  for (k[0] = 0; k[0] < (g)->kernel[0]; k[0]++)                                                                        \
    for (k[1] = 0; k[1] < (g)->kernel[1]; k[1]++)                                                                      \
      for (k[2] = 0; k[2] < (g)->kernel[2]; k[2]++)

/* An item is one output plane. */
static void
run_conv (gsize begin, gsize end, gboolean transposed, const Conv *work)
{
  const HtConvGeometry *g = work->geometry;
  gsize group_in = g->in_channels / g->groups, group_out = g->out_channels / g->groups;
  gsize in = ht_conv_volume (g->in), out = ht_conv_volume (g->out), kernel = ht_conv_volume (g->kernel);

  for (gsize plane = begin; plane < end; plane++)
    {
      gsize image = plane / g->out_channels, channel = plane % g->out_channels, group = channel / group_out;
      double *y = work->y + plane * out;
      for (gsize i = 0; i < out; i++)
        y[i] = work->bias ? work->bias[channel] : 0.0;
      for (gsize c = 0; c < group_in; c++)
        {
          const double *x = work->x + (image * g->in_channels + group * group_in + c) * in;
          gsize filter = transposed ? (group * group_in + c) * group_out + channel % group_out : channel * group_in + c;
          const double *w = work->w + filter * kernel;
          gsize k[HT_CONV_AXES];
          FOR_KERNEL (g, k)
          {
            if (transposed)
              join_planes (g, g->in, g->out, k, *w++, x, y, FALSE);
            else
              join_planes (g, g->out, g->in, k, *w++, x, y, TRUE);
          }
        }
    }
}

static void
run_conv_planes (gsize begin, gsize end, guint worker, gpointer user_data)
{
  run_conv (begin, end, FALSE, user_data);
}

static void
run_transposed_planes (gsize begin, gsize end, guint worker, gpointer user_data)
{
  run_conv (begin, end, TRUE, user_data);
}

void
ht_kernel_conv_double (const HtConvGeometry *g, const double *x, const double *w, const double *bias, double *y)
{
  Conv work = { g, x, w, bias, y };
  gsize cost = ht_conv_volume (g->out) * ht_conv_volume (g->kernel) * (g->in_channels / g->groups);
  ht_parallel_for (g->batch * g->out_channels, grain_for (cost), run_conv_planes, &work);
}

void
ht_kernel_conv_transpose_double (const HtConvGeometry *g, const double *x, const double *w, const double *bias,
                                 double *y)
{
  Conv work = { g, x, w, bias, y };
  gsize cost = ht_conv_volume (g->in) * ht_conv_volume (g->kernel) * (g->in_channels / g->groups);
  ht_parallel_for (g->batch * g->out_channels, grain_for (cost), run_transposed_planes, &work);
}

/* Average pooling */

typedef struct
{
  const HtPoolGeometry *pool;
  const double *x;
  double *y;
} Pool;

static gboolean
lies_in_padding (const HtPoolGeometry *pool, int axis, gint64 position)
{
  const HtConvGeometry *g = &pool->geometry;
  return position >= -g->pad[axis] && position < (gint64)(g->in[axis] + pool->pad_end[axis]);
}

static double
average_window (const HtPoolGeometry *pool, const double *x, const gsize out[HT_CONV_AXES])
{
  const HtConvGeometry *g = &pool->geometry;
  gsize k[HT_CONV_AXES], count = 0;
  double sum = 0.0;

  FOR_KERNEL (g, k)
  {
    gboolean inside = TRUE, counts = TRUE;
    gsize at = 0;
    for (int axis = 0; axis < HT_CONV_AXES; axis++)
      {
        gint64 position = (gint64)(out[axis] * g->stride[axis] + k[axis] * g->dilation[axis]) - g->pad[axis];
        inside = inside && position >= 0 && position < (gint64)g->in[axis];
        counts = counts && lies_in_padding (pool, axis, position);
        at = at * g->in[axis] + (gsize)position;
      }
    sum += inside ? x[at] : 0.0;
    count += pool->count_padding ? counts : inside;
  }
  return count > 0 ? sum / (double)count : 0.0;
}

static void
run_average_planes (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Pool *work = user_data;
  const HtConvGeometry *g = &work->pool->geometry;
  gsize volume = ht_conv_volume (g->out);

  for (gsize plane = begin; plane < end; plane++)
    for (gsize i = 0; i < volume; i++)
      {
        gsize out[] = { i / g->out[2] / g->out[1], i / g->out[2] % g->out[1], i % g->out[2] };
        work->y[plane * volume + i] = average_window (work->pool, work->x + plane * ht_conv_volume (g->in), out);
      }
}

void
ht_kernel_average_pool_double (const HtPoolGeometry *pool, const double *x, double *y)
{
  const HtConvGeometry *g = &pool->geometry;
  Pool work = { pool, x, y };
  gsize cost = ht_conv_volume (g->out) * ht_conv_volume (g->kernel) * 4;
  ht_parallel_for (g->batch * g->in_channels, grain_for (cost), run_average_planes, &work);
}

/* Rows */

void
ht_kernel_row_means_double (const double *x, gsize n_rows, gsize n, double *means)
{
  for (gsize row = 0; row < n_rows; row++)
    {
      double sum = 0.0;
      for (gsize i = 0; i < n; i++)
        sum += x[row * n + i];
      means[row] = sum / (double)n;
    }
}

void
ht_kernel_row_maxima_double (const double *x, gsize n_rows, gsize n, double *maxima)
{
  for (gsize row = 0; row < n_rows; row++)
    {
      double best = -INFINITY;
      for (gsize i = 0; i < n; i++)
        best = x[row * n + i] > best || isnan (x[row * n + i]) ? x[row * n + i] : best;
      maxima[row] = best;
    }
}

void
ht_kernel_affine_channels_double (const double *x, double *y, gsize outer, gsize channels, gsize inner,
                                  const double *factor, const double *term)
{
  for (gsize row = 0; row < outer * channels; row++)
    for (gsize i = row * inner; i < (row + 1) * inner; i++)
      y[i] = x[i] * factor[row % channels] + term[row % channels];
}

typedef struct
{
  const HtRowNormDouble *norm;
  const double *x;
  double *y;
} RowWork;

static void
run_norm_rows (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const RowWork *work = user_data;
  const HtRowNormDouble *norm = work->norm;
  gsize part = norm->n / norm->factor_count;

  for (gsize row = begin; row < end; row++)
    {
      const double *x = work->x + row * norm->n;
      gsize first = row % norm->factor_rows * norm->factor_count;
      double mean = 0.0, squares = 0.0;
      for (gsize i = 0; i < norm->n; i++)
        mean += x[i];
      mean /= (double)norm->n;
      for (gsize i = 0; i < norm->n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
      double inverse = 1.0 / sqrt (squares / (double)norm->n + norm->epsilon);
      if (norm->means)
        norm->means[row] = mean;
      if (norm->inverses)
        norm->inverses[row] = inverse;
      for (gsize i = 0; i < norm->n; i++)
        work->y[row * norm->n + i] = (x[i] - mean) * inverse * norm->factor[first + i / part]
                                     + (norm->term ? norm->term[first + i / part] : 0.0);
    }
}

void
ht_kernel_row_norm_double (const HtRowNormDouble *norm, const double *x, double *y)
{
  RowWork work = { norm, x, y };
  if (norm->n > 0)
    ht_parallel_for (norm->n_rows, grain_for (norm->n), run_norm_rows, &work);
}

void
ht_kernel_add_product_double (gsize m, gsize n, gsize k, const double *a, gsize a_row, gsize a_column, const double *b,
                              gsize b_row, gsize b_column, double *c, gsize c_row)
{
  for (gsize i = 0; i < m; i++)
    for (gsize j = 0; j < n; j++)
      {
        double sum = 0.0;
        for (gsize l = 0; l < k; l++)
          sum += a[i * a_row + l * a_column] * b[l * b_row + j * b_column];
        c[i * c_row + j] += sum;
      }
}
