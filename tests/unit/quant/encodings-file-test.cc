// SPDX-License-Identifier: MIT
// AIMET's encodings files: our own come back the same, in every version.
#include "net.h"

#include <algorithm>
#include <fstream>

using namespace quant;

namespace
{

const char *const versions[] = { "0.6.1", "1.0.0", "2.0.0" };

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

HtQuantizationConfig *
configure (const char *weights, const char *activations)
{
  HtQuantizationConfig *config = ht_quantization_config_new ();
  for (bool is_weight : { true, false })
    {
      g_autoptr (GError) error = nullptr;
      g_autoptr (JsonNode) node = json_from_string (is_weight ? weights : activations, nullptr);
      HtQuantizerSettings *settings
          = is_weight ? ht_quantization_config_get_weights (config) : ht_quantization_config_get_activations (config);
      JsonObjectIter iter;
      const char *name;
      JsonNode *value;
      json_object_iter_init (&iter, json_node_get_object (node));
      while (json_object_iter_next (&iter, &name, &value))
        EXPECT_TRUE (ht_object_set_param (G_OBJECT (settings), name, value, &error)) << error->message;
    }
  return config;
}

// Encodings for all quantizers: of constants by calibration, of activations from made-up ranges.
void
fill (HtSimulation *simulation)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (GPtrArray) quantizers = ht_simulation_list_quantizers (simulation);
  ASSERT_TRUE (ht_simulation_calibrate_weights (simulation, &error)) << error->message;
  for (guint i = 0; i < quantizers->len; i++)
    {
      HtQuantizer *quantizer = (HtQuantizer *)g_ptr_array_index (quantizers, i);
      HtQuantizerSettings *settings = ht_quantizer_get_settings (quantizer);
      if (ht_simulation_get_encoding (simulation, ht_quantizer_get_tensor (quantizer)))
        continue;
      // Symmetric ones, ones that begin at zero, and all between.
      double minimum = -0.37 * (i % 5), maximum = 0.1 + 1.48 * (i % 7) / 7;
      g_autoptr (HtEncoding) encoding
          = ht_quantizer_settings_get_format (settings) != HT_NUMBER_FORMAT_INT
                ? ht_encoding_new_float (ht_quantizer_settings_get_format (settings), -1, 1, -1, 0, nullptr, 1, &error)
                : ht_encoding_new_from_ranges (
                    ht_quantizer_settings_get_bits (settings), ht_quantizer_settings_get_symmetric (settings),
                    ht_quantizer_settings_get_strict (settings), FALSE, -1, &minimum, &maximum, 1, &error);
      ASSERT_NO_GERROR (error);
      ASSERT_TRUE (ht_simulation_set_encoding (simulation, ht_quantizer_get_tensor (quantizer), encoding, &error));
    }
}

void
expect_same (HtSimulation *a, HtSimulation *b, const std::string &what)
{
  g_autoptr (GPtrArray) quantizers = ht_simulation_list_quantizers (a);
  for (guint i = 0; i < quantizers->len; i++)
    {
      const char *tensor = ht_quantizer_get_tensor ((HtQuantizer *)g_ptr_array_index (quantizers, i));
      HtEncoding *first = ht_simulation_get_encoding (a, tensor), *second = ht_simulation_get_encoding (b, tensor);
      ASSERT_NE (first, nullptr) << what << ": " << tensor;
      ASSERT_NE (second, nullptr) << what << ": " << tensor;
      g_autofree char *x = ht_encoding_to_string (first), *y = ht_encoding_to_string (second);
      ASSERT_TRUE (ht_encoding_equal (first, second)) << what << ": " << tensor << "\n" << x << "\n" << y;
    }
}

}

TEST (EncodingsFile, ComesBackTheSame)
{
  for (const char *version : versions)
    {
      g_autoptr (GError) error = nullptr;
      support::TemporaryFolder folder;
      std::string path = folder / "own.encodings", again = folder / "again.encodings";
      Net net;
      build (net);
      g_autoptr (HtSimulation) simulation = simulate (net), other = simulate (net);
      calibrate (simulation);
      ASSERT_TRUE (ht_simulation_save_encodings (simulation, path.c_str (), version, &error)) << error->message;
      // A constant goes by the name of its initializer.
      EXPECT_NE (contents (path).find ("\"w\""), std::string::npos);
      EXPECT_EQ (contents (path).find ("\"wt\""), std::string::npos);
      ASSERT_TRUE (ht_simulation_load_encodings (other, path.c_str (), FALSE, &error)) << error->message;
      expect_same (simulation, other, version);
      ASSERT_TRUE (ht_simulation_save_encodings (other, again.c_str (), version, &error));
      EXPECT_EQ (contents (path), contents (again));
    }
}

