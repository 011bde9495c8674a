/* SPDX-License-Identifier: MIT */
#include "quant/bias-grid.h"

#include "quant/simulation-private.h"

#include <math.h>

static gboolean
has_plain_bias (HtGraph *graph, HtNode *node)
{
  if (ht_node_get_n_inputs (node) < 3 || ht_node_get_input (node, 2)[0] == '\0')
    return FALSE;
  if (ht_node_is_op (node, "Gemm"))
    return ht_node_get_float (node, "alpha", 1) == 1 && ht_node_get_float (node, "beta", 1) == 1;
  return ht_node_is_op (node, "Conv") || ht_node_is_op (node, "ConvTranspose");
}

/* The steps of the accumulator, one for each channel or one in all; NULL where a bias cannot be stored in them. */
static double *
make_bias_scales (HtEncoding *input, HtEncoding *weight, const float *bias, gsize n_channels, gsize *n_scales)
{
  gsize n_weights;
  const double *weights = ht_encoding_get_scales (weight, &n_weights);
  float input_scale = (float)ht_encoding_get_scales (input, NULL)[0];
  g_autofree double *scales = g_new (double, n_weights);

  if (n_weights != 1 && n_weights != n_channels)
    return NULL;
  for (gsize i = 0; i < n_channels; i++)
    {
      gsize at = n_weights == 1 ? 0 : i;
      /* Runtimes multiply in float32. */
      float scale = input_scale * (float)weights[at];

      if (!(scale >= G_MINFLOAT) || !isfinite (scale) || !(fabsf (bias[i] / scale) < 2147483520.0f))
        return NULL;
      scales[at] = scale;
    }
  *n_scales = n_weights;
  return g_steal_pointer (&scales);
}

static HtEncoding *
find_input_encoding (HtSimulation *self, const char *tensor)
{
  const char *grid = g_hash_table_lookup (self->placement->grids, tensor);

  return grid ? g_hash_table_lookup (self->encodings, grid) : NULL;
}

gboolean
ht_bias_grid_make (HtSimulation *self, HtNode *node, HtEncoding **encoding, GError **error)
{
  g_autoptr (HtTensor) bias = NULL;
  g_autofree double *scales = NULL;
  g_autofree gint64 *offsets = NULL;
  HtEncoding *input, *weight;
  const char *name;
  gsize n_scales, n_channels;

  *encoding = NULL;
  if (!has_plain_bias (self->graph, node))
    return TRUE;
  name = ht_node_get_input (node, 2);
  input = find_input_encoding (self, ht_node_get_input (node, 0));
  weight = g_hash_table_lookup (self->encodings, ht_node_get_input (node, 1));
  if (!input || !weight || !ht_graph_is_constant (self->graph, name) || g_hash_table_contains (self->encodings, name))
    return TRUE;
  bias = ht_graph_get_constant (self->graph, name);
  if (!bias || ht_tensor_get_n_dims (bias) != 1 || ht_tensor_get_data_type (bias) != HT_DATA_TYPE_FLOAT
      || !ht_tensor_is_finite (bias))
    return TRUE;
  n_channels = ht_tensor_get_n_elements (bias);
  scales = n_channels > 0 ? make_bias_scales (input, weight, ht_tensor_get_data (bias), n_channels, &n_scales) : NULL;
  if (!scales)
    return TRUE;
  offsets = g_new (gint64, n_scales);
  for (gsize i = 0; i < n_scales; i++)
    offsets[i] = -G_GINT64_CONSTANT (2147483648);
  *encoding = ht_encoding_new (32, TRUE, FALSE, n_scales == 1 ? -1 : 0, scales, offsets, n_scales, error);
  return *encoding != NULL;
}
