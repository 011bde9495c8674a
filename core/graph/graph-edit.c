/* SPDX-License-Identifier: MIT */
/* Single edits. Each keeps the indexes right; none looks at more than what it changes. */
#include "graph/constants.h"
#include "graph/graph-private.h"

#include <string.h>

/* ---- Nodes ---- */

static gboolean
owns (HtGraph *self, HtNode *node)
{
  return HT_IS_GRAPH (self) && !self->sealed && node != NULL && node->graph == self;
}

/**
 * ht_graph_add_node:
 * @self: a graph
 * @op_type: the operator
 * @domain: (nullable): its domain, "" or %NULL for ONNX's own
 * @name: (nullable): the node's name, which should be unique, see ht_graph_make_name()
 * @inputs: (array zero-terminated=1) (nullable): the names of the inputs, "" where one is absent
 * @outputs: (array zero-terminated=1) (nullable): the names of the outputs
 *
 * Appends a node. It may stand before or after what makes its inputs: ht_graph_sort() puts the nodes in order.
 *
 * Returns: (transfer none): the node
 */
HtNode *
ht_graph_add_node (HtGraph *self, const char *op_type, const char *domain, const char *name, const char *const *inputs,
                   const char *const *outputs)
{
  g_return_val_if_fail (HT_IS_GRAPH (self), NULL);
  g_return_val_if_fail (!self->sealed, NULL);
  g_return_val_if_fail (op_type != NULL, NULL);

  HtNode *node = ht_node_new (op_type, domain, name);
  ht_node_set_name_list (node->inputs, inputs);
  ht_node_set_name_list (node->outputs, outputs);
  node->graph = self;
  node->order = self->next_order++;
  g_ptr_array_add (self->nodes, node);
  ht_graph_index_node (self, node);
  return node;
}

/**
 * ht_graph_remove_node:
 * @self: a graph
 * @node: one of its nodes
 *
 * Removes a node. What used its outputs is left without a producer: rewire it, see ht_graph_replace_uses() and
 * ht_graph_bypass_node().
 */
void
ht_graph_remove_node (HtGraph *self, HtNode *node)
{
  g_return_if_fail (owns (self, node));
  node->graph = NULL;
  ht_graph_unindex_node (self, node);
  g_ptr_array_remove_index (self->nodes, ht_graph_find_position (self, node));
}

static void
grow_names (GPtrArray *names, guint length)
{
  while (names->len < length)
    g_ptr_array_add (names, g_ref_string_new_intern (""));
}

static void
replace_name (GPtrArray *names, guint index, const char *name)
{
  char *old = g_ptr_array_index (names, index);
  names->pdata[index] = g_ref_string_new_intern (name);
  g_ref_string_release (old);
}

/**
 * ht_graph_set_node_input:
 * @self: a graph
 * @node: one of its nodes
 * @index: which input; beyond the last one the list grows, absent inputs in between
 * @tensor: the tensor to use, "" for none
 *
 * Wires one input of a node anew.
 */
void
ht_graph_set_node_input (HtGraph *self, HtNode *node, guint index, const char *tensor)
{
  g_return_if_fail (owns (self, node));
  g_return_if_fail (tensor != NULL && index < G_MAXINT32);

  grow_names (node->inputs, index + 1);
  const char *old = g_ptr_array_index (node->inputs, index);
  if (strcmp (old, tensor) == 0)
    return;
  ht_graph_index_input (self, node, tensor, 1);
  ht_graph_index_input (self, node, old, -1);
  replace_name (node->inputs, index, tensor);
}

/**
 * ht_graph_set_node_output:
 * @self: a graph
 * @node: one of its nodes
 * @index: which output; beyond the last one the list grows, absent outputs in between
 * @tensor: the name of the tensor made, "" for none
 *
 * Names one output of a node anew. What used the old name is not changed.
 */
