/* SPDX-License-Identifier: MIT */
/* `explain`: who says how a tensor is quantized, or what came of a combination. */
#include "cli/cli.h"

static HtSimulation *
open_simulation (HtRecipe *recipe, const char *path, GError **error)
{
  g_autoptr (HtGraph) graph = ht_graph_load (path, error);
  g_auto (GStrv) preparation = NULL;

  if (graph == NULL)
    return NULL;
  /* As `run` does before the first step. */
  preparation = ht_graph_prepare (graph, error);
  if (preparation == NULL)
    return NULL;
  return ht_simulation_new (graph, ht_recipe_get_quantization (recipe), error);
}

static gboolean
explain (HtSimulation *simulation, const char *tensor, GError **error)
{
  g_auto (GStrv) lines = ht_simulation_explain_tensor (simulation, tensor, error);

  for (guint i = 0; lines != NULL && lines[i] != NULL; i++)
    if (i == 0)
      g_print ("'%s' %s\n", tensor, lines[i]);
    else
      g_print ("  %s\n", lines[i]);
  return lines != NULL;
}

int
cli_explain (int argc, char **argv)
{
  g_autofree char *model = NULL;
  g_auto (GStrv) tensors = NULL;
  int combination = 0;
  GOptionEntry entries[]
      = { { "tensor", 0, 0, G_OPTION_ARG_STRING_ARRAY, &tensors, "Explain this tensor; may be given several times",
            "NAME" },
          { "combination", 0, 0, G_OPTION_ARG_INT, &combination, "Explain this combination of a search's folder", "N" },
          { "model", 'm', 0, G_OPTION_ARG_FILENAME, &model, "Take this model instead of the recipe's", "FILE" },
          { NULL } };
  int code = cli_parse (&argc, &argv, "explain", "RECIPE|FOLDER",
                        "say who decides how a tensor is quantized, or why a combination lost", entries, NULL, 1);
  if (code >= 0)
    return code;
  if (combination != 0)
    return tensors == NULL
               ? cli_explain_combination (argv[1], combination)
               : cli_usage ("explain", "--tensor is for a recipe, --combination for the folder of a search");
  if (tensors == NULL)
    return cli_usage ("explain", "which tensor? Give --tensor NAME, or --combination N for the folder of a search");
  g_autoptr (GError) error = NULL;
  g_autoptr (HtPassRegistry) registry = cli_load_registry ();
  g_autoptr (GPtrArray) diagnostics = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_diagnostic_unref);
  g_autoptr (HtRecipe) recipe = ht_recipe_load (argv[1], registry, diagnostics, &error);
  cli_print_diagnostics (diagnostics);
  if (recipe == NULL)
    return cli_fail_recipe (registry, diagnostics, error);
  if (model == NULL)
    model = g_strdup (ht_recipe_get_model_path (recipe));
  if (model == NULL)
    return cli_usage ("explain", "the recipe names no model: give one with --model");
  g_autoptr (HtSimulation) simulation = open_simulation (recipe, model, &error);
  if (simulation == NULL)
    return cli_fail (error);
  for (guint i = 0; tensors[i] != NULL; i++)
    if (!explain (simulation, tensors[i], &error))
      return cli_fail (error);
  return CLI_DONE;
}
