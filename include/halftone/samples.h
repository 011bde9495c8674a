/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib-object.h>
#include <halftone/macros.h>

G_BEGIN_DECLS

/* Some output positions of a layer: what it reads there and what it should return, as they are. */
#define HT_TYPE_SAMPLES (ht_samples_get_type ())
typedef struct _HtSamples HtSamples;

HT_API GType ht_samples_get_type (void) G_GNUC_CONST;
HT_API HtSamples *ht_samples_new (gsize n_groups, gsize n_inputs, gsize n_outputs, gsize capacity);
HT_API HtSamples *ht_samples_ref (HtSamples *self);
HT_API void ht_samples_unref (HtSamples *self);
HT_API gsize ht_samples_add (HtSamples *self, const float *inputs, const float *targets, gsize n_positions,
                             gsize stride);
HT_API gsize ht_samples_get_n_groups (HtSamples *self);
HT_API gsize ht_samples_get_n_inputs (HtSamples *self);
HT_API gsize ht_samples_get_n_outputs (HtSamples *self);
HT_API gsize ht_samples_get_n_positions (HtSamples *self);
HT_API const float *ht_samples_get_inputs (HtSamples *self, gsize group, gsize *stride);
HT_API const float *ht_samples_get_targets (HtSamples *self, gsize group, gsize *stride);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtSamples, ht_samples_unref)

G_END_DECLS
