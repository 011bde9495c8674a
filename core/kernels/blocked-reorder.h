/* SPDX-License-Identifier: MIT */
#pragma once

#include "kernels/blocked.h"
#include "kernels/isa.h"

/* Positions [begin, end) of a plane: `n_channels` channels of x or y, which are one block of the other. */
typedef struct
{
  void (*from_plain) (gsize n_channels, gsize positions, gsize begin, gsize end, const float *x, float *y,
                      const HtEpilogue *e);
  void (*to_plain) (gsize n_channels, gsize positions, gsize begin, gsize end, const float *x, float *y,
                    const HtEpilogue *e);
  /* The same from rows that lie anywhere; NULL: zeros. There are as many as a block has channels. */
  void (*from_rows) (const float *const *rows, gsize begin, gsize end, float *y);
} HtBlockedReorderKernels;

HT_ISA_DECLARE (HtBlockedReorderKernels, ht_blocked_reorder_kernels);
