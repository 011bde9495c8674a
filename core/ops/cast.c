/* SPDX-License-Identifier: MIT */
/* Cast and CastLike. */
#include "graph/tensor-private.h"
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

/* What a symbol stays itself through: types that hold every dimension. */
static gboolean
holds_dimensions (HtDataType type)
{
  return type == HT_DATA_TYPE_INT32 || type == HT_DATA_TYPE_INT64 || type == HT_DATA_TYPE_UINT32
         || type == HT_DATA_TYPE_UINT64;
}

static gboolean
cast_forward (const HtOpCall *call, GError **error)
{
  HtTensor *in = call->inputs[0], *out = call->outputs[0];
  const char *mode = ht_node_get_string (call->node, "round_mode", "up");
  HtScaleRounding rounding = g_str_equal (mode, "down")      ? HT_ROUND_DOWN
                             : g_str_equal (mode, "nearest") ? HT_ROUND_NEAREST
                                                             : HT_ROUND_UP;
  HtDataType types[] = { ht_tensor_get_data_type (in), ht_tensor_get_data_type (out) };

  for (guint i = 0; i < 2; i++)
    if (!ht_data_type_is_numeric (types[i]))
      return ht_op_fail_type (call, types[i], error);
  ht_tensor_cast_into (in, out, ht_node_get_int (call->node, "saturate", 1) != 0, rounding);
  return TRUE;
}

static void
put_cast (HtInfer *infer, HtDataType to)
{
  ht_infer_copy_input (infer, 0, 0, FALSE);
  infer->outputs[0].type = to;
  if (holds_dimensions (ht_infer_get_type (infer, 0)) && holds_dimensions (to))
    {
      const HtInferValue *from = ht_infer_get_input (infer, 0);
      if (from->elements)
        {
          infer->outputs[0].elements = g_memdup2 (from->elements, MAX (from->n_elements, 1) * sizeof (HtSymbolicInt));
          infer->outputs[0].n_elements = from->n_elements;
        }
    }
}

static gboolean
cast_infer (HtInfer *infer, GError **error)
{
  gint64 to = ht_node_get_int (infer->node, "to", 0);
  if (!ht_infer_check_arity (infer, 1, 1, error))
    return FALSE;
  if (to <= HT_DATA_TYPE_UNDEFINED || to > HT_DATA_TYPE_INT2)
    return ht_infer_fail (infer, error, "the attribute 'to' is %" G_GINT64_FORMAT ", which is no element type", to);
  put_cast (infer, (HtDataType) to);
  return TRUE;
}

static gboolean
cast_like_infer (HtInfer *infer, GError **error)
{
  if (!ht_infer_check_arity (infer, 2, 2, error))
    return FALSE;
  put_cast (infer, ht_infer_get_type (infer, 1));
  return TRUE;
}

/* The gradient of a conversion between floating-point types is converted back. */
static gboolean
cast_backward (const HtOpCall *call, HtTensor *const *output_gradients, HtTensor *const *input_gradients,
               GError **error)
{
  if (call->n_inputs > 1 && input_gradients[1])
    return ht_op_fail_gradient (call, 1, error);
  if (input_gradients[0] == NULL)
    return TRUE;
  HtDataType types[] = { ht_tensor_get_data_type (output_gradients[0]), ht_tensor_get_data_type (input_gradients[0]) };
  for (guint i = 0; i < 2; i++)
    if (!ht_data_type_is_float (types[i]))
      return ht_op_fail_type (call, types[i], error);
  ht_tensor_cast_into (output_gradients[0], input_gradients[0], TRUE, HT_ROUND_NEAREST);
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "Cast", 6, HT_OP_NONE, cast_infer, cast_forward, cast_backward },
  { "", "CastLike", 15, HT_OP_NONE, cast_like_infer, cast_forward, cast_backward },
};

void
ht_ops_register_cast (void)
{
  HT_OPS_REGISTER (operators);
}
