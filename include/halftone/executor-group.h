/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/executor.h>

G_BEGIN_DECLS

/* Executors of one graph that run on the same inputs and do what they have in common once. */
#define HT_TYPE_EXECUTOR_GROUP (ht_executor_group_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtExecutorGroup, ht_executor_group, HT, EXECUTOR_GROUP, GObject)

/**
 * HtExecutorGroupFunc:
 * @index: which executor of the group
 * @results: (element-type utf8 HtTensor): the wanted tensors by name; a reference keeps them
 * @user_data: as given
 * @error: return location for an error
 *
 * Called when an executor has finished, in whatever order.
 *
 * Returns: %TRUE to go on, %FALSE with @error set to stop
 */
typedef gboolean (*HtExecutorGroupFunc) (guint index, GHashTable *results, gpointer user_data, GError **error);

HT_API HtExecutorGroup *ht_executor_group_new (void);
HT_API gboolean ht_executor_group_can_add (HtExecutorGroup *self, HtExecutor *executor);
HT_API gboolean ht_executor_group_add (HtExecutorGroup *self, HtExecutor *executor, GError **error);
HT_API guint ht_executor_group_get_n_executors (HtExecutorGroup *self);
HT_API gboolean ht_executor_group_run (HtExecutorGroup *self, GHashTable *inputs, const char *const *outputs,
                                       HtExecutorGroupFunc func, gpointer user_data, GCancellable *cancellable,
                                       GError **error);
HT_API double ht_executor_group_get_work (HtExecutorGroup *self);

G_END_DECLS
