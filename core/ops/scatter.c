/* SPDX-License-Identifier: MIT */
/* Scatter, ScatterElements and ScatterND: a copy of the data with elements replaced, or combined with what is there. */
#include "graph/tensor-private.h"
#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <string.h>

typedef enum
{
  REPLACE,
  ADD,
  MULTIPLY,
  MAXIMUM,
  MINIMUM,
} Reduction;

static const char *const reduction_words[] = { "none", "add", "mul", "max", "min" };

static gboolean
read_reduction (HtNode *node, gint64 opset, Reduction *reduction)
{
  const char *text = ht_node_get_string (node, "reduction", "none");
  guint n = opset >= 18 ? G_N_ELEMENTS (reduction_words) : opset >= 16 ? MAXIMUM : 1;

  for (guint i = 0; i < n; i++)
    if (strcmp (text, reduction_words[i]) == 0)
      {
        *reduction = (Reduction)i;
        return TRUE;
      }
  return FALSE;
}

static gboolean
check_common (HtInfer *infer, guint32 index_types, GError **error)
{
  Reduction reduction;

  if (!ht_infer_check_arity (infer, 3, 3, error) || !ht_infer_check_type (infer, 1, index_types, error)
      || !ht_infer_check_same_type (infer, 0, 2, error) || !ht_infer_check_rank (infer, 0, 1, HT_TENSOR_MAX_DIMS, error)
      || !ht_infer_check_rank (infer, 1, 1, HT_TENSOR_MAX_DIMS, error))
    return FALSE;
  ht_infer_copy_input (infer, 0, 0, FALSE);
  if (!read_reduction (infer->node, infer->opset, &reduction))
    return ht_infer_fail (infer, error,
                          "the attribute reduction is '%s', which opset %" G_GINT64_FORMAT " does not have",
                          ht_node_get_string (infer->node, "reduction", "none"), infer->opset);
  if (reduction == REPLACE)
    return TRUE;
  return ht_infer_check_type (infer, 0, HT_TYPES_NUMBER, error);
}

/* One element, or `n` of them one behind the other. */
#define COMBINE(T, ADDED, MULTIPLIED)                                                                                  \
  static void combine_##T (gpointer to_, gconstpointer from_, gsize n, Reduction reduction)                            \
  {                                                                                                                    \
    T *to = to_;                                                                                                       \
    const T *from = from_;                                                                                             \
    for (gsize i = 0; i < n; i++)                                                                                      \
      {                                                                                                                \
        T a = to[i], b = from[i];                                                                                      \
        to[i] = reduction == ADD        ? (T)(ADDED)                                                                   \
                : reduction == MULTIPLY ? (T)(MULTIPLIED)                                                              \
                : a != a || b != b      ? (a != a ? a : b)                                                             \
                : reduction == MAXIMUM  ? MAX (a, b)                                                                   \
                                        : MIN (a, b);                                                                   \
      }                                                                                                                \
  }
/* Integers wrap, which signed arithmetic must not. */
#define WRAPPED(op)        (guint64) a op (guint64) b
#define COMBINE_INTEGER(T) COMBINE (T, WRAPPED (+), WRAPPED (*))
COMBINE (float, a + b, a *b)
COMBINE (double, a + b, a *b)
COMBINE_INTEGER (gint8)
COMBINE_INTEGER (gint16)
COMBINE_INTEGER (gint32)
COMBINE_INTEGER (gint64)
COMBINE_INTEGER (guint8)
COMBINE_INTEGER (guint16)
COMBINE_INTEGER (guint32)
COMBINE_INTEGER (guint64)

typedef void (*Combine) (gpointer to, gconstpointer from, gsize n, Reduction reduction);

static const Combine combines[HT_LOOP_TYPES] = {
  [HT_DATA_TYPE_FLOAT] = combine_float,    [HT_DATA_TYPE_DOUBLE] = combine_double,
  [HT_DATA_TYPE_INT8] = combine_gint8,     [HT_DATA_TYPE_INT16] = combine_gint16,
  [HT_DATA_TYPE_INT32] = combine_gint32,   [HT_DATA_TYPE_INT64] = combine_gint64,
  [HT_DATA_TYPE_UINT8] = combine_guint8,   [HT_DATA_TYPE_UINT16] = combine_guint16,
  [HT_DATA_TYPE_UINT32] = combine_guint32, [HT_DATA_TYPE_UINT64] = combine_guint64,
};

