/* SPDX-License-Identifier: MIT */
/* `plan`: the steps of a recipe and their order; of a recipe with choices, what a search would do. */
#include "cli/cli.h"

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

static int
plan_recipe (HtRecipeSpace *space, HtGraph *graph)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (HtCombination) only = ht_recipe_space_get_nth (space, 0);
  g_autoptr (HtPlan) plan = ht_recipe_space_create_plan (space, only);
  gboolean legal;

  if (graph != NULL)
    ht_plan_learn_from_graph (plan, graph);
  legal = ht_plan_check (plan, &error);
  print_plan (plan);
  print_findings (plan);
  return legal ? CLI_DONE : CLI_INVALID;
}

static void
print_axes (HtRecipeSpace *space)
{
  for (guint i = 0; i < ht_recipe_space_get_n_axes (space); i++)
    {
      g_autoptr (GString) values = g_string_new (NULL);
      guint n = ht_recipe_space_get_axis_n_values (space, i), parent_value = 0;
      gint parent = ht_recipe_space_get_axis_parent (space, i, &parent_value);
      double low, high;
      gboolean log;

      if (ht_recipe_space_get_axis_range (space, i, &low, &high, &log, NULL))
        g_string_append_printf (values, "%.10g … %.10g%s%s", low, high, log ? ", logarithmic" : "",
                                n == 0 ? ", continuous" : "");
      else
        for (guint k = 0; k < n; k++)
          {
            g_autofree char *value = ht_recipe_space_format_axis_value (space, i, k);

            g_string_append_printf (values, "%s%s", k > 0 ? " | " : "", value);
          }
      g_print ("  %s: %s", ht_recipe_space_get_axis_name (space, i), values->str);
      if (parent >= 0)
        {
          g_autofree char *value = ht_recipe_space_format_axis_value (space, (guint)parent, parent_value);

          g_print ("  (where %s is %s)", ht_recipe_space_get_axis_name (space, (guint)parent), value);
        }
      g_print ("\n");
    }
}

static void
print_counts (HtRecipeSpace *space, HtSearchPlan *plan)
{
  guint64 n = ht_recipe_space_get_n_combinations (space), n_looked_at = ht_search_plan_get_n_looked_at (plan);
  guint64 n_legal = ht_search_plan_get_n_legal (plan), n_excluded;

  if (n == G_MAXUINT64)
    g_print ("combinations: without end");
  else
    g_print ("combinations: %" G_GUINT64_FORMAT, n);
  if (!ht_search_plan_is_complete (plan))
    g_print ("; what follows is of %" G_GUINT64_FORMAT " drawn at random", n_looked_at);
  g_print ("\nlegal: %" G_GUINT64_FORMAT "\n", n_legal);
  if (n_legal < n_looked_at)
    g_print ("excluded: %" G_GUINT64_FORMAT "\n", n_looked_at - n_legal);
  for (guint i = 0; i < ht_search_plan_get_n_laws (plan); i++)
    {
      const char *law = ht_search_plan_get_law (plan, i, &n_excluded);

      g_print ("  %" G_GUINT64_FORMAT " by: %s\n", n_excluded, law);
    }
}

/* A state holds the network and its floating-point teacher; branches share what no step of theirs has changed. */
static void
print_memory (HtGraph *graph, HtSearchPlan *plan)
{
  g_auto (GStrv) names = ht_graph_list_initializers (graph);
  guint64 bytes = 0;
  guint depth = ht_search_plan_get_depth (plan);

  for (guint i = 0; names[i] != NULL; i++)
    bytes += ht_tensor_get_size (ht_graph_get_initializer (graph, names[i]));
  g_print ("memory of states: %.1f MiB each, at most %u at once on one branch: %.1f MiB a job\n", 2 * bytes / 1048576.0,
           depth + 1, 2.0 * (depth + 1) * bytes / 1048576.0);
}

static int
plan_search (HtRecipeSpace *space, HtGraph *graph, guint max_lines)
{
  g_autoptr (HtSearchPlan) plan = ht_search_plan_new (space);
  g_auto (GStrv) tree = ht_search_plan_list_tree (plan, max_lines + 1);
  g_auto (GStrv) dead = ht_search_plan_list_dead (plan);
  guint64 n_steps = ht_search_plan_get_n_steps (plan), n_apart = ht_search_plan_get_n_steps_apart (plan);

  g_print ("axes: %u\n", ht_recipe_space_get_n_axes (space));
  print_axes (space);
  print_counts (space, plan);
  g_print ("executions: %" G_GUINT64_FORMAT " steps, in place of %" G_GUINT64_FORMAT " one by one; %" G_GUINT64_FORMAT
           " calibrations and evaluations\n",
           n_steps, n_apart, ht_search_plan_get_n_evaluations (plan));
  if (graph != NULL)
    print_memory (graph, plan);
  g_print ("prefix tree, each step with the number of combinations that share it:\n");
  for (guint i = 0; tree[i] != NULL && i < max_lines; i++)
    g_print ("  %s\n", tree[i]);
  if (n_steps > max_lines)
    g_print ("  … and %" G_GUINT64_FORMAT " more; see --json\n", n_steps - max_lines);
  for (guint i = 0; dead[i] != NULL; i++)
    g_printerr ("warning: no legal combination has %s: it can be removed\n", dead[i]);
  return ht_search_plan_get_n_legal (plan) > 0 ? CLI_DONE : CLI_INVALID;
}

int
cli_plan (int argc, char **argv)
{
  g_autofree char *model = NULL;
  gboolean json = FALSE;
  GOptionEntry entries[]
      = { { "model", 'm', 0, G_OPTION_ARG_FILENAME, &model, "Learn the first facts from this model", "FILE" },
          { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print what a search would do as JSON", NULL },
          { NULL } };
  int code = cli_parse (&argc, &argv, "plan", "RECIPE",
                        "explain the steps of a recipe and their order, or what a search over it would do", entries,
                        NULL, 1);
  if (code >= 0)
    return code;
  g_autoptr (GError) error = NULL;
  g_autoptr (HtPassRegistry) registry = cli_load_registry ();
  g_autoptr (GPtrArray) diagnostics = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_diagnostic_unref);
  g_autoptr (HtRecipeSpace) space = ht_recipe_space_load (argv[1], registry, diagnostics, &error);
  g_autoptr (HtGraph) graph = NULL;
  if (space == NULL)
    {
      cli_print_diagnostics (diagnostics);
      return cli_fail_recipe (registry, diagnostics, error);
    }
  if (model != NULL)
    {
      graph = ht_graph_load (model, &error);
      if (graph == NULL)
        return cli_fail (error);
      ht_recipe_space_learn_from_graph (space, graph);
    }
  if (json)
    {
      g_autoptr (HtSearchPlan) plan = ht_search_plan_new (space);
      g_autoptr (JsonNode) node = ht_search_plan_to_json (plan);

      cli_print_json (node);
      return ht_search_plan_get_n_legal (plan) > 0 ? CLI_DONE : CLI_INVALID;
    }
  return ht_recipe_space_get_n_axes (space) == 0 ? plan_recipe (space, graph) : plan_search (space, graph, 60);
}
