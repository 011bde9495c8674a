/* SPDX-License-Identifier: MIT */
/* `explain FOLDER --combination N`: why a combination of a search is legal, what it cost, and where it lost. */
#include "cli/cli.h"

#include <json-glib/json-glib.h>
#include <math.h>

/* A report from disk may hold any JSON. */
static JsonNode *
find (JsonObject *object, const char *name, JsonNodeType type)
{
  JsonNode *node = object != NULL ? json_object_get_member (object, name) : NULL;
  return node != NULL && json_node_get_node_type (node) == type ? node : NULL;
}

static JsonObject *
get_object (JsonObject *object, const char *name)
{
  JsonNode *node = find (object, name, JSON_NODE_OBJECT);
  return node != NULL ? json_node_get_object (node) : NULL;
}

static JsonArray *
get_array (JsonObject *object, const char *name)
{
  JsonNode *node = find (object, name, JSON_NODE_ARRAY);
  return node != NULL ? json_node_get_array (node) : NULL;
}

static double
get_number (JsonObject *object, const char *name)
{
  JsonNode *node = find (object, name, JSON_NODE_VALUE);
  GType type = node != NULL ? json_node_get_value_type (node) : G_TYPE_NONE;
  return type == G_TYPE_INT64    ? (double)json_node_get_int (node)
         : type == G_TYPE_DOUBLE ? json_node_get_double (node)
                                 : NAN;
}

static const char *
get_string (JsonObject *object, const char *name, const char *fallback)
{
  JsonNode *node = find (object, name, JSON_NODE_VALUE);
  return node != NULL && json_node_get_value_type (node) == G_TYPE_STRING ? json_node_get_string (node) : fallback;
}

static JsonObject *
get_element (JsonArray *array, guint index)
{
  JsonNode *node
      = array != NULL && index < json_array_get_length (array) ? json_array_get_element (array, index) : NULL;
  return node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

static guint
get_length (JsonArray *array)
{
  return array != NULL ? json_array_get_length (array) : 0;
}

/* The element of a list of objects that has this number. */
static JsonObject *
find_number (JsonArray *array, double number)
{
  for (guint i = 0; i < get_length (array); i++)
    if (get_number (get_element (array, i), "number") == number)
      return get_element (array, i);
  return NULL;
}

static JsonNode *
load (const char *folder, const char *name, const char *member, GError **error)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autoptr (JsonParser) parser = json_parser_new ();
  if (!g_file_test (path, G_FILE_TEST_IS_REGULAR))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND, "there is no '%s'; give the folder of a search that has ended",
                   path);
      return NULL;
    }
  if (!json_parser_load_from_file (parser, path, error))
    return NULL;
  JsonNode *root = json_parser_get_root (parser);
  JsonObject *object = root != NULL && JSON_NODE_HOLDS_OBJECT (root) ? json_node_get_object (root) : NULL;
  if (object != NULL && json_object_has_member (object, member))
    return json_parser_steal_root (parser);
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "'%s' has no '%s': it is not of a search", path, member);
  return NULL;
}

static const char *
get_metric (JsonObject *search)
{
  JsonObject *objective = get_object (search, "objective");
  return get_string (objective, "maximize", get_string (objective, "minimize", "top1"));
}

