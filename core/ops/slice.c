/* SPDX-License-Identifier: MIT */
/* Slice: bounds in attributes (to opset 9) or inputs, any step but zero. */
#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

/* One dimension's share: first index, step, number of elements. */
typedef struct
{
  gint64 start, step, length;
} Span;

/* Bounds are clamped as in Python. A dimension that is not known gives length -1 unless the bounds decide. */
static Span
make_span (gint64 dim, gint64 start, gint64 end, gint64 step)
{
  Span span = { 0, step, 0 };
  gint64 low = step > 0 ? 0 : -1, high = step > 0 ? dim : dim - 1;

  start = CLAMP (start < 0 ? start + dim : start, step > 0 ? 0 : 0, high);
  end = CLAMP (end < 0 ? (end < -dim - 1 ? -1 - dim : end) + dim : end, low, dim);
  span.start = start;
  if (dim == 0)
    return span;
  if (step > 0 && end > start)
    span.length = (end - start - 1) / step + 1;
  else if (step < 0 && start > end)
    span.length = (start - end - 1) / (step == G_MININT64 ? G_MAXINT64 : -step) + 1;
  return span;
}

typedef struct
{
  gsize n;
  gint64 *starts, *ends, *axes, *steps; /* axes and steps may be NULL */
} Bounds;

static void
bounds_clear (Bounds *bounds)
{
  g_free (bounds->starts);
  g_free (bounds->ends);
  g_free (bounds->axes);
  g_free (bounds->steps);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Bounds, bounds_clear)

static gint64 *
copy_ints (HtNode *node, const char *name, gsize *n)
{
  const gint64 *values = ht_node_get_ints (node, name, n);
  return *n > 0 ? g_memdup2 (values, *n * sizeof (gint64)) : NULL;
}

/* Reads the bounds of an inference. *known FALSE: they are not constant. */
static gboolean
read_bounds (const HtInfer *infer, Bounds *bounds, gboolean *known, GError **error)
{
  gsize n[4] = { 0, 0, 0, 0 };
  *known = TRUE;
  if (infer->opset < 10)
    {
      bounds->starts = copy_ints (infer->node, "starts", &n[0]);
      bounds->ends = copy_ints (infer->node, "ends", &n[1]);
      bounds->axes = copy_ints (infer->node, "axes", &n[2]);
    }
  else
    {
      gint64 **slots[4] = { &bounds->starts, &bounds->ends, &bounds->axes, &bounds->steps };
      for (guint i = 0; i < 4; i++)
        if (ht_infer_get_input (infer, i + 1) && !ht_infer_get_ints (infer, i + 1, slots[i], &n[i]))
          *known = FALSE;
    }
  bounds->n = n[0];
  if (!*known)
    return TRUE;
  gboolean has_axes = bounds->axes && n[2] > 0, has_steps = bounds->steps && n[3] > 0;
  if (n[1] != n[0] || (has_axes && n[2] != n[0]) || (has_steps && n[3] != n[0]))
    return ht_infer_fail (infer, error, "starts, ends, axes and steps have %" G_GSIZE_FORMAT ", %" G_GSIZE_FORMAT ", %"
                          G_GSIZE_FORMAT " and %" G_GSIZE_FORMAT " elements, they must agree", n[0], n[1], n[2], n[3]);
  return TRUE;
}

static gboolean
slice_infer (HtInfer *infer, GError **error)
{
  g_auto (Bounds) bounds = { 0 };
  HtDims dims;
  gboolean known, touched[HT_TENSOR_MAX_DIMS] = { FALSE };

  if (!ht_infer_check_arity (infer, infer->opset < 10 ? 1 : 3, infer->opset < 10 ? 1 : 5, error))
    return FALSE;
  for (guint i = 1; i < infer->n_inputs; i++)
    if (!ht_infer_check_type (infer, i, HT_TYPES_INDEX, error) || !ht_infer_check_rank (infer, i, 0, 1, error))
      return FALSE;
  infer->outputs[0].type = ht_infer_get_type (infer, 0);
  if (!read_bounds (infer, &bounds, &known, error))
    return FALSE;
  if (!ht_infer_read_dims (infer, 0, &dims))
    return TRUE;
  if (!known)
    {
      ht_infer_put_rank (infer, 0, ht_infer_get_type (infer, 0), dims.n);
      return TRUE;
    }
  for (gsize i = 0; i < bounds.n; i++)
    {
      guint axis = 0;
      gint64 step = bounds.steps ? bounds.steps[i] : 1;
      if (!ht_infer_get_axis (infer, bounds.axes ? bounds.axes[i] : (gint64) i, dims.n, &axis, error))
        return FALSE;
      if (step == 0)
        return ht_infer_fail (infer, error, "the step of axis %u is 0", axis);
      if (touched[axis])
        return ht_infer_fail (infer, error, "axis %u is given twice", axis);
      touched[axis] = TRUE;
      if (dims.dim[axis] >= 0)
        {
          dims.dim[axis] = make_span (dims.dim[axis], bounds.starts[i], bounds.ends[i], step).length;
        }
      else if (bounds.starts[i] != 0 || bounds.ends[i] < G_MAXINT32 || step != 1)
        {
          dims.symbol[axis] = NULL; /* a part of a dimension that is not known */
        }
    }
  ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &dims);
  return TRUE;
}

