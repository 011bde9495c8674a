/* SPDX-License-Identifier: MIT */
/* Batch normalization in the blocked layout, together with a residual and clamps that follow. With stored statistics it
 * is a scale and a shift for each channel, made by a small task before and differentiated by a small task after. */
#include "exec/gradient-blocked.h"

#include <math.h>
#include <string.h>

typedef struct
{
  HtGradientExtent extent;
  gsize padded;
  float epsilon;
  double momentum;
  gboolean of_batch; /* statistics */
  HtGradientTail tail;
} Norm;

/* With the statistics of the batch. x, scale, shift, residual; y, mean, variance */

static gboolean
run_batch (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  const Norm *norm = task->data;
  HtEpilogue epilogue = ht_gradient_tail_epilogue (&norm->tail, ht_gradient_run_data (run, task, 3));
  ht_blocked_batch_norm (norm->extent.batch, norm->extent.channels, norm->extent.positions,
                         ht_gradient_run_data (run, task, 0), ht_gradient_run_data (run, task, 1),
                         ht_gradient_run_data (run, task, 2), norm->epsilon, &epilogue,
                         ht_gradient_run_data (run, task, 5), ht_gradient_run_data (run, task, 6),
                         ht_gradient_run_data (run, task, 4), ht_gradient_run_workspace (run, task));
  return TRUE;
}

static const HtGradientKind batch_kind = { "batch-norm", run_batch };

/* x, scale, mean, variance, y (absent without a clamp), dy; dx, dscale, dshift, gradient of the residual */

static gboolean
run_batch_backward (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  const Norm *norm = task->data;
  ht_blocked_batch_norm_backward (
      norm->extent.batch, norm->extent.channels, norm->extent.positions, ht_gradient_run_data (run, task, 0),
      ht_gradient_run_data (run, task, 1), norm->epsilon, ht_gradient_run_data (run, task, 2),
      ht_gradient_run_data (run, task, 3), ht_gradient_run_data (run, task, 4), norm->tail.low, norm->tail.high,
      ht_gradient_run_data (run, task, 5), ht_gradient_run_data (run, task, 6), ht_gradient_run_data (run, task, 7),
      ht_gradient_run_data (run, task, 8), ht_gradient_run_data (run, task, 9), ht_gradient_run_workspace (run, task));
  return TRUE;
}

static const HtGradientKind batch_backward_kind = { "batch-norm-backward", run_batch_backward };

/* Running mean and variance, those of the batch; the new ones */

static gboolean
run_statistics (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  const Norm *norm = task->data;
  for (guint k = 0; k < 2; k++)
    {
      const float *old = ht_gradient_run_data (run, task, k), *batch = ht_gradient_run_data (run, task, 2 + k);
      float *made = ht_gradient_run_data (run, task, 4 + k);
      for (gsize c = 0; c < norm->extent.channels; c++)
        made[c] = (float)(norm->momentum * (double)old[c] + (1.0 - norm->momentum) * (double)batch[c]);
    }
  return TRUE;
}

static const HtGradientKind statistics_kind = { "running-statistics", run_statistics };

/* With stored statistics. scale, shift, mean, variance; factor and term, both filled up, in one vector */

static gboolean
run_factors (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  const Norm *norm = task->data;
  const float *scale = ht_gradient_run_data (run, task, 0), *shift = ht_gradient_run_data (run, task, 1);
  const float *mean = ht_gradient_run_data (run, task, 2), *variance = ht_gradient_run_data (run, task, 3);
  float *factor = ht_gradient_run_data (run, task, 4), *term = factor + norm->padded;

  memset (factor, 0, 2 * norm->padded * sizeof (float));
  for (gsize c = 0; c < norm->extent.channels; c++)
    {
      factor[c] = scale[c] / sqrtf (variance[c] + norm->epsilon);
      term[c] = shift[c] - mean[c] * factor[c];
    }
  return TRUE;
}

static const HtGradientKind factors_kind = { "batch-norm-factors", run_factors };

/* x, factors, residual; y */

static gboolean
run_affine (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  const Norm *norm = task->data;
  HtEpilogue epilogue = ht_gradient_tail_epilogue (&norm->tail, ht_gradient_run_data (run, task, 2));
  epilogue.scale = ht_gradient_run_data (run, task, 1);
  epilogue.shift = epilogue.scale + norm->padded;
  ht_blocked_affine (norm->extent.batch, norm->extent.channels, norm->extent.positions,
                     ht_gradient_run_data (run, task, 0), &epilogue, ht_gradient_run_data (run, task, 3));
  return TRUE;
}

