/* SPDX-License-Identifier: MIT */
/* Sums with a fixed order: LANES partial sums, then a tree. */
#pragma once

#include <glib.h>

#define HT_REDUCE_LANES 16

static inline float
ht_reduce_tree (float *lanes)
{
  for (int width = HT_REDUCE_LANES / 2; width > 0; width /= 2)
    for (int i = 0; i < width; i++)
      lanes[i] += lanes[i + width];
  return lanes[0];
}

/* Sum of `term`, an expression in x[i_]. */
#define HT_REDUCE_SUM(result, n, term)                                                                                 \
  do                                                                                                                   \
    {                                                                                                                  \
      float lanes_[HT_REDUCE_LANES] = { 0.0f };                                                                        \
      gsize base_ = 0;                                                                                                 \
      for (; base_ + HT_REDUCE_LANES <= (n); base_ += HT_REDUCE_LANES)                                                 \
        for (gsize lane_ = 0; lane_ < HT_REDUCE_LANES; lane_++)                                                        \
          {                                                                                                            \
            gsize i_ = base_ + lane_;                                                                                  \
            lanes_[lane_] += (term);                                                                                   \
          }                                                                                                            \
      for (gsize i_ = base_; i_ < (n); i_++)                                                                           \
        lanes_[i_ - base_] += (term);                                                                                  \
      (result) = ht_reduce_tree (lanes_);                                                                              \
    }                                                                                                                  \
  while (0)