typedef struct
{
  Reduction reduction;
  Combine combine;
  gsize size; /* bytes of an element */
  char *to;
  const char *from;
  gsize *places; /* not NULL: nothing is written but this, where each element of the updates goes */
} Target;

/* Starts the output as a copy of the data. */
static gboolean
begin (const HtOpCall *call, Target *target, GError **error)
{
  HtDataType type = ht_tensor_get_data_type (call->inputs[0]);

  if (!ht_op_check_movable (call, call->inputs[0], error))
    return FALSE;
  read_reduction (call->node, call->opset, &target->reduction);
  target->combine = (guint)type < HT_LOOP_TYPES ? combines[type] : NULL;
  target->size = ht_element_size (type);
  target->to = ht_tensor_get_writable_data (call->outputs[0]);
  target->from = ht_tensor_get_data (call->inputs[2]);
  target->places = NULL;
  if (target->reduction != REPLACE && target->combine == NULL)
    return ht_op_fail_type (call, type, error);
  return ht_op_copy_through (call, error);
}

static inline void
put (const Target *target, gsize to, gsize from, gsize n)
{
  char *at = target->to + to * target->size;
  const char *value = target->from + from * target->size;
  for (gsize i = 0; target->places && i < n; i++)
    target->places[from + i] = to + i;
  if (target->places)
    return;
  if (target->reduction == REPLACE)
    memcpy (at, value, n * target->size);
  else
    target->combine (at, value, n, target->reduction);
}

/* Halves are combined as floats. */
static gboolean
must_widen (const HtOpCall *call)
{
  Reduction reduction = REPLACE;
  read_reduction (call->node, call->opset, &reduction);
  return reduction != REPLACE && ht_op_is_half (call);
}

static gboolean
fail_index (const HtOpCall *call, gint64 index, gsize position, gint64 dim, GError **error)
{
  return ht_op_fail (call, error,
                     "index %" G_GINT64_FORMAT " at position %" G_GSIZE_FORMAT
                     " of '%s' lies outside a dimension of %" G_GINT64_FORMAT,
                     index, position, ht_node_get_input (call->node, 1), dim);
}

/* ScatterElements */
static gboolean
scatter_elements_infer (HtInfer *infer, GError **error)
{
  HtDims data, indices, updates;
  guint axis = 0;

  if (!check_common (infer, HT_TYPES_INDEX, error))
    return FALSE;
  gboolean has_data = ht_infer_read_dims (infer, 0, &data), has_indices = ht_infer_read_dims (infer, 1, &indices);
  if (has_data && !ht_infer_get_axis (infer, ht_node_get_int (infer->node, "axis", 0), data.n, &axis, error))
    return FALSE;
  if (has_data && has_indices && data.n != indices.n)
    return ht_infer_fail (infer, error, "the data has %u dimensions and the indices %u, they must be the same", data.n,
                          indices.n);
  for (guint i = 0; has_data && has_indices && i < data.n; i++)
    if (i != axis && data.dim[i] >= 0 && indices.dim[i] > data.dim[i])
      return ht_infer_fail (infer, error, "dimension %u of the indices is larger than that of the data", i);
  if (!has_indices || !ht_infer_read_dims (infer, 2, &updates))
    return TRUE;
  gboolean same = updates.n == indices.n;
  for (guint i = 0; same && i < updates.n; i++)
    same = updates.dim[i] < 0 || indices.dim[i] < 0 || updates.dim[i] == indices.dim[i];
  return same || ht_infer_fail (infer, error, "the updates have another shape than the indices");
}

