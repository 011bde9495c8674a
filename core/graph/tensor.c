/* SPDX-License-Identifier: MIT */
/* Tensors: a type, dimensions and counted memory that is own, mapped, shared or lent. */
#include "graph/tensor-private.h"

#include <halftone/error.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 64

/**
 * HtTensor:
 *
 * A multi-dimensional array in row-major order, counted, with an element type of ONNX. Types of 4 and 2 bits are packed
 * two and four to the byte, the first element in the lowest bits. A tensor that more than one owner holds is not written
 * to: take a copy with ht_tensor_copy(). Sequences and optional values are tensors too, one-dimensional ones whose
 * elements are tensors: ht_tensor_new_list().
 */
G_DEFINE_BOXED_TYPE (HtTensor, ht_tensor, ht_tensor_ref, ht_tensor_unref)

static char *
format_dims (const gint64 *dims, guint n_dims)
{
  GString *text = g_string_new ("[");
  for (guint i = 0; i < n_dims; i++)
    g_string_append_printf (text, i == 0 ? "%" G_GINT64_FORMAT : "x%" G_GINT64_FORMAT, dims[i]);
  g_string_append_c (text, ']');
  return g_string_free (text, FALSE);
}

static gboolean
refuse_dims (HtDataType type, const gint64 *dims, guint n_dims, int code, const char *why, GError **error)
{
  g_autofree char *text = format_dims (dims, MIN (n_dims, HT_TENSOR_MAX_DIMS));
  g_set_error (error, HT_ERROR, code, "Cannot make a %s tensor with %u dimensions %s%s: %s",
               ht_data_type_get_name (type), n_dims, text, n_dims > HT_TENSOR_MAX_DIMS ? "…" : "", why);
  return FALSE;
}

gboolean
ht_tensor_check_dims (HtDataType type, const gint64 *dims, guint n_dims, gsize *n_elements, gsize *size, GError **error)
{
  /* What the dimensions other than zero span must be countable too: code that computes strides relies on it. */
  gint64 span = 1;
  gboolean empty = FALSE;
  guint bits = ht_data_type_get_bits (type);

  if (bits == 0 && type != HT_DATA_TYPE_STRING)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_DATA_TYPE,
                   "Cannot make a tensor: element type %d is none that ONNX defines (1 to 26)", (int) type);
      return FALSE;
    }
  if (n_dims > HT_TENSOR_MAX_DIMS)
    return refuse_dims (type, dims, n_dims, HT_ERROR_LIMIT_EXCEEDED, "at most 16 dimensions are possible", error);
  for (guint i = 0; i < n_dims; i++)
    {
      if (dims[i] < 0)
        return refuse_dims (type, dims, n_dims, HT_ERROR_SHAPE, "a dimension must not be negative", error);
      if (dims[i] == 0)
        empty = TRUE;
      else if (__builtin_mul_overflow (span, dims[i], &span))
        return refuse_dims (type, dims, n_dims, HT_ERROR_LIMIT_EXCEEDED, "it has more elements than can be counted",
                            error);
    }
  /* Bytes, rounded up; a string costs a pointer. The margin leaves room for alignment. */
  gint64 cost = type == HT_DATA_TYPE_STRING ? (gint64) (8 * sizeof (char *)) : (gint64) bits;
  gint64 total = 0;
  if (__builtin_mul_overflow (span, cost, &total) || total / 8 > G_MAXSSIZE - 4 * ALIGNMENT)
    return refuse_dims (type, dims, n_dims, HT_ERROR_LIMIT_EXCEEDED, "it is larger than any memory", error);
  *n_elements = empty ? 0 : (gsize) span;
  *size = empty || type == HT_DATA_TYPE_STRING ? 0 : (gsize) (total / 8 + (total % 8 != 0));
  return TRUE;
}

