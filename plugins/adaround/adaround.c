/* SPDX-License-Identifier: MIT */
/* Adaptive rounding: the codes of each layer's weights are chosen so that the layer's output changes least. */
#include "exact.h"
#include "relaxed-layer.h"

#define TABLE        "layers"
#define NEAREST_NOTE "no other codes had a lower error on the held-out samples: rounded to the nearest"

typedef enum
{
  SOLVER_EXACT,
  SOLVER_RELAXATION,
} Solver;

static GType solver_type;

#define HT_TYPE_ADAROUND (ht_adaround_get_type ())
G_DECLARE_FINAL_TYPE (HtAdaround, ht_adaround, HT, ADAROUND, HtPass)

struct _HtAdaround
{
  HtPass parent_instance;
  Solver solver;
  guint samples;
  HtSweepInput input;
  ExactSettings exact;
  RelaxationSettings relaxation;
  gboolean activation; /* the loss of the relaxation is taken behind it */
};

enum
{
  PROP_0,
  PROP_SOLVER,
  PROP_SAMPLES,
  PROP_INPUT,
  PROP_SCALE,
  PROP_BIAS,
  PROP_CANDIDATES,
  PROP_ACTIVATION_AWARE,
  PROP_ITERATIONS,
  PROP_REGULARIZATION,
  PROP_BETA_START,
  PROP_BETA_END,
  PROP_WARM_START,
  PROP_LEARNING_RATE,
  PROP_ACTIVATION,
  N_PROPERTIES
};

static GParamSpec *properties[N_PROPERTIES];

G_DEFINE_DYNAMIC_TYPE (HtAdaround, ht_adaround, HT_TYPE_PASS)

/* Why a layer is left alone; NULL: it is not. */
static char *
why_skipped (HtAdaround *self, HtLayer *layer, HtEncoding *encoding)
{
  if (encoding == NULL)
    return g_strdup ("its weight is not quantized");
  if (ht_layer_is_weight_shared (layer))
    return g_strdup ("its weight is shared with another layer, which asks for other codes");
  if (self->solver == SOLVER_EXACT)
    return exact_check (layer, encoding);
  return ht_encoding_is_integer (encoding) ? NULL : g_strdup ("its numbers are in floating point, not in equal steps");
}

static void
add_sample_counts (HtPassContext *context, HtSweep *sweep, const char *subject)
{
  ht_pass_context_add_row (context, TABLE, subject, "samples", ht_sweep_get_n_samples (sweep, FALSE));
  ht_pass_context_add_row (context, TABLE, subject, "held-out", ht_sweep_get_n_samples (sweep, TRUE));
}

static void
report (HtAdaround *self, HtPassContext *context, HtSweep *sweep, const char *subject, HtSolution *solution,
        const HtRefinement *refinement)
{
  ht_pass_context_add_row (context, TABLE, subject, "nearest-error", ht_solution_get_nearest_error (solution));
  ht_pass_context_add_row (context, TABLE, subject, "error", ht_solution_get_error (solution));
  ht_pass_context_add_row (context, TABLE, subject, "moved", ht_solution_get_share_moved (solution));
  ht_pass_context_add_row (context, TABLE, subject, "beyond-floor-and-ceiling",
                           ht_solution_get_share_beyond (solution));
  ht_pass_context_add_row (context, TABLE, subject, "rows-proved-best", ht_solution_get_share_exact (solution));
  ht_pass_context_add_row (context, TABLE, subject, "damping", ht_solution_get_damping (solution));
  if (refinement->error_before >= 0.0)
    {
      ht_pass_context_add_row (context, TABLE, subject, "activation-error-before", refinement->error_before);
      ht_pass_context_add_row (context, TABLE, subject, "activation-error", refinement->error);
      ht_pass_context_add_row (context, TABLE, subject, "refined", refinement->moved);
    }
  add_sample_counts (context, sweep, subject);
  if (ht_solution_is_nearest (solution))
    ht_pass_context_note (context, subject, NEAREST_NOTE);
}

