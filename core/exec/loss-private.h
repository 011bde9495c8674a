/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/loss.h>

/* Adds `weight` times the loss to `value`, and its gradient to `gradient`, which has the form of `output`. */
gboolean ht_loss_add (HtLoss *self, HtTensor *output, HtTensor *target, double weight, HtTensor *gradient,
                      double *value, GError **error);
