/* SPDX-License-Identifier: MIT */
/* Activation functions and Clip. */
#include "ops/backward.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <math.h>

#define COSTLY 8
#define ATTRIBUTE_A(name, fallback) { .a = ht_node_get_float (call->node, name, fallback) }
#define ATTRIBUTES_AB(a_name, a_fallback, b_name, b_fallback)                                                          \
  { .a = ht_node_get_float (call->node, a_name, a_fallback), .b = ht_node_get_float (call->node, b_name, b_fallback) }

/* Parameters are single precision by specification. */
#define A ((float) p->a)
#define B ((float) p->b)

/* From the side of the smaller exponential, so that neither tail overflows. */
static inline float
sigmoid_of (float x)
{
  float e = expf (-fabsf (x));
  return x >= 0.0f ? 1.0f / (1.0f + e) : e / (1.0f + e);
}

static inline double
sigmoid_of_double (double x)
{
  double e = exp (-fabs (x));
  return x >= 0.0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
}

static inline float
softplus_of (float x)
{
  return fmaxf (x, 0.0f) + log1pf (expf (-fabsf (x)));
}

static inline double
softplus_of_double (double x)
{
  return fmax (x, 0.0) + log1p (exp (-fabs (x)));
}

HT_UNARY_MAPPED (sigmoid, sigmoid, sigmoid_of_double (x))
HT_UNARY_MAPPED (tanh, tanh, tanh (x))
HT_UNARY_FLOAT (leaky_relu, 1, x < 0.0f ? A * x : x, x < 0.0 ? A * x : x, ATTRIBUTE_A ("alpha", 0.01))
HT_UNARY_FLOAT (elu, COSTLY, x < 0.0f ? A * expm1f (x) : x, x < 0.0 ? A * expm1 (x) : x, ATTRIBUTE_A ("alpha", 1.0))
HT_UNARY_FLOAT (celu, COSTLY, fmaxf (0.0f, x) + fminf (0.0f, A * expm1f (x / A)),
                fmax (0.0, x) + fmin (0.0, A * expm1 (x / A)), ATTRIBUTE_A ("alpha", 1.0))
HT_UNARY_FLOAT (selu, COSTLY, x > 0.0f ? B * x : B * A * expm1f (x), x > 0.0 ? B * x : B * A * expm1 (x),
                ATTRIBUTES_AB ("alpha", 1.67326319217681884765625, "gamma", 1.05070102214813232421875))
HT_UNARY_FLOAT (softplus, COSTLY, softplus_of (x), softplus_of_double (x), HT_NO_PARAMETERS)
HT_UNARY_FLOAT (softsign, 1, x / (1.0f + fabsf (x)), x / (1.0 + fabs (x)), HT_NO_PARAMETERS)
HT_UNARY_FLOAT (hard_sigmoid, 1, fmaxf (0.0f, fminf (1.0f, A * x + B)), fmax (0.0, fmin (1.0, A * x + B)),
                ATTRIBUTES_AB ("alpha", 0.2, "beta", 0.5))
HT_UNARY_FLOAT (hard_swish, 1, x * fmaxf (0.0f, fminf (1.0f, x * (1.0f / 6.0f) + 0.5f)),
                x * fmax (0.0, fmin (1.0, x / 6.0 + 0.5)), HT_NO_PARAMETERS)
HT_UNARY_FLOAT (mish, COSTLY, x * tanhf (softplus_of (x)), x * tanh (softplus_of_double (x)), HT_NO_PARAMETERS)
HT_UNARY_FLOAT (thresholded_relu, 1, x > A ? x : 0.0f, x > A ? x : 0.0, ATTRIBUTE_A ("alpha", 1.0))
HT_UNARY_MAPPED (gelu_exact, gelu, 0.5 * x * (1.0 + erf (x * 0.70710678118654752440)))
HT_UNARY_MAPPED (gelu_tanh, gelu_tanh, 0.5 * x * (1.0 + tanh (0.79788456080286535588 * (x + 0.044715 * x * x * x))))

