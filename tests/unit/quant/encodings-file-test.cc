// SPDX-License-Identifier: MIT
// AIMET's encodings files: our own come back the same, AIMET's are read, and every mistake is told with its place.
#include "net.h"

#include <algorithm>
#include <cmath>

using namespace quant;

namespace
{

void
build (Net &net)
{
  net.input ("x", { 2, 3 }).weight ("w", { 4, 3 });
  HtNode *turn = net.node ("Transpose", { "w" }, { "wt" });
  net.set (turn, "perm", std::vector<gint64>{ 1, 0 });
  net.node ("MatMul", { "x", "wt" }, { "product" });
  net.node ("Relu", { "product" }, { "y" });
  net.output ("y");
}

void
calibrate (HtSimulation *simulation)
{
  g_autoptr (GError) error = nullptr;
  const double minimum = -1.1, maximum = 2.2;
  g_autoptr (HtEncoding) encoding
      = ht_encoding_new_from_ranges (8, FALSE, FALSE, FALSE, -1, &minimum, &maximum, 1, &error);
  ASSERT_TRUE (ht_simulation_calibrate_weights (simulation, &error)) << error->message;
  ASSERT_TRUE (ht_simulation_set_encoding (simulation, "x", encoding, &error));
  ASSERT_TRUE (ht_simulation_set_encoding (simulation, "y", encoding, &error));
}

std::string
contents (const std::string &path)
{
  g_autofree char *text = nullptr;
  EXPECT_TRUE (g_file_get_contents (path.c_str (), &text, nullptr, nullptr));
  return text;
}

std::string
entry (const char *name, const char *rest = nullptr)
{
  return std::string ("{\"name\": \"") + name + "\", "
         + (rest ? rest
                 : "\"bw\": 8, \"dtype\": \"INT\", \"enc_type\": \"PER_TENSOR\", \"is_sym\": false, \"offset\": [-85.0], "
                   "\"scale\": [0.01]")
         + "}";
}

std::string
file (const std::string &activations, const std::string &params, const char *version = "1.0.0")
{
  return std::string ("{\n\"activation_encodings\": [") + activations + "],\n\"param_encodings\": [" + params
         + "],\n\"version\": \"" + version + "\"\n}\n";
}

// What loading this text says; "" when it is taken.
std::string
complaint (const std::string &text, bool partial)
{
  support::TemporaryFolder folder;
  std::string path = folder / "some.encodings";
  g_autoptr (GError) error = nullptr;
  Net net;
  build (net);
  g_autoptr (HtSimulation) simulation = simulate (net);
  g_file_set_contents (path.c_str (), text.c_str (), (gssize) text.size (), nullptr);
  gboolean ok = ht_simulation_load_encodings (simulation, path.c_str (), partial, &error);
  EXPECT_EQ (ok, error == nullptr);
  if (!ok)
    {
      EXPECT_EQ (ht_simulation_get_encoding (simulation, "x"), nullptr);
    }
  return error ? error->message : "";
}

}

TEST (EncodingsFile, ComesBackTheSame)
{
  g_autoptr (GError) error = nullptr;
  support::TemporaryFolder folder;
  std::string path = folder / "own.encodings", again = folder / "again.encodings";
  Net net;
  build (net);
  g_autoptr (HtSimulation) simulation = simulate (net), other = simulate (net);
  calibrate (simulation);
  ASSERT_TRUE (ht_simulation_save_encodings (simulation, path.c_str (), "1.0.0", &error)) << error->message;
  // A constant goes by the name of its initializer.
  EXPECT_NE (contents (path).find ("\"w\""), std::string::npos);
  EXPECT_EQ (contents (path).find ("\"wt\""), std::string::npos);
  ASSERT_TRUE (ht_simulation_load_encodings (other, path.c_str (), FALSE, &error)) << error->message;
  for (const char *tensor : { "x", "wt", "y" })
    EXPECT_TRUE (ht_encoding_equal (ht_simulation_get_encoding (simulation, tensor),
                                    ht_simulation_get_encoding (other, tensor)))
        << tensor;
  ASSERT_TRUE (ht_simulation_save_encodings (other, again.c_str (), "1.0.0", &error));
  EXPECT_EQ (contents (path), contents (again));
}

