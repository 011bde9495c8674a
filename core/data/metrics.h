/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/evaluator.h>

HtMetrics *ht_metrics_new (guint n_samples);
void ht_metrics_set (HtMetrics *self, const char *name, double value);
