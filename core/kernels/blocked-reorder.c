/* SPDX-License-Identifier: MIT */
#include "kernels/blocked-reorder.h"

#include "base/thread-pool.h"
#include "kernels/vectorize.h"

typedef struct
{
  void (*run) (gsize channels, gsize positions, gsize begin, gsize end, const float *x, float *y, const HtEpilogue *e);
  gsize channels, positions, blocks, plain_image, blocked_image;
  gboolean from_plain;
  const float *x;
  float *y;
  const HtEpilogue *e;
} Work;

/* Items are blocks of all images. */
static void
run_blocks (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;

  for (gsize item = begin; item < end; item++)
    {
      gsize image = item / work->blocks, block = item % work->blocks;
      gsize from = image * (work->from_plain ? work->plain_image : work->blocked_image);
      gsize to = image * (work->from_plain ? work->blocked_image : work->plain_image);
      work->run (work->channels, work->positions, block, block + 1, work->x + from, work->y + to, work->e);
    }
}

static void
reorder (Work *work, gsize batch, gsize channels, gsize positions)
{
  gsize block = ht_isa_get_block ();

  work->channels = channels;
  work->positions = positions;
  work->blocks = (channels + block - 1) / block;
  work->plain_image = channels * positions;
  work->blocked_image = work->blocks * block * positions;
  ht_parallel_for (batch * work->blocks, MAX (HT_KERNEL_GRAIN / MAX (block * positions, 1), 1), run_blocks, work);
}

void
ht_blocked_from_plain (gsize batch, gsize channels, gsize positions, const float *x, float *y, const HtEpilogue *e)
{
  Work work
      = { .run = HT_ISA_PICK (ht_blocked_reorder_kernels)->from_plain, .from_plain = TRUE, .x = x, .y = y, .e = e };
  reorder (&work, batch, channels, positions);
}

void
ht_blocked_to_plain (gsize batch, gsize channels, gsize positions, const float *x, float *y, const HtEpilogue *e)
{
  Work work = { .run = HT_ISA_PICK (ht_blocked_reorder_kernels)->to_plain, .x = x, .y = y, .e = e };
  reorder (&work, batch, channels, positions);
}
