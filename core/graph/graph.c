/* SPDX-License-Identifier: MIT */
/* Graphs: life, copies and what can be asked of them. Editing is in graph-edit.c and graph-rewrite.c. */
#include "graph/graph-private.h"

#include <string.h>

/**
 * HtGraph:
 *
 * An ONNX graph: nodes in order, tensors by name, initializers, and whatever else its file carries. A graph that is not
 * sealed belongs to one thread; a sealed one is never changed and may be read by many. The body of an If, Loop or Scan is
 * a graph too, which also sees the tensors around it.
 */
G_DEFINE_FINAL_TYPE (HtGraph, ht_graph, G_TYPE_OBJECT)

static void
clear_opset (gpointer opset)
{
  g_ref_string_release (((HtOpset *) opset)->domain);
}

static void
detach_subgraph (HtGraph *subgraph, gpointer user_data)
{
  subgraph->parent = NULL;
  subgraph->owner = NULL;
}

static void
ht_graph_finalize (GObject *object)
{
  HtGraph *self = HT_GRAPH (object);
  for (guint i = 0; i < self->nodes->len; i++)
    {
      HtNode *node = g_ptr_array_index (self->nodes, i);
      node->graph = NULL;
      ht_node_foreach_subgraph (node, detach_subgraph, NULL);
    }
  g_hash_table_unref (self->values);
  g_hash_table_unref (self->nodes_by_name);
  g_hash_table_unref (self->shared_names);
  g_hash_table_unref (self->holders);
  g_hash_table_unref (self->stale_holders);
  g_hash_table_unref (self->reserved_names);
  g_hash_table_unref (self->name_counters);
  g_ptr_array_unref (self->nodes);
  g_ptr_array_unref (self->inputs);
  g_ptr_array_unref (self->listed_inputs);
  g_ptr_array_unref (self->outputs);
  g_ptr_array_unref (self->initializers);
  g_ptr_array_unref (self->sparse_initializers);
  g_array_unref (self->opsets);
  g_ptr_array_unref (self->model.functions);
  g_free (self->model.producer_name);
  g_free (self->model.producer_version);
  g_free (self->model.domain);
  g_clear_pointer (&self->model.extra, g_bytes_unref);
  g_clear_pointer (&self->extra, g_bytes_unref);
  g_free (self->name);
  g_free (self->hash);
  G_OBJECT_CLASS (ht_graph_parent_class)->finalize (object);
}

static void
ht_graph_class_init (HtGraphClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_graph_finalize;
}

static void
ht_graph_init (HtGraph *self)
{
  GDestroyNotify release = (GDestroyNotify) g_ref_string_release;
  self->values = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) ht_value_free);
  self->nodes_by_name = g_hash_table_new_full (g_str_hash, g_str_equal, release, NULL);
  self->shared_names = g_hash_table_new_full (g_str_hash, g_str_equal, release, NULL);
  self->holders = g_hash_table_new (NULL, NULL);
  self->stale_holders = g_hash_table_new (NULL, NULL);
  self->reserved_names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->name_counters = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->nodes = g_ptr_array_new_with_free_func ((GDestroyNotify) ht_node_unref);
  self->inputs = g_ptr_array_new_null_terminated (1, release, TRUE);
  self->listed_inputs = g_ptr_array_new_null_terminated (1, release, TRUE);
  self->outputs = g_ptr_array_new_null_terminated (1, release, TRUE);
  self->initializers = g_ptr_array_new ();
  self->sparse_initializers = g_ptr_array_new ();
  self->opsets = g_array_new (FALSE, FALSE, sizeof (HtOpset));
  g_array_set_clear_func (self->opsets, clear_opset);
  self->model.functions = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  self->name = g_strdup ("");
}

/**
 * ht_graph_new:
 * @name: (nullable): the graph's name
 *
 * Makes an empty graph that imports no operator set.
 *
 * Returns: (transfer full): the graph
 */
HtGraph *
ht_graph_new (const char *name)
{
  HtGraph *self = g_object_new (HT_TYPE_GRAPH, NULL);
  ht_graph_set_name (self, name);
  return self;
}

void
ht_graph_set_name (HtGraph *self, const char *name)
{
  g_return_if_fail (!self->sealed);
  g_free (self->name);
  self->name = g_strdup (name != NULL ? name : "");
}

/* ---- Copies ---- */

static GBytes *
ref_bytes (GBytes *bytes)
{
  return bytes != NULL ? g_bytes_ref (bytes) : NULL;
}

