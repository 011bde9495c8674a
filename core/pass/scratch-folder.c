/* SPDX-License-Identifier: MIT */
#include "pass/scratch-folder.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <halftone/error.h>

struct _HtScratchFolder
{
  char *parent, *path; /* path: NULL until it is there */
};

HtScratchFolder *
ht_scratch_folder_new (const char *parent)
{
  HtScratchFolder *self = g_new0 (HtScratchFolder, 1);
  self->parent = g_strdup (parent);
  return self;
}

void
ht_remove_folder (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *entry = g_build_filename (path, name, NULL);
      if (g_file_test (entry, G_FILE_TEST_IS_DIR) && !g_file_test (entry, G_FILE_TEST_IS_SYMLINK))
        ht_remove_folder (entry);
      else
        g_unlink (entry);
    }
  g_rmdir (path);
}

void
ht_scratch_folder_free (HtScratchFolder *self)
{
  if (self == NULL)
    return;
  if (self->path != NULL)
    ht_remove_folder (self->path);
  g_free (self->parent);
  g_free (self->path);
  g_free (self);
}

const char *
ht_scratch_folder_get_path (HtScratchFolder *self, GError **error)
{
  if (self->path != NULL)
    return self->path;
  const char *parent = self->parent != NULL ? self->parent : g_get_tmp_dir ();
  g_autofree char *path = g_build_filename (parent, "halftone-scratch-XXXXXX", NULL);
  if (g_mkdir_with_parents (parent, 0755) != 0 || g_mkdtemp_full (path, 0700) == NULL)
    {
      int code = errno;
      g_set_error (error, HT_ERROR, HT_ERROR_FAILED, "cannot make a folder for temporary files in '%s': %s", parent,
                   g_strerror (code));
      return NULL;
    }
  self->path = g_steal_pointer (&path);
  return self->path;
}
