/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/run.h>

G_BEGIN_DECLS

/* What a result was made of, to make it again: lock.json. */
#define HT_TYPE_LOCK (ht_lock_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtLock, ht_lock, HT, LOCK, GObject)

HT_API gboolean ht_lock_is_lock (const char *path);
HT_API HtLock *ht_lock_load (const char *path, HtPassRegistry *registry, GPtrArray *diagnostics, GError **error);
HT_API HtRun *ht_lock_create_run (HtLock *self);
HT_API char **ht_lock_compare (HtLock *self, HtRun *run, gboolean *same, GError **error);

G_END_DECLS
