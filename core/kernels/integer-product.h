/* SPDX-License-Identifier: MIT */
/* Exact products of small integers, as quantized networks have them: 16-bit operands from which the zero points are
 * taken off already, 32-bit sums that wrap. */
#pragma once

#include "kernels/convolution.h"

/* c[m][n] = a[m][k] * b[k][n] */
void ht_kernel_integer_product (gsize m, gsize n, gsize k, const gint16 *a, const gint16 *b, gint32 *c);
/* Padding is 0, the zero point. */
void ht_kernel_integer_conv (const HtConvGeometry *geometry, const gint16 *x, const gint16 *w, gint32 *y);
