/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

#define HT_SHAPLEY_MAX_PLAYERS 12

/* What each player adds on average over all orders in which they may join (Shapley 1953). `values` has the worth of
 * each of the 2^n sets, player i being bit i of the index; `shares` has n elements. */
void ht_shapley (const double *values, guint n_players, double *shares);
