/* SPDX-License-Identifier: MIT */
#include "quant/weight-scales.h"

#include <math.h>

/* A little below 2^31, for the roundings of whoever divides in float. */
#define MAX_STEPS (2147483648.0 - 32768.0)

/* A layer under way. */
typedef struct
{
  double input_scale;
  const float *bias; /* NULL: none */
  gsize n_bias;
  gboolean has_output;
  double output_scale, output_offset;
} Layer;

/* The addition that is one with a product. */
static HtNode *
find_add (HtSimulation *self, HtNode *node)
{
  GPtrArray *group = g_hash_table_lookup (self->placement->groups, node);
  HtNode *next = group && group->len > 1 ? g_ptr_array_index (group, 1) : NULL;

  return next && g_ptr_array_index (group, 0) == node && ht_node_is_op (next, "Add") ? next : NULL;
}

static const char *
find_bias (HtSimulation *self, HtNode *node, HtNode *add)
{
  if (!add)
    return ht_node_get_n_inputs (node) > 2 && !ht_node_is_op (node, "MatMul") ? ht_node_get_input (node, 2) : "";
  for (guint i = 0; i < ht_node_get_n_inputs (add); i++)
    if (ht_graph_is_constant (self->graph, ht_node_get_input (add, i)))
      return ht_node_get_input (add, i);
  return "";
}

static HtTensor *
get_bias (HtSimulation *self, const char *name)
{
  g_autoptr (HtTensor) bias = NULL;

  if (name[0] == '\0' || !ht_graph_is_constant (self->graph, name))
    return NULL;
  bias = ht_graph_get_constant (self->graph, name);
  if (!bias || ht_tensor_get_data_type (bias) != HT_DATA_TYPE_FLOAT || !ht_tensor_is_finite (bias)
      || ht_tensor_get_n_elements (bias) == 0)
    return NULL;
  return g_steal_pointer (&bias);
}

/* The least scale that one value of the bias asks for, given the scale so far. */
static double
least_scale (const Layer *layer, double scale, double bias)
{
  double step = layer->input_scale * scale, sum;

  if (!layer->has_output || !(step > 0))
    return scale;
  sum = nearbyint (bias / step) + nearbyint (layer->output_offset * layer->output_scale / step);
  return MAX (scale, fabs (sum * step) / (MAX_STEPS * layer->input_scale));
}

static double
adjust (const Layer *layer, double scale, const float *bias, gsize n_bias)
{
  double most = 0, adjusted;

  for (gsize i = 0; i < n_bias; i++)
    most = MAX (most, fabs ((double)bias[i]));
  scale = (float)MAX (scale, most / (MAX_STEPS * layer->input_scale));
  if (layer->has_output)
    scale = MAX (scale, exp2 (-23.5) * layer->output_scale / layer->input_scale);
  adjusted = n_bias == 0 ? least_scale (layer, scale, 0) : scale;
  for (gsize i = 0; i < n_bias; i++)
    adjusted = MAX (adjusted, least_scale (layer, scale, bias[i]));
  return adjusted;
}

static gboolean
adjust_encoding (HtSimulation *self, const char *name, HtEncoding *weight, const Layer *layer, GError **error)
{
  gsize n_scales;
  const double *old = ht_encoding_get_scales (weight, &n_scales);
  g_autofree double *scales = g_memdup2 (old, n_scales * sizeof *old);
  g_autoptr (HtEncoding) raised = NULL;
  gboolean changed = FALSE;

  if (n_scales > 1 && layer->n_bias > 0 && layer->n_bias != n_scales)
    return TRUE;
  for (gsize i = 0; i < n_scales; i++)
    {
      if (n_scales == 1 || layer->n_bias == 0)
        scales[i] = adjust (layer, scales[i], layer->bias, layer->n_bias);
      else
        scales[i] = adjust (layer, scales[i], &layer->bias[i], 1);
      changed |= scales[i] > old[i] * (1 + 1e-7);
    }
  if (!changed)
    return TRUE;
  raised = ht_encoding_with_scales (weight, scales, NULL, n_scales, error);
  if (!raised)
    return FALSE;
  ht_simulation_take_encoding (self, name, raised, HT_ORIGIN_COMPUTED);
  ht_simulation_note (self, "weight '%s': scales were raised, as the target asks for (adjust-weight-scales)", name);
  return TRUE;
}

