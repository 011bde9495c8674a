/* SPDX-License-Identifier: MIT */
/* Metrics follow from the records of the samples, so that parts of an evaluation can be joined and two evaluations of
 * the same samples compared in pairs. */
#include "data/metrics.h"

#include "base/quantile.h"

#include <math.h>
#include <string.h>

typedef enum
{
  METRIC_TOP1,
  METRIC_TOP1_LOW,
  METRIC_TOP1_HIGH,
  METRIC_TOP5,
  METRIC_AGREEMENT,
  METRIC_KL,
  METRIC_SQNR,
  METRIC_COSINE,
  METRIC_MAX_DIFFERENCE,
  METRIC_SCORE,
  N_METRICS,
} Metric;

static const char *const names[N_METRICS]
    = { "top1", "top1-low", "top1-high", "top5", "agreement", "kl", "sqnr", "cosine", "max-difference", "external" };

/**
 * HtMetrics:
 *
 * What an evaluation found, by name. Accuracies are fractions of 1. What was not measured is NaN. A record of every
 * sample is kept, so that two evaluations of the same samples can be compared in pairs: ht_metrics_compare().
 */
struct _HtMetrics
{
  GObject parent_instance;
  guint n_samples, n_outputs;
  double *rows;
  double values[N_METRICS];
  guint worst[2]; /* the outputs that give sqnr and cosine */
};

G_DEFINE_FINAL_TYPE (HtMetrics, ht_metrics, G_TYPE_OBJECT)

static void
ht_metrics_finalize (GObject *object)
{
  g_free (HT_METRICS (object)->rows);
  G_OBJECT_CLASS (ht_metrics_parent_class)->finalize (object);
}

static void
ht_metrics_class_init (HtMetricsClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_metrics_finalize;
}

static void
ht_metrics_init (HtMetrics *self)
{
  for (gsize i = 0; i < N_METRICS; i++)
    self->values[i] = NAN;
}

static gsize
count_columns (HtMetrics *self)
{
  return HT_COLUMN_OUTPUTS + (gsize)HT_OUTPUT_COLUMNS * self->n_outputs;
}

HtMetrics *
ht_metrics_new (guint n_samples, guint n_outputs)
{
  HtMetrics *self = g_object_new (HT_TYPE_METRICS, NULL);
  self->n_samples = n_samples;
  self->n_outputs = n_outputs;
  gsize n = n_samples * count_columns (self);
  self->rows = g_new (double, n);
  for (gsize i = 0; i < n; i++)
    self->rows[i] = NAN;
  return self;
}

double *
ht_metrics_get_row (HtMetrics *self, guint sample)
{
  return self->rows + sample * count_columns (self);
}

static double
sum_column (HtMetrics *self, gsize column)
{
  double sum = 0;
  for (guint i = 0; i < self->n_samples; i++)
    sum += ht_metrics_get_row (self, i)[column];
  return sum;
}

static gsize
output_column (guint output, HtOutputColumn column)
{
  return HT_COLUMN_OUTPUTS + (gsize)HT_OUTPUT_COLUMNS * output + column;
}

/* The interval of Wilson (1927) for a share of n, at 95 %. */
static void
set_accuracy (HtMetrics *self)
{
  const double z = ht_normal_quantile (0.975);
  double n = self->n_samples;
  double p = sum_column (self, HT_COLUMN_TOP1) / n, z2n = z * z / n;
  double centre = p + z2n / 2, reach = z * sqrt (p * (1 - p) / n + z2n / (4 * n));
  if (isnan (p))
    return;
  self->values[METRIC_TOP1] = p;
  self->values[METRIC_TOP1_LOW] = fmax (0, (centre - reach) / (1 + z2n));
  self->values[METRIC_TOP1_HIGH] = fmin (1, (centre + reach) / (1 + z2n));
  self->values[METRIC_TOP5] = sum_column (self, HT_COLUMN_TOP5) / n;
}

static double
max_difference (HtMetrics *self, guint output)
{
  double largest = 0;
  for (guint i = 0; i < self->n_samples; i++)
    largest = fmax (largest, ht_metrics_get_row (self, i)[output_column (output, HT_OUTPUT_DIFFERENCE)]);
  return largest;
}

