/* SPDX-License-Identifier: MIT */
#include "kernels/blocked-elementwise.h"

#include "kernels/blocked-backward.h"
#include "kernels/blocked-planes.h"

#include <string.h>

/* Positions that stay in the first-level cache while one epilogue after the other goes over them. */
#define STAGE_RUN ((gsize)64)

typedef struct
{
  const HtBlockedElementwiseKernels *kernels;
  HtPlanes planes;
  gsize block;
  const float *x, *b;
  gboolean b_per_channel;
  gsize b_plane; /* floats from one plane to the next */
  const HtEpilogue *e;
  float *y;
} Work;

static Work
work_new (gsize batch, gsize channels, gsize positions)
{
  return (Work){ .kernels = HT_ISA_PICK (ht_blocked_elementwise_kernels),
                 .planes = ht_planes (batch, channels, positions),
                 .block = ht_isa_get_block () };
}

/* `n` positions of a run, of which the first one is `at` floats into the tensor. */
static void
run_positions (const Work *work, const HtPlaneRun *run, gsize at, gsize n)
{
  const HtEpilogue *e = work->e;
  gsize block = work->block;
  const float *scale = e && e->scale ? e->scale + run->block * block : NULL;
  const float *shift = e && e->shift ? e->shift + run->block * block : NULL;
  const float *residual = e && e->residual ? e->residual + at : NULL;

  if (work->b)
    work->kernels->multiply (n, work->x + at, work->b + (work->b_per_channel ? run->plane * work->b_plane : at),
                             work->b_per_channel, scale, shift, residual, e, work->y + at);
  else
    work->kernels->affine (n, work->x + at, scale, shift, residual, e, work->y + at);
  ht_blocked_apply_next (e, n, run->block * block, work->y + at);
}

static void
run_runs (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;

  for (gsize item = begin; item < end; item++)
    {
      HtPlaneRun run = ht_planes_get_run (&work->planes, item);
      gsize first = run.plane * work->planes.positions;
      gsize most = work->e && work->e->next ? STAGE_RUN : run.end - run.begin;
      for (gsize position = run.begin; position < run.end; position += most)
        run_positions (work, &run, (first + position) * work->block, MIN (most, run.end - position));
    }
}

void
ht_blocked_affine (gsize batch, gsize channels, gsize positions, const float *x, const HtEpilogue *e, float *y)
{
  Work work = work_new (batch, channels, positions);
  work.x = x;
  work.e = e;
  work.y = y;
  ht_planes_for (&work.planes, run_runs, &work);
}

void
ht_blocked_affine_of_codes (gsize batch, gsize channels, gsize positions, const float *codes, float unit,
                            const HtEpilogue *e, float *y)
{
  Work work = work_new (batch, channels, positions);
  float units[16] __attribute__ ((aligned (64)));

  for (gsize lane = 0; lane < work.block; lane++)
    units[lane] = unit;
  work.x = codes;
  work.b = units;
  work.b_per_channel = TRUE;
  work.e = e;
  work.y = y;
  ht_planes_for (&work.planes, run_runs, &work);
}

void
ht_blocked_multiply (gsize batch, gsize channels, gsize positions, const float *a, const float *b,
                     gboolean b_per_channel, const HtEpilogue *e, float *y)
{
  Work work = work_new (batch, channels, positions);
  work.x = a;
  work.b = b;
  work.b_per_channel = b_per_channel;
  work.b_plane = work.block;
  work.e = e;
  work.y = y;
  ht_planes_for (&work.planes, run_runs, &work);
}

/* For block `block_index` of y; x is where the image's first block is, planes lie `plane` floats apart. */
static void
lane_source (gsize channels, gsize first, gsize block_index, gsize block, const float *x, gsize plane,
             HtLaneSource *source)
{
  gsize blocks = (channels + block - 1) / block, begin = block_index * block, end = first + channels;

  *source = (HtLaneSource){ .shift = first % block };
  if (begin + block <= first || begin >= end)
    return;
  source->first_lane = first > begin ? first - begin : 0;
  source->end_lane = MIN (end - begin, block);
  /* The block of x whose lanes move up into this one, and the one before it. */
  gssize high = (gssize)block_index - (gssize)(first / block);
  if (high >= 0 && (gsize)high < blocks)
    source->high = x + (gsize)high * plane;
  if (high >= 1 && source->shift > 0)
    source->low = x + (gsize)(high - 1) * plane;
}

/* Items are rows (the innermost axis) of the blocks of y that are touched. */
typedef struct
{
  const HtBlockedElementwiseKernels *kernels;
  HtBlockedSlice slice;
  gsize block, x_blocks, y_blocks, begin_block, n_blocks;
  gsize in_positions, out_positions;
  gboolean keep;
  const float *x;
  float unit;         /* that x holds multiples of; 0: values */
  const HtGrid *grid; /* NULL: none */
  float *y;
} Gather;

