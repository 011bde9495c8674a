/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/samples.h>
#include <halftone/solver.h>

G_BEGIN_DECLS

/**
 * HtActivationFunc:
 * @values: (array length=n): of one output of a layer, its bias included
 * @n: number of values
 * @output: the output channel
 * @results: (array length=n): what the activation makes of the values
 * @slopes: (array length=n) (nullable): its derivative there
 * @user_data: what the caller passed along
 *
 * A function that is applied to each value by itself. Called from several threads at once.
 */
typedef void (*HtActivationFunc) (const float *values, gsize n, gsize output, float *results, float *slopes,
                                  gpointer user_data);

/* What the refinement of a layer behind its activation gave. */
typedef struct
{
  double error_before, error; /* mean squared errors behind the activation, summed over outputs, on held-out samples */
  double moved;               /* the share of codes that it changed */
} HtRefinement;

HT_API HtSolution *ht_solution_refine (HtSolution *self, HtMoments *moments, HtSamples *fitting, HtSamples *held_out,
                                       const double *weights, const double *bias, HtActivationFunc activation,
                                       gpointer user_data, HtRefinement *outcome, GCancellable *cancellable,
                                       GError **error);

G_END_DECLS
