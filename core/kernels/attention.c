/* SPDX-License-Identifier: MIT */
#include "kernels/attention.h"

#include "base/thread-pool.h"
#include "kernels/attention-rows.h"

/* Enough items for the pool; few products are cut by rows, and each worker packs their K and V. */
#define ENOUGH_ITEMS ((gsize)8)

static gsize
fill_up (gsize n)
{
  gsize block = ht_isa_get_block ();
  return (n + block - 1) / block * block;
}

/* A slice begins with the number of the product whose K and V lie in it, plus 1. */
#define HEADER 64

typedef struct
{
  const HtAttention *attention;
  const HtAttentionRowsKernels *kernels;
  const float *q, *k, *v;
  float *y;
  char *scratch;
  gsize slice, n_parts, part; /* rows of a part */
} Work;

gsize
ht_attention_slice (const HtAttention *a)
{
  gsize n = fill_up (a->n), e = fill_up (a->e);
  return sizeof (float) * fill_up (n * a->d + a->n * e + HT_ATTENTION_ROWS * (n + e)) + HEADER;
}

static void
run_parts (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;
  const HtAttention *a = work->attention;
  gsize n = fill_up (a->n), e = fill_up (a->e);
  gsize *packed = (gsize *)(gpointer)(work->scratch + worker * work->slice);
  float *k = (float *)(gpointer)((char *)packed + HEADER), *v = k + n * a->d;
  float *probabilities = v + a->n * e, *sums = probabilities + HT_ATTENTION_ROWS * n;

  for (gsize item = begin; item < end; item++)
    {
      gsize batch = item / work->n_parts, row = item % work->n_parts * work->part, last = MIN (row + work->part, a->m);
      if (*packed != batch + 1)
        {
          *packed = batch + 1;
          work->kernels->pack (a->transposed, a->n, a->d, work->k + batch * a->k_stride, a->ldk, k);
          work->kernels->pack (TRUE, a->e, a->n, work->v + batch * a->v_stride, a->ldv, v);
        }
      for (; row < last; row += HT_ATTENTION_ROWS)
        work->kernels->rows (a, MIN (last - row, HT_ATTENTION_ROWS), work->q + batch * a->q_stride + row * a->ldq, k, v,
                             probabilities, sums, work->y + batch * a->y_stride + row * a->ldy);
    }
}

void
ht_kernel_attention (const HtAttention *a, const float *q, const float *k, const float *v, float *y, gpointer scratch,
                     guint n_slices)
{
  Work work = { a, HT_ISA_PICK (ht_attention_rows_kernels), q, k, v, y, scratch, ht_attention_slice (a), 1, a->m };

  if (a->n_batch < ENOUGH_ITEMS)
    {
      gsize n_parts = ENOUGH_ITEMS / MAX (a->n_batch, 1);
      work.part = ((a->m + n_parts - 1) / n_parts + HT_ATTENTION_ROWS - 1) / HT_ATTENTION_ROWS * HT_ATTENTION_ROWS;
      work.n_parts = (a->m + work.part - 1) / work.part;
    }
  for (guint i = 0; i < n_slices; i++)
    *(gsize *)(gpointer)(work.scratch + i * work.slice) = 0;
  ht_parallel_for_limited (a->n_batch * work.n_parts, 1, n_slices, run_parts, &work);
}
