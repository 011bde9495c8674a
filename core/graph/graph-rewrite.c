/* SPDX-License-Identifier: MIT */
/* Edits that follow a tensor through the graph and into its subgraphs. */
#include "graph/graph-private.h"

#include <halftone/error.h>

#include <string.h>

/* ---- Names ---- */

static gboolean
is_taken (HtGraph *graph, const char *name)
{
  GHashTableIter iter;
  gpointer holder;

  if (g_hash_table_contains (graph->values, name) || g_hash_table_contains (graph->nodes_by_name, name))
    return TRUE;
  g_hash_table_iter_init (&iter, graph->holders);
  while (g_hash_table_iter_next (&iter, &holder, NULL))
    {
      GPtrArray *attributes = ((HtNode *) holder)->attributes;
      for (guint i = 0; i < attributes->len; i++)
        {
          HtAttribute *attribute = g_ptr_array_index (attributes, i);
          for (gsize k = 0; ht_attribute_has_graphs (attribute) && k < attribute->n_values; k++)
            if (is_taken (attribute->graphs[k], name))
              return TRUE;
        }
    }
  return FALSE;
}

/**
 * ht_graph_make_name:
 * @self: a graph
 * @stem: (nullable): what the name should start with
 *
 * Makes a name that no tensor and no node of the model has, subgraphs and what surrounds a subgraph included: @stem
 * itself where it is free, else @stem and a number. A name is given out once, used or not.
 *
 * Returns: (transfer full): the name
 */
char *
ht_graph_make_name (HtGraph *self, const char *stem)
{
  g_return_val_if_fail (HT_IS_GRAPH (self), NULL);
  g_return_val_if_fail (!self->sealed, NULL);

  HtGraph *root = ht_graph_get_root (self);
  if (stem == NULL || *stem == '\0')
    stem = "tensor";
  char *name = g_strdup (stem);
  guint64 *counter = g_hash_table_lookup (root->name_counters, stem);
  while (is_taken (root, name) || g_hash_table_contains (root->reserved_names, name))
    {
      if (counter == NULL)
        {
          counter = g_new0 (guint64, 1);
          g_hash_table_insert (root->name_counters, g_strdup (stem), counter);
        }
      g_free (name);
      name = g_strdup_printf ("%s_%" G_GUINT64_FORMAT, stem, ++*counter);
    }
  g_hash_table_add (root->reserved_names, g_strdup (name));
  return name;
}

/* ---- Uses ---- */

typedef struct
{
  const char *from, *to;
} Renaming;

static void rename_captures (HtGraph *subgraph, gpointer user_data);

static void
rename_in_node (HtGraph *self, HtNode *node, Renaming *renaming)
{
  for (guint i = 0; i < node->inputs->len; i++)
    if (strcmp (g_ptr_array_index (node->inputs, i), renaming->from) == 0)
      ht_graph_set_node_input (self, node, i, renaming->to);
  ht_node_foreach_subgraph (node, rename_captures, renaming);
}

static void
rename_in_consumers (HtGraph *self, Renaming *renaming)
{
  g_autoptr (GPtrArray) consumers = ht_graph_list_consumers (self, renaming->from);
  for (guint i = 0; i < consumers->len; i++)
    rename_in_node (self, g_ptr_array_index (consumers, i), renaming);
}

static void
rename_outputs (HtGraph *self, Renaming *renaming)
{
  HtValue *from = g_hash_table_lookup (self->values, renaming->from);
  if (from == NULL || from->n_outputs == 0)
    return;
  HtValue *to = ht_graph_ensure_value (self, renaming->to);
  for (guint i = 0; i < self->outputs->len; i++)
    if (strcmp (g_ptr_array_index (self->outputs, i), renaming->from) == 0)
      {
        g_ref_string_release (self->outputs->pdata[i]);
        self->outputs->pdata[i] = g_ref_string_acquire (to->name);
        to->n_outputs++;
      }
  from->n_outputs = 0;
  ht_graph_release_value (self, from);
  ht_graph_touch (self);
}

/* What a subgraph takes from outside. A tensor of its own that has the new name already would catch the uses: it gets
 * another name first. */
static void
rename_captures (HtGraph *subgraph, gpointer user_data)
{
  Renaming *renaming = user_data;
  HtValue *value = ht_graph_lookup_value (subgraph, renaming->from);
  if (value == NULL || ht_value_is_defined (value))
    return;
  HtValue *other = g_hash_table_lookup (subgraph->values, renaming->to);
  if (other != NULL && ht_value_is_defined (other))
    {
      g_autofree char *name = ht_graph_make_name (subgraph, renaming->to);
      ht_graph_rename_value (subgraph, renaming->to, name);
    }
  rename_in_consumers (subgraph, renaming);
  rename_outputs (subgraph, renaming);
}

/**
 * ht_graph_replace_uses:
 * @self: a graph
 * @old_tensor: a tensor
 * @new_tensor: the tensor to use in its place
 *
 * Makes every node that has @old_tensor as an input, and every subgraph that takes it from outside, use @new_tensor.
 * The outputs of @self keep their names: see ht_graph_bypass_node() for what stands before an output.
 */
