/* SPDX-License-Identifier: MIT */
/* MaxPool, AveragePool, LpPool and their global forms. */
#include "kernels/double-precision.h"
#include "kernels/lp-pool.h"
#include "kernels/pool-backward.h"
#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/pool.h"
#include "ops/window.h"

static gboolean
infer_pool (HtInfer *infer, guint32 types, GError **error)
{
  gint64 kernel[HT_WINDOW_MAX_AXES];
  HtDims x, out = { 0 };
  HtWindow window;

  if (!ht_infer_check_arity (infer, 1, 1, error) || !ht_infer_check_type (infer, 0, types, error))
    return FALSE;
  HtDataType type = ht_infer_get_type (infer, 0);
  ht_infer_set_output (infer, 0, type, NULL);
  ht_infer_set_output (infer, 1, HT_DATA_TYPE_INT64, NULL);
  if (!ht_infer_read_dims (infer, 0, &x))
    return TRUE;
  if (x.n < 3)
    return ht_infer_fail (infer, error, "its input has %u dimensions, expected batch, channels and at least one axis",
                          x.n);
  if (!ht_window_read_kernel (infer->node, x.n - 2, kernel))
    return ht_infer_fail (infer, error, "the attribute kernel_shape must have %u values", x.n - 2);
  for (guint i = 0; i < x.n - 2; i++)
    if (kernel[i] < 1)
      return ht_infer_fail (infer, error, "the attribute kernel_shape holds %" G_GINT64_FORMAT, kernel[i]);
  g_autofree char *problem = ht_window_read (&window, infer->node, HT_WINDOW_POOL, x.n - 2, x.dim + 2, kernel);
  if (problem)
    return ht_infer_fail (infer, error, "%s", problem);
  ht_dims_append (&out, x.dim[0], x.symbol[0]);
  ht_dims_append (&out, x.dim[1], x.symbol[1]);
  ht_window_append_out (&window, &x, &out);
  ht_infer_put_dims (infer, 0, type, &out);
  if (infer->n_outputs > 1)
    ht_infer_put_dims (infer, 1, HT_DATA_TYPE_INT64, &out);
  return TRUE;
}

static gboolean
max_pool_infer (HtInfer *infer, GError **error)
{
  return infer_pool (infer, HT_TYPES_FLOAT | HT_TYPE_BIT (INT8) | HT_TYPE_BIT (UINT8), error);
}

static gboolean
average_pool_infer (HtInfer *infer, GError **error)
{
  return infer_pool (infer, HT_TYPES_FLOAT, error);
}

char *
ht_pool_read (HtNode *node, const gint64 *dims, guint n_dims, HtPoolGeometry *pool)
{
  gint64 kernel[HT_WINDOW_MAX_AXES];
  HtWindow window;

  if (n_dims > 2 + HT_CONV_AXES)
    return g_strdup_printf ("it has %u spatial axes, at most %d can be run", n_dims - 2, HT_CONV_AXES);
  ht_window_read_kernel (node, n_dims - 2, kernel);
  char *problem = ht_window_read (&window, node, HT_WINDOW_POOL, n_dims - 2, dims + 2, kernel);
  if (problem)
    return problem;
  ht_window_to_geometry (&window, &pool->geometry);
  pool->geometry.batch = (gsize)dims[0];
  pool->geometry.in_channels = (gsize)dims[1];
  for (guint i = 0; i < HT_CONV_AXES; i++)
    {
      guint skip = HT_CONV_AXES - (n_dims - 2);
      pool->pad_end[i] = i >= skip ? (gsize)window.pad_end[i - skip] : 0;
    }
  pool->count_padding = ht_node_get_int (node, "count_include_pad", 0) != 0;
  pool->column_major = ht_node_get_int (node, "storage_order", 0) != 0;
  return NULL;
}

static gboolean
read_pool (const HtOpCall *call, HtPoolGeometry *pool, GError **error)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (call->inputs[0], &n_dims);
  g_autofree char *problem = ht_pool_read (call->node, dims, n_dims, pool);

  return problem == NULL || ht_op_fail (call, error, "%s", problem);
}

static gboolean
max_pool_forward (const HtOpCall *call, GError **error)
{
  HtPoolGeometry pool;

  if (ht_op_is_half (call))
    return ht_op_widen (call, max_pool_forward, error);
  if (!read_pool (call, &pool, error))
    return FALSE;
  gconstpointer x = ht_tensor_get_data (call->inputs[0]);
  gpointer y = ht_tensor_get_writable_data (call->outputs[0]);
  gint64 *indices = call->n_outputs > 1 && call->outputs[1] ? ht_tensor_get_writable_data (call->outputs[1]) : NULL;
  switch (ht_tensor_get_data_type (call->inputs[0]))
    {
    case HT_DATA_TYPE_FLOAT:
      ht_kernel_max_pool_float (&pool, x, y, indices);
      return TRUE;
    case HT_DATA_TYPE_DOUBLE:
      ht_kernel_max_pool_double (&pool, x, y, indices);
      return TRUE;
    case HT_DATA_TYPE_INT8:
      ht_kernel_max_pool_int8 (&pool, x, y, indices);
      return TRUE;
    case HT_DATA_TYPE_UINT8:
      ht_kernel_max_pool_uint8 (&pool, x, y, indices);
      return TRUE;
    default:
      return ht_op_fail_type (call, ht_tensor_get_data_type (call->inputs[0]), error);
    }
}

