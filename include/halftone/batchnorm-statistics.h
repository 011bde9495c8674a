/* SPDX-License-Identifier: MIT */
#pragma once

#include <halftone/model-state.h>

G_BEGIN_DECLS

/* The artifact "batchnorm-statistics": for a tensor that a batch norm produced, the mean (beta) and the standard
 * deviation (|gamma|) of each channel of the pre-activation. */
#define HT_ARTIFACT_BATCHNORM_STATISTICS "batchnorm-statistics"

#define HT_TYPE_BATCHNORM_STATISTICS (ht_batchnorm_statistics_get_type ())
HT_API
G_DECLARE_FINAL_TYPE (HtBatchnormStatistics, ht_batchnorm_statistics, HT, BATCHNORM_STATISTICS, GObject)

HT_API HtBatchnormStatistics *ht_batchnorm_statistics_new (void);
HT_API HtBatchnormStatistics *ht_batchnorm_statistics_copy (HtBatchnormStatistics *self);
HT_API void ht_batchnorm_statistics_set (HtBatchnormStatistics *self, const char *tensor, const double *means,
                                         const double *deviations, gsize n_channels);
HT_API gboolean ht_batchnorm_statistics_has (HtBatchnormStatistics *self, const char *tensor);
HT_API const double *ht_batchnorm_statistics_get_means (HtBatchnormStatistics *self, const char *tensor,
                                                        gsize *n_channels);
HT_API const double *ht_batchnorm_statistics_get_deviations (HtBatchnormStatistics *self, const char *tensor,
                                                             gsize *n_channels);
HT_API void ht_batchnorm_statistics_drop (HtBatchnormStatistics *self, const char *tensor);
HT_API void ht_batchnorm_statistics_scale (HtBatchnormStatistics *self, const char *tensor, const double *factors,
                                           gsize n_channels);
HT_API void ht_batchnorm_statistics_shift (HtBatchnormStatistics *self, const char *tensor, const double *shifts,
                                           gsize n_channels);
HT_API char **ht_batchnorm_statistics_list (HtBatchnormStatistics *self);

G_END_DECLS
