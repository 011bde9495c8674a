/* SPDX-License-Identifier: MIT */
/* Quantizers are not nodes: here they are applied to tensors. */
#include "exec/executor-private.h"
#include "kernels/blocked.h"
#include "kernels/fake-quantize.h"

#include <halftone/error.h>

static gboolean
check_target (const char *name, HtEncoding *encoding, HtTensor *tensor, gsize n_grids, GError **error)
{
  g_autofree char *found = ht_tensor_describe (tensor);
  gint axis = ht_encoding_get_axis (encoding);

  if (ht_tensor_get_data_type (tensor) != HT_DATA_TYPE_FLOAT)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_DATA_TYPE,
                   "quantizing tensor '%s': found %s, expected 32-bit floating point; remove its encoding", name,
                   found);
      return FALSE;
    }
  if (n_grids == 1)
    return TRUE;
  if (axis >= 0 && (guint)axis < ht_tensor_get_n_dims (tensor)
      && (gsize)ht_tensor_get_dim (tensor, (guint)axis) == n_grids)
    return TRUE;
  g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
               "quantizing tensor '%s': its encoding has %" G_GSIZE_FORMAT
               " grids along axis %d, but the tensor is %s; give one grid for each channel",
               name, n_grids, axis, found);
  return FALSE;
}

gboolean
ht_exec_fake_quantize (const char *name, HtEncoding *encoding, HtTensor *tensor, float *y, GError **error)
{
  gsize n_grids, n_offsets, outer = 1, inner = 1;
  const double *scales = ht_encoding_get_scales (encoding, &n_grids);
  const gint64 *offsets = ht_encoding_get_offsets (encoding, &n_offsets);
  float n_steps = (float)ht_encoding_get_n_steps (encoding);
  guint n_dims;

  if (!check_target (name, encoding, tensor, n_grids, error))
    return FALSE;
  const float *x = ht_tensor_get_data (tensor);
  gsize n_elements = ht_tensor_get_n_elements (tensor);
  if (n_grids == 1 && ht_encoding_get_bits (encoding) <= 16)
    {
      ht_kernel_fake_quantize (x, y, n_elements, (float)scales[0], (float)offsets[0], n_steps);
      return TRUE;
    }
  const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);
  guint axis = n_grids > 1 ? (guint)ht_encoding_get_axis (encoding) : 0;
  for (guint i = 0; i < axis; i++)
    outer *= (gsize)dims[i];
  for (guint i = axis + 1; i < n_dims; i++)
    inner *= (gsize)dims[i];
  if (n_grids == 1)
    inner = n_elements;
  g_autofree float *grid = g_new (float, 2 * n_grids);
  for (gsize i = 0; i < n_grids; i++)
    {
      grid[i] = (float)scales[i];
      grid[n_grids + i] = (float)offsets[i];
    }
  if (ht_encoding_get_bits (encoding) > 16)
    ht_kernel_fake_quantize_wide (x, y, outer, n_grids, inner, grid, offsets,
                                  (double)ht_encoding_get_n_steps (encoding));
  else
    ht_kernel_fake_quantize_channels (x, y, outer, n_grids, inner, grid, grid + n_grids, n_steps);
  return TRUE;
}

gboolean
ht_exec_can_fuse_grid (HtEncoding *encoding)
{
  gsize n_grids;
  ht_encoding_get_scales (encoding, &n_grids);
  return n_grids == 1 && (double)ht_encoding_get_n_steps (encoding) <= HT_GRID_MAX_STEPS;
}

HtGrid
ht_exec_read_grid (HtEncoding *encoding)
{
  gsize n;
  return (HtGrid){ .scale = (float)ht_encoding_get_scales (encoding, &n)[0],
                   .offset = (float)ht_encoding_get_offsets (encoding, &n)[0],
                   .n_steps = (float)ht_encoding_get_n_steps (encoding) };
}

void
ht_exec_fake_quantize_floats (HtEncoding *encoding, float *values, gsize n)
{
  gsize n_grids;
  const double *scales = ht_encoding_get_scales (encoding, &n_grids);
  const gint64 *offsets = ht_encoding_get_offsets (encoding, &n_grids);

  ht_kernel_fake_quantize (values, values, n, (float)scales[0], (float)offsets[0],
                           (float)ht_encoding_get_n_steps (encoding));
}

HtTensor *
ht_executor_get_quantized_constant (HtExecutor *self, const char *name, HtTensor *constant, GError **error)
{
  HtEncoding *encoding = g_hash_table_lookup (self->encodings, name);
  guint n_dims;

  if (encoding == NULL)
    return constant;
  HtTensor *cached = g_hash_table_lookup (self->quantized, name);
  if (cached)
    return cached;
  const gint64 *dims = ht_tensor_get_dims (constant, &n_dims);
  g_autoptr (HtTensor) made = ht_tensor_new (ht_tensor_get_data_type (constant), dims, n_dims, error);
  if (made == NULL || !ht_exec_fake_quantize (name, encoding, constant, ht_tensor_get_writable_data (made), error))
    return NULL;
  cached = g_steal_pointer (&made);
  g_hash_table_replace (self->quantized, g_strdup (name), cached);
  return cached;
}
