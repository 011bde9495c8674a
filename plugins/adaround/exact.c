/* SPDX-License-Identifier: MIT */
#include "exact.h"

#include "activation.h"

#include <math.h>

/* Output positions that are enough: a number, and a multiple of the unknowns of a row. */
#define MIN_POSITIONS         65536
#define POSITIONS_PER_UNKNOWN 20
/* Positions that are kept as they are for the refinement: that many, as far as they fit. */
#define REFINED_POSITIONS ((gsize)16384)
#define LEAST_POSITIONS   ((gsize)1024)
#define REFINED_FLOATS    ((gsize)24 * 1024 * 1024)
/* Unknowns of a row whose matrices are still of a size to work with, those of a block where there are more, and what is
 * kept of the samples then. */
#define MAX_UNKNOWNS     ((gsize)8192)
#define BLOCK_UNKNOWNS   ((gsize)1024)
#define BLOCKWISE_FLOATS ((gsize)64 * 1024 * 1024)

static gsize
count_columns (HtLayer *layer)
{
  g_autoptr (HtTensor) matrix = ht_layer_get_matrix (layer, NULL);
  return matrix != NULL ? (gsize)ht_tensor_get_dim (matrix, 1) : 0;
}

gsize
exact_count_blocks (HtLayer *layer)
{
  gsize n_columns = count_columns (layer);
  return n_columns > MAX_UNKNOWNS ? (n_columns + BLOCK_UNKNOWNS - 1) / BLOCK_UNKNOWNS : 1;
}

char *
exact_check (HtLayer *layer, HtEncoding *encoding)
{
  gsize n_columns = count_columns (layer), n_grids, n_channels = ht_encoding_get_n_channels (encoding);

  ht_encoding_get_scales (encoding, &n_grids);
  if (!ht_encoding_is_integer (encoding))
    return g_strdup ("its numbers are in floating point, not in equal steps");
  if (n_columns == 0)
    return g_strdup ("its weight cannot be read as a matrix");
  if (n_grids > 1 && n_channels > 1 && ht_encoding_get_axis (encoding) != ht_layer_get_channel_axis (layer))
    return g_strdup ("its grids run along another axis than its output channels");
  if (n_grids > 1
      && (n_grids % n_channels != 0 || n_columns % (n_grids / n_channels) != 0
          || ht_layer_get_n_output_channels (layer) % n_channels != 0))
    return g_strdup ("its weight cannot be cut into blocks of one size");
  return NULL;
}

/* The grids as the simulation computes with them: steps of 32-bit floats. */
static HtRoundingGrid *
make_grid (HtEncoding *encoding, GError **error)
{
  gsize n_grids, n_rows = MAX (ht_encoding_get_n_channels (encoding), 1);
  const double *scales = ht_encoding_get_scales (encoding, &n_grids);
  const gint64 *offsets = ht_encoding_get_offsets (encoding, NULL);
  g_autofree double *narrow = g_new (double, n_grids);

  for (gsize i = 0; i < n_grids; i++)
    narrow[i] = (double)(float)scales[i];
  return ht_rounding_grid_new (narrow, offsets, n_rows, n_grids / n_rows, ht_encoding_get_n_steps (encoding), error);
}

static gboolean
store_weights (HtLayer *layer, HtTensor *old, HtSolution *solution, GError **error)
{
  gsize n;
  const double *weights = ht_solution_get_weights (solution, &n);
  g_autoptr (HtTensor) matrix = ht_tensor_copy (old, error);
  if (matrix == NULL)
    return FALSE;
  float *values = ht_tensor_get_writable_data (matrix);
  for (gsize i = 0; i < n; i++)
    values[i] = (float)weights[i] + 0.0f; /* no zero has a sign on a grid */
  return ht_layer_set_matrix (layer, matrix, error);
}

static gboolean
store_bias (HtLayer *layer, HtSolution *solution, GError **error)
{
  gsize n_shifts, n_bias;
  const double *shifts = ht_solution_get_bias_shifts (solution, &n_shifts);
  if (shifts == NULL)
    return TRUE;
  g_autofree double *bias = ht_layer_get_bias_values (layer, &n_bias, error);
  if (bias == NULL)
    return FALSE;
  for (gsize i = 0; i < n_bias; i++)
    bias[i] += shifts[i];
  return ht_layer_set_bias_values (layer, bias, n_bias, error);
}

