/* SPDX-License-Identifier: MIT */
/* Nodes that are one operator to the device. */
#include "quant/placement-private.h"

#include "graph/written-out.h"
#include "quant/supergroup.h"

#include <string.h>

static gboolean
is_free (HtPlacing *self, GPtrArray *chain)
{
  for (guint k = 0; k < chain->len; k++)
    if (g_hash_table_contains (self->groups, g_ptr_array_index (chain, k)))
      return FALSE;
  return TRUE;
}

/* Makes a group of those of the nodes, up to the first one that is in a group already. */
static void
add_group (HtPlacing *self, GPtrArray *chain)
{
  for (guint k = 0; k < chain->len; k++)
    if (g_hash_table_contains (self->groups, g_ptr_array_index (chain, k)))
      {
        g_ptr_array_set_size (chain, (gint)k);
        break;
      }
  for (guint k = 0; k < chain->len; k++)
    {
      HtNode *member = g_ptr_array_index (chain, k);

      g_hash_table_insert (self->groups, member, g_ptr_array_ref (chain));
      for (guint i = 0; k + 1 < chain->len && i < ht_node_get_n_outputs (member); i++)
        if (ht_node_get_output (member, i)[0])
          {
            g_autofree char *end = ht_node_label (g_ptr_array_index (chain, chain->len - 1));

            g_hash_table_add (self->interior, g_strdup (ht_node_get_output (member, i)));
            ht_placing_say (self, ht_node_get_output (member, i),
                            "it is inside of what is quantized as one; its end is %s", end);
          }
    }
}

/* What the device takes the group for. */
static void
name_group (HtPlacing *self, GPtrArray *chain, const char *op_type)
{
  for (guint k = 0; k < chain->len; k++)
    g_hash_table_insert (self->op_types, g_ptr_array_index (chain, k), (gpointer)op_type);
}

static void
find_functions (HtPlacing *self)
{
  HtTargetSwitches *switches = &self->target->switches;
  gboolean norms = switches->written_out_layer_norm || self->target->pass_layer_norm;

  for (guint i = 0; i < ht_graph_get_n_nodes (self->graph); i++)
    {
      HtNode *anchor = ht_graph_get_node (self->graph, i);
      gboolean is_norm = ht_node_is_op (anchor, "ReduceMean");
      g_autoptr (GPtrArray) chain = NULL;
      HtLayerNorm norm = { 0 };

      if (is_norm && norms && ht_layer_norm_find (self->graph, anchor, &norm))
        chain = norm.nodes;
      else if (!is_norm && switches->written_out_gelu)
        chain = ht_gelu_collect (self->graph, anchor, NULL, NULL);
      if (!chain || !is_free (self, chain))
        continue;
      add_group (self, chain);
      g_hash_table_add (self->functions, chain);
      if (!is_norm)
        continue;
      name_group (self, chain, "LayerNormalization");
      if (norm.gain)
        g_hash_table_insert (self->roles, g_strdup (norm.gain), (gpointer) "weight");
      if (norm.bias)
        g_hash_table_insert (self->roles, g_strdup (norm.bias), (gpointer) "bias");
    }
}

static guint
constant_rank (HtGraph *graph, const char *name)
{
  g_autoptr (HtTensor) value
      = name[0] && ht_graph_is_constant (graph, name) ? ht_graph_get_constant (graph, name) : NULL;

  return value ? ht_tensor_get_n_dims (value) : 0;
}

/* A product with a constant matrix, and the addition of a constant vector: what Gemm is. */
static void
find_matmul_adds (HtPlacing *self)
{
  for (guint i = 0; self->target->pass_matmul_add && i < ht_graph_get_n_nodes (self->graph); i++)
    {
      HtNode *node = ht_graph_get_node (self->graph, i), *add;
      g_autoptr (GPtrArray) chain = NULL;
      const char *product;

      if (!ht_node_is_op (node, "MatMul") || g_hash_table_contains (self->groups, node)
          || constant_rank (self->graph, ht_node_get_input (node, 1)) != 2)
        continue;
      product = ht_node_get_output (node, 0);
      add = ht_graph_get_only_reader (self->graph, product);
      if (!add || !ht_node_is_op (add, "Add") || g_hash_table_contains (self->groups, add)
          || constant_rank (self->graph, ht_node_get_input (add, strcmp (ht_node_get_input (add, 0), product) == 0))
                 != 1)
        continue;
      chain = g_ptr_array_new ();
      g_ptr_array_add (chain, node);
      g_ptr_array_add (chain, add);
      name_group (self, chain, "Gemm");
      add_group (self, chain);
    }
}

