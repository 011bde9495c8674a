/* SPDX-License-Identifier: MIT */
/* softmax (scale * Q K') V, written as two MatMul with Softmax in between, perhaps a scale before it and a Transpose
 * that makes K': one step. The nodes in front wait for the second MatMul, as V may be made after them. */
#include "exec/lower.h"

#include "base/thread-pool.h"
#include "graph/tensor-private.h"
#include "kernels/attention.h"
#include "ops/window.h"

#include <string.h>

typedef struct
{
  HtAttention attention;
  gsize slice;
} Step;

static gboolean
attention_forward (const HtExecCall *call, GError **error)
{
  const Step *self = call->step->data;

  ht_kernel_attention (&self->attention, ht_tensor_get_data (call->inputs[0]), ht_tensor_get_data (call->inputs[1]),
                       ht_tensor_get_data (call->inputs[2]), call->outputs[0]->data, call->workspace,
                       (guint)(call->step->workspace_size / self->slice));
  return TRUE;
}

static const HtExecKind attention_kind = { .name = "attention", .forward = attention_forward, .free = g_free };

typedef struct
{
  GPtrArray *nodes; /* HtNode; the end last */
  const char *q, *k, *v;
  gboolean transposed; /* k is K' */
  float scale;
} Pattern;

static HtNode *
get_producer (HtExecBuilder *builder, const char *tensor, const char *op_type)
{
  HtNode *node = ht_graph_get_producer (builder->request->graph, tensor);
  return node && ht_node_is_op (node, op_type) && ht_node_get_n_outputs (node) == 1 ? node : NULL;
}

static gboolean
is_over_rows (HtExecBuilder *builder, HtNode *softmax)
{
  gint64 dims[HT_TENSOR_MAX_DIMS];
  gint64 axis = ht_node_get_int (softmax, "axis", ht_graph_get_opset (builder->request->graph, "") < 13 ? 1 : -1);
  guint n_dims;

  return ht_exec_builder_get_float_dims (builder, ht_node_get_input (softmax, 0), dims, &n_dims)
         && (axis == -1 || axis == (gint64)n_dims - 1);
}

/* The last two axes change places. */
static gboolean
swaps_matrix (HtNode *transpose, guint rank)
{
  gsize n = 0;
  const gint64 *perm = ht_node_get_ints (transpose, "perm", &n);

  if (perm == NULL || n != rank || rank < 2)
    return FALSE;
  for (guint i = 0; i + 2 < rank; i++)
    if (perm[i] != (gint64)i)
      return FALSE;
  return perm[rank - 1] == (gint64)rank - 2 && perm[rank - 2] == (gint64)rank - 1;
}

/* The node that scales `tensor` by a number; NULL: none does. */
static HtNode *
read_scale (HtExecBuilder *builder, const char *tensor, const char **from, float *scale)
{
  HtNode *node = get_producer (builder, tensor, "Mul");
  gboolean divides = node == NULL;

  if (divides)
    node = get_producer (builder, tensor, "Div");
  if (node == NULL)
    return NULL;
  for (guint i = divides ? 1 : 0; i < 2; i++)
    {
      HtTensor *constant = ht_exec_builder_get_constant (builder, ht_node_get_input (node, i));
      if (constant == NULL || ht_tensor_get_data_type (constant) != HT_DATA_TYPE_FLOAT
          || ht_tensor_get_n_elements (constant) != 1)
        continue;
      float value = *(const float *)ht_tensor_get_data (constant);
      *from = ht_node_get_input (node, 1 - i);
      *scale = divides ? 1.0f / value : value;
      return node;
    }
  return NULL;
}

/* The attention that ends at this MatMul. */
static gboolean
find_pattern (HtExecBuilder *builder, HtNode *end, Pattern *found)
{
  g_autoptr (GPtrArray) nodes = g_ptr_array_new ();
  HtNode *softmax = get_producer (builder, ht_node_get_input (end, 0), "Softmax");
  gint64 dims[HT_TENSOR_MAX_DIMS];
  guint n_dims;

  if (softmax == NULL || !is_over_rows (builder, softmax))
    return FALSE;
  *found = (Pattern){ .scale = 1.0f, .v = ht_node_get_input (end, 1) };
  const char *scores = ht_node_get_input (softmax, 0);
  HtNode *scale = read_scale (builder, scores, &scores, &found->scale);
  HtNode *product = get_producer (builder, scores, "MatMul");
  if (product == NULL)
    return FALSE;
  found->q = ht_node_get_input (product, 0);
  found->k = ht_node_get_input (product, 1);
  HtNode *transpose = get_producer (builder, found->k, "Transpose");
  found->transposed = !(transpose && ht_exec_builder_get_n_uses (builder, found->k) == 1
                        && ht_exec_builder_get_float_dims (builder, found->k, dims, &n_dims)
                        && swaps_matrix (transpose, n_dims) && !ht_exec_builder_get_encoding (builder, found->k));
  if (!found->transposed)
    {
      g_ptr_array_add (nodes, transpose);
      found->k = ht_node_get_input (transpose, 0);
    }
  g_ptr_array_add (nodes, product);
  if (scale)
    g_ptr_array_add (nodes, scale);
  g_ptr_array_add (nodes, softmax);
  g_ptr_array_add (nodes, end);
  found->nodes = g_steal_pointer (&nodes);
  return TRUE;
}

