/* SPDX-License-Identifier: MIT */
/* Sums of pieces of rows first, then in double in the order of the pieces. */
#include "base/thread-pool.h"
#include "kernels/blocked-backward.h"
#include "kernels/reduce.h"
#include "kernels/vectorize.h"

#include <math.h>
#include <string.h>

#define LANES HT_REDUCE_LANES
/* Elements of a row that are summed at a time; where channels are innermost, rows of channels. */
#define PIECE      ((gsize)8192)
#define PIECE_ROWS ((gsize)64)

/* What one element gives: its share of dx, of the gradient of the scale, and of that of the offset. */
#define STRAIGHT_THROUGH(x, dy, scale, offset, n_steps, dx_, dscale_, doffset_)                                        \
  float t_ = (x) / (scale), code_ = rintf (t_), low_ = (offset), high_ = (offset) + (n_steps);                         \
  gboolean inside_ = code_ >= low_ && code_ <= high_;                                                                  \
  float dx_ = inside_ ? (dy) : 0.0f;                                                                                   \
  float dscale_ = (dy) * (inside_ ? code_ - t_ : code_ > high_ ? high_ : low_);                                        \
  float doffset_ = inside_ ? 0.0f : (dy) * (scale)

/* dx NULL: not wanted. */
HT_VECTORIZE static void
sum_piece (gsize n, float scale, float offset, float n_steps, const float *x, const float *dy, float *dx, float *sums)
{
  float scales[LANES] = { 0.0f }, offsets[LANES] = { 0.0f };
  gsize i = 0;

  for (; i + LANES <= n; i += LANES)
    {
      float moved[LANES];
      for (gsize lane = 0; lane < LANES; lane++)
        {
          STRAIGHT_THROUGH (x[i + lane], dy[i + lane], scale, offset, n_steps, d, for_scale, for_offset);
          scales[lane] += for_scale;
          offsets[lane] += for_offset;
          moved[lane] = d;
        }
      if (dx)
        for (gsize lane = 0; lane < LANES; lane++)
          dx[i + lane] = moved[lane];
    }
  for (; i < n; i++)
    {
      STRAIGHT_THROUGH (x[i], dy[i], scale, offset, n_steps, d, for_scale, for_offset);
      scales[0] += for_scale;
      offsets[0] += for_offset;
      if (dx)
        dx[i] = d;
    }
  sums[0] = ht_reduce_tree (scales);
  sums[1] = ht_reduce_tree (offsets);
}

HT_VECTORIZE static void
sum_interleaved (gsize channels, const float *scales, const float *offsets, float n_steps, const float *x,
                 const float *dy, float *dx, float *scale_sums, float *offset_sums)
{
  for (gsize c = 0; c < channels; c++)
    {
      STRAIGHT_THROUGH (x[c], dy[c], scales[c], offsets[c], n_steps, d, for_scale, for_offset);
      scale_sums[c] += for_scale;
      offset_sums[c] += for_offset;
      if (dx)
        dx[c] = d;
    }
}

typedef struct
{
  gsize outer, channels, inner, n_pieces;
  const float *scales, *offsets;
  float n_steps;
  const float *x, *dy;
  float *dx;
  float *sums; /* [row and piece][2], or [piece of rows][2][channels] */
} Work;

/* Items are pieces of rows. */
static void
run_pieces (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;

  for (gsize item = begin; item < end; item++)
    {
      gsize row = item / work->n_pieces, first = item % work->n_pieces * PIECE, at = row * work->inner + first;
      gsize channel = row % work->channels;
      sum_piece (MIN (PIECE, work->inner - first), work->scales[channel], work->offsets[channel], work->n_steps,
                 work->x + at, work->dy + at, work->dx ? work->dx + at : NULL, work->sums + item * 2);
    }
}

/* Items are pieces of several rows of channels. */
static void
run_interleaved (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  gsize channels = work->channels;

  for (gsize item = begin; item < end; item++)
    {
      float *sums = work->sums + item * 2 * channels;
      memset (sums, 0, 2 * channels * sizeof (float));
      for (gsize row = item * PIECE_ROWS; row < MIN ((item + 1) * PIECE_ROWS, work->outer); row++)
        sum_interleaved (channels, work->scales, work->offsets, work->n_steps, work->x + row * channels,
                         work->dy + row * channels, work->dx ? work->dx + row * channels : NULL, sums, sums + channels);
    }
}

/* One channel: rows are one row. */
static Work
work_new (gsize outer, gsize channels, gsize inner)
{
  Work work = { .outer = outer, .channels = channels, .inner = inner };

  if (channels == 1)
    {
      work.inner *= outer;
      work.outer = 1;
    }
  if (channels > 1 && inner == 1)
    work.n_pieces = (outer + PIECE_ROWS - 1) / PIECE_ROWS;
  else
    work.n_pieces = (work.inner + PIECE - 1) / PIECE;
  return work;
}

static gboolean
is_interleaved (const Work *work)
{
  return work->channels > 1 && work->inner == 1;
}

gsize
ht_kernel_fake_quantize_backward_workspace (gsize outer, gsize channels, gsize inner)
{
  Work work = work_new (outer, channels, inner);
  return (is_interleaved (&work) ? 1 : work.outer) * channels * work.n_pieces * 2 * sizeof (float);
}

static void
combine (const Work *work, gsize which, float *result)
{
  for (gsize c = 0; result && c < work->channels; c++)
    {
      double sum = 0.0;
      if (is_interleaved (work))
        for (gsize piece = 0; piece < work->n_pieces; piece++)
          sum += (double)work->sums[(piece * 2 + which) * work->channels + c];
      else
        for (gsize row = c; row < work->outer * work->channels; row += work->channels)
          for (gsize piece = 0; piece < work->n_pieces; piece++)
            sum += (double)work->sums[(row * work->n_pieces + piece) * 2 + which];
      result[c] = (float)sum;
    }
}

void
ht_kernel_fake_quantize_backward (gsize outer, gsize channels, gsize inner, const float *scales, const float *offsets,
                                  float n_steps, const float *x, const float *dy, float *dx, float *dscales,
                                  float *doffsets, gpointer workspace)
{
  Work work = work_new (outer, channels, inner);

  work.scales = scales;
  work.offsets = offsets;
  work.n_steps = n_steps;
  work.x = x;
  work.dy = dy;
  work.dx = dx;
  work.sums = workspace;
  if (is_interleaved (&work))
    ht_parallel_for (work.n_pieces, MAX (HT_KERNEL_GRAIN / (PIECE_ROWS * channels), 1), run_interleaved, &work);
  else if (work.n_pieces > 0)
    ht_parallel_for (work.outer * channels * work.n_pieces, MAX (HT_KERNEL_GRAIN / MIN (PIECE, work.inner), 1),
                     run_pieces, &work);
  combine (&work, 0, dscales);
  combine (&work, 1, doffsets);
}
