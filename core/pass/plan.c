/* SPDX-License-Identifier: MIT */
#include "pass/plan-private.h"

#include <halftone/error.h>

#include <string.h>

/**
 * HtPlan:
 *
 * An ordered list of steps, and what can be known about it before anything runs: whether the steps may follow each
 * other, on what that depends, and what would be better. The planner knows facts and effects, and no technique.
 */
G_DEFINE_FINAL_TYPE (HtPlan, ht_plan, G_TYPE_OBJECT)

static void
step_free (gpointer data)
{
  HtPlanStep *step = data;
  g_free (step->id);
  g_object_unref (step->pass);
  g_free (step->applies);
  g_clear_pointer (&step->facts, g_hash_table_unref);
  g_free (step);
}

static void
finding_free (gpointer data)
{
  HtPlanFinding *finding = data;
  g_free (finding->message);
  g_free (finding->reference);
  g_free (finding);
}

static void
ht_plan_init (HtPlan *self)
{
  self->steps = g_ptr_array_new_with_free_func (step_free);
  self->findings = g_ptr_array_new_with_free_func (finding_free);
  self->initial = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
}

static void
ht_plan_finalize (GObject *object)
{
  HtPlan *self = HT_PLAN (object);

  g_clear_object (&self->config);
  g_ptr_array_unref (self->steps);
  g_ptr_array_unref (self->findings);
  g_hash_table_unref (self->initial);
  g_clear_pointer (&self->before, g_hash_table_unref);
  G_OBJECT_CLASS (ht_plan_parent_class)->finalize (object);
}

static void
ht_plan_class_init (HtPlanClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_plan_finalize;
}

/**
 * ht_plan_new:
 * @config: (nullable): the quantization settings, or %NULL where they are not known yet
 *
 * Makes a plan without steps.
 *
 * Returns: (transfer full): a new plan
 */
HtPlan *
ht_plan_new (HtQuantizationConfig *config)
{
  g_return_val_if_fail (config == NULL || HT_IS_QUANTIZATION_CONFIG (config), NULL);

  HtPlan *self = g_object_new (HT_TYPE_PLAN, NULL);
  self->config = config != NULL ? g_object_ref (config) : NULL;
  return self;
}

/**
 * ht_plan_add_step:
 * @self: a plan
 * @id: the id of the step, unique in the plan
 * @pass: the technique, with its parameters set
 *
 * Adds a step at the end.
 */
void
ht_plan_add_step (HtPlan *self, const char *id, HtPass *pass)
{
  g_return_if_fail (HT_IS_PLAN (self));
  g_return_if_fail (id != NULL);
  g_return_if_fail (HT_IS_PASS (pass));

  HtPlanStep *step = g_new0 (HtPlanStep, 1);
  step->id = g_strdup (id);
  step->pass = g_object_ref (pass);
  step->meta = ht_pass_class_get_meta (HT_PASS_GET_CLASS (pass));
  ht_pass_scope_init (&step->scope, HT_PASS_GET_CLASS (pass), pass, self->config);
  g_ptr_array_add (self->steps, step);
  self->checked = FALSE;
}

/**
 * ht_plan_get_n_steps:
 * @self: a plan
 *
 * Counts the steps.
 *
 * Returns: how many there are
 */
guint
ht_plan_get_n_steps (HtPlan *self)
{
  g_return_val_if_fail (HT_IS_PLAN (self), 0);
  return self->steps->len;
}

HtPlanStep *
ht_plan_get_step (HtPlan *self, guint index)
{
  return g_ptr_array_index (self->steps, index);
}

HtPassRule *
ht_plan_step_get_rule (HtPlanStep *step, guint index)
{
  return g_ptr_array_index (step->meta->rules, index);
}

/**
 * ht_plan_get_step_id:
 * @self: a plan
 * @step: which step
 *
 * Gets the id of a step.
 *
 * Returns: (transfer none): the id
 */
const char *
ht_plan_get_step_id (HtPlan *self, guint step)
{
  g_return_val_if_fail (HT_IS_PLAN (self), NULL);
  g_return_val_if_fail (step < self->steps->len, NULL);
  return ht_plan_get_step (self, step)->id;
}

