// SPDX-License-Identifier: MIT
#include "one-node.h"

extern "C"
{
#include "base/mersenne-twister.h"
}

using support::Array;
using support::OneNode;

namespace
{

HtTensor *
truth (bool value)
{
  HtTensor *tensor = ht_tensor_new (HT_DATA_TYPE_BOOL, nullptr, 0, nullptr);
  *static_cast<guint8 *> (ht_tensor_get_writable_data (tensor)) = value;
  return tensor;
}

// The first numbers of the generator's authors, and of numpy.random.seed (0).
TEST (MersenneTwister, DrawsThePublishedNumbers)
{
  HtMersenneTwister random;
  ht_mersenne_twister_seed (&random, 5489);
  EXPECT_EQ (ht_mersenne_twister_next (&random), 3499211612u);
  for (int i = 1; i < 9999; i++)
    ht_mersenne_twister_next (&random);
  EXPECT_EQ (ht_mersenne_twister_next (&random), 4123659995u);
  ht_mersenne_twister_seed (&random, 0);
  EXPECT_EQ (ht_mersenne_twister_uniform (&random), 0.5488135039273248);
  EXPECT_EQ (ht_mersenne_twister_uniform (&random), 0.7151893663724195);
}

TEST (Dropout, DropsTheShareAndScalesTheRest)
{
  GError *error = nullptr;
  Array x{ { 100, 100 }, std::vector<float> (10000, 1.0f) };
  for (gint64 seed : { 0, 7 })
    {
      auto found = OneNode ("Dropout", 13)
                       .input (x)
                       .input (Array{ {}, { 0.2f } })
                       .input (truth (true))
                       .number ("seed", seed)
                       .run (&error);
      ASSERT_NO_GERROR (error);
      size_t dropped = 0;
      for (float y : found[0].values)
        {
          ASSERT_TRUE (y == 0.0f || y == 1.25f) << y;
          dropped += y == 0.0f;
        }
      EXPECT_NEAR (dropped, 2000.0, 200.0);
    }
}

TEST (Dropout, LeavesTheInputOfOthersAlone)
{
  GError *error = nullptr;
  Array x{ { 4 }, { 1, 2, 3, 4 } };
  g_autoptr (HtTensor) given = support::to_tensor (x);
  OneNode ("Dropout", 13).input (ht_tensor_ref (given)).input (Array{ {}, { 0.5f } }).input (truth (true)).run (&error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (support::to_array (given).values, x.values);
  OneNode ("Dropout", 13).input (x).input (Array{ {}, { 1.5f } }).input (truth (true)).run (&error);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_FAILED, "expected at least 0 and less than 1");
}

} // namespace
