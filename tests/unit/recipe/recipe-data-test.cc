// SPDX-License-Identifier: MIT
// From the keys of `data` to batches.
#include "support.h"

static HtGraph *
make_graph ()
{
  const gint64 dims[] = { -1, 1, 1, 2 };
  HtGraph *graph = ht_graph_new ("g");
  g_autoptr (HtShape) shape = ht_shape_new (dims, nullptr, 4);
  ht_graph_add_input (graph, "input", HT_DATA_TYPE_FLOAT, shape);
  return graph;
}

TEST (RecipeData, OpensWhatTheRecipeDescribes)
{
  g_autoptr (GError) error = nullptr;
  support::TemporaryFolder temporary;
  // Two samples of 1x2x1 in NHWC, 0 … 3; (x * 0.5 - 1) / 2.
  const guint8 raw[] = { 0, 1, 2, 3 };
  const gint64 dims[] = { 2, 1, 2, 1 };
  g_autoptr (GBytes) bytes = g_bytes_new (raw, sizeof raw);
  HtTensor *array = ht_tensor_new_from_bytes (HT_DATA_TYPE_UINT8, dims, 4, bytes, &error);
  ASSERT_NO_GERROR (error);
  ASSERT_TRUE (ht_tensor_save_npy (array, (temporary / "images.npy").c_str (), &error));
  ht_tensor_unref (array);
  const gint64 labels[] = { 5, 7 };
  HtTensor *label_tensor = ht_tensor_new_int64s (labels, 2);
  ASSERT_TRUE (ht_tensor_save_npy (label_tensor, (temporary / "labels.npy").c_str (), &error));
  ht_tensor_unref (label_tensor);
  ASSERT_TRUE (g_file_set_contents ((temporary / "r.yaml").c_str (),
                                    "recipe: \"1.0\"\n"
                                    "data:\n"
                                    "  preprocess: {layout: NHWC, scale: 0.5, mean: [1], std: [2]}\n"
                                    "  evaluation: {path: images.npy, labels: labels.npy, samples: 1}\n"
                                    "  calibration: {path: {input: images.npy}}\n",
                                    -1, nullptr));
  g_autoptr (HtRecipe) recipe = ht_recipe_load ((temporary / "r.yaml").c_str (), nullptr, nullptr, &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (HtDataset) dataset = ht_recipe_open_data (recipe, HT_DATA_EVALUATION, &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (HtGraph) graph = make_graph ();
  ASSERT_TRUE (ht_dataset_bind (dataset, graph, &error)) << error->message;
  EXPECT_EQ (ht_dataset_get_n_samples (dataset), 1u);
  g_autoptr (GHashTable) batch = ht_dataset_get_batch (dataset, 0, 1, &error);
  ASSERT_NO_GERROR (error);
  auto *tensor = (HtTensor *) g_hash_table_lookup (batch, "input");
  ASSERT_NE (tensor, nullptr);
  EXPECT_EQ (ht_tensor_get_dim (tensor, 1), 1);
  EXPECT_EQ (ht_tensor_get_dim (tensor, 3), 2);
  EXPECT_DOUBLE_EQ (ht_tensor_get_double (tensor, 0), -0.5);
  EXPECT_DOUBLE_EQ (ht_tensor_get_double (tensor, 1), -0.25);
  g_autoptr (HtDataset) training = ht_recipe_open_data (recipe, HT_DATA_TRAINING, &error);
  ASSERT_NO_GERROR (error);
  ASSERT_TRUE (ht_dataset_bind (training, graph, &error)) << error->message;
  EXPECT_EQ (ht_dataset_get_n_samples (training), 2u);
}

