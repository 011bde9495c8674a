/* SPDX-License-Identifier: MIT */
/* What inference rules share: checks of inputs and axes, shapes as plain arrays, broadcasting, common rules. */
#pragma once

#include "graph/operator.h"

/* A shape on the stack. A dimension is a number, or -1 with a symbol or NULL. */
typedef struct
{
  guint n;
  gint64 dim[HT_TENSOR_MAX_DIMS];
  const char *symbol[HT_TENSOR_MAX_DIMS];
} HtDims;

/* Sets of element types */
#define HT_TYPE_BIT(t) (1u << HT_DATA_TYPE_##t)
#define HT_TYPES_FLOAT (HT_TYPE_BIT (FLOAT) | HT_TYPE_BIT (DOUBLE) | HT_TYPE_BIT (FLOAT16) | HT_TYPE_BIT (BFLOAT16))
#define HT_TYPES_FLOAT8                                                                                                \
  (HT_TYPE_BIT (FLOAT8E4M3FN) | HT_TYPE_BIT (FLOAT8E4M3FNUZ) | HT_TYPE_BIT (FLOAT8E5M2) | HT_TYPE_BIT (FLOAT8E5M2FNUZ))
#define HT_TYPES_SIGNED (HT_TYPE_BIT (INT8) | HT_TYPE_BIT (INT16) | HT_TYPE_BIT (INT32) | HT_TYPE_BIT (INT64))
#define HT_TYPES_UNSIGNED (HT_TYPE_BIT (UINT8) | HT_TYPE_BIT (UINT16) | HT_TYPE_BIT (UINT32) | HT_TYPE_BIT (UINT64))
#define HT_TYPES_INTEGER (HT_TYPES_SIGNED | HT_TYPES_UNSIGNED)
#define HT_TYPES_NUMBER  (HT_TYPES_FLOAT | HT_TYPES_INTEGER)
#define HT_TYPES_INDEX   (HT_TYPE_BIT (INT32) | HT_TYPE_BIT (INT64))
/* Every element type; sequences and optional values are none. */
#define HT_TYPES_ANY 0x3fffffffu

/* The numbers of inputs and outputs; the first `min` inputs must be present. `max` 0: any number. */
gboolean ht_infer_check_arity (const HtInfer *infer, guint min, guint max, GError **error);
/* The type, when known, must be one of the set (bits are HtDataType values). */
gboolean ht_infer_check_type (const HtInfer *infer, guint input, guint32 types, GError **error);
gboolean ht_infer_check_same_type (const HtInfer *infer, guint a, guint b, GError **error);
gboolean ht_infer_check_rank (const HtInfer *infer, guint input, guint min, guint max, GError **error);

/* FALSE: the rank of the input is not known (or the input absent). */
gboolean ht_infer_read_dims (const HtInfer *infer, guint input, HtDims *dims);
gboolean ht_dims_read (HtShape *shape, HtDims *dims);
void ht_infer_put_dims (HtInfer *infer, guint output, HtDataType type, const HtDims *dims);
void ht_dims_append (HtDims *dims, gint64 dim, const char *symbol);
/* Product of dimensions [begin, end); -1 when one is unknown or it overflows. */
gint64 ht_dims_product (const HtDims *dims, guint begin, guint end);
gboolean ht_dims_is_static (const HtDims *dims);
/* Type and shape of an input; content too with `content`. */
void ht_infer_copy_input (HtInfer *infer, guint output, guint input, gboolean content);
/* The output's rank alone. */
void ht_infer_put_rank (HtInfer *infer, guint output, HtDataType type, guint rank);

/* Maps an axis from [-rank, rank) to [0, rank). */
gboolean ht_axis_normalize (gint64 axis, guint rank, guint *normalized);
gboolean ht_infer_get_axis (const HtInfer *infer, gint64 axis, guint rank, guint *normalized, GError **error);
/* The axes given by attribute `axes` or, when `input` is not absent, by that input. Sorted flags, one a dimension.
 * `given` is FALSE where there are none, `known` FALSE where they are not constant. */
gboolean ht_infer_get_axes (const HtInfer *infer, guint input, guint rank, gboolean flags[HT_TENSOR_MAX_DIMS],
                            gboolean *given, gboolean *known, GError **error);

/* Numpy broadcasting of two shapes, symbols included. FALSE with an error: they do not fit. */
gboolean ht_infer_broadcast (const HtInfer *infer, const HtDims *a, const HtDims *b, HtDims *out, GError **error);
/* The broadcast shape of inputs [first, last); FALSE without an error (*known FALSE): a rank is unknown. */
gboolean ht_infer_broadcast_inputs (const HtInfer *infer, guint first, guint last, HtDims *out, gboolean *known,
                                    GError **error);

/* Rules: one output with type and shape of input 0 */
gboolean ht_infer_same (HtInfer *infer, guint max_inputs, guint32 types, GError **error);
gboolean ht_infer_unary_float (HtInfer *infer, GError **error);
gboolean ht_infer_unary_number (HtInfer *infer, GError **error);