static const HtGradientKind affine_kind = { "affine", run_affine };

/* y, dy; what gets through the clamp */

static gboolean
run_clamp_backward (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  const Norm *norm = task->data;
  ht_kernel_clamp_backward (ht_tensor_get_n_elements (ht_gradient_run_tensor (run, task, 0)), norm->tail.low,
                            norm->tail.high, ht_gradient_run_data (run, task, 0), ht_gradient_run_data (run, task, 1),
                            ht_gradient_run_data (run, task, 2));
  return TRUE;
}

static const HtGradientKind clamp_backward_kind = { "clamp-backward", run_clamp_backward };

/* x, factors, dy; dx, gradients of factor and term */

static gboolean
run_affine_backward (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  const Norm *norm = task->data;
  ht_blocked_affine_backward (
      norm->extent.batch, norm->extent.channels, norm->extent.positions, ht_gradient_run_data (run, task, 0),
      ht_gradient_run_data (run, task, 1), ht_gradient_run_data (run, task, 2), ht_gradient_run_data (run, task, 3),
      ht_gradient_run_data (run, task, 4), ht_gradient_run_data (run, task, 5), ht_gradient_run_workspace (run, task));
  return TRUE;
}

static const HtGradientKind affine_backward_kind = { "affine-backward", run_affine_backward };

/* mean, variance, gradients of factor and term; dscale */

static gboolean
run_scale_backward (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  const Norm *norm = task->data;
  const float *mean = ht_gradient_run_data (run, task, 0), *variance = ht_gradient_run_data (run, task, 1);
  const float *dfactor = ht_gradient_run_data (run, task, 2), *dterm = ht_gradient_run_data (run, task, 3);
  float *dscale = ht_gradient_run_data (run, task, 4);
  for (gsize c = 0; c < norm->extent.channels; c++)
    dscale[c] = (dfactor[c] - mean[c] * dterm[c]) / sqrtf (variance[c] + norm->epsilon);
  return TRUE;
}

static const HtGradientKind scale_backward_kind = { "batch-norm-scale-backward", run_scale_backward };

/* The unit */

static void
set_slots (HtGradientBuilder *self, const guint *buffers, guint n, guint n_read)
{
  for (guint i = 0; i < n; i++)
    ht_gradient_builder_set_slot (self, i, buffers[i], i < n_read ? HT_GRADIENT_READ : HT_GRADIENT_WRITE);
}

static guint
new_vector (HtGradientBuilder *self, const HtExecStep *step, guint input, HtGradientPlace place, gsize n)
{
  return ht_gradient_builder_new_vector (self, ht_node_get_input (step->node, input), place, HT_DATA_TYPE_FLOAT, n);
}

static gboolean
norm_forward (HtGradientBuilder *self, HtGradientUnit *unit, GError **error)
{
  const HtExecStep *step = unit->steps[0];
  guint y_value = unit->steps[unit->n_steps - 1]->outputs[0];
  Norm *norm = unit->data;
  const HtGradientExtent *e = &norm->extent;
  guint parameters[4];
  guint x = ht_gradient_builder_read (self, step->inputs[0], HT_EXEC_LAYOUT_BLOCKED);
  guint residual = ht_gradient_builder_read (self, norm->tail.residual, HT_EXEC_LAYOUT_BLOCKED);

  for (guint i = 0; i < 4; i++)
    parameters[i] = ht_gradient_builder_read (self, step->inputs[1 + i], HT_EXEC_LAYOUT_PLAIN);
  guint y = ht_gradient_builder_make (self, y_value, HT_EXEC_LAYOUT_BLOCKED);
  unit->kept[0] = x;
  unit->kept[1] = y;
  if (norm->of_batch)
    {
      guint mean = new_vector (self, step, 3, HT_GRADIENT_ARENA, norm->padded);
      guint variance = new_vector (self, step, 4, HT_GRADIENT_ARENA, norm->padded);
      guint new_mean = new_vector (self, step, 3, HT_GRADIENT_RESULT, e->channels);
      guint new_variance = new_vector (self, step, 4, HT_GRADIENT_RESULT, e->channels);
      HtGradientTask *task = ht_gradient_plan_add_task (self->plan, &batch_kind, step, 7);
      task->data = norm;
      task->workspace_size = ht_blocked_batch_norm_workspace (e->batch, e->channels, e->positions);
      set_slots (self, (guint[]){ x, parameters[0], parameters[1], residual, y, mean, variance }, 7, 4);
      ht_gradient_plan_add_task (self->plan, &statistics_kind, step, 6)->data = norm;
      set_slots (self, (guint[]){ parameters[2], parameters[3], mean, variance, new_mean, new_variance }, 6, 4);
      ht_gradient_add_statistics (self, step, new_mean, new_variance);
      unit->kept[2] = mean;
      unit->kept[3] = variance;
    }
  else
    {
      guint factors = new_vector (self, step, 1, HT_GRADIENT_ARENA, 2 * norm->padded);
      ht_gradient_plan_add_task (self->plan, &factors_kind, step, 5)->data = norm;
      set_slots (self, (guint[]){ parameters[0], parameters[1], parameters[2], parameters[3], factors }, 5, 4);
      HtGradientTask *task = ht_gradient_plan_add_task (self->plan, &affine_kind, step, 4);
      task->data = norm;
      task->share = HT_GRADIENT_SHARE_DYING;
      task->share_from = 1;
      task->share_to = 3;
      set_slots (self, (guint[]){ x, factors, residual, y }, 4, 3);
      unit->kept[2] = factors;
    }
  ht_gradient_builder_finish (self, y_value);
  return TRUE;
}

