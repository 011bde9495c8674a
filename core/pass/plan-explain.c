/* SPDX-License-Identifier: MIT */
/* Why a step stands where it stands, in words. */
#include "pass/plan-private.h"

#include <string.h>

/* "step 'fold' ended that", "assumed by step 'x'", "so at the start" */
static char *
describe_origin (HtPlan *self, const HtFact *fact)
{
  g_autofree char *step = fact->origin != HT_FACT_IS_INITIAL ? ht_plan_describe_step (self, fact->step) : NULL;

  if (fact->value == HT_FACT_UNKNOWN)
    return g_strdup ("not known without the model or the settings");
  if (fact->origin == HT_FACT_IS_INITIAL)
    return g_strdup ("so from the start");
  if (fact->origin == HT_FACT_IS_ASSUMED)
    return g_strdup_printf ("assumed since %s", step);
  return g_strdup_printf ("so since %s", step);
}

static char *
explain_rule (HtPlan *self, GHashTable *before, const HtPassRule *rule, HtFactValue applies)
{
  GString *line = g_string_new (ht_rule_kind_get_words (rule->kind));

  g_string_append_printf (line, " '%s'", rule->subject);
  if (rule->when != NULL)
    g_string_append_printf (line, "%s %s", applies == HT_FACT_UNKNOWN ? " perhaps, if" : ", as", rule->when);
  if (rule->kind == HT_RULE_REQUIRES || rule->kind == HT_RULE_REQUIRES_NOT || rule->kind == HT_RULE_AFTER)
    {
      HtFact fact = ht_plan_lookup_fact (before, rule->subject);
      g_autofree char *words = ht_fact_describe (rule->subject, fact.value);
      g_autofree char *origin = describe_origin (self, &fact);
      g_string_append_printf (line, " (%s, %s)", words, origin);
    }
  g_string_append_printf (line, ": %s", rule->reason);
  if (rule->reference != NULL)
    g_string_append_printf (line, " [%s]", rule->reference);
  return g_string_free (line, FALSE);
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

/* "batchnorm-live unknown, equalized": false ones are left out unless the step made them so. */
static char *
list_facts (GHashTable *facts, GHashTable *before)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  GString *text = g_string_new (NULL);
  GHashTableIter iter;
  gpointer key;

  g_hash_table_iter_init (&iter, facts);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    g_ptr_array_add (names, key);
  g_ptr_array_sort (names, compare_names);
  for (guint i = 0; i < names->len; i++)
    {
      const char *name = g_ptr_array_index (names, i);
      HtFactValue value = ht_plan_lookup_fact (facts, name).value;
      gboolean ended
          = before != NULL && value == HT_FACT_FALSE && ht_plan_lookup_fact (before, name).value != HT_FACT_FALSE;
      if (value == HT_FACT_FALSE && !ended)
        continue;
      g_string_append_printf (text, "%s%s%s", text->len > 0 ? ", " : "", ended ? "no " : "", name);
      if (value == HT_FACT_UNKNOWN)
        g_string_append (text, " (perhaps)");
    }
  if (text->len == 0)
    g_string_append (text, "none");
  return g_string_free (text, FALSE);
}

/**
 * ht_plan_explain_step:
 * @self: a plan that was checked
 * @step: which step
 *
 * Says what a step does and why it may stand where it stands: its rules as far as they apply, with the step that made
 * each required fact so, and the facts before and after it.
 *
 * Returns: (transfer full) (array zero-terminated=1): lines
 */
char **
ht_plan_explain_step (HtPlan *self, guint step)
{
  g_return_val_if_fail (HT_IS_PLAN (self), NULL);
  g_return_val_if_fail (step < self->steps->len, NULL);

  ht_plan_ensure_checked (self);
  HtPlanStep *plan_step = ht_plan_get_step (self, step);
  GHashTable *before = step > 0 ? ht_plan_get_step (self, step - 1)->facts : self->before;
  g_autofree char *title = ht_plan_describe_step (self, step);
  g_autofree char *facts_before = list_facts (before, NULL);
  g_autofree char *facts_after = list_facts (plan_step->facts, before);
  GPtrArray *lines = g_ptr_array_new ();

  g_ptr_array_add (lines, g_strdup_printf ("%s: %s", title, plan_step->meta->info.summary));
  for (guint i = 0; i < plan_step->meta->rules->len; i++)
    if (plan_step->applies[i] != HT_FACT_FALSE)
      g_ptr_array_add (lines, explain_rule (self, before, ht_plan_step_get_rule (plan_step, i), plan_step->applies[i]));
  g_ptr_array_add (lines, g_strdup_printf ("facts: %s → %s", facts_before, facts_after));
  g_ptr_array_add (lines, NULL);
  return (char **)g_ptr_array_free (lines, FALSE);
}
