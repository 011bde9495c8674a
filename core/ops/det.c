/* SPDX-License-Identifier: MIT */
/* Det: determinants of square matrices. */
#include "graph/tensor-private.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <math.h>

static gboolean
det_infer (HtInfer *infer, GError **error)
{
  HtDims in;

  if (!ht_infer_check_arity (infer, 1, 1, error) || !ht_infer_check_type (infer, 0, HT_TYPES_FLOAT, error)
      || !ht_infer_check_rank (infer, 0, 2, HT_TENSOR_MAX_DIMS, error))
    return FALSE;
  infer->outputs[0].type = ht_infer_get_type (infer, 0);
  if (!ht_infer_read_dims (infer, 0, &in))
    return TRUE;
  gint64 rows = in.dim[in.n - 2], columns = in.dim[in.n - 1];
  if (rows >= 0 && columns >= 0 && rows != columns)
    return ht_infer_fail (infer, error,
                          "its matrices have %" G_GINT64_FORMAT " rows and %" G_GINT64_FORMAT
                          " columns, they must be the same",
                          rows, columns);
  in.n -= 2;
  ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &in);
  return TRUE;
}

/* Elimination with the largest pivot of each column; the matrix is used up. */
static double
determinant (double *a, gsize n)
{
  double result = 1.0;

  for (gsize k = 0; k < n; k++)
    {
      gsize pivot = k;
      for (gsize i = k + 1; i < n; i++)
        if (fabs (a[i * n + k]) > fabs (a[pivot * n + k]))
          pivot = i;
      if (a[pivot * n + k] == 0.0)
        return 0.0;
      for (gsize j = k; pivot != k && j < n; j++)
        {
          double swapped = a[k * n + j];
          a[k * n + j] = a[pivot * n + j];
          a[pivot * n + j] = swapped;
        }
      result *= pivot == k ? a[k * n + k] : -a[k * n + k];
      for (gsize i = k + 1; i < n; i++)
        {
          double factor = a[i * n + k] / a[k * n + k];
          for (gsize j = k + 1; j < n; j++)
            a[i * n + j] -= factor * a[k * n + j];
        }
    }
  return result;
}

static gboolean
det_forward (const HtOpCall *call, GError **error)
{
  HtTensor *out = call->outputs[0];
  gsize n = (gsize)ht_tensor_get_dim (call->inputs[0], ht_tensor_get_n_dims (call->inputs[0]) - 1);
  g_autoptr (HtTensor) wide = ht_tensor_cast (call->inputs[0], HT_DATA_TYPE_DOUBLE, error);

  if (wide == NULL)
    return FALSE;
  g_autofree double *matrix = g_new (double, MAX (n * n, 1));
  const double *from = ht_tensor_get_data (wide);
  for (gsize i = 0; i < ht_tensor_get_n_elements (out); i++, from += n * n)
    {
      for (gsize k = 0; k < n * n; k++)
        matrix[k] = from[k];
      ht_scalar_store (ht_tensor_get_data_type (out), ht_tensor_get_writable_data (out), i, determinant (matrix, n));
    }
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "Det", 11, HT_OP_NONE, det_infer, det_forward },
};

void
ht_ops_register_det (void)
{
  HT_OPS_REGISTER (operators);
}
