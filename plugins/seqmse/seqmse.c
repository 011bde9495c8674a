/* SPDX-License-Identifier: MIT */
/* Sequential MSE: layer after layer, the range of each output channel's grid is the share of the full range that
 * changes the output least. */
#include <halftone/halftone.h>

#include <math.h>
#include <string.h>

#define TABLE "layers"
/* Output positions that are enough, a number and a multiple of the unknowns of a row. */
#define MIN_POSITIONS         65536
#define POSITIONS_PER_UNKNOWN 20

#define HT_TYPE_SEQMSE (ht_seqmse_get_type ())
G_DECLARE_FINAL_TYPE (HtSeqmse, ht_seqmse, HT, SEQMSE, HtPass)

struct _HtSeqmse
{
  HtPass parent_instance;
  guint candidates;
  guint samples;
  HtSweepInput input;
  HtSweepTarget match;
};

enum
{
  PROP_0,
  PROP_CANDIDATES,
  PROP_SAMPLES,
  PROP_INPUT,
  PROP_MATCH,
  N_PROPERTIES
};

static GParamSpec *properties[N_PROPERTIES];

G_DEFINE_DYNAMIC_TYPE (HtSeqmse, ht_seqmse, HT_TYPE_PASS)

/* One layer at work; grids are those of its encoding, one for each output channel or one in all. */
typedef struct
{
  HtLayer *layer;
  HtTensor *weight;
  HtEncoding *encoding;
  gsize n_grids, n_outputs, n_columns;
  double *scales;  /* the full ones */
  gint64 *offsets; /* of these */
  HtMoments *fitting, *held_out;
} Task;