/* As gather_lanes() does, with arithmetic on what is gathered: lanes that stay shall not see it. */
static void
quantize_lanes (const Gather *work, HtLaneSource source, const float *x_end, float *y)
{
  const HtBlockedElementwiseKernels *kernels = work->kernels;
  HtEpilogue e = { .grid = work->grid };
  float units[16] __attribute__ ((aligned (64))), buffer[STAGE_RUN * 16] __attribute__ ((aligned (64)));
  gsize block = work->block, n_positions = work->slice.out[2];
  HtLaneSource stay = source;
  gboolean whole = source.shift == 0 && source.first_lane == 0 && source.end_lane == block && source.high;

  for (gsize lane = 0; lane < block; lane++)
    units[lane] = work->unit;
  source.keep_end = 0;
  stay.shift = 0;
  stay.low = NULL;
  stay.high = buffer;
  for (gsize position = 0; position < n_positions; position += STAGE_RUN, y += STAGE_RUN * block)
    {
      gsize n = MIN (STAGE_RUN, n_positions - position);
      const float *from = whole ? source.high : buffer;
      float *to = whole ? y : buffer;
      if (!whole)
        kernels->gather_lanes (n, &source, 1, work->x, x_end, 1, buffer);
      if (work->unit != 0.0f)
        kernels->multiply (n, from, units, TRUE, NULL, NULL, NULL, &e, to);
      else
        kernels->affine (n, from, NULL, NULL, NULL, &e, to);
      if (!whole)
        kernels->gather_lanes (n, &stay, 1, NULL, NULL, 1, y);
      source.low += source.low ? STAGE_RUN * block : 0;
      source.high += source.high ? STAGE_RUN * block : 0;
    }
}

static void
run_gather (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Gather *work = user_data;
  const HtBlockedSlice *slice = &work->slice;
  gsize block = work->block, rows = slice->out[0] * slice->out[1];
  const float *x_end = work->x + slice->batch * work->x_blocks * work->in_positions * block;

  for (gsize item = begin; item < end; item++)
    {
      gsize row = item % rows, index = item / rows % work->n_blocks + work->begin_block;
      gsize image = item / rows / work->n_blocks, d = row / slice->out[1], h = row % slice->out[1];
      gsize at = ((slice->start[0] + d * slice->step[0]) * slice->in[1] + slice->start[1] + h * slice->step[1])
                     * slice->in[2]
                 + slice->start[2];
      HtLaneSource source;
      lane_source (slice->channels, slice->first, index, block,
                   work->x + (image * work->x_blocks * work->in_positions + at) * block, work->in_positions * block,
                   &source);
      if (work->keep)
        source.keep_end = MIN (slice->y_channels - index * block, block);
      float *y = work->y + ((image * work->y_blocks + index) * work->out_positions + row * slice->out[2]) * block;
      if (work->unit != 0.0f || work->grid)
        quantize_lanes (work, source, x_end, y);
      else
        work->kernels->gather_lanes (slice->out[2], &source, slice->step[2], work->x, x_end, 1, y);
    }
}

static void
gather (const HtBlockedSlice *slice, gboolean keep, const float *x, float unit, const HtGrid *grid, float *y)
{
  gsize block = ht_isa_get_block ();
  Gather work = { .kernels = HT_ISA_PICK (ht_blocked_elementwise_kernels),
                  .slice = *slice,
                  .block = block,
                  .x_blocks = (slice->channels + block - 1) / block,
                  .y_blocks = (slice->y_channels + block - 1) / block,
                  .in_positions = ht_conv_volume (slice->in),
                  .out_positions = ht_conv_volume (slice->out),
                  .keep = keep,
                  .x = x,
                  .unit = unit,
                  .grid = grid,
                  .y = y };

  if (slice->channels == 0 && keep)
    return;
  work.begin_block = keep ? slice->first / block : 0;
  work.n_blocks = (keep ? (slice->first + slice->channels + block - 1) / block : work.y_blocks) - work.begin_block;
  ht_parallel_for (slice->batch * work.n_blocks * slice->out[0] * slice->out[1],
                   MAX (HT_KERNEL_GRAIN / MAX (slice->out[2] * block, 1), 1), run_gather, &work);
}

void
ht_blocked_slice (const HtBlockedSlice *slice, const float *x, float *y)
{
  gather (slice, FALSE, x, 0.0f, NULL, y);
}

static HtBlockedSlice
whole_positions (gsize batch, gsize channels, gsize positions, gsize first, gsize y_channels)
{
  return (HtBlockedSlice){ .batch = batch,
                           .channels = channels,
                           .first = first,
                           .y_channels = y_channels,
                           .in = { 1, 1, positions },
                           .out = { 1, 1, positions },
                           .step = { 1, 1, 1 } };
}

void
ht_blocked_copy_channels (gsize batch, gsize channels, gsize positions, const float *x, gsize first, gsize y_channels,
                          float *y)
{
  ht_blocked_quantize_channels (batch, channels, positions, x, 0.0f, NULL, first, y_channels, y);
}

