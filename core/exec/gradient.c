/* SPDX-License-Identifier: MIT */
#include "exec/executor-private.h"
#include "exec/gradient-branches.h"
#include "exec/gradient-run.h"

#include "base/thread-pool.h"

#include <halftone/error.h>
#include <stdlib.h>
#include <string.h>

#define N_PLANS         2
#define ARENA_ALIGNMENT ((gsize)64)

/**
 * HtGradient:
 *
 * Runs a network forward and backward: gradients of a loss with respect to chosen tensors, which may be inputs,
 * weights or activations, and with respect to the ranges of encodings.
 *
 * For each signature (names and shapes of what is given, outputs, taps) it plans once. Forward and backward tasks share
 * one stretch of memory, and a value is kept only as long as something reads it; with a memory budget, values are
 * computed again instead of kept. The results have the same bytes whatever the budget and the number of threads.
 *
 * Parameters can be replaced between runs; the graph itself is never changed. Encodings simulate quantization as in an
 * #HtExecutor; gradients pass straight through within the range of a grid and are zero beyond.
 *
 * Where the inputs decide which branch of an If is taken, gradients go through that branch.
 *
 * An object runs once at a time; a second thread waits.
 */
struct _HtGradient
{
  GObject parent_instance;

  GMutex lock;
  GThread *running;
  HtExecutor *executor; /* holds the sealed graph and knows what fits it */
  HtGradientBranches *branches;
  GStrv tensors; /* chosen */
  GStrv ranges;
  GHashTable *parameters; /* name -> HtTensor: constants that are chosen, encoded or replaced */
  GHashTable *encodings;  /* name -> HtEncoding */
  gboolean batch_statistics, plain;
  gsize budget;
  GPtrArray *plans;
  guint64 clock;
  gpointer arena;
  gsize arena_size;
};

G_DEFINE_FINAL_TYPE (HtGradient, ht_gradient, G_TYPE_OBJECT)

static void
ht_gradient_dispose (GObject *object)
{
  HtGradient *self = HT_GRADIENT (object);

  g_clear_pointer (&self->plans, g_ptr_array_unref);
  g_clear_pointer (&self->parameters, g_hash_table_unref);
  g_clear_pointer (&self->encodings, g_hash_table_unref);
  g_clear_pointer (&self->tensors, g_strfreev);
  g_clear_pointer (&self->ranges, g_strfreev);
  g_clear_pointer (&self->branches, ht_gradient_branches_free);
  g_clear_object (&self->executor);
  free (g_steal_pointer (&self->arena));
  self->arena_size = 0;
  G_OBJECT_CLASS (ht_gradient_parent_class)->dispose (object);
}

static void
ht_gradient_finalize (GObject *object)
{
  g_mutex_clear (&HT_GRADIENT (object)->lock);
  G_OBJECT_CLASS (ht_gradient_parent_class)->finalize (object);
}

static void
ht_gradient_class_init (HtGradientClass *class)
{
  G_OBJECT_CLASS (class)->dispose = ht_gradient_dispose;
  G_OBJECT_CLASS (class)->finalize = ht_gradient_finalize;
}

static void
ht_gradient_init (HtGradient *self)
{
  g_mutex_init (&self->lock);
  self->parameters = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_tensor_unref);
  self->encodings = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_encoding_unref);
  self->plans = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_gradient_plan_free);
}

static HtGraph *
get_graph (HtGradient *self)
{
  return self->executor->snapshot;
}

static gboolean
is_float (HtDataType type)
{
  return type == HT_DATA_TYPE_FLOAT || type == HT_DATA_TYPE_DOUBLE;
}

/* A constant that takes part in training is given to the plan, so that nothing is folded from it. */
static void
adopt_constant (HtGradient *self, const char *name)
{
  if (g_hash_table_contains (self->parameters, name) || ht_graph_is_input (get_graph (self), name))
    return;
  g_autoptr (HtTensor) constant = ht_graph_get_constant (get_graph (self), name);
  if (constant && is_float (ht_tensor_get_data_type (constant)))
    g_hash_table_insert (self->parameters, g_strdup (name), g_steal_pointer (&constant));
}

