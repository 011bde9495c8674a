/* SPDX-License-Identifier: MIT */
#include "ops/shape-arithmetic.h"

#define MAX_ELEMENTS 4096

static const HtSymbolicInt unknown = { FALSE, 0, NULL };

static HtSymbolicInt
number (gint64 value)
{
  return (HtSymbolicInt) { TRUE, value, NULL };
}

gboolean
ht_int_divide (gint64 a, gint64 b, gint64 *quotient)
{
  if (b == 0 || (a == G_MININT64 && b == -1))
    return FALSE;
  *quotient = a / b;
  return TRUE;
}

gboolean
ht_int_modulo (gint64 a, gint64 b, gboolean fmod, gint64 *rest)
{
  if (b == 0)
    return FALSE;
  if (b == -1)
    {
      *rest = 0;
      return TRUE;
    }
  *rest = a % b;
  if (!fmod && *rest != 0 && (*rest < 0) != (b < 0))
    *rest += b;
  return TRUE;
}

static HtSymbolicInt
apply_known (HtIntOp op, gint64 a, gint64 b)
{
  gint64 r = 0;
  switch (op)
    {
    case HT_INT_ADD:
      return __builtin_add_overflow (a, b, &r) ? unknown : number (r);
    case HT_INT_SUB:
      return __builtin_sub_overflow (a, b, &r) ? unknown : number (r);
    case HT_INT_MUL:
      return __builtin_mul_overflow (a, b, &r) ? unknown : number (r);
    case HT_INT_DIV:
      return ht_int_divide (a, b, &r) ? number (r) : unknown;
    case HT_INT_MOD:
      return ht_int_modulo (a, b, FALSE, &r) ? number (r) : unknown;
    case HT_INT_MIN:
      return number (MIN (a, b));
    case HT_INT_MAX:
      return number (MAX (a, b));
    case HT_INT_EQUAL:
      return number (a == b);
    case HT_INT_LESS:
      return number (a < b);
    case HT_INT_GREATER:
      return number (a > b);
    case HT_INT_LESS_EQUAL:
      return number (a <= b);
    case HT_INT_GREATER_EQUAL:
      return number (a >= b);
    default:
      return unknown;
    }
}

/* Symbols stand for dimensions, so they are never negative. */
static HtSymbolicInt
apply_partly_known (HtIntOp op, HtSymbolicInt a, HtSymbolicInt b)
{
  gboolean same = a.symbol && b.symbol && g_str_equal (a.symbol, b.symbol);
  gboolean a_is = a.known, b_is = b.known;

  switch (op)
    {
    case HT_INT_ADD:
      return a_is && a.value == 0 ? b : b_is && b.value == 0 ? a : unknown;
    case HT_INT_SUB:
      return same ? number (0) : b_is && b.value == 0 ? a : unknown;
    case HT_INT_MUL:
      if ((a_is && a.value == 0) || (b_is && b.value == 0))
        return number (0);
      return a_is && a.value == 1 ? b : b_is && b.value == 1 ? a : unknown;
    case HT_INT_DIV:
      return b_is && b.value == 1 ? a : unknown;
    case HT_INT_MIN:
    case HT_INT_MAX:
      return same ? a : unknown;
    case HT_INT_EQUAL:
      if (same)
        return number (1);
      return (a.symbol && b_is && b.value < 0) || (b.symbol && a_is && a.value < 0) ? number (0) : unknown;
    case HT_INT_LESS:
      return a.symbol && b_is && b.value <= 0 ? number (0) : b.symbol && a_is && a.value < 0 ? number (1) : unknown;
    case HT_INT_GREATER:
      return b.symbol && a_is && a.value <= 0 ? number (0) : a.symbol && b_is && b.value < 0 ? number (1) : unknown;
    default:
      return unknown;
    }
}

/* Number of elements of output 0 when elements can be written there: rank <= 1, static, none yet. */
static gboolean
can_set (const HtInfer *infer, gsize *n)
{
  HtDims dims;
  if (infer->outputs[0].elements || infer->outputs[0].constant || !ht_dims_read (infer->outputs[0].shape, &dims)
      || dims.n > 1)
    return FALSE;
  gint64 product = ht_dims_product (&dims, 0, dims.n);
  *n = (gsize) product;
  return product >= 0 && product <= MAX_ELEMENTS;
}

static HtSymbolicInt
get_broadcast (const HtInferValue *value, gsize n, gsize index)
{
  return ht_infer_value_get_element (value, n == 1 ? 0 : index);
}

void
ht_infer_int_binary (HtInfer *infer, HtIntOp op)
{
  const HtInferValue *a = ht_infer_get_input (infer, 0), *b = ht_infer_get_input (infer, 1);
  gsize n, n_a, n_b;

  if (op == HT_INT_NONE || !ht_infer_value_has_elements (a, &n_a) || !ht_infer_value_has_elements (b, &n_b)
      || (a->constant && b->constant) || !can_set (infer, &n))
    return;
  HtSymbolicInt *elements = g_new0 (HtSymbolicInt, MAX (n, 1));
  for (gsize i = 0; i < n; i++)
    {
      HtSymbolicInt ea = get_broadcast (a, n_a, i), eb = get_broadcast (b, n_b, i);
      elements[i] = ea.known && eb.known ? apply_known (op, ea.value, eb.value) : apply_partly_known (op, ea, eb);
    }
  infer->outputs[0].elements = elements;
  infer->outputs[0].n_elements = n;
}

void
ht_infer_int_where (HtInfer *infer)
{
  const HtInferValue *condition = ht_infer_get_input (infer, 0);
  const HtInferValue *yes = ht_infer_get_input (infer, 1), *no = ht_infer_get_input (infer, 2);
  gsize n, n_condition, n_yes, n_no;

  if (!ht_infer_value_has_elements (condition, &n_condition) || !ht_infer_value_has_elements (yes, &n_yes)
      || !ht_infer_value_has_elements (no, &n_no) || (condition->constant && yes->constant && no->constant)
      || !can_set (infer, &n))
    return;
  HtSymbolicInt *elements = g_new0 (HtSymbolicInt, MAX (n, 1));
  for (gsize i = 0; i < n; i++)
    {
      HtSymbolicInt choice = get_broadcast (condition, n_condition, i);
      if (choice.known)
        elements[i] = choice.value ? get_broadcast (yes, n_yes, i) : get_broadcast (no, n_no, i);
    }
  infer->outputs[0].elements = elements;
  infer->outputs[0].n_elements = n;
}
