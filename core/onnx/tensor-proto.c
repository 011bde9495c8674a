/* SPDX-License-Identifier: MIT */
#include "onnx/tensor-proto.h"
#include "base/map-file.h"

#include "graph/tensor-private.h"
#include "onnx/wire-scan.h"

#include <halftone/error.h>
#include <stdlib.h>
#include <string.h>

/* Raw data and external files are little-endian, as the memory of every machine this library is built for. */
G_STATIC_ASSERT (G_BYTE_ORDER == G_LITTLE_ENDIAN);

/* Which of the typed fields holds the values of a type. */
typedef enum
{
  FIELD_FLOAT,
  FIELD_INT32,
  FIELD_STRING,
  FIELD_INT64,
  FIELD_DOUBLE,
  FIELD_UINT64,
  N_FIELDS
} Field;

static const char *const field_names[N_FIELDS] = { "float_data", "int32_data",  "string_data",
                                                   "int64_data", "double_data", "uint64_data" };

static void
count_fields (const Onnx__TensorProto *proto, gsize counts[N_FIELDS])
{
  counts[FIELD_FLOAT] = proto->n_float_data;
  counts[FIELD_INT32] = proto->n_int32_data;
  counts[FIELD_STRING] = proto->n_string_data;
  counts[FIELD_INT64] = proto->n_int64_data;
  counts[FIELD_DOUBLE] = proto->n_double_data;
  counts[FIELD_UINT64] = proto->n_uint64_data;
}

static Field
field_of_type (HtDataType type)
{
  switch (type)
    {
    case HT_DATA_TYPE_FLOAT:
    case HT_DATA_TYPE_COMPLEX64:
      return FIELD_FLOAT;
    case HT_DATA_TYPE_STRING:
      return FIELD_STRING;
    case HT_DATA_TYPE_INT64:
      return FIELD_INT64;
    case HT_DATA_TYPE_DOUBLE:
    case HT_DATA_TYPE_COMPLEX128:
      return FIELD_DOUBLE;
    case HT_DATA_TYPE_UINT32:
    case HT_DATA_TYPE_UINT64:
      return FIELD_UINT64;
    default:
      return FIELD_INT32;
    }
}

G_GNUC_PRINTF (3, 4)
static HtTensor *
refuse (const char *what, GError **error, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *problem = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "Loading tensor '%s': %s", what, problem);
  return NULL;
}

/* Elements and bytes by the type and the dimensions. */
static gboolean
measure (const Onnx__TensorProto *proto, const char *what, gsize *n_elements, gsize *size, GError **error)
{
  *n_elements = *size = 0;
  if (proto->data_type == HT_DATA_TYPE_UNDEFINED)
    return refuse (what, error, "it has no element type") != NULL;
  guint n_dims = (guint) MIN (proto->n_dims, G_MAXUINT);
  if (ht_tensor_check_dims ((HtDataType) proto->data_type, proto->dims, n_dims, n_elements, size, error))
    return TRUE;
  g_prefix_error (error, "Loading tensor '%s': ", what);
  return FALSE;
}

/* What an int32_data entry may hold for a type; packed types come a byte to the entry. */
static void
int32_limits (HtDataType type, gint32 *lowest, gint32 *highest)
{
  guint bits = MAX (ht_data_type_get_bits (type), 8);
  gboolean is_signed = type == HT_DATA_TYPE_INT8 || type == HT_DATA_TYPE_INT16;
  *lowest = is_signed ? -(1 << (bits - 1)) : 0;
  *highest = is_signed ? (1 << (bits - 1)) - 1 : (gint32) ((1u << bits) - 1);
  if (ht_data_type_get_bits (type) < 8)
    *lowest = -128;
}

static gboolean
narrow_int32 (const Onnx__TensorProto *proto, HtTensor *tensor, const char *what, GError **error)
{
  HtDataType type = ht_tensor_get_data_type (tensor);
  gsize n = proto->n_int32_data;
  gpointer data = ht_tensor_get_writable_data (tensor);
  if (type == HT_DATA_TYPE_INT32)
    {
      memcpy (data, proto->int32_data, n * sizeof (gint32));
      return TRUE;
    }
  gint32 lowest, highest;
  int32_limits (type, &lowest, &highest);
  gboolean wide = ht_data_type_get_bits (type) == 16;
  for (gsize i = 0; i < n; i++)
    {
      gint32 value = proto->int32_data[i];
      if (value < lowest || value > highest)
        {
          refuse (what, error, "element %" G_GSIZE_FORMAT " is %d, no %s", i, value, ht_data_type_get_name (type));
          return FALSE;
        }
      if (type == HT_DATA_TYPE_BOOL)
        value = value != 0;
      if (wide)
        ((guint16 *) data)[i] = (guint16) value;
      else
        ((guint8 *) data)[i] = (guint8) value;
    }
  return TRUE;
}

static gboolean
narrow_uint64 (const Onnx__TensorProto *proto, HtTensor *tensor, const char *what, GError **error)
{
  gsize n = proto->n_uint64_data;
  gpointer data = ht_tensor_get_writable_data (tensor);
  if (ht_tensor_get_data_type (tensor) == HT_DATA_TYPE_UINT64)
    {
      memcpy (data, proto->uint64_data, n * sizeof (guint64));
      return TRUE;
    }
  for (gsize i = 0; i < n; i++)
    {
      if (proto->uint64_data[i] > G_MAXUINT32)
        {
          refuse (what, error, "element %" G_GSIZE_FORMAT " is %" G_GUINT64_FORMAT ", no uint32", i,
                  proto->uint64_data[i]);
          return FALSE;
        }
      ((guint32 *) data)[i] = (guint32) proto->uint64_data[i];
    }
  return TRUE;
}

