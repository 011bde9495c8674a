/* SPDX-License-Identifier: MIT */
/* What the pass manager tells a model state about the step that edits it, and what its file needs to make one. */
#pragma once

#include <halftone/model-state.h>

/* From here on the state is in the hands of a step: it may pin nothing, move or drop nothing pinned, and move fixed
 * encodings only with `moves_fixed`, which is a step that continues them or carries them along. Sealing ends it. */
void ht_model_state_begin_step (HtModelState *self, gboolean moves_fixed);
/* `reference` may be the graph itself. */
HtModelState *ht_model_state_new_with_reference (HtGraph *graph, HtGraph *reference);
