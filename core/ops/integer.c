/* SPDX-License-Identifier: MIT */
/* Arithmetic on codes of 8 bits, exact in integers: MatMulInteger and ConvInteger, QLinearMatMul and QLinearConv with
 * their rounding back to codes, DynamicQuantizeLinear. */
#include "graph/tensor-private.h"
#include "kernels/integer-product.h"
#include "ops/conv.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/product.h"

#include <math.h>

#define TYPES_CODE (HT_TYPE_BIT (INT8) | HT_TYPE_BIT (UINT8))
#define NO_INPUT   G_MAXUINT

/* Where the inputs of an operator are. The forms that stay in integers have no scales. */
typedef struct
{
  guint a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero, bias;
} Places;

static const Places plain = { 0, NO_INPUT, 2, 1, NO_INPUT, 3, NO_INPUT, NO_INPUT, NO_INPUT };
static const Places rounded = { 0, 1, 2, 3, 4, 5, 6, 7, 8 };

/* A scale or zero point of `operand`: one number, a vector along `axis`, or a tensor that stretches to the operand. */
static gboolean
check_parameter (const HtInfer *infer, guint input, const HtDims *operand, gint axis, GError **error)
{
  HtDims own;

  if (!ht_infer_read_dims (infer, input, &own) || !ht_dims_is_static (&own) || ht_dims_product (&own, 0, own.n) == 1)
    return TRUE;
  gboolean fits
      = own.n == 1 ? axis >= 0 && (operand->dim[axis] < 0 || operand->dim[axis] == own.dim[0]) : own.n == operand->n;
  for (guint i = 0; fits && own.n > 1 && i < own.n; i++)
    fits = own.dim[i] == 1 || operand->dim[i] < 0 || operand->dim[i] == own.dim[i];
  if (fits)
    return TRUE;
  g_autofree char *found = ht_shape_to_string (ht_infer_get_shape (infer, input));
  return ht_infer_fail (infer, error, "input %u ('%s') has shape %s, which does not fit its operand", input,
                        ht_node_get_input (infer->node, input), found);
}

static gboolean
check_types (const HtInfer *infer, const Places *at, GError **error)
{
  if (!ht_infer_check_type (infer, at->a, TYPES_CODE, error) || !ht_infer_check_type (infer, at->b, TYPES_CODE, error)
      || !ht_infer_check_same_type (infer, at->a, at->a_zero, error)
      || !ht_infer_check_same_type (infer, at->b, at->b_zero, error))
    return FALSE;
  if (at == &plain)
    return TRUE;
  return ht_infer_check_type (infer, at->a_scale, HT_TYPES_FLOAT, error)
         && ht_infer_check_type (infer, at->b_scale, HT_TYPES_FLOAT, error)
         && ht_infer_check_type (infer, at->y_scale, HT_TYPES_FLOAT, error)
         && ht_infer_check_type (infer, at->y_zero, TYPES_CODE, error);
}

/* Both parameters of an operand. */
static gboolean
check_parameters (const HtInfer *infer, guint operand, guint scale, guint zero, gint axis, GError **error)
{
  HtDims dims;
  return !ht_infer_read_dims (infer, operand, &dims)
         || (check_parameter (infer, scale, &dims, axis < 0 ? axis + (gint)dims.n : axis, error)
             && check_parameter (infer, zero, &dims, axis < 0 ? axis + (gint)dims.n : axis, error));
}

static gboolean
infer_product (HtInfer *infer, const Places *at, HtDataType type, GError **error)
{
  HtDims b, y;

  if (!check_types (infer, at, error) || !ht_infer_product (infer, at->a, at->b, type, error)
      || !check_parameters (infer, at->a, at->a_scale, at->a_zero, -2, error))
    return FALSE;
  /* The only axis of a vector on the right is summed over. */
  gboolean vector = ht_infer_read_dims (infer, at->b, &b) && b.n == 1;
  if (!check_parameters (infer, at->b, at->b_scale, at->b_zero, vector ? -2 : -1, error))
    return FALSE;
  return !ht_dims_read (infer->outputs[0].shape, &y)
         || (check_parameter (infer, at->y_scale, &y, (gint)y.n - 2, error)
             && check_parameter (infer, at->y_zero, &y, (gint)y.n - 2, error));
}

