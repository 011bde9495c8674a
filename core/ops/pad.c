/* SPDX-License-Identifier: MIT */
/* Pad: constant, reflect, edge, wrap; attributes (to opset 10) or inputs; negative pads crop. */
#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/packed.h"
#include "ops/rules.h"

#include <string.h>

typedef enum
{
  PAD_CONSTANT,
  PAD_REFLECT,
  PAD_EDGE,
  PAD_WRAP,
  PAD_UNKNOWN,
} PadMode;

static PadMode
read_mode (HtNode *node)
{
  static const char *const names[] = { "constant", "reflect", "edge", "wrap" };
  const char *mode = ht_node_get_string (node, "mode", "constant");
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (g_str_equal (mode, names[i]))
      return (PadMode) i;
  return PAD_UNKNOWN;
}

/* Spreads n begins and n ends over the dimensions they are for. `axes` NULL: all. FALSE: they do not fit. */
static gboolean
spread_pads (const gint64 *pads, gsize n_pads, const gint64 *axes, gsize n_axes, guint rank, gint64 *before,
             gint64 *after)
{
  gsize n = axes ? n_axes : rank;
  for (guint i = 0; i < rank; i++)
    before[i] = after[i] = 0;
  if (n_pads != 2 * n)
    return FALSE;
  for (gsize i = 0; i < n; i++)
    {
      guint axis;
      if (!ht_axis_normalize (axes ? axes[i] : (gint64) i, rank, &axis))
        return FALSE;
      before[axis] = pads[i];
      after[axis] = pads[n + i];
    }
  return TRUE;
}

static gboolean
pad_dims (const HtInfer *infer, HtDims *dims, const gint64 *before, const gint64 *after, GError **error)
{
  PadMode mode = read_mode (infer->node);
  for (guint i = 0; i < dims->n; i++)
    {
      gint64 sum, dim = dims->dim[i];
      if (before[i] == 0 && after[i] == 0)
        continue;
      dims->symbol[i] = NULL;
      if (dim < 0)
        continue;
      if (__builtin_add_overflow (before[i], after[i], &sum) || __builtin_add_overflow (dim, sum, &sum) || sum < 0)
        return ht_infer_fail (infer, error,
                              "dimension %u of %" G_GINT64_FORMAT " cannot be padded by %" G_GINT64_FORMAT
                              " and %" G_GINT64_FORMAT, i, dim, before[i], after[i]);
      if (mode != PAD_CONSTANT && dim == 0 && sum > 0)
        return ht_infer_fail (infer, error, "dimension %u is empty, there is nothing to repeat", i);
      dims->dim[i] = sum;
    }
  return TRUE;
}

static gboolean
pad_infer (HtInfer *infer, GError **error)
{
  HtDims dims;
  g_autofree gint64 *pads_input = NULL, *axes = NULL;
  const gint64 *pads;
  gsize n_pads = 0, n_axes = 0;
  gint64 before[HT_TENSOR_MAX_DIMS], after[HT_TENSOR_MAX_DIMS];

  if (!ht_infer_check_arity (infer, infer->opset >= 11 ? 2 : 1, infer->opset >= 18 ? 4 : infer->opset >= 11 ? 3 : 1,
                             error)
      || !ht_infer_check_same_type (infer, 0, 2, error))
    return FALSE;
  if (read_mode (infer->node) == PAD_UNKNOWN)
    return ht_infer_fail (infer, error, "the attribute 'mode' is '%s', expected constant, reflect, edge or wrap",
                          ht_node_get_string (infer->node, "mode", ""));
  infer->outputs[0].type = ht_infer_get_type (infer, 0);
  if (!ht_infer_read_dims (infer, 0, &dims))
    return TRUE;
  gboolean known = TRUE;
  if (infer->opset >= 11)
    {
      known = ht_infer_get_ints (infer, 1, &pads_input, &n_pads)
              && (ht_infer_get_input (infer, 3) == NULL || ht_infer_get_ints (infer, 3, &axes, &n_axes));
      pads = pads_input;
    }
  else
    {
      pads = ht_node_get_ints (infer->node, "pads", &n_pads);
    }
  if (!known)
    {
      ht_infer_put_rank (infer, 0, ht_infer_get_type (infer, 0), dims.n);
      return TRUE;
    }
  if (!spread_pads (pads, n_pads, axes, n_axes, dims.n, before, after))
    return ht_infer_fail (infer, error, "%" G_GSIZE_FORMAT " pads do not fit a tensor of %u dimensions", n_pads, dims.n);
  if (!pad_dims (infer, &dims, before, after, error))
    return FALSE;
  ht_infer_put_dims (infer, 0, ht_infer_get_type (infer, 0), &dims);
  return TRUE;
}

