/* SPDX-License-Identifier: MIT */
/* A search from recipe to result: opens model and data, lets a strategy propose candidates, has them computed, looks at
 * their results in the order in which they were proposed, keeps the best on disk. */
#include "pass/code-digest.h"
#include "recipe/recipe-space-private.h"
#include "search/search-private.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <halftone/error.h>
#include <math.h>

/* Without a budget. What goes from memory stays on disk. */
#define STATES_IN_MEMORY ((guint64)1 << 30)

/* Data that the caller gives instead of the recipe's. */
typedef struct
{
  HtDataRole role;
  char *path, *labels;
} Override;

/**
 * HtSearch:
 *
 * One search through the combinations of a recipe with choices.
 */
G_DEFINE_FINAL_TYPE (HtSearch, ht_search, G_TYPE_OBJECT)

static void
free_override (gpointer data)
{
  Override *self = data;
  g_free (self->path);
  g_free (self->labels);
  g_free (self);
}

static void
free_candidate (gpointer data)
{
  HtCandidate *self = data;
  ht_combination_unref (self->combination);
  g_clear_object (&self->recipe);
  g_clear_object (&self->metrics);
  g_clear_error (&self->own_error);
  g_ptr_array_unref (self->scores);
  g_free (self->stopped_by);
  g_free (self);
}

static void
clear_progress (HtSearch *self)
{
  if (self->progress_destroy != NULL)
    self->progress_destroy (self->progress_data);
  self->progress = NULL;
  self->progress_destroy = NULL;
}

static void
ht_search_finalize (GObject *object)
{
  HtSearch *self = HT_SEARCH (object);
  clear_progress (self);
  g_ptr_array_unref (self->candidates);
  g_ptr_array_unref (self->overrides);
  g_ptr_array_unref (self->baselines);
  g_hash_table_unref (self->by_combination);
  g_hash_table_unref (self->illegal);
  g_hash_table_unref (self->laws);
  g_clear_pointer (&self->work.tree, ht_search_tree_free);
  g_clear_pointer (&self->work.starts, g_hash_table_unref);
  g_clear_pointer (&self->work.parts, g_ptr_array_unref);
  g_clear_pointer (&self->work.part_hashes, g_ptr_array_unref);
  g_clear_pointer (&self->work.store, ht_store_close);
  g_free (self->work.scratch_folder);
  g_clear_pointer (&self->journal, ht_journal_close);
  ht_run_inputs_clear (&self->inputs);
  g_clear_object (&self->baseline);
  g_clear_object (&self->figure);
  g_clear_object (&self->figure_baseline);
  g_clear_object (&self->space);
  g_clear_pointer (&self->report, json_node_unref);
  g_free (self->calibration_hash);
  g_free (self->code);
  g_free (self->model_path);
  g_free (self->output_folder);
  g_free (self->why);
  g_free (self->ended);
  G_OBJECT_CLASS (ht_search_parent_class)->finalize (object);
}

static void
ht_search_class_init (HtSearchClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_search_finalize;
}

static void
ht_search_init (HtSearch *self)
{
  self->candidates = g_ptr_array_new_with_free_func (free_candidate);
  self->overrides = g_ptr_array_new_with_free_func (free_override);
  self->baselines = g_ptr_array_new_with_free_func (g_object_unref);
  self->by_combination = g_hash_table_new (ht_combination_hash, ht_combination_equal);
  self->illegal
      = g_hash_table_new_full (ht_combination_hash, ht_combination_equal, (GDestroyNotify)ht_combination_unref, NULL);
  self->laws = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
}

/**
 * ht_search_new:
 * @space: the recipes to choose from
 *
 * Returns: (transfer full): a search that has not begun
 */
HtSearch *
ht_search_new (HtRecipeSpace *space)
{
  g_return_val_if_fail (HT_IS_RECIPE_SPACE (space), NULL);
  HtSearch *self = g_object_new (HT_TYPE_SEARCH, NULL);
  HtRecipe *recipe = ht_recipe_space_get_recipe (space);
  self->space = g_object_ref (space);
  self->objective = ht_recipe_space_get_objective (space);
  self->settings = ht_recipe_space_get_settings (space);
  self->model_path = g_strdup (ht_recipe_get_model_path (recipe));
  self->output_folder = g_strdup (ht_recipe_get_output_folder (recipe));
  return self;
}

