/* SPDX-License-Identifier: MIT */
#pragma once

#include "kernels/blocked.h"
#include "kernels/isa.h"

/* Where the blocks of a row of positions of y come from: its first `shift` lanes are the last ones of `low`, the others
 * the first ones of `high`; both may be NULL. Only lanes [first_lane, end_lane) are wanted; of the others those below
 * keep_end stay as they are and the rest becomes 0. */
typedef struct
{
  const float *low, *high;
  gsize shift, first_lane, end_lane, keep_end;
} HtLaneSource;

typedef struct
{
  /* `n` positions of one block; scale, shift and residual are where theirs begin. */
  void (*affine) (gsize n, const float *x, const float *scale, const float *shift, const float *residual,
                  const HtEpilogue *e, float *y);
  /* b is one block, or as many as a. */
  void (*multiply) (gsize n, const float *a, const float *b, gboolean b_per_channel, const float *scale,
                    const float *shift, const float *residual, const HtEpilogue *e, float *y);
  /* Positions lie x_step and y_step apart. x_begin and x_end are the ends of the tensor, which no load crosses. */
  void (*gather_lanes) (gsize n, const HtLaneSource *source, gsize x_step, const float *x_begin, const float *x_end,
                        gsize y_step, float *y);
  /* A row of `n` positions, each repeated `factor` times. */
  void (*repeat) (gsize n, gsize factor, const float *x, float *y);
} HtBlockedElementwiseKernels;

HT_ISA_DECLARE (HtBlockedElementwiseKernels, ht_blocked_elementwise_kernels);

/* What comes after `e` in its list, for `n` positions of the block that begins with channel `channel`. */
static inline void
ht_blocked_apply_next (const HtEpilogue *e, gsize n, gsize channel, float *y)
{
  const HtBlockedElementwiseKernels *kernels = HT_ISA_PICK (ht_blocked_elementwise_kernels);

  for (e = e ? e->next : NULL; e; e = e->next)
    kernels->affine (n, y, e->scale ? e->scale + channel : NULL, e->shift ? e->shift + channel : NULL, NULL, e, y);
}
