/* SPDX-License-Identifier: MIT */
/* Puts tensors on the grid of an encoding: as floats (fake quantization) and as the numbers that files hold. */
#include "quant/encoding-private.h"

#include "kernels/fake-quantize.h"

#include <halftone/error.h>

#include <math.h>

/* Codes of up to 24 bits are exact in a float, as are their differences. */
#define MAX_FLOAT_BITS 24

/**
 * ht_encoding_fits:
 * @self: an encoding
 * @dims: (array length=n_dims): the shape of a tensor
 * @n_dims: its rank
 *
 * Tells whether a tensor has the channels and blocks that an encoding has grids for.
 *
 * Returns: %TRUE when the encoding can be applied
 */
gboolean
ht_encoding_fits (HtEncoding *self, const gint64 *dims, guint n_dims)
{
  HtKernelBlocks blocks;

  g_return_val_if_fail (self != NULL && (dims != NULL || n_dims == 0), FALSE);

  return ht_grid_form_cut (&self->form, dims, n_dims, &blocks);
}

static gsize
count_inner (const HtKernelBlocks *blocks)
{
  return blocks->middle * blocks->second * blocks->inner;
}

typedef struct
{
  HtEncoding *encoding;
  const float *x;
  float *y;
} UpWork;

static void
round_up (gsize start, gsize n, gsize grid, gpointer user_data)
{
  UpWork *work = user_data;
  const float *narrow = work->encoding->narrow;

  ht_kernel_fake_quantize_up (work->x + start, work->y + start, n, narrow[grid],
                              narrow[work->encoding->n_grids + grid],
                              (float)ht_encoding_get_n_steps (work->encoding));
}

static void
apply_integer (HtEncoding *self, const float *x, float *y, const HtKernelBlocks *blocks)
{
  const float *scales = self->narrow, *offsets = self->narrow + self->n_grids;
  gint64 n_steps = ht_encoding_get_n_steps (self);

  if (self->rounds_up && self->form.bits <= MAX_FLOAT_BITS)
    {
      UpWork work = { self, x, y };
      ht_kernel_blocks_foreach (blocks, round_up, &work);
    }
  else if (self->form.bits > MAX_FLOAT_BITS)
    ht_kernel_fake_quantize_wide (x, y, blocks->outer, blocks->first, count_inner (blocks), scales, self->offsets,
                                  (double)n_steps);
  else if (self->form.block_axis >= 0)
    ht_kernel_fake_quantize_blocks (x, y, blocks, scales, offsets, (float)n_steps);
  else if (self->n_grids == 1)
    ht_kernel_fake_quantize (x, y, blocks->outer * count_inner (blocks), scales[0], offsets[0], (float)n_steps);
  else
    ht_kernel_fake_quantize_channels (x, y, blocks->outer, blocks->first, count_inner (blocks), scales, offsets,
                                      (float)n_steps);
}

void
ht_encoding_apply (HtEncoding *self, const float *x, float *y, const gint64 *dims, guint n_dims)
{
  HtKernelBlocks blocks;

  if (!ht_grid_form_cut (&self->form, dims, n_dims, &blocks))
    g_return_if_reached ();
  if (ht_encoding_is_integer (self))
    apply_integer (self, x, y, &blocks);
  else if (self->n_grids == 1)
    ht_kernel_round_float (ht_number_format_get_kernel (self->form.format), x, y,
                           blocks.outer * blocks.first * count_inner (&blocks), self->narrow[0]);
  else
    ht_kernel_round_float_blocks (ht_number_format_get_kernel (self->form.format), x, y, &blocks, self->narrow);
}

static gboolean
check_shape (HtEncoding *self, const gint64 *dims, guint n_dims, HtKernelBlocks *blocks, GError **error)
{
  if (ht_grid_form_cut (&self->form, dims, n_dims, blocks))
    return TRUE;
  {
    g_autoptr (GString) found = g_string_new ("[");
    g_autofree char *expected = ht_encoding_to_string (self);

    for (guint i = 0; i < n_dims; i++)
      g_string_append_printf (found, "%s%" G_GINT64_FORMAT, i ? ", " : "", dims[i]);
    g_set_error (error, HT_ERROR, HT_ERROR_SHAPE, "quantizing a tensor: found the shape %s]; expected one for %s",
                 found->str, expected);
  }
  return FALSE;
}

static gboolean
check_tensor (HtEncoding *self, HtTensor *tensor, HtKernelBlocks *blocks, GError **error)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);

  if (ht_tensor_get_data_type (tensor) != HT_DATA_TYPE_FLOAT)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_DATA_TYPE, "quantizing a tensor: found elements of type %s; expected %s",
                   ht_data_type_get_name (ht_tensor_get_data_type (tensor)),
                   ht_data_type_get_name (HT_DATA_TYPE_FLOAT));
      return FALSE;
    }
  if (!check_shape (self, dims, n_dims, blocks, error))
    return FALSE;
  if (!ht_tensor_is_finite (tensor))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NUMERIC,
                   "quantizing a tensor: found values that are infinite or not a number; expected finite ones");
      return FALSE;
    }
  return TRUE;
}