static HtTensor *
new_header (HtDataType type, const gint64 *dims, guint n_dims, HtTensorMemory memory, GError **error)
{
  gsize n_elements = 0, size = 0;
  if (!ht_tensor_check_dims (type, dims, n_dims, &n_elements, &size, error))
    return NULL;
  HtTensor *self = g_new0 (HtTensor, 1);
  g_atomic_ref_count_init (&self->ref_count);
  self->type = type;
  self->memory = memory;
  self->n_dims = n_dims;
  if (n_dims > 0)
    memcpy (self->dims, dims, n_dims * sizeof *dims);
  self->n_elements = n_elements;
  self->size = size;
  return self;
}

static gboolean
allocate (HtTensor *self, GError **error)
{
  if (self->type == HT_DATA_TYPE_STRING)
    {
      self->strings = g_try_new0 (char *, self->n_elements + 1);
      if (self->strings != NULL)
        return TRUE;
    }
  else
    {
      /* calloc() takes zero pages for large tensors instead of writing them. */
      self->base = calloc (1, self->size + ALIGNMENT);
      if (self->base != NULL)
        {
          self->data = (gpointer) (((guintptr) self->base + ALIGNMENT - 1) & ~(guintptr) (ALIGNMENT - 1));
          return TRUE;
        }
    }
  g_autofree char *text = format_dims (self->dims, self->n_dims);
  g_autofree char *amount = g_format_size_full (MAX (self->size, self->n_elements * sizeof (char *)),
                                                G_FORMAT_SIZE_IEC_UNITS);
  g_set_error (error, HT_ERROR, HT_ERROR_NO_MEMORY,
               "Cannot allocate %s for a %s tensor of %s: there is not enough memory; use a smaller batch or model",
               amount, ht_data_type_get_name (self->type), text);
  return FALSE;
}

/**
 * ht_tensor_new:
 * @type: the element type
 * @dims: (array length=n_dims) (nullable): the dimensions, none negative
 * @n_dims: the number of dimensions, at most %HT_TENSOR_MAX_DIMS; 0 makes a scalar
 * @error: return location for an error
 *
 * Makes a tensor with memory of its own, aligned to 64 bytes, all zero (strings: all empty). Fails with
 * %HT_ERROR_LIMIT_EXCEEDED when the dimensions overflow and with %HT_ERROR_NO_MEMORY when the memory is not to be had.
 *
 * Returns: (transfer full): the tensor, or %NULL with @error set
 */
