/* SPDX-License-Identifier: MIT */
/* Gemm and MatMul whose right matrix is constant, with what follows them in their epilogue. All plain. */
#include "exec/exec-packed.h"
#include "exec/executor-private.h"
#include "exec/lower.h"

#include "graph/tensor-private.h"
#include "kernels/gemm.h"
#include "kernels/isa.h"

#include <string.h>

/* A packed form of larger matrices would cost more memory than it is worth: a few rows wait for memory anyway, and many
 * rows pay for the packing that OpenBLAS does in each run. In floats. */
#define MAX_PACKED ((gsize)1 << 20)

typedef struct
{
  gsize m, n, k;
  gboolean transpose;
  gboolean is_packed;
  HtExecParam matrix;
  const float *packed, *plain; /* one of them; the executor's */
  HtExecChain *chain;
} Product;

static void
product_free (gpointer data)
{
  Product *self = data;
  ht_exec_param_clear (&self->matrix);
  ht_exec_chain_free (self->chain);
  g_free (self);
}

static void
pack (gconstpointer how, const float *matrix, float *packed)
{
  const Product *self = how;
  ht_packed_gemm_pack (self->transpose, self->k, self->n, matrix, self->transpose ? self->k : self->n, packed);
}

static gsize
product_constant_size (const HtExecStep *step)
{
  const Product *self = step->data;
  return self->is_packed ? sizeof (float) * ht_packed_gemm_floats (self->k, self->n) : 0;
}

static gboolean
product_prepare (HtExecutor *executor, HtExecPlan *plan, HtExecStep *step, GError **error)
{
  Product *self = step->data;

  if (self->is_packed)
    {
      self->packed = ht_executor_get_packed (executor, &self->matrix, self->transpose ? "gemm transposed" : "gemm",
                                             ht_packed_gemm_floats (self->k, self->n), pack, self, error);
      return self->packed && ht_exec_chain_prepare (self->chain, executor, error);
    }
  HtTensor *matrix = ht_executor_get_quantized_constant (executor, self->matrix.name, self->matrix.tensor, error);
  if (matrix == NULL)
    return FALSE;
  self->plain = ht_tensor_get_data (matrix);
  return ht_exec_chain_prepare (self->chain, executor, error);
}

static gboolean
product_forward (const HtExecCall *call, GError **error)
{
  const Product *self = call->step->data;
  HtEpilogue epilogue = ht_exec_chain_get_epilogue (self->chain, call->step->n_inputs > 1 ? call->inputs[1] : NULL);
  const float *x = ht_tensor_get_data (call->inputs[0]);
  float *y = call->outputs[0]->data;

  if (self->is_packed)
    {
      ht_packed_gemm (self->m, self->n, self->k, x, self->k, self->packed, &epilogue, y, self->n);
    }
  else
    {
      HtGemmShape shape = { .transpose_b = self->transpose,
                            .m = self->m,
                            .n = self->n,
                            .k = self->k,
                            .lda = self->k,
                            .ldb = self->transpose ? self->k : self->n,
                            .ldc = self->n,
                            .alpha = 1.0f };
      ht_kernel_gemm_batch (&shape, 1, x, NULL, self->plain, NULL, y, 0);
      /* Rows of whole blocks are blocked images of one position. */
      ht_blocked_affine (self->m, self->n, 1, y, &epilogue, y);
    }
  ht_exec_chain_finish (self->chain, y, self->m * self->n);
  return TRUE;
}

static const HtExecKind product_kind = { .name = "gemm",
                                         .forward = product_forward,
                                         .prepare = product_prepare,
                                         .constant_size = product_constant_size,
                                         .free = product_free,
                                         .quantizes = TRUE };

