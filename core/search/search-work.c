/* SPDX-License-Identifier: MIT */
#include "search/search-work.h"

#include "pass/pass-manager-private.h"
#include "quant/simulation-private.h"
#include "search/external-evaluator.h"

#include <glib/gstdio.h>
#include <halftone/error.h>

/* What the threads of one call share. */
typedef struct
{
  HtSearchWork *work;
  GMutex lock;
  GCond change;
  GPtrArray *wanted; /* nodes by number */
  guint n_running;
  gboolean is_stopped;
  GError *fatal;
  GAsyncQueue *events; /* of Event */
  GCancellable *cancellable;
} Crew;

typedef struct
{
  HtSearchNode *node; /* NULL: a thread has ended */
  HtSearchNodeStatus status;
} Event;

static void
post (Crew *crew, HtSearchNode *node, HtSearchNodeStatus status)
{
  Event *event = g_new (Event, 1);
  *event = (Event){ node, status };
  g_async_queue_push (crew->events, event);
}

HtSimulation *
ht_search_restore_simulation (HtModelState *state, HtQuantizationConfig *config, GError **error)
{
  g_autoptr (HtSimulation) simulation = ht_simulation_new (ht_model_state_get_graph (state), config, error);
  if (simulation == NULL || !ht_simulation_restore (simulation, state, error))
    return NULL;
  return g_steal_pointer (&simulation);
}

static HtModelState *
compute_step (HtSearchWork *self, HtSearchNode *node, HtModelState *parent, GCancellable *cancellable, GError **error)
{
  HtSearchNode *start = node;
  while (start->parent != NULL)
    start = start->parent;
  g_autoptr (HtPassManager) manager = ht_pass_manager_new (node->plan);
  ht_pass_manager_set_seed (manager, ht_recipe_get_seed (self->inputs->recipe));
  ht_pass_manager_set_memory_budget (manager, self->memory_budget);
  ht_pass_manager_set_scratch_folder (manager, self->scratch_folder);
  g_autoptr (HtDataset) calibration
      = self->inputs->calibration != NULL ? ht_dataset_copy (self->inputs->calibration) : NULL;
  if (calibration != NULL && !ht_dataset_bind (calibration, self->inputs->given, error))
    return NULL;
  ht_pass_manager_set_calibration (manager, calibration, self->inputs->batch[HT_DATA_CALIBRATION]);
  if (!ht_pass_manager_check (manager, g_hash_table_lookup (self->starts, start->key), error))
    return NULL;
  g_autoptr (JsonNode) report = NULL;
  HtModelState *state
      = ht_pass_manager_run_step (manager, node->step, parent, &report, &node->seconds, cancellable, error);
  /* Where the store had lost the state alone, others may be reading the report. */
  if (node->report == NULL)
    node->report = g_steal_pointer (&report);
  return state;
}

static HtModelState *
compute_calibration (HtSearchWork *self, HtSearchNode *node, HtModelState *parent, GCancellable *cancellable,
                     GError **error)
{
  g_autoptr (HtSimulation) simulation = ht_simulation_new (ht_model_state_get_graph (parent), node->config, error);
  if (simulation == NULL || !ht_simulation_load_state (simulation, parent, error)
      || !ht_run_inputs_calibrate (self->inputs, simulation, NULL, NULL, cancellable, error))
    return NULL;
  g_autoptr (HtModelState) state = ht_model_state_edit (parent);
  if (!ht_simulation_store (simulation, state, error))
    return NULL;
  ht_model_state_seal (state);
  return g_steal_pointer (&state);
}

HtMetrics *
ht_search_ask_program (HtSearchWork *self, HtGraph *graph, const char *key, GCancellable *cancellable, GError **error)
{
  g_autofree char *name = g_strdup_printf ("candidate-%.12s.onnx", key);
  g_autofree char *path = g_build_filename (self->scratch_folder, name, NULL);
  const char *recipe = ht_recipe_get_path (self->inputs->recipe);
  g_autofree char *folder = recipe != NULL ? g_path_get_dirname (recipe) : NULL; /* paths of a recipe start there */
  double score;
  if (!ht_graph_save (graph, path, error))
    return NULL;
  gboolean done = ht_external_evaluator_run (self->command, folder, self->timeout, path, cancellable, &score, error);
  g_unlink (path);
  return done ? ht_metrics_new_score (score) : NULL;
}

