/* SPDX-License-Identifier: MIT */
/* Fake quantization as tasks: forward, and straight through with clipping backward. */
#include "exec/executor-private.h"
#include "exec/gradient-kinds.h"

#include "base/thread-pool.h"

#include <math.h>

#define PIECE ((gsize)16384)

/* How a tensor looks to its grids. */
typedef struct
{
  gsize outer, channels, inner;
} Cut;

static Cut
cut (HtEncoding *encoding, const gint64 *dims, guint n_dims)
{
  Cut cut = { 1, 1, 1 };
  gsize n_grids;
  ht_encoding_get_scales (encoding, &n_grids);
  gint axis = n_grids > 1 ? ht_encoding_get_axis (encoding) : -1;

  for (guint i = 0; i < n_dims; i++)
    if ((gint)i == axis)
      cut.channels = (gsize)dims[i];
    else if ((gint)i < axis)
      cut.outer *= (gsize)dims[i];
    else
      cut.inner *= (gsize)dims[i];
  return cut;
}

static HtEncoding *
find_encoding (HtGradientRun *run, const HtGradientTask *task, const char **name)
{
  *name = ht_gradient_plan_buffer (run->plan, task->slots[0].buffer)->name;
  return g_hash_table_lookup (run->encodings, *name);
}

static gboolean
run_quantize (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  const char *name;
  HtEncoding *encoding = find_encoding (run, task, &name);
  return ht_exec_fake_quantize (name, encoding, ht_gradient_run_tensor (run, task, 0),
                                ht_gradient_run_data (run, task, 1), error);
}

const HtGradientKind ht_gradient_quantize_kind = { "quantize", run_quantize };

/* Rows of `inner` elements; those of one channel are cut into pieces whose sums are added in order. */
typedef struct
{
  Cut cut;
  gsize pieces; /* of a row */
  const float *scales, *offsets;
  float n_steps;
  const float *x, *dy;
  float *dx;
  double *sums; /* two for each piece */
} Backward;

static void
backward_pieces (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Backward *work = user_data;
  for (gsize item = begin; item < end; item++)
    {
      gsize row = item / work->pieces, channel = row % work->cut.channels;
      gsize from = item % work->pieces * PIECE, n = MIN (work->cut.inner - from, PIECE);
      const float *x = work->x + row * work->cut.inner + from, *dy = work->dy + row * work->cut.inner + from;
      float *dx = work->dx ? work->dx + row * work->cut.inner + from : NULL;
      float scale = work->scales[channel], low = work->offsets[channel], high = low + work->n_steps;
      double by_scale = 0.0, by_offset = 0.0;
      for (gsize i = 0; i < n; i++)
        {
          float t = x[i] / scale, r = rintf (t), g = dy[i];
          gboolean on_grid = r >= low && r <= high;
          by_scale += (double)(g * (on_grid ? r - t : r > high ? high : low));
          by_offset += on_grid ? 0.0 : (double)(g * scale);
          if (dx)
            dx[i] = on_grid ? g : 0.0f;
        }
      work->sums[2 * item] = by_scale;
      work->sums[2 * item + 1] = by_offset;
    }
}

static gsize
count_pieces (const Cut *cut)
{
  return MAX ((cut->inner + PIECE - 1) / PIECE, 1);
}

gsize
ht_gradient_quantize_backward_workspace (HtEncoding *encoding, const HtGradientBuffer *buffer)
{
  Cut c = cut (encoding, buffer->dims, buffer->n_dims);
  return 2 * c.outer * c.channels * count_pieces (&c) * sizeof (double);
}

static void
add_pieces (const Backward *work, gsize part, float *gradient)
{
  if (gradient == NULL)
    return;
  for (gsize c = 0; c < work->cut.channels; c++)
    {
      double sum = 0.0;
      for (gsize o = 0; o < work->cut.outer; o++)
        for (gsize p = 0; p < work->pieces; p++)
          sum += work->sums[2 * ((o * work->cut.channels + c) * work->pieces + p) + part];
      gradient[c] = (float)sum;
    }
}

static gboolean
run_quantize_backward (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  const char *name;
  HtEncoding *encoding = find_encoding (run, task, &name);
  gsize n_grids;
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (ht_gradient_run_tensor (run, task, 0), &n_dims);
  const double *scales = ht_encoding_get_scales (encoding, &n_grids);
  const gint64 *offsets = ht_encoding_get_offsets (encoding, NULL);
  g_autofree float *grid = g_new (float, 2 * n_grids);

  for (gsize i = 0; i < n_grids; i++)
    {
      grid[i] = (float)scales[i];
      grid[n_grids + i] = (float)offsets[i];
    }
  Backward work = { .cut = cut (encoding, dims, n_dims),
                    .scales = grid,
                    .offsets = grid + n_grids,
                    .n_steps = (float)ht_encoding_get_n_steps (encoding),
                    .x = ht_gradient_run_data (run, task, 0),
                    .dy = ht_gradient_run_data (run, task, 1),
                    .dx = ht_gradient_run_data (run, task, 2),
                    .sums = ht_gradient_run_workspace (run, task) };
  work.pieces = count_pieces (&work.cut);
  ht_parallel_for (work.cut.outer * work.cut.channels * work.pieces, 1, backward_pieces, &work);
  add_pieces (&work, 0, ht_gradient_run_data (run, task, 3));
  add_pieces (&work, 1, ht_gradient_run_data (run, task, 4));
  return TRUE;
}

const HtGradientKind ht_gradient_quantize_backward_kind = { "quantize-backward", run_quantize_backward };
