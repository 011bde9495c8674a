/* SPDX-License-Identifier: MIT */
/* Conv and ConvTranspose. */
#include "base/thread-pool.h"
#include "kernels/double-precision.h"
#include "ops/conv.h"
#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"

char *
ht_conv_check_operands (HtNode *node, gboolean transposed, const gint64 *x, guint n_x, const gint64 *w, guint n_w,
                        HtConvOperands *o)
{
  if (n_x < 3)
    return g_strdup_printf ("X has %u dimensions, expected batch, channels and at least one axis", n_x);
  if (n_w != n_x)
    return g_strdup_printf ("X has %u dimensions and W %u, they must be the same", n_x, n_w);
  o->n_axes = n_x - 2;
  o->group = ht_node_get_int (node, "group", 1);
  o->batch = x[0];
  if (o->group < 1 || o->group > G_MAXINT32)
    return g_strdup_printf ("the attribute group is %" G_GINT64_FORMAT ", expected at least 1", o->group);
  if (!transposed && x[1] >= 0 && w[1] >= 0 && (x[1] % o->group != 0 || x[1] / o->group != w[1]))
    return g_strdup_printf ("X has %" G_GINT64_FORMAT " channels, but W takes %" G_GINT64_FORMAT
                            " in each of %" G_GINT64_FORMAT " groups",
                            x[1], w[1], o->group);
  if (transposed && x[1] >= 0 && w[0] >= 0 && (x[1] != w[0] || x[1] % o->group != 0))
    return g_strdup_printf ("X has %" G_GINT64_FORMAT " channels, but W takes %" G_GINT64_FORMAT " in %" G_GINT64_FORMAT
                            " groups",
                            x[1], w[0], o->group);
  if (!transposed && w[0] >= 0 && w[0] % o->group != 0)
    return g_strdup_printf (
        "W makes %" G_GINT64_FORMAT " channels, which is no multiple of %" G_GINT64_FORMAT " groups", w[0], o->group);
  o->channels = transposed ? -1 : w[0];
  if (transposed && w[1] >= 0 && __builtin_mul_overflow (w[1], o->group, &o->channels))
    return g_strdup ("it makes more channels than can be counted");
  gint64 named[HT_WINDOW_MAX_AXES];
  gboolean has_kernel = ht_window_read_kernel (node, o->n_axes, named);
  if (!has_kernel && ht_node_has_attribute (node, "kernel_shape"))
    return g_strdup_printf ("the attribute kernel_shape does not have %u values", o->n_axes);
  for (guint i = 0; i < o->n_axes; i++)
    {
      o->in[i] = x[i + 2];
      o->kernel[i] = w[i + 2] >= 0 ? w[i + 2] : has_kernel ? named[i] : -1;
      if (has_kernel && w[i + 2] >= 0 && named[i] != w[i + 2])
        return g_strdup_printf ("the attribute kernel_shape says %" G_GINT64_FORMAT
                                " on axis %u, but W has %" G_GINT64_FORMAT,
                                named[i], i + 2, w[i + 2]);
    }
  return NULL;
}

gboolean
ht_infer_conv (HtInfer *infer, guint x_input, guint w_input, guint bias_input, gboolean transposed, HtDataType type,
               GError **error)
{
  HtDims x, w, bias, out = { 0 };
  HtConvOperands o;
  HtWindow window;

  gboolean has_x = ht_infer_read_dims (infer, x_input, &x), has_w = ht_infer_read_dims (infer, w_input, &w);
  if (has_x && !has_w)
    ht_infer_put_rank (infer, 0, type, x.n);
  else
    ht_infer_set_output (infer, 0, type, NULL);
  if (!has_x || !has_w)
    return TRUE;
  g_autofree char *problem = ht_conv_check_operands (infer->node, transposed, x.dim, x.n, w.dim, w.n, &o);
  if (problem == NULL)
    problem = ht_window_read (&window, infer->node, transposed ? HT_WINDOW_TRANSPOSED : HT_WINDOW_CONV, o.n_axes, o.in,
                              o.kernel);
  if (problem)
    return ht_infer_fail (infer, error, "%s", problem);
  if (ht_infer_read_dims (infer, bias_input, &bias)
      && (bias.n != 1 || (bias.dim[0] >= 0 && o.channels >= 0 && bias.dim[0] != o.channels)))
    return ht_infer_fail (infer, error, "the bias must have one dimension of %" G_GINT64_FORMAT " elements",
                          o.channels);
  ht_dims_append (&out, x.dim[0], x.symbol[0]);
  ht_dims_append (&out, o.channels, NULL);
  if (transposed)
    for (guint i = 0; i < o.n_axes; i++)
      ht_dims_append (&out, window.out[i], NULL);
  else
    ht_window_append_out (&window, &x, &out);
  ht_infer_put_dims (infer, 0, type, &out);
  return TRUE;
}

static gboolean
infer_real (HtInfer *infer, gboolean transposed, GError **error)
{
  return ht_infer_check_arity (infer, 2, 3, error) && ht_infer_check_type (infer, 0, HT_TYPES_FLOAT, error)
         && ht_infer_check_same_type (infer, 0, 1, error) && ht_infer_check_same_type (infer, 0, 2, error)
         && ht_infer_conv (infer, 0, 1, 2, transposed, ht_infer_get_type (infer, 0), error);
}

static gboolean
conv_infer (HtInfer *infer, GError **error)
{
  return infer_real (infer, FALSE, error);
}

static gboolean
conv_transpose_infer (HtInfer *infer, GError **error)
{
  return infer_real (infer, TRUE, error);
}

