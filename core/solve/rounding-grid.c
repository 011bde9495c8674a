/* SPDX-License-Identifier: MIT */
#include <halftone/error.h>
#include <halftone/rounding-grid.h>

#include <math.h>
#include <string.h>

/* Codes are kept as doubles, which hold whole numbers up to 2^53. */
#define MAX_STEPS (((gint64)1 << 32) - 1)

/**
 * HtRoundingGrid:
 *
 * The grids of the rows of a weight matrix: row r has those of index r modulo `n_row_grids`, and its columns are cut
 * into `n_blocks` blocks of equal length with a grid each. A weight is `scale * (q + offset)` with q in [0, n_steps].
 *
 * So one row grid is a grid for the whole tensor, as many as rows one for each output channel.
 */
struct _HtRoundingGrid
{
  gatomicrefcount n_refs;
  gsize n_row_grids, n_blocks;
  gint64 n_steps;
  double *scales; /* [row grids][blocks] */
  gint64 *offsets;
};

G_DEFINE_BOXED_TYPE (HtRoundingGrid, ht_rounding_grid, ht_rounding_grid_ref, ht_rounding_grid_unref)

/**
 * ht_rounding_grid_new:
 * @scales: (array): [@n_row_grids, @n_blocks], greater than 0
 * @offsets: (array): [@n_row_grids, @n_blocks], what is added to a code
 * @n_row_grids: number of grids along the rows
 * @n_blocks: number of grids along the columns
 * @n_steps: number of the greatest code
 * @error: return location for a #GError
 *
 * Returns: (transfer full) (nullable): a new grid; %NULL with #HT_ERROR_INVALID_ARGUMENT
 */
HtRoundingGrid *
ht_rounding_grid_new (const double *scales, const gint64 *offsets, gsize n_row_grids, gsize n_blocks, gint64 n_steps,
                      GError **error)
{
  g_return_val_if_fail (scales != NULL && offsets != NULL && n_row_grids > 0 && n_blocks > 0, NULL);

  gsize n_grids = n_row_grids * n_blocks;
  if (n_steps < 1 || n_steps > MAX_STEPS)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                   "a grid to round to has from 1 to %" G_GINT64_FORMAT " steps, not %" G_GINT64_FORMAT, MAX_STEPS,
                   n_steps);
      return NULL;
    }
  for (gsize i = 0; i < n_grids; i++)
    if (!(scales[i] > 0.0) || !isfinite (scales[i]) || offsets[i] < -MAX_STEPS || offsets[i] > MAX_STEPS)
      {
        g_set_error (error, HT_ERROR, HT_ERROR_INVALID_ARGUMENT,
                     "grid %" G_GSIZE_FORMAT " has scale %g and offset %" G_GINT64_FORMAT
                     "; a scale is finite and greater than 0, an offset within %" G_GINT64_FORMAT " of 0",
                     i, scales[i], offsets[i], MAX_STEPS);
        return NULL;
      }
  HtRoundingGrid *self = g_new0 (HtRoundingGrid, 1);
  g_atomic_ref_count_init (&self->n_refs);
  self->n_row_grids = n_row_grids;
  self->n_blocks = n_blocks;
  self->n_steps = n_steps;
  self->scales = g_memdup2 (scales, n_grids * sizeof *scales);
  self->offsets = g_memdup2 (offsets, n_grids * sizeof *offsets);
  return self;
}

HtRoundingGrid *
ht_rounding_grid_ref (HtRoundingGrid *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_atomic_ref_count_inc (&self->n_refs);
  return self;
}

void
ht_rounding_grid_unref (HtRoundingGrid *self)
{
  g_return_if_fail (self != NULL);

  if (!g_atomic_ref_count_dec (&self->n_refs))
    return;
  g_free (self->scales);
  g_free (self->offsets);
  g_free (self);
}

gsize
ht_rounding_grid_get_n_row_grids (HtRoundingGrid *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->n_row_grids;
}

gsize
ht_rounding_grid_get_n_blocks (HtRoundingGrid *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->n_blocks;
}

gint64
ht_rounding_grid_get_n_steps (HtRoundingGrid *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->n_steps;
}

/**
 * ht_rounding_grid_get_scales:
 * @self: a grid
 * @n_grids: (out) (optional): row grids times blocks
 *
 * Returns: (transfer none) (array length=n_grids): the scales, [row grids, blocks]
 */
const double *
ht_rounding_grid_get_scales (HtRoundingGrid *self, gsize *n_grids)
{
  g_return_val_if_fail (self != NULL, NULL);
  if (n_grids != NULL)
    *n_grids = self->n_row_grids * self->n_blocks;
  return self->scales;
}

/**
 * ht_rounding_grid_get_offsets:
 * @self: a grid
 * @n_grids: (out) (optional): row grids times blocks
 *
 * Returns: (transfer none) (array length=n_grids): the offsets, [row grids, blocks]
 */
const gint64 *
ht_rounding_grid_get_offsets (HtRoundingGrid *self, gsize *n_grids)
{
  g_return_val_if_fail (self != NULL, NULL);
  if (n_grids != NULL)
    *n_grids = self->n_row_grids * self->n_blocks;
  return self->offsets;
}

/**
 * ht_rounding_grid_round:
 * @self: a grid
 * @weights: (array): [@n_rows, @n_columns]
 * @n_rows: number of rows
 * @n_columns: number of columns
 * @rounded: (array): [@n_rows, @n_columns], what @weights become
 *
 * Rounds every weight to the nearest value of its grid, halves to the even code.
 */
void
ht_rounding_grid_round (HtRoundingGrid *self, const double *weights, gsize n_rows, gsize n_columns, double *rounded)
{
  g_return_if_fail (self != NULL && weights != NULL && rounded != NULL);

  gsize block = (n_columns - 1) / self->n_blocks + 1;
  for (gsize row = 0; row < n_rows; row++)
    for (gsize column = 0; column < n_columns; column++)
      {
        gsize grid = row % self->n_row_grids * self->n_blocks + column / block, at = row * n_columns + column;
        double low = (double)self->offsets[grid], high = (double)(self->offsets[grid] + self->n_steps);
        double code = rint (weights[at] / self->scales[grid]);
        rounded[at] = self->scales[grid] * CLAMP (code, low, high);
      }
}
