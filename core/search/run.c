/* SPDX-License-Identifier: MIT */
/* One recipe from model to result: evaluate, quantize without technique, run the pipeline, calibrate, evaluate, write. */
#include "quant/simulation-private.h"
#include "search/run-private.h"

#include <halftone/error.h>

/**
 * HtRun:
 *
 * One execution of a recipe. It holds what came out: metrics of each stage, the final state and its simulation, the report
 * and the paths of the files written.
 */
G_DEFINE_FINAL_TYPE (HtRun, ht_run, G_TYPE_OBJECT)

static void
ht_run_finalize (GObject *object)
{
  HtRun *self = HT_RUN (object);
  if (self->progress_destroy != NULL)
    self->progress_destroy (self->progress_data);
  g_clear_object (&self->recipe);
  g_clear_object (&self->given);
  g_clear_object (&self->calibration);
  g_clear_object (&self->evaluation);
  g_clear_object (&self->start);
  g_clear_object (&self->manager);
  g_clear_object (&self->state);
  g_clear_object (&self->simulation);
  g_clear_pointer (&self->metrics, g_hash_table_unref);
  g_clear_pointer (&self->files, g_ptr_array_unref);
  g_clear_pointer (&self->timings, json_object_unref);
  g_clear_pointer (&self->report, json_node_unref);
  g_strfreev (self->preparation);
  g_free (self->model_path);
  g_free (self->output_folder);
  G_OBJECT_CLASS (ht_run_parent_class)->finalize (object);
}

static void
ht_run_class_init (HtRunClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_run_finalize;
}

static void
ht_run_init (HtRun *self)
{
  self->metrics = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_object_unref);
  self->files = g_ptr_array_new_with_free_func (g_free);
  self->timings = json_object_new ();
}

/**
 * ht_run_new:
 * @recipe: a checked recipe
 *
 * Returns: (transfer full): a run of @recipe that has not begun
 */
HtRun *
ht_run_new (HtRecipe *recipe)
{
  g_return_val_if_fail (HT_IS_RECIPE (recipe), NULL);
  HtRun *self = g_object_new (HT_TYPE_RUN, NULL);
  self->recipe = g_object_ref (recipe);
  self->model_path = g_strdup (ht_recipe_get_model_path (recipe));
  self->output_folder = g_strdup (ht_recipe_get_output_folder (recipe));
  return self;
}

/**
 * ht_run_set_model_path:
 * @self: a run
 * @path: (type filename): a model to take instead of the recipe's
 */
void
ht_run_set_model_path (HtRun *self, const char *path)
{
  g_return_if_fail (HT_IS_RUN (self) && path != NULL);
  g_free (self->model_path);
  self->model_path = g_strdup (path);
}

/**
 * ht_run_set_output_folder:
 * @self: a run
 * @path: (type filename): a folder to write to instead of the recipe's
 */
void
ht_run_set_output_folder (HtRun *self, const char *path)
{
  g_return_if_fail (HT_IS_RUN (self) && path != NULL);
  g_free (self->output_folder);
  self->output_folder = g_strdup (path);
}

/**
 * ht_run_set_memory_budget:
 * @self: a run
 * @bytes: what a forward pass may take, 0 for any amount
 *
 * Makes the batches of calibration and evaluation smaller than the recipe says where that is necessary. When even a
 * batch of 1 takes more, ht_run_execute() fails with %HT_ERROR_LIMIT_EXCEEDED. Steps keep about as much in memory and
 * the rest in files, see ht_pass_context_get_memory_budget().
 */
void
ht_run_set_memory_budget (HtRun *self, guint64 bytes)
{
  g_return_if_fail (HT_IS_RUN (self));
  self->memory_budget = bytes;
}

/**
 * ht_run_set_progress:
 * @self: a run
 * @func: (scope notified) (nullable) (closure user_data) (destroy destroy): called as the work goes on
 * @user_data: for @func
 * @destroy: (nullable): frees @user_data
 */
void
ht_run_set_progress (HtRun *self, HtProgressFunc func, gpointer user_data, GDestroyNotify destroy)
{
  g_return_if_fail (HT_IS_RUN (self));
  if (self->progress_destroy != NULL)
    self->progress_destroy (self->progress_data);
  self->progress = func;
  self->progress_data = user_data;
  self->progress_destroy = destroy;
}

