/* SPDX-License-Identifier: MIT */
/* ReduceSum Mean Max Min Prod SumSquare L1 L2 LogSum LogSumExp, axes in the attribute or the second input.
 *
 * Every tensor is seen as [outer, length, inner], the middle reduced; scattered axes are gathered first. Sums of floats
 * are kept in double, one output element always by one thread in a fixed order. */
#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <halftone/error.h>

#include <float.h>
#include <math.h>
#include <string.h>

#define BLOCK 256
#define LANES 8

typedef enum
{
  REDUCE_SUM,
  REDUCE_MEAN,
  REDUCE_LOG_SUM,
  REDUCE_SUM_SQUARE,
  REDUCE_L2,
  REDUCE_L1,
  REDUCE_PROD,
  REDUCE_MAX,
  REDUCE_MIN,
  REDUCE_LOG_SUM_EXP,
} ReduceKind;

typedef struct
{
  ReduceKind kind;
  gconstpointer in;
  gpointer out;
  gsize outer, length, inner, blocks; /* blocks of inner columns */
} Reduce;

#define STEP_SUM(acc, x)    ((acc) + (x))
#define STEP_SQUARE(acc, x) ((acc) + (x) * (x))
#define STEP_ABS(acc, x)    ((acc) + ((x) < 0 ? 0 - (x) : (x)))
#define STEP_PROD(acc, x)   ((acc) * (x))
#define STEP_MAX(acc, x)    ((acc) >= (x) || (acc) != (acc) ? (acc) : (x))
#define STEP_MIN(acc, x)    ((acc) <= (x) || (acc) != (acc) ? (acc) : (x))

/* acc[0 .. width) over `length` rows, `inner` elements apart. */
#define COLUMNS(ACC, STEP)                                                                                             \
  for (gsize r = 0; r < length; r++)                                                                                   \
    for (gsize i = 0; i < width; i++)                                                                                  \
      acc[i] = STEP (acc[i], (ACC) in[r * inner + i])

#define LINES(NAME, T, ACC)                                                                                            \
  static void columns_##NAME (ReduceKind kind, const T *in, gsize length, gsize inner, gsize width, ACC *acc)          \
  {                                                                                                                    \
    switch (kind)                                                                                                      \
      {                                                                                                                \
      case REDUCE_SUM:                                                                                                 \
      case REDUCE_MEAN:                                                                                                \
      case REDUCE_LOG_SUM:                                                                                             \
        COLUMNS (ACC, STEP_SUM);                                                                                       \
        break;                                                                                                         \
      case REDUCE_SUM_SQUARE:                                                                                          \
      case REDUCE_L2:                                                                                                  \
        COLUMNS (ACC, STEP_SQUARE);                                                                                    \
        break;                                                                                                         \
      case REDUCE_L1:                                                                                                  \
        COLUMNS (ACC, STEP_ABS);                                                                                       \
        break;                                                                                                         \
      case REDUCE_PROD:                                                                                                \
        COLUMNS (ACC, STEP_PROD);                                                                                      \
        break;                                                                                                         \
      case REDUCE_MIN:                                                                                                 \
        COLUMNS (ACC, STEP_MIN);                                                                                       \
        break;                                                                                                         \
      default:                                                                                                         \
        COLUMNS (ACC, STEP_MAX);                                                                                       \
        break;                                                                                                         \
      }                                                                                                                \
  }

static double
initial_real (ReduceKind kind)
{
  return kind == REDUCE_PROD ? 1.0 : kind == REDUCE_MIN ? INFINITY
         : kind == REDUCE_MAX || kind == REDUCE_LOG_SUM_EXP ? -INFINITY
                                                            : 0.0;
}

static double
join_real (ReduceKind kind, double a, double b)
{
  switch (kind)
    {
    case REDUCE_PROD:
      return a * b;
    case REDUCE_MIN:
      return STEP_MIN (a, b);
    case REDUCE_MAX:
    case REDUCE_LOG_SUM_EXP:
      return STEP_MAX (a, b);
    default:
      return a + b;
    }
}

static double
finish_real (ReduceKind kind, double acc, gsize length)
{
  switch (kind)
    {
    case REDUCE_MEAN:
      return acc / (double) length;
    case REDUCE_LOG_SUM:
      return log (acc);
    case REDUCE_L2:
      return sqrt (acc);
    default:
      return acc;
    }
}

