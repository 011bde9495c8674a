/* SPDX-License-Identifier: MIT */
/* Counts of values by their place on a line. */
#pragma once

#include <glib.h>

#define HT_KERNEL_HISTOGRAM_BINS 2048

/* Adds each value to the bin floor (x * inverse_width), taken modulo the number of bins. The products are below 2^31.
 */
void ht_kernel_histogram (const float *x, gsize n, float inverse_width, guint64 *counts);
