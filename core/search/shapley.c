/* SPDX-License-Identifier: MIT */
#include "search/shapley.h"

void
ht_shapley (const double *values, guint n_players, double *shares)
{
  /* By the size of the set that a player joins: how large a part of all orders has that set before the player. */
  double weights[HT_SHAPLEY_MAX_PLAYERS];
  g_return_if_fail (n_players >= 1 && n_players <= HT_SHAPLEY_MAX_PLAYERS);
  weights[0] = 1.0 / n_players;
  for (guint size = 1; size < n_players; size++)
    weights[size] = weights[size - 1] * size / (n_players - size);
  for (guint player = 0; player < n_players; player++)
    {
      shares[player] = 0;
      for (guint set = 0; set < 1u << n_players; set++)
        if ((set >> player & 1) == 0)
          shares[player] += weights[__builtin_popcount (set)] * (values[set | 1u << player] - values[set]);
    }
}
