/* SPDX-License-Identifier: MIT */
/* Integer least squares: for each row, codes u on its grid with the least (v - t)'H(v - t), v = scale * u.
 * Rows are independent; they are worked on in panels of a fixed number, so that results do not depend on threads. */
#pragma once

#include <glib.h>

/* The system of one group: H is positive definite, and H with rows and columns in `order` is R'R, R upper triangular.
 */
typedef struct
{
  gsize n;
  double *h;    /* [n][n] */
  double *r;    /* [n][n]; what stands below its diagonal has no meaning */
  gsize *order; /* rounding goes from the last to the first */
  double raise; /* what was added to the diagonal of H so that it is positive definite */
} HtNormalSystem;

/* Takes `h`, [n][n]. Columns are rounded in the order of their diagonal elements, the greatest first. */
HtNormalSystem *ht_normal_system_new (double *h, gsize n);
void ht_normal_system_free (HtNormalSystem *self);
/* Rounds in the order of `priority`, [n], the greatest first. */
void ht_normal_system_reorder (HtNormalSystem *self, const double *priority);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtNormalSystem, ht_normal_system_free)

/* Some rows of one group with all that is known of them. Arrays of columns hold the values of all rows side by side. */
#define HT_PANEL_ROWS ((gsize)64)
typedef struct
{
  gsize n, n_rows;
  gsize block; /* columns that share a grid */
  gsize n_blocks;
  double *target;       /* [n][rows]: c of the objective v'Hv - 2 v'c */
  double *free;         /* [n][rows]: t, where the objective is least without grids */
  double *scales;       /* [blocks][rows] */
  double *lows, *highs; /* [blocks][rows]: the least and the greatest code, whole numbers */
  double *codes;        /* [n][rows], whole numbers */
  double *excess;       /* [rows]: the objective of `codes` above that of t */
} HtPanel;

HtPanel *ht_panel_new (gsize n, gsize n_rows, gsize block);
HtPanel *ht_panel_copy (const HtPanel *self);
void ht_panel_free (HtPanel *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtPanel, ht_panel_free)

/* Sets `free` from `target`. */
void ht_panel_find_free (HtPanel *self, const HtNormalSystem *system);
/* Rounds `values`, [n][rows], to the nearest codes. */
void ht_panel_round_nearest (HtPanel *self, const HtNormalSystem *system, const double *values);
/* Sets `excess` from `codes`. */
void ht_panel_measure (HtPanel *self, const HtNormalSystem *system);
/* Babai's nearest plane: one column after the other is rounded, and its error is fed to the columns that follow. */
void ht_panel_round_successively (HtPanel *self, const HtNormalSystem *system);
/* Moves single codes, over the whole grid, as long as that lowers the objective. Returns the sweeps it took. */
guint ht_panel_descend (HtPanel *self, const HtNormalSystem *system, guint max_sweeps);
/* Replaces the scale of each row and block by the best one for `codes`. */
void ht_panel_fit_scales (HtPanel *self, const HtNormalSystem *system);
/* For rows with one block: their best common scale is the sum of `numerators`, [rows], by that of `denominators`. */
void ht_panel_find_scale_terms (HtPanel *self, const HtNormalSystem *system, double *numerators, double *denominators);
/* Searches all codes of each row below the objective it has; rows whose search ends within `max_nodes` have the least
 * there is. Returns the number of these. For n up to HT_ENUMERATION_COLUMNS. */
#define HT_ENUMERATION_COLUMNS ((gsize)32)
guint ht_panel_enumerate (HtPanel *self, const HtNormalSystem *system, guint64 max_nodes);
