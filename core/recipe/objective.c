/* SPDX-License-Identifier: MIT */
#include "recipe/objective-private.h"

#include <halftone/enums.h>

/**
 * HtObjective:
 *
 * What a search is after: the metric that decides, conditions that a candidate must meet, and the costs by which those
 * that cannot be told apart are ranked.
 */
struct _HtObjective
{
  GObject parent_instance;

  HtMetric metric;
  gboolean minimized;
  HtObjectiveData data;
  GArray *constraints; /* HtConstraint */
  GArray *costs;       /* HtCost */
};

G_DEFINE_FINAL_TYPE (HtObjective, ht_objective, G_TYPE_OBJECT)

static void
constraint_clear (gpointer constraint)
{
  g_free (((HtConstraint *)constraint)->text);
}

static void
ht_objective_finalize (GObject *object)
{
  HtObjective *self = HT_OBJECTIVE (object);

  g_array_unref (self->constraints);
  g_array_unref (self->costs);
  G_OBJECT_CLASS (ht_objective_parent_class)->finalize (object);
}

static void
ht_objective_class_init (HtObjectiveClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ht_objective_finalize;
}

static void
ht_objective_init (HtObjective *self)
{
  self->constraints = g_array_new (FALSE, TRUE, sizeof (HtConstraint));
  g_array_set_clear_func (self->constraints, constraint_clear);
  self->costs = g_array_new (FALSE, TRUE, sizeof (HtCost));
}

/**
 * ht_objective_new:
 * @metric: the metric that decides
 *
 * Makes an objective without conditions and costs.
 *
 * Returns: (transfer full): the objective
 */
HtObjective *
ht_objective_new (HtMetric metric)
{
  HtObjective *self = g_object_new (HT_TYPE_OBJECTIVE, NULL);

  self->metric = metric;
  self->minimized = metric == HT_METRIC_KL;
  return self;
}

void
ht_objective_set_data (HtObjective *self, HtObjectiveData data)
{
  self->data = data;
}

void
ht_objective_set_minimized (HtObjective *self, gboolean minimized)
{
  self->minimized = minimized;
}

void
ht_objective_add_cost (HtObjective *self, HtCost cost)
{
  g_array_append_val (self->costs, cost);
}

void
ht_objective_take_constraint (HtObjective *self, const HtConstraint *constraint)
{
  g_array_append_vals (self->constraints, constraint, 1);
}

/**
 * ht_objective_get_metric:
 * @self: an objective
 *
 * Gets the metric that decides.
 *
 * Returns: the metric
 */
HtMetric
ht_objective_get_metric (HtObjective *self)
{
  g_return_val_if_fail (HT_IS_OBJECTIVE (self), HT_METRIC_TOP1);
  return self->metric;
}

/**
 * ht_objective_is_maximized:
 * @self: an objective
 *
 * Tells whether more of its metric is better.
 *
 * Returns: %TRUE if so; %FALSE where less is better
 */
gboolean
ht_objective_is_maximized (HtObjective *self)
{
  g_return_val_if_fail (HT_IS_OBJECTIVE (self), TRUE);
  return !self->minimized;
}

/**
 * ht_objective_get_data:
 * @self: an objective
 *
 * Gets which samples choose.
 *
 * Returns: the samples
 */
HtObjectiveData
ht_objective_get_data (HtObjective *self)
{
  g_return_val_if_fail (HT_IS_OBJECTIVE (self), HT_OBJECTIVE_DATA_EVALUATION);
  return self->data;
}

/**
 * ht_objective_get_n_constraints:
 * @self: an objective
 *
 * Counts the conditions of `subject-to`.
 *
 * Returns: how many there are
 */
gsize
ht_objective_get_n_constraints (HtObjective *self)
{
  g_return_val_if_fail (HT_IS_OBJECTIVE (self), 0);
  return self->constraints->len;
}

static const HtConstraint *
get_constraint (HtObjective *self, gsize index)
{
  return &g_array_index (self->constraints, HtConstraint, index);
}

