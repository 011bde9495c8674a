/* SPDX-License-Identifier: MIT */
/* What strategies have in common, the choice of one, and the exhaustive one. */
#include "search/search-private.h"

#include <math.h>

/* So many combinations are looked at one by one when the recipe has no budget of trials. */
#define MANY_COMBINATIONS 256

/* A race begins with one sample in so many, and doubles them. */
#define RACE_FIRST_SHARE 16
#define RACE_LEAST       16 /* samples of the first part */

typedef struct
{
  HtStrategy parent;
  gboolean is_through;
} Exhaustive;

void
ht_strategy_add (GPtrArray *wave, GArray *parts, HtCandidate *candidate, guint n_parts)
{
  if (candidate == NULL || g_ptr_array_find (wave, candidate, NULL))
    return;
  g_ptr_array_add (wave, candidate);
  g_array_append_val (parts, n_parts);
}

static void
propose_all (HtStrategy *self, HtSearch *search, GPtrArray *wave, GArray *parts)
{
  Exhaustive *own = (Exhaustive *)self;
  guint64 n = ht_recipe_space_get_n_combinations (search->space);
  for (guint64 i = 0; !own->is_through && i < n; i++)
    {
      g_autoptr (HtCombination) combination = ht_recipe_space_get_nth (search->space, i);
      ht_strategy_add (wave, parts, ht_search_get_candidate (search, combination), ht_search_get_n_parts (search));
    }
  own->is_through = TRUE;
}

static void
free_exhaustive (HtStrategy *self)
{
  g_free (self);
}

HtStrategy *
ht_strategy_new_exhaustive (void)
{
  Exhaustive *self = g_new0 (Exhaustive, 1);
  self->parent = (HtStrategy){ "exhaustive", propose_all, free_exhaustive };
  return &self->parent;
}

guint
ht_strategy_count_parts (HtSearchStrategy strategy, guint n_samples)
{
  guint n = 1;
  if (strategy != HT_SEARCH_STRATEGY_RACE)
    return 1;
  for (guint first = MAX (n_samples / RACE_FIRST_SHARE, RACE_LEAST); first < n_samples; first *= 2)
    n++;
  return n;
}

HtStrategy *
ht_strategy_new (HtSearchStrategy strategy)
{
  switch (strategy)
    {
    case HT_SEARCH_STRATEGY_GREEDY:
      return ht_strategy_new_greedy ();
    case HT_SEARCH_STRATEGY_SEQUENTIAL:
      return ht_strategy_new_sequential ();
    case HT_SEARCH_STRATEGY_RACE:
      return ht_strategy_new_race ();
    case HT_SEARCH_STRATEGY_TPE:
      return ht_strategy_new_tpe ();
    default:
      return ht_strategy_new_exhaustive ();
    }
}

static gboolean
has_continuous_axis (HtRecipeSpace *space)
{
  for (guint i = 0; i < ht_recipe_space_get_n_axes (space); i++)
    if (ht_recipe_space_get_axis_n_values (space, i) == 0)
      return TRUE;
  return FALSE;
}

HtSearchStrategy
ht_strategy_resolve (HtRecipeSpace *space, HtSearchSettings *settings, char **why)
{
  HtSearchStrategy given = ht_search_settings_get_strategy (settings);
  guint64 n = ht_recipe_space_get_n_combinations (space);
  guint trials = ht_search_settings_get_trials (settings), most = trials > 0 ? trials : MANY_COMBINATIONS;
  if (given != HT_SEARCH_STRATEGY_AUTO)
    {
      *why = g_strdup ("the recipe names it");
      return given;
    }
  if (has_continuous_axis (space))
    {
      *why = g_strdup ("some values may be any number of a range, which cannot be listed");
      return HT_SEARCH_STRATEGY_TPE;
    }
  if (n <= most)
    {
      *why = g_strdup_printf ("all %" G_GUINT64_FORMAT " combinations fit the %s of %u", n,
                              trials > 0 ? "budget" : "default limit", most);
      return HT_SEARCH_STRATEGY_EXHAUSTIVE;
    }
  *why = g_strdup_printf ("%" G_GUINT64_FORMAT " combinations are more than the %s of %u", n,
                          trials > 0 ? "budget" : "default limit", most);
  return HT_SEARCH_STRATEGY_GREEDY;
}

double
ht_strategy_interpolate (HtRecipeSpace *space, guint axis, double share)
{
  double low, high, step;
  gboolean log_scale;
  ht_recipe_space_get_axis_range (space, axis, &low, &high, &log_scale, &step);
  double number = log_scale ? low * pow (high / low, share) : low + share * (high - low);
  if (step > 0)
    number = low + step * round ((number - low) / step);
  return CLAMP (number, low, high);
}
