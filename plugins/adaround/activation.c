/* SPDX-License-Identifier: MIT */
#include "activation.h"

#include <math.h>
#include <string.h>

#define N_POINTS ((gsize)4096)

struct _Activation
{
  /* A clamp, or */
  float low, high;
  /* for each channel, what is found at points on a line. */
  float *table;
  float first, step;
};

static const char *const pointwise[]
    = { "Relu",        "Clip",      "LeakyRelu", "PRelu",    "Elu",  "Selu", "Celu", "ThresholdedRelu", "Sigmoid",
        "HardSigmoid", "HardSwish", "Softplus",  "Softsign", "Tanh", "Mish", "Gelu", "Identity",        NULL };

static gboolean
reads_only (HtGraph *graph, HtNode *node, const char *tensor)
{
  for (guint i = 0; i < ht_node_get_n_inputs (node); i++)
    {
      const char *input = ht_node_get_input (node, i);
      if (*input != '\0' && !g_str_equal (input, tensor) && !ht_graph_is_constant (graph, input))
        return FALSE;
    }
  return TRUE;
}

const char *
activation_follow (HtLayer *layer, const char *const *op_types)
{
  HtGraph *graph = ht_layer_get_graph (layer);
  const char *tensor = ht_layer_get_output (layer);

  while (!ht_graph_is_output (graph, tensor))
    {
      g_autoptr (GPtrArray) readers = ht_graph_list_consumers (graph, tensor);
      HtNode *node = readers->len == 1 ? g_ptr_array_index (readers, 0) : NULL;
      if (node == NULL || !g_strv_contains (op_types, ht_node_get_op_type (node)) || !reads_only (graph, node, tensor))
        break;
      tensor = ht_node_get_output (node, 0);
    }
  return tensor;
}

gboolean
activation_exists (HtLayer *layer)
{
  return !g_str_equal (activation_follow (layer, pointwise), ht_layer_get_output (layer));
}

/* A limit of a Clip, an input of later versions and an attribute of earlier ones. FALSE when it is no number. */
static gboolean
read_limit (HtGraph *graph, HtNode *node, guint index, const char *attribute, float *limit)
{
  if (ht_node_has_attribute (node, attribute))
    *limit = (float)ht_node_get_float (node, attribute, *limit);
  if (ht_node_get_n_inputs (node) <= index || *ht_node_get_input (node, index) == '\0')
    return TRUE;
  g_autoptr (HtTensor) value = ht_graph_get_constant (graph, ht_node_get_input (node, index));
  if (value == NULL || ht_tensor_get_n_elements (value) != 1)
    return FALSE;
  *limit = (float)ht_tensor_get_double (value, 0);
  return TRUE;
}

/* Whether all nodes up to `tensor` are clamps, which together are one. */
static gboolean
find_clamp (Activation *self, HtLayer *layer, const char *tensor)
{
  HtGraph *graph = ht_layer_get_graph (layer);

  self->low = -INFINITY;
  self->high = INFINITY;
  while (!g_str_equal (tensor, ht_layer_get_output (layer)))
    {
      HtNode *node = ht_graph_get_producer (graph, tensor);
      float low = ht_node_is_op (node, "Relu") ? 0.0f : -INFINITY, high = INFINITY;
      gboolean is_clip = ht_node_is_op (node, "Clip");
      if (!ht_node_is_op (node, "Relu") && !ht_node_is_op (node, "Identity") && !is_clip)
        return FALSE;
      if (is_clip && (!read_limit (graph, node, 1, "min", &low) || !read_limit (graph, node, 2, "max", &high)))
        return FALSE;
      /* What comes later has the last word. */
      low = fminf (fmaxf (low, self->low), self->high);
      high = fminf (fmaxf (high, self->low), self->high);
      self->low = low;
      self->high = high;
      tensor = ht_node_get_input (node, 0);
    }
  return TRUE;
}

