/* SPDX-License-Identifier: MIT */
/* What happened, in order: a file of JSON lines that only grows. An event is on disk when ht_journal_append() returns;
 * a line that a crash tore is cut off when the journal is opened again. */
#pragma once

#include <json-glib/json-glib.h>

typedef struct _HtJournal HtJournal;

/* Opens a journal, or begins one. HT_ERROR_INVALID_DATA with the line where anything but its end is malformed. Whoever
 * opens it holds the lock of the folder: see ht_store_open(). */
HtJournal *ht_journal_open (const char *path, GError **error);
void ht_journal_close (HtJournal *self);
/* Adds an event; several threads may. After a failure, the disk full for one, the file is as it was. */
gboolean ht_journal_append (HtJournal *self, JsonObject *event, GError **error);
/* How many bytes of a torn line were cut off at opening. */
gsize ht_journal_get_n_cut (HtJournal *self);
guint ht_journal_get_n_events (HtJournal *self);
/* A new reference; events of before the opening come first. They are not to be changed. */
JsonObject *ht_journal_get_event (HtJournal *self, guint index);

/* The events of a journal that somebody else may be writing: JsonObject; a torn last line is left out. */
GPtrArray *ht_journal_load (const char *path, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtJournal, ht_journal_close)