/* Where along a dimension of `dim` elements position `i` of the padded one (0 is the first real element) comes from; -1:
 * from the constant. */
static gint64
source_index (gint64 i, gint64 dim, PadMode mode)
{
  if (i >= 0 && i < dim)
    return i;
  switch (mode)
    {
    case PAD_EDGE:
      return i < 0 ? 0 : dim - 1;
    case PAD_WRAP:
      return ((i % dim) + dim) % dim;
    case PAD_REFLECT:
      {
        gint64 period = 2 * (dim - 1);
        if (period == 0)
          return 0;
        gint64 r = ((i % period) + period) % period;
        return r < dim ? r : period - r;
      }
    default:
      return -1;
    }
}

typedef struct
{
  guint rank;
  const gint64 *dims, *out_dims, *before;
  gint64 strides[HT_TENSOR_MAX_DIMS];
  gint64 *sources[HT_TENSOR_MAX_DIMS]; /* of each output position along a dimension */
  const char *in;
  char *out;
  gsize size;
  guint64 fill;
} Pad;

/* One row of the last dimension. */
static void
pad_row (const Pad *pad, char *out, const char *in)
{
  gint64 n = pad->out_dims[pad->rank - 1], i = 0;
  const gint64 *sources = pad->sources[pad->rank - 1];
  while (i < n)
    {
      gint64 run = 1;
      if (in && sources[i] >= 0)
        {
          while (i + run < n && sources[i + run] == sources[i] + run)
            run++;
          memcpy (out + (gsize) i * pad->size, in + (gsize) sources[i] * pad->size, (gsize) run * pad->size);
        }
      else
        {
          memcpy (out + (gsize) i * pad->size, &pad->fill, pad->size);
        }
      i += run;
    }
}

static void
pad_rows (gsize begin, gsize end, gpointer user_data)
{
  const Pad *pad = user_data;
  for (gsize row = begin; row < end; row++)
    {
      gsize rest = row;
      gint64 offset = 0;
      gboolean real = TRUE;
      for (guint d = pad->rank - 1; d-- > 0;)
        {
          gint64 source = pad->sources[d][rest % (gsize) pad->out_dims[d]];
          rest /= (gsize) pad->out_dims[d];
          real = real && source >= 0;
          offset += source * pad->strides[d];
        }
      pad_row (pad, pad->out + row * (gsize) pad->out_dims[pad->rank - 1] * pad->size,
               real ? pad->in + (gsize) offset * pad->size : NULL);
    }
}

static guint64
read_fill (const HtOpCall *call, gsize size)
{
  guint64 fill = 0;
  HtTensor *value = call->opset >= 11 && call->n_inputs > 2 ? call->inputs[2] : NULL;
  if (value && ht_tensor_get_n_elements (value) > 0)
    memcpy (&fill, ht_tensor_get_data (value), size);
  if (call->opset < 11)
    {
      g_autoptr (HtTensor) scalar = ht_tensor_new_scalar (ht_node_get_float (call->node, "value", 0.0),
                                                          ht_tensor_get_data_type (call->inputs[0]), NULL);
      if (scalar)
        memcpy (&fill, ht_tensor_get_data (scalar), size);
    }
  return fill;
}

