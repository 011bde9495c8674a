/* SPDX-License-Identifier: MIT */
/* How a graph lies in memory. Read fields freely inside core; change them through the functions below or those of
 * <halftone/graph.h>, which keep the indexes right.
 *
 * Round trip: what the structures do not model travels as `extra`: a serialized message of the entity's own type
 * (ModelProto, GraphProto, NodeProto, AttributeProto, ValueInfoProto, TensorProto) that holds only the remaining fields
 * (doc strings, metadata, denotations, quantization annotations, unknown fields). The writer unpacks it and adds the
 * rest. No `extra` goes into the hash; an edit of what it belongs to keeps it, a replacement drops it. */
#pragma once

#include "graph/element-type.h"
#include "graph/tensor-private.h"

#include <halftone/graph.h>

G_BEGIN_DECLS

/* ---- Attributes: immutable, counted, shared between copies of a graph (subgraphs excepted) ---- */

typedef struct
{
  char *data; /* a NUL follows, more may be inside */
  gsize length;
} HtAttributeString;

typedef struct
{
  gatomicrefcount ref_count;
  char *name; /* GRefString */
  HtAttributeType type;
  gsize n_values; /* of the plural types; 1 for the others */
  union
  {
    gint64 i;
    float f;
    gint64 *ints;
    float *floats;
    HtAttributeString *strings; /* STRING, STRINGS */
    HtTensor **tensors;         /* TENSOR, TENSORS */
    HtGraph **graphs;           /* GRAPH, GRAPHS */
    GBytes *opaque;             /* OPAQUE: the whole AttributeProto */
  };
  char **string_list; /* STRINGS: what ht_node_get_strings() returns */
  GBytes *extra;
} HtAttribute;

/* Values are copied, tensors referenced (views of an arena: copied), graphs taken over as references. */
HtAttribute *ht_attribute_new_int (const char *name, gint64 value);
HtAttribute *ht_attribute_new_float (const char *name, float value);
HtAttribute *ht_attribute_new_string (const char *name, const char *data, gsize length);
HtAttribute *ht_attribute_new_ints (const char *name, const gint64 *values, gsize n_values);
HtAttribute *ht_attribute_new_floats (const char *name, const float *values, gsize n_values);
HtAttribute *ht_attribute_new_strings (const char *name, const HtAttributeString *values, gsize n_values);
HtAttribute *ht_attribute_new_tensors (const char *name, gboolean plural, HtTensor *const *tensors, gsize n_values);
HtAttribute *ht_attribute_new_graphs (const char *name, gboolean plural, HtGraph *const *graphs, gsize n_values);
HtAttribute *ht_attribute_new_opaque (const char *name, GBytes *bytes);
void ht_attribute_set_extra (HtAttribute *self, GBytes *extra); /* before it is given to a node */
HtAttribute *ht_attribute_ref (HtAttribute *self);
void ht_attribute_unref (HtAttribute *self);
gboolean ht_attribute_has_graphs (const HtAttribute *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtAttribute, ht_attribute_unref)

/* ---- Nodes ---- */

struct _HtNode
{
  gatomicrefcount ref_count;
  HtGraph *graph; /* not counted; NULL once removed */
  guint64 order;  /* ascends along graph->nodes */
  char *name, *op_type, *domain; /* GRefStrings, never NULL; "ai.onnx" is stored as "" */
  GPtrArray *inputs, *outputs;   /* GRefStrings, NULL-terminated */
  GPtrArray *attributes;         /* HtAttribute, in the file's order */
  GHashTable *captures;          /* name -> uses in the subgraphs; NULL without subgraphs */
  GBytes *extra;
};

HtAttribute *ht_node_find_attribute (HtNode *self, const char *name);
/* "node 'x' (Conv)" or, nameless, "the Conv node that makes 'y'": for error messages. */
char *ht_node_label (HtNode *self);

/* ---- Values: every tensor name that a graph mentions ---- */

typedef struct
{
  char *name;            /* GRefString */
  HtNode *producer;      /* the first one, where a broken file has several */
  guint n_producers;
  GHashTable *consumers; /* HtNode -> occurrences, captures included; NULL: none */
  guint n_uses;          /* all occurrences at nodes */
  guint n_outputs;       /* occurrences among the graph's outputs */
  gboolean listed_input; /* the file lists it as graph input; a runtime input only without an initializer */
  HtDataType type;
  HtShape *shape;
  HtElementType *element; /* of a sequence or an optional value */
  gboolean has_info;     /* was declared: input, output or value_info */
  GBytes *type_proto;    /* the declared TypeProto where it says more than those (maps, denotations) */
  GBytes *info_extra;    /* ValueInfoProto */
  HtTensor *initializer;
  guint64 initializer_order;
  GBytes *initializer_extra; /* TensorProto */
  GBytes *sparse_initializer; /* the SparseTensorProto */
} HtValue;

typedef struct
{
  char *domain; /* GRefString, "" for ai.onnx */
  gint64 version;
} HtOpset;

/* What belongs to the file rather than to the graph; of the top graph only. */
typedef struct
{
  gint64 ir_version; /* 0: made here, the writer chooses */
  char *producer_name, *producer_version, *domain;
  gint64 model_version;
  GPtrArray *functions; /* GBytes: FunctionProto, in order */
  GBytes *extra;        /* ModelProto */
} HtModelInfo;

