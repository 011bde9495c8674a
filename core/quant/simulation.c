/* SPDX-License-Identifier: MIT */
/* A graph with a quantizer for each tensor that the target's rules quantize, and their encodings. */
#include "quant/bias-grid.h"
#include "quant/simulation-private.h"

#include <halftone/error.h>
#include <halftone/param.h>
#include <string.h>

/**
 * HtSimulation:
 *
 * A network as it will behave when quantized: a graph, a quantizer for each tensor that the target and the rules
 * quantize, and an encoding for each quantizer once it is calibrated or given. Quantizers are no nodes: the executor
 * rounds tensors where they are produced and constants where they are read, so the graph stays as it is.
 *
 * An encoding that was given, by ht_simulation_set_encoding(), a file or a model state, is left alone by calibration.
 * A quantizer without an encoding does nothing: its tensor stays in floating point.
 */
G_DEFINE_FINAL_TYPE (HtSimulation, ht_simulation, G_TYPE_OBJECT)

static void
ht_simulation_finalize (GObject *object)
{
  HtSimulation *self = HT_SIMULATION (object);

  g_clear_object (&self->graph);
  g_clear_object (&self->config);
  g_clear_pointer (&self->placement, ht_placement_free);
  g_hash_table_unref (self->by_name);
  g_hash_table_unref (self->encodings);
  g_hash_table_unref (self->given);
  g_hash_table_unref (self->losses);
  G_OBJECT_CLASS (ht_simulation_parent_class)->finalize (object);
}

static void
ht_simulation_class_init (HtSimulationClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_simulation_finalize;
}

static void
ht_simulation_init (HtSimulation *self)
{
  self->by_name = g_hash_table_new (g_str_hash, g_str_equal);
  self->encodings = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) ht_encoding_unref);
  self->given = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->losses = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
}

/* A bias is rounded in steps of its own layer's products: one that several layers read becomes one for each. */
static void
split_biases (HtGraph *graph)
{
  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    {
      HtNode *node = ht_graph_get_node (graph, i);
      g_autoptr (HtTensor) bias = NULL;
      g_autofree char *name = NULL;

      if (!ht_bias_grid_is_layer (node) || ht_graph_count_uses (graph, ht_node_get_input (node, 2)) < 2)
        continue;
      bias = ht_graph_get_constant (graph, ht_node_get_input (node, 2));
      if (!bias)
        continue;
      name = ht_graph_make_name (graph, ht_node_get_input (node, 2));
      ht_graph_set_initializer (graph, name, bias);
      ht_graph_set_node_input (graph, node, 2, name);
    }
}

/* What the settings say of blocks, and the weight has no room for. */
static void
note_blocks (HtSimulation *self)
{
  for (guint i = 0; i < self->placement->quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (self->placement->quantizers, i);
      guint size = ht_quantizer_settings_get_block_size (ht_quantizer_get_settings (quantizer));
      const char *tensor = ht_quantizer_get_tensor (quantizer);
      g_autoptr (HtTensor) value = NULL;
      HtGridForm form;
      guint n_dims;
      const gint64 *dims;

      if (size == 0)
        continue;
      value = ht_graph_get_constant (self->graph, tensor);
      if (!value)
        continue;
      dims = ht_tensor_get_dims (value, &n_dims);
      ht_quantizer_get_form (quantizer, self->graph, dims, n_dims, &form);
      if (form.block_axis < 0)
        ht_simulation_note (self, "weight '%s': it has no axis of more than %u input channels to cut into blocks, so it "
                                  "has %s",
                            tensor, size, form.axis < 0 ? "one grid" : "a grid for each output channel");
    }
}

/**
 * ht_simulation_new:
 * @graph: a network; it is copied, later changes are not seen
 * @config: what is quantized and how
 * @error: return location for an error
 *
 * Places quantizers on a network. No encoding exists yet.
 *
 * Returns: (transfer full) (nullable): the simulation, or %NULL with @error set when settings contradict each other or the
 *   shapes of the network do
 */
