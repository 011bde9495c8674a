/* SPDX-License-Identifier: MIT */
#include "report/report-html-private.h"

#include <math.h>
#include <string.h>

gboolean
ht_html_has_number (JsonArray *numbers, gint64 number)
{
  for (guint i = 0; i < ht_report_get_length (numbers); i++)
    if (ht_report_get_element_number (numbers, i, NAN) == (double)number)
      return TRUE;
  return FALSE;
}

const char *
ht_html_get_outcome (JsonObject *search, JsonObject *candidate)
{
  const char *status = ht_report_get_string (candidate, "status", "open");
  double number = ht_report_get_number (candidate, "number", NAN);
  if (g_str_equal (status, "failed") || g_str_equal (status, "stopped"))
    return g_str_equal (status, "failed") ? "failed" : "stopped";
  if (!g_str_equal (status, "scored"))
    return "open";
  if (ht_report_get_number (search, "best", NAN) == number)
    return "best";
  if (ht_html_has_number (ht_report_get_array (search, "ties"), (gint64)number))
    return "tied";
  return ht_report_get_flag (candidate, "feasible") ? "scored" : "missed";
}

const char *
ht_html_get_objective_metric (JsonObject *search, gboolean *is_maximized)
{
  JsonObject *objective = ht_report_get_object (search, "objective");
  const char *maximize = ht_report_get_string (objective, "maximize", NULL);
  if (is_maximized != NULL)
    *is_maximized = maximize != NULL || ht_report_get_string (objective, "minimize", NULL) == NULL;
  return maximize != NULL ? maximize : ht_report_get_string (objective, "minimize", "top1");
}

/* "quantization.weights.bits" as "weights.bits" */
static const char *
shorten_axis (const char *axis)
{
  return g_str_has_prefix (axis, "quantization.") ? axis + strlen ("quantization.") : axis;
}

char *
ht_html_describe (JsonObject *candidate)
{
  JsonObject *combination = ht_report_get_object (candidate, "combination");
  g_autoptr (GList) axes = ht_report_list_members (combination);
  g_autoptr (GString) text = g_string_new (NULL);
  for (GList *axis = axes; axis != NULL; axis = axis->next)
    {
      g_autofree char *value = ht_report_format_value (json_object_get_member (combination, axis->data));
      if (g_str_equal (value, "none"))
        continue;
      g_string_append (text, text->len > 0 ? ", " : "");
      if (g_str_equal (value, axis->data))
        g_string_append (text, value);
      else
        g_string_append_printf (text, "%s %s", shorten_axis (axis->data), value);
    }
  if (axes == NULL)
    return g_strdup (ht_report_get_string (candidate, "description", ""));
  return text->len > 0 ? g_string_free (g_steal_pointer (&text), FALSE) : g_strdup ("no technique");
}

static JsonObject *
find_candidate (JsonObject *search, double number)
{
  JsonArray *candidates = ht_report_get_array (search, "candidates");
  for (guint i = 0; i < ht_report_get_length (candidates); i++)
    if (ht_report_get_number (ht_report_get_element (candidates, i), "number", NAN) == number)
      return ht_report_get_element (candidates, i);
  return NULL;
}

double
ht_html_get_metric (JsonObject *search, JsonObject *candidate, const char *metric, double *low, double *high)
{
  JsonObject *metrics = ht_report_get_object (candidate, "metrics");
  JsonObject *difference = ht_report_get_object (candidate, "difference-to-best");
  g_autofree char *low_name = g_strconcat (metric, "-low", NULL), *high_name = g_strconcat (metric, "-high", NULL);
  gboolean is_maximized;
  ht_html_get_objective_metric (search, &is_maximized);
  *low = ht_report_get_number (metrics, low_name, NAN);
  *high = ht_report_get_number (metrics, high_name, NAN);
  if (isnan (*low) && difference != NULL)
    {
      JsonObject *best = find_candidate (search, ht_report_get_number (search, "best", NAN));
      double value = ht_report_get_number (ht_report_get_object (best, "metrics"), metric, NAN);
      double ends[] = { ht_report_get_number (difference, "low", NAN), ht_report_get_number (difference, "high", NAN) };
      *low = is_maximized ? value + ends[0] : value - ends[1];
      *high = is_maximized ? value + ends[1] : value - ends[0];
    }
  return ht_report_get_number (metrics, metric, NAN);
}

