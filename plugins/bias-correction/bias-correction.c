/* SPDX-License-Identifier: MIT */
/* Bias correction: what rounding the weights of a layer adds to the mean of its output is taken off its bias. */
#include "expectation.h"

#include <math.h>

#define TABLE "layers"
/* Output positions that are enough for means and errors. */
#define MAX_POSITIONS 65536

typedef enum
{
  METHOD_EMPIRICAL,
  METHOD_ANALYTIC,
  METHOD_HYBRID,
} Method;

static GType method_type;

#define HT_TYPE_BIAS_CORRECTION (ht_bias_correction_get_type ())
G_DECLARE_FINAL_TYPE (HtBiasCorrection, ht_bias_correction, HT, BIAS_CORRECTION, HtPass)

struct _HtBiasCorrection
{
  HtPass parent_instance;
  Method method;
  guint samples;
  HtSweepInput input;
};

enum
{
  PROP_0,
  PROP_METHOD,
  PROP_SAMPLES,
  PROP_INPUT,
  N_PROPERTIES
};

static GParamSpec *properties[N_PROPERTIES];

G_DEFINE_DYNAMIC_TYPE (HtBiasCorrection, ht_bias_correction, HT_TYPE_PASS)

/* One layer at work. */
typedef struct
{
  HtPassContext *context;
  HtLayer *layer;
  char *subject;
  gsize n_outputs, n_columns;
  double *exact, *rounded; /* the weight as [outputs, columns], as it is and on its grid */
} Task;

static void
task_clear (Task *self)
{
  g_free (self->subject);
  g_free (self->exact);
  g_free (self->rounded);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Task, task_clear)

static double *
read_matrix (HtLayer *layer, HtTensor *weight, gsize *n_columns, GError **error)
{
  g_autoptr (HtTensor) matrix = ht_layer_arrange_matrix (layer, weight, error);
  if (matrix == NULL)
    return NULL;
  gsize n = ht_tensor_get_n_elements (matrix);
  double *values = g_new (double, n);
  for (gsize i = 0; i < n; i++)
    values[i] = ht_tensor_get_double (matrix, i);
  *n_columns = (gsize)ht_tensor_get_dim (matrix, 1);
  return values;
}

static gboolean
task_init (Task *self, HtPassContext *context, HtLayer *layer, HtEncoding *encoding, GError **error)
{
  g_autoptr (HtTensor) weight = ht_graph_get_constant (ht_layer_get_graph (layer), ht_layer_get_weight (layer));
  g_autoptr (HtTensor) rounded = ht_encoding_fake_quantize (encoding, weight, error);

  self->context = context;
  self->layer = layer;
  self->n_outputs = ht_layer_get_n_output_channels (layer);
  if (rounded == NULL)
    return FALSE;
  self->exact = read_matrix (layer, weight, &self->n_columns, error);
  self->rounded = self->exact != NULL ? read_matrix (layer, rounded, &self->n_columns, error) : NULL;
  return self->rounded != NULL;
}

/* What the mean of each output lacks: that of the target without bias, less that of the rounded weight's product. */
static double *
find_lack (Task *task, HtMoments *moments)
{
  gsize n_groups = ht_moments_get_n_groups (moments), n_rows = task->n_outputs / n_groups;
  double *lack = g_new (double, task->n_outputs);

  for (gsize g = 0; g < n_groups; g++)
    {
      g_autofree double *inputs = ht_moments_get_input_means (moments, g);
      g_autofree double *targets = ht_moments_get_target_means (moments, g);
      for (gsize r = 0; r < n_rows; r++)
        {
          const double *row = task->rounded + (g * n_rows + r) * task->n_columns;
          double product = 0.0;
          for (gsize i = 0; i < task->n_columns; i++)
            product += row[i] * inputs[i];
          lack[g * n_rows + r] = targets[r] - product;
        }
    }
  return lack;
}

/* E[x] of each input channel gives the mean of the error: the sum over the kernel of what rounding changed, times E[x]
 * (Nagel et al. 2019, section 4.2). Padding is not known to it. */
