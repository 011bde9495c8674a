/* SPDX-License-Identifier: MIT */
#include "report/report-html-private.h"

#include <math.h>

static void
add_stages (GString *html, JsonObject *results)
{
  static const char *const columns[] = { "stage",    "#samples", "#top1 % (95 %)",  "#top5 %", "#same class %",
                                         "#SQNR dB", "#cosine",  "#max difference", NULL };
  static const char *const names[] = { "top5", "agreement", "sqnr", "cosine", "max-difference" };
  JsonObject *metrics = ht_report_get_object (results, "metrics");
  g_autoptr (GList) stages = ht_report_list_members (metrics);
  HtHtmlNumber text[3];
  if (stages == NULL)
    return;
  ht_html_begin_table (html, NULL, columns);
  for (GList *stage = stages; stage != NULL; stage = stage->next)
    {
      JsonObject *row = ht_report_get_object (metrics, stage->data);
      double n = ht_report_get_number (row, "samples", NAN), top1 = ht_report_get_number (row, "top1", NAN);
      g_string_append (html, "<tr>");
      ht_html_add_cell (html, stage->data);
      ht_html_add_number_cell (html, n, ht_html_format (text[0], n, "%.0f"));
      g_autofree char *accuracy
          = isnan (top1) ? g_strdup ("–")
                         : g_strdup_printf (
                             "%s (%s … %s)", ht_html_format_metric (text[0], "top1", top1),
                             ht_html_format_metric (text[1], "top1", ht_report_get_number (row, "top1-low", NAN)),
                             ht_html_format_metric (text[2], "top1", ht_report_get_number (row, "top1-high", NAN)));
      ht_html_add_number_cell (html, top1, accuracy);
      for (guint i = 0; i < G_N_ELEMENTS (names); i++)
        {
          double value = ht_report_get_number (row, names[i], NAN);
          ht_html_add_number_cell (html, value, ht_html_format_metric (text[0], names[i], value));
        }
      g_string_append (html, "</tr>\n");
    }
  ht_html_end_table (html);
}

static void
add_value_cell (GString *html, JsonNode *node)
{
  if (node == NULL)
    {
      g_string_append (html, "<td></td>");
      return;
    }
  g_autofree char *text = ht_report_format_value (node);
  GType type = JSON_NODE_HOLDS_VALUE (node) ? json_node_get_value_type (node) : G_TYPE_NONE;
  if (type == G_TYPE_DOUBLE || type == G_TYPE_INT64)
    ht_html_add_number_cell (
        html, type == G_TYPE_INT64 ? (double)json_node_get_int (node) : json_node_get_double (node), text);
  else
    ht_html_add_cell (html, text);
}

/* The columns of all rows, in the order in which they come up. */
static GPtrArray *
list_columns (JsonArray *rows)
{
  GPtrArray *columns = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GHashTable) known = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; i < ht_report_get_length (rows); i++)
    {
      g_autoptr (GList) members = ht_report_list_members (ht_report_get_element (rows, i));
      for (GList *member = members; member != NULL; member = member->next)
        if (g_hash_table_add (known, member->data))
          g_ptr_array_add (columns, g_strdup (member->data));
    }
  return columns;
}

static gboolean
is_number_column (JsonArray *rows, const char *column)
{
  for (guint i = 0; i < ht_report_get_length (rows); i++)
    if (isfinite (ht_report_get_number (ht_report_get_element (rows, i), column, NAN)))
      return TRUE;
  return FALSE;
}

static void
add_table (GString *html, const char *name, JsonArray *rows)
{
  g_autoptr (GPtrArray) columns = list_columns (rows);
  g_autoptr (GPtrArray) heads = g_ptr_array_new_with_free_func (g_free);
  if (columns->len == 0)
    return;
  for (guint i = 0; i < columns->len; i++)
    {
      const char *column = g_ptr_array_index (columns, i);
      g_ptr_array_add (heads, g_strconcat (is_number_column (rows, column) ? "#" : "", column, NULL));
    }
  g_ptr_array_add (heads, NULL);
  ht_html_begin_table (html, name, (const char *const *)heads->pdata);
  for (guint i = 0; i < ht_report_get_length (rows); i++)
    {
      JsonObject *row = ht_report_get_element (rows, i);
      g_string_append (html, "<tr>");
      for (guint k = 0; row != NULL && k < columns->len; k++)
        add_value_cell (html, json_object_get_member (row, g_ptr_array_index (columns, k)));
      g_string_append (html, "</tr>\n");
    }
  ht_html_end_table (html);
}

static void
add_parameters (GString *html, JsonObject *parameters)
{
  g_autoptr (GList) members = ht_report_list_members (parameters);
  if (members == NULL)
    return;
  g_string_append (html, "<dl class=\"facts\">");
  for (GList *member = members; member != NULL; member = member->next)
    {
      g_autofree char *text = ht_report_format_value (json_object_get_member (parameters, member->data));
      ht_html_add (html, "<div><dt>%s</dt><dd>%s</dd></div>\n", (char *)member->data, text);
    }
  g_string_append (html, "</dl>");
}

