/* SPDX-License-Identifier: MIT */
#include "rounding-comparison.h"

#include "activation.h"
#include "relaxation.h"

#include <math.h>

#define FIT_POSITIONS   ((gsize)65536)
#define JUDGE_POSITIONS ((gsize)16384)
#define VALIDATION      4 /* every which batch of the fitting ones chooses the damping */

#define TYPE_COMPARISON (comparison_get_type ())
GType comparison_get_type (void);
G_DECLARE_FINAL_TYPE (Comparison, comparison, TEST, COMPARISON, HtPass)

struct _Comparison
{
  HtPass parent_instance;
  guint iterations;
  char **layers;
  RoundingComparisonFunc func;
  gpointer user_data;
};

G_DEFINE_FINAL_TYPE (Comparison, comparison, HT_TYPE_PASS)

/* A layer and its samples. */
typedef struct
{
  HtSweep *sweep;
  HtLayer *layer;
  GCancellable *cancellable;
  HtTensor *weight;
  HtEncoding *encoding;
  double *weights; /* as doubles */
  gsize n_rows, n_columns;
  double *bias;
  HtMoments *fitting, *validation, *judge;
  HtSamples *fitting_samples, *validation_samples, *judge_samples;
  GArray *batches; /* that are for fitting */
  Activation *activation;
  const char *loss_tensor;
} Task;

static void
task_clear (Task *self)
{
  g_clear_pointer (&self->weight, ht_tensor_unref);
  g_clear_pointer (&self->encoding, ht_encoding_unref);
  g_clear_pointer (&self->fitting, ht_moments_unref);
  g_clear_pointer (&self->validation, ht_moments_unref);
  g_clear_pointer (&self->judge, ht_moments_unref);
  g_clear_pointer (&self->fitting_samples, ht_samples_unref);
  g_clear_pointer (&self->validation_samples, ht_samples_unref);
  g_clear_pointer (&self->judge_samples, ht_samples_unref);
  g_clear_pointer (&self->batches, g_array_unref);
  g_clear_pointer (&self->activation, activation_free);
  g_free (self->weights);
  g_free (self->bias);
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
    values[i] = (double)((const float *)ht_tensor_get_data (matrix))[i];
  if (n_columns != NULL)
    *n_columns = (gsize)ht_tensor_get_dim (matrix, 1);
  return values;
}

static double
share_of (gsize wanted, gsize count)
{
  return count > wanted ? (double)wanted / (double)count : 1.0;
}

/* Batches are judges, for validation, or for fitting. */
static gboolean
add_batch (Task *self, guint batch, gsize per_batch, GError **error)
{
  g_autoptr (HtTensor) input = NULL, target = NULL;
  gsize fit = MAX (FIT_POSITIONS, 20 * self->n_columns), count = per_batch * self->batches->len;
  guint n_judges = ht_sweep_get_n_batches (self->sweep) - self->batches->len;

  if (!ht_sweep_get_batch (self->sweep, batch, &input, &target, error))
    return FALSE;
  if (ht_sweep_is_held_out (self->sweep, batch))
    return ht_layer_add_moments (self->layer, self->judge, input, target, self->bias, 1.0, batch, error)
           && ht_layer_add_samples (self->layer, self->judge_samples, input, target, self->bias,
                                    share_of (JUDGE_POSITIONS, per_batch * n_judges), batch, error);
  guint index = 0;
  while (g_array_index (self->batches, guint, index) != batch)
    index++;
  gboolean validates = index % VALIDATION == VALIDATION - 1;
  return ht_layer_add_moments (self->layer, validates ? self->validation : self->fitting, input, target, self->bias,
                               share_of (fit, count), batch, error)
         && ht_layer_add_samples (self->layer, validates ? self->validation_samples : self->fitting_samples, input,
                                  target, self->bias, share_of (JUDGE_POSITIONS, count), batch, error);
}