/**
 * ht_gradient_new:
 * @graph: a graph
 * @tensors: (array zero-terminated=1) (nullable): names of the tensors to differentiate with respect to
 * @error: return location for an error
 *
 * Makes an object for @graph as it is now: later changes of a graph that is not sealed are not seen. @tensors may be
 * inputs, initializers and other constants, and tensors that nodes make.
 *
 * Fails with %HT_ERROR_NOT_FOUND when one of @tensors is none of the graph, and like ht_executor_new().
 *
 * Returns: (transfer full): the object, or %NULL with @error set
 */
HtGradient *
ht_gradient_new (HtGraph *graph, const char *const *tensors, GError **error)
{
  g_return_val_if_fail (HT_IS_GRAPH (graph), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  g_autoptr (HtGradient) self = g_object_new (HT_TYPE_GRADIENT, NULL);
  g_autoptr (GPtrArray) distinct = g_ptr_array_new ();
  self->executor = ht_executor_new (graph, error);
  if (self->executor == NULL)
    return NULL;
  self->branches = ht_gradient_branches_new (self->executor);
  for (gsize i = 0; tensors && tensors[i]; i++)
    {
      if (!ht_exec_graph_defines (get_graph (self), tensors[i]))
        {
          g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND,
                       "gradients of graph '%s': '%s' is no input, initializer or output of a node",
                       ht_graph_get_name (get_graph (self)), tensors[i]);
          return NULL;
        }
      if (!g_ptr_array_find_with_equal_func (distinct, tensors[i], g_str_equal, NULL))
        g_ptr_array_add (distinct, (gpointer)tensors[i]);
      adopt_constant (self, tensors[i]);
    }
  g_ptr_array_add (distinct, NULL);
  self->tensors = g_strdupv ((char **)distinct->pdata);
  return g_steal_pointer (&self);
}

static void
forget_plans (HtGradient *self)
{
  g_ptr_array_set_size (self->plans, 0);
}

static gboolean
same_shape (HtTensor *a, HtTensor *b)
{
  guint n, m;
  const gint64 *x = ht_tensor_get_dims (a, &n), *y = ht_tensor_get_dims (b, &m);
  return n == m && (n == 0 || memcmp (x, y, n * sizeof *x) == 0);
}

/**
 * ht_gradient_set_parameter:
 * @self: an object that is not running
 * @tensor: an initializer or another constant
 * @value: its new value, of the same type and shape; it must not be written to while it is in use
 * @error: return location for an error
 *
 * Replaces a parameter in the runs to come.
 *
 * Fails with %HT_ERROR_NOT_FOUND when the graph has no such constant, %HT_ERROR_DATA_TYPE or %HT_ERROR_SHAPE when
 * @value does not fit.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
ht_gradient_set_parameter (HtGradient *self, const char *tensor, HtTensor *value, GError **error)
{
  g_return_val_if_fail (HT_IS_GRADIENT (self), FALSE);
  g_return_val_if_fail (tensor != NULL, FALSE);
  g_return_val_if_fail (value != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  g_mutex_lock (&self->lock);
  gboolean is_new = !g_hash_table_contains (self->parameters, tensor);
  adopt_constant (self, tensor);
  HtTensor *old = g_hash_table_lookup (self->parameters, tensor);
  if (old == NULL)
    g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND,
                 "setting parameter '%s' of graph '%s': it is no constant of floating-point numbers", tensor,
                 ht_graph_get_name (get_graph (self)));
  else if (ht_tensor_get_data_type (old) != ht_tensor_get_data_type (value) || !same_shape (old, value))
    {
      g_autofree char *expected = ht_tensor_describe (old), *found = ht_tensor_describe (value);
      g_set_error (error, HT_ERROR,
                   ht_tensor_get_data_type (old) != ht_tensor_get_data_type (value) ? HT_ERROR_DATA_TYPE
                                                                                    : HT_ERROR_SHAPE,
                   "setting parameter '%s' of graph '%s': found %s, expected %s", tensor,
                   ht_graph_get_name (get_graph (self)), found, expected);
      old = NULL;
    }
  else
    {
      g_hash_table_replace (self->parameters, g_strdup (tensor), ht_tensor_ref (value));
      if (is_new)
        forget_plans (self);
    }
  g_mutex_unlock (&self->lock);
  return old != NULL;
}

/**
 * ht_gradient_get_parameter:
 * @self: an object
 * @tensor: a name
 *
 * Gets what stands for a constant in the runs: what was set last, the running statistics that the last run left, or the
 * value in the graph.
 *
 * Returns: (transfer full) (nullable): the value, %NULL when the graph has no such constant
 */
