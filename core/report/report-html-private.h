/* SPDX-License-Identifier: MIT */
/* The sections of the page. */
#pragma once

#include "report/html.h"
#include "report/report-read.h"

/* A search: `search` is that member of its report. */
void ht_html_add_search (GString *html, JsonObject *search, JsonObject *timings);
/* Its combinations as a tree: what shares steps shares a path. */
void ht_html_add_tree (GString *html, JsonObject *search);
/* Its candidates by metric and cost. */
void ht_html_add_chart (GString *html, JsonObject *search);

/* How a candidate came out: a class of the style sheet. */
const char *ht_html_get_outcome (JsonObject *search, JsonObject *candidate);
/* Its choices in few words: techniques by name, those left out not at all. */
char *ht_html_describe (JsonObject *candidate);
/* The metric that the objective names, and whether larger is better. */
const char *ht_html_get_objective_metric (JsonObject *search, gboolean *is_maximized);
/* The value and its interval: of top1 its own, else the paired one around the best. NaN: none. */
double ht_html_get_metric (JsonObject *search, JsonObject *candidate, const char *metric, double *low, double *high);
/* The cost that the front is drawn against. */
const char *ht_html_get_front_cost (JsonObject *search);
gboolean ht_html_has_number (JsonArray *numbers, gint64 number);

/* A single run, or the best of a search. */
void ht_html_add_run (GString *html, JsonObject *report);
/* The grids of its tensors, with the distributions of their values where the report has them. */
void ht_html_add_quantizers (GString *html, JsonArray *quantizers);
