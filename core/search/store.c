/* SPDX-License-Identifier: MIT */
/* The folder:
 *   lock              held while the store is open; the number of the process
 *   states/KEY/       files of ht_model_state_write(), and "record": time, report, checksums of the files
 *   outcomes/KEY      one value
 *   temporary/        what is being written, and what is being removed; emptied at opening
 * An entry gets its name by one rename, when all of it is on the disk. */
#include "search/store.h"

#include "base/lock.h"
#include "pass/scratch-folder.h"
#include "quant/model-state-file.h"
#include "search/sealed-file.h"
#include "search/state-cache.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <halftone/error.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define RECORD_TYPE "(dsa(sts))" /* seconds, report ("" for none), files: name, size, SHA-256 */

struct _HtStore
{
  char *folder, *states, *outcomes, *temporary;
  int lock_fd;
  GMutex mutex;      /* of the cache */
  GMutex disk_mutex; /* of names that come or go: not of reading and writing */
  HtStateCache *cache;
  gint next_number; /* of temporary names */
  HtStoreRepairFunc repair;
  gpointer repair_data;
};

static gboolean
make_folder (const char *path, GError **error)
{
  if (g_mkdir_with_parents (path, 0755) == 0)
    return TRUE;
  ht_set_file_error (error, errno, "make the folder", path);
  return FALSE;
}

/* ---- Opening ---- */

static void
complain_of_other (const char *folder, int fd, GError **error)
{
  char text[32] = "";
  gssize length = pread (fd, text, sizeof text - 1, 0);
  gint64 pid = length > 0 ? g_ascii_strtoll (text, NULL, 10) : 0;
  g_autofree char *who = pid > 0 ? g_strdup_printf ("process %" G_GINT64_FORMAT, pid) : g_strdup ("another process");

  g_set_error (error, HT_ERROR, HT_ERROR_CONFLICT,
               "opening the store '%s': found that %s is at work there; wait for it or stop it, or take another folder",
               folder, who);
}

static gboolean
take_lock (HtStore *self, GError **error)
{
  g_autofree char *path = g_build_filename (self->folder, "lock", NULL);
  g_autofree char *pid = g_strdup_printf ("%" G_GINT64_FORMAT "\n", (gint64)getpid ());

  self->lock_fd = g_open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (self->lock_fd < 0)
    {
      ht_set_file_error (error, errno, "open", path);
      return FALSE;
    }
  if (flock (self->lock_fd, LOCK_EX | LOCK_NB) != 0)
    {
      if (errno == EWOULDBLOCK)
        complain_of_other (self->folder, self->lock_fd, error);
      else
        ht_set_file_error (error, errno, "lock", path);
      return FALSE;
    }
  /* For the message above: a full disk does not matter. */
  if (ftruncate (self->lock_fd, 0) == 0 && pwrite (self->lock_fd, pid, strlen (pid), 0) < 0)
    g_debug ("cannot note the process in '%s'", path);
  return TRUE;
}

HtStore *
ht_store_open (const char *folder, guint64 memory_budget, GError **error)
{
  g_autoptr (HtStore) self = g_new0 (HtStore, 1);

  self->lock_fd = -1;
  g_mutex_init (&self->mutex);
  g_mutex_init (&self->disk_mutex);
  self->cache = ht_state_cache_new (memory_budget);
  self->folder = g_strdup (folder);
  self->states = g_build_filename (folder, "states", NULL);
  self->outcomes = g_build_filename (folder, "outcomes", NULL);
  self->temporary = g_build_filename (folder, "temporary", NULL);
  if (!make_folder (folder, error) || !take_lock (self, error))
    return NULL;
  ht_remove_folder (self->temporary);
  if (!make_folder (self->states, error) || !make_folder (self->outcomes, error)
      || !make_folder (self->temporary, error))
    return NULL;
  return g_steal_pointer (&self);
}

void
ht_store_close (HtStore *self)
{
  if (self == NULL)
    return;
  if (self->lock_fd >= 0)
    close (self->lock_fd);
  ht_state_cache_free (self->cache);
  g_mutex_clear (&self->mutex);
  g_mutex_clear (&self->disk_mutex);
  g_free (self->folder);
  g_free (self->states);
  g_free (self->outcomes);
  g_free (self->temporary);
  g_free (self);
}