/* The weight on its grid, by integer least squares. */
static gboolean
round_exactly (HtAdaround *self, gboolean given, HtPassContext *context, HtSweep *sweep, HtLayer *layer,
               const char *subject, HtEncoding **encoding, GError **error)
{
  guint64 seed = ht_pass_context_get_seed (context, ht_layer_get_weight (layer));
  ExactSettings settings = self->exact;

  if (settings.scale == HT_SOLVER_FREEDOM_JOINT && given)
    {
      settings.scale = HT_SOLVER_FREEDOM_FIXED;
      ht_pass_context_note (context, subject, "its grid was fixed before: the scale stays");
    }
  else if (settings.scale == HT_SOLVER_FREEDOM_JOINT && ht_encoding_get_scale_bits (*encoding) > 0)
    {
      settings.scale = HT_SOLVER_FREEDOM_FIXED;
      ht_pass_context_note (context, subject, "the scales of its blocks are integers: they stay");
    }
  gsize n_blocks = exact_count_blocks (layer);
  if (n_blocks > 1)
    {
      g_autofree char *text
          = g_strdup_printf ("its inputs are too many for second moments of all: they were taken in %" G_GSIZE_FORMAT
                             " blocks, with the scale as it is and nothing refined",
                             n_blocks);
      ht_pass_context_note (context, subject, text);
    }
  HtRefinement refinement;
  g_autoptr (HtSolution) solution = exact_round (&settings, sweep, layer, encoding, seed, &refinement,
                                                 ht_pass_context_get_cancellable (context), error);
  if (solution == NULL)
    return FALSE;
  report (self, context, sweep, subject, solution, &refinement);
  ht_pass_context_add_row (context, TABLE, subject, "blocks", (double)n_blocks);
  return TRUE;
}

/* The weight on its grid, by the published method. */
static gboolean
round_relaxed (HtAdaround *self, HtPassContext *context, HtSweep *sweep, HtLayer *layer, const char *subject,
               HtEncoding *encoding, GError **error)
{
  guint64 seed = ht_pass_context_get_seed (context, ht_layer_get_weight (layer));
  RelaxedLayer outcome;

  if (!relaxed_layer_round (&self->relaxation, self->activation, context, sweep, layer, encoding, seed, &outcome,
                            error))
    return FALSE;
  ht_pass_context_add_row (context, TABLE, subject, "nearest-error", outcome.nearest_error);
  ht_pass_context_add_row (context, TABLE, subject, "error", outcome.error);
  ht_pass_context_add_row (context, TABLE, subject, "moved", outcome.moved);
  ht_pass_context_add_row (context, TABLE, subject, "undecided", (double)outcome.n_undecided);
  add_sample_counts (context, sweep, subject);
  if (outcome.is_nearest)
    ht_pass_context_note (context, subject, NEAREST_NOTE);
  return TRUE;
}

static gboolean
round_layer (HtAdaround *self, HtModelState *state, HtPassContext *context, HtSweep *sweep, HtLayer *layer,
             GError **error)
{
  g_autofree char *weight = g_strdup (ht_layer_get_weight (layer));
  g_autofree char *subject = ht_node_describe (ht_layer_get_node (layer));
  HtEncoding *known = ht_simulation_get_encoding (ht_sweep_get_simulation (sweep), weight);
  g_autofree char *reason = why_skipped (self, layer, known);
  if (reason != NULL)
    {
      ht_pass_context_skip (context, subject, reason);
      return TRUE;
    }
  HtEncodingStatus status = HT_ENCODING_OPEN;
  gboolean given = ht_model_state_get_encoding (state, weight, &status) != NULL && status != HT_ENCODING_OPEN;
  g_autoptr (HtEncoding) encoding = ht_encoding_ref (known);
  g_autoptr (GError) local = NULL;
  gboolean done = self->solver == SOLVER_EXACT
                      ? round_exactly (self, given, context, sweep, layer, subject, &encoding, &local)
                      : round_relaxed (self, context, sweep, layer, subject, encoding, &local);
  if (!done)
    return ht_sweep_skip_failed (sweep, &local, error);
  /* A weight that nodes made of a constant may have a name of its own by now. */
  if (given && g_str_equal (weight, ht_layer_get_weight (layer)))
    return TRUE;
  return ht_model_state_set_encoding (state, ht_layer_get_weight (layer), encoding, given ? status : HT_ENCODING_FIXED,
                                      error);
}

