// SPDX-License-Identifier: MIT
// Keys hold what a step reads and nothing else; its context shows it the same; single steps run like the whole.
#include "test-pass.h"

extern "C"
{
#include "pass/pass-manager-private.h"
#include "pass/pass-private.h"
#include "pass/step-key.h"
#include "quant/quantization-config.h"
}

#include <set>

namespace
{

using test_pass::Spec;

const guint settings = HT_PASS_READS_WEIGHT_SETTINGS | HT_PASS_READS_ACTIVATION_SETTINGS;

void
set (HtQuantizerSettings *of, const char *name, const char *value)
{
  g_autoptr (JsonNode) node = json_from_string (value, nullptr);
  ASSERT_TRUE (ht_object_set_param (G_OBJECT (of), name, node, nullptr)) << name;
}

void
set_rule (HtQuantizationConfig *config, guint rule, bool weights, const char *name, const char *value)
{
  g_autoptr (JsonNode) node = json_from_string (value, nullptr);
  ASSERT_TRUE (ht_quantization_config_set_rule_value (config, rule, weights, name, node, nullptr)) << name;
}

HtPass *
make_pass (const char *id, guint reads)
{
  Spec spec;
  spec.id = id;
  spec.reads = reads;
  return test_pass::make (test_pass::make_type (spec));
}

std::string
key (const char *parent, const char *step, HtPass *pass, HtQuantizationConfig *config, guint64 seed = 1,
     const char *calibration = "c", guint batch = 8)
{
  const HtStepInputs inputs = { seed, calibration, batch };
  g_autofree char *text = ht_step_key_new (parent, step, pass, config, &inputs);
  return text;
}

// Changes of a configuration, one at a time.
using Change = void (*) (HtQuantizationConfig *);

const Change weight_changes[] = {
  [] (HtQuantizationConfig *c) { set (ht_quantization_config_get_weights (c), "bits", "4"); },
  [] (HtQuantizationConfig *c) { set (ht_quantization_config_get_weights (c), "granularity", "\"tensor\""); },
  [] (HtQuantizationConfig *c) { set (ht_quantization_config_get_weights (c), "calibrator", "\"mse\""); },
  [] (HtQuantizationConfig *c) {
    set (ht_quantization_config_get_weights (c), "calibrator", "{\"percentile\": {\"value\": 99.5}}");
  },
  [] (HtQuantizationConfig *c) {
    set (ht_quantization_config_get_weights (c), "calibrator", "{\"percentile\": {\"value\": 99.25}}");
  },
  // The default, but now somebody has said so: a target's words do not count any more.
  [] (HtQuantizationConfig *c) { set (ht_quantization_config_get_weights (c), "strict", "false"); },
  [] (HtQuantizationConfig *c) { set_rule (c, 0, true, "bits", "4"); },
};

const Change activation_changes[] = {
  [] (HtQuantizationConfig *c) { set (ht_quantization_config_get_activations (c), "bits", "16"); },
  [] (HtQuantizationConfig *c) { set (ht_quantization_config_get_activations (c), "symmetric", "true"); },
  [] (HtQuantizationConfig *c) {
    set (ht_quantization_config_get_activations (c), "calibrator", "{\"percentile\": {\"value\": 99.5}}");
  },
  [] (HtQuantizationConfig *c) { set_rule (c, 0, false, "bits", "16"); },
};

const Change changes_of_both[] = {
  [] (HtQuantizationConfig *c) { ASSERT_TRUE (ht_quantization_config_set_target (c, "per-channel", nullptr)); },
  [] (HtQuantizationConfig *c) { ht_quantization_config_add_rule (c, "Gemm", nullptr, TRUE); },
  [] (HtQuantizationConfig *c) { ht_quantization_config_add_rule (c, nullptr, "features.*", TRUE); },
  [] (HtQuantizationConfig *c) { ht_quantization_config_set_rule_position (c, 0, HT_RULE_POSITION_LAST); },
  [] (HtQuantizationConfig *c) {
    const char *const pattern[] = { "Conv", "Relu", nullptr };
    ht_quantization_config_set_rule_pattern (c, 0, pattern);
  },
};

HtQuantizationConfig *
make_config (Change change = nullptr)
{
  HtQuantizationConfig *config = ht_quantization_config_new ();
  ht_quantization_config_add_rule (config, "Conv", nullptr, FALSE);
  if (change != nullptr)
    change (config);
  return config;
}

struct Halves
{
  std::string weights, activations, both;
};

Halves
hash (Change change)
{
  g_autoptr (HtQuantizationConfig) config = make_config (change);
  g_autofree char *weights = ht_quantization_config_hash (config, TRUE, FALSE);
  g_autofree char *activations = ht_quantization_config_hash (config, FALSE, TRUE);
  g_autofree char *both = ht_quantization_config_hash (config, TRUE, TRUE);
  return { weights, activations, both };
}

}

