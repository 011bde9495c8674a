/* SPDX-License-Identifier: MIT */
#include "kernels/blocked-tile.h"

#include "kernels/epilogue.h"

/* What the sums are kept in: a register. */
#if defined(__AVX512F__) || defined(__AVX__)
#define WIDTH HT_ISA_BLOCK
#else
#define WIDTH 4
#endif
#define VECTORS (HT_ISA_BLOCK / WIDTH) /* of a block */

/* The registers that sums may take: all but a few for weights and one for x. */
#if defined(__AVX512F__)
#define MAX_SUMS 28
#else
#define MAX_SUMS 12
#endif

typedef float Vector __attribute__ ((vector_size (WIDTH * 4), aligned (WIDTH * 4), may_alias));

typedef float VectorUnaligned __attribute__ ((vector_size (WIDTH * 4), aligned (4), may_alias));

#define UNROLL _Pragma ("GCC unroll 64")

/* One input channel: p is its value in the first column, w its weights. */
HT_ALWAYS_INLINE void
add_channel (Vector *sums, const float *p, const float *w, const int columns, const int vectors)
{
  Vector weights[HT_TILE_MAX_BLOCKS * VECTORS];

  UNROLL for (int v = 0; v < vectors; v++) weights[v] = *(const Vector *)(gconstpointer)(w + v * WIDTH);
  UNROLL for (int c = 0; c < columns; c++)
  {
    float value = p[c * HT_ISA_BLOCK];
    UNROLL for (int v = 0; v < vectors; v++) sums[c * vectors + v] += weights[v] * value;
  }
}

/* From sums in memory to y. They hold the shift where there is no scale. */
static void __attribute__ ((noinline)) finish (const HtTile *tile, float *sums, gsize columns, gsize blocks)
{
  static const HtEpilogue none;
  const HtEpilogue *e = tile->e ? tile->e : &none;

  for (gsize b = 0; b < blocks; b++, sums += HT_ISA_BLOCK)
    {
      const float *scale = tile->scale ? tile->scale + b * HT_ISA_BLOCK : NULL;
      const float *shift = scale && tile->shift ? tile->shift + b * HT_ISA_BLOCK : NULL;
      const float *residual = tile->residual ? tile->residual + b * tile->y_block : NULL;
      float *y = tile->y + b * tile->y_block;
      gsize lanes = b + 1 < blocks ? HT_ISA_BLOCK : tile->y_last_lanes, step = blocks * HT_ISA_BLOCK;
      if (lanes == HT_ISA_BLOCK && ht_epilogue_is_of_codes (e))
        {
          ht_block_finish_codes (sums, step, columns, scale, shift, e->grid, y, tile->y_column);
          continue;
        }
      if (lanes == HT_ISA_BLOCK)
        {
          ht_block_finish_all (sums, step, columns, scale, shift, residual, e, y, tile->y_column);
          continue;
        }
      for (gsize c = 0; c < columns; c++, y += tile->y_column)
        {
          HtBlock sum = *(const HtBlock *)(gconstpointer)(sums + c * step), addend = { 0.0f };
          if (residual)
            for (gsize lane = 0; lane < lanes; lane++)
              addend[lane] = residual[c * tile->y_column + lane];
          sum = ht_block_finish (sum, scale, shift, residual ? (const float *)&addend : NULL, e);
          for (gsize lane = 0; lane < lanes; lane++)
            y[lane] = sum[lane];
        }
    }
}

#if VECTORS == 1
/* From registers to y. */
HT_ALWAYS_INLINE void
store (const HtTile *tile, const HtBlock *sums, const int columns, const int blocks, const gboolean relu)
{
  gsize y_column = tile->y_column, y_block = tile->y_block;
  float *y = tile->y;

  UNROLL for (int b = 0; b < blocks; b++) UNROLL for (int c = 0; c < columns; c++)
  {
    HtBlock sum = sums[c * blocks + b];
    *(HtBlockUnaligned *)(gpointer)(y + b * y_block + c * y_column) = relu ? ht_block_relu (sum) : sum;
  }
}
#endif