/**
 * ht_objective_get_constraint:
 * @self: an objective
 * @index: which condition
 * @metric: (out) (optional): the #HtMetric that it is about, or -1
 * @cost: (out) (optional): the #HtCost that it is about, or -1
 * @comparison: (out) (optional): which side of the bound is allowed
 * @relative: (out) (optional): whether the bound depends on the floating-point network
 *
 * Gets a condition.
 *
 * Returns: (transfer none): its text
 */
const char *
ht_objective_get_constraint (HtObjective *self, gsize index, gint *metric, gint *cost, HtComparison *comparison,
                             gboolean *relative)
{
  const HtConstraint *constraint;

  g_return_val_if_fail (HT_IS_OBJECTIVE (self), NULL);
  g_return_val_if_fail (index < self->constraints->len, NULL);

  constraint = get_constraint (self, index);
  if (metric != NULL)
    *metric = constraint->metric;
  if (cost != NULL)
    *cost = constraint->cost;
  if (comparison != NULL)
    *comparison = constraint->comparison;
  if (relative != NULL)
    *relative = constraint->relative;
  return constraint->text;
}

/**
 * ht_objective_get_bound:
 * @self: an objective
 * @index: which condition
 * @baseline: the value of the floating-point network; ignored unless the condition is relative
 *
 * Computes the bound of a condition: shares are fractions of 1, sizes bytes, times seconds.
 *
 * Returns: the bound
 */
double
ht_objective_get_bound (HtObjective *self, gsize index, double baseline)
{
  const HtConstraint *constraint;

  g_return_val_if_fail (HT_IS_OBJECTIVE (self), 0);
  g_return_val_if_fail (index < self->constraints->len, 0);

  constraint = get_constraint (self, index);
  return (constraint->relative ? constraint->factor * baseline : 0) + constraint->offset;
}

/**
 * ht_objective_is_met:
 * @self: an objective
 * @index: which condition
 * @value: the value of a candidate
 * @baseline: that of the floating-point network
 *
 * Tells whether a candidate meets a condition. What is not a number meets none.
 *
 * Returns: whether it does
 */
gboolean
ht_objective_is_met (HtObjective *self, gsize index, double value, double baseline)
{
  double bound = ht_objective_get_bound (self, index, baseline);

  g_return_val_if_fail (HT_IS_OBJECTIVE (self) && index < self->constraints->len, FALSE);
  return get_constraint (self, index)->comparison == HT_COMPARISON_AT_LEAST ? value >= bound : value <= bound;
}

/**
 * ht_objective_get_n_costs:
 * @self: an objective
 *
 * Counts the costs of `then-minimize`.
 *
 * Returns: how many there are
 */
gsize
ht_objective_get_n_costs (HtObjective *self)
{
  g_return_val_if_fail (HT_IS_OBJECTIVE (self), 0);
  return self->costs->len;
}

/**
 * ht_objective_get_cost:
 * @self: an objective
 * @index: which one
 *
 * Gets a cost; the first decides between equals, the next between those that are equal in it too.
 *
 * Returns: the cost
 */
HtCost
ht_objective_get_cost (HtObjective *self, gsize index)
{
  g_return_val_if_fail (HT_IS_OBJECTIVE (self), HT_COST_SIZE);
  g_return_val_if_fail (index < self->costs->len, HT_COST_SIZE);
  return g_array_index (self->costs, HtCost, index);
}

/**
 * ht_metric_get_name:
 * @metric: a metric
 *
 * Gets its name in recipes and reports.
 *
 * Returns: (transfer none): the name
 */
const char *
ht_metric_get_name (HtMetric metric)
{
  g_autoptr (GEnumClass) klass = g_type_class_ref (HT_TYPE_METRIC);
  GEnumValue *value = g_enum_get_value (klass, (gint)metric);

  g_return_val_if_fail (value != NULL, NULL);
  return value->value_nick;
}

/**
 * ht_metric_needs_labels:
 * @metric: a metric
 *
 * Tells whether it compares outputs with labels.
 *
 * Returns: %TRUE if so
 */
gboolean
ht_metric_needs_labels (HtMetric metric)
{
  return metric == HT_METRIC_TOP1 || metric == HT_METRIC_TOP5;
}
