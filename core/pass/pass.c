/* SPDX-License-Identifier: MIT */
#include "pass/pass-private.h"

#include <halftone/error.h>

#include <string.h>

/* Metadata lives in the type's data, one record for each class. A class inherits none of it: a subclass of a technique
 * is another technique. base_init runs for each class that is made, a dynamic type's second time too. */
static GQuark
meta_quark (void)
{
  return g_quark_from_static_string ("halftone-pass-meta");
}

static void
rule_free (gpointer data)
{
  HtPassRule *rule = data;
  g_free (rule->subject);
  g_free (rule->reason);
  g_free (rule->reference);
  g_free (rule->when);
  ht_condition_free (rule->condition);
  g_clear_error (&rule->condition_error);
  g_free (rule);
}

static void
added_reads_free (gpointer data)
{
  HtPassAddedReads *added = data;
  g_free (added->when);
  ht_condition_free (added->condition);
  g_clear_error (&added->condition_error);
  g_free (added);
}

static void
ht_pass_class_base_init (gpointer klass)
{
  HtPassMeta *meta = g_new0 (HtPassMeta, 1);

  ht_class_info_init (&meta->info);
  meta->rules = g_ptr_array_new_with_free_func (rule_free);
  meta->added_reads = g_ptr_array_new_with_free_func (added_reads_free);
  g_type_set_qdata (G_TYPE_FROM_CLASS (klass), meta_quark (), meta);
}

static void
ht_pass_class_base_finalize (gpointer klass)
{
  HtPassMeta *meta = ht_pass_class_get_meta (klass);

  g_type_set_qdata (G_TYPE_FROM_CLASS (klass), meta_quark (), NULL);
  ht_class_info_clear (&meta->info);
  g_free (meta->version);
  g_ptr_array_unref (meta->rules);
  g_ptr_array_unref (meta->added_reads);
  g_free (meta);
}

/**
 * HtPass:
 *
 * The base of every technique. A technique implements #HtPassClass.run, says what it is in its class_init through
 * ht_pass_class_set_info(), ht_pass_class_add_rule() and ht_pass_class_set_reads(), and has its hyper-parameters as
 * properties made with #HT_PARAM_RW.
 */
GType
ht_pass_get_type (void)
{
  static gsize type_id = 0;

  if (g_once_init_enter (&type_id))
    {
      GTypeInfo info = { .class_size = sizeof (HtPassClass),
                         .base_init = ht_pass_class_base_init,
                         .base_finalize = ht_pass_class_base_finalize,
                         .instance_size = sizeof (HtPass) };
      g_once_init_leave (&type_id, g_type_register_static (G_TYPE_OBJECT, "HtPass", &info, G_TYPE_FLAG_ABSTRACT));
    }
  return type_id;
}

HtPassMeta *
ht_pass_class_get_meta (HtPassClass *klass)
{
  return g_type_get_qdata (G_TYPE_FROM_CLASS (klass), meta_quark ());
}

/**
 * ht_pass_class_set_info:
 * @klass: the class of a technique
 * @id: its id, as recipes name it: `[a-z][a-z0-9-]*`
 * @summary: one line that says what it does
 * @description: (nullable): more, in Markdown
 *
 * Names a technique. A missing or malformed id or summary is found when the technique is registered.
 */
void
ht_pass_class_set_info (HtPassClass *klass, const char *id, const char *summary, const char *description)
{
  g_return_if_fail (HT_IS_PASS_CLASS (klass));
  ht_class_info_set (&ht_pass_class_get_meta (klass)->info, id, summary, description);
}

/**
 * ht_pass_class_add_reference:
 * @klass: the class of a technique
 * @reference: a paper, with a link
 *
 * Says where a technique is described.
 */
void
ht_pass_class_add_reference (HtPassClass *klass, const char *reference)
{
  g_return_if_fail (HT_IS_PASS_CLASS (klass));
  g_return_if_fail (reference != NULL);
  ht_class_info_add_reference (&ht_pass_class_get_meta (klass)->info, reference);
}

/**
 * ht_pass_class_set_reads:
 * @klass: the class of a technique
 * @reads: what it looks at besides the graph
 *
 * Declares what a technique reads. Its context refuses the rest.
 */
void
ht_pass_class_set_reads (HtPassClass *klass, HtPassReads reads)
{
  g_return_if_fail (HT_IS_PASS_CLASS (klass));
  ht_pass_class_get_meta (klass)->reads = reads;
}

/**
 * ht_pass_class_add_reads:
 * @klass: the class of a technique
 * @reads: what it looks at besides
 * @when: a condition, as of a rule (see ht_pass_class_add_rule())
 *
 * Declares what a technique reads only with some of its parameters or settings, beyond ht_pass_class_set_reads(). What
 * a step does not read neither makes a search run it again nor reaches it: its context refuses it. A condition that is
 * malformed is found when the technique is registered.
 */