/* log (sum (exp x)) around the largest x, which keeps it finite. */
#define LOG_SUM_EXP(T)                                                                                                 \
  static double log_sum_exp_##T (const T *in, gsize length, gsize inner, double largest)                               \
  {                                                                                                                    \
    double sum = 0.0, shift = isfinite (largest) ? largest : 0.0;                                                      \
    for (gsize r = 0; r < length; r++)                                                                                 \
      sum += exp ((double) in[r * inner] - shift);                                                                     \
    return log (sum) + shift;                                                                                          \
  }

/* One item is a block of at most BLOCK columns of one outer index; a lone column is cut in lanes. */
#define REDUCE_REAL(T)                                                                                                 \
  LINES (T, T, double)                                                                                                 \
  LOG_SUM_EXP (T)                                                                                                      \
  static void reduce_##T (gsize begin, gsize end, gpointer user_data)                                                  \
  {                                                                                                                    \
    const Reduce *work = user_data;                                                                                    \
    double acc[BLOCK];                                                                                                 \
    for (gsize item = begin; item < end; item++)                                                                       \
      {                                                                                                                \
        gsize outer = item / work->blocks, first = item % work->blocks * BLOCK;                                        \
        gsize width = MIN (work->inner - first, BLOCK);                                                                \
        const T *in = (const T *) work->in + outer * work->length * work->inner + first;                               \
        T *out = (T *) work->out + outer * work->inner + first;                                                        \
        for (gsize i = 0; i < MAX (width, LANES); i++)                                                                 \
          acc[i] = initial_real (work->kind);                                                                          \
        if (work->inner == 1)                                                                                          \
          {                                                                                                            \
            gsize whole = work->length / LANES;                                                                        \
            columns_##T (work->kind, in, whole, LANES, LANES, acc);                                                    \
            columns_##T (work->kind, in + whole * LANES, 1, LANES, work->length - whole * LANES, acc);                 \
            for (gsize i = 1; i < LANES; i++)                                                                          \
              acc[0] = join_real (work->kind, acc[0], acc[i]);                                                         \
          }                                                                                                            \
        else                                                                                                           \
          columns_##T (work->kind, in, work->length, work->inner, width, acc);                                         \
        for (gsize i = 0; i < width; i++)                                                                              \
          out[i] = (T) (work->kind == REDUCE_LOG_SUM_EXP ? log_sum_exp_##T (in + i, work->length, work->inner, acc[i]) \
                                                         : finish_real (work->kind, acc[i], work->length));            \
      }                                                                                                                \
  }
REDUCE_REAL (float)
REDUCE_REAL (double)

/* Integers: sums wrap in 64 bits; the logarithmic and quadratic kinds end in double. */
static guint64
initial_integer (ReduceKind kind, gint64 lowest, guint64 highest)
{
  return kind == REDUCE_PROD ? 1 : kind == REDUCE_MIN ? highest : kind == REDUCE_MAX ? (guint64) lowest : 0;
}

#define REDUCE_INTEGER(T, WIDE, LOWEST, HIGHEST)                                                                       \
  static void reduce_##T (gsize begin, gsize end, gpointer user_data)                                                  \
  {                                                                                                                    \
    const Reduce *work = user_data;                                                                                    \
    for (gsize item = begin; item < end; item++)                                                                       \
      {                                                                                                                \
        gsize outer = item / work->inner;                                                                              \
        const T *in = (const T *) work->in + outer * work->length * work->inner + item % work->inner;                  \
        guint64 acc = initial_integer (work->kind, LOWEST, HIGHEST);                                                   \
        double real = 0.0;                                                                                             \
        for (gsize r = 0; r < work->length; r++)                                                                       \
          {                                                                                                            \
            WIDE x = in[r * work->inner];                                                                              \
            guint64 u = (guint64) x;                                                                                   \
            switch (work->kind)                                                                                        \
              {                                                                                                        \
              case REDUCE_SUM_SQUARE:                                                                                  \
                acc += u * u;                                                                                          \
                break;                                                                                                 \
              case REDUCE_L2:                                                                                          \
                real += (double) x * (double) x;                                                                       \
                break;                                                                                                 \
              case REDUCE_LOG_SUM_EXP:                                                                                 \
                real += exp ((double) x);                                                                              \
                break;                                                                                                 \
              case REDUCE_L1:                                                                                          \
                acc += x > 0 ? u : 0 - u;                                                                              \
                break;                                                                                                 \
              case REDUCE_PROD:                                                                                        \
                acc *= u;                                                                                              \
                break;                                                                                                 \
              case REDUCE_MAX:                                                                                         \
                acc = (WIDE) acc >= x ? acc : u;                                                                       \
                break;                                                                                                 \
              case REDUCE_MIN:                                                                                         \
                acc = (WIDE) acc <= x ? acc : u;                                                                       \
                break;                                                                                                 \
              default:                                                                                                 \
                acc += u;                                                                                              \
                break;                                                                                                 \
              }                                                                                                        \
          }                                                                                                            \
        WIDE result = (WIDE) acc;                                                                                      \
        if (work->kind == REDUCE_MEAN)                                                                                 \
          result = work->length > 0 ? (WIDE) (result / (WIDE) work->length) : 0;                                       \
        else if (work->kind == REDUCE_L2)                                                                              \
          result = (WIDE) sqrt (real);                                                                                 \
        else if (work->kind == REDUCE_LOG_SUM || work->kind == REDUCE_LOG_SUM_EXP)                                     \
          {                                                                                                            \
            double value = log (work->kind == REDUCE_LOG_SUM ? (double) result : real);                                \
            result = value > -9e18 && value < 9e18 ? (WIDE) value : 0;                                                 \
          }                                                                                                            \
        ((T *) work->out)[item] = (T) result;                                                                          \
      }                                                                                                                \
  }
