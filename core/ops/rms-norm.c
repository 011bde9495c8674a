/* SPDX-License-Identifier: MIT */
/* RMSNormalization and MeanVarianceNormalization: elements divided by their spread, about 0 or about their mean. */
#include "graph/tensor-private.h"
#include "kernels/reduce.h"
#include "kernels/vectorize.h"
#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <math.h>
#include <string.h>

/* RMSNormalization */
static gboolean
rms_norm_infer (HtInfer *infer, GError **error)
{
  HtDims x, scale, out;
  guint axis;

  if (!ht_infer_check_arity (infer, 2, 2, error) || !ht_infer_check_type (infer, 0, HT_TYPES_FLOAT, error)
      || !ht_infer_check_type (infer, 1, HT_TYPES_FLOAT, error)
      || !ht_infer_check_rank (infer, 0, 1, HT_TENSOR_MAX_DIMS, error))
    return FALSE;
  ht_infer_copy_input (infer, 0, 0, FALSE);
  infer->outputs[0].type = ht_infer_get_type (infer, 1);
  if (!ht_infer_read_dims (infer, 0, &x))
    return TRUE;
  if (!ht_infer_get_axis (infer, ht_node_get_int (infer->node, "axis", -1), x.n, &axis, error))
    return FALSE;
  if (!ht_infer_read_dims (infer, 1, &scale))
    return TRUE;
  if (!ht_infer_broadcast (infer, &x, &scale, &out, error))
    return FALSE;
  for (guint i = 0; i < out.n; i++)
    if (out.n != x.n || (x.dim[i] >= 0 && out.dim[i] >= 0 && out.dim[i] != x.dim[i]))
      return ht_infer_fail (infer, error, "the scale is larger than the data, it must broadcast to its shape");
  return TRUE;
}

typedef struct
{
  gconstpointer x;
  gpointer y;
  gsize n;
  double epsilon;
} Rows;

HT_VECTORIZE static void
rms_row (const float *x, float *y, gsize n, float epsilon)
{
  float squares;
  HT_REDUCE_SUM (squares, n, x[i_] * x[i_]);
  float inverse = 1.0f / sqrtf (squares / (float)n + epsilon);
  for (gsize i = 0; i < n; i++)
    y[i] = x[i] * inverse;
}

static void
rms_rows_float (gsize begin, gsize end, gpointer user_data)
{
  const Rows *work = user_data;
  for (gsize row = begin; row < end; row++)
    rms_row ((const float *)work->x + row * work->n, (float *)work->y + row * work->n, work->n, (float)work->epsilon);
}

static void
rms_rows_double (gsize begin, gsize end, gpointer user_data)
{
  const Rows *work = user_data;
  for (gsize row = begin; row < end; row++)
    {
      const double *x = (const double *)work->x + row * work->n;
      double *y = (double *)work->y + row * work->n, squares = 0.0;
      for (gsize i = 0; i < work->n; i++)
        squares += x[i] * x[i];
      double root = sqrt (squares / (double)work->n + work->epsilon);
      for (gsize i = 0; i < work->n; i++)
        y[i] = x[i] / root;
    }
}

#define SCALE_LOOP(T)                                                                                                  \
  static void scale_##T (gsize n, const char *const *in, const gint64 *stride, char *out_, gconstpointer user_data)    \
  {                                                                                                                    \
    const T *y = (const T *)in[0], *factor = (const T *)in[1];                                                         \
    T *out = (T *)out_;                                                                                                \
    if (stride[0] == 1 && stride[1] == 1)                                                                              \
      for (gsize i = 0; i < n; i++)                                                                                    \
        out[i] = y[i] * factor[i];                                                                                     \
    else                                                                                                               \
      for (gsize i = 0; i < n; i++)                                                                                    \
        out[i] = y[(gint64)i * stride[0]] * factor[(gint64)i * stride[1]];                                             \
  }
SCALE_LOOP (float)
SCALE_LOOP (double)

static gboolean
rms_norm_forward (const HtOpCall *call, GError **error)
{
  HtTensor *x = call->inputs[0], *y = call->outputs[0];
  guint rank, axis = 0;
  const gint64 *dims = ht_tensor_get_dims (x, &rank);
  HtDataType type = ht_tensor_get_data_type (x);

  if (ht_op_is_half (call))
    return ht_op_widen (call, rms_norm_forward, error);
  if (ht_tensor_get_data_type (call->inputs[1]) != type)
    return ht_op_fail (call, error, "the data is of type %s and the scale of type %s, which cannot be mixed here",
                       ht_data_type_get_name (type), ht_data_type_get_name (ht_tensor_get_data_type (call->inputs[1])));
  if (ht_tensor_get_n_elements (x) == 0)
    return TRUE;
  ht_axis_normalize (ht_node_get_int (call->node, "axis", -1), rank, &axis);
  Rows work
      = { ht_tensor_get_data (x), ht_tensor_get_writable_data (y), 1, ht_node_get_float (call->node, "epsilon", 1e-5) };
  for (guint i = axis; i < rank; i++)
    work.n *= (gsize)dims[i];
  gboolean is_double = type == HT_DATA_TYPE_DOUBLE;
  ht_loop_range (ht_tensor_get_n_elements (x) / work.n, work.n, is_double ? rms_rows_double : rms_rows_float, &work);
  HtTensor *operands[] = { y, call->inputs[1] };
  ht_loop_broadcast (y, operands, 2, is_double ? scale_double : scale_float, NULL);
  return TRUE;
}