void
ht_graph_replace_uses (HtGraph *self, const char *old_tensor, const char *new_tensor)
{
  g_return_if_fail (HT_IS_GRAPH (self));
  g_return_if_fail (!self->sealed);
  g_return_if_fail (old_tensor != NULL && *old_tensor != '\0');
  g_return_if_fail (new_tensor != NULL && *new_tensor != '\0');

  if (strcmp (old_tensor, new_tensor) == 0)
    return;
  /* The arguments may belong to a node that is about to change. */
  g_autofree char *from = g_strdup (old_tensor), *to = g_strdup (new_tensor);
  Renaming renaming = { from, to };
  rename_in_consumers (self, &renaming);
}

static void
rename_producers (HtGraph *self, HtValue *value, Renaming *renaming)
{
  for (guint n = value->n_producers; n > 0; n--)
    {
      HtNode *node = ht_graph_get_producer (self, renaming->from);
      for (guint i = 0; node != NULL && i < node->outputs->len; i++)
        if (strcmp (g_ptr_array_index (node->outputs, i), renaming->from) == 0)
          ht_graph_set_node_output (self, node, i, renaming->to);
    }
}

/* Moves what makes a value constant or an input, and what is known of it unless the target declares more. */
static void
move_definition (HtGraph *self, HtValue *from, HtValue *to)
{
  if (from->initializer != NULL || from->sparse_initializer != NULL)
    {
      GPtrArray *list = from->initializer != NULL ? self->initializers : self->sparse_initializers;
      guint index = 0;
      if (g_ptr_array_find (list, from, &index))
        list->pdata[index] = to;
      to->initializer = g_steal_pointer (&from->initializer);
      to->initializer_extra = g_steal_pointer (&from->initializer_extra);
      to->sparse_initializer = g_steal_pointer (&from->sparse_initializer);
      to->initializer_order = from->initializer_order;
    }
  if (from->listed_input)
    {
      for (guint i = 0; i < self->listed_inputs->len; i++)
        if (strcmp (g_ptr_array_index (self->listed_inputs, i), from->name) == 0)
          {
            g_ref_string_release (self->listed_inputs->pdata[i]);
            self->listed_inputs->pdata[i] = g_ref_string_acquire (to->name);
          }
      from->listed_input = FALSE;
      to->listed_input = TRUE;
    }
  self->inputs_stale = TRUE;
  if (from->type != HT_DATA_TYPE_UNDEFINED && from->type != to->type)
    {
      g_clear_pointer (&to->shape, ht_shape_unref);
      g_clear_pointer (&to->element, ht_element_type_unref);
      g_clear_pointer (&to->type_proto, g_bytes_unref);
      to->type = from->type;
    }
  if (to->shape == NULL && from->shape != NULL)
    to->shape = ht_shape_ref (from->shape);
  if (to->element == NULL && from->element != NULL)
    to->element = ht_element_type_ref (from->element);
  if (to->type_proto == NULL && !to->has_info)
    to->type_proto = g_steal_pointer (&from->type_proto);
  if (to->info_extra == NULL)
    to->info_extra = g_steal_pointer (&from->info_extra);
  to->has_info |= from->has_info;
}

void
ht_graph_rename_value (HtGraph *self, const char *from_name, const char *to_name)
{
  g_return_if_fail (!self->sealed);
  HtValue *from = ht_graph_lookup_value (self, from_name);
  if (from == NULL || strcmp (from_name, to_name) == 0)
    return;
  g_autofree char *from_copy = g_strdup (from_name), *to_copy = g_strdup (to_name);
  Renaming renaming = { from_copy, to_copy };
  HtValue *to = ht_graph_ensure_value (self, to_copy);
  g_return_if_fail (!ht_value_is_defined (to));

  /* An output that nobody has counts as a use: it keeps both values in being until all is moved. */
  from->n_uses++;
  to->n_uses++;
  move_definition (self, from, to);
  rename_producers (self, from, &renaming);
  rename_in_consumers (self, &renaming);
  rename_outputs (self, &renaming);
  from->n_uses--;
  to->n_uses--;
  ht_graph_release_value (self, from);
  ht_graph_release_value (self, to);
  ht_graph_touch (self);
}

/* ---- Removal ---- */

static gboolean
is_other_output_used (HtGraph *self, HtNode *node)
{
  for (guint i = 1; i < node->outputs->len; i++)
    if (*ht_node_get_output (node, i) != '\0' && ht_graph_count_uses (self, ht_node_get_output (node, i)) > 0)
      return TRUE;
  return FALSE;
}

/* A tensor that a node of this graph makes and that no output shows may take another name. */
static gboolean
may_rename (HtGraph *self, const char *tensor)
{
  HtValue *value = ht_graph_lookup_value (self, tensor);
  return value != NULL && value->n_producers == 1 && value->n_outputs == 0 && !value->listed_input
         && value->initializer == NULL && value->sparse_initializer == NULL;
}