static gboolean
check_scalar (const HtInfer *infer, guint input, GError **error)
{
  HtDims none = { 0 };
  return check_parameter (infer, input, &none, -1, error);
}

static gboolean
infer_conv (HtInfer *infer, const Places *at, HtDataType type, GError **error)
{
  return check_types (infer, at, error) && ht_infer_conv (infer, at->a, at->b, at->bias, FALSE, type, error)
         && check_scalar (infer, at->a_scale, error) && check_scalar (infer, at->a_zero, error)
         && check_scalar (infer, at->y_scale, error) && check_scalar (infer, at->y_zero, error)
         && check_parameters (infer, at->b, at->b_scale, at->b_zero, 0, error);
}

static gboolean
matmul_integer_infer (HtInfer *infer, GError **error)
{
  return ht_infer_check_arity (infer, 2, 4, error) && infer_product (infer, &plain, HT_DATA_TYPE_INT32, error);
}

static gboolean
conv_integer_infer (HtInfer *infer, GError **error)
{
  return ht_infer_check_arity (infer, 2, 4, error) && infer_conv (infer, &plain, HT_DATA_TYPE_INT32, error);
}

static gboolean
qlinear_matmul_infer (HtInfer *infer, GError **error)
{
  return ht_infer_check_arity (infer, 8, 8, error)
         && infer_product (infer, &rounded, ht_infer_get_type (infer, rounded.y_zero), error);
}

static gboolean
qlinear_conv_infer (HtInfer *infer, GError **error)
{
  return ht_infer_check_arity (infer, 8, 9, error)
         && ht_infer_check_type (infer, rounded.bias, HT_TYPE_BIT (INT32), error)
         && infer_conv (infer, &rounded, ht_infer_get_type (infer, rounded.y_zero), error);
}

/* Scratch: both operands in 16 bits, and the sums where they are not the result. */
static gsize
shape_bytes (HtShape *shape, gsize element)
{
  HtDims dims;
  gint64 n = ht_dims_read (shape, &dims) ? ht_dims_product (&dims, 0, dims.n) : 0;
  if (n < 0 || (gsize)n > G_MAXSSIZE / 8)
    return G_MAXSSIZE / 4;
  return ((gsize)n * element + 63) & ~(gsize)63;
}

static gsize
plain_workspace (const HtInfer *infer)
{
  return shape_bytes (ht_infer_get_shape (infer, plain.a), 2) + shape_bytes (ht_infer_get_shape (infer, plain.b), 2);
}

static gsize
rounded_workspace (const HtInfer *infer)
{
  return shape_bytes (ht_infer_get_shape (infer, rounded.a), 2) + shape_bytes (ht_infer_get_shape (infer, rounded.b), 2)
         + shape_bytes (infer->outputs[0].shape, 4);
}

/* The next `n` elements of the scratch memory. */
static gpointer
take (char **scratch, gsize n, gsize element)
{
  gpointer taken = *scratch;
  *scratch += (n * element + 63) & ~(gsize)63;
  return taken;
}

#define SHIFT_LOOP(T)                                                                                                  \
  static void shift_##T (gsize n, const char *const *in, const gint64 *stride, char *out_, gconstpointer user_data)    \
  {                                                                                                                    \
    const T *x = (const T *)in[0], *zero = (const T *)in[1];                                                           \
    gint16 *out = (gint16 *)out_;                                                                                      \
    if (stride[0] == 1 && stride[1] == 0)                                                                              \
      for (gsize i = 0; i < n; i++)                                                                                    \
        out[i] = (gint16)(x[i] - zero[0]);                                                                             \
    else                                                                                                               \
      for (gsize i = 0; i < n; i++)                                                                                    \
        out[i] = (gint16)(x[(gint64)i * stride[0]] - zero[(gint64)i * stride[1]]);                                     \
  }
SHIFT_LOOP (gint8)
SHIFT_LOOP (guint8)

