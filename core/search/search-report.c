/* SPDX-License-Identifier: MIT */
/* report.json of a search: what was searched, what came out of each candidate, and why the best is the best. */
#include "report/report-json.h"
#include "search/attribution.h"
#include "search/interaction.h"
#include "search/search-private.h"

#include <halftone/error.h>
#include <halftone/report.h>
#include <math.h>
#include <stdlib.h>

#define CONFIDENCE 0.95

/* JSON has no infinities. */
static void
set_number (JsonObject *object, const char *name, double value)
{
  if (isfinite (value))
    json_object_set_double_member (object, name, value);
  else
    json_object_set_null_member (object, name);
}

static JsonArray *
describe_axes (HtSearch *self)
{
  JsonArray *array = json_array_new ();
  for (guint axis = 0; axis < ht_recipe_space_get_n_axes (self->space); axis++)
    {
      JsonObject *object = json_object_new ();
      guint n = ht_recipe_space_get_axis_n_values (self->space, axis);
      json_object_set_string_member (object, "name", ht_recipe_space_get_axis_name (self->space, axis));
      json_object_set_boolean_member (object, "step", ht_recipe_space_is_step_axis (self->space, axis));
      if (n == 0)
        {
          double low, high, step;
          gboolean log_scale;
          JsonArray *range = json_array_new ();
          ht_recipe_space_get_axis_range (self->space, axis, &low, &high, &log_scale, &step);
          json_array_add_double_element (range, low);
          json_array_add_double_element (range, high);
          json_object_set_array_member (object, "range", range);
        }
      else
        {
          JsonArray *values = json_array_new ();
          for (guint i = 0; i < n; i++)
            {
              g_autofree char *text = ht_recipe_space_format_axis_value (self->space, axis, i);
              json_array_add_string_element (values, text);
            }
          json_object_set_array_member (object, "values", values);
        }
      json_array_add_object_element (array, object);
    }
  return array;
}

static int
compare_words (gconstpointer a, gconstpointer b)
{
  return g_strcmp0 (*(const char *const *)a, *(const char *const *)b);
}

static JsonArray *
describe_laws (HtSearch *self)
{
  JsonArray *array = json_array_new ();
  guint n;
  g_autofree gpointer *laws = g_hash_table_get_keys_as_array (self->laws, &n);
  qsort (laws, n, sizeof *laws, compare_words);
  for (guint i = 0; i < n; i++)
    {
      JsonObject *object = json_object_new ();
      const char *law = laws[i];
      json_object_set_string_member (object, "law", law);
      json_object_set_int_member (object, "combinations", GPOINTER_TO_UINT (g_hash_table_lookup (self->laws, law)));
      json_array_add_object_element (array, object);
    }
  return array;
}

static const char *
describe_status (HtCandidate *candidate)
{
  switch (candidate->status)
    {
    case HT_CANDIDATE_SCORED:
      return "scored";
    case HT_CANDIDATE_STOPPED:
      return "stopped";
    case HT_CANDIDATE_FAILED:
      return "failed";
    default:
      return "open";
    }
}

/* Whose fault a failure is: the technique's, or that of what it was given. */
static JsonObject *
describe_failure (const GError *error)
{
  JsonObject *object = json_object_new ();
  json_object_set_string_member (object, "class",
                                 error->domain == HT_PLUGIN_ERROR   ? "plugin"
                                 : error->domain == HT_RECIPE_ERROR ? "recipe"
                                                                    : "error");
  json_object_set_string_member (object, "message", error->message);
  return object;
}

static JsonObject *
describe_costs (HtSearch *self, HtCandidate *candidate)
{
  JsonObject *object = json_object_new ();
  set_number (object, "size", ht_search_get_cost (self, candidate, HT_COST_SIZE));
  set_number (object, "bit-operations", ht_search_get_cost (self, candidate, HT_COST_BIT_OPERATIONS));
  set_number (object, "steps", ht_search_get_cost (self, candidate, HT_COST_STEPS));
  return object;
}

static JsonObject *
describe_difference (HtSearch *self, HtCandidate *candidate)
{
  double difference, low, high;
  if (self->best == NULL
      || !ht_search_get_difference (self, candidate, self->best, CONFIDENCE, &difference, &low, &high))
    return NULL;
  JsonObject *object = json_object_new ();
  set_number (object, "value", difference);
  set_number (object, "low", low);
  set_number (object, "high", high);
  return object;
}

/* The nodes on the way from the start to the candidate, by number. */
static JsonArray *
describe_path (HtCandidate *candidate)
{
  JsonArray *array = json_array_new ();
  g_autoptr (GPtrArray) path = g_ptr_array_new ();
  for (HtSearchNode *node = candidate->calibrated; node != NULL; node = node->parent)
    g_ptr_array_insert (path, 0, node);
  for (guint i = 0; i < path->len; i++)
    json_array_add_int_element (array, ((HtSearchNode *)g_ptr_array_index (path, i))->number);
  return array;
}

