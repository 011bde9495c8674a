/* SPDX-License-Identifier: MIT */
/* Rounding a layer by integer least squares. */
#pragma once

#include <halftone/halftone.h>

typedef struct
{
  HtSolverFreedom scale, bias;
  guint candidates;
  gboolean activation_aware; /* refine the codes for what comes behind the activation */
} ExactSettings;

/* Rounds the layer that the sweep is at: its weight in the state becomes values of `encoding`, which may be replaced
 * (transfer full). `refinement` has an `error_before` below 0 where none was made. NULL with @error set. */
HtSolution *exact_round (const ExactSettings *settings, HtSweep *sweep, HtLayer *layer, HtEncoding **encoding,
                         guint64 seed, HtRefinement *refinement, GCancellable *cancellable, GError **error);
/* How many blocks the inputs of a layer are taken in; 1: all at once. Scales stay where they are several, and nothing
 * is refined. */
gsize exact_count_blocks (HtLayer *layer);
/* Why the solver has nothing for a weight on this grid; NULL when it has. */
char *exact_check (HtLayer *layer, HtEncoding *encoding);
