/* SPDX-License-Identifier: MIT */
/* Computes nodes of a search's tree, several at a time, and keeps what comes out in the store. */
#pragma once

#include "search/run-inputs.h"
#include "search/search-tree.h"
#include "search/store.h"

typedef struct
{
  HtRunInputs *inputs;
  HtSearchTree *tree;
  HtStore *store;
  GHashTable *starts; /* key -> HtModelState */
  GPtrArray *parts;   /* of HtDataset: what scores are measured on */
  GPtrArray *part_hashes;
  const char *const *command; /* the program that scores; NULL: our own metrics */
  double timeout;             /* of the command, in seconds; 0: none */
  char *scratch_folder;
  guint64 memory_budget; /* of a step; 0: any */
  guint jobs;
} HtSearchWork;

/* Called in the thread that waits: when a node begins (`status` running) and when it has ended. */
typedef void (*HtSearchNodeFunc) (HtSearchNode *node, HtSearchNodeStatus status, gpointer user_data);

/* Computes scores and all that they need which is not in the store. Nodes that fail are marked so, with what hangs
 * below them, and stop nothing else. FALSE: cancelled, or the store cannot be written to. */
gboolean ht_search_work_run (HtSearchWork *self, GPtrArray *scores, HtSearchNodeFunc func, gpointer user_data,
                             GCancellable *cancellable, GError **error);
/* The state of a node that is done; computed again where the store has lost it. */
HtModelState *ht_search_work_get_state (HtSearchWork *self, HtSearchNode *node, GCancellable *cancellable,
                                        GError **error);
/* A calibrated state as a simulation that can be run and written. */
HtSimulation *ht_search_restore_simulation (HtModelState *state, HtQuantizationConfig *config, GError **error);
/* What the program of the recipe prints of a network. The file exists for as long as the program runs; `key` names it. */
HtMetrics *ht_search_ask_program (HtSearchWork *self, HtGraph *graph, const char *key, GCancellable *cancellable,
                                  GError **error);
