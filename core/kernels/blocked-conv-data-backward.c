/* SPDX-License-Identifier: MIT */
/* dx is a convolution of dy with the weights turned round. With strides the positions of dx fall into classes, by their
 * remainders: those of one class see the same kernel positions, and are a convolution without stride. */
#include "base/thread-pool.h"
#include "kernels/blocked-backward.h"
#include "kernels/blocked-depthwise-backward.h"
#include "kernels/isa.h"
#include "kernels/vectorize.h"

#include <string.h>

/* What positions remainder + stride * j of one axis are made of: kernel positions first + i * step, i < n. */
typedef struct
{
  gsize n, first, step;
  gsize out;      /* how many j there are */
  gsize dilation; /* between those kernel positions, in steps of dy */
  gint64 pad;
} AxisClass;

static gsize
greatest_divisor (gsize a, gsize b)
{
  while (b != 0)
    {
      gsize rest = a % b;
      a = b;
      b = rest;
    }
  return a;
}

static AxisClass
class_of_axis (const HtConvGeometry *g, int axis, gsize remainder)
{
  gint64 stride = (gint64)g->stride[axis], dilation = (gint64)g->dilation[axis];
  AxisClass result = { .step = g->stride[axis] / greatest_divisor (g->stride[axis], g->dilation[axis]) };

  result.dilation = result.step * g->dilation[axis] / g->stride[axis];
  if (remainder < g->in[axis])
    result.out = (g->in[axis] - remainder - 1) / g->stride[axis] + 1;
  /* Position r of dx meets dy at o through kernel position a: r + pad = o * stride + a * dilation. */
  gint64 shifted = (gint64)remainder + g->pad[axis];
  while (result.first < MIN (result.step, g->kernel[axis]) && (shifted - (gint64)result.first * dilation) % stride != 0)
    result.first++;
  if (result.first >= MIN (result.step, g->kernel[axis]))
    return result;
  result.n = (g->kernel[axis] - result.first - 1) / result.step + 1;
  result.pad = (gint64)((result.n - 1) * result.dilation) - (shifted - (gint64)result.first * dilation) / stride;
  return result;
}

static gboolean
has_stride (const HtConvGeometry *g)
{
  return g->stride[0] != 1 || g->stride[1] != 1 || g->stride[2] != 1;
}

static gsize
count_classes (const HtConvGeometry *g)
{
  return g->stride[0] * g->stride[1] * g->stride[2];
}

/* The convolution that makes class `index`; FALSE: its positions get nothing. */
static gboolean
class_of (const HtConvGeometry *g, gsize index, AxisClass axes[HT_CONV_AXES], gsize remainder[HT_CONV_AXES],
          HtConvGeometry *class)
{
  gboolean any = TRUE;

  *class = (HtConvGeometry){
    .batch = g->batch, .groups = g->groups, .in_channels = g->out_channels, .out_channels = g->in_channels
  };
  for (int axis = HT_CONV_AXES - 1; axis >= 0; axis--)
    {
      remainder[axis] = index % g->stride[axis];
      index /= g->stride[axis];
      axes[axis] = class_of_axis (g, axis, remainder[axis]);
      class->in[axis] = g->out[axis];
      class->out[axis] = axes[axis].out;
      class->kernel[axis] = axes[axis].n;
      class->stride[axis] = 1;
      class->dilation[axis] = axes[axis].dilation;
      class->pad[axis] = axes[axis].pad;
      any = any && axes[axis].n > 0;
    }
  return any && ht_conv_volume (g->out) > 0;
}

gboolean
ht_blocked_conv_backward_supports (const HtConvGeometry *g, gboolean plain_input)
{
  gsize block = ht_isa_get_block ();

  if (!ht_blocked_conv_supports (g, plain_input) || g->groups == 0)
    return FALSE;
  if (g->groups == 1)
    return TRUE;
  return !plain_input
         && ((g->groups == g->in_channels && g->groups == g->out_channels)
             || (g->in_channels % (g->groups * block) == 0 && g->out_channels % (g->groups * block) == 0));
}

typedef struct
{
  const HtConvGeometry *g;
  AxisClass axes[HT_CONV_AXES];
  gsize remainder[HT_CONV_AXES];
  HtConvGeometry class;
  const float *y; /* the class's positions; NULL: zeros */
  float *dx;
} Work;

/* The kernel positions of the class, last first. */
static void
turn_taps (const Work *work, gsize *taps)
{
  const gsize *kernel = work->g->kernel;
  const AxisClass *axes = work->axes;

  for (gsize a = axes[0].n; a-- > 0;)
    for (gsize b = axes[1].n; b-- > 0;)
      for (gsize c = axes[2].n; c-- > 0;)
        *taps++ = ((axes[0].first + a * axes[0].step) * kernel[1] + axes[1].first + b * axes[1].step) * kernel[2]
                  + axes[2].first + c * axes[2].step;
}

/* Items are the rows of the class. */
static void
run_spread (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  const HtConvGeometry *g = work->g;
  const gsize *out = work->class.out;
  gsize block = ht_isa_get_block (), rows = out[0] * out[1], step = g->stride[2] * block;

  for (gsize item = begin; item < end; item++)
    {
      gsize plane = item / rows, d = item % rows / out[1], h = item % out[1];
      gsize row = (plane * g->in[0] + work->remainder[0] + d * g->stride[0]) * g->in[1] + work->remainder[1]
                  + h * g->stride[1];
      float *dx = work->dx + (row * g->in[2] + work->remainder[2]) * block;
      const float *y = work->y ? work->y + item * out[2] * block : NULL;
      for (gsize w = 0; w < out[2]; w++, dx += step)
        if (y)
          memcpy (dx, y + w * block, block * sizeof (float));
        else
          memset (dx, 0, block * sizeof (float));
    }
}

