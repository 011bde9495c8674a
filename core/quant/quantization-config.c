/* SPDX-License-Identifier: MIT */
/* What a recipe's `quantization` section says: the target, two groups of settings, and rules for single nodes. */
#include <halftone/error.h>
#include <halftone/quantization.h>

#include <string.h>

typedef struct
{
  char *op_type;
  char *glob;
  GPatternSpec *pattern;
  gboolean skip;
  /* Overrides of single keys, by kind: name -> JsonNode, already checked. */
  GHashTable *values[2];
} Rule;

/**
 * HtQuantizationConfig:
 *
 * Target, settings of weights and of activations, and ordered rules.
 *
 * A rule matches a node when the node's ONNX operator type is the rule's (exactly, with case) and the rule's glob
 * matches the node's whole name; what a rule leaves out matches everything. In a glob `*` stands for any characters,
 * `?` for one. A later rule that matches overrides an earlier one, key by key.
 *
 * What a match says holds for the weights of the node and for the tensor that it produces. Nodes that are quantized as
 * one (a convolution with the activations that follow it) have one output: a rule that matches any of them holds for
 * it. Network inputs belong to no node, no rule matches them. `skip` leaves weights and output in floating point.
 */
struct _HtQuantizationConfig
{
  GObject parent_instance;

  char *target;
  HtQuantizerSettings *weights;
  HtQuantizerSettings *activations;
  GPtrArray *rules;
};

G_DEFINE_FINAL_TYPE (HtQuantizationConfig, ht_quantization_config, G_TYPE_OBJECT)

static const char *const targets[] = { "default", NULL };

static void
rule_free (gpointer data)
{
  Rule *rule = data;

  g_free (rule->op_type);
  g_free (rule->glob);
  g_clear_pointer (&rule->pattern, g_pattern_spec_free);
  g_hash_table_unref (rule->values[0]);
  g_hash_table_unref (rule->values[1]);
  g_free (rule);
}

static void
ht_quantization_config_finalize (GObject *object)
{
  HtQuantizationConfig *self = HT_QUANTIZATION_CONFIG (object);

  g_free (self->target);
  g_clear_object (&self->weights);
  g_clear_object (&self->activations);
  g_ptr_array_unref (self->rules);
  G_OBJECT_CLASS (ht_quantization_config_parent_class)->finalize (object);
}

static void
ht_quantization_config_class_init (HtQuantizationConfigClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_quantization_config_finalize;
}

static void
ht_quantization_config_init (HtQuantizationConfig *self)
{
  self->target = g_strdup (targets[0]);
  self->weights = ht_quantizer_settings_new_weights ();
  self->activations = ht_quantizer_settings_new_activations ();
  self->rules = g_ptr_array_new_with_free_func (rule_free);
}

/**
 * ht_quantization_config_new:
 *
 * Makes a configuration with the default target and settings and no rules.
 *
 * Returns: (transfer full): the configuration
 */
HtQuantizationConfig *
ht_quantization_config_new (void)
{
  return g_object_new (HT_TYPE_QUANTIZATION_CONFIG, NULL);
}

/**
 * ht_quantization_config_get_target:
 * @self: a configuration
 *
 * Gets the name of the target, which says what is quantized.
 *
 * Returns: (transfer none): the name
 */
const char *
ht_quantization_config_get_target (HtQuantizationConfig *self)
{
  g_return_val_if_fail (HT_IS_QUANTIZATION_CONFIG (self), NULL);

  return self->target;
}

/**
 * ht_quantization_config_set_target:
 * @self: a configuration
 * @target: the name of a target
 * @error: return location for an error
 *
 * Chooses the target.
 *
 * Returns: %TRUE, or %FALSE with @error set when there is no such target
 */
gboolean
ht_quantization_config_set_target (HtQuantizationConfig *self, const char *target, GError **error)
{
  g_autofree char *known = NULL;

  g_return_val_if_fail (HT_IS_QUANTIZATION_CONFIG (self), FALSE);
  g_return_val_if_fail (target != NULL, FALSE);

  if (g_strv_contains (targets, target))
    {
      g_free (self->target);
      self->target = g_strdup (target);
      return TRUE;
    }
  known = g_strjoinv (", ", (char **) targets);
  g_set_error (error, HT_ERROR, HT_ERROR_NOT_FOUND,
               "choosing the quantization target: found '%s'; expected one of: %s (target configuration files are not "
               "yet supported here)",
               target, known);
  return FALSE;
}

/**
 * ht_quantization_config_get_weights:
 * @self: a configuration
 *
 * Gets the settings of weights, which may be changed in place.
 *
 * Returns: (transfer none): the settings
 */
