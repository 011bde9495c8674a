/* SPDX-License-Identifier: MIT */
/* CumSum and Trilu. */
#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <string.h>

static gboolean
cumsum_infer (HtInfer *infer, GError **error)
{
  g_autofree gint64 *axis = NULL;
  gsize n;
  guint normalized = 0;
  HtDims in;

  if (!ht_infer_check_arity (infer, 2, 2, error)
      || !ht_infer_check_type (infer, 0,
                               HT_TYPES_FLOAT | HT_TYPES_INDEX | HT_TYPE_BIT (UINT32) | HT_TYPE_BIT (UINT64), error)
      || !ht_infer_check_type (infer, 1, HT_TYPES_INDEX, error))
    return FALSE;
  if (ht_infer_get_ints (infer, 1, &axis, &n) && ht_infer_read_dims (infer, 0, &in))
    {
      if (n != 1)
        return ht_infer_fail (infer, error, "the axis has %" G_GSIZE_FORMAT " elements, expected 1", n);
      if (!ht_infer_get_axis (infer, axis[0], in.n, &normalized, error))
        return FALSE;
    }
  ht_infer_copy_input (infer, 0, 0, FALSE);
  return TRUE;
}

/* Sums of floats run in double, those of integers wrap. */
#define CUMSUM(T, ACC)                                                                                                 \
  static void cumsum_##T (const T *in, T *out, gsize length, gsize inner, gboolean exclusive, gboolean reverse)        \
  {                                                                                                                    \
    ACC acc = 0;                                                                                                       \
    for (gsize r = 0; r < length; r++)                                                                                 \
      {                                                                                                                \
        gsize at = (reverse ? length - 1 - r : r) * inner;                                                             \
        ACC x = (ACC) in[at];                                                                                          \
        out[at] = (T) (exclusive ? acc : acc + x);                                                                     \
        acc += x;                                                                                                      \
      }                                                                                                                \
  }
CUMSUM (float, double)
CUMSUM (double, double)
CUMSUM (guint32, guint32)
CUMSUM (guint64, guint64)

static gboolean
cumsum_run (const HtOpCall *call, HtTensor *in, HtTensor *out, gboolean reverse, GError **error)
{
  guint rank, axis;
  const gint64 *dims = ht_tensor_get_dims (in, &rank);
  gboolean exclusive = ht_node_get_int (call->node, "exclusive", 0) != 0;
  HtDataType type = ht_tensor_get_data_type (in);
  gsize outer = 1, inner = 1, size = ht_element_size (type);

  if (ht_tensor_get_n_elements (call->inputs[1]) != 1
      || !ht_axis_normalize (ht_tensor_get_int64 (call->inputs[1], 0), rank, &axis))
    return ht_op_fail (call, error, "the axis lies outside %u dimensions", rank);
  if (ht_tensor_get_n_elements (in) == 0)
    return TRUE;
  for (guint i = 0; i < rank; i++)
    *(i < axis ? &outer : &inner) *= i == axis ? 1 : (gsize) dims[i];
  const char *from = ht_tensor_get_data (in);
  char *to = ht_tensor_get_writable_data (out);
  for (gsize i = 0; i < outer * inner; i++)
    {
      gsize length = (gsize) dims[axis], at = (i / inner * length * inner + i % inner) * size;
      if (type == HT_DATA_TYPE_FLOAT)
        cumsum_float ((const float *) (from + at), (float *) (to + at), length, inner, exclusive, reverse);
      else if (type == HT_DATA_TYPE_DOUBLE)
        cumsum_double ((const double *) (from + at), (double *) (to + at), length, inner, exclusive, reverse);
      else if (size == 4)
        cumsum_guint32 ((const guint32 *) (from + at), (guint32 *) (to + at), length, inner, exclusive, reverse);
      else
        cumsum_guint64 ((const guint64 *) (from + at), (guint64 *) (to + at), length, inner, exclusive, reverse);
    }
  return TRUE;
}

