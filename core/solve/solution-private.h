/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/solver.h>

struct _HtSolution
{
  gatomicrefcount n_refs;
  gsize n_rows, n_columns;
  double *weights; /* [rows][columns], on the grid */
  HtRoundingGrid *grid;
  double *bias_shifts; /* [rows]; NULL: the bias stays */
  gboolean is_nearest;
  double nearest_error, error;
  double damping;
  double share_moved, share_beyond, share_exact;
};
