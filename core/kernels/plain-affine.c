/* SPDX-License-Identifier: MIT */
#include "kernels/plain-affine.h"

#include "base/thread-pool.h"
#include "kernels/vectorize.h"

typedef struct
{
  const HtPlainAffineKernels *kernels;
  gsize channels, positions;
  const float *x;
  const HtEpilogue *e;
  float *y;
} Work;

static void
run_rows (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  const float *residual = work->e->residual;
  gsize n = work->positions;

  for (gsize row = begin; row < end; row++)
    work->kernels->rows (row % work->channels, 1, n, work->x + row * n, n, work->e,
                         residual ? residual + row * n : NULL, work->y + row * n, n);
}

void
ht_plain_affine (gsize batch, gsize channels, gsize positions, const float *x, const HtEpilogue *e, float *y)
{
  Work work = { HT_ISA_PICK (ht_plain_affine_kernels), channels, positions, x, e, y };

  ht_parallel_for (batch * channels, MAX (HT_KERNEL_GRAIN / MAX (positions, 1), 1), run_rows, &work);
}