HtTensor *
ht_gradient_get_parameter (HtGradient *self, const char *tensor)
{
  g_return_val_if_fail (HT_IS_GRADIENT (self), NULL);
  g_return_val_if_fail (tensor != NULL, NULL);

  g_mutex_lock (&self->lock);
  HtTensor *value = g_hash_table_lookup (self->parameters, tensor);
  value = value ? ht_tensor_ref (value) : ht_graph_get_constant (get_graph (self), tensor);
  g_mutex_unlock (&self->lock);
  return value;
}

/**
 * ht_gradient_set_encoding:
 * @self: an object that is not running
 * @tensor: a name; one the graph does not have is without effect
 * @encoding: (nullable): the grid, or %NULL to leave the tensor as it is
 *
 * Simulates the quantization of @tensor in the runs to come, wherever it comes from. Only tensors of 32-bit floats can
 * be quantized: a run fails on others. Other scales and offsets for an encoded tensor need no new plan.
 */
void
ht_gradient_set_encoding (HtGradient *self, const char *tensor, HtEncoding *encoding)
{
  gsize n_old = 0, n_new = 0;
  g_return_if_fail (HT_IS_GRADIENT (self));
  g_return_if_fail (tensor != NULL);

  g_mutex_lock (&self->lock);
  HtEncoding *old = g_hash_table_lookup (self->encodings, tensor);
  if (old)
    ht_encoding_get_scales (old, &n_old);
  if (encoding)
    ht_encoding_get_scales (encoding, &n_new);
  if (n_old != n_new
      || (n_new > 0
          && (ht_encoding_get_axis (old) != ht_encoding_get_axis (encoding)
              || ht_encoding_get_block_axis (old) != ht_encoding_get_block_axis (encoding)
              || ht_encoding_get_block_size (old) != ht_encoding_get_block_size (encoding)
              || ht_encoding_get_format (old) != ht_encoding_get_format (encoding)
              || ht_encoding_get_scale_bits (old) != ht_encoding_get_scale_bits (encoding))))
    forget_plans (self);
  if (encoding)
    {
      g_hash_table_replace (self->encodings, g_strdup (tensor), ht_encoding_ref (encoding));
      adopt_constant (self, tensor);
    }
  else
    {
      g_hash_table_remove (self->encodings, tensor);
    }
  g_mutex_unlock (&self->lock);
}

/**
 * ht_gradient_set_ranges:
 * @self: an object that is not running
 * @tensors: (array zero-terminated=1) (nullable): encoded tensors
 *
 * Chooses the tensors whose encodings' scales and offsets are differentiated; see
 * ht_gradient_result_get_range_gradient(). A run fails where one has no encoding.
 */
void
ht_gradient_set_ranges (HtGradient *self, const char *const *tensors)
{
  g_return_if_fail (HT_IS_GRADIENT (self));

  g_mutex_lock (&self->lock);
  g_strfreev (self->ranges);
  self->ranges = g_strdupv ((char **)tensors);
  forget_plans (self);
  g_mutex_unlock (&self->lock);
}

