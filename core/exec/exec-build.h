/* SPDX-License-Identifier: MIT */
/* A plan under construction, and the rules that choose its steps. */
#pragma once

#include "exec/exec-plan.h"
#include "graph/shape-propagation.h"

/* How the caller sees a tensor. */
#define HT_EXEC_SEEN_WANTED 1u
#define HT_EXEC_SEEN_TAPPED 2u

typedef struct
{
  const HtExecRequest *request;
  HtExecPlan *plan;
  HtValueTable *table;
  GPtrArray *nodes;                      /* those that something wanted depends on, in order */
  GHashTable *needed;                    /* names that something wanted depends on */
  GHashTable *visible;                   /* name -> HT_EXEC_SEEN_... */
  GHashTable *tainted;                   /* constants that depend on an encoded constant: computed, not read */
  GHashTable *uses;                      /* name -> GPtrArray of the nodes that read it, one for each time */
  GHashTable *made;                      /* names that the steps so far make */
  GHashTable *taken;                     /* nodes that the steps so far do */
  GHashTable *values[HT_EXEC_N_LAYOUTS]; /* name -> index of value + 1 */
} HtExecBuilder;

/* Looks at a node that no step does yet, and adds a step that does it, perhaps together with nodes after it. `taken`
 * says whether it did: if not, the node runs as an operator. FALSE: an error. */
typedef struct
{
  const char *op_type; /* of the domain ai.onnx */
  gboolean (*lower) (HtExecBuilder *builder, HtNode *node, gboolean *taken, GError **error);
} HtExecRule;

const HtExecRule *ht_exec_find_rule (HtNode *node); /* lower.c */

/* exec-build.c. What is known of a tensor; NULL: nothing. */
const HtInferValue *ht_exec_builder_look_up (HtExecBuilder *self, const char *name);
/* Static dimensions of a float tensor; FALSE for all others. `dims` holds HT_TENSOR_MAX_DIMS. */
gboolean ht_exec_builder_get_float_dims (HtExecBuilder *self, const char *name, gint64 *dims, guint *n_dims);
/* The content behind a name where no run is needed to know it, before its encoding. */
HtTensor *ht_exec_builder_get_constant (HtExecBuilder *self, const char *name);
HtEncoding *ht_exec_builder_get_encoding (HtExecBuilder *self, const char *name);
/* Do both tensors have one encoding? Plans may count on it: ht_executor_set_encoding() forgets them when that changes.
 */
gboolean ht_exec_builder_has_same_encoding (HtExecBuilder *self, const char *a, const char *b);
gboolean ht_exec_builder_is_given (HtExecBuilder *self, const char *name);
/* May the tensor stay inside a step: read `n_uses` times by nodes of this plan and seen by nobody else? */
gboolean ht_exec_builder_is_inner (HtExecBuilder *self, const char *name, guint n_uses);
guint ht_exec_builder_get_n_uses (HtExecBuilder *self, const char *name);
HtNode *ht_exec_builder_get_use (HtExecBuilder *self, const char *name, guint use);
/* May `nodes`, of which the last gives the result, become one step of a fused plan? What they read from outside must be
 * among `inputs` (NULL-terminated), or a constant without an encoding. */
gboolean ht_exec_builder_can_fuse (HtExecBuilder *self, GPtrArray *nodes, const char *const *inputs);
/* Can a step that is added now read it? */
gboolean ht_exec_builder_is_made (HtExecBuilder *self, const char *name);
gboolean ht_exec_builder_has (HtExecBuilder *self, const char *name, HtExecLayout layout);
/* Does a tap see the tensor in the blocked layout, and nobody in the plain one? */
gboolean ht_exec_builder_shows_blocked (HtExecBuilder *self, const char *name);
/* In the blocked layout, values or codes? */
gboolean ht_exec_builder_is_blocked (HtExecBuilder *self, const char *name);
/* Blocked codes and no blocked values: what a step had better read that takes either. */
gboolean ht_exec_builder_is_coded (HtExecBuilder *self, const char *name);
/* Can the tensor have the blocked layout: float, static, batch, channels and one to three axes, no grid for each
 * channel? */
gboolean ht_exec_builder_can_block (HtExecBuilder *self, const char *name);

/* The value to read, after a change of layout if it takes one. `reader` is for the message (NULL: the caller). */
gboolean ht_exec_builder_read (HtExecBuilder *self, HtNode *reader, const char *name, HtExecLayout layout, guint *index,
                               GError **error);
/* The value of that name and layout, made if there is none yet. */
guint ht_exec_builder_get_value (HtExecBuilder *self, const char *name, HtExecLayout layout);
/* A step of `kind` that reads `inputs` (read by ht_exec_builder_read()) and makes the tensor `output` in `layout`. It
 * does `node`, which it marks as taken; further nodes go to ht_exec_builder_take(). The result holds until the next
 * step is added. */
HtExecStep *ht_exec_builder_add_step (HtExecBuilder *self, HtNode *node, const HtExecKind *kind,
                                      gpointer data /* transfer full */, const guint *inputs, guint n_inputs,
                                      const char *output, HtExecLayout layout);
void ht_exec_builder_take (HtExecBuilder *self, HtNode *node);

/* One node through the operator's own forward function: exec-operator.c */
gboolean ht_exec_builder_add_operator (HtExecBuilder *self, HtNode *node, GError **error);
extern const HtExecKind ht_exec_operator_kind;
/* The step from one form of a tensor to another: exec-reorder.c */
const HtExecKind *ht_exec_choose_conversion (HtExecLayout from, HtExecLayout to);
