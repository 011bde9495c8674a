/* SPDX-License-Identifier: MIT */
/* Optional, OptionalGetElement and OptionalHasElement. */
#include "ops/list.h"
#include "ops/ops.h"

static gboolean
optional_infer (HtInfer *infer, GError **error)
{
  gboolean full = ht_infer_get_input (infer, 0) != NULL;

  if (!ht_infer_check_arity (infer, 0, 1, error))
    return FALSE;
  if (!full && !ht_node_has_attribute (infer->node, "type"))
    return ht_infer_fail (infer, error, "it has neither an input nor the attribute 'type'");
  if (ht_infer_get_type (infer, 0) == HT_DATA_TYPE_OPTIONAL)
    return ht_infer_fail (infer, error, "input 0 ('%s') is an optional value itself",
                          ht_node_get_input (infer->node, 0));
  g_autoptr (HtElementType) element = ht_infer_get_as_element (infer, 0);
  ht_infer_set_output_list (infer, 0, HT_DATA_TYPE_OPTIONAL, full, element);
  return TRUE;
}

static gboolean
optional_forward (const HtOpCall *call, GError **error)
{
  gsize n = call->n_inputs > 0 && call->inputs[0] ? 1 : 0;
  call->outputs[0] = ht_tensor_new_list (HT_DATA_TYPE_OPTIONAL, call->inputs, n, error);
  return call->outputs[0] != NULL;
}

/* From opset 18 on, a value that is no optional counts as one that is there. */
static gboolean
check_optional (const HtInfer *infer, GError **error)
{
  HtDataType type = ht_infer_get_type (infer, 0);
  if (infer->opset >= 18 || type == HT_DATA_TYPE_UNDEFINED || type == HT_DATA_TYPE_OPTIONAL)
    return TRUE;
  return ht_infer_fail (infer, error, "input 0 ('%s') is of type %s, expected an optional value before opset 18",
                        ht_node_get_input (infer->node, 0), ht_data_type_get_name (type));
}

static gboolean
get_infer (HtInfer *infer, GError **error)
{
  if (!ht_infer_check_arity (infer, 1, 1, error) || !check_optional (infer, error))
    return FALSE;
  if (ht_infer_get_type (infer, 0) == HT_DATA_TYPE_OPTIONAL)
    ht_infer_put_element (infer, 0, ht_infer_get_element (infer, 0));
  else
    ht_infer_copy_input (infer, 0, 0, TRUE);
  return TRUE;
}

static gboolean
get_forward (const HtOpCall *call, GError **error)
{
  HtTensor *value = call->inputs[0];
  if (ht_tensor_get_data_type (value) == HT_DATA_TYPE_OPTIONAL)
    {
      if (ht_tensor_get_n_elements (value) == 0)
        return ht_op_fail (call, error, "the optional value has no element");
      value = ht_tensor_get_element (value, 0);
    }
  call->outputs[0] = ht_tensor_ref (value);
  return TRUE;
}

static gboolean
has_infer (HtInfer *infer, GError **error)
{
  if (!ht_infer_check_arity (infer, infer->opset < 18 ? 1 : 0, 1, error) || !check_optional (infer, error))
    return FALSE;
  ht_infer_set_output_dims (infer, 0, HT_DATA_TYPE_BOOL, NULL, 0);
  return TRUE;
}

static gboolean
has_forward (const HtOpCall *call, GError **error)
{
  HtTensor *value = call->n_inputs > 0 ? call->inputs[0] : NULL;
  guint8 *has = ht_tensor_get_writable_data (call->outputs[0]);
  *has = value != NULL
         && (ht_tensor_get_data_type (value) != HT_DATA_TYPE_OPTIONAL || ht_tensor_get_n_elements (value) > 0);
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "Optional", 15, HT_OP_MAKES_OUTPUTS | HT_OP_LISTS, optional_infer, optional_forward },
  { "", "OptionalGetElement", 15, HT_OP_MAKES_OUTPUTS | HT_OP_LISTS, get_infer, get_forward },
  { "", "OptionalHasElement", 15, HT_OP_LISTS, has_infer, has_forward },
};

void
ht_ops_register_optional (void)
{
  HT_OPS_REGISTER (operators);
}