/**
 * ht_gradient_set_batch_statistics:
 * @self: an object that is not running
 * @batch_statistics: whether BatchNormalization normalizes by the statistics of the batch
 *
 * At first it normalizes by the stored ones. With those of the batch, each run moves the stored ones as the operator's
 * `momentum` says (with the variance of the batch as it is, not the unbiased one), returns them in its result, and uses
 * them from then on: ht_gradient_get_parameter().
 */
void
ht_gradient_set_batch_statistics (HtGradient *self, gboolean batch_statistics)
{
  g_return_if_fail (HT_IS_GRADIENT (self));

  g_mutex_lock (&self->lock);
  if (self->batch_statistics != !!batch_statistics)
    forget_plans (self);
  self->batch_statistics = !!batch_statistics;
  for (guint i = 0; self->batch_statistics && i < ht_graph_get_n_nodes (get_graph (self)); i++)
    {
      HtNode *node = ht_graph_get_node (get_graph (self), i);
      if (strcmp (ht_node_get_op_type (node), "BatchNormalization") != 0)
        continue;
      for (guint k = 3; k < ht_node_get_n_inputs (node); k++)
        adopt_constant (self, ht_node_get_input (node, k));
    }
  g_mutex_unlock (&self->lock);
}

/**
 * ht_gradient_set_memory_budget:
 * @self: an object that is not running
 * @bytes: the most that a run may take for values and results; 0: no limit
 *
 * Where keeping all values that the backward phase reads would take more, the network is cut into segments whose inner
 * values are computed again when their gradients are due: as few segments as meet the budget. A run fails with
 * %HT_ERROR_NO_MEMORY when none do.
 */
void
ht_gradient_set_memory_budget (HtGradient *self, guint64 bytes)
{
  g_return_if_fail (HT_IS_GRADIENT (self));

  g_mutex_lock (&self->lock);
  if (self->budget != bytes)
    forget_plans (self);
  self->budget = bytes;
  g_mutex_unlock (&self->lock);
}

void
ht_gradient_set_plain (HtGradient *self, gboolean plain)
{
  g_mutex_lock (&self->lock);
  self->plain = plain;
  forget_plans (self);
  g_mutex_unlock (&self->lock);
}

/* The parameters, with what the caller gives. */
static GHashTable *
gather_given (HtGradient *self, GHashTable *inputs)
{
  GHashTable *given = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_tensor_unref);
  GHashTable *const tables[] = { self->parameters, inputs };

  for (guint i = 0; i < G_N_ELEMENTS (tables); i++)
    {
      GHashTableIter iter;
      gpointer name, tensor;
      if (tables[i] == NULL)
        continue;
      g_hash_table_iter_init (&iter, tables[i]);
      while (g_hash_table_iter_next (&iter, &name, &tensor))
        g_hash_table_replace (given, g_strdup (name), ht_tensor_ref (tensor));
    }
  return given;
}

static void
append_names (GString *text, const char *const *names)
{
  for (gsize i = 0; names && names[i]; i++)
    g_string_append_printf (text, "%s\x1f", names[i]);
  g_string_append_c (text, '\x1e');
}

/* What the caller decides in each run; all else forgets the plans when it changes. */
static char *
make_signature (const HtGradientRequest *request, GHashTable *inputs)
{
  GString *text = g_string_new (NULL);
  g_autoptr (GList) names = inputs ? g_hash_table_get_keys (inputs) : NULL;

  names = g_list_sort (names, (GCompareFunc)strcmp);
  for (GList *at = names; at; at = at->next)
    {
      g_autofree char *form = ht_tensor_describe (g_hash_table_lookup (inputs, at->data));
      g_string_append_printf (text, "%s\x1f%s\x1f", (char *)at->data, form);
    }
  append_names (text, request->losses);
  append_names (text, request->outputs);
  append_names (text, request->taps);
  /* Scratch memory is cut into one slice for each thread. */
  g_string_append_printf (text, "%u", ht_thread_pool_get_size ());
  return g_string_free (text, FALSE);
}

