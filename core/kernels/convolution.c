/* SPDX-License-Identifier: MIT */
/* Convolution as matrix products over tiles: the columns of a tile are gathered into scratch memory that stays in the
 * cache, then multiplied. A tile is some images or part of one, some output channels, all input channels of a group. */
#include "kernels/convolution.h"

#include "base/thread-pool.h"
#include "kernels/gemm.h"
#include "kernels/im2col.h"
#include "kernels/plain-affine.h"
#include "kernels/vectorize.h"

#include <string.h>

/* Floats of the gathered matrix that a tile aims at: it should stay in the second-level cache. */
#define TILE_FLOATS   ((gsize)64 * 1024)
#define MIN_POSITIONS ((gsize)64)
#define MAX_POSITIONS ((gsize)1024)
/* Small images are taken several at a time, up to this many positions together. */
#define MERGED_POSITIONS ((gsize)192)
/* Fewer tiles than this are cut further, by output channels. */
#define ENOUGH_TILES ((gsize)16)
#define MIN_CHANNELS ((gsize)64)

static gsize
ceil_div (gsize a, gsize b)
{
  return (a + b - 1) / b;
}

static gsize
round_up (gsize value, gsize unit)
{
  return ceil_div (value, unit) * unit;
}

/* How one convolution is cut: a function of the geometry alone. */
typedef struct
{
  gsize positions;    /* of one image */
  gsize depth;        /* input channels of a group times kernel positions */
  gsize out_channels; /* of a group */
  gboolean pointwise; /* columns are the image itself */
  gsize images;       /* of one tile; more than one: all their positions */
  gsize tile;         /* positions of one tile of one image */
  gsize channels;     /* output channels of one tile */
  gsize n_images, n_tiles, n_channels;
} Cut;

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

static Cut
cut_of (const HtConvGeometry *g)
{
  Cut cut = { .positions = ht_conv_volume (g->out), .pointwise = is_pointwise (g), .images = 1 };

  cut.depth = g->in_channels / g->groups * ht_conv_volume (g->kernel);
  cut.out_channels = g->out_channels / g->groups;
  cut.tile = CLAMP (TILE_FLOATS / MAX (cut.depth, 1), MIN_POSITIONS, MAX_POSITIONS);
  cut.n_tiles = MAX (ceil_div (cut.positions, cut.tile), 1);
  cut.tile = round_up (ceil_div (MAX (cut.positions, 1), cut.n_tiles), 16);
  cut.n_tiles = MAX (ceil_div (cut.positions, cut.tile), 1);
  if (cut.positions * 2 <= MERGED_POSITIONS && g->batch > 1)
    cut.images = MIN (MERGED_POSITIONS / MAX (cut.positions, 1), g->batch);
  cut.n_images = ceil_div (g->batch, cut.images);
  cut.channels = cut.out_channels;
  for (;;)
    {
      cut.n_channels = MAX (ceil_div (cut.out_channels, MAX (cut.channels, 1)), 1);
      if (cut.n_images * cut.n_tiles * cut.n_channels * g->groups >= ENOUGH_TILES || cut.channels <= MIN_CHANNELS)
        break;
      cut.channels = round_up (ceil_div (cut.channels, 2), 16);
    }
  return cut;
}

static gsize
columns_floats (const Cut *cut)
{
  if (cut->images > 1)
    return cut->depth * cut->images * cut->positions + HT_IM2COL_SLACK;
  return cut->pointwise ? 0 : cut->depth * MIN (cut->tile, cut->positions) + HT_IM2COL_SLACK;
}

static gsize
result_floats (const Cut *cut)
{
  return cut->images > 1 ? cut->channels * cut->images * cut->positions : 0;
}

gsize
ht_kernel_conv_slice (const HtConvGeometry *g)
{
  if (is_depthwise (g))
    return ht_kernel_depthwise_slice (g);
  Cut cut = cut_of (g);
  return round_up (columns_floats (&cut), 16) * sizeof (float) + round_up (result_floats (&cut), 16) * sizeof (float);
}

typedef struct
{
  const HtConvGeometry *geometry;
  Cut cut;
  const float *x, *w, *bias;
  const HtEpilogue *e; /* nullable */
  float *y;
  char *scratch;
  gsize slice;
} Work;

/* `n` elements of each of some channels of y, which begin `at` floats into it; the sums lie x_step apart. */
static void
finish (const Work *work, gsize at, gsize channel, gsize n_channels, gsize n, const float *x, gsize x_step)
{
  const float *residual = work->e->residual;

  HT_ISA_PICK (ht_plain_affine_kernels)
      ->rows (channel, n_channels, n, x, x_step, work->e, residual ? residual + at : NULL, work->y + at,
              work->cut.positions);
}

static void
fill_rows (float *rows, gsize n_rows, gsize n, gsize ld, const float *bias)
{
  for (gsize r = 0; r < n_rows; r++)
    for (gsize i = 0; i < n; i++)
      rows[r * ld + i] = bias[r];
}

