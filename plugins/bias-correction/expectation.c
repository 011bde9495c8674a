/* SPDX-License-Identifier: MIT */
#include "expectation.h"

#include <math.h>
#include <string.h>

/* Points of the numeric integral, over this many deviations on either side: the trapezoid rule on a normal density,
 * where its error falls faster than any power of the step. */
#define MIN_POINTS 2001
#define REACH      10.0

static double
density (double x)
{
  return exp (-0.5 * x * x) / sqrt (2.0 * G_PI);
}

static double
distribution (double x)
{
  return 0.5 * erfc (-x / G_SQRT2);
}

double
expectation_of_clipped (double mean, double deviation, double low, double high)
{
  if (deviation <= 0.0)
    return fmin (fmax (mean, low), high);

  double a = (low - mean) / deviation, b = (high - mean) / deviation;
  double inside = mean * (distribution (b) - distribution (a)) + deviation * (density (a) - density (b));
  double below = isinf (low) ? 0.0 : low * distribution (a), above = isinf (high) ? 0.0 : high * distribution (-b);
  return inside + below + above;
}

static gboolean
is_pointwise (HtNode *node)
{
  static const char *const op_types[]
      = { "Relu",    "Clip",        "LeakyRelu", "PRelu",    "Elu",      "Selu", "Celu", "ThresholdedRelu",
          "Sigmoid", "HardSigmoid", "HardSwish", "Softplus", "Softsign", "Tanh", "Mish", "Gelu",
          "Erf",     "Min",         "Max",       "Mul",      "Add",      "Sub",  "Div",  "Identity",
          "Dropout", "Abs",         "Neg",       "Exp",      "Sqrt",     "Pow",  NULL };

  return g_strv_contains (op_types, ht_node_get_op_type (node));
}

/* A limit of a Clip: an input of later versions, an attribute of earlier ones. FALSE when it is not one number. */
static gboolean
read_limit (HtGraph *graph, HtNode *node, guint index, const char *attribute, double *limit)
{
  if (ht_node_has_attribute (node, attribute))
    *limit = ht_node_get_float (node, attribute, *limit);
  if (ht_node_get_n_inputs (node) <= index || ht_node_get_input (node, index)[0] == '\0')
    return TRUE;
  g_autoptr (HtTensor) value = ht_graph_get_constant (graph, ht_node_get_input (node, index));
  if (value == NULL || ht_tensor_get_n_elements (value) != 1)
    return FALSE;
  *limit = ht_tensor_get_double (value, 0);
  return TRUE;
}

/* Whether a node cuts values off at limits, and which. */
static gboolean
find_limits (HtGraph *graph, HtNode *node, double *low, double *high)
{
  *low = ht_node_is_op (node, "Relu") ? 0.0 : -HUGE_VAL;
  *high = HUGE_VAL;
  if (ht_node_is_op (node, "Relu") || ht_node_is_op (node, "Identity"))
    return TRUE;
  return ht_node_is_op (node, "Clip") && read_limit (graph, node, 1, "min", low)
         && read_limit (graph, node, 2, "max", high) && *low <= *high;
}

/* The activations between a batch norm's tensor and the layer, the first one first: NULL when something else lies
 * between. They may form a small graph (x * sigmoid (x)), as long as all of it comes from the one tensor. */
static const char *
find_source (HtLayer *layer, HtBatchnormStatistics *statistics, gboolean *clipped, double *low, double *high)
{
  HtGraph *graph = ht_layer_get_graph (layer);
  g_autoptr (GPtrArray) open = g_ptr_array_new ();
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  const char *source = NULL;

  *clipped = TRUE;
  *low = -HUGE_VAL;
  *high = HUGE_VAL;
  g_ptr_array_add (open, (gpointer)ht_layer_get_input (layer));
  while (open->len > 0)
    {
      const char *tensor = g_ptr_array_steal_index (open, open->len - 1);
      HtNode *node = ht_graph_get_producer (graph, tensor);
      double inner_low, inner_high;

      if (!g_hash_table_add (seen, (gpointer)tensor))
        continue;
      if (ht_batchnorm_statistics_has (statistics, tensor))
        {
          if (source != NULL && strcmp (source, tensor) != 0)
            return NULL;
          source = tensor;
          continue;
        }
      if (node == NULL || !is_pointwise (node))
        return NULL;
      if (find_limits (graph, node, &inner_low, &inner_high))
        {
          double outer_low = *low, outer_high = *high;
          *low = fmin (fmax (inner_low, outer_low), outer_high);
          *high = fmin (fmax (inner_high, outer_low), outer_high);
        }
      else
        *clipped = FALSE;
      for (guint i = 0; i < ht_node_get_n_inputs (node); i++)
        {
          const char *input = ht_node_get_input (node, i);
          if (input[0] != '\0' && !ht_graph_is_constant (graph, input))
            g_ptr_array_add (open, (gpointer)input);
        }
    }
  return source;
}

