/* SPDX-License-Identifier: MIT */
/* Arithmetic of two or more tensors with broadcasting: Add Sub Mul Div Pow Mod, Min Max Sum Mean. */
#include "graph/tensor-private.h"
#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/shape-arithmetic.h"

#include <math.h>

/* Integers wrap, as every implementation of ONNX does: the sum is computed unsigned. */
#define WRAP(T, a, op, b)   ((T) ((guint64) (gint64) (a) op (guint64) (gint64) (b)))
#define INT_ADD(T, a, b)    WRAP (T, a, +, b)
#define INT_SUB(T, a, b)    WRAP (T, a, -, b)
#define INT_MUL(T, a, b)    WRAP (T, a, *, b)
#define FLOAT_ADD(T, a, b)  ((a) + (b))
#define FLOAT_SUB(T, a, b)  ((a) - (b))
#define FLOAT_MUL(T, a, b)  ((a) * (b))
#define FLOAT_DIV(T, a, b)  ((a) / (b))
/* A NaN in either operand wins, as in numpy. */
#define FLOAT_MIN(T, a, b)  ((a) < (b) || (a) != (a) ? (a) : (b))
#define FLOAT_MAX(T, a, b)  ((a) > (b) || (a) != (a) ? (a) : (b))
#define INT_MIN_(T, a, b)   ((a) < (b) ? (a) : (b))
#define INT_MAX_(T, a, b)   ((a) > (b) ? (a) : (b))
/* Zero divisors are refused before the loop; the quotient of the least number by -1 wraps. */
#define SIGNED_DIV(T, a, b) ((b) == (T) -1 ? WRAP (T, 0, -, a) : (T) ((a) / (b)))
#define UINT_DIV(T, a, b)   ((T) ((a) / (b)))

#define BINARY_LOOP(NAME, T, OP)                                                                                       \
  static void NAME##_##T (gsize n, const char *const *in, const gint64 *stride, char *out_, gconstpointer user_data)  \
  {                                                                                                                    \
    const T *a = (const T *) in[0], *b = (const T *) in[1];                                                            \
    T *out = (T *) out_;                                                                                               \
    if (stride[0] == 1 && stride[1] == 1)                                                                              \
      for (gsize i = 0; i < n; i++)                                                                                    \
        out[i] = OP (T, a[i], b[i]);                                                                                   \
    else if (stride[0] == 1 && stride[1] == 0)                                                                         \
      {                                                                                                                \
        T y = b[0];                                                                                                    \
        for (gsize i = 0; i < n; i++)                                                                                  \
          out[i] = OP (T, a[i], y);                                                                                    \
      }                                                                                                                \
    else if (stride[0] == 0 && stride[1] == 1)                                                                         \
      {                                                                                                                \
        T x = a[0];                                                                                                    \
        for (gsize i = 0; i < n; i++)                                                                                  \
          out[i] = OP (T, x, b[i]);                                                                                    \
      }                                                                                                                \
    else                                                                                                               \
      for (gsize i = 0; i < n; i++)                                                                                    \
        out[i] = OP (T, a[(gint64) i * stride[0]], b[(gint64) i * stride[1]]);                                         \
  }

