// SPDX-License-Identifier: MIT
// What AIMET 2.42 wrote, and the logits of its simulation (assets/aimet/README.md).
#include "net.h"

#include <algorithm>
#include <cmath>
#include <map>

using namespace quant;

namespace
{

// With the types of numbers and the order of keys.
std::string
text_of (JsonNode *node)
{
  g_autofree char *text = json_to_string (node, FALSE);
  return text;
}

JsonNode *
read_json (const std::string &path)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  EXPECT_TRUE (json_parser_load_from_file (parser, path.c_str (), nullptr)) << path;
  return json_parser_steal_root (parser);
}

// The entries of a file by name, whatever its version and their order.
std::map<std::string, JsonNode *>
list_entries (JsonNode *root)
{
  std::map<std::string, JsonNode *> entries;
  for (const char *section : { "activation_encodings", "param_encodings", "encodings" })
    {
      JsonNode *node = json_object_get_member (json_node_get_object (root), section);
      if (!node)
        continue;
      if (JSON_NODE_HOLDS_OBJECT (node))
        {
          g_autoptr (GList) names = json_object_get_members (json_node_get_object (node));
          for (GList *name = names; name; name = name->next)
            entries[std::string (section) + ":" + (const char *)name->data]
                = json_object_get_member (json_node_get_object (node), (const char *)name->data);
        }
      else
        for (guint i = 0; i < json_array_get_length (json_node_get_array (node)); i++)
          {
            JsonNode *entry = json_array_get_element (json_node_get_array (node), i);
            const char *name = json_object_get_string_member (json_node_get_object (entry), "name");
            entries[std::string (section) + ":" + name] = entry;
          }
    }
  return entries;
}

HtSimulation *
load (const std::string &model, const std::string &encodings)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = ht_graph_load (model.c_str (), &error);
  EXPECT_EQ (error, nullptr);
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  HtSimulation *simulation = ht_simulation_new (graph, config, &error);
  EXPECT_EQ (error, nullptr);
  EXPECT_TRUE (ht_simulation_load_encodings (simulation, encodings.c_str (), TRUE, &error)) << error->message;
  return simulation;
}

}

// Each version read, and each written again: number for number and key for key what AIMET wrote.
TEST (EncodingsAimet, WritesWhatAimetWrote)
{
  REQUIRE_ASSET (model, "aimet/resnet20_cifar10_folded.onnx");
  support::TemporaryFolder folder;
  for (const char *read : { "0.6.1", "1.0.0", "2.0.0" })
    {
      REQUIRE_ASSET (path, (std::string ("aimet/resnet20_cifar10_w8a8_pc_v") + read + ".encodings").c_str ());
      g_autoptr (HtSimulation) simulation = load (model, path);
      for (const char *written : { "0.6.1", "1.0.0", "2.0.0" })
        {
          REQUIRE_ASSET (wanted, (std::string ("aimet/resnet20_cifar10_w8a8_pc_v") + written + ".encodings").c_str ());
          std::string own = folder / "own.encodings";
          g_autoptr (GError) error = nullptr;
          ASSERT_TRUE (ht_simulation_save_encodings (simulation, own.c_str (), written, &error)) << error->message;
          g_autoptr (JsonNode) theirs = read_json (wanted), ours = read_json (own);
          auto expected = list_entries (theirs), found = list_entries (ours);
          guint n_biases = 0;
          for (const auto &one : expected)
            {
              if (found.count (one.first))
                {
                  EXPECT_EQ (text_of (one.second), text_of (found[one.first])) << read << " " << written << one.first;
                }
              else if (JSON_NODE_HOLDS_OBJECT (one.second)
                       && json_object_has_member (json_node_get_object (one.second), "output_dtype")
                       && g_str_equal (
                           json_object_get_string_member (json_node_get_object (one.second), "output_dtype"), "int32"))
                n_biases++;
              else
                ADD_FAILURE () << read << " " << written << " misses " << one.first;
            }
          EXPECT_EQ (n_biases, g_str_equal (written, "2.0.0") ? 20u : 0u);
          EXPECT_EQ (found.size () + n_biases, expected.size ());
          JsonNode *arguments = json_object_get_member (json_node_get_object (theirs), "quantizer_args");
          if (arguments)
            {
              EXPECT_EQ (text_of (arguments),
                         text_of (json_object_get_member (json_node_get_object (ours), "quantizer_args")));
            }
        }
    }
}

