/* SPDX-License-Identifier: MIT */
/* Slices over the spatial axes of blocked tensors and pads of their channels, as many as follow each other: the
 * shortcut of a residual network that shrinks the image and widens the channels is one step. */
#include "exec/lower.h"

#include "graph/tensor-private.h"
#include "kernels/blocked.h"

#include <string.h>

static gboolean
slice_forward (const HtExecCall *call, GError **error)
{
  ht_blocked_slice (call->step->data, ht_tensor_get_data (call->inputs[0]), call->outputs[0]->data);
  return TRUE;
}

static const HtExecKind slice_kind = { .name = "slice", .forward = slice_forward, .free = g_free };

/* A constant list of integers; FALSE: it is none, or longer than `max`. */
static gboolean
read_ints (HtExecBuilder *builder, HtNode *node, guint input, guint max, gint64 *values, guint *n)
{
  const char *name = input < ht_node_get_n_inputs (node) ? ht_node_get_input (node, input) : "";
  HtTensor *constant = name[0] ? ht_exec_builder_get_constant (builder, name) : NULL;

  if (constant == NULL || ht_tensor_get_n_elements (constant) > max
      || (ht_tensor_get_data_type (constant) != HT_DATA_TYPE_INT64
          && ht_tensor_get_data_type (constant) != HT_DATA_TYPE_INT32))
    return FALSE;
  *n = (guint)ht_tensor_get_n_elements (constant);
  for (guint i = 0; i < *n; i++)
    values[i] = ht_tensor_get_int64 (constant, i);
  return TRUE;
}

static gboolean
has_input (HtNode *node, guint input)
{
  return input < ht_node_get_n_inputs (node) && ht_node_get_input (node, input)[0] != '\0';
}

static gboolean
slice_axis (HtBlockedSlice *slice, guint n_dims, gint64 axis, gint64 start, gint64 end, gint64 step)
{
  axis = axis < 0 ? axis + n_dims : axis;
  if (axis < 2 || axis >= n_dims || step < 1)
    return FALSE;
  guint k = HT_CONV_AXES - n_dims + (guint)axis;
  gint64 size = (gint64)slice->out[k];
  start = CLAMP (start < 0 ? start + size : start, 0, size);
  end = CLAMP (end < 0 ? end + size : end, 0, size);
  if (end <= start)
    return FALSE;
  slice->start[k] += (gsize)start * slice->step[k];
  slice->out[k] = (gsize)((end - start - 1) / step + 1);
  slice->step[k] *= (gsize)MIN (step, size);
  return TRUE;
}

static gboolean
append_slice (HtExecBuilder *builder, HtNode *node, guint n_dims, HtBlockedSlice *slice)
{
  gint64 starts[HT_TENSOR_MAX_DIMS], ends[HT_TENSOR_MAX_DIMS], axes[HT_TENSOR_MAX_DIMS], steps[HT_TENSOR_MAX_DIMS];
  guint n, n_ends, n_axes, n_steps;

  if (!read_ints (builder, node, 1, n_dims, starts, &n) || !read_ints (builder, node, 2, n_dims, ends, &n_ends))
    return FALSE;
  n_axes = n_steps = n;
  for (guint i = 0; i < n; i++)
    {
      axes[i] = i;
      steps[i] = 1;
    }
  if ((has_input (node, 3) && !read_ints (builder, node, 3, n_dims, axes, &n_axes))
      || (has_input (node, 4) && !read_ints (builder, node, 4, n_dims, steps, &n_steps)) || n_ends != n || n_axes != n
      || n_steps != n)
    return FALSE;
  for (guint i = 0; i < n; i++)
    if (!slice_axis (slice, n_dims, axes[i], starts[i], ends[i], steps[i]))
      return FALSE;
  return TRUE;
}

static gboolean
is_zero (HtExecBuilder *builder, HtNode *node)
{
  HtTensor *value = ht_exec_builder_get_constant (builder, ht_node_get_input (node, 2));
  return value && ht_tensor_get_data_type (value) == HT_DATA_TYPE_FLOAT && ht_tensor_get_n_elements (value) == 1
         && *(const float *)ht_tensor_get_data (value) == 0.0f
         && !ht_exec_builder_get_encoding (builder, ht_node_get_input (node, 2));
}

