/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib-object.h>
#include <halftone/macros.h>

G_BEGIN_DECLS

/**
 * HtMetric:
 * @HT_METRIC_TOP1: share of samples whose arg max is the label; a fraction of 1
 * @HT_METRIC_TOP5: share of samples whose label is among the five greatest outputs; a fraction of 1
 * @HT_METRIC_AGREEMENT: share of samples whose arg max is that of the floating-point network; a fraction of 1
 * @HT_METRIC_SQNR: signal-to-quantization-noise ratio against the floating-point outputs, in dB
 * @HT_METRIC_COSINE: cosine similarity with the floating-point outputs
 * @HT_METRIC_KL: Kullback-Leibler divergence from the floating-point softmax, in nats; the less the better
 * @HT_METRIC_EXTERNAL: the number that the program of `data.evaluation.command` prints
 *
 * What a search measures of a quantized network.
 */
typedef enum
{
  HT_METRIC_TOP1,
  HT_METRIC_TOP5,
  HT_METRIC_AGREEMENT,
  HT_METRIC_SQNR,
  HT_METRIC_COSINE,
  HT_METRIC_KL,
  HT_METRIC_EXTERNAL,
} HtMetric;

/**
 * HtCost:
 * @HT_COST_SIZE: bytes of the quantized constants
 * @HT_COST_BIT_OPERATIONS: multiply-accumulates times the bits of both operands
 * @HT_COST_STEPS: steps of the pipeline
 * @HT_COST_TIME: measured seconds of the pipeline
 *
 * What a candidate costs; the less the better.
 */
typedef enum
{
  HT_COST_SIZE,
  HT_COST_BIT_OPERATIONS,
  HT_COST_STEPS,
  HT_COST_TIME,
} HtCost;

/**
 * HtObjectiveData:
 * @HT_OBJECTIVE_DATA_EVALUATION: `data.evaluation`
 * @HT_OBJECTIVE_DATA_HELD_OUT: a part of the calibration samples, split off by the seed; the evaluation set is used
 *   once, for the figure of the winner
 *
 * The samples that choose.
 */
typedef enum
{
  HT_OBJECTIVE_DATA_EVALUATION,
  HT_OBJECTIVE_DATA_HELD_OUT,
} HtObjectiveData;

/**
 * HtComparison:
 * @HT_COMPARISON_AT_LEAST: `>=`
 * @HT_COMPARISON_AT_MOST: `<=`
 */
typedef enum
{
  HT_COMPARISON_AT_LEAST,
  HT_COMPARISON_AT_MOST,
} HtComparison;

/* What a search is after: a metric, conditions, and the costs that decide between equals. Immutable. */
#define HT_TYPE_OBJECTIVE (ht_objective_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtObjective, ht_objective, HT, OBJECTIVE, GObject)

HT_API HtObjective *ht_objective_new (HtMetric metric);
HT_API HtMetric ht_objective_get_metric (HtObjective *self);
HT_API gboolean ht_objective_is_maximized (HtObjective *self);
HT_API HtObjectiveData ht_objective_get_data (HtObjective *self);
HT_API gsize ht_objective_get_n_constraints (HtObjective *self);
HT_API const char *ht_objective_get_constraint (HtObjective *self, gsize index, gint *metric, gint *cost,
                                                HtComparison *comparison, gboolean *relative);
HT_API double ht_objective_get_bound (HtObjective *self, gsize index, double baseline);
HT_API gboolean ht_objective_is_met (HtObjective *self, gsize index, double value, double baseline);
HT_API gsize ht_objective_get_n_costs (HtObjective *self);
HT_API HtCost ht_objective_get_cost (HtObjective *self, gsize index);

HT_API const char *ht_metric_get_name (HtMetric metric);
HT_API gboolean ht_metric_needs_labels (HtMetric metric);

G_END_DECLS
