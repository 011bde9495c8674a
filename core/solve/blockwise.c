/* SPDX-License-Identifier: MIT */
/* Rows of more inputs than second moments can be kept of: block after block of the inputs, each with what the blocks
 * before it left to correct. */
#include "base/blas.h"
#include "base/thread-pool.h"
#include "solve/solution-private.h"

#include <halftone/blockwise.h>
#include <halftone/error.h>

#include <cblas.h>
#include <math.h>
#include <string.h>

#define CHUNK ((gsize)2048) /* positions that are added to moments at once */

/* Samples with the part of the targets that the weights so far leave over. */
typedef struct
{
  HtSamples *samples; /* NULL: none */
  float *rest;        /* [rows][positions] */
} Remainder;

typedef struct
{
  HtSolver *solver;
  const double *weights;
  gsize n_rows, n_columns, n_groups;
  HtRoundingGrid *grid;
  Remainder fitting, held_out;
  double *rounded, *shifts;
  double damping, moved, beyond, exact; /* sums over blocks, by their columns */
  GCancellable *cancellable;
} Task;

static void
task_clear (Task *self)
{
  g_free (self->fitting.rest);
  g_free (self->held_out.rest);
  g_free (self->rounded);
  g_free (self->shifts);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Task, task_clear)

typedef struct
{
  const Task *task;
  const Remainder *remainder;
  gsize begin, end;
  const double *weights; /* [rows][columns], of which the block counts */
  float factor;
} Product;

/* rest += factor * weights x inputs, over the columns of a block, for some positions of each group. */
static void
add_product (gsize first, gsize last, guint worker, gpointer user_data)
{
  const Product *p = user_data;
  const Task *task = p->task;
  gsize m = task->n_rows / task->n_groups, n = p->end - p->begin, stride;
  gsize count = ht_samples_get_n_positions (p->remainder->samples), n_chunks = (count + CHUNK - 1) / CHUNK;

  for (gsize item = first; item < last; item++)
    {
      gsize group = item / n_chunks, begin = item % n_chunks * CHUNK, some = MIN (CHUNK, count - begin);
      const float *x = ht_samples_get_inputs (p->remainder->samples, group, &stride) + p->begin * stride + begin;
      g_autofree float *w = g_new (float, m *n);
      for (gsize o = 0; o < m; o++)
        for (gsize i = 0; i < n; i++)
          w[o * n + i] = (float)p->weights[(group * m + o) * task->n_columns + p->begin + i];
      cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)some, (int)n, p->factor, w, (int)n, x,
                   (int)stride, 1.0f, p->remainder->rest + group * m * count + begin, (int)count);
    }
}

static void
add_products (const Task *task, const Remainder *remainder, gsize begin, gsize end, const double *weights, float factor)
{
  Product product = { task, remainder, begin, end, weights, factor };

  if (remainder->samples == NULL)
    return;
  gsize n_chunks = (ht_samples_get_n_positions (remainder->samples) + CHUNK - 1) / CHUNK;
  ht_parallel_for (task->n_groups * n_chunks, 1, add_product, &product);
}

/* What the weights, not yet rounded, leave over. */
static void
start (const Task *task, Remainder *remainder)
{
  if (remainder->samples == NULL)
    return;
  gsize count = ht_samples_get_n_positions (remainder->samples), m = task->n_rows / task->n_groups, stride;
  remainder->rest = g_new (float, task->n_rows *count);
  for (gsize row = 0; row < task->n_rows; row++)
    {
      const float *targets = ht_samples_get_targets (remainder->samples, row / m, &stride);
      memcpy (remainder->rest + row * count, targets + row % m * stride, count * sizeof (float));
    }
  add_products (task, remainder, 0, task->n_columns, task->weights, -1.0f);
}

/* The moments of a block, whose target is what is left over and its own part. */
static HtMoments *
make_moments (const Task *task, const Remainder *remainder, gsize begin, gsize end, GError **error)
{
  gsize n = end - begin, m = task->n_rows / task->n_groups, stride;
  gsize count = ht_samples_get_n_positions (remainder->samples), room = MIN (CHUNK, count);
  g_autoptr (HtMoments) moments = ht_moments_new (task->n_groups, n, m);
  g_autofree float *inputs = g_try_new (float, task->n_groups *n *room);
  g_autofree float *targets = g_new (float, task->n_rows *room);

  if (moments == NULL || inputs == NULL)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_NO_MEMORY,
                   "there is no memory for second moments of %" G_GSIZE_FORMAT " inputs", n);
      return NULL;
    }
  add_products (task, remainder, begin, end, task->weights, 1.0f);
  for (gsize first = 0; first < count; first += room)
    {
      gsize some = MIN (room, count - first);
      for (gsize group = 0; group < task->n_groups; group++)
        {
          const float *x = ht_samples_get_inputs (remainder->samples, group, &stride) + begin * stride + first;
          for (gsize i = 0; i < n; i++)
            memcpy (inputs + (group * n + i) * room, x + i * stride, some * sizeof (float));
        }
      for (gsize row = 0; row < task->n_rows; row++)
        memcpy (targets + row * room, remainder->rest + row * count + first, some * sizeof (float));
      if (!ht_moments_add (moments, inputs, targets, some, room, error))
        return NULL;
    }
  return g_steal_pointer (&moments);
}

