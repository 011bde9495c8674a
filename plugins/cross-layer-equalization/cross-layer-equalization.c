/* SPDX-License-Identifier: MIT */
/* Cross-layer equalization: moves a positive factor of each channel from one layer to the next, so that the channels of
 * a weight come to similar ranges. The function stays the same. */
#include <halftone/halftone.h>

#include <math.h>

typedef enum
{
  RELU6_EXACT,
  RELU6_REPLACE,
  RELU6_SKIP,
} Relu6Handling;

static GType relu6_handling_type;

#define HT_TYPE_CROSS_LAYER_EQUALIZATION (ht_cross_layer_equalization_get_type ())
G_DECLARE_FINAL_TYPE (HtCrossLayerEqualization, ht_cross_layer_equalization, HT, CROSS_LAYER_EQUALIZATION, HtPass)

struct _HtCrossLayerEqualization
{
  HtPass parent_instance;
  Relu6Handling relu6;
  guint sweeps;
  double dead_threshold;
};

enum
{
  PROP_0,
  PROP_RELU6,
  PROP_SWEEPS,
  PROP_DEAD_THRESHOLD,
  N_PROPERTIES
};

static GParamSpec *properties[N_PROPERTIES];

G_DEFINE_DYNAMIC_TYPE (HtCrossLayerEqualization, ht_cross_layer_equalization, HT_TYPE_PASS)

/* Two layers, or three with a depthwise one between, whose channel ranges are balanced together. */
typedef struct
{
  guint n_layers;
  HtLayer *layers[3];
  HtLayerLink *links[2];
} EqualizationSet;

static void
equalization_set_free (EqualizationSet *self)
{
  for (guint i = 0; i < self->n_layers; i++)
    ht_layer_unref (self->layers[i]);
  for (guint i = 0; i + 1 < self->n_layers; i++)
    ht_layer_link_unref (self->links[i]);
  g_free (self);
}

static EqualizationSet *
equalization_set_new (HtLayerLink *first, HtLayerLink *second)
{
  EqualizationSet *self = g_new0 (EqualizationSet, 1);
  self->n_layers = second != NULL ? 3 : 2;
  self->layers[0] = ht_layer_ref (ht_layer_link_get_from (first));
  self->layers[1] = ht_layer_ref (ht_layer_link_get_to (first));
  self->links[0] = ht_layer_link_ref (first);
  if (second != NULL)
    {
      self->layers[2] = ht_layer_ref (ht_layer_link_get_to (second));
      self->links[1] = ht_layer_link_ref (second);
    }
  return self;
}

static char *
describe_link (HtLayerLink *link)
{
  g_autofree char *from = ht_node_describe (ht_layer_get_node (ht_layer_link_get_from (link)));
  g_autofree char *to = ht_node_describe (ht_layer_get_node (ht_layer_link_get_to (link)));
  return g_strdup_printf ("%s to %s", from, to);
}

static const char *
why_unusable (HtCrossLayerEqualization *self, HtLayerLink *link)
{
  HtLayer *from = ht_layer_link_get_from (link), *to = ht_layer_link_get_to (link);
  if (ht_layer_is_weight_shared (from) || ht_layer_is_weight_shared (to))
    return "a weight is shared with another layer";
  if ((ht_layer_get_n_groups (from) > 1 && !ht_layer_is_depthwise (from))
      || (ht_layer_get_n_groups (to) > 1 && !ht_layer_is_depthwise (to)))
    return "a grouped layer that is not depthwise";
  if (self->relu6 == RELU6_SKIP && ht_layer_link_has_limits (link))
    return "a clamp stands between and relu6 is 'skip'";
  return NULL;
}

/* The links that may be used, by the node they leave. */
static GHashTable *
usable_links (HtCrossLayerEqualization *self, GPtrArray *links, HtPassContext *context)
{
  GHashTable *by_node = g_hash_table_new (NULL, NULL);
  for (guint i = 0; i < links->len; i++)
    {
      HtLayerLink *link = g_ptr_array_index (links, i);
      const char *reason = why_unusable (self, link);
      if (reason == NULL)
        g_hash_table_insert (by_node, ht_layer_get_node (ht_layer_link_get_from (link)), link);
      else if (context != NULL)
        {
          g_autofree char *subject = describe_link (link);
          ht_pass_context_skip (context, subject, reason);
        }
    }
  return by_node;
}

