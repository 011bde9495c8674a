/* SPDX-License-Identifier: MIT */
/* Batch-norm folding: a batch norm in inference is an affine map of each channel; a layer beside it can take it over. */
#include <halftone/halftone.h>

#include <math.h>

#define HT_TYPE_BATCHNORM_FOLDING (ht_batchnorm_folding_get_type ())
G_DECLARE_FINAL_TYPE (HtBatchnormFolding, ht_batchnorm_folding, HT, BATCHNORM_FOLDING, HtPass)

struct _HtBatchnormFolding
{
  HtPass parent_instance;
};

G_DEFINE_DYNAMIC_TYPE (HtBatchnormFolding, ht_batchnorm_folding, HT_TYPE_PASS)

/* y = factor * x + shift for each channel, and what the batch norm says of its own output. */
typedef struct
{
  gsize n_channels;
  double *factors, *shifts;
  double *means, *deviations;
} Affine;

static void
affine_free (Affine *self)
{
  g_free (self->factors);
  g_free (self->shifts);
  g_free (self->means);
  g_free (self->deviations);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Affine, affine_free)

/* Reads parameter `index` of a batch norm; NULL with the reason where it is no constant of the right length. */
static double *
read_parameter (HtGraph *graph, HtNode *node, guint index, gsize *n_values, const char **reason)
{
  g_autoptr (HtTensor) tensor = ht_graph_get_constant (graph, ht_node_get_input (node, index));
  if (tensor == NULL || ht_tensor_get_n_dims (tensor) != 1 || ht_tensor_get_n_elements (tensor) == 0
      || (*n_values != 0 && ht_tensor_get_n_elements (tensor) != *n_values))
    {
      *reason = "its parameters are not constants of one value for each channel";
      return NULL;
    }
  *n_values = ht_tensor_get_n_elements (tensor);
  double *values = g_new (double, *n_values);
  for (gsize i = 0; i < *n_values; i++)
    values[i] = ht_tensor_get_double (tensor, i);
  return values;
}

static Affine *
read_affine (HtGraph *graph, HtNode *node, const char **reason)
{
  *reason = NULL;
  if (ht_node_get_n_inputs (node) != 5)
    *reason = "it does not have its five inputs";
  else if (ht_node_get_int (node, "training_mode", 0) != 0)
    *reason = "it is in training mode";
  else if (ht_node_get_int (node, "spatial", 1) == 0)
    *reason = "it normalizes each position by itself (spatial = 0)";
  for (guint i = 1; *reason == NULL && i < ht_node_get_n_outputs (node); i++)
    if (ht_graph_count_uses (graph, ht_node_get_output (node, i)) > 0)
      *reason = "its statistics are outputs that are read";
  if (*reason != NULL)
    return NULL;
  gsize n = 0;
  double epsilon = ht_node_get_float (node, "epsilon", 1e-5);
  g_autofree double *gamma = read_parameter (graph, node, 1, &n, reason);
  g_autofree double *beta = gamma != NULL ? read_parameter (graph, node, 2, &n, reason) : NULL;
  g_autofree double *mean = beta != NULL ? read_parameter (graph, node, 3, &n, reason) : NULL;
  g_autofree double *variance = mean != NULL ? read_parameter (graph, node, 4, &n, reason) : NULL;
  if (variance == NULL)
    return NULL;
  g_autoptr (Affine) self = g_new0 (Affine, 1);
  self->n_channels = n;
  self->factors = g_new (double, n);
  self->shifts = g_new (double, n);
  self->deviations = g_new (double, n);
  self->means = g_steal_pointer (&beta);
  for (gsize i = 0; i < n; i++)
    {
      self->factors[i] = gamma[i] / sqrt (variance[i] + epsilon);
      self->shifts[i] = self->means[i] - mean[i] * self->factors[i];
      self->deviations[i] = fabs (gamma[i]);
      if (!isfinite (self->factors[i]) || !isfinite (self->shifts[i]))
        {
          *reason = "a channel's variance is not positive or a parameter is not finite";
          return NULL;
        }
    }
  return g_steal_pointer (&self);
}

/* What one network's folding needs at hand. */
typedef struct
{
  HtGraph *graph;
  HtPassContext *context;            /* NULL while folding the reference network: it is reported once */
  HtBatchnormStatistics *statistics; /* NULL likewise */
} Folding;

