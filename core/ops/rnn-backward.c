/* SPDX-License-Identifier: MIT */
/* The gradients of RNN, GRU and LSTM: all directions, sequence lengths, peepholes; without clipping, and with the
 * activations whose slope follows from their value. */
#include "kernels/gemm.h"
#include "ops/backward.h"
#include "ops/rnn.h"
#include "ops/rules.h"

#include <string.h>
#include <tgmath.h>

typedef enum
{
  ACT_SIGMOID,
  ACT_TANH,
  ACT_RELU,
} Activation;

typedef struct
{
  HtRnnCell cell;
  gsize time, batch, input, hidden, gates, directions;
  gboolean batch_first;
  gboolean couple;              /* LSTM */
  gboolean linear_before_reset; /* GRU */
} Sizes;

static gpointer
readable (HtTensor *const *tensors, guint n_tensors, guint index)
{
  HtTensor *tensor = ht_backward_get (tensors, n_tensors, index);
  return tensor ? (gpointer)ht_tensor_get_data (tensor) : NULL;
}

static gpointer
writable (const HtOpCall *call, HtTensor *const *gradients, guint index)
{
  HtTensor *tensor = ht_backward_get (gradients, call->n_inputs, index);
  return tensor ? ht_tensor_get_writable_data (tensor) : NULL;
}

#define REAL                    float
#define FN(name)                name##_float
#define PRODUCT(shape, a, b, c) ht_kernel_gemm_batch (shape, 1, a, NULL, b, NULL, c, 0)
#include "ops/rnn-backward-template.h"
#undef REAL
#undef FN
#undef PRODUCT

#define REAL     double
#define FN(name) name##_double
#define PRODUCT  ht_kernel_gemm_double
#include "ops/rnn-backward-template.h"

static Sizes
read_sizes (HtNode *node, const gint64 *x, gint64 hidden)
{
  gboolean batch_first = ht_node_get_int (node, "layout", 0) != 0;
  HtRnnCell cell = ht_rnn_cell_of (node);
  return (Sizes){ .cell = cell,
                  .time = (gsize)x[batch_first ? 1 : 0],
                  .batch = (gsize)x[batch_first ? 0 : 1],
                  .input = (gsize)x[2],
                  .hidden = (gsize)hidden,
                  .gates = ht_rnn_cells[cell].n_gates,
                  .directions = ht_rnn_count_directions (node),
                  .batch_first = batch_first,
                  .couple = cell == HT_RNN_LSTM && ht_node_get_int (node, "input_forget", 0) != 0,
                  .linear_before_reset = cell == HT_RNN_GRU && ht_node_get_int (node, "linear_before_reset", 0) != 0 };
}

gsize
ht_op_rnn_backward_workspace (const HtInfer *infer)
{
  HtDims x, r;
  gsize numbers;

  if (!ht_infer_read_dims (infer, 0, &x) || !ht_infer_read_dims (infer, 2, &r) || x.n != 3 || r.n != 3)
    return 0;
  Sizes size = read_sizes (infer->node, x.dim, r.dim[2]);
  if (!g_size_checked_mul (&numbers, size.time + 1, size.batch)
      || !g_size_checked_mul (&numbers, numbers, (size.gates + 3) * size.hidden))
    return G_MAXSSIZE;
  return numbers * (ht_infer_get_type (infer, 0) == HT_DATA_TYPE_DOUBLE ? sizeof (double) : sizeof (float));
}

static gboolean
read_activations (const HtOpCall *call, guint directions, Activation *activations, GError **error)
{
  static const char *const known[] = { "Sigmoid", "Tanh", "Relu" };
  const char *const *names = ht_node_get_strings (call->node, "activations");
  const HtRnnCellInfo *cell = &ht_rnn_cells[ht_rnn_cell_of (call->node)];
  guint n = cell->n_activations * directions;

  if (names && g_strv_length ((char **)names) != n)
    return ht_op_fail (call, error, "the attribute activations has %u names, expected %u",
                       g_strv_length ((char **)names), n);
  for (guint i = 0; i < n; i++)
    {
      const char *name = names ? names[i] : cell->defaults[i % cell->n_activations];
      guint k = 0;
      while (k < G_N_ELEMENTS (known) && g_ascii_strcasecmp (name, known[k]) != 0)
        k++;
      if (k == G_N_ELEMENTS (known))
        return ht_op_fail (call, error, "with the activation '%s' it cannot be differentiated", name);
      activations[i] = (Activation)k;
    }
  return ht_node_get_float (call->node, "clip", 0.0) <= 0.0
         || ht_op_fail (call, error, "with the attribute clip it cannot be differentiated");
}

gboolean
ht_op_rnn_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                    GError **error)
{
  Activation activations[6];
  gboolean is_double;
  Sizes size
      = read_sizes (call->node, ht_tensor_get_dims (call->inputs[0], NULL), ht_tensor_get_dim (call->inputs[2], 2));
  gboolean reverse = strcmp (ht_node_get_string (call->node, "direction", "forward"), "reverse") == 0;

  if (!ht_backward_get_type (call, output_gradients, &is_double, error)
      || !read_activations (call, (guint)size.directions, activations, error))
    return FALSE;
  if (is_double)
    run_double (call, &size, activations, reverse, output_gradients, input_gradients);
  else
    run_float (call, &size, activations, reverse, output_gradients, input_gradients);
  return TRUE;
}
