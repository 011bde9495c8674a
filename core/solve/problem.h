/* SPDX-License-Identifier: MIT */
/* All rows of a layer with their systems: what the steps of the solver work on. */
#pragma once

#include "solve/least-squares.h"
#include "solve/quadratic.h"

#include <halftone/rounding-grid.h>

typedef struct
{
  const HtQuadratic *quadratic;
  const double *weights; /* [rows][n], before rounding */
  HtRoundingGrid *grid;  /* that the rows start from */
  gsize n_panels;
  HtPanel **panels;
  gsize *groups;     /* of each panel */
  gsize *first_rows; /* of each panel, among all rows */
  HtNormalSystem **systems;
  gboolean moved; /* whether scales were */
} HtProblem;

/* `damping`, relative to the second moment of each input, draws a weight to its value before rounding. `centred`: the
 * bias will take up the mean of the error. */
HtProblem *ht_problem_new (const HtQuadratic *quadratic, const double *weights, HtRoundingGrid *grid, double damping,
                           gboolean centred);
void ht_problem_free (HtProblem *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtProblem, ht_problem_free)

typedef void (*HtPanelFunc) (HtPanel *panel, const HtNormalSystem *system, gsize first_row, gpointer user_data);
void ht_problem_for_each (HtProblem *self, HtPanelFunc func, gpointer user_data);
/* The weights that the codes stand for, [rows][n]. */
void ht_problem_get_weights (HtProblem *self, double *weights);
/* The grids of the rows, which the solver may have moved. */
HtRoundingGrid *ht_problem_get_grid (HtProblem *self);
/* Whether all rows of a grid lie in one panel with no others: each row has its own. */
gboolean ht_problem_has_own_grids (HtProblem *self);

/* Finds codes, starting from none. `candidates`: orders to try, the natural one among them. */
void ht_problem_round (HtProblem *self, guint candidates, guint64 seed);
/* Lowers the objective from the codes there are. Returns the number of rows whose optimum was proved. */
gsize ht_problem_improve (HtProblem *self);
/* Looks for better scales by rounding with multiples of those there are, and leaves codes that go with them. */
void ht_problem_search_scales (HtProblem *self);
/* The best scales for the codes there are. */
void ht_problem_fit_scales (HtProblem *self);
/* Rows that nearest rounding serves better go back to it, with all rows that share their grid if scales were moved. */
void ht_problem_compare_nearest (HtProblem *self);