/**
 * ht_search_set_model_path:
 * @self: a search
 * @path: (type filename): a model to take instead of the recipe's
 */
void
ht_search_set_model_path (HtSearch *self, const char *path)
{
  g_return_if_fail (HT_IS_SEARCH (self) && path != NULL);
  g_free (self->model_path);
  self->model_path = g_strdup (path);
}

/**
 * ht_search_set_output_folder:
 * @self: a search
 * @path: (type filename): a folder to write to instead of the recipe's
 */
void
ht_search_set_output_folder (HtSearch *self, const char *path)
{
  g_return_if_fail (HT_IS_SEARCH (self) && path != NULL);
  g_free (self->output_folder);
  self->output_folder = g_strdup (path);
}

/**
 * ht_search_set_memory_budget:
 * @self: a search
 * @bytes: what may be kept in memory, 0 for any amount
 */
void
ht_search_set_memory_budget (HtSearch *self, guint64 bytes)
{
  g_return_if_fail (HT_IS_SEARCH (self));
  self->memory_budget = bytes;
}

/**
 * ht_search_override_data:
 * @self: a search
 * @role: what the data is for
 * @path: (type filename): a file of arrays to take instead of the recipe's, relative to the current folder
 * @labels: (type filename) (nullable): its labels
 *
 * Takes other data than the recipe names, see ht_recipe_override_data().
 */
void
ht_search_override_data (HtSearch *self, HtDataRole role, const char *path, const char *labels)
{
  g_return_if_fail (HT_IS_SEARCH (self) && path != NULL);
  Override *override = g_new (Override, 1);
  *override = (Override){ role, g_canonicalize_filename (path, NULL),
                          labels != NULL ? g_canonicalize_filename (labels, NULL) : NULL };
  g_ptr_array_add (self->overrides, override);
}

/**
 * ht_search_drop_preprocessing:
 * @self: a search
 *
 * Takes data as it is, see ht_recipe_drop_preprocessing().
 */
void
ht_search_drop_preprocessing (HtSearch *self)
{
  g_return_if_fail (HT_IS_SEARCH (self));
  self->drops_preprocessing = TRUE;
}

/**
 * ht_search_set_progress:
 * @self: a search
 * @func: (scope notified) (nullable) (closure user_data) (destroy destroy): called as the work goes on
 * @user_data: for @func
 * @destroy: (nullable): frees @user_data
 */
void
ht_search_set_progress (HtSearch *self, HtProgressFunc func, gpointer user_data, GDestroyNotify destroy)
{
  g_return_if_fail (HT_IS_SEARCH (self));
  clear_progress (self);
  self->progress = func;
  self->progress_data = user_data;
  self->progress_destroy = destroy;
}

void
ht_search_apply_overrides (HtSearch *self, HtRecipe *recipe)
{
  for (guint i = 0; i < self->overrides->len; i++)
    {
      Override *override = g_ptr_array_index (self->overrides, i);
      ht_recipe_override_data (recipe, override->role, override->path, override->labels);
    }
  if (self->drops_preprocessing)
    ht_recipe_drop_preprocessing (recipe);
}

static void
digest_code (HtSearch *self)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  g_autoptr (GPtrArray) plugins = ht_pass_registry_list_plugins (self->space->registry);
  ht_digest_library (checksum);
  for (guint i = 0; i < plugins->len; i++)
    ht_digest_plugin (checksum, g_ptr_array_index (plugins, i));
  self->code = g_strdup (g_checksum_get_string (checksum));
}

char *
ht_search_name_start (HtSearch *self, const char *hash)
{
  g_autofree char *text = g_strdup_printf ("%s\n%s", self->code, hash);
  return g_compute_checksum_for_string (G_CHECKSUM_SHA256, text, -1);
}

/* A journal line, and no more than that: what it cannot hold is told by the next thing that is written. */
void
ht_search_event (HtSearch *self, const char *event, JsonObject *members)
{
  json_object_set_string_member (members, "event", event);
  ht_journal_append (self->journal, members, NULL);
  json_object_unref (members);
}

