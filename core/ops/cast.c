/* SPDX-License-Identifier: MIT */
/* Cast and CastLike. */
#include "ops/loop.h"
#include "ops/ops.h"
#include "ops/rules.h"

#include <string.h>

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
  HtTensor *out = call->outputs[0];
  g_autoptr (HtTensor) cast = ht_tensor_cast (call->inputs[0], ht_tensor_get_data_type (out), error);
  if (cast == NULL)
    return FALSE;
  if (ht_tensor_get_data_type (out) == HT_DATA_TYPE_STRING)
    return ht_op_fail_type (call, HT_DATA_TYPE_STRING, error);
  if (ht_tensor_get_size (out) > 0)
    memcpy (ht_tensor_get_writable_data (out), ht_tensor_get_data (cast), ht_tensor_get_size (out));
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

static const HtOperator operators[] = {
  { "", "Cast", 6, HT_OP_NONE, cast_infer, cast_forward },
  { "", "CastLike", 15, HT_OP_NONE, cast_like_infer, cast_forward },
};

void
ht_ops_register_cast (void)
{
  HT_OPS_REGISTER (operators);
}