void
ht_conv_make_geometry (const HtWindow *window, const HtConvOperands *o, gint64 in_channels, HtConvGeometry *geometry)
{
  ht_window_to_geometry (window, geometry);
  geometry->batch = (gsize)o->batch;
  geometry->groups = (gsize)o->group;
  geometry->in_channels = (gsize)in_channels;
  geometry->out_channels = (gsize)o->channels;
}

/* A stride that takes no second step does not matter, and the scratch memory should not depend on it. */
static void
drop_idle_strides (HtConvGeometry *geometry)
{
  for (int axis = 0; axis < HT_CONV_AXES; axis++)
    if (geometry->out[axis] == 1)
      geometry->stride[axis] = 1;
}

static gsize
workspace (const HtInfer *infer, gboolean transposed)
{
  HtDims x, w;
  HtWindow window;
  HtConvOperands o;
  HtConvGeometry geometry;

  if (!ht_infer_read_dims (infer, 0, &x) || !ht_infer_read_dims (infer, 1, &w) || x.n > 2 + HT_CONV_AXES)
    return 0;
  g_autofree char *problem = ht_conv_check_operands (infer->node, transposed, x.dim, x.n, w.dim, w.n, &o);
  if (problem == NULL)
    problem = ht_window_read (&window, infer->node, transposed ? HT_WINDOW_TRANSPOSED : HT_WINDOW_CONV, o.n_axes, o.in,
                              o.kernel);
  if (problem)
    return 0;
  ht_conv_make_geometry (&window, &o, x.dim[1], &geometry);
  if (!transposed)
    drop_idle_strides (&geometry);
  gsize slice = transposed ? ht_kernel_conv_transpose_slice (&geometry) : ht_kernel_conv_slice (&geometry);
  return ht_window_workspace (slice, ht_thread_pool_get_size ());
}

static gsize
conv_workspace (const HtInfer *infer)
{
  return workspace (infer, FALSE);
}

static gsize
conv_transpose_workspace (const HtInfer *infer)
{
  return workspace (infer, TRUE);
}

static gboolean
forward (const HtOpCall *call, gboolean transposed, GError **error)
{
  HtTensor *x = call->inputs[0], *w = call->inputs[1], *bias = call->n_inputs > 2 ? call->inputs[2] : NULL;
  guint n_x, n_w;
  HtWindow window;
  HtConvOperands o;
  HtConvGeometry geometry;

  const gint64 *x_dims = ht_tensor_get_dims (x, &n_x), *w_dims = ht_tensor_get_dims (w, &n_w);
  g_autofree char *problem = ht_conv_check_operands (call->node, transposed, x_dims, n_x, w_dims, n_w, &o);
  if (problem == NULL)
    problem = ht_window_read (&window, call->node, transposed ? HT_WINDOW_TRANSPOSED : HT_WINDOW_CONV, o.n_axes, o.in,
                              o.kernel);
  if (problem)
    return ht_op_fail (call, error, "%s", problem);
  if (o.n_axes > HT_CONV_AXES)
    return ht_op_fail (call, error, "it has %u spatial axes, at most %d can be run", o.n_axes, HT_CONV_AXES);
  ht_conv_make_geometry (&window, &o, x_dims[1], &geometry);
  if (ht_tensor_get_n_elements (call->outputs[0]) == 0)
    return TRUE;
  if (ht_tensor_get_data_type (x) == HT_DATA_TYPE_DOUBLE)
    {
      (transposed ? ht_kernel_conv_transpose_double : ht_kernel_conv_double) (
          &geometry, ht_tensor_get_data (x), ht_tensor_get_data (w), bias ? ht_tensor_get_data (bias) : NULL,
          ht_tensor_get_writable_data (call->outputs[0]));
      return TRUE;
    }
  const float *b = bias ? ht_tensor_get_data (bias) : NULL;
  float *y = ht_tensor_get_writable_data (call->outputs[0]);
  if (transposed)
    {
      gsize slice = ht_kernel_conv_transpose_slice (&geometry);
      ht_kernel_conv_transpose (&geometry, ht_tensor_get_data (x), ht_tensor_get_data (w), b, y, call->workspace,
                                slice ? (guint)(call->workspace_size / slice) : 1);
      return TRUE;
    }
  drop_idle_strides (&geometry);
  gsize slice = ht_kernel_conv_slice (&geometry);
  ht_kernel_conv (&geometry, ht_tensor_get_data (x), ht_tensor_get_data (w), b, y, call->workspace,
                  slice ? (guint)(call->workspace_size / slice) : HT_THREAD_POOL_MAX_SIZE);
  return TRUE;
}

static gboolean
conv_forward (const HtOpCall *call, GError **error)
{
  return ht_op_is_half (call) ? ht_op_widen (call, conv_forward, error) : forward (call, FALSE, error);
}

static gboolean
conv_transpose_forward (const HtOpCall *call, GError **error)
{
  return ht_op_is_half (call) ? ht_op_widen (call, conv_transpose_forward, error) : forward (call, TRUE, error);
}

static const HtOperator operators[] = {
  { .op_type = "Conv",
    .since_version = 1,
    .infer = conv_infer,
    .forward = conv_forward,
    .workspace = conv_workspace,
    .backward = ht_op_conv_backward,
    .backward_inputs = HT_OP_KEEPS (0) | HT_OP_KEEPS (1),
    .backward_workspace = ht_op_conv_backward_workspace },
  { .op_type = "ConvTranspose",
    .since_version = 1,
    .infer = conv_transpose_infer,
    .forward = conv_transpose_forward,
    .workspace = conv_transpose_workspace,
    .backward = ht_op_conv_transpose_backward,
    .backward_inputs = HT_OP_KEEPS (0) | HT_OP_KEEPS (1),
    .backward_workspace = ht_op_conv_transpose_backward_workspace },
};

void
ht_ops_register_conv (void)
{
  HT_OPS_REGISTER (operators);
}
