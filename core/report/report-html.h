/* SPDX-License-Identifier: MIT */
/* report.html: one page that needs nothing else, made from report.json. */
#pragma once

#include <json-glib/json-glib.h>

/* `report` is that of a run or of a search; `best` (nullable) the report of the best combination of a search. */
char *ht_report_to_html (JsonNode *report, JsonNode *best);
gboolean ht_report_save_html (JsonNode *report, JsonNode *best, const char *path, GError **error);