/* dx holds dy times the scale; normalized: x without the scale. */
typedef struct
{
  gconstpointer x, normalized;
  gpointer dx;
  gsize n;
  double epsilon;
} RowsBack;

#define GO_BACK(T)                                                                                                     \
  static void rms_rows_back_##T (gsize begin, gsize end, gpointer user_data)                                           \
  {                                                                                                                    \
    const RowsBack *work = user_data;                                                                                  \
    for (gsize row = begin; row < end; row++)                                                                          \
      {                                                                                                                \
        const T *x = (const T *)work->x + row * work->n, *normalized = (const T *)work->normalized + row * work->n;    \
        T *dx = (T *)work->dx + row * work->n;                                                                         \
        double squares = 0.0, along = 0.0;                                                                             \
        for (gsize i = 0; i < work->n; i++)                                                                            \
          {                                                                                                            \
            squares += (double)x[i] * (double)x[i];                                                                    \
            along += (double)dx[i] * (double)normalized[i];                                                            \
          }                                                                                                            \
        double root = sqrt (squares / (double)work->n + work->epsilon);                                                \
        along /= (double)work->n;                                                                                      \
        for (gsize i = 0; i < work->n; i++)                                                                            \
          dx[i] = (T)(((double)dx[i] - (double)normalized[i] * along) / root);                                         \
      }                                                                                                                \
  }
GO_BACK (float)
GO_BACK (double)

static gboolean
rms_norm_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                   GError **error)
{
  HtTensor *x = call->inputs[0], *dy = output_gradients[0], *dx = input_gradients[0];
  guint rank, axis = 0;
  const gint64 *dims = ht_tensor_get_dims (x, &rank);
  gboolean is_double;

  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (ht_tensor_get_n_elements (x) == 0)
    {
      if (input_gradients[1])
        ht_backward_zero (input_gradients[1]);
      return TRUE;
    }
  ht_axis_normalize (ht_node_get_int (call->node, "axis", -1), rank, &axis);
  Rows rows = { ht_tensor_get_data (x), call->workspace, 1, ht_node_get_float (call->node, "epsilon", 1e-5) };
  for (guint i = axis; i < rank; i++)
    rows.n *= (gsize)dims[i];
  gsize n_rows = ht_tensor_get_n_elements (x) / rows.n;
  ht_loop_range (n_rows, rows.n, is_double ? rms_rows_double : rms_rows_float, &rows);
  g_autoptr (HtTensor) normalized = _ht_tensor_new_view (ht_tensor_get_data_type (dy), dims, rank, call->workspace);
  HtTensor *to_scale[] = { dy, normalized }, *to_x[] = { dy, call->inputs[1] };
  if (input_gradients[1])
    ht_backward_broadcast (input_gradients[1], dy, to_scale, 2, is_double ? scale_double : scale_float, NULL);
  if (dx == NULL)
    return TRUE;
  RowsBack back = { rows.x, call->workspace, ht_tensor_get_writable_data (dx), rows.n, rows.epsilon };
  ht_loop_broadcast (dx, to_x, 2, is_double ? scale_double : scale_float, NULL);
  ht_loop_range (n_rows, rows.n, is_double ? rms_rows_back_double : rms_rows_back_float, &back);
  return TRUE;
}

/* MeanVarianceNormalization. Sums are kept in double, one for each position of the axes that stay. */
static const gint64 default_axes[] = { 0, 2, 3 };
#define MVN_EPSILON 1e-9

static const gint64 *
read_axes (HtNode *node, gsize *n)
{
  const gint64 *axes = ht_node_get_ints (node, "axes", n);
  if (axes != NULL && *n > 0)
    return axes;
  *n = G_N_ELEMENTS (default_axes);
  return default_axes;
}

