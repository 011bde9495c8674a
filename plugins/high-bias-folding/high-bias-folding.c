/* SPDX-License-Identifier: MIT */
/* High-bias folding (bias absorption): the part of a channel's pre-activation that a Relu almost never cuts off moves
 * from the bias of one layer to the bias of the next, so that the activation needs a smaller range. */
#include <halftone/halftone.h>

#include <math.h>

typedef enum
{
  PADDED_ABSORB,
  PADDED_SKIP,
} PaddedHandling;

static GType padded_handling_type;

#define HT_TYPE_HIGH_BIAS_FOLDING (ht_high_bias_folding_get_type ())
G_DECLARE_FINAL_TYPE (HtHighBiasFolding, ht_high_bias_folding, HT, HIGH_BIAS_FOLDING, HtPass)

struct _HtHighBiasFolding
{
  HtPass parent_instance;
  double deviations;
  PaddedHandling padded;
};

enum
{
  PROP_0,
  PROP_DEVIATIONS,
  PROP_PADDED,
  N_PROPERTIES
};

static GParamSpec *properties[N_PROPERTIES];

G_DEFINE_DYNAMIC_TYPE (HtHighBiasFolding, ht_high_bias_folding, HT_TYPE_PASS)

static const char *
why_unusable (HtHighBiasFolding *self, HtLayerLink *link, HtBatchnormStatistics *statistics)
{
  HtLayer *from = ht_layer_link_get_from (link), *to = ht_layer_link_get_to (link);
  if (!ht_batchnorm_statistics_has (statistics, ht_layer_get_output (from)))
    return "no batch norm was folded into the first layer";
  if (ht_layer_get_bias (from) == NULL || ht_layer_get_bias (to) == NULL)
    return "one of the two layers has no bias";
  if (ht_layer_get_kind (to) == HT_LAYER_CONV_TRANSPOSE)
    return "a shift does not pass a ConvTranspose as a constant";
  if (ht_layer_is_weight_shared (from) || ht_layer_is_weight_shared (to))
    return "a weight is shared with another layer";
  if (self->padded == PADDED_SKIP && ht_layer_link_has_padding (link))
    return "the second layer sees padding and padded is 'skip'";
  return NULL;
}

/* What each channel can give away: everything between linear layers; behind a rectifier max (0, mean - k deviation), and
 * never up to a clamp's upper limit (Nagel et al. 2019, section 4.1.3). */
static double *
compute_shifts (HtHighBiasFolding *self, HtLayerLink *link, HtBatchnormStatistics *statistics, guint *n_shifted)
{
  const char *tensor = ht_layer_get_output (ht_layer_link_get_from (link));
  gsize n, n_limits;
  const double *means = ht_batchnorm_statistics_get_means (statistics, tensor, &n);
  const double *deviations = ht_batchnorm_statistics_get_deviations (statistics, tensor, &n);
  g_autofree double *limits = ht_layer_link_get_upper_limits (link, &n_limits);
  double *shifts = g_new (double, n);
  gboolean linear = ht_layer_link_is_linear (link);
  for (gsize c = 0; c < n; c++)
    {
      shifts[c] = linear ? means[c] : fmax (0, means[c] - self->deviations * deviations[c]);
      if (!isfinite (shifts[c]) || shifts[c] >= limits[c])
        shifts[c] = 0;
      *n_shifted += shifts[c] != 0;
    }
  return shifts;
}

/* b1 -= c, b2 += sum_i (sum_kernel W2[:,i]) c_i */
static gboolean
move_bias (HtLayerLink *link, const double *shifts, GError **error)
{
  HtLayer *from = ht_layer_link_get_from (link), *to = ht_layer_link_get_to (link);
  gsize n_from, n_to, n_added;
  g_autofree double *first = ht_layer_get_bias_values (from, &n_from, error);
  g_autofree double *second = first != NULL ? ht_layer_get_bias_values (to, &n_to, error) : NULL;
  g_autofree double *added
      = second != NULL ? ht_layer_propagate_shift (to, shifts, n_from, &n_added, error) : NULL;
  if (added == NULL)
    return FALSE;
  for (gsize i = 0; i < n_from; i++)
    first[i] -= shifts[i];
  for (gsize i = 0; i < n_to; i++)
    second[i] += added[i];
  return ht_layer_set_bias_values (from, first, n_from, error) && ht_layer_set_bias_values (to, second, n_to, error)
         && ht_layer_link_shift_limits (link, shifts, n_from, error);
}

