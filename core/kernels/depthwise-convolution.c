/* SPDX-License-Identifier: MIT */
/* Depthwise convolution, directly. A plane is copied with its padding, split by phase where the stride is above 1. Then
 * every kernel position is a shift of one long array, and the sum over them runs in registers without regard to rows;
 * the few elements between rows that belong to no output are dropped at the end. */
#include "kernels/convolution.h"

#include "base/thread-pool.h"
#include "kernels/vectorize.h"

#include <string.h>

#define LANES         16
#define BLOCK         (2 * LANES)
#define LARGEST_PLANE 1e15

typedef float Lanes __attribute__ ((vector_size (LANES * sizeof (float)), aligned (sizeof (float)), may_alias));

typedef struct
{
  gsize size[HT_CONV_AXES]; /* of the plane of one phase */
  gsize phase;              /* elements of it */
  gsize n_phases;
  gsize length; /* of the long sum */
} Layout;

static Layout
layout_of (const HtConvGeometry *g)
{
  Layout layout = { .n_phases = ht_conv_volume (g->stride) };

  for (int axis = 0; axis < HT_CONV_AXES; axis++)
    {
      gsize needed = (g->out[axis] - 1) * g->stride[axis] + (g->kernel[axis] - 1) * g->dilation[axis] + 1;
      layout.size[axis] = (needed + g->stride[axis] - 1) / g->stride[axis];
    }
  layout.phase = ht_conv_volume (layout.size);
  layout.length = ((g->out[0] - 1) * layout.size[1] + g->out[1] - 1) * layout.size[2] + g->out[2];
  return layout;
}

static gsize
plane_floats (const Layout *layout)
{
  return (layout->n_phases * layout->phase + 2 * BLOCK) / LANES * LANES;
}

static gsize
sum_floats (const Layout *layout)
{
  return (layout->length + 2 * BLOCK) / LANES * LANES;
}

gsize
ht_kernel_depthwise_slice (const HtConvGeometry *g)
{
  double padded = 1.0;

  if (ht_conv_volume (g->out) == 0)
    return 0;
  /* Paddings and strides come from a file: products that overflow must not look small. */
  for (int axis = 0; axis < HT_CONV_AXES; axis++)
    padded *= (double)g->out[axis] * (double)g->stride[axis] + (double)g->kernel[axis] * (double)g->dilation[axis];
  if (padded > LARGEST_PLANE)
    return G_MAXSSIZE;
  Layout layout = layout_of (g);
  return (plane_floats (&layout) + sum_floats (&layout)) * sizeof (float)
         + (ht_conv_volume (g->kernel) * sizeof (const float *) + 63) / 64 * 64;
}

/* Where the padded element lies: its phase, and its place there. */
static gsize
place (const HtConvGeometry *g, const Layout *layout, gsize d, gsize h, gsize w)
{
  gsize phase = (d % g->stride[0] * g->stride[1] + h % g->stride[1]) * g->stride[2] + w % g->stride[2];
  gsize inner = (d / g->stride[0] * layout->size[1] + h / g->stride[1]) * layout->size[2] + w / g->stride[2];
  return phase * layout->phase + inner;
}

/* The elements of one phase on one axis: padded index phase + i * stride, of which [first, last) lie in the input, the
 * first of them at input index `start`. */
typedef struct
{
  gsize first, last, start;
} PhaseRange;

static PhaseRange
range_of_phase (const HtConvGeometry *g, const Layout *layout, int axis, gsize phase)
{
  gint64 stride = (gint64)g->stride[axis], offset = (gint64)phase - g->pad[axis];
  gint64 first = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  gint64 last = offset >= (gint64)g->in[axis] ? 0 : ((gint64)g->in[axis] - offset + stride - 1) / stride;

  last = MIN (last, (gint64)layout->size[axis]);
  if (first >= last)
    return (PhaseRange){ 0, 0, 0 };
  return (PhaseRange){ (gsize)first, (gsize)last, (gsize)(offset + first * stride) };
}

HT_VECTORIZE static void
copy_strided (const float *from, gsize stride, float *to, gsize n)
{
  if (stride == 2)
    for (gsize i = 0; i < n; i++)
      to[i] = from[2 * i];
  else
    for (gsize i = 0; i < n; i++)
      to[i] = from[i * stride];
}

/* Rows of at most one vector, which a call to memcpy() each would cost more than the copy: whole vectors are copied,
 * what is too much is overwritten by the zeros behind the row and then by the next row. The last rows of the plane are
 * left to the caller, since a whole vector would reach beyond it. Returns how many rows were done. */
static gsize
copy_narrow_rows (const float *from, gsize from_step, const float *end, gsize n_rows, gsize width, float *to,
                  gsize to_step)
{
  gsize row = 0;

  for (; row < n_rows && from + LANES <= end; row++, from += from_step, to += to_step)
    {
      *(Lanes *)to = *(const Lanes *)from;
      *(Lanes *)(to + width) = (Lanes){ 0 };
    }
  return row;
}