static gint64
call_bound (const HtOpCall *call, guint input, const char *attribute, gsize index, gint64 fallback)
{
  gsize n = 0;
  if (call->opset >= 10)
    {
      HtTensor *tensor = input < call->n_inputs ? call->inputs[input] : NULL;
      return tensor && index < ht_tensor_get_n_elements (tensor) ? ht_tensor_get_int64 (tensor, index) : fallback;
    }
  const gint64 *values = attribute ? ht_node_get_ints (call->node, attribute, &n) : NULL;
  return index < n ? values[index] : fallback;
}

/* Where the elements of a tensor of `out_dims` lie in one of `dims`. */
static gboolean
locate (const HtOpCall *call, const gint64 *dims, guint rank, const gint64 *out_dims, gint64 *strides, gint64 *offset,
        GError **error)
{
  gsize n = 0;

  if (call->opset >= 10)
    n = ht_tensor_get_n_elements (call->inputs[1]);
  else
    ht_node_get_ints (call->node, "starts", &n);
  *offset = 0;
  ht_strides (dims, rank, strides);
  for (gsize i = 0; i < n; i++)
    {
      guint axis;
      gint64 step = call_bound (call, 4, NULL, i, 1);
      if (!ht_axis_normalize (call_bound (call, 3, "axes", i, (gint64)i), rank, &axis) || step == 0)
        return ht_op_fail (call, error, "an axis lies outside %u dimensions or a step is 0", rank);
      Span span = make_span (dims[axis], call_bound (call, 1, "starts", i, 0), call_bound (call, 2, "ends", i, 0), step);
      if (span.length != out_dims[axis])
        return ht_op_fail (call, error,
                           "the bounds give %" G_GINT64_FORMAT " elements along axis %u, planned were %" G_GINT64_FORMAT,
                           span.length, axis, out_dims[axis]);
      *offset += span.start * strides[axis];
      strides[axis] = span.length > 1 ? strides[axis] * span.step : strides[axis];
    }
  return TRUE;
}

static gboolean
slice_forward (const HtOpCall *call, GError **error)
{
  HtTensor *in = call->inputs[0], *out = call->outputs[0];
  guint rank;
  const gint64 *dims = ht_tensor_get_dims (in, &rank), *out_dims = ht_tensor_get_dims (out, NULL);
  gint64 strides[HT_TENSOR_MAX_DIMS], offset;
  gsize size = ht_element_size (ht_tensor_get_data_type (in));

  if (!ht_op_check_movable (call, in, error))
    return FALSE;
  if (ht_tensor_get_n_elements (out) == 0)
    return TRUE;
  if (!locate (call, dims, rank, out_dims, strides, &offset, error))
    return FALSE;
  ht_copy_strided (ht_tensor_get_writable_data (out), (const char *)ht_tensor_get_data (in) + offset * (gint64)size,
                   size, rank, out_dims, strides);
  return TRUE;
}

static gboolean
slice_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                GError **error)
{
  HtTensor *dx = input_gradients[0], *dy = output_gradients[0];
  gint64 strides[HT_TENSOR_MAX_DIMS], offset;

  if (dx == NULL)
    return TRUE;
  ht_backward_zero (dx);
  if (ht_tensor_get_n_elements (dy) == 0)
    return TRUE;
  guint rank;
  const gint64 *dims = ht_tensor_get_dims (dx, &rank), *out_dims = ht_tensor_get_dims (dy, NULL);
  gsize size = ht_element_size (ht_tensor_get_data_type (dx));
  if (!locate (call, dims, rank, out_dims, strides, &offset, error))
    return FALSE;
  ht_backward_spread ((char *)ht_tensor_get_writable_data (dx) + offset * (gint64)size, ht_tensor_get_data (dy), size,
                      rank, out_dims, strides);
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "Slice", 1, HT_OP_KEEPS_GRID, slice_infer, slice_forward, slice_backward,
    .moved_inputs = HT_OP_MOVES_INPUT (0), .backward_inputs = HT_OP_KEEPS (1) | HT_OP_KEEPS (2) | HT_OP_KEEPS (3) | HT_OP_KEEPS (4) },
};

void
ht_ops_register_slice (void)
{
  HT_OPS_REGISTER (operators);
}