static void
batch_backward (HtGradientBuilder *self, HtGradientUnit *unit, guint dy)
{
  const HtExecStep *step = unit->steps[0];
  const Norm *norm = unit->data;
  const HtGradientExtent *e = &norm->extent;
  gboolean adds = ht_gradient_builder_is_active (self, norm->tail.residual);
  guint scale = ht_gradient_builder_read (self, step->inputs[1], HT_EXEC_LAYOUT_PLAIN);
  guint made[3];

  for (guint i = 0; i < 3; i++)
    made[i] = ht_gradient_builder_new_gradient (self, step->inputs[i],
                                                i == 0 ? HT_EXEC_LAYOUT_BLOCKED : HT_EXEC_LAYOUT_PLAIN);
  /* Without a clamp what reaches the residual is dy itself. */
  guint d_residual = adds && norm->tail.clamps
                         ? ht_gradient_builder_new_gradient (self, norm->tail.residual, HT_EXEC_LAYOUT_BLOCKED)
                         : HT_GRADIENT_NONE;
  HtGradientTask *task = ht_gradient_plan_add_task (self->plan, &batch_backward_kind, step, 10);
  task->data = norm;
  task->workspace_size = ht_blocked_batch_norm_backward_workspace (e->batch, e->channels, e->positions);
  task->share = HT_GRADIENT_SHARE_DYING;
  task->share_from = 1u << 5;
  task->share_to = d_residual == HT_GRADIENT_NONE ? 6 : 9;
  set_slots (self,
             (guint[]){ unit->kept[0], scale, unit->kept[2], unit->kept[3],
                        norm->tail.clamps ? unit->kept[1] : HT_GRADIENT_NONE, dy, made[0], made[1], made[2],
                        d_residual },
             10, 6);
  if (adds)
    ht_gradient_builder_add_gradient (self, norm->tail.residual, norm->tail.clamps ? d_residual : dy);
  for (guint i = 0; i < 3; i++)
    if (ht_gradient_builder_is_active (self, step->inputs[i]))
      ht_gradient_builder_add_gradient (self, step->inputs[i], made[i]);
}

