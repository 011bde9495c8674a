/* SPDX-License-Identifier: MIT */
/* Why a tensor is quantized as it is, or is not. */
#include "quant/simulation-private.h"

#include <halftone/error.h>
#include <halftone/param.h>

/* A value as a recipe writes it. */
static char *
describe_value (GObject *settings, const char *key)
{
  g_autoptr (JsonNode) value = ht_object_get_param (settings, key, NULL);

  if (!value)
    return g_strdup ("?");
  if (JSON_NODE_HOLDS_VALUE (value) && json_node_get_value_type (value) == G_TYPE_STRING)
    return g_strdup (json_node_get_string (value));
  return json_to_string (value, FALSE);
}

static void
explain_settings (HtQuantizer *quantizer, GPtrArray *lines)
{
  GObject *settings = G_OBJECT (ht_quantizer_get_settings (quantizer));
  g_autoptr (GPtrArray) params = ht_object_list_params (G_OBJECT_GET_CLASS (settings));

  for (guint i = 0; i < params->len; i++)
    {
      const char *key = g_param_spec_get_name (g_ptr_array_index (params, i));
      const char *origin = ht_quantizer_get_origin (quantizer, key);
      g_autofree char *value = describe_value (settings, key);

      g_ptr_array_add (lines, g_strdup_printf ("%s: %s, by %s", key, value, origin ? origin : "default"));
    }
}

static void
explain_quantizer (HtSimulation *self, HtQuantizer *quantizer, GPtrArray *lines)
{
  const char *tied = ht_quantizer_get_tie (quantizer);
  HtEncoding *encoding = g_hash_table_lookup (self->encodings, ht_quantizer_get_tensor (quantizer));
  double minimum, maximum;

  g_ptr_array_add (lines, g_strdup_printf ("quantized: %s", ht_quantizer_get_reason (quantizer)));
  if (tied)
    g_ptr_array_add (lines, g_strdup_printf ("shares the quantizer of '%s', as the target has it", tied));
  if (ht_quantizer_get_range (quantizer, &minimum, &maximum) && maximum == G_MAXDOUBLE)
    g_ptr_array_add (lines, g_strdup_printf ("its minimum is fixed at %g, as the target has it", minimum));
  else if (ht_quantizer_get_range (quantizer, &minimum, &maximum))
    g_ptr_array_add (lines,
                     g_strdup_printf ("its range is fixed from %g to %g, as the target has it", minimum, maximum));
  explain_settings (quantizer, lines);
  if (encoding)
    {
      g_autofree char *text = ht_encoding_to_string (encoding);

      g_ptr_array_add (lines, g_strdup_printf ("encoding: %s", text));
    }
}

static gboolean
is_known (HtSimulation *self, const char *tensor, GPtrArray *names)
{
  const char *const *inputs = ht_graph_get_inputs (self->graph);
  gboolean known = FALSE;

  for (guint i = 0; inputs[i]; i++)
    g_ptr_array_add (names, (gpointer)inputs[i]);
  for (guint i = 0; i < ht_graph_get_n_nodes (self->graph); i++)
    {
      HtNode *node = ht_graph_get_node (self->graph, i);

      for (guint k = 0; k < ht_node_get_n_inputs (node); k++)
        if (ht_node_get_input (node, k)[0])
          g_ptr_array_add (names, (gpointer)ht_node_get_input (node, k));
      for (guint k = 0; k < ht_node_get_n_outputs (node); k++)
        if (ht_node_get_output (node, k)[0])
          g_ptr_array_add (names, (gpointer)ht_node_get_output (node, k));
    }
  for (guint i = 0; i < names->len && !known; i++)
    known = g_str_equal (g_ptr_array_index (names, i), tensor);
  g_ptr_array_add (names, NULL);
  return known;
}

/**
 * ht_simulation_explain_tensor:
 * @self: a simulation
 * @tensor: the name of a tensor of the network
 * @error: return location for an error
 *
 * Explains how a tensor is quantized, and who had the last word on each of its settings: the target, with the place in
 * its file, a key of the recipe or a rule; or why it has no quantizer of its own.
 *
 * Returns: (transfer full) (array zero-terminated=1) (nullable): lines of text, the first one says whether it is
 *   quantized; %NULL with %HT_ERROR_NOT_FOUND when the network has no such tensor
 */
char **
ht_simulation_explain_tensor (HtSimulation *self, const char *tensor, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  GPtrArray *lines;
  HtQuantizer *quantizer;
  const char *reason;

  g_return_val_if_fail (HT_IS_SIMULATION (self) && tensor != NULL, NULL);

  if (!is_known (self, tensor, names))
    {
      const char *near = ht_suggest (tensor, (const char *const *)names->pdata);

      g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND,
                   "explaining tensor '%s': the network has none of that name%s%s%s", tensor,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
      return NULL;
    }
  lines = g_ptr_array_new ();
  quantizer = g_hash_table_lookup (self->by_name, tensor);
  reason = g_hash_table_lookup (self->placement->reasons, tensor);
  if (quantizer)
    explain_quantizer (self, quantizer, lines);
  else
    g_ptr_array_add (lines,
                     g_strdup_printf ("has no quantizer: %s",
                                      reason ? reason : "no operator that the target quantizes makes or reads it"));
  g_ptr_array_add (lines, NULL);
  return (char **)g_ptr_array_free (lines, FALSE);
}
