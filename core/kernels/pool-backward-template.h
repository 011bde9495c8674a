/* SPDX-License-Identifier: MIT */
/* Included by pool-backward.c once for each REAL. An item of work is a plane or a row, so that no two write one place.
 */

/* The part of the window of one output that lies inside. */
static void
FN (max_window) (const HtConvGeometry *g, const REAL *x, const gint64 start[HT_CONV_AXES],
                 const gsize first[HT_CONV_AXES], const gsize last[HT_CONV_AXES], REAL dy, REAL *dx)
{
  gsize best = G_MAXSIZE;
  for (gsize d = first[0]; d < last[0]; d++)
    for (gsize h = first[1]; h < last[1]; h++)
      for (gsize w = first[2]; w < last[2]; w++)
        {
          gsize at = ((gsize)(start[0] + (gint64)(d * g->dilation[0])) * g->in[1]
                      + (gsize)(start[1] + (gint64)(h * g->dilation[1])))
                         * g->in[2]
                     + (gsize)(start[2] + (gint64)(w * g->dilation[2]));
          if (best == G_MAXSIZE || x[at] > x[best] || (x[at] != x[at] && x[best] == x[best]))
            best = at;
        }
  if (best != G_MAXSIZE)
    dx[best] += dy;
}

static void
FN (spread_window) (const HtConvGeometry *g, const gint64 start[HT_CONV_AXES], const gsize first[HT_CONV_AXES],
                    const gsize last[HT_CONV_AXES], REAL share, REAL *dx)
{
  for (gsize d = first[0]; d < last[0]; d++)
    for (gsize h = first[1]; h < last[1]; h++)
      {
        REAL *row = dx
                    + ((gsize)(start[0] + (gint64)(d * g->dilation[0])) * g->in[1]
                       + (gsize)(start[1] + (gint64)(h * g->dilation[1])))
                          * g->in[2];
        for (gsize w = first[2]; w < last[2]; w++)
          row[start[2] + (gint64)(w * g->dilation[2])] += share;
      }
}

static void
FN (pool_planes) (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  const HtConvGeometry *g = &work->pool->geometry;
  gsize volume = ht_conv_volume (g->in), positions = ht_conv_volume (g->out), out[HT_CONV_AXES];

  for (gsize plane = begin; plane < end; plane++)
    {
      const REAL *dy = (const REAL *)work->dy + plane * positions;
      REAL *dx = (REAL *)work->dx + plane * volume;
      memset (dx, 0, volume * sizeof (REAL));
      for (out[0] = 0; out[0] < g->out[0]; out[0]++)
        for (out[1] = 0; out[1] < g->out[1]; out[1]++)
          for (out[2] = 0; out[2] < g->out[2]; out[2]++, dy++)
            {
              gint64 start[HT_CONV_AXES];
              gsize first[HT_CONV_AXES], last[HT_CONV_AXES], n = 1;
              for (int axis = 0; axis < HT_CONV_AXES; axis++)
                {
                  start[axis] = ht_pool_start (g, axis, out[axis]);
                  ht_pool_clip (start[axis], g->kernel[axis], g->dilation[axis], (gint64)g->in[axis], &first[axis],
                                &last[axis]);
                  n *= work->x ? 1 : ht_pool_count (work->pool, axis, out[axis]);
                }
              if (work->x)
                FN (max_window) (g, (const REAL *)work->x + plane * volume, start, first, last, *dy, dx);
              else if (n > 0)
                FN (spread_window) (g, start, first, last, *dy / (REAL)n, dx);
            }
    }
}

static void
FN (run_planes) (const HtPoolGeometry *pool, const REAL *x, const REAL *dy, REAL *dx)
{
  Work work = { .pool = pool, .x = x, .dy = dy, .dx = dx };
  gsize cost = ht_conv_volume (pool->geometry.out) * ht_conv_volume (pool->geometry.kernel);
  ht_parallel_for (pool->geometry.batch * pool->geometry.in_channels, grain_of (cost), FN (pool_planes), &work);
}

void
FN (ht_kernel_max_pool_backward) (const HtPoolGeometry *pool, const REAL *x, const REAL *dy, REAL *dx)
{
  FN (run_planes) (pool, x, dy, dx);
}

void
FN (ht_kernel_average_pool_backward) (const HtPoolGeometry *pool, const REAL *dy, REAL *dx)
{
  FN (run_planes) (pool, NULL, dy, dx);
}

static void
FN (global_rows) (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  for (gsize row = begin; row < end; row++)
    {
      const REAL *x = (const REAL *)work->x + row * work->n;
      REAL *dx = (REAL *)work->dx + row * work->n, g = ((const REAL *)work->dy)[row];
      gsize best = 0;
      for (gsize i = 0; i < work->n; i++)
        dx[i] = work->x ? 0 : g / (REAL)work->n;
      for (gsize i = 1; work->x && i < work->n; i++)
        if (x[i] > x[best] || (x[i] != x[i] && x[best] == x[best]))
          best = i;
      if (work->x && work->n > 0)
        dx[best] = g;
    }
}

void
FN (ht_kernel_row_means_backward) (const REAL *dy, gsize n_rows, gsize n, REAL *dx)
{
  Work work = { .dy = dy, .dx = dx, .n = n };
  ht_parallel_for (n_rows, grain_of (n), FN (global_rows), &work);
}

void
FN (ht_kernel_row_maxima_backward) (const REAL *x, const REAL *dy, gsize n_rows, gsize n, REAL *dx)
{
  Work work = { .x = x, .dy = dy, .dx = dx, .n = n };
  ht_parallel_for (n_rows, grain_of (n), FN (global_rows), &work);
}