void
ht_blocked_quantize_channels (gsize batch, gsize channels, gsize positions, const float *x, float unit,
                              const HtGrid *grid, gsize first, gsize y_channels, float *y)
{
  HtBlockedSlice slice = whole_positions (batch, channels, positions, first, y_channels);
  gather (&slice, TRUE, x, unit, grid, y);
}

/* What block `block_index` of a tensor of `channels` channels takes from those of dy from `first` on. */
static void
take_source (const HtBlockedSlice *slice, gsize block_index, gsize block, const float *dy, gsize plane,
             HtLaneSource *source)
{
  gsize rest = slice->first % block, from = slice->first / block + block_index;
  gsize y_blocks = (slice->y_channels + block - 1) / block;
  const float *here = dy + from * plane;

  *source = (HtLaneSource){ .end_lane = MIN (slice->channels - block_index * block, block) };
  if (rest == 0)
    source->high = here;
  else
    {
      source->shift = block - rest;
      source->low = here;
      source->high = from + 1 < y_blocks ? here + plane : NULL;
    }
}

/* Where on an axis of a slice the input position `at` goes; FALSE: nowhere. */
static gboolean
is_taken (const HtBlockedSlice *slice, int axis, gsize at, gsize *out)
{
  if (at < slice->start[axis] || (at - slice->start[axis]) % slice->step[axis] != 0)
    return FALSE;
  *out = (at - slice->start[axis]) / slice->step[axis];
  return *out < slice->out[axis];
}

/* Items are rows of dx; x is dy here, and y is dx. */
static void
run_take (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Gather *work = user_data;
  const HtBlockedSlice *slice = &work->slice;
  gsize block = work->block, rows = slice->in[0] * slice->in[1], row_floats = slice->in[2] * block;
  const float *x_end = work->x + slice->batch * work->y_blocks * work->out_positions * block;

  for (gsize item = begin; item < end; item++)
    {
      gsize row = item % rows, index = item / rows % work->x_blocks, image = item / rows / work->x_blocks, d, h;
      float *dx = work->y + item * row_floats;
      gboolean taken = is_taken (slice, 0, row / slice->in[1], &d) && is_taken (slice, 1, row % slice->in[1], &h);
      if (!taken || slice->out[2] < slice->in[2])
        memset (dx, 0, row_floats * sizeof (float));
      if (!taken)
        continue;
      gsize at = (image * work->y_blocks * work->out_positions + (d * slice->out[1] + h) * slice->out[2]) * block;
      HtLaneSource source;
      take_source (slice, index, block, work->x + at, work->out_positions * block, &source);
      work->kernels->gather_lanes (slice->out[2], &source, 1, work->x, x_end, slice->step[2],
                                   dx + slice->start[2] * block);
    }
}

void
ht_blocked_slice_backward (const HtBlockedSlice *slice, const float *dy, float *dx)
{
  gsize block = ht_isa_get_block ();
  Gather work = { .kernels = HT_ISA_PICK (ht_blocked_elementwise_kernels),
                  .slice = *slice,
                  .block = block,
                  .x_blocks = (slice->channels + block - 1) / block,
                  .y_blocks = (slice->y_channels + block - 1) / block,
                  .out_positions = ht_conv_volume (slice->out),
                  .x = dy,
                  .y = dx };
  ht_parallel_for (slice->batch * work.x_blocks * slice->in[0] * slice->in[1],
                   MAX (HT_KERNEL_GRAIN / MAX (slice->in[2] * block, 1), 1), run_take, &work);
}

void
ht_blocked_take_channels (gsize batch, gsize channels, gsize positions, const float *dy, gsize first, gsize y_channels,
                          float *dx)
{
  HtBlockedSlice slice = whole_positions (batch, channels, positions, first, y_channels);
  ht_blocked_slice_backward (&slice, dy, dx);
}

typedef struct
{
  const HtBlockedElementwiseKernels *kernels;
  gsize block, in[2], factor[2];
  const float *x;
  float *y;
} Upsample;

/* Items are rows of x. */
static void
run_upsample (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Upsample *work = user_data;
  gsize row = work->in[1] * work->block, wide = row * work->factor[1];

  for (gsize item = begin; item < end; item++)
    {
      float *y = work->y + item * work->factor[0] * wide;
      work->kernels->repeat (work->in[1], work->factor[1], work->x + item * row, y);
      for (gsize i = 1; i < work->factor[0]; i++)
        memcpy (y + i * wide, y, wide * sizeof (float));
    }
}

void
ht_blocked_upsample_nearest (gsize batch, gsize channels, const gsize in[2], const gsize factor[2], const float *x,
                             float *y)
{
  gsize block = ht_isa_get_block ();
  Upsample work = { .kernels = HT_ISA_PICK (ht_blocked_elementwise_kernels),
                    .block = block,
                    .in = { in[0], in[1] },
                    .factor = { factor[0], factor[1] },
                    .x = x,
                    .y = y };
  gsize n_floats = MAX (in[1] * factor[0] * factor[1] * block, 1);
  ht_parallel_for (batch * ((channels + block - 1) / block) * in[0], MAX (HT_KERNEL_GRAIN / n_floats, 1), run_upsample,
                   &work);
}
