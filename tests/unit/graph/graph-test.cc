// SPDX-License-Identifier: MIT
#include "support.h"

#include <set>
#include <vector>

namespace
{

using Names = std::vector<const char *>;

struct Graph
{
  HtGraph *graph;
  explicit Graph (const char *name = "g") : graph (ht_graph_new (name)) {}
  explicit Graph (HtGraph *taken) : graph (taken) {}
  Graph (const Graph &) = delete;
  ~Graph () { g_object_unref (graph); }
  operator HtGraph * () const { return graph; }

  HtNode *add (const char *op, const char *name, Names inputs, Names outputs)
  {
    inputs.push_back (nullptr);
    outputs.push_back (nullptr);
    return ht_graph_add_node (graph, op, "", name, inputs.data (), outputs.data ());
  }
  void constant (const char *name, float value)
  {
    g_autoptr (HtTensor) tensor = ht_tensor_new_floats (&value, 1);
    ht_graph_set_initializer (graph, name, tensor);
  }
  void input (const char *name) { ht_graph_add_input (graph, name, HT_DATA_TYPE_FLOAT, nullptr); }
  void output (const char *name) { ht_graph_add_output (graph, name, HT_DATA_TYPE_FLOAT, nullptr); }
};

std::vector<std::string>
list (const char *const *names)
{
  std::vector<std::string> result;
  for (; names != nullptr && *names != nullptr; names++)
    result.push_back (*names);
  return result;
}

std::vector<std::string>
node_names (HtGraph *graph)
{
  std::vector<std::string> result;
  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    result.push_back (ht_node_get_name (ht_graph_get_node (graph, i)));
  return result;
}

std::vector<std::string>
consumers (HtGraph *graph, const char *tensor)
{
  std::vector<std::string> result;
  g_autoptr (GPtrArray) nodes = ht_graph_list_consumers (graph, tensor);
  for (guint i = 0; i < nodes->len; i++)
    result.push_back (ht_node_get_name (static_cast<HtNode *> (g_ptr_array_index (nodes, i))));
  return result;
}

std::string
hash (HtGraph *graph)
{
  g_autofree char *text = ht_graph_hash (graph);
  return text;
}

std::vector<std::string>
initializers (HtGraph *graph)
{
  g_auto (GStrv) names = ht_graph_list_initializers (graph);
  return list (names);
}

// A caller's bug: a critical, which the test makes fatal.
#define EXPECT_CRITICAL(statement)                                                                                     \
  EXPECT_DEATH (                                                                                                       \
      {                                                                                                                \
        g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL);                                                                 \
        statement;                                                                                                     \
      },                                                                                                               \
      "")

using Strings = std::vector<std::string>;

// What the indexes say must be what a plain walk over the graph finds.
void
expect_consistent (HtGraph *graph)
{
  std::set<std::string> names;
  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    {
      HtNode *node = ht_graph_get_node (graph, i);
      for (auto &name : list (ht_node_get_inputs (node)))
        names.insert (name);
      for (auto &name : list (ht_node_get_outputs (node)))
        names.insert (name);
    }
  names.erase ("");
  for (auto &name : names)
    {
      guint uses = 0;
      HtNode *producer = nullptr;
      Strings users;
      for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
        {
          HtNode *node = ht_graph_get_node (graph, i);
          guint here = 0;
          for (auto &input : list (ht_node_get_inputs (node)))
            here += input == name;
          if (here > 0)
            users.push_back (ht_node_get_name (node));
          uses += here;
          for (auto &output : list (ht_node_get_outputs (node)))
            if (output == name && producer == nullptr)
              producer = node;
        }
      for (auto &output : list (ht_graph_get_outputs (graph)))
        uses += output == name;
      EXPECT_EQ (ht_graph_count_uses (graph, name.c_str ()), uses) << name;
      EXPECT_EQ (ht_graph_get_producer (graph, name.c_str ()), producer) << name;
      EXPECT_EQ (consumers (graph, name.c_str ()), users) << name;
    }
}

TEST (Graph, EmptyGraphAnswersEverything)
{
  Graph g (static_cast<const char *> (nullptr));
  EXPECT_STREQ (ht_graph_get_name (g), "");
  EXPECT_EQ (ht_graph_get_n_nodes (g), 0u);
  ASSERT_NE (ht_graph_get_inputs (g), nullptr);
  ASSERT_NE (ht_graph_get_outputs (g), nullptr);
  EXPECT_EQ (ht_graph_get_inputs (g)[0], nullptr);
  EXPECT_EQ (ht_graph_get_outputs (g)[0], nullptr);
  EXPECT_EQ (ht_graph_get_opset (g, ""), 0);
  EXPECT_EQ (ht_graph_find_node (g, "x"), nullptr);
  EXPECT_EQ (ht_graph_get_producer (g, "x"), nullptr);
  EXPECT_EQ (ht_graph_get_shape (g, "x"), nullptr);
  EXPECT_EQ (ht_graph_count_uses (g, "x"), 0u);
  EXPECT_EQ (ht_graph_count_uses (g, ""), 0u);
  EXPECT_TRUE (consumers (g, "x").empty ());
  g_autoptr (GError) error = nullptr;
  EXPECT_TRUE (ht_graph_sort (g, &error));
  EXPECT_TRUE (ht_graph_verify (g, &error));
  EXPECT_EQ (hash (g).size (), 64u);
}

