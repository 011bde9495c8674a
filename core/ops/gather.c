/* SPDX-License-Identifier: MIT */
/* Gather, GatherElements and GatherND: elements chosen by index tensors. */
#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <string.h>

static gint64
read_index (gconstpointer data, gboolean wide, gsize i)
{
  return wide ? ((const gint64 *) data)[i] : ((const gint32 *) data)[i];
}

/* All indices in [-dim, dim): checked before anything is read through them. */
static gboolean
check_indices (const HtOpCall *call, HtTensor *indices, gint64 dim, GError **error)
{
  gboolean wide = ht_tensor_get_data_type (indices) == HT_DATA_TYPE_INT64;
  gconstpointer data = ht_tensor_get_data (indices);
  gsize n = ht_tensor_get_n_elements (indices);
  for (gsize i = 0; i < n; i++)
    {
      gint64 index = read_index (data, wide, i);
      if (index < -dim || index >= dim)
        return ht_op_fail (call, error,
                           "index %" G_GINT64_FORMAT " at position %" G_GSIZE_FORMAT " of '%s' lies outside a dimension of %"
                           G_GINT64_FORMAT, index, i, ht_node_get_input (call->node, 1), dim);
    }
  return TRUE;
}

static gboolean
gather_infer (HtInfer *infer, GError **error)
{
  HtDims data, indices, out = { 0 };
  guint axis = 0;

  if (!ht_infer_check_arity (infer, 2, 2, error) || !ht_infer_check_type (infer, 1, HT_TYPES_INDEX, error)
      || !ht_infer_check_rank (infer, 0, 1, HT_TENSOR_MAX_DIMS, error))
    return FALSE;
  infer->outputs[0].type = ht_infer_get_type (infer, 0);
  if (!ht_infer_read_dims (infer, 0, &data))
    return TRUE;
  if (!ht_infer_get_axis (infer, ht_node_get_int (infer->node, "axis", 0), data.n, &axis, error))
    return FALSE;
  if (!ht_infer_read_dims (infer, 1, &indices))
    return TRUE;
  if (data.n - 1 + indices.n > HT_TENSOR_MAX_DIMS)
    return ht_infer_fail (infer, error, "the result would have more than %d dimensions", HT_TENSOR_MAX_DIMS);
  for (guint i = 0; i < axis; i++)
    ht_dims_append (&out, data.dim[i], data.symbol[i]);
  for (guint i = 0; i < indices.n; i++)
    ht_dims_append (&out, indices.dim[i], indices.symbol[i]);
  for (guint i = axis + 1; i < data.n; i++)
    ht_dims_append (&out, data.dim[i], data.symbol[i]);
  ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &out);
  return TRUE;
}

typedef struct
{
  const char *in;
  char *out;
  gconstpointer indices;
  gboolean wide;
  gsize n_indices, run; /* bytes of one run */
  gint64 dim;
} Gather;

static void
gather_runs (gsize begin, gsize end, gpointer user_data)
{
  const Gather *work = user_data;
  for (gsize i = begin; i < end; i++)
    {
      gint64 index = read_index (work->indices, work->wide, i % work->n_indices);
      gsize outer = i / work->n_indices;
      if (index < 0)
        index += work->dim;
      memcpy (work->out + i * work->run, work->in + (outer * (gsize) work->dim + (gsize) index) * work->run, work->run);
    }
}

static gboolean
gather_forward (const HtOpCall *call, GError **error)
{
  HtTensor *data = call->inputs[0], *indices = call->inputs[1];
  guint rank, axis;
  const gint64 *dims = ht_tensor_get_dims (data, &rank);
  gsize outer = 1, run = ht_element_size (ht_tensor_get_data_type (data));

  if (!ht_op_check_movable (call, data, error))
    return FALSE;
  if (!ht_axis_normalize (ht_node_get_int (call->node, "axis", 0), rank, &axis))
    return ht_op_fail (call, error, "the axis lies outside %u dimensions", rank);
  if (!check_indices (call, indices, dims[axis], error))
    return FALSE;
  for (guint i = 0; i < axis; i++)
    outer *= (gsize) dims[i];
  for (guint i = axis + 1; i < rank; i++)
    run *= (gsize) dims[i];
  if (ht_tensor_get_n_elements (call->outputs[0]) == 0)
    return TRUE;
  Gather work = { ht_tensor_get_data (data), ht_tensor_get_writable_data (call->outputs[0]), ht_tensor_get_data (indices),
                  ht_tensor_get_data_type (indices) == HT_DATA_TYPE_INT64, ht_tensor_get_n_elements (indices), run,
                  dims[axis] };
  ht_loop_range (outer * work.n_indices, run, gather_runs, &work);
  return TRUE;
}

