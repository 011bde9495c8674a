/* SPDX-License-Identifier: MIT */
/* Pieces of report.json. What two runs of one recipe must share stands under "results", the rest beside it. */
#pragma once

#include <json-glib/json-glib.h>

JsonNode *ht_report_environment (void);
JsonNode *ht_report_strings (const char *const *strings);
JsonNode *ht_report_file (const char *path, GError **error);
gboolean ht_report_save (JsonNode *report, const char *path, GError **error);
