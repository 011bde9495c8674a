/* SPDX-License-Identifier: MIT */
#include "onnx/wire-scan.h"

#include "base/map-file.h"

#include <halftone/error.h>
#include <stdlib.h>
#include <string.h>

/* What unpacking may take: generous for any file that a tool writes (a message of 30 bytes becomes some 500), and a
 * bound on what a hostile one can ask for (an empty message of 2 bytes becomes some 300). */
#define BUDGET_BASE      (G_GUINT64_CONSTANT (64) << 20)
#define BUDGET_PER_BYTE  64
#define ALLOCATION_COST  16 /* bookkeeping of one heap block */
#define SCANNED_COST     40 /* the unpacker's note of one field */
#define MAX_FIELD_NUMBER ((1u << 29) - 1)

typedef struct
{
  const ProtobufCMessageDescriptor *type;
  gsize end;
  guint64 seen; /* bit i: the submessage in field i, which may come once only, has come */
} Frame;

typedef struct
{
  const guint8 *data;
  gsize position;
  const char *what;
  guint64 memory;
  guint64 budget;
  guint depth;
  Frame frames[HT_WIRE_MAX_DEPTH];
} Scan;

G_GNUC_PRINTF (4, 5)
static gboolean
fail (const Scan *scan, gsize offset, GError **error, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *problem = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_MODEL,
               "Reading '%s': %s at byte %" G_GSIZE_FORMAT "; the file is damaged or no ONNX file", scan->what, problem,
               offset);
  return FALSE;
}

static gboolean
read_varint (Scan *scan, gsize end, guint max_bytes, guint64 *value, GError **error)
{
  gsize start = scan->position;
  *value = 0;
  for (guint i = 0; i < max_bytes; i++)
    {
      if (scan->position >= end)
        return fail (scan, start, error, "a number runs past the end of its message");
      guint8 byte = scan->data[scan->position++];
      *value |= (guint64) (byte & 0x7f) << (7 * i);
      if (!(byte & 0x80))
        return TRUE;
    }
  return fail (scan, start, error, "a number is longer than %u bytes", max_bytes);
}

static gboolean
charge (Scan *scan, guint64 bytes, gsize offset, GError **error)
{
  scan->memory += bytes;
  if (scan->memory > scan->budget)
    return fail (scan, offset, error,
                 "more elements than a file of this size may hold (unpacking would take over %" G_GUINT64_FORMAT
                 " MiB)",
                 scan->budget >> 20);
  return TRUE;
}

static guint
element_size (ProtobufCType type)
{
  switch (type)
    {
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
      return 4;
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
      return 8;
    default:
      return 0;
    }
}

static ProtobufCWireType
expected_wire_type (ProtobufCType type)
{
  if (type == PROTOBUF_C_TYPE_STRING || type == PROTOBUF_C_TYPE_BYTES || type == PROTOBUF_C_TYPE_MESSAGE)
    return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
  switch (element_size (type))
    {
    case 4:
      return PROTOBUF_C_WIRE_TYPE_32BIT;
    case 8:
      return PROTOBUF_C_WIRE_TYPE_64BIT;
    default:
      return PROTOBUF_C_WIRE_TYPE_VARINT;
    }
}

/* Numbers one behind the other in one length-prefixed field. */
static gboolean
scan_packed (Scan *scan, const ProtobufCFieldDescriptor *field, gsize length, GError **error)
{
  gsize start = scan->position;
  gsize end = start + length;
  guint size = element_size (field->type);
  if (size != 0)
    {
      if (length % size != 0)
        return fail (scan, start, error, "field '%s' holds %" G_GSIZE_FORMAT " bytes, no multiple of %u", field->name,
                     length, size);
      scan->position = end;
      return charge (scan, length, start, error);
    }
  guint64 value;
  gsize n_values = 0;
  for (; scan->position < end; n_values++)
    if (!read_varint (scan, end, 10, &value, error))
      return FALSE;
  return charge (scan, 8 * (guint64) n_values, start, error);
}

static gboolean
scan_text (Scan *scan, const ProtobufCFieldDescriptor *field, gsize length, GError **error)
{
  const char *text = (const char *) scan->data + scan->position;
  const char *end;
  /* Also stops at a zero byte, which a C string could not carry. */
  if (!g_utf8_validate_len (text, length, &end))
    return fail (scan, scan->position + (gsize) (end - text), error, "field '%s' is no UTF-8 text", field->name);
  return TRUE;
}

static gboolean
enter_message (Scan *scan, const ProtobufCFieldDescriptor *field, gsize length, GError **error)
{
  Frame *parent = &scan->frames[scan->depth - 1];
  guint index = (guint) (field - parent->type->fields);
  const ProtobufCMessageDescriptor *type = field->descriptor;
  if (field->label != PROTOBUF_C_LABEL_REPEATED && index < 64)
    {
      /* Merging copies of a submessage is quadratic, and no writer of models makes them. */
      if (parent->seen & (G_GUINT64_CONSTANT (1) << index))
        return fail (scan, scan->position, error, "field '%s' is given a second time", field->name);
      parent->seen |= G_GUINT64_CONSTANT (1) << index;
    }
  if (scan->depth == HT_WIRE_MAX_DEPTH)
    return fail (scan, scan->position, error, "messages are nested more than %d deep", HT_WIRE_MAX_DEPTH);
  scan->frames[scan->depth++] = (Frame) { .type = type, .end = scan->position + length };
  return charge (scan, type->sizeof_message + ALLOCATION_COST, scan->position, error);
}