TEST (EncodingsFile, ComesBackTheSameForEveryNetwork)
{
  const std::pair<const char *, const char *> settings[] = {
    { "{}", "{}" },
    { "{\"granularity\": \"tensor\"}", "{\"symmetric\": true}" },
    { "{\"bits\": 4}", "{\"bits\": 16}" },
    { "{\"bits\": 2, \"symmetric\": false}", "{\"bits\": 5, \"symmetric\": true}" },
    { "{\"granularity\": \"block\", \"block-size\": 4, \"bits\": 4}", "{\"format\": \"float16\"}" },
    { "{\"granularity\": \"lpbq\", \"block-size\": 8, \"bits\": 4}", "{}" },
    { "{\"strict\": true}", "{\"symmetric\": true, \"strict\": true}" },
  };
  REQUIRE_ASSET (folder, "models");
  g_autoptr (GDir) models = g_dir_open (folder.c_str (), 0, nullptr);
  ASSERT_NE (models, nullptr);
  support::TemporaryFolder temporary;
  std::vector<std::string> names;
  for (const char *name = g_dir_read_name (models); name; name = g_dir_read_name (models))
    names.push_back (name);
  std::sort (names.begin (), names.end ());
  for (gsize i = 0; i < names.size (); i++)
    {
      const char *name = names[i].c_str ();
      g_autoptr (GError) error = nullptr;
      g_autofree char *path = g_build_filename (folder.c_str (), name, nullptr);
      g_autoptr (HtGraph) graph = ht_graph_load (path, &error);
      ASSERT_NO_GERROR (error);
      // Two for each network, all of them in turn.
      for (gsize k = 2 * i; k < 2 * i + 2; k++)
        {
          const auto &one = settings[k % G_N_ELEMENTS (settings)];
          g_autoptr (HtQuantizationConfig) config = configure (one.first, one.second);
          g_autoptr (HtSimulation) simulation = ht_simulation_new (graph, config, &error);
          ASSERT_NO_GERROR (error);
          bool strict = strstr (one.first, "strict") != nullptr;
          g_autoptr (HtSimulation) other = ht_simulation_new (graph, config, &error);
          fill (simulation);
          for (const char *version : versions)
            {
              std::string file = temporary / "own.encodings";
              std::string what = std::string (name) + " " + one.first + one.second + " " + version;
              if (!ht_simulation_check_encodings_version (simulation, version, &error))
                {
                  const char *reason = strict                              ? "strict"
                                       : strstr (error->message, "divide") ? "divide"
                                                                           : "no grids of blocks";
                  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, reason);
                  EXPECT_TRUE (!strict || g_str_equal (version, "2.0.0")) << what;
                  EXPECT_TRUE (strict || strstr (one.first, "block-size")) << what;
                  EXPECT_FALSE (ht_simulation_save_encodings (simulation, file.c_str (), version, nullptr));
                  continue;
                }
              ASSERT_TRUE (ht_simulation_save_encodings (simulation, file.c_str (), version, &error))
                  << what << error->message;
              ASSERT_TRUE (ht_simulation_load_encodings (other, file.c_str (), FALSE, &error))
                  << what << error->message;
              expect_same (simulation, other, what);
            }
        }
    }
}

// Channels first or last, two dimensions or more: lists of 1.0.0 have an order that only the shape tells.
// Version 2.0.0 has no entries for formats without a scale: the settings say it all.
TEST (EncodingsFile, PartsLeaveFloat16ToTheSettings)
{
  for (const char *format : { "{\"format\": \"float16\"}", "{\"format\": \"bfloat16\"}" })
    {
      g_autoptr (GError) error = nullptr;
      support::TemporaryFolder folder;
      std::string path = folder / "own.encodings";
      Net net;
      build (net);
      g_autoptr (HtQuantizationConfig) config = configure (format, "{}");
      g_autoptr (HtSimulation) simulation = ht_simulation_new (net.graph (), config, &error);
      g_autoptr (HtSimulation) other = ht_simulation_new (net.graph (), config, &error);
      fill (simulation);
      ASSERT_TRUE (ht_simulation_save_encodings (simulation, path.c_str (), "2.0.0", &error)) << error->message;
      ASSERT_TRUE (ht_simulation_load_encodings (other, path.c_str (), TRUE, &error)) << error->message;
      expect_same (simulation, other, format);
    }
}

