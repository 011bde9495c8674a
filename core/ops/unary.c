/* SPDX-License-Identifier: MIT */
/* Mathematical functions of one element: Abs Neg Exp Log Sqrt Reciprocal Floor Ceil Round Sign Erf and trigonometry. */
#include "ops/unary.h"

#include "ops/backward.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <math.h>

typedef struct
{
  HtUnaryLoop loop;
  const HtUnaryParameters *parameters;
  const char *in;
  char *out;
  gsize element_size;
} UnaryWork;

static void
run_range (gsize begin, gsize end, gpointer user_data)
{
  const UnaryWork *work = user_data;
  work->loop (end - begin, work->in + begin * work->element_size, work->out + begin * work->element_size,
              work->parameters);
}

gboolean
ht_op_run_unary (const HtOpCall *call, const HtUnaryKernel *kernels, const HtUnaryParameters *parameters, gsize cost,
                 HtForward forward, GError **error)
{
  if (ht_op_is_half (call))
    return ht_op_widen (call, forward, error);
  HtDataType type = ht_tensor_get_data_type (call->inputs[0]);
  while (kernels->type != HT_DATA_TYPE_UNDEFINED && kernels->type != type)
    kernels++;
  if (kernels->loop == NULL)
    return ht_op_fail_type (call, type, error);
  gsize n = ht_tensor_get_n_elements (call->inputs[0]);
  if (n == 0)
    return TRUE;
  UnaryWork work = { kernels->loop, parameters, ht_tensor_get_data (call->inputs[0]),
                     ht_tensor_get_writable_data (call->outputs[0]), ht_element_size (type) };
  ht_loop_range (n, cost, run_range, &work);
  return TRUE;
}

#define COSTLY 8

HT_UNARY_MAPPED (exp, exp, exp (x))
HT_UNARY_FLOAT (log, COSTLY, logf (x), log (x), HT_NO_PARAMETERS)
HT_UNARY_FLOAT (sqrt, 1, sqrtf (x), sqrt (x), HT_NO_PARAMETERS)
HT_UNARY_FLOAT (reciprocal, 1, 1.0f / x, 1.0 / x, HT_NO_PARAMETERS)
HT_UNARY_FLOAT (floor, 1, floorf (x), floor (x), HT_NO_PARAMETERS)
HT_UNARY_FLOAT (ceil, 1, ceilf (x), ceil (x), HT_NO_PARAMETERS)
/* The default rounding mode is half to even, as the specification asks. */
HT_UNARY_FLOAT (round, 1, rintf (x), rint (x), HT_NO_PARAMETERS)
HT_UNARY_MAPPED (erf, erf, erf (x))
HT_UNARY_FLOAT (sin, COSTLY, sinf (x), sin (x), HT_NO_PARAMETERS)
HT_UNARY_FLOAT (cos, COSTLY, cosf (x), cos (x), HT_NO_PARAMETERS)
HT_UNARY_FLOAT (tan, COSTLY, tanf (x), tan (x), HT_NO_PARAMETERS)
HT_UNARY_FLOAT (asin, COSTLY, asinf (x), asin (x), HT_NO_PARAMETERS)
HT_UNARY_FLOAT (acos, COSTLY, acosf (x), acos (x), HT_NO_PARAMETERS)
HT_UNARY_FLOAT (atan, COSTLY, atanf (x), atan (x), HT_NO_PARAMETERS)
HT_UNARY_FLOAT (sinh, COSTLY, sinhf (x), sinh (x), HT_NO_PARAMETERS)
HT_UNARY_FLOAT (cosh, COSTLY, coshf (x), cosh (x), HT_NO_PARAMETERS)
HT_UNARY_FLOAT (asinh, COSTLY, asinhf (x), asinh (x), HT_NO_PARAMETERS)
HT_UNARY_FLOAT (acosh, COSTLY, acoshf (x), acosh (x), HT_NO_PARAMETERS)
HT_UNARY_FLOAT (atanh, COSTLY, atanhf (x), atanh (x), HT_NO_PARAMETERS)