/**
 * ht_encoding_fake_quantize:
 * @self: an encoding
 * @tensor: a float32 tensor
 * @error: return location for an error
 *
 * Rounds each value to the nearest one that the grid holds, halves to the even code, values beyond its ends to the
 * ends.
 *
 * Returns: (transfer full) (nullable): a new float32 tensor of the same shape, or %NULL with @error set
 */
HtTensor *
ht_encoding_fake_quantize (HtEncoding *self, HtTensor *tensor, GError **error)
{
  g_autoptr (HtTensor) result = NULL;
  HtKernelBlocks blocks;
  guint n_dims;
  const gint64 *dims;

  g_return_val_if_fail (self != NULL && tensor != NULL, NULL);

  if (!check_tensor (self, tensor, &blocks, error))
    return NULL;
  dims = ht_tensor_get_dims (tensor, &n_dims);
  result = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims, n_dims, error);
  if (!result)
    return NULL;
  ht_encoding_apply (self, ht_tensor_get_data (tensor), ht_tensor_get_writable_data (result), dims, n_dims);
  return g_steal_pointer (&result);
}

typedef struct
{
  const float *scales;
  float *values;
} Spread;

static void
spread_run (gsize start, gsize n, gsize grid, gpointer user_data)
{
  const Spread *spread = user_data;

  for (gsize i = start; i < start + n; i++)
    spread->values[i] = spread->scales[grid];
}

/**
 * ht_encoding_spread_scales:
 * @self: an encoding
 * @dims: (array length=n_dims): the shape of a tensor
 * @n_dims: its rank
 * @error: return location for an error
 *
 * Writes beside each element of a tensor the scale of its grid.
 *
 * Returns: (transfer full) (nullable): a float32 tensor of that shape, or %NULL with @error set when the encoding does
 * not fit it
 */
HtTensor *
ht_encoding_spread_scales (HtEncoding *self, const gint64 *dims, guint n_dims, GError **error)
{
  g_autoptr (HtTensor) result = NULL;
  HtKernelBlocks blocks;
  Spread spread;

  g_return_val_if_fail (self != NULL && (dims != NULL || n_dims == 0), NULL);

  if (!check_shape (self, dims, n_dims, &blocks, error))
    return NULL;
  result = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims, n_dims, error);
  if (!result)
    return NULL;
  spread = (Spread){ self->narrow, ht_tensor_get_writable_data (result) };
  ht_kernel_blocks_foreach (&blocks, spread_run, &spread);
  return g_steal_pointer (&result);
}

static gboolean
is_signed (HtEncoding *self)
{
  return self->form.symmetric && !ht_encoding_is_unsigned (self);
}

/* What is taken off a code to get the stored integer: the codes of a signed grid are stored around zero. Wide ones are
 * stored with their offset, so that no zero point is needed: ONNX has none for 32 bits. */
static gint64
storage_shift (HtEncoding *self, gsize index)
{
  if (ht_encoding_get_data_type (self) == HT_DATA_TYPE_INT32)
    return -self->offsets[index];
  return is_signed (self) ? (ht_encoding_get_n_steps (self) + 1) / 2 : 0;
}

/**
 * ht_encoding_get_data_type:
 * @self: an encoding
 *
 * Gets the type that quantized values are stored in. Integers: unsigned for an asymmetric grid, signed for a symmetric
 * one (unless it has no negative values), in 8 bits up to 8 bits, in 16 up to 16, else in 32. Floating-point formats:
 * the type of the same name.
 *
 * Returns: the type
 */
HtDataType
ht_encoding_get_data_type (HtEncoding *self)
{
  gboolean with_sign;
  guint bits;

  g_return_val_if_fail (self != NULL, HT_DATA_TYPE_UNDEFINED);

  if (!ht_encoding_is_integer (self))
    return ht_number_format_get_data_type (self->form.format);
  with_sign = is_signed (self);
  bits = ht_encoding_get_bits (self);
  if (bits <= 8)
    return with_sign ? HT_DATA_TYPE_INT8 : HT_DATA_TYPE_UINT8;
  if (bits <= 16)
    return with_sign ? HT_DATA_TYPE_INT16 : HT_DATA_TYPE_UINT16;
  return with_sign || bits < 32 ? HT_DATA_TYPE_INT32 : HT_DATA_TYPE_UINT32;
}

/**
 * ht_encoding_get_zero_point:
 * @self: an encoding
 * @index: which grid
 *
 * Gets the stored integer that stands for zero, in the type of ht_encoding_get_data_type().
 *
 * Returns: the ONNX zero point; 0 for floating-point formats
 */
