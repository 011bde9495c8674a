/* SPDX-License-Identifier: MIT */
/* GLib's locks, such that ThreadSanitizer sees them: it does not look into libraries that were built without it. */
#pragma once

#include <glib.h>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#define HT_LOCK_TAKEN(lock) __tsan_acquire (lock)
#define HT_LOCK_GIVEN(lock) __tsan_release (lock)
#else
#define HT_LOCK_TAKEN(lock) (void)(lock)
#define HT_LOCK_GIVEN(lock) (void)(lock)
#endif

static inline void
ht_lock (GMutex *mutex)
{
  g_mutex_lock (mutex);
  HT_LOCK_TAKEN (mutex);
}

static inline gboolean
ht_lock_try (GMutex *mutex)
{
  if (!g_mutex_trylock (mutex))
    return FALSE;
  HT_LOCK_TAKEN (mutex);
  return TRUE;
}

static inline void
ht_unlock (GMutex *mutex)
{
  HT_LOCK_GIVEN (mutex);
  g_mutex_unlock (mutex);
}

static inline void
ht_lock_wait (GCond *cond, GMutex *mutex)
{
  HT_LOCK_GIVEN (mutex);
  g_cond_wait (cond, mutex);
  HT_LOCK_TAKEN (mutex);
}
