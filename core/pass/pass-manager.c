/* SPDX-License-Identifier: MIT */
#include "pass/pass-manager-private.h"

#include "pass/effects-check.h"
#include "pass/pass-context-private.h"
#include "pass/plan-private.h"
#include "quant/model-state-private.h"

#include <halftone/error.h>

struct _HtPassManager
{
  GObject parent_instance;

  HtPlan *plan;
  HtDataset *calibration;
  guint batch;
  guint64 seed;
  HtProgressFunc progress;
  gpointer progress_data;
  GDestroyNotify progress_destroy;
  guint64 memory_budget;
  char *scratch_folder, *checkpoint_folder;
  GPtrArray *reports; /* JsonNode, one for each step that has run */
  GPtrArray *timings; /* JsonNode, likewise */
  GArray *seconds;
};

/* Where a step stands in the whole. */
typedef struct
{
  HtPassManager *manager;
  guint step;
} StepProgress;

/**
 * HtPassManager:
 *
 * Runs a plan over a model state. Each step is a transaction: it edits a copy of the sealed state before it, and its
 * result is verified and sealed, or dropped.
 */
G_DEFINE_FINAL_TYPE (HtPassManager, ht_pass_manager, G_TYPE_OBJECT)

static void
ht_pass_manager_init (HtPassManager *self)
{
  self->batch = 1;
  self->reports = g_ptr_array_new_with_free_func ((GDestroyNotify)json_node_unref);
  self->timings = g_ptr_array_new_with_free_func ((GDestroyNotify)json_node_unref);
  self->seconds = g_array_new (FALSE, FALSE, sizeof (double));
}

static void
clear_progress (HtPassManager *self)
{
  if (self->progress_destroy != NULL)
    self->progress_destroy (self->progress_data);
  self->progress = NULL;
  self->progress_data = NULL;
  self->progress_destroy = NULL;
}

static void
ht_pass_manager_finalize (GObject *object)
{
  HtPassManager *self = HT_PASS_MANAGER (object);

  clear_progress (self);
  g_clear_object (&self->plan);
  g_clear_object (&self->calibration);
  g_ptr_array_unref (self->reports);
  g_ptr_array_unref (self->timings);
  g_free (self->scratch_folder);
  g_free (self->checkpoint_folder);
  g_array_unref (self->seconds);
  G_OBJECT_CLASS (ht_pass_manager_parent_class)->finalize (object);
}

static void
ht_pass_manager_class_init (HtPassManagerClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_pass_manager_finalize;
}

/**
 * ht_pass_manager_new:
 * @plan: what to run
 *
 * Makes a manager for a plan.
 *
 * Returns: (transfer full): a new manager
 */
HtPassManager *
ht_pass_manager_new (HtPlan *plan)
{
  g_return_val_if_fail (HT_IS_PLAN (plan), NULL);

  HtPassManager *self = g_object_new (HT_TYPE_PASS_MANAGER, NULL);
  self->plan = g_object_ref (plan);
  return self;
}

/**
 * ht_pass_manager_set_calibration:
 * @self: a manager
 * @dataset: (nullable): the calibration data
 * @batch: how many samples to run at once
 *
 * Gives the steps their calibration data.
 */
void
ht_pass_manager_set_calibration (HtPassManager *self, HtDataset *dataset, guint batch)
{
  g_return_if_fail (HT_IS_PASS_MANAGER (self));
  g_return_if_fail (dataset == NULL || HT_IS_DATASET (dataset));

  g_set_object (&self->calibration, dataset);
  self->batch = batch;
}

/**
 * ht_pass_manager_set_seed:
 * @self: a manager
 * @seed: the seed of the run
 *
 * Sets what all random streams of the steps are derived from.
 */
void
ht_pass_manager_set_seed (HtPassManager *self, guint64 seed)
{
  g_return_if_fail (HT_IS_PASS_MANAGER (self));
  self->seed = seed;
}

/**
 * ht_pass_manager_set_memory_budget:
 * @self: a manager
 * @bytes: how much memory the run should take, 0 for any amount
 *
 * Tells the steps how much they may keep in memory.
 */
void
ht_pass_manager_set_memory_budget (HtPassManager *self, guint64 bytes)
{
  g_return_if_fail (HT_IS_PASS_MANAGER (self));
  self->memory_budget = bytes;
}

