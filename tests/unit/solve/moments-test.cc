// SPDX-License-Identifier: MIT
#include "samples.h"

#include <gtest/gtest.h>

#include <limits>

namespace
{

double
product (const std::vector<float> &a, gsize i, const std::vector<float> &b, gsize j, gsize count, bool centred)
{
  double sum = 0.0, mean_a = 0.0, mean_b = 0.0;
  for (gsize p = 0; p < count; p++)
    {
      mean_a += a[i * count + p] / (double)count;
      mean_b += b[j * count + p] / (double)count;
    }
  for (gsize p = 0; p < count; p++)
    sum += (a[i * count + p] - (centred ? mean_a : 0.0)) * (b[j * count + p] - (centred ? mean_b : 0.0));
  return sum / (double)count;
}

void
check (gsize n_groups, gsize n, gsize m, gsize count, gsize step)
{
  SCOPED_TRACE (testing::Message () << n_groups << " groups of " << n << " x " << m);
  Samples s = make_samples (n_groups, n, m, count, 3);
  g_autoptr (HtMoments) moments = make_moments (s, step);
  ASSERT_EQ (ht_moments_get_n_positions (moments), count);
  for (gsize g = 0; g < n_groups; g++)
    for (bool centred : { false, true })
      {
        g_autofree double *gram = ht_moments_get_gram (moments, g, centred);
        g_autofree double *cross = ht_moments_get_cross (moments, g, centred);
        g_autofree double *squares = ht_moments_get_target_squares (moments, g, centred);
        for (gsize i = 0; i < n; i += 1 + n / 7)
          {
            for (gsize j = 0; j < n; j += 1 + n / 5)
              ASSERT_NEAR (gram[i * n + j], product (s.inputs, g * n + i, s.inputs, g * n + j, count, centred), 2e-6);
            for (gsize o = 0; o < m; o++)
              ASSERT_NEAR (cross[i * m + o], product (s.inputs, g * n + i, s.targets, g * m + o, count, centred), 2e-5);
          }
        for (gsize o = 0; o < m; o++)
          ASSERT_NEAR (squares[o], product (s.targets, g * m + o, s.targets, g * m + o, count, centred),
                       1e-6 * (1 + squares[o]));
      }
}

TEST (Moments, AreThoseOfPlainSums)
{
  check (1, 1, 1, 50, 50);
  check (1, 7, 3, 300, 64);
  check (5, 9, 1, 333, 100);
  check (3, 40, 5, 200, 77);
  check (1, 300, 2, 150, 60);
  check (1, 530, 4, 90, 90);
}

// Batch-norm folding leaves channels that hardly vary; float products of unshifted values would lose them.
TEST (Moments, KeepTheVarianceOfInputsThatHardlyVary)
{
  const gsize count = 4000;
  std::vector<float> inputs (count), targets (count);
  std::mt19937 random (5);
  std::normal_distribution<float> normal;
  for (gsize p = 0; p < count; p++)
    inputs[p] = targets[p] = 6.0f + 1e-4f * normal (random);
  std::vector<float> kept = inputs;
  double expected = product (kept, 0, kept, 0, count, true);
  g_autoptr (HtMoments) moments = ht_moments_new (1, 1, 1);
  ASSERT_TRUE (ht_moments_add (moments, inputs.data (), targets.data (), count, count, nullptr));
  g_autofree double *gram = ht_moments_get_gram (moments, 0, TRUE);
  EXPECT_NEAR (gram[0] / expected, 1.0, 1e-4);
}

TEST (Moments, MergeToThoseOfAllSamples)
{
  Samples all = make_samples (2, 12, 3, 400, 8);
  Samples parts[2] = { all, all };
  for (int i = 0; i < 2; i++)
    {
      Samples &part = parts[i];
      part.count = 200;
      part.inputs.clear ();
      part.targets.clear ();
      for (gsize row = 0; row < 24; row++)
        part.inputs.insert (part.inputs.end (), &all.inputs[row * 400 + i * 200],
                            &all.inputs[row * 400 + i * 200] + 200);
      for (gsize row = 0; row < 6; row++)
        part.targets.insert (part.targets.end (), &all.targets[row * 400 + i * 200],
                             &all.targets[row * 400 + i * 200] + 200);
    }
  g_autoptr (HtMoments) whole = make_moments (all), a = make_moments (parts[0]), b = make_moments (parts[1]);
  g_autoptr (HtMoments) copy = ht_moments_copy (a), empty = ht_moments_new (2, 12, 3);
  ASSERT_TRUE (ht_moments_merge (copy, b, nullptr));
  ASSERT_TRUE (ht_moments_merge (empty, copy, nullptr));
  EXPECT_EQ (ht_moments_get_n_positions (empty), 400u);
  for (gsize g = 0; g < 2; g++)
    {
      g_autofree double *expected = ht_moments_get_gram (whole, g, FALSE),
                        *gram = ht_moments_get_gram (empty, g, FALSE);
      g_autofree double *cross_expected = ht_moments_get_cross (whole, g, TRUE);
      g_autofree double *cross = ht_moments_get_cross (empty, g, TRUE);
      for (gsize i = 0; i < 144; i++)
        EXPECT_NEAR (gram[i], expected[i], 1e-6);
      for (gsize i = 0; i < 36; i++)
        EXPECT_NEAR (cross[i], cross_expected[i], 1e-6);
    }
  g_autoptr (HtMoments) other = ht_moments_new (1, 12, 3);
  g_autoptr (GError) error = nullptr;
  EXPECT_FALSE (ht_moments_merge (other, a, &error));
  EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_SHAPE));
}

