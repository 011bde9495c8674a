/* SPDX-License-Identifier: MIT */
#include "exec/gradient-blocked.h"

#include "kernels/isa.h"

#include <math.h>
#include <string.h>

HtGradientExtent
ht_gradient_extent (const gint64 *dims, guint n_dims)
{
  HtGradientExtent extent = { n_dims > 0 ? (gsize)dims[0] : 1, n_dims > 1 ? (gsize)dims[1] : 1, 1 };
  for (guint i = 2; i < n_dims; i++)
    extent.positions *= (gsize)dims[i];
  return extent;
}

HtGradientExtent
ht_gradient_slot_extent (const HtGradientRun *run, const HtGradientTask *task, guint slot)
{
  const HtGradientBuffer *buffer = ht_gradient_plan_buffer (run->plan, task->slots[slot].buffer);
  return ht_gradient_extent (buffer->dims, buffer->n_dims);
}

gsize
ht_gradient_blocked_floats (const gint64 *dims, guint n_dims)
{
  HtGradientExtent e = ht_gradient_extent (dims, n_dims);
  return ht_blocked_floats (e.batch, e.channels, e.positions, ht_isa_get_block ());
}

gsize
ht_gradient_padded_channels (gsize channels)
{
  gsize block = ht_isa_get_block ();
  return (channels + block - 1) / block * block;
}

static gboolean
run_reorder (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  HtGradientExtent e = ht_gradient_slot_extent (run, task, 0);
  const float *from = ht_gradient_run_data (run, task, 0);
  float *to = ht_gradient_run_data (run, task, 1);

  if (ht_gradient_plan_buffer (run->plan, task->slots[0].buffer)->blocked)
    ht_blocked_to_plain (e.batch, e.channels, e.positions, from, to, NULL);
  else
    ht_blocked_from_plain (e.batch, e.channels, e.positions, from, to, NULL);
  return TRUE;
}

const HtGradientKind ht_gradient_reorder_kind = { "reorder", run_reorder };

gsize
ht_gradient_blocked_quantize_backward_workspace (const HtGradientBuffer *buffer)
{
  HtGradientExtent e = ht_gradient_extent (buffer->dims, buffer->n_dims);
  return ht_blocked_fake_quantize_backward_workspace (e.batch, e.channels, e.positions);
}

static gboolean
run_quantize_backward (HtGradientRun *run, const HtGradientTask *task, GError **error)
{
  HtGradientExtent e = ht_gradient_slot_extent (run, task, 0);
  const char *name = ht_gradient_plan_buffer (run->plan, task->slots[0].buffer)->name;
  HtEncoding *encoding = g_hash_table_lookup (run->encodings, name);
  HtGrid grid = { (float)ht_encoding_get_scales (encoding, NULL)[0], (float)ht_encoding_get_offsets (encoding, NULL)[0],
                  (float)ht_encoding_get_n_steps (encoding) };

  ht_blocked_fake_quantize_backward (e.batch, e.channels, e.positions, &grid, ht_gradient_run_data (run, task, 0),
                                     ht_gradient_run_data (run, task, 1), ht_gradient_run_data (run, task, 2),
                                     ht_gradient_run_data (run, task, 3), ht_gradient_run_data (run, task, 4),
                                     ht_gradient_run_workspace (run, task));
  return TRUE;
}

const HtGradientKind ht_gradient_blocked_quantize_backward_kind = { "quantize-backward", run_quantize_backward };

/* Matching */

gboolean
ht_gradient_is_op (const HtExecStep *step, const char *op_type)
{
  return strcmp (ht_node_get_op_type (step->node), op_type) == 0 && ht_node_get_domain (step->node)[0] == '\0';
}

gboolean
ht_gradient_can_block (HtGradientBuilder *self, guint value)
{
  if (value == HT_EXEC_NONE)
    return FALSE;
  const HtExecValue *known = ht_gradient_builder_describe (self, value);
  if (known->type != HT_DATA_TYPE_FLOAT || known->n_dims < 3 || known->n_dims > 2 + HT_CONV_AXES)
    return FALSE;
  for (guint i = 0; i < known->n_dims; i++)
    if (known->dims[i] == 0)
      return FALSE;
  return TRUE;
}

gboolean
ht_gradient_same_dims (HtGradientBuilder *self, guint a, guint b)
{
  const HtExecValue *x = ht_gradient_builder_describe (self, a), *y = ht_gradient_builder_describe (self, b);
  return x->type == y->type && x->n_dims == y->n_dims
         && (x->n_dims == 0 || memcmp (x->dims, y->dims, x->n_dims * sizeof *x->dims) == 0);
}