static HtMetrics *
ask_about (HtSearchWork *self, HtSearchNode *node, HtSimulation *simulation, GCancellable *cancellable, GError **error)
{
  g_autoptr (HtGraph) qdq
      = ht_simulation_to_qdq_full (simulation, ht_recipe_get_qdq_weights (self->inputs->recipe), error);
  return qdq != NULL ? ht_search_ask_program (self, qdq, node->key, cancellable, error) : NULL;
}

static HtMetrics *
compute_score (HtSearchWork *self, HtSearchNode *node, HtModelState *parent, GCancellable *cancellable, GError **error)
{
  g_autoptr (HtSimulation) simulation = ht_search_restore_simulation (parent, node->config, error);
  if (simulation == NULL)
    return NULL;
  ht_simulation_measure_costs (simulation, &node->size, &node->bit_operations);
  if (self->command != NULL)
    return ask_about (self, node, simulation, cancellable, error);
  HtDataset *part = g_ptr_array_index (self->parts, node->part);
  g_autoptr (HtExecutor) executor = ht_simulation_create_executor (simulation, error);
  g_autoptr (HtExecutor) reference = executor != NULL ? ht_executor_new (self->inputs->given, error) : NULL;
  if (reference == NULL)
    return NULL;
  return ht_evaluate (executor, reference, part, ht_run_inputs_get_batch (self->inputs, part), NULL, NULL, cancellable,
                      error);
}

/* Takes from the store what an earlier search put there. */
static gboolean
find_node (HtSearchWork *self, HtSearchNode *node)
{
  if (node->kind == HT_SEARCH_NODE_START)
    return TRUE;
  if (node->kind != HT_SEARCH_NODE_SCORE)
    return ht_store_get_report (self->store, node->key, &node->report, &node->seconds, NULL);
  g_autoptr (GVariant) outcome = ht_store_get_outcome (self->store, node->key, NULL);
  g_autoptr (GVariant) record = NULL;
  if (outcome == NULL || !g_variant_is_of_type (outcome, G_VARIANT_TYPE ("(dddv)")))
    return FALSE;
  g_variant_get (outcome, "(dddv)", &node->seconds, &node->size, &node->bit_operations, &record);
  node->metrics = ht_metrics_new_from_variant (record);
  return node->metrics != NULL;
}

/* What led to a node that is found is found with it, or computed again: its reports are a part of the result. */
static void
want (Crew *crew, HtSearchNode *node)
{
  for (; node != NULL && node->status == HT_SEARCH_NODE_OPEN && !node->is_wanted; node = node->parent)
    {
      node->was_found = find_node (crew->work, node);
      if (node->was_found)
        {
          node->status = HT_SEARCH_NODE_DONE;
          node->is_settled = TRUE;
          continue;
        }
      node->is_wanted = TRUE;
      g_ptr_array_add (crew->wanted, node);
    }
}

static int
compare_numbers (gconstpointer a, gconstpointer b)
{
  guint x = (*(HtSearchNode *const *)a)->number, y = (*(HtSearchNode *const *)b)->number;
  return x < y ? -1 : x > y;
}

/* NULL without an error: the store has lost it. */
static HtModelState *
load_parent (Crew *crew, HtSearchNode *parent, GError **error)
{
  if (parent->kind == HT_SEARCH_NODE_START)
    return g_object_ref (g_hash_table_lookup (crew->work->starts, parent->key));
  return ht_store_get_state (crew->work->store, parent->key, NULL, NULL, error);
}

typedef enum
{
  RESULT_DONE,
  RESULT_FAILED, /* this node, with its error */
  RESULT_LOST,   /* what its parent had made is gone */
  RESULT_FATAL,  /* the whole search */
} Result;