static void
report_progress (double fraction, const char *message, gpointer user_data)
{
  HtRun *self = user_data;
  if (self->progress != NULL)
    self->progress (self->progress_from + fraction * (self->progress_to - self->progress_from), message,
                    self->progress_data);
}

/* Takes the part of the whole up to `to`, starting where the last part ended. */
static void
begin (HtRun *self, double to, const char *message)
{
  self->progress_from = self->progress_to;
  self->progress_to = to;
  report_progress (0, message, self);
}

static void
end (HtRun *self, const char *what, gint64 since)
{
  json_object_set_double_member (self->timings, what, (double) (g_get_monotonic_time () - since) / G_USEC_PER_SEC);
}

static gboolean
open_model (HtRun *self, GError **error)
{
  if (self->model_path == NULL)
    {
      g_set_error_literal (error, HT_ERROR, HT_ERROR_NOT_FOUND,
                           "the recipe names no model: add 'model: FILE.onnx' or give one with --model");
      return FALSE;
    }
  gint64 since = g_get_monotonic_time ();
  self->given = ht_graph_load (self->model_path, error);
  if (self->given == NULL)
    return FALSE;
  self->preparation = ht_graph_prepare (self->given, error);
  if (self->preparation == NULL)
    {
      g_prefix_error (error, "cannot prepare '%s': ", self->model_path);
      return FALSE;
    }
  ht_graph_seal (self->given);
  end (self, "load-and-prepare", since);
  return TRUE;
}

static gboolean
open_role (HtRun *self, HtDataRole role, HtDataset **dataset, GError **error)
{
  if (!ht_recipe_has_data (self->recipe, role))
    return TRUE;
  *dataset = ht_recipe_open_data (self->recipe, role, error);
  return *dataset != NULL && ht_dataset_bind (*dataset, self->given, error);
}

/* Calibration looks at any tensor, so that all of them are there at some time. */
static char **
list_tensors (HtGraph *graph)
{
  g_autoptr (GStrvBuilder) names = g_strv_builder_new ();
  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    {
      HtNode *node = ht_graph_get_node (graph, i);
      for (guint k = 0; k < ht_node_get_n_outputs (node); k++)
        if (ht_node_get_output (node, k)[0] != '\0')
          g_strv_builder_add (names, ht_node_get_output (node, k));
    }
  return g_strv_builder_end (names);
}

static gboolean
choose_batch (HtRun *self, HtDataRole role, HtDataset *dataset, GError **error)
{
  self->batch[role] = ht_recipe_get_batch (self->recipe, role);
  if (self->memory_budget == 0 || dataset == NULL)
    return TRUE;
  g_autoptr (HtExecutor) executor = ht_executor_new (self->given, error);
  g_autoptr (GHashTable) sample = executor ? ht_dataset_get_batch (dataset, 0, 1, error) : NULL;
  if (sample == NULL)
    return FALSE;
  g_autoptr (GHashTable) shapes
      = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) ht_shape_unref);
  g_auto (GStrv) taps = role == HT_DATA_CALIBRATION ? list_tensors (self->given) : NULL;
  GHashTableIter iter;
  gpointer name, tensor;
  g_hash_table_iter_init (&iter, sample);
  while (g_hash_table_iter_next (&iter, &name, &tensor))
    {
      guint n_dims;
      const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);
      g_hash_table_insert (shapes, name, ht_shape_new (dims, NULL, n_dims));
    }
  self->batch[role]
      = ht_executor_choose_batch (executor, ht_dataset_get_batch_size (dataset, self->batch[role]),
                                  self->memory_budget, shapes, (const char *const *) taps, error);
  return self->batch[role] != 0;
}

static gboolean
open_data (HtRun *self, GError **error)
{
  return open_role (self, HT_DATA_CALIBRATION, &self->calibration, error)
         && open_role (self, HT_DATA_EVALUATION, &self->evaluation, error)
         && choose_batch (self, HT_DATA_CALIBRATION, self->calibration, error)
         && choose_batch (self, HT_DATA_EVALUATION, self->evaluation, error);
}

