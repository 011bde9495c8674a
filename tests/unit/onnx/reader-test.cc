// SPDX-License-Identifier: MIT
#include "support.h"
#include "wire.h"

#include <random>

extern "C"
{
#include "onnx/writer.h"
}

namespace
{

using wire::bytes, wire::node, wire::number, wire::value;

const std::string weights = wire::tensor (1, { 2 }, bytes (9, std::string ("\0\0\x80\x3f\0\0\0\x40", 8)));

HtGraph *
load (const std::string &data, GError **error)
{
  g_autoptr (GBytes) content = g_bytes_new (data.data (), data.size ());
  return ht_graph_load_bytes (content, nullptr, error);
}

void
expect_refused (const std::string &data, HtError code, const char *text)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = load (data, &error);
  EXPECT_EQ (graph, nullptr) << text;
  EXPECT_GERROR (error, HT_ERROR, code, text);
}

std::string
serialize (HtGraph *graph)
{
  g_autoptr (GBytes) content = nullptr;
  g_autoptr (GError) error = nullptr;
  EXPECT_TRUE (ht_onnx_serialize (graph, &content, &error)) << (error ? error->message : "");
  gsize size = 0;
  const char *data = content ? (const char *) g_bytes_get_data (content, &size) : "";
  return std::string (data, size);
}

// Writing gives the very bytes that were read; the message must have its fields in ascending order.
void
expect_unchanged (const std::string &data)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = load (data, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (serialize (graph), data);
}

std::string
graph_of (const std::string &nodes, const std::string &initializers = "", const std::string &rest = "")
{
  return nodes + bytes (2, "g") + initializers + bytes (11, value ("x", 2)) + bytes (12, value ("y", 2)) + rest;
}

std::string
model_of (const std::string &graph, const std::string &rest = "")
{
  return number (1, 8) + bytes (7, graph) + bytes (8, bytes (1, "") + number (2, 13)) + rest;
}

TEST (Reader, ReadsASmallModel)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = load (wire::add_model (weights, 2), &error);
  ASSERT_NO_GERROR (error);
  ASSERT_EQ (ht_graph_get_n_nodes (graph), 1u);
  HtNode *add = ht_graph_get_node (graph, 0);
  EXPECT_STREQ (ht_node_get_op_type (add), "Add");
  EXPECT_STREQ (ht_node_get_input (add, 1), "w");
  EXPECT_EQ (ht_graph_get_opset (graph, ""), 13);
  EXPECT_STREQ (ht_graph_get_inputs (graph)[0], "x");
  EXPECT_EQ (ht_graph_get_data_type (graph, "y"), HT_DATA_TYPE_FLOAT);
  HtTensor *w = ht_graph_get_initializer (graph, "w");
  ASSERT_NE (w, nullptr);
  EXPECT_EQ (ht_tensor_get_double (w, 0), 1.0);
  EXPECT_EQ (ht_tensor_get_double (w, 1), 2.0);
}

TEST (Reader, RefusesEveryTruncation)
{
  std::string data = wire::add_model (weights, 2);
  for (size_t length = 0; length < data.size (); length++)
    {
      g_autoptr (GError) error = nullptr;
      g_autoptr (HtGraph) graph = load (data.substr (0, length), &error);
      EXPECT_EQ (graph, nullptr) << length;
      ASSERT_NE (error, nullptr) << length;
      EXPECT_EQ (error->domain, HT_ERROR) << error->message;
    }
}

TEST (Reader, SurvivesEveryFlippedBit)
{
  std::string data = wire::add_model (weights, 2);
  for (size_t bit = 0; bit < data.size () * 8; bit++)
    {
      std::string damaged = data;
      damaged[bit / 8] ^= (char) (1 << bit % 8);
      g_autoptr (GError) error = nullptr;
      g_autoptr (HtGraph) graph = load (damaged, &error);
      EXPECT_EQ (graph == nullptr, error != nullptr) << bit;
      if (graph)
        serialize (graph);
    }
}

