/* SPDX-License-Identifier: MIT */
/* Puts tensors on the grid of an encoding: as floats (fake quantization) and as the integers that files hold. */
#include <halftone/encoding.h>
#include <halftone/error.h>

#include "kernels/fake-quantize.h"

#include <math.h>

/* A tensor seen as [outer, channels, inner], the middle one being the axis that has a grid an index. */
typedef struct
{
  gsize outer;
  gsize channels;
  gsize inner;
} Blocks;

static gboolean
cut_into_blocks (HtEncoding *self, HtTensor *tensor, Blocks *blocks, GError **error)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);
  gint axis = ht_encoding_get_axis (self);
  gsize n_grids;

  ht_encoding_get_scales (self, &n_grids);
  if (ht_tensor_get_data_type (tensor) != HT_DATA_TYPE_FLOAT)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_DATA_TYPE, "quantizing a tensor: found elements of type %s; expected %s",
                   ht_data_type_get_name (ht_tensor_get_data_type (tensor)),
                   ht_data_type_get_name (HT_DATA_TYPE_FLOAT));
      return FALSE;
    }
  if (axis >= 0 && ((guint) axis >= n_dims || (gsize) dims[axis] != n_grids))
    {
      g_autofree char *found = ht_tensor_describe (tensor);

      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
                   "quantizing a tensor per channel: found %s; expected %" G_GSIZE_FORMAT " channels along axis %d", found,
                   n_grids, axis);
      return FALSE;
    }
  if (!ht_tensor_is_finite (tensor))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NUMERIC,
                   "quantizing a tensor: found values that are infinite or not a number; expected finite ones");
      return FALSE;
    }
  *blocks = (Blocks) { 1, 1, 1 };
  for (guint i = 0; i < n_dims; i++)
    {
      gsize *part = axis < 0 || (gint) i > axis ? &blocks->inner : (gint) i == axis ? &blocks->channels : &blocks->outer;

      *part *= (gsize) dims[i];
    }
  return TRUE;
}

/* Scales and offsets as the kernels read them. */
static void
narrow_grids (HtEncoding *self, float **scales, float **offsets)
{
  gsize n_grids;
  const double *wide = ht_encoding_get_scales (self, &n_grids);
  const gint64 *integers = ht_encoding_get_offsets (self, NULL);

  *scales = g_new (float, n_grids);
  *offsets = g_new (float, n_grids);
  for (gsize i = 0; i < n_grids; i++)
    {
      (*scales)[i] = (float) wide[i];
      (*offsets)[i] = (float) integers[i];
    }
}

/**
 * ht_encoding_fake_quantize:
 * @self: an encoding
 * @tensor: a float32 tensor
 * @error: return location for an error
 *
 * Rounds each value to the nearest one that the grid holds, halves to the even code, values beyond its ends to the ends.
 *
 * Returns: (transfer full) (nullable): a new float32 tensor of the same shape, or %NULL with @error set
 */
HtTensor *
ht_encoding_fake_quantize (HtEncoding *self, HtTensor *tensor, GError **error)
{
  g_autoptr (HtTensor) result = NULL;
  g_autofree float *scales = NULL, *offsets = NULL;
  Blocks blocks;
  guint n_dims;
  const gint64 *dims;

  g_return_val_if_fail (self != NULL && tensor != NULL, NULL);

  if (!cut_into_blocks (self, tensor, &blocks, error))
    return NULL;
  dims = ht_tensor_get_dims (tensor, &n_dims);
  result = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims, n_dims, error);
  if (!result)
    return NULL;
  narrow_grids (self, &scales, &offsets);
  if (ht_encoding_get_bits (self) > 16)
    ht_kernel_fake_quantize_wide (ht_tensor_get_data (tensor), ht_tensor_get_writable_data (result), blocks.outer,
                                  blocks.channels, blocks.inner, scales, ht_encoding_get_offsets (self, NULL),
                                  (double) ht_encoding_get_n_steps (self));
  else if (ht_encoding_get_axis (self) < 0)
    ht_kernel_fake_quantize (ht_tensor_get_data (tensor), ht_tensor_get_writable_data (result), blocks.inner, scales[0],
                             offsets[0], (float) ht_encoding_get_n_steps (self));
  else
    ht_kernel_fake_quantize_channels (ht_tensor_get_data (tensor), ht_tensor_get_writable_data (result), blocks.outer,
                                      blocks.channels, blocks.inner, scales, offsets,
                                      (float) ht_encoding_get_n_steps (self));
  return g_steal_pointer (&result);
}

static gboolean
is_signed (HtEncoding *self)
{
  gsize n_grids;
  const gint64 *offsets = ht_encoding_get_offsets (self, &n_grids);

  if (!ht_encoding_is_symmetric (self))
    return FALSE;
  for (gsize i = 0; i < n_grids; i++)
    if (offsets[i] != 0)
      return TRUE;
  return FALSE;
}

/* What is taken off a code to get the stored integer: the codes of a signed grid are stored around zero. */
static gint64
storage_shift (HtEncoding *self)
{
  return is_signed (self) ? (ht_encoding_get_n_steps (self) + 1) / 2 : 0;
}

