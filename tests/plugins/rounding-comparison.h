/* SPDX-License-Identifier: MIT */
/* A pass that rounds layers by both solvers on the same samples and measures both on others: the exact solver's weights
 * stay, so that later layers read what its network computes. */
#pragma once

#include <halftone/halftone.h>

G_BEGIN_DECLS

typedef struct
{
  const char *layer; /* the name of its node */
  double nearest;    /* mean squared errors before the activation, summed over channels */
  double exact;
  double relaxation; /* with the activation left out of its loss */
  gboolean has_activation;
  double unrefined; /* behind the activation: the exact solver, */
  double refined;   /* when aware of it, */
  double relaxation_aware;
  double exact_seconds, refinement_seconds, relaxation_seconds; /* the moments included */
} RoundingComparison;

/* Called with each layer that was compared. */
typedef void (*RoundingComparisonFunc) (const RoundingComparison *row, gpointer user_data);

/* `layers`: substrings of the names of nodes; NULL: all layers. */
HtPass *rounding_comparison_new (guint iterations, const char *const *layers, RoundingComparisonFunc func,
                                 gpointer user_data);

G_END_DECLS