// AIMET may quantize biases as it does weights, and versions before 2.0.0 do not say along which axis.
TEST (EncodingsFile, TakesGridsOfBiasesByChannel)
{
  for (const std::vector<gint64> &dims : { std::vector<gint64>{ 4 }, std::vector<gint64>{ 1, 4 } })
    for (const char *version : versions)
      {
        g_autoptr (GError) error = nullptr;
        support::TemporaryFolder folder;
        std::string path = folder / "bias.encodings", again = folder / "again.encodings";
        Net net;
        net.input ("x", { 2, 3 }).weight ("w", { 3, 4 }).weight ("c", dims);
        net.node ("Gemm", { "x", "w", "c" }, { "y" });
        net.output ("y");
        g_autoptr (HtSimulation) simulation = simulate (net), other = simulate (net);
        std::ofstream (path)
            << "{\"version\": \"1.0.0\", \"activation_encodings\": [], \"param_encodings\": [{\"name\": \"c\", "
               "\"bw\": 8, \"dtype\": \"INT\", \"enc_type\": \"PER_CHANNEL\", \"is_sym\": true, \"offset\": "
               "[-128, -128, -128, -128], \"scale\": [0.1, 0.2, 0.3, 0.4]}]}";
        ASSERT_TRUE (ht_simulation_load_encodings (simulation, path.c_str (), TRUE, &error)) << error->message;
        HtEncoding *found = ht_simulation_get_encoding (simulation, "c");
        ASSERT_NE (found, nullptr);
        EXPECT_EQ (ht_encoding_get_axis (found), (gint)dims.size () - 1);
        ASSERT_TRUE (ht_simulation_save_encodings (simulation, again.c_str (), version, &error)) << error->message;
        ASSERT_TRUE (ht_simulation_load_encodings (other, again.c_str (), TRUE, &error)) << error->message;
        ASSERT_NE (ht_simulation_get_encoding (other, "c"), nullptr);
        EXPECT_TRUE (ht_encoding_equal (found, ht_simulation_get_encoding (other, "c"))) << version;
      }
}

TEST (EncodingsFile, BlocksComeBackTheSame)
{
  struct Case
  {
    Dims dims;
    gint axis, block_axis;
  } cases[] = { { { 4, 6 }, 1, 0 }, { { 6, 4 }, 0, 1 }, { { 2, 6, 4 }, 2, 1 } };
  for (const Case &one : cases)
    for (bool lpbq : { false, true })
      for (const char *version : { "1.0.0", "2.0.0" })
        {
          g_autoptr (GError) error = nullptr;
          support::TemporaryFolder folder;
          std::string path = folder / "own.encodings";
          gsize n_channels = one.dims[one.axis], n_blocks = one.dims[one.block_axis] / 2, n = n_channels * n_blocks;
          Net net;
          Dims rows = one.dims;
          rows[rows.size () - 2] = 1;
          rows[rows.size () - 1] = one.axis == 0 ? one.dims[1] : one.dims[one.dims.size () - 2];
          net.input ("x", rows).weight ("w", one.dims);
          HtNode *node = net.node (one.axis == 0 ? "Gemm" : "MatMul", { "x", "w" }, { "y" });
          if (one.axis == 0)
            net.set (node, "transB", (gint64)1);
          net.output ("y");
          std::vector<double> scales, channels;
          std::vector<gint64> offsets (n, -8);
          std::vector<guint> blocks;
          for (gsize i = 0; i < n; i++)
            {
              scales.push_back (0.01 * (double)(i + 1));
              blocks.push_back ((guint)i % 16 + 1);
            }
          for (gsize i = 0; i < n_channels; i++)
            channels.push_back (0.5 / (double)(i + 3));
          g_autoptr (HtEncoding) encoding
              = lpbq ? ht_encoding_new_lpbq (4, 4, one.axis, one.block_axis, 2, channels.data (), n_channels,
                                             blocks.data (), n, &error)
                     : ht_encoding_new_blocks (4, TRUE, FALSE, one.axis, n_channels, one.block_axis, 2, scales.data (),
                                               offsets.data (), n, &error);
          ASSERT_NO_GERROR (error);
          g_autoptr (HtSimulation) simulation = simulate (net), other = simulate (net);
          ASSERT_TRUE (ht_simulation_set_encoding (simulation, "w", encoding, &error)) << error->message;
          ASSERT_TRUE (ht_simulation_save_encodings (simulation, path.c_str (), version, &error)) << error->message;
          ASSERT_TRUE (ht_simulation_load_encodings (other, path.c_str (), TRUE, &error))
              << error->message << contents (path);
          EXPECT_TRUE (ht_encoding_equal (encoding, ht_simulation_get_encoding (other, "w"))) << contents (path);
        }
}

