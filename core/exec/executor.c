/* SPDX-License-Identifier: MIT */
#include "exec/exec-tap.h"
#include "exec/executor-private.h"
#include "quant/encoding-private.h"

#include "base/thread-pool.h"
#include "exec/exec-packed.h"
#include "graph/graph-private.h"

#include <halftone/error.h>
#include <stdlib.h>
#include <string.h>

#define N_PLANS         4
#define ARENA_ALIGNMENT ((gsize)64)

/**
 * HtExecutor:
 *
 * Runs a network. For each signature of a run (names and shapes of what is given, what is wanted, what is tapped) it
 * plans once: which nodes, in which order, in which memory. The last few plans are kept, and all of them use one
 * stretch of memory.
 *
 * A run may start at any tensor and end at any tensor. Encodings make it a simulation of the quantized network: an
 * encoded activation is fake-quantized right where it is made, an encoded constant once. Results do not depend on the
 * number of threads.
 *
 * An executor runs once at a time; a second thread waits.
 */
G_DEFINE_FINAL_TYPE (HtExecutor, ht_executor, G_TYPE_OBJECT)

static void
ht_executor_dispose (GObject *object)
{
  HtExecutor *self = HT_EXECUTOR (object);

  g_clear_pointer (&self->captures, g_hash_table_unref);
  g_clear_pointer (&self->children, g_hash_table_unref);
  g_clear_pointer (&self->plans, g_ptr_array_unref);
  g_clear_pointer (&self->quantized, g_hash_table_unref);
  g_clear_pointer (&self->packed, g_hash_table_unref);
  g_clear_pointer (&self->store, ht_exec_store_unref);
  g_clear_pointer (&self->encodings, g_hash_table_unref);
  g_clear_object (&self->snapshot);
  g_clear_object (&self->graph);
  free (g_steal_pointer (&self->arena));
  self->arena_size = 0;
  G_OBJECT_CLASS (ht_executor_parent_class)->dispose (object);
}

static void
ht_executor_finalize (GObject *object)
{
  g_mutex_clear (&HT_EXECUTOR (object)->lock);
  G_OBJECT_CLASS (ht_executor_parent_class)->finalize (object);
}

static void
ht_executor_class_init (HtExecutorClass *class)
{
  G_OBJECT_CLASS (class)->dispose = ht_executor_dispose;
  G_OBJECT_CLASS (class)->finalize = ht_executor_finalize;
}

static void
ht_executor_init (HtExecutor *self)
{
  g_mutex_init (&self->lock);
  self->encoding_changes = 1;
  self->encodings = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_encoding_unref);
  self->quantized = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_exec_kept_unref);
  self->packed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_exec_kept_unref);
  self->plans = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_exec_plan_free);
  self->children = g_hash_table_new_full (NULL, NULL, g_object_unref, g_object_unref);
}

/**
 * ht_executor_new:
 * @graph: a graph
 * @error: return location for an error
 *
 * Makes an executor for @graph as it is now: later changes of a graph that is not sealed are not seen. Nothing is
 * planned yet; what the operators cannot do shows when they must run.
 *
 * Fails with %HT_ERROR_INVALID_MODEL when the nodes form a cycle and with %HT_ERROR_INVALID_ARGUMENT when the
 * environment variable `HALFTONE_THREADS` is not a number of threads.
 *
 * Returns: (transfer full): the executor, or %NULL with @error set
 */
HtExecutor *
ht_executor_new (HtGraph *graph, GError **error)
{
  g_return_val_if_fail (HT_IS_GRAPH (graph), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!ht_thread_pool_check_environment (error))
    return NULL;
  g_autoptr (HtExecutor) self = g_object_new (HT_TYPE_EXECUTOR, NULL);
  self->graph = g_object_ref (graph);
  if (ht_graph_is_sealed (graph))
    {
      self->snapshot = g_object_ref (graph);
    }
  else
    {
      self->snapshot = ht_graph_copy (graph);
      if (!ht_graph_sort (self->snapshot, error))
        return NULL;
      ht_graph_seal (self->snapshot);
    }
  return g_steal_pointer (&self);
}

