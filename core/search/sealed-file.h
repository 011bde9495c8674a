/* SPDX-License-Identifier: MIT */
/* Values in files that are read back only as they were written. */
#pragma once

#include <gio/gio.h>

/* Writes a value to a new file, through to the disk. After a failure there may be a part of the file. */
gboolean ht_sealed_file_write (const char *path, GVariant *value, GError **error);
/* Fails with G_FILE_ERROR where the file cannot be read, with HT_ERROR_INVALID_DATA where it is not what was written.
 */
GVariant *ht_sealed_file_read (const char *path, const GVariantType *type, GError **error);
/* SHA-256 of a file, in hexadecimal. */
char *ht_file_hash (const char *path, guint64 *size, GError **error);
/* What is under this name is on the disk when this returns: contents of a file, entries of a folder. */
gboolean ht_path_sync (const char *path, GError **error);

/* Sets `error` to the G_FILE_ERROR of an `errno`. */
void ht_set_file_error (GError **error, int code, const char *action, const char *path);