void
ht_pass_class_add_reads (HtPassClass *klass, HtPassReads reads, const char *when)
{
  g_return_if_fail (HT_IS_PASS_CLASS (klass));
  g_return_if_fail (when != NULL);

  HtPassAddedReads *added = g_new0 (HtPassAddedReads, 1);
  added->reads = reads;
  added->when = g_strdup (when);
  added->condition = ht_condition_parse (when, &added->condition_error);
  g_ptr_array_add (ht_pass_class_get_meta (klass)->added_reads, added);
}

/**
 * ht_pass_class_add_rule:
 * @klass: the class of a technique
 * @kind: what is declared
 * @subject: a fact; an effect for %HT_RULE_EFFECT and %HT_RULE_CARRIES_ENCODINGS; for %HT_RULE_REQUIRES_SETTING a few
 *   words for what @when demands, such as "per-channel weights"
 * @reason: why, in words that a user understands; every rule has one
 * @reference: (nullable): where that is shown
 * @when: (nullable): when the rule applies, %NULL for always; for %HT_RULE_REQUIRES_SETTING, what must hold
 *
 * Declares a rule of combination. A condition compares the technique's own parameters and the quantization settings
 * with literals: `weights.granularity = channel && !(iterations < 2000)`, with `= == != < <= > >=`, `! && ||` and
 * parentheses; a bare name is a switch that is on. Settings are `weights.KEY`, `activations.KEY` and `target`, the
 * resolved ones without the rules for single layers. What is malformed is found when the technique is registered.
 */
void
ht_pass_class_add_rule (HtPassClass *klass, HtRuleKind kind, const char *subject, const char *reason,
                        const char *reference, const char *when)
{
  g_return_if_fail (HT_IS_PASS_CLASS (klass));

  HtPassRule *rule = g_new0 (HtPassRule, 1);
  rule->kind = kind;
  rule->subject = g_strdup (subject);
  rule->reason = g_strdup (reason);
  rule->reference = g_strdup (reference);
  rule->when = g_strdup (when);
  if (when != NULL)
    rule->condition = ht_condition_parse (when, &rule->condition_error);
  g_ptr_array_add (ht_pass_class_get_meta (klass)->rules, rule);
}

/**
 * ht_pass_class_get_id:
 * @klass: the class of a technique
 *
 * Gets the id of a technique.
 *
 * Returns: (transfer none) (nullable): the id
 */
const char *
ht_pass_class_get_id (HtPassClass *klass)
{
  g_return_val_if_fail (HT_IS_PASS_CLASS (klass), NULL);
  return ht_pass_class_get_meta (klass)->info.id;
}

/**
 * ht_pass_class_get_summary:
 * @klass: the class of a technique
 *
 * Gets the line that says what a technique does.
 *
 * Returns: (transfer none) (nullable): the summary
 */
const char *
ht_pass_class_get_summary (HtPassClass *klass)
{
  g_return_val_if_fail (HT_IS_PASS_CLASS (klass), NULL);
  return ht_pass_class_get_meta (klass)->info.summary;
}

/**
 * ht_pass_class_get_description:
 * @klass: the class of a technique
 *
 * Gets the longer description.
 *
 * Returns: (transfer none) (nullable): Markdown, or %NULL where there is none
 */
const char *
ht_pass_class_get_description (HtPassClass *klass)
{
  g_return_val_if_fail (HT_IS_PASS_CLASS (klass), NULL);
  return ht_pass_class_get_meta (klass)->info.description;
}

/**
 * ht_pass_class_get_references:
 * @klass: the class of a technique
 *
 * Gets the papers that describe a technique.
 *
 * Returns: (transfer none) (array zero-terminated=1): the references
 */
const char *const *
ht_pass_class_get_references (HtPassClass *klass)
{
  g_return_val_if_fail (HT_IS_PASS_CLASS (klass), NULL);
  return (const char *const *)ht_pass_class_get_meta (klass)->info.references->pdata;
}

/**
 * ht_pass_class_get_reads:
 * @klass: the class of a technique
 *
 * Gets what a technique declares to read, whatever its parameters.
 *
 * Returns: what it looks at besides the graph
 */
HtPassReads
ht_pass_class_get_reads (HtPassClass *klass)
{
  g_return_val_if_fail (HT_IS_PASS_CLASS (klass), HT_PASS_READS_NOTHING);
  return ht_pass_class_get_meta (klass)->reads;
}

/**
 * ht_pass_class_get_added_reads:
 * @klass: the class of a technique
 * @index: which one, in the order of their declaration
 * @when: (out) (optional) (transfer none): its condition
 *
 * Gets what a technique reads where a condition holds, see ht_pass_class_add_reads().
 *
 * Returns: what it looks at then; %HT_PASS_READS_NOTHING behind the last one
 */
HtPassReads
ht_pass_class_get_added_reads (HtPassClass *klass, guint index, const char **when)
{
  g_return_val_if_fail (HT_IS_PASS_CLASS (klass), HT_PASS_READS_NOTHING);

  GPtrArray *list = ht_pass_class_get_meta (klass)->added_reads;
  if (index >= list->len)
    return HT_PASS_READS_NOTHING;
  HtPassAddedReads *added = g_ptr_array_index (list, index);
  if (when != NULL)
    *when = added->when;
  return added->reads;
}