/* Sets in execution order: a triple around each depthwise layer that has full layers on both sides, else pairs. A layer
 * is the last of one set and the first of the next. */
static GPtrArray *
list_sets (GPtrArray *links, GHashTable *usable)
{
  GPtrArray *sets = g_ptr_array_new_with_free_func ((GDestroyNotify) equalization_set_free);
  g_autoptr (GHashTable) inside = g_hash_table_new (NULL, NULL); /* links that are the second half of a triple */
  for (guint i = 0; i < links->len; i++)
    {
      HtLayerLink *first = g_ptr_array_index (links, i), *second = NULL;
      HtLayer *middle = ht_layer_link_get_to (first);
      if (g_hash_table_lookup (usable, ht_layer_get_node (ht_layer_link_get_from (first))) != first
          || g_hash_table_contains (inside, first))
        continue;
      if (ht_layer_is_depthwise (middle) && !ht_layer_is_depthwise (ht_layer_link_get_from (first)))
        second = g_hash_table_lookup (usable, ht_layer_get_node (middle));
      if (second != NULL && ht_layer_is_depthwise (ht_layer_link_get_to (second)))
        second = NULL;
      if (second != NULL)
        g_hash_table_add (inside, second);
      g_ptr_array_add (sets, equalization_set_new (first, second));
    }
  return sets;
}

static double
largest (const double *values, gsize n)
{
  double result = 0;
  for (gsize i = 0; i < n; i++)
    result = fmax (result, values[i]);
  return result;
}

/* Factors s[l][c] by which the output of layer l is divided. With r the ranges, all of a set come to the geometric mean
 * p of r_l[c]: s_1 = r_1 / p, s_2 = s_1 r_2 / p (Nagel et al. 2019, equations 8 to 10; for two layers
 * s = r_1 / sqrt (r_1 r_2)). Channels that are dead in one of the layers keep a factor of 1. */
static gboolean
compute_factors (HtCrossLayerEqualization *self, EqualizationSet *set, double **factors, gsize *n_channels,
                 guint *n_dead, GError **error)
{
  double *ranges[3] = { NULL, NULL, NULL };
  double top[3] = { 0, 0, 0 };
  gboolean ok = TRUE;
  for (guint l = 0; l < set->n_layers && ok; l++)
    {
      ranges[l] = l == 0 ? ht_layer_get_output_ranges (set->layers[l], n_channels, error)
                         : ht_layer_get_input_ranges (set->layers[l], n_channels, error);
      ok = ranges[l] != NULL;
      if (ok)
        top[l] = largest (ranges[l], *n_channels);
    }
  for (guint l = 0; l + 1 < set->n_layers && ok; l++)
    factors[l] = g_new (double, *n_channels);
  for (gsize c = 0; ok && c < *n_channels; c++)
    {
      double product = 1, factor = 1;
      gboolean dead = FALSE;
      for (guint l = 0; l < set->n_layers; l++)
        {
          product *= ranges[l][c];
          dead |= !(ranges[l][c] > self->dead_threshold * top[l]);
        }
      double mean = set->n_layers == 2 ? sqrt (product) : cbrt (product);
      *n_dead += dead;
      for (guint l = 0; l + 1 < set->n_layers; l++)
        {
          factor *= ranges[l][c] / mean;
          factors[l][c] = dead || !isfinite (factor) || factor <= 0 ? 1 : factor;
        }
    }
  for (guint l = 0; l < 3; l++)
    g_free (ranges[l]);
  return ok;
}

/* One factor for each channel, moved from the layer that makes `tensor` to the next one. */
typedef struct
{
  char *tensor;
  double *factors;
  gsize n_channels;
} Move;

static void
move_free (Move *self)
{
  g_free (self->tensor);
  g_free (self->factors);
  g_free (self);
}

static double *
inverse (const double *values, gsize n)
{
  double *result = g_new (double, n);
  for (gsize i = 0; i < n; i++)
    result[i] = 1 / values[i];
  return result;
}

