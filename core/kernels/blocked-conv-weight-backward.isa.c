/* SPDX-License-Identifier: MIT */
/* A tile of the weight gradient stays in registers while the kernel goes over positions: some input channels times some
 * blocks of output channels. Each position costs a load for each block of dy and a broadcast for each input channel. */
#include "kernels/blocked-conv-weight-backward.h"
#include "kernels/epilogue.h"
#include "kernels/pool-window.h"

#define N HT_ISA_BLOCK

/* Input channels of a tile, so that tile, dy and one value of x fill the registers: 32, or 16, or half as many where a
 * block needs two. */
#if HT_ISA_BLOCK == 16
#define LANES_3 8
#define LANES_2 8
#define LANES_1 16
#elif defined(__AVX2__)
#define LANES_3 4
#define LANES_2 4
#define LANES_1 8
#else
#define LANES_3 1
#define LANES_2 2
#define LANES_1 4
#endif

HT_ALWAYS_INLINE HtBlock
load (const float *x)
{
  return *(const HtBlock *)(gconstpointer)x;
}

HT_ALWAYS_INLINE void
store (float *y, HtBlock v)
{
  *(HtBlock *)(gpointer)y = v;
}

/* One row: x moves by `step` floats from position to position. */
HT_ALWAYS_INLINE void
accumulate_row (HtBlock *tile, gsize width, const float *x, gsize step, const gsize *offsets, const float *dy,
                gsize dy_block, const int lanes, const int blocks)
{
  for (gsize w = 0; w < width; w++, x += step, dy += N)
    {
      HtBlock d[HT_WEIGHT_BLOCKS];
#pragma GCC unroll 4
      for (int b = 0; b < blocks; b++)
        d[b] = load (dy + (gsize)b * dy_block);
#pragma GCC unroll 16
      for (int i = 0; i < lanes; i++)
        {
          float value = x[offsets ? offsets[i] : (gsize)i];
#pragma GCC unroll 4
          for (int b = 0; b < blocks; b++)
            tile[i * blocks + b] += d[b] * value;
        }
    }
}

/* Calls BODY for every row of the tile whose input row at the kernel position is inside, with x_row and dy_row there.
 */
