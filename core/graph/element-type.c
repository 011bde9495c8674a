/* SPDX-License-Identifier: MIT */
#include "graph/element-type.h"

#include "graph/tensor-private.h"

HtElementType *
ht_element_type_new (HtDataType type, HtShape *shape, HtElementType *element)
{
  HtElementType *self = g_new0 (HtElementType, 1);
  g_atomic_ref_count_init (&self->ref_count);
  self->type = type;
  self->shape = shape && !ht_data_type_is_list (type) ? ht_shape_ref (shape) : NULL;
  self->element = element ? ht_element_type_ref (element) : NULL;
  return self;
}

HtElementType *
ht_element_type_ref (HtElementType *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

void
ht_element_type_unref (HtElementType *self)
{
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  g_clear_pointer (&self->shape, ht_shape_unref);
  g_clear_pointer (&self->element, ht_element_type_unref);
  g_free (self);
}

gboolean
ht_element_type_equal (const HtElementType *a, const HtElementType *b)
{
  if (a == NULL || b == NULL)
    return a == b;
  return a->type == b->type && ht_shape_equal (a->shape, b->shape) && ht_element_type_equal (a->element, b->element);
}

HtShape *
ht_shape_unite (HtShape *a, HtShape *b)
{
  if (a == NULL || b == NULL || ht_shape_get_n_dims (a) != ht_shape_get_n_dims (b))
    return NULL;
  guint n_dims = ht_shape_get_n_dims (a);
  g_autofree gint64 *dims = g_new (gint64, n_dims + 1);
  g_autofree const char **symbols = g_new0 (const char *, n_dims + 1);
  for (guint i = 0; i < n_dims; i++)
    {
      gboolean same = ht_shape_get_dim (a, i) == ht_shape_get_dim (b, i)
                      && g_strcmp0 (ht_shape_get_symbol (a, i), ht_shape_get_symbol (b, i)) == 0;
      dims[i] = same ? ht_shape_get_dim (a, i) : HT_DIM_UNKNOWN;
      symbols[i] = same ? ht_shape_get_symbol (a, i) : NULL;
    }
  return ht_shape_new (dims, symbols, n_dims);
}

HtElementType *
ht_element_type_unite (HtElementType *a, HtElementType *b)
{
  if (a == NULL || b == NULL || a->type != b->type)
    return NULL;
  g_autoptr (HtShape) shape = ht_shape_unite (a->shape, b->shape);
  g_autoptr (HtElementType) element = ht_element_type_unite (a->element, b->element);
  return ht_element_type_new (a->type, shape, element);
}

gboolean
ht_element_type_contradicts (const HtElementType *a, const HtElementType *b)
{
  if (a == NULL || b == NULL)
    return FALSE;
  if (a->type != HT_DATA_TYPE_UNDEFINED && b->type != HT_DATA_TYPE_UNDEFINED && a->type != b->type)
    return TRUE;
  return ht_element_type_contradicts (a->element, b->element);
}

static HtElementType *
type_of_tensor (HtTensor *tensor)
{
  HtDataType type = ht_tensor_get_data_type (tensor);
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);
  g_autoptr (HtShape) shape = ht_shape_new (dims, NULL, n_dims);
  g_autoptr (HtElementType) element = ht_data_type_is_list (type) ? ht_tensor_get_element_type (tensor) : NULL;
  return ht_element_type_new (type, shape, element);
}

HtElementType *
ht_tensor_get_element_type (HtTensor *list)
{
  g_autoptr (HtElementType) all = NULL;
  for (gsize i = 0; i < list->n_elements; i++)
    {
      g_autoptr (HtElementType) own = type_of_tensor (list->elements[i]);
      HtElementType *both = i == 0 ? ht_element_type_ref (own) : ht_element_type_unite (all, own);
      g_clear_pointer (&all, ht_element_type_unref);
      all = both;
    }
  return g_steal_pointer (&all);
}
