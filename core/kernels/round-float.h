/* SPDX-License-Identifier: MIT */
/* Rounding of float arrays to narrower floating-point formats: the values that a cast there and back gives, to nearest,
 * ties to even, in one rounding, subnormals kept. Beyond the largest value float16 and bfloat16 become infinite, as
 * IEEE 754 rounds; the formats of 8 bits keep their largest value, as Cast and QuantizeLinear of ONNX do with
 * `saturate`. NaN stays NaN. x and y may be the same array. */
#pragma once

#include <glib.h>

typedef enum
{
  HT_KERNEL_FLOAT16,
  HT_KERNEL_BFLOAT16,
  HT_KERNEL_FLOAT8E4M3FN,
  HT_KERNEL_FLOAT8E5M2,
} HtKernelFloat;

/* The largest finite value of a format. */
float ht_kernel_float_get_largest (HtKernelFloat format);
/* y = round (x / scale) * scale, with a true division. */
void ht_kernel_round_float (HtKernelFloat format, const float *x, float *y, gsize n, float scale);
/* The same for one thread, where a caller has cut the work. */
void ht_kernel_round_float_run (HtKernelFloat format, const float *x, float *y, gsize n, float scale);