/**
 * ht_plan_get_step_pass:
 * @self: a plan
 * @step: which step
 *
 * Gets the technique of a step.
 *
 * Returns: (transfer none): the pass
 */
HtPass *
ht_plan_get_step_pass (HtPlan *self, guint step)
{
  g_return_val_if_fail (HT_IS_PLAN (self), NULL);
  g_return_val_if_fail (step < self->steps->len, NULL);
  return ht_plan_get_step (self, step)->pass;
}

/**
 * ht_plan_set_initial_fact:
 * @self: a plan
 * @fact: a fact
 * @value: what it is before the first step
 *
 * Says what is known of the model. Where nothing is said, `batchnorm-live` is unknown and every other fact false.
 */
void
ht_plan_set_initial_fact (HtPlan *self, const char *fact, HtFactValue value)
{
  g_return_if_fail (HT_IS_PLAN (self));
  g_return_if_fail (fact != NULL);
  g_hash_table_insert (self->initial, g_strdup (fact), GINT_TO_POINTER (value));
  self->checked = FALSE;
}

/**
 * ht_plan_get_initial_fact:
 * @self: a plan
 * @fact: a fact
 *
 * Gets what a fact is before the first step.
 *
 * Returns: its value
 */
HtFactValue
ht_plan_get_initial_fact (HtPlan *self, const char *fact)
{
  gpointer value;

  g_return_val_if_fail (HT_IS_PLAN (self), HT_FACT_UNKNOWN);
  g_return_val_if_fail (fact != NULL, HT_FACT_UNKNOWN);
  if (g_hash_table_lookup_extended (self->initial, fact, NULL, &value))
    return (HtFactValue)GPOINTER_TO_INT (value);
  return ht_fact_get_info (fact)->initial;
}

static gboolean
has_batchnorm (HtGraph *graph)
{
  for (guint i = 0; i < ht_graph_get_n_nodes (graph); i++)
    {
      HtNode *node = ht_graph_get_node (graph, i);
      if (ht_node_is_op (node, "BatchNormalization"))
        return TRUE;
      g_auto (GStrv) attributes = ht_node_list_attributes (node);
      for (gsize j = 0; attributes[j] != NULL; j++)
        if (ht_node_get_attribute_type (node, attributes[j]) == HT_ATTRIBUTE_GRAPH
            && has_batchnorm (ht_node_get_subgraph (node, attributes[j])))
          return TRUE;
    }
  return FALSE;
}

/**
 * ht_plan_learn_from_graph:
 * @self: a plan
 * @graph: the model
 *
 * Takes the initial facts from a model: batch norms are live where it has a BatchNormalization node. Facts that only
 * steps bring about stay as they were set, or false.
 */
void
ht_plan_learn_from_graph (HtPlan *self, HtGraph *graph)
{
  g_return_if_fail (HT_IS_PLAN (self));
  g_return_if_fail (HT_IS_GRAPH (graph));
  ht_plan_set_initial_fact (self, HT_FACT_BATCHNORM_LIVE, has_batchnorm (graph) ? HT_FACT_TRUE : HT_FACT_FALSE);
}

void
ht_plan_ensure_checked (HtPlan *self)
{
  if (self->checked)
    return;
  g_ptr_array_set_size (self->findings, 0);
  ht_plan_simulate (self);
  self->checked = TRUE;
}

/**
 * ht_plan_check:
 * @self: a plan
 * @error: return location for an error
 *
 * Finds out whether the steps may follow each other. All problems are found at once, see ht_plan_get_finding(); the
 * error is the first one, %HT_RECIPE_ERROR_CONFLICT or %HT_RECIPE_ERROR_UNSATISFIED.
 *
 * Returns: whether the plan is legal, if need be under the assumptions among the findings
 */