/**
 * ht_pass_manager_set_scratch_folder:
 * @self: a manager
 * @path: (nullable) (type filename): where steps make folders for temporary files; %NULL: where the system does
 *
 * Sets where temporary files go. Each step removes its own when it ends.
 */
void
ht_pass_manager_set_scratch_folder (HtPassManager *self, const char *path)
{
  g_return_if_fail (HT_IS_PASS_MANAGER (self));
  g_free (self->scratch_folder);
  self->scratch_folder = g_strdup (path);
}

/**
 * ht_pass_manager_set_checkpoint_folder:
 * @self: a manager
 * @path: (nullable) (type filename): where steps keep the work that they have finished; %NULL: nowhere
 *
 * Lets a plan that is run again over the same state take up what an earlier run did, with the same result. The folder
 * is made with the first checkpoint, and stays: whoever has the result may remove it.
 */
void
ht_pass_manager_set_checkpoint_folder (HtPassManager *self, const char *path)
{
  g_return_if_fail (HT_IS_PASS_MANAGER (self));
  g_free (self->checkpoint_folder);
  self->checkpoint_folder = g_strdup (path);
}

/**
 * ht_pass_manager_set_progress:
 * @self: a manager
 * @func: (nullable) (scope notified): called in the thread that runs the plan
 * @user_data: handed to @func
 * @destroy: (nullable): frees @user_data
 *
 * Sets who is told how far the plan is.
 */
void
ht_pass_manager_set_progress (HtPassManager *self, HtProgressFunc func, gpointer user_data, GDestroyNotify destroy)
{
  g_return_if_fail (HT_IS_PASS_MANAGER (self));

  clear_progress (self);
  self->progress = func;
  self->progress_data = user_data;
  self->progress_destroy = destroy;
}

static void
forward_progress (double fraction, const char *message, gpointer user_data)
{
  StepProgress *progress = user_data;
  HtPassManager *self = progress->manager;
  double whole = ((double)progress->step + fraction) / (double)ht_plan_get_n_steps (self->plan);

  self->progress (whole, message, self->progress_data);
}

/* Each network against the one that it came from: where the step split the reference off, both came from the graph. */
static gboolean
check_networks (HtPassManager *self, guint step, HtModelState *parent, HtModelState *state, GError **error)
{
  HtPlanStep *plan_step = ht_plan_get_step (self->plan, step);
  g_autoptr (GPtrArray) networks = ht_model_state_list_networks (state);

  for (guint i = 0; i < networks->len; i++)
    {
      HtGraph *graph = g_ptr_array_index (networks, i);
      HtGraph *before = i == 0 ? ht_model_state_get_graph (parent) : ht_model_state_get_reference (parent);
      g_autoptr (GError) local = NULL;
      if (!ht_graph_verify (graph, &local) || !ht_graph_infer_shapes (graph, &local))
        {
          g_set_error (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS, "it left %s broken: %s",
                       i == 0 ? "the graph" : "the reference network", local->message);
          return FALSE;
        }
      if (!ht_check_effects (plan_step, before, graph, error))
        return FALSE;
    }
  return TRUE;
}

static JsonNode *
make_report (HtPassManager *self, guint step, HtPassContext *context)
{
  HtPlanStep *plan_step = ht_plan_get_step (self->plan, step);
  JsonObject *report = json_object_new ();
  JsonNode *node = json_node_new (JSON_NODE_OBJECT);

  json_object_set_string_member (report, "id", plan_step->id);
  json_object_set_string_member (report, "pass", plan_step->meta->info.id);
  if (plan_step->meta->version != NULL)
    json_object_set_string_member (report, "version", plan_step->meta->version);
  else
    json_object_set_null_member (report, "version");
  json_object_set_member (report, "parameters", ht_object_params_to_json (G_OBJECT (plan_step->pass)));
  ht_pass_context_collect (context, report);
  json_node_take_object (node, report);
  return node;
}

static JsonNode *
make_timings (HtPassContext *context)
{
  JsonObject *timings = ht_pass_context_get_timings (context);
  JsonNode *tables = json_node_new (JSON_NODE_OBJECT);

  json_node_take_object (tables, timings != NULL ? timings : json_object_new ());
  return tables;
}

