/* SPDX-License-Identifier: MIT */
#pragma once

#include "kernels/convolution.h"

/* Gathers what output positions [begin, end) of one image and group read: `x` is [channels][in], row
 * (channel, kernel position) of `columns` has end - begin elements, rows are `ld` apart. Where that is end - begin,
 * HT_IM2COL_SLACK floats behind the last row are written too. */
#define HT_IM2COL_SLACK ((gsize)32)
void ht_kernel_im2col (const HtConvGeometry *geometry, gsize channels, const float *x, gsize begin, gsize end,
                       float *columns, gsize ld);
/* The inverse sum: adds all columns (all positions of `small`, the output of the matching convolution) to `y`, which is
 * [channels][large]. `geometry->in` are the axes of y, `out` those of the columns. */
void ht_kernel_col2im (const HtConvGeometry *geometry, gsize channels, const float *columns, float *y);