void
ht_store_set_repair_func (HtStore *self, HtStoreRepairFunc func, gpointer user_data)
{
  self->repair = func;
  self->repair_data = user_data;
}

/* ---- Names ---- */

static gboolean
is_key (const char *key)
{
  return key != NULL && key[0] != '\0' && strlen (key) <= 200
         && strspn (key, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen (key);
}

static char *
make_temporary_path (HtStore *self, const char *key)
{
  g_autofree char *name = g_strdup_printf ("%s.%d", key, g_atomic_int_add (&self->next_number, 1));
  return g_build_filename (self->temporary, name, NULL);
}

/* Gives a finished entry its name; where another thread was faster its entry stays. */
static gboolean
publish (HtStore *self, const char *temporary, const char *folder, const char *path, GError **error)
{
  gboolean done = TRUE;

  ht_lock (&self->disk_mutex);
  if (!g_file_test (path, G_FILE_TEST_EXISTS) && g_rename (temporary, path) != 0)
    {
      ht_set_file_error (error, errno, "rename to", path);
      done = FALSE;
    }
  ht_unlock (&self->disk_mutex);
  return done && ht_path_sync (folder, error);
}

/* Takes a name away in one step, so that nobody meets half an entry. */
static gboolean
withdraw (HtStore *self, const char *key, const char *path, GError **error)
{
  g_autofree char *temporary = make_temporary_path (self, key);

  if (g_rename (path, temporary) != 0 && errno != ENOENT)
    {
      ht_set_file_error (error, errno, "remove", path);
      g_prefix_error (error, "removing a damaged entry of the store: ");
      return FALSE;
    }
  if (g_unlink (temporary) != 0)
    ht_remove_folder (temporary);
  return TRUE;
}

/* ---- States ---- */

static gboolean
write_record (const char *folder, JsonNode *report, double seconds, GError **error)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, error);
  g_autofree char *text = report != NULL ? json_to_string (report, FALSE) : g_strdup ("");
  g_autofree char *path = g_build_filename (folder, "record", NULL);
  g_auto (GVariantBuilder) files = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("a(sts)"));
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *file = g_build_filename (folder, name, NULL);
      guint64 size;
      if (!ht_path_sync (file, error))
        return FALSE;
      g_autofree char *hash = ht_file_hash (file, &size, error);
      if (hash == NULL)
        return FALSE;
      g_variant_builder_add (&files, "(sts)", name, size, hash);
    }
  if (dir == NULL)
    return FALSE;
  g_autoptr (GVariant) record
      = g_variant_ref_sink (g_variant_new ("(ds@a(sts))", seconds, text, g_variant_builder_end (&files)));
  return ht_sealed_file_write (path, record, error) && ht_path_sync (folder, error);
}

static gboolean
write_entry (HtStore *self, const char *key, HtModelState *state, JsonNode *report, double seconds, GError **error)
{
  g_autofree char *temporary = make_temporary_path (self, key);
  g_autofree char *path = g_build_filename (self->states, key, NULL);

  gboolean done = make_folder (temporary, error) && ht_model_state_write (state, temporary, error)
                  && write_record (temporary, report, seconds, error)
                  && publish (self, temporary, self->states, path, error);
  ht_remove_folder (temporary);
  return done;
}

gboolean
ht_store_put_state (HtStore *self, const char *key, HtModelState *state, JsonNode *report, double seconds,
                    GError **error)
{
  g_autoptr (GError) local = NULL;

  g_return_val_if_fail (is_key (key), FALSE);
  g_return_val_if_fail (HT_IS_MODEL_STATE (state) && ht_model_state_is_sealed (state), FALSE);

  gboolean is_on_disk = write_entry (self, key, state, report, seconds, &local);
  if (!is_on_disk && !g_error_matches (local, HT_ERROR, HT_ERROR_NOT_SUPPORTED))
    {
      g_propagate_prefixed_error (error, g_steal_pointer (&local), "keeping a result in '%s': ", self->folder);
      return FALSE;
    }
  ht_lock (&self->mutex);
  ht_state_cache_add (self->cache, key, state, report, seconds, is_on_disk);
  ht_unlock (&self->mutex);
  return TRUE;
}