static HtTensor *
from_strings (const Onnx__TensorProto *proto, const char *what, GError **error)
{
  g_autoptr (GPtrArray) strings = g_ptr_array_new_with_free_func (g_free);
  for (gsize i = 0; i < proto->n_string_data; i++)
    {
      const ProtobufCBinaryData *text = &proto->string_data[i];
      if (text->len > 0 && memchr (text->data, 0, text->len))
        return refuse (what, error, "string %" G_GSIZE_FORMAT " contains a zero byte", i);
      g_ptr_array_add (strings, g_strndup ((const char *) text->data, text->len));
    }
  g_ptr_array_add (strings, NULL);
  return ht_tensor_new_strings ((const char *const *) strings->pdata, proto->dims, (guint) proto->n_dims, error);
}

/* `count` has been checked: the memory is no larger than what the file holds. */
static HtTensor *
from_typed (const Onnx__TensorProto *proto, Field field, const char *what, GError **error)
{
  if (field == FIELD_STRING)
    return from_strings (proto, what, error);
  g_autoptr (HtTensor) tensor
      = ht_tensor_new ((HtDataType) proto->data_type, proto->dims, (guint) proto->n_dims, error);
  if (!tensor)
    return NULL;
  gsize size = ht_tensor_get_size (tensor);
  if (size == 0)
    return g_steal_pointer (&tensor);
  switch (field)
    {
    case FIELD_INT32:
      if (!narrow_int32 (proto, tensor, what, error))
        return NULL;
      break;
    case FIELD_UINT64:
      if (!narrow_uint64 (proto, tensor, what, error))
        return NULL;
      break;
    case FIELD_FLOAT:
      memcpy (ht_tensor_get_writable_data (tensor), proto->float_data, size);
      break;
    case FIELD_INT64:
      memcpy (ht_tensor_get_writable_data (tensor), proto->int64_data, size);
      break;
    default:
      memcpy (ht_tensor_get_writable_data (tensor), proto->double_data, size);
      break;
    }
  return g_steal_pointer (&tensor);
}

static HtTensor *
from_raw (Onnx__TensorProto *proto, gsize size, const char *what, GError **error)
{
  if (proto->raw_data.len != size)
    return refuse (what, error, "it holds %" G_GSIZE_FORMAT " bytes, its type and dimensions take %" G_GSIZE_FORMAT,
                   proto->raw_data.len, size);
  g_autoptr (GBytes) bytes = g_bytes_new_with_free_func (proto->raw_data.data, size, free, proto->raw_data.data);
  proto->raw_data = (ProtobufCBinaryData) { 0 };
  proto->has_raw_data = FALSE;
  return ht_tensor_new_from_bytes ((HtDataType) proto->data_type, proto->dims, (guint) proto->n_dims, bytes, error);
}

HtTensor *
ht_tensor_from_proto (Onnx__TensorProto *proto, HtExternalData *external, const char *what, GError **error)
{
  gsize n_elements, size;
  if (!measure (proto, what, &n_elements, &size, error))
    return NULL;
  if (proto->segment)
    return refuse (what, error, "it is stored in segments, which no writer of today's models uses");
  HtDataType type = (HtDataType) proto->data_type;
  Field field = field_of_type (type);
  gsize counts[N_FIELDS];
  count_fields (proto, counts);
  gboolean raw = proto->raw_data.len > 0;
  gboolean is_external = proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
  for (Field i = 0; i < N_FIELDS; i++)
    if (counts[i] > 0 && (raw || is_external || i != field))
      return refuse (what, error, "a %s tensor has values in %s%s", ht_data_type_get_name (type), field_names[i],
                     raw ? " beside raw data" : "");
  if (is_external && raw)
    return refuse (what, error, "it has values inside the model and in an external file");
  if ((is_external || raw) && type == HT_DATA_TYPE_STRING)
    return refuse (what, error, "strings cannot be stored as raw data");
  if (is_external)
    {
      g_autoptr (GBytes) bytes = ht_external_data_get (external, proto, size, what, error);
      return bytes ? ht_tensor_new_from_bytes (type, proto->dims, (guint) proto->n_dims, bytes, error) : NULL;
    }
  if (raw)
    return from_raw (proto, size, what, error);
  gsize entries = n_elements;
  if (type == HT_DATA_TYPE_COMPLEX64 || type == HT_DATA_TYPE_COMPLEX128)
    entries *= 2;
  else if (field == FIELD_INT32 && ht_data_type_get_bits (type) < 8)
    entries = size;
  if (counts[field] != entries)
    return refuse (what, error, "it has %" G_GSIZE_FORMAT " values in %s, its dimensions take %" G_GSIZE_FORMAT,
                   counts[field], field_names[field], entries);
  return from_typed (proto, field, what, error);
}

HtTensor *
ht_tensor_load_pb (const char *path, char **name, GError **error)
{
  g_autoptr (GBytes) bytes = ht_map_file (path, "tensor", error);
  if (!bytes)
    return NULL;
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);
  Onnx__TensorProto *proto
      = (Onnx__TensorProto *) ht_wire_unpack (data, size, &onnx__tensor_proto__descriptor, path, bytes, error);
  if (!proto)
    return NULL;
  g_autofree char *folder = g_path_get_dirname (path);
  g_autoptr (HtExternalData) external = ht_external_data_new (folder);
  HtTensor *tensor = ht_tensor_from_proto (proto, external, proto->name ? proto->name : path, error);
  if (name)
    *name = tensor ? g_strdup (proto->name ? proto->name : "") : NULL;
  onnx__tensor_proto__free_unpacked (proto, NULL);
  return tensor;
}
