/* SPDX-License-Identifier: MIT */
/* A layer normalization that is written out as nodes becomes one step. */
#include "exec/exec-chain.h"
#include "exec/executor-private.h"
#include "exec/lower.h"

#include "graph/tensor-private.h"
#include "graph/written-out.h"
#include "kernels/normalize.h"

typedef struct
{
  HtRowNorm norm;
  HtExecParam gain, bias; /* name NULL: none */
  float *factor, *term;   /* of n elements */
} LayerNorm;

static void
layer_norm_free (gpointer data)
{
  LayerNorm *self = data;
  ht_exec_param_clear (&self->gain);
  ht_exec_param_clear (&self->bias);
  g_free (self->factor);
  g_free (self->term);
  g_free (self);
}

static gboolean
fill (HtExecutor *executor, const HtExecParam *param, float absent, gsize n, float *values, GError **error)
{
  HtTensor *tensor
      = param->name ? ht_executor_get_quantized_constant (executor, param->name, param->tensor, error) : NULL;

  if (param->name && tensor == NULL)
    return FALSE;
  gsize stride = tensor && ht_tensor_get_n_elements (tensor) > 1;
  for (gsize i = 0; i < n; i++)
    values[i] = tensor ? ((const float *)ht_tensor_get_data (tensor))[i * stride] : absent;
  return TRUE;
}

static gboolean
layer_norm_prepare (HtExecutor *executor, HtExecPlan *plan, HtExecStep *step, GError **error)
{
  LayerNorm *self = step->data;

  return fill (executor, &self->gain, 1.0f, self->norm.n, self->factor, error)
         && fill (executor, &self->bias, 0.0f, self->norm.n, self->term, error);
}

static gboolean
layer_norm_forward (const HtExecCall *call, GError **error)
{
  const LayerNorm *self = call->step->data;

  ht_kernel_row_norm (&self->norm, ht_tensor_get_data (call->inputs[0]), call->outputs[0]->data);
  return TRUE;
}

static gsize
layer_norm_constant_size (const HtExecStep *step)
{
  return 2 * sizeof (float) * ((const LayerNorm *)step->data)->norm.n;
}

static const HtExecKind layer_norm_kind = { .name = "layer norm",
                                            .forward = layer_norm_forward,
                                            .prepare = layer_norm_prepare,
                                            .constant_size = layer_norm_constant_size,
                                            .free = layer_norm_free };

/* Over the last axis alone, which stays as 1. The axes are an attribute before opset 18 and an input since. */
static gboolean
is_row_mean (HtExecBuilder *builder, HtNode *node, guint rank)
{
  gsize n = 0;
  const gint64 *axes = ht_node_get_ints (node, "axes", &n);

  if (ht_node_get_int (node, "keepdims", 1) == 0)
    return FALSE;
  if (ht_node_get_n_inputs (node) > 1 && ht_node_get_input (node, 1)[0])
    {
      HtTensor *constant = ht_exec_builder_get_constant (builder, ht_node_get_input (node, 1));
      if (constant == NULL || ht_tensor_get_data_type (constant) != HT_DATA_TYPE_INT64)
        return FALSE;
      axes = ht_tensor_get_data (constant);
      n = ht_tensor_get_n_elements (constant);
    }
  return axes && n == 1 && (axes[0] == -1 || axes[0] == (gint64)rank - 1);
}

/* One element, or one for each of the row's. */
static gboolean
fits_row (HtExecBuilder *builder, const char *name, gsize n, guint rank)
{
  HtTensor *constant = ht_exec_builder_get_constant (builder, name);
  guint n_dims;

  if (constant == NULL || ht_tensor_get_data_type (constant) != HT_DATA_TYPE_FLOAT)
    return FALSE;
  const gint64 *dims = ht_tensor_get_dims (constant, &n_dims);
  gsize n_elements = ht_tensor_get_n_elements (constant);
  return n_dims <= rank && (n_elements == 1 || (n_elements == n && (gsize)dims[n_dims - 1] == n));
}

static gboolean
can_lower (HtExecBuilder *builder, const HtLayerNorm *found, gint64 *dims, guint *n_dims)
{
  const char *const inputs[]
      = { found->x, found->gain ? found->gain : found->bias, found->gain ? found->bias : NULL, NULL };

  if (!ht_exec_builder_get_float_dims (builder, found->x, dims, n_dims) || *n_dims == 0 || dims[*n_dims - 1] < 1)
    return FALSE;
  gsize n = (gsize)dims[*n_dims - 1];
  return is_row_mean (builder, found->means[0], *n_dims) && is_row_mean (builder, found->means[1], *n_dims)
         && fits_row (builder, found->epsilon, 1, *n_dims)
         && (found->gain == NULL || fits_row (builder, found->gain, n, *n_dims))
         && (found->bias == NULL || fits_row (builder, found->bias, n, *n_dims))
         && ht_exec_builder_can_fuse (builder, found->nodes, inputs);
}

gboolean
ht_exec_lower_layer_norm (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error)
{
  g_autoptr (GPtrArray) nodes = NULL;
  gint64 dims[HT_TENSOR_MAX_DIMS];
  HtLayerNorm found;
  guint n_dims, input;

  if (builder->request->mode != HT_EXEC_FUSED || !ht_layer_norm_find (builder->request->graph, node, &found))
    return ht_exec_lower_reduce_mean (builder, node, taken, error);
  nodes = found.nodes;
  if (!can_lower (builder, &found, dims, &n_dims))
    return ht_exec_lower_reduce_mean (builder, node, taken, error);
  if (!ht_exec_builder_read (builder, node, found.x, HT_EXEC_LAYOUT_PLAIN, &input, error))
    return FALSE;
  LayerNorm *self = g_new0 (LayerNorm, 1);
  self->norm.n = (gsize)dims[n_dims - 1];
  self->norm.n_rows = 1;
  for (guint i = 0; i + 1 < n_dims; i++)
    self->norm.n_rows *= (gsize)dims[i];
  self->norm.epsilon = *(const float *)ht_tensor_get_data (ht_exec_builder_get_constant (builder, found.epsilon));
  if (found.gain)
    ht_exec_param_init (&self->gain, builder, found.gain);
  if (found.bias)
    ht_exec_param_init (&self->bias, builder, found.bias);
  self->factor = g_new (float, self->norm.n);
  self->term = g_new (float, self->norm.n);
  self->norm.factor = self->factor;
  self->norm.term = self->term;
  self->norm.factor_rows = 1;
  self->norm.factor_count = self->norm.n;
  for (guint i = 0; i < nodes->len; i++)
    ht_exec_builder_take (builder, g_ptr_array_index (nodes, i));
  HtExecStep *step = ht_exec_builder_add_step (builder, node, &layer_norm_kind, self, &input, 1,
                                               ht_node_get_output (g_ptr_array_index (nodes, nodes->len - 1), 0),
                                               HT_EXEC_LAYOUT_PLAIN);
  step->in_place = 1;
  *taken = TRUE;
  return TRUE;
}