namespace
{

// How much of what AIMET simulated a simulation with AIMET's encodings gives: elements within one step of the grid of
// the outputs, and classes.
struct Agreement
{
  double within_step, same_class;
};

Agreement
compare_with_aimet (const std::string &model, const std::string &encodings, const std::string &recorded,
                    const std::string &images, bool is_mobilenet)
{
  g_autoptr (GError) error = nullptr;
  Agreement result = { 0, 0 };
  g_autoptr (HtSimulation) simulation = load (model, encodings);
  EXPECT_EQ (ht_simulation_get_arithmetic (simulation), HT_ARITHMETIC_AIMET);
  g_autoptr (HtTensor) raw = ht_tensor_load_npy (images.c_str (), &error);
  g_autoptr (HtTensor) expected = ht_tensor_load_npy (recorded.c_str (), &error);
  EXPECT_EQ (error, nullptr);
  HtGraph *graph = ht_simulation_get_graph (simulation);
  const char *input = ht_graph_get_inputs (graph)[0], *output = ht_graph_get_outputs (graph)[0];
  g_autoptr (HtDataset) dataset = ht_dataset_new ();
  g_autoptr (HtPreprocess) preprocess = ht_preprocess_new ();
  const std::pair<const char *, const char *> settings[] = {
    { "layout", "\"NHWC\"" },
    { "scale", is_mobilenet ? "0.00784313725490196" : "0.00392156862745098" },
    { "mean", is_mobilenet ? "[1.0, 1.0, 1.0]" : "[0.485, 0.456, 0.406]" },
    { "std", is_mobilenet ? "[1.0, 1.0, 1.0]" : "[0.229, 0.224, 0.225]" },
  };
  for (const auto &one : settings)
    {
      g_autoptr (JsonNode) value = json_from_string (one.second, nullptr);
      EXPECT_TRUE (ht_object_set_param (G_OBJECT (preprocess), one.first, value, &error)) << error->message;
    }
  EXPECT_TRUE (ht_dataset_add_array (dataset, input, raw, &error));
  ht_dataset_set_preprocess (dataset, preprocess);
  EXPECT_TRUE (ht_dataset_bind (dataset, graph, &error)) << error->message;
  g_autoptr (HtExecutor) executor = ht_simulation_create_executor (simulation, &error);
  EXPECT_EQ (error, nullptr);
  double step = ht_encoding_get_scales (ht_simulation_get_encoding (simulation, output), nullptr)[0];
  const guint n = 256;
  const float *want = (const float *)ht_tensor_get_data (expected);
  for (guint first = 0; first < n; first += 32)
    {
      g_autoptr (GHashTable) inputs = ht_dataset_get_batch (dataset, first, 32, &error);
      EXPECT_EQ (error, nullptr);
      std::vector<float> got = run (executor, input, (HtTensor *)g_hash_table_lookup (inputs, input));
      for (guint i = 0; i < 32; i++)
        {
          const float *a = got.data () + i * 10, *b = want + (first + i) * 10;
          result.same_class += std::max_element (a, a + 10) - a == std::max_element (b, b + 10) - b;
          for (guint k = 0; k < 10; k++)
            result.within_step += std::fabs (a[k] - b[k]) <= 1.001 * step;
        }
    }
  return { result.within_step / (n * 10), result.same_class / n };
}

}

