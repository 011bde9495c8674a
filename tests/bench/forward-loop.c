/* SPDX-License-Identifier: MIT */
/* Runs a network, or with encodings its simulation, again and again, for forward.py and simulated.py: forward-loop
 * MODEL BATCH THREADS [ENCODINGS]. For each line of standard input, a number of seconds, it runs that long and prints
 * the milliseconds of the quickest run, the peak memory beyond the start in mebibytes, and the same without what
 * opening the network took on the way. A run is all of ht_executor_run(): checks, the outputs' allocation and release.
 */
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

/* What forward.py gives the other side: about normal numbers, 16000 for integers, 576 samples of a sequence. */
static HtTensor *
make_input (HtGraph *graph, const char *name, gint64 batch, GError **error)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (1);
  HtShape *shape = ht_graph_get_shape (graph, name);
  gint64 dims[8] = { 0 };
  guint n_dims = shape ? MIN (ht_shape_get_n_dims (shape), 8) : 0;

  for (guint i = 0; i < n_dims; i++)
    {
      gint64 dim = ht_shape_get_dim (shape, i);
      dims[i] = dim >= 0 ? dim : g_strcmp0 (ht_shape_get_symbol (shape, i), "sequence") == 0 ? 576 : batch;
    }
  HtTensor *tensor = ht_tensor_new (ht_graph_get_data_type (graph, name), dims, n_dims, error);
  if (tensor == NULL)
    return NULL;
  gpointer data = ht_tensor_get_writable_data (tensor);
  for (gsize i = 0; i < ht_tensor_get_n_elements (tensor); i++)
    if (ht_tensor_get_data_type (tensor) == HT_DATA_TYPE_INT64)
      ((gint64 *)data)[i] = 16000;
    else
      ((float *)data)[i]
          = (float)(g_rand_double (random) + g_rand_double (random) + g_rand_double (random) - 1.5) * 2.0f;
  return tensor;
}

static int
fail (const char *what, GError *error)
{
  fprintf (stderr, "forward-loop: %s: %s\n", what, error ? error->message : "");
  return EXIT_FAILURE;
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

static HtExecutor *
simulate (HtGraph *graph, const char *encodings, GError **error)
{
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  g_autoptr (HtSimulation) simulation = ht_simulation_new (graph, config, error);
  if (simulation == NULL || !ht_simulation_load_encodings (simulation, encodings, TRUE, error))
    return NULL;
  return ht_simulation_create_executor (simulation, error);
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GHashTable) inputs
      = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)ht_tensor_unref);
  double before = read_status ("VmRSS:"), opening;
  char line[64];

  if (argc != 4 && argc != 5)
    return fail ("expected MODEL BATCH THREADS [ENCODINGS]", NULL);
  ht_set_n_threads ((guint)strtoul (argv[3], NULL, 10));
  g_autoptr (HtGraph) graph = ht_graph_load (argv[1], &error);
  if (graph == NULL)
    return fail (argv[1], error);
  opening = read_status ("VmHWM:") - before;
  forget_peak ();
  g_autoptr (HtExecutor) executor = argc > 4 ? simulate (graph, argv[4], &error) : ht_executor_new (graph, &error);
  if (executor == NULL)
    return fail (argv[1], error);
  for (const char *const *name = ht_graph_get_inputs (graph); name && *name; name++)
    {
      HtTensor *tensor = make_input (graph, *name, g_ascii_strtoll (argv[2], NULL, 10), &error);
      if (tensor == NULL)
        return fail (*name, error);
      g_hash_table_insert (inputs, (gpointer)*name, tensor);
    }
  while (fgets (line, sizeof line, stdin))
    {
      double quickest = G_MAXDOUBLE;
      gint64 end = g_get_monotonic_time () + (gint64)(1e6 * g_ascii_strtod (line, NULL));
      for (int i = 0; i < 3 || g_get_monotonic_time () < end; i++)
        {
          /* A microsecond, which the clock counts, is much for the smallest networks. */
          int n = quickest < 1.0 ? 20 : 1;
          gint64 start = g_get_monotonic_time ();
          for (int k = 0; k < n; k++)
            {
              GHashTable *results = ht_executor_run (executor, inputs, NULL, NULL, &error);
              if (results == NULL)
                return fail (argv[1], error);
              g_hash_table_unref (results);
            }
          quickest = MIN (quickest, (double)(g_get_monotonic_time () - start) / n / 1e3);
        }
      double peak = read_status ("VmHWM:") - before;
      printf ("%.6f %.3f %.3f\n", quickest, MAX (opening, peak), peak);
      fflush (stdout);
    }
  return EXIT_SUCCESS;
}
