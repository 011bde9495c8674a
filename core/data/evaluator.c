/* SPDX-License-Identifier: MIT */
/* Runs a network over a data set: accuracy where there are labels, distances where there is a reference. */
#include "data/metrics.h"

#include <halftone/error.h>

#include <math.h>

/* Sums over all samples of one output, against the reference's. */
typedef struct
{
  double signal, noise, dot, own, difference;
} Distance;

typedef struct
{
  HtExecutor *executor, *reference;
  HtDataset *dataset;
  const char *const *outputs;
  Distance *distances; /* one for each output */
  gsize n_classes;
  guint64 n_top1, n_top5, n_agree, n_classified;
} Evaluation;

/* How many classes the scores of a sample have: everything but the first axis, of which one may be longer than 1. */
static gsize
count_classes (HtTensor *scores, guint batch)
{
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (scores, &n_dims);
  guint n_long = 0;
  if (n_dims < 2 || dims[0] != (gint64)batch)
    return 0;
  for (guint i = 1; i < n_dims; i++)
    n_long += dims[i] > 1;
  return n_long <= 1 ? ht_tensor_get_n_elements (scores) / batch : 0;
}

/* The scores that an arg max is taken of: the classes of a sample, or the last axis where there are more axes (anchors,
 * positions). 0: none. */
static gsize
count_choices (HtTensor *scores, guint batch)
{
  guint n_dims = ht_tensor_get_n_dims (scores);
  gsize n_classes = count_classes (scores, batch);
  return n_classes > 0 || n_dims < 2 ? n_classes : (gsize)ht_tensor_get_dim (scores, n_dims - 1);
}

/* The first of the largest, as argmax does; NaN is never the largest. */
static gsize
best_class (const float *scores, gsize n)
{
  gsize best = 0;
  for (gsize i = 1; i < n; i++)
    if (scores[i] > scores[best] || (isnan (scores[best]) && !isnan (scores[i])))
      best = i;
  return best;
}

/* How many classes come before this one. */
static gsize
rank_of (const float *scores, gsize n, gsize class)
{
  gsize rank = 0;
  if (isnan (scores[class]))
    return n;
  for (gsize i = 0; i < n; i++)
    rank += scores[i] > scores[class] || (scores[i] == scores[class] && i < class);
  return rank;
}

/* Scores of any floating-point type as floats; other types choose nothing. */
static HtTensor *
get_floats (HtTensor *scores, GError **error)
{
  HtDataType type = ht_tensor_get_data_type (scores);
  if (type == HT_DATA_TYPE_FLOAT || !ht_data_type_is_float (type))
    return ht_tensor_ref (scores);
  return ht_tensor_cast (scores, HT_DATA_TYPE_FLOAT, error);
}

static gboolean
is_number (HtTensor *scores)
{
  return ht_tensor_get_data_type (scores) == HT_DATA_TYPE_FLOAT;
}

static gboolean
count_accuracy (Evaluation *self, HtTensor *scores, guint first, guint n_samples, guint n_rows, GError **error)
{
  HtTensor *labels = ht_dataset_get_labels (self->dataset);
  gsize n_classes = count_classes (scores, n_rows);
  if (labels == NULL)
    return TRUE;
  self->n_classes = n_classes;
  if (n_classes < 2 || !is_number (scores))
    {
      g_autofree char *found = ht_tensor_describe (scores);
      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
                   "labels were given, but output '%s' is %s, expected a score for each class of each sample ([N, "
                   "classes]); leave the labels out to compare with the floating-point network instead",
                   self->outputs[0], found);
      return FALSE;
    }
  for (guint i = 0; i < n_samples; i++)
    {
      gint64 label = ht_tensor_get_int64 (labels, first + i);
      if (label < 0 || (gsize)label >= n_classes)
        {
          g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                       "label %" G_GINT64_FORMAT
                       " of sample %u is no class of output '%s', expected 0 to %" G_GSIZE_FORMAT
                       "; give the labels of this network's classes",
                       label, first + i, self->outputs[0], n_classes - 1);
          return FALSE;
        }
      gsize rank = rank_of ((const float *)ht_tensor_get_data (scores) + i * n_classes, n_classes, (gsize)label);
      self->n_top1 += rank == 0;
      self->n_top5 += rank < 5;
    }
  return TRUE;
}

