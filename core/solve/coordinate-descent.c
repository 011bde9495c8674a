/* SPDX-License-Identifier: MIT */
/* Descent over single codes. The gradient g = Hv - c is kept exact: within a block of columns after every move, and
 * for the other blocks by one product with the columns that moved. */
#include "solve/least-squares.h"

#include <cblas.h>
#include <float.h>
#include <math.h>
#include <string.h>

#define BLOCK ((gsize)64)
/* A step must lower the objective by more than rounding errors of the gradient could: of the curvature, in steps. */
#define LEAST_STEP (0.5 + 1e-9)

typedef struct
{
  HtPanel *panel;
  const HtNormalSystem *system;
  double *gradient; /* [n][rows] */
  double *moves;    /* [BLOCK][rows]: changes of values */
  double *columns;  /* [BLOCK][n]: of H, of the columns that moved */
} Descent;

static void
find_gradient (const HtPanel *self, const HtNormalSystem *system, double *gradient)
{
  gsize n = self->n, width = self->n_rows;
  g_autofree double *values = g_new (double, n *width);

  for (gsize i = 0; i < n; i++)
    for (gsize o = 0; o < width; o++)
      values[i * width + o] = self->scales[i / self->block * width + o] * self->codes[i * width + o];
  memcpy (gradient, self->target, n * width * sizeof (double));
  cblas_dgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)width, (int)n, 1.0, system->h, (int)n, values,
               (int)width, -1.0, gradient, (int)width);
}

/* Moves the codes of one column in every row where that helps. */
static gboolean
move_column (Descent *d, gsize column, double *moves)
{
  HtPanel *self = d->panel;
  gsize n = self->n, width = self->n_rows, grid = column / self->block * width;
  double inverse = 1.0 / d->system->h[column * n + column];
  const double *scales = self->scales + grid, *lows = self->lows + grid, *highs = self->highs + grid;
  const double *gradient = d->gradient + column * width;
  double *codes = self->codes + column * width;
  gboolean moved = FALSE;

  for (gsize o = 0; o < width; o++)
    {
      double wanted = -gradient[o] * inverse / scales[o], step = fabs (wanted) > LEAST_STEP ? rint (wanted) : 0.0;
      double code = codes[o] + step;
      code = code < lows[o] ? lows[o] : code > highs[o] ? highs[o] : code;
      step = code - codes[o];
      codes[o] = code;
      moves[o] = step * scales[o];
      moved |= step != 0.0;
    }
  return moved;
}

static gsize
descend_block (Descent *d, gsize begin, gsize end)
{
  gsize n = d->panel->n, width = d->panel->n_rows, n_moved = 0;

  for (gsize column = begin; column < end; column++)
    {
      double *moves = d->moves + n_moved * width;
      if (!move_column (d, column, moves))
        continue;
      const double *h = d->system->h + column * n;
      memcpy (d->columns + n_moved * n, h, n * sizeof (double));
      for (gsize i = begin; i < end; i++)
        {
          double *gradient = d->gradient + i * width;
          for (gsize o = 0; o < width; o++)
            gradient[o] += h[i] * moves[o];
        }
      n_moved++;
    }
  if (n_moved > 0 && begin > 0)
    cblas_dgemm (CblasRowMajor, CblasTrans, CblasNoTrans, (int)begin, (int)width, (int)n_moved, 1.0, d->columns, (int)n,
                 d->moves, (int)width, 1.0, d->gradient, (int)width);
  if (n_moved > 0 && end < n)
    cblas_dgemm (CblasRowMajor, CblasTrans, CblasNoTrans, (int)(n - end), (int)width, (int)n_moved, 1.0,
                 d->columns + end, (int)n, d->moves, (int)width, 1.0, d->gradient + end * width, (int)width);
  return n_moved;
}

guint
ht_panel_descend (HtPanel *self, const HtNormalSystem *system, guint max_sweeps)
{
  gsize n = self->n, width = self->n_rows;
  g_autofree double *gradient = g_new (double, n *width);
  g_autofree double *moves = g_new (double, BLOCK *width);
  g_autofree double *columns = g_new (double, BLOCK *n);
  Descent d = { self, system, gradient, moves, columns };
  guint sweep = 0;

  find_gradient (self, system, gradient);
  for (gboolean moved = TRUE; moved && sweep < max_sweeps; sweep++)
    {
      moved = FALSE;
      for (gsize begin = 0; begin < n; begin += BLOCK)
        moved |= descend_block (&d, begin, MIN (begin + BLOCK, n)) > 0;
    }
  ht_panel_measure (self, system);
  return sweep;
}

/* For one block of columns: u'Hu and u'(c - H(v - su)), with g = Hv - c; `product` becomes Hu. */
static void
scale_terms (const HtPanel *self, const HtNormalSystem *system, const double *gradient, gsize block, double *product,
             double *numerators, double *denominators)
{
  gsize n = self->n, width = self->n_rows, begin = block * self->block, end = MIN (begin + self->block, n);
  const double *scales = self->scales + block * width;

  cblas_dgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)width, (int)(end - begin), 1.0,
               system->h + begin, (int)n, self->codes + begin * width, (int)width, 0.0, product, (int)width);
  memset (numerators, 0, width * sizeof (double));
  memset (denominators, 0, width * sizeof (double));
  for (gsize i = begin; i < end; i++)
    for (gsize o = 0; o < width; o++)
      {
        double u = self->codes[i * width + o];
        denominators[o] += u * product[i * width + o];
        numerators[o] -= u * gradient[i * width + o];
      }
  for (gsize o = 0; o < width; o++)
    numerators[o] += denominators[o] * scales[o];
}

void
ht_panel_find_scale_terms (HtPanel *self, const HtNormalSystem *system, double *numerators, double *denominators)
{
  gsize n = self->n, width = self->n_rows;
  g_autofree double *gradient = g_new (double, n *width);
  g_autofree double *product = g_new (double, n *width);

  g_return_if_fail (self->n_blocks == 1);
  find_gradient (self, system, gradient);
  scale_terms (self, system, gradient, 0, product, numerators, denominators);
}

void
ht_panel_fit_scales (HtPanel *self, const HtNormalSystem *system)
{
  gsize n = self->n, width = self->n_rows;
  g_autofree double *gradient = g_new (double, n *width);
  g_autofree double *product = g_new (double, n *width);
  g_autofree double *numerators = g_new (double, width);
  g_autofree double *denominators = g_new (double, width);

  find_gradient (self, system, gradient);
  for (gsize block = 0; block < self->n_blocks; block++)
    {
      double *scales = self->scales + block * width;
      scale_terms (self, system, gradient, block, product, numerators, denominators);
      for (gsize o = 0; o < width; o++)
        {
          /* As float32, which is what files and devices hold. */
          double scale = (double)(float)(numerators[o] / denominators[o]);
          gboolean usable = denominators[o] > 0.0 && isfinite (scale) && scale >= (double)FLT_MIN;
          double change = usable ? scale - scales[o] : 0.0;
          scales[o] += change;
          for (gsize i = 0; i < n; i++)
            gradient[i * width + o] += change * product[i * width + o];
        }
    }
  ht_panel_measure (self, system);
}
