/* SPDX-License-Identifier: MIT */
/* Strategies that change one axis at a time: `sequential` goes through the axes once, in the recipe's order, and keeps
 * what helps; `greedy` goes round until nothing helps any more, from several starts. */
#include "search/search-private.h"

typedef struct
{
  HtStrategy parent;
  gboolean goes_round;
  GRand *random;
  guint n_starts; /* begun */
  guint axis;
  gboolean has_asked, has_improved;
  HtCandidate *current;
  GPtrArray *asked; /* the candidates of the last wave */
} Descent;

/* The combination of a start: the first has nothing that may be left out, and every setting's first value. */
static HtCombination *
make_first (HtRecipeSpace *space)
{
  HtCombination *combination = ht_recipe_space_get_nth (space, 0);
  for (guint axis = 0; axis < ht_recipe_space_get_n_axes (space); axis++)
    {
      gint none = ht_recipe_space_get_axis_none (space, axis);
      if (none < 0 || !ht_combination_is_active (combination, axis))
        continue;
      HtCombination *without = ht_recipe_space_vary (space, combination, axis, (guint)none);
      ht_combination_unref (combination);
      combination = without;
    }
  return combination;
}

/* Legal starts are looked for among random ones, so often. */
#define MOST_DRAWS 1000

static HtCandidate *
begin (Descent *self, HtSearch *search)
{
  guint n_restarts = self->goes_round ? ht_search_settings_get_restarts (search->settings) : 0;
  if (self->n_starts > n_restarts)
    return NULL;
  self->axis = 0;
  self->has_asked = self->has_improved = FALSE;
  if (self->n_starts++ == 0)
    {
      g_autoptr (HtCombination) first = make_first (search->space);
      HtCandidate *candidate = ht_search_get_candidate (search, first);
      if (candidate != NULL)
        return candidate;
      /* The bare network may be illegal: then the first legal one of the enumeration. */
      for (guint64 i = 0; i < MIN (ht_recipe_space_get_n_combinations (search->space), MOST_DRAWS); i++)
        {
          g_autoptr (HtCombination) next = ht_recipe_space_get_nth (search->space, i);
          candidate = ht_search_get_candidate (search, next);
          if (candidate != NULL)
            return candidate;
        }
    }
  for (guint i = 0; i < MOST_DRAWS; i++)
    {
      g_autoptr (HtCombination) drawn = ht_recipe_space_random (search->space, self->random);
      guint n_before = search->candidates->len;
      HtCandidate *candidate = ht_search_get_candidate (search, drawn);
      if (candidate != NULL && search->candidates->len > n_before)
        return candidate;
    }
  return NULL;
}

/* A continuous axis is tried at a few places. */
#define N_PLACES 5

static void
add_values (Descent *self, HtSearch *search, GPtrArray *wave, GArray *parts)
{
  HtCombination *combination = self->current->combination;
  guint n = ht_recipe_space_get_axis_n_values (search->space, self->axis);
  for (guint i = 0; i < (n > 0 ? n : N_PLACES); i++)
    {
      g_autoptr (HtCombination) other = NULL;
      if (n > 0)
        other = ht_recipe_space_vary (search->space, combination, self->axis, i);
      else
        other = ht_recipe_space_vary_number (
            search->space, combination, self->axis,
            ht_strategy_interpolate (search->space, self->axis, (double)i / (N_PLACES - 1)));
      ht_strategy_add (wave, parts, ht_search_get_candidate (search, other), ht_search_get_n_parts (search));
    }
}

/* Takes the best value of the axis that was asked about. */
static void
take_best (Descent *self, HtSearch *search)
{
  HtCandidate *best = self->current;
  for (guint i = 0; i < self->asked->len; i++)
    {
      HtCandidate *candidate = g_ptr_array_index (self->asked, i);
      if (candidate->status == HT_CANDIDATE_SCORED
          && (best->status != HT_CANDIDATE_SCORED || ht_search_compare (search, candidate, best) > 0))
        best = candidate;
    }
  self->has_improved |= best != self->current;
  self->current = best;
}

static void
propose (HtStrategy *strategy, HtSearch *search, GPtrArray *wave, GArray *parts)
{
  Descent *self = (Descent *)strategy;
  guint n_axes = ht_recipe_space_get_n_axes (search->space);
  if (self->random == NULL)
    self->random = g_rand_new_with_seed ((guint32)ht_search_settings_get_seed (search->settings));
  if (self->has_asked)
    {
      take_best (self, search);
      self->has_asked = FALSE;
      self->axis++;
    }
  while (wave->len == 0)
    {
      if (self->current != NULL && self->axis == n_axes && self->goes_round && self->has_improved)
        {
          self->axis = 0;
          self->has_improved = FALSE;
        }
      if (self->current == NULL || self->axis == n_axes)
        {
          self->current = begin (self, search);
          if (self->current == NULL)
            return;
          ht_strategy_add (wave, parts, self->current, ht_search_get_n_parts (search));
        }
      for (; self->axis < n_axes && wave->len <= 1; self->axis++)
        if (ht_combination_is_active (self->current->combination, self->axis))
          {
            add_values (self, search, wave, parts);
            if (wave->len > 0)
              break;
          }
    }
  g_ptr_array_set_size (self->asked, 0);
  for (guint i = 0; i < wave->len; i++)
    g_ptr_array_add (self->asked, g_ptr_array_index (wave, i));
  self->has_asked = TRUE;
}

static void
free_descent (HtStrategy *strategy)
{
  Descent *self = (Descent *)strategy;
  g_clear_pointer (&self->random, g_rand_free);
  g_ptr_array_unref (self->asked);
  g_free (self);
}

static HtStrategy *
make_descent (const char *name, gboolean goes_round)
{
  Descent *self = g_new0 (Descent, 1);
  self->parent = (HtStrategy){ name, propose, free_descent };
  self->goes_round = goes_round;
  self->asked = g_ptr_array_new ();
  return &self->parent;
}

HtStrategy *
ht_strategy_new_sequential (void)
{
  return make_descent ("sequential", FALSE);
}

HtStrategy *
ht_strategy_new_greedy (void)
{
  return make_descent ("greedy", TRUE);
}
