/* SPDX-License-Identifier: MIT */
#include "solve/problem.h"
#include "solve/solution-private.h"

#include <halftone/enums.h>
#include <halftone/error.h>

#include <math.h>
#include <string.h>

#define N_SCALE_ROUNDS 3
/* What the held-out samples choose from, and what is taken without them. */
static const double dampings[] = { 0.0003, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0 };
#define DEFAULT_DAMPING 0.03

struct _HtSolver
{
  GObject parent_instance;

  double damping;
  guint candidates;
  HtSolverFreedom scale;
  HtSolverFreedom bias;
  guint64 seed;
};

/**
 * HtSolver:
 *
 * Finds the codes of a layer's weights on given grids that change its output least: integer least squares from second
 * moments. Codes are rounded successively, each with the errors of those before it fed back, then moved one by one over
 * the whole grid until no move helps, and for short rows enumerated. Optionally the scales, and the bias, are found
 * together with them.
 *
 * With #HtSolver:damping below 0 the damping is chosen on the held-out samples. A layer whose error there is not lower
 * than that of nearest rounding gets nearest rounding. The result is the same bytes at any number of threads.
 */
G_DEFINE_FINAL_TYPE (HtSolver, ht_solver, G_TYPE_OBJECT)

enum
{
  PROP_DAMPING = 1,
  PROP_CANDIDATES,
  PROP_SCALE,
  PROP_BIAS,
  PROP_SEED,
  N_PROPERTIES,
};

static GParamSpec *properties[N_PROPERTIES];

