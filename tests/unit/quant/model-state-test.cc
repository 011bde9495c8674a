// SPDX-License-Identifier: MIT
// Sealing, copy on write, the reference network, who may move an encoding, the content hash.
#include "support.h"

#include <string>
#include <thread>
#include <vector>

extern "C"
{
#include "quant/model-state-private.h"
}

namespace
{

HtGraph *
make_graph ()
{
  const char *const in[] = { "x", "w", nullptr };
  const char *const out[] = { "y", nullptr };
  const float weight[] = { 1.0f, 2.0f, 3.0f, 4.0f };
  const gint64 dims[] = { 2, 2 };
  HtGraph *graph = ht_graph_new ("g");
  g_autoptr (HtShape) shape = ht_shape_new (dims, nullptr, 2);
  g_autoptr (HtTensor) flat = ht_tensor_new_floats (weight, 4);
  g_autoptr (HtTensor) tensor = ht_tensor_reshape (flat, dims, 2, nullptr);
  ht_graph_set_opset (graph, "", 13);
  ht_graph_add_input (graph, "x", HT_DATA_TYPE_FLOAT, shape);
  ht_graph_set_initializer (graph, "w", tensor);
  ht_graph_add_node (graph, "MatMul", "", "mm", in, out);
  ht_graph_add_output (graph, "y", HT_DATA_TYPE_FLOAT, shape);
  return graph;
}

HtEncoding *
make_encoding (double scale)
{
  gint64 offset = -128;
  return ht_encoding_new (8, TRUE, FALSE, -1, &scale, &offset, 1, nullptr);
}

void
set_weight (HtGraph *graph, float value)
{
  const float values[] = { value, value, value, value };
  const gint64 dims[] = { 2, 2 };
  g_autoptr (HtTensor) flat = ht_tensor_new_floats (values, 4);
  g_autoptr (HtTensor) tensor = ht_tensor_reshape (flat, dims, 2, nullptr);
  ht_graph_set_initializer (graph, "w", tensor);
}

double
get_weight (HtGraph *graph)
{
  return ht_tensor_get_double (ht_graph_get_initializer (graph, "w"), 0);
}

std::string
hash (HtModelState *state)
{
  g_autofree char *text = ht_model_state_hash (state);
  return text;
}

class ModelStateTest : public ::testing::Test
{
protected:
  void SetUp () override
  {
    g_autoptr (HtGraph) graph = make_graph ();
    state = ht_model_state_new (graph);
  }
  void TearDown () override
  {
    g_object_unref (state);
    g_clear_error (&error);
  }
  HtModelState *state = nullptr;
  GError *error = nullptr;
};

TEST_F (ModelStateTest, EditingACopyLeavesTheParentAlone)
{
  ht_model_state_seal (state);
  EXPECT_TRUE (ht_model_state_is_sealed (state));
  EXPECT_TRUE (ht_graph_is_sealed (ht_model_state_get_graph (state)));
  std::string before = hash (state);
  g_autoptr (HtModelState) copy = ht_model_state_edit (state);
  EXPECT_FALSE (ht_model_state_is_sealed (copy));
  EXPECT_EQ (hash (copy), before) << "the same content, sealed or not";
  set_weight (ht_model_state_get_graph (copy), 9.0f);
  EXPECT_EQ (get_weight (ht_model_state_get_graph (state)), 1.0);
  EXPECT_NE (hash (copy), before);
  EXPECT_EQ (hash (state), before);
}

TEST_F (ModelStateTest, ReferenceIsTheGraphUntilTheySplit)
{
  EXPECT_EQ (ht_model_state_get_reference (state), ht_model_state_get_graph (state));
  ht_model_state_seal (state);
  g_autoptr (HtModelState) folded = ht_model_state_edit (state);
  EXPECT_EQ (ht_model_state_get_reference (folded), ht_model_state_get_graph (folded)) << "one copy, two names";
  g_autoptr (GPtrArray) one = ht_model_state_list_networks (folded);
  EXPECT_EQ (one->len, 1u);
  set_weight (ht_model_state_get_graph (folded), 5.0f);
  EXPECT_EQ (get_weight (ht_model_state_get_reference (folded)), 5.0);

  ht_model_state_split_reference (folded);
  ht_model_state_split_reference (folded);
  g_autoptr (GPtrArray) two = ht_model_state_list_networks (folded);
  EXPECT_EQ (two->len, 2u);
  set_weight (ht_model_state_get_graph (folded), 6.0f);
  EXPECT_EQ (get_weight (ht_model_state_get_reference (folded)), 5.0) << "the teacher stays";
  ht_model_state_seal (folded);
  EXPECT_TRUE (ht_graph_is_sealed (ht_model_state_get_reference (folded)));

  g_autoptr (HtModelState) later = ht_model_state_edit (folded);
  EXPECT_NE (ht_model_state_get_reference (later), ht_model_state_get_graph (later));
  set_weight (ht_model_state_get_reference (later), 7.0f);
  EXPECT_EQ (get_weight (ht_model_state_get_reference (folded)), 5.0);
  EXPECT_EQ (get_weight (ht_model_state_get_graph (later)), 6.0);
}

TEST_F (ModelStateTest, SplittingShowsInTheHash)
{
  std::string together = hash (state);
  ht_model_state_split_reference (state);
  std::string apart = hash (state);
  EXPECT_NE (together, apart);
  set_weight (ht_model_state_get_reference (state), 3.0f);
  EXPECT_NE (hash (state), apart);
}

TEST_F (ModelStateTest, EncodingsHaveAStatus)
{
  g_autoptr (HtEncoding) a = make_encoding (0.1);
  g_autoptr (HtEncoding) b = make_encoding (0.2);
  g_autoptr (HtEncoding) a_again = make_encoding (0.1);
  HtEncodingStatus status = HT_ENCODING_PINNED;
  EXPECT_EQ (ht_model_state_get_encoding (state, "y", &status), nullptr);
  EXPECT_EQ (status, HT_ENCODING_OPEN);
  ASSERT_TRUE (ht_model_state_set_encoding (state, "y", a, HT_ENCODING_OPEN, &error));
  ASSERT_TRUE (ht_model_state_set_encoding (state, "y", b, HT_ENCODING_OPEN, &error)) << "an open one moves";
  ASSERT_TRUE (ht_model_state_set_encoding (state, "y", a, HT_ENCODING_FIXED, &error));
  EXPECT_TRUE (ht_model_state_set_encoding (state, "y", a_again, HT_ENCODING_OPEN, &error)) << "no change, no refusal";
  EXPECT_EQ (ht_model_state_get_encoding (state, "y", &status), a);
  EXPECT_EQ (status, HT_ENCODING_FIXED) << "and nothing is loosened";
  EXPECT_FALSE (ht_model_state_set_encoding (state, "y", b, HT_ENCODING_OPEN, &error)) << "calibration leaves it";
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_CONFLICT, "cannot move the encoding of 'y': it is fixed");
  EXPECT_TRUE (ht_model_state_set_encoding (state, "y", b, HT_ENCODING_PINNED, &error));
  EXPECT_FALSE (ht_model_state_set_encoding (state, "y", a, HT_ENCODING_PINNED, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_CONFLICT, "it is pinned; drop it first");
  EXPECT_TRUE (ht_model_state_drop_encoding (state, "y", &error)) << "the user may";
  EXPECT_TRUE (ht_model_state_drop_encoding (state, "y", &error));
  ASSERT_TRUE (ht_model_state_set_encoding (state, "b", a, HT_ENCODING_OPEN, &error));
  ASSERT_TRUE (ht_model_state_set_encoding (state, "a", a, HT_ENCODING_OPEN, &error));
  g_auto (GStrv) names = ht_model_state_list_encodings (state);
  g_autofree char *list = g_strjoinv (",", names);
  EXPECT_STREQ (list, "a,b");
}

TEST_F (ModelStateTest, AStepMovesWhatItContinues)
{
  g_autoptr (HtEncoding) a = make_encoding (0.1);
  g_autoptr (HtEncoding) b = make_encoding (0.2);
  ht_model_state_set_encoding (state, "open", a, HT_ENCODING_OPEN, nullptr);
  ht_model_state_set_encoding (state, "fixed", a, HT_ENCODING_FIXED, nullptr);
  ht_model_state_set_encoding (state, "pinned", a, HT_ENCODING_PINNED, nullptr);
  ht_model_state_seal (state);

  g_autoptr (HtModelState) plain = ht_model_state_edit (state);
  ht_model_state_begin_step (plain, FALSE);
  EXPECT_TRUE (ht_model_state_set_encoding (plain, "open", b, HT_ENCODING_FIXED, &error));
  EXPECT_FALSE (ht_model_state_set_encoding (plain, "fixed", b, HT_ENCODING_FIXED, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_CONFLICT, "declares neither to continue it nor to carry encodings along");
  EXPECT_FALSE (ht_model_state_drop_encoding (plain, "fixed", &error));
  g_clear_error (&error);
  EXPECT_FALSE (ht_model_state_set_encoding (plain, "new", b, HT_ENCODING_PINNED, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_CONFLICT, "only the user pins");

  g_autoptr (HtModelState) continuing = ht_model_state_edit (state);
  ht_model_state_begin_step (continuing, TRUE);
  EXPECT_TRUE (ht_model_state_set_encoding (continuing, "fixed", b, HT_ENCODING_FIXED, &error));
  EXPECT_TRUE (ht_model_state_drop_encoding (continuing, "fixed", &error));
  EXPECT_FALSE (ht_model_state_set_encoding (continuing, "pinned", b, HT_ENCODING_FIXED, &error));
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_CONFLICT, "the user pinned it");
  EXPECT_FALSE (ht_model_state_drop_encoding (continuing, "pinned", &error));
  g_clear_error (&error);
  EXPECT_TRUE (ht_model_state_set_encoding (continuing, "pinned", a, HT_ENCODING_FIXED, &error)) << "the same again";
  HtEncodingStatus status;
  ht_model_state_get_encoding (continuing, "pinned", &status);
  EXPECT_EQ (status, HT_ENCODING_PINNED);
  EXPECT_TRUE (ht_encoding_equal (ht_model_state_get_encoding (state, "fixed", nullptr), a)) << "the parent's stays";
}

TEST_F (ModelStateTest, TheHashSeesEveryPart)
{
  g_autoptr (HtEncoding) a = make_encoding (0.1);
  g_autoptr (HtEncoding) b = make_encoding (0.1 + 1e-17 * 8);
  std::vector<std::string> hashes = { hash (state) };
  auto note = [&] { hashes.push_back (hash (state)); };
  ht_model_state_set_encoding (state, "y", a, HT_ENCODING_OPEN, nullptr);
  note ();
  ht_model_state_set_encoding (state, "y", a, HT_ENCODING_FIXED, nullptr);
  note ();
  ht_model_state_drop_encoding (state, "y", nullptr);
  ht_model_state_set_encoding (state, "z", a, HT_ENCODING_OPEN, nullptr);
  note ();
  ht_model_state_set_encoding (state, "z", b, HT_ENCODING_OPEN, nullptr);
  if (!ht_encoding_equal (a, b))
    note ();
  g_autoptr (HtBatchnormStatistics) statistics = ht_batchnorm_statistics_new ();
  ht_model_state_set_artifact (state, HT_ARTIFACT_BATCHNORM_STATISTICS, G_OBJECT (statistics));
  note ();
  const double one = 1.0, two = 2.0;
  ht_batchnorm_statistics_set (statistics, "y", &one, &two, 1);
  note ();
  ht_batchnorm_statistics_set (statistics, "y", &two, &one, 1);
  note ();
  ht_model_state_set_artifact (state, "other-name", G_OBJECT (statistics));
  note ();
  for (size_t i = 0; i < hashes.size (); i++)
    for (size_t j = 0; j < i; j++)
      EXPECT_NE (hashes[i], hashes[j]) << i << " and " << j;
  EXPECT_EQ (hashes[0].size (), 64u);
}

TEST_F (ModelStateTest, ArtifactsAreCopiedWhenAnEditableStateGivesThemOut)
{
  const double mean = 1.0, deviation = 2.0, factor = -3.0;
  gsize n = 0;
  g_autoptr (HtBatchnormStatistics) statistics = ht_batchnorm_statistics_new ();
  ht_batchnorm_statistics_set (statistics, "y", &mean, &deviation, 1);
  ht_model_state_set_artifact (state, HT_ARTIFACT_BATCHNORM_STATISTICS, G_OBJECT (statistics));
  ht_model_state_seal (state);
  std::string before = hash (state);

  g_autoptr (HtModelState) copy = ht_model_state_edit (state);
  EXPECT_EQ (hash (copy), before);
  auto *own = HT_BATCHNORM_STATISTICS (ht_model_state_get_artifact (copy, HT_ARTIFACT_BATCHNORM_STATISTICS));
  ASSERT_NE (own, statistics);
  EXPECT_EQ (ht_model_state_get_artifact (copy, HT_ARTIFACT_BATCHNORM_STATISTICS), G_OBJECT (own)) << "copied once";
  ht_batchnorm_statistics_scale (own, "y", &factor, 1);
  EXPECT_EQ (ht_batchnorm_statistics_get_means (own, "y", &n)[0], -3.0);
  EXPECT_EQ (ht_batchnorm_statistics_get_deviations (own, "y", &n)[0], 6.0);
  EXPECT_EQ (ht_batchnorm_statistics_get_means (statistics, "y", &n)[0], 1.0);
  EXPECT_EQ (n, 1u);
  EXPECT_EQ (hash (state), before);
  EXPECT_NE (hash (copy), before);
  ht_model_state_set_artifact (copy, HT_ARTIFACT_BATCHNORM_STATISTICS, nullptr);
  EXPECT_EQ (ht_model_state_get_artifact (copy, HT_ARTIFACT_BATCHNORM_STATISTICS), nullptr);
  EXPECT_NE (ht_model_state_get_artifact (state, HT_ARTIFACT_BATCHNORM_STATISTICS), nullptr);
}

TEST_F (ModelStateTest, ASealedStateIsSharedBetweenThreads)
{
  ht_model_state_seal (state);
  std::vector<std::thread> threads;
  std::vector<std::string> hashes (8);
  for (size_t i = 0; i < hashes.size (); i++)
    threads.emplace_back ([&, i] {
      g_autoptr (HtModelState) copy = ht_model_state_edit (state);
      set_weight (ht_model_state_get_graph (copy), 8.0f);
      hashes[i] = hash (state) + hash (copy);
    });
  for (std::thread &thread : threads)
    thread.join ();
  for (const std::string &text : hashes)
    EXPECT_EQ (text, hashes[0]);
}

TEST (BatchnormStatisticsTest, FollowsWhatIsDoneToATensor)
{
  g_autoptr (HtBatchnormStatistics) self = ht_batchnorm_statistics_new ();
  const double means[] = { 1.0, -2.0 }, deviations[] = { 0.5, 0.25 }, factors[] = { 2.0, -4.0 },
               shifts[] = { 1.0, 1.0 };
  gsize n;
  ht_batchnorm_statistics_set (self, "b", means, deviations, 2);
  ht_batchnorm_statistics_set (self, "a", means, deviations, 2);
  ht_batchnorm_statistics_scale (self, "b", factors, 2);
  ht_batchnorm_statistics_shift (self, "b", shifts, 2);
  ht_batchnorm_statistics_scale (self, "unknown", factors, 2);
  EXPECT_EQ (ht_batchnorm_statistics_get_means (self, "b", &n)[0], 3.0);
  EXPECT_EQ (ht_batchnorm_statistics_get_means (self, "b", &n)[1], 9.0);
  EXPECT_EQ (ht_batchnorm_statistics_get_deviations (self, "b", &n)[0], 1.0);
  EXPECT_EQ (ht_batchnorm_statistics_get_deviations (self, "b", &n)[1], 1.0);
  EXPECT_EQ (n, 2u);
  EXPECT_FALSE (ht_batchnorm_statistics_has (self, "unknown"));
  EXPECT_EQ (ht_batchnorm_statistics_get_means (self, "unknown", &n), nullptr);
  EXPECT_EQ (n, 0u);
  g_auto (GStrv) names = ht_batchnorm_statistics_list (self);
  g_autofree char *list = g_strjoinv (",", names);
  EXPECT_STREQ (list, "a,b");
  ht_batchnorm_statistics_drop (self, "b");
  EXPECT_FALSE (ht_batchnorm_statistics_has (self, "b"));
  EXPECT_TRUE (ht_batchnorm_statistics_has (self, "a"));
}

}
