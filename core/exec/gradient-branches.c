/* SPDX-License-Identifier: MIT */
#include "exec/gradient-branches.h"

#include "graph/graph-private.h"

#include <string.h>

/* A graph, and the branches that its If nodes took: with them in place it is the next level, which may have further If
 * nodes. */
typedef struct
{
  HtExecutor *executor;
  char *taken; /* by If node: '0', '1', or '?' where it is not known; NULL: not looked at yet */
} Level;

struct _HtGradientBranches
{
  GPtrArray *levels;
};

static Level *
level_new (HtExecutor *executor /* transfer full */)
{
  Level *level = g_new0 (Level, 1);
  level->executor = executor;
  return level;
}

static void
level_free (gpointer data)
{
  Level *level = data;
  g_object_unref (level->executor);
  g_free (level->taken);
  g_free (level);
}

HtGradientBranches *
ht_gradient_branches_new (HtExecutor *executor)
{
  HtGradientBranches *self = g_new0 (HtGradientBranches, 1);
  self->levels = g_ptr_array_new_with_free_func (level_free);
  g_ptr_array_add (self->levels, level_new (g_object_ref (executor)));
  return self;
}

void
ht_gradient_branches_free (HtGradientBranches *self)
{
  g_ptr_array_unref (self->levels);
  g_free (self);
}

static gboolean
is_if (HtNode *node)
{
  return strcmp (ht_node_get_op_type (node), "If") == 0 && ht_node_get_domain (node)[0] == '\0';
}

/* A condition that cannot be computed, perhaps because the run starts behind it, is no error here. */
static char
find_condition (HtExecutor *executor, const char *name, GHashTable *given)
{
  const char *wanted[] = { name, NULL };
  g_autoptr (HtTensor) constant = ht_graph_get_constant (executor->snapshot, name);
  g_autoptr (GHashTable) results = constant ? NULL : ht_executor_run (executor, given, wanted, NULL, NULL);
  HtTensor *condition = results ? g_hash_table_lookup (results, name) : constant;

  if (condition == NULL || ht_tensor_get_n_elements (condition) != 1)
    return '?';
  return ht_tensor_get_int64 (condition, 0) != 0 ? '1' : '0';
}

static char *
find_taken (HtExecutor *executor, GHashTable *given)
{
  GString *taken = g_string_new (NULL);

  for (guint i = 0; i < ht_graph_get_n_nodes (executor->snapshot); i++)
    {
      HtNode *node = ht_graph_get_node (executor->snapshot, i);
      if (is_if (node))
        g_string_append_c (taken, ht_node_get_n_inputs (node) > 0
                                      ? find_condition (executor, ht_node_get_input (node, 0), given)
                                      : '?');
    }
  return g_string_free (taken, FALSE);
}

/* Names of the branch that the graph around it has as well. */
static void
make_names_unique (HtGraph *graph, HtGraph *branch)
{
  g_autoptr (GPtrArray) defined = g_ptr_array_new_with_free_func (g_free);
  g_auto (GStrv) initializers = ht_graph_list_initializers (branch);

  for (gsize i = 0; initializers && initializers[i]; i++)
    g_ptr_array_add (defined, g_strdup (initializers[i]));
  for (guint i = 0; i < ht_graph_get_n_nodes (branch); i++)
    {
      HtNode *node = ht_graph_get_node (branch, i);
      for (guint k = 0; k < ht_node_get_n_outputs (node); k++)
        g_ptr_array_add (defined, g_strdup (ht_node_get_output (node, k)));
    }
  for (guint i = 0; i < defined->len; i++)
    {
      const char *name = g_ptr_array_index (defined, i);
      if (name[0] == '\0' || !ht_exec_graph_defines (graph, name))
        continue;
      g_autofree char *unique = ht_graph_make_name (graph, name);
      ht_graph_rename_value (branch, name, unique);
    }
}

