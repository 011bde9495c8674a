/* SPDX-License-Identifier: MIT */
/* Who makes and who uses each tensor, kept right by every edit at a cost that does not grow with the graph.
 *
 * A node with subgraphs also uses what these take from outside ("captures"). They are counted per node and counted anew,
 * at the next question, after an edit inside: the edit marks the way up as stale. A sealed graph is never stale, so that
 * threads may ask it at the same time. */
#include "graph/graph-private.h"

void
ht_value_free (HtValue *value)
{
  g_ref_string_release (value->name);
  g_clear_pointer (&value->consumers, g_hash_table_unref);
  g_clear_pointer (&value->shape, ht_shape_unref);
  g_clear_pointer (&value->element, ht_element_type_unref);
  g_clear_pointer (&value->type_proto, g_bytes_unref);
  g_clear_pointer (&value->info_extra, g_bytes_unref);
  g_clear_pointer (&value->initializer, ht_tensor_unref);
  g_clear_pointer (&value->initializer_extra, g_bytes_unref);
  g_clear_pointer (&value->sparse_initializer, g_bytes_unref);
  g_free (value);
}

gboolean
ht_value_is_defined (const HtValue *value)
{
  return value->producer != NULL || value->initializer != NULL || value->sparse_initializer != NULL
         || value->listed_input;
}

HtValue *
ht_graph_ensure_value (HtGraph *self, const char *name)
{
  HtValue *value = g_hash_table_lookup (self->values, name);
  if (value == NULL)
    {
      value = g_new0 (HtValue, 1);
      value->name = g_ref_string_new_intern (name);
      g_hash_table_insert (self->values, value->name, value);
    }
  return value;
}

void
ht_graph_release_value (HtGraph *self, HtValue *value)
{
  if (value->n_uses == 0 && value->n_outputs == 0 && !ht_value_is_defined (value))
    g_hash_table_remove (self->values, value->name);
}

HtValue *
ht_graph_lookup_value (HtGraph *self, const char *name)
{
  ht_graph_refresh (self);
  return g_hash_table_lookup (self->values, name);
}

void
ht_graph_index_input (HtGraph *self, HtNode *node, const char *name, int delta)
{
  if (*name == '\0' || delta == 0)
    return;
  HtValue *value = ht_graph_ensure_value (self, name);
  if (value->consumers == NULL)
    value->consumers = g_hash_table_new (NULL, NULL);
  int count = GPOINTER_TO_INT (g_hash_table_lookup (value->consumers, node)) + delta;
  value->n_uses += (guint) delta;
  if (count > 0)
    g_hash_table_insert (value->consumers, node, GINT_TO_POINTER (count));
  else
    g_hash_table_remove (value->consumers, node);
  if (value->n_uses == 0)
    {
      g_clear_pointer (&value->consumers, g_hash_table_unref);
      ht_graph_release_value (self, value);
    }
  ht_graph_touch (self);
}

/* A broken file may have several producers of one name; whoever is left takes over. A node on its way out no longer
 * names its graph. */
static HtNode *
find_other_producer (HtGraph *self, const char *name)
{
  for (guint i = 0; i < self->nodes->len; i++)
    {
      HtNode *node = g_ptr_array_index (self->nodes, i);
      for (guint k = 0; node->graph == self && k < node->outputs->len; k++)
        if (g_str_equal (g_ptr_array_index (node->outputs, k), name))
          return node;
    }
  return NULL;
}

void
ht_graph_index_output (HtGraph *self, HtNode *node, const char *name, int delta)
{
  if (*name == '\0')
    return;
  HtValue *value = ht_graph_ensure_value (self, name);
  value->n_producers += (guint) delta;
  if (delta > 0 && value->producer == NULL)
    value->producer = node;
  else if (delta < 0 && value->producer == node)
    value->producer = value->n_producers > 0 ? find_other_producer (self, name) : NULL;
  if (value->producer == NULL)
    ht_graph_release_value (self, value);
  ht_graph_touch (self);
}

static void
count_captures (HtGraph *subgraph, gpointer user_data)
{
  GHashTable *captures = user_data;
  GHashTableIter iter;
  HtValue *value;

  ht_graph_refresh (subgraph);
  g_hash_table_iter_init (&iter, subgraph->values);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &value))
    {
      guint uses = value->n_uses + value->n_outputs;
      if (uses == 0 || ht_value_is_defined (value))
        continue;
      uses += GPOINTER_TO_UINT (g_hash_table_lookup (captures, value->name));
      g_hash_table_replace (captures, g_ref_string_acquire (value->name), GUINT_TO_POINTER (uses));
    }
}

static void
index_captures (HtGraph *self, HtNode *node, int sign)
{
  GHashTableIter iter;
  gpointer name, uses;
  if (node->captures == NULL)
    return;
  g_hash_table_iter_init (&iter, node->captures);
  while (g_hash_table_iter_next (&iter, &name, &uses))
    ht_graph_index_input (self, node, name, sign * GPOINTER_TO_INT (uses));
}

static void
recount_captures (HtGraph *self, HtNode *node)
{
  GHashTable *fresh = g_hash_table_new_full (g_str_hash, g_str_equal, (GDestroyNotify) g_ref_string_release, NULL);
  ht_node_foreach_subgraph (node, count_captures, fresh);
  GHashTable *old = node->captures;
  /* The new uses come first, lest a value be dropped with what is known of it and made again. */
  node->captures = fresh;
  index_captures (self, node, 1);
  node->captures = old;
  index_captures (self, node, -1);
  node->captures = fresh;
  g_clear_pointer (&old, g_hash_table_unref);
}

