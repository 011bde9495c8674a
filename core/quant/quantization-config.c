/* SPDX-License-Identifier: MIT */
/* What a recipe's `quantization` section says: the target, two groups of settings, and rules for single nodes. */
#include "quant/quantization-config.h"

#include "quant/quantization-rule.h"
#include "quant/quantizer-settings.h"

#include <halftone/error.h>
#include <string.h>

/**
 * HtQuantizationConfig:
 *
 * Target, settings of weights and of activations, and ordered rules.
 *
 * The settings of a tensor are, key by key: what the target says for it; over that what somebody has set explicitly in
 * the settings of weights and of activations; over that what the rules that match say, a later one over an earlier one.
 *
 * A rule matches a node when the node's ONNX operator type is the rule's (exactly, with case), the rule's glob
 * matches the node's whole name, the node is in a chain of the rule's pattern of operators, and the node is the first
 * or last layer, if the rule says so; what a rule leaves out matches everything. In a glob `*` stands for any
 * characters,
 * `?` for one.
 *
 * What a match says holds for the weights of the node and for the tensor that it produces. Nodes that are quantized as
 * one (a convolution with the activations that follow it) have one output: a rule that matches any of them holds for
 * it. Network inputs belong to no node, no rule matches them. `skip` leaves weights and output in floating point.
 */
G_DEFINE_FINAL_TYPE (HtQuantizationConfig, ht_quantization_config, G_TYPE_OBJECT)

static void
ht_quantization_config_finalize (GObject *object)
{
  HtQuantizationConfig *self = HT_QUANTIZATION_CONFIG (object);

  g_free (self->word);
  g_clear_object (&self->target);
  g_clear_object (&self->weights);
  g_clear_object (&self->activations);
  g_hash_table_unref (self->places[0]);
  g_hash_table_unref (self->places[1]);
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
  g_autoptr (HtTarget) target = ht_target_get_default ();

  self->weights = ht_quantizer_settings_new_weights ();
  self->activations = ht_quantizer_settings_new_activations ();
  for (guint i = 0; i < 2; i++)
    self->places[i] = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->rules = g_ptr_array_new_with_free_func (ht_rule_free);
  ht_quantization_config_take_target (self, ht_target_get_name (target), target);
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

  return self->word;
}

/**
 * ht_quantization_config_get_target_object:
 * @self: a configuration
 *
 * Gets the target itself.
 *
 * Returns: (transfer none): the target
 */
HtTarget *
ht_quantization_config_get_target_object (HtQuantizationConfig *self)
{
  g_return_val_if_fail (HT_IS_QUANTIZATION_CONFIG (self), NULL);

  return self->target;
}

/* Whatever a former target has said is gone. */
static void
reset_defaults (HtQuantizerSettings *settings)
{
  g_autoptr (GObject) fresh = g_object_new (G_OBJECT_TYPE (settings), NULL);
  g_autoptr (GPtrArray) params = ht_object_list_params (G_OBJECT_GET_CLASS (settings));

  for (guint i = 0; i < params->len; i++)
    {
      const char *key = g_param_spec_get_name (g_ptr_array_index (params, i));
      g_autoptr (JsonNode) value = ht_object_get_param (fresh, key, NULL);

      if (value && !ht_quantizer_settings_is_explicit (settings, key))
        ht_quantizer_settings_set_default (settings, key, value, NULL);
    }
}

/* What was set before stays; what was not is now the target's to say. Whoever asks for a setting without naming a node
 * gets that of a convolution. */
void
ht_quantization_config_take_target (HtQuantizationConfig *self, const char *word, HtTarget *target)
{
  const HtTargetUse weight = { TRUE, "weight", "Conv", NULL }, activation = { FALSE, NULL, NULL, NULL };

  g_set_object (&self->target, target);
  g_free (self->word);
  self->word = g_strdup (word);
  reset_defaults (self->weights);
  reset_defaults (self->activations);
  ht_target_apply (target, &weight, self->weights, NULL);
  ht_target_apply (target, &activation, self->activations, NULL);
}

