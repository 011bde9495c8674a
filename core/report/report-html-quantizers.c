/* SPDX-License-Identifier: MIT */
#include "report/report-html-private.h"

#include <math.h>

#define WIDTH     200
#define HEIGHT    44
#define MAX_DRAWN 600 /* keeps the page of a large network small */

typedef struct
{
  double low, high, most;
  JsonArray *counts;
} Bins;

static gboolean
read_bins (JsonObject *object, Bins *bins)
{
  bins->low = ht_report_get_number (object, "low", NAN);
  bins->high = ht_report_get_number (object, "high", NAN);
  bins->counts = ht_report_get_array (object, "counts");
  bins->most = 0;
  for (guint i = 0; i < ht_report_get_length (bins->counts); i++)
    bins->most = fmax (bins->most, sqrt (fmax (ht_report_get_element_number (bins->counts, i, 0), 0)));
  return bins->most > 0 && bins->high > bins->low && isfinite (bins->high - bins->low);
}

/* Heights are square roots of counts: the tails decide about ranges, and would not be seen. */
static void
draw_bins (GString *html, const char *kind, const Bins *bins, double low, double high)
{
  guint n = ht_report_get_length (bins->counts);
  double scale = WIDTH / (high - low), width = (bins->high - bins->low) / n;
  HtHtmlNumber x, y;
  ht_html_add (html, "<path class=\"%s\" d=\"M%s %d", kind, ht_html_format (x, (bins->low - low) * scale, "%.1f"),
               HEIGHT);
  for (guint i = 0; i < n; i++)
    {
      double count = fmax (ht_report_get_element_number (bins->counts, i, 0), 0);
      ht_html_add (html, "V%s H%s", ht_html_format (y, HEIGHT - (HEIGHT - 2) * sqrt (count) / bins->most, "%.1f"),
                   ht_html_format (x, (bins->low + (i + 1) * width - low) * scale, "%.1f"));
    }
  ht_html_add (html, "V%dZ\"/>", HEIGHT);
}

static void
draw_edge (GString *html, double value, double low, double high)
{
  HtHtmlNumber x;
  if (value < low || value > high || isnan (value))
    return;
  ht_html_format (x, (value - low) / (high - low) * WIDTH, "%.1f");
  ht_html_add (html, "<line class=\"edge\" x1=\"%s\" y1=\"0\" x2=\"%s\" y2=\"%d\"/>", x, x, HEIGHT);
}

static void
draw_histogram (GString *html, JsonObject *quantizer, JsonObject *encoding)
{
  JsonObject *histogram = ht_report_get_object (quantizer, "histogram");
  Bins before, after;
  gboolean has_before = read_bins (ht_report_get_object (histogram, "before"), &before);
  gboolean has_after = read_bins (ht_report_get_object (histogram, "after"), &after);
  double low = INFINITY, high = -INFINITY;
  HtHtmlNumber text[2];
  if (has_before)
    low = before.low, high = before.high;
  if (has_after)
    low = fmin (low, after.low), high = fmax (high, after.high);
  g_string_append (html, "<td class=\"histogram\">");
  if (has_before || has_after)
    {
      ht_html_add (
          html,
          "<svg viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" aria-label=\"values from %s to %s\">",
          WIDTH, HEIGHT, WIDTH, HEIGHT, ht_html_format (text[0], low, "%.4g"), ht_html_format (text[1], high, "%.4g"));
      if (has_after)
        draw_bins (html, "after", &after, low, high);
      if (has_before)
        draw_bins (html, "before", &before, low, high);
      draw_edge (html, ht_report_get_number (encoding, "minimum", NAN), low, high);
      draw_edge (html, ht_report_get_number (encoding, "maximum", NAN), low, high);
      g_string_append (html, "</svg>");
    }
  g_string_append (html, "</td>");
}

static void
add_number (GString *html, JsonObject *object, const char *name, double factor, const char *format)
{
  HtHtmlNumber text;
  double value = ht_report_get_number (object, name, NAN) * factor;
  ht_html_add_number_cell (html, value, ht_html_format (text, value, format));
}

static void
add_quantizer (GString *html, JsonObject *quantizer, gboolean draws)
{
  JsonObject *encoding = ht_report_get_object (quantizer, "encoding");
  ht_html_add (html, "<tr><td><code>%s</code><br/><span class=\"aside\">%s</span></td>",
               ht_report_get_string (quantizer, "tensor", ""), ht_report_get_string (quantizer, "reason", ""));
  ht_html_add_cell (html, ht_report_get_string (quantizer, "kind", ""));
  add_number (html, quantizer, "bits", 1, "%.0f");
  add_number (html, quantizer, "grids", 1, "%.0f");
  add_number (html, encoding, "minimum", 1, "%.4g");
  add_number (html, encoding, "maximum", 1, "%.4g");
  add_number (html, quantizer, "sqnr", 1, "%.1f");
  add_number (html, quantizer, "clip-ratio", 100, "%.3g");
  if (draws)
    draw_histogram (html, quantizer, encoding);
  g_string_append (html, "</tr>\n");
}

void
ht_html_add_quantizers (GString *html, JsonArray *quantizers)
{
  const char *columns[] = { "tensor", "kind", "#bits", "#grids", "#from", "#to", "#SQNR dB", "#clipped %", NULL, NULL };
  guint n = ht_report_get_length (quantizers), n_drawn = 0;
  gboolean has_histograms = FALSE;
  for (guint i = 0; i < n && !has_histograms; i++)
    has_histograms = ht_report_get_object (ht_report_get_element (quantizers, i), "histogram") != NULL;
  if (n == 0)
    return;
  if (has_histograms)
    columns[G_N_ELEMENTS (columns) - 2] = "values";
  g_string_append (html, "<section id=\"quantizers\"><h2>Grids</h2>\n");
  if (has_histograms)
    ht_html_add (
        html,
        "<p>Values of the given network (outline) and of the result (filled) before they are rounded, on the "
        "first calibration samples; heights are square roots of counts, lines are the ends of the grid.%s</p>\n",
        n > MAX_DRAWN ? " The first 600 tensors are drawn." : "");
  ht_html_begin_table (html, NULL, columns);
  for (guint i = 0; i < n; i++)
    if (ht_report_get_element (quantizers, i) != NULL)
      add_quantizer (html, ht_report_get_element (quantizers, i), has_histograms && n_drawn++ < MAX_DRAWN);
  ht_html_end_table (html);
  g_string_append (html, "</section>\n");
}
