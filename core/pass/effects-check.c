/* SPDX-License-Identifier: MIT */
#include "pass/effects-check.h"

#include <halftone/error.h>

static gboolean
nodes_equal (HtNode *a, HtNode *b)
{
  return g_str_equal (ht_node_get_op_type (a), ht_node_get_op_type (b))
         && g_str_equal (ht_node_get_domain (a), ht_node_get_domain (b))
         && g_strv_equal (ht_node_get_inputs (a), ht_node_get_inputs (b))
         && g_strv_equal (ht_node_get_outputs (a), ht_node_get_outputs (b));
}

static gboolean
check_topology (HtGraph *before, HtGraph *after, GError **error)
{
  guint n_before = ht_graph_get_n_nodes (before), n_after = ht_graph_get_n_nodes (after);

  if (n_before != n_after)
    {
      g_set_error (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS,
                   "it made %u nodes of %u without declaring the effect changes-topology", n_after, n_before);
      return FALSE;
    }
  for (guint i = 0; i < n_before; i++)
    if (!nodes_equal (ht_graph_get_node (before, i), ht_graph_get_node (after, i)))
      {
        g_autofree char *node = ht_node_describe (ht_graph_get_node (before, i));
        g_set_error (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS,
                     "it changed %s or its connections without declaring the effect changes-topology", node);
        return FALSE;
      }
  return TRUE;
}

static gboolean
check_constants (HtGraph *before, HtGraph *after, GError **error)
{
  g_auto (GStrv) names = ht_graph_list_initializers (before);

  for (gsize i = 0; names[i] != NULL; i++)
    {
      HtTensor *old = ht_graph_get_initializer (before, names[i]);
      HtTensor *new = ht_graph_get_initializer (after, names[i]);
      if (new == NULL || old == new || ht_tensor_equal (old, new))
        continue;
      g_set_error (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS,
                   "it changed '%s' without declaring any of the effects changes-weights, changes-biases, "
                   "rescales-channels, changes-topology",
                   names[i]);
      return FALSE;
    }
  return TRUE;
}

gboolean
ht_check_effects (HtPlanStep *step, HtGraph *before, HtGraph *after, GError **error)
{
  gboolean topology = ht_plan_step_may (step, HT_RULE_EFFECT, "changes-topology");
  gboolean constants = topology || ht_plan_step_may (step, HT_RULE_EFFECT, "changes-weights")
                       || ht_plan_step_may (step, HT_RULE_EFFECT, "changes-biases")
                       || ht_plan_step_may (step, HT_RULE_EFFECT, "rescales-channels");

  return (topology || check_topology (before, after, error)) && (constants || check_constants (before, after, error));
}

static gboolean
changed_constants (HtGraph *before, HtGraph *after)
{
  g_auto (GStrv) names = ht_graph_list_initializers (before);

  for (gsize i = 0; names[i] != NULL; i++)
    {
      HtTensor *old = ht_graph_get_initializer (before, names[i]);
      HtTensor *new = ht_graph_get_initializer (after, names[i]);
      if (new != NULL && old != new && !ht_tensor_equal (old, new))
        return TRUE;
    }
  return FALSE;
}

static gboolean
is_in_graph (HtGraph *graph, const char *tensor)
{
  return ht_graph_get_producer (graph, tensor) != NULL || ht_graph_get_initializer (graph, tensor) != NULL
         || g_strv_contains (ht_graph_get_inputs (graph), tensor);
}

gboolean
ht_check_encodings (HtPlanStep *step, HtModelState *before, HtModelState *after, GError **error)
{
  g_auto (GStrv) tensors = ht_model_state_list_encodings (before);
  HtGraph *old = ht_model_state_get_graph (before), *new = ht_model_state_get_graph (after);
  gboolean rescaled = ht_plan_step_may (step, HT_RULE_EFFECT, "rescales-channels")
                      && !ht_plan_step_may (step, HT_RULE_CARRIES_ENCODINGS, NULL) && changed_constants (old, new);

  for (gsize i = 0; tensors[i] != NULL; i++)
    {
      HtEncodingStatus status;
      ht_model_state_get_encoding (before, tensors[i], &status);
      if (status == HT_ENCODING_OPEN)
        continue;
      if (status == HT_ENCODING_PINNED && is_in_graph (old, tensors[i]) && !is_in_graph (new, tensors[i]))
        {
          g_set_error (error, HT_ERROR, HT_ERROR_CONFLICT,
                       "it removed the tensor '%s', whose encoding the user pinned; leave the step or the encoding out",
                       tensors[i]);
          return FALSE;
        }
      if (rescaled && !ht_graph_is_constant (old, tensors[i])
          && !g_strv_contains (ht_graph_get_inputs (old), tensors[i]))
        {
          g_set_error (
              error, HT_ERROR, HT_ERROR_CONFLICT,
              "it rescaled channels and carries no encodings along, so the given encoding of '%s' may no longer "
              "fit; leave the step or the encodings of activations out",
              tensors[i]);
          return FALSE;
        }
    }
  return TRUE;
}
