/* SPDX-License-Identifier: MIT */
/* The section `objective`. */
#include <string.h>

#include "recipe/objective-private.h"
#include "recipe/recipe-private.h"

#include <halftone/enums.h>

typedef struct
{
  HtLocatedNode *maximize;
  HtLocatedNode *minimize;
  HtLocatedNode *constraints;
  HtLocatedNode *costs;
  HtObjectiveData data;
} Section;

static void
read_maximize (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  ((Section *)section)->maximize = value;
}

static void
read_minimize (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  ((Section *)section)->minimize = value;
}

static void
read_constraints (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  ((Section *)section)->constraints = value;
}

static void
read_costs (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  ((Section *)section)->costs = value;
}

static void
read_on (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  gint data;

  if (ht_recipe_read_enum (reader, value, HT_TYPE_OBJECTIVE_DATA, "unknown samples", &data))
    ((Section *)section)->data = (HtObjectiveData)data;
}

/* One value, or a list of them. */
static GPtrArray *
list_items (HtLocatedNode *node)
{
  GPtrArray *items = g_ptr_array_new ();

  if (node != NULL && ht_located_node_get_kind (node) == HT_LOCATED_SEQUENCE)
    for (guint i = 0; i < ht_located_node_get_n_children (node); i++)
      g_ptr_array_add (items, ht_located_node_get_child (node, i));
  else if (node != NULL)
    g_ptr_array_add (items, node);
  return items;
}

static void
add_constraints (HtRecipeReader *reader, HtLocatedNode *node, HtObjective *objective)
{
  g_autoptr (GPtrArray) items = list_items (node);

  for (guint i = 0; i < items->len; i++)
    {
      HtLocatedNode *item = g_ptr_array_index (items, i);
      const char *text = ht_recipe_read_text (reader, item);
      GError *error = NULL;

      if (text != NULL && !ht_objective_add_constraint (objective, text, &error))
        ht_located_node_report_error (item, reader->problems, HT_RECIPE_ERROR_SYNTAX, error);
    }
}

static void
add_costs (HtRecipeReader *reader, HtLocatedNode *node, HtObjective *objective)
{
  g_autoptr (GPtrArray) items = list_items (node);

  for (guint i = 0; i < items->len; i++)
    {
      HtLocatedNode *item = g_ptr_array_index (items, i);
      gboolean known = FALSE;
      gint cost;

      if (!ht_recipe_read_enum (reader, item, HT_TYPE_COST, "unknown cost", &cost))
        continue;
      for (gsize k = 0; k < ht_objective_get_n_costs (objective); k++)
        known |= ht_objective_get_cost (objective, k) == (HtCost)cost;
      if (known)
        ht_located_node_report (item, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_DUPLICATE_KEY,
                                "the cost '%s' is given twice: remove one", ht_located_node_get_text (item));
      else
        ht_objective_add_cost (objective, (HtCost)cost);
    }
}

static void
check_direction (HtRecipeReader *reader, const Section *section, HtMetric metric)
{
  if (metric == HT_METRIC_KL && section->maximize != NULL)
    ht_located_node_report (section->maximize, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE,
                            "the greater 'kl', the worse: write minimize: kl");
  else if (metric != HT_METRIC_KL && metric != HT_METRIC_EXTERNAL && section->minimize != NULL)
    ht_located_node_report (section->minimize, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_UNKNOWN_VALUE,
                            "the greater '%s', the better: write maximize: %s", ht_metric_get_name (metric),
                            ht_metric_get_name (metric));
}

void
ht_recipe_read_objective (HtRecipeReader *reader, HtLocatedNode *node, gpointer unused)
{
  static const HtRecipeKey keys[] = {
    { "maximize", read_maximize },
    { "minimize", read_minimize },
    { "subject-to", read_constraints },
    { "then-minimize", read_costs },
    { "on", read_on },
    { NULL, NULL },
  };
  Section section = { 0 };
  HtLocatedNode *named;
  HtObjective *objective;
  gint metric = HT_METRIC_TOP1;

  if (!ht_recipe_read_mapping (reader, node, "'objective'", keys, &section))
    return;
  named = section.maximize != NULL ? section.maximize : section.minimize;
  if (named == NULL)
    ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_MISSING_KEY,
                            "the objective names no metric: write maximize: top1");
  else if (section.maximize != NULL && section.minimize != NULL)
    ht_located_node_report (section.minimize, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_CONFLICT,
                            "an objective has one metric: give 'maximize' or 'minimize'; costs go to 'then-minimize'");
  else if (ht_recipe_read_enum (reader, named, HT_TYPE_METRIC, "unknown metric", &metric))
    {
      check_direction (reader, &section, (HtMetric)metric);
      reader->metric = named;
    }
  objective = ht_objective_new ((HtMetric)metric);
  ht_objective_set_minimized (objective, section.minimize != NULL);
  ht_objective_set_data (objective, section.data);
  add_constraints (reader, section.constraints, objective);
  add_costs (reader, section.costs, objective);
  g_set_object (&reader->recipe->objective, objective);
  g_object_unref (objective);
}

/* The metrics that an objective is about: its own, and those of its conditions. */
static gboolean
asks_for_labels (HtObjective *objective)
{
  gboolean asks = ht_metric_needs_labels (ht_objective_get_metric (objective));
  gint metric;

  for (gsize i = 0; i < ht_objective_get_n_constraints (objective); i++)
    {
      ht_objective_get_constraint (objective, i, &metric, NULL, NULL, NULL);
      asks |= metric >= 0 && ht_metric_needs_labels ((HtMetric)metric);
    }
  return asks;
}

/* What the recipe's data cannot give. Data that it does not name may come from the command line. */
void
ht_recipe_check_objective (HtRecipeReader *reader)
{
  HtRecipe *recipe = reader->recipe;
  HtRecipeSource *evaluation = &recipe->sources[HT_DATA_EVALUATION];
  HtRecipeSource *calibration = &recipe->sources[HT_DATA_CALIBRATION];
  gboolean held_out, external;

  if (recipe->objective == NULL || reader->metric == NULL)
    return;
  held_out = ht_objective_get_data (recipe->objective) == HT_OBJECTIVE_DATA_HELD_OUT;
  external = ht_objective_get_metric (recipe->objective) == HT_METRIC_EXTERNAL;
  if (external && evaluation->command == NULL)
    ht_located_node_report (reader->metric, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_MISSING_KEY,
                            "'external' is the number of a program: name it, as in data: {evaluation: {command: "
                            "[./judge, \"{model}\"], timeout: 60s}}");
  else if (!external && evaluation->command != NULL && !held_out)
    ht_located_node_report (reader->metric, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_CONFLICT,
                            "the evaluation is a program, whose number is called 'external': write maximize: external");
  else if (external && held_out)
    ht_located_node_report (reader->metric, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_CONFLICT,
                            "the program has its own samples: leave 'on: held-out' out");
  else if (asks_for_labels (recipe->objective) && held_out && calibration->paths->len > 0
           && calibration->labels == NULL)
    ht_located_node_report (reader->metric, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_MISSING_KEY,
                            "this objective needs labels, and held-out calibration samples have none: give "
                            "'data.calibration.labels', or maximize agreement or sqnr");
  else if (asks_for_labels (recipe->objective) && !held_out && evaluation->paths->len > 0 && evaluation->labels == NULL)
    ht_located_node_report (
        reader->metric, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_MISSING_KEY,
        "this objective needs labels: give 'data.evaluation.labels', or maximize agreement or sqnr");
}
