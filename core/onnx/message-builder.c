/* SPDX-License-Identifier: MIT */
#include "onnx/message-builder.h"
#include "onnx/type-proto.h"

#include <string.h>

/* The IR version that a version of the operator set was published with, for models made here. */
static gint64
ir_version_for_opset (gint64 opset)
{
  static const struct
  {
    gint64 opset, ir_version;
  } table[] = { { 23, 11 }, { 21, 10 }, { 19, 9 }, { 15, 8 }, { 12, 7 }, { 11, 6 }, { 10, 5 }, { 9, 4 } };
  for (gsize i = 0; i < G_N_ELEMENTS (table); i++)
    if (opset >= table[i].opset)
      return table[i].ir_version;
  return 4; /* the first in which an initializer need not be an input */
}

/* The IR version that brought an element type. */
static gint64
ir_version_for_type (HtDataType type)
{
  if (type >= HT_DATA_TYPE_UINT2)
    return 13;
  if (type >= HT_DATA_TYPE_FLOAT8E8M0)
    return 12;
  if (type >= HT_DATA_TYPE_FLOAT4E2M1)
    return 11;
  if (type >= HT_DATA_TYPE_UINT4)
    return 10;
  return type >= HT_DATA_TYPE_FLOAT8E4M3FN ? 9 : 0;
}

static ProtobufCBinaryData
borrow_bytes (gconstpointer data, gsize size)
{
  return (ProtobufCBinaryData) { .len = size, .data = (guint8 *) data };
}

Onnx__TensorProto *
ht_build_tensor (HtArena *arena, HtTensor *tensor, Onnx__TensorProto *rest)
{
  Onnx__TensorProto *proto = rest ? rest : ht_arena_message (arena, &onnx__tensor_proto__descriptor, NULL);
  guint n_dims;
  proto->dims = (gint64 *) ht_tensor_get_dims (tensor, &n_dims);
  proto->n_dims = n_dims;
  proto->has_data_type = TRUE;
  proto->data_type = (gint32) ht_tensor_get_data_type (tensor);
  if (ht_tensor_get_data_type (tensor) != HT_DATA_TYPE_STRING)
    {
      proto->has_raw_data = TRUE;
      proto->raw_data = borrow_bytes (ht_tensor_get_data (tensor), ht_tensor_get_size (tensor));
      return proto;
    }
  const char *const *strings = ht_tensor_get_strings (tensor);
  proto->n_string_data = ht_tensor_get_n_elements (tensor);
  proto->string_data = ht_arena_alloc_array (arena, proto->n_string_data, sizeof *proto->string_data);
  for (gsize i = 0; i < proto->n_string_data; i++)
    proto->string_data[i] = borrow_bytes (strings[i], strlen (strings[i]));
  return proto;
}

static void
build_tensors (HtArena *arena, const HtAttribute *attribute, Onnx__AttributeProto *proto)
{
  if (attribute->type == HT_ATTRIBUTE_TENSOR)
    {
      proto->t = ht_build_tensor (arena, attribute->tensors[0], proto->t);
      return;
    }
  proto->n_tensors = attribute->n_values;
  proto->tensors = ht_arena_alloc_array (arena, attribute->n_values, sizeof *proto->tensors);
  for (gsize i = 0; i < attribute->n_values; i++)
    proto->tensors[i] = ht_build_tensor (arena, attribute->tensors[i], NULL);
}

static void
build_graphs (HtArena *arena, const HtAttribute *attribute, Onnx__AttributeProto *proto)
{
  if (attribute->type == HT_ATTRIBUTE_GRAPH)
    {
      proto->g = ht_build_graph (arena, attribute->graphs[0]);
      return;
    }
  proto->n_graphs = attribute->n_values;
  proto->graphs = ht_arena_alloc_array (arena, attribute->n_values, sizeof *proto->graphs);
  for (gsize i = 0; i < attribute->n_values; i++)
    proto->graphs[i] = ht_build_graph (arena, attribute->graphs[i]);
}

static void
build_strings (HtArena *arena, const HtAttribute *attribute, Onnx__AttributeProto *proto)
{
  if (attribute->type == HT_ATTRIBUTE_STRING)
    {
      proto->has_s = TRUE;
      proto->s = borrow_bytes (attribute->strings[0].data, attribute->strings[0].length);
      return;
    }
  proto->n_strings = attribute->n_values;
  proto->strings = ht_arena_alloc_array (arena, attribute->n_values, sizeof *proto->strings);
  for (gsize i = 0; i < attribute->n_values; i++)
    proto->strings[i] = borrow_bytes (attribute->strings[i].data, attribute->strings[i].length);
}

