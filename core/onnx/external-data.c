/* SPDX-License-Identifier: MIT */
#include "onnx/external-data.h"
#include "base/map-file.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <halftone/error.h>
#include <stdlib.h>
#include <string.h>

struct _HtExternalData
{
  char *folder;
  GHashTable *files; /* location -> GBytes */
};

HtExternalData *
ht_external_data_new (const char *folder)
{
  HtExternalData *self = g_new0 (HtExternalData, 1);
  self->folder = g_strdup (folder);
  self->files = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_bytes_unref);
  return self;
}

void
ht_external_data_free (HtExternalData *self)
{
  g_free (self->folder);
  g_hash_table_unref (self->files);
  g_free (self);
}

static gboolean
leaves_folder (const char *location)
{
  if (*location == '\0' || g_path_is_absolute (location) || strchr (location, '\\'))
    return TRUE;
  g_auto (GStrv) parts = g_strsplit (location, "/", -1);
  for (guint i = 0; parts[i]; i++)
    if (g_str_equal (parts[i], ".."))
      return TRUE;
  return FALSE;
}

static gboolean
refuse_location (const char *what, const char *location, GError **error)
{
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_MODEL,
               "Loading tensor '%s': its external data '%s' is not inside the model's folder; put the file there", what,
               location);
  return FALSE;
}

/* Symbolic links inside the folder may lead to other files of the folder, and nowhere else. */
static gboolean
check_real_path (HtExternalData *self, const char *path, const char *location, const char *what, GError **error)
{
  g_autofree char *real = NULL;
  g_autofree char *real_folder = NULL;
  char *found = realpath (path, NULL);
  if (!found)
    return TRUE; /* opening it says why */
  real = g_strdup (found);
  free (found);
  found = realpath (self->folder, NULL);
  if (!found)
    return TRUE;
  real_folder = g_strdup (found);
  free (found);
  gsize length = strlen (real_folder);
  if (!g_str_has_prefix (real, real_folder) || (real[length] != '/' && real_folder[length - 1] != '/'))
    return refuse_location (what, location, error);
  return TRUE;
}

static GBytes *
open_file (HtExternalData *self, const char *location, const char *what, GError **error)
{
  GBytes *bytes = g_hash_table_lookup (self->files, location);
  if (bytes)
    return bytes;
  if (!self->folder)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_MODEL,
                   "Loading tensor '%s': its data is in the file '%s', but the model was given without a folder; load "
                   "the model by its path",
                   what, location);
      return NULL;
    }
  if (leaves_folder (location))
    {
      refuse_location (what, location, error);
      return NULL;
    }
  g_autofree char *path = g_build_filename (self->folder, location, NULL);
  if (!check_real_path (self, path, location, what, error))
    return NULL;
  g_autofree char *role = g_strdup_printf ("the external data of tensor '%s' in", what);
  bytes = ht_map_file (path, role, error);
  if (bytes)
    g_hash_table_insert (self->files, g_strdup (location), bytes);
  return bytes;
}

static gboolean
parse_number (const char *key, const char *text, const char *what, guint64 *value, GError **error)
{
  if (!g_ascii_string_to_unsigned (text, 10, 0, G_MAXINT64, value, NULL))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_MODEL,
                   "Loading tensor '%s': the %s of its external data is '%s', not a number of bytes", what, key, text);
      return FALSE;
    }
  return TRUE;
}

GBytes *
ht_external_data_get (HtExternalData *self, const Onnx__TensorProto *proto, gsize size, const char *what,
                      GError **error)
{
  g_autofree char *location = NULL;
  guint64 offset = 0;
  guint64 length = size;
  for (gsize i = 0; i < proto->n_external_data; i++)
    {
      const Onnx__StringStringEntryProto *entry = proto->external_data[i];
      const char *key = entry->key ? entry->key : "";
      g_autofree char *value = g_strndup (entry->value.data ? (const char *) entry->value.data : "", entry->value.len);
      if (g_str_equal (key, "location"))
        {
          g_free (location);
          location = g_utf8_make_valid (value, -1);
        }
      else if (g_str_equal (key, "offset") && !parse_number (key, value, what, &offset, error))
        return NULL;
      else if (g_str_equal (key, "length") && !parse_number (key, value, what, &length, error))
        return NULL;
    }
  if (!location)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_MODEL,
                   "Loading tensor '%s': it has external data, but no location says in which file", what);
      return NULL;
    }
  if (length != size)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_MODEL,
                   "Loading tensor '%s': its external data has %" G_GUINT64_FORMAT " bytes, its type and dimensions "
                   "take %" G_GSIZE_FORMAT,
                   what, length, size);
      return NULL;
    }
  GBytes *file = open_file (self, location, what, error);
  if (!file)
    return NULL;
  gsize file_size = g_bytes_get_size (file);
  if (offset > file_size || length > file_size - offset)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_MODEL,
                   "Loading tensor '%s': bytes %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT " of '%s' are wanted, but "
                   "the file has %" G_GSIZE_FORMAT "; it is truncated or belongs to another model",
                   what, offset, offset + length, location, file_size);
      return NULL;
    }
  return g_bytes_new_from_bytes (file, offset, length);
}
