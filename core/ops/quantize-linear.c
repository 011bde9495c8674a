/* SPDX-License-Identifier: MIT */
/* QuantizeLinear and DequantizeLinear: per tensor, per axis and in blocks along an axis. Halves are rounded to even. */
#include "graph/tensor-private.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <math.h>
#include <string.h>

#define HT_TYPES_CODE                                                                                                  \
  (HT_TYPE_BIT (INT8) | HT_TYPE_BIT (UINT8) | HT_TYPE_BIT (INT16) | HT_TYPE_BIT (UINT16) | HT_TYPE_BIT (INT4)          \
   | HT_TYPE_BIT (UINT4) | HT_TYPE_BIT (INT2) | HT_TYPE_BIT (UINT2) | HT_TYPE_BIT (FLOAT4E2M1) | HT_TYPES_FLOAT8)

/* Which scale belongs to which element: x is [outer, channels, inner]. */
typedef struct
{
  gsize outer, channels, inner;
  gsize block; /* elements along the axis that share a scale; 0: no blocks */
  gsize n_blocks;
  gboolean per_tensor;
} Layout;

/* The axis matters unless there is one scale. */
static gboolean
check_scale (const HtInfer *infer, GError **error)
{
  HtDims x, scale, zero;
  guint axis = 0;
  gint64 block = ht_node_get_int (infer->node, "block_size", 0);

  if (block < 0)
    return ht_infer_fail (infer, error, "the attribute 'block_size' is %" G_GINT64_FORMAT, block);
  if (!ht_infer_read_dims (infer, 0, &x) || !ht_infer_read_dims (infer, 1, &scale))
    return TRUE;
  if (ht_infer_read_dims (infer, 2, &zero) && ht_dims_is_static (&zero) && ht_dims_is_static (&scale)
      && ht_dims_product (&zero, 0, zero.n) != ht_dims_product (&scale, 0, scale.n))
    return ht_infer_fail (infer, error, "scale and zero point have different shapes");
  if (block == 0 && ht_dims_product (&scale, 0, scale.n) == 1 && scale.n <= 1)
    return TRUE;
  if (block == 0 && scale.n != 1)
    return ht_infer_fail (infer, error, "the scale has %u dimensions, expected 0 or 1 without 'block_size'", scale.n);
  if (!ht_infer_get_axis (infer, ht_node_get_int (infer->node, "axis", 1), x.n, &axis, error))
    return FALSE;
  if (block == 0)
    {
      if (scale.dim[0] >= 0 && x.dim[axis] >= 0 && scale.dim[0] != x.dim[axis])
        return ht_infer_fail (infer, error, "%" G_GINT64_FORMAT " scales are given for %" G_GINT64_FORMAT
                              " channels of axis %u", scale.dim[0], x.dim[axis], axis);
      return TRUE;
    }
  if (scale.n != x.n)
    return ht_infer_fail (infer, error, "the scale has %u dimensions, expected %u as the input", scale.n, x.n);
  for (guint i = 0; i < x.n; i++)
    {
      gint64 expected = i == axis && x.dim[i] >= 0 ? x.dim[i] / block + (x.dim[i] % block != 0) : x.dim[i];
      if (scale.dim[i] >= 0 && expected >= 0 && scale.dim[i] != expected)
        return ht_infer_fail (infer, error, "dimension %u of the scale is %" G_GINT64_FORMAT ", expected %"
                              G_GINT64_FORMAT, i, scale.dim[i], expected);
    }
  return TRUE;
}

static HtDataType
attribute_type (HtNode *node, HtDataType fallback)
{
  gint64 type = ht_node_get_int (node, "output_dtype", 0);
  return type > 0 && type <= HT_DATA_TYPE_INT2 ? (HtDataType) type : fallback;
}

