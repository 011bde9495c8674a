/* SPDX-License-Identifier: MIT */
/* Quantizers are not nodes: here they are applied to tensors. */
#include "exec/executor-private.h"
#include "kernels/blocked.h"
#include "quant/encoding-private.h"

#include <halftone/error.h>

static gboolean
check_target (const char *name, HtEncoding *encoding, HtTensor *tensor, GError **error)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);
  g_autofree char *found = NULL, *expected = NULL;

  if (ht_tensor_get_data_type (tensor) == HT_DATA_TYPE_FLOAT && ht_encoding_fits (encoding, dims, n_dims))
    return TRUE;
  found = ht_tensor_describe (tensor);
  if (ht_tensor_get_data_type (tensor) != HT_DATA_TYPE_FLOAT)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_DATA_TYPE,
                   "quantizing tensor '%s': found %s, expected 32-bit floating point; remove its encoding", name,
                   found);
      return FALSE;
    }
  expected = ht_encoding_to_string (encoding);
  g_set_error (
      error, HT_ERROR, HT_ERROR_SHAPE,
      "quantizing tensor '%s': its encoding is for another shape (%s), but the tensor is %s; give one grid for "
      "each channel",
      name, expected, found);
  return FALSE;
}

gboolean
ht_exec_fake_quantize (const char *name, HtEncoding *encoding, HtTensor *tensor, float *y, GError **error)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);

  if (!check_target (name, encoding, tensor, error))
    return FALSE;
  ht_encoding_apply (encoding, ht_tensor_get_data (tensor), y, dims, n_dims);
  return TRUE;
}

gboolean
ht_exec_can_fuse_grid (HtEncoding *encoding)
{
  gsize n_grids;
  ht_encoding_get_scales (encoding, &n_grids);
  return n_grids == 1 && ht_encoding_is_integer (encoding) && !encoding->rounds_up
         && (double)ht_encoding_get_n_steps (encoding) <= HT_GRID_MAX_STEPS;
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
  const gint64 dims[] = { (gint64)n };

  ht_encoding_apply (encoding, values, values, dims, 1);
}

HtTensor *
ht_executor_get_quantized_constant (HtExecutor *self, const char *name, HtTensor *constant, GError **error)
{
  HtEncoding *encoding = g_hash_table_lookup (self->encodings, name);
  guint n_dims;

  if (encoding == NULL)
    return constant;
  HtExecKept *kept = g_hash_table_lookup (self->quantized, name);
  if (kept)
    return ht_exec_kept_get (kept);
  g_autofree char *key = g_strconcat (name, "\x1fquantized", NULL);
  kept = ht_exec_store_find (self->store, key, encoding);
  if (kept == NULL)
    {
      const gint64 *dims = ht_tensor_get_dims (constant, &n_dims);
      g_autoptr (HtTensor) made = ht_tensor_new (ht_tensor_get_data_type (constant), dims, n_dims, error);
      if (made == NULL || !ht_exec_fake_quantize (name, encoding, constant, ht_tensor_get_writable_data (made), error))
        return NULL;
      kept = ht_exec_store_keep (self->store, key, encoding, g_steal_pointer (&made), (GDestroyNotify)ht_tensor_unref);
    }
  g_hash_table_replace (self->quantized, g_strdup (name), kept);
  return ht_exec_kept_get (kept);
}
