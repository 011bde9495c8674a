/* SPDX-License-Identifier: MIT */
/* The laws of combination. Each follows from what the steps declare and from the vocabulary in facts.c. */
#include "pass/plan-private.h"

#include <halftone/error.h>

#include <string.h>

typedef struct
{
  HtPlan *plan;
  guint step;          /* the one that is looked at */
  GHashTable *facts;   /* before it, then after it */
  GHashTable *refused; /* pairs of steps that were refused already: one reason is enough */
} Check;

static void G_GNUC_PRINTF (6, 7) report (Check *self, HtSeverity severity, HtRecipeError code, gint other,
                                         const char *reference, const char *format, ...)
{
  HtPlanFinding *finding = g_new0 (HtPlanFinding, 1);
  va_list arguments;

  va_start (arguments, format);
  finding->message = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  finding->severity = severity;
  finding->code = code;
  finding->step = self->step;
  finding->other_step = other;
  finding->reference = g_strdup (reference);
  g_ptr_array_add (self->plan->findings, finding);
}

/* Whether this pair of steps is refused for the first time. */
static gboolean
refuse_pair (Check *self, guint other)
{
  guint64 pair = ((guint64)MIN (self->step, other) << 32) | MAX (self->step, other);
  return g_hash_table_add (self->refused, g_memdup2 (&pair, sizeof pair));
}

static void
set_fact (Check *self, const char *name, HtFactValue value, HtFactOrigin origin)
{
  HtFact *fact = g_new0 (HtFact, 1);
  fact->value = value;
  fact->origin = origin;
  fact->step = self->step;
  g_hash_table_insert (self->facts, g_strdup (name), fact);
}

char *
ht_fact_describe (const char *name, HtFactValue value)
{
  const HtFactInfo *info = ht_fact_get_info (name);
  const char *words = value == HT_FACT_TRUE ? info->if_true : value == HT_FACT_FALSE ? info->if_false : NULL;

  if (words != NULL)
    return g_strdup (words);
  return g_strdup_printf ("'%s' is %s", name,
                          value == HT_FACT_TRUE    ? "true"
                          : value == HT_FACT_FALSE ? "false"
                                                   : "unknown");
}

/* The other step that applies a rule of this kind about this fact: the nearest behind, or -1. */
static gint
find_later (Check *self, HtRuleKind kind, const char *fact)
{
  for (guint i = self->step + 1; i < self->plan->steps->len; i++)
    if (ht_plan_step_may (ht_plan_get_step (self->plan, i), kind, fact))
      return (gint)i;
  return -1;
}

/* "; step 'cle' provides it, put it first" or how it came that the fact is not as it should be. */
static char *
explain_unsatisfied (Check *self, const char *name, const HtFact *fact, HtFactValue wanted, gint *other)
{
  g_autofree char *words = ht_fact_describe (name, fact->value);
  g_autofree char *step = NULL;

  *other = -1;
  if (fact->origin != HT_FACT_IS_INITIAL)
    {
      *other = (gint)fact->step;
      step = ht_plan_describe_step (self->plan, fact->step);
      if (fact->origin == HT_FACT_IS_ASSUMED)
        return g_strdup_printf ("but %s is legal only if %s", step, words);
      return g_strdup_printf ("but after %s %s", step, words);
    }
  *other = find_later (self, wanted == HT_FACT_TRUE ? HT_RULE_PROVIDES : HT_RULE_ENDS, name);
  if (*other < 0)
    return g_strdup_printf (
        "but %s%s", words,
        wanted == HT_FACT_TRUE && fact->value == HT_FACT_FALSE ? ", and no step before it brings that about" : "");
  step = ht_plan_describe_step (self->plan, (guint)*other);
  return g_strdup_printf ("but %s; %s brings that about, move it to the front", words, step);
}

