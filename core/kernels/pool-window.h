/* SPDX-License-Identifier: MIT */
/* The part of a pooling window that lies inside the input, or inside the padding that counts. */
#pragma once

#include "kernels/pool.h"

/* Kernel positions [first, last) of an axis whose input position start + k * dilation lies in [0, size). */
static inline void
ht_pool_clip (gint64 start, gsize kernel, gsize dilation, gint64 size, gsize *first, gsize *last)
{
  gint64 step = (gint64)dilation;
  gint64 begin = start >= 0 ? 0 : (-start + step - 1) / step;
  gint64 end = start >= size ? 0 : (size - start + step - 1) / step;
  *first = (gsize)MIN (begin, (gint64)kernel);
  *last = (gsize)CLAMP (end, (gint64)*first, (gint64)kernel);
}

/* Where a window begins on one axis; it may be outside. */
static inline gint64
ht_pool_start (const HtConvGeometry *g, int axis, gsize out)
{
  return (gint64)(out * g->stride[axis]) - g->pad[axis];
}

/* How many positions of the window of an output count for the average on one axis. */
static inline gsize
ht_pool_count (const HtPoolGeometry *pool, int axis, gsize out)
{
  const HtConvGeometry *g = &pool->geometry;
  gint64 start = ht_pool_start (g, axis, out), low = 0, size = (gint64)g->in[axis];
  gsize first, last;

  if (pool->count_padding)
    {
      low = -g->pad[axis];
      size += (gint64)pool->pad_end[axis];
    }
  ht_pool_clip (start - low, g->kernel[axis], g->dilation[axis], size - low, &first, &last);
  return last - first;
}
