/* SPDX-License-Identifier: MIT */
#include "report/report-html.h"

#include "report/report-html-private.h"
#include <report-resources.h>

#include <math.h>

static GBytes *
find_resource (const char *name)
{
  g_autofree char *path = g_strconcat ("/halftone/report/", name, NULL);
  return g_resource_lookup_data (ht_report_get_resource (), path, G_RESOURCE_LOOKUP_FLAGS_NONE, NULL);
}

/* What a policy allows by its hash: this text, and nothing that a file could have smuggled in. */
static char *
hash_for_policy (GBytes *bytes)
{
  guint8 digest[32];
  gsize length = sizeof digest;
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  g_checksum_update (checksum, g_bytes_get_data (bytes, NULL), (gssize)g_bytes_get_size (bytes));
  g_checksum_get_digest (checksum, digest, &length);
  g_autofree char *text = g_base64_encode (digest, length);
  return g_strconcat ("sha256-", text, NULL);
}

static void
append_bytes (GString *html, GBytes *bytes)
{
  gsize length;
  const char *text = g_bytes_get_data (bytes, &length);
  g_string_append_len (html, text, (gssize)length);
}

static void
begin_page (GString *html, const char *title, GBytes *style, GBytes *script)
{
  g_autofree char *style_hash = hash_for_policy (style), *script_hash = hash_for_policy (script);
  g_string_append (html, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
  ht_html_add (
      html,
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '%s'; script-src '%s'; "
      "base-uri 'none'; form-action 'none'\">\n",
      style_hash, script_hash);
  g_string_append (html, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                         "<meta name=\"color-scheme\" content=\"light dark\">\n");
  ht_html_add (html, "<title>%s</title>\n<style>", title);
  append_bytes (html, style);
  g_string_append (html, "</style></head>\n<body>\n");
}

static void
add_environment (GString *html, JsonObject *report)
{
  JsonObject *environment = ht_report_get_object (report, "environment");
  g_autoptr (GList) names = ht_report_list_members (environment);
  g_string_append (html, "<footer><h2>Made by</h2><dl class=\"facts\">");
  for (GList *name = names; name != NULL; name = name->next)
    {
      g_autofree char *text = ht_report_format_value (json_object_get_member (environment, name->data));
      ht_html_add (html, "<div><dt>%s</dt><dd>%s</dd></div>\n", (char *)name->data, text);
    }
  g_string_append (html, "</dl></footer>\n");
}

static void
add_links (GString *html, gboolean is_search, gboolean has_run)
{
  static const struct
  {
    const char *section, *name;
    gboolean of_search;
  } links[]
      = { { "summary", "Result", TRUE },          { "chart", "Front", TRUE },       { "tree", "Tree", TRUE },
          { "candidates", "Combinations", TRUE }, { "attribution", "Gains", TRUE }, { "time", "Time", TRUE },
          { "stages", "Accuracy", FALSE },        { "steps", "Steps", FALSE },      { "quantizers", "Grids", FALSE } };
  g_string_append (html, "<nav aria-label=\"sections\">");
  for (guint i = 0; i < G_N_ELEMENTS (links); i++)
    if (links[i].of_search ? is_search : has_run)
      ht_html_add (html, "<a href=\"#%s\">%s</a> ", links[i].section, links[i].name);
  g_string_append (html, "</nav>\n");
}

static const char *
find_name (JsonObject *report, JsonObject *best)
{
  JsonObject *recipe = ht_report_get_object (report, "recipe");
  if (recipe == NULL)
    recipe = ht_report_get_object (best, "recipe");
  return ht_report_get_string (recipe, "name", "Halftone");
}

static JsonObject *
get_root (JsonNode *node)
{
  return node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

char *
ht_report_to_html (JsonNode *report, JsonNode *best)
{
  JsonObject *root = get_root (report), *best_root = get_root (best);
  JsonObject *search = ht_report_get_object (root, "search");
  JsonObject *run = search != NULL ? best_root : root;
  g_autoptr (GBytes) style = find_resource ("report.css"), script = find_resource ("report.js");
  g_autoptr (GString) html = g_string_new (NULL);
  const char *name = find_name (root, best_root);
  begin_page (html, name, style, script);
  ht_html_add (html, "<header><h1>%s</h1><p>%s by Halftone %s</p></header>\n", name,
               search != NULL ? "Search" : "Quantization",
               ht_report_get_string (ht_report_get_object (root, "environment"), "halftone", ""));
  add_links (html, search != NULL, run != NULL);
  g_string_append (html, "<main>\n");
  if (search != NULL)
    ht_html_add_search (html, search, ht_report_get_object (root, "timings"));
  if (search != NULL && run != NULL)
    g_string_append (html, "<h2 class=\"part\">The best combination</h2>\n");
  if (run != NULL)
    ht_html_add_run (html, run);
  g_string_append (html, "</main>\n");
  add_environment (html, root);
  g_string_append (html, "<script>");
  append_bytes (html, script);
  g_string_append (html, "</script></body></html>\n");
  /* Names in models need not be UTF-8. */
  return g_utf8_make_valid (html->str, (gssize)html->len);
}

gboolean
ht_report_save_html (JsonNode *report, JsonNode *best, const char *path, GError **error)
{
  g_autofree char *html = ht_report_to_html (report, best);
  return g_file_set_contents (path, html, -1, error);
}
