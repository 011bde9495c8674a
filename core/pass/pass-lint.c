/* SPDX-License-Identifier: MIT */
/* What a technique's class must keep to. Everything that is wrong is said at once. */
#include "pass/pass-private.h"

#include "pass/facts.h"

#include <halftone/error.h>

static gboolean
is_known_reads (HtPassReads reads)
{
  return (reads
          & ~(guint)(HT_PASS_READS_CALIBRATION_DATA | HT_PASS_READS_LABELS | HT_PASS_READS_WEIGHT_SETTINGS
                     | HT_PASS_READS_ACTIVATION_SETTINGS | HT_PASS_READS_REFERENCE_NETWORK))
         == 0;
}

static void
lint_info (HtPassClass *klass, GPtrArray *problems)
{
  HtPassMeta *meta = ht_pass_class_get_meta (klass);

  ht_class_info_lint (&meta->info, "ht_pass_class_set_info", problems);
  if (!is_known_reads (meta->reads))
    ht_class_complain (problems, "it declares to read something that this version does not know");
  if (klass->run == NULL)
    ht_class_complain (problems, "it does not implement run()");
}

static void
lint_params (GType type, HtPassClass *klass, GPtrArray *problems)
{
  if (g_object_class_find_property (G_OBJECT_CLASS (klass), "target") != NULL)
    ht_class_complain (problems, "parameter 'target' has the name of a quantization setting");
  ht_class_params_lint (type, problems);
}

static void
lint_subject (const HtPassRule *rule, guint index, GPtrArray *problems)
{
  if (!ht_is_text (rule->subject))
    {
      ht_class_complain (problems, "rule %u has no subject", index);
      return;
    }
  if (rule->kind == HT_RULE_REQUIRES_SETTING)
    return;
  if (rule->kind == HT_RULE_EFFECT || rule->kind == HT_RULE_CARRIES_ENCODINGS)
    {
      if (ht_effect_from_name (rule->subject) == 0)
        {
          g_autofree char *names = g_strjoinv (", ", (char **)ht_effect_list_names ());
          ht_class_complain (problems, "rule %u names the effect '%s'; effects are %s", index, rule->subject, names);
        }
      return;
    }
  if (!ht_is_word (rule->subject))
    ht_class_complain (problems, "rule %u names the fact '%s', which is not of the form [a-z][a-z0-9-]*", index,
                       rule->subject);
}

static void
lint_rule (const HtPassRule *rule, guint index, const HtPassScope *scope, GPtrArray *problems)
{
  g_autoptr (GError) error = NULL;

  if (ht_rule_kind_get_words (rule->kind) == NULL)
    {
      ht_class_complain (problems, "rule %u is of a kind that this version does not know", index);
      return;
    }
  lint_subject (rule, index, problems);
  if (!ht_is_text (rule->reason))
    ht_class_complain (problems, "rule %u gives no reason", index);
  if (rule->reference != NULL && !ht_is_text (rule->reference))
    ht_class_complain (problems, "rule %u has a reference that is empty or not UTF-8", index);
  if (rule->condition_error != NULL)
    ht_class_complain (problems, "rule %u: %s", index, rule->condition_error->message);
  else if (rule->condition != NULL && !ht_condition_check (rule->condition, &scope->scope, &error))
    ht_class_complain (problems, "rule %u: %s", index, error->message);
  if (rule->kind == HT_RULE_REQUIRES_SETTING && rule->when == NULL)
    ht_class_complain (problems, "rule %u requires a setting without a condition that says which", index);
}

static void
lint_added_reads (const HtPassAddedReads *added, guint index, const HtPassScope *scope, GPtrArray *problems)
{
  g_autoptr (GError) error = NULL;

  if (!is_known_reads (added->reads) || added->reads == HT_PASS_READS_NOTHING)
    ht_class_complain (problems, "added reads %u are of something that this version does not know", index);
  if (added->condition_error != NULL)
    ht_class_complain (problems, "added reads %u: %s", index, added->condition_error->message);
  else if (!ht_condition_check (added->condition, &scope->scope, &error))
    ht_class_complain (problems, "added reads %u: %s", index, error->message);
}

static gboolean
exclude_each_other (HtRuleKind a, HtRuleKind b)
{
  return (a == HT_RULE_PROVIDES && (b == HT_RULE_ENDS || b == HT_RULE_CONFLICTS))
         || (a == HT_RULE_REQUIRES && (b == HT_RULE_REQUIRES_NOT || b == HT_RULE_CONFLICTS))
         || (a == HT_RULE_CONTINUES && b == HT_RULE_CONFLICTS);
}

static void
lint_contradictions (GPtrArray *rules, GPtrArray *problems)
{
  for (guint i = 0; i < rules->len; i++)
    for (guint j = 0; j < rules->len; j++)
      {
        HtPassRule *a = g_ptr_array_index (rules, i);
        HtPassRule *b = g_ptr_array_index (rules, j);
        if (a->when == NULL && b->when == NULL && exclude_each_other (a->kind, b->kind)
            && g_strcmp0 (a->subject, b->subject) == 0)
          ht_class_complain (problems, "rules %u and %u contradict each other about '%s'", MIN (i, j), MAX (i, j),
                             a->subject);
      }
}

gboolean
ht_pass_type_lint (GType type, GError **error)
{
  g_autoptr (GPtrArray) problems = g_ptr_array_new_with_free_func (g_free);

  if (type == G_TYPE_INVALID || !g_type_is_a (type, HT_TYPE_PASS) || G_TYPE_IS_ABSTRACT (type))
    {
      g_set_error (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS, "type '%s' is not a technique: it %s",
                   type != G_TYPE_INVALID ? g_type_name (type) : "(none)",
                   type != G_TYPE_INVALID && g_type_is_a (type, HT_TYPE_PASS) ? "is abstract"
                                                                              : "does not derive from HtPass");
      return FALSE;
    }
  HtPassClass *klass = g_type_class_ref (type);
  HtPassMeta *meta = ht_pass_class_get_meta (klass);
  HtPassScope scope;

  ht_pass_scope_init (&scope, klass, NULL, NULL);
  lint_info (klass, problems);
  lint_params (type, klass, problems);
  for (guint i = 0; i < meta->rules->len; i++)
    lint_rule (g_ptr_array_index (meta->rules, i), i, &scope, problems);
  for (guint i = 0; i < meta->added_reads->len; i++)
    lint_added_reads (g_ptr_array_index (meta->added_reads, i), i, &scope, problems);
  lint_contradictions (meta->rules, problems);
  if (problems->len > 0)
    {
      g_autofree char *text = ht_class_describe_problems ("technique", type, &meta->info, problems);
      g_set_error_literal (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS, text);
    }
  g_type_class_unref (klass);
  return problems->len == 0;
}