static double *
find_analytic_shifts (Task *task, const double *expected, gsize n_inputs)
{
  gsize n_groups = ht_layer_get_n_groups (task->layer), n_rows = task->n_outputs / n_groups;
  gsize n_group_inputs = n_inputs / n_groups, n_kernel = task->n_columns / MAX (n_group_inputs, 1);
  HtNode *node = ht_layer_get_node (task->layer);
  double factor = ht_layer_get_kind (task->layer) == HT_LAYER_GEMM ? ht_node_get_float (node, "alpha", 1.0) : 1.0;
  double *shifts = g_new0 (double, task->n_outputs);

  for (gsize o = 0; o < task->n_outputs; o++)
    for (gsize i = 0; i < task->n_columns; i++)
      shifts[o] -= factor * (task->rounded[o * task->n_columns + i] - task->exact[o * task->n_columns + i])
                   * expected[o / n_rows * n_group_inputs + i / n_kernel];
  return shifts;
}

/* The mean squared error of the layer's output on samples that the shifts were not made from, without and with them. */
static void
judge (Task *task, HtMoments *held_out, const double *shifts, double *before, double *after)
{
  g_autofree double *errors = ht_moments_get_errors (held_out, task->rounded, FALSE);
  g_autofree double *lack = find_lack (task, held_out);

  *before = *after = 0.0;
  for (gsize o = 0; o < task->n_outputs; o++)
    {
      *before += errors[o];
      *after += errors[o] - 2.0 * shifts[o] * lack[o] + shifts[o] * shifts[o];
    }
}

static gboolean
apply_shifts (Task *task, const double *shifts, GError **error)
{
  gsize n_bias;
  g_autofree double *bias = ht_layer_get_bias_values (task->layer, &n_bias, error);
  if (bias == NULL)
    return FALSE;
  for (gsize o = 0; o < n_bias; o++)
    bias[o] += shifts[o];
  return ht_layer_set_bias_values (task->layer, bias, n_bias, error);
}

/* Corrects, unless that makes the held-out error worse; `held_out` may be NULL. */
static gboolean
correct (Task *task, const double *shifts, HtMoments *held_out, const char *how, GError **error)
{
  double before = 0.0, after = 0.0, largest = 0.0;

  for (gsize o = 0; o < task->n_outputs; o++)
    {
      if (!isfinite (shifts[o]))
        {
          ht_pass_context_skip (task->context, task->subject, "the correction is not a finite number");
          return TRUE;
        }
      largest = fmax (largest, fabs (shifts[o]));
    }
  if (held_out != NULL)
    {
      judge (task, held_out, shifts, &before, &after);
      ht_pass_context_add_row (task->context, TABLE, task->subject, "nearest-error", before);
      ht_pass_context_add_row (task->context, TABLE, task->subject, "error", fmin (before, after));
    }
  else
    ht_pass_context_note (task->context, task->subject, "no held-out samples judge this correction");
  ht_pass_context_add_row (task->context, TABLE, task->subject, "largest-shift", largest);
  if (held_out != NULL && !(after < before))
    {
      ht_pass_context_note (task->context, task->subject,
                            "the correction did not lower the error on the held-out samples: the bias stays");
      return TRUE;
    }
  ht_pass_context_note (task->context, task->subject, how);
  return apply_shifts (task, shifts, error);
}

static gboolean
correct_analytically (HtBiasCorrection *self, Task *task, HtBatchnormStatistics *statistics, HtMoments *held_out,
                      gboolean *done, GError **error)
{
  g_autofree char *why = NULL;
  gsize n_inputs = 0;
  g_autofree double *expected = expectation_of_input (task->layer, statistics, &n_inputs, &why);

  *done = FALSE;
  if (expected != NULL && n_inputs != ht_layer_get_n_input_channels (task->layer))
    why = g_strdup ("the statistics are of another number of channels than it reads");
  if (why != NULL)
    {
      if (self->method == METHOD_ANALYTIC)
        ht_pass_context_skip (task->context, task->subject, why);
      return TRUE;
    }
  g_autofree double *shifts = find_analytic_shifts (task, expected, n_inputs);
  *done = TRUE;
  return correct (task, shifts, held_out, "corrected from batch-norm statistics", error);
}