static gsize
round_up (gsize floats)
{
  return (floats + 15) / 16 * 16;
}

static HtConvGeometry
transposed (const HtConvGeometry *g)
{
  HtConvGeometry t = *g;
  t.in_channels = g->out_channels;
  t.out_channels = g->in_channels;
  for (int axis = 0; axis < HT_CONV_AXES; axis++)
    {
      t.in[axis] = g->out[axis];
      t.out[axis] = g->in[axis];
    }
  return t;
}

/* How the workspace is cut, in floats; the largest class decides. */
typedef struct
{
  gsize taps, packed, y, slice;
} Sizes;

static Sizes
sizes_of (const HtConvGeometry *g)
{
  Sizes sizes = { 0 };

  for (gsize i = 0; i < count_classes (g); i++)
    {
      AxisClass axes[HT_CONV_AXES];
      gsize remainder[HT_CONV_AXES];
      HtConvGeometry class;
      if (!class_of (g, i, axes, remainder, &class) || ht_conv_volume (class.out) == 0)
        continue;
      sizes.taps = MAX (sizes.taps, round_up (ht_conv_volume (class.kernel) * sizeof (gsize) / sizeof (float)));
      sizes.packed = MAX (sizes.packed, round_up (ht_blocked_conv_packed_floats (&class, FALSE)));
      sizes.slice = MAX (sizes.slice, round_up (ht_blocked_conv_slice (&class, FALSE) / sizeof (float)));
      if (has_stride (g))
        sizes.y = MAX (sizes.y,
                       ht_blocked_floats (g->batch, g->in_channels, ht_conv_volume (class.out), ht_isa_get_block ()));
    }
  return sizes;
}

static gboolean
is_direct (const HtConvGeometry *g)
{
  return has_stride (g) && ht_blocked_depthwise_backward_supports (g);
}

gsize
ht_blocked_conv_data_backward_workspace (const HtConvGeometry *g, gboolean plain_input, guint n_slices)
{
  if (plain_input)
    {
      HtConvGeometry t = transposed (g);
      return round_up (g->batch * g->out_channels * ht_conv_volume (g->out)) * sizeof (float)
             + ht_kernel_conv_transpose_slice (&t) * MAX (n_slices, 1);
    }
  if (is_direct (g))
    return ht_blocked_conv_packed_floats (g, FALSE) * sizeof (float);
  Sizes sizes = sizes_of (g);
  return (sizes.taps + sizes.packed + sizes.y + sizes.slice * MAX (n_slices, 1)) * sizeof (float);
}

static void
plain_backward (const HtConvGeometry *g, const float *dy, const float *w, float *dx, float *workspace, guint n_slices)
{
  HtConvGeometry t = transposed (g);
  gsize positions = ht_conv_volume (g->out);

  ht_blocked_to_plain (g->batch, g->out_channels, positions, dy, workspace, NULL);
  ht_kernel_conv_transpose (&t, workspace, w, NULL, dx, workspace + round_up (g->batch * g->out_channels * positions),
                            n_slices);
}

void
ht_blocked_conv_data_backward (const HtConvGeometry *g, gboolean plain_input, const float *dy, const float *w,
                               float *dx, gpointer workspace, guint n_slices)
{
  const HtEpilogue nothing = { .activation = HT_ACTIVATION_NONE };
  gsize block = ht_isa_get_block (), in_channels = g->in_channels / g->groups;
  gsize planes = g->batch * ((g->in_channels + block - 1) / block);

  if (plain_input)
    {
      plain_backward (g, dy, w, dx, workspace, n_slices);
      return;
    }
  if (is_direct (g))
    {
      ht_blocked_conv_pack (g, FALSE, w, workspace);
      ht_blocked_depthwise_backward (g, dy, workspace, dx);
      return;
    }
  Sizes sizes = sizes_of (g);
  float *packed = (float *)workspace + sizes.taps, *y = packed + sizes.packed, *scratch = y + sizes.y;
  gsize *taps = workspace, n_taps = ht_conv_volume (g->kernel);
  HtWeightOrder order = { .w = w,
                          .group_step = g->out_channels / g->groups * in_channels * n_taps,
                          .out_step = n_taps,
                          .in_step = in_channels * n_taps,
                          .taps = taps };
  for (gsize i = 0; i < count_classes (g); i++)
    {
      Work work = { .g = g, .dx = dx };
      gboolean any = class_of (g, i, work.axes, work.remainder, &work.class);
      gsize n_floats = ht_blocked_floats (g->batch, g->in_channels, ht_conv_volume (work.class.out), block);
      if (n_floats == 0)
        continue;
      if (any)
        {
          turn_taps (&work, taps);
          ht_blocked_conv_pack_order (&work.class, FALSE, &order, packed);
          work.y = has_stride (g) ? y : dx;
          ht_blocked_conv (&work.class, FALSE, dy, packed, &nothing, has_stride (g) ? y : dx, scratch, n_slices);
        }
      if (!any || has_stride (g))
        ht_parallel_for (planes * work.class.out[0] * work.class.out[1],
                         MAX (HT_KERNEL_GRAIN / (work.class.out[2] * block), 1), run_spread, &work);
    }
}
