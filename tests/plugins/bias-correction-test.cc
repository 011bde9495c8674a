// SPDX-License-Identifier: MIT
// Bias correction: the means that it puts right, the published expectations, and what it must not be combined with.
#include "expectation.h"
#include "rounding.h"

using namespace rounding;

namespace
{

/* The mean of a clipped normal by summing over a fine grid. */
double
integrate_clipped (double mean, double deviation, double low, double high)
{
  const int n = 400000;
  double sum = 0;
  for (int i = 0; i <= n; i++)
    {
      double z = -12 + 24.0 * i / n;
      sum += std::exp (-0.5 * z * z) / std::sqrt (2 * G_PI) * std::min (high, std::max (low, mean + deviation * z))
             * 24.0 / n;
    }
  return sum;
}

TEST (BiasCorrection, ExpectsAsPublished)
{
  const double infinity = HUGE_VAL;
  for (double mean : { -7.0, -1.5, 0.0, 0.4, 5.0, 9.0 })
    for (double deviation : { 0.01, 0.7, 2.0 })
      {
        EXPECT_DOUBLE_EQ (expectation_of_clipped (mean, deviation, -infinity, infinity), mean);
        EXPECT_NEAR (expectation_of_clipped (mean, deviation, 0, infinity),
                     integrate_clipped (mean, deviation, 0, infinity), 1e-6);
        EXPECT_NEAR (expectation_of_clipped (mean, deviation, 0, 6), integrate_clipped (mean, deviation, 0, 6), 1e-6);
      }
  EXPECT_EQ (expectation_of_clipped (7, 0, 0, 6), 6);
  EXPECT_EQ (expectation_of_clipped (-7, 0, 0, 6), 0);
}

Graph
chain (const char *activation)
{
  Builder b;
  b.input ({ -1, 3, 6, 6 });
  b.weights ("w1", { 4, 3, 1, 1 });
  b.weights ("b1", { 4 });
  b.weights ("w2", { 5, 4, 3, 3 });
  b.node ("Conv", "c1", { "x", "w1", "b1" });
  b.node (activation, "a1", { "c1" });
  b.node ("Conv", "c2", { "a1", "w2" });
  b.output ("c2");
  return b.finish ();
}

TEST (BiasCorrection, IntegratesOtherActivations)
{
  const double means[] = { -1, 0.2, 3, 0 }, deviations[] = { 0.5, 1, 2, 0 };
  g_autoptr (HtBatchnormStatistics) statistics = ht_batchnorm_statistics_new ();
  ht_batchnorm_statistics_set (statistics, "c1", means, deviations, 4);
  for (const char *activation : { "Tanh", "Sigmoid", "LeakyRelu", "Relu", "Softplus" })
    {
      Graph graph = chain (activation);
      g_autoptr (HtLayer) layer = ht_graph_find_layer (graph.get (), "c2");
      g_autofree char *why = nullptr;
      gsize n;
      g_autofree double *found = expectation_of_input (layer, statistics, &n, &why);
      ASSERT_NE (found, nullptr) << why;
      ASSERT_EQ (n, 4u);
      for (gsize c = 0; c < n; c++)
        {
          auto of = [&] (double x) {
            std::string op = activation;
            return op == "Tanh"        ? std::tanh (x)
                   : op == "Sigmoid"   ? 1 / (1 + std::exp (-x))
                   : op == "LeakyRelu" ? (x < 0 ? 0.01 * x : x)
                   : op == "Relu"      ? std::max (0.0, x)
                                       : std::log1p (std::exp (x));
          };
          double sum = 0;
          for (int i = 0; i <= 40000; i++)
            {
              double z = -10 + 20.0 * i / 40000;
              sum += std::exp (-0.5 * z * z) / std::sqrt (2 * G_PI) * of (means[c] + deviations[c] * z) * 20.0 / 40000;
            }
          EXPECT_NEAR (found[c], sum, 2e-5) << activation << " channel " << c;
        }
    }
}

TEST (BiasCorrection, TellsWhyNothingIsExpected)
{
  Graph graph = small_network ();
  g_autoptr (HtBatchnormStatistics) statistics = ht_batchnorm_statistics_new ();
  g_autoptr (HtLayer) layer = ht_graph_find_layer (graph.get (), "c3");
  g_autofree char *why = nullptr;
  gsize n;
  EXPECT_EQ (expectation_of_input (layer, statistics, &n, &why), nullptr);
  EXPECT_NE (why, nullptr);
}

/* The mean of each channel of a tensor over samples. */
std::vector<double>
channel_means (HtExecutor *executor, HtGraph *graph, const char *tensor, unsigned seed)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (GHashTable) inputs = random_inputs (graph, 256, seed, -1, 1);
  const char *const outputs[] = { tensor, nullptr };
  g_autoptr (GHashTable) found = ht_executor_run (executor, inputs, outputs, nullptr, &error);
  EXPECT_NO_GERROR (error);
  auto *value = (HtTensor *)g_hash_table_lookup (found, tensor);
  gsize n_channels = (gsize)ht_tensor_get_dim (value, 1), n = ht_tensor_get_n_elements (value);
  gsize inner = n / n_channels / 256;
  std::vector<double> means (n_channels);
  for (gsize i = 0; i < n; i++)
    means[i / inner % n_channels] += ht_tensor_get_double (value, i) * double (n_channels) / double (n);
  return means;
}