/* The copy gets the opsets of the model, which only its main graph states, and what it reads from constants around it:
 * so its shapes can be inferred on their own. */
HtExecutor *
ht_executor_new_child (HtExecutor *self, HtGraph *subgraph, GHashTable *constants)
{
  HtExecutor *child = g_object_new (HT_TYPE_EXECUTOR, NULL);
  HtGraph *copy = ht_graph_copy (subgraph);
  guint n_nodes = ht_graph_get_n_nodes (copy);
  GHashTableIter iter;
  gpointer name, tensor;

  for (guint i = 0; i < n_nodes; i++)
    {
      const char *domain = ht_node_get_domain (ht_graph_get_node (copy, i));
      gint64 opset = ht_graph_get_opset (self->snapshot, domain);
      if (opset > 0 && ht_graph_get_opset (copy, domain) != opset)
        ht_graph_set_opset (copy, domain, opset);
    }
  child->captures = ht_exec_find_captures (subgraph);
  g_hash_table_iter_init (&iter, constants);
  while (g_hash_table_iter_next (&iter, &name, &tensor))
    if (g_hash_table_contains (child->captures, name))
      ht_graph_set_initializer (copy, name, tensor);
  ht_graph_seal (copy);
  child->graph = g_object_ref (subgraph);
  child->snapshot = copy;
  g_hash_table_unref (child->encodings);
  child->encodings = g_hash_table_ref (self->encodings);
  child->mode = self->mode;
  child->taps_in_any_order = self->taps_in_any_order;
  g_hash_table_replace (self->children, g_object_ref (subgraph), child);
  return child;
}

/**
 * ht_executor_get_graph:
 * @self: an executor
 *
 * Returns: (transfer none): the graph it was made for
 */
HtGraph *
ht_executor_get_graph (HtExecutor *self)
{
  g_return_val_if_fail (HT_IS_EXECUTOR (self), NULL);
  return self->graph;
}

/* Who is encoded decides what may share memory and what may be folded; a new grid for an encoded tensor does not. */
static void
forget_plans (HtExecutor *self)
{
  g_ptr_array_set_size (self->plans, 0);
  g_hash_table_remove_all (self->children);
}

void
ht_executor_set_mode (HtExecutor *self, HtExecMode mode)
{
  g_mutex_lock (&self->lock);
  self->mode = mode;
  forget_plans (self);
  g_mutex_unlock (&self->lock);
}

void
ht_executor_show_in_any_order (HtExecutor *self)
{
  g_mutex_lock (&self->lock);
  self->taps_in_any_order = TRUE;
  forget_plans (self);
  g_mutex_unlock (&self->lock);
}

static guint
count_tensors (HtExecutor *self, HtEncoding *encoding)
{
  GHashTableIter iter;
  gpointer name, other;
  guint n = 0;

  g_hash_table_iter_init (&iter, self->encodings);
  while (g_hash_table_iter_next (&iter, &name, &other))
    n += other == encoding;
  return n;
}

/* Plans count on these properties of an encoding, and on two tensors having the same one; all else may change under
 * them. */
static gboolean
changes_plans (HtExecutor *self, HtEncoding *old, HtEncoding *new)
{
  gsize n_old, n_new;

  if (old == NULL || new == NULL || count_tensors (self, old) > 1 || count_tensors (self, new) > 0)
    return TRUE;
  ht_encoding_get_scales (old, &n_old);
  ht_encoding_get_scales (new, &n_new);
  return n_old != n_new || ht_encoding_get_bits (old) != ht_encoding_get_bits (new)
         || ht_encoding_get_format (old) != ht_encoding_get_format (new)
         || ht_encoding_get_axis (old) != ht_encoding_get_axis (new)
         || ht_encoding_get_block_axis (old) != ht_encoding_get_block_axis (new) || old->rounds_up != new->rounds_up;
}

/**
 * ht_executor_set_encoding:
 * @self: an executor that is not running
 * @tensor: a name; one the graph does not have is without effect
 * @encoding: (nullable): the grid, or %NULL to leave the tensor as it is
 *
 * Simulates the quantization of @tensor in the runs to come. The grid applies wherever the tensor comes from: a given
 * tensor is copied, an initializer is quantized once, all others are quantized right after they are made. Tensors
 * inside subgraphs count by name as well. Only tensors of 32-bit floats can be quantized: a run fails on others.
 */