TEST (Reader, SurvivesDamagedNetworks)
{
  REQUIRE_ASSET (path, "models/silero_vad_16k_op15.onnx");
  g_autofree char *content = nullptr;
  gsize size = 0;
  ASSERT_TRUE (g_file_get_contents (path.c_str (), &content, &size, nullptr));
  std::mt19937 random (3);
  for (int round = 0; round < 60; round++)
    {
      std::string damaged (content, size);
      for (int i = 0; i < 1 + round % 4; i++)
        {
          // Structure stands at the beginning and the end of files, and between the weights.
          size_t place = round % 2 ? random () % size : random () % 4096;
          damaged[place] = (char) random ();
        }
      if (round % 5 == 0)
        damaged.resize (random () % size);
      g_autoptr (GError) error = nullptr;
      g_autoptr (HtGraph) graph = load (damaged, &error);
      EXPECT_EQ (graph == nullptr, error != nullptr) << round;
    }
}

TEST (Reader, RefusesIncompleteModels)
{
  expect_refused ("", HT_ERROR_INVALID_MODEL, "empty");
  expect_refused (number (1, 8) + wire::opset (13), HT_ERROR_INVALID_MODEL, "no graph");
  expect_refused (bytes (7, "") + wire::opset (13), HT_ERROR_INVALID_MODEL, "no IR version");
  expect_refused (number (1, 8) + bytes (7, ""), HT_ERROR_INVALID_MODEL, "operator set");
}

TEST (Reader, RefusesOtherOpsets)
{
  std::string graph = graph_of (bytes (1, node ("Relu", { "x" }, { "y" })));
  expect_refused (wire::model (graph, 6), HT_ERROR_NOT_SUPPORTED, "opset 6, opsets 7 to 23");
  expect_refused (wire::model (graph, 24), HT_ERROR_NOT_SUPPORTED, "opset 24");
  for (int version : { 7, 23 })
    {
      g_autoptr (GError) error = nullptr;
      g_autoptr (HtGraph) loaded = load (wire::model (graph, version), &error);
      EXPECT_NO_GERROR (error);
    }
  expect_refused (wire::model (graph) + wire::opset (12, "ai.onnx"), HT_ERROR_INVALID_MODEL, "two versions");
}

TEST (Reader, RefusesNamesGivenTwice)
{
  std::string relu = bytes (1, node ("Relu", { "x" }, { "y" }));
  expect_refused (model_of (graph_of (relu + relu)), HT_ERROR_INVALID_MODEL, "'y'");
  expect_refused (model_of (graph_of (relu, bytes (5, weights) + bytes (5, weights))), HT_ERROR_INVALID_MODEL,
                  "two initializers have the name 'w'");
  expect_refused (model_of (graph_of (relu, "", bytes (11, value ("x", 2)))), HT_ERROR_INVALID_MODEL,
                  "two inputs have the name 'x'");
  std::string twice = bytes (5, bytes (1, "axis") + number (3, 1) + number (20, 2));
  expect_refused (model_of (graph_of (bytes (1, node ("Softmax", { "x" }, { "y" }, twice + twice)))),
                  HT_ERROR_INVALID_MODEL, "'axis'");
}

TEST (Reader, RefusesCyclesAndSortsTheRest)
{
  std::string cycle = bytes (1, node ("Add", { "x", "b" }, { "a" })) + bytes (1, node ("Relu", { "a" }, { "b" }))
                      + bytes (1, node ("Relu", { "b" }, { "y" }));
  expect_refused (model_of (graph_of (cycle)), HT_ERROR_INVALID_MODEL, "cycl");
  std::string reversed = bytes (1, node ("Relu", { "a" }, { "y" })) + bytes (1, node ("Neg", { "x" }, { "a" }));
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = load (model_of (graph_of (reversed)), &error);
  ASSERT_NO_GERROR (error);
  EXPECT_STREQ (ht_node_get_op_type (ht_graph_get_node (graph, 0)), "Neg");
}

