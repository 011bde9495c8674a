/* SPDX-License-Identifier: MIT */
/* Convolutions in the blocked layout, together with clamps that follow. */
#include "exec/gradient-blocked.h"

#include "base/thread-pool.h"
#include "kernels/isa.h"
#include "ops/conv.h"

#include <string.h>

typedef struct
{
  HtConvGeometry geometry;
  gboolean plain_input;
  gsize packed_floats; /* the packed weights; the bias lies behind them, filled up */
  guint n_slices;
  HtGradientTail tail;
} Conv;

/* Packing: weights, bias (may be absent); packed */

static gboolean
run_pack (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  const Conv *conv = task->data;
  const float *bias = ht_gradient_run_data (run, task, 1);
  float *packed = ht_gradient_run_data (run, task, 2), *shift = packed + conv->packed_floats;
  gsize channels = conv->geometry.out_channels, padded = ht_gradient_padded_channels (channels);

  ht_blocked_conv_pack (&conv->geometry, conv->plain_input, ht_gradient_run_data (run, task, 0), packed);
  memset (shift, 0, padded * sizeof (float));
  if (bias)
    memcpy (shift, bias, channels * sizeof (float));
  return TRUE;
}

static const HtGradientKind pack_kind = { "conv-pack", run_pack };

/* x, packed, residual (may be absent); y */

static gboolean
run_conv (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  const Conv *conv = task->data;
  const float *packed = ht_gradient_run_data (run, task, 1);
  HtEpilogue epilogue = ht_gradient_tail_epilogue (&conv->tail, ht_gradient_run_data (run, task, 2));

  epilogue.shift = packed + conv->packed_floats;
  ht_blocked_conv (&conv->geometry, conv->plain_input, ht_gradient_run_data (run, task, 0), packed, &epilogue,
                   ht_gradient_run_data (run, task, 3), ht_gradient_run_workspace (run, task), conv->n_slices);
  return TRUE;
}

static const HtGradientKind conv_kind = { "conv", run_conv };

/* y, dy; what gets through the clamp */

static gboolean
run_clamp_backward (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  const Conv *conv = task->data;
  ht_kernel_clamp_backward (ht_tensor_get_n_elements (ht_gradient_run_tensor (run, task, 0)), conv->tail.low,
                            conv->tail.high, ht_gradient_run_data (run, task, 0), ht_gradient_run_data (run, task, 1),
                            ht_gradient_run_data (run, task, 2));
  return TRUE;
}

static const HtGradientKind clamp_backward_kind = { "clamp-backward", run_clamp_backward };

/* dy, w; dx */

static gboolean
run_data_backward (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  const Conv *conv = task->data;
  ht_blocked_conv_data_backward (&conv->geometry, conv->plain_input, ht_gradient_run_data (run, task, 0),
                                 ht_gradient_run_data (run, task, 1), ht_gradient_run_data (run, task, 2),
                                 ht_gradient_run_workspace (run, task), conv->n_slices);
  return TRUE;
}

static const HtGradientKind data_backward_kind = { "conv-data-backward", run_data_backward };

/* x, dy; dw */

static gboolean
run_weight_backward (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  const Conv *conv = task->data;
  ht_blocked_conv_weight_backward (&conv->geometry, conv->plain_input, ht_gradient_run_data (run, task, 0),
                                   ht_gradient_run_data (run, task, 1), ht_gradient_run_data (run, task, 2),
                                   ht_gradient_run_workspace (run, task));
  return TRUE;
}

static const HtGradientKind weight_backward_kind = { "conv-weight-backward", run_weight_backward };

/* dy; db */

static gboolean
run_bias_backward (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  const Conv *conv = task->data;
  const HtConvGeometry *g = &conv->geometry;
  ht_blocked_channel_sums (g->batch, g->out_channels, ht_conv_volume (g->out), ht_gradient_run_data (run, task, 0),
                           ht_gradient_run_data (run, task, 1), ht_gradient_run_workspace (run, task));
  return TRUE;
}

static const HtGradientKind bias_backward_kind = { "conv-bias-backward", run_bias_backward };

/* The unit */

