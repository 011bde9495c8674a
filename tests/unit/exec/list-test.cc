// SPDX-License-Identifier: MIT
// Sequences and optional values on their way through a network.
#include "small-graph.h"

extern "C"
{
#include "graph/element-type.h"
#include "graph/graph-private.h"
#include "graph/tensor-private.h"
#include "onnx/writer.h"
}

namespace
{

using small::Builder;
using small::floats;
using small::Table;
using small::values;

HtTensor *
list (std::vector<HtTensor *> elements /* transfer full */, HtDataType type = HT_DATA_TYPE_SEQUENCE)
{
  HtTensor *made = ht_tensor_new_list (type, elements.data (), elements.size (), nullptr);
  for (HtTensor *element : elements)
    ht_tensor_unref (element);
  return made;
}

HtTensor *
flag (bool value)
{
  HtTensor *tensor = ht_tensor_new (HT_DATA_TYPE_BOOL, nullptr, 0, nullptr);
  *static_cast<guint8 *> (ht_tensor_get_writable_data (tensor)) = value;
  return tensor;
}

// Elements made in the arena outlive its reuse, in every run.
TEST (Lists, KeepTensorsOfTheArena)
{
  Builder b;
  b.input ("x", { 4 });
  b.node ("Neg", { "x" }, { "n" });
  b.node ("SequenceConstruct", { "n", "x" }, { "s" });
  for (int i = 0; i < 4; i++) // takes the place of n
    {
      static const char *names[] = { "n", "e0", "e1", "e2", "e3" };
      b.node ("Exp", { names[i] }, { names[i + 1] });
    }
  b.node ("ConcatFromSequence", { "s" }, { "y" });
  ht_graph_set_int (b.graph (), ht_graph_get_producer (b.graph (), "y"), "axis", 0);
  b.output ("e3").output ("y").output ("s");
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), &error);
  ASSERT_NO_GERROR (error);
  g_autoptr (HtTensor) kept = nullptr;
  for (float first : { 1.f, 5.f })
    {
      Table in;
      in.add ("x", floats ({ 4 }, { first, 2, 3, 4 }));
      Table out (ht_executor_run (executor, in, nullptr, nullptr, &error));
      ASSERT_NO_GERROR (error);
      EXPECT_EQ (values (out["y"]), (std::vector<float>{ -first, -2, -3, -4, first, 2, 3, 4 }));
      EXPECT_EQ (values (ht_tensor_get_element (out["s"], 0)), (std::vector<float>{ -first, -2, -3, -4 }));
      if (kept == nullptr)
        kept = ht_tensor_ref (out["s"]);
    }
  EXPECT_EQ (values (ht_tensor_get_element (kept, 0)), (std::vector<float>{ -1, -2, -3, -4 }));
}

// A tensor that came out of a list belongs to the caller alone.
TEST (Lists, ResultsAreTheCallers)
{
  Builder b;
  ht_graph_add_input (b.graph (), "s", HT_DATA_TYPE_SEQUENCE, nullptr);
  b.constant ("first", ht_tensor_new_scalar (0, HT_DATA_TYPE_INT64, nullptr));
  b.node ("SequenceAt", { "s", "first" }, { "y" });
  b.output ("y");
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), &error);
  ASSERT_NO_GERROR (error);
  Table in;
  in.add ("s", list ({ floats ({ 2 }, { 1, 2 }) }));
  Table out (ht_executor_run (executor, in, nullptr, nullptr, &error));
  ASSERT_NO_GERROR (error);
  static_cast<float *> (ht_tensor_get_writable_data (out["y"]))[0] = 9;
  EXPECT_EQ (values (ht_tensor_get_element (in["s"], 0)), (std::vector<float>{ 1, 2 }));
}

void
make_branches (Builder &b)
{
  Builder yes (16), no (16);
  yes.node ("SequenceInsert", { "s", "x" }, { "yes_out" });
  yes.output ("yes_out");
  no.node ("Identity", { "s" }, { "no_out" });
  no.output ("no_out");
  HtNode *node = b.node ("If", { "which" }, { "t" });
  ht_graph_set_subgraph (b.graph (), node, "then_branch", yes.graph ());
  ht_graph_set_subgraph (b.graph (), node, "else_branch", no.graph ());
}

