/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/tensor.h>

G_BEGIN_DECLS

#define HT_TYPE_OPTIMIZER (ht_optimizer_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtOptimizer, ht_optimizer, HT, OPTIMIZER, GObject)

/* What an optimizer keeps for a tensor, by name. */
#define HT_OPTIMIZER_MOMENTUM      "momentum"
#define HT_OPTIMIZER_FIRST_MOMENT  "first-moment"
#define HT_OPTIMIZER_SECOND_MOMENT "second-moment"

HT_API HtOptimizer *ht_optimizer_new_sgd (double learning_rate, double momentum, gboolean nesterov,
                                          double weight_decay);
HT_API HtOptimizer *ht_optimizer_new_adam (double learning_rate, double beta1, double beta2, double epsilon,
                                           double weight_decay);
HT_API HtOptimizer *ht_optimizer_new_adamw (double learning_rate, double beta1, double beta2, double epsilon,
                                            double weight_decay);
HT_API double ht_optimizer_get_learning_rate (HtOptimizer *self);
HT_API void ht_optimizer_set_learning_rate (HtOptimizer *self, double learning_rate);
HT_API HtTensor *ht_optimizer_update (HtOptimizer *self, const char *tensor, HtTensor *value, HtTensor *gradient,
                                      GError **error);
HT_API char **ht_optimizer_list_tensors (HtOptimizer *self);
HT_API guint64 ht_optimizer_get_n_steps (HtOptimizer *self, const char *tensor);
HT_API void ht_optimizer_set_n_steps (HtOptimizer *self, const char *tensor, guint64 n_steps);
HT_API HtTensor *ht_optimizer_get_state (HtOptimizer *self, const char *tensor, const char *part);
HT_API gboolean ht_optimizer_set_state (HtOptimizer *self, const char *tensor, const char *part, HtTensor *value,
                                        GError **error);

G_END_DECLS
