// SPDX-License-Identifier: MIT
// States written and read back: the same content, for every kind of encoding; what is damaged is an error.
#include "support.h"

#include <glib/gstdio.h>

#include <functional>
#include <string>
#include <vector>

extern "C"
{
#include "quant/model-state-file.h"
#include "quant/model-state-private.h"
}

namespace
{

HtGraph *
make_graph (float weight)
{
  const char *const in[] = { "x", "w", nullptr };
  const char *const out[] = { "y", nullptr };
  const float values[] = { weight, 2.0f, 3.0f, 4.0f };
  const gint64 dims[] = { 2, 2 };
  HtGraph *graph = ht_graph_new ("g");
  g_autoptr (HtShape) shape = ht_shape_new (dims, nullptr, 2);
  g_autoptr (HtTensor) flat = ht_tensor_new_floats (values, 4);
  g_autoptr (HtTensor) tensor = ht_tensor_reshape (flat, dims, 2, nullptr);
  ht_graph_set_opset (graph, "", 13);
  ht_graph_add_input (graph, "x", HT_DATA_TYPE_FLOAT, shape);
  ht_graph_set_initializer (graph, "w", tensor);
  ht_graph_add_node (graph, "MatMul", "", "mm", in, out);
  ht_graph_add_output (graph, "y", HT_DATA_TYPE_FLOAT, shape);
  return graph;
}

const double scales[] = { 0.1, 0.3, 1e-3, 0.25 };
const gint64 offsets[] = { -128, -128, -128, -128 };

using Maker = std::function<HtEncoding *()>;

const std::vector<Maker> makers = {
  [] { return ht_encoding_new (8, TRUE, FALSE, -1, scales, offsets, 1, nullptr); },
  [] { return ht_encoding_new (8, FALSE, FALSE, 1, scales, offsets, 2, nullptr); },
  [] {
    const double low[] = { 0.0 }, high[] = { 6.0 };
    return ht_encoding_new_from_ranges (4, TRUE, TRUE, FALSE, -1, low, high, 1, nullptr);
  },
  [] {
    const double low[] = { 0.0 }, high[] = { 6.0 };
    return ht_encoding_new_from_ranges (4, TRUE, FALSE, TRUE, -1, low, high, 1, nullptr);
  },
  [] { return ht_encoding_new_blocks (8, TRUE, FALSE, 1, 2, 0, 1, scales, offsets, 4, nullptr); },
  [] {
    const guint block_scales[] = { 1, 16, 7, 3 };
    return ht_encoding_new_lpbq (4, 4, 1, 0, 1, scales, 2, block_scales, 4, nullptr);
  },
  [] { return ht_encoding_new_float (HT_NUMBER_FORMAT_FLOAT16, -1, 1, -1, 0, nullptr, 1, nullptr); },
  [] { return ht_encoding_new_float (HT_NUMBER_FORMAT_FLOAT8E4M3FN, 1, 2, -1, 0, scales, 2, nullptr); },
};

std::string
hash (HtModelState *state)
{
  g_autofree char *text = ht_model_state_hash (state);
  return text;
}

class ModelStateFileTest : public ::testing::Test
{
protected:
  void SetUp () override
  {
    folder = g_dir_make_tmp ("halftone-state-XXXXXX", nullptr);
    g_autoptr (HtGraph) graph = make_graph (1.0f);
    state = ht_model_state_new (graph);
  }
  void TearDown () override
  {
    for (const char *name : { "graph.onnx", "reference.onnx", "state.bin" })
      g_remove (path (name).c_str ());
    EXPECT_EQ (g_rmdir (folder), 0) << "nothing else was written";
    g_free (folder);
    g_object_unref (state);
    g_clear_error (&error);
  }
  std::string path (const char *name) { return std::string (folder) + "/" + name; }
  HtModelState *round_trip ()
  {
    ht_model_state_seal (state);
    EXPECT_TRUE (ht_model_state_write (state, folder, &error));
    EXPECT_NO_GERROR (error);
    HtModelState *read = ht_model_state_read (folder, &error);
    EXPECT_NO_GERROR (error);
    return read;
  }
  char *folder = nullptr;
  HtModelState *state = nullptr;
  GError *error = nullptr;
};

}

