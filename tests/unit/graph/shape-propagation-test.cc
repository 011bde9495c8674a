// SPDX-License-Identifier: MIT
// Shapes through graphs: symbols, integer arithmetic, declarations, one run's exact shapes.
#include "support.h"

#include <vector>

extern "C"
{
#include "graph/shape-propagation.h"
}

namespace
{

HtNode *
add (HtGraph *graph, const char *op, std::vector<const char *> inputs, std::vector<const char *> outputs)
{
  inputs.push_back (nullptr);
  outputs.push_back (nullptr);
  return ht_graph_add_node (graph, op, "", "", inputs.data (), outputs.data ());
}

// Input x: float [N, 3, 4].
HtGraph *
new_graph ()
{
  HtGraph *graph = ht_graph_new ("test");
  ht_graph_set_opset (graph, "", 13);
  const gint64 dims[] = { -1, 3, 4 };
  const char *symbols[] = { "N", nullptr, nullptr };
  g_autoptr (HtShape) shape = ht_shape_new (dims, symbols, 3);
  ht_graph_add_input (graph, "x", HT_DATA_TYPE_FLOAT, shape);
  return graph;
}

void
set_ints (HtGraph *graph, const char *name, std::vector<gint64> values, bool scalar = false)
{
  g_autoptr (GBytes) bytes = g_bytes_new (values.data (), values.size () * sizeof (gint64));
  gint64 dim = (gint64) values.size ();
  g_autoptr (HtTensor) tensor
      = ht_tensor_new_from_bytes (HT_DATA_TYPE_INT64, &dim, scalar ? 0 : 1, bytes, nullptr);
  ht_graph_set_initializer (graph, name, tensor);
}

std::string
shape_of (HtGraph *graph, const char *name)
{
  HtShape *shape = ht_graph_get_shape (graph, name);
  g_autofree char *text = shape ? ht_shape_to_string (shape) : nullptr;
  return text ? text : "?";
}

std::string
text_of (std::vector<gint64> dims, std::vector<const char *> symbols)
{
  g_autoptr (HtShape) shape = ht_shape_new (dims.data (), symbols.data (), dims.size ());
  g_autofree char *text = ht_shape_to_string (shape);
  return text;
}

void
declare (HtGraph *graph, const char *name, std::vector<gint64> dims)
{
  g_autoptr (HtShape) shape = ht_shape_new (dims.data (), nullptr, dims.size ());
  ht_graph_set_shape (graph, name, HT_DATA_TYPE_FLOAT, shape);
}

// What torch writes for x.view (x.shape[0], -1)
void
add_view (HtGraph *graph)
{
  add (graph, "Shape", { "x" }, { "s" });
  set_ints (graph, "zero", { 0 }, true);
  add (graph, "Gather", { "s", "zero" }, { "n" });
  set_ints (graph, "axes", { 0 });
  add (graph, "Unsqueeze", { "n", "axes" }, { "n1" });
  set_ints (graph, "rest", { -1 });
  add (graph, "Concat", { "n1", "rest" }, { "target" });
  ht_graph_set_int (graph, ht_graph_get_producer (graph, "target"), "axis", 0);
  add (graph, "Reshape", { "x", "target" }, { "y" });
}

TEST (ShapePropagation, FollowsTheBatchSymbol)
{
  g_autoptr (HtGraph) graph = new_graph ();
  add_view (graph);
  g_autoptr (GError) error = nullptr;
  ASSERT_TRUE (ht_graph_infer_shapes (graph, &error)) << error->message;
  EXPECT_EQ (shape_of (graph, "y"), text_of ({ -1, 12 }, { "N", nullptr }));
  EXPECT_EQ (ht_graph_get_data_type (graph, "target"), HT_DATA_TYPE_INT64);
}

TEST (ShapePropagation, CalculatesWithSymbols)
{
  g_autoptr (HtGraph) graph = new_graph ();
  add (graph, "Shape", { "x" }, { "s" });
  set_ints (graph, "two", { 2 });
  set_ints (graph, "one", { 1 });
  set_ints (graph, "minus", { -1, 3, 4 });
  add (graph, "Equal", { "s", "minus" }, { "e" }); // dimensions are never -1
  add (graph, "Where", { "e", "minus", "s" }, { "w" });
  add (graph, "Mul", { "w", "one" }, { "m" });
  add (graph, "ConstantOfShape", { "m" }, { "a" });
  add (graph, "Mul", { "s", "two" }, { "d" });
  add (graph, "ConstantOfShape", { "d" }, { "b" });
  g_autoptr (GError) error = nullptr;
  ASSERT_TRUE (ht_graph_infer_shapes (graph, &error)) << error->message;
  EXPECT_EQ (shape_of (graph, "a"), text_of ({ -1, 3, 4 }, { "N", nullptr, nullptr }));
  EXPECT_EQ (shape_of (graph, "b"), text_of ({ -1, 6, 8 }, { nullptr, nullptr, nullptr }));
}

TEST (ShapePropagation, TakesARunsShapes)
{
  g_autoptr (HtGraph) graph = new_graph ();
  add_view (graph);
  declare (graph, "y", { 1, 12 }); // the batch of the export does not bind a run
  g_autoptr (GHashTable) known = g_hash_table_new (g_str_hash, g_str_equal);
  const gint64 dims[] = { 5, 3, 4 };
  g_autoptr (HtTensor) x = ht_tensor_new (HT_DATA_TYPE_FLOAT, dims, 3, nullptr);
  g_hash_table_insert (known, (gpointer) "x", x);
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtValueTable) table = ht_shape_propagate (graph, known, FALSE, &error);
  ASSERT_NO_GERROR (error);
  const HtInferValue *y = ht_value_table_lookup (table, "y");
  ASSERT_NE (y->shape, nullptr);
  EXPECT_EQ (ht_shape_get_dim (y->shape, 0), 5);
  EXPECT_EQ (ht_shape_get_dim (y->shape, 1), 12);
  EXPECT_EQ (ht_value_table_lookup (table, "x")->constant, nullptr);
  const HtInferValue *target = ht_value_table_lookup (table, "target");
  ASSERT_NE (target->constant, nullptr);
  EXPECT_EQ (ht_tensor_get_int64 (target->constant, 0), 5);
}

