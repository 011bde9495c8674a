/* SPDX-License-Identifier: MIT */
#include "kernels/blocked-pool-backward.h"

#include "kernels/epilogue.h"
#include "kernels/pool-window.h"

#include <string.h>

#define N HT_ISA_BLOCK

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

typedef struct
{
  gint64 start[HT_CONV_AXES];
  gsize first[HT_CONV_AXES], last[HT_CONV_AXES];
} Window;

static void
set_axis (const HtConvGeometry *g, int axis, gsize out, Window *window)
{
  window->start[axis] = ht_pool_start (g, axis, out);
  ht_pool_clip (window->start[axis], g->kernel[axis], g->dilation[axis], (gint64)g->in[axis], &window->first[axis],
                &window->last[axis]);
}

/* Runs the last argument for the input position `at` of every kernel position of a window, in order. */
#define FOR_WINDOW(g, window, ...)                                                                                     \
  do                                                                                                                   \
    {                                                                                                                  \
      for (gsize i_ = (window)->first[0]; i_ < (window)->last[0]; i_++)                                                \
        for (gsize j_ = (window)->first[1]; j_ < (window)->last[1]; j_++)                                              \
          {                                                                                                            \
            gint64 line_ = ((window)->start[0] + (gint64)(i_ * (g)->dilation[0])) * (gint64)(g)->in[1]                 \
                           + (window)->start[1] + (gint64)(j_ * (g)->dilation[1]);                                     \
            for (gsize k_ = (window)->first[2]; k_ < (window)->last[2]; k_++)                                          \
              {                                                                                                        \
                gsize at = (gsize)(line_ * (gint64)(g)->in[2] + (window)->start[2] + (gint64)(k_ * (g)->dilation[2])); \
                __VA_ARGS__;                                                                                           \
              }                                                                                                        \
          }                                                                                                            \
    }                                                                                                                  \
  while (0)

/* Runs the last argument for every window, in order; d, h and w are the output's coordinates. */
#define FOR_WINDOWS(g, window, ...)                                                                                    \
  do                                                                                                                   \
    {                                                                                                                  \
      for (gsize d = 0; d < (g)->out[0]; d++)                                                                          \
        {                                                                                                              \
          set_axis (g, 0, d, window);                                                                                  \
          for (gsize h = 0; h < (g)->out[1]; h++)                                                                      \
            {                                                                                                          \
              set_axis (g, 1, h, window);                                                                              \
              for (gsize w = 0; w < (g)->out[2]; w++)                                                                  \
                {                                                                                                      \
                  set_axis (g, 2, w, window);                                                                          \
                  __VA_ARGS__;                                                                                         \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
  while (0)

/* The first of the greatest; a NaN is, and stays. Lanes hold the place in `where`. */
HT_ALWAYS_INLINE void
take_greater (HtBlock x, gint32 place, gboolean any, HtBlock *best, HtBlockMask *where)
{
  HtBlockMask greater = (HtBlockMask){ 0 } - 1;

  if (any)
    greater = ~(x <= *best) & (*best == *best);
  *best = ht_block_select (greater, x, *best);
  *where = (greater & place) | (~greater & *where);
}

static void
max_pool (const HtPoolGeometry *pool, const float *x, const float *dy, float *dx)
{
  const HtConvGeometry *g = &pool->geometry;
  Window window;

  memset (dx, 0, ht_conv_volume (g->in) * N * sizeof (float));
  FOR_WINDOWS (g, &window, {
    HtBlock best = { 0.0f }, gradient = load (dy);
    HtBlockMask where = { 0 };
    gint32 place = 0;
    FOR_WINDOW (g, &window, {
      take_greater (load (x + at * N), place, place > 0, &best, &where);
      place++;
    });
    place = 0;
    FOR_WINDOW (g, &window, {
      HtBlock part = (HtBlock)((where == place) & (HtBlockMask)gradient);
      store (dx + at * N, load (dx + at * N) + part);
      place++;
    });
    dy += N;
  });
}

static void
average_pool (const HtPoolGeometry *pool, const float *dy, float *dx)
{
  const HtConvGeometry *g = &pool->geometry;
  Window window;

  memset (dx, 0, ht_conv_volume (g->in) * N * sizeof (float));
  FOR_WINDOWS (g, &window, {
    gsize count = ht_pool_count (pool, 0, d) * ht_pool_count (pool, 1, h) * ht_pool_count (pool, 2, w);
    HtBlock part = load (dy) / (float)MAX (count, 1);
    FOR_WINDOW (g, &window, store (dx + at * N, load (dx + at * N) + part));
    dy += N;
  });
}

static void
global_average (gsize positions, const float *dy, float *dx)
{
  HtBlock part = load (dy) / (float)positions;

  for (gsize p = 0; p < positions; p++)
    store (dx + p * N, part);
}

static void
global_max (gsize positions, const float *x, const float *dy, float *dx)
{
  HtBlock best = { 0.0f }, gradient = load (dy);
  HtBlockMask where = { 0 };

  for (gsize p = 0; p < positions; p++)
    take_greater (load (x + p * N), (gint32)p, p > 0, &best, &where);
  for (gsize p = 0; p < positions; p++)
    store (dx + p * N, (HtBlock)((where == (gint32)p) & (HtBlockMask)gradient));
}

const HtBlockedPoolBackwardKernels HT_ISA_NAME (ht_blocked_pool_backward_kernels)
    = { max_pool, average_pool, global_average, global_max };