static gboolean
store_grid (HtSolution *solution, HtEncoding **encoding, GError **error)
{
  gsize n_grids;
  const double *scales = ht_rounding_grid_get_scales (ht_solution_get_grid (solution), &n_grids);
  HtEncoding *moved = ht_encoding_with_scales (*encoding, scales, NULL, n_grids, error);
  if (moved == NULL)
    return FALSE;
  ht_encoding_unref (*encoding);
  *encoding = moved;
  return TRUE;
}

/* Positions of the layer as they are, and the range of what it should return. */
typedef struct
{
  HtSamples *fitting, *held_out;
  HtTensor *target; /* of one batch */
  double low, high;
} Positions;

static void
positions_clear (Positions *self)
{
  g_clear_pointer (&self->fitting, ht_samples_unref);
  g_clear_pointer (&self->held_out, ht_samples_unref);
  g_clear_pointer (&self->target, ht_tensor_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Positions, positions_clear)

static void
extend_range (Positions *self, HtTensor *target)
{
  const float *values = ht_tensor_get_data (target);
  gsize n = ht_tensor_get_n_elements (target);

  for (gsize i = 0; i < n; i++)
    {
      self->low = fmin (self->low, (double)values[i]);
      self->high = fmax (self->high, (double)values[i]);
    }
}

/* Positions of a layer that fit into as many floats. */
static gsize
positions_in (HtLayer *layer, gsize n_columns, gsize floats)
{
  return MAX (floats / (ht_layer_get_n_groups (layer) * n_columns + ht_layer_get_n_output_channels (layer)), 1);
}

static gboolean
collect_positions (Positions *self, HtSweep *sweep, HtLayer *layer, const double *bias, gsize most, guint64 seed,
                   GError **error)
{
  gsize counts[2] = { 0, 0 };
  guint n_batches = ht_sweep_get_n_batches (sweep);

  self->low = INFINITY;
  self->high = -INFINITY;
  for (guint batch = 0; batch < n_batches; batch++)
    {
      g_autoptr (HtTensor) input = NULL, target = NULL;
      if (!ht_sweep_get_batch (sweep, batch, &input, &target, error))
        return FALSE;
      counts[ht_sweep_is_held_out (sweep, batch)] += ht_layer_count_positions (layer, target);
      extend_range (self, target);
    }
  for (guint batch = 0; batch < n_batches; batch++)
    {
      g_autoptr (HtTensor) input = NULL;
      gboolean is_held_out = ht_sweep_is_held_out (sweep, batch);
      HtSamples **samples = is_held_out ? &self->held_out : &self->fitting;
      gsize count = counts[is_held_out], wanted = MIN (most, count);
      g_clear_pointer (&self->target, ht_tensor_unref);
      if (!ht_sweep_get_batch (sweep, batch, &input, &self->target, error))
        return FALSE;
      if (*samples == NULL && (*samples = ht_layer_create_samples (layer, wanted, error)) == NULL)
        return FALSE;
      if (!ht_layer_add_samples (layer, *samples, input, self->target, bias, (double)wanted / (double)count,
                                 seed + batch, error))
        return FALSE;
    }
  return TRUE;
}

static HtSolution *
refine (HtSolution *solution, HtSweep *sweep, HtLayer *layer, HtMoments *moments, const double *weights,
        gsize n_columns, guint64 seed, HtRefinement *refinement, GCancellable *cancellable, GError **error)
{
  g_auto (Positions) positions = { 0 };
  gsize n_bias;
  g_autofree double *bias = ht_layer_get_bias_values (layer, &n_bias, error);
  g_autoptr (GError) local = NULL;

  gsize most = CLAMP (positions_in (layer, n_columns, REFINED_FLOATS), LEAST_POSITIONS, REFINED_POSITIONS);
  if (bias == NULL || !collect_positions (&positions, sweep, layer, bias, most, seed, error))
    return NULL;
  g_autoptr (Activation) activation = activation_new (layer, positions.target, positions.low, positions.high, &local);
  if (activation == NULL)
    {
      g_propagate_error (error, g_steal_pointer (&local));
      return NULL;
    }
  return ht_solution_refine (solution, moments, positions.fitting, positions.held_out, weights, bias, activation_apply,
                             activation, refinement, cancellable, error);
}

static HtSolution *
solve_blockwise (HtSolver *solver, HtSweep *sweep, HtLayer *layer, const double *weights, gsize n_columns,
                 HtRoundingGrid *grid, guint64 seed, GCancellable *cancellable, GError **error)
{
  g_auto (Positions) positions = { 0 };
  gsize n_bias;
  g_autofree double *bias = ht_layer_get_bias_values (layer, &n_bias, error);

  if (bias == NULL
      || !collect_positions (&positions, sweep, layer, bias, positions_in (layer, n_columns, BLOCKWISE_FLOATS), seed,
                             error))
    return NULL;
  return ht_solver_solve_blockwise (solver, positions.fitting, positions.held_out, weights, n_bias, grid,
                                    BLOCK_UNKNOWNS, cancellable, error);
}

/* The solution from second moments, refined if that is asked for. */
static HtSolution *
solve_at_once (const ExactSettings *settings, HtSolver *solver, HtSweep *sweep, HtLayer *layer, const double *weights,
               gsize n_rows, gsize n_columns, HtRoundingGrid *grid, guint64 seed, HtRefinement *refinement,
               GCancellable *cancellable, GError **error)
{
  g_autoptr (HtMoments) fitting = NULL, held_out = NULL;

  if (!ht_sweep_collect_moments (sweep, HT_SWEEP_TARGET_REFERENCE,
                                 MAX (MIN_POSITIONS, POSITIONS_PER_UNKNOWN * n_columns), &fitting, &held_out, error))
    return NULL;
  g_autoptr (HtSolution) solution
      = ht_solver_solve (solver, fitting, held_out, weights, n_rows, grid, cancellable, error);
  if (solution == NULL || !settings->activation_aware || !activation_exists (layer))
    return g_steal_pointer (&solution);
  return refine (solution, sweep, layer, fitting, weights, n_columns, seed, refinement, cancellable, error);
}

HtSolution *
exact_round (const ExactSettings *settings, HtSweep *sweep, HtLayer *layer, HtEncoding **encoding, guint64 seed,
             HtRefinement *refinement, GCancellable *cancellable, GError **error)
{
  g_autoptr (HtTensor) matrix = ht_layer_get_matrix (layer, error);
  g_autoptr (HtRoundingGrid) grid = matrix != NULL ? make_grid (*encoding, error) : NULL;
  g_autoptr (HtSolver) solver = ht_solver_new ();
  if (grid == NULL)
    return NULL;
  gsize n = ht_tensor_get_n_elements (matrix), n_columns = (gsize)ht_tensor_get_dim (matrix, 1);
  g_autofree double *weights = g_new (double, n);
  const float *values = ht_tensor_get_data (matrix);
  for (gsize i = 0; i < n; i++)
    weights[i] = (double)values[i];
  gsize n_blocks = exact_count_blocks (layer);
  g_object_set (solver, "scale", n_blocks > 1 ? HT_SOLVER_FREEDOM_FIXED : settings->scale, "bias", settings->bias,
                "candidates", settings->candidates, "seed", seed, NULL);
  *refinement = (HtRefinement){ -1.0, -1.0, 0.0 };
  g_autoptr (HtSolution) solution
      = n_blocks > 1 ? solve_blockwise (solver, sweep, layer, weights, n_columns, grid, seed, cancellable, error)
                     : solve_at_once (settings, solver, sweep, layer, weights, n / n_columns, n_columns, grid, seed,
                                      refinement, cancellable, error);
  if (solution == NULL || !store_weights (layer, matrix, solution, error) || !store_bias (layer, solution, error))
    return NULL;
  if (n_blocks == 1 && settings->scale == HT_SOLVER_FREEDOM_JOINT && !store_grid (solution, encoding, error))
    return NULL;
  return g_steal_pointer (&solution);
}
