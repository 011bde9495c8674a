/* SPDX-License-Identifier: MIT */
/* Pooling of planes: `geometry` as for convolutions, in_channels planes an image; groups and out_channels are not used.
 */
#pragma once

#include "kernels/convolution.h"

/* Positions of the padding count for the average? `pad_end` is needed to know where the padding ends. */
typedef struct
{
  HtConvGeometry geometry;
  gsize pad_end[HT_CONV_AXES];
  gboolean count_padding;
  gboolean column_major; /* of the indices */
} HtPoolGeometry;

/* `indices` may be NULL; they count elements of the whole of x. NaN wins over numbers. */
void ht_kernel_max_pool_float (const HtPoolGeometry *pool, const float *x, float *y, gint64 *indices);
void ht_kernel_max_pool_double (const HtPoolGeometry *pool, const double *x, double *y, gint64 *indices);
void ht_kernel_max_pool_int8 (const HtPoolGeometry *pool, const gint8 *x, gint8 *y, gint64 *indices);
void ht_kernel_max_pool_uint8 (const HtPoolGeometry *pool, const guint8 *x, guint8 *y, gint64 *indices);
void ht_kernel_average_pool (const HtPoolGeometry *pool, const float *x, float *y);
/* Rows of `n` elements; the mean is summed in a fixed order. */
void ht_kernel_row_means (const float *x, gsize n_rows, gsize n, float *means);
void ht_kernel_row_maxima (const float *x, gsize n_rows, gsize n, float *maxima);
