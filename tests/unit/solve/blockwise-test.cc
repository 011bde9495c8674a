// SPDX-License-Identifier: MIT
// Rows solved block by block: judged by the error written out here, and by the solver that sees all of a row.
#include "samples.h"

#include <gtest/gtest.h>

namespace
{

HtSamples *
keep (const Samples &s)
{
  HtSamples *samples = ht_samples_new (s.n_groups, s.n, s.m, s.count);
  ht_samples_add (samples, s.inputs.data (), s.targets.data (), s.count, s.count);
  return samples;
}

double
error_of (const Samples &s, const double *weights, const double *shifts)
{
  double sum = 0.0;
  for (gsize row = 0; row < s.n_groups * s.m; row++)
    for (gsize p = 0; p < s.count; p++)
      {
        double off = shifts != nullptr ? shifts[row] : 0.0;
        for (gsize i = 0; i < s.n; i++)
          off += weights[row * s.n + i] * (double)s.inputs[(row / s.m * s.n + i) * s.count + p];
        off -= (double)s.targets[row * s.count + p];
        sum += off * off / (double)s.count;
      }
  return sum;
}

struct Case
{
  gsize n_groups, n, m, n_grids, max_columns;
  guint bits;
};

TEST (Blockwise, ComesNearTheSolverThatSeesAll)
{
  for (Case c :
       { Case{ 1, 60, 12, 12, 20, 3 }, { 1, 61, 5, 1, 16, 4 }, { 3, 24, 4, 12, 9, 3 }, { 1, 40, 8, 8, 64, 4 } })
    for (bool bias : { false, true })
      for (bool held : { false, true })
        {
          SCOPED_TRACE (testing::Message () << c.n << " x " << c.m << " in " << c.max_columns << (bias ? " bias" : "")
                                            << (held ? " held" : ""));
          Samples s = make_samples (c.n_groups, c.n, c.m, 900, 1), t = make_samples (c.n_groups, c.n, c.m, 400, 2);
          gsize rows = c.n_groups * c.m;
          g_autoptr (HtSamples) fitting = keep (s), held_out = keep (t);
          g_autoptr (HtMoments) moments = make_moments (s), held_moments = make_moments (t);
          g_autoptr (HtRoundingGrid) grid = make_grid (s.weights, rows, c.n_grids, c.bits);
          g_autoptr (HtSolver) solver = ht_solver_new ();
          g_object_set (solver, "bias", bias ? HT_SOLVER_FREEDOM_JOINT : HT_SOLVER_FREEDOM_FIXED, nullptr);
          g_autoptr (GError) error = nullptr;
          g_autoptr (HtSolution) parts
              = ht_solver_solve_blockwise (solver, fitting, held ? held_out : nullptr, s.weights.data (), rows, grid,
                                           c.max_columns, nullptr, &error);
          ASSERT_NE (parts, nullptr) << error->message;
          g_autoptr (HtSolution) whole = ht_solver_solve (solver, moments, held ? held_moments : nullptr,
                                                          s.weights.data (), rows, grid, nullptr, &error);
          const Samples &judge = held ? t : s;
          const double *weights = ht_solution_get_weights (parts, nullptr);
          std::vector<double> rounded (rows * c.n);
          ht_rounding_grid_round (grid, weights, rows, c.n, rounded.data ());
          for (gsize i = 0; i < rounded.size (); i++)
            ASSERT_NEAR (weights[i], rounded[i], 1e-12);
          double found = error_of (judge, weights, ht_solution_get_bias_shifts (parts, nullptr));
          ht_rounding_grid_round (grid, s.weights.data (), rows, c.n, rounded.data ());
          double nearest = error_of (judge, rounded.data (), nullptr);
          EXPECT_NEAR (ht_solution_get_error (parts), found, 1e-3 * found);
          EXPECT_NEAR (ht_solution_get_nearest_error (parts), nearest, 1e-3 * nearest);
          EXPECT_LT (found, nearest);
          /* Most of what there is to gain: later blocks correct what earlier ones left. */
          double best = error_of (judge, ht_solution_get_weights (whole, nullptr),
                                  ht_solution_get_bias_shifts (whole, nullptr));
          EXPECT_LT (found - best, 0.35 * (nearest - best));
        }
}

// What is singular, constant, dead or zero does no harm.
TEST (Blockwise, BearsDeadInputs)
{
  Samples s = make_samples (1, 30, 4, 50, 3);
  for (gsize i = 5; i < 15; i++)
    for (gsize p = 0; p < s.count; p++)
      s.inputs[i * s.count + p] = i < 10 ? 0.0f : 2.0f;
  for (gsize i = 0; i < 30; i++)
    s.weights[i] = 0.0;
  g_autoptr (HtSamples) fitting = keep (s);
  g_autoptr (HtRoundingGrid) grid = make_grid (s.weights, 4, 4, 4);
  g_autoptr (HtSolver) solver = ht_solver_new ();
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtSolution) solution
      = ht_solver_solve_blockwise (solver, fitting, nullptr, s.weights.data (), 4, grid, 8, nullptr, &error);
  ASSERT_NE (solution, nullptr) << error->message;
  const double *weights = ht_solution_get_weights (solution, nullptr);
  for (gsize i = 0; i < 4 * 30; i++)
    EXPECT_TRUE (std::isfinite (weights[i]));
  EXPECT_LE (error_of (s, weights, nullptr), ht_solution_get_nearest_error (solution) * (1 + 1e-6));
}

TEST (Blockwise, RefusesSamplesOfAnotherLayer)
{
  Samples s = make_samples (1, 6, 3, 50, 5);
  g_autoptr (HtRoundingGrid) grid = make_grid (s.weights, 3, 3, 4);
  g_autoptr (HtSolver) solver = ht_solver_new ();
  g_autoptr (HtSamples) fitting = keep (s);
  g_autoptr (GError) error = nullptr;
  EXPECT_EQ (ht_solver_solve_blockwise (solver, fitting, nullptr, s.weights.data (), 2, grid, 4, nullptr, &error),
             nullptr);
  EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_SHAPE));
}

} // namespace
