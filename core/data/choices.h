/* SPDX-License-Identifier: MIT */
/* What a network's output chooses. */
#pragma once

#include <halftone/tensor.h>

/* How many classes the scores of a sample have: everything but the first axis, of which one may be longer than 1. */
gsize ht_count_classes (HtTensor *scores, guint batch);
/* The scores that an arg max is taken of: the classes of a sample, or the last axis where there are more axes (anchors,
 * positions). 0: none. */
gsize ht_count_choices (HtTensor *scores, guint batch);
/* The first of the largest, as argmax does; NaN is never the largest. */
gsize ht_find_best_class (const float *scores, gsize n);
/* The Kullback-Leibler divergence of one distribution over n classes from another, in nats. Scores that are no
 * distributions become such by softmax. NaN scores: infinite. */
double ht_divergence (const float *expected, const float *scores, gsize n);
