// SPDX-License-Identifier: MIT
// Preparation: plain graphs that compute the same.
#include "support.h"

#include <cmath>
#include <cstring>
#include <map>
#include <vector>

namespace
{

std::map<std::string, int>
count_ops (HtGraph *graph)
{
  std::map<std::string, int> ops;
  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    ops[ht_node_get_op_type (ht_graph_get_node (graph, i))]++;
  return ops;
}

HtNode *
add (HtGraph *graph, const char *op, std::vector<const char *> inputs, std::vector<const char *> outputs,
     const char *name = "")
{
  inputs.push_back (nullptr);
  outputs.push_back (nullptr);
  return ht_graph_add_node (graph, op, "", name, inputs.data (), outputs.data ());
}

HtGraph *
new_graph ()
{
  HtGraph *graph = ht_graph_new ("test");
  ht_graph_set_opset (graph, "", 13);
  const gint64 dims[] = { -1, 4 };
  const char *symbols[] = { "N", nullptr };
  g_autoptr (HtShape) shape = ht_shape_new (dims, symbols, 2);
  ht_graph_add_input (graph, "x", HT_DATA_TYPE_FLOAT, shape);
  ht_graph_add_output (graph, "y", HT_DATA_TYPE_FLOAT, nullptr);
  return graph;
}

void
set_ints (HtGraph *graph, const char *name, std::vector<gint64> values)
{
  g_autoptr (HtTensor) tensor = ht_tensor_new_int64s (values.data (), values.size ());
  ht_graph_set_initializer (graph, name, tensor);
}

void
set_matrix (HtGraph *graph, const char *name, gint64 rows, gint64 columns)
{
  const gint64 dims[] = { rows, columns };
  std::vector<float> values (rows * columns);
  for (gsize i = 0; i < values.size (); i++)
    values[i] = 0.25f * (float) (i % 7) - 0.5f;
  g_autoptr (GBytes) bytes = g_bytes_new (values.data (), values.size () * sizeof (float));
  g_autoptr (HtTensor) tensor = ht_tensor_new_from_bytes (HT_DATA_TYPE_FLOAT, dims, 2, bytes, nullptr);
  ht_graph_set_initializer (graph, name, tensor);
}

// One run on a fixed pattern in every input; the first open dimension is the batch, a second one of an input `length`.
// Integers are 16000, silero's sample rate.
std::vector<float>
run (HtGraph *graph, gint64 batch, gint64 length = 576)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (GHashTable) inputs
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) ht_tensor_unref);
  const char *const *names = ht_graph_get_inputs (graph);
  for (gsize i = 0; names[i]; i++)
    {
      HtShape *shape = ht_graph_get_shape (graph, names[i]);
      std::vector<gint64> dims;
      gint64 open = batch;
      for (guint d = 0; d < ht_shape_get_n_dims (shape); d++)
        {
          dims.push_back (ht_shape_get_dim (shape, d) >= 0 ? ht_shape_get_dim (shape, d) : open);
          if (ht_shape_get_dim (shape, d) < 0)
            open = length;
        }
      HtTensor *tensor = ht_tensor_new (ht_graph_get_data_type (graph, names[i]), dims.data (), dims.size (), &error);
      if (ht_tensor_get_data_type (tensor) == HT_DATA_TYPE_FLOAT)
        for (gsize k = 0; k < ht_tensor_get_n_elements (tensor); k++)
          static_cast<float *> (ht_tensor_get_writable_data (tensor))[k] = std::sin (0.37f * (float) k);
      else
        for (gsize k = 0; k < ht_tensor_get_n_elements (tensor); k++)
          static_cast<gint64 *> (ht_tensor_get_writable_data (tensor))[k] = 16000;
      g_hash_table_insert (inputs, g_strdup (names[i]), tensor);
    }
  g_autoptr (HtExecutor) executor = ht_executor_new (graph, &error);
  EXPECT_NO_GERROR (error);
  g_autoptr (GHashTable) outputs
      = executor ? ht_executor_run (executor, inputs, nullptr, nullptr, &error) : nullptr;
  EXPECT_NO_GERROR (error);
  std::vector<float> values;
  if (outputs == nullptr)
    return values;
  HtTensor *tensor
      = static_cast<HtTensor *> (g_hash_table_lookup (outputs, ht_graph_get_outputs (graph)[0]));
  for (gsize i = 0; i < ht_tensor_get_n_elements (tensor); i++)
    values.push_back ((float) ht_tensor_get_double (tensor, i));
  return values;
}

std::vector<std::string>
prepare (HtGraph *graph)
{
  g_autoptr (GError) error = nullptr;
  g_auto (GStrv) lines = ht_graph_prepare (graph, &error);
  EXPECT_NO_GERROR (error);
  EXPECT_TRUE (ht_graph_verify (graph, &error)) << error->message;
  std::vector<std::string> result;
  for (gsize i = 0; lines && lines[i]; i++)
    result.push_back (lines[i]);
  return result;
}