static gboolean
adjust_layer (HtSimulation *self, HtNode *node, GError **error)
{
  const char *name = ht_node_get_n_inputs (node) > 1 ? ht_node_get_input (node, 1) : "";
  HtEncoding *input = ht_simulation_find_grid (self, NULL, ht_node_get_input (node, 0));
  HtEncoding *weight = g_hash_table_lookup (self->encodings, name);
  HtNode *add = find_add (self, node);
  HtEncoding *output = g_hash_table_lookup (self->encodings, ht_node_get_output (add ? add : node, 0));
  g_autoptr (HtTensor) bias = NULL;
  Layer layer = { 0 };

  if (!input || !weight || ht_simulation_get_origin (self, name) != HT_ORIGIN_COMPUTED
      || !ht_encoding_is_integer (input) || !ht_encoding_is_integer (weight)
      || ht_encoding_get_block_axis (weight) >= 0)
    return TRUE;
  bias = get_bias (self, find_bias (self, node, add));
  layer.input_scale = ht_encoding_get_scales (input, NULL)[0];
  layer.bias = bias ? ht_tensor_get_data (bias) : NULL;
  layer.n_bias = bias ? ht_tensor_get_n_elements (bias) : 0;
  layer.has_output = output && ht_encoding_is_integer (output);
  if (layer.has_output)
    {
      layer.output_scale = ht_encoding_get_scales (output, NULL)[0];
      layer.output_offset = (double)ht_encoding_get_offsets (output, NULL)[0];
    }
  return adjust_encoding (self, name, weight, &layer, error);
}

gboolean
ht_weight_scales_adjust (HtSimulation *self, GError **error)
{
  guint n_nodes = ht_graph_get_n_nodes (self->graph);

  for (guint i = 0; i < n_nodes; i++)
    {
      HtNode *node = ht_graph_get_node (self->graph, i);

      if ((ht_node_is_op (node, "Conv") || ht_node_is_op (node, "ConvTranspose") || ht_node_is_op (node, "Gemm")
           || ht_node_is_op (node, "MatMul"))
          && !adjust_layer (self, node, error))
        return FALSE;
    }
  return TRUE;
}

/* x / scale less the offset, rounded half up, all in float. NULL without an error: not a grid of integers. */
static HtTensor *
round_in_float (HtTensor *weight, HtEncoding *encoding, GError **error)
{
  gsize n_scales, n = ht_tensor_get_n_elements (weight), inner = 1;
  const double *scales = ht_encoding_get_scales (encoding, &n_scales);
  const gint64 *offsets = ht_encoding_get_offsets (encoding, NULL);
  gint axis = ht_encoding_get_axis (encoding);
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (weight, &n_dims);
  const float *x = ht_tensor_get_data (weight);
  HtTensor *rounded;
  float *y;

  if (!ht_encoding_is_integer (encoding) || ht_encoding_get_block_axis (encoding) >= 0 || axis >= (gint)n_dims)
    return NULL;
  rounded = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims, n_dims, error);
  if (!rounded)
    return NULL;
  y = ht_tensor_get_writable_data (rounded);
  for (guint i = (guint)(axis + 1); axis >= 0 && i < n_dims; i++)
    inner *= (gsize)dims[i];
  for (gsize i = 0; i < n; i++)
    {
      gsize grid = axis < 0 ? 0 : i / inner % n_scales;
      float scale = (float)scales[grid], offset = (float)offsets[grid];
      float low = (float)ht_encoding_get_minimum (encoding, grid),
            high = (float)ht_encoding_get_maximum (encoding, grid);
      float value = x[i] < low ? low : x[i] > high ? high : x[i];
      float code = value / scale;

      code = roundf (code - offset);
      y[i] = (code + offset) * scale;
    }
  return rounded;
}

HtGraph *
ht_weights_round_in_float (HtSimulation *self, GHashTable *encodings, GError **error)
{
  g_autoptr (HtGraph) graph = ht_graph_copy (self->graph);

  for (guint i = 0; i < self->placement->quantizers->len; i++)
    {
      HtQuantizer *quantizer = g_ptr_array_index (self->placement->quantizers, i);
      const char *tensor = ht_quantizer_get_tensor (quantizer);
      HtEncoding *encoding = g_hash_table_lookup (encodings, tensor);
      g_autoptr (HtTensor) value = NULL, rounded = NULL;
      GError *problem = NULL;

      /* What a node makes of an initializer is rounded as in every simulation. */
      if (!encoding || !ht_quantizer_is_weight (quantizer) || ht_graph_get_producer (graph, tensor))
        continue;
      value = ht_graph_get_constant (graph, tensor);
      rounded = value ? round_in_float (value, encoding, &problem) : NULL;
      if (problem)
        {
          g_propagate_error (error, problem);
          return NULL;
        }
      if (rounded)
        ht_graph_set_initializer (graph, tensor, rounded);
    }
  return g_steal_pointer (&graph);
}
