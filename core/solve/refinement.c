/* SPDX-License-Identifier: MIT */
/* Rounding for what comes behind an activation. There the error is no quadratic form of the weights. Where the slope of
 * the activation is taken as it is at the target, it is one for each row, and rounded as any; then codes are moved one
 * step at a time on samples: those that promise most by the gradient are tried, and kept where the error falls. */
#include "base/thread-pool.h"
#include "solve/active-rounding.h"
#include "solve/problem.h"
#include "solve/solution-private.h"

#include <halftone/error.h>
#include <halftone/refinement.h>

#include <cblas.h>
#include <math.h>
#include <string.h>

#define ROWS          ((gsize)16) /* that one thread works on; panels of the problem are a multiple */
#define MAX_ROUNDS    40
#define N_TRIALS      ((gsize)32) /* of each row in a round */
#define LEAST_GAIN    1e-6        /* of a row's error, above what float can tell */
#define DOT_POSITIONS ((gsize)2048)
/* What the quadratic forms of all rows may take: positions for each unknown, and operations. */
#define WEIGHTED_POSITIONS   ((gsize)4096)
#define WEIGHTED_PER_UNKNOWN ((gsize)8)
#define WEIGHTED_WORK        6e11
/* The weight of the error before the activation, which all samples know, next to that behind it, which some know. */
static const double priors[] = { 0.02, 0.1, 0.3, 1.0 };

typedef struct
{
  HtProblem *problem;
  HtSamples *samples;
  const double *bias, *shifts; /* of each row; NULL: none */
  HtActivationFunc activation;
  gpointer user_data;
  double prior;
  GCancellable *cancellable;
} Task;

/* Some rows of one panel. */
typedef struct
{
  const Task *task;
  const HtNormalSystem *system;
  HtPanel *panel;
  gsize first, n_rows; /* within the panel */
  gsize row;           /* the first one, among all rows */
  gsize n, n_positions, stride;
  const float *inputs;
  float *values, *targets; /* [rows][positions], before and behind the activation */
  float *errors;           /* [rows][positions], times the slope */
  float *gradient;         /* [rows][n], of the error behind it */
  double *curvature;       /* [rows]: mean square of the slope */
  double *loss;            /* [rows] */
  double *prior;           /* [rows][n]: half the gradient of the quadratic form */
  float *scratch, *slopes; /* [positions] */
  gboolean live[ROWS];
} Rows;

typedef struct
{
  double gain;
  gsize column;
  double step; /* in codes */
} Trial;

/* The sum of (f(value) - target)^2. */
static double
sum_errors (const float *results, const float *targets, float *differences, gsize n)
{
  double sum = 0.0;

  for (gsize p = 0; p < n; p++)
    differences[p] = results[p] - targets[p];
  for (gsize p = 0; p < n; p += DOT_POSITIONS)
    sum += (double)cblas_sdot ((int)MIN (DOT_POSITIONS, n - p), differences + p, 1, differences + p, 1);
  return sum;
}

static float
bias_of (const Task *task, gsize row, gboolean shifted)
{
  double bias = task->bias != NULL ? task->bias[row] : 0.0;
  return (float)(bias + (shifted && task->shifts != NULL ? task->shifts[row] : 0.0));
}

static double
value_of (const HtPanel *panel, gsize column, gsize o)
{
  return panel->scales[column / panel->block * panel->n_rows + o] * panel->codes[column * panel->n_rows + o];
}

/* Values of the rows on the samples, and what they should be behind the activation. */
static void
start_rows (Rows *r, gsize group, gsize first_in_group)
{
  const Task *task = r->task;
  gsize n = r->n, count = r->n_positions, target_stride;
  const float *targets = ht_samples_get_targets (task->samples, group, &target_stride);
  g_autofree float *weights = g_new (float, r->n_rows *n);

  for (gsize k = 0; k < r->n_rows; k++)
    for (gsize i = 0; i < n; i++)
      weights[k * n + i] = (float)value_of (r->panel, i, r->first + k);
  cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)r->n_rows, (int)count, (int)n, 1.0f, weights, (int)n,
               r->inputs, (int)r->stride, 0.0f, r->values, (int)count);
  for (gsize k = 0; k < r->n_rows; k++)
    {
      float *values = r->values + k * count, bias = bias_of (task, r->row + k, TRUE);
      const float *from = targets + (first_in_group + k) * target_stride;
      float wanted = bias_of (task, r->row + k, FALSE);
      for (gsize p = 0; p < count; p++)
        {
          values[p] += bias;
          r->scratch[p] = from[p] + wanted;
        }
      task->activation (r->scratch, count, r->row + k, r->targets + k * count, NULL, task->user_data);
    }
}

