/* SPDX-License-Identifier: MIT */
/* Transposed convolution: products that give the columns, which are then added where they belong. */
#include "kernels/convolution.h"

#include "base/thread-pool.h"
#include "kernels/gemm.h"
#include "kernels/im2col.h"

/* Floats of the product that a tile aims at. */
#define TILE_FLOATS ((gsize)256 * 1024)

typedef struct
{
  HtConvGeometry matching; /* the convolution that leads from y to x */
  gsize groups, group_in, group_out, positions, volume_out, kernel;
  gsize channels, n_blocks; /* output channels of one tile */
  const float *x, *w, *bias;
  float *y;
  char *scratch;
  gsize slice;
} Work;

static void
cut (const HtConvGeometry *g, Work *work)
{
  work->matching = *g;
  for (int axis = 0; axis < HT_CONV_AXES; axis++)
    {
      work->matching.in[axis] = g->out[axis];
      work->matching.out[axis] = g->in[axis];
    }
  work->groups = g->groups;
  work->group_in = g->in_channels / g->groups;
  work->group_out = g->out_channels / g->groups;
  work->positions = ht_conv_volume (g->in);
  work->volume_out = ht_conv_volume (g->out);
  work->kernel = ht_conv_volume (g->kernel);
  work->channels = TILE_FLOATS / MAX (work->positions * work->kernel, 1);
  work->channels = CLAMP (work->channels, 1, MAX (work->group_out, 1));
  work->n_blocks = (work->group_out + work->channels - 1) / work->channels;
  work->slice = (work->channels * work->kernel * work->positions * sizeof (float) + 63) & ~(gsize)63;
}

gsize
ht_kernel_conv_transpose_slice (const HtConvGeometry *g)
{
  Work work;
  cut (g, &work);
  return work.slice;
}

/* An item is an image, a group and a block of output channels: nobody else adds to its part of y. */
static void
run_blocks (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  float *columns = (float *)(gpointer)(work->scratch + worker * work->slice);

  for (gsize item = begin; item < end; item++)
    {
      gsize block = item % work->n_blocks * work->channels;
      gsize group = item / work->n_blocks % work->groups;
      gsize image = item / work->n_blocks / work->groups;
      gsize n_channels = MIN (work->channels, work->group_out - block);
      gsize channel = group * work->group_out + block;
      gsize row = work->group_out * work->kernel;
      const float *x = work->x + (image * work->groups + group) * work->group_in * work->positions;
      const float *w = work->w + group * work->group_in * row + block * work->kernel;
      float *y = work->y + (image * work->groups * work->group_out + channel) * work->volume_out;
      HtGemmShape shape = { .transpose_a = TRUE,
                            .m = n_channels * work->kernel,
                            .n = work->positions,
                            .k = work->group_in,
                            .lda = row,
                            .ldb = work->positions,
                            .ldc = work->positions,
                            .alpha = 1.0f };
      ht_kernel_gemm (&shape, w, x, columns);
      for (gsize c = 0; c < n_channels; c++)
        for (gsize i = 0; i < work->volume_out; i++)
          y[c * work->volume_out + i] = work->bias ? work->bias[channel + c] : 0.0f;
      ht_kernel_col2im (&work->matching, n_channels, columns, y);
    }
}

void
ht_kernel_conv_transpose (const HtConvGeometry *g, const float *x, const float *w, const float *bias, float *y,
                          gpointer scratch, guint n_slices)
{
  Work work;

  cut (g, &work);
  work.x = x;
  work.w = w;
  work.bias = bias;
  work.y = y;
  work.scratch = scratch;
  ht_parallel_for_limited (g->batch * g->groups * work.n_blocks, 1, MAX (n_slices, 1), run_blocks, &work);
}
