/* SPDX-License-Identifier: MIT */
/* LRN: local response normalization across channels. */
#include "kernels/lrn.h"
#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <math.h>

static gboolean
lrn_infer (HtInfer *infer, GError **error)
{
  gint64 size = ht_node_get_int (infer->node, "size", 0);

  if (!ht_infer_unary_float (infer, error) || !ht_infer_check_rank (infer, 0, 2, HT_TENSOR_MAX_DIMS, error))
    return FALSE;
  return size >= 1
         || ht_infer_fail (infer, error, "the attribute size is %" G_GINT64_FORMAT ", expected at least 1", size);
}

static void
lrn_double (const HtLrn *lrn, double alpha, double beta, double bias, const double *x, double *y)
{
  for (gsize at = 0; at < lrn->outer * lrn->channels * lrn->inner; at++)
    {
      gsize channel = at / lrn->inner % lrn->channels;
      gsize before = MIN (lrn->before, channel), after = MIN (lrn->after, lrn->channels - 1 - channel);
      const double *first = x + at - before * lrn->inner;
      double sum = 0.0;
      for (gsize k = 0; k <= before + after; k++)
        sum += first[k * lrn->inner] * first[k * lrn->inner];
      y[at] = x[at] * pow (bias + alpha * sum, -beta);
    }
}

static HtLrn
read_lrn (const HtOpCall *call, double *alpha, double *beta, double *bias)
{
  guint rank;
  const gint64 *dims = ht_tensor_get_dims (call->inputs[0], &rank);
  gint64 size = ht_node_get_int (call->node, "size", 1);

  *alpha = ht_node_get_float (call->node, "alpha", 1e-4) / (double)size;
  *beta = ht_node_get_float (call->node, "beta", 0.75);
  *bias = ht_node_get_float (call->node, "bias", 1.0);
  HtLrn lrn = { (gsize)dims[0], (gsize)dims[1], 1,           (gsize)((size - 1) / 2), (gsize)(size / 2),
                (float)*alpha,  (float)*beta,   (float)*bias };
  for (guint i = 2; i < rank; i++)
    lrn.inner *= (gsize)dims[i];
  return lrn;
}

static gboolean
lrn_forward (const HtOpCall *call, GError **error)
{
  HtTensor *x = call->inputs[0], *y = call->outputs[0];
  double alpha, beta, bias;

  if (ht_op_is_half (call))
    return ht_op_widen (call, lrn_forward, error);
  if (ht_tensor_get_n_elements (x) == 0)
    return TRUE;
  HtLrn lrn = read_lrn (call, &alpha, &beta, &bias);
  if (ht_tensor_get_data_type (x) == HT_DATA_TYPE_DOUBLE)
    lrn_double (&lrn, alpha, beta, bias, ht_tensor_get_data (x), ht_tensor_get_writable_data (y));
  else
    ht_kernel_lrn (&lrn, ht_tensor_get_data (x), ht_tensor_get_writable_data (y));
  return TRUE;
}

/* With s = bias + alpha * sum of squares, the gradient is dy * s^-beta less 2 * alpha * beta * x times the sum of dy *
 * x * s^(-beta - 1) over the elements whose window holds this one. The workspace holds that factor for each element. */
typedef struct
{
  HtLrn lrn;
  double alpha, beta, bias;
  gconstpointer x, dy;
  gpointer dx, factors;
} Backward;

#define BACKWARD(T, POW)                                                                                               \
  static void factors_##T (gsize begin, gsize end, gpointer user_data)                                                 \
  {                                                                                                                    \
    const Backward *work = user_data;                                                                                  \
    const HtLrn *lrn = &work->lrn;                                                                                     \
    for (gsize at = begin; at < end; at++)                                                                             \
      {                                                                                                                \
        gsize channel = at / lrn->inner % lrn->channels;                                                               \
        gsize before = MIN (lrn->before, channel), after = MIN (lrn->after, lrn->channels - 1 - channel);              \
        const T *x = (const T *)work->x + at, *first = x - before * lrn->inner;                                        \
        T sum = 0, g = ((const T *)work->dy)[at];                                                                      \
        for (gsize k = 0; k <= before + after; k++)                                                                    \
          sum += first[k * lrn->inner] * first[k * lrn->inner];                                                        \
        T s = (T)work->bias + (T)work->alpha * sum, power = POW (s, -(T)work->beta);                                   \
        ((T *)work->dx)[at] = g * power;                                                                               \
        ((T *)work->factors)[at] = g * *x * power / s;                                                                 \
      }                                                                                                                \
  }                                                                                                                    \
  static void gather_##T (gsize begin, gsize end, gpointer user_data)                                                  \
  {                                                                                                                    \
    const Backward *work = user_data;                                                                                  \
    const HtLrn *lrn = &work->lrn;                                                                                     \
    T factor = (T)(2.0 * work->alpha * work->beta);                                                                    \
    for (gsize at = begin; at < end; at++)                                                                             \
      {                                                                                                                \
        gsize channel = at / lrn->inner % lrn->channels;                                                               \
        gsize before = MIN (lrn->after, channel), after = MIN (lrn->before, lrn->channels - 1 - channel);              \
        const T *first = (const T *)work->factors + at - before * lrn->inner;                                          \
        T sum = 0;                                                                                                     \
        for (gsize k = 0; k <= before + after; k++)                                                                    \
          sum += first[k * lrn->inner];                                                                                \
        ((T *)work->dx)[at] -= factor * ((const T *)work->x)[at] * sum;                                                \
      }                                                                                                                \
  }
BACKWARD (float, powf)
BACKWARD (double, pow)

static gboolean
lrn_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients, GError **error)
{
  gboolean is_double;
  Backward work;
  gsize n = ht_tensor_get_n_elements (call->inputs[0]);

  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (input_gradients[0] == NULL || n == 0)
    return TRUE;
  work.lrn = read_lrn (call, &work.alpha, &work.beta, &work.bias);
  work.x = ht_tensor_get_data (call->inputs[0]);
  work.dy = ht_tensor_get_data (output_gradients[0]);
  work.dx = ht_tensor_get_writable_data (input_gradients[0]);
  work.factors = call->workspace;
  ht_loop_range (n, 16, is_double ? factors_double : factors_float, &work);
  ht_loop_range (n, 8, is_double ? gather_double : gather_float, &work);
  return TRUE;
}

static const HtOperator operators[] = {
  { .op_type = "LRN",
    .since_version = 1,
    .infer = lrn_infer,
    .forward = lrn_forward,
    .backward = lrn_backward,
    .backward_inputs = HT_OP_KEEPS (0),
    .backward_workspace = ht_backward_output_workspace },
};

void
ht_ops_register_lrn (void)
{
  HT_OPS_REGISTER (operators);
}
