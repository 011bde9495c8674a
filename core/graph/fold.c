/* SPDX-License-Identifier: MIT */
#include "graph/fold.h"

#include "graph/tensor-private.h"

#include <halftone/error.h>

#include <string.h>

#define MAX_MOVED_ELEMENTS 4096
#define MAX_WORKSPACE      ((gsize) 4 << 20)

static gboolean
has_subgraph (HtNode *node)
{
  g_auto (GStrv) names = ht_node_list_attributes (node);
  for (gsize i = 0; names && names[i]; i++)
    {
      HtAttributeType type = ht_node_get_attribute_type (node, names[i]);
      if (type == HT_ATTRIBUTE_GRAPH || type == HT_ATTRIBUTE_GRAPHS)
        return TRUE;
    }
  return FALSE;
}

/* The output tensor of a call, from the inferred type and shape. NULL: unknown or above the limit. */
static HtTensor *
allocate_output (const HtInferValue *value, gsize *budget)
{
  gint64 dims[HT_TENSOR_MAX_DIMS];
  gsize n_elements = 1;

  if (value->type == HT_DATA_TYPE_UNDEFINED || value->type == HT_DATA_TYPE_STRING || value->shape == NULL
      || !ht_shape_is_static (value->shape) || ht_shape_get_n_dims (value->shape) > HT_TENSOR_MAX_DIMS)
    return NULL;
  guint n_dims = ht_shape_get_n_dims (value->shape);
  for (guint i = 0; i < n_dims; i++)
    {
      dims[i] = ht_shape_get_dim (value->shape, i);
      if (dims[i] < 0 || !g_size_checked_mul (&n_elements, n_elements, (gsize) dims[i]))
        return NULL;
    }
  gsize bytes;
  if (!g_size_checked_mul (&bytes, n_elements, MAX (ht_data_type_get_bits (value->type) / 8, 1)) || bytes > *budget)
    return NULL;
  *budget -= bytes;
  return ht_tensor_new (value->type, dims, n_dims, NULL);
}

/* Calls forward. `outputs` receives new references for the wanted outputs. */
static gboolean
run_node (const HtOperator *op, HtInfer *infer, HtTensor *const *inputs, HtTensor **outputs, gsize max_bytes)
{
  gsize budget = max_bytes;
  gsize scratch = op->workspace ? op->workspace (infer) : 0;

  if (scratch > MIN (max_bytes, MAX_WORKSPACE))
    return FALSE;
  for (guint i = 0; i < infer->n_outputs; i++)
    {
      if (*ht_node_get_output (infer->node, i) == '\0' || (op->flags & HT_OP_MAKES_OUTPUTS))
        continue;
      outputs[i] = allocate_output (&infer->outputs[i], &budget);
      if (outputs[i] == NULL)
        return FALSE;
    }
  gpointer workspace = scratch ? g_aligned_alloc (1, (scratch + 63) / 64 * 64, 64) : NULL;
  HtOpCall call = {
    .node = infer->node,
    .opset = infer->opset,
    .n_inputs = infer->n_inputs,
    .inputs = inputs,
    .n_outputs = infer->n_outputs,
    .outputs = outputs,
    .workspace = workspace,
    .workspace_size = scratch,
  };
  g_autoptr (GError) failure = NULL;
  gboolean done = op->forward (&call, &failure);
  g_aligned_free (workspace);
  return done;
}

static void
clear_tensors (HtTensor **tensors, guint n)
{
  for (guint i = 0; i < n; i++)
    g_clear_pointer (&tensors[i], ht_tensor_unref);
  g_free (tensors);
}

void
ht_fold_normalize (HtInferValue *value)
{
  if (value->constant == NULL && value->elements)
    {
      gboolean all = value->type != HT_DATA_TYPE_UNDEFINED && value->shape && ht_shape_is_static (value->shape);
      for (gsize i = 0; all && i < value->n_elements; i++)
        all = value->elements[i].known;
      if (all)
        {
          g_autofree gint64 *ints = g_new (gint64, MAX (value->n_elements, 1));
          gint64 dim = (gint64) value->n_elements;
          for (gsize i = 0; i < value->n_elements; i++)
            ints[i] = value->elements[i].value;
          g_autoptr (GBytes) bytes = g_bytes_new (ints, value->n_elements * sizeof (gint64));
          g_autoptr (HtTensor) wide = ht_tensor_new_from_bytes (HT_DATA_TYPE_INT64, &dim,
                                                                ht_shape_get_n_dims (value->shape), bytes, NULL);
          value->constant = wide ? ht_tensor_cast (wide, value->type, NULL) : NULL;
        }
    }
  if (value->constant == NULL)
    return;
  g_clear_pointer (&value->elements, g_free);
  value->n_elements = 0;
  value->type = ht_tensor_get_data_type (value->constant);
  g_clear_pointer (&value->shape, ht_shape_unref);
  value->shape = ht_shape_new (ht_tensor_get_dims (value->constant, NULL), NULL,
                               ht_tensor_get_n_dims (value->constant));
}

