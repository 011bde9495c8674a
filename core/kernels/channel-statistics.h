/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/* Mean and variance (divided by the count) of each channel of x, which is [outer, channels, inner]; summed in double in
 * a fixed order. */
void ht_kernel_channel_statistics_float (const float *x, gsize outer, gsize channels, gsize inner, double *means,
                                         double *variances);
void ht_kernel_channel_statistics_double (const double *x, gsize outer, gsize channels, gsize inner, double *means,
                                          double *variances);
