/* SPDX-License-Identifier: MIT */
#include "kernels/normalize-backward.h"

#include "base/thread-pool.h"
#include "kernels/vectorize.h"

#include <math.h>

#define LANES      ((gsize)8)
#define BLOCK      ((gsize)64) /* channels that one item takes when they lie side by side */
#define MAX_PIECES ((gsize)16) /* of the rows, for sums over them */

typedef struct
{
  gconstpointer x, dy;
  gpointer dx;
  gsize outer, channels, inner;
  const double *mean, *a, *b, *d;
  double *dy_sum, *product_sum;
} Channels;

static double
sum_lanes (double *lanes)
{
  for (gsize width = LANES / 2; width > 0; width /= 2)
    for (gsize i = 0; i < width; i++)
      lanes[i] += lanes[i + width];
  return lanes[0];
}

static gsize
grain_of (gsize elements)
{
  return MAX (HT_KERNEL_GRAIN / MAX (elements, 1), 1);
}

static gsize
pieces_of (gsize n_rows, gsize n)
{
  return CLAMP (n_rows * n / HT_KERNEL_GRAIN, 1, MIN (MAX_PIECES, MAX (n_rows, 1)));
}

gsize
ht_kernel_row_norm_backward_workspace (gsize n_rows, gsize n, gsize factor_count)
{
  gsize sums = factor_count == n ? 2 * pieces_of (n_rows, n) * n : 0;
  return (2 * n_rows + sums) * sizeof (double);
}

#define REAL     float
#define FN(name) name##_float
#include "kernels/normalize-backward-template.h"
#undef REAL
#undef FN

#define REAL     double
#define FN(name) name##_double
#include "kernels/normalize-backward-template.h"
