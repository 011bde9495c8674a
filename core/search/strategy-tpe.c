/* SPDX-License-Identifier: MIT */
/* `tpe`: a tree-structured Parzen estimator (Bergstra et al. 2011). The candidates so far are divided into good ones
 * and others; the next combinations are drawn from the density of the good ones, those where it exceeds the density of
 * the others most are proposed. */
#include "search/search-private.h"

#include <math.h>

#define N_RANDOM   10 /* combinations before the densities say anything */
#define N_DRAWS    24 /* of which the most promising is proposed */
#define WAVE       4  /* proposals at once, whatever the number of jobs: results must not depend on it */
#define GOOD       0.25
#define N_DEFAULT  64 /* trials without a budget */
#define MOST_DRAWS 1000

typedef struct
{
  HtStrategy parent;
  GRand *random;
} Tpe;

static int
compare_candidates (gconstpointer a, gconstpointer b, gpointer search)
{
  return ht_search_compare (search, *(HtCandidate *const *)b, *(HtCandidate *const *)a);
}

/* All that were scored, the best first. */
static GPtrArray *
rank (HtSearch *search)
{
  GPtrArray *ranked = g_ptr_array_new ();
  for (guint i = 0; i < search->candidates->len; i++)
    {
      HtCandidate *candidate = g_ptr_array_index (search->candidates, i);
      if (candidate->status == HT_CANDIDATE_SCORED)
        g_ptr_array_add (ranked, candidate);
    }
  g_ptr_array_sort_with_data (ranked, compare_candidates, search);
  return ranked;
}

/* Where a number stands in its range, from 0 to 1, on the axis' own scale. */
static double
get_place (HtRecipeSpace *space, guint axis, double number)
{
  double low, high, step;
  gboolean log_scale;
  ht_recipe_space_get_axis_range (space, axis, &low, &high, &log_scale, &step);
  return high <= low ? 0 : log_scale ? log (number / low) / log (high / low) : (number - low) / (high - low);
}

static double
bandwidth (guint n)
{
  return fmax (0.05, 1.0 / (1 + n));
}

/* The density of some candidates at a combination, on one axis: shares with one more of each value, or normal bumps
 * over the range with a flat one. */
static double
get_density (HtSearch *search, GPtrArray *ranked, guint from, guint to, guint axis, HtCombination *at)
{
  guint n_values = ht_recipe_space_get_axis_n_values (search->space, axis), n = 0;
  double sum = 1;
  for (guint i = from; i < to; i++)
    {
      HtCombination *other = ((HtCandidate *)g_ptr_array_index (ranked, i))->combination;
      if (!ht_combination_is_active (other, axis))
        continue;
      n++;
      if (n_values > 0)
        sum += ht_combination_get_index (other, axis) == ht_combination_get_index (at, axis) ? n_values : 0;
      else
        {
          double width = bandwidth (to - from);
          double distance = (get_place (search->space, axis, ht_combination_get_number (other, axis))
                             - get_place (search->space, axis, ht_combination_get_number (at, axis)))
                            / width;
          sum += exp (-distance * distance / 2) / (width * sqrt (2 * G_PI));
        }
    }
  return sum / (n + 1);
}

static double
get_promise (HtSearch *search, GPtrArray *ranked, guint n_good, HtCombination *combination)
{
  double promise = 0;
  for (guint axis = 0; axis < ht_recipe_space_get_n_axes (search->space); axis++)
    if (ht_combination_is_active (combination, axis))
      promise += log (get_density (search, ranked, 0, n_good, axis, combination))
                 - log (get_density (search, ranked, n_good, ranked->len, axis, combination));
  return promise;
}

static double
draw_normal (GRand *random)
{
  double u = 1 - g_rand_double (random), v = g_rand_double (random);
  return sqrt (-2 * log (u)) * cos (2 * G_PI * v);
}

/* A combination drawn from the density of the good ones: one of them, changed on each axis with some chance. */
static HtCombination *
draw (Tpe *self, HtSearch *search, GPtrArray *ranked, guint n_good)
{
  HtRecipeSpace *space = search->space;
  HtCombination *result = ht_recipe_space_random (space, self->random);
  for (guint axis = 0; axis < ht_recipe_space_get_n_axes (space); axis++)
    {
      guint pick = (guint)g_rand_int_range (self->random, 0, (gint32)n_good + 1);
      double bump = draw_normal (self->random);
      HtCombination *other = pick < n_good ? ((HtCandidate *)g_ptr_array_index (ranked, pick))->combination : NULL;
      if (other == NULL || !ht_combination_is_active (result, axis) || !ht_combination_is_active (other, axis))
        continue;
      HtCombination *next;
      if (ht_recipe_space_get_axis_n_values (space, axis) > 0)
        next = ht_recipe_space_vary (space, result, axis, ht_combination_get_index (other, axis));
      else
        {
          double place = get_place (space, axis, ht_combination_get_number (other, axis)) + bump * bandwidth (n_good);
          next = ht_recipe_space_vary_number (space, result, axis,
                                              ht_strategy_interpolate (space, axis, CLAMP (place, 0, 1)));
        }
      ht_combination_unref (result);
      result = next;
    }
  return result;
}

static HtCombination *
draw_best (Tpe *self, HtSearch *search, GPtrArray *ranked)
{
  guint n_good = (guint)ceil (GOOD * ranked->len);
  HtCombination *best = NULL;
  double most = -INFINITY;
  for (guint i = 0; i < N_DRAWS; i++)
    {
      HtCombination *drawn = draw (self, search, ranked, n_good);
      double promise = get_promise (search, ranked, n_good, drawn);
      gboolean is_new = !g_hash_table_contains (search->by_combination, drawn)
                        && ht_recipe_space_is_legal (search->space, drawn, NULL);
      if (is_new && promise > most)
        {
          most = promise;
          g_clear_pointer (&best, ht_combination_unref);
          best = ht_combination_ref (drawn);
        }
      ht_combination_unref (drawn);
    }
  return best;
}

static void
propose (HtStrategy *strategy, HtSearch *search, GPtrArray *wave, GArray *parts)
{
  Tpe *self = (Tpe *)strategy;
  guint trials = ht_search_settings_get_trials (search->settings), most = trials > 0 ? trials : N_DEFAULT;
  g_autoptr (GPtrArray) ranked = rank (search);
  if (self->random == NULL)
    self->random = g_rand_new_with_seed ((guint32)ht_search_settings_get_seed (search->settings));
  for (guint i = 0; i < MOST_DRAWS && wave->len < WAVE && search->candidates->len < most; i++)
    {
      g_autoptr (HtCombination) combination = search->candidates->len < N_RANDOM || ranked->len < 2
                                                  ? ht_recipe_space_random (search->space, self->random)
                                                  : draw_best (self, search, ranked);
      if (combination == NULL || g_hash_table_contains (search->by_combination, combination))
        continue;
      ht_strategy_add (wave, parts, ht_search_get_candidate (search, combination), ht_search_get_n_parts (search));
    }
}

static void
free_tpe (HtStrategy *strategy)
{
  g_clear_pointer (&((Tpe *)strategy)->random, g_rand_free);
  g_free (strategy);
}

HtStrategy *
ht_strategy_new_tpe (void)
{
  Tpe *self = g_new0 (Tpe, 1);
  self->parent = (HtStrategy){ "tpe", propose, free_tpe };
  return &self->parent;
}
