/* SPDX-License-Identifier: MIT */
#include "ops/rules.h"

gboolean
ht_infer_check_arity (const HtInfer *infer, guint min, guint max, GError **error)
{
  if (infer->n_outputs == 0)
    return ht_infer_fail (infer, error, "found no output, at least one is required");
  if (max != 0 && infer->n_inputs > max)
    return ht_infer_fail (infer, error, "found %u inputs, at most %u are possible", infer->n_inputs, max);
  for (guint i = 0; i < min; i++)
    if (ht_infer_get_input (infer, i) == NULL)
      return ht_infer_fail (infer, error, "input %u is missing, %u are required", i, min);
  return TRUE;
}

gboolean
ht_infer_check_type (const HtInfer *infer, guint input, guint32 types, GError **error)
{
  HtDataType type = ht_infer_get_type (infer, input);
  if (type == HT_DATA_TYPE_UNDEFINED || ((guint) type < 32 && (types & (1u << type))))
    return TRUE;
  return ht_infer_fail (infer, error, "input %u ('%s') has element type %s, which this operator does not take", input,
                        ht_node_get_input (infer->node, input), ht_data_type_get_name (type));
}

gboolean
ht_infer_check_same_type (const HtInfer *infer, guint a, guint b, GError **error)
{
  HtDataType type_a = ht_infer_get_type (infer, a), type_b = ht_infer_get_type (infer, b);
  if (type_a == HT_DATA_TYPE_UNDEFINED || type_b == HT_DATA_TYPE_UNDEFINED || type_a == type_b)
    return TRUE;
  return ht_infer_fail (infer, error, "inputs %u and %u have element types %s and %s, they must be the same", a, b,
                        ht_data_type_get_name (type_a), ht_data_type_get_name (type_b));
}

gboolean
ht_infer_check_rank (const HtInfer *infer, guint input, guint min, guint max, GError **error)
{
  HtShape *shape = ht_infer_get_shape (infer, input);
  if (shape == NULL || (ht_shape_get_n_dims (shape) >= min && ht_shape_get_n_dims (shape) <= max))
    return TRUE;
  return ht_infer_fail (infer, error, "input %u ('%s') has %u dimensions, expected %u to %u", input,
                        ht_node_get_input (infer->node, input), ht_shape_get_n_dims (shape), min, max);
}

gboolean
ht_dims_read (HtShape *shape, HtDims *dims)
{
  dims->n = 0;
  if (shape == NULL || ht_shape_get_n_dims (shape) > HT_TENSOR_MAX_DIMS)
    return FALSE;
  dims->n = ht_shape_get_n_dims (shape);
  for (guint i = 0; i < dims->n; i++)
    {
      gint64 dim = ht_shape_get_dim (shape, i);
      dims->dim[i] = dim >= 0 ? dim : HT_DIM_UNKNOWN;
      dims->symbol[i] = dim >= 0 ? NULL : ht_shape_get_symbol (shape, i);
    }
  return TRUE;
}

gboolean
ht_infer_read_dims (const HtInfer *infer, guint input, HtDims *dims)
{
  return ht_dims_read (ht_infer_get_shape (infer, input), dims);
}

void
ht_infer_put_dims (HtInfer *infer, guint output, HtDataType type, const HtDims *dims)
{
  ht_infer_set_output (infer, output, type, ht_shape_new (dims->dim, dims->symbol, dims->n));
}

void
ht_infer_put_rank (HtInfer *infer, guint output, HtDataType type, guint rank)
{
  HtDims dims = { 0 };
  for (guint i = 0; i < rank; i++)
    ht_dims_append (&dims, HT_DIM_UNKNOWN, NULL);
  ht_infer_put_dims (infer, output, type, &dims);
}

void
ht_dims_append (HtDims *dims, gint64 dim, const char *symbol)
{
  g_return_if_fail (dims->n < HT_TENSOR_MAX_DIMS);
  dims->dim[dims->n] = dim;
  dims->symbol[dims->n] = dim >= 0 ? NULL : symbol;
  dims->n++;
}

gint64
ht_dims_product (const HtDims *dims, guint begin, guint end)
{
  gint64 product = 1;
  for (guint i = begin; i < end; i++)
    if (dims->dim[i] < 0 || __builtin_mul_overflow (product, dims->dim[i], &product))
      return HT_DIM_UNKNOWN;
  return product;
}

gboolean
ht_dims_is_static (const HtDims *dims)
{
  for (guint i = 0; i < dims->n; i++)
    if (dims->dim[i] < 0)
      return FALSE;
  return TRUE;
}

