/* SPDX-License-Identifier: MIT */
/* Units and tasks in the blocked layout of kernels/blocked.h. */
#pragma once

#include "exec/gradient-build.h"
#include "kernels/blocked-backward.h"

/* A tensor of dimensions [batch, channels, ...]. */
typedef struct
{
  gsize batch, channels, positions;
} HtGradientExtent;

HtGradientExtent ht_gradient_extent (const gint64 *dims, guint n_dims);
HtGradientExtent ht_gradient_slot_extent (const HtGradientRun *run, const HtGradientTask *task, guint slot);
gsize ht_gradient_blocked_floats (const gint64 *dims, guint n_dims);
/* `channels` filled up to whole blocks. */
gsize ht_gradient_padded_channels (gsize channels);

/* slot 0 to slot 1, from one layout to the other */
extern const HtGradientKind ht_gradient_reorder_kind;
extern const HtGradientKind ht_gradient_blocked_quantize_backward_kind;
gsize ht_gradient_blocked_quantize_backward_workspace (const HtGradientBuffer *buffer);

/* Makes `unit`, which begins with this step, one that runs blocked, if it can and if that is better. */
gboolean ht_gradient_blocked_match (HtGradientBuilder *self, guint step, HtGradientUnit *unit);

/* May the value have the blocked layout: float, and of batch, channels and one to three axes? */
gboolean ht_gradient_can_block (HtGradientBuilder *self, guint value);
gboolean ht_gradient_same_dims (HtGradientBuilder *self, guint a, guint b);
/* Is the value made by the step for one other step only, the one returned? NULL: others need it as it is. */
const HtExecStep *ht_gradient_only_reader (HtGradientBuilder *self, guint value);
/* Relu, or Clip with constant bounds. */
gboolean ht_gradient_read_clamp (HtGradientBuilder *self, const HtExecStep *step, float *low, float *high);
gboolean ht_gradient_is_op (const HtExecStep *step, const char *op_type);

/* What follows in the same unit: an addition, and one or two clamps. */
typedef struct
{
  guint residual; /* value; HT_EXEC_NONE: none */
  gboolean clamps;
  float low, high;
} HtGradientTail;

/* Takes what follows `value` into the unit. */
void ht_gradient_take_tail (HtGradientBuilder *self, HtGradientUnit *unit, guint value, HtGradientTail *tail);
HtEpilogue ht_gradient_tail_epilogue (const HtGradientTail *tail, const float *residual);

/* The rules; each match looks at the first step of `unit`. */
gboolean ht_gradient_match_conv (HtGradientBuilder *self, HtGradientUnit *unit); /* gradient-conv.c */
gboolean ht_gradient_match_norm (HtGradientBuilder *self, HtGradientUnit *unit); /* gradient-norm.c */
gboolean ht_gradient_match_pool (HtGradientBuilder *self, HtGradientUnit *unit); /* gradient-pool.c */
gboolean ht_gradient_match_flat (HtGradientBuilder *self, HtGradientUnit *unit); /* gradient-operator.c */
