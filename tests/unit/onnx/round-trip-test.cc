// SPDX-License-Identifier: MIT
// Every model at hand: what is written loads as the same graph, and is written again as the same bytes.
#include "support.h"

#include <vector>

extern "C"
{
#include "onnx/writer.h"
}

namespace
{

void
find_models (const std::string &folder, std::vector<std::string> *models)
{
  g_autoptr (GDir) dir = g_dir_open (folder.c_str (), 0, nullptr);
  while (const char *name = dir ? g_dir_read_name (dir) : nullptr)
    {
      std::string path = folder + "/" + name;
      if (g_file_test (path.c_str (), G_FILE_TEST_IS_DIR))
        find_models (path, models);
      else if (g_str_has_suffix (name, ".onnx"))
        models->push_back (path);
    }
}

void
expect_round_trip (const std::string &path)
{
  SCOPED_TRACE (path);
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = ht_graph_load (path.c_str (), &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (GBytes) bytes = nullptr;
  ASSERT_TRUE (ht_onnx_serialize (graph, &bytes, &error)) << error->message;
  g_autoptr (HtGraph) again = ht_graph_load_bytes (bytes, nullptr, &error);
  ASSERT_NO_GERROR (error);
  g_autofree char *hash = ht_graph_hash (graph);
  g_autofree char *hash_again = ht_graph_hash (again);
  EXPECT_STREQ (hash, hash_again);
  g_autoptr (GBytes) bytes_again = nullptr;
  ASSERT_TRUE (ht_onnx_serialize (again, &bytes_again, &error)) << error->message;
  EXPECT_TRUE (g_bytes_equal (bytes, bytes_again));
}

void
expect_round_trips (const std::string &folder, size_t at_least)
{
  std::vector<std::string> models;
  find_models (folder, &models);
  EXPECT_GE (models.size (), at_least);
  for (const std::string &model : models)
    expect_round_trip (model);
}

TEST (RoundTrip, TrainedNetworks)
{
  REQUIRE_ASSET (folder, "models");
  expect_round_trips (folder, 13);
}

TEST (RoundTrip, ModelsOfOtherTools)
{
  REQUIRE_ASSET (folder, "aimet");
  expect_round_trips (folder, 4);
}

TEST (RoundTrip, OperatorCases)
{
  REQUIRE_ASSET (folder, "onnx-backend");
  expect_round_trips (folder, 340);
}

TEST (RoundTrip, Files)
{
  REQUIRE_ASSET (path, "models/silero_vad_16k_op15.onnx");
  support::TemporaryFolder folder;
  std::string out = folder / "out.onnx";
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = ht_graph_load (path.c_str (), &error);
  ASSERT_NO_GERROR (error);
  ASSERT_TRUE (ht_graph_save (graph, out.c_str (), &error)) << error->message;
  g_autoptr (HtGraph) again = ht_graph_load (out.c_str (), &error);
  ASSERT_NO_GERROR (error);
  g_autofree char *hash = ht_graph_hash (graph);
  g_autofree char *hash_again = ht_graph_hash (again);
  EXPECT_STREQ (hash, hash_again);
}

}
