/* SPDX-License-Identifier: MIT */
/* Gemm and MatMul. */
#include "kernels/gemm.h"
#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/product.h"

#include <string.h>

#define TYPES (HT_TYPES_FLOAT | HT_TYPE_BIT (INT32) | HT_TYPE_BIT (INT64) | HT_TYPE_BIT (UINT32) | HT_TYPE_BIT (UINT64))

/* Products of other types are rare and small: plain loops. Integers wrap, as unsigned arithmetic does. */
#define DEFINE_PLAIN(name, type)                                                                                       \
  static void name (const type *a, gsize a_row, gsize a_column, const type *b, gsize b_row, gsize b_column, type *c,   \
                    gsize m, gsize n, gsize k)                                                                         \
  {                                                                                                                    \
    for (gsize i = 0; i < m; i++)                                                                                      \
      for (gsize j = 0; j < n; j++)                                                                                    \
        {                                                                                                              \
          type sum = 0;                                                                                                \
          for (gsize l = 0; l < k; l++)                                                                                \
            sum += a[i * a_row + l * a_column] * b[l * b_row + j * b_column];                                          \
          c[i * n + j] = sum;                                                                                          \
        }                                                                                                              \
  }
DEFINE_PLAIN (plain_double, double)
DEFINE_PLAIN (plain_uint32, guint32)
DEFINE_PLAIN (plain_uint64, guint64)

/* TRUE when the type was one of them. */
static gboolean
multiply_plain (HtDataType type, gconstpointer a, gsize a_row, gsize a_column, gconstpointer b, gsize b_row,
                gsize b_column, gpointer c, gsize m, gsize n, gsize k)
{
  switch (type)
    {
    case HT_DATA_TYPE_DOUBLE:
      plain_double (a, a_row, a_column, b, b_row, b_column, c, m, n, k);
      return TRUE;
    case HT_DATA_TYPE_INT32:
    case HT_DATA_TYPE_UINT32:
      plain_uint32 (a, a_row, a_column, b, b_row, b_column, c, m, n, k);
      return TRUE;
    case HT_DATA_TYPE_INT64:
    case HT_DATA_TYPE_UINT64:
      plain_uint64 (a, a_row, a_column, b, b_row, b_column, c, m, n, k);
      return TRUE;
    default:
      return FALSE;
    }
}

/* Gemm */

static gboolean
gemm_infer (HtInfer *infer, GError **error)
{
  gboolean transpose_a = ht_node_get_int (infer->node, "transA", 0) != 0;
  gboolean transpose_b = ht_node_get_int (infer->node, "transB", 0) != 0;
  HtDims a, b, c, out = { 0 };

  if (!ht_infer_check_arity (infer, 2, 3, error) || !ht_infer_check_type (infer, 0, TYPES, error)
      || !ht_infer_check_same_type (infer, 0, 1, error) || !ht_infer_check_same_type (infer, 0, 2, error)
      || !ht_infer_check_rank (infer, 0, 2, 2, error) || !ht_infer_check_rank (infer, 1, 2, 2, error)
      || !ht_infer_check_rank (infer, 2, 0, 2, error))
    return FALSE;
  gboolean has_a = ht_infer_read_dims (infer, 0, &a), has_b = ht_infer_read_dims (infer, 1, &b);
  if (has_a && has_b)
    {
      gint64 k_a = a.dim[transpose_a ? 0 : 1], k_b = b.dim[transpose_b ? 1 : 0];
      if (k_a >= 0 && k_b >= 0 && k_a != k_b)
        return ht_infer_fail (infer, error,
                              "A gives %" G_GINT64_FORMAT " values to each sum and B %" G_GINT64_FORMAT
                              ", they must be the same",
                              k_a, k_b);
    }
  ht_dims_append (&out, has_a ? a.dim[transpose_a] : -1, has_a ? a.symbol[transpose_a] : NULL);
  ht_dims_append (&out, has_b ? b.dim[!transpose_b] : -1, has_b ? b.symbol[!transpose_b] : NULL);
  if (ht_infer_read_dims (infer, 2, &c))
    for (guint i = 0; i < c.n; i++)
      {
        gint64 found = c.dim[i], expected = out.dim[2 - c.n + i];
        if (found > 1 && expected >= 0 && found != expected)
          return ht_infer_fail (infer, error,
                                "dimension %u of C is %" G_GINT64_FORMAT ", expected 1 or %" G_GINT64_FORMAT, i, found,
                                expected);
      }
  ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &out);
  return TRUE;
}

