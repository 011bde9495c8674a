/* SPDX-License-Identifier: MIT */
#include "kernels/pool-backward.h"

#include "base/thread-pool.h"
#include "kernels/pool-window.h"
#include "kernels/vectorize.h"

#include <string.h>

typedef struct
{
  const HtPoolGeometry *pool;
  gconstpointer x, dy; /* x NULL: an average */
  gpointer dx;
  gsize n; /* of a row */
} Work;

static gsize
grain_of (gsize cost)
{
  return MAX (HT_KERNEL_GRAIN / MAX (cost, 1), 1);
}

#define REAL     float
#define FN(name) name##_float
#include "kernels/pool-backward-template.h"
#undef REAL
#undef FN

#define REAL     double
#define FN(name) name##_double
#include "kernels/pool-backward-template.h"
