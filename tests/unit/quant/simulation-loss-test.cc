// SPDX-License-Identifier: MIT
// What grids do to values, against the definition on the values themselves; tensors that calibration never reaches.
#include "net.h"

#include <cmath>
#include <random>

using namespace quant;

namespace
{

struct Loss
{
  bool known = false;
  double clip_ratio = NAN, sqnr = NAN;
};

Loss
loss_of (HtSimulation *simulation, const char *tensor)
{
  Loss loss;
  loss.known = ht_simulation_measure_loss (simulation, tensor, &loss.clip_ratio, &loss.sqnr);
  return loss;
}

// By the definition; `clipped` says which values are beyond the grid.
template <typename Clipped>
Loss
expected (const std::vector<float> &values, HtEncoding *encoding, Clipped clipped)
{
  g_autoptr (HtTensor) x = tensor_of (values, { (gint64)values.size () });
  g_autoptr (HtTensor) y = ht_encoding_fake_quantize (encoding, x, nullptr);
  double signal = 0, noise = 0, n_clipped = 0;
  for (gsize i = 0; i < values.size (); i++)
    {
      double error = values[i] - ht_tensor_get_double (y, i);
      signal += (double)values[i] * values[i];
      noise += error * error;
      n_clipped += clipped (values[i]);
    }
  return { true, n_clipped / values.size (), 10 * std::log10 (signal / noise) };
}

std::function<bool (double)>
beyond (HtEncoding *encoding, gsize grid = 0)
{
  double scale = ht_encoding_get_scales (encoding, nullptr)[grid];
  double offset = (double)ht_encoding_get_offsets (encoding, nullptr)[grid];
  double n = (double)ht_encoding_get_n_steps (encoding);
  return [=] (double x) { return x < scale * (offset - 0.5) || x > scale * (offset + n + 0.5); };
}

// Heavy tails, and half of the values zero behind the Relu.
std::vector<float>
make_samples (int n)
{
  std::mt19937 random (1);
  std::normal_distribution<float> normal;
  std::vector<float> values;
  for (int i = 0; i < n; i++)
    values.push_back (std::pow (normal (random), 3.0f));
  return values;
}

HtDataset *
dataset_of (const std::vector<float> &values, gint64 columns)
{
  HtDataset *dataset = ht_dataset_new ();
  g_autoptr (HtTensor) tensor = tensor_of (values, { (gint64)values.size () / columns, columns });
  EXPECT_TRUE (ht_dataset_add_array (dataset, "x", tensor, nullptr));
  return dataset;
}

void
build_relu (Net &net)
{
  net.input ("x", { -1, 50 });
  net.node ("Relu", { "x" }, { "y" });
  net.output ("y");
}

HtQuantizationConfig *
config_of (const std::vector<std::pair<const char *, const char *> > &activations)
{
  HtQuantizationConfig *config = ht_quantization_config_new ();
  for (auto [name, value] : activations)
    EXPECT_TRUE (
        ht_object_set_param_string (G_OBJECT (ht_quantization_config_get_activations (config)), name, value, nullptr));
  return config;
}

}