static HtAttribute *
copy_attribute (HtAttribute *attribute)
{
  if (!ht_attribute_has_graphs (attribute))
    return ht_attribute_ref (attribute);
  g_autoptr (GPtrArray) graphs = g_ptr_array_new_with_free_func (g_object_unref);
  for (gsize i = 0; i < attribute->n_values; i++)
    g_ptr_array_add (graphs, ht_graph_copy (attribute->graphs[i]));
  HtAttribute *copy = ht_attribute_new_graphs (attribute->name, attribute->type == HT_ATTRIBUTE_GRAPHS,
                                               (HtGraph *const *) graphs->pdata, graphs->len);
  ht_attribute_set_extra (copy, attribute->extra);
  return copy;
}

static HtNode *
copy_node (HtNode *node)
{
  HtNode *copy = ht_node_new (node->op_type, node->domain, node->name);
  for (guint i = 0; i < node->inputs->len; i++)
    g_ptr_array_add (copy->inputs, g_ref_string_acquire (g_ptr_array_index (node->inputs, i)));
  for (guint i = 0; i < node->outputs->len; i++)
    g_ptr_array_add (copy->outputs, g_ref_string_acquire (g_ptr_array_index (node->outputs, i)));
  for (guint i = 0; i < node->attributes->len; i++)
    g_ptr_array_add (copy->attributes, copy_attribute (g_ptr_array_index (node->attributes, i)));
  copy->extra = ref_bytes (node->extra);
  return copy;
}

static void
copy_value (HtGraph *target, const HtValue *value)
{
  HtValue *copy = ht_graph_ensure_value (target, value->name);
  copy->n_outputs = value->n_outputs;
  copy->listed_input = value->listed_input;
  copy->type = value->type;
  copy->shape = value->shape != NULL ? ht_shape_ref (value->shape) : NULL;
  copy->element = value->element != NULL ? ht_element_type_ref (value->element) : NULL;
  copy->has_info = value->has_info;
  copy->type_proto = ref_bytes (value->type_proto);
  copy->info_extra = ref_bytes (value->info_extra);
  copy->initializer = value->initializer != NULL ? ht_tensor_ref (value->initializer) : NULL;
  copy->initializer_order = value->initializer_order;
  copy->initializer_extra = ref_bytes (value->initializer_extra);
  copy->sparse_initializer = ref_bytes (value->sparse_initializer);
}

static void
copy_name_list (GPtrArray *target, GPtrArray *names)
{
  for (guint i = 0; i < names->len; i++)
    g_ptr_array_add (target, g_ref_string_acquire (g_ptr_array_index (names, i)));
}

static void
copy_value_list (HtGraph *target, GPtrArray *list, GPtrArray *values)
{
  for (guint i = 0; i < values->len; i++)
    g_ptr_array_add (list, ht_graph_ensure_value (target, ((HtValue *) g_ptr_array_index (values, i))->name));
}

static void
copy_model_info (HtGraph *target, HtGraph *self)
{
  target->model.ir_version = self->model.ir_version;
  target->model.producer_name = g_strdup (self->model.producer_name);
  target->model.producer_version = g_strdup (self->model.producer_version);
  target->model.domain = g_strdup (self->model.domain);
  target->model.model_version = self->model.model_version;
  target->model.extra = ref_bytes (self->model.extra);
  for (guint i = 0; i < self->model.functions->len; i++)
    g_ptr_array_add (target->model.functions, g_bytes_ref (g_ptr_array_index (self->model.functions, i)));
  for (guint i = 0; i < self->opsets->len; i++)
    {
      HtOpset *opset = &g_array_index (self->opsets, HtOpset, i);
      HtOpset copy = { g_ref_string_acquire (opset->domain), opset->version };
      g_array_append_val (target->opsets, copy);
    }
}

/**
 * ht_graph_copy:
 * @self: a graph, sealed or not
 *
 * Makes a graph of the same content that may be edited. Tensors are shared, not copied: they never change, an edit puts
 * another one in their place. Subgraphs are copied; the copy of a subgraph itself stands alone.
 *
 * Returns: (transfer full): the copy, not sealed
 */
