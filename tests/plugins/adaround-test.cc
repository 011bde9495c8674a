// SPDX-License-Identifier: MIT
// Adaptive rounding: better than nearest rounding through a whole network, the same at any number of threads, on the
// grids that it fixes; what it leaves alone is listed.
#include "rounding.h"

using namespace rounding;

namespace
{

TEST (Adaround, BeatsNearestRounding)
{
  Graph graph = small_network ();
  g_autoptr (HtDataset) data = make_data (graph.get (), 5, 256);
  for (guint bits : { 3, 4 })
    for (const Parameters &parameters :
         { Parameters{}, Parameters{ { "scale", "joint" }, { "bias", "joint" } },
           Parameters{ { "input", "weights-only" }, { "activation-aware", "true" } },
           Parameters{ { "input", "float" }, { "candidates", "4" } },
           Parameters{ { "solver", "relaxation" }, { "iterations", "1500" }, { "learning-rate", "0.01" } } })
      {
        g_autoptr (GError) error = nullptr;
        g_autoptr (HtQuantizationConfig) config = make_config (bits);
        g_autoptr (JsonNode) report = nullptr;
        State state = run_technique ("adaround", graph.get (), config, data, parameters, &error, &report);
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

// The codes of a layer with an activation are refined for it, whatever it is; a layer without one has nothing to
// refine.
TEST (Adaround, RefinesBehindActivations)
{
  struct Case
  {
    std::vector<std::pair<const char *, std::vector<std::string> > > nodes; // with inputs behind the first one
  };
  for (const Case &c : { Case{ { { "Relu", {} } } }, Case{ { { "Relu", {} }, { "Clip", { "low", "high" } } } },
                         Case{ { { "LeakyRelu", {} } } }, Case{ { { "PRelu", { "slopes" } } } },
                         Case{ { { "Sigmoid", {} } } }, Case{ { { "Tanh", {} } } }, Case{ {} } })
    {
      SCOPED_TRACE (c.nodes.empty () ? "none" : c.nodes.back ().first);
      Builder b;
      b.input ({ -1, 4, 6, 6 });
      b.weights ("w", { 10, 4, 3, 3 });
      b.weights ("slopes", { 10, 1, 1 });
      b.constant ("low", {}, { 0.0f });
      b.constant ("high", {}, { 0.5f });
      b.node ("Conv", "c", { "x", "w" });
      std::string last = "c";
      for (const auto &[op, others] : c.nodes)
        {
          std::vector<std::string> inputs = { last };
          inputs.insert (inputs.end (), others.begin (), others.end ());
          b.node (op, last + "a", inputs);
          last += "a";
        }
      b.node ("GlobalAveragePool", "m", { last });
      b.output ("m");
      Graph graph = b.finish ();
      g_autoptr (HtDataset) data = make_data (graph.get (), 5, 256);
      g_autoptr (GError) error = nullptr;
      g_autoptr (HtQuantizationConfig) config = make_config (3);
      g_autoptr (JsonNode) report = nullptr;
      State state
          = run_technique ("adaround", graph.get (), config, data, { { "activation-aware", "true" } }, &error, &report);
      ASSERT_NO_GERROR (error);
      JsonArray *rows = json_object_get_array_member (
          json_object_get_object_member (json_node_get_object (report), "tables"), "layers");
      JsonObject *row = json_array_get_object_element (rows, 0);
      ASSERT_EQ (json_object_has_member (row, "activation-error"), !c.nodes.empty ());
      if (c.nodes.empty ())
        continue;
      double before = json_object_get_double_member (row, "activation-error-before");
      EXPECT_GT (before, 0);
      EXPECT_LE (json_object_get_double_member (row, "activation-error"), before);
      EXPECT_LT (before, json_object_get_double_member (row, "error") * 1.5);
    }
}

// A weight that nodes make of a constant: the grid goes by the name of what is read, and the nodes go.
TEST (Adaround, RoundsWeightsThatNodesMake)
{
  Builder b;
  b.input ({ -1, 3 });
  b.weights ("mix", { 3, 6 });
  b.weights ("w", { 5, 6 });
  b.node ("MatMul", "mixed", { "x", "mix" });
  b.node ("Transpose", "t", { "w" }, { { "perm", { 1, 0 } } });
  b.node ("MatMul", "m", { "mixed", "t" });
  b.output ("m");
  Graph graph = b.finish ();
  g_autoptr (HtDataset) data = make_data (graph.get (), 5, 256);
  for (const Parameters &parameters :
       { Parameters{ { "scale", "joint" } }, Parameters{ { "solver", "relaxation" }, { "iterations", "300" } } })
    {
      g_autoptr (GError) error = nullptr;
      g_autoptr (HtQuantizationConfig) config = make_config (3);
      State state = run_technique ("adaround", graph.get (), config, data, parameters, &error);
      ASSERT_NO_GERROR (error);
      g_autoptr (HtLayer) layer = ht_graph_find_layer (graph_of (state), "m");
      HtEncodingStatus status = HT_ENCODING_OPEN;
      HtEncoding *encoding = ht_model_state_get_encoding (state.get (), ht_layer_get_weight (layer), &status);
      ASSERT_NE (encoding, nullptr) << ht_layer_get_weight (layer);
      EXPECT_EQ (status, HT_ENCODING_FIXED);
      g_autoptr (HtTensor) constant = ht_graph_get_constant (graph_of (state), ht_layer_get_weight (layer));
      g_autoptr (HtTensor) again = ht_encoding_fake_quantize (encoding, constant, &error);
      EXPECT_TRUE (ht_tensor_equal (constant, again));
      EXPECT_LT (output_error (graph.get (), graph_of (state), state.get (), config, data),
                 output_error (graph.get (), graph.get (), nullptr, config, data));
    }
}

TEST (Adaround, RelaxesTheRoundingAlone)
{
  Graph graph = small_network ();
  g_autoptr (HtDataset) data = make_data (graph.get (), 5, 32);
  g_autoptr (HtQuantizationConfig) config = make_config (4);
  for (const char *freedom : { "scale", "bias" })
    {
      g_autoptr (GError) error = nullptr;
      State state = run_technique ("adaround", graph.get (), config, data,
                                   { { "solver", "relaxation" }, { freedom, "joint" } }, &error);
      EXPECT_EQ (state, nullptr);
      ASSERT_NE (error, nullptr);
      EXPECT_NE (strstr (error->message, "the relaxation trains the rounding alone"), nullptr) << error->message;
    }
}

// What a search shares between bit widths of activations: the rounding for inputs that are not quantized.
TEST (Adaround, DependsOnActivationSettingsOnlyWhereInputsAreQuantized)
{
  Graph graph = small_network ();
  g_autoptr (HtDataset) data = make_data (graph.get (), 5, 256);
  for (const char *input : { "weights-only", "float", "quantized" })
    {
      std::string hashes[2];
      for (int i = 0; i < 2; i++)
        {
          g_autoptr (GError) error = nullptr;
          g_autoptr (HtQuantizationConfig) config = make_config (3);
          HtQuantizerSettings *activations = ht_quantization_config_get_activations (config);
          g_object_set (activations, "bits", i == 0 ? 16 : 3, "symmetric", i == 1, nullptr);
          State state = run_technique ("adaround", graph.get (), config, data,
                                       { { "input", input }, { "bias", "joint" } }, &error);
          ASSERT_NO_GERROR (error);
          g_autofree char *hash = ht_model_state_hash (state.get ());
          hashes[i] = hash;
        }
      EXPECT_EQ (hashes[0] == hashes[1], std::string (input) != "quantized") << input;
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
      State state = run_technique ("adaround", graph.get (), config, data,
                                   { { "scale", "joint" }, { "bias", "joint" } }, &error);
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
  State state
      = run_technique ("adaround", graph.get (), config, data, { { "input", "weights-only" } }, &error, &report);
  ASSERT_NO_GERROR (error);
  EXPECT_GE (json_array_get_length (json_object_get_array_member (json_node_get_object (report), "skipped")), 1u);
  for (const char *weight : { "w1", "w2", "w3", "w4" })
    for (float value : constant_values (graph_of (state), weight))
      EXPECT_TRUE (std::isfinite (value));
}

void
expect_not_worse (JsonNode *report)
{
  JsonObject *tables = json_object_get_object_member (json_node_get_object (report), "tables");
  JsonArray *rows = json_object_get_array_member (tables, "layers");
  for (guint i = 0; i < json_array_get_length (rows); i++)
    {
      JsonObject *row = json_array_get_object_element (rows, i);
      EXPECT_LE (json_object_get_double_member (row, "error"), json_object_get_double_member (row, "nearest-error"));
    }
}

// Dead, constant and few inputs, channels of zeros and layers of one weight: not worse than nearest rounding, finite.
TEST (Adaround, BearsDegenerateLayersAndData)
{
  for (const char *kind : { "zero", "constant", "few", "usual" })
    for (const Parameters &parameters : { Parameters{}, Parameters{ { "scale", "joint" }, { "bias", "joint" } },
                                          Parameters{ { "activation-aware", "true" } },
                                          Parameters{ { "solver", "relaxation" }, { "iterations", "30" } } })
      {
        SCOPED_TRACE (std::string (kind) + (parameters.empty () ? "" : parameters.begin ()->first));
        Builder b;
        b.input ({ -1, 1, 5, 5 });
        b.constant ("one", { 1, 1, 1, 1 }, { 0.7f });
        std::vector<float> weights = b.values (4 * 9, -1, 1);
        std::fill (weights.begin () + 9, weights.begin () + 18, 0.0f);
        b.constant ("w", { 4, 1, 3, 3 }, weights);
        b.weights ("last", { 16, 3 });
        b.node ("Conv", "c0", { "x", "one" });
        b.node ("Conv", "c1", { "c0", "w" });
        b.node ("Relu", "r", { "c1" });
        b.node ("MaxPool", "p", { "r" }, { { "kernel_shape", { 2, 2 } } });
        b.node ("Flatten", "f", { "p" });
        b.node ("MatMul", "m", { "f", "last" });
        b.output ("m");
        Graph graph = b.finish ();
        gint64 n = std::string (kind) == "few" ? 1 : 60;
        std::vector<float> values = b.values ((size_t)n * 25, -1, 1);
        if (std::string (kind) == "zero" || std::string (kind) == "constant")
          std::fill (values.begin (), values.end (), std::string (kind) == "zero" ? 0.0f : 0.3f);
        g_autoptr (GError) error = nullptr;
        g_autoptr (HtDataset) data = ht_dataset_new ();
        Tensor samples = tensor ({ n, 1, 5, 5 }, values);
        ASSERT_TRUE (ht_dataset_add_array (data, "x", samples.get (), &error)
                     && ht_dataset_bind (data, graph.get (), &error));
        g_autoptr (HtQuantizationConfig) config = make_config (3);
        g_autoptr (JsonNode) report = nullptr;
        State state = run_technique ("adaround", graph.get (), config, data, parameters, &error, &report);
        ASSERT_NO_GERROR (error);
        expect_not_worse (report);
        EXPECT_TRUE (report_says (report, "notes", "samples, not the 1024 asked for"));
        for (const char *weight : { "one", "w", "last" })
          for (float value : constant_values (graph_of (state), weight))
            EXPECT_TRUE (std::isfinite (value)) << weight;
      }
}

TEST (Adaround, ListsSharedWeights)
{
  Builder b;
  b.input ({ -1, 6 });
  b.weights ("w", { 6, 6 });
  b.weights ("own", { 6, 4 });
  b.node ("MatMul", "a", { "x", "w" });
  b.node ("Relu", "r", { "a" });
  b.node ("MatMul", "c", { "r", "w" });
  b.node ("MatMul", "m", { "c", "own" });
  b.output ("m");
  Graph graph = b.finish ();
  g_autoptr (HtDataset) data = make_data (graph.get (), 5, 64);
  g_autoptr (HtQuantizationConfig) config = make_config (4);
  g_autoptr (GError) error = nullptr;
  g_autoptr (JsonNode) report = nullptr;
  State state = run_technique ("adaround", graph.get (), config, data, {}, &error, &report);
  ASSERT_NO_GERROR (error);
  EXPECT_TRUE (report_says (report, "skipped", "shared"));
  EXPECT_EQ (constant_values (graph_of (state), "w"), constant_values (graph.get (), "w"));
  EXPECT_NE (constant_values (graph_of (state), "own"), constant_values (graph.get (), "own"));
}

// More inputs than second moments are kept of: in blocks, said so, with a gain.
TEST (Adaround, TakesManyInputsInBlocks)
{
  Builder b;
  b.input ({ -1, 8200 });
  b.weights ("w", { 8200, 2 });
  b.node ("MatMul", "m", { "x", "w" });
  b.output ("m");
  Graph graph = b.finish ();
  g_autoptr (HtDataset) data = make_data (graph.get (), 5, 200);
  g_autoptr (HtQuantizationConfig) config = make_config (4);
  g_autoptr (GError) error = nullptr;
  g_autoptr (JsonNode) report = nullptr;
  State state = run_technique ("adaround", graph.get (), config, data, { { "scale", "joint" } }, &error, &report);
  ASSERT_NO_GERROR (error);
  EXPECT_TRUE (report_says (report, "notes", "taken in 9 blocks"));
  expect_not_worse (report);
  HtEncoding *encoding = ht_model_state_get_encoding (state.get (), "w", nullptr);
  g_autoptr (HtTensor) constant = ht_graph_get_constant (graph_of (state), "w");
  g_autoptr (HtTensor) again = ht_encoding_fake_quantize (encoding, constant, &error);
  EXPECT_TRUE (ht_tensor_equal (constant, again));
}

TEST (Adaround, NeedsCalibrationData)
{
  Graph graph = small_network ();
  g_autoptr (HtQuantizationConfig) config = make_config (4);
  g_autoptr (GError) error = nullptr;
  State state = run_technique ("adaround", graph.get (), config, nullptr, {}, &error);
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
