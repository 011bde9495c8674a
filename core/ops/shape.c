/* SPDX-License-Identifier: MIT */
/* Operators that ask for or change the shape and leave the data alone: Shape Size Reshape Flatten Squeeze Unsqueeze
 * Identity. */
#include "graph/tensor-private.h"
#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <string.h>

/* The slice [start, end) of the dimensions that Shape reports. */
static void
shape_bounds (HtNode *node, guint rank, guint *start, guint *end)
{
  gint64 from = ht_node_get_int (node, "start", 0), to = ht_node_get_int (node, "end", rank);
  from = CLAMP (from < 0 ? from + (gint64) rank : from, 0, (gint64) rank);
  to = CLAMP (to < 0 ? to + (gint64) rank : to, 0, (gint64) rank);
  *start = (guint) from;
  *end = (guint) MAX (from, to);
}

static gboolean
shape_infer (HtInfer *infer, GError **error)
{
  HtDims dims;
  guint start, end;

  if (!ht_infer_check_arity (infer, 1, 1, error))
    return FALSE;
  if (!ht_infer_read_dims (infer, 0, &dims))
    {
      ht_infer_put_rank (infer, 0, HT_DATA_TYPE_INT64, 1);
      return TRUE;
    }
  shape_bounds (infer->node, dims.n, &start, &end);
  gint64 n = (gint64) end - start;
  ht_infer_set_output_dims (infer, 0, HT_DATA_TYPE_INT64, &n, 1);
  HtSymbolicInt *elements = g_new0 (HtSymbolicInt, MAX (n, 1));
  for (guint i = start; i < end; i++)
    {
      elements[i - start].known = dims.dim[i] >= 0;
      elements[i - start].value = MAX (dims.dim[i], 0);
      elements[i - start].symbol = dims.symbol[i] ? g_intern_string (dims.symbol[i]) : NULL;
    }
  g_free (infer->outputs[0].elements);
  infer->outputs[0].elements = elements;
  infer->outputs[0].n_elements = (gsize) n;
  return TRUE;
}

static gboolean
shape_forward (const HtOpCall *call, GError **error)
{
  guint start, end, n_dims;
  const gint64 *dims = ht_tensor_get_dims (call->inputs[0], &n_dims);
  shape_bounds (call->node, n_dims, &start, &end);
  if (end > start)
    memcpy (ht_tensor_get_writable_data (call->outputs[0]), dims + start, (end - start) * sizeof (gint64));
  return TRUE;
}

static gboolean
size_infer (HtInfer *infer, GError **error)
{
  HtDims dims;
  if (!ht_infer_check_arity (infer, 1, 1, error))
    return FALSE;
  ht_infer_set_output_dims (infer, 0, HT_DATA_TYPE_INT64, NULL, 0);
  if (!ht_infer_read_dims (infer, 0, &dims))
    return TRUE;
  HtSymbolicInt *elements = g_new0 (HtSymbolicInt, 1);
  gint64 product = ht_dims_product (&dims, 0, dims.n);
  elements->known = product >= 0;
  elements->value = MAX (product, 0);
  g_free (infer->outputs[0].elements);
  infer->outputs[0].elements = elements;
  infer->outputs[0].n_elements = 1;
  return TRUE;
}

static gboolean
size_forward (const HtOpCall *call, GError **error)
{
  *(gint64 *) ht_tensor_get_writable_data (call->outputs[0]) = (gint64) ht_tensor_get_n_elements (call->inputs[0]);
  return TRUE;
}

/* The number of elements of `in` divided by that of `out` without dimension `skip`, where symbols cancel. The result is a
 * number, a symbol, or unknown (-1). */
