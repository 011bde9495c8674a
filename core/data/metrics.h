/* SPDX-License-Identifier: MIT */
/* What the evaluation notes of every sample, and the metrics that follow from it. */
#pragma once

#include <halftone/evaluator.h>

/* The columns of a sample's record. NaN: not measured. */
typedef enum
{
  HT_COLUMN_TOP1, /* 1: the label comes first */
  HT_COLUMN_TOP5,
  HT_COLUMN_AGREED, /* choices that are the reference's ... */
  HT_COLUMN_CHOICES, /* ... of so many */
  HT_COLUMN_KL, /* sum over the choices */
  HT_COLUMN_SCORE, /* what a program printed; of a single row */
  HT_COLUMN_OUTPUTS, /* then five for each output: */
} HtMetricColumn;

/* Sums over the elements of a sample of one output, against the reference's, and the largest difference. */
typedef enum
{
  HT_OUTPUT_SIGNAL,
  HT_OUTPUT_NOISE,
  HT_OUTPUT_DOT,
  HT_OUTPUT_OWN,
  HT_OUTPUT_DIFFERENCE,
  HT_OUTPUT_COLUMNS,
} HtOutputColumn;

HtMetrics *ht_metrics_new (guint n_samples, guint n_outputs);
/* The record of a sample: HT_COLUMN_OUTPUTS + HT_OUTPUT_COLUMNS * n_outputs numbers, NaN at first. */
double *ht_metrics_get_row (HtMetrics *self, guint sample);
/* After the last row was filled. */
void ht_metrics_finish (HtMetrics *self);
/* What a program printed. */
HtMetrics *ht_metrics_new_score (double score);
/* The metrics of the samples of all parts together, which come from networks of the same outputs. */
HtMetrics *ht_metrics_join (HtMetrics *const *parts, guint n_parts);

/* To the store and back. NULL: this is no record of metrics. */
GVariant *ht_metrics_to_variant (HtMetrics *self);
HtMetrics *ht_metrics_new_from_variant (GVariant *variant);
