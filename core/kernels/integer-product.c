/* SPDX-License-Identifier: MIT */
#include "kernels/integer-product.h"

#include "base/thread-pool.h"
#include "kernels/vectorize.h"

#include <string.h>

/* Sums are unsigned, which wraps without undefined behaviour; a product of two 16-bit numbers always fits. */
static inline void
add_scaled (guint32 *restrict sum, const gint16 *restrict row, gsize n, gsize stride, gint32 factor)
{
  if (stride == 1)
    for (gsize i = 0; i < n; i++)
      sum[i] += (guint32)(factor * row[i]);
  else
    for (gsize i = 0; i < n; i++)
      sum[i] += (guint32)(factor * row[i * stride]);
}

typedef struct
{
  gsize n, k;
  const gint16 *a, *b;
  gint32 *c;
} Product;

#define COLUMNS ((gsize)512)

/* Four rows of b at once, so that the sums are loaded and stored a quarter as often. */
HT_VECTORIZE static void
product_row (const gint16 *a, const gint16 *b, guint32 *c, gsize n, gsize k)
{
  for (gsize first = 0; first < n; first += COLUMNS)
    {
      gsize width = MIN (COLUMNS, n - first), l = 0;
      guint32 sum[COLUMNS] = { 0 };
      for (; l + 4 <= k; l += 4)
        {
          const gint16 *b0 = b + l * n + first, *b1 = b0 + n, *b2 = b1 + n, *b3 = b2 + n;
          gint32 a0 = a[l], a1 = a[l + 1], a2 = a[l + 2], a3 = a[l + 3];
          for (gsize i = 0; i < width; i++)
            sum[i] += (guint32)(a0 * b0[i]) + (guint32)(a1 * b1[i]) + (guint32)(a2 * b2[i]) + (guint32)(a3 * b3[i]);
        }
      for (; l < k; l++)
        add_scaled (sum, b + l * n + first, width, 1, a[l]);
      memcpy (c + first, sum, width * sizeof *c);
    }
}

static void
run_rows (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Product *p = user_data;
  for (gsize row = begin; row < end; row++)
    product_row (p->a + row * p->k, p->b, (guint32 *)p->c + row * p->n, p->n, p->k);
}

static gsize
grain_for (gsize cost)
{
  return MAX (1, HT_KERNEL_GRAIN / MAX (cost, 1));
}

void
ht_kernel_integer_product (gsize m, gsize n, gsize k, const gint16 *a, const gint16 *b, gint32 *c)
{
  Product p = { n, k, a, b, c };
  ht_parallel_for (m, grain_for (n * MAX (k, 1)), run_rows, &p);
}

typedef struct
{
  const HtConvGeometry *geometry;
  const gint16 *x, *w;
  gint32 *y;
} Conv;

/* The output positions [*first, *last) whose input position for this kernel element is inside. */
static void
find_inside (const HtConvGeometry *g, int axis, gsize kernel, gsize *first, gsize *last)
{
  gint64 stride = (gint64)g->stride[axis], shift = (gint64)(kernel * g->dilation[axis]) - g->pad[axis];
  gint64 low = shift < 0 ? (-shift + stride - 1) / stride : 0;
  gint64 room = (gint64)g->in[axis] - shift;
  gint64 high = room > 0 ? (room + stride - 1) / stride : 0;
  *last = (gsize)MIN (high, (gint64)g->out[axis]);
  *first = MIN ((gsize)low, *last);
}

/* Adds what one kernel element contributes to one plane. */
static inline void
add_tap (const HtConvGeometry *g, const gint16 *x, guint32 *y, const gsize tap[HT_CONV_AXES], gint32 factor)
{
  gsize first[HT_CONV_AXES], last[HT_CONV_AXES];

  for (int axis = 0; axis < HT_CONV_AXES; axis++)
    find_inside (g, axis, tap[axis], &first[axis], &last[axis]);
  if (first[2] >= last[2])
    return;
  for (gsize z = first[0]; z < last[0]; z++)
    for (gsize row = first[1]; row < last[1]; row++)
      {
        gint64 in_z = (gint64)(z * g->stride[0] + tap[0] * g->dilation[0]) - g->pad[0];
        gint64 in_row = (gint64)(row * g->stride[1] + tap[1] * g->dilation[1]) - g->pad[1];
        gint64 in = (gint64)(first[2] * g->stride[2] + tap[2] * g->dilation[2]) - g->pad[2];
        const gint16 *from = x + ((gsize)in_z * g->in[1] + (gsize)in_row) * g->in[2] + in;
        add_scaled (y + (z * g->out[1] + row) * g->out[2] + first[2], from, last[2] - first[2], g->stride[2], factor);
      }
}

HT_VECTORIZE static void
conv_plane (const HtConvGeometry *g, const gint16 *x, const gint16 *w, guint32 *y, gsize channels)
{
  gsize in_plane = ht_conv_volume (g->in);

  memset (y, 0, ht_conv_volume (g->out) * sizeof *y);
  for (gsize c = 0; c < channels; c++, x += in_plane)
    for (gsize kz = 0; kz < g->kernel[0]; kz++)
      for (gsize ky = 0; ky < g->kernel[1]; ky++)
        for (gsize kx = 0; kx < g->kernel[2]; kx++)
          {
            const gsize tap[HT_CONV_AXES] = { kz, ky, kx };
            gint32 factor = *w++;
            if (factor != 0)
              add_tap (g, x, y, tap, factor);
          }
}

static void
run_planes (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Conv *conv = user_data;
  const HtConvGeometry *g = conv->geometry;
  gsize channels = g->in_channels / g->groups, out_channels = g->out_channels / g->groups;
  gsize in_plane = ht_conv_volume (g->in), out_plane = ht_conv_volume (g->out);

  for (gsize plane = begin; plane < end; plane++)
    {
      gsize image = plane / g->out_channels, o = plane % g->out_channels, group = o / out_channels;
      const gint16 *x = conv->x + (image * g->in_channels + group * channels) * in_plane;
      const gint16 *w = conv->w + o * channels * ht_conv_volume (g->kernel);
      conv_plane (g, x, w, (guint32 *)conv->y + plane * out_plane, channels);
    }
}

void
ht_kernel_integer_conv (const HtConvGeometry *geometry, const gint16 *x, const gint16 *w, gint32 *y)
{
  Conv conv = { geometry, x, w, y };
  gsize sums = geometry->in_channels / geometry->groups * ht_conv_volume (geometry->kernel);
  ht_parallel_for (geometry->batch * geometry->out_channels, grain_for (ht_conv_volume (geometry->out) * sums),
                   run_planes, &conv);
}
