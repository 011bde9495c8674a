/* SPDX-License-Identifier: MIT */
#pragma once

#include <gio/gio.h>
#include <halftone/macros.h>

G_BEGIN_DECLS

/**
 * HtDataType:
 *
 * Element types, numbered as in ONNX `TensorProto.DataType`. The last two are no element types of ONNX: they are the types
 * of a value that is a list of other values, see ht_tensor_new_list().
 */
typedef enum
{
  HT_DATA_TYPE_UNDEFINED = 0,
  HT_DATA_TYPE_FLOAT = 1,
  HT_DATA_TYPE_UINT8 = 2,
  HT_DATA_TYPE_INT8 = 3,
  HT_DATA_TYPE_UINT16 = 4,
  HT_DATA_TYPE_INT16 = 5,
  HT_DATA_TYPE_INT32 = 6,
  HT_DATA_TYPE_INT64 = 7,
  HT_DATA_TYPE_STRING = 8,
  HT_DATA_TYPE_BOOL = 9,
  HT_DATA_TYPE_FLOAT16 = 10,
  HT_DATA_TYPE_DOUBLE = 11,
  HT_DATA_TYPE_UINT32 = 12,
  HT_DATA_TYPE_UINT64 = 13,
  HT_DATA_TYPE_COMPLEX64 = 14,
  HT_DATA_TYPE_COMPLEX128 = 15,
  HT_DATA_TYPE_BFLOAT16 = 16,
  HT_DATA_TYPE_FLOAT8E4M3FN = 17,
  HT_DATA_TYPE_FLOAT8E4M3FNUZ = 18,
  HT_DATA_TYPE_FLOAT8E5M2 = 19,
  HT_DATA_TYPE_FLOAT8E5M2FNUZ = 20,
  HT_DATA_TYPE_UINT4 = 21,
  HT_DATA_TYPE_INT4 = 22,
  HT_DATA_TYPE_FLOAT4E2M1 = 23,
  HT_DATA_TYPE_FLOAT8E8M0 = 24,
  HT_DATA_TYPE_UINT2 = 25,
  HT_DATA_TYPE_INT2 = 26,
  HT_DATA_TYPE_SEQUENCE = 30,
  HT_DATA_TYPE_OPTIONAL = 31,
} HtDataType;

HT_API const char *ht_data_type_get_name (HtDataType type);
HT_API guint ht_data_type_get_bits (HtDataType type);
HT_API gboolean ht_data_type_is_float (HtDataType type);

#define HT_TENSOR_MAX_DIMS 16

#define HT_TYPE_TENSOR (ht_tensor_get_type ())
typedef struct _HtTensor HtTensor;

HT_API GType ht_tensor_get_type (void) G_GNUC_CONST;
HT_API HtTensor *ht_tensor_new (HtDataType type, const gint64 *dims, guint n_dims, GError **error);
HT_API HtTensor *ht_tensor_new_from_bytes (HtDataType type, const gint64 *dims, guint n_dims, GBytes *bytes,
                                           GError **error);
HT_API HtTensor *ht_tensor_new_strings (const char *const *strings, const gint64 *dims, guint n_dims, GError **error);
HT_API HtTensor *ht_tensor_new_floats (const float *values, gsize n_values);
HT_API HtTensor *ht_tensor_new_int64s (const gint64 *values, gsize n_values);
HT_API HtTensor *ht_tensor_new_scalar (double value, HtDataType type, GError **error);
HT_API HtTensor *ht_tensor_new_list (HtDataType type, HtTensor *const *elements, gsize n_elements, GError **error);
HT_API HtTensor *ht_tensor_ref (HtTensor *self);
HT_API void ht_tensor_unref (HtTensor *self);

HT_API HtDataType ht_tensor_get_data_type (HtTensor *self);
HT_API guint ht_tensor_get_n_dims (HtTensor *self);
HT_API const gint64 *ht_tensor_get_dims (HtTensor *self, guint *n_dims);
HT_API gint64 ht_tensor_get_dim (HtTensor *self, guint axis);
HT_API gsize ht_tensor_get_n_elements (HtTensor *self);
HT_API gsize ht_tensor_get_size (HtTensor *self);
HT_API gconstpointer ht_tensor_get_data (HtTensor *self);
HT_API GBytes *ht_tensor_get_bytes (HtTensor *self);
HT_API const char *const *ht_tensor_get_strings (HtTensor *self);
HT_API HtTensor *ht_tensor_get_element (HtTensor *self, gsize index);
HT_API char *ht_tensor_describe (HtTensor *self);

HT_API gpointer ht_tensor_get_writable_data (HtTensor *self);
HT_API HtTensor *ht_tensor_copy (HtTensor *self, GError **error);
HT_API HtTensor *ht_tensor_reshape (HtTensor *self, const gint64 *dims, guint n_dims, GError **error);
HT_API HtTensor *ht_tensor_cast (HtTensor *self, HtDataType type, GError **error);
HT_API double ht_tensor_get_double (HtTensor *self, gsize index);
HT_API gint64 ht_tensor_get_int64 (HtTensor *self, gsize index);
HT_API gboolean ht_tensor_equal (HtTensor *a, HtTensor *b);
HT_API gboolean ht_tensor_is_finite (HtTensor *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtTensor, ht_tensor_unref)

G_END_DECLS
