/* SPDX-License-Identifier: MIT */
/* ArgMax, ArgMin, Hardmax and TopK: where the extreme elements of an axis are. */
#include "graph/tensor-private.h"
#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <halftone/error.h>

#include <string.h>

static gboolean
arg_infer (HtInfer *infer, GError **error)
{
  HtDims in, out = { 0 };
  guint axis = 0;
  gboolean keep = ht_node_get_int (infer->node, "keepdims", 1) != 0;

  if (!ht_infer_check_arity (infer, 1, 1, error) || !ht_infer_check_type (infer, 0, HT_TYPES_NUMBER, error))
    return FALSE;
  infer->outputs[0].type = HT_DATA_TYPE_INT64;
  if (!ht_infer_read_dims (infer, 0, &in))
    return TRUE;
  if (!ht_infer_get_axis (infer, ht_node_get_int (infer->node, "axis", 0), in.n, &axis, error))
    return FALSE;
  if (in.dim[axis] == 0)
    return ht_infer_fail (infer, error, "dimension %u is empty, it has no extreme element", axis);
  for (guint i = 0; i < in.n; i++)
    {
      if (i != axis)
        ht_dims_append (&out, in.dim[i], in.symbol[i]);
      else if (keep)
        ht_dims_append (&out, 1, NULL);
    }
  ht_infer_put_dims (infer, 0, HT_DATA_TYPE_INT64, &out);
  return TRUE;
}

/* The extreme element of one line. A NaN is more extreme than anything, as in numpy. */
#define EXTREME(T)                                                                                                     \
  static gint64 extreme_##T (const T *in, gsize length, gsize inner, gboolean largest, gboolean last)                  \
  {                                                                                                                    \
    gint64 best = 0;                                                                                                   \
    for (gsize r = 1; r < length; r++)                                                                                 \
      {                                                                                                                \
        T x = in[r * inner], y = in[(gsize) best * inner];                                                             \
        gboolean better = y == y && (x != x || (largest ? x > y : x < y) || (last && x == y));                         \
        if (better)                                                                                                    \
          best = (gint64) r;                                                                                           \
      }                                                                                                                \
    return best;                                                                                                       \
  }
EXTREME (float)
EXTREME (double)
EXTREME (gint8)
EXTREME (gint16)
EXTREME (gint32)
EXTREME (gint64)
EXTREME (guint8)
EXTREME (guint16)
EXTREME (guint32)
EXTREME (guint64)

typedef struct
{
  HtDataType type;
  const char *in;
  gint64 *out;
  gsize length, inner, size;
  gboolean largest, last;
} Arg;

#define CASE(TYPE, T)                                                                                                  \
  case HT_DATA_TYPE_##TYPE:                                                                                            \
    work->out[item] = extreme_##T (in, work->length, work->inner, work->largest, work->last);                         \
    break;

static void
arg_range (gsize begin, gsize end, gpointer user_data)
{
  const Arg *work = user_data;
  for (gsize item = begin; item < end; item++)
    {
      gconstpointer in
          = work->in + (item / work->inner * work->length * work->inner + item % work->inner) * work->size;
      switch (work->type)
        {
          CASE (FLOAT, float)
          CASE (DOUBLE, double)
          CASE (INT8, gint8)
          CASE (INT16, gint16)
          CASE (INT32, gint32)
          CASE (INT64, gint64)
          CASE (UINT8, guint8)
          CASE (UINT16, guint16)
          CASE (UINT32, guint32)
          CASE (UINT64, guint64)
        default:
          break;
        }
    }
}

static gboolean
run_arg (const HtOpCall *call, gboolean largest, HtForward forward, GError **error)
{
  if (ht_op_is_half (call))
    return ht_op_widen (call, forward, error);
  HtTensor *in = call->inputs[0], *out = call->outputs[0];
  guint rank, axis;
  const gint64 *dims = ht_tensor_get_dims (in, &rank);
  gsize n = ht_tensor_get_n_elements (out);

  if (!ht_axis_normalize (ht_node_get_int (call->node, "axis", 0), rank, &axis))
    return ht_op_fail (call, error, "the axis lies outside %u dimensions", rank);
  if (n == 0)
    return TRUE;
  Arg work = { ht_tensor_get_data_type (in), ht_tensor_get_data (in), ht_tensor_get_writable_data (out),
               (gsize) dims[axis], 1, ht_element_size (ht_tensor_get_data_type (in)), largest,
               ht_node_get_int (call->node, "select_last_index", 0) != 0 };
  for (guint i = axis + 1; i < rank; i++)
    work.inner *= (gsize) dims[i];
  ht_loop_range (n, work.length, arg_range, &work);
  return TRUE;
}

