/* SPDX-License-Identifier: MIT */
/* The published method on the layer that a sweep is at. */
#pragma once

#include "relaxation.h"

G_BEGIN_DECLS

typedef struct
{
  double nearest_error, error; /* mean squared errors of the output, where the loss is taken, on held-out samples */
  double moved;                /* the share of weights that are not at the nearest code */
  gsize n_undecided;
  gboolean is_nearest; /* the training did not lower the error: nearest rounding stays */
} RelaxedLayer;

/* Rounds the layer: its weight in the state becomes values of `encoding`. With `activation`, the loss is taken behind
 * the activation that follows the layer, where there is one. */
gboolean relaxed_layer_round (const RelaxationSettings *settings, gboolean activation, HtPassContext *context,
                              HtSweep *sweep, HtLayer *layer, HtEncoding *encoding, guint64 seed, RelaxedLayer *outcome,
                              GError **error);

G_END_DECLS