static JsonObject *
describe_candidate (HtSearch *self, HtCandidate *candidate)
{
  JsonObject *object = json_object_new ();
  g_autofree char *text = ht_recipe_space_describe (self->space, candidate->combination);
  json_object_set_int_member (object, "number", candidate->number);
  json_object_set_string_member (object, "description", text);
  json_object_set_member (object, "combination",
                          ht_recipe_space_combination_to_json (self->space, candidate->combination));
  json_object_set_string_member (object, "status", describe_status (candidate));
  json_object_set_array_member (object, "path", describe_path (candidate));
  if (candidate->metrics != NULL)
    {
      JsonObject *difference = describe_difference (self, candidate);
      json_object_set_member (object, "metrics", ht_metrics_to_json (candidate->metrics));
      json_object_set_object_member (object, "costs", describe_costs (self, candidate));
      json_object_set_boolean_member (object, "feasible", ht_search_is_feasible (self, candidate));
      if (difference != NULL)
        json_object_set_object_member (object, "difference-to-best", difference);
    }
  if (candidate->stopped_by != NULL)
    json_object_set_string_member (object, "stopped-by", candidate->stopped_by);
  if (candidate->error != NULL)
    json_object_set_object_member (object, "failure", describe_failure (candidate->error));
  return object;
}

static JsonArray *
describe_candidates (HtSearch *self)
{
  JsonArray *array = json_array_new ();
  for (guint i = 0; i < self->candidates->len; i++)
    json_array_add_object_element (array, describe_candidate (self, g_ptr_array_index (self->candidates, i)));
  return array;
}

static JsonArray *
list_numbers (GPtrArray *candidates)
{
  JsonArray *array = json_array_new ();
  for (guint i = 0; i < candidates->len; i++)
    json_array_add_int_element (array, ((HtCandidate *)g_ptr_array_index (candidates, i))->number);
  return array;
}

/* Whether another candidate is at least as good in the metric and in the first cost, and better in one of them. */
static gboolean
is_dominated (HtSearch *self, HtCandidate *candidate, HtCost cost)
{
  for (guint i = 0; i < self->candidates->len; i++)
    {
      HtCandidate *other = g_ptr_array_index (self->candidates, i);
      gint sign = ht_objective_is_maximized (self->objective) ? 1 : -1;
      double gain = sign * (ht_search_get_metric (self, other) - ht_search_get_metric (self, candidate));
      double saving = ht_search_get_cost (self, candidate, cost) - ht_search_get_cost (self, other, cost);
      if (other->status == HT_CANDIDATE_SCORED && gain >= 0 && saving >= 0 && (gain > 0 || saving > 0))
        return TRUE;
    }
  return FALSE;
}

static JsonObject *
describe_front (HtSearch *self)
{
  static const char *const names[] = { "size", "bit-operations", "steps", "time" };
  HtCost cost
      = ht_objective_get_n_costs (self->objective) > 0 ? ht_objective_get_cost (self->objective, 0) : HT_COST_SIZE;
  g_autoptr (GPtrArray) front = g_ptr_array_new ();
  for (guint i = 0; i < self->candidates->len; i++)
    {
      HtCandidate *candidate = g_ptr_array_index (self->candidates, i);
      if (candidate->status == HT_CANDIDATE_SCORED && !is_dominated (self, candidate, cost))
        g_ptr_array_add (front, candidate);
    }
  JsonObject *object = json_object_new ();
  json_object_set_string_member (object, "cost", names[cost]);
  json_object_set_array_member (object, "candidates", list_numbers (front));
  return object;
}

static JsonArray *
describe_tree (HtSearch *self)
{
  static const char *const kinds[] = { "start", "step", "calibrate", "score" };
  JsonArray *array = json_array_new ();
  for (guint i = 0; i < self->work.tree->order->len; i++)
    {
      HtSearchNode *node = g_ptr_array_index (self->work.tree->order, i);
      JsonObject *object = json_object_new ();
      json_object_set_int_member (object, "number", node->number);
      json_object_set_string_member (object, "kind", kinds[node->kind]);
      json_object_set_string_member (object, "key", node->key);
      if (node->parent != NULL)
        json_object_set_int_member (object, "parent", node->parent->number);
      if (node->kind == HT_SEARCH_NODE_STEP)
        json_object_set_string_member (object, "step", ht_plan_get_step_id (node->plan, node->step));
      if (node->report != NULL)
        json_object_set_member (object, "report", json_node_copy (node->report));
      json_object_set_string_member (object, "status",
                                     node->status == HT_SEARCH_NODE_DONE     ? "done"
                                     : node->status == HT_SEARCH_NODE_FAILED ? "failed"
                                                                             : "open");
      json_array_add_object_element (array, object);
    }
  return array;
}

