/* SPDX-License-Identifier: MIT */
/* Reading and writing a layer's weight and bias by channel. */
#include <halftone/error.h>
#include <halftone/layer.h>

#include "graph/layer-private.h"

#include <math.h>
#include <string.h>

double *
ht_graph_dup_constant_values (HtGraph *graph, const char *name, gsize *n_values)
{
  g_autoptr (HtTensor) tensor = ht_graph_get_constant (graph, name);
  if (tensor == NULL)
    return NULL;
  gsize n = ht_tensor_get_n_elements (tensor);
  double *values = g_new (double, MAX (n, 1));
  for (gsize i = 0; i < n; i++)
    values[i] = ht_tensor_get_double (tensor, i);
  *n_values = n;
  return values;
}

static HtTensor *
tensor_from_doubles (HtTensor *like, const double *values, GError **error)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (like, &n_dims);
  g_autoptr (HtTensor) wide = ht_tensor_new (HT_DATA_TYPE_DOUBLE, dims, n_dims, error);
  if (wide == NULL)
    return NULL;
  memcpy (ht_tensor_get_writable_data (wide), values, ht_tensor_get_size (wide));
  HtDataType type = ht_tensor_get_data_type (like);
  return type == HT_DATA_TYPE_DOUBLE ? g_steal_pointer (&wide) : ht_tensor_cast (wide, type, error);
}

char *
ht_graph_store_values (HtGraph *graph, const char *name, HtTensor *like, const double *values, GError **error)
{
  g_autoptr (HtTensor) tensor = tensor_from_doubles (like, values, error);
  if (tensor == NULL)
    return NULL;
  gboolean own = ht_graph_is_constant (graph, name) && ht_graph_count_uses (graph, name) == 1;
  g_autofree char *target = own ? g_strdup (name) : ht_graph_make_name (graph, name);
  ht_graph_set_initializer (graph, target, tensor);
  return g_steal_pointer (&target);
}

static HtTensor *
dup_weight (HtLayer *self, GError **error)
{
  HtTensor *weight = ht_graph_get_constant (self->graph, ht_layer_get_weight (self));
  if (weight == NULL)
    g_set_error (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "layer '%s': weight '%s' is no longer constant",
                 ht_node_get_name (self->node), ht_layer_get_weight (self));
  return weight;
}

static gboolean
store_weight (HtLayer *self, HtTensor *like, const double *values, GError **error)
{
  g_autofree char *name = ht_graph_store_values (self->graph, ht_layer_get_weight (self), like, values, error);
  if (name == NULL)
    return FALSE;
  ht_graph_set_node_input (self->graph, self->node, 1, name);
  return TRUE;
}

/* Calls for each weight in row order; `row` runs over outputs, `channel` over all input channels. */
#define FOR_EACH_WEIGHT(self, index)                                                                                   \
  for (guint o_ = 0, n_out_ = ht_layer_get_n_output_channels (self); o_ < n_out_; o_++)                                \
    for (guint i_ = 0; i_ < (self)->inputs_per_group; i_++)                                                            \
      for (gsize k_ = 0, index = 0; k_ < (self)->n_positions && ((index = ht_layer_weight_index (self, o_, i_, k_)), TRUE); k_++)
#define WEIGHT_OUTPUT           o_
#define WEIGHT_CHANNEL(self)    ((o_ / (self)->outputs_per_group) * (self)->inputs_per_group + i_)
#define WEIGHT_COLUMN(self)     ((gsize) i_ * (self)->n_positions + k_)

/**
 * ht_layer_arrange_matrix:
 * @self: a layer
 * @weight: values in the shape of the layer's weight, such as that weight on a grid
 * @error: return location for an error
 *
 * Arranges values as ht_layer_get_matrix() does those of the layer's own weight.
 *
 * Returns: (transfer full): the matrix, or %NULL with %HT_ERROR_SHAPE when @weight has another shape
 */