TEST (SimulationLoss, OfActivationsIsThatOfTheirValues)
{
  const std::vector<std::vector<std::pair<const char *, const char *> > > settings = {
    { { "calibrator", "min-max" } },
    { { "calibrator", "min-max" }, { "bits", "4" } },
    { { "calibrator", "percentile" } },
    { { "calibrator", "tf-enhanced" }, { "bits", "4" } },
    { { "calibrator", "mse" }, { "bits", "12" } },
    { { "calibrator", "min-max" }, { "symmetric", "true" } },
  };
  Net net;
  build_relu (net);
  std::vector<float> values = make_samples (20000), positive;
  for (float value : values)
    positive.push_back (std::max (value, 0.0f));
  g_autoptr (HtDataset) dataset = dataset_of (values, 50);
  bool any_clipped = false;
  for (const auto &setting : settings)
    {
      g_autoptr (GError) error = nullptr;
      g_autoptr (HtQuantizationConfig) config = config_of (setting);
      g_autoptr (HtSimulation) simulation = simulate (net, config);
      EXPECT_FALSE (loss_of (simulation, "x").known);
      ASSERT_TRUE (ht_simulation_calibrate (simulation, dataset, 32, nullptr, nullptr, nullptr, &error))
          << error->message;
      for (const char *tensor : { "x", "y" })
        {
          HtEncoding *encoding = ht_simulation_get_encoding (simulation, tensor);
          Loss loss = loss_of (simulation, tensor);
          Loss real = expected (tensor[0] == 'x' ? values : positive, encoding, beyond (encoding));
          ASSERT_TRUE (loss.known);
          EXPECT_NEAR (loss.sqnr, real.sqnr, 0.5) << tensor << setting[0].second;
          EXPECT_NEAR (loss.clip_ratio, real.clip_ratio, 5e-5) << tensor << setting[0].second;
          any_clipped |= real.clip_ratio > 1e-4;
          if (real.clip_ratio == 0)
            {
              EXPECT_EQ (loss.clip_ratio, 0) << tensor << setting[0].second;
            }
        }
    }
  EXPECT_TRUE (any_clipped);
}

TEST (SimulationLoss, KnowsFloatingPointFormats)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  build_relu (net);
  std::vector<float> values = make_samples (20000);
  g_autoptr (HtDataset) dataset = dataset_of (values, 50);
  for (const char *format : { "float8e4m3fn", "float8e5m2", "bfloat16" })
    {
      g_autoptr (HtQuantizationConfig) config = config_of ({ { "format", format } });
      g_autoptr (HtSimulation) simulation = simulate (net, config);
      ASSERT_TRUE (ht_simulation_calibrate (simulation, dataset, 32, nullptr, nullptr, nullptr, &error))
          << error->message;
      Loss loss = loss_of (simulation, "x");
      Loss real = expected (values, ht_simulation_get_encoding (simulation, "x"), [] (double) { return false; });
      EXPECT_NEAR (loss.sqnr, real.sqnr, 0.5) << format;
      EXPECT_EQ (loss.clip_ratio, 0);
    }
}

TEST (SimulationLoss, DependsNeitherOnBatchesNorOnThreads)
{
  Net net;
  build_relu (net);
  g_autoptr (HtDataset) dataset = dataset_of (make_samples (200000), 50);
  guint n_threads = ht_get_n_threads ();
  std::vector<Loss> losses;
  for (guint threads : { 1u, 2u, 3u })
    {
      ht_set_n_threads (threads);
      g_autoptr (HtSimulation) simulation = simulate (net);
      ASSERT_TRUE (ht_simulation_calibrate (simulation, dataset, 1000, nullptr, nullptr, nullptr, nullptr));
      losses.push_back (loss_of (simulation, "x"));
      EXPECT_EQ (losses.back ().sqnr, losses.front ().sqnr);
    }
  ht_set_n_threads (n_threads);
  g_autoptr (HtSimulation) simulation = simulate (net);
  ASSERT_TRUE (ht_simulation_calibrate (simulation, dataset, 7, nullptr, nullptr, nullptr, nullptr));
  EXPECT_NEAR (loss_of (simulation, "x").sqnr, losses.front ().sqnr, 1e-5);
  EXPECT_EQ (loss_of (simulation, "x").clip_ratio, losses.front ().clip_ratio);
}