HtTensor *
ht_tensor_new (HtDataType type, const gint64 *dims, guint n_dims, GError **error)
{
  g_return_val_if_fail (dims != NULL || n_dims == 0, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  g_autoptr (HtTensor) self = new_header (type, dims, n_dims, HT_TENSOR_OWNED, error);
  if (self == NULL || !allocate (self, error))
    return NULL;
  for (gsize i = 0; type == HT_DATA_TYPE_STRING && i < self->n_elements; i++)
    self->strings[i] = g_strdup ("");
  return g_steal_pointer (&self);
}

static gsize
required_alignment (HtDataType type)
{
  guint bytes = ht_data_type_get_bits (type) / 8;
  if (type == HT_DATA_TYPE_COMPLEX64 || type == HT_DATA_TYPE_COMPLEX128)
    bytes /= 2;
  return MAX (bytes, 1);
}

/**
 * ht_tensor_new_from_bytes:
 * @type: the element type, not %HT_DATA_TYPE_STRING
 * @dims: (array length=n_dims) (nullable): the dimensions
 * @n_dims: the number of dimensions
 * @bytes: the elements, little-endian, in row-major order; exactly as many bytes as the tensor needs
 * @error: return location for an error
 *
 * Makes a tensor over memory that is there already, such as a part of a mapped file, without copying it. Only where the
 * memory is not aligned for @type are the elements copied.
 *
 * Returns: (transfer full): the tensor, or %NULL with @error set
 */
HtTensor *
ht_tensor_new_from_bytes (HtDataType type, const gint64 *dims, guint n_dims, GBytes *bytes, GError **error)
{
  g_return_val_if_fail (type != HT_DATA_TYPE_STRING, NULL);
  g_return_val_if_fail (dims != NULL || n_dims == 0, NULL);
  g_return_val_if_fail (bytes != NULL, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  g_autoptr (HtTensor) self = new_header (type, dims, n_dims, HT_TENSOR_BYTES, error);
  if (self == NULL)
    return NULL;
  gsize size = 0;
  gconstpointer data = g_bytes_get_data (bytes, &size);
  if (size != self->size)
    {
      g_autofree char *text = format_dims (dims, n_dims);
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                   "Cannot make a %s tensor of %s from %" G_GSIZE_FORMAT " bytes: it takes %" G_GSIZE_FORMAT " bytes",
                   ht_data_type_get_name (type), text, size, self->size);
      return NULL;
    }
  if (size > 0 && (guintptr) data % required_alignment (type) == 0)
    {
      self->bytes = g_bytes_ref (bytes);
      self->data = (gpointer) data;
      return g_steal_pointer (&self);
    }
  self->memory = HT_TENSOR_OWNED;
  if (!allocate (self, error))
    return NULL;
  if (size > 0)
    memcpy (self->data, data, size);
  return g_steal_pointer (&self);
}

/**
 * ht_tensor_new_strings:
 * @strings: (array) (element-type utf8): as many strings as the dimensions span
 * @dims: (array length=n_dims) (nullable): the dimensions
 * @n_dims: the number of dimensions
 * @error: return location for an error
 *
 * Makes a tensor of strings, which are copied.
 *
 * Returns: (transfer full): the tensor, or %NULL with @error set
 */
HtTensor *
ht_tensor_new_strings (const char *const *strings, const gint64 *dims, guint n_dims, GError **error)
{
  g_return_val_if_fail (dims != NULL || n_dims == 0, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  g_autoptr (HtTensor) self = new_header (HT_DATA_TYPE_STRING, dims, n_dims, HT_TENSOR_OWNED, error);
  if (self == NULL)
    return NULL;
  g_return_val_if_fail (strings != NULL || self->n_elements == 0, NULL);
  if (!allocate (self, error))
    return NULL;
  for (gsize i = 0; i < self->n_elements; i++)
    self->strings[i] = g_strdup (strings[i] != NULL ? strings[i] : "");
  return g_steal_pointer (&self);
}

static HtTensor *
new_vector (HtDataType type, gconstpointer values, gsize n_values)
{
  gint64 dim = (gint64) n_values;
  g_autoptr (GError) error = NULL;
  HtTensor *self = ht_tensor_new (type, &dim, 1, &error);
  /* The values are in memory already, so that a second time as much fails only where g_malloc() fails too. */
  g_return_val_if_fail (self != NULL, NULL);
  if (n_values > 0)
    memcpy (self->data, values, self->size);
  return self;
}

/**
 * ht_tensor_new_floats:
 * @values: (array length=n_values) (nullable): the elements
 * @n_values: their number
 *
 * Makes a vector of float.
 *
 * Returns: (transfer full): the tensor
 */
HtTensor *
ht_tensor_new_floats (const float *values, gsize n_values)
{
  g_return_val_if_fail (values != NULL || n_values == 0, NULL);
  return new_vector (HT_DATA_TYPE_FLOAT, values, n_values);
}

/**
 * ht_tensor_new_int64s:
 * @values: (array length=n_values) (nullable): the elements
 * @n_values: their number
 *
 * Makes a vector of int64, as shapes are.
 *
 * Returns: (transfer full): the tensor
 */
HtTensor *
ht_tensor_new_int64s (const gint64 *values, gsize n_values)
{
  g_return_val_if_fail (values != NULL || n_values == 0, NULL);
  return new_vector (HT_DATA_TYPE_INT64, values, n_values);
}

/**
 * ht_tensor_new_scalar:
 * @value: the value, converted as ht_tensor_cast() does from double
 * @type: the element type
 * @error: return location for an error
 *
 * Makes a tensor without dimensions. Fails with %HT_ERROR_DATA_TYPE for types that are not numbers.
 *
 * Returns: (transfer full): the tensor, or %NULL with @error set
 */
HtTensor *
ht_tensor_new_scalar (double value, HtDataType type, GError **error)
{
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);
  if (!ht_data_type_is_numeric (type))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_DATA_TYPE, "Cannot make a scalar of type %s: it is not a real number",
                   ht_data_type_get_name (type));
      return NULL;
    }
  HtTensor *self = ht_tensor_new (type, NULL, 0, error);
  if (self != NULL)
    ht_scalar_store (type, self->data, 0, value);
  return self;
}