TEST (QuantizationHash, SplitsWhatIsSaidOfWeightsFromWhatIsSaidOfActivations)
{
  const Halves plain = hash (nullptr);
  std::set<std::string> seen = { plain.both };

  for (Change change : weight_changes)
    {
      const Halves changed = hash (change);
      EXPECT_NE (changed.weights, plain.weights);
      EXPECT_EQ (changed.activations, plain.activations);
      EXPECT_TRUE (seen.insert (changed.both).second);
    }
  for (Change change : activation_changes)
    {
      const Halves changed = hash (change);
      EXPECT_EQ (changed.weights, plain.weights);
      EXPECT_NE (changed.activations, plain.activations);
      EXPECT_TRUE (seen.insert (changed.both).second);
    }
  for (Change change : changes_of_both)
    {
      const Halves changed = hash (change);
      EXPECT_NE (changed.weights, plain.weights);
      EXPECT_NE (changed.activations, plain.activations);
      EXPECT_TRUE (seen.insert (changed.both).second);
    }
}

TEST (QuantizationHash, DoesNotDependOnPlacesAndOrderOfKeys)
{
  g_autoptr (HtQuantizationConfig) a = make_config (), b = make_config ();
  set_rule (a, 0, true, "bits", "4");
  set_rule (a, 0, true, "symmetric", "false");
  set_rule (b, 0, true, "symmetric", "false");
  set_rule (b, 0, true, "bits", "4");
  ht_quantization_config_set_rule_place (b, 0, "recipe.yaml:7:1");
  ht_quantization_config_set_place (b, TRUE, "bits", "recipe.yaml:3:1");
  g_autofree char *first = ht_quantization_config_hash (a, TRUE, TRUE);
  g_autofree char *second = ht_quantization_config_hash (b, TRUE, TRUE);
  EXPECT_STREQ (first, second);
}

// What is hidden has the hash of what nobody has said, and what is shown has its own.
TEST (QuantizationRestrict, HidesExactlyTheOtherHalf)
{
  g_autoptr (HtQuantizationConfig) config = make_config ();
  for (Change change : weight_changes)
    change (config);
  for (Change change : activation_changes)
    change (config);
  ht_quantization_config_add_rule (config, "Gemm", "fc", TRUE);
  g_autoptr (HtQuantizationConfig) bare = make_config ();
  ht_quantization_config_add_rule (bare, "Gemm", "fc", TRUE);

  for (int half = 0; half < 2; half++)
    {
      g_autoptr (HtQuantizationConfig) restricted = ht_quantization_config_restrict (config, half == 0, half == 1);
      g_autofree char *shown = ht_quantization_config_hash (restricted, half == 0, half == 1);
      g_autofree char *shown_before = ht_quantization_config_hash (config, half == 0, half == 1);
      g_autofree char *hidden = ht_quantization_config_hash (restricted, half == 1, half == 0);
      g_autofree char *unsaid = ht_quantization_config_hash (bare, half == 1, half == 0);
      EXPECT_STREQ (shown, shown_before);
      EXPECT_STREQ (hidden, unsaid);
    }
  g_autoptr (HtQuantizationConfig) whole = ht_quantization_config_restrict (config, TRUE, TRUE);
  EXPECT_EQ (whole, config);
}

