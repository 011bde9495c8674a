/* SPDX-License-Identifier: MIT */
/* Counts of values by their place on a line. */
#pragma once

#include <glib.h>

#define HT_KERNEL_HISTOGRAM_BINS 2048

/* Adds each value to the bin floor (x / width), taken modulo the number of bins. The width is a power of two from
 * 2^-120 to 2^120; the quotients are below 2^31. */
void ht_kernel_histogram (const float *x, gsize n, float width, guint64 *counts);
