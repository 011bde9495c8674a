/* SPDX-License-Identifier: MIT */
#include "onnx/writer.h"
#include "onnx/message-builder.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <halftone/error.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EXTERNAL_MIN_SIZE 1024 /* smaller tensors stay in the model: shapes are read without the other file */
#define ALIGNMENT         64
#define PAGE_ALIGNMENT    4096 /* of tensors that a reader may want to map by themselves */
#define PAGE_MIN_SIZE     (1 << 20)

/* ---- A file under a temporary name ---- */

typedef struct
{
  ProtobufCBuffer base;
  FILE *file;
  char *path;
  char *temporary;
  guint64 position;
} Output;

static gboolean
output_fail (const Output *output, GError **error)
{
  int code = errno;
  g_set_error (error, HT_ERROR, HT_ERROR_FAILED, "Writing '%s': %s; nothing was changed", output->path,
               g_strerror (code));
  return FALSE;
}

/* Removes the temporary file where it has not been renamed. */
static void
output_clear (Output *output)
{
  if (output->file)
    fclose (output->file);
  if (output->temporary)
    g_unlink (output->temporary);
  g_free (output->temporary);
  g_free (output->path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Output, output_clear)

/* Failures stay in the stream and are seen at its end. */
static void
output_append (ProtobufCBuffer *buffer, size_t size, const uint8_t *data)
{
  Output *output = (Output *) buffer;
  output->position += fwrite (data, 1, size, output->file);
}

static gboolean
output_open (Output *output, const char *path, GError **error)
{
  output->base.append = output_append;
  output->path = g_strdup (path);
  /* Renaming would fail, but only after the other file has been replaced. */
  if (g_file_test (path, G_FILE_TEST_IS_DIR))
    {
      errno = EISDIR;
      return output_fail (output, error);
    }
  output->temporary = g_strconcat (path, ".XXXXXX", NULL);
  int descriptor = g_mkstemp_full (output->temporary, O_RDWR | O_CLOEXEC, 0666);
  if (descriptor < 0)
    {
      output_fail (output, error);
      g_clear_pointer (&output->temporary, g_free);
      return FALSE;
    }
  output->file = fdopen (descriptor, "wb");
  if (output->file)
    return TRUE;
  output_fail (output, error);
  close (descriptor);
  return FALSE;
}

static gboolean
output_close (Output *output, GError **error)
{
  gboolean failed = fflush (output->file) != 0 || ferror (output->file);
  if (failed)
    return output_fail (output, error);
  FILE *file = g_steal_pointer (&output->file);
  return fclose (file) == 0 || output_fail (output, error);
}

static gboolean
output_rename (Output *output, GError **error)
{
  if (g_rename (output->temporary, output->path) != 0)
    return output_fail (output, error);
  g_clear_pointer (&output->temporary, g_free);
  return TRUE;
}

/* ---- External data ---- */

typedef struct
{
  HtArena *arena;
  const char *location;
  Output *output;
} External;

static void
add_entry (External *self, Onnx__TensorProto *proto, const char *key, const char *value)
{
  Onnx__StringStringEntryProto *entry
      = ht_arena_message (self->arena, &onnx__string_string_entry_proto__descriptor, NULL);
  entry->key = (char *) key;
  entry->has_value = TRUE;
  entry->value.data = (guint8 *) ht_arena_strdup (self->arena, value);
  entry->value.len = strlen (value);
  proto->external_data[proto->n_external_data++] = entry;
}

static void
move_tensor (External *self, Onnx__TensorProto *proto)
{
  static const guint8 zeros[PAGE_ALIGNMENT];
  if (!proto->has_raw_data || proto->raw_data.len < EXTERNAL_MIN_SIZE)
    return;
  guint64 alignment = proto->raw_data.len >= PAGE_MIN_SIZE ? PAGE_ALIGNMENT : ALIGNMENT;
  guint64 padding = (alignment - self->output->position % alignment) % alignment;
  output_append (&self->output->base, padding, zeros);
  g_autofree char *offset = g_strdup_printf ("%" G_GUINT64_FORMAT, self->output->position);
  g_autofree char *length = g_strdup_printf ("%" G_GSIZE_FORMAT, proto->raw_data.len);
  output_append (&self->output->base, proto->raw_data.len, proto->raw_data.data);
  proto->has_raw_data = FALSE;
  proto->raw_data = (ProtobufCBinaryData) { 0 };
  proto->has_data_location = TRUE;
  proto->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
  proto->external_data = ht_arena_alloc_array (self->arena, 3, sizeof *proto->external_data);
  add_entry (self, proto, "location", self->location);
  add_entry (self, proto, "offset", offset);
  add_entry (self, proto, "length", length);
}

/* Initializers of the graph and of the graphs inside its nodes; runtimes want the tensors of attributes in the model. */
static void
move_initializers (External *self, Onnx__GraphProto *graph)
{
  for (gsize i = 0; i < graph->n_initializer; i++)
    move_tensor (self, graph->initializer[i]);
  for (gsize i = 0; i < graph->n_node; i++)
    for (gsize j = 0; j < graph->node[i]->n_attribute; j++)
      {
        Onnx__AttributeProto *attribute = graph->node[i]->attribute[j];
        if (attribute->g)
          move_initializers (self, attribute->g);
        for (gsize k = 0; k < attribute->n_graphs; k++)
          move_initializers (self, attribute->graphs[k]);
      }
}

static gboolean
refuse_size (const char *path, gsize size, gsize max_size, GError **error)
{
  g_set_error (error, HT_ERROR, HT_ERROR_LIMIT_EXCEEDED,
               "Writing '%s': the model without its large weights takes %" G_GSIZE_FORMAT " bytes, at most %" G_GSIZE_FORMAT
               " are possible in one file",
               path, size, max_size);
  return FALSE;
}

gboolean
ht_onnx_save (HtGraph *graph, const char *path, gsize max_size, GError **error)
{
  g_auto (Output) output = { 0 };
  g_auto (Output) data = { 0 };
  g_autoptr (HtArena) arena = ht_arena_new ();
  Onnx__ModelProto *model = ht_build_model (arena, graph);
  gboolean external = protobuf_c_message_get_packed_size (&model->base) > max_size;
  if (!output_open (&output, path, error))
    return FALSE;
  if (external)
    {
      g_autofree char *data_path = g_strconcat (path, ".data", NULL);
      g_autofree char *location = g_path_get_basename (data_path);
      External mover = { arena, location, &data };
      if (!output_open (&data, data_path, error))
        return FALSE;
      move_initializers (&mover, model->graph);
      if (!output_close (&data, error))
        return FALSE;
      gsize size = protobuf_c_message_get_packed_size (&model->base);
      if (size > MAX (max_size, HT_ONNX_MAX_SIZE))
        return refuse_size (path, size, HT_ONNX_MAX_SIZE, error);
    }
  protobuf_c_message_pack_to_buffer (&model->base, &output.base);
  if (!output_close (&output, error))
    return FALSE;
  return (!external || output_rename (&data, error)) && output_rename (&output, error);
}

gboolean
ht_onnx_serialize (HtGraph *graph, GBytes **bytes, GError **error)
{
  g_autoptr (HtArena) arena = ht_arena_new ();
  Onnx__ModelProto *model = ht_build_model (arena, graph);
  gsize size = protobuf_c_message_get_packed_size (&model->base);
  if (size > HT_ONNX_MAX_SIZE)
    return refuse_size ("model in memory", size, HT_ONNX_MAX_SIZE, error);
  guint8 *data = g_try_malloc (size);
  if (!data)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NO_MEMORY,
                   "Writing the model in memory: no memory for its %" G_GSIZE_FORMAT " bytes", size);
      return FALSE;
    }
  protobuf_c_message_pack (&model->base, data);
  *bytes = g_bytes_new_take (data, size);
  return TRUE;
}

/**
 * ht_graph_save:
 * @self: a graph
 * @path: (type filename): the ONNX file to write
 * @error: return location for an error
 *
 * Writes the graph as an ONNX model; what was not changed since loading is written as it was read, and the same graph
 * always gives the same bytes. A model over 2 GiB has its weights in a second file beside it, named @path with `.data`
 * behind it. Files are written under a temporary name and renamed, so that a failure leaves an older @path as it was,
 * and a graph may be saved over the file it came from.
 *
 * Returns: whether the file was written
 */
gboolean
ht_graph_save (HtGraph *self, const char *path, GError **error)
{
  g_return_val_if_fail (HT_IS_GRAPH (self), FALSE);
  g_return_val_if_fail (path != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);
  return ht_onnx_save (self, path, HT_ONNX_MAX_SIZE, error);
}
