/* SPDX-License-Identifier: MIT */
/* Units of one node in the plain layout. */
#include "exec/gradient-build.h"

#include "exec/gradient-blocked.h"

#include <halftone/error.h>
#include <string.h>

static gboolean
keeps (guint32 mask, guint index)
{
  return (mask & HT_OP_KEEPS_ALL) != 0 || (index < 31 && (mask & HT_OP_KEEPS (index)) != 0);
}

static gboolean
same_layout (const HtGradientBuffer *a, const HtGradientBuffer *b)
{
  if (a->type != b->type || a->n_dims != b->n_dims)
    return FALSE;
  for (guint i = 0; i < a->n_dims; i++)
    if (a->dims[i] != b->dims[i])
      return FALSE;
  return TRUE;
}

/* In the blocked layout an operator that works element by element sees rows of floats; what is smaller, such as bounds,
 * stays plain. */
static HtExecLayout
slot_layout (HtGradientBuilder *self, const HtGradientUnit *unit, guint value)
{
  const HtExecStep *step = unit->steps[0];
  return value != HT_EXEC_NONE && unit->rule == &ht_gradient_flat_rule
                 && ht_gradient_same_dims (self, value, step->outputs[0])
             ? HT_EXEC_LAYOUT_BLOCKED
             : HT_EXEC_LAYOUT_PLAIN;
}

static gboolean
operator_forward (HtGradientBuilder *self, HtGradientUnit *unit, GError **error)
{
  const HtExecStep *step = unit->steps[0];
  g_autofree guint *buffers = g_new (guint, step->n_inputs + step->n_outputs + 1);

  for (guint i = 0; i < step->n_inputs; i++)
    buffers[i] = ht_gradient_builder_read (self, step->inputs[i], slot_layout (self, unit, step->inputs[i]));
  for (guint i = 0; i < step->n_outputs; i++)
    buffers[step->n_inputs + i]
        = ht_gradient_builder_make (self, step->outputs[i], slot_layout (self, unit, step->outputs[i]));
  HtGradientTask *task
      = ht_gradient_plan_add_task (self->plan, &ht_gradient_forward_kind, step, step->n_inputs + step->n_outputs);
  task->workspace_size = step->workspace_size;
  task->share_to = step->n_inputs;
  for (guint i = 0; i < step->n_inputs + step->n_outputs; i++)
    task->slots[i] = (HtGradientSlot){ buffers[i], i < step->n_inputs ? HT_GRADIENT_READ : HT_GRADIENT_WRITE };
  if (step->op->flags & HT_OP_VIEW)
    {
      task->share = HT_GRADIENT_SHARE_VIEW;
      task->share_from = 1;
    }
  else if ((step->op->flags & HT_OP_IN_PLACE) && step->n_outputs > 0 && step->outputs[0] != HT_EXEC_NONE)
    {
      const HtGradientBuffer *output = ht_gradient_plan_buffer (self->plan, buffers[step->n_inputs]);
      task->share = HT_GRADIENT_SHARE_DYING;
      for (guint i = 0; i < step->n_inputs && i < 32; i++)
        if (buffers[i] != HT_GRADIENT_NONE && same_layout (ht_gradient_plan_buffer (self->plan, buffers[i]), output))
          task->share_from |= 1u << i;
    }
  for (guint i = 0; i < step->n_outputs; i++)
    ht_gradient_builder_finish (self, step->outputs[i]);
  return TRUE;
}

static gboolean
fail_no_backward (const HtExecStep *step, GError **error)
{
  g_autofree char *described = ht_node_describe (step->node);
  const char *domain = ht_node_get_domain (step->node);
  g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
               "gradients through %s: operator '%s' of domain '%s' at opset %" G_GINT64_FORMAT
               " cannot be differentiated by this version; choose tensors behind it",
               described, ht_node_get_op_type (step->node), domain[0] ? domain : "ai.onnx", step->opset);
  return FALSE;
}

