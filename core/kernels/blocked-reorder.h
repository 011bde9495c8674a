/* SPDX-License-Identifier: MIT */
#pragma once

#include "kernels/blocked.h"
#include "kernels/isa.h"

/* Of one image: blocks [begin, end) of its channels. */
typedef struct
{
  void (*from_plain) (gsize channels, gsize positions, gsize begin, gsize end, const float *x, float *y,
                      const HtEpilogue *e);
  void (*to_plain) (gsize channels, gsize positions, gsize begin, gsize end, const float *x, float *y,
                    const HtEpilogue *e);
} HtBlockedReorderKernels;

HT_ISA_DECLARE (HtBlockedReorderKernels, ht_blocked_reorder_kernels);
