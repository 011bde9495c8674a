/* SPDX-License-Identifier: MIT */
#include "onnx/message.h"
#include "onnx/reader-private.h"
#include "onnx/tensor-proto.h"
#include "onnx/type-proto.h"

#include <halftone/error.h>

typedef struct
{
  HtGraph *graph;
  HtExternalData *external;
  HtArena *arena; /* scratch */
} Context;

static gboolean
refuse (const Context *context, GError **error, const char *problem, const char *name)
{
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "Loading graph '%s': %s '%s'",
               ht_graph_get_name (context->graph), problem, name);
  return FALSE;
}

/* What a declaration says beyond a tensor's type and its numbers and symbols. */
static gboolean
read_value_extra (const Context *context, Onnx__ValueInfoProto *proto, HtDataType type, HtShape *shape,
                  HtElementType *element, GError **error)
{
  static const guint32 taken[] = { 1, 2, 0 };
  g_autoptr (GBytes) type_bytes = NULL;
  g_autoptr (GBytes) info = NULL;
  g_autofree Onnx__ValueInfoProto *rest = ht_message_without (proto, taken);
  if (!ht_message_pack_carried (rest, context->external, &info, error))
    return FALSE;
  if (proto->type)
    {
      Onnx__TypeProto *plain = ht_type_to_proto (context->arena, type, shape, element);
      if (!plain || !ht_message_equal (&plain->base, &proto->type->base))
        type_bytes = ht_message_pack (&proto->type->base);
    }
  if (type_bytes || info)
    ht_graph_set_value_extra (context->graph, proto->name, type_bytes, info);
  return TRUE;
}

typedef void (*Declare) (HtGraph *graph, const char *name, HtDataType type, HtShape *shape);

static gboolean
read_values (const Context *context, Onnx__ValueInfoProto **protos, gsize n_protos, const char *role, Declare declare,
             GHashTable *seen, GError **error)
{
  for (gsize i = 0; i < n_protos; i++)
    {
      Onnx__ValueInfoProto *proto = protos[i];
      if (!proto->name || !*proto->name)
        {
          g_autofree char *problem = g_strdup_printf ("%s %" G_GSIZE_FORMAT " of it has no name:", role, i);
          return refuse (context, error, problem, "");
        }
      /* A declaration may be repeated: the first one counts, those of inputs and outputs before all others. */
      gboolean again = !g_hash_table_add (seen, proto->name);
      if (again && declare == ht_graph_add_input)
        return refuse (context, error, "two inputs have the name", proto->name);
      HtDataType type;
      g_autoptr (HtShape) shape = NULL;
      g_autoptr (HtElementType) element = NULL;
      if (!ht_type_from_proto (proto->type, proto->name, &type, &shape, &element, error))
        return FALSE;
      if (again && declare == ht_graph_add_output)
        {
          const HtValue *value = ht_graph_lookup_value (context->graph, proto->name);
          type = value->type;
          g_clear_pointer (&shape, ht_shape_unref);
          shape = value->shape ? ht_shape_ref (value->shape) : NULL;
          declare (context->graph, proto->name, type, shape);
        }
      else if (!again)
        {
          declare (context->graph, proto->name, type, shape);
          if (element)
            ht_graph_set_element_type (context->graph, proto->name, element);
          if (!read_value_extra (context, proto, type, shape, element, error))
            return FALSE;
        }
    }
  return TRUE;
}

