/* SPDX-License-Identifier: MIT */
/* `compare`: two models, runs or searches, sample by sample on the same data. */
#include "cli/cli.h"

#include <json-glib/json-glib.h>
#include <math.h>

/* One of the two: a folder that a run or a search wrote, or a network. */
typedef struct
{
  const char *name;
  HtRunOutput *output; /* NULL: a network alone */
  HtGraph *graph;      /* a network alone */
  JsonNode *report;
  HtExecutor *executor;
} Side;

static void
side_clear (Side *self)
{
  g_clear_object (&self->output);
  g_clear_object (&self->graph);
  g_clear_object (&self->executor);
  g_clear_pointer (&self->report, json_node_unref);
}

/* A string below the report's root, or NULL. ht_run_output_open() has read the file: its root is an object. */
static const char *
find_string (JsonNode *report, const char *first, const char *second, const char *third)
{
  const char *names[] = { first, second, third };
  JsonNode *node = report;
  for (guint i = 0; i < G_N_ELEMENTS (names) && names[i] != NULL && node != NULL; i++)
    node = JSON_NODE_HOLDS_OBJECT (node) ? json_object_get_member (json_node_get_object (node), names[i]) : NULL;
  return node != NULL && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING
             ? json_node_get_string (node)
             : NULL;
}

static gboolean
open_folder (Side *self, GError **error)
{
  g_autofree char *best = g_build_filename (self->name, "best", NULL);
  g_autofree char *best_report = g_build_filename (best, "report.json", NULL);
  const char *folder = g_file_test (best_report, G_FILE_TEST_IS_REGULAR) ? best : self->name;
  g_autofree char *path = g_build_filename (folder, "report.json", NULL);
  g_autoptr (JsonParser) parser = json_parser_new ();
  self->output = ht_run_output_open (folder, error);
  if (self->output == NULL || !json_parser_load_from_file (parser, path, error))
    return FALSE;
  self->report = json_parser_steal_root (parser);
  self->executor = ht_simulation_create_executor (ht_run_output_get_simulation (self->output), error);
  return self->executor != NULL;
}

static gboolean
open_side (Side *self, GError **error)
{
  if (g_file_test (self->name, G_FILE_TEST_IS_DIR))
    return open_folder (self, error);
  self->graph = ht_graph_load (self->name, error);
  if (self->graph == NULL || !ht_graph_infer_shapes (self->graph, error))
    return FALSE;
  ht_graph_seal (self->graph);
  self->executor = ht_executor_new (self->graph, error);
  return self->executor != NULL;
}

static gboolean
fail_data (GError **error, const char *message)
{
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "%s; give both the same samples with --data and --labels",
               message);
  return FALSE;
}

/* The evaluation set of the runs, where it is the same one and has not changed since. */
static HtDataset *
open_own_data (Side *sides, GError **error)
{
  const char *hashes[2];
  for (guint i = 0; i < 2; i++)
    {
      hashes[i] = sides[i].report != NULL ? find_string (sides[i].report, "data", "evaluation", "sha256") : NULL;
      g_autofree char *message = g_strdup_printf ("'%s' names no evaluation data to compare on", sides[i].name);
      if (hashes[i] == NULL && !fail_data (error, message))
        return NULL;
    }
  if (!g_str_equal (hashes[0], hashes[1]))
    {
      g_autofree char *message = g_strdup_printf (
          "'%s' was measured on other data than '%s': found samples with SHA-256 %.16s… and %.16s…, expected "
          "the same",
          sides[0].name, sides[1].name, hashes[0], hashes[1]);
      fail_data (error, message);
      return NULL;
    }
  g_autoptr (HtDataset) dataset
      = ht_recipe_open_data (ht_run_output_get_recipe (sides[0].output), HT_DATA_EVALUATION, error);
  if (dataset == NULL || !ht_dataset_bind (dataset, ht_executor_get_graph (sides[0].executor), error))
    return NULL;
  g_autofree char *hash = ht_dataset_hash (dataset, error);
  if (hash == NULL)
    return NULL;
  if (g_str_equal (hash, hashes[0]))
    return g_steal_pointer (&dataset);
  fail_data (error, "the evaluation data of the runs are not what they were: the file has changed since");
  return NULL;
}

