// SPDX-License-Identifier: MIT
// Preprocessing, against numbers worked out by hand.
#include "support.h"

#include <vector>

namespace
{

HtPreprocess *
make (const std::vector<std::pair<const char *, const char *> > &values)
{
  HtPreprocess *self = ht_preprocess_new ();
  for (const auto &[name, text] : values)
    {
      g_autoptr (GError) error = nullptr;
      EXPECT_TRUE (ht_object_set_param_string (G_OBJECT (self), name, text, &error))
          << name << ": " << (error ? error->message : "");
    }
  return self;
}

HtTensor *
make_array (HtDataType type, const std::vector<gint64> &dims, const std::vector<double> &values)
{
  std::vector<double> doubles = values;
  g_autoptr (GBytes) bytes = g_bytes_new (doubles.data (), doubles.size () * sizeof (double));
  g_autoptr (HtTensor) tensor
      = ht_tensor_new_from_bytes (HT_DATA_TYPE_DOUBLE, dims.data (), (guint)dims.size (), bytes, nullptr);
  return ht_tensor_cast (tensor, type, nullptr);
}

HtGraph *
make_graph (HtDataType type, const std::vector<gint64> &dims)
{
  HtGraph *graph = ht_graph_new ("test");
  std::vector<const char *> symbols (dims.size (), nullptr);
  g_autoptr (HtShape) shape = ht_shape_new (dims.data (), nullptr, (guint)dims.size ());
  const char *inputs[] = { "x", nullptr }, *outputs[] = { "y", nullptr };
  ht_graph_set_opset (graph, "", 13);
  ht_graph_add_input (graph, "x", type, shape);
  ht_graph_add_node (graph, "Identity", "", "identity", inputs, outputs);
  ht_graph_add_output (graph, "y", type, shape);
  return graph;
}

// What the network is given of the first samples, as doubles.
std::vector<double>
apply (HtPreprocess *preprocess, HtTensor *array, HtGraph *graph, GError **error, guint first = 0, guint count = 1)
{
  g_autoptr (HtDataset) dataset = ht_dataset_new ();
  std::vector<double> values;
  ht_dataset_set_preprocess (dataset, preprocess);
  if (!ht_dataset_add_array (dataset, nullptr, array, error) || !ht_dataset_bind (dataset, graph, error))
    return values;
  g_autoptr (GHashTable) batch = ht_dataset_get_batch (dataset, first, count, error);
  if (!batch)
    return values;
  auto *tensor = (HtTensor *)g_hash_table_lookup (batch, "x");
  for (gsize i = 0; i < ht_tensor_get_n_elements (tensor); i++)
    values.push_back (ht_tensor_get_double (tensor, i));
  return values;
}

const std::vector<double> twelve = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };

}

TEST (Preprocess, ScalesThenSubtractsThenDividesByChannel)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtPreprocess) preprocess
      = make ({ { "layout", "NHWC" }, { "scale", "0.5" }, { "mean", "[1, 2, 3]" }, { "std", "[1, 2, 4]" } });
  g_autoptr (HtTensor) array = make_array (HT_DATA_TYPE_UINT8, { 1, 2, 2, 3 }, twelve);
  g_autoptr (HtGraph) graph = make_graph (HT_DATA_TYPE_FLOAT, { -1, 3, 2, 2 });
  // channel 0: 1 4 7 10, channel 1: 2 5 8 11, channel 2: 3 6 9 12
  const std::vector<double> expected = { -0.5, 1, 2.5, 4, -0.5, 0.25, 1, 1.75, -0.375, 0, 0.375, 0.75 };
  EXPECT_EQ (apply (preprocess, array, graph, &error), expected);
  ASSERT_NO_GERROR (error);
}