static gboolean
check_file (const char *folder, const char *name, guint64 expected_size, const char *expected, GError **error)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  guint64 size;

  if (strchr (name, G_DIR_SEPARATOR) != NULL)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "'%s' is no name of a file", name);
      return FALSE;
    }
  g_autofree char *hash = ht_file_hash (path, &size, error);
  if (hash == NULL)
    return FALSE;
  if (size == expected_size && g_str_equal (hash, expected))
    return TRUE;
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "'%s' is not what was written: its checksum differs", path);
  return FALSE;
}

static gboolean
take_record (GVariant *record, JsonNode **report, double *seconds, GError **error)
{
  const char *text;

  g_variant_get (record, "(d&s@a(sts))", seconds, &text, NULL);
  *report = text[0] != '\0' ? json_from_string (text, error) : NULL;
  return *report != NULL || text[0] == '\0';
}

/* The record of a state, and, where `state` is given, the state. */
static gboolean
read_entry (const char *folder, HtModelState **state, JsonNode **report, double *seconds, GError **error)
{
  g_autofree char *path = g_build_filename (folder, "record", NULL);
  g_autoptr (GVariant) record = ht_sealed_file_read (path, G_VARIANT_TYPE (RECORD_TYPE), error);
  g_autoptr (GVariantIter) files = NULL;
  g_autoptr (JsonNode) read_report = NULL;
  const char *name, *hash;
  guint64 size;

  if (record == NULL || !take_record (record, &read_report, seconds, error))
    return FALSE;
  if (state != NULL)
    {
      g_variant_get (record, "(dsa(sts))", NULL, NULL, &files);
      while (g_variant_iter_next (files, "(&st&s)", &name, &size, &hash))
        if (!check_file (folder, name, size, hash, error))
          return FALSE;
      *state = ht_model_state_read (folder, error);
      if (*state == NULL)
        return FALSE;
    }
  *report = g_steal_pointer (&read_report);
  return TRUE;
}

/* Files that cannot be read for want of permission, memory or a plugin are not damaged. */
static gboolean
is_damage (const GError *error)
{
  return g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_NOENT)
         || g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_NOTDIR)
         || g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_ISDIR)
         || (error->domain == HT_ERROR
             && (error->code == HT_ERROR_INVALID_DATA || error->code == HT_ERROR_INVALID_MODEL
                 || error->code == HT_ERROR_NUMERIC || error->code == HT_ERROR_SHAPE
                 || error->code == HT_ERROR_INVALID_ARGUMENT || error->code == HT_ERROR_CONFLICT))
         || error->domain == JSON_PARSER_ERROR;
}

static void
tell_repair (HtStore *self, const char *what, const char *key, const char *reason)
{
  if (self->repair != NULL)
    self->repair (what, key, reason, self->repair_data);
}

/* FALSE without an error: there is none. */
static gboolean
fetch_entry (HtStore *self, const char *key, HtModelState **state, JsonNode **report, double *seconds, GError **error)
{
  g_autofree char *path = g_build_filename (self->states, key, NULL);
  g_autoptr (GError) first = NULL;
  g_autoptr (GError) second = NULL;

  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    return FALSE;
  if (read_entry (path, state, report, seconds, &first))
    return TRUE;
  if (!is_damage (first))
    {
      g_propagate_error (error, g_steal_pointer (&first));
      return FALSE;
    }
  /* Another thread may have removed it and put a good one there in the meantime. */
  ht_lock (&self->disk_mutex);
  gboolean is_there = g_file_test (path, G_FILE_TEST_EXISTS);
  gboolean is_good = is_there && read_entry (path, state, report, seconds, &second);
  gboolean is_damaged = is_there && !is_good && is_damage (second);
  gboolean is_removed = is_damaged && withdraw (self, key, path, error);
  ht_unlock (&self->disk_mutex);
  if (is_there && !is_good && !is_damaged)
    g_propagate_error (error, g_steal_pointer (&second));
  if (is_removed)
    tell_repair (self, "state", key, second->message);
  return is_good;
}

