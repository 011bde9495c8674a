/* SPDX-License-Identifier: MIT */
#include "onnx/type-proto.h"

#include "graph/tensor-private.h"

#include <halftone/error.h>

static gboolean
shape_from_proto (const Onnx__TensorShapeProto *proto, const char *what, HtShape **shape, GError **error)
{
  if (proto->n_dim > HT_TENSOR_MAX_DIMS)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
                   "Loading value '%s': it has %" G_GSIZE_FORMAT " dimensions, at most %d are supported", what,
                   proto->n_dim, HT_TENSOR_MAX_DIMS);
      return FALSE;
    }
  gint64 dims[HT_TENSOR_MAX_DIMS];
  const char *symbols[HT_TENSOR_MAX_DIMS];
  for (gsize i = 0; i < proto->n_dim; i++)
    {
      const Onnx__TensorShapeProto__Dimension *dim = proto->dim[i];
      dims[i] = HT_DIM_UNKNOWN;
      symbols[i] = NULL;
      if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
        {
          /* Exporters write -1, and some other negative numbers, where they do not know. */
          dims[i] = MAX (dim->dim_value, HT_DIM_UNKNOWN);
        }
      else if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && dim->dim_param
               && *dim->dim_param)
        symbols[i] = dim->dim_param;
    }
  *shape = ht_shape_new (dims, symbols, (guint) proto->n_dim);
  return TRUE;
}

/* The messages of the two are alike. */
static const Onnx__TypeProto *
find_element (const Onnx__TypeProto *proto, HtDataType *type)
{
  if (proto->value_case == ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE && proto->sequence_type)
    {
      *type = HT_DATA_TYPE_SEQUENCE;
      return proto->sequence_type->elem_type;
    }
  if (proto->value_case == ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE && proto->optional_type)
    {
      *type = HT_DATA_TYPE_OPTIONAL;
      return proto->optional_type->elem_type;
    }
  return NULL;
}

static gboolean
element_from_proto (const Onnx__TypeProto *proto, const char *what, HtElementType **element, GError **error)
{
  HtDataType type;
  g_autoptr (HtShape) shape = NULL;
  g_autoptr (HtElementType) inner = NULL;

  if (!ht_type_from_proto (proto, what, &type, &shape, &inner, error))
    return FALSE;
  if (type != HT_DATA_TYPE_UNDEFINED)
    *element = ht_element_type_new (type, shape, inner);
  return TRUE;
}

gboolean
ht_type_from_proto (const Onnx__TypeProto *proto, const char *what, HtDataType *type, HtShape **shape,
                    HtElementType **element, GError **error)
{
  *type = HT_DATA_TYPE_UNDEFINED;
  *shape = NULL;
  *element = NULL;
  const Onnx__TypeProto *inner = proto ? find_element (proto, type) : NULL;
  if (inner)
    return element_from_proto (inner, what, element, error);
  if (!proto || proto->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !proto->tensor_type)
    return TRUE;
  const Onnx__TypeProto__Tensor *tensor = proto->tensor_type;
  if (tensor->elem_type != HT_DATA_TYPE_UNDEFINED && tensor->elem_type != HT_DATA_TYPE_STRING
      && ht_data_type_get_bits ((HtDataType) tensor->elem_type) == 0)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
                   "Loading value '%s': element type %d is not known; types 1 (float) to 26 (int2) are", what,
                   tensor->elem_type);
      return FALSE;
    }
  *type = (HtDataType) tensor->elem_type;
  return !tensor->shape || shape_from_proto (tensor->shape, what, shape, error);
}

static Onnx__TensorShapeProto *
shape_to_proto (HtArena *arena, HtShape *shape)
{
  Onnx__TensorShapeProto *proto = ht_arena_message (arena, &onnx__tensor_shape_proto__descriptor, NULL);
  guint n_dims = ht_shape_get_n_dims (shape);
  proto->n_dim = n_dims;
  proto->dim = ht_arena_alloc_array (arena, n_dims, sizeof *proto->dim);
  for (guint i = 0; i < n_dims; i++)
    {
      Onnx__TensorShapeProto__Dimension *dim
          = ht_arena_message (arena, &onnx__tensor_shape_proto__dimension__descriptor, NULL);
      const char *symbol = ht_shape_get_symbol (shape, i);
      if (ht_shape_get_dim (shape, i) != HT_DIM_UNKNOWN)
        {
          dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
          dim->dim_value = ht_shape_get_dim (shape, i);
        }
      else if (symbol)
        {
          dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
          dim->dim_param = ht_arena_strdup (arena, symbol);
        }
      proto->dim[i] = dim;
    }
  return proto;
}

static Onnx__TypeProto *
list_to_proto (HtArena *arena, HtDataType type, const HtElementType *element)
{
  Onnx__TypeProto *proto = ht_arena_message (arena, &onnx__type_proto__descriptor, NULL);
  Onnx__TypeProto *inner = element ? ht_type_to_proto (arena, element->type, element->shape, element->element) : NULL;
  if (type == HT_DATA_TYPE_SEQUENCE)
    {
      proto->value_case = ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE;
      proto->sequence_type = ht_arena_message (arena, &onnx__type_proto__sequence__descriptor, NULL);
      proto->sequence_type->elem_type = inner;
    }
  else
    {
      proto->value_case = ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE;
      proto->optional_type = ht_arena_message (arena, &onnx__type_proto__optional__descriptor, NULL);
      proto->optional_type->elem_type = inner;
    }
  return proto;
}

Onnx__TypeProto *
ht_type_to_proto (HtArena *arena, HtDataType type, HtShape *shape, const HtElementType *element)
{
  if (type == HT_DATA_TYPE_UNDEFINED && !shape)
    return NULL;
  if (ht_data_type_is_list (type))
    return list_to_proto (arena, type, element);
  Onnx__TypeProto *proto = ht_arena_message (arena, &onnx__type_proto__descriptor, NULL);
  Onnx__TypeProto__Tensor *tensor = ht_arena_message (arena, &onnx__type_proto__tensor__descriptor, NULL);
  proto->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
  proto->tensor_type = tensor;
  tensor->has_elem_type = type != HT_DATA_TYPE_UNDEFINED;
  tensor->elem_type = (gint32) type;
  if (shape)
    tensor->shape = shape_to_proto (arena, shape);
  return proto;
}
