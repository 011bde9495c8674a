/* SPDX-License-Identifier: MIT */
/* The inside of a plugin: shared by the object, the loader and the registry. */
#pragma once

#include <halftone/error.h>
#include <halftone/plugin.h>

struct _HtPlugin
{
  GObject parent_instance;

  char *path;
  char *name, *version, *license, *summary, *author, *origin;
  HtPluginState state;
  GError *error;
  GArray *types;   /* GType, as added by the plugin */
  GPtrArray *ids;  /* %NULL-terminated */
  GArray *calibrators;
  GPtrArray *calibrator_ids;
  gpointer module; /* HtPluginModule; owned by the process */
};

HtPlugin *ht_plugin_new (const char *path);
/* Puts the plugin into HT_PLUGIN_FAILED; the message gets the path in front. */
void ht_plugin_fail (HtPlugin *self, HtPluginError code, const char *format, ...) G_GNUC_PRINTF (3, 4);
void ht_plugin_shadow (HtPlugin *self, HtPlugin *by);

/* The steps of loading; each leaves the plugin FAILED where it returns FALSE. */
gboolean ht_plugin_describe (HtPlugin *self);
gboolean ht_plugin_register (HtPlugin *self);

/* The folders to look in, in order: absolute, none twice. `missing` (element-type HtPlugin) takes one failed entry for
 * each folder that somebody asked for and that cannot be looked into. */
char **ht_plugin_list_folders (const char *const *extra, GPtrArray *failed);
/* The files of a folder that may be plugins, sorted. */
char **ht_plugin_list_files (const char *folder, GError **error);