static void
check_requirement (Check *self, const HtPassRule *rule, HtFactValue applies)
{
  HtFactValue wanted = rule->kind == HT_RULE_REQUIRES ? HT_FACT_TRUE : HT_FACT_FALSE;
  HtFact fact = ht_plan_lookup_fact (self->facts, rule->subject);
  g_autofree char *step = ht_plan_describe_step (self->plan, self->step);
  g_autofree char *words = ht_fact_describe (rule->subject, wanted);
  gint other;

  if (fact.value == wanted)
    return;
  if (applies == HT_FACT_UNKNOWN)
    {
      report (self, HT_SEVERITY_WARNING, HT_RECIPE_ERROR_UNSATISFIED, -1, rule->reference,
              "legal unless %s: %s then requires that %s: %s", rule->when, step, words, rule->reason);
      return;
    }
  if (fact.value == HT_FACT_UNKNOWN)
    {
      report (self, HT_SEVERITY_WARNING, HT_RECIPE_ERROR_UNSATISFIED, -1, rule->reference,
              "legal if %s: %s requires that: %s", words, step, rule->reason);
      set_fact (self, rule->subject, wanted, HT_FACT_IS_ASSUMED);
      return;
    }
  g_autofree char *how = explain_unsatisfied (self, rule->subject, &fact, wanted, &other);
  report (self, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_UNSATISFIED, other, rule->reference, "%s requires that %s, %s: %s",
          step, words, how, rule->reason);
}

static void
check_setting (Check *self, const HtPassRule *rule, HtPlanStep *plan_step)
{
  g_autofree char *step = ht_plan_describe_step (self->plan, self->step);

  if (rule->condition == NULL)
    return;
  HtFactValue holds = ht_condition_evaluate (rule->condition, &plan_step->scope.scope);
  if (holds == HT_FACT_FALSE)
    report (self, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_UNSATISFIED, -1, rule->reference, "%s requires %s (%s): %s", step,
            rule->subject, rule->when, rule->reason);
  else if (holds == HT_FACT_UNKNOWN)
    report (self, HT_SEVERITY_WARNING, HT_RECIPE_ERROR_UNSATISFIED, -1, rule->reference,
            "legal if %s: %s requires %s: %s", rule->when, step, rule->subject, rule->reason);
}

/* The fact may be true nowhere: not at the beginning, and by no other step, before or after. */
static void
check_conflict (Check *self, const HtPassRule *rule, HtFactValue applies)
{
  g_autofree char *step = ht_plan_describe_step (self->plan, self->step);
  g_autofree char *words = ht_fact_describe (rule->subject, HT_FACT_TRUE);
  HtFact initial = ht_plan_lookup_fact (self->plan->before, rule->subject);

  if (initial.value == HT_FACT_TRUE && applies == HT_FACT_TRUE)
    report (self, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_CONFLICT, -1, rule->reference, "%s cannot be used: %s already: %s",
            step, words, rule->reason);
  else if (initial.value != HT_FACT_FALSE)
    report (self, HT_SEVERITY_WARNING, HT_RECIPE_ERROR_CONFLICT, -1, rule->reference,
            "legal unless %s: that conflicts with %s: %s", words, step, rule->reason);
  for (guint i = 0; i < self->plan->steps->len; i++)
    {
      HtPlanStep *other = ht_plan_get_step (self->plan, i);
      for (guint j = 0; i != self->step && j < other->meta->rules->len; j++)
        {
          HtPassRule *provided = ht_plan_step_get_rule (other, j);
          if (provided->kind != HT_RULE_PROVIDES || !g_str_equal (provided->subject, rule->subject)
              || other->applies[j] == HT_FACT_FALSE || !refuse_pair (self, i))
            continue;
          g_autofree char *other_step = ht_plan_describe_step (self->plan, i);
          gboolean certain = applies == HT_FACT_TRUE && other->applies[j] == HT_FACT_TRUE;
          if (certain)
            report (self, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_CONFLICT, (gint)i, rule->reference,
                    "%s and %s exclude each other in either order, as after the latter %s: %s", step, other_step, words,
                    rule->reason);
          else
            report (self, HT_SEVERITY_WARNING, HT_RECIPE_ERROR_CONFLICT, (gint)i, rule->reference,
                    "legal unless %s: %s and %s then exclude each other: %s",
                    applies == HT_FACT_TRUE ? provided->when : rule->when, step, other_step, rule->reason);
        }
    }
}

