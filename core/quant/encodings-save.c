/* SPDX-License-Identifier: MIT */
/* Writes encodings files as AIMET 2.42 does: keys sorted, four spaces. */
#include "quant/encodings-file.h"

#include <halftone/error.h>
#include <halftone/init.h>

#include <string.h>

void
ht_encodings_source_free (HtEncodingsSource *self)
{
  g_free (self->name);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtEncodingsSource, ht_encodings_source_free)

/* Steps from the result of a node to its input; FALSE where that is another tensor. */
static gboolean
step_back (HtNode *node, HtEncodingsSource *source)
{
  const gint64 *turns;
  gsize n_turns = 0;

  if (ht_node_is_op (node, "Identity"))
    return TRUE;
  if (!ht_node_is_op (node, "Transpose"))
    return FALSE;
  turns = ht_node_get_ints (node, "perm", &n_turns);
  if (turns && n_turns != source->n_dims)
    return FALSE;
  for (guint i = 0; i < source->n_dims; i++)
    {
      gint axis = source->axes[i];

      source->axes[i] = turns ? (gint)turns[axis] : (gint)source->n_dims - 1 - axis;
      if (source->axes[i] < 0 || source->axes[i] >= (gint)source->n_dims)
        return FALSE;
    }
  return TRUE;
}

/* NULL where the constant is no initializer's, or an initializer itself. */
static HtEncodingsSource *
find_source (HtGraph *graph, const char *tensor)
{
  g_autoptr (HtEncodingsSource) source = g_new0 (HtEncodingsSource, 1);
  HtShape *shape = ht_graph_get_shape (graph, tensor);
  HtNode *node = ht_graph_get_producer (graph, tensor);

  source->n_dims = shape ? ht_shape_get_n_dims (shape) : 0;
  if (!shape || source->n_dims > HT_TENSOR_MAX_DIMS)
    return NULL;
  for (guint i = 0; i < source->n_dims; i++)
    source->axes[i] = (gint)i;
  while (node)
    {
      const char *input = ht_node_get_n_inputs (node) > 0 ? ht_node_get_input (node, 0) : "";

      if (!step_back (node, source))
        return NULL;
      if (ht_graph_get_initializer (graph, input))
        {
          source->name = g_strdup (input);
          return g_steal_pointer (&source);
        }
      node = ht_graph_get_producer (graph, input);
    }
  return NULL;
}

GHashTable *
ht_encodings_map_sources (HtSimulation *self)
{
  GHashTable *sources
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_encodings_source_free);
  g_autoptr (GHashTable) counts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GHashTableIter iter;
  gpointer value;

  for (guint i = 0; i < self->placement->quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (self->placement->quantizers, i);
      const char *tensor = ht_quantizer_get_tensor (quantizer);
      HtEncodingsSource *source = ht_quantizer_is_constant (quantizer) ? find_source (self->graph, tensor) : NULL;
      guint count;

      if (!source)
        continue;
      count = GPOINTER_TO_UINT (g_hash_table_lookup (counts, source->name));
      g_hash_table_insert (counts, g_strdup (source->name), GUINT_TO_POINTER (count + 1));
      g_hash_table_insert (sources, g_strdup (tensor), source);
    }
  g_hash_table_iter_init (&iter, sources);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      const char *name = ((HtEncodingsSource *)value)->name;

      if (g_hash_table_contains (self->by_name, name) || GPOINTER_TO_UINT (g_hash_table_lookup (counts, name)) > 1)
        g_hash_table_iter_remove (&iter);
    }
  return sources;
}

static void
add_item (GArray *items, HtSimulation *self, const HtEncodingsSource *source, const char *tensor, HtEncoding *encoding,
          gboolean is_parameter)
{
  HtShape *shape = ht_graph_get_shape (self->graph, tensor);
  HtEncodingsItem item = { .name = source ? source->name : tensor,
                           .encoding = encoding,
                           .is_parameter = is_parameter,
                           .n_dims = shape ? ht_shape_get_n_dims (shape) : 0,
                           .axis = ht_encoding_get_axis (encoding),
                           .block_axis = ht_encoding_get_block_axis (encoding) };

  if (source && item.axis >= 0)
    item.axis = source->axes[item.axis];
  if (source && item.block_axis >= 0)
    item.block_axis = source->axes[item.block_axis];
  g_array_append_val (items, item);
}

static GArray *
collect_items (HtSimulation *self, GHashTable *sources)
{
  GArray *items = g_array_new (FALSE, FALSE, sizeof (HtEncodingsItem));

  for (guint i = 0; i < self->placement->quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (self->placement->quantizers, i);
      const char *tensor = ht_quantizer_get_tensor (quantizer);
      HtEncoding *encoding = g_hash_table_lookup (self->encodings, tensor);

      if (encoding)
        add_item (items, self, g_hash_table_lookup (sources, tensor), tensor, encoding,
                  ht_quantizer_is_weight (quantizer));
    }
  return items;
}

