// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

extern "C"
{
#include "solve/least-squares.h"
}

namespace
{

struct Problem
{
  gsize n;
  std::vector<double> h, target; // target: [n][rows]
  HtNormalSystem *system;
  HtPanel *panel;

  Problem (gsize size, gsize rows, int low, int high, double scale, unsigned seed, gsize block = 0) : n (size)
  {
    std::mt19937 random (seed);
    std::normal_distribution<double> normal;
    std::vector<double> root (n * n);
    for (double &v : root)
      v = normal (random) + 0.7;
    h.assign (n * n, 0.0);
    for (gsize i = 0; i < n; i++)
      for (gsize j = 0; j < n; j++)
        for (gsize k = 0; k < n; k++)
          h[i * n + j] += root[i * n + k] * root[j * n + k] / (double)n + (i == j && k == 0 ? 0.05 : 0.0);
    system = ht_normal_system_new ((double *)g_memdup2 (h.data (), n * n * sizeof (double)), n);
    panel = ht_panel_new (n, rows, block > 0 ? block : n);
    std::vector<double> wanted (n * rows);
    for (double &v : wanted)
      v = scale * 0.4 * (double)(high - low) * normal (random);
    for (gsize i = 0; i < n; i++)
      for (gsize o = 0; o < rows; o++)
        for (gsize j = 0; j < n; j++)
          panel->target[i * rows + o] += h[i * n + j] * wanted[j * rows + o];
    for (gsize i = 0; i < panel->n_blocks * rows; i++)
      {
        panel->scales[i] = scale * (1.0 + 0.1 * (double)(i % 3));
        panel->lows[i] = low;
        panel->highs[i] = high;
      }
    ht_panel_find_free (panel, system);
  }
  ~Problem ()
  {
    ht_panel_free (panel);
    ht_normal_system_free (system);
  }
  double objective (gsize row, const std::vector<double> &codes) const
  {
    double sum = 0.0;
    for (gsize i = 0; i < n; i++)
      for (gsize j = 0; j < n; j++)
        sum += error (row, codes, i) * h[i * n + j] * error (row, codes, j);
    return sum;
  }
  double error (gsize row, const std::vector<double> &codes, gsize i) const
  {
    return codes[i] * panel->scales[i / panel->block * panel->n_rows + row] - panel->free[i * panel->n_rows + row];
  }
  std::vector<double> row_codes (gsize row) const
  {
    std::vector<double> codes;
    for (gsize i = 0; i < n; i++)
      codes.push_back (panel->codes[i * panel->n_rows + row]);
    return codes;
  }
  double total () const
  {
    double sum = 0.0;
    for (gsize o = 0; o < panel->n_rows; o++)
      sum += panel->excess[o];
    return sum;
  }
};

// R'R is H, and t solves H t = c, whatever the size of the tiles.
TEST (NormalSystem, FactorsAndSolves)
{
  for (gsize n : { 1, 5, 63, 64, 65, 200, 400 })
    {
      Problem p (n, 3, -8, 7, 0.1, (unsigned)n);
      const HtNormalSystem *s = p.system;
      EXPECT_EQ (s->raise, 0.0);
      for (gsize i = 0; i < n; i += 1 + n / 9)
        for (gsize j = i; j < n; j += 1 + n / 11)
          {
            double sum = 0.0;
            for (gsize k = 0; k <= i; k++)
              sum += s->r[k * n + i] * s->r[k * n + j];
            ASSERT_NEAR (sum, p.h[s->order[i] * n + s->order[j]], 1e-9);
          }
      for (gsize i = 0; i < n; i++)
        {
          double sum = 0.0;
          for (gsize j = 0; j < n; j++)
            sum += p.h[i * n + j] * p.panel->free[j * 3 + 1];
          ASSERT_NEAR (sum, p.panel->target[i * 3 + 1], 1e-7 * (1.0 + std::fabs (sum)));
        }
    }
}

TEST (NormalSystem, RaisesWhatIsSingular)
{
  for (double value : { 0.0, 1.0, 1e-30 })
    {
      const gsize n = 70;
      double *h = g_new (double, n *n);
      for (gsize i = 0; i < n * n; i++)
        h[i] = value; // of rank 1, or 0
      g_autoptr (HtNormalSystem) system = ht_normal_system_new (h, n);
      EXPECT_GT (system->raise, 0.0);
      EXPECT_LE (system->raise, value > 0.0 ? 1e-8 * value + 1e-12 : 1.0);
      for (gsize i = 0; i < n; i++)
        EXPECT_TRUE (std::isfinite (system->r[i * n + i]) && system->r[i * n + i] > 0.0);
    }
}

// Every step says what the objective is; it is that of the definition.
TEST (Panel, KnowsItsObjective)
{
  Problem p (90, 5, -8, 7, 0.1, 1, 30);
  auto check = [&] (const char *step) {
    for (gsize o = 0; o < 5; o++)
      EXPECT_NEAR (p.panel->excess[o], p.objective (o, p.row_codes (o)), 1e-8) << step;
  };
  ht_panel_round_nearest (p.panel, p.system, p.panel->free);
  check ("nearest");
  ht_panel_round_successively (p.panel, p.system);
  check ("successive");
  ht_panel_descend (p.panel, p.system, 50);
  check ("descent");
  ht_panel_fit_scales (p.panel, p.system);
  check ("scales");
}

TEST (Panel, DescentEndsWhereNoSingleMoveHelps)
{
  Problem p (80, 4, -4, 3, 0.2, 2);
  ht_panel_round_nearest (p.panel, p.system, p.panel->free);
  double nearest = p.total ();
  ht_panel_round_successively (p.panel, p.system);
  double successive = p.total ();
  EXPECT_LT (successive, nearest);
  EXPECT_GT (ht_panel_descend (p.panel, p.system, 50), 0u);
  EXPECT_LE (p.total (), successive);
  for (gsize o = 0; o < 4; o++)
    {
      std::vector<double> codes = p.row_codes (o);
      double best = p.objective (o, codes);
      for (gsize i = 0; i < 80; i++)
        for (double code = -4; code <= 3; code++)
          {
            std::vector<double> other = codes;
            other[i] = code;
            ASSERT_GE (p.objective (o, other), best - 1e-9);
          }
    }
}

// All codes there are, one after the other.
double
least_of_all (const Problem &p, gsize row, int low, int high)
{
  std::vector<double> codes (p.n, low);
  double best = INFINITY;
  for (;;)
    {
      best = std::min (best, p.objective (row, codes));
      gsize i = 0;
      while (i < p.n && codes[i] == high)
        codes[i++] = low;
      if (i == p.n)
        return best;
      codes[i]++;
    }
}

TEST (Panel, EnumerationFindsTheLeastOfAllCodes)
{
  for (unsigned seed = 0; seed < 12; seed++)
    for (auto [n, low, high] : { std::tuple{ 1, -8, 7 }, { 4, -8, 7 }, { 7, -2, 1 }, { 9, 0, 1 }, { 5, 1, 4 } })
      {
        Problem p ((gsize)n, 3, low, high, 0.3, seed, n == 4 ? 2 : 0);
        ht_panel_round_successively (p.panel, p.system);
        EXPECT_EQ (ht_panel_enumerate (p.panel, p.system, 1000000), 3u);
        for (gsize o = 0; o < 3; o++)
          {
            double best = least_of_all (p, o, low, high);
            EXPECT_NEAR (p.panel->excess[o], best, 1e-9 * (1.0 + best));
            EXPECT_NEAR (p.objective (o, p.row_codes (o)), best, 1e-9 * (1.0 + best));
          }
      }
}

TEST (Panel, EnumerationThatIsCutShortKeepsWhatThereIs)
{
  Problem p (24, 2, -8, 7, 0.1, 3);
  ht_panel_round_nearest (p.panel, p.system, p.panel->free);
  double before = p.total ();
  EXPECT_EQ (ht_panel_enumerate (p.panel, p.system, 10), 0u);
  EXPECT_LE (p.total (), before);
  for (gsize o = 0; o < 2; o++)
    EXPECT_NEAR (p.panel->excess[o], p.objective (o, p.row_codes (o)), 1e-8);
}

// With the codes as they are, no other scale of a row does better.
TEST (Panel, FittedScalesAreTheBest)
{
  Problem p (30, 3, -8, 7, 0.1, 4);
  ht_panel_round_successively (p.panel, p.system);
  double numerators[3], denominators[3], before = p.total ();
  ht_panel_find_scale_terms (p.panel, p.system, numerators, denominators);
  ht_panel_fit_scales (p.panel, p.system);
  EXPECT_LE (p.total (), before + 1e-12);
  for (gsize o = 0; o < 3; o++)
    {
      EXPECT_NEAR (p.panel->scales[o], numerators[o] / denominators[o], 1e-7);
      double best = p.objective (o, p.row_codes (o)), scale = p.panel->scales[o];
      for (double factor : { 0.99, 0.9999, 1.0001, 1.01 })
        {
          p.panel->scales[o] = factor * scale;
          EXPECT_GT (p.objective (o, p.row_codes (o)), best);
        }
      p.panel->scales[o] = scale;
    }
}

} // namespace