static void
check_single_provider (Check *self, const HtPassRule *rule, HtFactValue applies)
{
  HtPlanStep *own = ht_plan_get_step (self->plan, self->step);

  if (!ht_fact_get_info (rule->subject)->one_provider || ht_plan_step_may (own, HT_RULE_CONTINUES, rule->subject))
    return;
  for (guint i = 0; i < self->step; i++)
    {
      HtPlanStep *other = ht_plan_get_step (self->plan, i);
      if (!ht_plan_step_may (other, HT_RULE_PROVIDES, rule->subject) || !refuse_pair (self, i))
        continue;
      g_autofree char *step = ht_plan_describe_step (self->plan, self->step);
      g_autofree char *other_step = ht_plan_describe_step (self->plan, i);
      gboolean certain
          = applies == HT_FACT_TRUE && ht_plan_lookup_fact (other->facts, rule->subject).value == HT_FACT_TRUE;
      report (self, certain ? HT_SEVERITY_ERROR : HT_SEVERITY_WARNING, HT_RECIPE_ERROR_CONFLICT, (gint)i,
              rule->reference, "%s%s and %s both provide '%s', which one step of a pipeline may do: %s; leave one out",
              certain ? "" : "legal unless their conditions hold: ", other_step, step, rule->subject, rule->reason);
    }
}

/* How surely a step of an effect leaves the fact whole: it continues it, or carries the encodings along. */
static HtFactValue
is_excused (HtPlanStep *step, const HtFactInfo *info, const char *effect)
{
  HtFactValue excused = HT_FACT_FALSE;

  for (guint i = 0; i < step->meta->rules->len; i++)
    {
      HtPassRule *rule = ht_plan_step_get_rule (step, i);
      gboolean counts
          = (rule->kind == HT_RULE_CONTINUES && g_str_equal (rule->subject, info->name))
            || (rule->kind == HT_RULE_CARRIES_ENCODINGS && info->can_carry && g_str_equal (rule->subject, effect));
      if (counts && step->applies[i] == HT_FACT_TRUE)
        return HT_FACT_TRUE;
      if (counts && step->applies[i] == HT_FACT_UNKNOWN)
        excused = HT_FACT_UNKNOWN;
    }
  return excused;
}

static void
check_effect_on_fact (Check *self, const HtPassRule *rule, HtFactValue applies, const HtFactInfo *info)
{
  HtPlanStep *plan_step = ht_plan_get_step (self->plan, self->step);
  HtFact fact = ht_plan_lookup_fact (self->facts, info->name);
  HtFactValue excused = is_excused (plan_step, info, rule->subject);
  gint other = fact.origin != HT_FACT_IS_INITIAL ? (gint)fact.step : -1;

  if (fact.value == HT_FACT_FALSE || excused == HT_FACT_TRUE)
    return;
  if (other >= 0 && !refuse_pair (self, (guint)other))
    return;
  g_autofree char *step = ht_plan_describe_step (self->plan, self->step);
  g_autofree char *words = ht_fact_describe (info->name, HT_FACT_TRUE);
  g_autofree char *by = other >= 0 ? ht_plan_describe_step (self->plan, (guint)other) : NULL;
  g_autofree char *place = by != NULL ? g_strdup_printf ("after %s, when", by) : g_strdup ("where");
  const char *remedy = other >= 0 ? "; move it before that step" : "";
  if (applies == HT_FACT_TRUE && fact.value == HT_FACT_TRUE && excused == HT_FACT_FALSE)
    report (self, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_CONFLICT, other, rule->reference,
            "%s %s %s %s, but it neither continues '%s'%s: %s%s", step, rule->subject, place, words, info->name,
            info->can_carry ? " nor carries the encodings along" : " nor can carry it along", info->why, remedy);
  else
    report (self, HT_SEVERITY_WARNING, HT_RECIPE_ERROR_CONFLICT, other, rule->reference, "legal unless %s %s %s %s: %s",
            step, rule->subject, place, words, info->why);
}

