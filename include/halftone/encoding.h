/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/tensor.h>

G_BEGIN_DECLS

/* Encodings: the grid of one tensor. Real value = scale * (q + offset) with q in [0, n_steps] and offset <= 0, the
 * convention of AIMET; the ONNX unsigned zero point is -offset. Immutable, counted. */
#define HT_TYPE_ENCODING (ht_encoding_get_type ())
typedef struct _HtEncoding HtEncoding;

HT_API GType ht_encoding_get_type (void) G_GNUC_CONST;
HT_API HtEncoding *ht_encoding_new (guint bits, gboolean symmetric, gboolean strict, gint axis, const double *scales,
                                    const gint64 *offsets, gsize n_grids, GError **error);
HT_API HtEncoding *ht_encoding_new_from_ranges (guint bits, gboolean symmetric, gboolean strict,
                                                gboolean unsigned_symmetric, gint axis, const double *minima,
                                                const double *maxima, gsize n_grids, GError **error);
HT_API HtEncoding *ht_encoding_ref (HtEncoding *self);
HT_API void ht_encoding_unref (HtEncoding *self);
HT_API guint ht_encoding_get_bits (HtEncoding *self);
HT_API gboolean ht_encoding_is_symmetric (HtEncoding *self);
HT_API gboolean ht_encoding_is_strict (HtEncoding *self);
HT_API gint64 ht_encoding_get_n_steps (HtEncoding *self);
HT_API gint ht_encoding_get_axis (HtEncoding *self);
HT_API const double *ht_encoding_get_scales (HtEncoding *self, gsize *n_grids);
HT_API const gint64 *ht_encoding_get_offsets (HtEncoding *self, gsize *n_grids);
HT_API double ht_encoding_get_minimum (HtEncoding *self, gsize index);
HT_API double ht_encoding_get_maximum (HtEncoding *self, gsize index);
HT_API gboolean ht_encoding_equal (HtEncoding *a, HtEncoding *b);
HT_API char *ht_encoding_to_string (HtEncoding *self);
HT_API HtTensor *ht_encoding_fake_quantize (HtEncoding *self, HtTensor *tensor, GError **error);
HT_API HtDataType ht_encoding_get_data_type (HtEncoding *self);
HT_API gint64 ht_encoding_get_zero_point (HtEncoding *self, gsize index);
HT_API HtTensor *ht_encoding_quantize (HtEncoding *self, HtTensor *tensor, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtEncoding, ht_encoding_unref)

G_END_DECLS
