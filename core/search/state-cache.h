/* SPDX-License-Identifier: MIT */
/* Model states in memory within a budget. Not for several threads at once. */
#pragma once

#include <halftone/model-state.h>
#include <json-glib/json-glib.h>

typedef struct _HtStateCache HtStateCache;

HtStateCache *ht_state_cache_new (guint64 budget);
void ht_state_cache_free (HtStateCache *self);
/* Adds a state unless there is one of that key, then drops the least recently used ones that may be dropped until the
 * budget holds. */
void ht_state_cache_add (HtStateCache *self, const char *key, HtModelState *state, JsonNode *report, double seconds,
                         gboolean may_drop);
/* A new reference, or NULL; `report` and `seconds` may be NULL. */
HtModelState *ht_state_cache_get (HtStateCache *self, const char *key, JsonNode **report, double *seconds);
guint64 ht_state_cache_get_bytes (HtStateCache *self);