/**
 * ht_quantization_config_set_target_object:
 * @self: a configuration
 * @target: a target
 *
 * Chooses the target. Settings that nobody has set follow it.
 */
void
ht_quantization_config_set_target_object (HtQuantizationConfig *self, HtTarget *target)
{
  g_return_if_fail (HT_IS_QUANTIZATION_CONFIG (self) && HT_IS_TARGET (target));

  ht_quantization_config_take_target (self, ht_target_get_name (target), target);
}

/**
 * ht_quantization_config_set_target:
 * @self: a configuration
 * @target: the name of a target, or the path of a file, see ht_target_load()
 * @error: return location for an error
 *
 * Chooses the target. Settings that nobody has set follow it.
 *
 * Returns: %TRUE, or %FALSE with @error set when there is no such target or its file is malformed
 */
gboolean
ht_quantization_config_set_target (HtQuantizationConfig *self, const char *target, GError **error)
{
  g_autoptr (HtTarget) loaded = NULL;

  g_return_val_if_fail (HT_IS_QUANTIZATION_CONFIG (self), FALSE);
  g_return_val_if_fail (target != NULL, FALSE);

  loaded = ht_target_load (target, NULL, error);
  if (!loaded)
    return FALSE;
  ht_quantization_config_take_target (self, target, loaded);
  return TRUE;
}

void
ht_quantization_config_set_place (HtQuantizationConfig *self, gboolean weights, const char *key, const char *place)
{
  g_hash_table_replace (self->places[weights ? 0 : 1], g_strdup (key), g_strdup (place));
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
  g_return_val_if_fail (HT_IS_QUANTIZATION_CONFIG (self), 0);

  g_ptr_array_add (self->rules, ht_rule_new (op_type, name_glob, skip));
  return self->rules->len - 1;
}

/**
 * ht_quantization_config_set_rule_pattern:
 * @self: a configuration
 * @rule: the number of a rule
 * @op_types: (array zero-terminated=1): operator types, one at least
 *
 * Makes a rule match only nodes in a chain of these operators, in which each is the only reader of the one before.
 */
void
ht_quantization_config_set_rule_pattern (HtQuantizationConfig *self, guint rule, const char *const *op_types)
{
  HtRule *at;

  g_return_if_fail (HT_IS_QUANTIZATION_CONFIG (self) && rule < self->rules->len);
  g_return_if_fail (op_types != NULL && op_types[0] != NULL);

  at = g_ptr_array_index (self->rules, rule);
  g_strfreev (at->pattern);
  at->pattern = g_strdupv ((char **)op_types);
}

/**
 * ht_quantization_config_set_rule_position:
 * @self: a configuration
 * @rule: the number of a rule
 * @position: which layer it is for
 *
 * Makes a rule match only the first or the last layer of a network.
 */
void
ht_quantization_config_set_rule_position (HtQuantizationConfig *self, guint rule, HtRulePosition position)
{
  g_return_if_fail (HT_IS_QUANTIZATION_CONFIG (self) && rule < self->rules->len);

  ((HtRule *)g_ptr_array_index (self->rules, rule))->position = position;
}

/**
 * ht_quantization_config_set_rule_place:
 * @self: a configuration
 * @rule: the number of a rule
 * @place: (nullable): where it is written, as "file:line:column"
 *
 * Says where a rule comes from, for explanations.
 */
void
ht_quantization_config_set_rule_place (HtQuantizationConfig *self, guint rule, const char *place)
{
  HtRule *at;

  g_return_if_fail (HT_IS_QUANTIZATION_CONFIG (self) && rule < self->rules->len);

  at = g_ptr_array_index (self->rules, rule);
  g_free (at->place);
  at->place = g_strdup (place);
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
  HtRule *at;

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
  g_autofree char *rule = NULL;

  g_return_val_if_fail (HT_IS_QUANTIZATION_CONFIG (self) && node != NULL, FALSE);

  rule = ht_quantization_config_find_skip (self, node);
  return rule != NULL;
}

