// SPDX-License-Identifier: MIT
// Quantiles against published tables.
#include "support.h"

extern "C"
{
#include "base/quantile.h"
}

#include <cmath>

TEST (Quantile, NormalIsThatOfTheTables)
{
  EXPECT_NEAR (ht_normal_quantile (0.975), 1.959963984540054, 1e-12);
  EXPECT_NEAR (ht_normal_quantile (0.995), 2.575829303548901, 1e-12);
  EXPECT_NEAR (ht_normal_quantile (0.025), -1.959963984540054, 1e-12);
  EXPECT_NEAR (ht_normal_quantile (1e-10), -6.361340902404056, 1e-9);
  EXPECT_EQ (ht_normal_quantile (0.5), 0);
  EXPECT_TRUE (std::isinf (ht_normal_quantile (1)));
}

// NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2
TEST (Quantile, StudentIsThatOfTheTables)
{
  const struct
  {
    double p, degrees, t;
  } rows[] = { { 0.975, 1, 12.706 }, { 0.975, 2, 4.303 },  { 0.975, 10, 2.228 }, { 0.975, 100, 1.984 },
               { 0.95, 5, 2.015 },   { 0.999, 3, 10.215 }, { 0.90, 30, 1.310 } };
  for (const auto &row : rows)
    {
      EXPECT_NEAR (ht_student_quantile (row.p, row.degrees), row.t, 5.1e-4) << row.p << " " << row.degrees;
      EXPECT_NEAR (ht_student_quantile (1 - row.p, row.degrees), -row.t, 5.1e-4);
    }
  EXPECT_NEAR (ht_student_quantile (0.975, 1e6), ht_normal_quantile (0.975), 1e-5);
}
