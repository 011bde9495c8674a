/* SPDX-License-Identifier: MIT */
/* Pools of tensors that are blocked already. */
#include "exec/exec-codes.h"
#include "exec/lower.h"

#include "graph/tensor-private.h"
#include "kernels/isa.h"
#include "ops/pool.h"

#include <string.h>

typedef struct
{
  HtPoolGeometry geometry;
  gsize positions; /* of a global pool */
  gboolean is_max;
  gboolean on_codes; /* the largest code is that of the largest value */
  HtExecChain *chain;
} Pool;

static void
pool_free (gpointer data)
{
  Pool *self = data;
  ht_exec_chain_free (self->chain);
  g_free (self);
}

static gboolean
pool_prepare (HtExecutor *executor, HtExecPlan *plan, HtExecStep *step, GError **error)
{
  Pool *self = step->data;

  if (!ht_exec_chain_prepare (self->chain, executor, error))
    return FALSE;
  if (self->on_codes)
    self->chain->grid.scale = 1.0f;
  if (ht_exec_plan_value (plan, step->outputs[0])->layout == HT_EXEC_LAYOUT_BLOCKED_CODES)
    self->chain->grid.unit = 1.0f;
  return TRUE;
}

static gboolean
pool_forward (const HtExecCall *call, GError **error)
{
  const Pool *self = call->step->data;
  const HtConvGeometry *g = &self->geometry.geometry;
  HtEpilogue epilogue = ht_exec_chain_get_epilogue (self->chain, call->step->n_inputs > 1 ? call->inputs[1] : NULL);
  const float *x = ht_tensor_get_data (call->inputs[0]);
  float *y = call->outputs[0]->data;

  if (self->positions > 0 && self->is_max)
    ht_blocked_global_max_pool (g->batch, g->in_channels, self->positions, x, &epilogue, y);
  else if (self->positions > 0)
    ht_blocked_global_average_pool (g->batch, g->in_channels, self->positions, x, &epilogue, y);
  else if (self->is_max)
    ht_blocked_max_pool (&self->geometry, x, &epilogue, y);
  else
    ht_blocked_average_pool (&self->geometry, x, &epilogue, y);
  ht_exec_chain_finish (self->chain, y, ht_exec_plan_value (call->plan, call->step->outputs[0])->size / sizeof (float));
  return TRUE;
}

static const HtExecKind pool_kind
    = { .name = "pool", .forward = pool_forward, .prepare = pool_prepare, .free = pool_free, .quantizes = TRUE };

static gboolean
can_take_codes (HtExecBuilder *builder, HtNode *node, const Pool *pool)
{
  return pool->is_max && pool->positions == 0 && ht_exec_chain_is_empty (pool->chain)
         && ht_exec_builder_is_coded (builder, ht_node_get_input (node, 0))
         && ht_exec_builder_has_same_encoding (builder, ht_node_get_input (node, 0), ht_node_get_output (node, 0));
}

static gboolean
add_pool (HtExecBuilder *builder, HtNode *node, const Pool *found, gboolean *taken, GError **error)
{
  HtExecLayout layout = found->positions > 0 ? HT_EXEC_LAYOUT_PLAIN : HT_EXEC_LAYOUT_BLOCKED, y_layout = layout;
  HtExecChain *chain = ht_exec_chain_new (builder, ht_node_get_output (node, 0), layout, 1, HT_CHAIN_ALL);
  guint inputs[2], n_inputs = 1;

  if (chain == NULL)
    return TRUE;
  Pool *pool = g_memdup2 (found, sizeof *found);
  pool->chain = chain;
  ht_exec_chain_extend (chain, builder);
  pool->on_codes = can_take_codes (builder, node, pool);
  if (pool->on_codes)
    y_layout = HT_EXEC_LAYOUT_BLOCKED_CODES;
  else if (layout == HT_EXEC_LAYOUT_BLOCKED)
    y_layout = ht_exec_codes_choose_layout (builder, chain->output);
  if (!ht_exec_builder_read (builder, node, ht_node_get_input (node, 0),
                             pool->on_codes ? HT_EXEC_LAYOUT_BLOCKED_CODES : HT_EXEC_LAYOUT_BLOCKED, &inputs[0], error)
      || (chain->residual
          && !ht_exec_builder_read (builder, node, chain->residual, layout, &inputs[n_inputs++], error)))
    {
      pool_free (pool);
      return FALSE;
    }
  HtExecStep *step
      = ht_exec_builder_add_step (builder, node, &pool_kind, pool, inputs, n_inputs, chain->output, y_layout);
  step->in_place = n_inputs > 1 ? 2 : 0;
  *taken = TRUE;
  return TRUE;
}

