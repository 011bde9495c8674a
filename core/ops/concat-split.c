/* SPDX-License-Identifier: MIT */
/* Concat and Split: runs of memory, copied. */
#include "ops/concat-split.h"

#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <string.h>

static gboolean
concat_infer (HtInfer *infer, GError **error)
{
  HtDims out = { 0 }, in;
  guint axis = 0;
  gboolean known = TRUE, first = TRUE;
  gint64 total = 0;
  HtDataType type = HT_DATA_TYPE_UNDEFINED;

  if (!ht_infer_check_arity (infer, MAX (infer->n_inputs, 1), 0, error))
    return FALSE;
  if (!ht_node_has_attribute (infer->node, "axis"))
    return ht_infer_fail (infer, error, "the required attribute 'axis' is missing");
  for (guint i = 0; i < infer->n_inputs; i++)
    {
      if (!ht_infer_check_same_type (infer, 0, i, error))
        return FALSE;
      if (type == HT_DATA_TYPE_UNDEFINED)
        type = ht_infer_get_type (infer, i);
      if (!ht_infer_read_dims (infer, i, &in))
        {
          known = FALSE;
          continue;
        }
      if (!ht_infer_get_axis (infer, ht_node_get_int (infer->node, "axis", 0), in.n, &axis, error))
        return FALSE;
      if (first)
        out = in;
      if (in.n != out.n)
        return ht_infer_fail (infer, error, "input %u has %u dimensions, the first one has %u", i, in.n, out.n);
      if (in.dim[axis] < 0 || total < 0 || __builtin_add_overflow (total, in.dim[axis], &total))
        total = -1;
      for (guint d = 0; d < in.n; d++)
        {
          if (d == axis || in.dim[d] < 0)
            continue;
          if (out.dim[d] >= 0 && out.dim[d] != in.dim[d])
            return ht_infer_fail (infer, error, "dimension %u of input %u is %" G_GINT64_FORMAT ", expected %"
                                  G_GINT64_FORMAT " as in the inputs before it", d, i, in.dim[d], out.dim[d]);
          out.dim[d] = in.dim[d];
          out.symbol[d] = NULL;
        }
      first = FALSE;
    }
  infer->outputs[0].type = type;
  if (first)
    return TRUE;
  if (infer->n_inputs > 1 || !known)
    {
      out.dim[axis] = known ? total : HT_DIM_UNKNOWN;
      out.symbol[axis] = NULL;
    }
  ht_infer_put_dims (infer, 0, type, &out);
  return TRUE;
}

static gsize
product (const gint64 *dims, guint begin, guint end)
{
  gsize n = 1;
  for (guint i = begin; i < end; i++)
    n *= (gsize) dims[i];
  return n;
}

typedef struct
{
  char *out;
  const char *in;
  gsize out_step, in_step, run; /* bytes */
} Runs;

static void
copy_runs (gsize begin, gsize end, gpointer user_data)
{
  const Runs *runs = user_data;
  for (gsize i = begin; i < end; i++)
    memcpy (runs->out + i * runs->out_step, runs->in + i * runs->in_step, runs->run);
}

/* Where in `whole` the part lies that begins at `begin` of the axis. FALSE: there is nothing to copy. */
static gboolean
place_part (HtTensor *whole, guint axis, gint64 begin, HtTensor *part, gsize *outer, gsize *offset, gsize *step,
            gsize *run)
{
  guint rank;
  const gint64 *dims = ht_tensor_get_dims (whole, &rank);
  gsize inner = product (dims, axis + 1, rank) * ht_element_size (ht_tensor_get_data_type (whole));

  *outer = product (dims, 0, axis);
  *run = *outer > 0 ? ht_tensor_get_size (part) / *outer : 0;
  *step = inner * (gsize) dims[axis];
  *offset = inner * (gsize) begin;
  return *run > 0;
}