/* Each term of a sum has the gradient of the sum. */
static gboolean
is_sum (HtGradientBuilder *self, const HtExecStep *step)
{
  if (!ht_gradient_is_op (step, "Add") && !ht_gradient_is_op (step, "Sum"))
    return FALSE;
  for (guint i = 0; i < step->n_inputs; i++)
    if (!ht_gradient_same_dims (self, step->inputs[i], step->outputs[0]))
      return FALSE;
  return TRUE;
}

static gboolean
sum_backward (HtGradientBuilder *self, const HtGradientUnit *unit)
{
  const HtExecStep *step = unit->steps[0];
  guint dy = ht_gradient_builder_take_gradient (self, step->outputs[0], slot_layout (self, unit, step->outputs[0]));
  for (guint i = 0; i < step->n_inputs; i++)
    if (ht_gradient_builder_is_active (self, step->inputs[i]))
      ht_gradient_builder_add_gradient (self, step->inputs[i], dy);
  return TRUE;
}

static gboolean
view_backward (HtGradientBuilder *self, const HtExecStep *step)
{
  guint dy = ht_gradient_builder_take_gradient (self, step->outputs[0], HT_EXEC_LAYOUT_PLAIN);
  if (dy == HT_GRADIENT_NONE || !ht_gradient_builder_is_active (self, step->inputs[0]))
    return TRUE;
  guint dx = ht_gradient_builder_new_gradient (self, step->inputs[0], HT_EXEC_LAYOUT_PLAIN);
  HtGradientTask *task = ht_gradient_plan_add_task (self->plan, &ht_gradient_reshape_kind, NULL, 2);
  task->share = HT_GRADIENT_SHARE_VIEW;
  task->share_from = 1;
  task->share_to = 1;
  ht_gradient_builder_set_slot (self, 0, dy, HT_GRADIENT_READ);
  ht_gradient_builder_set_slot (self, 1, dx, HT_GRADIENT_WRITE);
  ht_gradient_builder_add_gradient (self, step->inputs[0], dx);
  return TRUE;
}

/* What shape inference would say of a buffer. */
static HtInferValue
describe_buffer (const HtGradientBuffer *buffer)
{
  HtInferValue value = { .type = buffer->type,
                         .shape = ht_shape_new (buffer->dims, NULL, buffer->n_dims),
                         .constant = buffer->constant /* borrowed */ };
  return value;
}

static gsize
ask_workspace (HtGradientBuilder *self, const HtExecStep *step, const HtGradientTask *task)
{
  guint n = step->n_inputs + step->n_outputs;
  g_autofree HtInferValue *values = g_new0 (HtInferValue, n + 1);
  g_autofree const HtInferValue **inputs = g_new0 (const HtInferValue *, step->n_inputs + 1);

  if (step->op->backward_workspace == NULL)
    return 0;
  for (guint i = 0; i < n; i++)
    if (task->slots[i].buffer != HT_GRADIENT_NONE)
      {
        values[i] = describe_buffer (ht_gradient_plan_buffer (self->plan, task->slots[i].buffer));
        if (i < step->n_inputs)
          inputs[i] = &values[i];
      }
  HtInfer infer = { .graph = self->request->graph,
                    .node = step->node,
                    .opset = step->opset,
                    .n_inputs = step->n_inputs,
                    .inputs = inputs,
                    .n_outputs = step->n_outputs,
                    .outputs = values + step->n_inputs };
  gsize size = step->op->backward_workspace (&infer);
  for (guint i = 0; i < n; i++)
    g_clear_pointer (&values[i].shape, ht_shape_unref);
  return size;
}

