/* SPDX-License-Identifier: MIT */
/* A simulation with some of its quantizers switched off: what analysis and search measure. */
#include "quant/simulation-parts-private.h"

#include "quant/bias-grid.h"
#include "quant/simulation-private.h"

#include <halftone/error.h>
#include <string.h>

/**
 * HtSimulationParts:
 *
 * A choice among the quantizers of a simulation: weights only, activations only, one layer, all but one. The simulation
 * stays as it is; executors are made of both. Encodings are those that the simulation has when the executor is made.
 *
 * A bias is rounded to int32 only where the quantizers of its layer's input and weight are both on.
 */
struct _HtSimulationParts
{
  HtSimulation *simulation;
  GHashTable *on; /* names of tensors */
};

G_DEFINE_BOXED_TYPE (HtSimulationParts, ht_simulation_parts, ht_simulation_parts_copy, ht_simulation_parts_free)

static HtQuantizerKinds
get_kind (HtQuantizer *quantizer)
{
  return ht_quantizer_is_weight (quantizer) ? HT_QUANTIZERS_WEIGHTS : HT_QUANTIZERS_ACTIVATIONS;
}

/**
 * ht_simulation_parts_new:
 * @simulation: a simulation
 * @kinds: the quantizers that are on; 0 for none
 *
 * Chooses quantizers by kind. Those that an encodings file adds to the simulation later are off.
 *
 * Returns: (transfer full): the choice
 */
HtSimulationParts *
ht_simulation_parts_new (HtSimulation *simulation, HtQuantizerKinds kinds)
{
  HtSimulationParts *self;

  g_return_val_if_fail (HT_IS_SIMULATION (simulation), NULL);

  self = g_new0 (HtSimulationParts, 1);
  self->simulation = g_object_ref (simulation);
  self->on = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < simulation->placement->quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (simulation->placement->quantizers, i);

      if (kinds & get_kind (quantizer))
        g_hash_table_add (self->on, g_strdup (ht_quantizer_get_tensor (quantizer)));
    }
  return self;
}

/**
 * ht_simulation_parts_copy:
 * @self: a choice
 *
 * Copies a choice; the simulation is shared.
 *
 * Returns: (transfer full): the copy
 */
HtSimulationParts *
ht_simulation_parts_copy (HtSimulationParts *self)
{
  HtSimulationParts *copy;
  GHashTableIter iter;
  gpointer name;

  g_return_val_if_fail (self != NULL, NULL);

  copy = ht_simulation_parts_new (self->simulation, 0);
  g_hash_table_iter_init (&iter, self->on);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    g_hash_table_add (copy->on, g_strdup (name));
  return copy;
}

/**
 * ht_simulation_parts_free:
 * @self: (transfer full): a choice
 *
 * Frees a choice.
 */
void
ht_simulation_parts_free (HtSimulationParts *self)
{
  g_return_if_fail (self != NULL);

  g_object_unref (self->simulation);
  g_hash_table_unref (self->on);
  g_free (self);
}

/**
 * ht_simulation_parts_get_simulation:
 * @self: a choice
 *
 * Gets what the choice is of.
 *
 * Returns: (transfer none): the simulation
 */
HtSimulation *
ht_simulation_parts_get_simulation (HtSimulationParts *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->simulation;
}

/**
 * ht_simulation_parts_is_on:
 * @self: a choice
 * @tensor: the name of a tensor
 *
 * Tells whether a tensor has a quantizer that is on.
 *
 * Returns: %TRUE if so
 */
gboolean
ht_simulation_parts_is_on (HtSimulationParts *self, const char *tensor)
{
  g_return_val_if_fail (self != NULL && tensor != NULL, FALSE);

  return g_hash_table_contains (self->on, tensor);
}

static void
set_on (HtSimulationParts *self, const char *tensor, gboolean on)
{
  if (on)
    g_hash_table_add (self->on, g_strdup (tensor));
  else
    g_hash_table_remove (self->on, tensor);
}

/**
 * ht_simulation_parts_switch:
 * @self: a choice
 * @tensor: the name of a quantized tensor
 * @on: whether its quantizer is to be on
 * @error: return location for an error
 *
 * Switches one quantizer.
 *
 * Returns: %TRUE, or %FALSE with %HT_ERROR_NOT_FOUND when the tensor has no quantizer
 */
