// SPDX-License-Identifier: MIT
// Matrix products against sums in double precision.
#include "one-node.h"

using support::Array;
using support::OneNode;

namespace
{

gint64
draw (std::mt19937 &engine, gint64 low, gint64 high)
{
  return std::uniform_int_distribution<gint64> (low, high) (engine);
}

void
check_gemm (gint64 m, gint64 n, gint64 k, bool ta, bool tb, float alpha, float beta, std::vector<gint64> c_dims,
            std::mt19937 &engine)
{
  Array a = support::random_array (ta ? std::vector<gint64>{ k, m } : std::vector<gint64>{ m, k }, engine);
  Array b = support::random_array (tb ? std::vector<gint64>{ n, k } : std::vector<gint64>{ k, n }, engine);
  Array c = support::random_array (c_dims, engine);
  std::vector<double> expected (m * n), magnitude (m * n, 1.0);
  gint64 c_columns = c_dims.empty () ? 1 : c_dims.back (), c_rows = c_dims.size () == 2 ? c_dims[0] : 1;
  for (gint64 i = 0; i < m; i++)
    for (gint64 j = 0; j < n; j++)
      {
        double sum = 0;
        for (gint64 l = 0; l < k; l++)
          {
            double term
                = static_cast<double> (a.values[ta ? l * m + i : i * k + l]) * b.values[tb ? j * k + l : l * n + j];
            sum += term;
            magnitude[i * n + j] += std::abs (alpha * term);
          }
        gint64 c_index = (c_rows > 1 ? i : 0) * c_columns + (c_columns > 1 ? j : 0);
        expected[i * n + j] = alpha * sum + beta * c.values[c_index];
      }
  OneNode node ("Gemm", 13);
  node.input (a)
      .input (b)
      .input (c)
      .number ("transA", ta)
      .number ("transB", tb)
      .real ("alpha", alpha)
      .real ("beta", beta);
  GError *error = nullptr;
  auto found = node.run (&error);
  ASSERT_NO_GERROR (error);
  support::expect_close (found[0], { m, n }, expected, magnitude, 1e-6, "gemm");
}

TEST (Gemm, AllFormsOfTheAddend)
{
  std::mt19937 engine (1);
  for (int i = 0; i < 120; i++)
    {
      gint64 m = draw (engine, 1, 40), n = draw (engine, 1, 40), k = draw (engine, 1, 50);
      std::vector<std::vector<gint64> > forms = { { m, n }, { 1, n }, { n }, { m, 1 }, { 1, 1 }, { 1 }, {} };
      check_gemm (m, n, k, i & 1, i & 2, i % 3 ? 1.0f : 0.5f, i % 5 ? 1.0f : -2.0f, forms[i % forms.size ()], engine);
    }
}

TEST (Gemm, LargeEnoughToBeCut)
{
  std::mt19937 engine (2);
  check_gemm (300, 333, 200, false, true, 1, 1, { 333 }, engine);
  check_gemm (1, 1000, 512, false, true, 1, 1, { 1000 }, engine);
  check_gemm (700, 1, 300, true, false, 1, 1, { 1 }, engine);
}

TEST (Gemm, BetaZeroIgnoresWhatIsThere)
{
  Array a{ { 1, 1 }, { 2 } }, b{ { 1, 1 }, { 3 } }, c{ { 1, 1 }, { NAN } };
  GError *error = nullptr;
  auto found = OneNode ("Gemm", 13).input (a).input (b).input (c).real ("beta", 0).run (&error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (found[0].values[0], 6);
}

TEST (Gemm, MismatchIsAnError)
{
  std::mt19937 engine (1);
  GError *error = nullptr;
  OneNode ("Gemm", 13)
      .input (support::random_array ({ 2, 3 }, engine))
      .input (support::random_array ({ 4, 5 }, engine))
      .run (&error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "must be the same");
  OneNode ("Gemm", 13)
      .input (support::random_array ({ 2, 3 }, engine))
      .input (support::random_array ({ 3, 5 }, engine))
      .input (support::random_array ({ 4 }, engine))
      .run (&error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_INVALID_MODEL, "dimension");
}

// Numpy's rules, element by element.
void
check_matmul (std::vector<gint64> a_dims, std::vector<gint64> b_dims, std::vector<gint64> y_dims, std::mt19937 &engine)
{
  Array a = support::random_array (a_dims, engine), b = support::random_array (b_dims, engine);
  bool row = a_dims.size () == 1, column = b_dims.size () == 1;
  if (row)
    a_dims.insert (a_dims.begin (), 1);
  if (column)
    b_dims.push_back (1);
  std::vector<gint64> full = y_dims;
  if (row)
    full.insert (column ? full.end () : full.end () - 1, 1);
  if (column)
    full.push_back (1);
  gint64 m = a_dims[a_dims.size () - 2], k = a_dims.back (), n = b_dims.back (), total = 1;
  for (gint64 dim : full)
    total *= dim;
  std::vector<double> expected (total), magnitude (total, 1.0);
  auto offset = [&] (const std::vector<gint64> &dims, gint64 batch) {
    gint64 result = 0, weight = 1;
    for (size_t back = 3; back <= full.size (); back++)
      {
        gint64 index = batch % full[full.size () - back];
        batch /= full[full.size () - back];
        if (back <= dims.size ())
          {
            gint64 dim = dims[dims.size () - back];
            result += dim > 1 ? index * weight : 0;
            weight *= dim;
          }
      }
    return result;
  };
  for (gint64 i = 0; i < total; i++)
    {
      gint64 batch = i / (m * n), r = i / n % m, c = i % n;
      const float *left = a.values.data () + offset (a_dims, batch) * m * k, *right = b.values.data () + offset (b_dims, batch) * k * n;
      for (gint64 l = 0; l < k; l++)
        {
          double term = static_cast<double> (left[r * k + l]) * right[l * n + c];
          expected[i] += term;
          magnitude[i] += std::abs (term);
        }
    }
  GError *error = nullptr;
  auto found = OneNode ("MatMul", 13).input (a).input (b).run (&error);
  ASSERT_NO_GERROR (error);
  support::expect_close (found[0], y_dims, expected, magnitude, 1e-6, "matmul");
}

TEST (MatMul, Broadcasts)
{
  std::mt19937 engine (3);
  check_matmul ({ 3, 4 }, { 4, 5 }, { 3, 5 }, engine);
  check_matmul ({ 4 }, { 4 }, {}, engine);
  check_matmul ({ 4 }, { 4, 5 }, { 5 }, engine);
  check_matmul ({ 3, 4 }, { 4 }, { 3 }, engine);
  check_matmul ({ 2, 3, 4 }, { 4 }, { 2, 3 }, engine);
  check_matmul ({ 4 }, { 2, 4, 5 }, { 2, 5 }, engine);
  check_matmul ({ 7, 3, 4 }, { 4, 5 }, { 7, 3, 5 }, engine);
  check_matmul ({ 3, 4 }, { 7, 4, 5 }, { 7, 3, 5 }, engine);
  check_matmul ({ 2, 1, 3, 4 }, { 6, 4, 5 }, { 2, 6, 3, 5 }, engine);
  check_matmul ({ 1, 6, 3, 4 }, { 2, 1, 4, 5 }, { 2, 6, 3, 5 }, engine);
  check_matmul ({ 2, 6, 99, 64 }, { 2, 6, 64, 99 }, { 2, 6, 99, 99 }, engine);
  check_matmul ({ 40, 99, 64 }, { 64, 128 }, { 40, 99, 128 }, engine);
  check_matmul ({ 2, 0, 4 }, { 4, 5 }, { 2, 0, 5 }, engine);
  check_matmul ({ 2, 3, 0 }, { 0, 5 }, { 2, 3, 5 }, engine);
}

TEST (MatMul, IntegersAreExact)
{
  const gint64 dims[] = { 2, 2 };
  const gint64 large = G_GINT64_CONSTANT (1) << 40;
  GError *error = nullptr;
  HtTensor *a = ht_tensor_new (HT_DATA_TYPE_INT64, dims, 2, nullptr),
           *b = ht_tensor_new (HT_DATA_TYPE_INT64, dims, 2, nullptr);
  const gint64 left[] = { large, 1, 2, 3 }, right[] = { 5, 6, 7, 8 };
  memcpy (ht_tensor_get_writable_data (a), left, sizeof left);
  memcpy (ht_tensor_get_writable_data (b), right, sizeof right);
  auto found = OneNode ("MatMul", 13).input (a).input (b).run_tensors (&error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (ht_tensor_get_int64 (found[0], 0), 5 * large + 7);
  EXPECT_EQ (ht_tensor_get_int64 (found[0], 3), 36);
  ht_tensor_unref (found[0]);
}

}