static void
count_agreement (Evaluation *self, HtTensor *scores, HtTensor *expected, guint n_samples, guint n_rows)
{
  gsize n = count_choices (scores, n_rows);
  if (n < 2 || count_choices (expected, n_rows) != n || !is_number (scores) || !is_number (expected)
      || ht_tensor_get_n_elements (scores) != ht_tensor_get_n_elements (expected)
      || ht_tensor_get_dim (scores, 0) != (gint64)n_rows)
    return;
  const float *a = ht_tensor_get_data (scores), *b = ht_tensor_get_data (expected);
  gsize n_choices = ht_tensor_get_n_elements (scores) / n_rows * n_samples / n;
  for (gsize i = 0; i < n_choices; i++)
    self->n_agree += best_class (a + i * n, n) == best_class (b + i * n, n);
  self->n_classified += n_choices;
}

static gboolean
add_distance (Distance *sum, const char *name, HtTensor *value, HtTensor *expected, guint n_samples, guint n_rows,
              GError **error)
{
  gsize n = ht_tensor_get_n_elements (value);
  if (ht_tensor_get_data_type (value) != ht_tensor_get_data_type (expected) || ht_tensor_get_n_elements (expected) != n)
    {
      g_autofree char *found = ht_tensor_describe (value);
      g_autofree char *wanted = ht_tensor_describe (expected);
      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
                   "output '%s' is %s, the reference's is %s, expected the same; compare networks of one architecture",
                   name, found, wanted);
      return FALSE;
    }
  if (!ht_data_type_is_float (ht_tensor_get_data_type (value)))
    return TRUE;
  if (ht_tensor_get_n_dims (value) > 0 && ht_tensor_get_dim (value, 0) == (gint64)n_rows)
    n = n / n_rows * n_samples; /* rows that only fill the batch do not count */
  for (gsize i = 0; i < n; i++)
    {
      double x = ht_tensor_get_double (expected, i), y = ht_tensor_get_double (value, i);
      sum->signal += x * x;
      sum->own += y * y;
      sum->dot += x * y;
      sum->noise += (x - y) * (x - y);
      if (!(fabs (x - y) <= sum->difference))
        sum->difference = isnan (x - y) ? INFINITY : fabs (x - y);
    }
  return TRUE;
}

static gboolean
evaluate_batch (Evaluation *self, guint first, guint n_samples, GCancellable *cancellable, GError **error)
{
  g_autoptr (GHashTable) inputs = ht_dataset_get_batch (self->dataset, first, n_samples, error);
  if (inputs == NULL)
    return FALSE;
  guint n_rows = MAX (n_samples, ht_dataset_get_batch_size (self->dataset, n_samples));
  g_autoptr (GHashTable) values = ht_executor_run (self->executor, inputs, self->outputs, cancellable, error);
  if (values == NULL)
    return FALSE;
  g_autoptr (HtTensor) scores = get_floats (g_hash_table_lookup (values, self->outputs[0]), error);
  if (scores == NULL || !count_accuracy (self, scores, first, n_samples, n_rows, error))
    return FALSE;
  if (self->reference == NULL)
    return TRUE;
  g_autoptr (GHashTable) expected = ht_executor_run (self->reference, inputs, self->outputs, cancellable, error);
  if (expected == NULL)
    return FALSE;
  g_autoptr (HtTensor) wanted = get_floats (g_hash_table_lookup (expected, self->outputs[0]), error);
  if (wanted == NULL)
    return FALSE;
  count_agreement (self, scores, wanted, n_samples, n_rows);
  for (guint i = 0; self->outputs[i] != NULL; i++)
    if (!add_distance (&self->distances[i], self->outputs[i], g_hash_table_lookup (values, self->outputs[i]),
                       g_hash_table_lookup (expected, self->outputs[i]), n_samples, n_rows, error))
      return FALSE;
  return TRUE;
}