TEST (StepKey, DependsOnEverythingThatAResultFollowsFrom)
{
  g_autoptr (HtQuantizationConfig) config = make_config ();
  g_autoptr (HtPass) pass = make_pass ("one", settings | HT_PASS_READS_CALIBRATION_DATA);
  g_autoptr (HtPass) faster = HT_PASS (g_object_new (G_OBJECT_TYPE (pass), "fast", TRUE, nullptr));
  g_autoptr (HtPass) other = make_pass ("two", settings | HT_PASS_READS_CALIBRATION_DATA);
  std::set<std::string> keys = { key ("p", "s", pass, config),
                                 key ("q", "s", pass, config),
                                 key ("p", "t", pass, config),
                                 key ("p", "s", faster, config),
                                 key ("p", "s", other, config),
                                 key ("p", "s", pass, config, 2),
                                 key ("p", "s", pass, config, 1, "d"),
                                 key ("p", "s", pass, config, 1, "c", 9),
                                 key ("p", "s", pass, config, 1, nullptr),
                                 key ("p", "s", pass, nullptr) };
  EXPECT_EQ (keys.size (), 10u);
  EXPECT_EQ (key ("p", "s", pass, config), key ("p", "s", pass, config));
  EXPECT_EQ (key ("p", "s", pass, config).size (), 64u);
}

TEST (StepKey, HoldsOnlyWhatTheStepReads)
{
  g_autoptr (HtPass) nothing = make_pass ("reads-nothing", 0);
  g_autoptr (HtPass) weights = make_pass ("reads-weights", HT_PASS_READS_WEIGHT_SETTINGS);
  g_autoptr (HtPass) activations = make_pass ("reads-activations", HT_PASS_READS_ACTIVATION_SETTINGS);
  g_autoptr (HtQuantizationConfig) plain = make_config ();

  EXPECT_EQ (key ("p", "s", nothing, plain), key ("p", "s", nothing, plain, 1, "other data", 2));
  for (Change change : weight_changes)
    {
      g_autoptr (HtQuantizationConfig) changed = make_config (change);
      EXPECT_EQ (key ("p", "s", nothing, plain), key ("p", "s", nothing, changed));
      EXPECT_NE (key ("p", "s", weights, plain), key ("p", "s", weights, changed));
      EXPECT_EQ (key ("p", "s", activations, plain), key ("p", "s", activations, changed));
    }
  for (Change change : activation_changes)
    {
      g_autoptr (HtQuantizationConfig) changed = make_config (change);
      EXPECT_EQ (key ("p", "s", nothing, plain), key ("p", "s", nothing, changed));
      EXPECT_EQ (key ("p", "s", weights, plain), key ("p", "s", weights, changed));
      EXPECT_NE (key ("p", "s", activations, plain), key ("p", "s", activations, changed));
    }
}

