/* SPDX-License-Identifier: MIT */
#pragma once

#include <gio/gio.h>
#include <halftone/macros.h>

G_BEGIN_DECLS

/* A target configuration: which tensors a device quantizes and how, as a file in AIMET's JSON format says it. */
#define HT_TYPE_TARGET (ht_target_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtTarget, ht_target, HT, TARGET, GObject)

HT_API HtTarget *ht_target_load (const char *target, GPtrArray *diagnostics, GError **error);
HT_API char **ht_target_list_names (void);
HT_API const char *ht_target_get_name (HtTarget *self);
HT_API const char *ht_target_get_file (HtTarget *self);
HT_API const char *ht_target_get_description (HtTarget *self);

G_END_DECLS