const char *
ht_html_get_front_cost (JsonObject *search)
{
  return ht_report_get_string (ht_report_get_object (search, "front"), "cost", "size");
}

static void
add_fact (GString *html, const char *name, const char *text)
{
  ht_html_add (html, "<div><dt>%s</dt><dd>%s</dd></div>\n", name, text);
}

static void
add_metric_fact (GString *html, const char *name, const char *metric, double value, double low, double high)
{
  HtHtmlNumber text[3];
  if (isnan (value))
    return;
  g_autofree char *interval = isfinite (low) && isfinite (high)
                                  ? g_strdup_printf (" (%s … %s)", ht_html_format_metric (text[1], metric, low),
                                                     ht_html_format_metric (text[2], metric, high))
                                  : g_strdup ("");
  g_autofree char *all = g_strdup_printf ("%s %s%s%s", metric, ht_html_format_metric (text[0], metric, value),
                                          ht_html_get_unit (metric), interval);
  add_fact (html, name, all);
}

static char *
describe_objective (JsonObject *search)
{
  gboolean is_maximized;
  const char *metric = ht_html_get_objective_metric (search, &is_maximized);
  JsonObject *objective = ht_report_get_object (search, "objective");
  JsonArray *conditions = ht_report_get_array (objective, "subject-to");
  GString *text = g_string_new (NULL);
  g_string_append_printf (text, "%s %s", is_maximized ? "maximize" : "minimize", metric);
  for (guint i = 0; i < ht_report_get_length (conditions); i++)
    {
      g_autofree char *condition = ht_report_format_value (json_array_get_element (conditions, i));
      g_string_append_printf (text, "%s %s", i == 0 ? ", subject to" : " and", condition);
    }
  g_string_append_printf (text, ", on %s samples", ht_report_get_string (objective, "on", "evaluation"));
  return g_string_free (text, FALSE);
}

static void
add_summary (GString *html, JsonObject *search, JsonObject *timings)
{
  const char *metric = ht_html_get_objective_metric (search, NULL);
  JsonObject *best = find_candidate (search, ht_report_get_number (search, "best", NAN));
  JsonObject *figure = ht_report_get_object (search, "evaluation");
  JsonArray *candidates = ht_report_get_array (search, "candidates"), *ties = ht_report_get_array (search, "ties");
  HtHtmlNumber number;
  double low, high, value = ht_html_get_metric (search, best, metric, &low, &high);
  g_autofree char *objective = describe_objective (search);
  g_string_append (html, "<section id=\"summary\"><h2>Result</h2>\n<dl class=\"facts\">\n");
  g_autofree char *description = best != NULL ? ht_html_describe (best) : g_strdup ("none");
  add_fact (html, "best", description);
  add_metric_fact (html, "best's result", metric, value, low, high);
  JsonObject *baseline = ht_report_get_object (search, "baseline");
  add_metric_fact (html, "floating point", metric, ht_report_get_number (baseline, metric, NAN),
                   ht_report_get_number (baseline, "top1-low", NAN), ht_report_get_number (baseline, "top1-high", NAN));
  if (figure != NULL)
    {
      JsonObject *result = ht_report_get_object (figure, "result"), *given = ht_report_get_object (figure, "float");
      add_metric_fact (html, "on the evaluation set", "top1", ht_report_get_number (result, "top1", NAN),
                       ht_report_get_number (result, "top1-low", NAN), ht_report_get_number (result, "top1-high", NAN));
      add_metric_fact (html, "floating point there", "top1", ht_report_get_number (given, "top1", NAN), NAN, NAN);
    }
  add_fact (html, "objective", objective);
  add_fact (html, "conditions", ht_report_get_flag (search, "target-met") ? "met" : "missed");
  if (ht_report_get_length (ties) > 1)
    {
      g_autofree char *text = g_strdup_printf ("%u combinations cannot be told apart from the best in %s; of these the "
                                               "cheapest was kept",
                                               ht_report_get_length (ties), metric);
      add_fact (html, "ties", text);
    }
  g_autofree char *strategy = g_strdup_printf ("%s: %s", ht_report_get_string (search, "strategy", "?"),
                                               ht_report_get_string (search, "strategy-because", ""));
  add_fact (html, "strategy", strategy);
  add_fact (html, "ended", ht_report_get_string (search, "ended-because", ""));
  g_autofree char *tried
      = g_strdup_printf ("%u of %s", ht_report_get_length (candidates),
                         ht_html_format (number, ht_report_get_number (search, "combinations", NAN), "%.0f"));
  add_fact (html, "combinations tried", tried);
  add_fact (html, "time", ht_html_format_seconds (number, ht_report_get_number (timings, "seconds", NAN)));
  g_string_append (html, "</dl></section>\n");
}