/* Quantized weights of operators that are no layers. */
static void
list_others (HtPassContext *context, HtSweep *sweep)
{
  HtSimulation *simulation = ht_sweep_get_simulation (sweep);
  HtGraph *graph = ht_simulation_get_graph (simulation);

  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    {
      HtNode *node = ht_graph_get_node (graph, i);
      g_autoptr (HtLayer) layer = ht_layer_new (graph, node);
      for (guint k = 0; layer == NULL && k < ht_node_get_n_inputs (node); k++)
        {
          HtQuantizer *quantizer = ht_simulation_get_quantizer (simulation, ht_node_get_input (node, k));
          if (quantizer == NULL || !ht_quantizer_is_weight (quantizer))
            continue;
          g_autofree char *subject = ht_node_describe (node);
          ht_pass_context_skip (context, subject, "no linear layer with one constant weight: rounded to the nearest");
          break;
        }
    }
}

static gboolean
ht_adaround_run (HtPass *pass, HtModelState *state, HtPassContext *context, GError **error)
{
  HtAdaround *self = HT_ADAROUND (pass);

  ht_model_state_split_reference (state);
  g_autoptr (HtSweep) sweep = ht_sweep_new (context, state, self->input, self->samples, error);
  if (sweep == NULL)
    return FALSE;
  list_others (context, sweep);
  for (;;)
    {
      HtLayer *layer;
      if (!ht_sweep_go_on (sweep, &layer, error))
        return FALSE;
      if (layer == NULL)
        break;
      if (!round_layer (self, state, context, sweep, layer, error))
        return FALSE;
    }
  return ht_pass_context_progress (context, 1, 1, error);
}