static gboolean
read_geometry (HtGradientBuilder *self, const HtExecStep *step, HtConvGeometry *geometry)
{
  const HtExecValue *x = ht_gradient_builder_describe (self, step->inputs[0]);
  const HtExecValue *w = ht_gradient_builder_describe (self, step->inputs[1]);
  HtConvOperands operands;
  HtWindow window;

  if (w->type != HT_DATA_TYPE_FLOAT || w->size == 0)
    return FALSE;
  g_autofree char *problem
      = ht_conv_check_operands (step->node, FALSE, x->dims, x->n_dims, w->dims, w->n_dims, &operands);
  if (problem == NULL)
    problem = ht_window_read (&window, step->node, HT_WINDOW_CONV, operands.n_axes, operands.in, operands.kernel);
  if (problem)
    return FALSE;
  ht_conv_make_geometry (&window, &operands, x->dims[1], geometry);
  return TRUE;
}

static gboolean
supports (const HtConvGeometry *geometry, gboolean plain_input)
{
  return ht_blocked_conv_supports (geometry, plain_input) && ht_blocked_conv_backward_supports (geometry, plain_input);
}

static gboolean
conv_forward (HtGradientBuilder *self, HtGradientUnit *unit, GError **error)
{
  const HtExecStep *step = unit->steps[0];
  guint y_value = unit->steps[unit->n_steps - 1]->outputs[0];
  Conv *conv = unit->data;
  guint w = ht_gradient_builder_read (self, step->inputs[1], HT_EXEC_LAYOUT_PLAIN);
  guint bias
      = step->n_inputs > 2 ? ht_gradient_builder_read (self, step->inputs[2], HT_EXEC_LAYOUT_PLAIN) : HT_GRADIENT_NONE;
  guint x = ht_gradient_builder_read (self, step->inputs[0],
                                      conv->plain_input ? HT_EXEC_LAYOUT_PLAIN : HT_EXEC_LAYOUT_BLOCKED);
  guint residual = ht_gradient_builder_read (self, conv->tail.residual, HT_EXEC_LAYOUT_BLOCKED);
  gsize n = conv->packed_floats + ht_gradient_padded_channels (conv->geometry.out_channels);
  guint packed = ht_gradient_builder_new_vector (self, ht_node_get_input (step->node, 1), HT_GRADIENT_ARENA,
                                                 HT_DATA_TYPE_FLOAT, n);

  ht_gradient_plan_add_task (self->plan, &pack_kind, step, 3)->data = conv;
  ht_gradient_builder_set_slot (self, 0, w, HT_GRADIENT_READ);
  ht_gradient_builder_set_slot (self, 1, bias, HT_GRADIENT_READ);
  ht_gradient_builder_set_slot (self, 2, packed, HT_GRADIENT_WRITE);
  guint y = ht_gradient_builder_make (self, y_value, HT_EXEC_LAYOUT_BLOCKED);
  HtGradientTask *task = ht_gradient_plan_add_task (self->plan, &conv_kind, step, 4);
  task->data = conv;
  task->workspace_size
      = ht_window_workspace (ht_blocked_conv_slice (&conv->geometry, conv->plain_input), conv->n_slices);
  ht_gradient_builder_set_slot (self, 0, x, HT_GRADIENT_READ);
  ht_gradient_builder_set_slot (self, 1, packed, HT_GRADIENT_READ);
  ht_gradient_builder_set_slot (self, 2, residual, HT_GRADIENT_READ);
  ht_gradient_builder_set_slot (self, 3, y, HT_GRADIENT_WRITE);
  unit->kept[0] = x;
  unit->kept[1] = w;
  unit->kept[2] = y;
  ht_gradient_builder_finish (self, y_value);
  return TRUE;
}

static guint
pass_clamp (HtGradientBuilder *self, const Conv *conv, const HtExecStep *step, guint y_value, guint y, guint dy)
{
  guint through = ht_gradient_builder_new_gradient (self, y_value, HT_EXEC_LAYOUT_BLOCKED);
  HtGradientTask *task = ht_gradient_plan_add_task (self->plan, &clamp_backward_kind, step, 3);
  task->data = conv;
  task->share = HT_GRADIENT_SHARE_DYING;
  task->share_from = 2;
  task->share_to = 2;
  ht_gradient_builder_set_slot (self, 0, y, HT_GRADIENT_READ);
  ht_gradient_builder_set_slot (self, 1, dy, HT_GRADIENT_READ);
  ht_gradient_builder_set_slot (self, 2, through, HT_GRADIENT_WRITE);
  return through;
}