void
ht_executor_set_encoding (HtExecutor *self, const char *tensor, HtEncoding *encoding)
{
  g_return_if_fail (HT_IS_EXECUTOR (self));
  g_return_if_fail (tensor != NULL);

  g_mutex_lock (&self->lock);
  HtEncoding *old = g_hash_table_lookup (self->encodings, tensor);
  if (old != encoding)
    {
      g_hash_table_remove (self->quantized, tensor);
      ht_executor_forget_packed (self, tensor);
      self->encoding_changes++;
      if (changes_plans (self, old, encoding))
        forget_plans (self);
      else
        g_hash_table_remove_all (self->children);
      if (encoding)
        g_hash_table_replace (self->encodings, g_strdup (tensor), ht_encoding_ref (encoding));
      else
        g_hash_table_remove (self->encodings, tensor);
    }
  g_mutex_unlock (&self->lock);
}

/**
 * ht_executor_clear_encodings:
 * @self: an executor that is not running
 *
 * Makes it run the network in floating point again.
 */
void
ht_executor_clear_encodings (HtExecutor *self)
{
  g_return_if_fail (HT_IS_EXECUTOR (self));

  g_mutex_lock (&self->lock);
  if (g_hash_table_size (self->encodings) > 0)
    {
      GHashTableIter iter;
      gpointer name;
      g_hash_table_iter_init (&iter, self->encodings);
      while (g_hash_table_iter_next (&iter, &name, NULL))
        ht_executor_forget_packed (self, name);
      g_hash_table_remove_all (self->encodings);
      g_hash_table_remove_all (self->quantized);
      self->encoding_changes++;
      forget_plans (self);
    }
  g_mutex_unlock (&self->lock);
}

void
ht_executor_free_arena (gpointer arena)
{
  free (arena);
}

static gboolean
reserve_arena (HtExecutor *self, gsize size, GError **error)
{
  if (size <= self->arena_size)
    return TRUE;
  free (self->arena);
  self->arena = NULL;
  self->arena_size = 0;
  if (size < G_MAXSSIZE - ARENA_ALIGNMENT)
    self->arena = aligned_alloc (ARENA_ALIGNMENT, (size + ARENA_ALIGNMENT - 1) & ~(ARENA_ALIGNMENT - 1));
  if (self->arena == NULL)
    {
      g_autofree char *amount = g_format_size_full (size, G_FORMAT_SIZE_IEC_UNITS);
      g_set_error (error, HT_ERROR, HT_ERROR_NO_MEMORY,
                   "running graph '%s': there is no memory for %s of intermediate values; run smaller batches",
                   ht_graph_get_name (self->snapshot), amount);
      return FALSE;
    }
  self->arena_size = size;
  return TRUE;
}

static void
drop_oldest_plan (HtExecutor *self)
{
  guint oldest = 0;

  for (guint i = 1; i < self->plans->len; i++)
    if (((HtExecPlan *)g_ptr_array_index (self->plans, i))->last_use
        < ((HtExecPlan *)g_ptr_array_index (self->plans, oldest))->last_use)
      oldest = i;
  g_ptr_array_remove_index_fast (self->plans, oldest);
}

/* What a run reads without asking again: encodings by value, constants as the network sees them. */
static gboolean
prepare_plan (HtExecutor *self, HtExecPlan *plan, GError **error)
{
  plan->prepared = 0;
  for (guint i = 0; i < plan->values->len; i++)
    {
      HtExecValue *value = ht_exec_plan_value (plan, i);
      value->encoding = g_hash_table_lookup (self->encodings, value->name);
      if (value->place != HT_EXEC_CONSTANT)
        continue;
      HtTensor *constant = ht_executor_get_quantized_constant (self, value->name, value->constant, error);
      if (constant == NULL)
        return FALSE;
      g_clear_pointer (&value->view, ht_tensor_unref);
      value->view = ht_tensor_ref (constant);
      plan->tensors[i] = value->view;
    }
  for (guint i = 0; i < plan->steps->len; i++)
    {
      HtExecStep *step = ht_exec_plan_step (plan, i);
      if (step->kind->prepare && !step->kind->prepare (self, plan, step, error))
        return FALSE;
    }
  plan->prepared = self->encoding_changes;
  return TRUE;
}

