/* SPDX-License-Identifier: MIT */
/* One located problem and the text that a terminal shows of it. */
#include <halftone/diagnostic.h>

#include <string.h>

/* The widest piece of a source line that is shown; the rest is clipped around the marked text. */
#define MAX_SHOWN 110
/* How much of a clipped line stays in view before the mark. */
#define KEEP_BEFORE 40

/**
 * HtDiagnostic:
 *
 * One problem of a text with its place: severity, code, file, line, column, the line itself and a message.
 */
struct _HtDiagnostic
{
  gatomicrefcount ref_count;
  HtSeverity severity;
  gint code;
  guint line;
  guint column;
  char *file;
  char *message;
  /* What is shown of the line, and the mark below it; the whole line may be megabytes. */
  char *shown;
  char *mark;
};

G_DEFINE_BOXED_TYPE (HtDiagnostic, ht_diagnostic, ht_diagnostic_ref, ht_diagnostic_unref)

/* Columns a character takes on a terminal. */
static guint
display_width (gunichar c)
{
  if (g_unichar_iszerowidth (c))
    return 0;
  return g_unichar_iswide (c) ? 2 : 1;
}

/* Keeps the part of the line around the marked text. Characters that a terminal would act on become blanks. */
static void
mark_line (HtDiagnostic *self, const char *line, glong first, glong length)
{
  glong n_chars = g_utf8_strlen (line, -1);
  glong last = MIN (n_chars, first + length);
  glong from = n_chars > MAX_SHOWN ? CLAMP (first - KEEP_BEFORE, 0, n_chars - MAX_SHOWN) : 0;
  glong to = MIN (n_chars, from + MAX_SHOWN);
  GString *shown = g_string_new (from > 0 ? "…" : NULL);
  GString *mark = g_string_new (from > 0 ? " " : NULL);
  const char *p = g_utf8_offset_to_pointer (line, from);

  for (glong i = from; i < to; i++, p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);
      gboolean printable = g_unichar_isprint (c);
      guint width = printable ? display_width (c) : 1;

      g_string_append_unichar (shown, printable ? c : ' ');
      for (guint k = 0; k < width && i < MAX (last, first + 1); k++)
        g_string_append_c (mark, i < first ? ' ' : i == first && k == 0 ? '^' : '~');
    }
  if (to < n_chars)
    g_string_append (shown, "…");
  if (first >= to)
    g_string_append_c (mark, '^');
  self->shown = g_string_free (shown, FALSE);
  self->mark = g_string_free (mark, FALSE);
}

/* Names in messages come from the text and may hold what a terminal would act on. */
static char *
make_harmless (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  GString *clean = g_string_new (NULL);

  for (const char *p = valid; *p != '\0'; p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);

      if (g_unichar_iscntrl (c))
        g_string_append_printf (clean, "\\u%04x", c);
      else
        g_string_append_unichar (clean, c);
    }
  return g_string_free (clean, FALSE);
}

/**
 * ht_diagnostic_new:
 * @severity: how bad it is
 * @code: what it is, a #HtRecipeError for recipes
 * @file: name of the text, as the user gave it
 * @line: line, from 1; 0 where the problem has no place
 * @column: column in characters, from 1; 0 where the problem concerns the whole line
 * @length: characters to mark
 * @source_line: (nullable): the line without its end
 * @message: what is wrong, without the place
 *
 * Makes a diagnostic. What is not UTF-8 is replaced, control characters are written as escapes.
 *
 * Returns: (transfer full): the diagnostic
 */
HtDiagnostic *
ht_diagnostic_new (HtSeverity severity, gint code, const char *file, guint line, guint column, guint length,
                   const char *source_line, const char *message)
{
  HtDiagnostic *self;

  g_return_val_if_fail (file != NULL, NULL);
  g_return_val_if_fail (message != NULL, NULL);

  self = g_new0 (HtDiagnostic, 1);
  g_atomic_ref_count_init (&self->ref_count);
  self->severity = severity;
  self->code = code;
  self->line = line;
  self->column = column;
  self->file = make_harmless (file);
  self->message = make_harmless (message);
  if (source_line != NULL && line > 0 && column > 0)
    {
      g_autofree char *valid = g_utf8_make_valid (source_line, -1);

      mark_line (self, valid, MIN ((glong) column - 1, g_utf8_strlen (valid, -1)), MAX (length, 1u));
    }
  return self;
}

