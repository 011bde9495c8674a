/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#include <string.h>

/* A figure from weights that are no numbers would be a figure of nothing. */
static gboolean
check_parameters (HtGraph *graph, GError **error)
{
  g_autoptr (GPtrArray) findings = ht_graph_validate (graph, error);
  for (guint i = 0; findings != NULL && i < findings->len; i++)
    {
      HtFinding *finding = g_ptr_array_index (findings, i);
      if (!g_str_equal (ht_finding_get_kind (finding), "not-finite"))
        continue;
      g_set_error (error, HT_ERROR, HT_ERROR_NUMERIC, "%s: %s", ht_finding_get_message (finding),
                   ht_finding_get_remedy (finding));
      return FALSE;
    }
  return findings != NULL;
}

static guint
choose_batch (HtExecutor *executor, HtDataset *dataset, guint batch, guint64 memory, GError **error)
{
  g_autoptr (GHashTable) sample = memory > 0 ? ht_dataset_get_batch (dataset, 0, 1, error) : NULL;

  batch = ht_dataset_get_batch_size (dataset, batch);
  if (memory == 0)
    return batch;
  return sample ? cli_choose_batch (executor, sample, batch, memory, NULL, error) : 0;
}

/* What --parts names: one kind of quantizers, one layer's, or all but one layer's. */
static HtSimulationParts *
choose_parts (HtSimulation *simulation, const char *text, GError **error)
{
  static const char layer[] = "layer:", rest[] = "all-but:";
  static const char *const words[] = { "weights", "activations", layer, rest, NULL };
  HtQuantizerKinds kinds = 0;
  const char *name = NULL;
  if (g_str_equal (text, "weights"))
    kinds = HT_QUANTIZERS_WEIGHTS;
  else if (g_str_equal (text, "activations"))
    kinds = HT_QUANTIZERS_ACTIVATIONS;
  else if (g_str_has_prefix (text, layer))
    name = text + strlen (layer);
  else if (g_str_has_prefix (text, rest))
    {
      kinds = HT_QUANTIZERS_ALL;
      name = text + strlen (rest);
    }
  else
    {
      const char *nearest = ht_suggest (text, words);
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                   "--parts is '%s', expected 'weights', 'activations', 'layer:NAME' or 'all-but:NAME'%s%s%s", text,
                   nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
      return NULL;
    }
  g_autoptr (HtSimulationParts) parts = ht_simulation_parts_new (simulation, kinds);
  if (name != NULL && !ht_simulation_parts_switch_layer (parts, name, HT_QUANTIZERS_ALL, kinds == 0, error))
    return NULL;
  return g_steal_pointer (&parts);
}

static HtExecutor *
open_executor (HtGraph *graph, const char *encodings, const char *choice, const char *arithmetic, GError **error)
{
  if (encodings == NULL || choice == NULL)
    return cli_open_executor (graph, encodings, arithmetic, error);
  g_autoptr (HtSimulation) simulation = cli_open_simulation (graph, encodings, arithmetic, error);
  g_autoptr (HtSimulationParts) parts = simulation != NULL ? choose_parts (simulation, choice, error) : NULL;
  return parts != NULL ? ht_simulation_parts_create_executor (parts, error) : NULL;
}

static HtMetrics *
measure (const char *model, const char *encodings, const char *parts, const char *arithmetic, HtDataset *dataset,
         guint batch, guint64 memory, GError **error)
{
  GCancellable *cancellable = cli_watch_interrupts ();
  g_autoptr (HtGraph) graph = ht_graph_load (model, error);
  if (graph == NULL || !ht_graph_infer_shapes (graph, error) || !ht_dataset_bind (dataset, graph, error)
      || !check_parameters (graph, error))
    return NULL;
  HtTensor *labels = ht_dataset_get_labels (dataset);
  if (labels == NULL && encodings == NULL)
    {
      g_set_error_literal (
          error, HT_ERROR, HT_ERROR_NOT_FOUND,
          "nothing to measure: the data has no labels; give --labels, or --encodings to compare with the "
          "network itself");
      return NULL;
    }
  ht_graph_seal (graph);
  g_autoptr (HtExecutor) executor = open_executor (graph, encodings, parts, arithmetic, error);
  g_autoptr (HtExecutor) reference = executor != NULL && encodings != NULL ? ht_executor_new (graph, error) : NULL;
  if (executor == NULL || (encodings != NULL && reference == NULL))
    return NULL;
  batch = choose_batch (executor, dataset, batch, memory, error);
  if (batch == 0)
    return NULL;
  g_autoptr (CliProgress) progress = cli_progress_new ();
  return ht_evaluate (executor, reference, dataset, batch, cli_progress_update, progress, cancellable, error);
}