// One plan serves sequences of every length, and branches see them.
TEST (Lists, GoThroughBranches)
{
  Builder b (16);
  ht_graph_add_input (b.graph (), "s", HT_DATA_TYPE_SEQUENCE, nullptr);
  b.input ("x", { 1 }).input ("which", {}, HT_DATA_TYPE_BOOL);
  make_branches (b);
  b.node ("SequenceLength", { "t" }, { "n" });
  b.output ("n").output ("t");
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), &error);
  ASSERT_NO_GERROR (error);
  for (size_t length : { 0, 1, 5 })
    for (bool which : { true, false })
      {
        std::vector<HtTensor *> elements;
        for (size_t i = 0; i < length; i++)
          elements.push_back (floats ({ 1 }, { (float)i }));
        Table in;
        in.add ("s", list (elements)).add ("x", floats ({ 1 }, { 7 })).add ("which", flag (which));
        std::vector<std::string> seen;
        const char *taps[] = { "t", "yes_out", nullptr };
        auto remember = [] (const char *name, HtTensor *, gpointer data) {
          static_cast<std::vector<std::string> *> (data)->push_back (name);
        };
        Table out (ht_executor_run_tapped (executor, in, nullptr, taps, remember, &seen, nullptr, &error));
        ASSERT_NO_GERROR (error);
        EXPECT_EQ (ht_tensor_get_int64 (out["n"], 0), (gint64)(length + which));
        EXPECT_EQ (ht_tensor_get_n_elements (out["t"]), length + which);
        if (which)
          {
            EXPECT_EQ (values (ht_tensor_get_element (out["t"], length)), std::vector<float>{ 7 });
          }
        EXPECT_EQ (seen.size (), which ? 2u : 1u);
      }
}

HtElementType *
element (HtDataType type, std::vector<gint64> dims)
{
  g_autoptr (HtShape) shape = ht_shape_new (dims.data (), nullptr, static_cast<guint> (dims.size ()));
  return ht_element_type_new (type, shape, nullptr);
}

