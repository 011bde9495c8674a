/* SPDX-License-Identifier: MIT */
#include "solve/least-squares.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

HtPanel *
ht_panel_new (gsize n, gsize n_rows, gsize block)
{
  HtPanel *self = g_new0 (HtPanel, 1);

  self->n = n;
  self->n_rows = n_rows;
  self->block = block;
  self->n_blocks = (n - 1) / block + 1;
  self->target = g_new0 (double, n *n_rows);
  self->free = g_new0 (double, n *n_rows);
  self->codes = g_new0 (double, n *n_rows);
  self->scales = g_new0 (double, self->n_blocks *n_rows);
  self->lows = g_new0 (double, self->n_blocks *n_rows);
  self->highs = g_new0 (double, self->n_blocks *n_rows);
  self->excess = g_new0 (double, n_rows);
  return self;
}

HtPanel *
ht_panel_copy (const HtPanel *self)
{
  HtPanel *copy = ht_panel_new (self->n, self->n_rows, self->block);
  gsize all = self->n * self->n_rows * sizeof (double), grids = self->n_blocks * self->n_rows * sizeof (double);

  memcpy (copy->target, self->target, all);
  memcpy (copy->free, self->free, all);
  memcpy (copy->codes, self->codes, all);
  memcpy (copy->scales, self->scales, grids);
  memcpy (copy->lows, self->lows, grids);
  memcpy (copy->highs, self->highs, grids);
  memcpy (copy->excess, self->excess, self->n_rows * sizeof (double));
  return copy;
}

void
ht_panel_free (HtPanel *self)
{
  if (self == NULL)
    return;
  g_free (self->target);
  g_free (self->free);
  g_free (self->codes);
  g_free (self->scales);
  g_free (self->lows);
  g_free (self->highs);
  g_free (self->excess);
  g_free (self);
}

void
ht_panel_find_free (HtPanel *self, const HtNormalSystem *system)
{
  gsize n = self->n, width = self->n_rows;
  g_autofree double *ordered = g_new (double, n *width);

  for (gsize i = 0; i < n; i++)
    memcpy (ordered + i * width, self->target + system->order[i] * width, width * sizeof (double));
  cblas_dtrsm (CblasRowMajor, CblasLeft, CblasUpper, CblasTrans, CblasNonUnit, (int)n, (int)width, 1.0, system->r,
               (int)n, ordered, (int)width);
  cblas_dtrsm (CblasRowMajor, CblasLeft, CblasUpper, CblasNoTrans, CblasNonUnit, (int)n, (int)width, 1.0, system->r,
               (int)n, ordered, (int)width);
  for (gsize i = 0; i < n; i++)
    memcpy (self->free + system->order[i] * width, ordered + i * width, width * sizeof (double));
}

void
ht_panel_measure (HtPanel *self, const HtNormalSystem *system)
{
  gsize n = self->n, width = self->n_rows;
  g_autofree double *errors = g_new (double, n *width);

  for (gsize i = 0; i < n; i++)
    {
      gsize column = system->order[i];
      const double *scales = self->scales + column / self->block * width;
      for (gsize o = 0; o < width; o++)
        errors[i * width + o] = scales[o] * self->codes[column * width + o] - self->free[column * width + o];
    }
  cblas_dtrmm (CblasRowMajor, CblasLeft, CblasUpper, CblasNoTrans, CblasNonUnit, (int)n, (int)width, 1.0, system->r,
               (int)n, errors, (int)width);
  memset (self->excess, 0, width * sizeof (double));
  for (gsize i = 0; i < n; i++)
    for (gsize o = 0; o < width; o++)
      self->excess[o] += errors[i * width + o] * errors[i * width + o];
}

void
ht_panel_round_nearest (HtPanel *self, const HtNormalSystem *system, const double *values)
{
  gsize width = self->n_rows;

  for (gsize i = 0; i < self->n; i++)
    {
      gsize grid = i / self->block * width;
      for (gsize o = 0; o < width; o++)
        {
          double code = rint (values[i * width + o] / self->scales[grid + o]);
          self->codes[i * width + o] = CLAMP (code, self->lows[grid + o], self->highs[grid + o]);
        }
    }
  ht_panel_measure (self, system);
}
