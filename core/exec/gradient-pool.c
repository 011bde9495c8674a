/* SPDX-License-Identifier: MIT */
/* Pools and concatenations of blocked tensors. */
#include "exec/gradient-blocked.h"

#include "ops/pool.h"

typedef enum
{
  MAX_POOL,
  AVERAGE_POOL,
  GLOBAL_MAX_POOL,
  GLOBAL_AVERAGE_POOL,
} Form;

typedef struct
{
  Form form;
  HtPoolGeometry geometry;
  HtGradientExtent extent; /* of x */
} Pool;

/* x; y, plain if it is global */

static gboolean
run_pool (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  const Pool *pool = task->data;
  const HtGradientExtent *e = &pool->extent;
  const HtEpilogue nothing = { 0 };
  const float *x = ht_gradient_run_data (run, task, 0);
  float *y = ht_gradient_run_data (run, task, 1);

  switch (pool->form)
    {
    case MAX_POOL:
      ht_blocked_max_pool (&pool->geometry, x, &nothing, y);
      break;
    case AVERAGE_POOL:
      ht_blocked_average_pool (&pool->geometry, x, &nothing, y);
      break;
    case GLOBAL_MAX_POOL:
      ht_blocked_global_max_pool (e->batch, e->channels, e->positions, x, &nothing, y);
      break;
    case GLOBAL_AVERAGE_POOL:
      ht_blocked_global_average_pool (e->batch, e->channels, e->positions, x, &nothing, y);
      break;
    }
  return TRUE;
}

static const HtGradientKind pool_kind = { "pool", run_pool };

/* x, dy; dx */

static gboolean
run_pool_backward (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  const Pool *pool = task->data;
  const HtGradientExtent *e = &pool->extent;
  const float *x = ht_gradient_run_data (run, task, 0), *dy = ht_gradient_run_data (run, task, 1);
  float *dx = ht_gradient_run_data (run, task, 2);

  switch (pool->form)
    {
    case MAX_POOL:
      ht_blocked_max_pool_backward (&pool->geometry, x, dy, dx);
      break;
    case AVERAGE_POOL:
      ht_blocked_average_pool_backward (&pool->geometry, dy, dx);
      break;
    case GLOBAL_MAX_POOL:
      ht_blocked_global_max_pool_backward (e->batch, e->channels, e->positions, x, dy, dx);
      break;
    case GLOBAL_AVERAGE_POOL:
      ht_blocked_global_average_pool_backward (e->batch, e->channels, e->positions, dy, dx);
      break;
    }
  return TRUE;
}

static const HtGradientKind pool_backward_kind = { "pool-backward", run_pool_backward };

static HtExecLayout
output_layout (const HtGradientUnit *unit)
{
  return unit->makes_plain ? HT_EXEC_LAYOUT_PLAIN : HT_EXEC_LAYOUT_BLOCKED;
}

static gboolean
pool_forward (HtGradientBuilder *self, HtGradientUnit *unit, GError **error)
{
  const HtExecStep *step = unit->steps[0];
  guint x = ht_gradient_builder_read (self, step->inputs[0], HT_EXEC_LAYOUT_BLOCKED);
  guint y = ht_gradient_builder_make (self, step->outputs[0], output_layout (unit));

  ht_gradient_plan_add_task (self->plan, &pool_kind, step, 2)->data = unit->data;
  ht_gradient_builder_set_slot (self, 0, x, HT_GRADIENT_READ);
  ht_gradient_builder_set_slot (self, 1, y, HT_GRADIENT_WRITE);
  unit->kept[0] = x;
  ht_gradient_builder_finish (self, step->outputs[0]);
  return TRUE;
}

static gboolean
pool_backward (HtGradientBuilder *self, HtGradientUnit *unit, GError **error)
{
  const HtExecStep *step = unit->steps[0];
  const Pool *pool = unit->data;
  gboolean reads_x = pool->form == MAX_POOL || pool->form == GLOBAL_MAX_POOL;
  guint dy = ht_gradient_builder_take_gradient (self, step->outputs[0], output_layout (unit));
  guint dx = ht_gradient_builder_new_gradient (self, step->inputs[0], HT_EXEC_LAYOUT_BLOCKED);

  ht_gradient_plan_add_task (self->plan, &pool_backward_kind, step, 3)->data = pool;
  ht_gradient_builder_set_slot (self, 0, unit->kept[0], reads_x ? HT_GRADIENT_READ : HT_GRADIENT_SHAPE);
  ht_gradient_builder_set_slot (self, 1, dy, HT_GRADIENT_READ);
  ht_gradient_builder_set_slot (self, 2, dx, HT_GRADIENT_WRITE);
  ht_gradient_builder_add_gradient (self, step->inputs[0], dx);
  return TRUE;
}

static const HtGradientRule pool_rule = { "pool", pool_forward, pool_backward };

/* Concatenation over the channels. All inputs; y */

static gboolean
run_concat (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  HtGradientExtent whole = ht_gradient_slot_extent (run, task, task->n_slots - 1);
  gsize first = 0;

  for (guint i = 0; i + 1 < task->n_slots; i++)
    {
      HtGradientExtent e = ht_gradient_slot_extent (run, task, i);
      ht_blocked_copy_channels (e.batch, e.channels, e.positions, ht_gradient_run_data (run, task, i), first,
                                whole.channels, ht_gradient_run_data (run, task, task->n_slots - 1));
      first += e.channels;
    }
  return TRUE;
}

