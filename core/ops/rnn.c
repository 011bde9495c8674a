/* SPDX-License-Identifier: MIT */
/* RNN, GRU and LSTM: the equations of the ONNX specification, all directions, with sequence lengths. */
#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rnn.h"
#include "ops/rules.h"

#include <string.h>

const HtRnnCellInfo ht_rnn_cells[] = {
  [HT_RNN_RNN] = { 1, 1, { "Tanh" } },
  [HT_RNN_GRU] = { 3, 2, { "Sigmoid", "Tanh" } },
  [HT_RNN_LSTM] = { 4, 3, { "Sigmoid", "Tanh", "Tanh" } },
};

HtRnnCell
ht_rnn_cell_of (HtNode *node)
{
  const char *op = ht_node_get_op_type (node);
  return op[0] == 'L' ? HT_RNN_LSTM : op[0] == 'G' ? HT_RNN_GRU : HT_RNN_RNN;
}

guint
ht_rnn_count_directions (HtNode *node)
{
  const char *direction = ht_node_get_string (node, "direction", "forward");
  if (strcmp (direction, "bidirectional") == 0)
    return 2;
  return strcmp (direction, "forward") == 0 || strcmp (direction, "reverse") == 0 ? 1 : 0;
}

/* Inference */

static gboolean
expect_dims (const HtInfer *infer, guint input, guint n_dims, const gint64 *expected, GError **error)
{
  HtDims dims;

  if (!ht_infer_read_dims (infer, input, &dims))
    return TRUE;
  gboolean fits = dims.n == n_dims;
  for (guint i = 0; i < n_dims && fits; i++)
    fits = dims.dim[i] < 0 || expected[i] < 0 || dims.dim[i] == expected[i];
  if (fits)
    return TRUE;
  g_autofree char *found = ht_shape_to_string (ht_infer_get_shape (infer, input));
  g_autoptr (HtShape) shape = ht_shape_new (expected, NULL, n_dims);
  g_autofree char *text = ht_shape_to_string (shape);
  return ht_infer_fail (infer, error, "input %u ('%s') has shape %s, expected %s", input,
                        ht_node_get_input (infer->node, input), found, text);
}

static gboolean
check_operands (const HtInfer *infer, const HtDims *x, gint64 directions, gint64 hidden, gboolean batch_first,
                GError **error)
{
  gint64 gates = ht_rnn_cells[ht_rnn_cell_of (infer->node)].n_gates;
  gint64 batch = x->n == 3 ? x->dim[batch_first ? 0 : 1] : -1;
  const gint64 w[] = { directions, gates * hidden, x->n == 3 ? x->dim[2] : -1 };
  const gint64 r[] = { directions, gates * hidden, hidden };
  const gint64 b[] = { directions, 2 * gates * hidden };
  const gint64 p[] = { directions, 3 * hidden };
  const gint64 state[] = { batch_first ? batch : directions, batch_first ? directions : batch, hidden };

  return expect_dims (infer, 1, 3, w, error) && expect_dims (infer, 2, 3, r, error)
         && expect_dims (infer, 3, 2, b, error) && expect_dims (infer, 4, 1, &batch, error)
         && expect_dims (infer, 5, 3, state, error)
         && (gates != 4 || (expect_dims (infer, 6, 3, state, error) && expect_dims (infer, 7, 2, p, error)));
}