/* C may have fewer rows or columns, or be a scalar. Strides of 0 repeat it. */
static void
read_addend (HtTensor *c, gsize *row_stride, gsize *column_stride)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (c, &n_dims);
  gsize columns = n_dims >= 1 ? (gsize)dims[n_dims - 1] : 1;

  *column_stride = columns > 1 ? 1 : 0;
  *row_stride = n_dims == 2 && dims[0] > 1 ? columns : 0;
}

static void
gemm_float (const HtOpCall *call, const HtGemmShape *product, HtTensor *c)
{
  HtGemmShape shape = *product;
  float beta = (float)ht_node_get_float (call->node, "beta", 1.0);
  float *y = ht_tensor_get_writable_data (call->outputs[0]);

  if (c && beta != 0.0f)
    {
      const float *from = ht_tensor_get_data (c);
      gsize row_stride, column_stride;
      read_addend (c, &row_stride, &column_stride);
      for (gsize i = 0; i < shape.m; i++)
        for (gsize j = 0; j < shape.n; j++)
          y[i * shape.n + j] = beta * from[i * row_stride + j * column_stride];
      shape.beta = 1.0f;
    }
  shape.alpha = (float)ht_node_get_float (call->node, "alpha", 1.0);
  ht_kernel_gemm_batch (&shape, 1, ht_tensor_get_data (call->inputs[0]), NULL, ht_tensor_get_data (call->inputs[1]),
                        NULL, y, 0);
}

/* alpha * product + beta * C through double, which is exact for the integers that models hold. */
static void
gemm_scale (const HtOpCall *call, HtTensor *c, HtTensor *y, gsize m, gsize n)
{
  double alpha = ht_node_get_float (call->node, "alpha", 1.0), beta = ht_node_get_float (call->node, "beta", 1.0);
  HtDataType type = ht_tensor_get_data_type (y);
  gpointer data = ht_tensor_get_writable_data (y);
  gsize row_stride = 0, column_stride = 0;

  if (c)
    read_addend (c, &row_stride, &column_stride);
  for (gsize i = 0; i < m * n; i++)
    {
      double addend = c ? ht_tensor_get_double (c, i / n * row_stride + i % n * column_stride) : 0.0;
      double value = alpha * ht_tensor_get_double (y, i) + (c ? beta * addend : 0.0);
      if (type == HT_DATA_TYPE_DOUBLE)
        ((double *)data)[i] = value;
      else if (type == HT_DATA_TYPE_INT32 || type == HT_DATA_TYPE_UINT32)
        ((guint32 *)data)[i] = (guint32)(gint64)value;
      else
        ((gint64 *)data)[i] = (gint64)value;
    }
}

