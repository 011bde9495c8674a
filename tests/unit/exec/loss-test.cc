// SPDX-License-Identifier: MIT
// Losses against their formulas and against central differences, in double.
#include "support.h"

#include <cmath>
#include <functional>
#include <random>
#include <vector>

namespace
{

HtTensor *
random_tensor (HtDataType type, std::vector<gint64> dims, unsigned seed)
{
  std::mt19937 engine (seed);
  std::normal_distribution<double> normal;
  g_autoptr (HtTensor) tensor
      = ht_tensor_new (HT_DATA_TYPE_DOUBLE, dims.data (), static_cast<guint> (dims.size ()), nullptr);
  for (size_t i = 0; i < ht_tensor_get_n_elements (tensor); i++)
    static_cast<double *> (ht_tensor_get_writable_data (tensor))[i] = normal (engine);
  return ht_tensor_cast (tensor, type, nullptr);
}

// Rows that add up to 1, along axis 1.
HtTensor *
random_distribution (gint64 rows, gint64 classes, unsigned seed)
{
  HtTensor *tensor = random_tensor (HT_DATA_TYPE_DOUBLE, { rows, classes }, seed);
  double *data = static_cast<double *> (ht_tensor_get_writable_data (tensor));
  for (gint64 r = 0; r < rows; r++)
    {
      double sum = 0;
      for (gint64 c = 0; c < classes; c++)
        sum += data[r * classes + c] = std::exp (data[r * classes + c]);
      for (gint64 c = 0; c < classes; c++)
        data[r * classes + c] /= sum;
    }
  return tensor;
}

double
evaluate (HtLoss *loss, HtTensor *output, HtTensor *target)
{
  GError *error = nullptr;
  double value = NAN;
  EXPECT_TRUE (ht_loss_evaluate (loss, output, target, &value, nullptr, &error));
  EXPECT_NO_GERROR (error);
  return value;
}

void
expect_gradient (HtLoss *loss, HtTensor *output, HtTensor *target)
{
  GError *error = nullptr;
  double value, step = 1e-4;
  g_autoptr (HtTensor) gradient = nullptr;
  ASSERT_TRUE (ht_loss_evaluate (loss, output, target, &value, &gradient, &error)) << error->message;
  g_autoptr (HtTensor) moved = ht_tensor_copy (output, nullptr);
  double *data = static_cast<double *> (ht_tensor_get_writable_data (moved));
  for (size_t i = 0; i < ht_tensor_get_n_elements (output); i++)
    {
      double x = data[i], at[4];
      for (int k = 0; k < 4; k++)
        {
          data[i] = x + (k < 2 ? k - 2 : k - 1) * step;
          at[k] = evaluate (loss, moved, target);
        }
      data[i] = x;
      EXPECT_NEAR (ht_tensor_get_double (gradient, i), (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * step), 1e-9)
          << "element " << i;
    }
  // In float the same to its precision.
  g_autoptr (HtTensor) narrow = ht_tensor_cast (output, HT_DATA_TYPE_FLOAT, nullptr), narrow_gradient = nullptr;
  double narrow_value;
  ASSERT_TRUE (ht_loss_evaluate (loss, narrow, target, &narrow_value, &narrow_gradient, &error)) << error->message;
  EXPECT_EQ (ht_tensor_get_data_type (narrow_gradient), HT_DATA_TYPE_FLOAT);
  EXPECT_NEAR (narrow_value, value, 1e-5 * (1 + std::fabs (value)));
  for (size_t i = 0; i < ht_tensor_get_n_elements (output); i++)
    EXPECT_NEAR (ht_tensor_get_double (narrow_gradient, i), ht_tensor_get_double (gradient, i), 1e-6);
}

TEST (Loss, CrossEntropyOfLabels)
{
  for (double smoothing : { 0.0, 0.125 })
    {
      g_autoptr (HtLoss) loss = ht_loss_new_cross_entropy (smoothing);
      g_autoptr (HtTensor) output = random_tensor (HT_DATA_TYPE_DOUBLE, { 3, 4 }, 1);
      const gint64 labels[] = { 2, 0, 3 };
      g_autoptr (HtTensor) target = ht_tensor_new_int64s (labels, 3);
      double expected = 0;
      for (size_t r = 0; r < 3; r++)
        {
          double sum = 0, mean = 0;
          for (size_t c = 0; c < 4; c++)
            sum += std::exp (ht_tensor_get_double (output, r * 4 + c));
          for (size_t c = 0; c < 4; c++)
            mean += (std::log (sum) - ht_tensor_get_double (output, r * 4 + c)) / 4;
          expected += ((1 - smoothing)
                           * (std::log (sum) - ht_tensor_get_double (output, r * 4 + static_cast<size_t> (labels[r])))
                       + smoothing * mean)
                      / 3;
        }
      EXPECT_NEAR (evaluate (loss, output, target), expected, 1e-14);
      expect_gradient (loss, output, target);
    }
}

TEST (Loss, CrossEntropyOfImages)
{
  g_autoptr (HtLoss) loss = ht_loss_new_cross_entropy (0.0);
  g_autoptr (HtTensor) output = random_tensor (HT_DATA_TYPE_DOUBLE, { 2, 3, 2, 2 }, 2);
  const gint64 dims[] = { 2, 2, 2 };
  g_autoptr (HtTensor) target = ht_tensor_new (HT_DATA_TYPE_INT32, dims, 3, nullptr);
  for (int i = 0; i < 8; i++)
    static_cast<gint32 *> (ht_tensor_get_writable_data (target))[i] = i % 3;
  expect_gradient (loss, output, target);
  // Each position alone gives the same as all together.
  double sum = 0;
  for (size_t n = 0; n < 2; n++)
    for (size_t p = 0; p < 4; p++)
      {
        double logits[3];
        for (size_t c = 0; c < 3; c++)
          logits[c] = ht_tensor_get_double (output, (n * 3 + c) * 4 + p);
        const gint64 alone[] = { 3 };
        g_autoptr (HtTensor) vector = ht_tensor_new (HT_DATA_TYPE_DOUBLE, alone, 1, nullptr);
        memcpy (ht_tensor_get_writable_data (vector), logits, sizeof logits);
        g_autoptr (HtTensor) label
            = ht_tensor_new_scalar (static_cast<double> ((n * 4 + p) % 3), HT_DATA_TYPE_INT64, nullptr);
        sum += evaluate (loss, vector, label) / 8;
      }
  EXPECT_NEAR (evaluate (loss, output, target), sum, 1e-14);
}

TEST (Loss, CrossEntropyOfDistributions)
{
  g_autoptr (HtLoss) loss = ht_loss_new_cross_entropy (0.25);
  g_autoptr (HtTensor) output = random_tensor (HT_DATA_TYPE_DOUBLE, { 3, 5 }, 3);
  g_autoptr (HtTensor) target = random_distribution (3, 5, 4), raw = random_tensor (HT_DATA_TYPE_DOUBLE, { 3, 5 }, 5);
  expect_gradient (loss, output, target);
  expect_gradient (loss, output, raw); // masses other than 1
}

TEST (Loss, KlDivergence)
{
  g_autoptr (HtTensor) output = random_tensor (HT_DATA_TYPE_DOUBLE, { 3, 5 }, 6);
  g_autoptr (HtTensor) teacher = random_tensor (HT_DATA_TYPE_DOUBLE, { 3, 5 }, 7);
  for (double temperature : { 1.0, 4.0 })
    {
      g_autoptr (HtLoss) loss = ht_loss_new_kl_divergence (temperature);
      EXPECT_NEAR (evaluate (loss, teacher, teacher), 0, 1e-14);
      EXPECT_GT (evaluate (loss, output, teacher), 0);
      expect_gradient (loss, output, teacher);
      expect_gradient (loss, teacher, output);
    }
}

TEST (Loss, MeanSquaredError)
{
  g_autoptr (HtLoss) loss = ht_loss_new_mean_squared_error ();
  g_autoptr (HtTensor) output = random_tensor (HT_DATA_TYPE_DOUBLE, { 2, 3, 4 }, 8);
  g_autoptr (HtTensor) target = random_tensor (HT_DATA_TYPE_DOUBLE, { 2, 3, 4 }, 9);
  double expected = 0;
  for (size_t i = 0; i < 24; i++)
    expected += std::pow (ht_tensor_get_double (output, i) - ht_tensor_get_double (target, i), 2) / 24;
  EXPECT_NEAR (evaluate (loss, output, target), expected, 1e-14);
  expect_gradient (loss, output, target);
}

TEST (Loss, SurvivesLargeLogits)
{
  const float logits[] = { 2000, -2000, 1999 };
  const gint64 labels[] = { 1 }, dims[] = { 1, 3 };
  g_autoptr (HtTensor) flat = ht_tensor_new_floats (logits, 3), target = ht_tensor_new_int64s (labels, 1);
  g_autoptr (HtTensor) output = ht_tensor_reshape (flat, dims, 2, nullptr);
  g_autoptr (HtLoss) loss = ht_loss_new_cross_entropy (0.0);
  EXPECT_NEAR (evaluate (loss, output, target), 4000 + std::log1p (std::exp (-1.0)), 1e-9);
}

TEST (Loss, SameBytesAtAnyNumberOfThreads)
{
  g_autoptr (HtTensor) output = random_tensor (HT_DATA_TYPE_FLOAT, { 300, 100 }, 10);
  g_autoptr (HtTensor) target = random_tensor (HT_DATA_TYPE_FLOAT, { 300, 100 }, 11);
  HtLoss *losses[]
      = { ht_loss_new_cross_entropy (0.1), ht_loss_new_kl_divergence (2), ht_loss_new_mean_squared_error () };
  guint before = ht_get_n_threads ();
  for (HtLoss *loss : losses)
    {
      double values[2];
      HtTensor *gradients[2];
      for (guint i = 0; i < 2; i++)
        {
          ht_set_n_threads (i + 1);
          ASSERT_TRUE (ht_loss_evaluate (loss, output, target, &values[i], &gradients[i], nullptr));
        }
      EXPECT_EQ (values[0], values[1]);
      EXPECT_TRUE (ht_tensor_equal (gradients[0], gradients[1]));
      ht_tensor_unref (gradients[0]);
      ht_tensor_unref (gradients[1]);
      g_object_unref (loss);
    }
  ht_set_n_threads (before);
}

TEST (Loss, RefusesWhatDoesNotFit)
{
  g_autoptr (HtLoss) entropy = ht_loss_new_cross_entropy (0.0), squared = ht_loss_new_mean_squared_error ();
  g_autoptr (HtTensor) output = random_tensor (HT_DATA_TYPE_FLOAT, { 2, 3 }, 1);
  g_autoptr (HtTensor) other = random_tensor (HT_DATA_TYPE_FLOAT, { 3, 2 }, 1);
  g_autoptr (HtTensor) empty = random_tensor (HT_DATA_TYPE_FLOAT, { 0, 3 }, 1);
  const gint64 wrong[] = { 0, 3 }, few[] = { 0 };
  g_autoptr (HtTensor) labels = ht_tensor_new_int64s (wrong, 2), short_labels = ht_tensor_new_int64s (few, 1);
  double value;
  GError *error = nullptr;
  EXPECT_FALSE (ht_loss_evaluate (entropy, output, labels, &value, nullptr, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_DATA, "label 3 at position 1");
  EXPECT_FALSE (ht_loss_evaluate (entropy, output, short_labels, &value, nullptr, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_SHAPE, "labels without the dimension");
  EXPECT_FALSE (ht_loss_evaluate (entropy, output, other, &value, nullptr, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_SHAPE, "the same shape");
  EXPECT_FALSE (ht_loss_evaluate (squared, output, labels, &value, nullptr, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_SHAPE, "the same shape");
  EXPECT_FALSE (ht_loss_evaluate (squared, empty, empty, &value, nullptr, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_SHAPE, "at least one element");
  EXPECT_FALSE (ht_loss_evaluate (squared, labels, labels, &value, nullptr, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_DATA_TYPE, "float or double");
}

// y = x * w: the gradient with respect to w is that of the losses with respect to y, times x.
TEST (Loss, DrivesAGradient)
{
  g_autoptr (HtGraph) graph = ht_graph_new ("product");
  const char *in[] = { "x", "w", nullptr }, *out[] = { "y", nullptr }, *names[] = { "y", "y" },
             *wanted[] = { "w", nullptr };
  ht_graph_set_opset (graph, "", 14);
  g_autoptr (HtTensor) w = random_tensor (HT_DATA_TYPE_FLOAT, { 2, 3 }, 1),
                       x = random_tensor (HT_DATA_TYPE_FLOAT, { 2, 3 }, 2);
  g_autoptr (HtTensor) a = random_tensor (HT_DATA_TYPE_FLOAT, { 2, 3 }, 3),
                       b = random_tensor (HT_DATA_TYPE_FLOAT, { 2, 3 }, 4);
  ht_graph_add_input (graph, "x", HT_DATA_TYPE_FLOAT, nullptr);
  ht_graph_add_output (graph, "y", HT_DATA_TYPE_FLOAT, nullptr);
  ht_graph_set_initializer (graph, "w", w);
  ht_graph_add_node (graph, "Mul", "", "node", in, out);
  GError *error = nullptr;
  g_autoptr (HtGradient) gradient = ht_gradient_new (graph, wanted, &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (HtLoss) squared = ht_loss_new_mean_squared_error (), divergence = ht_loss_new_kl_divergence (2.0);
  HtLoss *losses[] = { squared, divergence };
  HtTensor *targets[] = { a, b };
  const double weights[] = { 0.5, 2.0 };
  g_autoptr (GHashTable) inputs = g_hash_table_new (g_str_hash, g_str_equal);
  g_hash_table_insert (inputs, const_cast<char *> ("x"), x);
  g_autoptr (HtGradientResult) result
      = ht_gradient_run_losses (gradient, inputs, names, losses, targets, weights, 2, out, nullptr, &error);
  ASSERT_NO_GERROR (error);
  HtTensor *y = ht_gradient_result_get_output (result, "y"), *dw = ht_gradient_result_get_gradient (result, "w");
  double values[2];
  HtTensor *dy[2];
  for (int i = 0; i < 2; i++)
    ASSERT_TRUE (ht_loss_evaluate (losses[i], y, targets[i], &values[i], &dy[i], nullptr));
  EXPECT_NEAR (ht_gradient_result_get_loss (result), 0.5 * values[0] + 2 * values[1], 1e-6);
  for (size_t i = 0; i < 6; i++)
    EXPECT_NEAR (ht_tensor_get_double (dw, i),
                 (0.5 * ht_tensor_get_double (dy[0], i) + 2 * ht_tensor_get_double (dy[1], i))
                     * ht_tensor_get_double (x, i),
                 1e-6);
  ht_tensor_unref (dy[0]);
  ht_tensor_unref (dy[1]);
}

}