TEST (Moments, GiveTheErrorOfWeights)
{
  Samples s = make_samples (2, 6, 3, 500, 4);
  g_autoptr (HtMoments) moments = make_moments (s);
  std::vector<double> weights = s.weights;
  for (gsize i = 0; i < weights.size (); i++)
    weights[i] += 0.05 * std::sin (3.0 * (double)i);
  for (bool centred : { false, true })
    {
      g_autofree double *errors = ht_moments_get_errors (moments, weights.data (), centred);
      for (gsize row = 0; row < 6; row++)
        {
          std::vector<float> off (s.count);
          for (gsize p = 0; p < s.count; p++)
            {
              double y = -s.targets[row * s.count + p];
              for (gsize i = 0; i < 6; i++)
                y += weights[row * 6 + i] * s.inputs[(row / 3 * 6 + i) * s.count + p];
              off[p] = (float)y;
            }
          EXPECT_NEAR (errors[row], product (off, 0, off, 0, s.count, centred), 1e-5);
        }
    }
}

TEST (Moments, RefuseValuesThatAreNotFinite)
{
  for (float bad : { NAN, INFINITY, 1e30f })
    for (bool target : { false, true })
      {
        std::vector<float> inputs (20, 1.0f), targets (10, 1.0f);
        (target ? targets : inputs)[7] = bad;
        if (target && bad == 1e30f)
          continue; /* squares of targets are added in double */
        g_autoptr (HtMoments) moments = ht_moments_new (1, 2, 1);
        g_autoptr (GError) error = nullptr;
        EXPECT_FALSE (ht_moments_add (moments, inputs.data (), targets.data (), 10, 10, &error)) << bad << target;
        EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_NUMERIC));
      }
}

TEST (Moments, AreTheSameBytesAtAnyNumberOfThreads)
{
  for (gsize n : { 20, 300, 700 })
    {
      Samples s = make_samples (n == 20 ? 6 : 1, n, 5, 300, 9);
      ht_set_n_threads (1);
      g_autoptr (HtMoments) one = make_moments (s);
      ht_set_n_threads (3);
      g_autoptr (HtMoments) three = make_moments (s);
      ht_set_n_threads (0);
      g_autofree double *a = ht_moments_get_gram (one, 0, TRUE), *b = ht_moments_get_gram (three, 0, TRUE);
      EXPECT_EQ (memcmp (a, b, n * n * sizeof (double)), 0);
    }
}

} // namespace
