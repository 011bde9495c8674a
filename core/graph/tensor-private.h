/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/tensor.h>

G_BEGIN_DECLS

/* Where the elements of a tensor live, and who frees them. */
typedef enum
{
  HT_TENSOR_OWNED,  /* own memory, 64-byte aligned */
  HT_TENSOR_BYTES,  /* a GBytes, perhaps a mapped file */
  HT_TENSOR_SHARED, /* the memory of `parent` */
  HT_TENSOR_VIEW,   /* memory that somebody else keeps alive */
} HtTensorMemory;

struct _HtTensor
{
  gatomicrefcount ref_count;
  HtDataType type;
  HtTensorMemory memory;
  guint n_dims;
  gint64 dims[HT_TENSOR_MAX_DIMS];
  gsize n_elements;
  gsize size;     /* bytes; 0 for strings and lists */
  gpointer data;  /* never NULL unless the type is STRING or a list */
  gpointer base;  /* OWNED: what to free */
  GBytes *bytes;  /* BYTES */
  HtTensor *parent; /* SHARED */
  char **strings; /* STRING: n_elements of them and a final NULL */
  HtTensor **elements; /* a list: n_elements references */
  gint kept;      /* atomic: a graph has held it, so that it never changes again */
  char *digest;   /* cached by ht_tensor_get_digest(), set atomically */
};

/* A tensor over memory that somebody else keeps alive at least as long: the arena of an execution plan. It is writable
 * whatever its number of references; whoever owns the arena knows who reads it. */
HtTensor *_ht_tensor_new_view (HtDataType type, const gint64 *dims, guint n_dims, gpointer data);

/* SHA-256 in hexadecimal over type, dimensions and content, kept with the tensor. */
const char *ht_tensor_get_digest (HtTensor *self);

/* Elements and bytes that these dimensions need; refuses negative dimensions, too many of them and overflow. */
gboolean ht_tensor_check_dims (HtDataType type, const gint64 *dims, guint n_dims, gsize *n_elements, gsize *size,
                               GError **error);

/* How a conversion to FLOAT8E8M0 rounds between powers of two. */
typedef enum
{
  HT_ROUND_UP, /* ONNX's default: away from zero */
  HT_ROUND_DOWN,
  HT_ROUND_NEAREST, /* ties up */
} HtScaleRounding;

/* ht_tensor_cast() with the attributes of the Cast operator. Types must be numeric. */
HtTensor *ht_tensor_cast_full (HtTensor *self, HtDataType type, gboolean saturate, HtScaleRounding rounding,
                               GError **error);
/* The same into memory of `dst`: same number of elements, numeric types, not overlapping `src`. */
void ht_tensor_cast_into (HtTensor *src, HtTensor *dst, gboolean saturate, HtScaleRounding rounding);

/* One element, whatever its type. */
double ht_scalar_load (HtDataType type, gconstpointer data, gsize index);
void ht_scalar_store (HtDataType type, gpointer data, gsize index, double value);
gboolean ht_data_type_is_numeric (HtDataType type);
gboolean ht_data_type_is_integer (HtDataType type); /* BOOL included */
gboolean ht_data_type_is_list (HtDataType type);    /* SEQUENCE and OPTIONAL */

/* What the functions of tensor.c do with lists: tensor-list.c. */
void ht_tensor_list_free (HtTensor *self);
gboolean ht_tensor_list_equal (HtTensor *a, HtTensor *b);

/* A reference that a graph keeps: the tensor is not writable from here on. A view of an arena is copied. */
HtTensor *ht_tensor_keep (HtTensor *self);

G_END_DECLS
