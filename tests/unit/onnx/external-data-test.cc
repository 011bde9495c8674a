// SPDX-License-Identifier: MIT
#include "support.h"
#include "wire.h"

#include <sys/stat.h>
#include <unistd.h>

extern "C"
{
#include "graph/tensor-private.h"
#include "onnx/writer.h"
}

namespace
{

class ExternalData : public ::testing::Test
{
protected:
  void SetUp () override
  {
    g_mkdir ((folder_ / "model").c_str (), 0700);
    write ("model/w.data", "#" + wire::raw<float> ({ 1, 2, 3, 4 }));
    write ("secret.data", wire::raw<float> ({ 5, 6 }));
  }
  void write (const std::string &name, const std::string &content)
  {
    ASSERT_TRUE (g_file_set_contents ((folder_ / name).c_str (), content.data (), (gssize) content.size (), nullptr));
  }
  HtGraph *load (const std::string &tensor, int64_t count, GError **error)
  {
    write ("model/m.onnx", wire::add_model (tensor, count));
    return ht_graph_load ((folder_ / "model/m.onnx").c_str (), error);
  }
  void expect_refused (const std::string &location, const std::string &offset, const std::string &length, HtError code,
                       const char *text)
  {
    g_autoptr (GError) error = nullptr;
    g_autoptr (HtGraph) graph = load (wire::external_tensor (location, offset, length, 2), 2, &error);
    EXPECT_EQ (graph, nullptr) << location;
    ASSERT_NE (error, nullptr) << location;
    EXPECT_NE (strstr (error->message, "'w'"), nullptr) << error->message;
    EXPECT_GERROR (error, HT_ERROR, code, text);
  }
  support::TemporaryFolder folder_;
};

TEST_F (ExternalData, IsReadFromAnyOffset)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = load (wire::external_tensor ("w.data", "5", "8", 2), 2, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (ht_tensor_get_double (ht_graph_get_initializer (graph, "w"), 0), 2.0);
  EXPECT_EQ (ht_tensor_get_double (ht_graph_get_initializer (graph, "w"), 1), 3.0);
}

TEST_F (ExternalData, IsMappedAndNotCopied)
{
  write ("model/aligned.data", std::string (64, 'x') + wire::raw<float> ({ 7, 8 }));
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = load (wire::external_tensor ("aligned.data", "64", "8", 2), 2, &error);
  ASSERT_NO_GERROR (error);
  HtTensor *w = ht_graph_get_initializer (graph, "w");
  EXPECT_EQ (w->memory, HT_TENSOR_BYTES);
  EXPECT_EQ (ht_tensor_get_double (w, 1), 8.0);
}

TEST_F (ExternalData, MayNotLeaveTheFolder)
{
  std::string absolute = folder_ / "model/w.data";
  for (const std::string &location : { std::string ("../secret.data"), std::string ("sub/../../secret.data"), absolute,
                                       std::string (""), std::string (".."), std::string ("..\\secret.data") })
    expect_refused (location, "0", "8", HT_ERROR_INVALID_MODEL, "not inside the model's folder");
  ASSERT_EQ (symlink ("../secret.data", (folder_ / "model/link.data").c_str ()), 0);
  expect_refused ("link.data", "0", "8", HT_ERROR_INVALID_MODEL, "not inside the model's folder");
  ASSERT_EQ (symlink ("..", (folder_ / "model/up").c_str ()), 0);
  expect_refused ("up/secret.data", "0", "8", HT_ERROR_INVALID_MODEL, "not inside the model's folder");
  // A folder whose name begins like the model's is another one.
  g_mkdir ((folder_ / "model2").c_str (), 0700);
  write ("model2/w.data", "12345678");
  ASSERT_EQ (symlink ("../model2/w.data", (folder_ / "model/link2.data").c_str ()), 0);
  expect_refused ("link2.data", "0", "8", HT_ERROR_INVALID_MODEL, "not inside the model's folder");
}

TEST_F (ExternalData, MayBeALinkInsideTheFolder)
{
  ASSERT_EQ (symlink ("w.data", (folder_ / "model/link.data").c_str ()), 0);
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = load (wire::external_tensor ("link.data", "1", "8", 2), 2, &error);
  EXPECT_NO_GERROR (error);
}

TEST_F (ExternalData, IsCheckedAgainstItsFile)
{
  expect_refused ("absent.data", "0", "8", HT_ERROR_NOT_FOUND, "absent.data");
  expect_refused ("w.data", "10", "8", HT_ERROR_INVALID_MODEL, "the file has 17");
  expect_refused ("w.data", "9223372036854775807", "8", HT_ERROR_INVALID_MODEL, "the file has 17");
  expect_refused ("w.data", "0", "4", HT_ERROR_INVALID_MODEL, "has 4 bytes, its type and dimensions take 8");
  expect_refused ("w.data", "-1", "8", HT_ERROR_INVALID_MODEL, "'-1', not a number");
  expect_refused ("w.data", "0", "8x", HT_ERROR_INVALID_MODEL, "'8x', not a number");
  expect_refused (".", "0", "8", HT_ERROR_INVALID_MODEL, "not inside");
  g_mkdir ((folder_ / "model/sub").c_str (), 0700);
  expect_refused ("sub", "0", "8", HT_ERROR_INVALID_ARGUMENT, "a folder");
  ASSERT_EQ (mkfifo ((folder_ / "model/pipe").c_str (), 0600), 0);
  expect_refused ("pipe", "0", "8", HT_ERROR_INVALID_ARGUMENT, "pipe");
}

TEST_F (ExternalData, NeedsAFolder)
{
  std::string data = wire::add_model (wire::external_tensor ("w.data", "1", "8", 2), 2);
  g_autoptr (GBytes) bytes = g_bytes_new (data.data (), data.size ());
  g_autoptr (GError) error = nullptr;
  EXPECT_EQ (ht_graph_load_bytes (bytes, nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "load the model by its path");
  g_autoptr (HtGraph) graph = ht_graph_load_bytes (bytes, (folder_ / "model").c_str (), &error);
  EXPECT_NO_GERROR (error);
}

TEST_F (ExternalData, IsEmbeddedWhereItIsCarried)
{
  // A sparse initializer is carried as it is; its values must not stay behind in the other folder.
  std::string sparse = wire::bytes (1, wire::external_tensor ("w.data", "1", "8", 2))
                       + wire::bytes (2, wire::tensor (7, { 2 }, wire::bytes (9, std::string (16, '\0')), ""))
                       + wire::number (3, 2);
  std::string graph = wire::bytes (1, wire::node ("Add", { "x", "w" }, { "y" })) + wire::bytes (15, sparse)
                      + wire::bytes (11, wire::value ("x", 2)) + wire::bytes (12, wire::value ("y", 2));
  write ("model/m.onnx", wire::model (graph));
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) loaded = ht_graph_load ((folder_ / "model/m.onnx").c_str (), &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (GBytes) bytes = nullptr;
  ASSERT_TRUE (ht_onnx_serialize (loaded, &bytes, &error));
  gsize size;
  const char *data = (const char *) g_bytes_get_data (bytes, &size);
  std::string written (data, size);
  EXPECT_EQ (written.find ("w.data"), std::string::npos);
  EXPECT_NE (written.find (wire::raw<float> ({ 1, 2 })), std::string::npos);
}

// A graph with a weight of 4 KiB, one of 2 MiB and a bias of 1000 bytes.
std::string
large_model ()
{
  auto tensor = [] (const char *name, int64_t count, float start) {
    std::vector<float> values ((size_t) count);
    for (size_t i = 0; i < values.size (); i++)
      values[i] = start + (float) i;
    return wire::bytes (5, wire::tensor (1, { count }, wire::bytes (9, wire::raw (values)), name));
  };
  return wire::model (wire::bytes (1, wire::node ("Custom", { "x", "a", "b", "c" }, { "y" }, wire::bytes (7, "own")))
                      + tensor ("a", 1024, 0.5f) + tensor ("b", 250, -1) + tensor ("c", 1 << 19, 3)
                      + wire::bytes (11, wire::value ("x", 1)) + wire::bytes (12, wire::value ("y", 1)))
         + wire::opset (1, "own");
}

TEST_F (ExternalData, IsWrittenForLargeModels)
{
  write ("model/m.onnx", large_model ());
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = ht_graph_load ((folder_ / "model/m.onnx").c_str (), &error);
  ASSERT_NO_GERROR (error);
  g_autofree char *hash = ht_graph_hash (graph);
  std::string out = folder_ / "out.onnx";
  ASSERT_TRUE (ht_onnx_save (graph, out.c_str (), 1 << 20, &error)) << error->message;
  GStatBuf status;
  ASSERT_EQ (g_stat (out.c_str (), &status), 0);
  EXPECT_LT (status.st_size, 2048); // the bias stays inside
  ASSERT_EQ (g_stat ((out + ".data").c_str (), &status), 0);
  EXPECT_EQ (status.st_size, 4096 + (2 << 20)); // the second one begins at a page

  g_autoptr (HtGraph) again = ht_graph_load (out.c_str (), &error);
  ASSERT_NO_GERROR (error);
  g_autofree char *hash_again = ht_graph_hash (again);
  EXPECT_STREQ (hash, hash_again);
  EXPECT_EQ (ht_graph_get_initializer (again, "c")->memory, HT_TENSOR_BYTES);

  // Over itself: the files that are mapped live on until the graph is gone.
  ASSERT_TRUE (ht_onnx_save (again, out.c_str (), 1 << 20, &error)) << error->message;
  EXPECT_EQ (ht_tensor_get_double (ht_graph_get_initializer (again, "c"), 9), 12.0);
  g_autoptr (HtGraph) third = ht_graph_load (out.c_str (), &error);
  ASSERT_NO_GERROR (error);
  g_autofree char *hash_third = ht_graph_hash (third);
  EXPECT_STREQ (hash, hash_third);

  // And back into one file.
  ASSERT_TRUE (ht_graph_save (third, (folder_ / "one.onnx").c_str (), &error)) << error->message;
  EXPECT_FALSE (g_file_test ((folder_ / "one.onnx.data").c_str (), G_FILE_TEST_EXISTS));
}

TEST_F (ExternalData, FailedWritingLeavesNothing)
{
  write ("model/m.onnx", large_model ());
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = ht_graph_load ((folder_ / "model/m.onnx").c_str (), &error);
  ASSERT_NO_GERROR (error);
  EXPECT_FALSE (ht_graph_save (graph, (folder_ / "absent/out.onnx").c_str (), &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_FAILED, "absent/out.onnx");
  // A folder stands where the file should go: renaming fails at the very end.
  g_mkdir ((folder_ / "taken.onnx").c_str (), 0700);
  EXPECT_FALSE (ht_onnx_save (graph, (folder_ / "taken.onnx").c_str (), 1 << 20, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_FAILED, "taken.onnx");
  g_autoptr (GDir) dir = g_dir_open (folder_.path ().c_str (), 0, nullptr);
  while (const char *name = g_dir_read_name (dir))
    EXPECT_TRUE (g_str_equal (name, "model") || g_str_equal (name, "secret.data") || g_str_equal (name, "taken.onnx"))
        << name;
}

}
