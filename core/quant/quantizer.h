/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/quantization.h>

/* `is_constant`: the value is known before the network runs. `channel_axis` is that of the output channels, whether the
 * granularity uses it or not; -1 where there is none. */
HtQuantizer *ht_quantizer_new (const char *tensor, gboolean is_weight, gboolean is_constant, gint channel_axis,
                               HtQuantizerSettings *settings, const char *reason);
gboolean ht_quantizer_is_constant (HtQuantizer *self);
gint ht_quantizer_get_channel_axis (HtQuantizer *self);
