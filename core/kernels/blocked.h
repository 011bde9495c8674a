/* SPDX-License-Identifier: MIT */
/* Kernels of float tensors in the blocked layout [batch][blocks][positions][block]: `block` channels (ht_isa_get_block)
 * lie side by side, blocks = ceil (channels / block), positions are the spatial axes in their order. Lanes beyond the
 * last channel hold finite values that no kernel lets through to a channel. Arrays are 64-byte aligned.
 *
 * Every kernel runs over the pool itself, cut by shapes alone. */
#pragma once

#include "kernels/convolution.h"
#include "kernels/pool.h"

/* A grid as in fake-quantize.h, one for the whole tensor. `unit` is what q + offset is multiplied with at the end: 0
 * stands for `scale`, 1 leaves the integers. */
typedef struct
{
  float scale, offset, n_steps, unit;
} HtGrid;

#define HT_GRID_MAX_STEPS 4194303.0f /* 22 bits: wider ones these kernels do not round exactly */

typedef enum
{
  HT_ACTIVATION_NONE,
  HT_ACTIVATION_CLAMP, /* to [low, high]; NaN stays */
  HT_ACTIVATION_LEAKY, /* slope * x below zero */
  HT_ACTIVATION_SIGMOID,
  HT_ACTIVATION_TANH,
  HT_ACTIVATION_HARD_SIGMOID, /* max (0, min (1, slope * x + low)) */
  HT_ACTIVATION_HARD_SWISH,
  HT_ACTIVATION_SWISH, /* x * sigmoid (x) */
  HT_ACTIVATION_GELU,  /* x / 2 * (1 + erf (x / sqrt 2)) */
  HT_ACTIVATION_GELU_TANH,
} HtActivation;

/* What happens to an element on its way from the accumulator to memory, in this order:
 * y = quantize (activate (inner_quantize (scale[c] * sum + shift[c]) + residual)). Quantization has the bits of
 * ht_kernel_fake_quantize(). */
struct _HtEpilogue
{
  const float *scale;       /* for each channel, filled up to whole blocks; NULL: 1 */
  const float *shift;       /* likewise; NULL: 0 */
  gboolean shift_first;     /* scale[c] * (sum + shift[c]), for sums of integers; convolutions and products only */
  const HtGrid *inner_grid; /* NULL: none */
  const float *residual;    /* of the shape and layout of y; may be y itself; NULL: none */
  float residual_unit;      /* the residual holds multiples of it; 0: it is as it is */
  HtActivation activation;
  float low, high, slope;
  const HtGrid *grid; /* NULL: none */
  /* Then this happens to y, and so on, while it is in the cache; without residuals. Convolutions and elementwise
   * kernels only. NULL: nothing. */
  const HtEpilogue *next;
};

static inline gsize
ht_blocked_floats (gsize batch, gsize channels, gsize positions, gsize block)
{
  return batch * ((channels + block - 1) / block) * positions * block;
}

/* Layout changes; `e` (nullable) may quantize. blocked-reorder.c */
void ht_blocked_from_plain (gsize batch, gsize channels, gsize positions, const float *x, float *y,
                            const HtEpilogue *e);
void ht_blocked_to_plain (gsize batch, gsize channels, gsize positions, const float *x, float *y, const HtEpilogue *e);

/* From plain to blocked with the channels of `groups` groups taken in turn: channel i * groups + j of y is channel
 * j * (channels / groups) + i of x. */
void ht_blocked_shuffle_from_plain (gsize batch, gsize channels, gsize positions, gsize groups, const float *x,
                                    float *y);

/* Convolutions: blocked-conv.c. x is blocked, or plain NC(D)(H)W where `plain_input` (few input channels). Groups are
 * supported where the channels of a group are whole blocks, and depthwise (groups = in_channels = out_channels). e may
 * be NULL. */
gboolean ht_blocked_conv_supports (const HtConvGeometry *geometry, gboolean plain_input);
/* Geometries with the same weights and the same form read the same packed floats. */
gsize ht_blocked_conv_packed_form (const HtConvGeometry *geometry, gboolean plain_input);
gsize ht_blocked_conv_packed_floats (const HtConvGeometry *geometry, gboolean plain_input);
/* w is [out_channels][in_channels / groups][kernel]. */
void ht_blocked_conv_pack (const HtConvGeometry *geometry, gboolean plain_input, const float *w, float *packed);
/* Weights in another order: that of a kernel position from an input to an output channel of a group is
 * w[group * group_step + out * out_step + in * in_step + taps[position]]; taps NULL: the position itself. */
