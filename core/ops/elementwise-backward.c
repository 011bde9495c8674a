/* SPDX-License-Identifier: MIT */
/* Gradients of broadcast arithmetic: Add Sub Mul Div Mod Pow Sum Mean Min Max Where. */
#include "graph/tensor-private.h"
#include "ops/backward.h"

#include "ops/rules.h"

#include <string.h>
#include <tgmath.h>

#define AT(k)    ((const T *)in[k])[(gint64)i * stride[k]]
#define PLAIN(k) ((const T *)in[k])[i]

/* A loop whose term is an expression of AT (0), AT (1) ...; one that all operands walk without gaps is vectorized. */
#define TERM_LOOP(NAME, REAL, N_OPERANDS, EXPRESSION, PLAIN_EXPRESSION)                                                \
  static void NAME##_##REAL (gsize n, const char *const *in, const gint64 *stride, char *out, gconstpointer user_data) \
  {                                                                                                                    \
    typedef REAL T;                                                                                                    \
    gboolean plain = TRUE;                                                                                             \
    for (guint k = 0; k < (N_OPERANDS); k++)                                                                           \
      plain = plain && stride[k] == 1;                                                                                 \
    if (plain)                                                                                                         \
      for (gsize i = 0; i < n; i++)                                                                                    \
        ((T *)out)[i] = (PLAIN_EXPRESSION);                                                                            \
    else                                                                                                               \
      for (gsize i = 0; i < n; i++)                                                                                    \
        ((T *)out)[i] = (EXPRESSION);                                                                                  \
  }

#define TERM_LOOPS(NAME, N_OPERANDS, EXPRESSION, PLAIN_EXPRESSION)                                                     \
  TERM_LOOP (NAME, float, N_OPERANDS, EXPRESSION, PLAIN_EXPRESSION)                                                    \
  TERM_LOOP (NAME, double, N_OPERANDS, EXPRESSION, PLAIN_EXPRESSION)

TERM_LOOPS (product, 2, AT (0) * AT (1), PLAIN (0) * PLAIN (1))
TERM_LOOPS (quotient, 2, AT (0) / AT (1), PLAIN (0) / PLAIN (1))
/* dy, y, divisor */
TERM_LOOPS (divisor, 3, -AT (0) * AT (1) / AT (2), -PLAIN (0) * PLAIN (1) / PLAIN (2))
/* dy, dividend, divisor */
TERM_LOOPS (whole_quotient, 3, -AT (0) * trunc (AT (1) / AT (2)), -PLAIN (0) * trunc (PLAIN (1) / PLAIN (2)))
/* share of dy, x, y */
TERM_LOOPS (selected, 3, AT (1) == AT (2) ? AT (0) : 0, PLAIN (1) == PLAIN (2) ? PLAIN (0) : 0)

#define RUN(NAME, ...) ht_backward_broadcast (__VA_ARGS__, is_double ? NAME##_double : NAME##_float, NULL)

gboolean
ht_op_add_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                    GError **error)
{
  gboolean is_double;
  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  for (guint i = 0; i < call->n_inputs; i++)
    if (input_gradients[i])
      ht_backward_sum_to (input_gradients[i], output_gradients[0], 1.0);
  return TRUE;
}

gboolean
ht_op_sub_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                    GError **error)
{
  gboolean is_double;
  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (input_gradients[0])
    ht_backward_sum_to (input_gradients[0], output_gradients[0], 1.0);
  if (input_gradients[1])
    ht_backward_sum_to (input_gradients[1], output_gradients[0], -1.0);
  return TRUE;
}

gboolean
ht_op_mean_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                     GError **error)
{
  gboolean is_double;
  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  for (guint i = 0; i < call->n_inputs; i++)
    if (input_gradients[i])
      ht_backward_sum_to (input_gradients[i], output_gradients[0], 1.0 / call->n_inputs);
  return TRUE;
}

