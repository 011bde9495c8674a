/* SPDX-License-Identifier: MIT */
/* Counts of values by their place on a line. */
#pragma once

#include <glib.h>

#define HT_KERNEL_HISTOGRAM_BINS 2048

/* Adds each value to the bin floor (x / width), taken modulo the number of bins. The width is a power of two from
 * 2^-120 to 2^120; the quotients are below 2^31. */
void ht_kernel_histogram (const float *x, gsize n, float width, guint64 *counts);
/* The same from a quarter of the values, each counted four times: of four stretches of neighbours one, which one
 * changes from four to four. What is left over is counted whole, so the counts add up to n. */
void ht_kernel_histogram_sampled (const float *x, gsize n, float width, guint64 *counts);
