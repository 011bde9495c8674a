/* SPDX-License-Identifier: MIT */
#include <halftone/report.h>

#include "report/report-html.h"
#include "report/report-read.h"

#include <halftone/error.h>

static JsonNode *
read_report (const char *path, GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (GError) local = NULL;
  if (!g_file_test (path, G_FILE_TEST_IS_REGULAR))
    {
      g_set_error (
          error, HT_ERROR, HT_ERROR_NOT_FOUND,
          "there is no '%s'; give a folder that 'halftone run' or 'halftone search' wrote, with a recipe whose "
          "output has 'report: [json]'",
          path);
      return NULL;
    }
  if (!json_parser_load_from_file (parser, path, &local))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "'%s' cannot be read: %s; expected a report of Halftone",
                   path, local->message);
      return NULL;
    }
  JsonNode *root = json_parser_get_root (parser);
  JsonObject *object = root != NULL && JSON_NODE_HOLDS_OBJECT (root) ? json_node_get_object (root) : NULL;
  if (ht_report_get_object (object, "results") == NULL && ht_report_get_object (object, "search") == NULL)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                   "'%s' is no report of a run or a search: found neither 'results' nor 'search' in it", path);
      return NULL;
    }
  return json_parser_steal_root (parser);
}

/**
 * ht_report_write_html:
 * @folder: (type filename): a folder that a run or a search wrote
 * @error: return location for an error
 *
 * Makes `report.html` anew from the folder's `report.json` (and that of the best combination, of a search). The page
 * needs no other file and no network. An older page is replaced at once.
 *
 * Returns: (transfer full) (nullable) (type filename): the path of the page, or %NULL with %HT_ERROR_NOT_FOUND or
 * %HT_ERROR_INVALID_DATA when there is no report that could be read
 */
char *
ht_report_write_html (const char *folder, GError **error)
{
  g_return_val_if_fail (folder != NULL, NULL);
  g_autofree char *path = g_build_filename (folder, "report.json", NULL);
  g_autofree char *best_path = g_build_filename (folder, "best", "report.json", NULL);
  g_autofree char *page = g_build_filename (folder, "report.html", NULL);
  g_autoptr (JsonNode) report = read_report (path, error);
  g_autoptr (JsonNode) best = NULL;
  if (report == NULL)
    return NULL;
  if (ht_report_get_object (json_node_get_object (report), "search") != NULL
      && g_file_test (best_path, G_FILE_TEST_IS_REGULAR))
    {
      best = read_report (best_path, error);
      if (best == NULL)
        return NULL;
    }
  return ht_report_save_html (report, best, page, error) ? g_steal_pointer (&page) : NULL;
}