static gint64 *
copy_tensor_ints (HtTensor *tensor, gsize *n)
{
  *n = ht_tensor_get_n_elements (tensor);
  gint64 *values = g_new (gint64, MAX (*n, 1));
  for (gsize i = 0; i < *n; i++)
    values[i] = ht_tensor_get_int64 (tensor, i);
  return values;
}

static gboolean
read_call_pads (const HtOpCall *call, guint rank, gint64 *before, gint64 *after)
{
  gsize n_pads = 0, n_axes = 0;
  if (call->opset < 11)
    {
      const gint64 *pads = ht_node_get_ints (call->node, "pads", &n_pads);
      return spread_pads (pads, n_pads, NULL, 0, rank, before, after);
    }
  g_autofree gint64 *pads = copy_tensor_ints (call->inputs[1], &n_pads);
  g_autofree gint64 *axes = call->n_inputs > 3 && call->inputs[3] ? copy_tensor_ints (call->inputs[3], &n_axes) : NULL;
  return spread_pads (pads, n_pads, axes, n_axes, rank, before, after);
}

/* The source of each output position along each dimension. */
static gboolean
read_sources (const HtOpCall *call, HtTensor *in, HtTensor *out, Pad *pad, GError **error)
{
  gint64 before[HT_TENSOR_MAX_DIMS], after[HT_TENSOR_MAX_DIMS];

  pad->size = ht_element_size (ht_tensor_get_data_type (in));
  pad->dims = ht_tensor_get_dims (in, &pad->rank);
  pad->out_dims = ht_tensor_get_dims (out, NULL);
  if (!read_call_pads (call, pad->rank, before, after))
    return ht_op_fail (call, error, "the pads do not fit a tensor of %u dimensions", pad->rank);
  ht_strides (pad->dims, pad->rank, pad->strides);
  for (guint d = 0; d < pad->rank; d++)
    {
      pad->sources[d] = g_try_new (gint64, MAX (pad->out_dims[d], 1));
      if (pad->sources[d] == NULL)
        return ht_op_fail (call, error, "no memory for the index tables of the padded dimensions");
      for (gint64 i = 0; i < pad->out_dims[d]; i++)
        pad->sources[d][i] = source_index (i - before[d], pad->dims[d], read_mode (call->node));
    }
  return TRUE;
}

static void
free_sources (Pad *pad)
{
  for (guint d = 0; d < pad->rank; d++)
    g_free (pad->sources[d]);
}

static gsize
count_rows (const Pad *pad)
{
  gsize rows = 1;
  for (guint d = 0; d + 1 < pad->rank; d++)
    rows *= (gsize)pad->out_dims[d];
  return rows;
}

static gboolean
pad_forward (const HtOpCall *call, GError **error)
{
  HtTensor *in = call->inputs[0], *out = call->outputs[0];
  Pad pad = { .size = ht_element_size (ht_tensor_get_data_type (in)) };

  if (ht_op_is_packed (call))
    return ht_op_run_spread (call, pad_forward, error);
  if (pad.size == 0 || pad.size > sizeof pad.fill)
    return ht_op_fail_type (call, ht_tensor_get_data_type (in), error);
  if (ht_tensor_get_n_dims (in) == 0)
    return ht_op_copy_through (call, error);
  if (ht_tensor_get_n_elements (out) == 0)
    return TRUE;
  pad.fill = read_fill (call, pad.size);
  pad.in = ht_tensor_get_data (in);
  pad.out = ht_tensor_get_writable_data (out);
  gboolean fine = read_sources (call, in, out, &pad, error);
  if (fine)
    ht_loop_range (count_rows (&pad), (gsize)pad.out_dims[pad.rank - 1], pad_rows, &pad);
  free_sources (&pad);
  return fine;
}