/* The network that both started from, for the distances; NULL: it is not known, or there are two. */
static HtExecutor *
open_reference (Side *sides, const char *path)
{
  const char *hashes[2] = { NULL, NULL };
  for (guint i = 0; i < 2 && path == NULL; i++)
    hashes[i] = sides[i].report != NULL ? find_string (sides[i].report, "model", "prepared-sha256", NULL) : NULL;
  if (path == NULL && hashes[0] != NULL && g_strcmp0 (hashes[0], hashes[1]) == 0)
    path = ht_recipe_get_model_path (ht_run_output_get_recipe (sides[0].output));
  g_autoptr (HtGraph) graph = path != NULL ? ht_graph_load (path, NULL) : NULL;
  g_auto (GStrv) preparation = graph != NULL ? ht_graph_prepare (graph, NULL) : NULL;
  if (preparation == NULL)
    return NULL;
  g_autofree char *hash = ht_graph_hash (graph);
  ht_graph_seal (graph);
  return hashes[0] == NULL || g_str_equal (hash, hashes[0]) ? ht_executor_new (graph, NULL) : NULL;
}

typedef struct
{
  const char *name, *head;
  double factor;
  gboolean less_is_better;
} Metric;

static const Metric shown[] = {
  { "top1", "top-1 %", 100, FALSE },  { "top5", "top-5 %", 100, FALSE }, { "agreement", "same class %", 100, FALSE },
  { "kl", "KL divergence", 1, TRUE }, { "sqnr", "SQNR dB", 1, FALSE },   { "cosine", "cosine", 1, FALSE }
};

static const char *
judge (const Metric *metric, double low, double high)
{
  if (!(low > 0) && !(high < 0))
    return "not told apart";
  return (low > 0) != metric->less_is_better ? "second is better" : "first is better";
}

static void
print_comparison (HtMetrics *a, HtMetrics *b)
{
  static const char *const head[] = { "metric", "first", "second", "difference (95 %)", "", NULL };
  g_autoptr (GPtrArray) rows = g_ptr_array_new_with_free_func ((GDestroyNotify)g_strfreev);
  g_ptr_array_add (rows, g_strdupv ((char **)head));
  for (guint i = 0; i < G_N_ELEMENTS (shown); i++)
    {
      double difference, low, high, factor = shown[i].factor;
      if (!ht_metrics_compare (a, b, shown[i].name, 0.95, &difference, &low, &high))
        continue;
      char **cells = g_new0 (char *, 6);
      cells[0] = g_strdup (shown[i].head);
      cells[1] = g_strdup_printf ("%.4g", factor * ht_metrics_get (a, shown[i].name));
      cells[2] = g_strdup_printf ("%.4g", factor * ht_metrics_get (b, shown[i].name));
      cells[3] = g_strdup_printf ("%+.4g (%+.4g … %+.4g)", factor * difference, factor * low, factor * high);
      cells[4] = g_strdup (judge (&shown[i], low, high));
      g_ptr_array_add (rows, cells);
    }
  cli_print_table (rows);
}

static void
set_number (JsonObject *object, const char *name, double value)
{
  if (isfinite (value))
    json_object_set_double_member (object, name, value);
  else
    json_object_set_null_member (object, name);
}

static void
print_json (Side *sides, HtMetrics *a, HtMetrics *b)
{
  g_autoptr (JsonNode) root = json_node_new (JSON_NODE_OBJECT);
  JsonObject *object = json_object_new (), *differences = json_object_new ();
  json_node_take_object (root, object);
  json_object_set_string_member (object, "first", sides[0].name);
  json_object_set_string_member (object, "second", sides[1].name);
  json_object_set_member (object, "first-metrics", ht_metrics_to_json (a));
  json_object_set_member (object, "second-metrics", ht_metrics_to_json (b));
  json_object_set_object_member (object, "differences", differences);
  for (guint i = 0; i < G_N_ELEMENTS (shown); i++)
    {
      double difference, low, high;
      if (!ht_metrics_compare (a, b, shown[i].name, 0.95, &difference, &low, &high))
        continue;
      JsonObject *entry = json_object_new ();
      set_number (entry, "difference", difference);
      set_number (entry, "low", low);
      set_number (entry, "high", high);
      json_object_set_string_member (entry, "verdict", judge (&shown[i], low, high));
      json_object_set_object_member (differences, shown[i].name, entry);
    }
  cli_print_json (root);
}