static gboolean
quantize_infer (HtInfer *infer, GError **error)
{
  if (!ht_infer_check_arity (infer, 2, 3, error)
      || !ht_infer_check_type (infer, 0, HT_TYPES_FLOAT | HT_TYPE_BIT (INT32), error)
      || !ht_infer_check_type (infer, 1, HT_TYPES_FLOAT | HT_TYPE_BIT (INT32) | HT_TYPE_BIT (FLOAT8E8M0), error)
      || !ht_infer_check_type (infer, 2, HT_TYPES_CODE, error) || !check_scale (infer, error))
    return FALSE;
  HtDataType type = attribute_type (infer->node, HT_DATA_TYPE_UINT8);
  if (ht_infer_get_input (infer, 2))
    type = ht_infer_get_type (infer, 2);
  if (type != HT_DATA_TYPE_UNDEFINED && !(HT_TYPES_CODE & (1u << type)))
    return ht_infer_fail (infer, error, "the output type %s is no quantized type", ht_data_type_get_name (type));
  ht_infer_copy_input (infer, 0, 0, FALSE);
  infer->outputs[0].type = type;
  return TRUE;
}

static gboolean
dequantize_infer (HtInfer *infer, GError **error)
{
  if (!ht_infer_check_arity (infer, 2, 3, error)
      || !ht_infer_check_type (infer, 0, HT_TYPES_CODE | HT_TYPE_BIT (INT32), error)
      || !ht_infer_check_type (infer, 1, HT_TYPES_FLOAT | HT_TYPE_BIT (FLOAT8E8M0), error)
      || !ht_infer_check_same_type (infer, 0, 2, error) || !check_scale (infer, error))
    return FALSE;
  ht_infer_copy_input (infer, 0, 0, FALSE);
  infer->outputs[0].type = attribute_type (infer->node, ht_infer_get_type (infer, 1));
  return TRUE;
}

static gboolean
read_layout (const HtOpCall *call, Layout *layout)
{
  guint rank, axis = 0;
  HtTensor *scale = call->inputs[1];
  const gint64 *dims = ht_tensor_get_dims (call->inputs[0], &rank);
  gint64 block = ht_node_get_int (call->node, "block_size", 0);

  *layout = (Layout) { 1, 1, 1, (gsize) block, 1, block == 0 && ht_tensor_get_n_elements (scale) == 1 };
  if (layout->per_tensor)
    {
      layout->inner = ht_tensor_get_n_elements (call->inputs[0]);
      return TRUE;
    }
  if (!ht_axis_normalize (ht_node_get_int (call->node, "axis", 1), rank, &axis))
    return FALSE;
  for (guint i = 0; i < rank; i++)
    *(i < axis ? &layout->outer : i == axis ? &layout->channels : &layout->inner) *= (gsize) dims[i];
  if (block > 0)
    layout->n_blocks = (gsize) ht_tensor_get_dim (scale, axis);
  return TRUE;
}

typedef struct
{
  Layout layout;
  HtDataType in_type, out_type;
  gconstpointer in;
  gpointer out;
  const float *scale;
  const double *zero; /* NULL: none */
  double low, high;
  HtDataType precision; /* of the quotient: FLOAT, FLOAT16 or BFLOAT16 */
} Work;

static gsize
scale_index (const Layout *layout, gsize row, gsize i)
{
  gsize outer = row / layout->channels, channel = row % layout->channels;
  if (layout->per_tensor)
    return 0;
  return layout->block ? (outer * layout->n_blocks + channel / layout->block) * layout->inner + i : channel;
}

/* x / scale in the precision that the node asks for: halves through the nearest code of their type. */
static inline float
divide (const Work *work, float x, gsize k)
{
  float quotient = x / work->scale[k];
  guint16 code = 0;
  if (work->precision == HT_DATA_TYPE_FLOAT)
    return quotient;
  ht_scalar_store (work->precision, &code, 0, quotient);
  return (float) ht_scalar_load (work->precision, &code, 0);
}

static inline double
quantize_one (const Work *work, float x, gsize k)
{
  float q = rintf (divide (work, x, k));
  double code = (double) q + (work->zero ? work->zero[k] : 0.0);
  return code < work->low ? work->low : code > work->high ? work->high : code == code ? code : 0.0;
}

