/* SPDX-License-Identifier: MIT */
/* Values out of nothing: Constant, ConstantOfShape, Range. */
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <math.h>
#include <string.h>

/* The tensor that a Constant node holds in one of its forms. NULL with an error: none of them. */
static HtTensor *
constant_tensor (HtNode *node, GError **error)
{
  gsize n = 0;
  gint64 dim;

  if (ht_node_get_attribute_type (node, "value") == HT_ATTRIBUTE_TENSOR)
    return ht_tensor_ref (ht_node_get_tensor (node, "value"));
  switch (ht_node_get_attribute_type (node, "value_int"))
    {
    case HT_ATTRIBUTE_INT:
      {
        gint64 value = ht_node_get_int (node, "value_int", 0);
        g_autoptr (GBytes) bytes = g_bytes_new (&value, sizeof value);
        return ht_tensor_new_from_bytes (HT_DATA_TYPE_INT64, NULL, 0, bytes, error);
      }
    default:
      break;
    }
  if (ht_node_get_attribute_type (node, "value_float") == HT_ATTRIBUTE_FLOAT)
    return ht_tensor_new_scalar (ht_node_get_float (node, "value_float", 0.0), HT_DATA_TYPE_FLOAT, error);
  if (ht_node_get_attribute_type (node, "value_ints") == HT_ATTRIBUTE_INTS)
    {
      const gint64 *values = ht_node_get_ints (node, "value_ints", &n);
      return ht_tensor_new_int64s (values, n);
    }
  if (ht_node_get_attribute_type (node, "value_floats") == HT_ATTRIBUTE_FLOATS)
    {
      const float *values = ht_node_get_floats (node, "value_floats", &n);
      return ht_tensor_new_floats (values, n);
    }
  if (ht_node_get_attribute_type (node, "value_string") == HT_ATTRIBUTE_STRING)
    {
      const char *strings[] = { ht_node_get_string (node, "value_string", ""), NULL };
      return ht_tensor_new_strings (strings, NULL, 0, error);
    }
  if (ht_node_get_attribute_type (node, "value_strings") == HT_ATTRIBUTE_STRINGS)
    {
      const char *const *strings = ht_node_get_strings (node, "value_strings");
      dim = strings ? (gint64) g_strv_length ((char **) strings) : 0;
      return ht_tensor_new_strings (strings, &dim, 1, error);
    }
  return NULL;
}

static gboolean
constant_forward (const HtOpCall *call, GError **error)
{
  call->outputs[0] = constant_tensor (call->node, error);
  if (call->outputs[0] == NULL && (error == NULL || *error == NULL))
    return ht_op_fail (call, error, "found no value in a form that can be read (value, value_int, value_float, ...)");
  return call->outputs[0] != NULL;
}

static gboolean
constant_infer (HtInfer *infer, GError **error)
{
  if (!ht_infer_check_arity (infer, 0, 0, error))
    return FALSE;
  if (infer->outputs[0].constant == NULL)
    infer->outputs[0].constant = constant_tensor (infer->node, NULL);
  if (infer->outputs[0].constant == NULL && !ht_node_has_attribute (infer->node, "sparse_value"))
    return ht_infer_fail (infer, error, "found no attribute that gives its value, expected 'value' or 'value_…'");
  return TRUE;
}

/* Repeats one element of `size` bytes. */
static void
fill (gpointer out, gconstpointer element, gsize size, gsize n)
{
  if (n == 0 || size == 0)
    return;
  memcpy (out, element, size);
  for (gsize done = 1; done < n;)
    {
      gsize more = MIN (done, n - done);
      memcpy ((char *) out + done * size, out, more * size);
      done += more;
    }
}

static gboolean
constant_of_shape_forward (const HtOpCall *call, GError **error)
{
  HtTensor *out = call->outputs[0];
  HtTensor *value = ht_node_get_tensor (call->node, "value");
  gsize size = ht_element_size (ht_tensor_get_data_type (out));

  if (size == 0)
    return ht_op_fail_type (call, ht_tensor_get_data_type (out), error);
  if (ht_tensor_get_n_elements (out) == 0)
    return TRUE;
  if (value)
    fill (ht_tensor_get_writable_data (out), ht_tensor_get_data (value), size, ht_tensor_get_n_elements (out));
  else
    memset (ht_tensor_get_writable_data (out), 0, ht_tensor_get_size (out));
  return TRUE;
}

static gboolean
constant_of_shape_infer (HtInfer *infer, GError **error)
{
  HtTensor *value = ht_node_get_tensor (infer->node, "value");
  HtDataType type = value ? ht_tensor_get_data_type (value) : HT_DATA_TYPE_FLOAT;
  HtDims dims = { 0 }, shape;
  gsize n;

  if (!ht_infer_check_arity (infer, 1, 1, error) || !ht_infer_check_type (infer, 0, HT_TYPES_INDEX, error)
      || !ht_infer_check_rank (infer, 0, 1, 1, error))
    return FALSE;
  if (value && ht_tensor_get_n_elements (value) != 1)
    return ht_infer_fail (infer, error, "the attribute 'value' has %" G_GSIZE_FORMAT " elements, expected 1",
                          ht_tensor_get_n_elements (value));
  gboolean has_elements = ht_infer_value_has_elements (ht_infer_get_input (infer, 0), &n);
  if (!has_elements)
    {
      if (!ht_infer_read_dims (infer, 0, &shape) || shape.dim[0] < 0)
        {
          infer->outputs[0].type = type;
          return TRUE;
        }
      n = (gsize) shape.dim[0];
    }
  if (n > HT_TENSOR_MAX_DIMS)
    return ht_infer_fail (infer, error, "the shape has %" G_GSIZE_FORMAT " dimensions, at most %d are possible", n,
                          HT_TENSOR_MAX_DIMS);
  for (gsize i = 0; i < n; i++)
    {
      HtSymbolicInt element = ht_infer_value_get_element (ht_infer_get_input (infer, 0), i);
      if (element.known && element.value < 0)
        return ht_infer_fail (infer, error, "dimension %" G_GSIZE_FORMAT " would be %" G_GINT64_FORMAT, i,
                              element.value);
      ht_dims_append (&dims, element.known ? element.value : HT_DIM_UNKNOWN, element.symbol);
    }
  ht_infer_put_dims (infer, 0, type, &dims);
  return TRUE;
}

