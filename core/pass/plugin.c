/* SPDX-License-Identifier: MIT */
#include "pass/plugin-private.h"

#include <halftone/error.h>

#include <stdarg.h>

/**
 * HtPlugin:
 *
 * A plugin file: what it says of itself, how far it came, and what is wrong with it. A broken plugin is a state with an
 * error, see ht_plugin_get_state() and ht_plugin_get_error().
 */
G_DEFINE_FINAL_TYPE (HtPlugin, ht_plugin, G_TYPE_OBJECT)

static void
ht_plugin_init (HtPlugin *self)
{
  self->types = g_array_new (FALSE, FALSE, sizeof (GType));
  self->ids = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (self->ids, NULL);
  self->calibrators = g_array_new (FALSE, FALSE, sizeof (GType));
  self->calibrator_ids = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (self->calibrator_ids, NULL);
}

static void
ht_plugin_finalize (GObject *object)
{
  HtPlugin *self = HT_PLUGIN (object);

  g_free (self->path);
  g_free (self->name);
  g_free (self->version);
  g_free (self->license);
  g_free (self->summary);
  g_free (self->author);
  g_free (self->origin);
  g_clear_error (&self->error);
  g_array_unref (self->types);
  g_ptr_array_unref (self->ids);
  g_array_unref (self->calibrators);
  g_ptr_array_unref (self->calibrator_ids);
  G_OBJECT_CLASS (ht_plugin_parent_class)->finalize (object);
}

static void
ht_plugin_class_init (HtPluginClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_plugin_finalize;
}

HtPlugin *
ht_plugin_new (const char *path)
{
  HtPlugin *self = g_object_new (HT_TYPE_PLUGIN, NULL);
  self->path = g_strdup (path);
  self->state = HT_PLUGIN_FOUND;
  return self;
}

void
ht_plugin_fail (HtPlugin *self, HtPluginError code, const char *format, ...)
{
  va_list arguments;

  va_start (arguments, format);
  g_autofree char *text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  g_clear_error (&self->error);
  g_set_error (&self->error, HT_PLUGIN_ERROR, code, "plugin '%s': %s", self->path, valid);
  self->state = HT_PLUGIN_FAILED;
}

void
ht_plugin_shadow (HtPlugin *self, HtPlugin *by)
{
  g_clear_error (&self->error);
  g_set_error (&self->error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_ID_CONFLICT,
               "plugin '%s': not loaded, '%s' comes first in the search order and has the same name", self->path,
               by->path);
  self->state = HT_PLUGIN_SHADOWED;
}

/**
 * ht_plugin_get_path:
 * @self: a plugin
 *
 * Gets the file.
 *
 * Returns: (transfer none): its path
 */
const char *
ht_plugin_get_path (HtPlugin *self)
{
  g_return_val_if_fail (HT_IS_PLUGIN (self), NULL);
  return self->path;
}

/**
 * ht_plugin_get_name:
 * @self: a plugin
 *
 * Gets the name that a plugin gives itself.
 *
 * Returns: (transfer none) (nullable): the name, or %NULL where loading did not get that far
 */
const char *
ht_plugin_get_name (HtPlugin *self)
{
  g_return_val_if_fail (HT_IS_PLUGIN (self), NULL);
  return self->name;
}

/**
 * ht_plugin_get_version:
 * @self: a plugin
 *
 * Gets the version of a plugin.
 *
 * Returns: (transfer none) (nullable): the version, or %NULL where loading did not get that far
 */
const char *
ht_plugin_get_version (HtPlugin *self)
{
  g_return_val_if_fail (HT_IS_PLUGIN (self), NULL);
  return self->version;
}

/**
 * ht_plugin_get_license:
 * @self: a plugin
 *
 * Gets the licence of a plugin.
 *
 * Returns: (transfer none) (nullable): an SPDX expression, or %NULL where loading did not get that far
 */
