// SPDX-License-Identifier: MIT
// Sequential MSE: the range of each channel is the best of its candidates, found again by trying them one by one.
#include "rounding.h"

using namespace rounding;

namespace
{

Graph
one_layer ()
{
  Builder b;
  b.input ({ -1, 6 });
  b.weights ("w", { 6, 4 });
  b.node ("MatMul", "m", { "x", "w" });
  b.output ("m");
  return b.finish ();
}

/* The errors of each output column for one share of the full range, by running the samples. */
std::vector<double>
errors_of (HtGraph *graph, HtEncoding *full, double share, HtTensor *x)
{
  g_autoptr (GError) error = nullptr;
  gsize n;
  const double *scales = ht_encoding_get_scales (full, &n);
  std::vector<double> shrunk (scales, scales + n), sums (4);
  for (double &scale : shrunk)
    scale *= share;
  g_autoptr (HtEncoding) grid
      = ht_encoding_with_scales (full, shrunk.data (), ht_encoding_get_offsets (full, nullptr), n, &error);
  g_autoptr (HtTensor) weight = ht_graph_get_constant (graph, "w");
  g_autoptr (HtTensor) rounded = ht_encoding_fake_quantize (grid, weight, &error);
  EXPECT_NO_GERROR (error);
  for (gint64 s = 0; s < ht_tensor_get_dim (x, 0); s++)
    for (gsize c = 0; c < 4; c++)
      {
        double sum = 0;
        for (gsize i = 0; i < 6; i++)
          sum += ht_tensor_get_double (x, gsize (s) * 6 + i)
                 * (ht_tensor_get_double (rounded, i * 4 + c) - ht_tensor_get_double (weight, i * 4 + c));
        sums[c] += sum * sum;
      }
  return sums;
}

TEST (Seqmse, TakesTheBestCandidateOfEachChannel)
{
  Graph graph = one_layer ();
  g_autoptr (GHashTable) inputs = random_inputs (graph.get (), 256, 5, -1, 1);
  g_autoptr (HtDataset) data = make_data (graph.get (), 5, 256);
  for (const char *granularity : { "channel", "tensor" })
    {
      g_autoptr (GError) error = nullptr;
      g_autoptr (HtQuantizationConfig) config = make_config (3);
      ASSERT_TRUE (ht_object_set_param_string (G_OBJECT (ht_quantization_config_get_weights (config)), "granularity",
                                               granularity, &error));
      State state = run_technique ("seqmse", graph.get (), config, data, {}, &error);
      ASSERT_NO_GERROR (error);
      g_autoptr (HtSimulation) simulation = ht_simulation_new (graph.get (), config, &error);
      ASSERT_TRUE (ht_simulation_calibrate_weights (simulation, &error));
      HtEncoding *full = ht_simulation_get_encoding (simulation, "w");
      HtEncodingStatus status;
      HtEncoding *found = ht_model_state_get_encoding (state.get (), "w", &status);
      ASSERT_NE (found, nullptr);
      EXPECT_EQ (status, HT_ENCODING_FIXED);
      gsize n;
      const double *scales = ht_encoding_get_scales (found, &n), *wide = ht_encoding_get_scales (full, nullptr);
      /* A quarter of the samples judges, so the choice is near the best of all samples, not always it. */
      double chosen = 0, best = 0, nearest = 0;
      std::vector<std::vector<double> > tried;
      for (int i = 1; i <= 20; i++)
        tried.push_back (errors_of (graph.get (), full, i / 20.0, (HtTensor *)g_hash_table_lookup (inputs, "x")));
      for (gsize g = 0; g < n; g++)
        {
          double share = scales[g] / wide[g] * 20, least = HUGE_VAL;
          auto total = [&] (int i) {
            double sum = 0;
            for (gsize c = g; c < 4; c += n)
              sum += tried[i - 1][c];
            return sum;
          };
          EXPECT_NEAR (share, std::rint (share), 1e-6);
          for (int i = 1; i <= 20; i++)
            least = std::min (least, total (i));
          chosen += total (int (std::rint (share)));
          nearest += total (20);
          best += least;
        }
      EXPECT_LE (chosen, 1.05 * best) << granularity;
      EXPECT_LT (chosen, nearest) << granularity;
    }
}

TEST (Seqmse, BeatsTheFullRangeThroughANetwork)
{
  Graph graph = small_network ();
  g_autoptr (HtDataset) data = make_data (graph.get (), 5, 256);
  for (const Parameters &parameters : { Parameters{}, Parameters{ { "match", "reference" } } })
    {
      g_autoptr (GError) error = nullptr;
      g_autoptr (HtQuantizationConfig) config = make_config (3);
      State state = run_technique ("seqmse", graph.get (), config, data, parameters, &error);
      ASSERT_NO_GERROR (error);
      EXPECT_LT (output_error (graph.get (), graph_of (state), state.get (), config, data),
                 output_error (graph.get (), graph.get (), nullptr, config, data));
    }
}

TEST (Seqmse, GivesAdaptiveRoundingItsRange)
{
  Graph graph = small_network ();
  g_autoptr (HtDataset) data = make_data (graph.get (), 5, 128);
  g_autoptr (HtQuantizationConfig) config = make_config (3);
  g_autoptr (GError) error = nullptr;
  State ranges = run_technique ("seqmse", graph.get (), config, data, {}, &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (HtPlan) plan = ht_plan_new (config);
  for (const char *name : { "seqmse", "adaround" })
    {
      g_autoptr (HtPass) pass = ht_pass_registry_create (registry (), name, &error);
      ASSERT_NO_GERROR (error);
      ht_plan_add_step (plan, name, pass);
    }
  g_autoptr (HtPassManager) manager = ht_pass_manager_new (plan);
  ht_pass_manager_set_calibration (manager, data, 16);
  g_autoptr (HtGraph) copy = ht_graph_copy (graph.get ());
  g_autoptr (HtModelState) start = ht_model_state_new (copy);
  ht_model_state_seal (start);
  State both (ht_pass_manager_run (manager, start, nullptr, &error));
  ASSERT_NO_GERROR (error);
  for (const char *weight : { "w1", "w2", "w3", "w4" })
    EXPECT_TRUE (ht_encoding_equal (ht_model_state_get_encoding (ranges.get (), weight, nullptr),
                                    ht_model_state_get_encoding (both.get (), weight, nullptr)))
        << weight;
}

} // namespace