HtTensor *
_ht_tensor_new_view (HtDataType type, const gint64 *dims, guint n_dims, gpointer data)
{
  g_return_val_if_fail (type != HT_DATA_TYPE_STRING && data != NULL, NULL);
  HtTensor *self = new_header (type, dims, n_dims, HT_TENSOR_VIEW, NULL);
  g_return_val_if_fail (self != NULL, NULL);
  self->data = data;
  return self;
}

/**
 * ht_tensor_ref:
 * @self: a tensor
 *
 * Takes a reference; any thread may.
 *
 * Returns: (transfer full): @self
 */
HtTensor *
ht_tensor_ref (HtTensor *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

/**
 * ht_tensor_unref:
 * @self: (transfer full): a tensor
 *
 * Drops a reference and, with the last one, the tensor.
 */
void
ht_tensor_unref (HtTensor *self)
{
  g_return_if_fail (self != NULL);
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  if (self->strings != NULL && self->memory == HT_TENSOR_OWNED)
    {
      for (gsize i = 0; i < self->n_elements; i++)
        g_free (self->strings[i]);
      g_free (self->strings);
    }
  if (self->elements != NULL)
    ht_tensor_list_free (self);
  free (self->base);
  g_clear_pointer (&self->bytes, g_bytes_unref);
  g_clear_pointer (&self->parent, ht_tensor_unref);
  g_free (self->digest);
  g_free (self);
}

/**
 * ht_tensor_get_data_type:
 * @self: a tensor
 *
 * Returns: the element type
 */
HtDataType
ht_tensor_get_data_type (HtTensor *self)
{
  g_return_val_if_fail (self != NULL, HT_DATA_TYPE_UNDEFINED);
  return self->type;
}

/**
 * ht_tensor_get_n_dims:
 * @self: a tensor
 *
 * Returns: the number of dimensions, 0 for a scalar
 */
guint
ht_tensor_get_n_dims (HtTensor *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->n_dims;
}

/**
 * ht_tensor_get_dims:
 * @self: a tensor
 * @n_dims: (out) (optional): return location for the number of dimensions
 *
 * Returns: (array length=n_dims) (transfer none): the dimensions
 */
const gint64 *
ht_tensor_get_dims (HtTensor *self, guint *n_dims)
{
  g_return_val_if_fail (self != NULL, NULL);
  if (n_dims != NULL)
    *n_dims = self->n_dims;
  return self->dims;
}

/**
 * ht_tensor_get_dim:
 * @self: a tensor
 * @axis: an axis below the number of dimensions
 *
 * Returns: the extent along @axis
 */
gint64
ht_tensor_get_dim (HtTensor *self, guint axis)
{
  g_return_val_if_fail (self != NULL, 0);
  g_return_val_if_fail (axis < self->n_dims, 0);
  return self->dims[axis];
}

/**
 * ht_tensor_get_n_elements:
 * @self: a tensor
 *
 * Returns: the number of elements, 1 for a scalar
 */
gsize
ht_tensor_get_n_elements (HtTensor *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->n_elements;
}

/**
 * ht_tensor_get_size:
 * @self: a tensor
 *
 * Returns: the bytes that the elements take, rounded up for packed types; 0 for strings and lists
 */
gsize
ht_tensor_get_size (HtTensor *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->size;
}

/**
 * ht_tensor_get_data: (skip)
 * @self: a tensor
 *
 * The elements in row-major order, aligned for their type. Bindings use ht_tensor_get_bytes().
 *
 * Returns: (transfer none) (nullable): the elements, %NULL for strings and lists
 */
gconstpointer
ht_tensor_get_data (HtTensor *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  return self->data;
}

/**
 * ht_tensor_get_bytes:
 * @self: a tensor
 *
 * The elements as bytes, without a copy where the tensor can keep them: as long as the bytes live, the tensor has one
 * owner more and is not writable.
 *
 * Returns: (transfer full) (nullable): the bytes, %NULL for strings and lists
 */
GBytes *
ht_tensor_get_bytes (HtTensor *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  if (self->data == NULL)
    return NULL;
  if (self->memory == HT_TENSOR_BYTES)
    return g_bytes_ref (self->bytes);
  if (self->memory == HT_TENSOR_VIEW)
    return g_bytes_new (self->data, self->size);
  return g_bytes_new_with_free_func (self->data, self->size, (GDestroyNotify) ht_tensor_unref, ht_tensor_ref (self));
}

/**
 * ht_tensor_get_strings:
 * @self: a tensor
 *
 * Returns: (array zero-terminated=1) (transfer none) (nullable): the strings, %NULL for another element type
 */
const char *const *
ht_tensor_get_strings (HtTensor *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  return (const char *const *) self->strings;
}

/**
 * ht_tensor_describe:
 * @self: a tensor
 *
 * Type and dimensions for messages, such as "float[64x3x3x3]"; a scalar is "float[]".
 *
 * Returns: (transfer full): the text
 */
char *
ht_tensor_describe (HtTensor *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_autofree char *dims = format_dims (self->dims, self->n_dims);
  return g_strconcat (ht_data_type_get_name (self->type), dims, NULL);
}

/**
 * ht_tensor_get_writable_data: (skip)
 * @self: a tensor that has one owner and memory of its own
 *
 * The elements, to be written. It is the caller's bug to ask for them where somebody else holds the tensor or where it
 * is a view of a file or of another tensor or where a graph has held it: write to an ht_tensor_copy() then. Do not keep the pointer longer than the
 * tensor is yours alone.
 *
 * Returns: (transfer none) (nullable): the elements, %NULL for strings, lists and a tensor that is not to be written
 */
gpointer
ht_tensor_get_writable_data (HtTensor *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  if (self->memory != HT_TENSOR_VIEW)
    {
      g_return_val_if_fail (self->memory == HT_TENSOR_OWNED, NULL);
      g_return_val_if_fail (g_atomic_ref_count_compare (&self->ref_count, 1), NULL);
      g_return_val_if_fail (!g_atomic_int_get (&self->kept), NULL);
    }
  g_clear_pointer (&self->digest, g_free);
  return self->data;
}

/**
 * ht_tensor_copy:
 * @self: a tensor
 * @error: return location for an error
 *
 * Makes a tensor of the same content with memory of its own. The copy of a list has the same elements.
 *
 * Returns: (transfer full): the copy, or %NULL with @error set
 */
HtTensor *
ht_tensor_copy (HtTensor *self, GError **error)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (self->type == HT_DATA_TYPE_STRING)
    return ht_tensor_new_strings ((const char *const *) self->strings, self->dims, self->n_dims, error);
  if (self->elements != NULL)
    return ht_tensor_new_list (self->type, self->elements, self->n_elements, error);
  HtTensor *copy = ht_tensor_new (self->type, self->dims, self->n_dims, error);
  if (copy != NULL && self->size > 0)
    memcpy (copy->data, self->data, self->size);
  return copy;
}

