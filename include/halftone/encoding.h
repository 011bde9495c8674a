/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/tensor.h>

G_BEGIN_DECLS

/**
 * HtNumberFormat:
 * @HT_NUMBER_FORMAT_INT: integers in equal steps
 * @HT_NUMBER_FORMAT_FLOAT16: IEEE 754 binary16; has no scale
 * @HT_NUMBER_FORMAT_BFLOAT16: the upper half of a float32; has no scale
 * @HT_NUMBER_FORMAT_FLOAT8E4M3FN: 8 bits, 4 of them exponent, no infinities; times a scale
 * @HT_NUMBER_FORMAT_FLOAT8E5M2: 8 bits, 5 of them exponent; times a scale
 *
 * What a quantized number is.
 */
typedef enum
{
  HT_NUMBER_FORMAT_INT,
  HT_NUMBER_FORMAT_FLOAT16,
  HT_NUMBER_FORMAT_BFLOAT16,
  HT_NUMBER_FORMAT_FLOAT8E4M3FN,
  HT_NUMBER_FORMAT_FLOAT8E5M2,
} HtNumberFormat;

/* Encodings: the grid of one tensor, or one grid for each channel, or for each block of each channel. Immutable,
 * counted. Integers: real value = scale * (q + offset) with q in [0, n_steps] and offset <= 0, the convention of AIMET;
 * the ONNX unsigned zero point is -offset. */
#define HT_TYPE_ENCODING (ht_encoding_get_type ())
typedef struct _HtEncoding HtEncoding;

HT_API GType ht_encoding_get_type (void) G_GNUC_CONST;
HT_API HtEncoding *ht_encoding_new (guint bits, gboolean symmetric, gboolean strict, gint axis, const double *scales,
                                    const gint64 *offsets, gsize n_grids, GError **error);
HT_API HtEncoding *ht_encoding_new_from_ranges (guint bits, gboolean symmetric, gboolean strict,
                                                gboolean unsigned_symmetric, gint axis, const double *minima,
                                                const double *maxima, gsize n_grids, GError **error);
HT_API HtEncoding *ht_encoding_new_blocks (guint bits, gboolean symmetric, gboolean strict, gint axis, gsize n_channels,
                                           gint block_axis, gsize block_size, const double *scales,
                                           const gint64 *offsets, gsize n_grids, GError **error);
HT_API HtEncoding *ht_encoding_new_lpbq (guint bits, guint scale_bits, gint axis, gint block_axis, gsize block_size,
                                         const double *channel_scales, gsize n_channels, const guint *block_scales,
                                         gsize n_grids, GError **error);
HT_API HtEncoding *ht_encoding_new_float (HtNumberFormat format, gint axis, gsize n_channels, gint block_axis,
                                          gsize block_size, const double *scales, gsize n_grids, GError **error);
HT_API HtEncoding *ht_encoding_with_scales (HtEncoding *self, const double *scales, const gint64 *offsets,
                                            gsize n_grids, GError **error);
HT_API HtEncoding *ht_encoding_ref (HtEncoding *self);
HT_API void ht_encoding_unref (HtEncoding *self);

HT_API HtNumberFormat ht_encoding_get_format (HtEncoding *self);
HT_API gboolean ht_encoding_is_integer (HtEncoding *self);
HT_API guint ht_encoding_get_bits (HtEncoding *self);
HT_API gboolean ht_encoding_is_symmetric (HtEncoding *self);
HT_API gboolean ht_encoding_is_strict (HtEncoding *self);
HT_API gboolean ht_encoding_is_unsigned (HtEncoding *self);
HT_API gint64 ht_encoding_get_n_steps (HtEncoding *self);
HT_API gint ht_encoding_get_axis (HtEncoding *self);
HT_API gsize ht_encoding_get_n_channels (HtEncoding *self);
HT_API gint ht_encoding_get_block_axis (HtEncoding *self);
HT_API gsize ht_encoding_get_block_size (HtEncoding *self);
HT_API guint ht_encoding_get_scale_bits (HtEncoding *self);
HT_API const double *ht_encoding_get_channel_scales (HtEncoding *self, gsize *n_channels);
HT_API const guint *ht_encoding_get_block_scales (HtEncoding *self, gsize *n_grids);
HT_API const double *ht_encoding_get_scales (HtEncoding *self, gsize *n_grids);
HT_API const gint64 *ht_encoding_get_offsets (HtEncoding *self, gsize *n_grids);
HT_API double ht_encoding_get_minimum (HtEncoding *self, gsize index);
HT_API double ht_encoding_get_maximum (HtEncoding *self, gsize index);
HT_API gboolean ht_encoding_equal (HtEncoding *a, HtEncoding *b);
HT_API char *ht_encoding_to_string (HtEncoding *self);

HT_API gboolean ht_encoding_fits (HtEncoding *self, const gint64 *dims, guint n_dims);
HT_API HtTensor *ht_encoding_spread_scales (HtEncoding *self, const gint64 *dims, guint n_dims, GError **error);
HT_API HtTensor *ht_encoding_fake_quantize (HtEncoding *self, HtTensor *tensor, GError **error);
HT_API HtDataType ht_encoding_get_data_type (HtEncoding *self);
HT_API gint64 ht_encoding_get_zero_point (HtEncoding *self, gsize index);
HT_API HtTensor *ht_encoding_quantize (HtEncoding *self, HtTensor *tensor, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtEncoding, ht_encoding_unref)

G_END_DECLS
