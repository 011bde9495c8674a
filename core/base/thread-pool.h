/* SPDX-License-Identifier: MIT */
/* One pool for the whole library. Work is cut by the caller into items; which thread takes an item never matters. */
#pragma once

#include <glib.h>

/* Handles items [begin, end). `worker` is below ht_thread_pool_get_size() and unique among the calls that run at once. */
typedef void (*HtParallelFunc) (gsize begin, gsize end, guint worker, gpointer user_data);

guint ht_thread_pool_get_size (void);
void ht_thread_pool_set_size (guint n_threads);
/* Calls func over [0, n_items) in chunks of `grain` items, the caller taking part; returns when all are done.
 * Called from inside a worker it runs in that worker. */
void ht_parallel_for (gsize n_items, gsize grain, HtParallelFunc func, gpointer user_data);
