/* SPDX-License-Identifier: MIT */
#include "onnx/message.h"
#include "onnx/reader-private.h"
#include "onnx/tensor-proto.h"

#include <halftone/error.h>
#include <string.h>

/* AttributeProto fields */
enum
{
  FIELD_NAME = 1,
  FIELD_F = 2,
  FIELD_I = 3,
  FIELD_S = 4,
  FIELD_T = 5,
  FIELD_G = 6,
  FIELD_FLOATS = 7,
  FIELD_INTS = 8,
  FIELD_STRINGS = 9,
  FIELD_TENSORS = 10,
  FIELD_GRAPHS = 11,
  FIELD_TYPE = 20,
};

/* TensorProto: all that is content; the name is kept where it has no other place. */
static const guint32 tensor_content[] = { 1, 2, 4, 5, 6, 7, 9, 10, 11, 13, 14, 0 };
static const guint32 tensor_content_and_name[] = { 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 0 };

typedef struct
{
  HtGraph *graph;
  HtNode *node;
  HtExternalData *external;
  const char *name;
} Context;

GBytes *
ht_read_tensor_rest (const Onnx__TensorProto *proto, gboolean with_name)
{
  g_autofree Onnx__TensorProto *rest
      = ht_message_without (proto, with_name ? tensor_content : tensor_content_and_name);
  g_autoptr (GBytes) bytes = ht_message_pack (&rest->base);
  return g_bytes_get_size (bytes) > 0 ? g_steal_pointer (&bytes) : NULL;
}

/* Files of IR version 1 leave the type out: the field that is filled says it. */
static int
attribute_type (const Onnx__AttributeProto *proto)
{
  if (proto->type != ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED)
    return (int) proto->type;
  if (proto->has_f)
    return HT_ATTRIBUTE_FLOAT;
  if (proto->has_i)
    return HT_ATTRIBUTE_INT;
  if (proto->has_s)
    return HT_ATTRIBUTE_STRING;
  if (proto->t)
    return HT_ATTRIBUTE_TENSOR;
  if (proto->g)
    return HT_ATTRIBUTE_GRAPH;
  if (proto->n_floats)
    return HT_ATTRIBUTE_FLOATS;
  if (proto->n_ints)
    return HT_ATTRIBUTE_INTS;
  if (proto->n_strings)
    return HT_ATTRIBUTE_STRINGS;
  if (proto->n_tensors)
    return HT_ATTRIBUTE_TENSORS;
  return proto->n_graphs ? HT_ATTRIBUTE_GRAPHS : HT_ATTRIBUTE_UNDEFINED;
}

static HtAttribute *
refuse (const Context *context, const char *problem, GError **error)
{
  g_autofree char *where = ht_node_label (context->node);
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "Loading attribute '%s' of %s: %s", context->name, where,
               problem);
  return NULL;
}

static HtAttribute *
read_tensors (const Context *context, gboolean plural, Onnx__TensorProto **protos, gsize n_protos, GError **error)
{
  g_autoptr (GPtrArray) tensors = g_ptr_array_new_with_free_func ((GDestroyNotify) ht_tensor_unref);
  g_autofree char *where = ht_node_label (context->node);
  g_autofree char *what = g_strdup_printf ("%s of %s", context->name, where);
  for (gsize i = 0; i < n_protos; i++)
    {
      HtTensor *tensor = ht_tensor_from_proto (protos[i], context->external, what, error);
      if (!tensor)
        return NULL;
      g_ptr_array_add (tensors, tensor);
    }
  return ht_attribute_new_tensors (context->name, plural, (HtTensor *const *) tensors->pdata, tensors->len);
}

static HtAttribute *
read_graphs (const Context *context, gboolean plural, Onnx__GraphProto **protos, gsize n_protos, GError **error)
{
  g_autoptr (GPtrArray) graphs = g_ptr_array_new_with_free_func (g_object_unref);
  for (gsize i = 0; i < n_protos; i++)
    {
      HtGraph *graph = ht_read_graph (protos[i], context->external, error);
      if (!graph)
        return NULL;
      g_ptr_array_add (graphs, graph);
    }
  return ht_attribute_new_graphs (context->name, plural, (HtGraph *const *) graphs->pdata, graphs->len);
}

