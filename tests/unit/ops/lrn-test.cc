// SPDX-License-Identifier: MIT
// LRN against plain sums in double, at sizes that cut its blocks of channels and columns; same bytes at any threads.
#include "one-node.h"

namespace
{

using support::Array;
using support::OneNode;

Array
run_lrn (const Array &x, gint64 size, double alpha, double beta, double bias, guint threads)
{
  g_autoptr (GError) error = nullptr;
  ht_set_n_threads (threads);
  OneNode node ("LRN", 13);
  node.input (x).number ("size", size).real ("alpha", alpha).real ("beta", beta).real ("bias", bias);
  auto found = node.run (&error);
  EXPECT_EQ (error, nullptr) << (error ? error->message : "");
  return found.empty () ? Array{} : found[0];
}

void
check (std::vector<gint64> dims, gint64 size, float alpha, float beta, float bias)
{
  std::mt19937 engine (3);
  Array x = support::random_array (dims, engine);
  gint64 inner = 1;
  for (size_t i = 2; i < dims.size (); i++)
    inner *= dims[i];
  std::vector<double> expected (x.size ());
  for (gint64 i = 0; i < (gint64) x.size (); i++)
    {
      gint64 channel = i / inner % dims[1];
      double sum = 0.0;
      for (gint64 c = std::max<gint64> (0, channel - (size - 1) / 2); c <= std::min (dims[1] - 1, channel + size / 2); c++)
        sum += std::pow (x.values[(size_t) (i + (c - channel) * inner)], 2);
      expected[(size_t) i] = x.values[(size_t) i] / std::pow (bias + alpha / (double) size * sum, (double) beta);
    }
  Array found = run_lrn (x, size, alpha, beta, bias, 1);
  support::expect_close (found, dims, expected, {}, 1e-5, "LRN");
  EXPECT_EQ (found.values, run_lrn (x, size, alpha, beta, bias, 3).values);
  ht_set_n_threads (0);
}

TEST (LRN, MatchesPlainSums)
{
  check ({ 2, 37, 19, 17 }, 5, 0.1f, 0.75f, 1.0f);
  check ({ 1, 16, 300 }, 3, 0.5f, 0.5f, 2.0f);
  check ({ 3, 5, 2, 2, 2 }, 4, 0.5f, 1.0f, 1.0f);
  check ({ 2, 3 }, 9, 0.5f, 0.3f, 1.0f);
}

TEST (LRN, SizeMustBePositive)
{
  g_autoptr (GError) error = nullptr;
  OneNode node ("LRN", 13);
  node.input (Array{ { 1, 1, 1, 1 }, { 1 } }).number ("size", 0).run (&error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "size");
}

}
