/* SPDX-License-Identifier: MIT */
/* One pool for the whole library. Work is cut by the caller into items; which thread takes an item never matters. */
#pragma once

#include <gio/gio.h>

#define HT_THREAD_POOL_MAX_SIZE 256

/* Handles items [begin, end). `worker` is below ht_thread_pool_get_size() and unique among the calls that run at once.
 */
typedef void (*HtParallelFunc) (gsize begin, gsize end, guint worker, gpointer user_data);

guint ht_thread_pool_get_size (void);
void ht_thread_pool_set_size (guint n_threads);
/* FALSE: HALFTONE_THREADS holds something else than a number of threads, and no size was set since. */
gboolean ht_thread_pool_check_environment (GError **error);
/* Calls func over [0, n_items) in chunks of `grain` items, the caller taking part; returns when all are done.
 * Called from inside a worker, or while another caller has the pool, it runs in the calling thread. */
void ht_parallel_for (gsize n_items, gsize grain, HtParallelFunc func, gpointer user_data);
/* The same with at most `max_workers` threads: `worker` is below it, as scratch memory cut into that many slices needs.
 */
void ht_parallel_for_limited (gsize n_items, gsize grain, guint max_workers, HtParallelFunc func, gpointer user_data);
