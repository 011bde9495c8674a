/* SPDX-License-Identifier: MIT */
/* Holds a step to what it declared: graph by graph, what it changed against the effects it may have. */
#pragma once

#include "pass/plan-private.h"

/* Fails with HT_PLUGIN_ERROR_BAD_PASS where the step changed more than it declared. */
gboolean ht_check_effects (HtPlanStep *step, HtGraph *before, HtGraph *after, GError **error);
/* Fails with HT_ERROR_CONFLICT where the step left an encoding behind that the user or a step before it gave: its tensor
 * is gone, or its values are other ones. */
gboolean ht_check_encodings (HtPlanStep *step, HtModelState *before, HtModelState *after, GError **error);