static const char *
describe_outcome (const char *outcome)
{
  return g_str_equal (outcome, "tied")     ? "tied with the best"
         : g_str_equal (outcome, "missed") ? "misses the conditions"
         : g_str_equal (outcome, "scored") ? "worse"
                                           : outcome;
}

static char *
describe_remark (JsonObject *candidate)
{
  JsonObject *failure = ht_report_get_object (candidate, "failure");
  if (failure == NULL)
    return g_strdup (ht_report_get_string (candidate, "stopped-by", ""));
  return g_strdup_printf ("%s: %s", ht_report_get_string (failure, "class", "error"),
                          ht_report_get_string (failure, "message", ""));
}

static void
add_candidate (GString *html, JsonObject *search, JsonObject *candidate, const char *metric)
{
  static const char *const costs[] = { "size", "bit-operations", "steps" };
  HtHtmlNumber text[3];
  JsonObject *difference = ht_report_get_object (candidate, "difference-to-best");
  const char *outcome = ht_html_get_outcome (search, candidate);
  double low, high, value = ht_html_get_metric (search, candidate, metric, &low, &high);
  gint64 number = (gint64)ht_report_get_number (candidate, "number", 0);
  ht_html_add (html, "<tr id=\"candidate-%" G_GINT64_FORMAT "\" class=\"%s\">", number, outcome);
  ht_html_add_number_cell (html, (double)number, ht_html_format (text[0], (double)number, "%.0f"));
  g_autofree char *description = ht_html_describe (candidate);
  ht_html_add_cell (html, description);
  ht_html_add (html, "<td><span class=\"outcome\">%s</span></td>", describe_outcome (outcome));
  g_autofree char *interval = isfinite (low) && isfinite (high)
                                  ? g_strdup_printf ("%s (%s … %s)", ht_html_format_metric (text[0], metric, value),
                                                     ht_html_format_metric (text[1], metric, low),
                                                     ht_html_format_metric (text[2], metric, high))
                                  : g_strdup (ht_html_format_metric (text[0], metric, value));
  ht_html_add_number_cell (html, value, interval);
  double gap = ht_report_get_number (difference, "value", NAN);
  g_autofree char *paired
      = isnan (gap) ? g_strdup ("–")
                    : g_strdup_printf (
                        "%s (%s … %s)", ht_html_format_metric (text[0], metric, gap),
                        ht_html_format_metric (text[1], metric, ht_report_get_number (difference, "low", -INFINITY)),
                        ht_html_format_metric (text[2], metric, ht_report_get_number (difference, "high", INFINITY)));
  ht_html_add_number_cell (html, gap, paired);
  for (guint i = 0; i < G_N_ELEMENTS (costs); i++)
    {
      double cost = ht_report_get_number (ht_report_get_object (candidate, "costs"), costs[i], NAN);
      ht_html_add_number_cell (html, cost, ht_html_format_cost (text[0], costs[i], cost));
    }
  g_autofree char *remark = describe_remark (candidate);
  ht_html_add_cell (html, remark);
  g_string_append (html, "</tr>\n");
}

static void
add_candidates (GString *html, JsonObject *search)
{
  const char *metric = ht_html_get_objective_metric (search, NULL);
  JsonArray *candidates = ht_report_get_array (search, "candidates");
  g_autofree char *head = g_strconcat ("#", metric, ht_html_get_unit (metric), " (95 %)", NULL);
  const char *columns[] = { "#number", "combination",     "outcome", head,     "#better than best by (95 %, paired)",
                            "#size",   "#bit operations", "#steps",  "remark", NULL };
  g_string_append (html, "<section id=\"candidates\"><h2>All combinations that were tried</h2>\n");
  ht_html_begin_table (html, NULL, columns);
  for (guint i = 0; i < ht_report_get_length (candidates); i++)
    if (ht_report_get_element (candidates, i) != NULL)
      add_candidate (html, search, ht_report_get_element (candidates, i), metric);
  ht_html_end_table (html);
  g_string_append (html, "</section>\n");
}