static HtLayerLink *
find_link (GPtrArray *links, const char *tensor)
{
  for (guint i = 0; i < links->len; i++)
    if (g_str_equal (ht_layer_get_output (ht_layer_link_get_from (g_ptr_array_index (links, i))), tensor))
      return g_ptr_array_index (links, i);
  return NULL;
}

/* The same shift on the same tensor of every network of the state. */
static gboolean
fold_link (HtLayerLink *link, GPtrArray *other_networks_links, const double *shifts, GError **error)
{
  const char *tensor = ht_layer_get_output (ht_layer_link_get_from (link));
  for (guint i = 0; i < other_networks_links->len; i++)
    {
      HtLayerLink *twin = find_link (g_ptr_array_index (other_networks_links, i), tensor);
      if (twin == NULL)
        {
          g_set_error (error, HT_ERROR, HT_ERROR_CONFLICT,
                       "tensor '%s' links two layers of the network but not of the reference network", tensor);
          return FALSE;
        }
      if (!move_bias (twin, shifts, error))
        return FALSE;
    }
  return move_bias (link, shifts, error);
}

static void
report (HtLayerLink *link, const double *shifts, guint n_shifted, HtPassContext *context)
{
  g_autofree char *subject = ht_node_describe (ht_layer_get_node (ht_layer_link_get_from (link)));
  double top = 0;
  for (guint c = 0; c < ht_layer_get_n_output_channels (ht_layer_link_get_from (link)); c++)
    top = fmax (top, fabs (shifts[c]));
  ht_pass_context_add_row (context, "pairs", subject, "channels-shifted", n_shifted);
  ht_pass_context_add_row (context, "pairs", subject, "largest-shift", top);
  if (n_shifted > 0 && ht_layer_link_has_padding (link))
    ht_pass_context_note (context, subject, "the next layer pads with zeros: approximate at the borders");
}

static gboolean
ht_high_bias_folding_run (HtPass *pass, HtModelState *state, HtPassContext *context, GError **error)
{
  HtHighBiasFolding *self = HT_HIGH_BIAS_FOLDING (pass);
  GObject *known = ht_model_state_get_artifact (state, HT_ARTIFACT_BATCHNORM_STATISTICS);
  if (!HT_IS_BATCHNORM_STATISTICS (known))
    {
      g_set_error_literal (error, HT_ERROR, HT_ERROR_NOT_FOUND,
                           "the artifact 'batchnorm-statistics' is missing: run a step that folds batch norms before");
      return FALSE;
    }
  g_autoptr (HtBatchnormStatistics) statistics = ht_batchnorm_statistics_copy (HT_BATCHNORM_STATISTICS (known));
  g_autoptr (GPtrArray) networks = ht_model_state_list_networks (state);
  g_autoptr (GPtrArray) others = g_ptr_array_new_with_free_func ((GDestroyNotify) g_ptr_array_unref);
  g_autoptr (GPtrArray) links = ht_graph_list_layer_links (g_ptr_array_index (networks, 0));
  for (guint i = 1; i < networks->len; i++)
    g_ptr_array_add (others, ht_graph_list_layer_links (g_ptr_array_index (networks, i)));
  for (guint i = 0; i < links->len; i++)
    {
      HtLayerLink *link = g_ptr_array_index (links, i);
      HtLayer *from = ht_layer_link_get_from (link);
      const char *reason = why_unusable (self, link, statistics);
      guint n_shifted = 0;
      if (!ht_pass_context_progress (context, i, links->len, error))
        return FALSE;
      if (reason != NULL)
        {
          g_autofree char *subject = ht_node_describe (ht_layer_get_node (from));
          ht_pass_context_skip (context, subject, reason);
          continue;
        }
      g_autofree double *shifts = compute_shifts (self, link, statistics, &n_shifted);
      if (n_shifted > 0 && !fold_link (link, others, shifts, error))
        return FALSE;
      report (link, shifts, n_shifted, context);
      if (n_shifted > 0)
        {
          for (guint c = 0; c < ht_layer_get_n_output_channels (from); c++)
            shifts[c] = -shifts[c];
          ht_batchnorm_statistics_shift (statistics, ht_layer_get_output (from), shifts,
                                         ht_layer_get_n_output_channels (from));
        }
    }
  ht_model_state_set_artifact (state, HT_ARTIFACT_BATCHNORM_STATISTICS, G_OBJECT (statistics));
  return TRUE;
}