/* Matrices of the same batch axes, without repetition. */
static gboolean
read_shapes (HtExecBuilder *builder, const Pattern *found, HtAttention *attention)
{
  gint64 q[HT_TENSOR_MAX_DIMS], k[HT_TENSOR_MAX_DIMS], v[HT_TENSOR_MAX_DIMS];
  guint n_q, n_k, n_v;

  if (!ht_exec_builder_get_float_dims (builder, found->q, q, &n_q)
      || !ht_exec_builder_get_float_dims (builder, found->k, k, &n_k)
      || !ht_exec_builder_get_float_dims (builder, found->v, v, &n_v) || n_q < 2 || n_q != n_k || n_q != n_v
      || memcmp (q, k, (n_q - 2) * sizeof *q) != 0 || memcmp (q, v, (n_q - 2) * sizeof *q) != 0)
    return FALSE;
  *attention = (HtAttention){ .n_batch = 1, .transposed = found->transposed, .scale = found->scale };
  for (guint i = 0; i + 2 < n_q; i++)
    attention->n_batch *= (gsize)q[i];
  attention->m = (gsize)q[n_q - 2];
  attention->d = attention->ldq = (gsize)q[n_q - 1];
  attention->n = (gsize)v[n_q - 2];
  attention->e = attention->ldv = attention->ldy = (gsize)v[n_q - 1];
  attention->ldk = (gsize)k[n_q - 1];
  attention->q_stride = attention->m * attention->d;
  attention->k_stride = attention->n * attention->d;
  attention->v_stride = attention->n * attention->e;
  attention->y_stride = attention->m * attention->e;
  return attention->n_batch > 0 && attention->m > 0 && attention->d > 0 && attention->n > 0 && attention->e > 0;
}

/* The MatMul that ends the attention whose first node this may be: after the Softmax. */
static HtNode *
find_end (HtExecBuilder *builder, HtNode *node)
{
  gboolean after_softmax = FALSE;

  for (guint i = 0; node && i < 5; i++)
    {
      if (after_softmax)
        return ht_node_is_op (node, "MatMul") ? node : NULL;
      after_softmax = ht_node_is_op (node, "Softmax");
      const char *output = ht_node_get_n_outputs (node) == 1 ? ht_node_get_output (node, 0) : "";
      node = ht_exec_builder_get_n_uses (builder, output) == 1 ? ht_exec_builder_get_use (builder, output, 0) : NULL;
    }
  return NULL;
}

static gboolean
add_attention (HtExecBuilder *builder, HtNode *end, const Pattern *found, GError **error)
{
  const char *const names[] = { found->q, found->k, found->v };
  Step *self = g_new0 (Step, 1);
  guint inputs[3];

  read_shapes (builder, found, &self->attention);
  self->slice = ht_attention_slice (&self->attention);
  for (guint i = 0; i < 3; i++)
    if (!ht_exec_builder_read (builder, end, names[i], HT_EXEC_LAYOUT_PLAIN, &inputs[i], error))
      {
        g_free (self);
        return FALSE;
      }
  gsize slice = self->slice;
  HtExecStep *step = ht_exec_builder_add_step (builder, end, &attention_kind, self, inputs, 3,
                                               ht_node_get_output (end, 0), HT_EXEC_LAYOUT_PLAIN);
  step->workspace_size = ht_window_workspace (slice, ht_thread_pool_get_size ());
  return TRUE;
}

gboolean
ht_exec_lower_attention (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error)
{
  g_autoptr (GPtrArray) nodes = NULL;
  HtAttention attention;
  Pattern found;
  gboolean is_matmul = ht_node_is_op (node, "MatMul");

  /* The nodes in front were put off. */
  if (is_matmul && builder->request->mode == HT_EXEC_FUSED
      && !ht_exec_builder_is_made (builder, ht_node_get_input (node, 0)) && find_pattern (builder, node, &found))
    {
      nodes = found.nodes;
      *taken = TRUE;
      return add_attention (builder, node, &found, error);
    }
  HtNode *end = builder->request->mode == HT_EXEC_FUSED ? find_end (builder, node) : NULL;
  if (end && find_pattern (builder, end, &found))
    {
      nodes = found.nodes;
      const char *const inputs[] = { found.q, found.k, found.v, NULL };
      if (g_ptr_array_find (nodes, node, NULL) && read_shapes (builder, &found, &attention)
          && ht_exec_builder_can_fuse (builder, nodes, inputs))
        {
          for (guint i = 0; i + 1 < nodes->len; i++)
            ht_exec_builder_take (builder, g_ptr_array_index (nodes, i));
          *taken = TRUE;
          return TRUE;
        }
    }
  return !is_matmul || ht_exec_lower_matmul (builder, node, taken, error);
}