TEST (BiasCorrection, PutsTheMeansRight)
{
  Graph graph = small_network ();
  g_autoptr (HtDataset) data = make_data (graph.get (), 5, 256);
  g_autoptr (HtQuantizationConfig) config = make_config (3);
  g_autoptr (GError) error = nullptr;
  State state = run_technique ("bias-correction", graph.get (), config, data, {}, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_LT (output_error (graph.get (), graph_of (state), state.get (), config, data),
             output_error (graph.get (), graph.get (), nullptr, config, data));
  for (const char *weight : { "w1", "w2", "w3", "w4" })
    EXPECT_EQ (constant_values (graph_of (state), weight), constant_values (graph.get (), weight));

  double before = 0, after = 0;
  for (const char *tensor : { "c1", "c2", "c3" })
    {
      std::vector<double> means[3];
      g_autoptr (HtExecutor) exact = ht_executor_new (graph.get (), &error);
      means[0] = channel_means (exact, graph.get (), tensor, 5);
      for (int corrected : { 0, 1 })
        {
          HtGraph *network = corrected ? graph_of (state) : graph.get ();
          g_autoptr (HtSimulation) simulation = ht_simulation_new (network, config, &error);
          ASSERT_TRUE (ht_simulation_calibrate_weights (simulation, &error));
          g_autoptr (HtExecutor) executor = ht_simulation_create_executor (simulation, &error);
          means[1 + corrected] = channel_means (executor, network, tensor, 5);
        }
      for (gsize c = 0; c < means[0].size (); c++)
        {
          before += std::fabs (means[1][c] - means[0][c]);
          after += std::fabs (means[2][c] - means[0][c]);
        }
    }
  EXPECT_LT (after, 0.2 * before);
}

/* The mean and deviation of each channel of c1 over samples. */
HtBatchnormStatistics *
statistics_of (HtGraph *graph, const char *tensor, double shift)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtExecutor) executor = ht_executor_new (graph, &error);
  g_autoptr (GHashTable) inputs = random_inputs (graph, 256, 7, -1, 1);
  const char *const outputs[] = { tensor, nullptr };
  g_autoptr (GHashTable) found = ht_executor_run (executor, inputs, outputs, nullptr, &error);
  EXPECT_NO_GERROR (error);
  auto *value = (HtTensor *)g_hash_table_lookup (found, tensor);
  gsize n_channels = (gsize)ht_tensor_get_dim (value, 1), n = ht_tensor_get_n_elements (value);
  gsize inner = n / n_channels / 256;
  std::vector<double> means (n_channels), deviations (n_channels);
  for (int moment : { 1, 2 })
    for (gsize i = 0; i < n; i++)
      {
        gsize c = i / inner % n_channels;
        double x = ht_tensor_get_double (value, i), share = double (n_channels) / double (n);
        (moment == 1 ? means : deviations)[c] += share * (moment == 1 ? x : (x - means[c]) * (x - means[c]));
      }
  for (gsize c = 0; c < n_channels; c++)
    {
      means[c] += shift;
      deviations[c] = std::sqrt (deviations[c]);
    }
  HtBatchnormStatistics *statistics = ht_batchnorm_statistics_new ();
  ht_batchnorm_statistics_set (statistics, tensor, means.data (), deviations.data (), n_channels);
  return statistics;
}