/* Errors of the rows as they are. */
static void
find_losses (Rows *r, gboolean slopes)
{
  const Task *task = r->task;
  gsize count = r->n_positions;

  for (gsize k = 0; k < r->n_rows; k++)
    {
      float *errors = r->errors + k * count;
      task->activation (r->values + k * count, count, r->row + k, r->scratch, slopes ? r->slopes : NULL,
                        task->user_data);
      r->loss[k] = sum_errors (r->scratch, r->targets + k * count, errors, count) / (double)count;
      if (!slopes)
        continue;
      double sum = 0.0;
      for (gsize p = 0; p < count; p++)
        {
          sum += (double)(r->slopes[p] * r->slopes[p]);
          errors[p] *= r->slopes[p];
        }
      r->curvature[k] = sum / (double)count;
    }
}

static void
find_gradients (Rows *r)
{
  gsize n = r->n, count = r->n_positions, width = r->panel->n_rows;
  g_autofree double *values = g_new (double, r->n_rows *n);

  cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasTrans, (int)r->n_rows, (int)n, (int)count, 1.0f / (float)count,
               r->errors, (int)count, r->inputs, (int)r->stride, 0.0f, r->gradient, (int)n);
  for (gsize k = 0; k < r->n_rows; k++)
    for (gsize i = 0; i < n; i++)
      {
        values[k * n + i] = value_of (r->panel, i, r->first + k);
        r->prior[k * n + i] = r->panel->target[i * width + r->first + k];
      }
  cblas_dgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)r->n_rows, (int)n, (int)n, 1.0, values, (int)n,
               r->system->h, (int)n, -1.0, r->prior, (int)n);
}

static int
compare_trials (gconstpointer a, gconstpointer b)
{
  const Trial *x = a, *y = b;
  if (x->gain != y->gain)
    return x->gain > y->gain ? -1 : 1;
  return x->column < y->column ? -1 : x->column > y->column;
}

/* The steps of one row that promise to lower its error, the best first. */
static gsize
list_trials (const Rows *r, gsize k, Trial *trials)
{
  const HtPanel *panel = r->panel;
  gsize n = r->n, width = panel->n_rows, o = r->first + k, n_trials = 0;

  for (gsize i = 0; i < n; i++)
    {
      gsize grid = i / panel->block * width + o;
      double slope = (double)r->gradient[k * n + i] + r->task->prior * r->prior[k * n + i];
      double step = slope > 0.0 ? -1.0 : 1.0, scale = panel->scales[grid];
      double code = panel->codes[i * width + o] + step, half = r->system->h[i * n + i];
      double gain = 2.0 * fabs (slope) * scale - half * (r->curvature[k] + r->task->prior) * scale * scale;
      if (gain > 0.0 && code >= panel->lows[grid] && code <= panel->highs[grid])
        trials[n_trials++] = (Trial){ gain, i, step };
    }
  qsort (trials, n_trials, sizeof *trials, compare_trials);
  return MIN (n_trials, N_TRIALS);
}

/* Takes a step of a row if that lowers the error. */
static gboolean
try_step (Rows *r, gsize k, const Trial *trial)
{
  const HtPanel *panel = r->panel;
  const Task *task = r->task;
  gsize n = r->n, count = r->n_positions, o = r->first + k, width = panel->n_rows;
  double move = trial->step * panel->scales[trial->column / panel->block * width + o];
  const double *h = r->system->h + trial->column * n;
  float *values = r->values + k * count, *moved = r->scratch, *results = r->slopes, by = (float)move;
  const float *x = r->inputs + trial->column * r->stride;

  for (gsize p = 0; p < count; p++)
    moved[p] = values[p] + by * x[p];
  task->activation (moved, count, r->row + k, results, NULL, task->user_data);
  double loss = sum_errors (results, r->targets + k * count, results, count) / (double)count;
  double prior = move * (2.0 * r->prior[k * n + trial->column] + move * h[trial->column]);
  if (!(loss - r->loss[k] + task->prior * prior < -LEAST_GAIN * r->loss[k]))
    return FALSE;
  r->loss[k] = loss;
  memcpy (values, moved, count * sizeof (float));
  panel->codes[trial->column * width + o] += trial->step;
  for (gsize i = 0; i < n; i++)
    r->prior[k * n + i] += move * h[i];
  return TRUE;
}

/* How much an error of row k before the activation counts behind it: the mean square of the slope about the target, as
 * far as the row's errors go. */
