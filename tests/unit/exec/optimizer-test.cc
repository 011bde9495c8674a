// SPDX-License-Identifier: MIT
// Optimizers against their formulas, written out for one number, and schedules against theirs.
#include "support.h"

#include <cmath>
#include <vector>

namespace
{

HtTensor *
number (double value, HtDataType type = HT_DATA_TYPE_DOUBLE)
{
  return ht_tensor_new_scalar (value, type, nullptr);
}

// The gradient of a wavy function, so that its sign changes on the way.
double
slope (double x, int step)
{
  return 2 * x + std::cos (3 * x + step);
}

double
run (HtOptimizer *optimizer, double x, int n_steps)
{
  for (int t = 0; t < n_steps; t++)
    {
      GError *error = nullptr;
      g_autoptr (HtTensor) value = number (x), gradient = number (slope (x, t));
      g_autoptr (HtTensor) next = ht_optimizer_update (optimizer, "w", value, gradient, &error);
      EXPECT_NO_GERROR (error);
      x = next ? ht_tensor_get_double (next, 0) : NAN;
    }
  return x;
}

TEST (Optimizer, Sgd)
{
  for (double momentum : { 0.0, 0.9 })
    for (bool nesterov : { false, true })
      for (double decay : { 0.0, 0.1 })
        {
          g_autoptr (HtOptimizer) optimizer = ht_optimizer_new_sgd (0.05, momentum, nesterov, decay);
          double x = 1.5, kept = 0;
          for (int t = 0; t < 20; t++)
            {
              double g = slope (x, t) + decay * x;
              kept = t == 0 ? g : momentum * kept + g;
              x -= 0.05 * (momentum == 0 ? g : nesterov ? g + momentum * kept : kept);
            }
          EXPECT_NEAR (run (optimizer, 1.5, 20), x, 1e-12);
        }
}

TEST (Optimizer, Adam)
{
  for (bool apart : { false, true })
    {
      g_autoptr (HtOptimizer) optimizer = apart ? ht_optimizer_new_adamw (0.05, 0.9, 0.99, 1e-6, 0.1)
                                                : ht_optimizer_new_adam (0.05, 0.9, 0.99, 1e-6, 0.1);
      double x = 1.5, m = 0, v = 0;
      for (int t = 1; t <= 20; t++)
        {
          double g = slope (x, t - 1) + (apart ? 0 : 0.1 * x);
          x *= apart ? 1 - 0.05 * 0.1 : 1;
          m = 0.9 * m + 0.1 * g;
          v = 0.99 * v + 0.01 * g * g;
          x -= 0.05 * (m / (1 - std::pow (0.9, t))) / (std::sqrt (v / (1 - std::pow (0.99, t))) + 1e-6);
        }
      EXPECT_NEAR (run (optimizer, 1.5, 20), x, 1e-12);
      EXPECT_EQ (ht_optimizer_get_n_steps (optimizer, "w"), 20u);
    }
}

TEST (Optimizer, GoesOnFromItsState)
{
  for (int kind = 0; kind < 2; kind++)
    {
      auto make = [&] {
        return kind ? ht_optimizer_new_adam (0.05, 0.9, 0.99, 1e-8, 0) : ht_optimizer_new_sgd (0.05, 0.9, TRUE, 0);
      };
      g_autoptr (HtOptimizer) whole = make (), first = make (), second = make ();
      double half = run (first, 1.5, 1);
      std::vector<const char *> parts
          = kind ? std::vector<const char *>{ HT_OPTIMIZER_FIRST_MOMENT, HT_OPTIMIZER_SECOND_MOMENT }
                 : std::vector<const char *>{ HT_OPTIMIZER_MOMENTUM };
      g_auto (GStrv) names = ht_optimizer_list_tensors (first);
      ASSERT_EQ (g_strv_length (names), 1u);
      EXPECT_STREQ (names[0], "w");
      ht_optimizer_set_n_steps (second, "w", ht_optimizer_get_n_steps (first, "w"));
      for (const char *part : parts)
        {
          g_autoptr (HtTensor) state = ht_optimizer_get_state (first, "w", part);
          ASSERT_NE (state, nullptr) << part;
          EXPECT_TRUE (ht_optimizer_set_state (second, "w", part, state, nullptr));
        }
      // The slope depends on the step, so both second steps must see step 1.
      g_autoptr (HtTensor) value = number (half), gradient = number (slope (half, 1));
      g_autoptr (HtTensor) next = ht_optimizer_update (second, "w", value, gradient, nullptr);
      EXPECT_EQ (ht_tensor_get_double (next, 0), run (whole, 1.5, 2));
      GError *error = nullptr;
      EXPECT_FALSE (ht_optimizer_set_state (second, "w", "velocity", value, &error));
      EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "keeps no 'velocity'");
    }
}