TEST (StepKey, OfALeafHoldsAllSettingsAndTheEvaluation)
{
  const HtStepInputs inputs = { 1, "c", 8 };
  std::set<std::string> keys;
  auto add = [&] (const char *parent, Change change, const HtStepInputs &given, const char *evaluation) {
    g_autoptr (HtQuantizationConfig) config = make_config (change);
    g_autofree char *text = ht_leaf_key (parent, config, &given, evaluation);
    return keys.insert (text).second;
  };
  EXPECT_TRUE (add ("p", nullptr, inputs, "e"));
  EXPECT_TRUE (add ("q", nullptr, inputs, "e"));
  EXPECT_TRUE (add ("p", nullptr, inputs, "f"));
  EXPECT_TRUE (add ("p", weight_changes[0], inputs, "e"));
  EXPECT_TRUE (add ("p", activation_changes[0], inputs, "e"));
  EXPECT_TRUE (add ("p", nullptr, HtStepInputs{ 1, "d", 8 }, "e"));
  EXPECT_TRUE (add ("p", nullptr, HtStepInputs{ 1, "c", 9 }, "e"));
  // Calibration and evaluation draw no random numbers.
  EXPECT_FALSE (add ("p", nullptr, HtStepInputs{ 2, "c", 8 }, "e"));
}
namespace
{

// A technique that reads more where a condition holds.

GType
make_conditional_type (const Spec &spec, const char *when, guint reads)
{
  struct Data
  {
    Spec spec;
    std::string when;
    guint reads;
  };
  static int n_types = 0;
  g_autofree char *name = g_strdup_printf ("HtTestConditionalPass%d", n_types++);
  GTypeInfo info = {};
  info.class_size = sizeof (test_pass::Class);
  info.class_init = [] (gpointer klass, gpointer data) {
    Data *given = static_cast<Data *> (data);
    test_pass::class_init (klass, &given->spec);
    ht_pass_class_add_reads (HT_PASS_CLASS (klass), static_cast<HtPassReads> (given->reads), given->when.c_str ());
  };
  info.class_data = new Data{ spec, when, reads };
  info.instance_size = sizeof (test_pass::Instance);
  return g_type_register_static (HT_TYPE_PASS, name, &info, GTypeFlags (0));
}

HtModelState *
make_state ()
{
  const char *const in[] = { "x", nullptr }, *const out[] = { "y", nullptr };
  const gint64 dims[] = { 2, 2 };
  g_autoptr (HtGraph) graph = ht_graph_new ("g");
  g_autoptr (HtShape) shape = ht_shape_new (dims, nullptr, 2);
  ht_graph_set_opset (graph, "", 13);
  ht_graph_add_input (graph, "x", HT_DATA_TYPE_FLOAT, shape);
  ht_graph_add_node (graph, "Relu", "", "relu", in, out);
  ht_graph_add_output (graph, "y", HT_DATA_TYPE_FLOAT, shape);
  HtModelState *state = ht_model_state_new (graph);
  ht_model_state_seal (state);
  return state;
}

}

TEST (AddedReads, CountWhereTheirConditionHolds)
{
  Spec spec;
  spec.id = "conditional";
  spec.reads = HT_PASS_READS_WEIGHT_SETTINGS;
  GType type = make_conditional_type (spec, "fast", HT_PASS_READS_ACTIVATION_SETTINGS);
  g_autoptr (HtPass) slow = HT_PASS (g_object_new (type, nullptr));
  g_autoptr (HtPass) fast = HT_PASS (g_object_new (type, "fast", TRUE, nullptr));
  g_autoptr (HtQuantizationConfig) plain = make_config (), changed = make_config (activation_changes[0]);
  const char *when;

  EXPECT_EQ (ht_pass_get_reads (slow, plain), HT_PASS_READS_WEIGHT_SETTINGS);
  EXPECT_EQ (ht_pass_get_reads (fast, plain), settings);
  EXPECT_EQ (key ("p", "s", slow, plain), key ("p", "s", slow, changed));
  EXPECT_NE (key ("p", "s", fast, plain), key ("p", "s", fast, changed));
  EXPECT_EQ (ht_pass_class_get_added_reads (HT_PASS_GET_CLASS (slow), 0, &when), HT_PASS_READS_ACTIVATION_SETTINGS);
  EXPECT_STREQ (when, "fast");
  EXPECT_EQ (ht_pass_class_get_added_reads (HT_PASS_GET_CLASS (slow), 1, &when), HT_PASS_READS_NOTHING);
}