void
ht_split_part (HtTensor *whole, guint axis, gint64 begin, HtTensor *part)
{
  gsize outer, offset, step, run;
  if (!place_part (whole, axis, begin, part, &outer, &offset, &step, &run))
    return;
  Runs runs = { ht_tensor_get_writable_data (part), (const char *) ht_tensor_get_data (whole) + offset, run, step, run };
  ht_loop_range (outer, run / ht_element_size (ht_tensor_get_data_type (whole)), copy_runs, &runs);
}

void
ht_join_part (HtTensor *whole, guint axis, gint64 begin, HtTensor *part)
{
  gsize outer, offset, step, run;
  if (!place_part (whole, axis, begin, part, &outer, &offset, &step, &run))
    return;
  Runs runs = { (char *) ht_tensor_get_writable_data (whole) + offset, ht_tensor_get_data (part), step, run, run };
  ht_loop_range (outer, run / ht_element_size (ht_tensor_get_data_type (whole)), copy_runs, &runs);
}

static gboolean
concat_forward (const HtOpCall *call, GError **error)
{
  guint axis, rank = ht_tensor_get_n_dims (call->outputs[0]);
  gint64 begin = 0;

  if (!ht_op_check_movable (call, call->inputs[0], error))
    return FALSE;
  if (!ht_axis_normalize (ht_node_get_int (call->node, "axis", 0), rank, &axis))
    return ht_op_fail (call, error, "the axis lies outside %u dimensions", rank);
  for (guint i = 0; i < call->n_inputs; i++)
    {
      ht_join_part (call->outputs[0], axis, begin, call->inputs[i]);
      begin += ht_tensor_get_dim (call->inputs[i], axis);
    }
  return TRUE;
}

static gboolean
concat_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                 GError **error)
{
  guint axis, rank = ht_tensor_get_n_dims (output_gradients[0]);
  gint64 begin = 0;

  if (!ht_axis_normalize (ht_node_get_int (call->node, "axis", 0), rank, &axis))
    return ht_op_fail (call, error, "the axis lies outside %u dimensions", rank);
  for (guint i = 0; i < call->n_inputs; i++)
    {
      if (input_gradients[i])
        ht_split_part (output_gradients[0], axis, begin, input_gradients[i]);
      begin += ht_tensor_get_dim (call->inputs[i], axis);
    }
  return TRUE;
}

/* Lengths of the parts along the axis; `total` < 0: not known. FALSE: an error. Lengths of -1: not known. */
static gboolean
split_lengths (const HtInfer *infer, gint64 total, gint64 *lengths, GError **error)
{
  guint n = infer->n_outputs;
  gsize n_given = 0;
  g_autofree gint64 *from_input = NULL;
  const gint64 *given = NULL;
  gint64 sum = 0;

  for (guint i = 0; i < n; i++)
    lengths[i] = HT_DIM_UNKNOWN;
  if (infer->opset >= 13 && ht_infer_get_input (infer, 1))
    {
      if (!ht_infer_get_ints (infer, 1, &from_input, &n_given))
        return TRUE;
      given = from_input;
    }
  else if (infer->opset < 13)
    {
      given = ht_node_get_ints (infer->node, "split", &n_given);
      if (n_given == 0)
        given = NULL;
    }
  if (given == NULL)
    {
      if (infer->opset < 18 && total >= 0 && total % n != 0)
        return ht_infer_fail (infer, error, "%" G_GINT64_FORMAT " elements cannot be split into %u equal parts", total, n);
      gint64 part = total < 0 ? -1 : total / n + (total % n != 0);
      for (guint i = 0; i < n && total >= 0; i++)
        lengths[i] = MAX (MIN (part, total - (gint64) i * part), 0);
      return TRUE;
    }
  if (n_given != n)
    return ht_infer_fail (infer, error, "%" G_GSIZE_FORMAT " lengths are given for %u outputs", n_given, n);
  for (guint i = 0; i < n; i++)
    {
      if (given[i] < 0 || __builtin_add_overflow (sum, given[i], &sum))
        return ht_infer_fail (infer, error, "length %u is %" G_GINT64_FORMAT, i, given[i]);
      lengths[i] = given[i];
    }
  if (total >= 0 && sum != total)
    return ht_infer_fail (infer, error, "the lengths add up to %" G_GINT64_FORMAT ", the dimension is %" G_GINT64_FORMAT,
                          sum, total);
  return TRUE;
}

