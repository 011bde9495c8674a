/* SPDX-License-Identifier: MIT */
/* How a blocked tensor is cut for kernels that go over it once: planes are the blocks of all images, a plane is cut
 * into runs of at least HT_PLANE_RUN positions (or is one run). */
#pragma once

#include "base/thread-pool.h"
#include "kernels/isa.h"
#include "kernels/vectorize.h"

#define HT_PLANE_RUN ((gsize)512)

typedef struct
{
  gsize n_planes, blocks, positions, n_runs;
} HtPlanes;

/* Positions [begin, end) of a plane, which is block `block` of image `image`. */
typedef struct
{
  gsize plane, image, block, begin, end;
} HtPlaneRun;

static inline HtPlanes
ht_planes (gsize batch, gsize channels, gsize positions)
{
  gsize block = ht_isa_get_block (), blocks = (channels + block - 1) / block;
  return (HtPlanes){ batch * blocks, blocks, positions, MAX (positions / HT_PLANE_RUN, 1) };
}

static inline HtPlaneRun
ht_planes_get_run (const HtPlanes *planes, gsize item)
{
  gsize plane = item / planes->n_runs, run = item % planes->n_runs;
  return (HtPlaneRun){ plane, plane / planes->blocks, plane % planes->blocks, run * HT_PLANE_RUN,
                       run + 1 == planes->n_runs ? planes->positions : (run + 1) * HT_PLANE_RUN };
}

/* Items are the runs of all planes. */
static inline void
ht_planes_for (const HtPlanes *planes, HtParallelFunc func, gpointer user_data)
{
  gsize floats = MAX (MIN (planes->positions, HT_PLANE_RUN) * ht_isa_get_block (), 1);
  ht_parallel_for (planes->n_planes * planes->n_runs, MAX (HT_KERNEL_GRAIN / floats, 1), func, user_data);
}
