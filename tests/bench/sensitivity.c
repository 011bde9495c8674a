/* SPDX-License-Identifier: MIT */
/* Sensitivity by layer: as many simulations of a network as it has layers, each with one layer quantized (or, with
 * "all-but", all but one), run each alone and run as a group. sensitivity MODEL ENCODINGS BATCH THREADS ROUNDS
 * [all-but]: prints the number of simulations, milliseconds of the quickest round of each way, and the share of steps
 * that the group did. The inputs are random; no time depends on them. */
#include <halftone/halftone.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
fail (const char *what, const GError *error)
{
  fprintf (stderr, "sensitivity: %s: %s\n", what, error ? error->message : "");
  return EXIT_FAILURE;
}

static GHashTable *
make_inputs (HtGraph *graph, gint64 batch, GError **error)
{
  g_autoptr (GHashTable) inputs
      = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)ht_tensor_unref);
  g_autoptr (GRand) random = g_rand_new_with_seed (1);

  for (const char *const *name = ht_graph_get_inputs (graph); *name; name++)
    {
      HtShape *shape = ht_graph_get_shape (graph, *name);
      gint64 dims[8] = { 0 };
      guint n_dims = shape ? MIN (ht_shape_get_n_dims (shape), 8) : 0;

      for (guint i = 0; i < n_dims; i++)
        dims[i] = ht_shape_get_dim (shape, i) >= 0 ? ht_shape_get_dim (shape, i) : batch;
      HtTensor *tensor = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims, n_dims, error);
      if (tensor == NULL)
        return NULL;
      for (gsize i = 0; i < ht_tensor_get_n_elements (tensor); i++)
        ((float *)ht_tensor_get_writable_data (tensor))[i] = (float)g_rand_double_range (random, -1, 1);
      g_hash_table_insert (inputs, (gpointer)*name, tensor);
    }
  return g_steal_pointer (&inputs);
}

static GPtrArray *
make_executors (HtSimulation *simulation, gboolean all_but, GError **error)
{
  g_autoptr (GPtrArray) layers = ht_graph_list_layers (ht_simulation_get_graph (simulation));
  g_autoptr (GPtrArray) executors = g_ptr_array_new_with_free_func (g_object_unref);

  for (guint i = 0; i < layers->len; i++)
    {
      g_autoptr (HtSimulationParts) parts
          = ht_simulation_parts_new (simulation, all_but ? HT_QUANTIZERS_ALL : (HtQuantizerKinds)0);
      const char *layer = ht_layer_get_output (g_ptr_array_index (layers, i));
      HtExecutor *executor = ht_simulation_parts_switch_layer (parts, layer, HT_QUANTIZERS_ALL, !all_but, error)
                                 ? ht_simulation_parts_create_executor (parts, error)
                                 : NULL;
      if (executor == NULL)
        return NULL;
      g_ptr_array_add (executors, executor);
    }
  return g_steal_pointer (&executors);
}

static gboolean
drop_results (guint index, GHashTable *results, gpointer user_data, GError **error)
{
  return TRUE;
}

static gboolean
run_alone (GPtrArray *executors, GHashTable *inputs, GError **error)
{
  for (guint i = 0; i < executors->len; i++)
    {
      g_autoptr (GHashTable) results = ht_executor_run (g_ptr_array_index (executors, i), inputs, NULL, NULL, error);
      if (results == NULL)
        return FALSE;
    }
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  double quickest[2] = { G_MAXDOUBLE, G_MAXDOUBLE };

  if (argc != 6 && argc != 7)
    return fail ("expected MODEL ENCODINGS BATCH THREADS ROUNDS [all-but]", NULL);
  ht_set_n_threads ((guint)strtoul (argv[4], NULL, 10));
  g_autoptr (HtGraph) graph = ht_graph_load (argv[1], &error);
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  g_autoptr (HtSimulation) simulation = graph ? ht_simulation_new (graph, config, &error) : NULL;
  if (simulation == NULL || !ht_simulation_load_encodings (simulation, argv[2], TRUE, &error))
    return fail (argv[1], error);
  g_autoptr (GHashTable) inputs = make_inputs (graph, g_ascii_strtoll (argv[3], NULL, 10), &error);
  g_autoptr (GPtrArray) alone = inputs ? make_executors (simulation, argc == 7, &error) : NULL;
  g_autoptr (GPtrArray) together = alone ? make_executors (simulation, argc == 7, &error) : NULL;
  if (together == NULL)
    return fail (argv[1], error);
  g_autoptr (HtExecutorGroup) group = ht_executor_group_new ();
  for (guint i = 0; i < together->len; i++)
    if (!ht_executor_group_add (group, g_ptr_array_index (together, i), &error))
      return fail (argv[1], error);
  for (gulong round = 0; round <= strtoul (argv[5], NULL, 10); round++)
    for (guint way = 0; way < 2; way++)
      {
        gint64 start = g_get_monotonic_time ();
        if (way == 0 ? !run_alone (alone, inputs, &error)
                     : !ht_executor_group_run (group, inputs, NULL, drop_results, NULL, NULL, &error))
          return fail (argv[1], error);
        if (round > 0) /* the first one plans and packs */
          quickest[way] = MIN (quickest[way], (double)(g_get_monotonic_time () - start) / 1000);
      }
  printf ("%u %.3f %.3f %.3f\n", together->len, quickest[0], quickest[1], ht_executor_group_get_work (group));
  return EXIT_SUCCESS;
}