TEST (EncodingsFile, WritesWhatIsInIt)
{
  support::TemporaryFolder folder;
  std::string path = folder / "own.encodings", again = folder / "again.encodings";
  Net net;
  build (net);
  g_autoptr (HtQuantizationConfig) config = configure ("{\"bits\": 4, \"granularity\": \"tensor\"}", "{\"bits\": 16}");
  g_autoptr (HtSimulation) simulation = ht_simulation_new (net.graph (), config, nullptr), other = simulate (net);
  fill (simulation);
  ASSERT_TRUE (ht_simulation_save_encodings (simulation, path.c_str (), "1.0.0", nullptr));
  // Into a simulation of other settings, and out of it.
  ASSERT_TRUE (ht_simulation_load_encodings (other, path.c_str (), TRUE, nullptr));
  ASSERT_TRUE (ht_simulation_save_encodings (other, again.c_str (), "1.0.0", nullptr));
  for (const std::string &file : { path, again })
    {
      g_autoptr (JsonParser) parser = json_parser_new ();
      ASSERT_TRUE (json_parser_load_from_file (parser, file.c_str (), nullptr));
      JsonObject *root = json_node_get_object (json_parser_get_root (parser));
      JsonObject *arguments = json_object_get_object_member (root, "quantizer_args");
      EXPECT_EQ (json_object_get_int_member (arguments, "param_bitwidth"), 4);
      EXPECT_EQ (json_object_get_int_member (arguments, "activation_bitwidth"), 16);
      EXPECT_FALSE (json_object_get_boolean_member (arguments, "per_channel_quantization"));
      EXPECT_STREQ (json_object_get_string_member (arguments, "quant_scheme"), "min_max");
      JsonObject *producer = json_object_get_object_member (root, "producer");
      EXPECT_STREQ (json_object_get_string_member (producer, "package"), "halftone");
    }
}

