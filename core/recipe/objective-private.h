/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/objective.h>

/* The bound of a condition is factor times the baseline, plus offset. */
typedef struct
{
  char *text;
  gint metric; /* or -1 */
  gint cost;   /* or -1 */
  HtComparison comparison;
  gboolean relative; /* to the floating-point network */
  double factor;
  double offset;
} HtConstraint;

void ht_objective_set_data (HtObjective *self, HtObjectiveData data);
/* Whether an external number is to be small. */
void ht_objective_set_minimized (HtObjective *self, gboolean minimized);
void ht_objective_add_cost (HtObjective *self, HtCost cost);
void ht_objective_take_constraint (HtObjective *self, const HtConstraint *constraint);
/* Reads "top1 >= baseline - 0.5pp". The error says what was expected where. */
gboolean ht_objective_add_constraint (HtObjective *self, const char *text, GError **error);
