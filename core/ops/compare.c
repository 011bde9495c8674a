/* SPDX-License-Identifier: MIT */
/* Comparisons and logic: Equal Less Greater LessOrEqual GreaterOrEqual, And Or Xor Not, Where, IsNaN, IsInf. */
#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/shape-arithmetic.h"

#include <math.h>
#include <string.h>

#define COMPARE_LOOP(NAME, T, OP)                                                                                      \
  static void NAME##_##T (gsize n, const char *const *in, const gint64 *stride, char *out, gconstpointer user_data)    \
  {                                                                                                                    \
    const T *a = (const T *) in[0], *b = (const T *) in[1];                                                            \
    for (gsize i = 0; i < n; i++)                                                                                      \
      out[i] = a[(gint64) i * stride[0]] OP b[(gint64) i * stride[1]];                                                 \
  }

#define COMPARE_LOOPS(NAME, OP)                                                                                        \
  COMPARE_LOOP (NAME, float, OP)                                                                                       \
  COMPARE_LOOP (NAME, double, OP)                                                                                      \
  COMPARE_LOOP (NAME, gint8, OP)                                                                                       \
  COMPARE_LOOP (NAME, gint16, OP)                                                                                      \
  COMPARE_LOOP (NAME, gint32, OP)                                                                                      \
  COMPARE_LOOP (NAME, gint64, OP)                                                                                      \
  COMPARE_LOOP (NAME, guint8, OP)                                                                                      \
  COMPARE_LOOP (NAME, guint16, OP)                                                                                     \
  COMPARE_LOOP (NAME, guint32, OP)                                                                                     \
  COMPARE_LOOP (NAME, guint64, OP)                                                                                     \
  static const HtLoop NAME##_loops[] = {                                                                               \
    [HT_DATA_TYPE_FLOAT] = NAME##_float,    [HT_DATA_TYPE_DOUBLE] = NAME##_double, [HT_DATA_TYPE_INT8] = NAME##_gint8, \
    [HT_DATA_TYPE_INT16] = NAME##_gint16,   [HT_DATA_TYPE_INT32] = NAME##_gint32,  [HT_DATA_TYPE_INT64] = NAME##_gint64, \
    [HT_DATA_TYPE_UINT8] = NAME##_guint8,   [HT_DATA_TYPE_UINT16] = NAME##_guint16,                                    \
    [HT_DATA_TYPE_UINT32] = NAME##_guint32, [HT_DATA_TYPE_UINT64] = NAME##_guint64,                                    \
    [HT_DATA_TYPE_BOOL] = NAME##_guint8,    [31] = NULL,                                                               \
  };

COMPARE_LOOPS (equal, ==)
COMPARE_LOOPS (less, <)
COMPARE_LOOPS (greater, >)
COMPARE_LOOPS (less_equal, <=)
COMPARE_LOOPS (greater_equal, >=)

static gboolean
run_compare (const HtOpCall *call, const HtLoop *loops, HtForward forward, GError **error)
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
compare_infer (HtInfer *infer, guint32 types, HtIntOp op, GError **error)
{
  HtDims dims;
  gboolean known;

  if (!ht_infer_check_arity (infer, 2, 2, error) || !ht_infer_check_type (infer, 0, types, error)
      || !ht_infer_check_same_type (infer, 0, 1, error)
      || !ht_infer_broadcast_inputs (infer, 0, 2, &dims, &known, error))
    return FALSE;
  if (known)
    ht_infer_put_dims (infer, 0, HT_DATA_TYPE_BOOL, &dims);
  else
    ht_infer_set_output (infer, 0, HT_DATA_TYPE_BOOL, NULL);
  ht_infer_int_binary (infer, op);
  return TRUE;
}

static gboolean
equal_forward (const HtOpCall *call, GError **error)
{
  return run_compare (call, equal_loops, equal_forward, error);
}

static gboolean
less_forward (const HtOpCall *call, GError **error)
{
  return run_compare (call, less_loops, less_forward, error);
}

