// SPDX-License-Identifier: MIT
// Adaptive rounding: better than nearest rounding through a whole network, the same at any number of threads, on the
// grids that it fixes; what it leaves alone is listed.
#include "network.h"

using namespace network;

namespace
{

Graph
small_network ()
{
  Builder b;
  b.input ({ -1, 3, 8, 8 });
  b.weights ("w1", { 8, 3, 3, 3 });
  b.weights ("b1", { 8 });
  b.weights ("w2", { 8, 1, 3, 3 });
  b.weights ("w3", { 6, 8, 1, 1 });
  b.weights ("w4", { 6, 4 });
  b.node ("Conv", "c1", { "x", "w1", "b1" }, { { "pads", { 1, 1, 1, 1 } } });
  b.node ("Relu", "r1", { "c1" });
  b.node ("Conv", "c2", { "r1", "w2" }, { { "pads", { 1, 1, 1, 1 } }, { "group", { 8 } } });
  b.node ("Add", "a2", { "c2", "r1" });
  b.node ("Conv", "c3", { "a2", "w3" });
  b.node ("GlobalAveragePool", "p", { "c3" });
  b.node ("Flatten", "f", { "p" });
  b.node ("MatMul", "m", { "f", "w4" });
  b.output ("m");
  return b.finish ();
}

HtDataset *
make_data (HtGraph *graph, unsigned seed, gint64 n, float scale = 1.0f)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (GHashTable) inputs = random_inputs (graph, n, seed, -scale, scale);
  HtDataset *data = ht_dataset_new ();
  ht_dataset_add_array (data, "x", (HtTensor *)g_hash_table_lookup (inputs, "x"), &error);
  EXPECT_TRUE (ht_dataset_bind (data, graph, &error)) << error->message;
  return data;
}

HtQuantizationConfig *
make_config (guint bits)
{
  HtQuantizationConfig *config = ht_quantization_config_new ();
  g_object_set (ht_quantization_config_get_weights (config), "bits", bits, nullptr);
  g_object_set (ht_quantization_config_get_activations (config), "bits", 16, nullptr);
  return config;
}

State
round_network (HtGraph *graph, HtQuantizationConfig *config, HtDataset *data, const Parameters &parameters,
               GError **error, JsonNode **report = nullptr)
{
  g_autoptr (HtPlan) plan = ht_plan_new (config);
  g_autoptr (HtPass) pass = ht_pass_registry_create (registry (), "adaround", error);
  if (pass == nullptr)
    return nullptr;
  for (const auto &[key, value] : parameters)
    if (!ht_object_set_param_string (G_OBJECT (pass), key.c_str (), value.c_str (), error))
      return nullptr;
  ht_plan_add_step (plan, "round", pass);
  g_autoptr (HtPassManager) manager = ht_pass_manager_new (plan);
  ht_pass_manager_set_calibration (manager, data, 16);
  g_autoptr (HtGraph) copy = ht_graph_copy (graph);
  g_autoptr (HtModelState) start = ht_model_state_new (copy);
  ht_model_state_seal (start);
  State result (ht_pass_manager_run (manager, start, nullptr, error));
  if (report != nullptr && result != nullptr)
    *report = ht_pass_manager_get_step_report (manager, 0);
  return result;
}

// The mean squared distance of the quantized network's output from that of `graph`.
double
output_error (HtGraph *graph, HtGraph *quantized, HtModelState *state, HtQuantizationConfig *config, HtDataset *data)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtSimulation) simulation = ht_simulation_new (quantized, config, &error);
  EXPECT_TRUE (state == nullptr || ht_simulation_load_state (simulation, state, &error));
  EXPECT_TRUE (ht_simulation_calibrate (simulation, data, 16, nullptr, nullptr, nullptr, &error));
  g_autoptr (HtExecutor) one = ht_executor_new (graph, &error),
                         two = ht_simulation_create_executor (simulation, &error);
  g_autoptr (GHashTable) inputs = random_inputs (graph, 64, 99, -1, 1);
  g_autoptr (GHashTable) a = ht_executor_run (one, inputs, nullptr, nullptr, &error);
  g_autoptr (GHashTable) b = ht_executor_run (two, inputs, nullptr, nullptr, &error);
  EXPECT_NO_GERROR (error);
  auto *x = (HtTensor *)g_hash_table_lookup (a, "m"), *y = (HtTensor *)g_hash_table_lookup (b, "m");
  double sum = 0.0;
  for (gsize i = 0; i < ht_tensor_get_n_elements (x); i++)
    sum += std::pow (ht_tensor_get_double (x, i) - ht_tensor_get_double (y, i), 2);
  return sum;
}

