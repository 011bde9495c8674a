/* SPDX-License-Identifier: MIT */
/* Sums over all positions of each channel: of each run of positions first, then in double in the order of the runs. */
#include "kernels/blocked-affine-backward.h"

#include "kernels/blocked-backward.h"
#include "kernels/blocked-planes.h"

typedef struct
{
  const HtBlockedAffineBackwardKernels *kernels;
  HtPlanes planes;
  gsize channels, block;
  const float *x, *scale, *dy;
  float *dx;
  float *runs; /* [run of all planes][2][block] */
} Work;

static void
run_runs (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  gsize block = work->block;

  for (gsize item = begin; item < end; item++)
    {
      HtPlaneRun run = ht_planes_get_run (&work->planes, item);
      gsize at = (run.plane * work->planes.positions + run.begin) * block;
      float *sums = work->runs + item * 2 * block, scale[16] __attribute__ ((aligned (64))) = { 0.0f };
      for (gsize lane = 0; work->scale && lane < block && run.block * block + lane < work->channels; lane++)
        scale[lane] = work->scale[run.block * block + lane];
      work->kernels->run (run.end - run.begin, work->x ? work->x + at : NULL, work->scale ? scale : NULL, work->dy + at,
                          work->dx ? work->dx + at : NULL, sums, sums + block);
    }
}

static void
combine (const Work *work, gsize batch, gsize which, float *result)
{
  const HtPlanes *planes = &work->planes;

  for (gsize c = 0; result && c < work->channels; c++)
    {
      double sum = 0.0;
      for (gsize image = 0; image < batch; image++)
        for (gsize run = 0; run < planes->n_runs; run++)
          {
            gsize item = (image * planes->blocks + c / work->block) * planes->n_runs + run;
            sum += (double)work->runs[(item * 2 + which) * work->block + c % work->block];
          }
      result[c] = (float)sum;
    }
}

gsize
ht_blocked_affine_backward_workspace (gsize batch, gsize channels, gsize positions)
{
  HtPlanes planes = ht_planes (batch, channels, positions);
  return planes.n_planes * planes.n_runs * 2 * ht_isa_get_block () * sizeof (float);
}

void
ht_blocked_affine_backward (gsize batch, gsize channels, gsize positions, const float *x, const float *scale,
                            const float *dy, float *dx, float *dscale, float *dshift, gpointer workspace)
{
  Work work = { .kernels = HT_ISA_PICK (ht_blocked_affine_backward_kernels),
                .planes = ht_planes (batch, channels, positions),
                .channels = channels,
                .block = ht_isa_get_block (),
                .x = dscale ? x : NULL,
                .scale = scale,
                .dy = dy,
                .dx = dx,
                .runs = workspace };

  ht_planes_for (&work.planes, run_runs, &work);
  combine (&work, batch, 0, dshift);
  combine (&work, batch, 1, dscale);
}

gsize
ht_blocked_channel_sums_workspace (gsize batch, gsize channels, gsize positions)
{
  return ht_blocked_affine_backward_workspace (batch, channels, positions);
}

void
ht_blocked_channel_sums (gsize batch, gsize channels, gsize positions, const float *dy, float *sums, gpointer workspace)
{
  ht_blocked_affine_backward (batch, channels, positions, NULL, NULL, dy, NULL, NULL, sums, workspace);
}
