// SPDX-License-Identifier: MIT
// What the tests of techniques for weights and biases share: a network with a layer of each kind, data, and the error
// of its output.
#pragma once

#include "network.h"

namespace rounding
{

using namespace network;

inline Graph
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

inline HtDataset *
make_data (HtGraph *graph, unsigned seed, gint64 n, float scale = 1.0f)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (GHashTable) inputs = random_inputs (graph, n, seed, -scale, scale);
  HtDataset *data = ht_dataset_new ();
  ht_dataset_add_array (data, "x", (HtTensor *)g_hash_table_lookup (inputs, "x"), &error);
  EXPECT_TRUE (ht_dataset_bind (data, graph, &error)) << error->message;
  return data;
}

inline HtQuantizationConfig *
make_config (guint bits)
{
  HtQuantizationConfig *config = ht_quantization_config_new ();
  g_object_set (ht_quantization_config_get_weights (config), "bits", bits, nullptr);
  g_object_set (ht_quantization_config_get_activations (config), "bits", 16, nullptr);
  return config;
}

inline State
run_technique (const char *technique, HtGraph *graph, HtQuantizationConfig *config, HtDataset *data,
               const Parameters &parameters, GError **error, JsonNode **report = nullptr,
               HtBatchnormStatistics *statistics = nullptr)
{
  g_autoptr (HtPlan) plan = ht_plan_new (config);
  g_autoptr (HtPass) pass = ht_pass_registry_create (registry (), technique, error);
  if (pass == nullptr)
    return nullptr;
  for (const auto &[key, value] : parameters)
    if (!ht_object_set_param_string (G_OBJECT (pass), key.c_str (), value.c_str (), error))
      return nullptr;
  ht_plan_add_step (plan, technique, pass);
  g_autoptr (HtPassManager) manager = ht_pass_manager_new (plan);
  ht_pass_manager_set_calibration (manager, data, 16);
  g_autoptr (HtGraph) copy = ht_graph_copy (graph);
  g_autoptr (HtModelState) start = ht_model_state_new (copy);
  if (statistics != nullptr)
    ht_model_state_set_artifact (start, HT_ARTIFACT_BATCHNORM_STATISTICS, G_OBJECT (statistics));
  ht_model_state_seal (start);
  State result (ht_pass_manager_run (manager, start, nullptr, error));
  if (report != nullptr && result != nullptr)
    *report = ht_pass_manager_get_step_report (manager, 0);
  return result;
}

// The mean squared distance of the quantized network's output from that of `graph`.
inline double
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

/* Whether the report of a step says `text` of anything, under `list`: "skipped" or "notes". */
inline bool
report_says (JsonNode *report, const char *list, const char *text)
{
  g_autofree char *all = json_to_string (json_object_get_member (json_node_get_object (report), list), FALSE);
  return strstr (all, text) != nullptr;
}

} // namespace rounding
