/* SPDX-License-Identifier: MIT */
/* Reading .npy: a magic number, a version, a Python dict literal, then the elements. The dict is parsed strictly. */
#include "data/npy.h"

#include "base/map-file.h"

#include <halftone/dataset.h>
#include <halftone/error.h>

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_HEADER (1u << 20)

typedef struct
{
  const char *at;
  const char *end;
} Cursor;

typedef struct
{
  HtDataType type;
  gboolean fortran_order;
  gint64 dims[HT_TENSOR_MAX_DIMS];
  guint n_dims;
} Header;

typedef struct
{
  const char *descr;
  HtDataType type;
} TypeName;

static const TypeName type_names[] = {
  { "|u1", HT_DATA_TYPE_UINT8 },   { "|i1", HT_DATA_TYPE_INT8 },   { "|b1", HT_DATA_TYPE_BOOL },
  { "<u2", HT_DATA_TYPE_UINT16 },  { "<i2", HT_DATA_TYPE_INT16 },  { "<u4", HT_DATA_TYPE_UINT32 },
  { "<i4", HT_DATA_TYPE_INT32 },   { "<u8", HT_DATA_TYPE_UINT64 }, { "<i8", HT_DATA_TYPE_INT64 },
  { "<f2", HT_DATA_TYPE_FLOAT16 }, { "<f4", HT_DATA_TYPE_FLOAT },  { "<f8", HT_DATA_TYPE_DOUBLE },
};

static void
skip_spaces (Cursor *cursor)
{
  while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\n' || *cursor->at == '\t'))
    cursor->at++;
}

static gboolean
take (Cursor *cursor, char c)
{
  skip_spaces (cursor);
  if (cursor->at == cursor->end || *cursor->at != c)
    return FALSE;
  cursor->at++;
  return TRUE;
}

static gboolean
take_word (Cursor *cursor, const char *word)
{
  gsize length = strlen (word);

  skip_spaces (cursor);
  if ((gsize)(cursor->end - cursor->at) < length || memcmp (cursor->at, word, length) != 0)
    return FALSE;
  cursor->at += length;
  return TRUE;
}

/* A quoted text without escapes; NULL where there is none. */
static char *
take_text (Cursor *cursor)
{
  const char *start;
  char quote;

  skip_spaces (cursor);
  if (cursor->at == cursor->end || (*cursor->at != '\'' && *cursor->at != '"'))
    return NULL;
  quote = *cursor->at++;
  start = cursor->at;
  while (cursor->at < cursor->end && *cursor->at != quote)
    {
      if (*cursor->at == '\\' || !g_ascii_isprint (*cursor->at))
        return NULL;
      cursor->at++;
    }
  if (cursor->at == cursor->end)
    return NULL;
  return g_strndup (start, (gsize)(cursor->at++ - start));
}

static gboolean
take_dim (Cursor *cursor, gint64 *dim)
{
  const char *start;
  gint64 value = 0;

  skip_spaces (cursor);
  for (start = cursor->at; cursor->at < cursor->end && g_ascii_isdigit (*cursor->at); cursor->at++)
    if (__builtin_mul_overflow (value, (gint64)10, &value)
        || __builtin_add_overflow (value, (gint64)(*cursor->at - '0'), &value))
      return FALSE;
  *dim = value;
  return cursor->at > start;
}

static gboolean
take_shape (Cursor *cursor, Header *header)
{
  if (!take (cursor, '('))
    return FALSE;
  header->n_dims = 0;
  while (!take (cursor, ')'))
    {
      if (header->n_dims == HT_TENSOR_MAX_DIMS || !take_dim (cursor, &header->dims[header->n_dims]))
        return FALSE;
      header->n_dims++;
      if (take (cursor, ','))
        continue;
      /* (3) is a number in Python, no tuple */
      return header->n_dims > 1 && take (cursor, ')');
    }
  return TRUE;
}

