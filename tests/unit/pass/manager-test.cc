// SPDX-License-Identifier: MIT
// Steps as transactions, what a context refuses, reports, seeds, progress and cancellation.
#include "test-pass.h"

#include <cmath>

namespace
{

using test_pass::Spec;

HtGraph *
make_graph ()
{
  const char *const in[] = { "x", "w", nullptr };
  const char *const hidden[] = { "h", nullptr };
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
  ht_graph_add_node (graph, "MatMul", "", "mm", in, hidden);
  ht_graph_add_node (graph, "Relu", "", "relu", hidden, out);
  ht_graph_add_output (graph, "y", HT_DATA_TYPE_FLOAT, shape);
  return graph;
}

void
double_weight (HtGraph *graph)
{
  g_autoptr (HtTensor) copy = ht_tensor_copy (ht_graph_get_initializer (graph, "w"), nullptr);
  float *values = static_cast<float *> (ht_tensor_get_writable_data (copy));
  for (gsize i = 0; i < 4; i++)
    values[i] *= 2.0f;
  ht_graph_set_initializer (graph, "w", copy);
}

const std::vector<test_pass::Rule> changes_weights = { { HT_RULE_EFFECT, "changes-weights", "it doubles them" } };

gboolean
run_doubling (HtPass *, HtModelState *state, HtPassContext *, GError **)
{
  double_weight (ht_model_state_get_graph (state));
  return TRUE;
}

class ManagerTest : public ::testing::Test
{
protected:
  void SetUp () override
  {
    g_autoptr (HtGraph) graph = make_graph ();
    config = ht_quantization_config_new ();
    plan = ht_plan_new (config);
    state = ht_model_state_new (graph);
    ht_model_state_seal (state);
    g_autofree char *text = ht_model_state_hash (state);
    hash_before = text;
  }
  void TearDown () override
  {
    g_autofree char *text = ht_model_state_hash (state);
    EXPECT_EQ (hash_before, text) << "the given state never changes";
    g_clear_object (&manager);
    g_object_unref (plan);
    g_object_unref (state);
    g_object_unref (config);
    g_clear_error (&error);
  }
  void add (const char *id, const Spec &spec)
  {
    g_autoptr (HtPass) pass = test_pass::make (test_pass::make_type (spec));
    ht_plan_add_step (plan, id, pass);
  }
  HtModelState *run (GCancellable *cancellable = nullptr)
  {
    if (manager == nullptr)
      manager = ht_pass_manager_new (plan);
    return ht_pass_manager_run (manager, state, cancellable, &error);
  }
  std::string report (guint step)
  {
    g_autoptr (JsonNode) node = ht_pass_manager_get_step_report (manager, step);
    g_autofree char *text = node ? json_to_string (node, FALSE) : g_strdup ("none");
    return text;
  }
  HtQuantizationConfig *config = nullptr;
  HtPlan *plan = nullptr;
  HtModelState *state = nullptr;
  HtPassManager *manager = nullptr;
  GError *error = nullptr;
  std::string hash_before;
};

TEST_F (ManagerTest, RunsStepAfterStep)
{
  add ("a", { "double", changes_weights, 0, run_doubling });
  add ("b", { "double", changes_weights, 0, run_doubling });
  g_autoptr (HtModelState) result = run ();
  ASSERT_NO_GERROR (error);
  EXPECT_TRUE (ht_model_state_is_sealed (result));
  EXPECT_EQ (ht_tensor_get_double (ht_graph_get_initializer (ht_model_state_get_graph (result), "w"), 3), 16.0);
  EXPECT_GE (ht_pass_manager_get_step_seconds (manager, 1), 0.0);
  EXPECT_EQ (report (2), "none");
}

TEST_F (ManagerTest, AnEmptyPlanGivesTheStateBack)
{
  g_autoptr (HtModelState) result = run ();
  EXPECT_EQ (result, state);
}

TEST_F (ManagerTest, AFailingStepIsNamedAndDropped)
{
  add ("first", { "double", changes_weights, 0, run_doubling });
  add ("second", { "failing", changes_weights, 0, [] (HtPass *, HtModelState *s, HtPassContext *, GError **e) {
                    double_weight (ht_model_state_get_graph (s));
                    g_set_error (e, HT_ERROR, HT_ERROR_NUMERIC, "layer 'mm' diverged");
                    return FALSE;
                  } });
  add ("third", { "never", {}, 0, [] (HtPass *, HtModelState *, HtPassContext *, GError **) {
                   ADD_FAILURE () << "a step after the failed one ran";
                   return TRUE;
                 } });
  EXPECT_EQ (run (), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_NUMERIC, "step 'second' (failing): layer 'mm' diverged");
  EXPECT_NE (report (0), "none");
  EXPECT_EQ (report (1), "none");
}

TEST_F (ManagerTest, ProtocolErrorsAreThePluginsFault)
{
  add ("a", { "mute", {}, 0, [] (HtPass *, HtModelState *, HtPassContext *, GError **) { return FALSE; } });
  EXPECT_EQ (run (), nullptr);
  EXPECT_GERROR (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS, "step 'a' (mute): it failed without saying why");
}

TEST_F (ManagerTest, SuccessWithAnErrorIsNoSuccess)
{
  add ("a", { "split-minded", {}, 0, [] (HtPass *, HtModelState *, HtPassContext *, GError **e) {
               g_set_error (e, HT_ERROR, HT_ERROR_FAILED, "no");
               return TRUE;
             } });
  EXPECT_EQ (run (), nullptr);
  EXPECT_GERROR (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS, "it reported success together with an error: no");
}

TEST_F (ManagerTest, ABrokenGraphIsRefused)
{
  add ("a", { "breaking",
              { { HT_RULE_EFFECT, "changes-topology", "x" } },
              0,
              [] (HtPass *, HtModelState *s, HtPassContext *, GError **) {
                HtGraph *graph = ht_model_state_get_graph (s);
                ht_graph_set_node_input (graph, ht_graph_find_node (graph, "relu"), 0, "nowhere");
                return TRUE;
              } });
  EXPECT_EQ (run (), nullptr);
  EXPECT_GERROR (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS, "step 'a' (breaking): it left the graph broken: ");
}

TEST_F (ManagerTest, UndeclaredEffectsAreRefused)
{
  add ("a", { "sly", {}, 0, run_doubling });
  EXPECT_EQ (run (), nullptr);
  EXPECT_GERROR (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS,
                 "step 'a' (sly): it changed 'w' without declaring any of the effects");
}

TEST_F (ManagerTest, UndeclaredTopologyIsRefused)
{
  add ("a", { "rewiring", changes_weights, 0, [] (HtPass *, HtModelState *s, HtPassContext *, GError **) {
               HtGraph *graph = ht_model_state_get_graph (s);
               ht_graph_bypass_node (graph, ht_graph_find_node (graph, "relu"));
               return TRUE;
             } });
  EXPECT_EQ (run (), nullptr);
  EXPECT_GERROR (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS, "without declaring the effect changes-topology");
}

TEST_F (ManagerTest, AnIllegalPlanDoesNotRun)
{
  add ("a", { "demanding", { { HT_RULE_REQUIRES, HT_FACT_EQUALIZED, "it says so" } }, 0, run_doubling });
  EXPECT_EQ (run (), nullptr);
  EXPECT_GERROR (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNSATISFIED, "step 'a' (demanding) requires");
}

TEST_F (ManagerTest, TheReferenceStaysWithTheOneWhoSplits)
{
  add ("a", { "quantizing", changes_weights, HT_PASS_READS_REFERENCE_NETWORK,
              [] (HtPass *, HtModelState *s, HtPassContext *context, GError **e) {
                ht_model_state_split_reference (s);
                double_weight (ht_model_state_get_graph (s));
                return ht_pass_context_get_reference (context, s, e) == ht_model_state_get_reference (s);
              } });
  g_autoptr (HtModelState) result = run ();
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (ht_tensor_get_double (ht_graph_get_initializer (ht_model_state_get_reference (result), "w"), 0), 1.0);
  EXPECT_EQ (ht_tensor_get_double (ht_graph_get_initializer (ht_model_state_get_graph (result), "w"), 0), 2.0);
}

TEST_F (ManagerTest, TheContextRefusesWhatWasNotDeclared)
{
  add ("a",
       { "nosy", {}, 0, [] (HtPass *, HtModelState *s, HtPassContext *context, GError **) {
          GError *e = nullptr;
          EXPECT_EQ (ht_pass_context_get_calibration (context, &e), nullptr);
          [&] {
            EXPECT_GERROR (e, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "does not declare HT_PASS_READS_CALIBRATION_DATA");
          }();
          EXPECT_EQ (ht_pass_context_get_quantization (context, &e), nullptr);
          [&] {
            EXPECT_GERROR (e, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "does not declare HT_PASS_READS_WEIGHT_SETTINGS or");
          }();
          EXPECT_EQ (ht_pass_context_create_simulation (context, s, &e), nullptr);
          [&] { EXPECT_GERROR (e, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "HT_PASS_READS_ACTIVATION_SETTINGS"); }();
          EXPECT_EQ (ht_pass_context_get_reference (context, s, &e), nullptr);
          [&] {
            EXPECT_GERROR (e, HT_ERROR, HT_ERROR_INVALID_ARGUMENT, "does not declare HT_PASS_READS_REFERENCE_NETWORK");
          }();
          return TRUE;
        } });
  g_autoptr (HtModelState) result = run ();
  ASSERT_NO_GERROR (error);
}

TEST_F (ManagerTest, WhatWasDeclaredIsGiven)
{
  HtQuantizationConfig *expected = config;
  add ("a", { "reader",
              {},
              HT_PASS_READS_WEIGHT_SETTINGS | HT_PASS_READS_ACTIVATION_SETTINGS | HT_PASS_READS_CALIBRATION_DATA,
              [expected] (HtPass *, HtModelState *s, HtPassContext *context, GError **) {
                GError *e = nullptr;
                EXPECT_EQ (ht_pass_context_get_quantization (context, &e), expected);
                g_autoptr (HtSimulation) simulation = ht_pass_context_create_simulation (context, s, &e);
                EXPECT_NE (simulation, nullptr) << e->message;
                g_clear_error (&e);
                EXPECT_EQ (ht_pass_context_get_calibration (context, &e), nullptr);
                [&] { EXPECT_GERROR (e, HT_ERROR, HT_ERROR_NOT_FOUND, "give them as 'data.calibration'"); }();
                EXPECT_STREQ (ht_pass_context_get_step (context), "a");
                EXPECT_EQ (ht_pass_context_get_batch (context), 1u);
                return TRUE;
              } });
  g_autoptr (HtModelState) result = run ();
  ASSERT_NO_GERROR (error);
}

TEST_F (ManagerTest, TheReportIsTheSameEachTime)
{
  add ("talk", { "talking", {}, 0, [] (HtPass *, HtModelState *, HtPassContext *context, GError **) {
                  ht_pass_context_skip (context, "mm", "its weight is shared");
                  ht_pass_context_note (context, "relu", "left as it is");
                  ht_pass_context_add_row (context, "layers", "mm", "before", 0.5);
                  ht_pass_context_add_row (context, "layers", "relu", "before", 1.0);
                  ht_pass_context_add_row (context, "layers", "mm", "after", NAN);
                  return TRUE;
                } });
  ASSERT_TRUE (ht_object_set_param_string (G_OBJECT (ht_plan_get_step_pass (plan, 0)), "mode", "learned", nullptr));
  const char *expected = "{\"id\":\"talk\",\"pass\":\"talking\",\"version\":null,\"parameters\":{\"mode\":\"learned\","
                         "\"iterations\":10000,"
                         "\"fast\":false},\"notes\":[{\"subject\":\"relu\",\"text\":\"left as it "
                         "is\"}],\"skipped\":[{\"subject\":\"mm\","
                         "\"reason\":\"its weight is "
                         "shared\"}],\"tables\":{\"layers\":[{\"subject\":\"mm\",\"before\":0.5,\"after\":null},"
                         "{\"subject\":\"relu\",\"before\":1.0}]}}";
  for (int i = 0; i < 2; i++)
    {
      g_autoptr (HtModelState) result = run ();
      ASSERT_NO_GERROR (error);
      EXPECT_EQ (report (0), expected);
    }
}

TEST_F (ManagerTest, SeedsAreThoseOfTheFormula)
{
  // Python: int.from_bytes(hashlib.sha256((7).to_bytes(8, 'little') + b'round\0' + b'w\0').digest()[:8], 'little')
  static guint64 seeds[3];
  auto ask = [] (HtPass *, HtModelState *, HtPassContext *context, GError **) {
    seeds[0] = ht_pass_context_get_seed (context, "w");
    seeds[1] = ht_pass_context_get_seed (context, "w2");
    seeds[2] = ht_pass_context_get_seed (context, "w");
    return TRUE;
  };
  add ("round", { "random", {}, 0, ask });
  manager = ht_pass_manager_new (plan);
  ht_pass_manager_set_seed (manager, 7);
  g_autoptr (HtModelState) result = run ();
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (seeds[0], G_GUINT64_CONSTANT (9694198141402400634));
  EXPECT_EQ (seeds[0], seeds[2]);
  EXPECT_NE (seeds[0], seeds[1]);
}

TEST_F (ManagerTest, ProgressRisesToOne)
{
  auto work = [] (HtPass *, HtModelState *, HtPassContext *context, GError **e) -> gboolean {
    for (guint64 i = 0; i <= 1000; i++)
      if (!ht_pass_context_progress (context, i, 1000, e))
        return FALSE;
    return TRUE;
  };
  struct Told
  {
    std::vector<double> fractions;
    std::string message;
    bool freed = false;
  } told;
  add ("a", { "worker", {}, 0, work });
  add ("b", { "worker", {}, 0, work });
  manager = ht_pass_manager_new (plan);
  ht_pass_manager_set_progress (
      manager,
      [] (double fraction, const char *message, gpointer data) {
        static_cast<Told *> (data)->fractions.push_back (fraction);
        static_cast<Told *> (data)->message = message;
      },
      &told, [] (gpointer data) { static_cast<Told *> (data)->freed = true; });
  g_autoptr (HtModelState) result = run ();
  ASSERT_NO_GERROR (error);
  ASSERT_FALSE (told.fractions.empty ());
  for (size_t i = 1; i < told.fractions.size (); i++)
    EXPECT_LE (told.fractions[i - 1], told.fractions[i]);
  EXPECT_EQ (told.fractions.back (), 1.0);
  EXPECT_EQ (told.message, "step 'b' (worker)");
  EXPECT_LT (told.fractions.size (), 500u) << "not every call is told";
  g_clear_object (&manager);
  EXPECT_TRUE (told.freed);
}

TEST_F (ManagerTest, CancelledAtEachCheckTheStateStays)
{
  static int checks, cancel_at;
  auto work = [] (HtPass *, HtModelState *s, HtPassContext *context, GError **e) -> gboolean {
    for (int i = 0; i < 3; i++)
      {
        double_weight (ht_model_state_get_graph (s));
        if (++checks == cancel_at)
          g_cancellable_cancel (ht_pass_context_get_cancellable (context));
        if (!ht_pass_context_progress (context, i, 3, e))
          return FALSE;
      }
    return TRUE;
  };
  add ("a", { "worker", changes_weights, 0, work });
  add ("b", { "worker", changes_weights, 0, work });
  for (cancel_at = 1; cancel_at <= 6; cancel_at++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      checks = 0;
      EXPECT_EQ (run (cancellable), nullptr) << cancel_at;
      EXPECT_GERROR (error, G_IO_ERROR, G_IO_ERROR_CANCELLED,
                     cancel_at <= 3 ? "step 'a' (worker): " : "step 'b' (worker): ");
      EXPECT_EQ (checks, cancel_at);
    }
  g_autoptr (GCancellable) before = g_cancellable_new ();
  g_cancellable_cancel (before);
  checks = 0;
  EXPECT_EQ (run (before), nullptr);
  EXPECT_EQ (checks, 0);
}

TEST_F (ManagerTest, AStepMayMoveFixedEncodingsOnlyWhereItDeclaresThat)
{
  const double scale = 0.1, other = 0.2;
  const gint64 offset = -128;
  g_autoptr (HtEncoding) encoding = ht_encoding_new (8, TRUE, FALSE, -1, &scale, &offset, 1, nullptr);
  g_autoptr (HtModelState) edited = ht_model_state_edit (state);
  ASSERT_TRUE (ht_model_state_set_encoding (edited, "w", encoding, HT_ENCODING_FIXED, &error));
  ht_model_state_seal (edited);
  auto move = [&] (HtPass *, HtModelState *s, HtPassContext *, GError **e) -> gboolean {
    g_autoptr (HtEncoding) moved = ht_encoding_new (8, TRUE, FALSE, -1, &other, &offset, 1, nullptr);
    return ht_model_state_set_encoding (s, "w", moved, HT_ENCODING_FIXED, e);
  };
  add ("a", { "moving", {}, 0, move });
  manager = ht_pass_manager_new (plan);
  EXPECT_EQ (ht_pass_manager_run (manager, edited, nullptr, &error), nullptr);
  EXPECT_GERROR (error, HT_ERROR, HT_ERROR_CONFLICT, "step 'a' (moving): cannot move the encoding of 'w'");

  g_autoptr (HtPlan) second = ht_plan_new (config);
  g_autoptr (HtPass) pass = test_pass::make (
      test_pass::make_type ({ "carrying", { { HT_RULE_CARRIES_ENCODINGS, "changes-weights", "along" } }, 0, move }));
  ht_plan_add_step (second, "a", pass);
  g_autoptr (HtPassManager) other_manager = ht_pass_manager_new (second);
  g_autoptr (HtModelState) result = ht_pass_manager_run (other_manager, edited, nullptr, &error);
  ASSERT_NO_GERROR (error);
  EXPECT_EQ (ht_encoding_get_scales (ht_model_state_get_encoding (result, "w", nullptr), nullptr)[0], 0.2);
}

}