char *
ht_quantization_config_find_skip (HtQuantizationConfig *self, HtNode *node)
{
  for (guint i = 0; i < self->rules->len; i++)
    {
      HtRule *rule = g_ptr_array_index (self->rules, i);

      if (rule->skip && ht_rule_matches (rule, node))
        return ht_rule_describe (rule, i);
    }
  return NULL;
}

void
ht_setting_exception_free (gpointer exception)
{
  HtSettingException *self = exception;

  g_free (self->key);
  json_node_unref (self->value);
  g_free (self->origin);
  g_free (self);
}

static void
take_origin (GHashTable *origins, const char *key, char *origin)
{
  if (origins)
    g_hash_table_replace (origins, g_strdup (key), origin);
  else
    g_free (origin);
}

static gboolean
apply_rule (HtRule *rule, guint number, HtQuantizerSettings *settings, gboolean weights, GHashTable *origins,
            GError **error)
{
  GHashTableIter iter;
  gpointer key, value;

  g_hash_table_iter_init (&iter, rule->values[weights ? 0 : 1]);
  while (g_hash_table_iter_next (&iter, &key, &value))
    {
      if (!ht_object_set_param (G_OBJECT (settings), key, value, error))
        return FALSE;
      take_origin (origins, key, ht_rule_describe (rule, number));
    }
  return TRUE;
}

static gboolean
apply_rules (HtQuantizationConfig *self, HtNode *const *nodes, gsize n_nodes, HtQuantizerSettings *settings,
             gboolean weights, GHashTable *origins, GError **error)
{
  for (guint i = 0; i < self->rules->len; i++)
    {
      HtRule *rule = g_ptr_array_index (self->rules, i);
      gboolean matches = FALSE;

      for (gsize k = 0; k < n_nodes && !matches; k++)
        matches = ht_rule_matches (rule, nodes[k]);
      if (matches && !apply_rule (rule, i, settings, weights, origins, error))
        return FALSE;
    }
  return TRUE;
}

static void
apply_exceptions (GPtrArray *exceptions, HtQuantizerSettings *settings, GHashTable *origins)
{
  for (guint i = 0; exceptions && i < exceptions->len; i++)
    {
      HtSettingException *exception = g_ptr_array_index (exceptions, i);

      if (ht_quantizer_settings_is_explicit (settings, exception->key)
          || !ht_quantizer_settings_set_default (settings, exception->key, exception->value, NULL))
        continue;
      take_origin (origins, exception->key, g_strdup (exception->origin));
    }
}

static void
list_explicit (HtQuantizationConfig *self, HtQuantizerSettings *settings, gboolean weights, GHashTable *origins)
{
  const char *section = weights ? "quantization.weights" : "quantization.activations";
  g_autoptr (GPtrArray) params = ht_object_list_params (G_OBJECT_GET_CLASS (settings));

  for (guint i = 0; i < params->len; i++)
    {
      const char *key = g_param_spec_get_name (g_ptr_array_index (params, i));
      const char *place = g_hash_table_lookup (self->places[weights ? 0 : 1], key);

      if (!ht_quantizer_settings_is_explicit (settings, key))
        continue;
      take_origin (origins, key,
                   place ? g_strdup_printf ("%s.%s (%s)", section, key, place)
                         : g_strdup_printf ("%s.%s", section, key));
    }
}

static void
apply_least_bits (HtQuantizerSettings *settings, guint least_bits, GHashTable *origins)
{
  g_autoptr (JsonNode) value = NULL;

  if (ht_quantizer_settings_get_bits (settings) >= least_bits)
    return;
  value = json_node_init_int (json_node_alloc (), least_bits);
  ht_quantizer_settings_set_default (settings, "bits", value, NULL);
  take_origin (origins, "bits", g_strdup_printf ("parameters of normalizations have %u bits at least", least_bits));
}