static gboolean
correct_layer (HtBiasCorrection *self, HtModelState *state, HtPassContext *context, HtSweep *sweep,
               HtSimulation *simulation, HtLayer *layer, GError **error)
{
  GObject *known = ht_model_state_get_artifact (state, HT_ARTIFACT_BATCHNORM_STATISTICS);
  HtBatchnormStatistics *statistics = HT_IS_BATCHNORM_STATISTICS (known) ? HT_BATCHNORM_STATISTICS (known) : NULL;
  HtEncoding *encoding = ht_simulation_get_encoding (simulation, ht_layer_get_weight (layer));
  g_auto (Task) task = { .subject = ht_node_describe (ht_layer_get_node (layer)) };
  g_autoptr (HtMoments) fitting = NULL, held_out = NULL;
  gboolean done = FALSE;

  if (encoding == NULL)
    {
      ht_pass_context_skip (context, task.subject, "its weight is not quantized");
      return TRUE;
    }
  if (!task_init (&task, context, layer, encoding, error))
    return FALSE;
  if (sweep != NULL
      && !ht_sweep_collect_moments (sweep, HT_SWEEP_TARGET_REFERENCE, MAX_POSITIONS, &fitting, &held_out, error))
    return FALSE;
  if (self->method != METHOD_EMPIRICAL && !correct_analytically (self, &task, statistics, held_out, &done, error))
    return FALSE;
  if (done || self->method == METHOD_ANALYTIC)
    return TRUE;
  g_autofree double *shifts = find_lack (&task, fitting);
  return correct (&task, shifts, held_out, "corrected from the means of both networks", error);
}

/* Without samples: layers in order, each with its grid. */
static gboolean
run_without_data (HtBiasCorrection *self, HtModelState *state, HtPassContext *context, GError **error)
{
  g_autoptr (HtSimulation) simulation = ht_pass_context_create_simulation (context, state, error);
  if (simulation == NULL || !ht_simulation_calibrate_weights (simulation, error))
    return FALSE;
  g_autoptr (GPtrArray) layers = ht_graph_list_layers (ht_model_state_get_graph (state));
  for (guint i = 0; i < layers->len; i++)
    if (!ht_pass_context_progress (context, i, layers->len, error)
        || !correct_layer (self, state, context, NULL, simulation, g_ptr_array_index (layers, i), error))
      return FALSE;
  return TRUE;
}

static gboolean
ht_bias_correction_run (HtPass *pass, HtModelState *state, HtPassContext *context, GError **error)
{
  HtBiasCorrection *self = HT_BIAS_CORRECTION (pass);

  ht_model_state_split_reference (state);
  if (self->method == METHOD_ANALYTIC && ht_pass_context_get_calibration (context, NULL) == NULL)
    return run_without_data (self, state, context, error);
  g_autoptr (HtSweep) sweep = ht_sweep_new (context, state, self->input, self->samples, error);
  if (sweep == NULL)
    return FALSE;
  for (;;)
    {
      g_autoptr (GError) local = NULL;
      HtLayer *layer;
      if (!ht_sweep_go_on (sweep, &layer, error))
        return FALSE;
      if (layer == NULL)
        break;
      if (correct_layer (self, state, context, sweep, ht_sweep_get_simulation (sweep), layer, &local))
        continue;
      if (!ht_sweep_skip_failed (sweep, &local, error))
        return FALSE;
    }
  return ht_pass_context_progress (context, 1, 1, error);
}

