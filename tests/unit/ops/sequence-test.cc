// SPDX-License-Identifier: MIT
// Operators on sequences and optional values, by their specification.
#include "one-node.h"

namespace
{

using support::Array;
using support::OneNode;
using Values = std::vector<float>;

HtTensor *
list (std::vector<Array> arrays, HtDataType type = HT_DATA_TYPE_SEQUENCE)
{
  std::vector<HtTensor *> elements;
  for (const Array &array : arrays)
    elements.push_back (support::to_tensor (array));
  HtTensor *made = ht_tensor_new_list (type, elements.data (), elements.size (), nullptr);
  for (HtTensor *element : elements)
    ht_tensor_unref (element);
  return made;
}

HtTensor *
int64 (gint64 value)
{
  return ht_tensor_new_scalar ((double)value, HT_DATA_TYPE_INT64, nullptr);
}

HtTensor *
int64s (std::vector<gint64> values)
{
  return ht_tensor_new_int64s (values.data (), values.size ());
}

// One output that must be there. A node may be a temporary or what its setters return.
template <class Node>
HtTensor *
run_one (Node &&node)
{
  g_autoptr (GError) error = nullptr;
  std::vector<HtTensor *> outputs = node.run_tensors (&error);
  EXPECT_NO_GERROR (error);
  return outputs.empty () ? nullptr : outputs[0];
}

template <class Node>
void
expect_list (Node &&node, const std::vector<Array> &expected, HtDataType type = HT_DATA_TYPE_SEQUENCE)
{
  g_autoptr (HtTensor) found = run_one (node);
  ASSERT_NE (found, nullptr);
  ASSERT_EQ (ht_tensor_get_data_type (found), type);
  ASSERT_EQ (ht_tensor_get_n_elements (found), expected.size ());
  for (size_t i = 0; i < expected.size (); i++)
    {
      Array element = support::to_array (ht_tensor_get_element (found, i));
      EXPECT_EQ (element.dims, expected[i].dims) << i;
      EXPECT_EQ (element.values, expected[i].values) << i;
    }
}

template <class Node>
void
expect_tensor (Node &&node, const Array &expected)
{
  g_autoptr (HtTensor) found = run_one (node);
  ASSERT_NE (found, nullptr);
  Array array = support::to_array (found);
  EXPECT_EQ (array.dims, expected.dims);
  EXPECT_EQ (array.values, expected.values);
}

template <class Node>
void
expect_failure (Node &&node, const char *text)
{
  GError *error = nullptr;
  std::vector<HtTensor *> outputs = node.run_tensors (&error);
  ASSERT_NE (error, nullptr) << text;
  std::string message = error->message;
  EXPECT_NE (message.find (text), std::string::npos) << message;
  EXPECT_NE (message.find (" node: "), std::string::npos) << message;
  g_clear_error (&error);
}

const Array a{ { 2 }, { 1, 2 } }, b{ { 1, 2 }, { 3, 4 } }, c{ {}, { 5 } }, d{ { 0, 3 }, {} };

TEST (Sequence, IsMadeOfTensors)
{
  expect_list (OneNode ("SequenceConstruct", 11).input (a).input (b).input (c), { a, b, c });
  expect_list (OneNode ("SequenceEmpty", 11), {});
  expect_failure (OneNode ("SequenceConstruct", 11).input (a).input (int64 (1)), "element types float and int64");
  expect_failure (OneNode ("SequenceConstruct", 11).input (a).input (list ({ a })), "expected a tensor");
  expect_failure (OneNode ("SequenceEmpty", 11).number ("dtype", 30), "dtype is 30");
}

TEST (Sequence, ElementsAreFoundFromBothEnds)
{
  for (gint64 position = -3; position < 3; position++)
    expect_tensor (OneNode ("SequenceAt", 11).input (list ({ a, b, c })).input (int64 (position)),
                   std::vector<Array>{ a, b, c }[(size_t)(position + 3) % 3]);
  for (gint64 position : { (gint64)-4, (gint64)3, G_MAXINT64, G_MININT64 })
    expect_failure (OneNode ("SequenceAt", 11).input (list ({ a, b, c })).input (int64 (position)),
                    "lies outside the sequence of 3 tensors, expected -3 to 2");
  expect_failure (OneNode ("SequenceAt", 11).input (list ({})).input (int64 (0)), "the sequence is empty");
  expect_failure (OneNode ("SequenceAt", 11).input (list ({ a })).input (int64s ({ 0, 0 })), "2 elements, expected 1");
  expect_failure (OneNode ("SequenceAt", 11).input (a).input (int64 (0)), "expected a sequence");
  expect_failure (OneNode ("SequenceAt", 11).input (list ({ a })).input (c), "element type float");
}

TEST (Sequence, GrowsAtAnyPlace)
{
  expect_list (OneNode ("SequenceInsert", 11).input (list ({ a, b })).input (c), { a, b, c });
  expect_list (OneNode ("SequenceInsert", 11).input (list ({})).input (d), { d });
  const std::vector<std::vector<Array> > at = { { c, a, b }, { a, c, b }, { a, b, c } };
  for (gint64 position = 0; position < 3; position++)
    expect_list (OneNode ("SequenceInsert", 11).input (list ({ a, b })).input (c).input (int64 (position)),
                 at[(size_t)position]);
  for (gint64 position = -2; position < 0; position++)
    expect_list (OneNode ("SequenceInsert", 11).input (list ({ a, b })).input (c).input (int64 (position)),
                 at[(size_t)(position + 2)]);
  for (gint64 position : { -3, 3 })
    expect_failure (OneNode ("SequenceInsert", 11).input (list ({ a, b })).input (c).input (int64 (position)),
                    "expected -2 to 2");
  expect_failure (OneNode ("SequenceInsert", 11).input (list ({ a })).input (int64 (1)),
                  "type int64 does not go into a sequence of tensors of type float");
}

TEST (Sequence, ShrinksAtAnyPlace)
{
  expect_list (OneNode ("SequenceErase", 11).input (list ({ a, b, c })), { a, b });
  expect_list (OneNode ("SequenceErase", 11).input (list ({ a, b, c })).input (int64 (0)), { b, c });
  expect_list (OneNode ("SequenceErase", 11).input (list ({ a, b, c })).input (int64 (-2)), { a, c });
  expect_failure (OneNode ("SequenceErase", 11).input (list ({ a, b, c })).input (int64 (3)), "expected -3 to 2");
  expect_failure (OneNode ("SequenceErase", 11).input (list ({})), "the sequence is empty");
}

TEST (Sequence, HasALength)
{
  for (size_t n : { 0, 1, 3 })
    {
      OneNode node ("SequenceLength", 11);
      g_autoptr (HtTensor) found = run_one (node.input (list (std::vector<Array> (n, a))));
      ASSERT_NE (found, nullptr);
      EXPECT_EQ (ht_tensor_get_n_dims (found), 0u);
      EXPECT_EQ (ht_tensor_get_int64 (found, 0), (gint64)n);
    }
}

TEST (Sequence, TensorsAreSplit)
{
  const Array x{ { 2, 5 }, { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 } };
  expect_list (OneNode ("SplitToSequence", 11).input (x),
               { { { 1, 5 }, { 0, 1, 2, 3, 4 } }, { { 1, 5 }, { 5, 6, 7, 8, 9 } } });
  expect_list (OneNode ("SplitToSequence", 11).input (x).number ("keepdims", 0),
               { { { 5 }, { 0, 1, 2, 3, 4 } }, { { 5 }, { 5, 6, 7, 8, 9 } } });
  const std::vector<Array> twos
      = { { { 2, 2 }, { 0, 1, 5, 6 } }, { { 2, 2 }, { 2, 3, 7, 8 } }, { { 2, 1 }, { 4, 9 } } };
  // The axis stays where lengths are given
  expect_list (OneNode ("SplitToSequence", 11).input (x).input (int64 (2)).number ("axis", -1).number ("keepdims", 0),
               twos);
  expect_list (OneNode ("SplitToSequence", 11).input (x).input (int64s ({ 2, 2, 1 })).number ("axis", 1), twos);
  expect_list (OneNode ("SplitToSequence", 11).input (x).input (int64s ({ 0, 2 })), { { { 0, 5 }, {} }, x });
  expect_list (OneNode ("SplitToSequence", 11).input (d), {});
  expect_failure (OneNode ("SplitToSequence", 11).input (x).input (int64s ({ 2, 2 })).number ("axis", 1),
                  "the lengths add up to 4, the dimension is 5");
  expect_failure (OneNode ("SplitToSequence", 11).input (x).input (int64s ({ 6, -1 })).number ("axis", 1),
                  "length 1 is -1");
  expect_failure (OneNode ("SplitToSequence", 11).input (x).input (int64 (0)), "parts of length 0");
  expect_failure (OneNode ("SplitToSequence", 11).input (x).number ("axis", 2), "axis 2 lies outside");
  expect_failure (OneNode ("SplitToSequence", 11).input (c), "axis 0 lies outside");
  // Nothing in it, but as many parts as never fit in memory
  expect_failure (OneNode ("SplitToSequence", 11).input (Array{ { G_GINT64_CONSTANT (1) << 40, 0 }, {} }),
                  "a sequence of over");
  std::vector<gint64> lengths ((1 << 20) + 1, 0);
  lengths[0] = 2;
  expect_failure (OneNode ("SplitToSequence", 11).input (x).input (int64s (lengths)), "a sequence of over");
}

TEST (Sequence, TensorsAreJoined)
{
  const Array left{ { 2, 1 }, { 1, 2 } }, right{ { 2, 2 }, { 3, 4, 5, 6 } };
  expect_tensor (OneNode ("ConcatFromSequence", 11).input (list ({ left, right })).number ("axis", -1),
                 { { 2, 3 }, { 1, 3, 4, 2, 5, 6 } });
  expect_tensor (OneNode ("ConcatFromSequence", 11).input (list ({ a, a })).number ("axis", 0),
                 { { 4 }, { 1, 2, 1, 2 } });
  expect_tensor (OneNode ("ConcatFromSequence", 11)
                     .input (list ({ a, { { 2 }, { 7, 8 } } }))
                     .number ("axis", 1)
                     .number ("new_axis", 1),
                 { { 2, 2 }, { 1, 7, 2, 8 } });
  expect_tensor (OneNode ("ConcatFromSequence", 11).input (list ({ c, c })).number ("axis", -1).number ("new_axis", 1),
                 { { 2 }, { 5, 5 } });
  expect_failure (OneNode ("ConcatFromSequence", 11).input (list ({ left, right })).number ("axis", 0),
                  "tensor 1 of the sequence is float[2x2]");
  expect_failure (
      OneNode ("ConcatFromSequence", 11).input (list ({ left, right })).number ("axis", 1).number ("new_axis", 1),
      "does not fit the first, float[2x1]");
  expect_failure (OneNode ("ConcatFromSequence", 11).input (list ({ a })).number ("axis", 1), "axis 1 lies outside");
  expect_failure (OneNode ("ConcatFromSequence", 11).input (list ({})).number ("axis", 0), "the sequence is empty");
}

TEST (Sequence, SplitsJoinToTheSame)
{
  std::mt19937 engine (3);
  for (int round = 0; round < 20; round++)
    {
      std::vector<gint64> dims;
      for (int i = 0; i < 3; i++)
        dims.push_back (std::uniform_int_distribution<gint64> (1, 5) (engine));
      Array x = support::random_array (dims, engine);
      for (gint64 axis = -3; axis < 3; axis++)
        for (gint64 keep : { 0, 1 })
          {
            OneNode split ("SplitToSequence", 11), join ("ConcatFromSequence", 11);
            HtTensor *parts = run_one (split.input (x).number ("axis", axis).number ("keepdims", keep));
            expect_tensor (join.input (parts).number ("axis", axis).number ("new_axis", !keep), x);
          }
    }
}

TEST (Optional, HoldsOneValueOrNone)
{
  expect_list (OneNode ("Optional", 15).input (a), { a }, HT_DATA_TYPE_OPTIONAL);
  expect_failure (OneNode ("Optional", 15), "neither an input nor the attribute");
  expect_failure (OneNode ("Optional", 15).input (list ({ a }, HT_DATA_TYPE_OPTIONAL)), "is an optional value itself");
  expect_tensor (OneNode ("OptionalGetElement", 15).input (list ({ a }, HT_DATA_TYPE_OPTIONAL)), a);
  expect_failure (OneNode ("OptionalGetElement", 15).input (list ({}, HT_DATA_TYPE_OPTIONAL)), "has no element");
  // What is no optional value counts as one that is there, since opset 18
  expect_tensor (OneNode ("OptionalGetElement", 18).input (a), a);
  expect_list (OneNode ("OptionalGetElement", 18).input (list ({ a, b })), { a, b });
  expect_failure (OneNode ("OptionalGetElement", 15).input (a), "expected an optional value before opset 18");
}

TEST (Optional, SaysWhetherItHoldsOne)
{
  auto has = [] (auto &&node) {
    g_autoptr (HtTensor) found = run_one (node);
    return found ? (int)ht_tensor_get_int64 (found, 0) : -1;
  };
  EXPECT_EQ (has (OneNode ("OptionalHasElement", 15).input (list ({ a }, HT_DATA_TYPE_OPTIONAL))), 1);
  EXPECT_EQ (has (OneNode ("OptionalHasElement", 15).input (list ({}, HT_DATA_TYPE_OPTIONAL))), 0);
  EXPECT_EQ (has (OneNode ("OptionalHasElement", 18).input (d)), 1);
  EXPECT_EQ (has (OneNode ("OptionalHasElement", 18).input (list ({}))), 1);
  EXPECT_EQ (has (OneNode ("OptionalHasElement", 18).absent ()), 0);
  EXPECT_EQ (has (OneNode ("OptionalHasElement", 18)), 0);
  expect_failure (OneNode ("OptionalHasElement", 15).input (a), "expected an optional value before opset 18");
}

// No rule of another operator ever sees a list.
TEST (Sequence, OtherOperatorsRefuseThem)
{
  for (HtDataType type : { HT_DATA_TYPE_SEQUENCE, HT_DATA_TYPE_OPTIONAL })
    for (const char *op :
         { "Relu", "Shape", "Reshape", "Concat", "Add", "Where", "Size", "Cast", "QuantizeLinear", "Gather" })
      expect_failure (OneNode (op, 13).input (list ({ a }, type)).input (a).input (a), "this operator takes tensors");
  expect_list (OneNode ("Identity", 16).input (list ({ a, b })), { a, b });
  expect_list (OneNode ("Identity", 16).input (list ({}, HT_DATA_TYPE_OPTIONAL)), {}, HT_DATA_TYPE_OPTIONAL);
}

}