TEST (Reader, RefusesMissingInputsAndOutputs)
{
  expect_refused (model_of (graph_of (bytes (1, node ("Relu", { "nowhere" }, { "y" })))), HT_ERROR_INVALID_MODEL,
                  "'nowhere'");
  expect_refused (model_of (graph_of (bytes (1, node ("Relu", { "x" }, { "z" })))), HT_ERROR_INVALID_MODEL, "'y'");
}

TEST (Reader, RefusesBrokenAttributes)
{
  auto with = [] (const std::string &attribute) {
    return model_of (graph_of (bytes (1, node ("Custom", { "x" }, { "y" }, bytes (5, attribute)))));
  };
  expect_refused (with (bytes (1, "value") + number (20, 4)), HT_ERROR_INVALID_MODEL, "holds none");
  expect_refused (with (bytes (1, "body") + number (20, 5)), HT_ERROR_INVALID_MODEL, "holds none");
  expect_refused (with (number (3, 1) + number (20, 2)), HT_ERROR_INVALID_MODEL, "no name");
  expect_refused (with (bytes (1, "value") + bytes (5, wire::tensor (1, { 2 }, bytes (9, "abc"))) + number (20, 4)),
                  HT_ERROR_INVALID_MODEL, "holds 3 bytes");
  expect_refused (model_of (graph_of (bytes (1, bytes (1, "x") + bytes (2, "y")))), HT_ERROR_INVALID_MODEL,
                  "no operator");
}

TEST (Reader, CarriesEveryKindOfAttribute)
{
  std::string floats = bytes (1, "fs") + wire::varint (7 << 3 | 5) + std::string ("\0\0\x80\x3f", 4) + number (20, 6);
  std::string tensor = wire::tensor (1, { 1 }, "", "");
  tensor = number (1, 1) + number (2, 1) + bytes (8, "named") + bytes (9, "abcd") + bytes (12, "documented");
  std::string subgraph
      = bytes (1, node ("Identity", { "x" }, { "inner" })) + bytes (2, "body") + bytes (12, value ("inner", 2));
  std::string sparse = bytes (22, bytes (1, number (1, 1) + number (2, 1) + bytes (9, "abcd")) + number (3, 9));
  std::string type = bytes (14, bytes (4, bytes (1, bytes (1, number (1, 1)))));
  std::string attributes;
  for (const std::string &attribute :
       { bytes (1, "f") + wire::varint (2 << 3 | 5) + std::string ("\0\0\x80\x7f", 4) + number (20, 1),
         bytes (1, "i") + number (3, (uint64_t) -5) + number (20, 2),
         bytes (1, "s") + bytes (4, std::string ("\xff\0z", 3)) + bytes (13, "why") + number (20, 3),
         bytes (1, "t") + bytes (5, tensor) + number (20, 4), bytes (1, "g") + bytes (6, subgraph) + number (20, 5),
         floats, bytes (1, "is") + number (8, 1) + number (8, (uint64_t) -1) + number (20, 7),
         bytes (1, "ss") + bytes (9, "a") + bytes (9, std::string ("\0", 1)) + number (20, 8),
         bytes (1, "gs") + bytes (11, subgraph) + bytes (11, subgraph) + number (20, 10),
         bytes (1, "tp") + type + number (20, 13), bytes (1, "sp") + number (20, 11) + sparse,
         bytes (1, "unknown") + number (3, 4) + number (20, 2) + bytes (77, "more") })
    attributes += bytes (5, attribute);
  expect_unchanged (model_of (graph_of (bytes (1, node ("Custom", { "x" }, { "y" }, attributes + bytes (7, "own"))))));
}