/* Given encodings of weights are fixed ones. */
static void
learn_from_state (HtPassManager *self, HtModelState *state)
{
  HtGraph *graph = ht_model_state_get_graph (state);
  g_auto (GStrv) tensors = ht_model_state_list_encodings (state);
  HtFactValue fixed = HT_FACT_FALSE;

  ht_plan_learn_from_graph (self->plan, graph);
  for (guint i = 0; tensors[i] != NULL; i++)
    {
      HtEncodingStatus status;

      ht_model_state_get_encoding (state, tensors[i], &status);
      if (status != HT_ENCODING_OPEN && ht_graph_is_constant (graph, tensors[i]))
        fixed = HT_FACT_TRUE;
    }
  ht_plan_set_initial_fact (self->plan, HT_FACT_WEIGHT_ENCODINGS_FIXED, fixed);
}

/* What a step says of itself; each may be NULL. */
typedef struct
{
  JsonNode **report, **timings;
  double *seconds;
} StepOutcome;

static HtModelState *
run_step (HtPassManager *self, guint step, HtModelState *parent, const StepOutcome *outcome, GCancellable *cancellable,
          GError **error)
{
  HtPlanStep *plan_step = ht_plan_get_step (self->plan, step);
  StepProgress progress = { self, step };
  HtPassContextSetup setup = {
    .step = plan_step->id,
    .pass = plan_step->pass,
    .config = self->plan->config,
    .calibration = self->calibration,
    .batch = self->batch,
    .seed = self->seed,
    .parent = parent,
    .memory_budget = self->memory_budget,
    .scratch_folder = self->scratch_folder,
    .checkpoint_folder = self->checkpoint_folder,
    .cancellable = cancellable,
    .progress = self->progress != NULL ? forward_progress : NULL,
    .progress_data = &progress,
  };
  gint64 start = g_get_monotonic_time ();

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return NULL;
  g_autoptr (HtPassContext) context = ht_pass_context_new (&setup);
  g_autoptr (HtModelState) state = ht_model_state_edit (parent);
  gboolean moves_fixed = ht_plan_step_may (plan_step, HT_RULE_CONTINUES, HT_FACT_WEIGHT_ENCODINGS_FIXED)
                         || ht_plan_step_may (plan_step, HT_RULE_CONTINUES, HT_FACT_RANGES_LEARNED)
                         || ht_plan_step_may (plan_step, HT_RULE_CARRIES_ENCODINGS, NULL);
  ht_model_state_begin_step (state, moves_fixed);
  gboolean done = ht_pass_run (plan_step->pass, state, context, error);
  ht_pass_context_end (context);
  if (!done || !check_networks (self, step, parent, state, error)
      || !ht_check_encodings (plan_step, parent, state, error))
    return NULL;
  ht_model_state_seal (state);
  if (self->progress != NULL)
    {
      g_autofree char *message = ht_plan_describe_step (self->plan, step);
      forward_progress (1.0, message, &progress);
    }
  if (outcome->report != NULL)
    *outcome->report = make_report (self, step, context);
  if (outcome->timings != NULL)
    *outcome->timings = make_timings (context);
  if (outcome->seconds != NULL)
    *outcome->seconds = (double)(g_get_monotonic_time () - start) / G_USEC_PER_SEC;
  return g_steal_pointer (&state);
}

gboolean
ht_pass_manager_check (HtPassManager *self, HtModelState *start, GError **error)
{
  learn_from_state (self, start);
  return ht_plan_check (self->plan, error);
}

static HtModelState *
run_named_step (HtPassManager *self, guint step, HtModelState *state, const StepOutcome *outcome,
                GCancellable *cancellable, GError **error)
{
  g_autoptr (GError) local = NULL;
  HtModelState *next = run_step (self, step, state, outcome, cancellable, &local);
  if (next == NULL)
    {
      g_autofree char *described = ht_plan_describe_step (self->plan, step);
      g_propagate_prefixed_error (error, g_steal_pointer (&local), "%s: ", described);
    }
  return next;
}

