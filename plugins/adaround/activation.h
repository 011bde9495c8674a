/* SPDX-License-Identifier: MIT */
/* What stands behind a layer and is applied to each value by itself. */
#pragma once

#include <halftone/halftone.h>

G_BEGIN_DECLS

typedef struct _Activation Activation;

/* The tensor behind the layer and the activations, of `op_types`, that alone read what comes before them: the layer's
 * own output where there are none. An activation may be written as several nodes (Relu, then Clip). */
const char *activation_follow (HtLayer *layer, const char *const *op_types);
/* The pointwise activation behind the layer, for values about [low, high] of tensors like `target`; NULL where there is
 * none, and with @error set where it cannot be run. */
Activation *activation_new (HtLayer *layer, HtTensor *target, double low, double high, GError **error);
void activation_free (Activation *self);
/* Whether something follows that activation_new() knows. */
gboolean activation_exists (HtLayer *layer);
/* An HtActivationFunc; `activation` is one. */
void activation_apply (const float *values, gsize n, gsize output, float *results, float *slopes, gpointer activation);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Activation, activation_free)

G_END_DECLS
