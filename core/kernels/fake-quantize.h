/* SPDX-License-Identifier: MIT */
/* Quantization of float arrays. A grid is scale * (q + offset) with q in [0, n_steps] and offset an integer <= 0.
 *
 * q = rint (x / scale) - offset, clamped; halves round to even and the division is a true one, so the results are those
 * of ONNX QuantizeLinear and DequantizeLinear bit for bit. Infinities clamp. ONNX leaves NaN open: it becomes the
 * smallest value of the grid, as in AIMET. x and y may be the same array. */
#pragma once

#include <glib.h>

void ht_kernel_fake_quantize (const float *x, float *y, gsize n, float scale, float offset, float n_steps);
/* x is [outer, channels, inner], with one grid for each channel. */
void ht_kernel_fake_quantize_channels (const float *x, float *y, gsize outer, gsize channels, gsize inner,
                                       const float *scales, const float *offsets, float n_steps);

/* The same with halves rounded up: q = floor (x / scale - offset + 1/2). */
void ht_kernel_fake_quantize_up (const float *x, float *y, gsize n, float scale, float offset, float n_steps);

/* For grids of more steps than a float counts: only the division is done in single precision. */
void ht_kernel_fake_quantize_wide (const float *x, float *y, gsize outer, gsize channels, gsize inner,
                                   const float *scales, const gint64 *offsets, double n_steps);

/* The integers q + offset, as floats. */
void ht_kernel_quantize_float (const float *x, float *y, gsize n, float scale, float offset, float n_steps);
/* The codes q themselves, for export; with `shift` added, which turns them into signed ones (-2^(bits-1)). */
void ht_kernel_quantize_uint8 (const float *x, guint8 *q, gsize n, float scale, float offset, float n_steps);
void ht_kernel_quantize_int32 (const float *x, gint32 *q, gsize n, float scale, float offset, float n_steps,
                               gint32 shift);
void ht_kernel_quantize_channels_int32 (const float *x, gint32 *q, gsize outer, gsize channels, gsize inner,
                                        const float *scales, const float *offsets, float n_steps, gint32 shift);