// A quarter of the values of a large batch is counted: nearly the same, and the same bytes at any number of threads.
TEST (SimulationLoss, OfLargeBatchesIsSampled)
{
  Net net;
  build_relu (net);
  std::vector<float> values = make_samples (400000);
  g_autoptr (HtDataset) dataset = dataset_of (values, 50);
  guint n_threads = ht_get_n_threads ();
  for (const char *calibrator : { "min-max", "percentile", "tf-enhanced" })
    {
      g_autoptr (HtEncoding) first = nullptr;
      double sqnr = 0;
      for (guint threads : { 1u, 2u, 3u })
        {
          ht_set_n_threads (threads);
          g_autoptr (HtQuantizationConfig) config = config_of ({ { "calibrator", calibrator } });
          g_autoptr (HtSimulation) simulation = simulate (net, config);
          ASSERT_TRUE (ht_simulation_calibrate (simulation, dataset, 4000, nullptr, nullptr, nullptr, nullptr));
          HtEncoding *encoding = ht_simulation_get_encoding (simulation, "x");
          Loss loss = loss_of (simulation, "x"), real = expected (values, encoding, beyond (encoding));
          EXPECT_NEAR (loss.sqnr, real.sqnr, 0.5) << calibrator;
          EXPECT_NEAR (loss.clip_ratio, real.clip_ratio, 5e-5) << calibrator;
          if (!first)
            {
              first = ht_encoding_ref (encoding);
              sqnr = loss.sqnr;
            }
          EXPECT_TRUE (ht_encoding_equal (first, encoding)) << calibrator;
          EXPECT_EQ (loss.sqnr, sqnr) << calibrator;
        }
      // In small batches every value is counted.
      g_autoptr (HtQuantizationConfig) config = config_of ({ { "calibrator", calibrator } });
      g_autoptr (HtSimulation) whole = simulate (net, config);
      ASSERT_TRUE (ht_simulation_calibrate (whole, dataset, 100, nullptr, nullptr, nullptr, nullptr));
      HtEncoding *other = ht_simulation_get_encoding (whole, "x");
      double scale = ht_encoding_get_scales (first, nullptr)[0], all = ht_encoding_get_scales (other, nullptr)[0];
      EXPECT_NEAR (scale / all, 1, 0.15) << calibrator;
      EXPECT_TRUE (std::string (calibrator) != "min-max" || ht_encoding_equal (first, other));
    }
  ht_set_n_threads (n_threads);
}

TEST (SimulationLoss, OfConstantsIsExact)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  net.input ("x", { 1, 8 }).weight ("w", { 8, 16 });
  net.node ("MatMul", { "x", "w" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) simulation = simulate (net);
  EXPECT_FALSE (loss_of (simulation, "w").known);
  EXPECT_FALSE (loss_of (simulation, "none").known);
  ASSERT_TRUE (ht_simulation_calibrate_weights (simulation, &error)) << error->message;
  g_autoptr (HtTensor) w = ht_graph_get_constant (net.graph (), "w");
  HtEncoding *encoding = ht_simulation_get_encoding (simulation, "w");
  ASSERT_EQ (ht_encoding_get_axis (encoding), 1);
  const float *values = (const float *)ht_tensor_get_data (w);
  g_autoptr (HtTensor) rounded = ht_encoding_fake_quantize (encoding, w, &error);
  double signal = 0, noise = 0;
  for (gsize i = 0; i < 128; i++)
    {
      double off = values[i] - ht_tensor_get_double (rounded, i);
      signal += (double)values[i] * values[i];
      noise += off * off;
    }
  EXPECT_NEAR (loss_of (simulation, "w").sqnr, 10 * std::log10 (signal / noise), 1e-9);
  EXPECT_EQ (loss_of (simulation, "w").clip_ratio, 0);
  // Half the range for the first channel: what lies beyond is counted by that channel's ends.
  std::vector<double> scales (ht_encoding_get_scales (encoding, nullptr),
                              ht_encoding_get_scales (encoding, nullptr) + 16);
  std::vector<gint64> offsets (16, -128);
  scales[0] /= 2;
  g_autoptr (HtEncoding) half = ht_encoding_new (8, TRUE, FALSE, 1, scales.data (), offsets.data (), 16, &error);
  ASSERT_NO_GERROR (error);
  ASSERT_TRUE (ht_simulation_set_encoding (simulation, "w", half, &error));
  gsize n_beyond = 0;
  for (gsize row = 0; row < 8; row++)
    n_beyond += beyond (half) (values[row * 16]);
  ASSERT_GT (n_beyond, 0u);
  EXPECT_DOUBLE_EQ (loss_of (simulation, "w").clip_ratio, n_beyond / 128.0);
}

