/* SPDX-License-Identifier: MIT */
/* Setting the attributes of nodes. */
#include "graph/graph-private.h"

#include <string.h>

static gboolean
may_edit (HtGraph *self, HtNode *node, const char *name)
{
  return HT_IS_GRAPH (self) && !self->sealed && node != NULL && node->graph == self && name != NULL;
}

static gboolean
find_index (HtNode *node, const char *name, guint *index)
{
  for (*index = 0; *index < node->attributes->len; (*index)++)
    if (strcmp (((HtAttribute *) g_ptr_array_index (node->attributes, *index))->name, name) == 0)
      return TRUE;
  return FALSE;
}

void
ht_graph_take_attribute (HtGraph *self, HtNode *node, HtAttribute *attribute)
{
  guint index = 0;
  ht_graph_adopt_subgraphs (self, node, attribute);
  if (!find_index (node, attribute->name, &index))
    {
      g_ptr_array_add (node->attributes, attribute);
      return;
    }
  g_autoptr (HtAttribute) old = node->attributes->pdata[index];
  node->attributes->pdata[index] = attribute;
  ht_graph_drop_subgraphs (self, node, old);
}

/**
 * ht_graph_set_int:
 * @self: a graph
 * @node: one of its nodes
 * @name: an attribute
 * @value: its value
 *
 * Sets an attribute, whatever type it had.
 */
void
ht_graph_set_int (HtGraph *self, HtNode *node, const char *name, gint64 value)
{
  g_return_if_fail (may_edit (self, node, name));
  ht_graph_take_attribute (self, node, ht_attribute_new_int (name, value));
}

/**
 * ht_graph_set_float:
 * @self: a graph
 * @node: one of its nodes
 * @name: an attribute
 * @value: its value, stored as float
 *
 * Sets an attribute, whatever type it had.
 */
void
ht_graph_set_float (HtGraph *self, HtNode *node, const char *name, double value)
{
  g_return_if_fail (may_edit (self, node, name));
  ht_graph_take_attribute (self, node, ht_attribute_new_float (name, (float) value));
}

/**
 * ht_graph_set_string:
 * @self: a graph
 * @node: one of its nodes
 * @name: an attribute
 * @value: its value
 *
 * Sets an attribute, whatever type it had.
 */
void
ht_graph_set_string (HtGraph *self, HtNode *node, const char *name, const char *value)
{
  g_return_if_fail (may_edit (self, node, name));
  g_return_if_fail (value != NULL);
  ht_graph_take_attribute (self, node, ht_attribute_new_string (name, value, strlen (value)));
}

/**
 * ht_graph_set_ints:
 * @self: a graph
 * @node: one of its nodes
 * @name: an attribute
 * @values: (array length=n_values) (nullable): its values
 * @n_values: their number
 *
 * Sets an attribute, whatever type it had.
 */
void
ht_graph_set_ints (HtGraph *self, HtNode *node, const char *name, const gint64 *values, gsize n_values)
{
  g_return_if_fail (may_edit (self, node, name));
  g_return_if_fail (values != NULL || n_values == 0);
  ht_graph_take_attribute (self, node, ht_attribute_new_ints (name, values, n_values));
}

/**
 * ht_graph_set_floats:
 * @self: a graph
 * @node: one of its nodes
 * @name: an attribute
 * @values: (array length=n_values) (nullable): its values
 * @n_values: their number
 *
 * Sets an attribute, whatever type it had.
 */
void
ht_graph_set_floats (HtGraph *self, HtNode *node, const char *name, const float *values, gsize n_values)
{
  g_return_if_fail (may_edit (self, node, name));
  g_return_if_fail (values != NULL || n_values == 0);
  ht_graph_take_attribute (self, node, ht_attribute_new_floats (name, values, n_values));
}

/**
 * ht_graph_set_tensor:
 * @self: a graph
 * @node: one of its nodes
 * @name: an attribute
 * @tensor: its value, which never changes from here on
 *
 * Sets an attribute, whatever type it had.
 */
void
ht_graph_set_tensor (HtGraph *self, HtNode *node, const char *name, HtTensor *tensor)
{
  g_return_if_fail (may_edit (self, node, name));
  g_return_if_fail (tensor != NULL);
  ht_graph_take_attribute (self, node, ht_attribute_new_tensors (name, FALSE, &tensor, 1));
}

/**
 * ht_graph_set_subgraph:
 * @self: a graph
 * @node: one of its nodes
 * @name: an attribute
 * @subgraph: its value; the graph itself is taken where it is free, a copy where it is sealed or part of a graph already
 *
 * Sets an attribute, whatever type it had.
 */
void
ht_graph_set_subgraph (HtGraph *self, HtNode *node, const char *name, HtGraph *subgraph)
{
  g_return_if_fail (may_edit (self, node, name));
  g_return_if_fail (HT_IS_GRAPH (subgraph));

  gboolean is_free = !subgraph->sealed && subgraph->parent == NULL && ht_graph_get_root (self) != subgraph;
  g_autoptr (HtGraph) taken = is_free ? g_object_ref (subgraph) : ht_graph_copy (subgraph);
  ht_graph_take_attribute (self, node, ht_attribute_new_graphs (name, FALSE, &taken, 1));
}

/**
 * ht_graph_remove_attribute:
 * @self: a graph
 * @node: one of its nodes
 * @name: an attribute
 *
 * Removes an attribute, so that its operator's default holds; does nothing where the node does not carry it.
 */
void
ht_graph_remove_attribute (HtGraph *self, HtNode *node, const char *name)
{
  guint index = 0;
  g_return_if_fail (may_edit (self, node, name));
  if (!find_index (node, name, &index))
    return;
  ht_graph_drop_subgraphs (self, node, g_ptr_array_index (node->attributes, index));
  g_ptr_array_remove_index (node->attributes, index);
}