/* `given` is the data of the command line, or NULL. */
static int
compare (Side *sides, HtDataset *given, const char *reference_path, guint batch, gboolean json)
{
  g_autoptr (GError) error = NULL;
  GCancellable *cancellable = cli_watch_interrupts ();
  if (!open_side (&sides[0], &error) || !open_side (&sides[1], &error))
    return cli_fail (error);
  g_autoptr (HtDataset) dataset = given != NULL ? g_object_ref (given) : open_own_data (sides, &error);
  if (dataset == NULL)
    return cli_fail (error);
  for (guint i = 0; i < 2; i++)
    if (!ht_dataset_bind (dataset, ht_executor_get_graph (sides[i].executor), &error))
      return cli_fail (error);
  g_autoptr (HtExecutor) reference = open_reference (sides, reference_path);
  if (reference == NULL && reference_path != NULL)
    return cli_usage ("compare", "--reference '%s' cannot be read as a network", reference_path);
  if (reference == NULL && ht_dataset_get_labels (dataset) == NULL)
    return cli_usage ("compare",
                      "nothing to compare by: the data have no labels, and no floating-point network is known; "
                      "give --labels or --reference");
  g_autoptr (CliProgress) progress = cli_progress_new ();
  g_autoptr (HtMetrics) a
      = ht_evaluate (sides[0].executor, reference, dataset, batch, cli_progress_update, progress, cancellable, &error);
  g_autoptr (HtMetrics) b = a != NULL ? ht_evaluate (sides[1].executor, reference, dataset, batch, cli_progress_update,
                                                     progress, cancellable, &error)
                                      : NULL;
  g_clear_pointer (&progress, cli_progress_free);
  if (b == NULL)
    return cli_fail (error);
  if (json)
    print_json (sides, a, b);
  else
    {
      g_print ("first: %s\nsecond: %s\n%u samples, compared in pairs\n", sides[0].name, sides[1].name,
               ht_metrics_get_n_samples (a));
      print_comparison (a, b);
      if (reference == NULL)
        g_print ("no floating-point network that both started from is known: give --reference for distances to it\n");
    }
  return CLI_DONE;
}

int
cli_compare (int argc, char **argv)
{
  g_auto (GStrv) data = NULL;
  g_autofree char *labels = NULL, *reference = NULL;
  gboolean json = FALSE;
  int batch = 0, samples = 0, threads = 0;
  g_autoptr (HtPreprocess) preprocess = ht_preprocess_new ();
  GOptionEntry entries[]
      = { { "data", 'd', 0, G_OPTION_ARG_STRING_ARRAY, &data, "Samples, instead of the runs' evaluation set",
            "[INPUT=]FILE" },
          { "labels", 'l', 0, G_OPTION_ARG_FILENAME, &labels, "The class of each sample", "FILE" },
          { "reference", 'r', 0, G_OPTION_ARG_FILENAME, &reference,
            "The floating-point network to measure distances to", "FILE" },
          { "batch", 'b', 0, G_OPTION_ARG_INT, &batch, "Samples at a time", "N" },
          { "samples", 'n', 0, G_OPTION_ARG_INT, &samples, "Use only the first N samples of --data", "N" },
          { "threads", 't', 0, G_OPTION_ARG_INT, &threads, "Number of threads", "N" },
          { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print the comparison as JSON", NULL },
          { NULL } };
  int code
      = cli_parse (&argc, &argv, "compare", "FIRST SECOND", "compare two models, runs or searches on the same samples",
                   entries, cli_preprocess_group (preprocess), 2);
  if (code < 0)
    code = cli_set_threads ("compare", threads);
  if (code >= 0)
    return code;
  if (batch < 0 || samples < 0)
    return cli_usage ("compare", "--batch and --samples must be positive");
  if (data == NULL && (labels != NULL || samples > 0))
    return cli_usage ("compare", "--labels and --samples need --data");
  g_autoptr (GError) error = NULL;
  g_autoptr (HtDataset) dataset = data != NULL ? ht_dataset_new () : NULL;
  if (dataset != NULL)
    {
      ht_dataset_set_preprocess (dataset, preprocess);
      ht_dataset_set_limit (dataset, (guint)samples);
      if (!cli_add_data (dataset, data, &error)
          || (labels != NULL && !ht_dataset_set_labels_file (dataset, labels, &error)))
        return cli_fail (error);
    }
  Side sides[2] = { { argv[1] }, { argv[2] } };
  code = compare (sides, dataset, reference, (guint)batch, json);
  side_clear (&sides[0]);
  side_clear (&sides[1]);
  return code;
}
