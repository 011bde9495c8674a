/* SPDX-License-Identifier: MIT */
/* The distributions of the values of tensors, for readers. */
#pragma once

#include <halftone/dataset.h>
#include <halftone/executor.h>
#include <json-glib/json-glib.h>

/* Distributions of the named tensors in a sealed graph: constants from their values, others from what a floating-point
 * run over the first samples gives (`dataset` may be NULL: none). Tensors that are not there or have no finite values
 * are left out. Returns tensor -> JsonObject {low, high, counts}, or NULL. */
GHashTable *ht_report_collect_histograms (HtGraph *graph, HtDataset *dataset, guint batch, const char *const *tensors,
                                          GCancellable *cancellable, GError **error);