static void
swish_float (gsize n, gconstpointer in, gpointer out, const HtUnaryParameters *p)
{
  HT_MAP (swish) (n, in, out, A);
}
HT_UNARY_LOOP (swish, double, x *sigmoid_of_double (A *x))
HT_UNARY_FORWARD (swish, HT_MAP_COST, ATTRIBUTE_A ("alpha", 1.0))

static gboolean
gelu_forward (const HtOpCall *call, GError **error)
{
  gboolean approximate = g_str_equal (ht_node_get_string (call->node, "approximate", "none"), "tanh");
  return approximate ? gelu_tanh_forward (call, error) : gelu_exact_forward (call, error);
}

static gboolean
gelu_infer (HtInfer *infer, GError **error)
{
  const char *approximate = ht_node_get_string (infer->node, "approximate", "none");
  if (!g_str_equal (approximate, "none") && !g_str_equal (approximate, "tanh"))
    return ht_infer_fail (infer, error, "the attribute approximate is '%s', expected 'none' or 'tanh'", approximate);
  return ht_infer_unary_float (infer, error);
}

/* Shrink */
HT_UNARY_LOOP (shrink, float, x < -A ? x + B : x > A ? x - B : 0)
HT_UNARY_LOOP (shrink, double, x < -p->a ? x + p->b : x > p->a ? x - p->b : 0)
/* Integers: computed in double and cut off; what leaves the type wraps. */
#define SHRINK_INTEGER(T) HT_UNARY_LOOP (shrink, T, (gint64) (x < -p->a ? x + p->b : x > p->a ? x - p->b : 0.0))
SHRINK_INTEGER (gint8)
SHRINK_INTEGER (gint16)
SHRINK_INTEGER (gint32)
SHRINK_INTEGER (gint64)
SHRINK_INTEGER (guint8)
SHRINK_INTEGER (guint16)
SHRINK_INTEGER (guint32)
SHRINK_INTEGER (guint64)

static gboolean
shrink_forward (const HtOpCall *call, GError **error)
{
  static const HtUnaryKernel kernels[]
      = { { HT_DATA_TYPE_FLOAT, shrink_float },    { HT_DATA_TYPE_DOUBLE, shrink_double },
          { HT_DATA_TYPE_INT8, shrink_gint8 },     { HT_DATA_TYPE_INT16, shrink_gint16 },
          { HT_DATA_TYPE_INT32, shrink_gint32 },   { HT_DATA_TYPE_INT64, shrink_gint64 },
          { HT_DATA_TYPE_UINT8, shrink_guint8 },   { HT_DATA_TYPE_UINT16, shrink_guint16 },
          { HT_DATA_TYPE_UINT32, shrink_guint32 }, { HT_DATA_TYPE_UINT64, shrink_guint64 },
          { HT_DATA_TYPE_UNDEFINED, NULL } };
  HtUnaryParameters parameters = ATTRIBUTES_AB ("lambd", 0.5, "bias", 0.0);
  return ht_op_run_unary (call, kernels, &parameters, 1, shrink_forward, error);
}