TEST (Preprocess, GivesTheSameForEveryElementType)
{
  g_autoptr (HtPreprocess) preprocess = make ({ { "layout", "NHWC" }, { "scale", "2" }, { "mean", "[1]" } });
  g_autoptr (HtGraph) graph = make_graph (HT_DATA_TYPE_FLOAT, { -1, 3, 2, 2 });
  for (HtDataType type : { HT_DATA_TYPE_FLOAT, HT_DATA_TYPE_UINT8, HT_DATA_TYPE_INT8, HT_DATA_TYPE_UINT16,
                           HT_DATA_TYPE_INT16, HT_DATA_TYPE_INT32, HT_DATA_TYPE_INT64, HT_DATA_TYPE_FLOAT16,
                           HT_DATA_TYPE_DOUBLE, HT_DATA_TYPE_UINT32, HT_DATA_TYPE_UINT64, HT_DATA_TYPE_BFLOAT16 })
    {
      g_autoptr (GError) error = nullptr;
      g_autoptr (HtTensor) array = make_array (type, { 1, 2, 2, 3 }, twelve);
      EXPECT_EQ (apply (preprocess, array, graph, &error),
                 (std::vector<double>{ 1, 7, 13, 19, 3, 9, 15, 21, 5, 11, 17, 23 }))
          << ht_data_type_get_name (type);
      ASSERT_NO_GERROR (error);
    }
}

TEST (Preprocess, CountsChannelsAsTheNetworkSeesThem)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtPreprocess) preprocess
      = make ({ { "layout", "NHWC" }, { "channel-order", "reverse" }, { "mean", "[100, 10, 0]" } });
  g_autoptr (HtTensor) array = make_array (HT_DATA_TYPE_FLOAT, { 1, 1, 1, 3 }, { 1, 2, 3 });
  g_autoptr (HtGraph) graph = make_graph (HT_DATA_TYPE_FLOAT, { -1, 3, 1, 1 });
  EXPECT_EQ (apply (preprocess, array, graph, &error), (std::vector<double>{ 3 - 100, 2 - 10, 1 }));
  ASSERT_NO_GERROR (error);
}

TEST (Preprocess, CropsTheCentre)
{
  g_autoptr (GError) error = nullptr;
  std::vector<double> image (4 * 5 * 2);
  for (gsize i = 0; i < image.size (); i++)
    image[i] = (double)i;
  g_autoptr (HtGraph) graph = make_graph (HT_DATA_TYPE_FLOAT, { -1, 2, 2, 3 });
  // Rows 1 and 2, columns 1 to 3.
  g_autoptr (HtTensor) last = make_array (HT_DATA_TYPE_UINT8, { 1, 4, 5, 2 }, image);
  g_autoptr (HtPreprocess) nhwc = make ({ { "layout", "NHWC" }, { "center-crop", "[2, 3]" } });
  EXPECT_EQ (apply (nhwc, last, graph, &error),
             (std::vector<double>{ 12, 14, 16, 22, 24, 26, 13, 15, 17, 23, 25, 27 }));
  ASSERT_NO_GERROR (error);
  g_autoptr (HtTensor) first = make_array (HT_DATA_TYPE_UINT8, { 1, 2, 4, 5 }, image);
  g_autoptr (HtPreprocess) nchw = make ({ { "center-crop", "[2, 3]" } });
  EXPECT_EQ (apply (nchw, first, graph, &error), (std::vector<double>{ 6, 7, 8, 11, 12, 13, 26, 27, 28, 31, 32, 33 }));
  ASSERT_NO_GERROR (error);
  g_autoptr (HtPreprocess) large = make ({ { "center-crop", "[5, 3]" } });
  apply (large, first, graph, &error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "4 x 5");
}

