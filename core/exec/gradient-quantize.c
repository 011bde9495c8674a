/* SPDX-License-Identifier: MIT */
/* Fake quantization as tasks: forward, and straight through with clipping backward. */
#include "exec/executor-private.h"
#include "exec/gradient-kinds.h"
#include "kernels/blocked-backward.h"
#include "quant/encoding-private.h"

#include <halftone/error.h>

#include <math.h>
#include <string.h>

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

typedef struct
{
  HtEncoding *encoding;
  HtKernelBlocks blocks;
  const float *x, *dy;
  float *dx, *dscales, *doffsets; /* NULL: not wanted */
  gpointer workspace;
} Work;

static gsize
count_inner (const HtKernelBlocks *blocks)
{
  return blocks->middle * blocks->second * blocks->inner;
}

gsize
ht_gradient_quantize_backward_workspace (HtEncoding *encoding, const HtGradientBuffer *buffer)
{
  HtKernelBlocks blocks;
  gsize rows, run;

  /* One that does not fit fails when it is applied. */
  if (!ht_grid_form_cut (&encoding->form, buffer->dims, buffer->n_dims, &blocks))
    return 0;
  if (encoding->form.block_axis < 0)
    return ht_kernel_fake_quantize_backward_workspace (blocks.outer, blocks.first, count_inner (&blocks));
  rows = ht_kernel_fake_quantize_backward_workspace (MIN (blocks.size, blocks.first) * blocks.middle, blocks.second,
                                                     blocks.inner);
  run = ht_kernel_fake_quantize_backward_workspace (1, 1, blocks.size * blocks.inner);
  return blocks.channel_first ? run : rows;
}

static float *
at (float *values, gsize index)
{
  return values ? values + index : NULL;
}

/* A run of one grid. */
static void
run_block (gsize start, gsize n, gsize grid, gpointer user_data)
{
  const Work *work = user_data;
  HtEncoding *encoding = work->encoding;
  float dscale, doffset;

  ht_kernel_fake_quantize_backward (1, 1, n, encoding->narrow + grid, encoding->narrow + encoding->n_grids + grid,
                                    (float)ht_encoding_get_n_steps (encoding), work->x + start, work->dy + start,
                                    at (work->dx, start), &dscale, &doffset, work->workspace);
  if (work->dscales)
    work->dscales[grid] += dscale;
  if (work->doffsets)
    work->doffsets[grid] += doffset;
}

/* A block of rows, in which channels lie side by side. */
static void
run_rows_of_block (const Work *work, gsize start, gsize n_rows, gsize block)
{
  HtEncoding *encoding = work->encoding;
  gsize n = work->blocks.second, n_blocks = encoding->form.n_blocks;
  g_autofree float *grids = g_new (float, 4 * n);

  for (gsize c = 0; c < n; c++)
    {
      grids[c] = encoding->narrow[c * n_blocks + block];
      grids[n + c] = encoding->narrow[encoding->n_grids + c * n_blocks + block];
    }
  ht_kernel_fake_quantize_backward (n_rows, n, work->blocks.inner, grids, grids + n,
                                    (float)ht_encoding_get_n_steps (encoding), work->x + start, work->dy + start,
                                    at (work->dx, start), grids + 2 * n, grids + 3 * n, work->workspace);
  for (gsize c = 0; c < n; c++)
    {
      if (work->dscales)
        work->dscales[c * n_blocks + block] += grids[2 * n + c];
      if (work->doffsets)
        work->doffsets[c * n_blocks + block] += grids[3 * n + c];
    }
}

static void
run_blocks (const Work *work)
{
  const HtKernelBlocks *b = &work->blocks;
  gsize n_grids = work->encoding->n_grids;

  if (work->dscales)
    memset (work->dscales, 0, n_grids * sizeof (float));
  if (work->doffsets)
    memset (work->doffsets, 0, n_grids * sizeof (float));
  if (b->channel_first)
    {
      ht_kernel_blocks_foreach (b, run_block, (gpointer)work);
      return;
    }
  for (gsize i = 0; i < b->outer; i++)
    for (gsize row = 0; row < b->first; row += b->size)
      run_rows_of_block (work, (i * b->first + row) * count_inner (b), MIN (b->size, b->first - row) * b->middle,
                         row / b->size);
}

/* Straight through, but for what saturates. */
static void
run_floats (gsize start, gsize n, gsize grid, gpointer user_data)
{
  const Work *work = user_data;
  float largest = (float)ht_encoding_get_maximum (work->encoding, grid);
  gboolean saturates = work->encoding->form.bits == 8;

  for (gsize i = start; i < start + n; i++)
    work->dx[i] = saturates && fabsf (work->x[i]) > largest ? 0.0f : work->dy[i];
}

static gboolean
run_quantize_backward (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  const char *name;
  HtEncoding *encoding = find_encoding (run, task, &name);
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (ht_gradient_run_tensor (run, task, 0), &n_dims);
  Work work = { .encoding = encoding,
                .x = ht_gradient_run_data (run, task, 0),
                .dy = ht_gradient_run_data (run, task, 1),
                .dx = ht_gradient_run_data (run, task, 2),
                .dscales = ht_gradient_run_data (run, task, 3),
                .doffsets = ht_gradient_run_data (run, task, 4),
                .workspace = ht_gradient_run_workspace (run, task) };

  if (!ht_grid_form_cut (&encoding->form, dims, n_dims, &work.blocks))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
                   "differentiating the quantization of '%s': the encoding does not fit", name);
      return FALSE;
    }
  if (!ht_encoding_is_integer (encoding))
    {
      if (work.dx)
        ht_kernel_blocks_foreach (&work.blocks, run_floats, &work);
    }
  else if (encoding->form.block_axis >= 0)
    {
      run_blocks (&work);
    }
  else
    {
      ht_kernel_fake_quantize_backward (work.blocks.outer, work.blocks.first, count_inner (&work.blocks),
                                        encoding->narrow, encoding->narrow + encoding->n_grids,
                                        (float)ht_encoding_get_n_steps (encoding), work.x, work.dy, work.dx,
                                        work.dscales, work.doffsets, work.workspace);
    }
  return TRUE;
}

const HtGradientKind ht_gradient_quantize_backward_kind = { "quantize-backward", run_quantize_backward };
