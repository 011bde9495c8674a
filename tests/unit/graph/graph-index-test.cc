// SPDX-License-Identifier: MIT
// The incremental indexes against a plain walk over the graph, after random edits in nested graphs; and what a graph
// carries for its file.
#include "support.h"

#include "graph/graph-private.h"

#include <map>
#include <random>
#include <set>
#include <vector>

namespace
{

std::vector<HtGraph *>
subgraphs (HtNode *node)
{
  std::vector<HtGraph *> found;
  ht_node_foreach_subgraph (
      node, [] (HtGraph *graph, gpointer data) { static_cast<std::vector<HtGraph *> *> (data)->push_back (graph); },
      &found);
  return found;
}

struct Uses
{
  std::map<std::string, unsigned> counts;
  std::map<std::string, std::set<HtNode *>> users;
};

std::set<std::string>
definitions (HtGraph *graph)
{
  std::set<std::string> names;
  for (guint i = 0; i < graph->listed_inputs->len; i++)
    names.insert (static_cast<char *> (g_ptr_array_index (graph->listed_inputs, i)));
  g_auto (GStrv) initializers = ht_graph_list_initializers (graph);
  for (char **name = initializers; *name != nullptr; name++)
    names.insert (*name);
  for (guint i = 0; i < graph->nodes->len; i++)
    for (auto *name = ht_node_get_outputs (ht_graph_get_node (graph, i)); *name != nullptr; name++)
      names.insert (*name);
  return names;
}

// By the definition of scopes, without the indexes.
Uses
walk (HtGraph *graph)
{
  Uses uses;
  for (guint i = 0; i < graph->nodes->len; i++)
    {
      HtNode *node = ht_graph_get_node (graph, i);
      for (auto *name = ht_node_get_inputs (node); *name != nullptr; name++)
        if (**name != '\0')
          {
            uses.counts[*name]++;
            uses.users[*name].insert (node);
          }
      for (HtGraph *inner : subgraphs (node))
        {
          Uses inside = walk (inner);
          for (auto *name = ht_graph_get_outputs (inner); *name != nullptr; name++)
            inside.counts[*name]++;
          auto own = definitions (inner);
          for (auto &[name, count] : inside.counts)
            if (own.count (name) == 0)
              {
                uses.counts[name] += count;
                uses.users[name].insert (node);
              }
        }
    }
  return uses;
}

void
expect_right (HtGraph *graph, const std::vector<std::string> &names)
{
  Uses uses = walk (graph);
  for (auto &name : names)
    {
      unsigned outputs = 0;
      for (auto *output = ht_graph_get_outputs (graph); *output != nullptr; output++)
        outputs += name == *output;
      ASSERT_EQ (ht_graph_count_uses (graph, name.c_str ()), uses.counts[name] + outputs) << name;
      g_autoptr (GPtrArray) consumers = ht_graph_list_consumers (graph, name.c_str ());
      std::set<HtNode *> users;
      for (guint i = 0; i < consumers->len; i++)
        {
          users.insert (static_cast<HtNode *> (g_ptr_array_index (consumers, i)));
          HtNode *previous = static_cast<HtNode *> (g_ptr_array_index (consumers, i > 0 ? i - 1 : 0));
          ASSERT_LE (previous->order, static_cast<HtNode *> (g_ptr_array_index (consumers, i))->order);
        }
      ASSERT_EQ (users, uses.users[name]) << name;
      HtNode *producer = ht_graph_get_producer (graph, name.c_str ());
      bool made = false;
      for (guint i = 0; i < graph->nodes->len; i++)
        for (auto *output = ht_node_get_outputs (ht_graph_get_node (graph, i)); *output != nullptr; output++)
          made |= name == *output;
      ASSERT_EQ (producer != nullptr, made) << name;
    }
  for (guint i = 0; i < graph->nodes->len; i++)
    {
      HtNode *node = ht_graph_get_node (graph, i);
      ASSERT_EQ (ht_graph_find_position (graph, node), i);
      for (HtGraph *inner : subgraphs (node))
        expect_right (inner, names);
    }
}

TEST (GraphIndex, RandomEditsInNestedGraphs)
{
  std::vector<std::string> names;
  for (int i = 0; i < 12; i++)
    names.push_back ("t" + std::to_string (i));
  for (unsigned seed = 0; seed < 40; seed++)
    {
      std::mt19937 random (seed);
      auto below = [&] (size_t n) { return random () % unsigned (n); };
      auto name = [&] { return names[below (names.size ())].c_str (); };
      g_autoptr (HtGraph) root = ht_graph_new ("root");
      std::vector<HtGraph *> graphs{ root };
      float value = 1;
      g_autoptr (HtTensor) tensor = ht_tensor_new_floats (&value, 1);
      for (int step = 0; step < 300; step++)
        {
          HtGraph *graph = graphs[below (graphs.size ())];
          guint n_nodes = ht_graph_get_n_nodes (graph);
          HtNode *node = n_nodes > 0 ? ht_graph_get_node (graph, below (n_nodes)) : nullptr;
          const char *inputs[] = { name (), name (), nullptr }, *outputs[] = { name (), nullptr };
          unsigned what = below (14);
          if (what < 3 || node == nullptr)
            ht_graph_add_node (graph, "Op", "", name (), inputs, outputs);
          else if (what == 3)
            ht_graph_set_node_input (graph, node, below (4), below (5) == 0 ? "" : name ());
          else if (what == 4)
            ht_graph_set_node_output (graph, node, below (3), below (5) == 0 ? "" : name ());
          else if (what == 5)
            ht_graph_set_node_name (graph, node, name ());
          else if (what == 6)
            ht_graph_set_initializer (graph, name (), tensor);
          else if (what == 7)
            ht_graph_remove_initializer (graph, name ());
          else if (what == 8)
            ht_graph_add_input (graph, name (), HT_DATA_TYPE_FLOAT, nullptr);
          else if (what == 9)
            below (2) == 0 ? ht_graph_add_output (graph, name (), HT_DATA_TYPE_FLOAT, nullptr)
                           : ht_graph_remove_output (graph, name ());
          else if (what == 10)
            {
              HtGraph *inner = ht_graph_new ("inner");
              ht_graph_set_subgraph (graph, node, below (2) == 0 ? "body" : "branch", inner);
              g_object_unref (inner);
            }
          else if (what == 11)
            ht_graph_remove_node (graph, node);
          else if (what == 12)
            ht_graph_replace_uses (graph, name (), name ());
          else
            ht_graph_remove_input (graph, name ());
          graphs = { root };
          for (size_t i = 0; i < graphs.size (); i++)
            for (guint k = 0; k < ht_graph_get_n_nodes (graphs[i]); k++)
              for (HtGraph *inner : subgraphs (ht_graph_get_node (graphs[i], k)))
                graphs.push_back (inner);
          if (step % 10 == 0 || graphs.size () < 3)
            {
              ASSERT_NO_FATAL_FAILURE (expect_right (root, names)) << "seed " << seed << " step " << step;
            }
        }
      // The copy of whatever came out says the same.
      g_autoptr (HtGraph) copy = ht_graph_copy (root);
      ASSERT_NO_FATAL_FAILURE (expect_right (copy, names));
      g_autofree char *one = ht_graph_hash (root), *two = ht_graph_hash (copy);
      ASSERT_STREQ (one, two);
      g_autoptr (GError) error = nullptr;
      ht_graph_verify (root, &error);
      g_clear_error (&error);
      ht_graph_sort (copy, &error);
      ASSERT_NO_FATAL_FAILURE (expect_right (copy, names));
      ht_graph_remove_dead_nodes (copy);
      ASSERT_NO_FATAL_FAILURE (expect_right (copy, names));
    }
}

GBytes *
bytes_of (const char *text)
{
  return g_bytes_new_static (text, strlen (text));
}

TEST (GraphIndex, CarriesWhatItsFileSays)
{
  g_autoptr (HtGraph) graph = ht_graph_new ("g");
  g_autoptr (GBytes) a = bytes_of ("a"), b = bytes_of ("b"), c = bytes_of ("c"), d = bytes_of ("d"), e = bytes_of ("e");
  const char *inputs[] = { "x", "s", nullptr }, *outputs[] = { "y", nullptr };
  ht_graph_add_input (graph, "x", HT_DATA_TYPE_FLOAT, nullptr);
  HtNode *node = ht_graph_add_node (graph, "Op", "", "n", inputs, outputs);
  g_autofree char *before = ht_graph_hash (graph);
  ht_graph_set_node_extra (graph, node, a);
  ht_graph_set_value_extra (graph, "x", nullptr, c);
  ht_graph_set_extra (graph, d);
  HtModelInfo *model = ht_graph_get_model_info (graph);
  model->ir_version = 8;
  model->producer_name = g_strdup ("somebody");
  model->extra = g_bytes_ref (e);
  g_autofree char *after = ht_graph_hash (graph);
  EXPECT_STREQ (before, after) << "documentation does not count";
  ht_graph_set_sparse_initializer (graph, "s", a);
  ht_graph_take_attribute (graph, node, ht_attribute_new_opaque ("type", b));
  g_ptr_array_add (model->functions, g_bytes_ref (c));
  ht_graph_set_value_extra (graph, "x", b, c);

  g_autoptr (HtGraph) copy = ht_graph_copy (graph);
  g_autofree char *with = ht_graph_hash (graph), *copied = ht_graph_hash (copy);
  EXPECT_STRNE (before, with) << "functions, sparse initializers and opaque attributes do";
  EXPECT_STREQ (with, copied);
  g_clear_object (&graph);

  HtModelInfo *info = ht_graph_get_model_info (copy);
  EXPECT_EQ (info->ir_version, 8);
  EXPECT_STREQ (info->producer_name, "somebody");
  EXPECT_EQ (info->extra, e);
  ASSERT_EQ (info->functions->len, 1u);
  HtNode *other = ht_graph_find_node (copy, "n");
  EXPECT_EQ (other->extra, a);
  EXPECT_EQ (ht_node_get_attribute_type (other, "type"), HT_ATTRIBUTE_OPAQUE);
  EXPECT_EQ (ht_node_find_attribute (other, "type")->opaque, b);
  EXPECT_EQ (copy->extra, d);
  HtValue *x = ht_graph_lookup_value (copy, "x");
  EXPECT_EQ (x->type_proto, b);
  EXPECT_EQ (x->info_extra, c);
  ASSERT_EQ (copy->sparse_initializers->len, 1u);
  g_autoptr (GError) error = nullptr;
  EXPECT_TRUE (ht_graph_verify (copy, &error)) << error->message;

  // The declared type goes when another one is set, not when the same one is.
  ht_graph_set_shape (copy, "x", HT_DATA_TYPE_FLOAT, nullptr);
  EXPECT_EQ (x->type_proto, b);
  ht_graph_set_shape (copy, "x", HT_DATA_TYPE_INT8, nullptr);
  EXPECT_EQ (x->type_proto, nullptr);
  // A dense value takes the place of a sparse one.
  float value = 1;
  g_autoptr (HtTensor) tensor = ht_tensor_new_floats (&value, 1);
  ht_graph_set_initializer (copy, "s", tensor);
  EXPECT_EQ (copy->sparse_initializers->len, 0u);
  EXPECT_EQ (copy->initializers->len, 1u);
}

TEST (GraphIndex, StringAttributesKeepEveryByte)
{
  g_autoptr (HtGraph) graph = ht_graph_new ("g");
  HtNode *node = ht_graph_add_node (graph, "Op", "", "n", nullptr, nullptr);
  ht_graph_take_attribute (graph, node, ht_attribute_new_string ("s", "a\0b", 3));
  HtAttributeString strings[] = { { g_strdup ("x"), 1 }, { g_strdup (""), 0 } };
  ht_graph_take_attribute (graph, node, ht_attribute_new_strings ("list", strings, 2));
  for (auto &string : strings)
    g_free (string.data);
  EXPECT_EQ (ht_node_find_attribute (node, "s")->strings[0].length, 3u);
  EXPECT_EQ (ht_node_find_attribute (node, "s")->strings[0].data[2], 'b');
  EXPECT_STREQ (ht_node_get_strings (node, "list")[0], "x");
  EXPECT_STREQ (ht_node_get_strings (node, "list")[1], "");
  EXPECT_EQ (ht_node_get_strings (node, "list")[2], nullptr);
}

TEST (GraphIndex, RenamesEverywhere)
{
  g_autoptr (HtGraph) graph = ht_graph_new ("g");
  g_autoptr (HtGraph) body = ht_graph_new ("body");
  float value = 1;
  g_autoptr (HtTensor) tensor = ht_tensor_new_floats (&value, 1);
  const char *w[] = { "w", nullptr }, *y[] = { "y", nullptr }, *z[] = { "z", nullptr };
  ht_graph_add_input (graph, "w", HT_DATA_TYPE_FLOAT, nullptr);
  ht_graph_set_initializer (graph, "w", tensor);
  ht_graph_add_node (body, "Neg", "", "inside", w, y);
  HtNode *holder = ht_graph_add_node (graph, "If", "", "if", w, z);
  ht_graph_set_subgraph (graph, holder, "then_branch", body);
  ht_graph_add_output (graph, "w", HT_DATA_TYPE_FLOAT, nullptr);
  ht_graph_rename_value (graph, "w", "v");
  EXPECT_STREQ (ht_node_get_input (holder, 0), "v");
  EXPECT_STREQ (ht_node_get_input (ht_graph_find_node (body, "inside"), 0), "v");
  EXPECT_EQ (ht_graph_get_initializer (graph, "v"), tensor);
  EXPECT_EQ (ht_graph_get_initializer (graph, "w"), nullptr);
  EXPECT_EQ (ht_graph_lookup_value (graph, "w"), nullptr);
  EXPECT_STREQ (ht_graph_get_outputs (graph)[0], "v");
  EXPECT_STREQ (static_cast<char *> (g_ptr_array_index (graph->listed_inputs, 0)), "v");
  EXPECT_EQ (ht_graph_count_uses (graph, "v"), 3u);
  g_autoptr (GError) error = nullptr;
  EXPECT_TRUE (ht_graph_verify (graph, &error)) << error->message;
}

TEST (GraphIndex, ManyListedInitializersAreCheap)
{
  g_autoptr (HtGraph) graph = ht_graph_new ("g");
  float value = 1;
  g_autoptr (HtTensor) tensor = ht_tensor_new_floats (&value, 1);
  for (int i = 0; i < 20000; i++)
    ht_graph_add_input (graph, ("w" + std::to_string (i)).c_str (), HT_DATA_TYPE_FLOAT, nullptr);
  for (int i = 0; i < 20000; i++)
    ht_graph_set_initializer (graph, ("w" + std::to_string (i)).c_str (), tensor);
  EXPECT_EQ (ht_graph_get_inputs (graph)[0], nullptr);
  EXPECT_EQ (graph->listed_inputs->len, 20000u);
}

}