static gboolean
gather_elements_infer (HtInfer *infer, GError **error)
{
  HtDims data, indices;
  guint axis = 0;

  if (!ht_infer_check_arity (infer, 2, 2, error) || !ht_infer_check_type (infer, 1, HT_TYPES_INDEX, error)
      || !ht_infer_check_rank (infer, 0, 1, HT_TENSOR_MAX_DIMS, error))
    return FALSE;
  infer->outputs[0].type = ht_infer_get_type (infer, 0);
  gboolean known = ht_infer_read_dims (infer, 0, &data);
  if (known && !ht_infer_get_axis (infer, ht_node_get_int (infer->node, "axis", 0), data.n, &axis, error))
    return FALSE;
  if (!ht_infer_read_dims (infer, 1, &indices))
    return TRUE;
  if (known && data.n != indices.n)
    return ht_infer_fail (infer, error, "data has %u dimensions and indices %u, they must be the same", data.n, indices.n);
  for (guint i = 0; known && i < data.n; i++)
    if (i != axis && data.dim[i] >= 0 && indices.dim[i] > data.dim[i])
      return ht_infer_fail (infer, error, "dimension %u of the indices is larger than that of the data", i);
  ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &indices);
  return TRUE;
}

static gboolean
gather_elements_forward (const HtOpCall *call, GError **error)
{
  HtTensor *data = call->inputs[0], *indices = call->inputs[1];
  guint rank, axis;
  const gint64 *dims = ht_tensor_get_dims (data, &rank), *out_dims = ht_tensor_get_dims (indices, NULL);
  gsize size = ht_element_size (ht_tensor_get_data_type (data)), n = ht_tensor_get_n_elements (indices);
  gint64 strides[HT_TENSOR_MAX_DIMS], position[HT_TENSOR_MAX_DIMS] = { 0 };
  gboolean wide = ht_tensor_get_data_type (indices) == HT_DATA_TYPE_INT64;

  if (!ht_op_check_movable (call, data, error))
    return FALSE;
  if (!ht_axis_normalize (ht_node_get_int (call->node, "axis", 0), rank, &axis))
    return ht_op_fail (call, error, "the axis lies outside %u dimensions", rank);
  if (!check_indices (call, indices, dims[axis], error))
    return FALSE;
  if (n == 0)
    return TRUE;
  ht_strides (dims, rank, strides);
  const char *in = ht_tensor_get_data (data);
  char *out = ht_tensor_get_writable_data (call->outputs[0]);
  for (gsize i = 0; i < n; i++)
    {
      gint64 offset = 0, index = read_index (ht_tensor_get_data (indices), wide, i);
      for (guint d = 0; d < rank; d++)
        offset += strides[d] * (d == axis ? (index < 0 ? index + dims[axis] : index) : position[d]);
      memcpy (out + i * size, in + (gsize) offset * size, size);
      for (guint d = rank; d-- > 0;)
        {
          if (++position[d] < out_dims[d])
            break;
          position[d] = 0;
        }
    }
  return TRUE;
}