void
ht_graph_set_node_output (HtGraph *self, HtNode *node, guint index, const char *tensor)
{
  g_return_if_fail (owns (self, node));
  g_return_if_fail (tensor != NULL && index < G_MAXINT32);

  grow_names (node->outputs, index + 1);
  g_autofree char *old = g_strdup (g_ptr_array_index (node->outputs, index));
  if (strcmp (old, tensor) == 0)
    return;
  replace_name (node->outputs, index, tensor);
  ht_graph_index_output (self, node, tensor, 1);
  ht_graph_index_output (self, node, old, -1);
}

/**
 * ht_graph_set_node_op:
 * @self: a graph
 * @node: one of its nodes
 * @op_type: the operator
 * @domain: (nullable): its domain, "" or %NULL for ONNX's own
 *
 * Makes a node apply another operator. Inputs, outputs and attributes stay as they are.
 */
void
ht_graph_set_node_op (HtGraph *self, HtNode *node, const char *op_type, const char *domain)
{
  g_return_if_fail (owns (self, node));
  g_return_if_fail (op_type != NULL);
  char *old_type = node->op_type, *old_domain = node->domain;
  node->op_type = g_ref_string_new_intern (op_type);
  node->domain = g_ref_string_new_intern (ht_canonical_domain (domain));
  g_ref_string_release (old_type);
  g_ref_string_release (old_domain);
}

/**
 * ht_graph_set_node_name:
 * @self: a graph
 * @node: one of its nodes
 * @name: (nullable): the name, "" or %NULL for none
 *
 * Names a node. Names should be unique, see ht_graph_make_name().
 */
void
ht_graph_set_node_name (HtGraph *self, HtNode *node, const char *name)
{
  g_return_if_fail (owns (self, node));
  char *fresh = g_ref_string_new_intern (name != NULL ? name : "");
  ht_graph_unindex_name (self, node);
  g_ref_string_release (node->name);
  node->name = fresh;
  ht_graph_index_name (self, node);
}

void
ht_graph_set_node_extra (HtGraph *self, HtNode *node, GBytes *extra)
{
  g_return_if_fail (owns (self, node));
  g_clear_pointer (&node->extra, g_bytes_unref);
  node->extra = extra != NULL ? g_bytes_ref (extra) : NULL;
}

/* ---- Tensors ---- */

static void
add_listed_name (GPtrArray *names, const char *name)
{
  g_ptr_array_add (names, g_ref_string_new_intern (name));
}

static void
remove_listed_name (GPtrArray *names, const char *name)
{
  for (guint i = names->len; i > 0; i--)
    if (strcmp (g_ptr_array_index (names, i - 1), name) == 0)
      g_ptr_array_remove_index (names, i - 1);
}

static void
set_value_shape (HtValue *value, HtDataType type, HtShape *shape)
{
  if (value->type == type && ht_shape_equal (value->shape, shape))
    return;
  value->type = type;
  if (shape != NULL)
    ht_shape_ref (shape);
  g_clear_pointer (&value->shape, ht_shape_unref);
  value->shape = shape;
  g_clear_pointer (&value->element, ht_element_type_unref);
  g_clear_pointer (&value->type_proto, g_bytes_unref);
}

/**
 * ht_graph_add_input:
 * @self: a graph
 * @name: the tensor's name
 * @type: its element type
 * @shape: (nullable): its shape, %NULL when not even the rank is known
 *
 * Appends an input.
 */
void
ht_graph_add_input (HtGraph *self, const char *name, HtDataType type, HtShape *shape)
{
  g_return_if_fail (HT_IS_GRAPH (self));
  g_return_if_fail (!self->sealed);
  g_return_if_fail (name != NULL && *name != '\0');

  HtValue *value = ht_graph_ensure_value (self, name);
  value->listed_input = TRUE;
  value->has_info = TRUE;
  if (value->initializer == NULL)
    set_value_shape (value, type, shape);
  add_listed_name (self->listed_inputs, name);
  self->inputs_stale = TRUE;
  ht_graph_touch (self);
}

void
ht_graph_remove_input (HtGraph *self, const char *name)
{
  g_return_if_fail (!self->sealed);
  HtValue *value = g_hash_table_lookup (self->values, name);
  if (value == NULL || !value->listed_input)
    return;
  remove_listed_name (self->listed_inputs, value->name);
  self->inputs_stale = TRUE;
  value->listed_input = FALSE;
  ht_graph_release_value (self, value);
  ht_graph_touch (self);
}