static JsonObject *
describe_timings (HtSearch *self)
{
  JsonObject *timings = json_object_new ();
  JsonArray *nodes = json_array_new ();
  guint n_computed = 0;
  double sum = 0;
  for (guint i = 0; i < self->work.tree->order->len; i++)
    {
      HtSearchNode *node = g_ptr_array_index (self->work.tree->order, i);
      JsonObject *object = json_object_new ();
      gboolean is_computed = node->status == HT_SEARCH_NODE_DONE && !node->was_found && node->parent != NULL;
      json_object_set_int_member (object, "number", node->number);
      json_object_set_double_member (object, "seconds", node->seconds);
      json_object_set_boolean_member (object, "found", node->was_found);
      json_array_add_object_element (nodes, object);
      n_computed += is_computed;
      sum += is_computed ? node->seconds : 0;
    }
  json_object_set_double_member (timings, "seconds", (double)(g_get_monotonic_time () - self->began) / G_USEC_PER_SEC);
  json_object_set_int_member (timings, "jobs", self->work.jobs);
  json_object_set_int_member (timings, "computed", n_computed);
  json_object_set_double_member (timings, "computed-seconds", sum);
  json_object_set_array_member (timings, "nodes", nodes);
  return timings;
}

static JsonObject *
describe_objective (HtSearch *self)
{
  JsonObject *object = json_object_new ();
  JsonArray *conditions = json_array_new ();
  json_object_set_string_member (object, ht_objective_is_maximized (self->objective) ? "maximize" : "minimize",
                                 ht_metric_get_name (ht_objective_get_metric (self->objective)));
  for (gsize i = 0; i < ht_objective_get_n_constraints (self->objective); i++)
    {
      gint metric, cost;
      HtComparison comparison;
      gboolean relative;
      json_array_add_string_element (
          conditions, ht_objective_get_constraint (self->objective, i, &metric, &cost, &comparison, &relative));
    }
  json_object_set_array_member (object, "subject-to", conditions);
  json_object_set_string_member (
      object, "on", ht_objective_get_data (self->objective) == HT_OBJECTIVE_DATA_HELD_OUT ? "held-out" : "evaluation");
  return object;
}

static JsonObject *
describe_results (HtSearch *self)
{
  JsonObject *results = json_object_new ();
  g_autoptr (GPtrArray) ties = g_ptr_array_new ();
  HtCandidate *best = ht_search_pick (self, ties);
  json_object_set_string_member (results, "strategy", self->strategy);
  json_object_set_string_member (results, "strategy-because", self->why);
  json_object_set_string_member (results, "ended-because", self->ended);
  json_object_set_object_member (results, "objective", describe_objective (self));
  json_object_set_array_member (results, "axes", describe_axes (self));
  guint64 n = ht_recipe_space_get_n_combinations (self->space);
  if (n < G_MAXINT64)
    json_object_set_int_member (results, "combinations", (gint64)n);
  json_object_set_array_member (results, "excluded", describe_laws (self));
  json_object_set_int_member (results, "samples-scored", self->n_samples_scored);
  if (self->baseline != NULL)
    json_object_set_member (results, "baseline", ht_metrics_to_json (self->baseline));
  json_object_set_array_member (results, "candidates", describe_candidates (self));
  json_object_set_int_member (results, "best", best->number);
  json_object_set_array_member (results, "ties", list_numbers (ties));
  json_object_set_boolean_member (results, "target-met", self->target_met);
  json_object_set_object_member (results, "front", describe_front (self));
  json_object_set_array_member (results, "attribution", ht_search_attribute (self));
  json_object_set_array_member (results, "interactions", ht_search_describe_interactions (self));
  JsonObject *shapley = ht_search_describe_shapley (self);
  if (shapley != NULL)
    json_object_set_object_member (results, "shapley", shapley);
  json_object_set_array_member (results, "tree", describe_tree (self));
  if (self->figure != NULL)
    {
      JsonObject *figure = json_object_new ();
      json_object_set_member (figure, "result", ht_metrics_to_json (self->figure));
      json_object_set_member (figure, "float", ht_metrics_to_json (self->figure_baseline));
      json_object_set_object_member (results, "evaluation", figure);
    }
  return results;
}

/* The lock of the result is that of the best. */
static gboolean
copy_lock (HtSearch *self, GError **error)
{
  g_autofree char *from = g_build_filename (self->output_folder, "best", "lock.json", NULL);
  g_autofree char *to = g_build_filename (self->output_folder, "lock.json", NULL);
  g_autofree char *text = NULL;
  gsize length;
  return g_file_get_contents (from, &text, &length, error) && g_file_set_contents (to, text, (gssize)length, error);
}

gboolean
ht_search_write_report (HtSearch *self, GError **error)
{
  g_autoptr (JsonObject) report = json_object_new ();
  g_autofree char *path = g_build_filename (self->output_folder, "report.json", NULL);
  json_object_set_string_member (report, "report", "1.0");
  json_object_set_member (report, "environment", ht_report_environment ());
  json_object_set_object_member (report, "search", describe_results (self));
  json_object_set_object_member (report, "timings", describe_timings (self));
  self->report = json_node_new (JSON_NODE_OBJECT);
  json_node_set_object (self->report, report);
  if (!ht_report_save (self->report, path, error) || !copy_lock (self, error))
    return FALSE;
  HtRecipe *recipe = ht_recipe_space_get_recipe (self->space);
  if (!g_strv_contains (ht_recipe_get_report_formats (recipe), "html"))
    return TRUE;
  g_autofree char *page = ht_report_write_html (self->output_folder, error);
  return page != NULL;
}