/**
 * ht_tensor_reshape:
 * @self: a tensor
 * @dims: (array length=n_dims) (nullable): the new dimensions
 * @n_dims: their number
 * @error: return location for an error
 *
 * Gives the same elements other dimensions. The memory is shared, so neither tensor is writable while both live; a view
 * of an arena is copied. Fails with %HT_ERROR_SHAPE where the number of elements differs.
 *
 * Returns: (transfer full): the tensor, or %NULL with @error set
 */
HtTensor *
ht_tensor_reshape (HtTensor *self, const gint64 *dims, guint n_dims, GError **error)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_return_val_if_fail (dims != NULL || n_dims == 0, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  g_autoptr (HtTensor) result = new_header (self->type, dims, n_dims, HT_TENSOR_SHARED, error);
  if (result == NULL)
    return NULL;
  if (result->n_elements != self->n_elements)
    {
      g_autofree char *from = ht_tensor_describe (self);
      g_autofree char *to = format_dims (dims, n_dims);
      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
                   "Cannot reshape %s to %s: it has %" G_GSIZE_FORMAT " elements, not %" G_GSIZE_FORMAT, from, to,
                   self->n_elements, result->n_elements);
      return NULL;
    }
  if (self->memory == HT_TENSOR_VIEW)
    {
      result->memory = HT_TENSOR_OWNED;
      if (!allocate (result, error))
        return NULL;
      if (self->size > 0)
        memcpy (result->data, self->data, self->size);
      return g_steal_pointer (&result);
    }
  result->parent = ht_tensor_ref (self->memory == HT_TENSOR_SHARED ? self->parent : self);
  result->data = self->data;
  result->strings = self->strings;
  return g_steal_pointer (&result);
}