static void
note (Folding *self, HtNode *batchnorm, HtLayer *layer, const char *how)
{
  if (self->context == NULL)
    return;
  g_autofree char *subject = ht_node_describe (batchnorm);
  g_autofree char *into = ht_node_describe (ht_layer_get_node (layer));
  g_autofree char *text = g_strdup_printf ("folded %s %s", how, into);
  ht_pass_context_note (self->context, subject, text);
}

static gboolean
has_rank_two (HtGraph *graph, const char *tensor)
{
  HtShape *shape = ht_graph_get_shape (graph, tensor);
  return shape != NULL && ht_shape_get_n_dims (shape) == 2;
}

static gboolean
is_dense (HtLayer *layer)
{
  return ht_layer_get_kind (layer) == HT_LAYER_GEMM || ht_layer_get_kind (layer) == HT_LAYER_MATMUL;
}

/* Takes the batch norm out. Its output keeps its name where the graph promises it. */
static char *
remove_batchnorm (HtGraph *graph, HtNode *batchnorm)
{
  g_autofree char *input = g_strdup (ht_node_get_input (batchnorm, 0));
  g_autofree char *output = g_strdup (ht_node_get_output (batchnorm, 0));
  gboolean keeps_name = ht_graph_is_output (graph, output);
  ht_graph_bypass_node (graph, batchnorm);
  return keeps_name ? g_steal_pointer (&output) : g_steal_pointer (&input);
}

/* The layer whose only reader is this batch norm. */
static HtLayer *
layer_before (HtGraph *graph, HtNode *batchnorm, const char **reason)
{
  const char *input = ht_node_get_input (batchnorm, 0);
  g_autoptr (HtLayer) found = ht_graph_find_layer (graph, input);
  if (found == NULL)
    *reason = "no layer with a constant weight stands before it";
  else if (ht_graph_is_output (graph, input))
    *reason = "the output of the layer before it is a graph output";
  else if (ht_graph_count_uses (graph, input) != 1)
    *reason = "the output of the layer before it is read elsewhere too";
  else if (is_dense (found) && !has_rank_two (graph, input))
    *reason = "the product before it has its channels on the last axis, not on axis 1";
  return *reason == NULL ? g_steal_pointer (&found) : NULL;
}

/* Layer -> batch norm: W'[o] = k[o] W[o], b'[o] = beta[o] + k[o] (b[o] - mu[o]). */
static gboolean
fold_backward (Folding *self, HtNode *batchnorm, Affine *affine, gboolean *done, const char **reason, GError **error)
{
  g_autoptr (HtLayer) layer = layer_before (self->graph, batchnorm, reason);
  gsize n;
  if (layer == NULL)
    return TRUE;
  if (ht_layer_get_n_output_channels (layer) != affine->n_channels)
    {
      *reason = "it has another number of channels than the layer before it";
      return TRUE;
    }
  g_autofree double *bias = ht_layer_get_bias_values (layer, &n, error);
  if (bias == NULL)
    {
      g_clear_error (error);
      *reason = "the bias of the layer before it is not one constant for each channel";
      return TRUE;
    }
  for (gsize i = 0; i < n; i++)
    bias[i] = affine->shifts[i] + affine->factors[i] * bias[i];
  if (!ht_layer_scale_outputs (layer, affine->factors, n, error)
      || !ht_layer_set_bias_values (layer, bias, n, error))
    return FALSE;
  note (self, batchnorm, layer, "into");
  g_autofree char *tensor = remove_batchnorm (self->graph, batchnorm);
  if (self->statistics != NULL)
    ht_batchnorm_statistics_set (self->statistics, tensor, affine->means, affine->deviations, n);
  *done = TRUE;
  return TRUE;
}

/* The number of values that `reshape` makes of each channel when it flattens [N, C, ...] to [N, C * ...]; 0 if it does
 * something else. */
