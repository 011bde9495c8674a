/* SPDX-License-Identifier: MIT */
/* Weights as the reference has them: scales raised until the integers of a layer fit, and its rounding. */
#pragma once

#include "quant/simulation-private.h"

/* For each layer with quantized input and weight, raises computed scales of the weight, channel by channel, so that
 *   the bias fits 2^31 - 2^15 steps of the accumulator,
 *   input scale x weight scale / output scale is 2^-23.5 at least, and
 *   the bias less the zero point of the output, in steps of the accumulator, fits too. */
gboolean ht_weight_scales_adjust (HtSimulation *simulation, GError **error);

/* The network with weights that are on their grids by the reference's steps. Taking the offset off before rounding
 * loses bits, so a value close to a tie may go the other way. `encodings`: tensor -> HtEncoding. */
HtGraph *ht_weights_round_in_float (HtSimulation *simulation, GHashTable *encodings, GError **error);
