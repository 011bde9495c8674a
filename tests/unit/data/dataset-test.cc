// SPDX-License-Identifier: MIT
// Data sets: binding to networks, labels, limits, fixed batches, hashes, and what is refused with which advice.
#include "support.h"

#include <vector>

namespace
{

struct Input
{
  const char *name;
  HtDataType type;
  std::vector<gint64> dims;
};

HtGraph *
make_graph (const std::vector<Input> &inputs)
{
  HtGraph *graph = ht_graph_new ("test");
  ht_graph_set_opset (graph, "", 13);
  for (const Input &input : inputs)
    {
      g_autoptr (HtShape) shape = ht_shape_new (input.dims.data (), nullptr, (guint)input.dims.size ());
      g_autofree char *output = g_strconcat (input.name, "-out", nullptr);
      const char *from[] = { input.name, nullptr }, *to[] = { output, nullptr };
      ht_graph_add_input (graph, input.name, input.type, shape);
      ht_graph_add_node (graph, "Identity", "", output, from, to);
      ht_graph_add_output (graph, output, input.type, shape);
    }
  return graph;
}

HtTensor *
count_up (HtDataType type, const std::vector<gint64> &dims)
{
  gsize n = 1;
  for (gint64 dim : dims)
    n *= (gsize)dim;
  std::vector<double> values (n);
  for (gsize i = 0; i < n; i++)
    values[i] = (double)i;
  g_autoptr (GBytes) bytes = g_bytes_new (values.data (), n * sizeof (double));
  g_autoptr (HtTensor) tensor
      = ht_tensor_new_from_bytes (HT_DATA_TYPE_DOUBLE, dims.data (), (guint)dims.size (), bytes, nullptr);
  return ht_tensor_cast (tensor, type, nullptr);
}

HtDataset *
make_dataset (const std::vector<gint64> &dims, const char *input = nullptr)
{
  HtDataset *dataset = ht_dataset_new ();
  g_autoptr (HtTensor) array = count_up (HT_DATA_TYPE_FLOAT, dims);
  g_autoptr (GError) error = nullptr;
  EXPECT_TRUE (ht_dataset_add_array (dataset, input, array, &error)) << error->message;
  return dataset;
}

void
expect_bind_error (HtDataset *dataset, HtGraph *graph, HtError code, const char *text)
{
  g_autoptr (GError) error = nullptr;
  EXPECT_FALSE (ht_dataset_bind (dataset, graph, &error));
  EXPECT_GERROR (error, HT_ERROR, code, text);
}

std::string
file (const std::string &name)
{
  return std::string (g_getenv ("HALFTONE_SOURCE")) + "/tests/unit/data/files/" + name;
}

}

TEST (Dataset, CutsTheLastBatchAndTheLimit)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = make_graph ({ { "x", HT_DATA_TYPE_FLOAT, { -1, 2 } } });
  g_autoptr (HtDataset) dataset = make_dataset ({ 5, 2 });
  ASSERT_TRUE (ht_dataset_bind (dataset, graph, &error)) << error->message;
  EXPECT_EQ (ht_dataset_get_n_samples (dataset), 5u);
  EXPECT_EQ (ht_dataset_get_batch_size (dataset, 2), 2u);
  EXPECT_EQ (ht_dataset_get_batch_size (dataset, 0), 5u);
  g_autoptr (GHashTable) batch = ht_dataset_get_batch (dataset, 4, 2, &error);
  ASSERT_NO_GERROR (error);
  auto *tensor = (HtTensor *)g_hash_table_lookup (batch, "x");
  ASSERT_NE (tensor, nullptr);
  EXPECT_EQ (ht_tensor_get_dim (tensor, 0), 1);
  EXPECT_EQ (ht_tensor_get_double (tensor, 0), 8);
  ht_dataset_set_limit (dataset, 3);
  EXPECT_EQ (ht_dataset_get_n_samples (dataset), 3u);
  EXPECT_EQ (ht_dataset_get_batch (dataset, 3, 1, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "number 3");
}