static void
check_effect (Check *self, const HtPassRule *rule, HtFactValue applies)
{
  HtEffect effect = ht_effect_from_name (rule->subject);
  const HtFactInfo *info;

  for (guint i = 0; (info = ht_fact_get_nth (i)) != NULL; i++)
    if ((info->broken_by & effect) != 0)
      check_effect_on_fact (self, rule, applies, info);
}

static void
check_order (Check *self, const HtPassRule *rule)
{
  gint other = -1;

  if (rule->kind == HT_RULE_AFTER && ht_plan_lookup_fact (self->facts, rule->subject).value != HT_FACT_TRUE)
    other = find_later (self, HT_RULE_PROVIDES, rule->subject);
  for (guint i = 0; rule->kind == HT_RULE_BEFORE && i < self->step; i++)
    if (ht_plan_step_may (ht_plan_get_step (self->plan, i), HT_RULE_PROVIDES, rule->subject))
      other = (gint)i;
  if (other < 0)
    return;
  g_autofree char *step = ht_plan_describe_step (self->plan, self->step);
  g_autofree char *other_step = ht_plan_describe_step (self->plan, (guint)other);
  report (self, HT_SEVERITY_NOTE, HT_RECIPE_ERROR_CONFLICT, other, rule->reference, "%s is better %s %s: %s", step,
          rule->kind == HT_RULE_AFTER ? "after" : "before", other_step, rule->reason);
}

/* What two steps say of each other comes first: the law that an effect breaks is then the same refusal again. */
static guint
get_round (HtRuleKind kind)
{
  switch (kind)
    {
    case HT_RULE_REQUIRES_SETTING:
    case HT_RULE_CONFLICTS:
    case HT_RULE_PROVIDES:
      return 0;
    case HT_RULE_AFTER:
    case HT_RULE_BEFORE:
      return 2;
    default:
      return 1;
    }
}

static void
check_rule (Check *self, const HtPassRule *rule, HtFactValue applies)
{
  switch (rule->kind)
    {
    case HT_RULE_REQUIRES_SETTING:
      check_setting (self, rule, ht_plan_get_step (self->plan, self->step));
      break;
    case HT_RULE_CONFLICTS:
      check_conflict (self, rule, applies);
      break;
    case HT_RULE_PROVIDES:
      check_single_provider (self, rule, applies);
      break;
    case HT_RULE_REQUIRES:
    case HT_RULE_REQUIRES_NOT:
      check_requirement (self, rule, applies);
      break;
    case HT_RULE_EFFECT:
      check_effect (self, rule, applies);
      break;
    case HT_RULE_AFTER:
    case HT_RULE_BEFORE:
      check_order (self, rule);
      break;
    case HT_RULE_ENDS:
    case HT_RULE_CONTINUES:
    case HT_RULE_CARRIES_ENCODINGS:
    default:
      break;
    }
}

static void
check_step (Check *self, HtPlanStep *step)
{
  for (guint round = 0; round < 3; round++)
    for (guint i = 0; i < step->meta->rules->len; i++)
      {
        HtPassRule *rule = ht_plan_step_get_rule (step, i);
        if (get_round (rule->kind) == round && step->applies[i] != HT_FACT_FALSE)
          check_rule (self, rule, step->applies[i]);
      }
}

/* What the step does to a fact that may or may not be so. */
static HtFactValue
blend (HtFactValue old, HtFactValue value, HtFactValue applies)
{
  return applies == HT_FACT_TRUE || old == value ? value : HT_FACT_UNKNOWN;
}

