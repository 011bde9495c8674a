// SPDX-License-Identifier: MIT
// The moments of a layer say what error other weights make: judged by running the layer with those weights.
#include "small-graph.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

using namespace small;

namespace
{

HtTensor *
random_tensor (std::vector<gint64> dims, unsigned seed)
{
  std::mt19937 random (seed);
  std::normal_distribution<float> normal (0.3f);
  gint64 n = 1;
  for (gint64 dim : dims)
    n *= dim;
  std::vector<float> values;
  for (gint64 i = 0; i < n; i++)
    values.push_back (normal (random));
  return floats (dims, values);
}

struct Ints
{
  const char *name;
  std::vector<gint64> values;
};

struct Case
{
  const char *op;
  std::vector<gint64> input, weight;
  std::vector<Ints> attributes;
};

void
check (const Case &c)
{
  SCOPED_TRACE (c.op + std::to_string (c.input.size ()) + (c.attributes.empty () ? "" : c.attributes[0].name));
  g_autoptr (GError) error = nullptr;
  Builder b;
  b.input ("x", c.input).constant ("w", random_tensor (c.weight, 2));
  HtNode *node = b.node (c.op, { "x", "w" }, { "y" });
  for (const Ints &attribute : c.attributes)
    if (std::string (attribute.name) == "group" || std::string (attribute.name) == "transB")
      ht_graph_set_int (b.graph (), node, attribute.name, attribute.values[0]);
    else
      ht_graph_set_ints (b.graph (), node, attribute.name, attribute.values.data (), attribute.values.size ());
  if (std::string (c.op) == "Gemm")
    ht_graph_set_float (b.graph (), node, "alpha", 0.5f);
  b.output ("y");
  g_autoptr (HtLayer) layer = ht_layer_new (b.graph (), node);
  ASSERT_NE (layer, nullptr);
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), &error);
  Table inputs;
  inputs.add ("x", random_tensor (c.input, 1));
  const char *wanted[] = { "y", nullptr };
  Table outputs (ht_executor_run (executor, inputs, wanted, nullptr, &error));
  ASSERT_EQ (error, nullptr) << error->message;
  HtTensor *y = outputs["y"];
  guint n_dims;
  const gint64 *dims = ht_tensor_get_dims (y, &n_dims);
  g_autoptr (HtTensor) target = random_tensor ({ dims, dims + n_dims }, 3);
  gsize n_channels = ht_layer_get_n_output_channels (layer);
  std::vector<double> bias;
  for (gsize o = 0; o < n_channels; o++)
    bias.push_back (0.1 * (double)o - 0.2);

  g_autoptr (HtMoments) moments = ht_layer_create_moments (layer, &error);
  ASSERT_TRUE (ht_layer_add_moments (layer, moments, inputs["x"], target, bias.data (), 1.0, 5, &error));
  EXPECT_EQ (ht_moments_get_n_positions (moments), ht_layer_count_positions (layer, target));
  g_autoptr (HtTensor) matrix = ht_layer_get_matrix (layer, &error);
  std::vector<double> weights;
  for (float value : values (matrix))
    weights.push_back (value);
  g_autofree double *errors = ht_moments_get_errors (moments, weights.data (), FALSE);
  bool is_conv = std::string (c.op).find ("Conv") == 0;
  gsize n = ht_tensor_get_n_elements (y), inner = is_conv ? n / n_channels / (gsize)dims[0] : 1;
  std::vector<double> expected (n_channels, 0.0);
  for (gsize i = 0; i < n; i++)
    {
      gsize channel = i / inner % n_channels;
      double off = ht_tensor_get_double (y, i) + bias[channel] - ht_tensor_get_double (target, i);
      expected[channel] += off * off / (double)(n / n_channels);
    }
  for (gsize o = 0; o < n_channels; o++)
    EXPECT_NEAR (errors[o], expected[o], 1e-4 * (1.0 + expected[o])) << "channel " << o;

  // Positions that are kept as they are make the same moments.
  g_autoptr (HtSamples) samples = ht_layer_create_samples (layer, n / n_channels, &error);
  ASSERT_TRUE (ht_layer_add_samples (layer, samples, inputs["x"], target, bias.data (), 1.0, 5, &error));
  ASSERT_EQ (ht_samples_get_n_positions (samples), n / n_channels);
  gsize n_groups = ht_samples_get_n_groups (samples), stride;
  std::vector<float> kept_inputs, kept_targets;
  for (gsize group = 0; group < n_groups; group++)
    {
      const float *rows = ht_samples_get_inputs (samples, group, &stride);
      kept_inputs.insert (kept_inputs.end (), rows, rows + ht_samples_get_n_inputs (samples) * stride);
      rows = ht_samples_get_targets (samples, group, &stride);
      kept_targets.insert (kept_targets.end (), rows, rows + ht_samples_get_n_outputs (samples) * stride);
    }
  g_autoptr (HtMoments) again = ht_layer_create_moments (layer, &error);
  ASSERT_TRUE (ht_moments_add (again, kept_inputs.data (), kept_targets.data (), n / n_channels, stride, &error));
  g_autofree double *errors_again = ht_moments_get_errors (again, weights.data (), FALSE);
  for (gsize o = 0; o < n_channels; o++)
    EXPECT_NEAR (errors_again[o], errors[o], 1e-4 * (1.0 + errors[o])) << "channel " << o;

  g_autoptr (HtMoments) part = ht_layer_create_moments (layer, &error);
  ASSERT_TRUE (ht_layer_add_moments (layer, part, inputs["x"], target, bias.data (), 0.5, 5, &error));
  EXPECT_GE (2 * ht_moments_get_n_positions (part), ht_moments_get_n_positions (moments));
  g_autoptr (HtTensor) odd = random_tensor ({ 3, 1 }, 1);
  EXPECT_FALSE (ht_layer_add_moments (layer, part, inputs["x"], odd, nullptr, 1.0, 5, &error));
  EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_SHAPE));
}