static Onnx__AttributeProto *
build_attribute (HtArena *arena, const HtAttribute *attribute)
{
  gboolean opaque = attribute->type == HT_ATTRIBUTE_OPAQUE;
  Onnx__AttributeProto *proto = ht_arena_message (arena, &onnx__attribute_proto__descriptor,
                                                  opaque ? attribute->opaque : attribute->extra);
  if (opaque)
    return proto;
  proto->name = attribute->name;
  proto->has_type = TRUE;
  proto->type = (Onnx__AttributeProto__AttributeType) attribute->type;
  switch (attribute->type)
    {
    case HT_ATTRIBUTE_FLOAT:
      proto->has_f = TRUE;
      proto->f = attribute->f;
      break;
    case HT_ATTRIBUTE_INT:
      proto->has_i = TRUE;
      proto->i = attribute->i;
      break;
    case HT_ATTRIBUTE_FLOATS:
      proto->n_floats = attribute->n_values;
      proto->floats = attribute->floats;
      break;
    case HT_ATTRIBUTE_INTS:
      proto->n_ints = attribute->n_values;
      proto->ints = attribute->ints;
      break;
    case HT_ATTRIBUTE_STRING:
    case HT_ATTRIBUTE_STRINGS:
      build_strings (arena, attribute, proto);
      break;
    case HT_ATTRIBUTE_TENSOR:
    case HT_ATTRIBUTE_TENSORS:
      build_tensors (arena, attribute, proto);
      break;
    case HT_ATTRIBUTE_GRAPH:
    case HT_ATTRIBUTE_GRAPHS:
      build_graphs (arena, attribute, proto);
      break;
    case HT_ATTRIBUTE_OPAQUE:
    case HT_ATTRIBUTE_UNDEFINED:
      break;
    }
  return proto;
}

static Onnx__NodeProto *
build_node (HtArena *arena, const HtNode *node)
{
  Onnx__NodeProto *proto = ht_arena_message (arena, &onnx__node_proto__descriptor, node->extra);
  proto->n_input = node->inputs->len;
  proto->input = (char **) node->inputs->pdata;
  proto->n_output = node->outputs->len;
  proto->output = (char **) node->outputs->pdata;
  proto->op_type = node->op_type;
  proto->name = *node->name ? node->name : NULL;
  proto->domain = *node->domain ? node->domain : NULL;
  proto->n_attribute = node->attributes->len;
  proto->attribute = ht_arena_alloc_array (arena, proto->n_attribute, sizeof *proto->attribute);
  for (guint i = 0; i < node->attributes->len; i++)
    proto->attribute[i] = build_attribute (arena, node->attributes->pdata[i]);
  return proto;
}

static Onnx__ValueInfoProto *
build_value (HtArena *arena, const HtValue *value)
{
  Onnx__ValueInfoProto *proto = ht_arena_message (arena, &onnx__value_info_proto__descriptor, value->info_extra);
  proto->name = value->name;
  proto->type = value->type_proto ? ht_arena_message (arena, &onnx__type_proto__descriptor, value->type_proto)
                                  : ht_type_to_proto (arena, value->type, value->shape, value->element);
  return proto;
}

static Onnx__ValueInfoProto **
build_values (HtArena *arena, HtGraph *graph, const GPtrArray *names, gsize *n_values)
{
  *n_values = names->len;
  Onnx__ValueInfoProto **protos = ht_arena_alloc_array (arena, names->len, sizeof *protos);
  for (guint i = 0; i < names->len; i++)
    protos[i] = build_value (arena, ht_graph_lookup_value (graph, names->pdata[i]));
  return protos;
}

/* Declarations of what is neither input nor output: initializers first, then what the nodes make. */
static void
build_value_infos (HtArena *arena, HtGraph *graph, Onnx__GraphProto *proto)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  for (guint i = 0; i < graph->initializers->len; i++)
    {
      const HtValue *value = graph->initializers->pdata[i];
      if (value->has_info && !value->listed_input && value->n_outputs == 0)
        g_ptr_array_add (names, value->name);
    }
  for (guint i = 0; i < graph->nodes->len; i++)
    {
      const HtNode *node = graph->nodes->pdata[i];
      for (guint j = 0; j < node->outputs->len; j++)
        {
          const char *name = node->outputs->pdata[j];
          const HtValue *value = *name ? ht_graph_lookup_value (graph, name) : NULL;
          if (value && value->has_info && !value->listed_input && value->n_outputs == 0)
            g_ptr_array_add (names, value->name);
        }
    }
  proto->value_info = build_values (arena, graph, names, &proto->n_value_info);
}