/* Evaluates a stage: with labels where the evaluation set has them, and by distance to the given network. Without an
 * evaluation set the calibration set serves for the distances; without any data nothing is measured. */
static gboolean
evaluate (HtRun *self, const char *stage, HtExecutor *executor, HtExecutor *reference, GCancellable *cancellable,
          GError **error)
{
  HtDataset *dataset = self->evaluation != NULL ? self->evaluation : self->calibration;
  HtDataRole role = self->evaluation != NULL ? HT_DATA_EVALUATION : HT_DATA_CALIBRATION;
  gint64 since = g_get_monotonic_time ();
  if (dataset == NULL)
    return TRUE;
  HtMetrics *metrics = ht_evaluate (executor, reference, dataset, self->batch[role],
                                    report_progress, self, cancellable, error);
  if (metrics == NULL)
    {
      g_prefix_error (error, "evaluating '%s': ", stage);
      return FALSE;
    }
  g_hash_table_insert (self->metrics, (gpointer) stage, metrics);
  g_autofree char *what = g_strdup_printf ("evaluate-%s", stage);
  end (self, what, since);
  return TRUE;
}

static HtEncodingStatus
get_status (HtFreeze freeze, HtQuantizer *quantizer)
{
  gboolean pinned = freeze == HT_FREEZE_ALL || (freeze == HT_FREEZE_PARAMETERS && ht_quantizer_is_weight (quantizer));
  return pinned ? HT_ENCODING_PINNED : HT_ENCODING_FIXED;
}

