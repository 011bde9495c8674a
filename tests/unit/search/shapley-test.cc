// SPDX-License-Identifier: MIT
#include "support.h"

extern "C"
{
#include "search/shapley.h"
}

#include <algorithm>
#include <random>
#include <vector>

// Shapley's own examples of games whose values are known.
TEST (Shapley, KnowsTheGloveGame)
{
  // Player 0 has a left glove, 1 and 2 right ones; a pair is worth 1: (4/6, 1/6, 1/6).
  double values[8] = { 0, 0, 0, 1, 0, 1, 0, 1 }, shares[3];
  ht_shapley (values, 3, shares);
  EXPECT_NEAR (shares[0], 4.0 / 6, 1e-15);
  EXPECT_NEAR (shares[1], 1.0 / 6, 1e-15);
  EXPECT_NEAR (shares[2], 1.0 / 6, 1e-15);
}

TEST (Shapley, SharesTheWholeAndIsTheMeanOverAllOrders)
{
  std::mt19937 random (5);
  std::uniform_real_distribution<double> real (-1, 1);
  const unsigned n = 5;
  std::vector<double> values (1u << n);
  for (double &value : values)
    value = real (random);
  double shares[n], sum = 0;
  ht_shapley (values.data (), n, shares);
  std::vector<unsigned> order = { 0, 1, 2, 3, 4 };
  std::vector<double> mean (n);
  do
    {
      unsigned set = 0;
      for (unsigned player : order)
        {
          mean[player] += (values[set | 1u << player] - values[set]) / 120;
          set |= 1u << player;
        }
    }
  while (std::next_permutation (order.begin (), order.end ()));
  for (unsigned i = 0; i < n; i++)
    {
      EXPECT_NEAR (shares[i], mean[i], 1e-12);
      sum += shares[i];
    }
  EXPECT_NEAR (sum, values.back () - values.front (), 1e-12);
}