static void
find_weights (Rows *r, gsize k, const float *targets, gsize count, float *weights)
{
  static const float quantiles[] = { -1.15f, -0.32f, 0.32f, 1.15f }; /* of a normal's quarters */
  const float *values = r->values + k * r->n_positions;
  float deviation = sqrtf ((float)sum_errors (values, targets, r->slopes, count) / (float)count);

  memset (weights, 0, count * sizeof (float));
  for (guint i = 0; i < G_N_ELEMENTS (quantiles); i++)
    {
      float *at = r->scratch, *slopes = r->slopes;
      g_autofree float *results = g_new (float, count);
      for (gsize p = 0; p < count; p++)
        at[p] = targets[p] + quantiles[i] * deviation;
      r->task->activation (at, count, r->row + k, results, slopes, r->task->user_data);
      for (gsize p = 0; p < count; p++)
        weights[p] += 0.25f * slopes[p] * slopes[p];
    }
}

/* The objective of the panel for row k, above a constant. */
static double
find_prior (const Rows *r, gsize k)
{
  const HtPanel *panel = r->panel;
  gsize n = r->n, o = r->first + k;
  g_autofree double *values = g_new (double, 2 * n);
  double *product = values + n, sum = 0.0;

  for (gsize i = 0; i < n; i++)
    values[i] = value_of (panel, i, o);
  cblas_dsymv (CblasRowMajor, CblasUpper, (int)n, 1.0, r->system->h, (int)n, values, 1, 0.0, product, 1);
  for (gsize i = 0; i < n; i++)
    sum += values[i] * (product[i] - 2.0 * panel->target[i * panel->n_rows + o]);
  return sum;
}

static double
find_objective (Rows *r, gsize k)
{
  const Task *task = r->task;
  gsize n = r->n, count = r->n_positions;
  float *values = r->values + k * count, bias = bias_of (task, r->row + k, TRUE);
  g_autofree float *weights = g_new (float, n);

  for (gsize i = 0; i < n; i++)
    weights[i] = (float)value_of (r->panel, i, r->first + k);
  for (gsize p = 0; p < count; p++)
    values[p] = bias;
  cblas_sgemv (CblasRowMajor, CblasTrans, (int)n, (int)count, 1.0f, r->inputs, (int)r->stride, weights, 1, 1.0f, values,
               1);
  task->activation (values, count, r->row + k, r->scratch, NULL, task->user_data);
  return sum_errors (r->scratch, r->targets + k * count, r->slopes, count) / (double)count
         + task->prior * find_prior (r, k);
}

/* Codes by the quadratic form of each row, where they are better. */
static void
round_rows (Rows *r, gsize group, gsize first_in_group)
{
  const Task *task = r->task;
  gsize n = r->n, width = r->panel->n_rows, target_stride;
  gsize count = MIN (r->n_positions, MAX (WEIGHTED_POSITIONS, WEIGHTED_PER_UNKNOWN * n));
  const float *targets = ht_samples_get_targets (task->samples, group, &target_stride);
  g_autofree float *weights = g_new (float, 2 * count);
  g_autofree double *kept = g_new (double, n);
  float *wanted = weights + count;

  for (gsize k = 0; k < r->n_rows; k++)
    {
      const float *from = targets + (first_in_group + k) * target_stride;
      float bias = bias_of (task, r->row + k, FALSE), shifted = bias_of (task, r->row + k, TRUE);
      gsize o = r->first + k;
      double before = find_objective (r, k);
      for (gsize p = 0; p < count; p++)
        wanted[p] = from[p] + bias;
      find_weights (r, k, wanted, count, weights);
      for (gsize p = 0; p < count; p++)
        wanted[p] -= shifted;
      for (gsize i = 0; i < n; i++)
        kept[i] = r->panel->codes[i * width + o];
      HtWeightedPositions positions = { r->inputs, r->stride, count, weights, wanted };
      ht_panel_round_weighted (r->panel, r->system, o, &positions, task->prior);
      if (find_objective (r, k) < before)
        continue;
      for (gsize i = 0; i < n; i++)
        r->panel->codes[i * width + o] = kept[i];
      find_objective (r, k);
    }
}

static void
descend_rows (Rows *r)
{
  g_autofree Trial *trials = g_new (Trial, r->n);
  gboolean any = TRUE;

  for (gsize k = 0; k < r->n_rows; k++)
    r->live[k] = TRUE;
  for (guint round = 0; any && round < MAX_ROUNDS && !g_cancellable_is_cancelled (r->task->cancellable); round++)
    {
      any = FALSE;
      find_losses (r, TRUE);
      find_gradients (r);
      for (gsize k = 0; k < r->n_rows; k++)
        {
          gsize n_trials = r->live[k] ? list_trials (r, k, trials) : 0, n_taken = 0;
          for (gsize i = 0; i < n_trials; i++)
            n_taken += try_step (r, k, &trials[i]);
          r->live[k] = n_taken > 0;
          any |= r->live[k];
        }
    }
}

