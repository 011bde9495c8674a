/* SPDX-License-Identifier: MIT */
/* What the tasks of a gradient plan do, and what they are given. */
#pragma once

#include "exec/gradient-plan.h"

#include <halftone/executor.h>

/* Fills the gradient of an output that a loss starts from; adds its share to `loss`. */
typedef gboolean (*HtGradientSeedFunc) (const char *output, HtTensor *value, HtTensor *gradient, double *loss,
                                        gpointer user_data, GError **error);

struct _HtGradientRun
{
  HtGradientPlan *plan;
  GHashTable *given;     /* name -> HtTensor */
  GHashTable *encodings; /* name -> HtEncoding */
  HtTensor **tensors;    /* by buffer */
  char *arena;
  HtTapFunc tap;
  gpointer tap_data;
  GCancellable *cancellable;
  HtGradientSeedFunc seed;
  gpointer seed_data;
  double loss;
};

static inline HtTensor *
ht_gradient_run_tensor (const HtGradientRun *run, const HtGradientTask *task, guint slot)
{
  guint buffer = task->slots[slot].buffer;
  return buffer == HT_GRADIENT_NONE ? NULL : run->tensors[buffer];
}

static inline gpointer
ht_gradient_run_data (const HtGradientRun *run, const HtGradientTask *task, guint slot)
{
  HtTensor *tensor = ht_gradient_run_tensor (run, task, slot);
  return tensor ? (gpointer)ht_tensor_get_data (tensor) : NULL;
}

static inline gpointer
ht_gradient_run_workspace (const HtGradientRun *run, const HtGradientTask *task)
{
  return task->workspace_size > 0 ? run->arena + task->workspace_offset : NULL;
}

/* Operators: inputs and outputs; for backward also the gradients of the outputs and those of the inputs. */
extern const HtGradientKind ht_gradient_forward_kind, ht_gradient_backward_kind;
/* slot 0 under other dimensions to slot 1 */
extern const HtGradientKind ht_gradient_reshape_kind;
/* slots 0 and 1 to slot 2 */
extern const HtGradientKind ht_gradient_add_kind;
/* slot 0 becomes zero */
extern const HtGradientKind ht_gradient_zero_kind;
/* shows slot 0 */
extern const HtGradientKind ht_gradient_tap_kind;
/* the loss of slot 0 makes the gradient in slot 1 */
extern const HtGradientKind ht_gradient_seed_kind;

/* Fake quantization of slot 0 to slot 1. gradient-quantize.c */
extern const HtGradientKind ht_gradient_quantize_kind;
/* From x in slot 0 and the gradient in slot 1: those of x (2), of the scales (3), of the offsets (4); each may be
 * absent.
 */
extern const HtGradientKind ht_gradient_quantize_backward_kind;
gsize ht_gradient_quantize_backward_workspace (HtEncoding *encoding, const HtGradientBuffer *buffer);

/* Batch normalization with the statistics of the batch: gradient-batch-norm.c
 * Slots: x, scale, shift, running mean and variance; y, mean, variance; new running mean and variance. */
extern const HtGradientKind ht_gradient_batch_norm_kind;
/* Slots: x, scale, mean, variance, dy; dx, dscale, dshift. */
extern const HtGradientKind ht_gradient_batch_norm_backward_kind;
