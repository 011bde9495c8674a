/* SPDX-License-Identifier: MIT */
/* What happens to a tensor between the sum that makes it and memory: the nodes after it that become the epilogue of its
 * step (kernels/blocked.h), in the order affine, inner grid, residual, activation, grid. What does not fit this order
 * begins the next chain of the same step, without residuals, where the kernel can go over its results once more. */
#pragma once

#include "exec/exec-build.h"
#include "kernels/blocked.h"

/* A constant of the graph that a step reads in its own way. */
typedef struct
{
  char *name;
  HtTensor *tensor;  /* before its encoding */
  gboolean as_codes; /* read as the integers of its grid, not as their values */
} HtExecParam;

typedef enum
{
  HT_CHAIN_AFFINE = 1 << 0,
  HT_CHAIN_RESIDUAL = 1 << 1,
  HT_CHAIN_ACTIVATION = 1 << 2,
  HT_CHAIN_ALL = 7,
  HT_CHAIN_NEXT = 1 << 3, /* further chains */
} HtExecChainParts;

typedef struct _HtExecChain HtExecChain;
struct _HtExecChain
{
  HtExecLayout layout;
  guint axis; /* of the channels */
  gsize channels;
  guint stage;
  HtExecChainParts parts; /* what the kernel can do */
  GArray *affines;        /* of exec-chain.c, in their order */
  char *inner;            /* the tensor that the inner grid is of; NULL: none */
  char *output;           /* the tensor that goes to memory, or to the next chain */
  char *residual;         /* NULL: none */
  HtEpilogue epilogue;    /* whole after ht_exec_chain_prepare() */
  float *scale, *shift;
  HtGrid inner_grid, grid;
  gboolean clamp_in_grid; /* the ends of the grid do what the activation, a clamp, would */
  HtEncoding *wide;       /* of the output, where the epilogue cannot apply it */
  HtExecChain *next;      /* NULL: none */
};

void ht_exec_param_init (HtExecParam *self, HtExecBuilder *builder, const char *name);
void ht_exec_param_clear (HtExecParam *self);

/* Starts at `tensor`, which the step's first node makes. NULL: the tensor does not fit the layout. */
HtExecChain *ht_exec_chain_new (HtExecBuilder *builder, const char *tensor, HtExecLayout layout, guint axis,
                                HtExecChainParts parts);
void ht_exec_chain_free (HtExecChain *self);
/* Adds a constant with one element, or one for each channel. FALSE: it is none. */
gboolean ht_exec_chain_add_shift (HtExecChain *self, HtExecBuilder *builder, const char *constant);
/* Appends `node` (which reads the chain's output) where the chain can hold it, and takes it. */
gboolean ht_exec_chain_append (HtExecChain *self, HtExecBuilder *builder, HtNode *node);
/* Appends all that follows, as far as the plan's mode, encodings and readers allow. */
void ht_exec_chain_extend (HtExecChain *self, HtExecBuilder *builder);
/* The last chain: its output is the step's. */
HtExecChain *ht_exec_chain_get_end (HtExecChain *self);

/* Finds grids and constants for the runs to come. */
gboolean ht_exec_chain_prepare (HtExecChain *self, HtExecutor *executor, GError **error);
/* The epilogue for one run; `residual` may be NULL. */
HtEpilogue ht_exec_chain_get_epilogue (const HtExecChain *self, HtTensor *residual);
/* Applies to the n elements of the output what the epilogue could not. */
void ht_exec_chain_finish (const HtExecChain *self, float *y, gsize n);
gboolean ht_exec_chain_is_empty (const HtExecChain *self);
/* Nodes and biases that became scale and shift. */
guint ht_exec_chain_count_affines (const HtExecChain *self);
/* Do encodings have a say in scale and shift? */
gboolean ht_exec_chain_has_encoded_constants (const HtExecChain *self, HtExecutor *executor);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtExecChain, ht_exec_chain_free)
