/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/* Over the middle axis of [outer, n, inner]. x and y may be the same. */
void ht_kernel_softmax (const float *x, float *y, gsize outer, gsize n, gsize inner, gboolean logarithm);