/* Rows of the left side against a constant matrix. */
static gboolean
read_product (HtExecBuilder *builder, HtNode *node, Product *self)
{
  HtTensor *matrix = ht_exec_builder_get_constant (builder, ht_node_get_input (node, 1));
  gint64 dims[HT_TENSOR_MAX_DIMS];
  guint n_dims, n_matrix;

  if (matrix == NULL || ht_tensor_get_data_type (matrix) != HT_DATA_TYPE_FLOAT
      || !ht_exec_builder_get_float_dims (builder, ht_node_get_input (node, 0), dims, &n_dims) || n_dims < 2)
    return FALSE;
  const gint64 *matrix_dims = ht_tensor_get_dims (matrix, &n_matrix);
  if (n_matrix != 2)
    return FALSE;
  self->k = (gsize)matrix_dims[self->transpose ? 1 : 0];
  self->n = (gsize)matrix_dims[self->transpose ? 0 : 1];
  self->m = 1;
  for (guint i = 0; i + 1 < n_dims; i++)
    self->m *= (gsize)dims[i];
  return self->m > 0 && self->n > 0 && self->k > 0 && (gsize)dims[n_dims - 1] == self->k;
}

static gboolean
add_product (HtExecBuilder *builder, HtNode *node, Product *self, HtExecChain *chain, gboolean *taken, GError **error)
{
  guint inputs[2], n_inputs = 1;
  Product *product = g_memdup2 (self, sizeof *self);

  product->chain = chain;
  product->is_packed = self->n * self->k <= MAX_PACKED || self->n % ht_isa_get_block () != 0;
  ht_exec_param_init (&product->matrix, builder, ht_node_get_input (node, 1));
  ht_exec_chain_extend (chain, builder);
  if (!ht_exec_builder_read (builder, node, ht_node_get_input (node, 0), HT_EXEC_LAYOUT_PLAIN, &inputs[0], error)
      || (chain->residual
          && !ht_exec_builder_read (builder, node, chain->residual, HT_EXEC_LAYOUT_PLAIN, &inputs[n_inputs++], error)))
    {
      product_free (product);
      return FALSE;
    }
  HtExecStep *step = ht_exec_builder_add_step (builder, node, &product_kind, product, inputs, n_inputs, chain->output,
                                               HT_EXEC_LAYOUT_PLAIN);
  step->in_place = n_inputs > 1 && product->is_packed ? 2 : 0;
  *taken = TRUE;
  return TRUE;
}

gboolean
ht_exec_lower_gemm (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error)
{
  Product product = { .transpose = ht_node_get_int (node, "transB", 0) != 0 };
  const char *shift = ht_node_get_n_inputs (node) > 2 ? ht_node_get_input (node, 2) : "";

  if (ht_node_get_int (node, "transA", 0) != 0 || ht_node_get_float (node, "alpha", 1.0) != 1.0
      || (shift[0] && ht_node_get_float (node, "beta", 1.0) != 1.0) || !read_product (builder, node, &product))
    return TRUE;
  g_autoptr (HtExecChain) chain
      = ht_exec_chain_new (builder, ht_node_get_output (node, 0), HT_EXEC_LAYOUT_PLAIN, 1, HT_CHAIN_ALL);
  if (chain == NULL || (shift[0] && !ht_exec_chain_add_shift (chain, builder, shift)))
    return TRUE;
  return add_product (builder, node, &product, g_steal_pointer (&chain), taken, error);
}

gboolean
ht_exec_lower_matmul (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error)
{
  Product product = { 0 };
  gint64 dims[HT_TENSOR_MAX_DIMS];
  guint n_dims;

  if (!read_product (builder, node, &product)
      || !ht_exec_builder_get_float_dims (builder, ht_node_get_output (node, 0), dims, &n_dims))
    return TRUE;
  HtExecChain *chain
      = ht_exec_chain_new (builder, ht_node_get_output (node, 0), HT_EXEC_LAYOUT_PLAIN, n_dims - 1, HT_CHAIN_ALL);
  return chain == NULL || add_product (builder, node, &product, chain, taken, error);
}