HtQuantizerSettings *
ht_quantization_config_get_weights (HtQuantizationConfig *self)
{
  g_return_val_if_fail (HT_IS_QUANTIZATION_CONFIG (self), NULL);

  return self->weights;
}

/**
 * ht_quantization_config_get_activations:
 * @self: a configuration
 *
 * Gets the settings of activations, which may be changed in place.
 *
 * Returns: (transfer none): the settings
 */
HtQuantizerSettings *
ht_quantization_config_get_activations (HtQuantizationConfig *self)
{
  g_return_val_if_fail (HT_IS_QUANTIZATION_CONFIG (self), NULL);

  return self->activations;
}

/**
 * ht_quantization_config_add_rule:
 * @self: a configuration
 * @op_type: (nullable): the operator type of the nodes it holds for; %NULL for all
 * @name_glob: (nullable): a glob that matches their names; %NULL for all
 * @skip: whether they are left in floating point
 *
 * Appends a rule. See #HtQuantizationConfig for what it matches.
 *
 * Returns: the number of the rule, for ht_quantization_config_set_rule_value()
 */
guint
ht_quantization_config_add_rule (HtQuantizationConfig *self, const char *op_type, const char *name_glob, gboolean skip)
{
  Rule *rule;

  g_return_val_if_fail (HT_IS_QUANTIZATION_CONFIG (self), 0);

  rule = g_new0 (Rule, 1);
  rule->op_type = g_strdup (op_type);
  rule->glob = g_strdup (name_glob);
  rule->pattern = name_glob ? g_pattern_spec_new (name_glob) : NULL;
  rule->skip = skip;
  for (guint i = 0; i < 2; i++)
    rule->values[i] = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) json_node_unref);
  g_ptr_array_add (self->rules, rule);
  return self->rules->len - 1;
}

/**
 * ht_quantization_config_set_rule_value:
 * @self: a configuration
 * @rule: the number of a rule
 * @weights: whether the setting is one of weights; else of activations
 * @key: the name of the setting
 * @value: its value, as a recipe has it
 * @error: return location for an error
 *
 * Makes a rule override one setting. The value is checked exactly as that of the setting itself.
 *
 * Returns: %TRUE, or %FALSE with @error set and the rule unchanged
 */
gboolean
ht_quantization_config_set_rule_value (HtQuantizationConfig *self, guint rule, gboolean weights, const char *key,
                                       JsonNode *value, GError **error)
{
  g_autoptr (HtQuantizerSettings) probe = NULL;
  Rule *at;

  g_return_val_if_fail (HT_IS_QUANTIZATION_CONFIG (self) && rule < self->rules->len, FALSE);
  g_return_val_if_fail (key != NULL && value != NULL, FALSE);

  probe = weights ? ht_quantizer_settings_new_weights () : ht_quantizer_settings_new_activations ();
  if (!ht_object_set_param (G_OBJECT (probe), key, value, error))
    return FALSE;
  at = g_ptr_array_index (self->rules, rule);
  g_hash_table_replace (at->values[weights ? 0 : 1], g_strdup (key), json_node_copy (value));
  return TRUE;
}

/**
 * ht_quantization_config_get_n_rules:
 * @self: a configuration
 *
 * Counts the rules.
 *
 * Returns: the number
 */
guint
ht_quantization_config_get_n_rules (HtQuantizationConfig *self)
{
  g_return_val_if_fail (HT_IS_QUANTIZATION_CONFIG (self), 0);

  return self->rules->len;
}

static gboolean
rule_matches (Rule *rule, HtNode *node)
{
  if (rule->op_type && strcmp (rule->op_type, ht_node_get_op_type (node)) != 0)
    return FALSE;
  return !rule->pattern || g_pattern_spec_match_string (rule->pattern, ht_node_get_name (node));
}

/**
 * ht_quantization_config_is_skipped:
 * @self: a configuration
 * @node: a node
 *
 * Tells whether a rule leaves a node in floating point.
 *
 * Returns: %TRUE when a matching rule says `skip`
 */
gboolean
ht_quantization_config_is_skipped (HtQuantizationConfig *self, HtNode *node)
{
  g_return_val_if_fail (HT_IS_QUANTIZATION_CONFIG (self) && node != NULL, FALSE);

  for (guint i = 0; i < self->rules->len; i++)
    {
      Rule *rule = g_ptr_array_index (self->rules, i);

      if (rule->skip && rule_matches (rule, node))
        return TRUE;
    }
  return FALSE;
}