TEST (AddedReads, AreUnknownWithoutTheSettingsTheyAskFor)
{
  Spec spec;
  spec.id = "asks-settings";
  GType type = make_conditional_type (spec, "weights.bits < 8", HT_PASS_READS_WEIGHT_SETTINGS);
  g_autoptr (HtPass) pass = HT_PASS (g_object_new (type, nullptr));
  g_autoptr (HtQuantizationConfig) plain = make_config (), four = make_config (weight_changes[0]);

  EXPECT_EQ (ht_pass_get_reads (pass, plain), HT_PASS_READS_NOTHING);
  EXPECT_EQ (ht_pass_get_reads (pass, four), HT_PASS_READS_WEIGHT_SETTINGS);
  EXPECT_EQ (ht_pass_get_reads (pass, nullptr), HT_PASS_READS_WEIGHT_SETTINGS) << "rather too much than too little";
}

TEST (AddedReads, MalformedOnesAreFoundWhenTheTechniqueIsRegistered)
{
  for (const char *when : { "fast &&", "haste", "iterations = quick" })
    {
      Spec spec;
      spec.id = "malformed";
      g_autoptr (GError) error = nullptr;
      EXPECT_FALSE (ht_pass_type_lint (make_conditional_type (spec, when, HT_PASS_READS_LABELS), &error)) << when;
      ASSERT_NE (error, nullptr);
      EXPECT_NE (std::string (error->message).find ("added reads 0"), std::string::npos) << error->message;
    }
  Spec spec;
  spec.id = "unknown-reads";
  g_autoptr (GError) error = nullptr;
  EXPECT_FALSE (ht_pass_type_lint (make_conditional_type (spec, "fast", 1u << 12), &error));
}

TEST (Context, ShowsAStepOnlyTheSettingsItReads)
{
  std::string seen[2];
  for (int fast = 0; fast < 2; fast++)
    {
      Spec spec;
      spec.id = "looks";
      spec.reads = HT_PASS_READS_WEIGHT_SETTINGS;
      spec.run = [&] (HtPass *, HtModelState *, HtPassContext *context, GError **error) -> gboolean {
        HtQuantizationConfig *config = ht_pass_context_get_quantization (context, error);
        g_autofree char *weights = ht_quantization_config_lookup (config, "weights.bits");
        g_autofree char *activations = ht_quantization_config_lookup (config, "activations.bits");
        seen[fast] = std::string (weights) + "/" + activations;
        return TRUE;
      };
      GType type = make_conditional_type (spec, "fast", HT_PASS_READS_ACTIVATION_SETTINGS);
      g_autoptr (HtPass) pass = HT_PASS (g_object_new (type, "fast", fast, nullptr));
      g_autoptr (HtQuantizationConfig) config = make_config (weight_changes[0]);
      activation_changes[0](config);
      g_autoptr (HtPlan) plan = ht_plan_new (config);
      ht_plan_add_step (plan, "s", pass);
      g_autoptr (HtPassManager) manager = ht_pass_manager_new (plan);
      g_autoptr (HtModelState) start = make_state ();
      g_autoptr (HtModelState) end = ht_pass_manager_run (manager, start, nullptr, nullptr);
      ASSERT_NE (end, nullptr);
    }
  EXPECT_EQ (seen[0], "4/8");
  EXPECT_EQ (seen[1], "4/16");
}

TEST (Context, RefusesSettingsWhoseConditionDoesNotHold)
{
  Spec spec;
  spec.id = "asks-too-much";
  spec.run = [] (HtPass *, HtModelState *, HtPassContext *context, GError **error) -> gboolean {
    return ht_pass_context_get_quantization (context, error) != nullptr;
  };
  g_autoptr (HtPass) pass
      = HT_PASS (g_object_new (make_conditional_type (spec, "fast", HT_PASS_READS_WEIGHT_SETTINGS), nullptr));
  g_autoptr (HtQuantizationConfig) config = make_config ();
  g_autoptr (HtPlan) plan = ht_plan_new (config);
  ht_plan_add_step (plan, "s", pass);
  g_autoptr (HtPassManager) manager = ht_pass_manager_new (plan);
  g_autoptr (HtModelState) start = make_state ();
  g_autoptr (GError) error = nullptr;
  EXPECT_EQ (ht_pass_manager_run (manager, start, nullptr, &error), nullptr);
  ASSERT_NE (error, nullptr);
  EXPECT_NE (std::string (error->message).find ("for 'fast' only"), std::string::npos) << error->message;
}