HtSimulation *
ht_simulation_new (HtGraph *graph, HtQuantizationConfig *config, GError **error)
{
  g_autoptr (HtSimulation) self = NULL;

  g_return_val_if_fail (HT_IS_GRAPH (graph) && HT_IS_QUANTIZATION_CONFIG (config), NULL);

  if (!ht_quantization_config_verify (config, error))
    return NULL;
  self = g_object_new (HT_TYPE_SIMULATION, NULL);
  self->config = g_object_ref (config);
  self->graph = ht_graph_copy (graph);
  if (!ht_graph_sort (self->graph, error) || !ht_graph_infer_shapes (self->graph, error))
    return NULL;
  split_biases (self->graph);
  ht_graph_seal (self->graph);
  self->placement = ht_placement_new (self->graph, config, error);
  if (!self->placement)
    return NULL;
  for (guint i = 0; i < self->placement->quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (self->placement->quantizers, i);

      g_hash_table_insert (self->by_name, (gpointer) ht_quantizer_get_tensor (quantizer), quantizer);
    }
  note_blocks (self);
  return g_steal_pointer (&self);
}

/**
 * ht_simulation_get_graph:
 * @self: a simulation
 *
 * Gets the network: a sealed copy of what the simulation was made of, with inferred shapes.
 *
 * Returns: (transfer none): the graph
 */
HtGraph *
ht_simulation_get_graph (HtSimulation *self)
{
  g_return_val_if_fail (HT_IS_SIMULATION (self), NULL);

  return self->graph;
}

/**
 * ht_simulation_get_config:
 * @self: a simulation
 *
 * Gets what the quantizers were placed by.
 *
 * Returns: (transfer none): the configuration
 */
HtQuantizationConfig *
ht_simulation_get_config (HtSimulation *self)
{
  g_return_val_if_fail (HT_IS_SIMULATION (self), NULL);

  return self->config;
}

/**
 * ht_simulation_list_quantizers:
 * @self: a simulation
 *
 * Lists the quantizers in graph order: network inputs, then for each node its constants and its outputs.
 *
 * Returns: (transfer full) (element-type HtQuantizer): the quantizers
 */
GPtrArray *
ht_simulation_list_quantizers (HtSimulation *self)
{
  GPtrArray *list;

  g_return_val_if_fail (HT_IS_SIMULATION (self), NULL);

  list = g_ptr_array_new_full (self->placement->quantizers->len, (GDestroyNotify) ht_quantizer_unref);
  for (guint i = 0; i < self->placement->quantizers->len; i++)
    g_ptr_array_add (list, ht_quantizer_ref (g_ptr_array_index (self->placement->quantizers, i)));
  return list;
}

/**
 * ht_simulation_get_quantizer:
 * @self: a simulation
 * @tensor: the name of a tensor
 *
 * Looks a quantizer up.
 *
 * Returns: (transfer none) (nullable): the quantizer, or %NULL when the tensor has none
 */
HtQuantizer *
ht_simulation_get_quantizer (HtSimulation *self, const char *tensor)
{
  g_return_val_if_fail (HT_IS_SIMULATION (self) && tensor != NULL, NULL);

  return g_hash_table_lookup (self->by_name, tensor);
}

/**
 * ht_simulation_list_skipped:
 * @self: a simulation
 *
 * Lists what stays in floating point though it might have been quantized, each with the reason, in graph order.
 *
 * Returns: (transfer full) (array zero-terminated=1): one line for each node or tensor
 */
char **
ht_simulation_list_skipped (HtSimulation *self)
{
  g_autoptr (GStrvBuilder) lines = NULL;

  g_return_val_if_fail (HT_IS_SIMULATION (self), NULL);

  lines = g_strv_builder_new ();
  for (guint i = 0; i < self->placement->skipped->len; i++)
    g_strv_builder_add (lines, g_ptr_array_index (self->placement->skipped, i));
  return g_strv_builder_end (lines);
}