/* A view that broadcasts to its operand: one number, or a vector with `trailing` dimensions of 1 behind it. */
static HtTensor *
align (HtTensor *tensor, guint trailing)
{
  gint64 dims[HT_TENSOR_MAX_DIMS];
  guint rank;
  const gint64 *own = ht_tensor_get_dims (tensor, &rank);
  HtDataType type = ht_tensor_get_data_type (tensor);
  gpointer data = (gpointer)ht_tensor_get_data (tensor);

  if (ht_tensor_get_n_elements (tensor) == 1)
    return _ht_tensor_new_view (type, NULL, 0, data);
  if (rank != 1)
    return _ht_tensor_new_view (type, own, rank, data);
  dims[0] = own[0];
  for (guint i = 1; i <= trailing; i++)
    dims[i] = 1;
  return _ht_tensor_new_view (type, dims, 1 + trailing, data);
}

static HtTensor *
get_input (const HtOpCall *call, guint index)
{
  return index < call->n_inputs ? call->inputs[index] : NULL;
}

/* Codes without their zero point, in 16 bits. */
static gint16 *
shift_operand (const HtOpCall *call, guint operand, guint zero_input, guint trailing, char **scratch)
{
  static const gint64 no_zero = 0;
  HtTensor *x = call->inputs[operand], *given = get_input (call, zero_input);
  HtDataType type = ht_tensor_get_data_type (x);
  guint rank;
  const gint64 *dims = ht_tensor_get_dims (x, &rank);
  gint16 *codes = take (scratch, ht_tensor_get_n_elements (x), sizeof *codes);
  /* There may be no scratch memory at all. */
  if (ht_tensor_get_n_elements (x) == 0)
    return codes;
  g_autoptr (HtTensor) zero = given ? align (given, trailing) : _ht_tensor_new_view (type, NULL, 0, (gpointer)&no_zero);
  g_autoptr (HtTensor) shifted = _ht_tensor_new_view (HT_DATA_TYPE_INT16, dims, rank, codes);
  HtTensor *operands[] = { x, zero };

  ht_loop_broadcast (shifted, operands, 2, type == HT_DATA_TYPE_INT8 ? shift_gint8 : shift_guint8, NULL);
  return codes;
}

/* sum * (a_scale * b_scale / y_scale), to the nearest even code. A NaN ends at the lowest one. */
#define ROUND_LOOP(T, LOW, HIGH)                                                                                       \
  static void round_##T (gsize n, const char *const *in, const gint64 *stride, char *out_, gconstpointer user_data)    \
  {                                                                                                                    \
    const gint32 *sum = (const gint32 *)in[0];                                                                         \
    const float *a = (const float *)in[1], *b = (const float *)in[2], *y = (const float *)in[3];                       \
    const T *zero = (const T *)in[4];                                                                                  \
    T *out = (T *)out_;                                                                                                \
    for (gsize i = 0; i < n; i++)                                                                                      \
      {                                                                                                                \
        gint64 k = (gint64)i;                                                                                          \
        float factor = a[k * stride[1]] * b[k * stride[2]] / y[k * stride[3]], shift = zero[k * stride[4]];            \
        float code = rintf ((float)sum[k * stride[0]] * factor) + shift;                                               \
        code = code > LOW ? code : LOW;                                                                                \
        out[i] = (T)(code < HIGH ? code : HIGH);                                                                       \
      }                                                                                                                \
  }
ROUND_LOOP (gint8, -128.0f, 127.0f)
ROUND_LOOP (guint8, 0.0f, 255.0f)

/* `dims` are those of the output with every axis of the operands in it. */
static gboolean
round_sums (const HtOpCall *call, gint32 *sums, const gint64 *dims, guint rank, guint a_trailing, guint b_trailing,
            GError **error)
{
  HtTensor *y = call->outputs[0];
  g_autoptr (HtTensor) a_scale = ht_tensor_cast (call->inputs[rounded.a_scale], HT_DATA_TYPE_FLOAT, error);
  g_autoptr (HtTensor) b_scale
      = a_scale ? ht_tensor_cast (call->inputs[rounded.b_scale], HT_DATA_TYPE_FLOAT, error) : NULL;
  g_autoptr (HtTensor) y_scale
      = b_scale ? ht_tensor_cast (call->inputs[rounded.y_scale], HT_DATA_TYPE_FLOAT, error) : NULL;
  if (y_scale == NULL)
    return FALSE;
  g_autoptr (HtTensor) a = align (a_scale, a_trailing), b = align (b_scale, b_trailing),
                       c = align (y_scale, a_trailing);
  g_autoptr (HtTensor) zero = align (call->inputs[rounded.y_zero], a_trailing);
  g_autoptr (HtTensor) sum = _ht_tensor_new_view (HT_DATA_TYPE_INT32, dims, rank, sums);
  HtDataType type = ht_tensor_get_data_type (y);
  g_autoptr (HtTensor) out = _ht_tensor_new_view (type, dims, rank, ht_tensor_get_writable_data (y));
  HtTensor *operands[] = { sum, a, b, c, zero };
  ht_loop_broadcast (out, operands, 5, type == HT_DATA_TYPE_INT8 ? round_gint8 : round_guint8, NULL);
  return TRUE;
}

