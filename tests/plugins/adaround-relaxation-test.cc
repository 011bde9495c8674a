// SPDX-License-Identifier: MIT
// Relaxed rounding: the published check values, finite differences, and small problems whose best rounding is known.
#include "relaxation.h"
#include "relaxed-rounding.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace
{

HtTensor *
new_matrix (const std::vector<float> &values, gint64 rows, gint64 columns)
{
  gint64 dims[] = { rows, columns };
  HtTensor *tensor = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims, 2, nullptr);
  std::copy (values.begin (), values.end (), static_cast<float *> (ht_tensor_get_writable_data (tensor)));
  return tensor;
}

HtEncoding *
new_grid (guint bits, double scale)
{
  gint64 offset = -(gint64 (1) << (bits - 1));
  return ht_encoding_new (bits, TRUE, FALSE, -1, &scale, &offset, 1, nullptr);
}

TEST (Relaxation, AnnealsAsPublished)
{
  RelaxationSettings settings = { 10000, 0.01, 20, 2, 0.2, 1e-3 };
  EXPECT_EQ (relaxation_get_beta (&settings, 1999), 0);
  EXPECT_NEAR (relaxation_get_beta (&settings, 2000), 20, 1e-3);
  EXPECT_NEAR (relaxation_get_beta (&settings, 4000), 17.364, 1e-3);
  EXPECT_NEAR (relaxation_get_beta (&settings, 6000), 11, 1e-3);
  EXPECT_NEAR (relaxation_get_beta (&settings, 8000), 4.636, 1e-3);
  EXPECT_NEAR (relaxation_get_beta (&settings, 9999), 2, 1e-3);
}

TEST (Relaxation, StartsAtTheWeight)
{
  std::vector<float> weights = { 0.74f, 0.26f, 0.0f, 0.48f, -0.52f, 3.25f };
  const double expected[] = { 0.847298, -0.847298, -2.397895, -0.066691, -0.066691, -0.889 };
  g_autoptr (HtTensor) weight = new_matrix (weights, 1, 6);
  g_autoptr (HtEncoding) grid = new_grid (4, 1.0);
  g_autoptr (RelaxedRounding) rounding = relaxed_rounding_new (weight, grid, nullptr);
  ASSERT_NE (rounding, nullptr);
  g_autoptr (HtTensor) alphas = relaxed_rounding_start (rounding, weight, nullptr);
  std::vector<float> soft (6);

  for (guint i = 0; i < 5; i++)
    EXPECT_NEAR (ht_tensor_get_double (alphas, i), expected[i], 2e-6) << i;
  relaxed_rounding_apply (rounding, static_cast<const float *> (ht_tensor_get_data (alphas)), FALSE, soft.data ());
  for (guint i = 0; i < 6; i++)
    EXPECT_NEAR (soft[i], weights[i], 1e-6) << i;
}

/* The loss that the gradient is checked for: sum g w(alpha) + factor sum (1 - |2 h - 1|^beta), in double. */
double
loss_of (double alpha, double weight, double scale, double low, double high, double g, double factor, double beta)
{
  double h = std::min (1.0, std::max (0.0, 1.2 / (1 + std::exp (-alpha)) - 0.1));
  double code = std::min (high, std::max (low, std::floor (weight / scale) + h));
  return g * scale * code + factor * (1 - std::pow (std::fabs (2 * h - 1), beta));
}