static void
set_distances (HtMetrics *self)
{
  double sqnr = INFINITY, cosine = INFINITY, difference = 0;
  for (guint i = 0; i < self->n_outputs; i++)
    {
      double sums[HT_OUTPUT_COLUMNS];
      for (guint k = 0; k < HT_OUTPUT_DIFFERENCE; k++)
        sums[k] = sum_column (self, output_column (i, (HtOutputColumn)k));
      double noise = sums[HT_OUTPUT_NOISE], product = sqrt (sums[HT_OUTPUT_SIGNAL] * sums[HT_OUTPUT_OWN]);
      double ratio = noise > 0 ? 10 * log10 (sums[HT_OUTPUT_SIGNAL] / noise) : isnan (noise) ? -INFINITY : INFINITY;
      double angle = product > 0 ? sums[HT_OUTPUT_DOT] / product : noise == 0 ? 1 : 0;
      if (ratio < sqnr)
        self->worst[0] = i;
      if (angle < cosine)
        self->worst[1] = i;
      sqnr = fmin (sqnr, ratio);
      cosine = fmin (cosine, angle);
      difference = fmax (difference, max_difference (self, i));
    }
  self->values[METRIC_SQNR] = sqnr;
  self->values[METRIC_COSINE] = fmin (cosine, 1);
  self->values[METRIC_MAX_DIFFERENCE] = difference;
}

void
ht_metrics_finish (HtMetrics *self)
{
  double n_choices = sum_column (self, HT_COLUMN_CHOICES);
  self->values[METRIC_SCORE] = sum_column (self, HT_COLUMN_SCORE) / self->n_samples;
  set_accuracy (self);
  if (n_choices > 0)
    {
      self->values[METRIC_AGREEMENT] = sum_column (self, HT_COLUMN_AGREED) / n_choices;
      self->values[METRIC_KL] = sum_column (self, HT_COLUMN_KL) / n_choices;
    }
  if (self->n_outputs > 0)
    set_distances (self);
}

HtMetrics *
ht_metrics_join (HtMetrics *const *parts, guint n_parts)
{
  guint n_samples = 0;
  for (guint i = 0; i < n_parts; i++)
    {
      g_return_val_if_fail (parts[i]->n_outputs == parts[0]->n_outputs, NULL);
      n_samples += parts[i]->n_samples;
    }
  HtMetrics *self = ht_metrics_new (n_samples, parts[0]->n_outputs);
  guint first = 0;
  for (guint i = 0; i < n_parts; i++)
    {
      memcpy (ht_metrics_get_row (self, first), parts[i]->rows,
              parts[i]->n_samples * count_columns (self) * sizeof (double));
      first += parts[i]->n_samples;
    }
  ht_metrics_finish (self);
  return self;
}

HtMetrics *
ht_metrics_new_score (double score)
{
  HtMetrics *self = ht_metrics_new (1, 0);
  ht_metrics_get_row (self, 0)[HT_COLUMN_SCORE] = score;
  ht_metrics_finish (self);
  return self;
}

GVariant *
ht_metrics_to_variant (HtMetrics *self)
{
  GVariant *rows = g_variant_new_fixed_array (G_VARIANT_TYPE_DOUBLE, self->rows, self->n_samples * count_columns (self),
                                              sizeof (double));
  return g_variant_new ("(uu@ad)", self->n_samples, self->n_outputs, rows);
}

HtMetrics *
ht_metrics_new_from_variant (GVariant *variant)
{
  guint n_samples, n_outputs;
  gsize n;
  g_autoptr (GVariant) rows = NULL;
  if (!g_variant_is_of_type (variant, G_VARIANT_TYPE ("(uuad)")))
    return NULL;
  g_variant_get (variant, "(uu@ad)", &n_samples, &n_outputs, &rows);
  const double *values = g_variant_get_fixed_array (rows, &n, sizeof (double));
  gsize n_columns = HT_COLUMN_OUTPUTS + (gsize)HT_OUTPUT_COLUMNS * n_outputs;
  if (n_samples == 0 || n / n_columns != n_samples || n % n_columns != 0)
    return NULL;
  HtMetrics *self = ht_metrics_new (n_samples, n_outputs);
  memcpy (self->rows, values, n * sizeof (double));
  ht_metrics_finish (self);
  return self;
}