static gboolean
apply_rule (Rule *rule, HtQuantizerSettings *settings, gboolean weights, GError **error)
{
  GHashTableIter iter;
  gpointer key, value;

  g_hash_table_iter_init (&iter, rule->values[weights ? 0 : 1]);
  while (g_hash_table_iter_next (&iter, &key, &value))
    if (!ht_object_set_param (G_OBJECT (settings), key, value, error))
      return FALSE;
  return TRUE;
}

/**
 * ht_quantization_config_resolve:
 * @self: a configuration
 * @nodes: (array length=n_nodes): the nodes that a tensor belongs to; none for a network input
 * @n_nodes: how many there are
 * @weights: whether the tensor is a weight; else an activation
 * @error: return location for an error
 *
 * Gets the settings of one tensor: those of its kind, with what the rules that match any of its nodes override.
 *
 * Returns: (transfer full) (nullable): the settings, or %NULL with @error set when they contradict each other
 */
HtQuantizerSettings *
ht_quantization_config_resolve (HtQuantizationConfig *self, HtNode *const *nodes, gsize n_nodes, gboolean weights,
                                GError **error)
{
  g_autoptr (HtQuantizerSettings) settings = NULL;

  g_return_val_if_fail (HT_IS_QUANTIZATION_CONFIG (self), NULL);
  g_return_val_if_fail (n_nodes == 0 || nodes != NULL, NULL);

  settings = ht_quantizer_settings_copy (weights ? self->weights : self->activations);
  for (guint i = 0; i < self->rules->len; i++)
    {
      Rule *rule = g_ptr_array_index (self->rules, i);
      gboolean matches = FALSE;

      for (gsize k = 0; k < n_nodes && !matches; k++)
        matches = rule_matches (rule, nodes[k]);
      if (matches && !apply_rule (rule, settings, weights, error))
        return NULL;
    }
  if (!ht_quantizer_settings_verify (settings, error))
    {
      if (n_nodes > 0)
        g_prefix_error (error, "resolving the rules for node '%s': ", ht_node_get_name (nodes[0]));
      return NULL;
    }
  return g_steal_pointer (&settings);
}

/**
 * ht_quantization_config_verify:
 * @self: a configuration
 * @error: return location for an error
 *
 * Checks the settings of weights and activations, see ht_quantizer_settings_verify().
 *
 * Returns: %TRUE when they can be carried out, else %FALSE with @error set
 */
gboolean
ht_quantization_config_verify (HtQuantizationConfig *self, GError **error)
{
  g_return_val_if_fail (HT_IS_QUANTIZATION_CONFIG (self), FALSE);

  return ht_quantizer_settings_verify (self->weights, error)
         && ht_quantizer_settings_verify (self->activations, error);
}

static char *
value_to_word (const GValue *value)
{
  if (G_VALUE_HOLDS_ENUM (value))
    {
      g_autoptr (GEnumClass) klass = g_type_class_ref (G_VALUE_TYPE (value));
      GEnumValue *found = g_enum_get_value (klass, g_value_get_enum (value));

      return found ? g_strdup (found->value_nick) : NULL;
    }
  if (G_VALUE_HOLDS_BOOLEAN (value))
    return g_strdup (g_value_get_boolean (value) ? "true" : "false");
  if (G_VALUE_HOLDS_UINT (value))
    return g_strdup_printf ("%u", g_value_get_uint (value));
  return NULL;
}

/**
 * ht_quantization_config_lookup:
 * @self: a configuration
 * @path: `target`, or `weights.` or `activations.` and the name of a setting
 *
 * Reads one setting by its name, for the conditions of rules. Rules for single nodes are not looked at.
 *
 * Returns: (transfer full) (nullable): the value as a recipe writes it ("8", "true", "channel"), or %NULL when there is no
 *   such setting
 */
char *
ht_quantization_config_lookup (HtQuantizationConfig *self, const char *path)
{
  HtQuantizerSettings *settings;
  const char *name;
  g_auto (GValue) value = G_VALUE_INIT;

  g_return_val_if_fail (HT_IS_QUANTIZATION_CONFIG (self) && path != NULL, NULL);

  if (strcmp (path, "target") == 0)
    return g_strdup (self->target);
  name = strchr (path, '.');
  if (!name)
    return NULL;
  if (g_str_has_prefix (path, "weights."))
    settings = self->weights;
  else if (g_str_has_prefix (path, "activations."))
    settings = self->activations;
  else
    return NULL;
  name++;
  if (!g_object_class_find_property (G_OBJECT_GET_CLASS (settings), name))
    return NULL;
  g_object_get_property (G_OBJECT (settings), name, &value);
  return value_to_word (&value);
}