static Result
keep_state (HtSearchWork *self, HtSearchNode *node, HtModelState *state, GError **error)
{
  if (state == NULL)
    return RESULT_FAILED;
  gboolean kept = ht_store_put_state (self->store, node->key, state, node->report, node->seconds, error);
  g_object_unref (state);
  return kept ? RESULT_DONE : RESULT_FATAL;
}

static Result
compute (Crew *crew, HtSearchNode *node, GError **error)
{
  HtSearchWork *self = crew->work;
  gint64 since = g_get_monotonic_time ();
  g_autoptr (GError) local = NULL;
  g_autoptr (HtModelState) parent = load_parent (crew, node->parent, &local);
  if (parent == NULL && local != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&local));
      return RESULT_FATAL;
    }
  if (parent == NULL)
    return RESULT_LOST;
  if (node->kind == HT_SEARCH_NODE_STEP)
    return keep_state (self, node, compute_step (self, node, parent, crew->cancellable, error), error);
  if (node->kind == HT_SEARCH_NODE_CALIBRATE)
    {
      HtModelState *state = compute_calibration (self, node, parent, crew->cancellable, error);
      node->seconds = (double)(g_get_monotonic_time () - since) / G_USEC_PER_SEC;
      return keep_state (self, node, state, error);
    }
  node->metrics = compute_score (self, node, parent, crew->cancellable, error);
  node->seconds = (double)(g_get_monotonic_time () - since) / G_USEC_PER_SEC;
  if (node->metrics == NULL)
    return RESULT_FAILED;
  g_autoptr (GVariant) outcome = g_variant_ref_sink (
      g_variant_new ("(dddv)", node->seconds, node->size, node->bit_operations, ht_metrics_to_variant (node->metrics)));
  return ht_store_put_outcome (self->store, node->key, outcome, error) ? RESULT_DONE : RESULT_FATAL;
}

static void
fail_node (Crew *crew, HtSearchNode *node, GError *error)
{
  node->error = error;
  node->status = HT_SEARCH_NODE_FAILED;
  post (crew, node, HT_SEARCH_NODE_FAILED);
}

/* The first node in order whose parent is done. What hangs below a failed one fails on the way. With the lock. */
static HtSearchNode *
take_node (Crew *crew)
{
  for (guint i = 0; i < crew->wanted->len; i++)
    {
      HtSearchNode *node = g_ptr_array_index (crew->wanted, i);
      if (node->status != HT_SEARCH_NODE_OPEN)
        continue;
      if (node->parent->status == HT_SEARCH_NODE_FAILED)
        fail_node (crew, node, g_error_copy (node->parent->error));
      else if (node->parent->status == HT_SEARCH_NODE_DONE)
        return node;
    }
  return NULL;
}

/* With the lock. */
static void
settle (Crew *crew, HtSearchNode *node, Result result, GError *error)
{
  gboolean is_cancelled = g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  if (result == RESULT_DONE)
    {
      node->status = HT_SEARCH_NODE_DONE;
      post (crew, node, HT_SEARCH_NODE_DONE);
    }
  else if (result == RESULT_LOST)
    {
      HtSearchNode *lost = node->parent;
      node->status = HT_SEARCH_NODE_OPEN;
      /* Unless another thread has found it out before. */
      if (lost->status == HT_SEARCH_NODE_DONE)
        {
          lost->status = HT_SEARCH_NODE_OPEN;
          lost->is_wanted = FALSE;
          want (crew, lost);
          g_ptr_array_sort (crew->wanted, compare_numbers);
        }
    }
  else if (result == RESULT_FATAL || is_cancelled)
    {
      node->status = HT_SEARCH_NODE_OPEN;
      if (crew->fatal == NULL)
        crew->fatal = error;
      else
        g_error_free (error);
      crew->is_stopped = TRUE;
      g_cancellable_cancel (crew->cancellable);
    }
  else
    fail_node (crew, node, error);
}