/* Items are rows of `inner` elements; a per-tensor layout has one row, cut into runs instead. */
static void
find_span (const Layout *layout, gsize *begin, gsize *end, gsize *first, gsize *last)
{
  *first = layout->per_tensor ? *begin : 0;
  *last = layout->per_tensor ? *end : layout->inner;
  if (layout->per_tensor)
    {
      *begin = 0;
      *end = 1;
    }
}

static void
quantize_rows (gsize begin, gsize end, gpointer user_data)
{
  const Work *work = user_data;
  gsize inner = work->layout.inner, first, last;

  find_span (&work->layout, &begin, &end, &first, &last);
  for (gsize row = begin; row < end; row++)
    for (gsize i = first; i < last; i++)
      {
        gsize at = row * inner + i;
        float x = work->in_type == HT_DATA_TYPE_FLOAT ? ((const float *) work->in)[at]
                                                      : (float) ht_scalar_load (work->in_type, work->in, at);
        double code = quantize_one (work, x, scale_index (&work->layout, row, i));
        if (work->out_type == HT_DATA_TYPE_INT8)
          ((gint8 *) work->out)[at] = (gint8) code;
        else if (work->out_type == HT_DATA_TYPE_UINT8)
          ((guint8 *) work->out)[at] = (guint8) code;
        else
          ht_scalar_store (work->out_type, work->out, at, code);
      }
}

/* Codes of 8-bit and 4-bit floats: the quotient, converted. */
static void
divide_rows (gsize begin, gsize end, gpointer user_data)
{
  const Work *work = user_data;
  gsize inner = work->layout.inner;
  for (gsize row = begin; row < end; row++)
    for (gsize i = 0; i < inner; i++)
      {
        gsize at = row * inner + i, k = scale_index (&work->layout, row, i);
        ((float *) work->out)[at] = divide (work, (float) ht_scalar_load (work->in_type, work->in, at), k)
                                    + (float) (work->zero ? work->zero[k] : 0.0);
      }
}

static void
dequantize_rows (gsize begin, gsize end, gpointer user_data)
{
  const Work *work = user_data;
  gsize inner = work->layout.inner, first, last;

  find_span (&work->layout, &begin, &end, &first, &last);
  for (gsize row = begin; row < end; row++)
    for (gsize i = first; i < last; i++)
      {
        gsize at = row * inner + i, k = scale_index (&work->layout, row, i);
        double code = work->in_type == HT_DATA_TYPE_INT8    ? ((const gint8 *) work->in)[at]
                      : work->in_type == HT_DATA_TYPE_UINT8 ? ((const guint8 *) work->in)[at]
                                                            : ht_scalar_load (work->in_type, work->in, at);
        ((float *) work->out)[at] = (float) (code - (work->zero ? work->zero[k] : 0.0)) * work->scale[k];
      }
}

static gboolean
code_range (HtDataType type, double *low, double *high)
{
  guint bits = ht_data_type_get_bits (type);
  switch (type)
    {
    case HT_DATA_TYPE_UINT8:
    case HT_DATA_TYPE_UINT16:
    case HT_DATA_TYPE_UINT4:
    case HT_DATA_TYPE_UINT2:
      *low = 0.0;
      *high = exp2 (bits) - 1.0;
      return TRUE;
    case HT_DATA_TYPE_INT8:
    case HT_DATA_TYPE_INT16:
    case HT_DATA_TYPE_INT4:
    case HT_DATA_TYPE_INT2:
      *low = -exp2 (bits - 1);
      *high = exp2 (bits - 1) - 1.0;
      return TRUE;
    default:
      return FALSE;
    }
}

static double *
read_zero_points (HtTensor *tensor)
{
  gsize n = ht_tensor_get_n_elements (tensor);
  double *values = g_new (double, MAX (n, 1));
  for (gsize i = 0; i < n; i++)
    values[i] = ht_tensor_get_double (tensor, i);
  return values;
}

static void
run_rows (const Work *work, HtRangeFunc rows)
{
  const Layout *layout = &work->layout;
  gboolean packed = ht_element_size (work->out_type) == 0;
  gsize items = layout->per_tensor ? layout->inner : layout->outer * layout->channels;
  if (packed) /* neighbours share a byte */
    rows (0, items, (gpointer) work);
  else
    ht_loop_range (items, layout->per_tensor ? 4 : 4 * layout->inner, rows, (gpointer) work);
}

