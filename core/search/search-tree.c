/* SPDX-License-Identifier: MIT */
#include "search/search-tree.h"

static void
free_node (gpointer data)
{
  HtSearchNode *self = data;
  g_ptr_array_unref (self->children);
  g_free (self->key);
  g_clear_object (&self->plan);
  g_clear_object (&self->config);
  g_clear_error (&self->error);
  g_clear_pointer (&self->report, json_node_unref);
  g_clear_object (&self->metrics);
  g_free (self);
}

HtSearchTree *
ht_search_tree_new (void)
{
  HtSearchTree *self = g_new0 (HtSearchTree, 1);
  self->nodes = g_hash_table_new (g_str_hash, g_str_equal);
  self->starts = g_ptr_array_new_with_free_func (free_node);
  self->order = g_ptr_array_new ();
  return self;
}

void
ht_search_tree_free (HtSearchTree *self)
{
  g_hash_table_unref (self->nodes);
  g_ptr_array_unref (self->order);
  g_ptr_array_unref (self->starts);
  g_free (self);
}

/* Takes `key`. A node of this key that is there already is returned as it is. */
static HtSearchNode *
add_node (HtSearchTree *self, HtSearchNodeKind kind, HtSearchNode *parent, char *key)
{
  HtSearchNode *node = g_hash_table_lookup (self->nodes, key);
  if (node != NULL)
    {
      g_free (key);
      return node;
    }
  node = g_new0 (HtSearchNode, 1);
  node->kind = kind;
  node->key = key;
  node->parent = parent;
  node->children = g_ptr_array_new_with_free_func (free_node);
  node->number = self->order->len;
  g_hash_table_insert (self->nodes, node->key, node);
  g_ptr_array_add (self->order, node);
  g_ptr_array_add (parent != NULL ? parent->children : self->starts, node);
  return node;
}

HtSearchNode *
ht_search_tree_add (HtSearchTree *self, const char *start, HtPlan *plan, HtQuantizationConfig *config,
                    const HtStepInputs *inputs)
{
  HtSearchNode *node = add_node (self, HT_SEARCH_NODE_START, NULL, g_strdup (start));
  for (guint i = 0; i < ht_plan_get_n_steps (plan); i++)
    {
      node = add_node (self, HT_SEARCH_NODE_STEP, node, ht_step_key (node->key, plan, i, inputs));
      if (node->plan == NULL)
        {
          node->plan = g_object_ref (plan);
          node->step = i;
        }
    }
  node = add_node (self, HT_SEARCH_NODE_CALIBRATE, node, ht_leaf_key (node->key, config, inputs, NULL));
  if (node->config == NULL)
    node->config = g_object_ref (config);
  return node;
}

HtSearchNode *
ht_search_tree_add_score (HtSearchTree *self, HtSearchNode *calibrated, guint part, const char *samples)
{
  g_autofree char *text = g_strdup_printf ("halftone score 1\n%s\n%s", calibrated->key, samples);
  HtSearchNode *node
      = add_node (self, HT_SEARCH_NODE_SCORE, calibrated, g_compute_checksum_for_string (G_CHECKSUM_SHA256, text, -1));
  if (node->config == NULL)
    {
      node->config = g_object_ref (calibrated->config);
      node->part = part;
    }
  return node;
}
