/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

static void
print_result (HtRun *run)
{
  g_auto (GStrv) stages = ht_run_list_stages (run);
  g_auto (GStrv) files = ht_run_list_files (run);
  HtMetrics *metrics[8] = { NULL };
  for (guint i = 0; stages[i] != NULL && i < G_N_ELEMENTS (metrics); i++)
    metrics[i] = ht_run_get_metrics (run, stages[i]);
  cli_print_steps (ht_run_get_report (run));
  if (stages[0] != NULL)
    cli_print_metrics ((const char *const *)stages, metrics);
  else
    g_print ("nothing was measured: the recipe has no data\n");
  for (char **file = files; *file != NULL; file++)
    g_print ("wrote %s\n", *file);
}

static void
print_skipped (HtRun *run)
{
  g_auto (GStrv) skipped = ht_simulation_list_skipped (ht_run_get_simulation (run));
  guint n = g_strv_length (skipped);
  if (n > 0)
    g_print ("%u nodes or tensors stay in floating point; the report lists each with the reason\n", n);
}

#define N_WORST 5

typedef struct
{
  HtQuantizer *quantizer;
  double clip_ratio, sqnr;
} Loss;

static gint
compare_losses (gconstpointer a, gconstpointer b)
{
  double first = ((const Loss *)a)->sqnr, second = ((const Loss *)b)->sqnr;
  return first < second ? -1 : first > second;
}

static void
print_worst (HtSimulation *simulation)
{
  g_autoptr (GPtrArray) quantizers = ht_simulation_list_quantizers (simulation);
  g_autoptr (GArray) losses = g_array_new (FALSE, FALSE, sizeof (Loss));
  for (guint i = 0; i < quantizers->len; i++)
    {
      Loss loss = { .quantizer = g_ptr_array_index (quantizers, i) };
      if (ht_simulation_measure_loss (simulation, ht_quantizer_get_tensor (loss.quantizer), &loss.clip_ratio,
                                      &loss.sqnr))
        g_array_append_val (losses, loss);
    }
  if (losses->len == 0)
    return;
  g_array_sort (losses, compare_losses);
  g_print ("noisiest of %u quantized tensors\n", losses->len);
  g_autoptr (GPtrArray) rows = g_ptr_array_new_with_free_func ((GDestroyNotify)g_strfreev);
  for (guint i = 0; i < MIN (losses->len, N_WORST); i++)
    {
      const Loss *loss = &g_array_index (losses, Loss, i);
      char **cells = g_new0 (char *, 5);
      cells[0] = g_strdup_printf ("  %s", ht_quantizer_get_tensor (loss->quantizer));
      cells[1] = g_strdup (ht_quantizer_is_weight (loss->quantizer) ? "weight" : "activation");
      cells[2] = g_strdup_printf ("%.1f dB", loss->sqnr);
      cells[3] = g_strdup_printf ("%.4g %% clipped", 100 * loss->clip_ratio);
      g_ptr_array_add (rows, cells);
    }
  cli_print_table (rows);
}

static void
print_unreached (HtSimulation *simulation)
{
  g_auto (GStrv) names = ht_simulation_list_unreached (simulation);
  for (char **name = names; *name != NULL; name++)
    g_print ("warning: calibration never reached tensor '%s', so it stays in floating point\n", *name);
}

static void
override_data (HtRecipe *recipe, const CliDataOptions *data)
{
  if (data->calibration != NULL)
    ht_recipe_override_data (recipe, HT_DATA_CALIBRATION, data->calibration, NULL);
  if (data->evaluation != NULL)
    ht_recipe_override_data (recipe, HT_DATA_EVALUATION, data->evaluation, data->labels);
  if (data->raw)
    ht_recipe_drop_preprocessing (recipe);
}

/* A recipe, or a lock, of which the recipe is part. */
static HtRun *
open_run (const char *path, HtPassRegistry *registry, GPtrArray *diagnostics, const CliDataOptions *data, HtLock **lock,
          GError **error)
{
  if (ht_lock_is_lock (path))
    {
      *lock = ht_lock_load (path, registry, diagnostics, error);
      return *lock != NULL ? ht_lock_create_run (*lock) : NULL;
    }
  g_autoptr (HtRecipe) recipe = ht_recipe_load (path, registry, diagnostics, error);
  if (recipe == NULL)
    return NULL;
  override_data (recipe, data);
  if (ht_recipe_get_evaluation_command (recipe, NULL) == NULL)
    return ht_run_new (recipe);
  g_set_error_literal (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_NOT_SUPPORTED,
                       "the evaluation of this recipe is a program, which 'halftone search' runs: here, give data to "
                       "measure on with --evaluation");
  return NULL;
}

