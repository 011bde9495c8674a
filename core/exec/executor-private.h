/* SPDX-License-Identifier: MIT */
#pragma once

#include "exec/exec-plan.h"
#include "exec/exec-store.h"
#include "kernels/blocked.h"

struct _HtExecutor
{
  GObject parent_instance;

  GMutex lock;      /* one run at a time */
  GThread *running; /* who holds it */
  HtGraph *graph;
  HtGraph *snapshot;        /* the graph as it was, sealed */
  GHashTable *encodings;    /* name -> HtEncoding; shared with the executors of subgraphs */
  guint64 encoding_changes; /* 1 + how often an encoding changed */
  HtExecMode mode;
  gboolean taps_in_any_order;
  GHashTable *quantized; /* name -> HtExecKept of an HtTensor: encoded constants */
  GHashTable *packed;    /* of exec-packed.c: constants in the form that a kernel wants */
  HtExecStore *store;    /* of those two, shared with the executors of a group; NULL: none */
  GPtrArray *plans;      /* the last few signatures */
  guint64 clock;
  guint64 n_planned; /* plans ever made */
  gpointer arena;
  gsize arena_size;
  GHashTable *captures; /* of a child: the names that it reads from around it; else NULL */
  GHashTable *children; /* HtGraph (a subgraph attribute) -> HtExecutor */
};

/* What one run is asked to do. */
typedef struct
{
  GHashTable *given; /* name -> HtTensor */
  const char *const *outputs;
  const char *const *taps; /* also those inside subgraphs */
  HtTapFunc tap;
  gpointer tap_data;
  GCancellable *cancellable;
} HtExecRun;

/* A run that goes on. */
typedef struct
{
  HtExecutor *executor;
  const HtExecRun *run;
  HtExecPlan *plan;
} HtExecState;

/* The parts of a run, in exec-run.c: what exists before the first step; one step; what was wanted (name -> HtTensor);
 * and, whatever happened before, the end. */
gboolean ht_exec_state_enter (HtExecState *state, GError **error);
gboolean ht_exec_state_run_step (HtExecState *state, guint index, GError **error);
GHashTable *ht_exec_state_collect (HtExecState *state, GError **error);
void ht_exec_state_leave (HtExecState *state);

/* Do the names exist, and do given tensors fit what the graph declares? */
gboolean ht_executor_check_request (HtExecutor *self, const HtExecRun *run, GError **error);
/* Runs a request that was checked. Returns name -> HtTensor. exec-run.c */
GHashTable *ht_executor_run_unchecked (HtExecutor *self, const HtExecRun *run, GError **error);
/* The plan for this request, from the last few ones or new, bound to an arena large enough. */
HtExecPlan *ht_executor_get_plan (HtExecutor *self, const HtExecRun *run, const char *const *taps, GError **error);
/* The same in two parts: the plan alone; and what a run of it needs, memory first. */
HtExecPlan *ht_executor_find_plan (HtExecutor *self, const HtExecRun *run, const char *const *taps, GError **error);
gboolean ht_executor_ready_plan (HtExecutor *self, HtExecPlan *plan, GError **error);
void ht_executor_free_arena (gpointer arena);
/* An executor for a subgraph of a node of ours. `constants` (name -> HtTensor) become its initializers. */
HtExecutor *ht_executor_new_child (HtExecutor *self, HtGraph *subgraph, GHashTable *constants);
gboolean ht_exec_graph_defines (HtGraph *graph, const char *name);

/* Plans to come give up as much structure as `mode` says; for tests, and for training. */
void ht_executor_set_mode (HtExecutor *self, HtExecMode mode);

/* Writes the fake-quantized elements of `tensor` to `y`, which may be its own memory. exec-encoding.c */
gboolean ht_exec_fake_quantize (const char *name, HtEncoding *encoding, HtTensor *tensor, float *y, GError **error);
/* Can a fused step apply it: one grid, of a width that its arithmetic takes? */
gboolean ht_exec_can_fuse_grid (HtEncoding *encoding);
/* Of an encoding with one grid. */
HtGrid ht_exec_read_grid (HtEncoding *encoding);
/* In place, by a grid for the whole tensor. */
void ht_exec_fake_quantize_floats (HtEncoding *encoding, float *values, gsize n);
/* The constant as the network sees it, (transfer none). */
HtTensor *ht_executor_get_quantized_constant (HtExecutor *self, const char *name, HtTensor *constant, GError **error);
