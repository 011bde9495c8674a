/* SPDX-License-Identifier: MIT */
#include "kernels/round-float.h"

#include "base/thread-pool.h"
#include "kernels/vectorize.h"

#include <string.h>

#define SIGN     0x80000000u
#define INFINITE 0x7f800000u

static inline guint32
bits_of (float value)
{
  guint32 bits;
  memcpy (&bits, &value, sizeof bits);
  return bits;
}

static inline float
float_of (guint32 bits)
{
  float value;
  memcpy (&value, &bits, sizeof value);
  return value;
}

/* `dropped` bits of the mantissa go: half of the last kept one is added, less one where that one is even, so that the
 * carry rounds. Below the smallest normal number of the format (`normal`, its bits) all steps have the same size:
 * adding `magic`, whose last bit is worth one such step, lets the addition round. Beyond `largest` (bits as well)
 * stands `overflow`. */
static inline float
round_one (float x, guint32 dropped, guint32 normal, float magic, guint32 largest, guint32 overflow)
{
  guint32 bits = bits_of (x), sign = bits & SIGN, magnitude = bits & ~SIGN;
  guint32 rounded = (magnitude + ((1u << (dropped - 1)) - 1) + ((magnitude >> dropped) & 1)) & ~((1u << dropped) - 1);
  guint32 small = bits_of ((float_of (magnitude) + magic) - magic);

  rounded = magnitude < normal ? small : rounded;
  rounded = rounded > largest ? overflow : rounded;
  rounded = magnitude > INFINITE ? magnitude : rounded;
  return float_of (rounded | sign);
}

#define FLOAT16(x) round_one (x, 13, 0x38800000u, 0.5f, 0x477fe000u, INFINITE)
#define E4M3FN(x)  round_one (x, 20, 0x3c800000u, 16384.0f, 0x43e00000u, 0x43e00000u)
#define E5M2(x)    round_one (x, 21, 0x38800000u, 128.0f, 0x47600000u, 0x47600000u)
/* The same exponents as float32: no step is special. */
#define BFLOAT16(x) round_one (x, 16, 0u, 0.0f, 0x7f7f0000u, INFINITE)

#define DEFINE_RUNS(name, ROUND)                                                                                       \
  HT_VECTORIZE static void name##_run (const float *x, float *y, gsize n)                                              \
  {                                                                                                                    \
    for (gsize i = 0; i < n; i++)                                                                                      \
      y[i] = ROUND (x[i]);                                                                                             \
  }                                                                                                                    \
  HT_VECTORIZE static void name##_scaled_run (const float *x, float *y, gsize n, float scale)                          \
  {                                                                                                                    \
    for (gsize i = 0; i < n; i++)                                                                                      \
      y[i] = ROUND (x[i] / scale) * scale;                                                                             \
  }

DEFINE_RUNS (float16, FLOAT16)
DEFINE_RUNS (bfloat16, BFLOAT16)
DEFINE_RUNS (e4m3fn, E4M3FN)
DEFINE_RUNS (e5m2, E5M2)

static const struct
{
  float largest;
  void (*plain) (const float *x, float *y, gsize n);
  void (*scaled) (const float *x, float *y, gsize n, float scale);
} formats[] = {
  [HT_KERNEL_FLOAT16] = { 65504.0f, float16_run, float16_scaled_run },
  [HT_KERNEL_BFLOAT16] = { 0x1.fep127f, bfloat16_run, bfloat16_scaled_run },
  [HT_KERNEL_FLOAT8E4M3FN] = { 448.0f, e4m3fn_run, e4m3fn_scaled_run },
  [HT_KERNEL_FLOAT8E5M2] = { 57344.0f, e5m2_run, e5m2_scaled_run },
};

float
ht_kernel_float_get_largest (HtKernelFloat format)
{
  return formats[format].largest;
}

void
ht_kernel_round_float_run (HtKernelFloat format, const float *x, float *y, gsize n, float scale)
{
  if (scale == 1.0f)
    formats[format].plain (x, y, n);
  else
    formats[format].scaled (x, y, n, scale);
}

typedef struct
{
  HtKernelFloat format;
  const float *x;
  float *y;
  float scale;
} Work;

static void
run_elements (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  ht_kernel_round_float_run (work->format, work->x + begin, work->y + begin, end - begin, work->scale);
}

void
ht_kernel_round_float (HtKernelFloat format, const float *x, float *y, gsize n, float scale)
{
  Work work = { format, x, y, scale };
  ht_parallel_for (n, HT_KERNEL_GRAIN, run_elements, &work);
}
