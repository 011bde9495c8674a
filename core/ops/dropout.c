/* SPDX-License-Identifier: MIT */
/* Dropout: an identity and a mask of ones, or in training mode values dropped at random and the rest scaled up. */
#include "base/mersenne-twister.h"
#include "graph/tensor-private.h"
#include "ops/backward.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <string.h>

/* Since opset 12 ratio and mode are inputs; before, a network was exported for one or the other and is run for
 * inference. */
static gboolean
may_train (const HtInfer *infer)
{
  const HtInferValue *training = ht_infer_get_input (infer, 2);
  return infer->opset >= 12 && training
         && !(training->constant && ht_tensor_get_n_elements (training->constant) > 0
              && ht_tensor_get_int64 (training->constant, 0) == 0);
}

static gboolean
dropout_infer (HtInfer *infer, GError **error)
{
  if (!ht_infer_check_arity (infer, 1, infer->opset >= 12 ? 3 : 1, error)
      || !ht_infer_check_type (infer, 0, HT_TYPES_FLOAT, error))
    return FALSE;
  ht_infer_copy_input (infer, 0, 0, !may_train (infer));
  ht_infer_copy_input (infer, 1, 0, FALSE);
  if (infer->n_outputs > 1 && infer->opset >= 10)
    infer->outputs[1].type = HT_DATA_TYPE_BOOL;
  return TRUE;
}

/* What part is dropped: 0 at inference. FALSE with an error: no part at all. */
static gboolean
read_ratio (const HtOpCall *call, double *dropped, GError **error)
{
  HtTensor *ratio = call->n_inputs > 1 ? call->inputs[1] : NULL;
  HtTensor *training = call->n_inputs > 2 ? call->inputs[2] : NULL;

  *dropped = 0.0;
  if (call->opset < 12 || training == NULL || ht_tensor_get_n_elements (training) == 0
      || ht_tensor_get_int64 (training, 0) == 0)
    return TRUE;
  *dropped = ratio && ht_tensor_get_n_elements (ratio) > 0 ? ht_tensor_get_double (ratio, 0) : 0.5;
  return (*dropped >= 0.0 && *dropped < 1.0)
         || ht_op_fail (call, error, "the ratio '%s' is %g, expected at least 0 and less than 1",
                        ht_node_get_input (call->node, 1), *dropped);
}

/* The same values are dropped in every run: the seed is the attribute, or comes from the name of the output. */
static guint8 *
draw_mask (const HtOpCall *call, gsize n, double dropped)
{
  guint8 *mask = g_malloc (MAX (n, 1));
  HtMersenneTwister random;
  guint32 seed = ht_node_has_attribute (call->node, "seed") ? (guint32)ht_node_get_int (call->node, "seed", 0)
                                                            : g_str_hash (ht_node_get_output (call->node, 0));

  ht_mersenne_twister_seed (&random, seed);
  for (gsize i = 0; i < n; i++)
    mask[i] = dropped == 0.0 || ht_mersenne_twister_uniform (&random) >= dropped;
  return mask;
}

static void
store_mask (HtTensor *out, const guint8 *mask)
{
  gsize n = ht_tensor_get_n_elements (out);
  HtDataType type = ht_tensor_get_data_type (out);
  gpointer data = ht_tensor_get_writable_data (out);

  for (gsize i = 0; i < n; i++)
    ht_scalar_store (type, data, i, mask == NULL || mask[i] ? 1.0 : 0.0);
}

/* to = from where the mask is set, scaled to keep the sum; from and to may be the same. */
static void
apply_mask (HtTensor *from, HtTensor *to, const guint8 *mask, double dropped)
{
  gsize n = ht_tensor_get_n_elements (from);
  double scale = 1.0 / (1.0 - dropped);

  if (ht_tensor_get_data_type (from) == HT_DATA_TYPE_DOUBLE)
    {
      const double *in = ht_tensor_get_data (from);
      double *out = ht_tensor_get_writable_data (to);
      for (gsize i = 0; i < n; i++)
        out[i] = mask[i] ? in[i] * scale : 0.0;
      return;
    }
  const float *in = ht_tensor_get_data (from);
  float *out = ht_tensor_get_writable_data (to);
  for (gsize i = 0; i < n; i++)
    out[i] = mask[i] ? in[i] * (float)scale : 0.0f;
}

static gboolean
dropout_forward (const HtOpCall *call, GError **error)
{
  HtTensor *wanted = call->n_outputs > 1 ? call->outputs[1] : NULL;
  double dropped;

  if (!read_ratio (call, &dropped, error))
    return FALSE;
  if (dropped == 0.0)
    {
      if (wanted)
        store_mask (wanted, NULL);
      return call->outputs[0] == NULL || ht_op_copy_through (call, error);
    }
  if (ht_op_is_half (call))
    return ht_op_widen (call, dropout_forward, error);
  g_autofree guint8 *mask = draw_mask (call, ht_tensor_get_n_elements (call->inputs[0]), dropped);
  if (wanted)
    store_mask (wanted, mask);
  if (call->outputs[0])
    apply_mask (call->inputs[0], call->outputs[0], mask, dropped);
  return TRUE;
}

static gboolean
dropout_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
                  GError **error)
{
  double dropped;

  if (!read_ratio (call, &dropped, error))
    return FALSE;
  if (dropped == 0.0 || input_gradients[0] == NULL || output_gradients[0] == NULL)
    return ht_backward_pass (call, output_gradients, input_gradients, error);
  for (guint i = 1; i < call->n_inputs; i++)
    if (input_gradients[i])
      return ht_op_fail_gradient (call, i, error);
  g_autofree guint8 *mask = draw_mask (call, ht_tensor_get_n_elements (output_gradients[0]), dropped);
  apply_mask (output_gradients[0], input_gradients[0], mask, dropped);
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "Dropout", 7, HT_OP_VIEW | HT_OP_KEEPS_GRID, dropout_infer, dropout_forward, ht_backward_pass },
  { "", "Dropout", 12, HT_OP_IN_PLACE | HT_OP_KEEPS_GRID, dropout_infer, dropout_forward, dropout_backward,
    .backward_inputs = HT_OP_KEEPS (1) | HT_OP_KEEPS (2) },
};

void
ht_ops_register_dropout (void)
{
  HT_OPS_REGISTER (operators);
}
