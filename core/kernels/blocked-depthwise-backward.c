/* SPDX-License-Identifier: MIT */
#include "kernels/blocked-depthwise-backward.h"

#include "base/thread-pool.h"
#include "kernels/vectorize.h"

typedef struct
{
  const HtBlockedDepthwiseBackwardKernels *kernels;
  const HtConvGeometry *g;
  gsize block, blocks;
  const float *dy, *packed;
  float *dx;
} Work;

gboolean
ht_blocked_depthwise_backward_supports (const HtConvGeometry *g)
{
  return g->groups > 1 && g->groups == g->in_channels && g->groups == g->out_channels
         && g->kernel[0] * g->kernel[1] <= HT_DEPTHWISE_BACKWARD_TAPS && g->kernel[2] <= HT_DEPTHWISE_BACKWARD_TAPS;
}

/* Items are rows of dx. */
static void
run_rows (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  const HtConvGeometry *g = work->g;
  gsize rows = g->in[0] * g->in[1];

  for (gsize item = begin; item < end; item++)
    {
      gsize plane = item / rows, row = item % rows;
      work->kernels->row (g, row / g->in[1], row % g->in[1], work->dy + plane * ht_conv_volume (g->out) * work->block,
                          work->packed + plane % work->blocks * ht_conv_volume (g->kernel) * work->block,
                          work->dx + item * g->in[2] * work->block);
    }
}

void
ht_blocked_depthwise_backward (const HtConvGeometry *g, const float *dy, const float *packed, float *dx)
{
  gsize block = ht_isa_get_block (), blocks = (g->in_channels + block - 1) / block;
  Work work = { .kernels = HT_ISA_PICK (ht_blocked_depthwise_backward_kernels),
                .g = g,
                .block = block,
                .blocks = blocks,
                .dy = dy,
                .packed = packed,
                .dx = dx };
  ht_parallel_for (g->batch * blocks * g->in[0] * g->in[1], MAX (HT_KERNEL_GRAIN / MAX (g->in[2] * block, 1), 1),
                   run_rows, &work);
}