static gboolean
operator_backward (HtGradientBuilder *self, HtGradientUnit *unit, GError **error)
{
  const HtExecStep *step = unit->steps[0];
  guint n_calls = step->n_inputs + step->n_outputs;

  if (is_sum (self, step))
    return sum_backward (self, unit);
  if ((step->op->flags & HT_OP_VIEW) && unit->rule != &ht_gradient_flat_rule)
    return view_backward (self, step);
  if (step->op->backward == NULL)
    return fail_no_backward (step, error);
  g_autofree HtGradientSlot *slots = g_new (HtGradientSlot, 2 * n_calls + 1);
  for (guint i = 0; i < step->n_inputs; i++)
    {
      gboolean kept = keeps (step->op->backward_inputs, i);
      HtExecLayout layout = slot_layout (self, unit, step->inputs[i]);
      slots[i].buffer = kept ? ht_gradient_builder_read (self, step->inputs[i], layout)
                             : ht_gradient_builder_get_shape (self, step->inputs[i], layout);
      slots[i].access = kept ? HT_GRADIENT_READ : HT_GRADIENT_SHAPE;
    }
  for (guint i = 0; i < step->n_outputs; i++)
    {
      guint raw = step->outputs[i] == HT_EXEC_NONE
                      ? HT_GRADIENT_NONE
                      : self->values[step->outputs[i]].raw[slot_layout (self, unit, step->outputs[i])];
      slots[step->n_inputs + i]
          = (HtGradientSlot){ raw, keeps (step->op->backward_outputs, i) ? HT_GRADIENT_READ : HT_GRADIENT_SHAPE };
    }
  for (guint i = 0; i < step->n_outputs; i++)
    slots[n_calls + i] = (HtGradientSlot){ ht_gradient_builder_take_gradient (
                                               self, step->outputs[i], slot_layout (self, unit, step->outputs[i])),
                                           HT_GRADIENT_READ };
  for (guint i = 0; i < step->n_inputs; i++)
    {
      gboolean wanted = ht_gradient_builder_is_active (self, step->inputs[i]);
      slots[n_calls + step->n_outputs + i]
          = (HtGradientSlot){ wanted ? ht_gradient_builder_new_gradient (self, step->inputs[i],
                                                                         slot_layout (self, unit, step->inputs[i]))
                                     : HT_GRADIENT_NONE,
                              HT_GRADIENT_WRITE };
    }
  HtGradientTask *task = ht_gradient_plan_add_task (self->plan, &ht_gradient_backward_kind, step, 2 * n_calls);
  memcpy (task->slots, slots, 2 * n_calls * sizeof *slots);
  task->workspace_size = ask_workspace (self, step, task);
  for (guint i = 0; i < step->n_inputs; i++)
    if (slots[n_calls + step->n_outputs + i].buffer != HT_GRADIENT_NONE)
      ht_gradient_builder_add_gradient (self, step->inputs[i], slots[n_calls + step->n_outputs + i].buffer);
  return TRUE;
}

const HtGradientRule ht_gradient_operator_rule = { "operator", operator_forward, operator_backward };

const HtGradientRule ht_gradient_flat_rule = { "elementwise", operator_forward, operator_backward };