/* A simulation holds the file against the network and the settings; the state takes the encodings over. */
static gboolean
take_encodings (HtRun *self, HtModelState *state, GError **error)
{
  g_autoptr (HtSimulation) simulation
      = ht_simulation_new (self->given, ht_recipe_get_quantization (self->recipe), error);
  if (simulation == NULL
      || !ht_simulation_load_encodings (simulation, ht_recipe_get_encodings_path (self->recipe),
                                        ht_recipe_get_encodings_partial (self->recipe), error))
    return FALSE;
  g_autoptr (GPtrArray) quantizers = ht_simulation_list_quantizers (simulation);
  for (guint i = 0; i < quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (quantizers, i);
      const char *tensor = ht_quantizer_get_tensor (quantizer);
      HtEncoding *encoding = ht_simulation_get_encoding (simulation, tensor);
      if (ht_simulation_get_origin (simulation, tensor) == HT_ORIGIN_GIVEN
          && !ht_model_state_set_encoding (state, tensor, encoding,
                                           get_status (ht_recipe_get_encodings_freeze (self->recipe), quantizer), error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
make_start (HtRun *self, GError **error)
{
  g_autoptr (HtGraph) copy = ht_graph_copy (self->given);
  g_autoptr (HtModelState) start = ht_model_state_new (copy);
  if (ht_recipe_get_encodings_path (self->recipe) != NULL && !take_encodings (self, start, error))
    return FALSE;
  ht_model_state_seal (start);
  self->start = g_steal_pointer (&start);
  return TRUE;
}

static gboolean
needs_data (HtSimulation *simulation)
{
  g_autoptr (GPtrArray) quantizers = ht_simulation_list_quantizers (simulation);
  for (guint i = 0; i < quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (quantizers, i);
      if (!ht_quantizer_is_weight (quantizer)
          && ht_simulation_get_encoding (simulation, ht_quantizer_get_tensor (quantizer)) == NULL)
        return TRUE;
    }
  return FALSE;
}

static gboolean
calibrate (HtRun *self, HtSimulation *simulation, GCancellable *cancellable, GError **error)
{
  if (self->calibration == NULL && needs_data (simulation))
    {
      g_set_error_literal (error, HT_ERROR, HT_ERROR_NOT_FOUND,
                           "activations are quantized, but the recipe has no calibration data: add 'data: {calibration: "
                           "{path: FILE.npy}}'");
      return FALSE;
    }
  if (self->calibration == NULL)
    return ht_simulation_calibrate_weights (simulation, error);
  return ht_simulation_calibrate (simulation, self->calibration,
                                  self->batch[HT_DATA_CALIBRATION], report_progress, self,
                                  cancellable, error);
}

/* Quantizes a network and evaluates it; with a state, what its passes fixed is taken from there. */
static HtSimulation *
simulate (HtRun *self, const char *stage, HtGraph *graph, HtModelState *state, HtExecutor *reference,
          GCancellable *cancellable, GError **error)
{
  gint64 since = g_get_monotonic_time ();
  g_autoptr (HtSimulation) simulation
      = ht_simulation_new (graph, ht_recipe_get_quantization (self->recipe), error);
  double to = self->progress_to;
  self->progress_to -= 0.6 * (to - self->progress_from);
  if (simulation == NULL || (state != NULL && !ht_simulation_load_state (simulation, state, error))
      || !calibrate (self, simulation, cancellable, error))
    return NULL;
  begin (self, to, "evaluating the quantized network");
  g_autofree char *what = g_strdup_printf ("calibrate-%s", stage);
  end (self, what, since);
  g_autoptr (HtExecutor) executor = ht_simulation_create_executor (simulation, error);
  if (executor == NULL || !evaluate (self, stage, executor, reference, cancellable, error))
    return NULL;
  return g_steal_pointer (&simulation);
}

static gboolean
run_pipeline (HtRun *self, GCancellable *cancellable, GError **error)
{
  HtPlan *plan = ht_recipe_get_plan (self->recipe);
  gint64 since = g_get_monotonic_time ();
  ht_plan_learn_from_graph (plan, self->given);
  if (!ht_plan_check (plan, error))
    return FALSE;
  self->manager = ht_pass_manager_new (plan);
  ht_pass_manager_set_seed (self->manager, ht_recipe_get_seed (self->recipe));
  ht_pass_manager_set_progress (self->manager, report_progress, self, NULL);
  ht_run_begin_work (self);
  if (self->calibration != NULL)
    ht_pass_manager_set_calibration (self->manager, self->calibration,
                                     self->batch[HT_DATA_CALIBRATION]);
  self->state = ht_pass_manager_run (self->manager, self->start, cancellable, error);
  if (self->state == NULL)
    return FALSE;
  end (self, "pipeline", since);
  return TRUE;
}

static gboolean
same_network (HtGraph *a, HtGraph *b)
{
  g_autofree char *first = ht_graph_hash (a);
  g_autofree char *second = ht_graph_hash (b);
  return g_str_equal (first, second);
}

/* What the pipeline did to the floating-point function, where it touched it. */
static gboolean
evaluate_float_after (HtRun *self, HtExecutor *reference, GCancellable *cancellable, GError **error)
{
  HtGraph *after = ht_model_state_get_reference (self->state);
  if (same_network (after, self->given))
    return TRUE;
  g_autoptr (HtExecutor) executor = ht_executor_new (after, error);
  return executor != NULL
         && evaluate (self, HT_STAGE_FLOAT_AFTER_PIPELINE, executor, reference, cancellable, error);
}

static gboolean
seal_result (HtRun *self, GError **error)
{
  g_autoptr (HtModelState) final = ht_model_state_edit (self->state);
  if (!ht_simulation_store (self->simulation, final, error))
    return FALSE;
  ht_model_state_seal (final);
  g_set_object (&self->state, final);
  return TRUE;
}

static gboolean
execute (HtRun *self, GCancellable *cancellable, GError **error)
{
  begin (self, 0.02, "loading");
  if (!ht_run_check_folder (self, error) || !open_model (self, error) || !make_start (self, error)
      || !open_data (self, error))
    return FALSE;
  g_autoptr (HtExecutor) reference = ht_executor_new (self->given, error);
  if (reference == NULL)
    return FALSE;
  begin (self, 0.15, "evaluating the floating-point network");
  if (!evaluate (self, HT_STAGE_FLOAT, reference, NULL, cancellable, error))
    return FALSE;
  begin (self, 0.35, "quantizing without techniques");
  g_autoptr (HtSimulation) naive
      = simulate (self, HT_STAGE_NAIVE, self->given, self->start, reference, cancellable, error);
  if (naive == NULL)
    return FALSE;
  if (!ht_run_check_formats (self, naive, error))
    return FALSE;
  begin (self, 0.6, "running the pipeline");
  if (!run_pipeline (self, cancellable, error))
    return FALSE;
  begin (self, 0.75, "evaluating the floating-point network after the pipeline");
  if (!evaluate_float_after (self, reference, cancellable, error))
    return FALSE;
  begin (self, 0.95, "calibrating and evaluating the result");
  self->simulation = simulate (self, HT_STAGE_RESULT, ht_model_state_get_graph (self->state), self->state, reference,
                               cancellable, error);
  if (self->simulation == NULL || !seal_result (self, error)
      || g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  begin (self, 1, "writing");
  if (!ht_run_write (self, error))
    return FALSE;
  report_progress (1, "done", self);
  return TRUE;
}

/**
 * ht_run_execute:
 * @self: a run that has not begun
 * @cancellable: (nullable): stops the work
 * @error: return location for an error
 *
 * Loads and prepares the model, evaluates it, evaluates its quantization without any technique, runs the pipeline,
 * calibrates and evaluates the result, and writes the output files and the report. A failed or cancelled run writes
 * none of these; what its steps have finished stays in the folder `.halftone` of the output folder, however it ended,
 * and the next run of the same recipe takes it up, see ht_run_set_fresh().
 *
 * Returns: whether the result was written
 */
gboolean
ht_run_execute (HtRun *self, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (HT_IS_RUN (self) && self->given == NULL, FALSE);
  gboolean done = execute (self, cancellable, error);
  if (self->manager != NULL)
    ht_run_end_work (self, done);
  return done;
}

/**
 * ht_run_list_stages:
 * @self: a run that succeeded
 *
 * Returns: (transfer full) (array zero-terminated=1): the stages that were evaluated, in order
 */
char **
ht_run_list_stages (HtRun *self)
{
  static const char *const stages[]
      = { HT_STAGE_FLOAT, HT_STAGE_NAIVE, HT_STAGE_FLOAT_AFTER_PIPELINE, HT_STAGE_RESULT };
  g_return_val_if_fail (HT_IS_RUN (self), NULL);
  GStrvBuilder *builder = g_strv_builder_new ();
  for (guint i = 0; i < G_N_ELEMENTS (stages); i++)
    if (g_hash_table_contains (self->metrics, stages[i]))
      g_strv_builder_add (builder, stages[i]);
  char **list = g_strv_builder_end (builder);
  g_strv_builder_unref (builder);
  return list;
}

/**
 * ht_run_get_metrics:
 * @self: a run
 * @stage: one of ht_run_list_stages()
 *
 * Returns: (transfer none) (nullable): what was measured there, or %NULL where nothing was
 */
HtMetrics *
ht_run_get_metrics (HtRun *self, const char *stage)
{
  g_return_val_if_fail (HT_IS_RUN (self) && stage != NULL, NULL);
  return g_hash_table_lookup (self->metrics, stage);
}

/**
 * ht_run_get_state:
 * @self: a run
 *
 * Returns: (transfer none) (nullable): the final state, sealed, with all encodings
 */
HtModelState *
ht_run_get_state (HtRun *self)
{
  g_return_val_if_fail (HT_IS_RUN (self), NULL);
  return self->state;
}

/**
 * ht_run_get_simulation:
 * @self: a run
 *
 * Returns: (transfer none) (nullable): the calibrated simulation of the result
 */
HtSimulation *
ht_run_get_simulation (HtRun *self)
{
  g_return_val_if_fail (HT_IS_RUN (self), NULL);
  return self->simulation;
}

/**
 * ht_run_get_report:
 * @self: a run
 *
 * Returns: (transfer none) (nullable): the report, as written to report.json
 */
JsonNode *
ht_run_get_report (HtRun *self)
{
  g_return_val_if_fail (HT_IS_RUN (self), NULL);
  return self->report;
}

/**
 * ht_run_list_files:
 * @self: a run
 *
 * Returns: (transfer full) (array zero-terminated=1): the paths of the files written
 */
char **
ht_run_list_files (HtRun *self)
{
  g_return_val_if_fail (HT_IS_RUN (self), NULL);
  char **paths = g_new0 (char *, self->files->len + 1);
  for (guint i = 0; i < self->files->len; i++)
    paths[i] = g_strdup (g_ptr_array_index (self->files, i));
  return paths;
}
