// SPDX-License-Identifier: MIT
// Whole networks: the same bytes whatever the number of threads and wherever the run is cut, and silero_vad against the
// probabilities that its authors' own model gave.
#include "small-graph.h"

extern "C"
{
#include "exec/executor-private.h"
}

#include <cmath>
#include <cstring>
#include <fstream>
#include <random>

using small::floats;
using small::Table;
using small::values;

namespace
{

class Networks : public testing::TestWithParam<const char *>
{
protected:
  ~Networks () override { ht_set_n_threads (0); }
};

HtTensor *
random_input (HtGraph *graph, const char *name, gint64 batch)
{
  HtShape *shape = ht_graph_get_shape (graph, name);
  std::vector<gint64> dims;
  size_t n = 1;
  for (guint i = 0; i < ht_shape_get_n_dims (shape); i++)
    {
      gint64 dim = ht_shape_get_dim (shape, i);
      dims.push_back (dim >= 0 ? dim : batch);
      n *= static_cast<size_t> (dims.back ());
    }
  std::mt19937 engine (1);
  std::normal_distribution<float> normal;
  std::vector<float> x (n);
  for (float &value : x)
    value = normal (engine);
  return floats (dims, x);
}

bool
same (HtTensor *a, HtTensor *b)
{
  return ht_tensor_get_size (a) == ht_tensor_get_size (b)
         && memcmp (ht_tensor_get_data (a), ht_tensor_get_data (b), ht_tensor_get_size (a)) == 0;
}

// The largest difference, relative to the largest element.
double
distance (HtTensor *a, HtTensor *b)
{
  std::vector<float> left = values (a), right = values (b);
  double difference = 0.0, size = 1e-30;
  EXPECT_EQ (left.size (), right.size ());
  for (size_t i = 0; i < left.size (); i++)
    {
      difference = std::max (difference, std::abs (double (left[i]) - double (right[i])));
      size = std::max (size, std::abs (double (left[i])));
    }
  return difference / size;
}

TEST_P (Networks, BytesDoNotDependOnThreadsNorOnCuts)
{
  REQUIRE_ASSET (path, std::string ("models/") + GetParam () + ".onnx");
  GError *error = nullptr;
  g_autoptr (HtGraph) graph = ht_graph_load (path.c_str (), &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (HtExecutor) executor = ht_executor_new (graph, &error);
  ASSERT_NO_GERROR (error);
  const char *input = ht_graph_get_inputs (graph)[0];
  for (const char *const *name = ht_graph_get_inputs (graph); *name; name++)
    if (ht_graph_get_initializer (graph, *name) == nullptr)
      input = *name;
  Table in;
  in.add (input, random_input (graph, input, 3));
  ht_set_n_threads (1);
  Table one (ht_executor_run (executor, in, nullptr, nullptr, &error));
  ASSERT_NO_GERROR (error);
  const char *output = ht_graph_get_outputs (graph)[0];
  EXPECT_TRUE (ht_tensor_is_finite (one[output]));
  for (guint threads : { 2u, 3u })
    {
      ht_set_n_threads (threads);
      Table many (ht_executor_run (executor, in, nullptr, nullptr, &error));
      ASSERT_NO_GERROR (error);
      EXPECT_TRUE (same (one[output], many[output])) << threads;
    }
  // Stop at a node in the first half that everything passes through: given its output alone the rest must run. Where
  // nothing is fused it makes no difference; a cut through a fused chain changes roundings.
  g_autoptr (HtExecutor) plain = ht_executor_new (graph, &error);
  ASSERT_NO_GERROR (error);
  ht_executor_set_mode (plain, HT_EXEC_PLAIN);
  Table judge (ht_executor_run (plain, in, nullptr, nullptr, &error));
  ASSERT_NO_GERROR (error);
  EXPECT_LT (distance (judge[output], one[output]), 1e-5);
  guint found = 0;
  for (guint i = 0; i < ht_graph_get_n_nodes (graph) && found < 3; i++)
    {
      const char *middle = ht_node_get_output (ht_graph_get_node (graph, i), 0);
      const char *wanted[] = { middle, nullptr };
      if (ht_graph_is_constant (graph, middle) || ht_graph_count_uses (graph, middle) != 1)
        continue;
      Table half (ht_executor_run (executor, in, wanted, nullptr, &error));
      ASSERT_NO_GERROR (error);
      Table rest (ht_executor_run (executor, half, nullptr, nullptr, &error));
      if (error)
        {
          g_clear_error (&error); // not all paths lead through it
          continue;
        }
      EXPECT_LT (distance (one[output], rest[output]), 1e-5) << middle;
      Table plain_half (ht_executor_run (plain, in, wanted, nullptr, &error));
      ASSERT_NO_GERROR (error);
      Table plain_rest (ht_executor_run (plain, plain_half, nullptr, nullptr, &error));
      ASSERT_NO_GERROR (error);
      EXPECT_TRUE (same (judge[output], plain_rest[output])) << middle;
      found++;
    }
  EXPECT_GT (found, 0u);
}

INSTANTIATE_TEST_SUITE_P (All, Networks,
                          testing::Values ("autoencoder_ad01_mlperftiny", "dscnn_kws_mlperftiny",
                                           "kwt1_speechcommands12", "kwt1_speechcommands12_op17", "mnist_cnn_opset8",
                                           "mobilenetv1_025_vww96", "mobilenetv1_100_trunk_cifar10", "resnet20_cifar10",
                                           "resnet20_cifar10_raw", "resnet32_cifar10", "squeezenet1_1_imagenet",
                                           "ultraface_rfb320"));

// The array of a little-endian .npy file of version 1.
template <typename T>
std::vector<T>
read_npy (const std::string &path)
{
  std::ifstream file (path, std::ios::binary);
  std::string bytes ((std::istreambuf_iterator<char> (file)), std::istreambuf_iterator<char> ());
  size_t start = 10 + static_cast<unsigned char> (bytes.at (8)) + 256u * static_cast<unsigned char> (bytes.at (9));
  std::vector<T> array ((bytes.size () - start) / sizeof (T));
  memcpy (array.data (), bytes.data () + start, array.size () * sizeof (T));
  return array;
}

// Protocol of data/vad_test.json.
TEST (SileroVad, FollowsTheReferenceThroughAMinute)
{
  REQUIRE_ASSET (path, "models/silero_vad_16k_op15.onnx");
  REQUIRE_ASSET (wave_path, "data/vad_test_wav.npy");
  REQUIRE_ASSET (reference_path, "data/vad_test_ref.npy");
  std::vector<gint16> wave = read_npy<gint16> (wave_path);
  std::vector<float> reference = read_npy<float> (reference_path);
  GError *error = nullptr;
  g_autoptr (HtGraph) graph = ht_graph_load (path.c_str (), &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (HtExecutor) executor = ht_executor_new (graph, &error);
  ASSERT_NO_GERROR (error);
  const char *const *outputs = ht_graph_get_outputs (graph);
  std::vector<float> window (576), state (256);
  double worst = 0;
  ASSERT_EQ (wave.size (), reference.size () * 512);
  for (size_t chunk = 0; chunk < reference.size (); chunk++)
    {
      std::copy (window.end () - 64, window.end (), window.begin ());
      for (size_t i = 0; i < 512; i++)
        window[64 + i] = static_cast<float> (wave[chunk * 512 + i]) / 32768.0f;
      Table in;
      in.add ("input", floats ({ 1, 576 }, window)).add ("state", floats ({ 2, 1, 128 }, state));
      in.add ("sr", ht_tensor_new_scalar (16000, HT_DATA_TYPE_INT64, nullptr));
      Table out (ht_executor_run (executor, in, nullptr, nullptr, &error));
      ASSERT_NO_GERROR (error);
      worst = std::max (worst, std::fabs (static_cast<double> (values (out[outputs[0]])[0]) - reference[chunk]));
      state = values (out[outputs[1]]);
    }
  EXPECT_LE (worst, 1e-4);
  RecordProperty ("worst", std::to_string (worst));
}

}