static gboolean
read_initializers (const Context *context, Onnx__GraphProto *proto, GError **error)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  for (gsize i = 0; i < proto->n_initializer; i++)
    {
      Onnx__TensorProto *tensor_proto = proto->initializer[i];
      const char *name = tensor_proto->name;
      if (!name || !*name)
        return refuse (context, error, "an initializer has no name:", "");
      if (!g_hash_table_add (seen, tensor_proto->name))
        return refuse (context, error, "two initializers have the name", name);
      g_autoptr (GBytes) rest = ht_read_tensor_rest (tensor_proto, FALSE);
      g_autoptr (HtTensor) tensor = ht_tensor_from_proto (tensor_proto, context->external, name, error);
      if (!tensor)
        return FALSE;
      ht_graph_set_initializer (context->graph, name, tensor);
      if (rest)
        ht_graph_set_initializer_extra (context->graph, name, rest);
    }
  for (gsize i = 0; i < proto->n_sparse_initializer; i++)
    {
      Onnx__SparseTensorProto *sparse = proto->sparse_initializer[i];
      const char *name = sparse->values && sparse->values->name ? sparse->values->name : "";
      if (!*name)
        return refuse (context, error, "a sparse initializer has no name:", "");
      if (!g_hash_table_add (seen, sparse->values->name))
        return refuse (context, error, "two initializers have the name", name);
      g_autoptr (GBytes) bytes = NULL;
      if (!ht_message_pack_carried (sparse, context->external, &bytes, error))
        return FALSE;
      ht_graph_set_sparse_initializer (context->graph, name, bytes);
    }
  return TRUE;
}

/* The names, with a NULL behind the last; borrowed from the message. */
static const char **
name_list (char **names, gsize n_names)
{
  const char **list = g_new0 (const char *, n_names + 1);
  for (gsize i = 0; i < n_names; i++)
    list[i] = names[i] ? names[i] : "";
  return list;
}

static gboolean
read_node (const Context *context, Onnx__NodeProto *proto, GError **error)
{
  static const guint32 taken[] = { 1, 2, 3, 4, 5, 7, 0 };
  const char *name = proto->name ? proto->name : "";
  if (!proto->op_type || !*proto->op_type)
    return refuse (context, error, "a node has no operator:", name);
  g_autofree const char **inputs = name_list (proto->input, proto->n_input);
  g_autofree const char **outputs = name_list (proto->output, proto->n_output);
  HtNode *node = ht_graph_add_node (context->graph, proto->op_type, proto->domain ? proto->domain : "", name, inputs,
                                    outputs);
  if (!ht_read_attributes (context->graph, node, proto, context->external, error))
    return FALSE;
  g_autofree Onnx__NodeProto *rest = ht_message_without (proto, taken);
  g_autoptr (GBytes) extra = NULL;
  if (!ht_message_pack_carried (rest, context->external, &extra, error))
    return FALSE;
  if (extra)
    ht_graph_set_node_extra (context->graph, node, extra);
  return TRUE;
}

static void
declare_value (HtGraph *graph, const char *name, HtDataType type, HtShape *shape)
{
  ht_graph_set_shape (graph, name, type, shape);
}

HtGraph *
ht_read_graph (Onnx__GraphProto *proto, HtExternalData *external, GError **error)
{
  static const guint32 taken[] = { 1, 2, 5, 11, 12, 13, 15, 0 };
  g_autoptr (HtGraph) graph = ht_graph_new (proto->name ? proto->name : "");
  g_autoptr (HtArena) arena = ht_arena_new ();
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  Context context = { graph, external, arena };
  if (!read_values (&context, proto->input, proto->n_input, "input", ht_graph_add_input, seen, error)
      || !read_initializers (&context, proto, error))
    return NULL;
  for (gsize i = 0; i < proto->n_node; i++)
    if (!read_node (&context, proto->node[i], error))
      return NULL;
  if (!read_values (&context, proto->output, proto->n_output, "output", ht_graph_add_output, seen, error)
      || !read_values (&context, proto->value_info, proto->n_value_info, "declared value", declare_value, seen, error))
    return NULL;
  g_autofree Onnx__GraphProto *rest = ht_message_without (proto, taken);
  g_autoptr (GBytes) extra = NULL;
  if (!ht_message_pack_carried (rest, external, &extra, error))
    return NULL;
  if (extra)
    ht_graph_set_extra (graph, extra);
  return g_steal_pointer (&graph);
}
