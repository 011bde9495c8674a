/* SPDX-License-Identifier: MIT */
/* The error of a layer as a quadratic form of its weights, taken from moments once. */
#pragma once

#include <halftone/moments.h>

typedef struct
{
  gsize n_groups, n, m; /* groups; inputs and outputs of each */
  double **gram;        /* of each group: covariance of the inputs, [n][n] */
  double **cross;       /* covariances of inputs and targets, [n][m] */
  double *variances;    /* of the targets, [groups][m] */
  double *input_means;  /* [groups][n] */
  double *target_means; /* [groups][m] */
} HtQuadratic;

HtQuadratic *ht_quadratic_new (HtMoments *moments);
void ht_quadratic_free (HtQuadratic *self);
/* The mean squared error of each output with weights [groups x m][n] and, or NULL, what is added to each bias. */
void ht_quadratic_find_errors (const HtQuadratic *self, const double *weights, const double *bias_shifts,
                               double *errors);
/* What added to the biases removes the mean of the error. */
void ht_quadratic_find_bias_shifts (const HtQuadratic *self, const double *weights, double *bias_shifts);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtQuadratic, ht_quadratic_free)