static void
refresh_subgraph (HtGraph *subgraph, gpointer user_data)
{
  ht_graph_refresh (subgraph);
}

void
ht_graph_refresh (HtGraph *self)
{
  if (g_hash_table_size (self->stale_holders) == 0)
    return;
  guint n_holders = 0;
  g_autofree gpointer *holders = g_hash_table_get_keys_as_array (self->stale_holders, &n_holders);
  /* Refreshing what lies inside marks its holder again, so it is done before the marks are wiped. */
  for (guint i = 0; i < n_holders; i++)
    ht_node_foreach_subgraph (holders[i], refresh_subgraph, NULL);
  g_hash_table_remove_all (self->stale_holders);
  for (guint i = 0; i < n_holders; i++)
    recount_captures (self, holders[i]);
}

void
ht_graph_touch (HtGraph *self)
{
  for (HtGraph *graph = self; graph->parent != NULL; graph = graph->parent)
    if (!g_hash_table_add (graph->parent->stale_holders, graph->owner))
      return; /* so is everything further up */
}

static gboolean
has_subgraphs (HtNode *node)
{
  for (guint i = 0; i < node->attributes->len; i++)
    if (ht_attribute_has_graphs (g_ptr_array_index (node->attributes, i)))
      return TRUE;
  return FALSE;
}

void
ht_graph_adopt_subgraphs (HtGraph *self, HtNode *node, HtAttribute *attribute)
{
  if (!ht_attribute_has_graphs (attribute))
    return;
  for (gsize i = 0; i < attribute->n_values; i++)
    {
      attribute->graphs[i]->parent = self;
      attribute->graphs[i]->owner = node;
    }
  g_hash_table_add (self->holders, node);
  g_hash_table_add (self->stale_holders, node);
  ht_graph_touch (self);
}

void
ht_graph_drop_subgraphs (HtGraph *self, HtNode *node, HtAttribute *attribute)
{
  if (!ht_attribute_has_graphs (attribute))
    return;
  for (gsize i = 0; i < attribute->n_values; i++)
    {
      attribute->graphs[i]->parent = NULL;
      attribute->graphs[i]->owner = NULL;
    }
  g_hash_table_add (self->stale_holders, node);
  ht_graph_touch (self);
}

void
ht_graph_index_name (HtGraph *self, HtNode *node)
{
  if (*node->name == '\0')
    return;
  if (g_hash_table_contains (self->nodes_by_name, node->name))
    g_hash_table_add (self->shared_names, g_ref_string_acquire (node->name));
  else
    g_hash_table_insert (self->nodes_by_name, g_ref_string_acquire (node->name), node);
}

void
ht_graph_unindex_name (HtGraph *self, HtNode *node)
{
  if (*node->name == '\0' || g_hash_table_lookup (self->nodes_by_name, node->name) != node)
    return;
  g_hash_table_remove (self->nodes_by_name, node->name);
  if (!g_hash_table_contains (self->shared_names, node->name))
    return;
  for (guint i = 0; i < self->nodes->len; i++)
    {
      HtNode *other = g_ptr_array_index (self->nodes, i);
      if (other != node && g_str_equal (other->name, node->name))
        {
          g_hash_table_insert (self->nodes_by_name, g_ref_string_acquire (other->name), other);
          return;
        }
    }
}

void
ht_graph_index_node (HtGraph *self, HtNode *node)
{
  ht_graph_index_name (self, node);
  for (guint i = 0; i < node->inputs->len; i++)
    ht_graph_index_input (self, node, g_ptr_array_index (node->inputs, i), 1);
  for (guint i = 0; i < node->outputs->len; i++)
    ht_graph_index_output (self, node, g_ptr_array_index (node->outputs, i), 1);
  for (guint i = 0; i < node->attributes->len; i++)
    ht_graph_adopt_subgraphs (self, node, g_ptr_array_index (node->attributes, i));
}

void
ht_graph_unindex_node (HtGraph *self, HtNode *node)
{
  ht_graph_unindex_name (self, node);
  for (guint i = 0; i < node->inputs->len; i++)
    ht_graph_index_input (self, node, g_ptr_array_index (node->inputs, i), -1);
  for (guint i = 0; i < node->outputs->len; i++)
    ht_graph_index_output (self, node, g_ptr_array_index (node->outputs, i), -1);
  index_captures (self, node, -1);
  g_clear_pointer (&node->captures, g_hash_table_unref);
  if (has_subgraphs (node))
    for (guint i = 0; i < node->attributes->len; i++)
      ht_graph_drop_subgraphs (self, node, g_ptr_array_index (node->attributes, i));
  g_hash_table_remove (self->holders, node);
  g_hash_table_remove (self->stale_holders, node);
}

void
ht_graph_update_inputs (HtGraph *self)
{
  if (!self->inputs_stale)
    return;
  self->inputs_stale = FALSE;
  g_ptr_array_set_size (self->inputs, 0);
  for (guint i = 0; i < self->listed_inputs->len; i++)
    {
      const char *name = g_ptr_array_index (self->listed_inputs, i);
      HtValue *value = g_hash_table_lookup (self->values, name);
      if (value == NULL || (value->initializer == NULL && value->sparse_initializer == NULL))
        g_ptr_array_add (self->inputs, g_ref_string_acquire ((char *) name));
    }
}

guint
ht_graph_find_position (HtGraph *self, HtNode *node)
{
  guint low = 0, high = self->nodes->len;
  while (low < high)
    {
      guint middle = low + (high - low) / 2;
      if (((HtNode *) g_ptr_array_index (self->nodes, middle))->order < node->order)
        low = middle + 1;
      else
        high = middle;
    }
  return low;
}
