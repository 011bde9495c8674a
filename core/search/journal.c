/* SPDX-License-Identifier: MIT */
#include "search/journal.h"

#include "base/lock.h"
#include "search/sealed-file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <halftone/error.h>
#include <string.h>
#include <unistd.h>

/* The parser recurses without a limit. */
#define MAX_DEPTH 64

struct _HtJournal
{
  char *path;
  int fd;
  gint64 length;
  gsize n_cut;
  GPtrArray *events; /* JsonObject */
  GMutex mutex;
};

static gboolean
is_shallow (const char *line)
{
  guint depth = 0;
  gboolean in_text = FALSE;

  for (; *line != '\0'; line++)
    {
      if (in_text && *line == '\\' && line[1] != '\0')
        line++;
      else if (*line == '"')
        in_text = !in_text;
      else if (!in_text && (*line == '{' || *line == '['))
        depth++;
      else if (!in_text && (*line == '}' || *line == ']') && depth > 0)
        depth--;
      if (depth > MAX_DEPTH)
        return FALSE;
    }
  return TRUE;
}

static JsonObject *
parse_line (const char *line, gsize length)
{
  if (memchr (line, '\0', length) != NULL || !g_utf8_validate (line, (gssize)length, NULL))
    return NULL;
  g_autofree char *text = g_strndup (line, length);
  g_autoptr (JsonNode) node = is_shallow (text) ? json_from_string (text, NULL) : NULL;
  return node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? json_node_dup_object (node) : NULL;
}

/* Reads whole lines; `end` receives where the last good one ends. Only what follows it may be torn. */
static GPtrArray *
parse (const char *path, const char *text, gsize size, gsize *end, GError **error)
{
  g_autoptr (GPtrArray) events = g_ptr_array_new_with_free_func ((GDestroyNotify)json_object_unref);
  gsize at = 0;

  *end = 0;
  while (at < size)
    {
      const char *newline = memchr (text + at, '\n', size - at);
      gsize next = newline != NULL ? (gsize)(newline - text) + 1 : size;
      JsonObject *event = newline != NULL ? parse_line (text + at, next - at - 1) : NULL;
      if (event == NULL && next < size)
        {
          g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                       "%s:%u: found a line that is no JSON object; expected one event a line, as it was written: put "
                       "the line right, or begin a new search in another folder",
                       path, events->len + 1);
          return NULL;
        }
      if (event == NULL)
        break;
      g_ptr_array_add (events, event);
      at = *end = next;
    }
  return g_steal_pointer (&events);
}

GPtrArray *
ht_journal_load (const char *path, GError **error)
{
  g_autofree char *text = NULL;
  gsize size, end;

  if (!g_file_get_contents (path, &text, &size, error))
    return NULL;
  return parse (path, text, size, &end, error);
}

static gboolean
cut (HtJournal *self, gint64 length, GError **error)
{
  if (ftruncate (self->fd, length) == 0 && fsync (self->fd) == 0)
    return TRUE;
  ht_set_file_error (error, errno, "cut off the end of", self->path);
  return FALSE;
}

static gboolean
read_events (HtJournal *self, GError **error)
{
  g_autofree char *text = NULL;
  gsize size, end;

  if (!g_file_get_contents (self->path, &text, &size, error))
    return FALSE;
  self->events = parse (self->path, text, size, &end, error);
  if (self->events == NULL)
    return FALSE;
  self->length = (gint64)end;
  self->n_cut = size - end;
  return self->n_cut == 0 || cut (self, self->length, error);
}

HtJournal *
ht_journal_open (const char *path, GError **error)
{
  g_autoptr (HtJournal) self = g_new0 (HtJournal, 1);
  g_autofree char *folder = g_path_get_dirname (path);

  g_mutex_init (&self->mutex);
  self->path = g_strdup (path);
  self->fd = g_open (path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (self->fd < 0)
    {
      ht_set_file_error (error, errno, "open the journal", path);
      return NULL;
    }
  if (!read_events (self, error) || !ht_path_sync (folder, error))
    return NULL;
  return g_steal_pointer (&self);
}

void
ht_journal_close (HtJournal *self)
{
  if (self == NULL)
    return;
  if (self->fd >= 0)
    close (self->fd);
  g_clear_pointer (&self->events, g_ptr_array_unref);
  g_mutex_clear (&self->mutex);
  g_free (self->path);
  g_free (self);
}

static gboolean
write_line (HtJournal *self, const char *line, gsize length, GError **error)
{
  gsize done = 0;

  while (done < length)
    {
      gssize written = write (self->fd, line + done, length - done);
      if (written < 0 && errno == EINTR)
        continue;
      if (written <= 0)
        break;
      done += (gsize)written;
    }
  if (done == length && fsync (self->fd) == 0)
    return TRUE;
  ht_set_file_error (error, errno, "write to the journal", self->path);
  cut (self, self->length, NULL);
  return FALSE;
}

gboolean
ht_journal_append (HtJournal *self, JsonObject *event, GError **error)
{
  g_autoptr (JsonNode) node = json_node_init_object (json_node_alloc (), event);
  g_autofree char *text = json_to_string (node, FALSE);
  g_autofree char *line = g_strconcat (text, "\n", NULL);
  gsize length = strlen (line);
  /* What is read back, whatever becomes of the caller's object; numbers that are not finite are no JSON. */
  JsonObject *copy = parse_line (text, length - 1);

  if (copy == NULL)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                   "writing to the journal '%s': the event cannot be read back: %.200s", self->path, text);
      return FALSE;
    }
  ht_lock (&self->mutex);
  gboolean done = write_line (self, line, length, error);
  if (done)
    {
      self->length += (gint64)length;
      g_ptr_array_add (self->events, copy);
    }
  ht_unlock (&self->mutex);
  if (!done)
    json_object_unref (copy);
  return done;
}

gsize
ht_journal_get_n_cut (HtJournal *self)
{
  return self->n_cut;
}

guint
ht_journal_get_n_events (HtJournal *self)
{
  ht_lock (&self->mutex);
  guint n_events = self->events->len;
  ht_unlock (&self->mutex);
  return n_events;
}

JsonObject *
ht_journal_get_event (HtJournal *self, guint index)
{
  ht_lock (&self->mutex);
  JsonObject *event = index < self->events->len ? json_object_ref (g_ptr_array_index (self->events, index)) : NULL;
  ht_unlock (&self->mutex);
  return event;
}
