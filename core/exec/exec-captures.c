/* SPDX-License-Identifier: MIT */
/* What subgraphs read from around them. */
#include "exec/exec-plan.h"

static void
add_unless_defined (GHashTable *names, GHashTable *defined, const char *name)
{
  if (name[0] != '\0' && !g_hash_table_contains (defined, name))
    g_hash_table_add (names, g_strdup (name));
}

GHashTable *
ht_exec_find_captures (HtGraph *graph)
{
  g_autoptr (GHashTable) defined = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GHashTable *names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  const char *const *inputs = ht_graph_get_inputs (graph);
  const char *const *outputs = ht_graph_get_outputs (graph);
  g_auto (GStrv) initializers = ht_graph_list_initializers (graph);
  guint n_nodes = ht_graph_get_n_nodes (graph);

  for (gsize i = 0; inputs && inputs[i]; i++)
    g_hash_table_add (defined, g_strdup (inputs[i]));
  for (gsize i = 0; initializers && initializers[i]; i++)
    g_hash_table_add (defined, g_strdup (initializers[i]));
  for (guint i = 0; i < n_nodes; i++)
    {
      HtNode *node = ht_graph_get_node (graph, i);
      g_autoptr (GHashTable) inner = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
      GHashTableIter iter;
      gpointer name;

      for (guint k = 0; k < ht_node_get_n_inputs (node); k++)
        add_unless_defined (names, defined, ht_node_get_input (node, k));
      ht_exec_add_node_captures (node, inner);
      g_hash_table_iter_init (&iter, inner);
      while (g_hash_table_iter_next (&iter, &name, NULL))
        add_unless_defined (names, defined, name);
      for (guint k = 0; k < ht_node_get_n_outputs (node); k++)
        g_hash_table_add (defined, g_strdup (ht_node_get_output (node, k)));
    }
  for (gsize i = 0; outputs && outputs[i]; i++)
    add_unless_defined (names, defined, outputs[i]);
  return names;
}

gboolean
ht_exec_add_node_captures (HtNode *node, GHashTable *names)
{
  g_auto (GStrv) attributes = ht_node_list_attributes (node);
  gboolean found = FALSE;

  for (gsize i = 0; attributes && attributes[i]; i++)
    if (ht_node_get_attribute_type (node, attributes[i]) == HT_ATTRIBUTE_GRAPH)
      {
        HtGraph *subgraph = ht_node_get_subgraph (node, attributes[i]);
        if (subgraph == NULL)
          continue;
        g_autoptr (GHashTable) captures = ht_exec_find_captures (subgraph);
        GHashTableIter iter;
        gpointer name;
        g_hash_table_iter_init (&iter, captures);
        while (g_hash_table_iter_next (&iter, &name, NULL))
          g_hash_table_add (names, g_strdup (name));
        found = TRUE;
      }
  return found;
}
