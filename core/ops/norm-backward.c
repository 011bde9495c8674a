/* SPDX-License-Identifier: MIT */
/* Gradients of BatchNormalization, also in training mode, LayerNormalization, InstanceNormalization and
 * GroupNormalization. */
#include "graph/tensor-private.h"
#include "kernels/channel-statistics.h"
#include "kernels/normalize-backward.h"
#include "ops/backward.h"
#include "ops/norm.h"
#include "ops/rules.h"

#include <math.h>

/* Only output 0 carries a gradient. */
static gboolean
check (const HtOpCall *call, HtTensor *const *output_gradients, gboolean *is_double, GError **error)
{
  if (!ht_backward_get_type (call, output_gradients, is_double, error))
    return FALSE;
  HtDataType type = *is_double ? HT_DATA_TYPE_DOUBLE : HT_DATA_TYPE_FLOAT;
  for (guint i = 1; i < call->n_outputs; i++)
    if (output_gradients[i])
      return ht_op_fail (call, error, "gradients of its output %u are not passed on", i);
  for (guint i = 0; i < call->n_inputs; i++)
    if (call->inputs[i] && ht_tensor_get_data_type (call->inputs[i]) != type)
      return ht_op_fail_type (call, ht_tensor_get_data_type (call->inputs[i]), error);
  return TRUE;
}

static void
zero_all (HtTensor *const *gradients, guint n)
{
  for (guint i = 0; i < n; i++)
    if (gradients[i])
      ht_backward_zero (gradients[i]);
}

/* BatchNormalization. The workspace holds five numbers for each channel. */

gsize
ht_op_batch_norm_backward_workspace (const HtInfer *infer)
{
  HtDims scale;
  gint64 n = ht_infer_read_dims (infer, 1, &scale) ? ht_dims_product (&scale, 0, scale.n) : 0;
  return n > 0 ? (gsize)n * 5 * sizeof (double) : 0;
}

static void
store (HtTensor *gradient, gsize channel, double value)
{
  if (gradient)
    ht_scalar_store (ht_tensor_get_data_type (gradient), ht_tensor_get_writable_data (gradient), channel, value);
}

gboolean
ht_op_batch_norm_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                           GError **error)
{
  g_auto (HtBatchNorm) norm = { 0 };
  gboolean is_double, trains = ht_batch_norm_trains (call);
  gconstpointer x = ht_tensor_get_data (call->inputs[0]);

  if (!check (call, output_gradients, &is_double, error) || !ht_batch_norm_read (call, &norm, error))
    return FALSE;
  if (ht_tensor_get_n_elements (call->inputs[0]) == 0)
    {
      zero_all (input_gradients, 5);
      return TRUE;
    }
  gconstpointer dy = ht_tensor_get_data (output_gradients[0]);
  gsize channels = norm.channels, count = norm.outer * norm.inner;
  double *dy_sum = call->workspace, *product_sum = dy_sum + channels;
  double *a = product_sum + channels, *b = a + channels, *d = b + channels;
  double epsilon = (float)ht_node_get_float (call->node, "epsilon", 1e-5);
  if (trains && is_double)
    ht_kernel_channel_statistics_double (x, norm.outer, channels, norm.inner, norm.mean, norm.variance);
  else if (trains)
    ht_kernel_channel_statistics_float (x, norm.outer, channels, norm.inner, norm.mean, norm.variance);
  if (is_double)
    ht_kernel_channel_sums_double (x, dy, norm.outer, channels, norm.inner, norm.mean, dy_sum, product_sum);
  else
    ht_kernel_channel_sums_float (x, dy, norm.outer, channels, norm.inner, norm.mean, dy_sum, product_sum);
  for (gsize c = 0; c < channels; c++)
    {
      double inverse = 1.0 / sqrt (norm.variance[c] + epsilon), factor = norm.scale[c] * inverse;
      store (input_gradients[1], c, product_sum[c] * inverse);
      store (input_gradients[2], c, dy_sum[c]);
      /* In training mode the given statistics have no part in Y. */
      store (input_gradients[3], c, trains ? 0.0 : -factor * dy_sum[c]);
      store (input_gradients[4], c, trains ? 0.0 : -0.5 * factor * inverse * inverse * product_sum[c]);
      a[c] = factor;
      b[c] = trains ? -factor * inverse * inverse * product_sum[c] / (double)count : 0.0;
      d[c] = trains ? -factor * dy_sum[c] / (double)count : 0.0;
    }
  if (input_gradients[0] && is_double)
    ht_kernel_channel_gradient_double (x, dy, ht_tensor_get_writable_data (input_gradients[0]), norm.outer, channels,
                                       norm.inner, norm.mean, a, b, d);
  else if (input_gradients[0])
    ht_kernel_channel_gradient_float (x, dy, ht_tensor_get_writable_data (input_gradients[0]), norm.outer, channels,
                                      norm.inner, norm.mean, a, b, d);
  return TRUE;
}

