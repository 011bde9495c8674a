/* SPDX-License-Identifier: MIT */
/* The grids of biases. A device adds a bias to its int32 accumulator, so the bias is an integer in steps of the
 * accumulator: scale of the input times scale of the weight. */
#pragma once

#include <halftone/simulation-parts.h>

/* Whether a node is a layer that adds a bias, its third input, to its products as they are. */
gboolean ht_bias_grid_is_layer (HtNode *node);

/* The grid of the bias of `node` (32 bits, one for each channel or one in all). *encoding is NULL where the bias stays
 * in floating point: the node has none or no quantized layer's, or an int32 cannot hold it. FALSE: an error. */
gboolean ht_bias_grid_make (HtSimulation *simulation, const HtSimulationParts *parts, HtNode *node,
                            HtEncoding **encoding, GError **error);

/* Raises the scales of computed weight encodings so far that biases fit int32: a channel whose weights are next to
 * nothing would ask for steps that its bias is too large for. What was raised is noted. */
gboolean ht_bias_grid_fit_weights (HtSimulation *simulation, GError **error);
