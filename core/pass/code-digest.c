/* SPDX-License-Identifier: MIT */
#include "pass/code-digest.h"

#include <dlfcn.h>

static void
digest_file (GChecksum *checksum, const char *path)
{
  g_autoptr (GMappedFile) file = path != NULL ? g_mapped_file_new (path, FALSE, NULL) : NULL;
  gsize size = file != NULL ? g_mapped_file_get_length (file) : 0;
  guint64 length = GUINT64_TO_LE (size);

  g_checksum_update (checksum, (const guchar *)&length, sizeof length);
  if (size > 0)
    g_checksum_update (checksum, (const guchar *)g_mapped_file_get_contents (file), (gssize)size);
}

void
ht_digest_library (GChecksum *checksum)
{
  Dl_info library;

  if (dladdr ((gpointer)&ht_digest_library, &library) != 0)
    digest_file (checksum, library.dli_fname);
}

void
ht_digest_plugin (GChecksum *checksum, HtPlugin *plugin)
{
  digest_file (checksum, ht_plugin_get_path (plugin));
}