TEST (EncodingsFile, HasTheLayoutOfAimet)
{
  support::TemporaryFolder folder;
  std::string path = folder / "own.encodings";
  Net net;
  build (net);
  g_autoptr (HtSimulation) simulation = simulate (net);
  calibrate (simulation);
  ASSERT_TRUE (ht_simulation_save_encodings (simulation, path.c_str (), "1.0.0", nullptr));
  g_autoptr (JsonParser) parser = json_parser_new ();
  ASSERT_TRUE (json_parser_load_from_file (parser, path.c_str (), nullptr));
  JsonObject *root = json_node_get_object (json_parser_get_root (parser));
  g_autoptr (GList) keys = json_object_get_members (root);
  const char *const expected[] = { "activation_encodings", "param_encodings", "producer", "quantizer_args", "version" };
  ASSERT_EQ (g_list_length (keys), G_N_ELEMENTS (expected));
  guint i = 0;
  for (GList *key = keys; key; key = key->next)
    EXPECT_STREQ ((const char *) key->data, expected[i++]);
  EXPECT_STREQ (json_object_get_string_member (root, "version"), "1.0.0");
  JsonObject *weight = json_array_get_object_element (json_object_get_array_member (root, "param_encodings"), 0);
  EXPECT_STREQ (json_object_get_string_member (weight, "enc_type"), "PER_CHANNEL");
  EXPECT_EQ (json_node_get_value_type (json_object_get_member (weight, "is_sym")), G_TYPE_BOOLEAN);
  EXPECT_EQ (json_array_get_length (json_object_get_array_member (weight, "scale")), 4u);
  JsonNode *offset = json_array_get_element (json_object_get_array_member (weight, "offset"), 0);
  EXPECT_EQ (json_node_get_value_type (offset), G_TYPE_DOUBLE);
  EXPECT_EQ (json_node_get_double (offset), -128.0);
  JsonObject *arguments = json_object_get_object_member (root, "quantizer_args");
  EXPECT_STREQ (json_object_get_string_member (arguments, "quant_scheme"), "min_max");
  EXPECT_TRUE (json_object_get_boolean_member (arguments, "per_channel_quantization"));
}

TEST (EncodingsFile, TellsEveryMistake)
{
  const char *weight = "\"bw\": 4, \"dtype\": \"INT\", \"enc_type\": \"PER_TENSOR\", \"is_sym\": true, "
                       "\"offset\": [-8.0], \"scale\": [0.1]";
  std::string all = complaint (file (entry ("x") + "," + entry ("nowhere") + "," + entry ("product"),
                                     entry ("w", weight)),
                               false);
  EXPECT_NE (all.find ("no tensor 'nowhere'"), std::string::npos) << all;
  EXPECT_NE (all.find ("'product' is not quantized"), std::string::npos) << all;
  EXPECT_NE (all.find ("'wt' has 4 bits here; the settings say 8"), std::string::npos) << all;
  EXPECT_NE (all.find ("'wt' has one grid in all"), std::string::npos) << all;
  EXPECT_NE (all.find ("no encoding for tensor 'y'"), std::string::npos) << all;
  EXPECT_NE (all.find ("\n  2:"), std::string::npos) << all;
  EXPECT_NE (all.find ("\n  3:"), std::string::npos) << all;
}

TEST (EncodingsFile, PartialTakesWhatThereIs)
{
  EXPECT_EQ (complaint (file (entry ("x") + "," + entry ("product"), ""), true), "");
  EXPECT_NE (complaint (file (entry ("nowhere"), ""), true).find ("no tensor 'nowhere'"), std::string::npos);
  EXPECT_NE (complaint (file (entry ("x") + "," + entry ("x"), ""), true).find ("second encoding"), std::string::npos);
}