HtModelState *
ht_store_get_state (HtStore *self, const char *key, JsonNode **report, double *seconds, GError **error)
{
  g_autoptr (JsonNode) read_report = NULL;
  double read_seconds = 0.0;
  HtModelState *state;

  g_return_val_if_fail (is_key (key), NULL);

  ht_lock (&self->mutex);
  state = ht_state_cache_get (self->cache, key, &read_report, &read_seconds);
  ht_unlock (&self->mutex);
  if (state == NULL)
    {
      if (!fetch_entry (self, key, &state, &read_report, &read_seconds, error))
        return NULL;
      ht_lock (&self->mutex);
      ht_state_cache_add (self->cache, key, state, read_report, read_seconds, TRUE);
      ht_unlock (&self->mutex);
    }
  if (report != NULL)
    *report = g_steal_pointer (&read_report);
  if (seconds != NULL)
    *seconds = read_seconds;
  return state;
}

gboolean
ht_store_get_report (HtStore *self, const char *key, JsonNode **report, double *seconds, GError **error)
{
  g_autoptr (JsonNode) read_report = NULL;
  double read_seconds = 0.0;

  g_return_val_if_fail (is_key (key), FALSE);

  ht_lock (&self->mutex);
  g_autoptr (HtModelState) state = ht_state_cache_get (self->cache, key, &read_report, &read_seconds);
  ht_unlock (&self->mutex);
  if (state == NULL && !fetch_entry (self, key, NULL, &read_report, &read_seconds, error))
    return FALSE;
  if (report != NULL)
    *report = g_steal_pointer (&read_report);
  if (seconds != NULL)
    *seconds = read_seconds;
  return TRUE;
}

gboolean
ht_store_has_state (HtStore *self, const char *key)
{
  g_autofree char *path = NULL;

  g_return_val_if_fail (is_key (key), FALSE);

  ht_lock (&self->mutex);
  g_autoptr (HtModelState) state = ht_state_cache_get (self->cache, key, NULL, NULL);
  ht_unlock (&self->mutex);
  path = g_build_filename (self->states, key, NULL);
  return state != NULL || g_file_test (path, G_FILE_TEST_EXISTS);
}

guint64
ht_store_get_memory (HtStore *self)
{
  ht_lock (&self->mutex);
  guint64 bytes = ht_state_cache_get_bytes (self->cache);
  ht_unlock (&self->mutex);
  return bytes;
}

/* ---- Outcomes ---- */

gboolean
ht_store_put_outcome (HtStore *self, const char *key, GVariant *outcome, GError **error)
{
  g_autoptr (GVariant) boxed = g_variant_ref_sink (g_variant_new_variant (outcome));
  g_autofree char *temporary = NULL, *path = NULL;

  g_return_val_if_fail (is_key (key), FALSE);

  temporary = make_temporary_path (self, key);
  path = g_build_filename (self->outcomes, key, NULL);
  gboolean done
      = ht_sealed_file_write (temporary, boxed, error) && publish (self, temporary, self->outcomes, path, error);
  g_remove (temporary);
  if (!done)
    g_prefix_error (error, "keeping a result in '%s': ", self->folder);
  return done;
}

GVariant *
ht_store_get_outcome (HtStore *self, const char *key, GError **error)
{
  g_autofree char *path = NULL;
  g_autoptr (GError) local = NULL;

  g_return_val_if_fail (is_key (key), NULL);

  path = g_build_filename (self->outcomes, key, NULL);
  /* Files of outcomes are small: one thread at a time reads them. */
  ht_lock (&self->disk_mutex);
  g_autoptr (GVariant) boxed = ht_sealed_file_read (path, G_VARIANT_TYPE_VARIANT, &local);
  gboolean is_absent = g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOENT);
  gboolean is_removed = boxed == NULL && !is_absent && is_damage (local) && withdraw (self, key, path, error);
  ht_unlock (&self->disk_mutex);
  if (boxed != NULL)
    return g_variant_get_variant (boxed);
  if (is_removed)
    tell_repair (self, "outcome", key, local->message);
  else if (!is_absent && !is_damage (local))
    g_propagate_error (error, g_steal_pointer (&local));
  return NULL;
}