/* In the thread that met the damage. */
static void
note_repair (const char *what, const char *key, const char *reason, gpointer user_data)
{
  JsonObject *members = json_object_new ();
  json_object_set_string_member (members, "what", what);
  json_object_set_string_member (members, "key", key);
  json_object_set_string_member (members, "reason", reason);
  ht_search_event (user_data, "repaired", members);
}

static gboolean
open_folder (HtSearch *self, GError **error)
{
  if (g_mkdir_with_parents (self->output_folder, 0755) != 0)
    {
      int code = errno;
      g_set_error (error, HT_ERROR, HT_ERROR_FAILED, "cannot make the output folder '%s': %s; choose another one",
                   self->output_folder, g_strerror (code));
      return FALSE;
    }
  g_autofree char *store = g_build_filename (self->output_folder, "store", NULL);
  g_autofree char *journal = g_build_filename (self->output_folder, "journal.jsonl", NULL);
  self->work.scratch_folder = g_build_filename (self->output_folder, "scratch", NULL);
  self->work.store
      = ht_store_open (store, self->work.memory_budget > 0 ? self->work.memory_budget : STATES_IN_MEMORY, error);
  if (self->work.store == NULL || g_mkdir_with_parents (self->work.scratch_folder, 0755) != 0)
    return self->work.store != NULL && ht_search_fail_errno (error, "make", self->work.scratch_folder);
  self->journal = ht_journal_open (journal, error);
  if (self->journal == NULL)
    return FALSE;
  ht_store_set_repair_func (self->work.store, note_repair, self);
  return TRUE;
}

static gboolean
prepare (HtSearch *self, HtSearchStrategy *strategy, GCancellable *cancellable, GError **error)
{
  HtRecipe *recipe = ht_recipe_space_get_recipe (self->space);
  ht_search_apply_overrides (self, recipe);
  ht_run_inputs_init (&self->inputs, recipe);
  g_free (self->inputs.model_path);
  self->inputs.model_path = g_strdup (self->model_path);
  self->work.memory_budget
      = self->memory_budget > 0 ? self->memory_budget : ht_search_settings_get_memory (self->settings);
  self->inputs.memory_budget = self->work.memory_budget;
  self->inputs.holds_out = ht_objective_get_data (self->objective) == HT_OBJECTIVE_DATA_HELD_OUT;
  *strategy = ht_strategy_resolve (self->space, self->settings, &self->why);
  g_autoptr (HtCombination) legal = ht_recipe_space_find_legal (self->space, error);
  if (legal == NULL)
    return FALSE;
  digest_code (self);
  self->work.inputs = &self->inputs;
  self->work.tree = ht_search_tree_new ();
  self->work.starts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_object_unref);
  self->work.jobs = MAX (ht_search_settings_get_jobs (self->settings), 1);
  if (!ht_run_inputs_open (&self->inputs, error))
    return FALSE;
  ht_recipe_space_learn_from_graph (self->space, self->inputs.given);
  g_autoptr (HtCombination) fitting = ht_recipe_space_find_legal (self->space, error); /* of this model */
  if (fitting == NULL)
    return FALSE;
  if (self->inputs.calibration != NULL)
    {
      self->calibration_hash = ht_dataset_hash (self->inputs.calibration, error);
      if (self->calibration_hash == NULL)
        return FALSE;
    }
  self->step_inputs = (HtStepInputs){ .seed = ht_recipe_get_seed (recipe),
                                      .calibration = self->calibration_hash,
                                      .batch = self->inputs.batch[HT_DATA_CALIBRATION] };
  return ht_search_choose_judge (self, *strategy, error) && open_folder (self, error)
         && ht_search_measure_baseline (self, cancellable, error);
}

static const char *
describe_kind (HtSearchNode *node)
{
  switch (node->kind)
    {
    case HT_SEARCH_NODE_STEP:
      return ht_plan_get_step_id (node->plan, node->step);
    case HT_SEARCH_NODE_CALIBRATE:
      return "calibrate";
    case HT_SEARCH_NODE_SCORE:
      return "evaluate";
    default:
      return "start";
    }
}