/**
 * ht_simulation_get_encoding:
 * @self: a simulation
 * @tensor: the name of a tensor
 *
 * Gets the encoding of a quantizer.
 *
 * Returns: (transfer none) (nullable): the encoding, or %NULL when there is none (yet)
 */
HtEncoding *
ht_simulation_get_encoding (HtSimulation *self, const char *tensor)
{
  g_return_val_if_fail (HT_IS_SIMULATION (self) && tensor != NULL, NULL);

  return g_hash_table_lookup (self->encodings, tensor);
}

/**
 * ht_simulation_get_arithmetic:
 * @self: a simulation
 *
 * Gets what is computed between the grids.
 *
 * Returns: the arithmetic
 */
HtArithmetic
ht_simulation_get_arithmetic (HtSimulation *self)
{
  g_return_val_if_fail (HT_IS_SIMULATION (self), HT_ARITHMETIC_DEVICE);

  return self->arithmetic;
}

/**
 * ht_simulation_set_arithmetic:
 * @self: a simulation
 * @arithmetic: the arithmetic
 *
 * Sets what the executors that are made from now on compute between the grids. A new simulation is a device;
 * ht_simulation_load_encodings() makes it what the writer of the file is.
 */
void
ht_simulation_set_arithmetic (HtSimulation *self, HtArithmetic arithmetic)
{
  g_return_if_fail (HT_IS_SIMULATION (self));

  self->arithmetic = arithmetic;
}

HtEncoding *
ht_simulation_find_grid (HtSimulation *self, const HtSimulationParts *parts, const char *tensor)
{
  const char *grid = g_hash_table_lookup (self->placement->grids, tensor);

  return grid ? ht_simulation_find_encoding (self, parts, grid) : NULL;
}

HtEncoding *
ht_simulation_find_kept_grid (HtSimulation *self, const HtSimulationParts *parts, const char *tensor)
{
  HtEncoding *encoding = ht_simulation_find_grid (self, parts, tensor);

  if (!encoding || g_hash_table_contains (self->by_name, tensor) || ht_encoding_get_axis (encoding) >= 0)
    return NULL;
  return encoding;
}

HtEncodingOrigin
ht_simulation_get_origin (HtSimulation *self, const char *tensor)
{
  if (g_hash_table_contains (self->given, tensor))
    return HT_ORIGIN_GIVEN;
  return g_hash_table_contains (self->encodings, tensor) ? HT_ORIGIN_COMPUTED : HT_ORIGIN_NONE;
}

void
ht_simulation_take_encoding (HtSimulation *self, const char *tensor, HtEncoding *encoding, HtEncodingOrigin origin)
{
  g_hash_table_replace (self->encodings, g_strdup (tensor), ht_encoding_ref (encoding));
  g_hash_table_remove (self->losses, tensor);
  if (origin == HT_ORIGIN_GIVEN)
    g_hash_table_add (self->given, g_strdup (tensor));
  else
    g_hash_table_remove (self->given, tensor);
}

void
ht_simulation_note (HtSimulation *self, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_ptr_array_add (self->placement->skipped, g_strdup_vprintf (format, args));
  va_end (args);
}

HtQuantizer *
ht_simulation_add_quantizer (HtSimulation *self, const char *tensor, gboolean is_weight, const char *reason)
{
  g_autoptr (HtQuantizerSettings) settings
      = ht_quantizer_settings_copy (is_weight ? ht_quantization_config_get_weights (self->config)
                                              : ht_quantization_config_get_activations (self->config));
  HtQuantizer *quantizer
      = ht_quantizer_new (tensor, is_weight, ht_graph_is_constant (self->graph, tensor), -1, settings, reason);

  g_ptr_array_add (self->placement->quantizers, quantizer);
  g_hash_table_insert (self->by_name, (gpointer) ht_quantizer_get_tensor (quantizer), quantizer);
  g_hash_table_replace (self->placement->grids, g_strdup (tensor), g_strdup (tensor));
  return quantizer;
}

