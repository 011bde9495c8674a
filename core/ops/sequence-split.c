/* SPDX-License-Identifier: MIT */
/* SplitToSequence and ConcatFromSequence. */
#include "ops/concat-split.h"
#include "ops/list.h"
#include "ops/loop.h"
#include "ops/ops.h"

#include <string.h>

static gboolean
read_axis (const HtOpCall *call, guint rank, guint *axis, GError **error)
{
  gint64 given = ht_node_get_int (call->node, "axis", 0);
  return ht_axis_normalize (given, rank, axis)
         || ht_op_fail (call, error, "axis %" G_GINT64_FORMAT " lies outside %u dimensions", given, rank);
}

static gboolean
split_infer (HtInfer *infer, GError **error)
{
  gboolean single = ht_infer_get_input (infer, 1) == NULL;
  gboolean drop_axis = single && ht_node_get_int (infer->node, "keepdims", 1) == 0;
  HtDims in, part = { 0 };
  guint axis;
  gint64 length = HT_DIM_UNKNOWN;
  g_autoptr (HtShape) shape = NULL;

  if (!ht_infer_check_arity (infer, 1, 2, error) || !ht_infer_check_tensor (infer, 0, error)
      || !ht_infer_check_type (infer, 1, HT_TYPES_INDEX, error) || !ht_infer_check_rank (infer, 1, 0, 1, error))
    return FALSE;
  if (ht_infer_read_dims (infer, 0, &in))
    {
      if (!ht_infer_get_axis (infer, ht_node_get_int (infer->node, "axis", 0), in.n, &axis, error))
        return FALSE;
      for (guint i = 0; i < in.n; i++)
        if (i != axis)
          ht_dims_append (&part, in.dim[i], in.symbol[i]);
        else if (!drop_axis)
          ht_dims_append (&part, single ? 1 : HT_DIM_UNKNOWN, NULL);
      shape = ht_shape_new (part.dim, part.symbol, part.n);
      if (single)
        length = in.dim[axis];
    }
  HtDataType type = ht_infer_get_type (infer, 0);
  g_autoptr (HtElementType) element = type != HT_DATA_TYPE_UNDEFINED ? ht_element_type_new (type, shape, NULL) : NULL;
  ht_infer_set_output_list (infer, 0, HT_DATA_TYPE_SEQUENCE, length, element);
  return TRUE;
}

/* The lengths of the parts: as given, or as many equal ones as fit and a rest. */
static gboolean
read_lengths (const HtOpCall *call, gint64 total, GArray *lengths, GError **error)
{
  HtTensor *split = call->n_inputs > 1 ? call->inputs[1] : NULL;
  gint64 sum = 0;

  if (split && ht_tensor_get_n_dims (split) == 1)
    {
      if (ht_tensor_get_n_elements (split) > HT_SEQUENCE_MAX_LENGTH)
        return ht_op_fail (call, error, "%" G_GSIZE_FORMAT " lengths give a sequence of over %d tensors",
                           ht_tensor_get_n_elements (split), HT_SEQUENCE_MAX_LENGTH);
      for (gsize i = 0; i < ht_tensor_get_n_elements (split); i++)
        {
          gint64 length = ht_tensor_get_int64 (split, i);
          if (length < 0 || __builtin_add_overflow (sum, length, &sum))
            return ht_op_fail (call, error, "length %" G_GSIZE_FORMAT " is %" G_GINT64_FORMAT, i, length);
          g_array_append_val (lengths, length);
        }
      return sum == total
             || ht_op_fail (call, error,
                            "the lengths add up to %" G_GINT64_FORMAT ", the dimension is %" G_GINT64_FORMAT, sum,
                            total);
    }
  gint64 length = split ? ht_tensor_get_int64 (split, 0) : 1;
  if (length < 1)
    return ht_op_fail (call, error, "parts of length %" G_GINT64_FORMAT " are asked for, at least 1 is needed", length);
  if (total / length >= HT_SEQUENCE_MAX_LENGTH)
    return ht_op_fail (call, error, "%" G_GINT64_FORMAT " elements give a sequence of over %d tensors", total,
                       HT_SEQUENCE_MAX_LENGTH);
  for (; sum < total; sum += length)
    {
      gint64 part = MIN (length, total - sum);
      g_array_append_val (lengths, part);
    }
  return TRUE;
}

static HtTensor *
cut (HtTensor *in, guint axis, gint64 begin, gint64 length, gboolean drop_axis, GError **error)
{
  gint64 dims[HT_TENSOR_MAX_DIMS] = { 0 };
  guint rank, n = 0;
  const gint64 *all = ht_tensor_get_dims (in, &rank);

  for (guint i = 0; i < rank; i++)
    if (i != axis)
      dims[n++] = all[i];
    else if (!drop_axis)
      dims[n++] = length;
  HtTensor *part = ht_tensor_new (ht_tensor_get_data_type (in), dims, n, error);
  if (part)
    ht_split_part (in, axis, begin, part);
  return part;
}

