/* SPDX-License-Identifier: MIT */
#include "kernels/convolution-backward.h"

#include "base/thread-pool.h"
#include "kernels/double-precision.h"
#include "kernels/gemm.h"
#include "kernels/im2col.h"
#include "kernels/reduce.h"
#include "kernels/vectorize.h"

#include <string.h>

static gboolean
is_pointwise (const HtConvGeometry *g)
{
  for (int axis = 0; axis < HT_CONV_AXES; axis++)
    if (g->kernel[axis] != 1 || g->stride[axis] != 1 || g->pad[axis] != 0 || g->in[axis] != g->out[axis])
      return FALSE;
  return TRUE;
}

static gboolean
is_depthwise (const HtConvGeometry *g)
{
  return g->groups > 1 && g->groups == g->in_channels;
}

static gsize
round_up (gsize bytes)
{
  return (bytes + 63) & ~(gsize)63;
}

/* Rows of one plane and one kernel position: which lie inside, and where. */
typedef struct
{
  gsize first, last; /* positions of the small row for which the large one lies inside */
  gint64 begin;      /* of the large row at `first` */
} Reach;

static Reach
reach_of (const HtConvGeometry *g, gsize k)
{
  gint64 start = (gint64)(k * g->dilation[2]) - g->pad[2], stride = (gint64)g->stride[2], in = (gint64)g->in[2];
  gint64 first = start >= 0 ? 0 : (-start + stride - 1) / stride;
  gint64 last = start >= in ? 0 : (in - start + stride - 1) / stride;
  last = MIN (last, (gint64)g->out[2]);
  first = MIN (first, last);
  return (Reach){ (gsize)first, (gsize)MAX (last, first), start + first * stride };
}

/* The large row that small row (d, h) meets at kernel position k; -1: none. */
static gint64
large_row (const HtConvGeometry *g, gsize d_small, gsize h_small, const gsize *k)
{
  gint64 d = (gint64)(d_small * g->stride[0] + k[0] * g->dilation[0]) - g->pad[0];
  gint64 h = (gint64)(h_small * g->stride[1] + k[1] * g->dilation[1]) - g->pad[1];
  if (d < 0 || h < 0 || d >= (gint64)g->in[0] || h >= (gint64)g->in[1])
    return -1;
  return d * (gint64)g->in[1] + h;
}

/* Depthwise: planes meet planes, without a product in between. */

HT_VECTORIZE static void
add_scaled (float *to, gsize step, const float *from, gsize n, float factor)
{
  if (step == 1)
    for (gsize i = 0; i < n; i++)
      to[i] += factor * from[i];
  else
    for (gsize i = 0; i < n; i++)
      to[i * step] += factor * from[i];
}

HT_VECTORIZE static void
add_products (const float *large, gsize step, const float *small, gsize n, float *lanes)
{
  gsize base = 0;
  if (step == 1)
    for (; base + HT_REDUCE_LANES <= n; base += HT_REDUCE_LANES)
      for (gsize lane = 0; lane < HT_REDUCE_LANES; lane++)
        lanes[lane] += large[base + lane] * small[base + lane];
  for (gsize i = base; i < n; i++)
    lanes[i % HT_REDUCE_LANES] += large[i * step] * small[i];
}

typedef struct
{
  const HtConvGeometry *geometry;
  const float *large, *small, *w;
  float *to;
  char *scratch;
  gsize slice;
} Work;

