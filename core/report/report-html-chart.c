/* SPDX-License-Identifier: MIT */
#include "report/report-html-private.h"

#include <math.h>

#define WIDTH     720
#define HEIGHT    380
#define LEFT      70
#define RIGHT     20
#define TOP       20
#define BOTTOM    50
#define MAX_TICKS 20

typedef struct
{
  double from, to;
} Span;

static void
widen (Span *span, double value)
{
  if (!isfinite (value))
    return;
  span->from = fmin (span->from, value);
  span->to = fmax (span->to, value);
}

static void
add_margin (Span *span)
{
  double margin = span->to > span->from ? 0.06 * (span->to - span->from) : fmax (fabs (span->to) * 0.05, 1e-9);
  span->from -= margin;
  span->to += margin;
}

static double
place_x (Span span, double value)
{
  return LEFT + (value - span.from) / (span.to - span.from) * (WIDTH - LEFT - RIGHT);
}

static double
place_y (Span span, double value)
{
  value = CLAMP (value, span.from, span.to);
  return HEIGHT - BOTTOM - (value - span.from) / (span.to - span.from) * (HEIGHT - TOP - BOTTOM);
}

/* 1, 2 or 5 times a power of ten, for about `n` steps. */
static double
choose_tick (Span span, guint n)
{
  double raw = (span.to - span.from) / n, power = pow (10, floor (log10 (raw))), share = raw / power;
  return power * (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10);
}

static void
draw_line (GString *html, const char *kind, double x1, double y1, double x2, double y2)
{
  HtHtmlNumber numbers[4];
  ht_html_add (html, "<line class=\"%s\" x1=\"%s\" y1=\"%s\" x2=\"%s\" y2=\"%s\"/>", kind,
               ht_html_format (numbers[0], x1, "%.1f"), ht_html_format (numbers[1], y1, "%.1f"),
               ht_html_format (numbers[2], x2, "%.1f"), ht_html_format (numbers[3], y2, "%.1f"));
}

static void
draw_text (GString *html, const char *anchor, double x, double y, const char *text)
{
  HtHtmlNumber numbers[2];
  ht_html_add (html, "<text text-anchor=\"%s\" x=\"%s\" y=\"%s\">%s</text>\n", anchor,
               ht_html_format (numbers[0], x, "%.1f"), ht_html_format (numbers[1], y, "%.1f"), text);
}

