/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/halftone.h>

G_BEGIN_DECLS

/* The mean of what a layer reads in each of its input channels, from the statistics of the batch norm before it and the
 * activations between (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction",
 * appendix D): a channel is taken for normal with mean beta and deviation |gamma|. Where nothing, or nothing but Relu
 * and Clip, lies between, the mean is that of a clipped normal; other activations are integrated numerically.
 *
 * NULL when it cannot be told, with the reason in `why` (transfer full). */
double *expectation_of_input (HtLayer *layer, HtBatchnormStatistics *statistics, gsize *n_channels, char **why);

/* The mean of a normal variable cut off below `low` and above `high`, either of which may be infinite. */
double expectation_of_clipped (double mean, double deviation, double low, double high);

G_END_DECLS