static gboolean
walk_elements (const HtOpCall *call, const Target *target, GError **error)
{
  HtTensor *indices = call->inputs[1];
  gint64 strides[HT_TENSOR_MAX_DIMS], position[HT_TENSOR_MAX_DIMS] = { 0 };
  guint rank, axis = 0;
  const gint64 *dims = ht_tensor_get_dims (call->inputs[0], &rank), *index_dims = ht_tensor_get_dims (indices, NULL);
  gsize n = ht_tensor_get_n_elements (indices);

  ht_axis_normalize (ht_node_get_int (call->node, "axis", 0), rank, &axis);
  ht_strides (dims, rank, strides);
  for (gsize i = 0; i < n; i++)
    {
      gint64 index = ht_tensor_get_int64 (indices, i), at = 0;
      if (index < -dims[axis] || index >= dims[axis])
        return fail_index (call, index, i, dims[axis], error);
      for (guint d = 0; d < rank; d++)
        at += strides[d] * (d == axis ? (index < 0 ? index + dims[axis] : index) : position[d]);
      put (target, (gsize)at, i, 1);
      for (guint d = rank; d-- > 0;)
        {
          if (++position[d] < index_dims[d])
            break;
          position[d] = 0;
        }
    }
  return TRUE;
}

static gboolean
scatter_elements_forward (const HtOpCall *call, GError **error)
{
  Target target;
  if (must_widen (call))
    return ht_op_widen (call, scatter_elements_forward, error);
  return begin (call, &target, error) && walk_elements (call, &target, error);
}

/* ScatterND */
static gboolean
scatter_nd_infer (HtInfer *infer, GError **error)
{
  HtDims data, indices, updates;

  if (!check_common (infer, HT_TYPE_BIT (INT64), error))
    return FALSE;
  if (!ht_infer_read_dims (infer, 0, &data) || !ht_infer_read_dims (infer, 1, &indices))
    return TRUE;
  gint64 depth = indices.dim[indices.n - 1];
  if (depth == 0 || depth > data.n)
    return ht_infer_fail (infer, error, "indices of depth %" G_GINT64_FORMAT " do not fit data of %u dimensions", depth,
                          data.n);
  if (depth < 0 || !ht_infer_read_dims (infer, 2, &updates))
    return TRUE;
  gboolean same = updates.n == indices.n - 1 + data.n - (guint)depth;
  for (guint i = 0; same && i < updates.n; i++)
    {
      gint64 dim = i + 1 < indices.n ? indices.dim[i] : data.dim[(guint)depth + i - (indices.n - 1)];
      same = updates.dim[i] < 0 || dim < 0 || updates.dim[i] == dim;
    }
  return same
         || ht_infer_fail (infer, error,
                           "the updates need the dimensions of the indices but the last, then those of the data from "
                           "%" G_GINT64_FORMAT " on",
                           depth);
}

static gboolean
walk_nd (const HtOpCall *call, const Target *target, GError **error)
{
  HtTensor *indices = call->inputs[1];
  guint rank, index_rank;
  const gint64 *dims = ht_tensor_get_dims (call->inputs[0], &rank);
  const gint64 *index_dims = ht_tensor_get_dims (indices, &index_rank);
  gsize depth = (gsize)index_dims[index_rank - 1], n = ht_tensor_get_n_elements (indices) / MAX (depth, 1), run = 1;

  for (gsize i = depth; i < rank; i++)
    run *= (gsize)dims[i];
  const gint64 *index = ht_tensor_get_data (indices);
  for (gsize i = 0; i < n; i++)
    {
      gsize at = 0;
      for (gsize k = 0; k < depth; k++)
        {
          gint64 value = index[i * depth + k];
          if (value < -dims[k] || value >= dims[k])
            return fail_index (call, value, i * depth + k, dims[k], error);
          at = at * (gsize)dims[k] + (gsize)(value < 0 ? value + dims[k] : value);
        }
      put (target, at * run, i * run, run);
    }
  return TRUE;
}

static gboolean
scatter_nd_forward (const HtOpCall *call, GError **error)
{
  Target target;
  if (must_widen (call))
    return ht_op_widen (call, scatter_nd_forward, error);
  return begin (call, &target, error) && walk_nd (call, &target, error);
}

