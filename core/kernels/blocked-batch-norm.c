/* SPDX-License-Identifier: MIT */
/* Batch normalization in training mode. Each run of positions gives its own sums; they are put together in double, in
 * the order of the runs. */
#include "kernels/blocked-batch-norm.h"

#include "kernels/blocked-backward.h"
#include "kernels/blocked-planes.h"

#include <math.h>

typedef struct
{
  const HtBlockedBatchNormKernels *kernels;
  HtPlanes planes;
  gsize block;
  HtNormInput in;    /* of the whole tensors */
  float *runs;       /* [run of all planes][2][block] */
  const float *mean; /* these filled up to whole blocks */
  const float *a, *b, *c;
  float *dx, *d_residual;
} Work;

static void
run_statistics (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  gsize block = work->block;

  for (gsize item = begin; item < end; item++)
    {
      HtPlaneRun run = ht_planes_get_run (&work->planes, item);
      float *sums = work->runs + item * 2 * block;
      if (run.end > run.begin)
        work->kernels->statistics (run.end - run.begin,
                                   work->in.x + (run.plane * work->planes.positions + run.begin) * block, sums,
                                   sums + block);
    }
}

static HtNormInput
input_at (const Work *work, const HtPlaneRun *run)
{
  HtNormInput in = work->in;
  gsize at = (run->plane * work->planes.positions + run->begin) * work->block;

  in.x += at;
  in.dy += at;
  in.y = in.y ? in.y + at : NULL;
  return in;
}

static void
run_sums (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  gsize block = work->block;

  for (gsize item = begin; item < end; item++)
    {
      HtPlaneRun run = ht_planes_get_run (&work->planes, item);
      HtNormInput in = input_at (work, &run);
      float *sums = work->runs + item * 2 * block;
      work->kernels->sums (run.end - run.begin, &in, work->mean + run.block * block, sums, sums + block);
    }
}

static void
run_apply (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  gsize block = work->block;

  for (gsize item = begin; item < end; item++)
    {
      HtPlaneRun run = ht_planes_get_run (&work->planes, item);
      HtNormInput in = input_at (work, &run);
      gsize at = (run.plane * work->planes.positions + run.begin) * block, c = run.block * block;
      work->kernels->apply (run.end - run.begin, &in, work->a + c, work->b + c, work->c + c, work->dx + at,
                            work->d_residual ? work->d_residual + at : NULL);
    }
}

static Work
work_new (gsize batch, gsize channels, gsize positions, float *workspace)
{
  return (Work){ .kernels = HT_ISA_PICK (ht_blocked_batch_norm_kernels),
                 .planes = ht_planes (batch, channels, positions),
                 .block = ht_isa_get_block (),
                 .runs = workspace };
}

static gsize
runs_floats (const Work *work)
{
  return work->planes.n_planes * work->planes.n_runs * 2 * work->block;
}

gsize
ht_blocked_batch_norm_workspace (gsize batch, gsize channels, gsize positions)
{
  Work work = work_new (batch, channels, positions, NULL);
  return (runs_floats (&work) + 2 * work.planes.blocks * work.block) * sizeof (float);
}

gsize
ht_blocked_batch_norm_backward_workspace (gsize batch, gsize channels, gsize positions)
{
  Work work = work_new (batch, channels, positions, NULL);
  return (runs_floats (&work) + 4 * work.planes.blocks * work.block) * sizeof (float);
}

/* Value `which` of a channel in a run of an image. */
static double
run_value (const Work *work, gsize image, gsize channel, gsize run, gsize which)
{
  gsize plane = image * work->planes.blocks + channel / work->block;
  return work->runs[((plane * work->planes.n_runs + run) * 2 + which) * work->block + channel % work->block];
}

static double
run_length (const Work *work, gsize run)
{
  HtPlaneRun r = ht_planes_get_run (&work->planes, run);
  return (double)(r.end - r.begin);
}

