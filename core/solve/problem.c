/* SPDX-License-Identifier: MIT */
#include "solve/problem.h"

#include "base/thread-pool.h"

#include <string.h>

/* An input that was never seen to vary keeps its weights near their values. */
#define LEAST_DAMPING 1e-9

/* H = G + D and c = B + D w, D diagonal: takes the damping of each input, [n]. */
static HtNormalSystem *
make_system (const HtQuadratic *q, gsize group, double damping, gboolean centred, double *dampings)
{
  gsize n = q->n;
  const double *means = q->input_means + group * n;
  double *h = g_memdup2 (q->gram[group], n * n * sizeof (double));
  double mean = 0.0;

  for (gsize i = 0; i < n && !centred; i++)
    for (gsize j = 0; j < n; j++)
      h[i * n + j] += means[i] * means[j];
  for (gsize i = 0; i < n; i++)
    mean += h[i * n + i] / (double)n;
  if (!(mean > 0.0))
    mean = 1.0;
  for (gsize i = 0; i < n; i++)
    {
      dampings[i] = damping * h[i * n + i] + LEAST_DAMPING * mean;
      h[i * n + i] += dampings[i];
    }
  HtNormalSystem *system = ht_normal_system_new (h, n);
  for (gsize i = 0; i < n; i++)
    dampings[i] += system->raise;
  return system;
}

static HtPanel *
make_panel (const HtProblem *self, gsize group, gsize first, gsize n_rows, const double *dampings, gboolean centred)
{
  const HtQuadratic *q = self->quadratic;
  gsize n = q->n, row_grids = ht_rounding_grid_get_n_row_grids (self->grid);
  gsize n_blocks = ht_rounding_grid_get_n_blocks (self->grid);
  const double *scales = ht_rounding_grid_get_scales (self->grid, NULL);
  const gint64 *offsets = ht_rounding_grid_get_offsets (self->grid, NULL);
  gint64 n_steps = ht_rounding_grid_get_n_steps (self->grid);
  const double *means = q->input_means + group * n;
  HtPanel *panel = ht_panel_new (n, n_rows, (n - 1) / n_blocks + 1);

  for (gsize o = 0; o < n_rows; o++)
    {
      gsize row = group * q->m + first + o;
      double mean = centred ? 0.0 : q->target_means[row];
      for (gsize i = 0; i < n; i++)
        panel->target[i * n_rows + o]
            = q->cross[group][i * q->m + first + o] + means[i] * mean + dampings[i] * self->weights[row * n + i];
      for (gsize block = 0; block < panel->n_blocks; block++)
        {
          gsize grid = row % row_grids * n_blocks + block;
          panel->scales[block * n_rows + o] = scales[grid];
          panel->lows[block * n_rows + o] = (double)offsets[grid];
          panel->highs[block * n_rows + o] = (double)(offsets[grid] + n_steps);
        }
    }
  return panel;
}

typedef struct
{
  HtProblem *self;
  double damping;
  gboolean centred;
  gsize per_group;
} Making;

static void
make_groups (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Making *m = user_data;
  const HtQuadratic *q = m->self->quadratic;
  g_autofree double *dampings = g_new (double, q->n);

  for (gsize group = begin; group < end; group++)
    {
      m->self->systems[group] = make_system (q, group, m->damping, m->centred, dampings);
      for (gsize i = 0; i < m->per_group; i++)
        {
          gsize first = i * HT_PANEL_ROWS, rows = MIN (HT_PANEL_ROWS, q->m - first), at = group * m->per_group + i;
          m->self->groups[at] = group;
          m->self->first_rows[at] = group * q->m + first;
          m->self->panels[at] = make_panel (m->self, group, first, rows, dampings, m->centred);
        }
    }
}

static void
find_free (HtPanel *panel, const HtNormalSystem *system, gsize first_row, gpointer user_data)
{
  ht_panel_find_free (panel, system);
}

