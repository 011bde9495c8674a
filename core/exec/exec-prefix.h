/* SPDX-License-Identifier: MIT */
/* Which first steps two plans of one graph have in common, and what the later ones need of them. */
#pragma once

#include "exec/exec-plan.h"

typedef struct
{
  const char *name;
  HtEncoding *encoding;
} HtExecNamedGrid;

/* What the comparison knows of a plan that was made for `encodings`. */
typedef struct
{
  const HtExecPlan *plan; /* borrowed, as are names and encodings */
  GHashTable *encodings;  /* name -> HtEncoding */
  GArray *grids;          /* HtExecNamedGrid: those that have a say in a step, step after step */
  guint *ends;            /* by step: where its grids end */
  gint *made;             /* by value: the step that makes it; -1: there before the first one */
  gint *last;             /* by value: the last step that reads it; -1: none, G_MAXINT: it is wanted */
  GHashTable *values;     /* (name, layout) -> index of value + 1 */
} HtExecProfile;

HtExecProfile *ht_exec_profile_new (const HtExecPlan *plan, HtGraph *graph, GHashTable *encodings);
void ht_exec_profile_free (HtExecProfile *self);

/* How many first steps do the same in both, given that `from` are known to. 0 also where given tensors are not taken in
 * alike. */
guint ht_exec_profile_count_common (const HtExecProfile *a, const HtExecProfile *b, guint from);
/* The value of `other` that is value `index` of `self`; HT_EXEC_NONE: none is. */
guint ht_exec_profile_find (const HtExecProfile *self, const HtExecProfile *other, guint index);
/* Must the value be there before step `step`, although no earlier part of the plan runs? */
gboolean ht_exec_profile_needs (const HtExecProfile *self, guint index, guint step);
/* The last boundary, at most `step`, at which a run of `source` still has all that the rest of `self` needs. */
guint ht_exec_profile_find_cut (const HtExecProfile *self, const HtExecProfile *source, guint step);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtExecProfile, ht_exec_profile_free)