static gboolean
argmax_forward (const HtOpCall *call, GError **error)
{
  return run_arg (call, TRUE, argmax_forward, error);
}

static gboolean
argmin_forward (const HtOpCall *call, GError **error)
{
  return run_arg (call, FALSE, argmin_forward, error);
}

/* Hardmax: 1 at the first largest element, 0 elsewhere. Before this opset the tensor was seen as a matrix cut in front
 * of the axis. */
#define HARDMAX_SINGLE_AXIS_OPSET 13

static gboolean
hardmax_infer (HtInfer *infer, GError **error)
{
  gboolean single = infer->opset >= HARDMAX_SINGLE_AXIS_OPSET;
  gint64 axis = ht_node_get_int (infer->node, "axis", single ? -1 : 1);
  guint normalized;
  HtDims in;

  if (!ht_infer_unary_float (infer, error))
    return FALSE;
  if (!ht_infer_read_dims (infer, 0, &in) || in.n == 0 || (!single && axis == (gint64) in.n))
    return TRUE;
  return ht_infer_get_axis (infer, axis, in.n, &normalized, error);
}

static gboolean
hardmax_forward (const HtOpCall *call, GError **error)
{
  gboolean single = call->opset >= HARDMAX_SINGLE_AXIS_OPSET;
  HtTensor *in = call->inputs[0], *out = call->outputs[0];
  gsize outer = 1, length = 1, inner = 1;
  guint rank;
  const gint64 *dims = ht_tensor_get_dims (in, &rank);
  gint64 axis = ht_node_get_int (call->node, "axis", single ? -1 : 1);

  if (ht_op_is_half (call))
    return ht_op_widen (call, hardmax_forward, error);
  axis += axis < 0 ? rank : 0;
  for (guint i = 0; i < rank; i++)
    *((gint64) i < axis ? &outer : (gint64) i == axis || !single ? &length : &inner) *= (gsize) dims[i];
  if (outer * length * inner == 0)
    return TRUE;
  g_autofree gint64 *best = g_new (gint64, outer * inner);
  Arg work = { ht_tensor_get_data_type (in), ht_tensor_get_data (in), best, length, inner,
               ht_element_size (ht_tensor_get_data_type (in)), TRUE, FALSE };
  ht_loop_range (outer * inner, length, arg_range, &work);
  memset (ht_tensor_get_writable_data (out), 0, ht_tensor_get_size (out));
  for (gsize i = 0; i < outer * inner; i++)
    {
      gsize at = (i / inner * length + (gsize) best[i]) * inner + i % inner;
      ht_scalar_store (work.type, ht_tensor_get_writable_data (out), at, 1.0);
    }
  return TRUE;
}

/* TopK. Equal elements come in the order of their indices. */
static gboolean
topk_infer (HtInfer *infer, GError **error)
{
  HtDims in;
  guint axis = 0;
  g_autofree gint64 *k = NULL;
  gsize n = 0;
  gint64 count = HT_DIM_UNKNOWN;

  if (!ht_infer_check_arity (infer, infer->opset >= 10 ? 2 : 1, infer->opset >= 10 ? 2 : 1, error)
      || !ht_infer_check_type (infer, 0, HT_TYPES_NUMBER, error))
    return FALSE;
  if (infer->opset < 10)
    count = ht_node_get_int (infer->node, "k", -2);
  else if (ht_infer_get_ints (infer, 1, &k, &n))
    count = n == 1 ? k[0] : -2;
  infer->outputs[0].type = ht_infer_get_type (infer, 0);
  if (infer->n_outputs > 1)
    infer->outputs[1].type = HT_DATA_TYPE_INT64;
  if (count < HT_DIM_UNKNOWN)
    return ht_infer_fail (infer, error, "k must be one number, 0 or more");
  if (!ht_infer_read_dims (infer, 0, &in))
    return TRUE;
  if (!ht_infer_get_axis (infer, ht_node_get_int (infer->node, "axis", -1), in.n, &axis, error))
    return FALSE;
  if (in.dim[axis] >= 0 && count > in.dim[axis])
    return ht_infer_fail (infer, error, "k is %" G_GINT64_FORMAT ", the dimension only %" G_GINT64_FORMAT, count,
                          in.dim[axis]);
  in.dim[axis] = count;
  in.symbol[axis] = NULL;
  ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &in);
  ht_infer_put_dims (infer, 1, HT_DATA_TYPE_INT64, &in);
  return TRUE;
}

typedef struct
{
  double real;
  gint64 integer; /* exact for the 64-bit types */
  gint64 index;
} Candidate;