/* Gradients: the place of each element of the updates, and a mark for each place that one has taken. */
static gsize
backward_workspace (const HtInfer *infer)
{
  HtDims data, updates;
  gsize size;

  if (!ht_infer_read_dims (infer, 0, &data) || !ht_infer_read_dims (infer, 2, &updates))
    return 0;
  gint64 n_data = ht_dims_product (&data, 0, data.n), n_updates = ht_dims_product (&updates, 0, updates.n);
  if (n_data < 0 || n_updates < 0 || !g_size_checked_mul (&size, (gsize)n_updates, sizeof (gsize))
      || !g_size_checked_add (&size, size, (gsize)n_data))
    return G_MAXSSIZE;
  return size;
}

/* Of several updates of one place the last one counts, so they are taken from the end. */
#define SHARE_OUT(T)                                                                                                   \
  static void share_out_##T (const gsize *places, guint8 *taken, gsize n, Reduction reduction, const T *dy, T *data,   \
                             T *updates)                                                                               \
  {                                                                                                                    \
    for (gsize i = n; i-- > 0;)                                                                                        \
      {                                                                                                                \
        gboolean counts = reduction == ADD || !taken[places[i]];                                                       \
        taken[places[i]] = 1;                                                                                          \
        if (updates)                                                                                                   \
          updates[i] = counts ? dy[places[i]] : 0;                                                                     \
        if (data && reduction == REPLACE)                                                                              \
          data[places[i]] = 0;                                                                                         \
      }                                                                                                                \
  }
SHARE_OUT (float)
SHARE_OUT (double)

static gboolean
scatter_backward (const HtOpCall *call, gboolean (*walk) (const HtOpCall *, const Target *, GError **),
                  HtTensor *const *output_gradients, HtTensor *const *input_gradients, GError **error)
{
  HtTensor *dy = output_gradients[0], *data = input_gradients[0], *updates = input_gradients[2];
  Target target = { .places = call->workspace };
  gsize n = ht_tensor_get_n_elements (call->inputs[2]);
  gboolean is_double;

  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  read_reduction (call->node, call->opset, &target.reduction);
  if (target.reduction != REPLACE && target.reduction != ADD)
    return ht_op_fail (call, error, "with the reduction '%s' it cannot be differentiated",
                       reduction_words[target.reduction]);
  if (data)
    ht_backward_copy (data, dy);
  if (n == 0)
    return TRUE;
  guint8 *taken = (guint8 *)(target.places + n);
  memset (taken, 0, ht_tensor_get_n_elements (dy));
  if (!walk (call, &target, error))
    return FALSE;
  gconstpointer g = ht_tensor_get_data (dy);
  gpointer to_data = data ? ht_tensor_get_writable_data (data) : NULL;
  gpointer to_updates = updates ? ht_tensor_get_writable_data (updates) : NULL;
  if (is_double)
    share_out_double (target.places, taken, n, target.reduction, g, to_data, to_updates);
  else
    share_out_float (target.places, taken, n, target.reduction, g, to_data, to_updates);
  return TRUE;
}

static gboolean
scatter_elements_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                           GError **error)
{
  return scatter_backward (call, walk_elements, output_gradients, input_gradients, error);
}

static gboolean
scatter_nd_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                     GError **error)
{
  return scatter_backward (call, walk_nd, output_gradients, input_gradients, error);
}

static const HtOperator operators[] = {
  { "", "Scatter", 9, HT_OP_NONE, scatter_elements_infer, scatter_elements_forward, scatter_elements_backward,
    .backward_inputs = HT_OP_KEEPS (1), .backward_workspace = backward_workspace },
  { "", "ScatterElements", 11, HT_OP_NONE, scatter_elements_infer, scatter_elements_forward, scatter_elements_backward,
    .backward_inputs = HT_OP_KEEPS (1), .backward_workspace = backward_workspace },
  { "", "ScatterND", 11, HT_OP_NONE, scatter_nd_infer, scatter_nd_forward, scatter_nd_backward,
    .backward_inputs = HT_OP_KEEPS (1), .backward_workspace = backward_workspace },
};

void
ht_ops_register_scatter (void)
{
  HT_OPS_REGISTER (operators);
}
