/* SPDX-License-Identifier: MIT */
#include "base/map-file.h"

#include <halftone/error.h>

#include <errno.h>
#include <glib/gstdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

GBytes *
ht_map_file (const char *path, const char *what, GError **error)
{
  GStatBuf status;
  if (g_stat (path, &status) != 0)
    {
      int code = errno;
      g_set_error (error, HT_ERROR, code == ENOENT || code == ENOTDIR ? HT_ERROR_NOT_FOUND : HT_ERROR_FAILED,
                   "Opening %s '%s': %s; check the path", what, path, g_strerror (code));
      return NULL;
    }
  /* Opening a pipe would wait for a writer, and a device has no size. */
  if (!S_ISREG (status.st_mode))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "Opening %s '%s': it is %s, not a file", what, path,
                   S_ISDIR (status.st_mode) ? "a folder" : "a device or pipe");
      return NULL;
    }
  g_autoptr (GError) cause = NULL;
  g_autoptr (GMappedFile) file = g_mapped_file_new (path, FALSE, &cause);
  if (!file)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_FAILED, "Opening %s '%s': %s", what, path, cause->message);
      return NULL;
    }
  return g_mapped_file_get_bytes (file);
}

void
ht_map_let_go (GBytes *bytes)
{
  gsize size;
  gconstpointer data = g_bytes_get_data (bytes, &size);

  /* Nobody can write to the mapping, so nothing is lost. An empty file is not mapped. */
  if (size > 0)
    madvise ((gpointer)data, size, MADV_DONTNEED);
}