/**
 * ht_pass_get_reads:
 * @self: a technique with its parameters set
 * @config: (nullable): the quantization settings
 *
 * Says what a step reads: what its technique always does, and what it adds under conditions that hold, or that are open
 * because there are no settings.
 *
 * Returns: what it looks at besides the graph
 */
HtPassReads
ht_pass_get_reads (HtPass *self, HtQuantizationConfig *config)
{
  HtPassScope scope;

  g_return_val_if_fail (HT_IS_PASS (self), HT_PASS_READS_NOTHING);
  g_return_val_if_fail (config == NULL || HT_IS_QUANTIZATION_CONFIG (config), HT_PASS_READS_NOTHING);

  HtPassClass *klass = HT_PASS_GET_CLASS (self);
  HtPassMeta *meta = ht_pass_class_get_meta (klass);
  guint reads = meta->reads;
  ht_pass_scope_init (&scope, klass, self, config);
  for (guint i = 0; i < meta->added_reads->len; i++)
    {
      HtPassAddedReads *added = g_ptr_array_index (meta->added_reads, i);
      if (added->condition == NULL || ht_condition_evaluate (added->condition, &scope.scope) != HT_FACT_FALSE)
        reads |= added->reads;
    }
  return (HtPassReads)reads;
}

/**
 * ht_pass_class_get_n_rules:
 * @klass: the class of a technique
 *
 * Counts the rules of a technique.
 *
 * Returns: how many it declares
 */
guint
ht_pass_class_get_n_rules (HtPassClass *klass)
{
  g_return_val_if_fail (HT_IS_PASS_CLASS (klass), 0);
  return ht_pass_class_get_meta (klass)->rules->len;
}

/**
 * ht_pass_class_get_rule:
 * @klass: the class of a technique
 * @index: which rule
 * @subject: (out) (optional) (transfer none): the fact, effect or setting
 * @reason: (out) (optional) (transfer none): why
 * @reference: (out) (optional) (transfer none) (nullable): where that is shown
 * @when: (out) (optional) (transfer none) (nullable): its condition
 *
 * Gets a rule, in the order of their declaration.
 *
 * Returns: what is declared
 */
HtRuleKind
ht_pass_class_get_rule (HtPassClass *klass, guint index, const char **subject, const char **reason,
                        const char **reference, const char **when)
{
  g_return_val_if_fail (HT_IS_PASS_CLASS (klass), HT_RULE_REQUIRES);
  GPtrArray *rules = ht_pass_class_get_meta (klass)->rules;
  g_return_val_if_fail (index < rules->len, HT_RULE_REQUIRES);

  HtPassRule *rule = g_ptr_array_index (rules, index);
  if (subject != NULL)
    *subject = rule->subject;
  if (reason != NULL)
    *reason = rule->reason;
  if (reference != NULL)
    *reference = rule->reference;
  if (when != NULL)
    *when = rule->when;
  return rule->kind;
}

const char *
ht_rule_kind_get_words (HtRuleKind kind)
{
  static const char *const words[] = {
    [HT_RULE_REQUIRES] = "requires",
    [HT_RULE_REQUIRES_NOT] = "requires the absence of",
    [HT_RULE_REQUIRES_SETTING] = "requires the setting",
    [HT_RULE_PROVIDES] = "provides",
    [HT_RULE_ENDS] = "ends",
    [HT_RULE_CONFLICTS] = "conflicts with",
    [HT_RULE_EFFECT] = "has the effect",
    [HT_RULE_CONTINUES] = "continues",
    [HT_RULE_CARRIES_ENCODINGS] = "carries encodings along where it",
    [HT_RULE_AFTER] = "is better after",
    [HT_RULE_BEFORE] = "is better before",
  };
  return (guint)kind < G_N_ELEMENTS (words) ? words[kind] : NULL;
}

/**
 * ht_pass_run:
 * @self: a technique with its parameters set
 * @state: an editable state
 * @context: what it is given
 * @error: return location for an error
 *
 * Carries a technique out. On failure @state is in no defined condition and is to be dropped; the pass manager does all
 * of this. A technique that breaks the protocol of errors fails with %HT_PLUGIN_ERROR_BAD_PASS.
 *
 * Returns: whether it was carried out
 */
gboolean
ht_pass_run (HtPass *self, HtModelState *state, HtPassContext *context, GError **error)
{
  g_autoptr (GError) local = NULL;

  g_return_val_if_fail (HT_IS_PASS (self), FALSE);
  g_return_val_if_fail (HT_IS_MODEL_STATE (state) && !ht_model_state_is_sealed (state), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);
  g_return_val_if_fail (HT_PASS_GET_CLASS (self)->run != NULL, FALSE);

  gboolean done = HT_PASS_GET_CLASS (self)->run (self, state, context, &local);
  if (done && local == NULL)
    return TRUE;
  if (done)
    g_set_error (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS, "it reported success together with an error: %s",
                 local->message);
  else if (local == NULL)
    g_set_error (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS, "it failed without saying why");
  else
    g_propagate_error (error, g_steal_pointer (&local));
  return FALSE;
}
