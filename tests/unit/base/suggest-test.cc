// SPDX-License-Identifier: MIT
#include "support.h"

#include <string>

namespace
{

TEST (SuggestTest, NearestWordWithinAThird)
{
  const char *const words[]
      = { "adaround", "adascale", "bias-correction", "num-iterations", "qat", "min-max", nullptr };
  EXPECT_EQ (ht_suggest ("adaruond", words), words[0]) << "a swap of neighbours is one step";
  EXPECT_EQ (ht_suggest ("AdaRound", words), words[0]);
  EXPECT_EQ (ht_suggest ("adscale", words), words[1]);
  EXPECT_EQ (ht_suggest ("num_iteratons", words), words[3]);
  EXPECT_EQ (ht_suggest ("bias-corection", words), words[2]);
  EXPECT_EQ (ht_suggest ("qta", words), words[4]);
  EXPECT_EQ (ht_suggest ("minmax", words), words[5]);
  EXPECT_EQ (ht_suggest ("seqmse", words), nullptr);
  EXPECT_EQ (ht_suggest ("xyz", words), nullptr);
  EXPECT_EQ (ht_suggest ("", words), nullptr);
  EXPECT_EQ (ht_suggest ("\xff\xff", words), nullptr);
  EXPECT_EQ (ht_suggest (std::string (10000, 'a').c_str (), words), nullptr);
}

TEST (SuggestTest, FirstOfEqualsAndNoCandidates)
{
  const char *const words[] = { "cat", "car", nullptr };
  const char *const none[] = { nullptr };
  const char *const letters[] = { "a", nullptr };
  EXPECT_EQ (ht_suggest ("cap", words), words[0]);
  EXPECT_EQ (ht_suggest ("cap", none), nullptr);
  EXPECT_EQ (ht_suggest ("b", letters), nullptr) << "a single letter is no likeness";
}

}