HtGraph *
ht_graph_copy (HtGraph *self)
{
  GHashTableIter iter;
  HtValue *value;

  g_return_val_if_fail (HT_IS_GRAPH (self), NULL);

  HtGraph *copy = ht_graph_new (self->name);
  copy->extra = ref_bytes (self->extra);
  copy_model_info (copy, self);
  g_hash_table_iter_init (&iter, self->values);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &value))
    copy_value (copy, value);
  copy->inputs_stale = TRUE;
  copy_name_list (copy->listed_inputs, self->listed_inputs);
  copy_name_list (copy->outputs, self->outputs);
  copy_value_list (copy, copy->initializers, self->initializers);
  copy_value_list (copy, copy->sparse_initializers, self->sparse_initializers);
  for (guint i = 0; i < self->nodes->len; i++)
    {
      HtNode *node = copy_node (g_ptr_array_index (self->nodes, i));
      node->graph = copy;
      node->order = i;
      g_ptr_array_add (copy->nodes, node);
      ht_graph_index_node (copy, node);
    }
  copy->next_order = MAX (self->next_order, self->nodes->len);
  ht_graph_refresh (copy);
  return copy;
}

static void
seal_subgraph (HtGraph *subgraph, gpointer user_data)
{
  ht_graph_seal (subgraph);
}

/**
 * ht_graph_seal:
 * @self: a graph
 *
 * Ends editing for ever, subgraphs included: from here on the graph may be shared between threads.
 */
void
ht_graph_seal (HtGraph *self)
{
  g_return_if_fail (HT_IS_GRAPH (self));
  if (self->sealed)
    return;
  ht_graph_refresh (self);
  ht_graph_update_inputs (self);
  self->sealed = TRUE;
  for (guint i = 0; i < self->nodes->len; i++)
    ht_node_foreach_subgraph (g_ptr_array_index (self->nodes, i), seal_subgraph, NULL);
}

/**
 * ht_graph_is_sealed:
 * @self: a graph
 *
 * Returns: %TRUE when the graph may not be edited any more
 */
gboolean
ht_graph_is_sealed (HtGraph *self)
{
  g_return_val_if_fail (HT_IS_GRAPH (self), FALSE);
  return self->sealed;
}

/* ---- Scopes ---- */

HtGraph *
ht_graph_get_parent (HtGraph *self)
{
  return self->parent;
}

HtGraph *
ht_graph_get_root (HtGraph *self)
{
  while (self->parent != NULL)
    self = self->parent;
  return self;
}

HtGraph *
ht_graph_find_scope (HtGraph *self, const char *name)
{
  for (HtGraph *graph = self; graph != NULL; graph = graph->parent)
    {
      HtValue *value = g_hash_table_lookup (graph->values, name);
      if (value != NULL && ht_value_is_defined (value))
        return graph;
    }
  return NULL;
}

HtModelInfo *
ht_graph_get_model_info (HtGraph *self)
{
  return &ht_graph_get_root (self)->model;
}

/* ---- Queries ---- */

/**
 * ht_graph_get_name:
 * @self: a graph
 *
 * Returns: (transfer none): the name, "" for a graph without
 */
const char *
ht_graph_get_name (HtGraph *self)
{
  g_return_val_if_fail (HT_IS_GRAPH (self), "");
  return self->name;
}

static HtOpset *
find_opset (HtGraph *self, const char *domain)
{
  HtGraph *root = ht_graph_get_root (self);
  for (guint i = 0; i < root->opsets->len; i++)
    {
      HtOpset *opset = &g_array_index (root->opsets, HtOpset, i);
      if (strcmp (opset->domain, ht_canonical_domain (domain)) == 0)
        return opset;
    }
  return NULL;
}

/**
 * ht_graph_get_opset:
 * @self: a graph; a subgraph answers for the model it is in
 * @domain: (nullable): a domain, "" or %NULL for ONNX's own
 *
 * Returns: the version of the operator set that the model imports for @domain, 0 when it imports none
 */
gint64
ht_graph_get_opset (HtGraph *self, const char *domain)
{
  g_return_val_if_fail (HT_IS_GRAPH (self), 0);
  HtOpset *opset = find_opset (self, domain);
  return opset != NULL ? opset->version : 0;
}

/**
 * ht_graph_set_opset:
 * @self: a graph; a subgraph changes the model it is in
 * @domain: (nullable): a domain, "" or %NULL for ONNX's own
 * @version: the version of its operator set
 *
 * Imports an operator set.
 */
void
ht_graph_set_opset (HtGraph *self, const char *domain, gint64 version)
{
  g_return_if_fail (HT_IS_GRAPH (self));
  g_return_if_fail (!self->sealed);

  HtOpset *opset = find_opset (self, domain);
  if (opset != NULL)
    {
      opset->version = version;
      return;
    }
  HtOpset fresh = { g_ref_string_new_intern (ht_canonical_domain (domain)), version };
  g_array_append_val (ht_graph_get_root (self)->opsets, fresh);
}