/* Version 2.0.0 repeats the grid of a tensor for what operators made of it without changing values. */
static void
collect_kept (HtSimulation *self, GArray *items)
{
  for (guint i = 0; i < ht_graph_get_n_nodes (self->graph); i++)
    {
      HtNode *node = ht_graph_get_node (self->graph, i);

      for (guint k = 0; k < ht_node_get_n_outputs (node); k++)
        {
          const char *tensor = ht_node_get_output (node, k);
          HtEncoding *encoding = tensor[0] ? ht_simulation_find_kept_grid (self, NULL, tensor) : NULL;

          if (encoding && !ht_graph_is_constant (self->graph, tensor))
            add_item (items, self, NULL, tensor, encoding, FALSE);
        }
    }
}

void
ht_encodings_write_text (JsonBuilder *builder, const char *key, const char *value)
{
  json_builder_set_member_name (builder, key);
  json_builder_add_string_value (builder, value);
}

void
ht_encodings_write_integer (JsonBuilder *builder, const char *key, gint64 value)
{
  json_builder_set_member_name (builder, key);
  json_builder_add_int_value (builder, value);
}

void
ht_encodings_write_number (JsonBuilder *builder, const char *key, double value)
{
  json_builder_set_member_name (builder, key);
  json_builder_add_double_value (builder, value);
}

static void
write_switch (JsonBuilder *builder, const char *key, gboolean value)
{
  json_builder_set_member_name (builder, key);
  json_builder_add_boolean_value (builder, value);
}

static void
write_producer (JsonBuilder *builder)
{
  json_builder_set_member_name (builder, "producer");
  json_builder_begin_object (builder);
  ht_encodings_write_text (builder, "package", HT_ENCODINGS_PRODUCER);
  ht_encodings_write_text (builder, "version", ht_get_version ());
  json_builder_end_object (builder);
}

/* What most tensors of a kind have; the settings' value where there are none. */
static guint
most_common (GArray *items, gboolean parameters, guint (*get) (HtEncoding *encoding), guint otherwise)
{
  guint counts[64] = { 0 }, best = otherwise;

  for (guint i = 0; i < items->len; i++)
    {
      const HtEncodingsItem *item = &g_array_index (items, HtEncodingsItem, i);

      if (item->is_parameter == parameters)
        counts[MIN (get (item->encoding), G_N_ELEMENTS (counts) - 1)]++;
    }
  for (guint i = 0; i < G_N_ELEMENTS (counts); i++)
    if (counts[i] > counts[best])
      best = i;
  return best;
}

static guint
get_symmetric (HtEncoding *encoding)
{
  return ht_encoding_is_symmetric (encoding);
}

static guint
get_integer (HtEncoding *encoding)
{
  return ht_encoding_is_integer (encoding);
}

static guint
get_per_channel (HtEncoding *encoding)
{
  return ht_encoding_get_axis (encoding) >= 0;
}

/* Encodings that were loaded may differ from the settings: what is in the file counts. */
static void
write_arguments (HtSimulation *self, JsonBuilder *builder, GArray *items)
{
  HtQuantizerSettings *weights = ht_quantization_config_get_weights (self->config);
  HtQuantizerSettings *activations = ht_quantization_config_get_activations (self->config);
  g_autofree char *scheme = g_strdup (ht_calibrator_get_id (ht_quantizer_settings_get_calibrator (activations)));
  gboolean per_channel = ht_quantizer_settings_get_granularity (weights) != HT_GRANULARITY_TENSOR;

  g_strdelimit (scheme, "-", '_');
  json_builder_set_member_name (builder, "quantizer_args");
  json_builder_begin_object (builder);
  ht_encodings_write_integer (
      builder, "activation_bitwidth",
      most_common (items, FALSE, ht_encoding_get_bits, ht_quantizer_settings_get_bits (activations)));
  ht_encodings_write_text (builder, "dtype", most_common (items, TRUE, get_integer, 1) ? "int" : "float");
  write_switch (builder, "is_symmetric",
                (gboolean)most_common (items, TRUE, get_symmetric, ht_quantizer_settings_get_symmetric (weights)));
  ht_encodings_write_integer (
      builder, "param_bitwidth",
      most_common (items, TRUE, ht_encoding_get_bits, ht_quantizer_settings_get_bits (weights)));
  write_switch (builder, "per_channel_quantization",
                (gboolean)most_common (items, TRUE, get_per_channel, (guint)per_channel));
  ht_encodings_write_text (builder, "quant_scheme", scheme);
  json_builder_end_object (builder);
}

typedef struct
{
  const char *version;
  char *(*refuse) (const HtEncodingsItem *item);
  void (*write) (JsonBuilder *builder, GArray *items);
  gboolean has_arguments;
  gboolean repeats_kept;
} Format;

static const Format formats[] = {
  { "0.6.1", ht_encodings_refuse_0_6_1, ht_encodings_write_0_6_1, TRUE, FALSE },
  { "1.0.0", ht_encodings_refuse_1_0_0, ht_encodings_write_1_0_0, TRUE, FALSE },
  { "2.0.0", ht_encodings_refuse_2_0_0, ht_encodings_write_2_0_0, FALSE, TRUE },
};