static void
ht_adaround_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  HtAdaround *self = HT_ADAROUND (object);
  switch (id)
    {
    case PROP_SOLVER:
      self->solver = (Solver)g_value_get_enum (value);
      break;
    case PROP_SAMPLES:
      self->samples = g_value_get_uint (value);
      break;
    case PROP_INPUT:
      self->input = (HtSweepInput)g_value_get_enum (value);
      break;
    case PROP_SCALE:
      self->exact.scale = (HtSolverFreedom)g_value_get_enum (value);
      break;
    case PROP_BIAS:
      self->exact.bias = (HtSolverFreedom)g_value_get_enum (value);
      break;
    case PROP_CANDIDATES:
      self->exact.candidates = g_value_get_uint (value);
      break;
    case PROP_ACTIVATION_AWARE:
      self->exact.activation_aware = g_value_get_boolean (value);
      break;
    case PROP_ITERATIONS:
      self->relaxation.iterations = g_value_get_uint (value);
      break;
    case PROP_REGULARIZATION:
      self->relaxation.regularization = g_value_get_double (value);
      break;
    case PROP_BETA_START:
      self->relaxation.beta_start = g_value_get_double (value);
      break;
    case PROP_BETA_END:
      self->relaxation.beta_end = g_value_get_double (value);
      break;
    case PROP_WARM_START:
      self->relaxation.warm_start = g_value_get_double (value);
      break;
    case PROP_LEARNING_RATE:
      self->relaxation.learning_rate = g_value_get_double (value);
      break;
    case PROP_ACTIVATION:
      self->activation = g_value_get_boolean (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
ht_adaround_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  HtAdaround *self = HT_ADAROUND (object);
  switch (id)
    {
    case PROP_SOLVER:
      g_value_set_enum (value, (gint)self->solver);
      break;
    case PROP_SAMPLES:
      g_value_set_uint (value, self->samples);
      break;
    case PROP_INPUT:
      g_value_set_enum (value, (gint)self->input);
      break;
    case PROP_SCALE:
      g_value_set_enum (value, (gint)self->exact.scale);
      break;
    case PROP_BIAS:
      g_value_set_enum (value, (gint)self->exact.bias);
      break;
    case PROP_CANDIDATES:
      g_value_set_uint (value, self->exact.candidates);
      break;
    case PROP_ACTIVATION_AWARE:
      g_value_set_boolean (value, self->exact.activation_aware);
      break;
    case PROP_ITERATIONS:
      g_value_set_uint (value, self->relaxation.iterations);
      break;
    case PROP_REGULARIZATION:
      g_value_set_double (value, self->relaxation.regularization);
      break;
    case PROP_BETA_START:
      g_value_set_double (value, self->relaxation.beta_start);
      break;
    case PROP_BETA_END:
      g_value_set_double (value, self->relaxation.beta_end);
      break;
    case PROP_WARM_START:
      g_value_set_double (value, self->relaxation.warm_start);
      break;
    case PROP_LEARNING_RATE:
      g_value_set_double (value, self->relaxation.learning_rate);
      break;
    case PROP_ACTIVATION:
      g_value_set_boolean (value, self->activation);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
install_properties (GObjectClass *object)
{
  properties[PROP_SOLVER]
      = g_param_spec_enum ("solver", "Solver", "How codes are found", solver_type, SOLVER_EXACT, HT_PARAM_RW);
  properties[PROP_SAMPLES]
      = g_param_spec_uint ("samples", "Samples", "How many calibration samples are used at most; a quarter is held out",
                           1, G_MAXINT, 1024, HT_PARAM_RW);
  properties[PROP_INPUT] = g_param_spec_enum ("input", "Input", "What network a layer's input comes from",
                                              HT_TYPE_SWEEP_INPUT, HT_SWEEP_INPUT_QUANTIZED, HT_PARAM_RW);
  properties[PROP_SCALE]
      = g_param_spec_enum ("scale", "Scale", "Whether the scales of the grids are found together with the codes",
                           HT_TYPE_SOLVER_FREEDOM, HT_SOLVER_FREEDOM_FIXED, HT_PARAM_RW);
  properties[PROP_BIAS] = g_param_spec_enum ("bias", "Bias", "Whether biases are found together with the codes",
                                             HT_TYPE_SOLVER_FREEDOM, HT_SOLVER_FREEDOM_FIXED, HT_PARAM_RW);
  properties[PROP_CANDIDATES] = g_param_spec_uint (
      "candidates", "Candidates", "Orders of rounding that are tried for each output channel", 1, 1024, 1, HT_PARAM_RW);
  properties[PROP_ACTIVATION_AWARE] = g_param_spec_boolean (
      "activation-aware", "Activation-aware", "Exact: whether codes are refined for the error behind the activation",
      FALSE, HT_PARAM_RW);
  properties[PROP_ITERATIONS] = g_param_spec_uint ("iterations", "Iterations",
                                                   "Relaxation: steps for a layer; 0: 15000 below 8 bits, else 10000",
                                                   0, 10000000, 0, HT_PARAM_RW);
  properties[PROP_REGULARIZATION] = g_param_spec_double (
      "regularization", "Regularization", "Relaxation: the weight of the term that drives each weight up or down", 0,
      1000, 0.01, HT_PARAM_RW);
  properties[PROP_BETA_START] = g_param_spec_double (
      "beta-start", "First beta", "Relaxation: the exponent of the regularizer at its start", 1, 1000, 20, HT_PARAM_RW);
  properties[PROP_BETA_END] = g_param_spec_double (
      "beta-end", "Last beta", "Relaxation: the exponent of the regularizer at the end", 1, 1000, 2, HT_PARAM_RW);
  properties[PROP_WARM_START] = g_param_spec_double (
      "warm-start", "Warm start", "Relaxation: the share of iterations without regularizer", 0, 0.99, 0.2, HT_PARAM_RW);
  properties[PROP_LEARNING_RATE] = g_param_spec_double (
      "learning-rate", "Learning rate", "Relaxation: the learning rate of Adam", 1e-9, 1, 1e-3, HT_PARAM_RW);
  properties[PROP_ACTIVATION] = g_param_spec_boolean (
      "activation", "Activation", "Relaxation: whether errors are taken behind the activation that follows a layer",
      TRUE, HT_PARAM_RW);
  g_object_class_install_properties (object, N_PROPERTIES, properties);
}

static void
add_rules (HtPassClass *pass)
{
  ht_pass_class_add_rule (pass, HT_RULE_PROVIDES, HT_FACT_WEIGHTS_ROUNDED, "each weight has the code that was chosen",
                          NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_PROVIDES, HT_FACT_WEIGHT_ENCODINGS_FIXED,
                          "codes have a meaning on their grid alone", NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_CONFLICTS, HT_FACT_BIAS_CORRECTED,
                          "both correct the same error of the output: the codes are chosen for the bias as it is",
                          "AIMET documentation, AdaRound, use with other techniques", NULL);
  ht_pass_class_add_rule (pass, HT_RULE_EFFECT, "changes-weights", "weights move to values of their grid", NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_EFFECT, "changes-biases", "biases are found together with the codes", NULL,
                          "bias == joint");
  ht_pass_class_add_rule (pass, HT_RULE_EFFECT, "changes-topology", "a product without a bias gets one", NULL,
                          "bias == joint");
  ht_pass_class_add_rule (pass, HT_RULE_REQUIRES_SETTING, "solver",
                          "the relaxation trains the rounding alone: take the exact solver for scales and biases", NULL,
                          "solver == exact || (scale == fixed && bias == fixed)");
  ht_pass_class_add_rule (pass, HT_RULE_AFTER, HT_FACT_BATCHNORM_STATISTICS,
                          "a folded layer has the weights that the device rounds", NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_AFTER, HT_FACT_EQUALIZED, "equalization moves weights", NULL, NULL);
}

static void
ht_adaround_class_init (HtAdaroundClass *klass)
{
  GObjectClass *object = G_OBJECT_CLASS (klass);
  HtPassClass *pass = HT_PASS_CLASS (klass);
  object->set_property = ht_adaround_set_property;
  object->get_property = ht_adaround_get_property;
  pass->run = ht_adaround_run;
  install_properties (object);
  ht_pass_class_set_info (
      pass, "adaround", "round each weight so that its layer's output changes least",
      "Chooses the code of each weight, layer by layer, so that the layer's output on calibration samples is closest "
      "to "
      "that of the floating-point network, with the errors of the layers before it taken into account. The exact "
      "solver "
      "needs only the second moments of a layer's inputs: codes are rounded one after the other with the error of each "
      "fed back to the rest, then moved over the whole grid until no move helps; short rows, as of depthwise layers, "
      "are "
      "enumerated. How far weights may go is chosen on held-out samples, and a layer that does not gain there is "
      "rounded to the nearest.");
  ht_pass_class_add_reference (pass, "Nagel et al., Up or Down? Adaptive Rounding for Post-Training Quantization, ICML "
                                     "2020, arXiv:2004.10568");
  ht_pass_class_add_reference (pass, "Babai, On Lovasz' Lattice Reduction and the Nearest Lattice Point Problem, "
                                     "Combinatorica 6, 1986");
  ht_pass_class_set_reads (pass, HT_PASS_READS_CALIBRATION_DATA | HT_PASS_READS_WEIGHT_SETTINGS
                                     | HT_PASS_READS_REFERENCE_NETWORK);
  ht_pass_class_add_reads (pass, HT_PASS_READS_ACTIVATION_SETTINGS, "input = quantized");
  add_rules (pass);
}

static void
ht_adaround_class_finalize (HtAdaroundClass *klass)
{
}

static void
ht_adaround_init (HtAdaround *self)
{
  self->samples = 1024;
  self->exact.candidates = 1;
}

static gboolean
register_types (GTypeModule *module, HtPlugin *plugin, GError **error)
{
  static const GEnumValue values[]
      = { { SOLVER_EXACT, "integer least squares from second moments", "exact" },
          { SOLVER_RELAXATION, "gradient descent on a relaxed rounding, as published", "relaxation" },
          { 0, NULL, NULL } };
  solver_type = g_type_module_register_enum (module, "HtAdaroundSolver", values);
  ht_adaround_register_type (module);
  ht_plugin_add_pass (plugin, HT_TYPE_ADAROUND);
  return TRUE;
}

HT_PLUGIN_DEFINE ("adaround", HT_VERSION_S, "MIT", "Adaptive rounding", "The Halftone authors", "halftone", NULL,
                  register_types, "HtAdaround", "HtAdaroundSolver")
