/* SPDX-License-Identifier: MIT */
#include "kernels/fake-quantize.h"

#include "base/thread-pool.h"
#include "kernels/vectorize.h"

#include <math.h>

/* The comparison in this order sends NaN and -0 to +0, as one max instruction does. */
#define CODE(x)       (rintf ((x) / scale) - offset)
#define CLAMP_CODE(q) ((q) > 0.0f ? ((q) < n_steps ? (q) : n_steps) : 0.0f)

HT_VECTORIZE static void
fake_quantize_run (const float *x, float *y, gsize n, float scale, float offset, float n_steps)
{
  for (gsize i = 0; i < n; i++)
    {
      float q = CODE (x[i]);
      q = CLAMP_CODE (q);
      y[i] = (q + offset) * scale;
    }
}

HT_VECTORIZE static void
quantize_run_float (const float *x, float *y, gsize n, float scale, float offset, float n_steps)
{
  for (gsize i = 0; i < n; i++)
    {
      float q = CODE (x[i]);
      y[i] = CLAMP_CODE (q) + offset;
    }
}

HT_VECTORIZE static void
quantize_run_uint8 (const float *x, guint8 *codes, gsize n, float scale, float offset, float n_steps)
{
  for (gsize i = 0; i < n; i++)
    {
      float q = CODE (x[i]);
      q = CLAMP_CODE (q);
      codes[i] = (guint8)(gint32)q;
    }
}

HT_VECTORIZE static void
quantize_run_int32 (const float *x, gint32 *codes, gsize n, float scale, float offset, float n_steps, gint32 shift)
{
  for (gsize i = 0; i < n; i++)
    {
      float q = CODE (x[i]);
      q = CLAMP_CODE (q);
      codes[i] = (gint32)q + shift;
    }
}

typedef struct
{
  const float *x;
  float *y;
  float *integers;
  guint8 *bytes;
  gint32 *codes;
  gsize channels, inner;
  const float *scales, *offsets;
  float n_steps;
  gint32 shift;
  const gint64 *wide_offsets;
  double wide_n_steps;
} Work;

static void
run_elements (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  const float *x = work->x + begin;
  gsize n = end - begin;

  if (work->y)
    fake_quantize_run (x, work->y + begin, n, work->scales[0], work->offsets[0], work->n_steps);
  else if (work->integers)
    quantize_run_float (x, work->integers + begin, n, work->scales[0], work->offsets[0], work->n_steps);
  else if (work->bytes)
    quantize_run_uint8 (x, work->bytes + begin, n, work->scales[0], work->offsets[0], work->n_steps);
  else
    quantize_run_int32 (x, work->codes + begin, n, work->scales[0], work->offsets[0], work->n_steps, work->shift);
}

/* Items are rows of `inner` elements; row r has the grid of channel r % channels. */
static void
run_rows (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;

  for (gsize row = begin; row < end; row++)
    {
      gsize channel = row % work->channels;
      gsize start = row * work->inner;
      if (work->y)
        fake_quantize_run (work->x + start, work->y + start, work->inner, work->scales[channel], work->offsets[channel],
                           work->n_steps);
      else
        quantize_run_int32 (work->x + start, work->codes + start, work->inner, work->scales[channel],
                            work->offsets[channel], work->n_steps, work->shift);
    }
}

/* The channel is the innermost axis: the grid changes with every element. */
HT_VECTORIZE static void
fake_quantize_interleaved (const float *x, float *y, gsize channels, const float *scales, const float *offsets,
                           float n_steps)
{
  for (gsize i = 0; i < channels; i++)
    {
      float scale = scales[i], offset = offsets[i];
      float q = CODE (x[i]);
      q = CLAMP_CODE (q);
      y[i] = (q + offset) * scale;
    }
}

static void
run_interleaved (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;

  for (gsize row = begin; row < end; row++)
    fake_quantize_interleaved (work->x + row * work->channels, work->y + row * work->channels, work->channels,
                               work->scales, work->offsets, work->n_steps);
}

static gsize
grain_for (gsize row_length)
{
  return MAX (1, HT_KERNEL_GRAIN / MAX (row_length, 1));
}

void
ht_kernel_fake_quantize (const float *x, float *y, gsize n, float scale, float offset, float n_steps)
{
  Work work = { .x = x, .y = y, .scales = &scale, .offsets = &offset, .n_steps = n_steps };
  ht_parallel_for (n, HT_KERNEL_GRAIN, run_elements, &work);
}

void
ht_kernel_fake_quantize_channels (const float *x, float *y, gsize outer, gsize channels, gsize inner,
                                  const float *scales, const float *offsets, float n_steps)
{
  Work work = {
    .x = x, .y = y, .channels = channels, .inner = inner, .scales = scales, .offsets = offsets, .n_steps = n_steps
  };
  if (inner == 1)
    ht_parallel_for (outer, grain_for (channels), run_interleaved, &work);
  else
    ht_parallel_for (outer * channels, grain_for (inner), run_rows, &work);
}

/* Rows again; the quotient is a float's, its code may be beyond a float. */
static void
run_wide_rows (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  double n_steps = work->wide_n_steps;

  for (gsize row = begin; row < end; row++)
    {
      gsize channel = row % work->channels;
      float scale = work->scales[channel];
      double offset = (double)work->wide_offsets[channel];
      for (gsize i = row * work->inner; i < (row + 1) * work->inner; i++)
        {
          double q = (double)rintf (work->x[i] / scale) - offset;
          q = CLAMP_CODE (q);
          work->y[i] = (float)(q + offset) * scale;
        }
    }
}

void
ht_kernel_fake_quantize_wide (const float *x, float *y, gsize outer, gsize channels, gsize inner, const float *scales,
                              const gint64 *offsets, double n_steps)
{
  Work work = { .x = x,
                .y = y,
                .channels = channels,
                .inner = inner,
                .scales = scales,
                .wide_offsets = offsets,
                .wide_n_steps = n_steps };
  ht_parallel_for (outer * channels, grain_for (inner), run_wide_rows, &work);
}

void
ht_kernel_quantize_float (const float *x, float *y, gsize n, float scale, float offset, float n_steps)
{
  Work work = { .x = x, .integers = y, .scales = &scale, .offsets = &offset, .n_steps = n_steps };
  ht_parallel_for (n, HT_KERNEL_GRAIN, run_elements, &work);
}

void
ht_kernel_quantize_uint8 (const float *x, guint8 *q, gsize n, float scale, float offset, float n_steps)
{
  Work work = { .x = x, .bytes = q, .scales = &scale, .offsets = &offset, .n_steps = n_steps };
  ht_parallel_for (n, HT_KERNEL_GRAIN, run_elements, &work);
}

void
ht_kernel_quantize_int32 (const float *x, gint32 *q, gsize n, float scale, float offset, float n_steps, gint32 shift)
{
  Work work = { .x = x, .codes = q, .scales = &scale, .offsets = &offset, .n_steps = n_steps, .shift = shift };
  ht_parallel_for (n, HT_KERNEL_GRAIN, run_elements, &work);
}

void
ht_kernel_quantize_channels_int32 (const float *x, gint32 *q, gsize outer, gsize channels, gsize inner,
                                   const float *scales, const float *offsets, float n_steps, gint32 shift)
{
  Work work = { .x = x,
                .codes = q,
                .channels = channels,
                .inner = inner,
                .scales = scales,
                .offsets = offsets,
                .n_steps = n_steps,
                .shift = shift };
  ht_parallel_for (outer * channels, grain_for (inner), run_rows, &work);
}
