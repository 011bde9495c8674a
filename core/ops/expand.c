/* SPDX-License-Identifier: MIT */
/* Expand and Tile: the same values, repeated. */
#include "graph/tensor-private.h"
#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

static gboolean
expand_infer (HtInfer *infer, GError **error)
{
  HtDims in, shape = { 0 }, out;
  gsize n;

  if (!ht_infer_check_arity (infer, 2, 2, error) || !ht_infer_check_type (infer, 1, HT_TYPES_INDEX, error)
      || !ht_infer_check_rank (infer, 1, 1, 1, error))
    return FALSE;
  infer->outputs[0].type = ht_infer_get_type (infer, 0);
  gboolean in_known = ht_infer_read_dims (infer, 0, &in);
  if (!ht_infer_value_has_elements (ht_infer_get_input (infer, 1), &n))
    {
      HtDims length;
      if (in_known && ht_infer_read_dims (infer, 1, &length) && length.dim[0] >= 0
          && length.dim[0] <= HT_TENSOR_MAX_DIMS)
        ht_infer_put_rank (infer, 0, ht_infer_get_type (infer, 0), MAX (in.n, (guint) length.dim[0]));
      return TRUE;
    }
  if (n > HT_TENSOR_MAX_DIMS)
    return ht_infer_fail (infer, error, "the shape has %" G_GSIZE_FORMAT " dimensions, at most %d are possible", n,
                          HT_TENSOR_MAX_DIMS);
  for (gsize i = 0; i < n; i++)
    {
      HtSymbolicInt element = ht_infer_value_get_element (ht_infer_get_input (infer, 1), i);
      if (element.known && element.value < 0)
        return ht_infer_fail (infer, error, "dimension %" G_GSIZE_FORMAT " of the shape is %" G_GINT64_FORMAT, i,
                              element.value);
      ht_dims_append (&shape, element.known ? element.value : HT_DIM_UNKNOWN, element.symbol);
    }
  if (!in_known)
    return TRUE;
  if (!ht_infer_broadcast (infer, &in, &shape, &out, error))
    return FALSE;
  ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &out);
  return TRUE;
}

static gboolean
expand_forward (const HtOpCall *call, GError **error)
{
  HtTensor *in = call->inputs[0], *out = call->outputs[0];
  guint rank, in_rank;
  const gint64 *dims = ht_tensor_get_dims (out, &rank), *in_dims = ht_tensor_get_dims (in, &in_rank);
  gint64 strides[HT_TENSOR_MAX_DIMS] = { 0 }, stride = 1;

  if (!ht_op_check_movable (call, in, error))
    return FALSE;
  if (ht_tensor_get_n_elements (out) == 0)
    return TRUE;
  for (guint i = in_rank; i-- > 0;)
    {
      if (in_dims[i] != 1)
        strides[rank - in_rank + i] = stride;
      stride *= in_dims[i];
    }
  ht_copy_strided (ht_tensor_get_writable_data (out), ht_tensor_get_data (in),
                   ht_element_size (ht_tensor_get_data_type (in)), rank, dims, strides);
  return TRUE;
}

static gboolean
tile_infer (HtInfer *infer, GError **error)
{
  HtDims in;
  g_autofree gint64 *repeats = NULL;
  gsize n;

  if (!ht_infer_check_arity (infer, 2, 2, error) || !ht_infer_check_type (infer, 1, HT_TYPE_BIT (INT64), error))
    return FALSE;
  infer->outputs[0].type = ht_infer_get_type (infer, 0);
  if (!ht_infer_read_dims (infer, 0, &in))
    return TRUE;
  if (!ht_infer_get_ints (infer, 1, &repeats, &n))
    {
      ht_infer_put_rank (infer, 0, ht_infer_get_type (infer, 0), in.n);
      return TRUE;
    }
  if (n != in.n)
    return ht_infer_fail (infer, error, "%" G_GSIZE_FORMAT " repeats are given for %u dimensions", n, in.n);
  for (guint i = 0; i < in.n; i++)
    {
      if (repeats[i] < 0 || (in.dim[i] >= 0 && __builtin_mul_overflow (in.dim[i], repeats[i], &in.dim[i])))
        return ht_infer_fail (infer, error, "dimension %u cannot be repeated %" G_GINT64_FORMAT " times", i, repeats[i]);
      if (in.dim[i] < 0 && repeats[i] == 0)
        in.dim[i] = 0;
      if (repeats[i] != 1)
        in.symbol[i] = NULL;
    }
  ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &in);
  return TRUE;
}

