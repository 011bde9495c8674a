/* SPDX-License-Identifier: MIT */
/* Gradients of Conv and ConvTranspose. */
#include "base/thread-pool.h"
#include "graph/tensor-private.h"
#include "kernels/convolution-backward.h"
#include "kernels/double-precision.h"
#include "ops/backward.h"
#include "ops/conv.h"

/* The convolution from the larger to the smaller side: what a transposed one turns round. NULL, or what is wrong. */
static char *
read_geometry (HtNode *node, gboolean transposed, const gint64 *x, guint n_x, const gint64 *w, guint n_w,
               HtConvGeometry *geometry)
{
  HtWindow window;
  HtConvOperands o;
  char *problem = ht_conv_check_operands (node, transposed, x, n_x, w, n_w, &o);
  if (problem == NULL)
    problem
        = ht_window_read (&window, node, transposed ? HT_WINDOW_TRANSPOSED : HT_WINDOW_CONV, o.n_axes, o.in, o.kernel);
  if (problem)
    return problem;
  if (o.n_axes > HT_CONV_AXES)
    return g_strdup_printf ("it has %u spatial axes, at most %d can be run", o.n_axes, HT_CONV_AXES);
  ht_conv_make_geometry (&window, &o, x[1], geometry);
  if (transposed)
    {
      HtConvGeometry g = *geometry;
      geometry->in_channels = g.out_channels;
      geometry->out_channels = g.in_channels;
      for (int axis = 0; axis < HT_CONV_AXES; axis++)
        {
          geometry->in[axis] = g.out[axis];
          geometry->out[axis] = g.in[axis];
        }
    }
  return NULL;
}

/* The gradients are computed one after the other, in the same memory. */
static gsize
workspace (const HtInfer *infer, gboolean transposed)
{
  HtDims x, w;
  HtConvGeometry g;

  if (!ht_infer_read_dims (infer, 0, &x) || !ht_infer_read_dims (infer, 1, &w) || !ht_dims_is_static (&x)
      || !ht_dims_is_static (&w) || ht_infer_get_type (infer, 0) == HT_DATA_TYPE_DOUBLE)
    return 0;
  g_autofree char *problem = read_geometry (infer->node, transposed, x.dim, x.n, w.dim, w.n, &g);
  if (problem)
    return 0;
  guint n = ht_thread_pool_get_size ();
  gsize data = ht_window_workspace (transposed ? ht_kernel_conv_slice (&g) : ht_kernel_conv_to_large_slice (&g), n);
  gsize weights = ht_window_workspace (ht_kernel_conv_weights_slice (&g), n), total;
  if (!g_size_checked_add (&total, weights, ht_kernel_conv_weights_partial (&g)))
    return G_MAXSSIZE;
  return MAX (data, total);
}

gsize
ht_op_conv_backward_workspace (const HtInfer *infer)
{
  return workspace (infer, FALSE);
}

gsize
ht_op_conv_transpose_backward_workspace (const HtInfer *infer)
{
  return workspace (infer, TRUE);
}

static guint
count_slices (gsize size, gsize slice)
{
  return slice ? (guint)MIN (size / slice, HT_THREAD_POOL_MAX_SIZE) : HT_THREAD_POOL_MAX_SIZE;
}

static void
data_gradient (const HtOpCall *call, const HtConvGeometry *g, gboolean transposed, gconstpointer dy, gconstpointer w,
               HtTensor *dx)
{
  gsize slice = transposed ? ht_kernel_conv_slice (g) : ht_kernel_conv_to_large_slice (g);
  guint n_slices = count_slices (call->workspace_size, slice);
  gpointer to = ht_tensor_get_writable_data (dx);
  gboolean is_double = ht_tensor_get_data_type (dx) == HT_DATA_TYPE_DOUBLE;

  if (transposed && is_double)
    ht_kernel_conv_double (g, dy, w, NULL, to);
  else if (transposed)
    ht_kernel_conv (g, dy, w, NULL, to, call->workspace, n_slices);
  else if (is_double)
    ht_kernel_conv_to_large_double (g, dy, w, to);
  else
    ht_kernel_conv_to_large (g, dy, w, to, call->workspace, n_slices);
}

static void
weight_gradient (const HtOpCall *call, const HtConvGeometry *g, gconstpointer large, gconstpointer small, HtTensor *dw)
{
  gsize partial = ht_kernel_conv_weights_partial (g), slice = ht_kernel_conv_weights_slice (g);
  if (ht_tensor_get_data_type (dw) == HT_DATA_TYPE_DOUBLE)
    ht_kernel_conv_weights_double (g, large, small, ht_tensor_get_writable_data (dw));
  else
    ht_kernel_conv_weights (g, large, small, ht_tensor_get_writable_data (dw), call->workspace,
                            (char *)call->workspace + partial, count_slices (call->workspace_size - partial, slice));
}

/* The sum of dy, [batch, channels, positions], over all but the channels. */
static void
bias_gradient (HtTensor *dy, HtTensor *db)
{
  gint64 channels = ht_tensor_get_dim (dy, 1), batch = ht_tensor_get_dim (dy, 0);
  gint64 positions = 1, target[] = { channels, 1 };
  for (guint i = 2; i < ht_tensor_get_n_dims (dy); i++)
    positions *= ht_tensor_get_dim (dy, i);
  gint64 dims[] = { batch, channels, positions };
  HtDataType type = ht_tensor_get_data_type (dy);
  g_autoptr (HtTensor) from = _ht_tensor_new_view (type, dims, 3, (gpointer)ht_tensor_get_data (dy));
  g_autoptr (HtTensor) to = _ht_tensor_new_view (type, target, 2, ht_tensor_get_writable_data (db));
  ht_backward_sum_to (to, from, 1.0);
}

static gboolean
backward (const HtOpCall *call, gboolean transposed, HtTensor *const *output_gradients,
          HtTensor *const *input_gradients, GError **error)
{
  HtTensor *dy = output_gradients[0], *dx = input_gradients[0], *dw = input_gradients[1];
  HtTensor *db = ht_backward_get (input_gradients, call->n_inputs, 2);
  gboolean is_double;
  guint n_x, n_w;
  const gint64 *x_dims = ht_tensor_get_dims (call->inputs[0], &n_x),
               *w_dims = ht_tensor_get_dims (call->inputs[1], &n_w);
  HtConvGeometry g;

  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  g_autofree char *problem = read_geometry (call->node, transposed, x_dims, n_x, w_dims, n_w, &g);
  if (problem)
    return ht_op_fail (call, error, "%s", problem);
  gconstpointer x = ht_tensor_get_data (call->inputs[0]), gradient = ht_tensor_get_data (dy);
  if (dx && ht_tensor_get_n_elements (dy) == 0)
    ht_backward_zero (dx);
  else if (dx)
    data_gradient (call, &g, transposed, gradient, ht_tensor_get_data (call->inputs[1]), dx);
  if (dw)
    weight_gradient (call, &g, transposed ? gradient : x, transposed ? x : gradient, dw);
  if (db)
    bias_gradient (dy, db);
  return TRUE;
}

gboolean
ht_op_conv_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                     GError **error)
{
  return backward (call, FALSE, output_gradients, input_gradients, error);
}

gboolean
ht_op_conv_transpose_backward (const HtOpCall *call, HtTensor *const *output_gradients,
                               HtTensor *const *input_gradients, GError **error)
{
  return backward (call, TRUE, output_gradients, input_gradients, error);
}