#define NUMBER_LOOPS(NAME, FLOAT_OP, SIGNED_OP, UNSIGNED_OP)                                                           \
  BINARY_LOOP (NAME, float, FLOAT_OP)                                                                                  \
  BINARY_LOOP (NAME, double, FLOAT_OP)                                                                                 \
  BINARY_LOOP (NAME, gint8, SIGNED_OP)                                                                                 \
  BINARY_LOOP (NAME, gint16, SIGNED_OP)                                                                                \
  BINARY_LOOP (NAME, gint32, SIGNED_OP)                                                                                \
  BINARY_LOOP (NAME, gint64, SIGNED_OP)                                                                                \
  BINARY_LOOP (NAME, guint8, UNSIGNED_OP)                                                                              \
  BINARY_LOOP (NAME, guint16, UNSIGNED_OP)                                                                             \
  BINARY_LOOP (NAME, guint32, UNSIGNED_OP)                                                                             \
  BINARY_LOOP (NAME, guint64, UNSIGNED_OP)                                                                             \
  static const HtLoop NAME##_loops[] = {                                                                               \
    [HT_DATA_TYPE_FLOAT] = NAME##_float,   [HT_DATA_TYPE_DOUBLE] = NAME##_double, [HT_DATA_TYPE_INT8] = NAME##_gint8,  \
    [HT_DATA_TYPE_INT16] = NAME##_gint16,  [HT_DATA_TYPE_INT32] = NAME##_gint32,  [HT_DATA_TYPE_INT64] = NAME##_gint64, \
    [HT_DATA_TYPE_UINT8] = NAME##_guint8,  [HT_DATA_TYPE_UINT16] = NAME##_guint16,                                     \
    [HT_DATA_TYPE_UINT32] = NAME##_guint32, [HT_DATA_TYPE_UINT64] = NAME##_guint64, [31] = NULL,                       \
  };

NUMBER_LOOPS (add, FLOAT_ADD, INT_ADD, INT_ADD)
NUMBER_LOOPS (sub, FLOAT_SUB, INT_SUB, INT_SUB)
NUMBER_LOOPS (mul, FLOAT_MUL, INT_MUL, INT_MUL)
NUMBER_LOOPS (divide, FLOAT_DIV, SIGNED_DIV, UINT_DIV)
NUMBER_LOOPS (min, FLOAT_MIN, INT_MIN_, INT_MIN_)
NUMBER_LOOPS (max, FLOAT_MAX, INT_MAX_, INT_MAX_)

static gboolean
run_loops (const HtOpCall *call, const HtLoop *loops, HtForward forward, GError **error)
{
  if (ht_op_is_half (call))
    return ht_op_widen (call, forward, error);
  HtDataType type = ht_tensor_get_data_type (call->inputs[0]);
  HtLoop loop = (guint) type < 32 ? loops[type] : NULL;
  if (loop == NULL)
    return ht_op_fail_type (call, type, error);
  ht_loop_broadcast (call->outputs[0], call->inputs, 2, loop, NULL);
  return TRUE;
}

static gboolean
add_forward (const HtOpCall *call, GError **error)
{
  return run_loops (call, add_loops, add_forward, error);
}

static gboolean
sub_forward (const HtOpCall *call, GError **error)
{
  return run_loops (call, sub_loops, sub_forward, error);
}

static gboolean
mul_forward (const HtOpCall *call, GError **error)
{
  return run_loops (call, mul_loops, mul_forward, error);
}

static gboolean
has_zero (HtTensor *tensor)
{
  gsize size = ht_element_size (ht_tensor_get_data_type (tensor)), n = ht_tensor_get_n_elements (tensor);
  const guint8 *data = ht_tensor_get_data (tensor);
  for (gsize i = 0; i < n; i++)
    {
      guint8 any = 0;
      for (gsize k = 0; k < size; k++)
        any |= data[i * size + k];
      if (any == 0)
        return TRUE;
    }
  return FALSE;
}

static gboolean
check_divisor (const HtOpCall *call, GError **error)
{
  if (ht_data_type_is_float (ht_tensor_get_data_type (call->inputs[1])) || !has_zero (call->inputs[1]))
    return TRUE;
  return ht_op_fail (call, error, "the integer divisor '%s' holds a zero", ht_node_get_input (call->node, 1));
}

static gboolean
div_forward (const HtOpCall *call, GError **error)
{
  return check_divisor (call, error) && run_loops (call, divide_loops, div_forward, error);
}

/* Modulo: the sign follows the divisor, or with fmod the dividend. */
#define FLOOR_MOD(T, a, b)  ((T) ((b) == (T) -1 ? 0 : (a) % (b) != 0 && ((a) % (b) < 0) != ((b) < 0) ? (a) % (b) + (b) : (a) % (b)))
#define TRUNC_MOD(T, a, b)  ((T) ((b) == (T) -1 ? 0 : (a) % (b)))
#define UINT_MOD(T, a, b)   ((T) ((a) % (b)))
#define FLOAT_MOD(T, a, b)  ((T) fmod ((double) (a), (double) (b)))

