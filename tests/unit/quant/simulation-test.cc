// SPDX-License-Identifier: MIT
// Calibration, running quantized, and what goes into and comes out of a model state.
#include "net.h"

#include <cmath>
#include <limits>

using namespace quant;

namespace
{

// y = relu (x @ w), where w has the columns (1, 0) and (0, -0.25).
void
build (Net &net)
{
  net.input ("x", { -1, 2 }).values_of ("w", { 2, 2 }, { 1, 0, 0, -0.25f });
  net.node ("MatMul", { "x", "w" }, { "product" });
  net.node ("Relu", { "product" }, { "y" });
  net.output ("y");
}

HtDataset *
samples (const std::vector<float> &values, gint64 columns = 2)
{
  g_autoptr (GError) error = nullptr;
  HtDataset *dataset = ht_dataset_new ();
  g_autoptr (HtTensor) tensor = tensor_of (values, { (gint64) values.size () / columns, columns });
  EXPECT_TRUE (ht_dataset_add_array (dataset, "x", tensor, &error)) << error->message;
  return dataset;
}

bool
calibrate (HtSimulation *simulation, HtDataset *dataset, guint batch, GError **error)
{
  return ht_simulation_calibrate (simulation, dataset, batch, nullptr, nullptr, nullptr, error);
}

double
scale_of (HtSimulation *simulation, const char *tensor, gsize index = 0)
{
  HtEncoding *encoding = ht_simulation_get_encoding (simulation, tensor);
  EXPECT_NE (encoding, nullptr) << tensor;
  return encoding ? ht_encoding_get_scales (encoding, nullptr)[index] : 0;
}

}

TEST (Simulation, CalibratesRangesOverAllBatches)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  build (net);
  g_autoptr (HtSimulation) simulation = simulate (net);
  EXPECT_EQ (ht_simulation_get_encoding (simulation, "x"), nullptr);
  // The extremes are in the first and in the last batch, which is smaller.
  g_autoptr (HtDataset) dataset = samples ({ -3, 0, 1, 1, 2, 2, 1, 0, 0.5f, 4.65f });
  ASSERT_TRUE (calibrate (simulation, dataset, 2, &error)) << error->message;
  EXPECT_NEAR (scale_of (simulation, "x"), 7.65 / 255, 1e-9);
  EXPECT_EQ (ht_encoding_get_offsets (ht_simulation_get_encoding (simulation, "x"), nullptr)[0], -100);
  EXPECT_NEAR (scale_of (simulation, "w", 0), 1.0 / 127, 1e-12);
  EXPECT_NEAR (scale_of (simulation, "w", 1), 0.25 / 128, 1e-12);
  // relu: columns are x0 and -x1 / 4, so the output is in [0, 2].
  EXPECT_NEAR (scale_of (simulation, "y"), 2.0 / 255, 1e-8);
  EXPECT_EQ (ht_simulation_get_encoding (simulation, "product"), nullptr);
}

TEST (Simulation, GivesTheSameEncodingsForEveryBatchAndThreadCount)
{
  Net net;
  build (net);
  std::vector<float> values;
  for (int i = 0; i < 60; i++)
    values.push_back (std::sin ((float) i) * 3);
  g_autoptr (HtDataset) dataset = samples (values);
  g_autoptr (HtSimulation) first = simulate (net);
  ASSERT_TRUE (calibrate (first, dataset, 30, nullptr));
  guint n_threads = ht_get_n_threads ();
  for (guint threads : { 1u, 2u })
    for (guint batch : { 1u, 7u, 64u })
      {
        ht_set_n_threads (threads);
        g_autoptr (HtSimulation) other = simulate (net);
        ASSERT_TRUE (calibrate (other, dataset, batch, nullptr));
        for (const char *tensor : { "x", "w", "y" })
          EXPECT_TRUE (ht_encoding_equal (ht_simulation_get_encoding (first, tensor),
                                          ht_simulation_get_encoding (other, tensor)));
      }
  ht_set_n_threads (n_threads);
}

