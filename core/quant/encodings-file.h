/* SPDX-License-Identifier: MIT */
/* Names in AIMET's encodings files: those of initializers, where ours are the names that nodes read. */
#pragma once

#include "quant/simulation-private.h"

#define HT_ENCODINGS_VERSION "1.0.0"

/* Tensor -> the initializer that it is made of, for each quantized constant that is one and the only one. */
GHashTable *ht_encodings_map_sources (HtSimulation *self);