static gboolean
move_scale (HtLayerLink *link, const double *factors, gsize n, GError **error)
{
  g_autofree double *inverses = inverse (factors, n);
  return ht_layer_scale_outputs (ht_layer_link_get_from (link), inverses, n, error)
         && ht_layer_link_scale_limits (link, inverses, n, error)
         && ht_layer_scale_inputs (ht_layer_link_get_to (link), factors, n, error);
}

static double
spread (HtLayer *layer, double threshold, GError **error)
{
  gsize n;
  g_autofree double *ranges = ht_layer_get_output_ranges (layer, &n, error);
  if (ranges == NULL)
    return NAN;
  double top = largest (ranges, n), low = top;
  for (gsize i = 0; i < n; i++)
    if (ranges[i] > threshold * top)
      low = fmin (low, ranges[i]);
  return low > 0 ? top / low : 1;
}

static gboolean
equalize_set (HtCrossLayerEqualization *self, EqualizationSet *set, GPtrArray *moves,
              HtBatchnormStatistics *statistics, HtPassContext *context, GError **error)
{
  double *factors[2] = { NULL, NULL };
  gsize n = 0;
  guint n_dead = 0;
  double before = context != NULL ? spread (set->layers[0], self->dead_threshold, error) : 0;
  gboolean ok = compute_factors (self, set, factors, &n, &n_dead, error);
  for (guint l = 0; ok && l + 1 < set->n_layers; l++)
    {
      const char *tensor = ht_layer_get_output (set->layers[l]);
      ok = move_scale (set->links[l], factors[l], n, error);
      if (ok && statistics != NULL && ht_batchnorm_statistics_has (statistics, tensor))
        {
          g_autofree double *inverses = inverse (factors[l], n);
          ht_batchnorm_statistics_scale (statistics, tensor, inverses, n);
        }
      Move move = { g_strdup (tensor), g_steal_pointer (&factors[l]), n };
      g_ptr_array_add (moves, g_memdup2 (&move, sizeof move));
    }
  if (ok && context != NULL)
    {
      g_autofree char *subject = ht_node_describe (ht_layer_get_node (set->layers[0]));
      ht_pass_context_add_row (context, "sets", subject, "layers", set->n_layers);
      ht_pass_context_add_row (context, "sets", subject, "channels", (double) n);
      ht_pass_context_add_row (context, "sets", subject, "dead-channels", n_dead);
      ht_pass_context_add_row (context, "sets", subject, "range-ratio-before", before);
      ht_pass_context_add_row (context, "sets", subject, "range-ratio-after",
                               spread (set->layers[0], self->dead_threshold, error));
    }
  g_free (factors[0]);
  g_free (factors[1]);
  return ok;
}

static guint
replace_clamps (HtCrossLayerEqualization *self, GPtrArray *links, GHashTable *usable)
{
  guint n_replaced = 0;
  for (guint i = 0; self->relu6 == RELU6_REPLACE && i < links->len; i++)
    if (g_hash_table_lookup (usable, ht_layer_get_node (ht_layer_link_get_from (g_ptr_array_index (links, i)))) != NULL)
      n_replaced += ht_layer_link_drop_upper_limits (g_ptr_array_index (links, i));
  return n_replaced;
}

static gboolean
equalize_network (HtCrossLayerEqualization *self, HtGraph *graph, GPtrArray *moves, HtBatchnormStatistics *statistics,
                  HtPassContext *context, GError **error)
{
  g_autoptr (GPtrArray) links = ht_graph_list_layer_links (graph);
  g_autoptr (GHashTable) usable = usable_links (self, links, context);
  g_autoptr (GPtrArray) sets = list_sets (links, usable);
  guint n_replaced = replace_clamps (self, links, usable);
  for (guint sweep = 0; sweep < self->sweeps; sweep++)
    for (guint i = 0; i < sets->len; i++)
      if (!equalize_set (self, g_ptr_array_index (sets, i), moves, statistics, sweep == 0 ? context : NULL, error)
          || !ht_pass_context_progress (context, sweep * (guint64) sets->len + i + 1,
                                        self->sweeps * (guint64) sets->len, error))
        return FALSE;
  if (sets->len == 0)
    ht_pass_context_note (context, "network", "nothing to equalize: no two layers are linked by a rectifier alone");
  if (n_replaced > 0)
    {
      g_autofree char *text = g_strdup_printf (
          "%u clamps were replaced by Relu: the floating-point function changed; compare 'float' with "
          "'float-after-pipeline' in the report",
          n_replaced);
      ht_pass_context_note (context, "network", text);
    }
  return TRUE;
}