static gboolean
greater_forward (const HtOpCall *call, GError **error)
{
  return run_compare (call, greater_loops, greater_forward, error);
}

static gboolean
less_equal_forward (const HtOpCall *call, GError **error)
{
  return run_compare (call, less_equal_loops, less_equal_forward, error);
}

static gboolean
greater_equal_forward (const HtOpCall *call, GError **error)
{
  return run_compare (call, greater_equal_loops, greater_equal_forward, error);
}

static gboolean
equal_infer (HtInfer *infer, GError **error)
{
  return compare_infer (infer, HT_TYPES_NUMBER | HT_TYPE_BIT (BOOL) | HT_TYPE_BIT (STRING), HT_INT_EQUAL, error);
}

static gboolean
less_infer (HtInfer *infer, GError **error)
{
  return compare_infer (infer, HT_TYPES_NUMBER, HT_INT_LESS, error);
}

static gboolean
greater_infer (HtInfer *infer, GError **error)
{
  return compare_infer (infer, HT_TYPES_NUMBER, HT_INT_GREATER, error);
}

static gboolean
less_equal_infer (HtInfer *infer, GError **error)
{
  return compare_infer (infer, HT_TYPES_NUMBER, HT_INT_LESS_EQUAL, error);
}

static gboolean
greater_equal_infer (HtInfer *infer, GError **error)
{
  return compare_infer (infer, HT_TYPES_NUMBER, HT_INT_GREATER_EQUAL, error);
}

