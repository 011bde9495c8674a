/* SPDX-License-Identifier: MIT */
#include "kernels/im2col.h"

#include "kernels/vectorize.h"

#include <string.h>

/* Output positions [*first, *last) of an axis for which the input position lies inside. */
static void
valid_range (gint64 start, gint64 stride, gint64 in, gint64 out, gint64 *first, gint64 *last)
{
  *first = start >= 0 ? 0 : (-start + stride - 1) / stride;
  *last = start >= in ? 0 : (in - start + stride - 1) / stride;
  *last = MIN (*last, out);
  *first = MIN (*first, *last);
}

/* to[i] = the input row at start + i * stride, 0 outside, for i in [begin, end). */
static void
gather_row (const float *row, gint64 in, gint64 start, gint64 stride, gint64 begin, gint64 end, float *to)
{
  gint64 first, last;

  valid_range (start, stride, in, end, &first, &last);
  first = MAX (first, begin);
  last = MAX (last, first);
  if (last > end)
    last = end;
  if (first > end)
    first = last = end;
  for (gint64 i = begin; i < first; i++)
    *to++ = 0.0f;
  if (stride == 1)
    {
      if (last > first)
        memcpy (to, row + start + first, (gsize) (last - first) * sizeof (float));
      to += last - first;
    }
  else
    {
      const float *from = row + start + first * stride;
      for (gint64 i = first; i < last; i++, from += stride)
        *to++ = *from;
    }
  for (gint64 i = last; i < end; i++)
    *to++ = 0.0f;
}

static gint64
input_position (const HtConvGeometry *g, int axis, gsize out, gsize kernel)
{
  return (gint64) (out * g->stride[axis]) + (gint64) (kernel * g->dilation[axis]) - g->pad[axis];
}

/* One row of the matrix: all output positions in [begin, end) for one channel and kernel position. */
static void
gather_positions (const HtConvGeometry *g, const float *x, const gsize k[HT_CONV_AXES], gsize begin, gsize end,
                  float *to)
{
  gsize width = g->out[2];

  for (gsize position = begin; position < end;)
    {
      gsize row = position / width, column = position % width;
      gsize n = MIN (end - position, width - column);
      gint64 d = input_position (g, 0, row / g->out[1], k[0]);
      gint64 h = input_position (g, 1, row % g->out[1], k[1]);
      if (d < 0 || h < 0 || d >= (gint64) g->in[0] || h >= (gint64) g->in[1])
        memset (to, 0, n * sizeof (float));
      else
        gather_row (x + ((gsize) d * g->in[1] + (gsize) h) * g->in[2], (gint64) g->in[2],
                    input_position (g, 2, 0, k[2]), (gint64) g->stride[2], (gint64) column, (gint64) (column + n), to);
      to += n;
      position += n;
    }
}

void
ht_kernel_im2col (const HtConvGeometry *g, gsize channels, const float *x, gsize begin, gsize end, float *columns,
                  gsize ld)
{
  gsize volume = ht_conv_volume (g->in);
  gsize k[HT_CONV_AXES];

  for (gsize c = 0; c < channels; c++)
    for (k[0] = 0; k[0] < g->kernel[0]; k[0]++)
      for (k[1] = 0; k[1] < g->kernel[1]; k[1]++)
        for (k[2] = 0; k[2] < g->kernel[2]; k[2]++, columns += ld)
          gather_positions (g, x + c * volume, k, begin, end, columns);
}

HT_VECTORIZE static void
add_row (const float *from, float *to, gsize n)
{
  for (gsize i = 0; i < n; i++)
    to[i] += from[i];
}

static void
scatter_positions (const HtConvGeometry *g, float *y, const gsize k[HT_CONV_AXES], const float *from)
{
  gint64 start = input_position (g, 2, 0, k[2]), stride = (gint64) g->stride[2], first, last;

  valid_range (start, stride, (gint64) g->in[2], (gint64) g->out[2], &first, &last);
  for (gsize row = 0; row < g->out[0] * g->out[1]; row++, from += g->out[2])
    {
      gint64 d = input_position (g, 0, row / g->out[1], k[0]);
      gint64 h = input_position (g, 1, row % g->out[1], k[1]);
      if (d < 0 || h < 0 || d >= (gint64) g->in[0] || h >= (gint64) g->in[1] || first >= last)
        continue;
      float *to = y + ((gsize) d * g->in[1] + (gsize) h) * g->in[2] + (start + first * stride);
      if (stride == 1)
        add_row (from + first, to, (gsize) (last - first));
      else
        for (gint64 i = first; i < last; i++, to += stride)
          *to += from[i];
    }
}

void
ht_kernel_col2im (const HtConvGeometry *g, gsize channels, const float *columns, float *y)
{
  gsize volume = ht_conv_volume (g->in), positions = ht_conv_volume (g->out);
  gsize k[HT_CONV_AXES];

  for (gsize c = 0; c < channels; c++)
    for (k[0] = 0; k[0] < g->kernel[0]; k[0]++)
      for (k[1] = 0; k[1] < g->kernel[1]; k[1]++)
        for (k[2] = 0; k[2] < g->kernel[2]; k[2]++, columns += positions)
          scatter_positions (g, y + c * volume, k, columns);
}