static void
copy_node (HtGraph *graph, HtNode *node)
{
  HtNode *copy = ht_graph_add_node (graph, ht_node_get_op_type (node), ht_node_get_domain (node),
                                    ht_node_get_name (node), ht_node_get_inputs (node), ht_node_get_outputs (node));

  for (guint i = 0; i < node->attributes->len; i++)
    {
      HtAttribute *attribute = g_ptr_array_index (node->attributes, i);
      HtGraph *subgraph = attribute->type == HT_ATTRIBUTE_GRAPH ? ht_node_get_subgraph (node, attribute->name) : NULL;
      g_autoptr (HtGraph) own = subgraph ? ht_graph_copy (subgraph) : NULL;
      if (own)
        ht_graph_set_subgraph (graph, copy, attribute->name, own);
      else
        ht_graph_take_attribute (graph, copy, ht_attribute_ref (attribute));
    }
}

static void
put_branch (HtGraph *graph, HtNode *node, gboolean then)
{
  HtGraph *subgraph = ht_node_get_subgraph (node, then ? "then_branch" : "else_branch");
  g_auto (GStrv) made = g_strdupv ((char **)ht_node_get_outputs (node));
  g_autoptr (HtGraph) branch = ht_graph_copy (subgraph);

  ht_graph_remove_node (graph, node);
  make_names_unique (graph, branch);
  g_auto (GStrv) initializers = ht_graph_list_initializers (branch);
  for (gsize i = 0; initializers && initializers[i]; i++)
    ht_graph_set_initializer (graph, initializers[i], ht_graph_get_initializer (branch, initializers[i]));
  for (guint i = 0; i < ht_graph_get_n_nodes (branch); i++)
    copy_node (graph, ht_graph_get_node (branch, i));
  const char *const *outputs = ht_graph_get_outputs (branch);
  for (gsize i = 0; made && made[i] && outputs && outputs[i]; i++)
    {
      const char *from[] = { outputs[i], NULL }, *to[] = { made[i], NULL };
      if (made[i][0])
        ht_graph_add_node (graph, "Identity", "", NULL, from, to);
    }
}

/* A graph with the branches in place. */
static HtExecutor *
take_branches (HtGraph *graph, const char *taken, GError **error)
{
  g_autoptr (HtGraph) copy = ht_graph_copy (graph);
  g_autoptr (GPtrArray) nodes = g_ptr_array_new ();

  for (guint i = 0; i < ht_graph_get_n_nodes (copy); i++)
    if (is_if (ht_graph_get_node (copy, i)))
      g_ptr_array_add (nodes, ht_graph_get_node (copy, i));
  for (guint i = 0; i < nodes->len; i++)
    if (taken[i] != '?' && ht_node_get_subgraph (nodes->pdata[i], taken[i] == '1' ? "then_branch" : "else_branch"))
      put_branch (copy, nodes->pdata[i], taken[i] == '1');
  return ht_executor_new (copy, error);
}

static gboolean
decides_any (const char *taken)
{
  return strpbrk (taken, "01") != NULL;
}

HtGraph *
ht_gradient_branches_resolve (HtGradientBranches *self, GHashTable *given, gboolean *changed, GError **error)
{
  *changed = FALSE;
  for (guint depth = 0;; depth++)
    {
      Level *level = g_ptr_array_index (self->levels, depth);
      g_autofree char *taken = find_taken (level->executor, given);
      if (level->taken == NULL || strcmp (level->taken, taken) != 0)
        {
          *changed = TRUE;
          g_ptr_array_set_size (self->levels, (gint)depth + 1);
          g_clear_pointer (&level->taken, g_free);
          if (decides_any (taken))
            {
              HtExecutor *next = take_branches (level->executor->snapshot, taken, error);
              if (next == NULL)
                return NULL;
              g_ptr_array_add (self->levels, level_new (next));
            }
          level->taken = g_steal_pointer (&taken);
        }
      if (!decides_any (level->taken))
        return level->executor->snapshot;
    }
}
