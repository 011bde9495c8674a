/* SPDX-License-Identifier: MIT */
/* Where target configurations are looked for: paths, the folders of the environment, the library itself. */
#include "quant/target-private.h"

#include "targets-resource.h"

#include <halftone/error.h>
#include <halftone/param.h>
#include <string.h>

#define ROOT "/halftone/targets/"

static gboolean
is_path (const char *target)
{
  return strchr (target, G_DIR_SEPARATOR) != NULL || g_str_has_suffix (target, ".json");
}

static char *
find_shipped (const char *name, char **file, gsize *length)
{
  g_autofree char *path = g_strconcat (ROOT, name, ".json", NULL);
  g_autoptr (GBytes) bytes
      = g_resource_lookup_data (ht_targets_get_resource (), path, G_RESOURCE_LOOKUP_FLAGS_NONE, NULL);
  gconstpointer data;

  if (!bytes)
    return NULL;
  data = g_bytes_get_data (bytes, length);
  *file = g_strconcat (name, ".json", NULL);
  return g_strndup (data, *length);
}

/* NULL without an error: no folder has it. */
static char *
find_in_folders (const char *name, char **file, gsize *length, GError **error)
{
  const char *list = g_getenv ("HALFTONE_TARGET_PATH");
  g_auto (GStrv) folders = g_strsplit (list ? list : "", G_SEARCHPATH_SEPARATOR_S, -1);
  g_autofree char *base = g_strconcat (name, ".json", NULL);

  for (guint i = 0; folders[i]; i++)
    {
      g_autofree char *path = folders[i][0] ? g_build_filename (folders[i], base, NULL) : NULL;
      char *text;

      if (!path || !g_file_test (path, G_FILE_TEST_EXISTS))
        continue;
      if (!g_file_get_contents (path, &text, length, error))
        return NULL;
      *file = g_steal_pointer (&path);
      return text;
    }
  return NULL;
}

static void
set_not_found (const char *target, GError **error)
{
  g_auto (GStrv) names = ht_target_list_names ();
  g_autofree char *known = g_strjoinv (", ", names);
  const char *near = ht_suggest (target, (const char *const *)names);

  g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND,
               "choosing the quantization target: there is no '%s'%s%s%s; expected the path of a file or one of: %s",
               target, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "", known);
}

char *
ht_target_find_text (const char *target, const char *folder, char **file, gsize *length, GError **error)
{
  GError *unread = NULL;
  char *text;

  if (!is_path (target))
    {
      text = find_shipped (target, file, length);
      if (!text)
        text = find_in_folders (target, file, length, &unread);
      if (!text && !unread)
        set_not_found (target, error);
    }
  else
    {
      *file = folder && !g_path_is_absolute (target) ? g_build_filename (folder, target, NULL) : g_strdup (target);
      if (!g_file_get_contents (*file, &text, length, &unread))
        text = NULL;
    }
  if (unread)
    g_propagate_prefixed_error (error, unread, "reading the target configuration '%s': ", target);
  return text;
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

/**
 * ht_target_list_names:
 *
 * Lists the targets that come with the library.
 *
 * Returns: (transfer full) (array zero-terminated=1): their names
 */
char **
ht_target_list_names (void)
{
  g_auto (GStrv) files
      = g_resource_enumerate_children (ht_targets_get_resource (), ROOT, G_RESOURCE_LOOKUP_FLAGS_NONE, NULL);
  guint n_files = files ? g_strv_length (files) : 0;

  for (guint i = 0; i < n_files; i++)
    files[i][strlen (files[i]) - strlen (".json")] = '\0';
  if (n_files > 1)
    qsort (files, n_files, sizeof *files, compare_names);
  return g_steal_pointer (&files);
}
