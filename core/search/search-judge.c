/* SPDX-License-Identifier: MIT */
/* What candidates are judged by: which samples choose, the floating-point network on them, and the figure of what was
 * chosen on others. */
#include "quant/simulation-private.h"
#include "search/search-private.h"

#include <halftone/error.h>

/* The samples in an order of their own for each seed, so that the parts of a race are like the whole, cut into parts
 * that double; one part keeps the order of the file. */
static gboolean
cut_parts (HtSearch *self, HtSearchStrategy strategy, GError **error)
{
  guint n = ht_dataset_get_n_samples (self->judge), n_parts = ht_strategy_count_parts (strategy, n);
  g_autofree guint *rows = g_new (guint, n);
  g_autoptr (GRand) random = g_rand_new_with_seed ((guint32)ht_search_settings_get_seed (self->settings));
  if (n_parts == 1)
    {
      g_ptr_array_add (self->work.parts, g_object_ref (self->judge));
      return TRUE;
    }
  for (guint i = 0; i < n; i++)
    {
      guint other = (guint)g_rand_int_range (random, 0, (gint32)i + 1);
      rows[i] = rows[other];
      rows[other] = i;
    }
  for (guint part = 0, first = 0; part < n_parts; part++)
    {
      guint end = part + 1 == n_parts ? n : MAX (n >> (n_parts - 1 - part), 1);
      HtDataset *dataset = ht_dataset_select (self->judge, rows + first, end - first, error);
      if (dataset == NULL)
        return FALSE;
      g_ptr_array_add (self->work.parts, dataset);
      if (!ht_dataset_bind (dataset, self->inputs.given, error))
        return FALSE;
      first = end;
    }
  return TRUE;
}

/* What chooses: the held-out samples, or the evaluation set, or a program. */
gboolean
ht_search_choose_judge (HtSearch *self, HtSearchStrategy strategy, GError **error)
{
  gboolean is_held_out = ht_objective_get_data (self->objective) == HT_OBJECTIVE_DATA_HELD_OUT;
  HtMetric metric = ht_objective_get_metric (self->objective);
  self->work.parts = g_ptr_array_new_with_free_func (g_object_unref);
  self->work.part_hashes = g_ptr_array_new_with_free_func (g_free);
  if (metric == HT_METRIC_EXTERNAL)
    {
      self->work.command = ht_recipe_get_evaluation_command (self->inputs.recipe, &self->work.timeout);
      if (self->work.command == NULL)
        {
          g_set_error_literal (
              error, HT_ERROR, HT_ERROR_NOT_FOUND,
              "the objective is the number that a program prints, but the recipe names none: add 'data: "
              "{evaluation: {command: [PROGRAM, \"{model}\"]}}'");
          return FALSE;
        }
      g_autofree char *all = g_strjoinv ("\n", (char **)self->work.command);
      g_ptr_array_add (self->work.parts, g_object_new (G_TYPE_OBJECT, NULL));
      g_ptr_array_add (self->work.part_hashes, g_steal_pointer (&all));
      return TRUE;
    }
  self->judge = is_held_out ? self->inputs.held_out : self->inputs.evaluation;
  if (self->judge == NULL)
    {
      g_set_error_literal (error, HT_ERROR, HT_ERROR_NOT_FOUND,
                           "the objective needs data to choose on: add 'data: {evaluation: {path: FILE.npy}}', or let "
                           "'objective' have 'on: held-out'");
      return FALSE;
    }
  if (ht_metric_needs_labels (metric) && ht_dataset_get_labels (self->judge) == NULL)
    {
      g_set_error (
          error, HT_ERROR, HT_ERROR_NOT_FOUND,
          "the objective is '%s', but the samples that choose have no labels: give them, or maximize 'agreement' "
          "or 'sqnr', which compare with the floating-point network",
          ht_metric_get_name (metric));
      return FALSE;
    }
  if (!cut_parts (self, strategy, error))
    return FALSE;
  for (guint i = 0; i < self->work.parts->len; i++)
    {
      char *hash = ht_dataset_hash (g_ptr_array_index (self->work.parts, i), error);
      if (hash == NULL)
        return FALSE;
      g_ptr_array_add (self->work.part_hashes, hash);
    }
  return TRUE;
}