static void
combine_statistics (const Work *work, gsize batch, gsize channel, float *mean, float *variance)
{
  double total = (double)(batch * work->planes.positions), sum = 0.0, squares = 0.0;

  for (gsize image = 0; image < batch; image++)
    for (gsize run = 0; run < work->planes.n_runs; run++)
      sum += run_length (work, run) * run_value (work, image, channel, run, 0);
  sum /= total;
  for (gsize image = 0; image < batch; image++)
    for (gsize run = 0; run < work->planes.n_runs; run++)
      {
        double distance = run_value (work, image, channel, run, 0) - sum;
        squares += run_value (work, image, channel, run, 1) + run_length (work, run) * distance * distance;
      }
  *mean = (float)sum;
  *variance = (float)(squares / total);
}

void
ht_blocked_batch_norm (gsize batch, gsize channels, gsize positions, const float *x, const float *scale,
                       const float *shift, float epsilon, const HtEpilogue *e, float *mean, float *variance, float *y,
                       gpointer workspace)
{
  Work work = work_new (batch, channels, positions, workspace);
  HtEpilogue affine = e ? *e : (HtEpilogue){ .activation = HT_ACTIVATION_NONE };

  if (batch * channels * positions == 0)
    return;
  work.in.x = x;
  ht_planes_for (&work.planes, run_statistics, &work);
  gsize n_lanes = work.planes.blocks * work.block;
  float *factor = work.runs + runs_floats (&work), *addend = factor + n_lanes;
  for (gsize c = 0; c < n_lanes; c++)
    {
      factor[c] = addend[c] = 0.0f;
      if (c >= channels)
        continue;
      combine_statistics (&work, batch, c, &mean[c], &variance[c]);
      double f = (double)scale[c] / sqrt ((double)variance[c] + (double)epsilon);
      factor[c] = (float)f;
      addend[c] = (float)((double)shift[c] - (double)mean[c] * f);
    }
  affine.scale = factor;
  affine.shift = addend;
  ht_blocked_affine (batch, channels, positions, x, &affine, y);
}

void
ht_blocked_batch_norm_backward (gsize batch, gsize channels, gsize positions, const float *x, const float *scale,
                                float epsilon, const float *mean, const float *variance, const float *y, float low,
                                float high, const float *dy, float *dx, float *dscale, float *dshift, float *d_residual,
                                gpointer workspace)
{
  Work work = work_new (batch, channels, positions, workspace);
  gsize n_lanes = work.planes.blocks * work.block;
  float *lanes = work.runs + runs_floats (&work); /* [4][n_lanes]: mean, a, b, c */
  double total = (double)(batch * positions);

  for (gsize c = 0; c < n_lanes; c++)
    lanes[c] = c < channels ? mean[c] : 0.0f;
  work.in = (HtNormInput){ .x = x, .dy = dy, .y = y, .low = low, .high = high };
  work.mean = lanes;
  work.dx = dx;
  work.d_residual = d_residual;
  ht_planes_for (&work.planes, run_sums, &work);
  for (gsize c = 0; c < n_lanes; c++)
    {
      double sum = 0.0, product = 0.0;
      lanes[n_lanes + c] = lanes[2 * n_lanes + c] = lanes[3 * n_lanes + c] = 0.0f;
      if (c >= channels)
        continue;
      for (gsize image = 0; image < batch; image++)
        for (gsize run = 0; run < work.planes.n_runs; run++)
          {
            sum += run_value (&work, image, c, run, 0);
            product += run_value (&work, image, c, run, 1);
          }
      double inverse = 1.0 / sqrt ((double)variance[c] + (double)epsilon), a = (double)scale[c] * inverse;
      double b = -a * inverse * inverse * product / MAX (total, 1.0);
      dshift[c] = (float)sum;
      dscale[c] = (float)(product * inverse);
      lanes[n_lanes + c] = (float)a;
      lanes[2 * n_lanes + c] = (float)b;
      lanes[3 * n_lanes + c] = (float)(-a * sum / MAX (total, 1.0) - b * (double)mean[c]);
    }
  work.a = lanes + n_lanes;
  work.b = lanes + 2 * n_lanes;
  work.c = lanes + 3 * n_lanes;
  ht_planes_for (&work.planes, run_apply, &work);
}