static gboolean
parse_type (const char *descr, const char *what, HtDataType *type, GError **error)
{
  for (gsize i = 0; i < G_N_ELEMENTS (type_names); i++)
    if (g_str_equal (descr, type_names[i].descr)
        /* one byte has no order, but some writers give one */
        || (descr[0] == '<' && type_names[i].descr[0] == '|' && g_str_equal (descr + 1, type_names[i].descr + 1)))
      {
        *type = type_names[i].type;
        return TRUE;
      }
  if (descr[0] == '>')
    g_set_error (
        error, HT_ERROR, HT_ERROR_DATA_TYPE,
        "Reading '%s': found big-endian elements ('%s'), expected little-endian ones; convert it in NumPy with "
        "array.astype(array.dtype.newbyteorder('<'))",
        what, descr);
  else
    g_set_error (error, HT_ERROR, HT_ERROR_DATA_TYPE,
                 "Reading '%s': found elements of NumPy type '%s', expected bool, 8 to 64 bit integers or 16 to 64 bit "
                 "floating point; convert it in NumPy with array.astype('float32')",
                 what, descr);
  return FALSE;
}

static gboolean
malformed (const char *what, const char *found, GError **error)
{
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
               "Reading '%s': %s, expected the header of an .npy file; write the array again with numpy.save()", what,
               found);
  return FALSE;
}

static gboolean
parse_dict (Cursor *cursor, const char *what, Header *header, GError **error)
{
  gboolean has_type = FALSE, has_order = FALSE, has_shape = FALSE;

  if (!take (cursor, '{'))
    return malformed (what, "found no dictionary", error);
  while (!take (cursor, '}'))
    {
      g_autofree char *key = take_text (cursor);

      if (key == NULL || !take (cursor, ':'))
        return malformed (what, "found a dictionary with a malformed key", error);
      if (g_str_equal (key, "descr") && !has_type)
        {
          g_autofree char *descr = take_text (cursor);
          if (descr == NULL)
            return malformed (what, "found a structured element type or none", error);
          if (!parse_type (descr, what, &header->type, error))
            return FALSE;
          has_type = TRUE;
        }
      else if (g_str_equal (key, "fortran_order") && !has_order)
        {
          header->fortran_order = take_word (cursor, "True");
          if (!header->fortran_order && !take_word (cursor, "False"))
            return malformed (what, "found 'fortran_order' neither True nor False", error);
          has_order = TRUE;
        }
      else if (g_str_equal (key, "shape") && !has_shape)
        {
          if (!take_shape (cursor, header))
            return malformed (what, "found a 'shape' that is no tuple of at most 16 sizes", error);
          has_shape = TRUE;
        }
      else
        return malformed (what, "found an unknown or repeated key", error);
      if (!take (cursor, ','))
        {
          if (!take (cursor, '}'))
            return malformed (what, "found a dictionary that does not end", error);
          break;
        }
    }
  skip_spaces (cursor);
  if (!has_type || !has_order || !has_shape || cursor->at != cursor->end)
    return malformed (what, "found a header without 'descr', 'fortran_order' or 'shape', or with text after them",
                      error);
  return TRUE;
}

/* The number of bytes before the elements, or 0 with an error. */
static gsize
parse_header (const guint8 *data, gsize size, const char *what, Header *header, GError **error)
{
  gsize prefix, length;
  Cursor cursor;

  if (size < 10 || memcmp (data, "\x93NUMPY", 6) != 0)
    return malformed (what, "found another kind of file (or a truncated one)", error);
  if (data[6] < 1 || data[6] > 3 || data[7] != 0)
    return malformed (what, "found a version of the format other than 1.0, 2.0 and 3.0", error);
  prefix = data[6] == 1 ? 10 : 12;
  if (size < prefix)
    return malformed (what, "found a truncated file", error);
  length = data[8] | (gsize)data[9] << 8;
  if (data[6] != 1)
    length |= (gsize)data[10] << 16 | (gsize)data[11] << 24;
  if (length > MAX_HEADER || length > size - prefix)
    return malformed (what, "found a header longer than the file", error);
  cursor.at = (const char *)data + prefix;
  cursor.end = cursor.at + length;
  return parse_dict (&cursor, what, header, error) ? prefix + length : 0;
}

