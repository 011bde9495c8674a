/* SPDX-License-Identifier: MIT */
/* Runs networks over a data set: accuracy where there are labels, distances where there is a reference. */
#include "data/choices.h"
#include "data/metrics.h"

#include <halftone/error.h>
#include <halftone/executor-group.h>

#include <math.h>

typedef struct
{
  HtExecutorGroup *group;
  guint n_networks;
  HtExecutor *reference; /* NULL: none */
  gboolean is_grouped;   /* the reference is the last one of the group; else it runs before it */
  HtDataset *dataset;
  const char *const *outputs;
  guint n_outputs;
  HtMetrics **metrics;   /* one for each network */
  /* Of the batch at hand */
  guint first, n_samples, n_rows;
  GHashTable *expected; /* the reference's outputs; NULL: not there yet */
  GPtrArray *waiting;   /* outputs of networks that finished before the reference, by network; or NULL */
} Evaluation;

/* Outputs of that many bytes may wait for those of the reference. */
#define MAX_WAITING ((gsize)64 << 20)

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
judge_labels (const Evaluation *self, HtMetrics *metrics, HtTensor *scores, GError **error)
{
  HtTensor *labels = ht_dataset_get_labels (self->dataset);
  gsize n_classes = ht_count_classes (scores, self->n_rows);
  if (labels == NULL)
    return TRUE;
  if (n_classes < 2 || !is_number (scores))
    {
      g_autofree char *found = ht_tensor_describe (scores);
      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
                   "labels were given, but output '%s' is %s, expected a score for each class of each sample ([N, "
                   "classes]); leave the labels out to compare with the floating-point network instead",
                   self->outputs[0], found);
      return FALSE;
    }
  for (guint i = 0; i < self->n_samples; i++)
    {
      double *row = ht_metrics_get_row (metrics, self->first + i);
      gint64 label = ht_tensor_get_int64 (labels, self->first + i);
      if (label < 0 || (gsize)label >= n_classes)
        {
          g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA,
                       "label %" G_GINT64_FORMAT
                       " of sample %u is no class of output '%s', expected 0 to %" G_GSIZE_FORMAT
                       "; give the labels of this network's classes",
                       label, self->first + i, self->outputs[0], n_classes - 1);
          return FALSE;
        }
      gsize rank = rank_of ((const float *)ht_tensor_get_data (scores) + i * n_classes, n_classes, (gsize)label);
      row[HT_COLUMN_TOP1] = rank == 0;
      if (n_classes > 5)
        row[HT_COLUMN_TOP5] = rank < 5;
    }
  return TRUE;
}

static void
judge_choices (const Evaluation *self, HtMetrics *metrics, HtTensor *scores, HtTensor *expected)
{
  gsize n = ht_count_choices (scores, self->n_rows);
  if (n < 2 || ht_count_choices (expected, self->n_rows) != n || !is_number (scores) || !is_number (expected)
      || ht_tensor_get_n_elements (scores) != ht_tensor_get_n_elements (expected)
      || ht_tensor_get_dim (scores, 0) != (gint64)self->n_rows)
    return;
  const float *a = ht_tensor_get_data (scores), *b = ht_tensor_get_data (expected);
  gsize n_choices = ht_tensor_get_n_elements (scores) / self->n_rows / n;
  for (guint i = 0; i < self->n_samples; i++)
    {
      double agreed = 0, divergence = 0;
      for (gsize k = 0; k < n_choices; k++, a += n, b += n)
        {
          agreed += ht_find_best_class (a, n) == ht_find_best_class (b, n);
          divergence += ht_divergence (b, a, n);
        }
      double *row = ht_metrics_get_row (metrics, self->first + i);
      row[HT_COLUMN_AGREED] = agreed;
      row[HT_COLUMN_CHOICES] = (double)n_choices;
      row[HT_COLUMN_KL] = divergence;
    }
}

static void
add_elements (double *sums, HtTensor *value, HtTensor *expected, gsize first, gsize n)
{
  for (gsize i = first; i < first + n; i++)
    {
      double x = ht_tensor_get_double (expected, i), y = ht_tensor_get_double (value, i);
      sums[HT_OUTPUT_SIGNAL] += x * x;
      sums[HT_OUTPUT_OWN] += y * y;
      sums[HT_OUTPUT_DOT] += x * y;
      sums[HT_OUTPUT_NOISE] += (x - y) * (x - y);
      if (!(fabs (x - y) <= sums[HT_OUTPUT_DIFFERENCE]))
        sums[HT_OUTPUT_DIFFERENCE] = isnan (x - y) ? INFINITY : fabs (x - y);
    }
}