gboolean
ht_plan_check (HtPlan *self, GError **error)
{
  HtPlanFinding *first = NULL;
  guint n_errors = 0;

  g_return_val_if_fail (HT_IS_PLAN (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  /* The parameters of the passes may have changed since the last time. */
  self->checked = FALSE;
  ht_plan_ensure_checked (self);
  for (guint i = 0; i < self->findings->len; i++)
    {
      HtPlanFinding *finding = g_ptr_array_index (self->findings, i);
      if (finding->severity != HT_SEVERITY_ERROR)
        continue;
      if (first == NULL)
        first = finding;
      n_errors++;
    }
  if (n_errors == 1)
    g_set_error_literal (error, HT_RECIPE_ERROR, first->code, first->message);
  else if (n_errors > 1)
    g_set_error (error, HT_RECIPE_ERROR, first->code, "%s (and %u more problems)", first->message, n_errors - 1);
  return n_errors == 0;
}

/**
 * ht_plan_get_n_findings:
 * @self: a plan that was checked
 *
 * Counts what the check found.
 *
 * Returns: how many findings there are
 */
guint
ht_plan_get_n_findings (HtPlan *self)
{
  g_return_val_if_fail (HT_IS_PLAN (self), 0);
  ht_plan_ensure_checked (self);
  return self->findings->len;
}

/**
 * ht_plan_get_finding:
 * @self: a plan that was checked
 * @index: which finding
 * @severity: (out) (optional): %HT_SEVERITY_ERROR for what is illegal, %HT_SEVERITY_WARNING for what the plan depends
 * on
 *   ("legal if …"), %HT_SEVERITY_NOTE for advice
 * @step: (out) (optional): the step that it is about
 * @other_step: (out) (optional): the other step that it is about, or -1
 * @reference: (out) (optional) (transfer none) (nullable): where the reason is shown
 *
 * Gets a finding, in the order of the steps.
 *
 * Returns: (transfer none): the finding, as a sentence
 */
const char *
ht_plan_get_finding (HtPlan *self, guint index, gint *severity, guint *step, gint *other_step, const char **reference)
{
  g_return_val_if_fail (HT_IS_PLAN (self), NULL);
  ht_plan_ensure_checked (self);
  g_return_val_if_fail (index < self->findings->len, NULL);

  HtPlanFinding *finding = g_ptr_array_index (self->findings, index);
  if (severity != NULL)
    *severity = finding->severity;
  if (step != NULL)
    *step = finding->step;
  if (other_step != NULL)
    *other_step = finding->other_step;
  if (reference != NULL)
    *reference = finding->reference;
  return finding->message;
}

HtFact
ht_plan_lookup_fact (GHashTable *facts, const char *name)
{
  HtFact *found = g_hash_table_lookup (facts, name);
  HtFact absent = { ht_fact_get_info (name)->initial, HT_FACT_IS_INITIAL, 0 };
  return found != NULL ? *found : absent;
}

/**
 * ht_plan_get_fact:
 * @self: a plan that was checked
 * @step: which step
 * @fact: a fact
 *
 * Says what a fact is after a step. What an earlier step could only assume counts as so.
 *
 * Returns: its value
 */
HtFactValue
ht_plan_get_fact (HtPlan *self, guint step, const char *fact)
{
  g_return_val_if_fail (HT_IS_PLAN (self), HT_FACT_UNKNOWN);
  g_return_val_if_fail (step < self->steps->len, HT_FACT_UNKNOWN);
  g_return_val_if_fail (fact != NULL, HT_FACT_UNKNOWN);
  ht_plan_ensure_checked (self);
  return ht_plan_lookup_fact (ht_plan_get_step (self, step)->facts, fact).value;
}

char *
ht_plan_describe_step (HtPlan *self, guint index)
{
  HtPlanStep *step = ht_plan_get_step (self, index);
  const char *id = step->meta->info.id != NULL ? step->meta->info.id : G_OBJECT_TYPE_NAME (step->pass);

  if (g_str_equal (step->id, id))
    return g_strdup_printf ("step '%s'", step->id);
  return g_strdup_printf ("step '%s' (%s)", step->id, id);
}

gboolean
ht_plan_step_may (HtPlanStep *step, HtRuleKind kind, const char *subject)
{
  for (guint i = 0; i < step->meta->rules->len; i++)
    {
      HtPassRule *rule = ht_plan_step_get_rule (step, i);
      if (rule->kind == kind && (subject == NULL || g_str_equal (rule->subject, subject))
          && ht_pass_rule_applies (rule, &step->scope) != HT_FACT_FALSE)
        return TRUE;
    }
  return FALSE;
}
