/* SPDX-License-Identifier: MIT */
/* Topological order. */
#include "graph/graph-private.h"

#include <halftone/error.h>

#include <string.h>

/* The order found for one graph; applied only when every subgraph has one too. */
typedef struct
{
  HtGraph *graph;
  GPtrArray *nodes; /* HtNode, borrowed */
} Order;

static void
order_free (gpointer data)
{
  Order *order = data;
  g_ptr_array_unref (order->nodes);
  g_free (order);
}

/* ---- The nodes that are ready, the one that stood first on top ---- */

static void
heap_push (GArray *heap, guint position)
{
  guint i = heap->len;
  g_array_append_val (heap, position);
  guint *items = (guint *) heap->data;
  while (i > 0 && items[(i - 1) / 2] > position)
    {
      items[i] = items[(i - 1) / 2];
      i = (i - 1) / 2;
    }
  items[i] = position;
}

static guint
heap_pop (GArray *heap)
{
  guint *items = (guint *) heap->data;
  guint top = items[0], last = items[heap->len - 1], length = heap->len - 1, i = 0;
  g_array_set_size (heap, length);
  while (2 * i + 1 < length)
    {
      guint child = 2 * i + 1;
      if (child + 1 < length && items[child + 1] < items[child])
        child++;
      if (items[child] >= last)
        break;
      items[i] = items[child];
      i = child;
    }
  if (length > 0)
    items[i] = last;
  return top;
}

/* ---- Order of one graph ---- */

static HtNode *
find_producer (HtGraph *graph, const char *name)
{
  return *name != '\0' ? ht_graph_get_producer (graph, name) : NULL;
}

typedef void (*NodeFunc) (HtNode *predecessor, gpointer user_data);

/* Each node of the same graph that has to run before `node`; one that gives several tensors may come several times. */
static void
foreach_predecessor (HtGraph *graph, HtNode *node, NodeFunc func, gpointer user_data)
{
  for (guint i = 0; i < node->inputs->len; i++)
    {
      HtNode *producer = find_producer (graph, g_ptr_array_index (node->inputs, i));
      if (producer != NULL)
        func (producer, user_data);
    }
  if (node->captures == NULL)
    return;
  GHashTableIter iter;
  gpointer name;
  g_hash_table_iter_init (&iter, node->captures);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    {
      HtNode *producer = find_producer (graph, name);
      if (producer != NULL)
        func (producer, user_data);
    }
}

typedef struct
{
  GHashTable *position_of; /* HtNode -> position + 1 */
  GArray *edges;           /* predecessor positions of one node */
} EdgeCollector;

static void
collect_edge (HtNode *predecessor, gpointer user_data)
{
  EdgeCollector *collector = user_data;
  guint position = GPOINTER_TO_UINT (g_hash_table_lookup (collector->position_of, predecessor)) - 1;
  g_array_append_val (collector->edges, position);
}

static void
keep_unplaced (HtNode *predecessor, gpointer user_data)
{
  gpointer *search = user_data; /* set of nodes not placed, the predecessor found */
  if (search[1] == NULL && g_hash_table_contains (search[0], predecessor))
    search[1] = predecessor;
}

/* Walks back from a node that could not be placed until a node comes again: the walk from there is a cycle. */
static void
set_cycle_error (HtGraph *graph, GHashTable *unplaced, HtNode *start, GError **error)
{
  g_autoptr (GPtrArray) walk = g_ptr_array_new ();
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
  HtNode *node = start;
  while (g_hash_table_add (seen, node))
    {
      g_ptr_array_add (walk, node);
      gpointer search[2] = { unplaced, NULL };
      foreach_predecessor (graph, node, keep_unplaced, search);
      node = search[1];
    }
  g_autoptr (GString) text = g_string_new (NULL);
  guint first = 0, n_named = 0;
  g_ptr_array_find (walk, node, &first);
  for (guint i = walk->len; i > first && n_named < 8; i--, n_named++)
    {
      g_autofree char *label = ht_node_label (g_ptr_array_index (walk, i - 1));
      g_string_append_printf (text, "%s%s", n_named > 0 ? " -> " : "", label);
    }
  g_set_error (error, HT_ERROR, HT_ERROR_INVALID_MODEL,
               "Cannot put the nodes of graph '%s' in order: %u of them form a cycle (%s%s); break it by rewiring one of "
               "their inputs",
               graph->name, walk->len - first, text->str, walk->len - first > n_named ? " -> …" : "");
}