/* The plan of the combination says of each step what it needs and who gives it. */
static gboolean
print_law (const char *folder, JsonObject *candidate, GError **error)
{
  g_autoptr (JsonNode) start = load (folder, "search.json", "text", error);
  JsonObject *object = start != NULL ? json_node_get_object (start) : NULL;
  if (object == NULL)
    return FALSE;
  g_autoptr (HtPassRegistry) registry = cli_load_registry ();
  g_autoptr (GPtrArray) diagnostics = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_diagnostic_unref);
  g_auto (GStrv) settings = cli_read_strings (object, "set");
  g_autoptr (HtRecipeSpace) space = ht_recipe_space_parse_set (
      get_string (object, "text", ""), -1, get_string (object, "recipe", folder), (const char *const *)settings, registry,
      diagnostics, error);
  JsonNode *choice = find (candidate, "combination", JSON_NODE_OBJECT);
  g_autoptr (HtCombination) combination
      = space != NULL && choice != NULL ? ht_recipe_space_combination_from_json (space, choice, error) : NULL;
  if (combination == NULL)
    {
      if (error != NULL && *error == NULL)
        g_set_error_literal (error, HT_ERROR, HT_ERROR_INVALID_DATA, "the report does not say what was combined");
      return FALSE;
    }
  g_autofree char *law = NULL;
  gboolean legal = ht_recipe_space_is_legal (space, combination, &law);
  g_autoptr (HtPlan) plan = ht_recipe_space_create_plan (space, combination);
  g_print ("\n%s%s\n", legal ? "Legal: each step finds what it needs." : "Illegal here and now: ", legal ? "" : law);
  for (guint i = 0; i < ht_plan_get_n_steps (plan); i++)
    {
      g_auto (GStrv) lines = ht_plan_explain_step (plan, i);
      g_print ("  %u. %s\n", i + 1, ht_plan_get_step_id (plan, i));
      for (char **line = lines; *line != NULL; line++)
        g_print ("     %s\n", *line);
    }
  if (ht_plan_get_n_steps (plan) == 0)
    g_print ("  it has no step\n");
  return TRUE;
}

static void
print_cost (JsonObject *report, JsonObject *search, JsonObject *candidate)
{
  JsonObject *costs = get_object (candidate, "costs");
  JsonArray *path = get_array (candidate, "path"), *tree = get_array (search, "tree");
  JsonArray *timings = get_array (get_object (report, "timings"), "nodes");
  g_print ("\nCost: %.0f bytes of weights, %.4g bit operations, %.0f steps\n", get_number (costs, "size"),
           get_number (costs, "bit-operations"), get_number (costs, "steps"));
  for (guint i = 0; i < get_length (path); i++)
    {
      double number = json_array_get_double_element (path, i);
      JsonObject *node = find_number (tree, number), *timing = find_number (timings, number);
      const char *kind = get_string (node, "kind", "?");
      JsonNode *found = find (timing, "found", JSON_NODE_VALUE);
      gboolean was_found
          = found != NULL && json_node_get_value_type (found) == G_TYPE_BOOLEAN && json_node_get_boolean (found);
      if (g_str_equal (kind, "start"))
        continue;
      g_print ("  %-28s %8.3f s%s\n", g_str_equal (kind, "step") ? get_string (node, "step", kind) : kind,
               get_number (timing, "seconds"), was_found ? " (found in the store)" : "");
    }
}

/* The only choice in which two combinations differ; NULL: there is none, or there are several. */
static const char *
find_only_difference (JsonObject *a, JsonObject *b)
{
  const char *only = NULL;
  JsonObject *sides[] = { a, b };
  for (guint side = 0; side < 2; side++)
    {
      g_autoptr (GList) names = sides[side] != NULL ? json_object_get_members (sides[side]) : NULL;
      for (GList *name = names; name != NULL; name = name->next)
        {
          JsonNode *first = json_object_get_member (sides[side], name->data);
          JsonNode *second = sides[!side] != NULL ? json_object_get_member (sides[!side], name->data) : NULL;
          if ((second != NULL && json_node_equal (first, second)) || g_strcmp0 (only, name->data) == 0)
            continue;
          if (only != NULL)
            return NULL;
          only = name->data;
        }
    }
  return only;
}