/* Gradients, of x: the input or, where that is cheaper, the output. */
HT_UNARY_BACKWARD (sigmoid, outputs, 1, g * x * (1 - x), g * x * (1 - x), HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (tanh, outputs, 1, g * (1 - x * x), g * (1 - x * x), HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (leaky_relu, inputs, 1, x < 0 ? A * g : g, x < 0 ? A * g : g, ATTRIBUTE_A ("alpha", 0.01))
HT_UNARY_BACKWARD (elu, inputs, COSTLY, x < 0 ? g * A * expf (x) : g, x < 0 ? g * A * exp (x) : g,
                   ATTRIBUTE_A ("alpha", 1.0))
HT_UNARY_BACKWARD (celu, inputs, COSTLY, x < 0 ? g * expf (x / A) : g, x < 0 ? g * exp (x / A) : g,
                   ATTRIBUTE_A ("alpha", 1.0))
HT_UNARY_BACKWARD (selu, inputs, COSTLY, x > 0 ? B * g : g * B * A * expf (x), x > 0 ? B * g : g * B * A * exp (x),
                   ATTRIBUTES_AB ("alpha", 1.67326319217681884765625, "gamma", 1.05070102214813232421875))
HT_UNARY_BACKWARD (softplus, inputs, COSTLY, g * sigmoid_of (x), g * sigmoid_of_double (x), HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (softsign, inputs, 1, g / ((1 + fabsf (x)) * (1 + fabsf (x))), g / ((1 + fabs (x)) * (1 + fabs (x))),
                   HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (hard_sigmoid, outputs, 1, x > 0 && x < 1 ? A * g : 0, x > 0 && x < 1 ? A * g : 0,
                   ATTRIBUTES_AB ("alpha", 0.2, "beta", 0.5))
HT_UNARY_BACKWARD (hard_swish, inputs, 1, x <= -3 ? 0 : x >= 3 ? g : g * (x / 3 + 0.5f),
                   x <= -3 ? 0 : x >= 3 ? g : g * (x / 3 + 0.5), HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (thresholded_relu, inputs, 1, x > A ? g : 0, x > A ? g : 0, ATTRIBUTE_A ("alpha", 1.0))
HT_UNARY_BACKWARD (shrink, inputs, 1, x < -A || x > A ? g : 0, x < -p->a || x > p->a ? g : 0,
                   ATTRIBUTES_AB ("lambd", 0.5, "bias", 0.0))

#define SLOPES(T, SIGMOID, SOFTPLUS, EXP, TANH, ERF)                                                                   \
  static inline T mish_slope_##T (T x)                                                                                 \
  {                                                                                                                    \
    T t = TANH (SOFTPLUS (x));                                                                                         \
    return t + x * SIGMOID (x) * (1 - t * t);                                                                          \
  }                                                                                                                    \
  static inline T swish_slope_##T (T x, T a)                                                                           \
  {                                                                                                                    \
    T s = SIGMOID (a * x);                                                                                             \
    return s + a * x * s * (1 - s);                                                                                    \
  }                                                                                                                    \
  static inline T gelu_slope_##T (T x)                                                                                 \
  {                                                                                                                    \
    return (T)0.5 * (1 + ERF (x * (T)0.70710678118654752440)) + x * (T)0.39894228040143267794 * EXP (x * x / -2);      \
  }                                                                                                                    \
  static inline T gelu_tanh_slope_##T (T x)                                                                            \
  {                                                                                                                    \
    T k = (T)0.79788456080286535588, c = (T)0.044715;                                                                  \
    T t = TANH (k * (x + c * x * x * x));                                                                              \
    return (T)0.5 * (1 + t) + (T)0.5 * x * (1 - t * t) * k * (1 + 3 * c * x * x);                                      \
  }
SLOPES (float, sigmoid_of, softplus_of, expf, tanhf, erff)
SLOPES (double, sigmoid_of_double, softplus_of_double, exp, tanh, erf)
HT_UNARY_BACKWARD (mish, inputs, COSTLY, g *mish_slope_float (x), g *mish_slope_double (x), HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (swish, inputs, COSTLY, g *swish_slope_float (x, A), g *swish_slope_double (x, A),
                   ATTRIBUTE_A ("alpha", 1.0))
HT_UNARY_BACKWARD (gelu_exact, inputs, COSTLY, g *gelu_slope_float (x), g *gelu_slope_double (x), HT_NO_PARAMETERS)
HT_UNARY_BACKWARD (gelu_tanh, inputs, COSTLY, g *gelu_tanh_slope_float (x), g *gelu_tanh_slope_double (x),
                   HT_NO_PARAMETERS)

static gboolean
gelu_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
               GError **error)
{
  gboolean approximate = g_str_equal (ht_node_get_string (call->node, "approximate", "none"), "tanh");
  return approximate ? gelu_tanh_backward (call, output_gradients, input_gradients, error)
                     : gelu_exact_backward (call, output_gradients, input_gradients, error);
}

/* Relu: NaN passes through, as in onnxruntime and torch. */
HT_UNARY_LOOP (relu, float, x < 0 ? 0 : x)
HT_UNARY_LOOP (relu, double, x < 0 ? 0 : x)
HT_UNARY_LOOP (relu, gint8, x < 0 ? 0 : x)
HT_UNARY_LOOP (relu, gint16, x < 0 ? 0 : x)
HT_UNARY_LOOP (relu, gint32, x < 0 ? 0 : x)
HT_UNARY_LOOP (relu, gint64, x < 0 ? 0 : x)

static gboolean
relu_forward (const HtOpCall *call, GError **error)
{
  static const HtUnaryKernel kernels[]
      = { { HT_DATA_TYPE_FLOAT, relu_float }, { HT_DATA_TYPE_DOUBLE, relu_double }, { HT_DATA_TYPE_INT8, relu_gint8 },
          { HT_DATA_TYPE_INT16, relu_gint16 }, { HT_DATA_TYPE_INT32, relu_gint32 }, { HT_DATA_TYPE_INT64, relu_gint64 },
          { HT_DATA_TYPE_UNDEFINED, NULL } };
  return ht_op_run_unary (call, kernels, NULL, 1, relu_forward, error);
}

/* From the output, which the next operator mostly keeps anyway. */
HT_UNARY_BACKWARD (relu, outputs, 1, x > 0 ? g : 0, x > 0 ? g : 0, HT_NO_PARAMETERS)

static gboolean
relu_infer (HtInfer *infer, GError **error)
{
  return ht_infer_same (infer, 1, HT_TYPES_FLOAT | HT_TYPES_SIGNED, error);
}

/* Clip. The limits are of the data's own type, so that 64-bit integers stay exact. */
typedef struct
{
  gboolean has_low, has_high;
  union
  {
    float f;
    double d;
    gint64 i;
    guint64 u;
  } low, high;
} Limits;

typedef struct
{
  const Limits *limits;
  gconstpointer in;
  gpointer out;
} ClipWork;

/* Low first: where the limits cross, the high one wins, as the specification says. */
#define CLIP_RANGE(T, MEMBER)                                                                                          \
  static void clip_##T (gsize begin, gsize end, gpointer user_data)                                                    \
  {                                                                                                                    \
    const ClipWork *work = user_data;                                                                                  \
    const T *in = work->in;                                                                                            \
    T *out = work->out;                                                                                                \
    T low = (T) work->limits->low.MEMBER, high = (T) work->limits->high.MEMBER;                                        \
    if (work->limits->has_low && work->limits->has_high)                                                               \
      for (gsize i = begin; i < end; i++)                                                                              \
        {                                                                                                              \
          T x = in[i] < low ? low : in[i];                                                                             \
          out[i] = x > high ? high : x;                                                                                \
        }                                                                                                              \
    else if (work->limits->has_low)                                                                                    \
      for (gsize i = begin; i < end; i++)                                                                              \
        out[i] = in[i] < low ? low : in[i];                                                                            \
    else if (work->limits->has_high)                                                                                   \
      for (gsize i = begin; i < end; i++)                                                                              \
        out[i] = in[i] > high ? high : in[i];                                                                          \
    else                                                                                                               \
      for (gsize i = begin; i < end; i++)                                                                              \
        out[i] = in[i];                                                                                                \
  }
CLIP_RANGE (float, f)
CLIP_RANGE (double, d)
CLIP_RANGE (gint8, i)
CLIP_RANGE (gint16, i)
CLIP_RANGE (gint32, i)
CLIP_RANGE (gint64, i)
CLIP_RANGE (guint8, u)
CLIP_RANGE (guint16, u)
CLIP_RANGE (guint32, u)
CLIP_RANGE (guint64, u)

static gboolean
clip_run (const HtOpCall *call, const Limits *limits, GError **error)
{
  static const HtRangeFunc by_type[32]
      = { [HT_DATA_TYPE_FLOAT] = clip_float,   [HT_DATA_TYPE_DOUBLE] = clip_double,  [HT_DATA_TYPE_INT8] = clip_gint8,
          [HT_DATA_TYPE_INT16] = clip_gint16,  [HT_DATA_TYPE_INT32] = clip_gint32,   [HT_DATA_TYPE_INT64] = clip_gint64,
          [HT_DATA_TYPE_UINT8] = clip_guint8,  [HT_DATA_TYPE_UINT16] = clip_guint16,
          [HT_DATA_TYPE_UINT32] = clip_guint32, [HT_DATA_TYPE_UINT64] = clip_guint64 };
  HtDataType type = ht_tensor_get_data_type (call->inputs[0]);
  if ((guint) type >= 32 || by_type[type] == NULL)
    return ht_op_fail_type (call, type, error);
  ClipWork work = { limits, ht_tensor_get_data (call->inputs[0]), ht_tensor_get_writable_data (call->outputs[0]) };
  ht_loop_range (ht_tensor_get_n_elements (call->inputs[0]), 1, by_type[type], &work);
  return TRUE;
}

static gboolean
clip_attribute_forward (const HtOpCall *call, GError **error)
{
  if (ht_op_is_half (call))
    return ht_op_widen (call, clip_attribute_forward, error);
  double low = ht_node_get_float (call->node, "min", -G_MAXFLOAT), high = ht_node_get_float (call->node, "max", G_MAXFLOAT);
  Limits limits = { TRUE, TRUE, { 0 }, { 0 } };
  if (ht_tensor_get_data_type (call->inputs[0]) == HT_DATA_TYPE_DOUBLE)
    {
      limits.low.d = low;
      limits.high.d = high;
    }
  else
    {
      limits.low.f = (float) low;
      limits.high.f = (float) high;
    }
  return clip_run (call, &limits, error);
}

static gboolean
read_limit (HtTensor *tensor, gpointer limit)
{
  if (tensor == NULL || ht_tensor_get_n_elements (tensor) == 0)
    return FALSE;
  switch (ht_tensor_get_data_type (tensor))
    {
    case HT_DATA_TYPE_FLOAT:
      *(float *) limit = *(const float *) ht_tensor_get_data (tensor);
      return TRUE;
    case HT_DATA_TYPE_DOUBLE:
      *(double *) limit = *(const double *) ht_tensor_get_data (tensor);
      return TRUE;
    case HT_DATA_TYPE_UINT64:
      *(guint64 *) limit = *(const guint64 *) ht_tensor_get_data (tensor);
      return TRUE;
    default:
      *(gint64 *) limit = ht_tensor_get_int64 (tensor, 0);
      return TRUE;
    }
}

static gboolean
clip_forward (const HtOpCall *call, GError **error)
{
  if (ht_op_is_half (call))
    return ht_op_widen (call, clip_forward, error);
  Limits limits = { 0 };
  limits.has_low = read_limit (call->n_inputs > 1 ? call->inputs[1] : NULL, &limits.low);
  limits.has_high = read_limit (call->n_inputs > 2 ? call->inputs[2] : NULL, &limits.high);
  return clip_run (call, &limits, error);
}

static gboolean
clip_infer (HtInfer *infer, GError **error)
{
  if (!ht_infer_same (infer, 3, HT_TYPES_NUMBER, error))
    return FALSE;
  for (guint i = 1; i < 3; i++)
    if (!ht_infer_check_same_type (infer, 0, i, error) || !ht_infer_check_rank (infer, i, 0, 1, error))
      return FALSE;
  return TRUE;
}

static gboolean
clip_attribute_infer (HtInfer *infer, GError **error)
{
  return ht_infer_unary_float (infer, error);
}

/* From the output, which the next operator mostly keeps anyway: what lies on a limit has no gradient of its own. */
#define CLIP_BACKWARD(T)                                                                                               \
  static void clip_inside_##T (gsize begin, gsize end, gpointer user_data)                                             \
  {                                                                                                                    \
    const ClipBackward *work = user_data;                                                                              \
    const T *y = work->y, *dy = work->dy;                                                                              \
    T *dx = work->dx, low = (T)work->low, high = (T)work->high;                                                        \
    for (gsize i = begin; i < end; i++)                                                                                \
      dx[i] = y[i] > low && y[i] < high ? dy[i] : 0;                                                                   \
  }                                                                                                                    \
  static void clip_at_##T (gsize n, const char *const *in, const gint64 *stride, char *out, gconstpointer limit)       \
  {                                                                                                                    \
    const T *dy = (const T *)in[0], *y = (const T *)in[1];                                                             \
    T at = (T) * (const double *)limit;                                                                                \
    for (gsize i = 0; i < n; i++)                                                                                      \
      ((T *)out)[i] = y[(gint64)i * stride[1]] == at ? dy[(gint64)i * stride[0]] : 0;                                  \
  }

typedef struct
{
  double low, high;
  gconstpointer y, dy;
  gpointer dx;
} ClipBackward;

CLIP_BACKWARD (float)
CLIP_BACKWARD (double)

static double
limit_of (const HtOpCall *call, guint input, const char *attribute, double fallback)
{
  if (call->opset < 11)
    return ht_node_get_float (call->node, attribute, fallback);
  HtTensor *limit = ht_backward_get (call->inputs, call->n_inputs, input);
  return limit && ht_tensor_get_n_elements (limit) > 0 ? ht_tensor_get_double (limit, 0) : fallback;
}

static gboolean
clip_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
               GError **error)
{
  gboolean is_double;
  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  ClipBackward work = { limit_of (call, 1, "min", -INFINITY), limit_of (call, 2, "max", INFINITY),
                        ht_tensor_get_data (call->outputs[0]), ht_tensor_get_data (output_gradients[0]), NULL };
  if (input_gradients[0])
    {
      work.dx = ht_tensor_get_writable_data (input_gradients[0]);
      ht_loop_range (ht_tensor_get_n_elements (call->outputs[0]), 1, is_double ? clip_inside_double : clip_inside_float,
                     &work);
    }
  for (guint i = 1; i < call->n_inputs; i++)
    if (input_gradients[i])
      {
        HtTensor *operands[2] = { output_gradients[0], call->outputs[0] };
        ht_backward_broadcast (input_gradients[i], output_gradients[0], operands, 2,
                               is_double ? clip_at_double : clip_at_float, i == 1 ? &work.low : &work.high);
      }
  return TRUE;
}

/* PRelu: the slope broadcasts to the input, never the other way round. */
#define PRELU_LOOP(T)                                                                                                  \
  static void prelu_##T (gsize n, const char *const *in, const gint64 *stride, char *out_, gconstpointer user_data)    \
  {                                                                                                                    \
    const T *x = (const T *) in[0], *slope = (const T *) in[1];                                                        \
    T *out = (T *) out_;                                                                                               \
    for (gsize i = 0; i < n; i++)                                                                                      \
      {                                                                                                                \
        T value = x[(gint64) i * stride[0]];                                                                           \
        out[i] = value < 0 ? (T) (value * slope[(gint64) i * stride[1]]) : value;                                      \
      }                                                                                                                \
  }
PRELU_LOOP (float)
PRELU_LOOP (double)
PRELU_LOOP (gint32)
PRELU_LOOP (gint64)

static gboolean
prelu_forward (const HtOpCall *call, GError **error)
{
  static const HtLoop by_type[32] = { [HT_DATA_TYPE_FLOAT] = prelu_float,    [HT_DATA_TYPE_DOUBLE] = prelu_double,
                                      [HT_DATA_TYPE_INT32] = prelu_gint32,   [HT_DATA_TYPE_INT64] = prelu_gint64 };
  if (ht_op_is_half (call))
    return ht_op_widen (call, prelu_forward, error);
  HtDataType type = ht_tensor_get_data_type (call->inputs[0]);
  if (type == HT_DATA_TYPE_UINT32 || type == HT_DATA_TYPE_UINT64) /* never negative */
    return ht_op_copy_through (call, error);
  if ((guint) type >= 32 || by_type[type] == NULL)
    return ht_op_fail_type (call, type, error);
  ht_loop_broadcast (call->outputs[0], call->inputs, 2, by_type[type], NULL);
  return TRUE;
}

static gboolean
prelu_infer (HtInfer *infer, GError **error)
{
  HtDims x, slope, out;
  if (!ht_infer_same (infer, 2, HT_TYPES_NUMBER, error) || !ht_infer_check_arity (infer, 2, 2, error)
      || !ht_infer_check_same_type (infer, 0, 1, error))
    return FALSE;
  if (!ht_infer_read_dims (infer, 0, &x) || !ht_infer_read_dims (infer, 1, &slope))
    return TRUE;
  if (!ht_infer_broadcast (infer, &x, &slope, &out, error))
    return FALSE;
  for (guint i = 0; i < out.n; i++)
    if (out.n != x.n || (x.dim[i] >= 0 && out.dim[i] >= 0 && out.dim[i] != x.dim[i]))
      return ht_infer_fail (infer, error, "the slope is larger than the data, it must broadcast to its shape");
  return TRUE;
}

#define PRELU_BACKWARD(T)                                                                                              \
  static void prelu_data_##T (gsize n, const char *const *in, const gint64 *stride, char *out, gconstpointer unused)   \
  {                                                                                                                    \
    const T *dy = (const T *)in[0], *x = (const T *)in[1], *slope = (const T *)in[2];                                  \
    for (gsize i = 0; i < n; i++)                                                                                      \
      {                                                                                                                \
        T g = dy[(gint64)i * stride[0]];                                                                               \
        ((T *)out)[i] = x[(gint64)i * stride[1]] < 0 ? g * slope[(gint64)i * stride[2]] : g;                           \
      }                                                                                                                \
  }                                                                                                                    \
  static void prelu_slope_##T (gsize n, const char *const *in, const gint64 *stride, char *out, gconstpointer unused)  \
  {                                                                                                                    \
    const T *dy = (const T *)in[0], *x = (const T *)in[1];                                                             \
    for (gsize i = 0; i < n; i++)                                                                                      \
      {                                                                                                                \
        T value = x[(gint64)i * stride[1]];                                                                            \
        ((T *)out)[i] = value < 0 ? value * dy[(gint64)i * stride[0]] : 0;                                             \
      }                                                                                                                \
  }
PRELU_BACKWARD (float)
PRELU_BACKWARD (double)

static gboolean
prelu_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                GError **error)
{
  gboolean is_double;
  HtTensor *operands[3] = { output_gradients[0], call->inputs[0], call->inputs[1] };
  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (input_gradients[0])
    ht_backward_broadcast (input_gradients[0], call->inputs[0], operands, 3,
                           is_double ? prelu_data_double : prelu_data_float, NULL);
  if (input_gradients[1])
    ht_backward_broadcast (input_gradients[1], call->inputs[0], operands, 2,
                           is_double ? prelu_slope_double : prelu_slope_float, NULL);
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "Relu", 6, HT_OP_IN_PLACE, relu_infer, relu_forward, relu_backward,
    .backward_outputs = HT_OP_KEEPS (0) },
  { "", "Clip", 6, HT_OP_IN_PLACE, clip_attribute_infer, clip_attribute_forward, clip_backward,
    .backward_inputs = HT_OP_KEEPS (1) | HT_OP_KEEPS (2), .backward_outputs = HT_OP_KEEPS (0) },
  { "", "Clip", 11, HT_OP_IN_PLACE, clip_infer, clip_forward, clip_backward,
    .backward_inputs = HT_OP_KEEPS (1) | HT_OP_KEEPS (2), .backward_outputs = HT_OP_KEEPS (0) },
  { "", "LeakyRelu", 6, HT_OP_IN_PLACE, ht_infer_unary_float, leaky_relu_forward, leaky_relu_backward,
    .backward_inputs = HT_OP_KEEPS (0) },
  { "", "PRelu", 7, HT_OP_IN_PLACE, prelu_infer, prelu_forward, prelu_backward,
    .backward_inputs = HT_OP_KEEPS (0) | HT_OP_KEEPS (1) },
  { "", "Sigmoid", 6, HT_OP_IN_PLACE, ht_infer_unary_float, sigmoid_forward, sigmoid_backward,
    .backward_outputs = HT_OP_KEEPS (0) },
  { "", "Tanh", 6, HT_OP_IN_PLACE, ht_infer_unary_float, tanh_forward, tanh_backward,
    .backward_outputs = HT_OP_KEEPS (0) },
  { "", "Elu", 6, HT_OP_IN_PLACE, ht_infer_unary_float, elu_forward, elu_backward,
    .backward_inputs = HT_OP_KEEPS (0) },
  { "", "Celu", 12, HT_OP_IN_PLACE, ht_infer_unary_float, celu_forward, celu_backward,
    .backward_inputs = HT_OP_KEEPS (0) },
  { "", "Selu", 6, HT_OP_IN_PLACE, ht_infer_unary_float, selu_forward, selu_backward,
    .backward_inputs = HT_OP_KEEPS (0) },
  { "", "Softplus", 1, HT_OP_IN_PLACE, ht_infer_unary_float, softplus_forward, softplus_backward,
    .backward_inputs = HT_OP_KEEPS (0) },
  { "", "Softsign", 1, HT_OP_IN_PLACE, ht_infer_unary_float, softsign_forward, softsign_backward,
    .backward_inputs = HT_OP_KEEPS (0) },
  { "", "HardSigmoid", 6, HT_OP_IN_PLACE, ht_infer_unary_float, hard_sigmoid_forward, hard_sigmoid_backward,
    .backward_outputs = HT_OP_KEEPS (0) },
  { "", "HardSwish", 14, HT_OP_IN_PLACE, ht_infer_unary_float, hard_swish_forward, hard_swish_backward,
    .backward_inputs = HT_OP_KEEPS (0) },
  { "", "Mish", 18, HT_OP_IN_PLACE, ht_infer_unary_float, mish_forward, mish_backward,
    .backward_inputs = HT_OP_KEEPS (0) },
  { "", "Gelu", 20, HT_OP_IN_PLACE, gelu_infer, gelu_forward, gelu_backward,
    .backward_inputs = HT_OP_KEEPS (0) },
  { "", "Swish", 24, HT_OP_IN_PLACE, ht_infer_unary_float, swish_forward, swish_backward,
    .backward_inputs = HT_OP_KEEPS (0) },
  { "", "ThresholdedRelu", 10, HT_OP_IN_PLACE, ht_infer_unary_float, thresholded_relu_forward, thresholded_relu_backward,
    .backward_inputs = HT_OP_KEEPS (0) },
  { "", "Shrink", 9, HT_OP_IN_PLACE, ht_infer_unary_number, shrink_forward, shrink_backward,
    .backward_inputs = HT_OP_KEEPS (0) },
};

void
ht_ops_register_activation (void)
{
  HT_OPS_REGISTER (operators);
}
