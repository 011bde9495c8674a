/* SPDX-License-Identifier: MIT */
/* Comparisons and logic: Equal Less Greater LessOrEqual GreaterOrEqual, And Or Xor Not, Where, IsNaN, IsInf. */
#include "ops/backward.h"
#include "graph/tensor-private.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/shape-arithmetic.h"

#include <math.h>

#define COMPARE_LOOP(NAME, T, OP)                                                                                      \
  static void NAME##_##T (gsize n, const char *const *in, const gint64 *stride, char *out, gconstpointer user_data)    \
  {                                                                                                                    \
    const T *a = (const T *)in[0], *b = (const T *)in[1];                                                              \
    if (stride[0] == 1 && stride[1] == 1)                                                                              \
      for (gsize i = 0; i < n; i++)                                                                                    \
        out[i] = a[i] OP b[i];                                                                                         \
    else                                                                                                               \
      for (gsize i = 0; i < n; i++)                                                                                    \
        out[i] = a[(gint64)i * stride[0]] OP b[(gint64)i * stride[1]];                                                 \
  }

static gboolean
infer_truth (HtInfer *infer, guint32 types, HtIntOp op, GError **error)
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

/* Rule and forward function of one comparison. */
#define COMPARE(NAME, OP, TYPES, INT_OP)                                                                               \
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
  static gboolean NAME##_infer (HtInfer *infer, GError **error)                                                        \
  {                                                                                                                    \
    return infer_truth (infer, TYPES, INT_OP, error);                                                                  \
  }                                                                                                                    \
  static gboolean NAME##_forward (const HtOpCall *call, GError **error)                                                \
  {                                                                                                                    \
    static const HtLoop loops[HT_LOOP_TYPES] = {                                                                       \
      [HT_DATA_TYPE_FLOAT] = NAME##_float,    [HT_DATA_TYPE_DOUBLE] = NAME##_double,                                   \
      [HT_DATA_TYPE_INT8] = NAME##_gint8,     [HT_DATA_TYPE_INT16] = NAME##_gint16,                                    \
      [HT_DATA_TYPE_INT32] = NAME##_gint32,   [HT_DATA_TYPE_INT64] = NAME##_gint64,                                    \
      [HT_DATA_TYPE_UINT8] = NAME##_guint8,   [HT_DATA_TYPE_UINT16] = NAME##_guint16,                                  \
      [HT_DATA_TYPE_UINT32] = NAME##_guint32, [HT_DATA_TYPE_UINT64] = NAME##_guint64,                                  \
      [HT_DATA_TYPE_BOOL] = NAME##_guint8,                                                                             \
    };                                                                                                                 \
    return ht_op_run_loops (call, 2, loops, NAME##_forward, error);                                                    \
  }

COMPARE (equal, ==, HT_TYPES_NUMBER | HT_TYPE_BIT (BOOL) | (infer->opset >= 19 ? HT_TYPE_BIT (STRING) : 0),
         HT_INT_EQUAL)
COMPARE (less, <, HT_TYPES_NUMBER, HT_INT_LESS)
COMPARE (greater, >, HT_TYPES_NUMBER, HT_INT_GREATER)
COMPARE (less_equal, <=, HT_TYPES_NUMBER, HT_INT_LESS_EQUAL)
COMPARE (greater_equal, >=, HT_TYPES_NUMBER, HT_INT_GREATER_EQUAL)

static void
equal_strings (gsize n, const char *const *in, const gint64 *stride, char *out, gconstpointer user_data)
{
  const char *const *a = (const char *const *)in[0], *const *b = (const char *const *)in[1];
  for (gsize i = 0; i < n; i++)
    out[i] = g_str_equal (a[(gint64)i * stride[0]], b[(gint64)i * stride[1]]);
}

/* The pointers of a tensor of strings as a tensor of integers, for the loops that move them. */
static HtTensor *
view_strings (HtTensor *tensor)
{
  guint rank;
  const gint64 *dims = ht_tensor_get_dims (tensor, &rank);
  return _ht_tensor_new_view (sizeof (char *) == 8 ? HT_DATA_TYPE_UINT64 : HT_DATA_TYPE_UINT32, dims, rank,
                              tensor->strings);
}

static gboolean
equal_any_forward (const HtOpCall *call, GError **error)
{
  if (ht_tensor_get_data_type (call->inputs[0]) != HT_DATA_TYPE_STRING)
    return equal_forward (call, error);
  g_autoptr (HtTensor) a = view_strings (call->inputs[0]), b = view_strings (call->inputs[1]);
  HtTensor *operands[] = { a, b };
  ht_loop_broadcast (call->outputs[0], operands, 2, equal_strings, NULL);
  return TRUE;
}

#define AND(a, b) ((a) && (b))
#define OR(a, b)  ((a) || (b))
#define XOR(a, b) (!(a) != !(b))
#define LOGIC(NAME, OP)                                                                                                \
  static void NAME##_loop (gsize n, const char *const *in, const gint64 *stride, char *out, gconstpointer user_data)   \
  {                                                                                                                    \
    for (gsize i = 0; i < n; i++)                                                                                      \
      out[i] = OP (in[0][(gint64)i * stride[0]], in[1][(gint64)i * stride[1]]);                                        \
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
  return infer_truth (infer, HT_TYPE_BIT (BOOL), HT_INT_NONE, error);
}

static void
not_loop (gsize n, const char *const *in, const gint64 *stride, char *out, gconstpointer user_data)
{
  for (gsize i = 0; i < n; i++)
    out[i] = !in[0][(gint64)i * stride[0]];
}

static gboolean
not_forward (const HtOpCall *call, GError **error)
{
  ht_loop_broadcast (call->outputs[0], call->inputs, 1, not_loop, NULL);
  return TRUE;
}

static gboolean
not_infer (HtInfer *infer, GError **error)
{
  return ht_infer_same (infer, 1, HT_TYPE_BIT (BOOL), error);
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

/* IsNaN and IsInf. `user_data` says which infinities count. */
typedef struct
{
  gboolean negative, positive;
} Signs;

#define KIND_LOOP(NAME, T, TEST)                                                                                       \
  static void NAME##_##T (gsize n, const char *const *in, const gint64 *stride, char *out, gconstpointer user_data)    \
  {                                                                                                                    \
    const T *values = (const T *)in[0];                                                                                \
    Signs signs = *(const Signs *)user_data;                                                                           \
    (void)signs;                                                                                                       \
    for (gsize i = 0; i < n; i++)                                                                                      \
      {                                                                                                                \
        T x = values[(gint64)i * stride[0]];                                                                           \
        out[i] = TEST;                                                                                                 \
      }                                                                                                                \
  }
#define IS_NAN x != x
#define IS_INF (signs.positive && x == (__typeof__ (x))INFINITY) || (signs.negative && x == -(__typeof__ (x))INFINITY)
KIND_LOOP (isnan, float, IS_NAN)
KIND_LOOP (isnan, double, IS_NAN)
KIND_LOOP (isinf, float, IS_INF)
KIND_LOOP (isinf, double, IS_INF)

/* The small types are looked at as floats, which hold them all. */
static gboolean
run_kind (const HtOpCall *call, HtLoop float_loop, HtLoop double_loop, GError **error)
{
  Signs signs = { ht_node_get_int (call->node, "detect_negative", 1) != 0,
                  ht_node_get_int (call->node, "detect_positive", 1) != 0 };
  HtDataType type = ht_tensor_get_data_type (call->inputs[0]);
  HtTensor *operand = call->inputs[0];
  g_autoptr (HtTensor) wide = NULL;

  if (type != HT_DATA_TYPE_FLOAT && type != HT_DATA_TYPE_DOUBLE)
    {
      operand = wide = ht_tensor_cast (operand, HT_DATA_TYPE_FLOAT, error);
      if (wide == NULL)
        return FALSE;
    }
  ht_loop_broadcast (call->outputs[0], &operand, 1, type == HT_DATA_TYPE_DOUBLE ? double_loop : float_loop, &signs);
  return TRUE;
}

static gboolean
isnan_forward (const HtOpCall *call, GError **error)
{
  return run_kind (call, isnan_float, isnan_double, error);
}

static gboolean
isinf_forward (const HtOpCall *call, GError **error)
{
  return run_kind (call, isinf_float, isinf_double, error);
}

static gboolean
is_kind_infer (HtInfer *infer, GError **error)
{
  if (!ht_infer_same (infer, 1, HT_TYPES_FLOAT | (infer->opset >= 20 ? HT_TYPES_FLOAT8 : 0), error))
    return FALSE;
  infer->outputs[0].type = HT_DATA_TYPE_BOOL;
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "Equal", 7, HT_OP_NONE, equal_infer, equal_any_forward },
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