/* An output whose rows are no samples counts for the first sample of its batch. */
static gboolean
judge_distance (const Evaluation *self, HtMetrics *metrics, guint output, HtTensor *value, HtTensor *expected,
                GError **error)
{
  gsize n = ht_tensor_get_n_elements (value);
  if (ht_tensor_get_data_type (value) != ht_tensor_get_data_type (expected) || ht_tensor_get_n_elements (expected) != n)
    {
      g_autofree char *found = ht_tensor_describe (value);
      g_autofree char *wanted = ht_tensor_describe (expected);
      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
                   "output '%s' is %s, the reference's is %s, expected the same; compare networks of one architecture",
                   self->outputs[output], found, wanted);
      return FALSE;
    }
  gboolean counts = ht_data_type_is_float (ht_tensor_get_data_type (value));
  gboolean by_sample = ht_tensor_get_n_dims (value) > 0 && ht_tensor_get_dim (value, 0) == (gint64)self->n_rows;
  for (guint i = 0; i < self->n_samples; i++)
    {
      double *sums = ht_metrics_get_row (metrics, self->first + i) + HT_COLUMN_OUTPUTS + HT_OUTPUT_COLUMNS * output;
      for (guint k = 0; k < HT_OUTPUT_COLUMNS; k++)
        sums[k] = 0;
      if (counts && by_sample)
        add_elements (sums, value, expected, i * (n / self->n_rows), n / self->n_rows);
      else if (counts && i == 0)
        add_elements (sums, value, expected, 0, n);
    }
  return TRUE;
}

static gboolean
judge (Evaluation *self, guint index, GHashTable *values, GError **error)
{
  HtMetrics *metrics = self->metrics[index];
  g_autoptr (HtTensor) scores = get_floats (g_hash_table_lookup (values, self->outputs[0]), error);
  if (scores == NULL || !judge_labels (self, metrics, scores, error))
    return FALSE;
  if (self->reference == NULL)
    return TRUE;
  g_autoptr (HtTensor) wanted = get_floats (g_hash_table_lookup (self->expected, self->outputs[0]), error);
  if (wanted == NULL)
    return FALSE;
  judge_choices (self, metrics, scores, wanted);
  for (guint i = 0; i < self->n_outputs; i++)
    if (!judge_distance (self, metrics, i, g_hash_table_lookup (values, self->outputs[i]),
                         g_hash_table_lookup (self->expected, self->outputs[i]), error))
      return FALSE;
  return TRUE;
}

static gboolean
take_results (guint index, GHashTable *results, gpointer user_data, GError **error)
{
  Evaluation *self = user_data;
  if (index < self->n_networks && (self->reference == NULL || self->expected != NULL))
    return judge (self, index, results, error);
  if (index < self->n_networks)
    {
      self->waiting->pdata[index] = g_hash_table_ref (results);
      return TRUE;
    }
  self->expected = g_hash_table_ref (results);
  for (guint i = 0; i < self->n_networks; i++)
    {
      g_autoptr (GHashTable) values = g_steal_pointer (&self->waiting->pdata[i]);
      if (values != NULL && !judge (self, i, values, error))
        return FALSE;
    }
  return TRUE;
}

/* From the second batch on the reference shares work with the networks, if their outputs may wait for its. */
static gboolean
group_reference (Evaluation *self, GError **error)
{
  gsize size = 0;
  GHashTableIter iter;
  gpointer value;
  if (self->is_grouped || self->expected == NULL)
    return TRUE;
  g_hash_table_iter_init (&iter, self->expected);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    size += ht_tensor_get_size (value);
  if (size > MAX_WAITING / self->n_networks || !ht_executor_group_can_add (self->group, self->reference))
    return TRUE;
  self->is_grouped = TRUE;
  return ht_executor_group_add (self->group, self->reference, error);
}

static void
drop_batch (Evaluation *self)
{
  g_clear_pointer (&self->expected, g_hash_table_unref);
  for (guint i = 0; i < self->n_networks; i++)
    g_clear_pointer (&self->waiting->pdata[i], g_hash_table_unref);
}

static gboolean
evaluate_batch (Evaluation *self, guint first, guint n_samples, GCancellable *cancellable, GError **error)
{
  g_autoptr (GHashTable) inputs = ht_dataset_get_batch (self->dataset, first, n_samples, error);
  if (inputs == NULL)
    return FALSE;
  self->first = first;
  self->n_samples = n_samples;
  self->n_rows = MAX (n_samples, ht_dataset_get_batch_size (self->dataset, n_samples));
  if (self->reference != NULL && !self->is_grouped)
    {
      self->expected = ht_executor_run (self->reference, inputs, self->outputs, cancellable, error);
      if (self->expected == NULL)
        return FALSE;
    }
  gboolean fine = ht_executor_group_run (self->group, inputs, self->outputs, take_results, self, cancellable, error)
                  && group_reference (self, error);
  drop_batch (self);
  return fine;
}

