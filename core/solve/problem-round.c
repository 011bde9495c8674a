/* SPDX-License-Identifier: MIT */
/* Codes for the rows of a problem on the grids they have. */
#include "solve/problem.h"

#include <math.h>
#include <string.h>

#define MAX_SWEEPS 50
#define MAX_NODES  ((guint64)50000)

static void
round_panel (HtPanel *panel, const HtNormalSystem *system, gsize first_row, gpointer user_data)
{
  ht_panel_round_successively (panel, system);
}

/* Row `o` of `panel` becomes that of `other`. */
static void
take_row (HtPanel *panel, const HtPanel *other, gsize o)
{
  gsize width = panel->n_rows;

  for (gsize i = 0; i < panel->n; i++)
    panel->codes[i * width + o] = other->codes[i * width + o];
  for (gsize block = 0; block < panel->n_blocks; block++)
    panel->scales[block * width + o] = other->scales[block * width + o];
  panel->excess[o] = other->excess[o];
}

static void
try_order (HtPanel *panel, const HtNormalSystem *system, gsize first_row, gpointer user_data)
{
  g_autoptr (HtPanel) other = ht_panel_copy (panel);

  ht_panel_round_successively (other, system);
  ht_panel_descend (other, system, MAX_SWEEPS);
  for (gsize o = 0; o < panel->n_rows; o++)
    if (other->excess[o] < panel->excess[o])
      take_row (panel, other, o);
}

/* A random order that still tends to round what weighs most first. */
static void
shuffle_order (HtNormalSystem *system, GRand *random)
{
  g_autofree double *priority = g_new (double, system->n);

  for (gsize i = 0; i < system->n; i++)
    priority[i] = system->h[i * system->n + i] * exp (g_rand_double_range (random, -2.0, 2.0));
  ht_normal_system_reorder (system, priority);
}

static void
descend_panel (HtPanel *panel, const HtNormalSystem *system, gsize first_row, gpointer user_data)
{
  ht_panel_descend (panel, system, MAX_SWEEPS);
}

void
ht_problem_round (HtProblem *self, guint candidates, guint64 seed)
{
  ht_problem_for_each (self, round_panel, NULL);
  if (candidates < 2)
    return;
  ht_problem_for_each (self, descend_panel, NULL);
  guint32 words[2] = { (guint32)seed, (guint32)(seed >> 32) };
  g_autoptr (GRand) random = g_rand_new_with_seed_array (words, G_N_ELEMENTS (words));
  for (guint candidate = 1; candidate < candidates; candidate++)
    {
      for (gsize group = 0; group < self->quadratic->n_groups; group++)
        shuffle_order (self->systems[group], random);
      ht_problem_for_each (self, try_order, NULL);
    }
}

static void
improve_panel (HtPanel *panel, const HtNormalSystem *system, gsize first_row, gpointer user_data)
{
  gint *n_exact = user_data;

  ht_panel_descend (panel, system, MAX_SWEEPS);
  if (panel->n <= HT_ENUMERATION_COLUMNS)
    g_atomic_int_add (n_exact, (gint)ht_panel_enumerate (panel, system, MAX_NODES));
}

gsize
ht_problem_improve (HtProblem *self)
{
  gint n_exact = 0;

  ht_problem_for_each (self, improve_panel, &n_exact);
  return (gsize)n_exact;
}

typedef struct
{
  HtProblem *self;
  HtPanel **nearest; /* of each panel */
  double *losses;    /* of each row: what nearest rounding would gain */
} Comparison;

static void
compare_panel (HtPanel *panel, const HtNormalSystem *system, gsize first_row, gpointer user_data)
{
  Comparison *c = user_data;
  const HtProblem *self = c->self;
  gsize n = panel->n, width = panel->n_rows, n_blocks = panel->n_blocks;
  gsize row_grids = ht_rounding_grid_get_n_row_grids (self->grid);
  const double *scales = ht_rounding_grid_get_scales (self->grid, NULL);
  HtPanel *nearest = ht_panel_copy (panel);
  g_autofree double *values = g_new (double, n *width);

  for (gsize o = 0; o < width; o++)
    {
      for (gsize i = 0; i < n; i++)
        values[i * width + o] = self->weights[(first_row + o) * n + i];
      for (gsize block = 0; block < n_blocks; block++)
        nearest->scales[block * width + o] = scales[(first_row + o) % row_grids * n_blocks + block];
    }
  ht_panel_round_nearest (nearest, system, values);
  for (gsize o = 0; o < width; o++)
    c->losses[first_row + o] = panel->excess[o] - nearest->excess[o];
  gsize index = 0;
  while (self->first_rows[index] != first_row)
    index++;
  c->nearest[index] = nearest;
}

/* Nearest rounding on the grids that the problem began with has the least damping term: where it is not better with
 * damping, it is not better without. */
void
ht_problem_compare_nearest (HtProblem *self)
{
  gsize n_rows = self->quadratic->n_groups * self->quadratic->m;
  gsize row_grids = ht_rounding_grid_get_n_row_grids (self->grid);
  g_autofree double *losses = g_new0 (double, n_rows);
  g_autofree double *shared = g_new0 (double, row_grids);
  g_autofree HtPanel **nearest = g_new0 (HtPanel *, self->n_panels);
  Comparison c = { self, nearest, losses };

  ht_problem_for_each (self, compare_panel, &c);
  for (gsize row = 0; row < n_rows; row++)
    shared[row % row_grids] += losses[row];
  for (gsize p = 0; p < self->n_panels; p++)
    {
      for (gsize o = 0; o < self->panels[p]->n_rows; o++)
        {
          gsize row = self->first_rows[p] + o;
          if (!((self->moved ? shared[row % row_grids] : losses[row]) <= 0.0))
            take_row (self->panels[p], nearest[p], o);
        }
      ht_panel_free (nearest[p]);
    }
}
