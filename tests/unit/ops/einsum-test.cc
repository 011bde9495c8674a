// SPDX-License-Identifier: MIT
// Einsum against sums over all labels, and equations that make no sense.
#include "one-node.h"

#include <map>

namespace
{

using support::Array;
using support::OneNode;
using support::random_array;

// Sums the product over every assignment of the labels.
void
check (const std::string &equation, const std::vector<std::string> &terms, const std::string &output, gint64 size)
{
  std::mt19937 engine (7);
  std::string labels;
  for (const std::string &term : terms)
    for (char c : term)
      if (labels.find (c) == std::string::npos)
        labels += c;
  std::map<char, gint64> dims, at;
  for (size_t i = 0; i < labels.size (); i++)
    dims[labels[i]] = size + (gint64) i;
  auto shape_of = [&] (const std::string &term) {
    std::vector<gint64> shape;
    for (char c : term)
      shape.push_back (dims[c]);
    return shape;
  };
  auto position_of = [&] (const std::string &term) {
    size_t position = 0;
    for (char c : term)
      position = position * (size_t) dims[c] + (size_t) at[c];
    return position;
  };
  OneNode node ("Einsum", 12);
  std::vector<Array> inputs;
  for (const std::string &term : terms)
    inputs.push_back (random_array (shape_of (term), engine));
  for (const Array &input : inputs)
    node.input (input);
  Array out{ shape_of (output), {} };
  std::vector<double> sums (out.size ()), sizes (out.size ());
  size_t total = 1;
  for (auto &dim : dims)
    total *= (size_t) dim.second;
  for (size_t i = 0; i < total; i++)
    {
      size_t rest = i;
      for (auto &dim : dims)
        {
          at[dim.first] = (gint64) (rest % (size_t) dim.second);
          rest /= (size_t) dim.second;
        }
      double product = 1.0;
      for (size_t k = 0; k < terms.size (); k++)
        product *= inputs[k].values[position_of (terms[k])];
      sums[position_of (output)] += product;
      sizes[position_of (output)] += std::fabs (product);
    }
  g_autoptr (GError) error = nullptr;
  auto found = node.text ("equation", equation.c_str ()).run (&error);
  ASSERT_NO_GERROR (error);
  support::expect_close (found[0], out.dims, sums, sizes, 1e-5, equation);
}

TEST (Einsum, MatchesSumsOverAllLabels)
{
  check ("bhid,bhjd->bhij", { "bhid", "bhjd" }, "bhij", 2);
  check ("ab,bc,cd", { "ab", "bc", "cd" }, "ad", 4);
  check ("aab,b->a", { "aab", "b" }, "a", 3);
  check ("ab,cd->d", { "ab", "cd" }, "d", 3);
  check ("Zay , aZ->yZ", { "Zay", "aZ" }, "yZ", 3);
}

TEST (Einsum, SenselessEquationsAreRefused)
{
  Array matrix{ { 2, 3 }, { 1, 2, 3, 4, 5, 6 } };
  for (const char *equation : { "", "ij", "ij,ij,ij", "ij,jk->ik", "ij,kj->iq", "ij,ij->ii", "ijk,ij", "ij,i.j", "ii,ij",
                                "i...,...j->->", "....,ij", "ij,ij->i j1" })
    {
      g_autoptr (GError) error = nullptr;
      OneNode node ("Einsum", 12);
      node.input (matrix).input (matrix).text ("equation", equation);
      auto found = node.run (&error);
      ASSERT_NE (error, nullptr) << equation;
      EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_INVALID_MODEL)) << error->message;
    }
}

}
