/* SPDX-License-Identifier: MIT */
/* What a target asks of calibration beside the settings: ranges that are fixed, tensors that share one quantizer. */
#pragma once

#include "quant/simulation-private.h"

/* Puts the ends of a range that the target fixes. Where it fixes the minimum alone, the maximum is that of the grid
 * that calibration would have made. */
gboolean ht_quantizer_fix_range (HtQuantizer *self, double *minimum, double *maximum, GError **error);

/* What stands for all tensors that share the quantizer: the name of one of them. */
const char *ht_simulation_get_shared (HtSimulation *self, const char *tensor);
/* The encoding that one of them was given, or NULL. */
HtEncoding *ht_simulation_find_shared_given (HtSimulation *self, HtQuantizer *quantizer);
/* Whether a constant shares the quantizer of activations, so that its values count with theirs. */
gboolean ht_simulation_is_tied_constant (HtSimulation *self, HtQuantizer *quantizer);