gboolean
ht_op_mul_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                    GError **error)
{
  gboolean is_double;
  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  for (guint i = 0; i < 2; i++)
    {
      HtTensor *operands[2] = { output_gradients[0], call->inputs[1 - i] };
      if (input_gradients[i])
        RUN (product, input_gradients[i], output_gradients[0], operands, 2);
    }
  return TRUE;
}

gboolean
ht_op_div_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                    GError **error)
{
  gboolean is_double;
  HtTensor *dividend[2] = { output_gradients[0], call->inputs[1] };
  HtTensor *divisor[3] = { output_gradients[0], call->outputs[0], call->inputs[1] };
  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (input_gradients[0])
    RUN (quotient, input_gradients[0], output_gradients[0], dividend, 2);
  if (input_gradients[1])
    RUN (divisor, input_gradients[1], output_gradients[0], divisor, 3);
  return TRUE;
}

gboolean
ht_op_mod_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                    GError **error)
{
  gboolean is_double;
  HtTensor *divisor[3] = { output_gradients[0], call->inputs[0], call->inputs[1] };
  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (input_gradients[0])
    ht_backward_sum_to (input_gradients[0], output_gradients[0], 1.0);
  if (input_gradients[1])
    RUN (whole_quotient, input_gradients[1], output_gradients[0], divisor, 3);
  return TRUE;
}

/* Pow: operands dy, base, exponent, whose type is its own. */
typedef struct
{
  HtDataType exponent;
  gboolean is_square;
} Pow;

#define POW_LOOPS(T)                                                                                                   \
  static void pow_base_##T (gsize n, const char *const *in, const gint64 *stride, char *out, gconstpointer user_data)  \
  {                                                                                                                    \
    const Pow *data = user_data;                                                                                       \
    if (data->is_square)                                                                                               \
      for (gsize i = 0; i < n; i++)                                                                                    \
        ((T *)out)[i] = 2 * AT (0) * AT (1);                                                                           \
    else                                                                                                               \
      for (gsize i = 0; i < n; i++)                                                                                    \
        {                                                                                                              \
          double e = ht_scalar_load (data->exponent, in[2], i * (gsize)stride[2]);                                     \
          ((T *)out)[i] = e == 0 ? 0 : (T)((double)AT (0) * e * pow ((double)AT (1), e - 1));                          \
        }                                                                                                              \
  }                                                                                                                    \
  static void pow_exponent_##T (gsize n, const char *const *in, const gint64 *stride, char *out,                       \
                                gconstpointer user_data)                                                               \
  {                                                                                                                    \
    const Pow *data = user_data;                                                                                       \
    for (gsize i = 0; i < n; i++)                                                                                      \
      {                                                                                                                \
        double base = (double)AT (1), e = ht_scalar_load (data->exponent, in[2], i * (gsize)stride[2]);                \
        ((T *)out)[i] = base == 0 && e >= 0 ? 0 : (T)((double)AT (0) * pow (base, e) * log (base));                    \
      }                                                                                                                \
  }
#define T float
POW_LOOPS (float)
#undef T
#define T double
POW_LOOPS (double)
#undef T

gboolean
ht_op_pow_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                    GError **error)
{
  gboolean is_double;
  HtTensor *operands[3] = { output_gradients[0], call->inputs[0], call->inputs[1] };
  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  Pow data = { ht_tensor_get_data_type (call->inputs[1]), FALSE };
  data.is_square = ht_tensor_get_n_elements (call->inputs[1]) == 1 && ht_tensor_get_double (call->inputs[1], 0) == 2;
  if (input_gradients[0])
    ht_backward_broadcast (input_gradients[0], output_gradients[0], operands, 3,
                           is_double ? pow_base_double : pow_base_float, &data);
  if (input_gradients[1] && ht_tensor_get_data_type (call->inputs[1]) != ht_tensor_get_data_type (call->inputs[0]))
    return ht_op_fail_gradient (call, 1, error);
  if (input_gradients[1])
    ht_backward_broadcast (input_gradients[1], output_gradients[0], operands, 3,
                           is_double ? pow_exponent_double : pow_exponent_float, &data);
  return TRUE;
}