TEST (SimulationLoss, IsKnownOfGivenEncodings)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  build_relu (net);
  std::vector<float> values = make_samples (20000), positive;
  for (float value : values)
    positive.push_back (std::max (value, 0.0f));
  const double scale = 0.01;
  const gint64 offset = 0;
  g_autoptr (HtEncoding) given = ht_encoding_new (8, FALSE, FALSE, -1, &scale, &offset, 1, nullptr);
  g_autoptr (HtSimulation) simulation = simulate (net);
  ASSERT_TRUE (ht_simulation_set_encoding (simulation, "y", given, &error));
  g_autoptr (HtDataset) dataset = dataset_of (values, 50);
  ASSERT_TRUE (ht_simulation_calibrate (simulation, dataset, 32, nullptr, nullptr, nullptr, &error)) << error->message;
  EXPECT_EQ (ht_simulation_get_encoding (simulation, "y"), given);
  Loss real = expected (positive, given, beyond (given));
  EXPECT_GT (real.clip_ratio, 0.01);
  EXPECT_NEAR (loss_of (simulation, "y").clip_ratio, real.clip_ratio, 5e-4);
  EXPECT_NEAR (loss_of (simulation, "y").sqnr, real.sqnr, 0.05);
  // Another encoding: what was measured is no longer true.
  ASSERT_TRUE (ht_simulation_set_encoding (simulation, "y", ht_simulation_get_encoding (simulation, "x"), &error));
  EXPECT_FALSE (loss_of (simulation, "y").known);
}

TEST (SimulationLoss, IsInfiniteWhereNothingIsLost)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  net.input ("x", { 1, 2 }).values_of ("w", { 2, 2 }, { 1, -2, 127, 127 });
  net.node ("MatMul", { "x", "w" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) simulation = simulate (net);
  ASSERT_TRUE (ht_simulation_calibrate_weights (simulation, &error)) << error->message;
  EXPECT_EQ (loss_of (simulation, "w").sqnr, INFINITY);
}

// A branch that no sample takes: its tensors are listed, in the notes and by name, and stay in floating point.
TEST (SimulationLoss, ListsWhatCalibrationNeverReaches)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  net.input ("x", { -1, 2 });
  net.node ("Relu", { "x" }, { "y" });
  net.output ("y").output ("empty");
  net.ints ("starts", { 0 }).ints ("ends", { 0 }).ints ("axes", { 1 });
  net.node ("Slice", { "x", "starts", "ends", "axes" }, { "nothing" });
  net.node ("Sigmoid", { "nothing" }, { "empty" });
  g_autoptr (HtSimulation) simulation = simulate (net);
  g_autoptr (HtDataset) dataset = dataset_of ({ 1, 2, 3, -4 }, 2);
  ASSERT_TRUE (ht_simulation_calibrate (simulation, dataset, 2, nullptr, nullptr, nullptr, &error)) << error->message;
  g_auto (GStrv) unreached = ht_simulation_list_unreached (simulation);
  ASSERT_EQ (g_strv_length (unreached), 1u);
  EXPECT_STREQ (unreached[0], "empty");
  EXPECT_NE (skipped (simulation).find ("tensor 'empty': calibration never reached it"), std::string::npos);
  EXPECT_EQ (ht_simulation_get_encoding (simulation, "empty"), nullptr);
  EXPECT_FALSE (loss_of (simulation, "empty").known);
}
