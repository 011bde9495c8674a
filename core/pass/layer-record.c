/* SPDX-License-Identifier: MIT */
#include "pass/layer-record.h"

#include "pass/pass-context-private.h"
#include "quant/encoding-variant.h"

#include <halftone/error.h>

#define TENSOR_TYPE   "(uaxay)"
#define CONSTANT_TYPE "(s" TENSOR_TYPE ")"
#define ENCODING_TYPE "(si" HT_ENCODING_VARIANT_TYPE ")"
/* asked, name of the weight, constants, bias or nothing, encodings, encodings dropped, report */
#define RECORD_TYPE "(bsa" CONSTANT_TYPE "ada" ENCODING_TYPE "as" HT_PASS_CONTEXT_LOG_TYPE ")"

struct _HtLayerRecord
{
  HtPassContext *context;
  HtModelState *state, *before; /* before: a copy, which shares what is not changed */
  char *bias;
  guint log_length;
};

HtLayerRecord *
ht_layer_record_begin (HtPassContext *context, HtModelState *state, HtLayer *layer)
{
  HtLayerRecord *self = g_new0 (HtLayerRecord, 1);

  self->context = g_object_ref (context);
  self->state = g_object_ref (state);
  self->before = ht_model_state_edit (state);
  self->bias = g_strdup (ht_layer_get_bias (layer));
  self->log_length = ht_pass_context_get_log_length (context);
  return self;
}

void
ht_layer_record_free (HtLayerRecord *self)
{
  if (self == NULL)
    return;
  g_clear_object (&self->context);
  g_clear_object (&self->state);
  g_clear_object (&self->before);
  g_free (self->bias);
  g_free (self);
}

static gboolean
is_same (HtGraph *a, HtGraph *b, const char *name)
{
  return ht_graph_get_initializer (a, name) == ht_graph_get_initializer (b, name);
}

static GVariant *
write_tensor (HtTensor *tensor)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (tensor, &n_dims);

  return g_variant_new (
      "(u@ax@ay)", (guint)ht_tensor_get_data_type (tensor),
      g_variant_new_fixed_array (G_VARIANT_TYPE_INT64, dims, n_dims, sizeof (gint64)),
      g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, ht_tensor_get_data (tensor), ht_tensor_get_size (tensor), 1));
}

static HtTensor *
read_tensor (GVariant *variant, GError **error)
{
  guint type;
  gsize n_dims, size;
  g_autoptr (GVariant) dim_list = NULL, data = NULL;

  g_variant_get (variant, "(u@ax@ay)", &type, &dim_list, &data);
  const gint64 *dims = g_variant_get_fixed_array (dim_list, &n_dims, sizeof (gint64));
  gconstpointer values = g_variant_get_fixed_array (data, &size, 1);
  g_autoptr (GBytes) bytes = g_bytes_new (values, size);
  return ht_tensor_new_from_bytes ((HtDataType)type, dims, (guint)n_dims, bytes, error);
}

/* Constants that are not what they were, but for the bias, which the layer is given as numbers. */
static GVariant *
write_constants (HtLayerRecord *self, const char *bias)
{
  HtGraph *before = ht_model_state_get_graph (self->before), *graph = ht_model_state_get_graph (self->state);
  g_auto (GStrv) names = ht_graph_list_initializers (graph);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a" CONSTANT_TYPE));
  for (gsize i = 0; names[i] != NULL; i++)
    if (g_strcmp0 (names[i], bias) != 0 && !is_same (before, graph, names[i]))
      g_variant_builder_add (&builder, "(s@" TENSOR_TYPE ")", names[i],
                             write_tensor (ht_graph_get_initializer (graph, names[i])));
  return g_variant_builder_end (&builder);
}