TEST (EncodingsFile, RefusesMalformedEntries)
{
  const std::pair<std::string, const char *> cases[] = {
    { "", "" },
    { "{", "" },
    { "[]", "" },
    { file ("", "", "0.6.1"), "not yet supported here: encodings of version '0.6.1'" },
    { "{\"version\": \"1.0.0\"}", "'activation_encodings' is missing" },
    { file ("{}", ""), "'name' is missing" },
    { file ("3", ""), "" },
    { file (entry ("x", "\"bw\": 8"), ""), "'enc_type' is missing" },
    { file (entry ("x", "\"bw\": 8, \"dtype\": \"FLOAT\", \"enc_type\": \"PER_TENSOR\", \"is_sym\": false, \"offset\": [0], "
                        "\"scale\": [1]"), ""), "'dtype' is 'FLOAT'" },
    { file (entry ("x", "\"bw\": 8, \"dtype\": \"INT\", \"enc_type\": \"LPBQ\", \"is_sym\": false, \"offset\": [0], "
                        "\"scale\": [1]"), ""), "'enc_type' is 'LPBQ'" },
    { file (entry ("x", "\"bw\": 99, \"dtype\": \"INT\", \"enc_type\": \"PER_TENSOR\", \"is_sym\": false, \"offset\": [0], "
                        "\"scale\": [1]"), ""), "bw" },
    { file (entry ("x", "\"bw\": 40, \"dtype\": \"INT\", \"enc_type\": \"PER_TENSOR\", \"is_sym\": false, \"offset\": [0], "
                        "\"scale\": [1]"), ""), "40, must be" },
    { file (entry ("x", "\"bw\": 8, \"dtype\": \"INT\", \"enc_type\": \"PER_TENSOR\", \"is_sym\": \"False\", \"offset\": [0], "
                        "\"scale\": [1]"), ""), "is_sym" },
    { file (entry ("x", "\"bw\": 8, \"dtype\": \"INT\", \"enc_type\": \"PER_TENSOR\", \"is_sym\": false, \"offset\": [-0.5], "
                        "\"scale\": [1]"), ""), "whole number" },
    { file (entry ("x", "\"bw\": 8, \"dtype\": \"INT\", \"enc_type\": \"PER_TENSOR\", \"is_sym\": false, \"offset\": [], "
                        "\"scale\": [1]"), ""), "empty" },
    { file (entry ("x", "\"bw\": 8, \"dtype\": \"INT\", \"enc_type\": \"PER_TENSOR\", \"is_sym\": false, \"offset\": [0, 0], "
                        "\"scale\": [1, 1]"), ""), "expected 1" },
    { file (entry ("x", "\"bw\": 8, \"dtype\": \"INT\", \"enc_type\": \"PER_CHANNEL\", \"is_sym\": false, "
                        "\"offset\": [0, 0, 0], \"scale\": [1, 1, 1]"), ""), "one for the whole tensor" },
    { file ("", entry ("w", "\"bw\": 8, \"dtype\": \"INT\", \"enc_type\": \"PER_CHANNEL\", \"is_sym\": true, "
                            "\"offset\": [-128, -128, -128], \"scale\": [1, 1, 1]")), "3 channels" },
    { file (entry ("x", "\"bw\": 8, \"dtype\": \"INT\", \"enc_type\": \"PER_TENSOR\", \"is_sym\": false, \"offset\": [0], "
                        "\"scale\": [0]"), ""), "scale 0" },
    { file (entry ("x", "\"bw\": 8, \"dtype\": \"INT\", \"enc_type\": \"PER_TENSOR\", \"is_sym\": false, \"offset\": [0], "
                        "\"scale\": [-1]"), ""), "scale" },
    { file (entry ("x", "\"bw\": 8, \"dtype\": \"INT\", \"enc_type\": \"PER_TENSOR\", \"is_sym\": false, \"offset\": [5], "
                        "\"scale\": [1]"), ""), "offset" },
    { file (entry ("x", "\"bw\": 8, \"dtype\": \"INT\", \"enc_type\": \"PER_TENSOR\", \"is_sym\": false, \"offset\": [0], "
                        "\"scale\": [1], \"color\": 1"), ""), "'color' is not known" },
  };
  for (const auto &one : cases)
    {
      std::string said = complaint (one.first, true);
      EXPECT_NE (said, "") << one.first;
      EXPECT_NE (said.find (one.second), std::string::npos) << one.first << "\n" << said;
    }
}

TEST (EncodingsFile, RefusesOtherVersionsAndFolders)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  build (net);
  g_autoptr (HtSimulation) simulation = simulate (net);
  EXPECT_FALSE (ht_simulation_save_encodings (simulation, "/tmp/x", "2.0.0", &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "1.0.0");
  EXPECT_FALSE (ht_simulation_save_encodings (simulation, "/nowhere/at/all", "1.0.0", &error));
  ASSERT_NE (error, nullptr);
  g_clear_error (&error);
  EXPECT_FALSE (ht_simulation_load_encodings (simulation, "/nowhere/at/all", TRUE, &error));
  ASSERT_NE (error, nullptr);
}

