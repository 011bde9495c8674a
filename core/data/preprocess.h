/* SPDX-License-Identifier: MIT */
/* One array's way into the network: worked out once for its shape, then applied to ranges of samples. */
#pragma once

#include <halftone/dataset.h>

typedef struct
{
  HtDataType source_type;
  guint n_dims;                     /* of the result, samples included */
  gint64 dims[HT_TENSOR_MAX_DIMS];  /* of one sample's result, from index 1 on */
  gsize sample_elements;            /* of the file's sample */
  gint64 n_channels, height, width; /* of the result; everything between channels and the last axis is one width */
  gsize channel_stride, row_stride, column_stride, offset;
  gboolean reverse;
  gboolean moves;      /* elements change places */
  gboolean arithmetic; /* values change */
  gboolean keep_type;  /* the network takes the integers of the file */
  double scale;
  double *means, *deviations; /* n_channels each */
} HtPreprocessPlan;

/* `preprocess` may be NULL. With `integer` the network wants the integers of the file: the geometry is applied, and
 * arithmetic refused. */
HtPreprocessPlan *ht_preprocess_plan_new (HtPreprocess *preprocess, HtTensor *array, const char *what, gboolean integer,
                                          GError **error);
void ht_preprocess_plan_free (HtPreprocessPlan *self);
/* Samples [first, first + n_samples), the last one repeated up to `n_rows` of them, as floats (or as in the file where
 * the plan was made for integers). */
HtTensor *ht_preprocess_plan_apply (const HtPreprocessPlan *self, HtTensor *array, gsize first, gsize n_samples,
                                    gsize n_rows, const char *what, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtPreprocessPlan, ht_preprocess_plan_free)