/* Each dimension becomes two: the repeats around the dimension. */
typedef struct
{
  guint n;
  gint64 dims[HT_TENSOR_MAX_DIMS], strides[HT_TENSOR_MAX_DIMS]; /* stride 0: repeats */
} Pairs;

static gboolean
read_pairs (const HtOpCall *call, const gint64 *in_dims, const gint64 *out_dims, guint rank, Pairs *pairs,
            GError **error)
{
  gint64 strides[HT_TENSOR_MAX_DIMS];

  pairs->n = 0;
  ht_strides (in_dims, rank, strides);
  for (guint i = 0; i < rank; i++)
    {
      gint64 repeats = out_dims[i] / in_dims[i];
      gint64 parts[2][2] = { { repeats, 0 }, { in_dims[i], strides[i] } };
      for (guint k = 0; k < 2; k++)
        {
          if (parts[k][0] == 1)
            continue;
          if (pairs->n == HT_TENSOR_MAX_DIMS)
            return ht_op_fail (call, error, "more than %d dimensions are larger than 1 or repeated", HT_TENSOR_MAX_DIMS);
          pairs->dims[pairs->n] = parts[k][0];
          pairs->strides[pairs->n++] = parts[k][1];
        }
    }
  return TRUE;
}

static gboolean
tile_forward (const HtOpCall *call, GError **error)
{
  HtTensor *in = call->inputs[0], *out = call->outputs[0];
  guint rank;
  const gint64 *in_dims = ht_tensor_get_dims (in, &rank), *out_dims = ht_tensor_get_dims (out, NULL);
  Pairs pairs;

  if (!ht_op_check_movable (call, in, error))
    return FALSE;
  if (ht_tensor_get_n_elements (out) == 0)
    return TRUE;
  if (!read_pairs (call, in_dims, out_dims, rank, &pairs, error))
    return FALSE;
  ht_copy_strided (ht_tensor_get_writable_data (out), ht_tensor_get_data (in),
                   ht_element_size (ht_tensor_get_data_type (in)), pairs.n, pairs.dims, pairs.strides);
  return TRUE;
}

static gboolean
expand_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                 GError **error)
{
  gboolean is_double;
  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (input_gradients[0])
    ht_backward_sum_to (input_gradients[0], output_gradients[0], 1.0);
  return TRUE;
}

static gboolean
tile_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
               GError **error)
{
  HtTensor *dx = input_gradients[0], *dy = output_gradients[0];
  gboolean is_double;
  Pairs pairs;
  gint64 kept[HT_TENSOR_MAX_DIMS];

  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (dx && ht_tensor_get_n_elements (dy) == 0)
    ht_backward_zero (dx);
  if (dx == NULL || ht_tensor_get_n_elements (dy) == 0)
    return TRUE;
  guint rank;
  const gint64 *dims = ht_tensor_get_dims (dx, &rank);
  if (!read_pairs (call, dims, ht_tensor_get_dims (dy, NULL), rank, &pairs, error))
    return FALSE;
  for (guint i = 0; i < pairs.n; i++)
    kept[i] = pairs.strides[i] == 0 ? 1 : pairs.dims[i];
  HtDataType type = ht_tensor_get_data_type (dx);
  g_autoptr (HtTensor) to = _ht_tensor_new_view (type, kept, pairs.n, ht_tensor_get_writable_data (dx));
  g_autoptr (HtTensor) from = _ht_tensor_new_view (type, pairs.dims, pairs.n, (gpointer)ht_tensor_get_data (dy));
  ht_backward_sum_to (to, from, 1.0);
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "Expand", 8, HT_OP_KEEPS_GRID, expand_infer, expand_forward, expand_backward,
    .moved_inputs = HT_OP_MOVES_INPUT (0) },
  { "", "Tile", 6, HT_OP_KEEPS_GRID, tile_infer, tile_forward, tile_backward,
    .moved_inputs = HT_OP_MOVES_INPUT (0) },
};

void
ht_ops_register_expand (void)
{
  HT_OPS_REGISTER (operators);
}
