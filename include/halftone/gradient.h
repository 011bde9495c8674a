/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/executor.h>

G_BEGIN_DECLS

#define HT_TYPE_GRADIENT_RESULT (ht_gradient_result_get_type ())
typedef struct _HtGradientResult HtGradientResult;

/**
 * HtRangePart:
 * @HT_RANGE_PART_SCALE: the scale
 * @HT_RANGE_PART_OFFSET: the offset
 * @HT_RANGE_PART_MINIMUM: the lower end of the range
 * @HT_RANGE_PART_MAXIMUM: the upper end of the range
 *
 * What of an encoding a gradient is taken with respect to.
 */
typedef enum
{
  HT_RANGE_PART_SCALE,
  HT_RANGE_PART_OFFSET,
  HT_RANGE_PART_MINIMUM,
  HT_RANGE_PART_MAXIMUM,
} HtRangePart;

HT_API GType ht_gradient_result_get_type (void) G_GNUC_CONST;
HT_API HtGradientResult *ht_gradient_result_ref (HtGradientResult *self);
HT_API void ht_gradient_result_unref (HtGradientResult *self);
HT_API double ht_gradient_result_get_loss (HtGradientResult *self);
HT_API HtTensor *ht_gradient_result_get_gradient (HtGradientResult *self, const char *tensor);
HT_API HtTensor *ht_gradient_result_get_range_gradient (HtGradientResult *self, const char *tensor, HtRangePart part);
HT_API HtTensor *ht_gradient_result_get_output (HtGradientResult *self, const char *tensor);
HT_API HtTensor *ht_gradient_result_get_statistic (HtGradientResult *self, const char *tensor);
HT_API gboolean ht_gradient_result_accumulate (HtGradientResult *self, HtGradientResult *other, GError **error);

#define HT_TYPE_GRADIENT (ht_gradient_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtGradient, ht_gradient, HT, GRADIENT, GObject)

HT_API HtGradient *ht_gradient_new (HtGraph *graph, const char *const *tensors, GError **error);
HT_API gboolean ht_gradient_set_parameter (HtGradient *self, const char *tensor, HtTensor *value, GError **error);
HT_API HtTensor *ht_gradient_get_parameter (HtGradient *self, const char *tensor);
HT_API void ht_gradient_set_encoding (HtGradient *self, const char *tensor, HtEncoding *encoding);
HT_API void ht_gradient_set_ranges (HtGradient *self, const char *const *tensors);
HT_API void ht_gradient_set_batch_statistics (HtGradient *self, gboolean batch_statistics);
HT_API void ht_gradient_set_memory_budget (HtGradient *self, guint64 bytes);
HT_API gboolean ht_gradient_measure (HtGradient *self, GHashTable *inputs, const char *const *losses,
                                     const char *const *outputs, guint64 *peak, guint *n_segments, GError **error);
HT_API HtGradientResult *ht_gradient_run (HtGradient *self, GHashTable *inputs, GHashTable *output_gradients,
                                          const char *const *outputs, GCancellable *cancellable, GError **error);
HT_API HtGradientResult *ht_gradient_run_tapped (HtGradient *self, GHashTable *inputs, GHashTable *output_gradients,
                                                 const char *const *outputs, const char *const *taps, HtTapFunc func,
                                                 gpointer user_data, GCancellable *cancellable, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtGradientResult, ht_gradient_result_unref)

G_END_DECLS