static int
judge_replay (HtLock *lock, HtRun *run)
{
  g_autoptr (GError) error = NULL;
  gboolean same;
  g_auto (GStrv) lines = ht_lock_compare (lock, run, &same, &error);
  if (lines == NULL)
    return cli_fail (error);
  for (char **line = lines; *line != NULL; line++)
    g_printerr ("%s: %s\n", same ? "note" : "halftone: differs from the lock", *line);
  g_printerr ("%s\n",
              same ? "the result is the locked one, byte for byte" : "halftone: the result is not the locked one");
  return same ? CLI_DONE : CLI_FAILED;
}

int
cli_run (int argc, char **argv)
{
  g_autofree char *model = NULL, *output = NULL, *memory = NULL;
  g_auto (CliDataOptions) data = { NULL };
  guint64 budget;
  gboolean json = FALSE, fresh = FALSE;
  int threads = 0;
  GOptionEntry entries[]
      = { { "model", 'm', 0, G_OPTION_ARG_FILENAME, &model, "Take this model instead of the recipe's", "FILE" },
          { "output", 'o', 0, G_OPTION_ARG_FILENAME, &output, "Write to this folder instead of the recipe's",
            "FOLDER" },
          { "memory", 0, 0, G_OPTION_ARG_STRING, &memory,
            "Take smaller batches, and keep activations in files, where this would be exceeded", "SIZE" },
          { "fresh", 0, 0, G_OPTION_ARG_NONE, &fresh, "Take up nothing of a run that was interrupted", NULL },
          { "threads", 't', 0, G_OPTION_ARG_INT, &threads, "Number of threads", "N" },
          { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print the report as JSON", NULL },
          { NULL } };
  int code = cli_parse (&argc, &argv, "run", "RECIPE", "quantize a network as a recipe says", entries,
                        cli_data_options_group (&data), 1);
  if (code < 0)
    code = cli_set_threads ("run", threads);
  if (code < 0)
    code = cli_data_options_check (&data, "run");
  if (code < 0)
    code = cli_read_memory ("run", memory, &budget);
  if (code >= 0)
    return code;
  if ((data.calibration != NULL || data.evaluation != NULL || data.raw) && ht_lock_is_lock (argv[1]))
    return cli_usage ("run", "a lock names its data: run the recipe to take others");
  g_autoptr (GError) error = NULL;
  GCancellable *cancellable = cli_watch_interrupts ();
  g_autoptr (HtPassRegistry) registry = cli_load_registry ();
  g_autoptr (GPtrArray) diagnostics = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_diagnostic_unref);
  g_autoptr (HtLock) lock = NULL;
  g_autoptr (HtRun) run = open_run (argv[1], registry, diagnostics, &data, &lock, &error);
  cli_print_diagnostics (diagnostics);
  if (run == NULL)
    return cli_fail_recipe (registry, diagnostics, error);
  if (model != NULL)
    ht_run_set_model_path (run, model);
  if (output != NULL)
    ht_run_set_output_folder (run, output);
  if (memory != NULL)
    ht_run_set_memory_budget (run, budget);
  ht_run_set_fresh (run, fresh);
  CliProgress *progress = cli_progress_new ();
  ht_run_set_progress (run, cli_progress_update, progress, NULL);
  gboolean done = ht_run_execute (run, cancellable, &error);
  cli_progress_free (progress);
  ht_run_set_progress (run, NULL, NULL, NULL);
  if (!done)
    {
      g_autofree char *kept = ht_run_find_kept_work (run);
      code = cli_fail (error);
      if (kept != NULL)
        g_printerr ("halftone: what was finished is kept in '%s'; the same command goes on from there\n", kept);
      return code;
    }
  if (json)
    cli_print_json (ht_run_get_report (run));
  else
    {
      print_result (run);
      print_worst (ht_run_get_simulation (run));
      print_unreached (ht_run_get_simulation (run));
      print_skipped (run);
    }
  return lock != NULL ? judge_replay (lock, run) : CLI_DONE;
}