/* The program on the floating-point network. What it printed is kept: it may take long. */
static gboolean
ask_for_baseline (HtSearch *self, GCancellable *cancellable, GError **error)
{
  g_autofree char *graph = ht_graph_hash (self->inputs.given);
  g_autofree char *start = ht_search_name_start (self, graph);
  g_autofree char *text
      = g_strdup_printf ("halftone baseline 1\n%s\n%s", start, (char *)g_ptr_array_index (self->work.part_hashes, 0));
  g_autofree char *key = g_compute_checksum_for_string (G_CHECKSUM_SHA256, text, -1);
  g_autoptr (GVariant) kept = ht_store_get_outcome (self->work.store, key, NULL);
  self->baseline = kept != NULL ? ht_metrics_new_from_variant (kept) : NULL;
  if (self->baseline != NULL)
    return TRUE;
  self->baseline = ht_search_ask_program (&self->work, self->inputs.given, key, cancellable, error);
  if (self->baseline == NULL)
    {
      g_prefix_error (error, "evaluating the floating-point network: ");
      return FALSE;
    }
  return ht_store_put_outcome (self->work.store, key, ht_metrics_to_variant (self->baseline), error);
}

/* The floating-point network on the same samples, up to each part. */
gboolean
ht_search_measure_baseline (HtSearch *self, GCancellable *cancellable, GError **error)
{
  ht_graph_measure_costs (self->inputs.given, &self->float_costs[HT_COST_SIZE],
                          &self->float_costs[HT_COST_BIT_OPERATIONS]);
  if (self->judge == NULL)
    return ask_for_baseline (self, cancellable, error);
  g_autoptr (HtExecutor) executor = ht_executor_new (self->inputs.given, error);
  g_autoptr (HtExecutor) reference = executor != NULL ? ht_executor_new (self->inputs.given, error) : NULL;
  if (reference == NULL)
    return FALSE;
  g_autoptr (GPtrArray) parts = g_ptr_array_new_with_free_func (g_object_unref);
  for (guint i = 0; i < self->work.parts->len; i++)
    {
      HtMetrics *part
          = ht_evaluate (executor, reference, g_ptr_array_index (self->work.parts, i),
                         ht_run_inputs_get_batch (&self->inputs, self->judge), NULL, NULL, cancellable, error);
      if (part == NULL)
        return FALSE;
      g_ptr_array_add (parts, part);
      g_ptr_array_add (self->baselines, ht_metrics_join ((HtMetrics **)parts->pdata, parts->len));
    }
  self->baseline = g_object_ref (g_ptr_array_index (self->baselines, self->baselines->len - 1));
  return TRUE;
}

/* The evaluation set is used once, for the figure of what was chosen without it. */
gboolean
ht_search_measure_figure (HtSearch *self, GCancellable *cancellable, GError **error)
{
  if (self->judge == self->inputs.evaluation || self->inputs.evaluation == NULL)
    return TRUE;
  g_autoptr (HtModelState) state = ht_search_work_get_state (&self->work, self->best->calibrated, cancellable, error);
  g_autoptr (HtSimulation) simulation
      = state != NULL ? ht_search_restore_simulation (state, ht_recipe_get_quantization (self->best->recipe), error)
                      : NULL;
  g_autoptr (HtExecutor) executor = simulation != NULL ? ht_simulation_create_executor (simulation, error) : NULL;
  g_autoptr (HtExecutor) given = executor != NULL ? ht_executor_new (self->inputs.given, error) : NULL;
  g_autoptr (HtExecutor) reference = given != NULL ? ht_executor_new (self->inputs.given, error) : NULL;
  guint batch = self->inputs.batch[HT_DATA_EVALUATION];
  if (reference == NULL)
    return FALSE;
  self->figure = ht_evaluate (executor, reference, self->inputs.evaluation, batch, NULL, NULL, cancellable, error);
  if (self->figure != NULL)
    self->figure_baseline
        = ht_evaluate (given, reference, self->inputs.evaluation, batch, NULL, NULL, cancellable, error);
  return self->figure_baseline != NULL;
}
