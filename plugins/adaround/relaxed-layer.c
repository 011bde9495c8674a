/* SPDX-License-Identifier: MIT */
#include "relaxed-layer.h"

#include "activation.h"

#include <math.h>

typedef struct
{
  HtPassContext *context;
  HtSweep *sweep;
  HtLayer *layer;
  HtExecutor *executor;     /* of the layer's network, for its activation */
  const char *output;       /* where the loss is taken */
  GArray *fitting, *judges; /* numbers of batches */
} Task;

static void
task_clear (Task *self)
{
  g_clear_object (&self->executor);
  g_clear_pointer (&self->fitting, g_array_unref);
  g_clear_pointer (&self->judges, g_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Task, task_clear)

/* Behind the activation, if it is of those that the reference looks behind. */
static const char *
find_loss_tensor (HtLayer *layer, gboolean activation)
{
  static const char *const op_types[] = { "Relu", "PRelu", "Tanh", "Clip", "Sigmoid", "Softmax", NULL };
  return activation ? activation_follow (layer, op_types) : ht_layer_get_output (layer);
}

static gboolean
task_init (Task *self, GError **error)
{
  guint n_batches = ht_sweep_get_n_batches (self->sweep);

  self->executor = ht_executor_new (ht_layer_get_graph (self->layer), error);
  self->fitting = g_array_new (FALSE, FALSE, sizeof (guint));
  self->judges = g_array_new (FALSE, FALSE, sizeof (guint));
  for (guint batch = 0; batch < n_batches; batch++)
    g_array_append_val (ht_sweep_is_held_out (self->sweep, batch) ? self->judges : self->fitting, batch);
  return self->executor != NULL;
}

/* Runs a part of a network on one tensor. */
static HtTensor *
run_part (HtExecutor *executor, const char *from, HtTensor *value, const char *to, GCancellable *cancellable,
          GError **error)
{
  const char *const outputs[] = { to, NULL };
  g_autoptr (GHashTable) inputs = g_hash_table_new (g_str_hash, g_str_equal);
  g_hash_table_insert (inputs, (gpointer)from, value);
  g_autoptr (GHashTable) found = ht_executor_run (executor, inputs, outputs, cancellable, error);
  return found != NULL ? ht_tensor_ref (g_hash_table_lookup (found, to)) : NULL;
}

static gboolean
get_samples (Task *self, guint batch, HtTensor **input, HtTensor **target, GError **error)
{
  const char *output = ht_layer_get_output (self->layer);
  g_autoptr (HtTensor) linear = NULL;

  if (!ht_sweep_get_batch (self->sweep, batch, input, &linear, error))
    return FALSE;
  if (g_str_equal (output, self->output))
    *target = g_steal_pointer (&linear);
  else
    *target = run_part (self->executor, output, linear, self->output, ht_pass_context_get_cancellable (self->context),
                        error);
  return *target != NULL;
}

static gboolean
get_batch (guint batch, HtTensor **input, HtTensor **target, gpointer user_data, GError **error)
{
  Task *self = user_data;
  return get_samples (self, g_array_index (self->fitting, guint, batch), input, target, error);
}

static gboolean
report_progress (double fraction, gpointer user_data, GError **error)
{
  Task *self = user_data;
  return ht_sweep_report_progress (self->sweep, fraction, error);
}

/* The mean over positions of the squared error, summed over channels, with another weight. */
static gboolean
measure (Task *self, HtTensor *weight, double *mean, GError **error)
{
  GArray *batches = self->judges->len > 0 ? self->judges : self->fitting;
  g_autoptr (HtGraph) copy = ht_graph_copy (ht_layer_get_graph (self->layer));
  double sum = 0.0, n = 0.0;

  ht_graph_set_initializer (copy, ht_layer_get_weight (self->layer), weight);
  g_autoptr (HtExecutor) executor = ht_executor_new (copy, error);
  for (guint i = 0; executor != NULL && i < batches->len; i++)
    {
      g_autoptr (HtTensor) input = NULL, target = NULL, found = NULL;
      if (!get_samples (self, g_array_index (batches, guint, i), &input, &target, error))
        return FALSE;
      found = run_part (executor, ht_layer_get_input (self->layer), input, self->output,
                        ht_pass_context_get_cancellable (self->context), error);
      if (found == NULL)
        return FALSE;
      const float *a = ht_tensor_get_data (found), *b = ht_tensor_get_data (target);
      gsize n_elements = ht_tensor_get_n_elements (found);
      for (gsize k = 0; k < n_elements; k++)
        sum += ((double)a[k] - (double)b[k]) * ((double)a[k] - (double)b[k]);
      n += (double)n_elements;
    }
  *mean = sum / fmax (n, 1.0) * ht_layer_get_n_output_channels (self->layer);
  return executor != NULL;
}

static double
share_of_others (HtTensor *a, HtTensor *b)
{
  const float *x = ht_tensor_get_data (a), *y = ht_tensor_get_data (b);
  gsize n = ht_tensor_get_n_elements (a), n_others = 0;

  for (gsize i = 0; i < n; i++)
    n_others += x[i] != y[i];
  return (double)n_others / (double)MAX (n, 1);
}

gboolean
relaxed_layer_round (const RelaxationSettings *settings, gboolean activation, HtPassContext *context, HtSweep *sweep,
                     HtLayer *layer, HtEncoding *encoding, guint64 seed, RelaxedLayer *outcome, GError **error)
{
  g_auto (Task) task
      = { .context = context, .sweep = sweep, .layer = layer, .output = find_loss_tensor (layer, activation) };
  HtGraph *graph = ht_layer_get_graph (layer);
  const char *name = ht_layer_get_weight (layer);
  g_autoptr (HtTensor) weight = ht_graph_get_constant (graph, name);
  g_autoptr (HtTensor) nearest = weight != NULL ? ht_encoding_fake_quantize (encoding, weight, error) : NULL;
  RelaxationSettings own = *settings;
  RelaxationOutcome training;

  if (nearest == NULL || !task_init (&task, error))
    return FALSE;
  if (own.iterations == 0)
    own.iterations = relaxation_default_iterations (ht_encoding_get_bits (encoding));
  g_autoptr (HtTensor) trained
      = relaxation_round (&own, graph, ht_layer_get_input (layer), task.output, name,
                          ht_layer_get_n_output_channels (layer), encoding, task.fitting->len, seed, get_batch, &task,
                          report_progress, &task, &training, ht_pass_context_get_cancellable (context), error);
  /* What the simulation will make of it, to the bit. */
  g_autoptr (HtTensor) rounded = trained != NULL ? ht_encoding_fake_quantize (encoding, trained, error) : NULL;
  if (rounded == NULL || !measure (&task, nearest, &outcome->nearest_error, error)
      || !measure (&task, rounded, &outcome->error, error))
    return FALSE;
  outcome->n_undecided = training.n_undecided;
  outcome->is_nearest = !(outcome->error < outcome->nearest_error);
  outcome->moved = outcome->is_nearest ? 0.0 : share_of_others (rounded, nearest);
  if (outcome->is_nearest)
    outcome->error = outcome->nearest_error;
  ht_graph_set_initializer (graph, name, outcome->is_nearest ? nearest : rounded);
  return TRUE;
}
