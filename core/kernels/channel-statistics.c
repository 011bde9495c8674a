/* SPDX-License-Identifier: MIT */
#include "kernels/channel-statistics.h"

#include "base/thread-pool.h"
#include "kernels/vectorize.h"

typedef struct
{
  gconstpointer x;
  gsize outer, channels, inner;
  double *means, *variances;
} Work;

/* Two passes, so that nothing cancels. An item is one channel. */
#define DEFINE_STATISTICS(type)                                                                                        \
  static void run_##type (gsize begin, gsize end, guint worker, gpointer user_data)                                    \
  {                                                                                                                    \
    const Work *work = user_data;                                                                                      \
    double count = (double)(work->outer * work->inner);                                                                \
    for (gsize c = begin; c < end; c++)                                                                                \
      {                                                                                                                \
        double sum = 0.0, squares = 0.0;                                                                               \
        for (gsize o = 0; o < work->outer; o++)                                                                        \
          {                                                                                                            \
            const type *row = (const type *)work->x + (o * work->channels + c) * work->inner;                          \
            for (gsize i = 0; i < work->inner; i++)                                                                    \
              sum += (double)row[i];                                                                                   \
          }                                                                                                            \
        double mean = sum / count;                                                                                     \
        for (gsize o = 0; o < work->outer; o++)                                                                        \
          {                                                                                                            \
            const type *row = (const type *)work->x + (o * work->channels + c) * work->inner;                          \
            for (gsize i = 0; i < work->inner; i++)                                                                    \
              squares += ((double)row[i] - mean) * ((double)row[i] - mean);                                            \
          }                                                                                                            \
        work->means[c] = mean;                                                                                         \
        work->variances[c] = squares / count;                                                                          \
      }                                                                                                                \
  }                                                                                                                    \
  void ht_kernel_channel_statistics_##type (const type *x, gsize outer, gsize channels, gsize inner, double *means,    \
                                            double *variances)                                                         \
  {                                                                                                                    \
    Work work = { x, outer, channels, inner, means, variances };                                                       \
    ht_parallel_for (channels, MAX (1, HT_KERNEL_GRAIN / MAX (outer * inner, 1)), run_##type, &work);                  \
  }

DEFINE_STATISTICS (float)
DEFINE_STATISTICS (double)
