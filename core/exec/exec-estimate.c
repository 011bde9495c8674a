/* SPDX-License-Identifier: MIT */
/* What a run will take, told from its plan. */
#include "exec/executor-private.h"

#include "graph/tensor-private.h"

#include <halftone/error.h>

/* The dimensions of a run with this batch, from the shape that the caller or else the graph states. */
static gboolean
find_dims (HtExecutor *self, const char *name, GHashTable *shapes, guint batch, gint64 *dims, guint *n_dims,
           GError **error)
{
  HtShape *declared = ht_graph_get_shape (self->snapshot, name);
  HtShape *given = shapes ? g_hash_table_lookup (shapes, name) : NULL;
  HtShape *shape = given ? given : declared;

  *n_dims = shape ? ht_shape_get_n_dims (shape) : 0;
  for (guint i = 0; i < *n_dims; i++)
    dims[i] = ht_shape_get_dim (shape, i);
  if (*n_dims > 0
      && (dims[0] < 0 || declared == NULL || ht_shape_get_n_dims (declared) != *n_dims
          || ht_shape_get_dim (declared, 0) < 0))
    dims[0] = batch;
  for (guint i = 0; i < *n_dims; i++)
    if (dims[i] < 0)
      shape = NULL;
  if (shape == NULL || *n_dims > HT_TENSOR_MAX_DIMS)
    {
      g_autofree char *found = declared ? ht_shape_to_string (declared) : g_strdup ("of any shape");
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                   "estimating the memory of graph '%s': input '%s' is %s; say which shape a run will give it",
                   ht_graph_get_name (self->snapshot), name, found);
      return FALSE;
    }
  return TRUE;
}

/* Tensors without content: planning looks at types and dimensions only. */
static GHashTable *
make_inputs (HtExecutor *self, GHashTable *shapes, guint batch, GError **error)
{
  static float nothing[16];
  const char *const *names = ht_graph_get_inputs (self->snapshot);
  g_autoptr (GHashTable) inputs
      = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)ht_tensor_unref);

  for (gsize i = 0; names && names[i]; i++)
    {
      gint64 dims[HT_TENSOR_MAX_DIMS] = { 0 };
      gsize n_elements, size;
      guint n_dims;
      HtDataType type = ht_graph_get_data_type (self->snapshot, names[i]);
      if (ht_graph_get_initializer (self->snapshot, names[i]))
        continue;
      if (type == HT_DATA_TYPE_STRING || ht_data_type_is_list (type))
        {
          g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
                       "estimating the memory of graph '%s': input '%s' is of type %s, whose size is not known before",
                       ht_graph_get_name (self->snapshot), names[i], ht_data_type_get_name (type));
          return NULL;
        }
      if (!find_dims (self, names[i], shapes, batch, dims, &n_dims, error)
          || !ht_tensor_check_dims (type, dims, n_dims, &n_elements, &size, error))
        return NULL;
      g_hash_table_insert (inputs, (gpointer)names[i], _ht_tensor_new_view (type, dims, n_dims, nothing));
    }
  return g_steal_pointer (&inputs);
}

/* Constants as loaded: initializers and what was folded from them. */
static guint64
count_weights (HtExecutor *self)
{
  g_auto (GStrv) names = ht_graph_list_initializers (self->snapshot);
  guint64 size = 0;

  for (gsize i = 0; names && names[i]; i++)
    size += ht_tensor_get_size (ht_graph_get_initializer (self->snapshot, names[i]));
  return size;
}

/* What the executor adds to them: packed forms, quantized copies, folded values. */
static guint64
count_prepared (HtExecutor *self, const HtExecPlan *plan)
{
  guint64 size = ht_exec_plan_constant_size (plan);

  for (guint i = 0; i < plan->values->len; i++)
    {
      const HtExecValue *value = ht_exec_plan_value (plan, i);
      if (value->place == HT_EXEC_CONSTANT
          && (g_hash_table_contains (self->encodings, value->name)
              || ht_graph_get_initializer (self->snapshot, value->name) == NULL))
        size += value->size;
    }
  return size;
}

static guint64
count_transfers (const HtExecPlan *plan)
{
  guint64 size = 0;

  for (guint i = 0; i < plan->values->len; i++)
    {
      const HtExecValue *value = ht_exec_plan_value (plan, i);
      if (value->layout == HT_EXEC_LAYOUT_PLAIN
          && (value->is_given || value->place == HT_EXEC_HEAP || value->place == HT_EXEC_DYNAMIC))
        size += value->size;
    }
  return size;
}

/* The graph itself, the plan, threads and code, as measured. */
static guint64
count_bookkeeping (HtExecutor *self)
{
  return 1600 * 1024 + 3 * 1024 * (guint64)ht_graph_get_n_nodes (self->snapshot);
}