static void
affine_backward (HtGradientBuilder *self, HtGradientUnit *unit, guint dy)
{
  const HtExecStep *step = unit->steps[0];
  guint y_value = unit->steps[unit->n_steps - 1]->outputs[0];
  const Norm *norm = unit->data;
  const HtGradientExtent *e = &norm->extent;
  gboolean x_active = ht_gradient_builder_is_active (self, step->inputs[0]);
  gboolean scale_active = ht_gradient_builder_is_active (self, step->inputs[1]);
  gboolean shift_active = ht_gradient_builder_is_active (self, step->inputs[2]);
  guint dx = HT_GRADIENT_NONE, dfactor = HT_GRADIENT_NONE, dshift = HT_GRADIENT_NONE;

  if (norm->tail.clamps)
    {
      guint through = ht_gradient_builder_new_gradient (self, y_value, HT_EXEC_LAYOUT_BLOCKED);
      HtGradientTask *task = ht_gradient_plan_add_task (self->plan, &clamp_backward_kind, step, 3);
      task->data = norm;
      task->share = HT_GRADIENT_SHARE_DYING;
      task->share_from = 2;
      task->share_to = 2;
      set_slots (self, (guint[]){ unit->kept[1], dy, through }, 3, 2);
      dy = through;
    }
  if (ht_gradient_builder_is_active (self, norm->tail.residual))
    ht_gradient_builder_add_gradient (self, norm->tail.residual, dy);
  if (!x_active && !scale_active && !shift_active)
    return;
  if (x_active)
    dx = ht_gradient_builder_new_gradient (self, step->inputs[0], HT_EXEC_LAYOUT_BLOCKED);
  if (scale_active)
    dfactor = new_vector (self, step, 1, HT_GRADIENT_ARENA, norm->padded);
  if (scale_active || shift_active)
    dshift = ht_gradient_builder_new_gradient (self, step->inputs[2], HT_EXEC_LAYOUT_PLAIN);
  HtGradientTask *task = ht_gradient_plan_add_task (self->plan, &affine_backward_kind, step, 6);
  task->data = norm;
  task->workspace_size = ht_blocked_affine_backward_workspace (e->batch, e->channels, e->positions);
  task->share = HT_GRADIENT_SHARE_DYING;
  task->share_from = 4;
  task->share_to = 3;
  set_slots (self, (guint[]){ unit->kept[0], unit->kept[2], dy, dx, dfactor, dshift }, 6, 3);
  if (!scale_active && !shift_active)
    ht_gradient_builder_last_task (self)->slots[0].access = HT_GRADIENT_SHAPE; /* x is not read */
  if (scale_active)
    {
      guint mean = ht_gradient_builder_read (self, step->inputs[3], HT_EXEC_LAYOUT_PLAIN);
      guint variance = ht_gradient_builder_read (self, step->inputs[4], HT_EXEC_LAYOUT_PLAIN);
      guint dscale = ht_gradient_builder_new_gradient (self, step->inputs[1], HT_EXEC_LAYOUT_PLAIN);
      ht_gradient_plan_add_task (self->plan, &scale_backward_kind, step, 5)->data = norm;
      set_slots (self, (guint[]){ mean, variance, dfactor, dshift, dscale }, 5, 4);
      ht_gradient_builder_add_gradient (self, step->inputs[1], dscale);
    }
  if (x_active)
    ht_gradient_builder_add_gradient (self, step->inputs[0], dx);
  if (shift_active)
    ht_gradient_builder_add_gradient (self, step->inputs[2], dshift);
}

static gboolean
norm_backward (HtGradientBuilder *self, HtGradientUnit *unit, GError **error)
{
  guint y_value = unit->steps[unit->n_steps - 1]->outputs[0];
  const Norm *norm = unit->data;
  guint dy = ht_gradient_builder_take_gradient (self, y_value, HT_EXEC_LAYOUT_BLOCKED);

  if (norm->of_batch)
    batch_backward (self, unit, dy);
  else
    affine_backward (self, unit, dy);
  return TRUE;
}

static const HtGradientRule norm_rule = { "batch-norm", norm_forward, norm_backward };

gboolean
ht_gradient_match_norm (HtGradientBuilder *self, HtGradientUnit *unit)
{
  const HtExecStep *step = unit->steps[0];
  Norm norm = { .of_batch = unit->rule == &ht_gradient_batch_norm_rule };

  if (!ht_gradient_is_op (step, "BatchNormalization") || !self->values[step->inputs[0]].is_blocked
      || !ht_gradient_can_block (self, step->outputs[0]))
    return FALSE;
  for (guint i = 1; i < step->n_outputs; i++)
    if (step->outputs[i] != HT_EXEC_NONE)
      return FALSE;
  if (!norm.of_batch
      && ((step->opset < 9 && ht_node_get_int (step->node, "spatial", 1) == 0)
          || ht_node_get_int (step->node, "training_mode", 0) != 0
          || ht_gradient_builder_is_active (self, step->inputs[3])
          || ht_gradient_builder_is_active (self, step->inputs[4])))
    return FALSE;
  for (guint i = 1; i < 5; i++)
    if (ht_gradient_builder_describe (self, step->inputs[i])->type != HT_DATA_TYPE_FLOAT)
      return FALSE;
  const HtExecValue *x = ht_gradient_builder_describe (self, step->inputs[0]);
  norm.extent = ht_gradient_extent (x->dims, x->n_dims);
  norm.padded = ht_gradient_padded_channels (norm.extent.channels);
  norm.epsilon = (float)ht_node_get_float (step->node, "epsilon", 1e-5);
  norm.momentum = ht_node_get_float (step->node, "momentum", 0.9);
  ht_gradient_take_tail (self, unit, step->outputs[0], &norm.tail);
  unit->rule = &norm_rule;
  unit->data = g_memdup2 (&norm, sizeof norm);
  g_ptr_array_add (self->plan->data, unit->data);
  return TRUE;
}
