/* SPDX-License-Identifier: MIT */
/* SequenceConstruct, SequenceEmpty, SequenceAt, SequenceInsert, SequenceErase and SequenceLength. Sequences never
 * change: an operator makes a new one that refers to the same tensors. */
#include "ops/list.h"
#include "ops/ops.h"

static gboolean
construct_infer (HtInfer *infer, GError **error)
{
  g_autoptr (HtElementType) element = ht_infer_get_as_element (infer, 0);

  if (!ht_infer_check_arity (infer, infer->n_inputs ? infer->n_inputs : 1, 0, error))
    return FALSE;
  for (guint i = 0; i < infer->n_inputs; i++)
    {
      g_autoptr (HtElementType) other = ht_infer_get_as_element (infer, i);
      if (!ht_infer_check_tensor (infer, i, error) || !ht_infer_check_same_type (infer, 0, i, error))
        return FALSE;
      HtElementType *both = ht_element_type_unite (element, other);
      g_clear_pointer (&element, ht_element_type_unref);
      element = both;
    }
  ht_infer_set_output_list (infer, 0, HT_DATA_TYPE_SEQUENCE, infer->n_inputs, element);
  return TRUE;
}

static gboolean
give_sequence (const HtOpCall *call, HtTensor *const *elements, gsize n_elements, GError **error)
{
  if (n_elements > HT_SEQUENCE_MAX_LENGTH)
    return ht_op_fail (call, error, "a sequence of %" G_GSIZE_FORMAT " tensors is longer than %d", n_elements,
                       HT_SEQUENCE_MAX_LENGTH);
  call->outputs[0] = ht_tensor_new_list (HT_DATA_TYPE_SEQUENCE, elements, n_elements, error);
  return call->outputs[0] != NULL;
}

static gboolean
construct_forward (const HtOpCall *call, GError **error)
{
  return give_sequence (call, call->inputs, call->n_inputs, error);
}

static gboolean
empty_infer (HtInfer *infer, GError **error)
{
  gint64 type = ht_node_get_int (infer->node, "dtype", HT_DATA_TYPE_FLOAT);

  if (infer->n_inputs > 0)
    return ht_infer_fail (infer, error, "found %u inputs, it takes none", infer->n_inputs);
  if (type <= HT_DATA_TYPE_UNDEFINED || type > HT_DATA_TYPE_INT2)
    return ht_infer_fail (infer, error, "dtype is %" G_GINT64_FORMAT ", which is no element type", type);
  g_autoptr (HtElementType) element = ht_element_type_new ((HtDataType)type, NULL, NULL);
  ht_infer_set_output_list (infer, 0, HT_DATA_TYPE_SEQUENCE, 0, element);
  return TRUE;
}

static gboolean
empty_forward (const HtOpCall *call, GError **error)
{
  return give_sequence (call, NULL, 0, error);
}

static gboolean
at_infer (HtInfer *infer, GError **error)
{
  if (!ht_infer_check_arity (infer, 2, 2, error) || !ht_infer_check_sequence (infer, 0, error)
      || !ht_infer_check_type (infer, 1, HT_TYPES_INDEX, error))
    return FALSE;
  ht_infer_put_element (infer, 0, ht_infer_get_element (infer, 0));
  return TRUE;
}

/* The position that an input gives, from the back where it is negative; the default where the input is absent. */
static gboolean
read_position (const HtOpCall *call, guint input, gsize length, gsize n_positions, gsize *position, GError **error)
{
  HtTensor *tensor = call->n_inputs > input ? call->inputs[input] : NULL;
  gint64 given;

  if (tensor && ht_tensor_get_n_elements (tensor) != 1)
    return ht_op_fail (call, error, "the position has %" G_GSIZE_FORMAT " elements, expected 1",
                       ht_tensor_get_n_elements (tensor));
  given = tensor ? ht_tensor_get_int64 (tensor, 0) : (gint64)n_positions - 1;
  if (given < -(gint64)length || given >= (gint64)n_positions)
    {
      if (n_positions == 0)
        return ht_op_fail (call, error, "the sequence is empty, so that no position lies in it");
      return ht_op_fail (call, error,
                         "position %" G_GINT64_FORMAT " lies outside the sequence of %" G_GSIZE_FORMAT
                         " tensors, expected %" G_GINT64_FORMAT " to %" G_GSIZE_FORMAT,
                         given, length, -(gint64)length, n_positions - 1);
    }
  *position = (gsize)(given < 0 ? given + (gint64)length : given);
  return TRUE;
}

static gboolean
at_forward (const HtOpCall *call, GError **error)
{
  gsize length = ht_tensor_get_n_elements (call->inputs[0]), position = 0;
  if (!read_position (call, 1, length, length, &position, error))
    return FALSE;
  call->outputs[0] = ht_tensor_ref (ht_tensor_get_element (call->inputs[0], position));
  return TRUE;
}