static GVariant *
write_bias (HtLayerRecord *self, HtLayer *layer)
{
  const char *bias = ht_layer_get_bias (layer);
  gboolean is_old
      = bias == NULL
        || (g_strcmp0 (bias, self->bias) == 0
            && is_same (ht_model_state_get_graph (self->before), ht_model_state_get_graph (self->state), bias));
  gsize n = 0;
  g_autofree double *values = is_old ? NULL : ht_layer_get_bias_values (layer, &n, NULL);

  return g_variant_new_fixed_array (G_VARIANT_TYPE_DOUBLE, values, values != NULL ? n : 0, sizeof (double));
}

static GVariant *
write_encodings (HtLayerRecord *self)
{
  g_auto (GStrv) names = ht_model_state_list_encodings (self->state);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a" ENCODING_TYPE));
  for (gsize i = 0; names[i] != NULL; i++)
    {
      HtEncodingStatus status, old_status;
      HtEncoding *encoding = ht_model_state_get_encoding (self->state, names[i], &status);
      HtEncoding *old = ht_model_state_get_encoding (self->before, names[i], &old_status);
      if (old == NULL || status != old_status || !ht_encoding_equal (old, encoding))
        g_variant_builder_add (&builder, "(si@" HT_ENCODING_VARIANT_TYPE ")", names[i], (gint)status,
                               ht_encoding_to_variant (encoding));
    }
  return g_variant_builder_end (&builder);
}

static GVariant *
write_dropped (HtLayerRecord *self)
{
  g_auto (GStrv) names = ht_model_state_list_encodings (self->before);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("as"));
  for (gsize i = 0; names[i] != NULL; i++)
    if (ht_model_state_get_encoding (self->state, names[i], NULL) == NULL)
      g_variant_builder_add (&builder, "s", names[i]);
  return g_variant_builder_end (&builder);
}