/**
 * ht_graph_get_n_nodes:
 * @self: a graph
 *
 * Returns: the number of nodes
 */
guint
ht_graph_get_n_nodes (HtGraph *self)
{
  g_return_val_if_fail (HT_IS_GRAPH (self), 0);
  return self->nodes->len;
}

/**
 * ht_graph_get_node:
 * @self: a graph
 * @index: a position below the number of nodes
 *
 * Returns: (transfer none): the node at that position
 */
HtNode *
ht_graph_get_node (HtGraph *self, guint index)
{
  g_return_val_if_fail (HT_IS_GRAPH (self), NULL);
  g_return_val_if_fail (index < self->nodes->len, NULL);
  return g_ptr_array_index (self->nodes, index);
}

/**
 * ht_graph_find_node:
 * @self: a graph
 * @name: the name of a node
 *
 * Looks a node up in this graph, not in its subgraphs.
 *
 * Returns: (transfer none) (nullable): the node, or %NULL when none has the name
 */
HtNode *
ht_graph_find_node (HtGraph *self, const char *name)
{
  g_return_val_if_fail (HT_IS_GRAPH (self) && name != NULL, NULL);
  return g_hash_table_lookup (self->nodes_by_name, name);
}

/**
 * ht_graph_get_producer:
 * @self: a graph
 * @tensor: a tensor
 *
 * Looks for the node of this graph that makes a tensor.
 *
 * Returns: (transfer none) (nullable): the node; %NULL for an input, an initializer, a tensor from outside a subgraph
 *   and an unknown name
 */
HtNode *
ht_graph_get_producer (HtGraph *self, const char *tensor)
{
  g_return_val_if_fail (HT_IS_GRAPH (self) && tensor != NULL, NULL);
  HtValue *value = g_hash_table_lookup (self->values, tensor);
  return value != NULL ? value->producer : NULL;
}

static int
compare_order (gconstpointer a, gconstpointer b)
{
  const HtNode *first = *(HtNode *const *) a, *second = *(HtNode *const *) b;
  return first->order < second->order ? -1 : first->order > second->order;
}

/**
 * ht_graph_list_consumers:
 * @self: a graph
 * @tensor: a tensor
 *
 * Lists the nodes of this graph that use a tensor, each once, in the graph's order: those that have it as an input, and
 * those whose subgraphs, at any depth, take it from outside.
 *
 * Returns: (transfer full) (element-type HtNode): the nodes
 */
GPtrArray *
ht_graph_list_consumers (HtGraph *self, const char *tensor)
{
  g_return_val_if_fail (HT_IS_GRAPH (self) && tensor != NULL, NULL);

  GPtrArray *nodes = g_ptr_array_new_with_free_func ((GDestroyNotify) ht_node_unref);
  HtValue *value = ht_graph_lookup_value (self, tensor);
  if (value == NULL || value->consumers == NULL)
    return nodes;
  GHashTableIter iter;
  gpointer node;
  g_hash_table_iter_init (&iter, value->consumers);
  while (g_hash_table_iter_next (&iter, &node, NULL))
    g_ptr_array_add (nodes, ht_node_ref (node));
  g_ptr_array_sort (nodes, compare_order);
  return nodes;
}

/**
 * ht_graph_count_uses:
 * @self: a graph
 * @tensor: a tensor
 *
 * Counts every occurrence of a tensor as input of a node, as something that a subgraph takes from outside (there each
 * occurrence inside counts), and as output of the graph.
 *
 * Returns: the number of uses
 */
guint
ht_graph_count_uses (HtGraph *self, const char *tensor)
{
  g_return_val_if_fail (HT_IS_GRAPH (self) && tensor != NULL, 0);
  HtValue *value = ht_graph_lookup_value (self, tensor);
  return value != NULL ? value->n_uses + value->n_outputs : 0;
}

/**
 * ht_graph_is_input:
 * @self: a graph
 * @tensor: a tensor
 *
 * Returns: %TRUE for an input that has to be given to run the graph; %FALSE for an initializer that older files list
 *   among the inputs
 */
gboolean
ht_graph_is_input (HtGraph *self, const char *tensor)
{
  g_return_val_if_fail (HT_IS_GRAPH (self) && tensor != NULL, FALSE);
  HtValue *value = g_hash_table_lookup (self->values, tensor);
  return value != NULL && value->listed_input && value->initializer == NULL && value->sparse_initializer == NULL;
}