gboolean
ht_simulation_check_encoding (HtSimulation *self, HtQuantizer *quantizer, HtEncoding *encoding, GError **error)
{
  const char *tensor = ht_quantizer_get_tensor (quantizer);
  gint axis = ht_encoding_get_axis (encoding);
  g_autoptr (HtTensor) value = NULL;
  const gint64 *dims = NULL;
  guint n_dims = 0;

  if (axis < 0 && ht_encoding_get_block_axis (encoding) < 0)
    return TRUE;
  if (!ht_quantizer_is_constant (quantizer))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
                   "giving tensor '%s' an encoding: found one per channel; expected one for the whole tensor, activations "
                   "know no other",
                   tensor);
      return FALSE;
    }
  value = ht_graph_get_constant (self->graph, tensor);
  if (value)
    dims = ht_tensor_get_dims (value, &n_dims);
  if (!value || !ht_encoding_fits (encoding, dims, n_dims))
    {
      g_autofree char *found = value ? ht_tensor_describe (value) : g_strdup ("no value");

      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
                   "giving tensor '%s' an encoding of %" G_GSIZE_FORMAT " channels along axis %d%s: found %s; expected the "
                   "axis to have as many indices%s",
                   tensor, ht_encoding_get_n_channels (encoding), axis,
                   ht_encoding_get_block_axis (encoding) >= 0 ? " in blocks" : "", found,
                   ht_encoding_get_block_axis (encoding) >= 0 ? ", and as many blocks in another one" : "");
      return FALSE;
    }
  return TRUE;
}

/**
 * ht_simulation_set_encoding:
 * @self: a simulation
 * @tensor: the name of a quantized tensor
 * @encoding: its encoding
 * @error: return location for an error
 *
 * Gives a quantizer its encoding. Calibration leaves it alone from then on. Bits and symmetry are those of the encoding,
 * whatever the settings say.
 *
 * Returns: %TRUE, or %FALSE with @error set when the tensor has no quantizer or another number of channels
 */
gboolean
ht_simulation_set_encoding (HtSimulation *self, const char *tensor, HtEncoding *encoding, GError **error)
{
  HtQuantizer *quantizer;

  g_return_val_if_fail (HT_IS_SIMULATION (self) && tensor != NULL && encoding != NULL, FALSE);

  quantizer = g_hash_table_lookup (self->by_name, tensor);
  if (!quantizer)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND,
                   "giving tensor '%s' an encoding: the target '%s' puts no quantizer there", tensor,
                   ht_quantization_config_get_target (self->config));
      return FALSE;
    }
  if (!ht_simulation_check_encoding (self, quantizer, encoding, error))
    return FALSE;
  ht_simulation_take_encoding (self, tensor, encoding, HT_ORIGIN_GIVEN);
  return TRUE;
}

