/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/pass.h>
#include <halftone/plugin.h>

G_BEGIN_DECLS

/* All techniques and the plugins they came from. Read-only once loaded. */
#define HT_TYPE_PASS_REGISTRY (ht_pass_registry_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtPassRegistry, ht_pass_registry, HT, PASS_REGISTRY, GObject)

HT_API HtPassRegistry *ht_pass_registry_new (void);
HT_API void ht_pass_registry_add_search_path (HtPassRegistry *self, const char *folder);
HT_API void ht_pass_registry_load (HtPassRegistry *self);
HT_API GPtrArray *ht_pass_registry_list_plugins (HtPassRegistry *self);
HT_API char **ht_pass_registry_list_passes (HtPassRegistry *self);
HT_API GType ht_pass_registry_find (HtPassRegistry *self, const char *id, GError **error);
HT_API HtPlugin *ht_pass_registry_get_plugin (HtPassRegistry *self, const char *id);
HT_API HtPass *ht_pass_registry_create (HtPassRegistry *self, const char *id, GError **error);
HT_API gboolean ht_pass_registry_add_type (HtPassRegistry *self, GType type, GError **error);

G_END_DECLS