HtTensor *
ht_layer_arrange_matrix (HtLayer *self, HtTensor *weight, GError **error)
{
  g_return_val_if_fail (self != NULL && weight != NULL, NULL);
  gsize n_columns = self->inputs_per_group * self->n_positions;
  guint n_outputs = ht_layer_get_n_output_channels (self);
  if (ht_tensor_get_n_elements (weight) != n_outputs * n_columns)
    {
      g_autofree char *found = ht_tensor_describe (weight);
      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE, "layer '%s': found %s; expected %u x %" G_GSIZE_FORMAT " weights",
                   ht_node_get_name (self->node), found, n_outputs, n_columns);
      return NULL;
    }
  gint64 dims[] = { n_outputs, (gint64) n_columns };
  g_autoptr (HtTensor) matrix = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims, 2, error);
  if (matrix == NULL)
    return NULL;
  float *values = ht_tensor_get_writable_data (matrix);
  FOR_EACH_WEIGHT (self, index)
    values[WEIGHT_OUTPUT * n_columns + WEIGHT_COLUMN (self)] = (float) ht_tensor_get_double (weight, index);
  return g_steal_pointer (&matrix);
}

/**
 * ht_layer_get_matrix:
 * @self: a layer
 * @error: return location for an error
 *
 * The weight as a float matrix [output channels, input channels of a group x kernel positions], rows in output channel
 * order whatever the layout of the ONNX tensor. Gemm's alpha is not included.
 *
 * Returns: (transfer full): the matrix, or %NULL with @error set
 */
HtTensor *
ht_layer_get_matrix (HtLayer *self, GError **error)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_autoptr (HtTensor) weight = dup_weight (self, error);
  return weight != NULL ? ht_layer_arrange_matrix (self, weight, error) : NULL;
}

/**
 * ht_layer_set_matrix:
 * @self: a layer
 * @matrix: the new weight, in the form that ht_layer_get_matrix() gives
 * @error: return location for an error
 *
 * Replaces the weight. A weight that other nodes read too is left to them: this layer gets its own.
 *
 * Returns: whether it was stored
 */
gboolean
ht_layer_set_matrix (HtLayer *self, HtTensor *matrix, GError **error)
{
  g_return_val_if_fail (self != NULL && matrix != NULL, FALSE);
  gsize n_columns = self->inputs_per_group * self->n_positions;
  if (ht_tensor_get_n_dims (matrix) != 2 || ht_tensor_get_dim (matrix, 0) != ht_layer_get_n_output_channels (self)
      || ht_tensor_get_dim (matrix, 1) != (gint64) n_columns)
    {
      g_autofree char *found = ht_tensor_describe (matrix);
      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE, "layer '%s': the new weight matrix is %s, expected [%u, %zu]",
                   ht_node_get_name (self->node), found, ht_layer_get_n_output_channels (self), n_columns);
      return FALSE;
    }
  g_autoptr (HtTensor) weight = dup_weight (self, error);
  if (weight == NULL)
    return FALSE;
  g_autofree double *values = g_new (double, ht_tensor_get_n_elements (weight));
  FOR_EACH_WEIGHT (self, index)
    values[index] = ht_tensor_get_double (matrix, WEIGHT_OUTPUT * n_columns + WEIGHT_COLUMN (self));
  return store_weight (self, weight, values, error);
}

/**
 * ht_layer_get_bias_values:
 * @self: a layer
 * @n_channels: (out): number of values
 * @error: return location for an error
 *
 * What the layer adds to each output channel: zeros without a bias; Gemm's beta is included.
 *
 * Returns: (array length=n_channels) (transfer full): the bias, or %NULL with @error set
 */
double *
ht_layer_get_bias_values (HtLayer *self, gsize *n_channels, GError **error)
{
  g_return_val_if_fail (self != NULL && n_channels != NULL, NULL);
  gsize n = ht_layer_get_n_output_channels (self), n_stored = 0;
  g_autofree double *values = g_new0 (double, n);
  const char *name = ht_layer_get_bias (self);
  *n_channels = n;
  if (name == NULL)
    return g_steal_pointer (&values);
  g_autofree double *stored = ht_graph_dup_constant_values (self->graph, name, &n_stored);
  if (stored == NULL || (n_stored != n && n_stored != 1))
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
                   "layer '%s': bias '%s' is not a constant with one value for each of the %zu output channels",
                   ht_node_get_name (self->node), name, n);
      return NULL;
    }
  double beta = self->kind == HT_LAYER_GEMM ? ht_node_get_float (self->node, "beta", 1) : 1;
  for (gsize i = 0; i < n; i++)
    values[i] = beta * stored[n_stored == 1 ? 0 : i];
  return g_steal_pointer (&values);
}