static void
copy_phase (const HtConvGeometry *g, const Layout *layout, const float *x, PhaseRange d, PhaseRange h, PhaseRange w,
            float *phase)
{
  const float *end = x + ht_conv_volume (g->in);
  gsize width = w.last - w.first, from_step = g->stride[1] * g->in[2];

  for (gsize i = d.first; i < d.last; i++)
    {
      gsize row = (d.start + (i - d.first) * g->stride[0]) * g->in[1] + h.start;
      const float *from = x + row * g->in[2] + w.start;
      float *to = phase + (i * layout->size[1] + h.first) * layout->size[2] + w.first;
      gsize done = 0;
      if (g->stride[2] == 1 && width <= LANES)
        done = copy_narrow_rows (from, from_step, end, h.last - h.first, width, to, layout->size[2]);
      for (gsize k = done; k < h.last - h.first; k++)
        if (g->stride[2] == 1)
          memcpy (to + k * layout->size[2], from + k * from_step, width * sizeof (float));
        else
          copy_strided (from + k * from_step, g->stride[2], to + k * layout->size[2], width);
    }
}

static void
copy_plane (const HtConvGeometry *g, const Layout *layout, const float *x, float *plane)
{
  memset (plane, 0, plane_floats (layout) * sizeof (float));
  for (gsize d = 0; d < g->stride[0]; d++)
    for (gsize h = 0; h < g->stride[1]; h++)
      for (gsize w = 0; w < g->stride[2]; w++, plane += layout->phase)
        copy_phase (g, layout, x, range_of_phase (g, layout, 0, d), range_of_phase (g, layout, 1, h),
                    range_of_phase (g, layout, 2, w), plane);
}

HT_VECTORIZE static void
sum_shifts (const float *const *shifts, const float *weights, gsize n_shifts, float bias, float *sum, gsize length)
{
  for (gsize i = 0; i < length; i += BLOCK)
    {
      Lanes low, high;
      for (int lane = 0; lane < LANES; lane++)
        low[lane] = high[lane] = bias;
      for (gsize k = 0; k < n_shifts; k++)
        {
          const float *from = shifts[k] + i;
          low += *(const Lanes *)from * weights[k];
          high += *(const Lanes *)(from + LANES) * weights[k];
        }
      *(Lanes *)(sum + i) = low;
      *(Lanes *)(sum + i + LANES) = high;
    }
}

typedef struct
{
  const HtConvGeometry *geometry;
  Layout layout;
  const float *x, *w, *bias;
  float *y;
  char *scratch;
  gsize slice;
} Work;

/* The rows of the long sum, closed up. Narrow ones in whole vectors, of which the next row overwrites what is too much.
 */
static void
drop_garbage (const HtConvGeometry *g, const Layout *layout, const float *sum, float *y)
{
  const float *end = y + ht_conv_volume (g->out);
  gsize width = g->out[2];

  for (gsize d = 0; d < g->out[0]; d++)
    for (gsize h = 0; h < g->out[1]; h++, y += width)
      {
        const float *from = sum + (d * layout->size[1] + h) * layout->size[2];
        if (width <= LANES && y + LANES <= end)
          *(Lanes *)y = *(const Lanes *)from;
        else
          memcpy (y, from, width * sizeof (float));
      }
}

/* One channel of one image: its plane serves all output channels of the group. */
static void
run_plane (const Work *work, gsize image, gsize group, float *plane, float *sum, const float **shifts)
{
  const HtConvGeometry *g = work->geometry;
  const Layout *layout = &work->layout;
  gsize multiplier = g->out_channels / g->groups, n_shifts = 0, volume = ht_conv_volume (g->out);
  gsize taps = ht_conv_volume (g->kernel);

  copy_plane (g, layout, work->x + (image * g->in_channels + group) * ht_conv_volume (g->in), plane);
  for (gsize kd = 0; kd < g->kernel[0]; kd++)
    for (gsize kh = 0; kh < g->kernel[1]; kh++)
      for (gsize kw = 0; kw < g->kernel[2]; kw++)
        shifts[n_shifts++] = plane + place (g, layout, kd * g->dilation[0], kh * g->dilation[1], kw * g->dilation[2]);
  for (gsize m = 0; m < multiplier; m++)
    {
      gsize channel = group * multiplier + m;
      float *y = work->y + (image * g->out_channels + channel) * volume;
      sum_shifts (shifts, work->w + channel * taps, n_shifts, work->bias ? work->bias[channel] : 0.0f, sum,
                  layout->length);
      drop_garbage (g, layout, sum, y);
    }
}

static void
run_planes (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  float *plane = (float *)(gpointer)(work->scratch + worker * work->slice);
  float *sum = plane + plane_floats (&work->layout);
  const float **shifts = (const float **)(gpointer)(sum + sum_floats (&work->layout));

  for (gsize item = begin; item < end; item++)
    run_plane (work, item / work->geometry->groups, item % work->geometry->groups, plane, sum, shifts);
}

void
ht_kernel_depthwise (const HtConvGeometry *g, const float *x, const float *w, const float *bias, float *y,
                     gpointer scratch, guint n_slices)
{
  if (ht_conv_volume (g->out) == 0)
    return;
  Work work = { g, layout_of (g), x, w, bias, y, scratch, ht_kernel_depthwise_slice (g) };
  gsize cost = work.layout.phase * work.layout.n_phases + work.layout.length * ht_conv_volume (g->kernel) / 4;
  gsize grain = CLAMP (HT_KERNEL_GRAIN / MAX (cost, 1), 1, 4096);
  ht_parallel_for_limited (g->batch * g->groups, grain, MAX (n_slices, 1), run_planes, &work);
}