/* For all numbers. Signed integers are negated as unsigned, so the least one wraps without undefined behaviour. */
#define NUMBER_FORWARD(NAME, FLOAT_EXPRESSION, SIGNED_EXPRESSION, UNSIGNED_EXPRESSION)                                 \
  HT_UNARY_LOOP (NAME, float, FLOAT_EXPRESSION)                                                                        \
  HT_UNARY_LOOP (NAME, double, FLOAT_EXPRESSION)                                                                       \
  HT_UNARY_LOOP (NAME, gint8, SIGNED_EXPRESSION)                                                                       \
  HT_UNARY_LOOP (NAME, gint16, SIGNED_EXPRESSION)                                                                      \
  HT_UNARY_LOOP (NAME, gint32, SIGNED_EXPRESSION)                                                                      \
  HT_UNARY_LOOP (NAME, gint64, SIGNED_EXPRESSION)                                                                      \
  HT_UNARY_LOOP (NAME, guint8, UNSIGNED_EXPRESSION)                                                                    \
  HT_UNARY_LOOP (NAME, guint16, UNSIGNED_EXPRESSION)                                                                   \
  HT_UNARY_LOOP (NAME, guint32, UNSIGNED_EXPRESSION)                                                                   \
  HT_UNARY_LOOP (NAME, guint64, UNSIGNED_EXPRESSION)                                                                   \
  static gboolean NAME##_forward (const HtOpCall *call, GError **error)                                                \
  {                                                                                                                    \
    static const HtUnaryKernel kernels[]                                                                               \
        = { { HT_DATA_TYPE_FLOAT, NAME##_float },   { HT_DATA_TYPE_DOUBLE, NAME##_double },                            \
            { HT_DATA_TYPE_INT8, NAME##_gint8 },    { HT_DATA_TYPE_INT16, NAME##_gint16 },                             \
            { HT_DATA_TYPE_INT32, NAME##_gint32 },  { HT_DATA_TYPE_INT64, NAME##_gint64 },                             \
            { HT_DATA_TYPE_UINT8, NAME##_guint8 },  { HT_DATA_TYPE_UINT16, NAME##_guint16 },                           \
            { HT_DATA_TYPE_UINT32, NAME##_guint32 }, { HT_DATA_TYPE_UINT64, NAME##_guint64 },                          \
            { HT_DATA_TYPE_UNDEFINED, NULL } };                                                                        \
    return ht_op_run_unary (call, kernels, NULL, 1, NAME##_forward, error);                                            \
  }

NUMBER_FORWARD (abs, fabs (x), x < 0 ? 0 - (guint64) (gint64) x : (guint64) (gint64) x, x)
NUMBER_FORWARD (neg, -x, 0 - (guint64) (gint64) x, 0 - (guint64) x)
/* NaN keeps its place */
NUMBER_FORWARD (sign, x > 0 ? 1 : x < 0 ? -1 : x, (x > 0) - (x < 0), x > 0)

/* Gradients, of x: the input or, where that is cheaper, the output. Steps are flat. */
HT_UNARY_BACKWARD (abs, inputs, 1, (x > 0 ? g : x < 0 ? -g : 0), (x > 0 ? g : x < 0 ? -g : 0), HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (neg, output_gradients, 1, -g, -g, HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (flat, output_gradients, 1, 0, 0, HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (exp, outputs, 1, g * x, g * x, HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (log, inputs, 1, g / x, g / x, HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (sqrt, outputs, 1, g / (2 * x), g / (2 * x), HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (reciprocal, outputs, 1, -g * x * x, -g * x * x, HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (erf, inputs, COSTLY, g * 1.12837916709551257390f * expf (-x * x), g * 1.12837916709551257390 * exp (-x * x), HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (sin, inputs, COSTLY, g * cosf (x), g * cos (x), HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (cos, inputs, COSTLY, -g * sinf (x), -g * sin (x), HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (tan, outputs, 1, g * (1 + x * x), g * (1 + x * x), HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (asin, inputs, COSTLY, g / sqrtf (1 - x * x), g / sqrt (1 - x * x), HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (acos, inputs, COSTLY, -g / sqrtf (1 - x * x), -g / sqrt (1 - x * x), HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (atan, inputs, 1, g / (1 + x * x), g / (1 + x * x), HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (sinh, inputs, COSTLY, g * coshf (x), g * cosh (x), HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (cosh, inputs, COSTLY, g * sinhf (x), g * sinh (x), HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (asinh, inputs, COSTLY, g / sqrtf (x * x + 1), g / sqrt (x * x + 1), HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (acosh, inputs, COSTLY, g / sqrtf (x * x - 1), g / sqrt (x * x - 1), HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (atanh, inputs, 1, g / (1 - x * x), g / (1 - x * x), HT_NO_PARAMETERS)

static const HtOperator operators[] = {
  { "", "Abs", 6, HT_OP_IN_PLACE, ht_infer_unary_number, abs_forward, abs_backward, .backward_inputs = HT_OP_KEEPS (0) },
  { "", "Neg", 6, HT_OP_IN_PLACE, ht_infer_unary_number, neg_forward, neg_backward },
  { "", "Sign", 9, HT_OP_IN_PLACE, ht_infer_unary_number, sign_forward, flat_backward },
  { "", "Exp", 6, HT_OP_IN_PLACE, ht_infer_unary_float, exp_forward, exp_backward, .backward_outputs = HT_OP_KEEPS (0) },
  { "", "Log", 6, HT_OP_IN_PLACE, ht_infer_unary_float, log_forward, log_backward, .backward_inputs = HT_OP_KEEPS (0) },
  { "", "Sqrt", 6, HT_OP_IN_PLACE, ht_infer_unary_float, sqrt_forward, sqrt_backward, .backward_outputs = HT_OP_KEEPS (0) },
  { "", "Reciprocal", 6, HT_OP_IN_PLACE, ht_infer_unary_float, reciprocal_forward, reciprocal_backward, .backward_outputs = HT_OP_KEEPS (0) },
  { "", "Floor", 6, HT_OP_IN_PLACE, ht_infer_unary_float, floor_forward, flat_backward },
  { "", "Ceil", 6, HT_OP_IN_PLACE, ht_infer_unary_float, ceil_forward, flat_backward },
  { "", "Round", 11, HT_OP_IN_PLACE, ht_infer_unary_float, round_forward, flat_backward },
  { "", "Erf", 9, HT_OP_IN_PLACE, ht_infer_unary_float, erf_forward, erf_backward, .backward_inputs = HT_OP_KEEPS (0) },
  { "", "Sin", 7, HT_OP_IN_PLACE, ht_infer_unary_float, sin_forward, sin_backward, .backward_inputs = HT_OP_KEEPS (0) },
  { "", "Cos", 7, HT_OP_IN_PLACE, ht_infer_unary_float, cos_forward, cos_backward, .backward_inputs = HT_OP_KEEPS (0) },
  { "", "Tan", 7, HT_OP_IN_PLACE, ht_infer_unary_float, tan_forward, tan_backward, .backward_outputs = HT_OP_KEEPS (0) },
  { "", "Asin", 7, HT_OP_IN_PLACE, ht_infer_unary_float, asin_forward, asin_backward, .backward_inputs = HT_OP_KEEPS (0) },
  { "", "Acos", 7, HT_OP_IN_PLACE, ht_infer_unary_float, acos_forward, acos_backward, .backward_inputs = HT_OP_KEEPS (0) },
  { "", "Atan", 7, HT_OP_IN_PLACE, ht_infer_unary_float, atan_forward, atan_backward, .backward_inputs = HT_OP_KEEPS (0) },
  { "", "Sinh", 9, HT_OP_IN_PLACE, ht_infer_unary_float, sinh_forward, sinh_backward, .backward_inputs = HT_OP_KEEPS (0) },
  { "", "Cosh", 9, HT_OP_IN_PLACE, ht_infer_unary_float, cosh_forward, cosh_backward, .backward_inputs = HT_OP_KEEPS (0) },
  { "", "Asinh", 9, HT_OP_IN_PLACE, ht_infer_unary_float, asinh_forward, asinh_backward, .backward_inputs = HT_OP_KEEPS (0) },
  { "", "Acosh", 9, HT_OP_IN_PLACE, ht_infer_unary_float, acosh_forward, acosh_backward, .backward_inputs = HT_OP_KEEPS (0) },
  { "", "Atanh", 9, HT_OP_IN_PLACE, ht_infer_unary_float, atanh_forward, atanh_backward, .backward_inputs = HT_OP_KEEPS (0) },
};

void
ht_ops_register_unary (void)
{
  HT_OPS_REGISTER (operators);
}