/* A gain and its interval on a line of 120 units around zero. */
static void
draw_gain (GString *html, JsonObject *gain, double reach)
{
  double value = ht_report_get_number (gain, "gain", 0);
  double low = ht_report_get_number (gain, "low", value), high = ht_report_get_number (gain, "high", value);
  double ends[] = { fmin (0, value), fmax (0, value), CLAMP (low, -reach, reach), CLAMP (high, -reach, reach) };
  HtHtmlNumber text[4];
  for (guint i = 0; i < G_N_ELEMENTS (ends); i++)
    ends[i] = 60 + 58 * CLAMP (ends[i], -reach, reach) / reach;
  ht_html_add (
      html,
      "<td><svg class=\"gain\" width=\"120\" height=\"14\" aria-hidden=\"true\"><rect class=\"%s\" x=\"%s\" y=\"3\" "
      "width=\"%s\" height=\"8\"/>",
      value < 0 ? "loss" : "win", ht_html_format (text[0], ends[0], "%.1f"),
      ht_html_format (text[1], fmax (ends[1] - ends[0], 1), "%.1f"));
  ht_html_add (
      html,
      "<line class=\"zero\" x1=\"60\" y1=\"0\" x2=\"60\" y2=\"14\"/><line class=\"interval\" x1=\"%s\" y1=\"7\" "
      "x2=\"%s\" y2=\"7\"/></svg></td>",
      ht_html_format (text[2], ends[2], "%.1f"), ht_html_format (text[3], ends[3], "%.1f"));
}

static void
add_gain (GString *html, JsonObject *gain, const char *metric, double reach)
{
  HtHtmlNumber text[3];
  double value = ht_report_get_number (gain, "gain", NAN), pairs = ht_report_get_number (gain, "pairs", 0);
  double low = ht_report_get_number (gain, "low", NAN), least = ht_report_get_number (gain, "least", NAN);
  g_string_append (html, "<tr>");
  ht_html_add_cell (html, ht_report_get_string (gain, "axis", ""));
  g_autofree char *change = g_strdup_printf ("%s instead of %s", ht_report_get_string (gain, "to", "?"),
                                             ht_report_get_string (gain, "from", "?"));
  ht_html_add_cell (html, change);
  ht_html_add_number_cell (html, value, ht_html_format_metric (text[0], metric, value));
  g_autofree char *interval
      = isnan (low)
            ? g_strdup ("–")
            : g_strdup_printf ("%s … %s", ht_html_format_metric (text[0], metric, low),
                               ht_html_format_metric (text[1], metric, ht_report_get_number (gain, "high", NAN)));
  ht_html_add_number_cell (html, low, interval);
  draw_gain (html, gain, reach);
  ht_html_add_number_cell (html, least, ht_html_format_metric (text[0], metric, least));
  ht_html_add_number_cell (html, pairs, ht_html_format (text[0], pairs, "%.0f"));
  g_string_append (html, "</tr>\n");
}

static const char *
get_word (JsonObject *object, const char *name, guint index, char **text)
{
  JsonArray *words = ht_report_get_array (object, name);
  g_free (*text);
  *text = index < ht_report_get_length (words) ? ht_report_format_value (json_array_get_element (words, index))
                                               : g_strdup ("");
  return *text;
}

static void
add_interaction (GString *html, JsonObject *entry, const char *metric)
{
  HtHtmlNumber text[3];
  g_autofree char *axis = NULL, *to = NULL;
  double value = ht_report_get_number (entry, "interaction", NAN), n = ht_report_get_number (entry, "quadruples", NAN);
  double low = ht_report_get_number (entry, "low", NAN);
  g_string_append (html, "<tr>");
  for (guint i = 0; i < 2; i++)
    {
      const char *name = get_word (entry, "axes", i, &axis), *word = get_word (entry, "to", i, &to);
      if (g_str_equal (name, word))
        ht_html_add_cell (html, name);
      else
        ht_html_add (html, "<td>%s %s</td>", shorten_axis (name), word);
    }
  ht_html_add_number_cell (html, value, ht_html_format_metric (text[0], metric, value));
  g_autofree char *interval
      = isnan (low)
            ? g_strdup ("–")
            : g_strdup_printf ("%s … %s", ht_html_format_metric (text[0], metric, low),
                               ht_html_format_metric (text[1], metric, ht_report_get_number (entry, "high", NAN)));
  ht_html_add_number_cell (html, low, interval);
  ht_html_add_number_cell (html, n, ht_html_format (text[0], n, "%.0f"));
  g_string_append (html, "</tr>\n");
}

