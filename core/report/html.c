/* SPDX-License-Identifier: MIT */
#include "report/html.h"

#include <math.h>
#include <string.h>

void
ht_html_add (GString *html, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *text = g_markup_vprintf_escaped (format, args);
  va_end (args);
  g_string_append (html, text);
}

const char *
ht_html_format (HtHtmlNumber buffer, double value, const char *format)
{
  if (isnan (value))
    g_strlcpy (buffer, "–", sizeof (HtHtmlNumber));
  else if (isinf (value))
    g_strlcpy (buffer, value > 0 ? "∞" : "−∞", sizeof (HtHtmlNumber));
  else
    g_ascii_formatd (buffer, sizeof (HtHtmlNumber), format, value);
  return buffer;
}

static gboolean
is_share (const char *metric)
{
  return g_str_has_prefix (metric, "top") || g_str_equal (metric, "agreement");
}

const char *
ht_html_get_unit (const char *metric)
{
  return is_share (metric) ? " %" : g_str_equal (metric, "sqnr") ? " dB" : "";
}

const char *
ht_html_format_metric (HtHtmlNumber buffer, const char *metric, double value)
{
  gboolean share = is_share (metric);
  return ht_html_format (buffer, share ? 100 * value : value, share || g_str_equal (metric, "sqnr") ? "%.2f" : "%.5g");
}

const char *
ht_html_format_seconds (HtHtmlNumber buffer, double seconds)
{
  HtHtmlNumber number;
  gboolean minutes = seconds >= 120;
  ht_html_format (number, minutes ? seconds / 60 : seconds, seconds >= 0.1 ? "%.1f" : "%.4f");
  g_snprintf (buffer, sizeof (HtHtmlNumber), "%s%s", number, isnan (seconds) ? "" : minutes ? " min" : " s");
  return buffer;
}

const char *
ht_html_format_cost (HtHtmlNumber buffer, const char *cost, double value)
{
  static const char *const prefixes[] = { "", "k", "M", "G", "T", "P" };
  guint prefix = 0;
  HtHtmlNumber number;
  if (g_str_equal (cost, "time"))
    return ht_html_format_seconds (buffer, value);
  for (; isfinite (value) && fabs (value) >= 1000 && prefix + 1 < G_N_ELEMENTS (prefixes); prefix++)
    value /= 1000;
  ht_html_format (number, value, "%.4g");
  gboolean has_unit = isfinite (value) && g_str_equal (cost, "size");
  g_snprintf (buffer, sizeof (HtHtmlNumber), "%s%s%s%s", number, prefix > 0 || has_unit ? " " : "", prefixes[prefix],
              has_unit ? "B" : "");
  return buffer;
}

void
ht_html_begin_table (GString *html, const char *caption, const char *const *columns)
{
  g_string_append (html, "<div class=\"scroll\" tabindex=\"0\"><table>");
  if (caption != NULL)
    ht_html_add (html, "<caption>%s</caption>", caption);
  g_string_append (html, "<thead><tr>");
  for (; *columns != NULL; columns++)
    if (**columns == '#')
      ht_html_add (html, "<th scope=\"col\" class=\"number\">%s</th>", *columns + 1);
    else
      ht_html_add (html, "<th scope=\"col\">%s</th>", *columns);
  g_string_append (html, "</tr></thead><tbody>\n");
}

void
ht_html_add_cell (GString *html, const char *text)
{
  ht_html_add (html, "<td>%s</td>", text != NULL ? text : "");
}

void
ht_html_add_number_cell (GString *html, double value, const char *text)
{
  char sort[G_ASCII_DTOSTR_BUF_SIZE];
  if (isfinite (value))
    ht_html_add (html, "<td class=\"number\" data-value=\"%s\">%s</td>", g_ascii_dtostr (sort, sizeof sort, value),
                 text);
  else
    ht_html_add (html, "<td class=\"number\">%s</td>", text);
}

void
ht_html_end_table (GString *html)
{
  g_string_append (html, "</tbody></table></div>\n");
}
