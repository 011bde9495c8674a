/* SPDX-License-Identifier: MIT */
/* What convolutions in the blocked layout and products with packed matrices have in common: sums over blocks of input
 * channels and kernel taps, cut into items for the pool and into register tiles. All strides are in floats. */
#pragma once

#include "kernels/blocked-tile.h"

/* A tile wants its columns one block apart. Where they are: */
typedef enum
{
  HT_PRODUCT_DIRECT,  /* in x */
  HT_PRODUCT_COLUMNS, /* in x, but x_column apart: copied into a buffer */
  HT_PRODUCT_WINDOW,  /* what the kernel reaches, within the image and beyond, is copied into the buffer */
  HT_PRODUCT_PLAIN,   /* the same from plain channels */
} HtProductInput;

typedef struct
{
  HtProductInput input;
  HtConvGeometry g; /* DIRECT and COLUMNS have all their positions on the last axis */
  gsize block;
  gsize in_blocks, last_lanes; /* of a group */
  gsize out_blocks;            /* of a group */
  gsize n_taps;
  gsize x_image, x_block, x_column;
  gsize y_image, y_block, y_column;
  gsize y_last_lanes; /* channels of a group's last block that exist in y */
  gsize tile_blocks;  /* of a register tile, at most; weights are packed by it */
  gsize n_tiles;      /* into which the output channels of a group fall */

  /* One item of the pool: so many positions of so many tiles. Follows from the shapes alone. */
  gsize tile_columns;
  gsize images, rows, columns, tiles;
  gsize n_images, n_rows, n_columns, n_ranges, n_items;
  gsize chunk; /* blocks of input channels that are summed at a time */
  /* The buffer of an item is [images][chunk][plane][row][column]. Rows and columns are sorted by their remainder of the
   * stride, so that neighbours in y are neighbours here. */
  gsize buffer_rows, buffer_columns; /* of one remainder */
  gsize row_floats, block_floats;
  gsize buffer_floats, partial_floats;
} HtProduct;

/* How output channels are cut into tiles for images of so many columns. */
void ht_product_choose_tiles (HtProduct *product, gsize columns);
/* Cuts the work; everything up to n_tiles is set. */
void ht_product_cut (HtProduct *product);

gsize ht_product_packed_floats (const HtProduct *product);
/* `out_channels`: of a group. */
void ht_product_pack (const HtProduct *product, gsize out_channels, const HtWeightOrder *order, float *packed);

gsize ht_product_slice (const HtProduct *product);
void ht_product_run (const HtProduct *product, const float *x, const float *packed, const HtEpilogue *e, float *y,
                     gpointer scratch, guint n_slices);
