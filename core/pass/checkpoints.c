/* SPDX-License-Identifier: MIT */
#include "pass/checkpoints.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <halftone/error.h>
#include <string.h>
#include <unistd.h>

/* A file is this, the digest of what follows, the name with its terminator, the data. */
#define MAGIC       "halftone checkpoint 1\n"
#define DIGEST_SIZE ((gsize)32)
#define HEAD_SIZE   (sizeof MAGIC - 1 + DIGEST_SIZE)

struct _HtCheckpoints
{
  char *folder;
};

HtCheckpoints *
ht_checkpoints_new (const char *folder)
{
  HtCheckpoints *self = g_new0 (HtCheckpoints, 1);
  self->folder = g_strdup (folder);
  return self;
}

void
ht_checkpoints_free (HtCheckpoints *self)
{
  if (self == NULL)
    return;
  g_free (self->folder);
  g_free (self);
}

/* Names of tensors may hold anything, and may be long. */
static char *
make_path (HtCheckpoints *self, const char *name)
{
  g_autofree char *digest = g_compute_checksum_for_string (G_CHECKSUM_SHA256, name, -1);
  digest[32] = '\0';
  return g_build_filename (self->folder, digest, NULL);
}

static void
digest_of (const guint8 *data, gsize size, guint8 *digest)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  gsize length = DIGEST_SIZE;

  for (gsize done = 0; done < size; done += MIN (size - done, (gsize)1 << 24))
    g_checksum_update (checksum, data + done, (gssize)MIN (size - done, (gsize)1 << 24));
  g_checksum_get_digest (checksum, digest, &length);
}

/* Written to a temporary name and renamed. It need not outlive the system: what a failing disk tears, the digest finds,
 * and waiting for the disk takes longer than many a layer. */
static gboolean
write_file (const char *path, GByteArray *content, GError **error)
{
  g_autofree char *temporary = g_strdup_printf ("%s.XXXXXX", path);
  int fd = g_mkstemp_full (temporary, O_WRONLY | O_CLOEXEC, 0644);
  gsize done = 0;

  while (fd >= 0 && done < content->len)
    {
      gssize written = write (fd, content->data + done, content->len - done);
      if (written < 0 && errno != EINTR)
        break;
      done += (gsize)MAX (written, 0);
    }
  int code = errno;
  gboolean closed = fd >= 0 && g_close (fd, NULL);
  if (closed && done == content->len && g_rename (temporary, path) == 0)
    return TRUE;
  if (closed && done == content->len)
    code = errno;
  if (fd >= 0)
    g_unlink (temporary);
  g_set_error (error, HT_ERROR, HT_ERROR_FAILED, "keeping checkpoint '%s': %s; what it holds is lost when the run ends",
               path, g_strerror (code));
  return FALSE;
}

gboolean
ht_checkpoints_store (HtCheckpoints *self, const char *name, GBytes *data, GError **error)
{
  g_autofree char *path = make_path (self, name);
  g_autoptr (GByteArray) file = g_byte_array_new ();
  gsize size;
  const guint8 *bytes = g_bytes_get_data (data, &size);

  if (size > G_MAXUINT / 2)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_LIMIT_EXCEEDED,
                   "keeping checkpoint '%s': found %" G_GSIZE_FORMAT " bytes; expected at most 2 GiB", name, size);
      return FALSE;
    }
  if (g_mkdir_with_parents (self->folder, 0755) != 0)
    {
      int code = errno;
      g_set_error (error, HT_ERROR, HT_ERROR_FAILED, "keeping checkpoint '%s': cannot make the folder '%s': %s", name,
                   self->folder, g_strerror (code));
      return FALSE;
    }
  g_byte_array_append (file, (const guint8 *)MAGIC, sizeof MAGIC - 1);
  g_byte_array_set_size (file, HEAD_SIZE);
  g_byte_array_append (file, (const guint8 *)name, (guint)strlen (name) + 1);
  if (size > 0)
    g_byte_array_append (file, bytes, (guint)size);
  digest_of (file->data + HEAD_SIZE, file->len - HEAD_SIZE, file->data + sizeof MAGIC - 1);
  return write_file (path, file, error);
}

GBytes *
ht_checkpoints_fetch (HtCheckpoints *self, const char *name, GError **error)
{
  g_autofree char *path = make_path (self, name);
  g_autoptr (GError) unread = NULL;
  g_autofree char *file = NULL;
  gsize size, name_size = strlen (name) + 1;
  guint8 digest[DIGEST_SIZE];

  if (!g_file_get_contents (path, &file, &size, &unread))
    {
      if (!g_error_matches (unread, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "checkpoint '%s' cannot be read: %s", path,
                     unread->message);
      return NULL;
    }
  gboolean is_whole = size >= HEAD_SIZE + name_size && memcmp (file, MAGIC, sizeof MAGIC - 1) == 0;
  if (is_whole)
    digest_of ((const guint8 *)file + HEAD_SIZE, size - HEAD_SIZE, digest);
  if (!is_whole || memcmp (digest, file + sizeof MAGIC - 1, DIGEST_SIZE) != 0
      || memcmp (file + HEAD_SIZE, name, name_size) != 0)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "checkpoint '%s' is damaged", path);
      return NULL;
    }
  g_autoptr (GBytes) whole = g_bytes_new_take (g_steal_pointer (&file), size);
  return g_bytes_new_from_bytes (whole, HEAD_SIZE + name_size, size - HEAD_SIZE - name_size);
}
