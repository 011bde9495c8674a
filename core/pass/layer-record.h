/* SPDX-License-Identifier: MIT */
/* What a technique does to one layer of a state and says of it, as bytes from which it can be done again: constants,
 * the layer's weight and bias, encodings, entries of the report. */
#pragma once

#include <halftone/layer.h>
#include <halftone/pass-context.h>

typedef struct _HtLayerRecord HtLayerRecord;

/* Before the technique's work. */
HtLayerRecord *ht_layer_record_begin (HtPassContext *context, HtModelState *state, HtLayer *layer);
void ht_layer_record_free (HtLayerRecord *self);
/* After it; `asked` is kept along. NULL where more was changed than can be done again. */
GBytes *ht_layer_record_finish (HtLayerRecord *self, HtLayer *layer, gboolean asked);
/* Does it again. On failure the state is of no use any more. */
gboolean ht_layer_record_replay (GBytes *record, HtPassContext *context, HtModelState *state, HtLayer *layer,
                                 gboolean *asked, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtLayerRecord, ht_layer_record_free)
