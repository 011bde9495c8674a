/* SPDX-License-Identifier: MIT */
/* Where plugins are looked for. */
#include "pass/plugin-private.h"

#include <halftone/error.h>

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>

typedef struct
{
  GPtrArray *folders;
  GHashTable *seen;
  GPtrArray *failed;
} Search;

static void
report (Search *self, const char *folder, const char *problem)
{
  HtPlugin *entry = ht_plugin_new (folder);
  ht_plugin_fail (entry, HT_PLUGIN_ERROR_OPEN, "%s", problem);
  g_ptr_array_add (self->failed, entry);
}

/* `expected`: somebody named this very folder, so that it is a mistake if it is not there. */
static void
add_folder (Search *self, const char *folder, gboolean expected)
{
  g_autofree char *canonical = g_canonicalize_filename (folder, NULL);

  if (!g_hash_table_add (self->seen, g_strdup (canonical)))
    return;
  if (expected && !g_file_test (canonical, G_FILE_TEST_IS_DIR))
    report (self, canonical, "this plugin folder does not exist or is not a folder");
  else
    g_ptr_array_add (self->folders, g_steal_pointer (&canonical));
}

/* Entries that are not absolute would depend on the current folder: they are refused, with a word about it. */
static void
add_list (Search *self, const char *variable, const char *list)
{
  g_auto (GStrv) folders = g_strsplit (list, G_SEARCHPATH_SEPARATOR_S, -1);

  for (gsize i = 0; folders[i] != NULL; i++)
    {
      if (folders[i][0] == '\0')
        continue;
      if (g_path_is_absolute (folders[i]))
        {
          add_folder (self, folders[i], TRUE);
          continue;
        }
      g_autofree char *problem = g_strdup_printf ("%s may name absolute folders only", variable);
      report (self, folders[i], problem);
    }
}

char **
ht_plugin_list_folders (const char *const *extra, GPtrArray *failed)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  Search search = { g_ptr_array_new (), seen, failed };
  /* With raised privileges neither the environment nor the user's folder says which code to run. */
  gboolean trusted = getauxval (AT_SECURE) == 0;
  const char *user_list = trusted ? g_getenv ("HALFTONE_PLUGIN_PATH") : NULL;
  const char *system_list = trusted ? g_getenv ("HALFTONE_SYSTEM_PLUGIN_PATH") : NULL;

  for (gsize i = 0; extra[i] != NULL; i++)
    add_folder (&search, extra[i], TRUE);
  if (user_list != NULL)
    add_list (&search, "HALFTONE_PLUGIN_PATH", user_list);
  if (trusted && g_path_is_absolute (g_get_user_data_dir ()))
    {
      g_autofree char *user = g_build_filename (g_get_user_data_dir (), "halftone-1", "plugins", NULL);
      add_folder (&search, user, FALSE);
    }
  if (system_list != NULL)
    add_list (&search, "HALFTONE_SYSTEM_PLUGIN_PATH", system_list);
  else
    add_folder (&search, HT_SYSTEM_PLUGINS_DIR, FALSE);
  g_ptr_array_add (search.folders, NULL);
  return (char **)g_ptr_array_free (search.folders, FALSE);
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

char **
ht_plugin_list_files (const char *folder, GError **error)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, error);
  const char *name;

  if (dir == NULL)
    return NULL;
  GPtrArray *files = g_ptr_array_new ();
  while ((name = g_dir_read_name (dir)) != NULL)
    {
      if (!g_str_has_prefix (name, "halftone-") || !g_str_has_suffix (name, ".so"))
        continue;
      g_autofree char *path = g_build_filename (folder, name, NULL);
      if (g_file_test (path, G_FILE_TEST_IS_REGULAR))
        g_ptr_array_add (files, g_steal_pointer (&path));
    }
  g_ptr_array_sort (files, compare_names);
  g_ptr_array_add (files, NULL);
  return (char **)g_ptr_array_free (files, FALSE);
}