static gssize
find_metric (const char *name)
{
  for (gsize i = 0; i < N_METRICS; i++)
    if (g_str_equal (names[i], name))
      return (gssize)i;
  return -1;
}

/**
 * ht_metrics_list:
 * @self: metrics
 *
 * Returns: (transfer full) (array zero-terminated=1): the names of what was measured
 */
char **
ht_metrics_list (HtMetrics *self)
{
  g_return_val_if_fail (HT_IS_METRICS (self), NULL);
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  for (gsize i = 0; i < N_METRICS; i++)
    if (!isnan (self->values[i]))
      g_strv_builder_add (builder, names[i]);
  return g_strv_builder_end (builder);
}

/**
 * ht_metrics_get:
 * @self: metrics
 * @name: a metric: top1, top5 (fractions of 1), top1-low, top1-high (95 % interval, Wilson 1927), agreement (share of
 *   choices that are the reference's), kl (mean Kullback-Leibler divergence of a choice's distribution from the
 *   reference's, nats), sqnr (dB, the lowest of all outputs), cosine, max-difference, external (what a program printed)
 *
 * Returns: its value, NaN where it was not measured or there is no such metric
 */
double
ht_metrics_get (HtMetrics *self, const char *name)
{
  g_return_val_if_fail (HT_IS_METRICS (self) && name != NULL, NAN);
  gssize i = find_metric (name);
  return i >= 0 ? self->values[i] : NAN;
}

/**
 * ht_metrics_get_n_samples:
 * @self: metrics
 *
 * Returns: the number of samples they come from
 */
guint
ht_metrics_get_n_samples (HtMetrics *self)
{
  g_return_val_if_fail (HT_IS_METRICS (self), 0);
  return self->n_samples;
}

/**
 * ht_metrics_to_json:
 * @self: metrics
 *
 * What was measured, as JSON: a member `samples` and one for each metric. JSON has no infinity: it is the word
 * "infinite" or "-infinite".
 *
 * Returns: (transfer full): an object
 */
JsonNode *
ht_metrics_to_json (HtMetrics *self)
{
  g_return_val_if_fail (HT_IS_METRICS (self), NULL);
  JsonObject *object = json_object_new ();
  json_object_set_int_member (object, "samples", self->n_samples);
  for (gsize i = 0; i < N_METRICS; i++)
    if (isfinite (self->values[i]))
      json_object_set_double_member (object, names[i], self->values[i]);
    else if (isinf (self->values[i]))
      json_object_set_string_member (object, names[i], self->values[i] > 0 ? "infinite" : "-infinite");
  JsonNode *node = json_node_new (JSON_NODE_OBJECT);
  json_node_take_object (node, object);
  return node;
}

/* How much each sample moves the metric: the metric is `value` plus the mean of the influences, to first order (the
 * influence function; Hampel 1974). A metric that is a mean has its deviations here. FALSE: it is not such a metric. */
static gboolean
get_influences (HtMetrics *self, Metric metric, double *influence)
{
  double n = self->n_samples, scale, sums[HT_OUTPUT_COLUMNS];
  gsize first = output_column (self->worst[metric == METRIC_COSINE], HT_OUTPUT_SIGNAL);
  if (isnan (self->values[metric]))
    return FALSE;
  for (guint k = 0; self->n_outputs > 0 && k < HT_OUTPUT_DIFFERENCE; k++)
    sums[k] = sum_column (self, first + k) / n;
  scale = sum_column (self, HT_COLUMN_CHOICES) / n;
  for (guint i = 0; i < self->n_samples; i++)
    {
      const double *row = ht_metrics_get_row (self, i), *output = row + first;
      switch (metric)
        {
        case METRIC_TOP1:
          influence[i] = row[HT_COLUMN_TOP1];
          break;
        case METRIC_TOP5:
          influence[i] = row[HT_COLUMN_TOP5];
          break;
        case METRIC_SCORE:
          influence[i] = row[HT_COLUMN_SCORE];
          break;
        case METRIC_AGREEMENT:
          influence[i] = (row[HT_COLUMN_AGREED] - self->values[metric] * row[HT_COLUMN_CHOICES]) / scale;
          break;
        case METRIC_KL:
          influence[i] = (row[HT_COLUMN_KL] - self->values[metric] * row[HT_COLUMN_CHOICES]) / scale;
          break;
        case METRIC_SQNR:
          influence[i]
              = 10 / G_LN10
                * (output[HT_OUTPUT_SIGNAL] / sums[HT_OUTPUT_SIGNAL] - output[HT_OUTPUT_NOISE] / sums[HT_OUTPUT_NOISE]);
          break;
        case METRIC_COSINE:
          influence[i]
              = self->values[metric]
                * (output[HT_OUTPUT_DOT] / sums[HT_OUTPUT_DOT]
                   - (output[HT_OUTPUT_SIGNAL] / sums[HT_OUTPUT_SIGNAL] + output[HT_OUTPUT_OWN] / sums[HT_OUTPUT_OWN])
                         / 2);
          break;
        default:
          return FALSE;
        }
    }
  return TRUE;
}

