/* SPDX-License-Identifier: MIT */
/* Scales that suit the codes, and codes that suit the scales. */
#include "solve/problem.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Multiples of the scale are tried from the greatest down, until none of the last few was the best for any grid. */
#define GREATEST_MULTIPLE 1.25
#define MULTIPLE_RATIO    0.8
#define N_MULTIPLES       24
#define PATIENCE          3
static const double refinements[] = { 0.86, 0.91, 0.955, 1.045, 1.09, 1.14 };

typedef struct
{
  HtProblem *self;
  gsize n_grids;  /* of rows */
  double *bases;  /* [row grids][blocks]: what multiples are taken of */
  double *best;   /* [row grids]: the least objective */
  double *scales; /* [row grids][blocks]: those that had it */
  double *excess; /* [rows]: with the multiple tried */
  double multiple;
} Search;

static void
apply_scales (HtPanel *panel, gsize first_row, const double *scales, gsize n_grids, double multiple)
{
  for (gsize o = 0; o < panel->n_rows; o++)
    for (gsize block = 0; block < panel->n_blocks; block++)
      panel->scales[block * panel->n_rows + o]
          = (double)(float)(multiple * scales[(first_row + o) % n_grids * panel->n_blocks + block]);
}

static void
try_multiple (HtPanel *panel, const HtNormalSystem *system, gsize first_row, gpointer user_data)
{
  const Search *s = user_data;

  apply_scales (panel, first_row, s->bases, s->n_grids, s->multiple);
  ht_panel_round_successively (panel, system);
  memcpy (s->excess + first_row, panel->excess, panel->n_rows * sizeof (double));
}

/* Whether any grid likes the multiple best. */
static gboolean
try_everywhere (Search *s, double multiple)
{
  gsize n_rows = s->self->quadratic->n_groups * s->self->quadratic->m, n_grids = s->n_grids;
  gsize n_blocks = ht_rounding_grid_get_n_blocks (s->self->grid);
  g_autofree double *sums = g_new0 (double, n_grids);
  gboolean better = FALSE;

  s->multiple = multiple;
  ht_problem_for_each (s->self, try_multiple, s);
  for (gsize row = 0; row < n_rows; row++)
    sums[row % n_grids] += s->excess[row];
  for (gsize grid = 0; grid < n_grids; grid++)
    {
      float least = (float)(multiple * s->bases[grid * n_blocks]);
      if (!(sums[grid] < s->best[grid]) || !(least >= FLT_MIN) || !isfinite (least))
        continue;
      better = TRUE;
      s->best[grid] = sums[grid];
      for (gsize i = grid * n_blocks; i < (grid + 1) * n_blocks; i++)
        s->scales[i] = multiple * s->bases[i];
    }
  return better;
}

static void
round_with_scales (HtPanel *panel, const HtNormalSystem *system, gsize first_row, gpointer user_data)
{
  const Search *s = user_data;

  apply_scales (panel, first_row, s->scales, s->n_grids, 1.0);
  ht_panel_round_successively (panel, system);
}

void
ht_problem_search_scales (HtProblem *self)
{
  gsize n_rows = self->quadratic->n_groups * self->quadratic->m, n_scales;
  const double *scales = ht_rounding_grid_get_scales (self->grid, &n_scales);
  g_autofree double *bases = g_memdup2 (scales, n_scales * sizeof (double));
  g_autofree double *chosen = g_memdup2 (scales, n_scales * sizeof (double));
  g_autofree double *excess = g_new0 (double, n_rows);
  gsize n_grids = ht_rounding_grid_get_n_row_grids (self->grid);
  g_autofree double *best = g_new (double, n_grids);
  Search s = { self, n_grids, bases, best, chosen, excess, 1.0 };

  for (gsize i = 0; i < n_grids; i++)
    best[i] = INFINITY;
  for (guint i = 0, idle = 0; i < N_MULTIPLES && idle < PATIENCE; i++)
    idle = try_everywhere (&s, GREATEST_MULTIPLE * pow (MULTIPLE_RATIO, i)) ? 0 : idle + 1;
  memcpy (bases, chosen, n_scales * sizeof (double));
  for (guint i = 0; i < G_N_ELEMENTS (refinements); i++)
    try_everywhere (&s, refinements[i]);
  ht_problem_for_each (self, round_with_scales, &s);
  self->moved = TRUE;
}

static void
fit_panel (HtPanel *panel, const HtNormalSystem *system, gsize first_row, gpointer user_data)
{
  ht_panel_fit_scales (panel, system);
}

typedef struct
{
  double *numerators, *denominators; /* [rows] */
  double *scales;                    /* [row grids] */
  gsize n_grids;
} Terms;

static void
find_terms (HtPanel *panel, const HtNormalSystem *system, gsize first_row, gpointer user_data)
{
  const Terms *t = user_data;
  ht_panel_find_scale_terms (panel, system, t->numerators + first_row, t->denominators + first_row);
}

static void
set_shared_scales (HtPanel *panel, const HtNormalSystem *system, gsize first_row, gpointer user_data)
{
  const Terms *t = user_data;

  for (gsize o = 0; o < panel->n_rows; o++)
    if (t->scales[(first_row + o) % t->n_grids] > 0.0)
      panel->scales[o] = t->scales[(first_row + o) % t->n_grids];
  ht_panel_measure (panel, system);
}

static void
fit_shared (HtProblem *self)
{
  gsize n_rows = self->quadratic->n_groups * self->quadratic->m;
  gsize n_grids = ht_rounding_grid_get_n_row_grids (self->grid);
  g_autofree double *numerators = g_new0 (double, n_rows);
  g_autofree double *denominators = g_new0 (double, n_rows);
  g_autofree double *scales = g_new0 (double, n_grids);
  Terms t = { numerators, denominators, scales, n_grids };

  ht_problem_for_each (self, find_terms, &t);
  for (gsize grid = 0; grid < n_grids; grid++)
    {
      double numerator = 0.0, denominator = 0.0;
      for (gsize row = grid; row < n_rows; row += n_grids)
        {
          numerator += numerators[row];
          denominator += denominators[row];
        }
      float scale = (float)(numerator / denominator);
      scales[grid] = denominator > 0.0 && isfinite (scale) && scale >= FLT_MIN ? (double)scale : 0.0;
    }
  ht_problem_for_each (self, set_shared_scales, &t);
}

void
ht_problem_fit_scales (HtProblem *self)
{
  self->moved = TRUE;
  if (ht_problem_has_own_grids (self))
    ht_problem_for_each (self, fit_panel, NULL);
  else if (ht_rounding_grid_get_n_blocks (self->grid) == 1)
    fit_shared (self);
}
