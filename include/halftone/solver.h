/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/moments.h>
#include <halftone/rounding-grid.h>

G_BEGIN_DECLS

/**
 * HtSolverFreedom:
 * @HT_SOLVER_FREEDOM_FIXED: taken as it is
 * @HT_SOLVER_FREEDOM_JOINT: chosen together with the codes
 */
typedef enum
{
  HT_SOLVER_FREEDOM_FIXED,
  HT_SOLVER_FREEDOM_JOINT,
} HtSolverFreedom;

/* What the solver found for one layer. Immutable, counted. */
#define HT_TYPE_SOLUTION (ht_solution_get_type ())
typedef struct _HtSolution HtSolution;

HT_API GType ht_solution_get_type (void) G_GNUC_CONST;
HT_API HtSolution *ht_solution_ref (HtSolution *self);
HT_API void ht_solution_unref (HtSolution *self);
HT_API const double *ht_solution_get_weights (HtSolution *self, gsize *n_weights);
HT_API HtRoundingGrid *ht_solution_get_grid (HtSolution *self);
HT_API const double *ht_solution_get_bias_shifts (HtSolution *self, gsize *n_rows);
HT_API gboolean ht_solution_is_nearest (HtSolution *self);
HT_API double ht_solution_get_nearest_error (HtSolution *self);
HT_API double ht_solution_get_error (HtSolution *self);
HT_API double ht_solution_get_damping (HtSolution *self);
HT_API double ht_solution_get_share_moved (HtSolution *self);
HT_API double ht_solution_get_share_beyond (HtSolution *self);
HT_API double ht_solution_get_share_exact (HtSolution *self);

/* Integer least squares for the weights of one layer. */
#define HT_TYPE_SOLVER (ht_solver_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtSolver, ht_solver, HT, SOLVER, GObject)

HT_API HtSolver *ht_solver_new (void);
HT_API HtSolution *ht_solver_solve (HtSolver *self, HtMoments *fitting, HtMoments *held_out, const double *weights,
                                    gsize n_rows, HtRoundingGrid *grid, GCancellable *cancellable, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtSolution, ht_solution_unref)

G_END_DECLS
