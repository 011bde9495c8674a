/* SPDX-License-Identifier: MIT */
#include "relaxation.h"

#include "relaxed-rounding.h"

#include <math.h>

/* Iterations between two reports of progress, and those that the outcome's losses are means of. */
#define STRIDE 100

guint
relaxation_default_iterations (guint bits)
{
  return bits < 8 ? 15000 : 10000;
}

double
relaxation_get_beta (const RelaxationSettings *settings, guint iteration)
{
  double warm = settings->warm_start * settings->iterations;
  if (iteration < warm)
    return 0.0;
  double t = (iteration - warm) / (settings->iterations - warm);
  return settings->beta_end + 0.5 * (settings->beta_start - settings->beta_end) * (1.0 + cos (G_PI * t));
}

typedef struct
{
  const RelaxationSettings *settings;
  HtGradient *gradient;
  HtOptimizer *optimizer;
  HtLoss *loss;
  RelaxedRounding *rounding;
  HtTensor *alphas;
  const char *input, *output, *weight;
  double n_channels;
  GRand *random;
  guint *order; /* of the batches in this round */
  guint n_batches;
} Training;

static void
training_clear (Training *self)
{
  g_clear_object (&self->gradient);
  g_clear_object (&self->optimizer);
  g_clear_object (&self->loss);
  g_clear_pointer (&self->rounding, relaxed_rounding_free);
  g_clear_pointer (&self->alphas, ht_tensor_unref);
  g_clear_pointer (&self->random, g_rand_free);
  g_clear_pointer (&self->order, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Training, training_clear)

static gboolean
training_init (Training *self, HtGraph *graph, HtEncoding *grid, guint64 seed, GError **error)
{
  const char *const tensors[] = { self->weight, NULL };
  guint32 words[2] = { (guint32)seed, (guint32)(seed >> 32) };
  g_autoptr (HtTensor) weight = ht_graph_get_constant (graph, self->weight);

  self->rounding = relaxed_rounding_new (weight, grid, error);
  self->alphas = self->rounding != NULL ? relaxed_rounding_start (self->rounding, weight, error) : NULL;
  self->gradient = self->alphas != NULL ? ht_gradient_new (graph, tensors, error) : NULL;
  if (self->gradient == NULL)
    return FALSE;
  self->optimizer = ht_optimizer_new_adam (self->settings->learning_rate, 0.9, 0.999, 1e-8, 0.0);
  self->loss = ht_loss_new_mean_squared_error ();
  self->random = g_rand_new_with_seed_array (words, G_N_ELEMENTS (words));
  self->order = g_new (guint, self->n_batches);
  for (guint i = 0; i < self->n_batches; i++)
    self->order[i] = i;
  return TRUE;
}

/* The batch of an iteration; every round has an order of its own. */
static guint
choose_batch (Training *self, guint iteration)
{
  guint at = iteration % self->n_batches;

  for (guint i = 0; at == 0 && i + 1 < self->n_batches; i++)
    {
      guint k = i + (guint)(g_rand_double (self->random) * (self->n_batches - i)), held = self->order[i];
      self->order[i] = self->order[k];
      self->order[k] = held;
    }
  return self->order[at];
}

/* A new tensor every time: what the gradient holds as its parameter must not change under it. */
static HtTensor *
make_weight (Training *self, gboolean hard, GError **error)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (self->alphas, &n_dims);
  HtTensor *weight = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims, n_dims, error);

  if (weight != NULL)
    relaxed_rounding_apply (self->rounding, ht_tensor_get_data (self->alphas), hard,
                            ht_tensor_get_writable_data (weight));
  return weight;
}

static gboolean
run_iteration (Training *self, guint iteration, RelaxationBatchFunc get_batch, gpointer batch_data, double *loss,
               GCancellable *cancellable, GError **error)
{
  g_autoptr (HtTensor) weight = make_weight (self, FALSE, error);
  g_autoptr (HtTensor) input = NULL, target = NULL, gradient = NULL, moved = NULL;
  g_autoptr (HtGradientResult) result = NULL;
  g_autoptr (GHashTable) inputs = NULL;
  double beta = relaxation_get_beta (self->settings, iteration);

  if (weight == NULL || !ht_gradient_set_parameter (self->gradient, self->weight, weight, error)
      || !get_batch (choose_batch (self, iteration), &input, &target, batch_data, error))
    return FALSE;
  inputs = g_hash_table_new (g_str_hash, g_str_equal);
  g_hash_table_insert (inputs, (gpointer)self->input, input);
  /* A mean over samples and positions of a sum over channels. */
  result = ht_gradient_run_losses (self->gradient, inputs, &self->output, &self->loss, &target, &self->n_channels, 1,
                                   NULL, cancellable, error);
  if (result == NULL)
    return FALSE;
  *loss = ht_gradient_result_get_loss (result);
  gradient = ht_tensor_copy (ht_gradient_result_get_gradient (result, self->weight), error);
  if (gradient == NULL)
    return FALSE;
  relaxed_rounding_differentiate (self->rounding, ht_tensor_get_data (self->alphas),
                                  beta > 0.0 ? (float)self->settings->regularization : 0.0f,
                                  beta > 0.0 ? (float)beta : 1.0f, ht_tensor_get_writable_data (gradient));
  moved = ht_optimizer_update (self->optimizer, self->weight, self->alphas, gradient, error);
  if (moved == NULL)
    return FALSE;
  ht_tensor_unref (self->alphas);
  self->alphas = g_steal_pointer (&moved);
  return TRUE;
}

HtTensor *
relaxation_round (const RelaxationSettings *settings, HtGraph *graph, const char *input, const char *output,
                  const char *weight, guint n_channels, HtEncoding *grid, guint n_batches, guint64 seed,
                  RelaxationBatchFunc get_batch, gpointer batch_data, RelaxationProgressFunc progress,
                  gpointer progress_data, RelaxationOutcome *outcome, GCancellable *cancellable, GError **error)
{
  g_auto (Training) training = { .settings = settings,
                                 .input = input,
                                 .output = output,
                                 .weight = weight,
                                 .n_channels = n_channels,
                                 .n_batches = n_batches };
  double sums[2] = { 0.0, 0.0 };

  g_return_val_if_fail (n_batches > 0 && settings->iterations > 0, NULL);

  if (!training_init (&training, graph, grid, seed, error))
    return NULL;
  for (guint i = 0; i < settings->iterations; i++)
    {
      double loss;

      if (i % STRIDE == 0 && progress != NULL && !progress ((double)i / settings->iterations, progress_data, error))
        return NULL;
      if (!run_iteration (&training, i, get_batch, batch_data, &loss, cancellable, error))
        return NULL;
      if (i < STRIDE)
        sums[0] += loss;
      if (i + STRIDE >= settings->iterations)
        sums[1] += loss;
    }
  if (outcome != NULL)
    {
      double n = MIN (STRIDE, settings->iterations);
      outcome->first_loss = sums[0] / n;
      outcome->last_loss = sums[1] / n;
      outcome->n_undecided = relaxed_rounding_count_undecided (training.rounding, ht_tensor_get_data (training.alphas));
    }
  return make_weight (&training, TRUE, error);
}