/* One item is one plane of `large`. */
static void
depthwise_to_large (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  const HtConvGeometry *g = work->geometry;
  gsize volume = ht_conv_volume (g->in), positions = ht_conv_volume (g->out), n_kernel = ht_conv_volume (g->kernel);
  gsize multiplier = g->out_channels / g->groups, k[HT_CONV_AXES];

  for (gsize item = begin; item < end; item++)
    {
      gsize channel = item % g->in_channels;
      float *large = work->to + item * volume;
      memset (large, 0, volume * sizeof (float));
      for (gsize m = 0; m < multiplier; m++)
        {
          const float *small = work->small + (item * multiplier + m) * positions;
          const float *w = work->w + (channel * multiplier + m) * n_kernel;
          for (k[0] = 0; k[0] < g->kernel[0]; k[0]++)
            for (k[1] = 0; k[1] < g->kernel[1]; k[1]++)
              for (k[2] = 0; k[2] < g->kernel[2]; k[2]++, w++)
                {
                  Reach reach = reach_of (g, k[2]);
                  for (gsize row = 0; row < g->out[0] * g->out[1]; row++)
                    {
                      gint64 at = large_row (g, row / g->out[1], row % g->out[1], k);
                      if (at >= 0 && reach.last > reach.first)
                        add_scaled (large + at * (gint64)g->in[2] + reach.begin, g->stride[2],
                                    small + row * g->out[2] + reach.first, reach.last - reach.first, *w);
                    }
                }
        }
    }
}

/* One item is one output channel, over all images. */
static void
depthwise_weights (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  const HtConvGeometry *g = work->geometry;
  gsize volume = ht_conv_volume (g->in), positions = ht_conv_volume (g->out);
  gsize multiplier = g->out_channels / g->groups, k[HT_CONV_AXES];

  for (gsize item = begin; item < end; item++)
    {
      float *w = work->to + item * ht_conv_volume (g->kernel);
      for (k[0] = 0; k[0] < g->kernel[0]; k[0]++)
        for (k[1] = 0; k[1] < g->kernel[1]; k[1]++)
          for (k[2] = 0; k[2] < g->kernel[2]; k[2]++)
            {
              float lanes[HT_REDUCE_LANES] = { 0 };
              Reach reach = reach_of (g, k[2]);
              for (gsize n = 0; n < g->batch && reach.last > reach.first; n++)
                {
                  const float *large = work->large + (n * g->in_channels + item / multiplier) * volume;
                  const float *small = work->small + (n * g->out_channels + item) * positions;
                  for (gsize row = 0; row < g->out[0] * g->out[1]; row++)
                    {
                      gint64 at = large_row (g, row / g->out[1], row % g->out[1], k);
                      if (at >= 0)
                        add_products (large + at * (gint64)g->in[2] + reach.begin, g->stride[2],
                                      small + row * g->out[2] + reach.first, reach.last - reach.first, lanes);
                    }
                }
              *w++ = ht_reduce_tree (lanes);
            }
    }
}

/* To the large side */

/* The transposed convolution of small by w. */
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

gsize
ht_kernel_conv_to_large_slice (const HtConvGeometry *g)
{
  HtConvGeometry t = transposed (g);
  return is_pointwise (g) || is_depthwise (g) ? 0 : ht_kernel_conv_transpose_slice (&t);
}

/* One item is an image, a group and TILE positions. */
#define POINTWISE_TILE ((gsize)1024)

static void
pointwise_to_large (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  const HtConvGeometry *g = work->geometry;
  gsize positions = ht_conv_volume (g->in), n_tiles = (positions + POINTWISE_TILE - 1) / POINTWISE_TILE;
  gsize in = g->in_channels / g->groups, out = g->out_channels / g->groups;

  for (gsize item = begin; item < end; item++)
    {
      gsize first = item % n_tiles * POINTWISE_TILE, at = item / n_tiles; /* image and group */
      HtGemmShape shape = { .transpose_a = TRUE,
                            .m = in,
                            .n = MIN (POINTWISE_TILE, positions - first),
                            .k = out,
                            .lda = in,
                            .ldb = positions,
                            .ldc = positions,
                            .alpha = 1.0f };
      ht_kernel_gemm (&shape, work->w + at % g->groups * out * in, work->small + at * out * positions + first,
                      work->to + at * in * positions + first);
    }
}

void
ht_kernel_conv_to_large (const HtConvGeometry *g, const float *small, const float *w, float *large, gpointer scratch,
                         guint n_slices)
{
  Work work = { .geometry = g, .small = small, .w = w, .to = large };
  gsize positions = ht_conv_volume (g->in);
  HtConvGeometry t = transposed (g);

  if (is_depthwise (g))
    ht_parallel_for (g->batch * g->in_channels, 1, depthwise_to_large, &work);
  else if (is_pointwise (g))
    ht_parallel_for (g->batch * g->groups * ((positions + POINTWISE_TILE - 1) / POINTWISE_TILE), 1, pointwise_to_large,
                     &work);
  else
    ht_kernel_conv_transpose (&t, small, w, NULL, large, scratch, n_slices);
}