static void
ht_solver_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  HtSolver *self = HT_SOLVER (object);

  switch (id)
    {
    case PROP_DAMPING:
      g_value_set_double (value, self->damping);
      break;
    case PROP_CANDIDATES:
      g_value_set_uint (value, self->candidates);
      break;
    case PROP_SCALE:
      g_value_set_enum (value, (gint)self->scale);
      break;
    case PROP_BIAS:
      g_value_set_enum (value, (gint)self->bias);
      break;
    case PROP_SEED:
      g_value_set_uint64 (value, self->seed);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
ht_solver_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  HtSolver *self = HT_SOLVER (object);

  switch (id)
    {
    case PROP_DAMPING:
      self->damping = g_value_get_double (value);
      break;
    case PROP_CANDIDATES:
      self->candidates = g_value_get_uint (value);
      break;
    case PROP_SCALE:
      self->scale = (HtSolverFreedom)g_value_get_enum (value);
      break;
    case PROP_BIAS:
      self->bias = (HtSolverFreedom)g_value_get_enum (value);
      break;
    case PROP_SEED:
      self->seed = g_value_get_uint64 (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
ht_solver_class_init (HtSolverClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS;

  object_class->get_property = ht_solver_get_property;
  object_class->set_property = ht_solver_set_property;
  /**
   * HtSolver:damping:
   *
   * How strongly weights are drawn to their values before rounding, relative to the second moment of each input;
   * below 0 it is chosen on the held-out samples.
   */
  properties[PROP_DAMPING] = g_param_spec_double ("damping", NULL, NULL, -1.0, 1e6, -1.0, flags);
  /**
   * HtSolver:candidates:
   *
   * Orders in which the columns are rounded; the best is taken for each row.
   */
  properties[PROP_CANDIDATES] = g_param_spec_uint ("candidates", NULL, NULL, 1, 1024, 1, flags);
  /**
   * HtSolver:scale:
   *
   * Whether scales are chosen together with the codes. Offsets stay.
   */
  properties[PROP_SCALE]
      = g_param_spec_enum ("scale", NULL, NULL, HT_TYPE_SOLVER_FREEDOM, HT_SOLVER_FREEDOM_FIXED, flags);
  /**
   * HtSolver:bias:
   *
   * Whether a shift of the bias is chosen together with the codes.
   */
  properties[PROP_BIAS]
      = g_param_spec_enum ("bias", NULL, NULL, HT_TYPE_SOLVER_FREEDOM, HT_SOLVER_FREEDOM_FIXED, flags);
  /**
   * HtSolver:seed:
   *
   * Of the random orders.
   */
  properties[PROP_SEED] = g_param_spec_uint64 ("seed", NULL, NULL, 0, G_MAXUINT64, 0, flags);
  g_object_class_install_properties (object_class, N_PROPERTIES, properties);
}

static void
ht_solver_init (HtSolver *self)
{
  self->damping = -1.0;
  self->candidates = 1;
}

/**
 * ht_solver_new:
 *
 * Returns: (transfer full): a solver that moves neither scales nor biases
 */
HtSolver *
ht_solver_new (void)
{
  return g_object_new (HT_TYPE_SOLVER, NULL);
}

/* One call of the solver. */
typedef struct
{
  HtSolver *self;
  const double *weights;
  gsize n_rows, n_columns;
  HtRoundingGrid *grid;
  gboolean centred;
  GCancellable *cancellable;
} Task;

/* What one fit gave. */
typedef struct
{
  double *weights;
  double *bias_shifts;
  HtRoundingGrid *grid;
  gsize n_exact;
} Fit;

static void
fit_free (Fit *fit)
{
  if (fit == NULL)
    return;
  g_free (fit->weights);
  g_free (fit->bias_shifts);
  g_clear_pointer (&fit->grid, ht_rounding_grid_unref);
  g_free (fit);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Fit, fit_free)

static Fit *
take_fit (const Task *task, const HtQuadratic *quadratic, HtProblem *problem)
{
  Fit *fit = g_new0 (Fit, 1);

  fit->weights = g_new (double, task->n_rows * task->n_columns);
  ht_problem_get_weights (problem, fit->weights);
  fit->grid = ht_problem_get_grid (problem);
  if (task->centred)
    {
      fit->bias_shifts = g_new (double, task->n_rows);
      ht_quadratic_find_bias_shifts (quadratic, fit->weights, fit->bias_shifts);
    }
  return fit;
}

static double
total_error (const Task *task, const HtQuadratic *quadratic, const double *weights, const double *bias_shifts)
{
  g_autofree double *errors = g_new (double, task->n_rows);
  double total = 0.0;

  ht_quadratic_find_errors (quadratic, weights, bias_shifts, errors);
  for (gsize row = 0; row < task->n_rows; row++)
    total += errors[row];
  return total;
}

/* Everything the properties ask for, from the moments in `quadratic`. NULL when cancelled. */
static Fit *
fit (const Task *task, const HtQuadratic *quadratic, double damping, GError **error)
{
  HtSolver *self = task->self;
  g_autoptr (HtProblem) problem = ht_problem_new (quadratic, task->weights, task->grid, damping, task->centred);
  gboolean joint = self->scale == HT_SOLVER_FREEDOM_JOINT;

  if (g_cancellable_set_error_if_cancelled (task->cancellable, error))
    return NULL;
  if (joint)
    ht_problem_search_scales (problem);
  else
    ht_problem_round (problem, self->candidates, self->seed);
  gsize n_exact = ht_problem_improve (problem);
  for (guint i = 0; i < N_SCALE_ROUNDS && joint; i++)
    {
      if (g_cancellable_set_error_if_cancelled (task->cancellable, error))
        return NULL;
      ht_problem_fit_scales (problem);
      n_exact = ht_problem_improve (problem);
    }
  ht_problem_compare_nearest (problem);
  Fit *result = take_fit (task, quadratic, problem);
  result->n_exact = n_exact;
  return result;
}

/* The damping whose successive rounding has the least error on the held-out samples; below 0 when cancelled. */
static double
choose_damping (Task *task, const HtQuadratic *fitting, const HtQuadratic *held_out, GError **error)
{
  double best = INFINITY, chosen = DEFAULT_DAMPING;
  g_autoptr (HtRoundingGrid) grid = ht_rounding_grid_ref (task->grid);

  if (task->self->scale == HT_SOLVER_FREEDOM_JOINT)
    {
      g_autoptr (HtProblem) problem = ht_problem_new (fitting, task->weights, grid, DEFAULT_DAMPING, task->centred);
      ht_problem_search_scales (problem);
      ht_rounding_grid_unref (grid);
      grid = ht_problem_get_grid (problem);
    }
  for (guint i = 0; i < G_N_ELEMENTS (dampings); i++)
    {
      if (g_cancellable_set_error_if_cancelled (task->cancellable, error))
        return -1.0;
      g_autoptr (HtProblem) problem = ht_problem_new (fitting, task->weights, grid, dampings[i], task->centred);
      ht_problem_round (problem, 1, 0);
      g_autoptr (Fit) fit = take_fit (task, fitting, problem);
      double loss = total_error (task, held_out, fit->weights, fit->bias_shifts);
      if (loss < best)
        {
          best = loss;
          chosen = dampings[i];
        }
    }
  return chosen;
}

static void
count_moves (const Task *task, HtSolution *solution)
{
  gsize n = task->n_rows * task->n_columns, n_moved = 0, n_beyond = 0, n_grids;
  g_autofree double *nearest = g_new (double, n);
  gsize row_grids = ht_rounding_grid_get_n_row_grids (solution->grid);
  gsize n_blocks = ht_rounding_grid_get_n_blocks (solution->grid), block = (task->n_columns - 1) / n_blocks + 1;
  const double *scales = ht_rounding_grid_get_scales (solution->grid, &n_grids);

  ht_rounding_grid_round (solution->grid, task->weights, task->n_rows, task->n_columns, nearest);
  for (gsize i = 0; i < n; i++)
    {
      gsize row = i / task->n_columns, column = i % task->n_columns;
      double scale = scales[row % row_grids * n_blocks + column / block];
      double off = fabs (solution->weights[i] - task->weights[i]);
      /* What is clipped is far from its value however it is rounded. */
      gboolean moved = fabs (solution->weights[i] - nearest[i]) > 0.5 * scale;
      n_moved += moved;
      n_beyond += moved && off > scale * (1.0 + 1e-9);
    }
  solution->share_moved = (double)n_moved / (double)n;
  solution->share_beyond = (double)n_beyond / (double)n;
}

static HtSolution *
make_solution (const Task *task, const Fit *fit, double damping)
{
  HtSolution *solution = g_new0 (HtSolution, 1);
  gsize n = task->n_rows * task->n_columns;

  g_atomic_ref_count_init (&solution->n_refs);
  solution->n_rows = task->n_rows;
  solution->n_columns = task->n_columns;
  solution->damping = damping;
  if (fit != NULL)
    {
      solution->weights = g_memdup2 (fit->weights, n * sizeof (double));
      solution->bias_shifts
          = fit->bias_shifts != NULL ? g_memdup2 (fit->bias_shifts, task->n_rows * sizeof (double)) : NULL;
      solution->grid = ht_rounding_grid_ref (fit->grid);
      solution->share_exact = (double)fit->n_exact / (double)task->n_rows;
    }
  else
    {
      solution->is_nearest = TRUE;
      solution->weights = g_new (double, n);
      ht_rounding_grid_round (task->grid, task->weights, task->n_rows, task->n_columns, solution->weights);
      solution->grid = ht_rounding_grid_ref (task->grid);
    }
  count_moves (task, solution);
  return solution;
}

static HtSolution *
solve (Task *task, HtMoments *fitting, HtMoments *held_out, GError **error)
{
  gsize n = task->n_rows * task->n_columns;
  g_autoptr (HtQuadratic) quadratic = ht_quadratic_new (fitting);
  g_autoptr (HtQuadratic) judge = held_out != NULL ? ht_quadratic_new (held_out) : NULL;
  g_autofree double *nearest = g_new (double, n);
  double damping = task->self->damping;

  ht_rounding_grid_round (task->grid, task->weights, task->n_rows, task->n_columns, nearest);
  if (damping < 0.0)
    damping = judge != NULL ? choose_damping (task, quadratic, judge, error) : DEFAULT_DAMPING;
  if (damping < 0.0)
    return NULL;
  g_autoptr (Fit) found = fit (task, quadratic, damping, error);
  if (found == NULL)
    return NULL;
  const HtQuadratic *measure = judge != NULL ? judge : quadratic;
  double nearest_error = total_error (task, measure, nearest, NULL);
  double found_error = total_error (task, measure, found->weights, found->bias_shifts);
  gboolean better = found_error < nearest_error;
  if (better && judge != NULL)
    {
      /* What was measured is worth it: now from all samples. */
      g_autoptr (HtMoments) all = ht_moments_copy (fitting);
      if (all != NULL && !ht_moments_merge (all, held_out, error))
        return NULL;
      g_clear_pointer (&quadratic, ht_quadratic_free);
      quadratic = ht_quadratic_new (all != NULL ? all : fitting);
      g_clear_pointer (&all, ht_moments_unref);
      fit_free (found);
      found = fit (task, quadratic, damping, error);
      if (found == NULL)
        return NULL;
    }
  HtSolution *solution = make_solution (task, better ? found : NULL, damping);
  solution->nearest_error = nearest_error;
  solution->error = better ? found_error : nearest_error;
  return solution;
}

static gboolean
check_shapes (HtMoments *moments, gsize n_rows, HtRoundingGrid *grid, GError **error)
{
  gsize outputs = ht_moments_get_n_groups (moments) * ht_moments_get_n_outputs (moments);
  gsize n_columns = ht_moments_get_n_inputs (moments);
  gsize row_grids = ht_rounding_grid_get_n_row_grids (grid), n_blocks = ht_rounding_grid_get_n_blocks (grid);

  if (outputs != n_rows)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
                   "the moments have targets for %" G_GSIZE_FORMAT " rows, the weights %" G_GSIZE_FORMAT " rows",
                   outputs, n_rows);
      return FALSE;
    }
  if (n_rows % row_grids != 0 || n_columns % n_blocks != 0)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
                   "%" G_GSIZE_FORMAT " x %" G_GSIZE_FORMAT " weights cannot be cut into %" G_GSIZE_FORMAT
                   " x %" G_GSIZE_FORMAT " grids of one size",
                   n_rows, n_columns, row_grids, n_blocks);
      return FALSE;
    }
  if (ht_moments_get_n_positions (moments) == 0)
    {
      g_set_error (error, HT_ERROR, HT_ERROR_INVALID_DATA, "the moments hold no sample");
      return FALSE;
    }
  return TRUE;
}