/* "batchnorm-folding › round › calibrate" */
static void
append_position (GString *message, HtSearchNode *node)
{
  if (node->parent != NULL && node->parent->kind != HT_SEARCH_NODE_START)
    {
      append_position (message, node->parent);
      g_string_append (message, " › ");
    }
  g_string_append (message, describe_kind (node));
}

/* "best 2: top1 0.995 (0.987 … 0.998)" */
static void
append_best (HtSearch *self, GString *message)
{
  const char *metric = ht_metric_get_name (ht_objective_get_metric (self->objective));
  g_autofree char *low = g_strconcat (metric, "-low", NULL), *high = g_strconcat (metric, "-high", NULL);
  double from = ht_metrics_get (self->best->metrics, low), to = ht_metrics_get (self->best->metrics, high);
  g_string_append_printf (message, "best %u: %s %.4g", self->best->number, metric,
                          ht_search_get_metric (self, self->best));
  if (!isnan (from) && !isnan (to))
    g_string_append_printf (message, " (%.4g … %.4g)", from, to);
}

/* A line for how far it is, one for the best so far, one for the work at hand. */
static void
report_progress (HtSearch *self, HtSearchNode *node)
{
  guint n_scored = 0;
  if (self->progress == NULL)
    return;
  for (guint i = 0; i < self->candidates->len; i++)
    n_scored += ((HtCandidate *)g_ptr_array_index (self->candidates, i))->status != HT_CANDIDATE_OPEN;
  g_autoptr (GString) message = g_string_new (NULL);
  g_string_append_printf (message, "%u of %u tried\n", n_scored, self->candidates->len);
  if (self->best != NULL)
    {
      append_best (self, message);
      g_string_append_c (message, '\n');
    }
  append_position (message, node);
  self->progress (MIN (0.99, (double)n_scored / MAX (self->candidates->len, 1)), message->str, self->progress_data);
}

/* Asks for a candidate's scores up to a part. */
static void
ask_for (HtSearch *self, HtCandidate *candidate, guint n_parts, GPtrArray *scores)
{
  for (guint part = candidate->scores->len; candidate->calibrated != NULL && part < n_parts; part++)
    {
      HtSearchNode *node = ht_search_tree_add_score (self->work.tree, candidate->calibrated, part,
                                                     g_ptr_array_index (self->work.part_hashes, part));
      g_ptr_array_add (candidate->scores, node);
      g_ptr_array_add (scores, node);
    }
}

/* Takes over what the nodes of a candidate say. */
static void
take_scores (HtSearch *self, HtCandidate *candidate)
{
  g_autoptr (GPtrArray) parts = g_ptr_array_new ();
  for (guint i = 0; i < candidate->scores->len && candidate->status != HT_CANDIDATE_FAILED; i++)
    {
      HtSearchNode *node = g_ptr_array_index (candidate->scores, i);
      if (node->status == HT_SEARCH_NODE_FAILED)
        {
          candidate->status = HT_CANDIDATE_FAILED;
          candidate->error = node->error;
        }
      else if (node->metrics != NULL)
        g_ptr_array_add (parts, node->metrics);
    }
  if (candidate->status == HT_CANDIDATE_FAILED || parts->len <= candidate->n_parts)
    return;
  for (guint i = candidate->n_parts; i < parts->len; i++)
    self->n_samples_scored += ht_metrics_get_n_samples (g_ptr_array_index (parts, i));
  g_clear_object (&candidate->metrics);
  candidate->metrics = ht_metrics_join ((HtMetrics **)parts->pdata, parts->len);
  candidate->n_parts = parts->len;
  if (candidate->n_parts == ht_search_get_n_parts (self))
    candidate->status = HT_CANDIDATE_SCORED;
  JsonObject *members = json_object_new ();
  json_object_set_int_member (members, "candidate", candidate->number);
  json_object_set_member (members, "combination",
                          ht_recipe_space_combination_to_json (self->space, candidate->combination));
  json_object_set_member (members, "metrics", ht_metrics_to_json (candidate->metrics));
  ht_search_event (self, "scored", members);
}

