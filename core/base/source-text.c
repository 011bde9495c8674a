/* SPDX-License-Identifier: MIT */
#include "base/source-text.h"

#include <string.h>

const HtSourceLimits ht_source_limits_written = { .max_bytes = 16u * 1024u * 1024u, .max_values = 1000000u };
const HtSourceLimits ht_source_limits_generated = { .max_bytes = 128u * 1024u * 1024u, .max_values = 4000000u };

/* A longer line is not shown. */
#define MAX_LINE 65536

void
ht_source_report_file (GPtrArray *problems, const char *file, gint code, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list arguments;

  va_start (arguments, format);
  message = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_ptr_array_add (problems, ht_diagnostic_new (HT_SEVERITY_ERROR, code, file, 0, 0, 0, NULL, message));
}

/* A line ends with \n, \r\n or \r. */
static void
find_lines (HtSourceText *self)
{
  gsize start = 0;

  self->line_starts = g_array_new (FALSE, FALSE, sizeof (gsize));
  g_array_append_val (self->line_starts, start);
  for (gsize i = 0; i < self->length; i++)
    {
      if (self->text[i] != '\n' && (self->text[i] != '\r' || self->text[i + 1] == '\n'))
        continue;
      start = i + 1;
      g_array_append_val (self->line_starts, start);
    }
}

gboolean
ht_source_is_unwanted (gunichar c)
{
  return (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff;
}

/* YAML forbids control characters, and terminals obey them. */
static gboolean
check_characters (HtSourceText *self, GPtrArray *problems)
{
  for (const char *p = self->text; p < self->text + self->length; p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);
      gsize offset = (gsize) (p - self->text);

      if ((c >= 0x20 && c < 0x7f) || c == '\n' || c == '\r' || c == '\t')
        continue;
      if (c < 0x20 || ht_source_is_unwanted (c))
        {
          ht_source_text_report (self, problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_SYNTAX, offset, 1,
                                 "the character U+%04X is not allowed here: remove it", c);
          return FALSE;
        }
    }
  return TRUE;
}

HtSourceText *
ht_source_text_new (const char *text, gsize length, const char *file, const HtSourceLimits *limits,
                    GPtrArray *problems)
{
  g_autoptr (HtSourceText) self = NULL;
  const char *end = NULL;
  gboolean valid;

  if (length > limits->max_bytes)
    {
      ht_source_report_file (problems, file, HT_RECIPE_ERROR_OUT_OF_RANGE,
                             "the text has %" G_GSIZE_FORMAT " bytes, at most %" G_GSIZE_FORMAT
                             " are read",
                             length, limits->max_bytes);
      return NULL;
    }
  if (length >= 3 && memcmp (text, "\xef\xbb\xbf", 3) == 0)
    {
      text += 3;
      length -= 3;
    }
  self = g_new0 (HtSourceText, 1);
  self->file = g_strdup (file);
  self->max_values = limits->max_values;
  valid = length == 0 || g_utf8_validate_len (text, length, &end);
  self->length = valid ? length : (gsize) (end - text);
  self->text = g_strndup (text, self->length);
  find_lines (self);
  if (!valid)
    {
      guchar bad = (guchar) *end;

      ht_source_text_report (self, problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_SYNTAX, self->length, 1,
                             bad == 0 ? "a NUL byte follows: this is not a text file"
                                      : "the byte 0x%02X that follows is not UTF-8: save the file as UTF-8",
                             bad);
      return NULL;
    }
  if (!check_characters (self, problems))
    return NULL;
  return g_steal_pointer (&self);
}

void
ht_source_text_free (HtSourceText *self)
{
  g_free (self->file);
  g_free (self->text);
  g_clear_pointer (&self->line_starts, g_array_unref);
  g_free (self);
}

/* Index of the line that holds the byte. */
static guint
find_line (const HtSourceText *self, gsize offset)
{
  guint low = 0, high = self->line_starts->len;

  while (high - low > 1)
    {
      guint middle = low + (high - low) / 2;

      if (g_array_index (self->line_starts, gsize, middle) <= offset)
        low = middle;
      else
        high = middle;
    }
  return low;
}

/* End of a line without its line end. */
static gsize
line_end (const HtSourceText *self, guint index)
{
  gsize end = index + 1 < self->line_starts->len ? g_array_index (self->line_starts, gsize, index + 1) : self->length;

  while (end > g_array_index (self->line_starts, gsize, index)
         && (self->text[end - 1] == '\n' || self->text[end - 1] == '\r'))
    end--;
  return end;
}

void
ht_source_text_locate (HtSourceText *self, gsize offset, guint *line, guint *column)
{
  guint index;
  gsize start;

  offset = MIN (offset, self->length);
  index = find_line (self, offset);
  start = g_array_index (self->line_starts, gsize, index);
  *line = index + 1;
  *column = 1;
  if (self->last_offset >= start && self->last_offset <= offset && self->last_column > 0)
    {
      start = self->last_offset;
      *column = self->last_column;
    }
  *column += (guint) g_utf8_strlen (self->text + start, (gssize) (offset - start));
  self->last_offset = offset;
  self->last_column = *column;
}

gsize
ht_source_text_find (const HtSourceText *self, guint line, guint column)
{
  guint index = CLAMP (line, 1u, self->line_starts->len) - 1;
  const char *p = self->text + g_array_index (self->line_starts, gsize, index);
  const char *end = self->text + line_end (self, index);

  for (guint i = 1; i < column && p < end; i++)
    p = g_utf8_next_char (p);
  return (gsize) (p - self->text);
}

void
ht_source_text_report_message (HtSourceText *self, GPtrArray *problems, HtSeverity severity, gint code,
                               gsize offset, gsize length, const char *message)
{
  g_autofree char *source_line = NULL;
  guint line, column, index;
  gsize start, end, stop;

  if (problems->len >= HT_SOURCE_MAX_PROBLEMS)
    return;
  offset = MIN (offset, self->length);
  ht_source_text_locate (self, offset, &line, &column);
  index = line - 1;
  start = g_array_index (self->line_starts, gsize, index);
  end = line_end (self, index);
  stop = MIN (offset + MIN (length, self->length), MAX (end, offset));
  if (end - start <= MAX_LINE)
    source_line = g_strndup (self->text + start, end - start);
  g_ptr_array_add (problems, ht_diagnostic_new (severity, code, self->file, line, column,
                                                (guint) g_utf8_strlen (self->text + offset, (gssize) (stop - offset)),
                                                source_line, message));
}

void
ht_source_text_report (HtSourceText *self, GPtrArray *problems, HtSeverity severity, gint code, gsize offset,
                       gsize length, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list arguments;

  va_start (arguments, format);
  message = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  ht_source_text_report_message (self, problems, severity, code, offset, length, message);
}