/* Since opset 23 the attribute, or else the type of the scale, says how exact the quotient is. */
static HtDataType
quotient_precision (const HtOpCall *call)
{
  HtDataType type = ht_tensor_get_data_type (call->inputs[1]);
  gint64 wanted = ht_node_get_int (call->node, "precision", 0);

  if (call->opset < 23)
    return HT_DATA_TYPE_FLOAT;
  if (wanted > 0)
    type = wanted == HT_DATA_TYPE_FLOAT16 || wanted == HT_DATA_TYPE_BFLOAT16 ? (HtDataType) wanted : HT_DATA_TYPE_FLOAT;
  return type == HT_DATA_TYPE_FLOAT16 || type == HT_DATA_TYPE_BFLOAT16 ? type : HT_DATA_TYPE_FLOAT;
}

static gboolean
prepare_work (const HtOpCall *call, Work *work, HtTensor **scale, double **zero, GError **error)
{
  if (!read_layout (call, &work->layout))
    return ht_op_fail (call, error, "the axis lies outside the input");
  *scale = ht_tensor_cast (call->inputs[1], HT_DATA_TYPE_FLOAT, error);
  if (*scale == NULL)
    return FALSE;
  *zero = call->n_inputs > 2 && call->inputs[2] ? read_zero_points (call->inputs[2]) : NULL;
  work->scale = ht_tensor_get_data (*scale);
  work->zero = *zero;
  work->in_type = ht_tensor_get_data_type (call->inputs[0]);
  work->in = ht_tensor_get_data (call->inputs[0]);
  work->out_type = ht_tensor_get_data_type (call->outputs[0]);
  return TRUE;
}

static gboolean
quantize_forward (const HtOpCall *call, GError **error)
{
  HtTensor *out = call->outputs[0];
  g_autoptr (HtTensor) scale = NULL, quotients = NULL;
  g_autofree double *zero = NULL;
  Work work = { 0 };

  if (!prepare_work (call, &work, &scale, &zero, error))
    return FALSE;
  work.precision = quotient_precision (call);
  if (ht_tensor_get_n_elements (out) == 0)
    return TRUE;
  if (code_range (work.out_type, &work.low, &work.high))
    {
      work.out = ht_tensor_get_writable_data (out);
      if (ht_element_size (work.out_type) == 0)
        memset (work.out, 0, ht_tensor_get_size (out));
      run_rows (&work, quantize_rows);
      return TRUE;
    }
  quotients = ht_tensor_new (HT_DATA_TYPE_FLOAT, ht_tensor_get_dims (out, NULL), ht_tensor_get_n_dims (out), error);
  if (quotients == NULL)
    return FALSE;
  work.out = ht_tensor_get_writable_data (quotients);
  divide_rows (0, work.layout.outer * work.layout.channels, &work);
  ht_tensor_cast_into (quotients, out, ht_node_get_int (call->node, "saturate", 1) != 0, HT_ROUND_UP);
  return TRUE;
}

static gboolean
dequantize_forward (const HtOpCall *call, GError **error)
{
  if (ht_op_is_half (call))
    return ht_op_widen (call, dequantize_forward, error);
  g_autoptr (HtTensor) scale = NULL;
  g_autofree double *zero = NULL;
  Work work = { 0 };

  if (!prepare_work (call, &work, &scale, &zero, error))
    return FALSE;
  if (work.out_type != HT_DATA_TYPE_FLOAT)
    return ht_op_fail_type (call, work.out_type, error);
  work.out = ht_tensor_get_writable_data (call->outputs[0]);
  run_rows (&work, dequantize_rows);
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "QuantizeLinear", 10, HT_OP_NONE, quantize_infer, quantize_forward },
  { "", "DequantizeLinear", 10, HT_OP_NONE, dequantize_infer, dequantize_forward },
};

void
ht_ops_register_quantize_linear (void)
{
  HT_OPS_REGISTER (operators);
}
