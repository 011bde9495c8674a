/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/dataset.h>
#include <halftone/pass.h>
#include <halftone/simulation.h>

G_BEGIN_DECLS

/* What a running pass is given. Made by the pass manager for one step. */
#define HT_TYPE_PASS_CONTEXT (ht_pass_context_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtPassContext, ht_pass_context, HT, PASS_CONTEXT, GObject)

HT_API const char *ht_pass_context_get_step (HtPassContext *self);
HT_API GCancellable *ht_pass_context_get_cancellable (HtPassContext *self);
HT_API gboolean ht_pass_context_progress (HtPassContext *self, guint64 done, guint64 total, GError **error);
HT_API HtDataset *ht_pass_context_get_calibration (HtPassContext *self, GError **error);
HT_API guint ht_pass_context_get_batch (HtPassContext *self);
HT_API HtQuantizationConfig *ht_pass_context_get_quantization (HtPassContext *self, GError **error);
HT_API HtSimulation *ht_pass_context_create_simulation (HtPassContext *self, HtModelState *state, GError **error);
HT_API HtGraph *ht_pass_context_get_reference (HtPassContext *self, HtModelState *state, GError **error);
HT_API guint64 ht_pass_context_get_seed (HtPassContext *self, const char *tensor);
HT_API guint64 ht_pass_context_get_memory_budget (HtPassContext *self);
HT_API const char *ht_pass_context_get_scratch_folder (HtPassContext *self, GError **error);

/* Finished work, to be taken up by the same step of a run that is started again */
HT_API gboolean ht_pass_context_keeps_checkpoints (HtPassContext *self);
HT_API gboolean ht_pass_context_store_checkpoint (HtPassContext *self, const char *name, GBytes *data, GError **error);
HT_API GBytes *ht_pass_context_fetch_checkpoint (HtPassContext *self, const char *name);

/* The report of the step */
HT_API void ht_pass_context_skip (HtPassContext *self, const char *subject, const char *reason);
HT_API void ht_pass_context_note (HtPassContext *self, const char *subject, const char *text);
HT_API void ht_pass_context_add_row (HtPassContext *self, const char *table, const char *subject, const char *key,
                                     double value);
HT_API void ht_pass_context_add_timing (HtPassContext *self, const char *table, const char *subject, const char *key,
                                        double value);

G_END_DECLS