/* Paired shares: the Wald interval after half a sample was added to each of the four cells (Agresti and Min, 2005). */
static void
compare_shares (HtMetrics *a, HtMetrics *b, gsize column, double confidence, double *low, double *high)
{
  double n = a->n_samples + 2.0, lost = 0.5, won = 0.5;
  for (guint i = 0; i < a->n_samples; i++)
    {
      double change = ht_metrics_get_row (b, i)[column] - ht_metrics_get_row (a, i)[column];
      won += change > 0;
      lost += change < 0;
    }
  double centre = (won - lost) / n;
  double reach = ht_normal_quantile (0.5 + confidence / 2) * sqrt (won + lost - (won - lost) * (won - lost) / n) / n;
  *low = centre - reach;
  *high = centre + reach;
}

/**
 * ht_metrics_compare:
 * @a: metrics
 * @b: metrics of the same samples
 * @name: top1, top5, agreement, kl, sqnr, cosine or external
 * @confidence: of the interval, as 0.95
 * @difference: (out): the metric of @b less that of @a
 * @low: (out): the lower end of the interval of the difference
 * @high: (out): its upper end
 *
 * Compares two evaluations sample by sample. For top1 and top5 the interval is that of Agresti and Min (2005) for
 * paired shares; else it is Student's, from the differences of the samples' influences (Hampel 1974); a program's number has
 * none, its ends are the difference. It is as wide as
 * everything where less than two samples or an infinite value say nothing.
 *
 * Returns: whether both have measured @name, on the same number of samples
 */
gboolean
ht_metrics_compare (HtMetrics *a, HtMetrics *b, const char *name, double confidence, double *difference, double *low,
                    double *high)
{
  g_return_val_if_fail (HT_IS_METRICS (a) && HT_IS_METRICS (b) && name != NULL, FALSE);
  g_return_val_if_fail (confidence > 0 && confidence < 1, FALSE);
  gssize metric = find_metric (name);
  guint n = a->n_samples;
  if (metric < 0 || b->n_samples != n)
    return FALSE;
  g_autofree double *first = g_new (double, n), *second = g_new (double, n);
  if (!get_influences (a, (Metric)metric, first) || !get_influences (b, (Metric)metric, second))
    return FALSE;
  *difference = a->values[metric] == b->values[metric] ? 0 : b->values[metric] - a->values[metric];
  if (metric == METRIC_TOP1 || metric == METRIC_TOP5)
    {
      compare_shares (a, b, metric == METRIC_TOP1 ? HT_COLUMN_TOP1 : HT_COLUMN_TOP5, confidence, low, high);
      return TRUE;
    }
  if (metric == METRIC_SCORE)
    {
      *low = *high = *difference;
      return TRUE;
    }
  double mean = 0, square = 0;
  for (guint i = 0; i < n; i++)
    {
      first[i] = first[i] == second[i] ? 0 : second[i] - first[i];
      mean += first[i] / n;
    }
  for (guint i = 0; i < n; i++)
    square += (first[i] - mean) * (first[i] - mean);
  double reach = n < 2 ? INFINITY : ht_student_quantile (0.5 + confidence / 2, n - 1.0) * sqrt (square / (n - 1.0) / n);
  gboolean says_nothing = !isfinite (*difference) || !isfinite (reach);
  *low = says_nothing ? -INFINITY : *difference - reach;
  *high = says_nothing ? INFINITY : *difference + reach;
  return TRUE;
}