static void
task_clear (Task *self)
{
  g_clear_pointer (&self->weight, ht_tensor_unref);
  g_free (self->scales);
  g_free (self->offsets);
  g_clear_pointer (&self->fitting, ht_moments_unref);
  g_clear_pointer (&self->held_out, ht_moments_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Task, task_clear)

/* The error of each output channel with the weight on a grid, [outputs]. */
static double *
measure (Task *task, HtMoments *moments, HtEncoding *encoding, GError **error)
{
  g_autoptr (HtTensor) rounded = ht_encoding_fake_quantize (encoding, task->weight, error);
  g_autoptr (HtTensor) matrix = rounded != NULL ? ht_layer_arrange_matrix (task->layer, rounded, error) : NULL;
  if (matrix == NULL)
    return NULL;
  gsize n = ht_tensor_get_n_elements (matrix);
  g_autofree double *weights = g_new (double, n);
  const float *values = ht_tensor_get_data (matrix);
  for (gsize i = 0; i < n; i++)
    weights[i] = (double)values[i];
  return ht_moments_get_errors (moments, weights, FALSE);
}

/* The range times a share: AIMET's candidates, (minimum, maximum) * i / C. */
static HtEncoding *
shrink (Task *task, const double *shares, GError **error)
{
  g_autofree double *scales = g_new (double, task->n_grids);
  for (gsize g = 0; g < task->n_grids; g++)
    scales[g] = task->scales[g] * shares[g];
  return ht_encoding_with_scales (task->encoding, scales, task->offsets, task->n_grids, error);
}

static gboolean
search (HtSeqmse *self, Task *task, double *shares, GCancellable *cancellable, GError **error)
{
  g_autofree double *least = g_new (double, task->n_grids);
  g_autofree double *tried = g_new (double, task->n_grids);

  for (gsize g = 0; g < task->n_grids; g++)
    least[g] = HUGE_VAL;
  for (guint i = 1; i <= self->candidates; i++)
    {
      for (gsize g = 0; g < task->n_grids; g++)
        tried[g] = (double)i / self->candidates;
      g_autoptr (HtEncoding) encoding = shrink (task, tried, error);
      g_autofree double *errors = encoding != NULL ? measure (task, task->fitting, encoding, error) : NULL;
      if (errors == NULL || g_cancellable_set_error_if_cancelled (cancellable, error))
        return FALSE;
      for (gsize g = 0; g < task->n_grids; g++)
        {
          double sum = 0.0;
          for (gsize o = g; o < task->n_outputs; o += task->n_grids)
            sum += errors[o];
          if (sum < least[g])
            {
              least[g] = sum;
              shares[g] = tried[g];
            }
        }
    }
  return TRUE;
}

/* NULL: the search has something for this grid. */
static char *
why_skipped (HtLayer *layer, HtEncoding *encoding, HtEncodingStatus status)
{
  gsize n_grids;

  if (encoding == NULL)
    return g_strdup ("its weight is not quantized");
  if (status != HT_ENCODING_OPEN)
    return g_strdup ("its grid was fixed before");
  if (!ht_encoding_is_integer (encoding))
    return g_strdup ("its numbers are in floating point, whose range costs no steps");
  if (ht_layer_is_weight_shared (layer))
    return g_strdup ("its weight is shared with another layer, which asks for another range");
  ht_encoding_get_scales (encoding, &n_grids);
  if (n_grids > 1
      && (ht_encoding_get_axis (encoding) != ht_layer_get_channel_axis (layer)
          || ht_layer_get_n_output_channels (layer) != n_grids))
    return g_strdup ("its grids are not one for each output channel");
  return NULL;
}

static double
sum_of (const double *errors, gsize n)
{
  double sum = 0.0;
  for (gsize i = 0; i < n; i++)
    sum += errors[i];
  return sum;
}

/* Takes the ranges found where they lower the error on samples that the search did not see. */
static gboolean
settle (Task *task, HtModelState *state, HtPassContext *context, const char *subject, const double *shares,
        GError **error)
{
  g_autoptr (HtEncoding) found = shrink (task, shares, error);
  HtMoments *judge = task->held_out != NULL ? task->held_out : task->fitting;
  g_autofree double *full = measure (task, judge, task->encoding, error);
  g_autofree double *shrunk = full != NULL && found != NULL ? measure (task, judge, found, error) : NULL;
  if (shrunk == NULL)
    return FALSE;
  double before = sum_of (full, task->n_outputs), after = sum_of (shrunk, task->n_outputs);
  ht_pass_context_add_row (context, TABLE, subject, "nearest-error", before);
  ht_pass_context_add_row (context, TABLE, subject, "error", fmin (before, after));
  ht_pass_context_add_row (context, TABLE, subject, "range-share",
                           sum_of (shares, task->n_grids) / (double)task->n_grids);
  if (!(after < before))
    ht_pass_context_note (context, subject,
                          "smaller ranges did not lower the error on the held-out samples: they stay");
  return ht_model_state_set_encoding (state, ht_layer_get_weight (task->layer), after < before ? found : task->encoding,
                                      HT_ENCODING_FIXED, error);
}

static gboolean
search_layer (HtSeqmse *self, HtModelState *state, HtPassContext *context, HtSweep *sweep, HtLayer *layer,
              GError **error)
{
  const char *weight = ht_layer_get_weight (layer);
  g_autofree char *subject = ht_node_describe (ht_layer_get_node (layer));
  HtEncodingStatus status = HT_ENCODING_OPEN;
  HtEncoding *known = ht_simulation_get_encoding (ht_sweep_get_simulation (sweep), weight);
  if (ht_model_state_get_encoding (state, weight, &status) == NULL)
    status = HT_ENCODING_OPEN;
  g_autofree char *reason = why_skipped (layer, known, status);
  GCancellable *cancellable = ht_pass_context_get_cancellable (context);

  if (reason != NULL)
    {
      ht_pass_context_skip (context, subject, reason);
      return TRUE;
    }
  g_auto (Task) task = { .layer = layer, .encoding = known };
  task.weight = ht_graph_get_constant (ht_layer_get_graph (layer), weight);
  task.n_outputs = ht_layer_get_n_output_channels (layer);
  task.n_columns = ht_tensor_get_n_elements (task.weight) / MAX (task.n_outputs, 1);
  const double *scales = ht_encoding_get_scales (known, &task.n_grids);
  task.scales = g_memdup2 (scales, task.n_grids * sizeof (double));
  task.offsets = g_memdup2 (ht_encoding_get_offsets (known, NULL), task.n_grids * sizeof (gint64));
  g_autofree double *shares = g_new0 (double, task.n_grids);
  for (gsize g = 0; g < task.n_grids; g++)
    shares[g] = 1.0;
  return ht_sweep_collect_moments (sweep, self->match, MAX (MIN_POSITIONS, POSITIONS_PER_UNKNOWN * task.n_columns),
                                   &task.fitting, &task.held_out, error)
         && search (self, &task, shares, cancellable, error) && settle (&task, state, context, subject, shares, error);
}

static gboolean
ht_seqmse_run (HtPass *pass, HtModelState *state, HtPassContext *context, GError **error)
{
  HtSeqmse *self = HT_SEQMSE (pass);

  ht_model_state_split_reference (state);
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
      if (search_layer (self, state, context, sweep, layer, &local))
        continue;
      if (!ht_sweep_skip_failed (sweep, &local, error))
        return FALSE;
    }
  return ht_pass_context_progress (context, 1, 1, error);
}

