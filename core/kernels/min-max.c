/* SPDX-License-Identifier: MIT */
#include "kernels/min-max.h"

#include "base/thread-pool.h"
#include "kernels/vectorize.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
#define CHUNK 1024 /* so few squares are added up in float */

static const HtKernelRange empty_range = { INFINITY, -INFINITY, 0, 0, 0 };

static inline void
range_merge (HtKernelRange *range, const HtKernelRange *other)
{
  range->minimum = other->minimum < range->minimum ? other->minimum : range->minimum;
  range->maximum = other->maximum > range->maximum ? other->maximum : range->maximum;
  range->n_not_finite += other->n_not_finite;
  range->n_zeros += other->n_zeros;
  range->sum_of_squares += other->sum_of_squares;
}

/* Lanes of their own let the compiler vectorize without reordering anything; minimum and maximum are exact, so the
 * partition cannot be seen in the result. x - x is 0 for finite numbers and NaN for the rest. */
HT_VECTORIZE static void
range_of_chunk (const float *x, gsize n, HtKernelRange *range)
{
  float low[LANES], high[LANES], squares[LANES];
  guint32 bad[LANES], zeros[LANES];

  for (int lane = 0; lane < LANES; lane++)
    {
      low[lane] = INFINITY;
      high[lane] = -INFINITY;
      squares[lane] = 0;
      bad[lane] = zeros[lane] = 0;
    }
  for (gsize i = 0; i + LANES <= n; i += LANES)
    for (int lane = 0; lane < LANES; lane++)
      {
        float value = x[i + lane];
        guint32 is_bad = value - value == 0.0f ? 0 : 1;
        float for_low = is_bad ? INFINITY : value;
        float for_high = is_bad ? -INFINITY : value;
        low[lane] = for_low < low[lane] ? for_low : low[lane];
        high[lane] = for_high > high[lane] ? for_high : high[lane];
        bad[lane] += is_bad;
        zeros[lane] += value == 0.0f ? 1 : 0;
        squares[lane] += value * value;
      }
  for (int lane = 0; lane < LANES; lane++)
    range_merge (range, &(HtKernelRange){ low[lane], high[lane], bad[lane], zeros[lane], (double)squares[lane] });
}

static HtKernelRange
range_of (const float *x, gsize n)
{
  HtKernelRange range = empty_range;
  gsize whole = n / LANES * LANES;

  for (gsize begin = 0; begin < whole; begin += CHUNK)
    range_of_chunk (x + begin, MIN (CHUNK, whole - begin), &range);
  for (gsize i = whole; i < n; i++)
    {
      gboolean is_finite = isfinite (x[i]);
      range_merge (&range, &(HtKernelRange){ is_finite ? x[i] : INFINITY, is_finite ? x[i] : -INFINITY, !is_finite,
                                             x[i] == 0.0f, (double)x[i] * (double)x[i] });
    }
  /* +0 and -0 compare equal, so which one came first would show: say +0. */
  range.minimum += 0.0f;
  range.maximum += 0.0f;
  return range;
}

typedef struct
{
  const float *x;
  gsize n, outer, channels, inner;
  HtKernelRange *ranges;
} Work;

static void
run_blocks (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  for (gsize block = begin; block < end; block++)
    {
      gsize start = block * HT_KERNEL_GRAIN;
      work->ranges[block] = range_of (work->x + start, MIN (HT_KERNEL_GRAIN, work->n - start));
    }
}

HtKernelRange
ht_kernel_min_max (const float *x, gsize n)
{
  HtKernelRange result = empty_range;
  gsize n_blocks = n / HT_KERNEL_GRAIN + 1;
  g_autofree HtKernelRange *ranges = NULL;

  if (n_blocks == 1)
    return range_of (x, n);
  ranges = g_new (HtKernelRange, n_blocks);
  Work work = { .x = x, .n = n, .ranges = ranges };
  ht_parallel_for (n_blocks, 1, run_blocks, &work);
  for (gsize i = 0; i < n_blocks; i++)
    range_merge (&result, &ranges[i]);
  return result;
}

static void
run_channels (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  for (gsize channel = begin; channel < end; channel++)
    {
      HtKernelRange range = empty_range;
      for (gsize o = 0; o < work->outer; o++)
        {
          HtKernelRange part = range_of (work->x + (o * work->channels + channel) * work->inner, work->inner);
          range_merge (&range, &part);
        }
      work->ranges[channel] = range;
    }
}

void
ht_kernel_min_max_channels (const float *x, gsize outer, gsize channels, gsize inner, HtKernelRange *ranges)
{
  Work work = { .x = x, .outer = outer, .channels = channels, .inner = inner, .ranges = ranges };
  gsize per_channel = MAX (1, outer * inner);
  ht_parallel_for (channels, MAX (1, HT_KERNEL_GRAIN / per_channel), run_channels, &work);
}
