/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#include <math.h>

typedef struct
{
  char **data;
  char *runtime;
  int samples, batch;
  HtPreprocess *preprocess;
} Options;

static gboolean
read_runtime (const char *text, HtVerificationRuntime *runtime, GError **error)
{
  static const char *const words[] = { "auto", "onnxruntime", "own", NULL };
  for (guint i = 0; words[i] != NULL; i++)
    if (text == NULL || g_str_equal (text, words[i]))
      {
        *runtime = (HtVerificationRuntime)i;
        return TRUE;
      }
  const char *nearest = ht_suggest (text, words);
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
               "--runtime is '%s', expected 'auto', 'onnxruntime' or 'own'%s%s%s", text,
               nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
  return FALSE;
}

/* The files of --data, or what the run was evaluated or calibrated on. */
static HtDataset *
open_data (const Options *options, HtRecipe *recipe, GError **error)
{
  static const HtDataRole roles[] = { HT_DATA_EVALUATION, HT_DATA_CALIBRATION };
  g_autoptr (HtDataset) dataset = NULL;
  if (options->data != NULL)
    {
      dataset = ht_dataset_new ();
      ht_dataset_set_preprocess (dataset, options->preprocess);
      if (!cli_add_data (dataset, options->data, error))
        return NULL;
      return g_steal_pointer (&dataset);
    }
  for (guint i = 0; i < G_N_ELEMENTS (roles); i++)
    {
      if (!ht_recipe_has_data (recipe, roles[i]))
        continue;
      dataset = ht_recipe_open_data (recipe, roles[i], error);
      if (dataset == NULL)
        g_prefix_error (error, "the data of the run cannot be opened, give other samples with --data: ");
      return g_steal_pointer (&dataset);
    }
  g_set_error_literal (error, HT_ERROR, HT_ERROR_NOT_FOUND, "the run had no data: give samples with --data");
  return NULL;
}

static HtVerification *
verify (const char *folder, const Options *options, GError **error)
{
  GCancellable *cancellable = cli_watch_interrupts ();
  HtVerificationRuntime runtime;
  if (!read_runtime (options->runtime, &runtime, error))
    return NULL;
  g_autoptr (HtRunOutput) output = ht_run_output_open (folder, error);
  g_autofree char *path = output != NULL ? ht_run_output_find_file (output, "onnx-qdq", error) : NULL;
  g_autoptr (HtDataset) dataset = path != NULL ? open_data (options, ht_run_output_get_recipe (output), error) : NULL;
  if (dataset == NULL)
    return NULL;
  HtSimulation *simulation = ht_run_output_get_simulation (output);
  ht_dataset_set_limit (dataset, (guint)options->samples);
  if (!ht_dataset_bind (dataset, ht_simulation_get_graph (simulation), error))
    return NULL;
  g_autoptr (HtVerification) verification = ht_verification_new (simulation, path, runtime, error);
  g_autoptr (CliProgress) progress = cli_progress_new ();
  if (verification == NULL
      || !ht_verification_run (verification, dataset, (guint)options->batch, cli_progress_update, progress, cancellable,
                               error))
    return NULL;
  return g_steal_pointer (&verification);
}

static char *
format_steps (double steps)
{
  return isnan (steps) ? g_strdup ("-") : g_strdup_printf (steps >= 100 ? "%.0f" : "%.3g", steps);
}

static void
add_row (GPtrArray *rows, HtVerifiedTensor *tensor)
{
  const char *problem = ht_verified_tensor_get_problem (tensor);
  char **cells = g_new0 (char *, 8);
  cells[0] = g_strdup (ht_verified_tensor_get_name (tensor));
  cells[1] = g_strdup (ht_verified_tensor_get_layer (tensor));
  cells[2] = format_steps (ht_verified_tensor_get_maximum (tensor));
  cells[3] = format_steps (ht_verified_tensor_get_mean (tensor));
  cells[4] = format_steps (ht_verified_tensor_get_whole_maximum (tensor));
  cells[5] = format_steps (ht_verified_tensor_get_whole_mean (tensor));
  cells[6] = g_strdup (problem != NULL ? problem : ht_verified_tensor_agrees (tensor) ? "" : "differs");
  g_ptr_array_add (rows, cells);
}

