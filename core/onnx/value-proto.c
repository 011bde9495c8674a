/* SPDX-License-Identifier: MIT */
#include "onnx/value-proto.h"

#include "base/map-file.h"
#include "onnx/tensor-proto.h"
#include "onnx/wire-scan.h"

#include <halftone/error.h>

typedef struct
{
  const char *path;
  HtExternalData *external;
} Context;

static HtTensor *from_optional (const Context *context, Onnx__OptionalProto *proto, GError **error);

static gboolean
refuse_kind (const Context *context, const char *list, gint32 kind, GError **error)
{
  g_set_error (
      error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
      "Loading '%s': %s holds values of kind %d; tensors (1), sequences (3) and optional values (5) can be read",
      context->path, list, kind);
  return FALSE;
}

static HtTensor *
from_sequence (const Context *context, Onnx__SequenceProto *proto, GError **error)
{
  g_autoptr (GPtrArray) elements = g_ptr_array_new_with_free_func ((GDestroyNotify)ht_tensor_unref);
  gint32 kind = proto->elem_type;
  gsize n = 0;

  if (kind == ONNX__SEQUENCE_PROTO__DATA_TYPE__TENSOR)
    n = proto->n_tensor_values;
  else if (kind == ONNX__SEQUENCE_PROTO__DATA_TYPE__SEQUENCE)
    n = proto->n_sequence_values;
  else if (kind == ONNX__SEQUENCE_PROTO__DATA_TYPE__OPTIONAL)
    n = proto->n_optional_values;
  else if (!refuse_kind (context, "the sequence", kind, error))
    return NULL;
  for (gsize i = 0; i < n; i++)
    {
      HtTensor *element = NULL;
      if (kind == ONNX__SEQUENCE_PROTO__DATA_TYPE__TENSOR)
        element = ht_tensor_from_proto (proto->tensor_values[i], context->external, context->path, error);
      else if (kind == ONNX__SEQUENCE_PROTO__DATA_TYPE__SEQUENCE)
        element = from_sequence (context, proto->sequence_values[i], error);
      else
        element = from_optional (context, proto->optional_values[i], error);
      if (element == NULL)
        return NULL;
      g_ptr_array_add (elements, element);
    }
  return ht_tensor_new_list (HT_DATA_TYPE_SEQUENCE, (HtTensor *const *)elements->pdata, elements->len, error);
}

/* One without a value, whatever its kind, is empty. */
static HtTensor *
from_optional (const Context *context, Onnx__OptionalProto *proto, GError **error)
{
  g_autoptr (HtTensor) element = NULL;
  gint32 kind = proto->elem_type;
  gboolean empty = FALSE;

  if (kind == ONNX__SEQUENCE_PROTO__DATA_TYPE__TENSOR && proto->tensor_value)
    element = ht_tensor_from_proto (proto->tensor_value, context->external, context->path, error);
  else if (kind == ONNX__SEQUENCE_PROTO__DATA_TYPE__SEQUENCE && proto->sequence_value)
    element = from_sequence (context, proto->sequence_value, error);
  else if (kind == ONNX__SEQUENCE_PROTO__DATA_TYPE__OPTIONAL && proto->optional_value)
    element = from_optional (context, proto->optional_value, error);
  else if (kind == ONNX__SEQUENCE_PROTO__DATA_TYPE__SPARSE_TENSOR || kind == ONNX__SEQUENCE_PROTO__DATA_TYPE__MAP)
    refuse_kind (context, "the optional value", kind, error);
  else
    empty = TRUE;
  return element || empty ? ht_tensor_new_list (HT_DATA_TYPE_OPTIONAL, &element, element != NULL, error) : NULL;
}

HtTensor *
ht_value_load_pb (const char *path, HtDataType type, GError **error)
{
  gboolean optional = type == HT_DATA_TYPE_OPTIONAL;
  gsize size;

  if (!optional && type != HT_DATA_TYPE_SEQUENCE)
    return ht_tensor_load_pb (path, NULL, error);
  g_autoptr (GBytes) bytes = ht_map_file (path, "value", error);
  if (!bytes)
    return NULL;
  const guint8 *data = g_bytes_get_data (bytes, &size);
  const ProtobufCMessageDescriptor *descriptor
      = optional ? &onnx__optional_proto__descriptor : &onnx__sequence_proto__descriptor;
  ProtobufCMessage *message = ht_wire_unpack (data, size, descriptor, path, bytes, error);
  if (!message)
    return NULL;
  g_autofree char *folder = g_path_get_dirname (path);
  g_autoptr (HtExternalData) external = ht_external_data_new (folder);
  Context context = { path, external };
  HtTensor *value = optional ? from_optional (&context, (Onnx__OptionalProto *)message, error)
                             : from_sequence (&context, (Onnx__SequenceProto *)message, error);
  protobuf_c_message_free_unpacked (message, NULL);
  return value;
}
