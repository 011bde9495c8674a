/* SPDX-License-Identifier: MIT */
#include "kernels/attention-rows.h"

#include "kernels/epilogue.h"

#include <math.h>
#include <string.h>

#define UNROLL _Pragma ("GCC unroll 16")

/* A tile of sums fits the registers. */
#define TILE_ROWS 6
#if defined(__AVX512F__)
#define TILE_BLOCKS 4
#elif defined(__AVX__)
#define TILE_BLOCKS 2
#else
#define TILE_BLOCKS 1
#endif

static gsize
fill_up (gsize n)
{
  return (n + HT_ISA_BLOCK - 1) / HT_ISA_BLOCK * HT_ISA_BLOCK;
}

static void
pack (gboolean transposed, gsize n, gsize d, const float *x, gsize ldx, float *packed)
{
  gsize width = fill_up (n);

  for (gsize i = 0; transposed && i < d; i++)
    {
      memcpy (packed + i * width, x + i * ldx, n * sizeof (float));
      memset (packed + i * width + n, 0, (width - n) * sizeof (float));
    }
  for (gsize j = 0; !transposed && j < n; j += HT_ISA_BLOCK)
    for (gsize i = 0; i < d; i++)
      {
        HtBlock column = { 0.0f };
        if (j + HT_ISA_BLOCK <= n)
          UNROLL for (gsize lane = 0; lane < HT_ISA_BLOCK; lane++) column[lane] = x[(j + lane) * ldx + i];
        else
          for (gsize lane = 0; j + lane < n; lane++)
            column[lane] = x[(j + lane) * ldx + i];
        *(HtBlock *)(gpointer)(packed + i * width + j) = column;
      }
}

/* c = a b of a tile; rows of b and c are whole blocks. */
HT_ALWAYS_INLINE void
multiply_tile (const int rows, const int blocks, gsize depth, const float *a, gsize lda, const float *b, gsize ldb,
               float *c, gsize ldc)
{
  HtBlock sums[TILE_ROWS * TILE_BLOCKS];

  UNROLL for (int r = 0; r < rows; r++) UNROLL for (int j = 0; j < blocks; j++) sums[r * blocks + j]
      = (HtBlock){ 0.0f };
  for (gsize i = 0; i < depth; i++, b += ldb)
    {
      HtBlock line[TILE_BLOCKS];
      UNROLL for (int j = 0; j < blocks; j++) line[j] = *(const HtBlock *)(gconstpointer)(b + j * HT_ISA_BLOCK);
      UNROLL for (int r = 0; r < rows; r++)
      {
        float value = a[(gsize)r * lda + i];
        UNROLL for (int j = 0; j < blocks; j++) sums[r * blocks + j] += line[j] * value;
      }
    }
  UNROLL for (int r = 0; r < rows; r++) UNROLL for (int j = 0; j < blocks; j++)
      * (HtBlock *)(gpointer)(c + (gsize)r * ldc + j * HT_ISA_BLOCK)
      = sums[r * blocks + j];
}

#define ROWS_CASE(r, blocks)                                                                                           \
  case r:                                                                                                              \
    multiply_tile (r, blocks, depth, a, lda, b, ldb, c, ldc);                                                          \
    break;
#define DEFINE_MULTIPLY(blocks)                                                                                        \
  static void multiply_##blocks (gsize rows, gsize depth, const float *a, gsize lda, const float *b, gsize ldb,        \
                                 float *c, gsize ldc)                                                                  \
  {                                                                                                                    \
    switch (rows)                                                                                                      \
      {                                                                                                                \
        ROWS_CASE (1, blocks)                                                                                          \
        ROWS_CASE (2, blocks)                                                                                          \
        ROWS_CASE (3, blocks)                                                                                          \
        ROWS_CASE (4, blocks)                                                                                          \
        ROWS_CASE (5, blocks)                                                                                          \
        ROWS_CASE (6, blocks)                                                                                          \
      default:                                                                                                         \
        break;                                                                                                         \
      }                                                                                                                \
  }