static void
draw_axes (GString *html, Span costs, Span values, const char *cost, const char *metric)
{
  HtHtmlNumber text;
  double tick = choose_tick (values, 6);
  double first = ceil (values.from / tick) * tick;
  for (guint i = 0; i < MAX_TICKS && first + i * tick <= values.to; i++)
    {
      double value = first + i * tick;
      draw_line (html, "grid", LEFT, place_y (values, value), WIDTH - RIGHT, place_y (values, value));
      draw_text (html, "end", LEFT - 8, place_y (values, value) + 4,
                 ht_html_format_metric (text, metric, fabs (value) < tick * 1e-6 ? 0 : value));
    }
  tick = choose_tick (costs, 5);
  first = ceil (costs.from / tick) * tick;
  for (guint i = 0; i < MAX_TICKS && first + i * tick <= costs.to; i++)
    {
      double value = first + i * tick;
      draw_line (html, "grid", place_x (costs, value), TOP, place_x (costs, value), HEIGHT - BOTTOM);
      draw_text (html, "middle", place_x (costs, value), HEIGHT - BOTTOM + 18, ht_html_format_cost (text, cost, value));
    }
  draw_text (html, "middle", (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 10, cost);
  g_autofree char *name = g_strconcat (metric, ht_html_get_unit (metric), NULL);
  draw_text (html, "start", 6, 14, name);
}

typedef struct
{
  JsonObject *candidate;
  double cost, value, low, high;
} Point;

static gint
compare_points (gconstpointer a, gconstpointer b)
{
  const Point *first = a, *second = b;
  if (first->cost != second->cost)
    return first->cost < second->cost ? -1 : 1;
  return first->value < second->value ? -1 : first->value > second->value;
}

static GArray *
collect_points (JsonObject *search, const char *metric, const char *cost)
{
  GArray *points = g_array_new (FALSE, FALSE, sizeof (Point));
  JsonArray *candidates = ht_report_get_array (search, "candidates");
  for (guint i = 0; i < ht_report_get_length (candidates); i++)
    {
      Point point = { .candidate = ht_report_get_element (candidates, i) };
      point.value = ht_html_get_metric (search, point.candidate, metric, &point.low, &point.high);
      point.cost = ht_report_get_number (ht_report_get_object (point.candidate, "costs"), cost, NAN);
      if (isfinite (point.value) && isfinite (point.cost))
        g_array_append_val (points, point);
    }
  g_array_sort (points, compare_points);
  return points;
}

static void
draw_front (GString *html, JsonObject *search, GArray *points, Span costs, Span values)
{
  JsonArray *front = ht_report_get_array (ht_report_get_object (search, "front"), "candidates");
  g_autoptr (GString) path = g_string_new (NULL);
  for (guint i = 0; i < points->len; i++)
    {
      Point *point = &g_array_index (points, Point, i);
      HtHtmlNumber x, y;
      if (!ht_html_has_number (front, (gint64)ht_report_get_number (point->candidate, "number", 0)))
        continue;
      ht_html_format (x, place_x (costs, point->cost), "%.1f");
      ht_html_format (y, place_y (values, point->value), "%.1f");
      if (path->len == 0)
        g_string_append_printf (path, "M%s %s", x, y);
      else
        g_string_append_printf (path, "H%s V%s", x, y);
    }
  if (path->len > 0)
    ht_html_add (html, "<path class=\"front\" d=\"%s\"/>\n", path->str);
}

static void
draw_point (GString *html, JsonObject *search, Point *point, Span costs, Span values, const char *metric,
            const char *cost)
{
  HtHtmlNumber text[6];
  double x = place_x (costs, point->cost), y = place_y (values, point->value);
  gint64 number = (gint64)ht_report_get_number (point->candidate, "number", 0);
  g_autofree char *description = ht_html_describe (point->candidate);
  ht_html_add (html,
               "<a href=\"#candidate-%" G_GINT64_FORMAT "\" class=\"mark %s\"><title>%" G_GINT64_FORMAT ": %s\n%s %s%s",
               number, ht_html_get_outcome (search, point->candidate), number, description, metric,
               ht_html_format_metric (text[0], metric, point->value), ht_html_get_unit (metric));
  if (isfinite (point->low) && isfinite (point->high))
    ht_html_add (html, " (%s … %s)", ht_html_format_metric (text[1], metric, point->low),
                 ht_html_format_metric (text[2], metric, point->high));
  ht_html_add (html, ", %s %s</title>", cost, ht_html_format_cost (text[3], cost, point->cost));
  if (!isnan (point->low) && !isnan (point->high))
    draw_line (html, "interval", x, place_y (values, point->low), x, place_y (values, point->high));
  ht_html_add (html, "<circle cx=\"%s\" cy=\"%s\" r=\"6\"/></a>\n", ht_html_format (text[4], x, "%.1f"),
               ht_html_format (text[5], y, "%.1f"));
}

/* Intervals that say nothing would hide the points. */
static void
measure_spans (GArray *points, double baseline, Span *costs, Span *values)
{
  for (guint i = 0; i < points->len; i++)
    {
      Point *point = &g_array_index (points, Point, i);
      widen (costs, point->cost);
      widen (values, point->value);
    }
  widen (values, baseline);
  double reach = fmax (values->to - values->from, 1e-3);
  Span all = *values;
  for (guint i = 0; i < points->len; i++)
    {
      Point *point = &g_array_index (points, Point, i);
      if (isfinite (point->low))
        widen (&all, fmax (point->low, values->from - reach));
      if (isfinite (point->high))
        widen (&all, fmin (point->high, values->to + reach));
    }
  *values = all;
  add_margin (costs);
  add_margin (values);
}

void
ht_html_add_chart (GString *html, JsonObject *search)
{
  const char *metric = ht_html_get_objective_metric (search, NULL), *cost = ht_html_get_front_cost (search);
  double baseline = ht_report_get_number (ht_report_get_object (search, "baseline"), metric, NAN);
  g_autoptr (GArray) points = collect_points (search, metric, cost);
  Span costs = { INFINITY, -INFINITY }, values = { INFINITY, -INFINITY };
  if (points->len == 0)
    return;
  measure_spans (points, baseline, &costs, &values);
  ht_html_add (
      html,
      "<section id=\"chart\"><h2>%s against %s</h2>\n<p>Each mark is a combination with the 95 %% interval of its %s; "
      "the line is the Pareto front%s. Marks lead to the table.</p>\n",
      metric, cost, metric, isfinite (baseline) ? ", the dashed line the floating-point network" : "");
  ht_html_add (html,
               "<div class=\"scroll\" tabindex=\"0\"><svg class=\"chart\" role=\"group\" aria-label=\"%s against %s\" "
               "viewBox=\"0 0 %d %d\">\n",
               metric, cost, WIDTH, HEIGHT);
  draw_axes (html, costs, values, cost, metric);
  if (isfinite (baseline))
    draw_line (html, "baseline", LEFT, place_y (values, baseline), WIDTH - RIGHT, place_y (values, baseline));
  draw_front (html, search, points, costs, values);
  for (guint i = 0; i < points->len; i++)
    draw_point (html, search, &g_array_index (points, Point, i), costs, values, metric, cost);
  g_string_append (html, "</svg></div></section>\n");
}
