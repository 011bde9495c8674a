/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/encoding.h>
#include <halftone/graph.h>

G_BEGIN_DECLS

#define HT_TYPE_EXECUTOR (ht_executor_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtExecutor, ht_executor, HT, EXECUTOR, GObject)

/**
 * HtTapFunc:
 * @name: the tapped tensor
 * @value: its value, valid during the call only; ht_tensor_copy() keeps it
 * @user_data: as given
 *
 * Called in the thread that runs the network, in execution order.
 */
typedef void (*HtTapFunc) (const char *name, HtTensor *value, gpointer user_data);

HT_API HtExecutor *ht_executor_new (HtGraph *graph, GError **error);
HT_API HtGraph *ht_executor_get_graph (HtExecutor *self);
HT_API void ht_executor_set_encoding (HtExecutor *self, const char *tensor, HtEncoding *encoding);
HT_API void ht_executor_clear_encodings (HtExecutor *self);
HT_API GHashTable *ht_executor_run (HtExecutor *self, GHashTable *inputs, const char *const *outputs,
                                    GCancellable *cancellable, GError **error);
HT_API GHashTable *ht_executor_run_tapped (HtExecutor *self, GHashTable *inputs, const char *const *outputs,
                                           const char *const *taps, HtTapFunc func, gpointer user_data,
                                           GCancellable *cancellable, GError **error);
HT_API gboolean ht_executor_estimate_memory (HtExecutor *self, guint batch, GHashTable *shapes, const char *const *taps,
                                             guint64 *weights, guint64 *prepared, guint64 *activations,
                                             guint64 *transfers, guint64 *bookkeeping, GError **error);
HT_API guint ht_executor_choose_batch (HtExecutor *self, guint wanted, guint64 budget, GHashTable *shapes,
                                       const char *const *taps, GError **error);

/* The thread pool that every executor and kernel shares. */
HT_API guint ht_get_n_threads (void);
HT_API void ht_set_n_threads (guint n_threads);

G_END_DECLS
