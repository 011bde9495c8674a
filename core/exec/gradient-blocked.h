/* SPDX-License-Identifier: MIT */
/* Units and tasks in the blocked layout of kernels/blocked.h. */
#pragma once

#include "exec/gradient-build.h"

gsize ht_gradient_blocked_floats (const gint64 *dims, guint n_dims);
/* slot 0 to slot 1, from one layout to the other */
extern const HtGradientKind ht_gradient_reorder_kind;
/* TRUE: a unit that begins with this step is better run blocked; its later steps become taken. */
gboolean ht_gradient_blocked_match (HtGradientBuilder *self, guint step, gboolean *taken, HtGradientUnit *unit);