static gboolean
gather_nd_infer (HtInfer *infer, GError **error)
{
  HtDims data, indices, out = { 0 };
  gint64 batch = ht_node_get_int (infer->node, "batch_dims", 0);

  if (!ht_infer_check_arity (infer, 2, 2, error) || !ht_infer_check_type (infer, 1, HT_TYPE_BIT (INT64), error)
      || !ht_infer_check_rank (infer, 0, 1, HT_TENSOR_MAX_DIMS, error)
      || !ht_infer_check_rank (infer, 1, 1, HT_TENSOR_MAX_DIMS, error))
    return FALSE;
  infer->outputs[0].type = ht_infer_get_type (infer, 0);
  if (!ht_infer_read_dims (infer, 0, &data) || !ht_infer_read_dims (infer, 1, &indices))
    return TRUE;
  gint64 depth = indices.dim[indices.n - 1];
  if (batch < 0 || batch >= indices.n || batch >= data.n || depth == 0 || (depth > 0 && batch + depth > data.n))
    return ht_infer_fail (infer, error, "indices of depth %" G_GINT64_FORMAT " with batch_dims %" G_GINT64_FORMAT
                          " do not fit data of %u dimensions", depth, batch, data.n);
  for (gint64 i = 0; i < batch; i++)
    if (data.dim[i] >= 0 && indices.dim[i] >= 0 && data.dim[i] != indices.dim[i])
      return ht_infer_fail (infer, error, "batch dimension %" G_GINT64_FORMAT " differs between data and indices", i);
  if (depth < 0)
    return TRUE;
  if (indices.n - 1 + data.n - (guint) (batch + depth) > HT_TENSOR_MAX_DIMS)
    return ht_infer_fail (infer, error, "the result would have more than %d dimensions", HT_TENSOR_MAX_DIMS);
  for (guint i = 0; i + 1 < indices.n; i++)
    ht_dims_append (&out, indices.dim[i], indices.symbol[i]);
  for (guint i = (guint) (batch + depth); i < data.n; i++)
    ht_dims_append (&out, data.dim[i], data.symbol[i]);
  ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &out);
  return TRUE;
}

static gboolean
gather_nd_forward (const HtOpCall *call, GError **error)
{
  HtTensor *data = call->inputs[0], *indices = call->inputs[1];
  guint rank, index_rank;
  const gint64 *dims = ht_tensor_get_dims (data, &rank), *index_dims = ht_tensor_get_dims (indices, &index_rank);
  guint batch = (guint) ht_node_get_int (call->node, "batch_dims", 0), depth = (guint) index_dims[index_rank - 1];
  gsize run = ht_element_size (ht_tensor_get_data_type (data)), n = ht_tensor_get_n_elements (indices) / depth;
  gsize n_batches = 1, batch_size = 1;

  if (!ht_op_check_movable (call, data, error))
    return FALSE;
  if (n == 0 || ht_tensor_get_n_elements (call->outputs[0]) == 0)
    return TRUE;
  for (guint i = 0; i < batch; i++)
    n_batches *= (gsize) dims[i];
  for (guint i = batch + depth; i < rank; i++)
    run *= (gsize) dims[i];
  for (guint i = batch; i < batch + depth; i++)
    batch_size *= (gsize) dims[i];
  const gint64 *index = ht_tensor_get_data (indices);
  const char *in = ht_tensor_get_data (data);
  char *out = ht_tensor_get_writable_data (call->outputs[0]);
  for (gsize i = 0; i < n; i++, index += depth)
    {
      gsize position = 0;
      for (guint k = 0; k < depth; k++)
        {
          gint64 dim = dims[batch + k];
          if (index[k] < -dim || index[k] >= dim)
            return ht_op_fail (call, error, "index %" G_GINT64_FORMAT " lies outside a dimension of %" G_GINT64_FORMAT,
                               index[k], dim);
          position = position * (gsize) dim + (gsize) (index[k] < 0 ? index[k] + dim : index[k]);
        }
      position += i / (n / n_batches) * batch_size;
      memcpy (out + i * run, in + position * run, run);
    }
  return TRUE;
}

/* Gather: one item is a block of at most BLOCK elements of the runs of one outer index, so that no two items write one
 * place. */
#define BLOCK 256

typedef struct
{
  gconstpointer indices;
  gboolean wide;
  gsize n_indices, run, blocks;
  gint64 dim;
  gconstpointer dy;
  gpointer dx;
} GatherBackward;