TEST (ShapePropagation, RefusesAContradiction)
{
  g_autoptr (HtGraph) graph = new_graph ();
  add (graph, "Relu", { "x" }, { "r" });
  declare (graph, "r", { -1, 3, 5 });
  g_autoptr (GError) error = nullptr;
  EXPECT_FALSE (ht_graph_infer_shapes (graph, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_SHAPE, "'r'");
  EXPECT_EQ (shape_of (graph, "r"), text_of ({ -1, 3, 5 }, { nullptr, nullptr, nullptr }));
}

TEST (ShapePropagation, LeavesUnknownOperatorsUnknown)
{
  g_autoptr (HtGraph) graph = new_graph ();
  add (graph, "SomethingNew", { "x" }, { "a" });
  add (graph, "Relu", { "a" }, { "b" });
  add (graph, "SomethingNew", { "b" }, { "c" });
  declare (graph, "c", { 7 });
  add (graph, "Relu", { "c" }, { "d" });
  g_autoptr (GError) error = nullptr;
  ASSERT_TRUE (ht_graph_infer_shapes (graph, &error));
  EXPECT_EQ (shape_of (graph, "b"), "?");
  EXPECT_EQ (shape_of (graph, "d"), text_of ({ 7 }, { nullptr }));
}

TEST (ShapePropagation, RefusesShapesNoMemoryHolds)
{
  g_autoptr (HtGraph) graph = new_graph ();
  set_ints (graph, "huge", { 1ll << 40, 1ll << 40 });
  add (graph, "ConstantOfShape", { "huge" }, { "a" });
  g_autoptr (GError) error = nullptr;
  EXPECT_FALSE (ht_graph_infer_shapes (graph, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "'a'");
  EXPECT_FALSE (ht_graph_is_constant (graph, "a"));
}

// What is only just possible is not made to find out.
TEST (ShapePropagation, DoesNotMakeLargeConstants)
{
  g_autoptr (HtGraph) graph = new_graph ();
  set_ints (graph, "large", { 1ll << 30, 1ll << 8 });
  add (graph, "ConstantOfShape", { "large" }, { "a" });
  add (graph, "Relu", { "a" }, { "b" });
  g_autoptr (GError) error = nullptr;
  ASSERT_TRUE (ht_graph_infer_shapes (graph, &error)) << error->message;
  EXPECT_EQ (shape_of (graph, "b"), text_of ({ 1ll << 30, 1ll << 8 }, { nullptr, nullptr }));
  EXPECT_FALSE (ht_graph_is_constant (graph, "b"));
}

TEST (ShapePropagation, GoesIntoBranches)
{
  g_autoptr (HtGraph) graph = new_graph ();
  ht_graph_add_input (graph, "condition", HT_DATA_TYPE_BOOL, nullptr);
  HtNode *node = add (graph, "If", { "condition" }, { "y" });
  for (const char *name : { "then_branch", "else_branch" })
    {
      g_autoptr (HtGraph) branch = ht_graph_new (name);
      std::string out = std::string (name) + "_out";
      add (branch, "Relu", { "x" }, { out.c_str () });
      ht_graph_add_output (branch, out.c_str (), HT_DATA_TYPE_UNDEFINED, nullptr);
      ht_graph_set_subgraph (graph, node, name, branch);
    }
  g_autoptr (GError) error = nullptr;
  ASSERT_TRUE (ht_graph_infer_shapes (graph, &error)) << error->message;
  EXPECT_EQ (shape_of (graph, "y"), text_of ({ -1, 3, 4 }, { "N", nullptr, nullptr }));
  HtGraph *branch = ht_node_get_subgraph (node, "then_branch");
  EXPECT_EQ (shape_of (branch, "then_branch_out"), text_of ({ -1, 3, 4 }, { "N", nullptr, nullptr }));
}

TEST (OperatorTable, TakesTheEntryOfTheOpset)
{
  const HtOperator *six = ht_operator_find ("", "Clip", 10), *eleven = ht_operator_find ("", "Clip", 11);
  ASSERT_NE (six, nullptr);
  ASSERT_NE (eleven, nullptr);
  EXPECT_EQ (six->since_version, 6);
  EXPECT_EQ (eleven->since_version, 11);
  EXPECT_EQ (ht_operator_find ("ai.onnx", "Clip", 23), eleven);
  EXPECT_EQ (ht_operator_find ("", "Clip", 5), nullptr);
  EXPECT_EQ (ht_operator_find ("com.example", "Clip", 11), nullptr);
}

} // namespace