TEST (SingleSteps, MakeTheStatesAndReportsOfTheWhole)
{
  Spec spec;
  spec.id = "renames";
  spec.rules = { { HT_RULE_EFFECT, "changes-topology", "it adds a node" } };
  spec.run = [] (HtPass *, HtModelState *state, HtPassContext *context, GError **) -> gboolean {
    g_autofree char *tensor = g_strdup_printf ("t-%s", ht_pass_context_get_step (context));
    const char *const in[] = { "x", nullptr }, *const out[] = { tensor, nullptr };
    ht_graph_add_node (ht_model_state_get_graph (state), "Relu", "", tensor, in, out);
    ht_pass_context_note (context, tensor, "added");
    return TRUE;
  };
  GType type = test_pass::make_type (spec);
  g_autoptr (HtQuantizationConfig) config = make_config ();
  g_autoptr (HtPlan) plan = ht_plan_new (config);
  for (const char *id : { "a", "b" })
    {
      g_autoptr (HtPass) pass = test_pass::make (type);
      ht_plan_add_step (plan, id, pass);
    }
  g_autoptr (HtPassManager) manager = ht_pass_manager_new (plan);
  g_autoptr (HtModelState) start = make_state ();
  g_autoptr (GError) error = nullptr;
  g_autoptr (HtModelState) whole = ht_pass_manager_run (manager, start, nullptr, &error);
  ASSERT_NE (whole, nullptr) << error->message;

  g_autoptr (HtModelState) current = HT_MODEL_STATE (g_object_ref (start));
  ASSERT_TRUE (ht_pass_manager_check (manager, start, &error)) << error->message;
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (JsonNode) report = nullptr;
      double seconds = -1.0;
      HtModelState *next = ht_pass_manager_run_step (manager, i, current, &report, &seconds, nullptr, &error);
      ASSERT_NE (next, nullptr) << error->message;
      EXPECT_TRUE (ht_model_state_is_sealed (next));
      g_autoptr (JsonNode) expected = ht_pass_manager_get_step_report (manager, i);
      EXPECT_TRUE (json_node_equal (report, expected));
      EXPECT_GE (seconds, 0.0);
      g_object_unref (current);
      current = next;
    }
  g_autofree char *by_steps = ht_model_state_hash (current), *at_once = ht_model_state_hash (whole);
  EXPECT_STREQ (by_steps, at_once);
}

TEST (SingleSteps, NameTheStepThatFails)
{
  Spec spec;
  spec.id = "fails";
  spec.run = [] (HtPass *, HtModelState *, HtPassContext *, GError **error) -> gboolean {
    g_set_error_literal (error, HT_ERROR, HT_ERROR_FAILED, "no luck");
    return FALSE;
  };
  g_autoptr (HtPass) pass = test_pass::make (test_pass::make_type (spec));
  g_autoptr (HtQuantizationConfig) config = make_config ();
  g_autoptr (HtPlan) plan = ht_plan_new (config);
  ht_plan_add_step (plan, "s", pass);
  g_autoptr (HtPassManager) manager = ht_pass_manager_new (plan);
  g_autoptr (HtModelState) start = make_state ();
  g_autoptr (GError) error = nullptr;
  g_autoptr (JsonNode) report = nullptr;
  ASSERT_TRUE (ht_pass_manager_check (manager, start, nullptr));
  EXPECT_EQ (ht_pass_manager_run_step (manager, 0, start, &report, nullptr, nullptr, &error), nullptr);
  EXPECT_EQ (report, nullptr);
  EXPECT_STREQ (error->message, "step 's' (fails): no luck");
}
