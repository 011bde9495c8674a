/* SPDX-License-Identifier: MIT */
#include "solve/solution-private.h"

/**
 * HtSolution:
 *
 * Weights of one layer on their grids, with what is known of their error. Errors are mean squared errors of the output
 * of the layer, summed over its channels.
 */
G_DEFINE_BOXED_TYPE (HtSolution, ht_solution, ht_solution_ref, ht_solution_unref)

HtSolution *
ht_solution_ref (HtSolution *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_atomic_ref_count_inc (&self->n_refs);
  return self;
}

void
ht_solution_unref (HtSolution *self)
{
  g_return_if_fail (self != NULL);

  if (!g_atomic_ref_count_dec (&self->n_refs))
    return;
  g_clear_pointer (&self->grid, ht_rounding_grid_unref);
  g_free (self->weights);
  g_free (self->bias_shifts);
  g_free (self);
}

/**
 * ht_solution_get_weights:
 * @self: a solution
 * @n_weights: (out) (optional): rows times columns
 *
 * Returns: (transfer none) (array length=n_weights): the weights, [rows, columns], each on its grid
 */
const double *
ht_solution_get_weights (HtSolution *self, gsize *n_weights)
{
  g_return_val_if_fail (self != NULL, NULL);
  if (n_weights != NULL)
    *n_weights = self->n_rows * self->n_columns;
  return self->weights;
}

/**
 * ht_solution_get_grid:
 * @self: a solution
 *
 * Returns: (transfer none): the grids; others than were given when the solver was free to move scales
 */
HtRoundingGrid *
ht_solution_get_grid (HtSolution *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  return self->grid;
}

/**
 * ht_solution_get_bias_shifts:
 * @self: a solution
 * @n_rows: (out) (optional): number of rows
 *
 * Returns: (transfer none) (nullable) (array length=n_rows): what is to be added to the bias of each row; %NULL when
 * the bias stays as it is
 */
const double *
ht_solution_get_bias_shifts (HtSolution *self, gsize *n_rows)
{
  g_return_val_if_fail (self != NULL, NULL);
  if (n_rows != NULL)
    *n_rows = self->bias_shifts != NULL ? self->n_rows : 0;
  return self->bias_shifts;
}

/**
 * ht_solution_is_nearest:
 * @self: a solution
 *
 * Returns: whether all that was found was not better than nearest rounding, which the solution then is
 */
gboolean
ht_solution_is_nearest (HtSolution *self)
{
  g_return_val_if_fail (self != NULL, FALSE);
  return self->is_nearest;
}

/**
 * ht_solution_get_nearest_error:
 * @self: a solution
 *
 * Returns: the error of nearest rounding on the held-out samples, or on the fitting ones when none were held out
 */
double
ht_solution_get_nearest_error (HtSolution *self)
{
  g_return_val_if_fail (self != NULL, 0.0);
  return self->nearest_error;
}

/**
 * ht_solution_get_error:
 * @self: a solution
 *
 * Returns: the error of what was found from the fitting samples, measured as ht_solution_get_nearest_error()
 */
double
ht_solution_get_error (HtSolution *self)
{
  g_return_val_if_fail (self != NULL, 0.0);
  return self->error;
}

/**
 * ht_solution_get_damping:
 * @self: a solution
 *
 * Returns: the damping that was given or chosen
 */
double
ht_solution_get_damping (HtSolution *self)
{
  g_return_val_if_fail (self != NULL, 0.0);
  return self->damping;
}

/**
 * ht_solution_get_share_moved:
 * @self: a solution
 *
 * Returns: the share of the weights that are not at the nearest value of their grid, from 0 to 1
 */
double
ht_solution_get_share_moved (HtSolution *self)
{
  g_return_val_if_fail (self != NULL, 0.0);
  return self->share_moved;
}

/**
 * ht_solution_get_share_beyond:
 * @self: a solution
 *
 * Returns: the share of the weights that are at neither of the two values of their grid around them, from 0 to 1
 */
double
ht_solution_get_share_beyond (HtSolution *self)
{
  g_return_val_if_fail (self != NULL, 0.0);
  return self->share_beyond;
}

/**
 * ht_solution_get_share_exact:
 * @self: a solution
 *
 * Returns: the share of the rows whose codes were proved to be the best of all by enumeration, from 0 to 1
 */
double
ht_solution_get_share_exact (HtSolution *self)
{
  g_return_val_if_fail (self != NULL, 0.0);
  return self->share_exact;
}