HtTensor *
ht_npy_parse (GBytes *bytes, const char *what, GError **error)
{
  g_autoptr (GBytes) elements = NULL;
  HtTensor *tensor;
  Header header = { 0 };
  gsize size, start, expected;
  const guint8 *data = g_bytes_get_data (bytes, &size);

  start = parse_header (data, size, what, &header, error);
  if (start == 0)
    return NULL;
  expected = ht_data_type_get_bits (header.type) / 8;
  for (guint i = 0; i < header.n_dims; i++)
    if (__builtin_mul_overflow (expected, (gsize)header.dims[i], &expected))
      {
        g_set_error (error, HT_ERROR, HT_ERROR_LIMIT_EXCEEDED,
                     "Reading '%s': found a shape of more bytes than memory can address; the file is damaged", what);
        return NULL;
      }
  if (size - start != expected)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                   "Reading '%s': found %" G_GSIZE_FORMAT " bytes of elements, expected %" G_GSIZE_FORMAT
                   " from its shape; the file is %s, copy or write it again",
                   what, size - start, expected, size - start < expected ? "truncated" : "too long");
      return NULL;
    }
  if (header.fortran_order && header.n_dims > 1)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
                   "Reading '%s': found Fortran order (columns first), expected C order; write it again with "
                   "numpy.save(path, numpy.ascontiguousarray(array))",
                   what);
      return NULL;
    }
  elements = g_bytes_new_from_bytes (bytes, start, expected);
  tensor = ht_tensor_new_from_bytes (header.type, header.dims, header.n_dims, elements, error);
  if (tensor == NULL)
    g_prefix_error (error, "Reading '%s': ", what);
  return tensor;
}

/**
 * ht_tensor_load_npy:
 * @path: an `.npy` file of format version 1.0, 2.0 or 3.0
 * @error: return location for an error
 *
 * Opens an array that `numpy.save()` wrote. The file is mapped into memory and not copied; it must not be changed in
 * place while the tensor lives (files that are replaced by renaming are safe). Fortran order, big-endian elements and
 * structured or text elements are refused.
 *
 * Returns: (transfer full): the array, or %NULL with @error set
 */
HtTensor *
ht_tensor_load_npy (const char *path, GError **error)
{
  g_autoptr (GBytes) bytes = NULL;

  g_return_val_if_fail (path != NULL, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);
  bytes = ht_map_file (path, "array", error);
  return bytes ? ht_npy_parse (bytes, path, error) : NULL;
}

GByteArray *
ht_npy_make_header (HtDataType type, const gint64 *dims, guint n_dims)
{
  static const guint8 magic[10] = { 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, 0, 0 };
  g_autoptr (GString) text = NULL;
  const char *descr = NULL;
  GByteArray *header;
  gsize length;

  for (gsize i = 0; i < G_N_ELEMENTS (type_names); i++)
    if (type_names[i].type == type)
      descr = type_names[i].descr;
  if (descr == NULL)
    return NULL;
  text = g_string_new (NULL);
  g_string_append_printf (text, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
  for (guint i = 0; i < n_dims; i++)
    g_string_append_printf (text, "%" G_GINT64_FORMAT "%s", dims[i], n_dims == 1 ? "," : i + 1 < n_dims ? ", " : "");
  g_string_append (text, "), }");
  /* Elements start at a multiple of 64 bytes, so that they can be mapped. */
  while ((sizeof magic + text->len + 1) % 64 != 0)
    g_string_append_c (text, ' ');
  g_string_append_c (text, '\n');
  length = text->len;
  header = g_byte_array_new ();
  g_byte_array_append (header, magic, sizeof magic);
  header->data[8] = (guint8)(length & 0xff);
  header->data[9] = (guint8)(length >> 8);
  g_byte_array_append (header, (const guint8 *)text->str, (guint)length);
  return header;
}
