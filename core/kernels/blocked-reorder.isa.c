/* SPDX-License-Identifier: MIT */
/* Squares of a block of channels by as many positions are transposed in registers. What is left at the end of a run is
 * part of one more square that overlaps the last. */
#include "kernels/blocked-reorder.h"
#include "kernels/epilogue.h"

#define N HT_ISA_BLOCK

/* Pairs of lanes, then pairs of pairs, inside each group of four; then groups. */
#if HT_ISA_BLOCK == 16
#define SHUFFLE(a, b, ...)    __builtin_shufflevector (a, b, __VA_ARGS__)
#define INTERLEAVE_LOW(a, b)  SHUFFLE (a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define INTERLEAVE_HIGH(a, b) SHUFFLE (a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define PAIRS_LOW(a, b)       SHUFFLE (a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define PAIRS_HIGH(a, b)      SHUFFLE (a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#define GROUPS_EVEN(a, b)     SHUFFLE (a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
#define GROUPS_ODD(a, b)      SHUFFLE (a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)
#else
#define SHUFFLE(a, b, ...)    __builtin_shufflevector (a, b, __VA_ARGS__)
#define INTERLEAVE_LOW(a, b)  SHUFFLE (a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define INTERLEAVE_HIGH(a, b) SHUFFLE (a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define PAIRS_LOW(a, b)       SHUFFLE (a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define PAIRS_HIGH(a, b)      SHUFFLE (a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define GROUPS_EVEN(a, b)     SHUFFLE (a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define GROUPS_ODD(a, b)      SHUFFLE (a, b, 4, 5, 6, 7, 12, 13, 14, 15)
#endif

HT_ALWAYS_INLINE void
transpose (HtBlock r[N])
{
  HtBlock t[N];

  for (int i = 0; i < N; i += 4)
    {
      HtBlock a = INTERLEAVE_LOW (r[i], r[i + 1]), b = INTERLEAVE_HIGH (r[i], r[i + 1]);
      HtBlock c = INTERLEAVE_LOW (r[i + 2], r[i + 3]), d = INTERLEAVE_HIGH (r[i + 2], r[i + 3]);
      t[i] = PAIRS_LOW (a, c);
      t[i + 1] = PAIRS_HIGH (a, c);
      t[i + 2] = PAIRS_LOW (b, d);
      t[i + 3] = PAIRS_HIGH (b, d);
    }
    /* Group g of t[4 q + i] holds column 4 g + i of rows 4 q to 4 q + 3. */
#if HT_ISA_BLOCK == 16
  for (int i = 0; i < 4; i++)
    {
      HtBlock a = GROUPS_EVEN (t[i], t[4 + i]), b = GROUPS_EVEN (t[8 + i], t[12 + i]);
      HtBlock c = GROUPS_ODD (t[i], t[4 + i]), d = GROUPS_ODD (t[8 + i], t[12 + i]);
      r[i] = GROUPS_EVEN (a, b);
      r[4 + i] = GROUPS_EVEN (c, d);
      r[8 + i] = GROUPS_ODD (a, b);
      r[12 + i] = GROUPS_ODD (c, d);
    }
#else
  for (int i = 0; i < 4; i++)
    {
      r[i] = GROUPS_EVEN (t[i], t[4 + i]);
      r[4 + i] = GROUPS_ODD (t[i], t[4 + i]);
    }
#endif
}

HT_ALWAYS_INLINE void
square_from_plain (gsize n_channels, gsize positions, const float *x, float *y, const HtGrid *grid)
{
  HtBlock r[N];

  for (gsize c = 0; c < N; c++)
    r[c]
        = c < n_channels ? (HtBlock) * (const HtBlockUnaligned *)(gconstpointer)(x + c * positions) : (HtBlock){ 0.0f };
  transpose (r);
  for (gsize p = 0; p < N; p++)
    *(HtBlock *)(gpointer)(y + p * N) = grid ? ht_block_quantize (r[p], grid) : r[p];
}