static void
ht_bias_correction_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  HtBiasCorrection *self = HT_BIAS_CORRECTION (object);
  switch (id)
    {
    case PROP_METHOD:
      self->method = (Method)g_value_get_enum (value);
      break;
    case PROP_SAMPLES:
      self->samples = g_value_get_uint (value);
      break;
    case PROP_INPUT:
      self->input = (HtSweepInput)g_value_get_enum (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
ht_bias_correction_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  HtBiasCorrection *self = HT_BIAS_CORRECTION (object);
  switch (id)
    {
    case PROP_METHOD:
      g_value_set_enum (value, (gint)self->method);
      break;
    case PROP_SAMPLES:
      g_value_set_uint (value, self->samples);
      break;
    case PROP_INPUT:
      g_value_set_enum (value, (gint)self->input);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
ht_bias_correction_class_init (HtBiasCorrectionClass *klass)
{
  GObjectClass *object = G_OBJECT_CLASS (klass);
  HtPassClass *pass = HT_PASS_CLASS (klass);
  object->set_property = ht_bias_correction_set_property;
  object->get_property = ht_bias_correction_get_property;
  pass->run = ht_bias_correction_run;
  properties[PROP_METHOD] = g_param_spec_enum ("method", "Method", "Where the means of outputs come from", method_type,
                                               METHOD_EMPIRICAL, HT_PARAM_RW);
  properties[PROP_SAMPLES]
      = g_param_spec_uint ("samples", "Samples", "How many calibration samples are used at most; a quarter is held out",
                           1, G_MAXINT, 1024, HT_PARAM_RW);
  properties[PROP_INPUT] = g_param_spec_enum ("input", "Input", "What network a layer's input comes from",
                                              HT_TYPE_SWEEP_INPUT, HT_SWEEP_INPUT_WEIGHTS_ONLY, HT_PARAM_RW);
  g_object_class_install_properties (object, N_PROPERTIES, properties);
  ht_pass_class_set_info (
      pass, "bias-correction", "take off each bias what rounding the weights adds to the mean",
      "Rounding weights shifts the mean of each output channel. The shift is found layer by layer, with all layers "
      "before "
      "rounded and corrected, from the means of both networks on calibration samples (empirical), or from the "
      "statistics of "
      "the batch norm before a layer without any data (analytic), or the second where it can be had and the first "
      "elsewhere "
      "(hybrid). A layer without a bias gets one. A correction that does not lower the error on held-out samples is "
      "reverted.");
  ht_pass_class_add_reference (pass, "Nagel et al., Data-Free Quantization Through Weight Equalization and Bias "
                                     "Correction, ICCV 2019, section 4.2, arXiv:1906.04721");
  ht_pass_class_set_reads (pass, HT_PASS_READS_CALIBRATION_DATA | HT_PASS_READS_WEIGHT_SETTINGS
                                     | HT_PASS_READS_ACTIVATION_SETTINGS | HT_PASS_READS_REFERENCE_NETWORK);
  ht_pass_class_add_rule (pass, HT_RULE_PROVIDES, HT_FACT_BIAS_CORRECTED, "biases make up for the rounding of weights",
                          NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_CONFLICTS, HT_FACT_WEIGHTS_ROUNDED,
                          "both correct the same error of the output: biases are corrected for weights rounded to the "
                          "nearest",
                          "AIMET documentation, AdaRound, use with other techniques", NULL);
  ht_pass_class_add_rule (pass, HT_RULE_EFFECT, "changes-biases", "the mean error is taken off the bias", NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_EFFECT, "changes-topology", "a product without a bias gets one", NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_AFTER, HT_FACT_BATCHNORM_STATISTICS,
                          "folded layers are those that the device rounds, and tell the means of what follows them",
                          NULL, NULL);
}

static void
ht_bias_correction_class_finalize (HtBiasCorrectionClass *klass)
{
}

static void
ht_bias_correction_init (HtBiasCorrection *self)
{
}

static gboolean
register_types (GTypeModule *module, HtPlugin *plugin, GError **error)
{
  static const GEnumValue values[]
      = { { METHOD_EMPIRICAL, "from calibration samples", "empirical" },
          { METHOD_ANALYTIC, "from batch-norm statistics, without data", "analytic" },
          { METHOD_HYBRID, "from batch-norm statistics where there are any, else from samples", "hybrid" },
          { 0, NULL, NULL } };
  method_type = g_type_module_register_enum (module, "HtBiasCorrectionMethod", values);
  ht_bias_correction_register_type (module);
  ht_plugin_add_pass (plugin, HT_TYPE_BIAS_CORRECTION);
  return TRUE;
}

HT_PLUGIN_DEFINE ("bias-correction", HT_VERSION_S, "MIT", "Bias correction", "The Halftone authors", "halftone", NULL,
                  register_types, "HtBiasCorrection", "HtBiasCorrectionMethod")
