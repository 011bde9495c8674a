/* SPDX-License-Identifier: MIT */
/* Candidates of a search: which there are, how they compare, which one is kept. */
#include "search/search-private.h"

#include <math.h>

#define CONFIDENCE 0.95

static gboolean
has_trials (HtSearch *self)
{
  guint trials = ht_search_settings_get_trials (self->settings);
  return trials == 0 || self->candidates->len < trials;
}

static void
count_law (HtSearch *self, const char *law)
{
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (self->laws, law));
  g_hash_table_insert (self->laws, g_strdup (law), GUINT_TO_POINTER (n + 1));
}

static void
fail_candidate (HtCandidate *candidate, GError *error)
{
  candidate->status = HT_CANDIDATE_FAILED;
  candidate->error = candidate->own_error = error;
}

/* A combination that is legal as far as is known, but cannot be made a recipe of, is a candidate that has failed. */
static HtCandidate *
make_candidate (HtSearch *self, HtCombination *combination)
{
  HtCandidate *candidate = g_new0 (HtCandidate, 1);
  GError *error = NULL;
  candidate->number = self->candidates->len + 1;
  candidate->combination = ht_combination_ref (combination);
  candidate->scores = g_ptr_array_new ();
  g_ptr_array_add (self->candidates, candidate);
  g_hash_table_insert (self->by_combination, candidate->combination, candidate);
  candidate->recipe = ht_recipe_space_instantiate (self->space, combination, &error);
  if (candidate->recipe == NULL)
    {
      fail_candidate (candidate, error);
      return candidate;
    }
  ht_search_apply_overrides (self, candidate->recipe);
  HtQuantizationConfig *config = ht_recipe_get_quantization (candidate->recipe);
  g_autoptr (HtModelState) start = ht_run_inputs_make_start (&self->inputs, config, &error);
  if (start == NULL)
    {
      fail_candidate (candidate, error);
      return candidate;
    }
  g_autofree char *hash = ht_model_state_hash (start);
  char *key = ht_search_name_start (self, hash);
  candidate->calibrated
      = ht_search_tree_add (self->work.tree, key, ht_recipe_get_plan (candidate->recipe), config, &self->step_inputs);
  if (!g_hash_table_contains (self->work.starts, key))
    g_hash_table_insert (self->work.starts, key, g_steal_pointer (&start));
  else
    g_free (key);
  return candidate;
}

HtCandidate *
ht_search_get_candidate (HtSearch *self, HtCombination *combination)
{
  HtCandidate *candidate = g_hash_table_lookup (self->by_combination, combination);
  g_autofree char *law = NULL;
  if (candidate != NULL)
    return candidate;
  if (g_hash_table_contains (self->illegal, combination))
    return NULL;
  if (!ht_recipe_space_is_legal (self->space, combination, &law))
    {
      g_hash_table_add (self->illegal, ht_combination_ref (combination));
      count_law (self, law);
      return NULL;
    }
  return has_trials (self) ? make_candidate (self, combination) : NULL;
}

guint
ht_search_get_n_parts (HtSearch *self)
{
  return self->work.parts->len;
}

double
ht_search_get_metric (HtSearch *self, HtCandidate *candidate)
{
  const char *name = ht_metric_get_name (ht_objective_get_metric (self->objective));
  return candidate->metrics != NULL ? ht_metrics_get (candidate->metrics, name) : NAN;
}

static double
sum_seconds (HtCandidate *candidate)
{
  double sum = 0;
  for (HtSearchNode *node = candidate->calibrated; node != NULL; node = node->parent)
    sum += node->seconds;
  return sum;
}

double
ht_search_get_cost (HtSearch *self, HtCandidate *candidate, HtCost cost)
{
  HtSearchNode *score = candidate->scores->len > 0 ? g_ptr_array_index (candidate->scores, 0) : NULL;
  if (score == NULL || score->status != HT_SEARCH_NODE_DONE)
    return NAN;
  switch (cost)
    {
    case HT_COST_SIZE:
      return score->size;
    case HT_COST_BIT_OPERATIONS:
      return score->bit_operations;
    case HT_COST_STEPS:
      return ht_plan_get_n_steps (ht_recipe_get_plan (candidate->recipe));
    case HT_COST_TIME:
      return sum_seconds (candidate);
    }
  return NAN;
}

/* The baseline on as many samples as the candidate was scored on. */
static HtMetrics *
get_baseline (HtSearch *self, HtCandidate *candidate)
{
  return candidate->n_parts < ht_search_get_n_parts (self) ? g_ptr_array_index (self->baselines, candidate->n_parts - 1)
                                                           : self->baseline;
}

