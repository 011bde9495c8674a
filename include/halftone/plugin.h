/* SPDX-License-Identifier: MIT */
#pragma once

#include <gmodule.h>
#include <halftone/calibrator.h>
#include <halftone/pass.h>

G_BEGIN_DECLS

#define HT_PLUGIN_MAGIC 0x50545448u /* "HTTP" read backwards: HT technique plugin */

/* ABI of plugins. The minor number grows when a reserved slot is used or a function is added; the major one when a
 * class struct, the meaning of a virtual function or a public enumeration value changes. */
#define HT_PLUGIN_ABI_MAJOR 1
#define HT_PLUGIN_ABI_MINOR 0

#define HT_TYPE_PLUGIN (ht_plugin_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtPlugin, ht_plugin, HT, PLUGIN, GObject)

typedef struct _HtPluginDescriptor HtPluginDescriptor;

/**
 * HtPluginDescriptor: (skip)
 *
 * What a plugin module says of itself; written by HT_PLUGIN_DEFINE().
 */
struct _HtPluginDescriptor
{
  guint32 magic;
  guint32 struct_size;
  guint16 abi_major;
  guint16 abi_minor;
  guint32 pass_class_size;
  const char *abi_extra;
  const char *name;
  const char *version;
  const char *license;
  const char *summary;
  const char *author;
  const char *origin;
  const char *const *type_names; /* %NULL-terminated: the GTypes it will register */
  gboolean (*usable) (char **reason);
  gboolean (*register_types) (GTypeModule *module, HtPlugin *plugin, GError **error);
  gpointer reserved[8];
};

typedef const HtPluginDescriptor *(*HtPluginQueryFunc) (void);

#define HT_PLUGIN_QUERY_SYMBOL "ht_plugin_query"

/* HT_PLUGIN_DEFINE (name, version, license, summary, author, origin, usable, register_types, type names...) */
#define HT_PLUGIN_DEFINE(name_, version_, license_, summary_, author_, origin_, usable_, register_, ...)              \
  static const char *const ht_plugin_type_names_[] = { __VA_ARGS__, NULL };                                           \
  __attribute__ ((visibility ("default"))) const HtPluginDescriptor *ht_plugin_query (void);                          \
  const HtPluginDescriptor *ht_plugin_query (void)                                                                    \
  {                                                                                                                    \
    static const HtPluginDescriptor descriptor = {                                                                     \
      HT_PLUGIN_MAGIC, sizeof (HtPluginDescriptor), HT_PLUGIN_ABI_MAJOR, HT_PLUGIN_ABI_MINOR, sizeof (HtPassClass),    \
      "", name_, version_, license_, summary_, author_, origin_, ht_plugin_type_names_, usable_, register_, { NULL }   \
    };                                                                                                                 \
    return &descriptor;                                                                                                \
  }

/**
 * HtPluginState:
 *
 * How far a plugin file came. Every state is listed by `halftone plugins list`.
 */
typedef enum
{
  HT_PLUGIN_FOUND,
  HT_PLUGIN_OPENED,
  HT_PLUGIN_DESCRIBED,
  HT_PLUGIN_USABLE,
  HT_PLUGIN_REGISTERED,
  HT_PLUGIN_FAILED,
  HT_PLUGIN_SHADOWED,
} HtPluginState;

HT_API const char *ht_plugin_get_path (HtPlugin *self);
HT_API const char *ht_plugin_get_name (HtPlugin *self);
HT_API const char *ht_plugin_get_version (HtPlugin *self);
HT_API const char *ht_plugin_get_license (HtPlugin *self);
HT_API const char *ht_plugin_get_summary (HtPlugin *self);
HT_API const char *ht_plugin_get_author (HtPlugin *self);
HT_API const char *ht_plugin_get_origin (HtPlugin *self);
HT_API HtPluginState ht_plugin_get_state (HtPlugin *self);
HT_API const GError *ht_plugin_get_error (HtPlugin *self);
HT_API const char *const *ht_plugin_get_pass_ids (HtPlugin *self);
HT_API const char *const *ht_plugin_get_calibrator_ids (HtPlugin *self);

/* Called from register_types: a technique of this plugin */
HT_API void ht_plugin_add_pass (HtPlugin *self, GType type);
/* Likewise: a calibrator */
HT_API void ht_plugin_add_calibrator (HtPlugin *self, GType type);

G_END_DECLS