/* A MatMul has no bias input: put an Add behind it, which takes over the name of the output. */
static void
add_bias_node (HtLayer *self, const char *bias)
{
  g_autofree char *output = g_strdup (ht_node_get_output (self->node, 0));
  g_autofree char *product = ht_graph_make_name (self->graph, output);
  g_autofree char *stem = g_strdup_printf ("%s.bias_add", ht_node_get_name (self->node));
  g_autofree char *name = ht_graph_make_name (self->graph, stem);
  const char *inputs[] = { product, bias, NULL }, *outputs[] = { output, NULL };
  ht_graph_set_node_output (self->graph, self->node, 0, product);
  self->bias_node = ht_node_ref (ht_graph_add_node (self->graph, "Add", "", name, inputs, outputs));
  self->bias_index = 1;
}

/**
 * ht_layer_set_bias_values:
 * @self: a layer
 * @values: (array length=n_channels): what to add to each output channel
 * @n_channels: number of values
 * @error: return location for an error
 *
 * Replaces the bias, or makes one: a third input, or an Add behind a MatMul (the graph is sorted again then). A bias that
 * other nodes read too is left to them. Gemm's beta becomes 1.
 *
 * Returns: whether it was stored
 */
gboolean
ht_layer_set_bias_values (HtLayer *self, const double *values, gsize n_channels, GError **error)
{
  g_return_val_if_fail (self != NULL && values != NULL, FALSE);
  g_return_val_if_fail (n_channels == ht_layer_get_n_output_channels (self), FALSE);
  g_autoptr (HtTensor) weight = dup_weight (self, error);
  if (weight == NULL)
    return FALSE;
  gint64 dims[] = { (gint64) n_channels };
  g_autoptr (HtTensor) like = ht_tensor_new (ht_tensor_get_data_type (weight), dims, 1, error);
  if (like == NULL)
    return FALSE;
  const char *old = ht_layer_get_bias (self);
  const char *node_name = ht_node_get_name (self->node);
  g_autofree char *stem
      = old != NULL ? g_strdup (old)
                    : g_strdup_printf ("%s.bias", *node_name ? node_name : ht_node_get_output (self->node, 0));
  g_autofree char *name = ht_graph_store_values (self->graph, stem, like, values, error);
  if (name == NULL)
    return FALSE;
  if (self->kind != HT_LAYER_MATMUL)
    {
      ht_graph_set_node_input (self->graph, self->node, 2, name);
      if (self->kind == HT_LAYER_GEMM && ht_node_get_float (self->node, "beta", 1) != 1)
        ht_graph_set_float (self->graph, self->node, "beta", 1);
      return TRUE;
    }
  if (self->bias_node != NULL)
    {
      ht_graph_set_node_input (self->graph, self->bias_node, self->bias_index, name);
      return TRUE;
    }
  add_bias_node (self, name);
  return ht_graph_sort (self->graph, error);
}

static double *
get_ranges (HtLayer *self, gboolean inputs, gsize *n_channels, GError **error)
{
  g_autoptr (HtTensor) weight = dup_weight (self, error);
  if (weight == NULL)
    return NULL;
  *n_channels = inputs ? ht_layer_get_n_input_channels (self) : ht_layer_get_n_output_channels (self);
  double *ranges = g_new0 (double, *n_channels);
  FOR_EACH_WEIGHT (self, index)
    {
      double *range = &ranges[inputs ? WEIGHT_CHANNEL (self) : WEIGHT_OUTPUT];
      *range = fmax (*range, fabs (ht_tensor_get_double (weight, index)));
    }
  return ranges;
}

/**
 * ht_layer_get_output_ranges:
 * @self: a layer
 * @n_channels: (out): number of values
 * @error: return location for an error
 *
 * The largest absolute weight of each output channel.
 *
 * Returns: (array length=n_channels) (transfer full): the ranges, or %NULL with @error set
 */
double *
ht_layer_get_output_ranges (HtLayer *self, gsize *n_channels, GError **error)
{
  g_return_val_if_fail (self != NULL && n_channels != NULL, NULL);
  return get_ranges (self, FALSE, n_channels, error);
}