static gboolean
insert_infer (HtInfer *infer, GError **error)
{
  if (!ht_infer_check_arity (infer, 2, 3, error) || !ht_infer_check_sequence (infer, 0, error)
      || !ht_infer_check_tensor (infer, 1, error) || !ht_infer_check_type (infer, 2, HT_TYPES_INDEX, error))
    return FALSE;
  gint64 length = ht_infer_get_length (infer, 0);
  HtElementType *inside = ht_infer_get_element (infer, 0);
  g_autoptr (HtElementType) inserted = ht_infer_get_as_element (infer, 1);
  if (ht_element_type_contradicts (inside, inserted))
    return ht_infer_fail (infer, error, "a tensor of type %s does not go into a sequence of tensors of type %s",
                          ht_data_type_get_name (inserted->type), ht_data_type_get_name (inside->type));
  g_autoptr (HtElementType) both
      = length == 0 && inserted ? ht_element_type_ref (inserted) : ht_element_type_unite (inside, inserted);
  ht_infer_set_output_list (infer, 0, HT_DATA_TYPE_SEQUENCE, length >= 0 ? length + 1 : length, both);
  return TRUE;
}

static gboolean
insert_forward (const HtOpCall *call, GError **error)
{
  HtTensor *sequence = call->inputs[0];
  gsize length = ht_tensor_get_n_elements (sequence), position = 0;
  if (!read_position (call, 2, length, length + 1, &position, error))
    return FALSE;
  g_autofree HtTensor **elements = g_new (HtTensor *, length + 1);
  for (gsize i = 0; i < length; i++)
    elements[i < position ? i : i + 1] = ht_tensor_get_element (sequence, i);
  elements[position] = call->inputs[1];
  return give_sequence (call, elements, length + 1, error);
}

static gboolean
erase_infer (HtInfer *infer, GError **error)
{
  if (!ht_infer_check_arity (infer, 1, 2, error) || !ht_infer_check_sequence (infer, 0, error)
      || !ht_infer_check_type (infer, 1, HT_TYPES_INDEX, error))
    return FALSE;
  gint64 length = ht_infer_get_length (infer, 0);
  ht_infer_set_output_list (infer, 0, HT_DATA_TYPE_SEQUENCE, length > 0 ? length - 1 : HT_DIM_UNKNOWN,
                            ht_infer_get_element (infer, 0));
  return TRUE;
}

static gboolean
erase_forward (const HtOpCall *call, GError **error)
{
  HtTensor *sequence = call->inputs[0];
  gsize length = ht_tensor_get_n_elements (sequence), position = 0;
  if (!read_position (call, 1, length, length, &position, error))
    return FALSE;
  g_autofree HtTensor **elements = g_new (HtTensor *, length);
  for (gsize i = 0; i < length; i++)
    if (i != position)
      elements[i < position ? i : i - 1] = ht_tensor_get_element (sequence, i);
  return give_sequence (call, elements, length - 1, error);
}

static gboolean
length_infer (HtInfer *infer, GError **error)
{
  if (!ht_infer_check_arity (infer, 1, 1, error) || !ht_infer_check_sequence (infer, 0, error))
    return FALSE;
  ht_infer_set_output_dims (infer, 0, HT_DATA_TYPE_INT64, NULL, 0);
  if (ht_infer_get_length (infer, 0) >= 0)
    {
      infer->outputs[0].elements = g_new0 (HtSymbolicInt, 1);
      infer->outputs[0].elements[0] = (HtSymbolicInt){ TRUE, ht_infer_get_length (infer, 0), NULL };
      infer->outputs[0].n_elements = 1;
    }
  return TRUE;
}

static gboolean
length_forward (const HtOpCall *call, GError **error)
{
  gint64 *length = ht_tensor_get_writable_data (call->outputs[0]);
  *length = (gint64)ht_tensor_get_n_elements (call->inputs[0]);
  return TRUE;
}

static const HtOperator operators[] = {
  { "", "SequenceAt", 11, HT_OP_MAKES_OUTPUTS | HT_OP_LISTS, at_infer, at_forward },
  { "", "SequenceConstruct", 11, HT_OP_MAKES_OUTPUTS | HT_OP_LISTS, construct_infer, construct_forward },
  { "", "SequenceEmpty", 11, HT_OP_MAKES_OUTPUTS | HT_OP_LISTS, empty_infer, empty_forward },
  { "", "SequenceErase", 11, HT_OP_MAKES_OUTPUTS | HT_OP_LISTS, erase_infer, erase_forward },
  { "", "SequenceInsert", 11, HT_OP_MAKES_OUTPUTS | HT_OP_LISTS, insert_infer, insert_forward },
  { "", "SequenceLength", 11, HT_OP_LISTS, length_infer, length_forward },
};

void
ht_ops_register_sequence (void)
{
  HT_OPS_REGISTER (operators);
}