DEFINE_MULTIPLY (1)
#if TILE_BLOCKS > 1
DEFINE_MULTIPLY (2)
#endif
#if TILE_BLOCKS > 2
DEFINE_MULTIPLY (3)
DEFINE_MULTIPLY (4)
#endif

typedef void (*Multiply) (gsize rows, gsize depth, const float *a, gsize lda, const float *b, gsize ldb, float *c,
                          gsize ldc);
static const Multiply multiplies[TILE_BLOCKS] = {
  multiply_1,
#if TILE_BLOCKS > 1
  multiply_2,
#endif
#if TILE_BLOCKS > 2
  multiply_3,
  multiply_4,
#endif
};

/* c [m][width] = a [m][depth] b [depth][width] */
static void
multiply (gsize m, gsize width, gsize depth, const float *a, gsize lda, const float *b, float *c)
{
  gsize n_blocks = width / HT_ISA_BLOCK, n_tiles = (n_blocks + TILE_BLOCKS - 1) / TILE_BLOCKS;

  for (gsize tile = 0; tile < n_tiles; tile++)
    {
      gsize begin = tile * n_blocks / n_tiles, blocks = (tile + 1) * n_blocks / n_tiles - begin;
      gsize column = begin * HT_ISA_BLOCK;
      for (gsize row = 0; row < m; row += TILE_ROWS)
        multiplies[blocks - 1](MIN (m - row, TILE_ROWS), depth, a + row * lda, lda, b + column, width,
                               c + row * width + column, width);
    }
}

/* exp (scale * (x - the largest)) in place; returns the sum. What is filled up stays out of both. */
static float
exponentiate (float *x, gsize n, float scale)
{
  gsize last = (n - 1) / HT_ISA_BLOCK * HT_ISA_BLOCK;
  HtBlock top = ht_block_set (-INFINITY), sum = { 0.0f }, tail = ht_block_set (-INFINITY);
  float most = -INFINITY, total = 0.0f;

  for (gsize i = 0; i < last; i += HT_ISA_BLOCK)
    top = ht_block_max (top, *(HtBlock *)(gpointer)(x + i) * scale);
  for (gsize lane = 0; last + lane < n; lane++)
    tail[lane] = x[last + lane] * scale;
  top = ht_block_max (top, tail);
  UNROLL for (int lane = 0; lane < HT_ISA_BLOCK; lane++) most = top[lane] > most ? top[lane] : most;
  for (gsize i = 0; i < last; i += HT_ISA_BLOCK)
    {
      HtBlock p = ht_block_exp (*(HtBlock *)(gpointer)(x + i) * scale - most);
      *(HtBlock *)(gpointer)(x + i) = p;
      sum += p;
    }
  tail = ht_block_exp (tail - most);
  for (gsize lane = n - last; lane < HT_ISA_BLOCK; lane++)
    tail[lane] = 0.0f;
  *(HtBlock *)(gpointer)(x + last) = tail;
  sum += tail;
  UNROLL for (int lane = 0; lane < HT_ISA_BLOCK; lane++) total += sum[lane];
  return total;
}

static void
rows (const HtAttention *attention, gsize m, const float *q, const float *k, const float *v, float *probabilities,
      float *sums, float *y)
{
  gsize width = fill_up (attention->n), out = fill_up (attention->e);

  multiply (m, width, attention->d, q, attention->ldq, k, probabilities);
  float totals[HT_ATTENTION_ROWS];
  for (gsize row = 0; row < m; row++)
    totals[row] = exponentiate (probabilities + row * width, attention->n, attention->scale);
  multiply (m, out, attention->n, probabilities, width, v, sums);
  for (gsize row = 0; row < m; row++, y += attention->ldy, sums += out)
    {
      float inverse = 1.0f / totals[row];
      for (gsize i = 0; i < attention->e; i++)
        y[i] = sums[i] * inverse;
    }
}

const HtAttentionRowsKernels HT_ISA_NAME (ht_attention_rows_kernels) = { pack, rows };