TEST (Relaxation, GradientMeetsFiniteDifferences)
{
  const double scale = 0.25, factor = 0.3;
  std::vector<float> weights, start, gradients;
  for (int i = 0; i < 400; i++)
    {
      weights.push_back (float (-2.6 + 0.013 * i)); /* beyond both ends of the grid */
      start.push_back (float (-3.1 + 0.0157 * i));
      gradients.push_back (float (std::sin (i)));
    }
  g_autoptr (HtTensor) weight = new_matrix (weights, 20, 20);
  g_autoptr (HtEncoding) grid = new_grid (4, scale);
  g_autoptr (RelaxedRounding) rounding = relaxed_rounding_new (weight, grid, nullptr);
  ASSERT_NE (rounding, nullptr);
  for (double beta : { 20.0, 7.5, 2.0 })
    {
      std::vector<float> found = gradients;
      guint n_checked = 0;
      relaxed_rounding_differentiate (rounding, start.data (), float (factor), float (beta), found.data ());
      for (guint i = 0; i < 400; i++)
        {
          const double step = 1e-5;
          auto at
              = [&] (double alpha) { return loss_of (alpha, weights[i], scale, -8, 7, gradients[i], factor, beta); };
          double forward = (at (start[i] + step) - at (start[i])) / step;
          double backward = (at (start[i]) - at (start[i] - step)) / step;
          if (std::fabs (forward - backward) > 1e-3) /* a corner lies between */
            continue;
          n_checked++;
          EXPECT_NEAR (found[i], (forward + backward) / 2, 2e-4) << "alpha " << start[i] << " beta " << beta;
        }
      EXPECT_GT (n_checked, 380u);
    }
}

/* y = x w', correlated inputs: the rounding of one weight makes up for that of another. */
struct Problem
{
  std::vector<float> x, y, w;
  guint n, k, o;
};

Problem
make_problem (guint n, guint k, guint o, guint seed)
{
  Problem problem = { {}, {}, {}, n, k, o };
  g_autoptr (GRand) random = g_rand_new_with_seed (seed);
  for (guint i = 0; i < o * k; i++)
    problem.w.push_back (float (g_rand_double_range (random, -1, 1)));
  for (guint s = 0; s < n; s++)
    {
      double common = g_rand_double_range (random, 0, 2);
      for (guint i = 0; i < k; i++)
        problem.x.push_back (float (common + g_rand_double_range (random, -0.5, 0.5)));
      for (guint r = 0; r < o; r++)
        {
          double sum = 0;
          for (guint i = 0; i < k; i++)
            sum += problem.x[s * k + i] * problem.w[r * k + i];
          problem.y.push_back (float (sum));
        }
    }
  return problem;
}

double
error_of (const Problem &problem, const float *w)
{
  double total = 0;
  for (guint s = 0; s < problem.n; s++)
    for (guint r = 0; r < problem.o; r++)
      {
        double sum = -problem.y[s * problem.o + r];
        for (guint i = 0; i < problem.k; i++)
          sum += problem.x[s * problem.k + i] * w[r * problem.k + i];
        total += sum * sum;
      }
  return total / problem.n;
}

const guint batch_size = 32;

gboolean
get_batch (guint batch, HtTensor **input, HtTensor **target, gpointer user_data, GError **)
{
  auto problem = static_cast<const Problem *> (user_data);
  guint first = batch * batch_size, end = first + batch_size;
  *input = new_matrix ({ &problem->x[first * problem->k], &problem->x[0] + end * problem->k }, batch_size, problem->k);
  *target = new_matrix ({ &problem->y[first * problem->o], &problem->y[0] + end * problem->o }, batch_size, problem->o);
  return TRUE;
}

HtGraph *
new_network (const Problem &problem)
{
  HtGraph *graph = ht_graph_new ("layer");
  const gint64 in[] = { -1, problem.k };
  const char *const inputs[] = { "x", "w", nullptr };
  const char *const outputs[] = { "y", nullptr };
  g_autoptr (HtShape) shape = ht_shape_new (in, nullptr, 2);
  g_autoptr (HtTensor) weight = new_matrix (problem.w, problem.o, problem.k);
  ht_graph_set_opset (graph, "", 13);
  ht_graph_add_input (graph, "x", HT_DATA_TYPE_FLOAT, shape);
  ht_graph_set_initializer (graph, "w", weight);
  HtNode *node = ht_graph_add_node (graph, "Gemm", "", "gemm", inputs, outputs);
  ht_graph_set_int (graph, node, "transB", 1);
  ht_graph_add_output (graph, "y", HT_DATA_TYPE_FLOAT, nullptr);
  ht_graph_seal (graph);
  return graph;
}