NUMBER_LOOPS (floor_mod, FLOAT_MOD, FLOOR_MOD, UINT_MOD)
NUMBER_LOOPS (trunc_mod, FLOAT_MOD, TRUNC_MOD, UINT_MOD)

static gboolean
mod_forward (const HtOpCall *call, GError **error)
{
  gboolean fmod_wanted = ht_node_get_int (call->node, "fmod", 0) != 0;
  return check_divisor (call, error)
         && run_loops (call, fmod_wanted ? trunc_mod_loops : floor_mod_loops, mod_forward, error);
}

static gboolean
binary_infer (HtInfer *infer, HtIntOp op, GError **error)
{
  HtDims dims;
  gboolean known;

  if (!ht_infer_check_arity (infer, 2, 2, error) || !ht_infer_check_type (infer, 0, HT_TYPES_NUMBER, error)
      || !ht_infer_check_same_type (infer, 0, 1, error)
      || !ht_infer_broadcast_inputs (infer, 0, 2, &dims, &known, error))
    return FALSE;
  HtDataType type = ht_infer_get_type (infer, 0);
  if (type == HT_DATA_TYPE_UNDEFINED)
    type = ht_infer_get_type (infer, 1);
  if (known)
    ht_infer_put_dims (infer, 0, type, &dims);
  else
    ht_infer_set_output (infer, 0, type, NULL);
  ht_infer_int_binary (infer, op);
  return TRUE;
}

static gboolean
add_infer (HtInfer *infer, GError **error)
{
  return binary_infer (infer, HT_INT_ADD, error);
}

static gboolean
sub_infer (HtInfer *infer, GError **error)
{
  return binary_infer (infer, HT_INT_SUB, error);
}

static gboolean
mul_infer (HtInfer *infer, GError **error)
{
  return binary_infer (infer, HT_INT_MUL, error);
}

static gboolean
div_infer (HtInfer *infer, GError **error)
{
  return binary_infer (infer, HT_INT_DIV, error);
}

static gboolean
mod_infer (HtInfer *infer, GError **error)
{
  gboolean fmod_wanted = ht_node_get_int (infer->node, "fmod", 0) != 0;
  if (!fmod_wanted && ht_data_type_is_float (ht_infer_get_type (infer, 0)))
    return ht_infer_fail (infer, error, "floating-point inputs need the attribute fmod = 1");
  return binary_infer (infer, fmod_wanted ? HT_INT_NONE : HT_INT_MOD, error);
}

/* Pow: the exponent has a type of its own. Common exponents avoid powf and are exact. */
typedef struct
{
  HtDataType base, exponent;
  double constant; /* the exponent when it is one number, else NaN */
} Pow;

static void
pow_float (gsize n, const char *const *in, const gint64 *stride, char *out_, gconstpointer user_data)
{
  const Pow *pow_data = user_data;
  const float *a = (const float *) in[0], *b = (const float *) in[1];
  float *out = (float *) out_;

  if (pow_data->constant == 2.0)
    for (gsize i = 0; i < n; i++)
      out[i] = a[(gint64) i * stride[0]] * a[(gint64) i * stride[0]];
  else if (pow_data->constant == 0.5)
    for (gsize i = 0; i < n; i++)
      out[i] = sqrtf (a[(gint64) i * stride[0]]);
  else
    for (gsize i = 0; i < n; i++)
      out[i] = powf (a[(gint64) i * stride[0]], b[(gint64) i * stride[1]]);
}

static gint64
saturate (double value)
{
  return value >= 9223372036854775807.0 ? G_MAXINT64 : value <= -9223372036854775808.0 ? G_MININT64
         : value != value                                                             ? 0
                                                                                      : (gint64) value;
}