typedef struct
{
  const float *w;
  gsize group_step, out_step, in_step;
  const gsize *taps;
} HtWeightOrder;

void ht_blocked_conv_pack_order (const HtConvGeometry *geometry, gboolean plain_input, const HtWeightOrder *order,
                                 float *packed);
/* Bytes of scratch memory of one worker. */
gsize ht_blocked_conv_slice (const HtConvGeometry *geometry, gboolean plain_input);
void ht_blocked_conv (const HtConvGeometry *geometry, gboolean plain_input, const float *x, const float *packed,
                      const HtEpilogue *e, float *y, gpointer scratch, guint n_slices);

/* Products of a row-major m x k matrix with a constant k x n one, packed: blocked-gemm.c. scale and shift go by column
 * (filled up to whole blocks all the same), residual is row-major with ldc as c. e may be NULL. */
gsize ht_packed_gemm_floats (gsize k, gsize n);
void ht_packed_gemm_pack (gboolean transpose_b, gsize k, gsize n, const float *b, gsize ldb, float *packed);
void ht_packed_gemm (gsize m, gsize n, gsize k, const float *a, gsize lda, const float *packed, const HtEpilogue *e,
                     float *c, gsize ldc);

/* Pools: blocked-pool.c */
void ht_blocked_max_pool (const HtPoolGeometry *pool, const float *x, const HtEpilogue *e, float *y);
void ht_blocked_average_pool (const HtPoolGeometry *pool, const float *x, const HtEpilogue *e, float *y);
/* y is [batch][channels], plain (which is what [batch][channels][1][1] looks like). */
void ht_blocked_global_average_pool (gsize batch, gsize channels, gsize positions, const float *x, const HtEpilogue *e,
                                     float *y);
void ht_blocked_global_max_pool (gsize batch, gsize channels, gsize positions, const float *x, const HtEpilogue *e,
                                 float *y);

/* Element by element: blocked-elementwise.c. x and y may be the same. */
/* y = quantize (activate (scale[c] * x + shift[c] + residual)) */
void ht_blocked_affine (gsize batch, gsize channels, gsize positions, const float *x, const HtEpilogue *e, float *y);
/* The same of x = unit * codes */
void ht_blocked_affine_of_codes (gsize batch, gsize channels, gsize positions, const float *codes, float unit,
                                 const HtEpilogue *e, float *y);
/* The same in the plain layout [batch][channels][positions]: plain-affine.c */
void ht_plain_affine (gsize batch, gsize channels, gsize positions, const float *x, const HtEpilogue *e, float *y);
/* y = quantize (activate (a * b)); b may hold one value for each image and channel ([batch][blocks][1][block]). */
void ht_blocked_multiply (gsize batch, gsize channels, gsize positions, const float *a, const float *b,
                          gboolean b_per_channel, const HtEpilogue *e, float *y);
/* Copies a tensor of `channels` channels to those from `first` on of y, which has `y_channels`. A concatenation is some
 * of these. `first` need not be at a block's edge. */
void ht_blocked_copy_channels (gsize batch, gsize channels, gsize positions, const float *x, gsize first,
                               gsize y_channels, float *y);
/* The same through a grid (NULL: none); x holds multiples of `unit` (0: it holds values). */
void ht_blocked_quantize_channels (gsize batch, gsize channels, gsize positions, const float *x, float unit,
                                   const HtGrid *grid, gsize first, gsize y_channels, float *y);
/* Nearest enlargement by whole factors of the last two axes. */
void ht_blocked_upsample_nearest (gsize batch, gsize channels, const gsize in[2], const gsize factor[2], const float *x,
                                  float *y);
/* Every step[i]-th position from start[i] on of three spatial axes (the last ones; 1 in front), and zeros around the
 * channels: y has `y_channels`, of which those of x are the ones from `first` on. One Slice over spatial axes, or the
 * shortcut of a residual network that shrinks the image and pads channels. */
typedef struct
{
  gsize batch, channels, first, y_channels;
  gsize in[HT_CONV_AXES], out[HT_CONV_AXES], start[HT_CONV_AXES], step[HT_CONV_AXES];
} HtBlockedSlice;

void ht_blocked_slice (const HtBlockedSlice *slice, const float *x, float *y);
