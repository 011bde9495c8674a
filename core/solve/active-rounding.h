/* SPDX-License-Identifier: MIT */
/* Least squares of one row where positions count differently. */
#pragma once

#include "solve/least-squares.h"

/* Positions as a row sees them. */
typedef struct
{
  const float *inputs; /* [n][stride] */
  gsize stride, n_positions;
  const float *weights; /* of each position: how much its error before the activation counts behind it */
  const float *targets; /* what the row should return, as a product of weights and inputs */
} HtWeightedPositions;

/* How many operations one row takes. */
double ht_panel_estimate_weighted (gsize n, gsize n_positions);
/* Codes for row `o` of `panel`: those with the least weighted error plus `prior` times the objective of the panel. */
void ht_panel_round_weighted (HtPanel *panel, const HtNormalSystem *system, gsize o,
                              const HtWeightedPositions *positions, double prior);
