/* SPDX-License-Identifier: MIT */
#include <halftone/pass-registry.h>

#include "pass/pass-private.h"
#include "pass/plugin-private.h"
#include "quant/calibrator-private.h"

#include <halftone/error.h>

#include <string.h>

typedef struct
{
  GType type;
  HtPassClass *klass;
  HtPlugin *plugin; /* NULL: added by the program */
} Technique;

struct _HtPassRegistry
{
  GObject parent_instance;

  GPtrArray *search_path;
  GPtrArray *plugins;
  GHashTable *techniques; /* id -> Technique */
};

/**
 * HtPassRegistry:
 *
 * All techniques, and the plugins they come from. Filled by ht_pass_registry_load() and ht_pass_registry_add_type();
 * after that it is only read, by any number of threads.
 */
G_DEFINE_FINAL_TYPE (HtPassRegistry, ht_pass_registry, G_TYPE_OBJECT)

static void
technique_free (gpointer data)
{
  Technique *technique = data;
  g_type_class_unref (technique->klass);
  g_clear_object (&technique->plugin);
  g_free (technique);
}

static void
ht_pass_registry_init (HtPassRegistry *self)
{
  self->search_path = g_ptr_array_new_with_free_func (g_free);
  self->plugins = g_ptr_array_new_with_free_func (g_object_unref);
  self->techniques = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, technique_free);
}

static void
ht_pass_registry_finalize (GObject *object)
{
  HtPassRegistry *self = HT_PASS_REGISTRY (object);

  g_ptr_array_unref (self->search_path);
  g_ptr_array_unref (self->plugins);
  g_hash_table_unref (self->techniques);
  G_OBJECT_CLASS (ht_pass_registry_parent_class)->finalize (object);
}

static void
ht_pass_registry_class_init (HtPassRegistryClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_pass_registry_finalize;
}

/**
 * ht_pass_registry_new:
 *
 * Makes an empty registry.
 *
 * Returns: (transfer full): a new registry
 */
HtPassRegistry *
ht_pass_registry_new (void)
{
  return g_object_new (HT_TYPE_PASS_REGISTRY, NULL);
}

/**
 * ht_pass_registry_add_search_path:
 * @self: a registry
 * @folder: (type filename): a folder
 *
 * Adds a folder to look for plugins in, before those of the environment and of the system. Folders are searched in the
 * order they are added. A relative one is taken from the current folder, as it is now.
 */
void
ht_pass_registry_add_search_path (HtPassRegistry *self, const char *folder)
{
  g_return_if_fail (HT_IS_PASS_REGISTRY (self));
  g_return_if_fail (folder != NULL);
  g_ptr_array_add (self->search_path, g_canonicalize_filename (folder, NULL));
}

static void
add_technique (HtPassRegistry *self, GType type, HtPlugin *plugin)
{
  Technique *technique = g_new0 (Technique, 1);

  technique->type = type;
  technique->klass = g_type_class_ref (type);
  technique->plugin = plugin != NULL ? g_object_ref (plugin) : NULL;
  g_hash_table_insert (self->techniques, g_strdup (ht_pass_class_get_id (technique->klass)), technique);
}

static const char *
describe_source (Technique *technique)
{
  return technique->plugin != NULL ? ht_plugin_get_path (technique->plugin) : "the program";
}

/* Two of its own types with one id are found too. */
static gboolean
check_calibrators_free (HtPlugin *plugin)
{
  g_autoptr (GHashTable) own = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < plugin->calibrators->len; i++)
    {
      const char *id = g_ptr_array_index (plugin->calibrator_ids, i);
      g_autofree char *taken = ht_calibrator_find_conflict (g_array_index (plugin->calibrators, GType, i));
      if (taken == NULL && g_hash_table_add (own, (gpointer)id))
        continue;
      ht_plugin_fail (plugin, HT_PLUGIN_ERROR_ID_CONFLICT, "its calibrator '%s' is already provided by '%s'", id,
                      taken != NULL ? taken : plugin->path);
      return FALSE;
    }
  return TRUE;
}