/**
 * ht_diagnostic_ref:
 * @self: a diagnostic
 *
 * Takes a reference.
 *
 * Returns: (transfer full): @self
 */
HtDiagnostic *
ht_diagnostic_ref (HtDiagnostic *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

/**
 * ht_diagnostic_unref:
 * @self: a diagnostic
 *
 * Drops a reference.
 */
void
ht_diagnostic_unref (HtDiagnostic *self)
{
  g_return_if_fail (self != NULL);
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  g_free (self->file);
  g_free (self->message);
  g_free (self->shown);
  g_free (self->mark);
  g_free (self);
}

/**
 * ht_diagnostic_get_severity:
 * @self: a diagnostic
 *
 * Gets how bad it is.
 *
 * Returns: the severity
 */
HtSeverity
ht_diagnostic_get_severity (HtDiagnostic *self)
{
  g_return_val_if_fail (self != NULL, HT_SEVERITY_ERROR);
  return self->severity;
}

/**
 * ht_diagnostic_get_code:
 * @self: a diagnostic
 *
 * Gets what kind of problem it is.
 *
 * Returns: the code, a #HtRecipeError for recipes
 */
gint
ht_diagnostic_get_code (HtDiagnostic *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->code;
}

/**
 * ht_diagnostic_get_file:
 * @self: a diagnostic
 *
 * Gets the name of the text.
 *
 * Returns: the file
 */
const char *
ht_diagnostic_get_file (HtDiagnostic *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  return self->file;
}

/**
 * ht_diagnostic_get_line:
 * @self: a diagnostic
 *
 * Gets the line.
 *
 * Returns: the line, from 1, or 0 where the problem has no place
 */
guint
ht_diagnostic_get_line (HtDiagnostic *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->line;
}

/**
 * ht_diagnostic_get_column:
 * @self: a diagnostic
 *
 * Gets the column.
 *
 * Returns: the column in characters, from 1, or 0
 */
guint
ht_diagnostic_get_column (HtDiagnostic *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->column;
}

/**
 * ht_diagnostic_get_message:
 * @self: a diagnostic
 *
 * Gets the message.
 *
 * Returns: what is wrong, without the place
 */
const char *
ht_diagnostic_get_message (HtDiagnostic *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  return self->message;
}

static const char *
severity_word (HtSeverity severity)
{
  switch (severity)
    {
    case HT_SEVERITY_WARNING:
      return "warning";
    case HT_SEVERITY_NOTE:
      return "note";
    case HT_SEVERITY_ERROR:
    default:
      return "error";
    }
}

/**
 * ht_diagnostic_format:
 * @self: a diagnostic
 *
 * Formats it for a terminal: `file:line:column: error: message`, then the line and, below it, a mark under the
 * offending text. Long lines are clipped around the mark.
 *
 * Returns: (transfer full): the text, without a final line end
 */
char *
ht_diagnostic_format (HtDiagnostic *self)
{
  GString *text;

  g_return_val_if_fail (self != NULL, NULL);

  text = g_string_new (self->file);
  if (self->line > 0)
    g_string_append_printf (text, ":%u", self->line);
  if (self->line > 0 && self->column > 0)
    g_string_append_printf (text, ":%u", self->column);
  g_string_append_printf (text, ": %s: %s", severity_word (self->severity), self->message);
  if (self->shown != NULL)
    {
      g_autofree char *number = g_strdup_printf ("%4u", self->line);

      g_string_append_printf (text, "\n%s | %s\n%*s | %s", number, self->shown, (int) strlen (number), "", self->mark);
    }
  return g_string_free (text, FALSE);
}