typedef struct
{
  const Task *task;
  gsize per_panel; /* units of a panel */
  gboolean descend, weighted;
  double *losses; /* of all rows, measured at the end; NULL: not asked for */
} Loop;

static void
work_on (const Loop *loop, gsize panel_index, gsize first)
{
  const Task *task = loop->task;
  HtProblem *problem = task->problem;
  HtPanel *panel = problem->panels[panel_index];
  gsize group = problem->groups[panel_index], n_rows = MIN (ROWS, panel->n_rows - first), n = panel->n;
  gsize count = ht_samples_get_n_positions (task->samples), row = problem->first_rows[panel_index] + first;
  g_autofree float *values = g_new (float, n_rows *count);
  g_autofree float *targets = g_new (float, n_rows *count);
  g_autofree float *errors = g_new (float, n_rows *count);
  g_autofree float *scratch = g_new (float, 2 * count);
  g_autofree float *gradient = g_new (float, n_rows *n);
  g_autofree double *prior = g_new (double, n_rows *n);
  double curvature[ROWS], loss[ROWS];
  Rows rows = { .task = task,
                .system = problem->systems[group],
                .panel = panel,
                .first = first,
                .n_rows = n_rows,
                .row = row,
                .n = n,
                .n_positions = count,
                .values = values,
                .targets = targets,
                .errors = errors,
                .gradient = gradient,
                .curvature = curvature,
                .loss = loss,
                .prior = prior,
                .scratch = scratch,
                .slopes = scratch + count };

  rows.inputs = ht_samples_get_inputs (task->samples, group, &rows.stride);
  start_rows (&rows, group, row - group * problem->quadratic->m);
  if (loop->descend)
    {
      if (loop->weighted)
        round_rows (&rows, group, row - group * problem->quadratic->m);
      descend_rows (&rows);
    }
  if (loop->losses == NULL)
    return;
  find_losses (&rows, FALSE);
  memcpy (loop->losses + row, loss, n_rows * sizeof (double));
}

static void
visit_units (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Loop *loop = user_data;

  for (gsize i = begin; i < end; i++)
    {
      gsize first = i % loop->per_panel * ROWS;
      if (first < loop->task->problem->panels[i / loop->per_panel]->n_rows)
        work_on (loop, i / loop->per_panel, first);
    }
}

static void
visit_all (const Task *task, gboolean descend, double *losses)
{
  const HtQuadratic *q = task->problem->quadratic;
  gsize count = MIN (ht_samples_get_n_positions (task->samples), MAX (WEIGHTED_POSITIONS, WEIGHTED_PER_UNKNOWN * q->n));
  double work = (double)(q->n_groups * q->m) * ht_panel_estimate_weighted (q->n, count);
  Loop loop = { task, HT_PANEL_ROWS / ROWS, descend, work <= WEIGHTED_WORK, losses };
  ht_parallel_for (task->problem->n_panels * loop.per_panel, 1, visit_units, &loop);
}

/* The error of each row's codes on `samples`; returns their sum. */
static double
measure (Task task, HtSamples *samples, gsize n_rows, double *losses)
{
  double sum = 0.0;

  task.samples = samples;
  visit_all (&task, FALSE, losses);
  for (gsize row = 0; row < n_rows; row++)
    sum += losses[row];
  return sum;
}

static void
set_codes (HtPanel *panel, const HtNormalSystem *system, gsize first_row, gpointer user_data)
{
  const double *weights = user_data;
  gsize width = panel->n_rows;

  for (gsize o = 0; o < width; o++)
    for (gsize i = 0; i < panel->n; i++)
      panel->codes[i * width + o]
          = rint (weights[(first_row + o) * panel->n + i] / panel->scales[i / panel->block * width + o]);
}

static HtSolution *
copy_with_weights (const HtSolution *self, double *weights)
{
  HtSolution *copy = g_memdup2 (self, sizeof *self);

  g_atomic_ref_count_init (&copy->n_refs);
  copy->weights = weights;
  copy->bias_shifts = self->bias_shifts != NULL ? g_memdup2 (self->bias_shifts, self->n_rows * sizeof (double)) : NULL;
  copy->grid = ht_rounding_grid_ref (self->grid);
  copy->is_nearest = FALSE;
  return copy;
}

