/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/param.h>

G_BEGIN_DECLS

/**
 * HtSearchStrategy:
 * @HT_SEARCH_STRATEGY_AUTO: the first of those below that fits space and budget
 * @HT_SEARCH_STRATEGY_EXHAUSTIVE: every legal combination
 * @HT_SEARCH_STRATEGY_GREEDY: one axis at a time, from several starts
 * @HT_SEARCH_STRATEGY_SEQUENTIAL: the recipe's order, keeping what helps
 * @HT_SEARCH_STRATEGY_RACE: growing subsets of the samples, losers stopped by a paired test
 * @HT_SEARCH_STRATEGY_TPE: a tree-structured Parzen estimator, for continuous axes
 */
typedef enum
{
  HT_SEARCH_STRATEGY_AUTO,
  HT_SEARCH_STRATEGY_EXHAUSTIVE,
  HT_SEARCH_STRATEGY_GREEDY,
  HT_SEARCH_STRATEGY_SEQUENTIAL,
  HT_SEARCH_STRATEGY_RACE,
  HT_SEARCH_STRATEGY_TPE,
} HtSearchStrategy;

/**
 * HtSearchStop:
 * @HT_SEARCH_STOP_BUDGET: when the strategy is through or the budget ends
 * @HT_SEARCH_STOP_TARGET: already when a candidate meets all of `subject-to`
 */
typedef enum
{
  HT_SEARCH_STOP_BUDGET,
  HT_SEARCH_STOP_TARGET,
} HtSearchStop;

/* The section `search` of a recipe. Properties: strategy, stop, seed, jobs, prune, restarts, time (seconds; 0: no
 * limit), trials (0: no limit), memory (bytes; 0: no limit). */
#define HT_TYPE_SEARCH_SETTINGS (ht_search_settings_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtSearchSettings, ht_search_settings, HT, SEARCH_SETTINGS, GObject)

HT_API HtSearchSettings *ht_search_settings_new (void);
HT_API HtSearchStrategy ht_search_settings_get_strategy (HtSearchSettings *self);
HT_API HtSearchStop ht_search_settings_get_stop (HtSearchSettings *self);
HT_API guint64 ht_search_settings_get_seed (HtSearchSettings *self);
HT_API guint ht_search_settings_get_jobs (HtSearchSettings *self);
HT_API gboolean ht_search_settings_get_prune (HtSearchSettings *self);
HT_API guint ht_search_settings_get_restarts (HtSearchSettings *self);
HT_API double ht_search_settings_get_time (HtSearchSettings *self);
HT_API guint ht_search_settings_get_trials (HtSearchSettings *self);
HT_API guint64 ht_search_settings_get_memory (HtSearchSettings *self);

G_END_DECLS