static HtAttribute *
read_strings (const Context *context, const ProtobufCBinaryData *strings, gsize n_strings)
{
  g_autofree HtAttributeString *values = g_new0 (HtAttributeString, n_strings + 1);
  for (gsize i = 0; i < n_strings; i++)
    values[i] = (HtAttributeString) { strings[i].data ? (char *) strings[i].data : (char *) "", strings[i].len };
  return ht_attribute_new_strings (context->name, values, n_strings);
}

/* The attribute, and the field of the message that its value was in; 0: the whole message was. */
static HtAttribute *
read_value (const Context *context, Onnx__AttributeProto *proto, guint32 *field, GError **error)
{
  const char *name = context->name;
  g_autoptr (GBytes) bytes = NULL;
  switch (attribute_type (proto))
    {
    case HT_ATTRIBUTE_FLOAT:
      *field = FIELD_F;
      return ht_attribute_new_float (name, proto->f);
    case HT_ATTRIBUTE_INT:
      *field = FIELD_I;
      return ht_attribute_new_int (name, proto->i);
    case HT_ATTRIBUTE_STRING:
      *field = FIELD_S;
      return ht_attribute_new_string (name, proto->s.data ? (const char *) proto->s.data : "", proto->s.len);
    case HT_ATTRIBUTE_TENSOR:
      *field = FIELD_T;
      return proto->t ? read_tensors (context, FALSE, &proto->t, 1, error)
                      : refuse (context, "it says that it is a tensor, but holds none", error);
    case HT_ATTRIBUTE_GRAPH:
      *field = FIELD_G;
      return proto->g ? read_graphs (context, FALSE, &proto->g, 1, error)
                      : refuse (context, "it says that it is a graph, but holds none", error);
    case HT_ATTRIBUTE_FLOATS:
      *field = FIELD_FLOATS;
      return ht_attribute_new_floats (name, proto->floats, proto->n_floats);
    case HT_ATTRIBUTE_INTS:
      *field = FIELD_INTS;
      return ht_attribute_new_ints (name, proto->ints, proto->n_ints);
    case HT_ATTRIBUTE_STRINGS:
      *field = FIELD_STRINGS;
      return read_strings (context, proto->strings, proto->n_strings);
    case HT_ATTRIBUTE_TENSORS:
      *field = FIELD_TENSORS;
      return read_tensors (context, TRUE, proto->tensors, proto->n_tensors, error);
    case HT_ATTRIBUTE_GRAPHS:
      *field = FIELD_GRAPHS;
      return read_graphs (context, TRUE, proto->graphs, proto->n_graphs, error);
    default:
      *field = 0;
      if (!ht_message_pack_carried (proto, context->external, &bytes, error))
        return NULL;
      return ht_attribute_new_opaque (name, bytes);
    }
}

/* Whatever else than name, type and value the message has; of a tensor its own rest too. Mostly there is nothing. */
static gboolean
read_rest (const Context *context, Onnx__AttributeProto *proto, guint32 field, HtAttribute *attribute, GError **error)
{
  const guint32 taken[] = { FIELD_NAME, FIELD_TYPE, field, 0 };
  g_autofree Onnx__AttributeProto *rest = ht_message_without (proto, taken);
  g_autofree Onnx__TensorProto *tensor_rest = NULL;
  if (field == FIELD_T && protobuf_c_message_get_packed_size (&proto->t->base) > 0)
    {
      g_autoptr (GBytes) packed = ht_read_tensor_rest (proto->t, TRUE);
      if (packed)
        rest->t = tensor_rest = ht_message_without (proto->t, tensor_content);
    }
  g_autoptr (GBytes) bytes = NULL;
  if (!ht_message_pack_carried (rest, context->external, &bytes, error))
    return FALSE;
  if (bytes)
    ht_attribute_set_extra (attribute, bytes);
  return TRUE;
}

gboolean
ht_read_attributes (HtGraph *graph, HtNode *node, Onnx__NodeProto *proto, HtExternalData *external, GError **error)
{
  for (gsize i = 0; i < proto->n_attribute; i++)
    {
      Onnx__AttributeProto *message = proto->attribute[i];
      Context context = { graph, node, external, message->name ? message->name : "" };
      if (*context.name == '\0' || ht_node_find_attribute (node, context.name))
        return refuse (&context, *context.name ? "it is given twice" : "it has no name", error) != NULL;
      guint32 field;
      g_autoptr (HtAttribute) attribute = read_value (&context, message, &field, error);
      if (!attribute || (field != 0 && !read_rest (&context, message, field, attribute, error)))
        return FALSE;
      ht_graph_take_attribute (graph, node, g_steal_pointer (&attribute));
    }
  return TRUE;
}
