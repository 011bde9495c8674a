/* SPDX-License-Identifier: MIT */
/* Results of steps and of evaluations by their keys (pass/step-key.h), in memory and on disk. An entry is on disk whole
 * or not at all, is held against its checksums when it is read, and is removed where it is damaged. All functions may
 * be called by several threads at once. Keys are words of the letters a-z, digits and '-'. */
#pragma once

#include <halftone/model-state.h>
#include <json-glib/json-glib.h>

typedef struct _HtStore HtStore;

/* Told of a damaged entry, which is removed: its result has to be computed again. `what`: "state" or "outcome". Called
 * in the thread that met it. */
typedef void (*HtStoreRepairFunc) (const char *what, const char *key, const char *reason, gpointer user_data);

/* Opens the store in a folder, which is made where it is missing, for this process alone: HT_ERROR_CONFLICT, with the
 * number of the other process, where somebody has it open. States in memory take up to `memory_budget` bytes; the least
 * recently used ones go first. */
HtStore *ht_store_open (const char *folder, guint64 memory_budget, GError **error);
void ht_store_close (HtStore *self);
void ht_store_set_repair_func (HtStore *self, HtStoreRepairFunc func, gpointer user_data);

/* Keeps a sealed state with the report of the step that made it (nullable) and how long that took. It is on disk when
 * this returns; a state with an artifact that cannot be written stays in memory only, until the store is closed. Where
 * there already is one of that key nothing happens. Fails where the disk is full, and the like; nothing is left then.
 */
gboolean ht_store_put_state (HtStore *self, const char *key, HtModelState *state, JsonNode *report, double seconds,
                             GError **error);
/* NULL without an error: there is none, or it was damaged. `report` (nullable, owned by the caller) is NULL where none
 * was given. */
HtModelState *ht_store_get_state (HtStore *self, const char *key, JsonNode **report, double *seconds, GError **error);
/* Report and time of a state alone, without reading it; FALSE without an error where there is none. */
gboolean ht_store_get_report (HtStore *self, const char *key, JsonNode **report, double *seconds, GError **error);
/* Whether there is one, unless it turns out to be damaged. */
gboolean ht_store_has_state (HtStore *self, const char *key);

/* What an evaluation gave: any value. A floating one is taken over. */
gboolean ht_store_put_outcome (HtStore *self, const char *key, GVariant *outcome, GError **error);
/* NULL without an error: there is none, or it was damaged. */
GVariant *ht_store_get_outcome (HtStore *self, const char *key, GError **error);

/* Bytes of the states in memory; a tensor that several of them share counts once. */
guint64 ht_store_get_memory (HtStore *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtStore, ht_store_close)