TEST (Graph, NodesWithoutNamesAndInputs)
{
  Graph g;
  HtNode *node = ht_graph_add_node (g, "Constant", "ai.onnx", nullptr, nullptr, nullptr);
  EXPECT_STREQ (ht_node_get_name (node), "");
  EXPECT_STREQ (ht_node_get_domain (node), "");
  EXPECT_TRUE (ht_node_is_op (node, "Constant"));
  ASSERT_NE (ht_node_get_inputs (node), nullptr);
  EXPECT_EQ (ht_node_get_inputs (node)[0], nullptr);
  EXPECT_EQ (ht_node_get_outputs (node)[0], nullptr);
  EXPECT_STREQ (ht_node_get_input (node, 7), "");
  EXPECT_EQ (ht_graph_find_node (g, ""), nullptr);
  HtNode *other = ht_graph_add_node (g, "Thing", "com.example", "", nullptr, nullptr);
  EXPECT_FALSE (ht_node_is_op (other, "Thing"));
  EXPECT_STREQ (ht_node_get_domain (other), "com.example");
}

TEST (Graph, DescribesNodes)
{
  Graph g;
  g_autofree char *text = ht_node_describe (g.add ("Conv", "conv1", { "x", "w", "" }, { "y" }));
  EXPECT_STREQ (text, "conv1: Conv (x, w, ) -> (y)");
}

TEST (Graph, OpsetsByDomain)
{
  Graph g;
  ht_graph_set_opset (g, nullptr, 13);
  ht_graph_set_opset (g, "com.microsoft", 1);
  EXPECT_EQ (ht_graph_get_opset (g, "ai.onnx"), 13);
  ht_graph_set_opset (g, "ai.onnx", 17);
  EXPECT_EQ (ht_graph_get_opset (g, ""), 17);
  EXPECT_EQ (ht_graph_get_opset (g, "com.microsoft"), 1);
}

TEST (Graph, IndexesFollowEdits)
{
  Graph g;
  g.input ("x");
  g.constant ("w", 2);
  HtNode *a = g.add ("Add", "a", { "x", "w" }, { "t" });
  HtNode *b = g.add ("Mul", "b", { "t", "t" }, { "u" });
  g.add ("Relu", "c", { "t" }, { "y" });
  g.output ("y");
  EXPECT_EQ (ht_graph_count_uses (g, "t"), 3u);
  EXPECT_EQ (ht_graph_count_uses (g, "y"), 1u);
  EXPECT_EQ (consumers (g, "t"), (Strings{ "b", "c" }));
  expect_consistent (g);

  ht_graph_set_node_input (g, b, 1, "w");
  EXPECT_EQ (ht_graph_count_uses (g, "t"), 2u);
  EXPECT_EQ (consumers (g, "w"), (Strings{ "a", "b" }));
  ht_graph_set_node_input (g, b, 4, "x");
  EXPECT_EQ (list (ht_node_get_inputs (b)), (Strings{ "t", "w", "", "", "x" }));
  expect_consistent (g);
  ht_graph_set_node_output (g, a, 0, "t2");
  EXPECT_EQ (ht_graph_get_producer (g, "t"), nullptr);
  EXPECT_EQ (ht_graph_get_producer (g, "t2"), a);
  ht_graph_set_node_output (g, a, 2, "mask");
  EXPECT_EQ (list (ht_node_get_outputs (a)), (Strings{ "t2", "", "mask" }));
  expect_consistent (g);
  ht_graph_remove_node (g, b);
  EXPECT_EQ (ht_graph_find_node (g, "b"), nullptr);
  EXPECT_EQ (node_names (g), (Strings{ "a", "c" }));
  EXPECT_EQ (consumers (g, "w"), (Strings{ "a" }));
  expect_consistent (g);
}

TEST (Graph, RemovedNodeStaysReadable)
{
  g_autoptr (HtNode) kept = nullptr;
  {
    Graph g;
    kept = ht_node_ref (g.add ("Relu", "r", { "x" }, { "y" }));
    ht_graph_set_int (g, kept, "axis", 3);
    ht_graph_remove_node (g, kept);
  }
  EXPECT_STREQ (ht_node_get_name (kept), "r");
  EXPECT_STREQ (ht_node_get_input (kept, 0), "x");
  EXPECT_EQ (ht_node_get_int (kept, "axis", 0), 3);
}

TEST (Graph, DuplicateNodeNamesAndProducersSurviveRemoval)
{
  Graph g;
  HtNode *first = g.add ("A", "n", {}, { "t" });
  HtNode *second = g.add ("B", "n", {}, { "t" });
  EXPECT_EQ (ht_graph_find_node (g, "n"), first);
  EXPECT_EQ (ht_graph_get_producer (g, "t"), first);
  ht_graph_remove_node (g, first);
  EXPECT_EQ (ht_graph_find_node (g, "n"), second);
  EXPECT_EQ (ht_graph_get_producer (g, "t"), second);
  ht_graph_set_node_name (g, second, "m");
  EXPECT_EQ (ht_graph_find_node (g, "n"), nullptr);
  EXPECT_EQ (ht_graph_find_node (g, "m"), second);
}