HT_ALWAYS_INLINE void
square_to_plain (gsize n_channels, gsize positions, const float *x, float *y, const HtGrid *grid)
{
  HtBlock r[N];

  for (gsize p = 0; p < N; p++)
    {
      r[p] = *(const HtBlock *)(gconstpointer)(x + p * N);
      if (grid)
        r[p] = ht_block_quantize (r[p], grid);
    }
  transpose (r);
  for (gsize c = 0; c < N; c++)
    if (c < n_channels)
      *(HtBlockUnaligned *)(gpointer)(y + c * positions) = r[c];
}

/* Fewer positions than a square has. */
static void
few_from_plain (gsize n_channels, gsize positions, const float *x, float *y, const HtGrid *grid)
{
  for (gsize p = 0; p < positions; p++)
    {
      float lanes[N] __attribute__ ((aligned (64))) = { 0.0f };
      for (gsize c = 0; c < n_channels; c++)
        lanes[c] = x[c * positions + p];
      HtBlock v = *(const HtBlock *)(gconstpointer)lanes;
      *(HtBlock *)(gpointer)(y + p * N) = grid ? ht_block_quantize (v, grid) : v;
    }
}

static void
few_to_plain (gsize n_channels, gsize positions, const float *x, float *y, const HtGrid *grid)
{
  for (gsize p = 0; p < positions; p++)
    {
      float lanes[N] __attribute__ ((aligned (64)));
      HtBlock v = *(const HtBlock *)(gconstpointer)(x + p * N);
      *(HtBlock *)(gpointer)lanes = grid ? ht_block_quantize (v, grid) : v;
      for (gsize c = 0; c < n_channels; c++)
        y[c * positions + p] = lanes[c];
    }
}

static inline gsize
next_square (gsize p, gsize end)
{
  return p + N == end ? end : MIN (p + N, end - N);
}

static void
from_plain (gsize n_channels, gsize positions, gsize begin, gsize end, const float *x, float *y, const HtEpilogue *e)
{
  const HtGrid *grid = e ? e->grid : NULL;
  gsize p = begin;

  if (end - begin < N)
    few_from_plain (n_channels, positions, x, y, grid);
  else if (n_channels == N && grid == NULL)
    for (; p < end; p = next_square (p, end))
      square_from_plain (N, positions, x + p, y + p * N, NULL);
  else
    for (; p < end; p = next_square (p, end))
      square_from_plain (n_channels, positions, x + p, y + p * N, grid);
}

static void
to_plain (gsize n_channels, gsize positions, gsize begin, gsize end, const float *x, float *y, const HtEpilogue *e)
{
  const HtGrid *grid = e ? e->grid : NULL;
  gsize p = begin;

  if (end - begin < N)
    few_to_plain (n_channels, positions, x, y, grid);
  else if (n_channels == N && grid == NULL)
    for (; p < end; p = next_square (p, end))
      square_to_plain (N, positions, x + p * N, y + p, NULL);
  else
    for (; p < end; p = next_square (p, end))
      square_to_plain (n_channels, positions, x + p * N, y + p, grid);
}

static void
from_rows (const float *const *rows, gsize begin, gsize end, float *y)
{
  gsize p = begin;

  for (; end - begin < N && p < end; p++)
    for (gsize c = 0; c < N; c++)
      y[p * N + c] = rows[c] ? rows[c][p] : 0.0f;
  for (; p < end; p = next_square (p, end))
    {
      HtBlock r[N];
      for (gsize c = 0; c < N; c++)
        r[c] = rows[c] ? (HtBlock) * (const HtBlockUnaligned *)(gconstpointer)(rows[c] + p) : (HtBlock){ 0.0f };
      transpose (r);
      for (gsize i = 0; i < N; i++)
        *(HtBlock *)(gpointer)(y + (p + i) * N) = r[i];
    }
}

const HtBlockedReorderKernels HT_ISA_NAME (ht_blocked_reorder_kernels) = { from_plain, to_plain, from_rows };
