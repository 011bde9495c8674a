// SPDX-License-Identifier: MIT
// The laws of combination, each from what small techniques declare.
#include "test-pass.h"

#include <map>

namespace
{

using test_pass::Spec;

const char *const why = "because the test says so";

// One technique for each part that the laws of combination speak of.
const std::map<std::string, Spec> &
specs ()
{
  static const std::map<std::string, Spec> all = {
    { "fold",
      { "fold",
        { { HT_RULE_ENDS, HT_FACT_BATCHNORM_LIVE, "the factor goes into the weights" },
          { HT_RULE_PROVIDES, HT_FACT_BATCHNORM_STATISTICS, why },
          { HT_RULE_EFFECT, "changes-weights", why },
          { HT_RULE_EFFECT, "changes-topology", why },
          { HT_RULE_CARRIES_ENCODINGS, "changes-weights", "to scale" },
          { HT_RULE_BEFORE, HT_FACT_EQUALIZED, "folded weights are the ones to equalize" } } } },
    { "equalize",
      { "equalize",
        { { HT_RULE_REQUIRES_NOT, HT_FACT_BATCHNORM_LIVE, "a batch norm undoes the scaling", nullptr, "Nagel 2019" },
          { HT_RULE_REQUIRES_NOT, HT_FACT_WEIGHTS_ROUNDED, "it needs floating-point weights" },
          { HT_RULE_PROVIDES, HT_FACT_EQUALIZED, why },
          { HT_RULE_EFFECT, "changes-weights", why },
          { HT_RULE_EFFECT, "rescales-channels", why } } } },
    { "absorb",
      { "absorb",
        { { HT_RULE_REQUIRES, HT_FACT_EQUALIZED, "only equalized layers have high biases" },
          { HT_RULE_REQUIRES, HT_FACT_BATCHNORM_STATISTICS, "it needs the distribution" },
          { HT_RULE_EFFECT, "changes-biases", why } } } },
    { "round",
      { "round",
        { { HT_RULE_PROVIDES, HT_FACT_WEIGHTS_ROUNDED, "each weight gets one of two codes" },
          { HT_RULE_CONFLICTS, HT_FACT_BIAS_CORRECTED, "both correct the same error", nullptr, "AIMET" },
          { HT_RULE_EFFECT, "changes-weights", why },
          { HT_RULE_AFTER, HT_FACT_WEIGHT_ENCODINGS_FIXED, "rounding needs the final grid" } } } },
    { "rescale-round",
      { "rescale-round",
        { { HT_RULE_PROVIDES, HT_FACT_WEIGHTS_ROUNDED, "it learns the rounding" },
          { HT_RULE_EFFECT, "changes-weights", why } } } },
    { "correct",
      { "correct", { { HT_RULE_PROVIDES, HT_FACT_BIAS_CORRECTED, why }, { HT_RULE_EFFECT, "changes-biases", why } } } },
    { "tune",
      { "tune",
        { { HT_RULE_CONTINUES, HT_FACT_WEIGHTS_ROUNDED, "training keeps the weights on the grid" },
          { HT_RULE_PROVIDES, HT_FACT_RANGES_LEARNED, why },
          { HT_RULE_EFFECT, "changes-weights", why },
          { HT_RULE_EFFECT, "changes-biases", why } } } },
    { "tune-after-correction",
      { "tune-after-correction",
        { { HT_RULE_CONTINUES, HT_FACT_BIAS_CORRECTED, why }, { HT_RULE_EFFECT, "changes-weights", why } } } },
    { "change", { "change", { { HT_RULE_EFFECT, "changes-weights", why } } } },
    { "carry",
      { "carry",
        { { HT_RULE_EFFECT, "changes-weights", why }, { HT_RULE_CARRIES_ENCODINGS, "changes-weights", why } } } },
    { "grid",
      { "grid",
        { { HT_RULE_EFFECT, "changes-weight-grid", why },
          { HT_RULE_PROVIDES, HT_FACT_WEIGHT_ENCODINGS_FIXED, why } } } },
    { "reestimate",
      { "reestimate",
        { { HT_RULE_REQUIRES, HT_FACT_BATCHNORM_LIVE, "there must be statistics to estimate" },
          { HT_RULE_REQUIRES, HT_FACT_RANGES_LEARNED, "it repairs what training did" },
          { HT_RULE_REQUIRES_SETTING, "per-channel weights", "the result is folded into the scales",
            "weights.granularity = channel" },
          { HT_RULE_EFFECT, "changes-biases", why } } } },
    { "choose",
      { "choose",
        { { HT_RULE_PROVIDES, HT_FACT_WEIGHTS_ROUNDED, "the learned mode rounds", "mode = learned" },
          { HT_RULE_EFFECT, "changes-weights", why, "mode = learned" } } } },
    { "low-bits",
      { "low-bits",
        { { HT_RULE_PROVIDES, HT_FACT_WEIGHTS_ROUNDED, "rounds where bits are few", "weights.bits <= 4" } } } },
    { "polish", { "polish", { { HT_RULE_PROVIDES, "polished", why } } } },
    { "needs-polish", { "needs-polish", { { HT_RULE_REQUIRES, "polished", "rough ones break" } } } },
  };
  return all;
}

GType
type_of (const std::string &name)
{
  static std::map<std::string, GType> types;
  auto found = types.find (name);
  if (found == types.end ())
    found = types.emplace (name, test_pass::make_type (specs ().at (name))).first;
  return found->second;
}

class PlanTest : public ::testing::Test
{
protected:
  void SetUp () override { config = ht_quantization_config_new (); }
  void TearDown () override
  {
    g_clear_object (&plan);
    g_clear_object (&config);
    g_clear_error (&error);
  }
  // The ids of the steps are the names of the techniques; "a=b" calls a step of technique b "a".
  bool check (const std::vector<std::string> &steps, HtFactValue live = HT_FACT_TRUE, bool with_config = true)
  {
    build (steps, live, with_config);
    return recheck ();
  }
  void build (const std::vector<std::string> &steps, HtFactValue live = HT_FACT_TRUE, bool with_config = true)
  {
    g_clear_object (&plan);
    plan = ht_plan_new (with_config ? config : nullptr);
    ht_plan_set_initial_fact (plan, HT_FACT_BATCHNORM_LIVE, live);
    for (const std::string &step : steps)
      {
        std::string::size_type at = step.find ('=');
        g_autoptr (GObject) pass
            = G_OBJECT (test_pass::make (type_of (at == std::string::npos ? step : step.substr (at + 1))));
        ht_plan_add_step (plan, step.substr (0, at).c_str (), HT_PASS (pass));
      }
  }
  bool recheck ()
  {
    g_clear_error (&error);
    findings.clear ();
    bool legal = ht_plan_check (plan, &error);
    for (guint i = 0; i < ht_plan_get_n_findings (plan); i++)
      {
        gint severity, other;
        guint step;
        const char *reference;
        std::string message = ht_plan_get_finding (plan, i, &severity, &step, &other, &reference);
        const char *letters = "EWN";
        findings.push_back (std::string (1, letters[severity]) + std::to_string (step) + "/" + std::to_string (other)
                            + " " + message + (reference ? std::string (" [") + reference + "]" : ""));
      }
    return legal;
  }
  void set (guint step, const char *name, const char *text)
  {
    ASSERT_TRUE (ht_object_set_param_string (G_OBJECT (ht_plan_get_step_pass (plan, step)), name, text, nullptr));
  }
  void set_weights (const char *name, const char *text)
  {
    ASSERT_TRUE (
        ht_object_set_param_string (G_OBJECT (ht_quantization_config_get_weights (config)), name, text, nullptr));
  }
  guint count (char letter)
  {
    guint n = 0;
    for (const std::string &finding : findings)
      n += finding[0] == letter;
    return n;
  }
  std::string nth (size_t index) { return index < findings.size () ? findings[index] : "(no such finding)"; }
  std::string all ()
  {
    std::string text;
    for (const std::string &finding : findings)
      text += finding + "\n";
    return text;
  }
  HtQuantizationConfig *config = nullptr;
  HtPlan *plan = nullptr;
  GError *error = nullptr;
  std::vector<std::string> findings;
};

TEST_F (PlanTest, TheGoodPipelineHasNothingToSay)
{
  EXPECT_TRUE (check ({ "fold", "equalize", "absorb", "grid", "round", "tune" })) << all ();
  EXPECT_EQ (all (), "");
  EXPECT_EQ (ht_plan_get_fact (plan, 0, HT_FACT_BATCHNORM_LIVE), HT_FACT_FALSE);
  EXPECT_EQ (ht_plan_get_fact (plan, 0, HT_FACT_EQUALIZED), HT_FACT_FALSE);
  EXPECT_EQ (ht_plan_get_fact (plan, 1, HT_FACT_EQUALIZED), HT_FACT_TRUE);
  EXPECT_EQ (ht_plan_get_fact (plan, 5, HT_FACT_WEIGHTS_ROUNDED), HT_FACT_TRUE) << "continued, so still true";
  EXPECT_EQ (ht_plan_get_fact (plan, 5, "somebody-elses"), HT_FACT_FALSE);
  EXPECT_TRUE (check ({}));
}

TEST_F (PlanTest, RoundingAndBiasCorrectionExcludeEachOtherInEitherOrder)
{
  EXPECT_FALSE (check ({ "fold", "round", "correct" }));
  EXPECT_EQ (count ('E'), 1u) << all ();
  EXPECT_EQ (nth (0), "E1/2 step 'round' and step 'correct' exclude each other in either order, as after the latter "
                      "the biases are corrected: both correct the same error [AIMET]");
  EXPECT_TRUE (g_error_matches (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_CONFLICT));
  EXPECT_FALSE (check ({ "fold", "correct", "round" }));
  EXPECT_EQ (count ('E'), 1u) << all ();
  EXPECT_NE (nth (0).find ("both correct the same error"), std::string::npos);
  EXPECT_EQ (nth (0).substr (0, 4), "E2/1");
  build ({ "round" });
  ht_plan_set_initial_fact (plan, HT_FACT_BIAS_CORRECTED, HT_FACT_TRUE);
  EXPECT_FALSE (recheck ()) << "true at the start is anywhere too";
}

TEST_F (PlanTest, OneProviderOfRoundedWeights)
{
  EXPECT_FALSE (check ({ "fold", "round", "rescale-round" }));
  EXPECT_EQ (count ('E'), 1u) << all ();
  EXPECT_EQ (nth (0).substr (0, 4), "E2/1");
  EXPECT_NE (nth (0).find ("both provide 'weights-rounded', which one step of a pipeline may do"), std::string::npos);
  EXPECT_FALSE (check ({ "rescale-round", "fold", "round" }));
  EXPECT_FALSE (check ({ "a=round", "b=round" })) << "the same technique twice";
  EXPECT_TRUE (check ({ "polish", "again=polish" })) << "only some facts have one provider" << all ();
}

TEST_F (PlanTest, AfterRoundingWeightsStay)
{
  EXPECT_FALSE (check ({ "round", "change" }));
  EXPECT_EQ (count ('E'), 1u) << all ();
  EXPECT_EQ (nth (0),
             "E1/0 step 'change' changes-weights after step 'round', when the weights are rounded, but it neither "
             "continues 'weights-rounded' nor carries the encodings along: it would undo the rounding; move it before "
             "that step");
  EXPECT_TRUE (check ({ "change", "round" })) << all ();
  EXPECT_TRUE (check ({ "round", "tune" })) << "it continues" << all ();
  EXPECT_TRUE (check ({ "round", "carry" })) << "it carries" << all ();
  EXPECT_TRUE (check ({ "round", "fold" })) << "folding to scale" << all ();
  EXPECT_FALSE (check ({ "fold", "round", "equalize" })) << "it needs floating-point weights";
}

TEST_F (PlanTest, AfterBiasCorrectionWeightsAndGridsStay)
{
  EXPECT_FALSE (check ({ "correct", "change" }));
  EXPECT_NE (all ().find ("the correction holds only for the weights and grids it was made for"), std::string::npos);
  EXPECT_FALSE (check ({ "correct", "grid" }));
  EXPECT_FALSE (check ({ "correct", "carry" })) << "carrying encodings does not help a correction";
  EXPECT_TRUE (check ({ "correct", "tune-after-correction" })) << all ();
  EXPECT_TRUE (check ({ "grid", "change", "correct" })) << all ();
}

TEST_F (PlanTest, FixedWeightEncodingsKeepTheirGrid)
{
  EXPECT_FALSE (check ({ "fold", "grid", "equalize" }));
  EXPECT_NE (all ().find ("E2/1 step 'equalize' rescales-channels after step 'grid'"), std::string::npos) << all ();
  EXPECT_FALSE (check ({ "grid", "again=grid" }));
  EXPECT_TRUE (check ({ "grid", "round" })) << "rounding on the given grid" << all ();
  EXPECT_TRUE (check ({ "grid", "fold" })) << all ();
  build ({ "fold", "equalize" });
  ht_plan_set_initial_fact (plan, HT_FACT_WEIGHT_ENCODINGS_FIXED, HT_FACT_TRUE);
  EXPECT_FALSE (recheck ());
  EXPECT_NE (all ().find ("E1/-1 step 'equalize' rescales-channels where the weight encodings are fixed"),
             std::string::npos)
      << all ();
}

TEST_F (PlanTest, EqualizationNeedsFoldedBatchNorms)
{
  EXPECT_FALSE (check ({ "equalize" }));
  EXPECT_EQ (nth (0), "E0/-1 step 'equalize' requires that the model has no live batch norms, but the model has live "
                      "batch norms: a batch norm undoes the scaling [Nagel 2019]");
  EXPECT_TRUE (g_error_matches (error, HT_RECIPE_ERROR, HT_RECIPE_ERROR_UNSATISFIED));
  EXPECT_TRUE (check ({ "equalize" }, HT_FACT_FALSE)) << all ();
  EXPECT_FALSE (check ({ "equalize", "fold" }));
  EXPECT_EQ (nth (0).substr (0, 4), "E0/1");
  EXPECT_NE (nth (0).find ("step 'fold' brings that about, move it to the front"), std::string::npos) << all ();
}

TEST_F (PlanTest, HighBiasesNeedEqualizationAndStatistics)
{
  EXPECT_FALSE (check ({ "absorb" }));
  EXPECT_EQ (count ('E'), 2u) << all ();
  EXPECT_NE (std::string (error->message).find ("(and 1 more problems)"), std::string::npos);
  EXPECT_FALSE (check ({ "fold", "absorb", "equalize" }));
  EXPECT_EQ (count ('E'), 1u) << all ();
  EXPECT_TRUE (check ({ "fold", "equalize", "absorb" })) << all ();
}

TEST_F (PlanTest, ReestimationNeedsLiveBatchNormsLearnedRangesAndChannels)
{
  set_weights ("granularity", "channel");
  EXPECT_TRUE (check ({ "tune", "reestimate" })) << all ();
  EXPECT_FALSE (check ({ "reestimate" }));
  EXPECT_EQ (count ('E'), 1u) << all ();
  EXPECT_FALSE (check ({ "fold", "tune", "reestimate" }));
  EXPECT_EQ (nth (0).substr (0, 4), "E2/0");
  EXPECT_NE (nth (0).find ("but after step 'fold' the model has no live batch norms"), std::string::npos) << all ();
  set_weights ("granularity", "tensor");
  EXPECT_FALSE (check ({ "tune", "reestimate" }));
  EXPECT_NE (
      all ().find ("step 'reestimate' requires per-channel weights (weights.granularity = channel): the result is "
                   "folded into the scales"),
      std::string::npos)
      << all ();
}

TEST_F (PlanTest, EqualizationWithReestimationIsRefusedEvenWithoutAModel)
{
  set_weights ("granularity", "channel");
  EXPECT_FALSE (check ({ "equalize", "tune", "reestimate" }, HT_FACT_UNKNOWN));
  EXPECT_EQ (count ('E'), 1u) << all ();
  EXPECT_EQ (count ('W'), 1u) << all ();
  EXPECT_EQ (nth (0).substr (0, 50), "W0/-1 legal if the model has no live batch norms: ");
  EXPECT_NE (nth (1).find ("but step 'equalize' is legal only if the model has no live batch norms"), std::string::npos)
      << all ();
  EXPECT_FALSE (check ({ "tune", "reestimate", "equalize" }, HT_FACT_UNKNOWN));
  EXPECT_FALSE (check ({ "fold", "equalize", "tune", "reestimate" }, HT_FACT_UNKNOWN));
}

TEST_F (PlanTest, WithoutAModelItIsLegalIf)
{
  EXPECT_TRUE (check ({ "equalize" }, HT_FACT_UNKNOWN));
  EXPECT_EQ (nth (0), "W0/-1 legal if the model has no live batch norms: step 'equalize' requires that: a batch norm "
                      "undoes the scaling [Nagel 2019]");
  EXPECT_TRUE (check ({ "fold", "equalize" }, HT_FACT_UNKNOWN));
  EXPECT_EQ (all (), "") << "folding settles it";
  EXPECT_TRUE (check ({ "tune", "reestimate" }, HT_FACT_UNKNOWN, false));
  EXPECT_EQ (count ('W'), 2u) << all ();
  EXPECT_NE (all ().find ("legal if weights.granularity = channel: "), std::string::npos);
}

TEST_F (PlanTest, ProvidesDependsOnAParameter)
{
  build ({ "choose", "change" });
  EXPECT_TRUE (recheck ()) << all ();
  EXPECT_EQ (ht_plan_get_fact (plan, 0, HT_FACT_WEIGHTS_ROUNDED), HT_FACT_FALSE);
  set (0, "mode", "learned");
  EXPECT_FALSE (recheck ()) << "conditions are evaluated for each step, each time";
  EXPECT_EQ (ht_plan_get_fact (plan, 0, HT_FACT_WEIGHTS_ROUNDED), HT_FACT_TRUE);
  build ({ "choose", "round" });
  EXPECT_TRUE (recheck ()) << all ();
  set (0, "mode", "learned");
  EXPECT_FALSE (recheck ());
  EXPECT_NE (all ().find ("both provide 'weights-rounded'"), std::string::npos);
  build ({ "a=choose", "b=choose" });
  set (1, "mode", "learned");
  EXPECT_TRUE (recheck ()) << "two steps of one technique are two" << all ();
}

TEST_F (PlanTest, ProvidesDependsOnASetting)
{
  EXPECT_TRUE (check ({ "low-bits", "change" })) << all ();
  set_weights ("bits", "4");
  EXPECT_FALSE (check ({ "low-bits", "change" }));
  EXPECT_TRUE (check ({ "low-bits", "change" }, HT_FACT_TRUE, false)) << "unknown settings make it a matter of if";
  EXPECT_EQ (count ('W'), 1u) << all ();
  EXPECT_EQ (ht_plan_get_fact (plan, 0, HT_FACT_WEIGHTS_ROUNDED), HT_FACT_UNKNOWN);
}

TEST_F (PlanTest, OrderIsAdviceOnly)
{
  EXPECT_TRUE (check ({ "round", "grid" })) << all ();
  EXPECT_EQ (count ('N'), 1u) << all ();
  EXPECT_NE (all ().find ("N0/1 step 'round' is better after step 'grid': rounding needs the final grid"),
             std::string::npos)
      << all ();
  EXPECT_TRUE (check ({ "equalize", "fold" }, HT_FACT_FALSE)) << all ();
  EXPECT_NE (all ().find ("N1/0 step 'fold' is better before step 'equalize'"), std::string::npos) << all ();
  EXPECT_TRUE (check ({ "round" }));
  EXPECT_EQ (all (), "") << "nobody is told to add a step";
}

TEST_F (PlanTest, FactsOfOthersWorkTheSameWay)
{
  EXPECT_TRUE (check ({ "polish", "needs-polish" })) << all ();
  EXPECT_FALSE (check ({ "needs-polish" }));
  EXPECT_EQ (nth (0), "E0/-1 step 'needs-polish' requires that 'polished' is true, but 'polished' is false, and no "
                      "step before it brings that about: rough ones break");
}

TEST_F (PlanTest, AllProblemsAreReported)
{
  EXPECT_FALSE (check ({ "absorb", "round", "change", "correct", "needs-polish" }));
  EXPECT_EQ (count ('E'), 5u) << all ();
  EXPECT_FALSE (check ({ "x=polish", "x=needs-polish" }));
  EXPECT_NE (all ().find ("steps 1 and 2 are both called 'x'"), std::string::npos) << all ();
}

TEST_F (PlanTest, Explains)
{
  check ({ "fold", "eq=equalize" });
  g_auto (GStrv) lines = ht_plan_explain_step (plan, 1);
  g_autofree char *text = g_strjoinv ("\n", lines);
  EXPECT_STREQ (
      text, "step 'eq' (equalize): A technique of the tests\n"
            "requires the absence of 'batchnorm-live' (the model has no live batch norms, so since step 'fold'): a "
            "batch norm undoes the scaling [Nagel 2019]\n"
            "requires the absence of 'weights-rounded' (the weights are floating point, so from the start): it needs "
            "floating-point weights\n"
            "provides 'equalized': because the test says so\n"
            "has the effect 'changes-weights': because the test says so\n"
            "has the effect 'rescales-channels': because the test says so\n"
            "facts: batchnorm-statistics → batchnorm-statistics, equalized");
  g_auto (GStrv) first = ht_plan_explain_step (plan, 0);
  g_autofree char *first_text = g_strjoinv ("\n", first);
  EXPECT_NE (std::string (first_text).find ("facts: batchnorm-live → no batchnorm-live, batchnorm-statistics"),
             std::string::npos)
      << first_text;
}

TEST_F (PlanTest, LearnsFromTheGraph)
{
  const char *const in[] = { "x", "s", "b", "m", "v", nullptr };
  const char *const out[] = { "y", nullptr };
  g_autoptr (HtGraph) graph = ht_graph_new ("g");
  build ({ "equalize" }, HT_FACT_UNKNOWN);
  ht_plan_learn_from_graph (plan, graph);
  EXPECT_TRUE (recheck ());
  EXPECT_EQ (all (), "");
  ht_graph_add_node (graph, "BatchNormalization", "", "bn", in, out);
  ht_plan_learn_from_graph (plan, graph);
  EXPECT_FALSE (recheck ());
}

}
