/* SPDX-License-Identifier: MIT */
/* Writes encodings in AIMET's format 1.0.0: keys sorted, four spaces, offsets as floats, as AIMET 2.42 has them. */
#include "quant/encodings-file.h"

#include <halftone/error.h>
#include <halftone/init.h>

#include <string.h>

/* The one constant that a chain of constant nodes starts from, or NULL. */
static const char *
find_source (HtGraph *graph, const char *tensor)
{
  HtNode *node = ht_graph_get_producer (graph, tensor);

  while (node)
    {
      const char *data = NULL;

      for (guint i = 0; i < ht_node_get_n_inputs (node); i++)
        {
          const char *input = ht_node_get_input (node, i);

          if (input[0] == '\0' || ht_graph_get_data_type (graph, input) != HT_DATA_TYPE_FLOAT)
            continue;
          if (data)
            return NULL;
          data = input;
        }
      if (!data)
        return NULL;
      if (ht_graph_get_initializer (graph, data))
        return data;
      node = ht_graph_get_producer (graph, data);
    }
  return NULL;
}

GHashTable *
ht_encodings_map_sources (HtSimulation *self)
{
  GHashTable *sources = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr (GHashTable) counts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint pass = 0; pass < 2; pass++)
    for (guint i = 0; i < self->placement->quantizers->len; i++)
      {
        HtQuantizer *quantizer = g_ptr_array_index (self->placement->quantizers, i);
        const char *tensor = ht_quantizer_get_tensor (quantizer);
        const char *source = ht_quantizer_is_constant (quantizer) ? find_source (self->graph, tensor) : NULL;
        guint count;

        if (!source || g_hash_table_contains (self->by_name, source))
          continue;
        count = GPOINTER_TO_UINT (g_hash_table_lookup (counts, source));
        if (pass == 0)
          g_hash_table_insert (counts, g_strdup (source), GUINT_TO_POINTER (count + 1));
        else if (count == 1)
          g_hash_table_insert (sources, g_strdup (tensor), g_strdup (source));
      }
  return sources;
}

static void
add_encoding (JsonBuilder *builder, const char *name, HtEncoding *encoding)
{
  gsize n_grids;
  const double *scales = ht_encoding_get_scales (encoding, &n_grids);
  const gint64 *offsets = ht_encoding_get_offsets (encoding, NULL);

  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "bw");
  json_builder_add_int_value (builder, ht_encoding_get_bits (encoding));
  json_builder_set_member_name (builder, "dtype");
  json_builder_add_string_value (builder, "INT");
  json_builder_set_member_name (builder, "enc_type");
  json_builder_add_string_value (builder, ht_encoding_get_axis (encoding) < 0 ? "PER_TENSOR" : "PER_CHANNEL");
  json_builder_set_member_name (builder, "is_sym");
  json_builder_add_boolean_value (builder, ht_encoding_is_symmetric (encoding));
  json_builder_set_member_name (builder, "name");
  json_builder_add_string_value (builder, name);
  json_builder_set_member_name (builder, "offset");
  json_builder_begin_array (builder);
  for (gsize i = 0; i < n_grids; i++)
    json_builder_add_double_value (builder, (double) offsets[i]);
  json_builder_end_array (builder);
  json_builder_set_member_name (builder, "scale");
  json_builder_begin_array (builder);
  for (gsize i = 0; i < n_grids; i++)
    json_builder_add_double_value (builder, scales[i]);
  json_builder_end_array (builder);
  json_builder_end_object (builder);
}

static void
add_section (HtSimulation *self, JsonBuilder *builder, GHashTable *sources, const char *section, gboolean weights)
{
  json_builder_set_member_name (builder, section);
  json_builder_begin_array (builder);
  for (guint i = 0; i < self->placement->quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (self->placement->quantizers, i);
      const char *tensor = ht_quantizer_get_tensor (quantizer);
      HtEncoding *encoding = g_hash_table_lookup (self->encodings, tensor);
      const char *source = g_hash_table_lookup (sources, tensor);

      if (encoding && ht_quantizer_is_weight (quantizer) == weights)
        add_encoding (builder, source ? source : tensor, encoding);
    }
  json_builder_end_array (builder);
}

