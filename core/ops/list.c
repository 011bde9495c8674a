/* SPDX-License-Identifier: MIT */
#include "ops/list.h"

#include "graph/tensor-private.h"

gboolean
ht_infer_check_sequence (const HtInfer *infer, guint input, GError **error)
{
  HtDataType type = ht_infer_get_type (infer, input);
  if (type == HT_DATA_TYPE_UNDEFINED || type == HT_DATA_TYPE_SEQUENCE)
    return TRUE;
  return ht_infer_fail (infer, error, "input %u ('%s') is of type %s, expected a sequence", input,
                        ht_node_get_input (infer->node, input), ht_data_type_get_name (type));
}

gboolean
ht_infer_check_tensor (const HtInfer *infer, guint input, GError **error)
{
  HtDataType type = ht_infer_get_type (infer, input);
  if (!ht_data_type_is_list (type))
    return TRUE;
  return ht_infer_fail (infer, error, "input %u ('%s') is of type %s, expected a tensor", input,
                        ht_node_get_input (infer->node, input), ht_data_type_get_name (type));
}

HtElementType *
ht_infer_get_as_element (const HtInfer *infer, guint input)
{
  const HtInferValue *value = ht_infer_get_input (infer, input);
  if (value == NULL || value->type == HT_DATA_TYPE_UNDEFINED)
    return NULL;
  return ht_element_type_new (value->type, value->shape, value->element);
}

void
ht_infer_put_element (HtInfer *infer, guint output, HtElementType *element)
{
  if (element == NULL)
    return;
  if (ht_data_type_is_list (element->type))
    ht_infer_set_output_list (infer, output, element->type, HT_DIM_UNKNOWN, element->element);
  else
    ht_infer_set_output (infer, output, element->type, element->shape ? ht_shape_ref (element->shape) : NULL);
}

gint64
ht_infer_get_length (const HtInfer *infer, guint input)
{
  HtShape *shape = ht_infer_get_shape (infer, input);
  return shape && ht_shape_get_n_dims (shape) == 1 ? ht_shape_get_dim (shape, 0) : HT_DIM_UNKNOWN;
}

HtElementType *
ht_infer_get_element (const HtInfer *infer, guint input)
{
  const HtInferValue *value = ht_infer_get_input (infer, input);
  return value ? value->element : NULL;
}
