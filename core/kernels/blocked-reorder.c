/* SPDX-License-Identifier: MIT */
#include "kernels/blocked-reorder.h"

#include "kernels/blocked-planes.h"

typedef struct
{
  const HtBlockedReorderKernels *kernels;
  HtPlanes planes;
  gsize channels, block, groups;
  const float *x;
  float *y;
  const HtEpilogue *e;
} Work;

static void
run_from_plain (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;

  for (gsize item = begin; item < end; item++)
    {
      HtPlaneRun run = ht_planes_get_run (&work->planes, item);
      gsize positions = work->planes.positions, first = run.block * work->block;
      work->kernels->from_plain (MIN (work->channels - first, work->block), positions, run.begin, run.end,
                                 work->x + (run.image * work->channels + first) * positions,
                                 work->y + run.plane * positions * work->block, work->e);
    }
}

static void
run_shuffle (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  gsize positions = work->planes.positions, groups = work->groups, n = work->channels / groups;

  for (gsize item = begin; item < end; item++)
    {
      HtPlaneRun run = ht_planes_get_run (&work->planes, item);
      const float *rows[16] = { NULL };
      for (gsize lane = 0, c = run.block * work->block; lane < work->block && c < work->channels; lane++, c++)
        rows[lane] = work->x + (run.image * work->channels + c % groups * n + c / groups) * positions;
      work->kernels->from_rows (rows, run.begin, run.end, work->y + run.plane * positions * work->block);
    }
}

static void
run_to_plain (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;

  for (gsize item = begin; item < end; item++)
    {
      HtPlaneRun run = ht_planes_get_run (&work->planes, item);
      gsize positions = work->planes.positions, first = run.block * work->block;
      work->kernels->to_plain (MIN (work->channels - first, work->block), positions, run.begin, run.end,
                               work->x + run.plane * positions * work->block,
                               work->y + (run.image * work->channels + first) * positions, work->e);
    }
}

static void
reorder (gsize batch, gsize channels, gsize positions, gsize groups, const float *x, float *y, const HtEpilogue *e,
         HtParallelFunc func)
{
  Work work = { .kernels = HT_ISA_PICK (ht_blocked_reorder_kernels),
                .planes = ht_planes (batch, channels, positions),
                .channels = channels,
                .block = ht_isa_get_block (),
                .groups = groups,
                .x = x,
                .y = y,
                .e = e };
  ht_planes_for (&work.planes, func, &work);
}

void
ht_blocked_from_plain (gsize batch, gsize channels, gsize positions, const float *x, float *y, const HtEpilogue *e)
{
  reorder (batch, channels, positions, 1, x, y, e, run_from_plain);
}

void
ht_blocked_shuffle_from_plain (gsize batch, gsize channels, gsize positions, gsize groups, const float *x, float *y)
{
  reorder (batch, channels, positions, groups, x, y, NULL, run_shuffle);
}

void
ht_blocked_to_plain (gsize batch, gsize channels, gsize positions, const float *x, float *y, const HtEpilogue *e)
{
  reorder (batch, channels, positions, 1, x, y, e, run_to_plain);
}