/* Encodings of constants are set when the constants are there, and dropped ones are dropped first. */
static gboolean
replay_encodings (HtModelState *state, GVariant *encodings, GVariant *dropped, GError **error)
{
  GVariantIter iter;
  const char *tensor;
  gint status;
  GVariant *written;

  g_variant_iter_init (&iter, dropped);
  while (g_variant_iter_next (&iter, "&s", &tensor))
    if (!ht_model_state_drop_encoding (state, tensor, error))
      return FALSE;
  g_variant_iter_init (&iter, encodings);
  while (g_variant_iter_next (&iter, "(&si@" HT_ENCODING_VARIANT_TYPE ")", &tensor, &status, &written))
    {
      g_autoptr (GVariant) own = written;
      g_autoptr (HtEncoding) encoding = ht_encoding_from_variant (own, error);
      if (encoding == NULL || !ht_model_state_set_encoding (state, tensor, encoding, (HtEncodingStatus)status, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
replay_layer (HtLayer *layer, const char *weight, GVariant *constants, GVariant *bias, GError **error)
{
  HtGraph *graph = ht_layer_get_graph (layer);
  GVariantIter iter;
  const char *name;
  GVariant *written;
  gsize n_bias;

  g_variant_iter_init (&iter, constants);
  while (g_variant_iter_next (&iter, "(&s@" TENSOR_TYPE ")", &name, &written))
    {
      g_autoptr (GVariant) own = written;
      g_autoptr (HtTensor) tensor = read_tensor (own, error);
      if (tensor == NULL)
        return FALSE;
      ht_graph_set_initializer (graph, name, tensor);
    }
  if (!g_str_equal (weight, ht_layer_get_weight (layer)))
    ht_graph_set_node_input (graph, ht_layer_get_node (layer), 1, weight);
  const double *values = g_variant_get_fixed_array (bias, &n_bias, sizeof (double));
  return n_bias == 0 || ht_layer_set_bias_values (layer, values, n_bias, error);
}

static gboolean
replay (GVariant *record, HtModelState *state, HtLayer *layer, gboolean *asked, GVariant **log, GError **error)
{
  const char *weight;
  g_autoptr (GVariant) constants = NULL, bias = NULL, encodings = NULL, dropped = NULL;
  gsize n_bias;

  g_variant_get (record, "(b&s@a" CONSTANT_TYPE "@ad@a" ENCODING_TYPE "@as@" HT_PASS_CONTEXT_LOG_TYPE ")", asked,
                 &weight, &constants, &bias, &encodings, &dropped, log);
  g_variant_get_fixed_array (bias, &n_bias, sizeof (double));
  if (n_bias != 0 && n_bias != ht_layer_get_n_output_channels (layer))
    {
      g_set_error_literal (error, HT_ERROR, HT_ERROR_INVALID_DATA, "its bias is of another number of channels");
      return FALSE;
    }
  return replay_layer (layer, weight, constants, bias, error) && replay_encodings (state, encodings, dropped, error);
}

static gboolean
same_names (const char *const *a, const char *const *b)
{
  return g_strv_equal (a, b);
}

/* The same nodes with the same inputs and outputs, the same constants. */
static gboolean
same_graphs (HtGraph *a, HtGraph *b)
{
  guint n_nodes = ht_graph_get_n_nodes (a);
  g_auto (GStrv) names = ht_graph_list_initializers (a);
  g_auto (GStrv) others = ht_graph_list_initializers (b);

  if (n_nodes != ht_graph_get_n_nodes (b) || !same_names ((const char *const *)names, (const char *const *)others))
    return FALSE;
  for (guint i = 0; i < n_nodes; i++)
    {
      HtNode *x = ht_graph_get_node (a, i), *y = ht_graph_get_node (b, i);
      if (!g_str_equal (ht_node_get_op_type (x), ht_node_get_op_type (y))
          || !same_names (ht_node_get_inputs (x), ht_node_get_inputs (y))
          || !same_names (ht_node_get_outputs (x), ht_node_get_outputs (y)))
        return FALSE;
    }
  for (gsize i = 0; names[i] != NULL; i++)
    if (!is_same (a, b, names[i])
        && !ht_tensor_equal (ht_graph_get_initializer (a, names[i]), ht_graph_get_initializer (b, names[i])))
      return FALSE;
  return TRUE;
}

GBytes *
ht_layer_record_finish (HtLayerRecord *self, HtLayer *layer, gboolean asked)
{
  const char *bias = ht_layer_get_bias (layer);
  g_autoptr (GVariant) log = NULL;
  gboolean was_asked;

  g_autoptr (GVariant) record = g_variant_ref_sink (g_variant_new (
      "(bs@a" CONSTANT_TYPE "@ad@a" ENCODING_TYPE "@as@" HT_PASS_CONTEXT_LOG_TYPE ")", asked,
      ht_layer_get_weight (layer), write_constants (self, bias), write_bias (self, layer), write_encodings (self),
      write_dropped (self), ht_pass_context_get_log (self->context, self->log_length)));
  /* A trial, on the copy of the beginning: a technique may have done anything. */
  g_autoptr (HtLayer) twin = ht_graph_find_layer (ht_model_state_get_graph (self->before), ht_layer_get_output (layer));
  if (twin == NULL || !replay (record, self->before, twin, &was_asked, &log, NULL)
      || !same_graphs (ht_model_state_get_graph (self->before), ht_model_state_get_graph (self->state)))
    return NULL;
  return g_variant_get_data_as_bytes (record);
}

gboolean
ht_layer_record_replay (GBytes *record, HtPassContext *context, HtModelState *state, HtLayer *layer, gboolean *asked,
                        GError **error)
{
  g_autoptr (GVariant) variant
      = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (RECORD_TYPE), record, FALSE));
  g_autoptr (GVariant) log = NULL;

  if (!g_variant_is_normal_form (variant))
    {
      g_set_error_literal (error, HT_ERROR, HT_ERROR_INVALID_DATA, "it is not what it should be");
      return FALSE;
    }
  if (!replay (variant, state, layer, asked, &log, error))
    return FALSE;
  ht_pass_context_tell_again (context, log);
  return TRUE;
}