TEST (Dataset, FillsAFixedBatchWithTheLastSample)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = make_graph ({ { "x", HT_DATA_TYPE_FLOAT, { 4, 2 } } });
  g_autoptr (HtDataset) dataset = make_dataset ({ 5, 2 });
  ASSERT_TRUE (ht_dataset_bind (dataset, graph, &error)) << error->message;
  EXPECT_EQ (ht_dataset_get_batch_size (dataset, 32), 4u);
  g_autoptr (GHashTable) batch = ht_dataset_get_batch (dataset, 4, 4, &error);
  ASSERT_NO_GERROR (error);
  auto *tensor = (HtTensor *)g_hash_table_lookup (batch, "x");
  ASSERT_EQ (ht_tensor_get_dim (tensor, 0), 4);
  for (int i = 0; i < 8; i++)
    EXPECT_EQ (ht_tensor_get_double (tensor, i), 8 + i % 2);
}

TEST (Dataset, BindsInputsOfSeveralTypes)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = make_graph ({ { "image", HT_DATA_TYPE_FLOAT, { -1, 3 } },
                                            { "state", HT_DATA_TYPE_INT32, { -1, 1 } },
                                            { "rate", HT_DATA_TYPE_INT64, {} } });
  g_autoptr (HtDataset) dataset = ht_dataset_new ();
  g_autoptr (HtPreprocess) preprocess = ht_preprocess_new ();
  ASSERT_TRUE (ht_object_set_param_string (G_OBJECT (preprocess), "scale", "2", &error));
  ht_dataset_set_preprocess (dataset, preprocess);
  ASSERT_TRUE (ht_dataset_add_file (dataset, nullptr, file ("stored.npz").c_str (), &error)) << error->message;
  expect_bind_error (dataset, graph, HT_ERROR_NOT_FOUND, "'rate'");
  g_autoptr (HtTensor) rate = ht_tensor_new_scalar (16000, HT_DATA_TYPE_INT64, nullptr);
  ASSERT_TRUE (ht_dataset_add_array (dataset, "rate", rate, &error)) << error->message;
  ASSERT_TRUE (ht_dataset_bind (dataset, graph, &error)) << error->message;
  EXPECT_EQ (ht_dataset_get_n_samples (dataset), 2u);
  ASSERT_NE (ht_dataset_get_labels (dataset), nullptr);
  EXPECT_EQ (ht_tensor_get_int64 (ht_dataset_get_labels (dataset), 0), 1);
  g_autoptr (GHashTable) batch = ht_dataset_get_batch (dataset, 1, 1, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (ht_tensor_get_double ((HtTensor *)g_hash_table_lookup (batch, "image"), 0), 1); // 0.5 * 2
  auto *state = (HtTensor *)g_hash_table_lookup (batch, "state");
  EXPECT_EQ (ht_tensor_get_data_type (state), HT_DATA_TYPE_INT32);
  EXPECT_EQ (ht_tensor_get_int64 (state, 0), 8);
  EXPECT_EQ (ht_tensor_get_int64 ((HtTensor *)g_hash_table_lookup (batch, "rate"), 0), 16000);
}

TEST (Dataset, SaysHowToMakeShapesAgree)
{
  g_autoptr (HtGraph) image = make_graph ({ { "x", HT_DATA_TYPE_FLOAT, { -1, 3, 8, 8 } } });
  g_autoptr (HtDataset) last = make_dataset ({ 1, 8, 8, 3 });
  expect_bind_error (last, image, HT_ERROR_SHAPE, "'layout' to NHWC");
  g_autoptr (HtDataset) flat = make_dataset ({ 1, 192 });
  expect_bind_error (flat, image, HT_ERROR_SHAPE, "'shape' to [3, 8, 8]");
  g_autoptr (HtDataset) large = make_dataset ({ 1, 3, 10, 10 });
  expect_bind_error (large, image, HT_ERROR_SHAPE, "'center-crop' to [8, 8]");
  g_autoptr (HtDataset) other = make_dataset ({ 1, 5 });
  expect_bind_error (other, image, HT_ERROR_SHAPE, "[Nx5]");
}

