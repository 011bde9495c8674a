/* SPDX-License-Identifier: MIT */
#include "kernels/activation-backward.h"

#include "base/thread-pool.h"
#include "kernels/blocked-backward.h"
#include "kernels/vectorize.h"

typedef struct
{
  const HtActivationBackwardKernels *kernels;
  const HtEpilogue *e; /* NULL: accumulate */
  const float *source, *dy;
  float *dx;
} Work;

static void
run_elements (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  gsize n = end - begin;

  if (work->e == NULL)
    work->kernels->accumulate (n, work->source + begin, work->dx + begin);
  else if (work->e->activation == HT_ACTIVATION_CLAMP)
    work->kernels->clamp (n, work->e->low, work->e->high, work->source + begin, work->dy + begin, work->dx + begin);
  else
    work->kernels->activation (n, work->e, work->source + begin, work->dy + begin, work->dx + begin);
}

void
ht_kernel_accumulate (gsize n, const float *x, float *y)
{
  Work work = { .kernels = HT_ISA_PICK (ht_activation_backward_kernels), .source = x, .dx = y };
  ht_parallel_for (n, HT_KERNEL_GRAIN, run_elements, &work);
}

void
ht_kernel_activation_backward (gsize n, const HtEpilogue *e, const float *source, const float *dy, float *dx)
{
  Work work = { HT_ISA_PICK (ht_activation_backward_kernels), e, source, dy, dx };
  ht_parallel_for (n, HT_KERNEL_GRAIN, run_elements, &work);
}

void
ht_kernel_clamp_backward (gsize n, float low, float high, const float *source, const float *dy, float *dx)
{
  HtEpilogue e = { .activation = HT_ACTIVATION_CLAMP, .low = low, .high = high };
  ht_kernel_activation_backward (n, &e, source, dy, dx);
}