TEST (Simulation, RunsOnTheGrids)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  build (net);
  g_autoptr (HtSimulation) simulation = simulate (net);
  g_autoptr (HtDataset) dataset = samples ({ -3, -4, 3, 4 });
  ASSERT_TRUE (calibrate (simulation, dataset, 2, &error)) << error->message;
  g_autoptr (HtExecutor) executor = ht_simulation_create_executor (simulation, &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (HtTensor) x = tensor_of ({ 1.234f, -2.345f }, { 1, 2 });
  std::vector<float> y = run (executor, "x", x);
  // By hand: each tensor on its own grid, in float32.
  auto round_to = [&] (const char *tensor, float value, gsize index) {
    HtEncoding *encoding = ht_simulation_get_encoding (simulation, tensor);
    float scale = (float) ht_encoding_get_scales (encoding, nullptr)[index];
    return std::nearbyint (value / scale) * scale;
  };
  ASSERT_EQ (y.size (), 2u);
  EXPECT_EQ (y[0], round_to ("y", round_to ("x", 1.234f, 0) * round_to ("w", 1, 0), 0));
  EXPECT_EQ (y[1], round_to ("y", round_to ("x", -2.345f, 0) * round_to ("w", -0.25f, 1), 0));
}

// Weights of next to nothing would want steps that the bias is too large for.
TEST (Simulation, RaisesTheScaleOfAWeightSoThatTheBiasFits)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  net.input ("x", { 1, 1, 1, 2 }).values_of ("w", { 2, 1, 1, 1 }, { 1, 1e-12f }).values_of ("b", { 2 }, { 0.5f, 300 });
  net.node ("Conv", { "x", "w", "b" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) simulation = simulate (net);
  g_autoptr (HtDataset) dataset = ht_dataset_new ();
  g_autoptr (HtTensor) x = tensor_of ({ 0, 0.001f }, { 1, 1, 1, 2 });
  ASSERT_TRUE (ht_dataset_add_array (dataset, "x", x, &error)) << error->message;
  ASSERT_TRUE (calibrate (simulation, dataset, 1, &error)) << error->message;
  EXPECT_NEAR (scale_of (simulation, "w", 0), 1.0 / 127, 1e-9);
  double steps = 300 / (scale_of (simulation, "x") * scale_of (simulation, "w", 1));
  EXPECT_LT (steps, 2147483648.0);
  EXPECT_GT (steps, 2147483648.0 * 0.999);
  // And the file has the bias as integers.
  g_autoptr (HtGraph) graph = ht_simulation_to_qdq (simulation, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (ht_graph_get_initializer (graph, "b"), nullptr);
}

TEST (Simulation, RefusesDataThatCannotCalibrate)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  build (net);
  g_autoptr (HtSimulation) simulation = simulate (net);
  for (float bad : { std::nanf (""), std::numeric_limits<float>::infinity () })
    {
      g_autoptr (HtDataset) dataset = samples ({ 1, 2, 3, bad });
      EXPECT_FALSE (calibrate (simulation, dataset, 1, &error));
      EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NUMERIC, "x");
      EXPECT_EQ (ht_simulation_get_encoding (simulation, "w"), nullptr);
    }
  g_autoptr (HtDataset) empty = ht_dataset_new ();
  EXPECT_FALSE (calibrate (simulation, empty, 1, &error));
  ASSERT_NE (error, nullptr);
  g_clear_error (&error);
  g_autoptr (HtDataset) dataset = samples ({ 1, 2 });
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_cancellable_cancel (cancellable);
  EXPECT_FALSE (ht_simulation_calibrate (simulation, dataset, 1, nullptr, nullptr, cancellable, &error));
  EXPECT_TRUE (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
}

