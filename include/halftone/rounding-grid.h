/* SPDX-License-Identifier: MIT */
#pragma once

#include <gio/gio.h>
#include <halftone/macros.h>

G_BEGIN_DECLS

/* The grids of the rows of a weight matrix, as the solver sees them. Immutable, counted. */
#define HT_TYPE_ROUNDING_GRID (ht_rounding_grid_get_type ())
typedef struct _HtRoundingGrid HtRoundingGrid;

HT_API GType ht_rounding_grid_get_type (void) G_GNUC_CONST;
HT_API HtRoundingGrid *ht_rounding_grid_new (const double *scales, const gint64 *offsets, gsize n_row_grids,
                                             gsize n_blocks, gint64 n_steps, GError **error);
HT_API HtRoundingGrid *ht_rounding_grid_ref (HtRoundingGrid *self);
HT_API void ht_rounding_grid_unref (HtRoundingGrid *self);
HT_API gsize ht_rounding_grid_get_n_row_grids (HtRoundingGrid *self);
HT_API gsize ht_rounding_grid_get_n_blocks (HtRoundingGrid *self);
HT_API gint64 ht_rounding_grid_get_n_steps (HtRoundingGrid *self);
HT_API const double *ht_rounding_grid_get_scales (HtRoundingGrid *self, gsize *n_grids);
HT_API const gint64 *ht_rounding_grid_get_offsets (HtRoundingGrid *self, gsize *n_grids);
HT_API void ht_rounding_grid_round (HtRoundingGrid *self, const double *weights, gsize n_rows, gsize n_columns,
                                    double *rounded);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtRoundingGrid, ht_rounding_grid_unref)

G_END_DECLS
