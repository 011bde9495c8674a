/* SPDX-License-Identifier: MIT */
/* The register tile of every convolution and product: some output columns times some blocks of output channels, summed
 * over input channels and kernel taps in registers. */
#pragma once

#include "kernels/blocked.h"
#include "kernels/isa.h"

#define HT_TILE_MAX_BLOCKS  4
#define HT_TILE_MAX_COLUMNS 28

/* Of C columns and B blocks. All strides are in floats. Column c of x begins at c * block. */
typedef struct
{
  const float *x;
  gsize x_block; /* from one block of input channels to the next */
  gsize n_blocks;
  gsize last_lanes; /* channels of the last block; the others are full */
  const gsize *taps;
  gsize n_taps;
  const float *w;     /* [n_blocks][n_taps][lanes][B][block] */
  const float *begin; /* [C][B][block]: sums so far; NULL: 0 */
  float *partial;     /* like begin: sums stay there and y is not touched; NULL: finish into y */
  float *y;
  gsize y_column, y_block;
  gsize y_last_lanes;                    /* channels of the last block that exist in y */
  const float *scale, *shift, *residual; /* at this tile's first channel (residual: like y) or NULL */
  const HtEpilogue *e;                   /* nullable */
} HtTile;

typedef void (*HtTileFunc) (const HtTile *tile);

typedef struct
{
  gsize max_blocks;
  gsize max_columns[HT_TILE_MAX_BLOCKS]; /* for 1, 2... blocks */
  HtTileFunc run[HT_TILE_MAX_BLOCKS][HT_TILE_MAX_COLUMNS];
} HtBlockedTileKernels;

HT_ISA_DECLARE (HtBlockedTileKernels, ht_blocked_tile_kernels);