/* A target's `strict` speaks of symmetric grids; a recipe that wants another one does not contradict it. */
static void
drop_strict (HtQuantizerSettings *settings)
{
  g_autoptr (JsonNode) no = json_node_init_boolean (json_node_alloc (), FALSE);

  if (ht_quantizer_settings_get_strict (settings) && !ht_quantizer_settings_get_symmetric (settings)
      && !ht_quantizer_settings_is_explicit (settings, "strict"))
    ht_quantizer_settings_set_default (settings, "strict", no, NULL);
}

HtQuantizerSettings *
ht_quantization_config_resolve_use (HtQuantizationConfig *self, const HtTargetUse *use, GPtrArray *exceptions,
                                    guint least_bits, HtNode *const *nodes, gsize n_nodes, GHashTable *origins,
                                    GError **error)
{
  g_autoptr (HtQuantizerSettings) settings
      = ht_quantizer_settings_copy (use->is_weight ? self->weights : self->activations);

  ht_target_apply (self->target, use, settings, origins);
  apply_exceptions (exceptions, settings, origins);
  if (origins)
    list_explicit (self, settings, use->is_weight, origins);
  apply_least_bits (settings, least_bits, origins);
  if (!apply_rules (self, nodes, n_nodes, settings, use->is_weight, origins, error))
    return NULL;
  drop_strict (settings);
  if (!ht_quantizer_settings_verify (settings, error))
    {
      if (n_nodes > 0)
        g_prefix_error (error, "resolving the rules for node '%s': ", ht_node_get_name (nodes[0]));
      return NULL;
    }
  return g_steal_pointer (&settings);
}

/**
 * ht_quantization_config_resolve:
 * @self: a configuration
 * @nodes: (array length=n_nodes): the nodes that a tensor belongs to; none for a network input
 * @n_nodes: how many there are
 * @weights: whether the tensor is a weight; else an activation
 * @error: return location for an error
 *
 * Gets the settings of one tensor: what the target says for a weight of the first node or for what the last one makes,
 * what is set explicitly, and what the rules that match any of its nodes override. Of a simulation, its quantizers have
 * the settings.
 *
 * Returns: (transfer full) (nullable): the settings, or %NULL with @error set when they contradict each other
 */
HtQuantizerSettings *
ht_quantization_config_resolve (HtQuantizationConfig *self, HtNode *const *nodes, gsize n_nodes, gboolean weights,
                                GError **error)
{
  HtTargetUse use = { weights, weights ? "weight" : NULL, NULL, NULL };

  g_return_val_if_fail (HT_IS_QUANTIZATION_CONFIG (self), NULL);
  g_return_val_if_fail (n_nodes == 0 || nodes != NULL, NULL);

  if (n_nodes > 0)
    use.op_type = ht_node_get_op_type (nodes[weights ? 0 : n_nodes - 1]);
  return ht_quantization_config_resolve_use (self, &use, NULL, 0, nodes, n_nodes, NULL, error);
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

  return ht_quantizer_settings_verify (self->weights, error) && ht_quantizer_settings_verify (self->activations, error);
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
  if (G_VALUE_HOLDS (value, HT_TYPE_CALIBRATOR))
    return g_strdup (ht_calibrator_get_id (g_value_get_object (value)));
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
 * Returns: (transfer full) (nullable): the value as a recipe writes it ("8", "true", "channel"), or %NULL when there is
 * no such setting
 */
char *
ht_quantization_config_lookup (HtQuantizationConfig *self, const char *path)
{
  HtQuantizerSettings *settings;
  const char *name;
  g_auto (GValue) value = G_VALUE_INIT;

  g_return_val_if_fail (HT_IS_QUANTIZATION_CONFIG (self) && path != NULL, NULL);

  if (strcmp (path, "target") == 0)
    return g_strdup (self->word);
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
