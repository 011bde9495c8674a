/* SPDX-License-Identifier: MIT */
/* LRN: local response normalization across channels. */
#include "kernels/lrn.h"
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

static gboolean
lrn_forward (const HtOpCall *call, GError **error)
{
  HtTensor *x = call->inputs[0], *y = call->outputs[0];
  guint rank;
  const gint64 *dims = ht_tensor_get_dims (x, &rank);
  gint64 size = ht_node_get_int (call->node, "size", 1);
  double alpha = ht_node_get_float (call->node, "alpha", 1e-4) / (double)size;
  double beta = ht_node_get_float (call->node, "beta", 0.75), bias = ht_node_get_float (call->node, "bias", 1.0);

  if (ht_op_is_half (call))
    return ht_op_widen (call, lrn_forward, error);
  if (ht_tensor_get_n_elements (x) == 0)
    return TRUE;
  HtLrn lrn = { (gsize)dims[0],    (gsize)dims[1], 1,           (gsize)((size - 1) / 2),
                (gsize)(size / 2), (float)alpha,   (float)beta, (float)bias };
  for (guint i = 2; i < rank; i++)
    lrn.inner *= (gsize)dims[i];
  if (ht_tensor_get_data_type (x) == HT_DATA_TYPE_DOUBLE)
    lrn_double (&lrn, alpha, beta, bias, ht_tensor_get_data (x), ht_tensor_get_writable_data (y));
  else
    ht_kernel_lrn (&lrn, ht_tensor_get_data (x), ht_tensor_get_writable_data (y));
  return TRUE;
}

static const HtOperator operators[] = {
  { .op_type = "LRN", .since_version = 1, .infer = lrn_infer, .forward = lrn_forward },
};

void
ht_ops_register_lrn (void)
{
  HT_OPS_REGISTER (operators);
}