HtExecPlan *
ht_executor_find_plan (HtExecutor *self, const HtExecRun *run, const char *const *taps, GError **error)
{
  HtExecRequest request = { self->snapshot, run->given, run->outputs, taps, self->encodings, self->mode,
                            self->taps_in_any_order };
  HtExecPlan *plan = NULL;

  for (guint i = self->plans->len; i-- > 0 && plan == NULL;)
    if (ht_exec_plan_serves (g_ptr_array_index (self->plans, i), &request))
      plan = g_ptr_array_index (self->plans, i);
  if (plan == NULL)
    {
      plan = ht_exec_plan_new (&request, error);
      if (plan == NULL)
        return NULL;
      plan->serial = ++self->n_planned;
      if (self->plans->len >= N_PLANS)
        drop_oldest_plan (self);
      g_ptr_array_add (self->plans, plan);
    }
  plan->last_use = ++self->clock;
  return plan;
}

gboolean
ht_executor_ready_plan (HtExecutor *self, HtExecPlan *plan, GError **error)
{
  if (!reserve_arena (self, plan->arena_size, error))
    return FALSE;
  if (plan->bound != self->arena)
    ht_exec_plan_bind (plan, self->arena);
  return plan->prepared == self->encoding_changes || prepare_plan (self, plan, error);
}

HtExecPlan *
ht_executor_get_plan (HtExecutor *self, const HtExecRun *run, const char *const *taps, GError **error)
{
  HtExecPlan *plan = ht_executor_find_plan (self, run, taps, error);
  return plan && ht_executor_ready_plan (self, plan, error) ? plan : NULL;
}

gboolean
ht_exec_graph_defines (HtGraph *graph, const char *name)
{
  return ht_graph_is_input (graph, name) || ht_graph_get_initializer (graph, name) != NULL
         || ht_graph_get_producer (graph, name) != NULL;
}

static gboolean
defines_deeply (HtGraph *graph, const char *name)
{
  if (ht_exec_graph_defines (graph, name))
    return TRUE;
  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    {
      HtNode *node = ht_graph_get_node (graph, i);
      g_auto (GStrv) attributes = ht_node_list_attributes (node);
      for (gsize k = 0; attributes && attributes[k]; k++)
        {
          HtGraph *subgraph = ht_node_get_attribute_type (node, attributes[k]) == HT_ATTRIBUTE_GRAPH
                                  ? ht_node_get_subgraph (node, attributes[k])
                                  : NULL;
          if (subgraph && defines_deeply (subgraph, name))
            return TRUE;
        }
    }
  return FALSE;
}

static gboolean
fail_unknown (HtExecutor *self, const char *what, const char *name, GError **error)
{
  const char *const *inputs = ht_graph_get_inputs (self->snapshot);
  const char *const *outputs = ht_graph_get_outputs (self->snapshot);
  g_autofree char *input_list = inputs ? g_strjoinv ("', '", (char **)inputs) : g_strdup ("");
  g_autofree char *output_list = outputs ? g_strjoinv ("', '", (char **)outputs) : g_strdup ("");

  g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND,
               "running graph '%s': %s '%s' is no tensor of it; its inputs are '%s', its outputs '%s'",
               ht_graph_get_name (self->snapshot), what, name, input_list, output_list);
  return FALSE;
}