TEST (Simulation, RefusesAWeightThatIsNotANumber)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  net.input ("x", { 1, 2 }).values_of ("broken", { 2, 2 }, { 1, 2, std::nanf (""), 3 });
  net.node ("MatMul", { "x", "broken" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) simulation = simulate (net);
  EXPECT_FALSE (ht_simulation_calibrate_weights (simulation, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NUMERIC, "'broken'");
}

TEST (Simulation, FillsUpAFixedBatch)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  net.input ("x", { 4, 1 });
  net.node ("Relu", { "x" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) simulation = simulate (net);
  g_autoptr (HtDataset) dataset = samples ({ 1, 2, 3, -1, 0, 5.1f }, 1);
  ASSERT_TRUE (calibrate (simulation, dataset, 32, &error)) << error->message;
  EXPECT_NEAR (scale_of (simulation, "x"), 6.1 / 255, 1e-8);
}

TEST (Simulation, NamesTheTensorWhereNumbersEnd)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  net.input ("x", { -1, 2 });
  net.node ("Sqrt", { "x" }, { "root" });
  net.node ("Relu", { "root" }, { "y" });
  net.output ("y");
  g_autoptr (HtSimulation) simulation = simulate (net);
  g_autoptr (HtDataset) dataset = samples ({ 1, 2, 3, -1 });
  EXPECT_FALSE (calibrate (simulation, dataset, 1, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NUMERIC, "tensor 'root' (output of node 'root' (Sqrt)): found 1 value");
  EXPECT_EQ (ht_simulation_get_encoding (simulation, "x"), nullptr);
}

TEST (Simulation, LeavesGivenEncodingsAlone)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  build (net);
  g_autoptr (HtSimulation) simulation = simulate (net);
  const double scale = 0.5;
  const gint64 offset = -7;
  g_autoptr (HtEncoding) given = ht_encoding_new (4, FALSE, FALSE, -1, &scale, &offset, 1, nullptr);
  ASSERT_TRUE (ht_simulation_set_encoding (simulation, "y", given, &error));
  ASSERT_TRUE (ht_simulation_set_encoding (simulation, "w", given, &error));
  g_autoptr (HtDataset) dataset = samples ({ -3, -4, 3, 4 });
  ASSERT_TRUE (calibrate (simulation, dataset, 2, &error));
  EXPECT_EQ (ht_simulation_get_encoding (simulation, "y"), given);
  EXPECT_EQ (ht_simulation_get_encoding (simulation, "w"), given);
  EXPECT_NE (ht_simulation_get_encoding (simulation, "x"), nullptr);

  EXPECT_FALSE (ht_simulation_set_encoding (simulation, "product", given, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_FOUND, "'product'");
  const double scales[] = { 1, 1, 1 };
  const gint64 offsets[] = { 0, 0, 0 };
  g_autoptr (HtEncoding) three = ht_encoding_new (8, FALSE, FALSE, 1, scales, offsets, 3, nullptr);
  EXPECT_FALSE (ht_simulation_set_encoding (simulation, "w", three, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_SHAPE, "3 channels");
  EXPECT_FALSE (ht_simulation_set_encoding (simulation, "y", three, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "whole tensor");
}

TEST (Simulation, ExchangesEncodingsWithAState)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  build (net);
  const double scale = 0.5;
  const gint64 offset = -7;
  g_autoptr (HtEncoding) pinned = ht_encoding_new (4, FALSE, FALSE, -1, &scale, &offset, 1, nullptr);
  g_autoptr (HtModelState) state = ht_model_state_new (net.graph ());
  ASSERT_TRUE (ht_model_state_set_encoding (state, "y", pinned, HT_ENCODING_PINNED, &error));
  ASSERT_TRUE (ht_model_state_set_encoding (state, "x", pinned, HT_ENCODING_OPEN, &error));
  ASSERT_TRUE (ht_model_state_set_encoding (state, "product", pinned, HT_ENCODING_OPEN, &error));

  g_autoptr (HtSimulation) simulation = simulate (net);
  ASSERT_TRUE (ht_simulation_load_state (simulation, state, &error));
  EXPECT_TRUE (ht_encoding_equal (ht_simulation_get_encoding (simulation, "y"), pinned));
  EXPECT_EQ (ht_simulation_get_encoding (simulation, "x"), nullptr);
  g_autoptr (HtDataset) dataset = samples ({ -3, -4, 3, 4 });
  ASSERT_TRUE (calibrate (simulation, dataset, 2, &error));
  EXPECT_TRUE (ht_encoding_equal (ht_simulation_get_encoding (simulation, "y"), pinned));
  ASSERT_TRUE (ht_simulation_set_encoding (simulation, "w", pinned, &error));
  ASSERT_TRUE (ht_simulation_store (simulation, state, &error)) << error->message;

  HtEncodingStatus status;
  EXPECT_TRUE (ht_encoding_equal (ht_model_state_get_encoding (state, "y", &status), pinned));
  EXPECT_EQ (status, HT_ENCODING_PINNED);
  EXPECT_TRUE (ht_encoding_equal (ht_model_state_get_encoding (state, "w", &status), pinned));
  EXPECT_EQ (status, HT_ENCODING_FIXED);
  EXPECT_TRUE (ht_encoding_equal (ht_model_state_get_encoding (state, "x", &status),
                                  ht_simulation_get_encoding (simulation, "x")));
  EXPECT_EQ (status, HT_ENCODING_OPEN);
  EXPECT_EQ (ht_model_state_get_encoding (state, "product", &status), nullptr);
}