static gboolean
run_product (const HtOpCall *call, const Places *at, GError **error)
{
  HtTensor *a = call->inputs[at->a], *b = call->inputs[at->b], *y = call->outputs[0];
  char *scratch = call->workspace;
  gint64 dims[HT_TENSOR_MAX_DIMS + 2];
  guint rank;
  const gint64 *y_dims = ht_tensor_get_dims (y, &rank);
  HtProduct p;

  if (ht_tensor_get_n_elements (y) == 0)
    return TRUE;
  ht_product_read (a, b, &p);
  const gint16 *left = shift_operand (call, at->a, at->a_zero, 1, &scratch);
  const gint16 *right = shift_operand (call, at->b, at->b_zero, 0, &scratch);
  gint32 *sums = at == &plain ? ht_tensor_get_writable_data (y) : take (&scratch, ht_tensor_get_n_elements (y), 4);
  g_autofree gsize *left_offsets = ht_product_left_offsets (&p), *right_offsets = ht_product_right_offsets (&p);
  for (gsize i = 0; i < p.n_batch; i++)
    ht_kernel_integer_product (p.m, p.n, p.k, left + left_offsets[i], right + right_offsets[i], sums + i * p.m * p.n);
  if (at == &plain)
    return TRUE;
  /* A vector's axis is not in the output; the scales see it as 1. */
  gboolean row = ht_tensor_get_n_dims (a) == 1, column = ht_tensor_get_n_dims (b) == 1;
  guint n_batch_dims = rank - !row - !column, n = 0;
  for (; n < n_batch_dims; n++)
    dims[n] = y_dims[n];
  dims[n++] = row ? 1 : y_dims[n_batch_dims];
  dims[n++] = column ? 1 : y_dims[rank - 1];
  if (n > HT_TENSOR_MAX_DIMS)
    return ht_op_fail (call, error, "its result has too many dimensions");
  return round_sums (call, sums, dims, n, 1, 0, error);
}

static gboolean
run_conv (const HtOpCall *call, const Places *at, GError **error)
{
  HtTensor *x = call->inputs[at->a], *w = call->inputs[at->b], *y = call->outputs[0],
           *bias = get_input (call, at->bias);
  char *scratch = call->workspace;
  guint rank;
  const gint64 *x_dims = ht_tensor_get_dims (x, &rank), *w_dims = ht_tensor_get_dims (w, NULL);
  HtConvOperands o;
  HtWindow window;
  HtConvGeometry geometry;

  g_autofree char *problem = ht_conv_check_operands (call->node, FALSE, x_dims, rank, w_dims, rank, &o);
  if (problem == NULL)
    problem = ht_window_read (&window, call->node, HT_WINDOW_CONV, o.n_axes, o.in, o.kernel);
  if (problem)
    return ht_op_fail (call, error, "%s", problem);
  if (o.n_axes > HT_CONV_AXES)
    return ht_op_fail (call, error, "it has %u spatial axes, at most %d can be run", o.n_axes, HT_CONV_AXES);
  if (ht_tensor_get_n_elements (y) == 0)
    return TRUE;
  ht_conv_make_geometry (&window, &o, x_dims[1], &geometry);
  const gint16 *left = shift_operand (call, at->a, at->a_zero, 0, &scratch);
  const gint16 *right = shift_operand (call, at->b, at->b_zero, rank - 1, &scratch);
  gint32 *sums = at == &plain ? ht_tensor_get_writable_data (y) : take (&scratch, ht_tensor_get_n_elements (y), 4);
  ht_kernel_integer_conv (&geometry, left, right, sums);
  if (at == &plain)
    return TRUE;
  gsize plane = ht_conv_volume (geometry.out);
  const gint32 *terms = bias ? ht_tensor_get_data (bias) : NULL;
  for (gsize i = 0; terms && i < ht_tensor_get_n_elements (y); i++)
    sums[i] = (gint32)((guint32)sums[i] + (guint32)terms[i / plane % geometry.out_channels]);
  return round_sums (call, sums, ht_tensor_get_dims (y, NULL), rank, 0, o.n_axes, error);
}

