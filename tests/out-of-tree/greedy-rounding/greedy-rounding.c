/* SPDX-License-Identifier: MIT */
/* A third party's rounding, written against the installed headers alone: it declares what it does and knows no other
 * technique. Each weight goes to the lower or upper neighbour, whichever keeps the sum of errors of its row small. */
#include <halftone/halftone.h>

#include <math.h>

#define TYPE_GREEDY_ROUNDING (greedy_rounding_get_type ())
G_DECLARE_FINAL_TYPE (GreedyRounding, greedy_rounding, GREEDY, ROUNDING, HtPass)

struct _GreedyRounding
{
  HtPass parent_instance;
};

G_DEFINE_DYNAMIC_TYPE (GreedyRounding, greedy_rounding, HT_TYPE_PASS)

static gboolean
round_layer (HtModelState *state, HtLayer *layer, HtEncoding *encoding, GError **error)
{
  HtGraph *graph = ht_layer_get_graph (layer);
  g_autoptr (HtTensor) weight = ht_graph_get_constant (graph, ht_layer_get_weight (layer));
  g_autoptr (HtTensor) nearest = ht_encoding_fake_quantize (encoding, weight, error);
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (weight, &n_dims);
  g_autoptr (HtTensor) scales = nearest != NULL ? ht_encoding_spread_scales (encoding, dims, n_dims, error) : NULL;
  g_autoptr (HtTensor) moved = scales != NULL ? ht_tensor_copy (nearest, error) : NULL;
  if (moved == NULL)
    return FALSE;
  const float *w = ht_tensor_get_data (weight), *q = ht_tensor_get_data (nearest), *s = ht_tensor_get_data (scales);
  float *values = ht_tensor_get_writable_data (moved);
  gsize n = ht_tensor_get_n_elements (weight), n_row = n / MAX ((gsize)dims[0], 1);
  double sum = 0.0;

  for (gsize i = 0; i < n; i++)
    {
      if (i % n_row == 0)
        sum = 0.0;
      double error_here = (double)w[i] - (double)q[i], step = error_here > 0.0 ? (double)s[i] : -(double)s[i];
      if (fabs (sum + error_here - step) < fabs (sum + error_here))
        {
          values[i] = (float)((double)q[i] + step);
          error_here -= step;
        }
      sum += error_here;
    }
  g_autoptr (HtTensor) rounded = ht_encoding_fake_quantize (encoding, moved, error); /* the grid has ends */
  if (rounded == NULL)
    return FALSE;
  ht_graph_set_initializer (graph, ht_layer_get_weight (layer), rounded);
  return ht_model_state_set_encoding (state, ht_layer_get_weight (layer), encoding, HT_ENCODING_FIXED, error);
}

static gboolean
greedy_rounding_run (HtPass *pass, HtModelState *state, HtPassContext *context, GError **error)
{
  ht_model_state_split_reference (state);
  g_autoptr (HtSimulation) simulation = ht_pass_context_create_simulation (context, state, error);
  if (simulation == NULL || !ht_simulation_calibrate_weights (simulation, error))
    return FALSE;
  g_autoptr (GPtrArray) layers = ht_graph_list_layers (ht_model_state_get_graph (state));
  for (guint i = 0; i < layers->len; i++)
    {
      HtLayer *layer = g_ptr_array_index (layers, i);
      HtEncoding *encoding = ht_simulation_get_encoding (simulation, ht_layer_get_weight (layer));
      if (!ht_pass_context_progress (context, i, layers->len, error)
          || (encoding != NULL && !round_layer (state, layer, encoding, error)))
        return FALSE;
    }
  return TRUE;
}

static void
greedy_rounding_init (GreedyRounding *self)
{
}

static void
greedy_rounding_class_init (GreedyRoundingClass *klass)
{
  HtPassClass *pass = HT_PASS_CLASS (klass);

  pass->run = greedy_rounding_run;
  ht_pass_class_set_info (pass, "greedy-rounding", "keep the sum of rounding errors of each row small", NULL);
  ht_pass_class_set_reads (pass, HT_PASS_READS_WEIGHT_SETTINGS);
  ht_pass_class_add_rule (pass, HT_RULE_PROVIDES, HT_FACT_WEIGHTS_ROUNDED, "each weight has the code it was given",
                          NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_PROVIDES, HT_FACT_WEIGHT_ENCODINGS_FIXED, "the codes are of their grid alone",
                          NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_EFFECT, "changes-weights", "weights move to values of their grid", NULL, NULL);
}

static void
greedy_rounding_class_finalize (GreedyRoundingClass *klass)
{
}

static gboolean
register_types (GTypeModule *module, HtPlugin *plugin, GError **error)
{
  greedy_rounding_register_type (module);
  ht_plugin_add_pass (plugin, TYPE_GREEDY_ROUNDING);
  return TRUE;
}

HT_PLUGIN_DEFINE ("greedy-rounding", "0.1", "MIT", "Greedy rounding", "A third party", "third-party", NULL,
                  register_types, "GreedyRounding")
