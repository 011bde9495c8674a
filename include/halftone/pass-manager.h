/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/pass-context.h>
#include <halftone/plan.h>

G_BEGIN_DECLS

/* Runs a checked plan over a model state, one transaction per step: verified, rolled back on failure. */
#define HT_TYPE_PASS_MANAGER (ht_pass_manager_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtPassManager, ht_pass_manager, HT, PASS_MANAGER, GObject)

HT_API HtPassManager *ht_pass_manager_new (HtPlan *plan);
HT_API void ht_pass_manager_set_calibration (HtPassManager *self, HtDataset *dataset, guint batch);
HT_API void ht_pass_manager_set_seed (HtPassManager *self, guint64 seed);
HT_API void ht_pass_manager_set_memory_budget (HtPassManager *self, guint64 bytes);
HT_API void ht_pass_manager_set_scratch_folder (HtPassManager *self, const char *path);
HT_API void ht_pass_manager_set_checkpoint_folder (HtPassManager *self, const char *path);
HT_API void ht_pass_manager_set_progress (HtPassManager *self, HtProgressFunc func, gpointer user_data,
                                          GDestroyNotify destroy);
HT_API HtModelState *ht_pass_manager_run (HtPassManager *self, HtModelState *state, GCancellable *cancellable,
                                          GError **error);
/* Per step: {"id", "pass", "version", "parameters", "notes", "skipped", "tables"}; timings apart */
HT_API JsonNode *ht_pass_manager_get_step_report (HtPassManager *self, guint step);
HT_API JsonNode *ht_pass_manager_get_step_timings (HtPassManager *self, guint step);
HT_API double ht_pass_manager_get_step_seconds (HtPassManager *self, guint step);

G_END_DECLS
