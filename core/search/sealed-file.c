/* SPDX-License-Identifier: MIT */
#include "search/sealed-file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <halftone/error.h>
#include <string.h>
#include <unistd.h>

/* A file is this, the SHA-256 of the rest, the rest. Together they are a multiple of 8, as values want to be aligned.
 */
#define MAGIC       "halftone sealed file 1\n"
#define MAGIC_SIZE  ((gsize)24) /* with the terminator */
#define DIGEST_SIZE ((gsize)32)
#define HEAD_SIZE   (MAGIC_SIZE + DIGEST_SIZE)
G_STATIC_ASSERT (sizeof MAGIC == MAGIC_SIZE);

#define CHUNK ((gsize)1 << 20)

void
ht_set_file_error (GError **error, int code, const char *action, const char *path)
{
  g_set_error (error, G_FILE_ERROR, (gint)g_file_error_from_errno (code), "cannot %s '%s': %s", action, path,
               g_strerror (code));
}

static void
get_digest (const guint8 *data, gsize size, guint8 *digest)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  gsize length = DIGEST_SIZE;

  for (gsize done = 0; done < size; done += MIN (size - done, CHUNK))
    g_checksum_update (checksum, data + done, (gssize)MIN (size - done, CHUNK));
  g_checksum_get_digest (checksum, digest, &length);
}

gboolean
ht_sealed_file_write (const char *path, GVariant *value, GError **error)
{
  gsize size = g_variant_get_size (value);
  g_autofree guint8 *file = g_malloc0 (HEAD_SIZE + size);

  memcpy (file, MAGIC, MAGIC_SIZE);
  g_variant_store (value, file + HEAD_SIZE);
  get_digest (file + HEAD_SIZE, size, file + MAGIC_SIZE);
  return g_file_set_contents_full (path, (const char *)file, (gssize)(HEAD_SIZE + size), G_FILE_SET_CONTENTS_DURABLE,
                                   0644, error);
}

GVariant *
ht_sealed_file_read (const char *path, const GVariantType *type, GError **error)
{
  g_autofree char *file = NULL;
  guint8 digest[DIGEST_SIZE];
  gsize size;

  if (!g_file_get_contents (path, &file, &size, error))
    return NULL;
  gboolean is_whole = size >= HEAD_SIZE && memcmp (file, MAGIC, MAGIC_SIZE) == 0;
  if (is_whole)
    get_digest ((const guint8 *)file + HEAD_SIZE, size - HEAD_SIZE, digest);
  if (!is_whole || memcmp (digest, file + MAGIC_SIZE, DIGEST_SIZE) != 0)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "'%s' is not what was written: its checksum differs", path);
      return NULL;
    }
  g_autoptr (GBytes) whole = g_bytes_new_take (g_steal_pointer (&file), size);
  g_autoptr (GBytes) content = g_bytes_new_from_bytes (whole, HEAD_SIZE, size - HEAD_SIZE);
  g_autoptr (GVariant) value = g_variant_ref_sink (g_variant_new_from_bytes (type, content, FALSE));
  if (!g_variant_is_normal_form (value))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "'%s' holds another kind of value than expected", path);
      return NULL;
    }
  return g_steal_pointer (&value);
}

static int
open_file (const char *path, GError **error)
{
  int fd = g_open (path, O_RDONLY | O_CLOEXEC, 0);

  if (fd < 0)
    ht_set_file_error (error, errno, "open", path);
  return fd;
}

char *
ht_file_hash (const char *path, guint64 *size, GError **error)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  g_autofree guint8 *buffer = g_malloc (CHUNK);
  gssize n_bytes;
  int code = 0, fd = open_file (path, error);

  if (fd < 0)
    return NULL;
  *size = 0;
  while ((n_bytes = read (fd, buffer, CHUNK)) != 0)
    {
      if (n_bytes < 0 && errno == EINTR)
        continue;
      if (n_bytes < 0)
        {
          code = errno;
          break;
        }
      g_checksum_update (checksum, buffer, n_bytes);
      *size += (guint64)n_bytes;
    }
  close (fd);
  if (code == 0)
    return g_strdup (g_checksum_get_string (checksum));
  ht_set_file_error (error, code, "read", path);
  return NULL;
}

gboolean
ht_path_sync (const char *path, GError **error)
{
  int code = 0, fd = open_file (path, error);

  if (fd < 0)
    return FALSE;
  /* Some file systems know no such thing for folders. */
  if (fsync (fd) != 0 && errno != EINVAL && errno != ENOTSUP)
    code = errno;
  close (fd);
  if (code != 0)
    ht_set_file_error (error, code, "write through to the disk", path);
  return code == 0;
}