TEST (Graph, AttributesOfAllTypes)
{
  Graph g;
  HtNode *node = g.add ("Op", "n", {}, { "y" });
  const gint64 ints[] = { -1, G_MAXINT64 };
  const float floats[] = { 0.5f, -2 };
  float value = 3;
  g_autoptr (HtTensor) tensor = ht_tensor_new_floats (&value, 1);
  ht_graph_set_int (g, node, "i", 7);
  ht_graph_set_float (g, node, "f", 0.1);
  ht_graph_set_string (g, node, "s", "SAME_UPPER");
  ht_graph_set_ints (g, node, "is", ints, 2);
  ht_graph_set_floats (g, node, "fs", floats, 2);
  ht_graph_set_tensor (g, node, "t", tensor);
  ht_graph_set_ints (g, node, "none", nullptr, 0);

  EXPECT_EQ (ht_node_get_int (node, "i", 0), 7);
  EXPECT_EQ (ht_node_get_int (node, "missing", 9), 9);
  EXPECT_EQ (ht_node_get_int (node, "f", 9), 9) << "another type has no integer";
  EXPECT_EQ (ht_node_get_float (node, "f", 0), double (0.1f));
  EXPECT_STREQ (ht_node_get_string (node, "s", nullptr), "SAME_UPPER");
  EXPECT_STREQ (ht_node_get_string (node, "missing", "NOTSET"), "NOTSET");
  gsize n = 99;
  EXPECT_EQ (ht_node_get_ints (node, "is", &n)[1], G_MAXINT64);
  EXPECT_EQ (n, 2u);
  EXPECT_NE (ht_node_get_ints (node, "none", &n), nullptr);
  EXPECT_EQ (n, 0u);
  EXPECT_EQ (ht_node_get_ints (node, "missing", &n), nullptr);
  EXPECT_EQ (n, 0u);
  EXPECT_EQ (ht_node_get_floats (node, "fs", &n)[0], 0.5f);
  EXPECT_EQ (ht_node_get_tensor (node, "t"), tensor);
  EXPECT_EQ (ht_node_get_strings (node, "s"), nullptr);
  EXPECT_EQ (ht_node_get_subgraph (node, "t"), nullptr);
  g_auto (GStrv) names = ht_node_list_attributes (node);
  EXPECT_EQ (list (names), (Strings{ "i", "f", "s", "is", "fs", "t", "none" }));

  ht_graph_set_float (g, node, "i", 1);
  EXPECT_EQ (ht_node_get_attribute_type (node, "i"), HT_ATTRIBUTE_FLOAT);
  ht_graph_remove_attribute (g, node, "i");
  ht_graph_remove_attribute (g, node, "missing");
  EXPECT_FALSE (ht_node_has_attribute (node, "i"));
  EXPECT_EQ (ht_node_get_attribute_type (node, "i"), HT_ATTRIBUTE_UNDEFINED);
}

TEST (Graph, InitializersAmongInputs)
{
  Graph g;
  g.input ("x");
  g.input ("w");
  g.constant ("w", 1);
  g.constant ("v", 2);
  EXPECT_EQ (list (ht_graph_get_inputs (g)), (Strings{ "x" }));
  EXPECT_FALSE (ht_graph_is_input (g, "w"));
  EXPECT_TRUE (ht_graph_is_input (g, "x"));
  EXPECT_EQ (initializers (g), (Strings{ "w", "v" }));
  EXPECT_EQ (ht_graph_get_data_type (g, "v"), HT_DATA_TYPE_FLOAT);
  EXPECT_EQ (ht_shape_get_dim (ht_graph_get_shape (g, "v"), 0), 1);
  g.constant ("w", 5);
  EXPECT_EQ (initializers (g), (Strings{ "w", "v" })) << "another value keeps the place";
  EXPECT_EQ (ht_tensor_get_double (ht_graph_get_initializer (g, "w"), 0), 5);
  ht_graph_remove_initializer (g, "w");
  EXPECT_EQ (list (ht_graph_get_inputs (g)), (Strings{ "x", "w" }));
  ht_graph_remove_initializer (g, "v");
  ht_graph_remove_initializer (g, "v");
  EXPECT_TRUE (initializers (g).empty ());
}

TEST (Graph, ShapesAreDeclaredAndInherited)
{
  Graph g;
  const gint64 dims[] = { -1, 3 };
  const char *symbols[] = { "N", nullptr };
  g_autoptr (HtShape) shape = ht_shape_new (dims, symbols, 2);
  ht_graph_add_input (g, "x", HT_DATA_TYPE_FLOAT, shape);
  EXPECT_TRUE (ht_shape_equal (ht_graph_get_shape (g, "x"), shape));
  ht_graph_set_shape (g, "x", HT_DATA_TYPE_INT8, nullptr);
  EXPECT_EQ (ht_graph_get_shape (g, "x"), nullptr);
  EXPECT_EQ (ht_graph_get_data_type (g, "x"), HT_DATA_TYPE_INT8);
}

// x -> If (cond) { then: t_out = Add (x, t_w) } else { else: Loop { body uses x and y2 } }
struct Captures : testing::Test
{
  Graph g{ "outer" };
  Graph branch{ "branch" };
  Graph inner{ "inner" };
  HtNode *holder = nullptr;

