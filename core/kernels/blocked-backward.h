/* SPDX-License-Identifier: MIT */
/* Gradients of the kernels of blocked.h. Arrays are laid out as there; weights and their gradients are in plain order.
 * A gradient named d... is overwritten, never added to; lanes beyond the last channel of a dx are finite, whatever dy
 * holds there. Sums are cut by shapes alone and added in a fixed order: same bytes at any number of threads.
 *
 * `workspace`: 64-byte aligned memory of as many bytes as the function of the same name with _workspace says; it
 * depends on shapes alone and may be NULL where that is 0. */
#pragma once

#include "kernels/blocked.h"

/* Convolutions: blocked-conv-data-backward.c, blocked-conv-weight-backward.c. `geometry` is that of the forward pass.
 * TRUE: both gradients are there. Supported are the geometries of ht_blocked_conv_supports(), any stride and dilation.
 */
gboolean ht_blocked_conv_backward_supports (const HtConvGeometry *geometry, gboolean plain_input);
/* dx from dy and w, [out_channels][in_channels / groups][kernel]. `n_slices` is the number of workers that the
 * workspace was asked for. With plain_input dx is plain and the way there is slow: nobody trains an image. */
gsize ht_blocked_conv_data_backward_workspace (const HtConvGeometry *geometry, gboolean plain_input, guint n_slices);
void ht_blocked_conv_data_backward (const HtConvGeometry *geometry, gboolean plain_input, const float *dy,
                                    const float *w, float *dx, gpointer workspace, guint n_slices);
/* dw from x (blocked, or plain with plain_input) and dy. */
gsize ht_blocked_conv_weight_backward_workspace (const HtConvGeometry *geometry, gboolean plain_input);
void ht_blocked_conv_weight_backward (const HtConvGeometry *geometry, gboolean plain_input, const float *x,
                                      const float *dy, float *dw, gpointer workspace);

/* sums[c]: what a bias gets. blocked-affine-backward.c */
gsize ht_blocked_channel_sums_workspace (gsize batch, gsize channels, gsize positions);
void ht_blocked_channel_sums (gsize batch, gsize channels, gsize positions, const float *dy, float *sums,
                              gpointer workspace);

/* Pools: blocked-pool-backward.c. The whole gradient of a maximum goes to the first element of the window that has it,
 * as in the indices of MaxPool; NaN is the greatest. */
void ht_blocked_max_pool_backward (const HtPoolGeometry *pool, const float *x, const float *dy, float *dx);
void ht_blocked_average_pool_backward (const HtPoolGeometry *pool, const float *dy, float *dx);
/* dy is [batch][channels], plain. */
void ht_blocked_global_average_pool_backward (gsize batch, gsize channels, gsize positions, const float *dy, float *dx);
void ht_blocked_global_max_pool_backward (gsize batch, gsize channels, gsize positions, const float *x, const float *dy,
                                          float *dx);

/* Batch normalization in training mode: blocked-batch-norm.c.
 * mean[c] and variance[c] (the biased one) are outputs of forward, which backward wants back. `e` gives what follows
 * (residual, activation, grids); its scale and shift are not used. */
gsize ht_blocked_batch_norm_workspace (gsize batch, gsize channels, gsize positions);
void ht_blocked_batch_norm (gsize batch, gsize channels, gsize positions, const float *x, const float *scale,
                            const float *shift, float epsilon, const HtEpilogue *e, float *mean, float *variance,
                            float *y, gpointer workspace);
/* `dy` is the gradient of the normalization's own output, or, where `y` is not NULL, that of y = clamp (output +
 * residual) to [low, high]: it then counts where low < y < high, and d_residual (nullable) gets what is left of it.
 * One of dx and d_residual may be dy. */
gsize ht_blocked_batch_norm_backward_workspace (gsize batch, gsize channels, gsize positions);
void ht_blocked_batch_norm_backward (gsize batch, gsize channels, gsize positions, const float *x, const float *scale,
                                     float epsilon, const float *mean, const float *variance, const float *y, float low,
                                     float high, const float *dy, float *dx, float *dscale, float *dshift,
                                     float *d_residual, gpointer workspace);

/* Element by element: activation-backward.c and blocked-elementwise-backward.c. `n` counts floats of whole blocks
 * (ht_blocked_floats()), or of any plain array. dx may be dy. */
/* y += x */
void ht_kernel_accumulate (gsize n, const float *x, float *y);
/* dx = dy where low < source < high, else 0; a source of NaN blocks. `source` may be the input or the output of the
 * clamp. */
void ht_kernel_clamp_backward (gsize n, float low, float high, const float *source, const float *dy, float *dx);
/* Any activation of the epilogue. `source` is the output y for CLAMP, LEAKY (slope > 0), SIGMOID, TANH and
 * HARD_SIGMOID, and the input x for HARD_SWISH, SWISH, GELU and GELU_TANH. */
void ht_kernel_activation_backward (gsize n, const HtEpilogue *e, const float *source, const float *dy, float *dx);
/* Of y = scale[c] * x + shift[c]; each of dx, dscale and dshift may be NULL. blocked-affine-backward.c */
gsize ht_blocked_affine_backward_workspace (gsize batch, gsize channels, gsize positions);
void ht_blocked_affine_backward (gsize batch, gsize channels, gsize positions, const float *x, const float *scale,
                                 const float *dy, float *dx, float *dscale, float *dshift, gpointer workspace);
/* Of y = a * b, with b as in ht_blocked_multiply(); da and db may be NULL. */
void ht_blocked_multiply_backward (gsize batch, gsize channels, gsize positions, const float *a, const float *b,
                                   gboolean b_per_channel, const float *dy, float *da, float *db);
/* Of ht_blocked_copy_channels(): `channels` channels from `first` on of dy, which has `y_channels`. Also how Split and
 * Slice take channels. */
void ht_blocked_take_channels (gsize batch, gsize channels, gsize positions, const float *dy, gsize first,
                               gsize y_channels, float *dx);
void ht_blocked_upsample_nearest_backward (gsize batch, gsize channels, const gsize in[2], const gsize factor[2],
                                           const float *dy, float *dx);
void ht_blocked_slice_backward (const HtBlockedSlice *slice, const float *dy, float *dx);

/* Fake quantization, straight through: fake-quantize-backward.c. `x` is what went in, of [outer, channels, inner] with
 * a grid for each channel (channels 1: one for the tensor), as in fake-quantize.h. Where rint (x / scale) lies on the
 * grid dx = dy and the scale gets dy * (rint (x / scale) - x / scale); beyond its ends dx = 0, the scale gets dy * (the
 * end's code with offset) and the offset dy * scale. NaN counts as beyond the lower end. dx may be dy; dx may be NULL,
 * and so may dscales and doffsets, [channels] each. */
gsize ht_kernel_fake_quantize_backward_workspace (gsize outer, gsize channels, gsize inner);
void ht_kernel_fake_quantize_backward (gsize outer, gsize channels, gsize inner, const float *scales,
                                       const float *offsets, float n_steps, const float *x, const float *dy, float *dx,
                                       float *dscales, float *doffsets, gpointer workspace);
/* The same for a blocked tensor with one grid; dscale and doffset are single numbers. */
gsize ht_blocked_fake_quantize_backward_workspace (gsize batch, gsize channels, gsize positions);
void ht_blocked_fake_quantize_backward (gsize batch, gsize channels, gsize positions, const HtGrid *grid,
                                        const float *x, const float *dy, float *dx, float *dscale, float *doffset,
                                        gpointer workspace);
