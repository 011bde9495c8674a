/* SPDX-License-Identifier: MIT */
/* Bits of integers: BitwiseAnd BitwiseOr BitwiseXor BitwiseNot, BitShift. */
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <string.h>

static gboolean
infer_pair (HtInfer *infer, guint32 types, GError **error)
{
  HtDims dims;
  gboolean known;
  HtDataType type = ht_infer_get_type (infer, 0);

  if (!ht_infer_check_arity (infer, 2, 2, error) || !ht_infer_check_type (infer, 0, types, error)
      || !ht_infer_check_same_type (infer, 0, 1, error)
      || !ht_infer_broadcast_inputs (infer, 0, 2, &dims, &known, error))
    return FALSE;
  if (type == HT_DATA_TYPE_UNDEFINED)
    type = ht_infer_get_type (infer, 1);
  if (known)
    ht_infer_put_dims (infer, 0, type, &dims);
  else
    ht_infer_set_output (infer, 0, type, NULL);
  return TRUE;
}

static gboolean
bitwise_infer (HtInfer *infer, GError **error)
{
  return infer_pair (infer, HT_TYPES_INTEGER, error);
}

static gboolean
bitwise_not_infer (HtInfer *infer, GError **error)
{
  return ht_infer_same (infer, 1, HT_TYPES_INTEGER, error);
}

static gboolean
shift_infer (HtInfer *infer, GError **error)
{
  const char *direction = ht_node_get_string (infer->node, "direction", "");
  if (strcmp (direction, "LEFT") != 0 && strcmp (direction, "RIGHT") != 0)
    return ht_infer_fail (infer, error, "the attribute direction is '%s', expected LEFT or RIGHT", direction);
  return infer_pair (infer, HT_TYPES_UNSIGNED, error);
}

/* Signs do not matter, so there is one loop for each size. A shift by all bits or more leaves none. */
#define LOOP(NAME, T, EXPRESSION)                                                                                      \
  static void NAME##_##T (gsize n, const char *const *in, const gint64 *stride, char *out_, gconstpointer user_data)   \
  {                                                                                                                    \
    const T *a = (const T *)in[0], *b = (const T *)in[1];                                                              \
    T *out = (T *)out_;                                                                                                \
    for (gsize i = 0; i < n; i++)                                                                                      \
      {                                                                                                                \
        T x = a[(gint64)i * stride[0]], y = b[(gint64)i * stride[1]];                                                  \
        out[i] = (T)(EXPRESSION);                                                                                      \
      }                                                                                                                \
  }
#define BY_SIZE(NAME, EXPRESSION)                                                                                      \
  LOOP (NAME, guint8, EXPRESSION)                                                                                      \
  LOOP (NAME, guint16, EXPRESSION)                                                                                     \
  LOOP (NAME, guint32, EXPRESSION)                                                                                     \
  LOOP (NAME, guint64, EXPRESSION)                                                                                     \
  static const HtLoop NAME##_by_size[]                                                                                 \
      = { [1] = NAME##_guint8, [2] = NAME##_guint16, [4] = NAME##_guint32, [8] = NAME##_guint64 };

BY_SIZE (and, x &y)
BY_SIZE (or, x | y)
BY_SIZE (xor, x ^ y)
BY_SIZE (left, y < 8 * sizeof x ? (guint64)x << y : 0)
BY_SIZE (right, y < 8 * sizeof x ? x >> y : 0)

static gboolean
run (const HtOpCall *call, const HtLoop *by_size)
{
  gsize size = ht_element_size (ht_tensor_get_data_type (call->inputs[0]));
  ht_loop_broadcast (call->outputs[0], call->inputs, 2, by_size[size], NULL);
  return TRUE;
}

static gboolean
and_forward (const HtOpCall *call, GError **error)
{
  return run (call, and_by_size);
}

static gboolean
or_forward (const HtOpCall *call, GError **error)
{
  return run (call, or_by_size);
}

static gboolean
xor_forward (const HtOpCall *call, GError **error)
{
  return run (call, xor_by_size);
}

static gboolean
shift_forward (const HtOpCall *call, GError **error)
{
  gboolean left = g_str_equal (ht_node_get_string (call->node, "direction", ""), "LEFT");
  return run (call, left ? left_by_size : right_by_size);
}

static void
not_bytes (gsize begin, gsize end, gpointer user_data)
{
  HtTensor *const *tensors = user_data;
  const guint8 *in = ht_tensor_get_data (tensors[0]);
  guint8 *out = ht_tensor_get_writable_data (tensors[1]);
  for (gsize i = begin; i < end; i++)
    out[i] = (guint8)~in[i];
}

static gboolean
not_forward (const HtOpCall *call, GError **error)
{
  HtTensor *tensors[] = { call->inputs[0], call->outputs[0] };
  ht_loop_range (ht_tensor_get_size (call->inputs[0]), 1, not_bytes, tensors);
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "BitShift", 11, HT_OP_IN_PLACE, shift_infer, shift_forward },
  { "", "BitwiseAnd", 18, HT_OP_IN_PLACE, bitwise_infer, and_forward },
  { "", "BitwiseNot", 18, HT_OP_IN_PLACE, bitwise_not_infer, not_forward },
  { "", "BitwiseOr", 18, HT_OP_IN_PLACE, bitwise_infer, or_forward },
  { "", "BitwiseXor", 18, HT_OP_IN_PLACE, bitwise_infer, xor_forward },
};

void
ht_ops_register_bitwise (void)
{
  HT_OPS_REGISTER (operators);
}
