/* SPDX-License-Identifier: MIT */
/* Gradients of Gemm and MatMul. */
#include "kernels/gemm.h"
#include "ops/backward.h"
#include "ops/product.h"

static gconstpointer
offset (gconstpointer data, gsize elements, gboolean is_double)
{
  return (const char *)data + elements * (is_double ? sizeof (double) : sizeof (float));
}

static void
multiply (gboolean is_double, const HtGemmShape *shape, gconstpointer a, gconstpointer b, gpointer c)
{
  if (is_double)
    ht_kernel_gemm_double (shape, a, b, c);
  else
    ht_kernel_gemm_batch (shape, 1, a, NULL, b, NULL, c, 0);
}

/* Gemm: Y = alpha op(A) op(B) + beta C */

static void
gemm_operand (const HtOpCall *call, gboolean is_double, guint input, HtTensor *dy, HtTensor *gradient)
{
  gboolean transposed[2]
      = { ht_node_get_int (call->node, "transA", 0) != 0, ht_node_get_int (call->node, "transB", 0) != 0 };
  HtTensor *other = call->inputs[1 - input];
  gsize rows = (gsize)ht_tensor_get_dim (gradient, 0), columns = (gsize)ht_tensor_get_dim (gradient, 1);
  gsize y_columns = (gsize)ht_tensor_get_dim (dy, 1), other_columns = (gsize)ht_tensor_get_dim (other, 1);
  /* dA = dY op(B)' or, transposed, op(B) dY'; dB = op(A)' dY or dY' op(A). */
  gboolean dy_first = (input == 0) != transposed[input];
  HtGemmShape shape = {
    .m = rows,
    .n = columns,
    .k = (gsize)ht_tensor_get_dim (dy, input == 0 ? 1 : 0),
    .ldc = columns,
    .lda = dy_first ? y_columns : other_columns,
    .ldb = dy_first ? other_columns : y_columns,
    .alpha = (float)ht_node_get_float (call->node, "alpha", 1.0),
  };
  if (dy_first)
    {
      shape.transpose_a = input == 1;
      shape.transpose_b = input == 0 ? !transposed[1] : transposed[0];
    }
  else
    {
      shape.transpose_a = input == 0 ? transposed[1] : !transposed[0];
      shape.transpose_b = input == 0;
    }
  HtTensor *left = dy_first ? dy : other, *right = dy_first ? other : dy;
  multiply (is_double, &shape, ht_tensor_get_data (left), ht_tensor_get_data (right),
            ht_tensor_get_writable_data (gradient));
}

gboolean
ht_op_gemm_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                     GError **error)
{
  gboolean is_double;
  HtTensor *addend = ht_backward_get (input_gradients, call->n_inputs, 2);

  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  for (guint i = 0; i < 2; i++)
    if (input_gradients[i])
      gemm_operand (call, is_double, i, output_gradients[0], input_gradients[i]);
  if (addend)
    ht_backward_sum_to (addend, output_gradients[0], ht_node_get_float (call->node, "beta", 1.0));
  return TRUE;
}

/* MatMul */

/* A matrix that several products share gets the sum of theirs, in their order. */
static void
matmul_operand (const HtProduct *p, gboolean is_double, guint input, HtTensor *const *operands, HtTensor *dy,
                HtTensor *gradient)
{
  gsize matrix = input == 0 ? p->m * p->k : p->k * p->n;
  gboolean is_shared = ht_tensor_get_n_elements (gradient) != matrix * p->n_batch;
  HtTensor *other = operands[1 - input];
  /* dA = dY B', dB = A' dY */
  HtGemmShape shape = {
    .transpose_a = input == 1,
    .transpose_b = input == 0,
    .m = input == 0 ? p->m : p->k,
    .n = input == 0 ? p->k : p->n,
    .k = input == 0 ? p->n : p->m,
    .lda = input == 0 ? p->n : p->k,
    .ldb = p->n,
    .ldc = input == 0 ? p->k : p->n,
    .alpha = 1.0f,
    .beta = is_shared ? 1.0f : 0.0f,
  };
  g_autofree gsize *a_offsets = ht_product_left_offsets (p);
  g_autofree gsize *b_offsets = ht_product_right_offsets (p);
  g_autofree gsize *y_offsets = g_new (gsize, MAX (p->n_batch, 1));
  const gsize *to = input == 0 ? a_offsets : b_offsets, *from = input == 0 ? b_offsets : a_offsets;
  const gsize *left = input == 0 ? y_offsets : from, *right = input == 0 ? from : y_offsets;
  gconstpointer a = ht_tensor_get_data (input == 0 ? dy : other), b = ht_tensor_get_data (input == 0 ? other : dy);
  gpointer c = ht_tensor_get_writable_data (gradient);

  for (gsize i = 0; i < p->n_batch; i++)
    y_offsets[i] = i * p->m * p->n;
  if (is_shared)
    ht_backward_zero (gradient);
  else if (!is_double)
    {
      ht_kernel_gemm_batch (&shape, p->n_batch, a, left, b, right, c, matrix);
      return;
    }
  for (gsize i = 0; i < p->n_batch; i++)
    multiply (is_double, &shape, offset (a, left[i], is_double), offset (b, right[i], is_double),
              (gpointer)offset (c, to[i], is_double));
}

gboolean
ht_op_matmul_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                       GError **error)
{
  gboolean is_double;
  HtProduct p;

  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  ht_product_read (call->inputs[0], call->inputs[1], &p);
  for (guint i = 0; i < 2; i++)
    if (input_gradients[i] && ht_tensor_get_n_elements (output_gradients[0]) == 0)
      ht_backward_zero (input_gradients[i]);
    else if (input_gradients[i])
      matmul_operand (&p, is_double, i, call->inputs, output_gradients[0], input_gradients[i]);
  return TRUE;
}
