/* SPDX-License-Identifier: MIT */
/* ReverseSequence: the beginning of each sequence of a batch turned round. */
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <string.h>

static gboolean
reverse_sequence_infer (HtInfer *infer, GError **error)
{
  gint64 time = ht_node_get_int (infer->node, "time_axis", 0), batch = ht_node_get_int (infer->node, "batch_axis", 1);
  HtDims in, lengths;

  if (!ht_infer_check_arity (infer, 2, 2, error) || !ht_infer_check_type (infer, 1, HT_TYPE_BIT (INT64), error)
      || !ht_infer_check_rank (infer, 0, 2, HT_TENSOR_MAX_DIMS, error) || !ht_infer_check_rank (infer, 1, 1, 1, error))
    return FALSE;
  ht_infer_copy_input (infer, 0, 0, FALSE);
  if (!((time == 0 && batch == 1) || (time == 1 && batch == 0)))
    return ht_infer_fail (infer, error,
                          "time_axis is %" G_GINT64_FORMAT " and batch_axis %" G_GINT64_FORMAT
                          ", expected 0 and 1 or 1 and 0",
                          time, batch);
  if (ht_infer_read_dims (infer, 0, &in) && ht_infer_read_dims (infer, 1, &lengths) && in.dim[batch] >= 0
      && lengths.dim[0] >= 0 && in.dim[batch] != lengths.dim[0])
    return ht_infer_fail (infer, error,
                          "the batch holds %" G_GINT64_FORMAT " sequences, but %" G_GINT64_FORMAT " lengths are given",
                          in.dim[batch], lengths.dim[0]);
  return TRUE;
}

static gboolean
reverse_sequence_forward (const HtOpCall *call, GError **error)
{
  HtTensor *in = call->inputs[0];
  gboolean time_first = ht_node_get_int (call->node, "time_axis", 0) == 0;
  guint rank;
  const gint64 *dims = ht_tensor_get_dims (in, &rank), *lengths = ht_tensor_get_data (call->inputs[1]);
  gsize n_steps = (gsize)dims[time_first ? 0 : 1], n_batch = (gsize)dims[time_first ? 1 : 0];
  gsize run = ht_element_size (ht_tensor_get_data_type (in));

  if (!ht_op_check_movable (call, in, error))
    return FALSE;
  for (gsize b = 0; b < n_batch; b++)
    if (lengths[b] < 0 || lengths[b] > (gint64)n_steps)
      return ht_op_fail (call, error,
                         "length %" G_GINT64_FORMAT " at position %" G_GSIZE_FORMAT
                         " of '%s' lies outside sequences of %" G_GSIZE_FORMAT " steps",
                         lengths[b], b, ht_node_get_input (call->node, 1), n_steps);
  for (guint i = 2; i < rank; i++)
    run *= (gsize)dims[i];
  if (ht_tensor_get_n_elements (in) == 0)
    return TRUE;
  const char *from = ht_tensor_get_data (in);
  char *to = ht_tensor_get_writable_data (call->outputs[0]);
  for (gsize b = 0; b < n_batch; b++)
    for (gsize t = 0; t < n_steps; t++)
      {
        gsize source = t < (gsize)lengths[b] ? (gsize)lengths[b] - 1 - t : t;
        gsize at = time_first ? t * n_batch + b : b * n_steps + t;
        gsize other = time_first ? source * n_batch + b : b * n_steps + source;
        memcpy (to + at * run, from + other * run, run);
      }
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "ReverseSequence", 10, HT_OP_KEEPS_GRID, reverse_sequence_infer, reverse_sequence_forward,
    .moved_inputs = HT_OP_MOVES_INPUT (0) },
};

void
ht_ops_register_reverse_sequence (void)
{
  HT_OPS_REGISTER (operators);
}