static gboolean
mvn_infer (HtInfer *infer, GError **error)
{
  gsize n;
  const gint64 *axes = read_axes (infer->node, &n);
  HtDims x;
  guint axis;

  if (!ht_infer_unary_float (infer, error))
    return FALSE;
  if (!ht_infer_read_dims (infer, 0, &x))
    return TRUE;
  for (gsize i = 0; i < n; i++)
    if (!ht_infer_get_axis (infer, axes[i], x.n, &axis, error))
      return FALSE;
  return TRUE;
}

/* value[k] += term of x over all elements that share position k. */
static void
sum_over (HtTensor *x, const HtDims *kept, const double *mean, double *value)
{
  guint rank;
  const gint64 *dims = ht_tensor_get_dims (x, &rank);
  gint64 strides[HT_TENSOR_MAX_DIMS], position[HT_TENSOR_MAX_DIMS] = { 0 }, at = 0;
  HtDataType type = ht_tensor_get_data_type (x);
  gconstpointer data = ht_tensor_get_data (x);

  ht_strides (kept->dim, rank, strides);
  for (gsize i = 0; i < ht_tensor_get_n_elements (x); i++)
    {
      double term = type == HT_DATA_TYPE_FLOAT ? ((const float *)data)[i] : ((const double *)data)[i];
      if (mean)
        term = (term - mean[at]) * (term - mean[at]);
      value[at] += term;
      for (guint d = rank; d-- > 0;)
        {
          gint64 step = kept->dim[d] == 1 ? 0 : strides[d];
          at += step;
          if (++position[d] < dims[d])
            break;
          at -= step * dims[d];
          position[d] = 0;
        }
    }
}

#define STANDARDIZE_LOOP(T)                                                                                            \
  static void standardize_##T (gsize n, const char *const *in, const gint64 *stride, char *out_,                       \
                               gconstpointer user_data)                                                                \
  {                                                                                                                    \
    const T *x = (const T *)in[0];                                                                                     \
    const double *mean = (const double *)in[1], *spread = (const double *)in[2];                                       \
    T *out = (T *)out_;                                                                                                \
    for (gsize i = 0; i < n; i++)                                                                                      \
      out[i] = (T)(((double)x[(gint64)i * stride[0]] - mean[(gint64)i * stride[1]]) / spread[(gint64)i * stride[2]]);  \
  }
STANDARDIZE_LOOP (float)
STANDARDIZE_LOOP (double)

static gboolean
mvn_forward (const HtOpCall *call, GError **error)
{
  HtTensor *x = call->inputs[0];
  gsize n_axes, n;
  const gint64 *axes = read_axes (call->node, &n_axes);
  HtDims kept;
  guint axis;

  if (ht_op_is_half (call))
    return ht_op_widen (call, mvn_forward, error);
  if (ht_tensor_get_n_elements (x) == 0)
    return TRUE;
  kept.n = ht_tensor_get_n_dims (x);
  for (guint i = 0; i < kept.n; i++)
    kept.dim[i] = ht_tensor_get_dim (x, i);
  for (gsize i = 0; i < n_axes; i++)
    if (ht_axis_normalize (axes[i], kept.n, &axis))
      kept.dim[axis] = 1;
  g_autoptr (HtTensor) mean = ht_tensor_new (HT_DATA_TYPE_DOUBLE, kept.dim, kept.n, error);
  g_autoptr (HtTensor) spread = mean ? ht_tensor_new (HT_DATA_TYPE_DOUBLE, kept.dim, kept.n, error) : NULL;
  if (spread == NULL)
    return FALSE;
  double *means = ht_tensor_get_writable_data (mean), *spreads = ht_tensor_get_writable_data (spread);
  gsize n_kept = ht_tensor_get_n_elements (mean);
  n = ht_tensor_get_n_elements (x) / n_kept;
  memset (means, 0, n_kept * sizeof *means);
  memset (spreads, 0, n_kept * sizeof *spreads);
  sum_over (x, &kept, NULL, means);
  for (gsize i = 0; i < n_kept; i++)
    means[i] /= (double)n;
  sum_over (x, &kept, means, spreads);
  for (gsize i = 0; i < n_kept; i++)
    spreads[i] = sqrt (spreads[i] / (double)n) + MVN_EPSILON;
  HtTensor *operands[] = { x, mean, spread };
  ht_loop_broadcast (call->outputs[0], operands, 3,
                     ht_tensor_get_data_type (x) == HT_DATA_TYPE_DOUBLE ? standardize_double : standardize_float, NULL);
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "MeanVarianceNormalization", 9, HT_OP_NONE, mvn_infer, mvn_forward },
  { "", "RMSNormalization", 23, HT_OP_NONE, rms_norm_infer, rms_norm_forward, rms_norm_backward,
    .backward_inputs = HT_OP_KEEPS_ALL, .backward_workspace = ht_backward_output_workspace },
};

void
ht_ops_register_rms_norm (void)
{
  HT_OPS_REGISTER (operators);
}