REDUCE_INTEGER (gint8, gint64, G_MININT8, G_MAXINT8)
REDUCE_INTEGER (gint16, gint64, G_MININT16, G_MAXINT16)
REDUCE_INTEGER (gint32, gint64, G_MININT32, G_MAXINT32)
REDUCE_INTEGER (gint64, gint64, G_MININT64, G_MAXINT64)
REDUCE_INTEGER (guint8, guint64, 0, G_MAXUINT8)
REDUCE_INTEGER (guint16, guint64, 0, G_MAXUINT16)
REDUCE_INTEGER (guint32, guint64, 0, G_MAXUINT32)
REDUCE_INTEGER (guint64, guint64, 0, G_MAXUINT64)

static const HtRangeFunc by_type[32]
    = { [HT_DATA_TYPE_FLOAT] = reduce_float,   [HT_DATA_TYPE_DOUBLE] = reduce_double,
        [HT_DATA_TYPE_INT8] = reduce_gint8,    [HT_DATA_TYPE_INT16] = reduce_gint16,
        [HT_DATA_TYPE_INT32] = reduce_gint32,  [HT_DATA_TYPE_INT64] = reduce_gint64,
        [HT_DATA_TYPE_UINT8] = reduce_guint8,  [HT_DATA_TYPE_UINT16] = reduce_guint16,
        [HT_DATA_TYPE_UINT32] = reduce_guint32, [HT_DATA_TYPE_UINT64] = reduce_guint64 };

/* Which dimensions a call reduces. None with noop_with_empty_axes: every element is then reduced alone, so that its
 * square, absolute value or logarithm is still taken, as onnxruntime does. */
void
ht_reduce_read_flags (const HtOpCall *call, guint rank, gboolean *flags)
{
  gsize n = 0;
  HtTensor *axes = call->n_inputs > 1 ? call->inputs[1] : NULL;
  const gint64 *attribute = axes ? NULL : ht_node_get_ints (call->node, "axes", &n);
  gboolean all = ht_node_get_int (call->node, "noop_with_empty_axes", 0) == 0;
  if (axes)
    n = ht_tensor_get_n_elements (axes);
  for (guint i = 0; i < rank; i++)
    flags[i] = n == 0 && all;
  for (gsize i = 0; i < n; i++)
    {
      guint axis;
      if (ht_axis_normalize (axes ? ht_tensor_get_int64 (axes, i) : attribute[i], rank, &axis))
        flags[axis] = TRUE;
    }
}

/* Fills outer, length and inner. TRUE: the reduced dimensions lie side by side; else the input must be gathered. */
static gboolean
view_dims (Reduce *work, const gint64 *dims, guint rank, const gboolean *flags)
{
  guint state = 0; /* 0 outer, 1 reduced, 2 inner */
  work->outer = work->length = work->inner = 1;
  for (guint i = 0; i < rank; i++)
    {
      if (dims[i] == 1)
        continue;
      if (state == 0 && flags[i])
        state = 1;
      else if (state == 1 && !flags[i])
        state = 2;
      else if (state == 2 && flags[i])
        return FALSE;
      *(state == 0 ? &work->outer : state == 1 ? &work->length : &work->inner) *= (gsize) dims[i];
    }
  return TRUE;
}