gboolean
ht_search_is_feasible (HtSearch *self, HtCandidate *candidate)
{
  if (candidate->metrics == NULL)
    return FALSE;
  HtMetrics *baseline = get_baseline (self, candidate);
  for (gsize i = 0; i < ht_objective_get_n_constraints (self->objective); i++)
    {
      gint metric, cost;
      HtComparison comparison;
      gboolean relative;
      ht_objective_get_constraint (self->objective, i, &metric, &cost, &comparison, &relative);
      const char *name = metric >= 0 ? ht_metric_get_name ((HtMetric)metric) : NULL;
      double value = name != NULL ? ht_metrics_get (candidate->metrics, name)
                                  : ht_search_get_cost (self, candidate, (HtCost)cost);
      double reference
          = name != NULL && baseline != NULL ? ht_metrics_get (baseline, name) : self->float_costs[MAX (cost, 0)];
      if (!ht_objective_is_met (self->objective, i, value, reference))
        return FALSE;
    }
  return TRUE;
}

gint
ht_search_compare (HtSearch *self, HtCandidate *a, HtCandidate *b)
{
  gboolean first = ht_search_is_feasible (self, a), second = ht_search_is_feasible (self, b);
  if (first != second)
    return first ? 1 : -1;
  double x = ht_search_get_metric (self, a), y = ht_search_get_metric (self, b);
  if (isnan (x) || isnan (y))
    return isnan (y) - isnan (x);
  gint sign = ht_objective_is_maximized (self->objective) ? 1 : -1;
  return x > y ? sign : x < y ? -sign : 0;
}

gboolean
ht_search_get_difference (HtSearch *self, HtCandidate *candidate, HtCandidate *other, double confidence,
                          double *difference, double *low, double *high)
{
  const char *name = ht_metric_get_name (ht_objective_get_metric (self->objective));
  double down, up;
  if (candidate->metrics == NULL || other->metrics == NULL
      || !ht_metrics_compare (other->metrics, candidate->metrics, name, confidence, difference, &down, &up))
    return FALSE;
  gboolean is_maximized = ht_objective_is_maximized (self->objective);
  *difference = is_maximized ? *difference : -*difference;
  *low = is_maximized ? down : -up;
  *high = is_maximized ? up : -down;
  return TRUE;
}

static HtCandidate *
find_leader (HtSearch *self, HtCandidateStatus status)
{
  HtCandidate *leader = NULL;
  for (guint i = 0; i < self->candidates->len; i++)
    {
      HtCandidate *candidate = g_ptr_array_index (self->candidates, i);
      if (candidate->status == status && candidate->metrics != NULL
          && (leader == NULL || candidate->n_parts > leader->n_parts
              || (candidate->n_parts == leader->n_parts && ht_search_compare (self, candidate, leader) > 0)))
        leader = candidate;
    }
  return leader;
}

/* Costs decide in the order that the objective gives, without one in that of HtCost, measured time aside: results may
 * not depend on it unless the recipe asks for it. */
static gint
compare_costs (HtSearch *self, HtCandidate *a, HtCandidate *b)
{
  gsize n = ht_objective_get_n_costs (self->objective);
  for (gsize i = 0; i < (n > 0 ? n : HT_COST_TIME); i++)
    {
      HtCost cost = n > 0 ? ht_objective_get_cost (self->objective, i) : (HtCost)i;
      double x = ht_search_get_cost (self, a, cost), y = ht_search_get_cost (self, b, cost);
      if (x != y)
        return x < y ? 1 : -1;
    }
  return 0;
}

static gboolean
is_tied (HtSearch *self, HtCandidate *candidate, HtCandidate *leader)
{
  double difference, low, high;
  if (candidate == leader)
    return TRUE;
  return ht_search_is_feasible (self, candidate) == ht_search_is_feasible (self, leader)
         && ht_search_get_difference (self, candidate, leader, CONFIDENCE, &difference, &low, &high) && high >= 0;
}

HtCandidate *
ht_search_pick (HtSearch *self, GPtrArray *ties)
{
  HtCandidate *leader = find_leader (self, HT_CANDIDATE_SCORED), *best = leader;
  if (leader == NULL) /* while a race goes on */
    return find_leader (self, HT_CANDIDATE_OPEN);
  for (guint i = 0; leader != NULL && i < self->candidates->len; i++)
    {
      HtCandidate *candidate = g_ptr_array_index (self->candidates, i);
      if (candidate->status != HT_CANDIDATE_SCORED || !is_tied (self, candidate, leader))
        continue;
      if (ties != NULL)
        g_ptr_array_add (ties, candidate);
      gint cheaper = compare_costs (self, candidate, best);
      if (cheaper > 0 || (cheaper == 0 && ht_search_compare (self, candidate, best) > 0))
        best = candidate;
    }
  return best;
}