double
mean_error (HtGraph *graph, HtGraph *network, HtQuantizationConfig *config, const char *tensor)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtExecutor) exact = ht_executor_new (graph, &error);
  g_autoptr (HtSimulation) simulation = ht_simulation_new (network, config, &error);
  EXPECT_TRUE (ht_simulation_calibrate_weights (simulation, &error));
  g_autoptr (HtExecutor) rounded = ht_simulation_create_executor (simulation, &error);
  auto a = channel_means (exact, graph, tensor, 11), b = channel_means (rounded, network, tensor, 11);
  double sum = 0;
  for (gsize c = 0; c < a.size (); c++)
    sum += std::fabs (a[c] - b[c]);
  return sum;
}

// The rule of a layer whose first layer keeps its weights: what remains is the second one's own error.
TEST (BiasCorrection, PutsTheMeansRightFromStatistics)
{
  Graph graph = chain ("Relu");
  g_autoptr (HtQuantizationConfig) config = make_config (3);
  ht_quantization_config_add_rule (config, nullptr, "c1*", TRUE);
  g_autoptr (HtBatchnormStatistics) statistics = statistics_of (graph.get (), "c1", 0);
  for (const char *method : { "analytic", "hybrid" })
    for (bool with_data : { false, true })
      {
        if (!with_data && g_str_equal (method, "hybrid"))
          continue;
        g_autoptr (GError) error = nullptr;
        g_autoptr (JsonNode) report = nullptr;
        g_autoptr (HtDataset) data = with_data ? make_data (graph.get (), 5, 256) : nullptr;
        State state = run_technique ("bias-correction", graph.get (), config, data, { { "method", method } }, &error,
                                     &report, statistics);
        ASSERT_NO_GERROR (error);
        EXPECT_LT (mean_error (graph.get (), graph_of (state), config, "c2"),
                   0.35 * mean_error (graph.get (), graph.get (), config, "c2"))
            << method;
        EXPECT_TRUE (report_says (report, "notes", "batch-norm statistics"));
      }
}

// Statistics that are wrong make a correction that is wrong: samples tell, and it is taken back.
TEST (BiasCorrection, RevertsWhatDoesHarm)
{
  Graph graph = chain ("Relu");
  g_autoptr (HtQuantizationConfig) config = make_config (3);
  g_autoptr (HtBatchnormStatistics) statistics = statistics_of (graph.get (), "c1", 100);
  g_autoptr (HtDataset) data = make_data (graph.get (), 5, 256);
  g_autoptr (GError) error = nullptr;
  g_autoptr (JsonNode) report = nullptr;
  State state = run_technique ("bias-correction", graph.get (), config, data, { { "method", "analytic" } }, &error,
                               &report, statistics);
  ASSERT_NO_GERROR (error);
  EXPECT_TRUE (report_says (report, "notes", "the bias stays"));
  g_autoptr (HtLayer) layer = ht_graph_find_layer (graph_of (state), "c2");
  EXPECT_EQ (ht_layer_get_bias (layer), nullptr);
}

TEST (BiasCorrection, ListsLayersWhoseSamplesOverflow)
{
  Graph graph = small_network ();
  g_autoptr (HtDataset) data = make_data (graph.get (), 5, 40, 1e30f);
  g_autoptr (HtQuantizationConfig) config = make_config (4);
  for (const char *technique : { "bias-correction", "seqmse" })
    {
      g_autoptr (GError) error = nullptr;
      g_autoptr (JsonNode) report = nullptr;
      State state = run_technique (technique, graph.get (), config, data, {}, &error, &report);
      ASSERT_NO_GERROR (error);
      EXPECT_TRUE (report_says (report, "skipped", "not finite")) << technique;
    }
}

TEST (BiasCorrection, IsRefusedBesideAdaptiveRounding)
{
  Graph graph = small_network ();
  for (const Steps &steps :
       { Steps{ { "adaround", {} }, { "bias-correction", {} } }, Steps{ { "bias-correction", {} }, { "adaround", {} } },
         Steps{ { "bias-correction", {} }, { "seqmse", {} } }, Steps{ { "adaround", {} }, { "seqmse", {} } },
         Steps{ { "bias-correction", {} }, { "batchnorm-folding", {} } } })
    {
      g_autoptr (GError) error = nullptr;
      State state = run (graph.get (), steps, &error);
      EXPECT_EQ (state, nullptr);
      ASSERT_NE (error, nullptr) << steps[0].first << " " << steps[1].first;
      EXPECT_NE (strstr (error->message, steps[0].first.c_str ()), nullptr) << error->message;
      EXPECT_NE (strstr (error->message, steps[1].first.c_str ()), nullptr) << error->message;
    }
}

} // namespace