static gboolean
estimate (HtExecutor *self, guint batch, GHashTable *shapes, const char *const *taps, guint64 parts[5], GError **error)
{
  g_autoptr (GHashTable) inputs = make_inputs (self, shapes, batch, error);
  if (inputs == NULL)
    return FALSE;
  HtExecRequest request = { .graph = self->snapshot,
                            .given = inputs,
                            .outputs = ht_graph_get_outputs (self->snapshot),
                            .taps = taps,
                            .encodings = self->encodings,
                            .mode = self->mode };
  g_autoptr (HtExecPlan) plan = ht_exec_plan_new (&request, error);
  if (plan == NULL)
    return FALSE;
  parts[0] = count_weights (self);
  parts[1] = count_prepared (self, plan);
  parts[2] = plan->arena_size;
  parts[3] = count_transfers (plan);
  parts[4] = count_bookkeeping (self);
  return TRUE;
}

/**
 * ht_executor_estimate_memory:
 * @self: an executor that is not running
 * @batch: the first dimension of inputs that leave it open
 * @shapes: (element-type utf8 HtShape) (nullable): shapes for inputs with other open dimensions
 * @taps: (array zero-terminated=1) (nullable): names of tensors that the run will show
 * @weights: (out) (optional): bytes of the constants as they were loaded
 * @prepared: (out) (optional): bytes of what the executor makes of constants: packed, quantized, folded
 * @activations: (out) (optional): bytes for the values in between, at the peak of their sharing
 * @transfers: (out) (optional): bytes of inputs and outputs
 * @bookkeeping: (out) (optional): bytes for the graph, the plan, threads and code, about
 * @error: return location for an error
 *
 * Tells what a run that makes the graph's outputs will take, without running anything: the sum of the five is the peak.
 * Values whose shapes only become known while running are not counted.
 *
 * Fails with %HT_ERROR_INVALID_ARGUMENT when the shape of an input is open in more than the batch.
 *
 * Returns: whether it could be told
 */
gboolean
ht_executor_estimate_memory (HtExecutor *self, guint batch, GHashTable *shapes, const char *const *taps,
                             guint64 *weights, guint64 *prepared, guint64 *activations, guint64 *transfers,
                             guint64 *bookkeeping, GError **error)
{
  guint64 parts[5], *results[5] = { weights, prepared, activations, transfers, bookkeeping };

  g_return_val_if_fail (HT_IS_EXECUTOR (self), FALSE);
  g_return_val_if_fail (batch > 0, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  g_mutex_lock (&self->lock);
  gboolean fine = estimate (self, batch, shapes, taps, parts, error);
  g_mutex_unlock (&self->lock);
  for (guint i = 0; fine && i < 5; i++)
    if (results[i])
      *results[i] = parts[i];
  return fine;
}

static gboolean
measure (HtExecutor *self, guint batch, GHashTable *shapes, const char *const *taps, guint64 *total, GError **error)
{
  guint64 weights, prepared, activations, transfers, bookkeeping;

  if (!ht_executor_estimate_memory (self, batch, shapes, taps, &weights, &prepared, &activations, &transfers,
                                    &bookkeeping, error))
    return FALSE;
  *total = weights + prepared + activations + transfers + bookkeeping;
  return TRUE;
}

/**
 * ht_executor_choose_batch:
 * @self: an executor that is not running
 * @wanted: the batch that would be best
 * @budget: bytes that a run may take
 * @shapes: (element-type utf8 HtShape) (nullable): shapes for inputs with other open dimensions
 * @taps: (array zero-terminated=1) (nullable): names of tensors that the runs will show
 * @error: return location for an error
 *
 * Chooses the largest batch up to @wanted whose estimate, as ht_executor_estimate_memory() makes it, is within @budget.
 *
 * Fails with %HT_ERROR_LIMIT_EXCEEDED when a batch of 1 takes more.
 *
 * Returns: the batch, or 0 with @error set
 */
guint
ht_executor_choose_batch (HtExecutor *self, guint wanted, guint64 budget, GHashTable *shapes, const char *const *taps,
                          GError **error)
{
  guint low = 1, high = wanted;
  guint64 total;

  g_return_val_if_fail (HT_IS_EXECUTOR (self), 0);
  g_return_val_if_fail (wanted > 0, 0);
  g_return_val_if_fail (error == NULL || *error == NULL, 0);

  if (!measure (self, wanted, shapes, taps, &total, error))
    return 0;
  if (total <= budget)
    return wanted;
  if (!measure (self, 1, shapes, taps, &total, error))
    return 0;
  if (total > budget)
    {
      g_autofree char *needed = g_format_size_full (total, G_FORMAT_SIZE_IEC_UNITS);
      g_autofree char *allowed = g_format_size_full (budget, G_FORMAT_SIZE_IEC_UNITS);
      g_set_error (error, HT_ERROR, HT_ERROR_LIMIT_EXCEEDED,
                   "running graph '%s': a batch of 1 needs %s, the memory budget is %s; allow more",
                   ht_graph_get_name (self->snapshot), needed, allowed);
      return 0;
    }
  while (high - low > 1)
    {
      guint middle = low + (high - low) / 2;
      if (!measure (self, middle, shapes, taps, &total, error))
        return 0;
      if (total <= budget)
        low = middle;
      else
        high = middle;
    }
  return low;
}
