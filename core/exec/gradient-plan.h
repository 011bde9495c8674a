/* SPDX-License-Identifier: MIT */
/* A plan of gradients: tasks in order over buffers in one arena. Forward tasks come first, then the losses, then the
 * backward tasks of the part of the network that lies between the chosen tensors and the losses.
 *
 * A buffer is written by one task and never changes afterwards: several uses of a tensor are added up into new buffers,
 * and who may lie in whose memory is decided at the end, from lifetimes over both phases. What a backward task does not
 * read is not kept. */
#pragma once

#include "exec/exec-plan.h"

#define HT_GRADIENT_NONE G_MAXUINT

typedef enum
{
  HT_GRADIENT_GIVEN,    /* an input or parameter of the run, read where it is */
  HT_GRADIENT_CONSTANT, /* a constant of the graph */
  HT_GRADIENT_ARENA,
  HT_GRADIENT_RESULT, /* memory of its own, handed to the caller */
} HtGradientPlace;

typedef struct
{
  char *name; /* of the tensor it belongs to */
  HtGradientPlace place;
  gboolean blocked; /* in the layout of kernels/blocked.h; else in the order of the dimensions */
  HtDataType type;
  guint n_dims;
  gint64 dims[HT_TENSOR_MAX_DIMS];
  gsize size; /* bytes */
  HtTensor *constant;
  guint root;       /* the buffer whose memory this one uses; itself mostly */
  gint first, last; /* tasks that need the memory; of a root: including those that share it */
  gsize offset;
  HtTensor *view; /* bound to the arena; of a result: the last one, to be used again */
} HtGradientBuffer;

/* What a task does with a buffer. */
typedef enum
{
  HT_GRADIENT_SHAPE, /* looks at type and dimensions only */
  HT_GRADIENT_READ,
  HT_GRADIENT_WRITE,
} HtGradientAccess;

typedef struct
{
  guint buffer; /* HT_GRADIENT_NONE: absent */
  HtGradientAccess access;
} HtGradientSlot;

typedef enum
{
  HT_GRADIENT_SHARE_NONE,
  HT_GRADIENT_SHARE_VIEW,  /* the written slot `share_to` is the read slot 0 under other dimensions */
  HT_GRADIENT_SHARE_DYING, /* it may take the memory of a read slot of its size that nobody reads later */
} HtGradientShare;

typedef struct _HtGradientRun HtGradientRun;
typedef struct _HtGradientTask HtGradientTask;

typedef struct
{
  const char *name;
  gboolean (*run) (HtGradientRun *run, const HtGradientTask *task, GError **error);
} HtGradientKind;

struct _HtGradientTask
{
  const HtGradientKind *kind;
  const HtExecStep *step; /* NULL: no node of the graph */
  guint n_slots;
  HtGradientSlot *slots; /* for operators: inputs, outputs, gradients of the outputs, gradients of the inputs */
  HtGradientShare share;
  guint share_to;
  guint32 share_from; /* slots that may give their memory */
  gsize workspace_size, workspace_offset;
  gconstpointer data; /* of the kind; the plan owns it, and tasks that run twice share it */
};

/* Gradients with respect to scales and offsets of a tensor's grids. */
typedef struct
{
  char *name;
  guint scale, offset; /* buffers of doubles, RESULT */
} HtGradientRange;

typedef struct
{
  char *name;
  guint buffer;
} HtGradientNamed;

typedef struct
{
  char *signature;
  HtExecPlan *forward; /* the steps that tasks refer to */
  GArray *buffers;     /* HtGradientBuffer */
  GArray *tasks;       /* HtGradientTask */
  GPtrArray *data;     /* of tasks */
  guint n_forward;     /* tasks of the forward phase, the losses not counted */
  GArray *gradients;   /* HtGradientNamed: buffers of results */
  GArray *outputs;     /* HtGradientNamed */
  GArray *statistics;  /* HtGradientNamed: new running statistics of batch norms */
  GArray *ranges;      /* HtGradientRange */
  gsize arena_size, result_size;
  guint n_segments; /* 1: nothing is recomputed */
  gpointer bound;
  guint64 last_use;
} HtGradientPlan;

/* What a plan is made for. */
typedef struct
{
  HtGraph *graph;
  GHashTable *given;          /* name -> HtTensor: inputs and parameters */
  GHashTable *encodings;      /* name -> HtEncoding */
  const char *const *losses;  /* outputs that the gradient starts from */
  const char *const *outputs; /* further outputs to return */
  const char *const *taps;
  const char *const *tensors; /* chosen */
  const char *const *ranges;  /* encoded tensors whose grids are differentiated */
  gboolean batch_statistics;  /* BatchNormalization uses those of the batch */
  gboolean plain;             /* no blocked layout */
  gsize budget;               /* bytes of the arena and the results; 0: no limit */
} HtGradientRequest;

HtGradientPlan *ht_gradient_plan_new (const HtGradientRequest *request, GError **error);
void ht_gradient_plan_free (HtGradientPlan *self);
void ht_gradient_plan_bind (HtGradientPlan *self, gpointer arena);
/* Lifetimes, sharing and offsets: gradient-memory.c */
void ht_gradient_plan_lay_out (HtGradientPlan *self);
/* Replaces kept values by recomputed ones until the plan fits `budget` or no way is left: gradient-recompute.c */
void ht_gradient_plan_fit (HtGradientPlan *self, gsize budget);

HtGradientPlan *ht_gradient_plan_alloc (void);
guint ht_gradient_plan_add_buffer (HtGradientPlan *self, const char *name, HtGradientPlace place, HtDataType type,
                                   const gint64 *dims, guint n_dims, gboolean blocked);
/* The task has n_slots empty slots. The pointer is valid until the next task is added. */
HtGradientTask *ht_gradient_plan_add_task (HtGradientPlan *self, const HtGradientKind *kind, const HtExecStep *step,
                                           guint n_slots);

static inline HtGradientBuffer *
ht_gradient_plan_buffer (const HtGradientPlan *self, guint index)
{
  return &g_array_index (self->buffers, HtGradientBuffer, index);
}

static inline HtGradientTask *
ht_gradient_plan_task (const HtGradientPlan *self, guint index)
{
  return &g_array_index (self->tasks, HtGradientTask, index);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtGradientPlan, ht_gradient_plan_free)
