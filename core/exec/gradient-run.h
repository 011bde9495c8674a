/* SPDX-License-Identifier: MIT */
#pragma once

#include "exec/gradient-kinds.h"

#include <halftone/gradient.h>

/* Runs the plan that `run` names, bound to an arena. gradient-run.c */
HtGradientResult *ht_gradient_run_plan (HtGradientRun *run, GError **error);

/* Takes the tables over. gradient-result.c */
HtGradientResult *ht_gradient_result_new (double loss, GHashTable *gradients, GHashTable *outputs,
                                          GHashTable *statistics);
void ht_gradient_result_add_range (HtGradientResult *self, const char *name, HtEncoding *encoding, HtTensor *scales,
                                   HtTensor *offsets);
GHashTable *ht_gradient_result_get_statistics (HtGradientResult *self);

/* Runs with any source of output gradients: gradient.c */
HtGradientResult *ht_gradient_run_seeded (HtGradient *self, GHashTable *inputs, const char *const *losses,
                                          HtGradientSeedFunc seed, gpointer seed_data, const char *const *outputs,
                                          const char *const *taps, HtTapFunc tap, gpointer tap_data,
                                          GCancellable *cancellable, GError **error);
/* Keeps to operators in the plain layout: what tests compare with. */
void ht_gradient_set_plain (HtGradient *self, gboolean plain);