/* The interval of Wilson (1927) for a share of n, at 95 %. */
static void
set_accuracy (HtMetrics *metrics, guint64 n_right, guint n)
{
  const double z = 1.959963984540054;
  double p = (double)n_right / n, z2n = z * z / n;
  double centre = p + z2n / 2, reach = z * sqrt (p * (1 - p) / n + z2n / (4 * n));
  ht_metrics_set (metrics, "top1", p);
  ht_metrics_set (metrics, "top1-low", fmax (0, (centre - reach) / (1 + z2n)));
  ht_metrics_set (metrics, "top1-high", fmin (1, (centre + reach) / (1 + z2n)));
}

static void
set_distances (HtMetrics *metrics, const Evaluation *self, guint n_outputs)
{
  double sqnr = INFINITY, cosine = 1, difference = 0;
  for (guint i = 0; i < n_outputs; i++)
    {
      const Distance *sum = &self->distances[i];
      double product = sqrt (sum->signal * sum->own);
      double ratio = sum->noise > 0 ? 10 * log10 (sum->signal / sum->noise) : isnan (sum->noise) ? -INFINITY : INFINITY;
      sqnr = fmin (sqnr, ratio);
      cosine = fmin (cosine, product > 0 ? sum->dot / product : sum->noise == 0 ? 1 : 0);
      difference = fmax (difference, sum->difference);
    }
  ht_metrics_set (metrics, "sqnr", sqnr);
  ht_metrics_set (metrics, "cosine", cosine);
  ht_metrics_set (metrics, "max-difference", difference);
  if (self->n_classified > 0)
    ht_metrics_set (metrics, "agreement", (double)self->n_agree / (double)self->n_classified);
}

/**
 * ht_evaluate:
 * @executor: the network to measure
 * @reference: (nullable): the network to compare it with, on the same inputs
 * @dataset: samples, bound to the network
 * @batch: samples at a time; a network that fixes its batch gets that; 0 for a default
 * @progress: (scope call) (nullable) (closure user_data): called as the work goes on
 * @user_data: for @progress
 * @cancellable: (nullable): stops the work
 * @error: return location for an error
 *
 * Runs the network over all samples. With labels, the first output's arg max is compared with them (of equal scores the
 * first class wins), top-5 only where there are more than 5 classes. With a reference, all floating-point outputs are
 * compared: the signal-to-noise ratio is 10 log10 (sum of squares / sum of squared differences) over all samples, the
 * lowest of all outputs; agreement is that of the first output's arg max along its classes, or along its last axis
 * where it has more axes. Nothing but sums is kept. A result that is not a number counts as -infinity decibels.
 *
 * Returns: (transfer full): what was measured, or %NULL with @error set
 */
HtMetrics *
ht_evaluate (HtExecutor *executor, HtExecutor *reference, HtDataset *dataset, guint batch, HtProgressFunc progress,
             gpointer user_data, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (HT_IS_EXECUTOR (executor) && HT_IS_DATASET (dataset), NULL);
  guint n = ht_dataset_get_n_samples (dataset), step = ht_dataset_get_batch_size (dataset, batch);
  Evaluation self = { .executor = executor, .reference = reference, .dataset = dataset };
  self.outputs = ht_graph_get_outputs (ht_executor_get_graph (executor));
  guint n_outputs = g_strv_length ((char **)self.outputs);
  if (n == 0 || n_outputs == 0)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "nothing to evaluate: the %s",
                   n == 0 ? "data set is empty" : "network has no outputs");
      return NULL;
    }
  g_autofree Distance *distances = g_new0 (Distance, n_outputs);
  self.distances = distances;
  for (guint first = 0; first < n; first += step)
    {
      if (!evaluate_batch (&self, first, MIN (step, n - first), cancellable, error))
        return NULL;
      if (progress != NULL)
        progress ((double)MIN (first + step, n) / n, "evaluating", user_data);
    }
  HtMetrics *metrics = ht_metrics_new (n);
  if (ht_dataset_get_labels (dataset) != NULL)
    {
      set_accuracy (metrics, self.n_top1, n);
      if (self.n_classes > 5)
        ht_metrics_set (metrics, "top5", (double)self.n_top5 / n);
    }
  if (reference != NULL)
    set_distances (metrics, &self, n_outputs);
  return metrics;
}