gboolean
ht_simulation_parts_switch (HtSimulationParts *self, const char *tensor, gboolean on, GError **error)
{
  g_return_val_if_fail (self != NULL && tensor != NULL, FALSE);

  if (!g_hash_table_contains (self->simulation->by_name, tensor))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND,
                   "switching the quantizer of tensor '%s' %s: it has none; name a tensor that is quantized", tensor,
                   on ? "on" : "off");
      return FALSE;
    }
  set_on (self, tensor, on);
  return TRUE;
}

/* By what it makes, which names it for certain, or by its name. */
static HtNode *
find_layer (HtSimulation *simulation, const char *layer, GError **error)
{
  HtNode *node = ht_graph_get_producer (simulation->graph, layer);
  g_autoptr (GPtrArray) names = NULL;
  const char *nearest;

  if (node)
    return node;
  names = g_ptr_array_new ();
  for (guint i = 0; i < ht_graph_get_n_nodes (simulation->graph); i++)
    {
      node = ht_graph_get_node (simulation->graph, i);
      if (ht_node_get_name (node)[0] == '\0')
        continue;
      if (strcmp (ht_node_get_name (node), layer) == 0)
        return node;
      g_ptr_array_add (names, (gpointer)ht_node_get_name (node));
    }
  g_ptr_array_add (names, NULL);
  nearest = ht_suggest (layer, (const char *const *)names->pdata);
  g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND,
               "looking for layer '%s': no node of network '%s' has that name or makes a tensor of that name%s%s%s",
               layer, ht_graph_get_name (simulation->graph), nearest ? "; did you mean '" : "", nearest ? nearest : "",
               nearest ? "'?" : "");
  return NULL;
}

static void
add_name (HtSimulation *self, const char *tensor, HtQuantizerKinds kinds, GPtrArray *names)
{
  HtQuantizer *quantizer = g_hash_table_lookup (self->by_name, tensor);

  if (quantizer && kinds & get_kind (quantizer) && !g_ptr_array_find_with_equal_func (names, tensor, g_str_equal, NULL))
    g_ptr_array_add (names, g_strdup (tensor));
}

/**
 * ht_simulation_list_layer_quantizers:
 * @self: a simulation
 * @layer: the name of a tensor that the layer's first node makes, or the name of that node
 * @kinds: which quantizers to list
 * @error: return location for an error
 *
 * Lists the quantized tensors of one layer: the constants that it reads, and what it gives to others. A layer is a node
 * with what the target quantizes together with it: its bias, a batch norm, the activation that follows.
 *
 * Returns: (transfer full) (array zero-terminated=1) (nullable): the names of the tensors, none where the layer has no
 *   quantizer of these kinds; %NULL with %HT_ERROR_NOT_FOUND when there is no such layer
 */
char **
ht_simulation_list_layer_quantizers (HtSimulation *self, const char *layer, HtQuantizerKinds kinds, GError **error)
{
  GPtrArray *nodes, *names;
  HtNode *head;
  guint first = 0;

  g_return_val_if_fail (HT_IS_SIMULATION (self) && layer != NULL, NULL);

  head = find_layer (self, layer, error);
  if (!head)
    return NULL;
  nodes = g_hash_table_lookup (self->placement->groups, head);
  g_ptr_array_find (nodes, head, &first);
  names = g_ptr_array_new ();
  for (guint i = first; i < nodes->len; i++)
    {
      HtNode *node = g_ptr_array_index (nodes, i);

      for (guint k = 0; k < ht_node_get_n_inputs (node); k++)
        if (ht_graph_is_constant (self->graph, ht_node_get_input (node, k)))
          add_name (self, ht_node_get_input (node, k), kinds, names);
      for (guint k = 0; k < ht_node_get_n_outputs (node); k++)
        add_name (self, ht_node_get_output (node, k), kinds, names);
    }
  g_ptr_array_add (names, NULL);
  return (char **)g_ptr_array_free (names, FALSE);
}

/**
 * ht_simulation_parts_switch_layer:
 * @self: a choice
 * @layer: a layer, as ht_simulation_list_layer_quantizers() takes it
 * @kinds: its weight, its output, or both
 * @on: whether its quantizers are to be on
 * @error: return location for an error
 *
 * Switches the quantizers of one layer.
 *
 * Returns: %TRUE, or %FALSE with %HT_ERROR_NOT_FOUND when there is no such layer or it has no such quantizer
 */