static gboolean
check_samples (HtSolution *self, HtMoments *moments, HtSamples *samples, GError **error)
{
  gsize n_groups = ht_samples_get_n_groups (samples), n = ht_samples_get_n_inputs (samples);

  if (n_groups == ht_moments_get_n_groups (moments) && n == ht_moments_get_n_inputs (moments) && n == self->n_columns
      && n_groups * ht_samples_get_n_outputs (samples) == self->n_rows
      && n_groups * ht_moments_get_n_outputs (moments) == self->n_rows && ht_samples_get_n_positions (samples) > 0)
    return TRUE;
  g_set_error (error, HT_ERROR, HT_ERROR_SHAPE,
               "%" G_GSIZE_FORMAT " samples of %" G_GSIZE_FORMAT " groups of %" G_GSIZE_FORMAT
               " inputs do not go with %" G_GSIZE_FORMAT " x %" G_GSIZE_FORMAT " weights and their moments",
               ht_samples_get_n_positions (samples), n_groups, n, self->n_rows, self->n_columns);
  return FALSE;
}

/**
 * ht_solution_refine:
 * @self: a solution
 * @moments: of the samples that it was fitted to
 * @fitting: positions of the layer to fit
 * @held_out: (nullable): others to judge by; %NULL: those of @fitting do
 * @weights: (array): [rows, inputs], before rounding
 * @bias: (array) (nullable): the bias of each row, before #HtSolution's shifts
 * @activation: (scope call): what follows the layer
 * @user_data: for @activation
 * @outcome: (out) (optional): what it gave
 * @cancellable: (nullable): a #GCancellable
 * @error: return location for a #GError
 *
 * Moves codes, on the grids and with the bias that @self has, so that the output behind the activation differs less
 * from the target behind it. The error before the activation keeps a small weight, so that what few samples say does
 * not outweigh all; how small, the held-out samples choose for each row. No row is moved where that does not lower
 * their error.
 *
 * Returns: (transfer full) (nullable): a solution, @self where nothing helped; %NULL with #HT_ERROR_SHAPE when the
 *   arguments do not go together, %G_IO_ERROR_CANCELLED
 */
HtSolution *
ht_solution_refine (HtSolution *self, HtMoments *moments, HtSamples *fitting, HtSamples *held_out,
                    const double *weights, const double *bias, HtActivationFunc activation, gpointer user_data,
                    HtRefinement *outcome, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (self != NULL && moments != NULL && fitting != NULL && weights != NULL && activation != NULL,
                        NULL);

  if (held_out == NULL)
    held_out = fitting;
  if (!check_samples (self, moments, fitting, error) || !check_samples (self, moments, held_out, error))
    return NULL;
  gsize n = self->n_rows * self->n_columns, n_moved = 0;
  g_autoptr (HtQuadratic) quadratic = ht_quadratic_new (moments);
  g_autoptr (HtProblem) problem
      = ht_problem_new (quadratic, weights, self->grid, self->damping, self->bias_shifts != NULL);
  Task task = { problem, fitting, bias, self->bias_shifts, activation, user_data, 0.0, cancellable };
  g_autofree double *best = g_memdup2 (self->weights, n * sizeof (double));
  g_autofree double *found = g_new (double, n);
  g_autofree double *losses = g_new (double, 2 * self->n_rows);
  double *least = losses + self->n_rows, after = 0.0;

  ht_problem_for_each (problem, set_codes, self->weights);
  double before = measure (task, held_out, self->n_rows, least);
  for (guint i = 0; i < G_N_ELEMENTS (priors); i++)
    {
      task.prior = priors[i];
      ht_problem_for_each (problem, set_codes, self->weights);
      visit_all (&task, TRUE, NULL);
      if (g_cancellable_set_error_if_cancelled (cancellable, error))
        return NULL;
      measure (task, held_out, self->n_rows, losses);
      ht_problem_get_weights (problem, found);
      for (gsize row = 0; row < self->n_rows; row++)
        if (losses[row] < least[row])
          {
            least[row] = losses[row];
            memcpy (best + row * self->n_columns, found + row * self->n_columns, self->n_columns * sizeof (double));
          }
    }
  for (gsize row = 0; row < self->n_rows; row++)
    after += least[row];
  for (gsize i = 0; i < n; i++)
    n_moved += best[i] != self->weights[i];
  if (outcome != NULL)
    *outcome = (HtRefinement){ before, after, (double)n_moved / (double)n };
  return n_moved > 0 ? copy_with_weights (self, g_steal_pointer (&best)) : ht_solution_ref (self);
}