static gboolean
average_pool_forward (const HtOpCall *call, GError **error)
{
  HtPoolGeometry pool;

  if (ht_op_is_half (call))
    return ht_op_widen (call, average_pool_forward, error);
  if (!read_pool (call, &pool, error))
    return FALSE;
  gconstpointer x = ht_tensor_get_data (call->inputs[0]);
  gpointer y = ht_tensor_get_writable_data (call->outputs[0]);
  if (ht_tensor_get_data_type (call->inputs[0]) == HT_DATA_TYPE_DOUBLE)
    ht_kernel_average_pool_double (&pool, x, y);
  else
    ht_kernel_average_pool (&pool, x, y);
  return TRUE;
}

static gboolean
global_infer (HtInfer *infer, GError **error)
{
  HtDims x, out = { 0 };

  if (!ht_infer_check_arity (infer, 1, 1, error) || !ht_infer_check_type (infer, 0, HT_TYPES_FLOAT, error)
      || !ht_infer_check_rank (infer, 0, 2, HT_TENSOR_MAX_DIMS, error))
    return FALSE;
  ht_infer_set_output (infer, 0, ht_infer_get_type (infer, 0), NULL);
  if (!ht_infer_read_dims (infer, 0, &x))
    return TRUE;
  ht_dims_append (&out, x.dim[0], x.symbol[0]);
  ht_dims_append (&out, x.dim[1], x.symbol[1]);
  for (guint i = 2; i < x.n; i++)
    ht_dims_append (&out, 1, NULL);
  ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &out);
  return TRUE;
}

static gboolean
global_forward (const HtOpCall *call, HtForward again, void (*kernel) (const float *, gsize, gsize, float *),
                void (*double_kernel) (const double *, gsize, gsize, double *), GError **error)
{
  HtTensor *x = call->inputs[0], *y = call->outputs[0];
  gsize n_rows = ht_tensor_get_n_elements (y);

  if (ht_op_is_half (call))
    return ht_op_widen (call, again, error);
  if (n_rows > 0 && ht_tensor_get_data_type (x) == HT_DATA_TYPE_DOUBLE)
    double_kernel (ht_tensor_get_data (x), n_rows, ht_tensor_get_n_elements (x) / n_rows,
                   ht_tensor_get_writable_data (y));
  else if (n_rows > 0)
    kernel (ht_tensor_get_data (x), n_rows, ht_tensor_get_n_elements (x) / n_rows, ht_tensor_get_writable_data (y));
  return TRUE;
}

static gboolean
global_average_forward (const HtOpCall *call, GError **error)
{
  return global_forward (call, global_average_forward, ht_kernel_row_means, ht_kernel_row_means_double, error);
}

static gboolean
global_max_forward (const HtOpCall *call, GError **error)
{
  return global_forward (call, global_max_forward, ht_kernel_row_maxima, ht_kernel_row_maxima_double, error);
}

static gboolean
check_power (const HtInfer *infer, GError **error)
{
  gint64 p = ht_node_get_int (infer->node, "p", 2);
  return p >= 1 || ht_infer_fail (infer, error, "the attribute p is %" G_GINT64_FORMAT ", expected at least 1", p);
}

static gboolean
lp_pool_infer (HtInfer *infer, GError **error)
{
  return check_power (infer, error) && infer_pool (infer, HT_TYPES_FLOAT, error);
}

static gboolean
global_lp_infer (HtInfer *infer, GError **error)
{
  return check_power (infer, error) && global_infer (infer, error);
}

static void
run_lp_pool (const HtOpCall *call, const HtPoolGeometry *pool)
{
  gconstpointer x = ht_tensor_get_data (call->inputs[0]);
  gpointer y = ht_tensor_get_writable_data (call->outputs[0]);
  double p = (double)ht_node_get_int (call->node, "p", 2);

  if (ht_tensor_get_data_type (call->inputs[0]) == HT_DATA_TYPE_DOUBLE)
    ht_kernel_lp_pool_double (pool, p, x, y);
  else
    ht_kernel_lp_pool_float (pool, p, x, y);
}

static gboolean
lp_pool_forward (const HtOpCall *call, GError **error)
{
  HtPoolGeometry pool;

  if (ht_op_is_half (call))
    return ht_op_widen (call, lp_pool_forward, error);
  if (!read_pool (call, &pool, error))
    return FALSE;
  run_lp_pool (call, &pool);
  return TRUE;
}