static void
add_interactions (GString *html, JsonObject *search, const char *metric)
{
  static const char *const columns[] = { "choice", "with", "#interaction", "#95 % interval", "#cases", NULL };
  JsonArray *entries = ht_report_get_array (search, "interactions");
  if (ht_report_get_length (entries) == 0)
    return;
  g_string_append (html, "<details><summary>Interactions: what two choices gain together beyond what each gains alone"
                         "</summary>\n");
  ht_html_begin_table (html, NULL, columns);
  for (guint i = 0; i < ht_report_get_length (entries); i++)
    if (ht_report_get_element (entries, i) != NULL)
      add_interaction (html, ht_report_get_element (entries, i), metric);
  ht_html_end_table (html);
  g_string_append (html, "</details>\n");
}

static void
add_shapley (GString *html, JsonObject *search, const char *metric)
{
  static const char *const columns[] = { "step", "#Shapley value", NULL };
  JsonObject *shapley = ht_report_get_object (search, "shapley");
  JsonArray *values = ht_report_get_array (shapley, "values");
  const char *reason = ht_report_get_string (shapley, "none-because", NULL);
  HtHtmlNumber text;
  if (reason != NULL)
    ht_html_add (html, "<p>No Shapley values: %s.</p>\n", reason);
  if (values == NULL)
    return;
  ht_html_add (html,
               "<details><summary>Shapley values: every set of the optional steps is legal and was scored, beside the "
               "best's other choices</summary>\n");
  ht_html_begin_table (html, NULL, columns);
  for (guint i = 0; i < ht_report_get_length (values); i++)
    {
      double value = ht_report_get_number (ht_report_get_element (values, i), "value", NAN);
      g_string_append (html, "<tr>");
      ht_html_add_cell (html, ht_report_get_string (ht_report_get_element (values, i), "step", ""));
      ht_html_add_number_cell (html, value, ht_html_format_metric (text, metric, value));
      g_string_append (html, "</tr>\n");
    }
  ht_html_end_table (html);
  g_string_append (html, "</details>\n");
}

static void
add_attribution (GString *html, JsonObject *search)
{
  static const char *const columns[]
      = { "choice", "change", "#mean gain", "#95 % interval", "", "#least", "#pairs", NULL };
  const char *metric = ht_html_get_objective_metric (search, NULL);
  JsonArray *gains = ht_report_get_array (search, "attribution");
  double reach = 1e-12;
  for (guint i = 0; i < ht_report_get_length (gains); i++)
    {
      double value = ht_report_get_number (ht_report_get_element (gains, i), "gain", 0);
      reach = isfinite (value) ? fmax (reach, 1.25 * fabs (value)) : reach;
    }
  if (ht_report_get_length (gains) == 0)
    return;
  ht_html_add (
      html,
      "<section id=\"attribution\"><h2>What each choice gained</h2>\n<p>The mean gain in %s%s over all pairs of "
      "combinations that differ in this choice alone. What gains nothing can be dropped.</p>\n",
      metric, ht_html_get_unit (metric));
  ht_html_begin_table (html, NULL, columns);
  for (guint i = 0; i < ht_report_get_length (gains); i++)
    if (ht_report_get_element (gains, i) != NULL)
      add_gain (html, ht_report_get_element (gains, i), metric, reach);
  ht_html_end_table (html);
  add_interactions (html, search, metric);
  add_shapley (html, search, metric);
  g_string_append (html, "</section>\n");
}

static void
add_laws (GString *html, JsonObject *search)
{
  static const char *const columns[] = { "law", "#combinations", NULL };
  JsonArray *laws = ht_report_get_array (search, "excluded");
  HtHtmlNumber text;
  if (ht_report_get_length (laws) == 0)
    return;
  g_string_append (html, "<section id=\"laws\"><h2>What the laws excluded</h2>\n");
  ht_html_begin_table (html, NULL, columns);
  for (guint i = 0; i < ht_report_get_length (laws); i++)
    {
      JsonObject *law = ht_report_get_element (laws, i);
      double n = ht_report_get_number (law, "combinations", NAN);
      g_string_append (html, "<tr>");
      ht_html_add_cell (html, ht_report_get_string (law, "law", ""));
      ht_html_add_number_cell (html, n, ht_html_format (text, n, "%.0f"));
      g_string_append (html, "</tr>\n");
    }
  ht_html_end_table (html);
  g_string_append (html, "</section>\n");
}

