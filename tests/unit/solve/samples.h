// SPDX-License-Identifier: MIT
#pragma once

#include <halftone/halftone.h>

#include <cmath>
#include <random>
#include <vector>

// Correlated inputs with means, and targets that a matrix of weights makes of them: what a layer sees.
struct Samples
{
  gsize n_groups, n, m, count;
  std::vector<float> inputs, targets; // [groups x n][count], [groups x m][count]
  std::vector<double> weights;        // [groups x m][n]
};

inline Samples
make_samples (gsize n_groups, gsize n, gsize m, gsize count, unsigned seed, unsigned weight_seed = 77)
{
  Samples s = { n_groups, n, m, count, {}, {}, {} };
  std::mt19937 random (seed), weight_random (weight_seed);
  std::normal_distribution<double> normal;
  s.inputs.resize (n_groups * n * count);
  s.targets.resize (n_groups * m * count);
  for (gsize i = 0; i < n_groups * m * n; i++)
    s.weights.push_back (0.3 * normal (weight_random));
  std::vector<double> means;
  for (gsize i = 0; i < n_groups * n; i++)
    means.push_back (0.5 + 0.3 * normal (weight_random));
  for (gsize g = 0; g < n_groups; g++)
    for (gsize p = 0; p < count; p++)
      {
        double common = normal (random);
        std::vector<double> x (n);
        for (gsize i = 0; i < n; i++)
          {
            x[i] = means[g * n + i] + 0.8 * common + 0.6 * normal (random);
            s.inputs[(g * n + i) * count + p] = (float)x[i];
          }
        for (gsize o = 0; o < m; o++)
          {
            double y = 0.0;
            for (gsize i = 0; i < n; i++)
              y += x[i] * s.weights[(g * m + o) * n + i];
            s.targets[(g * m + o) * count + p] = (float)y;
          }
      }
  return s;
}

// In steps, as a stream would come.
inline HtMoments *
make_moments (const Samples &s, gsize step = 500)
{
  HtMoments *moments = ht_moments_new (s.n_groups, s.n, s.m);
  for (gsize begin = 0; begin < s.count; begin += step)
    {
      gsize some = std::min (step, s.count - begin);
      std::vector<float> inputs, targets;
      for (gsize row = 0; row < s.n_groups * s.n; row++)
        inputs.insert (inputs.end (), &s.inputs[row * s.count + begin], &s.inputs[row * s.count + begin] + some);
      for (gsize row = 0; row < s.n_groups * s.m; row++)
        targets.insert (targets.end (), &s.targets[row * s.count + begin], &s.targets[row * s.count + begin] + some);
      g_autoptr (GError) error = nullptr;
      if (!ht_moments_add (moments, inputs.data (), targets.data (), some, some, &error))
        g_error ("%s", error->message);
    }
  return moments;
}

// Symmetric grids of `bits` that reach the largest weight of each row, or of all rows.
inline HtRoundingGrid *
make_grid (const std::vector<double> &weights, gsize n_rows, gsize n_grids, guint bits)
{
  std::vector<double> scales (n_grids, 1e-6);
  gsize n = weights.size () / n_rows;
  gint64 half = (gint64)1 << (bits - 1);
  for (gsize i = 0; i < weights.size (); i++)
    {
      double &scale = scales[i / n % n_grids];
      scale = std::max (scale, std::fabs (weights[i]) / (double)(half - (bits > 1)));
    }
  std::vector<gint64> offsets (n_grids, -half);
  return ht_rounding_grid_new (scales.data (), offsets.data (), n_grids, 1, 2 * half - 1, nullptr);
}