gint64
ht_encoding_get_zero_point (HtEncoding *self, gsize index)
{
  gsize n_grids;
  const gint64 *offsets;

  g_return_val_if_fail (self != NULL, 0);
  offsets = ht_encoding_get_offsets (self, &n_grids);
  g_return_val_if_fail (index < n_grids, 0);

  return ht_encoding_is_integer (self) ? -offsets[index] - storage_shift (self, index) : 0;
}

/* Codes of more bits than float32 holds: only the division is done in it. */
static void
quantize_wide (HtEncoding *self, const HtKernelBlocks *blocks, const float *x, gint32 *result)
{
  double n_steps = (double)ht_encoding_get_n_steps (self);
  gsize at = 0, inner = count_inner (blocks);

  for (gsize i = 0; i < blocks->outer; i++)
    for (gsize c = 0; c < blocks->first; c++)
      {
        gint64 shift = storage_shift (self, c);

        for (gsize k = 0; k < inner; k++, at++)
          {
            double code = (double)rintf (x[at] / self->narrow[c]) - (double)self->offsets[c];

            result[at] = (gint32)(guint32)((gint64)CLAMP (code, 0.0, n_steps) - shift);
          }
      }
}

static void
narrow_integers (const gint32 *codes, gsize n, HtDataType type, gpointer result)
{
  if (ht_data_type_get_bits (type) == 8)
    for (gsize i = 0; i < n; i++)
      ((guint8 *)result)[i] = (guint8)codes[i];
  else
    for (gsize i = 0; i < n; i++)
      ((guint16 *)result)[i] = (guint16)codes[i];
}

static HtTensor *
quantize_integers (HtEncoding *self, HtTensor *tensor, const HtKernelBlocks *blocks, GError **error)
{
  const float *scales = self->narrow, *offsets = self->narrow + self->n_grids, *x = ht_tensor_get_data (tensor);
  float n_steps = (float)ht_encoding_get_n_steps (self);
  HtDataType type = ht_encoding_get_data_type (self);
  gsize n_elements = ht_tensor_get_n_elements (tensor);
  gint64 shift = storage_shift (self, 0);
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);
  g_autoptr (HtTensor) result = ht_tensor_new (type, dims, n_dims, error);
  g_autofree gint32 *codes = NULL;

  if (!result)
    return NULL;
  if (self->form.bits > 16)
    {
      quantize_wide (self, blocks, x, ht_tensor_get_writable_data (result));
      return g_steal_pointer (&result);
    }
  codes = g_try_new (gint32, MAX (n_elements, 1));
  if (!codes)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NO_MEMORY,
                   "quantizing a tensor of %" G_GSIZE_FORMAT " elements: no memory", n_elements);
      return NULL;
    }
  if (self->form.block_axis >= 0)
    ht_kernel_quantize_blocks_int32 (x, codes, blocks, scales, offsets, n_steps, (gint32)-shift);
  else
    ht_kernel_quantize_channels_int32 (x, codes, blocks->outer, blocks->first, count_inner (blocks), scales, offsets,
                                       n_steps, (gint32)-shift);
  narrow_integers (codes, n_elements, type, ht_tensor_get_writable_data (result));
  return g_steal_pointer (&result);
}

/* The cast rounds, so that values are divided only. */
static HtTensor *
quantize_floats (HtEncoding *self, HtTensor *tensor, GError **error)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);
  g_autoptr (HtTensor) divided = ht_encoding_spread_scales (self, dims, n_dims, error);
  const float *x = ht_tensor_get_data (tensor);
  float *values;

  if (!divided)
    return NULL;
  values = ht_tensor_get_writable_data (divided);
  for (gsize i = 0; i < ht_tensor_get_n_elements (tensor); i++)
    values[i] = x[i] / values[i];
  return ht_tensor_cast (divided, ht_encoding_get_data_type (self), error);
}

/**
 * ht_encoding_quantize:
 * @self: an encoding
 * @tensor: a float32 tensor
 * @error: return location for an error
 *
 * Turns values into the numbers that a file holds, of the type that ht_encoding_get_data_type() names: for integers
 * code + offset + zero point. DequantizeLinear with the scales and ht_encoding_get_zero_point() gives exactly what
 * ht_encoding_fake_quantize() gives.
 *
 * Returns: (transfer full) (nullable): a new tensor of the same shape, or %NULL with @error set
 */
HtTensor *
ht_encoding_quantize (HtEncoding *self, HtTensor *tensor, GError **error)
{
  HtKernelBlocks blocks;

  g_return_val_if_fail (self != NULL && tensor != NULL, NULL);

  if (!check_tensor (self, tensor, &blocks, error))
    return NULL;
  return ht_encoding_is_integer (self) ? quantize_integers (self, tensor, &blocks, error)
                                       : quantize_floats (self, tensor, error);
}