static gboolean
gemm_forward (const HtOpCall *call, GError **error)
{
  HtTensor *a = call->inputs[0], *b = call->inputs[1], *y = call->outputs[0];
  HtTensor *c = call->n_inputs > 2 ? call->inputs[2] : NULL;
  gboolean transpose_a = ht_node_get_int (call->node, "transA", 0) != 0;
  gboolean transpose_b = ht_node_get_int (call->node, "transB", 0) != 0;

  if (ht_op_is_half (call))
    return ht_op_widen (call, gemm_forward, error);
  HtGemmShape shape = {
    .transpose_a = transpose_a,
    .transpose_b = transpose_b,
    .m = (gsize)ht_tensor_get_dim (y, 0),
    .n = (gsize)ht_tensor_get_dim (y, 1),
    .k = (gsize)ht_tensor_get_dim (a, transpose_a ? 0 : 1),
    .lda = (gsize)ht_tensor_get_dim (a, 1),
    .ldb = (gsize)ht_tensor_get_dim (b, 1),
    .ldc = (gsize)ht_tensor_get_dim (y, 1),
    .alpha = 1.0f,
  };
  if (!ht_kernel_gemm_fits (&shape))
    return ht_op_fail (call, error, "its matrices have more than %d rows or columns", G_MAXINT);
  if (ht_tensor_get_data_type (a) == HT_DATA_TYPE_FLOAT)
    {
      gemm_float (call, &shape, c);
      return TRUE;
    }
  if (!multiply_plain (ht_tensor_get_data_type (a), ht_tensor_get_data (a), transpose_a ? 1 : shape.lda,
                       transpose_a ? shape.lda : 1, ht_tensor_get_data (b), transpose_b ? 1 : shape.ldb,
                       transpose_b ? shape.ldb : 1, ht_tensor_get_writable_data (y), shape.m, shape.n, shape.k))
    return ht_op_fail_type (call, ht_tensor_get_data_type (a), error);
  gemm_scale (call, c, y, shape.m, shape.n);
  return TRUE;
}

/* MatMul */

static gboolean
matmul_infer (HtInfer *infer, GError **error)
{
  return ht_infer_check_arity (infer, 2, 2, error) && ht_infer_check_type (infer, 0, TYPES, error)
         && ht_infer_check_same_type (infer, 0, 1, error)
         && ht_infer_product (infer, 0, 1, ht_infer_get_type (infer, 0), error);
}

static gboolean
matmul_forward (const HtOpCall *call, GError **error)
{
  HtDataType type = ht_tensor_get_data_type (call->inputs[0]);
  HtProduct p;

  if (ht_op_is_half (call))
    return ht_op_widen (call, matmul_forward, error);
  ht_product_read (call->inputs[0], call->inputs[1], &p);
  if (ht_tensor_get_n_elements (call->outputs[0]) == 0)
    return TRUE;
  g_autofree gsize *a_offsets = ht_product_left_offsets (&p);
  g_autofree gsize *b_offsets = ht_product_right_offsets (&p);
  HtGemmShape shape = { .m = p.m, .n = p.n, .k = p.k, .lda = p.k, .ldb = p.n, .ldc = p.n, .alpha = 1.0f };
  gpointer y = ht_tensor_get_writable_data (call->outputs[0]);
  const char *a = ht_tensor_get_data (call->inputs[0]), *b = ht_tensor_get_data (call->inputs[1]);
  if (!ht_kernel_gemm_fits (&shape))
    return ht_op_fail (call, error, "its matrices have more than %d rows or columns", G_MAXINT);
  if (type == HT_DATA_TYPE_FLOAT)
    {
      ht_kernel_gemm_batch (&shape, p.n_batch, (const float *)(gconstpointer)a, a_offsets,
                            (const float *)(gconstpointer)b, b_offsets, y, p.m * p.n);
      return TRUE;
    }
  gsize size = ht_element_size (type);
  for (gsize i = 0; i < p.n_batch; i++)
    if (!multiply_plain (type, a + a_offsets[i] * size, p.k, 1, b + b_offsets[i] * size, p.n, 1,
                         (char *)y + i * p.m * p.n * size, p.m, p.n, p.k))
      return ht_op_fail_type (call, type, error);
  return TRUE;
}

static const HtOperator operators[] = {
  { .op_type = "Gemm", .since_version = 7, .infer = gemm_infer, .forward = gemm_forward,
    .backward = ht_op_gemm_backward,
    .backward_inputs = HT_OP_KEEPS (0) | HT_OP_KEEPS (1) },
  { .op_type = "MatMul", .since_version = 1, .infer = matmul_infer, .forward = matmul_forward,
    .backward = ht_op_matmul_backward,
    .backward_inputs = HT_OP_KEEPS (0) | HT_OP_KEEPS (1) },
};

void
ht_ops_register_gemm (void)
{
  HT_OPS_REGISTER (operators);
}