/* All of a plugin's techniques and calibrators come in, or none. */
static void
take_techniques (HtPassRegistry *self, HtPlugin *plugin)
{
  g_autoptr (GHashTable) own = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i + 1 < plugin->ids->len; i++)
    {
      const char *id = g_ptr_array_index (plugin->ids, i);
      Technique *taken = g_hash_table_lookup (self->techniques, id);
      if (taken == NULL && g_hash_table_add (own, (gpointer)id))
        continue;
      ht_plugin_fail (plugin, HT_PLUGIN_ERROR_ID_CONFLICT, "its technique '%s' is already provided by '%s'", id,
                      taken != NULL ? describe_source (taken) : plugin->path);
      return;
    }
  if (!check_calibrators_free (plugin))
    return;
  for (guint i = 0; i < plugin->calibrators->len; i++)
    ht_calibrator_add (g_array_index (plugin->calibrators, GType, i), plugin->path);
  for (guint i = 0; i < plugin->types->len; i++)
    add_technique (self, g_array_index (plugin->types, GType, i), plugin);
}

static HtPlugin *
find_plugin_by_file (HtPassRegistry *self, const char *path)
{
  g_autofree char *file = g_path_get_basename (path);

  for (guint i = 0; i < self->plugins->len; i++)
    {
      HtPlugin *plugin = g_ptr_array_index (self->plugins, i);
      g_autofree char *other = g_path_get_basename (plugin->path);
      if (plugin->state != HT_PLUGIN_SHADOWED && g_str_equal (file, other))
        return plugin;
    }
  return NULL;
}

static HtPlugin *
find_plugin_by_name (HtPassRegistry *self, const char *name)
{
  for (guint i = 0; i < self->plugins->len; i++)
    {
      HtPlugin *plugin = g_ptr_array_index (self->plugins, i);
      if (plugin->state != HT_PLUGIN_SHADOWED && g_strcmp0 (plugin->name, name) == 0)
        return plugin;
    }
  return NULL;
}

static void
note_missing_calibrators (HtPlugin *plugin)
{
  g_autofree char *reason
      = g_strdup_printf ("which '%s' provides, but failed to load: %s", plugin->path, plugin->error->message);

  for (guint i = 0; i + 1 < plugin->calibrator_ids->len; i++)
    ht_calibrator_add_missing (g_ptr_array_index (plugin->calibrator_ids, i), reason);
}

static void
load_file (HtPassRegistry *self, const char *path)
{
  g_autoptr (HtPlugin) plugin = ht_plugin_new (path);
  HtPlugin *earlier = find_plugin_by_file (self, path);

  if (earlier == NULL && ht_plugin_describe (plugin))
    earlier = find_plugin_by_name (self, plugin->name);
  if (earlier != NULL)
    ht_plugin_shadow (plugin, earlier);
  else if (plugin->state == HT_PLUGIN_USABLE && ht_plugin_register (plugin))
    take_techniques (self, plugin);
  if (plugin->state == HT_PLUGIN_FAILED)
    note_missing_calibrators (plugin);
  g_ptr_array_add (self->plugins, g_steal_pointer (&plugin));
}

/**
 * ht_pass_registry_load:
 * @self: a registry
 *
 * Finds and loads all plugins: files `halftone-*.so`, in this order of folders: those of
 * ht_pass_registry_add_search_path(), `HALFTONE_PLUGIN_PATH`, `$XDG_DATA_HOME/halftone-1/plugins`,
 * `HALFTONE_SYSTEM_PLUGIN_PATH` or else the folder of the installation. Both variables are lists of absolute folders
 * with colons between; with raised privileges (`AT_SECURE`) they and the user's folder count for nothing. The current
 * folder is never searched. Within a folder the order is that of the names; the first plugin of a name wins, later ones
 * are shadowed.
 *
 * Whatever is wrong with a plugin is found in ht_pass_registry_list_plugins(). Loading twice does nothing.
 */
