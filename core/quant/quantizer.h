/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/quantization.h>

/* `is_constant`: the value is known before the network runs. `axis` is -1 for one grid in all. */
HtQuantizer *ht_quantizer_new (const char *tensor, gboolean is_weight, gboolean is_constant, gint axis,
                               HtQuantizerSettings *settings, const char *reason);
gboolean ht_quantizer_is_constant (HtQuantizer *self);