static gboolean
place_nodes (HtGraph *graph, GPtrArray *placed, GError **error)
{
  guint n_nodes = graph->nodes->len;
  g_autoptr (GHashTable) position_of = g_hash_table_new (NULL, NULL);
  g_autoptr (GArray) edges = g_array_new (FALSE, FALSE, sizeof (guint));
  g_autofree guint *first_edge = g_new0 (guint, n_nodes + 1), *missing = g_new0 (guint, n_nodes + 1);
  g_autofree guint *first_follower = g_new0 (guint, n_nodes + 2);
  EdgeCollector collector = { position_of, edges };

  for (guint i = 0; i < n_nodes; i++)
    g_hash_table_insert (position_of, g_ptr_array_index (graph->nodes, i), GUINT_TO_POINTER (i + 1));
  for (guint i = 0; i < n_nodes; i++)
    {
      first_edge[i] = edges->len;
      foreach_predecessor (graph, g_ptr_array_index (graph->nodes, i), collect_edge, &collector);
      missing[i] = edges->len - first_edge[i];
    }
  first_edge[n_nodes] = edges->len;

  /* The same edges by predecessor */
  const guint *from = (const guint *) edges->data;
  g_autofree guint *followers = g_new0 (guint, edges->len + 1);
  for (guint e = 0; e < edges->len; e++)
    first_follower[from[e] + 2]++;
  for (guint i = 2; i < n_nodes + 2; i++)
    first_follower[i] += first_follower[i - 1];
  for (guint i = 0; i < n_nodes; i++)
    for (guint e = first_edge[i]; e < first_edge[i + 1]; e++)
      followers[first_follower[from[e] + 1]++] = i;

  g_autoptr (GArray) ready = g_array_new (FALSE, FALSE, sizeof (guint));
  for (guint i = 0; i < n_nodes; i++)
    if (missing[i] == 0)
      heap_push (ready, i);
  while (ready->len > 0)
    {
      guint position = heap_pop (ready);
      g_ptr_array_add (placed, g_ptr_array_index (graph->nodes, position));
      for (guint e = first_follower[position]; e < first_follower[position + 1]; e++)
        if (--missing[followers[e]] == 0)
          heap_push (ready, followers[e]);
    }
  if (placed->len == n_nodes)
    return TRUE;

  g_autoptr (GHashTable) unplaced = g_hash_table_new (NULL, NULL);
  HtNode *start = NULL;
  for (guint i = n_nodes; i > 0; i--)
    if (missing[i - 1] > 0)
      g_hash_table_add (unplaced, start = g_ptr_array_index (graph->nodes, i - 1));
  set_cycle_error (graph, unplaced, start, error);
  return FALSE;
}

/* ---- Whole models ---- */

typedef struct
{
  GPtrArray *orders;
  GError **error;
  gboolean ok;
} SortJob;

static void
sort_one (HtGraph *graph, gpointer user_data)
{
  SortJob *job = user_data;
  if (!job->ok)
    return;
  ht_graph_refresh (graph);
  Order *order = g_new0 (Order, 1);
  order->graph = graph;
  order->nodes = g_ptr_array_sized_new (graph->nodes->len);
  g_ptr_array_add (job->orders, order);
  job->ok = place_nodes (graph, order->nodes, job->error);
  for (guint i = 0; job->ok && i < graph->nodes->len; i++)
    ht_node_foreach_subgraph (g_ptr_array_index (graph->nodes, i), sort_one, job);
}

/**
 * ht_graph_sort:
 * @self: a graph
 * @error: return location for an error
 *
 * Puts the nodes in an order in which each comes after what makes its inputs, those that its subgraphs take from outside
 * included; subgraphs are sorted too. Where there is a choice the node that stood first comes first, so that a graph in
 * order stays as it is. Fails with %HT_ERROR_INVALID_MODEL, naming the nodes, when they form a cycle; nothing is changed
 * then.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
ht_graph_sort (HtGraph *self, GError **error)
{
  g_return_val_if_fail (HT_IS_GRAPH (self), FALSE);
  g_return_val_if_fail (!self->sealed, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  g_autoptr (GPtrArray) orders = g_ptr_array_new_with_free_func (order_free);
  SortJob job = { orders, error, TRUE };
  sort_one (self, &job);
  if (!job.ok)
    return FALSE;
  for (guint k = 0; k < orders->len; k++)
    {
      Order *order = g_ptr_array_index (orders, k);
      for (guint i = 0; i < order->nodes->len; i++)
        {
          order->graph->nodes->pdata[i] = order->nodes->pdata[i];
          ((HtNode *) order->nodes->pdata[i])->order = i;
        }
      order->graph->next_order = MAX (order->graph->next_order, order->nodes->len);
    }
  return TRUE;
}