static gboolean
task_init (Task *self, GError **error)
{
  const char *name = ht_layer_get_weight (self->layer);
  HtEncoding *encoding = ht_simulation_get_encoding (ht_sweep_get_simulation (self->sweep), name);
  gsize n_bias;
  g_autoptr (HtTensor) input = NULL, target = NULL;

  self->weight = ht_graph_get_constant (ht_layer_get_graph (self->layer), name);
  self->encoding = ht_encoding_ref (encoding);
  self->weights = read_matrix (self->layer, self->weight, &self->n_columns, error);
  self->n_rows = ht_layer_get_n_output_channels (self->layer);
  self->bias = ht_layer_get_bias_values (self->layer, &n_bias, error);
  HtMoments **moments[] = { &self->fitting, &self->validation, &self->judge };
  for (guint i = 0; i < 3; i++)
    if ((*moments[i] = ht_layer_create_moments (self->layer, error)) == NULL)
      return FALSE;
  HtSamples **samples[] = { &self->fitting_samples, &self->validation_samples, &self->judge_samples };
  for (guint i = 0; i < 3; i++)
    if ((*samples[i] = ht_layer_create_samples (self->layer, JUDGE_POSITIONS, error)) == NULL)
      return FALSE;
  self->batches = g_array_new (FALSE, FALSE, sizeof (guint));
  guint n_batches = ht_sweep_get_n_batches (self->sweep);
  for (guint batch = 0; batch < n_batches; batch++)
    if (!ht_sweep_is_held_out (self->sweep, batch))
      g_array_append_val (self->batches, batch);
  if (!ht_sweep_get_batch (self->sweep, 0, &input, &target, error))
    return FALSE;
  for (guint batch = 0; batch < n_batches; batch++)
    if (!add_batch (self, batch, ht_layer_count_positions (self->layer, target), error))
      return FALSE;
  self->activation = activation_new (self->layer, target, -20, 20, error);
  return self->activation != NULL || (error != NULL && *error == NULL);
}

static double
judge_linear (Task *self, const double *weights)
{
  g_autofree double *errors = ht_moments_get_errors (self->judge, weights, FALSE);
  double sum = 0.0;
  for (gsize row = 0; row < self->n_rows; row++)
    sum += errors[row];
  return sum;
}

/* The same, behind the activation. */
static double
judge_activated (Task *self, const double *weights)
{
  gsize count = ht_samples_get_n_positions (self->judge_samples), n = self->n_columns, sx, sy;
  gsize n_groups = ht_samples_get_n_groups (self->judge_samples), m = self->n_rows / n_groups;
  g_autofree float *values = g_new (float, count);
  g_autofree float *wanted = g_new (float, count);
  double sum = 0.0;

  for (gsize row = 0; row < self->n_rows; row++)
    {
      const float *x = ht_samples_get_inputs (self->judge_samples, row / m, &sx);
      const float *y = ht_samples_get_targets (self->judge_samples, row / m, &sy) + row % m * sy;
      g_autofree double *totals = g_new0 (double, count);
      for (gsize i = 0; i < n; i++)
        for (gsize p = 0; p < count; p++)
          totals[p] += weights[row * n + i] * (double)x[i * sx + p];
      for (gsize p = 0; p < count; p++)
        {
          values[p] = (float)(totals[p] + self->bias[row]);
          wanted[p] = (float)((double)y[p] + self->bias[row]);
        }
      activation_apply (values, count, row, values, NULL, self->activation);
      activation_apply (wanted, count, row, wanted, NULL, self->activation);
      for (gsize p = 0; p < count; p++)
        sum += ((double)values[p] - (double)wanted[p]) * ((double)values[p] - (double)wanted[p]) / (double)count;
    }
  return sum;
}

static HtRoundingGrid *
make_grid (HtEncoding *encoding, GError **error)
{
  gsize n_grids, n_rows = MAX (ht_encoding_get_n_channels (encoding), 1);
  const double *scales = ht_encoding_get_scales (encoding, &n_grids);
  g_autofree double *narrow = g_new (double, n_grids);

  for (gsize i = 0; i < n_grids; i++)
    narrow[i] = (double)(float)scales[i];
  return ht_rounding_grid_new (narrow, ht_encoding_get_offsets (encoding, NULL), n_rows, n_grids / n_rows,
                               ht_encoding_get_n_steps (encoding), error);
}