static void
ht_high_bias_folding_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  HtHighBiasFolding *self = HT_HIGH_BIAS_FOLDING (object);
  switch (id)
    {
    case PROP_DEVIATIONS:
      self->deviations = g_value_get_double (value);
      break;
    case PROP_PADDED:
      self->padded = (PaddedHandling) g_value_get_enum (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
ht_high_bias_folding_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  HtHighBiasFolding *self = HT_HIGH_BIAS_FOLDING (object);
  switch (id)
    {
    case PROP_DEVIATIONS:
      g_value_set_double (value, self->deviations);
      break;
    case PROP_PADDED:
      g_value_set_enum (value, self->padded);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
ht_high_bias_folding_class_init (HtHighBiasFoldingClass *klass)
{
  GObjectClass *object = G_OBJECT_CLASS (klass);
  HtPassClass *pass = HT_PASS_CLASS (klass);
  object->set_property = ht_high_bias_folding_set_property;
  object->get_property = ht_high_bias_folding_get_property;
  pass->run = ht_high_bias_folding_run;
  properties[PROP_DEVIATIONS] = g_param_spec_double (
      "deviations", "Deviations", "How many deviations below its mean a channel counts as never cut off", 0, 10, 3,
      HT_PARAM_RW);
  properties[PROP_PADDED] = g_param_spec_enum (
      "padded", "Padded layers", "Whether a layer that pads with zeros may take over a bias",
      padded_handling_type, PADDED_ABSORB, HT_PARAM_RW);
  g_object_class_install_properties (object, N_PROPERTIES, properties);
  ht_pass_class_set_info (
      pass, "high-bias-folding", "move high biases to the next layer",
      "A channel whose batch norm promised a mean of beta and a deviation of gamma is above beta - 3 gamma almost "
      "always, so that a Relu leaves that part through. It moves to the bias of the next layer, and the activation "
      "between needs a smaller range. Exact where the promise holds and the next layer sees no padding.");
  ht_pass_class_add_reference (pass, "Nagel et al., Data-Free Quantization Through Weight Equalization and Bias "
                                     "Correction, ICCV 2019, section 4.1.3, arXiv:1906.04721");
  ht_pass_class_add_rule (pass, HT_RULE_REQUIRES, HT_FACT_EQUALIZED,
                          "equalization makes the high biases that are to be moved", NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_REQUIRES, HT_FACT_BATCHNORM_STATISTICS,
                          "the mean and deviation of each channel say how much can move", NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_EFFECT, "changes-biases", "biases move to the next layer", NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_EFFECT, "changes-topology", "clamps get limits for each channel", NULL, NULL);
}

static void
ht_high_bias_folding_class_finalize (HtHighBiasFoldingClass *klass)
{
}

static void
ht_high_bias_folding_init (HtHighBiasFolding *self)
{
}

static gboolean
register_types (GTypeModule *module, HtPlugin *plugin, GError **error)
{
  static const GEnumValue values[] = { { PADDED_ABSORB, "take the bias over, approximate at borders", "absorb" },
                                       { PADDED_SKIP, "leave such layers alone", "skip" },
                                       { 0, NULL, NULL } };
  padded_handling_type = g_type_module_register_enum (module, "HtHighBiasFoldingPadded", values);
  ht_high_bias_folding_register_type (module);
  ht_plugin_add_pass (plugin, HT_TYPE_HIGH_BIAS_FOLDING);
  return TRUE;
}

HT_PLUGIN_DEFINE ("high-bias-folding", HT_VERSION_S, "MIT", "High-bias folding", "The Halftone authors", "halftone",
                  NULL, register_types, "HtHighBiasFolding", "HtHighBiasFoldingPadded")