const char *const models[] = { "autoencoder_ad01_mlperftiny",   "dscnn_kws_mlperftiny", "kwt1_speechcommands12",
                               "kwt1_speechcommands12_op17",    "mnist_cnn_opset8",     "mobilenetv1_025_vww96",
                               "mobilenetv1_100_trunk_cifar10", "resnet20_cifar10",     "resnet20_cifar10_raw",
                               "resnet32_cifar10",              "squeezenet1_1_imagenet", "ultraface_rfb320" };

class PrepareModel : public testing::TestWithParam<const char *>
{
};

// All shapes of these models can be known, and preparing them changes no bit of what they compute.
TEST_P (PrepareModel, KeepsFunctionAndFindsShapes)
{
  REQUIRE_ASSET (path, std::string ("models/") + GetParam () + ".onnx");
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = ht_graph_load (path.c_str (), &error);
  ASSERT_NO_GERROR (error);
  std::vector<float> before = run (graph, 2);
  ASSERT_FALSE (before.empty ());
  prepare (graph);
  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    {
      HtNode *node = ht_graph_get_node (graph, i);
      EXPECT_STRNE (ht_node_get_name (node), "");
      for (guint k = 0; k < ht_node_get_n_outputs (node); k++)
        {
          const char *name = ht_node_get_output (node, k);
          EXPECT_TRUE (*name == '\0' || ht_graph_get_shape (graph, name)) << ht_node_get_op_type (node) << " " << name;
        }
    }
  std::vector<float> after = run (graph, 2);
  ASSERT_EQ (before.size (), after.size ());
  EXPECT_EQ (memcmp (before.data (), after.data (), before.size () * sizeof (float)), 0);
  EXPECT_TRUE (prepare (graph).empty ()) << "a prepared graph is plain";
}
INSTANTIATE_TEST_SUITE_P (Assets, PrepareModel, testing::ValuesIn (models),
                          [] (const testing::TestParamInfo<const char *> &info) { return info.param; });

TEST (Prepare, RawResnetBecomesPlain)
{
  REQUIRE_ASSET (raw_path, "models/resnet20_cifar10_raw.onnx");
  REQUIRE_ASSET (plain_path, "models/resnet20_cifar10.onnx");
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) raw = ht_graph_load (raw_path.c_str (), &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (HtGraph) plain = ht_graph_load (plain_path.c_str (), &error);
  ASSERT_NO_GERROR (error);
  EXPECT_NE (count_ops (raw), count_ops (plain));
  prepare (raw);
  EXPECT_EQ (count_ops (raw), count_ops (plain));
}

TEST (Prepare, SileroKeepsItsBranches)
{
  REQUIRE_ASSET (path, "models/silero_vad_16k_op15.onnx");
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = ht_graph_load (path.c_str (), &error);
  ASSERT_NO_GERROR (error);
  std::vector<float> before = run (graph, 1);
  prepare (graph);
  EXPECT_EQ (run (graph, 1), before);
  EXPECT_EQ (count_ops (graph)["Constant"], 0);
}

TEST (Prepare, RemovesWhatDoesNothing)
{
  g_autoptr (HtGraph) graph = new_graph ();
  add (graph, "Identity", { "x" }, { "a" });
  HtNode *cast = add (graph, "Cast", { "a" }, { "b" });
  ht_graph_set_int (graph, cast, "to", HT_DATA_TYPE_FLOAT);
  set_ints (graph, "pads", { 0, 0, 0, 0 });
  add (graph, "Pad", { "b", "pads" }, { "c" });
  HtNode *transpose = add (graph, "Transpose", { "c" }, { "d" });
  const gint64 order[] = { 0, 1 };
  ht_graph_set_ints (graph, transpose, "perm", order, 2);
  set_ints (graph, "shape", { -1, 4 });
  add (graph, "Reshape", { "d", "shape" }, { "e" });
  add (graph, "Dropout", { "e" }, { "f" });
  add (graph, "Relu", { "f" }, { "y" });
  std::vector<float> before = run (graph, 3);
  std::vector<std::string> lines = prepare (graph);
  EXPECT_EQ (count_ops (graph), (std::map<std::string, int>{ { "Relu", 1 } }));
  EXPECT_EQ (run (graph, 3), before);
  EXPECT_EQ (ht_graph_get_initializer (graph, "pads"), nullptr);
  EXPECT_STREQ (ht_node_get_name (ht_graph_get_node (graph, 0)), "Relu_0");
}

TEST (Prepare, KeepsWhatDoesSomething)
{
  g_autoptr (HtGraph) graph = new_graph ();
  set_ints (graph, "pads", { 0, 1, 0, 0 });
  add (graph, "Pad", { "x", "pads" }, { "a" });
  add (graph, "Transpose", { "a" }, { "b" });
  set_ints (graph, "shape", { 1, -1 });
  add (graph, "Reshape", { "b", "shape" }, { "c" });
  HtNode *cast = add (graph, "Cast", { "c" }, { "d" });
  ht_graph_set_int (graph, cast, "to", HT_DATA_TYPE_INT32);
  HtNode *back = add (graph, "Cast", { "d" }, { "y" });
  ht_graph_set_int (graph, back, "to", HT_DATA_TYPE_FLOAT);
  prepare (graph);
  EXPECT_EQ (ht_graph_get_n_nodes (graph), 5u);
}