static const Format *
find_format (const char *version, GError **error)
{
  for (gsize i = 0; i < G_N_ELEMENTS (formats); i++)
    if (strcmp (formats[i].version, version) == 0)
      return &formats[i];
  g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
               "there is no version '%s' of encodings to write; use 0.6.1, 1.0.0 or 2.0.0", version);
  return NULL;
}

/* Why no version can hold it, or NULL. */
static char *
refuse_blocks (HtSimulation *self, const HtEncodingsItem *item)
{
  gsize size = ht_encoding_get_block_size (item->encoding), length;
  HtShape *shape = ht_graph_get_shape (self->graph, item->name);

  if (item->block_axis < 0)
    return NULL;
  length = shape && item->block_axis < (gint)ht_shape_get_n_dims (shape)
               ? (gsize)ht_shape_get_dim (shape, (guint)item->block_axis)
               : 0;
  if (item->axis < 0)
    return g_strdup ("it knows no blocks without channels");
  if (length % size != 0)
    return g_strdup_printf (
        "its blocks have to be of equal length, and %" G_GSIZE_FORMAT " do not divide %" G_GSIZE_FORMAT, size, length);
  return NULL;
}

static gboolean
check_items (HtSimulation *self, const Format *format, GArray *items, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < items->len; i++)
    {
      const HtEncodingsItem *item = &g_array_index (items, HtEncodingsItem, i);
      g_autofree char *blocks = refuse_blocks (self, item);
      g_autofree char *reason = blocks ? NULL : format->refuse (item);

      if (blocks || reason)
        g_string_append_printf (text, "\n  tensor '%s': %s", item->name, blocks ? blocks : reason);
    }
  if (text->len == 0)
    return TRUE;
  g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "encodings of version %s cannot hold these grids:%s",
               format->version, text->str);
  return FALSE;
}

/**
 * ht_simulation_check_encodings_version:
 * @self: a simulation
 * @version: a version of AIMET's format
 * @error: return location for an error
 *
 * Tells whether ht_simulation_save_encodings() could write the encodings that there are now.
 *
 * Returns: %TRUE, or %FALSE with %HT_ERROR_NOT_SUPPORTED and the name of each tensor that stands in the way
 */
gboolean
ht_simulation_check_encodings_version (HtSimulation *self, const char *version, GError **error)
{
  g_autoptr (GHashTable) sources = NULL;
  g_autoptr (GArray) items = NULL;
  const Format *format;

  g_return_val_if_fail (HT_IS_SIMULATION (self) && version != NULL, FALSE);

  format = find_format (version, error);
  sources = ht_encodings_map_sources (self);
  items = collect_items (self, sources);
  return format && check_items (self, format, items, error);
}

/**
 * ht_simulation_save_encodings:
 * @self: a simulation
 * @path: (type filename): the file to write
 * @version: the version of AIMET's format: "0.6.1", "1.0.0" or "2.0.0"
 * @error: return location for an error
 *
 * Writes all encodings into a file that AIMET and its runtimes read. Constants go by the name of their initializer.
 * Biases have no entries: their grids follow from those of their layers, and AIMET takes a file with them for another
 * simulation than the one that wrote it. Version 2.0.0 leaves out tensors of float16 and bfloat16, as AIMET does. The
 * file appears whole or not at all.
 *
 * Returns: %TRUE, or %FALSE with @error set when the version is not known, cannot hold an encoding (all tensors are
 *   named), or the file cannot be written
 */
gboolean
ht_simulation_save_encodings (HtSimulation *self, const char *path, const char *version, GError **error)
{
  g_autoptr (JsonBuilder) builder = NULL;
  g_autoptr (JsonGenerator) generator = NULL;
  g_autoptr (JsonNode) root = NULL;
  g_autoptr (GHashTable) sources = NULL;
  g_autoptr (GArray) items = NULL;
  g_autofree char *text = NULL;
  const Format *format;
  gsize length;

  g_return_val_if_fail (HT_IS_SIMULATION (self) && path != NULL && version != NULL, FALSE);

  format = find_format (version, error);
  sources = ht_encodings_map_sources (self);
  items = collect_items (self, sources);
  if (!format || !check_items (self, format, items, error))
    {
      g_prefix_error (error, "writing the encodings file '%s': ", path);
      return FALSE;
    }
  if (format->repeats_kept)
    collect_kept (self, items);
  builder = json_builder_new ();
  json_builder_begin_object (builder);
  format->write (builder, items);
  write_producer (builder);
  if (format->has_arguments)
    write_arguments (self, builder, items);
  ht_encodings_write_text (builder, "version", version);
  json_builder_end_object (builder);
  root = json_builder_get_root (builder);
  generator = json_generator_new ();
  json_generator_set_root (generator, root);
  json_generator_set_pretty (generator, TRUE);
  json_generator_set_indent (generator, 4);
  text = json_generator_to_data (generator, &length);
  if (!g_file_set_contents (path, text, (gssize)length, error))
    {
      g_prefix_error (error, "writing the encodings file '%s': ", path);
      return FALSE;
    }
  return TRUE;
}