/* The reference network gets the very same factors: it must stay the teacher of the same channels. */
static gboolean
repeat_moves (HtCrossLayerEqualization *self, HtGraph *graph, GPtrArray *moves, GError **error)
{
  g_autoptr (GPtrArray) links = ht_graph_list_layer_links (graph);
  g_autoptr (GHashTable) usable = usable_links (self, links, NULL);
  g_autoptr (GHashTable) by_tensor = g_hash_table_new (g_str_hash, g_str_equal);
  replace_clamps (self, links, usable);
  for (guint i = 0; i < links->len; i++)
    {
      HtLayerLink *link = g_ptr_array_index (links, i);
      g_hash_table_insert (by_tensor, (gpointer) ht_layer_get_output (ht_layer_link_get_from (link)), link);
    }
  for (guint i = 0; i < moves->len; i++)
    {
      Move *move = g_ptr_array_index (moves, i);
      HtLayerLink *link = g_hash_table_lookup (by_tensor, move->tensor);
      if (link == NULL || ht_layer_get_n_output_channels (ht_layer_link_get_from (link)) != move->n_channels)
        {
          g_set_error (error, HT_ERROR, HT_ERROR_CONFLICT,
                       "tensor '%s' links two layers of the network but not of the reference network", move->tensor);
          return FALSE;
        }
      if (!move_scale (link, move->factors, move->n_channels, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
ht_cross_layer_equalization_run (HtPass *pass, HtModelState *state, HtPassContext *context, GError **error)
{
  HtCrossLayerEqualization *self = HT_CROSS_LAYER_EQUALIZATION (pass);
  GObject *known = ht_model_state_get_artifact (state, HT_ARTIFACT_BATCHNORM_STATISTICS);
  g_autoptr (HtBatchnormStatistics) statistics
      = HT_IS_BATCHNORM_STATISTICS (known) ? ht_batchnorm_statistics_copy (HT_BATCHNORM_STATISTICS (known)) : NULL;
  g_autoptr (GPtrArray) networks = ht_model_state_list_networks (state);
  g_autoptr (GPtrArray) moves = g_ptr_array_new_with_free_func ((GDestroyNotify) move_free);
  if (!equalize_network (self, g_ptr_array_index (networks, 0), moves, statistics, context, error))
    return FALSE;
  for (guint i = 1; i < networks->len; i++)
    if (!repeat_moves (self, g_ptr_array_index (networks, i), moves, error))
      return FALSE;
  if (statistics != NULL)
    ht_model_state_set_artifact (state, HT_ARTIFACT_BATCHNORM_STATISTICS, G_OBJECT (statistics));
  return TRUE;
}

static void
ht_cross_layer_equalization_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  HtCrossLayerEqualization *self = HT_CROSS_LAYER_EQUALIZATION (object);
  switch (id)
    {
    case PROP_RELU6:
      self->relu6 = (Relu6Handling) g_value_get_enum (value);
      break;
    case PROP_SWEEPS:
      self->sweeps = g_value_get_uint (value);
      break;
    case PROP_DEAD_THRESHOLD:
      self->dead_threshold = g_value_get_double (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
ht_cross_layer_equalization_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  HtCrossLayerEqualization *self = HT_CROSS_LAYER_EQUALIZATION (object);
  switch (id)
    {
    case PROP_RELU6:
      g_value_set_enum (value, self->relu6);
      break;
    case PROP_SWEEPS:
      g_value_set_uint (value, self->sweeps);
      break;
    case PROP_DEAD_THRESHOLD:
      g_value_set_double (value, self->dead_threshold);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
add_rules (HtPassClass *pass)
{
  ht_pass_class_add_rule (pass, HT_RULE_REQUIRES_NOT, HT_FACT_BATCHNORM_LIVE,
                          "a live batch norm undoes the factor; fold batch norms first", NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_REQUIRES_NOT, HT_FACT_WEIGHT_ENCODINGS_FIXED,
                          "equalization works on floating-point weights, before their grid is fixed", NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_PROVIDES, HT_FACT_EQUALIZED, "channel ranges of linked layers are balanced",
                          NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_EFFECT, "rescales-channels", "a factor moves from each layer to the next", NULL,
                          NULL);
  ht_pass_class_add_rule (pass, HT_RULE_EFFECT, "changes-weights", "weights are multiplied by channel factors", NULL,
                          NULL);
  ht_pass_class_add_rule (pass, HT_RULE_EFFECT, "changes-biases", "biases are multiplied by channel factors", NULL,
                          NULL);
  ht_pass_class_add_rule (pass, HT_RULE_EFFECT, "changes-topology", "clamps get limits for each channel", NULL,
                          "relu6 != skip");
}

static void
ht_cross_layer_equalization_class_init (HtCrossLayerEqualizationClass *klass)
{
  GObjectClass *object = G_OBJECT_CLASS (klass);
  HtPassClass *pass = HT_PASS_CLASS (klass);
  object->set_property = ht_cross_layer_equalization_set_property;
  object->get_property = ht_cross_layer_equalization_get_property;
  pass->run = ht_cross_layer_equalization_run;
  properties[PROP_RELU6] = g_param_spec_enum (
      "relu6", "ReLU6", "What to do with clamps between layers",
      relu6_handling_type, RELU6_EXACT, HT_PARAM_RW);
  properties[PROP_SWEEPS] = g_param_spec_uint ("sweeps", "Sweeps", "How often all sets are equalized in turn", 1, 1000,
                                               1, HT_PARAM_RW);
  properties[PROP_DEAD_THRESHOLD] = g_param_spec_double (
      "dead-threshold", "Dead threshold", "Channels below this part of the largest range are left out", 0, 0.5,
      1e-4, HT_PARAM_RW);
  g_object_class_install_properties (object, N_PROPERTIES, properties);
  ht_pass_class_set_info (
      pass, "cross-layer-equalization", "balance the channel ranges of successive layers",
      "Divides each output channel of a layer by a factor and multiplies the input channel of the next layer by it, so "
      "that the largest weights of the channel become equal in both (in all three around a depthwise layer). Between the "
      "layers only Relu, LeakyRelu, PRelu, Pad with zeros, pooling and clamps may stand. The function is preserved: the "
      "upper limit of a ReLU6 is carried along as a limit for each channel (relu6: exact). With relu6: replace, ReLU6 "
      "becomes Relu, which changes the floating-point function. Data free.");
  ht_pass_class_add_reference (pass, "Nagel et al., Data-Free Quantization Through Weight Equalization and Bias "
                                     "Correction, ICCV 2019, section 4.1, arXiv:1906.04721");
  add_rules (pass);
}

static void
ht_cross_layer_equalization_class_finalize (HtCrossLayerEqualizationClass *klass)
{
}

static void
ht_cross_layer_equalization_init (HtCrossLayerEqualization *self)
{
}

static void
register_relu6_handling (GTypeModule *module)
{
  static const GEnumValue values[] = { { RELU6_EXACT, "carry the limits along, channel by channel", "exact" },
                                       { RELU6_REPLACE, "replace by Relu", "replace" },
                                       { RELU6_SKIP, "leave layers around a clamp alone", "skip" },
                                       { 0, NULL, NULL } };
  relu6_handling_type = g_type_module_register_enum (module, "HtCrossLayerEqualizationRelu6", values);
}

static gboolean
register_types (GTypeModule *module, HtPlugin *plugin, GError **error)
{
  register_relu6_handling (module);
  ht_cross_layer_equalization_register_type (module);
  ht_plugin_add_pass (plugin, HT_TYPE_CROSS_LAYER_EQUALIZATION);
  return TRUE;
}

HT_PLUGIN_DEFINE ("cross-layer-equalization", HT_VERSION_S, "MIT", "Cross-layer equalization", "The Halftone authors",
                  "halftone", NULL, register_types, "HtCrossLayerEqualization", "HtCrossLayerEqualizationRelu6")