static gsize
find_point (gsize point, gsize channel, gsize n_channels, gsize n_positions)
{
  return (point / n_positions * n_channels + channel) * n_positions + point % n_positions;
}

static double
find_deviation (gsize point, gsize n_points)
{
  return REACH * (2.0 * (double)point / (double)(n_points - 1) - 1.0);
}

/* Runs the activations on points of every channel's normal and sums them up with their weights. */
static double *
integrate (HtLayer *layer, const char *source, const double *means, const double *deviations, gsize n_channels,
           GError **error)
{
  HtGraph *graph = ht_layer_get_graph (layer);
  HtShape *shape = ht_graph_get_shape (graph, source);
  guint n_dims = shape != NULL ? ht_shape_get_n_dims (shape) : 0;
  gint64 dims[HT_TENSOR_MAX_DIMS];
  const char *outputs[] = { ht_layer_get_input (layer), NULL };

  if (n_dims < 2)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE, "integrating tensor '%s': found no rank for it; expected 2 or more",
                   source);
      return NULL;
    }
  /* Points fill the positions of as many samples as they need: what follows the layer wants its usual extents. */
  gsize n_positions = 1;
  for (guint i = 2; i < n_dims; i++)
    {
      gint64 dim = ht_shape_get_dim (shape, i);
      dims[i] = dim > 0 ? dim : 32;
      n_positions *= (gsize)dims[i];
    }
  dims[0] = (gint64)((MIN_POINTS + n_positions - 1) / n_positions);
  dims[1] = (gint64)n_channels;
  gsize n_points = (gsize)dims[0] * n_positions;
  g_autoptr (HtTensor) points = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims, n_dims, error);
  if (points == NULL)
    return NULL;
  float *values = ht_tensor_get_writable_data (points);
  for (gsize c = 0; c < n_channels; c++)
    for (gsize k = 0; k < n_points; k++)
      values[find_point (k, c, n_channels, n_positions)]
          = (float)(means[c] + deviations[c] * find_deviation (k, n_points));

  /* The network may say other extents than these points have: it is told nothing about them. */
  g_autoptr (HtGraph) free_graph = ht_graph_copy (graph);
  ht_graph_set_shape (free_graph, source, HT_DATA_TYPE_FLOAT, NULL);
  g_autoptr (HtExecutor) executor = ht_executor_new (free_graph, error);
  g_autoptr (GHashTable) inputs = g_hash_table_new (g_str_hash, g_str_equal);
  g_hash_table_insert (inputs, (gpointer)source, points);
  g_autoptr (GHashTable) found = executor != NULL ? ht_executor_run (executor, inputs, outputs, NULL, error) : NULL;
  if (found == NULL)
    return NULL;
  HtTensor *activated = g_hash_table_lookup (found, outputs[0]);
  if (ht_tensor_get_n_elements (activated) != n_points * n_channels)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE, "integrating tensor '%s': its activations change its shape",
                   source);
      return NULL;
    }
  const float *at = ht_tensor_get_data (activated);
  double *expected = g_new0 (double, n_channels);
  for (gsize c = 0; c < n_channels; c++)
    for (gsize k = 0; k < n_points; k++)
      expected[c] += density (find_deviation (k, n_points)) * 2.0 * REACH / (double)(n_points - 1)
                     * (double)at[find_point (k, c, n_channels, n_positions)];
  return expected;
}

double *
expectation_of_input (HtLayer *layer, HtBatchnormStatistics *statistics, gsize *n_channels, char **why)
{
  gboolean clipped;
  double low, high;
  const char *source = statistics != NULL ? find_source (layer, statistics, &clipped, &low, &high) : NULL;

  *why = NULL;
  if (source == NULL)
    {
      *why = g_strdup ("no batch norm's statistics tell what it reads");
      return NULL;
    }
  const double *means = ht_batchnorm_statistics_get_means (statistics, source, n_channels);
  const double *deviations = ht_batchnorm_statistics_get_deviations (statistics, source, n_channels);
  if (!clipped)
    {
      g_autoptr (GError) local = NULL;
      double *integral = integrate (layer, source, means, deviations, *n_channels, &local);
      if (integral == NULL)
        *why = g_strdup (local->message);
      return integral;
    }
  double *expected = g_new (double, *n_channels);
  for (gsize c = 0; c < *n_channels; c++)
    expected[c] = expectation_of_clipped (means[c], deviations[c], low, high);
  return expected;
}