HT_ALWAYS_INLINE void
run (const HtTile *tile, const int columns, const int blocks)
{
  const int vectors = blocks * VECTORS, n_sums = columns * vectors;
  Vector sums[MAX_SUMS];
  const float *x = tile->x, *w = tile->w;

  UNROLL for (int i = 0; i < n_sums; i++) sums[i] = (Vector){ 0.0f };
  for (gsize block = 1; block <= tile->n_blocks; block++, x += tile->x_block)
    {
      gsize lanes = block < tile->n_blocks ? HT_ISA_BLOCK : tile->last_lanes;
      for (gsize tap = 0; tap < tile->n_taps; tap++)
        {
          const float *p = x + tile->taps[tap], *end = p + lanes;
          for (; p + 4 <= end; p += 4, w += 4 * vectors * WIDTH)
            UNROLL for (int lane = 0; lane < 4; lane++)
                add_channel (sums, p + lane, w + lane * vectors * WIDTH, columns, vectors);
          if (p + 3 == end) /* the colours of a first layer */
            {
              UNROLL for (int lane = 0; lane < 3; lane++)
                  add_channel (sums, p + lane, w + lane * vectors * WIDTH, columns, vectors);
              w += 3 * vectors * WIDTH;
              continue;
            }
          for (; p < end; p++, w += vectors * WIDTH)
            add_channel (sums, p, w, columns, vectors);
        }
    }

  if (tile->begin)
    UNROLL for (int i = 0; i < n_sums; i++) sums[i] += *(const Vector *)(gconstpointer)(tile->begin + i * WIDTH);
  if (tile->partial)
    {
      UNROLL for (int i = 0; i < n_sums; i++) * (Vector *)(gpointer)(tile->partial + i * WIDTH) = sums[i];
      return;
    }
  if (tile->shift && !tile->scale)
    UNROLL for (int i = 0; i < n_sums; i++) sums[i]
        += *(const VectorUnaligned *)(gconstpointer)(tile->shift + i % vectors * WIDTH);
#if VECTORS == 1
  HtFinish how = tile->y_last_lanes == HT_ISA_BLOCK ? ht_epilogue_get_finish (tile->e) : HT_FINISH_OTHER;
  if (how != HT_FINISH_OTHER)
    {
      if (how == HT_FINISH_RELU)
        store (tile, sums, columns, blocks, TRUE);
      else
        store (tile, sums, columns, blocks, FALSE);
      return;
    }
#endif
  Vector memory[MAX_SUMS] __attribute__ ((aligned (HT_ISA_BLOCK * 4)));
  UNROLL for (int i = 0; i < n_sums; i++) memory[i] = sums[i];
  finish (tile, (float *)memory, columns, blocks);
}

/* One function for each size of tile that fits the registers. */
#define TILE(columns, blocks)                                                                                          \
  static void run_##columns##_##blocks (const HtTile *tile) { run (tile, columns, blocks); }
#define UP_TO_3(D, b)  D (1, b) D (2, b) D (3, b)
#define UP_TO_4(D, b)  UP_TO_3 (D, b) D (4, b)
#define UP_TO_6(D, b)  UP_TO_4 (D, b) D (5, b) D (6, b)
#define UP_TO_7(D, b)  UP_TO_6 (D, b) D (7, b)
#define UP_TO_9(D, b)  UP_TO_7 (D, b) D (8, b) D (9, b)
#define UP_TO_12(D, b) UP_TO_9 (D, b) D (10, b) D (11, b) D (12, b)
#define UP_TO_14(D, b) UP_TO_12 (D, b) D (13, b) D (14, b)
#define UP_TO_28(D, b)                                                                                                 \
  UP_TO_14 (D, b)                                                                                                      \
  D (15, b)                                                                                                            \
  D (16, b)                                                                                                            \
  D (17, b)                                                                                                            \
  D (18, b) D (19, b) D (20, b) D (21, b) D (22, b) D (23, b) D (24, b) D (25, b) D (26, b) D (27, b) D (28, b)
#define ENTRY(columns, blocks) run_##columns##_##blocks,

#if defined(__AVX512F__)
UP_TO_28 (TILE, 1)
UP_TO_14 (TILE, 2)
UP_TO_9 (TILE, 3)
UP_TO_7 (TILE, 4)
const HtBlockedTileKernels HT_ISA_NAME (ht_blocked_tile_kernels) = {
  4,
  { 28, 14, 9, 7 },
  { { UP_TO_28 (ENTRY, 1) }, { UP_TO_14 (ENTRY, 2) }, { UP_TO_9 (ENTRY, 3) }, { UP_TO_7 (ENTRY, 4) } },
};
#elif VECTORS == 1
UP_TO_12 (TILE, 1)
UP_TO_6 (TILE, 2)
UP_TO_4 (TILE, 3)
const HtBlockedTileKernels HT_ISA_NAME (ht_blocked_tile_kernels) = {
  3,
  { 12, 6, 4 },
  { { UP_TO_12 (ENTRY, 1) }, { UP_TO_6 (ENTRY, 2) }, { UP_TO_4 (ENTRY, 3) } },
};
#else
UP_TO_6 (TILE, 1)
UP_TO_3 (TILE, 2)
const HtBlockedTileKernels HT_ISA_NAME (ht_blocked_tile_kernels) = {
  2,
  { 6, 3 },
  { { UP_TO_6 (ENTRY, 1) }, { UP_TO_3 (ENTRY, 2) } },
};
#endif