/* An attribute before opset 11 and an input since. */
gboolean
ht_exec_read_pads (HtExecBuilder *builder, HtNode *node, guint n_dims, gint64 *pads)
{
  gsize n_listed = 0;
  const gint64 *listed = ht_node_get_ints (node, "pads", &n_listed);
  guint n = 0;

  if (strcmp (ht_node_get_string (node, "mode", "constant"), "constant") != 0 || has_input (node, 3)
      || ht_node_get_float (node, "value", 0.0) != 0.0 || (has_input (node, 2) && !is_zero (builder, node)))
    return FALSE;
  if (has_input (node, 1))
    return read_ints (builder, node, 1, 2 * n_dims, pads, &n) && n == 2 * n_dims;
  if (n_listed != 2 * n_dims)
    return FALSE;
  memcpy (pads, listed, n_listed * sizeof *pads);
  return TRUE;
}

static gboolean
append_pad (HtExecBuilder *builder, HtNode *node, guint n_dims, HtBlockedSlice *slice)
{
  gint64 pads[2 * HT_TENSOR_MAX_DIMS];

  if (!ht_exec_read_pads (builder, node, n_dims, pads))
    return FALSE;
  for (guint i = 0; i < 2 * n_dims; i++)
    if (pads[i] < 0 || (i % n_dims != 1 && pads[i] != 0))
      return FALSE;
  slice->first += (gsize)pads[1];
  slice->y_channels += (gsize)(pads[1] + pads[n_dims + 1]);
  return TRUE;
}

static gboolean
append (HtExecBuilder *builder, HtNode *node, guint n_dims, HtBlockedSlice *slice)
{
  HtBlockedSlice longer = *slice;
  const char *type = ht_node_get_op_type (node), *domain = ht_node_get_domain (node);

  if ((domain[0] != '\0' && strcmp (domain, "ai.onnx") != 0)
      || !ht_exec_builder_can_block (builder, ht_node_get_output (node, 0))
      || ht_exec_builder_is_given (builder, ht_node_get_output (node, 0)))
    return FALSE;
  if (strcmp (type, "Slice") == 0 ? !append_slice (builder, node, n_dims, &longer)
                                  : strcmp (type, "Pad") != 0 || !append_pad (builder, node, n_dims, &longer))
    return FALSE;
  *slice = longer;
  return TRUE;
}

gboolean
ht_exec_lower_slice (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error)
{
  const char *x = ht_node_get_input (node, 0);
  gint64 dims[HT_TENSOR_MAX_DIMS];
  guint n_dims, input;
  HtNode *last = node;

  if (!ht_exec_builder_is_blocked (builder, x) || !ht_exec_builder_get_float_dims (builder, x, dims, &n_dims))
    return TRUE;
  HtBlockedSlice slice = { .batch = (gsize)dims[0], .channels = (gsize)dims[1], .y_channels = (gsize)dims[1] };
  for (guint k = 0; k < HT_CONV_AXES; k++)
    {
      guint skip = HT_CONV_AXES - (n_dims - 2);
      slice.in[k] = slice.out[k] = k >= skip ? (gsize)dims[2 + k - skip] : 1;
      slice.step[k] = 1;
    }
  if (!append (builder, node, n_dims, &slice))
    return TRUE;
  while (builder->request->mode == HT_EXEC_FUSED)
    {
      const char *made = ht_node_get_output (last, 0);
      HtNode *next = ht_exec_builder_get_use (builder, made, 0);
      if (ht_exec_builder_get_encoding (builder, made) || !ht_exec_builder_is_inner (builder, made, 1)
          || strcmp (ht_node_get_input (next, 0), made) != 0 || g_hash_table_contains (builder->taken, next)
          || !append (builder, next, n_dims, &slice))
        break;
      ht_exec_builder_take (builder, next);
      last = next;
    }
  if (!ht_exec_builder_read (builder, node, x, HT_EXEC_LAYOUT_BLOCKED, &input, error))
    return FALSE;
  ht_exec_builder_add_step (builder, node, &slice_kind, g_memdup2 (&slice, sizeof slice), &input, 1,
                            ht_node_get_output (last, 0), HT_EXEC_LAYOUT_BLOCKED);
  *taken = TRUE;
  return TRUE;
}
