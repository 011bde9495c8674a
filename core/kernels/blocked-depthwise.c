/* SPDX-License-Identifier: MIT */
#include "kernels/blocked-depthwise.h"
#include "kernels/blocked-elementwise.h"

#include "base/thread-pool.h"
#include "kernels/vectorize.h"

#include <string.h>

static gsize
count_blocks (const HtConvGeometry *g)
{
  gsize block = ht_isa_get_block ();
  return (g->in_channels + block - 1) / block;
}

gsize
ht_blocked_depthwise_packed_floats (const HtConvGeometry *g)
{
  return count_blocks (g) * ht_conv_volume (g->kernel) * ht_isa_get_block ();
}

void
ht_blocked_depthwise_pack (const HtConvGeometry *g, const HtWeightOrder *order, float *packed)
{
  gsize block = ht_isa_get_block (), n_taps = ht_conv_volume (g->kernel);

  memset (packed, 0, ht_blocked_depthwise_packed_floats (g) * sizeof (float));
  for (gsize channel = 0; channel < g->in_channels; channel++)
    for (gsize tap = 0; tap < n_taps; tap++)
      packed[(channel / block * n_taps + tap) * block + channel % block]
          = order->w[channel * order->group_step + (order->taps ? order->taps[tap] : tap)];
}

typedef struct
{
  const HtConvGeometry *g;
  const HtBlockedDepthwiseKernels *kernels;
  const float *x, *packed;
  const HtEpilogue *e;
  float *y;
  gsize block, n_blocks, rows, n_pieces; /* rows of an item, and the items of one block */
} Work;

static void
run_items (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  const HtConvGeometry *g = work->g;
  const HtEpilogue *e = work->e;
  gsize in = ht_conv_volume (g->in) * work->block, out = ht_conv_volume (g->out) * work->block;

  for (gsize item = begin; item < end; item++)
    {
      gsize plane = item / work->n_pieces, channel = plane % work->n_blocks * work->block;
      gsize row = item % work->n_pieces * work->rows, n_rows = g->out[0] * g->out[1];
      HtDepthwiseBlock b = {
        .x = work->x + plane * in,
        .w = work->packed + channel * ht_conv_volume (g->kernel),
        .y = work->y + plane * out,
        .scale = e && e->scale ? e->scale + channel : NULL,
        .shift = e && e->shift ? e->shift + channel : NULL,
        .residual = e && e->residual ? e->residual + plane * out : NULL,
        .e = e,
      };
      if (row >= n_rows)
        continue;
      gsize end_row = MIN (row + work->rows, n_rows);
      work->kernels->run (g, &b, row, end_row);
      ht_blocked_apply_next (e, (end_row - row) * g->out[2], channel, b.y + row * g->out[2] * work->block);
    }
}

void
ht_blocked_depthwise (const HtConvGeometry *g, const float *x, const float *packed, const HtEpilogue *e, float *y)
{
  Work work = { g, HT_ISA_PICK (ht_blocked_depthwise_kernels), x, packed, e, y, ht_isa_get_block (), count_blocks (g) };
  gsize n_rows = g->out[0] * g->out[1], row_work = g->out[2] * work.block * ht_conv_volume (g->kernel);

  if (g->batch == 0 || n_rows == 0 || g->out[2] == 0)
    return;
  /* Large images are cut between rows; small ones come several in a chunk. */
  work.rows = CLAMP (8 * HT_KERNEL_GRAIN / MAX (row_work, 1), 1, n_rows);
  work.n_pieces = (n_rows + work.rows - 1) / work.rows;
  work.rows = (n_rows + work.n_pieces - 1) / work.n_pieces;
  gsize grain = MAX (4 * HT_KERNEL_GRAIN / MAX (work.rows * row_work, 1), 1);
  ht_parallel_for (g->batch * work.n_blocks * work.n_pieces, grain, run_items, &work);
}