static void
turn_into_identity (HtGraph *self, HtNode *node)
{
  ht_graph_set_node_op (self, node, "Identity", "");
  while (node->attributes->len > 0)
    ht_graph_remove_attribute (self, node, ((HtAttribute *) g_ptr_array_index (node->attributes, 0))->name);
  for (guint i = 1; i < node->inputs->len; i++)
    ht_graph_set_node_input (self, node, i, "");
  for (guint i = 1; i < node->outputs->len; i++)
    ht_graph_set_node_output (self, node, i, "");
  g_ptr_array_set_size (node->inputs, 1);
  g_ptr_array_set_size (node->outputs, 1);
  g_clear_pointer (&node->extra, g_bytes_unref);
}

/**
 * ht_graph_bypass_node:
 * @self: a graph
 * @node: one of its nodes, whose first input takes the place of its first output; other outputs must be unused
 *
 * Removes a node as if it passed its first input on. Everything that used its first output, subgraphs included, uses its
 * first input then. Where the first output is an output of the graph that name has to stay: the tensor of the first input
 * is renamed to it where a node of this graph makes that tensor and no other output shows it, and else (the input is a
 * graph input, a constant, another graph output, or comes from outside a subgraph) an Identity node stays.
 */
void
ht_graph_bypass_node (HtGraph *self, HtNode *node)
{
  g_return_if_fail (HT_IS_GRAPH (self));
  g_return_if_fail (!self->sealed);
  g_return_if_fail (node != NULL && node->graph == self);
  g_return_if_fail (*ht_node_get_input (node, 0) != '\0' && *ht_node_get_output (node, 0) != '\0');
  g_return_if_fail (strcmp (ht_node_get_input (node, 0), ht_node_get_output (node, 0)) != 0);
  g_return_if_fail (!is_other_output_used (self, node));

  g_autofree char *input = g_strdup (ht_node_get_input (node, 0));
  g_autofree char *output = g_strdup (ht_node_get_output (node, 0));
  ht_graph_replace_uses (self, output, input);
  if (!ht_graph_is_output (self, output))
    {
      ht_graph_remove_node (self, node);
      return;
    }
  if (!may_rename (self, input))
    {
      turn_into_identity (self, node);
      return;
    }
  ht_graph_remove_node (self, node);
  ht_graph_rename_value (self, input, output);
}

static gboolean
is_dead (HtGraph *self, HtNode *node)
{
  gboolean makes_something = FALSE;
  for (guint i = 0; i < node->outputs->len; i++)
    {
      const char *output = g_ptr_array_index (node->outputs, i);
      if (*output == '\0')
        continue;
      makes_something = TRUE;
      if (ht_graph_count_uses (self, output) > 0)
        return FALSE;
    }
  return makes_something;
}

static void
remove_dead_in_subgraph (HtGraph *subgraph, gpointer user_data)
{
  *(guint *) user_data += ht_graph_remove_dead_nodes (subgraph);
}

static guint
remove_dead_once (HtGraph *self)
{
  guint n_removed = 0;
  for (guint i = self->nodes->len; i > 0; i--)
    {
      HtNode *node = g_ptr_array_index (self->nodes, i - 1);
      if (!is_dead (self, node))
        continue;
      ht_graph_remove_node (self, node);
      n_removed++;
    }
  for (guint i = 0; i < self->nodes->len; i++)
    ht_node_foreach_subgraph (g_ptr_array_index (self->nodes, i), remove_dead_in_subgraph, &n_removed);
  return n_removed;
}

/**
 * ht_graph_remove_dead_nodes:
 * @self: a graph
 *
 * Removes the nodes none of whose outputs is used, until there are none, in subgraphs too, and then the initializers that
 * only they used. Graph outputs count as used; a node without outputs stays, as do initializers that nothing used before.
 *
 * Returns: the number of nodes removed
 */
guint
ht_graph_remove_dead_nodes (HtGraph *self)
{
  guint n_removed = 0, n_now;

  g_return_val_if_fail (HT_IS_GRAPH (self), 0);
  g_return_val_if_fail (!self->sealed, 0);

  ht_graph_refresh (self);
  g_autoptr (GPtrArray) used = g_ptr_array_new_with_free_func ((GDestroyNotify) g_ref_string_release);
  for (guint i = 0; i < self->initializers->len; i++)
    {
      HtValue *value = g_ptr_array_index (self->initializers, i);
      if (value->n_uses + value->n_outputs > 0)
        g_ptr_array_add (used, g_ref_string_acquire (value->name));
    }
  while ((n_now = remove_dead_once (self)) > 0)
    n_removed += n_now;
  for (guint i = 0; n_removed > 0 && i < used->len; i++)
    if (ht_graph_count_uses (self, g_ptr_array_index (used, i)) == 0)
      {
        ht_graph_remove_initializer (self, g_ptr_array_index (used, i));
        ht_graph_remove_input (self, g_ptr_array_index (used, i));
      }
  return n_removed;
}
