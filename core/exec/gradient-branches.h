/* SPDX-License-Identifier: MIT */
/* A plan of gradients has no subgraphs: where the inputs say which branch of an If is taken, its nodes take the place
 * of the If. */
#pragma once

#include "exec/executor-private.h"

typedef struct _HtGradientBranches HtGradientBranches;

HtGradientBranches *ht_gradient_branches_new (HtExecutor *executor);
void ht_gradient_branches_free (HtGradientBranches *self);
/* The graph without those If nodes whose conditions can be computed from what is given; the same one as before, and
 * *changed FALSE, while the same branches are taken. */
HtGraph *ht_gradient_branches_resolve (HtGradientBranches *self, GHashTable *given, gboolean *changed, GError **error);