TEST (Prepare, GivesEachLayerItsOwnWeight)
{
  g_autoptr (HtGraph) graph = new_graph ();
  set_matrix (graph, "w", 4, 4);
  add (graph, "MatMul", { "x", "w" }, { "a" }, "first");
  add (graph, "MatMul", { "a", "w" }, { "b" }, "second");
  add (graph, "Add", { "b", "w" }, { "y" }, "sum");
  std::vector<float> before = run (graph, 4);
  prepare (graph);
  std::string first = ht_node_get_input (ht_graph_find_node (graph, "first"), 1);
  std::string second = ht_node_get_input (ht_graph_find_node (graph, "second"), 1);
  EXPECT_EQ (first, "w");
  EXPECT_NE (first, second);
  EXPECT_STREQ (ht_node_get_input (ht_graph_find_node (graph, "sum"), 1), "w");
  EXPECT_EQ (run (graph, 4), before);
}

TEST (Prepare, LeavesAnInvalidGraphAlone)
{
  g_autoptr (HtGraph) graph = new_graph ();
  set_matrix (graph, "w", 3, 5); // x has 4 columns
  add (graph, "MatMul", { "x", "w" }, { "y" });
  g_autoptr (GError) error = nullptr;
  EXPECT_EQ (ht_graph_prepare (graph, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "MatMul");
  EXPECT_STREQ (ht_node_get_name (ht_graph_get_node (graph, 0)), "");
}

TEST (Constants, ChainsAreConstant)
{
  g_autoptr (HtGraph) graph = new_graph ();
  set_matrix (graph, "w", 4, 3);
  add (graph, "Transpose", { "w" }, { "wt" });
  add (graph, "Identity", { "wt" }, { "wi" });
  add (graph, "Transpose", { "wi" }, { "wtt" });
  add (graph, "MatMul", { "x", "wtt" }, { "y" });
  g_autoptr (HtTensor) w = ht_graph_get_constant (graph, "w");
  g_autoptr (HtTensor) again = ht_graph_get_constant (graph, "wtt");
  ASSERT_NE (again, nullptr);
  EXPECT_TRUE (ht_tensor_equal (w, again));
  EXPECT_FALSE (ht_graph_is_constant (graph, "x"));
  EXPECT_FALSE (ht_graph_is_constant (graph, "y"));
  EXPECT_FALSE (ht_graph_is_constant (graph, "nothing"));
  // Kept, and forgotten when what it came from changes.
  g_autoptr (HtTensor) kept = ht_graph_get_constant (graph, "wtt");
  EXPECT_EQ (kept, again);
  set_matrix (graph, "w", 4, 2);
  g_autoptr (HtTensor) changed = ht_graph_get_constant (graph, "wtt");
  ASSERT_NE (changed, nullptr);
  EXPECT_EQ (ht_tensor_get_dim (changed, 1), 2);
}

TEST (Constants, WritingOneRemovesWhatMadeIt)
{
  g_autoptr (HtGraph) graph = new_graph ();
  set_matrix (graph, "w", 3, 4);
  add (graph, "Transpose", { "w" }, { "wt" }, "t");
  add (graph, "MatMul", { "x", "wt" }, { "y" }, "m");
  g_autoptr (HtTensor) value = ht_graph_get_constant (graph, "wt");
  ht_graph_set_initializer (graph, "wt", value);
  EXPECT_EQ (ht_graph_get_n_nodes (graph), 1u);
  EXPECT_EQ (ht_graph_get_initializer (graph, "w"), nullptr);
  EXPECT_NE (ht_graph_get_initializer (graph, "wt"), nullptr);
  g_autoptr (GError) error = nullptr;
  EXPECT_TRUE (ht_graph_verify (graph, &error));
}

// 2^60 paths lead through these sums; each value is followed once.
TEST (Constants, DiamondsDoNotExplode)
{
  g_autoptr (HtGraph) graph = new_graph ();
  set_matrix (graph, "c0", 2, 2);
  for (int i = 0; i < 60; i++)
    {
      std::string from = "c" + std::to_string (i), to = "c" + std::to_string (i + 1);
      add (graph, "Max", { from.c_str (), from.c_str () }, { to.c_str () });
    }
  EXPECT_TRUE (ht_graph_is_constant (graph, "c60"));
  EXPECT_TRUE (ht_graph_is_constant (graph, "c60"));
}

TEST (Constants, CyclesAndLongChainsEnd)
{
  g_autoptr (HtGraph) graph = new_graph ();
  add (graph, "Add", { "a", "b" }, { "b" });
  add (graph, "Add", { "b", "b" }, { "a" });
  EXPECT_FALSE (ht_graph_is_constant (graph, "a"));
  add (graph, "Identity", { "x" }, { "l0" });
  for (int i = 0; i < 20000; i++)
    {
      std::string from = "l" + std::to_string (i), to = "l" + std::to_string (i + 1);
      add (graph, "Identity", { from.c_str () }, { to.c_str () });
    }
  EXPECT_FALSE (ht_graph_is_constant (graph, "l20000"));
}

} // namespace
