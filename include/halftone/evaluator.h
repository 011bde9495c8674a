/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/dataset.h>
#include <halftone/executor.h>
#include <json-glib/json-glib.h>

G_BEGIN_DECLS

/* What an evaluation found. Numbers that were not measured (no labels, no reference) are NaN. */
#define HT_TYPE_METRICS (ht_metrics_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtMetrics, ht_metrics, HT, METRICS, GObject)

/**
 * HtProgressFunc:
 * @fraction: between 0 and 1
 * @message: what is being done
 * @user_data: as given
 */
typedef void (*HtProgressFunc) (double fraction, const char *message, gpointer user_data);

HT_API char **ht_metrics_list (HtMetrics *self);
HT_API double ht_metrics_get (HtMetrics *self, const char *name);
HT_API guint ht_metrics_get_n_samples (HtMetrics *self);
HT_API JsonNode *ht_metrics_to_json (HtMetrics *self);
HT_API gboolean ht_metrics_compare (HtMetrics *a, HtMetrics *b, const char *name, double confidence, double *difference,
                                    double *low, double *high);

/* Metric names: "top1", "top5" (fractions of 1), "top1-low", "top1-high" (95 % Wilson interval), and distances to the
 * reference outputs: "sqnr" (dB), "cosine", "max-difference", "agreement" (share of equal arg max), "kl" (nats). */
HT_API HtMetrics *ht_evaluate (HtExecutor *executor, HtExecutor *reference, HtDataset *dataset, guint batch,
                               HtProgressFunc progress, gpointer user_data, GCancellable *cancellable, GError **error);
HT_API GPtrArray *ht_evaluate_all (GPtrArray *executors, HtExecutor *reference, HtDataset *dataset, guint batch,
                                   HtProgressFunc progress, gpointer user_data, GCancellable *cancellable,
                                   GError **error);

G_END_DECLS
