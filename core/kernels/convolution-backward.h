/* SPDX-License-Identifier: MIT */
/* Gradients of convolutions in the plain layout. `geometry` is that of the convolution that leads from `large`,
 * [batch][in_channels][in], to `small`, [batch][out_channels][out]; w is [out_channels][in_channels / groups][kernel].
 * For a transposed convolution, whose y is the large one, it is the matching convolution's. */
#pragma once

#include "kernels/convolution.h"

/* large = what small puts there through w. */
gsize ht_kernel_conv_to_large_slice (const HtConvGeometry *geometry);
void ht_kernel_conv_to_large (const HtConvGeometry *geometry, const float *small, const float *w, float *large,
                              gpointer scratch, guint n_slices);
/* dw = sum over images and positions of small * large. The workspace has two parts: partial sums, whose number follows
 * from the geometry, and a slice for each worker. */
gsize ht_kernel_conv_weights_partial (const HtConvGeometry *geometry);
gsize ht_kernel_conv_weights_slice (const HtConvGeometry *geometry);
void ht_kernel_conv_weights (const HtConvGeometry *geometry, const float *large, const float *small, float *dw,
                             gpointer partial, gpointer scratch, guint n_slices);

/* Plain loops in double. */
void ht_kernel_conv_to_large_double (const HtConvGeometry *geometry, const double *small, const double *w,
                                     double *large);
void ht_kernel_conv_weights_double (const HtConvGeometry *geometry, const double *large, const double *small,
                                    double *dw);