/* Constants that are as they should be are only counted. */
static void
print_tensors (HtVerification *verification)
{
  static const char *const head[] = { "tensor", "layer", "max steps", "mean", "whole max", "whole mean", "", NULL };
  g_autoptr (GPtrArray) tensors = ht_verification_list_tensors (verification);
  g_autoptr (GPtrArray) rows = g_ptr_array_new_with_free_func ((GDestroyNotify)g_strfreev);
  guint n_constants = 0;
  g_ptr_array_add (rows, g_strdupv ((char **)head));
  for (guint i = 0; i < tensors->len; i++)
    {
      HtVerifiedTensor *tensor = g_ptr_array_index (tensors, i);
      if (ht_verified_tensor_is_constant (tensor) && ht_verified_tensor_agrees (tensor))
        n_constants++;
      else
        add_row (rows, tensor);
    }
  if (rows->len > 1)
    cli_print_table (rows);
  if (n_constants > 0)
    g_print ("%u weights and biases are those of the simulation\n", n_constants);
}

static void
print_outputs (HtVerification *verification, gboolean optimized, const char *how)
{
  double same = ht_verification_get_agreement (verification, optimized);
  double difference = ht_verification_get_output_difference (verification, optimized);
  if (isnan (difference))
    return;
  if (isnan (same))
    g_print ("outputs %s: at most %.3g off\n", how, difference);
  else
    g_print ("outputs %s: the same class on %.2f %%, at most %.3g off\n", how, 100 * same, difference);
}

static void
print_verdict (HtVerification *verification)
{
  HtVerifiedTensor *first = ht_verification_get_first_difference (verification);
  if (ht_verification_agrees (verification))
    g_print ("the file does what the simulation does\n");
  else if (first == NULL)
    g_print ("every layer does what the simulation does, but the outputs choose differently too often\n");
  else if (ht_verified_tensor_get_problem (first) != NULL)
    g_print ("first difference: tensor '%s' of %s: %s\n", ht_verified_tensor_get_name (first),
             ht_verified_tensor_get_layer (first), ht_verified_tensor_get_problem (first));
  else
    {
      g_autofree char *steps = format_steps (ht_verified_tensor_get_maximum (first));
      g_print ("first difference: tensor '%s' of %s is up to %s steps off\n", ht_verified_tensor_get_name (first),
               ht_verified_tensor_get_layer (first), steps);
    }
}

static void
print_all (HtVerification *verification, const Options *options)
{
  print_tensors (verification);
  g_print ("%u samples, run by %s\n", ht_verification_get_n_samples (verification),
           ht_verification_get_runtime (verification));
  if (isnan (ht_verification_get_output_difference (verification, TRUE)) && g_strcmp0 (options->runtime, "own") != 0)
    g_print ("onnxruntime was not found; HALFTONE_ONNXRUNTIME may name its library\n");
  print_outputs (verification, FALSE, "without graph optimizations");
  print_outputs (verification, TRUE, "with onnxruntime's default optimizations");
  print_verdict (verification);
}

int
cli_verify (int argc, char **argv)
{
  g_auto (GStrv) data = NULL;
  g_autofree char *runtime = NULL;
  gboolean json = FALSE;
  int samples = 64, batch = 0, threads = 0;
  g_autoptr (HtPreprocess) preprocess = ht_preprocess_new ();
  GOptionEntry entries[]
      = { { "data", 'd', 0, G_OPTION_ARG_STRING_ARRAY, &data, "Samples, for one input or for INPUT; default: the run's",
            "[INPUT=]FILE" },
          { "samples", 'n', 0, G_OPTION_ARG_INT, &samples, "Use only the first N samples (64; 0: all)", "N" },
          { "batch", 'b', 0, G_OPTION_ARG_INT, &batch, "Samples at a time", "N" },
          { "runtime", 'r', 0, G_OPTION_ARG_STRING, &runtime, "Who runs the file: auto, onnxruntime or own", "NAME" },
          { "threads", 't', 0, G_OPTION_ARG_INT, &threads, "Number of threads", "N" },
          { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print the comparison as JSON", NULL },
          { NULL } };
  int code = cli_parse (&argc, &argv, "verify", "OUT", "run an exported file and compare it with the simulation",
                        entries, cli_preprocess_group (preprocess), 1);
  if (code < 0)
    code = cli_set_threads ("verify", threads);
  if (code >= 0)
    return code;
  if (batch < 0 || samples < 0)
    return cli_usage ("verify", "--batch and --samples must be positive");
  g_autoptr (GError) error = NULL;
  Options options = { data, runtime, samples, batch, preprocess };
  g_autoptr (HtVerification) verification = verify (argv[1], &options, &error);
  if (verification == NULL)
    return cli_fail (error);
  if (json)
    {
      g_autoptr (JsonNode) node = ht_verification_to_json (verification);
      cli_print_json (node);
    }
  else
    print_all (verification, &options);
  return ht_verification_agrees (verification) ? CLI_DONE : CLI_FAILED;
}
