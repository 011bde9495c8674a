/* SPDX-License-Identifier: MIT */
/* Single steps of a plan, for who runs many plans that have steps in common. */
#pragma once

#include <halftone/pass-manager.h>

/* Tells the plan what the graph and the encodings of the start say, and checks it: done once, before any step. */
gboolean ht_pass_manager_check (HtPassManager *self, HtModelState *start, GError **error);
/* Runs one step of a checked plan on a sealed state. `report` and `seconds` (nullable) receive what
 * ht_pass_manager_get_step_report() would say of it; the manager keeps nothing, so that several threads may run steps
 * of one manager at once. Errors begin with the step's id. */
HtModelState *ht_pass_manager_run_step (HtPassManager *self, guint step, HtModelState *state, JsonNode **report,
                                        double *seconds, GCancellable *cancellable, GError **error);
