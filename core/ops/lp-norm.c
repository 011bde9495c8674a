/* SPDX-License-Identifier: MIT */
/* LpNormalization: each line of an axis divided by its p-norm. */
#include "kernels/lp-pool.h"
#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

static gboolean
lp_norm_infer (HtInfer *infer, GError **error)
{
  gint64 p = ht_node_get_int (infer->node, "p", 2);
  guint axis;
  HtDims in;

  if (!ht_infer_unary_float (infer, error) || !ht_infer_check_rank (infer, 0, 1, HT_TENSOR_MAX_DIMS, error))
    return FALSE;
  if (p != 1 && p != 2)
    return ht_infer_fail (infer, error, "the attribute p is %" G_GINT64_FORMAT ", expected 1 or 2", p);
  return !ht_infer_read_dims (infer, 0, &in)
         || ht_infer_get_axis (infer, ht_node_get_int (infer->node, "axis", -1), in.n, &axis, error);
}

typedef struct
{
  gconstpointer in;
  gpointer out;
  gconstpointer y, dy; /* backward */
  gsize length, inner;
  double p;
} Lines;

/* A line of zeros stays as it is. */
#define NORMALIZE(T)                                                                                                   \
  static void normalize_##T (gsize begin, gsize end, gpointer user_data)                                               \
  {                                                                                                                    \
    const Lines *work = user_data;                                                                                     \
    for (gsize line = begin; line < end; line++)                                                                       \
      {                                                                                                                \
        gsize first = line / work->inner * work->length * work->inner + line % work->inner;                            \
        const T *in = (const T *)work->in + first;                                                                     \
        T *out = (T *)work->out + first;                                                                               \
        double sum = 0.0;                                                                                              \
        for (gsize i = 0; i < work->length; i++)                                                                       \
          sum += ht_lp_power ((double)in[i * work->inner], work->p);                                                   \
        double norm = ht_lp_root (sum, work->p);                                                                       \
        for (gsize i = 0; i < work->length; i++)                                                                       \
          out[i * work->inner] = norm == 0.0 ? 0 : (T)((double)in[i * work->inner] / norm);                            \
      }                                                                                                                \
  }
NORMALIZE (float)
NORMALIZE (double)

static Lines
view_lines (const HtOpCall *call, gpointer out)
{
  guint rank, axis = 0;
  const gint64 *dims = ht_tensor_get_dims (call->inputs[0], &rank);

  ht_axis_normalize (ht_node_get_int (call->node, "axis", -1), rank, &axis);
  Lines work = { .in = ht_tensor_get_data (call->inputs[0]),
                 .out = out,
                 .length = (gsize)dims[axis],
                 .inner = 1,
                 .p = (double)ht_node_get_int (call->node, "p", 2) };
  for (guint i = axis + 1; i < rank; i++)
    work.inner *= (gsize)dims[i];
  return work;
}

static gboolean
lp_norm_forward (const HtOpCall *call, GError **error)
{
  HtTensor *in = call->inputs[0];

  if (ht_op_is_half (call))
    return ht_op_widen (call, lp_norm_forward, error);
  if (ht_tensor_get_n_elements (in) == 0)
    return TRUE;
  Lines work = view_lines (call, ht_tensor_get_writable_data (call->outputs[0]));
  ht_loop_range (ht_tensor_get_n_elements (in) / work.length, work.length,
                 ht_tensor_get_data_type (in) == HT_DATA_TYPE_DOUBLE ? normalize_double : normalize_float, &work);
  return TRUE;
}

/* dx = (dy - slope of the norm * sum (dy * y)) / norm */
#define GO_BACK(T)                                                                                                     \
  static void go_back_##T (gsize begin, gsize end, gpointer user_data)                                                 \
  {                                                                                                                    \
    const Lines *work = user_data;                                                                                     \
    for (gsize line = begin; line < end; line++)                                                                       \
      {                                                                                                                \
        gsize first = line / work->inner * work->length * work->inner + line % work->inner;                            \
        const T *x = (const T *)work->in + first, *y = (const T *)work->y + first, *dy = (const T *)work->dy + first;  \
        T *dx = (T *)work->out + first;                                                                                \
        double sum = 0.0, along = 0.0;                                                                                 \
        for (gsize i = 0; i < work->length * work->inner; i += work->inner)                                            \
          {                                                                                                            \
            sum += ht_lp_power ((double)x[i], work->p);                                                                \
            along += (double)dy[i] * (double)y[i];                                                                     \
          }                                                                                                            \
        double norm = ht_lp_root (sum, work->p);                                                                       \
        for (gsize i = 0; i < work->length * work->inner; i += work->inner)                                            \
          {                                                                                                            \
            double slope = work->p == 2.0 ? (double)y[i] : (double)((x[i] > 0) - (x[i] < 0));                          \
            dx[i] = norm == 0.0 ? 0 : (T)(((double)dy[i] - slope * along) / norm);                                     \
          }                                                                                                            \
      }                                                                                                                \
  }
GO_BACK (float)
GO_BACK (double)

static gboolean
lp_norm_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                  GError **error)
{
  HtTensor *dx = input_gradients[0];
  gboolean is_double;

  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (dx == NULL || ht_tensor_get_n_elements (dx) == 0)
    return TRUE;
  Lines work = view_lines (call, ht_tensor_get_writable_data (dx));
  work.y = ht_tensor_get_data (call->outputs[0]);
  work.dy = ht_tensor_get_data (output_gradients[0]);
  ht_loop_range (ht_tensor_get_n_elements (dx) / work.length, work.length, is_double ? go_back_double : go_back_float,
                 &work);
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "LpNormalization", 1, HT_OP_IN_PLACE, lp_norm_infer, lp_norm_forward, lp_norm_backward,
    .backward_inputs = HT_OP_KEEPS (0), .backward_outputs = HT_OP_KEEPS (0) },
};

void
ht_ops_register_lp_norm (void)
{
  HT_OPS_REGISTER (operators);
}