/* A copy with the kept dimensions first, the reduced ones last. */
static gpointer
gather_reduced (Reduce *work, HtTensor *in, const gint64 *dims, guint rank, const gboolean *flags)
{
  gint64 strides[HT_TENSOR_MAX_DIMS], to_dims[HT_TENSOR_MAX_DIMS], to_strides[HT_TENSOR_MAX_DIMS];
  guint n = 0;
  gsize size = ht_element_size (ht_tensor_get_data_type (in));
  gpointer copy = g_try_malloc (MAX (ht_tensor_get_size (in), 1));

  if (copy == NULL)
    return NULL;
  work->outer = work->length = work->inner = 1;
  ht_strides (dims, rank, strides);
  for (guint pass = 0; pass < 2; pass++)
    for (guint i = 0; i < rank; i++)
      if ((flags[i] != FALSE) == (pass == 1))
        {
          *(pass == 0 ? &work->outer : &work->length) *= (gsize) dims[i];
          to_dims[n] = dims[i];
          to_strides[n++] = strides[i];
        }
  ht_copy_strided (copy, ht_tensor_get_data (in), size, n, to_dims, to_strides);
  return copy;
}

static gboolean
run_reduce (const HtOpCall *call, ReduceKind kind, HtForward forward, GError **error)
{
  if (ht_op_is_half (call))
    return ht_op_widen (call, forward, error);
  HtTensor *in = call->inputs[0], *out = call->outputs[0];
  guint rank;
  const gint64 *dims = ht_tensor_get_dims (in, &rank);
  gboolean flags[HT_TENSOR_MAX_DIMS];
  HtDataType type = ht_tensor_get_data_type (in);
  Reduce work = { .kind = kind };
  g_autofree gpointer gathered = NULL;

  if (type == HT_DATA_TYPE_BOOL)
    type = HT_DATA_TYPE_UINT8;
  if ((guint) type >= 32 || by_type[type] == NULL)
    return ht_op_fail_type (call, type, error);
  ht_reduce_read_flags (call, rank, flags);
  if (ht_tensor_get_n_elements (out) == 0)
    return TRUE;
  if (!view_dims (&work, dims, rank, flags))
    {
      gathered = gather_reduced (&work, in, dims, rank, flags);
      if (gathered == NULL)
        {
          g_set_error (error, HT_ERROR, HT_ERROR_NO_MEMORY, "running node '%s': no memory for %" G_GSIZE_FORMAT " bytes",
                       ht_node_get_name (call->node), ht_tensor_get_size (in));
          return FALSE;
        }
    }
  gboolean real = type == HT_DATA_TYPE_FLOAT || type == HT_DATA_TYPE_DOUBLE;
  work.in = gathered ? gathered : ht_tensor_get_data (in);
  work.out = ht_tensor_get_writable_data (out);
  work.blocks = real ? (work.inner + BLOCK - 1) / BLOCK : 1;
  gsize items = real ? work.outer * work.blocks : work.outer * work.inner;
  ht_loop_range (items, work.length * (real ? MIN (work.inner, BLOCK) : 1), by_type[type], &work);
  return TRUE;
}

static gboolean
reduce_infer (HtInfer *infer, gint64 axes_input_since, guint32 types, GError **error)
{
  HtDims in, out = { 0 };
  gboolean flags[HT_TENSOR_MAX_DIMS], given, known;
  gboolean keep = ht_node_get_int (infer->node, "keepdims", 1) != 0;
  gboolean noop = ht_node_get_int (infer->node, "noop_with_empty_axes", 0) != 0;

  if (!ht_infer_check_arity (infer, 1, infer->opset >= axes_input_since ? 2 : 1, error)
      || !ht_infer_check_type (infer, 0, types, error) || !ht_infer_check_type (infer, 1, HT_TYPES_INDEX, error))
    return FALSE;
  infer->outputs[0].type = ht_infer_get_type (infer, 0);
  if (!ht_infer_read_dims (infer, 0, &in))
    return TRUE;
  if (!ht_infer_get_axes (infer, 1, in.n, flags, &given, &known, error))
    return FALSE;
  if (!known)
    {
      if (keep)
        ht_infer_put_rank (infer, 0, ht_infer_get_type (infer, 0), in.n);
      return TRUE;
    }
  for (guint i = 0; i < in.n; i++)
    {
      gboolean reduced = given ? flags[i] : !noop;
      if (!reduced)
        ht_dims_append (&out, in.dim[i], in.symbol[i]);
      else if (keep)
        ht_dims_append (&out, 1, NULL);
    }
  ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &out);
  return TRUE;
}

