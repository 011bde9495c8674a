/* SPDX-License-Identifier: MIT */
#include "kernels/lp-pool.h"

#include "base/thread-pool.h"
#include "kernels/vectorize.h"

#include <math.h>

double
ht_lp_power (double x, double p)
{
  return p == 1.0 ? fabs (x) : p == 2.0 ? x * x : pow (fabs (x), p);
}

double
ht_lp_root (double sum, double p)
{
  return p == 1.0 ? sum : p == 2.0 ? sqrt (sum) : pow (sum, 1.0 / p);
}

/* Kernel positions [*first, *last) of output position `out` that lie on the input. */
static void
find_inside (const HtConvGeometry *g, int axis, gsize out, gsize *first, gsize *last)
{
  gint64 start = (gint64)(out * g->stride[axis]) - g->pad[axis], step = (gint64)g->dilation[axis];
  gint64 room = (gint64)g->in[axis] - start;
  *first = start < 0 ? (gsize)((-start + step - 1) / step) : 0;
  *last = room <= 0 ? 0 : MIN (g->kernel[axis], (gsize)((room + step - 1) / step));
}

typedef struct
{
  const HtPoolGeometry *pool;
  double p;
  gconstpointer x;
  gpointer y;
} Work;

static inline gsize
position (const HtConvGeometry *g, int axis, gsize out, gsize k)
{
  return (gsize)((gint64)(out * g->stride[axis] + k * g->dilation[axis]) - g->pad[axis]);
}

#define LP_POOL(T)                                                                                                     \
  static T norm_of_window_##T (const HtConvGeometry *g, double p, const T *plane, const gsize out[HT_CONV_AXES])       \
  {                                                                                                                    \
    gsize first[HT_CONV_AXES], last[HT_CONV_AXES];                                                                     \
    double sum = 0.0;                                                                                                  \
    for (int axis = 0; axis < HT_CONV_AXES; axis++)                                                                    \
      find_inside (g, axis, out[axis], &first[axis], &last[axis]);                                                     \
    for (gsize kz = first[0]; kz < last[0]; kz++)                                                                      \
      for (gsize ky = first[1]; ky < last[1]; ky++)                                                                    \
        {                                                                                                              \
          const T *row = plane + (position (g, 0, out[0], kz) * g->in[1] + position (g, 1, out[1], ky)) * g->in[2];    \
          for (gsize kx = first[2]; kx < last[2]; kx++)                                                                \
            sum += ht_lp_power ((double)row[position (g, 2, out[2], kx)], p);                                          \
        }                                                                                                              \
    return (T)ht_lp_root (sum, p);                                                                                     \
  }                                                                                                                    \
  static void run_planes_##T (gsize begin, gsize end, guint worker, gpointer user_data)                                \
  {                                                                                                                    \
    const Work *work = user_data;                                                                                      \
    const HtConvGeometry *g = &work->pool->geometry;                                                                   \
    for (gsize i = begin; i < end; i++)                                                                                \
      {                                                                                                                \
        const T *plane = (const T *)work->x + i * ht_conv_volume (g->in);                                              \
        T *y = (T *)work->y + i * ht_conv_volume (g->out);                                                             \
        gsize out[HT_CONV_AXES];                                                                                       \
        for (out[0] = 0; out[0] < g->out[0]; out[0]++)                                                                 \
          for (out[1] = 0; out[1] < g->out[1]; out[1]++)                                                               \
            for (out[2] = 0; out[2] < g->out[2]; out[2]++)                                                             \
              *y++ = norm_of_window_##T (g, work->p, plane, out);                                                      \
      }                                                                                                                \
  }                                                                                                                    \
  void ht_kernel_lp_pool_##T (const HtPoolGeometry *pool, double p, const T *x, T *y)                                  \
  {                                                                                                                    \
    const HtConvGeometry *g = &pool->geometry;                                                                         \
    Work work = { pool, p, x, y };                                                                                     \
    gsize cost = ht_conv_volume (g->out) * ht_conv_volume (g->kernel);                                                 \
    ht_parallel_for (g->batch * g->in_channels, MAX (1, HT_KERNEL_GRAIN / MAX (cost, 1)), run_planes_##T, &work);      \
  }
LP_POOL (float)
LP_POOL (double)