// AIMET 2.42's own encodings and the logits of its simulation (assets/aimet/README.md).
namespace
{

void
compare_with_aimet (const std::string &model, const std::string &encodings, const std::string &recorded,
                    const std::string &images)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = ht_graph_load (model.c_str (), &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (HtQuantizationConfig) config = ht_quantization_config_new ();
  g_autoptr (HtSimulation) simulation = ht_simulation_new (graph, config, &error);
  ASSERT_NO_GERROR (error);
  ASSERT_TRUE (ht_simulation_load_encodings (simulation, encodings.c_str (), TRUE, &error)) << error->message;
  g_autoptr (HtTensor) raw = ht_tensor_load_npy (images.c_str (), &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (HtTensor) expected = ht_tensor_load_npy (recorded.c_str (), &error);
  ASSERT_NO_GERROR (error);
  const char *input = ht_graph_get_inputs (ht_simulation_get_graph (simulation))[0];
  g_autoptr (HtDataset) dataset = ht_dataset_new ();
  ASSERT_TRUE (ht_dataset_add_array (dataset, input, raw, &error));
  g_autoptr (HtPreprocess) preprocess = ht_preprocess_new ();
  ASSERT_TRUE (ht_object_set_param_string (G_OBJECT (preprocess), "layout", "NHWC", &error)) << error->message;
  g_autoptr (JsonNode) scale = json_from_string ("0.00392156862745098", nullptr);
  g_autoptr (JsonNode) mean = json_from_string ("[0.485, 0.456, 0.406]", nullptr);
  g_autoptr (JsonNode) deviation = json_from_string ("[0.229, 0.224, 0.225]", nullptr);
  ASSERT_TRUE (ht_object_set_param (G_OBJECT (preprocess), "scale", scale, &error)) << error->message;
  ASSERT_TRUE (ht_object_set_param (G_OBJECT (preprocess), "mean", mean, &error)) << error->message;
  ASSERT_TRUE (ht_object_set_param (G_OBJECT (preprocess), "std", deviation, &error)) << error->message;
  ht_dataset_set_preprocess (dataset, preprocess);
  ASSERT_TRUE (ht_dataset_bind (dataset, graph, &error)) << error->message;
  g_autoptr (HtExecutor) executor = ht_simulation_create_executor (simulation, &error);
  ASSERT_NO_GERROR (error);
  const char *output = ht_graph_get_outputs (ht_simulation_get_graph (simulation))[0];
  double step = ht_encoding_get_scales (ht_simulation_get_encoding (simulation, output), nullptr)[0];
  guint n = 64, agree = 0, far = 0;
  const float *want = (const float *) ht_tensor_get_data (expected);
  for (guint first = 0; first < n; first += 32)
    {
      g_autoptr (GHashTable) inputs = ht_dataset_get_batch (dataset, first, 32, &error);
      ASSERT_NO_GERROR (error);
      std::vector<float> got = run (executor, input, (HtTensor *) g_hash_table_lookup (inputs, input));
      for (guint i = 0; i < 32; i++)
        {
          const float *a = got.data () + i * 10, *b = want + (first + i) * 10;
          agree += std::max_element (a, a + 10) - a == std::max_element (b, b + 10) - b;
          for (guint k = 0; k < 10; k++)
            far += std::fabs (a[k] - b[k]) > 3.5 * step;
        }
    }
  EXPECT_GE (agree, n - 1);
  EXPECT_LE (far, n * 10 / 50);
}

}

TEST (EncodingsFile, SimulatesWhatAimetSimulates)
{
  REQUIRE_ASSET (model, "aimet/resnet20_cifar10_folded.onnx");
  REQUIRE_ASSET (encodings, "aimet/resnet20_cifar10_w8a8_pc.encodings");
  REQUIRE_ASSET (recorded, "aimet/resnet20_cifar10_w8a8_pc_logits.npy");
  REQUIRE_ASSET (images, "data/cifar10_test_x.npy");
  compare_with_aimet (model, encodings, recorded, images);
}

TEST (EncodingsFile, OurWeightGridsAreThoseOfAimet)
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
      const char *tensor = ht_quantizer_get_tensor ((HtQuantizer *) g_ptr_array_index (quantizers, i));
      if (!ht_quantizer_is_weight ((HtQuantizer *) g_ptr_array_index (quantizers, i)))
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