static void
apply_facts (Check *self, HtPlanStep *step)
{
  static const HtRuleKind order[] = { HT_RULE_ENDS, HT_RULE_PROVIDES };

  for (gsize k = 0; k < G_N_ELEMENTS (order); k++)
    for (guint i = 0; i < step->meta->rules->len; i++)
      {
        HtPassRule *rule = ht_plan_step_get_rule (step, i);
        if (rule->kind != order[k] || step->applies[i] == HT_FACT_FALSE)
          continue;
        HtFactValue value = rule->kind == HT_RULE_PROVIDES ? HT_FACT_TRUE : HT_FACT_FALSE;
        HtFactValue old = ht_plan_lookup_fact (self->facts, rule->subject).value;
        set_fact (self, rule->subject, blend (old, value, step->applies[i]),
                  rule->kind == HT_RULE_PROVIDES ? HT_FACT_IS_PROVIDED : HT_FACT_IS_ENDED);
      }
}

static GHashTable *
copy_facts (GHashTable *facts)
{
  GHashTable *copy = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  GHashTableIter iter;
  gpointer key, value;

  g_hash_table_iter_init (&iter, facts);
  while (g_hash_table_iter_next (&iter, &key, &value))
    g_hash_table_insert (copy, g_strdup (key), g_memdup2 (value, sizeof (HtFact)));
  return copy;
}

static GHashTable *
collect_initial (HtPlan *plan)
{
  GHashTable *facts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  const HtFactInfo *info;
  GHashTableIter iter;
  gpointer key, value;

  for (guint i = 0; (info = ht_fact_get_nth (i)) != NULL; i++)
    {
      HtFact *fact = g_new0 (HtFact, 1);
      fact->value = info->initial;
      g_hash_table_insert (facts, g_strdup (info->name), fact);
    }
  g_hash_table_iter_init (&iter, plan->initial);
  while (g_hash_table_iter_next (&iter, &key, &value))
    {
      HtFact *fact = g_new0 (HtFact, 1);
      fact->value = (HtFactValue)GPOINTER_TO_INT (value);
      g_hash_table_insert (facts, g_strdup (key), fact);
    }
  return facts;
}

static void
evaluate_conditions (HtPlan *plan)
{
  for (guint i = 0; i < plan->steps->len; i++)
    {
      HtPlanStep *step = ht_plan_get_step (plan, i);
      g_free (step->applies);
      step->applies = g_new0 (HtFactValue, step->meta->rules->len + 1);
      for (guint j = 0; j < step->meta->rules->len; j++)
        step->applies[j] = ht_pass_rule_applies (ht_plan_step_get_rule (step, j), &step->scope);
    }
}

static void
check_id (Check *self)
{
  const char *id = ht_plan_get_step (self->plan, self->step)->id;

  for (guint i = 0; i < self->step; i++)
    if (g_str_equal (ht_plan_get_step (self->plan, i)->id, id))
      {
        report (self, HT_SEVERITY_ERROR, HT_RECIPE_ERROR_DUPLICATE_KEY, (gint)i, NULL,
                "steps %u and %u are both called '%s'; give one of them another id", i + 1, self->step + 1, id);
        return;
      }
}

void
ht_plan_simulate (HtPlan *plan)
{
  g_autoptr (GHashTable) refused = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  Check check = { plan, 0, NULL, refused };

  evaluate_conditions (plan);
  g_clear_pointer (&plan->before, g_hash_table_unref);
  plan->before = collect_initial (plan);
  check.facts = copy_facts (plan->before);
  for (check.step = 0; check.step < plan->steps->len; check.step++)
    {
      HtPlanStep *step = ht_plan_get_step (plan, check.step);
      check_id (&check);
      check_step (&check, step);
      apply_facts (&check, step);
      g_clear_pointer (&step->facts, g_hash_table_unref);
      step->facts = copy_facts (check.facts);
    }
  g_hash_table_unref (check.facts);
}