HtProblem *
ht_problem_new (const HtQuadratic *quadratic, const double *weights, HtRoundingGrid *grid, double damping,
                gboolean centred)
{
  HtProblem *self = g_new0 (HtProblem, 1);
  Making making = { self, damping, centred, (quadratic->m + HT_PANEL_ROWS - 1) / HT_PANEL_ROWS };

  self->quadratic = quadratic;
  self->weights = weights;
  self->grid = ht_rounding_grid_ref (grid);
  self->systems = g_new0 (HtNormalSystem *, quadratic->n_groups);
  self->n_panels = quadratic->n_groups * making.per_group;
  self->panels = g_new0 (HtPanel *, self->n_panels);
  self->groups = g_new0 (gsize, self->n_panels);
  self->first_rows = g_new0 (gsize, self->n_panels);
  ht_parallel_for (quadratic->n_groups, 1, make_groups, &making);
  ht_problem_for_each (self, find_free, NULL);
  return self;
}

void
ht_problem_free (HtProblem *self)
{
  if (self == NULL)
    return;
  for (gsize i = 0; i < self->n_panels; i++)
    ht_panel_free (self->panels[i]);
  for (gsize i = 0; i < self->quadratic->n_groups; i++)
    ht_normal_system_free (self->systems[i]);
  g_free (self->panels);
  g_free (self->groups);
  g_free (self->first_rows);
  g_free (self->systems);
  ht_rounding_grid_unref (self->grid);
  g_free (self);
}

typedef struct
{
  HtProblem *self;
  HtPanelFunc func;
  gpointer user_data;
} Loop;

static void
visit_panels (gsize begin, gsize end, guint worker, gpointer user_data)
{
  const Loop *loop = user_data;

  for (gsize i = begin; i < end; i++)
    loop->func (loop->self->panels[i], loop->self->systems[loop->self->groups[i]], loop->self->first_rows[i],
                loop->user_data);
}

void
ht_problem_for_each (HtProblem *self, HtPanelFunc func, gpointer user_data)
{
  Loop loop = { self, func, user_data };
  ht_parallel_for (self->n_panels, 1, visit_panels, &loop);
}

static void
copy_weights (HtPanel *panel, const HtNormalSystem *system, gsize first_row, gpointer user_data)
{
  double *weights = (double *)user_data + first_row * panel->n;
  gsize width = panel->n_rows;

  for (gsize o = 0; o < width; o++)
    for (gsize i = 0; i < panel->n; i++)
      weights[o * panel->n + i] = panel->scales[i / panel->block * width + o] * panel->codes[i * width + o];
}

void
ht_problem_get_weights (HtProblem *self, double *weights)
{
  ht_problem_for_each (self, copy_weights, weights);
}

HtRoundingGrid *
ht_problem_get_grid (HtProblem *self)
{
  gsize n_grids, n_blocks = ht_rounding_grid_get_n_blocks (self->grid);
  gsize row_grids = ht_rounding_grid_get_n_row_grids (self->grid);
  const double *old = ht_rounding_grid_get_scales (self->grid, &n_grids);
  g_autofree double *scales = g_memdup2 (old, n_grids * sizeof (double));

  for (gsize p = 0; p < self->n_panels; p++)
    {
      const HtPanel *panel = self->panels[p];
      for (gsize o = 0; o < panel->n_rows; o++)
        for (gsize block = 0; block < panel->n_blocks; block++)
          scales[(self->first_rows[p] + o) % row_grids * n_blocks + block] = panel->scales[block * panel->n_rows + o];
    }
  return ht_rounding_grid_new (scales, ht_rounding_grid_get_offsets (self->grid, NULL), row_grids, n_blocks,
                               ht_rounding_grid_get_n_steps (self->grid), NULL);
}

gboolean
ht_problem_has_own_grids (HtProblem *self)
{
  return ht_rounding_grid_get_n_row_grids (self->grid) == self->quadratic->n_groups * self->quadratic->m;
}
