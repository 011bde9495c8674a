/* SPDX-License-Identifier: MIT */
/* Softmax and LogSoftmax. */
#include "kernels/softmax.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <math.h>

/* Since this opset the axis alone is normalized; before, the tensor was seen as a matrix cut in front of the axis. */
#define SINGLE_AXIS_OPSET 13

static gboolean
softmax_infer (HtInfer *infer, GError **error)
{
  HtShape *shape = ht_infer_get_shape (infer, 0);
  guint axis;

  if (!ht_infer_same (infer, 1, HT_TYPES_FLOAT, error))
    return FALSE;
  if (shape == NULL || ht_shape_get_n_dims (shape) == 0)
    return TRUE;
  gint64 fallback = infer->opset >= SINGLE_AXIS_OPSET ? -1 : 1;
  gint64 given = ht_node_get_int (infer->node, "axis", fallback);
  /* The old form may cut behind the last axis. */
  if (infer->opset < SINGLE_AXIS_OPSET && given == (gint64)ht_shape_get_n_dims (shape))
    return TRUE;
  return ht_infer_get_axis (infer, given, ht_shape_get_n_dims (shape), &axis, error);
}

static void
softmax_double (const double *x, double *y, gsize outer, gsize n, gsize inner, gboolean logarithm)
{
  for (gsize column = 0; column < outer * inner; column++)
    {
      gsize start = column / inner * n * inner + column % inner;
      double top = -INFINITY, sum = 0.0;
      for (gsize i = 0; i < n; i++)
        top = fmax (top, x[start + i * inner]);
      for (gsize i = 0; i < n; i++)
        sum += exp (x[start + i * inner] - top);
      for (gsize i = 0; i < n; i++)
        {
          double shifted = x[start + i * inner] - top;
          y[start + i * inner] = logarithm ? shifted - log (sum) : exp (shifted) / sum;
        }
    }
}

static gboolean
run (const HtOpCall *call, gboolean logarithm, GError **error)
{
  gboolean single = call->opset >= SINGLE_AXIS_OPSET;
  HtTensor *x = call->inputs[0], *y = call->outputs[0];
  gsize outer = 1, n = 1, inner = 1;
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (x, &n_dims);
  gint64 axis = ht_node_get_int (call->node, "axis", single ? -1 : 1);

  if (axis < 0)
    axis += n_dims;
  for (guint i = 0; i < n_dims; i++)
    if ((gint64)i < axis)
      outer *= (gsize)dims[i];
    else if ((gint64)i == axis || !single)
      n *= (gsize)dims[i];
    else
      inner *= (gsize)dims[i];
  switch (ht_tensor_get_data_type (x))
    {
    case HT_DATA_TYPE_FLOAT:
      ht_kernel_softmax (ht_tensor_get_data (x), ht_tensor_get_writable_data (y), outer, n, inner, logarithm);
      return TRUE;
    case HT_DATA_TYPE_DOUBLE:
      softmax_double (ht_tensor_get_data (x), ht_tensor_get_writable_data (y), outer, n, inner, logarithm);
      return TRUE;
    default:
      return ht_op_fail_type (call, ht_tensor_get_data_type (x), error);
    }
}

static gboolean
softmax_forward (const HtOpCall *call, GError **error)
{
  return ht_op_is_half (call) ? ht_op_widen (call, softmax_forward, error) : run (call, FALSE, error);
}

static gboolean
log_softmax_forward (const HtOpCall *call, GError **error)
{
  return ht_op_is_half (call) ? ht_op_widen (call, log_softmax_forward, error) : run (call, TRUE, error);
}

/* In place: the last read of an element is the one that computes its result. */
static const HtOperator operators[] = {
  { .op_type = "LogSoftmax",
    .since_version = 1,
    .flags = HT_OP_IN_PLACE,
    .infer = softmax_infer,
    .forward = log_softmax_forward },
  { .op_type = "Softmax",
    .since_version = 1,
    .flags = HT_OP_IN_PLACE,
    .infer = softmax_infer,
    .forward = softmax_forward },
};

void
ht_ops_register_softmax (void)
{
  HT_OPS_REGISTER (operators);
}
