/* SPDX-License-Identifier: MIT */
#include "quant/qdq-storage.h"

#include "quant/encoding-private.h"

#include <halftone/error.h>

static gboolean
refuse (HtEncoding *encoding, const char *why, GError **error)
{
  g_autofree char *text = ht_encoding_to_string (encoding);

  g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "found %s; %s", text, why);
  return FALSE;
}

/* Of the types that QuantizeLinear makes the narrowest. */
static HtDataType
choose_integer (HtEncoding *encoding, gboolean is_constant)
{
  gboolean with_sign = ht_encoding_is_symmetric (encoding) && !ht_encoding_is_unsigned (encoding);
  guint bits = ht_encoding_get_bits (encoding);

  /* Few runtimes have kernels for activations of four bits, and some fail on them: only constants are packed. */
  if (is_constant && bits <= 4)
    return with_sign ? HT_DATA_TYPE_INT4 : HT_DATA_TYPE_UINT4;
  if (bits <= 8)
    return with_sign ? HT_DATA_TYPE_INT8 : HT_DATA_TYPE_UINT8;
  return with_sign ? HT_DATA_TYPE_INT16 : HT_DATA_TYPE_UINT16;
}

gboolean
ht_qdq_choose_storage (HtEncoding *encoding, gboolean is_constant, HtQdqStorage *storage, GError **error)
{
  HtNumberFormat format = ht_encoding_get_format (encoding);
  guint bits = ht_encoding_get_bits (encoding);

  *storage = (HtQdqStorage){ .type = ht_encoding_get_data_type (encoding), .opset = 10 };
  if (!ht_encoding_is_integer (encoding))
    {
      storage->casts = !ht_number_format_has_scale (format);
      storage->opset = format == HT_NUMBER_FORMAT_FLOAT16 ? 10 : format == HT_NUMBER_FORMAT_BFLOAT16 ? 13 : 19;
    }
  else if (bits > 16)
    {
      if (!is_constant)
        return refuse (encoding, "ONNX quantizes activations to at most 16 bits", error);
      if (storage->type != HT_DATA_TYPE_INT32)
        return refuse (encoding, "ONNX dequantizes no unsigned integers of 32 bits", error);
      storage->only_codes = TRUE;
    }
  else
    {
      storage->type = choose_integer (encoding, is_constant);
      storage->clips = bits != ht_data_type_get_bits (storage->type) || ht_encoding_is_strict (encoding);
      if (ht_data_type_get_bits (storage->type) != 8)
        storage->opset = 21;
    }
  if (ht_encoding_get_axis (encoding) >= 0)
    storage->opset = MAX (storage->opset, 13);
  if (ht_encoding_get_block_axis (encoding) >= 0)
    storage->opset = MAX (storage->opset, 21);
  return TRUE;
}

/* One value for each grid, in the shape that ONNX wants. */
typedef struct
{
  HtTensor *tensor;
  HtEncoding *encoding;
  void (*store) (HtTensor *tensor, HtEncoding *encoding, gsize at, gsize grid);
} Spread;

static void
spread_run (gsize start, gsize n, gsize grid, gpointer user_data)
{
  Spread *spread = user_data;

  for (gsize i = start; i < start + n; i++)
    spread->store (spread->tensor, spread->encoding, i, grid);
}

static HtTensor *
spread (HtEncoding *encoding, HtDataType type, const gint64 *dims, guint n_dims,
        void (*store) (HtTensor *tensor, HtEncoding *encoding, gsize at, gsize grid), GError **error)
{
  gint64 shape[HT_TENSOR_MAX_DIMS] = { (gint64)encoding->n_grids };
  gint block_axis = ht_encoding_get_block_axis (encoding);
  g_autoptr (HtTensor) tensor = NULL;
  HtGridForm form = encoding->form;
  HtKernelBlocks blocks;

  if (block_axis < 0)
    {
      tensor = ht_tensor_new (type, shape, ht_encoding_get_axis (encoding) < 0 ? 0 : 1, error);
      for (gsize i = 0; tensor && i < encoding->n_grids; i++)
        store (tensor, encoding, i, i);
      return g_steal_pointer (&tensor);
    }
  for (guint i = 0; i < n_dims; i++)
    shape[i] = (gint)i == block_axis ? (gint64)form.n_blocks : dims[i];
  tensor = ht_tensor_new (type, shape, n_dims, error);
  form.block_size = 1;
  if (!tensor || !ht_grid_form_cut (&form, shape, n_dims, &blocks))
    return NULL;
  {
    Spread values = { tensor, encoding, store };

    ht_kernel_blocks_foreach (&blocks, spread_run, &values);
  }
  return g_steal_pointer (&tensor);
}

static void
store_scale (HtTensor *tensor, HtEncoding *encoding, gsize at, gsize grid)
{
  ((float *)ht_tensor_get_writable_data (tensor))[at] = encoding->narrow[grid];
}

HtTensor *
ht_qdq_make_scales (HtEncoding *encoding, const gint64 *dims, guint n_dims, GError **error)
{
  return spread (encoding, HT_DATA_TYPE_FLOAT, dims, n_dims, store_scale, error);
}

static void
store_zero_point (HtTensor *tensor, HtEncoding *encoding, gsize at, gsize grid)
{
  ((gint32 *)ht_tensor_get_writable_data (tensor))[at] = (gint32)ht_encoding_get_zero_point (encoding, grid);
}

HtTensor *
ht_qdq_make_zero_points (HtEncoding *encoding, const HtQdqStorage *storage, const gint64 *dims, guint n_dims,
                         GError **error)
{
  g_autoptr (HtTensor) integers = spread (encoding, HT_DATA_TYPE_INT32, dims, n_dims, store_zero_point, error);

  return integers ? ht_tensor_cast (integers, storage->type, error) : NULL;
}

HtTensor *
ht_qdq_make_codes (HtEncoding *encoding, const HtQdqStorage *storage, HtTensor *tensor, GError **error)
{
  g_autoptr (HtTensor) codes = ht_encoding_quantize (encoding, tensor, error);

  return codes ? ht_tensor_cast (codes, storage->type, error) : NULL;
}

static void
store_block_scale (HtTensor *tensor, HtEncoding *encoding, gsize at, gsize grid)
{
  ((gint32 *)ht_tensor_get_writable_data (tensor))[at] = (gint32)encoding->block_scales[grid];
}

HtTensor *
ht_qdq_make_block_scales (HtEncoding *encoding, const gint64 *dims, guint n_dims, GError **error)
{
  g_autoptr (HtTensor) integers = spread (encoding, HT_DATA_TYPE_INT32, dims, n_dims, store_block_scale, error);
  /* 2^8 is one of the scales of eight bits. */
  gboolean fits = ht_encoding_get_scale_bits (encoding) < 8;

  return integers ? ht_tensor_cast (integers, fits ? HT_DATA_TYPE_UINT8 : HT_DATA_TYPE_UINT16, error) : NULL;
}

HtTensor *
ht_qdq_make_channel_scales (HtEncoding *encoding, GError **error)
{
  gsize n_channels;
  const double *scales = ht_encoding_get_channel_scales (encoding, &n_channels);
  const gint64 dims[] = { (gint64)n_channels };
  HtTensor *tensor = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims, ht_encoding_get_axis (encoding) < 0 ? 0 : 1, error);

  for (gsize i = 0; tensor && i < n_channels; i++)
    ((float *)ht_tensor_get_writable_data (tensor))[i] = (float)scales[i];
  return tensor;
}
