/* SPDX-License-Identifier: MIT */
#include "base/thread-pool.h"

#include "base/cpu-count.h"
#include "base/lock.h"

#include <halftone/error.h>
#include <stdatomic.h>
#include <string.h>

/* How long a worker, or a caller at the end, watches memory before it sleeps. Waking takes longer than what lies
 * between two jobs of a small network; watching for longer would steal time from other processes on a busy machine. */
#define SPIN_MICROSECONDS 20
#define SPIN_ROUNDS       32 /* between two looks at the clock */

typedef struct
{
  HtParallelFunc func;
  gpointer user_data;
  gsize n_items;
  gsize grain;
  guint n_workers; /* threads whose index is below take part; 0 is the caller */
  atomic_size_t next;
} Job;

static struct
{
  GMutex submit; /* held by the caller that owns the pool */
  GMutex lock;   /* protects what follows */
  GCond wake;
  GCond done;
  Job *job;
  guint n_active; /* workers inside the job */
  guint n_started;
  guint n_sleeping;
  atomic_uint generation;    /* one more with every job */
  atomic_uint n_active_seen; /* n_active, readable without the lock */
  atomic_uint size;          /* 0: not determined yet */
  atomic_bool set_by_caller;
} pool;

/* 0 outside the pool; 1 + index inside a job. */
static _Thread_local guint inside;

static inline void
cpu_relax (void)
{
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause ();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* TRUE: the number has changed (where `until_zero`: to 0) from `value`. */
static gboolean
spin (atomic_uint *number, guint value, gboolean until_zero)
{
  gint64 end = g_get_monotonic_time () + SPIN_MICROSECONDS;

  do
    for (guint i = 0; i < SPIN_ROUNDS; i++)
      {
        guint now = atomic_load_explicit (number, memory_order_relaxed);
        if (until_zero ? now == 0 : now != value)
          return TRUE;
        cpu_relax ();
      }
  while (g_get_monotonic_time () < end);
  return FALSE;
}

static gboolean
parse_environment (guint *size, GError **error)
{
  const char *text = g_getenv ("HALFTONE_THREADS");
  guint64 value;

  *size = 0;
  if (text == NULL || text[0] == '\0')
    return TRUE;
  if (!g_ascii_string_to_unsigned (text, 10, 1, HT_THREAD_POOL_MAX_SIZE, &value, NULL))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                   "reading the environment variable 'HALFTONE_THREADS': found '%s', expected a number of threads from "
                   "1 to %d; correct it or unset it",
                   text, HT_THREAD_POOL_MAX_SIZE);
      return FALSE;
    }
  *size = (guint)value;
  return TRUE;
}

gboolean
ht_thread_pool_check_environment (GError **error)
{
  guint size;
  return atomic_load (&pool.set_by_caller) || parse_environment (&size, error);
}

guint
ht_thread_pool_get_size (void)
{
  guint size = atomic_load (&pool.size);

  if (size == 0)
    {
      guint expected = 0;
      if (!parse_environment (&size, NULL) || size == 0)
        size = MIN (ht_cpu_count (), HT_THREAD_POOL_MAX_SIZE);
      if (!atomic_compare_exchange_strong (&pool.size, &expected, size))
        size = expected;
    }
  return size;
}

void
ht_thread_pool_set_size (guint n_threads)
{
  if (n_threads > 0)
    {
      atomic_store (&pool.size, MIN (n_threads, HT_THREAD_POOL_MAX_SIZE));
      atomic_store (&pool.set_by_caller, TRUE);
    }
  else
    {
      atomic_store (&pool.set_by_caller, FALSE);
      atomic_store (&pool.size, 0);
    }
}

static void
take_chunks (Job *job, guint worker)
{
  guint outer = inside;

  inside = worker + 1;
  for (;;)
    {
      gsize begin = atomic_fetch_add (&job->next, job->grain);
      if (begin >= job->n_items)
        break;
      job->func (begin, job->n_items - begin > job->grain ? begin + job->grain : job->n_items, worker, job->user_data);
    }
  inside = outer;
}

static gpointer
worker_main (gpointer data)
{
  guint worker = GPOINTER_TO_UINT (data);
  guint seen = 0;

  ht_lock (&pool.lock);
  for (;;)
    {
      if (atomic_load (&pool.generation) == seen)
        {
          ht_unlock (&pool.lock);
          spin (&pool.generation, seen, FALSE);
          ht_lock (&pool.lock);
          pool.n_sleeping++;
          while (atomic_load (&pool.generation) == seen)
            ht_lock_wait (&pool.wake, &pool.lock);
          pool.n_sleeping--;
        }
      seen = atomic_load (&pool.generation);
      Job *job = pool.job;
      if (job == NULL || worker >= job->n_workers)
        continue;
      atomic_store (&pool.n_active_seen, ++pool.n_active);
      ht_unlock (&pool.lock);
      take_chunks (job, worker);
      ht_lock (&pool.lock);
      atomic_store (&pool.n_active_seen, --pool.n_active);
      if (pool.n_active == 0)
        g_cond_signal (&pool.done);
    }
  return NULL;
}

/* Called with the lock. A thread that cannot be had is no error: the caller finishes the work alone. */
static void
start_workers (guint n_workers)
{
  while (pool.n_started + 1 < n_workers)
    {
      g_autofree char *name = g_strdup_printf ("halftone-%u", pool.n_started + 1);
      GThread *thread = g_thread_try_new (name, worker_main, GUINT_TO_POINTER (pool.n_started + 1), NULL);
      if (thread == NULL)
        break;
      g_thread_unref (thread);
      pool.n_started++;
    }
}

static void
run_with_pool (Job *job)
{
  ht_lock (&pool.lock);
  start_workers (job->n_workers);
  pool.job = job;
  atomic_fetch_add (&pool.generation, 1);
  if (pool.n_sleeping > 0)
    g_cond_broadcast (&pool.wake);
  ht_unlock (&pool.lock);

  take_chunks (job, 0);

  ht_lock (&pool.lock);
  pool.job = NULL; /* who wakes now comes too late and must not touch the job */
  if (pool.n_active > 0)
    {
      ht_unlock (&pool.lock);
      spin (&pool.n_active_seen, 0, TRUE);
      ht_lock (&pool.lock);
      while (pool.n_active > 0)
        ht_lock_wait (&pool.done, &pool.lock);
    }
  ht_unlock (&pool.lock);
}

void
ht_parallel_for_limited (gsize n_items, gsize grain, guint max_workers, HtParallelFunc func, gpointer user_data)
{
  g_return_if_fail (grain > 0 && max_workers > 0);

  if (n_items == 0)
    return;
  gsize n_chunks = (n_items - 1) / grain + 1;
  guint n_workers = (guint)MIN (n_chunks, MIN (max_workers, ht_thread_pool_get_size ()));
  if (n_workers > 1 && inside == 0 && ht_lock_try (&pool.submit))
    {
      Job job = { func, user_data, n_items, grain, n_workers, 0 };
      run_with_pool (&job);
      ht_unlock (&pool.submit);
      return;
    }
  guint worker = inside > 0 && inside - 1 < max_workers ? inside - 1 : 0;
  for (gsize begin = 0; begin < n_items; begin += MIN (grain, n_items - begin))
    func (begin, n_items - begin > grain ? begin + grain : n_items, worker, user_data);
}

void
ht_parallel_for (gsize n_items, gsize grain, HtParallelFunc func, gpointer user_data)
{
  ht_parallel_for_limited (n_items, grain, HT_THREAD_POOL_MAX_SIZE, func, user_data);
}
