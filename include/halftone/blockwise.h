/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/samples.h>
#include <halftone/solver.h>

G_BEGIN_DECLS

HT_API HtSolution *ht_solver_solve_blockwise (HtSolver *self, HtSamples *fitting, HtSamples *held_out,
                                              const double *weights, gsize n_rows, HtRoundingGrid *grid,
                                              gsize max_columns, GCancellable *cancellable, GError **error);

G_END_DECLS
