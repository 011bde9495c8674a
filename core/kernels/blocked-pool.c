/* SPDX-License-Identifier: MIT */
#include "kernels/blocked-pool.h"

#include "base/thread-pool.h"
#include "kernels/vectorize.h"

typedef struct
{
  void (*run) (const HtPoolRow *row);
  const HtPoolGeometry *pool;
  gsize block, blocks;
  const float *x;
  const HtEpilogue *e;
  float *y;
} Work;

/* Items are rows of outputs. */
static void
run_rows (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  const HtConvGeometry *g = &work->pool->geometry;
  const HtEpilogue *e = work->e;
  gsize rows = g->out[0] * g->out[1], row_floats = g->out[2] * work->block;

  for (gsize item = begin; item < end; item++)
    {
      gsize plane = item / rows, channel = plane % work->blocks * work->block;
      HtPoolRow row = { .pool = work->pool,
                        .x = work->x + plane * ht_conv_volume (g->in) * work->block,
                        .out = { item % rows / g->out[1], item % g->out[1] },
                        .scale = e && e->scale ? e->scale + channel : NULL,
                        .shift = e && e->shift ? e->shift + channel : NULL,
                        .residual = e && e->residual ? e->residual + item * row_floats : NULL,
                        .e = e,
                        .y = work->y + item * row_floats };
      work->run (&row);
    }
}

static void
run_pool (const HtPoolGeometry *pool, const float *x, const HtEpilogue *e, float *y, void (*run) (const HtPoolRow *))
{
  const HtConvGeometry *g = &pool->geometry;
  gsize block = ht_isa_get_block (), blocks = (g->in_channels + block - 1) / block;
  Work work = { .run = run, .pool = pool, .block = block, .blocks = blocks, .x = x, .e = e, .y = y };
  gsize cost = MAX (g->out[2] * block * ht_conv_volume (g->kernel), 1);

  if (g->out[2] > 0)
    ht_parallel_for (g->batch * blocks * g->out[0] * g->out[1], MAX (HT_KERNEL_GRAIN / cost, 1), run_rows, &work);
}

void
ht_blocked_max_pool (const HtPoolGeometry *pool, const float *x, const HtEpilogue *e, float *y)
{
  run_pool (pool, x, e, y, HT_ISA_PICK (ht_blocked_pool_kernels)->max);
}

void
ht_blocked_average_pool (const HtPoolGeometry *pool, const float *x, const HtEpilogue *e, float *y)
{
  run_pool (pool, x, e, y, HT_ISA_PICK (ht_blocked_pool_kernels)->average);
}

typedef struct
{
  const HtBlockedPoolKernels *kernels;
  void (*run) (gsize positions, const float *x, float *y);
  gsize block, blocks, channels, positions;
  const float *x;
  const HtEpilogue *e;
  float *y;
} GlobalWork;

/* Items are planes. */
static void
run_planes (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const GlobalWork *work = user_data;
  float result[16] __attribute__ ((aligned (64)));

  for (gsize plane = begin; plane < end; plane++)
    {
      gsize first = plane % work->blocks * work->block, at = plane / work->blocks * work->channels + first;
      HtEpilogue e = { .activation = HT_ACTIVATION_NONE };
      if (work->e)
        {
          e = *work->e;
          e.scale = e.scale ? e.scale + first : NULL;
          e.shift = e.shift ? e.shift + first : NULL;
        }
      work->run (work->positions, work->x + plane * work->positions * work->block, result);
      work->kernels->finish_channels (MIN (work->channels - first, work->block), result, &e,
                                      e.residual ? e.residual + at : NULL, work->y + at);
    }
}

static void
run_global (GlobalWork *work, gsize batch)
{
  work->block = ht_isa_get_block ();
  work->blocks = (work->channels + work->block - 1) / work->block;
  ht_parallel_for (batch * work->blocks, MAX (HT_KERNEL_GRAIN / MAX (work->positions * work->block, 1), 1), run_planes,
                   work);
}

void
ht_blocked_global_average_pool (gsize batch, gsize channels, gsize positions, const float *x, const HtEpilogue *e,
                                float *y)
{
  const HtBlockedPoolKernels *kernels = HT_ISA_PICK (ht_blocked_pool_kernels);
  GlobalWork work = { .kernels = kernels,
                      .run = kernels->global_average,
                      .channels = channels,
                      .positions = positions,
                      .x = x,
                      .e = e,
                      .y = y };
  run_global (&work, batch);
}

void
ht_blocked_global_max_pool (gsize batch, gsize channels, gsize positions, const float *x, const HtEpilogue *e, float *y)
{
  const HtBlockedPoolKernels *kernels = HT_ISA_PICK (ht_blocked_pool_kernels);
  GlobalWork work = {
    .kernels = kernels, .run = kernels->global_max, .channels = channels, .positions = positions, .x = x, .e = e, .y = y
  };
  run_global (&work, batch);
}