/* Range: max (ceil ((limit - start) / delta), 0) numbers */
static gint64
range_length (HtTensor *start, HtTensor *limit, HtTensor *delta)
{
  if (ht_data_type_is_float (ht_tensor_get_data_type (start)))
    {
      double n = ceil ((ht_tensor_get_double (limit, 0) - ht_tensor_get_double (start, 0))
                       / ht_tensor_get_double (delta, 0));
      return n > 0.0 ? n < 9e15 ? (gint64) n : -1 : n <= 0.0 ? 0 : -1;
    }
  gint64 step = ht_tensor_get_int64 (delta, 0), span;
  if (step == 0 || step == G_MININT64
      || __builtin_sub_overflow (ht_tensor_get_int64 (limit, 0), ht_tensor_get_int64 (start, 0), &span))
    return -1;
  if ((span > 0) != (step > 0) || span == 0)
    return 0;
  return span / step + (span % step != 0);
}

static gboolean
range_infer (HtInfer *infer, GError **error)
{
  gint64 n = HT_DIM_UNKNOWN;
  gboolean known = TRUE;

  if (!ht_infer_check_arity (infer, 3, 3, error))
    return FALSE;
  for (guint i = 0; i < 3; i++)
    {
      const HtInferValue *value = ht_infer_get_input (infer, i);
      if (!ht_infer_check_type (infer, i, HT_TYPES_NUMBER, error) || !ht_infer_check_same_type (infer, 0, i, error))
        return FALSE;
      if (value->constant && ht_tensor_get_n_elements (value->constant) != 1)
        return ht_infer_fail (infer, error, "input %u has %" G_GSIZE_FORMAT " elements, expected a scalar", i,
                              ht_tensor_get_n_elements (value->constant));
      known = known && value->constant;
    }
  if (known)
    {
      n = range_length (infer->inputs[0]->constant, infer->inputs[1]->constant, infer->inputs[2]->constant);
      if (n < 0)
        return ht_infer_fail (infer, error, "start, limit and delta give no number of elements (is delta zero?)");
    }
  else if (infer->inputs[0]->constant && infer->inputs[2]->constant
           && ht_tensor_get_double (infer->inputs[0]->constant, 0) == 0.0
           && ht_tensor_get_double (infer->inputs[2]->constant, 0) == 1.0)
    {
      HtSymbolicInt limit = ht_infer_value_get_element (infer->inputs[1], 0);
      const char *symbol = limit.symbol;
      ht_infer_set_output (infer, 0, ht_infer_get_type (infer, 0), ht_shape_new (&n, &symbol, 1));
      return TRUE;
    }
  ht_infer_set_output_dims (infer, 0, ht_infer_get_type (infer, 0), &n, 1);
  return TRUE;
}

#define RANGE(T)                                                                                                       \
  {                                                                                                                    \
    T start = *(const T *) ht_tensor_get_data (call->inputs[0]), delta = *(const T *) ht_tensor_get_data (call->inputs[2]); \
    T *data = ht_tensor_get_writable_data (out);                                                                       \
    for (gsize i = 0; i < n; i++)                                                                                      \
      data[i] = (T) (start + (T) i * delta);                                                                           \
    return TRUE;                                                                                                       \
  }

static gboolean
range_forward (const HtOpCall *call, GError **error)
{
  if (ht_op_is_half (call))
    return ht_op_widen (call, range_forward, error);
  HtTensor *out = call->outputs[0];
  gsize n = ht_tensor_get_n_elements (out);
  switch (ht_tensor_get_data_type (out))
    {
    case HT_DATA_TYPE_FLOAT:
      RANGE (float)
    case HT_DATA_TYPE_DOUBLE:
      RANGE (double)
    case HT_DATA_TYPE_INT16:
      RANGE (gint16)
    case HT_DATA_TYPE_INT32:
      RANGE (gint32)
    case HT_DATA_TYPE_INT64:
      RANGE (gint64)
    default:
      return ht_op_fail_type (call, ht_tensor_get_data_type (out), error);
    }
}

static const HtOperator operators[] = {
  { "", "Constant", 1, HT_OP_MAKES_OUTPUTS, constant_infer, constant_forward },
  { "", "ConstantOfShape", 9, HT_OP_NONE, constant_of_shape_infer, constant_of_shape_forward },
  { "", "Range", 11, HT_OP_NONE, range_infer, range_forward },
};

void
ht_ops_register_constant (void)
{
  HT_OPS_REGISTER (operators);
}