TEST (EncodingsFile, RefusesOtherVersionsAndFolders)
{
  g_autoptr (GError) error = nullptr;
  Net net;
  build (net);
  g_autoptr (HtSimulation) simulation = simulate (net);
  EXPECT_FALSE (ht_simulation_save_encodings (simulation, "/tmp/x", "2.1.0", &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "1.0.0");
  EXPECT_FALSE (ht_simulation_check_encodings_version (simulation, "3", &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "'3'");
  EXPECT_FALSE (ht_simulation_save_encodings (simulation, "/nowhere/at/all", "1.0.0", &error));
  ASSERT_NE (error, nullptr);
  g_clear_error (&error);
  EXPECT_FALSE (ht_simulation_load_encodings (simulation, "/nowhere/at/all", TRUE, &error));
  ASSERT_NE (error, nullptr);
}

// What a version has no words for is refused with the names of the tensors.
TEST (EncodingsFile, RefusesWhatAVersionCannotHold)
{
  const double scale = 0.01;
  const double scales[6] = { 1, 2, 3, 4, 5, 6 };
  const gint64 strict = -127, offsets[6] = { -8, -8, -8, -8, -8, -8 };
  const guint blocks[6] = { 1, 2, 3, 4, 5, 6 };
  g_autoptr (GError) error = nullptr;
  struct Case
  {
    HtEncoding *encoding;
    const char *tensor;
    const char *refusing;
    const char *reason;
  } cases[] = {
    { ht_encoding_new (8, TRUE, TRUE, -1, &scale, &strict, 1, nullptr), "x", "2.0.0", "strict" },
    { ht_encoding_new_blocks (4, TRUE, FALSE, 1, 3, 0, 2, scales, offsets, 6, nullptr), "w", "0.6.1", "blocks" },
    { ht_encoding_new_blocks (4, TRUE, FALSE, 1, 3, 0, 3, scales, offsets, 6, nullptr), "w", "0.6.1 1.0.0 2.0.0",
      "blocks" },
    { ht_encoding_new_lpbq (4, 3, 1, 0, 2, scales, 3, blocks, 6, nullptr), "w", "0.6.1 2.0.0", "" },
    { ht_encoding_new_float (HT_NUMBER_FORMAT_BFLOAT16, -1, 1, -1, 0, nullptr, 1, nullptr), "x", "0.6.1 1.0.0",
      "float16" },
    { ht_encoding_new_float (HT_NUMBER_FORMAT_FLOAT8E5M2, -1, 1, -1, 0, scales, 1, nullptr), "x", "0.6.1 1.0.0",
      "float16" },
  };
  for (const Case &one : cases)
    {
      g_autoptr (HtEncoding) encoding = one.encoding;
      ASSERT_NE (encoding, nullptr);
      Net net;
      net.input ("x", { 2, 4 }).weight ("w", { 4, 3 });
      net.node ("MatMul", { "x", "w" }, { "y" });
      net.output ("y");
      support::TemporaryFolder folder;
      std::string path = folder / "own.encodings";
      g_autoptr (HtSimulation) simulation = simulate (net), other = simulate (net);
      ASSERT_TRUE (ht_simulation_set_encoding (simulation, one.tensor, encoding, &error)) << error->message;
      for (const char *version : versions)
        {
          bool written = ht_simulation_save_encodings (simulation, path.c_str (), version, &error);
          ASSERT_EQ (written, strstr (one.refusing, version) == nullptr) << version << " " << one.reason;
          if (written)
            {
              ASSERT_TRUE (ht_simulation_load_encodings (other, path.c_str (), TRUE, &error)) << error->message;
              HtEncoding *back = ht_simulation_get_encoding (other, one.tensor);
              // 2.0.0 does not list formats without a scale.
              if (back || ht_encoding_get_format (encoding) != HT_NUMBER_FORMAT_BFLOAT16)
                {
                  EXPECT_TRUE (back && ht_encoding_equal (encoding, back)) << version;
                }
              continue;
            }
          EXPECT_NE (strstr (error->message, (std::string ("tensor '") + one.tensor + "'").c_str ()), nullptr);
          EXPECT_NE (strstr (error->message, one.reason), nullptr) << error->message;
          EXPECT_FALSE (g_file_test (path.c_str (), G_FILE_TEST_EXISTS) && g_str_equal (version, "0.6.1"));
          g_clear_error (&error);
        }
    }
}

// The file speaks of the initializer, and so do its axes.
TEST (EncodingsFile, TurnsAxesWithTheWeight)
{
  support::TemporaryFolder folder;
  std::string path = folder / "own.encodings";
  g_autoptr (GError) error = nullptr;
  Net net;
  build (net);
  g_autoptr (HtSimulation) simulation = simulate (net), other = simulate (net);
  std::vector<double> scales = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
  std::vector<gint64> offsets (12, -8);
  // Of wt, [3, 4]: channels along axis 1, blocks along axis 0.
  g_autoptr (HtEncoding) encoding
      = ht_encoding_new_blocks (4, TRUE, FALSE, 1, 4, 0, 1, scales.data (), offsets.data (), 12, &error);
  ASSERT_TRUE (ht_simulation_set_encoding (simulation, "wt", encoding, &error)) << error->message;
  for (const char *version : { "1.0.0", "2.0.0" })
    {
      ASSERT_TRUE (ht_simulation_save_encodings (simulation, path.c_str (), version, &error)) << error->message;
      ASSERT_TRUE (ht_simulation_load_encodings (other, path.c_str (), TRUE, &error)) << error->message;
      EXPECT_TRUE (ht_encoding_equal (encoding, ht_simulation_get_encoding (other, "wt"))) << contents (path);
    }
  // Of w, [4, 3]: blocks along axis 1.
  g_autoptr (JsonNode) expected = json_from_string ("[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0], "
                                                    "[10.0, 11.0, 12.0]]",
                                                    nullptr);
  g_autoptr (JsonParser) parser = json_parser_new ();
  ASSERT_TRUE (json_parser_load_from_file (parser, path.c_str (), nullptr));
  JsonArray *list = json_object_get_array_member (json_node_get_object (json_parser_get_root (parser)), "encodings");
  JsonObject *entry = json_array_get_object_element (list, 0);
  EXPECT_EQ (json_object_get_int_member (entry, "axis"), 1);
  EXPECT_TRUE (json_node_equal (json_object_get_member (entry, "y_scale"), expected));
}