static HtRoundingGrid *
cut_grid (const Task *task, gsize begin, gsize end, GError **error)
{
  gsize row_grids = ht_rounding_grid_get_n_row_grids (task->grid),
        n_blocks = ht_rounding_grid_get_n_blocks (task->grid);
  const double *scales = ht_rounding_grid_get_scales (task->grid, NULL);
  const gint64 *offsets = ht_rounding_grid_get_offsets (task->grid, NULL);

  if (n_blocks == 1)
    return ht_rounding_grid_ref (task->grid);
  gsize length = task->n_columns / n_blocks, n = (end - begin) / length;
  g_autofree double *own_scales = g_new (double, row_grids *n);
  g_autofree gint64 *own_offsets = g_new (gint64, row_grids * n);
  for (gsize row = 0; row < row_grids; row++)
    for (gsize i = 0; i < n; i++)
      {
        own_scales[row * n + i] = scales[row * n_blocks + begin / length + i];
        own_offsets[row * n + i] = offsets[row * n_blocks + begin / length + i];
      }
  return ht_rounding_grid_new (own_scales, own_offsets, row_grids, n, ht_rounding_grid_get_n_steps (task->grid), error);
}

static void
shift_rest (const Task *task, const Remainder *remainder, const double *shifts)
{
  if (remainder->samples == NULL || shifts == NULL)
    return;
  gsize count = ht_samples_get_n_positions (remainder->samples);
  for (gsize row = 0; row < task->n_rows; row++)
    for (gsize p = 0; p < count; p++)
      remainder->rest[row * count + p] -= (float)shifts[row];
}

static gboolean
solve_block (Task *task, gsize begin, gsize end, GError **error)
{
  gsize n = end - begin;
  g_autoptr (HtRoundingGrid) grid = cut_grid (task, begin, end, error);
  g_autoptr (HtMoments) fitting = grid != NULL ? make_moments (task, &task->fitting, begin, end, error) : NULL;
  g_autoptr (HtMoments) held_out = NULL;
  g_autofree double *weights = g_new (double, task->n_rows *n);

  if (fitting == NULL
      || (task->held_out.samples != NULL
          && (held_out = make_moments (task, &task->held_out, begin, end, error)) == NULL))
    return FALSE;
  for (gsize row = 0; row < task->n_rows; row++)
    memcpy (weights + row * n, task->weights + row * task->n_columns + begin, n * sizeof (double));
  g_autoptr (HtSolution) solution
      = ht_solver_solve (task->solver, fitting, held_out, weights, task->n_rows, grid, task->cancellable, error);
  if (solution == NULL)
    return FALSE;
  for (gsize row = 0; row < task->n_rows; row++)
    memcpy (task->rounded + row * task->n_columns + begin, solution->weights + row * n, n * sizeof (double));
  add_products (task, &task->fitting, begin, end, task->rounded, -1.0f);
  add_products (task, &task->held_out, begin, end, task->rounded, -1.0f);
  shift_rest (task, &task->fitting, solution->bias_shifts);
  shift_rest (task, &task->held_out, solution->bias_shifts);
  for (gsize row = 0; row < task->n_rows && solution->bias_shifts != NULL; row++)
    task->shifts[row] += solution->bias_shifts[row];
  task->damping += (double)n * solution->damping;
  task->moved += (double)n * solution->share_moved;
  task->beyond += (double)n * solution->share_beyond;
  task->exact += (double)n * solution->share_exact;
  return TRUE;
}

static double
mean_square (const Task *task, const Remainder *remainder)
{
  gsize count = ht_samples_get_n_positions (remainder->samples);
  double sum = 0.0;

  for (gsize i = 0; i < task->n_rows * count; i++)
    sum += (double)remainder->rest[i] * (double)remainder->rest[i];
  return sum / (double)count;
}

