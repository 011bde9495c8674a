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

/* Short rows are copied in whole vectors, since a call to memcpy() each would cost more than the copy. */
#define LANES 16
typedef float Lanes __attribute__ ((vector_size (LANES * sizeof (float)), aligned (sizeof (float)), may_alias));

/* Where more than asked for may be read and written: what lies behind a row is written later. */
typedef struct
{
  const float *end; /* of what may be read; NULL: write exactly */
} Slack;

typedef float HalfLanes __attribute__ ((vector_size (LANES / 2 * sizeof (float)), aligned (sizeof (float)), may_alias));
typedef float QuarterLanes
    __attribute__ ((vector_size (LANES / 4 * sizeof (float)), aligned (sizeof (float)), may_alias));

/* The first and the last vector of a short row cover it, and may overlap. */
#define COPY_ENDS(type, lanes)                                                                                         \
  {                                                                                                                    \
    *(type *)to = *(const type *)from;                                                                                 \
    *(type *)(to + n - (lanes)) = *(const type *)(from + n - (lanes));                                                 \
  }

static inline void
copy_exactly (const float *from, gsize n, float *to)
{
  if (n > 2 * LANES)
    memcpy (to, from, n * sizeof (float));
  else if (n >= LANES)
    COPY_ENDS (Lanes, LANES)
  else if (n >= LANES / 2)
    COPY_ENDS (HalfLanes, LANES / 2)
  else if (n >= LANES / 4)
    COPY_ENDS (QuarterLanes, LANES / 4)
  else
    for (gsize i = 0; i < n; i++)
      to[i] = from[i];
}

static inline void
clear_row (float *to, gsize n)
{
  static const float zeros[2 * LANES];

  if (n > 2 * LANES)
    memset (to, 0, n * sizeof (float));
  else
    copy_exactly (zeros, n, to);
}

static inline void
copy_row (const float *from, gsize n, float *to, Slack slack)
{
  if (n == 0) /* `from` lies outside then */
    return;
  if (n <= 2 * LANES && slack.end && from + 2 * LANES <= slack.end)
    {
      *(Lanes *)to = *(const Lanes *)from;
      if (n > LANES)
        *(Lanes *)(to + LANES) = *(const Lanes *)(from + LANES);
    }
  else
    {
      copy_exactly (from, n, to);
    }
}

/* to[i - begin] = row[start + i * stride] where i is in [first, last), else 0, for i in [begin, end). */
static inline void
gather_row (const float *row, gint64 start, gint64 stride, gint64 first, gint64 last, gint64 begin, gint64 end,
            float *to, Slack slack)
{
  first = CLAMP (first, begin, end);
  last = CLAMP (last, first, end);
  for (gint64 i = begin; i < first; i++)
    *to++ = 0.0f;
  row += start + first * stride;
  if (stride == 1)
    copy_row (row, (gsize)(last - first), to, slack);
  else
    for (gint64 i = 0; i < last - first; i++)
      to[i] = row[i * stride];
  to += last - first;
  for (gint64 i = last; i < end; i++)
    *to++ = 0.0f;
}

static gint64
input_position (const HtConvGeometry *g, int axis, gsize out, gsize kernel)
{
  return (gint64)(out * g->stride[axis]) + (gint64)(kernel * g->dilation[axis]) - g->pad[axis];
}

/* One row of the matrix: all output positions in [begin, end) for one channel and kernel position. */
static inline void
gather_positions (const HtConvGeometry *g, const float *x, const gsize k[HT_CONV_AXES], gsize begin, gsize end,
                  float *to, Slack slack)
{
  gint64 width = (gint64)g->out[2], start = input_position (g, 2, 0, k[2]), stride = (gint64)g->stride[2];
  gint64 column = (gint64)begin % width, first, last;
  gsize row = begin / (gsize)width, h_out = row % g->out[1], d_out = row / g->out[1];
  gint64 left = (gint64)(end - begin);

  valid_range (start, stride, (gint64)g->in[2], width, &first, &last);
  while (left > 0)
    {
      gint64 n = MIN (left, width - column);
      gint64 d = input_position (g, 0, d_out, k[0]), h = input_position (g, 1, h_out, k[1]);
      if (d < 0 || h < 0 || d >= (gint64)g->in[0] || h >= (gint64)g->in[1])
        clear_row (to, (gsize)n);
      else
        gather_row (x + ((gsize)d * g->in[1] + (gsize)h) * g->in[2], start, stride, first, last, column, column + n, to,
                    slack);
      to += n;
      left -= n;
      column = 0;
      if (++h_out == g->out[1])
        {
          h_out = 0;
          d_out++;
        }
    }
}

static gboolean
is_copy (const HtConvGeometry *g)
{
  for (int axis = 0; axis < HT_CONV_AXES; axis++)
    if (g->kernel[axis] != 1 || g->stride[axis] != 1 || g->pad[axis] != 0 || g->in[axis] != g->out[axis])
      return FALSE;
  return TRUE;
}

HT_VECTORIZE static void
gather (const HtConvGeometry *g, gsize channels, const float *x, gsize begin, gsize end, float *columns, gsize ld,
        Slack slack)
{
  gsize volume = ht_conv_volume (g->in);
  gsize k[HT_CONV_AXES];

  for (gsize c = 0; c < channels; c++)
    for (k[0] = 0; k[0] < g->kernel[0]; k[0]++)
      for (k[1] = 0; k[1] < g->kernel[1]; k[1]++)
        for (k[2] = 0; k[2] < g->kernel[2]; k[2]++, columns += ld)
          gather_positions (g, x + c * volume, k, begin, end, columns, slack);
}

void
ht_kernel_im2col (const HtConvGeometry *g, gsize channels, const float *x, gsize begin, gsize end, float *columns,
                  gsize ld)
{
  gsize volume = ht_conv_volume (g->in);
  /* Rows that follow each other closely overwrite what was too much; with gaps between them somebody else's columns lie
   * there. */
  Slack slack = { ld == end - begin ? x + channels * volume : NULL };

  if (is_copy (g))
    {
      for (gsize c = 0; c < channels; c++, columns += ld)
        memcpy (columns, x + c * volume + begin, (end - begin) * sizeof (float));
      return;
    }
  gather (g, channels, x, begin, end, columns, ld, slack);
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
  gint64 start = input_position (g, 2, 0, k[2]), stride = (gint64)g->stride[2], first, last;

  valid_range (start, stride, (gint64)g->in[2], (gint64)g->out[2], &first, &last);
  for (gsize row = 0; row < g->out[0] * g->out[1]; row++, from += g->out[2])
    {
      gint64 d = input_position (g, 0, row / g->out[1], k[0]);
      gint64 h = input_position (g, 1, row % g->out[1], k[1]);
      if (d < 0 || h < 0 || d >= (gint64)g->in[0] || h >= (gint64)g->in[1] || first >= last)
        continue;
      float *to = y + ((gsize)d * g->in[1] + (gsize)h) * g->in[2] + (start + first * stride);
      if (stride == 1)
        add_row (from + first, to, (gsize)(last - first));
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