struct _HtGraph
{
  GObject parent_instance;
  gboolean sealed;
  char *name;
  HtGraph *parent; /* the graph that holds this subgraph; not counted */
  HtNode *owner;   /* its node there */
  GPtrArray *nodes;           /* HtNode, in order */
  guint64 next_order;
  GHashTable *values;         /* name -> HtValue */
  GHashTable *nodes_by_name;  /* name -> the first HtNode of this name */
  GHashTable *shared_names;   /* set of names that several nodes once had */
  GHashTable *holders;        /* set of HtNode with subgraphs */
  GHashTable *stale_holders;  /* set: their captures are to be counted anew */
  GPtrArray *inputs;          /* names of runtime inputs, NULL-terminated; read through ht_graph_get_inputs() */
  gboolean inputs_stale;
  GPtrArray *listed_inputs;   /* names of all inputs that the file lists, in order */
  GPtrArray *outputs;         /* names, NULL-terminated */
  GPtrArray *initializers;    /* HtValue, in order */
  GPtrArray *sparse_initializers; /* HtValue, in order */
  GArray *opsets;             /* HtOpset; of the top graph only */
  HtModelInfo model;
  GBytes *extra;              /* GraphProto */
  GHashTable *reserved_names; /* given out by ht_graph_make_name(); top graph only */
  GHashTable *name_counters;  /* stem -> next number */
  char *hash;                 /* of a sealed graph */
};

/* NULL: the graph does not mention the name. Captures are up to date. */
HtValue *ht_graph_lookup_value (HtGraph *self, const char *name);
/* Defined in this very graph: by a node, an input or an initializer. */
gboolean ht_value_is_defined (const HtValue *value);
HtGraph *ht_graph_get_parent (HtGraph *self); /* (nullable) */
HtGraph *ht_graph_get_root (HtGraph *self);
/* As ht_graph_get_data_type(), of the elements of a list; NULL: not known. */
HtElementType *ht_graph_get_element_type (HtGraph *self, const char *tensor);
/* After ht_graph_set_shape() and its like, which forget the element type where they change something. */
void ht_graph_set_element_type (HtGraph *self, const char *tensor, HtElementType *element);
/* The graph, this one or one around it, that defines a name; NULL: none does. */
HtGraph *ht_graph_find_scope (HtGraph *self, const char *name);
/* The subgraphs of a node in order of its attributes; calls func for each. */
void ht_node_foreach_subgraph (HtNode *self, void (*func) (HtGraph *subgraph, gpointer user_data), gpointer user_data);

/* For the reader and for preparation, besides the public editing calls */
void ht_graph_set_name (HtGraph *self, const char *name);
void ht_graph_take_attribute (HtGraph *self, HtNode *node, HtAttribute *attribute); /* replaces one of the same name */
void ht_graph_set_node_extra (HtGraph *self, HtNode *node, GBytes *extra);
void ht_graph_set_value_extra (HtGraph *self, const char *tensor, GBytes *type_proto, GBytes *info_extra);
void ht_graph_set_initializer_extra (HtGraph *self, const char *name, GBytes *extra);
void ht_graph_set_sparse_initializer (HtGraph *self, const char *name, GBytes *sparse);
void ht_graph_set_extra (HtGraph *self, GBytes *extra);
HtModelInfo *ht_graph_get_model_info (HtGraph *self); /* of the top graph; fill in place while not sealed */
/* Takes a name off the list of inputs; an initializer of this name stays. */
void ht_graph_remove_input (HtGraph *self, const char *name);
void ht_graph_remove_output (HtGraph *self, const char *name);
/* Renames a tensor of this graph where it is defined and everywhere it is used, subgraphs and outputs included. */
void ht_graph_rename_value (HtGraph *self, const char *from, const char *to);

/* ---- Indexes (graph-index.c); used by the editing functions only ---- */
HtValue *ht_graph_ensure_value (HtGraph *self, const char *name);
void ht_graph_release_value (HtGraph *self, HtValue *value); /* drops it when nothing mentions it any more */
void ht_graph_index_input (HtGraph *self, HtNode *node, const char *name, int delta);
void ht_graph_index_output (HtGraph *self, HtNode *node, const char *name, int delta);
void ht_graph_index_node (HtGraph *self, HtNode *node);
void ht_graph_unindex_node (HtGraph *self, HtNode *node);
void ht_graph_index_name (HtGraph *self, HtNode *node);
void ht_graph_unindex_name (HtGraph *self, HtNode *node);
void ht_graph_adopt_subgraphs (HtGraph *self, HtNode *node, HtAttribute *attribute);
void ht_graph_drop_subgraphs (HtGraph *self, HtNode *node, HtAttribute *attribute);
void ht_graph_update_inputs (HtGraph *self);
void ht_graph_refresh (HtGraph *self);
void ht_graph_touch (HtGraph *self); /* the captures of what surrounds this graph may have changed */
guint ht_graph_find_position (HtGraph *self, HtNode *node);
void ht_value_free (HtValue *value);

HtNode *ht_node_new (const char *op_type, const char *domain, const char *name);
void ht_node_set_name_list (GPtrArray *list, const char *const *names);
const char *ht_canonical_domain (const char *domain);

G_END_DECLS