static gboolean
matmul_integer_forward (const HtOpCall *call, GError **error)
{
  return run_product (call, &plain, error);
}

static gboolean
conv_integer_forward (const HtOpCall *call, GError **error)
{
  return run_conv (call, &plain, error);
}

static gboolean
qlinear_matmul_forward (const HtOpCall *call, GError **error)
{
  return run_product (call, &rounded, error);
}

static gboolean
qlinear_conv_forward (const HtOpCall *call, GError **error)
{
  return run_conv (call, &rounded, error);
}

/* DynamicQuantizeLinear: codes, scale and zero point from the range of the data, which is made to hold 0. */
static gboolean
dynamic_infer (HtInfer *infer, GError **error)
{
  if (!ht_infer_same (infer, 1, HT_TYPE_BIT (FLOAT), error))
    return FALSE;
  infer->outputs[0].type = HT_DATA_TYPE_UINT8;
  ht_infer_set_output_dims (infer, 1, HT_DATA_TYPE_FLOAT, NULL, 0);
  ht_infer_set_output_dims (infer, 2, HT_DATA_TYPE_UINT8, NULL, 0);
  return TRUE;
}

static inline guint8
nearest_code (float value, float zero)
{
  float code = rintf (value) + zero;
  code = code > 0.0f ? code : 0.0f;
  return (guint8)(code < 255.0f ? code : 255.0f);
}

typedef struct
{
  const float *x;
  guint8 *y;
  float scale, zero;
} Codes;

static void
make_codes (gsize begin, gsize end, gpointer user_data)
{
  const Codes *work = user_data;
  for (gsize i = begin; i < end; i++)
    work->y[i] = nearest_code (work->x[i] / work->scale, work->zero);
}

static gboolean
dynamic_forward (const HtOpCall *call, GError **error)
{
  gsize n = ht_tensor_get_n_elements (call->inputs[0]);
  const float *x = ht_tensor_get_data (call->inputs[0]);
  float low = 0.0f, high = 0.0f;

  for (gsize i = 0; i < n; i++)
    {
      low = x[i] < low ? x[i] : low;
      high = x[i] > high ? x[i] : high;
    }
  float scale = low == high ? 1.0f : (high - low) / 255.0f;
  guint8 zero = nearest_code (-low / scale, 0.0f);
  if (call->outputs[0] && n > 0)
    {
      Codes work = { x, ht_tensor_get_writable_data (call->outputs[0]), scale, zero };
      ht_loop_range (n, 1, make_codes, &work);
    }
  if (call->n_outputs > 1 && call->outputs[1])
    *(float *)ht_tensor_get_writable_data (call->outputs[1]) = scale;
  if (call->n_outputs > 2 && call->outputs[2])
    *(guint8 *)ht_tensor_get_writable_data (call->outputs[2]) = zero;
  return TRUE;
}

static const HtOperator operators[] = {
  { .op_type = "ConvInteger",
    .since_version = 10,
    .infer = conv_integer_infer,
    .forward = conv_integer_forward,
    .workspace = plain_workspace },
  { .op_type = "DynamicQuantizeLinear", .since_version = 11, .infer = dynamic_infer, .forward = dynamic_forward },
  { .op_type = "MatMulInteger",
    .since_version = 10,
    .infer = matmul_integer_infer,
    .forward = matmul_integer_forward,
    .workspace = plain_workspace },
  { .op_type = "QLinearConv",
    .since_version = 10,
    .infer = qlinear_conv_infer,
    .forward = qlinear_conv_forward,
    .workspace = rounded_workspace },
  { .op_type = "QLinearMatMul",
    .since_version = 10,
    .infer = qlinear_matmul_infer,
    .forward = qlinear_matmul_forward,
    .workspace = rounded_workspace },
};

void
ht_ops_register_integer (void)
{
  HT_OPS_REGISTER (operators);
}
