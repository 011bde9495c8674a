/* SPDX-License-Identifier: MIT */
/* The variables of relaxed rounding (Nagel et al. 2020, "Up or Down? Adaptive Rounding for Post-Training Quantization",
 * equations 21 to 24): each weight is rounded down plus h, where h = clip (sigmoid (alpha) (zeta - gamma) + gamma, 0,
 * 1). */
#pragma once

#include <halftone/halftone.h>

G_BEGIN_DECLS

#define RELAXED_ROUNDING_ZETA  1.1f
#define RELAXED_ROUNDING_GAMMA (-0.1f)

typedef struct
{
  gsize n;
  float *scales;       /* of each weight */
  float *downs;        /* the weight over its scale, rounded down */
  float *lows, *highs; /* the first and the last code of each weight's grid */
} RelaxedRounding;

/* Fails when the grid does not fit the weight or is not one of integers. */
RelaxedRounding *relaxed_rounding_new (HtTensor *weight, HtEncoding *grid, GError **error);
void relaxed_rounding_free (RelaxedRounding *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RelaxedRounding, relaxed_rounding_free)

/* The alphas where h is the fraction of each weight, so that training starts at the weight itself. */
HtTensor *relaxed_rounding_start (RelaxedRounding *self, HtTensor *weight, GError **error);
/* The weights of `alphas`, written to `weights`: with h as it is, or with h taken as 0 or 1. */
void relaxed_rounding_apply (RelaxedRounding *self, const float *alphas, gboolean hard, float *weights);
/* Turns the gradient of the loss to the weights into that to the alphas and adds that of the regularizer,
 * factor * sum (1 - |2 h - 1|^beta). In place of `gradients`; a `factor` of 0 leaves the regularizer out. */
void relaxed_rounding_differentiate (RelaxedRounding *self, const float *alphas, float factor, float beta,
                                     float *gradients);
/* How many alphas have an h that is neither 0 nor 1. */
gsize relaxed_rounding_count_undecided (RelaxedRounding *self, const float *alphas);

G_END_DECLS
