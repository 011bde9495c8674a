/* SPDX-License-Identifier: MIT */
#pragma once

#include "quant/encoding-private.h"

#include <halftone/quantization.h>

/* `is_constant`: the value is known before the network runs. `channel_axis` is that of the output channels, whether the
 * granularity uses it or not; -1 where there is none. */
HtQuantizer *ht_quantizer_new (const char *tensor, gboolean is_weight, gboolean is_constant, gint channel_axis,
                               HtQuantizerSettings *settings, const char *reason);
gboolean ht_quantizer_is_constant (HtQuantizer *self);
gint ht_quantizer_get_channel_axis (HtQuantizer *self);
/* What had the last word on each setting: name -> text. The table is kept. */
void ht_quantizer_set_origins (HtQuantizer *self, GHashTable *origins);
/* The tensor whose quantizer this one is: its own name, unless it is tied to another. */
void ht_quantizer_set_shared (HtQuantizer *self, const char *tensor);
const char *ht_quantizer_get_shared (HtQuantizer *self);
/* A range that is not calibrated; a maximum of G_MAXDOUBLE is left to calibration. */
void ht_quantizer_set_range (HtQuantizer *self, double minimum, double maximum);
gboolean ht_quantizer_get_range (HtQuantizer *self, double *minimum, double *maximum);
/* How the grids of a constant of this shape are laid out: where one block would hold a whole channel, there are none. */
void ht_quantizer_get_form (HtQuantizer *self, HtGraph *graph, const gint64 *dims, guint n_dims, HtGridForm *form);