/**
 * ht_graph_add_output:
 * @self: a graph
 * @name: the tensor's name
 * @type: its element type; %HT_DATA_TYPE_UNDEFINED keeps what is known of the tensor
 * @shape: (nullable): its shape, %NULL when not even the rank is known
 *
 * Appends an output.
 */
void
ht_graph_add_output (HtGraph *self, const char *name, HtDataType type, HtShape *shape)
{
  g_return_if_fail (HT_IS_GRAPH (self));
  g_return_if_fail (!self->sealed);
  g_return_if_fail (name != NULL && *name != '\0');

  HtValue *value = ht_graph_ensure_value (self, name);
  value->n_outputs++;
  value->has_info = TRUE;
  if (value->initializer == NULL && (type != HT_DATA_TYPE_UNDEFINED || shape != NULL))
    set_value_shape (value, type, shape);
  add_listed_name (self->outputs, name);
  ht_graph_touch (self);
}

void
ht_graph_remove_output (HtGraph *self, const char *name)
{
  g_return_if_fail (!self->sealed);
  HtValue *value = g_hash_table_lookup (self->values, name);
  if (value == NULL || value->n_outputs == 0)
    return;
  remove_listed_name (self->outputs, value->name);
  value->n_outputs = 0;
  ht_graph_release_value (self, value);
  ht_graph_touch (self);
}

/* Position of the value in a list that is ordered by initializer_order. */
static guint
find_initializer (GPtrArray *list, const HtValue *value)
{
  guint low = 0, high = list->len;
  while (low < high)
    {
      guint middle = low + (high - low) / 2;
      if (((HtValue *) g_ptr_array_index (list, middle))->initializer_order < value->initializer_order)
        low = middle + 1;
      else
        high = middle;
    }
  return low;
}

static void
drop_sparse (HtGraph *self, HtValue *value)
{
  if (value->sparse_initializer == NULL)
    return;
  g_ptr_array_remove_index (self->sparse_initializers, find_initializer (self->sparse_initializers, value));
  g_clear_pointer (&value->sparse_initializer, g_bytes_unref);
}

static void
drop_initializer (HtGraph *self, HtValue *value)
{
  if (value->initializer == NULL)
    return;
  g_ptr_array_remove_index (self->initializers, find_initializer (self->initializers, value));
  g_clear_pointer (&value->initializer, ht_tensor_unref);
  g_clear_pointer (&value->initializer_extra, g_bytes_unref);
}

/**
 * ht_graph_set_initializer:
 * @self: a graph
 * @name: the tensor's name
 * @tensor: its value, which never changes from here on (it is not writable even when the graph lets go of it)
 *
 * Gives a tensor a constant value, or another one. The graph keeps a reference; a tensor over memory lent by an executor
 * is copied. A node that made the tensor (Constant, Transpose of a constant, ...) goes, with the constants that only
 * served it.
 */
void
ht_graph_set_initializer (HtGraph *self, const char *name, HtTensor *tensor)
{
  g_return_if_fail (HT_IS_GRAPH (self));
  g_return_if_fail (!self->sealed);
  g_return_if_fail (name != NULL && *name != '\0');
  g_return_if_fail (tensor != NULL);

  HtTensor *kept = ht_tensor_keep (tensor);
  g_autofree char *own_name = g_strdup (name); /* the producer may be what holds the name */
  ht_graph_release_producer (self, own_name);
  HtValue *value = ht_graph_ensure_value (self, own_name);
  drop_sparse (self, value);
  if (value->initializer != NULL)
    {
      g_clear_pointer (&value->initializer, ht_tensor_unref);
      g_clear_pointer (&value->initializer_extra, g_bytes_unref);
    }
  else
    {
      value->initializer_order = self->next_order++;
      g_ptr_array_add (self->initializers, value);
      self->inputs_stale = TRUE;
      ht_graph_touch (self);
    }
  value->initializer = kept;
  g_autoptr (HtShape) shape = ht_shape_new (kept->dims, NULL, kept->n_dims);
  set_value_shape (value, kept->type, shape);
}