/* An operator of one blocked tensor, or of two of the same shape, whose values at zero are finite. */
gboolean
ht_gradient_match_flat (HtGradientBuilder *self, HtGradientUnit *unit)
{
  static const char *const names[]
      = { "Add", "Celu", "Clip", "Elu",     "Gelu",     "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Mish",
          "Mul", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign",    "Sub",       "Sum",      "Tanh" };
  const HtExecStep *step = unit->steps[0];
  gboolean known = FALSE;

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    known = known || ht_gradient_is_op (step, names[i]);
  if (!known || !ht_gradient_can_block (self, step->outputs[0]))
    return FALSE;
  for (guint i = 0; i < step->n_inputs; i++)
    {
      if (step->inputs[i] == HT_EXEC_NONE)
        continue;
      gboolean is_bound = ht_gradient_is_op (step, "Clip") && i > 0;
      if (is_bound ? ht_gradient_builder_is_active (self, step->inputs[i])
                   : !ht_gradient_same_dims (self, step->inputs[i], step->outputs[0])
                         || !self->values[step->inputs[i]].is_blocked)
        return FALSE;
    }
  unit->rule = &ht_gradient_flat_rule;
  return TRUE;
}

/* BatchNormalization */

gboolean
ht_gradient_uses_batch_statistics (HtGradientBuilder *self, const HtExecStep *step)
{
  if (strcmp (ht_node_get_op_type (step->node), "BatchNormalization") != 0 || ht_node_get_domain (step->node)[0])
    return FALSE;
  for (guint i = 1; i < step->n_outputs; i++)
    if (step->outputs[i] != HT_EXEC_NONE)
      return FALSE;
  gboolean spatial = step->opset >= 9 || ht_node_get_int (step->node, "spatial", 1) != 0;
  HtDataType type = ht_gradient_builder_describe (self, step->inputs[0])->type;
  for (guint i = 1; i < 5; i++)
    if (ht_gradient_builder_describe (self, step->inputs[i])->type != type)
      return FALSE;
  return spatial && (type == HT_DATA_TYPE_FLOAT || type == HT_DATA_TYPE_DOUBLE)
         && (self->request->batch_statistics || ht_node_get_int (step->node, "training_mode", 0) != 0);
}

static gboolean
batch_norm_forward (HtGradientBuilder *self, HtGradientUnit *unit, GError **error)
{
  const HtExecStep *step = unit->steps[0];
  const HtExecValue *x = ht_gradient_builder_describe (self, step->inputs[0]);
  HtDataType type = x->type;
  gsize channels = x->n_dims > 1 ? (gsize)x->dims[1] : 1;
  guint buffers[10];

  for (guint i = 0; i < 5; i++)
    buffers[i] = ht_gradient_builder_read (self, step->inputs[i], HT_EXEC_LAYOUT_PLAIN);
  buffers[5] = ht_gradient_builder_make (self, step->outputs[0], HT_EXEC_LAYOUT_PLAIN);
  for (guint i = 6; i < 10; i++)
    buffers[i] = ht_gradient_builder_new_vector (self, ht_node_get_input (step->node, i % 2 ? 4 : 3),
                                                 i < 8 ? HT_GRADIENT_ARENA : HT_GRADIENT_RESULT, type, channels);
  ht_gradient_plan_add_task (self->plan, &ht_gradient_batch_norm_kind, step, 10);
  for (guint i = 0; i < 10; i++)
    ht_gradient_builder_set_slot (self, i, buffers[i], i < 5 ? HT_GRADIENT_READ : HT_GRADIENT_WRITE);
  unit->kept[0] = buffers[6];
  unit->kept[1] = buffers[7];
  ht_gradient_add_statistics (self, step, buffers[8], buffers[9]);
  ht_gradient_builder_finish (self, step->outputs[0]);
  return TRUE;
}

static gboolean
batch_norm_backward (HtGradientBuilder *self, HtGradientUnit *unit, GError **error)
{
  const HtExecStep *step = unit->steps[0];
  guint buffers[8];

  for (guint i = 0; i < 2; i++)
    buffers[i] = ht_gradient_builder_read (self, step->inputs[i], HT_EXEC_LAYOUT_PLAIN);
  buffers[2] = unit->kept[0];
  buffers[3] = unit->kept[1];
  buffers[4] = ht_gradient_builder_take_gradient (self, step->outputs[0], HT_EXEC_LAYOUT_PLAIN);
  for (guint i = 0; i < 3; i++)
    buffers[5 + i] = ht_gradient_builder_is_active (self, step->inputs[i])
                         ? ht_gradient_builder_new_gradient (self, step->inputs[i], HT_EXEC_LAYOUT_PLAIN)
                         : HT_GRADIENT_NONE;
  ht_gradient_plan_add_task (self->plan, &ht_gradient_batch_norm_backward_kind, step, 8);
  for (guint i = 0; i < 8; i++)
    ht_gradient_builder_set_slot (self, i, buffers[i], i < 5 ? HT_GRADIENT_READ : HT_GRADIENT_WRITE);
  for (guint i = 0; i < 3; i++)
    if (buffers[5 + i] != HT_GRADIENT_NONE)
      ht_gradient_builder_add_gradient (self, step->inputs[i], buffers[5 + i]);
  return TRUE;
}

const HtGradientRule ht_gradient_batch_norm_rule = { "batch-norm", batch_norm_forward, batch_norm_backward };
