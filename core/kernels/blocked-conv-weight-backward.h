/* SPDX-License-Identifier: MIT */
#pragma once

#include "kernels/blocked.h"
#include "kernels/isa.h"

/* At most this many blocks of output channels are taken side by side. */
#define HT_WEIGHT_BLOCKS 3
/* The taps of a plain input are taken in groups of this many. */
#define HT_WEIGHT_TAPS 8

/* Rows [begin, end) of outputs of all images (a row is the innermost axis), for one kernel position. The arrays are
 * those of the first image: x at the block of input channels, dy at the first block of output channels. */
typedef struct
{
  const HtConvGeometry *g;
  gsize begin, end;
  const float *x, *dy;
  gsize x_image, dy_image, dy_block; /* floats from an image or a block to the next */
  gsize tap[HT_CONV_AXES];
  gboolean add; /* to what dw holds */
} HtWeightTile;

/* Rows [0, n_rows) of outputs of one image, for HT_WEIGHT_TAPS values of x at a time: for output w of row r they are
 * x[r * x_row + w * x_step + offsets[i]]. */
typedef struct
{
  gsize n_rows, width;
  const float *x, *dy;
  gsize x_row, x_step, dy_block;
  const gsize *offsets;
  gboolean add;
} HtWeightPlainTile;

typedef struct
{
  /* dw: [blocks, `dw_block` floats apart][lane of x][lane of dy]; by the number of blocks less one. */
  void (*blocked[HT_WEIGHT_BLOCKS]) (const HtWeightTile *tile, float *dw, gsize dw_block);
  /* dw: [blocks, `dw_block` floats apart][HT_WEIGHT_TAPS][lane of dy] */
  void (*plain[HT_WEIGHT_BLOCKS]) (const HtWeightPlainTile *tile, float *dw, gsize dw_block);
  /* One channel for each lane; the taps of the last axis are taken together: dw is [kernel[2]][lane]. */
  void (*depthwise) (const HtWeightTile *tile, float *dw);
  /* sum: `n` floats, whole blocks. */
  void (*add) (gsize n, const float *x, float *sum);
} HtBlockedConvWeightKernels;

HT_ISA_DECLARE (HtBlockedConvWeightKernels, ht_blocked_conv_weight_kernels);