/**
 * ht_layer_get_input_ranges:
 * @self: a layer
 * @n_channels: (out): number of values
 * @error: return location for an error
 *
 * The largest absolute weight that reads each input channel.
 *
 * Returns: (array length=n_channels) (transfer full): the ranges, or %NULL with @error set
 */
double *
ht_layer_get_input_ranges (HtLayer *self, gsize *n_channels, GError **error)
{
  g_return_val_if_fail (self != NULL && n_channels != NULL, NULL);
  return get_ranges (self, TRUE, n_channels, error);
}

static gboolean
scale_weight (HtLayer *self, const double *factors, gboolean inputs, GError **error)
{
  g_autoptr (HtTensor) weight = dup_weight (self, error);
  if (weight == NULL)
    return FALSE;
  g_autofree double *values = g_new (double, ht_tensor_get_n_elements (weight));
  FOR_EACH_WEIGHT (self, index)
    values[index] = ht_tensor_get_double (weight, index) * factors[inputs ? WEIGHT_CHANNEL (self) : WEIGHT_OUTPUT];
  return store_weight (self, weight, values, error);
}

/**
 * ht_layer_scale_outputs:
 * @self: a layer
 * @factors: (array length=n_channels): a factor for each output channel
 * @n_channels: number of factors
 * @error: return location for an error
 *
 * Multiplies weight and bias of each output channel, so that the layer's output is multiplied.
 *
 * Returns: whether it was done
 */
gboolean
ht_layer_scale_outputs (HtLayer *self, const double *factors, gsize n_channels, GError **error)
{
  g_return_val_if_fail (self != NULL && n_channels == ht_layer_get_n_output_channels (self), FALSE);
  if (ht_layer_get_bias (self) != NULL)
    {
      gsize n;
      g_autofree double *bias = ht_layer_get_bias_values (self, &n, error);
      if (bias == NULL)
        return FALSE;
      for (gsize i = 0; i < n; i++)
        bias[i] *= factors[i];
      if (!ht_layer_set_bias_values (self, bias, n, error))
        return FALSE;
    }
  return scale_weight (self, factors, FALSE, error);
}

/**
 * ht_layer_scale_inputs:
 * @self: a layer
 * @factors: (array length=n_channels): a factor for each input channel
 * @n_channels: number of factors
 * @error: return location for an error
 *
 * Multiplies the weights that read each input channel, as if the input had been multiplied.
 *
 * Returns: whether it was done
 */
gboolean
ht_layer_scale_inputs (HtLayer *self, const double *factors, gsize n_channels, GError **error)
{
  g_return_val_if_fail (self != NULL && n_channels == ht_layer_get_n_input_channels (self), FALSE);
  return scale_weight (self, factors, TRUE, error);
}

/**
 * ht_layer_propagate_shift:
 * @self: a layer
 * @shifts: (array length=n_channels): a constant added to each input channel
 * @n_channels: number of input channels
 * @n_outputs: (out): number of output channels
 * @error: return location for an error
 *
 * What a constant on each input channel adds to each output channel, where the kernel sees no padding: the sum over the
 * kernel, times the constant. Not defined for ConvTranspose, whose outputs see different parts of the kernel.
 *
 * Returns: (array length=n_outputs) (transfer full): the shift of each output channel, or %NULL with @error set
 */
double *
ht_layer_propagate_shift (HtLayer *self, const double *shifts, gsize n_channels, gsize *n_outputs, GError **error)
{
  g_return_val_if_fail (self != NULL && n_outputs != NULL, NULL);
  g_return_val_if_fail (n_channels == ht_layer_get_n_input_channels (self), NULL);
  if (self->kind == HT_LAYER_CONV_TRANSPOSE)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED,
                   "layer '%s': a shift does not pass a ConvTranspose as a constant", ht_node_get_name (self->node));
      return NULL;
    }
  g_autoptr (HtTensor) weight = dup_weight (self, error);
  if (weight == NULL)
    return NULL;
  double alpha = self->kind == HT_LAYER_GEMM ? self->alpha : 1;
  *n_outputs = ht_layer_get_n_output_channels (self);
  double *sums = g_new0 (double, *n_outputs);
  FOR_EACH_WEIGHT (self, index)
    sums[WEIGHT_OUTPUT] += alpha * ht_tensor_get_double (weight, index) * shifts[WEIGHT_CHANNEL (self)];
  return sums;
}