static gboolean
fail_memory (HtGradient *self, const char *what, gsize size, GError **error)
{
  g_autofree char *amount = g_format_size_full (size, G_FORMAT_SIZE_IEC_UNITS);
  g_set_error (error, HT_ERROR, HT_ERROR_NO_MEMORY, "gradients of graph '%s': %s %s; run smaller batches",
               ht_graph_get_name (get_graph (self)), what, amount);
  return FALSE;
}

static HtGradientPlan *
find_plan (HtGradient *self, HtGradientRequest *request, GHashTable *inputs, GError **error)
{
  g_autofree char *signature = make_signature (request, inputs);
  gboolean changed;
  guint oldest = 0;

  request->graph = ht_gradient_branches_resolve (self->branches, request->given, &changed, error);
  if (request->graph == NULL)
    return NULL;
  if (changed)
    forget_plans (self);

  for (guint i = 0; i < self->plans->len; i++)
    {
      HtGradientPlan *plan = g_ptr_array_index (self->plans, i);
      if (strcmp (plan->signature, signature) == 0)
        {
          plan->last_use = ++self->clock;
          return plan;
        }
      if (plan->last_use < ((HtGradientPlan *)g_ptr_array_index (self->plans, oldest))->last_use)
        oldest = i;
    }
  HtGradientPlan *plan = ht_gradient_plan_new (request, error);
  if (plan == NULL)
    return NULL;
  plan->signature = g_steal_pointer (&signature);
  plan->last_use = ++self->clock;
  if (self->plans->len >= N_PLANS)
    g_ptr_array_remove_index_fast (self->plans, oldest);
  g_ptr_array_add (self->plans, plan);
  return plan;
}

static gboolean
bind_plan (HtGradient *self, HtGradientPlan *plan, GError **error)
{
  if (self->budget > 0 && plan->arena_size + plan->result_size > self->budget)
    return fail_memory (self, "even with recomputation a run takes", plan->arena_size + plan->result_size, error);
  if (plan->arena_size > self->arena_size || self->arena == NULL)
    {
      gsize size = (MAX (plan->arena_size, 1) + ARENA_ALIGNMENT - 1) & ~(ARENA_ALIGNMENT - 1);
      free (self->arena);
      self->arena = size < G_MAXSSIZE ? aligned_alloc (ARENA_ALIGNMENT, size) : NULL;
      self->arena_size = self->arena ? size : 0;
      if (self->arena == NULL)
        return fail_memory (self, "there is no memory for intermediate values of", plan->arena_size, error);
    }
  if (plan->bound != self->arena)
    ht_gradient_plan_bind (plan, self->arena);
  return TRUE;
}

/* Names of the table, sorted. */
static char **
list_names (GHashTable *table)
{
  GPtrArray *names = g_ptr_array_new ();
  g_autoptr (GList) keys = table ? g_list_sort (g_hash_table_get_keys (table), (GCompareFunc)strcmp) : NULL;

  for (GList *at = keys; at; at = at->next)
    g_ptr_array_add (names, at->data);
  g_ptr_array_add (names, NULL);
  return (char **)g_ptr_array_free (names, FALSE);
}

static HtGradientRequest
make_request (HtGradient *self, GHashTable *given, const char *const *losses, const char *const *outputs,
              const char *const *taps)
{
  return (HtGradientRequest){ .graph = get_graph (self),
                              .given = given,
                              .encodings = self->encodings,
                              .losses = losses,
                              .outputs = outputs,
                              .taps = taps,
                              .tensors = (const char *const *)self->tensors,
                              .ranges = (const char *const *)self->ranges,
                              .batch_statistics = self->batch_statistics,
                              .plain = self->plain,
                              .budget = self->budget };
}