/* A task that makes a contribution to the gradient of `value` from two buffers. */
static void
add_backward (HtGradientBuilder *self, const HtGradientKind *kind, const Conv *conv, const HtExecStep *step,
              guint value, HtExecLayout layout, guint first, guint second, gsize workspace_size)
{
  guint made = ht_gradient_builder_new_gradient (self, value, layout);
  guint n_slots = second == HT_GRADIENT_NONE ? 2 : 3;
  HtGradientTask *task = ht_gradient_plan_add_task (self->plan, kind, step, n_slots);
  task->data = conv;
  task->workspace_size = workspace_size;
  ht_gradient_builder_set_slot (self, 0, first, HT_GRADIENT_READ);
  if (second != HT_GRADIENT_NONE)
    ht_gradient_builder_set_slot (self, 1, second, HT_GRADIENT_READ);
  ht_gradient_builder_set_slot (self, n_slots - 1, made, HT_GRADIENT_WRITE);
  ht_gradient_builder_add_gradient (self, value, made);
}

static gboolean
conv_backward (HtGradientBuilder *self, HtGradientUnit *unit, GError **error)
{
  const HtExecStep *step = unit->steps[0];
  guint y_value = unit->steps[unit->n_steps - 1]->outputs[0];
  const Conv *conv = unit->data;
  const HtConvGeometry *g = &conv->geometry;
  guint dy = ht_gradient_builder_take_gradient (self, y_value, HT_EXEC_LAYOUT_BLOCKED);

  if (conv->tail.clamps)
    dy = pass_clamp (self, conv, step, y_value, unit->kept[2], dy);
  if (ht_gradient_builder_is_active (self, conv->tail.residual))
    ht_gradient_builder_add_gradient (self, conv->tail.residual, dy);
  if (ht_gradient_builder_is_active (self, step->inputs[0]))
    add_backward (self, &data_backward_kind, conv, step, step->inputs[0],
                  conv->plain_input ? HT_EXEC_LAYOUT_PLAIN : HT_EXEC_LAYOUT_BLOCKED, dy, unit->kept[1],
                  ht_blocked_conv_data_backward_workspace (g, conv->plain_input, conv->n_slices));
  if (ht_gradient_builder_is_active (self, step->inputs[1]))
    add_backward (self, &weight_backward_kind, conv, step, step->inputs[1], HT_EXEC_LAYOUT_PLAIN, unit->kept[0], dy,
                  ht_blocked_conv_weight_backward_workspace (g, conv->plain_input));
  if (step->n_inputs > 2 && ht_gradient_builder_is_active (self, step->inputs[2]))
    add_backward (self, &bias_backward_kind, conv, step, step->inputs[2], HT_EXEC_LAYOUT_PLAIN, dy, HT_GRADIENT_NONE,
                  ht_blocked_channel_sums_workspace (g->batch, g->out_channels, ht_conv_volume (g->out)));
  return TRUE;
}

static const HtGradientRule conv_rule = { "conv", conv_forward, conv_backward };

gboolean
ht_gradient_match_conv (HtGradientBuilder *self, HtGradientUnit *unit)
{
  const HtExecStep *step = unit->steps[0];
  Conv conv = { .n_slices = ht_thread_pool_get_size () };

  if (!ht_gradient_is_op (step, "Conv") || !ht_gradient_can_block (self, step->inputs[0])
      || !ht_gradient_can_block (self, step->outputs[0]) || !read_geometry (self, step, &conv.geometry))
    return FALSE;
  gboolean few = conv.geometry.in_channels < ht_isa_get_block () && !self->values[step->inputs[0]].is_blocked;
  conv.plain_input = few && supports (&conv.geometry, TRUE);
  if (!conv.plain_input && !supports (&conv.geometry, FALSE))
    return FALSE;
  conv.packed_floats = ht_blocked_conv_packed_floats (&conv.geometry, conv.plain_input);
  conv.packed_floats = (conv.packed_floats + 15) & ~(gsize)15;
  ht_gradient_take_tail (self, unit, step->outputs[0], &conv.tail);
  unit->rule = &conv_rule;
  unit->data = g_memdup2 (&conv, sizeof conv);
  g_ptr_array_add (self->plan->data, unit->data);
  return TRUE;
}