static gboolean
scan_length_prefixed (Scan *scan, const ProtobufCFieldDescriptor *field, gsize end, GError **error)
{
  gsize start = scan->position;
  guint64 length;
  if (!read_varint (scan, end, 5, &length, error))
    return FALSE;
  if (length > G_MAXINT32 || length > end - scan->position)
    return fail (scan, start, error, "a length of %" G_GUINT64_FORMAT " where %" G_GSIZE_FORMAT " bytes are left",
                 length, end - scan->position);
  if (field && field->type == PROTOBUF_C_TYPE_MESSAGE)
    return enter_message (scan, field, length, error);
  if (field && expected_wire_type (field->type) != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
    return scan_packed (scan, field, length, error);
  if (field && field->type == PROTOBUF_C_TYPE_STRING && !scan_text (scan, field, length, error))
    return FALSE;
  scan->position += length;
  return charge (scan, length + 1 + ALLOCATION_COST, start, error);
}

static gboolean
scan_field (Scan *scan, const Frame *frame, GError **error)
{
  gsize start = scan->position;
  gsize end = frame->end;
  guint64 key;
  if (!read_varint (scan, end, 5, &key, error))
    return FALSE;
  if (key >> 3 == 0 || key >> 3 > MAX_FIELD_NUMBER)
    return fail (scan, start, error, "field number %" G_GUINT64_FORMAT " of a %s is out of range", key >> 3,
                 frame->type->short_name);
  const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field (frame->type, (unsigned) (key >> 3));
  guint wire_type = key & 7;
  if (field)
    {
      guint expected = expected_wire_type (field->type);
      gboolean packed = field->label == PROTOBUF_C_LABEL_REPEATED && wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
      if (wire_type != expected && !packed)
        return fail (scan, start, error, "field '%s' of a %s has wire type %u instead of %u", field->name,
                     frame->type->short_name, wire_type, expected);
    }
  if (!charge (scan, SCANNED_COST + (field && field->label == PROTOBUF_C_LABEL_REPEATED ? 16 : 0), start, error))
    return FALSE;
  guint64 value;
  gsize fixed = wire_type == PROTOBUF_C_WIRE_TYPE_64BIT ? 8 : 4;
  switch (wire_type)
    {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
      return read_varint (scan, end, 10, &value, error);
    case PROTOBUF_C_WIRE_TYPE_64BIT:
    case PROTOBUF_C_WIRE_TYPE_32BIT:
      if (end - scan->position < fixed)
        return fail (scan, start, error, "a number runs past the end of its message");
      scan->position += fixed;
      return TRUE;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
      return scan_length_prefixed (scan, field, end, error);
    default:
      return fail (scan, start, error, "field %" G_GUINT64_FORMAT " of a %s has the unsupported wire type %u", key >> 3,
                   frame->type->short_name, wire_type);
    }
}

gboolean
ht_wire_scan (const guint8 *data, gsize size, const ProtobufCMessageDescriptor *type, const char *what, GError **error)
{
  g_autofree Scan *scan = g_new0 (Scan, 1);
  scan->data = data;
  scan->what = what;
  scan->budget = BUDGET_BASE + BUDGET_PER_BYTE * (guint64) size;
  if (size > G_MAXINT32)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_LIMIT_EXCEEDED,
                   "Reading '%s': %" G_GSIZE_FORMAT " bytes are more than the 2 GiB an ONNX file may have; store the "
                   "weights as external data",
                   what, size);
      return FALSE;
    }
  scan->frames[scan->depth++] = (Frame) { .type = type, .end = size };
  while (scan->depth > 0)
    {
      const Frame *frame = &scan->frames[scan->depth - 1];
      if (scan->position == frame->end)
        scan->depth--;
      else if (!scan_field (scan, frame, error))
        return FALSE;
    }
  return TRUE;
}

/* Pages of a mapped file that were read stay with the process: a model would be in memory twice, as the file and as
 * what is unpacked from it. Before each large field those read so far go back; they can be read again. */
#define LARGE_FIELD ((gsize)1 << 18)

static void *
allocate (void *source, size_t size)
{
  if (source && size >= LARGE_FIELD)
    ht_map_let_go (source);
  return malloc (size);
}

static void
release (void *source, void *memory)
{
  free (memory);
}

ProtobufCMessage *
ht_wire_unpack (const guint8 *data, gsize size, const ProtobufCMessageDescriptor *type, const char *what,
                GBytes *mapped, GError **error)
{
  ProtobufCAllocator allocator = { allocate, release, mapped };

  if (!ht_wire_scan (data, size, type, what, error))
    return NULL;
  ProtobufCMessage *message = protobuf_c_message_unpack (type, &allocator, size, data);
  if (!message)
    g_set_error (error, HT_ERROR, HT_ERROR_INVALID_MODEL,
                 "Reading '%s': its %" G_GSIZE_FORMAT " bytes cannot be unpacked as a %s; the file is damaged, or "
                 "memory is short",
                 what, size, type->short_name);
  return message;
}