TEST_F (ModelStateFileTest, EverythingComesBack)
{
  const double mean[] = { 1.5, -0.0 }, deviation[] = { 2.0, 1e-300 };
  ht_model_state_split_reference (state);
  const float nine[] = { 9.0f, 9.0f, 9.0f, 9.0f };
  const gint64 dims[] = { 2, 2 };
  g_autoptr (HtTensor) flat = ht_tensor_new_floats (nine, 4);
  g_autoptr (HtTensor) tensor = ht_tensor_reshape (flat, dims, 2, nullptr);
  ht_graph_set_initializer (ht_model_state_get_graph (state), "w", tensor);
  g_autoptr (HtEncoding) pinned = makers[0](), fixed = makers[1](), open = makers[2]();
  ASSERT_TRUE (ht_model_state_set_encoding (state, "x", pinned, HT_ENCODING_PINNED, nullptr));
  ASSERT_TRUE (ht_model_state_set_encoding (state, "w", fixed, HT_ENCODING_FIXED, nullptr));
  ASSERT_TRUE (ht_model_state_set_encoding (state, "y", open, HT_ENCODING_OPEN, nullptr));
  g_autoptr (HtBatchnormStatistics) statistics = ht_batchnorm_statistics_new ();
  ht_batchnorm_statistics_set (statistics, "y", mean, deviation, 2);
  ht_batchnorm_statistics_set (statistics, "empty", nullptr, nullptr, 0);
  ht_model_state_set_artifact (state, HT_ARTIFACT_BATCHNORM_STATISTICS, G_OBJECT (statistics));

  g_autoptr (HtModelState) read = round_trip ();
  ASSERT_NE (read, nullptr);
  EXPECT_TRUE (ht_model_state_is_sealed (read));
  EXPECT_EQ (hash (read), hash (state));
  EXPECT_NE (ht_model_state_get_reference (read), ht_model_state_get_graph (read));
  EXPECT_EQ (ht_tensor_get_double (ht_graph_get_initializer (ht_model_state_get_graph (read), "w"), 0), 9.0);
  EXPECT_EQ (ht_tensor_get_double (ht_graph_get_initializer (ht_model_state_get_reference (read), "w"), 0), 1.0);
  HtEncodingStatus status;
  EXPECT_TRUE (ht_encoding_equal (ht_model_state_get_encoding (read, "x", &status), pinned));
  EXPECT_EQ (status, HT_ENCODING_PINNED);
  EXPECT_TRUE (ht_encoding_equal (ht_model_state_get_encoding (read, "w", &status), fixed));
  EXPECT_EQ (status, HT_ENCODING_FIXED);
  gsize n_channels;
  GObject *artifact = ht_model_state_get_artifact (read, HT_ARTIFACT_BATCHNORM_STATISTICS);
  const double *means = ht_batchnorm_statistics_get_means (HT_BATCHNORM_STATISTICS (artifact), "y", &n_channels);
  ASSERT_EQ (n_channels, 2u);
  EXPECT_EQ (means[0], 1.5);
  // A state that was read is a parent like any other.
  g_autoptr (HtModelState) edited = ht_model_state_edit (read);
  EXPECT_EQ (hash (edited), hash (state));
}

TEST_F (ModelStateFileTest, OneNetworkStaysOne)
{
  g_autoptr (HtModelState) read = round_trip ();
  ASSERT_NE (read, nullptr);
  EXPECT_EQ (hash (read), hash (state));
  EXPECT_EQ (ht_model_state_get_reference (read), ht_model_state_get_graph (read));
  EXPECT_FALSE (g_file_test (path ("reference.onnx").c_str (), G_FILE_TEST_EXISTS));
}

TEST_F (ModelStateFileTest, EveryKindOfEncodingComesBack)
{
  for (gsize i = 0; i < makers.size (); i++)
    {
      g_autofree char *tensor = g_strdup_printf ("t%" G_GSIZE_FORMAT, i);
      g_autoptr (HtEncoding) encoding = makers[i]();
      ASSERT_NE (encoding, nullptr) << i;
      ASSERT_TRUE (ht_model_state_set_encoding (state, tensor, encoding, HT_ENCODING_FIXED, nullptr));
    }
  g_autoptr (HtModelState) read = round_trip ();
  ASSERT_NE (read, nullptr);
  EXPECT_EQ (hash (read), hash (state));
  for (gsize i = 0; i < makers.size (); i++)
    {
      g_autofree char *tensor = g_strdup_printf ("t%" G_GSIZE_FORMAT, i);
      g_autoptr (HtEncoding) encoding = makers[i]();
      EXPECT_TRUE (ht_encoding_equal (ht_model_state_get_encoding (read, tensor, nullptr), encoding)) << i;
    }
}

