/* SPDX-License-Identifier: MIT */
/* Convolutions of float arrays in NC(D)(H)W order. The geometry is all that the kernel knows; which way it goes follows
 * from it, never from the number of threads. */
#pragma once

#include <glib.h>

#define HT_CONV_AXES 3

typedef struct _HtEpilogue HtEpilogue;

/* One and two spatial axes are three with 1 in front. */
typedef struct
{
  gsize batch, groups;
  gsize in_channels, out_channels; /* of all groups together */
  gsize in[HT_CONV_AXES], out[HT_CONV_AXES];
  gsize kernel[HT_CONV_AXES], stride[HT_CONV_AXES], dilation[HT_CONV_AXES];
  gint64 pad[HT_CONV_AXES]; /* at the beginning; what is missing at the end is zero as well. Negative: cropped */
} HtConvGeometry;

/* Bytes of scratch memory for one worker. */
gsize ht_kernel_conv_slice (const HtConvGeometry *geometry);
/* y[n][o] = bias[o] + sum of w[o][c][k] * x[n][c]. `bias` may be NULL. `scratch` holds n_slices slices, at least one.
 */
void ht_kernel_conv (const HtConvGeometry *geometry, const float *x, const float *w, const float *bias, float *y,
                     gpointer scratch, guint n_slices);
/* The same without a bias and with an epilogue (blocked.h) whose residual, in the layout of y, may not be y itself. Not
 * for one input channel in each group. */
void ht_kernel_conv_with_epilogue (const HtConvGeometry *geometry, const float *x, const float *w, const HtEpilogue *e,
                                   float *y, gpointer scratch, guint n_slices);

/* The transposed operation: `in` and `in_channels` are those of x, w is [in_channels][out_channels / groups][kernel].
 */
gsize ht_kernel_conv_transpose_slice (const HtConvGeometry *geometry);
void ht_kernel_conv_transpose (const HtConvGeometry *geometry, const float *x, const float *w, const float *bias,
                               float *y, gpointer scratch, guint n_slices);

/* One input channel for each group: depthwise-convolution.c */
gsize ht_kernel_depthwise_slice (const HtConvGeometry *geometry);
void ht_kernel_depthwise (const HtConvGeometry *geometry, const float *x, const float *w, const float *bias, float *y,
                          gpointer scratch, guint n_slices);

static inline gsize
ht_conv_volume (const gsize axes[HT_CONV_AXES])
{
  return axes[0] * axes[1] * axes[2];
}
