/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/tensor.h>

G_BEGIN_DECLS

#define HT_TYPE_GRAPH (ht_graph_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtGraph, ht_graph, HT, GRAPH, GObject)

#define HT_TYPE_NODE (ht_node_get_type ())
typedef struct _HtNode HtNode;

#define HT_TYPE_SHAPE (ht_shape_get_type ())
typedef struct _HtShape HtShape;

/* Shapes: each dimension is a number, a symbol ("N") or unknown. Immutable, counted. */
#define HT_DIM_UNKNOWN ((gint64) -1)
HT_API GType ht_shape_get_type (void) G_GNUC_CONST;
HT_API HtShape *ht_shape_new (const gint64 *dims, const char *const *symbols, guint n_dims);
HT_API HtShape *ht_shape_ref (HtShape *self);
HT_API void ht_shape_unref (HtShape *self);
HT_API guint ht_shape_get_n_dims (HtShape *self);
HT_API gint64 ht_shape_get_dim (HtShape *self, guint axis);
HT_API const char *ht_shape_get_symbol (HtShape *self, guint axis);
HT_API gboolean ht_shape_is_static (HtShape *self);
HT_API gboolean ht_shape_equal (HtShape *a, HtShape *b);
HT_API char *ht_shape_to_string (HtShape *self);

/* Attributes */
typedef enum
{
  HT_ATTRIBUTE_UNDEFINED = 0,
  HT_ATTRIBUTE_FLOAT = 1,
  HT_ATTRIBUTE_INT = 2,
  HT_ATTRIBUTE_STRING = 3,
  HT_ATTRIBUTE_TENSOR = 4,
  HT_ATTRIBUTE_GRAPH = 5,
  HT_ATTRIBUTE_FLOATS = 6,
  HT_ATTRIBUTE_INTS = 7,
  HT_ATTRIBUTE_STRINGS = 8,
  HT_ATTRIBUTE_TENSORS = 9,
  HT_ATTRIBUTE_GRAPHS = 10,
  HT_ATTRIBUTE_OPAQUE = 11, /* sparse tensors, type protos: carried along as serialized */
} HtAttributeType;

/* Nodes belong to one graph and live as long as they are in it. Names are never %NULL: "" is an absent input. */
HT_API GType ht_node_get_type (void) G_GNUC_CONST;
HT_API HtNode *ht_node_ref (HtNode *self);
HT_API void ht_node_unref (HtNode *self);
HT_API const char *ht_node_get_name (HtNode *self);
HT_API const char *ht_node_get_op_type (HtNode *self);
HT_API const char *ht_node_get_domain (HtNode *self);
HT_API gboolean ht_node_is_op (HtNode *self, const char *op_type);
HT_API guint ht_node_get_n_inputs (HtNode *self);
HT_API guint ht_node_get_n_outputs (HtNode *self);
HT_API const char *ht_node_get_input (HtNode *self, guint index);
HT_API const char *ht_node_get_output (HtNode *self, guint index);
HT_API const char *const *ht_node_get_inputs (HtNode *self);
HT_API const char *const *ht_node_get_outputs (HtNode *self);
HT_API char *ht_node_describe (HtNode *self);

HT_API char **ht_node_list_attributes (HtNode *self);
HT_API gboolean ht_node_has_attribute (HtNode *self, const char *name);
HT_API HtAttributeType ht_node_get_attribute_type (HtNode *self, const char *name);
HT_API gint64 ht_node_get_int (HtNode *self, const char *name, gint64 fallback);
HT_API double ht_node_get_float (HtNode *self, const char *name, double fallback);
HT_API const char *ht_node_get_string (HtNode *self, const char *name, const char *fallback);
HT_API const gint64 *ht_node_get_ints (HtNode *self, const char *name, gsize *n_values);
HT_API const float *ht_node_get_floats (HtNode *self, const char *name, gsize *n_values);
HT_API const char *const *ht_node_get_strings (HtNode *self, const char *name);
HT_API HtTensor *ht_node_get_tensor (HtNode *self, const char *name);
HT_API HtGraph *ht_node_get_subgraph (HtNode *self, const char *name);

/* Graphs */
HT_API HtGraph *ht_graph_new (const char *name);
HT_API HtGraph *ht_graph_copy (HtGraph *self);
HT_API void ht_graph_seal (HtGraph *self);
HT_API gboolean ht_graph_is_sealed (HtGraph *self);
HT_API char *ht_graph_hash (HtGraph *self);
HT_API const char *ht_graph_get_name (HtGraph *self);
HT_API gint64 ht_graph_get_opset (HtGraph *self, const char *domain);
HT_API void ht_graph_set_opset (HtGraph *self, const char *domain, gint64 version);

