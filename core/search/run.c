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
free_step (gpointer data)
{
  HtRunStep *self = data;
  g_clear_pointer (&self->report, json_node_unref);
  g_clear_pointer (&self->timings, json_node_unref);
  g_free (self);
}

static void
ht_run_finalize (GObject *object)
{
  HtRun *self = HT_RUN (object);
  if (self->progress_destroy != NULL)
    self->progress_destroy (self->progress_data);
  ht_run_inputs_clear (&self->inputs);
  g_clear_object (&self->start);
  g_ptr_array_unref (self->steps);
  g_clear_object (&self->state);
  g_clear_object (&self->simulation);
  g_clear_pointer (&self->metrics, g_hash_table_unref);
  g_clear_pointer (&self->files, g_ptr_array_unref);
  g_clear_pointer (&self->timings, json_object_unref);
  g_clear_pointer (&self->report, json_node_unref);
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
  self->steps = g_ptr_array_new_with_free_func (free_step);
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
  ht_run_inputs_init (&self->inputs, recipe);
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
  g_free (self->inputs.model_path);
  self->inputs.model_path = g_strdup (path);
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
  self->inputs.memory_budget = bytes;
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

/* Evaluates a stage: with labels where the evaluation set has them, and by distance to the given network. Without an
 * evaluation set the calibration set serves for the distances; without any data nothing is measured. */
static gboolean
evaluate (HtRun *self, const char *stage, HtExecutor *executor, HtExecutor *reference, GCancellable *cancellable,
          GError **error)
{
  HtDataset *dataset = self->inputs.evaluation != NULL ? self->inputs.evaluation : self->inputs.calibration;
  gint64 since = g_get_monotonic_time ();
  if (dataset == NULL)
    return TRUE;
  HtMetrics *metrics = ht_evaluate (executor, reference, dataset, ht_run_inputs_get_batch (&self->inputs, dataset),
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

/* Quantizes a network and evaluates it; with a state, what its passes fixed is taken from there. */
static HtSimulation *
simulate (HtRun *self, const char *stage, HtGraph *graph, HtModelState *state, HtExecutor *reference,
          GCancellable *cancellable, GError **error)
{
  gint64 since = g_get_monotonic_time ();
  g_autoptr (HtSimulation) simulation
      = ht_simulation_new (graph, ht_recipe_get_quantization (self->inputs.recipe), error);
  double to = self->progress_to;
  self->progress_to -= 0.6 * (to - self->progress_from);
  if (simulation == NULL || (state != NULL && !ht_simulation_load_state (simulation, state, error))
      || !ht_run_inputs_calibrate (&self->inputs, simulation, report_progress, self, cancellable, error))
    return NULL;
  begin (self, to, "evaluating the quantized network");
  g_autofree char *what = g_strdup_printf ("calibrate-%s", stage);
  end (self, what, since);
  g_autoptr (HtExecutor) executor = ht_simulation_create_executor (simulation, error);
  if (executor == NULL || !evaluate (self, stage, executor, reference, cancellable, error))
    return NULL;
  return g_steal_pointer (&simulation);
}

void
ht_run_add_step (HtRun *self, JsonNode *report, JsonNode *timings, double seconds)
{
  HtRunStep *step = g_new (HtRunStep, 1);
  *step = (HtRunStep){ json_node_copy (report), timings != NULL ? json_node_copy (timings) : NULL, seconds };
  g_ptr_array_add (self->steps, step);
}

static gboolean
run_pipeline (HtRun *self, GCancellable *cancellable, GError **error)
{
  HtPlan *plan = ht_recipe_get_plan (self->inputs.recipe);
  gint64 since = g_get_monotonic_time ();
  ht_plan_learn_from_graph (plan, self->inputs.given);
  if (!ht_plan_check (plan, error))
    return FALSE;
  g_autoptr (HtPassManager) manager = ht_pass_manager_new (plan);
  ht_pass_manager_set_seed (manager, ht_recipe_get_seed (self->inputs.recipe));
  ht_pass_manager_set_progress (manager, report_progress, self, NULL);
  ht_run_begin_work (self, manager);
  if (self->inputs.calibration != NULL)
    ht_pass_manager_set_calibration (manager, self->inputs.calibration,
                                     self->inputs.batch[HT_DATA_CALIBRATION]);
  self->state = ht_pass_manager_run (manager, self->start, cancellable, error);
  if (self->state == NULL)
    return FALSE;
  for (guint i = 0; i < ht_plan_get_n_steps (plan); i++)
    {
      g_autoptr (JsonNode) report = ht_pass_manager_get_step_report (manager, i);
      g_autoptr (JsonNode) timings = ht_pass_manager_get_step_timings (manager, i);
      ht_run_add_step (self, report, timings, ht_pass_manager_get_step_seconds (manager, i));
    }
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
  if (same_network (after, self->inputs.given))
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
  if (!ht_run_check_folder (self, error) || !ht_run_inputs_open (&self->inputs, error))
    return FALSE;
  json_object_set_double_member (self->timings, "load-and-prepare", self->inputs.load_seconds);
  self->start
      = ht_run_inputs_make_start (&self->inputs, ht_recipe_get_quantization (self->inputs.recipe), error);
  if (self->start == NULL)
    return FALSE;
  g_autoptr (HtExecutor) reference = ht_executor_new (self->inputs.given, error);
  if (reference == NULL)
    return FALSE;
  begin (self, 0.15, "evaluating the floating-point network");
  if (!evaluate (self, HT_STAGE_FLOAT, reference, NULL, cancellable, error))
    return FALSE;
  begin (self, 0.35, "quantizing without techniques");
  g_autoptr (HtSimulation) naive
      = simulate (self, HT_STAGE_NAIVE, self->inputs.given, self->start, reference, cancellable, error);
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
  g_return_val_if_fail (HT_IS_RUN (self) && self->inputs.given == NULL, FALSE);
  gboolean done = execute (self, cancellable, error);
  if (self->has_begun)
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