  void SetUp () override
  {
    g.input ("x");
    g.input ("cond");
    g.add ("Relu", "relu", { "x" }, { "r" });
    inner.add ("Add", "inner_add", { "r", "r" }, { "i_out" });
    inner.output ("i_out");
    HtNode *loop = branch.add ("Loop", "loop", {}, { "l_out" });
    branch.add ("Neg", "neg", { "x" }, { "n_out" });
    ht_graph_set_subgraph (branch, loop, "body", inner);
    branch.output ("l_out");
    holder = g.add ("If", "if", { "cond" }, { "y" });
    ht_graph_set_subgraph (g, holder, "then_branch", branch);
    g.output ("y");
  }
};

TEST_F (Captures, CountAsUses)
{
  EXPECT_EQ (ht_graph_count_uses (g, "r"), 2u);
  EXPECT_EQ (consumers (g, "r"), (Strings{ "if" }));
  EXPECT_EQ (ht_graph_count_uses (g, "x"), 2u);
  EXPECT_EQ (consumers (g, "x"), (Strings{ "relu", "if" }));
  EXPECT_EQ (consumers (branch, "r"), (Strings{ "loop" }));
  EXPECT_EQ (ht_graph_count_uses (g, "i_out"), 0u);
  g_autoptr (GError) error = nullptr;
  EXPECT_TRUE (ht_graph_verify (g, &error)) << error->message;
}

TEST_F (Captures, FollowEditsInside)
{
  HtNode *add = ht_graph_find_node (inner, "inner_add");
  ht_graph_set_node_input (inner, add, 1, "x");
  EXPECT_EQ (ht_graph_count_uses (g, "r"), 1u);
  EXPECT_EQ (ht_graph_count_uses (g, "x"), 3u);
  inner.constant ("x", 1); // shadows
  EXPECT_EQ (ht_graph_count_uses (g, "x"), 2u);
  ht_graph_remove_initializer (inner, "x");
  EXPECT_EQ (ht_graph_count_uses (g, "x"), 3u);
  ht_graph_remove_node (branch, ht_graph_find_node (branch, "loop"));
  EXPECT_EQ (ht_graph_count_uses (g, "r"), 0u);
  EXPECT_EQ (ht_graph_count_uses (g, "x"), 2u);
  ht_graph_remove_attribute (g, holder, "then_branch");
  EXPECT_EQ (ht_graph_count_uses (g, "x"), 1u);
}

TEST_F (Captures, ReplaceUsesReachesIn)
{
  ht_graph_replace_uses (g, "r", "x");
  EXPECT_EQ (list (ht_node_get_inputs (ht_graph_find_node (inner, "inner_add"))), (Strings{ "x", "x" }));
  EXPECT_EQ (ht_graph_count_uses (g, "r"), 0u);
  EXPECT_EQ (ht_graph_count_uses (g, "x"), 4u);
}

TEST_F (Captures, ReplaceUsesRespectsShadowing)
{
  // The branch makes a tensor of the new name itself: the use inside must still mean the outer one.
  branch.add ("Neg", "own", { "n_out" }, { "fresh" });
  ht_graph_add_output (branch, "fresh", HT_DATA_TYPE_FLOAT, nullptr);
  g.add ("Abs", "abs", { "x" }, { "fresh" });
  ht_graph_replace_uses (g, "r", "fresh");
  EXPECT_EQ (list (ht_node_get_inputs (ht_graph_find_node (inner, "inner_add"))), (Strings{ "fresh", "fresh" }));
  EXPECT_EQ (ht_graph_get_producer (branch, "fresh"), nullptr);
  EXPECT_EQ (list (ht_graph_get_outputs (branch)), (Strings{ "l_out", "fresh_1" }));
  EXPECT_EQ (ht_graph_get_producer (branch, "fresh_1"), ht_graph_find_node (branch, "own"));
  EXPECT_EQ (ht_graph_count_uses (g, "fresh"), 2u);

  // A tensor of the old name inside is another tensor and stays.
  Graph h ("outer2");
  Graph body ("body2");
  body.add ("Neg", "p", {}, { "r" });
  body.add ("Neg", "q", { "r" }, { "o" });
  h.add ("Relu", "relu", { "x" }, { "r" });
  HtNode *node = h.add ("If", "if", { "r" }, { "y" });
  ht_graph_set_subgraph (h, node, "then_branch", body);
  EXPECT_EQ (ht_graph_count_uses (h, "r"), 1u);
  ht_graph_replace_uses (h, "r", "x");
  EXPECT_STREQ (ht_node_get_input (ht_graph_find_node (body, "q"), 0), "r");
  EXPECT_STREQ (ht_node_get_input (node, 0), "x");
}

TEST_F (Captures, SubgraphOutputTakenFromOutside)
{
  ht_graph_add_output (branch, "r", HT_DATA_TYPE_FLOAT, nullptr);
  EXPECT_EQ (ht_graph_count_uses (g, "r"), 3u);
  ht_graph_replace_uses (g, "r", "x");
  EXPECT_EQ (list (ht_graph_get_outputs (branch)), (Strings{ "l_out", "x" }));
  EXPECT_EQ (ht_graph_count_uses (g, "r"), 0u);
}

TEST_F (Captures, TypesComeFromOutside)
{
  const gint64 dims[] = { 4 };
  g_autoptr (HtShape) shape = ht_shape_new (dims, nullptr, 1);
  ht_graph_set_shape (g, "r", HT_DATA_TYPE_INT32, shape);
  EXPECT_EQ (ht_graph_get_data_type (inner, "r"), HT_DATA_TYPE_INT32);
  EXPECT_TRUE (ht_shape_equal (ht_graph_get_shape (inner, "r"), shape));
}