// Each byte of state.bin, and each length, is either read as the same content or refused.
TEST_F (ModelStateFileTest, DamagedFilesAreRefused)
{
  g_autoptr (HtEncoding) encoding = makers[4]();
  ASSERT_TRUE (ht_model_state_set_encoding (state, "w", encoding, HT_ENCODING_FIXED, nullptr));
  g_autoptr (HtBatchnormStatistics) statistics = ht_batchnorm_statistics_new ();
  ht_batchnorm_statistics_set (statistics, "y", scales, scales, 2);
  ht_model_state_set_artifact (state, HT_ARTIFACT_BATCHNORM_STATISTICS, G_OBJECT (statistics));
  g_autoptr (HtModelState) read = round_trip ();
  ASSERT_NE (read, nullptr);
  std::string file = path ("state.bin");
  g_autofree char *bytes = nullptr;
  gsize size;
  ASSERT_TRUE (g_file_get_contents (file.c_str (), &bytes, &size, nullptr));
  guint n_refused = 0;
  for (gsize i = 0; i < size; i++)
    for (char flip : { '\x01', '\x80' })
      {
        bytes[i] ^= flip;
        ASSERT_TRUE (g_file_set_contents (file.c_str (), bytes, (gssize)size, nullptr));
        g_autoptr (GError) refused = nullptr;
        g_autoptr (HtModelState) other = ht_model_state_read (folder, &refused);
        if (other == nullptr)
          ASSERT_NE (refused, nullptr) << i;
        else
          ASSERT_EQ (hash (other), hash (state)) << i;
        n_refused += other == nullptr;
        bytes[i] ^= flip;
      }
  EXPECT_GT (n_refused, size) << "only padding may go unnoticed";
  for (gsize length : { gsize (0), gsize (1), size / 2, size - 1 })
    {
      ASSERT_TRUE (g_file_set_contents (file.c_str (), bytes, (gssize)length, nullptr));
      g_autoptr (GError) refused = nullptr;
      EXPECT_EQ (ht_model_state_read (folder, &refused), nullptr);
      EXPECT_NE (refused, nullptr);
    }
}

TEST_F (ModelStateFileTest, FilesOfOtherStatesAreRefused)
{
  g_autoptr (HtModelState) read = round_trip ();
  g_autoptr (HtGraph) other = make_graph (5.0f);
  ASSERT_TRUE (ht_graph_save (other, path ("graph.onnx").c_str (), nullptr));
  EXPECT_EQ (ht_model_state_read (folder, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_DATA, "do not belong together");
}

namespace
{

// An artifact that cannot be written.
struct Volatile
{
  GObject parent_instance;
};

GType
volatile_get_type ()
{
  static GType type = [] {
    const GTypeInfo info = { sizeof (GObjectClass), nullptr, nullptr, nullptr, nullptr, nullptr,
                             sizeof (Volatile),     0,       nullptr, nullptr };
    const GInterfaceInfo interface_info
        = { [] (gpointer iface, gpointer) {
             static_cast<HtArtifactInterface *> (iface)->copy = [] (HtArtifact *) {
               return HT_ARTIFACT (g_object_new (g_type_from_name ("HtTestVolatile"), nullptr));
             };
             static_cast<HtArtifactInterface *> (iface)->digest = [] (HtArtifact *, GChecksum *) {};
           },
            nullptr, nullptr };
    GType made = g_type_register_static (G_TYPE_OBJECT, "HtTestVolatile", &info, GTypeFlags (0));
    g_type_add_interface_static (made, HT_TYPE_ARTIFACT, &interface_info);
    return made;
  }();
  return type;
}

}

TEST_F (ModelStateFileTest, ArtifactsThatCannotBeWrittenAreNamed)
{
  g_autoptr (GObject) artifact = G_OBJECT (g_object_new (volatile_get_type (), nullptr));
  ht_model_state_set_artifact (state, "fleeting", artifact);
  ht_model_state_seal (state);
  EXPECT_FALSE (ht_model_state_write (state, folder, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "'fleeting' is a HtTestVolatile");
}

TEST_F (ModelStateFileTest, AMissingFolderIsAnError)
{
  ht_model_state_seal (state);
  EXPECT_FALSE (ht_model_state_write (state, path ("missing").c_str (), &error));
  EXPECT_NE (error, nullptr);
  g_clear_error (&error);
  EXPECT_EQ (ht_model_state_read (path ("missing").c_str (), &error), nullptr);
  EXPECT_NE (error, nullptr);
}
