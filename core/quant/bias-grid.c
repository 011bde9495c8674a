/* SPDX-License-Identifier: MIT */
#include "quant/bias-grid.h"

#include "quant/simulation-private.h"

#include <math.h>

gboolean
ht_bias_grid_is_layer (HtNode *node)
{
  if (ht_node_get_n_inputs (node) < 3 || ht_node_get_input (node, 2)[0] == '\0')
    return FALSE;
  if (ht_node_is_op (node, "Gemm"))
    return ht_node_get_float (node, "alpha", 1) == 1 && ht_node_get_float (node, "beta", 1) == 1;
  return ht_node_is_op (node, "Conv") || ht_node_is_op (node, "ConvTranspose");
}

/* The largest float below 2^31 and a little less. */
#define MAX_STEPS 2147483520.0f

/* The step of a weight that its layer's accumulator counts in: of LPBQ the scale of the channel, of other blocks the
 * largest of the channel. One for each channel or one in all, as AIMET has it. */
static double *
get_channel_steps (HtEncoding *weight, gsize *n_steps)
{
  gsize n_grids, n_blocks;
  const double *scales = ht_encoding_get_scales (weight, &n_grids);
  const double *channels = ht_encoding_get_channel_scales (weight, NULL);
  double *steps;

  *n_steps = ht_encoding_get_n_channels (weight);
  if (channels)
    return g_memdup2 (channels, *n_steps * sizeof *channels);
  n_blocks = n_grids / *n_steps;
  steps = g_new (double, *n_steps);
  for (gsize i = 0; i < *n_steps; i++)
    {
      steps[i] = scales[i * n_blocks];
      for (gsize k = 1; k < n_blocks; k++)
        steps[i] = MAX (steps[i], scales[i * n_blocks + k]);
    }
  return steps;
}

/* The steps of the accumulator, one for each channel or one in all; NULL where a bias cannot be stored in them. */
static double *
make_bias_scales (HtEncoding *input, HtEncoding *weight, const float *bias, gsize n_channels, gsize *n_scales)
{
  gsize n_weights;
  g_autofree double *weights = get_channel_steps (weight, &n_weights);
  float input_scale = (float)ht_encoding_get_scales (input, NULL)[0];
  g_autofree double *scales = g_new (double, n_weights);

  if (n_weights != 1 && n_weights != n_channels)
    return NULL;
  for (gsize i = 0; i < n_channels; i++)
    {
      gsize at = n_weights == 1 ? 0 : i;
      /* Runtimes multiply in float32. */
      float scale = input_scale * (float)weights[at];

      if (!(scale >= G_MINFLOAT) || !isfinite (scale) || !(fabsf (bias[i] / scale) < MAX_STEPS))
        return NULL;
      scales[at] = scale;
    }
  *n_scales = n_weights;
  return g_steal_pointer (&scales);
}

/* The constant bias of a layer whose input and weight are quantized; NULL: there is none, or it has a grid of its own.
 */
static HtTensor *
find_bias (HtSimulation *self, const HtSimulationParts *parts, HtNode *node, HtEncoding **input, HtEncoding **weight)
{
  g_autoptr (HtTensor) bias = NULL;
  const char *name;

  if (!ht_bias_grid_is_layer (node))
    return NULL;
  name = ht_node_get_input (node, 2);
  *input = ht_simulation_find_grid (self, parts, ht_node_get_input (node, 0));
  *weight = ht_simulation_find_encoding (self, parts, ht_node_get_input (node, 1));
  if (!*input || !*weight || !ht_graph_is_constant (self->graph, name)
      || ht_simulation_find_encoding (self, parts, name))
    return NULL;
  /* Sums of products of floating-point numbers are floating-point numbers. */
  if (!ht_encoding_is_integer (*input) || !ht_encoding_is_integer (*weight))
    return NULL;
  bias = ht_graph_get_constant (self->graph, name);
  if (!bias || ht_tensor_get_n_dims (bias) != 1 || ht_tensor_get_data_type (bias) != HT_DATA_TYPE_FLOAT
      || !ht_tensor_is_finite (bias) || ht_tensor_get_n_elements (bias) == 0)
    return NULL;
  return g_steal_pointer (&bias);
}