/* Writes the best so far, where it is another one than the one on disk. */
static gboolean
keep_best (HtSearch *self, GCancellable *cancellable, GError **error)
{
  HtCandidate *best = ht_search_pick (self, NULL);
  if (best == NULL || (best == self->best && best->n_parts == self->n_best_parts))
    return TRUE;
  if (!ht_search_write_best (self, best, cancellable, error))
    return FALSE;
  self->best = best;
  self->n_best_parts = best->n_parts;
  JsonObject *members = json_object_new ();
  json_object_set_int_member (members, "candidate", best->number);
  ht_search_event (self, "best", members);
  return TRUE;
}

static gboolean
has_met_target (HtSearch *self)
{
  HtCandidate *best = ht_search_pick (self, NULL);
  return best != NULL && ht_objective_get_n_constraints (self->objective) > 0 && ht_search_is_feasible (self, best);
}

static double
get_seconds (HtSearch *self)
{
  return (double)(g_get_monotonic_time () - self->began) / G_USEC_PER_SEC;
}

/* Why the search should end now, or NULL. */
static char *
find_end (HtSearch *self)
{
  double time = ht_search_settings_get_time (self->settings);
  if (ht_search_settings_get_stop (self->settings) == HT_SEARCH_STOP_TARGET && has_met_target (self))
    return g_strdup ("the target is met");
  if (time > 0 && get_seconds (self) >= time)
    return g_strdup ("the time of the budget is over");
  return NULL;
}

static gboolean
is_settled (HtCandidate *candidate)
{
  for (guint i = 0; i < candidate->scores->len; i++)
    if (!((HtSearchNode *)g_ptr_array_index (candidate->scores, i))->is_settled)
      return FALSE;
  return TRUE;
}

/* Looks at results in the order in which their candidates were proposed, whatever the order in which they come: where a
 * search ends, and what it kept, does not depend on the number of jobs. */
static void
look_at_results (HtSearch *self)
{
  while (self->next < self->wave->len && self->ended == NULL && self->write_error == NULL
         && is_settled (g_ptr_array_index (self->wave, self->next)))
    {
      take_scores (self, g_ptr_array_index (self->wave, self->next++));
      self->ended = find_end (self);
    }
  /* Once for all results that are there: what a search that goes on has found is no step back from the best on disk. */
  if (self->write_error == NULL)
    keep_best (self, NULL, &self->write_error);
  if (self->ended != NULL || self->write_error != NULL)
    g_cancellable_cancel (self->stop);
}

static void
note_node (HtSearchNode *node, HtSearchNodeStatus status, gpointer user_data)
{
  HtSearch *self = user_data;
  if (status != HT_SEARCH_NODE_RUNNING)
    {
      JsonObject *members = json_object_new ();
      json_object_set_string_member (members, "key", node->key);
      json_object_set_string_member (members, "what", describe_kind (node));
      if (status == HT_SEARCH_NODE_DONE)
        json_object_set_double_member (members, "seconds", node->seconds);
      else
        json_object_set_string_member (members, "error", node->error->message);
      ht_search_event (self, status == HT_SEARCH_NODE_DONE ? "done" : "failed", members);
      look_at_results (self);
    }
  report_progress (self, node);
}

static void
pass_on (GCancellable *outer G_GNUC_UNUSED, gpointer inner)
{
  g_cancellable_cancel (inner);
}

static gboolean
run_wave (HtSearch *self, GPtrArray *wave, GArray *parts, GCancellable *cancellable, GError **error)
{
  g_autoptr (GPtrArray) scores = g_ptr_array_new ();
  g_autoptr (GCancellable) stop = g_cancellable_new ();
  g_autoptr (GError) local = NULL;
  for (guint i = 0; i < wave->len; i++)
    ask_for (self, g_ptr_array_index (wave, i), g_array_index (parts, guint, i), scores);
  self->wave = wave;
  self->next = 0;
  self->stop = stop;
  gulong handler = cancellable != NULL ? g_cancellable_connect (cancellable, G_CALLBACK (pass_on), stop, NULL) : 0;
  gboolean done = ht_search_work_run (&self->work, scores, note_node, self, stop, &local);
  g_cancellable_disconnect (cancellable, handler);
  if (done)
    look_at_results (self); /* those that were all found */
  self->wave = NULL;
  self->stop = NULL;
  if (self->write_error != NULL)
    g_propagate_error (error, g_steal_pointer (&self->write_error));
  else if (!done && self->ended == NULL)
    g_propagate_error (error, g_steal_pointer (&local));
  else
    return TRUE;
  return FALSE;
}