static gboolean
check_shape (HtExecutor *self, const char *name, HtTensor *tensor, GError **error)
{
  HtShape *declared = ht_graph_get_shape (self->snapshot, name);
  g_autofree char *wrong = NULL;

  if (declared == NULL)
    return TRUE;
  guint n_dims = ht_tensor_get_n_dims (tensor);
  if (n_dims != ht_shape_get_n_dims (declared))
    wrong = g_strdup_printf ("%u dimensions instead of %u", n_dims, ht_shape_get_n_dims (declared));
  for (guint i = 0; wrong == NULL && i < n_dims; i++)
    {
      gint64 expected = ht_shape_get_dim (declared, i);
      if (expected >= 0 && expected != ht_tensor_get_dim (tensor, i))
        wrong = g_strdup_printf ("dimension %u is %" G_GINT64_FORMAT " instead of %" G_GINT64_FORMAT, i,
                                 ht_tensor_get_dim (tensor, i), expected);
    }
  if (wrong == NULL)
    return TRUE;
  g_autofree char *found = ht_tensor_describe (tensor);
  g_autofree char *expected = ht_shape_to_string (declared);
  g_set_error (error, HT_ERROR, HT_ERROR_SHAPE, "running graph '%s': input '%s' is %s, expected shape %s: %s",
               ht_graph_get_name (self->snapshot), name, found, expected, wrong);
  return FALSE;
}