HtModelState *
ht_pass_manager_run_step (HtPassManager *self, guint step, HtModelState *state, JsonNode **report, double *seconds,
                          GCancellable *cancellable, GError **error)
{
  const StepOutcome outcome = { .report = report, .seconds = seconds };

  g_return_val_if_fail (HT_IS_PASS_MANAGER (self), NULL);
  g_return_val_if_fail (step < ht_plan_get_n_steps (self->plan), NULL);
  g_return_val_if_fail (HT_IS_MODEL_STATE (state) && ht_model_state_is_sealed (state), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  return run_named_step (self, step, state, &outcome, cancellable, error);
}

/**
 * ht_pass_manager_run:
 * @self: a manager
 * @state: what to start from; it is not changed
 * @cancellable: (nullable): cancels the run
 * @error: return location for an error
 *
 * Checks the plan against the graph of @state and runs its steps. Each result is verified, and held to the effects that
 * its technique declares. The first step that fails ends the run, its id in front of the message; %G_IO_ERROR_CANCELLED
 * where it was cancelled, %HT_PLUGIN_ERROR_BAD_PASS where the technique itself is at fault.
 *
 * Returns: (transfer full) (nullable): a sealed state, or %NULL on failure
 */
HtModelState *
ht_pass_manager_run (HtPassManager *self, HtModelState *state, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (HT_IS_PASS_MANAGER (self), NULL);
  g_return_val_if_fail (HT_IS_MODEL_STATE (state), NULL);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  g_ptr_array_set_size (self->reports, 0);
  g_ptr_array_set_size (self->timings, 0);
  g_array_set_size (self->seconds, 0);
  if (!ht_pass_manager_check (self, state, error))
    return NULL;
  g_autoptr (HtModelState) current = NULL;
  if (ht_model_state_is_sealed (state))
    {
      current = g_object_ref (state);
    }
  else
    {
      current = ht_model_state_edit (state);
      ht_model_state_seal (current);
    }
  for (guint i = 0; i < ht_plan_get_n_steps (self->plan); i++)
    {
      JsonNode *report = NULL, *timings = NULL;
      double seconds = 0.0;
      const StepOutcome outcome = { &report, &timings, &seconds };
      HtModelState *next = run_named_step (self, i, current, &outcome, cancellable, error);
      if (next == NULL)
        return NULL;
      g_ptr_array_add (self->reports, report);
      g_ptr_array_add (self->timings, timings);
      g_array_append_val (self->seconds, seconds);
      g_set_object (&current, next);
      g_object_unref (next);
    }
  return g_steal_pointer (&current);
}

/**
 * ht_pass_manager_get_step_report:
 * @self: a manager
 * @step: which step
 *
 * Gets the report of a step that has run: `id`, `pass`, `version`, `parameters` (all of them, defaults included),
 * `notes`, `skipped` and `tables`. It holds nothing that differs between two runs of the same recipe.
 *
 * Returns: (transfer full) (nullable): a JSON object, or %NULL where the step has not run
 */
JsonNode *
ht_pass_manager_get_step_report (HtPassManager *self, guint step)
{
  g_return_val_if_fail (HT_IS_PASS_MANAGER (self), NULL);
  return step < self->reports->len ? json_node_copy (g_ptr_array_index (self->reports, step)) : NULL;
}

/**
 * ht_pass_manager_get_step_timings:
 * @self: a manager
 * @step: which step
 *
 * Gets the tables of what differs between two runs, such as the seconds for each layer. Those of layers that were taken
 * from checkpoints are from the run that computed them.
 *
 * Returns: (transfer full) (nullable): a JSON object of tables, or %NULL where the step has not run
 */
JsonNode *
ht_pass_manager_get_step_timings (HtPassManager *self, guint step)
{
  g_return_val_if_fail (HT_IS_PASS_MANAGER (self), NULL);
  return step < self->timings->len ? json_node_copy (g_ptr_array_index (self->timings, step)) : NULL;
}

/**
 * ht_pass_manager_get_step_seconds:
 * @self: a manager
 * @step: which step
 *
 * Says how long a step took.
 *
 * Returns: seconds; 0 where the step has not run
 */
double
ht_pass_manager_get_step_seconds (HtPassManager *self, guint step)
{
  g_return_val_if_fail (HT_IS_PASS_MANAGER (self), 0.0);
  return step < self->seconds->len ? g_array_index (self->seconds, double, step) : 0.0;
}