/**
 * ht_graph_remove_initializer:
 * @self: a graph
 * @name: the tensor's name
 *
 * Takes the constant value from a tensor. One that the file lists among the inputs becomes an input that has to be given.
 */
void
ht_graph_remove_initializer (HtGraph *self, const char *name)
{
  g_return_if_fail (HT_IS_GRAPH (self));
  g_return_if_fail (!self->sealed);
  g_return_if_fail (name != NULL);

  HtValue *value = g_hash_table_lookup (self->values, name);
  if (value == NULL || value->initializer == NULL)
    return;
  drop_initializer (self, value);
  self->inputs_stale = TRUE;
  ht_graph_release_value (self, value);
  ht_graph_touch (self);
}

void
ht_graph_set_initializer_extra (HtGraph *self, const char *name, GBytes *extra)
{
  HtValue *value = g_hash_table_lookup (self->values, name);
  g_return_if_fail (!self->sealed);
  g_return_if_fail (value != NULL && value->initializer != NULL);
  g_clear_pointer (&value->initializer_extra, g_bytes_unref);
  value->initializer_extra = extra != NULL ? g_bytes_ref (extra) : NULL;
}

void
ht_graph_set_sparse_initializer (HtGraph *self, const char *name, GBytes *sparse)
{
  g_return_if_fail (!self->sealed);
  g_return_if_fail (name != NULL && *name != '\0' && sparse != NULL);
  HtValue *value = ht_graph_ensure_value (self, name);
  drop_initializer (self, value);
  drop_sparse (self, value);
  value->initializer_order = self->next_order++;
  value->sparse_initializer = g_bytes_ref (sparse);
  g_ptr_array_add (self->sparse_initializers, value);
  self->inputs_stale = TRUE;
  ht_graph_touch (self);
}

/**
 * ht_graph_set_shape:
 * @self: a graph
 * @tensor: one of its tensors
 * @type: its element type
 * @shape: (nullable): its shape, %NULL when not even the rank is known
 *
 * Declares type and shape of a tensor. What an initializer says of itself stands.
 */
void
ht_graph_set_shape (HtGraph *self, const char *tensor, HtDataType type, HtShape *shape)
{
  g_return_if_fail (HT_IS_GRAPH (self));
  g_return_if_fail (!self->sealed);
  g_return_if_fail (tensor != NULL && *tensor != '\0');

  HtValue *value = ht_graph_ensure_value (self, tensor);
  value->has_info = TRUE;
  if (value->initializer == NULL)
    set_value_shape (value, type, shape);
}

void
ht_graph_set_element_type (HtGraph *self, const char *tensor, HtElementType *element)
{
  g_return_if_fail (!self->sealed);
  HtValue *value = ht_graph_ensure_value (self, tensor);
  if (ht_element_type_equal (value->element, element))
    return;
  g_clear_pointer (&value->element, ht_element_type_unref);
  value->element = element != NULL ? ht_element_type_ref (element) : NULL;
  g_clear_pointer (&value->type_proto, g_bytes_unref);
}

void
ht_graph_set_value_extra (HtGraph *self, const char *tensor, GBytes *type_proto, GBytes *info_extra)
{
  g_return_if_fail (!self->sealed);
  HtValue *value = ht_graph_ensure_value (self, tensor);
  value->has_info = TRUE;
  g_clear_pointer (&value->type_proto, g_bytes_unref);
  g_clear_pointer (&value->info_extra, g_bytes_unref);
  value->type_proto = type_proto != NULL ? g_bytes_ref (type_proto) : NULL;
  value->info_extra = info_extra != NULL ? g_bytes_ref (info_extra) : NULL;
}

void
ht_graph_set_extra (HtGraph *self, GBytes *extra)
{
  g_return_if_fail (!self->sealed);
  g_clear_pointer (&self->extra, g_bytes_unref);
  self->extra = extra != NULL ? g_bytes_ref (extra) : NULL;
}
