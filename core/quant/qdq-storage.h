/* SPDX-License-Identifier: MIT */
/* How ONNX holds the grid of an encoding: types, and the tensors of scales, zero points and codes. */
#pragma once

#include <halftone/encoding.h>

typedef struct
{
  HtDataType type;     /* of the codes */
  gint64 opset;        /* the first that has the operators for it */
  gboolean casts;      /* Cast there and back, in place of QuantizeLinear and DequantizeLinear */
  gboolean only_codes; /* no QuantizeLinear makes this type: DequantizeLinear alone, without a zero point */
  gboolean clips;      /* the type has more codes than the grid: values have to be clipped before */
} HtQdqStorage;

/* FALSE with the reason where ONNX has no way to quantize what is not known beforehand. */
gboolean ht_qdq_choose_storage (HtEncoding *encoding, gboolean is_constant, HtQdqStorage *storage, GError **error);

/* `dims` is the shape of the quantized tensor. One value is a scalar, one for each channel a list; in blocks scales
 * have the rank of the tensor. */
HtTensor *ht_qdq_make_scales (HtEncoding *encoding, const gint64 *dims, guint n_dims, GError **error);
HtTensor *ht_qdq_make_zero_points (HtEncoding *encoding, const HtQdqStorage *storage, const gint64 *dims, guint n_dims,
                                   GError **error);
HtTensor *ht_qdq_make_codes (HtEncoding *encoding, const HtQdqStorage *storage, HtTensor *tensor, GError **error);
/* Of LPBQ: the integers, and what they are multiplied by. */
HtTensor *ht_qdq_make_block_scales (HtEncoding *encoding, const gint64 *dims, guint n_dims, GError **error);
HtTensor *ht_qdq_make_channel_scales (HtEncoding *encoding, GError **error);