static gsize
flattened_positions (HtGraph *graph, HtNode *reshape, gsize n_channels)
{
  HtShape *before = ht_graph_get_shape (graph, ht_node_get_input (reshape, 0));
  HtShape *after = ht_graph_get_shape (graph, ht_node_get_output (reshape, 0));
  gint64 n_values = 1;
  if (before == NULL || after == NULL || ht_shape_get_n_dims (before) < 2 || ht_shape_get_n_dims (after) != 2)
    return 0;
  for (guint i = 1; i < ht_shape_get_n_dims (before); i++)
    {
      if (ht_shape_get_dim (before, i) <= 0)
        return 0;
      n_values *= ht_shape_get_dim (before, i);
    }
  gboolean same = ht_shape_get_dim (before, 1) == (gint64) n_channels && ht_shape_get_dim (after, 1) == n_values;
  return same ? (gsize) n_values / n_channels : 0;
}

/* The layer that is the only reader of the batch norm, directly or through a flattening. */
static HtLayer *
layer_after (HtGraph *graph, HtNode *batchnorm, gsize n_channels, gsize *n_positions, const char **reason)
{
  const char *tensor = ht_node_get_output (batchnorm, 0);
  *n_positions = 1;
  for (;;)
    {
      g_autoptr (GPtrArray) consumers = ht_graph_list_consumers (graph, tensor);
      if (ht_graph_is_output (graph, tensor) || ht_graph_count_uses (graph, tensor) != 1 || consumers->len != 1)
        {
          *reason = "no layer can take it over: its output is read elsewhere too";
          return NULL;
        }
      HtNode *node = g_ptr_array_index (consumers, 0);
      g_autoptr (HtLayer) layer = ht_layer_new (graph, node);
      if (layer != NULL && g_str_equal (ht_layer_get_input (layer), tensor))
        return g_steal_pointer (&layer);
      gboolean flattens = ht_node_is_op (node, "Flatten") || ht_node_is_op (node, "Reshape");
      gsize n = flattens && *n_positions == 1 ? flattened_positions (graph, node, n_channels) : 0;
      if (n == 0)
        {
          *reason = "no layer with a constant weight stands before or after it";
          return NULL;
        }
      *n_positions = n;
      tensor = ht_node_get_output (node, 0);
    }
}

static double *
repeat_each (const double *values, gsize n, gsize times)
{
  double *repeated = g_new (double, n * times);
  for (gsize i = 0; i < n * times; i++)
    repeated[i] = values[i / times];
  return repeated;
}

static gboolean
forward_is_legal (HtGraph *graph, HtLayer *layer, Affine *affine, gsize n_positions, const char **reason)
{
  gboolean shifts = FALSE;
  for (gsize i = 0; i < affine->n_channels; i++)
    shifts |= affine->shifts[i] != 0;
  if (ht_layer_get_kind (layer) == HT_LAYER_CONV_TRANSPOSE)
    *reason = "a shift does not pass the ConvTranspose behind it as a constant";
  else if (shifts && ht_layer_has_padding (layer))
    *reason = "the convolution behind it pads, so that its shift does not reach the borders";
  else if (is_dense (layer) && !has_rank_two (graph, ht_layer_get_input (layer)))
    *reason = "the product behind it reads the last axis, not axis 1";
  else if (ht_layer_get_n_input_channels (layer) != affine->n_channels * n_positions)
    *reason = "the layer behind it reads another number of channels";
  return *reason == NULL;
}

/* Batch norm -> layer: W'[:,i] = k[i] W[:,i], b' = b + sum_i (sum_kernel W[:,i]) shift[i] with the original W. */
static gboolean
fold_forward (Folding *self, HtNode *batchnorm, Affine *affine, gboolean *done, const char **reason, GError **error)
{
  gsize n_positions, n_bias, n_outputs;
  g_autoptr (HtLayer) layer = layer_after (self->graph, batchnorm, affine->n_channels, &n_positions, reason);
  if (layer == NULL || !forward_is_legal (self->graph, layer, affine, n_positions, reason))
    return TRUE;
  gsize n = affine->n_channels * n_positions;
  g_autofree double *factors = repeat_each (affine->factors, affine->n_channels, n_positions);
  g_autofree double *shifts = repeat_each (affine->shifts, affine->n_channels, n_positions);
  g_autofree double *bias = ht_layer_get_bias_values (layer, &n_bias, error);
  if (bias == NULL)
    {
      g_clear_error (error);
      *reason = "the bias of the layer behind it is not one constant for each channel";
      return TRUE;
    }
  g_autofree double *added = ht_layer_propagate_shift (layer, shifts, n, &n_outputs, error);
  if (added == NULL)
    return FALSE;
  for (gsize i = 0; i < n_outputs; i++)
    bias[i] += added[i];
  if (!ht_layer_scale_inputs (layer, factors, n, error) || !ht_layer_set_bias_values (layer, bias, n_outputs, error))
    return FALSE;
  note (self, batchnorm, layer, "forward into");
  g_free (remove_batchnorm (self->graph, batchnorm));
  *done = TRUE;
  return TRUE;
}