/* Normalizations of rows */

typedef HtNormRows (*RowsFunc) (HtNode *node, gint64 opset, const gint64 *dims, guint n_dims);

static gsize
rows_workspace (const HtInfer *infer, RowsFunc rows_of)
{
  HtDims x;
  if (!ht_infer_read_dims (infer, 0, &x) || !ht_dims_is_static (&x))
    return 0;
  HtNormRows rows = rows_of (infer->node, infer->opset, x.dim, x.n);
  return ht_kernel_row_norm_backward_workspace (rows.n_rows, rows.n, rows.factor_count);
}

static gboolean
rows_backward (const HtOpCall *call, RowsFunc rows_of, HtTensor *const *output_gradients,
               HtTensor *const *input_gradients, GError **error)
{
  gboolean is_double;
  guint n_dims;
  HtTensor *gradients[]
      = { input_gradients[0], input_gradients[1], ht_backward_get (input_gradients, call->n_inputs, 2) };
  const gint64 *dims = ht_tensor_get_dims (call->inputs[0], &n_dims);

  if (!check (call, output_gradients, &is_double, error))
    return FALSE;
  if (ht_tensor_get_n_elements (call->inputs[0]) == 0)
    {
      zero_all (gradients, G_N_ELEMENTS (gradients));
      return TRUE;
    }
  HtNormRows rows = rows_of (call->node, call->opset, dims, n_dims);
  HtRowNormBackward norm = {
    .n_rows = rows.n_rows,
    .n = rows.n,
    .factor_rows = rows.factor_rows,
    .factor_count = rows.factor_count,
    .epsilon = (float)ht_node_get_float (call->node, "epsilon", 1e-5),
    .x = ht_tensor_get_data (call->inputs[0]),
    .dy = ht_tensor_get_data (output_gradients[0]),
    .factor = ht_tensor_get_data (call->inputs[1]),
    .dx = gradients[0] ? ht_tensor_get_writable_data (gradients[0]) : NULL,
    .d_factor = gradients[1] ? ht_tensor_get_writable_data (gradients[1]) : NULL,
    .d_term = gradients[2] ? ht_tensor_get_writable_data (gradients[2]) : NULL,
    .workspace = call->workspace,
  };
  (is_double ? ht_kernel_row_norm_backward_double : ht_kernel_row_norm_backward_float) (&norm);
  return TRUE;
}

#define ROWS(NAME)                                                                                                     \
  gsize ht_op_##NAME##_backward_workspace (const HtInfer *infer) { return rows_workspace (infer, ht_##NAME##_rows); }  \
  gboolean ht_op_##NAME##_backward (const HtOpCall *call, HtTensor *const *output_gradients,                           \
                                    HtTensor *const *input_gradients, GError **error)                                  \
  {                                                                                                                    \
    return rows_backward (call, ht_##NAME##_rows, output_gradients, input_gradients, error);                           \
  }
ROWS (layer_norm)
ROWS (instance_norm)
ROWS (group_norm)