/**
 * ht_encoding_get_data_type:
 * @self: an encoding
 *
 * Gets the integer type that quantized values are stored in: unsigned for an asymmetric grid, signed for a symmetric
 * one (unless it has no negative values), in 8 bits up to 8 bits, in 16 up to 16, else in 32.
 *
 * Returns: the type
 */
HtDataType
ht_encoding_get_data_type (HtEncoding *self)
{
  gboolean with_sign;
  guint bits;

  g_return_val_if_fail (self != NULL, HT_DATA_TYPE_UNDEFINED);

  with_sign = is_signed (self);
  bits = ht_encoding_get_bits (self);
  if (bits <= 8)
    return with_sign ? HT_DATA_TYPE_INT8 : HT_DATA_TYPE_UINT8;
  if (bits <= 16)
    return with_sign ? HT_DATA_TYPE_INT16 : HT_DATA_TYPE_UINT16;
  return with_sign ? HT_DATA_TYPE_INT32 : HT_DATA_TYPE_UINT32;
}

/**
 * ht_encoding_get_zero_point:
 * @self: an encoding
 * @index: which grid
 *
 * Gets the stored integer that stands for zero, in the type of ht_encoding_get_data_type().
 *
 * Returns: the ONNX zero point
 */
gint64
ht_encoding_get_zero_point (HtEncoding *self, gsize index)
{
  gsize n_grids;
  const gint64 *offsets;

  g_return_val_if_fail (self != NULL, 0);
  offsets = ht_encoding_get_offsets (self, &n_grids);
  g_return_val_if_fail (index < n_grids, 0);

  return -offsets[index] - storage_shift (self);
}

/* Codes of 32 bits: float32 cannot hold them, so only the division is done in it. */
static void
quantize_wide (HtEncoding *self, const Blocks *blocks, const float *scales, const float *x, gint32 *result, gint64 shift)
{
  const gint64 *offsets = ht_encoding_get_offsets (self, NULL);
  double n_steps = (double) ht_encoding_get_n_steps (self);
  gsize at = 0;

  for (gsize i = 0; i < blocks->outer; i++)
    for (gsize c = 0; c < blocks->channels; c++)
      for (gsize k = 0; k < blocks->inner; k++, at++)
        {
          double code = (double) rintf (x[at] / scales[c]) - (double) offsets[c];

          result[at] = (gint32) (guint32) ((gint64) CLAMP (code, 0.0, n_steps) - shift);
        }
}

static void
narrow_integers (const gint32 *codes, gsize n, HtDataType type, gpointer result)
{
  if (ht_data_type_get_bits (type) == 8)
    for (gsize i = 0; i < n; i++)
      ((guint8 *) result)[i] = (guint8) codes[i];
  else
    for (gsize i = 0; i < n; i++)
      ((guint16 *) result)[i] = (guint16) codes[i];
}

/**
 * ht_encoding_quantize:
 * @self: an encoding
 * @tensor: a float32 tensor
 * @error: return location for an error
 *
 * Turns values into the integers that a file holds: code + offset + zero point, of the type that
 * ht_encoding_get_data_type() names. DequantizeLinear with the scales and ht_encoding_get_zero_point() gives exactly
 * what ht_encoding_fake_quantize() gives.
 *
 * Returns: (transfer full) (nullable): a new integer tensor of the same shape, or %NULL with @error set
 */
HtTensor *
ht_encoding_quantize (HtEncoding *self, HtTensor *tensor, GError **error)
{
  g_autoptr (HtTensor) result = NULL;
  g_autofree float *scales = NULL, *offsets = NULL;
  g_autofree gint32 *codes = NULL;
  Blocks blocks;
  guint n_dims;
  const gint64 *dims;
  HtDataType type;
  gint64 shift;

  g_return_val_if_fail (self != NULL && tensor != NULL, NULL);

  if (!cut_into_blocks (self, tensor, &blocks, error))
    return NULL;
  dims = ht_tensor_get_dims (tensor, &n_dims);
  type = ht_encoding_get_data_type (self);
  result = ht_tensor_new (type, dims, n_dims, error);
  if (!result)
    return NULL;
  narrow_grids (self, &scales, &offsets);
  shift = storage_shift (self);
  if (ht_encoding_get_bits (self) > 16)
    {
      quantize_wide (self, &blocks, scales, ht_tensor_get_data (tensor), ht_tensor_get_writable_data (result), shift);
      return g_steal_pointer (&result);
    }
  codes = g_try_new (gint32, MAX (ht_tensor_get_n_elements (tensor), 1));
  if (!codes)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NO_MEMORY, "quantizing a tensor of %" G_GSIZE_FORMAT " elements: no memory",
                   ht_tensor_get_n_elements (tensor));
      return NULL;
    }
  ht_kernel_quantize_channels_int32 (ht_tensor_get_data (tensor), codes, blocks.outer, blocks.channels, blocks.inner,
                                     scales, offsets, (float) ht_encoding_get_n_steps (self), (gint32) -shift);
  narrow_integers (codes, ht_tensor_get_n_elements (tensor), type, ht_tensor_get_writable_data (result));
  return g_steal_pointer (&result);
}