static void
divide_sizes (const HtDims *in, const HtDims *out, guint skip, gint64 *dim, const char **symbol)
{
  gboolean used[HT_TENSOR_MAX_DIMS] = { FALSE };
  gint64 numerator = 1, denominator = 1;
  const char *left = NULL;
  guint n_left = 0;

  *dim = HT_DIM_UNKNOWN;
  *symbol = NULL;
  for (guint i = 0; i < out->n; i++)
    {
      gboolean found = out->dim[i] >= 0 || i == skip;
      if (i == skip)
        continue;
      if (out->dim[i] >= 0 && __builtin_mul_overflow (denominator, out->dim[i], &denominator))
        return;
      for (guint k = 0; !found && out->symbol[i] && k < in->n; k++)
        if (!used[k] && in->symbol[k] && g_str_equal (in->symbol[k], out->symbol[i]))
          used[k] = found = TRUE;
      if (!found)
        return;
    }
  for (guint k = 0; k < in->n; k++)
    {
      if (in->dim[k] >= 0 && __builtin_mul_overflow (numerator, in->dim[k], &numerator))
        return;
      if (in->dim[k] < 0 && !used[k])
        {
          left = in->symbol[k];
          n_left++;
        }
    }
  if (denominator == 0 || numerator % denominator != 0)
    return;
  if (n_left == 0)
    *dim = numerator / denominator;
  else if (n_left == 1 && numerator == denominator)
    *symbol = left;
}

/* Reads the requested dimensions: numbers, symbols, copied (0) and one to compute (-1, at *inferred). */
static gboolean
read_target (const HtInfer *infer, const HtDims *in, gboolean in_known, gsize n, HtDims *out, gint *inferred,
             GError **error)
{
  const HtInferValue *shape = ht_infer_get_input (infer, 1);
  gboolean allow_zero = ht_node_get_int (infer->node, "allowzero", 0) != 0;

  out->n = 0;
  *inferred = -1;
  for (gsize i = 0; i < n; i++)
    {
      HtSymbolicInt element = ht_infer_value_get_element (shape, i);
      if (!element.known)
        ht_dims_append (out, HT_DIM_UNKNOWN, element.symbol);
      else if (element.value == 0 && !allow_zero)
        {
          if (in_known && i >= in->n)
            return ht_infer_fail (infer, error, "dimension %" G_GSIZE_FORMAT
                                  " is 0 (copy), but the input has only %u dimensions", i, in->n);
          ht_dims_append (out, in_known ? in->dim[i] : HT_DIM_UNKNOWN, in_known ? in->symbol[i] : NULL);
        }
      else if (element.value == -1)
        {
          if (*inferred >= 0)
            return ht_infer_fail (infer, error, "the shape holds -1 more than once");
          *inferred = (gint) i;
          ht_dims_append (out, HT_DIM_UNKNOWN, NULL);
        }
      else if (element.value < 0)
        return ht_infer_fail (infer, error, "dimension %" G_GSIZE_FORMAT " is %" G_GINT64_FORMAT, i, element.value);
      else
        ht_dims_append (out, element.value, NULL);
    }
  return TRUE;
}

static gboolean
check_reshape (const HtInfer *infer, const HtDims *in, const HtDims *out, GError **error)
{
  gint64 from = ht_dims_product (in, 0, in->n), to = ht_dims_product (out, 0, out->n);
  if (from < 0 || !ht_dims_is_static (out) || from == to)
    return TRUE;
  return ht_infer_fail (infer, error, "%" G_GINT64_FORMAT " elements cannot take a shape of %" G_GINT64_FORMAT, from,
                        to);
}