static void
pow_any (gsize n, const char *const *in, const gint64 *stride, char *out, gconstpointer user_data)
{
  const Pow *pow_data = user_data;
  for (gsize i = 0; i < n; i++)
    {
      double r = pow (ht_scalar_load (pow_data->base, in[0], i * (gsize) stride[0]),
                      ht_scalar_load (pow_data->exponent, in[1], i * (gsize) stride[1]));
      switch (pow_data->base)
        {
        case HT_DATA_TYPE_FLOAT:
          ((float *) out)[i] = (float) r;
          break;
        case HT_DATA_TYPE_DOUBLE:
          ((double *) out)[i] = r;
          break;
        case HT_DATA_TYPE_INT32:
          ((gint32 *) out)[i] = (gint32) saturate (r);
          break;
        default:
          ((gint64 *) out)[i] = saturate (r);
          break;
        }
    }
}

static gboolean
pow_forward (const HtOpCall *call, GError **error)
{
  if (ht_op_is_half (call))
    return ht_op_widen (call, pow_forward, error);
  Pow data = { ht_tensor_get_data_type (call->inputs[0]), ht_tensor_get_data_type (call->inputs[1]), NAN };
  if (ht_tensor_get_n_elements (call->inputs[1]) == 1)
    data.constant = ht_tensor_get_double (call->inputs[1], 0);
  gboolean floats = data.base == HT_DATA_TYPE_FLOAT && data.exponent == HT_DATA_TYPE_FLOAT;
  /* Squares and roots of float need no exponent in memory, so its type does not matter. */
  if (data.base == HT_DATA_TYPE_FLOAT && (data.constant == 2.0 || data.constant == 0.5))
    floats = TRUE;
  ht_loop_broadcast (call->outputs[0], call->inputs, 2, floats ? pow_float : pow_any, &data);
  return TRUE;
}

static gboolean
pow_infer (HtInfer *infer, GError **error)
{
  HtDims dims;
  gboolean known;

  if (!ht_infer_check_arity (infer, 2, 2, error)
      || !ht_infer_check_type (infer, 0, HT_TYPES_FLOAT | HT_TYPES_INDEX, error)
      || !ht_infer_check_type (infer, 1, HT_TYPES_NUMBER, error)
      || !ht_infer_broadcast_inputs (infer, 0, 2, &dims, &known, error))
    return FALSE;
  if (known)
    ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &dims);
  else
    ht_infer_set_output (infer, 0, ht_infer_get_type (infer, 0), NULL);
  return TRUE;
}

/* Any number of inputs: the result so far is the first operand of the next step. */
static gboolean
run_variadic (const HtOpCall *call, const HtLoop *loops, HtForward forward, GError **error)
{
  if (ht_op_is_half (call))
    return ht_op_widen (call, forward, error);
  HtDataType type = ht_tensor_get_data_type (call->inputs[0]);
  HtLoop loop = (guint) type < 32 ? loops[type] : NULL;
  HtTensor *out = call->outputs[0];
  if (loop == NULL)
    return ht_op_fail_type (call, type, error);
  if (call->n_inputs == 1)
    return ht_op_copy_through (call, error);
  ht_loop_broadcast (out, call->inputs, 2, loop, NULL);
  for (guint i = 2; i < call->n_inputs; i++)
    {
      HtTensor *operands[2] = { out, call->inputs[i] };
      ht_loop_broadcast (out, operands, 2, loop, NULL);
    }
  return TRUE;
}

static gboolean
sum_forward (const HtOpCall *call, GError **error)
{
  return run_variadic (call, add_loops, sum_forward, error);
}

static gboolean
min_forward (const HtOpCall *call, GError **error)
{
  return run_variadic (call, min_loops, min_forward, error);
}

static gboolean
max_forward (const HtOpCall *call, GError **error)
{
  return run_variadic (call, max_loops, max_forward, error);
}

static gboolean
mean_forward (const HtOpCall *call, GError **error)
{
  if (ht_op_is_half (call))
    return ht_op_widen (call, mean_forward, error);
  HtTensor *out = call->outputs[0];
  HtDataType type = ht_tensor_get_data_type (out);
  g_autoptr (HtTensor) count = ht_tensor_new_scalar (call->n_inputs, type, error);
  if (count == NULL || !run_variadic (call, add_loops, mean_forward, error))
    return FALSE;
  HtTensor *operands[2] = { out, count };
  ht_loop_broadcast (out, operands, 2, divide_loops[type], NULL);
  return TRUE;
}

