/* SPDX-License-Identifier: MIT */
/* The section `quantization`. */
#include "quant/quantization-config.h"
#include "recipe/recipe-private.h"

#include <halftone/enums.h>
#include <string.h>

/* A rule under way. */
typedef struct
{
  HtLocatedNode *match;
  HtLocatedNode *weights;
  HtLocatedNode *activations;
  const char *op;
  const char *name;
  char **pattern;
  HtRulePosition position;
  gboolean has_skip;
  gboolean skip;
  /* Where a setting goes. */
  HtQuantizationConfig *config;
  guint number;
  gboolean is_weights;
} Rule;

/* Relative to the recipe, like every path of it. What is wrong with a target's file is told with the rest. */
static void
read_target (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  const char *word = ht_recipe_read_text (reader, value);
  g_autoptr (HtTarget) target = NULL;
  HtTarget *known = NULL;
  GError *error = NULL;

  if (word == NULL)
    return;
  if (reader->targets != NULL)
    known = g_hash_table_lookup (reader->targets, word);
  if (known != NULL)
    {
      ht_quantization_config_take_target (reader->recipe->quantization, word, known);
      return;
    }
  target = ht_target_open (word, reader->recipe->folder, reader->problems, &error);
  if (target != NULL)
    {
      ht_quantization_config_take_target (reader->recipe->quantization, word, target);
      if (reader->targets != NULL)
        g_hash_table_insert (reader->targets, g_strdup (word), g_object_ref (target));
    }
  else if (error != NULL)
    ht_located_node_report_error (value, reader->problems, HT_RECIPE_ERROR_UNKNOWN_VALUE, error);
}

static char *
describe_place (HtRecipeReader *reader, HtLocatedNode *node)
{
  return g_strdup_printf ("%s:%u:%u", reader->recipe->path, ht_located_node_get_line (node),
                          ht_located_node_get_column (node));
}

static void
keep_places (HtRecipeReader *reader, HtLocatedNode *node, gboolean weights)
{
  guint n_keys = ht_located_node_get_kind (node) == HT_LOCATED_MAPPING ? ht_located_node_get_n_children (node) : 0;

  for (guint i = 0; i < n_keys; i++)
    {
      g_autofree char *place = describe_place (reader, ht_located_node_get_key_node (node, i));

      ht_quantization_config_set_place (reader->recipe->quantization, weights, ht_located_node_get_key (node, i),
                                        place);
    }
}

static void
read_settings (HtRecipeReader *reader, HtLocatedNode *node, const char *prefix, HtQuantizerSettings *settings)
{
  guint n_before = reader->problems->len;
  GError *error = NULL;

  ht_recipe_read_params (reader, node, prefix, G_OBJECT_GET_CLASS (settings), ht_recipe_set_object_param, settings);
  if (reader->in_space || reader->problems->len > n_before || ht_quantizer_settings_verify (settings, &error))
    return;
  ht_located_node_report_error (node, reader->problems, HT_RECIPE_ERROR_NOT_SUPPORTED, error);
}

static void
read_weights (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  read_settings (reader, value, "weights: ", ht_quantization_config_get_weights (reader->recipe->quantization));
  keep_places (reader, value, TRUE);
}

static void
read_activations (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  read_settings (reader, value, "activations: ", ht_quantization_config_get_activations (reader->recipe->quantization));
  keep_places (reader, value, FALSE);
}

static void
read_match_op (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  ((Rule *)section)->op = ht_recipe_read_text (reader, value);
}

static void
read_match_name (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  ((Rule *)section)->name = ht_recipe_read_text (reader, value);
}

static void
read_match_pattern (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  GError *error = NULL;
  Rule *rule = section;

  if (!ht_located_node_check_kind (value, HT_LOCATED_SEQUENCE, &error))
    {
      ht_located_node_report_error (value, reader->problems, HT_RECIPE_ERROR_WRONG_TYPE, error);
      return;
    }
  if (ht_located_node_get_n_children (value) == 0)
    {
      ht_located_node_report (value, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_OUT_OF_RANGE,
                              "'pattern' is empty: name the operators of a chain, as in pattern: [Conv, Relu]");
      return;
    }
  for (guint i = 0; i < ht_located_node_get_n_children (value); i++)
    {
      const char *op_type = ht_recipe_read_text (reader, ht_located_node_get_child (value, i));

      if (op_type == NULL)
        return;
      g_strv_builder_add (builder, op_type);
    }
  rule->pattern = g_strv_builder_end (builder);
}

static void
read_match_layer (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  static const char *const known[] = { "first", "last", NULL };
  const char *word = ht_recipe_read_text (reader, value);

  if (word == NULL)
    return;
  if (strcmp (word, "first") == 0)
    ((Rule *)section)->position = HT_RULE_POSITION_FIRST;
  else if (strcmp (word, "last") == 0)
    ((Rule *)section)->position = HT_RULE_POSITION_LAST;
  else
    ht_recipe_report_unknown (reader, value, HT_RECIPE_ERROR_UNKNOWN_VALUE, "'layer' is", word, known);
}

static void
read_match (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  static const HtRecipeKey keys[] = {
    { "op", read_match_op },
    { "name", read_match_name },
    { "pattern", read_match_pattern },
    { "layer", read_match_layer },
    { NULL, NULL },
  };

  ((Rule *)section)->match = value;
  if (ht_recipe_read_mapping (reader, value, "'match'", keys, section) && ht_located_node_get_n_children (value) == 0)
    ht_located_node_report (value, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_MISSING_KEY,
                            "'match' is empty: give 'op', 'name', 'pattern' or 'layer'");
}