static gboolean
check_names (HtGradient *self, GHashTable *inputs, const char *const *const lists[3], GError **error)
{
  g_autoptr (GHashTable) nothing = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; i < 3; i++)
    {
      HtExecRun run = { .given = inputs ? inputs : nothing, .outputs = lists[i] };
      if (!ht_executor_check_request (self->executor, &run, error))
        return FALSE;
    }
  return TRUE;
}

/**
 * ht_gradient_measure:
 * @self: an object that is not running
 * @inputs: (element-type utf8 HtTensor) (nullable): inputs of the shapes to come
 * @losses: (array zero-terminated=1): the tensors that gradients will start from
 * @outputs: (array zero-terminated=1) (nullable): further outputs to return
 * @peak: (out) (optional): bytes that a run will take for values and results, parameters and inputs not counted
 * @n_segments: (out) (optional): into how many segments the network is cut; 1: nothing is computed twice
 * @error: return location for an error
 *
 * Says what memory a run takes, without running.
 *
 * Fails like ht_gradient_run().
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
ht_gradient_measure (HtGradient *self, GHashTable *inputs, const char *const *losses, const char *const *outputs,
                     guint64 *peak, guint *n_segments, GError **error)
{
  g_return_val_if_fail (HT_IS_GRADIENT (self), FALSE);
  g_return_val_if_fail (losses != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  g_mutex_lock (&self->lock);
  g_autoptr (GHashTable) given = gather_given (self, inputs);
  HtGradientRequest request = make_request (self, given, losses, outputs, NULL);
  const char *const *const lists[] = { losses, outputs, NULL };
  HtGradientPlan *plan = check_names (self, inputs, lists, error) ? find_plan (self, &request, inputs, error) : NULL;
  if (plan && peak)
    *peak = plan->arena_size + plan->result_size;
  if (plan && n_segments)
    *n_segments = plan->n_segments;
  g_mutex_unlock (&self->lock);
  return plan != NULL;
}

/* The running statistics of the batch take the place of the stored ones. */
static void
keep_statistics (HtGradient *self, HtGradientResult *result)
{
  GHashTableIter iter;
  gpointer name, tensor;

  g_hash_table_iter_init (&iter, ht_gradient_result_get_statistics (result));
  while (g_hash_table_iter_next (&iter, &name, &tensor))
    g_hash_table_replace (self->parameters, g_strdup (name), ht_tensor_ref (tensor));
}

HtGradientResult *
ht_gradient_run_seeded (HtGradient *self, GHashTable *inputs, const char *const *losses, HtGradientSeedFunc seed,
                        gpointer seed_data, const char *const *outputs, const char *const *taps, HtTapFunc tap,
                        gpointer tap_data, GCancellable *cancellable, GError **error)
{
  HtGradientResult *result = NULL;

  if (g_atomic_pointer_get (&self->running) == g_thread_self ())
    {
      g_set_error (error, HT_ERROR, HT_ERROR_CONFLICT,
                   "gradients of graph '%s': they are being computed in this thread already; a tap must use another "
                   "object",
                   ht_graph_get_name (get_graph (self)));
      return NULL;
    }
  g_mutex_lock (&self->lock);
  g_atomic_pointer_set (&self->running, g_thread_self ());
  g_autoptr (GHashTable) given = gather_given (self, inputs);
  HtGradientRequest request = make_request (self, given, losses, outputs, tap ? taps : NULL);
  const char *const *const lists[] = { losses, outputs, request.taps };
  HtGradientPlan *plan = check_names (self, inputs, lists, error) ? find_plan (self, &request, inputs, error) : NULL;
  if (plan && bind_plan (self, plan, error))
    {
      HtGradientRun run = { .plan = plan,
                            .given = given,
                            .encodings = self->encodings,
                            .arena = self->arena,
                            .tap = tap,
                            .tap_data = tap_data,
                            .cancellable = cancellable,
                            .seed = seed,
                            .seed_data = seed_data };
      result = ht_gradient_run_plan (&run, error);
    }
  if (result)
    keep_statistics (self, result);
  g_atomic_pointer_set (&self->running, NULL);
  g_mutex_unlock (&self->lock);
  return result;
}

