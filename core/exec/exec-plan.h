/* SPDX-License-Identifier: MIT */
/* A plan says, for one signature (given tensors with their shapes, wanted outputs, taps), which steps run in which
 * order and where each value lives. It owns no tensor of a run: one plan serves many runs. */
#pragma once

#include "graph/operator.h"

#include <halftone/encoding.h>
#include <halftone/executor.h>

#define HT_EXEC_NONE G_MAXUINT

typedef enum
{
  HT_EXEC_GIVEN,    /* the caller's tensor, read where it is */
  HT_EXEC_CONSTANT, /* an initializer or a folded value, read where it is */
  HT_EXEC_ARENA,    /* a place in the arena, its own or that of `root` */
  HT_EXEC_HEAP,     /* shape known, memory of its own in every run: what the caller gets */
  HT_EXEC_DYNAMIC,  /* known by running only */
} HtExecPlace;

typedef enum
{
  HT_EXEC_LAYOUT_PLAIN,
  HT_EXEC_LAYOUT_BLOCKED, /* of kernels/blocked.h; float, always in the arena */
  /* The same two with integers in place of values: x / scale of the tensor's grid, one for the whole tensor. They are
   * what layers on integers sum (exec-codes.h); stored as floats, always in the arena. */
  HT_EXEC_LAYOUT_PLAIN_CODES,
  HT_EXEC_LAYOUT_BLOCKED_CODES,
  HT_EXEC_N_LAYOUTS,
} HtExecLayout;

typedef struct
{
  char *name; /* a tensor of the graph; its forms in several layouts are values of one name */
  HtExecLayout layout;
  HtExecPlace place;
  gboolean is_static; /* type and shape are known and the elements have a size in bytes */
  gboolean is_given;  /* the caller's; with a place other than GIVEN it is copied there (and quantized) */
  gboolean is_wanted; /* an output of the run */
  gboolean is_tapped;
  HtDataType type;
  gint64 *dims; /* those of the graph, whatever the layout */
  guint n_dims;
  gsize size; /* bytes in this layout */
  HtTensor *constant;
  guint root;       /* the value whose memory this one uses; itself mostly */
  gint first, last; /* steps that need the memory; of a root: including those that share it */
  gsize offset;
  HtTensor *view;       /* bound to the arena, or the constant as the network sees it; not for other places */
  HtEncoding *encoding; /* as of the last preparation; borrowed from the executor */
} HtExecValue;

typedef struct _HtExecStep HtExecStep;
typedef struct _HtExecPlan HtExecPlan;

/* One execution of one step. */
typedef struct
{
  HtExecutor *executor;
  const HtExecPlan *plan;
  const HtExecStep *step;
  HtTensor *const *inputs; /* by step->inputs; NULL: absent */
  HtTensor **outputs;      /* by step->outputs; NULL: not wanted */
  gpointer workspace;      /* of step->workspace_size bytes, 64-byte aligned */
  GCancellable *cancellable;
  gpointer run; /* the run's state, for exec-run.c */
} HtExecCall;

/* What a step does. Kinds are static tables, one for each file that makes such steps. */
typedef struct
{
  const char *name;
  gboolean (*forward) (const HtExecCall *call, GError **error);
  /* Called before the first run and again whenever an encoding of the executor changed: finds grids, prepares
   * constants. May be NULL. */
  gboolean (*prepare) (HtExecutor *executor, HtExecPlan *plan, HtExecStep *step, GError **error);
  /* Bytes of constants that the step keeps in a form of its own; may be NULL. */
  gsize (*constant_size) (const HtExecStep *step);
  void (*free) (gpointer data); /* may be NULL */
  gboolean quantizes; /* forward() applies the encodings of its outputs itself, else the run does it afterwards */
} HtExecKind;

struct _HtExecStep
{
  const HtExecKind *kind;
  gpointer data;        /* the kind's own */
  HtNode *node;         /* the first node that it does; NULL: none (a change of layout) */
  const HtOperator *op; /* of `node`, for steps that are one operator; else NULL */
  gint64 opset;
  guint n_inputs, n_outputs;
  guint *inputs, *outputs; /* values; HT_EXEC_NONE: absent */
  guint n_captures;
  guint *captures;    /* values that subgraphs of the node read */
  gboolean is_static; /* everything is known before the run */
  /* Bit i: output 0 may lie where input i lies, if nobody needs that any more and no other input lies there. */
  guint32 in_place;
  gsize workspace_size, workspace_offset;
  GArray *released; /* guint: dynamic values that nobody reads after this step */
};

/* What a plan is made from, kept to recognize the next run. */
typedef struct
{
  char *name;
  HtDataType type;
  guint n_dims;
  gint64 *dims;
} HtExecGiven;

struct _HtExecPlan
{
  GArray *given; /* HtExecGiven */
  GStrv outputs, taps;
  guint n_threads;
  GArray *values;     /* HtExecValue */
  GArray *steps;      /* HtExecStep */
  GArray *entries;    /* guint: values that a run must look at before the first step */
  HtTensor **tensors; /* by value: scratch memory of the run that goes on */
  gsize arena_size;
  gpointer bound;   /* the arena the views point into */
  guint64 prepared; /* the executor's count of changed encodings at the last preparation; 0: never */
  guint64 serial; /* which of all plans of its executor */
  guint64 last_use;
};

/* How much of the graph's structure the plan may give up for speed. */
typedef enum
{
  HT_EXEC_FUSED,   /* blocked layouts, chains of nodes in one step */
  HT_EXEC_UNFUSED, /* blocked layouts, but every tensor of the graph exists at some time, as training needs it */
  HT_EXEC_PLAIN,   /* one operator a step, plain layout: what the others are judged by */
} HtExecMode;

/* What a plan is made for. */
typedef struct
{
  HtGraph *graph;
  GHashTable *given; /* name -> HtTensor */
  const char *const *outputs;
  const char *const *taps;
  GHashTable *encodings; /* name -> HtEncoding */
  HtExecMode mode;
  gboolean taps_in_any_order;
} HtExecRequest;

HtExecPlan *ht_exec_plan_new (const HtExecRequest *request, GError **error);
void ht_exec_plan_free (HtExecPlan *self);
/* Is the plan one for this request? Graph, mode and names with an encoding are the caller's affair. */
gboolean ht_exec_plan_serves (const HtExecPlan *self, const HtExecRequest *request);
/* Points the views into `arena`, which has arena_size bytes and is 64-byte aligned. */
void ht_exec_plan_bind (HtExecPlan *self, gpointer arena);
/* Bytes of prepared constants, all steps together; what several steps share counts once for each. */
gsize ht_exec_plan_constant_size (const HtExecPlan *self);

/* Chooses who shares memory with whom, and offsets in the arena: exec-plan-memory.c. */
void ht_exec_plan_lay_out (HtExecPlan *self, GHashTable *encodings);

/* Names that the graph reads and does not define: what a subgraph takes from around it. */
GHashTable *ht_exec_find_captures (HtGraph *graph);
/* Adds to `names` (a set) what the subgraphs of the node read from around them; FALSE when it has no subgraph. */
gboolean ht_exec_add_node_captures (HtNode *node, GHashTable *names);

static inline HtExecValue *
ht_exec_plan_value (const HtExecPlan *self, guint index)
{
  return &g_array_index (self->values, HtExecValue, index);
}

static inline HtExecStep *
ht_exec_plan_step (const HtExecPlan *self, guint index)
{
  return &g_array_index (self->steps, HtExecStep, index);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtExecPlan, ht_exec_plan_free)