gboolean
ht_fold_node (const HtOperator *op, HtInfer *infer, gsize max_bytes)
{
  gsize read = 0;

  if (op->forward == NULL || (op->flags & HT_OP_NON_DETERMINISTIC) || infer->n_outputs == 0)
    return FALSE;
  for (guint i = 0; i < infer->n_outputs; i++)
    if (ht_data_type_is_list (infer->outputs[i].type))
      return FALSE; /* no initializer holds one */
  for (guint i = 0; i < infer->n_inputs; i++)
    {
      if (infer->inputs[i] && infer->inputs[i]->constant == NULL)
        return FALSE;
      if (infer->inputs[i])
        read += ht_tensor_get_size (infer->inputs[i]->constant);
      if (read > max_bytes)
        return FALSE;
    }
  if (has_subgraph (infer->node))
    return FALSE;

  g_autofree HtTensor **inputs = g_new0 (HtTensor *, MAX (infer->n_inputs, 1));
  HtTensor **outputs = g_new0 (HtTensor *, infer->n_outputs);
  for (guint i = 0; i < infer->n_inputs; i++)
    inputs[i] = infer->inputs[i] ? infer->inputs[i]->constant : NULL;
  gboolean done = run_node (op, infer, inputs, outputs, max_bytes);
  for (guint i = 0; done && i < infer->n_outputs; i++)
    if (outputs[i] && infer->outputs[i].constant == NULL)
      {
        infer->outputs[i].constant = g_steal_pointer (&outputs[i]);
        ht_fold_normalize (&infer->outputs[i]);
      }
  clear_tensors (outputs, infer->n_outputs);
  return done;
}

static gboolean
is_moved (const HtOperator *op, guint input)
{
  return (op->moved_inputs & HT_OP_MOVES_ALL_INPUTS) || (input < 31 && (op->moved_inputs & HT_OP_MOVES_INPUT (input)));
}

/* A tensor of positions in `pool`, to which the elements of `value` are appended. */
static HtTensor *
number_elements (const HtInferValue *value, GArray *pool)
{
  gsize n;
  if (!ht_infer_value_has_elements (value, &n) || n + pool->len > MAX_MOVED_ELEMENTS || value->shape == NULL
      || !ht_shape_is_static (value->shape))
    return NULL;
  gint64 dim = (gint64) n;
  HtTensor *numbers = ht_tensor_new (HT_DATA_TYPE_INT64, &dim, ht_shape_get_n_dims (value->shape), NULL);
  if (numbers == NULL)
    return NULL;
  gint64 *data = ht_tensor_get_writable_data (numbers);
  for (gsize i = 0; i < n; i++)
    {
      HtSymbolicInt element = ht_infer_value_get_element (value, i);
      data[i] = (gint64) pool->len;
      g_array_append_val (pool, element);
    }
  return numbers;
}

/* The elements an output's position numbers stand for. */
static void
name_elements (HtInferValue *value, HtTensor *numbers, const GArray *pool)
{
  gsize n = ht_tensor_get_n_elements (numbers);
  const gint64 *data = ht_tensor_get_data (numbers);
  if (ht_tensor_get_n_dims (numbers) > 1 || n > MAX_MOVED_ELEMENTS)
    return;
  for (gsize i = 0; i < n; i++)
    if (data[i] < 0 || data[i] >= (gint64) pool->len)
      return;
  value->elements = g_new0 (HtSymbolicInt, MAX (n, 1));
  value->n_elements = n;
  for (gsize i = 0; i < n; i++)
    value->elements[i] = g_array_index (pool, HtSymbolicInt, data[i]);
  ht_fold_normalize (value);
}

/* An all-constant node is left to ht_fold_node(). */
static gboolean
collect_moved (const HtOperator *op, const HtInfer *infer, HtTensor **inputs, GArray *pool)
{
  gboolean symbolic = FALSE;
  for (guint i = 0; i < infer->n_inputs; i++)
    {
      const HtInferValue *value = infer->inputs[i];
      if (value == NULL)
        continue;
      if (is_moved (op, i))
        {
          symbolic |= value->constant == NULL;
          inputs[i] = number_elements (value, pool);
        }
      else if (value->constant)
        {
          inputs[i] = ht_tensor_ref (value->constant);
        }
      if (inputs[i] == NULL)
        return FALSE;
    }
  return symbolic;
}

void
ht_fold_moved_elements (const HtOperator *op, HtInfer *infer)
{
  if (op->moved_inputs == 0 || op->forward == NULL || infer->n_outputs == 0)
    return;
  for (guint i = 0; i < infer->n_outputs; i++)
    if (infer->outputs[i].constant || infer->outputs[i].elements || infer->outputs[i].shape == NULL
        || ht_shape_get_n_dims (infer->outputs[i].shape) > 1)
      return;

  HtTensor **inputs = g_new0 (HtTensor *, MAX (infer->n_inputs, 1));
  HtTensor **outputs = g_new0 (HtTensor *, infer->n_outputs);
  g_autoptr (GArray) pool = g_array_new (FALSE, TRUE, sizeof (HtSymbolicInt));
  if (collect_moved (op, infer, inputs, pool))
    {
      g_autofree HtDataType *types = g_new0 (HtDataType, infer->n_outputs);
      for (guint i = 0; i < infer->n_outputs; i++)
        {
          types[i] = infer->outputs[i].type;
          infer->outputs[i].type = HT_DATA_TYPE_INT64; /* positions are, whatever the elements are */
        }
      gboolean done = run_node (op, infer, inputs, outputs, MAX_MOVED_ELEMENTS * sizeof (gint64));
      for (guint i = 0; i < infer->n_outputs; i++)
        {
          infer->outputs[i].type = types[i];
          if (done && outputs[i])
            name_elements (&infer->outputs[i], outputs[i], pool);
        }
    }
  clear_tensors (inputs, infer->n_inputs);
  clear_tensors (outputs, infer->n_outputs);
}