/**
 * ht_graph_is_output:
 * @self: a graph
 * @tensor: a tensor
 *
 * Returns: %TRUE when the graph gives the tensor out
 */
gboolean
ht_graph_is_output (HtGraph *self, const char *tensor)
{
  g_return_val_if_fail (HT_IS_GRAPH (self) && tensor != NULL, FALSE);
  HtValue *value = g_hash_table_lookup (self->values, tensor);
  return value != NULL && value->n_outputs > 0;
}

/**
 * ht_graph_get_inputs:
 * @self: a graph
 *
 * Returns: (array zero-terminated=1) (transfer none): the inputs that have to be given, in order, without the
 *   initializers that older files list among them; valid until an input or initializer is edited
 */
const char *const *
ht_graph_get_inputs (HtGraph *self)
{
  g_return_val_if_fail (HT_IS_GRAPH (self), NULL);
  ht_graph_update_inputs (self);
  return (const char *const *) self->inputs->pdata;
}

/**
 * ht_graph_get_outputs:
 * @self: a graph
 *
 * Returns: (array zero-terminated=1) (transfer none): the outputs in order; valid until an output is edited
 */
const char *const *
ht_graph_get_outputs (HtGraph *self)
{
  g_return_val_if_fail (HT_IS_GRAPH (self), NULL);
  return (const char *const *) self->outputs->pdata;
}

/**
 * ht_graph_get_data_type:
 * @self: a graph
 * @tensor: a tensor; in a subgraph also one from outside
 *
 * Returns: the element type as far as it is declared, inferred or given by an initializer, else
 *   %HT_DATA_TYPE_UNDEFINED
 */
HtDataType
ht_graph_get_data_type (HtGraph *self, const char *tensor)
{
  g_return_val_if_fail (HT_IS_GRAPH (self) && tensor != NULL, HT_DATA_TYPE_UNDEFINED);
  for (HtGraph *graph = self; graph != NULL; graph = graph->parent)
    {
      HtValue *value = g_hash_table_lookup (graph->values, tensor);
      if (value != NULL && (value->type != HT_DATA_TYPE_UNDEFINED || ht_value_is_defined (value)))
        return value->type;
    }
  return HT_DATA_TYPE_UNDEFINED;
}

HtElementType *
ht_graph_get_element_type (HtGraph *self, const char *tensor)
{
  for (HtGraph *graph = self; graph != NULL; graph = graph->parent)
    {
      HtValue *value = g_hash_table_lookup (graph->values, tensor);
      if (value != NULL && (value->element != NULL || ht_value_is_defined (value)))
        return value->element;
    }
  return NULL;
}

/**
 * ht_graph_get_shape:
 * @self: a graph
 * @tensor: a tensor; in a subgraph also one from outside
 *
 * Returns: (transfer none) (nullable): the shape as far as it is declared, inferred or given by an initializer; %NULL
 *   when not even the rank is known. Valid until the tensor is edited
 */
HtShape *
ht_graph_get_shape (HtGraph *self, const char *tensor)
{
  g_return_val_if_fail (HT_IS_GRAPH (self) && tensor != NULL, NULL);
  for (HtGraph *graph = self; graph != NULL; graph = graph->parent)
    {
      HtValue *value = g_hash_table_lookup (graph->values, tensor);
      if (value != NULL && (value->shape != NULL || ht_value_is_defined (value)))
        return value->shape;
    }
  return NULL;
}

/**
 * ht_graph_list_initializers:
 * @self: a graph
 *
 * Returns: (array zero-terminated=1) (transfer full): the names of the initializers of this graph, in order
 */
char **
ht_graph_list_initializers (HtGraph *self)
{
  g_return_val_if_fail (HT_IS_GRAPH (self), NULL);
  char **names = g_new0 (char *, self->initializers->len + 1);
  for (guint i = 0; i < self->initializers->len; i++)
    names[i] = g_strdup (((HtValue *) g_ptr_array_index (self->initializers, i))->name);
  return names;
}

/**
 * ht_graph_get_initializer:
 * @self: a graph
 * @name: a tensor
 *
 * Looks an initializer of this graph up. Constants in a wider sense are found by ht_graph_get_constant().
 *
 * Returns: (transfer none) (nullable): the value, %NULL when the tensor is no initializer; valid until it is edited
 */
HtTensor *
ht_graph_get_initializer (HtGraph *self, const char *name)
{
  g_return_val_if_fail (HT_IS_GRAPH (self) && name != NULL, NULL);
  HtValue *value = g_hash_table_lookup (self->values, name);
  return value != NULL ? value->initializer : NULL;
}