static gint
compare_candidates (gconstpointer a_, gconstpointer b_, gpointer largest)
{
  const Candidate *a = a_, *b = b_;
  gint order = a->real < b->real ? -1 : a->real > b->real ? 1 : (a->integer > b->integer) - (a->integer < b->integer);
  if (largest)
    order = -order;
  return order ? order : (a->index > b->index) - (a->index < b->index);
}

static gboolean
topk_forward (const HtOpCall *call, GError **error)
{
  HtTensor *in = call->inputs[0], *values = call->outputs[0], *indices = call->n_outputs > 1 ? call->outputs[1] : NULL;
  guint rank, axis;
  const gint64 *dims = ht_tensor_get_dims (in, &rank);
  HtDataType type = ht_tensor_get_data_type (in);
  gsize size = ht_element_size (type), inner = 1, outer = 1;
  gboolean largest = ht_node_get_int (call->node, "largest", 1) != 0;

  if (!ht_axis_normalize (ht_node_get_int (call->node, "axis", -1), rank, &axis))
    return ht_op_fail (call, error, "the axis lies outside %u dimensions", rank);
  gsize length = (gsize) dims[axis], k = (gsize) ht_tensor_get_dim (values ? values : indices, axis);
  for (guint i = 0; i < rank; i++)
    *(i < axis ? &outer : &inner) *= i == axis ? 1 : (gsize) dims[i];
  g_autofree Candidate *line = length <= G_MAXINT ? g_try_new (Candidate, MAX (length, 1)) : NULL;
  if (line == NULL)
    return ht_op_fail (call, error, "no memory to sort %" G_GSIZE_FORMAT " elements", length);
  for (gsize i = 0; k > 0 && i < outer * inner; i++)
    {
      gsize first = i / inner * length * inner + i % inner, to = i / inner * k * inner + i % inner;
      for (gsize r = 0; r < length; r++)
        {
          gsize at = first + r * inner;
          line[r] = (Candidate) { ht_tensor_get_double (in, at),
                                  ht_data_type_is_float (type) ? 0 : ht_tensor_get_int64 (in, at), (gint64) r };
        }
      g_qsort_with_data (line, (gint) length, sizeof *line, compare_candidates, GINT_TO_POINTER (largest));
      for (gsize r = 0; r < k; r++)
        {
          if (values)
            memcpy ((char *) ht_tensor_get_writable_data (values) + (to + r * inner) * size,
                    (const char *) ht_tensor_get_data (in) + (first + (gsize) line[r].index * inner) * size, size);
          if (indices)
            ((gint64 *) ht_tensor_get_writable_data (indices))[to + r * inner] = line[r].index;
        }
    }
  return TRUE;
}

/* dy goes where its elements came from, which sorting again says. */
static gboolean
topk_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
               GError **error)
{
  HtTensor *dx = input_gradients[0], *dy = output_gradients[0];
  gboolean is_double;
  guint rank, axis;

  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (dx == NULL)
    return TRUE;
  const gint64 *dims = ht_tensor_get_dims (dy, &rank);
  g_autoptr (HtTensor) indices = ht_tensor_new (HT_DATA_TYPE_INT64, dims, rank, error);
  if (indices == NULL)
    return FALSE;
  HtTensor *outputs[2] = { NULL, indices };
  HtOpCall sorting = *call;
  sorting.n_outputs = 2;
  sorting.outputs = outputs;
  if (!topk_forward (&sorting, error))
    return FALSE;
  ht_axis_normalize (ht_node_get_int (call->node, "axis", -1), rank, &axis);
  gsize size = is_double ? sizeof (double) : sizeof (float), inner = 1, k = (gsize) dims[axis];
  gsize length = (gsize) ht_tensor_get_dim (dx, axis), n = ht_tensor_get_n_elements (dy);
  const gint64 *from = ht_tensor_get_data (indices);
  const char *in = ht_tensor_get_data (dy);
  char *out = ht_tensor_get_writable_data (dx);
  for (guint i = axis + 1; i < rank; i++)
    inner *= (gsize) dims[i];
  ht_backward_zero (dx);
  for (gsize i = 0; i < n; i++)
    {
      gsize at = (i / inner / k * length + (gsize) from[i]) * inner + i % inner;
      memcpy (out + at * size, in + i * size, size);
    }
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "ArgMax", 1, HT_OP_NONE, arg_infer, argmax_forward },
  { "", "ArgMin", 1, HT_OP_NONE, arg_infer, argmin_forward },
  { "", "Hardmax", 1, HT_OP_NONE, hardmax_infer, hardmax_forward },
  { "", "TopK", 1, HT_OP_KEEPS_GRID, topk_infer, topk_forward, topk_backward, .backward_inputs = HT_OP_KEEPS (0) },
};

void
ht_ops_register_argmax (void)
{
  HT_OPS_REGISTER (operators);
}
