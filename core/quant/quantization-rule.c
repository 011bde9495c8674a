/* SPDX-License-Identifier: MIT */
#include "quant/quantization-rule.h"

#include "graph/graph-private.h"
#include "graph/written-out.h"

#include <halftone/layer.h>

HtRule *
ht_rule_new (const char *op_type, const char *glob, gboolean skip)
{
  HtRule *self = g_new0 (HtRule, 1);

  self->op_type = g_strdup (op_type);
  self->glob = g_strdup (glob);
  self->glob_spec = glob ? g_pattern_spec_new (glob) : NULL;
  self->skip = skip;
  for (guint i = 0; i < 2; i++)
    self->values[i] = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)json_node_unref);
  return self;
}

HtRule *
ht_rule_copy (HtRule *self, gboolean weights, gboolean activations)
{
  HtRule *copy = ht_rule_new (self->op_type, self->glob, self->skip);
  const gboolean chosen[] = { weights, activations };

  copy->pattern = g_strdupv (self->pattern);
  copy->position = self->position;
  copy->place = g_strdup (self->place);
  for (guint i = 0; i < 2; i++)
    {
      GHashTableIter iter;
      gpointer key, value;

      g_hash_table_iter_init (&iter, self->values[i]);
      while (chosen[i] && g_hash_table_iter_next (&iter, &key, &value))
        g_hash_table_insert (copy->values[i], g_strdup (key), json_node_copy (value));
    }
  return copy;
}

void
ht_rule_free (gpointer rule)
{
  HtRule *self = rule;

  g_free (self->op_type);
  g_free (self->glob);
  g_clear_pointer (&self->glob_spec, g_pattern_spec_free);
  g_strfreev (self->pattern);
  g_free (self->place);
  g_hash_table_unref (self->values[0]);
  g_hash_table_unref (self->values[1]);
  g_free (self);
}

static HtNode *
step_back (HtGraph *graph, HtNode *node, const char *op_type)
{
  for (guint i = 0; i < ht_node_get_n_inputs (node); i++)
    {
      const char *input = ht_node_get_input (node, i);
      HtNode *producer = input[0] ? ht_graph_get_producer (graph, input) : NULL;

      if (producer && ht_node_is_op (producer, op_type) && ht_graph_get_only_reader (graph, input) == node)
        return producer;
    }
  return NULL;
}

/* Whether a chain of these operators, each the only reader of the one before, has the node at `index`. */
static gboolean
is_at (char **pattern, guint index, HtNode *node)
{
  HtGraph *graph = node->graph;
  HtNode *at = node;

  if (!ht_node_is_op (node, pattern[index]))
    return FALSE;
  for (guint i = index; at && i > 0; i--)
    at = step_back (graph, at, pattern[i - 1]);
  if (!at)
    return FALSE;
  at = node;
  for (guint i = index + 1; at && pattern[i]; i++)
    {
      at = ht_node_get_n_outputs (at) > 0 ? ht_graph_get_only_reader (graph, ht_node_get_output (at, 0)) : NULL;
      if (at && !ht_node_is_op (at, pattern[i]))
        at = NULL;
    }
  return at != NULL;
}

static gboolean
matches_pattern (char **pattern, HtNode *node)
{
  for (guint i = 0; node->graph && pattern[i]; i++)
    if (is_at (pattern, i, node))
      return TRUE;
  return FALSE;
}

static gboolean
is_weighted (HtNode *node)
{
  return ht_node_is_op (node, "Conv") || ht_node_is_op (node, "ConvTranspose") || ht_node_is_op (node, "Gemm")
         || ht_node_is_op (node, "MatMul");
}

/* The first or last layer in execution order, which is the order of the nodes. */
static gboolean
matches_position (HtRulePosition position, HtNode *node)
{
  HtGraph *graph = node->graph;
  guint n_nodes = graph ? ht_graph_get_n_nodes (graph) : 0;

  if (!is_weighted (node))
    return FALSE;
  for (guint i = 0; i < n_nodes; i++)
    {
      HtNode *other = ht_graph_get_node (graph, position == HT_RULE_POSITION_FIRST ? i : n_nodes - 1 - i);
      g_autoptr (HtLayer) layer = is_weighted (other) ? ht_layer_new (graph, other) : NULL;

      if (layer)
        return other == node;
    }
  return FALSE;
}

gboolean
ht_rule_matches (HtRule *self, HtNode *node)
{
  if (self->op_type && !g_str_equal (self->op_type, ht_node_get_op_type (node)))
    return FALSE;
  if (self->glob_spec && !g_pattern_spec_match_string (self->glob_spec, ht_node_get_name (node)))
    return FALSE;
  if (self->pattern && !matches_pattern (self->pattern, node))
    return FALSE;
  return self->position == HT_RULE_POSITION_ANY || matches_position (self->position, node);
}

char *
ht_rule_describe (HtRule *self, guint number)
{
  if (self->place)
    return g_strdup_printf ("rule %u (%s)", number + 1, self->place);
  return g_strdup_printf ("rule %u", number + 1);
}
