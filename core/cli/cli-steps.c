/* SPDX-License-Identifier: MIT */
/* What the steps of a run did, layer by layer. */
#include "cli/cli.h"

#include <string.h>

#define MAX_COLUMNS 12
#define MANY        3 /* that have the same said of them */

/* Nodes without a name are told by what they are. */
static char *
shorten (const char *subject)
{
  const char *end = strstr (subject, ": ");
  return end != NULL ? g_strndup (subject, (gsize)(end - subject)) : g_strdup (subject);
}

static void
add_columns (JsonArray *rows, GPtrArray *columns)
{
  for (guint i = 0; rows != NULL && i < json_array_get_length (rows); i++)
    {
      g_autoptr (GList) keys = json_object_get_members (json_array_get_object_element (rows, i));
      for (GList *key = keys; key != NULL && columns->len < MAX_COLUMNS; key = key->next)
        if (!g_str_equal (key->data, "subject")
            && !g_ptr_array_find_with_equal_func (columns, key->data, g_str_equal, NULL))
          g_ptr_array_add (columns, g_strdup (key->data));
    }
}

static JsonObject *
find_row (JsonArray *rows, const char *subject)
{
  for (guint i = 0; rows != NULL && i < json_array_get_length (rows); i++)
    {
      JsonObject *row = json_array_get_object_element (rows, i);
      if (g_str_equal (json_object_get_string_member (row, "subject"), subject))
        return row;
    }
  return NULL;
}

/* Bytes as MiB, all else in four digits. */
static char *
format_cell (JsonObject *row, const char *column)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  if (row == NULL || !json_object_has_member (row, column) || json_object_get_null_member (row, column))
    return g_strdup ("-");
  double value = json_object_get_double_member (row, column);
  gboolean is_size = g_str_has_suffix (column, "-bytes");
  g_ascii_formatd (text, sizeof text, is_size ? "%.1f" : "%.4g", is_size ? value / (1 << 20) : value);
  return g_strdup (text);
}

static char *
format_head (const char *column)
{
  gboolean is_size = g_str_has_suffix (column, "-bytes");
  return is_size ? g_strdup_printf ("%.*s MiB", (int)(strlen (column) - strlen ("-bytes")), column) : g_strdup (column);
}

/* Rows of one table, and what was timed of the same subjects. */
static void
print_table (const char *table, JsonArray *rows, JsonArray *timings)
{
  g_autoptr (GPtrArray) columns = g_ptr_array_new_with_free_func (g_free),
                        timed = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func ((GDestroyNotify)g_strfreev);
  JsonArray *longer = json_array_get_length (rows) > 0 ? rows : timings;

  add_columns (rows, columns);
  add_columns (timings, timed);
  guint n = 1 + columns->len + timed->len;
  char **head = g_new0 (char *, n + 1);
  head[0] = g_strdup (table);
  for (guint i = 1; i < n; i++)
    head[i] = format_head (
        g_ptr_array_index (i <= columns->len ? columns : timed, i <= columns->len ? i - 1 : i - 1 - columns->len));
  g_ptr_array_add (lines, head);
  for (guint r = 0; r < json_array_get_length (longer); r++)
    {
      const char *subject = json_object_get_string_member (json_array_get_object_element (longer, r), "subject");
      char **cells = g_new0 (char *, n + 1);
      cells[0] = shorten (subject);
      for (guint i = 1; i < n; i++)
        cells[i] = i <= columns->len
                       ? format_cell (find_row (rows, subject), g_ptr_array_index (columns, i - 1))
                       : format_cell (find_row (timings, subject), g_ptr_array_index (timed, i - 1 - columns->len));
      g_ptr_array_add (lines, cells);
    }
  cli_print_table (lines);
}

/* What is said of many is said once. */
static void
print_list (JsonObject *step, const char *member, const char *key, const char *verb)
{
  JsonArray *list = json_object_get_array_member (step, member);
  g_autoptr (GHashTable) counts = g_hash_table_new (g_str_hash, g_str_equal);
  guint n = json_array_get_length (list);

  for (guint i = 0; i < n; i++)
    {
      const char *text = json_object_get_string_member (json_array_get_object_element (list, i), key);
      guint count = GPOINTER_TO_UINT (g_hash_table_lookup (counts, text));
      g_hash_table_insert (counts, (gpointer)text, GUINT_TO_POINTER (count + 1));
    }
  for (guint i = 0; i < n; i++)
    {
      JsonObject *entry = json_array_get_object_element (list, i);
      g_autofree char *subject = shorten (json_object_get_string_member (entry, "subject"));
      const char *text = json_object_get_string_member (entry, key);
      guint count = GPOINTER_TO_UINT (g_hash_table_lookup (counts, text));
      if (count > MANY)
        g_print ("  %s%s and %u more: %s\n", verb, subject, count - 1, text);
      else if (count > 0)
        g_print ("  %s%s: %s\n", verb, subject, text);
      if (count > MANY)
        g_hash_table_remove (counts, text);
    }
}

static JsonObject *
get_object (JsonObject *object, const char *member)
{
  return object != NULL && json_object_has_member (object, member) ? json_object_get_object_member (object, member)
                                                                   : NULL;
}

void
cli_print_steps (JsonNode *report)
{
  JsonObject *root = json_node_get_object (report);
  JsonArray *steps = json_object_get_array_member (json_object_get_object_member (root, "results"), "steps");
  JsonObject *timings = get_object (json_object_get_object_member (root, "timings"), "tables");

  for (guint i = 0; i < json_array_get_length (steps); i++)
    {
      JsonObject *step = json_array_get_object_element (steps, i);
      const char *id = json_object_get_string_member (step, "id");
      JsonObject *tables = json_object_get_object_member (step, "tables"), *timed = get_object (timings, id);
      g_autoptr (GList) names = json_object_get_members (tables);
      if (names == NULL)
        continue;
      g_print ("step '%s'\n", id);
      for (GList *name = names; name != NULL; name = name->next)
        print_table (name->data, json_object_get_array_member (tables, name->data),
                     timed != NULL && json_object_has_member (timed, name->data)
                         ? json_object_get_array_member (timed, name->data)
                         : NULL);
      print_list (step, "skipped", "reason", "skipped ");
      print_list (step, "notes", "text", "");
    }
}
