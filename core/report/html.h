/* SPDX-License-Identifier: MIT */
/* Writing HTML. Every text that does not stand in a format goes through an escaped %s. */
#pragma once

#include <json-glib/json-glib.h>

/* Appends; what %s stands for is escaped. Numbers go as text, see below, since printf heeds the locale. */
void ht_html_add (GString *html, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* A number for readers and for coordinates. Returns `buffer`. "–" where there is none. */
typedef char HtHtmlNumber[40];
const char *ht_html_format (HtHtmlNumber buffer, double value, const char *format);
const char *ht_html_format_metric (HtHtmlNumber buffer, const char *metric, double value);
/* "12.3 s", "4.5 min" */
const char *ht_html_format_seconds (HtHtmlNumber buffer, double seconds);
/* "1.25 MB" and the like for bytes, "1.2 G" for counts. */
const char *ht_html_format_cost (HtHtmlNumber buffer, const char *cost, double value);
/* " %", " dB" or nothing: what ht_html_format_metric() leaves out. */
const char *ht_html_get_unit (const char *metric);

/* Tables: `columns` are heads, NULL-terminated. A head that begins with '#' is of numbers. */
void ht_html_begin_table (GString *html, const char *caption, const char *const *columns);
void ht_html_add_cell (GString *html, const char *text);
/* `value` is what is sorted by. */
void ht_html_add_number_cell (GString *html, double value, const char *text);
void ht_html_end_table (GString *html);
