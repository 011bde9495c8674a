/* SPDX-License-Identifier: MIT */
/* Products with a packed matrix: pointwise convolutions whose positions are the rows. */
#include "base/thread-pool.h"
#include "kernels/blocked-product.h"

#include <string.h>

/* Weights are packed for any number of rows. */
#define TILE_BLOCKS ((gsize)2)

static void
describe (gsize m, gsize n, gsize k, gsize lda, gsize ldc, HtProduct *p)
{
  gsize block = ht_isa_get_block ();

  memset (p, 0, sizeof *p);
  p->g = (HtConvGeometry){ 1, 1, k, n, { 1, 1, m }, { 1, 1, m }, { 1, 1, 1 }, { 1, 1, 1 }, { 1, 1, 1 }, { 0, 0, 0 } };
  p->input = m > 1 ? HT_PRODUCT_COLUMNS : HT_PRODUCT_DIRECT;
  p->block = block;
  p->in_blocks = (k + block - 1) / block;
  p->last_lanes = k - (MAX (p->in_blocks, 1) - 1) * block;
  p->out_blocks = (n + block - 1) / block;
  p->n_taps = 1;
  p->x_column = lda;
  p->x_block = block;
  p->y_column = ldc;
  p->y_block = block;
  p->y_last_lanes = n - (MAX (p->out_blocks, 1) - 1) * block;
  p->tile_blocks = MIN (TILE_BLOCKS, MAX (p->out_blocks, 1));
  p->n_tiles = (p->out_blocks + p->tile_blocks - 1) / p->tile_blocks;
  ht_product_cut (p);
}

gsize
ht_packed_gemm_floats (gsize k, gsize n)
{
  HtProduct product;

  describe (1, n, k, k, n, &product);
  return ht_product_packed_floats (&product);
}

void
ht_packed_gemm_pack (gboolean transpose_b, gsize k, gsize n, const float *b, gsize ldb, float *packed)
{
  HtWeightOrder order = { .w = b, .out_step = transpose_b ? ldb : 1, .in_step = transpose_b ? 1 : ldb };
  HtProduct product;

  describe (1, n, k, k, n, &product);
  ht_product_pack (&product, n, &order, packed);
}

void
ht_packed_gemm (gsize m, gsize n, gsize k, const float *a, gsize lda, const float *packed, const HtEpilogue *e,
                float *c, gsize ldc)
{
  guint n_slices = ht_thread_pool_get_size ();
  HtProduct product;

  describe (m, n, k, lda, ldc, &product);
  gsize slice = ht_product_slice (&product);
  gpointer scratch = slice > 0 ? g_aligned_alloc (n_slices, slice, 64) : NULL;
  ht_product_run (&product, a, packed, e, c, scratch, n_slices);
  g_aligned_free (scratch);
}