TEST (Relaxation, FindsNearlyTheBestUpAndDown)
{
  const guint k = 8, o = 3;
  const double scale = 0.25;
  Problem problem = make_problem (256, k, o, 5);
  g_autoptr (HtGraph) network = new_network (problem);
  g_autoptr (HtEncoding) grid = new_grid (4, scale);
  RelaxationSettings settings = { 4000, 0.01, 20, 2, 0.2, 1e-2 };
  RelaxationOutcome outcome;
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtTensor) rounded = relaxation_round (&settings, network, "x", "y", "w", o, grid, problem.n / batch_size,
                                                   1, get_batch, &problem, nullptr, nullptr, &outcome, nullptr, &error);
  ASSERT_NE (rounded, nullptr) << error->message;
  auto found = static_cast<const float *> (ht_tensor_get_data (rounded));

  double best = 0;
  std::vector<float> nearest;
  for (guint r = 0; r < o; r++)
    {
      double least = HUGE_VAL;
      Problem row = { problem.x, {}, {}, problem.n, k, 1 };
      for (guint s = 0; s < problem.n; s++)
        row.y.push_back (problem.y[s * o + r]);
      for (guint choice = 0; choice < 1u << k; choice++)
        {
          std::vector<float> w;
          for (guint i = 0; i < k; i++)
            w.push_back (float (scale * (std::floor (problem.w[r * k + i] / scale) + (choice >> i & 1))));
          least = std::min (least, error_of (row, w.data ()));
        }
      best += least;
    }
  for (guint i = 0; i < k * o; i++)
    {
      double code = found[i] / scale;
      nearest.push_back (float (scale * std::rint (problem.w[i] / scale)));
      EXPECT_EQ (code, std::rint (code));
      EXPECT_LT (std::fabs (found[i] - problem.w[i]), scale);
    }
  EXPECT_LT (error_of (problem, found), error_of (problem, nearest.data ()));
  EXPECT_LT (error_of (problem, found), 1.5 * best);
  /* It is the regularizer that decides. */
  RelaxationOutcome undriven;
  RelaxationSettings without = settings;
  without.regularization = 0;
  g_autoptr (HtTensor) soft = relaxation_round (&without, network, "x", "y", "w", o, grid, problem.n / batch_size, 1,
                                                get_batch, &problem, nullptr, nullptr, &undriven, nullptr, nullptr);
  EXPECT_NE (soft, nullptr);
  EXPECT_LE (outcome.n_undecided, k * o / 4);
  EXPECT_GE (undriven.n_undecided, k * o * 3 / 4);

  /* The stream of samples is the seed's, whatever the number of threads. */
  ht_set_n_threads (1);
  g_autoptr (HtTensor) again = relaxation_round (&settings, network, "x", "y", "w", o, grid, problem.n / batch_size, 1,
                                                 get_batch, &problem, nullptr, nullptr, nullptr, nullptr, nullptr);
  ht_set_n_threads (2);
  EXPECT_TRUE (ht_tensor_equal (rounded, again));
}

TEST (Relaxation, RefusesFloatingPointFormats)
{
  g_autoptr (HtTensor) weight = new_matrix ({ 1, 2, 3, 4 }, 2, 2);
  g_autoptr (HtEncoding) grid = ht_encoding_new_float (HT_NUMBER_FORMAT_FLOAT16, -1, 0, -1, 0, nullptr, 0, nullptr);
  g_autoptr (GError) error = nullptr;
  ASSERT_NE (grid, nullptr);
  EXPECT_EQ (relaxed_rounding_new (weight, grid, &error), nullptr);
  EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED));
}

} // namespace