/* Depthwise, or over three dimensions. */
static gboolean
is_excluded (HtPlacing *self, HtNode *node)
{
  gboolean is_transpose = ht_node_is_op (node, "ConvTranspose");
  g_autoptr (HtTensor) weight = NULL;
  gint64 group = ht_node_get_int (node, "group", 1);

  if (!self->target->switches.depthwise_outside_groups || (!is_transpose && !ht_node_is_op (node, "Conv")))
    return FALSE;
  weight = ht_graph_get_constant (self->graph, ht_node_get_input (node, 1));
  if (!weight || ht_tensor_get_n_dims (weight) < 3)
    return FALSE;
  if (ht_tensor_get_n_dims (weight) == 5)
    return TRUE;
  return is_transpose ? group > 1 && ht_tensor_get_dim (weight, 0) == group
                      : group > 1 && ht_tensor_get_dim (weight, 1) == 1;
}

static HtNode *
next_in_group (HtPlacing *self, HtNode *node)
{
  const char *tensor = ht_node_get_n_outputs (node) > 0 ? ht_node_get_output (node, 0) : "";
  g_autoptr (GPtrArray) readers = NULL;

  if (!self->target->switches.groups_through_outputs || !tensor[0])
    return ht_graph_get_only_reader (self->graph, tensor);
  readers = ht_graph_list_consumers (self->graph, tensor);
  return readers->len == 1 ? g_ptr_array_index (readers, 0) : NULL;
}

/* The nodes of a group of the file that begins here, where a group found before counts as the operator it stands for.
 */
static GPtrArray *
match_group (HtPlacing *self, HtNode *head, char **op_types)
{
  g_autoptr (GPtrArray) nodes = g_ptr_array_new ();
  HtNode *node = head;

  if (is_excluded (self, head))
    return NULL;
  for (guint i = 0; op_types[i]; i++)
    {
      GPtrArray *inner = node ? g_hash_table_lookup (self->groups, node) : NULL;

      if (!node || strcmp (ht_placing_get_op_type (self, node), op_types[i]) != 0
          || ht_placing_makes_constant (self, node))
        return NULL;
      /* Of the groups so far only those may go on that stand for one operator, and from their beginning. */
      if (inner && (g_ptr_array_index (inner, 0) != node || !g_hash_table_contains (self->op_types, node)))
        return NULL;
      for (guint k = 0; inner && k < inner->len; k++)
        g_ptr_array_add (nodes, g_ptr_array_index (inner, k));
      if (!inner)
        g_ptr_array_add (nodes, node);
      node = next_in_group (self, g_ptr_array_index (nodes, nodes->len - 1));
    }
  return g_steal_pointer (&nodes);
}

static void
find_listed_groups (HtPlacing *self)
{
  g_autoptr (GHashTable) taken = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < self->target->groups->len; i++)
    {
      HtTargetGroup *group = g_ptr_array_index (self->target->groups, i);

      for (guint k = 0; k < ht_graph_get_n_nodes (self->graph); k++)
        {
          g_autoptr (GPtrArray) nodes = match_group (self, ht_graph_get_node (self->graph, k), group->op_types);
          gboolean clashes = nodes == NULL;

          for (guint j = 0; !clashes && j < nodes->len; j++)
            clashes = g_hash_table_contains (taken, g_ptr_array_index (nodes, j));
          if (clashes)
            continue;
          for (guint j = 0; j < nodes->len; j++)
            {
              g_hash_table_add (taken, g_ptr_array_index (nodes, j));
              g_hash_table_remove (self->groups, g_ptr_array_index (nodes, j));
            }
          add_group (self, nodes);
        }
    }
}

/* Written-out functions first: the other groups would take their nodes one by one. */
void
ht_placing_find_groups (HtPlacing *self)
{
  find_functions (self);
  find_matmul_adds (self);
  find_listed_groups (self);
  for (guint i = 0; i < ht_graph_get_n_nodes (self->graph); i++)
    {
      HtNode *node = ht_graph_get_node (self->graph, i);
      g_autoptr (GPtrArray) chain = NULL;

      if (g_hash_table_contains (self->groups, node))
        continue;
      if (self->target->switches.layer_groups)
        chain = ht_supergroup_collect (self->graph, node);
      else
        {
          chain = g_ptr_array_new ();
          g_ptr_array_add (chain, node);
        }
      add_group (self, chain);
    }
}