/**
 * ht_solver_solve:
 * @self: a solver
 * @fitting: moments of the samples to fit
 * @held_out: (nullable): moments of other samples, which choose the damping and judge the result; when it is better
 * than nearest rounding there, it is computed once more from all samples
 * @weights: (array): [@n_rows, inputs], before rounding, rows of one group after those of another
 * @n_rows: number of output channels
 * @grid: where to round to
 * @cancellable: (nullable): a #GCancellable
 * @error: return location for a #GError
 *
 * Finds weights on @grid whose outputs differ least from the targets. Without @held_out they are never worse than
 * nearest rounding on @fitting.
 *
 * Returns: (transfer full) (nullable): the solution; %NULL with #HT_ERROR_SHAPE when the arguments do not go together,
 *   #HT_ERROR_NUMERIC when a weight is not finite, #HT_ERROR_INVALID_DATA when there are no samples,
 *   %G_IO_ERROR_CANCELLED
 */
HtSolution *
ht_solver_solve (HtSolver *self, HtMoments *fitting, HtMoments *held_out, const double *weights, gsize n_rows,
                 HtRoundingGrid *grid, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (HT_IS_SOLVER (self), NULL);
  g_return_val_if_fail (fitting != NULL && weights != NULL && grid != NULL, NULL);

  if (!check_shapes (fitting, n_rows, grid, error))
    return NULL;
  if (held_out != NULL && ht_moments_get_n_positions (held_out) == 0)
    held_out = NULL;
  if (held_out != NULL && !check_shapes (held_out, n_rows, grid, error))
    return NULL;
  Task task
      = { self,       weights, n_rows, ht_moments_get_n_inputs (fitting), grid, self->bias == HT_SOLVER_FREEDOM_JOINT,
          cancellable };
  for (gsize i = 0; i < task.n_rows * task.n_columns; i++)
    if (!isfinite (weights[i]))
      {
        g_set_error (error, HT_ERROR, HT_ERROR_NUMERIC,
                     "weight [%" G_GSIZE_FORMAT ", %" G_GSIZE_FORMAT "] is %g; weights to round must be finite",
                     i / task.n_columns, i % task.n_columns, weights[i]);
        return NULL;
      }
  return solve (&task, fitting, held_out, error);
}
