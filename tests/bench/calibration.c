/* SPDX-License-Identifier: MIT */
/* Calibration against plain forward passes over the same samples: calibration MODEL DATA SAMPLES BATCH THREADS ROUNDS
 * CALIBRATOR, where DATA is INPUT=FILE.npy[,INPUT=FILE.npy...] and smaller files are gone through again and again. In
 * each round it runs the network over all samples and calibrates a new simulation of 8 bits, weights per channel, on
 * them. Prints the milliseconds of the quickest round of each, of the search for ranges and all that is not a pass over
 * samples, and the peak memory of each beyond the start in mebibytes. */
#include <halftone/halftone.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double
read_status (const char *key)
{
  g_autofree char *text = NULL;
  const char *line = g_file_get_contents ("/proc/self/status", &text, NULL, NULL) ? strstr (text, key) : NULL;
  return line ? g_ascii_strtod (line + strlen (key), NULL) / 1024 : 0;
}

static void
forget_peak (void)
{
  FILE *file = fopen ("/proc/self/clear_refs", "w");
  if (file)
    {
      fputs ("5", file);
      fclose (file);
    }
}

static int
fail (const char *what, const GError *error)
{
  fprintf (stderr, "calibration: %s: %s\n", what, error ? error->message : "");
  return EXIT_FAILURE;
}

/* The rows of an array over and over, until there are `n_samples`. */
static HtTensor *
cycle (HtTensor *array, gsize n_samples, GError **error)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (array, &n_dims);
  gint64 wanted[8] = { 0 };
  gsize row = (gsize)ht_tensor_get_n_elements (array) / (gsize)dims[0] * sizeof (float);

  if (n_dims == 0 || n_dims > 8 || ht_tensor_get_data_type (array) != HT_DATA_TYPE_FLOAT)
    return ht_tensor_ref (array);
  memcpy (wanted, dims, n_dims * sizeof *dims);
  wanted[0] = (gint64)n_samples;
  HtTensor *result = ht_tensor_new (HT_DATA_TYPE_FLOAT, wanted, n_dims, error);
  for (gsize i = 0; result != NULL && i < n_samples; i++)
    memcpy ((char *)ht_tensor_get_writable_data (result) + i * row,
            (const char *)ht_tensor_get_data (array) + i % (gsize)dims[0] * row, row);
  return result;
}

static HtDataset *
open_data (const char *text, gsize n_samples, GError **error)
{
  g_autoptr (HtDataset) dataset = ht_dataset_new ();
  g_auto (GStrv) parts = g_strsplit (text, ",", -1);

  for (char **part = parts; *part != NULL; part++)
    {
      g_auto (GStrv) pair = g_strsplit (*part, "=", 2);
      g_autoptr (HtTensor) array = ht_tensor_load_npy (pair[1], error);
      g_autoptr (HtTensor) cycled = array ? cycle (array, n_samples, error) : NULL;
      if (cycled == NULL || !ht_dataset_add_array (dataset, pair[0], cycled, error))
        return NULL;
    }
  return g_steal_pointer (&dataset);
}

static gboolean
run_plainly (HtExecutor *executor, HtDataset *dataset, guint batch, GError **error)
{
  guint n_samples = ht_dataset_get_n_samples (dataset);

  batch = ht_dataset_get_batch_size (dataset, batch);
  for (guint first = 0; first < n_samples; first += batch)
    {
      g_autoptr (GHashTable) inputs = ht_dataset_get_batch (dataset, first, MIN (batch, n_samples - first), error);
      g_autoptr (GHashTable) results = inputs ? ht_executor_run (executor, inputs, NULL, NULL, error) : NULL;
      if (results == NULL)
        return FALSE;
    }
  return TRUE;
}

typedef struct
{
  gint64 first, last;
} Passes;

static void
note_time (double fraction, const char *text, gpointer user_data)
{
  ((Passes *)user_data)->last = g_get_monotonic_time ();
}

static HtQuantizationConfig *
make_config (const char *calibrator, GError **error)
{
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  GObject *activations = G_OBJECT (ht_quantization_config_get_activations (config));
  GObject *weights = G_OBJECT (ht_quantization_config_get_weights (config));

  if (!ht_object_set_param_string (activations, "calibrator", calibrator, error)
      || !ht_object_set_param_string (weights, "calibrator", calibrator, error)
      || !ht_object_set_param_string (weights, "granularity", "channel", error))
    return NULL;
  return g_steal_pointer (&config);
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  double plain = G_MAXDOUBLE, whole = G_MAXDOUBLE, search = G_MAXDOUBLE, peaks[2] = { 0 };

  if (argc != 8)
    return fail ("expected MODEL DATA SAMPLES BATCH THREADS ROUNDS CALIBRATOR", NULL);
  guint batch = (guint)strtoul (argv[4], NULL, 10);
  ht_set_n_threads ((guint)strtoul (argv[5], NULL, 10));
  g_autoptr (HtGraph) graph = ht_graph_load (argv[1], &error);
  g_autoptr (HtDataset) dataset = graph ? open_data (argv[2], strtoul (argv[3], NULL, 10), &error) : NULL;
  g_autoptr (HtQuantizationConfig) config = dataset ? make_config (argv[7], &error) : NULL;
  if (config == NULL || !ht_dataset_bind (dataset, graph, &error))
    return fail (argv[1], error);
  double before = read_status ("VmRSS:");
  for (gulong round = 0; round < strtoul (argv[6], NULL, 10); round++)
    {
      forget_peak ();
      g_autoptr (HtExecutor) executor = ht_executor_new (graph, &error);
      gint64 start = g_get_monotonic_time ();
      if (executor == NULL || !run_plainly (executor, dataset, batch, &error))
        return fail (argv[1], error);
      plain = MIN (plain, (double)(g_get_monotonic_time () - start) / 1000);
      peaks[0] = MAX (peaks[0], read_status ("VmHWM:") - before);
      g_clear_object (&executor);
      forget_peak ();
      g_autoptr (HtSimulation) simulation = ht_simulation_new (graph, config, &error);
      Passes passes = { 0 };
      start = g_get_monotonic_time ();
      if (simulation == NULL || !ht_simulation_calibrate (simulation, dataset, batch, note_time, &passes, NULL, &error))
        return fail (argv[1], error);
      gint64 end = g_get_monotonic_time ();
      peaks[1] = MAX (peaks[1], read_status ("VmHWM:") - before);
      if ((double)(end - start) / 1000 < whole)
        search = (double)(end - passes.last) / 1000;
      whole = MIN (whole, (double)(end - start) / 1000);
    }
  printf ("%.3f %.3f %.3f %.1f %.1f\n", plain, whole, search, peaks[0], peaks[1]);
  return EXIT_SUCCESS;
}