static gboolean
evaluate_batches (Evaluation *self, guint batch, HtProgressFunc progress, gpointer user_data, GCancellable *cancellable,
                  GError **error)
{
  guint n = ht_dataset_get_n_samples (self->dataset), step = ht_dataset_get_batch_size (self->dataset, batch);
  for (guint first = 0; first < n; first += step)
    {
      if (!evaluate_batch (self, first, MIN (step, n - first), cancellable, error))
        return FALSE;
      if (progress != NULL)
        progress ((double)MIN (first + step, n) / n, "evaluating", user_data);
    }
  return TRUE;
}

static GPtrArray *
evaluate_group (Evaluation *self, guint batch, HtProgressFunc progress, gpointer user_data, GCancellable *cancellable,
                GError **error)
{
  guint n = ht_dataset_get_n_samples (self->dataset);
  g_autoptr (GPtrArray) list = g_ptr_array_new_with_free_func (g_object_unref);
  self->n_outputs = g_strv_length ((char **)self->outputs);
  if (n == 0 || self->n_outputs == 0)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "nothing to evaluate: the %s",
                   n == 0 ? "data set is empty" : "network has no outputs");
      return NULL;
    }
  for (guint i = 0; i < self->n_networks; i++)
    g_ptr_array_add (list, ht_metrics_new (n, self->reference != NULL ? self->n_outputs : 0));
  self->metrics = (HtMetrics **)list->pdata;
  self->waiting = g_ptr_array_new ();
  g_ptr_array_set_size (self->waiting, (gint)self->n_networks);
  gboolean done = evaluate_batches (self, batch, progress, user_data, cancellable, error);
  drop_batch (self);
  g_ptr_array_unref (self->waiting);
  for (guint i = 0; done && i < self->n_networks; i++)
    ht_metrics_finish (self->metrics[i]);
  return done ? g_steal_pointer (&list) : NULL;
}

/**
 * ht_evaluate_all:
 * @executors: (element-type HtExecutor): networks to measure, at least one, all of one sealed graph: a simulation with
 *   different parts switched on, say
 * @reference: (nullable): the network to compare them with, on the same inputs
 * @dataset: samples, bound to the network
 * @batch: samples at a time; a network that fixes its batch gets that; 0 for a default
 * @progress: (scope call) (nullable) (closure user_data): called as the work goes on
 * @user_data: for @progress
 * @cancellable: (nullable): stops the work
 * @error: return location for an error
 *
 * Measures many networks as ht_evaluate() measures each of them, and gets the same figures; work that they have in
 * common is done once (#HtExecutorGroup).
 *
 * Returns: (transfer full) (element-type HtMetrics): what was measured, in the order of @executors, or %NULL with
 * @error set
 */
GPtrArray *
ht_evaluate_all (GPtrArray *executors, HtExecutor *reference, HtDataset *dataset, guint batch, HtProgressFunc progress,
                 gpointer user_data, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (executors != NULL && executors->len > 0 && HT_IS_DATASET (dataset), NULL);
  g_autoptr (HtExecutorGroup) group = ht_executor_group_new ();
  for (guint i = 0; i < executors->len; i++)
    if (!ht_executor_group_add (group, g_ptr_array_index (executors, i), error))
      return NULL;
  Evaluation self = { .group = group,
                      .n_networks = executors->len,
                      .reference = reference,
                      .dataset = dataset,
                      .outputs = ht_graph_get_outputs (ht_executor_get_graph (g_ptr_array_index (executors, 0))) };
  return evaluate_group (&self, batch, progress, user_data, cancellable, error);
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
 * where it has more axes. The same choices give the Kullback-Leibler divergence of
 * their softmax from the reference's, outputs that are probabilities already are taken as they are. A record of every
 * sample is kept, none of its values. A result that is not a number counts as -infinity decibels.
 *
 * Returns: (transfer full): what was measured, or %NULL with @error set
 */
HtMetrics *
ht_evaluate (HtExecutor *executor, HtExecutor *reference, HtDataset *dataset, guint batch, HtProgressFunc progress,
             gpointer user_data, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (HT_IS_EXECUTOR (executor) && HT_IS_DATASET (dataset), NULL);
  g_autoptr (GPtrArray) executors = g_ptr_array_new ();
  g_ptr_array_add (executors, executor);
  g_autoptr (GPtrArray) list
      = ht_evaluate_all (executors, reference, dataset, batch, progress, user_data, cancellable, error);
  return list != NULL ? g_object_ref (g_ptr_array_index (list, 0)) : NULL;
}
