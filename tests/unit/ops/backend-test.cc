// SPDX-License-Identifier: MIT
// The ONNX project's own operator cases: one model of one node (or a few), inputs and expected outputs. The expected
// outputs come from the ONNX reference implementation; tolerances are those of its backend test runner.
#include "support.h"

#include <algorithm>
#include <cmath>
#include <vector>

extern "C"
{
#include "graph/operator.h"
#include "onnx/tensor-proto.h"
}

namespace
{

// Operators of the cases that this version does not have: they are carried along, and running them is a clear error.
const std::vector<std::string> beyond = { "SequenceConstruct" };

// Cases of ONNX releases before 1.18 whose sums wrap around where the specification (and onnxruntime) saturates; later
// releases have other expected values.
const std::vector<std::string> withdrawn = { "node/test_qlinearmatmul_2D_int8_float16", "node/test_qlinearmatmul_2D_int8_float32",
                                             "node/test_qlinearmatmul_3D_int8_float16", "node/test_qlinearmatmul_3D_int8_float32" };

bool
takes_tensors_only (HtGraph *graph)
{
  for (const char *const *name = ht_graph_get_inputs (graph); *name; name++)
    if (ht_graph_get_data_type (graph, *name) == HT_DATA_TYPE_UNDEFINED)
      return false;
  return true;
}

// All cases whose inputs are tensors; sequences and optionals are no tensors, and no part of Halftone.
std::vector<std::string>
list_cases ()
{
  std::vector<std::string> cases;
  for (const char *kind : { "node", "simple" })
    {
      std::string folder = support::asset (std::string ("onnx-backend/") + kind);
      GDir *dir = folder.empty () ? nullptr : g_dir_open (folder.c_str (), 0, nullptr);
      if (dir == nullptr)
        continue;
      while (const char *name = g_dir_read_name (dir))
        {
          g_autoptr (HtGraph) graph = ht_graph_load ((folder + "/" + name + "/model.onnx").c_str (), nullptr);
          if (graph && takes_tensors_only (graph))
            cases.push_back (std::string (kind) + "/" + name);
        }
      g_dir_close (dir);
    }
  std::sort (cases.begin (), cases.end ());
  return cases;
}

// The first operator of the model, subgraphs included, that the table does not have; "" when it has them all.
std::string
find_unknown (HtGraph *graph)
{
  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    {
      HtNode *node = ht_graph_get_node (graph, i);
      gint64 opset = ht_graph_get_opset (graph, ht_node_get_domain (node));
      if (ht_operator_find (ht_node_get_domain (node), ht_node_get_op_type (node), opset) == nullptr)
        return ht_node_get_op_type (node);
      g_auto (GStrv) attributes = ht_node_list_attributes (node);
      for (gsize k = 0; attributes && attributes[k]; k++)
        if (ht_node_get_attribute_type (node, attributes[k]) == HT_ATTRIBUTE_GRAPH)
          {
            std::string inner = find_unknown (ht_node_get_subgraph (node, attributes[k]));
            if (!inner.empty ())
              return inner;
          }
    }
  return "";
}

void
expect_same (const char *name, HtTensor *expected, HtTensor *found)
{
  HtDataType type = ht_tensor_get_data_type (expected);
  g_autofree char *a = ht_tensor_describe (expected), *b = ht_tensor_describe (found);
  ASSERT_EQ (type, ht_tensor_get_data_type (found)) << name << ": " << a << " " << b;
  ASSERT_EQ (ht_tensor_get_n_dims (expected), ht_tensor_get_n_dims (found)) << name << ": " << a << " " << b;
  for (guint i = 0; i < ht_tensor_get_n_dims (expected); i++)
    ASSERT_EQ (ht_tensor_get_dim (expected, i), ht_tensor_get_dim (found, i)) << name << ": " << a << " " << b;
  for (gsize i = 0; i < ht_tensor_get_n_elements (expected); i++)
    {
      if (!ht_data_type_is_float (type))
        {
          ASSERT_EQ (ht_tensor_get_int64 (expected, i), ht_tensor_get_int64 (found, i)) << name << "[" << i << "]";
          continue;
        }
      double x = ht_tensor_get_double (expected, i), y = ht_tensor_get_double (found, i);
      if (std::isnan (x) || std::isinf (x))
        ASSERT_TRUE ((std::isnan (x) && std::isnan (y)) || x == y) << name << "[" << i << "] " << x << " " << y;
      else
        ASSERT_NEAR (x, y, 1e-7 + 1e-3 * std::fabs (x)) << name << "[" << i << "]";
    }
}

class BackendCase : public testing::TestWithParam<std::string>
{
};

TEST_P (BackendCase, MatchesReference)
{
  std::string folder = support::asset ("onnx-backend/" + GetParam ());
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = ht_graph_load ((folder + "/model.onnx").c_str (), &error);
  ASSERT_NO_GERROR (error);
  const char *const *names = ht_graph_get_inputs (graph);
  g_autoptr (GHashTable) inputs
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) ht_tensor_unref);
  for (gsize i = 0; names[i]; i++)
    {
      HtTensor *tensor = ht_tensor_load_pb (
          (folder + "/test_data_set_0/input_" + std::to_string (i) + ".pb").c_str (), nullptr, &error);
      ASSERT_NO_GERROR (error);
      g_hash_table_insert (inputs, g_strdup (names[i]), tensor);
    }
  g_autoptr (HtExecutor) executor = ht_executor_new (graph, &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (GHashTable) outputs = ht_executor_run (executor, inputs, nullptr, nullptr, &error);
  std::string unknown = find_unknown (graph);
  if (!unknown.empty ())
    {
      ASSERT_NE (std::find (beyond.begin (), beyond.end (), unknown), beyond.end ()) << unknown;
      EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, unknown);
      return;
    }
  ASSERT_NO_GERROR (error);
  const char *const *out_names = ht_graph_get_outputs (graph);
  for (gsize i = 0; out_names[i]; i++)
    {
      g_autoptr (HtTensor) expected = ht_tensor_load_pb (
          (folder + "/test_data_set_0/output_" + std::to_string (i) + ".pb").c_str (), nullptr, &error);
      ASSERT_NO_GERROR (error);
      HtTensor *found = static_cast<HtTensor *> (g_hash_table_lookup (outputs, out_names[i]));
      ASSERT_NE (found, nullptr) << out_names[i];
      if (std::find (withdrawn.begin (), withdrawn.end (), GetParam ()) != withdrawn.end ())
        GTEST_SKIP () << "the expected values wrap around, later releases of ONNX saturate";
      // Dropout of the cases runs in training mode with ratio 0 or in inference; its mask is exact too.
      expect_same (out_names[i], expected, found);
    }
}

TEST (BackendCases, AreThere)
{
  REQUIRE_ASSET (folder, "onnx-backend/node");
  EXPECT_GT (list_cases ().size (), 300u);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST (BackendCase);
INSTANTIATE_TEST_SUITE_P (Onnx, BackendCase, testing::ValuesIn (list_cases ()),
                          [] (const testing::TestParamInfo<std::string> &info) {
                            std::string name = info.param;
                            std::replace_if (name.begin (), name.end (), [] (char c) { return !g_ascii_isalnum (c); }, '_');
                            return name;
                          });

} // namespace