/**
 * ht_simulation_store:
 * @self: a simulation
 * @state: an editable model state
 * @error: return location for an error
 *
 * Writes the encodings into a model state: computed ones as open, given ones as fixed. Encodings that the state has
 * fixed or pinned stay as they are; open ones that have no quantizer here are dropped.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
ht_simulation_store (HtSimulation *self, HtModelState *state, GError **error)
{
  g_auto (GStrv) stored = NULL;

  g_return_val_if_fail (HT_IS_SIMULATION (self) && HT_IS_MODEL_STATE (state), FALSE);

  stored = ht_model_state_list_encodings (state);
  for (guint i = 0; stored[i]; i++)
    {
      HtEncodingStatus status;

      ht_model_state_get_encoding (state, stored[i], &status);
      if (status == HT_ENCODING_OPEN && !g_hash_table_contains (self->encodings, stored[i])
          && !ht_model_state_drop_encoding (state, stored[i], error))
        return FALSE;
    }
  for (guint i = 0; i < self->placement->quantizers->len; i++)
    {
      const char *tensor = ht_quantizer_get_tensor (g_ptr_array_index (self->placement->quantizers, i));
      HtEncoding *encoding = g_hash_table_lookup (self->encodings, tensor);
      gboolean given = g_hash_table_contains (self->given, tensor);
      HtEncodingStatus status = HT_ENCODING_OPEN;

      if (!encoding || (ht_model_state_get_encoding (state, tensor, &status) && status != HT_ENCODING_OPEN))
        continue;
      if (!ht_model_state_set_encoding (state, tensor, encoding, given ? HT_ENCODING_FIXED : HT_ENCODING_OPEN, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
is_quantizable (HtSimulation *self, const char *tensor)
{
  return ht_graph_get_data_type (self->graph, tensor) == HT_DATA_TYPE_FLOAT
         && (ht_graph_get_producer (self->graph, tensor) || ht_graph_get_initializer (self->graph, tensor)
             || g_strv_contains (ht_graph_get_inputs (self->graph), tensor));
}

/**
 * ht_simulation_load_state:
 * @self: a simulation
 * @state: a model state
 * @error: return location for an error
 *
 * Takes over the encodings that a model state has fixed or pinned; calibration leaves them alone. A tensor that the
 * target does not quantize gets a quantizer; one that the network does not have any more is listed by
 * ht_simulation_list_skipped().
 *
 * Returns: %TRUE, or %FALSE with @error set when an encoding does not fit its tensor; nothing is taken over then
 */
gboolean
ht_simulation_load_state (HtSimulation *self, HtModelState *state, GError **error)
{
  g_auto (GStrv) stored = NULL;

  g_return_val_if_fail (HT_IS_SIMULATION (self) && HT_IS_MODEL_STATE (state), FALSE);

  stored = ht_model_state_list_encodings (state);
  /* Twice, so that a failure changes nothing. */
  for (guint taking = 0; taking < 2; taking++)
    for (guint i = 0; stored[i]; i++)
      {
        HtEncodingStatus status;
        HtEncoding *encoding = ht_model_state_get_encoding (state, stored[i], &status);
        HtQuantizer *quantizer = g_hash_table_lookup (self->by_name, stored[i]);

        if (!encoding || status == HT_ENCODING_OPEN)
          continue;
        if (!quantizer && is_quantizable (self, stored[i]))
          {
            /* The target does not ask for it; whoever gave the encoding does. */
            if (taking)
              {
                ht_simulation_add_quantizer (self, stored[i],
                                             ht_graph_is_constant (self->graph, stored[i])
                                                 && ht_encoding_is_symmetric (encoding),
                                             "given by the model state");
                ht_simulation_take_encoding (self, stored[i], encoding, HT_ORIGIN_GIVEN);
              }
          }
        else if (taking && quantizer)
          ht_simulation_take_encoding (self, stored[i], encoding, HT_ORIGIN_GIVEN);
        else if (taking)
          ht_simulation_note (self, "tensor '%s': the model state fixes its encoding, but the network has no such tensor",
                              stored[i]);
        else if (quantizer && !ht_simulation_check_encoding (self, quantizer, encoding, error))
          return FALSE;
      }
  return TRUE;
}

gboolean
ht_simulation_restore (HtSimulation *self, HtModelState *state, GError **error)
{
  g_auto (GStrv) stored = ht_model_state_list_encodings (state);

  if (!ht_simulation_load_state (self, state, error))
    return FALSE;
  for (guint i = 0; stored[i]; i++)
    {
      HtEncodingStatus status;
      HtEncoding *encoding = ht_model_state_get_encoding (state, stored[i], &status);
      HtQuantizer *quantizer = g_hash_table_lookup (self->by_name, stored[i]);

      if (status != HT_ENCODING_OPEN || !encoding || !quantizer)
        continue;
      if (!ht_simulation_check_encoding (self, quantizer, encoding, error))
        return FALSE;
      ht_simulation_take_encoding (self, stored[i], encoding, HT_ORIGIN_COMPUTED);
    }
  return TRUE;
}
