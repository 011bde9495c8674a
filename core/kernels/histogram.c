/* SPDX-License-Identifier: MIT */
#include "kernels/histogram.h"

#include "base/thread-pool.h"
#include "kernels/vectorize.h"

#define CHUNK  1024
#define TABLES 4

/* Truncation, and one less where that went up: floor without a function. The edge is compared with the value, not with
 * the product, which is zero for the smallest ones. */
HT_VECTORIZE static void
find_bins (const float *x, gsize n, float width, guint16 *bins)
{
  float inverse_width = 1.0f / width;

  for (gsize i = 0; i < n; i++)
    {
      gint32 bin = (gint32)(x[i] * inverse_width);
      bin -= x[i] < (float)bin * width ? 1 : 0;
      bins[i] = (guint16)(bin & (HT_KERNEL_HISTOGRAM_BINS - 1));
    }
}

typedef struct
{
  const float *x;
  gsize n;
  float width;
  guint64 *counts;
  GMutex lock;
} Work;

/* Neighbours often fall into one bin (zeros): with a table for each of four in turn, none waits for the one before.
 * Sums of integers do not depend on the partition. */
static void
count_blocks (gsize begin, gsize end, guint worker, gpointer user_data)
{
  Work *work = user_data;
  guint32 tables[TABLES][HT_KERNEL_HISTOGRAM_BINS] = { { 0 } };
  gsize stop = MIN (end * HT_KERNEL_GRAIN, work->n);
  guint16 bins[CHUNK];

  for (gsize at = begin * HT_KERNEL_GRAIN; at < stop; at += CHUNK)
    {
      gsize n = MIN (CHUNK, stop - at), i = 0;
      find_bins (work->x + at, n, work->width, bins);
      for (; i + TABLES <= n; i += TABLES)
        for (gsize table = 0; table < TABLES; table++)
          tables[table][bins[i + table]]++;
      for (; i < n; i++)
        tables[0][bins[i]]++;
    }
  g_mutex_lock (&work->lock);
  for (gsize bin = 0; bin < HT_KERNEL_HISTOGRAM_BINS; bin++)
    work->counts[bin] += (guint64)tables[0][bin] + tables[1][bin] + tables[2][bin] + tables[3][bin];
  g_mutex_unlock (&work->lock);
}

void
ht_kernel_histogram (const float *x, gsize n, float width, guint64 *counts)
{
  Work work = { .x = x, .n = n, .width = width, .counts = counts };

  /* The tables would cost more than they save. */
  if (n < 4 * HT_KERNEL_HISTOGRAM_BINS)
    {
      guint16 bins[4 * HT_KERNEL_HISTOGRAM_BINS];
      find_bins (x, n, width, bins);
      for (gsize i = 0; i < n; i++)
        counts[bins[i]]++;
      return;
    }
  g_mutex_init (&work.lock);
  ht_parallel_for ((n + HT_KERNEL_GRAIN - 1) / HT_KERNEL_GRAIN, 4, count_blocks, &work);
  g_mutex_clear (&work.lock);
}