/* Min and Max: those that share the extreme share the gradient, as in torch. The workspace holds each share. */

#define SHARE_LOOPS(T)                                                                                                 \
  static void count_##T (gsize n, const char *const *in, const gint64 *stride, char *out, gconstpointer user_data)     \
  {                                                                                                                    \
    for (gsize i = 0; i < n; i++)                                                                                      \
      ((T *)out)[i] = ((const T *)in[0])[(gint64)i * stride[0]]                                                        \
                      + (((const T *)in[1])[(gint64)i * stride[1]] == ((const T *)in[2])[(gint64)i * stride[2]]);      \
  }                                                                                                                    \
  static void share_##T (gsize n, const char *const *in, const gint64 *stride, char *out, gconstpointer user_data)     \
  {                                                                                                                    \
    for (gsize i = 0; i < n; i++)                                                                                      \
      {                                                                                                                \
        T count = ((const T *)in[1])[(gint64)i * stride[1]];                                                           \
        ((T *)out)[i] = count == 0 ? 0 : ((const T *)in[0])[(gint64)i * stride[0]] / count;                            \
      }                                                                                                                \
  }
SHARE_LOOPS (float)
SHARE_LOOPS (double)

gboolean
ht_op_extreme_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                        GError **error)
{
  gboolean is_double;
  HtTensor *y = call->outputs[0];
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (y, &n_dims);

  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (ht_tensor_get_n_elements (y) == 0)
    {
      for (guint i = 0; i < call->n_inputs; i++)
        if (input_gradients[i])
          ht_backward_zero (input_gradients[i]);
      return TRUE;
    }
  memset (call->workspace, 0, ht_tensor_get_size (y));
  g_autoptr (HtTensor) share = _ht_tensor_new_view (ht_tensor_get_data_type (y), dims, n_dims, call->workspace);
  for (guint i = 0; i < call->n_inputs; i++)
    {
      HtTensor *operands[3] = { share, call->inputs[i], y };
      ht_loop_broadcast (share, operands, 3, is_double ? count_double : count_float, NULL);
    }
  HtTensor *operands[2] = { output_gradients[0], share };
  ht_loop_broadcast (share, operands, 2, is_double ? share_double : share_float, NULL);
  for (guint i = 0; i < call->n_inputs; i++)
    if (input_gradients[i])
      {
        HtTensor *terms[3] = { share, call->inputs[i], y };
        RUN (selected, input_gradients[i], y, terms, 3);
      }
  return TRUE;
}

/* Where: operands condition, dy. */
#define WHERE_LOOPS(T)                                                                                                 \
  static void where_true_##T (gsize n, const char *const *in, const gint64 *stride, char *out, gconstpointer unused)   \
  {                                                                                                                    \
    for (gsize i = 0; i < n; i++)                                                                                      \
      ((T *)out)[i] = ((const guint8 *)in[0])[(gint64)i * stride[0]] ? ((const T *)in[1])[(gint64)i * stride[1]] : 0;  \
  }                                                                                                                    \
  static void where_false_##T (gsize n, const char *const *in, const gint64 *stride, char *out, gconstpointer unused)  \
  {                                                                                                                    \
    for (gsize i = 0; i < n; i++)                                                                                      \
      ((T *)out)[i] = ((const guint8 *)in[0])[(gint64)i * stride[0]] ? 0 : ((const T *)in[1])[(gint64)i * stride[1]];  \
  }
WHERE_LOOPS (float)
WHERE_LOOPS (double)

gboolean
ht_op_where_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                      GError **error)
{
  gboolean is_double;
  HtTensor *operands[2] = { call->inputs[0], output_gradients[0] };
  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (input_gradients[1])
    RUN (where_true, input_gradients[1], output_gradients[0], operands, 2);
  if (input_gradients[2])
    RUN (where_false, input_gradients[2], output_gradients[0], operands, 2);
  return TRUE;
}
