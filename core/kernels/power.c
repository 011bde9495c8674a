/* SPDX-License-Identifier: MIT */
#include "kernels/power.h"

#include "base/thread-pool.h"
#include "kernels/vectorize.h"

#define LANES 16
#define CHUNK 1024 /* so few squares are added up in float */

HT_VECTORIZE static HtKernelPower
power_of (const float *x, gsize n)
{
  HtKernelPower power = { 0 };

  for (gsize begin = 0; begin < n; begin += CHUNK)
    {
      gsize end = MIN (begin + CHUNK, n), i = begin;
      float sums[LANES] = { 0 };
      guint32 zeros[LANES] = { 0 };

      for (; i + LANES <= end; i += LANES)
        for (int lane = 0; lane < LANES; lane++)
          {
            sums[lane] += x[i + lane] * x[i + lane];
            zeros[lane] += x[i + lane] == 0.0f ? 1 : 0;
          }
      for (; i < end; i++)
        {
          sums[0] += x[i] * x[i];
          zeros[0] += x[i] == 0.0f ? 1 : 0;
        }
      for (int lane = 0; lane < LANES; lane++)
        {
          power.sum_of_squares += (double)sums[lane];
          power.n_zeros += zeros[lane];
        }
    }
  return power;
}

typedef struct
{
  const float *x;
  gsize n;
  HtKernelPower *parts;
} Work;

static void
run_blocks (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;

  for (gsize block = begin; block < end; block++)
    work->parts[block]
        = power_of (work->x + block * HT_KERNEL_GRAIN, MIN (HT_KERNEL_GRAIN, work->n - block * HT_KERNEL_GRAIN));
}

HtKernelPower
ht_kernel_power (const float *x, gsize n)
{
  gsize n_blocks = n / HT_KERNEL_GRAIN + 1;
  g_autofree HtKernelPower *parts = NULL;
  HtKernelPower power = { 0 };

  if (n_blocks == 1)
    return power_of (x, n);
  parts = g_new (HtKernelPower, n_blocks);
  Work work = { x, n, parts };
  ht_parallel_for (n_blocks, 1, run_blocks, &work);
  for (gsize block = 0; block < n_blocks; block++)
    {
      power.sum_of_squares += parts[block].sum_of_squares;
      power.n_zeros += parts[block].n_zeros;
    }
  return power;
}