gboolean
ht_bias_grid_make (HtSimulation *self, const HtSimulationParts *parts, HtNode *node, HtEncoding **encoding,
                   GError **error)
{
  HtEncoding *input, *weight;
  g_autoptr (HtTensor) bias = find_bias (self, parts, node, &input, &weight);
  g_autofree double *scales = NULL;
  g_autofree gint64 *offsets = NULL;
  gsize n_scales;

  *encoding = NULL;
  if (!bias)
    return TRUE;
  scales = make_bias_scales (input, weight, ht_tensor_get_data (bias), ht_tensor_get_n_elements (bias), &n_scales);
  if (!scales)
    return TRUE;
  offsets = g_new (gint64, n_scales);
  for (gsize i = 0; i < n_scales; i++)
    offsets[i] = -G_GINT64_CONSTANT (2147483648);
  *encoding = ht_encoding_new (32, TRUE, FALSE, n_scales == 1 ? -1 : 0, scales, offsets, n_scales, error);
  return *encoding != NULL;
}

static gboolean
fit_weight (HtSimulation *self, HtNode *node, GError **error)
{
  const char *name = ht_node_get_input (node, 1);
  HtEncoding *input, *weight;
  g_autoptr (HtTensor) bias = find_bias (self, NULL, node, &input, &weight);
  g_autoptr (GString) raised = g_string_new (NULL);
  gsize n_grids, n_steps;

  if (!bias || ht_simulation_get_origin (self, name) != HT_ORIGIN_COMPUTED)
    return TRUE;
  {
    gsize n_channels = ht_tensor_get_n_elements (bias);
    const float *values = ht_tensor_get_data (bias);
    float step = (float)ht_encoding_get_scales (input, NULL)[0];
    g_autofree double *steps = get_channel_steps (weight, &n_steps);
    gsize n_blocks;
    const double *old = ht_encoding_get_scales (weight, &n_grids);
    g_autofree double *scales = g_memdup2 (old, n_grids * sizeof (double));

    if (n_steps != 1 && n_steps != n_channels)
      return TRUE;
    n_blocks = n_grids / n_steps;
    for (gsize i = 0; i < n_channels; i++)
      {
        gsize at = n_steps == 1 ? 0 : i;
        /* A part in a million more than needed, for the roundings to float. */
        double least = fabs ((double)values[i]) / ((double)step * MAX_STEPS) * 1.000001;

        if (steps[at] >= least || !isfinite (least))
          continue;
        g_string_append_printf (raised, "%s%" G_GSIZE_FORMAT, raised->len ? ", " : "", i);
        for (gsize k = at * n_blocks; k < (at + 1) * n_blocks; k++)
          scales[k] *= least / steps[at];
        steps[at] = least;
      }
    if (raised->len > 0)
      {
        g_autoptr (HtEncoding) encoding = ht_encoding_with_scales (weight, scales, NULL, n_grids, error);

        if (!encoding)
          return FALSE;
        ht_simulation_take_encoding (self, name, encoding, HT_ORIGIN_COMPUTED);
        ht_simulation_note (self,
                            "weight '%s': the scale was raised so that the bias fits 32 bits, for output channel %s",
                            name, raised->str);
      }
  }
  return TRUE;
}

gboolean
ht_bias_grid_fit_weights (HtSimulation *self, GError **error)
{
  guint n_nodes = ht_graph_get_n_nodes (self->graph);

  for (guint i = 0; i < n_nodes; i++)
    if (!fit_weight (self, ht_graph_get_node (self->graph, i), error))
      return FALSE;
  return TRUE;
}