/* The elements of a list, one by one: their types alone, as for any inner tensor. */
static gboolean
check_elements (HtExecutor *self, const char *name, HtTensor *list, const HtElementType *declared, GError **error)
{
  for (gsize i = 0; declared && i < ht_tensor_get_n_elements (list); i++)
    {
      HtTensor *element = ht_tensor_get_element (list, i);
      HtDataType type = ht_tensor_get_data_type (element);
      if (declared->type != HT_DATA_TYPE_UNDEFINED && type != declared->type)
        {
          g_autofree char *found = ht_tensor_describe (element);
          g_set_error (error, HT_ERROR, HT_ERROR_DATA_TYPE,
                       "running graph '%s': element %" G_GSIZE_FORMAT " of the %s '%s' is %s, expected type %s",
                       ht_graph_get_name (self->snapshot), i,
                       ht_data_type_get_name (ht_tensor_get_data_type (list)), name, found,
                       ht_data_type_get_name (declared->type));
          return FALSE;
        }
      if (ht_data_type_is_list (type) && !check_elements (self, name, element, declared->element, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
check_given (HtExecutor *self, const char *name, HtTensor *tensor, GError **error)
{
  if (!ht_exec_graph_defines (self->snapshot, name))
    return fail_unknown (self, "the given tensor", name, error);
  HtDataType expected = ht_graph_get_data_type (self->snapshot, name);
  const HtElementType *element = ht_graph_get_element_type (self->snapshot, name);
  if (expected == ht_tensor_get_data_type (tensor) && ht_data_type_is_list (expected))
    return check_elements (self, name, tensor, element, error);
  if (expected != HT_DATA_TYPE_UNDEFINED && expected != ht_tensor_get_data_type (tensor))
    {
      g_autofree char *found = ht_tensor_describe (tensor);
      g_set_error (error, HT_ERROR, HT_ERROR_DATA_TYPE,
                   "running graph '%s': tensor '%s' is %s, expected element type %s; convert it",
                   ht_graph_get_name (self->snapshot), name, found, ht_data_type_get_name (expected));
      return FALSE;
    }
  /* The shapes that files declare for inner tensors may be those of the batch they were exported with. */
  return !ht_graph_is_input (self->snapshot, name) || check_shape (self, name, tensor, error);
}

gboolean
ht_executor_check_request (HtExecutor *self, const HtExecRun *run, GError **error)
{
  GHashTableIter iter;
  gpointer name, tensor;

  g_hash_table_iter_init (&iter, run->given);
  while (g_hash_table_iter_next (&iter, &name, &tensor))
    if (!check_given (self, name, tensor, error))
      return FALSE;
  for (gsize i = 0; run->outputs && run->outputs[i]; i++)
    if (!ht_exec_graph_defines (self->snapshot, run->outputs[i]))
      return fail_unknown (self, "the wanted output", run->outputs[i], error);
  for (gsize i = 0; run->taps && run->taps[i]; i++)
    if (!defines_deeply (self->snapshot, run->taps[i]))
      return fail_unknown (self, "the tapped tensor", run->taps[i], error);
  return TRUE;
}

/**
 * ht_executor_run:
 * @self: an executor
 * @inputs: (element-type utf8 HtTensor) (nullable): tensors by name. Besides inputs of the graph any tensor may be
 * given: what only serves to compute it does not run. Sequences and optional values are ht_tensor_new_list()s
 * @outputs: (array zero-terminated=1) (nullable): names of the wanted tensors, %NULL for the outputs of the graph
 * @cancellable: (nullable): stops between two nodes
 * @error: return location for an error
 *
 * Runs the network, or the part of it that leads from @inputs to @outputs.
 *
 * Fails with %HT_ERROR_SHAPE or %HT_ERROR_DATA_TYPE when an input does not fit its declaration,
 * %HT_ERROR_INVALID_ARGUMENT when one is missing, %HT_ERROR_NOT_FOUND when a name is none of the graph,
 * %HT_ERROR_NOT_SUPPORTED when an operator that must run is unknown, %G_IO_ERROR_CANCELLED when cancelled.
 *
 * Returns: (transfer full) (element-type utf8 HtTensor): the wanted tensors by name, or %NULL with @error set
 */
GHashTable *
ht_executor_run (HtExecutor *self, GHashTable *inputs, const char *const *outputs, GCancellable *cancellable,
                 GError **error)
{
  return ht_executor_run_tapped (self, inputs, outputs, NULL, NULL, NULL, cancellable, error);
}

/**
 * ht_executor_run_tapped:
 * @self: an executor
 * @inputs: (element-type utf8 HtTensor) (nullable): tensors by name, as for ht_executor_run()
 * @outputs: (array zero-terminated=1) (nullable): names of the wanted tensors, %NULL for the outputs of the graph
 * @taps: (array zero-terminated=1) (nullable): names of the tensors to show to @func; they are computed even where no
 *   output needs them. Tensors inside subgraphs are shown when their subgraph runs
 * @func: (scope call) (nullable): called with each tapped tensor once it is made and fake-quantized
 * @user_data: data for @func
 * @cancellable: (nullable): stops between two nodes
 * @error: return location for an error
 *
 * Runs like ht_executor_run() and shows inner tensors on the way. @func must not run this executor. What would be one
 * step runs apart where a tensor inside it is tapped, so the last bits of results may be others than without taps.
 *
 * Returns: (transfer full) (element-type utf8 HtTensor): the wanted tensors by name, or %NULL with @error set
 */
GHashTable *
ht_executor_run_tapped (HtExecutor *self, GHashTable *inputs, const char *const *outputs, const char *const *taps,
                        HtTapFunc func, gpointer user_data, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (HT_IS_EXECUTOR (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (g_atomic_pointer_get (&self->running) == g_thread_self ())
    {
      g_set_error (error, HT_ERROR, HT_ERROR_CONFLICT,
                   "running graph '%s': the executor is running in this thread already; a tap must use another one",
                   ht_graph_get_name (self->snapshot));
      return NULL;
    }
  g_autoptr (GHashTable) nothing = inputs ? NULL : g_hash_table_new (g_str_hash, g_str_equal);
  HtExecRun run = { inputs ? inputs : nothing,
                    outputs ? outputs : ht_graph_get_outputs (self->snapshot),
                    func ? taps : NULL,
                    func,
                    user_data,
                    cancellable };
  GHashTable *results = NULL;
  g_mutex_lock (&self->lock);
  g_atomic_pointer_set (&self->running, g_thread_self ());
  if (ht_executor_check_request (self, &run, error))
    results = ht_executor_run_unchecked (self, &run, error);
  g_atomic_pointer_set (&self->running, NULL);
  g_mutex_unlock (&self->lock);
  return results;
}

/**
 * ht_get_n_threads:
 *
 * The number of threads that compute. At first this is what the environment variable `HALFTONE_THREADS` says, or else
 * the number of CPUs that the process may use. Results never depend on it.
 *
 * Returns: the number of threads, the calling one included
 */
guint
ht_get_n_threads (void)
{
  return ht_thread_pool_get_size ();
}

/**
 * ht_set_n_threads:
 * @n_threads: the number, at most 256; 0 goes back to the default
 *
 * Sets the number of threads that compute, for the whole process.
 */
void
ht_set_n_threads (guint n_threads)
{
  ht_thread_pool_set_size (n_threads);
}