static gboolean
cumsum_forward (const HtOpCall *call, GError **error)
{
  if (ht_op_is_half (call))
    return ht_op_widen (call, cumsum_forward, error);
  return cumsum_run (call, call->inputs[0], call->outputs[0], ht_node_get_int (call->node, "reverse", 0) != 0, error);
}

/* The sums from the other end. */
static gboolean
cumsum_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                 GError **error)
{
  gboolean is_double, reverse = ht_node_get_int (call->node, "reverse", 0) != 0;
  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  return input_gradients[0] == NULL || cumsum_run (call, output_gradients[0], input_gradients[0], !reverse, error);
}

static gboolean
trilu_infer (HtInfer *infer, GError **error)
{
  if (!ht_infer_check_arity (infer, 1, 2, error) || !ht_infer_check_rank (infer, 0, 2, HT_TENSOR_MAX_DIMS, error)
      || !ht_infer_check_type (infer, 1, HT_TYPE_BIT (INT64), error))
    return FALSE;
  ht_infer_copy_input (infer, 0, 0, FALSE);
  return TRUE;
}

/* Keeps what lies on and above (upper) or on and below the k-th diagonal. */
static gboolean
trilu_forward (const HtOpCall *call, GError **error)
{
  HtTensor *in = call->inputs[0], *out = call->outputs[0];
  HtTensor *shift = call->n_inputs > 1 ? call->inputs[1] : NULL;
  guint rank;
  const gint64 *dims = ht_tensor_get_dims (in, &rank);
  gint64 k = shift && ht_tensor_get_n_elements (shift) > 0 ? ht_tensor_get_int64 (shift, 0) : 0;
  gboolean upper = ht_node_get_int (call->node, "upper", 1) != 0;
  gsize size = ht_element_size (ht_tensor_get_data_type (in)), n = ht_tensor_get_n_elements (in);

  if (!ht_op_check_movable (call, in, error))
    return FALSE;
  if (n == 0)
    return TRUE;
  gint64 rows = dims[rank - 2], columns = dims[rank - 1];
  k = CLAMP (k, -rows - 1, columns + 1);
  const char *from = ht_tensor_get_data (in);
  char *to = ht_tensor_get_writable_data (out);
  for (gsize line = 0; line < n / (gsize) columns; line++)
    {
      /* The first column on the diagonal of this row */
      gint64 diagonal = CLAMP ((gint64) (line % (gsize) rows) + k + (upper ? 0 : 1), 0, columns);
      gsize at = line * (gsize) columns * size, split = (gsize) diagonal * size, width = (gsize) columns * size;
      gsize first = upper ? split : 0, last = upper ? width : split;
      memmove (to + at + first, from + at + first, last - first);
      memset (to + at, 0, first);
      memset (to + at + last, 0, width - last);
    }
  return TRUE;
}

/* What was kept has its gradient kept. */
static gboolean
trilu_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                GError **error)
{
  g_autofree HtTensor **inputs = g_memdup2 (call->inputs, call->n_inputs * sizeof (HtTensor *));
  HtTensor *outputs[1] = { input_gradients[0] };
  HtOpCall same = *call;
  same.inputs = inputs;
  same.outputs = outputs;
  inputs[0] = output_gradients[0];
  return input_gradients[0] == NULL || trilu_forward (&same, error);
}

static const HtOperator operators[] = {
  { "", "CumSum", 11, HT_OP_NONE, cumsum_infer, cumsum_forward, cumsum_backward,
    .backward_inputs = HT_OP_KEEPS (1) },
  { "", "Trilu", 14, HT_OP_NONE, trilu_infer, trilu_forward, trilu_backward,
    .backward_inputs = HT_OP_KEEPS (1) },
};

void
ht_ops_register_scan (void)
{
  HT_OPS_REGISTER (operators);
}