const char *
ht_plugin_get_license (HtPlugin *self)
{
  g_return_val_if_fail (HT_IS_PLUGIN (self), NULL);
  return self->license;
}

/**
 * ht_plugin_get_summary:
 * @self: a plugin
 *
 * Gets the line that a plugin says of itself.
 *
 * Returns: (transfer none) (nullable): the summary, or %NULL where loading did not get that far
 */
const char *
ht_plugin_get_summary (HtPlugin *self)
{
  g_return_val_if_fail (HT_IS_PLUGIN (self), NULL);
  return self->summary;
}

/**
 * ht_plugin_get_author:
 * @self: a plugin
 *
 * Gets who made a plugin.
 *
 * Returns: (transfer none) (nullable): the author, where it says
 */
const char *
ht_plugin_get_author (HtPlugin *self)
{
  g_return_val_if_fail (HT_IS_PLUGIN (self), NULL);
  return self->author;
}

/**
 * ht_plugin_get_origin:
 * @self: a plugin
 *
 * Gets where a plugin comes from.
 *
 * Returns: (transfer none) (nullable): an address, where it says
 */
const char *
ht_plugin_get_origin (HtPlugin *self)
{
  g_return_val_if_fail (HT_IS_PLUGIN (self), NULL);
  return self->origin;
}

/**
 * ht_plugin_get_state:
 * @self: a plugin
 *
 * Says how far a plugin came.
 *
 * Returns: its state
 */
HtPluginState
ht_plugin_get_state (HtPlugin *self)
{
  g_return_val_if_fail (HT_IS_PLUGIN (self), HT_PLUGIN_FAILED);
  return self->state;
}

/**
 * ht_plugin_get_error:
 * @self: a plugin
 *
 * Gets what is wrong with a plugin that failed, or why it is shadowed.
 *
 * Returns: (transfer none) (nullable): an error of the domain %HT_PLUGIN_ERROR, or %NULL where nothing is wrong
 */
const GError *
ht_plugin_get_error (HtPlugin *self)
{
  g_return_val_if_fail (HT_IS_PLUGIN (self), NULL);
  return self->error;
}

/**
 * ht_plugin_get_pass_ids:
 * @self: a plugin
 *
 * Lists the techniques of a plugin; of a failed one, those that it would have had as far as that is known.
 *
 * Returns: (transfer none) (array zero-terminated=1): their ids
 */
const char *const *
ht_plugin_get_pass_ids (HtPlugin *self)
{
  g_return_val_if_fail (HT_IS_PLUGIN (self), NULL);
  return (const char *const *)self->ids->pdata;
}

/**
 * ht_plugin_add_pass:
 * @self: a plugin, as given to its register_types
 * @type: the type of a technique, as registered with the module
 *
 * Adds a technique to a plugin. It is checked when register_types has returned.
 */
void
ht_plugin_add_pass (HtPlugin *self, GType type)
{
  g_return_if_fail (HT_IS_PLUGIN (self));
  g_array_append_val (self->types, type);
}

/**
 * ht_plugin_get_calibrator_ids:
 * @self: a plugin
 *
 * Lists the calibrators of a plugin, as ht_plugin_get_pass_ids() its techniques.
 *
 * Returns: (transfer none) (array zero-terminated=1): their ids
 */
const char *const *
ht_plugin_get_calibrator_ids (HtPlugin *self)
{
  g_return_val_if_fail (HT_IS_PLUGIN (self), NULL);
  return (const char *const *)self->calibrator_ids->pdata;
}

/**
 * ht_plugin_add_calibrator:
 * @self: a plugin, as given to its register_types
 * @type: the type of a calibrator, as registered with the module
 *
 * Adds a calibrator to a plugin. It is checked when register_types has returned. Calibrators belong to the process: every
 * recipe that is read after the plugin was loaded can name them.
 */
void
ht_plugin_add_calibrator (HtPlugin *self, GType type)
{
  g_return_if_fail (HT_IS_PLUGIN (self));
  g_array_append_val (self->calibrators, type);
}
