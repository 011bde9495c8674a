/* SPDX-License-Identifier: MIT */
#include "quant/encoding-variant.h"

#include <halftone/error.h>

#define ARRAY(type, values, n) g_variant_new_fixed_array (type, values, n, sizeof *(values))

GVariant *
ht_encoding_to_variant (HtEncoding *self)
{
  gsize n_grids, n_channels = 0, n_blocks = 0;
  const double *scales = ht_encoding_get_scales (self, &n_grids);
  const gint64 *offsets = ht_encoding_get_offsets (self, NULL);
  const double *channel_scales = ht_encoding_get_channel_scales (self, &n_channels);
  const guint *block_scales = ht_encoding_get_block_scales (self, &n_blocks);

  return g_variant_new ("(uubbititu@ad@ax@ad@au)", (guint)ht_encoding_get_format (self), ht_encoding_get_bits (self),
                        ht_encoding_is_symmetric (self), ht_encoding_is_strict (self), ht_encoding_get_axis (self),
                        (guint64)ht_encoding_get_n_channels (self), ht_encoding_get_block_axis (self),
                        (guint64)ht_encoding_get_block_size (self), ht_encoding_get_scale_bits (self),
                        ARRAY (G_VARIANT_TYPE_DOUBLE, scales, n_grids), ARRAY (G_VARIANT_TYPE_INT64, offsets, n_grids),
                        ARRAY (G_VARIANT_TYPE_DOUBLE, channel_scales, channel_scales != NULL ? n_channels : 0),
                        ARRAY (G_VARIANT_TYPE_UINT32, block_scales, block_scales != NULL ? n_blocks : 0));
}

/* The constructors check what the numbers mean; here only their number is checked. */
static HtEncoding *
fail (GError **error)
{
  g_set_error_literal (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                       "reading an encoding: its lists of scales do not have the lengths that belong together");
  return NULL;
}

HtEncoding *
ht_encoding_from_variant (GVariant *variant, GError **error)
{
  guint format, bits, scale_bits;
  gboolean symmetric, strict;
  gint axis, block_axis;
  guint64 n_channels, block_size;
  gsize n_grids, n_offsets, n_channel_scales, n_block_scales;
  g_autoptr (GVariant) scale_list = NULL, offset_list = NULL, channel_list = NULL, block_list = NULL;

  g_variant_get (variant, "(uubbititu@ad@ax@ad@au)", &format, &bits, &symmetric, &strict, &axis, &n_channels,
                 &block_axis, &block_size, &scale_bits, &scale_list, &offset_list, &channel_list, &block_list);
  const double *scales = g_variant_get_fixed_array (scale_list, &n_grids, sizeof (double));
  const gint64 *offsets = g_variant_get_fixed_array (offset_list, &n_offsets, sizeof (gint64));
  const double *channel_scales = g_variant_get_fixed_array (channel_list, &n_channel_scales, sizeof (double));
  const guint *block_scales = g_variant_get_fixed_array (block_list, &n_block_scales, sizeof (guint));

  if (n_grids == 0 || n_offsets != n_grids || format > HT_NUMBER_FORMAT_FLOAT8E5M2)
    return fail (error);
  if (format != HT_NUMBER_FORMAT_INT)
    return ht_encoding_new_float ((HtNumberFormat)format, axis, n_channels, block_axis, block_size, scales, n_grids,
                                  error);
  if (block_axis < 0)
    return ht_encoding_new (bits, symmetric, strict, axis, scales, offsets, n_grids, error);
  if (scale_bits == 0)
    return ht_encoding_new_blocks (bits, symmetric, strict, axis, n_channels, block_axis, block_size, scales, offsets,
                                   n_grids, error);
  if (n_channel_scales != n_channels || n_block_scales != n_grids)
    return fail (error);
  return ht_encoding_new_lpbq (bits, scale_bits, axis, block_axis, block_size, channel_scales, n_channels, block_scales,
                               n_grids, error);
}
