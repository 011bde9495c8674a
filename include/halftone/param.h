/* SPDX-License-Identifier: MIT */
#pragma once

#include <json-glib/json-glib.h>
#include <halftone/macros.h>

G_BEGIN_DECLS

/**
 * HT_PARAM_RW:
 *
 * Flags of every hyper-parameter: readable, writable, construct (so that the default of the #GParamSpec is the value),
 * static strings, explicit notify.
 */
#define HT_PARAM_RW                                                                                                    \
  ((GParamFlags) (G_PARAM_READWRITE | G_PARAM_CONSTRUCT | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY))

HT_API void ht_param_spec_set_unit (GParamSpec *pspec, const char *unit);
HT_API const char *ht_param_spec_get_unit (GParamSpec *pspec);

HT_API GParamSpec *ht_object_find_param (GObjectClass *klass, const char *name);
HT_API GPtrArray *ht_object_list_params (GObjectClass *klass);
HT_API char *ht_param_spec_describe_type (GParamSpec *pspec);
HT_API char *ht_param_spec_describe_default (GParamSpec *pspec);
HT_API gboolean ht_param_spec_lint (GParamSpec *pspec, GError **error);

/* Checked setting: the exact value is checked against the range before anything is narrowed. */
HT_API gboolean ht_object_set_param (GObject *object, const char *name, JsonNode *value, GError **error);
HT_API gboolean ht_object_set_param_string (GObject *object, const char *name, const char *text, GError **error);
HT_API JsonNode *ht_object_get_param (GObject *object, const char *name, GError **error);
HT_API JsonNode *ht_object_params_to_json (GObject *object);
HT_API const char *ht_suggest (const char *word, const char *const *candidates);

G_END_DECLS