static gboolean
infer_sum (HtInfer *infer, GError **error)
{
  return reduce_infer (infer, 13, HT_TYPES_NUMBER, error);
}

static gboolean
infer_other (HtInfer *infer, GError **error)
{
  return reduce_infer (infer, 18, HT_TYPES_NUMBER, error);
}

static gboolean
infer_extremum (HtInfer *infer, GError **error)
{
  return reduce_infer (infer, 18, HT_TYPES_NUMBER | (infer->opset >= 20 ? HT_TYPE_BIT (BOOL) : 0), error);
}

#define FORWARD(NAME, KIND)                                                                                            \
  static gboolean forward_##NAME (const HtOpCall *call, GError **error)                                                \
  {                                                                                                                    \
    return run_reduce (call, KIND, forward_##NAME, error);                                                             \
  }
FORWARD (sum, REDUCE_SUM)
FORWARD (mean, REDUCE_MEAN)
FORWARD (max, REDUCE_MAX)
FORWARD (min, REDUCE_MIN)
FORWARD (prod, REDUCE_PROD)
FORWARD (sum_square, REDUCE_SUM_SQUARE)
FORWARD (l1, REDUCE_L1)
FORWARD (l2, REDUCE_L2)
FORWARD (log_sum, REDUCE_LOG_SUM)
FORWARD (log_sum_exp, REDUCE_LOG_SUM_EXP)

static const HtOperator operators[] = {
  { "", "ReduceSum", 1, HT_OP_NONE, infer_sum, forward_sum, ht_op_reduce_sum_backward,
    .backward_inputs = HT_OP_KEEPS (1) },
  { "", "ReduceMean", 1, HT_OP_NONE, infer_other, forward_mean, ht_op_reduce_mean_backward,
    .backward_inputs = HT_OP_KEEPS (1) },
  { "", "ReduceMax", 1, HT_OP_NONE, infer_extremum, forward_max, ht_op_reduce_extreme_backward,
    .backward_inputs = HT_OP_KEEPS (0) | HT_OP_KEEPS (1), .backward_outputs = HT_OP_KEEPS (0),
    .backward_workspace = ht_backward_output_workspace },
  { "", "ReduceMin", 1, HT_OP_NONE, infer_extremum, forward_min, ht_op_reduce_extreme_backward,
    .backward_inputs = HT_OP_KEEPS (0) | HT_OP_KEEPS (1), .backward_outputs = HT_OP_KEEPS (0),
    .backward_workspace = ht_backward_output_workspace },
  { "", "ReduceProd", 1, HT_OP_NONE, infer_other, forward_prod, ht_op_reduce_prod_backward,
    .backward_inputs = HT_OP_KEEPS (0) | HT_OP_KEEPS (1) },
  { "", "ReduceSumSquare", 1, HT_OP_NONE, infer_other, forward_sum_square, ht_op_reduce_sum_square_backward,
    .backward_inputs = HT_OP_KEEPS (0) | HT_OP_KEEPS (1) },
  { "", "ReduceL1", 1, HT_OP_NONE, infer_other, forward_l1, ht_op_reduce_l1_backward,
    .backward_inputs = HT_OP_KEEPS (0) | HT_OP_KEEPS (1) },
  { "", "ReduceL2", 1, HT_OP_NONE, infer_other, forward_l2, ht_op_reduce_l2_backward,
    .backward_inputs = HT_OP_KEEPS (0) | HT_OP_KEEPS (1), .backward_outputs = HT_OP_KEEPS (0) },
  { "", "ReduceLogSum", 1, HT_OP_NONE, infer_other, forward_log_sum, ht_op_reduce_log_sum_backward,
    .backward_inputs = HT_OP_KEEPS (1), .backward_outputs = HT_OP_KEEPS (0) },
  { "", "ReduceLogSumExp", 1, HT_OP_NONE, infer_other, forward_log_sum_exp, ht_op_reduce_log_sum_exp_backward,
    .backward_inputs = HT_OP_KEEPS (0) | HT_OP_KEEPS (1), .backward_outputs = HT_OP_KEEPS (0) },
};

void
ht_ops_register_reduce (void)
{
  HT_OPS_REGISTER (operators);
}