static gboolean
split_infer (HtInfer *infer, GError **error)
{
  HtDims in;
  guint axis = 0;

  if (!ht_infer_check_arity (infer, 1, infer->opset >= 13 ? 2 : 1, error))
    return FALSE;
  gint64 n_outputs = ht_node_get_int (infer->node, "num_outputs", infer->n_outputs);
  if (n_outputs != infer->n_outputs)
    return ht_infer_fail (infer, error, "num_outputs is %" G_GINT64_FORMAT ", but the node has %u outputs", n_outputs,
                          infer->n_outputs);
  for (guint i = 0; i < infer->n_outputs; i++)
    infer->outputs[i].type = ht_infer_get_type (infer, 0);
  if (!ht_infer_read_dims (infer, 0, &in))
    return TRUE;
  if (!ht_infer_get_axis (infer, ht_node_get_int (infer->node, "axis", 0), in.n, &axis, error))
    return FALSE;
  g_autofree gint64 *lengths = g_new (gint64, infer->n_outputs);
  if (!split_lengths (infer, in.dim[axis], lengths, error))
    return FALSE;
  for (guint i = 0; i < infer->n_outputs; i++)
    {
      in.dim[axis] = lengths[i];
      in.symbol[axis] = NULL;
      ht_infer_put_dims (infer, i, ht_infer_get_type (infer, 0), &in);
    }
  return TRUE;
}

static gboolean
split_forward (const HtOpCall *call, GError **error)
{
  guint rank, axis;
  HtTensor *in = call->inputs[0];
  const gint64 *dims = ht_tensor_get_dims (in, &rank);

  if (!ht_op_check_movable (call, in, error))
    return FALSE;
  if (!ht_axis_normalize (ht_node_get_int (call->node, "axis", 0), rank, &axis))
    return ht_op_fail (call, error, "the axis lies outside %u dimensions", rank);
  gint64 begin = 0, equal = (dims[axis] + call->n_outputs - 1) / call->n_outputs;
  HtTensor *lengths = call->opset >= 13 && call->n_inputs > 1 ? call->inputs[1] : NULL;
  gsize n_given = 0;
  const gint64 *given = call->opset < 13 ? ht_node_get_ints (call->node, "split", &n_given) : NULL;
  for (guint i = 0; i < call->n_outputs; i++)
    {
      gint64 length = lengths ? ht_tensor_get_int64 (lengths, i) : n_given ? given[i] : MIN (equal, dims[axis] - begin);
      if (call->outputs[i])
        ht_split_part (in, axis, begin, call->outputs[i]);
      begin += MAX (length, 0);
    }
  return TRUE;
}

static gboolean
split_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                GError **error)
{
  HtTensor *dx = input_gradients[0];
  guint axis;
  gint64 begin = 0;

  if (dx == NULL)
    return TRUE;
  guint rank = ht_tensor_get_n_dims (dx);
  if (!ht_axis_normalize (ht_node_get_int (call->node, "axis", 0), rank, &axis))
    return ht_op_fail (call, error, "the axis lies outside %u dimensions", rank);
  ht_backward_zero (dx);
  for (guint i = 0; i < call->n_outputs; i++)
    {
      if (call->outputs[i] == NULL)
        return ht_op_fail (call, error, "output %u is absent, so that the parts behind it cannot be placed", i);
      if (output_gradients[i])
        ht_join_part (dx, axis, begin, output_gradients[i]);
      begin += ht_tensor_get_dim (call->outputs[i], axis);
    }
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "Concat", 4, HT_OP_NONE, concat_infer, concat_forward, concat_backward,
    .moved_inputs = HT_OP_MOVES_ALL_INPUTS },
  { "", "Split", 2, HT_OP_KEEPS_GRID, split_infer, split_forward, split_backward,
    .moved_inputs = HT_OP_MOVES_INPUT (0) },
};

void
ht_ops_register_concat_split (void)
{
  HT_OPS_REGISTER (operators);
}
