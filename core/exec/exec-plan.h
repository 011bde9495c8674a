/* SPDX-License-Identifier: MIT */
/* A plan says, for one signature (given tensors with their shapes, wanted outputs, taps), which nodes run in which
 * order and where each value lives. It owns no tensor of a run: one plan serves many runs. */
#pragma once

#include "graph/operator.h"

#include <halftone/encoding.h>

#define HT_EXEC_NONE G_MAXUINT

typedef enum
{
  HT_EXEC_GIVEN,    /* the caller's tensor, read where it is */
  HT_EXEC_CONSTANT, /* an initializer or a folded value, read where it is */
  HT_EXEC_ARENA,    /* a place in the arena, its own or that of `root` */
  HT_EXEC_HEAP,     /* shape known, memory of its own in every run: what the caller gets */
  HT_EXEC_DYNAMIC,  /* known by running only */
} HtExecPlace;

typedef struct
{
  char *name;
  HtExecPlace place;
  gboolean is_static; /* type and shape are known and the elements have a size in bytes */
  gboolean is_given;  /* the caller's; with a place other than GIVEN it is copied there (and quantized) */
  gboolean is_wanted; /* an output of the run */
  gboolean is_tapped;
  HtDataType type;
  gint64 *dims;
  guint n_dims;
  gsize size;
  HtTensor *constant;
  guint root;       /* the value whose memory this one uses; itself mostly */
  gint first, last; /* steps that need the memory; of a root: including those that share it */
  gsize offset;
  HtTensor *view; /* bound to the arena; not for dynamic places */
} HtExecValue;

typedef struct
{
  HtNode *node;
  const HtOperator *op;
  gint64 opset;
  guint n_inputs, n_outputs;
  guint *inputs, *outputs; /* values; HT_EXEC_NONE: absent */
  guint n_captures;
  guint *captures;    /* values that subgraphs of the node read */
  gboolean is_static; /* everything is known before the run */
  gsize workspace_size, workspace_offset;
  GArray *released; /* guint: dynamic values that nobody reads after this step */
} HtExecStep;

typedef struct
{
  char *signature;
  GArray *values; /* HtExecValue */
  GArray *steps;  /* HtExecStep */
  gsize arena_size;
  gpointer bound; /* the arena the views point into */
  guint64 last_use;
} HtExecPlan;

/* What a plan is made for. */
typedef struct
{
  HtGraph *graph;
  GHashTable *given; /* name -> HtTensor */
  const char *const *outputs;
  const char *const *taps;
  GHashTable *encodings; /* keys: the names that have one */
} HtExecRequest;

char *ht_exec_request_make_signature (const HtExecRequest *request);
HtExecPlan *ht_exec_plan_new (const HtExecRequest *request, GError **error);
void ht_exec_plan_free (HtExecPlan *self);
/* Points the views into `arena`, which has arena_size bytes and is 64-byte aligned. */
void ht_exec_plan_bind (HtExecPlan *self, gpointer arena);

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
