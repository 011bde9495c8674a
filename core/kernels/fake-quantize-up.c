/* SPDX-License-Identifier: MIT */
/* The rounding of AIMET's simulation. */
#include "kernels/fake-quantize.h"

#include "base/thread-pool.h"
#include "kernels/vectorize.h"

#include <math.h>

typedef struct
{
  const float *x;
  float *y;
  float scale, offset, n_steps;
} Work;

HT_VECTORIZE static void
run (const float *x, float *y, gsize n, float scale, float offset, float n_steps)
{
  for (gsize i = 0; i < n; i++)
    {
      float q = floorf (x[i] / scale - offset + 0.5f);
      q = q > 0.0f ? (q < n_steps ? q : n_steps) : 0.0f;
      y[i] = (q + offset) * scale;
    }
}

static void
run_elements (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  run (work->x + begin, work->y + begin, end - begin, work->scale, work->offset, work->n_steps);
}

void
ht_kernel_fake_quantize_up (const float *x, float *y, gsize n, float scale, float offset, float n_steps)
{
  Work work = { x, y, scale, offset, n_steps };
  ht_parallel_for (n, HT_KERNEL_GRAIN, run_elements, &work);
}
