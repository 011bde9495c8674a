/* SPDX-License-Identifier: MIT */
/* `race`: all legal combinations are scored on growing subsets of the samples; who is shown to lose against the leader,
 * sample by sample, goes no further. */
#include "search/search-private.h"

/* The chance that a candidate which is no worse than all leaders is stopped, over all rounds (Bonferroni). */
#define ERROR_RATE 0.05

typedef struct
{
  HtStrategy parent;
  guint round; /* parts scored so far */
} Race;

static gboolean
is_running (HtCandidate *candidate)
{
  return candidate->status == HT_CANDIDATE_OPEN;
}

static void
enter_all (HtSearch *search)
{
  guint64 n = ht_recipe_space_get_n_combinations (search->space);
  for (guint64 i = 0; i < n; i++)
    {
      g_autoptr (HtCombination) combination = ht_recipe_space_get_nth (search->space, i);
      ht_search_get_candidate (search, combination);
    }
}

/* The leader of those that have been scored on as many parts. */
static HtCandidate *
find_leader (Race *self, HtSearch *search)
{
  HtCandidate *leader = NULL;
  for (guint i = 0; i < search->candidates->len; i++)
    {
      HtCandidate *candidate = g_ptr_array_index (search->candidates, i);
      if (is_running (candidate) && candidate->n_parts == self->round
          && (leader == NULL || ht_search_compare (search, candidate, leader) > 0))
        leader = candidate;
    }
  return leader;
}

static void
stop_losers (Race *self, HtSearch *search)
{
  HtCandidate *leader = find_leader (self, search);
  double confidence = 1 - 2 * ERROR_RATE / ht_search_get_n_parts (search), difference, low, high;
  for (guint i = 0; leader != NULL && i < search->candidates->len; i++)
    {
      HtCandidate *candidate = g_ptr_array_index (search->candidates, i);
      if (!is_running (candidate) || candidate == leader
          || !ht_search_get_difference (search, candidate, leader, confidence, &difference, &low, &high) || high >= 0)
        continue;
      candidate->status = HT_CANDIDATE_STOPPED;
      candidate->stopped_by
          = g_strdup_printf ("after %u samples candidate %u is better by %.4g, at least by %.4g",
                             ht_metrics_get_n_samples (candidate->metrics), leader->number, -difference, -high);
    }
}

static void
propose (HtStrategy *strategy, HtSearch *search, GPtrArray *wave, GArray *parts)
{
  Race *self = (Race *)strategy;
  if (self->round == 0)
    enter_all (search);
  else
    stop_losers (self, search);
  if (self->round++ == ht_search_get_n_parts (search))
    return;
  for (guint i = 0; i < search->candidates->len; i++)
    {
      HtCandidate *candidate = g_ptr_array_index (search->candidates, i);
      if (is_running (candidate))
        ht_strategy_add (wave, parts, candidate, self->round);
    }
}

static void
free_race (HtStrategy *self)
{
  g_free (self);
}

HtStrategy *
ht_strategy_new_race (void)
{
  Race *self = g_new0 (Race, 1);
  self->parent = (HtStrategy){ "race", propose, free_race };
  return &self->parent;
}