/* The operator takes the average of plain tensors position by position: a change of layout costs less. */
static gboolean
is_worth_blocking (HtExecBuilder *builder, HtNode *node)
{
  const char *x = ht_node_get_input (node, 0);
  gint64 dims[HT_TENSOR_MAX_DIMS];
  guint n_dims;

  return builder->request->mode == HT_EXEC_FUSED && ht_node_is_op (node, "AveragePool")
         && ht_exec_builder_is_made (builder, x) && ht_exec_builder_can_block (builder, x)
         && ht_exec_builder_get_float_dims (builder, x, dims, &n_dims) && dims[1] >= (gint64)ht_isa_get_block ();
}

gboolean
ht_exec_lower_pool (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error)
{
  Pool pool = { .is_max = strcmp (ht_node_get_op_type (node), "MaxPool") == 0 };
  gint64 dims[HT_TENSOR_MAX_DIMS];
  guint n_dims;

  if ((!ht_exec_builder_is_blocked (builder, ht_node_get_input (node, 0)) && !is_worth_blocking (builder, node))
      || (ht_node_get_n_outputs (node) > 1 && ht_node_get_output (node, 1)[0])
      || !ht_exec_builder_get_float_dims (builder, ht_node_get_input (node, 0), dims, &n_dims))
    return TRUE;
  g_autofree char *problem = ht_pool_read (node, dims, n_dims, &pool.geometry);
  return problem || add_pool (builder, node, &pool, taken, error);
}

gboolean
ht_exec_lower_global_pool (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error)
{
  Pool pool = { .positions = 1, .is_max = strcmp (ht_node_get_op_type (node), "GlobalMaxPool") == 0 };
  gint64 dims[HT_TENSOR_MAX_DIMS];
  guint n_dims;

  if (!ht_exec_builder_is_blocked (builder, ht_node_get_input (node, 0))
      || !ht_exec_builder_get_float_dims (builder, ht_node_get_input (node, 0), dims, &n_dims))
    return TRUE;
  pool.geometry.geometry.batch = (gsize)dims[0];
  pool.geometry.geometry.in_channels = (gsize)dims[1];
  for (guint i = 2; i < n_dims; i++)
    pool.positions *= (gsize)dims[i];
  return add_pool (builder, node, &pool, taken, error);
}

/* The axes of a ReduceMean, an attribute before opset 18 and an input since: all behind the channels? */
static gboolean
is_spatial_mean (HtExecBuilder *builder, HtNode *node, guint n_dims)
{
  HtTensor *input = ht_node_get_n_inputs (node) > 1 && ht_node_get_input (node, 1)[0]
                        ? ht_exec_builder_get_constant (builder, ht_node_get_input (node, 1))
                        : NULL;
  gsize n_axes = 0;
  guint found = 0;
  const gint64 *axes = ht_node_get_ints (node, "axes", &n_axes);

  if (input && ht_tensor_get_data_type (input) == HT_DATA_TYPE_INT64)
    {
      axes = ht_tensor_get_data (input);
      n_axes = ht_tensor_get_n_elements (input);
    }
  for (gsize i = 0; i < n_axes; i++)
    {
      gint64 axis = axes[i] < 0 ? axes[i] + n_dims : axes[i];
      if (axis < 2 || axis >= n_dims)
        return FALSE;
      found |= 1u << axis;
    }
  return found == (1u << n_dims) - 4;
}

gboolean
ht_exec_lower_reduce_mean (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error)
{
  gint64 dims[HT_TENSOR_MAX_DIMS];
  guint n_dims;

  if (!ht_exec_builder_is_blocked (builder, ht_node_get_input (node, 0))
      || !ht_exec_builder_get_float_dims (builder, ht_node_get_input (node, 0), dims, &n_dims)
      || !is_spatial_mean (builder, node, n_dims))
    return TRUE;
  return ht_exec_lower_global_pool (builder, node, taken, error);
}