/**
 * ht_tensor_equal:
 * @a: a tensor
 * @b: another tensor
 *
 * Compares type, dimensions and bits: 0.0 differs from -0.0, and a NaN equals itself.
 *
 * Returns: %TRUE when they are the same
 */
gboolean
ht_tensor_equal (HtTensor *a, HtTensor *b)
{
  g_return_val_if_fail (a != NULL && b != NULL, FALSE);
  if (a == b)
    return TRUE;
  if (a->type != b->type || a->n_dims != b->n_dims || memcmp (a->dims, b->dims, a->n_dims * sizeof a->dims[0]) != 0)
    return FALSE;
  for (gsize i = 0; a->strings != NULL && i < a->n_elements; i++)
    if (strcmp (a->strings[i], b->strings[i]) != 0)
      return FALSE;
  if (a->elements != NULL && !ht_tensor_list_equal (a, b))
    return FALSE;
  if (a->size == 0 || a->data == b->data)
    return TRUE;
  /* The bits after the last element of a packed type are padding. */
  gsize tail = a->n_elements * ht_data_type_get_bits (a->type) % 8;
  gsize whole = tail == 0 ? a->size : a->size - 1;
  if (memcmp (a->data, b->data, whole) != 0)
    return FALSE;
  guint8 mask = (guint8) ((1u << tail) - 1);
  return tail == 0 || ((((guint8 *) a->data)[whole] ^ ((guint8 *) b->data)[whole]) & mask) == 0;
}

static const char *
compute_digest (HtTensor *self)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  g_autofree char *header = ht_tensor_describe (self);
  g_checksum_update (checksum, (const guchar *) header, (gssize) strlen (header) + 1);
  for (gsize i = 0; self->strings != NULL && i < self->n_elements; i++)
    g_checksum_update (checksum, (const guchar *) self->strings[i], (gssize) strlen (self->strings[i]) + 1);
  for (gsize i = 0; self->elements != NULL && i < self->n_elements; i++)
    g_checksum_update (checksum, (const guchar *) ht_tensor_get_digest (self->elements[i]), -1);
  if (self->size > 0)
    {
      gsize tail = self->n_elements * ht_data_type_get_bits (self->type) % 8;
      gsize whole = tail == 0 ? self->size : self->size - 1;
      g_checksum_update (checksum, self->data, (gssize) whole);
      if (tail != 0)
        {
          guint8 last = (guint8) (((guint8 *) self->data)[whole] & ((1u << tail) - 1));
          g_checksum_update (checksum, &last, 1);
        }
    }
  char *digest = g_strdup (g_checksum_get_string (checksum));
  if (!g_atomic_pointer_compare_and_exchange (&self->digest, NULL, digest))
    g_free (digest);
  return g_atomic_pointer_get (&self->digest);
}

const char *
ht_tensor_get_digest (HtTensor *self)
{
  const char *digest = g_atomic_pointer_get (&self->digest);
  return digest != NULL ? digest : compute_digest (self);
}

HtTensor *
ht_tensor_keep (HtTensor *self)
{
  if (self->memory != HT_TENSOR_VIEW)
    {
      if (!g_atomic_int_get (&self->kept))
        g_atomic_int_set (&self->kept, TRUE);
      return ht_tensor_ref (self);
    }
  g_autoptr (GError) error = NULL;
  HtTensor *copy = ht_tensor_copy (self, &error);
  return copy != NULL ? copy : ht_tensor_ref (self);
}
