/* SPDX-License-Identifier: MIT */
/* Gathers the problems of one text: all at once, in order of place, not too many. A list is a GPtrArray of
 * HtDiagnostic. */
#pragma once

#include <halftone/diagnostic.h>

G_BEGIN_DECLS

/* Problems of one text that are reported; the rest is counted. */
#define HT_DIAGNOSTICS_MAX 50

GPtrArray *ht_diagnostic_list_new (void);
gboolean ht_diagnostic_list_has_errors (GPtrArray *list);
/* Sorts `found` by place, moves it into `report` (may be NULL) and, if it holds an error, sets the GError from the first
 * one: of `domain` and `code`, or, where domain is 0, of HT_RECIPE_ERROR and the diagnostic's own code. Returns whether
 * there was no error. */
gboolean ht_diagnostic_list_finish (GPtrArray *found, GPtrArray *report, GQuark domain, gint code, GError **error);

G_END_DECLS