static gboolean
go_through (HtSearch *self, HtStrategy *strategy, GCancellable *cancellable, GError **error)
{
  while (self->ended == NULL)
    {
      g_autoptr (GPtrArray) wave = g_ptr_array_new ();
      g_autoptr (GArray) parts = g_array_new (FALSE, FALSE, sizeof (guint));
      strategy->propose (strategy, self, wave, parts);
      if (wave->len == 0)
        {
          self->ended = g_strdup ("the strategy is through");
          break;
        }
      if (!run_wave (self, wave, parts, cancellable, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
fail_all (HtSearch *self, GError **error)
{
  HtCandidate *first = g_ptr_array_index (self->candidates, 0);
  const char *message = first->error != NULL ? first->error->message : "it was not scored";
  g_set_error (error, first->error != NULL ? first->error->domain : HT_ERROR,
               first->error != NULL ? first->error->code : HT_ERROR_FAILED,
               "none of the %u candidates gave a result; the first: %s", self->candidates->len, message);
  return FALSE;
}

static gboolean
finish (HtSearch *self, GCancellable *cancellable, GError **error)
{
  if (self->best == NULL)
    return fail_all (self, error);
  self->target_met = ht_objective_get_n_constraints (self->objective) == 0 || has_met_target (self);
  return ht_search_measure_figure (self, cancellable, error) && ht_search_write_report (self, error);
}

/**
 * ht_search_execute:
 * @self: a search that has not begun
 * @cancellable: (nullable): stops the work; the best so far is on disk
 * @error: return location for an error
 *
 * Searches. Every finished piece of work is kept in the output folder, so that the same search started there again goes
 * on where this one ended, and ends with the same result. A technique that fails ends the candidates that need it, and
 * nothing else.
 *
 * Returns: whether a result and the report were written
 */
gboolean
ht_search_execute (HtSearch *self, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (HT_IS_SEARCH (self) && self->work.tree == NULL, FALSE);
  HtSearchStrategy chosen;
  self->began = g_get_monotonic_time ();
  if (!prepare (self, &chosen, cancellable, error))
    return FALSE;
  HtStrategy *strategy = ht_strategy_new (chosen);
  self->strategy = strategy->name;
  JsonObject *members = json_object_new ();
  json_object_set_string_member (members, "strategy", self->strategy);
  ht_search_event (self, "begin", members);
  gboolean done = go_through (self, strategy, cancellable, error);
  strategy->free (strategy);
  if (!done || !finish (self, cancellable, error))
    return FALSE;
  members = json_object_new ();
  json_object_set_string_member (members, "why", self->ended);
  ht_search_event (self, "end", members);
  if (self->progress != NULL)
    self->progress (1, "done", self->progress_data);
  return TRUE;
}

/**
 * ht_search_has_best:
 * @self: a search
 *
 * Returns: whether ht_search_get_best_folder() holds a model
 */
gboolean
ht_search_has_best (HtSearch *self)
{
  g_return_val_if_fail (HT_IS_SEARCH (self), FALSE);
  return self->best != NULL;
}

/**
 * ht_search_is_target_met:
 * @self: a search that has ended
 *
 * Returns: whether the result meets all conditions of the objective
 */
gboolean
ht_search_is_target_met (HtSearch *self)
{
  g_return_val_if_fail (HT_IS_SEARCH (self), FALSE);
  return self->target_met;
}

/**
 * ht_search_get_best_folder:
 * @self: a search
 *
 * Returns: (transfer full) (type filename): where the files of the best candidate are
 */
char *
ht_search_get_best_folder (HtSearch *self)
{
  g_return_val_if_fail (HT_IS_SEARCH (self), NULL);
  return g_build_filename (self->output_folder, "best", NULL);
}

/**
 * ht_search_get_report:
 * @self: a search
 *
 * Returns: (transfer none) (nullable): the report, as written to report.json
 */
JsonNode *
ht_search_get_report (HtSearch *self)
{
  g_return_val_if_fail (HT_IS_SEARCH (self), NULL);
  return self->report;
}