int
cli_eval (int argc, char **argv)
{
  g_auto (GStrv) data = NULL;
  g_autofree char *labels = NULL, *encodings = NULL, *parts = NULL, *arithmetic = NULL, *memory = NULL;
  guint64 budget;
  gboolean json = FALSE;
  int batch = 0, samples = 0, threads = 0;
  g_autoptr (HtPreprocess) preprocess = ht_preprocess_new ();
  GOptionEntry entries[]
      = { { "data", 'd', 0, G_OPTION_ARG_STRING_ARRAY, &data, "Samples, for one input or for INPUT", "[INPUT=]FILE" },
          { "labels", 'l', 0, G_OPTION_ARG_FILENAME, &labels, "The class of each sample", "FILE" },
          { "encodings", 'e', 0, G_OPTION_ARG_FILENAME, &encodings, "Measure the simulation with these encodings",
            "FILE" },
          { "parts", 'p', 0, G_OPTION_ARG_STRING, &parts,
            "Quantize only this: weights, activations, layer:NAME or all-but:NAME", "PARTS" },
          { "arithmetic", 0, 0, G_OPTION_ARG_STRING, &arithmetic, CLI_ARITHMETIC_HELP, "WHOSE" },
          { "batch", 'b', 0, G_OPTION_ARG_INT, &batch, "Samples at a time", "N" },
          { "memory", 0, 0, G_OPTION_ARG_STRING, &memory, "Take smaller batches where this would be exceeded", "SIZE" },
          { "samples", 'n', 0, G_OPTION_ARG_INT, &samples, "Use only the first N samples", "N" },
          { "threads", 't', 0, G_OPTION_ARG_INT, &threads, "Number of threads", "N" },
          { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print the metrics as JSON", NULL },
          { NULL } };
  int code = cli_parse (&argc, &argv, "eval", "MODEL", "measure a network or its simulation on data", entries,
                        cli_preprocess_group (preprocess), 1);
  if (code < 0)
    code = cli_set_threads ("eval", threads);
  if (code < 0)
    code = cli_read_memory ("eval", memory, &budget);
  if (code < 0)
    code = cli_check_arithmetic ("eval", arithmetic);
  if (code >= 0)
    return code;
  if (data == NULL)
    return cli_usage ("eval", "--data is missing");
  if (batch < 0 || samples < 0)
    return cli_usage ("eval", "--batch and --samples must be positive");
  if (parts != NULL && encodings == NULL)
    return cli_usage ("eval", "--parts needs --encodings");
  if (arithmetic != NULL && encodings == NULL)
    return cli_usage ("eval", "--arithmetic needs --encodings");
  if (labels == NULL && encodings == NULL && !g_str_has_suffix (data[0], ".npz"))
    return cli_usage ("eval", "nothing to measure: give --labels, or --encodings to compare with the network itself");
  g_autoptr (GError) error = NULL;
  g_autoptr (HtDataset) dataset = ht_dataset_new ();
  ht_dataset_set_preprocess (dataset, preprocess);
  ht_dataset_set_limit (dataset, (guint)samples);
  if (!cli_add_data (dataset, data, &error)
      || (labels != NULL && !ht_dataset_set_labels_file (dataset, labels, &error)))
    return cli_fail (error);
  g_autoptr (HtMetrics) metrics = measure (argv[1], encodings, parts, arithmetic, dataset, (guint)batch, budget, &error);
  if (metrics == NULL)
    return cli_fail (error);
  if (json)
    {
      g_autoptr (JsonNode) node = ht_metrics_to_json (metrics);
      cli_print_json (node);
      return CLI_DONE;
    }
  const char *stages[] = { encodings != NULL ? "simulation" : "float", NULL };
  cli_print_metrics (stages, &metrics);
  return CLI_DONE;
}