static void
add_arguments (HtSimulation *self, JsonBuilder *builder)
{
  HtQuantizerSettings *weights = ht_quantization_config_get_weights (self->config);
  HtQuantizerSettings *activations = ht_quantization_config_get_activations (self->config);
  g_autofree char *scheme = g_strdup (ht_quantizer_settings_get_calibrator (activations));

  g_strdelimit (scheme, "-", '_');
  json_builder_set_member_name (builder, "producer");
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "package");
  json_builder_add_string_value (builder, "halftone");
  json_builder_set_member_name (builder, "version");
  json_builder_add_string_value (builder, ht_get_version ());
  json_builder_end_object (builder);
  json_builder_set_member_name (builder, "quantizer_args");
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "activation_bitwidth");
  json_builder_add_int_value (builder, ht_quantizer_settings_get_bits (activations));
  json_builder_set_member_name (builder, "dtype");
  json_builder_add_string_value (builder, "int");
  json_builder_set_member_name (builder, "is_symmetric");
  json_builder_add_boolean_value (builder, ht_quantizer_settings_get_symmetric (weights));
  json_builder_set_member_name (builder, "param_bitwidth");
  json_builder_add_int_value (builder, ht_quantizer_settings_get_bits (weights));
  json_builder_set_member_name (builder, "per_channel_quantization");
  json_builder_add_boolean_value (builder,
                                  ht_quantizer_settings_get_granularity (weights) == HT_GRANULARITY_CHANNEL);
  json_builder_set_member_name (builder, "quant_scheme");
  json_builder_add_string_value (builder, scheme);
  json_builder_end_object (builder);
}

/**
 * ht_simulation_save_encodings:
 * @self: a simulation
 * @path: (type filename): the file to write
 * @version: the version of AIMET's format: "1.0.0"
 * @error: return location for an error
 *
 * Writes all encodings into a file that AIMET and its runtimes read. Constants go by the name of their initializer. The
 * file appears whole or not at all.
 *
 * Returns: %TRUE, or %FALSE with @error set when the version is not supported or the file cannot be written
 */
gboolean
ht_simulation_save_encodings (HtSimulation *self, const char *path, const char *version, GError **error)
{
  g_autoptr (JsonBuilder) builder = NULL;
  g_autoptr (JsonGenerator) generator = NULL;
  g_autoptr (JsonNode) root = NULL;
  g_autoptr (GHashTable) sources = NULL;
  g_autofree char *text = NULL;
  gsize length;

  g_return_val_if_fail (HT_IS_SIMULATION (self) && path != NULL && version != NULL, FALSE);

  if (strcmp (version, HT_ENCODINGS_VERSION) != 0)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
                   "writing the encodings file '%s': not yet supported here: version '%s'; use '%s'", path, version,
                   HT_ENCODINGS_VERSION);
      return FALSE;
    }
  sources = ht_encodings_map_sources (self);
  builder = json_builder_new ();
  json_builder_begin_object (builder);
  add_section (self, builder, sources, "activation_encodings", FALSE);
  add_section (self, builder, sources, "param_encodings", TRUE);
  add_arguments (self, builder);
  json_builder_set_member_name (builder, "version");
  json_builder_add_string_value (builder, version);
  json_builder_end_object (builder);
  root = json_builder_get_root (builder);
  generator = json_generator_new ();
  json_generator_set_root (generator, root);
  json_generator_set_pretty (generator, TRUE);
  json_generator_set_indent (generator, 4);
  text = json_generator_to_data (generator, &length);
  if (!g_file_set_contents (path, text, (gssize) length, error))
    {
      g_prefix_error (error, "writing the encodings file '%s': ", path);
      return FALSE;
    }
  return TRUE;
}
