/* SPDX-License-Identifier: MIT */
/* Tensors with a grid for each channel and each block of another axis. The tensor is [outer, first, middle, second,
 * inner]; one of `first` and `second` counts channels, the other is cut into blocks of `size`, of which the last may be
 * shorter. Grids lie channel by channel, and by blocks within a channel. */
#pragma once

#include "kernels/round-float.h"

typedef struct
{
  gsize outer, first, middle, second, inner;
  gboolean channel_first;
  gsize size;
} HtKernelBlocks;

gsize ht_kernel_blocks_count (const HtKernelBlocks *blocks);
gsize ht_kernel_blocks_count_channels (const HtKernelBlocks *blocks);

/* Calls func for each run of `n` elements that share a grid, in the order of the tensor, in the calling thread. */
typedef void (*HtKernelBlockFunc) (gsize start, gsize n, gsize grid, gpointer user_data);
void ht_kernel_blocks_foreach (const HtKernelBlocks *blocks, HtKernelBlockFunc func, gpointer user_data);

/* As their namesakes in fake-quantize.h and round-float.h. */
void ht_kernel_fake_quantize_blocks (const float *x, float *y, const HtKernelBlocks *blocks, const float *scales,
                                     const float *offsets, float n_steps);
void ht_kernel_quantize_blocks_int32 (const float *x, gint32 *q, const HtKernelBlocks *blocks, const float *scales,
                                      const float *offsets, float n_steps, gint32 shift);
void ht_kernel_round_float_blocks (HtKernelFloat format, const float *x, float *y, const HtKernelBlocks *blocks,
                                   const float *scales);