static void
print_neighbours (JsonObject *search, JsonObject *candidate, const char *metric)
{
  JsonArray *candidates = get_array (search, "candidates");
  JsonObject *own = get_object (candidate, "combination");
  double value = get_number (get_object (candidate, "metrics"), metric);
  gboolean is_maximized = get_string (get_object (search, "objective"), "maximize", NULL) != NULL;
  guint n = 0;
  for (guint i = 0; i < get_length (candidates); i++)
    {
      JsonObject *other = get_element (candidates, i), *combination = get_object (other, "combination");
      double number = get_number (get_object (other, "metrics"), metric);
      const char *only = other != candidate ? find_only_difference (own, combination) : NULL;
      if (only == NULL || isnan (number) || isnan (value))
        continue;
      JsonNode *node = json_object_get_member (combination, only);
      g_autofree char *text = node != NULL ? json_to_string (node, FALSE) : g_strdup ("nothing");
      if (n++ == 0)
        g_print ("Against its neighbours, which differ in one choice:\n");
      g_print ("  %s %s: %.6g, %s by %.4g (number %.0f)\n", only, text, number,
               number == value                    ? "as good"
               : (number > value) == is_maximized ? "better"
                                                  : "worse",
               fabs (number - value), get_number (other, "number"));
    }
}

static void
print_loss (JsonObject *search, JsonObject *candidate)
{
  const char *metric = get_metric (search), *status = get_string (candidate, "status", "open");
  double number = get_number (candidate, "number"), best = get_number (search, "best");
  JsonObject *difference = get_object (candidate, "difference-to-best"), *failure = get_object (candidate, "failure");
  JsonArray *ties = get_array (search, "ties");
  gboolean is_tied = FALSE;
  for (guint i = 0; i < get_length (ties); i++)
    is_tied = is_tied || json_array_get_double_element (ties, i) == number;
  g_print ("\nOutcome: %s\n", status);
  if (failure != NULL)
    g_print ("It failed (%s): %s\n", get_string (failure, "class", "error"), get_string (failure, "message", ""));
  if (get_string (candidate, "stopped-by", NULL) != NULL)
    g_print ("It was stopped: %s\n", get_string (candidate, "stopped-by", ""));
  double value = get_number (get_object (candidate, "metrics"), metric);
  if (isnan (value))
    return;
  g_print ("%s %.6g, floating point %.6g\n", metric, value, get_number (get_object (search, "baseline"), metric));
  JsonNode *feasible = find (candidate, "feasible", JSON_NODE_VALUE);
  if (feasible != NULL && json_node_get_value_type (feasible) == G_TYPE_BOOLEAN && !json_node_get_boolean (feasible))
    {
      JsonArray *conditions = get_array (get_object (search, "objective"), "subject-to");
      g_autoptr (JsonNode) node = json_node_new (JSON_NODE_ARRAY);
      json_node_set_array (node, conditions);
      g_autofree char *text = conditions != NULL ? json_to_string (node, FALSE) : g_strdup ("");
      g_print ("It misses a condition of the objective: %s\n", text);
    }
  if (number == best)
    g_print ("It is the best, which was kept.\n");
  else if (difference != NULL)
    g_print ("To the best (number %.0f): %+.4g (95 %%: %+.4g … %+.4g), %s\n", best, get_number (difference, "value"),
             get_number (difference, "low"), get_number (difference, "high"),
             is_tied ? "which cannot be told apart; the cheaper one was kept" : "which is the reason");
  print_neighbours (search, candidate, metric);
}

int
cli_explain_combination (const char *folder, int number)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) report = load (folder, "report.json", "search", &error);
  if (report == NULL)
    return cli_fail (error);
  JsonObject *search = get_object (json_node_get_object (report), "search");
  JsonArray *candidates = get_array (search, "candidates");
  JsonObject *candidate = find_number (candidates, number);
  if (candidate == NULL)
    return cli_usage ("explain",
                      "--combination is %d, must be one of the %u that were tried, by their numbers in report.json",
                      number, get_length (candidates));
  g_print ("%d: %s\n", number, get_string (candidate, "description", ""));
  if (!print_law (folder, candidate, &error))
    return cli_fail (error);
  print_cost (json_node_get_object (report), search, candidate);
  print_loss (search, candidate);
  return CLI_DONE;
}
