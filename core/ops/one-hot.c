/* SPDX-License-Identifier: MIT */
/* OneHot and NonZero: between indices and masks. */
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <string.h>

static gboolean
one_hot_infer (HtInfer *infer, GError **error)
{
  HtDims indices, out = { 0 };
  gint64 axis = ht_node_get_int (infer->node, "axis", -1);
  guint at = 0;

  if (!ht_infer_check_arity (infer, 3, 3, error) || !ht_infer_check_type (infer, 0, HT_TYPES_NUMBER, error)
      || !ht_infer_check_type (infer, 1, HT_TYPES_NUMBER, error))
    return FALSE;
  const HtInferValue *depth = ht_infer_get_input (infer, 1), *values = ht_infer_get_input (infer, 2);
  gint64 n = HT_DIM_UNKNOWN;
  if (depth->constant)
    {
      if (ht_tensor_get_n_elements (depth->constant) != 1)
        return ht_infer_fail (infer, error, "the depth has %" G_GSIZE_FORMAT " elements, expected 1",
                              ht_tensor_get_n_elements (depth->constant));
      n = ht_tensor_get_int64 (depth->constant, 0);
      if (n < 0)
        return ht_infer_fail (infer, error, "the depth is %" G_GINT64_FORMAT, n);
    }
  HtDims two;
  if (ht_infer_read_dims (infer, 2, &two) && ht_dims_is_static (&two) && (two.n != 1 || two.dim[0] != 2))
    return ht_infer_fail (infer, error, "the values have another shape than [2]");
  infer->outputs[0].type = values->type;
  if (!ht_infer_read_dims (infer, 0, &indices))
    return TRUE;
  if (indices.n == HT_TENSOR_MAX_DIMS)
    return ht_infer_fail (infer, error, "the result would have more than %d dimensions", HT_TENSOR_MAX_DIMS);
  if (!ht_infer_get_axis (infer, axis, indices.n + 1, &at, error))
    return FALSE;
  for (guint i = 0; i <= indices.n; i++)
    {
      guint from = i < at ? i : i - 1;
      ht_dims_append (&out, i == at ? n : indices.dim[from], i == at ? NULL : indices.symbol[from]);
    }
  ht_infer_put_dims (infer, 0, values->type, &out);
  return TRUE;
}

static gboolean
one_hot_forward (const HtOpCall *call, GError **error)
{
  HtTensor *indices = call->inputs[0], *values = call->inputs[2], *out = call->outputs[0];
  guint rank, axis;
  const gint64 *dims = ht_tensor_get_dims (out, &rank);
  gsize size = ht_element_size (ht_tensor_get_data_type (values)), inner = 1;

  if (!ht_op_check_movable (call, values, error))
    return FALSE;
  if (!ht_axis_normalize (ht_node_get_int (call->node, "axis", -1), rank, &axis))
    return ht_op_fail (call, error, "the axis lies outside %u dimensions", rank);
  if (ht_tensor_get_n_elements (out) == 0)
    return TRUE;
  for (guint i = axis + 1; i < rank; i++)
    inner *= (gsize) dims[i];
  const char *off = ht_tensor_get_data (values), *on = off + size;
  char *to = ht_tensor_get_writable_data (out);
  gsize depth = (gsize) dims[axis], n = ht_tensor_get_n_elements (indices);
  for (gsize i = 0; i < n * depth; i++)
    memcpy (to + i * size, off, size);
  for (gsize i = 0; i < n; i++)
    {
      gint64 index = ht_tensor_get_int64 (indices, i);
      if (index < 0)
        index += (gint64) depth;
      if (index >= 0 && index < (gint64) depth) /* others are all off */
        memcpy (to + ((i / inner * depth + (gsize) index) * inner + i % inner) * size, on, size);
    }
  return TRUE;
}

static gboolean
non_zero_infer (HtInfer *infer, GError **error)
{
  HtDims in;
  if (!ht_infer_check_arity (infer, 1, 1, error))
    return FALSE;
  ht_infer_put_rank (infer, 0, HT_DATA_TYPE_INT64, 2);
  if (ht_infer_read_dims (infer, 0, &in))
    {
      gint64 dims[] = { in.n, HT_DIM_UNKNOWN };
      ht_infer_set_output_dims (infer, 0, HT_DATA_TYPE_INT64, dims, 2);
    }
  return TRUE;
}

static gboolean
non_zero_forward (const HtOpCall *call, GError **error)
{
  HtTensor *in = call->inputs[0];
  guint rank;
  const gint64 *dims = ht_tensor_get_dims (in, &rank);
  gsize n = ht_tensor_get_n_elements (in), count = 0, at = 0;

  if (!ht_op_check_movable (call, in, error))
    return FALSE;
  for (gsize i = 0; i < n; i++)
    count += ht_tensor_get_double (in, i) != 0.0;
  gint64 out_dims[] = { rank, (gint64) count };
  g_autoptr (HtTensor) out = ht_tensor_new (HT_DATA_TYPE_INT64, out_dims, 2, error);
  if (out == NULL)
    return FALSE;
  gint64 *to = ht_tensor_get_writable_data (out);
  for (gsize i = 0; i < n; i++)
    {
      gsize rest = i;
      if (ht_tensor_get_double (in, i) == 0.0)
        continue;
      for (guint d = rank; d-- > 0;)
        {
          to[d * count + at] = (gint64) (rest % (gsize) dims[d]);
          rest /= (gsize) dims[d];
        }
      at++;
    }
  call->outputs[0] = g_steal_pointer (&out);
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "OneHot", 9, HT_OP_NONE, one_hot_infer, one_hot_forward },
  { "", "NonZero", 9, HT_OP_MAKES_OUTPUTS, non_zero_infer, non_zero_forward },
};

void
ht_ops_register_one_hot (void)
{
  HT_OPS_REGISTER (operators);
}
