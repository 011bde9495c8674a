/* SPDX-License-Identifier: MIT */
#include "pass/network-cut.h"

#include "exec/exec-plan.h"

static void
want (HtGraph *graph, const char *name, GHashTable *before, GHashTable *wanted)
{
  if (*name != '\0' && !ht_graph_is_constant (graph, name)
      && (g_hash_table_contains (before, name) || ht_graph_is_input (graph, name)))
    g_hash_table_add (wanted, (gpointer)name);
}

GHashTable *
ht_graph_find_live (HtGraph *graph, guint cut)
{
  GHashTable *wanted = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GHashTable) before = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < cut; i++)
    {
      HtNode *node = ht_graph_get_node (graph, i);
      for (guint k = 0; k < ht_node_get_n_outputs (node); k++)
        g_hash_table_add (before, (gpointer)ht_node_get_output (node, k));
    }
  for (guint i = cut; i < ht_graph_get_n_nodes (graph); i++)
    {
      HtNode *node = ht_graph_get_node (graph, i);
      g_auto (GStrv) attributes = ht_node_list_attributes (node);
      for (guint k = 0; k < ht_node_get_n_inputs (node); k++)
        want (graph, ht_node_get_input (node, k), before, wanted);
      for (gsize k = 0; attributes != NULL && attributes[k] != NULL; k++)
        {
          if (ht_node_get_attribute_type (node, attributes[k]) != HT_ATTRIBUTE_GRAPH)
            continue;
          g_autoptr (GHashTable) captures = ht_exec_find_captures (ht_node_get_subgraph (node, attributes[k]));
          GHashTableIter iter;
          gpointer name;
          g_hash_table_iter_init (&iter, captures);
          while (g_hash_table_iter_next (&iter, &name, NULL))
            /* The set of captures goes; the names stay. */
            want (graph, g_intern_string (name), before, wanted);
        }
    }
  return wanted;
}