static gboolean
set_parameter (HtGraph *graph, HtNode *node, guint index, const char *what, const double *values, gsize n,
               GError **error)
{
  g_autoptr (HtTensor) old = ht_graph_get_constant (graph, ht_node_get_input (node, index));
  gint64 dims[] = { (gint64) n };
  g_autoptr (HtTensor) wide = ht_tensor_new (HT_DATA_TYPE_DOUBLE, dims, 1, error);
  if (wide == NULL)
    return FALSE;
  for (gsize i = 0; i < n; i++)
    ((double *) ht_tensor_get_writable_data (wide))[i] = values[i];
  g_autoptr (HtTensor) tensor = ht_tensor_cast (wide, ht_tensor_get_data_type (old), error);
  if (tensor == NULL)
    return FALSE;
  g_autofree char *stem = g_strdup_printf ("%s.%s", ht_node_get_output (node, 0), what);
  g_autofree char *name = ht_graph_make_name (graph, stem);
  ht_graph_set_initializer (graph, name, tensor);
  ht_graph_set_node_input (graph, node, index, name);
  return TRUE;
}

/* A batch norm that stays becomes the scale and shift that it is: mean 0, variance 1, epsilon 0. */
static gboolean
rewrite_as_affine (Folding *self, HtNode *node, Affine *affine, GError **error)
{
  gsize n = affine->n_channels;
  g_autofree double *zeros = g_new0 (double, n);
  g_autofree double *ones = g_new (double, n);
  for (gsize i = 0; i < n; i++)
    ones[i] = 1;
  if (!set_parameter (self->graph, node, 1, "scale", affine->factors, n, error)
      || !set_parameter (self->graph, node, 2, "shift", affine->shifts, n, error)
      || !set_parameter (self->graph, node, 3, "mean", zeros, n, error)
      || !set_parameter (self->graph, node, 4, "variance", ones, n, error))
    return FALSE;
  ht_graph_set_float (self->graph, node, "epsilon", 0);
  if (self->statistics != NULL)
    ht_batchnorm_statistics_set (self->statistics, ht_node_get_output (node, 0), affine->means, affine->deviations, n);
  return TRUE;
}

static GPtrArray *
list_batchnorms (HtGraph *graph)
{
  GPtrArray *nodes = g_ptr_array_new_with_free_func ((GDestroyNotify) ht_node_unref);
  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    if (ht_node_is_op (ht_graph_get_node (graph, i), "BatchNormalization"))
      g_ptr_array_add (nodes, ht_node_ref (ht_graph_get_node (graph, i)));
  return nodes;
}

static void
report_kept (Folding *self, HtNode *node, gboolean rewritten, const char *why_not_before, const char *why_not_after)
{
  if (self->context == NULL)
    return;
  g_autofree char *subject = ht_node_describe (node);
  g_autofree char *text = g_strdup_printf ("%s; %s%s", why_not_before, why_not_after ? why_not_after : "not foldable",
                                           rewritten ? "; kept as a scale and shift" : "; left as it is");
  ht_pass_context_skip (self->context, subject, text);
}

/* Folds all that can be folded: backward first, since it needs no extra condition on padding, then forward. */
static gboolean
fold_network (Folding *self, GError **error)
{
  g_autoptr (GPtrArray) nodes = list_batchnorms (self->graph);
  g_autoptr (GPtrArray) left = g_ptr_array_new ();
  g_autoptr (GHashTable) why_not = g_hash_table_new (NULL, NULL);
  if (!ht_graph_infer_shapes (self->graph, error))
    return FALSE;
  for (guint i = 0; i < nodes->len; i++)
    {
      HtNode *node = g_ptr_array_index (nodes, i);
      const char *reason = NULL;
      gboolean done = FALSE;
      g_autoptr (Affine) affine = read_affine (self->graph, node, &reason);
      if (affine != NULL && !fold_backward (self, node, affine, &done, &reason, error))
        return FALSE;
      if (done)
        continue;
      g_hash_table_insert (why_not, node, (gpointer) reason);
      if (affine != NULL)
        g_ptr_array_add (left, node);
      else
        report_kept (self, node, FALSE, "cannot be folded", reason);
    }
  for (guint i = 0; i < left->len; i++)
    {
      HtNode *node = g_ptr_array_index (left, i);
      const char *reason = NULL;
      gboolean done = FALSE;
      g_autoptr (Affine) affine = read_affine (self->graph, node, &reason);
      if (!fold_forward (self, node, affine, &done, &reason, error))
        return FALSE;
      if (done)
        continue;
      if (!rewrite_as_affine (self, node, affine, error))
        return FALSE;
      report_kept (self, node, TRUE, g_hash_table_lookup (why_not, node), reason);
    }
  return TRUE;
}