static gboolean
variadic_infer (HtInfer *infer, guint32 types, HtIntOp op, GError **error)
{
  HtDims dims;
  gboolean known;
  HtDataType type = HT_DATA_TYPE_UNDEFINED;

  if (!ht_infer_check_arity (infer, MAX (infer->n_inputs, 1), 0, error))
    return FALSE;
  for (guint i = 0; i < infer->n_inputs; i++)
    {
      if (!ht_infer_check_type (infer, i, types, error) || !ht_infer_check_same_type (infer, 0, i, error))
        return FALSE;
      if (type == HT_DATA_TYPE_UNDEFINED)
        type = ht_infer_get_type (infer, i);
    }
  if (!ht_infer_broadcast_inputs (infer, 0, infer->n_inputs, &dims, &known, error))
    return FALSE;
  if (known)
    ht_infer_put_dims (infer, 0, type, &dims);
  else
    ht_infer_set_output (infer, 0, type, NULL);
  if (infer->n_inputs == 1)
    ht_infer_copy_input (infer, 0, 0, TRUE);
  else if (infer->n_inputs == 2)
    ht_infer_int_binary (infer, op);
  return TRUE;
}

static gboolean
sum_infer (HtInfer *infer, GError **error)
{
  return variadic_infer (infer, HT_TYPES_FLOAT, HT_INT_NONE, error);
}

static gboolean
min_infer (HtInfer *infer, GError **error)
{
  return variadic_infer (infer, HT_TYPES_NUMBER, HT_INT_MIN, error);
}

static gboolean
max_infer (HtInfer *infer, GError **error)
{
  return variadic_infer (infer, HT_TYPES_NUMBER, HT_INT_MAX, error);
}

static const HtOperator operators[] = {
  { "", "Add", 7, HT_OP_IN_PLACE, add_infer, add_forward, ht_op_add_backward },
  { "", "Sub", 7, HT_OP_IN_PLACE, sub_infer, sub_forward, ht_op_sub_backward },
  { "", "Mul", 7, HT_OP_IN_PLACE, mul_infer, mul_forward, ht_op_mul_backward,
    .backward_inputs = HT_OP_KEEPS (0) | HT_OP_KEEPS (1) },
  { "", "Div", 7, HT_OP_IN_PLACE, div_infer, div_forward, ht_op_div_backward,
    .backward_inputs = HT_OP_KEEPS (1), .backward_outputs = HT_OP_KEEPS (0) },
  { "", "Mod", 10, HT_OP_IN_PLACE, mod_infer, mod_forward, ht_op_mod_backward,
    .backward_inputs = HT_OP_KEEPS (0) | HT_OP_KEEPS (1) },
  { "", "Pow", 7, HT_OP_IN_PLACE, pow_infer, pow_forward, ht_op_pow_backward,
    .backward_inputs = HT_OP_KEEPS (0) | HT_OP_KEEPS (1) },
  { "", "Sum", 6, HT_OP_NONE, sum_infer, sum_forward, ht_op_add_backward },
  { "", "Mean", 6, HT_OP_NONE, sum_infer, mean_forward, ht_op_mean_backward },
  { "", "Min", 6, HT_OP_NONE, min_infer, min_forward, ht_op_extreme_backward,
    .backward_inputs = HT_OP_KEEPS_ALL, .backward_outputs = HT_OP_KEEPS (0),
    .backward_workspace = ht_backward_output_workspace },
  { "", "Max", 6, HT_OP_NONE, max_infer, max_forward, ht_op_extreme_backward,
    .backward_inputs = HT_OP_KEEPS_ALL, .backward_outputs = HT_OP_KEEPS (0),
    .backward_workspace = ht_backward_output_workspace },
};

void
ht_ops_register_elementwise (void)
{
  HT_OPS_REGISTER (operators);
}
