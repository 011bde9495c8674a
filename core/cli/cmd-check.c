/* SPDX-License-Identifier: MIT */
/* `check` and `plan`: what can be said of a recipe before any work is done. */
#include "cli/cli.h"

static JsonNode *
diagnostics_to_json (GPtrArray *diagnostics)
{
  JsonArray *array = json_array_new ();
  for (guint i = 0; i < diagnostics->len; i++)
    {
      HtDiagnostic *diagnostic = g_ptr_array_index (diagnostics, i);
      JsonObject *object = json_object_new ();
      g_autoptr (GEnumClass) severities = g_type_class_ref (ht_severity_get_type ());
      GEnumValue *severity = g_enum_get_value (severities, (gint) ht_diagnostic_get_severity (diagnostic));
      json_object_set_string_member (object, "severity", severity->value_nick);
      json_object_set_string_member (object, "file", ht_diagnostic_get_file (diagnostic));
      json_object_set_int_member (object, "line", ht_diagnostic_get_line (diagnostic));
      json_object_set_int_member (object, "column", ht_diagnostic_get_column (diagnostic));
      json_object_set_string_member (object, "message", ht_diagnostic_get_message (diagnostic));
      json_array_add_object_element (array, object);
    }
  JsonNode *node = json_node_new (JSON_NODE_ARRAY);
  json_node_take_array (node, array);
  return node;
}

int
cli_check (int argc, char **argv)
{
  gboolean json = FALSE;
  GOptionEntry entries[]
      = { { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print the problems as JSON", NULL }, { NULL } };
  int code = cli_parse (&argc, &argv, "check", "RECIPE", "find every problem of a recipe; no model is touched", entries,
                        NULL, 1);
  if (code >= 0)
    return code;
  g_autoptr (GError) error = NULL;
  g_autoptr (HtPassRegistry) registry = cli_load_registry ();
  g_autoptr (GPtrArray) diagnostics = g_ptr_array_new_with_free_func ((GDestroyNotify) ht_diagnostic_unref);
  g_autoptr (HtRecipe) recipe = ht_recipe_load (argv[1], registry, diagnostics, &error);
  if (json)
    {
      g_autoptr (JsonNode) node = diagnostics_to_json (diagnostics);
      cli_print_json (node);
    }
  else
    cli_print_diagnostics (diagnostics);
  if (recipe == NULL)
    return cli_fail_recipe (registry, diagnostics, error);
  if (!json)
    g_print ("%s: valid\n", argv[1]);
  return CLI_DONE;
}

static void
print_plan (HtPlan *plan)
{
  if (ht_plan_get_n_steps (plan) == 0)
    g_print ("no steps: the network is quantized by nearest rounding\n");
  for (guint step = 0; step < ht_plan_get_n_steps (plan); step++)
    {
      HtPassClass *klass = HT_PASS_GET_CLASS (ht_plan_get_step_pass (plan, step));
      g_auto (GStrv) lines = ht_plan_explain_step (plan, step);
      for (guint i = 0; lines[i] != NULL; i++)
        if (i == 0) /* the step itself: numbered here */
          g_print ("%u. %s: %s\n", step + 1, ht_plan_get_step_id (plan, step), ht_pass_class_get_summary (klass));
        else
          g_print ("   %s\n", lines[i]);
    }
}

static void
print_findings (HtPlan *plan)
{
  g_autoptr (GEnumClass) severities = g_type_class_ref (ht_severity_get_type ());
  for (guint i = 0; i < ht_plan_get_n_findings (plan); i++)
    {
      gint severity, other;
      guint step;
      const char *text = ht_plan_get_finding (plan, i, &severity, &step, &other, NULL);
      GEnumValue *value = g_enum_get_value (severities, severity);
      g_print ("%s: step '%s': %s\n", value->value_nick, ht_plan_get_step_id (plan, step), text);
    }
}

int
cli_plan (int argc, char **argv)
{
  g_autofree char *model = NULL;
  GOptionEntry entries[]
      = { { "model", 'm', 0, G_OPTION_ARG_FILENAME, &model, "Learn the first facts from this model", "FILE" }, { NULL } };
  int code = cli_parse (&argc, &argv, "plan", "RECIPE", "explain the steps of a recipe and their order", entries, NULL, 1);
  if (code >= 0)
    return code;
  g_autoptr (GError) error = NULL;
  g_autoptr (HtPassRegistry) registry = cli_load_registry ();
  g_autoptr (GPtrArray) diagnostics = g_ptr_array_new_with_free_func ((GDestroyNotify) ht_diagnostic_unref);
  g_autoptr (HtRecipe) recipe = ht_recipe_load (argv[1], registry, diagnostics, &error);
  if (recipe == NULL)
    {
      cli_print_diagnostics (diagnostics);
      return cli_fail_recipe (registry, diagnostics, error);
    }
  HtPlan *plan = ht_recipe_get_plan (recipe);
  if (model != NULL)
    {
      g_autoptr (HtGraph) graph = ht_graph_load (model, &error);
      if (graph == NULL)
        return cli_fail (error);
      ht_plan_learn_from_graph (plan, graph);
    }
  gboolean legal = ht_plan_check (plan, &error);
  print_plan (plan);
  print_findings (plan);
  return legal ? CLI_DONE : CLI_INVALID;
}
