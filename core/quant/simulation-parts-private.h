/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/simulation-parts.h>

/* The encoding of a tensor where its quantizer is on; `parts` may be NULL: all are. */
HtEncoding *ht_simulation_find_encoding (HtSimulation *simulation, const HtSimulationParts *parts, const char *tensor);
