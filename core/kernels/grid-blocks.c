/* SPDX-License-Identifier: MIT */
#include "kernels/grid-blocks.h"

#include "base/thread-pool.h"
#include "kernels/fake-quantize.h"
#include "kernels/vectorize.h"

static gsize
count_blocks (const HtKernelBlocks *blocks)
{
  gsize length = blocks->channel_first ? blocks->second : blocks->first;
  return (length + blocks->size - 1) / blocks->size;
}

gsize
ht_kernel_blocks_count_channels (const HtKernelBlocks *blocks)
{
  return blocks->channel_first ? blocks->first : blocks->second;
}

gsize
ht_kernel_blocks_count (const HtKernelBlocks *blocks)
{
  return ht_kernel_blocks_count_channels (blocks) * count_blocks (blocks);
}

/* The runs of one index of [outer, first]. */
static void
walk_slice (const HtKernelBlocks *blocks, gsize slice, HtKernelBlockFunc func, gpointer user_data)
{
  gsize n_blocks = count_blocks (blocks), at = slice % blocks->first;
  gsize start = slice * blocks->middle * blocks->second * blocks->inner;

  for (gsize m = 0; m < blocks->middle; m++)
    if (blocks->channel_first)
      for (gsize block = 0; block < n_blocks; block++)
        {
          gsize n = MIN (blocks->size, blocks->second - block * blocks->size) * blocks->inner;
          func (start, n, at * n_blocks + block, user_data);
          start += n;
        }
    else
      for (gsize channel = 0; channel < blocks->second; channel++, start += blocks->inner)
        func (start, blocks->inner, channel * n_blocks + at / blocks->size, user_data);
}

void
ht_kernel_blocks_foreach (const HtKernelBlocks *blocks, HtKernelBlockFunc func, gpointer user_data)
{
  for (gsize slice = 0; slice < blocks->outer * blocks->first; slice++)
    walk_slice (blocks, slice, func, user_data);
}

typedef struct
{
  const HtKernelBlocks *blocks;
  HtKernelBlockFunc func;
  HtKernelFloat format;
  const float *x;
  float *y;
  gint32 *codes;
  const float *scales, *offsets;
  float n_steps;
  gint32 shift;
} Work;

/* Inside a parallel loop the kernels run in the calling thread. */
static void
fake_quantize_block (gsize start, gsize n, gsize grid, gpointer user_data)
{
  const Work *work = user_data;
  ht_kernel_fake_quantize (work->x + start, work->y + start, n, work->scales[grid], work->offsets[grid], work->n_steps);
}

static void
quantize_block (gsize start, gsize n, gsize grid, gpointer user_data)
{
  const Work *work = user_data;
  ht_kernel_quantize_int32 (work->x + start, work->codes + start, n, work->scales[grid], work->offsets[grid],
                            work->n_steps, work->shift);
}

static void
round_block (gsize start, gsize n, gsize grid, gpointer user_data)
{
  const Work *work = user_data;
  ht_kernel_round_float_run (work->format, work->x + start, work->y + start, n, work->scales[grid]);
}

static void
run_slices (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  for (gsize slice = begin; slice < end; slice++)
    walk_slice (work->blocks, slice, work->func, user_data);
}

/* Channels innermost: rows of grids, which lie channel by channel, are turned to lie side by side. */
static void
run_interleaved (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  const HtKernelBlocks *blocks = work->blocks;
  gsize row = blocks->middle * blocks->second;

  for (gsize slice = begin; slice < end; slice++)
    {
      gsize grids = slice % blocks->first / blocks->size * blocks->second;
      ht_kernel_fake_quantize_channels (work->x + slice * row, work->y + slice * row, blocks->middle, blocks->second, 1,
                                        work->scales + grids, work->offsets + grids, work->n_steps);
    }
}

static float *
turn (const float *grids, gsize n_channels, gsize n_blocks)
{
  float *turned = g_new (float, n_channels *n_blocks);

  for (gsize channel = 0; channel < n_channels; channel++)
    for (gsize block = 0; block < n_blocks; block++)
      turned[block * n_channels + channel] = grids[channel * n_blocks + block];
  return turned;
}

static void
run (Work *work, HtParallelFunc slices)
{
  const HtKernelBlocks *blocks = work->blocks;
  gsize length = blocks->middle * blocks->second * blocks->inner;
  ht_parallel_for (blocks->outer * blocks->first, MAX (1, HT_KERNEL_GRAIN / MAX (length, 1)), slices, work);
}

void
ht_kernel_fake_quantize_blocks (const float *x, float *y, const HtKernelBlocks *blocks, const float *scales,
                                const float *offsets, float n_steps)
{
  Work work = { .blocks = blocks,
                .func = fake_quantize_block,
                .x = x,
                .y = y,
                .scales = scales,
                .offsets = offsets,
                .n_steps = n_steps };
  g_autofree float *turned_scales = NULL, *turned_offsets = NULL;

  if (blocks->channel_first || blocks->inner > 1)
    {
      run (&work, run_slices);
      return;
    }
  work.scales = turned_scales = turn (scales, blocks->second, count_blocks (blocks));
  work.offsets = turned_offsets = turn (offsets, blocks->second, count_blocks (blocks));
  run (&work, run_interleaved);
}

void
ht_kernel_quantize_blocks_int32 (const float *x, gint32 *q, const HtKernelBlocks *blocks, const float *scales,
                                 const float *offsets, float n_steps, gint32 shift)
{
  Work work = { .blocks = blocks,
                .func = quantize_block,
                .x = x,
                .codes = q,
                .scales = scales,
                .offsets = offsets,
                .n_steps = n_steps,
                .shift = shift };
  run (&work, run_slices);
}

void
ht_kernel_round_float_blocks (HtKernelFloat format, const float *x, float *y, const HtKernelBlocks *blocks,
                              const float *scales)
{
  Work work = { .blocks = blocks, .func = round_block, .format = format, .x = x, .y = y, .scales = scales };
  run (&work, run_slices);
}
