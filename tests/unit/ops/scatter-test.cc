// SPDX-License-Identifier: MIT
// Scatters with indices that repeat, count from the end or lie outside.
#include "one-node.h"

namespace
{

using support::Array;
using support::OneNode;

HtTensor *
indices_of (std::vector<gint64> dims, std::vector<gint64> values)
{
  HtTensor *tensor = ht_tensor_new (HT_DATA_TYPE_INT64, dims.data (), (guint) dims.size (), nullptr);
  if (!values.empty ())
    memcpy (ht_tensor_get_writable_data (tensor), values.data (), values.size () * sizeof (gint64));
  return tensor;
}

Array
scatter (const char *op, const char *reduction, HtTensor *indices, std::vector<float> updates)
{
  g_autoptr (GError) error = nullptr;
  gint64 n = (gint64) updates.size ();
  OneNode node (op, 18);
  node.input (Array{ { 3 }, { 1, 2, NAN } }).input (indices).input (Array{ { n }, std::move (updates) });
  auto found = node.text ("reduction", reduction).run (&error);
  EXPECT_EQ (error, nullptr) << (error ? error->message : "");
  return found.empty () ? Array{} : found[0];
}

TEST (Scatter, RepeatedIndicesAreCombinedInOrder)
{
  EXPECT_EQ (scatter ("ScatterElements", "add", indices_of ({ 3 }, { 0, -3, 1 }), { 10, 20, 30 }).values[0], 31);
  EXPECT_EQ (scatter ("ScatterElements", "mul", indices_of ({ 2 }, { 1, 1 }), { 3, 5 }).values[1], 30);
  EXPECT_EQ (scatter ("ScatterND", "max", indices_of ({ 2, 1 }, { 0, 0 }), { 7, 5 }).values[0], 7);
  EXPECT_EQ (scatter ("ScatterND", "none", indices_of ({ 2, 1 }, { 0, 0 }), { 7, 5 }).values[0], 5);
}

TEST (Scatter, NotANumberStays)
{
  EXPECT_TRUE (std::isnan (scatter ("ScatterElements", "max", indices_of ({ 1 }, { 2 }), { 9 }).values[2]));
  EXPECT_TRUE (std::isnan (scatter ("ScatterND", "min", indices_of ({ 1, 1 }, { 0 }), { NAN }).values[0]));
}

TEST (Scatter, OutsideIsRefusedByName)
{
  g_autoptr (GError) error = nullptr;
  OneNode elements ("ScatterElements", 13);
  elements.input (Array{ { 3 }, { 1, 2, 3 } }).input (indices_of ({ 1 }, { 3 })).input (Array{ { 1 }, { 0 } });
  EXPECT_TRUE (elements.run (&error).empty ());
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_FAILED, "'in1' lies outside a dimension of 3");
  OneNode nd ("ScatterND", 13);
  nd.input (Array{ { 3 }, { 1, 2, 3 } }).input (indices_of ({ 1, 1 }, { -4 })).input (Array{ { 1 }, { 0 } });
  EXPECT_TRUE (nd.run (&error).empty ());
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_FAILED, "index -4");
}

TEST (Scatter, UpdatesMustFit)
{
  g_autoptr (GError) error = nullptr;
  OneNode nd ("ScatterND", 13);
  nd.input (Array{ { 2, 2 }, { 1, 2, 3, 4 } }).input (indices_of ({ 1, 1 }, { 0 })).input (Array{ { 1, 3 }, { 0, 0, 0 } });
  EXPECT_TRUE (nd.run (&error).empty ());
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "updates");
  OneNode reduction ("ScatterElements", 16);
  reduction.input (Array{ { 1 }, { 1 } }).input (indices_of ({ 1 }, { 0 })).input (Array{ { 1 }, { 0 } });
  EXPECT_TRUE (reduction.text ("reduction", "max").run (&error).empty ());
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "'max'");
}

}