gboolean
ht_simulation_parts_switch_layer (HtSimulationParts *self, const char *layer, HtQuantizerKinds kinds, gboolean on,
                                  GError **error)
{
  g_auto (GStrv) names = NULL;

  g_return_val_if_fail (self != NULL && layer != NULL, FALSE);

  names = ht_simulation_list_layer_quantizers (self->simulation, layer, kinds, error);
  if (!names)
    return FALSE;
  for (guint i = 0; names[i]; i++)
    set_on (self, names[i], on);
  if (names[0])
    return TRUE;
  g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND,
               "switching layer '%s' %s: it has no quantizer for its %s; it stays in floating point", layer,
               on ? "on" : "off",
               kinds == HT_QUANTIZERS_WEIGHTS       ? "weight"
               : kinds == HT_QUANTIZERS_ACTIVATIONS ? "output"
                                                    : "weight nor its output");
  return FALSE;
}

HtEncoding *
ht_simulation_find_encoding (HtSimulation *simulation, const HtSimulationParts *parts, const char *tensor)
{
  if (parts && !g_hash_table_contains (parts->on, tensor))
    return NULL;
  return g_hash_table_lookup (simulation->encodings, tensor);
}

/* A constant that several nodes read has no grid of its own here: each would ask for another one. */
static gboolean
quantize_layers (HtSimulation *self, const HtSimulationParts *parts, HtExecutor *executor, GError **error)
{
  guint n_nodes = ht_graph_get_n_nodes (self->graph);

  for (guint i = 0; i < n_nodes; i++)
    {
      HtNode *node = ht_graph_get_node (self->graph, i);
      HtEncoding *kept = NULL;
      g_autoptr (HtEncoding) encoding = NULL;

      /* The layer shall know its input's grid: rounding to it once more changes nothing. */
      if (ht_node_is_op (node, "Conv"))
        kept = ht_simulation_find_kept_grid (self, parts, ht_node_get_input (node, 0));
      if (kept)
        ht_executor_set_encoding (executor, ht_node_get_input (node, 0), kept);
      if (!ht_bias_grid_make (self, parts, node, &encoding, error))
        return FALSE;
      if (encoding && ht_graph_count_uses (self->graph, ht_node_get_input (node, 2)) == 1)
        ht_executor_set_encoding (executor, ht_node_get_input (node, 2), encoding);
    }
  return TRUE;
}

/* What tensors share stays shared. */
static HtEncoding *
get_rounding_up (GHashTable *copies, HtEncoding *encoding)
{
  HtEncoding *copy = g_hash_table_lookup (copies, encoding);

  if (!copy)
    {
      copy = ht_encoding_copy_rounding_up (encoding);
      g_hash_table_insert (copies, encoding, copy);
    }
  return copy;
}

static HtExecutor *
create_executor (HtSimulation *self, const HtSimulationParts *parts, GError **error)
{
  g_autoptr (HtExecutor) executor = ht_executor_new (self->graph, error);
  g_autoptr (GHashTable) copies = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify)ht_encoding_unref);

  if (!executor)
    return NULL;
  for (guint i = 0; i < self->placement->quantizers->len; i++)
    {
      const char *tensor = ht_quantizer_get_tensor (g_ptr_array_index (self->placement->quantizers, i));
      HtEncoding *encoding = ht_simulation_find_encoding (self, parts, tensor);

      if (encoding && self->arithmetic == HT_ARITHMETIC_AIMET)
        encoding = get_rounding_up (copies, encoding);
      if (encoding)
        ht_executor_set_encoding (executor, tensor, encoding);
    }
  if (self->arithmetic == HT_ARITHMETIC_DEVICE && !quantize_layers (self, parts, executor, error))
    return NULL;
  return g_steal_pointer (&executor);
}

/**
 * ht_simulation_create_executor:
 * @self: a simulation
 * @error: return location for an error
 *
 * Makes an executor that runs the network quantized, with all encodings that there are now. With the arithmetic of a
 * device, biases of layers whose input and weight are quantized are rounded to int32 in steps of input scale times
 * weight scale, as the exported file does.
 *
 * Returns: (transfer full) (nullable): the executor, or %NULL with @error set
 */
HtExecutor *
ht_simulation_create_executor (HtSimulation *self, GError **error)
{
  g_return_val_if_fail (HT_IS_SIMULATION (self), NULL);

  return create_executor (self, NULL, error);
}

/**
 * ht_simulation_parts_create_executor:
 * @self: a choice
 * @error: return location for an error
 *
 * Makes an executor like ht_simulation_create_executor(), with the chosen quantizers only.
 *
 * Returns: (transfer full) (nullable): the executor, or %NULL with @error set
 */
HtExecutor *
ht_simulation_parts_create_executor (HtSimulationParts *self, GError **error)
{
  g_return_val_if_fail (self != NULL, NULL);

  return create_executor (self->simulation, self, error);
}
