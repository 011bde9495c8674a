/* SPDX-License-Identifier: MIT */
/* What a network costs on a device: bytes of its constants, and multiply-accumulates weighed by the bits of both
 * operands. */
#include "quant/simulation-private.h"

#include <halftone/layer.h>

#define FLOAT_BITS 32

/* Of one sample: the first dimension is the batch. */
static double
count_elements (HtGraph *graph, const char *tensor)
{
  HtShape *shape = ht_graph_get_shape (graph, tensor);
  double n = 1;
  for (guint i = 0; shape != NULL && i < ht_shape_get_n_dims (shape); i++)
    n *= i > 0 && ht_shape_get_dim (shape, i) > 0 ? (double)ht_shape_get_dim (shape, i) : 1;
  return n;
}

static double
count_products (HtLayer *layer)
{
  HtGraph *graph = ht_layer_get_graph (layer);
  gboolean is_transposed = ht_layer_get_kind (layer) == HT_LAYER_CONV_TRANSPOSE;
  double positions = count_elements (graph, is_transposed ? ht_layer_get_input (layer) : ht_layer_get_output (layer));
  guint channels = is_transposed ? ht_layer_get_n_input_channels (layer) : ht_layer_get_n_output_channels (layer);
  g_autoptr (HtTensor) weight = ht_graph_get_constant (graph, ht_layer_get_weight (layer));
  return weight != NULL && channels > 0 ? positions * (double)ht_tensor_get_n_elements (weight) / channels : 0;
}

static void
measure (HtSimulation *self, HtGraph *graph, double *size, double *bit_operations)
{
  g_auto (GStrv) constants = ht_graph_list_initializers (graph);
  g_autoptr (GPtrArray) layers = ht_graph_list_layers (graph);
  *size = *bit_operations = 0;
  for (char **name = constants; *name != NULL; name++)
    {
      HtTensor *value = ht_graph_get_initializer (graph, *name);
      HtEncoding *encoding = self != NULL ? ht_simulation_get_encoding (self, *name) : NULL;
      gsize n_grids = 0;
      if (encoding != NULL)
        ht_encoding_get_scales (encoding, &n_grids);
      *size += encoding != NULL
                   ? (double)((ht_tensor_get_n_elements (value) * ht_encoding_get_bits (encoding) + 7) / 8 + n_grids * sizeof (float))
                   : (double)ht_tensor_get_size (value);
    }
  for (guint i = 0; i < layers->len; i++)
    {
      HtLayer *layer = g_ptr_array_index (layers, i);
      HtEncoding *weight = self != NULL ? ht_simulation_get_encoding (self, ht_layer_get_weight (layer)) : NULL;
      HtEncoding *input = self != NULL ? ht_simulation_find_grid (self, NULL, ht_layer_get_input (layer)) : NULL;
      *bit_operations += count_products (layer) * (weight != NULL ? ht_encoding_get_bits (weight) : FLOAT_BITS)
                         * (input != NULL ? ht_encoding_get_bits (input) : FLOAT_BITS);
    }
}

void
ht_simulation_measure_costs (HtSimulation *self, double *size, double *bit_operations)
{
  measure (self, self->graph, size, bit_operations);
}

void
ht_graph_measure_costs (HtGraph *graph, double *size, double *bit_operations)
{
  measure (NULL, graph, size, bit_operations);
}