static gboolean
reshape_infer (HtInfer *infer, GError **error)
{
  HtDims in, out, shape;
  gsize n;
  gint inferred;

  if (!ht_infer_check_arity (infer, 2, 2, error) || !ht_infer_check_type (infer, 1, HT_TYPES_INDEX, error)
      || !ht_infer_check_rank (infer, 1, 1, 1, error))
    return FALSE;
  HtDataType type = ht_infer_get_type (infer, 0);
  infer->outputs[0].type = type;
  gboolean in_known = ht_infer_read_dims (infer, 0, &in);
  if (!ht_infer_value_has_elements (ht_infer_get_input (infer, 1), &n))
    {
      if (ht_infer_read_dims (infer, 1, &shape) && shape.dim[0] >= 0 && shape.dim[0] <= HT_TENSOR_MAX_DIMS)
        ht_infer_put_rank (infer, 0, type, (guint) shape.dim[0]);
      return TRUE;
    }
  if (n > HT_TENSOR_MAX_DIMS)
    return ht_infer_fail (infer, error, "the shape has %" G_GSIZE_FORMAT " dimensions, at most %d are possible", n,
                          HT_TENSOR_MAX_DIMS);
  if (!read_target (infer, &in, in_known, n, &out, &inferred, error))
    return FALSE;
  guint n_unknown = 0, unknown = 0;
  for (guint i = 0; i < out.n; i++)
    if (out.dim[i] < 0 && out.symbol[i] == NULL)
      {
        unknown = i;
        n_unknown++;
      }
  if (in_known && (inferred >= 0 || n_unknown == 1))
    divide_sizes (&in, &out, inferred >= 0 ? (guint) inferred : unknown, &out.dim[inferred >= 0 ? (guint) inferred : unknown],
                  &out.symbol[inferred >= 0 ? (guint) inferred : unknown]);
  if (in_known && inferred >= 0 && out.dim[inferred] < 0 && ht_dims_is_static (&in)
      && ht_dims_product (&out, 0, (guint) inferred) >= 0
      && ht_dims_product (&out, (guint) inferred + 1, out.n) >= 0)
    return ht_infer_fail (infer, error, "%" G_GINT64_FORMAT " elements cannot be divided to find the -1",
                          ht_dims_product (&in, 0, in.n));
  if (in_known && !check_reshape (infer, &in, &out, error))
    return FALSE;
  ht_infer_put_dims (infer, 0, type, &out);
  return TRUE;
}

/* Product of dimensions as one dimension: a number, a lone symbol, or unknown. */
static void
append_product (HtDims *out, const HtDims *in, guint begin, guint end)
{
  gint64 product = 1;
  const char *symbol = NULL;
  guint n_symbols = 0;
  for (guint i = begin; i < end; i++)
    {
      if (in->dim[i] < 0)
        {
          symbol = in->symbol[i];
          n_symbols++;
        }
      else if (__builtin_mul_overflow (product, in->dim[i], &product))
        {
          n_symbols = 2;
          product = 1;
        }
    }
  if (n_symbols == 0)
    ht_dims_append (out, product, NULL);
  else
    ht_dims_append (out, HT_DIM_UNKNOWN, n_symbols == 1 && product == 1 ? symbol : NULL);
}

static gboolean
flatten_infer (HtInfer *infer, GError **error)
{
  HtDims in, out = { 0 };
  gint64 axis = ht_node_get_int (infer->node, "axis", 1);

  if (!ht_infer_check_arity (infer, 1, 1, error))
    return FALSE;
  if (!ht_infer_read_dims (infer, 0, &in))
    {
      ht_infer_put_rank (infer, 0, ht_infer_get_type (infer, 0), 2);
      return TRUE;
    }
  if (axis < -(gint64) in.n || axis > (gint64) in.n)
    return ht_infer_fail (infer, error, "axis %" G_GINT64_FORMAT " lies outside a tensor of %u dimensions", axis, in.n);
  guint split = (guint) (axis < 0 ? axis + in.n : axis);
  append_product (&out, &in, 0, split);
  append_product (&out, &in, split, in.n);
  ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &out);
  return TRUE;
}

static gboolean
squeeze_infer (HtInfer *infer, GError **error)
{
  HtDims in, out = { 0 };
  gboolean flags[HT_TENSOR_MAX_DIMS], given, known;

  if (!ht_infer_check_arity (infer, 1, infer->opset >= 13 ? 2 : 1, error))
    return FALSE;
  infer->outputs[0].type = ht_infer_get_type (infer, 0);
  if (!ht_infer_read_dims (infer, 0, &in))
    return TRUE;
  if (!ht_infer_get_axes (infer, 1, in.n, flags, &given, &known, error))
    return FALSE;
  if (!known)
    return TRUE;
  for (guint i = 0; i < in.n; i++)
    {
      if (!given && in.dim[i] < 0)
        return TRUE; /* which dimensions are 1 is not known */
      if (given && flags[i] && in.dim[i] >= 0 && in.dim[i] != 1)
        return ht_infer_fail (infer, error, "dimension %u is %" G_GINT64_FORMAT ", only 1 can be squeezed", i,
                              in.dim[i]);
      if (given ? !flags[i] : in.dim[i] != 1)
        ht_dims_append (&out, in.dim[i], in.symbol[i]);
    }
  ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &out);
  return TRUE;
}

