/* SPDX-License-Identifier: MIT */
#include "graph/written-out.h"

/* The constant that a node of two inputs has beside the tensor; NULL: it has none. */
static const char *
get_other_constant (HtGraph *graph, HtNode *node, const char *tensor)
{
  guint other = ht_node_get_n_inputs (node) == 2 && strcmp (ht_node_get_input (node, 0), tensor) == 0;

  if (ht_node_get_n_inputs (node) != 2 || !ht_graph_is_constant (graph, ht_node_get_input (node, other)))
    return NULL;
  return ht_node_get_input (node, other);
}

/* The only node after `from`, if it is of this type and reads it at this input; added to the nodes. */
static HtNode *
follow (HtGraph *graph, GPtrArray *nodes, HtNode *from, const char *op_type, guint index)
{
  const char *tensor = ht_node_get_output (from, 0);
  HtNode *next = ht_graph_get_only_reader (graph, tensor);

  if (!next || !ht_node_is_op (next, op_type) || ht_node_get_n_outputs (next) != 1
      || index >= ht_node_get_n_inputs (next) || strcmp (ht_node_get_input (next, index), tensor) != 0)
    return NULL;
  g_ptr_array_add (nodes, next);
  return next;
}

/* The same where the other input is a constant, which may be either of the two. */
static HtNode *
follow_constant (HtGraph *graph, GPtrArray *nodes, HtNode *from, const char *op_type, const char **constant)
{
  const char *tensor = ht_node_get_output (from, 0);
  HtNode *next = ht_graph_get_only_reader (graph, tensor);

  *constant = next && ht_node_is_op (next, op_type) && ht_node_get_n_outputs (next) == 1
                  ? get_other_constant (graph, next, tensor)
                  : NULL;
  if (*constant == NULL)
    return NULL;
  g_ptr_array_add (nodes, next);
  return next;
}

/* The node that squares a tensor, as Pow (d, 2) or Mul (d, d), when all other uses are one Div. */
static HtNode *
find_square (HtGraph *graph, const char *tensor, const char **exponent)
{
  g_autoptr (GPtrArray) consumers = ht_graph_list_consumers (graph, tensor);
  HtNode *square = NULL;
  guint n_uses = 1;

  *exponent = NULL;
  if (consumers->len != 2 || ht_graph_is_output (graph, tensor))
    return NULL;
  for (guint i = 0; i < 2; i++)
    {
      HtNode *node = g_ptr_array_index (consumers, i);
      gboolean first = strcmp (ht_node_get_input (node, 0), tensor) == 0;

      if (ht_node_is_op (node, "Mul") && first && strcmp (ht_node_get_input (node, 1), tensor) == 0)
        {
          square = node;
          n_uses += 2;
        }
      else if (ht_node_is_op (node, "Pow") && first)
        {
          g_autoptr (HtTensor) power = ht_graph_get_constant (graph, ht_node_get_input (node, 1));

          if (power && ht_tensor_get_n_elements (power) == 1 && ht_tensor_get_double (power, 0) == 2)
            square = node;
          *exponent = ht_node_get_input (node, 1);
          n_uses++;
        }
    }
  return ht_graph_count_uses (graph, tensor) == n_uses ? square : NULL;
}

gboolean
ht_layer_norm_find (HtGraph *graph, HtNode *head, HtLayerNorm *found)
{
  g_autoptr (GPtrArray) nodes = g_ptr_array_new ();
  HtNode *difference, *square, *node;

  if (!ht_node_is_op (head, "ReduceMean") || ht_node_get_n_outputs (head) != 1)
    return FALSE;
  *found = (HtLayerNorm){ .x = ht_node_get_input (head, 0), .means = { head } };
  g_ptr_array_add (nodes, head);
  difference = follow (graph, nodes, head, "Sub", 1);
  if (!difference || strcmp (ht_node_get_input (difference, 0), found->x) != 0)
    return FALSE;
  square = find_square (graph, ht_node_get_output (difference, 0), &found->exponent);
  if (!square)
    return FALSE;
  g_ptr_array_add (nodes, square);
  if (!(found->means[1] = follow (graph, nodes, square, "ReduceMean", 0))
      || !(node = follow_constant (graph, nodes, found->means[1], "Add", &found->epsilon))
      || !(node = follow (graph, nodes, node, "Sqrt", 0)) || !(node = follow (graph, nodes, node, "Div", 1))
      || strcmp (ht_node_get_input (node, 0), ht_node_get_output (difference, 0)) != 0)
    return FALSE;
  node = follow_constant (graph, nodes, node, "Mul", &found->gain);
  if (node)
    follow_constant (graph, nodes, node, "Add", &found->bias);
  found->nodes = g_steal_pointer (&nodes);
  return TRUE;
}