/* Weights */

/* Columns that an item makes at least, floats of its gathered matrix at most, and how many items are enough. */
#define MIN_COLUMNS  ((gsize)128)
#define TILE_FLOATS  ((gsize)64 * 1024)
#define ENOUGH_ITEMS ((gsize)16)

/* An item is a piece of the images, a group and a block of its input channels. The pieces' sums are added in order. */
typedef struct
{
  gsize group_in, group_out, kernel, depth, positions;
  gsize channels, n_blocks; /* input channels of a block */
  gsize pieces;
  gsize tile; /* positions gathered at a time */
  gboolean pointwise;
} Cut;

static Cut
cut_weights (const HtConvGeometry *g)
{
  Cut cut = { .group_in = g->in_channels / g->groups,
              .group_out = g->out_channels / g->groups,
              .kernel = ht_conv_volume (g->kernel),
              .positions = ht_conv_volume (g->out),
              .pointwise = is_pointwise (g) };
  cut.depth = cut.group_in * cut.kernel;
  gsize n = MIN (cut.depth / MIN_COLUMNS, ENOUGH_ITEMS);
  cut.channels = (cut.group_in + MAX (n, 1) - 1) / MAX (n, 1);
  cut.n_blocks = (cut.group_in + MAX (cut.channels, 1) - 1) / MAX (cut.channels, 1);
  gsize items = MAX (cut.n_blocks * g->groups, 1);
  cut.pieces = CLAMP ((ENOUGH_ITEMS + items - 1) / items, 1, MAX (g->batch, 1));
  cut.tile = MIN (MAX (cut.positions, 1), MAX (TILE_FLOATS / MAX (cut.channels * cut.kernel, 1), 64));
  return cut;
}

gsize
ht_kernel_conv_weights_partial (const HtConvGeometry *g)
{
  Cut cut = cut_weights (g);
  if (is_depthwise (g) || cut.pieces == 1)
    return 0;
  return round_up (cut.pieces * g->out_channels * cut.depth * sizeof (float));
}

gsize
ht_kernel_conv_weights_slice (const HtConvGeometry *g)
{
  Cut cut = cut_weights (g);
  if (is_depthwise (g) || cut.pointwise)
    return 0;
  return round_up ((cut.channels * cut.kernel * cut.tile + HT_IM2COL_SLACK) * sizeof (float));
}

typedef struct
{
  Work base;
  Cut cut;
  gsize n_weights;
} WeightWork;

static void
weight_items (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const WeightWork *work = user_data;
  const HtConvGeometry *g = work->base.geometry;
  const Cut *cut = &work->cut;
  gsize volume = ht_conv_volume (g->in);
  float *columns = (float *)(gpointer)(work->base.scratch + worker * work->base.slice);

  for (gsize item = begin; item < end; item++)
    {
      gsize block = item % cut->n_blocks, group = item / cut->n_blocks % g->groups;
      gsize piece = item / cut->n_blocks / g->groups;
      gsize first = block * cut->channels, channels = MIN (cut->channels, cut->group_in - first);
      float *dw = work->base.to + piece * work->n_weights + group * cut->group_out * cut->depth + first * cut->kernel;
      HtGemmShape shape = { .transpose_b = TRUE,
                            .m = cut->group_out,
                            .n = channels * cut->kernel,
                            .lda = cut->positions,
                            .ldc = cut->depth,
                            .alpha = 1.0f };
      for (gsize n = g->batch * piece / cut->pieces; n < g->batch * (piece + 1) / cut->pieces; n++)
        for (gsize p = 0; p < cut->positions; p += cut->tile)
          {
            const float *large = work->base.large + (n * g->in_channels + group * cut->group_in + first) * volume;
            const float *small = work->base.small + (n * g->out_channels + group * cut->group_out) * cut->positions + p;
            shape.k = MIN (cut->tile, cut->positions - p);
            shape.ldb = cut->pointwise ? cut->positions : shape.k;
            if (!cut->pointwise)
              ht_kernel_im2col (g, channels, large, p, p + shape.k, columns, shape.k);
            ht_kernel_gemm (&shape, small, cut->pointwise ? large + p : columns, dw);
            shape.beta = 1.0f;
          }
    }
}