static gpointer
work (gpointer data)
{
  Crew *crew = data;
  g_mutex_lock (&crew->lock);
  while (!crew->is_stopped)
    {
      HtSearchNode *node = take_node (crew);
      if (node == NULL && crew->n_running == 0)
        break;
      if (node == NULL)
        {
          g_cond_wait (&crew->change, &crew->lock);
          continue;
        }
      node->status = HT_SEARCH_NODE_RUNNING;
      node->was_found = FALSE;
      crew->n_running++;
      post (crew, node, HT_SEARCH_NODE_RUNNING);
      g_mutex_unlock (&crew->lock);
      GError *error = NULL;
      Result result = compute (crew, node, &error);
      g_mutex_lock (&crew->lock);
      crew->n_running--;
      settle (crew, node, result, error);
      g_cond_broadcast (&crew->change);
    }
  g_cond_broadcast (&crew->change);
  g_mutex_unlock (&crew->lock);
  post (crew, NULL, HT_SEARCH_NODE_DONE);
  return NULL;
}

static void
pass_on (GCancellable *outer G_GNUC_UNUSED, gpointer inner)
{
  g_cancellable_cancel (inner);
}

gboolean
ht_search_work_run (HtSearchWork *self, GPtrArray *scores, HtSearchNodeFunc func, gpointer user_data,
                    GCancellable *cancellable, GError **error)
{
  Crew crew = { .work = self,
                .wanted = g_ptr_array_new (),
                .events = g_async_queue_new_full (g_free),
                .cancellable = g_cancellable_new () };
  g_autofree GThread **threads = g_new (GThread *, self->jobs);
  gulong handler
      = cancellable != NULL ? g_cancellable_connect (cancellable, G_CALLBACK (pass_on), crew.cancellable, NULL) : 0;
  g_mutex_init (&crew.lock);
  g_cond_init (&crew.change);
  for (guint i = 0; i < scores->len; i++)
    want (&crew, g_ptr_array_index (scores, i));
  g_ptr_array_sort (crew.wanted, compare_numbers);
  for (guint i = 0; i < self->jobs; i++)
    threads[i] = g_thread_new ("search", work, &crew);
  for (guint n_left = self->jobs; n_left > 0;)
    {
      g_autofree Event *event = g_async_queue_pop (crew.events);
      if (event->node == NULL)
        {
          n_left--;
          continue;
        }
      event->node->is_settled = event->status != HT_SEARCH_NODE_RUNNING;
      if (func != NULL)
        func (event->node, event->status, user_data);
    }
  for (guint i = 0; i < self->jobs; i++)
    g_thread_join (threads[i]);
  for (guint i = 0; i < crew.wanted->len; i++)
    ((HtSearchNode *)g_ptr_array_index (crew.wanted, i))->is_wanted = FALSE;
  g_cancellable_disconnect (cancellable, handler);
  g_object_unref (crew.cancellable);
  g_ptr_array_unref (crew.wanted);
  g_async_queue_unref (crew.events);
  g_mutex_clear (&crew.lock);
  g_cond_clear (&crew.change);
  if (crew.fatal == NULL)
    return TRUE;
  g_propagate_error (error, crew.fatal);
  return FALSE;
}

HtModelState *
ht_search_work_get_state (HtSearchWork *self, HtSearchNode *node, GCancellable *cancellable, GError **error)
{
  if (node->kind == HT_SEARCH_NODE_START)
    return g_object_ref (g_hash_table_lookup (self->starts, node->key));
  g_autoptr (GError) local = NULL;
  HtModelState *state = ht_store_get_state (self->store, node->key, NULL, NULL, &local);
  if (state != NULL)
    return state;
  if (local != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&local));
      return NULL;
    }
  g_autoptr (GPtrArray) again = g_ptr_array_new ();
  g_ptr_array_add (again, node);
  node->status = HT_SEARCH_NODE_OPEN;
  if (!ht_search_work_run (self, again, NULL, NULL, cancellable, error))
    return NULL;
  if (node->status == HT_SEARCH_NODE_FAILED)
    {
      g_propagate_error (error, g_error_copy (node->error));
      return NULL;
    }
  return ht_store_get_state (self->store, node->key, NULL, NULL, error);
}