TEST_F (Captures, CopyIsDeepAndIndependent)
{
  ht_graph_set_opset (g, "", 15);
  Graph copy (ht_graph_copy (g));
  EXPECT_EQ (hash (copy), hash (g));
  EXPECT_EQ (ht_graph_count_uses (copy, "r"), 2u);
  HtGraph *copied_branch = ht_node_get_subgraph (ht_graph_find_node (copy, "if"), "then_branch");
  EXPECT_NE (copied_branch, branch.graph);
  EXPECT_EQ (ht_graph_get_opset (copied_branch, ""), 15);
  ht_graph_remove_node (copied_branch, ht_graph_find_node (copied_branch, "neg"));
  EXPECT_EQ (ht_graph_count_uses (copy, "x"), 1u);
  EXPECT_EQ (ht_graph_count_uses (g, "x"), 2u);
  EXPECT_NE (hash (copy), hash (g));
}

TEST_F (Captures, SortAndVerifySeeThem)
{
  HtNode *late = g.add ("Abs", "late", { "x" }, { "late_out" });
  ht_graph_set_node_input (inner, ht_graph_find_node (inner, "inner_add"), 0, "late_out");
  g_autoptr (GError) error = nullptr;
  EXPECT_FALSE (ht_graph_verify (g, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "'late_out'");
  ASSERT_TRUE (ht_graph_sort (g, &error)) << error->message;
  EXPECT_EQ (node_names (g), (Strings{ "relu", "late", "if" }));
  EXPECT_TRUE (ht_graph_verify (g, &error)) << error->message;
  ht_graph_set_node_input (g, late, 0, "y");
  EXPECT_FALSE (ht_graph_sort (g, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "node 'if' (If)");
  EXPECT_EQ (node_names (g), (Strings{ "relu", "late", "if" }));
}

TEST_F (Captures, NamesAreUniqueInTheWholeModel)
{
  g_autofree char *a = ht_graph_make_name (g, "inner_add");
  EXPECT_STREQ (a, "inner_add_1") << "a node inside has it";
  g_autofree char *b = ht_graph_make_name (inner, "x");
  EXPECT_STREQ (b, "x_1");
  g_autofree char *c = ht_graph_make_name (g, "x");
  EXPECT_STREQ (c, "x_2") << "x_1 was given out";
  g_autofree char *d = ht_graph_make_name (g, "new");
  g_autofree char *e = ht_graph_make_name (g, "new");
  EXPECT_STREQ (d, "new");
  EXPECT_STREQ (e, "new_1");
}

TEST_F (Captures, DeadNodesInsideFreeWhatTheyTook)
{
  branch.constant ("b_w", 1);
  g.constant ("w", 1);
  branch.add ("Add", "dead", { "w", "b_w" }, { "nobody" });
  EXPECT_EQ (ht_graph_count_uses (g, "w"), 1u);
  EXPECT_EQ (ht_graph_remove_dead_nodes (g), 2u); // "dead" and "neg"
  EXPECT_EQ (ht_graph_count_uses (g, "w"), 0u);
  EXPECT_TRUE (initializers (g).empty ());
  EXPECT_TRUE (initializers (branch).empty ());
  EXPECT_EQ (node_names (branch), (Strings{ "loop" }));
  EXPECT_EQ (node_names (g), (Strings{ "relu", "if" }));
}

TEST_F (Captures, SubgraphThatBelongsSomewhereIsCopied)
{
  HtNode *other = g.add ("If", "if2", { "cond" }, { "z" });
  ht_graph_set_subgraph (g, other, "then_branch", branch);
  EXPECT_NE (ht_node_get_subgraph (other, "then_branch"), branch.graph);
  EXPECT_EQ (ht_node_get_subgraph (holder, "then_branch"), branch.graph);
  EXPECT_EQ (ht_graph_count_uses (g, "r"), 4u);
  HtNode *self_holder = g.add ("If", "if3", { "cond" }, { "zz" });
  ht_graph_set_subgraph (g, self_holder, "then_branch", g); // no graph holds itself
  EXPECT_NE (ht_node_get_subgraph (self_holder, "then_branch"), g.graph);
  g_autoptr (GError) error = nullptr;
  EXPECT_TRUE (ht_graph_sort (g, &error));
}

TEST (Graph, BypassInTheMiddle)
{
  Graph g;
  g.input ("x");
  g.add ("Relu", "a", { "x" }, { "t" });
  HtNode *drop = g.add ("Dropout", "d", { "t" }, { "u", "mask" });
  g.add ("Mul", "c", { "u", "u" }, { "y" });
  g.output ("y");
  ht_graph_bypass_node (g, drop);
  EXPECT_EQ (node_names (g), (Strings{ "a", "c" }));
  EXPECT_EQ (list (ht_node_get_inputs (ht_graph_find_node (g, "c"))), (Strings{ "t", "t" }));
  expect_consistent (g);
}

TEST (Graph, BypassBeforeAnOutputRenames)
{
  Graph g;
  g.input ("x");
  g.add ("Relu", "a", { "x" }, { "t" });
  HtNode *drop = g.add ("Identity", "d", { "t" }, { "y" });
  g.add ("Abs", "c", { "y" }, { "z" });
  g.add ("Abs", "e", { "t" }, { "v" });
  g.output ("y");
  g.output ("z");
  g.output ("v");
  ht_graph_bypass_node (g, drop);
  EXPECT_EQ (node_names (g), (Strings{ "a", "c", "e" }));
  EXPECT_STREQ (ht_node_get_output (ht_graph_find_node (g, "a"), 0), "y");
  EXPECT_STREQ (ht_node_get_input (ht_graph_find_node (g, "c"), 0), "y");
  EXPECT_STREQ (ht_node_get_input (ht_graph_find_node (g, "e"), 0), "y");
  EXPECT_EQ (list (ht_graph_get_outputs (g)), (Strings{ "y", "z", "v" }));
  expect_consistent (g);
  g_autoptr (GError) error = nullptr;
  EXPECT_TRUE (ht_graph_verify (g, &error)) << error->message;
}

TEST (Graph, BypassThatMustLeaveAnIdentity)
{
  for (int kind = 0; kind < 3; kind++) // the input is a graph input, a constant, another output
    {
      Graph g;
      g.input ("x");
      g.constant ("w", 1);
      g.add ("Relu", "a", { "x" }, { "t" });
      const char *input = kind == 0 ? "x" : kind == 1 ? "w" : "t";
      if (kind == 2)
        g.output ("t");
      HtNode *node = g.add ("Clip", "d", { input, "w" }, { "y" });
      ht_graph_set_int (g, node, "attribute", 1);
      g.add ("Abs", "c", { "y" }, { "z" });
      g.output ("y");
      g.output ("z");
      ht_graph_bypass_node (g, node);
      EXPECT_TRUE (ht_node_is_op (node, "Identity"));
      EXPECT_FALSE (ht_node_has_attribute (node, "attribute"));
      EXPECT_EQ (list (ht_node_get_inputs (node)), (Strings{ input }));
      EXPECT_EQ (list (ht_node_get_outputs (node)), (Strings{ "y" }));
      EXPECT_STREQ (ht_node_get_input (ht_graph_find_node (g, "c"), 0), input);
      expect_consistent (g);
      g_autoptr (GError) error = nullptr;
      EXPECT_TRUE (ht_graph_verify (g, &error)) << error->message;
    }
}

TEST (Graph, DeadNodes)
{
  Graph g;
  g.input ("x");
  g.constant ("w", 1);
  g.constant ("shared", 1);
  g.constant ("idle", 1);
  g.add ("Add", "live", { "x", "shared" }, { "y" });
  g.add ("Add", "dead1", { "x", "w" }, { "t" });
  g.add ("Add", "dead2", { "t", "shared" }, { "u" });
  g.add ("Print", "effect", { "x" }, {});
  g.output ("y");
  EXPECT_EQ (ht_graph_remove_dead_nodes (g), 2u);
  EXPECT_EQ (node_names (g), (Strings{ "live", "effect" }));
  EXPECT_EQ (initializers (g), (Strings{ "shared", "idle" })) << "what nothing used before is not ours to remove";
  EXPECT_EQ (ht_graph_remove_dead_nodes (g), 0u);
}

TEST (Graph, SortIsStable)
{
  Graph g;
  g.input ("x");
  g.add ("A", "4", { "t3" }, { "y" });
  g.add ("B", "1", { "x" }, { "t1" });
  g.add ("C", "3", { "t1", "t2" }, { "t3" });
  g.add ("D", "2", { "x" }, { "t2" });
  g.output ("y");
  g_autoptr (GError) error = nullptr;
  EXPECT_FALSE (ht_graph_verify (g, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "before node '3' (C) makes it");
  ASSERT_TRUE (ht_graph_sort (g, &error));
  EXPECT_EQ (node_names (g), (Strings{ "1", "2", "3", "4" }));
  EXPECT_TRUE (ht_graph_verify (g, &error)) << error->message;
  // In order already: nothing moves, though "late" could stand first.
  g.add ("E", "late", { "x" }, { "z" });
  ASSERT_TRUE (ht_graph_sort (g, &error));
  EXPECT_EQ (node_names (g), (Strings{ "1", "2", "3", "4", "late" }));
  // Edits after a sort find their places.
  ht_graph_remove_node (g, ht_graph_find_node (g, "2"));
  EXPECT_EQ (node_names (g), (Strings{ "1", "3", "4", "late" }));
}

TEST (Graph, CyclesAreNamed)
{
  Graph g;
  g.input ("x");
  g.add ("A", "before", { "x" }, { "b" });
  g.add ("A", "one", { "b", "t3" }, { "t1" });
  g.add ("A", "two", { "t1" }, { "t2" });
  g.add ("A", "", { "t2" }, { "t3" });
  g.add ("A", "after", { "t3" }, { "y" });
  g_autoptr (GError) error = nullptr;
  ASSERT_FALSE (ht_graph_sort (g, &error));
  std::string message = error->message;
  EXPECT_EQ (message.find ("before"), std::string::npos) << message;
  EXPECT_EQ (message.find ("after"), std::string::npos) << message;
  EXPECT_NE (message.find ("the A node that makes 't3'"), std::string::npos) << message;
  EXPECT_NE (message.find ("3 of them"), std::string::npos) << message;
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "node 'two' (A) -> the A node that makes 't3'");
  Graph h;
  h.add ("A", "self", { "s" }, { "s" });
  EXPECT_FALSE (ht_graph_sort (h, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "node 'self' (A)");
  EXPECT_FALSE (ht_graph_verify (h, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "a cycle");
}

TEST (Graph, VerifyFindsEachBreach)
{
  struct Case
  {
    const char *text;
    void (*spoil) (Graph &g);
  } cases[] = {
    { "'t' is made by node 'bad' (Neg) and is also made by node 'a' (Relu)",
      [] (Graph &g) { g.add ("Neg", "bad", { "x" }, { "t" }); } },
    { "'x' is made by node 'bad' (Neg) and is also an input", [] (Graph &g) { g.add ("Neg", "bad", { "t" }, { "x" }); } },
    { "'w' is made by node 'bad' (Neg) and is also an initializer",
      [] (Graph &g) { g.add ("Neg", "bad", { "t" }, { "w" }); } },
    { "reads tensor 'nothing', which no node", [] (Graph &g) { g.add ("Neg", "bad", { "nothing" }, { "q" }); } },
    { "two nodes are named 'a'", [] (Graph &g) { g.add ("Neg", "a", { "t" }, { "q" }); } },
    { "output 'gone' is made by no node", [] (Graph &g) { g.output ("gone"); } },
    { "input 'x' is listed twice", [] (Graph &g) { g.input ("x"); } },
    { "names no operator", [] (Graph &g) { g.add ("", "bad", { "x" }, { "q" }); } },
  };
  for (auto &test : cases)
    {
      Graph g ("model");
      g.input ("x");
      g.constant ("w", 1);
      g.add ("Relu", "a", { "x", "", "w" }, { "t", "" });
      g.add ("Neg", "", { "t" }, { "y" });
      g.add ("Neg", "", { "t" }, { "y2" });
      g.output ("y");
      g.output ("w");
      g.output ("x");
      g_autoptr (GError) error = nullptr;
      ASSERT_TRUE (ht_graph_verify (g, &error)) << error->message;
      test.spoil (g);
      EXPECT_FALSE (ht_graph_verify (g, &error)) << test.text;
      EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, test.text);
    }
}

TEST (Graph, HashSeesContentOnly)
{
  auto build = [] (Graph &g, bool swapped) {
    ht_graph_set_opset (g, "", 13);
    g.input ("x");
    if (!swapped)
      g.constant ("w", 1);
    g.constant ("v", 2);
    if (swapped)
      g.constant ("w", 1);
    HtNode *node = g.add ("Op", "n", { "x", "w", "v" }, { "y" });
    if (!swapped)
      ht_graph_set_int (g, node, "a", 1);
    ht_graph_set_float (g, node, "b", 2);
    if (swapped)
      ht_graph_set_int (g, node, "a", 1);
    g.output ("y");
    return node;
  };
  Graph g ("one"), h ("two");
  build (g, false);
  HtNode *node = build (h, true);
  const std::string start = hash (g);
  EXPECT_EQ (start, hash (h));
  ht_graph_set_shape (h, "inside", HT_DATA_TYPE_FLOAT, nullptr);
  EXPECT_EQ (start, hash (h));
  Graph copy (ht_graph_copy (h));
  ht_graph_seal (copy);
  EXPECT_EQ (start, hash (copy));
  EXPECT_EQ (start, hash (copy)) << "the kept one";

  std::set<std::string> seen{ start };
  auto expect_new = [&] { EXPECT_TRUE (seen.insert (hash (h)).second); };
  ht_graph_set_int (h, node, "a", 2);
  expect_new ();
  h.constant ("w", 3);
  expect_new ();
  ht_graph_set_node_input (h, node, 3, "x");
  expect_new ();
  ht_graph_set_node_name (h, node, "m");
  expect_new ();
  ht_graph_set_opset (h, "", 14);
  expect_new ();
  ht_graph_set_node_op (h, node, "Op", "other");
  expect_new ();
  ht_graph_set_float (h, node, "b", -2);
  expect_new ();
  ht_graph_add_input (h, "more", HT_DATA_TYPE_FLOAT, nullptr);
  expect_new ();
  ht_graph_set_shape (h, "more", HT_DATA_TYPE_INT8, nullptr);
  expect_new ();
  ht_graph_set_string (h, node, "s", "a");
  expect_new ();
  ht_graph_set_node_input (h, node, 3, "");
  ht_graph_set_node_input (h, node, 6, "");
  const std::string without = hash (h);
  ht_graph_set_node_input (h, node, 9, "");
  EXPECT_EQ (without, hash (h)) << "absent inputs at the end";
}

TEST (Graph, CopySharesTensorsButNotTheirReplacement)
{
  Graph g;
  g.constant ("w", 1);
  Graph copy (ht_graph_copy (g));
  EXPECT_EQ (ht_graph_get_initializer (g, "w"), ht_graph_get_initializer (copy, "w"));
  copy.constant ("w", 2);
  EXPECT_EQ (ht_tensor_get_double (ht_graph_get_initializer (g, "w"), 0), 1);
  copy.constant ("v", 3);
  EXPECT_EQ (initializers (copy), (Strings{ "w", "v" }));
  EXPECT_EQ (initializers (g), (Strings{ "w" }));
}

TEST (GraphDeathTest, SealedGraphRefusesEdits)
{
  Graph g;
  Graph body ("body");
  g.input ("x");
  HtNode *node = g.add ("If", "n", { "x" }, { "y" });
  HtNode *inside = body.add ("Neg", "m", { "x" }, { "o" });
  ht_graph_set_subgraph (g, node, "then_branch", body);
  ht_graph_seal (g);
  ht_graph_seal (g);
  EXPECT_TRUE (ht_graph_is_sealed (g));
  EXPECT_TRUE (ht_graph_is_sealed (body));
  EXPECT_EQ (ht_graph_count_uses (g, "x"), 2u);
  EXPECT_CRITICAL (ht_graph_set_int (g, node, "a", 1));
  EXPECT_CRITICAL (ht_graph_set_node_input (body, inside, 0, "y"));
  EXPECT_CRITICAL (ht_graph_remove_node (g, node));
  EXPECT_CRITICAL (g.constant ("w", 1));
  EXPECT_CRITICAL (ht_graph_replace_uses (g, "x", "y"));
  EXPECT_CRITICAL (g_free (ht_graph_make_name (g, "n")));
  Graph copy (ht_graph_copy (g));
  EXPECT_FALSE (ht_graph_is_sealed (copy));
  ht_graph_set_int (copy, ht_graph_find_node (copy, "n"), "a", 1);
}

TEST (GraphDeathTest, NodesOfOtherGraphsAreRefused)
{
  Graph g, h;
  HtNode *node = g.add ("Neg", "n", { "x" }, { "y" });
  EXPECT_CRITICAL (ht_graph_remove_node (h, node));
  g_autoptr (HtNode) kept = ht_node_ref (node);
  ht_graph_remove_node (g, node);
  EXPECT_CRITICAL (ht_graph_remove_node (g, node));
}

// Nothing here may cost time in the number of nodes for each edit: with 20,000 nodes, quadratic work takes minutes.
TEST (Graph, EditingALargeGraphStaysFast)
{
  const int n = 20000;
  Graph g;
  g.input ("x");
  g.constant ("shared", 1);
  std::string last = "x";
  for (int i = 0; i < n; i++)
    {
      std::string next = "t" + std::to_string (i), name = "n" + std::to_string (i);
      g.add ("Add", name.c_str (), { last.c_str (), "shared" }, { next.c_str () });
      g.add ("Identity", nullptr, { next.c_str () }, { (next + "i").c_str () });
      last = next + "i";
    }
  g.output (last.c_str ());
  gint64 start = g_get_monotonic_time ();
  g_autoptr (GError) error = nullptr;
  for (int i = 0; i < n; i++)
    ht_graph_bypass_node (g, ht_graph_get_producer (g, ("t" + std::to_string (i) + "i").c_str ()));
  EXPECT_EQ (ht_graph_get_n_nodes (g), guint (n));
  EXPECT_EQ (ht_graph_count_uses (g, "shared"), guint (n));
  for (int i = 0; i < n; i++)
    {
      g_autofree char *name = ht_graph_make_name (g, "fresh");
      g.constant (name, float (i));
      ht_graph_set_node_input (g, ht_graph_get_node (g, guint (i)), 1, name);
    }
  EXPECT_EQ (ht_graph_count_uses (g, "shared"), 0u);
  ASSERT_TRUE (ht_graph_sort (g, &error));
  ASSERT_TRUE (ht_graph_verify (g, &error)) << error->message;
  Graph copy (ht_graph_copy (g));
  EXPECT_EQ (hash (copy), hash (g));
  for (auto &name : initializers (copy))
    if (name != "shared")
      {
        ht_graph_remove_initializer (copy, name.c_str ());
        copy.constant (name.c_str (), 1);
      }
  while (ht_graph_get_n_nodes (copy) > 0)
    ht_graph_remove_node (copy, ht_graph_get_node (copy, 0));
  EXPECT_LT (g_get_monotonic_time () - start, 60 * G_USEC_PER_SEC);
}

TEST (Shape, SaysWhatIsKnown)
{
  const gint64 dims[] = { -1, 3, -7, 224 };
  const char *symbols[] = { "N", "ignored", "", nullptr };
  g_autoptr (HtShape) shape = ht_shape_new (dims, symbols, 4);
  g_autofree char *text = ht_shape_to_string (shape);
  EXPECT_STREQ (text, "[Nx3x?x224]");
  EXPECT_EQ (ht_shape_get_dim (shape, 2), HT_DIM_UNKNOWN);
  EXPECT_STREQ (ht_shape_get_symbol (shape, 0), "N");
  EXPECT_EQ (ht_shape_get_symbol (shape, 1), nullptr);
  EXPECT_FALSE (ht_shape_is_static (shape));
  g_autoptr (HtShape) scalar = ht_shape_new (nullptr, nullptr, 0);
  EXPECT_TRUE (ht_shape_is_static (scalar));
  EXPECT_FALSE (ht_shape_equal (shape, scalar));
  EXPECT_FALSE (ht_shape_equal (shape, nullptr));
  EXPECT_TRUE (ht_shape_equal (nullptr, nullptr));
  g_autoptr (HtShape) other = ht_shape_new (dims, nullptr, 4);
  EXPECT_FALSE (ht_shape_equal (shape, other));
}

}