TEST (Lists, GivenOnesMustFitTheirDeclaration)
{
  Builder b (18);
  g_autoptr (HtElementType) float2 = element (HT_DATA_TYPE_FLOAT, { 2 });
  ht_graph_add_input (b.graph (), "s", HT_DATA_TYPE_SEQUENCE, nullptr);
  ht_graph_set_element_type (b.graph (), "s", float2);
  b.node ("Identity", { "s" }, { "y" });
  b.output ("y");
  GError *error = nullptr;
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), &error);
  ASSERT_NO_GERROR (error);
  Table wrong, tensor;
  wrong.add ("s", list ({ floats ({ 2 }, { 1, 2 }), ht_tensor_new_int64s (nullptr, 0) }));
  EXPECT_EQ (ht_executor_run (executor, wrong, nullptr, nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_DATA_TYPE, "element 1 of the sequence 's' is int64[0], expected type float");
  tensor.add ("s", floats ({ 2 }, { 1, 2 }));
  EXPECT_EQ (ht_executor_run (executor, tensor, nullptr, nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_DATA_TYPE, "tensor 's' is float[2], expected element type sequence");
}

TEST (Lists, HaveNoMemoryEstimate)
{
  Builder b (18);
  ht_graph_add_input (b.graph (), "s", HT_DATA_TYPE_SEQUENCE, nullptr);
  b.node ("Identity", { "s" }, { "y" });
  b.output ("y");
  GError *error = nullptr;
  g_autoptr (HtExecutor) executor = ht_executor_new (b.graph (), &error);
  ASSERT_NO_GERROR (error);
  EXPECT_FALSE (
      ht_executor_estimate_memory (executor, 1, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NOT_SUPPORTED, "is of type sequence, whose size is not known before");
}

// ---- Types ----

HtElementType *
inferred (Builder &b, const char *name)
{
  g_autoptr (GError) error = nullptr;
  EXPECT_TRUE (ht_graph_infer_shapes (b.graph (), &error)) << error->message;
  return ht_graph_get_element_type (b.graph (), name);
}

TEST (Lists, TypesFollowTheOperators)
{
  Builder b (18);
  b.input ("x", { 2, 6 }).input ("z", { 2, 3 }).input ("which", {}, HT_DATA_TYPE_BOOL);
  HtNode *split = b.node ("SplitToSequence", { "x" }, { "parts" });
  ht_graph_set_int (b.graph (), split, "axis", 1);
  b.node ("SequenceConstruct", { "x", "z" }, { "s" });
  b.node ("SequenceLength", { "s" }, { "n" });
  b.node ("Optional", { "parts" }, { "o" });
  b.node ("OptionalGetElement", { "o" }, { "p" });
  b.constant ("at", ht_tensor_new_scalar (1, HT_DATA_TYPE_INT64, nullptr));
  b.node ("SequenceAt", { "p", "at" }, { "part" });
  make_branches (b);
  for (const char *name : { "t", "n", "part", "o" })
    b.output (name);
  g_autoptr (HtElementType) column = element (HT_DATA_TYPE_FLOAT, { 2, 1 }),
                            any = element (HT_DATA_TYPE_FLOAT, { 2, -1 });
  EXPECT_TRUE (ht_element_type_equal (inferred (b, "parts"), column));
  EXPECT_TRUE (ht_element_type_equal (inferred (b, "s"), any));
  EXPECT_TRUE (ht_element_type_equal (inferred (b, "t"), any));
  HtElementType *inner = inferred (b, "o");
  ASSERT_NE (inner, nullptr);
  EXPECT_EQ (inner->type, HT_DATA_TYPE_SEQUENCE);
  EXPECT_TRUE (ht_element_type_equal (inner->element, column));
  EXPECT_EQ (ht_graph_get_data_type (b.graph (), "part"), HT_DATA_TYPE_FLOAT);
  EXPECT_TRUE (ht_shape_equal (ht_graph_get_shape (b.graph (), "part"), column->shape));
  EXPECT_EQ (ht_graph_get_data_type (b.graph (), "n"), HT_DATA_TYPE_INT64);

  // What was found is written, read and found again
  g_autoptr (GError) error = nullptr;
  g_autoptr (GBytes) bytes = nullptr;
  ASSERT_TRUE (ht_onnx_serialize (b.graph (), &bytes, &error)) << error->message;
  g_autoptr (HtGraph) again = ht_graph_load_bytes (bytes, nullptr, &error);
  ASSERT_NO_GERROR (error);
  for (const char *name : { "parts", "s", "o", "p", "t" })
    {
      EXPECT_EQ (ht_graph_get_data_type (again, name), ht_graph_get_data_type (b.graph (), name)) << name;
      EXPECT_TRUE (
          ht_element_type_equal (ht_graph_get_element_type (again, name), ht_graph_get_element_type (b.graph (), name)))
          << name;
      EXPECT_EQ (ht_graph_lookup_value (again, name)->type_proto, nullptr) << name;
    }
  g_autofree char *hash = ht_graph_hash (b.graph ());
  g_autofree char *hash_again = ht_graph_hash (again);
  EXPECT_STREQ (hash, hash_again);
}

// An input without a name is no input.
TEST (Lists, TypesOfPartsOfLengthOne)
{
  for (bool keep : { false, true })
    for (std::vector<const char *> inputs : { std::vector<const char *>{ "x" }, { "x", "" } })
      {
        Builder b (18);
        b.input ("x", { 2, 6 });
        HtNode *split = b.node ("SplitToSequence", inputs, { "parts" });
        ht_graph_set_int (b.graph (), split, "axis", 1);
        ht_graph_set_int (b.graph (), split, "keepdims", keep);
        b.output ("parts");
        g_autoptr (HtElementType) part
            = keep ? element (HT_DATA_TYPE_FLOAT, { 2, 1 }) : element (HT_DATA_TYPE_FLOAT, { 2 });
        EXPECT_TRUE (ht_element_type_equal (inferred (b, "parts"), part)) << keep << inputs.size ();
      }
}

TEST (Lists, DeclaredTypesMustAgree)
{
  Builder b (18);
  b.input ("x", { 2 });
  b.node ("SequenceConstruct", { "x" }, { "s" });
  b.output ("s");
  g_autoptr (HtElementType) wrong = element (HT_DATA_TYPE_INT8, { 2 });
  ht_graph_set_shape (b.graph (), "s", HT_DATA_TYPE_SEQUENCE, nullptr);
  ht_graph_set_element_type (b.graph (), "s", wrong);
  GError *error = nullptr;
  EXPECT_FALSE (ht_graph_infer_shapes (b.graph (), &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_SHAPE,
                 "found elements of type float, but the model declares elements of type int8");
}

// Lists are no initializers: neither they nor what reads them is folded.
TEST (Lists, AreNotFolded)
{
  Builder b (18);
  b.constant ("a", floats ({ 1 }, { 1 })).constant ("c", floats ({ 1 }, { 2 }));
  b.node ("SequenceConstruct", { "a", "c" }, { "s" });
  b.node ("SequenceLength", { "s" }, { "n" });
  b.output ("s").output ("n");
  EXPECT_EQ (ht_graph_get_constant (b.graph (), "s"), nullptr);
  EXPECT_EQ (ht_graph_get_constant (b.graph (), "n"), nullptr);
}

TEST (Lists, CompareByContent)
{
  g_autoptr (HtTensor) a = list ({ floats ({ 1 }, { 1 }), floats ({ 2 }, { 1, 2 }) });
  g_autoptr (HtTensor) b = list ({ floats ({ 1 }, { 1 }), floats ({ 2 }, { 1, 2 }) });
  g_autoptr (HtTensor) c = list ({ floats ({ 1 }, { 1 }), floats ({ 2 }, { 1, 3 }) });
  g_autoptr (HtTensor) copy = ht_tensor_copy (a, nullptr);
  EXPECT_TRUE (ht_tensor_equal (a, b) && ht_tensor_equal (a, copy));
  EXPECT_FALSE (ht_tensor_equal (a, c));
  EXPECT_STREQ (ht_tensor_get_digest (a), ht_tensor_get_digest (b));
  EXPECT_STRNE (ht_tensor_get_digest (a), ht_tensor_get_digest (c));
  EXPECT_EQ (ht_tensor_get_bytes (a), nullptr);
  g_autofree char *text = ht_tensor_describe (a);
  EXPECT_STREQ (text, "sequence[2]");
}

}