#define FOR_ROWS(t, BODY)                                                                                              \
  do                                                                                                                   \
    {                                                                                                                  \
      const HtConvGeometry *g_ = t->g;                                                                                 \
      gsize rows_ = g_->out[0] * g_->out[1];                                                                           \
      gsize image_ = t->begin / rows_, d_ = t->begin % rows_ / g_->out[1], h_ = t->begin % g_->out[1];                 \
      for (gsize row_ = t->begin; row_ < t->end; row_++)                                                               \
        {                                                                                                              \
          gint64 id_ = (gint64)(d_ * g_->stride[0] + t->tap[0] * g_->dilation[0]) - g_->pad[0];                        \
          gint64 ih_ = (gint64)(h_ * g_->stride[1] + t->tap[1] * g_->dilation[1]) - g_->pad[1];                        \
          if (id_ >= 0 && id_ < (gint64)g_->in[0] && ih_ >= 0 && ih_ < (gint64)g_->in[1])                              \
            {                                                                                                          \
              const float *x_row = t->x + image_ * t->x_image + ((gsize)id_ * g_->in[1] + (gsize)ih_) * g_->in[2] * N; \
              const float *dy_row = t->dy + image_ * t->dy_image + (d_ * g_->out[1] + h_) * g_->out[2] * N;            \
              BODY;                                                                                                    \
            }                                                                                                          \
          if (++h_ == g_->out[1])                                                                                      \
            {                                                                                                          \
              h_ = 0;                                                                                                  \
              if (++d_ == g_->out[0])                                                                                  \
                {                                                                                                      \
                  d_ = 0;                                                                                              \
                  image_++;                                                                                            \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
  while (0)

/* Outputs of the innermost axis whose input at a kernel position is inside. */
HT_ALWAYS_INLINE void
clip_columns (const HtConvGeometry *g, gsize tap, gsize *first, gsize *last)
{
  ht_pool_clip ((gint64)(tap * g->dilation[2]) - g->pad[2], g->out[2], g->stride[2], (gint64)g->in[2], first, last);
}

HT_ALWAYS_INLINE void
blocked_tile (const HtWeightTile *t, float *dw, gsize dw_block, const int lanes, const int blocks)
{
  const HtConvGeometry *g = t->g;
  gsize first, last;

  clip_columns (g, t->tap[2], &first, &last);
  gssize column = (gssize)(first * g->stride[2] + t->tap[2] * g->dilation[2]) - (gssize)g->pad[2];
  for (gsize lane = 0; lane < N; lane += (gsize)lanes, dw += lanes * N)
    {
      HtBlock tile[24];
#pragma GCC unroll 24
      for (int i = 0; i < lanes * blocks; i++)
        tile[i] = t->add ? load (dw + (i / blocks) * N + (gsize)(i % blocks) * dw_block) : (HtBlock){ 0.0f };
      FOR_ROWS (t, accumulate_row (tile, last - first, x_row + column * N + lane, g->stride[2] * N, NULL,
                                   dy_row + first * N, t->dy_block, lanes, blocks));
#pragma GCC unroll 24
      for (int i = 0; i < lanes * blocks; i++)
        store (dw + (i / blocks) * N + (gsize)(i % blocks) * dw_block, tile[i]);
    }
}

HT_ALWAYS_INLINE void
plain_tile (const HtWeightPlainTile *t, float *dw, gsize dw_block, const int lanes, const int blocks)
{
  for (int tap = 0; tap < HT_WEIGHT_TAPS; tap += lanes, dw += lanes * N)
    {
      HtBlock tile[24];
#pragma GCC unroll 24
      for (int i = 0; i < lanes * blocks; i++)
        tile[i] = t->add ? load (dw + (i / blocks) * N + (gsize)(i % blocks) * dw_block) : (HtBlock){ 0.0f };
      for (gsize row = 0; row < t->n_rows; row++)
        accumulate_row (tile, t->width, t->x + row * t->x_row, t->x_step, t->offsets + tap, t->dy + row * t->width * N,
                        t->dy_block, lanes, blocks);
#pragma GCC unroll 24
      for (int i = 0; i < lanes * blocks; i++)
        store (dw + (i / blocks) * N + (gsize)(i % blocks) * dw_block, tile[i]);
    }
}

#define DEFINE_TILES(BLOCKS, LANES)                                                                                    \
  static void blocked_##BLOCKS (const HtWeightTile *tile, float *dw, gsize dw_block)                                   \
  {                                                                                                                    \
    blocked_tile (tile, dw, dw_block, LANES, BLOCKS);                                                                  \
  }                                                                                                                    \
  static void plain_##BLOCKS (const HtWeightPlainTile *tile, float *dw, gsize dw_block)                                \
  {                                                                                                                    \
    plain_tile (tile, dw, dw_block, MIN (LANES, HT_WEIGHT_TAPS), BLOCKS);                                              \
  }

DEFINE_TILES (1, LANES_1)
DEFINE_TILES (2, LANES_2)
DEFINE_TILES (3, LANES_3)

/* Columns where all taps of a group are inside go together, the others tap by tap. */
HT_ALWAYS_INLINE void
depthwise_taps (const HtWeightTile *t, gsize tap, float *dw, const int n_taps)
{
  const HtConvGeometry *g = t->g;
  gsize first[4], last[4], common_first = 0, common_last = g->out[2], step = g->stride[2] * N;
  gssize column[4];
  HtBlock sums[4];

  for (int i = 0; i < n_taps; i++)
    {
      clip_columns (g, tap + (gsize)i, &first[i], &last[i]);
      column[i] = ((gssize)((tap + (gsize)i) * g->dilation[2]) - (gssize)g->pad[2]) * N;
      common_first = MAX (common_first, first[i]);
      common_last = MIN (common_last, last[i]);
      sums[i] = t->add ? load (dw + i * N) : (HtBlock){ 0.0f };
    }
  common_last = MAX (common_last, common_first);
  FOR_ROWS (t, {
    for (gsize w = common_first; w < common_last; w++)
      {
        HtBlock d = load (dy_row + w * N);
#pragma GCC unroll 4
        for (int i = 0; i < n_taps; i++)
          sums[i] += d * load (x_row + (gssize)(w * step) + column[i]);
      }
    for (int i = 0; i < n_taps; i++)
      {
        for (gsize w = first[i]; w < MIN (common_first, last[i]); w++)
          sums[i] += load (dy_row + w * N) * load (x_row + (gssize)(w * step) + column[i]);
        for (gsize w = MAX (common_last, first[i]); w < last[i]; w++)
          sums[i] += load (dy_row + w * N) * load (x_row + (gssize)(w * step) + column[i]);
      }
  });
  for (int i = 0; i < n_taps; i++)
    store (dw + i * N, sums[i]);
}

static void
depthwise (const HtWeightTile *tile, float *dw)
{
  gsize tap = 0, n = tile->g->kernel[2];

  for (; tap + 4 <= n && n != 5; tap += 4)
    depthwise_taps (tile, tap, dw + tap * N, 4);
  for (; tap + 3 <= n; tap += 3)
    depthwise_taps (tile, tap, dw + tap * N, 3);
  for (; tap + 2 <= n; tap += 2)
    depthwise_taps (tile, tap, dw + tap * N, 2);
  for (; tap < n; tap++)
    depthwise_taps (tile, tap, dw + tap * N, 1);
}

static void
add (gsize n, const float *x, float *sum)
{
  for (gsize i = 0; i < n; i += N)
    store (sum + i, load (sum + i) + load (x + i));
}

const HtBlockedConvWeightKernels HT_ISA_NAME (ht_blocked_conv_weight_kernels)
    = { { blocked_1, blocked_2, blocked_3 }, { plain_1, plain_2, plain_3 }, depthwise, add };
