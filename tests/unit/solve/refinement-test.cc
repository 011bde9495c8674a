// SPDX-License-Identifier: MIT
// Codes behind an activation: judged by the error written out here, and by trying every code there is.
#include "samples.h"

#include <gtest/gtest.h>

namespace
{

void
rectify (const float *values, gsize n, gsize, float *results, float *slopes, gpointer)
{
  for (gsize i = 0; i < n; i++)
    {
      bool on = values[i] > 0.0f;
      results[i] = on ? values[i] : 0.0f;
      if (slopes != nullptr)
        slopes[i] = on ? 1.0f : 0.0f;
    }
}

HtSamples *
keep (const Samples &s, gsize room = 0)
{
  HtSamples *samples = ht_samples_new (s.n_groups, s.n, s.m, room > 0 ? room : s.count);
  ht_samples_add (samples, s.inputs.data (), s.targets.data (), s.count, s.count);
  return samples;
}

/* The mean squared error behind the rectifier of one row. */
double
row_error (const Samples &s, const double *weights, gsize row, double bias)
{
  double sum = 0.0;
  for (gsize p = 0; p < s.count; p++)
    {
      double value = bias;
      for (gsize i = 0; i < s.n; i++)
        value += weights[i] * (double)s.inputs[(row / s.m * s.n + i) * s.count + p];
      double target = (double)s.targets[row * s.count + p] + bias;
      double off = std::max (value, 0.0) - std::max (target, 0.0);
      sum += off * off / (double)s.count;
    }
  return sum;
}

double
total_error (const Samples &s, const double *weights, const std::vector<double> &bias)
{
  double sum = 0.0;
  for (gsize row = 0; row < s.n_groups * s.m; row++)
    sum += row_error (s, weights + row * s.n, row, bias[row]);
  return sum;
}

struct Case
{
  gsize n_groups, n, m, n_grids;
  guint bits;
};

TEST (Refinement, LowersTheErrorBehindTheActivation)
{
  for (Case c : { Case{ 1, 30, 20, 20, 3 }, { 1, 90, 70, 1, 3 }, { 6, 9, 1, 6, 3 }, { 2, 20, 5, 5, 4 } })
    for (bool held : { false, true })
      {
        SCOPED_TRACE (testing::Message () << c.n << " x " << c.m << (held ? " held" : ""));
        gsize rows = c.n_groups * c.m;
        Samples s = make_samples (c.n_groups, c.n, c.m, 1500, 1), t = make_samples (c.n_groups, c.n, c.m, 900, 2);
        std::vector<double> bias (rows);
        for (gsize row = 0; row < rows; row++)
          bias[row] = -1.0 - 0.1 * (double)(row % 7); // most outputs are cut off
        g_autoptr (HtMoments) moments = make_moments (s);
        g_autoptr (HtRoundingGrid) grid = make_grid (s.weights, rows, c.n_grids, c.bits);
        g_autoptr (HtSolver) solver = ht_solver_new ();
        g_autoptr (GError) error = nullptr;
        g_autoptr (HtSolution) solution
            = ht_solver_solve (solver, moments, nullptr, s.weights.data (), rows, grid, nullptr, &error);
        ASSERT_NE (solution, nullptr) << error->message;
        g_autoptr (HtSamples) fitting = keep (s), held_out = keep (t);
        HtRefinement outcome;
        g_autoptr (HtSolution) refined
            = ht_solution_refine (solution, moments, fitting, held ? held_out : nullptr, s.weights.data (),
                                  bias.data (), rectify, nullptr, &outcome, nullptr, &error);
        ASSERT_NE (refined, nullptr) << error->message;
        const Samples &judge = held ? t : s;
        const double *before = ht_solution_get_weights (solution, nullptr);
        const double *after = ht_solution_get_weights (refined, nullptr);
        EXPECT_NEAR (outcome.error_before, total_error (judge, before, bias), 1e-4 * outcome.error_before);
        EXPECT_NEAR (outcome.error, total_error (judge, after, bias), 1e-4 * outcome.error_before);
        EXPECT_LT (outcome.error, held ? outcome.error_before * (1 + 1e-9) : outcome.error_before);
        std::vector<double> rounded (rows * c.n);
        ht_rounding_grid_round (grid, after, rows, c.n, rounded.data ());
        gsize n_moved = 0;
        for (gsize i = 0; i < rounded.size (); i++)
          {
            ASSERT_DOUBLE_EQ (after[i], rounded[i]);
            n_moved += after[i] != before[i];
          }
        EXPECT_DOUBLE_EQ (outcome.moved, (double)n_moved / (double)(rows * c.n));
      }
}

// Four weights of two bits: all 256 rows of codes can be tried.
TEST (Refinement, ComesNearTheBestThereIs)
{
  const gsize n = 4, rows = 12;
  Samples s = make_samples (1, n, rows, 800, 3);
  std::vector<double> bias (rows, -0.8);
  g_autoptr (HtMoments) moments = make_moments (s);
  g_autoptr (HtRoundingGrid) grid = make_grid (s.weights, rows, rows, 2);
  const double *scales = ht_rounding_grid_get_scales (grid, nullptr);
  g_autoptr (HtSolver) solver = ht_solver_new ();
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtSolution) solution
      = ht_solver_solve (solver, moments, nullptr, s.weights.data (), rows, grid, nullptr, &error);
  g_autoptr (HtSamples) fitting = keep (s);
  HtRefinement outcome;
  g_autoptr (HtSolution) refined = ht_solution_refine (solution, moments, fitting, nullptr, s.weights.data (),
                                                       bias.data (), rectify, nullptr, &outcome, nullptr, &error);
  ASSERT_NE (refined, nullptr);
  double best = 0.0;
  for (gsize row = 0; row < rows; row++)
    {
      double least = INFINITY;
      for (int codes = 0; codes < 256; codes++)
        {
          double weights[n];
          for (gsize i = 0; i < n; i++)
            weights[i] = scales[row] * (double)((codes >> (2 * i) & 3) - 2);
          least = std::min (least, row_error (s, weights, row, bias[row]));
        }
      best += least;
    }
  EXPECT_GE (outcome.error, best * (1 - 1e-4));
  EXPECT_LE (outcome.error, 1.02 * best);
}

