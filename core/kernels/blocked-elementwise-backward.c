/* SPDX-License-Identifier: MIT */
#include "kernels/blocked-elementwise-backward.h"

#include "kernels/blocked-backward.h"
#include "kernels/blocked-planes.h"

typedef struct
{
  const HtBlockedElementwiseBackwardKernels *kernels;
  HtPlanes planes;
  gsize channels, block;
  const HtGrid *grid;
  const float *x, *dy;
  float *dx;
  float *runs;
} Work;

static Work
work_new (gsize batch, gsize channels, gsize positions, const float *x, const float *dy)
{
  return (Work){ .kernels = HT_ISA_PICK (ht_blocked_elementwise_backward_kernels),
                 .planes = ht_planes (batch, channels, positions),
                 .channels = channels,
                 .block = ht_isa_get_block (),
                 .x = x,
                 .dy = dy };
}

/* Items are planes; a plane's sum is that of its runs in their order. */
static void
run_dots (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  gsize block = work->block;

  for (gsize plane = begin; plane < end; plane++)
    {
      float sums[16] = { 0.0f }, part[16] __attribute__ ((aligned (64)));
      for (gsize run = 0; run < work->planes.n_runs; run++)
        {
          HtPlaneRun r = ht_planes_get_run (&work->planes, plane * work->planes.n_runs + run);
          gsize at = (plane * work->planes.positions + r.begin) * block;
          work->kernels->dot (r.end - r.begin, work->x + at, work->dy + at, part);
          for (gsize lane = 0; lane < block; lane++)
            sums[lane] += part[lane];
        }
      for (gsize lane = 0; lane < block; lane++)
        work->dx[plane * block + lane] = sums[lane];
    }
}

void
ht_blocked_multiply_backward (gsize batch, gsize channels, gsize positions, const float *a, const float *b,
                              gboolean b_per_channel, const float *dy, float *da, float *db)
{
  if (db && b_per_channel)
    {
      Work work = work_new (batch, channels, positions, a, dy);
      gsize plane_floats = MAX (positions * work.block, 1);
      work.dx = db;
      ht_parallel_for (work.planes.n_planes, MAX (HT_KERNEL_GRAIN / plane_floats, 1), run_dots, &work);
    }
  else if (db)
    ht_blocked_multiply (batch, channels, positions, dy, a, FALSE, NULL, db);
  if (da)
    ht_blocked_multiply (batch, channels, positions, dy, b, b_per_channel, NULL, da);
}

typedef struct
{
  const HtBlockedElementwiseBackwardKernels *kernels;
  gsize block, in[2], factor[2];
  const float *dy;
  float *dx;
} Windows;

/* Items are rows of dx. */
static void
run_windows (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Windows *work = user_data;
  gsize row = work->in[1] * work->block, wide = row * work->factor[1];

  for (gsize item = begin; item < end; item++)
    work->kernels->sum_windows (work->in[1], work->factor[0], wide, work->factor[1],
                                work->dy + item * work->factor[0] * wide, work->dx + item * row);
}

void
ht_blocked_upsample_nearest_backward (gsize batch, gsize channels, const gsize in[2], const gsize factor[2],
                                      const float *dy, float *dx)
{
  gsize block = ht_isa_get_block ();
  Windows work = { .kernels = HT_ISA_PICK (ht_blocked_elementwise_backward_kernels),
                   .block = block,
                   .in = { in[0], in[1] },
                   .factor = { factor[0], factor[1] },
                   .dy = dy,
                   .dx = dx };
  gsize row_floats = MAX (in[1] * factor[0] * factor[1] * block, 1);
  ht_parallel_for (batch * ((channels + block - 1) / block) * in[0], MAX (HT_KERNEL_GRAIN / row_floats, 1), run_windows,
                   &work);
}

static void
run_fake_quantize (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  gsize block = work->block;

  for (gsize item = begin; item < end; item++)
    {
      HtPlaneRun run = ht_planes_get_run (&work->planes, item);
      gsize at = (run.plane * work->planes.positions + run.begin) * block;
      float *sums = work->runs + item * 2 * block;
      work->kernels->fake_quantize (run.end - run.begin, work->grid, work->x + at, work->dy + at,
                                    work->dx ? work->dx + at : NULL, sums, sums + block);
    }
}

gsize
ht_blocked_fake_quantize_backward_workspace (gsize batch, gsize channels, gsize positions)
{
  HtPlanes planes = ht_planes (batch, channels, positions);
  return planes.n_planes * planes.n_runs * 2 * ht_isa_get_block () * sizeof (float);
}

void
ht_blocked_fake_quantize_backward (gsize batch, gsize channels, gsize positions, const HtGrid *grid, const float *x,
                                   const float *dy, float *dx, float *dscale, float *doffset, gpointer workspace)
{
  Work work = work_new (batch, channels, positions, x, dy);
  double scale = 0.0, offset = 0.0;

  work.grid = grid;
  work.dx = dx;
  work.runs = workspace;
  ht_planes_for (&work.planes, run_fake_quantize, &work);
  for (gsize item = 0; item < work.planes.n_planes * work.planes.n_runs; item++)
    {
      /* Lanes past the last channel hold anything. */
      HtPlaneRun run = ht_planes_get_run (&work.planes, item);
      const float *sums = work.runs + item * 2 * work.block;
      for (gsize lane = 0; lane < MIN (work.block, channels - run.block * work.block); lane++)
        {
          scale += (double)sums[lane];
          offset += (double)sums[work.block + lane];
        }
    }
  if (dscale)
    *dscale = (float)scale;
  if (doffset)
    *doffset = (float)offset;
}