static void
join_pieces (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const WeightWork *work = user_data;
  const float *partial = work->base.large;
  for (gsize i = begin; i < end; i++)
    {
      float sum = partial[i];
      for (gsize piece = 1; piece < work->cut.pieces; piece++)
        sum += partial[piece * work->n_weights + i];
      work->base.to[i] = sum;
    }
}

void
ht_kernel_conv_weights (const HtConvGeometry *g, const float *large, const float *small, float *dw, gpointer partial,
                        gpointer scratch, guint n_slices)
{
  WeightWork work = { .base = { .geometry = g, .large = large, .small = small, .to = dw, .scratch = scratch } };

  work.cut = cut_weights (g);
  work.base.slice = ht_kernel_conv_weights_slice (g);
  work.n_weights = g->out_channels * work.cut.depth;
  if (g->batch == 0 || work.cut.positions == 0)
    {
      memset (dw, 0, work.n_weights * sizeof (float));
      return;
    }
  if (is_depthwise (g))
    {
      ht_parallel_for (g->out_channels, 1, depthwise_weights, &work.base);
      return;
    }
  if (work.cut.pieces > 1)
    work.base.to = partial;
  ht_parallel_for_limited (work.cut.pieces * g->groups * work.cut.n_blocks, 1,
                           work.base.slice ? MAX (n_slices, 1) : HT_THREAD_POOL_MAX_SIZE, weight_items, &work);
  if (work.cut.pieces > 1)
    {
      work.base.large = partial;
      work.base.to = dw;
      ht_parallel_for (work.n_weights, HT_KERNEL_GRAIN, join_pieces, &work);
    }
}

/* Double */

void
ht_kernel_conv_to_large_double (const HtConvGeometry *g, const double *small, const double *w, double *large)
{
  HtConvGeometry t = transposed (g);
  ht_kernel_conv_transpose_double (&t, small, w, NULL, large);
}

/* One image, output channel and input channel of its group. */
static void
add_weights_double (const HtConvGeometry *g, const double *large, const double *small, double *dw)
{
  gsize k[HT_CONV_AXES];

  for (k[0] = 0; k[0] < g->kernel[0]; k[0]++)
    for (k[1] = 0; k[1] < g->kernel[1]; k[1]++)
      for (k[2] = 0; k[2] < g->kernel[2]; k[2]++, dw++)
        for (gsize row = 0; row < g->out[0] * g->out[1]; row++)
          {
            gint64 at = large_row (g, row / g->out[1], row % g->out[1], k);
            Reach reach = reach_of (g, k[2]);
            for (gsize i = reach.first; at >= 0 && i < reach.last; i++)
              *dw += small[row * g->out[2] + i]
                     * large[at * (gint64)g->in[2] + reach.begin + (gint64)((i - reach.first) * g->stride[2])];
          }
}

void
ht_kernel_conv_weights_double (const HtConvGeometry *g, const double *large, const double *small, double *dw)
{
  gsize in = g->in_channels / g->groups, out = g->out_channels / g->groups, n_kernel = ht_conv_volume (g->kernel);
  gsize volume = ht_conv_volume (g->in), positions = ht_conv_volume (g->out);

  memset (dw, 0, g->out_channels * in * n_kernel * sizeof (double));
  for (gsize n = 0; n < g->batch; n++)
    for (gsize o = 0; o < g->out_channels; o++)
      for (gsize c = 0; c < in; c++)
        add_weights_double (g, large + (n * g->in_channels + o / out * in + c) * volume,
                            small + (n * g->out_channels + o) * positions, dw + (o * in + c) * n_kernel);
}
