/* SPDX-License-Identifier: MIT */
/* Concatenation of blocked tensors over their channels. */
#include "exec/lower.h"

#include "graph/tensor-private.h"
#include "kernels/blocked.h"

static gboolean
concat_forward (const HtExecCall *call, GError **error)
{
  const HtExecValue *y = ht_exec_plan_value (call->plan, call->step->outputs[0]);
  gsize positions = 1, first = 0;

  for (guint i = 2; i < y->n_dims; i++)
    positions *= (gsize)y->dims[i];
  for (guint i = 0; i < call->step->n_inputs; i++)
    {
      gsize channels = (gsize)ht_exec_plan_value (call->plan, call->step->inputs[i])->dims[1];
      ht_blocked_copy_channels ((gsize)y->dims[0], channels, positions, ht_tensor_get_data (call->inputs[i]), first,
                                (gsize)y->dims[1], call->outputs[0]->data);
      first += channels;
    }
  return TRUE;
}

static const HtExecKind concat_kind = { .name = "concat", .forward = concat_forward };

gboolean
ht_exec_lower_concat (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error)
{
  guint n_inputs = ht_node_get_n_inputs (node), n_blocked = 0, n_dims;
  const char *output = ht_node_get_output (node, 0);
  gint64 dims[HT_TENSOR_MAX_DIMS], axis = ht_node_get_int (node, "axis", 1);

  if (!ht_exec_builder_can_block (builder, output) || !ht_exec_builder_get_float_dims (builder, output, dims, &n_dims)
      || (axis < 0 ? axis + n_dims : axis) != 1)
    return TRUE;
  for (guint i = 0; i < n_inputs; i++)
    {
      if (!ht_exec_builder_can_block (builder, ht_node_get_input (node, i))
          || !ht_exec_builder_is_made (builder, ht_node_get_input (node, i)))
        return TRUE;
      n_blocked += ht_exec_builder_is_blocked (builder, ht_node_get_input (node, i));
    }
  if (2 * n_blocked < n_inputs)
    return TRUE;
  g_autofree guint *inputs = g_new (guint, n_inputs);
  for (guint i = 0; i < n_inputs; i++)
    if (!ht_exec_builder_read (builder, node, ht_node_get_input (node, i), HT_EXEC_LAYOUT_BLOCKED, &inputs[i], error))
      return FALSE;
  ht_exec_builder_add_step (builder, node, &concat_kind, NULL, inputs, n_inputs, output, HT_EXEC_LAYOUT_BLOCKED);
  *taken = TRUE;
  return TRUE;
}
