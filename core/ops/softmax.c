/* SPDX-License-Identifier: MIT */
/* Softmax and LogSoftmax. */
#include "kernels/softmax.h"
#include "ops/backward.h"
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

typedef struct
{
  gsize outer, n, inner;
} Axes;

static Axes
read_axes (const HtOpCall *call)
{
  gboolean single = call->opset >= SINGLE_AXIS_OPSET;
  Axes axes = { 1, 1, 1 };
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (call->inputs[0], &n_dims);
  gint64 axis = ht_node_get_int (call->node, "axis", single ? -1 : 1);

  if (axis < 0)
    axis += n_dims;
  for (guint i = 0; i < n_dims; i++)
    *((gint64)i < axis ? &axes.outer : (gint64)i == axis || !single ? &axes.n : &axes.inner) *= (gsize)dims[i];
  return axes;
}

static gboolean
run (const HtOpCall *call, gboolean logarithm, GError **error)
{
  HtTensor *x = call->inputs[0], *y = call->outputs[0];
  Axes axes = read_axes (call);

  switch (ht_tensor_get_data_type (x))
    {
    case HT_DATA_TYPE_FLOAT:
      ht_kernel_softmax (ht_tensor_get_data (x), ht_tensor_get_writable_data (y), axes.outer, axes.n, axes.inner,
                         logarithm);
      return TRUE;
    case HT_DATA_TYPE_DOUBLE:
      softmax_double (ht_tensor_get_data (x), ht_tensor_get_writable_data (y), axes.outer, axes.n, axes.inner,
                      logarithm);
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

/* One item is one vector that was normalized. */
typedef struct
{
  Axes axes;
  gboolean logarithm;
  gconstpointer y, dy;
  gpointer dx;
} Backward;

#define BACKWARD(T, EXP)                                                                                               \
  static void backward_##T (gsize begin, gsize end, gpointer user_data)                                                \
  {                                                                                                                    \
    const Backward *work = user_data;                                                                                  \
    gsize n = work->axes.n, step = work->axes.inner;                                                                   \
    for (gsize item = begin; item < end; item++)                                                                       \
      {                                                                                                                \
        gsize start = item / step * n * step + item % step;                                                            \
        const T *y = (const T *)work->y + start, *dy = (const T *)work->dy + start;                                    \
        T *dx = (T *)work->dx + start;                                                                                 \
        double sum = 0.0;                                                                                              \
        for (gsize i = 0; i < n; i++)                                                                                  \
          sum += (double)dy[i * step] * (work->logarithm ? 1.0 : (double)y[i * step]);                                 \
        if (work->logarithm)                                                                                           \
          for (gsize i = 0; i < n; i++)                                                                                \
            dx[i * step] = dy[i * step] - EXP (y[i * step]) * (T)sum;                                                  \
        else                                                                                                           \
          for (gsize i = 0; i < n; i++)                                                                                \
            dx[i * step] = y[i * step] * (dy[i * step] - (T)sum);                                                      \
      }                                                                                                                \
  }
BACKWARD (float, expf)
BACKWARD (double, exp)

static gboolean
run_backward (const HtOpCall *call, gboolean logarithm, HtTensor *const *output_gradients,
              HtTensor *const *input_gradients, GError **error)
{
  gboolean is_double;
  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (input_gradients[0] == NULL || ht_tensor_get_n_elements (call->inputs[0]) == 0)
    return TRUE;
  Backward work = { read_axes (call), logarithm, ht_tensor_get_data (call->outputs[0]),
                    ht_tensor_get_data (output_gradients[0]), ht_tensor_get_writable_data (input_gradients[0]) };
  ht_loop_range (work.axes.outer * work.axes.inner, 4 * work.axes.n, is_double ? backward_double : backward_float,
                 &work);
  return TRUE;
}

static gboolean
softmax_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                  GError **error)
{
  return run_backward (call, FALSE, output_gradients, input_gradients, error);
}

static gboolean
log_softmax_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                      GError **error)
{
  return run_backward (call, TRUE, output_gradients, input_gradients, error);
}

/* In place: the last read of an element is the one that computes its result. */
static const HtOperator operators[] = {
  { .op_type = "LogSoftmax",
    .since_version = 1,
    .flags = HT_OP_IN_PLACE,
    .infer = softmax_infer,
    .forward = log_softmax_forward,
    .backward = log_softmax_backward,
    .backward_outputs = HT_OP_KEEPS (0) },
  { .op_type = "Softmax",
    .since_version = 1,
    .flags = HT_OP_IN_PLACE,
    .infer = softmax_infer,
    .forward = softmax_forward,
    .backward = softmax_backward,
    .backward_outputs = HT_OP_KEEPS (0) },
};

void
ht_ops_register_softmax (void)
{
  HT_OPS_REGISTER (operators);
}