/* Runs the nodes on points, one for each sample, the same in all channels. */
static gboolean
tabulate (Activation *self, HtLayer *layer, const char *tensor, HtTensor *target, GError **error)
{
  const char *source = ht_layer_get_output (layer);
  const char *const outputs[] = { tensor, NULL };
  gsize n_channels = ht_layer_get_n_output_channels (layer);
  guint n_dims = ht_tensor_get_n_dims (target);
  guint axis = ht_layer_get_kind (layer) <= HT_LAYER_CONV_TRANSPOSE ? 1 : n_dims - 1;
  gint64 dims[HT_TENSOR_MAX_DIMS];
  g_autoptr (HtGraph) graph = ht_graph_copy (ht_layer_get_graph (layer));
  g_autoptr (GHashTable) inputs = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < n_dims; i++)
    dims[i] = i == axis ? (gint64)n_channels : 1;
  dims[axis == 0 ? n_dims - 1 : 0] *= (gint64)N_POINTS;
  g_autoptr (HtTensor) points = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims, n_dims, error);
  if (points == NULL)
    return FALSE;
  float *values = ht_tensor_get_writable_data (points);
  for (gsize i = 0; i < N_POINTS * n_channels; i++)
    values[i] = self->first + self->step * (float)(i / n_channels);
  ht_graph_set_shape (graph, source, HT_DATA_TYPE_FLOAT, NULL);
  g_autoptr (HtExecutor) executor = ht_executor_new (graph, error);
  g_hash_table_insert (inputs, (gpointer)source, points);
  g_autoptr (GHashTable) found = executor != NULL ? ht_executor_run (executor, inputs, outputs, NULL, error) : NULL;
  HtTensor *results = found != NULL ? g_hash_table_lookup (found, tensor) : NULL;
  if (results == NULL)
    return FALSE;
  if (ht_tensor_get_n_elements (results) != N_POINTS * n_channels
      || ht_tensor_get_data_type (results) != HT_DATA_TYPE_FLOAT)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE, "the activation between '%s' and '%s' changes the shape", source,
                   tensor);
      return FALSE;
    }
  const float *at = ht_tensor_get_data (results);
  self->table = g_new (float, N_POINTS *n_channels);
  for (gsize c = 0; c < n_channels; c++)
    for (gsize i = 0; i < N_POINTS; i++)
      self->table[c * N_POINTS + i] = at[i * n_channels + c];
  return TRUE;
}

Activation *
activation_new (HtLayer *layer, HtTensor *target, double low, double high, GError **error)
{
  const char *tensor = activation_follow (layer, pointwise);
  g_autoptr (Activation) self = g_new0 (Activation, 1);
  double reach = 0.5 * (high - low) + 1e-3;

  if (g_str_equal (tensor, ht_layer_get_output (layer)))
    return NULL;
  self->first = (float)(low - reach);
  self->step = (float)((high - low + 2.0 * reach) / (double)(N_POINTS - 1));
  if (!find_clamp (self, layer, tensor) && !tabulate (self, layer, tensor, target, error))
    return NULL;
  return g_steal_pointer (&self);
}

void
activation_free (Activation *self)
{
  if (self == NULL)
    return;
  g_free (self->table);
  g_free (self);
}

static void
look_up (const Activation *self, const float *table, const float *values, gsize n, float *results, float *slopes)
{
  for (gsize i = 0; i < n; i++)
    {
      float at = (values[i] - self->first) / self->step;
      /* Beyond the ends lines go on; what is not finite is not a place. */
      float bounded = at >= 0.0f ? (at < (float)(N_POINTS - 2) ? at : (float)(N_POINTS - 2)) : 0.0f;
      gsize below = (gsize)bounded;
      float rise = table[below + 1] - table[below];
      results[i] = table[below] + (at - (float)below) * rise;
      if (slopes != NULL)
        slopes[i] = rise / self->step;
    }
}

void
activation_apply (const float *values, gsize n, gsize output, float *results, float *slopes, gpointer activation)
{
  const Activation *self = activation;
  float low = self->low, high = self->high;

  if (self->table != NULL)
    {
      look_up (self, self->table + output * N_POINTS, values, n, results, slopes);
      return;
    }
  for (gsize i = 0; i < n; i++)
    {
      float value = values[i], above = value > low ? value : low;
      results[i] = above < high ? above : high;
    }
  for (gsize i = 0; i < n && slopes != NULL; i++)
    slopes[i] = values[i] > low && values[i] < high ? 1.0f : 0.0f;
}