static const HtGradientKind concat_kind = { "concat", run_concat };

/* dy; dx of one input */

static gboolean
run_take (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  HtGradientExtent whole = ht_gradient_slot_extent (run, task, 0), e = ht_gradient_slot_extent (run, task, 1);
  ht_blocked_take_channels (e.batch, e.channels, e.positions, ht_gradient_run_data (run, task, 0),
                            GPOINTER_TO_SIZE (task->data), whole.channels, ht_gradient_run_data (run, task, 1));
  return TRUE;
}

static const HtGradientKind take_kind = { "take-channels", run_take };

static gboolean
concat_forward (HtGradientBuilder *self, HtGradientUnit *unit, GError **error)
{
  const HtExecStep *step = unit->steps[0];
  g_autofree guint *inputs = g_new (guint, step->n_inputs);

  for (guint i = 0; i < step->n_inputs; i++)
    inputs[i] = ht_gradient_builder_read (self, step->inputs[i], HT_EXEC_LAYOUT_BLOCKED);
  guint y = ht_gradient_builder_make (self, step->outputs[0], HT_EXEC_LAYOUT_BLOCKED);
  ht_gradient_plan_add_task (self->plan, &concat_kind, step, step->n_inputs + 1);
  for (guint i = 0; i < step->n_inputs; i++)
    ht_gradient_builder_set_slot (self, i, inputs[i], HT_GRADIENT_READ);
  ht_gradient_builder_set_slot (self, step->n_inputs, y, HT_GRADIENT_WRITE);
  ht_gradient_builder_finish (self, step->outputs[0]);
  return TRUE;
}

static gboolean
concat_backward (HtGradientBuilder *self, HtGradientUnit *unit, GError **error)
{
  const HtExecStep *step = unit->steps[0];
  guint dy = ht_gradient_builder_take_gradient (self, step->outputs[0], HT_EXEC_LAYOUT_BLOCKED);
  gsize first = 0;

  for (guint i = 0; i < step->n_inputs; i++)
    {
      if (ht_gradient_builder_is_active (self, step->inputs[i]))
        {
          guint dx = ht_gradient_builder_new_gradient (self, step->inputs[i], HT_EXEC_LAYOUT_BLOCKED);
          ht_gradient_plan_add_task (self->plan, &take_kind, step, 2)->data = GSIZE_TO_POINTER (first);
          ht_gradient_builder_set_slot (self, 0, dy, HT_GRADIENT_READ);
          ht_gradient_builder_set_slot (self, 1, dx, HT_GRADIENT_WRITE);
          ht_gradient_builder_add_gradient (self, step->inputs[i], dx);
        }
      first += (gsize)ht_gradient_builder_describe (self, step->inputs[i])->dims[1];
    }
  return TRUE;
}

static const HtGradientRule concat_rule = { "concat", concat_forward, concat_backward };

static gboolean
match_concat (HtGradientBuilder *self, HtGradientUnit *unit)
{
  const HtExecStep *step = unit->steps[0];
  gint64 axis = ht_node_get_int (step->node, "axis", 1);
  guint n_blocked = 0;

  if (!ht_gradient_can_block (self, step->outputs[0])
      || (axis != 1 && axis + ht_gradient_builder_describe (self, step->outputs[0])->n_dims != 1))
    return FALSE;
  for (guint i = 0; i < step->n_inputs; i++)
    {
      if (!ht_gradient_can_block (self, step->inputs[i]))
        return FALSE;
      n_blocked += self->values[step->inputs[i]].is_blocked ? 1 : 0;
    }
  unit->rule = &concat_rule;
  return 2 * n_blocked >= step->n_inputs;
}

gboolean
ht_gradient_match_pool (HtGradientBuilder *self, HtGradientUnit *unit)
{
  static const char *const names[] = { "MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool" };
  const HtExecStep *step = unit->steps[0];
  Pool pool = { .form = MAX_POOL };

  if (ht_gradient_is_op (step, "Concat") && match_concat (self, unit))
    return TRUE;
  while (pool.form < G_N_ELEMENTS (names) && !ht_gradient_is_op (step, names[pool.form]))
    pool.form++;
  if (pool.form >= G_N_ELEMENTS (names) || !self->values[step->inputs[0]].is_blocked
      || !ht_gradient_can_block (self, step->inputs[0]) || (step->n_outputs > 1 && step->outputs[1] != HT_EXEC_NONE))
    return FALSE;
  const HtExecValue *x = ht_gradient_builder_describe (self, step->inputs[0]);
  pool.extent = ht_gradient_extent (x->dims, x->n_dims);
  unit->makes_plain = pool.form == GLOBAL_MAX_POOL || pool.form == GLOBAL_AVERAGE_POOL;
  if (!unit->makes_plain)
    {
      g_autofree char *problem = ht_pool_read (step->node, x->dims, x->n_dims, &pool.geometry);
      if (problem || !ht_gradient_can_block (self, step->outputs[0]))
        return FALSE;
    }
  unit->rule = &pool_rule;
  unit->data = g_memdup2 (&pool, sizeof pool);
  g_ptr_array_add (self->plan->data, unit->data);
  return TRUE;
}