static void
ht_seqmse_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  HtSeqmse *self = HT_SEQMSE (object);
  switch (id)
    {
    case PROP_CANDIDATES:
      self->candidates = g_value_get_uint (value);
      break;
    case PROP_SAMPLES:
      self->samples = g_value_get_uint (value);
      break;
    case PROP_INPUT:
      self->input = (HtSweepInput)g_value_get_enum (value);
      break;
    case PROP_MATCH:
      self->match = (HtSweepTarget)g_value_get_enum (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
ht_seqmse_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  HtSeqmse *self = HT_SEQMSE (object);
  switch (id)
    {
    case PROP_CANDIDATES:
      g_value_set_uint (value, self->candidates);
      break;
    case PROP_SAMPLES:
      g_value_set_uint (value, self->samples);
      break;
    case PROP_INPUT:
      g_value_set_enum (value, (gint)self->input);
      break;
    case PROP_MATCH:
      g_value_set_enum (value, (gint)self->match);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
ht_seqmse_class_init (HtSeqmseClass *klass)
{
  GObjectClass *object = G_OBJECT_CLASS (klass);
  HtPassClass *pass = HT_PASS_CLASS (klass);
  object->set_property = ht_seqmse_set_property;
  object->get_property = ht_seqmse_get_property;
  pass->run = ht_seqmse_run;
  properties[PROP_CANDIDATES] = g_param_spec_uint ("candidates", "Candidates",
                                                   "Shares of the full range that are tried", 1, 1000, 20, HT_PARAM_RW);
  properties[PROP_SAMPLES]
      = g_param_spec_uint ("samples", "Samples", "How many calibration samples are used at most; a quarter is held out",
                           1, G_MAXINT, 1024, HT_PARAM_RW);
  properties[PROP_INPUT] = g_param_spec_enum ("input", "Input", "What network a layer's input comes from",
                                              HT_TYPE_SWEEP_INPUT, HT_SWEEP_INPUT_WEIGHTS_ONLY, HT_PARAM_RW);
  properties[PROP_MATCH] = g_param_spec_enum ("match", "Match", "What the output of a layer should be",
                                              HT_TYPE_SWEEP_TARGET, HT_SWEEP_TARGET_LAYER, HT_PARAM_RW);
  g_object_class_install_properties (object, N_PROPERTIES, properties);
  ht_pass_class_set_info (
      pass, "seqmse", "choose the range of each weight grid by the error of the layer's output",
      "A grid that covers the whole range of the weights has wide steps. Layer after layer, with all layers before "
      "quantized, equal shares of the range are tried for each output channel, or for the tensor where it has one "
      "grid, and "
      "the one with the least squared error of the output stays. A layer that does not gain on held-out samples keeps "
      "its "
      "range. Errors follow from the second moments of a layer's inputs.");
  ht_pass_class_add_reference (pass, "AIMET documentation, Sequential MSE");
  ht_pass_class_set_reads (pass, HT_PASS_READS_CALIBRATION_DATA | HT_PASS_READS_WEIGHT_SETTINGS
                                     | HT_PASS_READS_ACTIVATION_SETTINGS | HT_PASS_READS_REFERENCE_NETWORK);
  ht_pass_class_add_rule (pass, HT_RULE_PROVIDES, HT_FACT_WEIGHT_ENCODINGS_FIXED, "the ranges found are to stay", NULL,
                          NULL);
  ht_pass_class_add_rule (pass, HT_RULE_EFFECT, "changes-weight-grid", "ranges of weights shrink", NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_BEFORE, HT_FACT_WEIGHTS_ROUNDED, "rounding starts from the range it is given",
                          NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_REQUIRES_NOT, HT_FACT_WEIGHTS_ROUNDED,
                          "codes were chosen for the grid that this step would move", NULL, NULL);
  ht_pass_class_add_rule (pass, HT_RULE_AFTER, HT_FACT_BATCHNORM_STATISTICS,
                          "folded weights are those that are rounded", NULL, NULL);
}

static void
ht_seqmse_class_finalize (HtSeqmseClass *klass)
{
}

static void
ht_seqmse_init (HtSeqmse *self)
{
}

static gboolean
register_types (GTypeModule *module, HtPlugin *plugin, GError **error)
{
  ht_seqmse_register_type (module);
  ht_plugin_add_pass (plugin, HT_TYPE_SEQMSE);
  return TRUE;
}

HT_PLUGIN_DEFINE ("seqmse", HT_VERSION_S, "MIT", "Sequential MSE", "The Halftone authors", "halftone", NULL,
                  register_types, "HtSeqmse")