const HtExecStep *
ht_gradient_only_reader (HtGradientBuilder *self, guint value)
{
  const HtGradientValue *known = &self->values[value];
  if (known->n_readers != 1 || known->is_visible || known->encoding || self->taken[known->reader])
    return NULL;
  return ht_exec_plan_step (self->plan->forward, known->reader);
}

static gboolean
read_bound (HtGradientBuilder *self, const HtExecStep *step, guint input, float *bound)
{
  if (input >= step->n_inputs || step->inputs[input] == HT_EXEC_NONE)
    return TRUE;
  const HtExecValue *value = ht_gradient_builder_describe (self, step->inputs[input]);
  if (value->place != HT_EXEC_CONSTANT || value->type != HT_DATA_TYPE_FLOAT
      || ht_tensor_get_n_elements (value->constant) != 1 || self->values[step->inputs[input]].encoding)
    return FALSE;
  *bound = *(const float *)ht_tensor_get_data (value->constant);
  return TRUE;
}

gboolean
ht_gradient_read_clamp (HtGradientBuilder *self, const HtExecStep *step, float *low, float *high)
{
  *low = -INFINITY;
  *high = INFINITY;
  if (ht_gradient_is_op (step, "Relu"))
    {
      *low = 0.0f;
      return TRUE;
    }
  if (!ht_gradient_is_op (step, "Clip"))
    return FALSE;
  if (step->opset < 11)
    {
      *low = (float)ht_node_get_float (step->node, "min", (double)-G_MAXFLOAT);
      *high = (float)ht_node_get_float (step->node, "max", (double)G_MAXFLOAT);
    }
  else if (!read_bound (self, step, 1, low) || !read_bound (self, step, 2, high))
    {
      return FALSE;
    }
  return *low < *high;
}

static gboolean
take_residual (HtGradientBuilder *self, const HtExecStep *step, guint value, HtGradientTail *tail)
{
  if (tail->residual != HT_EXEC_NONE || tail->clamps
      || !(ht_gradient_is_op (step, "Add") || ht_gradient_is_op (step, "Sum")) || step->n_inputs != 2)
    return FALSE;
  guint other = step->inputs[step->inputs[0] == value ? 1 : 0];
  if (!ht_gradient_same_dims (self, value, other))
    return FALSE;
  tail->residual = other;
  return TRUE;
}

static gboolean
take_clamp (HtGradientBuilder *self, const HtExecStep *step, HtGradientTail *tail)
{
  float low, high;
  if (!ht_gradient_read_clamp (self, step, &low, &high))
    return FALSE;
  /* Clamping twice is clamping once, where the ranges overlap. */
  if (tail->clamps && !(MAX (low, tail->low) < MIN (high, tail->high)))
    return FALSE;
  tail->low = tail->clamps ? MAX (low, tail->low) : low;
  tail->high = tail->clamps ? MIN (high, tail->high) : high;
  tail->clamps = TRUE;
  return TRUE;
}

void
ht_gradient_take_tail (HtGradientBuilder *self, HtGradientUnit *unit, guint value, HtGradientTail *tail)
{
  *tail = (HtGradientTail){ HT_EXEC_NONE, FALSE, -INFINITY, INFINITY };
  while (unit->n_steps < HT_GRADIENT_UNIT_STEPS)
    {
      const HtExecStep *next = ht_gradient_only_reader (self, value);
      if (next == NULL || !(take_residual (self, next, value, tail) || take_clamp (self, next, tail)))
        return;
      unit->steps[unit->n_steps++] = next;
      value = next->outputs[0];
    }
}

HtEpilogue
ht_gradient_tail_epilogue (const HtGradientTail *tail, const float *residual)
{
  return (HtEpilogue){ .residual = residual,
                       .activation = tail->clamps ? HT_ACTIVATION_CLAMP : HT_ACTIVATION_NONE,
                       .low = tail->low,
                       .high = tail->high };
}

gboolean
ht_gradient_blocked_match (HtGradientBuilder *self, guint index, HtGradientUnit *unit)
{
  const HtExecStep *step = ht_exec_plan_step (self->plan->forward, index);

  return step->n_inputs > 0 && step->n_outputs > 0 && step->outputs[0] != HT_EXEC_NONE
         && (ht_gradient_match_conv (self, unit) || ht_gradient_match_norm (self, unit)
             || ht_gradient_match_pool (self, unit) || ht_gradient_match_flat (self, unit));
}