TEST (Optimizer, RefusesWhatDoesNotFit)
{
  g_autoptr (HtOptimizer) optimizer = ht_optimizer_new_sgd (0.1, 0.9, FALSE, 0);
  const gint64 dims[] = { 2 };
  g_autoptr (HtTensor) value = number (1), narrow = number (1, HT_DATA_TYPE_FLOAT),
                       whole = number (1, HT_DATA_TYPE_INT64);
  g_autoptr (HtTensor) longer = ht_tensor_new (HT_DATA_TYPE_DOUBLE, dims, 1, nullptr);
  GError *error = nullptr;
  EXPECT_EQ (ht_optimizer_update (optimizer, "w", value, narrow, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_SHAPE, "its gradient is float");
  EXPECT_EQ (ht_optimizer_update (optimizer, "w", whole, whole, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_DATA_TYPE, "expected float or double");
  EXPECT_EQ (ht_optimizer_get_n_steps (optimizer, "w"), 0u);
  g_autoptr (HtTensor) next = ht_optimizer_update (optimizer, "w", value, value, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (ht_optimizer_update (optimizer, "w", longer, longer, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_SHAPE, "state");
}

TEST (Optimizer, SameBytesAtAnyNumberOfThreads)
{
  const gint64 dims[] = { 300000 };
  g_autoptr (HtTensor) value = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims, 1, nullptr);
  g_autoptr (HtTensor) gradient = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims, 1, nullptr);
  for (int i = 0; i < dims[0]; i++)
    {
      static_cast<float *> (ht_tensor_get_writable_data (value))[i] = std::sin (static_cast<float> (i));
      static_cast<float *> (ht_tensor_get_writable_data (gradient))[i] = std::cos (static_cast<float> (i));
    }
  guint before = ht_get_n_threads ();
  HtTensor *results[2];
  for (guint i = 0; i < 2; i++)
    {
      ht_set_n_threads (i + 1);
      g_autoptr (HtOptimizer) optimizer = ht_optimizer_new_adamw (0.1, 0.9, 0.999, 1e-8, 0.01);
      g_autoptr (HtTensor) first = ht_optimizer_update (optimizer, "w", value, gradient, nullptr);
      results[i] = ht_optimizer_update (optimizer, "w", first, gradient, nullptr);
    }
  ht_set_n_threads (before);
  EXPECT_TRUE (ht_tensor_equal (results[0], results[1]));
  ht_tensor_unref (results[0]);
  ht_tensor_unref (results[1]);
}

TEST (Schedule, Factors)
{
  g_autoptr (HtSchedule) constant = ht_schedule_new_constant (), cosine = ht_schedule_new_cosine (10, 0.1);
  g_autoptr (HtSchedule) stairs = ht_schedule_new_step (4, 0.5);
  EXPECT_EQ (ht_schedule_get_factor (constant, 0), 1.0);
  EXPECT_EQ (ht_schedule_get_factor (constant, 1000000), 1.0);
  EXPECT_EQ (ht_schedule_get_factor (cosine, 0), 1.0);
  EXPECT_NEAR (ht_schedule_get_factor (cosine, 5), 0.55, 1e-15);
  EXPECT_NEAR (ht_schedule_get_factor (cosine, 10), 0.1, 1e-15);
  EXPECT_NEAR (ht_schedule_get_factor (cosine, 99), 0.1, 1e-15);
  EXPECT_EQ (ht_schedule_get_factor (stairs, 3), 1.0);
  EXPECT_EQ (ht_schedule_get_factor (stairs, 4), 0.5);
  EXPECT_EQ (ht_schedule_get_factor (stairs, 11), 0.25);
  ht_schedule_set_warmup (cosine, 4, 0.25);
  EXPECT_EQ (ht_schedule_get_factor (cosine, 0), 0.25);
  EXPECT_EQ (ht_schedule_get_factor (cosine, 2), 0.625);
  EXPECT_EQ (ht_schedule_get_factor (cosine, 4), 1.0);
  EXPECT_NEAR (ht_schedule_get_factor (cosine, 9), 0.55, 1e-15);
}

}