static gboolean
unsqueeze_infer (HtInfer *infer, GError **error)
{
  HtDims in, out = { 0 };
  gboolean flags[HT_TENSOR_MAX_DIMS] = { FALSE };
  g_autofree gint64 *from_input = NULL;
  const gint64 *axes;
  gsize n = 0;

  if (!ht_infer_check_arity (infer, infer->opset >= 13 ? 2 : 1, infer->opset >= 13 ? 2 : 1, error))
    return FALSE;
  infer->outputs[0].type = ht_infer_get_type (infer, 0);
  if (infer->opset >= 13)
    {
      if (!ht_infer_get_ints (infer, 1, &from_input, &n))
        return TRUE;
      axes = from_input;
    }
  else
    {
      axes = ht_node_get_ints (infer->node, "axes", &n);
    }
  if (!ht_infer_read_dims (infer, 0, &in))
    return TRUE;
  if (n > HT_TENSOR_MAX_DIMS - in.n)
    return ht_infer_fail (infer, error, "the result would have more than %d dimensions", HT_TENSOR_MAX_DIMS);
  guint rank = in.n + (guint) n;
  for (gsize i = 0; i < n; i++)
    {
      guint axis = 0;
      if (!ht_infer_get_axis (infer, axes[i], rank, &axis, error))
        return FALSE;
      if (flags[axis])
        return ht_infer_fail (infer, error, "axis %" G_GINT64_FORMAT " is given twice", axes[i]);
      flags[axis] = TRUE;
    }
  for (guint i = 0, from = 0; i < rank; i++)
    if (flags[i])
      ht_dims_append (&out, 1, NULL);
    else
      {
        ht_dims_append (&out, in.dim[from], in.symbol[from]);
        from++;
      }
  ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &out);
  return TRUE;
}

static gboolean
identity_infer (HtInfer *infer, GError **error)
{
  if (!ht_infer_check_arity (infer, 1, 1, error))
    return FALSE;
  ht_infer_copy_input (infer, 0, 0, TRUE);
  return TRUE;
}

static gboolean
identity_forward (const HtOpCall *call, GError **error)
{
  if (!ht_data_type_is_list (ht_tensor_get_data_type (call->inputs[0])))
    return ht_op_copy_through (call, error);
  call->outputs[0] = ht_tensor_ref (call->inputs[0]);
  return TRUE;
}

#define VIEW (HT_OP_VIEW | HT_OP_KEEPS_GRID)
static const HtOperator operators[] = {
  { "", "Shape", 1, HT_OP_NONE, shape_infer, shape_forward },
  { "", "Size", 1, HT_OP_NONE, size_infer, size_forward },
  { "", "Reshape", 5, VIEW, reshape_infer, ht_op_copy_through, ht_backward_pass,
    .moved_inputs = HT_OP_MOVES_INPUT (0) },
  { "", "Flatten", 1, VIEW, flatten_infer, ht_op_copy_through, ht_backward_pass,
    .moved_inputs = HT_OP_MOVES_INPUT (0) },
  { "", "Squeeze", 1, VIEW, squeeze_infer, ht_op_copy_through, ht_backward_pass,
    .moved_inputs = HT_OP_MOVES_INPUT (0) },
  { "", "Unsqueeze", 1, VIEW, unsqueeze_infer, ht_op_copy_through, ht_backward_pass,
    .moved_inputs = HT_OP_MOVES_INPUT (0) },
  { "", "Identity", 1, VIEW | HT_OP_LISTS, identity_infer, identity_forward, ht_backward_pass,
    .moved_inputs = HT_OP_MOVES_INPUT (0) },
};

void
ht_ops_register_shape (void)
{
  HT_OPS_REGISTER (operators);
}
