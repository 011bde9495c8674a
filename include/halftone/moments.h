/* SPDX-License-Identifier: MIT */
#pragma once

#include <gio/gio.h>
#include <halftone/macros.h>

G_BEGIN_DECLS

/* Second moments of what a weighted layer reads and of what it should return: all that least squares needs to know of
 * the samples. Counted. */
#define HT_TYPE_MOMENTS (ht_moments_get_type ())
typedef struct _HtMoments HtMoments;

HT_API GType ht_moments_get_type (void) G_GNUC_CONST;
HT_API HtMoments *ht_moments_new (gsize n_groups, gsize n_inputs, gsize n_outputs);
HT_API HtMoments *ht_moments_copy (HtMoments *self);
HT_API HtMoments *ht_moments_ref (HtMoments *self);
HT_API void ht_moments_unref (HtMoments *self);
HT_API gsize ht_moments_get_n_groups (HtMoments *self);
HT_API gsize ht_moments_get_n_inputs (HtMoments *self);
HT_API gsize ht_moments_get_n_outputs (HtMoments *self);
HT_API guint64 ht_moments_get_n_positions (HtMoments *self);
HT_API guint64 ht_moments_estimate_memory (gsize n_groups, gsize n_inputs, gsize n_outputs);

HT_API gboolean ht_moments_add (HtMoments *self, float *inputs, float *targets, gsize n_positions, gsize stride,
                                GError **error);
HT_API gboolean ht_moments_merge (HtMoments *self, HtMoments *other, GError **error);

HT_API double *ht_moments_get_gram (HtMoments *self, gsize group, gboolean centred);
HT_API double *ht_moments_get_cross (HtMoments *self, gsize group, gboolean centred);
HT_API double *ht_moments_get_input_means (HtMoments *self, gsize group);
HT_API double *ht_moments_get_target_means (HtMoments *self, gsize group);
HT_API double *ht_moments_get_target_squares (HtMoments *self, gsize group, gboolean centred);
HT_API double *ht_moments_get_errors (HtMoments *self, const double *weights, gboolean centred);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HtMoments, ht_moments_unref)

G_END_DECLS
