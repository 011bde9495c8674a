/* SPDX-License-Identifier: MIT */
/* Each element of dx gathers what the kernel positions that reach it bring. */
#include "kernels/blocked-depthwise-backward.h"

#include "kernels/epilogue.h"

#define N        HT_ISA_BLOCK
#define MAX_TAPS HT_DEPTHWISE_BACKWARD_TAPS

HT_ALWAYS_INLINE HtBlock
load (const float *x)
{
  return *(const HtBlock *)(gconstpointer)x;
}

/* The output that position `at` of dx reaches through kernel position `tap`; FALSE: none. */
HT_ALWAYS_INLINE gboolean
reached (const HtConvGeometry *g, int axis, gsize at, gsize tap, gsize *out)
{
  gint64 distance = (gint64)at + g->pad[axis] - (gint64)(tap * g->dilation[axis]), stride = (gint64)g->stride[axis];

  if (distance < 0 || distance % stride != 0 || distance / stride >= (gint64)g->out[axis])
    return FALSE;
  *out = (gsize)(distance / stride);
  return TRUE;
}

typedef struct
{
  gsize n_rows, n_taps;
  const float *dy[MAX_TAPS], *w[MAX_TAPS]; /* rows of dy, and of weights */
  gsize tap[MAX_TAPS];
  gint64 out[MAX_TAPS]; /* the output that position 0 reaches through a tap of the last axis */
} Reach;

HT_ALWAYS_INLINE HtBlock
gather (const Reach *r, gint64 j, gint64 width, gboolean check)
{
  HtBlock sum = { 0.0f };

  for (gsize row = 0; row < r->n_rows; row++)
    for (gsize i = 0; i < r->n_taps; i++)
      {
        gint64 out = r->out[i] + j;
        if (!check || (out >= 0 && out < width))
          sum += load (r->dy[row] + out * N) * load (r->w[row] + r->tap[i] * N);
      }
  return sum;
}

static void
row (const HtConvGeometry *g, gsize d, gsize h, const float *dy, const float *w, float *dx)
{
  gint64 width = (gint64)g->out[2], stride = (gint64)g->stride[2];
  Reach r = { 0 };

  for (gsize i = 0; i < g->kernel[0]; i++)
    for (gsize j = 0; j < g->kernel[1]; j++)
      {
        gsize out_d, out_h;
        if (!reached (g, 0, d, i, &out_d) || !reached (g, 1, h, j, &out_h))
          continue;
        r.dy[r.n_rows] = dy + (out_d * g->out[1] + out_h) * g->out[2] * N;
        r.w[r.n_rows++] = w + (i * g->kernel[1] + j) * g->kernel[2] * N;
      }
  for (gint64 remainder = 0; remainder < MIN (stride, (gint64)g->in[2]); remainder++)
    {
      gint64 n = ((gint64)g->in[2] - remainder - 1) / stride + 1, first = 0, last = n;
      r.n_taps = 0;
      for (gsize tap = 0; tap < g->kernel[2]; tap++)
        {
          gint64 distance = remainder + g->pad[2] - (gint64)(tap * g->dilation[2]);
          if (distance % stride != 0)
            continue;
          r.tap[r.n_taps] = tap;
          r.out[r.n_taps] = distance / stride;
          first = MAX (first, -r.out[r.n_taps]);
          last = MIN (last, width - r.out[r.n_taps]);
          r.n_taps++;
        }
      first = MIN (first, n);
      last = MAX (last, first);
      for (gint64 j = 0; j < n; j++)
        {
          HtBlock sum = j >= first && j < last ? gather (&r, j, width, FALSE) : gather (&r, j, width, TRUE);
          *(HtBlock *)(gpointer)(dx + (remainder + j * stride) * N) = sum;
        }
    }
}

const HtBlockedDepthwiseBackwardKernels HT_ISA_NAME (ht_blocked_depthwise_backward_kernels) = { row };