/* One image, part of its positions. */
static void
run_part (const Work *work, gsize image, gsize group, gsize tile, gsize channel, gsize n_channels, float *columns)
{
  const HtConvGeometry *g = work->geometry;
  const Cut *cut = &work->cut;
  gsize begin = tile * cut->tile, n = MIN (cut->tile, cut->positions - begin);
  gsize group_channels = g->in_channels / g->groups;
  const float *x = work->x + (image * g->in_channels + group * group_channels) * ht_conv_volume (g->in);
  gsize at = (image * g->out_channels + channel) * cut->positions + begin;
  float *y = work->y + at;
  HtGemmShape shape = { .m = n_channels,
                        .n = n,
                        .k = cut->depth,
                        .lda = cut->depth,
                        .ldc = cut->positions,
                        .alpha = 1.0f,
                        .beta = work->bias ? 1.0f : 0.0f };

  if (cut->pointwise)
    {
      columns = (float *)x + begin;
      shape.ldb = cut->positions;
    }
  else
    {
      shape.ldb = n;
      ht_kernel_im2col (g, group_channels, x, begin, begin + n, columns, n);
    }
  if (work->bias)
    fill_rows (y, n_channels, n, cut->positions, work->bias + channel);
  ht_kernel_gemm (&shape, work->w + channel * cut->depth, columns, y);
  if (work->e)
    finish (work, at, channel, n_channels, n, y, cut->positions);
}

/* Several small images side by side: the product goes to scratch memory and is dealt out. */
static void
run_merged (const Work *work, gsize first, gsize group, gsize channel, gsize n_channels, float *columns)
{
  const HtConvGeometry *g = work->geometry;
  const Cut *cut = &work->cut;
  gsize n_images = MIN (cut->images, g->batch - first), n = n_images * cut->positions;
  gsize group_channels = g->in_channels / g->groups, volume = ht_conv_volume (g->in);
  float *result = columns + round_up (columns_floats (cut), 16);
  HtGemmShape shape = { .m = n_channels,
                        .n = n,
                        .k = cut->depth,
                        .lda = cut->depth,
                        .ldb = n,
                        .ldc = n,
                        .alpha = 1.0f,
                        .beta = work->bias ? 1.0f : 0.0f };

  for (gsize i = 0; i < n_images; i++)
    {
      const float *x = work->x + ((first + i) * g->in_channels + group * group_channels) * volume;
      ht_kernel_im2col (g, group_channels, x, 0, cut->positions, columns + i * cut->positions, n);
    }
  if (work->bias)
    fill_rows (result, n_channels, n, n, work->bias + channel);
  ht_kernel_gemm (&shape, work->w + channel * cut->depth, columns, result);
  for (gsize i = 0; i < n_images; i++)
    {
      gsize at = ((first + i) * g->out_channels + channel) * cut->positions;
      const float *from = result + i * cut->positions;
      if (work->e)
        finish (work, at, channel, n_channels, cut->positions, from, n);
      else
        for (gsize c = 0; c < n_channels; c++)
          memcpy (work->y + at + c * cut->positions, from + c * n, cut->positions * sizeof (float));
    }
}

static void
run_tiles (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  const Cut *cut = &work->cut;
  float *columns = (float *)(gpointer)(work->scratch + worker * work->slice);

  for (gsize item = begin; item < end; item++)
    {
      gsize rest = item;
      gsize block = rest % cut->n_channels * cut->channels;
      rest /= cut->n_channels;
      gsize tile = rest % cut->n_tiles;
      rest /= cut->n_tiles;
      gsize group = rest % work->geometry->groups;
      gsize image = rest / work->geometry->groups * cut->images;
      gsize n_channels = MIN (cut->channels, cut->out_channels - block);
      gsize channel = group * cut->out_channels + block;
      if (cut->images > 1)
        run_merged (work, image, group, channel, n_channels, columns);
      else
        run_part (work, image, group, tile, channel, n_channels, columns);
    }
}

static gboolean
is_empty (const HtConvGeometry *g)
{
  return ht_conv_volume (g->out) == 0 || g->batch == 0 || g->out_channels == 0;
}

static void
run (Work *work, guint n_slices)
{
  const HtConvGeometry *g = work->geometry;

  work->cut = cut_of (g);
  work->slice = ht_kernel_conv_slice (g);
  const Cut *cut = &work->cut;
  gsize n_items = cut->n_images * g->groups * cut->n_tiles * cut->n_channels;
  double flops = 2.0 * (double)(cut->images * cut->tile * cut->depth * cut->channels);
  gsize grain = (gsize)CLAMP (1e6 / MAX (flops, 1.0), 1.0, 1e6);
  ht_parallel_for_limited (n_items, grain, work->slice ? MAX (n_slices, 1) : HT_THREAD_POOL_MAX_SIZE, run_tiles, work);
}

void
ht_kernel_conv (const HtConvGeometry *g, const float *x, const float *w, const float *bias, float *y, gpointer scratch,
                guint n_slices)
{
  Work work = { .geometry = g, .x = x, .w = w, .bias = bias, .y = y, .scratch = scratch };

  if (is_empty (g))
    return;
  if (is_depthwise (g))
    ht_kernel_depthwise (g, x, w, bias, y, scratch, n_slices);
  else
    run (&work, n_slices);
}

void
ht_kernel_conv_with_epilogue (const HtConvGeometry *g, const float *x, const float *w, const HtEpilogue *e, float *y,
                              gpointer scratch, guint n_slices)
{
  Work work = { .geometry = g, .x = x, .w = w, .e = e, .y = y, .scratch = scratch };

  if (!is_empty (g))
    run (&work, n_slices);
}
