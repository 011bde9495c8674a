/* SPDX-License-Identifier: MIT */
/* What the files of a search share: its candidates, and the questions that strategies ask about them. */
#pragma once

#include "search/journal.h"
#include "search/search-work.h"

#include <halftone/search.h>

typedef enum
{
  HT_CANDIDATE_OPEN,    /* not scored yet, or on a part of the samples only */
  HT_CANDIDATE_SCORED,  /* on all samples */
  HT_CANDIDATE_STOPPED, /* a part of the samples was enough to see that it loses */
  HT_CANDIDATE_FAILED,
} HtCandidateStatus;

typedef struct
{
  guint number; /* from 1, in the order in which candidates came up */
  HtCombination *combination;
  HtRecipe *recipe; /* the combination alone, with passes of its own */
  HtCandidateStatus status;
  HtSearchNode *calibrated;
  GPtrArray *scores;   /* of HtSearchNode: what was asked for, by part */
  HtMetrics *metrics;  /* of all parts that are done, together; NULL: none */
  guint n_parts;       /* in `metrics` */
  const GError *error; /* why it failed: its node's, or: */
  GError *own_error;
  char *stopped_by; /* why it was stopped */
} HtCandidate;

struct _HtSearch
{
  GObject parent_instance;

  HtRecipeSpace *space;
  char *model_path, *output_folder;
  guint64 memory_budget;
  HtProgressFunc progress;
  gpointer progress_data;
  GDestroyNotify progress_destroy;
  GPtrArray *overrides; /* of Override */
  gboolean drops_preprocessing;

  /* While it executes */
  HtRunInputs inputs;
  HtSearchWork work;
  HtJournal *journal;
  HtObjective *objective;
  HtSearchSettings *settings;
  HtStepInputs step_inputs;
  char *calibration_hash;
  char *code; /* the hash of the code that computes */
  HtDataset *judge;      /* the samples that choose; NULL: a program chooses */
  HtMetrics *baseline;   /* of the floating-point network, on them */
  GPtrArray *baselines;  /* by part */
  GPtrArray *candidates; /* by number */
  GHashTable *by_combination;
  GHashTable *illegal;                  /* set of HtCombination */
  double float_costs[HT_COST_TIME + 1]; /* of the floating-point network */
  GHashTable *laws;                     /* law -> how many of the combinations that came up it excludes */
  guint n_samples_scored;               /* over all candidates */
  gint64 began;
  const char *strategy;
  char *why;          /* the strategy */
  char *ended;        /* why the search ended */
  HtCandidate *best;  /* the one on disk */
  guint n_best_parts; /* that it was scored on when it was written */
  GPtrArray *wave;    /* the candidates under way ... */
  guint next;         /* ... and the first whose results have not been looked at */
  GCancellable *stop; /* ends the work on them */
  GError *write_error;
  HtMetrics *figure; /* of the best, on the evaluation set, where held-out samples chose */
  HtMetrics *figure_baseline;
  gboolean target_met;
  JsonNode *report;
};

/* Candidates. A combination that is new is checked; NULL: it is illegal, or the budget has no trial left for it. */
HtCandidate *ht_search_get_candidate (HtSearch *self, HtCombination *combination);
guint ht_search_get_n_parts (HtSearch *self);
double ht_search_get_metric (HtSearch *self, HtCandidate *candidate);
double ht_search_get_cost (HtSearch *self, HtCandidate *candidate, HtCost cost);
/* Whether all conditions hold, those on metrics against the baseline on the same samples. */
gboolean ht_search_is_feasible (HtSearch *self, HtCandidate *candidate);
/* The better one in metric, whatever the difference; feasible ones before others. > 0: `a` is better. */
gint ht_search_compare (HtSearch *self, HtCandidate *a, HtCandidate *b);
/* The paired difference of `candidate` to `other`, positive where it is better. FALSE: it cannot be told. */
gboolean ht_search_get_difference (HtSearch *self, HtCandidate *candidate, HtCandidate *other, double confidence,
                                   double *difference, double *low, double *high);
/* The candidate to keep: of those that the best in metric cannot be told apart from, the cheapest. `ties` (nullable)
 * receives them all. NULL: none is scored. */
HtCandidate *ht_search_pick (HtSearch *self, GPtrArray *ties);

/* The samples that choose, cut into the parts of a strategy; an error where the objective cannot be measured on them. */
gboolean ht_search_choose_judge (HtSearch *self, HtSearchStrategy strategy, GError **error);
/* The floating-point network on them. */
gboolean ht_search_measure_baseline (HtSearch *self, GCancellable *cancellable, GError **error);
/* The best on the evaluation set, where that did not choose. */
gboolean ht_search_measure_figure (HtSearch *self, GCancellable *cancellable, GError **error);

/* A strategy proposes candidates wave by wave; what it proposes follows from the results so far alone. */
typedef struct _HtStrategy HtStrategy;
struct _HtStrategy
{
  const char *name;
  /* Puts into `wave` the candidates that are to be scored next, and for each into `parts` up to how many parts.
   * Nothing: it is through. */
  void (*propose) (HtStrategy *self, HtSearch *search, GPtrArray *wave, GArray *parts);
  void (*free) (HtStrategy *self);
};

HtStrategy *ht_strategy_new_exhaustive (void);
HtStrategy *ht_strategy_new_sequential (void);
HtStrategy *ht_strategy_new_greedy (void);
HtStrategy *ht_strategy_new_race (void);
HtStrategy *ht_strategy_new_tpe (void);
/* By the settings; for `auto` by the space. `why` says why. */
HtSearchStrategy ht_strategy_resolve (HtRecipeSpace *space, HtSearchSettings *settings, char **why);
HtStrategy *ht_strategy_new (HtSearchStrategy strategy);
/* The number at a share of an axis' range, on the axis' own scale. */
double ht_strategy_interpolate (HtRecipeSpace *space, guint axis, double share);
/* How many parts the samples are divided into for a strategy: 1, but for those that score on growing subsets. */
guint ht_strategy_count_parts (HtSearchStrategy strategy, guint n_samples);
void ht_strategy_add (GPtrArray *wave, GArray *parts, HtCandidate *candidate, guint n_parts);

/* The best candidate's files: written beside the old ones, which are replaced at once. */
gboolean ht_search_write_best (HtSearch *self, HtCandidate *candidate, GCancellable *cancellable, GError **error);
gboolean ht_search_fail_errno (GError **error, const char *what, const char *path);
gboolean ht_search_write_report (HtSearch *self, GError **error);

/* The key of a start, of which `hash` says what it is: other code has other results. */
char *ht_search_name_start (HtSearch *self, const char *hash);
void ht_search_apply_overrides (HtSearch *self, HtRecipe *recipe);
void ht_search_event (HtSearch *self, const char *event, JsonObject *members);
