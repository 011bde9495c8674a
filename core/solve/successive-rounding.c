/* SPDX-License-Identifier: MIT */
/* Babai's nearest plane, which is LDLQ for many rows at once: L. Babai, "On Lovász' lattice reduction and the nearest
 * lattice point problem" (1986); J. Chee and others, "QuIP" (2023). */
#include "solve/least-squares.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#define BLOCK ((gsize)64)

/* Rounds the column at position i of the order, given the sum over the columns behind it of R_ij e_j, and leaves its
 * error, code * scale - t, in `error`. */
static void
round_column (HtPanel *self, const HtNormalSystem *system, gsize i, const double *behind, double *error)
{
  gsize width = self->n_rows, column = system->order[i], grid = column / self->block * width;
  double pivot = system->r[i * system->n + i], inverse = 1.0 / pivot;
  const double *scales = self->scales + grid, *lows = self->lows + grid, *highs = self->highs + grid;
  const double *t = self->free + column * width;
  double *codes = self->codes + column * width;

  for (gsize o = 0; o < width; o++)
    {
      double centre = t[o] - behind[o] * inverse;
      double code = rint (centre / scales[o]);
      code = code < lows[o] ? lows[o] : code > highs[o] ? highs[o] : code;
      double value = scales[o] * code, off = pivot * (value - centre);
      codes[o] = code;
      error[o] = value - t[o];
      self->excess[o] += off * off;
    }
}

void
ht_panel_round_successively (HtPanel *self, const HtNormalSystem *system)
{
  gsize n = self->n, width = self->n_rows;
  g_autofree double *errors = g_new (double, n *width);
  g_autofree double *sums = g_new (double, BLOCK *width);

  memset (self->excess, 0, width * sizeof (double));
  for (gsize end = n; end > 0;)
    {
      gsize side = (end - 1) % BLOCK + 1, begin = end - side;
      memset (sums, 0, side * width * sizeof (double));
      if (end < n)
        cblas_dgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)side, (int)width, (int)(n - end), 1.0,
                     system->r + begin * n + end, (int)n, errors + end * width, (int)width, 0.0, sums, (int)width);
      for (gsize i = end; i-- > begin;)
        {
          double *error = errors + i * width;
          round_column (self, system, i, sums + (i - begin) * width, error);
          for (gsize above = begin; above < i; above++)
            {
              double factor = system->r[above * n + i], *sum = sums + (above - begin) * width;
              for (gsize o = 0; o < width; o++)
                sum[o] += factor * error[o];
            }
        }
      end = begin;
    }
}