static gboolean
split_forward (const HtOpCall *call, GError **error)
{
  HtTensor *in = call->inputs[0];
  gboolean drop_axis
      = (call->n_inputs < 2 || call->inputs[1] == NULL) && ht_node_get_int (call->node, "keepdims", 1) == 0;
  g_autoptr (GArray) lengths = g_array_new (FALSE, FALSE, sizeof (gint64));
  g_autoptr (GPtrArray) parts = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_tensor_unref);
  gint64 begin = 0;
  guint axis;

  if (!ht_op_check_movable (call, in, error) || !read_axis (call, ht_tensor_get_n_dims (in), &axis, error)
      || !read_lengths (call, ht_tensor_get_dim (in, axis), lengths, error))
    return FALSE;
  for (guint i = 0; i < lengths->len; i++)
    {
      gint64 length = g_array_index (lengths, gint64, i);
      HtTensor *part = cut (in, axis, begin, length, drop_axis, error);
      if (part == NULL)
        return FALSE;
      g_ptr_array_add (parts, part);
      begin += length;
    }
  call->outputs[0] = ht_tensor_new_list (HT_DATA_TYPE_SEQUENCE, (HtTensor *const *)parts->pdata, parts->len, error);
  return call->outputs[0] != NULL;
}

static gboolean
concat_infer (HtInfer *infer, GError **error)
{
  gboolean stack = ht_node_get_int (infer->node, "new_axis", 0) != 0;
  HtElementType *element = ht_infer_get_element (infer, 0);
  HtDims dims, out = { 0 };
  guint axis;

  if (!ht_infer_check_arity (infer, 1, 1, error) || !ht_infer_check_sequence (infer, 0, error))
    return FALSE;
  if (element == NULL)
    return TRUE;
  if (!ht_dims_read (element->shape, &dims) || dims.n + stack > HT_TENSOR_MAX_DIMS)
    {
      ht_infer_set_output (infer, 0, element->type, NULL);
      return TRUE;
    }
  if (!ht_infer_get_axis (infer, ht_node_get_int (infer->node, "axis", 0), dims.n + stack, &axis, error))
    return FALSE;
  for (guint i = 0; i < dims.n + stack; i++)
    if (i == axis)
      ht_dims_append (&out, stack ? ht_infer_get_length (infer, 0) : HT_DIM_UNKNOWN, NULL);
    else
      ht_dims_append (&out, dims.dim[i - (stack && i > axis)], dims.symbol[i - (stack && i > axis)]);
  ht_infer_put_dims (infer, 0, element->type, &out);
  return TRUE;
}

/* The dimensions of all tensors together; FALSE: they do not fit. */
static gboolean
join_dims (const HtOpCall *call, gboolean stack, gint64 *out, guint *n_out, guint *axis, GError **error)
{
  HtTensor *sequence = call->inputs[0];
  gsize n = ht_tensor_get_n_elements (sequence);
  guint rank;

  if (n == 0)
    return ht_op_fail (call, error, "the sequence is empty, so that the shape of the result is not known");
  HtTensor *first = ht_tensor_get_element (sequence, 0);
  const gint64 *like = ht_tensor_get_dims (first, &rank);
  if (rank + stack > HT_TENSOR_MAX_DIMS)
    return ht_op_fail (call, error, "the result would have %u dimensions, at most %d are possible", rank + 1,
                       HT_TENSOR_MAX_DIMS);
  *n_out = rank + stack;
  if (!ht_op_check_movable (call, first, error) || !read_axis (call, *n_out, axis, error))
    return FALSE;
  for (guint i = 0; i < *n_out; i++)
    out[i] = i == *axis ? (stack ? (gint64)n : 0) : like[i - (stack && i > *axis)];
  for (gsize k = 0; k < n; k++)
    {
      HtTensor *part = ht_tensor_get_element (sequence, k);
      gboolean fits
          = ht_tensor_get_n_dims (part) == rank && ht_tensor_get_data_type (part) == ht_tensor_get_data_type (first);
      for (guint i = 0; fits && i < rank; i++)
        fits = ht_tensor_get_dim (part, i) == like[i] || (!stack && i == *axis);
      if (!fits)
        {
          g_autofree char *found = ht_tensor_describe (part);
          g_autofree char *expected = ht_tensor_describe (first);
          return ht_op_fail (call, error,
                             "tensor %" G_GSIZE_FORMAT " of the sequence is %s, which does not fit the first, %s", k,
                             found, expected);
        }
      if (!stack)
        out[*axis] += ht_tensor_get_dim (part, *axis);
    }
  return TRUE;
}

static gboolean
concat_forward (const HtOpCall *call, GError **error)
{
  gboolean stack = ht_node_get_int (call->node, "new_axis", 0) != 0;
  gint64 dims[HT_TENSOR_MAX_DIMS] = { 0 }, begin = 0;
  guint rank = 0, axis = 0;

  if (!join_dims (call, stack, dims, &rank, &axis, error))
    return FALSE;
  HtTensor *first = ht_tensor_get_element (call->inputs[0], 0);
  g_autoptr (HtTensor) out = ht_tensor_new (ht_tensor_get_data_type (first), dims, rank, error);
  if (out == NULL)
    return FALSE;
  for (gsize k = 0; k < ht_tensor_get_n_elements (call->inputs[0]); k++)
    {
      HtTensor *part = ht_tensor_get_element (call->inputs[0], k);
      ht_join_part (out, axis, begin, part);
      begin += stack ? 1 : ht_tensor_get_dim (part, axis);
    }
  call->outputs[0] = g_steal_pointer (&out);
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "ConcatFromSequence", 11, HT_OP_MAKES_OUTPUTS | HT_OP_LISTS, concat_infer, concat_forward },
  { "", "SplitToSequence", 11, HT_OP_MAKES_OUTPUTS | HT_OP_LISTS, split_infer, split_forward },
};

void
ht_ops_register_sequence_split (void)
{
  HT_OPS_REGISTER (operators);
}
