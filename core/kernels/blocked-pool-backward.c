/* SPDX-License-Identifier: MIT */
#include "kernels/blocked-pool-backward.h"

#include "base/thread-pool.h"
#include "kernels/blocked-backward.h"
#include "kernels/vectorize.h"

typedef struct
{
  const HtBlockedPoolBackwardKernels *kernels;
  const HtPoolGeometry *pool; /* NULL: a window is the whole plane */
  gsize block, blocks, channels, in, out;
  const float *x, *dy;
  float *dx;
} Work;

/* Items are planes. Without x it is the average. */
static void
run_planes (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;

  for (gsize plane = begin; plane < end; plane++)
    {
      const float *x = work->x ? work->x + plane * work->in * work->block : NULL;
      float *dx = work->dx + plane * work->in * work->block;
      if (work->pool)
        {
          const float *dy = work->dy + plane * work->out * work->block;
          if (x)
            work->kernels->max (work->pool, x, dy, dx);
          else
            work->kernels->average (work->pool, dy, dx);
          continue;
        }
      float dy[16] __attribute__ ((aligned (64))) = { 0.0f };
      gsize first = plane % work->blocks * work->block;
      for (gsize lane = 0; lane < MIN (work->block, work->channels - first); lane++)
        dy[lane] = work->dy[plane / work->blocks * work->channels + first + lane];
      if (x)
        work->kernels->global_max (work->in, x, dy, dx);
      else
        work->kernels->global_average (work->in, dy, dx);
    }
}

static void
run_pool (const HtPoolGeometry *pool, gsize batch, gsize channels, gsize in, gsize out, const float *x, const float *dy,
          float *dx)
{
  gsize block = ht_isa_get_block (), blocks = (channels + block - 1) / block;
  Work work = { .kernels = HT_ISA_PICK (ht_blocked_pool_backward_kernels),
                .pool = pool,
                .block = block,
                .blocks = blocks,
                .channels = channels,
                .in = in,
                .out = out,
                .x = x,
                .dy = dy,
                .dx = dx };
  gsize cost = (in + (pool ? out * ht_conv_volume (pool->geometry.kernel) : 0)) * block;

  if (in > 0)
    ht_parallel_for (batch * blocks, MAX (HT_KERNEL_GRAIN / cost, 1), run_planes, &work);
}

void
ht_blocked_max_pool_backward (const HtPoolGeometry *pool, const float *x, const float *dy, float *dx)
{
  const HtConvGeometry *g = &pool->geometry;
  run_pool (pool, g->batch, g->in_channels, ht_conv_volume (g->in), ht_conv_volume (g->out), x, dy, dx);
}

void
ht_blocked_average_pool_backward (const HtPoolGeometry *pool, const float *dy, float *dx)
{
  const HtConvGeometry *g = &pool->geometry;
  run_pool (pool, g->batch, g->in_channels, ht_conv_volume (g->in), ht_conv_volume (g->out), NULL, dy, dx);
}

void
ht_blocked_global_average_pool_backward (gsize batch, gsize channels, gsize positions, const float *dy, float *dx)
{
  run_pool (NULL, batch, channels, positions, 1, NULL, dy, dx);
}

void
ht_blocked_global_max_pool_backward (gsize batch, gsize channels, gsize positions, const float *x, const float *dy,
                                     float *dx)
{
  run_pool (NULL, batch, channels, positions, 1, x, dy, dx);
}
