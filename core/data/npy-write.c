/* SPDX-License-Identifier: MIT */
/* Writing .npy, first under a temporary name. */
#include "data/npy.h"

#include <halftone/dataset.h>
#include <halftone/error.h>

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <unistd.h>

static gboolean
write_all (int fd, gconstpointer data, gsize size)
{
  const guint8 *at = data;

  while (size > 0)
    {
      gssize written = write (fd, at, MIN (size, (gsize)1 << 30));
      if (written < 0 && errno == EINTR)
        continue;
      if (written <= 0)
        return FALSE;
      at += written;
      size -= (gsize)written;
    }
  return TRUE;
}

static gboolean
write_file (const char *path, GByteArray *header, HtTensor *tensor, GError **error)
{
  g_autofree char *temporary = g_strconcat (path, ".XXXXXX", NULL);
  int fd = g_mkstemp_full (temporary, O_RDWR | O_CLOEXEC, 0666);
  gboolean written;
  int saved;

  if (fd < 0)
    {
      saved = errno;
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (saved),
                   "Writing '%s': %s; check that its folder exists and can be written", path, g_strerror (saved));
      return FALSE;
    }
  written = write_all (fd, header->data, header->len)
            && write_all (fd, ht_tensor_get_data (tensor), ht_tensor_get_size (tensor));
  saved = errno;
  if (close (fd) != 0 && written)
    {
      written = FALSE;
      saved = errno;
    }
  if (written && g_rename (temporary, path) != 0)
    {
      written = FALSE;
      saved = errno;
    }
  if (!written)
    {
      g_unlink (temporary);
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (saved),
                   "Writing '%s': %s; check the free space and the permissions there", path, g_strerror (saved));
    }
  return written;
}

/**
 * ht_tensor_save_npy:
 * @self: an array
 * @path: where to write it
 * @error: return location for an error
 *
 * Writes an array as `.npy`, format version 1.0, for `numpy.load()`. Element types that NumPy lacks (bfloat16, 8-bit
 * floating point) are written as float32, 4-bit and 2-bit integers as 8-bit ones. The file appears whole or not at all.
 *
 * Returns: %TRUE, or %FALSE with @error set and no file made
 */
gboolean
ht_tensor_save_npy (HtTensor *self, const char *path, GError **error)
{
  g_autoptr (HtTensor) tensor = NULL;
  g_autoptr (GByteArray) header = NULL;
  const gint64 *dims;
  guint n_dims;
  HtDataType type;

  g_return_val_if_fail (self != NULL && path != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);
  dims = ht_tensor_get_dims (self, &n_dims);
  type = ht_tensor_get_data_type (self);
  header = ht_npy_make_header (type, dims, n_dims);
  tensor = ht_tensor_ref (self);
  if (header == NULL)
    {
      if (type == HT_DATA_TYPE_STRING || type == HT_DATA_TYPE_COMPLEX64 || type == HT_DATA_TYPE_COMPLEX128
          || type == HT_DATA_TYPE_UNDEFINED)
        {
          g_set_error (error, HT_ERROR, HT_ERROR_DATA_TYPE,
                       "Writing '%s': found elements of type %s, expected numbers; choose another tensor", path,
                       ht_data_type_get_name (type));
          return FALSE;
        }
      if (ht_data_type_is_float (type))
        type = HT_DATA_TYPE_FLOAT;
      else
        type = type == HT_DATA_TYPE_UINT4 || type == HT_DATA_TYPE_UINT2 ? HT_DATA_TYPE_UINT8 : HT_DATA_TYPE_INT8;
      g_clear_pointer (&tensor, ht_tensor_unref);
      tensor = ht_tensor_cast (self, type, error);
      if (tensor == NULL)
        return FALSE;
      header = ht_npy_make_header (type, dims, n_dims);
    }
  return write_file (path, header, tensor, error);
}