TEST (Reader, CarriesWhatItDoesNotKnow)
{
  std::string entry = bytes (1, "key") + bytes (2, "any bytes \xff\x80");
  std::string graph_node = bytes (1, node ("Custom", { "x", "", "w", "sparse" }, { "y", "" },
                                           bytes (6, "text \xff") + bytes (7, "own") + bytes (8, "overload")
                                               + bytes (9, entry) + bytes (99, "future")));
  std::string denoted = bytes (2, bytes (1, number (1, 1) + bytes (2, bytes (1, number (1, 2) + bytes (3, "CHANNEL"))))
                                      + bytes (6, "IMAGE"));
  std::string sequence = bytes (1, "y") + bytes (2, bytes (4, bytes (1, bytes (1, number (1, 7))))) + bytes (3, "doc");
  std::string dims = number (1, 2) + number (2, 1) + bytes (8, "w") + bytes (9, "abcdefgh") + bytes (12, "weights");
  std::string sparse = bytes (1, number (1, 1) + number (2, 1) + bytes (8, "sparse") + bytes (9, "abcd"))
                       + bytes (2, number (1, 1) + number (2, 7) + bytes (9, "12345678")) + number (3, 5);
  std::string graph = graph_node + bytes (2, "g") + bytes (5, dims) + bytes (10, "graph text")
                      + bytes (11, bytes (1, "x") + denoted) + bytes (12, sequence)
                      + bytes (14, bytes (1, "x") + bytes (2, entry)) + bytes (15, sparse) + bytes (16, entry)
                      + bytes (1000, "future");
  std::string function = bytes (1, "Custom") + bytes (4, "a") + bytes (5, "b") + bytes (7, node ("Relu", { "a" }, { "b" }))
                         + bytes (10, "own");
  expect_unchanged (number (1, 10) + bytes (2, "maker") + bytes (3, "1.0") + bytes (4, "org.example") + number (5, 3)
                    + bytes (6, "model text") + bytes (7, graph) + bytes (8, bytes (1, "") + number (2, 13))
                    + bytes (8, bytes (1, "own") + number (2, 1)) + bytes (14, entry)
                    + bytes (20, bytes (1, bytes (2, "initialization"))) + bytes (25, function)
                    + bytes (26, bytes (1, "devices") + number (2, 2)) + number (500, 7));
}

TEST (Reader, ReadsWeightsThatAreInputsToo)
{
  std::string graph = bytes (1, node ("Add", { "x", "w" }, { "y" })) + bytes (2, "g") + bytes (5, weights)
                      + bytes (11, value ("x", 2)) + bytes (11, value ("w", 2)) + bytes (12, value ("y", 2));
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph_loaded = load (wire::model (graph, 8, 3), &error);
  ASSERT_NO_GERROR (error);
  EXPECT_FALSE (ht_graph_is_input (graph_loaded, "w"));
  EXPECT_TRUE (ht_graph_is_constant (graph_loaded, "w"));
  // Before IR version 4 an initializer must be an input; a new one therefore raises the version.
  EXPECT_EQ (serialize (graph_loaded).substr (0, 2), number (1, 3));
  g_autoptr (HtTensor) extra = ht_tensor_new_floats (nullptr, 0);
  ht_graph_set_initializer (graph_loaded, "extra", extra);
  EXPECT_EQ (serialize (graph_loaded).substr (0, 2), number (1, 4));
}

TEST (Reader, ReadsShapesWithSymbolsAndUnknowns)
{
  std::string shape = bytes (2, bytes (1, bytes (2, "N")) + bytes (1, "") + bytes (1, number (1, 0))
                                    + bytes (1, number (1, 3)));
  std::string x = bytes (1, "x") + bytes (2, bytes (1, number (1, 10) + shape));
  std::string data = model_of (bytes (1, node ("Relu", { "x" }, { "y" })) + bytes (2, "g") + bytes (11, x)
                               + bytes (12, bytes (1, "y")));
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtGraph) graph = load (data, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (ht_graph_get_data_type (graph, "x"), HT_DATA_TYPE_FLOAT16);
  HtShape *loaded = ht_graph_get_shape (graph, "x");
  ASSERT_NE (loaded, nullptr);
  EXPECT_STREQ (ht_shape_get_symbol (loaded, 0), "N");
  EXPECT_EQ (ht_shape_get_dim (loaded, 1), HT_DIM_UNKNOWN);
  EXPECT_EQ (ht_shape_get_dim (loaded, 2), 0);
  EXPECT_EQ (ht_shape_get_dim (loaded, 3), 3);
  EXPECT_EQ (serialize (graph), data);
}

}
