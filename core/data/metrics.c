/* SPDX-License-Identifier: MIT */
#include "data/metrics.h"

#include <math.h>

static const char *const names[]
    = { "top1", "top1-low", "top1-high", "top5", "agreement", "sqnr", "cosine", "max-difference", NULL };

#define N_METRICS (G_N_ELEMENTS (names) - 1)

/**
 * HtMetrics:
 *
 * What an evaluation found, by name. Accuracies are fractions of 1. What was not measured is NaN.
 */
struct _HtMetrics
{
  GObject parent_instance;
  guint n_samples;
  double values[N_METRICS];
};

G_DEFINE_FINAL_TYPE (HtMetrics, ht_metrics, G_TYPE_OBJECT)

static void
ht_metrics_class_init (HtMetricsClass *klass)
{
}

static void
ht_metrics_init (HtMetrics *self)
{
  for (gsize i = 0; i < N_METRICS; i++)
    self->values[i] = NAN;
}

HtMetrics *
ht_metrics_new (guint n_samples)
{
  HtMetrics *self = g_object_new (HT_TYPE_METRICS, NULL);
  self->n_samples = n_samples;
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

void
ht_metrics_set (HtMetrics *self, const char *name, double value)
{
  gssize i = find_metric (name);
  g_return_if_fail (i >= 0);
  self->values[i] = value;
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
 *   choices that are the reference's), sqnr (dB, the lowest of all outputs), cosine, max-difference
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
 * What was measured, as JSON: a member `samples` and one for each metric. JSON has no infinity: it is the word "infinite"
 * or "-infinite".
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