void
ht_infer_copy_input (HtInfer *infer, guint output, guint input, gboolean content)
{
  const HtInferValue *from = ht_infer_get_input (infer, input);
  if (from == NULL || output >= infer->n_outputs)
    return;
  ht_infer_set_output (infer, output, from->type, from->shape ? ht_shape_ref (from->shape) : NULL);
  HtInferValue *to = &infer->outputs[output];
  if (from->element && to->element == NULL)
    to->element = ht_element_type_ref (from->element);
  if (content && from->constant && to->constant == NULL)
    to->constant = ht_tensor_ref (from->constant);
  if (content && from->elements && to->elements == NULL)
    {
      to->elements = g_memdup2 (from->elements, MAX (from->n_elements, 1) * sizeof (HtSymbolicInt));
      to->n_elements = from->n_elements;
    }
}

gboolean
ht_axis_normalize (gint64 axis, guint rank, guint *normalized)
{
  if (axis < -(gint64) rank || axis >= (gint64) rank)
    return FALSE;
  *normalized = (guint) (axis < 0 ? axis + rank : axis);
  return TRUE;
}

gboolean
ht_infer_get_axis (const HtInfer *infer, gint64 axis, guint rank, guint *normalized, GError **error)
{
  if (ht_axis_normalize (axis, rank, normalized))
    return TRUE;
  return ht_infer_fail (infer, error, "axis %" G_GINT64_FORMAT " lies outside a tensor of %u dimensions", axis, rank);
}

gboolean
ht_infer_get_axes (const HtInfer *infer, guint input, guint rank, gboolean flags[HT_TENSOR_MAX_DIMS],
                   gboolean *given, gboolean *known, GError **error)
{
  g_autofree gint64 *from_input = NULL;
  gsize n = 0;
  const gint64 *axes;

  for (guint i = 0; i < HT_TENSOR_MAX_DIMS; i++)
    flags[i] = FALSE;
  *known = TRUE;
  if (ht_infer_get_input (infer, input))
    {
      *known = ht_infer_get_ints (infer, input, &from_input, &n);
      axes = from_input;
    }
  else
    {
      axes = ht_node_get_ints (infer->node, "axes", &n);
    }
  *given = !*known || n > 0;
  for (gsize i = 0; *known && i < n; i++)
    {
      guint axis = 0;
      if (!ht_infer_get_axis (infer, axes[i], rank, &axis, error))
        return FALSE;
      flags[axis] = TRUE;
    }
  return TRUE;
}

static gboolean
same_symbol (const char *a, const char *b)
{
  return a && b && g_str_equal (a, b);
}

gboolean
ht_infer_broadcast (const HtInfer *infer, const HtDims *a, const HtDims *b, HtDims *out, GError **error)
{
  HtDims result = { .n = MAX (a->n, b->n) };

  for (guint i = 0; i < result.n; i++)
    {
      gint64 ia = (gint64) i - (result.n - a->n), ib = (gint64) i - (result.n - b->n);
      gint64 da = ia >= 0 ? a->dim[ia] : 1, db = ib >= 0 ? b->dim[ib] : 1;
      const char *sa = ia >= 0 ? a->symbol[ia] : NULL, *sb = ib >= 0 ? b->symbol[ib] : NULL;
      if (da >= 0 && db >= 0 && da != db && da != 1 && db != 1)
        return ht_infer_fail (infer, error,
                              "dimension %u is %" G_GINT64_FORMAT " in one input and %" G_GINT64_FORMAT
                              " in another; broadcasting needs them equal, or one of them 1",
                              i, da, db);
      gboolean take_a = db == 1 || (da > 1 && db < 0) || da == 0 || same_symbol (sa, sb);
      gboolean take_b = da == 1 || (db > 1 && da < 0) || db == 0 || da == db;
      result.dim[i] = take_a ? da : take_b ? db : HT_DIM_UNKNOWN;
      result.symbol[i] = result.dim[i] >= 0 ? NULL : take_a ? sa : take_b ? sb : NULL;
      if (da < 0 && db < 0 && !same_symbol (sa, sb))
        result.symbol[i] = NULL;
    }
  *out = result;
  return TRUE;
}

gboolean
ht_infer_broadcast_inputs (const HtInfer *infer, guint first, guint last, HtDims *out, gboolean *known, GError **error)
{
  HtDims dims;
  *known = FALSE;
  out->n = 0;
  for (guint i = first; i < last; i++)
    {
      if (!ht_infer_read_dims (infer, i, &dims))
        return TRUE;
      if (!ht_infer_broadcast (infer, out, &dims, out, error))
        return FALSE;
    }
  *known = TRUE;
  return TRUE;
}

gboolean
ht_infer_same (HtInfer *infer, guint max_inputs, guint32 types, GError **error)
{
  if (!ht_infer_check_arity (infer, 1, max_inputs, error) || !ht_infer_check_type (infer, 0, types, error))
    return FALSE;
  ht_infer_copy_input (infer, 0, 0, FALSE);
  return TRUE;
}

gboolean
ht_infer_unary_float (HtInfer *infer, GError **error)
{
  return ht_infer_same (infer, 1, HT_TYPES_FLOAT, error);
}

gboolean
ht_infer_unary_number (HtInfer *infer, GError **error)
{
  return ht_infer_same (infer, 1, HT_TYPES_NUMBER, error);
}