static void
add_remarks (GString *html, const char *title, JsonArray *remarks)
{
  if (ht_report_get_length (remarks) == 0)
    return;
  ht_html_add (html, "<h4>%s</h4><ul>", title);
  for (guint i = 0; i < ht_report_get_length (remarks); i++)
    {
      JsonObject *remark = ht_report_get_element (remarks, i);
      if (remark != NULL)
        ht_html_add (html, "<li><code>%s</code>: %s</li>\n", ht_report_get_string (remark, "subject", ""),
                     ht_report_get_string (remark, "text", ht_report_get_string (remark, "reason", "")));
    }
  g_string_append (html, "</ul>");
}

static void
add_step (GString *html, JsonObject *step, double seconds, gboolean is_open)
{
  HtHtmlNumber text;
  JsonObject *tables = ht_report_get_object (step, "tables");
  g_autoptr (GList) names = ht_report_list_members (tables);
  const char *id = ht_report_get_string (step, "id", "?"), *pass = ht_report_get_string (step, "pass", "");
  g_string_append (html, is_open ? "<details open>" : "<details>");
  ht_html_add (html, "<summary><strong>%s</strong>", id);
  if (!g_str_equal (id, pass))
    ht_html_add (html, " · %s", pass);
  ht_html_add (html, " %s <span class=\"aside\">%s</span></summary>\n", ht_report_get_string (step, "version", ""),
               isnan (seconds) ? "" : ht_html_format_seconds (text, seconds));
  add_parameters (html, ht_report_get_object (step, "parameters"));
  add_remarks (html, "Notes", ht_report_get_array (step, "notes"));
  add_remarks (html, "Left out", ht_report_get_array (step, "skipped"));
  for (GList *name = names; name != NULL; name = name->next)
    add_table (html, name->data, ht_report_get_array (tables, name->data));
  g_string_append (html, "</details>\n");
}

static void
add_steps (GString *html, JsonObject *results, JsonObject *timings)
{
  JsonArray *steps = ht_report_get_array (results, "steps");
  JsonObject *seconds = ht_report_get_object (timings, "steps");
  if (ht_report_get_length (steps) == 0)
    return;
  g_string_append (html, "<section id=\"steps\"><h2>Steps</h2>\n");
  for (guint i = 0; i < ht_report_get_length (steps); i++)
    {
      JsonObject *step = ht_report_get_element (steps, i);
      if (step != NULL)
        add_step (html, step, ht_report_get_number (seconds, ht_report_get_string (step, "id", ""), NAN), i == 0);
    }
  g_string_append (html, "</section>\n");
}

static void
add_times (GString *html, JsonObject *timings)
{
  static const char *const columns[] = { "part", "#time", NULL };
  g_autoptr (GList) names = ht_report_list_members (timings);
  HtHtmlNumber text;
  if (names == NULL)
    return;
  g_string_append (html, "<section id=\"run-time\"><h2>Time</h2>\n");
  ht_html_begin_table (html, NULL, columns);
  for (GList *name = names; name != NULL; name = name->next)
    {
      double seconds = ht_report_get_number (timings, name->data, NAN);
      if (isnan (seconds))
        continue;
      g_string_append (html, "<tr>");
      ht_html_add_cell (html, name->data);
      ht_html_add_number_cell (html, seconds, ht_html_format_seconds (text, seconds));
      g_string_append (html, "</tr>\n");
    }
  ht_html_end_table (html);
  g_string_append (html, "</section>\n");
}

static void
add_list (GString *html, const char *title, JsonArray *lines)
{
  if (ht_report_get_length (lines) == 0)
    return;
  ht_html_add (html, "<details><summary>%s (%u)</summary><ul>", title, ht_report_get_length (lines));
  for (guint i = 0; i < ht_report_get_length (lines); i++)
    {
      g_autofree char *text = ht_report_format_value (json_array_get_element (lines, i));
      ht_html_add (html, "<li>%s</li>\n", text);
    }
  g_string_append (html, "</ul></details>\n");
}

void
ht_html_add_run (GString *html, JsonObject *report)
{
  JsonObject *results = ht_report_get_object (report, "results"), *timings = ht_report_get_object (report, "timings");
  g_string_append (html, "<section id=\"stages\"><h2>Accuracy by stage</h2>\n");
  add_stages (html, results);
  g_string_append (html, "</section>\n");
  add_steps (html, results, timings);
  ht_html_add_quantizers (html, ht_report_get_array (results, "quantizers"));
  g_string_append (html, "<section id=\"lists\"><h2>Left in floating point</h2>\n");
  add_list (html, "nodes and tensors without a grid", ht_report_get_array (results, "unquantized"));
  add_list (html, "tensors that calibration never reached", ht_report_get_array (results, "unreached"));
  add_list (html, "preparation of the network",
            ht_report_get_array (ht_report_get_object (report, "model"), "preparation"));
  add_table (html, "files", ht_report_get_array (results, "files"));
  g_string_append (html, "</section>\n");
  add_times (html, timings);
}