static JsonObject *
find_timing (JsonArray *timings, double number)
{
  for (guint i = 0; i < ht_report_get_length (timings); i++)
    if (ht_report_get_number (ht_report_get_element (timings, i), "number", NAN) == number)
      return ht_report_get_element (timings, i);
  return NULL;
}

static void
add_work (GString *html, JsonObject *node, JsonObject *timing, double most)
{
  HtHtmlNumber text;
  const char *kind = ht_report_get_string (node, "kind", "");
  double seconds = ht_report_get_number (timing, "seconds", NAN), number = ht_report_get_number (node, "number", NAN);
  double estimate = ht_report_get_number (timing, "estimate", NAN),
         memory = ht_report_get_number (timing, "memory", NAN);
  double above = ht_report_get_number (node, "parent", NAN);
  g_string_append (html, "<tr>");
  ht_html_add_number_cell (html, number, ht_html_format (text, number, "%.0f"));
  ht_html_add_cell (html, g_str_equal (kind, "step") ? ht_report_get_string (node, "step", "") : kind);
  ht_html_add_number_cell (html, above, ht_html_format (text, above, "%.0f"));
  ht_html_add_cell (html, ht_report_get_flag (timing, "found") ? "found in the store"
                                                               : ht_report_get_string (node, "status", ""));
  ht_html_add_number_cell (html, seconds, ht_html_format_seconds (text, seconds));
  ht_html_add (html,
               "<td><svg class=\"gain\" width=\"120\" height=\"14\" aria-hidden=\"true\"><rect class=\"plain\" x=\"0\" "
               "y=\"3\" height=\"8\" width=\"%s\"/></svg></td>",
               ht_html_format (text, isfinite (seconds) && most > 0 ? 120 * CLAMP (seconds / most, 0, 1) : 0, "%.1f"));
  ht_html_add_number_cell (html, estimate, ht_html_format_seconds (text, estimate));
  ht_html_add_number_cell (html, memory, ht_html_format_cost (text, "size", memory));
  g_string_append (html, "</tr>\n");
}

static void
add_timings (GString *html, JsonObject *search, JsonObject *timings)
{
  static const char *const columns[]
      = { "#number", "work", "#after", "came out", "#time", "", "#estimate", "#memory", NULL };
  JsonArray *tree = ht_report_get_array (search, "tree"), *nodes = ht_report_get_array (timings, "nodes");
  double most = 0;
  HtHtmlNumber text[2];
  for (guint i = 0; i < ht_report_get_length (nodes); i++)
    most = fmax (most, ht_report_get_number (ht_report_get_element (nodes, i), "seconds", 0));
  if (ht_report_get_length (tree) == 0)
    return;
  ht_html_add (
      html,
      "<section id=\"time\"><h2>Where the time went</h2>\n<p>%s pieces of work were computed, together %s; the others "
      "were found or not needed.</p>\n<details><summary>All pieces of work</summary>\n",
      ht_html_format (text[0], ht_report_get_number (timings, "computed", NAN), "%.0f"),
      ht_html_format_seconds (text[1], ht_report_get_number (timings, "computed-seconds", NAN)));
  ht_html_begin_table (html, NULL, columns);
  for (guint i = 0; i < ht_report_get_length (tree); i++)
    {
      JsonObject *node = ht_report_get_element (tree, i);
      JsonObject *timing = ht_report_get_element (nodes, i);
      double number = ht_report_get_number (node, "number", NAN);
      if (ht_report_get_number (timing, "number", NAN) != number)
        timing = find_timing (nodes, number);
      if (node != NULL)
        add_work (html, node, timing, most);
    }
  ht_html_end_table (html);
  g_string_append (html, "</details></section>\n");
}

void
ht_html_add_search (GString *html, JsonObject *search, JsonObject *timings)
{
  add_summary (html, search, timings);
  ht_html_add_chart (html, search);
  ht_html_add_tree (html, search);
  add_candidates (html, search);
  add_attribution (html, search);
  add_laws (html, search);
  add_timings (html, search, timings);
}