/* One window, which is all of the plane. */
static gboolean
global_lp_forward (const HtOpCall *call, GError **error)
{
  gsize n_rows = ht_tensor_get_n_elements (call->outputs[0]);
  gsize n = n_rows ? ht_tensor_get_n_elements (call->inputs[0]) / n_rows : 0;
  HtPoolGeometry pool = { .geometry = { .batch = 1,
                                        .in_channels = n_rows,
                                        .in = { 1, 1, n },
                                        .out = { 1, 1, 1 },
                                        .kernel = { 1, 1, n },
                                        .stride = { 1, 1, 1 },
                                        .dilation = { 1, 1, 1 } } };

  if (ht_op_is_half (call))
    return ht_op_widen (call, global_lp_forward, error);
  run_lp_pool (call, &pool);
  return TRUE;
}

static gboolean
max_pool_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                   GError **error)
{
  HtPoolGeometry pool;
  gboolean is_double;

  if (!ht_backward_get_type (call, output_gradients, &is_double, error) || !read_pool (call, &pool, error))
    return FALSE;
  if (input_gradients[0] && output_gradients[0] == NULL)
    ht_backward_zero (input_gradients[0]);
  if (input_gradients[0] == NULL || output_gradients[0] == NULL)
    return TRUE;
  gconstpointer x = ht_tensor_get_data (call->inputs[0]), dy = ht_tensor_get_data (output_gradients[0]);
  gpointer dx = ht_tensor_get_writable_data (input_gradients[0]);
  if (is_double)
    ht_kernel_max_pool_backward_double (&pool, x, dy, dx);
  else
    ht_kernel_max_pool_backward_float (&pool, x, dy, dx);
  return TRUE;
}

static gboolean
average_pool_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                       GError **error)
{
  HtPoolGeometry pool;
  gboolean is_double;

  if (!ht_backward_get_type (call, output_gradients, &is_double, error) || !read_pool (call, &pool, error))
    return FALSE;
  if (input_gradients[0] == NULL)
    return TRUE;
  gconstpointer dy = ht_tensor_get_data (output_gradients[0]);
  gpointer dx = ht_tensor_get_writable_data (input_gradients[0]);
  if (is_double)
    ht_kernel_average_pool_backward_double (&pool, dy, dx);
  else
    ht_kernel_average_pool_backward_float (&pool, dy, dx);
  return TRUE;
}

static gboolean
global_backward (const HtOpCall *call, gboolean maximum, HtTensor *const *output_gradients,
                 HtTensor *const *input_gradients, GError **error)
{
  gboolean is_double;
  gsize n_rows = ht_tensor_get_n_elements (output_gradients[0]);

  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (input_gradients[0] == NULL || n_rows == 0)
    return TRUE;
  gsize n = ht_tensor_get_n_elements (input_gradients[0]) / n_rows;
  gconstpointer x = ht_tensor_get_data (call->inputs[0]), dy = ht_tensor_get_data (output_gradients[0]);
  gpointer dx = ht_tensor_get_writable_data (input_gradients[0]);
  if (maximum && is_double)
    ht_kernel_row_maxima_backward_double (x, dy, n_rows, n, dx);
  else if (maximum)
    ht_kernel_row_maxima_backward_float (x, dy, n_rows, n, dx);
  else if (is_double)
    ht_kernel_row_means_backward_double (dy, n_rows, n, dx);
  else
    ht_kernel_row_means_backward_float (dy, n_rows, n, dx);
  return TRUE;
}

static gboolean
global_average_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                         GError **error)
{
  return global_backward (call, FALSE, output_gradients, input_gradients, error);
}

static gboolean
global_max_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                     GError **error)
{
  return global_backward (call, TRUE, output_gradients, input_gradients, error);
}

static const HtOperator operators[] = {
  { .op_type = "AveragePool",
    .since_version = 1,
    .infer = average_pool_infer,
    .forward = average_pool_forward,
    .backward = average_pool_backward },
  { .op_type = "GlobalAveragePool",
    .since_version = 1,
    .infer = global_infer,
    .forward = global_average_forward,
    .backward = global_average_backward },
  { .op_type = "GlobalLpPool", .since_version = 2, .infer = global_lp_infer, .forward = global_lp_forward },
  { .op_type = "GlobalMaxPool",
    .since_version = 1,
    .flags = HT_OP_KEEPS_GRID,
    .infer = global_infer,
    .forward = global_max_forward,
    .backward = global_max_backward,
    .backward_inputs = HT_OP_KEEPS (0) },
  { .op_type = "LpPool", .since_version = 2, .infer = lp_pool_infer, .forward = lp_pool_forward },
  { .op_type = "MaxPool",
    .since_version = 1,
    .flags = HT_OP_KEEPS_GRID,
    .infer = max_pool_infer,
    .forward = max_pool_forward,
    .backward = max_pool_backward,
    .backward_inputs = HT_OP_KEEPS (0) },
};

void
ht_ops_register_pool (void)
{
  HT_OPS_REGISTER (operators);
}
