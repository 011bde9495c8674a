/* SPDX-License-Identifier: MIT */
/* Fake quantization as tasks: forward, and straight through with clipping backward. */
#include "exec/executor-private.h"
#include "exec/gradient-kinds.h"
#include "kernels/blocked-backward.h"

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

gsize
ht_gradient_quantize_backward_workspace (HtEncoding *encoding, const HtGradientBuffer *buffer)
{
  Cut c = cut (encoding, buffer->dims, buffer->n_dims);
  return ht_kernel_fake_quantize_backward_workspace (c.outer, c.channels, c.inner);
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
  Cut c = cut (encoding, dims, n_dims);

  g_autofree float *grid = g_new (float, 2 * n_grids);
  for (gsize i = 0; i < n_grids; i++)
    {
      grid[i] = (float)scales[i];
      grid[n_grids + i] = (float)offsets[i];
    }
  ht_kernel_fake_quantize_backward (
      c.outer, c.channels, c.inner, grid, grid + n_grids, (float)ht_encoding_get_n_steps (encoding),
      ht_gradient_run_data (run, task, 0), ht_gradient_run_data (run, task, 1), ht_gradient_run_data (run, task, 2),
      ht_gradient_run_data (run, task, 3), ht_gradient_run_data (run, task, 4), ht_gradient_run_workspace (run, task));
  return TRUE;
}

const HtGradientKind ht_gradient_quantize_backward_kind = { "quantize-backward", run_quantize_backward };
