/* SPDX-License-Identifier: MIT */
/* The tree of a search: what has to be computed for a set of combinations, each piece once. A node is named by its key,
 * so that combinations share what they have in common. No node is computed here. */
#pragma once

#include "data/metrics.h"
#include "pass/step-key.h"

#include <halftone/model-state.h>

typedef enum
{
  HT_SEARCH_NODE_START,     /* the given network */
  HT_SEARCH_NODE_STEP,      /* a step of a pipeline */
  HT_SEARCH_NODE_CALIBRATE, /* all open encodings computed */
  HT_SEARCH_NODE_SCORE,     /* one part of the samples evaluated */
} HtSearchNodeKind;

typedef enum
{
  HT_SEARCH_NODE_OPEN,
  HT_SEARCH_NODE_RUNNING,
  HT_SEARCH_NODE_DONE,
  HT_SEARCH_NODE_FAILED,
} HtSearchNodeStatus;

typedef struct _HtSearchNode HtSearchNode;

struct _HtSearchNode
{
  HtSearchNodeKind kind;
  char *key;
  HtSearchNode *parent; /* NULL: a start */
  GPtrArray *children;  /* of HtSearchNode *, owned */
  guint number;         /* of the nodes in the order in which they were added */

  /* How to compute it: the first combination that has it */
  HtPlan *plan;
  guint step;
  HtQuantizationConfig *config;
  guint part;

  HtSearchNodeStatus status;
  gboolean is_wanted;  /* by the scores that are being computed */
  gboolean was_found;  /* in the store, by this process */
  gboolean is_settled; /* done or failed, as far as the waiting thread has heard */
  GError *error;       /* of a failed one: its own or its parent's */
  double seconds;
  JsonNode *report; /* of a step */
  HtMetrics *metrics; /* of a score */
  double size;        /* of a score's network: bytes of its constants */
  double bit_operations;
};

typedef struct
{
  GHashTable *nodes; /* key -> HtSearchNode, owned by their parents; starts by this table's owner */
  GPtrArray *starts;
  GPtrArray *order; /* all nodes by number */
} HtSearchTree;

HtSearchTree *ht_search_tree_new (void);
void ht_search_tree_free (HtSearchTree *self);
/* Adds the steps of a plan below a start, and the calibration under `config`; gives the node of the calibration. */
HtSearchNode *ht_search_tree_add (HtSearchTree *self, const char *start, HtPlan *plan, HtQuantizationConfig *config,
                                  const HtStepInputs *inputs);
/* The node that evaluates a calibrated state on part number `part`, of which `samples` is the hash. */
HtSearchNode *ht_search_tree_add_score (HtSearchTree *self, HtSearchNode *calibrated, guint part, const char *samples);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtSearchTree, ht_search_tree_free)
