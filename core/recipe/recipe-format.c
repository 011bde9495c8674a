/* SPDX-License-Identifier: MIT */
/* Tidies the text of a recipe and keeps its comments: indentation by two, one empty line at most, no blanks at line
 * ends. What stands inside a line stays as it is: people align it. */
#include <string.h>

#include "base/located.h"

#include <halftone/error.h>
#include <halftone/recipe.h>

#define INDENT 2u

/* A collection whose items begin in one column. */
typedef struct
{
  guint column;     /* in the text */
  guint indented;   /* in the result */
  gboolean is_list; /* of dashes */
} Level;

typedef struct
{
  GArray *levels; /* Level, the innermost last */
  GString *text;
  GPtrArray *held; /* comment lines and empty ones (""), which go with the next line */
  gint depth;      /* open brackets at the end of the last line */
  gint shift;      /* of the line that opened them */
} Formatter;

/* The closing quote, or the end. */
static const char *
skip_quoted (const char *c)
{
  char quote = *c++;

  while (*c != '\0' && (*c != quote || (quote == '\'' && c[1] == quote)))
    c += (*c == '\\' && quote == '"' && c[1] != '\0') || *c == quote ? 2 : 1;
  return c;
}

/* Brackets that a line opens less those that it closes; quotes and comments aside. */
static gint
count_brackets (const char *line)
{
  gint depth = 0;

  for (const char *c = line; *c != '\0'; c++)
    {
      if (*c == '#' && (c == line || c[-1] == ' ' || c[-1] == '\t'))
        break;
      if ((*c == '"' || *c == '\'') && (c == line || strchr (" [{,:", c[-1]) != NULL))
        {
          c = skip_quoted (c);
          if (*c == '\0')
            break;
        }
      else if (*c == '[' || *c == '{')
        depth++;
      else if (*c == ']' || *c == '}')
        depth--;
    }
  return depth;
}

static void
put_line (Formatter *self, guint column, const char *line)
{
  for (guint i = 0; i < self->held->len; i++)
    {
      const char *held = g_ptr_array_index (self->held, i);

      if (*held != '\0')
        g_string_append_printf (self->text, "%*s%s\n", (int)column, "", held);
      else if (self->text->len > 0 && !g_str_has_suffix (self->text->str, "\n\n"))
        g_string_append_c (self->text, '\n');
    }
  g_ptr_array_set_size (self->held, 0);
  if (line != NULL)
    g_string_append_printf (self->text, "%*s%s\n", (int)column, "", line);
}

/* The column that content of this column gets. A list may begin in the column of its key; it is indented all the same.
 */
static guint
find_column (Formatter *self, guint column, gboolean is_item)
{
  Level *top = NULL;
  guint indented;

  while (self->levels->len > 0)
    {
      top = &g_array_index (self->levels, Level, self->levels->len - 1);
      if (top->column < column || (top->column == column && (is_item || !top->is_list)) || self->levels->len == 1)
        break;
      g_array_set_size (self->levels, self->levels->len - 1);
    }
  if (self->levels->len > 0 && top->column >= column && top->is_list == is_item)
    return top->indented;
  indented = self->levels->len > 0 ? top->indented + INDENT : 0;
  g_array_append_vals (self->levels, &(Level){ column, indented, is_item }, 1);
  return indented;
}

static void
add_block_line (Formatter *self, guint column, const char *line)
{
  g_autoptr (GString) head = g_string_new (NULL);
  guint place = column, indented = 0, first = 0;
  gboolean begun = FALSE;

  /* "- - key: value": each dash opens a level, the content behind it another. */
  while (line[0] == '-' && (line[1] == ' ' || line[1] == '\0'))
    {
      gsize n = 1 + strspn (line + 1, " ");

      indented = find_column (self, place, TRUE);
      if (!begun)
        first = indented;
      begun = TRUE;
      g_string_append (head, line[n] != '\0' ? "- " : "-");
      place += (guint)n;
      line += n;
      if (*line == '\0')
        break;
      while (self->levels->len > 1 && g_array_index (self->levels, Level, self->levels->len - 1).column > place)
        g_array_set_size (self->levels, self->levels->len - 1);
      if (g_array_index (self->levels, Level, self->levels->len - 1).column != place)
        g_array_append_vals (self->levels, &(Level){ place, indented + INDENT, FALSE }, 1);
      indented += INDENT;
    }
  if (!begun)
    first = find_column (self, place, FALSE);
  g_string_append (head, line);
  put_line (self, first, head->str);
  self->shift = (gint)first - (gint)column;
}