/* Copies a given gradient; the loss is its product with the output. */
static gboolean
seed_given (const char *output, HtTensor *value, HtTensor *gradient, double *loss, gpointer user_data, GError **error)
{
  HtTensor *given = g_hash_table_lookup (user_data, output);

  if (ht_tensor_get_data_type (given) != ht_tensor_get_data_type (value) || !same_shape (given, value))
    {
      g_autofree char *found = ht_tensor_describe (given), *expected = ht_tensor_describe (value);
      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE, "gradient of output '%s': found %s, expected %s", output, found,
                   expected);
      return FALSE;
    }
  gsize n = ht_tensor_get_n_elements (value);
  if (n > 0)
    memcpy (ht_tensor_get_writable_data (gradient), ht_tensor_get_data (given), ht_tensor_get_size (given));
  for (gsize i = 0; i < n; i++)
    *loss += ht_tensor_get_double (given, i) * ht_tensor_get_double (value, i);
  return TRUE;
}

/**
 * ht_gradient_run:
 * @self: an object
 * @inputs: (element-type utf8 HtTensor) (nullable): tensors by name. Besides inputs of the graph any tensor may be
 *   given: what only serves to compute it does not run
 * @output_gradients: (element-type utf8 HtTensor): by name of an output (or of any tensor), the gradient of the loss
 *   with respect to it
 * @outputs: (array zero-terminated=1) (nullable): names of further tensors to return
 * @cancellable: (nullable): stops between two nodes
 * @error: return location for an error
 *
 * Runs forward and backward.
 *
 * Fails like ht_executor_run(), and with %HT_ERROR_NOT_SUPPORTED when an operator on the way cannot be differentiated
 * or has shapes that only running tells, %HT_ERROR_INVALID_ARGUMENT when a chosen tensor is not of floats,
 * %HT_ERROR_SHAPE when a given gradient does not fit its output, %HT_ERROR_NO_MEMORY when the memory budget cannot be
 * kept. Parameters are unchanged then.
 *
 * Returns: (transfer full): the result, or %NULL with @error set
 */
HtGradientResult *
ht_gradient_run (HtGradient *self, GHashTable *inputs, GHashTable *output_gradients, const char *const *outputs,
                 GCancellable *cancellable, GError **error)
{
  return ht_gradient_run_tapped (self, inputs, output_gradients, outputs, NULL, NULL, NULL, cancellable, error);
}

/**
 * ht_gradient_run_tapped:
 * @self: an object
 * @inputs: (element-type utf8 HtTensor) (nullable): tensors by name
 * @output_gradients: (element-type utf8 HtTensor): gradients of the loss by name of an output
 * @outputs: (array zero-terminated=1) (nullable): names of further tensors to return
 * @taps: (array zero-terminated=1) (nullable): names of the tensors to show to @func
 * @func: (scope call) (nullable): called with each tapped tensor once it is made and fake-quantized
 * @user_data: data for @func
 * @cancellable: (nullable): stops between two nodes
 * @error: return location for an error
 *
 * Runs like ht_gradient_run() and shows tensors of the forward phase on the way. @func must not run this object.
 *
 * Returns: (transfer full): the result, or %NULL with @error set
 */
HtGradientResult *
ht_gradient_run_tapped (HtGradient *self, GHashTable *inputs, GHashTable *output_gradients, const char *const *outputs,
                        const char *const *taps, HtTapFunc func, gpointer user_data, GCancellable *cancellable,
                        GError **error)
{
  g_return_val_if_fail (HT_IS_GRADIENT (self), NULL);
  g_return_val_if_fail (output_gradients != NULL, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  g_autofree char **losses = list_names (output_gradients);
  return ht_gradient_run_seeded (self, inputs, (const char *const *)losses, seed_given, output_gradients, outputs, taps,
                                 func, user_data, cancellable, error);
}