TEST (Refinement, GivesTheSameBytesAtAnyNumberOfThreads)
{
  const gsize n = 60, rows = 100;
  Samples s = make_samples (1, n, rows, 700, 4);
  std::vector<double> bias (rows, -0.5), first;
  g_autoptr (HtMoments) moments = make_moments (s);
  g_autoptr (HtRoundingGrid) grid = make_grid (s.weights, rows, rows, 3);
  g_autoptr (HtSolver) solver = ht_solver_new ();
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtSolution) solution
      = ht_solver_solve (solver, moments, nullptr, s.weights.data (), rows, grid, nullptr, &error);
  g_autoptr (HtSamples) fitting = keep (s);
  for (guint threads : { 1, 3 })
    {
      ht_set_n_threads (threads);
      g_autoptr (HtSolution) refined = ht_solution_refine (solution, moments, fitting, nullptr, s.weights.data (),
                                                           bias.data (), rectify, nullptr, nullptr, nullptr, &error);
      ASSERT_NE (refined, nullptr);
      const double *weights = ht_solution_get_weights (refined, nullptr);
      std::vector<double> found (weights, weights + n * rows);
      if (first.empty ())
        first = found;
      EXPECT_EQ (first, found);
    }
  ht_set_n_threads (0);
}

TEST (Refinement, RefusesSamplesOfAnotherLayer)
{
  Samples s = make_samples (1, 6, 3, 50, 5), other = make_samples (1, 7, 3, 50, 5);
  g_autoptr (HtMoments) moments = make_moments (s);
  g_autoptr (HtRoundingGrid) grid = make_grid (s.weights, 3, 3, 4);
  g_autoptr (HtSolver) solver = ht_solver_new ();
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtSolution) solution
      = ht_solver_solve (solver, moments, nullptr, s.weights.data (), 3, grid, nullptr, &error);
  g_autoptr (HtSamples) wrong = keep (other);
  g_autoptr (HtSolution) refined = ht_solution_refine (solution, moments, wrong, nullptr, s.weights.data (), nullptr,
                                                       rectify, nullptr, nullptr, nullptr, &error);
  EXPECT_EQ (refined, nullptr);
  EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_SHAPE));
}

TEST (Samples, KeepWhatThereIsRoomFor)
{
  Samples s = make_samples (2, 3, 2, 10, 6);
  g_autoptr (HtSamples) samples = keep (s, 14);
  EXPECT_EQ (ht_samples_get_n_positions (samples), 10u);
  EXPECT_EQ (ht_samples_add (samples, s.inputs.data (), s.targets.data (), 10, 10), 4u);
  EXPECT_EQ (ht_samples_get_n_positions (samples), 14u);
  gsize stride;
  const float *inputs = ht_samples_get_inputs (samples, 1, &stride);
  for (gsize i = 0; i < 3; i++)
    for (gsize p = 0; p < 14; p++)
      EXPECT_EQ (inputs[i * stride + p], s.inputs[(3 + i) * 10 + p % 10]);
}

} // namespace
