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
  if (n <= 2 * HT_KERNEL_HISTOGRAM_BINS)
    {
      guint16 bins[2 * HT_KERNEL_HISTOGRAM_BINS];
      find_bins (x, n, width, bins);
      for (gsize i = 0; i < n; i++)
        counts[bins[i]]++;
      return;
    }
  g_mutex_init (&work.lock);
  ht_parallel_for ((n + HT_KERNEL_GRAIN - 1) / HT_KERNEL_GRAIN, 4, count_blocks, &work);
  g_mutex_clear (&work.lock);
}

#define STRETCH   256
#define N_OF      4
#define GROUP     (N_OF * STRETCH)
#define PER_BLOCK (HT_KERNEL_GRAIN / GROUP)

/* Which of the four: the upper bits of multiples of the golden ratio, which keep to no period of a tensor's axes. */
static gsize
choose_stretch (gsize group)
{
  return ((guint32)group * 2654435769u) >> 30;
}

static void
count_sampled_blocks (gsize begin, gsize end, guint worker, gpointer user_data)
{
  Work *work = user_data;
  guint32 tables[TABLES][HT_KERNEL_HISTOGRAM_BINS] = { { 0 } };
  gsize stop = MIN (end * PER_BLOCK, work->n / GROUP);
  guint16 bins[STRETCH];

  for (gsize group = begin * PER_BLOCK; group < stop; group++)
    {
      find_bins (work->x + group * GROUP + choose_stretch (group) * STRETCH, STRETCH, work->width, bins);
      for (gsize i = 0; i < STRETCH; i += TABLES)
        for (gsize table = 0; table < TABLES; table++)
          tables[table][bins[i + table]]++;
    }
  g_mutex_lock (&work->lock);
  for (gsize bin = 0; bin < HT_KERNEL_HISTOGRAM_BINS; bin++)
    work->counts[bin] += N_OF * ((guint64)tables[0][bin] + tables[1][bin] + tables[2][bin] + tables[3][bin]);
  g_mutex_unlock (&work->lock);
}

void
ht_kernel_histogram_sampled (const float *x, gsize n, float width, guint64 *counts)
{
  Work work = { .x = x, .n = n, .width = width, .counts = counts };
  gsize n_groups = n / GROUP;

  g_mutex_init (&work.lock);
  ht_parallel_for ((n_groups + PER_BLOCK - 1) / PER_BLOCK, 8, count_sampled_blocks, &work);
  g_mutex_clear (&work.lock);
  ht_kernel_histogram (x + n_groups * GROUP, n - n_groups * GROUP, width, counts);
}
