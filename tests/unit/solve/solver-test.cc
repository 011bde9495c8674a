// SPDX-License-Identifier: MIT
#include "samples.h"

#include <gtest/gtest.h>

namespace
{

double
sum_errors (HtMoments *moments, const double *weights, bool centred)
{
  gsize rows = ht_moments_get_n_groups (moments) * ht_moments_get_n_outputs (moments);
  g_autofree double *errors = ht_moments_get_errors (moments, weights, centred);
  double sum = 0.0;
  for (gsize row = 0; row < rows; row++)
    sum += errors[row];
  return sum;
}

void
expect_on_grid (HtSolution *solution, gsize n_rows, gsize n)
{
  HtRoundingGrid *grid = ht_solution_get_grid (solution);
  const double *weights = ht_solution_get_weights (solution, nullptr);
  std::vector<double> rounded (n_rows * n);
  ht_rounding_grid_round (grid, weights, n_rows, n, rounded.data ());
  for (gsize i = 0; i < rounded.size (); i++)
    ASSERT_DOUBLE_EQ (weights[i], rounded[i]);
}

struct Case
{
  gsize n_groups, n, m, n_grids;
  guint bits;
};

// Whatever the layer, the grid and the freedom: on the grid, and not worse than nearest rounding.
TEST (Solver, IsNeverWorseThanNearest)
{
  for (Case c : { Case{ 1, 1, 1, 1, 4 },
                  { 1, 40, 6, 6, 2 },
                  { 1, 40, 6, 1, 4 },
                  { 1, 150, 70, 70, 3 },
                  { 8, 9, 1, 8, 4 },
                  { 8, 9, 1, 1, 4 },
                  { 3, 12, 4, 4, 4 },
                  { 1, 20, 3, 3, 16 } })
    for (bool scale : { false, true })
      for (bool bias : { false, true })
        for (bool held : { false, true })
          {
            SCOPED_TRACE (testing::Message () << c.n << " x " << c.m << " at " << c.bits << (scale ? " scale" : "")
                                              << (bias ? " bias" : "") << (held ? " held" : ""));
            Samples s = make_samples (c.n_groups, c.n, c.m, 600, 1), t = make_samples (c.n_groups, c.n, c.m, 300, 2);
            g_autoptr (HtMoments) moments = make_moments (s), held_out = make_moments (t);
            gsize rows = c.n_groups * c.m;
            g_autoptr (HtRoundingGrid) grid = make_grid (s.weights, rows, c.n_grids, c.bits);
            g_autoptr (HtSolver) solver = ht_solver_new ();
            g_object_set (solver, "scale", scale ? HT_SOLVER_FREEDOM_JOINT : HT_SOLVER_FREEDOM_FIXED, "bias",
                          bias ? HT_SOLVER_FREEDOM_JOINT : HT_SOLVER_FREEDOM_FIXED, nullptr);
            g_autoptr (GError) error = nullptr;
            g_autoptr (HtSolution) solution = ht_solver_solve (solver, moments, held ? held_out : nullptr,
                                                               s.weights.data (), rows, grid, nullptr, &error);
            ASSERT_NE (solution, nullptr) << error->message;
            expect_on_grid (solution, rows, c.n);
            EXPECT_LE (ht_solution_get_error (solution),
                       ht_solution_is_nearest (solution) ? INFINITY : ht_solution_get_nearest_error (solution));
            std::vector<double> nearest (rows * c.n);
            ht_rounding_grid_round (grid, s.weights.data (), rows, c.n, nearest.data ());
            const double *weights = ht_solution_get_weights (solution, nullptr);
            bool is_nearest = ht_solution_is_nearest (solution);
            if (is_nearest)
              {
                EXPECT_EQ (memcmp (nearest.data (), weights, nearest.size () * sizeof (double)), 0);
              }
            else if (!held)
              {
                EXPECT_LE (sum_errors (moments, weights, bias), sum_errors (moments, nearest.data (), false) + 1e-12);
              }
            EXPECT_EQ (ht_solution_get_bias_shifts (solution, nullptr) != nullptr, bias && !is_nearest);
            if (c.bits <= 4 && c.n > 1)
              {
                EXPECT_LT (ht_solution_get_error (solution), 0.8 * ht_solution_get_nearest_error (solution));
              }
          }
}

TEST (Solver, FreedomHelps)
{
  Samples s = make_samples (1, 60, 16, 2000, 1), t = make_samples (1, 60, 16, 1000, 2);
  g_autoptr (HtMoments) moments = make_moments (s), held_out = make_moments (t);
  g_autoptr (HtRoundingGrid) grid = make_grid (s.weights, 16, 16, 2);
  double errors[2][2];
  for (int scale = 0; scale < 2; scale++)
    for (int bias = 0; bias < 2; bias++)
      {
        g_autoptr (HtSolver) solver = ht_solver_new ();
        g_object_set (solver, "scale", scale, "bias", bias, nullptr);
        g_autoptr (HtSolution) solution
            = ht_solver_solve (solver, moments, held_out, s.weights.data (), 16, grid, nullptr, nullptr);
        errors[scale][bias] = ht_solution_get_error (solution);
      }
  EXPECT_LT (errors[1][0], 0.8 * errors[0][0]);
  EXPECT_LT (errors[0][1], errors[0][0]);
  EXPECT_LT (errors[1][1], errors[1][0]);
}

TEST (Solver, BiasTakesUpTheMeanOfTheError)
{
  Samples s = make_samples (2, 10, 3, 500, 1);
  g_autoptr (HtMoments) moments = make_moments (s);
  g_autoptr (HtRoundingGrid) grid = make_grid (s.weights, 6, 6, 3);
  g_autoptr (HtSolver) solver = ht_solver_new ();
  g_object_set (solver, "bias", HT_SOLVER_FREEDOM_JOINT, nullptr);
  g_autoptr (HtSolution) solution
      = ht_solver_solve (solver, moments, nullptr, s.weights.data (), 6, grid, nullptr, nullptr);
  const double *weights = ht_solution_get_weights (solution, nullptr);
  const double *shifts = ht_solution_get_bias_shifts (solution, nullptr);
  for (gsize row = 0; row < 6; row++)
    {
      double mean = 0.0;
      for (gsize p = 0; p < s.count; p++)
        {
          double y = shifts[row] - s.targets[row * s.count + p];
          for (gsize i = 0; i < 10; i++)
            y += weights[row * 10 + i] * s.inputs[(row / 3 * 10 + i) * s.count + p];
          mean += y / (double)s.count;
        }
      EXPECT_NEAR (mean, 0.0, 1e-6);
    }
}

TEST (Solver, MoreCandidatesAreNotWorse)
{
  Samples s = make_samples (1, 48, 8, 1000, 1);
  g_autoptr (HtMoments) moments = make_moments (s);
  g_autoptr (HtRoundingGrid) grid = make_grid (s.weights, 8, 8, 3);
  double errors[2];
  for (int i = 0; i < 2; i++)
    {
      g_autoptr (HtSolver) solver = ht_solver_new ();
      g_object_set (solver, "candidates", i == 0 ? 1 : 16, "damping", 0.0, nullptr);
      g_autoptr (HtSolution) solution
          = ht_solver_solve (solver, moments, nullptr, s.weights.data (), 8, grid, nullptr, nullptr);
      errors[i] = ht_solution_get_error (solution);
    }
  EXPECT_LT (errors[1], errors[0]);
}

TEST (Solver, ShortRowsAreProvedToBeTheBest)
{
  Samples s = make_samples (6, 9, 1, 500, 1);
  g_autoptr (HtMoments) moments = make_moments (s);
  g_autoptr (HtRoundingGrid) grid = make_grid (s.weights, 6, 6, 4);
  g_autoptr (HtSolver) solver = ht_solver_new ();
  g_autoptr (HtSolution) solution
      = ht_solver_solve (solver, moments, nullptr, s.weights.data (), 6, grid, nullptr, nullptr);
  EXPECT_EQ (ht_solution_get_share_exact (solution), 1.0);
  EXPECT_GT (ht_solution_get_share_moved (solution), 0.0);
  EXPECT_LE (ht_solution_get_share_beyond (solution), ht_solution_get_share_moved (solution));
}

// Dead inputs, rows of zeros, samples that are all alike.
TEST (Solver, TakesDegenerateLayers)
{
  Samples s = make_samples (1, 12, 4, 300, 1);
  for (gsize p = 0; p < s.count; p++)
    {
      s.inputs[2 * s.count + p] = 0.0f;
      s.inputs[5 * s.count + p] = 3.0f;
      s.inputs[7 * s.count + p] = s.inputs[8 * s.count + p];
      s.targets[1 * s.count + p] = 0.0f;
    }
  for (gsize i = 0; i < 12; i++)
    s.weights[12 + i] = 0.0;
  Samples constant = s;
  for (gsize row = 0; row < 12; row++)
    for (gsize p = 0; p < s.count; p++)
      constant.inputs[row * s.count + p] = row == 0 ? 0.5f : 0.0f;
  for (float &target : constant.targets)
    target = 0.0f;
  for (const Samples &samples : { s, constant })
    for (bool joint : { false, true })
      {
        g_autoptr (HtMoments) moments = make_moments (samples);
        g_autoptr (HtRoundingGrid) grid = make_grid (s.weights, 4, 4, 3);
        g_autoptr (HtSolver) solver = ht_solver_new ();
        g_object_set (solver, "scale", joint, "bias", joint, "damping", 0.0, nullptr);
        g_autoptr (HtSolution) solution
            = ht_solver_solve (solver, moments, nullptr, s.weights.data (), 4, grid, nullptr, nullptr);
        ASSERT_NE (solution, nullptr);
        expect_on_grid (solution, 4, 12);
        const double *weights = ht_solution_get_weights (solution, nullptr);
        for (gsize i = 0; i < 48; i++)
          ASSERT_TRUE (std::isfinite (weights[i]));
        for (gsize i = 12; i < 24; i++)
          EXPECT_EQ (weights[i], 0.0);
      }
}

TEST (Solver, GivesTheSameBytesAtAnyNumberOfThreads)
{
  Samples s = make_samples (1, 200, 150, 600, 1), t = make_samples (1, 200, 150, 200, 2);
  std::vector<double> first;
  for (guint threads : { 1, 3 })
    {
      ht_set_n_threads (threads);
      g_autoptr (HtMoments) moments = make_moments (s), held_out = make_moments (t);
      g_autoptr (HtRoundingGrid) grid = make_grid (s.weights, 150, 150, 3);
      g_autoptr (HtSolver) solver = ht_solver_new ();
      g_object_set (solver, "scale", HT_SOLVER_FREEDOM_JOINT, "bias", HT_SOLVER_FREEDOM_JOINT, nullptr);
      g_autoptr (HtSolution) solution
          = ht_solver_solve (solver, moments, held_out, s.weights.data (), 150, grid, nullptr, nullptr);
      gsize n;
      const double *weights = ht_solution_get_weights (solution, &n);
      if (threads == 1)
        first.assign (weights, weights + n);
      else
        EXPECT_EQ (memcmp (first.data (), weights, n * sizeof (double)), 0);
    }
  ht_set_n_threads (0);
}

TEST (Solver, SaysWhatDoesNotGoTogether)
{
  Samples s = make_samples (1, 6, 4, 100, 1);
  g_autoptr (HtMoments) moments = make_moments (s), none = ht_moments_new (1, 6, 4);
  g_autoptr (HtRoundingGrid) grid = make_grid (s.weights, 4, 4, 4), odd = make_grid (s.weights, 4, 3, 4);
  g_autoptr (HtSolver) solver = ht_solver_new ();
  g_autoptr (GError) error = nullptr;
  EXPECT_EQ (ht_solver_solve (solver, moments, nullptr, s.weights.data (), 3, grid, nullptr, &error), nullptr);
  EXPECT_STREQ (error->message, "the moments have targets for 4 rows, the weights 3 rows");
  g_clear_error (&error);
  EXPECT_EQ (ht_solver_solve (solver, moments, nullptr, s.weights.data (), 4, odd, nullptr, &error), nullptr);
  EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_SHAPE));
  g_clear_error (&error);
  EXPECT_EQ (ht_solver_solve (solver, none, nullptr, s.weights.data (), 4, grid, nullptr, &error), nullptr);
  EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_INVALID_DATA));
  g_clear_error (&error);
  s.weights[13] = NAN;
  EXPECT_EQ (ht_solver_solve (solver, moments, nullptr, s.weights.data (), 4, grid, nullptr, &error), nullptr);
  EXPECT_STREQ (error->message, "weight [2, 1] is nan; weights to round must be finite");
  g_clear_error (&error);
  s.weights[13] = 0.0;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_cancellable_cancel (cancellable);
  EXPECT_EQ (ht_solver_solve (solver, moments, nullptr, s.weights.data (), 4, grid, cancellable, &error), nullptr);
  EXPECT_TRUE (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
  double zero = 0.0;
  gint64 offset = 0;
  g_clear_error (&error);
  EXPECT_EQ (ht_rounding_grid_new (&zero, &offset, 1, 1, 15, &error), nullptr);
  EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT));
}

} // namespace
