/* SPDX-License-Identifier: MIT */
/* ONNX's sequences and optional values: tensors whose elements are tensors. */
#include "graph/tensor-private.h"

#include <halftone/error.h>

/* Memory that somebody else keeps alive does not outlive the run that made it. */
static HtTensor *
take_element (HtTensor *element, GError **error)
{
  return element->memory == HT_TENSOR_VIEW ? ht_tensor_copy (element, error) : ht_tensor_ref (element);
}

/**
 * ht_tensor_new_list:
 * @type: %HT_DATA_TYPE_SEQUENCE or %HT_DATA_TYPE_OPTIONAL
 * @elements: (array length=n_elements) (nullable): the values in it
 * @n_elements: their number, at most one for %HT_DATA_TYPE_OPTIONAL
 * @error: return location for an error
 *
 * Makes a sequence, or an optional value that is there (one element) or not (none): a tensor of one dimension, whose
 * length is the number of elements. It has no data of its own and never changes; it keeps references to the elements,
 * which are not writable as long as it lives. An element over memory that an executor lends is copied.
 *
 * Returns: (transfer full): the list, or %NULL with @error set
 */
HtTensor *
ht_tensor_new_list (HtDataType type, HtTensor *const *elements, gsize n_elements, GError **error)
{
  g_return_val_if_fail (ht_data_type_is_list (type), NULL);
  g_return_val_if_fail (elements != NULL || n_elements == 0, NULL);
  g_return_val_if_fail (type == HT_DATA_TYPE_SEQUENCE || n_elements <= 1, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  g_autoptr (HtTensor) self = g_new0 (HtTensor, 1);
  g_atomic_ref_count_init (&self->ref_count);
  self->type = type;
  self->memory = HT_TENSOR_OWNED;
  self->n_dims = 1;
  self->elements = g_new0 (HtTensor *, n_elements + 1);
  for (gsize i = 0; i < n_elements; i++)
    {
      self->elements[i] = take_element (elements[i], error);
      if (self->elements[i] == NULL)
        return NULL;
      self->n_elements++;
    }
  self->dims[0] = (gint64)n_elements;
  return g_steal_pointer (&self);
}

/**
 * ht_tensor_get_element:
 * @self: a sequence or an optional value
 * @index: an element below their number
 *
 * Returns: (transfer none): the element
 */
HtTensor *
ht_tensor_get_element (HtTensor *self, gsize index)
{
  g_return_val_if_fail (self != NULL && self->elements != NULL, NULL);
  g_return_val_if_fail (index < self->n_elements, NULL);
  return self->elements[index];
}

void
ht_tensor_list_free (HtTensor *self)
{
  for (gsize i = 0; i < self->n_elements; i++)
    ht_tensor_unref (self->elements[i]);
  g_free (self->elements);
}

gboolean
ht_tensor_list_equal (HtTensor *a, HtTensor *b)
{
  for (gsize i = 0; i < a->n_elements; i++)
    if (!ht_tensor_equal (a->elements[i], b->elements[i]))
      return FALSE;
  return TRUE;
}