static void
read_skip (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  Rule *rule = section;

  rule->has_skip = TRUE;
  ht_recipe_read_boolean (reader, value, &rule->skip);
}

static void
read_rule_weights (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  ((Rule *)section)->weights = value;
}

static void
read_rule_activations (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  ((Rule *)section)->activations = value;
}

static gboolean
set_rule_value (gpointer target, const char *name, JsonNode *value, GError **error)
{
  Rule *rule = target;

  return ht_quantization_config_set_rule_value (rule->config, rule->number, rule->is_weights, name, value, error);
}

static void
read_rule_settings (HtRecipeReader *reader, Rule *rule, HtLocatedNode *node, gboolean is_weights)
{
  HtQuantizerSettings *settings = is_weights ? ht_quantization_config_get_weights (rule->config)
                                             : ht_quantization_config_get_activations (rule->config);

  if (node == NULL)
    return;
  rule->is_weights = is_weights;
  ht_recipe_read_params (reader, node, is_weights ? "weights: " : "activations: ", G_OBJECT_GET_CLASS (settings),
                         set_rule_value, rule);
}

static void
read_rule (HtRecipeReader *reader, HtLocatedNode *node)
{
  static const HtRecipeKey keys[] = {
    { "match", read_match },
    { "skip", read_skip },
    { "weights", read_rule_weights },
    { "activations", read_rule_activations },
    { NULL, NULL },
  };
  Rule rule = { .config = reader->recipe->quantization };
  g_autofree char *place = describe_place (reader, node);

  if (!ht_recipe_read_mapping (reader, node, "a rule", keys, &rule))
    return;
  if (rule.match == NULL)
    ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_MISSING_KEY,
                            "this rule has no 'match': say which nodes it is for, as in match: {op: Conv}");
  if (!rule.has_skip && rule.weights == NULL && rule.activations == NULL)
    ht_located_node_report (node, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_MISSING_KEY,
                            "this rule changes nothing: give 'skip', 'weights' or 'activations'");
  rule.number = ht_quantization_config_add_rule (rule.config, rule.op, rule.name, rule.skip);
  ht_quantization_config_set_rule_place (rule.config, rule.number, place);
  ht_quantization_config_set_rule_position (rule.config, rule.number, rule.position);
  if (rule.pattern != NULL)
    ht_quantization_config_set_rule_pattern (rule.config, rule.number, (const char *const *)rule.pattern);
  g_strfreev (rule.pattern);
  read_rule_settings (reader, &rule, rule.weights, TRUE);
  read_rule_settings (reader, &rule, rule.activations, FALSE);
}

static void
read_rules (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  GError *error = NULL;

  if (ht_recipe_refuse_search (reader, value))
    return;
  if (!ht_located_node_check_kind (value, HT_LOCATED_SEQUENCE, &error))
    {
      ht_located_node_report_error (value, reader->problems, HT_RECIPE_ERROR_WRONG_TYPE, error);
      return;
    }
  for (guint i = 0; i < ht_located_node_get_n_children (value); i++)
    read_rule (reader, ht_located_node_get_child (value, i));
  reader->recipe->rules = ht_located_node_to_json (value, NULL);
}

static void
read_encodings_path (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  HtRecipe *recipe = reader->recipe;

  recipe->encodings = ht_recipe_read_path (reader, value, TRUE);
  if (recipe->encodings != NULL)
    recipe->encodings_path = ht_recipe_resolve (recipe, recipe->encodings);
}

static void
read_freeze (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  gint freeze;

  if (ht_recipe_read_enum (reader, value, HT_TYPE_FREEZE, "unknown value of 'freeze':", &freeze))
    reader->recipe->freeze = (HtFreeze)freeze;
}

static void
read_partial (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  ht_recipe_read_boolean (reader, value, &reader->recipe->partial);
}

/* Whether the file has grids for weights is known when it is read. */
static void
read_encodings (HtRecipeReader *reader, HtLocatedNode *value, gpointer section)
{
  static const HtRecipeKey keys[] = {
    { "path", read_encodings_path },
    { "freeze", read_freeze },
    { "partial", read_partial },
    { NULL, NULL },
  };

  if (!ht_recipe_read_mapping (reader, value, "'encodings'", keys, NULL))
    return;
  if (ht_located_node_lookup (value, "path", NULL) == NULL)
    ht_located_node_report (value, reader->problems, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_MISSING_KEY,
                            "'encodings' has no 'path': give the encodings file");
  ht_plan_set_initial_fact (reader->recipe->plan, HT_FACT_WEIGHT_ENCODINGS_FIXED, HT_FACT_UNKNOWN);
}

void
ht_recipe_read_quantization (HtRecipeReader *reader, HtLocatedNode *node, gpointer section)
{
  static const HtRecipeKey keys[] = {
    { "target", read_target }, { "weights", read_weights }, { "activations", read_activations },
    { "rules", read_rules },   { "encodings", read_encodings },       { NULL, NULL },
  };
  guint n_before = reader->problems->len;

  ht_recipe_read_mapping (reader, node, "'quantization'", keys, NULL);
  reader->plan_unclear |= reader->problems->len > n_before;
}