static gboolean
solve_exactly (Task *self, RoundingComparison *row, GError **error)
{
  g_autoptr (HtRoundingGrid) grid = make_grid (self->encoding, error);
  g_autoptr (HtSolver) solver = ht_solver_new ();
  gint64 start = g_get_monotonic_time ();
  g_autoptr (HtSolution) solution = grid != NULL
                                        ? ht_solver_solve (solver, self->fitting, self->validation, self->weights,
                                                           self->n_rows, grid, self->cancellable, error)
                                        : NULL;
  if (solution == NULL)
    return FALSE;
  row->exact_seconds = (double)(g_get_monotonic_time () - start) / 1e6;
  row->exact = judge_linear (self, ht_solution_get_weights (solution, NULL));
  g_autofree double *nearest = g_new (double, self->n_rows * self->n_columns);
  ht_rounding_grid_round (grid, self->weights, self->n_rows, self->n_columns, nearest);
  row->nearest = judge_linear (self, nearest);
  if (self->activation != NULL)
    {
      start = g_get_monotonic_time ();
      g_autoptr (HtSolution) refined
          = ht_solution_refine (solution, self->fitting, self->fitting_samples, self->validation_samples, self->weights,
                                self->bias, activation_apply, self->activation, NULL, self->cancellable, error);
      if (refined == NULL)
        return FALSE;
      row->refinement_seconds = (double)(g_get_monotonic_time () - start) / 1e6;
      row->unrefined = judge_activated (self, ht_solution_get_weights (solution, NULL));
      row->refined = judge_activated (self, ht_solution_get_weights (refined, NULL));
    }
  g_autoptr (HtTensor) matrix = ht_layer_get_matrix (self->layer, error);
  g_autoptr (HtTensor) rounded = matrix != NULL ? ht_tensor_copy (matrix, error) : NULL;
  if (rounded == NULL)
    return FALSE;
  const double *weights = ht_solution_get_weights (solution, NULL);
  for (gsize i = 0; i < self->n_rows * self->n_columns; i++)
    ((float *)ht_tensor_get_writable_data (rounded))[i] = (float)weights[i];
  return ht_layer_set_matrix (self->layer, rounded, error);
}

static gboolean
get_batch (guint batch, HtTensor **input, HtTensor **target, gpointer user_data, GError **error)
{
  Task *self = user_data;
  g_autoptr (HtTensor) linear = NULL;

  if (!ht_sweep_get_batch (self->sweep, g_array_index (self->batches, guint, batch), input, &linear, error))
    return FALSE;
  *target = ht_tensor_copy (linear, error);
  if (*target == NULL || self->loss_tensor == NULL)
    return *target != NULL;
  /* What the network makes of it. */
  float *values = ht_tensor_get_writable_data (*target);
  gsize n = ht_tensor_get_n_elements (*target);
  gboolean is_conv = ht_layer_get_kind (self->layer) <= HT_LAYER_CONV_TRANSPOSE;
  gsize inner = is_conv ? n / self->n_rows / (gsize)ht_tensor_get_dim (*target, 0) : 1;
  for (gsize i = 0; i < n; i += inner)
    activation_apply (values + i, inner, i / inner % self->n_rows, values + i, NULL, self->activation);
  return TRUE;
}