#define AND(a, b) ((a) && (b))
#define OR(a, b)  ((a) || (b))
#define XOR(a, b) (!(a) != !(b))
#define LOGIC(NAME, OP)                                                                                                \
  static void NAME##_loop (gsize n, const char *const *in, const gint64 *stride, char *out, gconstpointer user_data)   \
  {                                                                                                                    \
    for (gsize i = 0; i < n; i++)                                                                                      \
      out[i] = OP (in[0][(gint64) i * stride[0]], in[1][(gint64) i * stride[1]]);                                      \
  }                                                                                                                    \
  static gboolean NAME##_forward (const HtOpCall *call, GError **error)                                                \
  {                                                                                                                    \
    ht_loop_broadcast (call->outputs[0], call->inputs, 2, NAME##_loop, NULL);                                          \
    return TRUE;                                                                                                       \
  }

LOGIC (and, AND)
LOGIC (or, OR)
LOGIC (xor, XOR)

static gboolean
logic_infer (HtInfer *infer, GError **error)
{
  return compare_infer (infer, HT_TYPE_BIT (BOOL), HT_INT_NONE, error);
}

static gboolean
not_forward (const HtOpCall *call, GError **error)
{
  gsize n = ht_tensor_get_n_elements (call->inputs[0]);
  const guint8 *in = ht_tensor_get_data (call->inputs[0]);
  guint8 *out = ht_tensor_get_writable_data (call->outputs[0]);
  for (gsize i = 0; i < n; i++)
    out[i] = !in[i];
  return TRUE;
}

static gboolean
not_infer (HtInfer *infer, GError **error)
{
  if (!ht_infer_same (infer, 1, HT_TYPE_BIT (BOOL), error))
    return FALSE;
  infer->outputs[0].type = HT_DATA_TYPE_BOOL;
  return TRUE;
}

#define WHERE_LOOP(T)                                                                                                  \
  static void where_##T (gsize n, const char *const *in, const gint64 *stride, char *out_, gconstpointer user_data)    \
  {                                                                                                                    \
    const T *yes = (const T *) in[1], *no = (const T *) in[2];                                                         \
    T *out = (T *) out_;                                                                                               \
    for (gsize i = 0; i < n; i++)                                                                                      \
      out[i] = in[0][(gint64) i * stride[0]] ? yes[(gint64) i * stride[1]] : no[(gint64) i * stride[2]];               \
  }
WHERE_LOOP (guint8)
WHERE_LOOP (guint16)
WHERE_LOOP (guint32)
WHERE_LOOP (guint64)

static gboolean
where_forward (const HtOpCall *call, GError **error)
{
  static const HtLoop by_size[9] = { [1] = where_guint8, [2] = where_guint16, [4] = where_guint32, [8] = where_guint64 };
  HtDataType type = ht_tensor_get_data_type (call->inputs[1]);
  gsize size = ht_element_size (type);
  if (size > 8 || by_size[size] == NULL)
    return ht_op_fail_type (call, type, error);
  ht_loop_broadcast (call->outputs[0], call->inputs, 3, by_size[size], NULL);
  return TRUE;
}

static gboolean
where_infer (HtInfer *infer, GError **error)
{
  HtDims dims;
  gboolean known;

  if (!ht_infer_check_arity (infer, 3, 3, error) || !ht_infer_check_type (infer, 0, HT_TYPE_BIT (BOOL), error)
      || !ht_infer_check_same_type (infer, 1, 2, error)
      || !ht_infer_broadcast_inputs (infer, 0, 3, &dims, &known, error))
    return FALSE;
  HtDataType type = ht_infer_get_type (infer, 1);
  if (type == HT_DATA_TYPE_UNDEFINED)
    type = ht_infer_get_type (infer, 2);
  if (known)
    ht_infer_put_dims (infer, 0, type, &dims);
  else
    ht_infer_set_output (infer, 0, type, NULL);
  ht_infer_int_where (infer);
  return TRUE;
}

#define IS_KIND(NAME, TEST)                                                                                            \
  static gboolean NAME##_forward (const HtOpCall *call, GError **error)                                                \
  {                                                                                                                    \
    gsize n = ht_tensor_get_n_elements (call->inputs[0]);                                                              \
    guint8 *out = ht_tensor_get_writable_data (call->outputs[0]);                                                      \
    gboolean negative = ht_node_get_int (call->node, "detect_negative", 1) != 0;                                       \
    gboolean positive = ht_node_get_int (call->node, "detect_positive", 1) != 0;                                       \
    (void) negative;                                                                                                   \
    (void) positive;                                                                                                   \
    for (gsize i = 0; i < n; i++)                                                                                      \
      {                                                                                                                \
        double x = ht_tensor_get_double (call->inputs[0], i);                                                          \
        out[i] = TEST;                                                                                                 \
      }                                                                                                                \
    return TRUE;                                                                                                       \
  }
IS_KIND (isnan, isnan (x) != 0)
IS_KIND (isinf, isinf (x) && (x > 0 ? positive : negative))

static gboolean
is_kind_infer (HtInfer *infer, GError **error)
{
  if (!ht_infer_same (infer, 1, HT_TYPES_FLOAT, error))
    return FALSE;
  infer->outputs[0].type = HT_DATA_TYPE_BOOL;
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "Equal", 7, HT_OP_NONE, equal_infer, equal_forward },
  { "", "Less", 7, HT_OP_NONE, less_infer, less_forward },
  { "", "Greater", 7, HT_OP_NONE, greater_infer, greater_forward },
  { "", "LessOrEqual", 12, HT_OP_NONE, less_equal_infer, less_equal_forward },
  { "", "GreaterOrEqual", 12, HT_OP_NONE, greater_equal_infer, greater_equal_forward },
  { "", "And", 7, HT_OP_NONE, logic_infer, and_forward },
  { "", "Or", 7, HT_OP_NONE, logic_infer, or_forward },
  { "", "Xor", 7, HT_OP_NONE, logic_infer, xor_forward },
  { "", "Not", 1, HT_OP_IN_PLACE, not_infer, not_forward },
  { "", "Where", 9, HT_OP_NONE, where_infer, where_forward, ht_op_where_backward,
    .backward_inputs = HT_OP_KEEPS (0) },
  { "", "IsNaN", 9, HT_OP_NONE, is_kind_infer, isnan_forward },
  { "", "IsInf", 10, HT_OP_NONE, is_kind_infer, isinf_forward },
};

void
ht_ops_register_compare (void)
{
  HT_OPS_REGISTER (operators);
}