/* The better of what was found and nearest rounding. */
static HtSolution *
settle (Task *task)
{
  Remainder *judge = task->held_out.samples != NULL ? &task->held_out : &task->fitting;
  HtSolution *solution = g_new0 (HtSolution, 1);
  gsize n = task->n_rows * task->n_columns;
  double found = mean_square (task, judge), all = (double)task->n_columns;
  g_autofree double *nearest = g_new (double, n);

  ht_rounding_grid_round (task->grid, task->weights, task->n_rows, task->n_columns, nearest);
  g_clear_pointer (&judge->rest, g_free);
  start (task, judge);
  add_products (task, judge, 0, task->n_columns, task->weights, 1.0f);
  add_products (task, judge, 0, task->n_columns, nearest, -1.0f);
  solution->nearest_error = mean_square (task, judge);
  solution->is_nearest = !(found < solution->nearest_error);
  solution->error = solution->is_nearest ? solution->nearest_error : found;
  g_atomic_ref_count_init (&solution->n_refs);
  solution->n_rows = task->n_rows;
  solution->n_columns = task->n_columns;
  solution->grid = ht_rounding_grid_ref (task->grid);
  solution->damping = task->damping / all;
  solution->weights = solution->is_nearest ? g_steal_pointer (&nearest) : g_steal_pointer (&task->rounded);
  if (solution->is_nearest)
    return solution;
  solution->bias_shifts = g_steal_pointer (&task->shifts);
  solution->share_moved = task->moved / all;
  solution->share_beyond = task->beyond / all;
  solution->share_exact = task->exact / all;
  return solution;
}

static gboolean
check_samples (Task *task, HtSamples *samples, GError **error)
{
  gsize n_groups = ht_samples_get_n_groups (samples), n_inputs = ht_samples_get_n_inputs (samples);

  if (n_inputs == task->n_columns && n_groups * ht_samples_get_n_outputs (samples) == task->n_rows
      && ht_samples_get_n_positions (samples) > 0)
    return TRUE;
  g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
               "%" G_GSIZE_FORMAT " samples of %" G_GSIZE_FORMAT " groups of %" G_GSIZE_FORMAT
               " inputs do not go with %" G_GSIZE_FORMAT " x %" G_GSIZE_FORMAT " weights",
               ht_samples_get_n_positions (samples), n_groups, n_inputs, task->n_rows, task->n_columns);
  return FALSE;
}

/**
 * ht_solver_solve_blockwise:
 * @self: a solver that does not move scales
 * @fitting: samples to fit
 * @held_out: (nullable): others that choose the damping of each block and judge the result
 * @weights: (array): [@n_rows, inputs], before rounding, rows of one group after those of another
 * @n_rows: number of output channels
 * @grid: where to round to
 * @max_columns: inputs of a block at most; whole blocks of @grid are taken, at least one
 * @cancellable: (nullable): a #GCancellable
 * @error: return location for a #GError
 *
 * What ht_solver_solve() does, for rows of so many inputs that there is no memory for their second moments: blocks of
 * inputs are solved one after the other, each against what the blocks before it left over.
 *
 * Returns: (transfer full) (nullable): the solution, not worse than nearest rounding on @held_out; %NULL with @error
 *   set as by ht_solver_solve()
 */
HtSolution *
ht_solver_solve_blockwise (HtSolver *self, HtSamples *fitting, HtSamples *held_out, const double *weights, gsize n_rows,
                           HtRoundingGrid *grid, gsize max_columns, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (HT_IS_SOLVER (self) && fitting != NULL && weights != NULL && grid != NULL, NULL);
  g_return_val_if_fail (max_columns > 0, NULL);

  g_auto (Task) task = { .solver = self,
                         .weights = weights,
                         .n_rows = n_rows,
                         .n_columns = ht_samples_get_n_inputs (fitting),
                         .n_groups = ht_samples_get_n_groups (fitting),
                         .grid = grid,
                         .fitting = { fitting, NULL },
                         .held_out = { held_out, NULL },
                         .cancellable = cancellable };
  HtSolverFreedom scale, bias;

  g_object_get (self, "scale", &scale, "bias", &bias, NULL);
  g_return_val_if_fail (scale == HT_SOLVER_FREEDOM_FIXED, NULL);
  if (!check_samples (&task, fitting, error) || (held_out != NULL && !check_samples (&task, held_out, error)))
    return NULL;
  ht_blas_initialize ();
  gsize length = task.n_columns / ht_rounding_grid_get_n_blocks (grid);
  gsize step = ht_rounding_grid_get_n_blocks (grid) > 1 ? MAX (max_columns / length, 1) * length : max_columns;
  task.rounded = g_new (double, n_rows *task.n_columns);
  task.shifts = bias == HT_SOLVER_FREEDOM_JOINT ? g_new0 (double, n_rows) : NULL;
  start (&task, &task.fitting);
  start (&task, &task.held_out);
  for (gsize begin = 0; begin < task.n_columns; begin += step)
    if (!solve_block (&task, begin, MIN (begin + step, task.n_columns), error))
      return NULL;
  return settle (&task);
}
