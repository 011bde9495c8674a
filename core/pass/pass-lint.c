/* SPDX-License-Identifier: MIT */
/* What a technique's class must keep to. Everything that is wrong is said at once. */
#include "pass/pass-private.h"

#include "base/param-private.h"
#include "pass/facts.h"

#include <halftone/error.h>

#include <string.h>

#define MAX_SUMMARY 100

gboolean
ht_is_word (const char *text)
{
  if (text == NULL || !g_ascii_islower (text[0]))
    return FALSE;
  for (const char *p = text; *p != '\0'; p++)
    if (!g_ascii_islower (*p) && !g_ascii_isdigit (*p) && *p != '-')
      return FALSE;
  return TRUE;
}

static void G_GNUC_PRINTF (2, 3) complain (GPtrArray *problems, const char *format, ...)
{
  va_list arguments;

  va_start (arguments, format);
  g_ptr_array_add (problems, g_strdup_vprintf (format, arguments));
  va_end (arguments);
}

static gboolean
is_text (const char *text)
{
  return text != NULL && text[0] != '\0' && g_utf8_validate (text, -1, NULL);
}

static void
lint_info (HtPassClass *klass, GPtrArray *problems)
{
  HtPassMeta *meta = ht_pass_class_get_meta (klass);

  if (meta->id == NULL)
    complain (problems, "it has no id; call ht_pass_class_set_info() in its class_init");
  else if (!g_utf8_validate (meta->id, -1, NULL) || !ht_is_word (meta->id))
    complain (problems, "its id is not of the form [a-z][a-z0-9-]*");
  if (!is_text (meta->summary))
    complain (problems, "it has no summary");
  else if (g_utf8_strlen (meta->summary, -1) > MAX_SUMMARY)
    complain (problems, "its summary has more than %d characters", MAX_SUMMARY);
  if (meta->description != NULL && !g_utf8_validate (meta->description, -1, NULL))
    complain (problems, "its description is not UTF-8");
  for (guint i = 0; i + 1 < meta->references->len; i++)
    if (!is_text (g_ptr_array_index (meta->references, i)))
      complain (problems, "one of its references is empty or not UTF-8");
  if ((meta->reads
       & ~(guint)(HT_PASS_READS_CALIBRATION_DATA | HT_PASS_READS_LABELS | HT_PASS_READS_WEIGHT_SETTINGS
                  | HT_PASS_READS_ACTIVATION_SETTINGS | HT_PASS_READS_REFERENCE_NETWORK))
      != 0)
    complain (problems, "it declares to read something that this version does not know");
  if (klass->run == NULL)
    complain (problems, "it does not implement run()");
}

/* A GParamSpec without G_PARAM_CONSTRUCT says one default and the new object has another. */
static void
lint_default (GObject *object, GParamSpec *pspec, GPtrArray *problems)
{
  g_autoptr (JsonNode) stated = ht_param_value_to_json (pspec, g_param_spec_get_default_value (pspec));
  g_autoptr (JsonNode) found = ht_object_get_param (object, pspec->name, NULL);

  if (stated != NULL && found != NULL && json_node_equal (stated, found))
    return;
  g_autofree char *stated_text = stated != NULL ? ht_param_describe_json (stated) : g_strdup ("nothing");
  g_autofree char *found_text
      = found != NULL ? ht_param_describe_json (found) : g_strdup ("nothing that JSON can hold");
  complain (problems, "parameter '%s' is %s in a new object, but its GParamSpec says %s; make it with HT_PARAM_RW",
            pspec->name, found_text, stated_text);
}

static void
lint_params (GType type, HtPassClass *klass, GPtrArray *problems)
{
  g_autofree GParamSpec **all = NULL;
  g_autoptr (GObject) object = NULL;
  guint n_all;

  all = g_object_class_list_properties (G_OBJECT_CLASS (klass), &n_all);
  if (n_all > 0)
    object = g_object_new (type, NULL);
  for (guint i = 0; i < n_all; i++)
    {
      g_autoptr (GError) error = NULL;
      if (!ht_param_spec_lint (all[i], &error))
        complain (problems, "%s", error->message);
      else if (g_str_equal (all[i]->name, "target"))
        complain (problems, "parameter 'target' has the name of a quantization setting");
      else
        lint_default (object, all[i], problems);
    }
}

static void
lint_subject (const HtPassRule *rule, guint index, GPtrArray *problems)
{
  if (!is_text (rule->subject))
    {
      complain (problems, "rule %u has no subject", index);
      return;
    }
  if (rule->kind == HT_RULE_REQUIRES_SETTING)
    return;
  if (rule->kind == HT_RULE_EFFECT || rule->kind == HT_RULE_CARRIES_ENCODINGS)
    {
      if (ht_effect_from_name (rule->subject) == 0)
        {
          g_autofree char *names = g_strjoinv (", ", (char **)ht_effect_list_names ());
          complain (problems, "rule %u names the effect '%s'; effects are %s", index, rule->subject, names);
        }
      return;
    }
  if (!ht_is_word (rule->subject))
    complain (problems, "rule %u names the fact '%s', which is not of the form [a-z][a-z0-9-]*", index, rule->subject);
}

static void
lint_rule (const HtPassRule *rule, guint index, const HtPassScope *scope, GPtrArray *problems)
{
  g_autoptr (GError) error = NULL;

  if (ht_rule_kind_get_words (rule->kind) == NULL)
    {
      complain (problems, "rule %u is of a kind that this version does not know", index);
      return;
    }
  lint_subject (rule, index, problems);
  if (!is_text (rule->reason))
    complain (problems, "rule %u gives no reason", index);
  if (rule->reference != NULL && !is_text (rule->reference))
    complain (problems, "rule %u has a reference that is empty or not UTF-8", index);
  if (rule->condition_error != NULL)
    complain (problems, "rule %u: %s", index, rule->condition_error->message);
  else if (rule->condition != NULL && !ht_condition_check (rule->condition, &scope->scope, &error))
    complain (problems, "rule %u: %s", index, error->message);
  if (rule->kind == HT_RULE_REQUIRES_SETTING && rule->when == NULL)
    complain (problems, "rule %u requires a setting without a condition that says which", index);
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
          complain (problems, "rules %u and %u contradict each other about '%s'", MIN (i, j), MAX (i, j), a->subject);
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
  lint_contradictions (meta->rules, problems);
  if (problems->len > 0)
    {
      g_ptr_array_add (problems, NULL);
      g_autofree char *all = g_strjoinv ("; ", (char **)problems->pdata);
      g_autofree char *id = meta->id != NULL ? g_utf8_make_valid (meta->id, -1) : NULL;
      g_set_error (error, HT_PLUGIN_ERROR, HT_PLUGIN_ERROR_BAD_PASS, "technique '%s': %s",
                   id != NULL ? id : g_type_name (type), all);
      g_ptr_array_remove_index (problems, problems->len - 1);
    }
  g_type_class_unref (klass);
  return problems->len == 0;
}