void
ht_pass_registry_load (HtPassRegistry *self)
{
  g_return_if_fail (HT_IS_PASS_REGISTRY (self));

  if (self->plugins->len > 0)
    return;
  g_autoptr (GPtrArray) failed = g_ptr_array_new ();
  g_autoptr (GPtrArray) extra = g_ptr_array_new ();
  for (guint i = 0; i < self->search_path->len; i++)
    g_ptr_array_add (extra, g_ptr_array_index (self->search_path, i));
  g_ptr_array_add (extra, NULL);
  g_auto (GStrv) folders = ht_plugin_list_folders ((const char *const *)extra->pdata, failed);
  for (gsize i = 0; folders[i] != NULL; i++)
    {
      g_autoptr (GError) error = NULL;
      g_auto (GStrv) files = ht_plugin_list_files (folders[i], &error);
      if (files == NULL && !g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        {
          HtPlugin *entry = ht_plugin_new (folders[i]);
          ht_plugin_fail (entry, HT_PLUGIN_ERROR_OPEN, "this plugin folder cannot be read: %s", error->message);
          g_ptr_array_add (failed, entry);
        }
      for (gsize j = 0; files != NULL && files[j] != NULL; j++)
        load_file (self, files[j]);
    }
  for (guint i = 0; i < failed->len; i++)
    g_ptr_array_add (self->plugins, g_ptr_array_index (failed, i));
}

/**
 * ht_pass_registry_list_plugins:
 * @self: a registry
 *
 * Lists all plugin files that were found, whatever became of them, in the order of the search. Folders that were asked
 * for and could not be read come last.
 *
 * Returns: (transfer container) (element-type HtPlugin): the plugins
 */
GPtrArray *
ht_pass_registry_list_plugins (HtPassRegistry *self)
{
  g_return_val_if_fail (HT_IS_PASS_REGISTRY (self), NULL);

  GPtrArray *plugins = g_ptr_array_new_with_free_func (g_object_unref);
  for (guint i = 0; i < self->plugins->len; i++)
    g_ptr_array_add (plugins, g_object_ref (g_ptr_array_index (self->plugins, i)));
  return plugins;
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

/**
 * ht_pass_registry_list_passes:
 * @self: a registry
 *
 * Lists the techniques.
 *
 * Returns: (transfer full) (array zero-terminated=1): their ids, sorted
 */
char **
ht_pass_registry_list_passes (HtPassRegistry *self)
{
  GHashTableIter iter;
  gpointer key;

  g_return_val_if_fail (HT_IS_PASS_REGISTRY (self), NULL);

  GPtrArray *ids = g_ptr_array_new ();
  g_hash_table_iter_init (&iter, self->techniques);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    g_ptr_array_add (ids, g_strdup (key));
  g_ptr_array_sort (ids, compare_names);
  g_ptr_array_add (ids, NULL);
  return (char **)g_ptr_array_free (ids, FALSE);
}

static gboolean
probably_provides (HtPlugin *plugin, const char *id)
{
  g_autofree char *file = g_path_get_basename (plugin->path);
  g_autofree char *expected = g_strdup_printf ("halftone-%s.so", id);

  return plugin->state == HT_PLUGIN_FAILED
         && (g_str_equal (file, expected) || g_strcmp0 (plugin->name, id) == 0
             || g_strv_contains ((const char *const *)plugin->ids->pdata, id));
}

static void
report_unknown (HtPassRegistry *self, const char *id, GError **error)
{
  for (guint i = 0; i < self->plugins->len; i++)
    {
      HtPlugin *plugin = g_ptr_array_index (self->plugins, i);
      if (probably_provides (plugin, id))
        {
          g_set_error (error, HT_PLUGIN_ERROR, plugin->error->code,
                       "pass '%s' is provided by %s, which failed to load: %s", id, plugin->path,
                       plugin->error->message);
          return;
        }
    }
  g_auto (GStrv) known = ht_pass_registry_list_passes (self);
  g_autofree char *list = g_strjoinv (", ", known);
  const char *suggestion = ht_suggest (id, (const char *const *)known);
  g_set_error (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNKNOWN_PASS, "there is no pass '%s'%s%s%s (known: %s)", id,
               suggestion != NULL ? "; did you mean '" : "", suggestion != NULL ? suggestion : "",
               suggestion != NULL ? "'?" : "", known[0] != NULL ? list : "none; see 'halftone plugins list'");
}

/**
 * ht_pass_registry_find:
 * @self: a registry
 * @id: the id of a technique
 * @error: return location for an error
 *
 * Finds the type of a technique. Where a plugin that failed to load probably has it, the error is that plugin's
 * (%HT_PLUGIN_ERROR); otherwise it is %HT_RECIPE_ERROR_UNKNOWN_PASS.
 *
 * Returns: the type, or %G_TYPE_INVALID where there is no such technique
 */
GType
ht_pass_registry_find (HtPassRegistry *self, const char *id, GError **error)
{
  g_return_val_if_fail (HT_IS_PASS_REGISTRY (self), G_TYPE_INVALID);
  g_return_val_if_fail (id != NULL, G_TYPE_INVALID);
  g_return_val_if_fail (error == NULL || *error == NULL, G_TYPE_INVALID);

  Technique *technique = g_hash_table_lookup (self->techniques, id);
  if (technique == NULL)
    report_unknown (self, id, error);
  return technique != NULL ? technique->type : G_TYPE_INVALID;
}

/**
 * ht_pass_registry_get_plugin:
 * @self: a registry
 * @id: the id of a technique
 *
 * Gets the plugin that a technique comes from.
 *
 * Returns: (transfer none) (nullable): the plugin, or %NULL where the program added it or it does not exist
 */
HtPlugin *
ht_pass_registry_get_plugin (HtPassRegistry *self, const char *id)
{
  g_return_val_if_fail (HT_IS_PASS_REGISTRY (self), NULL);
  g_return_val_if_fail (id != NULL, NULL);

  Technique *technique = g_hash_table_lookup (self->techniques, id);
  return technique != NULL ? technique->plugin : NULL;
}

/**
 * ht_pass_registry_create:
 * @self: a registry
 * @id: the id of a technique
 * @error: return location for an error
 *
 * Makes a technique with its default parameters. Fails as ht_pass_registry_find().
 *
 * Returns: (transfer full) (nullable): a new pass, or %NULL on failure
 */
HtPass *
ht_pass_registry_create (HtPassRegistry *self, const char *id, GError **error)
{
  GType type = ht_pass_registry_find (self, id, error);
  return type != G_TYPE_INVALID ? g_object_new (type, NULL) : NULL;
}

/**
 * ht_pass_registry_add_type:
 * @self: a registry
 * @type: the type of a technique
 * @error: return location for an error
 *
 * Adds a technique that lives in the program itself, for example in Python. It passes the same checks as one of a
 * plugin; fails with %HT_PLUGIN_ERROR_BAD_PASS or %HT_PLUGIN_ERROR_ID_CONFLICT.
 *
 * Returns: whether it was added
 */
gboolean
ht_pass_registry_add_type (HtPassRegistry *self, GType type, GError **error)
{
  g_return_val_if_fail (HT_IS_PASS_REGISTRY (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (!ht_pass_type_lint (type, error))
    return FALSE;
  HtPassClass *klass = g_type_class_ref (type);
  const char *id = ht_pass_class_get_id (klass);
  Technique *taken = g_hash_table_lookup (self->techniques, id);
  if (taken != NULL)
    g_set_error (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_ID_CONFLICT, "technique '%s' is already provided by '%s'", id,
                 describe_source (taken));
  else
    add_technique (self, type, NULL);
  g_type_class_unref (klass);
  return taken == NULL;
}