static gboolean
rnn_infer (HtInfer *infer, GError **error)
{
  HtRnnCell cell = ht_rnn_cell_of (infer->node);
  gint64 directions = ht_rnn_count_directions (infer->node);
  gint64 hidden = ht_node_get_int (infer->node, "hidden_size", -1);
  gboolean batch_first = ht_node_get_int (infer->node, "layout", 0) != 0;
  HtDims x = { 0 }, r;
  HtDataType type = ht_infer_get_type (infer, 0);

  if (!ht_infer_check_arity (infer, 3, cell == HT_RNN_LSTM ? 8 : 6, error)
      || !ht_infer_check_type (infer, 0, HT_TYPES_FLOAT, error) || !ht_infer_check_rank (infer, 0, 3, 3, error)
      || !ht_infer_check_rank (infer, 2, 3, 3, error) || !ht_infer_check_type (infer, 4, HT_TYPE_BIT (INT32), error))
    return FALSE;
  for (guint i = 1; i < infer->n_inputs; i++)
    if (i != 4 && !ht_infer_check_same_type (infer, 0, i, error))
      return FALSE;
  if (directions == 0)
    return ht_infer_fail (infer, error, "the attribute direction is '%s', expected forward, reverse or bidirectional",
                          ht_node_get_string (infer->node, "direction", "forward"));
  if (hidden < 0 && ht_infer_read_dims (infer, 2, &r))
    hidden = r.dim[2];
  if (hidden == 0 || hidden > G_MAXINT32)
    return ht_infer_fail (infer, error, "the hidden state has %" G_GINT64_FORMAT " elements", hidden);
  ht_infer_read_dims (infer, 0, &x);
  if (hidden > 0 && !check_operands (infer, &x, directions, hidden, batch_first, error))
    return FALSE;
  gint64 time = x.n == 3 ? x.dim[batch_first ? 1 : 0] : -1, batch = x.n == 3 ? x.dim[batch_first ? 0 : 1] : -1;
  const char *batch_symbol = x.n == 3 ? x.symbol[batch_first ? 0 : 1] : NULL;
  const char *time_symbol = x.n == 3 ? x.symbol[batch_first ? 1 : 0] : NULL;
  HtDims y = { 0 }, state = { 0 };
  ht_dims_append (&y, batch_first ? batch : time, batch_first ? batch_symbol : time_symbol);
  ht_dims_append (&y, batch_first ? time : directions, batch_first ? time_symbol : NULL);
  ht_dims_append (&y, batch_first ? directions : batch, batch_first ? NULL : batch_symbol);
  ht_dims_append (&y, hidden, NULL);
  ht_dims_append (&state, batch_first ? batch : directions, batch_first ? batch_symbol : NULL);
  ht_dims_append (&state, batch_first ? directions : batch, batch_first ? NULL : batch_symbol);
  ht_dims_append (&state, hidden, NULL);
  ht_infer_put_dims (infer, 0, type, &y);
  for (guint i = 1; i < infer->n_outputs; i++)
    ht_infer_put_dims (infer, i, type, &state);
  return TRUE;
}

/* Scratch memory */

static gsize
count_numbers (gsize time, gsize batch, gsize hidden, gsize gates)
{
  gsize rows;
  if (!g_size_checked_mul (&rows, time + 1, batch) || !g_size_checked_mul (&rows, rows, gates * hidden))
    return G_MAXSSIZE / sizeof (double);
  return rows + batch * hidden * 3 + gates * hidden + 64;
}

static gsize
rnn_workspace (const HtInfer *infer)
{
  gboolean batch_first = ht_node_get_int (infer->node, "layout", 0) != 0;
  HtDims x, r;

  if (!ht_infer_read_dims (infer, 0, &x) || !ht_infer_read_dims (infer, 2, &r) || x.n != 3 || r.n != 3)
    return 0;
  gsize batch = (gsize)x.dim[batch_first ? 0 : 1];
  gsize numbers = count_numbers ((gsize)x.dim[batch_first ? 1 : 0], batch, (gsize)r.dim[2],
                                 ht_rnn_cells[ht_rnn_cell_of (infer->node)].n_gates);
  return numbers * (ht_infer_get_type (infer, 0) == HT_DATA_TYPE_DOUBLE ? sizeof (double) : sizeof (float))
         + batch * (sizeof (gboolean) + sizeof (gsize)) + 64;
}

static gboolean
rnn_forward (const HtOpCall *call, GError **error)
{
  if (ht_op_is_half (call))
    return ht_op_widen (call, rnn_forward, error);
  return ht_tensor_get_data_type (call->inputs[0]) == HT_DATA_TYPE_DOUBLE ? ht_rnn_run_double (call, error)
                                                                          : ht_rnn_run_float (call, error);
}

#define RNN(NAME)                                                                                                      \
  {                                                                                                                    \
    .op_type = NAME, .since_version = 7, .infer = rnn_infer, .forward = rnn_forward, .workspace = rnn_workspace,       \
    .backward = ht_op_rnn_backward, .backward_inputs = HT_OP_KEEPS_ALL,                                                \
    .backward_workspace = ht_op_rnn_backward_workspace                                                                 \
  }

static const HtOperator operators[] = { RNN ("GRU"), RNN ("LSTM"), RNN ("RNN") };

void
ht_ops_register_rnn (void)
{
  HT_OPS_REGISTER (operators);
}
