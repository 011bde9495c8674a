/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/gradient.h>

G_BEGIN_DECLS

#define HT_TYPE_LOSS (ht_loss_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtLoss, ht_loss, HT, LOSS, GObject)

HT_API HtLoss *ht_loss_new_cross_entropy (double label_smoothing);
HT_API HtLoss *ht_loss_new_kl_divergence (double temperature);
HT_API HtLoss *ht_loss_new_mean_squared_error (void);
HT_API gboolean ht_loss_evaluate (HtLoss *self, HtTensor *output, HtTensor *target, double *value, HtTensor **gradient,
                                  GError **error);

HT_API HtGradientResult *ht_gradient_run_losses (HtGradient *self, GHashTable *inputs, const char *const *names,
                                                 HtLoss *const *losses, HtTensor *const *targets, const double *weights,
                                                 gsize n_losses, const char *const *outputs, GCancellable *cancellable,
                                                 GError **error);

G_END_DECLS
