/* SPDX-License-Identifier: MIT */
/* How normalizations read their node: what forward and backward share. */
#pragma once

#include "graph/operator.h"

typedef struct
{
  gsize outer, channels, inner;
  double *scale, *bias, *mean, *variance; /* one for each channel */
} HtBatchNorm;

/* Fills a zeroed structure, with the statistics that are given. */
gboolean ht_batch_norm_read (const HtOpCall *call, HtBatchNorm *self, GError **error);
/* The statistics are those of the batch. */
gboolean ht_batch_norm_trains (const HtOpCall *call);
void ht_batch_norm_clear (HtBatchNorm *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (HtBatchNorm, ht_batch_norm_clear)

/* Rows of `n` elements; see HtRowNorm. */
typedef struct
{
  gsize n_rows, n, factor_rows, factor_count;
} HtNormRows;

HtNormRows ht_layer_norm_rows (HtNode *node, gint64 opset, const gint64 *dims, guint n_dims);
HtNormRows ht_instance_norm_rows (HtNode *node, gint64 opset, const gint64 *dims, guint n_dims);
HtNormRows ht_group_norm_rows (HtNode *node, gint64 opset, const gint64 *dims, guint n_dims);