TEST (Dataset, RefusesWhatDoesNotBelongTogether)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) one = make_graph ({ { "input", HT_DATA_TYPE_FLOAT, { -1, 2 } } });
  g_autoptr (HtGraph) two
      = make_graph ({ { "a", HT_DATA_TYPE_FLOAT, { -1, 2 } }, { "b", HT_DATA_TYPE_FLOAT, { -1, 2 } } });
  g_autoptr (HtDataset) nothing = ht_dataset_new ();
  expect_bind_error (nothing, one, HT_ERROR_INVALID_DATA, "no arrays");
  g_autoptr (HtDataset) unnamed = make_dataset ({ 3, 2 });
  expect_bind_error (unnamed, two, HT_ERROR_NOT_FOUND, "'a', 'b'");
  g_autoptr (HtDataset) misnamed = make_dataset ({ 3, 2 }, "imput");
  expect_bind_error (misnamed, one, HT_ERROR_NOT_FOUND, "did you mean 'input'");
  g_autoptr (HtDataset) uneven = make_dataset ({ 3, 2 }, "a");
  g_autoptr (HtTensor) more = count_up (HT_DATA_TYPE_FLOAT, { 4, 2 });
  EXPECT_FALSE (ht_dataset_add_array (uneven, "a", more, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_CONFLICT, "same input");
  EXPECT_FALSE (ht_dataset_add_array (uneven, nullptr, more, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_CONFLICT, "names no input");
  ASSERT_TRUE (ht_dataset_add_array (uneven, "b", more, &error));
  expect_bind_error (uneven, two, HT_ERROR_INVALID_DATA, "3 samples");
  g_autoptr (HtDataset) empty = ht_dataset_new ();
  EXPECT_FALSE (ht_dataset_add_file (empty, nullptr, file ("empty.npy").c_str (), &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_DATA, "empty");
  g_autoptr (HtGraph) integers = make_graph ({ { "x", HT_DATA_TYPE_INT64, { -1, 2 } } });
  expect_bind_error (unnamed, integers, HT_ERROR_DATA_TYPE, "int64");
  EXPECT_EQ (ht_dataset_get_batch (unnamed, 0, 1, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "bound to no network");
}

TEST (Dataset, KeepsAnEarlierBindingWhenANewOneFails)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) good = make_graph ({ { "x", HT_DATA_TYPE_FLOAT, { 2, 2 } } });
  g_autoptr (HtGraph) bad = make_graph ({ { "y", HT_DATA_TYPE_FLOAT, { 7, 3 } } });
  g_autoptr (HtDataset) dataset = make_dataset ({ 3, 2 });
  ASSERT_TRUE (ht_dataset_bind (dataset, good, &error)) << error->message;
  expect_bind_error (dataset, bad, HT_ERROR_SHAPE, "'y'");
  EXPECT_EQ (ht_dataset_get_batch_size (dataset, 32), 2u);
  g_autoptr (GHashTable) batch = ht_dataset_get_batch (dataset, 0, 2, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_TRUE (g_hash_table_contains (batch, "x"));
}

TEST (Dataset, TakesLabelsThatAreOneIntegerASample)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = make_graph ({ { "x", HT_DATA_TYPE_FLOAT, { -1, 2 } } });
  g_autoptr (HtDataset) dataset = make_dataset ({ 3, 2 });
  g_autoptr (HtTensor) column = count_up (HT_DATA_TYPE_UINT8, { 3, 1 });
  ASSERT_TRUE (ht_dataset_set_labels (dataset, column, &error)) << error->message;
  EXPECT_EQ (ht_tensor_get_n_dims (ht_dataset_get_labels (dataset)), 1u);
  EXPECT_EQ (ht_tensor_get_int64 (ht_dataset_get_labels (dataset), 2), 2);
  g_autoptr (HtTensor) one_hot = count_up (HT_DATA_TYPE_INT64, { 3, 10 });
  EXPECT_FALSE (ht_dataset_set_labels (dataset, one_hot, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_SHAPE, "argmax");
  g_autoptr (HtTensor) floats = count_up (HT_DATA_TYPE_FLOAT, { 3 });
  EXPECT_FALSE (ht_dataset_set_labels (dataset, floats, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_DATA_TYPE, "integers");
  ASSERT_TRUE (ht_dataset_bind (dataset, graph, &error)) << error->message;
  g_autoptr (HtTensor) fewer = count_up (HT_DATA_TYPE_INT64, { 2 });
  ASSERT_TRUE (ht_dataset_set_labels (dataset, fewer, &error));
  expect_bind_error (dataset, graph, HT_ERROR_INVALID_DATA, "labels");
  EXPECT_FALSE (ht_dataset_set_labels_file (dataset, file ("v1.npy").c_str (), &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_DATA_TYPE, "v1.npy");
  ASSERT_TRUE (ht_dataset_set_labels_file (dataset, file ("deflated.npz").c_str (), &error)) << error->message;
}

TEST (Dataset, HashesWhatTheNetworkIsGiven)
{
  auto hash = [] (HtDataset *dataset) {
    g_autofree char *digest = ht_dataset_hash (dataset, nullptr);
    return std::string (digest ? digest : "");
  };
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtDataset) a = make_dataset ({ 3, 2 });
  g_autoptr (HtDataset) b = make_dataset ({ 3, 2 });
  g_autoptr (HtDataset) reshaped = make_dataset ({ 3, 1, 2 });
  g_autoptr (HtDataset) longer = make_dataset ({ 4, 2 });
  EXPECT_EQ (hash (a).size (), 64u);
  EXPECT_EQ (hash (a), hash (b));
  EXPECT_NE (hash (a), hash (reshaped));
  EXPECT_NE (hash (a), hash (longer));
  ht_dataset_set_limit (b, 2);
  EXPECT_NE (hash (a), hash (b));
  ht_dataset_set_limit (b, 0);
  g_autoptr (HtPreprocess) preprocess = ht_preprocess_new ();
  ht_dataset_set_preprocess (b, preprocess);
  std::string before = hash (b);
  ASSERT_TRUE (ht_object_set_param_string (G_OBJECT (preprocess), "scale", "2", &error));
  EXPECT_NE (hash (b), before);
  g_autoptr (HtTensor) labels = count_up (HT_DATA_TYPE_INT64, { 3 });
  before = hash (a);
  ASSERT_TRUE (ht_dataset_set_labels (a, labels, &error));
  EXPECT_NE (hash (a), before);
}

TEST (Dataset, AddsAllOfAnArchiveOrNothing)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtDataset) dataset = make_dataset ({ 2, 1 }, "state");
  EXPECT_FALSE (ht_dataset_add_file (dataset, nullptr, file ("stored.npz").c_str (), &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_CONFLICT, "state");
  g_autoptr (HtGraph) graph = make_graph ({ { "state", HT_DATA_TYPE_FLOAT, { -1, 1 } } });
  EXPECT_TRUE (ht_dataset_bind (dataset, graph, &error)) << error->message;
  EXPECT_FALSE (ht_dataset_add_file (dataset, "image", file ("stored.npz").c_str (), &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_DATA, "2 arrays");
}

TEST (Dataset, SelectsSamplesInAnyOrder)
{
  g_autoptr (GError) error = nullptr;
  const float values[] = { 0, 1, 10, 11, 20, 21 };
  const gint64 dims[] = { 3, 2 }, labels[] = { 5, 6, 7 };
  g_autoptr (HtTensor) flat = ht_tensor_new_floats (values, 6), array = ht_tensor_reshape (flat, dims, 2, nullptr);
  g_autoptr (HtTensor) numbers = ht_tensor_new_int64s (labels, 3);
  g_autoptr (HtDataset) dataset = ht_dataset_new ();
  ASSERT_TRUE (ht_dataset_add_array (dataset, nullptr, array, &error) && ht_dataset_set_labels (dataset, numbers, &error));
  const guint rows[] = { 2, 0 };
  g_autoptr (HtDataset) some = ht_dataset_select (dataset, rows, 2, &error);
  ASSERT_NO_GERROR (error);
  ASSERT_EQ (ht_dataset_get_n_samples (some), 2u);
  EXPECT_EQ (ht_tensor_get_int64 (ht_dataset_get_labels (some), 0), 7);
  EXPECT_EQ (ht_tensor_get_int64 (ht_dataset_get_labels (some), 1), 5);
  // The same samples in a set of their own have the same hash.
  const float expected[] = { 20, 21, 0, 1 };
  const gint64 two[] = { 2, 2 }, chosen[] = { 7, 5 };
  g_autoptr (HtTensor) same_flat = ht_tensor_new_floats (expected, 4), same = ht_tensor_reshape (same_flat, two, 2, nullptr);
  g_autoptr (HtTensor) same_labels = ht_tensor_new_int64s (chosen, 2);
  g_autoptr (HtDataset) other = ht_dataset_new ();
  ASSERT_TRUE (ht_dataset_add_array (other, nullptr, same, &error) && ht_dataset_set_labels (other, same_labels, &error));
  g_autofree char *a = ht_dataset_hash (some, &error), *b = ht_dataset_hash (other, &error);
  EXPECT_STREQ (a, b);
  const guint beyond[] = { 3 };
  EXPECT_EQ (ht_dataset_select (dataset, beyond, 1, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "sample 3");
}
