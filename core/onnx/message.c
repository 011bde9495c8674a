/* SPDX-License-Identifier: MIT */
#include "onnx/message.h"

#include "graph/tensor-private.h"

#include <halftone/error.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE (64 * 1024)

struct _HtArena
{
  GPtrArray *blocks;
  guint8 *free;
  gsize n_free;
};

HtArena *
ht_arena_new (void)
{
  HtArena *self = g_new0 (HtArena, 1);
  self->blocks = g_ptr_array_new_with_free_func (g_free);
  return self;
}

void
ht_arena_free (HtArena *self)
{
  g_ptr_array_unref (self->blocks);
  g_free (self);
}

gpointer
ht_arena_alloc (HtArena *self, gsize size)
{
  size = (MAX (size, 1) + 15) & ~(gsize) 15;
  if (size > BLOCK_SIZE / 4)
    {
      gpointer own = g_malloc0 (size);
      g_ptr_array_add (self->blocks, own);
      return own;
    }
  if (size > self->n_free)
    {
      self->free = g_malloc0 (BLOCK_SIZE);
      self->n_free = BLOCK_SIZE;
      g_ptr_array_add (self->blocks, self->free);
    }
  gpointer memory = self->free;
  self->free += size;
  self->n_free -= size;
  return memory;
}

gpointer
ht_arena_alloc_array (HtArena *self, gsize n, gsize size)
{
  return ht_arena_alloc (self, n * size);
}

char *
ht_arena_strdup (HtArena *self, const char *text)
{
  gsize size = strlen (text) + 1;
  return memcpy (ht_arena_alloc (self, size), text, size);
}

static void *
allocate_in_arena (void *arena, size_t size)
{
  return ht_arena_alloc (arena, size);
}

static void
free_nothing (void *arena, void *memory)
{
}

gpointer
ht_arena_message (HtArena *self, const ProtobufCMessageDescriptor *type, GBytes *carried)
{
  if (carried)
    {
      ProtobufCAllocator allocator = { allocate_in_arena, free_nothing, self };
      gsize size;
      const guint8 *data = g_bytes_get_data (carried, &size);
      ProtobufCMessage *message = protobuf_c_message_unpack (type, &allocator, size, data);
      if (message)
        return message;
    }
  ProtobufCMessage *message = ht_arena_alloc (self, type->sizeof_message);
  protobuf_c_message_init (type, message);
  return message;
}

GBytes *
ht_message_pack (const ProtobufCMessage *message)
{
  gsize size = protobuf_c_message_get_packed_size (message);
  guint8 *data = g_malloc (MAX (size, 1));
  protobuf_c_message_pack (message, data);
  return g_bytes_new_take (data, size);
}

gboolean
ht_message_equal (const ProtobufCMessage *a, const ProtobufCMessage *b)
{
  g_autoptr (GBytes) bytes_a = ht_message_pack (a);
  g_autoptr (GBytes) bytes_b = ht_message_pack (b);
  return g_bytes_equal (bytes_a, bytes_b);
}

static void
hide_field (ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
  guint8 *quantifier = (guint8 *) message + field->quantifier_offset;
  guint8 *member = (guint8 *) message + field->offset;
  if (field->label == PROTOBUF_C_LABEL_REPEATED)
    *(size_t *) quantifier = 0;
  else if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE)
    *(void **) member = NULL;
  else
    *(protobuf_c_boolean *) quantifier = 0;
}

/* A tensor in a part of the model that is carried along as it is: its values move from the external file into it. */
static gboolean
embed_tensor (Onnx__TensorProto *proto, HtExternalData *external, GError **error)
{
  if (!proto->has_data_location || proto->data_location != ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
    return TRUE;
  const char *what = proto->name ? proto->name : "";
  gsize n_elements, size;
  guint n_dims = (guint) MIN (proto->n_dims, G_MAXUINT);
  if (!ht_tensor_check_dims ((HtDataType) proto->data_type, proto->dims, n_dims, &n_elements, &size, error))
    {
      g_prefix_error (error, "Loading tensor '%s': ", what);
      return FALSE;
    }
  g_autoptr (GBytes) bytes = ht_external_data_get (external, proto, size, what, error);
  if (!bytes)
    return FALSE;
  guint8 *copy = malloc (MAX (size, 1));
  if (!copy)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NO_MEMORY,
                   "Loading tensor '%s': no memory for its %" G_GSIZE_FORMAT " bytes", what, size);
      return FALSE;
    }
  memcpy (copy, g_bytes_get_data (bytes, NULL), size);
  free (proto->raw_data.data);
  proto->raw_data = (ProtobufCBinaryData) { .len = size, .data = copy };
  proto->has_raw_data = TRUE;
  proto->has_data_location = FALSE;
  proto->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__DEFAULT;
  for (gsize i = 0; i < proto->n_external_data; i++)
    onnx__string_string_entry_proto__free_unpacked (proto->external_data[i], NULL);
  proto->n_external_data = 0;
  free (proto->external_data);
  proto->external_data = NULL;
  return TRUE;
}

/* The scan has bounded the nesting. */
static gboolean
embed_external (ProtobufCMessage *message, HtExternalData *external, GError **error)
{
  if (message->descriptor == &onnx__tensor_proto__descriptor)
    return embed_tensor ((Onnx__TensorProto *) message, external, error);
  for (unsigned i = 0; i < message->descriptor->n_fields; i++)
    {
      const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
      if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        continue;
      guint8 *quantifier = (guint8 *) message + field->quantifier_offset;
      ProtobufCMessage **members = (ProtobufCMessage **) ((guint8 *) message + field->offset);
      gsize n_members = 1;
      if (field->label == PROTOBUF_C_LABEL_REPEATED)
        {
          n_members = *(size_t *) quantifier;
          members = *(ProtobufCMessage ***) members;
        }
      else if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        n_members = *(guint32 *) quantifier == field->id;
      for (gsize j = 0; j < n_members; j++)
        if (members[j] && !embed_external (members[j], external, error))
          return FALSE;
    }
  return TRUE;
}

gpointer
ht_message_without (gconstpointer message, const guint32 *taken)
{
  const ProtobufCMessageDescriptor *type = ((const ProtobufCMessage *) message)->descriptor;
  ProtobufCMessage *copy = g_memdup2 (message, type->sizeof_message);
  for (; *taken; taken++)
    hide_field (copy, protobuf_c_message_descriptor_get_field (type, *taken));
  return copy;
}

gboolean
ht_message_pack_carried (gpointer message, HtExternalData *external, GBytes **bytes, GError **error)
{
  *bytes = NULL;
  if (!embed_external (message, external, error))
    return FALSE;
  *bytes = ht_message_pack (message);
  if (g_bytes_get_size (*bytes) == 0)
    g_clear_pointer (bytes, g_bytes_unref);
  return TRUE;
}
