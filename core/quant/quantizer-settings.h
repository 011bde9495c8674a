/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/quantization.h>

/* Sets what holds where nobody says anything: the key does not become explicit. */
gboolean ht_quantizer_settings_set_default (HtQuantizerSettings *self, const char *key, JsonNode *value,
                                            GError **error);
