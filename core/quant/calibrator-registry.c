/* SPDX-License-Identifier: MIT */
/* The calibrators of this process by name. The types of a plugin stay for ever, so what was registered stays too. */
#include "quant/calibrator-private.h"

#include "base/param-family.h"

#include <halftone/error.h>

#include <string.h>

typedef struct
{
  GType type;
  char *source; /* the plugin's file; NULL: the program */
} Entry;

static GMutex lock;
static GHashTable *entries; /* id -> Entry */
static GHashTable *missing; /* id -> why */

static void
add_entry (GType type, const char *source)
{
  /* For ever: a dynamic class may not come and go. */
  HtCalibratorClass *klass = g_type_class_ref (type);
  Entry *entry = g_new0 (Entry, 1);

  entry->type = type;
  entry->source = g_strdup (source);
  g_hash_table_insert (entries, g_strdup (ht_calibrator_class_get_id (klass)), entry);
}

static void
take_lock (void)
{
  g_mutex_lock (&lock);
  if (entries != NULL)
    return;
  entries = g_hash_table_new (g_str_hash, g_str_equal);
  missing = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  add_entry (ht_entropy_calibrator_get_type (), NULL);
  add_entry (ht_min_max_calibrator_get_type (), NULL);
  add_entry (ht_mse_calibrator_get_type (), NULL);
  add_entry (ht_percentile_calibrator_get_type (), NULL);
  add_entry (ht_tf_enhanced_calibrator_get_type (), NULL);
}

void
ht_calibrator_add (GType type, const char *source)
{
  HtCalibratorClass *klass = g_type_class_ref (type);

  take_lock ();
  /* Another registry may have loaded the same plugin. */
  if (!g_hash_table_contains (entries, ht_calibrator_class_get_id (klass)))
    add_entry (type, source);
  g_mutex_unlock (&lock);
  g_type_class_unref (klass);
}

char *
ht_calibrator_find_conflict (GType type)
{
  HtCalibratorClass *klass = g_type_class_ref (type);
  char *source = NULL;
  Entry *taken;

  take_lock ();
  taken = g_hash_table_lookup (entries, ht_calibrator_class_get_id (klass));
  if (taken != NULL && taken->type != type)
    source = g_strdup (taken->source != NULL ? taken->source : "the program");
  g_mutex_unlock (&lock);
  g_type_class_unref (klass);
  return source;
}

void
ht_calibrator_add_missing (const char *id, const char *reason)
{
  take_lock ();
  g_hash_table_replace (missing, g_strdup (id), g_strdup (reason));
  g_mutex_unlock (&lock);
}

/**
 * ht_calibrator_register:
 * @type: the type of a calibrator
 * @error: return location for an error
 *
 * Adds a calibrator that lives in the program itself, for example in Python. It passes the same checks as one of a
 * plugin; fails with %HT_PLUGIN_ERROR_BAD_PASS or %HT_PLUGIN_ERROR_ID_CONFLICT. Adding a type twice does nothing.
 *
 * Returns: whether recipes can use it
 */
gboolean
ht_calibrator_register (GType type, GError **error)
{
  g_autofree char *conflict = NULL;

  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (!ht_calibrator_type_lint (type, error))
    return FALSE;
  conflict = ht_calibrator_find_conflict (type);
  if (conflict != NULL)
    {
      HtCalibratorClass *klass = g_type_class_ref (type);

      g_set_error (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_ID_CONFLICT, "calibrator '%s' is already provided by '%s'",
                   ht_calibrator_class_get_id (klass), conflict);
      g_type_class_unref (klass);
      return FALSE;
    }
  ht_calibrator_add (type, NULL);
  return TRUE;
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

/**
 * ht_calibrator_list:
 *
 * Lists the calibrators that recipes can use.
 *
 * Returns: (transfer full) (array zero-terminated=1): their ids, sorted
 */
char **
ht_calibrator_list (void)
{
  GPtrArray *ids = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer key;

  take_lock ();
  g_hash_table_iter_init (&iter, entries);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    g_ptr_array_add (ids, g_strdup (key));
  g_mutex_unlock (&lock);
  g_ptr_array_sort (ids, compare_names);
  g_ptr_array_add (ids, NULL);
  return (char **)g_ptr_array_free (ids, FALSE);
}

static GType
find_type (const char *id, char **reason)
{
  Entry *entry;

  take_lock ();
  entry = g_hash_table_lookup (entries, id);
  if (entry == NULL)
    *reason = g_strdup (g_hash_table_lookup (missing, id));
  g_mutex_unlock (&lock);
  return entry != NULL ? entry->type : G_TYPE_INVALID;
}

static const char *
get_name (GType type)
{
  HtCalibratorClass *klass = g_type_class_peek (type);

  return klass != NULL ? ht_calibrator_class_get_id (klass) : NULL;
}

static const HtParamFamily calibrators = {
  .fallback = HT_CALIBRATOR_DEFAULT,
  .list = ht_calibrator_list,
  .find = find_type,
  .get_name = get_name,
};

void
ht_calibrator_family_register (GType base)
{
  ht_param_family_register (base, &calibrators);
}

/**
 * ht_calibrator_new: (constructor)
 * @id: the id of a calibrator
 * @error: return location for an error
 *
 * Makes a calibrator with its default parameters. Where a plugin that failed to load would have it, the error is of the
 * domain %HT_PLUGIN_ERROR; otherwise it is %HT_RECIPE_ERROR_UNKNOWN_VALUE.
 *
 * Returns: (transfer full) (nullable): a new calibrator, or %NULL on failure
 */
HtCalibrator *
ht_calibrator_new (const char *id, GError **error)
{
  GObject *object;

  g_return_val_if_fail (id != NULL, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  object = ht_param_family_create (&calibrators, id, error);
  if (object == NULL)
    g_prefix_error (error, "the calibrator ");
  return object != NULL ? HT_CALIBRATOR (object) : NULL;
}

/**
 * ht_calibrator_find:
 * @id: the id of a calibrator
 * @error: return location for an error
 *
 * Finds the type of a calibrator. Fails as ht_calibrator_new().
 *
 * Returns: the type, or %G_TYPE_INVALID where there is none
 */
GType
ht_calibrator_find (const char *id, GError **error)
{
  g_autoptr (HtCalibrator) calibrator = ht_calibrator_new (id, error);

  return calibrator != NULL ? G_OBJECT_TYPE (calibrator) : G_TYPE_INVALID;
}