static void
add_line (Formatter *self, char *line)
{
  gsize column;

  g_strchomp (line);
  column = strspn (line, " ");
  if (self->depth > 0)
    {
      gint place = MAX ((gint)column + self->shift, 0);

      if (line[column] != '\0')
        g_string_append_printf (self->text, "%*s%s\n", place, "", line + column);
    }
  else if (line[column] == '\0' || line[column] == '#')
    {
      g_ptr_array_add (self->held, g_strdup (line + column));
      return;
    }
  else
    add_block_line (self, (guint)column, line + column);
  self->depth += count_brackets (line + column);
}

static char *
format_yaml (const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  Formatter self = { .levels = g_array_new (FALSE, FALSE, sizeof (Level)),
                     .text = g_string_new (NULL),
                     .held = g_ptr_array_new_with_free_func (g_free) };

  for (gsize i = 0; lines[i] != NULL; i++)
    add_line (&self, lines[i]);
  put_line (&self, 0, NULL);
  while (g_str_has_suffix (self.text->str, "\n\n"))
    g_string_truncate (self.text, self.text->len - 1);
  g_array_unref (self.levels);
  g_ptr_array_unref (self.held);
  return g_string_free (self.text, FALSE);
}

static JsonNode *
read_value (const char *text, const char *file, GPtrArray *problems, GError **error)
{
  g_autoptr (HtLocatedDocument) document = ht_located_document_parse (text, -1, file, problems);

  if (document == NULL || ht_diagnostic_list_has_errors (problems))
    return NULL;
  return ht_located_node_to_json (ht_located_document_get_root (document), error);
}

static gboolean
is_json (const char *text)
{
  return text[strspn (text, " \t\r\n")] == '{' && strchr (text, '#') == NULL;
}

static char *
format_json (JsonNode *value)
{
  g_autofree char *text = json_to_string (value, TRUE);

  return g_strconcat (text, "\n", NULL);
}

/**
 * ht_recipe_format:
 * @text: a recipe, YAML or JSON
 * @file: (nullable): the name that problems carry
 * @diagnostics: (nullable) (element-type HtDiagnostic): where problems of the text are added
 * @error: return location for an error
 *
 * Tidies the text of a recipe; comments stay. It need not be a valid recipe, but it must be valid text. The result says
 * the same, which is checked.
 *
 * Returns: (transfer full) (nullable): the text, or %NULL with @error set
 */
char *
ht_recipe_format (const char *text, const char *file, GPtrArray *diagnostics, GError **error)
{
  g_autoptr (GPtrArray) problems = ht_diagnostic_list_new ();
  g_autoptr (JsonNode) before = NULL, after = NULL;
  g_autofree char *joined = NULL, *result = NULL;
  g_auto (GStrv) parts = NULL;
  GError *local = NULL;

  g_return_val_if_fail (text != NULL, NULL);

  if (file == NULL)
    file = "recipe";
  before = read_value (text, file, problems, &local);
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return NULL;
    }
  if (!ht_diagnostic_list_finish (problems, diagnostics, 0, 0, error))
    return NULL;
  g_return_val_if_fail (before != NULL, NULL);
  parts = g_strsplit (text, "\r\n", -1);
  joined = g_strjoinv ("\n", parts);
  result = is_json (joined) ? format_json (before) : format_yaml (joined);
  after = read_value (result, file, problems, NULL);
  if (after != NULL && json_node_equal (before, after))
    return g_steal_pointer (&result);
  g_set_error (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_NOT_SUPPORTED,
               "%s: the tidied text would not say the same, so it stays as it is; please tidy it by hand", file);
  return NULL;
}