static void
build_initializers (HtArena *arena, HtGraph *graph, Onnx__GraphProto *proto)
{
  proto->n_initializer = graph->initializers->len;
  proto->initializer = ht_arena_alloc_array (arena, proto->n_initializer, sizeof *proto->initializer);
  for (guint i = 0; i < graph->initializers->len; i++)
    {
      const HtValue *value = graph->initializers->pdata[i];
      Onnx__TensorProto *rest = ht_arena_message (arena, &onnx__tensor_proto__descriptor, value->initializer_extra);
      proto->initializer[i] = ht_build_tensor (arena, value->initializer, rest);
      proto->initializer[i]->name = value->name;
    }
  proto->n_sparse_initializer = graph->sparse_initializers->len;
  proto->sparse_initializer
      = ht_arena_alloc_array (arena, proto->n_sparse_initializer, sizeof *proto->sparse_initializer);
  for (guint i = 0; i < graph->sparse_initializers->len; i++)
    {
      const HtValue *value = graph->sparse_initializers->pdata[i];
      Onnx__SparseTensorProto *sparse
          = ht_arena_message (arena, &onnx__sparse_tensor_proto__descriptor, value->sparse_initializer);
      if (sparse->values)
        sparse->values->name = value->name; /* it may have been renamed */
      proto->sparse_initializer[i] = sparse;
    }
}

Onnx__GraphProto *
ht_build_graph (HtArena *arena, HtGraph *graph)
{
  Onnx__GraphProto *proto = ht_arena_message (arena, &onnx__graph_proto__descriptor, graph->extra);
  proto->name = graph->name;
  proto->n_node = graph->nodes->len;
  proto->node = ht_arena_alloc_array (arena, proto->n_node, sizeof *proto->node);
  for (guint i = 0; i < graph->nodes->len; i++)
    proto->node[i] = build_node (arena, graph->nodes->pdata[i]);
  proto->input = build_values (arena, graph, graph->listed_inputs, &proto->n_input);
  proto->output = build_values (arena, graph, graph->outputs, &proto->n_output);
  build_initializers (arena, graph, proto);
  build_value_infos (arena, graph, proto);
  return proto;
}

/* The lowest IR version that allows what the graph has. */
static gint64
needed_ir_version (HtGraph *graph)
{
  gint64 version = graph->model.functions->len > 0 ? 8 : 1;
  for (guint i = 0; i < graph->initializers->len; i++)
    {
      const HtValue *value = graph->initializers->pdata[i];
      version = MAX (version, value->listed_input ? 1 : 4);
      version = MAX (version, ir_version_for_type (ht_tensor_get_data_type (value->initializer)));
    }
  return version;
}

static void
build_model_info (HtArena *arena, HtGraph *graph, Onnx__ModelProto *proto)
{
  const HtModelInfo *info = &graph->model;
  proto->has_ir_version = TRUE;
  proto->ir_version = info->ir_version > 0 ? info->ir_version : ir_version_for_opset (ht_graph_get_opset (graph, ""));
  proto->ir_version = MAX (proto->ir_version, needed_ir_version (graph));
  proto->producer_name = info->producer_name;
  proto->producer_version = info->producer_version;
  proto->domain = info->domain;
  proto->has_model_version = info->model_version != 0;
  proto->model_version = info->model_version;
  proto->n_functions = info->functions->len;
  proto->functions = ht_arena_alloc_array (arena, proto->n_functions, sizeof *proto->functions);
  for (guint i = 0; i < info->functions->len; i++)
    proto->functions[i] = ht_arena_message (arena, &onnx__function_proto__descriptor, info->functions->pdata[i]);
}

Onnx__ModelProto *
ht_build_model (HtArena *arena, HtGraph *graph)
{
  Onnx__ModelProto *proto = ht_arena_message (arena, &onnx__model_proto__descriptor, graph->model.extra);
  build_model_info (arena, graph, proto);
  proto->graph = ht_build_graph (arena, graph);
  const GArray *opsets = ht_graph_get_root (graph)->opsets;
  proto->n_opset_import = opsets->len;
  proto->opset_import = ht_arena_alloc_array (arena, proto->n_opset_import, sizeof *proto->opset_import);
  for (guint i = 0; i < opsets->len; i++)
    {
      const HtOpset *opset = &g_array_index (opsets, HtOpset, i);
      Onnx__OperatorSetIdProto *import = ht_arena_message (arena, &onnx__operator_set_id_proto__descriptor, NULL);
      import->domain = opset->domain;
      import->has_version = TRUE;
      import->version = opset->version;
      proto->opset_import[i] = import;
    }
  return proto;
}
