/* SPDX-License-Identifier: MIT */
/* The normal equations of one group: damping until they can be solved, ordering, Cholesky's factorization. */
#include "base/blas.h"
#include "base/thread-pool.h"
#include "solve/least-squares.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#define FACTOR_SIDE ((gsize)64)
#define TILE_SIDE   ((gsize)256) /* of the update behind a panel; a thread takes a tile */
/* What the diagonal is raised by where the factorization fails, relative to its mean; each try takes ten times more. */
#define FIRST_RAISE 1e-12
#define LEAST_PIVOT 1e-14

/* One column panel of the factorization: R[k.., j..] behind the diagonal block at k. */
typedef struct
{
  double *r;
  gsize n, k, side;
  gsize n_tiles;
} Step;

static gsize
tile_start (const Step *step, gsize tile)
{
  return MIN (step->k + step->side + tile * TILE_SIDE, step->n);
}

static void
solve_tiles (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Step *s = user_data;

  for (gsize tile = begin; tile < end; tile++)
    {
      gsize column = tile_start (s, tile), width = tile_start (s, tile + 1) - column;
      cblas_dtrsm (CblasRowMajor, CblasLeft, CblasUpper, CblasTrans, CblasNonUnit, (int)s->side, (int)width, 1.0,
                   s->r + s->k * s->n + s->k, (int)s->n, s->r + s->k * s->n + column, (int)s->n);
    }
}

static void
update_tiles (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Step *s = user_data;

  for (gsize item = begin; item < end; item++)
    {
      gsize row_tile = item / s->n_tiles, column_tile = item % s->n_tiles;
      if (column_tile < row_tile)
        continue;
      gsize row = tile_start (s, row_tile), height = tile_start (s, row_tile + 1) - row;
      gsize column = tile_start (s, column_tile), width = tile_start (s, column_tile + 1) - column;
      const double *above = s->r + s->k * s->n;
      if (row == column)
        cblas_dsyrk (CblasRowMajor, CblasUpper, CblasTrans, (int)width, (int)s->side, -1.0, above + column, (int)s->n,
                     1.0, s->r + row * s->n + column, (int)s->n);
      else
        cblas_dgemm (CblasRowMajor, CblasTrans, CblasNoTrans, (int)height, (int)width, (int)s->side, -1.0, above + row,
                     (int)s->n, above + column, (int)s->n, 1.0, s->r + row * s->n + column, (int)s->n);
    }
}

/* The upper triangle of one diagonal block; FALSE where a pivot is not above `least`. */
static gboolean
factor_block (double *r, gsize ld, gsize side, double least)
{
  for (gsize i = 0; i < side; i++)
    {
      double pivot = r[i * ld + i];
      if (!(pivot > least))
        return FALSE;
      pivot = sqrt (pivot);
      r[i * ld + i] = pivot;
      for (gsize j = i + 1; j < side; j++)
        r[i * ld + j] /= pivot;
      for (gsize row = i + 1; row < side; row++)
        {
          double factor = r[i * ld + row];
          for (gsize j = row; j < side; j++)
            r[row * ld + j] -= factor * r[i * ld + j];
        }
    }
  return TRUE;
}

static gboolean
factor (double *r, gsize n, double least)
{
  for (gsize k = 0; k < n; k += FACTOR_SIDE)
    {
      Step step = { r, n, k, MIN (FACTOR_SIDE, n - k), 0 };
      if (!factor_block (r + k * n + k, n, step.side, least))
        return FALSE;
      gsize rest = n - k - step.side;
      step.n_tiles = (rest + TILE_SIDE - 1) / TILE_SIDE;
      ht_parallel_for (step.n_tiles, 1, solve_tiles, &step);
      ht_parallel_for (step.n_tiles * step.n_tiles, 1, update_tiles, &step);
    }
  return TRUE;
}

/* Ascending; equal ones by their position, so that the order is one. */
static int
compare_priority (gconstpointer a, gconstpointer b, gpointer user_data)
{
  const double *priority = user_data;
  gsize i = *(const gsize *)a, j = *(const gsize *)b;

  if (priority[i] != priority[j])
    return priority[i] < priority[j] ? -1 : 1;
  return i < j ? -1 : i > j;
}

static gsize *
sort_columns (const double *priority, gsize n)
{
  gsize *order = g_new (gsize, n);

  for (gsize i = 0; i < n; i++)
    order[i] = i;
  g_qsort_with_data (order, (gint)n, sizeof (gsize), compare_priority, (gpointer)priority);
  return order;
}

/* R of H in the present order; FALSE where H is not safely positive definite. */
static gboolean
factor_ordered (HtNormalSystem *self, double mean)
{
  gsize n = self->n;

  for (gsize i = 0; i < n; i++)
    {
      const double *from = self->h + self->order[i] * n;
      for (gsize j = i; j < n; j++)
        self->r[i * n + j] = from[self->order[j]];
    }
  return factor (self->r, n, LEAST_PIVOT * mean);
}

static void
factor_raised (HtNormalSystem *self)
{
  gsize n = self->n;
  double mean = 0.0, raised = 0.0;

  for (gsize i = 0; i < n; i++)
    mean += self->h[i * n + i] / (double)n;
  if (!(mean > 0.0)) /* nothing was ever read: any codes do, and those nearest to t are best */
    mean = 1.0;
  while (!factor_ordered (self, mean))
    {
      double raise = raised == 0.0 ? FIRST_RAISE * mean : 9.0 * raised;
      for (gsize i = 0; i < n; i++)
        self->h[i * n + i] += raise;
      raised += raise;
    }
  self->raise += raised;
}

HtNormalSystem *
ht_normal_system_new (double *h, gsize n)
{
  HtNormalSystem *self = g_new0 (HtNormalSystem, 1);
  g_autofree double *diagonal = g_new (double, n);

  ht_blas_initialize ();
  self->n = n;
  self->h = h;
  self->r = g_new (double, n *n);
  for (gsize i = 0; i < n; i++)
    diagonal[i] = h[i * n + i];
  self->order = sort_columns (diagonal, n);
  factor_raised (self);
  return self;
}

void
ht_normal_system_reorder (HtNormalSystem *self, const double *priority)
{
  g_free (self->order);
  self->order = sort_columns (priority, self->n);
  factor_raised (self);
}

void
ht_normal_system_free (HtNormalSystem *self)
{
  if (self == NULL)
    return;
  g_free (self->h);
  g_free (self->r);
  g_free (self->order);
  g_free (self);
}