#define GATHER_BACKWARD(T)                                                                                             \
  static void gather_back_##T (gsize begin, gsize end, gpointer user_data)                                             \
  {                                                                                                                    \
    const GatherBackward *work = user_data;                                                                            \
    for (gsize item = begin; item < end; item++)                                                                       \
      {                                                                                                                \
        gsize outer = item / work->blocks, first = item % work->blocks * BLOCK;                                        \
        gsize width = MIN (work->run - first, BLOCK);                                                                  \
        for (gsize i = 0; i < work->n_indices; i++)                                                                    \
          {                                                                                                            \
            gint64 index = read_index (work->indices, work->wide, i);                                                  \
            gsize at = outer * (gsize)work->dim + (gsize)(index < 0 ? index + work->dim : index);                      \
            const T *from = (const T *)work->dy + (outer * work->n_indices + i) * work->run + first;                   \
            T *to = (T *)work->dx + at * work->run + first;                                                            \
            for (gsize k = 0; k < width; k++)                                                                          \
              to[k] += from[k];                                                                                        \
          }                                                                                                            \
      }                                                                                                                \
  }
GATHER_BACKWARD (float)
GATHER_BACKWARD (double)

static gboolean
gather_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                 GError **error)
{
  HtTensor *indices = call->inputs[1], *dx = input_gradients[0], *dy = output_gradients[0];
  gboolean is_double;
  guint rank, axis;

  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (dx == NULL)
    return TRUE;
  ht_backward_zero (dx);
  if (ht_tensor_get_n_elements (dy) == 0)
    return TRUE;
  const gint64 *dims = ht_tensor_get_dims (dx, &rank);
  if (!ht_axis_normalize (ht_node_get_int (call->node, "axis", 0), rank, &axis))
    return ht_op_fail (call, error, "the axis lies outside %u dimensions", rank);
  if (!check_indices (call, indices, dims[axis], error))
    return FALSE;
  GatherBackward work = { .indices = ht_tensor_get_data (indices),
                          .wide = ht_tensor_get_data_type (indices) == HT_DATA_TYPE_INT64,
                          .n_indices = ht_tensor_get_n_elements (indices),
                          .run = 1,
                          .dim = dims[axis],
                          .dy = ht_tensor_get_data (dy),
                          .dx = ht_tensor_get_writable_data (dx) };
  gsize outer = 1;
  for (guint i = 0; i < axis; i++)
    outer *= (gsize)dims[i];
  for (guint i = axis + 1; i < rank; i++)
    work.run *= (gsize)dims[i];
  work.blocks = (work.run + BLOCK - 1) / BLOCK;
  ht_loop_range (outer * work.blocks, work.n_indices * MIN (work.run, BLOCK),
                 is_double ? gather_back_double : gather_back_float, &work);
  return TRUE;
}

static gboolean
gather_elements_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                          GError **error)
{
  return ht_backward_moved (call, gather_elements_forward, output_gradients, input_gradients, error);
}

static gboolean
gather_nd_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                    GError **error)
{
  return ht_backward_moved (call, gather_nd_forward, output_gradients, input_gradients, error);
}

static const HtOperator operators[] = {
  { "", "Gather", 1, HT_OP_KEEPS_GRID, gather_infer, gather_forward, gather_backward,
    .moved_inputs = HT_OP_MOVES_INPUT (0), .backward_inputs = HT_OP_KEEPS (1) },
  { "", "GatherElements", 11, HT_OP_KEEPS_GRID, gather_elements_infer, gather_elements_forward, gather_elements_backward,
    .moved_inputs = HT_OP_MOVES_INPUT (0), .backward_inputs = HT_OP_KEEPS (1),
    .backward_workspace = ht_backward_moved_workspace },
  { "", "GatherND", 11, HT_OP_KEEPS_GRID, gather_nd_infer, gather_nd_forward, gather_nd_backward,
    .moved_inputs = HT_OP_MOVES_INPUT (0), .backward_inputs = HT_OP_KEEPS (1),
    .backward_workspace = ht_backward_moved_workspace },
};

void
ht_ops_register_gather (void)
{
  HT_OPS_REGISTER (operators);
}