TEST (LayerMoments, GiveTheErrorOfEveryKindOfLayer)
{
  check ({ "Conv", { 2, 3, 7, 6 }, { 4, 3, 3, 3 }, { { "pads", { 1, 0, 1, 2 } } } });
  check ({ "Conv", { 2, 4, 9, 8 }, { 6, 2, 3, 2 }, { { "group", { 2 } }, { "strides", { 2, 1 } } } });
  check ({ "Conv", { 3, 5, 8, 8 }, { 5, 1, 3, 3 }, { { "group", { 5 } }, { "pads", { 1, 1, 1, 1 } } } });
  check ({ "Conv", { 2, 3, 9, 9 }, { 2, 3, 3, 3 }, { { "dilations", { 2, 3 } } } });
  check ({ "Conv", { 2, 3, 20 }, { 4, 3, 5 }, { { "pads", { 2, 2 } } } });
  check ({ "Conv", { 1, 2, 5, 6, 7 }, { 3, 2, 2, 3, 2 }, { { "strides", { 1, 2, 1 } } } });
  check ({ "ConvTranspose", { 2, 3, 5, 4 }, { 3, 4, 3, 3 }, { { "strides", { 2, 2 } }, { "pads", { 1, 0, 1, 0 } } } });
  check ({ "ConvTranspose", { 2, 4, 6, 5 }, { 4, 3, 3, 2 }, { { "group", { 2 } }, { "dilations", { 2, 1 } } } });
  check ({ "ConvTranspose", { 1, 2, 9 }, { 2, 3, 4 }, { { "strides", { 3 } } } });
  check ({ "Gemm", { 6, 5 }, { 5, 3 }, {} });
  check ({ "Gemm", { 6, 5 }, { 3, 5 }, { { "transB", { 1 } } } });
  check ({ "MatMul", { 2, 4, 5 }, { 5, 3 }, {} });
}

} // namespace