TEST (EncodingsAimet, SimulatesWhatAimetSimulates)
{
  // MobileNet amplifies single steps: two processor classes, which sum floats in other orders, agree with each other on
  // 92 % of its outputs (docs/decisions/0015-encodings-files.md). Its classes have to be right all the same.
  const struct
  {
    const char *model, *encodings;
    double within_step;
  } cases[] = {
    { "resnet20_cifar10_folded.onnx", "resnet20_cifar10_w8a8_pc", 0.99 },
    { "resnet20_cifar10_folded.onnx", "resnet20_cifar10_w4a8_pc", 0.97 },
    { "resnet20_cifar10_w4a8_pc_adaround.onnx", "resnet20_cifar10_w4a8_pc_adaround", 0.97 },
    { "mobilenetv1_100_trunk_cifar10_folded.onnx", "mobilenetv1_100_trunk_cifar10_w8a8_pc", 0.8 },
    { "mobilenetv1_100_trunk_cifar10_folded.onnx", "mobilenetv1_100_trunk_cifar10_w4a8_pc", 0.85 },
  };
  REQUIRE_ASSET (images, "data/cifar10_test_x.npy");
  for (const auto &one : cases)
    {
      REQUIRE_ASSET (model, (std::string ("aimet/") + one.model).c_str ());
      REQUIRE_ASSET (encodings, (std::string ("aimet/") + one.encodings + ".encodings").c_str ());
      REQUIRE_ASSET (recorded, (std::string ("aimet/") + one.encodings + "_logits.npy").c_str ());
      Agreement agreement
          = compare_with_aimet (model, encodings, recorded, images, g_str_has_prefix (one.model, "mobilenet"));
      EXPECT_GE (agreement.within_step, one.within_step) << one.encodings;
      EXPECT_GE (agreement.same_class, 0.99) << one.encodings;
    }
}

TEST (EncodingsAimet, OurWeightGridsAreThoseOfAimet)
{
  REQUIRE_ASSET (model, "aimet/resnet20_cifar10_folded.onnx");
  REQUIRE_ASSET (path, "aimet/resnet20_cifar10_w8a8_pc.encodings");
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = ht_graph_load (model.c_str (), &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  g_autoptr (HtSimulation) ours = ht_simulation_new (graph, config, &error);
  g_autoptr (HtSimulation) theirs = ht_simulation_new (graph, config, &error);
  ASSERT_NO_GERROR (error);
  ASSERT_TRUE (ht_simulation_calibrate_weights (ours, &error)) << error->message;
  ASSERT_TRUE (ht_simulation_load_encodings (theirs, path.c_str (), TRUE, &error)) << error->message;
  g_autoptr (GPtrArray) quantizers = ht_simulation_list_quantizers (ours);
  guint n_weights = 0;
  for (guint i = 0; i < quantizers->len; i++)
    {
      const char *tensor = ht_quantizer_get_tensor ((HtQuantizer *)g_ptr_array_index (quantizers, i));
      if (!ht_quantizer_is_weight ((HtQuantizer *)g_ptr_array_index (quantizers, i)))
        continue;
      gsize n_a, n_b;
      const double *a = ht_encoding_get_scales (ht_simulation_get_encoding (ours, tensor), &n_a);
      const double *b = ht_encoding_get_scales (ht_simulation_get_encoding (theirs, tensor), &n_b);
      ASSERT_EQ (n_a, n_b);
      for (gsize k = 0; k < n_a; k++)
        // AIMET enlarges the steps of dead channels, so that their int32 biases fit.
        if (b[k] < 2e-7)
          EXPECT_LE (a[k], b[k] * (1 + 1e-6)) << tensor << " channel " << k;
        else
          EXPECT_NEAR (a[k], b[k], 1e-6 * b[k]) << tensor << " channel " << k;
      n_weights++;
    }
  EXPECT_EQ (n_weights, 20u);
}
