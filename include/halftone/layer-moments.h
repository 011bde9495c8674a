/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/layer.h>
#include <halftone/moments.h>
#include <halftone/samples.h>

G_BEGIN_DECLS

/* Second moments of what a layer reads and returns. */
HT_API HtMoments *ht_layer_create_moments (HtLayer *self, GError **error);
HT_API gsize ht_layer_count_positions (HtLayer *self, HtTensor *target);
HT_API gboolean ht_layer_add_moments (HtLayer *self, HtMoments *moments, HtTensor *input, HtTensor *target,
                                      const double *bias, double share, guint64 seed, GError **error);
HT_API HtSamples *ht_layer_create_samples (HtLayer *self, gsize capacity, GError **error);
HT_API gboolean ht_layer_add_samples (HtLayer *self, HtSamples *samples, HtTensor *input, HtTensor *target,
                                      const double *bias, double share, guint64 seed, GError **error);

G_END_DECLS
