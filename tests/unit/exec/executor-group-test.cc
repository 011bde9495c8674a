// SPDX-License-Identifier: MIT
// Groups of executors: what they share, and what they refuse.
#include "small-graph.h"

#include <cmath>

using small::Builder;
using small::floats;
using small::Table;
using small::values;

namespace
{

HtEncoding *
grid (double scale)
{
  const gint64 offset = -8;
  return ht_encoding_new (4, FALSE, FALSE, -1, &scale, &offset, 1, nullptr);
}

// y = tan (sin (cos (x))): three steps, whatever the layout.
class Groups : public testing::Test
{
protected:
  Groups ()
  {
    builder_.input ("x", { 3 });
    builder_.node ("Cos", { "x" }, { "a" });
    builder_.node ("Sin", { "a" }, { "b" });
    builder_.node ("Tan", { "b" }, { "y" });
    builder_.output ("y");
    ht_graph_seal (builder_.graph ());
    in_.add ("x", floats ({ 3 }, { 0.3f, 1.1f, -0.4f }));
  }
  HtExecutor *make (std::vector<std::pair<const char *, double> > grids)
  {
    HtExecutor *executor = ht_executor_new (builder_.graph (), nullptr);
    for (auto &[tensor, scale] : grids)
      {
        g_autoptr (HtEncoding) encoding = grid (scale);
        ht_executor_set_encoding (executor, tensor, encoding);
      }
    return executor;
  }
  // Of each executor of the group, in its order.
  std::vector<std::vector<float> > run (HtExecutorGroup *group)
  {
    std::vector<std::vector<float> > results (ht_executor_group_get_n_executors (group));
    auto take = [] (guint index, GHashTable *tensors, gpointer data, GError **) -> gboolean {
      (*(std::vector<std::vector<float> > *)data)[index] = values ((HtTensor *)g_hash_table_lookup (tensors, "y"));
      return TRUE;
    };
    GError *error = nullptr;
    EXPECT_TRUE (ht_executor_group_run (group, in_, nullptr, take, &results, nullptr, &error)) << error->message;
    return results;
  }

  Builder builder_;
  Table in_;
};

}

TEST_F (Groups, DoCommonStepsOnce)
{
  g_autoptr (HtExecutorGroup) group = ht_executor_group_new ();
  const std::vector<std::vector<std::pair<const char *, double> > > all
      = { {}, { { "b", 0.2 } }, { { "y", 0.2 } }, { { "a", 0.3 } }, { { "a", 0.3 }, { "y", 0.2 } }, { { "x", 0.25 } } };
  std::vector<std::vector<float> > alone;
  for (auto &grids : all)
    {
      g_autoptr (HtExecutor) executor = make (grids);
      ASSERT_TRUE (ht_executor_group_add (group, executor, nullptr));
      g_autoptr (HtExecutor) other = make (grids);
      Table out (ht_executor_run (other, in_, nullptr, nullptr, nullptr));
      alone.push_back (values (out["y"]));
    }
  EXPECT_EQ (run (group), alone);
  // The steps of one: 3. Of the others: from b on 2, y alone 1, from a on 3, y of that 1, all 3.
  EXPECT_DOUBLE_EQ (ht_executor_group_get_work (group), 13.0 / 18.0);
  EXPECT_EQ (run (group), alone);
}

TEST_F (Groups, DoNothingTwiceForTheSameExecutor)
{
  g_autoptr (HtExecutorGroup) group = ht_executor_group_new ();
  for (int i = 0; i < 4; i++)
    {
      g_autoptr (HtExecutor) executor = make ({ { "a", 0.3 } });
      ASSERT_TRUE (ht_executor_group_add (group, executor, nullptr));
    }
  std::vector<std::vector<float> > results = run (group);
  for (int i = 1; i < 4; i++)
    EXPECT_EQ (results[i], results[0]);
  EXPECT_DOUBLE_EQ (ht_executor_group_get_work (group), 0.25);
}

TEST_F (Groups, SeeEncodingsThatChange)
{
  g_autoptr (HtExecutorGroup) group = ht_executor_group_new ();
  g_autoptr (HtExecutor) plain = make ({}), changing = make ({ { "a", 0.3 } });
  ASSERT_TRUE (ht_executor_group_add (group, plain, nullptr));
  ASSERT_TRUE (ht_executor_group_add (group, changing, nullptr));
  auto before = run (group);
  g_autoptr (HtEncoding) coarse = grid (0.5);
  ht_executor_set_encoding (changing, "a", coarse);
  auto after = run (group);
  EXPECT_EQ (before[0], after[0]);
  EXPECT_NE (before[1], after[1]);
  ht_executor_set_encoding (changing, "a", nullptr);
  EXPECT_EQ (run (group)[1], before[0]);
  // Alone afterwards, with memory of its own again.
  Table out (ht_executor_run (plain, in_, nullptr, nullptr, nullptr));
  EXPECT_EQ (values (out["y"]), before[0]);
}

TEST_F (Groups, RefuseExecutorsOfOtherGraphs)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtExecutorGroup) group = ht_executor_group_new ();
  g_autoptr (HtExecutor) one = make ({});
  Builder other;
  other.input ("x", { 3 });
  other.node ("Cos", { "x" }, { "y" });
  other.output ("y");
  g_autoptr (HtExecutor) foreign = ht_executor_new (other.graph (), nullptr);
  ASSERT_TRUE (ht_executor_group_add (group, one, &error));
  EXPECT_FALSE (ht_executor_group_can_add (group, foreign));
  EXPECT_FALSE (ht_executor_group_add (group, foreign, &error));
  EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT));
  g_clear_error (&error);
  EXPECT_FALSE (ht_executor_group_add (group, one, &error));
  EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT));
}

TEST_F (Groups, StopWhereTheCallerSaysSo)
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtExecutorGroup) group = ht_executor_group_new ();
  for (double scale : { 0.1, 0.2, 0.3 })
    {
      g_autoptr (HtExecutor) executor = make ({ { "b", scale } });
      ASSERT_TRUE (ht_executor_group_add (group, executor, nullptr));
    }
  auto refuse = [] (guint, GHashTable *, gpointer data, GError **failure) -> gboolean {
    ++*(int *)data;
    g_set_error_literal (failure, HT_ERROR, HT_ERROR_FAILED, "enough");
    return FALSE;
  };
  int calls = 0;
  EXPECT_FALSE (ht_executor_group_run (group, in_, nullptr, refuse, &calls, nullptr, &error));
  EXPECT_STREQ (error->message, "enough");
  EXPECT_EQ (calls, 1);
  g_clear_error (&error);
  Table nothing;
  EXPECT_FALSE (ht_executor_group_run (group, nothing, nullptr, refuse, &calls, nullptr, &error));
  EXPECT_TRUE (g_error_matches (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT));
  EXPECT_EQ (run (group).size (), 3u);
}