static gboolean
relax (Task *self, guint iterations, gboolean aware, double *judged, double *seconds, GError **error)
{
  static const char *const op_types[] = { "Relu", "PRelu", "Tanh", "Clip", "Sigmoid", NULL };
  RelaxationSettings settings = { iterations, 0.01, 20, 2, 0.2, 1e-3 };
  const char *output = ht_layer_get_output (self->layer), *name = ht_layer_get_weight (self->layer);
  g_autoptr (HtGraph) graph = ht_graph_copy (ht_layer_get_graph (self->layer));
  gint64 start = g_get_monotonic_time ();

  self->loss_tensor = aware ? activation_follow (self->layer, op_types) : NULL;
  ht_graph_set_initializer (graph, name, self->weight);
  g_autoptr (HtTensor) trained = relaxation_round (
      &settings, graph, ht_layer_get_input (self->layer), aware ? self->loss_tensor : output, name, (guint)self->n_rows,
      self->encoding, self->batches->len, 1, get_batch, self, NULL, NULL, NULL, self->cancellable, error);
  if (trained == NULL)
    return FALSE;
  *seconds = (double)(g_get_monotonic_time () - start) / 1e6;
  g_autoptr (HtTensor) rounded = ht_encoding_fake_quantize (self->encoding, trained, error);
  g_autofree double *weights = rounded != NULL ? read_matrix (self->layer, rounded, NULL, error) : NULL;
  if (weights == NULL)
    return FALSE;
  *judged = aware ? judge_activated (self, weights) : judge_linear (self, weights);
  return TRUE;
}

static gboolean
is_chosen (Comparison *self, const char *name)
{
  gboolean chosen = self->layers == NULL;

  for (char **layer = self->layers; layer != NULL && *layer != NULL; layer++)
    chosen |= strstr (name, *layer) != NULL;
  return chosen;
}

static gboolean
comparison_run (HtPass *pass, HtModelState *state, HtPassContext *context, GError **error)
{
  Comparison *self = TEST_COMPARISON (pass);

  ht_model_state_split_reference (state);
  g_autoptr (HtSweep) sweep = ht_sweep_new (context, state, HT_SWEEP_INPUT_QUANTIZED, 0, error);
  if (sweep == NULL)
    return FALSE;
  for (HtLayer *layer = ht_sweep_next (sweep); layer != NULL; layer = ht_sweep_next (sweep))
    {
      if (!is_chosen (self, ht_node_get_name (ht_layer_get_node (layer))))
        continue;
      g_auto (Task) task = { .sweep = sweep, .layer = layer, .cancellable = ht_pass_context_get_cancellable (context) };
      RoundingComparison row = { .layer = ht_node_get_name (ht_layer_get_node (layer)) };
      double seconds;
      if (!task_init (&task, error) || !solve_exactly (&task, &row, error)
          || !relax (&task, self->iterations, FALSE, &row.relaxation, &row.relaxation_seconds, error))
        return FALSE;
      row.has_activation = task.activation != NULL;
      if (row.has_activation && !relax (&task, self->iterations, TRUE, &row.relaxation_aware, &seconds, error))
        return FALSE;
      if (!ht_model_state_set_encoding (state, ht_layer_get_weight (layer), task.encoding, HT_ENCODING_FIXED, error))
        return FALSE;
      self->func (&row, self->user_data);
    }
  return TRUE;
}

static void
comparison_finalize (GObject *object)
{
  Comparison *self = TEST_COMPARISON (object);
  g_strfreev (self->layers);
  G_OBJECT_CLASS (comparison_parent_class)->finalize (object);
}

static void
comparison_class_init (ComparisonClass *klass)
{
  HtPassClass *pass = HT_PASS_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = comparison_finalize;
  pass->run = comparison_run;
  ht_pass_class_set_info (pass, "rounding-comparison", "round by both solvers", "Rounds by both solvers.");
  ht_pass_class_set_reads (pass, HT_PASS_READS_CALIBRATION_DATA | HT_PASS_READS_WEIGHT_SETTINGS
                                     | HT_PASS_READS_ACTIVATION_SETTINGS | HT_PASS_READS_REFERENCE_NETWORK);
  ht_pass_class_add_rule (pass, HT_RULE_EFFECT, "changes-weights", "weights are rounded", NULL, NULL);
}

static void
comparison_init (Comparison *self)
{
}

HtPass *
rounding_comparison_new (guint iterations, const char *const *layers, RoundingComparisonFunc func, gpointer user_data)
{
  Comparison *self = g_object_new (TYPE_COMPARISON, NULL);

  self->iterations = iterations;
  self->layers = g_strdupv ((char **)layers);
  self->func = func;
  self->user_data = user_data;
  return HT_PASS (self);
}