static gboolean
ht_batchnorm_folding_run (HtPass *pass, HtModelState *state, HtPassContext *context, GError **error)
{
  g_autoptr (GPtrArray) networks = ht_model_state_list_networks (state);
  g_autoptr (HtBatchnormStatistics) statistics = NULL;
  GObject *known = ht_model_state_get_artifact (state, HT_ARTIFACT_BATCHNORM_STATISTICS);
  statistics = HT_IS_BATCHNORM_STATISTICS (known) ? ht_batchnorm_statistics_copy (HT_BATCHNORM_STATISTICS (known))
                                                  : ht_batchnorm_statistics_new ();
  for (guint i = 0; i < networks->len; i++)
    {
      Folding folding = { g_ptr_array_index (networks, i), i == 0 ? context : NULL, i == 0 ? statistics : NULL };
      if (!fold_network (&folding, error) || !ht_pass_context_progress (context, i + 1, networks->len, error))
        return FALSE;
    }
  ht_model_state_set_artifact (state, HT_ARTIFACT_BATCHNORM_STATISTICS, G_OBJECT (statistics));
  return TRUE;
}

static void
ht_batchnorm_folding_class_init (HtBatchnormFoldingClass *klass)
{
  HtPassClass *pass = HT_PASS_CLASS (klass);
  pass->run = ht_batchnorm_folding_run;
  ht_pass_class_set_info (
      pass, "batchnorm-folding", "fold batch norms into the layers beside them",
      "A batch norm in inference multiplies and shifts each channel. The convolution or product before it can take both "
      "over (always), or the one behind it (where no padding keeps the shift from the borders). The function is "
      "preserved. The mean and deviation that each batch norm promised are kept as the artifact batchnorm-statistics. "
      "A batch norm that no layer can take over is kept as a scale and shift, and listed with the reason.");
  ht_pass_class_add_reference (pass, "Jacob et al., Quantization and Training of Neural Networks for Efficient "
                                     "Integer-Arithmetic-Only Inference, CVPR 2018, section 3.2, arXiv:1712.05877");
  ht_pass_class_add_rule (pass, HT_RULE_ENDS, HT_FACT_BATCHNORM_LIVE, "its batch norms become part of other layers",
                          NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_PROVIDES, HT_FACT_BATCHNORM_STATISTICS,
                          "mean and deviation of each folded batch norm are kept", NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_REQUIRES_NOT, HT_FACT_WEIGHT_ENCODINGS_FIXED,
                          "folding moves weights off a grid that is already fixed", NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_EFFECT, "changes-weights", "weights are multiplied by the batch norm's factor",
                          NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_EFFECT, "changes-biases", "biases take the batch norm's shift", NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_EFFECT, "changes-topology", "batch-norm nodes are removed", NULL, NULL);
}

static void
ht_batchnorm_folding_class_finalize (HtBatchnormFoldingClass *klass)
{
}

static void
ht_batchnorm_folding_init (HtBatchnormFolding *self)
{
}

static gboolean
register_types (GTypeModule *module, HtPlugin *plugin, GError **error)
{
  ht_batchnorm_folding_register_type (module);
  ht_plugin_add_pass (plugin, HT_TYPE_BATCHNORM_FOLDING);
  return TRUE;
}

HT_PLUGIN_DEFINE ("batchnorm-folding", HT_VERSION_S, "MIT", "Batch-norm folding", "The Halftone authors", "halftone",
                  NULL, register_types, "HtBatchnormFolding")
