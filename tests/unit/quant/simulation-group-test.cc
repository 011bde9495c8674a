// SPDX-License-Identifier: MIT
// Simulations of whole networks in one group: the bytes of each are those of a run alone, and the work is less.
#include "net.h"

#include <cstring>
#include <random>

using namespace quant;

namespace
{

HtTensor *
random_input (HtGraph *graph, const char *name, gint64 batch)
{
  HtShape *shape = ht_graph_get_shape (graph, name);
  std::vector<gint64> dims;
  for (guint i = 0; shape && i < ht_shape_get_n_dims (shape); i++)
    dims.push_back (ht_shape_get_dim (shape, i) >= 0 ? ht_shape_get_dim (shape, i)
                    : ht_shape_get_symbol (shape, i)
                            && std::string (ht_shape_get_symbol (shape, i)).find ("seq") != std::string::npos
                        ? 576
                        : batch);
  HtTensor *tensor = ht_tensor_new (ht_graph_get_data_type (graph, name), dims.data (), (guint)dims.size (), nullptr);
  std::mt19937 engine (7);
  std::normal_distribution<float> normal;
  for (gsize i = 0; i < ht_tensor_get_n_elements (tensor); i++)
    if (ht_tensor_get_data_type (tensor) == HT_DATA_TYPE_INT64)
      ((gint64 *)ht_tensor_get_writable_data (tensor))[i] = 16000;
    else
      ((float *)ht_tensor_get_writable_data (tensor))[i] = normal (engine);
  return tensor;
}

GHashTable *
random_inputs (HtGraph *graph, gint64 batch)
{
  GHashTable *inputs = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ht_tensor_unref);
  for (const char *const *name = ht_graph_get_inputs (graph); *name; name++)
    if (ht_graph_get_initializer (graph, *name) == nullptr)
      g_hash_table_insert (inputs, g_strdup (*name), random_input (graph, *name, batch));
  return inputs;
}

// Every quantizer that takes one gets a grid of its own, symmetric, four bits for every second weight.
void
give_grids (HtSimulation *simulation)
{
  g_autoptr (GError) error = nullptr;
  ASSERT_TRUE (ht_simulation_calibrate_weights (simulation, &error)) << error->message;
  g_autoptr (GPtrArray) list = ht_simulation_list_quantizers (simulation);
  for (guint i = 0; i < list->len; i++)
    {
      auto *quantizer = (HtQuantizer *)g_ptr_array_index (list, i);
      if (ht_simulation_get_encoding (simulation, ht_quantizer_get_tensor (quantizer)))
        continue;
      const double scale = 0.03 + 0.002 * (double)(i % 7);
      const gint64 offset = i % 3 == 0 ? 0 : -128;
      g_autoptr (HtEncoding) encoding = ht_encoding_new (8, FALSE, FALSE, -1, &scale, &offset, 1, &error);
      ASSERT_TRUE (ht_simulation_set_encoding (simulation, ht_quantizer_get_tensor (quantizer), encoding, &error))
          << error->message;
    }
}

using PartsList = std::vector<HtSimulationParts *>;

// Nothing, all, by kind, quantizers alone, and all but one: about 30 choices.
PartsList
choose_parts (HtSimulation *simulation)
{
  PartsList list;
  for (int kinds = 0; kinds <= 3; kinds++)
    list.push_back (ht_simulation_parts_new (simulation, (HtQuantizerKinds)kinds));
  Names names = quantized (simulation);
  const size_t stride = names.size () / 20 + 1;
  for (size_t i = 0; i < names.size (); i += stride)
    {
      list.push_back (ht_simulation_parts_new (simulation, (HtQuantizerKinds)0));
      EXPECT_TRUE (ht_simulation_parts_switch (list.back (), names[i].c_str (), TRUE, nullptr));
      if (i / stride % 3 != 0)
        continue;
      list.push_back (ht_simulation_parts_new (simulation, (HtQuantizerKinds)HT_QUANTIZERS_ALL));
      EXPECT_TRUE (ht_simulation_parts_switch (list.back (), names[i].c_str (), FALSE, nullptr));
    }
  return list;
}

std::string
bytes_of (HtGraph *graph, GHashTable *results)
{
  std::string bytes;
  for (const char *const *name = ht_graph_get_outputs (graph); *name; name++)
    {
      auto *tensor = (HtTensor *)g_hash_table_lookup (results, *name);
      bytes.append ((const char *)ht_tensor_get_data (tensor), ht_tensor_get_size (tensor));
    }
  return bytes;
}

struct Results
{
  HtGraph *graph;
  std::vector<std::string> bytes;
};

gboolean
take (guint index, GHashTable *results, gpointer user_data, GError **)
{
  auto *self = (Results *)user_data;
  EXPECT_TRUE (self->bytes[index].empty ()) << "twice: " << index;
  self->bytes[index] = bytes_of (self->graph, results);
  return TRUE;
}

class Group : public testing::TestWithParam<const char *>
{
protected:
  ~Group () override { ht_set_n_threads (0); }
};

}

TEST_P (Group, GivesTheBytesOfRunsAlone)
{
  REQUIRE_ASSET (path, std::string ("models/") + GetParam () + ".onnx");
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) loaded = ht_graph_load (path.c_str (), &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  g_autoptr (HtSimulation) simulation = ht_simulation_new (loaded, config, &error);
  ASSERT_NO_GERROR (error);
  give_grids (simulation);
  HtGraph *graph = ht_simulation_get_graph (simulation);
  PartsList parts = choose_parts (simulation);
  g_autoptr (HtExecutorGroup) group = ht_executor_group_new ();
  for (HtSimulationParts *choice : parts)
    {
      g_autoptr (HtExecutor) executor = ht_simulation_parts_create_executor (choice, &error);
      ASSERT_NO_GERROR (error);
      ASSERT_TRUE (ht_executor_group_add (group, executor, &error)) << error->message;
    }
  for (guint threads : { 1u, 2u })
    for (gint64 batch : { 2, 1 })
      {
        ht_set_n_threads (threads);
        g_autoptr (GHashTable) inputs = random_inputs (graph, batch);
        Results results = { graph, std::vector<std::string> (parts.size ()) };
        ASSERT_TRUE (ht_executor_group_run (group, inputs, nullptr, take, &results, nullptr, &error)) << error->message;
        RecordProperty ("work", std::to_string (ht_executor_group_get_work (group)));
        EXPECT_LT (ht_executor_group_get_work (group), 0.8);
        // Alone at one thread only: the bytes of a run do not depend on them.
        ht_set_n_threads (1);
        for (size_t i = 0; i < parts.size (); i++)
          {
            g_autoptr (HtExecutor) executor = ht_simulation_parts_create_executor (parts[i], &error);
            ASSERT_NO_GERROR (error);
            g_autoptr (GHashTable) alone = ht_executor_run (executor, inputs, nullptr, nullptr, &error);
            ASSERT_NO_GERROR (error);
            ASSERT_EQ (results.bytes[i], bytes_of (graph, alone)) << "choice " << i << " at " << threads << " threads";
          }
      }
  for (HtSimulationParts *choice : parts)
    ht_simulation_parts_free (choice);
}

INSTANTIATE_TEST_SUITE_P (All, Group,
                          testing::Values ("autoencoder_ad01_mlperftiny", "dscnn_kws_mlperftiny",
                                           "kwt1_speechcommands12", "kwt1_speechcommands12_op17", "mnist_cnn_opset8",
                                           "mobilenetv1_025_vww96", "resnet20_cifar10", "resnet20_cifar10_raw",
                                           "silero_vad_16k_op15"));