HT_API guint ht_graph_get_n_nodes (HtGraph *self);
HT_API HtNode *ht_graph_get_node (HtGraph *self, guint index);
HT_API HtNode *ht_graph_find_node (HtGraph *self, const char *name);
HT_API HtNode *ht_graph_get_producer (HtGraph *self, const char *tensor);
HT_API GPtrArray *ht_graph_list_consumers (HtGraph *self, const char *tensor);
HT_API guint ht_graph_count_uses (HtGraph *self, const char *tensor);
HT_API gboolean ht_graph_is_input (HtGraph *self, const char *tensor);
HT_API gboolean ht_graph_is_output (HtGraph *self, const char *tensor);
HT_API const char *const *ht_graph_get_inputs (HtGraph *self);
HT_API const char *const *ht_graph_get_outputs (HtGraph *self);
HT_API HtDataType ht_graph_get_data_type (HtGraph *self, const char *tensor);
HT_API HtShape *ht_graph_get_shape (HtGraph *self, const char *tensor);
HT_API char **ht_graph_list_initializers (HtGraph *self);
HT_API HtTensor *ht_graph_get_initializer (HtGraph *self, const char *name);
HT_API gboolean ht_graph_is_constant (HtGraph *self, const char *tensor);
HT_API HtTensor *ht_graph_get_constant (HtGraph *self, const char *tensor);

/* Editing; refused on a sealed graph */
HT_API HtNode *ht_graph_add_node (HtGraph *self, const char *op_type, const char *domain, const char *name,
                                  const char *const *inputs, const char *const *outputs);
HT_API void ht_graph_remove_node (HtGraph *self, HtNode *node);
HT_API void ht_graph_set_node_input (HtGraph *self, HtNode *node, guint index, const char *tensor);
HT_API void ht_graph_set_node_output (HtGraph *self, HtNode *node, guint index, const char *tensor);
HT_API void ht_graph_set_node_op (HtGraph *self, HtNode *node, const char *op_type, const char *domain);
HT_API void ht_graph_set_node_name (HtGraph *self, HtNode *node, const char *name);
HT_API void ht_graph_set_int (HtGraph *self, HtNode *node, const char *name, gint64 value);
HT_API void ht_graph_set_float (HtGraph *self, HtNode *node, const char *name, double value);
HT_API void ht_graph_set_string (HtGraph *self, HtNode *node, const char *name, const char *value);
HT_API void ht_graph_set_ints (HtGraph *self, HtNode *node, const char *name, const gint64 *values, gsize n_values);
HT_API void ht_graph_set_floats (HtGraph *self, HtNode *node, const char *name, const float *values, gsize n_values);
HT_API void ht_graph_set_tensor (HtGraph *self, HtNode *node, const char *name, HtTensor *tensor);
HT_API void ht_graph_set_subgraph (HtGraph *self, HtNode *node, const char *name, HtGraph *subgraph);
HT_API void ht_graph_remove_attribute (HtGraph *self, HtNode *node, const char *name);
HT_API void ht_graph_add_input (HtGraph *self, const char *name, HtDataType type, HtShape *shape);
HT_API void ht_graph_add_output (HtGraph *self, const char *name, HtDataType type, HtShape *shape);
HT_API void ht_graph_set_initializer (HtGraph *self, const char *name, HtTensor *tensor);
HT_API void ht_graph_remove_initializer (HtGraph *self, const char *name);
HT_API void ht_graph_set_shape (HtGraph *self, const char *tensor, HtDataType type, HtShape *shape);
HT_API char *ht_graph_make_name (HtGraph *self, const char *stem);
HT_API void ht_graph_replace_uses (HtGraph *self, const char *old_tensor, const char *new_tensor);
HT_API void ht_graph_bypass_node (HtGraph *self, HtNode *node);
HT_API guint ht_graph_remove_dead_nodes (HtGraph *self);

/* Whole-graph work */
HT_API gboolean ht_graph_sort (HtGraph *self, GError **error);
HT_API gboolean ht_graph_verify (HtGraph *self, GError **error);
HT_API gboolean ht_graph_infer_shapes (HtGraph *self, GError **error);
HT_API char **ht_graph_prepare (HtGraph *self, GError **error);

/* Files */
HT_API HtGraph *ht_graph_load (const char *path, GError **error);
HT_API HtGraph *ht_graph_load_bytes (GBytes *bytes, const char *folder, GError **error);
HT_API gboolean ht_graph_save (HtGraph *self, const char *path, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtNode, ht_node_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtShape, ht_shape_unref)

G_END_DECLS