TEST (Preprocess, ReshapesFirst)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtTensor) array = make_array (HT_DATA_TYPE_INT8, { 2, 6 }, twelve);
  g_autoptr (HtGraph) graph = make_graph (HT_DATA_TYPE_FLOAT, { -1, 3, 1, 2 });
  g_autoptr (HtPreprocess) preprocess = make ({ { "shape", "[1, 2, 3]" }, { "layout", "NHWC" } });
  EXPECT_EQ (apply (preprocess, array, graph, &error, 1), (std::vector<double>{ 7, 10, 8, 11, 9, 12 }));
  ASSERT_NO_GERROR (error);
  g_autoptr (HtPreprocess) wrong = make ({ { "shape", "[1, 2, 4]" } });
  apply (wrong, array, graph, &error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "8 elements");
}

TEST (Preprocess, RefusesValuesThatDoNotFit)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtTensor) array = make_array (HT_DATA_TYPE_FLOAT, { 1, 3, 2, 2 }, twelve);
  g_autoptr (HtGraph) graph = make_graph (HT_DATA_TYPE_FLOAT, { -1, 3, 2, 2 });
  const std::pair<const char *, const char *> bad[] = {
    { "mean", "[1, 2]" }, { "std", "[0]" }, { "shape", "[0]" }, { "center-crop", "[1]" }, { "center-crop", "[0, 1]" }
  };
  for (const auto &value : bad)
    {
      g_autoptr (HtPreprocess) preprocess = make ({ value });
      apply (preprocess, array, graph, &error);
      EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, value.first);
    }
  // The setter knows the words and suggests.
  g_autoptr (HtPreprocess) preprocess = ht_preprocess_new ();
  EXPECT_FALSE (ht_object_set_param_string (G_OBJECT (preprocess), "layout", "nhwc", &error));
  ASSERT_NE (error, nullptr);
  EXPECT_NE (std::string (error->message).find ("NHWC"), std::string::npos) << error->message;
}

TEST (Preprocess, LeavesIntegerNetworksTheirIntegers)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtTensor) array = make_array (HT_DATA_TYPE_UINT8, { 1, 2, 2, 3 }, twelve);
  g_autoptr (HtGraph) graph = make_graph (HT_DATA_TYPE_UINT8, { -1, 3, 2, 2 });
  g_autoptr (HtPreprocess) geometry = make ({ { "layout", "NHWC" } });
  EXPECT_EQ (apply (geometry, array, graph, &error), (std::vector<double>{ 1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12 }));
  ASSERT_NO_GERROR (error);
  g_autoptr (HtPreprocess) arithmetic = make ({ { "layout", "NHWC" }, { "scale", "0.5" } });
  apply (arithmetic, array, graph, &error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "scale");
  g_autoptr (HtTensor) wide
      = make_array (HT_DATA_TYPE_INT64, { 1, 2, 2, 3 }, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 256 });
  apply (geometry, wide, graph, &error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_DATA, "256");
}

TEST (Preprocess, NamesTheSampleThatIsNotFinite)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtTensor) array = make_array (HT_DATA_TYPE_FLOAT, { 3, 1 }, { 0, 1, G_MAXDOUBLE * 2 });
  g_autoptr (HtGraph) graph = make_graph (HT_DATA_TYPE_FLOAT, { -1, 1 });
  EXPECT_EQ (apply (nullptr, array, graph, &error, 0, 2), (std::vector<double>{ 0, 1 }));
  ASSERT_NO_GERROR (error);
  apply (nullptr, array, graph, &error, 1, 2);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NUMERIC, "sample 2");
}

TEST (Preprocess, RunsWithANetworkOfAnotherFloatType)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtTensor) array = make_array (HT_DATA_TYPE_UINT8, { 2, 1 }, { 3, 4 });
  for (HtDataType type : { HT_DATA_TYPE_FLOAT16, HT_DATA_TYPE_DOUBLE })
    {
      g_autoptr (HtGraph) graph = make_graph (type, { -1, 1 });
      g_autoptr (HtPreprocess) preprocess = make ({ { "scale", "0.5" } });
      EXPECT_EQ (apply (preprocess, array, graph, &error, 0, 2), (std::vector<double>{ 1.5, 2 }));
      ASSERT_NO_GERROR (error);
    }
}