/* Each output element's gradient goes to its source; what has none belongs to the fill. `in` is dy, `out` is dx. */
#define PAD_BACKWARD(T)                                                                                                \
  static void pad_back_##T (gsize begin, gsize end, gpointer user_data)                                                \
  {                                                                                                                    \
    const Pad *pad = user_data;                                                                                        \
    gint64 n = pad->out_dims[pad->rank - 1];                                                                           \
    const gint64 *sources = pad->sources[pad->rank - 1];                                                               \
    for (gsize row = begin; row < end; row++)                                                                          \
      {                                                                                                                \
        gint64 offset = row_offset (pad, row);                                                                         \
        const T *from = (const T *)pad->in + row * (gsize)n;                                                           \
        for (gint64 i = 0; offset >= 0 && i < n; i++)                                                                  \
          if (sources[i] >= 0)                                                                                         \
            ((T *)pad->out)[offset + sources[i]] += from[i];                                                           \
      }                                                                                                                \
  }                                                                                                                    \
  static void pad_fill_##T (const Pad *pad, gsize rows, T *fill)                                                       \
  {                                                                                                                    \
    double sum = 0;                                                                                                    \
    gint64 n = pad->out_dims[pad->rank - 1];                                                                           \
    for (gsize row = 0; row < rows; row++)                                                                             \
      {                                                                                                                \
        gint64 offset = row_offset (pad, row);                                                                         \
        for (gint64 i = 0; i < n; i++)                                                                                 \
          if (offset < 0 || pad->sources[pad->rank - 1][i] < 0)                                                        \
            sum += (double)((const T *)pad->in)[(gint64)row * n + i];                                                  \
      }                                                                                                                \
    *fill = (T)sum;                                                                                                    \
  }

/* Where the row's sources begin; -1: it has none. */
static gint64
row_offset (const Pad *pad, gsize row)
{
  gint64 offset = 0;
  gboolean real = TRUE;
  for (guint d = pad->rank - 1; d-- > 0;)
    {
      gint64 source = pad->sources[d][row % (gsize)pad->out_dims[d]];
      row /= (gsize)pad->out_dims[d];
      real = real && source >= 0;
      offset += source * pad->strides[d];
    }
  return real ? offset : -1;
}

PAD_BACKWARD (float)
PAD_BACKWARD (double)

static gboolean
pad_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
              GError **error)
{
  HtTensor *dy = output_gradients[0], *dx = input_gradients[0];
  HtTensor *fill = ht_backward_get (input_gradients, call->n_inputs, 2);
  gboolean is_double;
  Pad pad = { .in = ht_tensor_get_data (dy) };

  if (!ht_backward_get_type (call, output_gradients, &is_double, error))
    return FALSE;
  if (fill)
    ht_backward_zero (fill);
  if (dx && ht_tensor_get_n_dims (dy) == 0)
    ht_backward_copy (dx, dy);
  else if (dx)
    ht_backward_zero (dx);
  if (ht_tensor_get_n_dims (dy) == 0 || ht_tensor_get_n_elements (dy) == 0)
    return TRUE;
  gboolean fine = read_sources (call, call->inputs[0], dy, &pad, error);
  gsize rows = fine ? count_rows (&pad) : 0, row = (gsize)pad.out_dims[pad.rank - 1];
  HtRangeFunc back = is_double ? pad_back_double : pad_back_float;
  if (fine && dx)
    {
      pad.out = ht_tensor_get_writable_data (dx);
      /* With a constant fill no two rows have one source. */
      if (read_mode (call->node) == PAD_CONSTANT)
        ht_loop_range (rows, row, back, &pad);
      else
        back (0, rows, &pad);
    }
  if (fine && fill && is_double)
    pad_fill_double (&pad, rows, ht_tensor_get_writable_data (fill));
  else if (fine && fill)
    pad_fill_float (&pad, rows, ht_tensor_get_writable_data (fill));
  free_sources (&pad);
  return fine;
}

static const HtOperator operators[] = {
  /* A constant other than zero may lie off the input's grid: whoever places quantizers looks at it. */
  { "", "Pad", 2, HT_OP_KEEPS_GRID, pad_infer, pad_forward, pad_backward,
    .backward_inputs = HT_OP_KEEPS (1) | HT_OP_KEEPS (3) },
};

void
ht_ops_register_pad (void)
{
  HT_OPS_REGISTER (operators);
}
