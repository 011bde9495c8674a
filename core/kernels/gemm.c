/* SPDX-License-Identifier: MIT */
#include "kernels/gemm.h"

#include "base/blas.h"
#include "base/thread-pool.h"

#include <cblas.h>

/* A tile is worth a thread from about this many floating-point operations on. */
#define TILE_FLOPS    4e6
#define MAX_TILES     64
#define MIN_TILE_SIDE ((gsize)64)

gboolean
ht_kernel_gemm_fits (const HtGemmShape *shape)
{
  return shape->m <= G_MAXINT && shape->n <= G_MAXINT && shape->k <= G_MAXINT && shape->lda <= G_MAXINT
         && shape->ldb <= G_MAXINT && shape->ldc <= G_MAXINT;
}

static void
scale_only (const HtGemmShape *shape, float *c)
{
  for (gsize i = 0; i < shape->m; i++)
    for (gsize j = 0; j < shape->n; j++)
      c[i * shape->ldc + j] = shape->beta == 0.0f ? 0.0f : shape->beta * c[i * shape->ldc + j];
}

void
ht_kernel_gemm (const HtGemmShape *shape, const float *a, const float *b, float *c)
{
  int m = (int)shape->m, n = (int)shape->n, k = (int)shape->k;
  int lda = (int)MAX (shape->lda, 1), ldb = (int)MAX (shape->ldb, 1), ldc = (int)MAX (shape->ldc, 1);

  ht_blas_initialize ();
  if (m == 0 || n == 0)
    return;
  if (k == 0)
    scale_only (shape, c);
  else if (m == 1)
    /* The row vector op(A) times op(B) is op(B)' times a column vector. */
    cblas_sgemv (CblasRowMajor, shape->transpose_b ? CblasNoTrans : CblasTrans, shape->transpose_b ? n : k,
                 shape->transpose_b ? k : n, shape->alpha, b, ldb, a, shape->transpose_a ? lda : 1, shape->beta, c, 1);
  else if (n == 1)
    cblas_sgemv (CblasRowMajor, shape->transpose_a ? CblasTrans : CblasNoTrans, shape->transpose_a ? k : m,
                 shape->transpose_a ? m : k, shape->alpha, a, lda, b, shape->transpose_b ? 1 : ldb, shape->beta, c,
                 ldc);
  else
    cblas_sgemm (CblasRowMajor, shape->transpose_a ? CblasTrans : CblasNoTrans,
                 shape->transpose_b ? CblasTrans : CblasNoTrans, m, n, k, shape->alpha, a, lda, b, ldb, shape->beta, c,
                 ldc);
}

void
ht_kernel_gemm_double (const HtGemmShape *shape, const double *a, const double *b, double *c)
{
  ht_blas_initialize ();
  if (shape->m == 0 || shape->n == 0)
    return;
  if (shape->k == 0)
    for (gsize i = 0; i < shape->m; i++)
      for (gsize j = 0; j < shape->n; j++)
        c[i * shape->ldc + j] = shape->beta == 0.0f ? 0.0 : (double)shape->beta * c[i * shape->ldc + j];
  else
    cblas_dgemm (CblasRowMajor, shape->transpose_a ? CblasTrans : CblasNoTrans,
                 shape->transpose_b ? CblasTrans : CblasNoTrans, (int)shape->m, (int)shape->n, (int)shape->k,
                 (double)shape->alpha, a, (int)MAX (shape->lda, 1), b, (int)MAX (shape->ldb, 1), (double)shape->beta, c,
                 (int)MAX (shape->ldc, 1));
}

typedef struct
{
  const HtGemmShape *shape;
  const float *a, *b;
  float *c;
  const gsize *a_offsets, *b_offsets;
  gsize c_stride;
  gsize tile_m, tile_n, n_tiles_m, n_tiles_n;
} Work;

static gsize
halve (gsize side)
{
  return ((side + 1) / 2 + 15) & ~(gsize)15;
}

/* A function of the shape alone: the partition is part of the result. */
static void
choose_tiles (Work *work)
{
  const HtGemmShape *s = work->shape;
  double wanted = 2.0 * (double)s->m * (double)s->n * (double)s->k / TILE_FLOPS;

  work->tile_m = s->m;
  work->tile_n = s->n;
  for (;;)
    {
      work->n_tiles_m = (s->m + work->tile_m - 1) / work->tile_m;
      work->n_tiles_n = (s->n + work->tile_n - 1) / work->tile_n;
      if ((double)(work->n_tiles_m * work->n_tiles_n) >= MIN (wanted, MAX_TILES)
          || MAX (work->tile_m, work->tile_n) <= MIN_TILE_SIDE)
        break;
      if (work->tile_m >= work->tile_n)
        work->tile_m = halve (work->tile_m);
      else
        work->tile_n = halve (work->tile_n);
    }
}

static void
run_tiles (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Work *work = user_data;

  for (gsize item = begin; item < end; item++)
    {
      HtGemmShape tile = *work->shape;
      gsize per_product = work->n_tiles_m * work->n_tiles_n;
      gsize product = item / per_product;
      gsize row = item % per_product / work->n_tiles_n * work->tile_m;
      gsize column = item % work->n_tiles_n * work->tile_n;
      const float *a = work->a + (work->a_offsets ? work->a_offsets[product] : 0);
      const float *b = work->b + (work->b_offsets ? work->b_offsets[product] : 0);
      tile.m = MIN (work->tile_m, tile.m - row);
      tile.n = MIN (work->tile_n, tile.n - column);
      ht_kernel_gemm (&tile, a + (tile.transpose_a ? row : row * tile.lda),
                      b + (tile.transpose_b ? column * tile.ldb : column),
                      work->c + product * work->c_stride + row * tile.ldc + column);
    }
}

void
ht_kernel_gemm_batch (const HtGemmShape *shape, gsize n_batch, const float *a, const gsize *a_offsets, const float *b,
                      const gsize *b_offsets, float *c, gsize c_stride)
{
  Work work = {
    .shape = shape, .a = a, .b = b, .c = c, .a_offsets = a_offsets, .b_offsets = b_offsets, .c_stride = c_stride
  };

  if (n_batch == 0 || shape->m == 0 || shape->n == 0)
    return;
  choose_tiles (&work);
  double tile_flops = 2.0 * (double)work.tile_m * (double)work.tile_n * (double)shape->k;
  gsize grain = (gsize)CLAMP (TILE_FLOPS / 4 / MAX (tile_flops, 1.0), 1.0, 1e6);
  ht_parallel_for (n_batch * work.n_tiles_m * work.n_tiles_n, grain, run_tiles, &work);
}