TEST (Adaround, BeatsNearestRounding)
{
  Graph graph = small_network ();
  g_autoptr (HtDataset) data = make_data (graph.get (), 5, 256);
  for (guint bits : { 3, 4 })
    for (const Parameters &parameters :
         { Parameters{}, Parameters{ { "scale", "joint" }, { "bias", "joint" } },
           Parameters{ { "input", "weights-only" } }, Parameters{ { "input", "float" }, { "candidates", "4" } } })
      {
        g_autoptr (GError) error = nullptr;
        g_autoptr (HtQuantizationConfig) config = make_config (bits);
        g_autoptr (JsonNode) report = nullptr;
        State state = round_network (graph.get (), config, data, parameters, &error, &report);
        ASSERT_NO_GERROR (error);
        double nearest = output_error (graph.get (), graph.get (), nullptr, config, data);
        EXPECT_LT (output_error (graph.get (), graph_of (state), state.get (), config, data), 0.6 * nearest);
        JsonArray *rows = json_object_get_array_member (
            json_object_get_object_member (json_node_get_object (report), "tables"), "layers");
        EXPECT_EQ (json_array_get_length (rows), 4u);
        for (const char *weight : { "w1", "w2", "w3", "w4" })
          {
            HtEncodingStatus status;
            HtEncoding *encoding = ht_model_state_get_encoding (state.get (), weight, &status);
            ASSERT_NE (encoding, nullptr);
            EXPECT_EQ (status, HT_ENCODING_FIXED);
            g_autoptr (HtTensor) constant = ht_graph_get_constant (graph_of (state), weight);
            g_autoptr (HtTensor) again = ht_encoding_fake_quantize (encoding, constant, &error);
            EXPECT_TRUE (ht_tensor_equal (constant, again)) << weight;
          }
        EXPECT_EQ (constant_values (ht_model_state_get_reference (state.get ()), "w1"),
                   constant_values (graph.get (), "w1"));
      }
}

TEST (Adaround, GivesTheSameBytesAtAnyNumberOfThreads)
{
  Graph graph = small_network ();
  g_autoptr (HtDataset) data = make_data (graph.get (), 5, 100);
  g_autoptr (HtQuantizationConfig) config = make_config (4);
  std::vector<std::string> hashes;
  for (guint threads : { 1, 3 })
    {
      g_autoptr (GError) error = nullptr;
      ht_set_n_threads (threads);
      State state = round_network (graph.get (), config, data, { { "scale", "joint" }, { "bias", "joint" } }, &error);
      ASSERT_NO_GERROR (error);
      g_autofree char *hash = ht_model_state_hash (state.get ());
      hashes.push_back (hash);
    }
  ht_set_n_threads (0);
  EXPECT_EQ (hashes[0], hashes[1]);
}

TEST (Adaround, ListsLayersWhoseSamplesOverflow)
{
  Graph graph = small_network ();
  g_autoptr (HtDataset) data = make_data (graph.get (), 5, 40, 1e30f);
  g_autoptr (HtQuantizationConfig) config = make_config (4);
  g_autoptr (GError) error = nullptr;
  g_autoptr (JsonNode) report = nullptr;
  State state = round_network (graph.get (), config, data, { { "input", "weights-only" } }, &error, &report);
  ASSERT_NO_GERROR (error);
  EXPECT_GE (json_array_get_length (json_object_get_array_member (json_node_get_object (report), "skipped")), 1u);
  for (const char *weight : { "w1", "w2", "w3", "w4" })
    for (float value : constant_values (graph_of (state), weight))
      EXPECT_TRUE (std::isfinite (value));
}

TEST (Adaround, NeedsCalibrationData)
{
  Graph graph = small_network ();
  g_autoptr (HtQuantizationConfig) config = make_config (4);
  g_autoptr (GError) error = nullptr;
  State state = round_network (graph.get (), config, nullptr, {}, &error);
  EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_NOT_FOUND));
}

// One provider of rounded weights in a pipeline, and no moving of weights behind it.
TEST (Adaround, KeepsTheLaws)
{
  Graph graph = small_network ();
  for (const Steps &steps :
       { Steps{ { "adaround", {} }, { "adaround", {} } }, Steps{ { "adaround", {} }, { "batchnorm-folding", {} } },
         Steps{ { "adaround", {} }, { "cross-layer-equalization", {} } } })
    {
      g_autoptr (GError) error = nullptr;
      State state = run (graph.get (), steps, &error);
      EXPECT_EQ (state, nullptr);
      EXPECT_TRUE (error != nullptr && strstr (error->message, "adaround") != nullptr) << steps[1].first;
    }
}

} // namespace
